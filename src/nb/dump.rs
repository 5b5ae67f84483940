//! A Northbound database that somebody saved: what `ovsdb-client dump --format=json` prints, or what `ovsdb-client
//! backup` and ovsdb-server write, a schema and then transactions (ovsdb(5), "Standalone").
//!
//! Tables and columns that northc neither writes nor heeds are passed over. Refuses a text that is neither, and values that a
//! column can't hold, and says on which line.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::actual::Actual;
use super::beside::{self, Beside};
use super::value::{Atom, Datum, Kind};
use super::{Row, Table, datum};

/// The first word of ovsdb-server's own files.
const MAGIC: &str = "OVSDB ";
/// The database that is meant.
const NORTHBOUND: &str = "OVN_Northbound";

/// The rows of a saved database; the error says what is wrong, and where.
pub fn read(text: &str) -> Result<Actual, String> {
    let mut saved = Saved::default();
    if text.starts_with(MAGIC) {
        saved.log(text)?
    } else {
        saved.tables(text)?
    }
    Ok(saved.actual())
}

/// What was told.
#[derive(Default)]
struct Saved {
    /// Columns by row.
    rows: BTreeMap<(Table, Uuid), Vec<Option<Datum>>>,
    /// What is heeded beside them, by its place among those of [`beside::COLUMNS`].
    beside: BTreeMap<(usize, Uuid), Datum>,
}

impl Saved {
    fn actual(self) -> Actual {
        let mut actual = Actual::new(BTreeSet::new());
        for ((table, uuid), columns) in self.rows {
            actual.insert(uuid, Row::of(table, columns));
        }
        let mut beside = Beside::default();
        self.beside.iter().for_each(|((at, uuid), datum)| beside.add(beside::COLUMNS[*at].0, *uuid, datum));
        actual.beside = beside;
        actual
    }

    /// Tables as `ovsdb-client dump` prints them, an object each.
    fn tables(&mut self, text: &str) -> Result<(), String> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let mut n_tables = 0;
        while let Some(value) = values.next() {
            let seen = &text.as_bytes()[..values.byte_offset().min(text.len())];
            let line = 1 + seen.trim_ascii_end().iter().filter(|byte| **byte == b'\n').count();
            let value = value.map_err(|error| format!("line {}: {error}", error.line().max(1)))?;
            self.table(&value).map_err(|what| format!("line {line}: {what}"))?;
            n_tables += 1;
        }
        match n_tables {
            0 => {
                Err("it is empty; `ovsdb-client dump --format=json` and `ovsdb-client backup` fill it"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    fn table(&mut self, value: &Value) -> Result<(), String> {
        if value["kind"] == "northc.rows" {
            return Err("this is what `northc compile --to rows` wrote: ask of its input (-f)".to_owned());
        }
        let name = value["caption"].as_str().and_then(|caption| caption.strip_suffix(" table"));
        let (Some(name), Some(headings), Some(rows)) =
            (name, value["headings"].as_array(), value["data"].as_array())
        else {
            return Err("this is no table as `ovsdb-client dump --format=json` prints one".to_owned());
        };
        if !is_heeded(name) {
            return Ok(());
        }
        for row in rows {
            let cells = row.as_array().filter(|cells| cells.len() == headings.len());
            let cells = cells.ok_or_else(|| format!("a row of {name} has another number of columns"))?;
            let columns: Map<String, Value> = (headings.iter().zip(cells))
                .filter_map(|(heading, cell)| Some((heading.as_str()?.to_owned(), cell.clone())))
                .collect();
            let uuid = match columns.get("_uuid").and_then(Value::as_array).map(Vec::as_slice) {
                Some([Value::String(tag), Value::String(uuid)]) if tag == "uuid" => {
                    Uuid::parse_str(uuid).ok()
                }
                _ => None,
            };
            self.row(name, uuid.ok_or_else(|| format!("a row of {name} has no `_uuid`"))?, &columns)?;
        }
        Ok(())
    }

    /// The records of ovsdb-server's own file.
    fn log(&mut self, text: &str) -> Result<(), String> {
        let (mut left, mut line) = (text, 1);
        let mut is_first = true;
        while !left.trim().is_empty() {
            let (head, rest) = left.split_once('\n').unwrap_or((left, ""));
            let at = |what: &str| format!("line {line}: {what}");
            let words: Vec<&str> = head.split(' ').collect();
            let length = match words.as_slice() {
                ["OVSDB", "JSON", length, _] => length.parse::<usize>().ok(),
                ["OVSDB", "CLUSTER", ..] => {
                    return Err(at(
                        "this is a member of a cluster; `ovsdb-client backup` saves the database",
                    ));
                }
                _ => None,
            };
            let length = length.ok_or_else(|| at("this is no record of ovsdb-server"))?;
            let record = rest.get(..length).ok_or_else(|| at("the record that begins here is cut off"))?;
            let value: Value =
                serde_json::from_str(record).map_err(|error| at(&format!("its record: {error}")))?;
            match std::mem::take(&mut is_first) {
                true if value["name"].as_str() != Some(NORTHBOUND) => {
                    let name = value["name"].as_str().unwrap_or("nothing");
                    return Err(at(&format!("this is the database of {name}, not of {NORTHBOUND}")));
                }
                true => {}
                false => self.transaction(&value).map_err(|what| at(&what))?,
            }
            left = rest[length..].trim_start_matches('\n');
            line = 1 + text[..text.len() - left.len()].matches('\n').count();
        }
        Ok(())
    }

    /// `{table: {uuid: columns}}`; a row without columns goes.
    fn transaction(&mut self, value: &Value) -> Result<(), String> {
        let tables = value.as_object().ok_or("a transaction is an object")?;
        for (name, rows) in tables {
            if !is_heeded(name) {
                continue;
            }
            for (uuid, columns) in rows.as_object().ok_or_else(|| format!("rows of {name} are an object"))? {
                let at = Uuid::parse_str(uuid).map_err(|_| format!("`{uuid}` is no UUID"))?;
                match columns {
                    Value::Null => {
                        if let Some(table) = Table::from_name(name) {
                            self.rows.remove(&(table, at));
                        }
                        self.beside
                            .retain(|(place, uuid), _| *uuid != at || beside::COLUMNS[*place].0 != name);
                    }
                    Value::Object(columns) => self.row(name, at, columns)?,
                    _ => return Err(format!("row {uuid} of {name} is no object")),
                }
            }
        }
        Ok(())
    }

    fn row(&mut self, table: &str, uuid: Uuid, told: &Map<String, Value>) -> Result<(), String> {
        let read = |column: &str, kind: Kind, value: &Value| {
            let datum = datum::from_json(kind, value).filter(|datum| fits(kind, datum));
            datum.ok_or_else(|| format!("column `{column}` of row {uuid} of {table} holds {value}"))
        };
        for (at, (of, column, kind)) in beside::COLUMNS.into_iter().enumerate() {
            if let Some(value) = told.get(column).filter(|_| of == table) {
                self.beside.insert((at, uuid), read(column, kind, value)?);
            }
        }
        let Some(table) = Table::from_name(table) else { return Ok(()) };
        let columns = table.columns();
        let row = self.rows.entry((table, uuid)).or_insert_with(|| vec![None; columns.len()]);
        for (column, place) in columns.iter().zip(row) {
            let Some(value) = told.get(column.name) else { continue };
            let datum = read(column.name, column.kind, value)?;
            *place = Some(datum).filter(|datum| !column.kind.is_default(datum));
        }
        Ok(())
    }
}

/// Whether anything of a table is read.
fn is_heeded(table: &str) -> bool {
    Table::from_name(table).is_some() || beside::COLUMNS.iter().any(|(of, ..)| *of == table)
}

/// Whether a column of this kind may hold it.
fn fits(kind: Kind, datum: &Datum) -> bool {
    let (atoms, n_max) = match (kind, datum) {
        (Kind::Map, Datum::Map(pairs)) => {
            return pairs.iter().all(|pair| matches!(pair, (Atom::Text(_), Atom::Text(_))));
        }
        (Kind::IntMap, Datum::Map(pairs)) => {
            return pairs.iter().all(|pair| matches!(pair, (Atom::Text(_), Atom::Int(_))));
        }
        (_, Datum::Map(_)) | (Kind::Map | Kind::IntMap, Datum::Set(_)) => return false,
        (_, Datum::Set(atoms)) => (atoms, if kind.is_composite() { usize::MAX } else { 1 }),
    };
    let is_one = |atom: &Atom| match kind {
        Kind::Text | Kind::TextOpt | Kind::TextSet => matches!(atom, Atom::Text(_)),
        Kind::Int | Kind::IntOpt => matches!(atom, Atom::Int(_)),
        Kind::Bool | Kind::BoolOpt => matches!(atom, Atom::Bool(_)),
        Kind::RefOpt | Kind::RefSet => matches!(atom, Atom::Ref(_)),
        Kind::Map | Kind::IntMap => false,
    };
    atoms.len() <= n_max && (!kind.is_scalar() || atoms.len() == 1) && atoms.iter().all(is_one)
}
