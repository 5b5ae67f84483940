//! The record: one row per owner in which its runs leave word for each other.
//!
//! It says which transaction wrote last (so that an answer that got lost can be looked up, and two
//! runs of one owner cannot both write from the same picture), what all rows looked like then (so
//! that a row that somebody deleted is told from a row that is new), whether an apply of several
//! transactions is under way, and whether a provisional apply was confirmed.
//!
//! It is a `DHCP_Options` row that no port refers to: a root table with `external_ids`, without a
//! unique name, that ovn-northd reads only through the ports that use it. `NB_Global` would be the
//! obvious place, but that row is everybody's.
//!
//! Refuses to decide what to do about what it says.

use uuid::Uuid;

use super::stamp::{self, external_id};
use super::{Atom, Datum, Key, Row, Table};

/// The last transaction that northc committed for the owner.
pub const TXN: &str = "northc-txn";
/// [`stamp::Sum`] of the rows that the last complete apply wrote.
pub const ROWS: &str = "northc-rows";
/// The id of an apply of several transactions that is not complete.
pub const PENDING: &str = "northc-pending";
/// The id of a provisional apply that was confirmed, or `waiting:` and the id of one that was not.
pub const CONFIRM: &str = "northc-confirm";

/// What the record of an owner says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// [`TXN`]
    pub txn: Option<String>,
    /// [`ROWS`]
    pub rows: Option<String>,
    /// [`PENDING`]
    pub pending: Option<String>,
    /// [`CONFIRM`]
    pub confirm: Option<String>,
}

impl Record {
    /// The record in a row.
    pub fn read(row: &Row) -> Record {
        let field = |name| external_id(row, name).map(str::to_owned);
        Record { txn: field(TXN), rows: field(ROWS), pending: field(PENDING), confirm: field(CONFIRM) }
    }

    /// The row of the record for `owner`.
    pub fn to_row(&self, owner: &str) -> Row {
        let Record { txn, rows, pending, confirm } = self;
        let marks = [(stamp::OWNER, Some(owner)), (stamp::KEY, Some(NAME))];
        let fields = [(TXN, txn), (ROWS, rows), (PENDING, pending), (CONFIRM, confirm)];
        let pairs = marks.into_iter().chain(fields.map(|(name, field)| (name, field.as_deref())));
        let pairs = pairs.filter_map(|(name, field)| Some((text(name), text(field?))));
        let mut row = Row::of(Table::DhcpOptions, []);
        if let Some(external_ids) = row.get_mut("external_ids") {
            *external_ids = Datum::map(pairs);
        }
        row
    }
}

const NAME: &str = "northc:record";

/// The key of every owner's record.
pub fn key() -> Key {
    Key::new(Table::DhcpOptions, NAME)
}

/// The UUID of the record of `owner`.
pub fn uuid(owner: &str) -> Uuid {
    key().uuid(owner)
}

/// True for the key of a record.
pub fn is_record(key: &Key) -> bool {
    key.table == Table::DhcpOptions && &*key.name == NAME
}

fn text(value: &str) -> Atom {
    Atom::Text(value.into())
}
