//! Routers and switches that go while others come: emptied at once, taken away in a transaction of their own.
//!
//! OVN 26.03.1's northd numbers routers and switches, and aborts (`ods_assign_array_index`, for all tenants) about every
//! third time that it finds in one round that one went and another came, and gives its number away. An empty one
//! forwards nothing, so what is seen of the network is what one transaction would have made of it.
//!
//! Refuses to decide when northd has had its round: who sends the transactions asks.

use super::step::{Action, Change, Edit, Step};
use crate::nb::{Column, Datum, Row, Table};

/// The transactions, with one more after each that takes routers or switches away and brings others.
pub(super) fn apart(batches: Vec<Vec<Step>>) -> Vec<Vec<Step>> {
    batches.into_iter().flat_map(parted).filter(|steps| !steps.is_empty()).collect()
}

/// Whether these steps take away what was emptied before, and nothing else.
pub fn is_removal(steps: &[Step]) -> bool {
    steps.iter().all(|step| matches!(&step.action, Action::Delete(row) if is_datapath(step) && is_empty(row)))
}

fn parted(mut steps: Vec<Step>) -> [Vec<Step>; 2] {
    let mut removals = Vec::new();
    if steps.iter().any(|step| is_datapath(step) && matches!(step.action, Action::Insert(_))) {
        for step in steps.iter_mut().filter(|step| is_datapath(step)) {
            if let Action::Delete(row) = &step.action {
                removals.push(Step { action: Action::Delete(emptied(row)), ..step.clone() });
                step.action = Action::Update(row.set_columns().filter_map(vacated).collect());
            }
        }
        steps.retain(|step| !matches!(&step.action, Action::Update(changes) if changes.is_empty()));
    }
    [steps, removals]
}

fn is_datapath(step: &Step) -> bool {
    matches!(step.key.table, Table::LogicalRouter | Table::LogicalSwitch)
}

fn is_empty(row: &Row) -> bool {
    row.set_columns().all(|(column, _)| column.target.is_none())
}

fn emptied(row: &Row) -> Row {
    let data = row.columns().map(|(column, datum)| match column.target {
        Some(_) => column.kind.unset().clone(),
        None => datum.clone(),
    });
    Row::new(row.table(), data.collect())
}

/// The change that takes everything out of the column. It is guarded by what was there, as a deletion is.
fn vacated((column, before): (&'static Column, &Datum)) -> Option<Change> {
    column.target?;
    Some(Change {
        column,
        edit: Edit::Replace { before: before.clone(), after: column.kind.unset().clone() },
    })
}
