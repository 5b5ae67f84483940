//! Rows broken one at a time: what changes who reaches whom is found by `verify`, what changes nothing is not.
//!
//! | kind | what is done |
//! |---|---|
//! | delete | a row goes |
//! | action, tier, direction | of an ACL, a policy, a translation, a route: another one |
//! | rank | a priority is one more or less, or above or below all others |
//! | prefix | a network is one bit larger |
//! | swap | source and destination change places |
//! | member | a port leaves a group, an address a set, a port or a router |
//! | address, number | another one, the next |
//! | clear | an option, a setting, a column is empty |
//!
//! Whether a break changes anything is seen without `verify`: by the verdicts of `reach` on everybody to everybody,
//! before and after. A few of each kind are tried, other numbers of them as `NORTHC_MUTANTS` says.

use std::collections::BTreeMap;
use std::fmt::Write;

use northc::check::Checked;
use northc::nb::{Acl, Atom, Datum, Key, Kind, Ref, Row, Rows, Table};
use northc::reach::guest::ByHand;
use northc::reach::judge::{Judge, Verdict, service};
use northc::reach::network::Network;
use northc::reach::parties::{INTERNET, everybody, name_of, parties};
use northc::reach::set::{Set, Sets};
use northc::target::Target;

use super::{compared, compiled};
use crate::cases;
use crate::expressions::Dice;

/// How many of each kind are tried.
const SAMPLE: usize = 8;
const SEED: u64 = 0x6e6f_7274_6863;

/// A change of one row: which, what, and what it is then; without one it is gone.
pub(super) struct Mutant {
    pub(super) kind: &'static str,
    pub(super) key: Key,
    pub(super) what: String,
    becomes: Option<Row>,
}

/// Rows with one of them changed.
pub(super) fn changed(rows: &Rows, mutant: &Mutant) -> Rows {
    let mut made = Rows::new();
    for (key, row) in rows.iter() {
        let row = if *key == mutant.key { mutant.becomes.clone() } else { Some(row.clone()) };
        if let Some(row) = row {
            made.insert(key.clone(), row, rows.origin(key));
        }
    }
    made
}

/// Everything that is broken in a row.
pub(super) fn mutants(key: &Key, row: &Row) -> Vec<Mutant> {
    let mut found = Vec::new();
    let mut add = |kind, what: String, becomes| {
        found.push(Mutant { kind, key: key.clone(), what, becomes });
    };
    add("delete", "deleted".to_owned(), None);
    for (column, datum) in row.set_columns() {
        for (kind, what, other) in others(column.name, column.kind, datum) {
            let mut changed = row.clone();
            let place = changed.get_mut(column.name).expect("the column is there");
            if *place != other {
                *place = other;
                add(kind, format!("{} {what}", column.name), Some(changed));
            }
        }
    }
    found
}

/// What else a column may hold.
fn others(column: &str, kind: Kind, datum: &Datum) -> Vec<(&'static str, String, Datum)> {
    let mut found = Vec::new();
    let one = |atom| Datum::set([atom]);
    match (column, datum) {
        ("name" | "external_ids" | "log" | "meter" | "severity" | "label", _) => {}
        (_, Datum::Map(pairs)) => {
            for at in 0..pairs.len() {
                let mut left = pairs.to_vec();
                let (key, _) = left.remove(at);
                found.push(("clear", format!("without {key:?}"), Datum::map(left)));
            }
        }
        ("priority" | "tier", Datum::Set(atoms)) => {
            if let [Atom::Int(value)] = atoms.as_slice() {
                let (first, last) = if column == "tier" { (0, 1) } else { (1, 32_000) };
                for other in [value - 1, value + 1, first, last] {
                    let kind = if column == "tier" { "tier" } else { "rank" };
                    found.push((kind, format!("{value} becomes {other}"), one(Atom::Int(other))));
                }
            }
        }
        (_, Datum::Set(atoms)) => {
            for (at, atom) in atoms.iter().enumerate() {
                let mut left = atoms.to_vec();
                left.remove(at);
                if kind != Kind::Text && kind != Kind::Bool {
                    found.push(("member", format!("without {atom:?}"), Datum::set(left.clone())));
                }
                let Atom::Text(text) = atom else { continue };
                for (kind, other) in texts(column, text) {
                    let with = left.iter().cloned().chain([Atom::Text(other.as_str().into())]);
                    found.push((kind, format!("`{text}` becomes `{other}`"), Datum::set(with)));
                }
            }
        }
    }
    found
}

/// What else a text may be.
fn texts(column: &str, text: &str) -> Vec<(&'static str, String)> {
    let say = |kind, other: &[&str]| other.iter().map(|it| (kind, (*it).to_owned())).collect();
    match (column, text) {
        ("action", "drop" | "reject") => return say("action", &["allow"]),
        ("action", _) => return say("action", &["drop"]),
        ("direction", "from-lport") => return say("direction", &["to-lport"]),
        ("direction", _) => return say("direction", &["from-lport"]),
        ("policy", "src-ip") => return say("swap", &["dst-ip"]),
        ("policy", _) => return say("swap", &["src-ip"]),
        ("type", "dnat_and_snat") => return say("action", &["snat", "dnat"]),
        ("nexthop", hop) if hop != "discard" => {
            let next = next_number(hop).map(|next| ("address", next));
            return next.into_iter().chain([("action", "discard".to_owned())]).collect();
        }
        _ => {}
    }
    let mut found: Vec<(&str, String)> = Vec::new();
    found.extend(wider(text).map(|other| ("prefix", other)));
    if column == "match" {
        let swapped = text.replace(".src", ".\u{0}").replace(".dst", ".src").replace(".\u{0}", ".dst");
        found.push(("swap", swapped));
        let ends = text.replace("inport", "\u{0}").replace("outport", "inport").replace('\u{0}', "outport");
        found.push(("direction", ends));
        found.extend(text.rsplit_once(" && ").map(|(less, _)| ("clear", less.to_owned())));
    }
    if ["match", "addresses", "networks", "external_ip", "logical_ip", "port_security", "nexthops"]
        .contains(&column)
    {
        let kind = if column == "match" { "number" } else { "address" };
        found.extend(next_number(text).map(|other| (kind, other)));
    }
    found.retain(|(_, other)| other != text);
    found
}

/// The last number of a text, or the last before a `/`, is one more.
fn next_number(text: &str) -> Option<String> {
    let (head, tail) = text.rsplit_once('/').map_or((text, String::new()), |(a, b)| (a, format!("/{b}")));
    let end = head.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = head[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    let number: u64 = head[start..end].parse().ok()?;
    Some(format!("{}{}{}{tail}", &head[..start], number + 1, &head[end..]))
}

/// The first network of a text has one bit less.
fn wider(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_hexdigit() || ".:/".contains(c);
    let words = text.split(|c| !is_part(c)).filter(|word| word.contains('/'));
    let found = words.filter_map(|word| Some((word, word.parse::<ipnet::IpNet>().ok()?)));
    let (word, net) = found.into_iter().find(|(_, net)| net.prefix_len() > 0)?;
    let larger = net.supernet().filter(|_| net.trunc() == net);
    let other = match larger {
        Some(larger) => larger.to_string(),
        None => format!("{}/{}", net.addr(), net.prefix_len() - 1),
    };
    Some(text.replacen(word, &other, 1))
}

/// Verdicts on everybody to everybody, as if all had their routes.
pub(super) fn verdicts(rows: &Rows, target: Target, sets: &Sets) -> BTreeMap<(String, String, Verdict), Set> {
    let network = Network::of_rows(rows, target);
    let mut judge = Judge::new(&network, sets, ByHand { all: true, ..ByHand::default() });
    let mut all = everybody(&judge);
    if !judge.wires().is_empty() {
        all.extend(parties(&judge, INTERNET).expect("there is a physical network"));
    }
    let service = service(sets, None, None);
    let mut found = BTreeMap::new();
    for from in &all {
        let everywhere = sets.any(all.iter().map(|to| to.known_to(from)));
        let requests = judge.requests(from, sets.and(sets.and(from.sources, everywhere), service));
        for to in all.iter().filter(|to| *to != from) {
            let (a, b) = (name_of(&network, &from.place), name_of(&network, &to.place));
            for finding in judge.findings(from, to, &requests) {
                let of = found.entry((a.clone(), b.clone(), finding.verdict)).or_insert(Set::NONE);
                *of = sets.or(*of, finding.set);
            }
        }
    }
    // Lost is lost, whether it is sent or not; what can't be judged is not compared.
    let mut lost: BTreeMap<(String, String, Verdict), Set> = BTreeMap::new();
    for ((from, to, verdict), set) in found {
        let verdict = if verdict == Verdict::NoRoute { Verdict::Blocked } else { verdict };
        let of = lost.entry((from, to, verdict)).or_insert(Set::NONE);
        *of = sets.or(*of, set);
    }
    lost.retain(|(_, _, verdict), _| *verdict != Verdict::Blocked);
    lost
}

/// How many of some breaks are found; that each is which changes who reaches whom, for the oldest OVN.
pub(super) fn n_found(checked: &Checked<'_>, rows: &Rows, all: impl Iterator<Item = Mutant>) -> usize {
    let (sets, whole) = (Sets::default(), compared(checked, rows, Target::OLDEST));
    let before = verdicts(rows, Target::OLDEST, &sets);
    let (mut n_found, mut wrong) = (0, String::new());
    for mutant in all {
        let other = changed(rows, &mutant);
        let report = compared(checked, &other, Target::OLDEST);
        let is_found = !report.differences.is_empty() || report.undetermined != whole.undetermined;
        n_found += usize::from(is_found);
        if !is_found && verdicts(&other, Target::OLDEST, &sets) != before {
            let _ = writeln!(wrong, "{:?}: {}", mutant.key, mutant.what);
        }
    }
    assert!(wrong.is_empty(), "these change who reaches whom:\n{wrong}");
    n_found
}

/// Of each kind as many as are tried, from all cases.
fn chosen() -> Vec<(usize, Mutant)> {
    let mut by_kind: BTreeMap<&str, Vec<(usize, Mutant)>> = BTreeMap::new();
    for (at, case) in cases::all().iter().enumerate() {
        compiled(case, Target::OLDEST, |_, rows| {
            for (key, row) in rows.iter() {
                for mutant in mutants(key, row) {
                    by_kind.entry(mutant.kind).or_default().push((at, mutant));
                }
            }
        });
    }
    let said = std::env::var("NORTHC_MUTANTS").ok().and_then(|value| value.parse().ok());
    let mut dice = Dice::new(SEED);
    let mut chosen = Vec::new();
    for (_, mut all) in by_kind {
        for _ in 0..said.unwrap_or(SAMPLE).min(all.len()) {
            chosen.push(all.swap_remove(dice.below(all.len())));
        }
    }
    chosen.sort_by_key(|(at, _)| *at);
    chosen
}

#[test]
fn what_changes_is_found_and_what_does_not_is_not() {
    let cases = cases::all();
    let (mut tally, mut wrong): (BTreeMap<&str, (usize, usize)>, String) = (BTreeMap::new(), String::new());
    for of_case in chosen().chunk_by(|(a, _), (b, _)| a == b) {
        let case = &cases[of_case[0].0];
        compiled(case, Target::OLDEST, |checked, rows| {
            let whole = compared(checked, rows, Target::OLDEST);
            let sets = Sets::default();
            let before = verdicts(rows, Target::OLDEST, &sets);
            for (_, mutant) in of_case {
                let broken = changed(rows, mutant);
                let report = compared(checked, &broken, Target::OLDEST);
                let is_said = report.undetermined != whole.undetermined;
                let is_found = is_said || !report.differences.is_empty();
                let count = tally.entry(mutant.kind).or_default();
                count.0 += 1;
                count.1 += usize::from(is_found);
                if !is_found && verdicts(&broken, Target::OLDEST, &sets) != before {
                    let (kind, what) = (mutant.kind, &mutant.what);
                    let _ = writeln!(wrong, "{}: {kind} of {:?}: {what}", case.name, mutant.key);
                }
            }
        });
    }
    let mut said = String::new();
    for (kind, (n, n_found)) in &tally {
        let _ = writeln!(said, "{kind}: {n} broken, {n_found} found, {} change nothing", n - n_found);
    }
    let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
    assert!(wrong.is_empty(), "these change who reaches whom:\n{wrong}");
    let idle: Vec<_> = tally.iter().filter(|(_, (_, n_found))| *n_found == 0).collect();
    assert!(idle.is_empty(), "nothing of these was found: {idle:?}");
}

/// The same said otherwise, for all rules at once.
type Rewording = (&'static str, fn(&Rows) -> Rows);

const REWORDINGS: [Rewording; 4] = [
    ("every rank is one higher", |rows| with_acls(rows, |acl| acl.priority = (acl.priority + 1).min(32_767))),
    ("every network is its halves", |rows| with_acls(rows, |acl| acl.matching = halved(&acl.matching))),
    ("everything is said twice", |rows| {
        with_acls(rows, |acl| acl.matching = format!("({}) && ({})", acl.matching, acl.matching))
    }),
    ("behind every rule its opposite stands for nothing", shadowed),
];

pub(super) fn with_acls(rows: &Rows, change: impl Fn(&mut Acl)) -> Rows {
    let mut made = Rows::new();
    for (key, row) in rows.iter() {
        let row = match Acl::try_from(row) {
            Ok(mut acl) => {
                change(&mut acl);
                acl.into()
            }
            Err(_) => row.clone(),
        };
        made.insert(key.clone(), row, rows.origin(key));
    }
    made
}

fn halved(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.parse::<ipnet::IpNet>() {
        Ok(net) if net.prefix_len() < net.max_prefix_len() => {
            let halves = net.subnets(net.prefix_len() + 1).expect("it can be halved");
            let halves: Vec<String> = halves.map(|half| half.to_string()).collect();
            format!("{{{}}}", halves.join(", "))
        }
        Ok(_) | Err(_) => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Every rule of a switch or group gets one of the same match behind it that drops, and is never asked.
fn shadowed(rows: &Rows) -> Rows {
    let mut made = Rows::new();
    let mut added: Vec<(Key, Row)> = Vec::new();
    for (key, row) in rows.iter() {
        let mut row = row.clone();
        if let Some(Datum::Set(refs)) = row.get_mut("acls") {
            let own: Vec<Key> = refs
                .iter()
                .filter_map(|atom| match atom {
                    Atom::Ref(Ref::Key(key)) => Some(key.clone()),
                    _ => None,
                })
                .collect();
            let mut all = refs.to_vec();
            for of in own {
                let acl = Acl::try_from(rows.get(&of).expect("the rule is there")).expect("an ACL");
                if acl.action == "pass" || acl.priority == 0 {
                    continue;
                }
                let twin = Key::new(Table::Acl, format!("{}/shadow", of.name));
                added.push((
                    twin.clone(),
                    Acl { priority: acl.priority - 1, action: "drop".to_owned(), ..acl }.into(),
                ));
                all.push(Atom::Ref(Ref::Key(twin)));
            }
            all.sort_unstable();
            *refs = all.into();
        }
        made.insert(key.clone(), row, rows.origin(key));
    }
    added.into_iter().for_each(|(key, row)| made.insert(key, row, None));
    made
}

#[test]
fn the_same_in_other_words_is_no_difference() {
    let mut wrong = String::new();
    for case in cases::all() {
        compiled(&case, Target::OLDEST, |checked, rows| {
            for (what, reworded) in REWORDINGS {
                let report = compared(checked, &reworded(rows), Target::OLDEST);
                if let Some(first) = report.differences.first() {
                    let _ = writeln!(wrong, "{}: {what}: {first:?}", case.name);
                }
            }
        });
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn whoever_is_told_is_told() {
    for (action, other) in [("reject", "drop"), ("drop", "reject")] {
        let mut n = 0;
        for case in cases::all() {
            compiled(&case, Target::OLDEST, |checked, rows| {
                let is_one = |row: &Row| Acl::try_from(row).is_ok_and(|acl| acl.action == action);
                if n == 2 || !rows.iter().any(|(_, row)| is_one(row)) {
                    return;
                }
                n += 1;
                let changed = with_acls(rows, |acl| {
                    if acl.action == action {
                        acl.action = other.to_owned();
                    }
                });
                let report = compared(checked, &changed, Target::OLDEST);
                assert!(!report.differences.is_empty(), "{}: {action} becomes {other}", case.name);
            });
        }
        assert!(n > 0, "somebody has a rule that says {action}");
    }
}
