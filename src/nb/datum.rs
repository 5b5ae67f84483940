//! Values to and from the JSON notation of RFC 7047 §5.1: `["set",[…]]`, `["map",[…]]`, `["uuid",…]`.
//!
//! Refuses to know messages, sockets, or which rows are ours.

use serde_json::{Value, json};
use uuid::Uuid;

use super::key::Key;
use super::value::{Atom, Datum, Kind, Ref};

/// The JSON of a column's value. `uuid` gives the UUID of a row that is referred to by key.
pub fn to_json(kind: Kind, datum: &Datum, uuid: &impl Fn(&Key) -> Uuid) -> Value {
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [atom] if kind.is_scalar() => atom_to_json(atom, uuid),
            atoms => json!(["set", atoms.iter().map(|a| atom_to_json(a, uuid)).collect::<Vec<_>>()]),
        },
        Datum::Map(pairs) => {
            let pair = |(k, v): &(Atom, Atom)| json!([atom_to_json(k, uuid), atom_to_json(v, uuid)]);
            json!(["map", pairs.iter().map(pair).collect::<Vec<_>>()])
        }
    }
}

fn atom_to_json(atom: &Atom, uuid: &impl Fn(&Key) -> Uuid) -> Value {
    match atom {
        Atom::Int(value) => json!(value),
        Atom::Bool(value) => json!(value),
        Atom::Text(text) => json!(text),
        Atom::Ref(Ref::Key(key)) => json!(["uuid", uuid(key).to_string()]),
        Atom::Ref(Ref::Foreign(uuid)) => json!(["uuid", uuid.to_string()]),
    }
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
        None => Some(Datum::Set(vec![atom_from_json(json)?])),
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
