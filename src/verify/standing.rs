//! A sender that is followed, and for whom its packets stand: it sends to one of each class beside it and to one
//! elsewhere, and others of its own class send as it does.
//!
//! | found on the way | then |
//! |---|---|
//! | a question tells receivers of a class apart | each kind of them is sent to |
//! | it tells senders of its class apart | only those as it is are stood for |
//! | it tells machines of a class apart by what subnet they are on | who is there, or is there as a sender, stands for nobody elsewhere |
//! | on another subnet are machines of other classes, or of none | the same |
//!
//! Refuses to say who is alike before a packet is followed, and to follow any.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use crate::meaning::{Meaning, Sender, Spot};
use crate::model::PortId;
use crate::reach::header::{Field, IPV4, IPV6, bits, eth_type};
use crate::reach::set::Set;
use crate::span::Span;

use super::classes::{Asked, Class, Classes, HomeId, Kind, Odd, Place, Sorted};

/// Some addresses, from the first to the last.
pub(super) type Range = (u128, u128);

/// Addresses of machines.
pub(super) type Others = BTreeSet<(Kind, PortId)>;

/// A sender, and for whom its packets and those to others stand.
pub(super) struct Standing {
    /// The machine that sends, if it is one.
    from: Option<PortId>,
    /// Where it reaches machines by their own addresses, of those that are classes.
    place: Option<Place>,
    /// Where it is, if it is a machine.
    home: Option<HomeId>,
    groups: Vec<Group>,
    /// The groups of a class.
    of_class: BTreeMap<(Kind, usize), Vec<usize>>,
    /// Who is in another group than it was at first.
    moved: HashMap<(Kind, PortId), usize>,
    /// The one of each group that is sent to.
    seen: Others,
    /// Those of them that have not been yet.
    fresh: Others,
    /// Who does not send as it does.
    senders: BTreeSet<PortId>,
    /// The groups that it would be in itself, of those beside it.
    own: BTreeMap<Kind, usize>,
    /// Whether it is like nobody beside it as one that is sent to.
    is_odd: bool,
    /// Where somebody is not like most of his class.
    odd: BTreeSet<HomeId>,
}

/// Machines of a class that are alike as those that are sent to.
struct Group {
    kind: Kind,
    class: usize,
    members: Members,
    /// The one that is sent to.
    seen: PortId,
}

/// Who is in a group.
enum Members {
    /// All who are so far from the sender, but for who was moved.
    At(Distance),
    These(Vec<PortId>),
}

/// How machines lie to the sender: in its home, or in one with the same subnet or switch; `None` elsewhere.
type Distance = Option<HomeId>;

impl Standing {
    fn distance(&self, sorted: &Sorted, home: HomeId) -> Distance {
        let own = self.home?;
        (own == home || sorted.home(own).tangled.contains(&home)).then_some(home)
    }

    /// The lists of addresses that it may reach machines by.
    fn lists(&self) -> impl Iterator<Item = (Kind, Option<Place>)> {
        let own = self.place.map(|place| (Kind::Own, Some(place)));
        own.into_iter().chain([(Kind::Public, None)])
    }

    /// Takes those whom packets must be sent to as well.
    pub(super) fn take_fresh(&mut self) -> Others {
        std::mem::take(&mut self.fresh)
    }

    /// Machines of a class in a group, but for the sender.
    fn members(&self, sorted: &Sorted, at: usize) -> Vec<PortId> {
        let Group { kind, class, members, .. } = &self.groups[at];
        match members {
            Members::These(members) => members.clone(),
            Members::At(distance) => {
                let is_there = |home: &HomeId| self.distance(sorted, *home) == *distance;
                let all = sorted.classes[*class].by_home.iter().filter(|(home, _)| is_there(home));
                let all = all.flat_map(|(_, members)| members).copied();
                all.filter(|id| Some(*id) != self.from && !self.moved.contains_key(&(*kind, *id))).collect()
            }
        }
    }

    fn is_in(&self, sorted: &Sorted, at: usize, id: PortId) -> bool {
        let group = &self.groups[at];
        match (self.moved.get(&(group.kind, id)), &group.members) {
            (Some(other), _) => *other == at,
            (None, Members::These(_)) => false,
            (None, Members::At(distance)) => {
                let home = sorted.home_of(id);
                Some(id) != self.from && home.is_some_and(|home| self.distance(sorted, home) == *distance)
            }
        }
    }

    fn add(&mut self, group: Group) {
        let key = (group.kind, group.class);
        if let Members::These(members) = &group.members {
            self.moved.extend(members.iter().map(|id| ((group.kind, *id), self.groups.len())));
        }
        self.seen.insert((group.kind, group.seen));
        self.of_class.entry(key).or_default().push(self.groups.len());
        self.groups.push(group);
    }

    /// Whether packets to an address of a machine need not be sent: those to another's stand for them.
    fn is_other(&self, sorted: &Sorted, kind: Kind, id: PortId) -> bool {
        let is_sent_to = |it| self.seen.contains(it) && !self.fresh.contains(it);
        Some(id) != self.from && sorted.class_of(id).is_some() && !is_sent_to(&(kind, id))
    }
}

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
        let mut standing = Standing {
            from,
            place,
            home: from.and_then(|id| self.home_of(id)),
            groups: Vec::new(),
            of_class: BTreeMap::new(),
            moved: HashMap::new(),
            seen: BTreeSet::new(),
            fresh: BTreeSet::new(),
            senders: BTreeSet::new(),
            own: BTreeMap::new(),
            is_odd: false,
            odd: BTreeSet::new(),
        };
        let near = place.and_then(|place| self.by_place.get(&place)).into_iter().flatten();
        let near = near.map(|at| (Kind::Own, *at));
        for (kind, class) in near.chain(self.with_publics.iter().map(|at| (Kind::Public, *at))) {
            for (distance, seen) in self.first(&standing, &self.classes[class]) {
                if distance.is_some()
                    && distance == standing.home
                    && from.and_then(|id| self.class_of(id)) == Some(class)
                {
                    standing.own.insert(kind, standing.groups.len());
                }
                standing.add(Group { kind, class, members: Members::At(distance), seen });
            }
        }
        standing
    }

    /// The first of a class at each distance.
    fn first(&self, standing: &Standing, class: &Class) -> Vec<(Distance, PortId)> {
        let first = |members: &Vec<PortId>| members.iter().copied().find(|id| Some(*id) != standing.from);
        let by_home = |home: &HomeId| Some((Some(*home), class.by_home.get(home).and_then(first)?));
        let beside =
            standing.home.iter().flat_map(|own| std::iter::once(own).chain(&self.home(*own).tangled));
        let mut elsewhere = class.by_home.iter();
        let far = elsewhere.find(|(home, _)| standing.distance(self, **home).is_none());
        let far = far.and_then(|(_, members)| Some((None, first(members)?)));
        beside.filter_map(by_home).chain(far).collect()
    }

    /// All destinations, by parts in which there are not many that are sent to.
    pub(super) fn parts(&self, standing: &Standing) -> Vec<Range> {
        let all = standing.lists().flat_map(|(kind, place)| {
            let all = self.by_address.get(&place).into_iter().flatten();
            all.filter(move |(_, _, id)| !standing.is_other(self, kind, *id))
        });
        parts(all.map(|(address, ..)| *address))
    }

    /// The same of some addresses.
    pub(super) fn parts_of(&self, all: &Others) -> Vec<Range> {
        parts(all.iter().flat_map(|(kind, id)| self.addresses(*kind, *id)).map(bits))
    }

    /// Who sends alike, once all is followed.
    pub(super) fn fellows(&self, standing: &Standing) -> Vec<PortId> {
        let class = standing.from.and_then(|id| self.class_of(id));
        let (Some(at), Some(own), false) = (class, standing.home, standing.is_odd) else {
            return Vec::new();
        };
        let by_home = &self.classes[at].by_home;
        let company = self.home(own).company.filter(|_| !standing.odd.contains(&own));
        let is_alone = by_home[&own].len() == 1;
        let is_alike = |home: HomeId, n: usize| {
            home == own
                || company.is_some()
                    && company == self.home(home).company
                    && !standing.odd.contains(&home)
                    && (!is_alone || n == 1)
        };
        let alike = by_home.iter().filter(|(home, members)| is_alike(**home, members.len()));
        let all = alike.flat_map(|(_, members)| members).copied();
        all.filter(|id| Some(*id) != standing.from && !standing.senders.contains(id)).collect()
    }

    /// Translations of those that are stood for, where those of whoever stands for them have decided.
    pub(super) fn used_alike(
        &self,
        standing: &Standing,
        fellows: &[PortId],
        used: &BTreeSet<Span>,
    ) -> BTreeSet<Span> {
        let publics = |id: PortId| self.publics.get(&id).into_iter().flatten().map(|it| it.span);
        let outgoing = |home: HomeId| self.home(home).outgoing.iter().copied();
        let mut found = BTreeSet::new();
        let mut stand = |like: PortId, all: &[PortId], is_public: bool| {
            let mut homes = BTreeSet::new();
            for id in all {
                let pairs = publics(like).zip(publics(*id)).filter(|_| is_public);
                found.extend(pairs.filter(|(like, _)| used.contains(like)).map(|(_, span)| span));
                homes.extend(self.home_of(*id));
            }
            let Some(like) = self.home_of(like) else { return };
            for home in homes {
                let pairs = outgoing(like).zip(outgoing(home));
                found.extend(pairs.filter(|(like, _)| used.contains(like)).map(|(_, span)| span));
            }
        };
        for (at, group) in standing.groups.iter().enumerate() {
            let is_used = |id: PortId| {
                let mut all = publics(id).chain(self.home_of(id).into_iter().flat_map(outgoing));
                all.any(|span| used.contains(&span))
            };
            if is_used(group.seen) {
                stand(group.seen, &standing.members(self, at), group.kind == Kind::Public);
            }
        }
        standing.from.into_iter().for_each(|from| stand(from, fellows, true));
        found
    }
}

impl Classes<'_> {
    /// Packets to those of some addresses that are in a range.
    pub(super) fn destined(&self, all: &Others, (low, high): Range) -> Set {
        let addresses = all.iter().flat_map(|(kind, id)| self.sorted.addresses(*kind, *id));
        self.to(addresses.filter(|address| (low..=high).contains(&bits(*address))))
    }

    /// Packets to those in a range that need not be sent.
    pub(super) fn others(&self, standing: &Standing, (low, high): Range) -> Set {
        let others = standing.lists().flat_map(|(kind, place)| {
            let all = self.sorted.by_address.get(&place).map_or(&[][..], Vec::as_slice);
            let here = &all[all.partition_point(|it| it.0 < low)..all.partition_point(|it| it.0 <= high)];
            here.iter().filter(move |(_, _, id)| standing.is_other(self.sorted, kind, *id))
        });
        self.to(others.map(|(_, address, _)| *address))
    }

    fn to(&self, addresses: impl Iterator<Item = IpAddr>) -> Set {
        let mut of_family = [(IPV4, Vec::new()), (IPV6, Vec::new())];
        for address in addresses {
            let (_, all) = &mut of_family[usize::from(eth_type(address) == IPV6)];
            all.push((bits(address), bits(address)));
        }
        self.sets.any(of_family.map(|(family, all)| {
            self.sets.and(self.sets.value(Field::EthType, family), self.sets.ranges(Field::IpDst, all))
        }))
    }

    /// Notes who is told apart by what was asked. Questions are taken together: in which order they were asked does not
    /// show.
    pub(super) fn note(&self, standing: &mut Standing, asked: &Asked) {
        let sorted = self.sorted;
        let mut told: BTreeMap<usize, Vec<Rc<Odd>>> = BTreeMap::new();
        for ((foreseen, set), among) in &asked.sent {
            for list in self.lists(standing.place) {
                let kind = if list.0.is_some() { Kind::Own } else { Kind::Public };
                for ((class, _), odd) in &self.answers(list, Field::IpDst, *set).0 {
                    let groups = standing.of_class.get(&(kind, *class)).into_iter().flatten().copied();
                    let is_foreseen = *foreseen == Some(sorted.classes[*class].place.1);
                    for at in groups.filter(|_| !is_foreseen) {
                        if self.is_of(kind, standing.groups[at].seen, Field::IpDst, among) {
                            told.entry(at).or_default().push(odd.clone());
                        }
                    }
                }
            }
            if let (Some(from), Some(place)) = (standing.from, standing.place)
                && *foreseen != Some(place.1)
            {
                let odd = self.odd(Kind::Own, from, Field::IpSrc, *set);
                if !odd.is_empty() && self.is_of(Kind::Own, from, Field::IpSrc, among) {
                    odd.iter().for_each(|odd| self.part_senders(standing, from, odd));
                }
            }
        }
        for (foreseen, written) in &asked.written {
            for (kind, machine) in sorted.meant(written) {
                let Some(class) = sorted.class_of(machine) else { continue };
                if *foreseen == Some(sorted.classes[class].place.1) {
                    continue;
                }
                for odd in self.odd(kind, machine, written.field, written.set) {
                    let kinds = [Kind::Own, Kind::Public].into_iter();
                    for at in kinds.filter_map(|kind| standing.of_class.get(&(kind, class))).flatten() {
                        told.entry(*at).or_default().push(odd.clone());
                    }
                    standing.odd.extend(odd.keys().filter_map(|id| sorted.home_of(*id)));
                    if Some(machine) == standing.from {
                        self.part_senders(standing, machine, &odd);
                    }
                }
            }
        }
        told.into_iter().for_each(|(at, odd)| self.part(standing, at, &odd));
    }

    /// Parts a group by what questions come to for each.
    fn part(&self, standing: &mut Standing, at: usize, all: &[Rc<Odd>]) {
        let sorted = self.sorted;
        let Group { kind, class, seen, .. } = standing.groups[at];
        let answer = |id: &PortId| all.iter().map(|odd| odd.get(id).copied()).collect::<Vec<Option<Set>>>();
        let usual = answer(&seen);
        standing.odd.extend(all.iter().flat_map(|odd| odd.keys()).filter_map(|id| sorted.home_of(*id)));
        let others: BTreeSet<PortId> = match usual.iter().all(Option::is_none) {
            true => all.iter().flat_map(|odd| odd.keys()).copied().collect(),
            false => standing.members(sorted, at).into_iter().collect(),
        };
        let others = others.into_iter().filter(|id| standing.is_in(sorted, at, *id) && answer(id) != usual);
        let (mut by_first, mut first) = (BTreeMap::<PortId, Vec<PortId>>::new(), HashMap::new());
        for id in others {
            by_first.entry(*first.entry(answer(&id)).or_insert(id)).or_default().push(id);
        }
        if let Some(from) = standing.from.filter(|_| standing.own.get(&kind) == Some(&at))
            && answer(&from) != usual
        {
            let beside = first.get(&answer(&from)).and_then(|seen| by_first.keys().position(|it| it == seen));
            standing.is_odd |= beside.is_none();
            standing.own.extend(beside.map(|nth| (kind, standing.groups.len() + nth)));
        }
        for (seen, members) in by_first {
            if let Members::These(before) = &mut standing.groups[at].members {
                before.retain(|id| members.binary_search(id).is_err());
            }
            standing.fresh.insert((kind, seen));
            standing.add(Group { kind, class, members: Members::These(members), seen });
        }
    }

    /// Notes who of the class of the sender does not send as it does.
    fn part_senders(&self, standing: &mut Standing, from: PortId, odd: &Odd) {
        let class = self.sorted.class_of(from).map(|at| &self.sorted.classes[at]);
        let answer = odd.get(&from);
        let others: Box<dyn Iterator<Item = PortId>> = match answer {
            None => Box::new(odd.keys().copied()),
            Some(_) => Box::new(class.into_iter().flat_map(|class| class.members.iter().copied())),
        };
        standing.senders.extend(others.filter(|id| odd.get(id) != answer));
    }
}

/// So many addresses are sent to at once: what is left of packets to many is made again for each that fares otherwise.
const AT_ONCE: usize = 64;

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
