//! What a change of rows opens and closes: two networks compared, packet by packet.
//!
//! | turn | packets that |
//! |---|---|
//! | opens | now arrive, or are now answered, and were not before |
//! | closes | were, and no longer are |
//! | unclear | can't be judged on one of the sides |
//!
//! A machine is the same on both sides if its port's name is; where its addresses changed, its services are
//! compared whatever the address. Every machine is taken to have its default routes: a guest may set them, and
//! what the network lets pass is what counts.
//!
//! Refuses to know where the rows come from.

mod about;
mod alike;
mod ends;
mod grouped;
pub mod show;
mod touched;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use self::about::Rules;
use self::alike::{Found, Person, Turned};
use self::grouped::Groups;
use self::touched::Differences;
use super::classes::zones::Zones;
use super::guest::ByHand;
use super::header::{Field, Header};
use super::judge::{Finding, Judge, Party, Verdict};
use super::network::{Network, RowId};
use super::parties::{INTERNET, guest, machines, outside, short_name};
use super::set::{Set, Sets};
use super::show::{Writer, services};
use super::walk::Step;
use crate::nb::Table;
use crate::nb::actual::Actual;
use crate::progress;
use crate::span::SourceMap;

/// More pairs of classes of machines than this are compared only when somebody insists.
pub const PAIRS_MAX: usize = 250_000;

/// A database at one moment.
pub struct Moment<'a> {
    /// The rows.
    pub rows: &'a Actual,
    /// The network of exactly those rows.
    pub network: &'a Network,
    /// The texts that its origins point into.
    pub sources: &'a SourceMap,
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// They newly arrive, or are newly answered.
    Opens,
    /// They no longer arrive, or are no longer answered.
    Closes,
    /// It can't be said.
    Unclear,
}

/// Packets between the same groups of machines that take one turn for the same reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The turn.
    pub turn: Turn,
    /// Who sends, by short names.
    pub from: Vec<String>,
    /// Who is sent to; nobody sends to itself.
    pub to: Vec<String>,
    /// The protocols and ports.
    pub services: String,
    /// One of the packets.
    pub witness: Header,
    /// What became of it; `None` where one of its ends was not there.
    pub before: Option<Verdict>,
    /// What becomes of it; likewise.
    pub after: Option<Verdict>,
    /// What makes the difference to that one: rows that are new, changed or gone.
    pub causes: Vec<Cause>,
}

/// A row that makes a difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// Whether it is one of the new rows, or of those that were.
    pub is_new: bool,
    /// What it does to the packet, or did.
    pub says: String,
    /// `file:line` of the YAML behind it.
    pub place: Option<String>,
}

/// All that a change opens and closes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// In the order of turns, senders and receivers.
    pub shifts: Vec<Shift>,
    /// Pairs with packets that can't be judged on either side, where rows that differ can touch them.
    pub n_unjudged: usize,
    /// Classes of machines in the parts of the network that rows that differ can touch.
    pub n_classes: usize,
    /// Whether there was no machine before.
    pub is_first: bool,
}

/// Too few machines are alike to compare all pairs of classes unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many classes there are in one part of the network.
    pub n_classes: usize,
}

impl Change {
    /// Whether something takes this turn.
    pub fn has(&self, turn: Turn) -> bool {
        self.shifts.iter().any(|shift| shift.turn == turn)
    }
}

/// Compares two moments; of a part of the network no more than `pairs_max` pairs of classes.
pub fn compare(before: &Moment<'_>, after: &Moment<'_>, pairs_max: usize) -> Result<Change, TooMany> {
    let _stage = tracing::info_span!("compare reach").entered();
    let rows = [before.rows, after.rows];
    let differences = Differences::of(rows);
    if differences.is_empty() && rows[0].beside == rows[1].beside {
        return Ok(Change::default());
    }
    let networks = [before.network, after.network];
    let parts = touched::parts(rows, networks, &differences);
    let rules = Rules::of(rows, networks, &differences);
    let sets = Sets::default();
    let [old, new] = &differences.changed;
    let mut sides = [
        Side::new(before.network, &sets, before.sources, old),
        Side::new(after.network, &sets, after.sources, new),
    ];
    let mut change = Change { is_first: machines(&sides[0].judge).next().is_none(), ..Change::default() };
    let mut groups = Groups::default();
    for part in progress::along(parts.iter(), parts.len()) {
        let about = rules.as_ref().and_then(|rules| rules.about(&sets, part));
        let found = alike::compare(&sides, part, about.as_ref(), pairs_max)?;
        change.n_unjudged += found.n_unjudged;
        change.n_classes += found.n_classes;
        groups.add(&found, &mut |turned| explained(&mut sides, &sets, &found, turned));
    }
    change.shifts = groups.shifts(&|person| name(&sides, person));
    Ok(change)
}

/// One of the two networks.
struct Side<'n> {
    judge: Judge<'n>,
    sources: &'n SourceMap,
    /// Rows that the other side has not, or has otherwise.
    changed: &'n BTreeSet<RowId>,
    outside: OnceCell<Option<Party>>,
    zones: OnceCell<Zones>,
}

impl<'n> Side<'n> {
    fn new(
        network: &'n Network,
        sets: &'n Sets,
        sources: &'n SourceMap,
        changed: &'n BTreeSet<RowId>,
    ) -> Side<'n> {
        let by_hand = ByHand { all: true, ..ByHand::default() };
        let judge = Judge::new(network, sets, by_hand);
        Side { judge, sources, changed, outside: OnceCell::new(), zones: OnceCell::new() }
    }

    /// Its parts with addresses of their own.
    fn zones(&self) -> &Zones {
        self.zones.get_or_init(|| Zones::of(self.judge.network))
    }

    /// What is behind the physical networks.
    fn outside(&self) -> Option<&Party> {
        self.outside.get_or_init(|| outside(&self.judge)).as_ref()
    }

    /// What becomes of one of some packets, if both ends are there.
    fn explain(&mut self, ends: &[Option<Party>; 2], set: Set) -> Option<Finding> {
        let [Some(from), Some(to)] = ends else { return None };
        self.judge.explain(from, to, set).into_iter().next()
    }

    /// What the rows that the other side has not do to a packet.
    fn causes(&self, finding: &Finding, is_new: bool, causes: &mut Vec<Cause>) {
        let network = self.judge.network;
        let writer = Writer { judge: &self.judge, sources: self.sources };
        let ways = finding.courses.iter().flat_map(|course| [Some(&course.request), course.answer.as_ref()]);
        let steps: Vec<Step> = ways.flatten().flat_map(|way| way.flow.path.steps()).collect();
        let decides = |step: &&Step| {
            matches!(step, Step::Rule(_) | Step::Via { .. } | Step::Policy(_) | Step::Translated { .. })
                || matches!(step, Step::Stop(_))
        };
        let (first, last): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(decides);
        let n_before = causes.len();
        for step in first.into_iter().chain(last) {
            // What is only passed tells nothing where something decides.
            if causes.len() > n_before && !decides(&step) {
                break;
            }
            let (says, row) = match step {
                // Of all packets, not of this one.
                Step::Translated { row, .. } => (format!("translated: {}", network.row(*row).gist), *row),
                _ => writer.step(step, &finding.witness),
            };
            if self.changed.contains(&row) {
                causes.push(Cause { is_new, says, place: writer.origin(row) });
                continue;
            }
            causes.extend(self.named_in(row).map(|set| {
                let info = network.row(set);
                let says = format!("{}, by {} {}", network.row(row).gist, info.table.name(), info.name);
                Cause { is_new, says, place: writer.origin(set).or_else(|| writer.origin(row)) }
            }));
        }
    }

    /// Changed groups and sets that a rule names.
    fn named_in(&self, row: RowId) -> impl Iterator<Item = RowId> {
        let network = self.judge.network;
        let gist = network.row(row).gist.as_str();
        let is_named = move |id: &RowId| {
            let info = network.row(*id);
            let sign = match info.table {
                Table::PortGroup => '@',
                Table::AddressSet => '$',
                _ => return false,
            };
            names(gist, sign).any(|name| name == info.name)
        };
        self.changed.iter().copied().filter(is_named)
    }
}

/// Names after a sign in a match.
fn names(text: &str, sign: char) -> impl Iterator<Item = &str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.split(sign).skip(1).filter_map(move |rest| rest.split(|c| !is_of_name(c)).next())
}

/// Why packets take a turn; between whom is left open.
fn explained(sides: &mut [Side<'_>; 2], sets: &Sets, found: &Found<'_>, turned: &Turned) -> Option<Shift> {
    let Turned { turn, set, between, .. } = *turned;
    let ends = [0, 1].map(|at: usize| {
        let side = &sides[at];
        [between.0, between.1].map(|person| match found.people[person] {
            Person { name: None, .. } => side.outside().cloned(),
            Person { ports, .. } => ports[at].map(|port| guest(&side.judge, port)),
        })
    });
    let mut explain = |at: usize, set: Set| sides[at].explain(&ends[at], set);
    // The side on which more is open has the witness.
    let (told, untold) = if turn == Turn::Closes { (0, 1) } else { (1, 0) };
    let (first, second) = match explain(told, set) {
        Some(finding) => {
            let alike = alike(sets, &finding.witness, set);
            let other = explain(untold, alike);
            (Some(finding), other)
        }
        None => (None, explain(untold, set)),
    };
    let (before, after) = if turn == Turn::Closes { (first, second) } else { (second, first) };
    let witness = after.as_ref().or(before.as_ref()).map(|finding| finding.witness)?;
    let mut causes = Vec::new();
    for (side, finding, is_new) in [(&sides[0], &before, false), (&sides[1], &after, true)] {
        if let Some(finding) = finding {
            side.causes(finding, is_new, &mut causes);
        }
    }
    let mut told = BTreeSet::new();
    causes.retain(|cause| told.insert(cause.clone()));
    Some(Shift {
        turn,
        from: Vec::new(),
        to: Vec::new(),
        services: services(sets, set),
        witness,
        before: before.map(|finding| finding.verdict),
        after: after.map(|finding| finding.verdict),
        causes,
    })
}

/// What people call somebody.
fn name(sides: &[Side<'_>; 2], person: &Person<'_>) -> String {
    let of = |at: usize| Some(short_name(sides[at].judge.network, person.ports[at]?));
    of(1).or_else(|| of(0)).unwrap_or_else(|| INTERNET.to_owned())
}

/// Packets like one of some: the same but for what the set does not tell apart.
fn alike(sets: &Sets, witness: &Header, set: Set) -> Set {
    let fields = [Field::EthType, Field::IpProto, Field::IpSrc, Field::IpDst, Field::TpSrc, Field::TpDst];
    let tells = |field: &Field| sets.forget(set, *field) != set;
    let told = fields.into_iter().filter(tells);
    told.fold(Set::ALL, |alike, field| sets.and(alike, sets.value(field, witness[field])))
}
