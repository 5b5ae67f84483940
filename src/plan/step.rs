//! What a plan is made of: a row to insert, to change column by column, or to delete.
//!
//! A step holds before and after, so that it can be explained to people and guarded against a
//! database that moved on. Refuses to decide which steps there are.

use uuid::Uuid;

use crate::nb::{Atom, Column, Datum, Key, Row, Table, actual, stamp};

/// One row's part of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which row.
    pub key: Key,
    /// The UUID that it has, or will have.
    pub uuid: Uuid,
    /// What set it off.
    pub why: Why,
    /// `file:line` of the YAML that wants the row.
    pub place: Option<String>,
    /// The router (a VPC), or the switch of no router, that the row is part of.
    pub group: Key,
    /// What to do.
    pub action: Action,
}

impl Step {
    /// The name that the step gives to a router or a switch, which the schema lets others have too.
    pub fn unindexed_name(&self) -> Option<&str> {
        if !matches!(self.key.table, Table::LogicalRouter | Table::LogicalSwitch) {
            return None;
        }
        match &self.action {
            Action::Insert(row) => actual::name(row),
            Action::Update(changes) => changes.iter().find_map(|change| match &change.edit {
                Edit::Replace { before: _, after } if change.column.name == "name" => actual::name_in(after),
                Edit::Replace { .. } | Edit::Members { .. } | Edit::Pairs(_) => None,
            }),
            Action::Delete(_) => None,
        }
    }
}

/// What to do with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is not there.
    Insert(Row),
    /// These columns differ.
    Update(Vec<Change>),
    /// It is there, as given here, and must go. A child goes by leaving its parent.
    Delete(Row),
}

/// Why a step is there: the row as last written, as it is, and as wanted, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The input changed.
    Input,
    /// The database was changed behind our back.
    Drift,
    /// Both were.
    Both,
    /// Somebody copied a row of ours.
    Duplicate,
    /// The row was somebody else's, who is named where the row says so, and is taken over.
    Adopted(Option<String>),
    /// The row is as wanted; only the marks on it are not.
    Marks,
}

/// A column whose value changes.
#[derive(Clone, Debug)]
pub struct Change {
    /// The column.
    pub column: &'static Column,
    /// How.
    pub edit: Edit,
}

impl PartialEq for Change {
    fn eq(&self, other: &Change) -> bool {
        self.column.name == other.column.name && self.edit == other.edit
    }
}

impl Eq for Change {}

/// How a column's value changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The whole value is replaced.
    Replace {
        /// What is there.
        before: Datum,
        /// What will be.
        after: Datum,
    },
    /// Members enter and leave a set; the others stay, whosever they are.
    Members {
        /// Those that enter.
        insert: Vec<Atom>,
        /// Those that leave.
        delete: Vec<Atom>,
    },
    /// Pairs of a map change; the others stay.
    Pairs(Vec<Pair>),
}

/// One key of a map and its value before and after; `None` is absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The key.
    pub key: Atom,
    /// What is there.
    pub before: Option<Atom>,
    /// What will be.
    pub after: Option<Atom>,
}

impl Change {
    /// True when only northc's own marks in `external_ids` change.
    pub fn is_marks(&self) -> bool {
        match &self.edit {
            Edit::Pairs(pairs) if self.column.name == "external_ids" => {
                pairs.iter().all(|pair| stamp::is_mark(&pair.key))
            }
            Edit::Pairs(_) | Edit::Replace { .. } | Edit::Members { .. } => false,
        }
    }
}
