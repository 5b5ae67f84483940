//! `northc reach` as people call it: what it says, as text and as JSON, and how it exits.

use insta::assert_snapshot;

use crate::cases::{Ran, northc};

fn reach(args: &[&str]) -> Ran {
    northc(["reach"].into_iter().chain(args.iter().copied()))
}

/// What is said on either side, and the exit code.
fn said(args: &[&str]) -> String {
    let Ran { code, out, err } = reach(args);
    format!("$ northc reach {}\n{err}{out}[exit {code}]\n", args.join(" "))
}

#[test]
fn a_pair_is_explained() {
    let drop = "fixtures/policies/drop";
    let vpc = "fixtures/harvester/vpc-1";
    assert_snapshot!("reachable", said(&["-f", drop, "app-1", "db-1", "tcp/5432"]));
    assert_snapshot!("blocked", said(&["-f", "fixtures/acls/east-west", "a", "c", "tcp/443"]));
    assert_snapshot!("one_way", said(&["-f", drop, "db-1", "web-1", "icmp"]));
    assert_snapshot!("no_route", said(&["-f", vpc, "vm1-vswitch1", "vm1-vswitch2"]));
    assert_snapshot!("routed", said(&["-f", vpc, "--routed", "vm1-vswitch1", "vm1-vswitch2", "icmp"]));
    assert_snapshot!("mixed", said(&["-f", "fixtures/acls/reject", "a", "b"]));
    assert_snapshot!("next_hops", said(&["-f", "fixtures/policies/reroute-ecmp", "app-1", "db-1", "tcp/80"]));
    assert_snapshot!("json", said(&["-f", drop, "web-1", "db-1", "tcp/22", "--format", "json"]));
}

#[test]
fn translations_are_followed_there_and_back() {
    let floating = "fixtures/lab/floating-ip";
    let outgoing = "fixtures/outside/nat-outgoing";
    assert_snapshot!("floating_in", said(&["-f", floating, "internet", "a", "tcp/443"]));
    assert_snapshot!("floating_out", said(&["-f", floating, "--routed", "b", "internet", "tcp/443"]));
    assert_snapshot!("floating_around", said(&["-f", floating, "--routed", "b", "203.0.113.50", "tcp/80"]));
    assert_snapshot!("private_in", said(&["-f", outgoing, "--routed", "internet", "web-1", "tcp/443"]));
    assert_snapshot!("private_out", said(&["-f", outgoing, "--routed", "db-1", "8.8.8.8", "tcp/443"]));
    assert_snapshot!("floating_exposed", said(&["-f", floating, "--routed", "--exposed", "tcp/443"]));
    let json = reach(&["-f", floating, "internet", "203.0.113.50", "tcp/443", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    let steps = &document["pairs"][0]["findings"][0]["courses"][0]["request"]["steps"];
    let translated = steps.as_array().expect("steps").iter().find(|step| !step["before"].is_null());
    let translated = translated.expect("a translation");
    let ends = [translated["before"]["dst"].as_str(), translated["after"]["dst"].as_str()];
    assert_eq!(ends, [Some("203.0.113.50"), Some("10.0.1.2")]);
}

#[test]
fn many_are_grouped() {
    assert_snapshot!("all", said(&["-f", "fixtures/acls/east-west", "--all"]));
    assert_snapshot!("all_json", said(&["-f", "fixtures/policies/drop", "--all", "--format", "json"]));
    let names_each_once = reach(&["-f", "fixtures/acls/east-west", "--all", "--format", "json"]).out;
    for name in ["a", "b", "c", "d"] {
        assert_eq!(names_each_once.matches(&format!("\"{name}\"")).count(), 1, "{name}");
    }
    assert_snapshot!("from_a_subnet", said(&["-f", "fixtures/acls/east-west", "--from", "web", "icmp"]));
    assert_snapshot!("to_one", said(&["-f", "fixtures/policies/drop", "--to", "db-1"]));
    assert_snapshot!("exposed", said(&["-f", "fixtures/underlay/logical-gateway", "--exposed"]));
    assert_snapshot!("not_exposed", said(&["-f", "fixtures/policies/drop", "--exposed"]));
}

/// A case whose first rule by hand asks for a mark, which nobody follows.
pub(super) fn marked(dir: &std::path::Path) -> String {
    let text = std::fs::read_to_string("fixtures/acls/by-port/network.yaml").expect("a fixture");
    let marked = text.replacen("match: ", "match: pkt.mark == 7 && ", 1);
    assert_ne!(text, marked);
    let file = dir.join("network.yaml");
    std::fs::write(&file, marked).expect("a file");
    file.to_str().expect("text").to_owned()
}

#[test]
fn what_can_not_be_said_has_an_exit_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = marked(dir.path());
    let ran = reach(&["-f", &file, "--all"]);
    assert_eq!(ran.code, 7, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("undetermined"), "{}", ran.out);
    let document: serde_json::Value =
        serde_json::from_str(&reach(&["-f", &file, "--all", "--format", "json"]).out).expect("JSON");
    assert_eq!(document["exit"], 7);
}

#[test]
fn bad_questions_are_refused() {
    let f = "fixtures/policies/drop";
    let table: [(&[&str], u8, &str); 16] = [
        (&["-f", f, "app-1", "db-2"], 64, "did you mean `db-1`?"),
        (&["-f", f, "app-1", "entirely-else"], 64, "there is no machine, subnet or VPC `entirely-else`"),
        (&[f, "app-1", "db-1"], 64, "stands behind -f"),
        (&["-f", f, "app-1"], 64, "say who"),
        (&["-f", f], 64, "say who"),
        (&["-f", f, "app-1", "db-1", "tpc/22"], 64, "none of tcp, udp, sctp, icmp, any"),
        (&["-f", f, "app-1", "db-1", "tcp/70000"], 64, "`70000` is no port"),
        (&["-f", f, "app-1", "db-1", "tcp/90-80"], 64, "90 is above 80"),
        (&["-f", f, "app-1", "db-1", "icmp/8"], 64, "icmp has no ports"),
        (&["-f", f, "app-1", "app-1"], 64, "the same machine"),
        (&["-f", f, "app-1", "192.0.2.1"], 64, "no port has the address 192.0.2.1"),
        (&["-f", f, "--all", "--exposed"], 64, "cannot be used with"),
        (&["-f", f, "--all", "app-1", "db-1"], 64, "`db-1` is one word too many"),
        (&["-f", "fixtures/policies", "a", "b"], 1, "error["),
        (&["-f", "nowhere", "a", "b"], 1, "can't read"),
        (&["-f", f, "app-1", "db-1", "--db", "smoke:signals"], 64, "cannot be used with"),
    ];
    for (args, code, part) in table {
        let ran = reach(args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{args:?}");
    }
}

#[test]
fn json_says_what_it_is() {
    let ran = reach(&["-f", "fixtures/policies/drop", "app-1", "db-1", "tcp/22", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(document["format_version"], "1.0");
    assert_eq!(document["kind"], "northc.reach.pairs");
    assert_eq!((document["pairs"][0]["verdict"].as_str(), ran.code), (Some("reachable"), 0));
}

#[test]
fn every_form_is_written_or_said_not_to_be_there() {
    let net = "fixtures/policies/drop";
    let pair: &[&str] = &["web-1", "db-1", "tcp/22"];
    let asked: [&[&str]; 6] =
        [pair, &["--all"], &["--from", "web-1"], &["--to", "db-1"], &["--exposed"], &["--expect"]];
    for (at, asked) in asked.iter().enumerate() {
        for form in ["text", "json", "markdown", "sarif", "github", "junit", "dot", "svg"] {
            let ran = reach(&[&["-f", net, "--format", form], *asked].concat());
            let is_there = match form {
                "text" | "json" | "markdown" => true,
                "sarif" | "github" | "junit" => at == 5,
                _ => (1..5).contains(&at),
            };
            let is_form = match form {
                "json" | "sarif" => serde_json::from_str::<serde_json::Value>(&ran.out).is_ok(),
                "junit" => ran.out.starts_with("<?xml"),
                "dot" => ran.out.starts_with("digraph"),
                "svg" => ran.out.contains("<svg"),
                _ => true,
            };
            let is_refused =
                ran.code == 64 && ran.err.contains(&format!("has no `{form}`; it has text, json"));
            let is_good = if is_there { ran.code <= 1 && is_form } else { is_refused && ran.out.is_empty() };
            assert!(is_good, "{asked:?} as {form}: exit {}\n{}{}", ran.code, ran.err, ran.out);
        }
    }
}
