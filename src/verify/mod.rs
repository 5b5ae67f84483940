//! Do the rows mean what the model says? Both meanings are worked out apart and held against each other.
//!
//! The model's is [`crate::meaning`]'s, the rows' is [`crate::reach`]'s. From every machine and from behind every
//! bridged subnet whole sets of packets are followed, to any address; the two must name the same ends for all of
//! them, as the same packets, with answers that come back alike. What a machine is told of routes must be the same.
//! Machines that both sides say are alike are followed once (`verify::classes`).
//!
//! | difference | of packets |
//! |---|---|
//! | over-permissive | the rows let something arrive, or be answered, that the model does not |
//! | over-restrictive | the rows stop something that the model lets arrive, or be answered |
//!
//! What either side can't judge is left out of the comparison and told, with the reason. Refuses to know how rows
//! are made, and to look at a clock: whoever calls it says when to stop.

mod classes;
mod compare;
mod rows;
mod tell;
mod universe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::check::Checked;
use crate::meaning::{self, Idle, Meaning, Reason, Spot};
use crate::model::PortId;
use crate::parallel::{self, Give};
use crate::progress;
use crate::reach::header::{Field, Header};
use crate::reach::network::Network;
use crate::reach::set::Sets;
use crate::span::Span;

use self::classes::{Asked, Classes, Others, Range, Sorted, Standing};
use self::compare::{Compared, Sent};
use self::rows::RowsMeaning;
use self::universe::{Errand, Universe};

/// Which way the rows differ from the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// They let more through.
    OverPermissive,
    /// They let less through.
    OverRestrictive,
    /// They send it elsewhere, or as something else.
    Otherwise,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Kind::OverPermissive => "over-permissive",
            Kind::OverRestrictive => "over-restrictive",
            Kind::Otherwise => "otherwise",
        }
    }
}

/// A row that had a say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowSaid {
    /// The row, as people call it.
    pub row: String,
    /// What caused it, where that is known.
    pub origin: Option<Span>,
}

/// Packets that the rows treat otherwise than the model.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which way.
    pub kind: Kind,
    /// Who sends.
    pub from: String,
    /// One of the packets.
    pub witness: Option<Header>,
    /// What the model says of it, all that is possible.
    pub meant: Vec<String>,
    /// What the rows do with it, likewise.
    pub done: Vec<String>,
    /// What decides in the model, in order.
    pub reasons: Vec<Reason>,
    /// What decides in the rows, in order.
    pub rows: Vec<RowSaid>,
    /// How many more there are from others, for the same reasons.
    pub n_more: usize,
}

/// Packets whose answers come back by other routers.
#[derive(Clone, Debug)]
pub struct Detour {
    /// What last decided about the answer, if it stands anywhere.
    pub span: Option<Span>,
    /// Who sends.
    pub from: String,
    /// One of the packets.
    pub witness: Header,
    /// The routers of the packet.
    pub there: Vec<String>,
    /// Those of the answer.
    pub back: Vec<String>,
}

/// What came of comparing.
#[derive(Debug, Default)]
pub struct Report {
    /// What no packet comes to; known when everything was followed.
    pub idle: BTreeSet<(Idle, Span)>,
    /// Where answers take another way, one for each reason.
    pub detours: Vec<Detour>,
    /// Where the rows differ.
    pub differences: Vec<Difference>,
    /// What could not be judged, by reason, with how many senders it concerns.
    pub undetermined: BTreeMap<String, usize>,
    /// How many senders there are.
    pub n_senders: usize,
    /// How many of them are proven: all, unless it was time to stop.
    pub n_followed: usize,
    /// How many of those were followed, for themselves and for whoever is like them.
    pub n_classes: usize,
}

impl Report {
    /// Whether every sender was followed.
    pub fn is_whole(&self) -> bool {
        self.n_followed == self.n_senders
    }
}

/// With more edges of sets than this, 32 bytes each, sets are let go: 64 MiB, for what asks for them again.
const N_EDGES_MAX: usize = 1 << 21;

/// But each thread keeps so many.
const N_EDGES_MIN: usize = 1 << 18;

/// Holds rows against the model that they were made from, sender by sender, as long as `goes_on` says so.
pub fn verify(checked: &Checked<'_>, network: &Network, goes_on: &(dyn Fn() -> bool + Sync)) -> Report {
    let n_edges = (N_EDGES_MAX / parallel::n_threads()).max(N_EDGES_MIN);
    verify_within(checked, network, goes_on, n_edges)
}

/// The same, where a thread with more edges of sets than `n_edges` lets them all go before the next look; what is found
/// does not hang on it, nor on how many threads there are.
pub fn verify_within(
    checked: &Checked<'_>,
    network: &Network,
    goes_on: &(dyn Fn() -> bool + Sync),
    n_edges: usize,
) -> Report {
    let (sets, names) = (Sets::default(), meaning::names(checked));
    let known = meaning::Known::new(checked, network.target, &names);
    let rows = rows::Known::new(checked, network);
    let meaning = Meaning::new(&known, &sets);
    let sorted = Sorted::new(checked, &meaning, &rows);
    let errands = Universe::errands(checked, &meaning);
    let n_senders = errands.iter().filter(|errand| errand.is_last).count();
    let mut report = Report { n_senders, ..Report::default() };
    let (n_errands, n_threads) = (errands.len(), parallel::n_threads().min(errands.len()));
    let shared = Mutex::new(Shared { errands: errands.into_iter().enumerate(), ..Shared::default() });
    let proof =
        Proof { checked, meaning: &known, rows: &rows, sorted: &sorted, goes_on, n_edges, shared: &shared };
    let (mut unsaid, mut used, mut n_done) = (BTreeSet::new(), BTreeSet::new(), 0);
    let (Ok(()) | Err(TimeIsUp)) = parallel::crew(
        n_threads,
        |give: &mut Give<'_, Found>| proof.work(give),
        |found| {
            progress::at(n_done, n_errands as u64);
            n_done += 1;
            report.differences.extend(found.told);
            let Some(looked) = found.looked.map_err(|()| TimeIsUp)? else { return Ok(()) };
            proof.add(looked, &mut report, &mut unsaid, &mut used);
            Ok(())
        },
    );
    compare::together(&mut report.differences);
    if report.is_whole() {
        let is_used = std::mem::take(&mut proof.shared().is_used);
        let rules = meaning.idle_rules(is_used).into_iter().map(|span| (Idle::Rule, span));
        let others = meaning.written().into_iter().filter(|(_, span)| !used.contains(span));
        report.idle = rules.chain(others).collect();
    }
    report
}

/// The end before all is done.
struct TimeIsUp;

/// What threads tell each other.
#[derive(Default)]
struct Shared {
    errands: std::iter::Enumerate<std::vec::IntoIter<Errand>>,
    /// Senders for whom others have been followed.
    proven: BTreeSet<Spot>,
    /// Rules that were asked, and whether any packet was left to them.
    is_used: BTreeMap<Span, bool>,
}

/// What came of an errand.
struct Found {
    /// What a machine is told otherwise than it should be.
    told: Option<Difference>,
    /// Nothing where somebody else was followed for the sender; a failure where it was time to stop.
    looked: Result<Option<Looked>, ()>,
}

/// What came of following a sender.
struct Looked {
    errand: Errand,
    compared: Compared,
    /// Who sends alike.
    fellows: Vec<PortId>,
}

/// A sender that is being followed.
struct Looking {
    nth: usize,
    told: Option<Difference>,
    errand: Errand,
    standing: Standing,
    /// Where it has not sent to yet.
    left: Vec<Range>,
    /// To these alone, if not to all but whoever is stood for.
    only: Option<Others>,
    compared: Compared,
}

/// What is left of following a sender.
enum Step {
    Rest(Box<Looking>),
    Done,
}

/// What sets live for.
struct Desk<'d> {
    meaning: Meaning<'d>,
    done: RowsMeaning<'d>,
    classes: Classes<'d>,
    universe: Universe<'d>,
}

/// What a proof needs.
struct Proof<'p> {
    checked: &'p Checked<'p>,
    meaning: &'p meaning::Known<'p>,
    rows: &'p rows::Known<'p>,
    sorted: &'p Sorted,
    goes_on: &'p (dyn Fn() -> bool + Sync),
    n_edges: usize,
    shared: &'p Mutex<Shared>,
}

impl Proof<'_> {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows senders until none is left, or it is time to stop. Sets are let go when there are too many.
    fn work(&self, give: &mut Give<'_, Found>) {
        let mut looking = None;
        loop {
            let sets = Sets::default();
            let mut desk = Desk {
                meaning: Meaning::new(self.meaning, &sets),
                done: RowsMeaning::new(self.rows, &sets, self.goes_on),
                classes: Classes::new(self.sorted, &sets),
                universe: Universe::new(self.checked, &sets),
            };
            let (mut is_fresh, mut is_over) = (true, false);
            while !is_over && (std::mem::take(&mut is_fresh) || sets.n_edges() <= self.n_edges) {
                let next = looking.take().or_else(|| self.next(&desk, give));
                match next.and_then(|next| self.step(&mut desk, next, give)) {
                    Some(Step::Rest(rest)) => looking = Some(*rest),
                    Some(Step::Done) => {}
                    None => is_over = true,
                }
            }
            desk.meaning.note_asked(&mut self.shared().is_used);
            if is_over {
                return;
            }
        }
    }

    /// Follows a sender to some addresses; at the end gives away what came of it. `None` where it was time to stop, or
    /// nobody listens.
    fn step(&self, desk: &mut Desk<'_>, mut it: Looking, give: &mut Give<'_, Found>) -> Option<Step> {
        if let Some(range) = it.left.pop() {
            if self.part(desk, &mut it, range).is_some() {
                return Some(Step::Rest(Box::new(it)));
            }
            give(it.nth, Found { told: it.told, looked: Err(()) });
            return None;
        }
        let apart = it.standing.take_apart();
        if !apart.is_empty() {
            it.left = self.sorted.parts_of(&apart);
            it.only = Some(apart);
            return Some(Step::Rest(Box::new(it)));
        }
        let Looking { nth, told, errand, standing, mut compared, .. } = it;
        let fellows = self.sorted.fellows(&standing);
        let used = self.sorted.used_alike(&standing, &fellows, &compared.used);
        compared.used.extend(used);
        let looked = Ok(Some(Looked { errand, compared, fellows }));
        give(nth, Found { told, looked }).then_some(Step::Done)
    }

    /// The next sender for whom nobody else has been followed.
    fn next(&self, desk: &Desk<'_>, give: &mut Give<'_, Found>) -> Option<Looking> {
        loop {
            let (nth, errand) = self.shared().errands.next()?;
            let told = match errand.sender.from {
                Spot::Port(id) => compare::told(self.checked, &desk.meaning, self.rows, id),
                Spot::Router(_) | Spot::Wire(_) => None,
            };
            if !self.shared().proven.contains(&errand.sender.from) {
                let part = || self.rows.part_of_router(self.checked, errand.sender.via?);
                let standing = self.sorted.standing(errand.sender, &desk.meaning, part);
                let (left, compared) = (self.sorted.parts(&standing), Compared::default());
                return Some(Looking { nth, told, errand, standing, left, only: None, compared });
            }
            if !give(nth, Found { told, looked: Ok(None) }) {
                return None;
            }
        }
    }

    /// Follows what a sender may send to addresses of a range. `None` where it was time to stop.
    fn part(&self, desk: &mut Desk<'_>, looking: &mut Looking, range: Range) -> Option<()> {
        let Desk { meaning, done, classes, universe } = desk;
        let (sets, sender) = (done.sets(), looking.errand.sender);
        let (all, asking) = universe.of(self.checked, meaning, &looking.errand);
        let all = sets.and(all, sets.range(Field::IpDst, range.0, range.1));
        let set = match &looking.only {
            Some(only) => sets.and(all, classes.destined(only, range)),
            None => sets.minus(all, classes.destined(looking.standing.others(), range)),
        };
        let regions = meaning.regions(sender, set, asking, self.goes_on)?;
        let courses = done.courses(self.checked, sender, set, asking)?;
        let mut asked = Asked::default();
        asked.meant(meaning.take_asked());
        asked.done(done.take_asked());
        classes.note(&mut looking.standing, &asked);
        let sent = Sent { from: sender.from, asking, regions, courses };
        looking.compared.add(compare::sender(self.checked, done, &sent));
        Some(())
    }

    /// Adds what came of following a sender, unless somebody else was followed for it in the meantime. Reasons are
    /// counted once for each sender.
    fn add(
        &self,
        Looked { errand, compared, fellows }: Looked,
        report: &mut Report,
        unsaid: &mut BTreeSet<String>,
        used: &mut BTreeSet<Span>,
    ) {
        let proven = &mut self.shared().proven;
        if proven.contains(&errand.sender.from) {
            return;
        }
        let fellows = fellows.into_iter().map(Spot::Port).filter(|fellow| !proven.contains(fellow));
        let fellows: Vec<Spot> = fellows.collect();
        let n = 1 + fellows.len();
        for why in compared.unsaid {
            if unsaid.insert(why.clone()) {
                *report.undetermined.entry(why).or_default() += n;
            }
        }
        let differences = compared.differences.into_iter();
        report.differences.extend(differences.map(|it| Difference { n_more: n - 1, ..it }));
        compared.detours.into_iter().for_each(|it| compare::note(&mut report.detours, it));
        used.extend(compared.used);
        if errand.is_last {
            unsaid.clear();
            proven.extend(fellows);
            report.n_followed += n;
            report.n_classes += 1;
        }
    }
}
