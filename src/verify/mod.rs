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

use crate::check::Checked;
use crate::meaning::{self, Idle, Meaning, Reason, Sender, Spot};
use crate::progress;
use crate::reach::header::Header;
use crate::reach::network::Network;
use crate::reach::set::{Set, Sets};
use crate::span::Span;

use self::classes::{Asked, Classes, Group, StoodFor};
use self::compare::Sent;
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

/// Holds rows against the model that they were made from, sender by sender, as long as `goes_on` says so.
pub fn verify(checked: &Checked<'_>, network: &Network, goes_on: &dyn Fn() -> bool) -> Report {
    verify_within(checked, network, goes_on, N_EDGES_MAX)
}

/// The same, where with more edges of sets than `n_edges` all sets are let go before the next look; what is found does
/// not hang on it.
pub fn verify_within(
    checked: &Checked<'_>,
    network: &Network,
    goes_on: &dyn Fn() -> bool,
    n_edges: usize,
) -> Report {
    let (sets, names) = (Sets::default(), meaning::names(checked));
    let meaning = Meaning::new(checked, network.target, &sets, &names);
    let done = RowsMeaning::new(checked, network, &sets, goes_on);
    let classes = Classes::new(checked, &meaning, &done, &sets);
    let errands = Universe::errands(checked, &meaning);
    let n_senders = errands.iter().filter(|errand| errand.is_last).count();
    let report = Report { n_senders, ..Report::default() };
    let (proven, used, is_used) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let mut proof = Proof { checked, goes_on, proven, unsaid: BTreeSet::new(), report, used, is_used };
    let n_errands = errands.len();
    let mut errands = progress::along(errands.into_iter(), n_errands).peekable();
    while errands.peek().is_some() && goes_on() {
        let sets = Sets::default();
        proof.go_on(&meaning.with(&sets), done.with(&sets), &classes.with(&sets), n_edges, &mut errands);
    }
    let Proof { mut report, used, is_used, .. } = proof;
    compare::together(&mut report.differences);
    if report.is_whole() {
        let rules = meaning.idle_rules(is_used).into_iter().map(|span| (Idle::Rule, span));
        let others = meaning.written().into_iter().filter(|(_, span)| !used.contains(span));
        report.idle = rules.chain(others).collect();
    }
    report
}

/// What is proven so far.
struct Proof<'p> {
    checked: &'p Checked<'p>,
    goes_on: &'p dyn Fn() -> bool,
    proven: BTreeSet<Spot>,
    /// Why some packets of the sender could not be judged.
    unsaid: BTreeSet<String>,
    report: Report,
    /// What decided about packets.
    used: BTreeSet<Span>,
    /// Rules that were asked, and whether any packet was left to them.
    is_used: BTreeMap<Span, bool>,
}

impl Proof<'_> {
    /// Follows senders until there are too many sets, or it is time to stop.
    fn go_on(
        &mut self,
        meaning: &Meaning<'_>,
        mut done: RowsMeaning<'_>,
        classes: &Classes<'_>,
        n_edges: usize,
        errands: &mut impl Iterator<Item = Errand>,
    ) {
        let (checked, goes_on, report) = (self.checked, self.goes_on, &mut self.report);
        let (sets, mut is_fresh) = (done.sets(), true);
        let universe = Universe::new(checked, sets);
        while goes_on()
            && (std::mem::take(&mut is_fresh) || sets.n_edges() <= n_edges)
            && let Some(errand) = errands.next()
        {
            let sender = errand.sender;
            if let Spot::Port(id) = sender.from {
                report.differences.extend(compare::told(checked, meaning, &done, id));
            }
            if self.proven.contains(&sender.from) {
                continue;
            }
            let all = universe.of(checked, meaning, &errand);
            let group = classes.group(sender, meaning, || done.part_of_router(checked, sender.via?));
            let followed = follow(checked, meaning, &mut done, &group, (sender, all), goes_on);
            let Some((sent, stood_for)) = followed else { break };
            let fellows = stood_for.fellows.iter().filter(|id| !self.proven.contains(&Spot::Port(**id)));
            let n = 1 + fellows.clone().count();
            let used = compare::sender(checked, &done, &sent, n, report, &mut self.unsaid);
            self.used.extend(group.used_alike(&stood_for, &used));
            self.used.extend(used);
            if errand.is_last {
                self.unsaid.clear();
                self.proven.extend(stood_for.fellows.into_iter().map(Spot::Port));
                report.n_followed += n;
                report.n_classes += 1;
            }
        }
        meaning.note_asked(&mut self.is_used);
    }
}

/// Follows what a sender may send, to one of each class and to whoever turns out to be told from that one; with it who
/// else is stood for. `None` where it was time to stop.
fn follow(
    checked: &Checked<'_>,
    meaning: &Meaning<'_>,
    done: &mut RowsMeaning<'_>,
    group: &Group<'_>,
    (sender, (all, asking)): (Sender, (Set, Set)),
    goes_on: &dyn Fn() -> bool,
) -> Option<(Sent, StoodFor)> {
    let sets = done.sets();
    let mut sent = Sent { from: sender.from, asking, regions: Vec::new(), courses: Vec::new() };
    let (mut asked, mut stood_for) = (Asked::default(), group.others());
    let mut set = sets.minus(all, group.destined(&stood_for));
    while !set.is_none() {
        sent.regions.extend(meaning.regions(sender, set, asking, goes_on)?);
        sent.courses.extend(done.courses(checked, sender, set, asking)?);
        asked.meant(meaning.take_asked());
        asked.done(done.take_asked());
        set = sets.and(all, group.parted(&mut stood_for, &asked));
    }
    Some((sent, stood_for))
}
