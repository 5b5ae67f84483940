//! Units: rows that belong together, so that a long list of them can be written in whole pieces.
//!
//! A unit is a router with its children and every switch that it has a port in, or a switch that no router
//! has a port in; rows that matches know by name (port groups, address sets) come before all of them, so that
//! no port is there before the rules for it. Within a unit the frame (everything but workloads' ports) comes
//! before the ports, so that a unit too large for one transaction is whole after its first part. Refuses to
//! know what a VPC is.

use std::collections::{BTreeMap, BTreeSet};

use super::value::Ref;
use super::{Key, Kind, Rows, Table};

/// Rows that belong together, parents before children.
#[derive(Debug, Default)]
pub struct Unit<'r> {
    /// The router's or switch's own rows and those of its ports towards others.
    pub frame: Vec<&'r Key>,
    /// Workloads' ports.
    pub ports: Vec<&'r Key>,
}

/// Every row once, in units, by the names of routers, then of switches without one.
pub fn units(rows: &Rows) -> Vec<Unit<'_>> {
    let routers: BTreeMap<&str, &Key> = rows
        .table(Table::LogicalRouter)
        .flat_map(|(key, row)| row.set_columns().flat_map(|(_, datum)| datum.refs()).map(move |r| (key, r)))
        .filter_map(|(key, to)| match to {
            Ref::Key(port) if port.table == Table::LogicalRouterPort => Some((&*port.name, key)),
            _ => None,
        })
        .collect();
    let mut switches_of: BTreeMap<&Key, Vec<&Key>> = BTreeMap::new();
    let mut alone: Vec<&Key> = Vec::new();
    for (key, _) in rows.table(Table::LogicalSwitch) {
        match router_of(rows, key, &routers) {
            Some(router) => switches_of.entry(router).or_default().push(key),
            None => alone.push(key),
        }
    }
    let mut placed = BTreeSet::new();
    let mut units = Vec::new();
    for (key, _) in [Table::AddressSet, Table::Meter, Table::PortGroup].iter().flat_map(|t| rows.table(*t)) {
        let mut unit = Unit::default();
        add(rows, key, &mut unit, &mut placed);
        units.push(unit);
    }
    for (router, _) in rows.table(Table::LogicalRouter) {
        let mut unit = Unit::default();
        add(rows, router, &mut unit, &mut placed);
        for switch in switches_of.get(router).into_iter().flatten() {
            add(rows, switch, &mut unit, &mut placed);
        }
        units.push(unit);
    }
    for switch in alone {
        let mut unit = Unit::default();
        add(rows, switch, &mut unit, &mut placed);
        units.push(unit);
    }
    let mut rest = Unit::default();
    for (key, _) in rows.iter().filter(|(key, _)| !placed.contains(*key)) {
        rest.frame.push(key);
    }
    if !rest.frame.is_empty() {
        units.push(rest);
    }
    units
}

/// The router that a switch has a port towards.
fn router_of<'r>(rows: &'r Rows, switch: &Key, routers: &BTreeMap<&str, &'r Key>) -> Option<&'r Key> {
    let row = rows.get(switch)?;
    row.get("ports")?.refs().find_map(|to| {
        let Ref::Key(port) = to else { return None };
        routers.get(rows.get(port)?.pair("options", "router-port")?).copied()
    })
}

/// Adds a row and everything it refers to. Rows that its children refer to come before the children.
fn add<'r>(rows: &'r Rows, key: &Key, unit: &mut Unit<'r>, placed: &mut BTreeSet<&'r Key>) {
    let Some((key, row)) = rows.entry(key) else { return };
    if !placed.insert(key) {
        return;
    }
    let is_workload = key.table == Table::LogicalSwitchPort
        && row.get("type").is_some_and(|kind| Kind::Text.is_default(kind));
    let refs = row.columns().flat_map(|(column, datum)| datum.refs().map(move |to| (column, to)));
    let targets = refs.filter_map(|(column, to)| match to {
        Ref::Key(to) if column.holds_children() || to.table.is_root() => Some(to),
        Ref::Key(_) | Ref::Foreign(_) => None,
    });
    let (roots, children): (Vec<_>, Vec<_>) = targets.partition(|to| to.table.is_root());
    roots.into_iter().for_each(|to| add(rows, to, unit, placed));
    if is_workload { &mut unit.ports } else { &mut unit.frame }.push(key);
    children.into_iter().for_each(|to| add(rows, to, unit, placed));
}
