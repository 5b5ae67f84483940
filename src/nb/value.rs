//! OVSDB data as values (RFC 7047 §5.1): atoms, sets and maps, always in canonical order.
//!
//! Refuses to know tables, JSON, or where a value came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use uuid::Uuid;

use super::key::Key;

/// What a reference column points at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ref {
    /// A row that we describe, by its key.
    Key(Key),
    /// A row of somebody else in a live database; only its UUID is known.
    Foreign(Uuid),
}

impl From<Key> for Ref {
    fn from(key: Key) -> Ref {
        Ref::Key(key)
    }
}

/// A single value (RFC 7047 §5.1 `<atom>`). Northbound has no column of reals that we touch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// `integer`
    Int(i64),
    /// `boolean`
    Bool(bool),
    /// `string`; rows that say the same share it.
    Text(Arc<str>),
    /// `uuid`
    Ref(Ref),
}

/// The value of a column. INVARIANT: sorted, without duplicates, so that `==` is OVSDB's equality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// A scalar, an optional scalar or a set.
    Set(Atoms),
    /// A map; at most one pair a key.
    Map(Box<[(Atom, Atom)]>),
}

/// The atoms of a set. One alone lies in its place, as in most columns of most rows: with a list for each, and room for
/// more in it, rows took a third more memory.
#[derive(Clone)]
pub struct Atoms(Held);

/// INVARIANT: of one length there is one form.
#[derive(Clone)]
enum Held {
    One(Atom),
    Others(Box<[Atom]>),
}

impl Atoms {
    /// As a slice, to be matched.
    pub fn as_slice(&self) -> &[Atom] {
        match &self.0 {
            Held::One(atom) => std::slice::from_ref(atom),
            Held::Others(atoms) => atoms,
        }
    }
}

impl Default for Atoms {
    fn default() -> Atoms {
        Atoms(Held::Others(Box::default()))
    }
}

impl Deref for Atoms {
    type Target = [Atom];

    fn deref(&self) -> &[Atom] {
        self.as_slice()
    }
}

impl DerefMut for Atoms {
    fn deref_mut(&mut self) -> &mut [Atom] {
        match &mut self.0 {
            Held::One(atom) => std::slice::from_mut(atom),
            Held::Others(atoms) => atoms,
        }
    }
}

impl PartialEq for Atoms {
    fn eq(&self, other: &Atoms) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Atoms {}

impl fmt::Debug for Atoms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl From<Atom> for Atoms {
    fn from(atom: Atom) -> Atoms {
        Atoms(Held::One(atom))
    }
}

impl From<Vec<Atom>> for Atoms {
    fn from(atoms: Vec<Atom>) -> Atoms {
        match <[Atom; 1]>::try_from(atoms) {
            Ok([atom]) => Atoms::from(atom),
            Err(atoms) => Atoms(Held::Others(atoms.into())),
        }
    }
}

impl FromIterator<Atom> for Atoms {
    fn from_iter<I: IntoIterator<Item = Atom>>(atoms: I) -> Atoms {
        let mut atoms = atoms.into_iter();
        let (Some(first), second) = (atoms.next(), atoms.next()) else { return Atoms::default() };
        let Some(second) = second else { return Atoms::from(first) };
        Atoms(Held::Others([first, second].into_iter().chain(atoms).collect()))
    }
}

impl IntoIterator for Atoms {
    type Item = Atom;
    type IntoIter = std::vec::IntoIter<Atom>;

    fn into_iter(self) -> Self::IntoIter {
        match self.0 {
            Held::One(atom) => vec![atom],
            Held::Others(atoms) => atoms.into_vec(),
        }
        .into_iter()
    }
}

impl<'a> IntoIterator for &'a Atoms {
    type Item = &'a Atom;
    type IntoIter = std::slice::Iter<'a, Atom>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Datum {
    /// A set of these atoms, in any order.
    pub fn set(atoms: impl IntoIterator<Item = Atom>) -> Datum {
        let mut atoms: Vec<Atom> = atoms.into_iter().collect();
        atoms.sort_unstable();
        atoms.dedup();
        Datum::Set(atoms.into())
    }

    /// A map of these pairs, in any order; of two pairs with one key the last wins.
    pub fn map(pairs: impl IntoIterator<Item = (Atom, Atom)>) -> Datum {
        let pairs: Vec<(Atom, Atom)> = pairs.into_iter().collect();
        // What a server sends is in order already.
        match pairs.is_sorted_by(|(a, _), (b, _)| a < b) {
            true => Datum::Map(pairs.into()),
            false => Datum::Map(pairs.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()),
        }
    }

    /// The references among the atoms.
    pub fn refs(&self) -> impl Iterator<Item = &Ref> {
        let atoms = match self {
            Datum::Set(atoms) => atoms.as_slice(),
            Datum::Map(_) => &[],
        };
        atoms.iter().filter_map(|atom| match atom {
            Atom::Ref(to) => Some(to),
            _ => None,
        })
    }
}

/// The shape of a column: what a [`Datum`] in it may hold and what its absence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Exactly one string; `""` by default.
    Text,
    /// At most one string.
    TextOpt,
    /// Any number of strings.
    TextSet,
    /// Exactly one integer; 0 by default.
    Int,
    /// At most one integer.
    IntOpt,
    /// Exactly one boolean; `false` by default.
    Bool,
    /// At most one boolean.
    BoolOpt,
    /// Strings to strings.
    Map,
    /// Strings to integers.
    IntMap,
    /// At most one reference.
    RefOpt,
    /// Any number of references.
    RefSet,
}

impl Kind {
    /// What ovsdb-server stores when an insert leaves the column out (RFC 7047 §5.2.1).
    pub fn default(self) -> Datum {
        self.unset().clone()
    }

    /// The same, not to be changed.
    pub fn unset(self) -> &'static Datum {
        static NO_ATOMS: LazyLock<Datum> = LazyLock::new(|| Datum::Set(Atoms::default()));
        static NO_PAIRS: LazyLock<Datum> = LazyLock::new(|| Datum::Map(Box::default()));
        static SCALARS: LazyLock<[Datum; 3]> = LazyLock::new(|| {
            [Atom::Text("".into()), Atom::Int(0), Atom::Bool(false)].map(|atom| Datum::Set(atom.into()))
        });
        match self {
            Kind::Text => &SCALARS[0],
            Kind::Int => &SCALARS[1],
            Kind::Bool => &SCALARS[2],
            Kind::Map | Kind::IntMap => &NO_PAIRS,
            Kind::TextOpt | Kind::TextSet | Kind::IntOpt | Kind::BoolOpt | Kind::RefOpt | Kind::RefSet => {
                &NO_ATOMS
            }
        }
    }

    /// Whether that is the value. Asked of every column of every row, so nothing is allocated for the answer:
    /// comparing with [`Kind::default`] took 4 % of a compilation.
    pub fn is_default(self, datum: &Datum) -> bool {
        match datum {
            Datum::Set(atoms) => match (self, atoms.as_slice()) {
                (Kind::Text, [Atom::Text(text)]) => text.is_empty(),
                (Kind::Int, [Atom::Int(value)]) => *value == 0,
                (Kind::Bool, [Atom::Bool(value)]) => !value,
                (_, atoms) => atoms.is_empty() && !self.is_scalar() && !self.is_map(),
            },
            Datum::Map(pairs) => self.is_map() && pairs.is_empty(),
        }
    }

    /// True where the column may hold more than one atom or pair.
    pub fn is_composite(self) -> bool {
        self.is_map() || matches!(self, Kind::TextSet | Kind::RefSet)
    }

    /// True where the column holds pairs.
    pub fn is_map(self) -> bool {
        matches!(self, Kind::Map | Kind::IntMap)
    }

    /// True where the column holds exactly one atom.
    pub fn is_scalar(self) -> bool {
        matches!(self, Kind::Text | Kind::Int | Kind::Bool)
    }
}

/// A Rust type that a column of a row struct may have.
pub trait Field: Sized {
    /// The column's shape.
    const KIND: Kind;
    /// Whether the value is what the server stores by itself.
    fn is_default(&self) -> bool;
    /// The value to store.
    fn into_datum(self) -> Datum;
    /// The value read back; `None` when the datum has another shape.
    fn from_datum(datum: &Datum) -> Option<Self>;
}

macro_rules! scalar_field {
    ($rust:ty, $atom:ident, $kind:ident, $opt:ident, $into:expr, $from:expr) => {
        impl Field for $rust {
            const KIND: Kind = Kind::$kind;
            fn is_default(&self) -> bool {
                *self == <$rust>::default()
            }
            fn into_datum(self) -> Datum {
                Datum::Set(Atom::$atom($into(self)).into())
            }
            fn from_datum(datum: &Datum) -> Option<Self> {
                match datum {
                    Datum::Set(atoms) => match atoms.as_slice() {
                        [Atom::$atom(value)] => Some($from(value)),
                        _ => None,
                    },
                    Datum::Map(_) => None,
                }
            }
        }
        impl Field for Option<$rust> {
            const KIND: Kind = Kind::$opt;
            fn is_default(&self) -> bool {
                self.is_none()
            }
            fn into_datum(self) -> Datum {
                Datum::Set(self.map(|value| Atom::$atom($into(value))).into_iter().collect())
            }
            fn from_datum(datum: &Datum) -> Option<Self> {
                match datum {
                    Datum::Set(atoms) if atoms.is_empty() => Some(None),
                    _ => <$rust>::from_datum(datum).map(Some),
                }
            }
        }
    };
}

scalar_field!(String, Text, Text, TextOpt, Arc::from, |text: &str| text.to_owned());
scalar_field!(i64, Int, Int, IntOpt, |value| value, |value: &i64| *value);
scalar_field!(bool, Bool, Bool, BoolOpt, |value| value, |value: &bool| *value);

impl Field for Option<Ref> {
    const KIND: Kind = Kind::RefOpt;
    fn is_default(&self) -> bool {
        self.is_none()
    }
    fn into_datum(self) -> Datum {
        Datum::Set(self.map(Atom::Ref).into_iter().collect())
    }
    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Set(atoms) => match atoms.as_slice() {
                [] => Some(None),
                [Atom::Ref(to)] => Some(Some(to.clone())),
                _ => None,
            },
            Datum::Map(_) => None,
        }
    }
}

impl Field for BTreeSet<Ref> {
    const KIND: Kind = Kind::RefSet;
    fn is_default(&self) -> bool {
        self.is_empty()
    }
    fn into_datum(self) -> Datum {
        Datum::Set(self.into_iter().map(Atom::Ref).collect())
    }
    fn from_datum(datum: &Datum) -> Option<Self> {
        matches!(datum, Datum::Set(_)).then(|| datum.refs().cloned().collect())
    }
}

impl Field for BTreeSet<String> {
    const KIND: Kind = Kind::TextSet;
    fn is_default(&self) -> bool {
        self.is_empty()
    }
    fn into_datum(self) -> Datum {
        Datum::Set(self.into_iter().map(|text| Atom::Text(text.into())).collect())
    }
    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Set(atoms) => atoms.iter().map(text_of).collect(),
            Datum::Map(_) => None,
        }
    }
}

impl Field for BTreeMap<String, String> {
    const KIND: Kind = Kind::Map;
    fn is_default(&self) -> bool {
        self.is_empty()
    }
    fn into_datum(self) -> Datum {
        Datum::Map(self.into_iter().map(|(k, v)| (Atom::Text(k.into()), Atom::Text(v.into()))).collect())
    }
    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Map(pairs) => pairs.iter().map(|(k, v)| Some((text_of(k)?, text_of(v)?))).collect(),
            Datum::Set(_) => None,
        }
    }
}

impl Field for BTreeMap<String, i64> {
    const KIND: Kind = Kind::IntMap;
    fn is_default(&self) -> bool {
        self.is_empty()
    }
    fn into_datum(self) -> Datum {
        Datum::Map(self.into_iter().map(|(k, v)| (Atom::Text(k.into()), Atom::Int(v))).collect())
    }
    fn from_datum(datum: &Datum) -> Option<Self> {
        let int_of = |atom: &Atom| match atom {
            Atom::Int(value) => Some(*value),
            _ => None,
        };
        match datum {
            Datum::Map(pairs) => pairs.iter().map(|(k, v)| Some((text_of(k)?, int_of(v)?))).collect(),
            Datum::Set(_) => None,
        }
    }
}

fn text_of(atom: &Atom) -> Option<String> {
    match atom {
        Atom::Text(text) => Some(text.to_string()),
        _ => None,
    }
}
