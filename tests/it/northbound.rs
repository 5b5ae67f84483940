//! A Northbound database behind a socket: what is in it, and transactions on it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use northc::nb::Table;
use serde_json::{Map, Value, json};

use crate::ovn;

/// Tables of the server's own workings.
const NOT_OURS: [&str; 3] = ["Connection", "NB_Global", "SSL"];
/// Columns that count what was written and who has seen it.
const COUNTERS: [&str; 7] =
    ["_version", "nb_cfg", "nb_cfg_timestamp", "sb_cfg", "sb_cfg_timestamp", "hv_cfg", "hv_cfg_timestamp"];
/// Columns that northd writes when it gets round to it.
const NORTHDS: [&str; 3] = ["status", "tag", "up"];

/// Rows by table and UUID.
pub(crate) type Dump = BTreeMap<String, BTreeMap<String, Map<String, Value>>>;

pub(crate) struct Northbound {
    socket: PathBuf,
    /// Its tables, once somebody asked.
    tables: OnceCell<Vec<String>>,
}

impl Northbound {
    pub(crate) fn at(socket: &Path) -> Northbound {
        Northbound { socket: socket.to_owned(), tables: OnceCell::new() }
    }

    pub(crate) fn remote(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Sends a transaction's params. The error is the server's.
    pub(crate) fn transact(&self, params: &Value) -> Result<Value, String> {
        let result = ovn::call(&self.socket, "transact", params);
        let error = result.as_array().and_then(|parts| parts.iter().find(|p| p.get("error").is_some()));
        match error {
            Some(error) => Err(error.to_string()),
            None => Ok(result),
        }
    }

    /// Runs operations that must succeed.
    pub(crate) fn operations(&self, operations: impl IntoIterator<Item = Value>) -> Value {
        let params: Vec<Value> = std::iter::once(json!("OVN_Northbound")).chain(operations).collect();
        self.transact(&json!(params)).unwrap_or_else(|e| panic!("the transaction fails: {e}"))
    }

    /// Removes every row.
    pub(crate) fn reset(&self) {
        self.remove(&json!([]));
    }

    /// Removes every row of an owner of northc's.
    pub(crate) fn remove_owned(&self) {
        let is_owned = json!([["external_ids", "includes", ["map", [["northc-owner", "default"]]]]]);
        self.remove(&is_owned);
    }

    fn remove(&self, which: &Value) {
        // Children too: a router's port that is only about to be collected still holds its chassis.
        let delete = |table: &Table| json!({"op": "delete", "table": table.name(), "where": which});
        self.operations(Table::ALL.iter().map(delete));
    }

    /// Every row of every table, without counters.
    pub(crate) fn everything(&self) -> Dump {
        let tables = self.tables.get_or_init(|| {
            let schema = ovn::call(&self.socket, "get_schema", &json!(["OVN_Northbound"]));
            schema["tables"].as_object().expect("tables by name").keys().cloned().collect()
        });
        let select = |table: &String| json!({"op": "select", "table": table, "where": []});
        let results = self.operations(tables.iter().map(select));
        let mut dump = Dump::new();
        for (table, result) in tables.iter().zip(results.as_array().expect("results")) {
            for row in result["rows"].as_array().expect("rows") {
                let mut row = row.as_object().expect("a row").clone();
                let uuid = row.remove("_uuid").and_then(|u| Some(u[1].as_str()?.to_owned())).expect("a UUID");
                row.retain(|column, _| !COUNTERS.contains(&column.as_str()));
                dump.entry(table.clone()).or_default().insert(uuid, row);
            }
        }
        dump
    }

    /// Every row that is not the server's own, without what northd writes.
    pub(crate) fn dump(&self) -> Dump {
        let mut dump = self.everything();
        dump.retain(|table, _| !NOT_OURS.contains(&table.as_str()));
        for row in dump.values_mut().flat_map(BTreeMap::values_mut) {
            row.retain(|column, _| !NORTHDS.contains(&column.as_str()));
        }
        dump
    }
}

/// Ports among the rows that northd made no binding for in the Southbound database.
pub(crate) fn passed_over(rows: &Dump, southbound: &Path) -> Vec<String> {
    let select = json!({"op": "select", "table": "Port_Binding", "where": [], "columns": ["logical_port"]});
    let result = ovn::call(southbound, "transact", &json!(["OVN_Southbound", select]));
    let bindings = result[0]["rows"].as_array().expect("rows");
    let bound: BTreeSet<&str> = bindings.iter().filter_map(|row| row["logical_port"].as_str()).collect();
    let tables = ["Logical_Router_Port", "Logical_Switch_Port"];
    let ports = tables.iter().filter_map(|table| rows.get(*table)).flat_map(BTreeMap::values);
    let names = ports.filter_map(|row| row["name"].as_str());
    names.filter(|name| !bound.contains(name)).map(str::to_owned).collect()
}

/// Where two databases differ, in words.
pub(crate) fn difference(one: &Dump, other: &Dump) -> Option<String> {
    if one == other {
        return None;
    }
    let mut lines = Vec::new();
    for table in one.keys().chain(other.keys().filter(|t| !one.contains_key(*t))) {
        let empty = BTreeMap::new();
        let (a, b) = (one.get(table).unwrap_or(&empty), other.get(table).unwrap_or(&empty));
        for (uuid, row) in a {
            match b.get(uuid) {
                None => lines.push(format!("  {table} {uuid} is only in the first: {row:?}")),
                Some(twin) => {
                    lines.extend(row.iter().filter(|(c, v)| twin.get(*c) != Some(v)).map(|(c, v)| {
                        format!("  {table} {uuid} {c}: {v} and {}", twin.get(c).unwrap_or(&Value::Null))
                    }))
                }
            }
        }
        let more = b.iter().filter(|(uuid, _)| !a.contains_key(*uuid));
        lines.extend(more.map(|(uuid, row)| format!("  {table} {uuid} is only in the second: {row:?}")));
    }
    Some(lines.join("\n"))
}
