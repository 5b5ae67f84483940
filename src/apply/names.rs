//! Names of routers and switches, of which OVN's schema lets two rows have one: nobody else may take a name
//! between a plan and the transaction that gives it.
//!
//! A guard for each name would let the server scan its table each time, so that 2,500 new switches cost it a
//! second; a transaction asserts once for a table that others have the names that they had, which is one scan.
//! Refuses to look at other tables: those have an index.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::nb::actual::Actual;
use crate::nb::stamp::{self, external_id};
use crate::nb::{Atom, Datum, Table};
use crate::ovsdb::op::{Compare, Op, Which};
use crate::plan::step::{Action, Edit, Step};

const TABLES: [Table; 2] = [Table::LogicalRouter, Table::LogicalSwitch];

/// What routers and switches without the owner's mark are called.
pub(super) struct Others {
    names: BTreeMap<(Table, Uuid), Datum>,
}

impl Others {
    /// As they are now.
    pub(super) fn new(actual: &Actual, owner: &str) -> Others {
        let rows = TABLES.into_iter().flat_map(|table| actual.table(table));
        let others = rows.filter(|(_, row)| external_id(row, stamp::OWNER) != Some(owner));
        let names = others.filter_map(|(uuid, row)| Some(((row.table(), uuid), row.get("name")?.clone())));
        Others { names: names.collect() }
    }

    /// What a transaction of these steps asserts at its end, when rows that it takes over carry the mark.
    pub(super) fn guards(&mut self, steps: &[Step], owner: &str) -> Vec<Op> {
        for at in steps.iter().filter_map(claimed) {
            self.names.remove(&at);
        }
        let gives_names = |table: &Table| {
            steps.iter().any(|step| step.key.table == *table && step.unindexed_name().is_some())
        };
        TABLES.into_iter().filter(gives_names).map(|table| self.guard(table, owner)).collect()
    }

    fn guard(&self, table: Table, owner: &str) -> Op {
        let mark = Datum::map([(Atom::Text(stamp::OWNER.into()), Atom::Text(owner.into()))]);
        let of_table = self.names.range((table, Uuid::nil())..=(table, Uuid::max()));
        Op::WaitValues {
            table: table.name().into(),
            rows: Which::Where("external_ids".into(), Compare::Excludes, mark),
            column: "name".into(),
            values: of_table.map(|(_, name)| name.clone()).collect(),
        }
    }
}

/// The row to which a step gives the owner's mark, if it does.
fn claimed(step: &Step) -> Option<(Table, Uuid)> {
    let Action::Update(changes) = &step.action else { return None };
    let marks = changes.iter().any(|change| match &change.edit {
        Edit::Pairs(pairs) if change.column.name == "external_ids" => {
            pairs.iter().any(|pair| matches!(&pair.key, Atom::Text(key) if **key == *stamp::OWNER))
        }
        Edit::Pairs(_) | Edit::Replace { .. } | Edit::Members { .. } => false,
    });
    marks.then_some((step.key.table, step.uuid))
}
