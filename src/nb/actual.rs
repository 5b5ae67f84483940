//! What a live Northbound database holds: every row of the tables that northc writes, by UUID, and
//! the same seen with one owner's eyes.
//!
//! Refuses to know how rows were read, and to judge what should happen to them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::beside::Beside;
use super::value::{Atom, Datum, Ref};
use super::{Key, ROWS_MIN, Row, Rows, Table, stamp};
use crate::parallel;

/// A table or column that northc writes and the server does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// The table.
    pub table: Table,
    /// The column; `None` when the whole table is missing.
    pub column: Option<&'static str>,
}

/// Every row of a live database at one moment, whoever owns it. References are [`Ref::Foreign`].
#[derive(Clone, Debug, Default)]
pub struct Actual {
    tables: BTreeMap<Table, BTreeMap<Uuid, Arc<Row>>>,
    lacks: BTreeSet<Lack>,
    touched: Touched,
    /// What else it says, where somebody has asked for that.
    pub beside: Beside,
}

/// Two databases are equal when their rows are, however they came to them.
impl PartialEq for Actual {
    fn eq(&self, other: &Actual) -> bool {
        self.tables == other.tables && self.lacks == other.lacks
    }
}

impl Eq for Actual {}

impl Actual {
    /// An empty database that lacks these tables and columns.
    pub fn new(lacks: BTreeSet<Lack>) -> Actual {
        Actual { lacks, ..Actual::default() }
    }

    /// What northc can write and this server cannot hold. A row read from it has the default there.
    pub fn lacks(&self) -> &BTreeSet<Lack> {
        &self.lacks
    }

    /// True when the server has this column of this table.
    pub fn has_column(&self, table: Table, column: &'static str) -> bool {
        let whole = Lack { table, column: None };
        !self.lacks.contains(&whole) && !self.lacks.contains(&Lack { table, column: Some(column) })
    }

    /// Adds a row, or puts it in the place of the one with that UUID.
    pub fn insert(&mut self, uuid: Uuid, row: Row) {
        self.touched.add(row.table(), uuid);
        self.tables.entry(row.table()).or_default().insert(uuid, Arc::new(row));
    }

    /// Takes a row out; `None` when there was none.
    pub fn remove(&mut self, table: Table, uuid: Uuid) -> Option<Arc<Row>> {
        self.touched.add(table, uuid);
        let rows = self.tables.get_mut(&table)?;
        let row = rows.remove(&uuid);
        if rows.is_empty() {
            self.tables.remove(&table);
        }
        row
    }

    /// This moment, for [`Actual::touched_since`].
    pub fn moment(&self) -> Moment {
        Moment { line: self.touched.line, n: self.touched.n }
    }

    /// Which rows came, changed or went since a moment of this database; `None` when that is not known: too many
    /// did, or it was a moment of another.
    pub fn touched_since(&self, moment: Moment) -> Option<BTreeSet<(Table, Uuid)>> {
        self.touched.since(moment)
    }

    /// The copy that goes on where the one from which it was made stands still.
    #[cfg(feature = "live")]
    pub(crate) fn successor(&self) -> Actual {
        let Touched { line, n, ref last } = self.touched;
        Actual { touched: Touched { line, n, last: last.clone() }, ..self.clone() }
    }

    /// A row by its UUID.
    pub fn get(&self, table: Table, uuid: Uuid) -> Option<&Arc<Row>> {
        self.tables.get(&table)?.get(&uuid)
    }

    /// A row by its UUID, to change it. Snapshots that share it keep the old one.
    pub fn get_mut(&mut self, table: Table, uuid: Uuid) -> Option<&mut Row> {
        self.touched.add(table, uuid);
        self.tables.get_mut(&table)?.get_mut(&uuid).map(Arc::make_mut)
    }

    /// The rows of one table, by UUID.
    pub fn table(&self, table: Table) -> impl Iterator<Item = (Uuid, &Arc<Row>)> {
        self.tables.get(&table).into_iter().flatten().map(|(uuid, row)| (*uuid, row))
    }

    /// All rows, by table and UUID.
    pub fn iter(&self) -> impl Iterator<Item = (Uuid, &Arc<Row>)> {
        self.tables.values().flatten().map(|(uuid, row)| (*uuid, row))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.tables.values().map(BTreeMap::len).sum()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.tables.values().all(BTreeMap::is_empty)
    }
}

/// A moment of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    line: u64,
    n: u64,
}

/// The rows that were touched last, so that whoever looked before need not look at all of them.
#[derive(Debug)]
struct Touched {
    /// Which database: a copy is another, since both may change.
    line: u64,
    /// How many rows were touched, ever.
    n: u64,
    /// The last of them.
    last: VecDeque<(Table, Uuid)>,
}

/// So many are remembered: a large plan touches more, and is better followed by a look at everything.
const N_TOUCHED_MAX: usize = 8192;

impl Default for Touched {
    fn default() -> Touched {
        static N_LINES: AtomicU64 = AtomicU64::new(0);
        Touched { line: N_LINES.fetch_add(1, Ordering::Relaxed), n: 0, last: VecDeque::new() }
    }
}

impl Clone for Touched {
    fn clone(&self) -> Touched {
        Touched::default()
    }
}

impl Touched {
    fn add(&mut self, table: Table, uuid: Uuid) {
        if self.last.len() == N_TOUCHED_MAX {
            self.last.pop_front();
        }
        self.last.push_back((table, uuid));
        self.n += 1;
    }

    fn since(&self, moment: Moment) -> Option<BTreeSet<(Table, Uuid)>> {
        let n = usize::try_from(self.n.checked_sub(moment.n)?).ok()?;
        let from = self.last.len().checked_sub(n)?;
        (self.line == moment.line).then(|| self.last.range(from..).copied().collect())
    }
}

/// The name under which people know a row: its `name` column, where the table has one.
pub fn name(row: &Row) -> Option<&str> {
    name_in(row.get("name")?)
}

/// The name in a value of a `name` column; an empty one is none.
pub fn name_in(datum: &Datum) -> Option<&str> {
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [Atom::Text(name)] if !name.is_empty() => Some(name),
            _ => None,
        },
        Datum::Map(_) => None,
    }
}

/// A live database as one owner sees it: its own rows by key, and everything else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The owner's rows. References among them are keys; all others are [`Ref::Foreign`].
    pub rows: Rows,
    /// The UUID that each of them has, derived from its key or not (rows that were adopted).
    pub uuids: BTreeMap<Key, Uuid>,
    /// Those of them that do not follow from the key.
    pub odd: BTreeMap<Key, Uuid>,
    /// Rows with the owner's mark beside those: a second row of a key (somebody copied it), or one
    /// whose key is unreadable (`None`). References to them in `rows` are [`Ref::Foreign`].
    pub extra: BTreeMap<(Table, Uuid), Option<Key>>,
    /// Rows of nobody and of other owners; [`stamp::external_id`] of [`stamp::OWNER`] says whose.
    pub foreign: BTreeMap<(Table, Uuid), Arc<Row>>,
}

impl View {
    /// The view of `owner`, who wants the rows of `desired`.
    ///
    /// A row is its owner's when it carries the owner's mark, or when it has no owner's mark and its
    /// UUID is the one that follows from a desired key: somebody wiped the marks, and the UUID still
    /// proves it. Of several rows with one key, the one with the derived UUID is the row, else the
    /// one with the lowest.
    pub fn new(actual: &Actual, owner: &str, desired: &Rows) -> View {
        let wanted = with_uuids(desired, owner);
        let derived: HashMap<(Table, Uuid), usize> =
            wanted.iter().enumerate().map(|(at, (key, uuid))| ((key.table, *uuid), at)).collect();
        let mut is_there = vec![false; wanted.len()];
        let mut view = View::default();
        let mut claims: BTreeMap<Key, Vec<Uuid>> = BTreeMap::new();
        for (uuid, row) in actual.iter() {
            let at = (row.table(), uuid);
            match (stamp::external_id(row, stamp::OWNER), derived.get(&at)) {
                (Some(mark), Some(known)) if mark == owner => is_there[*known] = true,
                (None, Some(known)) => is_there[*known] = true,
                (Some(mark), None) if mark == owner => match key_mark(row) {
                    Some(key) => claims.entry(key).or_default().push(uuid),
                    None => {
                        view.extra.insert(at, None);
                    }
                },
                (Some(_) | None, _) => {
                    view.foreign.insert(at, row.clone());
                }
            }
        }
        let there = wanted.iter().zip(&is_there).filter(|(_, is_there)| **is_there);
        // In the order of keys, which is how a map is made at once.
        view.uuids = there.map(|((key, uuid), _)| ((*key).clone(), *uuid)).collect();
        let mut claimed: HashMap<(Table, Uuid), Key> = HashMap::new();
        for (key, mut uuids) in claims {
            if !view.uuids.contains_key(&key) {
                let derived = key.uuid(owner);
                let at = uuids.iter().position(|uuid| *uuid == derived).unwrap_or(0);
                let uuid = uuids.remove(at);
                view.uuids.insert(key.clone(), uuid);
                claimed.insert((key.table, uuid), key.clone());
                if uuid != derived {
                    view.odd.insert(key.clone(), uuid);
                }
            }
            view.extra.extend(uuids.into_iter().map(|uuid| ((key.table, uuid), Some(key.clone()))));
        }
        view.fill(actual, |at| match derived.get(&at) {
            Some(nth) if is_there[*nth] => Some(wanted[*nth].0),
            Some(_) | None => claimed.get(&at),
        });
        view
    }

    /// The same view after the owner took these foreign rows over: each keeps its UUID.
    #[must_use]
    pub fn adopt(mut self, actual: &Actual, taken: BTreeMap<Key, Uuid>) -> View {
        for (key, uuid) in taken {
            self.foreign.remove(&(key.table, uuid));
            self.odd.insert(key.clone(), uuid);
            if let Some(old) = self.uuids.insert(key.clone(), uuid) {
                self.extra.insert((key.table, old), Some(key));
            }
        }
        let keys = self.uuids.iter().map(|(key, uuid)| ((key.table, *uuid), key.clone()));
        let keys: HashMap<(Table, Uuid), Key> = keys.collect();
        self.fill(actual, |at| keys.get(&at));
        self
    }

    /// Copies the owner's rows with references to its own rows turned into keys.
    fn fill<'k>(&mut self, actual: &Actual, key_of: impl Fn((Table, Uuid)) -> Option<&'k Key> + Sync) {
        let row = |key: &Key, uuid| Some(by_key(actual.get(key.table, uuid)?, &key_of));
        let all: Vec<(&Key, &Uuid)> = self.uuids.iter().collect();
        let rows = parallel::map_parts(&all, ROWS_MIN, |part| {
            let rows = part.iter().filter_map(|(key, uuid)| Some(((*key).clone(), row(key, **uuid)?)));
            rows.collect::<Vec<_>>()
        });
        self.rows = Rows::in_order(rows.into_iter().flatten());
    }
}

/// The rows' UUIDs where nothing is odd.
fn with_uuids<'r>(rows: &'r Rows, owner: &str) -> Vec<(&'r Key, Uuid)> {
    let keys: Vec<&Key> = rows.iter().map(|(key, _)| key).collect();
    let with_uuid = |part: &[&'r Key]| part.iter().map(|key| (*key, key.uuid(owner))).collect::<Vec<_>>();
    parallel::map_parts(&keys, ROWS_MIN, with_uuid).into_iter().flatten().collect()
}

/// The row with references to rows that have a key turned into that.
pub(crate) fn by_key<'k>(row: &Row, key_of: impl Fn((Table, Uuid)) -> Option<&'k Key>) -> Row {
    row.map(|column, datum| match (column.target, datum) {
        (Some(target), Datum::Set(atoms)) => Datum::set(atoms.iter().map(|atom| match atom {
            Atom::Ref(Ref::Foreign(to)) => Atom::Ref(match key_of((target, *to)) {
                Some(key) => Ref::Key(key.clone()),
                None => Ref::Foreign(*to),
            }),
            other => other.clone(),
        })),
        _ => datum.clone(),
    })
}

/// The key that a row of ours says it has.
pub(crate) fn key_mark(row: &Row) -> Option<Key> {
    stamp::external_id(row, stamp::KEY).map(|name| Key::new(row.table(), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nb::{LogicalSwitch, LogicalSwitchPort};

    fn desired() -> Rows {
        let mut rows = Rows::new();
        let port = Key::new(Table::LogicalSwitchPort, "p");
        rows.insert(port.clone(), LogicalSwitchPort { name: "p".into(), ..Default::default() }, None);
        let ports = [Ref::Key(port)].into();
        let switch = LogicalSwitch { name: "s".into(), ports, ..Default::default() };
        rows.insert(Key::new(Table::LogicalSwitch, "s"), switch, None);
        stamp::stamp(&mut rows, "me");
        rows
    }

    fn stored(rows: &Rows, owner: &str) -> Actual {
        let mut actual = Actual::default();
        for (key, row) in rows.iter() {
            let row = row.map(|_, datum| match datum {
                Datum::Set(atoms) => Datum::set(atoms.iter().map(|atom| match atom {
                    Atom::Ref(Ref::Key(to)) => Atom::Ref(Ref::Foreign(to.uuid(owner))),
                    other => other.clone(),
                })),
                Datum::Map(_) => datum.clone(),
            });
            actual.insert(key.uuid(owner), row);
        }
        actual
    }

    #[test]
    fn what_was_written_is_seen_again() {
        let rows = desired();
        let view = View::new(&stored(&rows, "me"), "me", &rows);
        assert_eq!(view.rows, rows);
        assert!(view.extra.is_empty() && view.foreign.is_empty());
        let other = View::new(&stored(&rows, "me"), "you", &rows);
        assert_eq!((other.rows.len(), other.foreign.len()), (0, 2));
    }

    #[test]
    fn a_copied_row_is_extra_and_a_wiped_one_is_still_ours() {
        let rows = desired();
        let mut actual = stored(&rows, "me");
        let key = Key::new(Table::LogicalSwitchPort, "p");
        let port = actual.get(key.table, key.uuid("me")).expect("stored").as_ref().clone();
        actual.insert(Uuid::nil(), port);
        let ours = actual.get_mut(key.table, key.uuid("me")).expect("stored");
        *ours.get_mut("external_ids").expect("a column") = Datum::Map(Box::default());
        let view = View::new(&actual, "me", &rows);
        assert_eq!(view.uuids[&key], key.uuid("me"));
        assert_eq!(view.extra[&(key.table, Uuid::nil())], Some(key.clone()));
        let switch = view.rows.get(&Key::new(Table::LogicalSwitch, "s")).expect("seen");
        assert_eq!(switch.get("ports"), Some(&Datum::set([Atom::Ref(Ref::Key(key))])));
    }
}
