//! Which addresses a part of a network can tell apart.
//!
//! Refuses to know what becomes of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::reach::header::bits;

/// Addresses that something asks about: a family, the first and the last of them.
pub(super) type Range = (bool, u128, u128);

/// Whatever asks about addresses. What asks about the same ones is one mark.
#[derive(Debug, Default)]
pub(super) struct Marks {
    ranges: Vec<(Range, usize)>,
    known: HashMap<Range, usize>,
    n_marks: usize,
}

/// Addresses by the marks that are on them.
#[derive(Debug, Default)]
pub(super) struct Atoms {
    /// Where the marks change, and to which atom, of either family.
    starts: [Vec<(u128, usize)>; 2],
    /// Marks on many addresses.
    wide: Vec<(Range, usize)>,
}

impl Marks {
    /// Somebody asks about a network.
    pub(super) fn net(&mut self, net: &IpNet) {
        self.range(range_of(net));
    }

    /// Somebody asks about an address.
    pub(super) fn address(&mut self, address: IpAddr) {
        self.net(&address.into());
    }

    /// Somebody asks about these.
    pub(super) fn range(&mut self, range: Range) {
        if !self.known.contains_key(&range) {
            self.known.insert(range, self.n_marks);
            self.together([range]);
        }
    }

    /// Somebody asks about all of these at once.
    pub(super) fn together(&mut self, ranges: impl IntoIterator<Item = Range>) {
        let mark = self.n_marks;
        self.n_marks += 1;
        self.ranges.extend(ranges.into_iter().map(|range| (range, mark)));
    }

    /// Sorts addresses by what is asked about them.
    pub(super) fn atoms(self) -> Atoms {
        let mut numbers: HashMap<Vec<usize>, usize> = HashMap::new();
        let starts = [false, true].map(|is_ipv6| {
            let mut changes: BTreeMap<u128, Vec<(usize, bool)>> = BTreeMap::new();
            for ((_, low, high), mark) in self.ranges.iter().filter(|(range, _)| range.0 == is_ipv6) {
                changes.entry(*low).or_default().push((*mark, true));
                if let Some(next) = high.checked_add(1) {
                    changes.entry(next).or_default().push((*mark, false));
                }
            }
            let mut on: BTreeMap<usize, usize> = BTreeMap::new();
            let mut starts = vec![(0, number(&mut numbers, &on))];
            for (at, changes) in changes {
                for (mark, begins) in changes {
                    let n = on.entry(mark).or_default();
                    *n = if begins { *n + 1 } else { *n - 1 };
                    if *n == 0 {
                        on.remove(&mark);
                    }
                }
                starts.push((at, number(&mut numbers, &on)));
            }
            starts
        });
        let wide = self.ranges.into_iter().filter(|((_, low, high), _)| high > low).collect();
        Atoms { starts, wide }
    }
}

fn number(numbers: &mut HashMap<Vec<usize>, usize>, on: &BTreeMap<usize, usize>) -> usize {
    let next = numbers.len();
    *numbers.entry(on.keys().copied().collect()).or_insert(next)
}

impl Atoms {
    /// The number of those that an address is among.
    pub(super) fn of(&self, address: IpAddr) -> usize {
        let starts = &self.starts[usize::from(address.is_ipv6())];
        let value = bits(address);
        starts[starts.partition_point(|(at, _)| *at <= value) - 1].1
    }

    /// Whether all addresses of a network are alike but for some.
    pub(super) fn is_even(&self, net: &IpNet, but: &BTreeSet<IpAddr>) -> bool {
        let (is_ipv6, low, high) = range_of(net);
        let starts = &self.starts[usize::from(is_ipv6)];
        let but: Vec<u128> = but.iter().filter(|it| it.is_ipv6() == is_ipv6).map(|it| bits(*it)).collect();
        let mut rest: Option<usize> = None;
        let first = starts.partition_point(|(at, _)| *at <= low) - 1;
        for (at, (start, atom)) in starts.iter().enumerate().skip(first).take_while(|(_, it)| it.0 <= high) {
            let end = starts.get(at + 1).map_or(high, |(next, _)| (next - 1).min(high));
            let start = (*start).max(low);
            let n_but = but.partition_point(|it| *it <= end) - but.partition_point(|it| *it < start);
            let is_all = end - start < n_but as u128;
            if !is_all && *rest.get_or_insert(*atom) != *atom {
                return false;
            }
        }
        true
    }

    /// The marks that are on all of a network.
    pub(super) fn over(&self, net: &IpNet) -> Vec<usize> {
        let (is_ipv6, low, high) = range_of(net);
        let is_over = |(own, first, last): &Range| *own == is_ipv6 && *first <= low && high <= *last;
        let mut marks: Vec<usize> =
            self.wide.iter().filter(|(range, _)| is_over(range)).map(|(_, mark)| *mark).collect();
        marks.sort_unstable();
        marks.dedup();
        marks
    }
}

/// The addresses of a network.
pub(super) fn range_of(net: &IpNet) -> Range {
    (net.addr().is_ipv6(), bits(net.network()), bits(net.broadcast()))
}
