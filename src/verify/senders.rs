//! Follows senders on all processors, each to some addresses at a time, and puts together what comes of it.
//!
//! Every thread takes the next sender for whom nobody else has been followed, and has sets of its own. What it finds is
//! added in the order of the senders; two who turn out to be alike may have been followed at once, and the later one does
//! not count. So the report is the same however many threads there are.
//!
//! Refuses to say who is alike, and what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::iter::Enumerate;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

use crate::check::Checked;
use crate::meaning::{self, Idle, Meaning, Spot};
use crate::model::PortId;
use crate::parallel::{self, Give};
use crate::progress;
use crate::reach::header::Field;
use crate::reach::network::Network;
use crate::reach::set::Sets;
use crate::span::Span;

use super::classes::{Asked, Classes, Sorted};
use super::compare::{self, Compared, Sent};
use super::rows::{self, RowsMeaning};
use super::standing::{Others, Range, Standing};
use super::universe::{Errand, Grounds, Universe};
use super::{Difference, Report};

/// Follows all senders, as long as `goes_on` says so.
pub(super) fn all(
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
    let (n_errands, n_threads) = (errands.len(), parallel::n_threads().min(errands.len()));
    let shared = Mutex::new(Shared { errands: errands.into_iter().enumerate(), ..Shared::default() });
    let grounds = Grounds::new(checked, &rows);
    let (meant, rows, sorted, grounds) = (&known, &rows, &sorted, &grounds);
    let proof = Proof { checked, meaning: meant, rows, sorted, grounds, goes_on, n_edges, shared: &shared };
    let mut sum = Sum { report: Report { n_senders, ..Report::default() }, ..Sum::default() };
    let mut n_done = 0;
    let Ok(()) = parallel::crew(
        n_threads,
        |give: &mut Give<'_, Found>| proof.work(give),
        |found| {
            progress::at(n_done, n_errands as u64);
            n_done += 1;
            sum.add(found, &mut proof.shared().proven);
            Ok::<(), Infallible>(())
        },
    );
    let Sum { mut report, used, .. } = sum;
    compare::together(&mut report.differences);
    if report.is_whole() {
        let is_used = std::mem::take(&mut proof.shared().is_used);
        let rules = meaning.idle_rules(is_used).into_iter().map(|span| (Idle::Rule, span));
        let others = meaning.written().into_iter().filter(|(_, span)| !used.contains(span));
        report.idle = rules.chain(others).collect();
    }
    report
}

/// What threads tell each other.
#[derive(Default)]
struct Shared {
    errands: Enumerate<IntoIter<Errand>>,
    /// Senders for whom others have been followed.
    proven: BTreeSet<Spot>,
    /// Rules that were asked, and whether any packet was left to them.
    is_used: BTreeMap<Span, bool>,
}

/// What came of an errand.
struct Found {
    /// What a machine is told otherwise than it should be.
    told: Option<Difference>,
    /// Nothing where somebody else was followed for the sender.
    looked: Option<Looked>,
}

/// What came of following a sender.
struct Looked {
    errand: Errand,
    compared: Compared,
    /// Who sends alike; unknown where it was time to stop before all was followed.
    fellows: Option<Vec<PortId>>,
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
    grounds: &'p Grounds,
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
        let mut sets = Sets::default();
        loop {
            sets.clear();
            let mut desk = Desk {
                meaning: Meaning::new(self.meaning, &sets),
                done: RowsMeaning::new(self.rows, &sets, self.goes_on),
                classes: Classes::new(self.sorted, &sets),
                universe: Universe::new(self.checked, self.grounds, &sets),
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
            let looked = Looked { errand: it.errand, compared: it.compared, fellows: None };
            give(it.nth, Found { told: it.told, looked: Some(looked) });
            return None;
        }
        let fresh = it.standing.take_fresh();
        if !fresh.is_empty() {
            it.left = self.sorted.parts_of(&fresh);
            it.only = Some(fresh);
            return Some(Step::Rest(Box::new(it)));
        }
        let Looking { nth, told, errand, standing, mut compared, .. } = it;
        let fellows = self.sorted.fellows(&standing);
        let used = self.sorted.used_alike(&standing, &fellows, &compared.used);
        compared.used.extend(used);
        let looked = Looked { errand, compared, fellows: Some(fellows) };
        give(nth, Found { told, looked: Some(looked) }).then_some(Step::Done)
    }

    /// The next sender for whom nobody else has been followed.
    fn next(&self, desk: &Desk<'_>, give: &mut Give<'_, Found>) -> Option<Looking> {
        while (self.goes_on)() {
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
            if !give(nth, Found { told, looked: None }) {
                return None;
            }
        }
        None
    }

    /// Follows what a sender may send to addresses of a range. `None` where it was time to stop.
    fn part(&self, desk: &mut Desk<'_>, looking: &mut Looking, range: Range) -> Option<()> {
        let Desk { meaning, done, classes, universe } = desk;
        let (sets, sender) = (done.sets(), looking.errand.sender);
        let (all, asking) = universe.of(self.checked, meaning, &looking.errand);
        let all = sets.and(all, sets.range(Field::IpDst, range.0, range.1));
        let set = match &looking.only {
            Some(only) => sets.and(all, classes.destined(only, range)),
            None => sets.minus(all, classes.others(&looking.standing, range)),
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
}

/// What all senders come to.
#[derive(Default)]
struct Sum {
    report: Report,
    /// What decided about packets.
    used: BTreeSet<Span>,
    /// Why some packets of the sender at hand could not be judged.
    unsaid: BTreeSet<String>,
    /// Whether it was time to stop before the sender at hand was followed everywhere.
    is_cut: bool,
}

impl Sum {
    /// Adds what came of an errand, unless somebody else was followed for its sender in the meantime. Reasons are counted
    /// once for each sender. One that was not followed everywhere is not proven, but what differs does.
    fn add(&mut self, Found { told, looked }: Found, proven: &mut BTreeSet<Spot>) {
        let report = &mut self.report;
        report.differences.extend(told);
        let Some(Looked { errand, compared, fellows }) = looked else { return };
        if proven.contains(&errand.sender.from) {
            return;
        }
        self.is_cut |= fellows.is_none();
        let fellows = fellows.into_iter().flatten().map(Spot::Port);
        let fellows: Vec<Spot> = fellows.filter(|fellow| !proven.contains(fellow)).collect();
        let n = 1 + fellows.len();
        for why in compared.unsaid {
            if self.unsaid.insert(why.clone()) {
                *report.undetermined.entry(why).or_default() += n;
            }
        }
        let differences = compared.differences.into_iter();
        report.differences.extend(differences.map(|it| Difference { n_more: n - 1, ..it }));
        compared.detours.into_iter().for_each(|it| compare::note(&mut report.detours, it));
        self.used.extend(compared.used);
        if errand.is_last {
            self.unsaid.clear();
            if !std::mem::take(&mut self.is_cut) {
                proven.extend(fellows);
                report.n_followed += n;
                report.n_classes += 1;
            }
        }
    }
}
