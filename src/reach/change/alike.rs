//! One part of two networks compared by classes of machines that are alike in both.
//!
//! Machines of a class are alike before, alike after, and both times on switches that are. A few of each stand for it
//! (`reach::classes`), the same ones before and after; what turns for two of them turns for all pairs of their classes.
//!
//! Refuses to explain why.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::about::About;
use super::ends::between;
use super::touched::Part;
use super::{Side, TooMany, Turn};
use crate::reach::classes::follow::{Between, Facts, Key, Question, kept};
use crate::reach::classes::{Home, Member, Numbers, classify, parted_by, reduce};
use crate::reach::guest::ByHand;
use crate::reach::header::Field;
use crate::reach::judge::{Fates, Judge, Party, Place, Verdict, service};
use crate::reach::network::{Network, PortId, SwitchId};
use crate::reach::parties::{Who, machines};
use crate::reach::set::{Set, Sets};

/// Packets of one pair on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fate {
    /// They arrive, maybe.
    some: Set,
    /// They arrive and are answered.
    full: Set,
    /// It can't be said.
    unknown: Set,
}

impl Fate {
    /// Of a pair that is not there.
    const NONE: Fate = Fate { some: Set::NONE, full: Set::NONE, unknown: Set::NONE };

    fn of(sets: &Sets, fates: Fates) -> Fate {
        let of = |wanted| {
            let own = fates.by_verdict.iter().filter(|(verdict, _)| *verdict == wanted);
            sets.any(own.map(|(_, set)| *set))
        };
        let unknown = of(Verdict::Undetermined);
        Fate { some: sets.minus(fates.arriving, unknown), full: of(Verdict::Reachable), unknown }
    }
}

/// Somebody who is in the part before or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Person<'n> {
    /// The name of a machine's port; what is behind the physical networks has none.
    pub(super) name: Option<&'n str>,
    /// The port on each side, in the whole network.
    pub(super) ports: [Option<PortId>; 2],
}

/// Packets between two classes that take a turn.
pub(super) struct Turned {
    /// The turn.
    pub(super) turn: Turn,
    /// The packets, between the two who stand for their classes.
    pub(super) set: Set,
    /// Those two, by their places among the people.
    pub(super) between: (usize, usize),
    /// The classes.
    pub(super) key: Key,
}

/// What turns in one part.
pub(super) struct Found<'n> {
    /// Everybody in it.
    pub(super) people: Vec<Person<'n>>,
    /// The class of each, and where it is.
    pub(super) members: Vec<Member>,
    /// What turns.
    pub(super) turned: Vec<Turned>,
    /// All pairs of classes that there are.
    pub(super) keys: BTreeSet<Key>,
    /// How many classes there are.
    pub(super) n_classes: usize,
    /// Pairs of machines with packets that can't be judged on either side.
    pub(super) n_unjudged: usize,
}

/// One side of the part.
struct Half<'h> {
    judge: &'h Judge<'h>,
    question: Question<'h>,
    /// The places of the parties of the question among the people.
    at: Vec<usize>,
    whole: Vec<Member>,
    splits: BTreeMap<PortId, usize>,
}

impl Half<'_> {
    /// The classes of the people who are on this side.
    fn members(&self, n_people: usize) -> Vec<Option<Member>> {
        let split =
            |at: usize| self.question.parties[at].port().and_then(|port| self.splits.get(&port).copied());
        let mut members = vec![None; n_people];
        for (member, at) in parted_by(&self.whole, split).into_iter().zip(&self.at) {
            members[*at] = Some(member);
        }
        members
    }

    /// Follows those who are kept, and parts who is told apart; whether there were any.
    fn facts(&mut self, joint: &[Member], kept: &[bool]) -> (Facts<Fate>, bool) {
        let members: Vec<Member> = self.at.iter().map(|at| joint[*at]).collect();
        let kept: Vec<bool> = self.at.iter().map(|at| kept[*at]).collect();
        let (facts, told) = self.question.facts(self.judge, &members, &kept, Fate::of);
        let is_split = self.question.split(self.judge, &members, told, &mut self.splits);
        (facts, is_split)
    }

    fn party(&self, person: usize) -> Option<Party> {
        let at = self.at.binary_search(&person).ok()?;
        Some(self.question.parties[at].party(self.judge))
    }
}

/// Compares a part, in what a change of rules is about if it is one, where that takes no more than so many pairs of
/// classes.
pub(super) fn compare<'n>(
    sides: &[Side<'n>; 2],
    part: &[Part; 2],
    about: Option<&About>,
    pairs_max: usize,
) -> Result<Found<'n>, TooMany> {
    let sets = sides[0].judge.sets;
    let parts = [0, 1].map(|side: usize| {
        let Part { switches, routers, .. } = &part[side];
        reduce::part(sides[side].judge.network, switches, routers)
    });
    let by_hand = ByHand { all: true, ..ByHand::default() };
    let judges = [0, 1].map(|side: usize| Judge::new(&parts[side].0, sets, by_hand.clone()));
    let (people, who) = people(sides, &judges, [&parts[0].1, &parts[1].1]);
    let packets = about.map_or(Set::ALL, |about| about.packets);
    let packets = sets.and(service(sets, None, None), packets);
    let names = about.and_then(|about| about.ports.as_ref());
    let between = between(sides, part, names, &people);
    let mut halves = [0, 1].map(|side: usize| {
        let (at, who): (&Vec<usize>, &Vec<Who>) = (&who[side].0, &who[side].1);
        let mut question = Question::new(&judges[side], who, who, packets);
        question.between = between.as_ref().map(|between| Between {
            ends: at.iter().map(|at| between.ends[*at]).collect(),
            outwards: between.outwards,
        });
        let whole = classify(&judges[side], &question.zones, &question.listed());
        Half { judge: &judges[side], question, at: at.clone(), whole, splits: BTreeMap::new() }
    });
    let is_moved = is_moved(&people, [sides[0].judge.network, sides[1].judge.network]);
    let is_end = |at: usize| between.as_ref().is_none_or(|between| between.ends[at]);
    let marks: Vec<_> = (0..people.len()).map(|at| (is_moved[at], is_end(at))).collect();
    loop {
        let members =
            joint(&people, &marks, [0, 1].map(|side: usize| halves[side].members(people.len())), &halves);
        let n_classes = members.iter().map(|member| member.class + 1).max().unwrap_or_default();
        let others: HashSet<usize> = members
            .iter()
            .enumerate()
            .filter(|(at, _)| !is_end(*at))
            .map(|(_, member)| member.class)
            .collect();
        if n_classes * n_classes - others.len() * others.len() > pairs_max {
            return Err(TooMany { n_classes });
        }
        let kept = kept(&members);
        let [old, new] = &mut halves;
        let (before, is_split) = old.facts(&members, &kept);
        let (after, is_split_too) = new.facts(&members, &kept);
        if !is_split && !is_split_too {
            return Ok(found(sets, people, members, &halves, [&before, &after]));
        }
    }
}

/// Everybody on either side, by name; of each side their places, and the parties that they are.
type Present = (Vec<usize>, Vec<Who>);

fn people<'n>(
    sides: &[Side<'n>; 2],
    judges: &[Judge<'_>; 2],
    whole: [&Vec<PortId>; 2],
) -> (Vec<Person<'n>>, [Present; 2]) {
    let mut named: BTreeMap<&'n str, [Option<PortId>; 2]> = BTreeMap::new();
    for side in [0, 1] {
        let network: &'n Network = sides[side].judge.network;
        for id in machines(&judges[side]) {
            let name = network.port(whole[side][id.0]).name.as_str();
            named.entry(name).or_default()[side] = Some(id);
        }
    }
    let mut people = Vec::with_capacity(named.len() + 1);
    let mut who = [Present::default(), Present::default()];
    for (name, ids) in named {
        for (side, id) in ids.iter().enumerate() {
            if let Some(id) = id {
                who[side].0.push(people.len());
                who[side].1.push(Who::Machine(*id));
            }
        }
        let ports = [0, 1].map(|side: usize| ids[side].map(|id| whole[side][id.0]));
        people.push(Person { name: Some(name), ports });
    }
    let outside = [0, 1].map(|side: usize| match judges[side].wires().is_empty() {
        true => None,
        false => sides[side].outside().cloned(),
    });
    if outside.iter().any(Option::is_some) {
        for (side, party) in outside.into_iter().enumerate() {
            if let Some(party) = party {
                who[side].0.push(people.len());
                who[side].1.push(Who::Party(party));
            }
        }
        people.push(Person { name: None, ports: [None; 2] });
    }
    (people, who)
}

/// Who has other addresses after than before.
fn is_moved(people: &[Person<'_>], networks: [&Network; 2]) -> Vec<bool> {
    let is_other = |person: &Person<'_>| match person.ports {
        [Some(a), Some(b)] => {
            let [a, b] = [networks[0].port(a), networks[1].port(b)];
            a.addresses != b.addresses || a.shared != b.shared
        }
        _ => false,
    };
    people.iter().map(is_other).collect()
}

/// Classes of those who are alike on both sides, and marked alike.
fn joint(
    people: &[Person<'_>],
    marks: &[(bool, bool)],
    members: [Vec<Option<Member>>; 2],
    halves: &[Half<'_>; 2],
) -> Vec<Member> {
    let home = |side: usize, at: usize| members[side][at].and_then(|member| member.home);
    let places = Places::of(people.len(), &home, halves[0].judge.network.switches.len());
    // Who is new on a switch, or gone from it, has the home that the others there have.
    let mut homes: HashMap<usize, [Option<Home>; 2]> = HashMap::new();
    let mut is_alone = vec![false; people.len()];
    for (at, is_alone) in is_alone.iter_mut().enumerate() {
        let place = places.of_person(&home, at);
        *is_alone = place.is_none();
        for side in [0, 1] {
            match (home(side, at), place) {
                (Some((Home::Alone(_), _)), _) => *is_alone = true,
                (Some((own, _)), Some(place)) => homes.entry(place).or_default()[side] = Some(own),
                _ => {}
            }
        }
    }
    let mut alike: Numbers<[Option<Home>; 2]> = Numbers::new();
    let mut classes = Numbers::new();
    let mut joint = Vec::with_capacity(people.len());
    for (at, person) in people.iter().enumerate() {
        let own = [0, 1].map(|side: usize| members[side][at].map(|member| member.class));
        let place = places.of_person(&home, at).unwrap_or_default();
        let home = match homes.get(&place) {
            _ if person.name.is_none() => None,
            Some(homes) if !is_alone[at] => {
                let is_alike = homes.iter().flatten().all(|home| matches!(home, Home::Alike(_)));
                Some(if is_alike { Home::Alike(alike.of(*homes)) } else { Home::On(SwitchId(place)) })
            }
            _ => Some(Home::Alone(PortId(at))),
        };
        let class = classes.of((own, home, marks[at], person.name.is_none()));
        joint.push(Member { class, home: home.map(|home| (home, SwitchId(place))) });
    }
    joint
}

/// Switches of either side that are the same place: all machines of one that are there before and after are on the
/// other.
struct Places {
    n_before: usize,
    after: HashMap<SwitchId, BTreeSet<SwitchId>>,
    before: HashMap<SwitchId, BTreeSet<SwitchId>>,
}

impl Places {
    fn of(
        n_people: usize,
        home: &impl Fn(usize, usize) -> Option<(Home, SwitchId)>,
        n_before: usize,
    ) -> Places {
        let mut places = Places { n_before, after: HashMap::new(), before: HashMap::new() };
        for at in 0..n_people {
            if let (Some((_, a)), Some((_, b))) = (home(0, at), home(1, at)) {
                places.after.entry(a).or_default().insert(b);
                places.before.entry(b).or_default().insert(a);
            }
        }
        places
    }

    /// The number of the place that somebody is at; `None` where machines of a switch have come from several, or gone
    /// to several.
    fn of_person(
        &self,
        home: &impl Fn(usize, usize) -> Option<(Home, SwitchId)>,
        at: usize,
    ) -> Option<usize> {
        let only = |all: Option<&BTreeSet<SwitchId>>| match all {
            None => Some(None),
            Some(all) if all.len() == 1 => Some(all.first().copied()),
            Some(_) => None,
        };
        let before = match (home(0, at), home(1, at)) {
            (Some((_, before)), _) => before,
            (None, Some((_, after))) => match only(self.before.get(&after))? {
                Some(before) => before,
                None => return Some(self.n_before + after.0),
            },
            (None, None) => return Some(usize::MAX),
        };
        match only(self.after.get(&before))? {
            Some(after) => only(self.before.get(&after))?.map(|before| before.0),
            None => Some(before.0),
        }
    }
}

/// Compares what becomes of packets before and after.
fn found<'n>(
    sets: &Sets,
    people: Vec<Person<'n>>,
    members: Vec<Member>,
    halves: &[Half<'_>; 2],
    facts: [&Facts<Fate>; 2],
) -> Found<'n> {
    let keys: BTreeSet<Key> = facts.iter().flat_map(|facts| facts.known.keys().copied()).collect();
    let sizes = Sizes::of(&members);
    let n_classes = sizes.0.len();
    let mut found = Found { people, members, turned: Vec::new(), keys, n_classes, n_unjudged: 0 };
    for key in found.keys.clone() {
        let known = [0, 1].map(|side: usize| facts[side].known.get(&key));
        let fate = |side: usize| known[side].map_or(Fate::NONE, |(cell, _)| facts[side].cells[*cell]);
        let at = |side: usize| known[side].map(|(_, (a, b))| (halves[side].at[*a], halves[side].at[*b]));
        let Some(between) = at(1).or(at(0)) else { continue };
        let [before, after] = [fate(0), fate(1)];
        if before == after && before.unknown.is_none() {
            continue;
        }
        let ends = |side: usize| Some((halves[side].party(between.0)?, halves[side].party(between.1)?));
        let kept = match (ends(0), ends(1)) {
            (Some(before), Some(after)) => kept_of(sets, &before, &after),
            _ => Vec::new(),
        };
        let (turns, is_unjudged) = turns(sets, &kept, before, after);
        found.turned.extend(turns.map(|(turn, set)| Turned { turn, set, between, key }));
        if is_unjudged {
            found.n_unjudged += sizes.n_pairs(key);
        }
    }
    found
}

/// How many machines each class has, by where they are, if it matters.
struct Sizes(HashMap<usize, HashMap<Option<SwitchId>, usize>>);

impl Sizes {
    fn of(members: &[Member]) -> Sizes {
        let mut sizes: HashMap<usize, HashMap<Option<SwitchId>, usize>> = HashMap::new();
        for member in members {
            let place = match member.home {
                Some((Home::Alike(_), switch)) => Some(switch),
                _ => None,
            };
            *sizes.entry(member.class).or_default().entry(place).or_default() += 1;
        }
        Sizes(sizes)
    }

    /// How many pairs two classes have.
    fn n_pairs(&self, (from, to, is_near): Key) -> usize {
        let (Some(senders), Some(receivers)) = (self.0.get(&from), self.0.get(&to)) else { return 0 };
        let own = usize::from(from == to);
        let all = senders.values().sum::<usize>() * (receivers.values().sum::<usize>() - own);
        let near = senders.iter().filter(|(place, _)| place.is_some());
        let near = near.map(|(place, n)| n * receivers.get(place).map_or(0, |others| others - own));
        let near: usize = near.sum();
        if is_near { near } else { all - near }
    }
}

/// What of the packets opens, closes, and is unclear; and whether some can't be judged on either side.
fn turns(
    sets: &Sets,
    kept: &[Keep],
    before: Fate,
    after: Fate,
) -> (impl Iterator<Item = (Turn, Set)> + use<>, bool) {
    let same = |set: Set| kept.iter().fold(set, |set, keep| keep.of(sets, set));
    let [before, after] = [before, after].map(|fate| Fate {
        some: same(fate.some),
        full: same(fate.full),
        unknown: same(fate.unknown),
    });
    let both = sets.and(before.unknown, after.unknown);
    let unclear = sets.minus(sets.or(before.unknown, after.unknown), both);
    let judged = |set: Set| sets.minus(sets.minus(set, unclear), both);
    let more = |a: &Fate, b: &Fate| judged(sets.or(sets.minus(a.some, b.some), sets.minus(a.full, b.full)));
    let turns = [
        (Turn::Opens, more(&after, &before)),
        (Turn::Closes, more(&before, &after)),
        (Turn::Unclear, unclear),
    ];
    (turns.into_iter().filter(|(_, set)| !set.is_none()), !both.is_none())
}

/// What of the addresses of two ends can be compared.
fn kept_of(sets: &Sets, old: &(Party, Party), new: &(Party, Party)) -> Vec<Keep> {
    let keep = |place: &Place, field, a: Set, b: Set| match () {
        () if a == b => None,
        () if *place == Place::Outside => Some(Keep::Common(sets.and(a, b))),
        () => Some(Keep::Without(field)),
    };
    let of_sender = keep(&old.0.place, Field::IpSrc, old.0.sources, new.0.sources);
    let of_receiver = keep(&old.1.place, Field::IpDst, old.1.known_to(&old.0), new.1.known_to(&new.0));
    of_sender.into_iter().chain(of_receiver).collect()
}

/// How sets of two sides with other addresses are compared.
enum Keep {
    /// Whatever the address.
    Without(Field),
    /// Where both have the address.
    Common(Set),
}

impl Keep {
    fn of(&self, sets: &Sets, set: Set) -> Set {
        match self {
            Keep::Without(field) => sets.forget(set, *field),
            Keep::Common(common) => sets.and(set, *common),
        }
    }
}
