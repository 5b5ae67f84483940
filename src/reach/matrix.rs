//! Many pairs at once, machines that behave alike taken together.
//!
//! Of each class of machines (`reach::classes`) a few are followed and stand for the others.
//!
//! Two machines are alike in the end when they reach, and are reached by, all others in the same way.
//!
//! Refuses to explain a pair; [`super::judge::Judge::explain`] does.

use std::collections::{BTreeMap, BTreeSet};

use super::classes::follow::{Facts, Key, Question, kept};
use super::classes::{Member, classify, parted_by};
use super::judge::{Fates, Judge, Verdict};
use super::network::SwitchId;
use super::parties::Who;
use super::set::{Set, Sets};
use super::show::services;

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
    facts: Facts<Cell>,
}

/// A party of the question: which one it is, and what it is like.
#[derive(Clone, Copy, Debug)]
struct Spot {
    party: usize,
    member: Member,
}

impl Cell {
    fn of(sets: &Sets, fates: Fates) -> Cell {
        let by_verdict = fates.by_verdict;
        let is_only = by_verdict.len() == 1;
        let said = by_verdict
            .into_iter()
            .map(|(verdict, set)| (verdict, if is_only { String::new() } else { services(sets, set) }));
        Cell(said.collect())
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
            let (facts, told) = question.facts(judge, &members, &kept(&members), Cell::of);
            if !question.split(judge, &members, told, &mut splits) {
                return Matrix::of(&question, &members, facts);
            }
        }
    }

    /// Puts together whoever behaves alike.
    fn of(question: &Question<'_>, members: &[Member], facts: Facts<Cell>) -> Matrix {
        let spot = |at: &usize| Spot { party: *at, member: members[*at] };
        let (senders, receivers): (Vec<Spot>, Vec<Spot>) =
            (question.from.iter().map(spot).collect(), question.to.iter().map(spot).collect());
        let classes: BTreeSet<usize> =
            members.iter().filter(|it| it.home.is_some()).map(|it| it.class).collect();
        let matrix =
            Matrix { from: Vec::new(), to: Vec::new(), n_classes: classes.len(), senders, receivers, facts };
        let parted = parted(&matrix.facts);
        let (from, to) = (blocks(&matrix.senders, &parted), blocks(&matrix.receivers, &parted));
        let is_square = question.from == question.to;
        let group =
            |own, others, is_turned| Grouping { matrix: &matrix, own, others, is_square, is_turned }.groups();
        let senders = group(&from, &to, false);
        let receivers = if is_square { senders.clone() } else { group(&to, &from, true) };
        Matrix { from: senders, to: receivers, ..matrix }
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
        self.facts.known.get(&(from.member.class, to.member.class, near)).map(|(cell, _)| *cell)
    }
}

/// Classes of machines for which it makes a difference on which switch they are.
fn parted(facts: &Facts<Cell>) -> BTreeSet<usize> {
    let mut keys: Vec<&Key> = facts.known.keys().collect();
    keys.sort_unstable();
    let differs = |(a, b, _): &&&Key| {
        let [near, far] = [true, false].map(|near| facts.known.get(&(*a, *b, near)).map(|(cell, _)| cell));
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
