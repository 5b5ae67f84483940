//! What OVN dies of or takes without a word, asked for by every door: no fixture's rows hold it, none with one thing
//! changed, and none with another text in place of one of its texts. A real northd lives on what compiles.

use std::collections::BTreeSet;

use northc::nb::{Atom, Datum, Rows, Table};
use serde_json::Value;

use super::{MUTATED, hostile, objects, rows};
use crate::cases::{self, Case};
use crate::traps::rows::{RULES, faults};

/// Texts that ask for trouble where they are taken: keys that don't fit, hops and names that are none, two addresses in
/// place of one, options on top of others, the other family, the whole world.
const TEXTS: [&str; 12] = [
    "",
    "discard",
    "40000",
    "0",
    "0.0.0.0/0",
    "::/0",
    "203.0.113.9 203.0.113.10",
    "10.0.1.0/24,fd00::/64",
    "x,requested-tnl-key=40000,lb_force_snat_ip=10.0.0.1 10.0.0.2",
    "requested-tnl-key",
    "ip4.src == $nobody || outport == @nobody",
    "a\u{0}b",
];

#[test]
fn no_single_change_of_a_fixture_is_a_trap() {
    for mutated in MUTATED.iter() {
        // A fifth of them: a second's work in place of several.
        let with = mutated.wanted.iter().step_by(5).map(|(what, rows)| (what.as_str(), rows));
        for (what, rows) in with.chain([("as it is", &mutated.there)]) {
            let faults = faults(rows);
            assert!(faults.is_empty(), "{}, {what}:\n{}", mutated.case, faults.join("\n"));
        }
    }
}

/// What a case becomes with these texts in place of one of its own; each text of it gets two of them.
struct Opened {
    case: String,
    n_tried: usize,
    taken: Vec<(String, Rows)>,
}

impl Opened {
    fn new(case: &Case) -> Opened {
        let objects = Value::Array(objects(case));
        let mut texts = BTreeSet::new();
        hostile::collect(&objects, &mut texts);
        let (mut n_tried, mut taken) = (0, Vec::new());
        for (nth, text) in texts.iter().enumerate() {
            for more in 0..2 {
                let other = TEXTS[(nth * 5 + more * 4 + case.name.len()) % TEXTS.len()];
                let mut objects = objects.clone();
                hostile::replace(&mut objects, text, other);
                let Value::Array(objects) = objects else { unreachable!("it was one") };
                n_tried += 1;
                taken.extend(rows(&objects).map(|rows| (format!("`{other:?}` for `{text}`"), rows)));
            }
        }
        Opened { case: case.name.clone(), n_tried, taken }
    }
}

#[test]
fn no_door_leads_to_a_trap() {
    let cases: Vec<Case> = cases::all().into_iter().filter(Case::is_good).collect();
    let opened = std::thread::scope(|scope| {
        let running: Vec<_> = cases.iter().map(|case| scope.spawn(|| Opened::new(case))).collect();
        running.into_iter().map(|thread| thread.join().expect("it holds")).collect::<Vec<_>>()
    });
    let mut n_taken = 0;
    for Opened { case, taken, .. } in &opened {
        for (what, rows) in taken {
            let faults = faults(rows);
            assert!(faults.is_empty(), "{case}, {what}:\n{}", faults.join("\n"));
            n_taken += 1;
        }
    }
    let n_tried: usize = opened.iter().map(|opened| opened.n_tried).sum();
    assert!(n_tried > 3_000 && n_taken > 200, "{n_tried} tried, {n_taken} taken");
    #[cfg(feature = "live")]
    lives(opened.iter().filter_map(|opened| Some((&opened.case, opened.taken.first()?))));
}

/// One of what compiles of each case goes to a northd, one after the other, and it must still answer after each.
#[cfg(feature = "live")]
fn lives<'o>(taken: impl Iterator<Item = (&'o String, &'o (String, Rows))>) {
    use crate::live::{block_on, bring, connect, options};
    if !crate::ovn::is_present() {
        return;
    }
    let stack = crate::stack::Stack::with_northd();
    let session = connect(&stack.remote());
    let mut n_fed = 0;
    for (case, (what, rows)) in taken {
        let done = block_on(bring(&session, rows, super::OWNER, &options(5000, 500), &mut Vec::new()));
        done.unwrap_or_else(|failure| panic!("{case}, {what}: {failure:?}"));
        stack.settles().unwrap_or_else(|e| panic!("{case}, {what}: {e}"));
        n_fed += 1;
    }
    let tally = format!("ovn-northd lives on {n_fed} networks of hostile input\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), tally.as_bytes());
}

/// A rule, and a column that breaks it where it holds this in all rows of a table.
type Breach = (&'static str, Table, &'static str, Datum);

fn breaches() -> [Breach; 18] {
    let text = |text: &str| Datum::set([Atom::Text(text.into())]);
    let number = |number| Datum::set([Atom::Int(number)]);
    let pair = |name: &str, value: &str| Datum::map([(Atom::Text(name.into()), Atom::Text(value.into()))]);
    [
        ("schema", Table::LogicalSwitch, "ports", Datum::set([])),
        ("texts", Table::LogicalSwitch, "name", text("a\u{0}b")),
        ("options", Table::LogicalSwitchPort, "options", pair("requested-tnl-key", "40000")),
        ("options", Table::LogicalRouter, "options", pair("lb_force_snat_ip", "10.0.0.1 10.0.0.2")),
        ("routes", Table::LogicalRouterStaticRoute, "nexthop", text("")),
        ("policies", Table::LogicalRouterPolicy, "priority", number(0)),
        ("watched", Table::Bfd, "logical_port", text("nobody")),
        ("links", Table::LogicalRouterPort, "peer", text("nobody")),
        ("segments", Table::LogicalSwitchPort, "addresses", text("02:00:00:00:00:01 10.0.0.2")),
        ("kinds-of-ports", Table::LogicalSwitchPort, "type", text("localnet")),
        ("gateways", Table::HaChassis, "priority", number(7)),
        ("translations", Table::Nat, "external_ip", text("203.0.113.0/24")),
        ("public", Table::Nat, "external_ip", text("203.0.113.99")),
        ("balancers", Table::LoadBalancer, "vips", pair("10.96.0.1:80", "10.0.0.1")),
        ("matches", Table::Acl, "match", text("ip4.dts == 10.0.0.1")),
        ("rules", Table::Acl, "match", text("ip4")),
        ("sets", Table::AddressSet, "addresses", text("10.0.0.0/8,fd00::/8")),
        ("guests", Table::DhcpOptions, "cidr", text("192.0.2.0/24")),
    ]
}

#[test]
fn every_trap_is_seen() {
    let seen = |(rule, table, column, datum): &Breach| {
        MUTATED.iter().any(|mutated| {
            let mut rows = mutated.there.clone();
            let of_table = rows.iter_mut().filter(|(key, _)| key.table == *table);
            of_table.for_each(|(_, row)| *row.get_mut(column).expect("a column") = datum.clone());
            faults_of(rule, &rows) > 0
        })
    };
    let breaches = breaches();
    let unseen: Vec<&Breach> = breaches.iter().filter(|breach| !seen(breach)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
    assert!(RULES.iter().all(|(name, _)| breaches.iter().any(|(rule, ..)| rule == name)));
}

fn faults_of(rule: &str, rows: &Rows) -> usize {
    let mut found = Vec::new();
    let (_, look) = RULES.iter().find(|(name, _)| *name == rule).expect("a rule");
    look(rows, &mut found);
    found.len()
}
