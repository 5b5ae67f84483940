//! Marks of ownership that every row carries in `external_ids`.
//!
//! `northc-owner` and `northc-key` say whose row it is and which; `northc-digest` is a digest of
//! what was last written, so that a later run can tell a hand's change from a change of input.
//! Whatever else northc says there begins with `northc-` too: all other keys are other people's, and stay.
//!
//! Refuses to decide who the owner is.

use std::fmt;
use std::sync::Arc;

use super::key::Key;
use super::value::{Atom, Datum, Ref};
use super::{ROWS_MIN, Row, Rows};
use crate::digest;
use crate::parallel;

/// The `external_ids` key that holds the owner.
pub const OWNER: &str = "northc-owner";
/// The `external_ids` key that holds the row's key.
pub const KEY: &str = "northc-key";
/// The `external_ids` key that holds the digest.
pub const DIGEST: &str = "northc-digest";

/// The `external_ids` key that holds what people say of the row.
pub const DESCRIPTION: &str = "northc-description";

/// How every `external_ids` key of northc's begins.
const PREFIX: &str = "northc-";

const EXTERNAL_IDS: &str = "external_ids";

/// Marks every row as `owner`'s.
pub fn stamp(rows: &mut Rows, owner: &str) {
    // Made once and shared by all rows, as each row's key is with its mark.
    let [digest_name, key_name, owner_name, owner] =
        [DIGEST, KEY, OWNER, owner].map(|text| Atom::Text(text.into()));
    let mark = |(key, row): (&Key, &mut Row)| {
        // In the order of their names: what a map sorts by itself costs it a tree for each row.
        let marks = [
            (digest_name.clone(), Atom::Text(digest(row).into())),
            (key_name.clone(), Atom::Text(Arc::clone(&key.name))),
            (owner_name.clone(), owner.clone()),
        ];
        if let Some(Datum::Map(pairs)) = row.get_mut(EXTERNAL_IDS) {
            let old = std::mem::take(pairs);
            let Datum::Map(all) = Datum::map(old.into_iter().chain(marks)) else { return };
            *pairs = all;
        }
    };
    let mut all: Vec<(&Key, &mut Row)> = rows.iter_mut().collect();
    let part = parallel::part(all.len(), ROWS_MIN);
    parallel::map(all.chunks_mut(part).collect(), |part| {
        part.iter_mut().for_each(|(key, row)| mark((key, row)))
    });
}

/// True for an `external_ids` key that nobody but northc writes.
pub fn is_ours(key: &Atom) -> bool {
    matches!(key, Atom::Text(key) if key.starts_with(PREFIX))
}

/// True for an `external_ids` key that is a mark of ownership, and says nothing about the network.
pub fn is_mark(key: &Atom) -> bool {
    matches!(key, Atom::Text(key) if [OWNER, KEY, DIGEST].contains(&&**key))
}

/// The value of one of our marks, or of any other `external_ids` key.
pub fn external_id<'r>(row: &'r Row, name: &str) -> Option<&'r str> {
    row.pair(EXTERNAL_IDS, name)
}

/// A digest of a row's managed columns, marks of ownership and other people's `external_ids` left out: 16 hexadecimal
/// digits, the same before the row is stamped and after.
/// References count by key, so the digest does not depend on UUIDs. Children do not count: a switch
/// whose `external_ids` changed with each new port would make northd recompute everything, while it
/// takes a change of `ports` alone incrementally (OVN 25.03 and later).
pub fn digest(row: &Row) -> String {
    let mut bytes = Vec::with_capacity(256);
    for (column, datum) in row.set_columns().filter(|(column, _)| !column.holds_children()) {
        if column.name == EXTERNAL_IDS && !says_anything(datum) {
            continue;
        }
        bytes.extend_from_slice(column.name.as_bytes());
        bytes.push(0x1f);
        match datum {
            Datum::Set(atoms) => atoms.iter().for_each(|atom| write_atom(&mut bytes, atom)),
            Datum::Map(pairs) => {
                let counts = |k: &Atom| column.name != EXTERNAL_IDS || is_said(k);
                for (k, v) in pairs.iter().filter(|(k, _)| counts(k)) {
                    write_atom(&mut bytes, k);
                    write_atom(&mut bytes, v);
                }
            }
        }
        bytes.push(0x1e);
    }
    short_digest(&bytes)
}

/// True for an `external_ids` key of ours that says something about the network.
fn is_said(key: &Atom) -> bool {
    is_ours(key) && !is_mark(key)
}

fn says_anything(external_ids: &Datum) -> bool {
    matches!(external_ids, Datum::Map(pairs) if pairs.iter().any(|(key, _)| is_said(key)))
}

/// A digest of all rows, children included: what `northc-rows` of the owner's record holds. A sum of one number a
/// row, so that a row that changes costs one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// That of these rows.
    pub fn of(rows: &Rows) -> Sum {
        let all: Vec<(&Key, &Row)> = rows.iter().collect();
        let sums = parallel::map_parts(&all, ROWS_MIN, |part| {
            let mut sum = Sum::default();
            part.iter().for_each(|(key, row)| sum.add(key, row));
            sum.0
        });
        Sum(sums.into_iter().fold(0, u64::wrapping_add))
    }

    /// With this row beside those that it is of.
    pub fn add(&mut self, key: &Key, row: &Row) {
        self.0 = self.0.wrapping_add(number(key, row));
    }

    /// Without this row, which it is of.
    pub fn subtract(&mut self, key: &Key, row: &Row) {
        self.0 = self.0.wrapping_sub(number(key, row));
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A number that stands for a row. It counts by the digest that it carries, which need not be made again.
fn number(key: &Key, row: &Row) -> u64 {
    let mut bytes = Vec::with_capacity(128);
    write_key(&mut bytes, key);
    match external_id(row, DIGEST) {
        Some(digest) => bytes.extend_from_slice(digest.as_bytes()),
        None => bytes.extend_from_slice(self::digest(row).as_bytes()),
    }
    let children = row.set_columns().filter(|(column, _)| column.holds_children());
    children.for_each(|(_, datum)| datum.refs().for_each(|to| write_ref(&mut bytes, to)));
    digest::of(&bytes).as_u64_pair().0
}

/// 16 hexadecimal digits that stand for these bytes.
pub fn short_digest(bytes: &[u8]) -> String {
    format!("{:016x}", digest::of(bytes).as_u64_pair().0)
}

fn write_atom(bytes: &mut Vec<u8>, atom: &Atom) {
    match atom {
        Atom::Int(value) => bytes.extend_from_slice(value.to_string().as_bytes()),
        Atom::Bool(value) => bytes.push(if *value { b't' } else { b'f' }),
        Atom::Text(text) => bytes.extend_from_slice(text.as_bytes()),
        Atom::Ref(to) => return write_ref(bytes, to),
    }
    bytes.push(0x1d);
}

fn write_ref(bytes: &mut Vec<u8>, to: &Ref) {
    match to {
        Ref::Key(key) => write_key(bytes, key),
        Ref::Foreign(uuid) => {
            bytes.extend_from_slice(uuid.as_bytes());
            bytes.push(0x1d);
        }
    }
}

fn write_key(bytes: &mut Vec<u8>, Key { table, name }: &Key) {
    bytes.extend_from_slice(table.name().as_bytes());
    bytes.push(b'/');
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0x1d);
}
