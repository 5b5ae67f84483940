//! Which VPC a row is part of, so that one VPC's changes stay together.
//!
//! A child belongs to its parent, a switch to the router that one of its ports names, a set of DHCP
//! options to the switch whose port uses it first, a port group to the switch of its first port. Refuses to
//! know VPCs otherwise.

use std::collections::HashMap;

use super::ownership::own_key;
use crate::nb::{Atom, Datum, Key, Ref, Row, Rows, Table};

/// The root row that stands for each row's group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    parents: HashMap<Key, Key>,
    routers: HashMap<Key, Key>,
}

impl Groups {
    /// The groups of the rows that are wanted and of those that are there; the wanted say first.
    pub(super) fn new(desired: &Rows, live: &Rows) -> Groups {
        let mut groups = Groups::default();
        groups.add(desired, live);
        groups
    }

    /// Takes in rows that changed: what the wanted ones say now goes before what was said. A row that is gone
    /// keeps its group.
    pub(super) fn learn(&mut self, desired: &Rows, live: &Rows) {
        for (key, row) in desired.iter() {
            for (_, datum) in row.set_columns().filter(|(column, _)| column.holds_children()) {
                datum.refs().filter_map(own_key).for_each(|child| drop(self.parents.remove(child)));
            }
            if key.table == Table::PortGroup {
                self.parents.remove(key);
            }
        }
        self.add_parents(desired);
        let ports = desired.table(Table::LogicalSwitchPort);
        for (key, _) in ports.filter(|(_, row)| router_port(row).is_some()) {
            self.parents.get(key).and_then(|switch| self.routers.remove(switch));
        }
        self.add(desired, live);
    }

    fn add(&mut self, desired: &Rows, live: &Rows) {
        for rows in [desired, live] {
            self.add_parents(rows);
        }
        for rows in [desired, live] {
            self.add_port_groups(rows);
        }
        for rows in [desired, live] {
            self.add_routers(rows);
        }
    }

    /// The router, or else the switch or other root, that the row is part of.
    pub(super) fn of(&self, key: &Key) -> Key {
        let mut root = key;
        while let Some(parent) = self.parents.get(root) {
            root = parent;
        }
        self.routers.get(root).unwrap_or(root).clone()
    }

    fn add_parents(&mut self, rows: &Rows) {
        for (key, row) in rows.iter() {
            for (column, datum) in row.columns().filter(|(column, _)| column.target.is_some()) {
                for to in datum.refs() {
                    let Ref::Key(to) = to else { continue };
                    if column.holds_children() {
                        self.parents.entry(to.clone()).or_insert_with(|| key.clone());
                    }
                }
            }
        }
        for (key, row) in rows.table(Table::LogicalSwitchPort) {
            let Some(switch) = self.parents.get(key).cloned() else { continue };
            for (_, datum) in row.columns().filter(|(column, _)| column.target.is_some_and(Table::is_root)) {
                for to in datum.refs() {
                    let Ref::Key(to) = to else { continue };
                    self.parents.entry(to.clone()).or_insert_with(|| switch.clone());
                }
            }
        }
    }

    fn add_port_groups(&mut self, rows: &Rows) {
        for (key, row) in rows.table(Table::PortGroup) {
            let ports = row.get("ports").into_iter().flat_map(Datum::refs);
            let mut switches = ports.filter_map(own_key).filter_map(|port| self.parents.get(port).cloned());
            if let Some(switch) = switches.next() {
                self.parents.entry(key.clone()).or_insert(switch);
            }
        }
    }

    fn add_routers(&mut self, rows: &Rows) {
        for (key, row) in rows.table(Table::LogicalSwitchPort) {
            let port = router_port(row).map(|name| Key::new(Table::LogicalRouterPort, name));
            let router = port.and_then(|port| self.parents.get(&port));
            let (Some(switch), Some(router)) = (self.parents.get(key), router) else { continue };
            let (switch, router) = (switch.clone(), router.clone());
            self.routers.entry(switch).or_insert(router);
        }
    }
}

/// The router port that a switch port names (`options:router-port`, ovn-nb(5)).
fn router_port(row: &Row) -> Option<&str> {
    let Datum::Map(pairs) = row.get("options")? else { return None };
    pairs.iter().find_map(|(key, value)| match (key, value) {
        (Atom::Text(key), Atom::Text(value)) if **key == *"router-port" => Some(&**value),
        _ => None,
    })
}
