//! What a plan amounts to: how many rows of which fate, and whether that needs a yes.
//!
//! Refuses to print.

use std::collections::BTreeSet;

use super::Plan;
use super::step::{Action, Change, Edit, Step, Why};
use crate::nb::{Atom, Key, Ref, Table};

/// How many rows a plan inserts, changes, deletes, repairs and takes over. Steps that only follow
/// from others (a switch whose new port enters its `ports`) do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// New rows.
    pub n_add: usize,
    /// Rows that differ because the input changed.
    pub n_change: usize,
    /// Rows that are no longer wanted.
    pub n_remove: usize,
    /// Rows that somebody deleted, changed or copied.
    pub n_repair: usize,
    /// Rows that are taken over.
    pub n_adopt: usize,
}

impl Summary {
    /// How many rows there are in all.
    pub fn n_rows(&self) -> usize {
        let Summary { n_add, n_change, n_remove, n_repair, n_adopt } = self;
        n_add + n_change + n_remove + n_repair + n_adopt
    }
}

impl Plan {
    /// The counts.
    pub fn summary(&self) -> Summary {
        let telling = Telling::new(self);
        let mut summary = Summary::default();
        for step in self.steps.iter().filter(|step| telling.has_step(step)) {
            let count = match (&step.why, &step.action) {
                (Why::Drift | Why::Duplicate, _) => &mut summary.n_repair,
                (Why::Adopted(_), _) => &mut summary.n_adopt,
                (_, Action::Insert(_)) => &mut summary.n_add,
                (_, Action::Update(_)) => &mut summary.n_change,
                (_, Action::Delete(_)) => &mut summary.n_remove,
            };
            *count += 1;
        }
        summary
    }
}

/// What of a plan tells something that the rest does not: not the marks, and not that a row that is
/// inserted or deleted enters or leaves its parent's set.
#[derive(Debug)]
pub struct Telling {
    coming_and_going: BTreeSet<Atom>,
}

impl Telling {
    /// Looks the plan through once.
    pub fn new(plan: &Plan) -> Telling {
        let mut coming_and_going = BTreeSet::new();
        for step in &plan.steps {
            if matches!(step.action, Action::Update(_)) {
                continue;
            }
            coming_and_going.insert(Atom::Ref(Ref::Foreign(step.uuid)));
            if step.why != Why::Duplicate {
                coming_and_going.insert(Atom::Ref(Ref::Key(step.key.clone())));
            }
        }
        Telling { coming_and_going }
    }

    /// Whether the step tells something.
    pub fn has_step(&self, step: &Step) -> bool {
        match &step.action {
            Action::Insert(_) | Action::Delete(_) => true,
            Action::Update(changes) => {
                matches!(step.why, Why::Marks | Why::Adopted(_))
                    || changes.iter().any(|change| self.has_change(change))
            }
        }
    }

    /// Whether the change tells something.
    pub fn has_change(&self, change: &Change) -> bool {
        match &change.edit {
            Edit::Members { insert, delete } => insert.iter().chain(delete).any(|atom| self.has_member(atom)),
            Edit::Replace { .. } | Edit::Pairs(_) => !change.is_marks(),
        }
    }

    /// Whether it tells something that this member enters or leaves.
    pub fn has_member(&self, atom: &Atom) -> bool {
        !self.coming_and_going.contains(atom)
    }
}

/// Why a plan must not be executed without a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// How many rows would be deleted.
    pub n_deleted: usize,
    /// Of how many.
    pub n_owned: usize,
    /// Routers that would go: everything of a VPC.
    pub routers: Vec<Key>,
}

impl Guard {
    pub(super) fn new(steps: &[Step], n_owned: usize, percent_max: usize) -> Option<Guard> {
        let deleted = || {
            let is_unwanted = |step: &&Step| step.why != Why::Duplicate;
            steps.iter().filter(|step| matches!(step.action, Action::Delete(_))).filter(is_unwanted)
        };
        let n_deleted = deleted().count();
        let routers: Vec<Key> = deleted()
            .filter(|step| step.key.table == Table::LogicalRouter)
            .map(|step| step.key.clone())
            .collect();
        let is_much = n_deleted * 100 > n_owned * percent_max;
        (is_much || !routers.is_empty()).then_some(Guard { n_deleted, n_owned, routers })
    }
}
