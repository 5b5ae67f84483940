//! Marks of ownership that every row carries in `external_ids`.
//!
//! `northc-owner` and `northc-key` say whose row it is and which; `northc-digest` is a digest of
//! what was last written, so that a later run can tell a hand's change from a change of input.
//! Whatever else northc says there begins with `northc-` too: all other keys are other people's, and stay.
//!
//! Refuses to decide who the owner is.

use std::sync::Arc;

use uuid::Uuid;

use super::key::Key;
use super::value::{Atom, Datum, Ref};
use super::{Row, Rows};

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
    for (key, row) in rows.iter_mut() {
        // In the order of their names: what a map sorts by itself costs it a tree for each row.
        let marks = [
            (digest_name.clone(), Atom::Text(digest(row).into())),
            (key_name.clone(), Atom::Text(Arc::clone(&key.name))),
            (owner_name.clone(), owner.clone()),
        ];
        if let Some(Datum::Map(pairs)) = row.get_mut(EXTERNAL_IDS) {
            let old = std::mem::take(pairs);
            let Datum::Map(all) = Datum::map(old.into_iter().chain(marks)) else { continue };
            *pairs = all;
        }
    }
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

/// A digest of all rows, children included: what `northc-rows` of the owner's record holds. A row counts by the
/// digest that it carries, which need not be made again.
pub fn digest_all(rows: &Rows) -> String {
    let mut bytes = Vec::with_capacity(64 * rows.len());
    for (key, row) in rows.iter() {
        write_atom(&mut bytes, &Atom::Ref(key.clone().into()));
        match external_id(row, DIGEST) {
            Some(digest) => bytes.extend_from_slice(digest.as_bytes()),
            None => bytes.extend_from_slice(digest(row).as_bytes()),
        }
        let children = row.columns().filter(|(column, _)| column.holds_children());
        for to in children.flat_map(|(_, datum)| datum.refs()) {
            write_atom(&mut bytes, &Atom::Ref(to.clone()));
        }
        bytes.push(0x1e);
    }
    short_digest(&bytes)
}

/// 16 hexadecimal digits that stand for these bytes.
pub fn short_digest(bytes: &[u8]) -> String {
    let digest = Uuid::new_v5(&Uuid::nil(), bytes).simple().to_string();
    digest[..16].to_owned()
}

fn write_atom(bytes: &mut Vec<u8>, atom: &Atom) {
    match atom {
        Atom::Int(value) => bytes.extend_from_slice(value.to_string().as_bytes()),
        Atom::Bool(value) => bytes.push(if *value { b't' } else { b'f' }),
        Atom::Text(text) => bytes.extend_from_slice(text.as_bytes()),
        Atom::Ref(Ref::Key(Key { table, name })) => {
            bytes.extend_from_slice(table.name().as_bytes());
            bytes.push(b'/');
            bytes.extend_from_slice(name.as_bytes());
        }
        Atom::Ref(Ref::Foreign(uuid)) => bytes.extend_from_slice(uuid.as_bytes()),
    }
    bytes.push(0x1d);
}
