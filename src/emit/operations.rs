//! Steps of a plan → operations of an OVSDB transaction (RFC 7047 §5.2).
//!
//! Guards come first: every row that the plan changes or deletes must still be there with the values that
//! the plan saw in the columns that it touches, or nothing is written. Rows are addressed by UUID. A child
//! is deleted by leaving its parent; the server collects it (RFC 7047 §3.2), but only after it has looked at
//! references, so that one that holds another row (a router's port its chassis) is deleted by name. Of names
//! that the schema does not keep unique, text alone is guarded one by one, and last, since a row of ours may give
//! its name to another: who has a session guards them better (`apply/names.rs`).
//!
//! Refuses to send.

use uuid::Uuid;

use crate::nb::record::{self, Record};
use crate::nb::{Atom, Column, Datum, Key, Ref, Row, Table};
use crate::ovsdb::op::{Compare, Mutator, Name, Op, Until, Which, values};
use crate::plan::Plan;
use crate::plan::step::{Action, Change, Edit, Pair, Step};

/// The operations that carry out these steps of the plan, in one transaction.
pub fn operations(plan: &Plan, steps: &[Step]) -> Vec<Op> {
    let uuid_of = |key: &Key| plan.uuid(key);
    let mut ops: Vec<Op> = steps.iter().filter_map(|step| guard(plan, step, &uuid_of)).collect();
    for step in steps {
        match &step.action {
            Action::Insert(row) => ops.push(Op::insert(step.uuid, row, &uuid_of)),
            Action::Update(changes) => ops.extend(writes(step, changes, &uuid_of)),
            Action::Delete(row) if step.key.table.is_root() || holds_a_root(row) => {
                let table = step.key.table.name().into();
                ops.push(Op::Delete { table, rows: Which::Row(step.uuid) });
            }
            Action::Delete(_) => {}
        }
    }
    ops
}

/// Whether the row keeps a root from being deleted.
fn holds_a_root(row: &Row) -> bool {
    let is_strong = |column: &Column| !column.is_weak && column.target.is_some_and(Table::is_root);
    row.set_columns().any(|(column, _)| is_strong(column))
}

/// The operations that move an owner's record, guarded against another run that moved it first.
pub fn record_operations(owner: &str, before: Option<&Record>, after: Option<&Record>) -> Vec<Op> {
    let uuid = record::uuid(owner);
    let table = || Name::from(Table::DhcpOptions.name());
    let mut ops = Vec::new();
    if let Some(before) = before {
        let txn = before.txn.iter().map(|txn| (text(record::TXN), text(txn)));
        ops.push(unchanged(table(), uuid, vec![includes(Datum::map(txn))]));
    }
    match (before, after) {
        (None, None) => {}
        (None, Some(after)) => ops.push(Op::insert(uuid, &after.to_row(owner), &|key| key.uuid(owner))),
        (Some(_), None) => ops.push(Op::Delete { table: table(), rows: Which::Row(uuid) }),
        (Some(_), Some(after)) => {
            let fields = [record::TXN, record::ROWS, record::PENDING, record::CONFIRM];
            let old = Datum::set(fields.map(text));
            let new = after.to_row(owner).get(EXTERNAL_IDS).cloned().unwrap_or(Datum::Map(Box::default()));
            let mutations = vec![
                (EXTERNAL_IDS.into(), Mutator::Delete, old),
                (EXTERNAL_IDS.into(), Mutator::Insert, new),
            ];
            ops.push(Op::Mutate { table: table(), rows: Which::Row(uuid), mutations });
        }
    }
    ops
}

const EXTERNAL_IDS: &str = "external_ids";

fn text(text: &str) -> Atom {
    Atom::Text(text.into())
}

type Clause = (Name, Compare, Datum);

fn includes(pairs: Datum) -> Clause {
    (EXTERNAL_IDS.into(), Compare::Includes, pairs)
}

/// Asserts that the row is there and compares so.
fn unchanged(table: Name, uuid: Uuid, clauses: Vec<Clause>) -> Op {
    exactly(table, Which::RowIf(uuid, clauses), uuid)
}

/// Asserts that these rows are that one: a `wait` without waiting (RFC 7047 §5.2.6).
fn exactly(table: Name, rows: Which, uuid: Uuid) -> Op {
    let row = vec![("_uuid".into(), Datum::set([Atom::Ref(Ref::Foreign(uuid))]))];
    Op::Wait { table, rows, until: Until::Equal, row, timeout_ms: 0 }
}

/// Asserts that nobody but the step's row has the name that it gives, where the schema does not.
fn sole_bearer(step: &Step) -> Option<Op> {
    let rows = Which::Where("name".into(), Compare::Equal, Datum::set([text(step.unindexed_name()?)]));
    Some(exactly(step.key.table.name().into(), rows, step.uuid))
}

fn guard(plan: &Plan, step: &Step, uuid_of: &impl Fn(&Key) -> Uuid) -> Option<Op> {
    let clauses = match &step.action {
        Action::Insert(_) => return None,
        Action::Update(changes) => changes.iter().filter_map(|change| seen(change, uuid_of)).collect(),
        Action::Delete(row) => all_seen(plan, row, uuid_of),
    };
    Some(unchanged(step.key.table.name().into(), step.uuid, clauses))
}

/// What the plan saw where this change writes. Members come and go without regard to each other.
fn seen(Change { column, edit }: &Change, uuid_of: &impl Fn(&Key) -> Uuid) -> Option<Clause> {
    match edit {
        Edit::Replace { before, after: _ } => {
            Some((column.name.into(), Compare::Equal, values(before, uuid_of)))
        }
        Edit::Members { .. } => None,
        Edit::Pairs(pairs) => {
            let before = |pair: &Pair| Some((pair.key.clone(), pair.before.clone()?));
            let before: Vec<(Atom, Atom)> = pairs.iter().filter_map(before).collect();
            (!before.is_empty()).then(|| (column.name.into(), Compare::Includes, Datum::map(before)))
        }
    }
}

/// What a row to be deleted held; its children above all, since they go with it. Others' keys in
/// `external_ids` may have come since.
fn all_seen(plan: &Plan, row: &Row, uuid_of: &impl Fn(&Key) -> Uuid) -> Vec<Clause> {
    let columns = row.columns().filter(|(column, _)| plan.has_column(row.table(), column.name));
    let clause = |(column, datum): (&'static Column, &Datum)| {
        let compare = if column.name == EXTERNAL_IDS { Compare::Includes } else { Compare::Equal };
        (column.name.into(), compare, values(datum, uuid_of))
    };
    columns.map(clause).collect()
}

fn writes(step: &Step, changes: &[Change], uuid_of: &impl Fn(&Key) -> Uuid) -> Vec<Op> {
    let mut row: Vec<(Name, Datum)> = Vec::new();
    let mut mutations: Vec<(Name, Mutator, Datum)> = Vec::new();
    for Change { column, edit } in changes {
        let name = || Name::from(column.name);
        match edit {
            Edit::Replace { before: _, after } => row.push((name(), values(after, uuid_of))),
            // First in, then out: a set that must not be empty never is.
            Edit::Members { insert, delete } => {
                for (mutator, atoms) in [(Mutator::Insert, insert), (Mutator::Delete, delete)] {
                    if !atoms.is_empty() {
                        let atoms = Datum::set(atoms.iter().cloned());
                        mutations.push((name(), mutator, values(&atoms, uuid_of)));
                    }
                }
            }
            // First out, then in: an insert does not replace the value of a key that is there.
            Edit::Pairs(pairs) => {
                let old = pairs.iter().map(|pair| pair.key.clone());
                mutations.push((name(), Mutator::Delete, Datum::set(old)));
                let new = pairs.iter().filter_map(|pair| Some((pair.key.clone(), pair.after.clone()?)));
                let new: Vec<(Atom, Atom)> = new.collect();
                if !new.is_empty() {
                    mutations.push((name(), Mutator::Insert, Datum::map(new)));
                }
            }
        }
    }
    let (table, rows) = (Name::from(step.key.table.name()), Which::Row(step.uuid));
    let mut ops = Vec::new();
    if !row.is_empty() {
        ops.push(Op::Update { table: table.clone(), rows: rows.clone(), row });
    }
    if !mutations.is_empty() {
        ops.push(Op::Mutate { table, rows, mutations });
    }
    ops
}

/// The transactions of a plan as `ovsdb-client transact` takes them, one on each line.
pub fn transactions(plan: &Plan, batches: &[Vec<Step>]) -> String {
    let mut out = Vec::new();
    for steps in batches {
        out.extend_from_slice(b"[\"");
        out.extend_from_slice(super::transact::DATABASE.as_bytes());
        out.push(b'"');
        for op in operations(plan, steps).into_iter().chain(steps.iter().filter_map(sole_bearer)) {
            out.push(b',');
            op.write(&mut out);
        }
        out.extend_from_slice(b"]\n");
    }
    String::from_utf8_lossy(&out).into_owned()
}
