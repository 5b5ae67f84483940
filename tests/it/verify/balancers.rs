//! Balancers and port forwards broken one at a time: `verify` finds every break that sends a packet elsewhere, and
//! nothing in what says the same otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use northc::nb::{Atom, Datum, Key, LoadBalancer, LogicalSwitch, LogicalSwitchPort, Ref, Row, Rows, Table};
use northc::target::Target;

use super::{compared, compiled};
use crate::cases::{self, Case};

/// What breaks the source that a backend sees which has asked itself.
const OWN: &str = "who asks itself sees another address";

/// Rows with some of them changed, or gone.
fn with(rows: &Rows, mut change: impl FnMut(&Key, &Row) -> Option<Row>) -> Rows {
    let mut made = Rows::new();
    for (key, row) in rows.iter() {
        if let Some(row) = change(key, row) {
            made.insert(key.clone(), row, rows.origin(key));
        }
    }
    made
}

fn with_one(rows: &Rows, which: &Key, other: Option<&LoadBalancer>) -> Rows {
    with(rows, |key, row| match other {
        Some(other) if key == which => Some(other.clone().into()),
        None if key == which => None,
        _ => Some(row.clone()),
    })
}

fn balancers(rows: &Rows) -> Vec<(Key, LoadBalancer)> {
    rows.iter().filter_map(|(key, row)| Some((key.clone(), LoadBalancer::try_from(row).ok()?))).collect()
}

fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::from((address.to_bits() + 1).to_be_bytes()),
        IpAddr::V6(address) => IpAddr::from((address.to_bits() + 1).to_be_bytes()),
    }
}

/// Another address, another port.
fn others(end: &str) -> [String; 2] {
    let end: SocketAddr = end.parse().expect("an address and port");
    [SocketAddr::new(next(end.ip()), end.port()), SocketAddr::new(end.ip(), end.port() + 1)]
        .map(|it| it.to_string())
}

/// A balancer's row, broken in every way that sends a packet elsewhere.
fn broken(row: &LoadBalancer) -> Vec<(String, LoadBalancer)> {
    let mut found = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut LoadBalancer)| {
        let mut row = row.clone();
        change(&mut row);
        found.push((what, row));
    };
    for other in ["tcp", "udp", "sctp"].into_iter().filter(|other| row.protocol.as_deref() != Some(other)) {
        add(format!("{:?} becomes {other}", row.protocol), &|row| row.protocol = Some(other.to_owned()));
    }
    for (vip, backends) in &row.vips {
        add(format!("without {vip}"), &|row| drop(row.vips.remove(vip)));
        for other in others(vip).iter().filter(|other| !row.vips.contains_key(*other)) {
            add(format!("{vip} becomes {other}"), &|row| {
                let to = row.vips.remove(vip).expect("it is there");
                row.vips.insert(other.clone(), to);
            });
        }
        let all: Vec<&str> = backends.split(',').filter(|to| !to.is_empty()).collect();
        for (at, to) in all.iter().enumerate() {
            let mut less = all.clone();
            less.remove(at);
            add(format!("{vip} without {to}"), &|row| drop(row.vips.insert(vip.clone(), less.join(","))));
            for other in others(to).iter().filter(|other| !all.contains(&other.as_str())) {
                add(format!("{vip} to {other} and not {to}"), &|row| {
                    let with: Vec<&str> = less.iter().copied().chain([other.as_str()]).collect();
                    row.vips.insert(vip.clone(), with.join(","));
                });
            }
        }
        if all.is_empty() {
            add("nobody is told".to_owned(), &|row| drop(row.options.remove("reject")));
            let somebody = vip.replace(":80", ":81");
            add("somebody is there".to_owned(), &|row| {
                row.vips.insert(vip.clone(), somebody.clone());
            });
        } else {
            add(OWN.to_owned(), &|row| {
                let vip: SocketAddr = vip.parse().expect("an address and port");
                row.options.insert("hairpin_snat_ip".to_owned(), next(vip.ip()).to_string());
            });
        }
    }
    found
}

/// Switches and routers without one of their balancers: those of switches that somebody is on.
fn unserved(rows: &Rows) -> Vec<(String, Rows)> {
    let is_guest = |to: &Ref| {
        let Ref::Key(key) = to else { return false };
        let port = rows.get(key).and_then(|row| LogicalSwitchPort::try_from(row).ok());
        port.is_some_and(|port| port.kind.is_empty())
    };
    let mut found = Vec::new();
    for (of, row) in rows.iter() {
        let is_idle = LogicalSwitch::try_from(row).is_ok_and(|it| !it.ports.iter().any(is_guest));
        let column = row.set_columns().find(|(column, _)| column.name == "load_balancer");
        let Some((_, Datum::Set(atoms))) = column.filter(|_| !is_idle) else { continue };
        for atom in atoms {
            let less = with(rows, |key, row| {
                let mut row = row.clone();
                if let Some(Datum::Set(refs)) = row.get_mut("load_balancer").filter(|_| key == of) {
                    *refs = refs.iter().filter(|own| *own != atom).cloned().collect();
                }
                Some(row)
            });
            found.push((format!("{of} without {atom:?}"), less));
        }
    }
    found
}

fn cases_with_balancers() -> Vec<Case> {
    let mut cases = cases::all();
    cases.retain(|case| {
        let mut is_one = false;
        compiled(case, Target::OLDEST, |_, rows| is_one = !balancers(rows).is_empty());
        is_one
    });
    assert!(cases.len() > 3);
    cases
}

/// Breaks that change nothing: of a case, part of what is broken, and why.
const IDLE: [(&str, &str, &str); 5] = [
    (
        "balancers/native",
        "app without Ref(Key(Key { table: LoadBalancer, name: \"shop/balancer/six",
        "no guest there has IPv6",
    ),
    ("dialects/kube-ovn", "Logical_Switch data without", "guests there have no route to it"),
    ("dialects/native", "Logical_Switch data without", "guests there have no route to it"),
    (
        "native/outside",
        "forward/udp/203.0.113.20:53: 203.0.113.20:53 to ",
        "nobody has the backend's address",
    ),
    ("native/outside", "203.0.113.20:53 without ", "nobody has the backend's address"),
];

#[test]
fn every_break_of_a_balancer_is_found() {
    let (mut n_found, mut wrong, mut n_own) = (0, String::new(), 0);
    // Every break for one of the targets, in turn.
    for case in cases_with_balancers() {
        let is_idle = |what: &str| IDLE.iter().any(|(of, part, _)| *of == case.name && what.contains(part));
        for (round, target) in Target::TESTED.into_iter().enumerate() {
            compiled(&case, target, |checked, rows| {
                let mut all = unserved(rows);
                for (key, row) in balancers(rows) {
                    all.push((format!("without {key}"), with_one(rows, &key, None)));
                    let broken = broken(&row).into_iter();
                    all.extend(
                        broken.map(|(what, other)| {
                            (format!("{key}: {what}"), with_one(rows, &key, Some(&other)))
                        }),
                    );
                }
                for (what, rows) in all.into_iter().skip(round).step_by(Target::TESTED.len()) {
                    let is_found = !compared(checked, &rows, target).differences.is_empty();
                    n_found += usize::from(is_found);
                    // A router's balancers mask nobody, and nobody asks itself where it may not.
                    let is_own = what.ends_with(OWN);
                    n_own += usize::from(is_found && is_own);
                    if is_found == is_idle(&what) && !is_own {
                        let _ = writeln!(wrong, "{} for {target}: {what}", case.name);
                    }
                }
            });
        }
    }
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{n_found} breaks found\n").as_bytes());
    assert!(wrong.is_empty(), "these send packets elsewhere, or are said to be idle:\n{wrong}");
    assert!(n_own > 0, "a machine that asks itself is looked at");
}

#[test]
fn a_balancer_in_other_words_is_no_difference() {
    let change = |row: &mut LoadBalancer| {
        for backends in row.vips.values_mut() {
            let turned: Vec<&str> = backends.rsplit(',').collect();
            *backends = turned.join(",");
        }
        row.name = "another".to_owned();
        // Who is asked first, and for how long, is left to chance; those that are watched are taken to be alive.
        ["affinity_timeout", "ct_flush"].iter().for_each(|name| drop(row.options.remove(*name)));
        row.health_check.clear();
        row.ip_port_mappings.clear();
    };
    for case in cases_with_balancers() {
        compiled(&case, Target::OLDEST, |checked, rows| {
            let turned = with(rows, |_, row| match LoadBalancer::try_from(row) {
                Ok(mut balancer) => {
                    change(&mut balancer);
                    Some(balancer.into())
                }
                Err(_) => Some(row.clone()),
            });
            let report = compared(checked, &turned, Target::OLDEST);
            assert!(report.differences.is_empty(), "{}: {:#?}", case.name, report.differences);
            let report = compared(checked, &apart(rows), Target::OLDEST);
            assert!(report.differences.is_empty(), "{}: {:#?}", case.name, report.differences);
        });
    }
}

/// A row for each address and port.
fn apart(rows: &Rows) -> Rows {
    let mut made = with(rows, |_, row| LoadBalancer::try_from(row).is_err().then(|| row.clone()));
    let mut parts: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
    for (key, row) in balancers(rows) {
        for (vip, to) in &row.vips {
            let part = Key::new(Table::LoadBalancer, format!("{}/{vip}", key.name));
            let vips = [(vip.clone(), to.clone())].into();
            made.insert(part.clone(), LoadBalancer { vips, ..row.clone() }, rows.origin(&key));
            parts.entry(key.clone()).or_default().insert(part);
        }
    }
    with(&made, |_, row| {
        let mut row = row.clone();
        if let Some(Datum::Set(refs)) = row.get_mut("load_balancer") {
            let of = |atom: &Atom| match atom {
                Atom::Ref(Ref::Key(key)) => parts[key].iter().cloned().map(Ref::Key).map(Atom::Ref).collect(),
                other => vec![other.clone()],
            };
            *refs = refs.iter().flat_map(of).collect();
            refs.sort_unstable();
        }
        Some(row)
    })
}
