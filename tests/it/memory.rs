//! A Northbound database in memory that executes the steps of a plan as ovsdb-server would.

use std::collections::{BTreeMap, BTreeSet};

use northc::nb::actual::{Actual, name};
use northc::nb::{Atom, Datum, Key, Ref, Row, Table};
use northc::plan::Plan;
use northc::plan::step::{Action, Change, Edit, Step};
use uuid::Uuid;

/// Executes one transaction; panics where the server would refuse it.
pub(crate) fn execute(actual: &mut Actual, plan: &Plan, steps: &[Step]) {
    for step in steps {
        let table = step.key.table;
        match &step.action {
            Action::Insert(row) => {
                assert!(actual.get(table, step.uuid).is_none(), "duplicate uuid: {}", step.key);
                actual.insert(step.uuid, stored(plan, row));
            }
            Action::Update(changes) => {
                let row = actual.get_mut(table, step.uuid).unwrap_or_else(|| panic!("no {}", step.key));
                changes.iter().for_each(|change| edit(plan, row, change));
            }
            Action::Delete(row) => {
                let live = actual.get(table, step.uuid).unwrap_or_else(|| panic!("no {}", step.key));
                let columns = live.columns().zip(row.columns());
                for ((column, live), (_, row)) in columns.filter(|((column, _), _)| column.target.is_none()) {
                    assert_eq!(live, row, "{}: {} is not as seen", step.key, column.name);
                }
                if table.is_root() {
                    actual.remove(table, step.uuid);
                }
            }
        }
    }
    commit(actual).unwrap_or_else(|refused| panic!("{refused}"));
}

fn stored_atom(plan: &Plan, atom: &Atom) -> Atom {
    match atom {
        Atom::Ref(Ref::Key(key)) => Atom::Ref(Ref::Foreign(plan.uuid(key))),
        other => other.clone(),
    }
}

fn stored_datum(plan: &Plan, datum: &Datum) -> Datum {
    match datum {
        Datum::Set(atoms) => Datum::set(atoms.iter().map(|atom| stored_atom(plan, atom))),
        Datum::Map(_) => datum.clone(),
    }
}

fn stored(plan: &Plan, row: &Row) -> Row {
    Row::new(row.table(), row.columns().map(|(_, datum)| stored_datum(plan, datum)).collect())
}

fn edit(plan: &Plan, row: &mut Row, change: &Change) {
    let key = row.table();
    let datum = row.get_mut(change.column.name).expect("a managed column");
    match (&change.edit, &mut *datum) {
        (Edit::Replace { before, after }, _) => {
            assert_eq!(*datum, stored_datum(plan, before), "{}.{}: stale", key.name(), change.column.name);
            *datum = stored_datum(plan, after);
        }
        (Edit::Members { insert, delete }, Datum::Set(atoms)) => {
            let insert = insert.iter().map(|atom| stored_atom(plan, atom));
            let mut all: BTreeSet<Atom> = atoms.iter().cloned().chain(insert).collect();
            for atom in delete {
                all.remove(&stored_atom(plan, atom));
            }
            *datum = Datum::set(all);
        }
        (Edit::Pairs(pairs), Datum::Map(map)) => {
            let mut all: BTreeMap<Atom, Atom> = map.iter().cloned().collect();
            for pair in pairs {
                assert_eq!(all.remove(&pair.key), pair.before);
                all.extend(pair.after.clone().map(|after| (pair.key.clone(), after)));
            }
            *datum = Datum::map(all);
        }
        (Edit::Members { .. }, Datum::Map(_)) | (Edit::Pairs(_), Datum::Set(_)) => panic!("another shape"),
    }
}

/// What ovsdb-server does at commit: collects children without a parent, drops weak references to
/// rows that are gone, and refuses dangling strong ones and equal names, in its words.
pub(crate) fn commit(actual: &mut Actual) -> Result<(), String> {
    let held: BTreeSet<(Table, Uuid)> = loop {
        let held: BTreeSet<(Table, Uuid)> = actual.iter().flat_map(|(_, row)| children(row)).collect();
        let orphans = actual.iter().map(|(uuid, row)| (row.table(), uuid));
        let orphans: Vec<_> = orphans.filter(|at| !at.0.is_root() && !held.contains(at)).collect();
        if orphans.is_empty() {
            break held;
        }
        for (table, uuid) in orphans {
            actual.remove(table, uuid);
        }
    };
    if let Some(at) = held.iter().find(|at| actual.get(at.0, at.1).is_none()) {
        return Err(format!("referential integrity violation: {} row {}", at.0.name(), at.1));
    }
    let mut gone = Vec::new();
    for (uuid, row) in actual.iter() {
        for (column, datum) in row.columns().filter(|(column, _)| !column.holds_children()) {
            for to in datum.refs() {
                let (Some(target), Ref::Foreign(to)) = (column.target, to) else { continue };
                match actual.get(target, *to) {
                    None if column.is_weak => gone.push((row.table(), uuid, column.name, *to)),
                    None => {
                        return Err(format!("referential integrity violation: {} row {to}", target.name()));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    for (table, uuid, column, to) in gone {
        let row = actual.get_mut(table, uuid).expect("it is there");
        let Some(Datum::Set(atoms)) = row.get_mut(column) else { panic!("a set") };
        *atoms = atoms.iter().filter(|atom| **atom != Atom::Ref(Ref::Foreign(to))).cloned().collect();
    }
    for table in Table::ALL.iter().copied().filter(|table| has_index(*table)) {
        let names: Vec<&str> = actual.table(table).filter_map(|(_, row)| name(row)).collect();
        let distinct: BTreeSet<&&str> = names.iter().collect();
        if names.len() != distinct.len() {
            return Err(format!("constraint violation: equal names in {}", table.name()));
        }
    }
    Ok(())
}

/// Whether the schema keeps names unique; of routers and switches northc does.
fn has_index(table: Table) -> bool {
    table.is_named() && !matches!(table, Table::LogicalRouter | Table::LogicalSwitch)
}

/// The children that a row keeps alive.
pub(crate) fn children(row: &Row) -> Vec<(Table, Uuid)> {
    let columns = row.columns().filter(|(column, _)| column.holds_children());
    let refs = columns.flat_map(|(column, datum)| datum.refs().map(move |to| (column.target, to)));
    refs.filter_map(|(target, to)| match to {
        Ref::Foreign(uuid) => Some((target?, *uuid)),
        Ref::Key(Key { .. }) => None,
    })
    .collect()
}
