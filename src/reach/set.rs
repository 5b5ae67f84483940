//! Sets of packets, exactly: decision diagrams over the fields of a header.
//!
//! A set is a node that splits one field's values into intervals, each with the set of what may follow
//! in the later fields. Nodes are kept once, neighbouring intervals with the same rest are one, and a
//! field that decides nothing has no node. So two sets are equal exactly when their numbers are.
//!
//! Refuses to know what a field means.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::Range;

use hashbrown::HashTable;

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

/// An interval of values. Packed: of 32 bytes, 12 would be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(Rust, packed(4))]
struct Edge {
    /// Its last value.
    high: u128,
    /// What follows in later fields.
    rest: Set,
}

/// INVARIANT: its edges, in [`Store::edges`], are sorted, the last ends at `u128::MAX`, neighbours have different sets.
#[derive(Clone, Copy, Debug)]
struct Node {
    field: Field,
    /// The fields that it and what follows are about.
    about: Fields,
    /// Of all that is in it.
    hash: u32,
    /// Its first edge.
    first: u32,
    n: u32,
}

impl Node {
    fn range(self) -> Range<usize> {
        let first = self.first as usize;
        first..first + self.n as usize
    }
}

/// Some fields: a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fields(u8);

impl Fields {
    fn of(fields: impl IntoIterator<Item = Field>) -> Fields {
        Fields(fields.into_iter().fold(0, |all, field| all | 1 << field as u8))
    }

    fn or(self, other: Fields) -> Fields {
        Fields(self.0 | other.0)
    }

    fn has_any(self, other: Fields) -> bool {
        self.0 & other.0 != 0
    }
}

/// A quick hash of a few words, as in `rustc`: what is looked up are numbers of our own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quick(u64);

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

/// A map whose keys are numbers of our own.
pub(crate) type Quickly<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;

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
        Some(next) if next.high <= high => edges.partition_point(|edge| edge.high <= high),
        _ => usize::from(edges.first().is_some_and(|edge| edge.high <= high)),
    }
}

/// What is left of how a set splits a field.
enum Split {
    /// It does not.
    Whole(Set),
    /// These edges of the store.
    Edges(Range<usize>),
}

/// What is being undone to sets.
struct Undoing<'r> {
    rewrite: &'r Rewrite,
    /// Fields that are not as they were.
    written: Fields,
    done: Quickly<Set, Set>,
}

#[derive(Debug, Default)]
struct Store {
    /// Node `n` is set `n + 2`.
    nodes: Vec<Node>,
    /// Those of all nodes, node by node.
    edges: Vec<Edge>,
    /// Those of nodes that are being made, each node's behind those of the one that it is made for.
    making: Vec<Edge>,
    /// Sets that have a node, by its hash.
    numbers: HashTable<Set>,
    done: Quickly<(Op, Set, Set), Set>,
}

/// Where sets live; operations give sets of the same store.
#[derive(Debug, Default)]
pub struct Sets(RefCell<Store>);

impl Sets {
    /// Lets all sets go, and keeps the room that they took. Numbers of before mean nothing any more.
    pub fn clear(&mut self) {
        let Store { nodes, edges, making, numbers, done } = self.0.get_mut();
        nodes.clear();
        edges.clear();
        making.clear();
        numbers.clear();
        done.clear();
    }

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
        let mut store = self.0.borrow_mut();
        let made = store.begin();
        // The first value that no range has reached; none where all are reached.
        let mut next = Some(0);
        for (low, high) in ranges {
            match next {
                None => break,
                Some(first) if high < first => continue,
                Some(first) if low > first => store.add(&made, low - 1, Set::NONE),
                Some(_) => {}
            }
            store.add(&made, high, Set::ALL);
            next = high.checked_add(1);
        }
        if next.is_some() {
            store.add(&made, u128::MAX, Set::NONE);
        }
        store.node(field, made)
    }

    /// Packets whose `field` is `value`.
    pub fn value(&self, field: Field, value: u128) -> Set {
        self.range(field, value, value)
    }

    /// Packets that are in `set` once `rewrite` has been done to them.
    pub fn before(&self, set: Set, rewrite: &Rewrite) -> Set {
        let written = Field::ALL.into_iter().filter(|field| rewrite[*field] != Origin::Field(*field));
        let written = Fields::of(written);
        self.0.borrow_mut().before(set, &mut Undoing { rewrite, written, done: Quickly::default() })
    }

    /// Packets that differ from one in `set` at most in `field`.
    pub fn forget(&self, set: Set, field: Field) -> Set {
        self.0.borrow_mut().forget(set, field, &mut Quickly::default())
    }

    /// Whether it hangs on one of some fields if a packet is in the set.
    pub fn is_about(&self, set: Set, fields: impl IntoIterator<Item = Field>) -> bool {
        self.0.borrow().about(set).has_any(Fields::of(fields))
    }

    /// Whether the packet is in the set.
    pub fn contains(&self, set: Set, header: &Header) -> bool {
        let store = self.0.borrow();
        let mut at = set;
        while let Some(node) = store.get(at) {
            at = store.child(node, header[node.field]);
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
            for Edge { high, rest } in store.of(node).iter().copied() {
                if !rest.is_none() {
                    header[node.field] = low;
                    left = rest;
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
                for Edge { high, rest } in store.of(node).iter().copied() {
                    if !rest.is_none() {
                        found.push((low, high));
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
            let is_about = |node: &Node| node.about.has_any(Fields::of([field])) && seen.insert(set);
            let Some(node) = store.get(set).filter(is_about) else { continue };
            left.extend(store.of(node).iter().map(|edge| edge.rest));
            if node.field == field {
                starts.extend(store.of(node).iter().filter_map(|edge| { edge.high }.checked_add(1)));
            }
        }
        starts
    }

    /// How many nodes there are.
    pub fn n_nodes(&self) -> usize {
        self.0.borrow().nodes.len()
    }

    /// How many edges all nodes have together: what memory they take, 20 bytes each.
    pub fn n_edges(&self) -> usize {
        self.0.borrow().edges.len()
    }
}

/// A node that is being made: where its edges begin.
struct Making(usize);

/// A hash in both halves: tables look at the first and the last bits.
fn wide(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Store {
    /// The node of a set that is neither all nor nothing.
    fn get(&self, set: Set) -> Option<Node> {
        self.nodes.get((set.0 as usize).checked_sub(2)?).copied()
    }

    fn about(&self, set: Set) -> Fields {
        self.get(set).map_or(Fields::default(), |node| node.about)
    }

    fn of(&self, node: Node) -> &[Edge] {
        &self.edges[node.range()]
    }

    fn child(&self, node: Node, value: u128) -> Set {
        let edges = self.of(node);
        edges[edges.partition_point(|edge| edge.high < value)].rest
    }

    /// A node without edges, to be made before any that was begun.
    fn begin(&self) -> Making {
        Making(self.making.len())
    }

    /// Adds an edge behind the others of a node.
    fn add(&mut self, node: &Making, high: u128, rest: Set) {
        match self.making[node.0..].last_mut() {
            Some(last) if last.rest == rest => last.high = high,
            _ => self.making.push(Edge { high, rest }),
        }
    }

    /// The set that the edges make.
    fn node(&mut self, field: Field, Making(at): Making) -> Set {
        let made = &self.making[at..];
        let set = match made {
            [edge] => edge.rest,
            _ => {
                let mut quick = Quick::default();
                (field, made).hash(&mut quick);
                let hash = quick.finish() as u32;
                let (nodes, edges) = (&mut self.nodes, &mut self.edges);
                let node = |nodes: &[Node], set: &Set| nodes[set.0 as usize - 2];
                let is_same = |set: &Set| {
                    let node = node(nodes, set);
                    (node.hash, node.field) == (hash, field) && edges[node.range()] == *made
                };
                let entry = self.numbers.entry(wide(hash), is_same, |set| wide(node(nodes, set).hash));
                *entry
                    .or_insert_with(|| {
                        let few = |n: usize| u32::try_from(n).expect("fewer than fit into memory");
                        let rests =
                            made.iter().filter_map(|edge| nodes.get((edge.rest.0 as usize).checked_sub(2)?));
                        let about = rests.fold(Fields::of([field]), |all, node| all.or(node.about));
                        nodes.push(Node { field, about, hash, first: few(edges.len()), n: few(made.len()) });
                        edges.extend_from_slice(made);
                        Set(few(nodes.len() + 1))
                    })
                    .get()
            }
        };
        self.making.truncate(at);
        set
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
        let (mut ours, mut theirs) = (self.split(a, field), self.split(b, field));
        let node = self.begin();
        loop {
            // What one side decides alone, it decides as far as its interval goes.
            let (our, their) = (self.first(&ours), self.first(&theirs));
            let high = match () {
                () if op.is_decided_by_first(our.rest) => our.high,
                () if op.is_decided_by_second(their.rest) => their.high,
                () => { our.high }.min(their.high),
            };
            let here = self.apply(op, our.rest, their.rest);
            self.add(&node, high, here);
            if high == u128::MAX {
                break;
            }
            self.pass(&mut ours, high);
            self.pass(&mut theirs, high);
        }
        let made = self.node(field, node);
        if self.done.len() >= DONE_MAX {
            self.done.clear();
        }
        self.done.insert(key, made);
        made
    }

    /// How a set splits `field`.
    fn split(&self, set: Set, field: Field) -> Split {
        match self.get(set) {
            Some(node) if node.field == field => Split::Edges(node.range()),
            _ => Split::Whole(set),
        }
    }

    fn first(&self, split: &Split) -> Edge {
        match split {
            Split::Whole(set) => Edge { high: u128::MAX, rest: *set },
            Split::Edges(edges) => self.edges[edges.start],
        }
    }

    /// Passes by what ends at `high` or before, which is not all.
    fn pass(&self, split: &mut Split, high: u128) {
        if let Split::Edges(edges) = split {
            edges.start += passed(&self.edges[edges.clone()], high);
        }
    }

    fn before(&mut self, set: Set, undoing: &mut Undoing<'_>) -> Set {
        let is_about = |node: &Node| node.about.has_any(undoing.written);
        let Some(node) = self.get(set).filter(is_about) else { return set };
        if let Some(made) = undoing.done.get(&set) {
            return *made;
        }
        let made = match undoing.rewrite[node.field] {
            Origin::Value(value) => self.before(self.child(node, value), undoing),
            Origin::Field(field) => {
                let moved = self.begin();
                for at in node.range() {
                    let Edge { high, rest } = self.edges[at];
                    let rest = self.before(rest, undoing);
                    self.add(&moved, high, rest);
                }
                let is_later = |edge: &Edge| self.get(edge.rest).is_none_or(|node| node.field > field);
                if self.making[moved.0..].iter().all(is_later) {
                    self.node(field, moved)
                } else {
                    self.moved(field, moved)
                }
            }
        };
        undoing.done.insert(set, made);
        made
    }

    /// The set that edges of a field make whose rests are about fields before it.
    fn moved(&mut self, field: Field, Making(at): Making) -> Set {
        let (mut low, mut all) = (0, Set::NONE);
        for Edge { high, rest } in self.making.split_off(at) {
            let node = self.begin();
            if low > 0 {
                self.add(&node, low - 1, Set::NONE);
            }
            self.add(&node, high, Set::ALL);
            if high < u128::MAX {
                self.add(&node, u128::MAX, Set::NONE);
            }
            let here = self.node(field, node);
            let part = self.apply(Op::And, here, rest);
            all = self.apply(Op::Or, all, part);
            low = high.saturating_add(1);
        }
        all
    }

    fn forget(&mut self, set: Set, field: Field, done: &mut Quickly<Set, Set>) -> Set {
        let is_about = |node: &Node| node.about.has_any(Fields::of([field]));
        let Some(node) = self.get(set).filter(is_about) else { return set };
        if let Some(made) = done.get(&set) {
            return *made;
        }
        let made = if node.field == field {
            node.range().fold(Set::NONE, |all, at| self.apply(Op::Or, all, self.edges[at].rest))
        } else {
            let made = self.begin();
            for at in node.range() {
                let Edge { high, rest } = self.edges[at];
                let left = self.forget(rest, field, done);
                self.add(&made, high, left);
            }
            self.node(node.field, made)
        };
        done.insert(set, made);
        made
    }
}

const _: () = assert!(N_FIELDS == Field::ALL.len());
