//! Values to and from the JSON notation of RFC 7047 §5.1: `["set",[…]]`, `["map",[…]]`, `["uuid",…]`.
//!
//! What is written goes straight to bytes: as a tree of [`Value`] first, a transaction took a third of a
//! compilation's time and most of its memory (`docs/performance.md`).
//!
//! Refuses to know messages, sockets, or which rows are ours.

use serde_json::Value;
use uuid::Uuid;

use super::key::Key;
use super::value::{Atom, Datum, Kind, Ref};

/// Writes a column's value; of a set of one, the atom alone where the column is a scalar. `uuid` gives the
/// UUID of a row that is referred to by key.
pub(crate) fn write(out: &mut Vec<u8>, kind: Kind, datum: &Datum, uuid: &impl Fn(&Key) -> Uuid) {
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [atom] if kind.is_scalar() => write_atom(out, atom, uuid),
            atoms => write_set(out, atoms, uuid),
        },
        Datum::Map(pairs) => write_map(out, pairs, uuid),
    }
}

/// Writes a set, whatever its size.
pub(crate) fn write_set(out: &mut Vec<u8>, atoms: &[Atom], uuid: &impl Fn(&Key) -> Uuid) {
    out.extend_from_slice(b"[\"set\",");
    write_list(out, atoms, |out, atom| write_atom(out, atom, uuid));
    out.push(b']');
}

/// Writes a map.
pub(crate) fn write_map(out: &mut Vec<u8>, pairs: &[(Atom, Atom)], uuid: &impl Fn(&Key) -> Uuid) {
    out.extend_from_slice(b"[\"map\",");
    write_list(out, pairs, |out, (k, v)| {
        out.push(b'[');
        write_atom(out, k, uuid);
        out.push(b',');
        write_atom(out, v, uuid);
        out.push(b']');
    });
    out.push(b']');
}

/// Writes an atom.
pub(crate) fn write_atom(out: &mut Vec<u8>, atom: &Atom, uuid: &impl Fn(&Key) -> Uuid) {
    match atom {
        Atom::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Atom::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Atom::Text(text) => write_text(out, text),
        Atom::Ref(to) => {
            let uuid = match to {
                Ref::Key(key) => uuid(key),
                Ref::Foreign(uuid) => *uuid,
            };
            out.extend_from_slice(b"[\"uuid\",\"");
            write_uuid(out, uuid);
            out.extend_from_slice(b"\"]");
        }
    }
}

/// Writes a UUID's 36 characters.
pub(crate) fn write_uuid(out: &mut Vec<u8>, uuid: Uuid) {
    let mut text = Uuid::encode_buffer();
    out.extend_from_slice(uuid.hyphenated().encode_lower(&mut text).as_bytes());
}

/// Writes a JSON array.
pub(crate) fn write_list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Writes a JSON string. Most texts stand there as they are, which is seen many bytes at a time.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    let is_odd = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    if !text.bytes().fold(false, |odd, byte| odd | is_odd(byte)) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    serde_json::to_writer(out, text).expect("a Vec takes every write and a str is always JSON");
}

/// The value that a server sent for a column of this kind; `None` when the JSON does not fit it.
/// References come back as [`Ref::Foreign`]; whoever knows the rows turns them into keys.
pub fn from_json(kind: Kind, json: &Value) -> Option<Datum> {
    if kind.is_map() {
        let pairs = tagged(json, "map")?.iter().map(|pair| match pair.as_array()?.as_slice() {
            [k, v] => Some((atom_from_json(k)?, atom_from_json(v)?)),
            _ => None,
        });
        return Some(Datum::map(pairs.collect::<Option<Vec<_>>>()?));
    }
    match tagged(json, "set") {
        Some(atoms) => Some(Datum::set(atoms.iter().map(atom_from_json).collect::<Option<Vec<_>>>()?)),
        None => Some(Datum::Set(atom_from_json(json)?.into())),
    }
}

fn tagged<'j>(json: &'j Value, tag: &str) -> Option<&'j Vec<Value>> {
    match json.as_array()?.as_slice() {
        [Value::String(found), Value::Array(items)] if found == tag => Some(items),
        _ => None,
    }
}

fn atom_from_json(json: &Value) -> Option<Atom> {
    match json {
        Value::Bool(value) => Some(Atom::Bool(*value)),
        Value::Number(number) => number.as_i64().map(Atom::Int),
        Value::String(text) => Some(Atom::Text(text.as_str().into())),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(tag), Value::String(uuid)] if tag == "uuid" => {
                Some(Atom::Ref(Ref::Foreign(Uuid::parse_str(uuid).ok()?)))
            }
            _ => None,
        },
        _ => None,
    }
}
