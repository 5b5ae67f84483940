//! What `verify` sees on its way, each once: rules, routes, policies and translations that no packet comes to, and an
//! answer that comes back another way.

use crate::cases::northc;

#[test]
fn what_no_packet_comes_to_is_told() {
    let ran = northc(["verify", "tests/it/verify/lints/office.yaml", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let diagnostics = document["diagnostics"].as_array().expect("a list");
    let told = diagnostics.iter().filter_map(|told| {
        let code = told["code"].as_str().filter(|code| *code >= "N09")?;
        Some(format!("{code} {}: {}", told["primary"]["line"], told["message"].as_str()?))
    });
    let told: Vec<String> = told.collect();
    insta::assert_snapshot!("office", format!("{}\n[exit {}]", told.join("\n"), ran.code));
    let ran = northc(["verify", "fixtures/outside/every-way"]);
    assert!(
        ran.err.contains("warning[N0913]: no packet of anybody comes to this translation"),
        "{}",
        ran.err
    );
}
