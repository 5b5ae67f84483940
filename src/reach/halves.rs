//! Which of many sets some packets are in, where they are in few: what they are in none of is asked about as one.
//!
//! A router may have hundreds of routes, of which a packet to one address takes one: it is asked some ten questions, not
//! hundreds. And machines are told apart by the questions that their packets are asked: none of these is finer than those
//! about each set.
//!
//! Refuses to know what the sets are.

use super::set::{Set, Sets};

/// Sets in order, by halves, and halves of these.
#[derive(Debug)]
pub(super) struct Halves {
    /// All of them together.
    any: Set,
    /// The first half, how many that are, and the second; of a single set there is none.
    halves: Option<Box<(Halves, usize, Halves)>>,
}

impl Halves {
    /// Some sets.
    pub(super) fn new(sets: &Sets, all: &[Set]) -> Halves {
        if let [] | [_] = all {
            return Halves { any: sets.any(all.iter().copied()), halves: None };
        }
        let (first, second) = all.split_at(all.len() / 2);
        let n_first = first.len();
        let (first, second) = (Halves::new(sets, first), Halves::new(sets, second));
        Halves { any: sets.or(first.any, second.any), halves: Some(Box::new((first, n_first, second))) }
    }

    /// The sets by place that some packets are in, each with those; `part` gives those that are in a set.
    pub(super) fn parts(&self, part: impl Fn(Set) -> Set) -> Vec<(usize, Set)> {
        let mut found = Vec::new();
        self.look(0, &part, &mut found);
        found
    }

    fn look(&self, at: usize, part: &impl Fn(Set) -> Set, found: &mut Vec<(usize, Set)>) {
        let here = part(self.any);
        match &self.halves {
            _ if here.is_none() => {}
            None => found.push((at, here)),
            Some(halves) => {
                let (first, n_first, second) = &**halves;
                first.look(at, part, found);
                second.look(at + n_first, part, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::header::Field;
    use super::*;

    /// Of 256 sets, those that packets are in are found with their packets, in order, and few others are asked about.
    #[test]
    fn packets_in_few_of_many_sets_are_asked_few_questions() {
        let sets = Sets::default();
        let block = |at: u128| sets.range(Field::IpDst, at * 10, at * 10 + 9);
        let halves = Halves::new(&sets, &(0..256).map(block).collect::<Vec<_>>());
        for (low, high, expected) in [(123, 123, vec![12]), (9, 20, vec![0, 1, 2]), (2555, 2560, vec![255])] {
            let (packets, n_asked) = (sets.range(Field::IpDst, low, high), Cell::new(0));
            let part = |set| {
                n_asked.set(n_asked.get() + 1);
                sets.and(packets, set)
            };
            let each = expected.into_iter().map(|at| (at, sets.and(packets, block(at as u128))));
            assert_eq!(halves.parts(part), each.collect::<Vec<_>>());
            assert!(n_asked.get() < 30, "{} questions", n_asked.get());
        }
    }

    #[test]
    fn of_no_sets_packets_are_in_none() {
        let sets = Sets::default();
        assert_eq!(Halves::new(&sets, &[]).parts(|set| set), []);
    }
}
