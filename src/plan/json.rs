//! A plan for machines, and the file in which a reviewed plan waits for its apply.
//!
//! `format_version` 1.x only grows. Values are JSON's own where they can be: a set is an array, a map
//! of strings an object; a reference is `{"row": [table, key]}`, to a row of somebody else
//! `{"uuid": "…"}`. `digest` is over everything else, so that a file that was edited is noticed.
//!
//! Refuses to read: [`super::saved`] does.

use serde_json::{Map, Value, json};

use super::ownership::{Cause, Conflict, Other};
use super::step::{Action, Change, Edit, Pair, Step, Why};
use super::{Guard, Plan, Summary};
use crate::nb::record::Record;
use crate::nb::{Atom, Datum, Kind, Ref, Row, stamp};

/// The version of the shape that [`document`] has.
pub const FORMAT_VERSION: &str = "1.0";
/// What [`document`] says that it is.
pub const KIND: &str = "northc.plan";

/// The plan as a JSON document.
pub fn document(plan: &Plan) -> Value {
    let Plan { owner, mode, base, rows, n_owned, steps, uuids, lacks, conflicts, guard } = plan;
    let uuids: Vec<Value> = uuids
        .iter()
        .map(|(key, uuid)| json!({"table": key.table.name(), "key": &*key.name, "uuid": uuid.to_string()}))
        .collect();
    let mut document = json!({
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "owner": owner,
        "mode": mode.name(),
        "base": base.as_ref().map(record),
        "rows": rows,
        "owned": n_owned,
        "summary": summary(&plan.summary()),
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "uuids": uuids,
        "lacks": lacks.iter().map(|lack| json!([lack.table.name(), lack.column])).collect::<Vec<_>>(),
        "conflicts": conflicts.iter().map(conflict).collect::<Vec<_>>(),
        "guard": guard.as_ref().map(self::guard),
    });
    seal(&mut document);
    document
}

/// The same, with what the plan opens and closes.
pub fn document_with(plan: &Plan, reach: Option<Value>) -> Value {
    let mut document = document(plan);
    if let Some(reach) = reach {
        document["reach"] = reach;
        seal(&mut document);
    }
    document
}

fn seal(document: &mut Value) {
    document.as_object_mut().map(|fields| fields.remove("digest"));
    document["digest"] = json!(digest(document));
}

/// The digest of a document that has none.
pub fn digest(document: &Value) -> String {
    stamp::short_digest(document.to_string().as_bytes())
}

fn record(base: &Record) -> Value {
    let Record { txn, rows, pending, confirm } = base;
    json!({"txn": txn, "rows": rows, "pending": pending, "confirm": confirm})
}

fn summary(summary: &Summary) -> Value {
    let Summary { n_add, n_change, n_remove, n_repair, n_adopt } = summary;
    json!({"add": n_add, "change": n_change, "remove": n_remove, "repair": n_repair, "adopt": n_adopt})
}

fn guard(guard: &Guard) -> Value {
    let Guard { n_deleted, n_owned, routers } = guard;
    let routers: Vec<&str> = routers.iter().map(|key| &*key.name).collect();
    json!({"deleted": n_deleted, "owned": n_owned, "routers": routers})
}

fn step(step: &Step) -> Value {
    let Step { key, uuid, why, place, group, action } = step;
    let mut value = json!({
        "table": key.table.name(),
        "key": &*key.name,
        "uuid": uuid.to_string(),
        "why": why_name(why),
        "source": place,
        "group": [group.table.name(), &*group.name],
    });
    if let Why::Adopted(holder) = why {
        value["holder"] = json!(holder);
    }
    let (name, field, content) = match action {
        Action::Insert(row) => ("insert", "row", self::row(row)),
        Action::Update(changes) => ("update", "changes", changes.iter().map(change).collect()),
        Action::Delete(row) => ("delete", "row", self::row(row)),
    };
    value["action"] = json!(name);
    value[field] = content;
    value
}

pub(super) fn why_name(why: &Why) -> &'static str {
    match why {
        Why::Input => "input",
        Why::Drift => "drift",
        Why::Both => "both",
        Why::Duplicate => "duplicate",
        Why::Adopted(_) => "adopted",
        Why::Marks => "marks",
    }
}

fn row(row: &Row) -> Value {
    let columns = row.set_columns();
    Value::Object(
        columns.map(|(column, datum)| (column.name.to_owned(), value(column.kind, datum))).collect(),
    )
}

fn change(change: &Change) -> Value {
    let Change { column, edit } = change;
    match edit {
        Edit::Replace { before, after } => {
            let (before, after) = (value(column.kind, before), value(column.kind, after));
            json!({"column": column.name, "before": before, "after": after})
        }
        Edit::Members { insert, delete } => {
            let atoms = |atoms: &[Atom]| atoms.iter().map(atom).collect::<Vec<_>>();
            json!({"column": column.name, "insert": atoms(insert), "delete": atoms(delete)})
        }
        Edit::Pairs(pairs) => {
            let side = |side: &Option<Atom>| side.as_ref().map(atom);
            let pairs = pairs.iter().map(|Pair { key, before, after }| {
                json!({"key": atom(key), "before": side(before), "after": side(after)})
            });
            json!({"column": column.name, "pairs": pairs.collect::<Vec<_>>()})
        }
    }
}

fn value(kind: Kind, datum: &Datum) -> Value {
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [one] if kind.is_scalar() => atom(one),
            atoms => Value::Array(atoms.iter().map(atom).collect()),
        },
        Datum::Map(pairs) => {
            let pairs = pairs.iter().filter_map(|(key, value)| match key {
                Atom::Text(key) => Some((key.to_string(), atom(value))),
                Atom::Int(_) | Atom::Bool(_) | Atom::Ref(_) => None,
            });
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}

fn atom(atom: &Atom) -> Value {
    match atom {
        Atom::Int(value) => json!(value),
        Atom::Bool(value) => json!(value),
        Atom::Text(text) => json!(&**text),
        Atom::Ref(Ref::Key(key)) => json!({"row": [key.table.name(), &*key.name]}),
        Atom::Ref(Ref::Foreign(uuid)) => json!({"uuid": uuid.to_string()}),
    }
}

fn conflict(conflict: &Conflict) -> Value {
    let Conflict { key, place, cause, other } = conflict;
    let (name, column) = match cause {
        Cause::NameTaken => ("name-taken", None),
        Cause::UuidTaken => ("uuid-taken", None),
        Cause::NameOnOtherSide => ("name-on-other-side", None),
        Cause::HoldsForeign(column) => ("holds-foreign", Some(*column)),
        Cause::ReferredByForeign(column) => ("referred-by-foreign", Some(*column)),
        Cause::HeldByForeign(column) => ("held-by-foreign", Some(*column)),
        Cause::NotOnServer(column) => ("not-on-server", *column),
    };
    let other = other.as_ref().map(|Other { table, uuid, name, holder }| {
        json!({"table": table.name(), "uuid": uuid.to_string(), "name": name, "holder": holder})
    });
    json!({
        "cause": name,
        "column": column,
        "table": key.table.name(),
        "key": &*key.name,
        "source": place,
        "other": other,
        "message": conflict.to_string(),
    })
}
