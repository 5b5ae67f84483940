//! A plan held against the database later: can it still be carried out, and has it been?
//!
//! Refuses to look at rows that the plan does not touch.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Plan;
use super::ownership::Other;
use super::step::{Action, Change, Edit, Step};
use crate::nb::actual::{self, Actual};
use crate::nb::record::{self, Record};
use crate::nb::{Atom, Datum, Key, Ref, Row, Table};

/// What changed since the plan was made that keeps it from being carried out, in words; empty when
/// nothing did.
pub fn changed_since(plan: &Plan, actual: &Actual) -> Vec<String> {
    let mut changed = Vec::new();
    let live = actual.get(Table::DhcpOptions, record::uuid(&plan.owner)).map(|row| Record::read(row));
    if live.as_ref().and_then(|live| live.txn.as_ref())
        != plan.base.as_ref().and_then(|base| base.txn.as_ref())
    {
        changed.push(format!("northc wrote rows of owner `{}`", plan.owner));
    }
    changed.extend(namesakes(plan, actual));
    for step in &plan.steps {
        let live = actual.get(step.key.table, step.uuid);
        match (&step.action, live) {
            (Action::Insert(_), Some(_)) => changed.push(format!("{} is there", step.key)),
            (Action::Insert(_), None) => {}
            (Action::Update(_) | Action::Delete(_), None) => changed.push(format!("{} is gone", step.key)),
            (Action::Update(changes), Some(live)) => {
                let differing = changes.iter().filter(|change| !is_before(plan, change, live));
                changed.extend(
                    differing.map(|change| format!("{}: `{}` changed", step.key, change.column.name)),
                );
            }
            (Action::Delete(row), Some(live)) => {
                let columns = row.columns().zip(live.columns());
                let differing = columns.filter(|((column, row), (_, live))| {
                    column.name != "external_ids" && stored(plan, row) != **live
                });
                changed.extend(
                    differing.map(|((column, _), _)| format!("{}: `{}` changed", step.key, column.name)),
                );
            }
        }
    }
    changed
}

/// The database as the plan leaves it, if nobody else writes.
pub fn outcome(plan: &Plan, actual: &Actual) -> Actual {
    let mut after = actual.clone();
    for step in &plan.steps {
        let table = step.key.table;
        match &step.action {
            Action::Insert(row) => {
                after.insert(step.uuid, row.map(|_, datum| stored(plan, datum)));
            }
            Action::Delete(_) => {
                after.remove(table, step.uuid);
            }
            Action::Update(changes) => {
                let Some(row) = after.get_mut(table, step.uuid) else { continue };
                changes.iter().for_each(|change| carry_out(plan, change, row));
            }
        }
    }
    after
}

fn carry_out(plan: &Plan, Change { column, edit }: &Change, row: &mut Row) {
    let Some(datum) = row.get_mut(column.name) else { return };
    *datum = match (edit, &*datum) {
        (Edit::Replace { before: _, after }, _) => stored(plan, after),
        (Edit::Members { insert, delete }, Datum::Set(atoms)) => {
            let gone: Vec<Atom> = delete.iter().map(|atom| stored_atom(plan, atom)).collect();
            let stay = atoms.iter().filter(|atom| !gone.contains(atom)).cloned();
            Datum::set(stay.chain(insert.iter().map(|atom| stored_atom(plan, atom))))
        }
        (Edit::Pairs(changed), Datum::Map(pairs)) => {
            let stay = pairs.iter().filter(|(key, _)| !changed.iter().any(|pair| pair.key == *key));
            let new = changed.iter().filter_map(|pair| Some((pair.key.clone(), pair.after.clone()?)));
            Datum::map(stay.cloned().chain(new))
        }
        (Edit::Members { .. }, Datum::Map(_)) | (Edit::Pairs(_), Datum::Set(_)) => return,
    };
}

/// Rows that have a name which the plan gives to a router or a switch, and are none of the plan's, in words.
pub fn namesakes(plan: &Plan, actual: &Actual) -> Vec<String> {
    let given = plan.steps.iter().filter_map(|step| Some(((step.key.table, step.unindexed_name()?), step)));
    let given: BTreeMap<(Table, &str), &Step> = given.collect();
    let in_plan: BTreeSet<Uuid> = plan.steps.iter().map(|step| step.uuid).collect();
    let tables: BTreeSet<Table> = given.keys().map(|(table, _)| *table).collect();
    let rows = tables.into_iter().flat_map(|table| actual.table(table));
    let others = rows.filter(|(uuid, _)| !in_plan.contains(uuid));
    let taken = others.filter_map(|(uuid, row)| {
        let step = given.get(&(row.table(), actual::name(row)?))?;
        Some(format!("{}: the name is taken by {}", step.key, Other::new(uuid, row)))
    });
    taken.collect()
}

/// The steps whose effect is not in the database: after an apply, what somebody else undid.
pub fn missing<'p>(plan: &'p Plan, actual: &Actual) -> Vec<&'p Step> {
    let is_missing = |step: &&Step| {
        let live = actual.get(step.key.table, step.uuid);
        match (&step.action, live) {
            (Action::Insert(_) | Action::Update(_), None) | (Action::Delete(_), Some(_)) => true,
            (Action::Delete(_), None) => false,
            (Action::Insert(row), Some(live)) => !holds(plan, row, live),
            (Action::Update(changes), Some(live)) => {
                !changes.iter().all(|change| is_after(plan, change, live))
            }
        }
    };
    plan.steps.iter().filter(is_missing).collect()
}

/// Whether a live row is the inserted one, whatever others put into its sets and `external_ids`.
fn holds(plan: &Plan, row: &Row, live: &Row) -> bool {
    row.columns().zip(live.columns()).all(|((column, row), (_, live))| {
        let is_shared = column.target.is_some() || column.name == "external_ids";
        // Most columns refer to nothing, and are compared as they are.
        let row = if column.target.is_some() { Cow::Owned(stored(plan, row)) } else { Cow::Borrowed(row) };
        match (&*row, live) {
            (Datum::Set(row), Datum::Set(live)) if is_shared => {
                row.iter().all(|atom| live.binary_search(atom).is_ok())
            }
            (Datum::Map(row), Datum::Map(live)) if is_shared => {
                row.iter().all(|pair| live.binary_search(pair).is_ok())
            }
            (row, live) => row == live,
        }
    })
}

fn is_before(plan: &Plan, change: &Change, live: &Row) -> bool {
    compares(plan, change, live, Side::Before)
}

fn is_after(plan: &Plan, change: &Change, live: &Row) -> bool {
    compares(plan, change, live, Side::After)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

fn compares(plan: &Plan, Change { column, edit }: &Change, live: &Row, side: Side) -> bool {
    let Some(live) = live.get(column.name) else { return false };
    match edit {
        Edit::Replace { before, after } => {
            stored(plan, if side == Side::Before { before } else { after }) == *live
        }
        // Members come and go without regard to each other.
        Edit::Members { .. } if side == Side::Before => true,
        Edit::Members { insert, delete } => {
            let Datum::Set(live) = live else { return false };
            let is_there = |atom: &Atom| live.binary_search(&stored_atom(plan, atom)).is_ok();
            insert.iter().all(is_there) && !delete.iter().any(is_there)
        }
        Edit::Pairs(pairs) => {
            let Datum::Map(live) = live else { return false };
            pairs.iter().all(|pair| {
                let live = live.iter().find(|(key, _)| *key == pair.key).map(|(_, value)| value);
                let wanted = if side == Side::Before { &pair.before } else { &pair.after };
                live == wanted.as_ref() || (side == Side::Before && wanted.is_none())
            })
        }
    }
}

fn stored(plan: &Plan, datum: &Datum) -> Datum {
    match datum {
        Datum::Set(atoms) => Datum::set(atoms.iter().map(|atom| stored_atom(plan, atom))),
        Datum::Map(_) => datum.clone(),
    }
}

fn stored_atom(plan: &Plan, atom: &Atom) -> Atom {
    let uuid_of = |key: &Key| plan.uuid(key);
    match atom {
        Atom::Ref(Ref::Key(key)) => Atom::Ref(Ref::Foreign(uuid_of(key))),
        other => other.clone(),
    }
}

impl Plan {
    /// The plan that undoes this one, from the state that this one leaves, whose record is `base`.
    pub fn inverse(&self, base: Option<Record>) -> Plan {
        let mut steps: Vec<Step> = self.steps.iter().map(inverse_step).collect();
        steps.sort_by(super::in_order);
        let rows = self.base.as_ref().and_then(|base| base.rows.clone()).unwrap_or_default();
        Plan { base, rows, steps, conflicts: Vec::new(), guard: None, ..self.clone() }
    }
}

fn inverse_step(step: &Step) -> Step {
    let action = match &step.action {
        Action::Insert(row) => Action::Delete(row.clone()),
        Action::Delete(row) => Action::Insert(row.clone()),
        Action::Update(changes) => Action::Update(changes.iter().map(inverse_change).collect()),
    };
    Step { action, ..step.clone() }
}

fn inverse_change(Change { column, edit }: &Change) -> Change {
    let edit = match edit {
        Edit::Replace { before, after } => Edit::Replace { before: after.clone(), after: before.clone() },
        Edit::Members { insert, delete } => Edit::Members { insert: delete.clone(), delete: insert.clone() },
        Edit::Pairs(pairs) => Edit::Pairs(
            pairs
                .iter()
                .map(|pair| super::step::Pair {
                    key: pair.key.clone(),
                    before: pair.after.clone(),
                    after: pair.before.clone(),
                })
                .collect(),
        ),
    };
    Change { column, edit }
}
