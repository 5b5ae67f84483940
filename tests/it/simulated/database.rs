//! A Northbound database that answers transactions as ovsdb-server does (RFC 7047 §5.2), in memory.
//!
//! `mod.rs` holds it against a real one. Refuses to know connections.

use std::collections::{BTreeMap, BTreeSet};

use northc::nb::actual::{Actual, Lack};
use northc::nb::{Atom, Column, Datum, Kind, Ref, Row, Table, datum};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::memory;

/// An error of an operation: the short word, and more of it.
type Error = (&'static str, String);

/// The results of a transaction, and the rows after it, if it was carried out.
pub(super) fn transact(rows: &Actual, ops: &[Value]) -> (Vec<Value>, Option<Actual>) {
    let mut after = rows.clone();
    let mut results = Vec::new();
    for op in ops {
        match operate(&mut after, op) {
            Ok(result) => results.push(result),
            Err((error, details)) => {
                results.push(json!({"error": error, "details": details}));
                results.resize(ops.len(), Value::Null);
                return (results, None);
            }
        }
    }
    match memory::commit(&mut after) {
        Ok(()) => (results, Some(after)),
        Err(refused) => {
            let (error, details) = refused.split_once(": ").expect("a word and more of it");
            results.push(json!({"error": error, "details": details}));
            (results, None)
        }
    }
}

fn operate(rows: &mut Actual, op: &Value) -> Result<Value, Error> {
    let name = op["op"].as_str().expect("an operation");
    if matches!(name, "comment" | "commit") {
        return Ok(json!({}));
    }
    // Nobody has run a northd here, and its table is empty.
    if op["table"] == "NB_Global" {
        return Ok(if name == "select" { json!({"rows": []}) } else { json!({"count": 0}) });
    }
    let table = Table::from_name(op["table"].as_str().expect("a table")).expect("a known table");
    if rows.lacks().contains(&Lack { table, column: None }) {
        return Err(("syntax error", format!("No table named {}.", table.name())));
    }
    if name == "insert" {
        return insert(rows, table, op);
    }
    let found = found(rows, table, &op["where"])?;
    match name {
        "select" => {
            let columns = names(&op["columns"]);
            let page: Result<Vec<_>, _> = found.iter().map(|at| page(rows, table, *at, &columns)).collect();
            Ok(json!({"rows": page?}))
        }
        "wait" => wait(rows, table, &found, op),
        "delete" => {
            found.iter().for_each(|at| drop(rows.remove(table, *at)));
            Ok(json!({"count": found.len()}))
        }
        "update" => {
            for (column, value) in op["row"].as_object().expect("a row") {
                let (column, value) = (column_of(rows, table, column)?, value);
                let value = read(column, value)?;
                for at in &found {
                    *rows.get_mut(table, *at).and_then(|row| row.get_mut(column.name)).expect("found") =
                        value.clone();
                }
            }
            Ok(json!({"count": found.len()}))
        }
        "mutate" => {
            for mutation in op["mutations"].as_array().expect("mutations") {
                let column = column_of(rows, table, mutation[0].as_str().expect("a column"))?;
                for at in &found {
                    let row = rows.get_mut(table, *at).expect("found");
                    mutate(row.get_mut(column.name).expect("a column"), column, mutation)?;
                }
            }
            Ok(json!({"count": found.len()}))
        }
        other => panic!("`{other}` is not played"),
    }
}

fn insert(rows: &mut Actual, table: Table, op: &Value) -> Result<Value, Error> {
    let uuid = Uuid::parse_str(op["uuid"].as_str().expect("northc chooses UUIDs")).expect("a UUID");
    if rows.get(table, uuid).is_some() {
        return Err(("duplicate uuid", format!("This UUID would duplicate a UUID already present: {uuid}")));
    }
    let mut row = Row::new(table, table.columns().iter().map(|column| column.kind.default()).collect());
    for (column, value) in op["row"].as_object().expect("a row") {
        let column = column_of(rows, table, column)?;
        *row.get_mut(column.name).expect("a column") = read(column, value)?;
    }
    rows.insert(uuid, row);
    Ok(json!({"uuid": ["uuid", uuid.to_string()]}))
}

fn mutate(datum: &mut Datum, column: &'static Column, mutation: &Value) -> Result<(), Error> {
    let is_insert = mutation[1] == "insert";
    *datum = match datum {
        Datum::Set(atoms) => {
            let Datum::Set(change) = read(column, &mutation[2])? else { panic!("a set") };
            let mut all: BTreeSet<Atom> = atoms.iter().cloned().collect();
            for atom in change {
                if is_insert {
                    all.insert(atom)
                } else {
                    all.remove(&atom)
                };
            }
            Datum::set(all)
        }
        Datum::Map(pairs) => {
            let mut all: BTreeMap<Atom, Atom> = pairs.iter().cloned().collect();
            match datum::from_json(column.kind, &mutation[2]) {
                Some(Datum::Map(change)) if is_insert => {
                    for (key, value) in change {
                        all.entry(key).or_insert(value);
                    }
                }
                Some(Datum::Map(change)) => {
                    all.retain(|key, value| !change.contains(&(key.clone(), value.clone())))
                }
                Some(Datum::Set(_)) | None => {
                    let Some(Datum::Set(keys)) = datum::from_json(Kind::TextSet, &mutation[2]) else {
                        panic!("keys")
                    };
                    all.retain(|key, _| !keys.contains(key));
                }
            }
            Datum::map(all)
        }
    };
    Ok(())
}

/// RFC 7047 §5.2.6, without the patience.
fn wait(rows: &Actual, table: Table, found: &[Uuid], op: &Value) -> Result<Value, Error> {
    let columns = names(&op["columns"]);
    let is: Result<BTreeSet<String>, Error> =
        found.iter().map(|at| Ok(Value::Object(page(rows, table, *at, &columns)?).to_string())).collect();
    let normal = |row: &Value| {
        let of_column = |name: &&str| match *name {
            "_uuid" => Ok(((*name).to_owned(), row[*name].clone())),
            name => {
                let column = column_of(rows, table, name)?;
                Ok((name.to_owned(), json(&read(column, &row[name])?)))
            }
        };
        Ok(Value::Object(columns.iter().map(of_column).collect::<Result<_, Error>>()?).to_string())
    };
    let wanted: Result<BTreeSet<String>, Error> =
        op["rows"].as_array().expect("rows").iter().map(normal).collect();
    match (is? == wanted?) == (op["until"] == "==") {
        true => Ok(json!({})),
        false => Err(("timed out", "\"where\" clause test failed".to_owned())),
    }
}

fn found(rows: &Actual, table: Table, clauses: &Value) -> Result<Vec<Uuid>, Error> {
    let mut found: Vec<Uuid> = rows.table(table).map(|(uuid, _)| uuid).collect();
    for clause in clauses.as_array().expect("clauses") {
        let (name, compare) = (clause[0].as_str().expect("a column"), clause[1].as_str().expect("a word"));
        if name == "_uuid" {
            found.retain(|uuid| clause[2][1] == uuid.to_string().as_str());
            continue;
        }
        let column = column_of(rows, table, name)?;
        let wanted = read(column, &clause[2])?;
        found.retain(|uuid| {
            let is = rows.get(table, *uuid).and_then(|row| row.get(name)).expect("a column");
            compares(is, compare, &wanted)
        });
    }
    Ok(found)
}

fn compares(is: &Datum, compare: &str, wanted: &Datum) -> bool {
    match (compare, is, wanted) {
        ("==", ..) => is == wanted,
        ("!=", ..) => is != wanted,
        ("includes", Datum::Set(is), Datum::Set(wanted)) => wanted.iter().all(|atom| is.contains(atom)),
        ("includes", Datum::Map(is), Datum::Map(wanted)) => wanted.iter().all(|pair| is.contains(pair)),
        ("excludes", Datum::Set(is), Datum::Set(wanted)) => !wanted.iter().any(|atom| is.contains(atom)),
        ("excludes", Datum::Map(is), Datum::Map(wanted)) => !wanted.iter().any(|pair| is.contains(pair)),
        (other, ..) => panic!("`{other}` is not played"),
    }
}

fn column_of(rows: &Actual, table: Table, name: &str) -> Result<&'static Column, Error> {
    let column = table.columns().iter().find(|column| column.name == name);
    let column = column.filter(|column| rows.has_column(table, column.name));
    column.ok_or_else(|| ("unknown column", format!("No column {name} in table {}.", table.name())))
}

fn read(column: &Column, value: &Value) -> Result<Datum, Error> {
    datum::from_json(column.kind, value)
        .ok_or_else(|| ("syntax error", format!("{value} for {}", column.name)))
}

fn names(columns: &Value) -> Vec<&str> {
    columns.as_array().expect("columns").iter().map(|name| name.as_str().expect("a name")).collect()
}

fn page(rows: &Actual, table: Table, uuid: Uuid, columns: &[&str]) -> Result<Map<String, Value>, Error> {
    let row = rows.get(table, uuid).expect("found");
    let of_column = |name: &&str| match *name {
        "_uuid" => Ok(((*name).to_owned(), json!(["uuid", uuid.to_string()]))),
        name => Ok((name.to_owned(), json(row.get(column_of(rows, table, name)?.name).expect("a column")))),
    };
    columns.iter().map(of_column).collect()
}

/// RFC 7047 §5.1 `<value>`.
fn json(datum: &Datum) -> Value {
    let atom = |atom: &Atom| match atom {
        Atom::Int(value) => json!(value),
        Atom::Bool(value) => json!(value),
        Atom::Text(text) => json!(&**text),
        Atom::Ref(Ref::Foreign(uuid)) => json!(["uuid", uuid.to_string()]),
        Atom::Ref(Ref::Key(key)) => panic!("{key} is no value"),
    };
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [only] => atom(only),
            atoms => json!(["set", atoms.iter().map(atom).collect::<Vec<_>>()]),
        },
        Datum::Map(pairs) => {
            json!([
                "map",
                pairs.iter().map(|(key, value)| json!([atom(key), atom(value)])).collect::<Vec<_>>()
            ])
        }
    }
}

/// `<table-updates2>` from one state to another (ovsdb-server(7) §4.1.14); of a whole one, `initial`.
pub(super) fn updates(before: &Actual, after: &Actual, new: &str) -> Value {
    let mut tables = Map::new();
    let mut tell = |table: Table, uuid: Uuid, what: Value| {
        tables.entry(table.name()).or_insert_with(|| json!({}))[uuid.to_string()] = what;
    };
    for (uuid, row) in after.iter() {
        let table = row.table();
        let has = |column: &&'static Column| after.has_column(table, column.name);
        let old = before.get(table, uuid);
        if old.is_some_and(|old| old == row) {
            continue;
        }
        let mut columns = Map::new();
        for column in table.columns().iter().filter(has) {
            let is = row.get(column.name).expect("a column");
            let was = old.and_then(|old| old.get(column.name)).cloned().unwrap_or(column.kind.default());
            if *is != was {
                let value = if old.is_some() { difference(column, &was, is) } else { is.clone() };
                columns.insert(column.name.to_owned(), json(&value));
            }
        }
        let what = if old.is_some() { "modify" } else { new };
        tell(table, uuid, json!({ what: columns }));
    }
    for (uuid, row) in before.iter().filter(|(uuid, row)| after.get(row.table(), *uuid).is_none()) {
        tell(row.table(), uuid, json!({"delete": null}));
    }
    Value::Object(tables)
}

fn difference(column: &Column, was: &Datum, is: &Datum) -> Datum {
    match (was, is) {
        (Datum::Set(was), Datum::Set(is)) if column.kind.is_composite() => {
            let (was, is): (BTreeSet<_>, BTreeSet<_>) = (was.iter().collect(), is.iter().collect());
            Datum::set(was.symmetric_difference(&is).map(|atom| (*atom).clone()))
        }
        (Datum::Map(was), Datum::Map(is)) => {
            let gone = was.iter().filter(|(key, _)| !is.iter().any(|(other, _)| other == key));
            Datum::map(gone.chain(is.iter().filter(|pair| !was.contains(pair))).cloned())
        }
        (_, is) => is.clone(),
    }
}
