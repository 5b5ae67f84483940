//! Many pairs at once, machines that behave alike taken together.
//!
//! Every machine's packets are followed once, to wherever they end. Two machines are alike when they reach,
//! and are reached by, all others in the same way.
//!
//! Refuses to explain a pair; [`super::judge::Judge::explain`] does.

use std::collections::BTreeMap;

use super::judge::{Finding, Judge, Party, Verdict};
use super::set::{Set, Sets};
use super::show::services;

/// What becomes of packets between two parties, by verdict, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
    /// The verdicts, by sender and receiver in those.
    cells: BTreeMap<(usize, usize), Cell>,
}

impl Cell {
    fn of(sets: &Sets, findings: &[Finding]) -> Cell {
        let mut by_verdict: BTreeMap<Verdict, Set> = BTreeMap::new();
        for finding in findings {
            let set = by_verdict.entry(finding.verdict).or_insert(Set::NONE);
            *set = sets.or(*set, finding.set);
        }
        let is_only = by_verdict.len() == 1;
        let said = by_verdict
            .into_iter()
            .map(|(verdict, set)| (verdict, if is_only { String::new() } else { services(sets, set) }));
        Cell(said.collect())
    }
}

impl Matrix {
    /// The verdicts on packets of `service` from each of some parties to each of others.
    pub fn new(judge: &mut Judge<'_>, from: &[Party], to: &[Party], service: Set) -> Matrix {
        judge.walker.is_thorough = false;
        let mut cells = BTreeMap::new();
        for (at, sender) in from.iter().enumerate() {
            let everywhere = judge.sets.any(to.iter().map(|party| party.known_to(sender)));
            let set = judge.sets.and(judge.sets.and(sender.sources, everywhere), service);
            let requests = judge.requests(sender, set);
            for (other, receiver) in to.iter().enumerate().filter(|(_, receiver)| **receiver != *sender) {
                let findings = judge.findings(sender, receiver, &requests);
                cells.insert((at, other), Cell::of(judge.sets, &findings));
            }
        }
        let is_square = from == to;
        let senders = groups(from.len(), |a, b| {
            let is_same = |other: usize| {
                let is_self = is_square && (other == a || other == b);
                is_self || cells.get(&(a, other)) == cells.get(&(b, other))
            };
            let looks_back = |other: usize| {
                !is_square || other == a || other == b || cells.get(&(other, a)) == cells.get(&(other, b))
            };
            let is_even = !is_square || cells.get(&(a, b)) == cells.get(&(b, a));
            is_even && (0..to.len()).all(is_same) && (0..from.len()).all(looks_back)
        });
        let receivers = match is_square {
            true => senders.clone(),
            false => groups(to.len(), |a, b| {
                (0..from.len()).all(|other| cells.get(&(other, a)) == cells.get(&(other, b)))
            }),
        };
        Matrix { from: senders, to: receivers, cells }
    }

    /// What becomes of packets from one group to another; `None` for a group of one to itself.
    pub fn cell(&self, from: &Group, to: &Group) -> Option<&Cell> {
        let pairs = from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b)));
        pairs.into_iter().find_map(|pair| self.cells.get(&pair))
    }

    /// All verdicts there are.
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        self.cells.values().flat_map(|cell| cell.0.keys().copied())
    }
}

/// Puts what is alike together; to be alike is an equivalence.
fn groups(n: usize, is_alike: impl Fn(usize, usize) -> bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for at in 0..n {
        match groups.iter_mut().find(|group| is_alike(group[0], at)) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}
