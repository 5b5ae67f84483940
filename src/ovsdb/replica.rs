//! The rows of the Northbound tables that northc writes, kept as the server has them.
//!
//! Only tables and columns that northc writes and the server has are asked for: the rest of a dump
//! would be thrown away. After a reconnect the server says whether it sends what was missed or all of
//! it; all of it goes into a new copy that takes the place of the old one at once.
//!
//! A dump costs the server about nine times what it costs us (`cargo bench --bench apply -- 100000`).
//!
//! Refuses to judge rows, and to know sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::decode::{self, Change, Layout, Updates, What};
use super::schema::Schema;
use crate::nb::actual::{Actual, Lack};
use crate::nb::datum::write_text;
use crate::nb::{Atoms, Datum, Table};

/// The name of our monitor.
const MONITOR: &str = "northc";

/// How to ask for rows, best first. Servers before OVS 2.12 and 2.5 know only the later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// ovsdb-server(7) §4.1.15
    CondSince,
    /// ovsdb-server(7) §4.1.12
    Cond,
    /// RFC 7047 §4.1.5
    Plain,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::CondSince => "monitor_cond_since",
            Method::Cond => "monitor_cond",
            Method::Plain => "monitor",
        }
    }

    /// What to ask for when the server does not know this one.
    pub(crate) fn fallback(self) -> Option<Method> {
        match self {
            Method::CondSince => Some(Method::Cond),
            Method::Cond => Some(Method::Plain),
            Method::Plain => None,
        }
    }
}

/// The tables and columns to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    tables: BTreeMap<Table, Vec<&'static str>>,
    lacks: BTreeSet<Lack>,
}

impl Wanted {
    fn new(schema: &Schema) -> Wanted {
        let mut wanted = Wanted { tables: BTreeMap::new(), lacks: BTreeSet::new() };
        for &table in Table::ALL {
            if !schema.has_table(table.name()) {
                wanted.lacks.insert(Lack { table, column: None });
                continue;
            }
            let columns = wanted.tables.entry(table).or_default();
            for column in table.columns() {
                match schema.column(table.name(), column.name) {
                    Some(found) if found.fits(column.kind) => columns.push(column.name),
                    Some(_) | None => {
                        wanted.lacks.insert(Lack { table, column: Some(column.name) });
                    }
                }
            }
        }
        wanted
    }
}

/// The copy, and where it stands.
#[derive(Debug)]
pub struct Replica {
    wanted: Wanted,
    method: Method,
    actual: Arc<Actual>,
    last_txn: Uuid,
}

impl Replica {
    /// A replica of nothing yet, for a server with this schema.
    pub fn new(schema: &Schema) -> Replica {
        let wanted = Wanted::new(schema);
        let actual = Arc::new(Actual::new(wanted.lacks.clone()));
        Replica { wanted, method: Method::CondSince, actual, last_txn: Uuid::nil() }
    }

    /// The same replica for a new connection: what it holds is kept only if the server has the same
    /// tables and columns.
    pub(crate) fn reconnected(self, schema: &Schema) -> Replica {
        let fresh = Replica::new(schema);
        match fresh.wanted == self.wanted && self.method == Method::CondSince {
            true => self,
            false => fresh,
        }
    }

    /// How to ask for rows.
    pub(crate) fn method(&self) -> Method {
        self.method
    }

    /// Asks in the next older way; false when there is none.
    pub(crate) fn fall_back(&mut self) -> bool {
        match self.method.fallback() {
            Some(method) => {
                self.method = method;
                self.last_txn = Uuid::nil();
                true
            }
            None => false,
        }
    }

    /// The parameters of the request.
    pub(crate) fn request_params(&self, database: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        out.push(b'[');
        write_text(&mut out, database);
        out.push(b',');
        write_text(&mut out, MONITOR);
        out.extend_from_slice(b",{");
        for (at, (table, columns)) in self.wanted.tables.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_text(&mut out, table.name());
            out.extend_from_slice(b":[{\"columns\":[");
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(&mut out, column);
            }
            out.extend_from_slice(b"]}]");
        }
        out.push(b'}');
        if self.method == Method::CondSince {
            out.extend_from_slice(format!(",\"{}\"", self.last_txn).as_bytes());
        }
        out.push(b']');
        out
    }

    /// Takes the reply to the request: what was missed, or everything.
    pub fn start(&mut self, result: &str) -> Result<(), String> {
        let layout = match self.method {
            Method::CondSince => Layout::FoundTxn,
            Method::Cond | Method::Plain => Layout::Alone,
        };
        let updates = decode::updates(result, layout)?;
        if !updates.found {
            self.actual = Arc::new(Actual::new(self.wanted.lacks.clone()));
        }
        self.take(updates)
    }

    /// Takes a notification, if it is about rows; false when it is about something else.
    pub fn update(&mut self, method: &str, params: &str) -> Result<bool, String> {
        let layout = match method {
            "update3" => Layout::MonitorTxn,
            "update2" | "update" => Layout::Monitor,
            _ => return Ok(false),
        };
        let updates = decode::updates(params, layout)?;
        // A transaction has one update: a second one was doubled on the way.
        if updates.txn.is_nil() || updates.txn != self.last_txn {
            self.take(updates)?;
        }
        Ok(true)
    }

    /// What the server has.
    pub fn actual(&self) -> &Arc<Actual> {
        &self.actual
    }

    fn take(&mut self, updates: Updates) -> Result<(), String> {
        if !updates.changes.is_empty() {
            if Arc::get_mut(&mut self.actual).is_none() {
                self.actual = Arc::new(self.actual.successor());
            }
            let actual = Arc::get_mut(&mut self.actual).expect("nobody else has the copy");
            for change in updates.changes {
                apply(actual, change)?;
            }
        }
        self.last_txn = updates.txn;
        Ok(())
    }
}

fn apply(actual: &mut Actual, change: Change) -> Result<(), String> {
    let Change { table, uuid, what } = change;
    let lost = |what: &str| format!("{} row {uuid} {what}: the replica is not the server's", table.name());
    match what {
        What::New(_) if actual.get(table, uuid).is_some() => return Err(lost("is inserted twice")),
        What::New(row) | What::Now(row) => actual.insert(uuid, row),
        What::Modified(columns) => {
            let row = actual.get_mut(table, uuid).ok_or_else(|| lost("is modified and unknown"))?;
            for (at, difference) in columns {
                let column = &table.columns()[at];
                let datum = row.get_mut(column.name).ok_or_else(|| lost("has no such column"))?;
                merge(datum, difference, column.kind.is_composite());
            }
        }
        What::Gone => {
            actual.remove(table, uuid).ok_or_else(|| lost("is deleted and unknown"))?;
        }
    }
    Ok(())
}

/// Applies a difference (ovsdb-server(7) §4.1.14): members of a set change sides; a map's pair goes
/// when it is there as it is, and else is put; anything else is the new value.
fn merge(datum: &mut Datum, difference: Datum, composite: bool) {
    let old = std::mem::replace(datum, Datum::Set(Atoms::default()));
    *datum = match (old, difference) {
        (Datum::Set(old), Datum::Set(difference)) if composite => {
            let (old, new): (BTreeSet<_>, BTreeSet<_>) =
                (old.into_iter().collect(), difference.into_iter().collect());
            Datum::Set(old.symmetric_difference(&new).cloned().collect())
        }
        (Datum::Map(old), Datum::Map(difference)) => {
            let mut pairs: BTreeMap<_, _> = old.into_iter().collect();
            for (k, v) in difference {
                match pairs.get(&k) == Some(&v) {
                    true => {
                        pairs.remove(&k);
                    }
                    false => {
                        pairs.insert(k, v);
                    }
                }
            }
            Datum::Map(pairs.into_iter().collect())
        }
        (_, new) => new,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nb::{Atom, LogicalSwitch, Ref};

    const SCHEMA: &str = r#"{"name":"OVN_Northbound","tables":{"Logical_Switch":{"columns":{
        "name":{"type":"string"},
        "ports":{"type":{"key":{"type":"uuid"},"min":0,"max":"unlimited"}},
        "other_config":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
        "external_ids":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}}}}}}"#;

    fn replica() -> Replica {
        Replica::new(&Schema::parse(SCHEMA).expect("a schema"))
    }

    fn uuid(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn switch(replica: &Replica) -> LogicalSwitch {
        let row = replica.actual().get(Table::LogicalSwitch, uuid(1)).expect("a row");
        LogicalSwitch::try_from(row.as_ref()).expect("fits")
    }

    #[test]
    fn what_the_server_lacks_is_named_and_not_asked_for() {
        let replica = replica();
        let lacks = replica.actual().lacks();
        assert!(lacks.contains(&Lack { table: Table::Acl, column: None }));
        assert!(lacks.contains(&Lack { table: Table::LogicalSwitch, column: Some("acls") }));
        assert!(replica.actual().has_column(Table::LogicalSwitch, "ports"));
        assert!(!replica.actual().has_column(Table::Acl, "name"));
        let params = String::from_utf8(replica.request_params("OVN_Northbound")).expect("UTF-8");
        assert_eq!(
            params,
            r#"["OVN_Northbound","northc",{"Logical_Switch":[{"columns":["name","ports","other_config","external_ids"]}]},"00000000-0000-0000-0000-000000000000"]"#
        );
    }

    #[test]
    fn a_dump_and_differences_give_the_row() {
        let mut replica = replica();
        let dump = r#"[false,"00000000-0000-0000-0000-000000000009",{"Logical_Switch":{"00000000-0000-0000-0000-000000000001":
            {"initial":{"name":"s","ports":["uuid","00000000-0000-0000-0000-00000000000a"],"external_ids":["map",[["a","1"],["b","2"]]]}}}}]"#;
        replica.start(dump).expect("a dump");
        let before = Arc::clone(replica.actual());
        let update = r#"["northc","00000000-0000-0000-0000-00000000000b",{"Logical_Switch":{"00000000-0000-0000-0000-000000000001":
            {"modify":{"name":"t","ports":["set",[["uuid","00000000-0000-0000-0000-00000000000a"],["uuid","00000000-0000-0000-0000-00000000000b"]]],"external_ids":["map",[["a","1"],["b","3"],["c","4"]]]}}}}]"#;
        assert_eq!(replica.update("update3", update), Ok(true));
        // Doubled on the way: of no effect.
        assert_eq!(replica.update("update3", update), Ok(true));
        let now = switch(&replica);
        assert_eq!((now.name.as_str(), now.ports), ("t", [Ref::Foreign(uuid(11))].into()));
        let pairs = [("b", "3"), ("c", "4")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(now.external_ids, pairs.into());
        // A snapshot does not change under its holder.
        let old = before.get(Table::LogicalSwitch, uuid(1)).expect("a row");
        assert_eq!(old.get("name"), Some(&Datum::set([Atom::Text("s".into())])));
    }

    #[test]
    fn the_oldest_notation_is_understood() {
        let mut replica = replica();
        assert!(replica.fall_back() && replica.fall_back() && !replica.fall_back());
        let one = |what: &str| {
            format!(r#"{{"Logical_Switch":{{"00000000-0000-0000-0000-000000000001":{{{what}}}}}}}"#)
        };
        replica.start(&one(r#""new":{"name":"s"}"#)).expect("a dump");
        let update = format!(r#"["northc",{}]"#, one(r#""old":{"name":"s"},"new":{"name":"t"}"#));
        assert_eq!(replica.update("update", &update), Ok(true));
        assert_eq!(switch(&replica).name, "t");
        let update = format!(r#"["northc",{}]"#, one(r#""old":{"name":"t"}"#));
        assert_eq!(replica.update("update", &update), Ok(true));
        assert!(replica.actual().is_empty());
    }

    #[test]
    fn updates_that_contradict_the_replica_are_noticed() {
        let one = |what: &str| {
            format!(r#"["northc",{{"Logical_Switch":{{"00000000-0000-0000-0000-000000000001":{what}}}}}]"#)
        };
        let fails = |what: &str| replica().update("update2", &one(what)).expect_err("noticed");
        assert!(fails(r#"{"modify":{"name":"t"}}"#).contains("modified and unknown"));
        assert!(fails(r#"{"delete":null}"#).contains("deleted and unknown"));
        assert!(fails(r#"{"initial":{"name":7}}"#).contains("Logical_Switch.name"));
        let mut replica = replica();
        assert_eq!(replica.update("update2", &one(r#"{"insert":{}}"#)), Ok(true));
        assert!(replica.update("update2", &one(r#"{"insert":{}}"#)).is_err());
    }
}
