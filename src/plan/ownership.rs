//! Ours and not ours: foreign rows in the way, foreign rows taken over, foreign rows that would
//! suffer.
//!
//! Refuses to change a foreign row that nobody asked to adopt.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;

use crate::nb::actual::{self, Actual, View};
use crate::nb::stamp::{self, external_id};
use crate::nb::{Atom, Datum, Key, Ref, Row, Rows, Table};
use crate::visible::visible;

/// Something that is not ours stands between us and the wanted rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Our row.
    pub key: Key,
    /// `file:line` of the YAML that wants it.
    pub place: Option<String>,
    /// What is in the way.
    pub cause: Cause,
    /// The other row; `None` where it is the server itself.
    pub other: Option<Other>,
}

/// What kind of thing is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A foreign row has the name.
    NameTaken,
    /// A foreign row has the UUID that ours would have.
    UuidTaken,
    /// A router port and a switch port cannot share a name: northd drops one of them.
    NameOnOtherSide,
    /// Our row is to go, and a foreign row lives in this column of it.
    HoldsForeign(&'static str),
    /// A foreign row refers, in this column, to our row that is to go.
    ReferredByForeign(&'static str),
    /// Our row is also in this column of a foreign row.
    HeldByForeign(&'static str),
    /// The server's schema has no such table or column.
    NotOnServer(Option<&'static str>),
}

/// A row of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Other {
    /// Its table.
    pub table: Table,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Whose it is, as far as the row says.
    pub holder: Option<String>,
}

impl Other {
    /// Who a live row is.
    pub(super) fn new(uuid: Uuid, row: &Row) -> Other {
        Other { table: row.table(), uuid, name: actual::name(row).map(str::to_owned), holder: holder(row) }
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Other { table, uuid, name, holder } = self;
        write!(f, "{} ", table.name())?;
        if let Some(name) = name {
            write!(f, "`{}` ", visible(name))?;
        }
        write!(f, "({uuid})")?;
        match holder {
            Some(holder) => write!(f, ", which belongs to {holder}"),
            None => write!(f, ", which carries no mark of ours"),
        }
    }
}

impl Conflict {
    /// What to do about it, where something can be done.
    pub fn help(&self) -> Option<&'static str> {
        match self.cause {
            Cause::NameTaken | Cause::UuidTaken => {
                Some("use another name, or take the row over with `--adopt`")
            }
            Cause::NameOnOtherSide => Some("use another name for one of them"),
            Cause::HoldsForeign(_) => Some("let its owner move or delete it first"),
            Cause::ReferredByForeign(_) => Some("let its owner drop the reference first"),
            Cause::HeldByForeign(_) => Some("take it out of there first"),
            Cause::NotOnServer(_) => Some("upgrade the database's schema, or do without the feature"),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflict { key, cause, other, place: _ } = self;
        match cause {
            Cause::NameTaken => write!(f, "{key}: the name is taken by ")?,
            Cause::UuidTaken => write!(f, "{key}: the UUID is taken by ")?,
            Cause::NameOnOtherSide => write!(f, "{key}: ovn-northd would drop it or ")?,
            Cause::HoldsForeign(column) => write!(f, "{key}: to be deleted, but its `{column}` hold ")?,
            Cause::ReferredByForeign(column) => write!(f, "{key}: to be deleted, but in the `{column}` of ")?,
            Cause::HeldByForeign(column) => write!(f, "{key}: is also in the `{column}` of ")?,
            Cause::NotOnServer(Some(column)) => write!(f, "{key}: the server has no column `{column}`")?,
            Cause::NotOnServer(None) => write!(f, "{key}: the server has no such table")?,
        }
        other.as_ref().map_or(Ok(()), |other| other.fmt(f))
    }
}

/// Whose row it is, as far as its `external_ids` say.
pub fn holder(row: &Row) -> Option<String> {
    if let Some(owner) = external_id(row, stamp::OWNER) {
        return Some(format!("northc's owner `{}`", visible(owner)));
    }
    if let Some(vendor) = external_id(row, "vendor") {
        return Some(format!("`{}`", visible(vendor)));
    }
    let Some(Datum::Map(pairs)) = row.get("external_ids") else { return None };
    let is_neutron = |(key, _): &(Atom, Atom)| matches!(key, Atom::Text(key) if key.starts_with("neutron:"));
    pairs.iter().any(is_neutron).then(|| "`neutron`".to_owned())
}

/// The foreign rows that stand where a wanted row belongs.
pub(super) fn in_the_way(desired: &Rows, view: &View, owner: &str) -> BTreeMap<Key, (Cause, Uuid)> {
    let mut named: BTreeMap<(Table, &str), Uuid> = BTreeMap::new();
    for ((table, uuid), row) in view.foreign.iter().filter(|((table, _), _)| table.is_named()) {
        named.extend(actual::name(row).map(|name| ((*table, name), *uuid)));
    }
    let mut found = BTreeMap::new();
    if view.foreign.is_empty() {
        return found;
    }
    for (key, row, live) in desired.beside(&view.rows) {
        let Some(row) = row else { continue };
        if live.is_some_and(|live| actual::name(live) == actual::name(row)) {
            continue;
        }
        let uuid = key.uuid(owner);
        if live.is_none() && view.foreign.contains_key(&(key.table, uuid)) {
            found.insert(key.clone(), (Cause::UuidTaken, uuid));
        } else if let Some(uuid) = actual::name(row).and_then(|name| named.get(&(key.table, name))) {
            found.insert(key.clone(), (Cause::NameTaken, *uuid));
        }
    }
    found
}

/// Foreign children of adopted rows that are, but for their marks, rows that we want: without them
/// an adopted router would keep its old route beside our equal one.
pub(super) fn equal_children(
    desired: &Rows,
    view: &View,
    adopted: &BTreeMap<Key, Uuid>,
) -> BTreeMap<Key, Uuid> {
    let mut found = BTreeMap::new();
    for (key, uuid) in adopted {
        let (Some(wanted), Some(live)) = (desired.get(key), view.foreign.get(&(key.table, *uuid))) else {
            continue;
        };
        for ((column, wanted), (_, live)) in wanted.columns().zip(live.columns()) {
            let Some(target) = column.target.filter(|_| column.holds_children()) else { continue };
            let mut candidates: BTreeSet<Uuid> = live.refs().filter_map(foreign_uuid).collect();
            let missing = wanted.refs().filter_map(own_key).filter(|key| !view.uuids.contains_key(*key));
            for key in missing.filter(|key| !adopted.contains_key(*key)) {
                let Some(wanted) = desired.get(key) else { continue };
                let is_same = |uuid: &&Uuid| {
                    view.foreign.get(&(target, **uuid)).is_some_and(|live| is_equal(wanted, live))
                };
                let Some(uuid) = candidates.iter().find(is_same).copied() else { continue };
                candidates.remove(&uuid);
                found.insert(key.clone(), uuid);
            }
        }
    }
    found
}

fn is_equal(wanted: &Row, live: &Row) -> bool {
    let mut columns = wanted.columns().zip(live.columns());
    columns.all(|((column, wanted), (_, live))| {
        column.name == "external_ids" || column.target.is_some() || wanted == live
    })
}

pub(super) fn own_key(to: &Ref) -> Option<&Key> {
    match to {
        Ref::Key(key) => Some(key),
        Ref::Foreign(_) => None,
    }
}

pub(super) fn foreign_uuid(to: &Ref) -> Option<Uuid> {
    match to {
        Ref::Key(_) => None,
        Ref::Foreign(uuid) => Some(*uuid),
    }
}

/// Everything that is in the way, and our rows that cannot be deleted because a foreign row holds
/// them. `doomed` are the rows to be deleted.
pub(super) fn conflicts(
    desired: &Rows,
    actual: &Actual,
    view: &View,
    owner: &str,
    doomed: &BTreeMap<(Table, Uuid), Key>,
) -> Vec<Conflict> {
    let mut found = Vec::new();
    let conflict = |key: &Key, cause, other| Conflict { key: key.clone(), place: None, cause, other };
    for (key, (cause, uuid)) in in_the_way(desired, view, owner) {
        let other = view.foreign.get(&(key.table, uuid)).map(|row| Other::new(uuid, row));
        found.push(conflict(&key, cause, other));
    }
    for (key, uuid, row) in on_other_side(desired, view) {
        found.push(conflict(key, Cause::NameOnOtherSide, Some(Other::new(uuid, row))));
    }
    for ((table, uuid), key) in doomed {
        let Some(row) = actual.get(*table, *uuid) else { continue };
        for (column, target, member) in children(row) {
            if let Some(row) = view.foreign.get(&(target, member)) {
                let other = Other::new(member, row);
                found.push(conflict(key, Cause::HoldsForeign(column), Some(other)));
            }
        }
    }
    found.extend(foreign_references(view, doomed));
    found.extend(lacks(desired, actual));
    found.sort();
    found.dedup();
    found
}

/// The children that a row holds: column, their table, their UUIDs.
fn children(row: &Row) -> impl Iterator<Item = (&'static str, Table, Uuid)> {
    let columns = row.columns().filter(|(column, _)| column.holds_children());
    columns.filter_map(|(column, datum)| Some((column, column.target?, datum))).flat_map(
        |(column, target, datum)| {
            datum.refs().filter_map(foreign_uuid).map(move |uuid| (column.name, target, uuid))
        },
    )
}

fn on_other_side<'r>(desired: &'r Rows, view: &'r View) -> Vec<(&'r Key, Uuid, &'r Row)> {
    let mut found = Vec::new();
    let sides = [Table::LogicalRouterPort, Table::LogicalSwitchPort];
    for (ours, theirs) in [(sides[0], sides[1]), (sides[1], sides[0])] {
        let foreign = view.foreign.range((theirs, Uuid::nil())..=(theirs, Uuid::max()));
        let foreign = foreign.filter_map(|((_, uuid), row)| Some((actual::name(row)?, (*uuid, &**row))));
        let foreign: BTreeMap<&str, (Uuid, &Row)> = foreign.collect();
        if foreign.is_empty() {
            continue;
        }
        for (key, row) in desired.table(ours) {
            if let Some((uuid, row)) = actual::name(row).and_then(|name| foreign.get(name)) {
                found.push((key, *uuid, *row));
            }
        }
    }
    found
}

/// Foreign rows that refer to our rows: as their parent, or to a row that is to go.
fn foreign_references(view: &View, doomed: &BTreeMap<(Table, Uuid), Key>) -> Vec<Conflict> {
    if view.foreign.is_empty() {
        return Vec::new();
    }
    let ours: BTreeMap<(Table, Uuid), &Key> =
        view.uuids.iter().map(|(key, uuid)| ((key.table, *uuid), key)).collect();
    let mut found = Vec::new();
    for ((_, other), row) in &view.foreign {
        for (column, datum) in row.columns() {
            let Some(target) = column.target else { continue };
            for uuid in datum.refs().filter_map(foreign_uuid) {
                let at = (target, uuid);
                let (key, cause) = match (ours.get(&at), doomed.get(&at)) {
                    (Some(key), _) if column.holds_children() => (*key, Cause::HeldByForeign(column.name)),
                    (_, Some(key)) => (key, Cause::ReferredByForeign(column.name)),
                    (_, None) => continue,
                };
                let other = Some(Other::new(*other, row));
                found.push(Conflict { key: key.clone(), place: None, cause, other });
            }
        }
    }
    found
}

/// What we want to write and the server has no column for.
fn lacks(desired: &Rows, actual: &Actual) -> Vec<Conflict> {
    if actual.lacks().is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (key, row) in desired.iter() {
        for (column, _) in row.set_columns() {
            if !actual.has_column(key.table, column.name) {
                let cause = Cause::NotOnServer(Some(column.name));
                found.push(Conflict { key: key.clone(), place: None, cause, other: None });
            }
        }
    }
    found
}
