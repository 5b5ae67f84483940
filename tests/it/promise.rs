//! What is promised to whoever watches the database while a plan is carried out (`docs/promises.md`), held against
//! any moment of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use northc::nb::actual::{Actual, name};
use northc::nb::{Atom, Datum, Ref, Row, Table};
use uuid::Uuid;

/// How many switch ports of a switch have an address.
type Owners = BTreeMap<(Uuid, IpAddr), usize>;

/// What a moment shows.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sight {
    /// Switches that a router's port is on.
    connected: BTreeSet<Uuid>,
    /// The rules of each switch and port group: what they say.
    rules: BTreeMap<Uuid, BTreeSet<String>>,
    owners: Owners,
    /// How many switches hold each port.
    holders: BTreeMap<Uuid, usize>,
    /// Networks of each router's ports.
    networks: BTreeMap<(Uuid, String), usize>,
}

impl Sight {
    pub(crate) fn of(rows: &Actual) -> Sight {
        let mut sight = Sight::default();
        let ports: BTreeSet<&str> =
            rows.table(Table::LogicalRouterPort).filter_map(|(_, row)| name(row)).collect();
        for (uuid, switch) in rows.table(Table::LogicalSwitch) {
            for port in switch.get("ports").into_iter().flat_map(Datum::refs) {
                if let Ref::Foreign(port) = port {
                    *sight.holders.entry(*port).or_default() += 1;
                }
            }
            for port in children(rows, switch, "ports", Table::LogicalSwitchPort) {
                if port.pair("options", "router-port").is_some_and(|name| ports.contains(name)) {
                    sight.connected.insert(uuid);
                }
                let words = texts(port, "addresses").flat_map(|text| text.split(' '));
                for ip in words.filter_map(|word| word.parse().ok()) {
                    *sight.owners.entry((uuid, ip)).or_default() += 1;
                }
            }
        }
        for (uuid, router) in rows.table(Table::LogicalRouter) {
            for port in children(rows, router, "ports", Table::LogicalRouterPort) {
                for network in texts(port, "networks") {
                    *sight.networks.entry((uuid, network.to_owned())).or_default() += 1;
                }
            }
        }
        for table in [Table::LogicalSwitch, Table::PortGroup] {
            for (uuid, holder) in rows.table(table) {
                let rules = children(rows, holder, "acls", Table::Acl);
                sight.rules.insert(uuid, rules.map(said).collect());
            }
        }
        sight
    }

    /// How this moment, between one and the other, breaks the promise.
    pub(crate) fn broken(&self, from: &Sight, to: &Sight) -> Option<String> {
        let cut_off = from.connected.intersection(&to.connected).find(|at| !self.connected.contains(at));
        if let Some(switch) = cut_off {
            return Some(format!("switch {switch} has lost its router"));
        }
        if let Some((port, n)) = self.holders.iter().find(|(_, n)| **n > 1) {
            return Some(format!("port {port} is in {n} switches"));
        }
        for (holder, rules) in &self.rules {
            let is = |other: &Sight| other.rules.get(holder).map_or(rules.is_empty(), |other| other == rules);
            if !is(from) && !is(to) {
                return Some(format!("half of the rules of {holder}: {rules:?}"));
            }
        }
        let at_most = |most: usize, what: &dyn Fn() -> String, n: usize| (n > most.max(1)).then(what);
        let of = |owners: &Owners, at| owners.get(at).copied().unwrap_or(0);
        let twice = self.owners.iter().find_map(|(at, n)| {
            at_most(
                of(&from.owners, at).max(of(&to.owners, at)),
                &|| format!("{at:?} is owned {n} times"),
                *n,
            )
        });
        twice.or_else(|| {
            let of = |sight: &Sight, at| sight.networks.get(at).copied().unwrap_or(0);
            self.networks.iter().find_map(|(at, n)| {
                at_most(of(from, at).max(of(to, at)), &|| format!("{at:?} is of {n} router ports"), *n)
            })
        })
    }
}

fn children<'r>(
    rows: &'r Actual,
    parent: &'r Row,
    column: &str,
    table: Table,
) -> impl Iterator<Item = &'r Row> {
    let refs = parent.get(column).into_iter().flat_map(Datum::refs);
    let uuids = refs.filter_map(|to| if let Ref::Foreign(uuid) = to { Some(*uuid) } else { None });
    uuids.filter_map(move |uuid| rows.get(table, uuid).map(AsRef::as_ref))
}

fn texts<'r>(row: &'r Row, column: &str) -> impl Iterator<Item = &'r str> {
    let atoms = match row.get(column) {
        Some(Datum::Set(atoms)) => atoms.as_slice(),
        Some(Datum::Map(_)) | None => &[],
    };
    atoms.iter().filter_map(|atom| if let Atom::Text(text) = atom { Some(&**text) } else { None })
}

/// What a rule says, but for our marks.
fn said(row: &Row) -> String {
    let columns = row.set_columns().filter(|(column, _)| column.name != "external_ids");
    columns.map(|(column, datum)| format!("{}={datum:?} ", column.name)).collect()
}
