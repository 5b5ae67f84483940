//! Steps of a plan → a bash script of `ovn-nbctl` calls, for those who apply by other means.
//!
//! One call is one transaction. The script is for the database that the plan was made for, once: what the
//! plan would insert must not be there, and what it changes must. It checks neither values nor owners, as
//! ovn-nbctl cannot. Refuses to run anything.

use std::fmt::Write;

use uuid::Uuid;

use super::quote;
use crate::nb::{Atom, Key, Row};
use crate::plan::Plan;
use crate::plan::batch::{Limits, batches};
use crate::plan::step::{Action, Change, Edit, Step};

/// Steps in one call: ovn-nbctl's time grows with the square of its commands, and Linux gives a process
/// two mebibytes of arguments.
pub const LIMITS: Limits = Limits { n_single_max: 1000, n_batch_max: 500 };

/// The plan as a script.
pub fn script(plan: &Plan) -> String {
    let mut out = String::from("#!/usr/bin/env bash\n");
    let batches = batches(plan, &LIMITS);
    let (n_steps, n_calls) = (plan.steps.len(), batches.len());
    let _ = writeln!(
        out,
        "# northc {}: {n_steps} rows in {n_calls} calls, for the database that the plan",
        env!("CARGO_PKG_VERSION")
    );
    out.push_str("# was made for. Database: as ovn-nbctl finds it (OVN_NB_DB).\nset -euo pipefail\n");
    for steps in &batches {
        out.push_str("\novn-nbctl --timeout=300");
        for step in steps {
            write_step(&mut out, plan, step);
        }
        out.push('\n');
    }
    out
}

fn write_step(out: &mut String, plan: &Plan, step: &Step) {
    let uuid_of = |key: &Key| plan.uuid(key);
    let (table, uuid) = (step.key.table.name(), step.uuid);
    match &step.action {
        Action::Insert(row) => {
            let _ = write!(out, " \\\n    -- --id={uuid} create {table}");
            write_row(out, row, &uuid_of);
        }
        Action::Update(changes) => {
            changes.iter().for_each(|change| write_change(out, table, uuid, change, &uuid_of));
        }
        Action::Delete(_) if step.key.table.is_root() => {
            let _ = write!(out, " \\\n    -- destroy {table} {uuid}");
        }
        Action::Delete(_) => {}
    }
}

fn write_row(out: &mut String, row: &Row, uuid_of: &impl Fn(&Key) -> Uuid) {
    for (column, datum) in row.set_columns() {
        let value = format!("{}={}", column.name, quote::datum(column.kind, datum, uuid_of));
        let _ = write!(out, " {}", quote::shell(&value));
    }
}

fn write_change(out: &mut String, table: &str, uuid: Uuid, change: &Change, uuid_of: &impl Fn(&Key) -> Uuid) {
    let name = change.column.name;
    let mut command = |verb: &str, values: Vec<String>| {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| quote::shell(value)).collect();
            let _ = write!(out, " \\\n    -- {verb} {table} {uuid} {name} {}", values.join(" "));
        }
    };
    let atoms = |atoms: &[Atom]| atoms.iter().map(|atom| quote::atom(atom, uuid_of)).collect::<Vec<_>>();
    match &change.edit {
        Edit::Replace { before: _, after } => {
            let value = format!("{name}={}", quote::datum(change.column.kind, after, uuid_of));
            let _ = write!(out, " \\\n    -- set {table} {uuid} {}", quote::shell(&value));
        }
        Edit::Members { insert, delete } => {
            command("add", atoms(insert));
            command("remove", atoms(delete));
        }
        Edit::Pairs(pairs) => {
            let old = pairs.iter().filter(|pair| pair.before.is_some()).map(|pair| pair.key.clone());
            command("remove", atoms(&old.collect::<Vec<_>>()));
            let new = pairs.iter().filter_map(|pair| Some((pair.key.clone(), pair.after.clone()?)));
            let pair = |(key, value): (Atom, Atom)| {
                format!("{}={}", quote::atom(&key, uuid_of), quote::atom(&value, uuid_of))
            };
            command("add", new.map(pair).collect());
        }
    }
}
