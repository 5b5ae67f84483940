//! What must happen to a database for it to hold the wanted rows: decided here, once and completely.
//!
//! A plan holds every step with before and after, whose hand caused it, what is in the way, and what
//! needs a yes. Executing it takes no decision.
//!
//! Refuses to know where either side came from.

pub mod batch;
mod compare;
mod drift;
pub mod effect;
mod group;
pub mod json;
pub mod ownership;
pub mod render;
pub mod saved;
pub mod standing;
pub mod step;
mod summary;
pub mod vacate;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::nb::actual::{Actual, Lack, View};
use crate::nb::record::{self, Record};
use crate::nb::{Atom, Atoms, Datum, Key, Kind, ROWS_MIN, Ref, Row, Rows, Table, stamp};
use crate::parallel;
use crate::span::SourceMap;

use group::Groups;
use ownership::Conflict;
use step::{Action, Step, Why};
pub use summary::{Guard, Summary, Telling};

/// What may be done to rows that are already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Insert, change and delete: the owner's rows become the wanted ones.
    #[default]
    All,
    /// Insert and change; rows that are no longer wanted stay.
    Keep,
    /// Insert only.
    AddOnly,
}

impl Mode {
    /// As plans spell it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::All => "all",
            Mode::Keep => "keep",
            Mode::AddOnly => "add-only",
        }
    }
}

/// What is done about foreign rows in the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adopt {
    /// They are conflicts.
    #[default]
    Never,
    /// They become the owner's.
    InTheWay,
}

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub struct Request<'s> {
    /// Whose rows are meant.
    pub owner: &'s str,
    /// What may be done.
    pub mode: Mode,
    /// What is done about foreign rows in the way.
    pub adopt: Adopt,
    /// Deleting more than this share of the owner's rows needs a yes.
    pub percent_deleted_max: usize,
    /// Where rows were written.
    pub sources: &'s SourceMap,
}

impl<'s> Request<'s> {
    /// Everything may be done, nothing is adopted, and 30 % may go without a yes.
    pub fn new(owner: &'s str, sources: &'s SourceMap) -> Request<'s> {
        Request { owner, mode: Mode::All, adopt: Adopt::Never, percent_deleted_max: 30, sources }
    }
}

/// What must happen, in the order insert, change, delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whose rows are meant.
    pub owner: String,
    /// What was allowed.
    pub mode: Mode,
    /// The owner's record when the plan was made; `None` when there was none.
    pub base: Option<Record>,
    /// [`stamp::Sum`] of the wanted rows.
    pub rows: String,
    /// How many rows the owner had.
    pub n_owned: usize,
    /// What to do.
    pub steps: Vec<Step>,
    /// Rows of ours whose UUID does not follow from their key: they were adopted.
    pub uuids: BTreeMap<Key, Uuid>,
    /// What the server cannot hold, and so cannot be asked about.
    pub lacks: BTreeSet<Lack>,
    /// What is in the way. A plan with conflicts must not be executed.
    pub conflicts: Vec<Conflict>,
    /// What needs a yes, and why.
    pub guard: Option<Guard>,
}

impl Plan {
    /// True when the database holds what is wanted.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The UUID that the owner's row of this key has, or will have.
    pub fn uuid(&self, key: &Key) -> Uuid {
        self.uuids.get(key).copied().unwrap_or_else(|| key.uuid(&self.owner))
    }

    /// True when the server has this column.
    pub fn has_column(&self, table: Table, column: &'static str) -> bool {
        let is_lacking = |column| self.lacks.contains(&Lack { table, column });
        !is_lacking(None) && !is_lacking(Some(column))
    }

    /// True when an apply of several transactions did not come to its end before this plan.
    pub fn finishes_another(&self) -> bool {
        self.base.as_ref().is_some_and(|base| base.pending.is_some())
    }
}

/// Compares what is wanted with what is there. `desired` carries the owner's marks
/// ([`stamp::stamp`]).
pub fn plan(desired: &Rows, actual: &Actual, request: &Request<'_>) -> Plan {
    let _stage = tracing::info_span!("plan").entered();
    let (mut made, view) = whole(desired, stamp::Sum::of(desired), actual, request);
    let groups = if made.is_empty() { Groups::default() } else { Groups::new(desired, &view.rows) };
    arrange(&mut made, desired, &groups, request);
    made
}

/// What must happen, not yet in order, and all that was seen.
fn whole(desired: &Rows, rows: stamp::Sum, actual: &Actual, request: &Request<'_>) -> (Plan, View) {
    let (view, adopted) = see(desired, actual, request);
    let base = view.rows.get(&record::key()).map(Record::read);
    let n_owned = n_owned(&view);
    let sight = Sight { desired, actual, view: &view, adopted: &adopted, base, n_owned, rows };
    let mut made = decide(sight, request);
    let odd = view.odd.iter().filter(|(key, uuid)| **uuid != key.uuid(request.owner));
    made.uuids = odd.map(|(key, uuid)| (key.clone(), *uuid)).collect();
    (made, view)
}

/// Both sides, or the part of them in which they may differ.
struct Sight<'a> {
    desired: &'a Rows,
    actual: &'a Actual,
    view: &'a View,
    /// Who held the rows that are taken over.
    adopted: &'a BTreeMap<Key, Option<String>>,
    base: Option<Record>,
    /// How many rows the owner has in all.
    n_owned: usize,
    /// Of all that is wanted.
    rows: stamp::Sum,
}

/// What must happen, not yet in order.
fn decide(sight: Sight<'_>, request: &Request<'_>) -> Plan {
    let Sight { desired, actual, view, adopted, base, n_owned, rows } = sight;
    let rows = rows.to_string();
    let is_same_input =
        base.as_ref().is_some_and(|base| base.pending.is_none() && base.rows.as_ref() == Some(&rows));
    let doomed = doomed(desired, view, request.mode);
    let steps = Ctx { desired, actual, view, request, adopted, doomed: &doomed, is_same_input }.steps();
    let conflicts = ownership::conflicts(desired, actual, view, request.owner, &doomed);
    let guard = None;
    let (owner, mode, lacks) = (request.owner.to_owned(), request.mode, actual.lacks().clone());
    Plan { owner, mode, base, rows, n_owned, steps, uuids: BTreeMap::new(), lacks, conflicts, guard }
}

/// Tells where each step comes from and what it is part of, puts all in order, and says what needs a yes.
fn arrange(made: &mut Plan, desired: &Rows, groups: &Groups, request: &Request<'_>) {
    let sources = request.sources;
    for step in &mut made.steps {
        step.group = groups.of(&step.key);
        step.place = place(desired, &step.key, sources);
    }
    made.steps.sort_by(in_order);
    for conflict in &mut made.conflicts {
        conflict.place = place(desired, &conflict.key, sources);
    }
    made.guard = Guard::new(&made.steps, made.n_owned, request.percent_deleted_max);
}

/// How many rows the owner has, its record left out.
fn n_owned(view: &View) -> usize {
    view.rows.iter().filter(|(key, _)| !record::is_record(key)).count() + view.extra.len()
}

/// The database with the owner's eyes, and who held the rows that are taken over.
fn see(desired: &Rows, actual: &Actual, request: &Request<'_>) -> (View, BTreeMap<Key, Option<String>>) {
    let view = View::new(actual, request.owner, desired);
    if request.adopt == Adopt::Never {
        return (view, BTreeMap::new());
    }
    let found = ownership::in_the_way(desired, &view, request.owner);
    let mut taken: BTreeMap<Key, Uuid> = found.into_iter().map(|(key, (_, uuid))| (key, uuid)).collect();
    taken.append(&mut ownership::equal_children(desired, &view, &taken));
    let holder = |(key, uuid): (&Key, &Uuid)| {
        let row = view.foreign.get(&(key.table, *uuid));
        (key.clone(), row.and_then(|row| ownership::holder(row)))
    };
    let holders = taken.iter().map(holder).collect();
    (view.adopt(actual, taken), holders)
}

/// The owner's rows that are to be deleted.
fn doomed(desired: &Rows, view: &View, mode: Mode) -> BTreeMap<(Table, Uuid), Key> {
    if mode != Mode::All {
        return BTreeMap::new();
    }
    let own =
        desired.beside(&view.rows).filter(|(key, wanted, _)| wanted.is_none() && !record::is_record(key));
    let own = own.filter_map(|(key, ..)| Some(((key.table, *view.uuids.get(key)?), key.clone())));
    let extra = view.extra.iter().map(|(&(table, uuid), key)| {
        let nameless = || Key::new(table, uuid.to_string());
        ((table, uuid), key.clone().unwrap_or_else(nameless))
    });
    own.chain(extra).collect()
}

fn place(desired: &Rows, key: &Key, sources: &SourceMap) -> Option<String> {
    desired.origin(key).map(|span| sources.line(span))
}

/// The order of steps: make before break, one VPC after the other.
fn in_order(a: &Step, b: &Step) -> std::cmp::Ordering {
    (phase(a), &a.group, &a.key, a.uuid).cmp(&(phase(b), &b.group, &b.key, b.uuid))
}

fn phase(step: &Step) -> u8 {
    match step.action {
        Action::Insert(_) => 0,
        Action::Update(_) => 1,
        Action::Delete(_) => 2,
    }
}

struct Ctx<'a> {
    desired: &'a Rows,
    actual: &'a Actual,
    view: &'a View,
    request: &'a Request<'a>,
    adopted: &'a BTreeMap<Key, Option<String>>,
    doomed: &'a BTreeMap<(Table, Uuid), Key>,
    is_same_input: bool,
}

impl Ctx<'_> {
    fn steps(&self) -> Vec<Step> {
        let all: Vec<_> = self.desired.beside(&self.view.rows).collect();
        let steps = parallel::map_parts(&all, ROWS_MIN, |part| {
            let step = |(key, wanted, live): &(&Key, Option<&Row>, Option<&Row>)| match (wanted, live) {
                (Some(wanted), None) => Some(self.insert(key, wanted)),
                (Some(wanted), Some(live)) => self.update(key, wanted, live),
                (None, _) => None,
            };
            part.iter().filter_map(step).collect::<Vec<_>>()
        });
        let mut steps: Vec<Step> = steps.into_iter().flatten().collect();
        steps.extend(self.doomed.iter().filter_map(|(at, key)| self.delete(*at, key)));
        steps
    }

    fn insert(&self, key: &Key, wanted: &Row) -> Step {
        let why = if self.is_same_input { Why::Drift } else { Why::Input };
        self.step(key, key.uuid(self.request.owner), why, Action::Insert(wanted.clone()))
    }

    fn update(&self, key: &Key, wanted: &Row, live: &Row) -> Option<Step> {
        let changes =
            compare::changes(wanted, live, &|to| self.enters(to), &|table, to| self.leaves(table, to));
        let changes: Vec<_> = match self.request.mode {
            Mode::All | Mode::Keep => changes,
            Mode::AddOnly => changes.into_iter().filter(|c| c.column.kind == Kind::RefSet).collect(),
        };
        if changes.is_empty() {
            return None;
        }
        let why = match self.adopted.get(key) {
            Some(holder) => Why::Adopted(holder.clone()),
            None if self.is_same_input => drift::why_with_same_input(wanted, live, &changes),
            None => drift::why(wanted, live, &changes),
        };
        let uuid = self.view.uuids.get(key).copied()?;
        Some(self.step(key, uuid, why, Action::Update(changes)))
    }

    fn delete(&self, (table, uuid): (Table, Uuid), key: &Key) -> Option<Step> {
        let is_extra = self.view.extra.contains_key(&(table, uuid));
        let why = match (is_extra, self.is_same_input) {
            (true, _) => Why::Duplicate,
            (false, true) => Why::Drift,
            (false, false) => Why::Input,
        };
        let row = match is_extra {
            true => self.actual.get(table, uuid)?.as_ref().clone(),
            false => self.view.rows.get(key)?.clone(),
        };
        Some(self.step(key, uuid, why, Action::Delete(row)))
    }

    /// A step whose place and group are still open.
    fn step(&self, key: &Key, uuid: Uuid, why: Why, action: Action) -> Step {
        Step { key: key.clone(), uuid, why, place: None, group: key.clone(), action }
    }

    /// Whether a wanted member that is not there comes in.
    fn enters(&self, to: &Ref) -> bool {
        match (self.request.mode, to) {
            (Mode::AddOnly, Ref::Key(key)) => self.view.rows.get(key).is_none(),
            (Mode::AddOnly, Ref::Foreign(_)) => false,
            (Mode::All | Mode::Keep, _) => true,
        }
    }

    /// Whether a member that is there and not wanted there goes: a row of ours that is deleted or
    /// belongs elsewhere, or a copy of one. Members of others stay.
    fn leaves(&self, table: Table, to: &Ref) -> bool {
        match (self.request.mode, to) {
            (Mode::AddOnly, _) => false,
            (Mode::Keep, Ref::Key(key)) => self.desired.get(key).is_some(),
            (Mode::Keep, Ref::Foreign(_)) => false,
            (Mode::All, Ref::Key(_)) => true,
            (Mode::All, Ref::Foreign(uuid)) => self.view.extra.contains_key(&(table, *uuid)),
        }
    }
}

/// The database that holds exactly these rows of `owner`: what a plan between two inputs starts from.
pub fn as_if_applied(rows: &Rows, owner: &str) -> Actual {
    let mut actual = Actual::default();
    for (key, row) in rows.iter() {
        let mut row = row.clone();
        for (column, _) in row.clone().columns().filter(|(column, _)| column.target.is_some()) {
            let Some(Datum::Set(atoms)) = row.get_mut(column.name) else { continue };
            *atoms = stored(atoms, owner);
        }
        actual.insert(key.uuid(owner), row);
    }
    actual
}

fn stored(atoms: &[Atom], owner: &str) -> Atoms {
    let atoms: BTreeSet<Atom> = atoms
        .iter()
        .map(|atom| match atom {
            Atom::Ref(Ref::Key(key)) => Atom::Ref(Ref::Foreign(key.uuid(owner))),
            other => other.clone(),
        })
        .collect();
    atoms.into_iter().collect()
}
