//! `northc verify` and the proof beside other verbs, as people see them.

use crate::cases::{Ran, northc};

fn run(args: &[&str]) -> Ran {
    northc(args.iter().copied())
}

#[test]
fn what_agrees_is_said_in_a_line() {
    let ran = run(&["verify", "fixtures/security-groups/three-tiers"]);
    let said = "the rows mean what the input says: every packet of 5 senders was compared\n";
    assert_eq!((ran.code, ran.err.as_str(), ran.out.as_str()), (0, said, ""));
    let ran = run(&["--quiet", "verify", "fixtures/security-groups/three-tiers"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn what_is_not_compared_is_told() {
    let text = std::fs::read_to_string("fixtures/acls/by-port/network.yaml").expect("a fixture");
    let marked = text.replacen("match: ", "match: pkt.mark == 7 && ", 1);
    assert_ne!(text, marked);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("network.yaml");
    std::fs::write(&file, marked).expect("a file");
    let file = file.to_str().expect("text");
    let ran = run(&["verify", file]);
    assert_eq!(ran.code, 7, "{}", ran.err);
    assert!(ran.err.contains("senders: a rule by hand asks for `pkt.mark`"), "{}", ran.err);
    let ran = run(&["verify", file, "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.code, &document["diagnostics"][0]["code"]), (7, &"N0903".into()));
}

#[test]
fn a_budget_ends_it_and_says_how_far_it_came() {
    let ran = run(&["verify", "fixtures/security-groups/three-tiers", "--budget", "0ms"]);
    assert_eq!(ran.code, 7, "{}", ran.err);
    assert!(ran.err.contains("note[N0904]: 0 of 5 senders were verified in "), "{}", ran.err);
}

#[test]
fn input_with_errors_is_not_verified() {
    let ran = run(&["verify", "fixtures/check/cidr-overlap"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(!ran.err.contains("N09"), "{}", ran.err);
}

#[test]
fn a_proof_beside_compiling_changes_no_byte() {
    let plain = run(&["compile", "fixtures/security-groups/three-tiers"]);
    let proven = run(&["compile", "fixtures/security-groups/three-tiers", "--verify"]);
    assert_eq!((proven.code, proven.out, proven.err), (plain.code, plain.out, plain.err));
}

#[test]
#[cfg(feature = "live")]
fn apply_proves_first_unless_told_otherwise() {
    let nowhere = ["--yes", "--timeout", "1s", "--db", "unix:/nowhere/nb.sock"];
    let apply = |more: &[&str]| {
        let args = [&["apply", "fixtures/security-groups/three-tiers"], nowhere.as_slice(), more].concat();
        let ran = run(&args);
        assert_eq!(ran.code, 4, "{}", ran.err);
        ran.err
    };
    assert!(apply(&["--verify-budget", "0ms"]).contains("note[N0904]"));
    assert!(!apply(&["--verify-budget", "0ms", "--no-verify"]).contains("N0904"));
}
