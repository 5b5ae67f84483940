//! A plan as ordered transactions.
//!
//! What fits is one transaction. Beyond that, the promise to whoever watches the database is:
//!
//! 1. Between two transactions every reference resolves and every child has its parent.
//! 2. All changes of a VPC that is there come in one transaction, unless they alone exceed [`Limits::n_single_max`].
//! 3. A larger VPC, or a large new one, comes in three parts: everything but the new ports of guests (so rules and routes
//!    are there before the first port that needs them), the ports, the deletions. The first part of a new one is cut
//!    where no set of children is. A row that is there
//!    before and wanted after is there at every moment. A port enters its port groups with its row, and a
//!    rule comes no earlier, and goes no later, than the port groups and address sets that it names: OVN
//!    leaves out a rule that names what does not exist.
//! 4. The rules, routes, translations and ports of a row that stays are exchanged at once, with the first part:
//!    no set of them is half there, and no router has an address twice.
//! 5. A switch port whose address another port takes goes in the transaction in which that one gets it.
//! 6. VPCs that only lose rows come last.
//! 7. A router or a switch that goes where others come is emptied with the rest and goes at the end ([`vacate`]).
//!
//! Refuses to change what the plan does in sum.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::step::{Action, Change, Edit, Pair, Step, Why};
use super::{Plan, vacate};
use crate::nb::{Atom, Column, Datum, Key, Kind, Ref, Table, actual};

/// How large a transaction may be, in steps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A plan of at most so many steps is one transaction. ovsdb-server answers nobody else while it
    /// executes one: about 0.25 s at 5000 rows.
    pub n_single_max: usize,
    /// Past it, transactions are filled up to so many. Measured with 21 000 rows on ovsdb-server 3.1
    /// (`benches/apply.rs`): 500 takes 1.4 times less than 1000 and half of 5000, and others wait a
    /// sixth as long.
    pub n_batch_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { n_single_max: 5000, n_batch_max: 500 }
    }
}

/// The plan's steps as transactions, in order. A parent whose children come in later transactions
/// has a step in each of them.
pub fn batches(plan: &Plan, limits: &Limits) -> Vec<Vec<Step>> {
    if plan.steps.is_empty() {
        return Vec::new();
    }
    if plan.steps.len() <= limits.n_single_max {
        return vacate::apart(vec![plan.steps.clone()]);
    }
    let index = Index::new(plan);
    let mut assigned: Vec<Vec<usize>> = Vec::new();
    let mut has_room = false;
    let mut waits = Waits::new();
    for part in index.parts() {
        let n_max = if index.is_new(&part) { limits.n_batch_max } else { limits.n_single_max };
        if part.len() > n_max {
            let waiting = index.waiting(&part);
            assigned.extend(index.split(&part, &waiting, limits.n_batch_max));
            waits.extend(waiting);
            has_room = false;
        } else if has_room && last_len(&assigned) + part.len() <= limits.n_batch_max {
            assigned.last_mut().expect("there is room in it").extend(part);
        } else {
            assigned.push(part);
            has_room = true;
        }
    }
    vacate::apart(index.build(&assigned, &waits))
}

/// Blocks that are not parted, in transactions that are filled up to `n_max`.
fn filled(blocks: impl IntoIterator<Item = Vec<usize>>, n_max: usize) -> Vec<Vec<usize>> {
    let mut transactions: Vec<Vec<usize>> = Vec::new();
    for block in blocks {
        match transactions.last_mut() {
            Some(last) if last.len() + block.len() <= n_max => last.extend(block),
            Some(_) | None => transactions.push(block),
        }
    }
    transactions
}

fn last_len(assigned: &[Vec<usize>]) -> usize {
    assigned.last().map_or(0, Vec::len)
}

/// Steps, and the deletions before which they must not come.
type Waits = BTreeMap<usize, BTreeSet<usize>>;

/// Where in the plan a row comes, goes, and is referred to.
struct Index<'p> {
    steps: &'p [Step],
    /// Rows that come or go, under every way to refer to them.
    steps_by_ref: BTreeMap<Atom, usize>,
}

impl<'p> Index<'p> {
    fn new(plan: &'p Plan) -> Index<'p> {
        let mut steps_by_ref = BTreeMap::new();
        for (at, step) in plan.steps.iter().enumerate() {
            match step.action {
                Action::Insert(_) => {
                    steps_by_ref.insert(Atom::Ref(Ref::Key(step.key.clone())), at);
                }
                Action::Delete(_) => {
                    // The key of a copy is that of the row that stays.
                    if step.why != Why::Duplicate {
                        steps_by_ref.insert(Atom::Ref(Ref::Key(step.key.clone())), at);
                    }
                    steps_by_ref.insert(Atom::Ref(Ref::Foreign(step.uuid)), at);
                }
                Action::Update(_) => {}
            }
        }
        Index { steps: &plan.steps, steps_by_ref }
    }

    /// Steps that must not be torn apart without need: one VPC's, and those of VPCs between which a
    /// row or a subnet moves, a name passes, or a reference comes or goes. Those that only delete are last.
    fn parts(&self) -> Vec<Vec<usize>> {
        let mut sets = DisjointSets::new(self.steps.len());
        let mut groups: BTreeMap<&Key, usize> = BTreeMap::new();
        let mut names: BTreeMap<(Table, Box<str>), usize> = BTreeMap::new();
        let mut members: BTreeMap<Atom, usize> = BTreeMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            sets.join(at, *groups.entry(&step.group).or_insert(at));
            if matches!(step.action, Action::Update(_)) {
                // Who gains or loses a row, and what else becomes of it.
                for own in [Ref::Key(step.key.clone()), Ref::Foreign(step.uuid)] {
                    sets.join(at, *members.entry(Atom::Ref(own)).or_insert(at));
                }
            }
            for name in names_of(step) {
                sets.join(at, *names.entry(name).or_insert(at));
            }
            for atom in refs_of(step) {
                if let Some(to) = self.steps_by_ref.get(&atom) {
                    sets.join(at, *to);
                } else {
                    sets.join(at, *members.entry(atom).or_insert(at));
                }
            }
        }
        let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..self.steps.len() {
            parts.entry(sets.find(at)).or_default().push(at);
        }
        let mut parts: Vec<Vec<usize>> = parts.into_values().collect();
        let is_delete = |at: &usize| matches!(self.steps[*at].action, Action::Delete(_));
        parts.sort_by_key(|part| part.iter().all(is_delete));
        parts
    }

    /// One large part in three: all but new ports of guests, those, deletions.
    fn split(&self, part: &[usize], waits: &Waits, n_max: usize) -> Vec<Vec<usize>> {
        let (mut frame, mut ports, mut deletes) = (Vec::new(), Vec::new(), Vec::new());
        let parents = self.parents(part);
        for &at in part {
            let is_port = is_guests(&self.steps[at]);
            match &self.steps[at].action {
                Action::Insert(_) if is_port && waits.contains_key(&at) => {}
                Action::Insert(_) if is_port => ports.push(at),
                Action::Insert(_) | Action::Update(_) => frame.push(at),
                Action::Delete(_) if !is_port && self.parent_stays(at, &parents) => frame.push(at),
                Action::Delete(_) => deletes.push(at),
            }
        }
        ports.sort_by_key(|at| (parents.get(at).copied(), *at));
        let mut transactions = if self.is_new(part) { self.cut(&frame, n_max) } else { vec![frame] };
        transactions.extend(ports.chunks(n_max).map(<[usize]>::to_vec));
        transactions.extend(filled(self.blocks(&deletes), n_max));
        for (at, until) in waits.iter().filter(|(at, _)| matches!(self.steps[**at].action, Action::Insert(_)))
        {
            let is_last = |transaction: &&mut Vec<usize>| transaction.iter().any(|to| until.contains(to));
            transactions.iter_mut().rfind(is_last).expect("what it waits for is deleted").push(*at);
        }
        transactions.retain(|transaction| !transaction.is_empty());
        transactions
    }

    /// Whether nothing of these steps was there before: then nobody misses what comes later.
    fn is_new(&self, part: &[usize]) -> bool {
        part.iter().all(|at| matches!(self.steps[*at].action, Action::Insert(_)))
    }

    /// The step, of these, whose row holds the row of another one as its child.
    fn holders(&self, steps: &[usize]) -> BTreeMap<usize, usize> {
        let mut holders = BTreeMap::new();
        for &at in steps {
            let children = stored_refs(&self.steps[at], Column::holds_children);
            let children = children.iter().filter_map(|atom| self.steps_by_ref.get(atom));
            holders.extend(children.map(|child| (*child, at)));
        }
        holders
    }

    /// New rows in transactions of about so many: those that are no children first, since rules name some of them, and
    /// then the children of each.
    fn cut(&self, frame: &[usize], n_max: usize) -> Vec<Vec<usize>> {
        let holders = self.holders(frame);
        let top = |mut at: usize| {
            while let Some(holder) = holders.get(&at) {
                at = *holder;
            }
            at
        };
        let mut families: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let (children, roots): (Vec<usize>, Vec<usize>) =
            frame.iter().partition(|at| holders.contains_key(at));
        children.into_iter().for_each(|at| families.entry(top(at)).or_default().push(at));
        filled(roots.into_iter().map(|at| vec![at]).chain(families.into_values()), n_max)
    }

    /// Whether a child leaves a parent that stays.
    fn parent_stays(&self, at: usize, parents: &BTreeMap<usize, usize>) -> bool {
        let parent = parents.get(&at).map(|parent| &self.steps[*parent].action);
        !self.steps[at].key.table.is_root() && matches!(parent, Some(Action::Update(_)))
    }

    /// Switch ports that get an address, and the deletions before which somebody else has it.
    fn waiting(&self, part: &[usize]) -> Waits {
        if !part.iter().any(|at| matches!(self.steps[*at].action, Action::Delete(_))) {
            return Waits::new();
        }
        let moves: Vec<(usize, [BTreeSet<IpAddr>; 2])> =
            part.iter().map(|at| (*at, addresses(&self.steps[*at]))).collect();
        let mut owners: BTreeMap<IpAddr, BTreeSet<usize>> = BTreeMap::new();
        for (at, [_, lost]) in &moves {
            if matches!(self.steps[*at].action, Action::Delete(_)) {
                for ip in lost {
                    owners.entry(*ip).or_default().insert(*at);
                }
            }
        }
        loop {
            let until = |got: &BTreeSet<IpAddr>| -> BTreeSet<usize> {
                got.iter().filter_map(|ip| owners.get(ip)).flatten().copied().collect()
            };
            let waits = moves.iter().map(|(at, [got, _])| (*at, until(got)));
            let waits: Waits = waits.filter(|(_, until)| !until.is_empty()).collect();
            // Who waits frees its own address later.
            let mut has_grown = false;
            for (at, [_, lost]) in &moves {
                let Some(until) = waits.get(at) else { continue };
                for ip in lost {
                    let owners = owners.entry(*ip).or_default();
                    has_grown |= !until.is_subset(owners);
                    owners.extend(until);
                }
            }
            if !has_grown {
                return waits;
            }
        }
    }

    /// Deletions that cannot be parted: a parent with its children, which go with it. What refers
    /// to a row goes before the row; members of a weak set go before the set, which may be what closes them.
    fn blocks(&self, deletes: &[usize]) -> Vec<Vec<usize>> {
        let holders = self.holders(deletes);
        let block_of = |at: usize| holders.get(&at).copied().unwrap_or(at);
        let mut blocks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut referrers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for &at in deletes {
            blocks.entry(block_of(at)).or_default().push(at);
            let step = &self.steps[at];
            for to in needs_of(step).iter().filter_map(|atom| self.steps_by_ref.get(atom)) {
                referrers.entry(block_of(*to)).or_default().insert(block_of(at));
            }
            for to in members_of(step).iter().filter_map(|atom| self.steps_by_ref.get(atom)) {
                referrers.entry(block_of(at)).or_default().insert(block_of(*to));
            }
        }
        let mut ordered = Vec::new();
        let starts: Vec<usize> = blocks.keys().copied().collect();
        starts.into_iter().for_each(|block| take(block, &mut blocks, &referrers, &mut ordered));
        ordered
    }

    /// For each row that comes or goes, the first step whose row it enters or leaves.
    fn parents(&self, part: &[usize]) -> BTreeMap<usize, usize> {
        let mut parents = BTreeMap::new();
        for &at in part {
            for atom in refs_of(&self.steps[at]) {
                if let Some(child) = self.steps_by_ref.get(&atom) {
                    parents.entry(*child).or_insert(at);
                }
            }
        }
        parents
    }

    /// The transactions, each parent's set growing and shrinking with the rows themselves.
    fn build(&self, assigned: &[Vec<usize>], waits: &Waits) -> Vec<Vec<Step>> {
        let mut turn = vec![0; self.steps.len()];
        for (batch, steps) in assigned.iter().enumerate() {
            steps.iter().for_each(|at| turn[*at] = batch);
        }
        let mut built: Vec<Vec<Step>> = vec![Vec::new(); assigned.len()];
        let mut later: Vec<BTreeMap<usize, Vec<Change>>> = vec![BTreeMap::new(); assigned.len()];
        let moves = self.moves(&turn);
        for (at, step) in self.steps.iter().enumerate() {
            let (step, left) = leave(step, turn[at], &moves);
            for (batch, change) in left {
                later[batch].entry(at).or_default().push(change);
            }
            let due = |atom: &Atom| self.steps_by_ref.get(atom).map_or(0, |to| turn[*to]).max(turn[at]);
            let goes_before =
                |atom: &Atom| self.steps_by_ref.get(atom).is_some_and(|to| turn[*to] < turn[at]);
            let step = bereaved(step, &goes_before);
            let freed = waits.get(&at).into_iter().flatten().map(|to| turn[*to]).max().unwrap_or(0);
            let (step, renumbered) = renumber(&step, freed > turn[at]);
            let (now, mut deferred) = defer(&step, turn[at], &due);
            deferred.extend(renumbered.into_iter().map(|change| (freed, change)));
            built[turn[at]].extend(now);
            for (batch, change) in deferred {
                later[batch].entry(at).or_default().push(change);
            }
        }
        for (batch, later) in later.into_iter().enumerate() {
            let steps = later.into_iter().map(|(at, changes)| {
                let step = &self.steps[at];
                Step { action: Action::Update(changes), ..step.clone_without_action() }
            });
            built[batch].extend(steps);
        }
        built.retain(|steps| !steps.is_empty());
        built
    }

    /// Children that stay and whose parent goes, and the transaction in which each enters another.
    fn moves(&self, turn: &[usize]) -> BTreeMap<Atom, usize> {
        let stays = |atom: &Atom| !self.steps_by_ref.contains_key(atom);
        let orphans: BTreeSet<Atom> = self.steps.iter().flat_map(children_of).filter(stays).collect();
        let mut moves = BTreeMap::new();
        if orphans.is_empty() {
            return moves;
        }
        for (at, step) in self.steps.iter().enumerate() {
            if !matches!(step.action, Action::Delete(_)) {
                let entering = stored_refs(step, Column::holds_children);
                moves.extend(
                    entering.into_iter().filter(|atom| orphans.contains(atom)).map(|to| (to, turn[at])),
                );
            }
        }
        moves
    }
}

impl Step {
    fn clone_without_action(&self) -> Step {
        let Step { key, uuid, why, place, group, action: _ } = self;
        Step {
            key: key.clone(),
            uuid: *uuid,
            why: why.clone(),
            place: place.clone(),
            group: group.clone(),
            action: Action::Update(Vec::new()),
        }
    }
}

/// Whether a switch port that comes or goes is one of a guest: those towards routers are part of the frame.
fn is_guests(step: &Step) -> bool {
    let kind = match &step.action {
        Action::Insert(row) | Action::Delete(row) => row.get("type").and_then(actual::name_in),
        Action::Update(_) => None,
    };
    step.key.table == Table::LogicalSwitchPort && kind != Some("router")
}

/// The addresses that a switch port gets, and those that it loses.
fn addresses(step: &Step) -> [BTreeSet<IpAddr>; 2] {
    let [mut got, mut lost] = [BTreeSet::new(), BTreeSet::new()];
    match &step.action {
        _ if step.key.table != Table::LogicalSwitchPort => {}
        Action::Insert(row) => got = addresses_in(row.get("addresses")),
        Action::Delete(row) => lost = addresses_in(row.get("addresses")),
        Action::Update(changes) => {
            for change in changes.iter().filter(|change| change.column.name == "addresses") {
                if let Edit::Replace { before, after } = &change.edit {
                    (got, lost) = (addresses_in(Some(after)), addresses_in(Some(before)));
                }
            }
        }
    }
    let both: BTreeSet<IpAddr> = got.intersection(&lost).copied().collect();
    [got, lost].map(|addresses| addresses.difference(&both).copied().collect())
}

/// `MAC IP…` (ovn-nb(5), Logical_Switch_Port).
fn addresses_in(datum: Option<&Datum>) -> BTreeSet<IpAddr> {
    let Some(Datum::Set(atoms)) = datum else { return BTreeSet::new() };
    let texts = atoms.iter().filter_map(|atom| if let Atom::Text(text) = atom { Some(text) } else { None });
    texts.flat_map(|text| text.split(' ')).filter_map(|word| word.parse().ok()).collect()
}

/// The step without what gives a port other addresses, and that, if it must wait.
fn renumber(step: &Step, waits: bool) -> (Cow<'_, Step>, Vec<Change>) {
    let Action::Update(changes) = &step.action else { return (Cow::Borrowed(step), Vec::new()) };
    if !waits {
        return (Cow::Borrowed(step), Vec::new());
    }
    let is_late = |change: &Change| ["addresses", "port_security"].contains(&change.column.name);
    let (late, now) = changes.iter().cloned().partition(is_late);
    (Cow::Owned(Step { action: Action::Update(now), ..step.clone_without_action() }), late)
}

/// The step without children that move before it takes their parent away, and how they leave it, each in the transaction
/// in which it enters another.
fn leave<'s>(
    step: &'s Step,
    turn: usize,
    moves: &BTreeMap<Atom, usize>,
) -> (Cow<'s, Step>, Vec<(usize, Change)>) {
    let Action::Delete(row) = &step.action else { return (Cow::Borrowed(step), Vec::new()) };
    let before = |atom: &Atom| moves.get(atom).copied().filter(|at| *at < turn);
    if !children_of(step).iter().any(|atom| before(atom).is_some()) {
        return (Cow::Borrowed(step), Vec::new());
    }
    let mut left: BTreeMap<(usize, &str), Waiting> = BTreeMap::new();
    let emptier = row.map(|column, datum| match datum {
        Datum::Set(atoms) if column.holds_children() => {
            let (gone, kept): (Vec<Atom>, Vec<Atom>) =
                atoms.iter().cloned().partition(|atom| before(atom).is_some());
            for atom in gone {
                let at = before(&atom).expect("it moves");
                left.entry((at, column.name)).or_insert_with(|| Waiting::new(column)).delete.push(atom);
            }
            Datum::Set(kept.into())
        }
        Datum::Set(_) | Datum::Map(_) => datum.clone(),
    });
    let action = Action::Delete(emptier);
    (Cow::Owned(Step { action, ..step.clone_without_action() }), changes(left))
}

/// The deletion of what is left of a row by then: with a row that went before it, the server dropped weak references to it
/// (RFC 7047 §3.2), and a guard on them would take that for somebody else's hand.
fn bereaved<'s>(step: Cow<'s, Step>, goes_before: &impl Fn(&Atom) -> bool) -> Cow<'s, Step> {
    let Action::Delete(row) = &step.action else { return step };
    let is_gone = |column: &Column, datum: &Datum| {
        column.is_weak && datum.refs().any(|to| goes_before(&Atom::Ref(to.clone())))
    };
    if !row.set_columns().any(|(column, datum)| is_gone(column, datum)) {
        return step;
    }
    let left = row.map(|column, datum| match datum {
        Datum::Set(atoms) if column.is_weak => {
            Datum::Set(atoms.iter().filter(|atom| !goes_before(atom)).cloned().collect())
        }
        Datum::Set(_) | Datum::Map(_) => datum.clone(),
    });
    let action = Action::Delete(left);
    Cow::Owned(Step { action, ..step.clone_without_action() })
}

/// The step as it is executed in transaction `turn`, and what waits for a later one.
fn defer(step: &Step, turn: usize, due: &impl Fn(&Atom) -> usize) -> (Option<Step>, Vec<(usize, Change)>) {
    let mut later: BTreeMap<(usize, &str), Waiting> = BTreeMap::new();
    let mut keep = |column: &'static Column, atom: &Atom, way: Way| {
        let batch = due(atom);
        if batch > turn {
            let waiting = later.entry((batch, column.name)).or_insert_with(|| Waiting::new(column));
            match way {
                Way::In => waiting.insert.push(atom.clone()),
                Way::Out => waiting.delete.push(atom.clone()),
            }
        }
        batch == turn
    };
    let mut kept = |column: &'static Column, atoms: &[Atom], way: Way| {
        atoms.iter().filter(|atom| keep(column, atom, way)).cloned().collect::<Vec<Atom>>()
    };
    let action = match &step.action {
        Action::Insert(row) => {
            let now = row.map(|column, datum| match datum {
                Datum::Set(atoms) if column.target.is_some() => {
                    Datum::Set(kept(column, atoms, Way::In).into())
                }
                Datum::Set(_) | Datum::Map(_) => datum.clone(),
            });
            Some(Action::Insert(now))
        }
        Action::Update(changes) => {
            let now = changes.iter().filter_map(|Change { column, edit }| {
                let edit = match edit {
                    Edit::Members { insert, delete } => {
                        let (insert, delete) =
                            (kept(column, insert, Way::In), kept(column, delete, Way::Out));
                        (insert.len() + delete.len() > 0).then_some(Edit::Members { insert, delete })
                    }
                    Edit::Replace { .. } | Edit::Pairs(_) => Some(edit.clone()),
                };
                edit.map(|edit| Change { column, edit })
            });
            let now: Vec<Change> = now.collect();
            (!now.is_empty()).then_some(Action::Update(now))
        }
        Action::Delete(row) => Some(Action::Delete(row.clone())),
    };
    (action.map(|action| Step { action, ..step.clone_without_action() }), changes(later))
}

/// What of each column is changed in which transaction.
fn changes(of_columns: BTreeMap<(usize, &str), Waiting>) -> Vec<(usize, Change)> {
    let changes = of_columns.into_iter().map(|((batch, _), Waiting { column, insert, delete })| {
        (batch, Change { column, edit: Edit::Members { insert, delete } })
    });
    changes.collect()
}

/// Members of a column that enter or leave in a later transaction.
struct Waiting {
    column: &'static Column,
    insert: Vec<Atom>,
    delete: Vec<Atom>,
}

impl Waiting {
    fn new(column: &'static Column) -> Waiting {
        Waiting { column, insert: Vec::new(), delete: Vec::new() }
    }
}

#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

/// The children that a row to be deleted keeps alive.
fn children_of(step: &Step) -> Vec<Atom> {
    let Action::Delete(row) = &step.action else { return Vec::new() };
    let columns = row.columns().filter(|(column, _)| column.holds_children());
    columns.flat_map(|(_, datum)| datum.refs().cloned().map(Atom::Ref)).collect()
}

/// Moves a block to the end of `ordered`, after the blocks that refer to it.
fn take(
    block: usize,
    blocks: &mut BTreeMap<usize, Vec<usize>>,
    referrers: &BTreeMap<usize, BTreeSet<usize>>,
    ordered: &mut Vec<Vec<usize>>,
) {
    let Some(steps) = blocks.remove(&block) else { return };
    for referrer in referrers.get(&block).into_iter().flatten() {
        take(*referrer, blocks, referrers, ordered);
    }
    ordered.push(steps);
}

/// Every reference that a step makes or drops.
fn refs_of(step: &Step) -> Vec<Atom> {
    [needs_of(step), members_of(step)].concat()
}

/// References to rows without which the step's row is not what it was; those by name in matches too.
fn needs_of(step: &Step) -> Vec<Atom> {
    let mut refs = stored_refs(step, |column| !is_membership(column));
    refs.extend(matches_of(step).into_iter().flat_map(named_in));
    refs
}

/// Whether a row refers here to what is a member of it, and not to what it is made with (a port to its DHCP): the
/// server drops either with the row that is referred to.
fn is_membership(column: &Column) -> bool {
    column.is_weak && column.kind == Kind::RefSet
}

/// References to members.
fn members_of(step: &Step) -> Vec<Atom> {
    stored_refs(step, is_membership)
}

/// The matches that a step brings or takes away.
fn matches_of(step: &Step) -> Vec<&str> {
    let data: Vec<&Datum> = match &step.action {
        Action::Insert(row) | Action::Delete(row) => row.get("match").into_iter().collect(),
        Action::Update(changes) => changes
            .iter()
            .filter(|change| change.column.name == "match")
            .flat_map(|change| match &change.edit {
                Edit::Replace { before, after } => vec![before, after],
                Edit::Members { .. } | Edit::Pairs(_) => Vec::new(),
            })
            .collect(),
    };
    data.into_iter().filter_map(actual::name_in).collect()
}

/// `@group`, `$set`, and `$group_ip4` with the addresses that OVN keeps of a group (ovn-nb(5), Port_Group).
fn named_in(text: &str) -> Vec<Atom> {
    let named = text.split(['@', '$']).skip(1).map(|rest| {
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').next().unwrap_or_default()
    });
    let keys = named.filter(|name| !name.is_empty()).flat_map(|name| {
        let group = name.strip_suffix("_ip4").or_else(|| name.strip_suffix("_ip6")).unwrap_or(name);
        [Key::new(Table::AddressSet, name), Key::new(Table::PortGroup, group)]
    });
    keys.map(|key| Atom::Ref(Ref::Key(key))).collect()
}

fn stored_refs(step: &Step, counts: impl Fn(&Column) -> bool) -> Vec<Atom> {
    let of_datum = |datum: &Datum| datum.refs().cloned().map(Atom::Ref).collect::<Vec<_>>();
    let is_ref = |atom: &&Atom| matches!(atom, Atom::Ref(_));
    match &step.action {
        Action::Insert(row) | Action::Delete(row) => row
            .columns()
            .filter(|(column, _)| counts(column))
            .flat_map(|(_, datum)| of_datum(datum))
            .collect(),
        Action::Update(changes) => changes
            .iter()
            .filter(|change| counts(change.column))
            .flat_map(|change| match &change.edit {
                Edit::Replace { before, after } => [of_datum(before), of_datum(after)].concat(),
                Edit::Members { insert, delete } => {
                    insert.iter().chain(delete).filter(is_ref).cloned().collect()
                }
                Edit::Pairs(_) => Vec::new(),
            })
            .collect(),
    }
}

/// Every name that a step takes or frees, and those of router ports that it ties to a switch.
fn names_of(step: &Step) -> Vec<(Table, Box<str>)> {
    let named = |table: Table, name: Option<&str>| name.map(|name| (table, name.into()));
    match &step.action {
        Action::Insert(row) | Action::Delete(row) => {
            let tied = row.pair("options", ROUTER_PORT);
            let names = [named(step.key.table, actual::name(row)), named(Table::LogicalRouterPort, tied)];
            names.into_iter().flatten().collect()
        }
        Action::Update(changes) => changes
            .iter()
            .flat_map(|change| match &change.edit {
                Edit::Replace { before, after } if change.column.name == "name" => {
                    [before, after].map(|name| named(step.key.table, actual::name_in(name))).to_vec()
                }
                Edit::Pairs(pairs) => pairs.iter().flat_map(tied).collect(),
                Edit::Replace { .. } | Edit::Members { .. } => Vec::new(),
            })
            .flatten()
            .collect(),
    }
}

/// The option of a switch port that names the router port on the other side (ovn-nb(5)).
const ROUTER_PORT: &str = "router-port";

fn tied(pair: &Pair) -> Vec<Option<(Table, Box<str>)>> {
    let text = |atom: &Option<Atom>| match atom {
        Some(Atom::Text(name)) => Some((Table::LogicalRouterPort, (**name).into())),
        Some(Atom::Int(_) | Atom::Bool(_) | Atom::Ref(_)) | None => None,
    };
    match &pair.key {
        Atom::Text(key) if **key == *ROUTER_PORT => vec![text(&pair.before), text(&pair.after)],
        Atom::Text(_) | Atom::Int(_) | Atom::Bool(_) | Atom::Ref(_) => Vec::new(),
    }
}

/// Union-find over step numbers.
struct DisjointSets(Vec<usize>);

impl DisjointSets {
    fn new(n: usize) -> DisjointSets {
        DisjointSets((0..n).collect())
    }

    fn find(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// The lower number stands for the set, so that the order of parts is the order of steps.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}
