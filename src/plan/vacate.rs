//! Routers and switches that go while others come: emptied at once, taken away in a transaction of their own, the last.
//!
//! OVN 26.03.1's northd numbers routers, and switches, and aborts for all tenants (`ods_assign_array_index`) where it
//! finds in one round that one went and another came, to which it gives the number of the first. An empty one forwards
//! nothing, so what is seen of the network is what one transaction would have made of it. A round may be of several
//! transactions, of several applies: so what goes is numbered, and what brings others waits for that number.
//!
//! Refuses to decide when northd has had its round: who sends the transactions asks.

use std::collections::BTreeSet;

use super::step::{Action, Change, Edit, Step};
use crate::nb::{Column, Datum, Row, Table};

/// The transactions, and one more at the end with the routers and switches that go where others of their table come.
pub(super) fn apart(mut batches: Vec<Vec<Step>>) -> Vec<Vec<Step>> {
    let comes = |step: &&Step| is_datapath(step) && matches!(step.action, Action::Insert(_));
    let come: BTreeSet<Table> = batches.iter().flatten().filter(comes).map(|step| step.key.table).collect();
    let mut removals = Vec::new();
    for step in batches.iter_mut().flatten().filter(|step| come.contains(&step.key.table)) {
        if let Action::Delete(row) = &step.action {
            removals.push(Step { action: Action::Delete(emptied(row)), ..step.clone() });
            step.action = Action::Update(row.set_columns().filter_map(vacated).collect());
        }
    }
    for steps in &mut batches {
        steps.retain(|step| !matches!(&step.action, Action::Update(changes) if changes.is_empty()));
    }
    batches.push(removals);
    batches.retain(|steps| !steps.is_empty());
    batches
}

/// Whether these steps take away what was emptied before, and nothing else.
pub fn is_removal(steps: &[Step]) -> bool {
    steps.iter().all(|step| matches!(&step.action, Action::Delete(row) if is_datapath(step) && is_empty(row)))
}

/// Whether a router or a switch comes with these steps, which northd must not see in one round with one that went.
pub fn brings(steps: &[Step]) -> bool {
    steps.iter().any(|step| is_datapath(step) && matches!(step.action, Action::Insert(_)))
}

/// Whether a router or a switch goes with these steps.
pub fn takes(steps: &[Step]) -> bool {
    steps.iter().any(|step| is_datapath(step) && matches!(step.action, Action::Delete(_)))
}

fn is_datapath(step: &Step) -> bool {
    matches!(step.key.table, Table::LogicalRouter | Table::LogicalSwitch)
}

fn is_empty(row: &Row) -> bool {
    row.set_columns().all(|(column, _)| column.target.is_none())
}

fn emptied(row: &Row) -> Row {
    row.map(|column, datum| match column.target {
        Some(_) => column.kind.unset().clone(),
        None => datum.clone(),
    })
}

/// The change that takes everything out of the column. It is guarded by what was there, as a deletion is.
fn vacated((column, before): (&'static Column, &Datum)) -> Option<Change> {
    column.target?;
    Some(Change {
        column,
        edit: Edit::Replace { before: before.clone(), after: column.kind.unset().clone() },
    })
}
