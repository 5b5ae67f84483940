//! The page of `northc graph --format html` in a real browser, where Chromium is there.
//!
//! `browser.js` is put behind the page and does with it what a person does; what it found wrong stands in the page
//! that Chromium prints. Without a browser this says so and passes, unless `NORTHC_BROWSER` demands one.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cases::root;

const DRIVER: &str = include_str!("browser.js");
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

#[test]
fn a_page_does_in_a_browser_what_it_says() {
    let page = fs::read_to_string(root().join("fixtures/native/three-tier/shop.yaml")).expect("it is there");
    acted(&page, "web-1", "app-1", "partly");
}

/// Names that would be markup or script, if a browser took them for it.
#[test]
fn no_name_acts_in_a_browser() {
    let name = "<img src=x onerror=hacked=1>";
    let hostile = [name, "</template><script>hacked=1</script>", "\"onload=\"hacked=1", "</style></svg><b>"];
    let text = |name: &str| serde_json::Value::from(name).to_string();
    let mut net = String::new();
    for (n, name) in hostile.iter().enumerate() {
        let other = hostile[(n + 1) % hostile.len()];
        let (name, peer) = (text(name), text(other));
        let link = |at: usize, end: usize| format!("169.254.{at}.{end}/30");
        let before = text(hostile[(n + hostile.len() - 1) % hostile.len()]);
        let at_before = (n + hostile.len() - 1) % hostile.len();
        net.push_str(&format!(
            "---\napiVersion: kubeovn.io/v1\nkind: Vpc\nmetadata: {{name: {name}}}\nspec:\n  vpcPeerings:\n  - {{remoteVpc: {peer}, localConnectIP: {}}}\n  - {{remoteVpc: {before}, localConnectIP: {}}}\n\
             ---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {{name: {}}}\nspec: {{vpc: {name}, cidrBlock: 10.{n}.0.0/24, provider: default/net{n}}}\n",
            link(n, 1),
            link(at_before, 2),
            text(&format!("s{n}-{}", hostile[n])),
        ));
        for machine in 0..2 {
            net.push_str(&format!(
                "---\napiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {{name: {}}}\nspec:\n  template: {{spec: {{networks: [{{name: n, multus: {{networkName: default/net{n}}}}}]}}}}\n",
                text(&format!("m{n}{machine}-{}", hostile[n])),
            ));
        }
    }
    acted(&net, "m00-", "m01-", "yes");
}

/// Draws a page of a network and has the driver act on it.
fn acted(net: &str, first: &str, reached: &str, how: &str) {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    fs::write(at("net.yaml"), net).expect("written");
    let mut northc = Command::new(env!("CARGO_BIN_EXE_northc"));
    northc.args(["graph", "net.yaml", "--reach", "--format", "html", "-o", "net.html"]);
    let ran = northc.current_dir(dir.path()).output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let page = fs::read_to_string(at("net.html")).expect("drawn");
    let page = page.replace(
        "</html>",
        &format!(
            "<script>const FIRST = {first:?}, REACHED = {reached:?}, HOW = {how:?};\n{DRIVER}</script></html>"
        ),
    );
    fs::write(at("driven.html"), page).expect("written");
    let dom = dom(&browser, dir.path());
    let value = |name: &str| dom.split(&format!("data-{name}=\"")).nth(1).and_then(|it| it.split('"').next());
    assert_eq!(
        value("failed"),
        Some(""),
        "{} checked; the page:\n{dom}",
        value("checked").unwrap_or("nothing")
    );
    assert!(value("checked").and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n > 20));
}

/// What a browser makes of the page.
fn dom(browser: &str, dir: &Path) -> String {
    let page = dir.join("driven.html");
    let ran = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("it was found");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn browser() -> Option<String> {
    let is_there =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|ran| ran.status.success());
    let found = BROWSERS.into_iter().find(is_there);
    assert!(found.is_some() || std::env::var_os("NORTHC_BROWSER").is_none(), "none of {BROWSERS:?} is there");
    found.map(str::to_owned)
}
