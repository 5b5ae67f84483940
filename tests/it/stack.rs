//! A scratch Northbound database, with a Southbound one and `ovn-northd` behind it where packets matter.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;

use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value, json};

use crate::ovn::{self, Database, Scratch};

/// Tables whose rows stay when nothing refers to them.
const ROOTS: [&str; 5] = ["Address_Set", "DHCP_Options", "Logical_Router", "Logical_Switch", "Port_Group"];
/// Tables of the server's own workings.
const NOT_OURS: [&str; 3] = ["Connection", "NB_Global", "SSL"];
/// Columns that northd writes when it gets round to it.
const NORTHDS: [&str; 2] = ["up", "_version"];

/// Rows by table and UUID.
pub(crate) type Dump = BTreeMap<String, BTreeMap<String, Map<String, Value>>>;

/// The databases and what serves them.
pub(crate) struct Stack {
    scratch: Scratch,
    nb: Database,
    sb: Option<Database>,
    /// How much of northd's log has been read.
    n_logged: Cell<usize>,
}

impl Stack {
    /// A Northbound database alone.
    pub(crate) fn database() -> Stack {
        let mut scratch = Scratch::new();
        let nb = scratch.database("ovn-nb");
        Stack { scratch, nb, sb: None, n_logged: Cell::new(0) }
    }

    /// With northd, which logs without a limit.
    pub(crate) fn with_northd() -> Stack {
        let mut stack = Stack::database();
        let sb = stack.scratch.database("ovn-sb");
        let remote = |db: &Database| format!("unix:{}", db.socket.display());
        let args = [format!("--ovnnb-db={}", remote(&stack.nb)), format!("--ovnsb-db={}", remote(&sb))];
        let started = stack.scratch.daemon("ovn-northd", &args).wait();
        assert!(started.is_ok_and(|status| status.success()), "ovn-northd starts");
        ovn::call(&stack.scratch.path("ovn-northd.ctl"), "vlog/disable-rate-limit", &json!([]));
        stack.sb = Some(sb);
        stack
    }

    pub(crate) fn remote(&self) -> String {
        format!("unix:{}", self.nb.socket.display())
    }

    /// A file beside the databases.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path(name)
    }

    /// Runs a script of northc's as its reader would.
    pub(crate) fn script(&self, text: &str) -> Output {
        let file = self.scratch.path("script");
        fs::write(&file, text).expect("the script can be written");
        self.run(Command::new("bash").arg(&file))
    }

    /// Runs a program that finds the database by `OVN_NB_DB`.
    pub(crate) fn run(&self, command: &mut Command) -> Output {
        let command = command.env("OVN_NB_DB", self.remote()).current_dir(self.scratch.path(""));
        command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"))
    }

    pub(crate) fn nbctl(&self, args: &[&str]) -> Result<String, String> {
        let output = self.run(Command::new("ovn-nbctl").args(args));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Sends a transaction's params. The error is the server's.
    pub(crate) fn transact(&self, params: &Value) -> Result<Value, String> {
        let result = ovn::call(&self.nb.socket, "transact", params);
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
        self.operations(ROOTS.map(|table| json!({"op": "delete", "table": table, "where": []})));
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

    /// Every row of every table with every column.
    pub(crate) fn everything(&self) -> Dump {
        let schema = ovn::call(&self.nb.socket, "get_schema", &json!(["OVN_Northbound"]));
        let tables: Vec<&String> = schema["tables"].as_object().expect("tables by name").keys().collect();
        let select = |table: &&String| json!({"op": "select", "table": table, "where": []});
        let results = self.operations(tables.iter().map(select));
        let mut dump = Dump::new();
        for (table, result) in tables.into_iter().zip(results.as_array().expect("results")) {
            for row in result["rows"].as_array().expect("rows") {
                let mut row = row.as_object().expect("a row").clone();
                let uuid = row.remove("_uuid").and_then(|u| Some(u[1].as_str()?.to_owned())).expect("a UUID");
                dump.entry(table.clone()).or_default().insert(uuid, row);
            }
        }
        dump
    }

    /// Waits until northd has done what there is to do.
    pub(crate) fn settle(&self) {
        self.nbctl(&["--wait=sb", "--timeout=60", "sync"]).unwrap_or_else(|e| panic!("northd is gone: {e}"));
    }

    /// What northd logged since it was asked last, as far as it is about its input.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = fs::read(self.scratch.path("ovn-northd.log")).expect("northd keeps a log");
        let new = String::from_utf8_lossy(&log[self.n_logged.replace(log.len())..]).into_owned();
        let is_bad = |line: &&str| ["|WARN|", "|ERR|", "|EMER|"].iter().any(|level| line.contains(level));
        // A machine with other things to do makes a poll interval long.
        let is_ours = |line: &&str| !line.contains("|timeval|");
        new.lines().filter(is_bad).filter(is_ours).map(str::to_owned).collect()
    }

    /// What becomes of a packet: `ovn-trace`'s actions, one a line. The error is its complaint.
    pub(crate) fn trace(&self, switch: &str, ct: &str, packet: &str) -> Result<String, String> {
        let sb = self.sb.as_ref().expect("this stack has northd");
        let output = Command::new("ovn-trace")
            .arg(format!("--db=unix:{}", sb.socket.display()))
            .args(["--minimal", "--no-friendly-names"])
            .args(vec![format!("--ct={ct}"); 16])
            .args([switch, packet])
            .stdin(Stdio::null())
            .output()
            .expect("ovn-trace runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() && output.stderr.is_empty() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("ovn-trace: {}{}", text(&output.stdout), text(&output.stderr)))
        }
    }

    /// The remote of the Southbound database.
    pub(crate) fn southbound(&self) -> String {
        format!("unix:{}", self.sb.as_ref().expect("this stack has northd").socket.display())
    }

    /// Names of ports that northd made bindings for.
    pub(crate) fn bound(&self) -> Vec<String> {
        let sb = self.sb.as_ref().expect("this stack has northd");
        let select =
            json!({"op": "select", "table": "Port_Binding", "where": [], "columns": ["logical_port"]});
        let result = ovn::call(&sb.socket, "transact", &json!(["OVN_Southbound", select]));
        let rows = result[0]["rows"].as_array().expect("rows");
        rows.iter().filter_map(|row| Some(row["logical_port"].as_str()?.to_owned())).collect()
    }
}

/// Whether a script did what it is for; what it said otherwise.
pub(crate) fn succeeded(output: &Output) -> Result<(), String> {
    if output.status.success() && output.stderr.is_empty() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("the script ends with {} and says: {said}", output.status))
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
