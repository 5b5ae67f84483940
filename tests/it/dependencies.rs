//! What the program is made of besides northc: crates under licences that `deny.toml` allows, as `docs/licences.md`
//! lists them, none of those that it forbids, and `Cargo.lock` as its sums are.
//!
//! Refuses to ask the network; `cargo deny check` and `cargo audit` do that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::cases::root;
use crate::docs::is_current;

const HEAD: &str = "# Licences

Put together by the tests from `Cargo.lock`: the crates that the program is made of on Linux, tests and benchmarks left
out. [`deny.toml`](https://embarkstudios.github.io/cargo-deny/) says which licences may stand here.

| crate | licence |
|---|---|
";

#[test]
fn licences_are_allowed_and_listed() {
    let crates = crates();
    assert!(crates.len() > 40, "{crates:?}");
    let deny = fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
    let listed = |name: &str| -> BTreeSet<String> {
        let line = deny.lines().find(|line| line.starts_with(&format!("{name} = ["))).expect("a list");
        line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let allowed = listed("allow");
    let (is_allowed, forbidden) = (|text: &str| satisfied(text, &allowed), listed("deny"));
    for (name, licence) in &crates {
        assert!(is_allowed(licence), "{name}: {licence}");
        assert!(!forbidden.contains(name), "{name} is forbidden");
    }
    let used = |one: &String| crates.values().any(|licence| licence.contains(one.as_str()));
    assert!(allowed.iter().all(used), "deny.toml allows a licence that nobody has: {allowed:?}");
    let lines: String = crates.iter().map(|(name, licence)| format!("| {name} | {licence} |\n")).collect();
    is_current("licences.md", &format!("{HEAD}{lines}"));
}

#[test]
fn every_dependency_is_of_the_registry_and_has_its_sum() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is there");
    let packages = lock.split("[[package]]").skip(1);
    let mut n = 0;
    for package in packages.filter(|package| !package.contains("name = \"northc\"\n")) {
        let is_whole = package.contains("source = \"registry+https://github.com/rust-lang/crates.io-index\"")
            && package.contains("checksum = \"");
        assert!(is_whole, "{package}");
        n += 1;
    }
    assert!(n > 100, "{n}");
}

#[test]
fn licences_are_read_as_spdx_has_them() {
    let allowed = ["MIT", "ISC"].map(str::to_owned).into();
    for (text, is) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("ISC AND MIT", true),
        ("ISC AND GPL-3.0", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR MIT) AND BSD-3-Clause", false),
    ] {
        assert_eq!(satisfied(text, &allowed), is, "{text}");
    }
}

/// Whether these licences are enough: `OR` within parentheses at most, as crates write it.
fn satisfied(text: &str, allowed: &BTreeSet<String>) -> bool {
    let either = |text: &str| {
        let text = text.trim_matches(['(', ')']).replace('/', " OR ");
        text.split(" OR ").any(|one| one.split(" AND ").all(|one| allowed.contains(one.trim())))
    };
    match text.contains('(') {
        true => text.split(" AND ").all(either),
        false => either(text),
    }
}

/// What the program is built of, and under which licences.
fn crates() -> BTreeMap<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (node["id"].as_str().expect("an id").to_owned(), node))
        .collect();
    let mut reached = BTreeSet::new();
    let mut next = vec![metadata["resolve"]["root"].as_str().expect("northc").to_owned()];
    while let Some(id) = next.pop() {
        if reached.insert(id.clone()) {
            let deps = list(&nodes[&id]["deps"]).into_iter();
            let is_built = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            next.extend(deps.filter(is_built).map(|dep| dep["pkg"].as_str().expect("an id").to_owned()));
        }
    }
    let of = |package: &Value, what: &str| package[what].as_str().unwrap_or("none").to_owned();
    let packages = list(&metadata["packages"]).into_iter();
    let packages = packages.filter(|package| reached.contains(package["id"].as_str().unwrap_or_default()));
    packages.map(|package| (of(&package, "name"), of(&package, "license"))).collect()
}
