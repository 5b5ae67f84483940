//! Second waist: OVN's Northbound database as values, rows that refer to rows by key.
//!
//! Refuses to know what a VPC is, where rows came from, or how they travel.

pub mod actual;
pub mod datum;
pub mod dhcp;
pub mod key;
pub mod matching;
pub mod record;
pub mod schema;
pub mod stamp;
pub mod table;
pub mod unit;
pub mod value;

use std::collections::BTreeMap;

use crate::span::Span;

pub use key::Key;
pub use table::{
    Acl, AddressSet, Bfd, Column, DhcpOptions, Dns, GatewayChassis, HaChassis, HaChassisGroup, LoadBalancer,
    LoadBalancerHealthCheck, LogicalRouter, LogicalRouterPolicy, LogicalRouterPort, LogicalRouterStaticRoute,
    LogicalSwitch, LogicalSwitchPort, Meter, MeterBand, Nat, PortGroup, Qos, Table,
};
pub use value::{Atom, Datum, Kind, Ref};

/// A row: the values of its table's managed columns, in the order of [`Table::columns`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    table: Table,
    data: Vec<Datum>,
}

impl Row {
    /// A row of `table` from all its managed columns. Panics on a wrong number: a bug of ours.
    pub fn new(table: Table, data: Vec<Datum>) -> Row {
        assert_eq!(data.len(), table.columns().len(), "a row has every managed column");
        Row { table, data }
    }

    /// Its table.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The values, in the order of [`Table::columns`].
    pub fn data(&self) -> &[Datum] {
        &self.data
    }

    /// Columns with their values.
    pub fn columns(&self) -> impl Iterator<Item = (&'static Column, &Datum)> {
        self.table.columns().iter().zip(&self.data)
    }

    /// Columns that differ from what ovsdb-server would store by itself.
    pub fn set_columns(&self) -> impl Iterator<Item = (&'static Column, &Datum)> {
        self.columns().filter(|(column, datum)| !column.kind.is_default(datum))
    }

    /// The value of a column; `None` when the table has no such column among the managed ones.
    pub fn get(&self, column: &str) -> Option<&Datum> {
        self.columns().find(|(c, _)| c.name == column).map(|(_, datum)| datum)
    }

    /// The text under a key of a map.
    pub fn pair(&self, column: &str, key: &str) -> Option<&str> {
        let Some(Datum::Map(pairs)) = self.get(column) else { return None };
        pairs.iter().find_map(|(k, v)| match (k, v) {
            (Atom::Text(k), Atom::Text(v)) if **k == *key => Some(&**v),
            _ => None,
        })
    }

    /// The value of a column, to change it.
    pub fn get_mut(&mut self, column: &str) -> Option<&mut Datum> {
        let at = self.table.columns().iter().position(|c| c.name == column)?;
        self.data.get_mut(at)
    }
}

/// What the Northbound database should hold for one owner; references are keys.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: BTreeMap<Key, Placed>,
}

/// A row and the YAML that caused it.
#[derive(Clone, Debug)]
struct Placed {
    row: Row,
    origin: Option<Span>,
}

/// Two sets of rows are equal when their rows are; where they were written does not matter.
impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Rows {
    /// No rows.
    pub fn new() -> Rows {
        Rows::default()
    }

    /// Adds a row under its key, with the YAML that caused it. Panics when the key is taken: the
    /// checks refuse every input that would mint one key twice, so this is a bug of ours.
    pub fn insert(&mut self, key: Key, row: impl Into<Row>, origin: Option<Span>) {
        let row = row.into();
        assert_eq!(key.table, row.table, "a key names its row's table");
        let taken = self.rows.insert(key, Placed { row, origin });
        assert!(taken.is_none(), "checks keep keys apart");
    }

    /// The row behind a key.
    pub fn get(&self, key: &Key) -> Option<&Row> {
        Some(&self.rows.get(key)?.row)
    }

    /// The row behind a key, with the key as kept here.
    pub fn entry(&self, key: &Key) -> Option<(&Key, &Row)> {
        self.rows.get_key_value(key).map(|(key, placed)| (key, &placed.row))
    }

    /// Which YAML caused the row.
    pub fn origin(&self, key: &Key) -> Option<Span> {
        self.rows.get(key)?.origin
    }

    /// All rows, by table and key.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Row)> {
        self.rows.iter().map(|(key, placed)| (key, &placed.row))
    }

    /// All rows, by table and key, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Row)> {
        self.rows.iter_mut().map(|(key, placed)| (key, &mut placed.row))
    }

    /// The rows of one table, by key.
    pub fn table(&self, table: Table) -> impl Iterator<Item = (&Key, &Row)> {
        let from = self.rows.range(Key::new(table, "")..).take_while(move |(key, _)| key.table == table);
        from.map(|(key, placed)| (key, &placed.row))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
