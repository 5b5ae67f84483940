//! What rows that differ can touch: the parts of both networks that they are in.
//!
//! A part is whatever links join, before or after: switches and routers, and all physical networks together, since who
//! knows what joins those. No packet leaves its part, and what is said of one part is said of no other; so a part whose
//! rows are the same, with all that they refer to and name, behaves the same.
//!
//! Refuses to follow packets. What it is not sure of it takes to be touched.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::names;
use crate::nb::actual::{self, Actual};
use crate::nb::{Atom, Datum, Ref, Row, Table};
use crate::reach::network::{Link, Network, PortKind, RouterId, RowId, SwitchId};

/// Two databases, row by row.
#[derive(Default)]
pub(super) struct Differences {
    /// Rows of each side that the other has not, or has otherwise in what packets heed; what hangs on them apart.
    pub(super) changed: [BTreeSet<RowId>; 2],
    /// The same, with what hangs on them.
    uuids: HashSet<Uuid>,
    /// Rows that hang on a row of one side which they do not hang on on the other.
    pub(super) moved: HashSet<Uuid>,
    /// Switches and routers that are on both sides.
    pub(super) same: Vec<[RowId; 2]>,
}

impl Differences {
    /// Those between two databases.
    pub(super) fn of(rows: [&Actual; 2]) -> Differences {
        let mut found = Differences::default();
        let [mut old, mut new] = rows.map(|rows| rows.iter().zip(0..).peekable());
        let place = |((uuid, row), _): &((Uuid, &Arc<Row>), usize)| (row.table(), *uuid);
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(a), Some(b)) => place(a).cmp(&place(b)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return found,
            };
            let a = if order.is_le() { old.next() } else { None };
            let b = if order.is_ge() { new.next() } else { None };
            match (a, b) {
                (Some(((uuid, row), a)), Some(((_, other), b))) => found.both(uuid, (row, a), (other, b)),
                (Some(((uuid, _), at)), None) => found.one(0, uuid, at),
                (None, Some(((uuid, _), at))) => found.one(1, uuid, at),
                (None, None) => {}
            }
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.uuids.is_empty()
    }

    fn one(&mut self, side: usize, uuid: Uuid, at: usize) {
        self.changed[side].insert(RowId(at));
        self.uuids.insert(uuid);
    }

    fn both(&mut self, uuid: Uuid, (row, a): (&Arc<Row>, usize), (other, b): (&Arc<Row>, usize)) {
        if matches!(row.table(), Table::LogicalSwitch | Table::LogicalRouter) {
            self.same.push([RowId(a), RowId(b)]);
        }
        if Arc::ptr_eq(row, other) || row == other {
            return;
        }
        for ((column, a_has), (_, b_has)) in row.columns().zip(other.columns()) {
            if column.name == "external_ids" || a_has == b_has {
                continue;
            }
            self.uuids.insert(uuid);
            if column.holds_children() {
                let children = [a_has, b_has].map(|it| it.refs().filter_map(foreign).collect::<HashSet<_>>());
                self.moved.extend(children[0].symmetric_difference(&children[1]));
            } else {
                self.changed[0].insert(RowId(a));
                self.changed[1].insert(RowId(b));
            }
        }
    }
}

/// Some switches and routers.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The switches.
    pub(super) switches: BTreeSet<SwitchId>,
    /// The routers.
    pub(super) routers: BTreeSet<RouterId>,
    /// Those of the switches that differences can touch.
    pub(super) touched: BTreeSet<SwitchId>,
    /// Whether they can touch a router too.
    pub(super) is_routed_otherwise: bool,
}

/// The parts that differences can touch, each on both sides.
pub(super) fn parts(
    rows: [&Actual; 2],
    networks: [&Network; 2],
    differences: &Differences,
) -> Vec<[Part; 2]> {
    let mut links = Links::new(networks);
    for side in [0, 1] {
        links.inside(side, networks[side]);
    }
    let same: Vec<[usize; 2]> = (differences.same.iter())
        .filter_map(|[a, b]| Some([*links.nodes[0].get(a)?, *links.nodes[1].get(b)?]))
        .collect();
    same.iter().for_each(|[a, b]| join(&mut links.above, *a, *b));
    let is_all = rows[0].beside != rows[1].beside;
    let mut touched: HashSet<usize> = HashSet::new();
    for side in [0, 1] {
        let all = links.nodes[side].values().copied();
        match is_all {
            true => touched.extend(all),
            false => touched.extend(devices(rows[side], &differences.uuids, &links.nodes[side])),
        }
    }
    touched.extend(
        same.into_iter()
            .filter(|both| both.iter().any(|node| touched.contains(node)))
            .flatten()
            .collect::<Vec<_>>(),
    );
    links.movers(networks, &touched);
    links.parts(networks, &touched)
}

/// What joins switches and routers of both sides.
struct Links {
    /// Switches and routers by their rows.
    nodes: [HashMap<RowId, usize>; 2],
    /// Where the switches and the routers of each side begin.
    first: [(usize, usize); 2],
    above: Vec<usize>,
}

impl Links {
    fn new(networks: [&Network; 2]) -> Links {
        let mut n_nodes = 0;
        let mut first = [(0, 0); 2];
        let nodes = [0, 1].map(|side| {
            let network: &Network = networks[side];
            let switches = network.switches.iter().map(|switch| switch.row);
            let routers = network.routers.iter().map(|router| router.row);
            let begin = n_nodes;
            first[side] = (begin, begin + network.switches.len());
            n_nodes += network.switches.len() + network.routers.len();
            switches.chain(routers).zip(begin..).collect()
        });
        Links { nodes, first, above: (0..n_nodes).collect() }
    }

    fn switch(&self, side: usize, switch: SwitchId) -> usize {
        self.first[side].0 + switch.0
    }

    fn router(&self, side: usize, router: RouterId) -> usize {
        self.first[side].1 + router.0
    }

    /// What a network joins, whether packets can pass there or not.
    fn inside(&mut self, side: usize, network: &Network) {
        for port in &network.router_ports {
            let own = self.router(side, port.router);
            let other = match port.link {
                Link::Switch(to) => self.switch(side, network.port(to).switch),
                Link::Router(to) => self.router(side, network.router_port(to).router),
                Link::Nothing | Link::Contested => continue,
            };
            join(&mut self.above, own, other);
        }
        let mut wired = None;
        for port in &network.ports {
            let own = self.switch(side, port.switch);
            match port.kind {
                PortKind::Router(Some(to)) => {
                    let router = self.router(side, network.router_port(to).router);
                    join(&mut self.above, own, router);
                }
                PortKind::Localnet => join(&mut self.above, own, *wired.get_or_insert(own)),
                PortKind::Guest | PortKind::Router(None) | PortKind::Other(_) => {}
            }
        }
    }

    /// Machines that come from one switch to another join them.
    fn movers(&mut self, networks: [&Network; 2], touched: &HashSet<usize>) {
        let mut before: HashMap<&str, usize> = HashMap::new();
        for side in [0, 1] {
            for (at, switch) in networks[side].switches.iter().enumerate() {
                let own = self.switch(side, SwitchId(at));
                for id in switch.ports.iter().filter(|_| touched.contains(&own)) {
                    let name = networks[side].port(*id).name.as_str();
                    match before.get(name).filter(|_| side == 1) {
                        Some(other) => join(&mut self.above, own, *other),
                        None if side == 0 => drop(before.insert(name, own)),
                        None => {}
                    }
                }
            }
        }
    }

    /// The parts that touched nodes are in.
    fn parts(&mut self, networks: [&Network; 2], touched: &HashSet<usize>) -> Vec<[Part; 2]> {
        let tops: HashSet<usize> = touched.iter().map(|node| top(&mut self.above, *node)).collect();
        let mut parts: BTreeMap<usize, [Part; 2]> = BTreeMap::new();
        for side in [0, 1] {
            for at in 0..networks[side].switches.len() {
                let node = self.switch(side, SwitchId(at));
                let top = top(&mut self.above, node);
                if tops.contains(&top) {
                    let part = &mut parts.entry(top).or_default()[side];
                    part.switches.insert(SwitchId(at));
                    part.touched.extend(touched.contains(&node).then_some(SwitchId(at)));
                }
            }
            for at in 0..networks[side].routers.len() {
                let node = self.router(side, RouterId(at));
                let top = top(&mut self.above, node);
                if tops.contains(&top) {
                    let part = &mut parts.entry(top).or_default()[side];
                    part.routers.insert(RouterId(at));
                    part.is_routed_otherwise |= touched.contains(&node);
                }
            }
        }
        parts.into_values().collect()
    }
}

fn top(above: &mut [usize], mut at: usize) -> usize {
    while above[at] != at {
        above[at] = above[above[at]];
        at = above[at];
    }
    at
}

fn join(above: &mut [usize], a: usize, b: usize) {
    let (a, b) = (top(above, a), top(above, b));
    above[a.max(b)] = a.min(b);
}

/// The switches and routers of one side that some rows belong to, are referred to by, or are named by.
fn devices(rows: &Actual, differing: &HashSet<Uuid>, nodes: &HashMap<RowId, usize>) -> Vec<usize> {
    let mut dirty = Dirty { rows, uuids: differing.clone(), tables: BTreeSet::new() };
    dirty.tables.extend(rows.iter().filter(|(uuid, _)| differing.contains(uuid)).map(|(_, row)| row.table()));
    dirty.referring();
    dirty.named();
    dirty.referring();
    dirty.members();
    let balancers = dirty.tables.contains(&Table::LoadBalancer);
    let is_touched = |uuid: Uuid| {
        dirty.uuids.contains(&uuid)
            || balancers && rows.beside.balancers(uuid).any(|to| dirty.uuids.contains(&to))
    };
    let ids = rows.iter().enumerate().filter(|(_, (_, row))| is_device(row.table()));
    ids.filter(|(_, (uuid, _))| is_touched(*uuid))
        .filter_map(|(at, _)| nodes.get(&RowId(at)).copied())
        .collect()
}

fn is_device(table: Table) -> bool {
    matches!(table, Table::LogicalSwitch | Table::LogicalRouter)
}

/// Rows that differ, and those that say something else because of them.
struct Dirty<'a> {
    rows: &'a Actual,
    uuids: HashSet<Uuid>,
    /// The tables they are in.
    tables: BTreeSet<Table>,
}

impl Dirty<'_> {
    fn add(&mut self, table: Table, uuid: Uuid) {
        self.uuids.insert(uuid);
        self.tables.insert(table);
    }

    /// Adds rows that refer to such rows.
    fn referring(&mut self) {
        loop {
            let mut found = Vec::new();
            for table in Table::ALL.iter().copied() {
                let refers = |target: Option<Table>| {
                    target.is_some_and(|to| self.tables.contains(&to) && !is_device(to))
                };
                let columns: Vec<&str> = table
                    .columns()
                    .iter()
                    .filter(|column| refers(column.target))
                    .map(|column| column.name)
                    .collect();
                if columns.is_empty() {
                    continue;
                }
                for (uuid, row) in self.rows.table(table).filter(|(uuid, _)| !self.uuids.contains(uuid)) {
                    let refs = columns.iter().filter_map(|column| row.get(column)).flat_map(Datum::refs);
                    if refs.filter_map(foreign).any(|to| self.uuids.contains(&to)) {
                        found.push((table, uuid));
                    }
                }
            }
            if found.is_empty() {
                return;
            }
            found.into_iter().for_each(|(table, uuid)| self.add(table, uuid));
        }
    }

    /// Adds rows whose match names such a group or set, and translations for such a port.
    fn named(&mut self) {
        let of = |table: Table| {
            let rows = self.rows.table(table).filter(|(uuid, _)| self.uuids.contains(uuid));
            rows.filter_map(|(_, row)| actual::name(row)).collect::<HashSet<&str>>()
        };
        let (sets, groups, ports) =
            (of(Table::AddressSet), of(Table::PortGroup), of(Table::LogicalSwitchPort));
        let is_set = |name: &str| {
            let group = name.strip_suffix("_ip4").or_else(|| name.strip_suffix("_ip6"));
            sets.contains(name) || group.is_some_and(|group| groups.contains(group))
        };
        let mut found = Vec::new();
        for table in Table::ALL.iter().copied().filter(|_| !sets.is_empty() || !groups.is_empty()) {
            if !table.columns().iter().any(|column| column.name == "match") {
                continue;
            }
            for (uuid, row) in self.rows.table(table) {
                let text = row.get("match").and_then(text).unwrap_or_default();
                if names(text, '$').any(is_set) || names(text, '@').any(|name| groups.contains(name)) {
                    found.push((table, uuid));
                }
            }
        }
        for (uuid, row) in self.rows.table(Table::Nat).filter(|_| !ports.is_empty()) {
            let port = row.get("logical_port").and_then(text);
            if port.is_some_and(|port| ports.contains(port)) {
                found.push((Table::Nat, uuid));
            }
        }
        found.into_iter().for_each(|(table, uuid)| self.add(table, uuid));
    }

    /// Adds switches with a port that is in such a group: its rules hold there.
    fn members(&mut self) {
        let groups = self.rows.table(Table::PortGroup).filter(|(uuid, _)| self.uuids.contains(uuid));
        let ports: HashSet<Uuid> = groups
            .filter_map(|(_, row)| row.get("ports"))
            .flat_map(Datum::refs)
            .filter_map(foreign)
            .collect();
        if ports.is_empty() {
            return;
        }
        let is_on = |row: &Row| {
            row.get("ports")
                .into_iter()
                .flat_map(Datum::refs)
                .filter_map(foreign)
                .any(|to| ports.contains(&to))
        };
        let found: Vec<Uuid> = self
            .rows
            .table(Table::LogicalSwitch)
            .filter(|(_, row)| is_on(row))
            .map(|(uuid, _)| uuid)
            .collect();
        found.into_iter().for_each(|uuid| self.add(Table::LogicalSwitch, uuid));
    }
}

/// The row that a live database refers to.
pub(super) fn foreign(to: &Ref) -> Option<Uuid> {
    match to {
        Ref::Foreign(uuid) => Some(*uuid),
        Ref::Key(_) => None,
    }
}

fn text(datum: &Datum) -> Option<&str> {
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [Atom::Text(text)] => Some(text),
            _ => None,
        },
        Datum::Map(_) => None,
    }
}
