//! Holds what a sender's packets come to in the model against what they come to by the rows.
//!
//! Every packet may have several fates, where something is left to chance; both sides must name the same ones.
//! Refuses to follow packets.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Course, Known, RowsMeaning};
use super::{Detour, Difference, Kind, RowSaid};
use crate::check::Checked;
use crate::meaning::{Fate, Meaning, Place, Reason, Region, Spot};
use crate::model::{PortId, VpcId};
use crate::reach::header::{Field, Header, ICMP, IPV4, TCP, UDP};
use crate::reach::set::{Set, Sets};
use crate::span::Span;

/// Sets of packets by what may become of them.
type Fates = BTreeMap<Fate, Set>;

/// What somebody sends, and what becomes of it on either side.
pub(super) struct Sent {
    pub(super) from: Spot,
    /// Those whose answers are asked for.
    pub(super) asking: Set,
    pub(super) regions: Vec<Region>,
    /// What the rows do with it.
    pub(super) courses: Vec<Course>,
}

/// What came of comparing one sender.
#[derive(Default)]
pub(super) struct Compared {
    /// Where the rows differ.
    pub(super) differences: Vec<Difference>,
    /// Where answers take another way, one for each two ways.
    pub(super) detours: Vec<Detour>,
    /// Why some packets could not be judged.
    pub(super) unsaid: BTreeSet<String>,
    /// What decided.
    pub(super) used: BTreeSet<Span>,
}

impl Compared {
    /// What came of comparing more of the same sender.
    pub(super) fn add(&mut self, more: Compared) {
        self.differences.extend(more.differences);
        more.detours.into_iter().for_each(|detour| note(&mut self.detours, detour));
        self.unsaid.extend(more.unsaid);
        self.used.extend(more.used);
    }
}

/// Compares what one sender may send.
pub(super) fn sender(checked: &Checked<'_>, done: &RowsMeaning<'_>, sent: &Sent) -> Compared {
    let sets = done.sets();
    let Sent { from, asking, regions, courses } = sent;
    let (from, asking) = (*from, *asking);
    let outcomes = regions.iter().flat_map(|region| region.outcomes.iter().map(|it| (&it.fate, region.set)));
    let (meant, unsaid) = fates(sets, outcomes);
    let (does, unjudged) = fates(sets, courses.iter().map(|course| (&course.fate, course.set)));
    let open = sets.any(unsaid.values().chain(unjudged.values()).copied());
    let mut compared =
        Compared { unsaid: unsaid.into_keys().chain(unjudged.into_keys()).collect(), ..Compared::default() };
    let mut differing = Set::NONE;
    for fate in meant.keys().chain(does.keys()) {
        let of = |fates: &Fates| fates.get(fate).copied().unwrap_or(Set::NONE);
        let (a, b) = (of(&meant), of(&does));
        differing = sets.any([differing, sets.minus(a, b), sets.minus(b, a)]);
    }
    differing = sets.minus(differing, open);
    let who = who(checked, from);
    for region in regions {
        let reasons = region.outcomes.iter().flat_map(|outcome| &outcome.reasons);
        compared.used.extend(reasons.filter_map(|reason| reason.span));
        detours(checked, sets, region, &who, &mut compared.detours);
    }
    while let Some(witness) = pick(sets, differing, asking) {
        let has = |fates: &Fates| -> BTreeSet<Fate> {
            let its = fates.iter().filter(|(_, set)| sets.contains(**set, &witness));
            its.map(|(fate, _)| fate.clone()).collect()
        };
        let (meant_by, done_by) = (has(&meant), has(&does));
        let alike =
            alike(sets, sets.and(alike(sets, differing, &meant, &meant_by), differing), &does, &done_by);
        differing = sets.minus(differing, alike);
        let reasons = reasons(sets, regions, &witness, &done_by);
        let rows = rows(done, courses, &witness, &meant_by);
        let words =
            |fates: &BTreeSet<Fate>| fates.iter().map(|fate| words(checked, fate, &witness)).collect();
        compared.differences.push(Difference {
            kind: kind(&meant_by, &done_by),
            from: who.clone(),
            witness: Some(witness),
            meant: words(&meant_by),
            done: words(&done_by),
            reasons,
            rows,
            n_more: 0,
        });
    }
    compared
}

/// Notes where answers come back by other routers.
fn detours(checked: &Checked<'_>, sets: &Sets, region: &Region, who: &str, detours: &mut Vec<Detour>) {
    for outcome in &region.outcomes {
        let Some((there, back)) = &outcome.detour else { continue };
        let names = |vpcs: &[VpcId]| vpcs.iter().map(|id| checked.model().vpc(*id).name.clone()).collect();
        let (there, back) = (names(there), names(back));
        let Some(witness) = pick(sets, region.set, Set::ALL) else { continue };
        let span = outcome.reasons.iter().rev().find_map(|reason| reason.span);
        note(detours, Detour { span, from: who.to_owned(), witness, there, back });
    }
}

/// Adds a detour, if its two ways are not known, from either end.
pub(super) fn note(known: &mut Vec<Detour>, detour: Detour) {
    let turned = |way: &[String]| way.iter().rev().cloned().collect::<Vec<_>>();
    let is_same = |it: &Detour| {
        let (there, back) = (&detour.there, &detour.back);
        it.there == *there && it.back == *back || it.there == turned(back) && it.back == turned(there)
    };
    if !known.iter().any(is_same) {
        known.push(detour);
    }
}

/// Sets by fate, and apart from them what can't be said, by reason.
fn fates<'f>(sets: &Sets, found: impl Iterator<Item = (&'f Fate, Set)>) -> (Fates, BTreeMap<String, Set>) {
    let mut by_fate: BTreeMap<&Fate, Vec<Set>> = BTreeMap::new();
    for (fate, set) in found {
        by_fate.entry(fate).or_default().push(set);
    }
    let (mut fates, mut unsaid) = (Fates::new(), BTreeMap::new());
    for (fate, all) in by_fate {
        match fate {
            Fate::Unsaid(why) => drop(unsaid.insert(why.clone(), sets.any(all))),
            Fate::Lost | Fate::Refused | Fate::Arrives { .. } => {
                fates.insert(fate.clone(), sets.any(all));
            }
        }
    }
    (fates, unsaid)
}

/// Those of some packets that have these fates and no others.
fn alike(sets: &Sets, set: Set, fates: &Fates, those: &BTreeSet<Fate>) -> Set {
    fates.iter().fold(set, |left, (fate, its)| match those.contains(fate) {
        true => sets.and(left, *its),
        false => sets.minus(left, *its),
    })
}

/// A packet as people would try one, one that is answered before others.
fn pick(sets: &Sets, set: Set, asking: Set) -> Option<Header> {
    let asked = sets.and(set, asking);
    let set = if asked.is_none() { set } else { asked };
    let mut wishes = vec![(Field::EthType, IPV4)];
    wishes.extend([TCP, ICMP, UDP].map(|proto| (Field::IpProto, proto)));
    wishes.extend([(Field::IpSrc, SOMEBODY), (Field::IpDst, SOMEBODY), (Field::TpSrc, 49_152)]);
    wishes.extend([443, 80, 22, 53].map(|port| (Field::TpDst, port)));
    sets.pick(set, &wishes)
}

/// 8.8.8.8.
const SOMEBODY: u128 = 0x0808_0808;

/// Who gets a packet, as what, and how well: 1 it arrives, 2 its answer comes back too.
fn grade(fate: &Fate) -> Option<(&Place, &crate::reach::header::Rewrite, u8)> {
    match fate {
        Fate::Lost | Fate::Refused | Fate::Unsaid(_) => None,
        Fate::Arrives { place, written, answered } => {
            Some((place, written, if *answered == Some(true) { 2 } else { 1 }))
        }
    }
}

fn kind(meant: &BTreeSet<Fate>, done: &BTreeSet<Fate>) -> Kind {
    let more = |here: &BTreeSet<Fate>, there: &BTreeSet<Fate>| {
        let is_beyond = |fate: &Fate| {
            let Some((place, written, well)) = grade(fate) else { return false };
            let others = there.iter().filter_map(grade);
            !others.into_iter().any(|(at, as_, how)| at == place && as_ == written && how >= well)
        };
        let may_stop =
            |fates: &BTreeSet<Fate>| [Fate::Lost, Fate::Refused].iter().any(|it| fates.contains(it));
        let is_surer = may_stop(there) && !may_stop(here);
        is_surer || here.difference(there).any(is_beyond)
    };
    match (more(done, meant), more(meant, done)) {
        (true, false) => Kind::OverPermissive,
        (false, true) => Kind::OverRestrictive,
        (true, true) | (false, false) => Kind::Otherwise,
    }
}

/// What decides in the model, on the way that the rows do not go.
fn reasons(sets: &Sets, regions: &[Region], witness: &Header, done: &BTreeSet<Fate>) -> Vec<Reason> {
    let region = regions.iter().find(|region| sets.contains(region.set, witness));
    let outcomes = region.map_or(&[][..], |region| region.outcomes.as_slice());
    let other = outcomes.iter().find(|outcome| !done.contains(&outcome.fate));
    other.or(outcomes.first()).map(|outcome| outcome.reasons.clone()).unwrap_or_default()
}

/// The rows that decide, on the way that the model does not go.
fn rows(
    done: &RowsMeaning<'_>,
    courses: &[Course],
    witness: &Header,
    meant: &BTreeSet<Fate>,
) -> Vec<RowSaid> {
    let here = || courses.iter().filter(|course| done.sets().contains(course.set, witness));
    let course = here().find(|course| !meant.contains(&course.fate)).or_else(|| here().next());
    let rows = course.map_or(&[][..], |course| course.rows.as_slice());
    rows.iter().map(|row| done.said(*row)).collect()
}

fn who(checked: &Checked<'_>, from: Spot) -> String {
    let model = checked.model();
    match from {
        Spot::Port(id) => model.port(id).name.clone(),
        Spot::Wire(id) => format!("the physical network of `{}`", model.subnet(id).name),
        Spot::Router(_) => "a router".to_owned(),
    }
}

fn words(checked: &Checked<'_>, fate: &Fate, witness: &Header) -> String {
    let model = checked.model();
    let (place, written, answered) = match fate {
        Fate::Lost => return "lost".to_owned(),
        Fate::Refused => return "refused: its sender is told".to_owned(),
        Fate::Unsaid(why) => return format!("undetermined: {why}"),
        Fate::Arrives { place, written, answered } => (place, written, answered),
    };
    let place = match place {
        Place::Port(id) => format!("`{}`", model.port(*id).name),
        Place::Vpc(id) => format!("the router of VPC `{}`", model.vpc(*id).name),
        Place::Wire(id) => format!("the physical network of `{}`", model.subnet(*id).name),
        Place::Stranger(name) => format!("`{name}`, of which the model knows nothing"),
    };
    let arrived = written.apply(witness);
    let written = if arrived == *witness { String::new() } else { format!(" as {arrived}") };
    let answered = match answered {
        None => "",
        Some(true) => " and is answered",
        Some(false) => " and its answer is lost",
    };
    format!("arrives at {place}{written}{answered}")
}

/// Compares what a machine is told of routes.
pub(super) fn told(
    checked: &Checked<'_>,
    meaning: &Meaning<'_>,
    done: &Known<'_>,
    id: PortId,
) -> Option<Difference> {
    let port = checked.model().port(id);
    let meant: Vec<String> =
        meaning.told(id).into_iter().map(|(to, gateway)| format!("told {to} by {gateway}")).collect();
    let does = done.told(&port.name).unwrap_or_default();
    let does =
        does.into_iter().flat_map(|(to, by)| by.into_iter().map(move |by| format!("told {to} by {by}")));
    let does: Vec<String> = does.collect();
    let (meant_by, done_by): (BTreeSet<_>, BTreeSet<_>) = (meant.iter().collect(), does.iter().collect());
    let (more, less) = (!done_by.is_subset(&meant_by), !meant_by.is_subset(&done_by));
    let kind = match (more, less) {
        (false, false) => return None,
        (true, false) => Kind::OverPermissive,
        (false, true) => Kind::OverRestrictive,
        (true, true) => Kind::Otherwise,
    };
    let or_none = |told: Vec<String>| if told.is_empty() { vec!["told no route".to_owned()] } else { told };
    Some(Difference {
        kind,
        from: port.name.clone(),
        witness: None,
        meant: or_none(meant),
        done: or_none(does),
        reasons: vec![Reason { span: Some(port.span), what: "what its subnet tells it".to_owned() }],
        rows: Vec::new(),
        n_more: 0,
    })
}

/// Keeps the first of the differences that have the same reasons on both sides.
pub(super) fn together(differences: &mut Vec<Difference>) {
    let mut kept: Vec<Difference> = Vec::new();
    for difference in differences.drain(..) {
        let is_same = |other: &&mut Difference| {
            let ends = (other.reasons.last(), other.rows.last());
            other.kind == difference.kind && ends == (difference.reasons.last(), difference.rows.last())
        };
        match kept.iter_mut().find(is_same) {
            Some(other) => other.n_more += 1 + difference.n_more,
            None => kept.push(difference),
        }
    }
    kept.sort_by_key(|difference| difference.kind);
    *differences = kept;
}
