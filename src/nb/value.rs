//! OVSDB data as values (RFC 7047 §5.1): atoms, sets and maps, always in canonical order.
//!
//! Refuses to know tables, JSON, or where a value came from.

use std::collections::{BTreeMap, BTreeSet};
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
    Set(Vec<Atom>),
    /// A map; at most one pair a key.
    Map(Vec<(Atom, Atom)>),
}

impl Datum {
    /// A set of these atoms, in any order.
    pub fn set(atoms: impl IntoIterator<Item = Atom>) -> Datum {
        let mut atoms: Vec<Atom> = atoms.into_iter().collect();
        atoms.sort_unstable();
        atoms.dedup();
        Datum::Set(atoms)
    }

    /// A map of these pairs, in any order; of two pairs with one key the last wins.
    pub fn map(pairs: impl IntoIterator<Item = (Atom, Atom)>) -> Datum {
        let pairs: Vec<(Atom, Atom)> = pairs.into_iter().collect();
        // What a server sends is in order already.
        match pairs.is_sorted_by(|(a, _), (b, _)| a < b) {
            true => Datum::Map(pairs),
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
        static NO_ATOMS: Datum = Datum::Set(Vec::new());
        static NO_PAIRS: Datum = Datum::Map(Vec::new());
        static SCALARS: LazyLock<[Datum; 3]> = LazyLock::new(|| {
            [Atom::Text("".into()), Atom::Int(0), Atom::Bool(false)].map(|atom| Datum::Set(vec![atom]))
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
                Datum::Set(vec![Atom::$atom($into(self))])
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
