//! Two rows of one key, column by column: what must change in the live one.
//!
//! Equality is OVSDB's: sets have no order, absence is the schema's default. Only managed columns
//! count. In `external_ids` only northc's keys count; in sets of references the members that are not
//! ours stay.
//!
//! Refuses to know why rows differ.

use std::collections::{BTreeMap, BTreeSet};

use super::step::{Change, Edit, Pair};
use crate::nb::{Atom, Datum, Kind, Ref, Row, Table, stamp};

/// A set of at least this many members is changed by its difference: a full rewrite of a large set
/// costs ovsdb-server time in proportion to the set.
const N_MEMBERS_LARGE: usize = 64;

/// What must change in `live` for it to be `wanted`. `leaves` says whether a member of a set of
/// references that is not wanted there is ours to take out, `enters` whether a missing one comes in.
pub(super) fn changes(
    wanted: &Row,
    live: &Row,
    enters: &impl Fn(&Ref) -> bool,
    leaves: &impl Fn(Table, &Ref) -> bool,
) -> Vec<Change> {
    let columns = wanted.columns().zip(live.columns());
    // Nearly all columns of nearly all rows are as wanted.
    let differing = columns.filter(|((_, wanted), (_, live))| wanted != live);
    let changes = differing.filter_map(|((column, wanted), (_, live))| {
        let edit = match column.kind {
            Kind::Map if column.name == "external_ids" => pairs(wanted, live, stamp::is_ours),
            Kind::Map | Kind::IntMap => pairs(wanted, live, |_| true),
            Kind::RefSet => {
                let leaves = |to: &Ref| column.target.is_some_and(|target| leaves(target, to));
                references(wanted, live, enters, &leaves)
            }
            Kind::TextSet => text_set(wanted, live),
            Kind::Text
            | Kind::TextOpt
            | Kind::Int
            | Kind::IntOpt
            | Kind::Bool
            | Kind::BoolOpt
            | Kind::RefOpt => replace(wanted, live),
        };
        edit.map(|edit| Change { column, edit })
    });
    changes.collect()
}

fn replace(wanted: &Datum, live: &Datum) -> Option<Edit> {
    (wanted != live).then(|| Edit::Replace { before: live.clone(), after: wanted.clone() })
}

fn text_set(wanted: &Datum, live: &Datum) -> Option<Edit> {
    let (Datum::Set(wants), Datum::Set(has)) = (wanted, live) else { return replace(wanted, live) };
    if has.len() < N_MEMBERS_LARGE {
        return replace(wanted, live);
    }
    let (wants, has): (BTreeSet<_>, BTreeSet<_>) = (wants.iter().collect(), has.iter().collect());
    members(
        wants.difference(&has).map(|atom| (*atom).clone()).collect(),
        has.difference(&wants).map(|atom| (*atom).clone()).collect(),
    )
}

fn references(
    wanted: &Datum,
    live: &Datum,
    enters: &impl Fn(&Ref) -> bool,
    leaves: &impl Fn(&Ref) -> bool,
) -> Option<Edit> {
    let (wants, has): (BTreeSet<_>, BTreeSet<_>) = (wanted.refs().collect(), live.refs().collect());
    let atom = |to: &&Ref| Atom::Ref((*to).clone());
    let insert = wants.difference(&has).filter(|to| enters(to)).map(&atom).collect();
    let delete = has.difference(&wants).filter(|to| leaves(to)).map(atom).collect();
    members(insert, delete)
}

fn members(insert: Vec<Atom>, delete: Vec<Atom>) -> Option<Edit> {
    (!insert.is_empty() || !delete.is_empty()).then_some(Edit::Members { insert, delete })
}

/// `is_ours` says of a key that is not wanted whether it must go.
fn pairs(wanted: &Datum, live: &Datum, is_ours: impl Fn(&Atom) -> bool) -> Option<Edit> {
    let (Datum::Map(wants), Datum::Map(has)) = (wanted, live) else { return replace(wanted, live) };
    let mut pairs: BTreeMap<&Atom, Pair> = BTreeMap::new();
    for (key, before) in has {
        let pair = Pair { key: key.clone(), before: Some(before.clone()), after: None };
        pairs.insert(key, pair);
    }
    let kept: BTreeSet<&Atom> = wants.iter().map(|(key, _)| key).collect();
    pairs.retain(|key, _| kept.contains(*key) || is_ours(key));
    for (key, after) in wants {
        let pair = pairs.entry(key).or_insert_with(|| Pair { key: key.clone(), before: None, after: None });
        pair.after = Some(after.clone());
    }
    let pairs: Vec<Pair> = pairs.into_values().filter(|pair| pair.before != pair.after).collect();
    (!pairs.is_empty()).then_some(Edit::Pairs(pairs))
}
