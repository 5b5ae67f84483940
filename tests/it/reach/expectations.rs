//! Expectations: what is said of those that fail, in every form, and what they stop.

use insta::assert_snapshot;
use serde_json::Value;

use crate::cases::{Ran, northc};

const VIOLATED: &str = "fixtures/check/expectation-violated";
const OPEN: &str = "fixtures/check/expectation-open";
const GOOD: &str = "fixtures/native/expectations";

fn reach(input: &str, more: &[&str]) -> Ran {
    northc(["reach", "-f", input].into_iter().chain(more.iter().copied()))
}

fn said(input: &str, more: &[&str]) -> String {
    let Ran { code, out, err } = reach(input, more);
    format!("{err}{out}[exit {code}]\n")
}

#[test]
fn every_form_says_what_fails() {
    assert_snapshot!("expected", said(GOOD, &["--expect"]));
    assert_snapshot!("violated", said(VIOLATED, &["--expect"]));
    assert_snapshot!("open", said(OPEN, &["--expect"]));
    assert_snapshot!("nobody", said("fixtures/check/expectation-of-nobody", &["--expect"]));
    assert_snapshot!("violated_markdown", said(VIOLATED, &["--expect", "--format", "markdown"]));
    assert_snapshot!("violated_github", said(VIOLATED, &["--expect", "--format", "github"]));
    assert_snapshot!("open_junit", said(OPEN, &["--expect", "--format", "junit"]));
}

#[test]
fn machines_read_what_fails() {
    let json = reach(VIOLATED, &["--expect", "--format", "json"]);
    let document: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(document["format_version"], "1.0");
    assert_eq!((document["exit"].as_u64(), json.code), (Some(1), 1));
    assert!(!document["assumptions"].as_array().expect("an array").is_empty());
    let results: Vec<(&str, &str)> = (document["expectations"].as_array().expect("an array").iter())
        .map(|it| (it["name"].as_str().expect("text"), it["result"].as_str().expect("text")))
        .collect();
    let expected =
        [("no-ping", "holds"), ("nobody-logs-in", "violated"), ("web-gets-at-the-database", "violated")];
    assert_eq!(results, expected);
    let violation = &document["expectations"][1]["violations"][0];
    assert_eq!(violation["witness"]["tp_dst"], 22);
    assert_eq!(violation["finding"]["verdict"], "reachable");

    let sarif = reach(VIOLATED, &["--expect", "--format", "sarif"]);
    let log: Value = serde_json::from_str(&sarif.out).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("an array");
    let results = run["results"].as_array().expect("an array");
    assert_eq!((rules.len(), results.len(), sarif.code), (1, 2, 1));
    for result in results {
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]));
        assert_eq!(result["level"], "error");
        assert!(!result["message"]["text"].as_str().expect("text").is_empty());
        for place in ["locations", "relatedLocations"] {
            let place = &result[place][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], format!("{VIOLATED}/input.yaml"));
            assert!(place["region"]["startLine"].as_u64().expect("a number") > 0);
        }
    }
}

/// Elements in the order in which they open, each with its parent; panics where the text is no XML.
fn elements(text: &str) -> Vec<(String, String)> {
    let (mut open, mut found): (Vec<String>, _) = (Vec::new(), Vec::new());
    for tag in text.split('<').skip(1) {
        let (tag, behind) = tag.split_once('>').expect("a tag ends");
        assert!(!behind.contains('>'), "`>` stands alone: {behind}");
        let amps = tag.split('&').chain(behind.split('&').skip(1)).skip(1);
        for rest in amps {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| rest.starts_with(known)), "{rest}");
        }
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
        found.push((open.last().cloned().unwrap_or_default(), name.clone()));
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} do not end");
    found
}

#[test]
fn junit_and_pictures_are_xml() {
    let junit = reach(VIOLATED, &["--expect", "--format", "junit"]);
    let pair = |parent: &str, name: &str| (parent.to_owned(), name.to_owned());
    let expected = [
        pair("", "testsuites"),
        pair("testsuites", "testsuite"),
        pair("testsuite", "testcase"),
        pair("testsuite", "testcase"),
        pair("testcase", "failure"),
        pair("testsuite", "testcase"),
        pair("testcase", "failure"),
    ];
    assert_eq!(elements(&junit.out), expected);
    assert!(junit.out.contains("tests=\"3\" failures=\"2\" errors=\"0\""), "{}", junit.out);
    let svg = reach(GOOD, &["--all", "--format", "svg"]);
    let squares =
        elements(&svg.out).iter().filter(|(parent, name)| parent == "rect" && name == "title").count();
    assert_eq!(squares, 7 + 2, "{}", svg.out);
    assert_snapshot!("all_dot", said(GOOD, &["--all", "--format", "dot"]));
    assert_snapshot!("all_markdown", said(GOOD, &["--all", "--format", "markdown"]));
    assert_snapshot!("pair_markdown", said(GOOD, &["app=web", "db-1", "tcp/22", "--format", "markdown"]));
}

#[test]
fn what_fails_stops_everything() {
    let form = |verb, input, more: &[&'static str]| {
        let args = [verb, input].into_iter().chain(more.iter().copied());
        let ran = northc(args);
        (ran.code, ran.out.is_empty())
    };
    type Row<'r> = (&'r str, &'r str, &'r [&'static str], (u8, bool));
    let table: [Row<'_>; 11] = [
        ("check", GOOD, &[], (0, true)),
        ("check", VIOLATED, &[], (1, true)),
        ("check", OPEN, &[], (7, true)),
        ("check", OPEN, &["--allow", "N0931"], (0, true)),
        ("check", OPEN, &["--deny", "N0931"], (1, true)),
        ("compile", GOOD, &[], (0, false)),
        ("compile", VIOLATED, &[], (1, true)),
        ("compile", OPEN, &[], (7, true)),
        ("compile", OPEN, &["--allow", "N0931"], (0, false)),
        ("diff", GOOD, &[VIOLATED], (1, true)),
        // What was expected before stops nobody from mending it.
        ("diff", VIOLATED, &[GOOD], (0, false)),
    ];
    for (verb, input, more, expected) in table {
        assert_eq!(form(verb, input, more), expected, "{verb} {input} {more:?}");
    }
}

#[test]
fn expectations_come_from_beside_the_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.yaml");
    let rule = |spec: &str| {
        let head = "apiVersion: northc.io/v1alpha1\nkind: Expectation\nmetadata: {name: rule}\n";
        std::fs::write(&path, format!("{head}spec: {spec}\n")).expect("written");
        let path = path.to_str().expect("text");
        reach("fixtures/harvester/vpc-1", &["--expect", path])
    };
    // The guests are told no route, and may give themselves one.
    let ran = rule("{from: vm1-vswitch1, to: vm1-vswitch2, expect: reachable}");
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("is no-route for"), "{}", ran.out);
    assert_eq!(rule("{from: vm1-vswitch1, to: vm1-vswitch2, expect: reachable, routed: true}").code, 0);
    assert_eq!(rule("{from: vm1-vswitch1, to: vm1-vswitch2, expect: unreachable}").code, 1);
    assert_eq!(rule("{from: vm1-vswitch1, to: vm2-vswitch1, expect: reachable}").code, 0);
    // Nothing is outside: nothing comes from there, and nothing gets there.
    assert_eq!(rule("{from: internet, to: '*', expect: unreachable}").code, 0);
    assert_eq!(rule("{from: '*', to: internet, expect: reachable}").code, 1);
    assert_eq!(rule("{from: vswitch1-subnet, to: vswitch1-subnet, expect: only}").code, 1);
    assert_eq!(rule("{from: vpc-1, to: 172.20.10.0/24, expect: only}").code, 0);
    let ran =
        rule("{from: vpc-1, to: default/vm1-vswitch1, services: icmp, expect: reachable, routed: true}");
    assert_eq!(ran.code, 0, "{}", ran.out);
}

#[test]
fn forms_that_an_answer_has_not_are_refused() {
    for (more, known) in [
        (&["web-1", "db-1", "--format", "junit"][..], "text, json, markdown"),
        (&["--all", "--format", "sarif"], "text, json, markdown, dot, svg"),
        (&["--expect", "--format", "svg"], "text, json, markdown, sarif, github, junit"),
    ] {
        let ran = reach(GOOD, more);
        assert_eq!(ran.code, 64, "{more:?}");
        assert!(ran.err.contains(known), "{more:?}: {}", ran.err);
    }
}
