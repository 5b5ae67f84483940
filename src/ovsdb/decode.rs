//! What a monitor sends, read straight into rows: a dump of tens of megabytes never becomes a tree of
//! JSON values on the way.
//!
//! Knows the three notations: `<table-updates>` (RFC 7047 §4.1.6), and `<table-updates2>` of
//! `monitor_cond` and `monitor_cond_since` (ovsdb-server(7) §4.1.13–15). Refuses to keep rows.

use std::fmt;

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use uuid::Uuid;

use crate::nb::{Atom, Column, Datum, Kind, Ref, Row, Table};

/// What a monitor's reply or notification says.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    /// False when the changes are a whole new dump.
    pub(crate) found: bool,
    /// The transaction that brought the database here; nil where the server counts none.
    pub(crate) txn: Uuid,
    pub(crate) changes: Vec<Change>,
}

/// A change of one row.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) uuid: Uuid,
    pub(crate) what: What,
}

/// What happened to a row.
#[derive(Debug)]
pub(crate) enum What {
    /// It is there and was not.
    New(Row),
    /// `<table-updates>` only: it is now so, whatever it was.
    Now(Row),
    /// Columns, by index, and their differences.
    Modified(Vec<(usize, Datum)>),
    /// It is gone.
    Gone,
}

/// Where in a message the updates stand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// The reply of `monitor` and `monitor_cond`: they are the message.
    Alone,
    /// The reply of `monitor_cond_since`: `[found, txn, updates]`.
    FoundTxn,
    /// `update` and `update2`: `[monitor, updates]`.
    Monitor,
    /// `update3`: `[monitor, txn, updates]`.
    MonitorTxn,
}

/// Reads updates.
pub(crate) fn updates(json: &str, layout: Layout) -> Result<Updates, String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = LayoutSeed(layout).deserialize(&mut deserializer);
    read.map_err(|error| format!("an update cannot be read: {error}"))
}

struct LayoutSeed(Layout);

impl<'de> DeserializeSeed<'de> for LayoutSeed {
    type Value = Updates;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Updates, D::Error> {
        match self.0 {
            Layout::Alone => {
                let mut updates = Updates::default();
                Tables(&mut updates.changes).deserialize(deserializer)?;
                Ok(updates)
            }
            Layout::FoundTxn | Layout::Monitor | Layout::MonitorTxn => deserializer.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for LayoutSeed {
    type Value = Updates;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parameters of a monitor")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Updates, A::Error> {
        let short = || de::Error::custom("too few parameters");
        let mut updates = Updates { found: true, ..Updates::default() };
        match self.0 {
            Layout::FoundTxn => updates.found = seq.next_element()?.ok_or_else(short)?,
            Layout::Alone | Layout::Monitor | Layout::MonitorTxn => {
                seq.next_element::<IgnoredAny>()?.ok_or_else(short)?;
            }
        }
        if matches!(self.0, Layout::FoundTxn | Layout::MonitorTxn) {
            updates.txn = seq.next_element_seed(UuidText)?.ok_or_else(short)?;
        }
        seq.next_element_seed(Tables(&mut updates.changes))?.ok_or_else(short)?;
        Ok(updates)
    }
}

/// `{table: {uuid: update}}`
struct Tables<'c>(&'c mut Vec<Change>);

impl<'de> DeserializeSeed<'de> for Tables<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tables<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("updates by table")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match Table::from_name(&name) {
                Some(table) => map.next_value_seed(RowsOf(table, &mut *self.0))?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct RowsOf<'c>(Table, &'c mut Vec<Change>);

impl<'de> DeserializeSeed<'de> for RowsOf<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowsOf<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("updates by row")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let RowsOf(table, changes) = self;
        while let Some(uuid) = map.next_key_seed(UuidText)? {
            let what = map.next_value_seed(WhatSeed(table))?;
            changes.push(Change { table, uuid, what });
        }
        Ok(())
    }
}

struct WhatSeed(Table);

impl<'de> DeserializeSeed<'de> for WhatSeed {
    type Value = What;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<What, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WhatSeed {
    type Value = What;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an update of a row")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<What, A::Error> {
        let mut what = None;
        while let Some(word) = map.next_key::<String>()? {
            match word.as_str() {
                "initial" | "insert" => {
                    what = Some(What::New(whole(self.0, map.next_value_seed(Columns(self.0))?)));
                }
                "new" => what = Some(What::Now(whole(self.0, map.next_value_seed(Columns(self.0))?))),
                "modify" => what = Some(What::Modified(map.next_value_seed(Columns(self.0))?)),
                "delete" | "old" => {
                    map.next_value::<IgnoredAny>()?;
                    what = what.or(Some(What::Gone));
                }
                other => return Err(de::Error::custom(format!("unknown update `{other}`"))),
            }
        }
        what.ok_or_else(|| de::Error::custom("an update without content"))
    }
}

/// A row of these columns and defaults for the rest, which the server leaves out.
fn whole(table: Table, columns: Vec<(usize, Datum)>) -> Row {
    let mut data: Vec<Option<Datum>> = vec![None; table.columns().len()];
    for (at, datum) in columns {
        data[at] = Some(datum);
    }
    Row::of(table, data)
}

struct Columns(Table);

impl<'de> DeserializeSeed<'de> for Columns {
    type Value = Vec<(usize, Datum)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Columns {
    type Value = Vec<(usize, Datum)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("columns of a row")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let columns = self.0.columns();
        let mut found = Vec::with_capacity(columns.len());
        while let Some(at) = map.next_key_seed(ColumnName(columns))? {
            match at {
                Some(at) => found.push((at, map.next_value_seed(DatumOf(self.0, &columns[at]))?)),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

struct ColumnName(&'static [Column]);

impl<'de> DeserializeSeed<'de> for ColumnName {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ColumnName {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column's name")
    }
    fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|column| column.name == name))
    }
}

struct DatumOf(Table, &'static Column);

impl<'de> DeserializeSeed<'de> for DatumOf {
    type Value = Datum;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Datum, D::Error> {
        let datum = deserializer.deserialize_any(AnyDatum)?;
        let atom_fits = |atom: &Atom| match (self.1.kind, atom) {
            (Kind::Text | Kind::TextOpt | Kind::TextSet, Atom::Text(_))
            | (Kind::Int | Kind::IntOpt, Atom::Int(_))
            | (Kind::Bool | Kind::BoolOpt, Atom::Bool(_))
            | (Kind::RefOpt | Kind::RefSet, Atom::Ref(_)) => true,
            (_, Atom::Text(_) | Atom::Int(_) | Atom::Bool(_) | Atom::Ref(_)) => false,
        };
        let fits = match (&datum, self.1.kind) {
            (Datum::Map(pairs), kind) => {
                let is_text = |atom: &Atom| matches!(atom, Atom::Text(_));
                let is_int = |atom: &Atom| matches!(atom, Atom::Int(_));
                match kind {
                    Kind::Map => pairs.iter().all(|(_, v)| is_text(v)),
                    Kind::IntMap => pairs.iter().all(|(_, v)| is_int(v)),
                    _ => false,
                }
            }
            (Datum::Set(_), Kind::Map | Kind::IntMap) => false,
            (Datum::Set(atoms), kind) => {
                atoms.iter().all(atom_fits) && (!kind.is_scalar() || atoms.len() == 1)
            }
        };
        let misfit = || format!("{}.{} has a value of another shape", self.0.name(), self.1.name);
        if fits { Ok(datum) } else { Err(de::Error::custom(misfit())) }
    }
}

/// RFC 7047 §5.1 `<value>`.
struct AnyDatum;

impl<'de> Visitor<'de> for AnyDatum {
    type Value = Datum;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Datum, E> {
        AnyAtom.visit_bool(value).map(one)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Datum, E> {
        AnyAtom.visit_i64(value).map(one)
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Datum, E> {
        AnyAtom.visit_u64(value).map(one)
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Datum, E> {
        AnyAtom.visit_str(value).map(one)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Datum, A::Error> {
        let short = || de::Error::custom("a value is cut short");
        match seq.next_element::<Tag>()?.ok_or_else(short)? {
            Tag::Uuid => {
                Ok(one(Atom::Ref(Ref::Foreign(seq.next_element_seed(UuidText)?.ok_or_else(short)?))))
            }
            Tag::Set => {
                let atoms: Vec<InAtom> = seq.next_element()?.ok_or_else(short)?;
                Ok(Datum::set(atoms.into_iter().map(|InAtom(atom)| atom)))
            }
            Tag::Map => {
                let pairs: Vec<(InAtom, InAtom)> = seq.next_element()?.ok_or_else(short)?;
                Ok(Datum::map(pairs.into_iter().map(|(InAtom(k), InAtom(v))| (k, v))))
            }
        }
    }
}

fn one(atom: Atom) -> Datum {
    Datum::Set(atom.into())
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tag {
    Set,
    Map,
    Uuid,
}

struct InAtom(Atom);

impl<'de> serde::Deserialize<'de> for InAtom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InAtom, D::Error> {
        deserializer.deserialize_any(AnyAtom).map(InAtom)
    }
}

/// RFC 7047 §5.1 `<atom>`.
struct AnyAtom;

impl<'de> Visitor<'de> for AnyAtom {
    type Value = Atom;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, integer, boolean or UUID")
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Atom, E> {
        Ok(Atom::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Atom, E> {
        Ok(Atom::Int(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Atom, E> {
        i64::try_from(value).map(Atom::Int).map_err(de::Error::custom)
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Atom, E> {
        Ok(Atom::Text(value.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Atom, A::Error> {
        match (seq.next_element::<Tag>()?, seq.next_element_seed(UuidText)?) {
            (Some(Tag::Uuid), Some(uuid)) => Ok(Atom::Ref(Ref::Foreign(uuid))),
            _ => Err(de::Error::custom("an atom that is no UUID")),
        }
    }
}

struct UuidText;

impl<'de> DeserializeSeed<'de> for UuidText {
    type Value = Uuid;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Uuid, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for UuidText {
    type Value = Uuid;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
        Uuid::parse_str(text).map_err(de::Error::custom)
    }
}
