//! Many pairs at once, machines that behave alike taken together.
//!
//! Of each class of machines (`reach::classes`) a few are followed, through a network without all others, and stand
//! for them. What a class is asked about elsewhere in the network comes out on the way; where that tells its machines
//! apart, they are parted, and it begins anew.
//!
//! Two machines are alike in the end when they reach, and are reached by, all others in the same way.
//!
//! Refuses to explain a pair; [`super::judge::Judge::explain`] does.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ipnet::IpNet;

use super::classes::zones::{Asked, Zones};
use super::classes::{Home, Member, classify, parted_by, reduce};
use super::guest::ByHand;
use super::header::{Field, Origin, Rewrite, bits, eth_type};
use super::judge::{Judge, Party, Place, Verdict};
use super::network::{PortId, SwitchId};
use super::parties::{Who, externals, public_of};
use super::set::{Set, Sets};
use super::show::services;
use super::walk::{End, Outcome, Step, within_any};
use crate::progress;

/// What becomes of packets between two parties, by verdict, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(pub BTreeMap<Verdict, String>);

/// Parties that behave alike.
pub type Group = Vec<usize>;

/// Who reaches whom.
#[derive(Debug)]
pub struct Matrix {
    /// Who sends, by groups of places in what was given.
    pub from: Vec<Group>,
    /// Who is sent to, likewise.
    pub to: Vec<Group>,
    /// How many classes of machines there were, before it was known which of them behave alike.
    pub n_classes: usize,
    senders: Vec<Spot>,
    receivers: Vec<Spot>,
    facts: Facts,
}

/// A party of the question: which one it is, and what it is like.
#[derive(Clone, Copy, Debug)]
struct Spot {
    party: usize,
    member: Member,
}

/// Whether two machines of classes are on the same switch, where their classes leave that open.
type IsNear = bool;

/// What becomes of packets from one class to another.
#[derive(Debug, Default)]
struct Facts {
    cells: Vec<Cell>,
    numbers: BTreeMap<Cell, usize>,
    known: HashMap<(usize, usize, IsNear), usize>,
}

impl Facts {
    fn add(&mut self, key: (usize, usize, IsNear), cell: Cell) {
        let next = self.cells.len();
        let number = *self.numbers.entry(cell.clone()).or_insert(next);
        if number == next {
            self.cells.push(cell);
        }
        self.known.insert(key, number);
    }
}

impl Cell {
    fn of(sets: &Sets, by_verdict: Vec<(Verdict, Set)>) -> Cell {
        let is_only = by_verdict.len() == 1;
        let said = by_verdict
            .into_iter()
            .map(|(verdict, set)| (verdict, if is_only { String::new() } else { services(sets, set) }));
        Cell(said.collect())
    }
}

impl Member {
    /// Whether two machines are on one switch of several that they might be on.
    fn is_near(&self, other: &Member) -> IsNear {
        match (self.home, other.home) {
            (Some((Home::Alike(a), here)), Some((Home::Alike(b), there))) => a == b && here == there,
            _ => false,
        }
    }
}

impl Matrix {
    /// The verdicts on packets of `service` from each of some parties to each of others.
    pub fn new(judge: &mut Judge<'_>, from: &[Who], to: &[Who], service: Set) -> Matrix {
        let _stage = tracing::info_span!("follow packets").entered();
        let question = Question::new(judge, from, to, service);
        let mut splits = BTreeMap::new();
        let whole = classify(judge, &question.zones, &question.listed());
        loop {
            let split = |at: usize| question.parties[at].port().and_then(|port| splits.get(&port).copied());
            let members = parted_by(&whole, split);
            let (facts, told) = question.facts(judge, &members);
            if !question.split(judge, &members, told, &mut splits) {
                return question.matrix(&members, facts);
            }
        }
    }

    /// What becomes of packets from one group to another; `None` for a group of one to itself.
    pub fn cell(&self, from: &Group, to: &Group) -> Option<&Cell> {
        let pairs = from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b)));
        pairs
            .into_iter()
            .find_map(|(a, b)| self.number(&self.senders[a], &self.receivers[b]))
            .map(|at| &self.facts.cells[at])
    }

    /// All verdicts there are.
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        self.facts.cells.iter().flat_map(|cell| cell.0.keys().copied())
    }

    fn number(&self, from: &Spot, to: &Spot) -> Option<usize> {
        if from.party == to.party {
            return None;
        }
        let near = from.member.is_near(&to.member);
        self.facts.known.get(&(from.member.class, to.member.class, near)).copied()
    }
}

/// What a class has been asked about elsewhere: which field of its packets, and the sets.
type Told = BTreeMap<(usize, bool), BTreeSet<Set>>;

/// What is asked of a network.
struct Question<'q> {
    zones: Zones,
    /// Every party once.
    parties: Vec<&'q Who>,
    /// Which of them send, and which are sent to.
    from: Vec<usize>,
    to: Vec<usize>,
    service: Set,
}

impl<'q> Question<'q> {
    fn new(judge: &Judge<'_>, from: &'q [Who], to: &'q [Who], service: Set) -> Question<'q> {
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
        Question { zones: Zones::of(judge.network), parties, from, to, service }
    }

    /// The parties with the lists that they are in. Where the lists differ, whoever is in both is unlike all others.
    fn listed(&self) -> Vec<(&'q Who, (usize, usize))> {
        let mut lists = vec![(0, 0); self.parties.len()];
        let is_square = self.from == self.to;
        self.from.iter().for_each(|at| lists[*at].0 = 1);
        for at in &self.to {
            let both = !is_square && lists[*at].0 > 0;
            lists[*at].1 = if both { 2 + at } else { 1 };
        }
        self.parties.iter().copied().zip(lists).collect()
    }

    /// Who is followed: of each class so many that all that may be between two machines is between some of them.
    fn kept(&self, members: &[Member]) -> Vec<bool> {
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

    /// Follows those who are kept.
    fn facts(&self, judge: &Judge<'_>, members: &[Member]) -> (Facts, Told) {
        let kept = self.kept(members);
        let port = |at: usize| self.parties[at].port();
        let gone: BTreeSet<PortId> = (0..kept.len()).filter(|at| !kept[*at]).filter_map(port).collect();
        let stays: BTreeSet<PortId> = (0..kept.len()).filter(|at| kept[*at]).filter_map(port).collect();
        let gone = gone.difference(&stays).copied().collect();
        let (network, places) = reduce::without(judge.network, &gone);
        let by_hand = judge.walker.guests.all_by_hand();
        let each = by_hand.each.iter().filter_map(|(port, is_routed)| Some((*places.get(port)?, *is_routed)));
        let by_hand = ByHand { all: by_hand.all, each: each.collect() };
        let mut follower = Follower {
            judge: Judge::new(&network, judge.sets, by_hand),
            question: self,
            members,
            receivers: self.to.iter().copied().filter(|at| kept[*at]).collect(),
            zone: members.iter().map(|it| it.home.map(|(_, switch)| self.zones.of_switch(switch))).collect(),
            sizes: members.iter().filter(|it| it.home.is_some()).fold(
                BTreeMap::new(),
                |mut sizes, member| {
                    *sizes.entry(member.class).or_default() += 1;
                    sizes
                },
            ),
            telling: HashMap::new(),
            facts: Facts::default(),
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
    fn split(
        &self,
        judge: &Judge<'_>,
        members: &[Member],
        told: Told,
        splits: &mut BTreeMap<PortId, usize>,
    ) -> bool {
        let sets = judge.sets;
        let mut is_split = false;
        let mut new: BTreeMap<PortId, BTreeMap<bool, usize>> = BTreeMap::new();
        for ((class, is_source), asked) in told {
            let field = if is_source { Field::IpSrc } else { Field::IpDst };
            let asked: Vec<Set> =
                asked.into_iter().filter(|set| !sets.starts(*set, field).is_empty()).collect();
            let starts: BTreeSet<u128> = asked.iter().flat_map(|set| sets.starts(*set, field)).collect();
            let starts: Vec<u128> = starts.into_iter().collect();
            let mut of_atom: HashMap<Vec<(bool, usize)>, Vec<Set>> = HashMap::new();
            let mut kinds: BTreeMap<Vec<Set>, usize> = BTreeMap::new();
            for (at, _) in members.iter().enumerate().filter(|(_, member)| member.class == class) {
                let Some(port) = self.parties[at].port() else { continue };
                let mut own = judge.walker.guests.addresses(port);
                if !is_source {
                    own.extend(externals(judge, port));
                }
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
                new.entry(port).or_default().insert(is_source, kind);
            }
            is_split |= kinds.len() > 1;
        }
        if is_split {
            let mut numbers: BTreeMap<(usize, BTreeMap<bool, usize>), usize> = BTreeMap::new();
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

    /// Puts together whoever behaves alike.
    fn matrix(&self, members: &[Member], facts: Facts) -> Matrix {
        let spot = |at: &usize| Spot { party: *at, member: members[*at] };
        let (senders, receivers): (Vec<Spot>, Vec<Spot>) =
            (self.from.iter().map(spot).collect(), self.to.iter().map(spot).collect());
        let classes: BTreeSet<usize> =
            members.iter().filter(|it| it.home.is_some()).map(|it| it.class).collect();
        let matrix =
            Matrix { from: Vec::new(), to: Vec::new(), n_classes: classes.len(), senders, receivers, facts };
        let parted = parted(&matrix.facts);
        let (from, to) = (blocks(&matrix.senders, &parted), blocks(&matrix.receivers, &parted));
        let is_square = self.from == self.to;
        let group =
            |own, others, is_turned| Grouping { matrix: &matrix, own, others, is_square, is_turned }.groups();
        let senders = group(&from, &to, false);
        let receivers = if is_square { senders.clone() } else { group(&to, &from, true) };
        Matrix { from: senders, to: receivers, ..matrix }
    }
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

/// Follows packets through a network of those who are kept.
struct Follower<'f, 'n> {
    judge: Judge<'n>,
    question: &'f Question<'f>,
    members: &'f [Member],
    /// Who is kept of those that are sent to.
    receivers: Vec<usize>,
    /// The part of the network that each machine is in.
    zone: Vec<Option<usize>>,
    /// How many machines each class has.
    sizes: BTreeMap<usize, usize>,
    /// Sets that tell packets apart by a field, and sets that do not.
    telling: HashMap<(Set, Field), bool>,
    facts: Facts,
    told: Told,
}

impl Follower<'_, '_> {
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
        let mut wanted: BTreeMap<(usize, usize, IsNear), usize> = BTreeMap::new();
        for to in self.receivers.iter().copied().filter(|to| *to != at && parties[*to].is_some()) {
            if !self.facts.known.contains_key(&key(to)) {
                wanted.entry(key(to)).or_insert(to);
            }
        }
        if wanted.is_empty() {
            return;
        }
        let everywhere: BTreeSet<Set> = wanted.keys().map(|(_, class, _)| classes[class][far]).collect();
        let set = sets.and(sets.and(sender.sources, sets.any(everywhere)), self.question.service);
        let ways = self.ways(sender, set);
        let mut entered = Vec::new();
        for (key, to) in wanted {
            let Some(receiver) = &parties[to] else { continue };
            let (cell, into) = self.pair(at, sender, (to, receiver), classes[&key.1][far], &ways);
            entered.extend(into.map(|set| (to, set)));
            self.facts.add(key, cell);
        }
        let asked = self.judge.walker.asked.as_ref().map(Asked::take).unwrap_or_default();
        for (to, into) in &entered {
            let class = self.members[*to].class;
            if *into != classes[&class][far] && self.is_many(class) {
                self.told.entry((class, false)).or_default().insert(*into);
            }
        }
        let class = self.members[at].class;
        for (zone, set) in asked {
            let is_away = |own: Option<usize>| own.is_some_and(|own| own != zone);
            if is_away(self.zone[at]) && self.is_many(class) && self.tells(set, Field::IpSrc) {
                self.told.entry((class, true)).or_default().insert(set);
            }
            if !self.tells(set, Field::IpDst) {
                continue;
            }
            for (to, into) in &entered {
                let class = self.members[*to].class;
                if is_away(self.zone[*to]) && self.is_many(class) {
                    self.told.entry((class, false)).or_default().insert(sets.and(set, *into));
                }
            }
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
    ) -> (Cell, Option<Set>) {
        let sets = self.judge.sets;
        let zone = self.zone[to];
        let known = receiver.known_to(sender);
        let is_for = |set: Set| ways.all.iter().filter(move |(way, _)| sets.meet(way.flow.set, set));
        if zone.is_some() && zone == self.zone[at] {
            let outcomes: Vec<Outcome> = is_for(known).map(|(way, _)| way.clone()).collect();
            return (Cell::of(sets, self.judge.verdicts_of(sender, receiver, &outcomes)), Some(class));
        }
        let into =
            zone.and_then(|zone| ways.into.get(&zone)).map_or(Set::NONE, |into| sets.and(*into, class));
        if into.is_none() && zone.is_some() {
            return (self.lost(to, known, class, ways), None);
        }
        let outcomes: Vec<Outcome> = is_for(class).map(|(way, _)| way.clone()).collect();
        (Cell::of(sets, self.judge.verdicts_of(sender, receiver, &outcomes)), Some(into))
    }

    /// What becomes of packets for a class none of which come near it.
    fn lost(&mut self, to: usize, known: Set, class: Set, ways: &Ways) -> Cell {
        let sets = self.judge.sets;
        let of_class = ways.lost.iter().filter(|(_, set)| sets.meet(*set, class));
        if of_class.clone().count() > 1 && self.is_many(self.members[to].class) {
            let told = self.told.entry((self.members[to].class, false)).or_default();
            told.extend(of_class.map(|(_, set)| *set));
        }
        let own = ways.lost.iter().map(|(verdict, set)| (*verdict, sets.and(*set, known)));
        Cell::of(sets, own.filter(|(_, set)| !set.is_none()).collect())
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

/// Classes of machines for which it makes a difference on which switch they are.
fn parted(facts: &Facts) -> BTreeSet<usize> {
    let mut keys: Vec<&(usize, usize, IsNear)> = facts.known.keys().collect();
    keys.sort_unstable();
    let differs = |(a, b, _): &&&(usize, usize, IsNear)| {
        let [near, far] = [true, false].map(|near| facts.known.get(&(*a, *b, near)));
        near.is_some() && far.is_some() && near != far
    };
    keys.iter().filter(differs).flat_map(|(a, b, _)| [*a, *b]).collect()
}

/// Places in a list of parties that behave alike for what is known of their classes.
fn blocks(spots: &[Spot], parted: &BTreeSet<usize>) -> Vec<Group> {
    let mut blocks: BTreeMap<(usize, Option<SwitchId>), Group> = BTreeMap::new();
    for (at, Spot { member, .. }) in spots.iter().enumerate() {
        let switch = member.home.map(|(_, switch)| switch).filter(|_| parted.contains(&member.class));
        blocks.entry((member.class, switch)).or_default().push(at);
    }
    blocks.into_values().collect()
}

/// Puts blocks together that behave alike; to be alike is an equivalence.
struct Grouping<'g> {
    matrix: &'g Matrix,
    own: &'g [Group],
    others: &'g [Group],
    is_square: bool,
    /// Whether `own` are those that are sent to.
    is_turned: bool,
}

/// How many others there are of each fate, as senders and as receivers.
type Toll = BTreeMap<(bool, Option<usize>), usize>;

impl Grouping<'_> {
    fn cell(&self, own: usize, other: usize) -> Option<usize> {
        let (a, b) = match (self.is_square && own == other, self.own[own].as_slice()) {
            (true, [first, second, ..]) => (*first, *second),
            (true, _) => return None,
            (false, _) => (self.own[own][0], self.others[other][0]),
        };
        let (a, b) = if self.is_turned { (b, a) } else { (a, b) };
        self.matrix.number(&self.matrix.senders[a], &self.matrix.receivers[b])
    }

    fn toll(&self, own: usize) -> Toll {
        let mut toll = Toll::new();
        for other in 0..self.others.len() {
            let n = self.others[other].len() - usize::from(self.is_square && own == other);
            if n > 0 {
                *toll.entry((false, self.cell(own, other))).or_default() += n;
                if self.is_square {
                    *toll.entry((true, self.cell(other, own))).or_default() += n;
                }
            }
        }
        toll
    }

    fn is_alike(&self, a: usize, b: usize) -> bool {
        let is_even = !self.is_square || {
            let between = self.cell(a, b);
            let is_inner = |own: usize| self.own[own].len() < 2 || self.cell(own, own) == between;
            between == self.cell(b, a) && is_inner(a) && is_inner(b)
        };
        is_even
            && (0..self.others.len()).filter(|other| !self.is_square || ![a, b].contains(other)).all(
                |other| {
                    self.cell(a, other) == self.cell(b, other)
                        && (!self.is_square || self.cell(other, a) == self.cell(other, b))
                },
            )
    }

    fn groups(&self) -> Vec<Group> {
        let mut by_toll: BTreeMap<Toll, Vec<Vec<usize>>> = BTreeMap::new();
        for own in 0..self.own.len() {
            let groups = by_toll.entry(self.toll(own)).or_default();
            match groups.iter_mut().find(|group| self.is_alike(group[0], own)) {
                Some(group) => group.push(own),
                None => groups.push(vec![own]),
            }
        }
        let members = |blocks: Vec<usize>| {
            let mut members: Group = blocks.into_iter().flat_map(|at| self.own[at].iter().copied()).collect();
            members.sort_unstable();
            members
        };
        let mut groups: Vec<Group> = by_toll.into_values().flatten().map(members).collect();
        groups.sort_unstable();
        groups
    }
}
