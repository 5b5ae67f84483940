//! Natural keys: what makes two rows the same row, and the UUID that follows from it.
//!
//! OVN's schema has no unique index on most of what we write (`Logical_Switch.name`, ACLs, routes),
//! so identity is our own decision, and this is where it is written. A row's UUID is a function of
//! its owner, table and key (UUID version 5): the same row has the same UUID in every script,
//! transaction and run, and an insert that is sent twice fails instead of doubling the row.
//!
//! Refuses to mint names; `lower::names` does.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use uuid::Uuid;

use super::table::Table;
use crate::digest;
use crate::visible::visible;

/// The name space under which row UUIDs are derived; never to change, or every row would.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_2d0e_7a1b_5c3d_9e4f_0a1b_2c3d_4e5f);

/// A row's identity among the rows of one owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its table.
    pub table: Table,
    /// Its name within the table: the OVN name where the table has one, else a path like
    /// `vpc-1/route/main/dst-ip/20.0.0.0/16/169.254.0.2`.
    pub name: Arc<str>,
}

impl Key {
    /// The key of `name` in `table`.
    pub fn new(table: Table, name: impl Into<Arc<str>>) -> Key {
        Key { table, name: name.into() }
    }

    /// What tells it from other keys without a look at its text: refs are mostly clones of their row's key.
    /// Two keys of one name may differ by it.
    pub(crate) fn place(&self) -> Place {
        (self.table, self.name.as_ptr().addr())
    }

    /// The UUID that this row has when `owner` owns it.
    pub fn uuid(&self, owner: &str) -> Uuid {
        let parts = [owner.as_bytes(), b"\0", self.table.name().as_bytes(), b"\0", self.name.as_bytes()];
        digest::uuid(NAMESPACE, &parts)
    }
}

/// See [`Key::place`].
pub(crate) type Place = (Table, usize);

/// A map by place. Nobody chooses where texts are, so that the hash need not withstand anybody: with that of the
/// standard library, looking places up was a tenth of a compilation.
pub(crate) type ByPlace<V> = HashMap<Place, V, BuildHasherDefault<PlaceHasher>>;

/// Multiplies by an odd number and keeps the upper bits.
#[derive(Default)]
pub(crate) struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table.name(), visible(&self.name))
    }
}
