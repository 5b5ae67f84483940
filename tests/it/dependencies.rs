//! What the program is made of besides northc: crates under licences that `deny.toml` allows, as `docs/licences.md`
//! lists them, none of those that it forbids, and `Cargo.lock` as its sums are.
//!
//! Refuses to ask the network; `cargo deny check` and `cargo audit` do that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

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
    // With the features that tests alone ask for, `cargo metadata` would name crates that the program has not.
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none", "--no-dedupe"])
        .args(["--target", "x86_64-unknown-linux-gnu", "--format", "{p}\t{l}"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let lines = said.lines().map(|line| line.split_once('\t').expect("a crate and its licence"));
    let name = |package: &str| package.split(' ').next().unwrap_or_default().to_owned();
    lines.map(|(package, licence)| (name(package), licence.to_owned())).collect()
}
