//! Whether rows are well-formed: references resolve, children have a parent, indexes are unique, and what
//! `external_ids` say is known for northc's.
//!
//! What ovsdb-server would refuse at commit is refused here first, as a bug of ours. Refuses to
//! repair anything.

use std::collections::BTreeMap;

use super::value::{Atom, Datum, Ref};
use super::{Key, Rows, Table, stamp};

/// Every way in which the rows break the schema's rules, in words; empty when they are well-formed.
pub fn problems(rows: &Rows) -> Vec<String> {
    let mut problems = Vec::new();
    let mut n_parents: BTreeMap<&Key, usize> = BTreeMap::new();
    for (key, row) in rows.iter() {
        for (column, datum) in row.columns() {
            if let ("external_ids", Datum::Map(pairs)) = (column.name, datum) {
                let theirs = pairs.iter().filter(|(name, _)| !stamp::is_ours(name));
                problems
                    .extend(theirs.map(|(name, _)| format!("{key}: not northc's `external_ids`: {name:?}")));
            }
            for to in datum.refs() {
                let Ref::Key(to) = to else { continue };
                if Some(to.table) != column.target {
                    problems.push(format!("{key}: `{}` refers to the wrong table: {to}", column.name));
                }
                if rows.get(to).is_none() {
                    problems.push(format!("{key}: `{}` refers to a missing row: {to}", column.name));
                }
                if column.holds_children() {
                    *n_parents.entry(to).or_default() += 1;
                }
            }
        }
    }
    for (key, _) in rows.iter().filter(|(key, _)| !key.table.is_root()) {
        match n_parents.get(key) {
            Some(1) => {}
            Some(n) => problems.push(format!("{key}: has {n} parents")),
            None => problems.push(format!("{key}: has no parent and would vanish at commit")),
        }
    }
    problems.extend(index_problems(rows));
    problems
}

fn index_problems(rows: &Rows) -> Vec<String> {
    let mut problems = Vec::new();
    for table in Table::ALL.iter().copied().filter(|table| table.is_named()) {
        let mut seen: BTreeMap<&Atom, &Key> = BTreeMap::new();
        for (key, row) in rows.table(table) {
            let Some(Datum::Set(name)) = row.get("name") else { continue };
            let Some(name) = name.first() else { continue };
            if let Some(first) = seen.insert(name, key) {
                problems.push(format!("{key}: same name as {first}"));
            }
        }
    }
    problems
}
