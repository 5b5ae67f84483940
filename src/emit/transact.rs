//! Rows → the `params` of one RFC 7047 `transact` request (§4.1.3), as `ovsdb-client transact` takes them.
//!
//! Every row is inserted under its own UUID. Guards come first: no row of another may hold one of our
//! switches' or routers' names, which the schema does not keep unique. A second run is refused as a whole
//! (`duplicate uuid`) and changes nothing. Refuses updates; a plan makes those.

use serde_json::{Map, Value, json};

use crate::nb::{Datum, Key, Row, Rows, Table, datum};

/// The database that the transaction is for.
pub const DATABASE: &str = "OVN_Northbound";

/// The transaction as one line of JSON, with a newline.
pub fn transaction(rows: &Rows, owner: &str) -> String {
    let mut params = vec![json!(DATABASE)];
    for table in [Table::LogicalRouter, Table::LogicalSwitch] {
        params.extend(rows.table(table).map(|(_, row)| nobody_has_the_name(table, row)));
    }
    params.extend(rows.iter().map(|(key, row)| insert(key, row, owner)));
    format!("{}\n", Value::Array(params))
}

/// Asserts that no row has the name (RFC 7047 §5.2.6, timeout 0: now or never).
fn nobody_has_the_name(table: Table, row: &Row) -> Value {
    let name = match row.get("name") {
        Some(Datum::Set(atoms)) => match atoms.as_slice() {
            [crate::nb::Atom::Text(name)] => &**name,
            _ => "",
        },
        _ => "",
    };
    json!({
        "op": "wait",
        "timeout": 0,
        "table": table.name(),
        "where": [["name", "==", name]],
        "columns": ["name"],
        "until": "==",
        "rows": [],
    })
}

fn insert(key: &Key, row: &Row, owner: &str) -> Value {
    let columns: Map<String, Value> = row
        .set_columns()
        .map(|(column, value)| {
            (column.name.to_owned(), datum::to_json(column.kind, value, &|key| key.uuid(owner)))
        })
        .collect();
    json!({ "op": "insert", "table": key.table.name(), "uuid": key.uuid(owner).to_string(), "row": columns })
}
