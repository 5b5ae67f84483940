//! Whether rows are well-formed: references resolve, children have a parent, indexes are unique, and what
//! `external_ids` say is known for northc's.
//!
//! What ovsdb-server would refuse at commit is refused here first, as a bug of ours. Refuses to
//! repair anything.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::key::ByPlace;
use super::value::{Atom, Datum, Ref};
use super::{Key, ROWS_MIN, Row, Rows, Table, stamp};
use crate::parallel;

/// Every way in which the rows break the schema's rules, in words; empty when they are well-formed.
pub fn problems(rows: &Rows) -> Vec<String> {
    let size = (rows.len(), ROWS_MIN);
    let (mut problems, twins) = parallel::both(size, || family_problems(rows), || index_problems(rows));
    problems.extend(twins);
    problems
}

fn family_problems(rows: &Rows) -> Vec<String> {
    let all: Vec<(&Key, &Row)> = rows.iter().collect();
    // By place and not by name: with texts to compare, this check took a tenth of a compilation.
    let nth: ByPlace<usize> = all.iter().enumerate().map(|(nth, (key, _))| (key.place(), nth)).collect();
    let parents = Parents { rows, nth, numbers: all.iter().map(|_| AtomicUsize::new(0)).collect() };
    let found = parallel::map_parts(&all, ROWS_MIN, |part| {
        let mut problems = Vec::new();
        part.iter().for_each(|(key, row)| parents.look(key, row, &mut problems));
        problems
    });
    let mut problems: Vec<String> = found.into_iter().flatten().collect();
    for ((key, _), n) in all.iter().zip(&parents.numbers).filter(|((key, _), _)| !key.table.is_root()) {
        match n.load(Ordering::Relaxed) {
            1 => {}
            0 => problems.push(format!("{key}: has no parent and would vanish at commit")),
            n => problems.push(format!("{key}: has {n} parents")),
        }
    }
    problems
}

/// How many rows each row is a child of, as far as they have been looked at.
struct Parents<'r> {
    rows: &'r Rows,
    /// Which of all rows a place is.
    nth: ByPlace<usize>,
    numbers: Vec<AtomicUsize>,
}

impl Parents<'_> {
    fn look(&self, key: &Key, row: &Row, problems: &mut Vec<String>) {
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
                let by_name = || self.nth.get(&self.rows.entry(to)?.0.place());
                match self.nth.get(&to.place()).or_else(by_name) {
                    None => {
                        problems.push(format!("{key}: `{}` refers to a missing row: {to}", column.name));
                    }
                    Some(nth) if column.holds_children() => {
                        self.numbers[*nth].fetch_add(1, Ordering::Relaxed);
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

fn index_problems(rows: &Rows) -> Vec<String> {
    let mut problems = Vec::new();
    for table in Table::ALL.iter().copied().filter(|table| table.is_named()) {
        let mut names: Vec<(&Atom, &Key)> = Vec::new();
        for (key, row) in rows.table(table) {
            let Some(Datum::Set(name)) = row.get("name") else { continue };
            names.extend(name.first().map(|name| (name, key)));
        }
        // Most are in order, since a row's name is mostly its key.
        names.sort();
        let twins = names.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        problems.extend(twins.map(|pair| format!("{}: another row has the same name", pair[1].1)));
    }
    problems
}
