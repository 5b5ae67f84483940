//! Whether rows are well-formed: references resolve, children have a parent, indexes are unique, and what
//! `external_ids` say is known for northc's.
//!
//! What ovsdb-server would refuse at commit is refused here first, as a bug of ours. Refuses to
//! repair anything.

use std::collections::{HashMap, HashSet};

use super::value::{Atom, Datum, Ref};
use super::{Rows, Table, stamp};

/// Every way in which the rows break the schema's rules, in words; empty when they are well-formed.
pub fn problems(rows: &Rows) -> Vec<String> {
    let mut problems = Vec::new();
    // By place and not by name: with texts to compare, this check took a tenth of a compilation.
    let mut n_parents: HashMap<_, usize> = rows.iter().map(|(key, _)| (key.place(), 0)).collect();
    for (key, row) in crate::progress::along(rows.iter(), rows.len()) {
        for (column, datum) in row.set_columns() {
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
                let place = match n_parents.contains_key(&to.place()) {
                    true => Some(to.place()),
                    false => rows.entry(to).map(|(key, _)| key.place()),
                };
                match place.and_then(|place| n_parents.get_mut(&place)) {
                    None => {
                        problems.push(format!("{key}: `{}` refers to a missing row: {to}", column.name));
                    }
                    Some(n) => *n += usize::from(column.holds_children()),
                }
            }
        }
    }
    for (key, _) in rows.iter().filter(|(key, _)| !key.table.is_root()) {
        match n_parents[&key.place()] {
            1 => {}
            0 => problems.push(format!("{key}: has no parent and would vanish at commit")),
            n => problems.push(format!("{key}: has {n} parents")),
        }
    }
    problems.extend(index_problems(rows));
    problems
}

fn index_problems(rows: &Rows) -> Vec<String> {
    let mut problems = Vec::new();
    for table in Table::ALL.iter().copied().filter(|table| table.is_named()) {
        let mut seen: HashSet<&Atom> = HashSet::new();
        for (key, row) in rows.table(table) {
            let Some(Datum::Set(name)) = row.get("name") else { continue };
            let Some(name) = name.first() else { continue };
            if !seen.insert(name) {
                problems.push(format!("{key}: another row has the same name"));
            }
        }
    }
    problems
}
