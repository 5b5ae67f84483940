//! Operations of a transaction (RFC 7047 §5.2).
//!
//! Rows are addressed by `_uuid` wherever they can be: the server finds those without a scan, and a
//! name is not unique. Refuses to decide what to write, and to know how
//! operations look on the wire; `encode` does.

use std::borrow::Cow;

use uuid::Uuid;

use crate::nb::{Atom, Datum, Key, Ref, Row};

/// A table's or column's name: known at compile time for what northc writes, owned for the rest.
pub type Name = Cow<'static, str>;

/// One operation. References in values must be [`Ref::Foreign`]; see [`values`].
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// §5.2.1, with the row's UUID chosen by us (ovsdb-server(7) §5.2.1): sent twice, the second
    /// fails instead of doubling the row. Columns left out get their defaults.
    Insert {
        /// The table.
        table: Name,
        /// The UUID of the new row.
        uuid: Uuid,
        /// Its columns.
        row: Vec<(Name, Datum)>,
    },
    /// §5.2.2: a page of rows, read inside the transaction.
    Select {
        /// The table.
        table: Name,
        /// Which rows.
        rows: Which,
        /// Which columns; `_uuid` and `_version` are columns too.
        columns: Vec<Name>,
    },
    /// §5.2.3: puts values in the place of others.
    Update {
        /// The table.
        table: Name,
        /// Which rows.
        rows: Which,
        /// The new values.
        row: Vec<(Name, Datum)>,
    },
    /// §5.2.4: changes members of sets and maps, or numbers.
    Mutate {
        /// The table.
        table: Name,
        /// Which rows.
        rows: Which,
        /// The changes, in order.
        mutations: Vec<(Name, Mutator, Datum)>,
    },
    /// §5.2.5
    Delete {
        /// The table.
        table: Name,
        /// Which rows.
        rows: Which,
    },
    /// §5.2.6: the transaction fails unless the rows have these values, or do not have them.
    Wait {
        /// The table.
        table: Name,
        /// Which rows.
        rows: Which,
        /// Whether they must be equal to `row`, or differ from it.
        until: Until,
        /// The values.
        row: Vec<(Name, Datum)>,
        /// How long the server may wait for it; 0 makes it a guard.
        timeout_ms: u64,
    },
    /// §5.2.6 of many rows at once: the transaction fails unless these are the values that the rows have in
    /// one column, whichever has which.
    WaitValues {
        /// The table.
        table: Name,
        /// Which rows.
        rows: Which,
        /// The column.
        column: Name,
        /// What they have there.
        values: Vec<Datum>,
    },
    /// §5.2.7: forces the transaction to disk before the reply.
    CommitDurable,
    /// §5.2.9: a note in the server's log file, which `ovsdb-tool show-log` prints.
    Comment(String),
    /// §5.2.10: fails unless this connection owns the lock.
    Assert(Name),
}

/// The rows that an operation is about (RFC 7047 §5.1 `<condition>`).
#[derive(Clone, Debug, PartialEq)]
pub enum Which {
    /// The row of this UUID: found without a scan.
    Row(Uuid),
    /// The row of this UUID, if these columns of it compare so.
    RowIf(Uuid, Vec<(Name, Compare, Datum)>),
    /// All rows, as in `NB_Global`, which has one.
    All,
    /// Rows whose column compares so: a scan of the table, for small tables only.
    Where(Name, Compare, Datum),
}

/// RFC 7047 §5.1 `<function>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `==`
    Equal,
    /// `!=`
    Differs,
    /// `>=`
    AtLeast,
    /// `includes`
    Includes,
    /// `excludes`
    Excludes,
}

/// What a `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// `==`
    Equal,
    /// `!=`
    Differs,
}

/// RFC 7047 §5.1 `<mutator>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutator {
    /// `insert`: adds members. A map's key that is there already keeps its value.
    Insert,
    /// `delete`: removes members.
    Delete,
    /// `+=`
    Add,
}

impl Op {
    /// The insert of a whole Northbound row; columns at their default are left out.
    pub fn insert(uuid: Uuid, row: &Row, uuid_of: &impl Fn(&Key) -> Uuid) -> Op {
        let columns = row.set_columns();
        let row_values = columns.map(|(column, datum)| (column.name.into(), values(datum, uuid_of)));
        Op::Insert { table: row.table().name().into(), uuid, row: row_values.collect() }
    }

    /// The name of the operation, as the protocol has it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Insert { .. } => "insert",
            Op::Select { .. } => "select",
            Op::Update { .. } => "update",
            Op::Mutate { .. } => "mutate",
            Op::Delete { .. } => "delete",
            Op::Wait { .. } | Op::WaitValues { .. } => "wait",
            Op::CommitDurable => "commit",
            Op::Comment(_) => "comment",
            Op::Assert(_) => "assert",
        }
    }

    /// The table that it is about.
    pub fn table(&self) -> Option<&str> {
        match self {
            Op::Insert { table, .. }
            | Op::Select { table, .. }
            | Op::Update { table, .. }
            | Op::Mutate { table, .. }
            | Op::Delete { table, .. }
            | Op::Wait { table, .. }
            | Op::WaitValues { table, .. } => Some(table),
            Op::CommitDurable | Op::Comment(_) | Op::Assert(_) => None,
        }
    }

    /// The row that it is about, when it is one.
    pub fn row(&self) -> Option<Uuid> {
        match self {
            Op::Insert { uuid, .. } => Some(*uuid),
            Op::Select { rows, .. }
            | Op::Update { rows, .. }
            | Op::Mutate { rows, .. }
            | Op::Delete { rows, .. }
            | Op::Wait { rows, .. }
            | Op::WaitValues { rows, .. } => match rows {
                Which::Row(uuid) | Which::RowIf(uuid, _) => Some(*uuid),
                Which::All | Which::Where(..) => None,
            },
            Op::CommitDurable | Op::Comment(_) | Op::Assert(_) => None,
        }
    }

    /// True when it changes nothing, so that it may be sent again without asking.
    pub fn only_reads(&self) -> bool {
        matches!(self, Op::Select { .. } | Op::Wait { .. } | Op::WaitValues { .. } | Op::Assert(_))
    }
}

/// A value with the references to rows of ours turned into UUIDs, as [`Op`] wants it.
pub fn values(datum: &Datum, uuid_of: &impl Fn(&Key) -> Uuid) -> Datum {
    match datum {
        Datum::Set(atoms) if atoms.iter().any(|atom| matches!(atom, Atom::Ref(Ref::Key(_)))) => {
            Datum::set(atoms.iter().map(|atom| match atom {
                Atom::Ref(Ref::Key(key)) => Atom::Ref(Ref::Foreign(uuid_of(key))),
                other => other.clone(),
            }))
        }
        other => other.clone(),
    }
}
