//! Second waist: OVN's Northbound database as values, rows that refer to rows by key.
//!
//! Refuses to know what a VPC is, where rows came from, or how they travel.

pub mod actual;
pub mod beside;
pub mod datum;
pub mod dhcp;
pub mod dump;
pub mod key;
pub mod matching;
pub mod record;
pub mod schema;
pub mod stamp;
pub mod table;
pub mod unit;
pub mod value;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::span::Span;

pub use key::Key;
pub use table::{
    Acl, AddressSet, Bfd, Column, DhcpOptions, Dns, GatewayChassis, HaChassis, HaChassisGroup, LoadBalancer,
    LoadBalancerHealthCheck, LogicalRouter, LogicalRouterPolicy, LogicalRouterPort, LogicalRouterStaticRoute,
    LogicalSwitch, LogicalSwitchPort, Meter, MeterBand, Nat, PortGroup, Qos, Table,
};
pub use value::{Atom, Atoms, Datum, Kind, Ref};

/// A row: the values of its table's managed columns, in the order of [`Table::columns`].
///
/// Only what differs from the schema's default is kept, which is half of a switch port's columns.
#[derive(Clone, Debug)]
pub struct Row {
    table: Table,
    /// Which columns are kept, a bit each.
    kept: u32,
    /// INVARIANT: one for each bit, in order.
    data: Vec<Datum>,
}

/// Two rows are equal when all columns are, kept or not.
impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        self.table == other.table && self.columns().map(|(_, d)| d).eq(other.columns().map(|(_, d)| d))
    }
}

impl Eq for Row {}

impl Row {
    /// A row of `table` from all its managed columns. Panics on a wrong number: a bug of ours.
    pub fn new(table: Table, data: Vec<Datum>) -> Row {
        assert_eq!(data.len(), table.columns().len(), "a row has every managed column");
        let set = data.into_iter().zip(table.columns());
        Row::of(table, set.map(|(datum, column)| (!column.kind.is_default(&datum)).then_some(datum)))
    }

    /// A row of `table` from the columns that are not as the server would have them by itself.
    pub(crate) fn of(table: Table, set: impl IntoIterator<Item = Option<Datum>>) -> Row {
        let mut kept = 0;
        let set = set.into_iter().enumerate().filter_map(|(at, datum)| {
            kept |= u32::from(datum.is_some()) << at;
            datum
        });
        let mut data: Vec<Datum> = set.collect();
        data.shrink_to_fit();
        Row { table, kept, data }
    }

    /// Its table.
    pub fn table(&self) -> Table {
        self.table
    }

    /// Columns with their values.
    pub fn columns(&self) -> impl Iterator<Item = (&'static Column, &Datum)> {
        let mut data = self.data.iter();
        self.table.columns().iter().enumerate().map(move |(at, column)| {
            let datum = if self.keeps(at) { data.next() } else { None };
            (column, datum.unwrap_or(column.kind.unset()))
        })
    }

    /// Columns that differ from what ovsdb-server would store by itself.
    pub fn set_columns(&self) -> impl Iterator<Item = (&'static Column, &Datum)> {
        let columns = self.table.columns().iter().enumerate().filter(|(at, _)| self.keeps(*at));
        let kept = columns.map(|(_, column)| column).zip(&self.data);
        kept.filter(|(column, datum)| !column.kind.is_default(datum))
    }

    /// The value of a column; `None` when the table has no such column among the managed ones.
    pub fn get(&self, column: &str) -> Option<&Datum> {
        let (at, column) = self.table.columns().iter().enumerate().find(|(_, c)| c.name == column)?;
        let kept = if self.keeps(at) { self.data.get(self.nth(at)) } else { None };
        Some(kept.unwrap_or(column.kind.unset()))
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
        let (at, column) = self.table.columns().iter().enumerate().find(|(_, c)| c.name == column)?;
        let nth = self.nth(at);
        if !self.keeps(at) {
            // Most rows get their marks so, and none after them.
            self.data.reserve_exact(1);
            self.data.insert(nth, column.kind.default());
            self.kept |= 1 << at;
        }
        self.data.get_mut(nth)
    }

    /// The same row with other values in the columns that it keeps.
    pub(crate) fn map(&self, mut change: impl FnMut(&'static Column, &Datum) -> Datum) -> Row {
        let columns = self.table.columns().iter().enumerate().filter(|(at, _)| self.keeps(*at));
        let data = columns.zip(&self.data).map(|((_, column), datum)| change(column, datum)).collect();
        Row { table: self.table, kept: self.kept, data }
    }

    fn keeps(&self, at: usize) -> bool {
        self.kept >> at & 1 == 1
    }

    /// Where the value of a column is, or would be.
    fn nth(&self, at: usize) -> usize {
        (self.kept & !(u32::MAX << at)).count_ones() as usize
    }

    /// Lets equal texts be one: a row's name is mostly its key, and what a port may send from is its addresses.
    fn share_texts(&mut self, name: &Arc<str>) {
        let mut before = name;
        for datum in &mut self.data {
            let Datum::Set(atoms) = datum else { continue };
            let [Atom::Text(text)] = &mut **atoms else { continue };
            match [name, before].into_iter().find(|known| *known == text) {
                Some(known) => *text = Arc::clone(known),
                None => before = text,
            }
        }
    }
}

/// The least number of rows that is worth a thread: some milliseconds' work.
pub(crate) const ROWS_MIN: usize = 4096;

/// What the Northbound database should hold for one owner; references are keys.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: BTreeMap<Key, Placed>,
}

/// A row and the YAML that caused it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
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
        let (key, placed) = Rows::placed(key, row, origin);
        let taken = self.rows.insert(key, placed);
        assert!(taken.is_none(), "checks keep keys apart");
    }

    /// A row for [`Rows::append`].
    pub(crate) fn placed(key: Key, row: impl Into<Row>, origin: Option<Span>) -> (Key, Placed) {
        let mut row = row.into();
        assert_eq!(key.table, row.table, "a key names its row's table");
        row.share_texts(&key.name);
        (key, Placed { row, origin })
    }

    /// Adds many rows of keys that nobody has, more than there are. All at once they need no search each, and less
    /// room; best in the order of keys. Panics as [`Rows::insert`] does.
    pub(crate) fn append(&mut self, rows: Vec<(Key, Placed)>) {
        let n = self.rows.len() + rows.len();
        // Those that are there go among them: the other way round, all would be moved once more.
        let few = std::mem::replace(&mut self.rows, rows.into_iter().collect());
        self.rows.extend(few);
        assert_eq!(self.rows.len(), n, "checks keep keys apart");
    }

    /// Adds those of another set. Where both have one (a meter that rules of both name), it stays as it is. Panics where
    /// they are not the same, as [`Rows::insert`] does.
    pub(crate) fn join(&mut self, others: Rows) {
        for (key, placed) in others.rows {
            match self.rows.entry(key) {
                Entry::Vacant(entry) => drop(entry.insert(placed)),
                Entry::Occupied(ours) => {
                    assert_eq!(ours.get().row, placed.row, "checks keep keys apart");
                }
            }
        }
    }

    /// Rows of keys in order, each once, of no YAML. A map that is made at once needs no search for each row.
    pub(crate) fn in_order(rows: impl IntoIterator<Item = (Key, Row)>) -> Rows {
        let placed = rows.into_iter().map(|(key, row)| (key, Placed { row, origin: None }));
        Rows { rows: placed.collect() }
    }

    /// All rows, by table and key, with the YAML that caused each.
    pub(crate) fn into_rows(self) -> impl Iterator<Item = (Key, Row, Option<Span>)> {
        self.rows.into_iter().map(|(key, Placed { row, origin })| (key, row, origin))
    }

    /// Takes a row out; `None` when there was none.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Row> {
        Some(self.rows.remove(key)?.row)
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

    /// The rows of two sets, by table and key: one of each where both have the key. Walking both once takes a
    /// tenth of looking each key up.
    pub(crate) fn beside<'r>(
        &'r self,
        other: &'r Rows,
    ) -> impl Iterator<Item = (&'r Key, Option<&'r Row>, Option<&'r Row>)> {
        let (mut ours, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        std::iter::from_fn(move || {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((ours, _)), Some((theirs, _))) => ours.cmp(theirs),
            };
            let one = if order.is_le() { ours.next() } else { None };
            let other = if order.is_ge() { theirs.next() } else { None };
            let (key, _) = one.or(other)?;
            Some((key, one.map(|(_, row)| row), other.map(|(_, row)| row)))
        })
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
