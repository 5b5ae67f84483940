//! Machines that are alike on both sides: packets of one, to one of each class, are followed for all of them.
//!
//! A class is one of the rows and one of the model, found apart, on one subnet. What either side has asked about
//! addresses on the way says whether its machines are alike for these packets too: those that it tells apart are followed
//! as well. So no answer hangs on a guess.
//!
//! | addresses | whose packets for them stand for others' |
//! |---|---|
//! | a machine's own | of those who reach it by its own router: [`Place`] |
//! | public, translated to it | everybody's |
//!
//! Refuses to follow packets.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use crate::check::Checked;
use crate::meaning::{self, Meaning, Public, Sender, Spot, Traits};
use crate::model::{PortId, VpcId};
use crate::reach::address::within_any;
use crate::reach::alike;
use crate::reach::header::{Field, IPV4, IPV6, Origin, Rewrite, bits, eth_type};
use crate::reach::network::SwitchId;
use crate::reach::set::{Quickly, Set, Sets};
use crate::span::Span;

use super::rows::Known;

/// Where addresses are one machine's on both sides: in the model, and in the rows.
type Place = (VpcId, usize);

/// What an address is of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Own,
    Public,
}

/// Addresses of one family: those of the machines of a place, or all public ones.
type List = (Option<Place>, u128);

/// An address of a machine of a class: which one of the machine's of its kind.
struct Listed {
    address: u128,
    class: usize,
    nth: usize,
    machine: PortId,
}

/// Machines that are alike, in order.
struct Class {
    place: Place,
    members: Vec<PortId>,
}

/// Machines by class.
pub(super) struct Classes<'s> {
    sets: &'s Sets,
    sorted: &'s Sorted,
    /// What a question about a field comes to for the addresses of a list.
    answers: RefCell<Quickly<(List, Field, Set), Rc<Answers>>>,
    /// Packets from or for a machine, by an address of a kind.
    of: RefCell<Quickly<(Kind, PortId, Field), Set>>,
}

/// Machines as they were sorted before a packet was followed; threads may share them.
pub(super) struct Sorted {
    own: Vec<Vec<IpAddr>>,
    publics: BTreeMap<PortId, Vec<Public>>,
    classes: Vec<Class>,
    of: BTreeMap<PortId, usize>,
    by_place: BTreeMap<Place, Vec<usize>>,
    /// Classes with public addresses.
    with_publics: Vec<usize>,
    place_of: BTreeMap<PortId, Place>,
    lists: BTreeMap<List, Vec<Listed>>,
    /// Who has an address, in the places that there are.
    having: HashMap<u128, Vec<(Kind, PortId)>>,
    /// Every machine's own addresses by place, and all public ones, in order.
    by_address: BTreeMap<Option<Place>, Vec<(u128, PortId)>>,
}

/// What is left of a question for addresses of a list, by class and which of a machine's it is: of those for which it is
/// not what it is for most.
struct Answers(BTreeMap<(usize, usize), Vec<(PortId, Set)>>);

/// What packets of a sender were asked by both sides; each with the part of the rows' network whose classes have foreseen
/// it.
#[derive(Default)]
pub(super) struct Asked {
    /// Each with the packets of which it was asked.
    sent: BTreeMap<(Option<usize>, Set), BTreeSet<Set>>,
    written: BTreeSet<(Option<usize>, Written)>,
}

/// A question about an address that was written on the way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    field: Field,
    value: u128,
    by: By,
    set: Set,
}

/// Whose router has written an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Somebody,
    Vpc(VpcId),
    Part(usize),
}

/// Some addresses, from the first to the last.
pub(super) type Range = (u128, u128);

/// A sender, and for whom its packets and those to others stand.
pub(super) struct Standing {
    /// The machine that sends, if it is one.
    from: Option<PortId>,
    /// Where it reaches machines by their own addresses, of those that are classes.
    place: Option<Place>,
    /// Addresses that packets need not be sent to: of each class there is another, beside the sender.
    others: Others,
    told: Told,
}

/// Addresses of machines.
pub(super) type Others = BTreeSet<(Kind, PortId)>;

/// Who is told apart by what was asked.
#[derive(Default)]
struct Told {
    /// As those that are sent to, from others of their class.
    receivers: Others,
    /// As senders, from the one that sends.
    senders: BTreeSet<PortId>,
}

impl Asked {
    /// What the model has asked as well.
    pub(super) fn meant(&mut self, asked: meaning::Asked) {
        for (set, among) in asked.sent {
            self.sent.entry((None, set)).or_default().insert(among);
        }
        self.written.extend(asked.written.into_iter().map(|it| {
            let meaning::Written { field, value, by, set } = it;
            (None, Written { field, value, by: by.map_or(By::Somebody, By::Vpc), set })
        }));
    }

    /// What the rows have asked as well.
    pub(super) fn done(&mut self, asked: alike::Questions) {
        for (part, set, among) in asked.sent {
            self.sent.entry((Some(part), set)).or_default().insert(among);
        }
        self.written.extend(asked.written.into_iter().map(|(part, it, set)| {
            let alike::Written { field, value, by } = it;
            (Some(part), Written { field, value, by: by.map_or(By::Somebody, By::Part), set })
        }));
    }
}

impl Sorted {
    pub(super) fn new(checked: &Checked<'_>, meaning: &Meaning<'_>, rows: &Known<'_>) -> Sorted {
        let model = checked.model();
        let own = model.ports().map(|(id, _)| checked.assignment().port(id).addresses.clone()).collect();
        let mut sorted = Sorted {
            own,
            publics: meaning.publics(),
            classes: Vec::new(),
            of: BTreeMap::new(),
            by_place: BTreeMap::new(),
            with_publics: Vec::new(),
            place_of: BTreeMap::new(),
            lists: BTreeMap::new(),
            having: HashMap::new(),
            by_address: BTreeMap::new(),
        };
        for (id, port) in model.ports() {
            let Some(part) = rows.part(&port.name) else { continue };
            sorted.place_of.insert(id, (meaning.realm(id), part));
            for kind in [Kind::Own, Kind::Public] {
                let place = sorted.place_of.get(&id).copied().filter(|_| kind == Kind::Own);
                for address in sorted.addresses(kind, id).into_iter().map(bits) {
                    sorted.having.entry(address).or_default().push((kind, id));
                    sorted.by_address.entry(place).or_default().push((address, id));
                }
            }
        }
        let mut by_kind: BTreeMap<(Traits, usize, SwitchId), Vec<PortId>> = BTreeMap::new();
        for (id, traits) in meaning.traits() {
            if let Some((class, switch)) = rows.class(&model.port(id).name, &sorted.own[id.0]) {
                by_kind.entry((traits, class, switch)).or_default().push(id);
            }
        }
        for members in by_kind.into_values().filter(|members| members.len() > 1) {
            sorted.add(members);
        }
        sorted.lists.values_mut().for_each(|list| list.sort_by_key(|it| it.address));
        sorted.by_address.values_mut().for_each(|all| all.sort_unstable());
        sorted
    }

    fn add(&mut self, members: Vec<PortId>) {
        let (at, place) = (self.classes.len(), self.place_of[&members[0]]);
        self.by_place.entry(place).or_default().push(at);
        if self.publics.contains_key(&members[0]) {
            self.with_publics.push(at);
        }
        for machine in members.iter().copied() {
            self.of.insert(machine, at);
            for kind in [Kind::Own, Kind::Public] {
                let place = Some(place).filter(|_| kind == Kind::Own);
                for (nth, address) in self.addresses(kind, machine).into_iter().enumerate() {
                    let listed = Listed { address: bits(address), class: at, nth, machine };
                    self.lists.entry((place, eth_type(address))).or_default().push(listed);
                }
            }
        }
        self.classes.push(Class { place, members });
    }

    fn addresses(&self, kind: Kind, id: PortId) -> Vec<IpAddr> {
        match kind {
            Kind::Own => self.own[id.0].clone(),
            Kind::Public => self.publics.get(&id).into_iter().flatten().map(|it| it.address).collect(),
        }
    }

    /// Whose a written address may be: where somebody has it where it was written, he is meant.
    fn meant(&self, written: &Written) -> Vec<(Kind, PortId)> {
        let all = self.having.get(&written.value).map_or(&[][..], Vec::as_slice);
        let is_here = |(kind, id): &&(Kind, PortId)| {
            let place = self.place_of[id];
            *kind == Kind::Own
                && match written.by {
                    By::Somebody => false,
                    By::Vpc(vpc) => place.0 == vpc,
                    By::Part(part) => place.1 == part,
                }
        };
        let here: Vec<(Kind, PortId)> = all.iter().filter(is_here).copied().collect();
        if here.is_empty() { all.to_vec() } else { here }
    }
}

impl<'s> Classes<'s> {
    /// The classes, asked about sets that live there.
    pub(super) fn new(sorted: &'s Sorted, sets: &'s Sets) -> Classes<'s> {
        Classes { sets, sorted, answers: RefCell::default(), of: RefCell::default() }
    }

    /// Packets to those of some addresses that are in a range.
    pub(super) fn destined(&self, all: &Others, (low, high): Range) -> Set {
        let addresses = || all.iter().flat_map(|(kind, id)| self.sorted.addresses(*kind, *id));
        let of = |family| {
            let own = addresses().filter(|address| eth_type(*address) == family).map(bits);
            let own = own.filter(|own| (low..=high).contains(own)).map(|own| (own, own));
            self.sets.and(self.sets.value(Field::EthType, family), self.sets.ranges(Field::IpDst, own))
        };
        self.sets.or(of(IPV4), of(IPV6))
    }

    /// What is left of a question about a field for each address of a list.
    fn answers(&self, list: List, field: Field, set: Set) -> Rc<Answers> {
        let key = (list, field, set);
        let known = self.answers.borrow().get(&key).cloned();
        known.unwrap_or_else(|| {
            let made = Rc::new(self.answer(list, field, set));
            self.answers.borrow_mut().insert(key, made.clone());
            made
        })
    }

    fn answer(&self, list: List, field: Field, set: Set) -> Answers {
        let starts = self.sets.starts(set, field);
        let listed = self.sorted.lists.get(&list).filter(|_| !starts.is_empty());
        let listed = listed.map_or(&[][..], Vec::as_slice);
        let mut by_answer: BTreeMap<Set, Vec<&[Listed]>> = BTreeMap::new();
        let mut left = listed;
        while let Some(first) = left.first() {
            let next = first.address.checked_add(1).and_then(|above| starts.range(above..).next());
            let end = next.map_or(left.len(), |next| left.partition_point(|it| it.address < *next));
            let (alike, rest) = left.split_at(end);
            let mut rewrite = Rewrite::IDENTITY;
            rewrite[field] = Origin::Value(first.address);
            rewrite[Field::EthType] = Origin::Value(list.1);
            by_answer.entry(self.sets.before(set, &rewrite)).or_default().push(alike);
            left = rest;
        }
        let n = |(_, all): &(&Set, &Vec<&[Listed]>)| all.iter().map(|it| it.len()).sum::<usize>();
        let usual = by_answer.iter().max_by_key(n).map_or(Set::NONE, |(answer, _)| *answer);
        let mut others: BTreeMap<(usize, usize), Vec<(PortId, Set)>> = BTreeMap::new();
        for (answer, all) in by_answer.into_iter().filter(|(answer, _)| *answer != usual) {
            for it in all.into_iter().flatten() {
                others.entry((it.class, it.nth)).or_default().push((it.machine, answer));
            }
        }
        Answers(others)
    }

    /// Whether some packets of any of these are from or for a machine. Whoever is alike has no part in what is asked of
    /// others' packets alone.
    fn is_of(&self, kind: Kind, id: PortId, field: Field, all: &BTreeSet<Set>) -> bool {
        let own = *self.of.borrow_mut().entry((kind, id, field)).or_insert_with(|| {
            let own = self.sorted.addresses(kind, id).into_iter().map(IpNet::from);
            within_any(self.sets, field, own)
        });
        all.iter().any(|set| self.sets.meet(*set, own))
    }

    /// Those of a class that a question about addresses of a kind tells from one of them.
    fn told(&self, kind: Kind, like: PortId, field: Field, set: Set) -> Vec<PortId> {
        let Some(at) = self.sorted.of.get(&like) else { return Vec::new() };
        let class = &self.sorted.classes[*at];
        let place = Some(class.place).filter(|_| kind == Kind::Own);
        let mut told = Vec::new();
        for (nth, address) in self.sorted.addresses(kind, like).into_iter().enumerate() {
            let answers = self.answers((place, eth_type(address)), field, set);
            told.extend(answers.told(class, (*at, nth), like));
        }
        told
    }
}

impl Answers {
    /// Those of a class that answer otherwise than one of them, by one of their addresses.
    fn told(&self, class: &Class, which: (usize, usize), like: PortId) -> Vec<PortId> {
        let Some(odd) = self.0.get(&which) else { return Vec::new() };
        match odd.iter().find(|(id, _)| *id == like) {
            None => odd.iter().map(|(id, _)| *id).collect(),
            Some((_, answer)) => {
                let same: BTreeSet<PortId> =
                    odd.iter().filter(|(_, other)| other == answer).map(|(id, _)| *id).collect();
                class.members.iter().copied().filter(|id| !same.contains(id)).collect()
            }
        }
    }
}

/// So many addresses are sent to at once: what is left of packets to many is made again for each that fares otherwise.
const AT_ONCE: usize = 64;

impl Sorted {
    /// A sender; `part` is the one of the rows' network that the router is in by which it sends, if it is no machine.
    pub(super) fn standing(
        &self,
        sender: Sender,
        meaning: &Meaning<'_>,
        part: impl FnOnce() -> Option<usize>,
    ) -> Standing {
        let from = match sender.from {
            Spot::Port(id) => Some(id),
            Spot::Router(_) | Spot::Wire(_) => None,
        };
        let place = match (from, sender.via) {
            (Some(id), _) => self.place_of.get(&id).copied(),
            (None, Some(side)) => part().map(|part| (meaning.realm_of(side), part)),
            (None, None) => None,
        };
        let near = place.and_then(|place| self.by_place.get(&place));
        let near = near.into_iter().flatten().map(|at| (Kind::Own, *at));
        let all = near.chain(self.with_publics.iter().map(|at| (Kind::Public, *at)));
        let others = all.flat_map(|(kind, at)| {
            let members = self.classes[at].members.iter().copied();
            members.filter(|id| Some(*id) != from).skip(1).map(move |id| (kind, id))
        });
        Standing { from, place, others: others.collect(), told: Told::default() }
    }

    /// All destinations, by parts in which there are not many that are sent to.
    pub(super) fn parts(&self, standing: &Standing) -> Vec<Range> {
        let near = standing.place.and_then(|place| self.by_address.get(&Some(place)));
        let near = near.into_iter().flatten().map(|(address, id)| (*address, (Kind::Own, *id)));
        let publics = self.by_address.get(&None).into_iter().flatten();
        let all = near.chain(publics.map(|(address, id)| (*address, (Kind::Public, *id))));
        parts(all.filter(|(_, it)| !standing.others.contains(it)).map(|(address, _)| address))
    }

    /// The same of some addresses.
    pub(super) fn parts_of(&self, all: &Others) -> Vec<Range> {
        parts(all.iter().flat_map(|(kind, id)| self.addresses(*kind, *id)).map(bits))
    }

    /// Who sends alike, once all is followed.
    pub(super) fn fellows(&self, Standing { from, told, .. }: &Standing) -> Vec<PortId> {
        let class = from.and_then(|id| Some((id, self.of.get(&id)?)));
        let is_told =
            |id: PortId| [Kind::Own, Kind::Public].iter().any(|it| told.receivers.contains(&(*it, id)));
        let Some((from, at)) = class.filter(|(id, _)| !is_told(*id)) else { return Vec::new() };
        let all = self.classes[*at].members.iter().copied();
        all.filter(|id| *id != from && !told.senders.contains(id)).collect()
    }

    /// Translations of those that are stood for, where those of whoever stands for them have decided.
    pub(super) fn used_alike(
        &self,
        standing: &Standing,
        fellows: &[PortId],
        used: &BTreeSet<Span>,
    ) -> Vec<Span> {
        let spans = |id: PortId| self.publics.get(&id).into_iter().flatten().map(|it| it.span);
        let alike = |like: PortId, id: PortId| {
            let pairs = spans(like).zip(spans(id));
            pairs.filter(|(like, _)| used.contains(like)).map(|(_, span)| span).collect::<Vec<_>>()
        };
        let mut found = Vec::new();
        for class in self.with_publics.iter().map(|at| &self.classes[*at]) {
            let others = class.members.iter().filter(|id| standing.others.contains(&(Kind::Public, **id)));
            if let Some(seen) = standing.seen(Kind::Public, class) {
                found.extend(others.flat_map(|id| alike(seen, *id)));
            }
        }
        if let Some(from) = standing.from {
            found.extend(fellows.iter().flat_map(|id| alike(from, *id)));
        }
        found
    }
}

impl Standing {
    /// Addresses that packets need not be sent to.
    pub(super) fn others(&self) -> &Others {
        &self.others
    }

    /// Takes out of those whoever was told apart.
    pub(super) fn take_apart(&mut self) -> Others {
        let apart: Others = self.told.receivers.intersection(&self.others).copied().collect();
        self.others.retain(|other| !apart.contains(other));
        apart
    }

    /// The one of a class that packets are sent to for others.
    fn seen(&self, kind: Kind, class: &Class) -> Option<PortId> {
        let is_seen = |id: &&PortId| Some(**id) != self.from && !self.others.contains(&(kind, **id));
        class.members.iter().find(is_seen).copied()
    }
}

impl Classes<'_> {
    /// Notes who is told apart by what was asked.
    pub(super) fn note(&self, standing: &mut Standing, asked: &Asked) {
        let (sorted, mut told) = (self.sorted, std::mem::take(&mut standing.told));
        let families = |place| [(place, IPV4), (place, IPV6)];
        let near = standing.place.into_iter().flat_map(|place| families(Some(place)));
        let lists: Vec<List> =
            near.chain(families(None)).filter(|it| sorted.lists.contains_key(it)).collect();
        for ((foreseen, set), among) in &asked.sent {
            for list in &lists {
                let kind = if list.0.is_some() { Kind::Own } else { Kind::Public };
                let answers = self.answers(*list, Field::IpDst, *set);
                for which in answers.0.keys() {
                    let class = &sorted.classes[which.0];
                    if *foreseen != Some(class.place.1)
                        && let Some(seen) = standing.seen(kind, class)
                    {
                        let apart = answers.told(class, *which, seen);
                        if !apart.is_empty() && self.is_of(kind, seen, Field::IpDst, among) {
                            told.receivers.extend(apart.into_iter().map(|id| (kind, id)));
                        }
                    }
                }
            }
            if let (Some(from), Some(place)) = (standing.from, standing.place)
                && *foreseen != Some(place.1)
            {
                let apart = self.told(Kind::Own, from, Field::IpSrc, *set);
                if !apart.is_empty() && self.is_of(Kind::Own, from, Field::IpSrc, among) {
                    told.senders.extend(apart);
                }
            }
        }
        for (foreseen, written) in &asked.written {
            for (kind, machine) in sorted.meant(written) {
                if *foreseen == Some(sorted.place_of[&machine].1) {
                    continue;
                }
                let apart = self.told(kind, machine, written.field, written.set);
                let by_any = apart.iter().flat_map(|id| [(Kind::Own, *id), (Kind::Public, *id)]);
                told.receivers.extend(by_any);
                if Some(machine) == standing.from {
                    told.senders.extend(apart);
                }
            }
        }
        standing.told = told;
    }
}

/// Ranges of which each has so many of some addresses as are sent to at once; together they are all. The last comes
/// first.
fn parts(addresses: impl Iterator<Item = u128>) -> Vec<Range> {
    let mut addresses: Vec<u128> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    let bounds = addresses.into_iter().step_by(AT_ONCE).skip(1);
    let lows = [0].into_iter().chain(bounds.clone());
    let mut parts: Vec<Range> = lows.zip(bounds.map(|next| next - 1).chain([u128::MAX])).collect();
    parts.reverse();
    parts
}
