//! Quoting for `ovn-nbctl` and for the shell that runs it.
//!
//! A value passes two readers: the shell, then ovn-nbctl's parser of OVSDB values (ovs-vsctl(8), "Database
//! Values"). Nothing that a user wrote can end a word of either. Refuses to know tables.

use uuid::Uuid;

use crate::nb::{Atom, Datum, Key, Kind, Ref};

/// A word of the shell: as it is where that is safe, in single quotes otherwise.
pub fn shell(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_./:,=@%+-".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A column's value in ovn-nbctl's notation, not yet quoted for the shell.
pub fn datum(kind: Kind, datum: &Datum, uuid: &impl Fn(&Key) -> Uuid) -> String {
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [] if kind.is_scalar() => "\"\"".to_owned(),
            [] => "[]".to_owned(),
            atoms => join(atoms.iter().map(|a| atom(a, uuid))),
        },
        Datum::Map(pairs) if pairs.is_empty() => "{}".to_owned(),
        Datum::Map(pairs) => {
            let pairs = pairs.iter().map(|(k, v)| format!("{}={}", atom(k, uuid), atom(v, uuid)));
            format!("{{{}}}", join(pairs))
        }
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

/// An atom; strings that are not plain words stand in double quotes with JSON's escapes.
pub fn atom(atom: &Atom, uuid: &impl Fn(&Key) -> Uuid) -> String {
    match atom {
        Atom::Int(value) => value.to_string(),
        Atom::Bool(value) => value.to_string(),
        Atom::Ref(Ref::Key(key)) => uuid(key).to_string(),
        Atom::Ref(Ref::Foreign(uuid)) => uuid.to_string(),
        Atom::Text(text) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
            if !text.is_empty() && text.chars().all(plain) {
                text.to_string()
            } else {
                serde_json::Value::from(&**text).to_string()
            }
        }
    }
}
