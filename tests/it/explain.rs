//! Registered, explained, tested, emitted: a code is all four or none.
//!
//! A page's `yaml fail` block yields its code and nothing else, its `yaml pass` block compiles without it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use northc::diag::{Code, Severity};
use serde_json::Value;

use crate::cases::{Ran, northc, root};

/// What YAML alone can't show: files and sizes, which `bad_input` tests, and everything that takes a live
/// database, which `live` and `drift` test.
fn is_shown_by_yaml(code: Code) -> bool {
    let is_of_input = code.number() < "N07" || ("N0930".."N0960").contains(&code.number());
    !matches!(code, Code::Unreadable | Code::TooManyPorts | Code::LockInvalid) && is_of_input
}

/// Codes that can't be shown alone: what else the example yields, no error.
const IN_COMPANY: [(Code, Code); 5] = [
    (Code::NatGatewayInOvn, Code::FieldWithoutEffect),
    (Code::ConflictingFields, Code::NotYet),
    (Code::PeersOverlap, Code::PeerTransitive),
    (Code::PeerNetworkReused, Code::PeerTransitive),
    (Code::PrivateBlocksExit, Code::NatOutgoingNowhere),
];

/// The text of the only fenced block of a page that begins so.
fn block<'p>(page: &'p str, fence: &str) -> Option<&'p str> {
    let mut blocks = page.split("```").skip(1).step_by(2);
    let found = blocks.find_map(|block| block.strip_prefix(fence)?.strip_prefix('\n'));
    assert!(blocks.all(|block| !block.starts_with(&format!("{fence}\n"))), "one `{fence}` block:\n{page}");
    found
}

fn run_on(text: &str, args: &[&str]) -> Ran {
    let dir = tempfile::tempdir().expect("a folder for the example");
    let path = dir.path().join("input.yaml");
    fs::write(&path, text).expect("the example is written");
    northc(args.iter().copied().chain([path.to_str().expect("a path is text")]))
}

/// The codes that an example yields, and how often.
fn codes(text: &str) -> BTreeMap<String, usize> {
    let ran = run_on(text, &["check", "--format", "json"]);
    let document: Value = serde_json::from_str(&ran.out).expect("JSON");
    let mut codes = BTreeMap::new();
    for diagnostic in document["diagnostics"].as_array().expect("an array") {
        *codes.entry(diagnostic["code"].as_str().expect("a code").to_owned()).or_default() += 1;
    }
    codes
}

#[test]
fn every_page_shows_its_code_and_how_to_avoid_it() {
    let mut problems = Vec::new();
    for code in Code::ALL {
        let page = code.page();
        if !page.starts_with(&format!("# {code} {}\n\n", code.slug())) {
            problems.push(format!("{code}: the title is not `# {code} {}`", code.slug()));
        }
        let prose = page.split("```").step_by(2).flat_map(str::lines);
        if prose.into_iter().any(|line| line.chars().count() > 120) {
            problems.push(format!("{code}: a line is longer than 120 characters"));
        }
        let (fail, pass) = (block(page, "yaml fail"), block(page, "yaml pass"));
        if !is_shown_by_yaml(*code) {
            assert!(
                fail.is_none() && pass.is_none() && block(page, "text").is_some(),
                "{code} is not YAML's"
            );
            continue;
        }
        let (Some(fail), Some(pass)) = (fail, pass) else {
            problems.push(format!("{code}: the page has no example of each side"));
            continue;
        };
        let mut seen = codes(fail);
        for (_, other) in IN_COMPANY.iter().filter(|(shown, _)| shown == code) {
            assert!(seen.remove(other.number()).is_some() && other.severity() != Severity::Error);
        }
        if seen.len() != 1 || !seen.contains_key(code.number()) {
            problems.push(format!("{code}: its example yields {seen:?}"));
        }
        let ran = run_on(fail, &["check"]);
        if (ran.code == 1) != (code.severity() == Severity::Error) {
            problems.push(format!("{code}: its example exits with {}", ran.code));
        }
        let seen = codes(pass);
        let ran = run_on(pass, &["compile"]);
        if seen.contains_key(code.number()) || ran.code != 0 {
            problems.push(format!("{code}: its good example yields {seen:?}:\n{}", ran.err));
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn every_page_has_a_code() {
    let pages = fs::read_dir(root().join("src/diag/explain")).expect("pages");
    let mut named: Vec<String> =
        pages.map(|page| page.expect("a page").file_name().to_string_lossy().into_owned()).collect();
    named.sort_unstable();
    let wanted: Vec<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    assert_eq!(named, wanted);
}

#[test]
fn every_code_is_emitted_somewhere() {
    let mut texts = String::new();
    sources(&root().join("src"), &mut |path| {
        if !path.ends_with("diag/code.rs") {
            texts.push_str(&fs::read_to_string(path).expect("source code"));
        }
    });
    let words: BTreeSet<&str> = texts.split(|c: char| !c.is_alphanumeric() && c != ':').collect();
    let silent: Vec<String> = Code::ALL
        .iter()
        .filter(|code| !words.contains(format!("Code::{code:?}").as_str()))
        .map(|code| format!("{code:?}"))
        .collect();
    assert!(silent.is_empty(), "nothing emits {}", silent.join(", "));
}

fn sources(folder: &Path, each: &mut impl FnMut(&PathBuf)) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, each);
        } else if path.extension().is_some_and(|e| e == "rs") {
            each(&path);
        }
    }
}

#[test]
fn a_code_is_found_by_number_and_by_name() {
    let page = northc(["explain", "N0301"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    assert!(page.out.starts_with("# N0301 cidr-overlap\n"), "{}", page.out);
    assert_eq!(page.out, northc(["explain", "cidr-overlap"]).out);
    assert_eq!(page.out, northc(["explain", "n0301"]).out);
    let json: Value =
        serde_json::from_str(&northc(["explain", "N0301", "--format", "json"]).out).expect("JSON");
    assert_eq!(json["kind"], "northc.code");
    assert_eq!(json["code"]["slug"], "cidr-overlap");
    assert_eq!(json["code"]["page"], page.out.as_str());
}

#[test]
fn an_unknown_code_is_a_wrong_command_line() {
    for (said, help) in [
        ("N0331", "did you mean `N0301`?"),
        ("cidr-overlaps", "did you mean `cidr-overlap`?"),
        ("something-else-entirely", "`northc explain --list` lists them"),
    ] {
        let ran = northc(["explain", said]);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{said}");
        assert!(ran.err.contains(help), "{said}: {}", ran.err);
    }
    assert_eq!(northc(["explain", "N0301", "--list"]).code, 64);
}

#[test]
fn the_list_has_every_code() {
    let list = northc(["explain", "--list"]);
    assert_eq!((list.code, list.err.as_str()), (0, ""));
    assert_eq!(list.out.lines().count(), Code::ALL.len());
    for (line, code) in list.out.lines().zip(Code::ALL) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..3], [code.number(), code.slug(), code.severity().name()]);
        assert!(line.ends_with(code.summary()) && line.chars().count() <= 120, "{line}");
    }
    let json = northc(["explain", "--list", "--format", "json"]).out;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["kind"], "northc.codes");
    assert_eq!(json["codes"].as_array().map(Vec::len), Some(Code::ALL.len()));
}
