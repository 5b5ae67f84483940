//! Sets of packets, exactly: decision diagrams over the fields of a header.
//!
//! A set is a node that splits one field's values into intervals, each with the set of what may follow
//! in the later fields. Nodes are kept once, neighbouring intervals with the same rest are one, and a
//! field that decides nothing has no node. So two sets are equal exactly when their numbers are.
//!
//! Refuses to know what a field means.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Deref;
use std::rc::Rc;

use super::header::{Field, Header, N_FIELDS, Origin, Rewrite};

/// A set of packets, by its number in a [`Sets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set(u32);

impl Set {
    /// No packet.
    pub const NONE: Set = Set(0);
    /// Every packet.
    pub const ALL: Set = Set(1);

    /// True when no packet is in it.
    pub fn is_none(self) -> bool {
        self == Set::NONE
    }
}

/// More results than this are not kept: they can be had again.
const DONE_MAX: usize = 1 << 19;

/// The last value of an interval, and the set of what follows in later fields.
type Edge = (u128, Set);

/// INVARIANT: edges are sorted, the last ends at `u128::MAX`, neighbours have different sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    field: Field,
    edges: Rc<[Edge]>,
}

/// How a set splits a field: not at all, or as its node does.
enum Split {
    Whole([Edge; 1]),
    Node(Rc<[Edge]>),
}

impl Deref for Split {
    type Target = [Edge];

    fn deref(&self) -> &[Edge] {
        match self {
            Split::Whole(edges) => edges,
            Split::Node(edges) => edges,
        }
    }
}

/// A quick hash of a few words, as in `rustc`: what is looked up are numbers of our own.
#[derive(Clone, Copy, Debug, Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            self.write_u64(u64::from_le_bytes(padded));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

type Quickly<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    And,
    Or,
    Minus,
}

impl Op {
    fn is_decided_by_first(self, set: Set) -> bool {
        match self {
            Op::And | Op::Minus => set == Set::NONE,
            Op::Or => set == Set::ALL,
        }
    }

    fn is_decided_by_second(self, set: Set) -> bool {
        match self {
            Op::And => set == Set::NONE,
            Op::Or | Op::Minus => set == Set::ALL,
        }
    }
}

/// How many of the first edges end at `high` or before.
fn passed(edges: &[Edge], high: u128) -> usize {
    match edges.get(1) {
        // Mostly it is one or none.
        Some((next, _)) if *next <= high => edges.partition_point(|(end, _)| *end <= high),
        _ => usize::from(edges.first().is_some_and(|(end, _)| *end <= high)),
    }
}

#[derive(Debug, Default)]
struct Store {
    /// Node `n` is set `n + 2`.
    nodes: Vec<Node>,
    n_edges: usize,
    numbers: Quickly<Node, Set>,
    done: Quickly<(Op, Set, Set), Set>,
}

/// Where sets live; operations give sets of the same store.
#[derive(Debug, Default)]
pub struct Sets(RefCell<Store>);

impl Sets {
    /// Packets in both.
    pub fn and(&self, a: Set, b: Set) -> Set {
        self.0.borrow_mut().apply(Op::And, a, b)
    }

    /// Packets in either.
    pub fn or(&self, a: Set, b: Set) -> Set {
        self.0.borrow_mut().apply(Op::Or, a, b)
    }

    /// Packets in `a` and not in `b`.
    pub fn minus(&self, a: Set, b: Set) -> Set {
        self.0.borrow_mut().apply(Op::Minus, a, b)
    }

    /// Packets not in `a`.
    pub fn not(&self, a: Set) -> Set {
        self.minus(Set::ALL, a)
    }

    /// Whether some packet is in both.
    pub fn meet(&self, a: Set, b: Set) -> bool {
        !self.and(a, b).is_none()
    }

    /// Packets in any of them.
    pub fn any(&self, sets: impl IntoIterator<Item = Set>) -> Set {
        let mut sets: Vec<Set> = sets.into_iter().collect();
        // In pairs, so that no long set is made again and again.
        while sets.len() > 1 {
            sets = sets
                .chunks(2)
                .map(|pair| pair.iter().fold(Set::NONE, |all, set| self.or(all, *set)))
                .collect();
        }
        sets.pop().unwrap_or(Set::NONE)
    }

    /// Packets whose `field` lies in `low..=high`.
    pub fn range(&self, field: Field, low: u128, high: u128) -> Set {
        self.ranges(field, [(low, high)])
    }

    /// Packets whose `field` lies in one of some ranges, which may overlap.
    pub fn ranges(&self, field: Field, ranges: impl IntoIterator<Item = (u128, u128)>) -> Set {
        let mut ranges: Vec<(u128, u128)> = ranges.into_iter().collect();
        ranges.sort_unstable();
        let mut edges: Vec<Edge> = Vec::with_capacity(2 * ranges.len() + 1);
        // The first value that no range has reached; none where all are reached.
        let mut next = Some(0);
        for (low, high) in ranges {
            match next {
                None => break,
                Some(first) if high < first => continue,
                Some(first) if low > first => edges.push((low - 1, Set::NONE)),
                Some(_) => {}
            }
            edges.push((high, Set::ALL));
            next = high.checked_add(1);
        }
        edges.extend(next.map(|_| (u128::MAX, Set::NONE)));
        self.0.borrow_mut().node(field, edges)
    }

    /// Packets whose `field` is `value`.
    pub fn value(&self, field: Field, value: u128) -> Set {
        self.range(field, value, value)
    }

    /// Packets that are in `set` once `rewrite` has been done to them.
    pub fn before(&self, set: Set, rewrite: &Rewrite) -> Set {
        if rewrite.is_identity() {
            return set;
        }
        self.0.borrow_mut().before(set, rewrite, &mut HashMap::new())
    }

    /// Packets that differ from one in `set` at most in `field`.
    pub fn forget(&self, set: Set, field: Field) -> Set {
        self.0.borrow_mut().forget(set, field, &mut HashMap::new())
    }

    /// Whether the packet is in the set.
    pub fn contains(&self, set: Set, header: &Header) -> bool {
        let store = self.0.borrow();
        let mut at = set;
        while let Some(node) = store.get(at) {
            at = node.child(header[node.field]);
        }
        at == Set::ALL
    }

    /// A packet of the set: of every field the first wish that is possible, else the lowest value.
    pub fn pick(&self, set: Set, wishes: &[(Field, u128)]) -> Option<Header> {
        let mut left = set;
        for (field, value) in wishes {
            let wished = self.and(left, self.value(*field, *value));
            if !wished.is_none() {
                left = wished;
            }
        }
        let mut header = Header::default();
        let store = self.0.borrow();
        while let Some(node) = store.get(left) {
            let mut low = 0;
            for (high, child) in node.edges.iter() {
                if !child.is_none() {
                    header[node.field] = low;
                    left = *child;
                    break;
                }
                low = high.saturating_add(1);
            }
        }
        (left == Set::ALL).then_some(header)
    }

    /// The intervals of `field` in a set that [`Sets::only`] has left with this field alone.
    pub fn intervals(&self, set: Set, field: Field) -> Vec<(u128, u128)> {
        let store = self.0.borrow();
        match store.get(set) {
            None if set == Set::ALL => vec![(0, u128::MAX)],
            Some(node) if node.field == field => {
                let mut low = 0;
                let mut found = Vec::new();
                for (high, child) in node.edges.iter() {
                    if !child.is_none() {
                        found.push((low, *high));
                    }
                    low = high.saturating_add(1);
                }
                found
            }
            None | Some(_) => Vec::new(),
        }
    }

    /// The set with every field but these forgotten.
    pub fn only(&self, set: Set, fields: &[Field]) -> Set {
        let forgotten = Field::ALL.into_iter().filter(|field| !fields.contains(field));
        forgotten.fold(set, |left, field| self.forget(left, field))
    }

    /// The values of `field` at which packets of the set begin to differ from those below.
    pub fn starts(&self, set: Set, field: Field) -> BTreeSet<u128> {
        let store = self.0.borrow();
        let (mut starts, mut seen, mut left) = (BTreeSet::new(), HashSet::new(), vec![set]);
        while let Some(set) = left.pop() {
            let Some(node) = store.get(set).filter(|_| seen.insert(set)) else { continue };
            left.extend(node.edges.iter().map(|(_, child)| *child));
            if node.field == field {
                starts.extend(node.edges.iter().filter_map(|(high, _)| high.checked_add(1)));
            }
        }
        starts
    }

    /// How many nodes there are.
    pub fn n_nodes(&self) -> usize {
        self.0.borrow().nodes.len()
    }

    /// How many edges all nodes have together: what memory they take, 32 bytes each.
    pub fn n_edges(&self) -> usize {
        self.0.borrow().n_edges
    }
}

impl Node {
    fn child(&self, value: u128) -> Set {
        self.edges[self.edges.partition_point(|(high, _)| *high < value)].1
    }
}

impl Store {
    /// The node of a set that is neither all nor nothing.
    fn get(&self, set: Set) -> Option<&Node> {
        self.nodes.get((set.0 as usize).checked_sub(2)?)
    }

    /// The set that these edges make.
    fn node(&mut self, field: Field, edges: Vec<Edge>) -> Set {
        let mut merged: Vec<Edge> = Vec::with_capacity(edges.len());
        for (high, child) in edges {
            match merged.last_mut() {
                Some(last) if last.1 == child => last.0 = high,
                _ => merged.push((high, child)),
            }
        }
        if let [(_, child)] = merged.as_slice() {
            return *child;
        }
        let node = Node { field, edges: merged.into() };
        if let Some(set) = self.numbers.get(&node) {
            return *set;
        }
        let number = u32::try_from(self.nodes.len() + 2).expect("fewer nodes than fit into memory");
        self.n_edges += node.edges.len();
        self.nodes.push(node.clone());
        self.numbers.insert(node, Set(number));
        Set(number)
    }

    fn apply(&mut self, op: Op, a: Set, b: Set) -> Set {
        match (op, a, b) {
            (Op::And, Set::NONE, _) | (Op::And, _, Set::NONE) | (Op::Minus, Set::NONE, _) => {
                return Set::NONE;
            }
            (Op::Minus, _, Set::ALL) => return Set::NONE,
            (Op::And, Set::ALL, other) | (Op::And, other, Set::ALL) => return other,
            (Op::Or, Set::NONE, other) | (Op::Or, other, Set::NONE) | (Op::Minus, other, Set::NONE) => {
                return other;
            }
            (Op::Or, Set::ALL, _) | (Op::Or, _, Set::ALL) => return Set::ALL,
            (Op::And | Op::Or, a, b) if a == b => return a,
            (Op::Minus, a, b) if a == b => return Set::NONE,
            _ => {}
        }
        let key = if op == Op::Minus { (op, a, b) } else { (op, a.min(b), a.max(b)) };
        if let Some(done) = self.done.get(&key) {
            return *done;
        }
        let field_of = |set: Set| self.get(set).map(|node| node.field);
        let field = match (field_of(a), field_of(b)) {
            (Some(a), Some(b)) => a.min(b),
            (Some(field), None) | (None, Some(field)) => field,
            (None, None) => unreachable!("two terminals are decided above"),
        };
        let (ours, theirs) = (self.edges(a, field), self.edges(b, field));
        let mut edges = Vec::with_capacity(2 * ours.len().min(theirs.len()) + 1);
        let (mut i, mut j) = (0, 0);
        while i < ours.len() && j < theirs.len() {
            // What one side decides alone, it decides as far as its interval goes.
            let ((our_high, our), (their_high, their)) = (ours[i], theirs[j]);
            let high = match () {
                () if op.is_decided_by_first(our) => our_high,
                () if op.is_decided_by_second(their) => their_high,
                () => our_high.min(their_high),
            };
            edges.push((high, self.apply(op, our, their)));
            i += passed(&ours[i..], high);
            j += passed(&theirs[j..], high);
        }
        let made = self.node(field, edges);
        if self.done.len() >= DONE_MAX {
            self.done.clear();
        }
        self.done.insert(key, made);
        made
    }

    /// How a set splits `field`.
    fn edges(&self, set: Set, field: Field) -> Split {
        match self.get(set) {
            Some(node) if node.field == field => Split::Node(node.edges.clone()),
            _ => Split::Whole([(u128::MAX, set)]),
        }
    }

    fn before(&mut self, set: Set, rewrite: &Rewrite, done: &mut HashMap<Set, Set>) -> Set {
        let Some(node) = self.get(set).cloned() else { return set };
        if let Some(made) = done.get(&set) {
            return *made;
        }
        let made = match rewrite[node.field] {
            Origin::Value(value) => self.before(node.child(value), rewrite, done),
            Origin::Field(field) => {
                let rests =
                    node.edges.iter().map(|(high, child)| (*high, self.before(*child, rewrite, done)));
                let rests: Vec<Edge> = rests.collect();
                let is_later = |(_, rest): &Edge| self.get(*rest).is_none_or(|node| node.field > field);
                if rests.iter().all(is_later) {
                    let made = self.node(field, rests);
                    done.insert(set, made);
                    return made;
                }
                let mut low = 0;
                let mut all = Set::NONE;
                for (high, rest) in rests {
                    let mut edges = vec![(high, Set::ALL), (u128::MAX, Set::NONE)];
                    if low > 0 {
                        edges.insert(0, (low - 1, Set::NONE));
                    }
                    edges.dedup_by_key(|(high, _)| *high);
                    let here = self.node(field, edges);
                    let part = self.apply(Op::And, here, rest);
                    all = self.apply(Op::Or, all, part);
                    low = high.saturating_add(1);
                }
                all
            }
        };
        done.insert(set, made);
        made
    }

    fn forget(&mut self, set: Set, field: Field, done: &mut HashMap<Set, Set>) -> Set {
        let Some(node) = self.get(set).cloned() else { return set };
        if node.field > field {
            return set;
        }
        if let Some(made) = done.get(&set) {
            return *made;
        }
        let made = if node.field == field {
            node.edges.iter().fold(Set::NONE, |all, (_, child)| self.apply(Op::Or, all, *child))
        } else {
            let edges = node.edges.iter().map(|(high, child)| (*high, self.forget(*child, field, done)));
            let edges = edges.collect();
            self.node(node.field, edges)
        };
        done.insert(set, made);
        made
    }
}

const _: () = assert!(N_FIELDS == Field::ALL.len());
