//! What turns for the same reasons as few groups: who sends to the same receivers stands together.
//!
//! Refuses to explain a turn.

use std::collections::{BTreeMap, BTreeSet};

use super::alike::{Found, Person, Turned};
use super::{Cause, Shift, Turn};
use crate::reach::classes::Home;
use crate::reach::classes::follow::Key;
use crate::reach::judge::Verdict;
use crate::reach::network::SwitchId;

/// What turns belong together: where a machine is new or gone, whatever lets its packets through.
type Reason = (Turn, String, Option<Verdict>, Option<Verdict>, Vec<Cause>);

fn reason(shift: &Shift) -> Reason {
    let is_there = shift.before.is_some() && shift.after.is_some();
    let causes = if is_there { shift.causes.clone() } else { Vec::new() };
    (shift.turn, shift.services.clone(), shift.before, shift.after, causes)
}

/// Two blocks between which something turns; the names of those who stand for them, and what turns.
type Turns<'n> = BTreeMap<(usize, usize), ([Option<&'n str>; 2], usize)>;

/// A switch, and what it is like.
type Place = (Home, SwitchId);

/// Blocks of people for whom the same turns, by reason.
#[derive(Default)]
pub(super) struct Groups<'n> {
    blocks: Vec<Vec<Person<'n>>>,
    shifts: Vec<Shift>,
    reasons: BTreeMap<Reason, Turns<'n>>,
}

impl<'n> Groups<'n> {
    /// Adds what turns in one part of the network.
    pub(super) fn add(&mut self, found: &Found<'n>, explain: &mut dyn FnMut(&Turned) -> Option<Shift>) {
        let told: Vec<(&Turned, Shift)> =
            found.turned.iter().filter_map(|turned| Some((turned, explain(turned)?))).collect();
        let mut reasons: BTreeMap<Key, BTreeSet<Reason>> = BTreeMap::new();
        for (turned, shift) in &told {
            reasons.entry(turned.key).or_default().insert(reason(shift));
        }
        let blocks = self.blocks(found, &parted(found, &reasons));
        for (turned, shift) in told {
            let (from, to, is_near) = turned.key;
            let names = [turned.between.0, turned.between.1].map(|at| found.people[at].name);
            let turns = self.reasons.entry(reason(&shift)).or_default();
            for (a, place) in &blocks[&from] {
                for (b, other) in &blocks[&to] {
                    let is_one = a == b && self.blocks[*a].len() < 2;
                    let fits = place.is_none() || other.is_none() || (place == other) == is_near;
                    if fits && !is_one {
                        turns.entry((*a, *b)).or_insert((names, self.shifts.len()));
                    }
                }
            }
            self.shifts.push(shift);
        }
    }

    /// Adds the people of classes that something turns for; the blocks of each class, and where they are if that
    /// matters.
    fn blocks(
        &mut self,
        found: &Found<'n>,
        parted: &BTreeSet<usize>,
    ) -> BTreeMap<usize, Vec<(usize, Option<Place>)>> {
        let wanted: BTreeSet<usize> =
            found.turned.iter().flat_map(|turned| [turned.key.0, turned.key.1]).collect();
        let mut people: BTreeMap<(usize, Option<Place>), Vec<Person<'n>>> = BTreeMap::new();
        for (person, member) in found.people.iter().zip(&found.members) {
            if wanted.contains(&member.class) {
                let place = member.home.filter(|_| parted.contains(&member.class));
                people.entry((member.class, place)).or_default().push(*person);
            }
        }
        let mut blocks: BTreeMap<usize, Vec<(usize, Option<Place>)>> = BTreeMap::new();
        for ((class, place), people) in people {
            blocks.entry(class).or_default().push((self.blocks.len(), place));
            self.blocks.push(people);
        }
        blocks
    }

    /// All of it, in the order of turns, senders and receivers, by the names that people have.
    pub(super) fn shifts(&self, name: &dyn Fn(&Person<'n>) -> String) -> Vec<Shift> {
        let names = |blocks: BTreeSet<usize>| -> Vec<String> {
            let mut people: Vec<&Person<'n>> = blocks.into_iter().flat_map(|at| &self.blocks[at]).collect();
            people.sort_unstable_by_key(|person| person.name);
            people.into_iter().map(name).collect()
        };
        let mut shifts = Vec::new();
        for turns in self.reasons.values() {
            for (from, to) in self.rectangles(turns) {
                let between = from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b)));
                let Some((_, at)) = between.filter_map(|between| turns.get(&between)).min() else { continue };
                shifts.push(Shift { from: names(from), to: names(to), ..self.shifts[*at].clone() });
            }
        }
        shifts.sort_by(|a, b| {
            (a.turn, &a.from, &a.to, &a.services).cmp(&(b.turn, &b.from, &b.to, &b.services))
        });
        shifts
    }

    /// Senders of the same receivers; those who send to each other too are among them.
    fn rectangles(&self, turns: &Turns<'n>) -> Vec<(BTreeSet<usize>, BTreeSet<usize>)> {
        let mut receivers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (from, to) in turns.keys() {
            receivers.entry(*from).or_default().insert(*to);
        }
        let mut among: BTreeMap<BTreeSet<usize>, BTreeSet<usize>> = BTreeMap::new();
        for (from, to) in &receivers {
            if to.contains(from) || self.blocks[*from].len() < 2 {
                let all = to.iter().chain([from]).copied().collect();
                among.entry(all).or_default().insert(*from);
            }
        }
        among.retain(|_, from| from.iter().map(|at| self.blocks[*at].len()).sum::<usize>() > 1);
        let mut apart: BTreeMap<BTreeSet<usize>, BTreeSet<usize>> = BTreeMap::new();
        for (from, to) in receivers {
            if !among.values().any(|all| all.contains(&from)) {
                apart.entry(to).or_default().insert(from);
            }
        }
        among.into_iter().chain(apart).map(|(to, from)| (from, to)).collect()
    }
}

/// Classes of machines for which it makes a difference on which switch they are.
fn parted(found: &Found<'_>, reasons: &BTreeMap<Key, BTreeSet<Reason>>) -> BTreeSet<usize> {
    let differs = |(from, to, _): &&Key| {
        let keys = [true, false].map(|is_near| (*from, *to, is_near));
        keys.iter().all(|key| found.keys.contains(key)) && reasons.get(&keys[0]) != reasons.get(&keys[1])
    };
    reasons.keys().filter(differs).flat_map(|(from, to, _)| [*from, *to]).collect()
}
