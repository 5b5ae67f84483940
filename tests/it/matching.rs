//! `nb::matching` against OVN itself: what we accept, `ovn-trace` loads, and nothing else.
//!
//! `NORTHC_MATCHES=20000` asks for more expressions than the few thousand of every day.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use northc::nb::matching::{self, ProblemKind, ReferenceKind, SymbolSet};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::expressions::{self, Dice};
use crate::ovn::{self, Scratch};

/// What the expressions refer to: address sets by the width of what they hold, and a port group.
const ADDRESS_SETS: &[(&str, u32, &[&str])] = &[
    ("four", 32, &["10.0.0.1", "10.0.0.2"]),
    ("net4", 32, &["10.1.0.0/16", "10.2.0.0/16"]),
    ("six", 128, &["fd00::1", "fd00::2"]),
    ("macs", 48, &["02:00:00:00:00:01"]),
];
const PORT_GROUP: &str = "web";
const TUNNEL_KEY: u32 = 1;

#[test]
fn ovn_accepts_what_we_accept() {
    if !ovn::is_present() {
        return;
    }
    let version = ovn::version();
    let symbols = symbols_of(&version);
    let n_random = std::env::var("NORTHC_MATCHES").ok().and_then(|n| n.parse().ok()).unwrap_or(2500);
    let mut dice = Dice::new(0x6e6f_7274_6863);
    let mut texts = expressions::exhaustive();
    texts.extend((0..n_random).map(|_| expressions::random(&mut dice, symbols)));
    // OVN puts a text with a template variable in it together anew, on each chassis in its own way.
    texts.retain(|text| !text.contains('^'));

    let refusals = refusals(&texts);
    let mut disagreements = Vec::new();
    let (mut n_accepted, mut n_stricter) = (0, 0);
    for (idx, text) in texts.iter().enumerate() {
        let (is_accepted, is_stricter) = judge(text, symbols);
        n_accepted += usize::from(is_accepted);
        n_stricter += usize::from(is_stricter);
        let refusal = refusals.get(&idx);
        if is_accepted == refusal.is_some() && !is_stricter {
            let theirs = refusal.map_or("accepts it", String::as_str);
            let ours = matching::parse(text, symbols).problems;
            disagreements.push(format!("{text:?}\n  OVN: {theirs}\n  northc: {ours:?}"));
        }
    }
    let n = texts.len();
    let tally =
        format!("OVN {version}: {n} expressions, {n_accepted} accepted, {n_stricter} refused by us alone");
    let _ = writeln!(std::io::stderr(), "{tally}");
    let shown = disagreements.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(disagreements.is_empty(), "{} disagreements:\n{shown}", disagreements.len());
}

fn symbols_of(version: &str) -> SymbolSet {
    match version.split('.').next() {
        Some("23") => SymbolSet::V23_03,
        Some("25") => SymbolSet::V25_03,
        Some("26") => SymbolSet::V26_03,
        _ => panic!("no symbols are known for OVN {version}"),
    }
}

/// Whether we accept `text` together with what it refers to, and whether we refuse what OVN accepts.
fn judge(text: &str, symbols: SymbolSet) -> (bool, bool) {
    let parsed = matching::parse(text, symbols);
    let mut errors = parsed.problems.iter().filter(|problem| problem.is_error()).peekable();
    let is_stricter = errors.peek().is_some() && errors.all(|problem| problem.kind.is_stricter_than_ovn());
    let Some(expr) = parsed.expr else { return (false, is_stricter) };
    let is_ordered = parsed.problems.iter().any(|problem| problem.kind == ProblemKind::OrderedSet);
    let resolves = |reference: &matching::Reference<'_>| match reference.kind {
        ReferenceKind::PortGroup => reference.name == PORT_GROUP,
        ReferenceKind::Port | ReferenceKind::ResidentPort => true,
        ReferenceKind::AddressSet => ADDRESS_SETS.iter().any(|(name, width, _)| {
            let is_wide_enough = reference.field.is_some_and(|field| *width <= field.width);
            *name == reference.name && is_wide_enough && !(is_ordered && *name == "net4")
        }),
    };
    (expr.references().iter().all(resolves), false)
}

/// Why OVN refuses which of `texts`.
fn refusals(texts: &[String]) -> BTreeMap<usize, String> {
    let mut scratch = Scratch::new();
    let database = scratch.database("ovn-sb");
    database.transact("OVN_Southbound", surroundings());
    for (start, chunk) in texts.chunks(2000).enumerate() {
        let flow = |(offset, text): (usize, &String)| flow(start * 2000 + offset, text);
        database.transact("OVN_Southbound", chunk.iter().enumerate().map(flow).collect());
    }
    // `ovn-trace` reads the flows as soon as it is connected, and logs one complaint a second unless
    // it is told otherwise before that.
    let remote = format!("--db=unix:{}", database.socket.display());
    let mut trace = database.while_stopped(|| {
        let trace = scratch.daemon("ovn-trace", &[remote]);
        let control = scratch.path("ovn-trace.ctl");
        ovn::wait_for("ovn-trace's control socket", || control.exists());
        ovn::call(&control, "vlog/disable-rate-limit", &json!([]));
        trace
    });
    assert!(trace.wait().is_ok_and(|status| status.success()), "ovn-trace reads the flows");
    let log = fs::read(scratch.path("ovn-trace.log")).expect("ovn-trace keeps a log");
    let log = String::from_utf8_lossy(&log);
    assert!(!log.contains("match annotation failed"), "every parsed match can be expanded");
    log.split("|WARN|/*").skip(1).filter_map(complaint).collect()
}

/// The number of the flow that a complaint is about, and why; other warnings have no such number.
fn complaint(text: &str) -> Option<(usize, String)> {
    let (idx, rest) = text.split_once("*/")?;
    let why = rest.rsplit_once(": parsing expression failed").map_or(rest, |(_, why)| why);
    Some((idx.parse().ok()?, why.lines().next().unwrap_or_default().to_owned()))
}

fn surroundings() -> Vec<Value> {
    let set = |values: &[&str]| json!(["set", values]);
    let insert = |table: &str, row: Value| json!({"op": "insert", "table": table, "row": row});
    let mut operations = vec![
        json!({"op": "insert", "table": "Datapath_Binding", "uuid": DATAPATH, "row": {"tunnel_key": TUNNEL_KEY}}),
        insert(
            "Port_Group",
            json!({"name": format!("{TUNNEL_KEY}_{PORT_GROUP}"), "ports": set(&["vm1", "vm2"])}),
        ),
    ];
    operations.extend(ADDRESS_SETS.iter().map(|(name, _, addresses)| {
        insert("Address_Set", json!({"name": name, "addresses": set(addresses)}))
    }));
    operations
}

const DATAPATH: &str = "8f9dbb1e-2a4f-4a5e-9a53-0d6c7f0a0001";

/// A flow with `text` as its match, after a comment that says which one it is.
fn flow(idx: usize, text: &str) -> Value {
    let row = json!({
        "logical_datapath": ["uuid", DATAPATH],
        "pipeline": "ingress",
        "table_id": 0,
        "priority": idx % 65536,
        "match": format!("/*{idx}*/{text}"),
        "actions": "next;",
    });
    json!({"op": "insert", "table": "Logical_Flow", "row": row})
}

proptest! {
    #[test]
    fn printing_keeps_the_meaning(seed: u64, version in 0..SymbolSet::ALL.len()) {
        let symbols = SymbolSet::ALL[version];
        let text = expressions::random(&mut Dice::new(seed), symbols);
        let Some(expr) = matching::parse(&text, symbols).expr else { return Ok(()) };
        for printed in [expr.to_string(), matching::one_line(&text)] {
            let again = matching::parse(&printed, symbols);
            prop_assert_eq!(again.expr.as_ref(), Some(&expr), "{} became {}", text, printed);
        }
        let printed = expr.to_string();
        let again = matching::parse(&printed, symbols).expr.map(|expr| expr.to_string());
        prop_assert_eq!(again, Some(printed));
    }

    #[test]
    fn no_text_is_too_strange(text: String) {
        for problem in matching::parse(&text, SymbolSet::V25_03).problems {
            prop_assert!(text.get(problem.range).is_some());
        }
        matching::one_line(&text);
    }
}
