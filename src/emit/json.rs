//! Rows → canonical JSON: every row with its key, UUID, columns and the line that caused it.
//!
//! Sets are arrays, maps objects, references the key of the row they point at; columns that OVN would fill
//! in by itself are left out. Refuses RFC 7047's notation; `transact` speaks that.

use serde_json::{Map, Value, json};

use crate::nb::value::Ref;
use crate::nb::{Atom, Datum, Kind, Rows};
use crate::span::SourceMap;

/// The version of the JSON's shape; grows in its second part as long as readers need not change.
pub const FORMAT_VERSION: &str = "1.0";

/// One JSON document with every row, by table and key.
pub fn rows(rows: &Rows, owner: &str, sources: &SourceMap) -> String {
    let row = |(key, row): (&crate::nb::Key, &crate::nb::Row)| {
        json!({
            "table": key.table.name(),
            "key": &*key.name,
            "uuid": key.uuid(owner).to_string(),
            "columns": columns(row),
            "origin": rows.origin(key).map(|span| sources.line(span)),
        })
    };
    let document = json!({
        "format_version": FORMAT_VERSION,
        "kind": "northc.rows",
        "owner": owner,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

/// The columns of a row that OVN would not fill in by itself.
pub fn columns(row: &crate::nb::Row) -> Map<String, Value> {
    row.set_columns().map(|(c, datum)| (c.name.to_owned(), value(c.kind, datum))).collect()
}

fn value(kind: Kind, datum: &Datum) -> Value {
    match datum {
        Datum::Set(atoms) => match (kind, atoms.as_slice()) {
            (Kind::TextSet | Kind::RefSet, atoms) => atoms.iter().map(atom).collect(),
            (_, [only]) => atom(only),
            (_, atoms) => atoms.iter().map(atom).collect(),
        },
        Datum::Map(pairs) => {
            let pair = |(k, v): &(Atom, Atom)| {
                let key = match k {
                    Atom::Text(text) => text.to_string(),
                    other => atom(other).to_string(),
                };
                (key, atom(v))
            };
            Value::Object(pairs.iter().map(pair).collect())
        }
    }
}

fn atom(atom: &Atom) -> Value {
    match atom {
        Atom::Int(value) => json!(value),
        Atom::Bool(value) => json!(value),
        Atom::Text(text) => json!(**text),
        Atom::Ref(Ref::Key(key)) => json!({ "ref": { "table": key.table.name(), "key": &*key.name } }),
        Atom::Ref(Ref::Foreign(uuid)) => json!({ "uuid": uuid.to_string() }),
    }
}
