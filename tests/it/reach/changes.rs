//! What a change opens and closes: as people are told, and against single packets on either side.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use northc::nb::actual::Actual;
use northc::nb::{Acl, LogicalRouterStaticRoute, Rows, Table};
use northc::plan::as_if_applied;
use northc::reach::change::{Change, Moment, TooMany, Turn, compare};
use northc::reach::guest::ByHand;
use northc::reach::header::{Field, Header};
use northc::reach::judge::{Finding, Judge, Party, Verdict};
use northc::reach::network::Network;
use northc::reach::parties::{everybody, name_of};
use northc::reach::set::{Set, Sets};
use northc::span::SourceMap;
use northc::target::Target;

use super::random::World;
use super::translations::alter;
use crate::cases::{Ran, northc};
use crate::expressions::Dice;

fn diff(old: &str, new: &str, more: &[&str]) -> Ran {
    let (old, new) = (format!("fixtures/{old}"), format!("fixtures/{new}"));
    let quiet = ["--allow", "N0320", "--allow", "N0508"];
    northc(["diff", &old, &new].into_iter().chain(quiet).chain(more.iter().copied()))
}

/// What it says behind the rows.
fn opening(ran: &Ran) -> String {
    let (_, opening) = ran.out.split_once("remove.\n").unwrap_or(("", &ran.out));
    format!("{}{opening}[exit {}]\n", ran.err, ran.code)
}

#[test]
fn what_opens_and_closes_is_told() {
    let (one, both) = ("harvester/private-both-one-allows", "harvester/private-both-allow");
    assert_snapshot!("a_rule_opens", opening(&diff(one, both, &[])));
    assert_snapshot!("a_rule_closes", opening(&diff(both, one, &[])));
    let (without, with) = ("harvester/peering-one-route", "harvester/peering");
    assert_snapshot!("a_route_opens", opening(&diff(without, with, &[])));
    let (without, with) = ("harvester/external", "harvester/nat-outgoing");
    assert_snapshot!("a_translation_opens", opening(&diff(without, with, &[])));
    let (few, more) = ("harvester/vpc-1", "harvester/diagram");
    assert_snapshot!("machines_come", opening(&diff(few, more, &[])));
    assert_snapshot!("markdown", opening(&diff(one, both, &["--format", "markdown"])));
    let document: serde_json::Value =
        serde_json::from_str(&diff(one, both, &["--format", "json"]).out).expect("JSON");
    assert_snapshot!("reach_json", format!("{:#}", document["reach"]));
}

#[test]
fn a_change_may_fail() {
    let (one, both) = ("harvester/private-both-one-allows", "harvester/private-both-allow");
    let table: [(&str, &str, &[&str], u8); 8] = [
        (one, both, &["--fail-on", "opens"], 1),
        (one, both, &["--fail-on", "closes"], 0),
        (both, one, &["--fail-on", "opens"], 0),
        (both, one, &["--fail-on", "opens,closes", "--detailed-exitcode"], 1),
        (both, both, &["--fail-on", "opens,closes"], 0),
        (one, both, &["--detailed-exitcode"], 2),
        (one, both, &["--no-reach", "--fail-on", "opens"], 64),
        (one, both, &["--no-reach", "--reach"], 64),
    ];
    for (old, new, more, code) in table {
        let ran = diff(old, new, more);
        assert_eq!(ran.code, code, "{more:?}: {}{}", ran.err, ran.out);
    }
    assert_eq!(opening(&diff(one, both, &["--no-reach"])), "[exit 0]\n");
}

#[test]
fn every_form_of_a_change_and_of_a_proof_is_written_or_said_not_to_be_there() {
    let (one, both) = ("harvester/private-both-one-allows", "harvester/private-both-allow");
    let is_json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    let words = diff(one, both, &[]).out;
    for form in ["text", "json", "markdown", "sarif", "github", "junit", "dot", "svg"] {
        let change = diff(one, both, &["--format", form]);
        let proof = northc(["verify", "fixtures/policies/drop", "--format", form]);
        if ["junit", "dot", "svg"].contains(&form) {
            for ran in [change, proof] {
                assert!(ran.code == 64 && ran.out.is_empty(), "{form}: {}", ran.out);
                assert!(
                    ran.err.contains("[possible values: text, json, sarif, github, markdown]"),
                    "{}",
                    ran.err
                );
            }
            continue;
        }
        assert_eq!([change.code, proof.code], [0, 0], "{form}: {}{}", change.err, proof.err);
        // What is code scanning's are the problems; the change is told beside them.
        let is_good = match form {
            "json" => is_json(&change.out) && is_json(&proof.out),
            "sarif" => change.out == words && is_json(&change.err) && is_json(&proof.out),
            "markdown" => change.out.contains("```") || change.out.contains("**"),
            _ => change.out == words,
        };
        assert!(is_good, "{form}: {}{}{}", change.out, change.err, proof.out);
    }
}

#[test]
fn whether_a_change_opens_anything_may_be_unknown() {
    let dir = tempfile::tempdir().expect("a directory");
    let (old, new) = ("fixtures/acls/by-port", super::verb::marked(dir.path()));
    let plan =
        |more: &[&str]| northc(["plan", "--from", old, "--to", &new].into_iter().chain(more.iter().copied()));
    for (more, code) in [(&["--fail-on", "opens"][..], 7), (&["--fail-on", "closes"], 7), (&[], 0)] {
        let ran = plan(more);
        assert_eq!(ran.code, code, "{more:?}: {}{}", ran.err, ran.out);
    }
}

/// A network and the same with a rule or a route turned into another.
fn twins(seed: u64) -> (Rows, Rows) {
    let dice = &mut Dice::new(seed);
    let rows = World::new(dice).rows;
    let mut other = rows.clone();
    let (kept, action) = (dice.below(3), ["drop", "allow-related", "allow-stateless"][dice.below(3)]);
    let mut n = 0;
    alter(&mut other, Table::Acl, |acl: &mut Acl| {
        n += 1;
        if n % 3 == kept {
            acl.action = action.to_owned();
        }
    });
    let mut n = 0;
    alter(&mut other, Table::LogicalRouterStaticRoute, |route: &mut LogicalRouterStaticRoute| {
        n += 1;
        if n % 3 == kept {
            route.nexthop = "discard".to_owned();
        }
    });
    (rows, other)
}

pub(super) fn change(before: &Actual, after: &Actual) -> Change {
    change_within(before, after, usize::MAX).expect("no limit")
}

/// With no more than so many pairs of classes.
pub(super) fn change_within(before: &Actual, after: &Actual, pairs_max: usize) -> Result<Change, TooMany> {
    let sources = SourceMap::new();
    let networks = [before, after].map(|rows| Network::of_actual(rows, Target::OLDEST));
    let before = Moment { rows: before, network: &networks[0], sources: &sources };
    let after = Moment { rows: after, network: &networks[1], sources: &sources };
    compare(&before, &after, pairs_max)
}

/// Turn, sender, receiver.
fn pairs(change: &Change, flip: bool) -> BTreeSet<(Turn, String, String)> {
    let turn = |turn| match (flip, turn) {
        (true, Turn::Opens) => Turn::Closes,
        (true, Turn::Closes) => Turn::Opens,
        (_, turn) => turn,
    };
    let pairs = change.shifts.iter().flat_map(|shift| {
        let to = |from: &String| {
            let others = shift.to.iter().filter(|to| *to != from);
            let pairs = others.map(|to| (turn(shift.turn), from.clone(), to.clone()));
            pairs.collect::<Vec<_>>()
        };
        shift.from.iter().flat_map(to).collect::<Vec<_>>()
    });
    pairs.collect()
}

/// How far a packet gets: nowhere, there, there and back; `None` if it can't be said.
fn rank(findings: &[Finding]) -> Option<u8> {
    match findings {
        [] => Some(0),
        [finding] if finding.verdict == Verdict::Undetermined => None,
        [finding] if finding.verdict == Verdict::Reachable => Some(2),
        [finding] => Some(u8::from(finding.may_arrive())),
        _ => panic!("one packet has one verdict"),
    }
}

fn turn(before: Option<u8>, after: Option<u8>) -> Option<Turn> {
    match (before, after) {
        (Some(before), Some(after)) if before < after => Some(Turn::Opens),
        (Some(before), Some(after)) if before > after => Some(Turn::Closes),
        (Some(_), Some(_)) | (None, None) => None,
        (Some(_), None) | (None, Some(_)) => Some(Turn::Unclear),
    }
}

fn one(sets: &Sets, header: &Header) -> Set {
    Field::ALL.into_iter().fold(Set::ALL, |set, field| sets.and(set, sets.value(field, header[field])))
}

#[test]
fn packets_turn_as_it_says() {
    let (mut n_turned, mut n_not) = (0, 0);
    for seed in 0..30 {
        let (old, new) = twins(seed);
        let [old, new] = [old, new].map(|rows| as_if_applied(&rows, "random"));
        let found = change(&old, &new);
        assert_eq!(pairs(&found, false), pairs(&change(&new, &old), true), "seed {seed}");
        assert_eq!(change(&new, &new), Change::default(), "seed {seed}");
        let networks = [&old, &new].map(|rows| Network::of_actual(rows, Target::OLDEST));
        let sets = Sets::default();
        let mut judges = [0, 1]
            .map(|at: usize| Judge::new(&networks[at], &sets, ByHand { all: true, ..ByHand::default() }));
        let parties = everybody(&judges[0]);
        let name = |party: &Party| name_of(&networks[0], &party.place);
        for (from, to) in parties.iter().flat_map(|from| parties.iter().map(move |to| (from, to))) {
            let told: BTreeSet<Turn> = pairs(&found, false)
                .into_iter()
                .filter(|(_, a, b)| *a == name(from) && *b == name(to))
                .map(|(turn, ..)| turn)
                .collect();
            let between = sets.and(from.sources, to.destinations);
            let shown = found.shifts.iter().filter(|it| it.from[0] == name(from) && it.to[0] == name(to));
            let mut tried: Vec<(Option<Turn>, Header)> = [(6, 443), (6, 22), (17, 53)]
                .into_iter()
                .filter_map(|(proto, port)| {
                    let wishes = [(Field::IpProto, proto), (Field::TpDst, port), (Field::TpSrc, 40_000)];
                    Some((None, sets.pick(between, &wishes)?))
                })
                .collect();
            tried.extend(shown.map(|shift| (Some(shift.turn), shift.witness)));
            for (wanted, header) in tried.iter().filter(|_| from != to) {
                let set = one(&sets, header);
                let [before, after] = judges.each_mut().map(|judge| rank(&judge.explain(from, to, set)));
                let turn = turn(before, after);
                assert!(turn.is_none_or(|turn| told.contains(&turn)), "seed {seed}: {header} {turn:?}");
                assert!(wanted.is_none() || *wanted == turn, "seed {seed}: {header} {turn:?} {wanted:?}");
                *if turn.is_some() { &mut n_turned } else { &mut n_not } += 1;
            }
        }
    }
    assert!(n_turned > 80 && n_not > 500, "{n_turned} {n_not}");
}
