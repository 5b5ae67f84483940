//! Of each class of machines a few are followed, through a network without all others, and stand for them.
//!
//! What a class is asked about elsewhere in the network comes out on the way; where that tells its machines apart, they
//! are to be parted, and it begins anew.
//!
//! Refuses to say what becomes of whom in words.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::zones::{Asked, Written, Zones};
use super::{Home, Member, reduce};
use crate::progress;
use crate::reach::address::within_any;
use crate::reach::guest::ByHand;
use crate::reach::header::{Field, Origin, Rewrite, bits, eth_type};
use crate::reach::judge::{Fates, Judge, Party, Place, Verdict};
use crate::reach::network::{PortId, SwitchId};
use crate::reach::parties::{Who, externals, public_of};
use crate::reach::set::{Set, Sets};
use crate::reach::walk::{End, Outcome, Step};

/// Whether two machines of classes are on the same switch, where their classes leave that open.
pub(in crate::reach) type IsNear = bool;

/// Two classes: who sends, who is sent to.
pub(in crate::reach) type Key = (usize, usize, IsNear);

/// What becomes of packets from one class to another.
#[derive(Debug)]
pub(in crate::reach) struct Facts<T> {
    /// All that becomes of any.
    pub(in crate::reach) cells: Vec<T>,
    numbers: BTreeMap<T, usize>,
    /// Which of it, and the two parties of the question that stood for their classes.
    pub(in crate::reach) known: HashMap<Key, (usize, (usize, usize))>,
}

impl<T: Clone + Ord> Facts<T> {
    fn new() -> Facts<T> {
        Facts { cells: Vec::new(), numbers: BTreeMap::new(), known: HashMap::new() }
    }

    fn add(&mut self, key: Key, cell: T, by: (usize, usize)) {
        let next = self.cells.len();
        let number = *self.numbers.entry(cell.clone()).or_insert(next);
        if number == next {
            self.cells.push(cell);
        }
        self.known.insert(key, (number, by));
    }
}

impl Member {
    /// Whether two machines are on one switch of several that they might be on.
    pub(in crate::reach) fn is_near(&self, other: &Member) -> IsNear {
        match (self.home, other.home) {
            (Some((Home::Alike(a), here)), Some((Home::Alike(b), there))) => a == b && here == there,
            _ => false,
        }
    }
}

/// What a class has been asked about elsewhere: which of its addresses, and the sets.
pub(in crate::reach) type Told = BTreeMap<(usize, About), BTreeSet<Set>>;

/// Addresses of machines that packets are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::reach) enum About {
    /// Those that they send from.
    Sources,
    /// Those that they are sent to by.
    Destinations,
    /// Any of these, where it was written on the way.
    Written(Field),
}

impl About {
    fn field(self) -> Field {
        match self {
            About::Sources => Field::IpSrc,
            About::Destinations => Field::IpDst,
            About::Written(field) => field,
        }
    }
}

/// Which pairs are meant, and which packets of theirs.
pub(in crate::reach) struct Between {
    /// Who is an end of a pair of which all packets are.
    pub(in crate::reach) ends: Vec<bool>,
    /// Packets of others to outside that are meant nevertheless.
    pub(in crate::reach) outwards: Set,
}

/// What is asked of a network.
pub(in crate::reach) struct Question<'q> {
    /// The parts of the network.
    pub(in crate::reach) zones: Zones,
    /// Every party once.
    pub(in crate::reach) parties: Vec<&'q Who>,
    /// Which of them send.
    pub(in crate::reach) from: Vec<usize>,
    /// Which of them are sent to.
    pub(in crate::reach) to: Vec<usize>,
    /// Between whom, if not between all.
    pub(in crate::reach) between: Option<Between>,
    service: Set,
}

impl<'q> Question<'q> {
    /// Packets of `service` from each of some parties to each of others.
    pub(in crate::reach) fn new(
        judge: &Judge<'_>,
        from: &'q [Who],
        to: &'q [Who],
        service: Set,
    ) -> Question<'q> {
        let mut parties: Vec<&Who> = Vec::new();
        let mut at_port: HashMap<Option<PortId>, Vec<usize>> = HashMap::new();
        let mut place = |who: &'q Who| {
            let known = at_port.entry(who.port()).or_default();
            if let Some(at) = known.iter().find(|at| parties[**at] == who) {
                return *at;
            }
            known.push(parties.len());
            parties.push(who);
            parties.len() - 1
        };
        let [from, to] = [from, to].map(|list| list.iter().map(&mut place).collect());
        Question { zones: Zones::of(judge.network), parties, from, to, between: None, service }
    }

    /// The parties with the lists that they are in. Where the lists differ, whoever is in both is unlike all others.
    pub(in crate::reach) fn listed(&self) -> Vec<(&'q Who, (usize, usize))> {
        let mut lists = vec![(0, 0); self.parties.len()];
        let is_square = self.from == self.to;
        self.from.iter().for_each(|at| lists[*at].0 = 1);
        for at in &self.to {
            let both = !is_square && lists[*at].0 > 0;
            lists[*at].1 = if both { 2 + at } else { 1 };
        }
        self.parties.iter().copied().zip(lists).collect()
    }

    /// Follows those who are kept.
    pub(in crate::reach) fn facts<T: Clone + Ord>(
        &self,
        judge: &Judge<'_>,
        members: &[Member],
        kept: &[bool],
        say: fn(&Sets, Fates) -> T,
    ) -> (Facts<T>, Told) {
        let port = |at: usize| self.parties[at].port();
        let gone: BTreeSet<PortId> = (0..kept.len()).filter(|at| !kept[*at]).filter_map(port).collect();
        let stays: BTreeSet<PortId> = (0..kept.len()).filter(|at| kept[*at]).filter_map(port).collect();
        let gone = gone.difference(&stays).copied().collect();
        let (network, places) = reduce::without(judge.network, &gone);
        let by_hand = judge.walker.guests.all_by_hand();
        let each = by_hand.each.iter().filter_map(|(port, is_routed)| Some((*places.get(port)?, *is_routed)));
        let by_hand = ByHand { all: by_hand.all, each: each.collect() };
        let zone = |port: PortId| self.zones.of_switch(judge.network.port(port).switch);
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        for member in members.iter().filter(|it| it.home.is_some()) {
            *sizes.entry(member.class).or_default() += 1;
        }
        let mut having: HashMap<u128, BTreeSet<Having>> = HashMap::new();
        for (at, member) in members.iter().enumerate().filter(|(at, _)| kept[*at]) {
            let Some(port) = port(at).filter(|_| sizes[&member.class] > 1) else { continue };
            let own = judge.walker.guests.addresses(port).into_iter().map(|own| (own, false));
            for (address, is_external) in own.chain(externals(judge, port).into_iter().map(|it| (it, true))) {
                let has = Having { class: member.class, zone: zone(port), is_external };
                having.entry(bits(address)).or_default().insert(has);
            }
        }
        let inside = judge.walker.externals().iter().map(|(address, inside)| {
            let zones = inside.held_on.iter().map(|switch| self.zones.of_switch(*switch));
            (bits(*address), zones.collect())
        });
        let mut follower = Follower {
            judge: Judge::new(&network, judge.sets, by_hand),
            question: self,
            members,
            receivers: self.to.iter().copied().filter(|at| kept[*at]).collect(),
            zone: (0..kept.len()).map(|at| port(at).map(zone)).collect(),
            sizes,
            having,
            inside: inside.collect(),
            telling: HashMap::new(),
            say,
            facts: Facts::new(),
            told: Told::new(),
        };
        follower.judge.walker.asked = Some(Asked::new(self.zones.clone()));
        follower.judge.walker.is_thorough = false;
        let moved: Vec<Option<Party>> = (0..kept.len())
            .map(|at| {
                let place = match self.parties[at].place() {
                    Place::Guest(port) => Place::Guest(*places.get(&port).filter(|_| kept[at])?),
                    other => other,
                };
                Some(Party { place, ..self.parties[at].party(judge) })
            })
            .collect();
        let classes = self.addresses(judge, members);
        for at in progress::along(self.from.iter(), self.from.len()) {
            if let Some(sender) = &moved[*at] {
                follower.sender(*at, sender, &moved, &classes);
            }
        }
        (follower.facts, follower.told)
    }

    /// Addresses of each class of receivers, as machines and as outsiders, if there are any, know them: all of its
    /// machines', and those beside them in their networks, which are fewer ranges.
    fn addresses(&self, judge: &Judge<'_>, members: &[Member]) -> BTreeMap<usize, [Set; 2]> {
        let (network, sets) = (judge.network, judge.sets);
        let has_outside = self.from.iter().any(|at| self.parties[*at].place() == Place::Outside);
        let mut nets: BTreeMap<SwitchId, Vec<IpNet>> = BTreeMap::new();
        type Parts = (BTreeSet<IpNet>, Vec<Set>);
        let mut parts: BTreeMap<usize, [Parts; 2]> = BTreeMap::new();
        for at in &self.to {
            let [near, far] = parts.entry(members[*at].class).or_default();
            let who = self.parties[*at];
            if let Who::Party(party) = who {
                far.1.push(if party.public.is_none() { party.destinations } else { party.public });
                near.1.extend(who.port().is_none().then_some(party.destinations));
            }
            let Some(port) = who.port() else { continue };
            let own: Vec<IpNet> = judge.walker.guests.addresses(port).into_iter().map(IpNet::from).collect();
            if has_outside && matches!(who, Who::Machine(_)) {
                let public: Vec<IpNet> = public_of(judge, port).into_iter().map(IpNet::from).collect();
                far.0.extend(if public.is_empty() { &own } else { &public });
            }
            let switch = network.port(port).switch;
            let nets = nets.entry(switch).or_insert_with(|| {
                let routers = network.routers_on(switch).map(|(_, id)| network.router_port(id));
                routers.flat_map(|port| port.networks.iter().map(IpNet::trunc)).collect()
            });
            let is_beside = own.iter().all(|own| nets.iter().any(|net| net.contains(own)));
            near.0.extend(if is_beside { &*nets } else { &own });
        }
        let of = |(nets, sets_of): Parts| {
            sets.any(sets_of.into_iter().chain([within_any(sets, Field::IpDst, nets)]))
        };
        parts.into_iter().map(|(class, parts)| (class, parts.map(of))).collect()
    }

    /// Parts machines that something elsewhere tells apart; whether there were any.
    pub(in crate::reach) fn split(
        &self,
        judge: &Judge<'_>,
        members: &[Member],
        told: Told,
        splits: &mut BTreeMap<PortId, usize>,
    ) -> bool {
        let sets = judge.sets;
        let mut is_split = false;
        let mut new: BTreeMap<PortId, BTreeMap<About, usize>> = BTreeMap::new();
        for ((class, about), asked) in told {
            let field = about.field();
            let asked: Vec<Set> =
                asked.into_iter().filter(|set| !sets.starts(*set, field).is_empty()).collect();
            let starts: BTreeSet<u128> = asked.iter().flat_map(|set| sets.starts(*set, field)).collect();
            let starts: Vec<u128> = starts.into_iter().collect();
            let mut of_atom: HashMap<Vec<(bool, usize)>, Vec<Set>> = HashMap::new();
            let mut kinds: BTreeMap<Vec<Set>, usize> = BTreeMap::new();
            for (at, _) in members.iter().enumerate().filter(|(_, member)| member.class == class) {
                let Some(port) = self.parties[at].port() else { continue };
                let own = match about {
                    About::Sources => judge.walker.guests.addresses(port),
                    About::Destinations | About::Written(_) => addresses(judge, port),
                };
                let atom = own
                    .iter()
                    .map(|it| (it.is_ipv6(), starts.partition_point(|start| *start <= bits(*it))))
                    .collect();
                let kind = of_atom.entry(atom).or_insert_with(|| {
                    let pairs = own.iter().flat_map(|address| asked.iter().map(move |set| (*set, *address)));
                    pairs
                        .map(|(set, address)| {
                            let mut rewrite = Rewrite::IDENTITY;
                            rewrite[field] = Origin::Value(bits(address));
                            rewrite[Field::EthType] = Origin::Value(eth_type(address));
                            sets.before(set, &rewrite)
                        })
                        .collect()
                });
                let next = kinds.len();
                let kind = *kinds.entry(kind.clone()).or_insert(next);
                new.entry(port).or_default().insert(about, kind);
            }
            is_split |= kinds.len() > 1;
        }
        if is_split {
            let mut numbers: BTreeMap<(usize, BTreeMap<About, usize>), usize> = BTreeMap::new();
            let first = splits.values().max().map_or(1, |last| last + 1);
            for (port, kinds) in new {
                let next = first + numbers.len();
                let before = splits.get(&port).copied().unwrap_or_default();
                let number = *numbers.entry((before, kinds)).or_insert(next);
                splits.insert(port, number);
            }
        }
        is_split
    }
}

/// The addresses of a machine, and those that are translated to it.
fn addresses(judge: &Judge<'_>, port: PortId) -> Vec<IpAddr> {
    let mut all = judge.walker.guests.addresses(port);
    all.extend(externals(judge, port));
    all
}

/// Who is followed: of each class so many that all that may be between two machines is between some of them.
pub(in crate::reach) fn kept(members: &[Member]) -> Vec<bool> {
    let mut kept = vec![false; members.len()];
    let mut on_switch: BTreeMap<(Home, SwitchId), BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        match member.home {
            Some((home @ (Home::On(_) | Home::Alike(_)), switch)) => {
                on_switch.entry((home, switch)).or_default().entry(member.class).or_default().push(at);
            }
            Some((Home::Alone(_), _)) | None => kept[at] = true,
        }
    }
    let mut n_switches: BTreeMap<usize, usize> = BTreeMap::new();
    let mut together: BTreeSet<(usize, usize)> = BTreeSet::new();
    for classes in on_switch.values() {
        let pairs = classes.iter().flat_map(|(a, own)| {
            let others = classes.keys().copied().filter(move |b| a < b || a == b && own.len() > 1);
            others.map(|b| (*a, b))
        });
        let pairs: Vec<(usize, usize)> = pairs.filter(|pair| !together.contains(pair)).collect();
        let is_rare = classes.keys().any(|class| n_switches.get(class).is_none_or(|n| *n < 2));
        if pairs.is_empty() && !is_rare {
            continue;
        }
        together.extend(pairs);
        for (class, own) in classes {
            *n_switches.entry(*class).or_default() += 1;
            own.iter().take(2).for_each(|at| kept[*at] = true);
        }
    }
    kept
}

/// Where packets of a sender end.
struct Ways {
    /// Each way, and the parts of the network that it leads to.
    all: Vec<(Outcome, BTreeSet<usize>)>,
    /// All packets that come to a part of the network.
    into: BTreeMap<usize, Set>,
    /// What becomes of those for a machine that none of them come to.
    lost: Vec<(Verdict, Set)>,
}

/// A machine that has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Having {
    class: usize,
    /// The part of the network that it is in.
    zone: usize,
    /// Whether the address is only translated to it.
    is_external: bool,
}

/// Follows packets through a network of those who are kept.
struct Follower<'f, 'n, T> {
    judge: Judge<'n>,
    question: &'f Question<'f>,
    members: &'f [Member],
    /// Who is kept of those that are sent to.
    receivers: Vec<usize>,
    /// The part of the network that each machine is in.
    zone: Vec<Option<usize>>,
    /// How many machines each class has.
    sizes: BTreeMap<usize, usize>,
    /// Who has an address, of machines of which there are several.
    having: HashMap<u128, BTreeSet<Having>>,
    /// In which parts of the network somebody has an address that others are translated to.
    inside: HashMap<u128, BTreeSet<usize>>,
    /// Sets that tell packets apart by a field, and sets that do not.
    telling: HashMap<(Set, Field), bool>,
    say: fn(&Sets, Fates) -> T,
    facts: Facts<T>,
    told: Told,
}

impl<T: Clone + Ord> Follower<'_, '_, T> {
    /// What becomes of packets from a party to whom nothing of its class is known about.
    fn sender(
        &mut self,
        at: usize,
        sender: &Party,
        parties: &[Option<Party>],
        classes: &BTreeMap<usize, [Set; 2]>,
    ) {
        let sets = self.judge.sets;
        let far = usize::from(sender.place == Place::Outside);
        let key = |to: usize| {
            let (a, b) = (&self.members[at], &self.members[to]);
            (a.class, b.class, a.is_near(b))
        };
        let mut wanted: BTreeMap<Key, (usize, Set)> = BTreeMap::new();
        for to in self.receivers.iter().copied().filter(|to| *to != at && parties[*to].is_some()) {
            let meant = self.meant(at, to, classes[&self.members[to].class][far]);
            if !meant.is_none() && !self.facts.known.contains_key(&key(to)) {
                wanted.entry(key(to)).or_insert((to, meant));
            }
        }
        if wanted.is_empty() {
            return;
        }
        let everywhere: BTreeSet<Set> = wanted.values().map(|(_, meant)| *meant).collect();
        let set = sets.and(sets.and(sender.sources, sets.any(everywhere)), self.question.service);
        let ways = self.ways(sender, set);
        let mut entered = Vec::new();
        for (key, (to, meant)) in wanted {
            let Some(receiver) = &parties[to] else { continue };
            let (cell, into) = self.pair(at, sender, (to, receiver), meant, &ways);
            entered.extend(into.map(|set| (to, set, meant)));
            self.facts.add(key, cell, (at, to));
        }
        let asked = self.judge.walker.asked.as_ref().map(Asked::take).unwrap_or_default();
        for (to, into, meant) in &entered {
            let class = self.members[*to].class;
            if into != meant && self.is_many(class) {
                self.told.entry((class, About::Destinations)).or_default().insert(*into);
            }
        }
        self.written(&asked.written);
        let class = self.members[at].class;
        for (zone, set, _) in asked.sent {
            let is_away = |own: Option<usize>| own.is_some_and(|own| own != zone);
            if is_away(self.zone[at]) && self.is_many(class) && self.tells(set, Field::IpSrc) {
                self.told.entry((class, About::Sources)).or_default().insert(set);
            }
            if !self.tells(set, Field::IpDst) {
                continue;
            }
            for (to, into, _) in &entered {
                let class = self.members[*to].class;
                if is_away(self.zone[*to]) && self.is_many(class) {
                    let of_class = self.told.entry((class, About::Destinations)).or_default();
                    of_class.insert(sets.and(set, *into));
                }
            }
        }
    }

    /// What was asked elsewhere about addresses that were written on the way is told the classes of whoever has them.
    fn written(&mut self, asked: &BTreeSet<(usize, Written, Set)>) {
        for (zone, written, set) in asked {
            let of = self.having.get(&written.value).into_iter().flatten();
            let away: Vec<usize> = of
                .filter(|has| has.zone != *zone && (has.is_external || self.may_be(written, has.zone)))
                .map(|has| has.class)
                .collect();
            if away.is_empty() || !self.tells(*set, written.field) {
                continue;
            }
            for class in away {
                self.told.entry((class, About::Written(written.field))).or_default().insert(*set);
            }
        }
    }

    /// Whether the address of a machine in a part of the network may be meant by one that was written: where somebody
    /// has it where it was, he is.
    fn may_be(&self, written: &Written, zone: usize) -> bool {
        let Some(by) = written.by else { return true };
        by == zone || self.inside.get(&written.value).is_none_or(|zones| !zones.contains(&by))
    }

    /// Which packets for a class are meant.
    fn meant(&self, at: usize, to: usize, class: Set) -> Set {
        match &self.question.between {
            Some(between) if !between.ends[at] && !between.ends[to] => {
                match self.question.parties[to].place() {
                    Place::Outside => self.judge.sets.and(class, between.outwards),
                    _ => Set::NONE,
                }
            }
            _ => class,
        }
    }

    /// Whether there are several machines of a class.
    fn is_many(&self, class: usize) -> bool {
        self.sizes.get(&class).is_some_and(|n| *n > 1)
    }

    /// Whether a set tells packets apart by a field.
    fn tells(&mut self, set: Set, field: Field) -> bool {
        let sets = self.judge.sets;
        *self.telling.entry((set, field)).or_insert_with(|| !sets.starts(set, field).is_empty())
    }

    /// Where packets of a sender end.
    fn ways(&mut self, sender: &Party, set: Set) -> Ways {
        let sets = self.judge.sets;
        let requests = self.judge.requests(sender, set);
        let mut into: BTreeMap<usize, Vec<Set>> = BTreeMap::new();
        let mut all = Vec::new();
        let mut courses = Vec::new();
        for request in requests {
            let zones = self.entered(&request);
            zones.iter().for_each(|zone| into.entry(*zone).or_default().push(request.flow.set));
            courses.extend(self.judge.lost(true, &request, request.flow.set));
            all.push((request, zones));
        }
        let into = into.into_iter().map(|(zone, of_zone)| (zone, sets.any(of_zone))).collect();
        Ways { all, into, lost: self.judge.verdicts(&courses) }
    }

    /// What becomes of packets to a receiver, and those for its class that come to its part of the network.
    fn pair(
        &mut self,
        at: usize,
        sender: &Party,
        (to, receiver): (usize, &Party),
        class: Set,
        ways: &Ways,
    ) -> (T, Option<Set>) {
        let sets = self.judge.sets;
        let zone = self.zone[to];
        let known = receiver.known_to(sender);
        let is_for = |set: Set| ways.all.iter().filter(move |(way, _)| sets.meet(way.flow.set, set));
        if zone.is_some() && zone == self.zone[at] {
            let outcomes: Vec<Outcome> = is_for(known).map(|(way, _)| way.clone()).collect();
            return ((self.say)(sets, self.judge.fates(sender, receiver, &outcomes)), Some(class));
        }
        let into =
            zone.and_then(|zone| ways.into.get(&zone)).map_or(Set::NONE, |into| sets.and(*into, class));
        if into.is_none() && zone.is_some() {
            return (self.lost(to, known, class, ways), None);
        }
        let outcomes: Vec<Outcome> = is_for(class).map(|(way, _)| way.clone()).collect();
        ((self.say)(sets, self.judge.fates(sender, receiver, &outcomes)), Some(into))
    }

    /// What becomes of packets for a class none of which come near it.
    fn lost(&mut self, to: usize, known: Set, class: Set, ways: &Ways) -> T {
        let sets = self.judge.sets;
        let of_class = ways.lost.iter().filter(|(_, set)| sets.meet(*set, class));
        if of_class.clone().count() > 1 && self.is_many(self.members[to].class) {
            let told = self.told.entry((self.members[to].class, About::Destinations)).or_default();
            told.extend(of_class.map(|(_, set)| *set));
        }
        let own = ways.lost.iter().map(|(verdict, set)| (*verdict, sets.and(*set, known)));
        let by_verdict = own.filter(|(_, set)| !set.is_none()).collect();
        (self.say)(sets, Fates { by_verdict, arriving: Set::NONE })
    }

    /// The parts of the network that packets have come to.
    fn entered(&self, outcome: &Outcome) -> BTreeSet<usize> {
        let network = self.judge.network;
        let zones = &self.question.zones;
        let steps = outcome.flow.path.steps();
        let of_step = |step: &Step| match step {
            Step::In(port) | Step::Out(port) => Some(zones.of_switch(network.port(*port).switch)),
            Step::Router(port) => Some(zones.of_router(network.router_port(*port).router)),
            Step::Rule(_) | Step::Connection(_) | Step::Via { .. } | Step::Policy(_) => None,
            Step::Translated { .. } | Step::Stop(_) => None,
        };
        let end = match outcome.end {
            End::Port(port) | End::Outside(port) => Some(zones.of_switch(network.port(port).switch)),
            End::Router(port) => Some(zones.of_router(network.router_port(port).router)),
            End::Nowhere | End::Unjudged { .. } => None,
        };
        steps.iter().filter_map(of_step).chain(end).collect()
    }
}
