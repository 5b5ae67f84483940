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

pub mod show;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::guest::ByHand;
use super::header::{Field, Header};
use super::judge::{Finding, Judge, Party, Place, Verdict, service};
use super::network::{Network, RowId};
use super::parties::{INTERNET, everybody, outside, short_name};
use super::set::{Set, Sets};
use super::show::{Writer, services};
use super::walk::{Outcome, Step};
use crate::nb::actual::Actual;
use crate::nb::{Row, Table};
use crate::progress;
use crate::span::{SourceMap, Span};
use crate::target::Target;

/// More pairs of machines than this are compared only when somebody insists.
pub const PAIRS_MAX: usize = 10_000;

/// A database at one moment, and where its rows were written.
pub struct Moment<'a> {
    /// The rows.
    pub rows: &'a Actual,
    /// The YAML behind a row, where it is known.
    pub origin: &'a dyn Fn(Table, Uuid) -> Option<Span>,
    /// The texts that it points into.
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
    /// Who is sent to.
    pub to: Vec<String>,
    /// The protocols and ports.
    pub services: String,
    /// One of the packets.
    pub witness: Header,
    /// What became of it; `None` where one of its ends was not there.
    pub before: Option<Verdict>,
    /// What becomes of it; likewise.
    pub after: Option<Verdict>,
    /// What makes the difference: rows that are new, changed or gone.
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
    /// Pairs with packets that can't be judged on either side.
    pub n_unjudged: usize,
    /// Whether there was no machine before.
    pub is_first: bool,
}

/// There are too many machines to compare all pairs unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many there are.
    pub n_machines: usize,
}

impl Change {
    /// Whether something takes this turn.
    pub fn has(&self, turn: Turn) -> bool {
        self.shifts.iter().any(|shift| shift.turn == turn)
    }
}

/// Compares two moments; more than `pairs_max` pairs of machines are not compared.
pub fn compare(
    before: &Moment<'_>,
    after: &Moment<'_>,
    target: Target,
    pairs_max: usize,
) -> Result<Change, TooMany> {
    let _stage = tracing::info_span!("compare reach").entered();
    if before.rows == after.rows {
        return Ok(Change::default());
    }
    let networks = [before, after].map(|at| Network::of_actual_at(at.rows, at.origin, target));
    let sets = Sets::default();
    let mut sides = [
        Side::new(&networks[0], &sets, before.sources, changed(before.rows, after.rows)),
        Side::new(&networks[1], &sets, after.sources, changed(after.rows, before.rows)),
    ];
    let names: BTreeSet<String> = sides.iter().flat_map(|side| side.parties.keys().cloned()).collect();
    if names.len().saturating_mul(names.len()) > pairs_max {
        return Err(TooMany { n_machines: names.len() });
    }
    let mut pairs = Pairs { sides: &mut sides, sets: &sets, found: Vec::new(), n_unjudged: 0 };
    progress::along(names.iter(), names.len()).for_each(|from| pairs.from(from, &names));
    let Pairs { found, n_unjudged, .. } = pairs;
    let is_first = sides[0].parties.keys().all(|name| name == INTERNET);
    Ok(Change { shifts: grouped(found), n_unjudged, is_first })
}

/// Rows of one side that the other has not, or has otherwise; what hangs on them apart.
fn changed(rows: &Actual, others: &Actual) -> BTreeSet<RowId> {
    let is_same = |row: &Row, other: &Row| {
        let both = row.columns().zip(other.columns());
        both.filter(|((column, _), _)| !column.holds_children() && column.name != "external_ids")
            .all(|((_, a), (_, b))| a == b)
    };
    let differs =
        |uuid: Uuid, row: &Row| others.get(row.table(), uuid).is_none_or(|other| !is_same(row, other));
    let all = rows.iter().enumerate().filter(|(_, (uuid, row))| differs(*uuid, row));
    all.map(|(at, _)| RowId(at)).collect()
}

/// One of the two networks.
struct Side<'n> {
    judge: Judge<'n>,
    sources: &'n SourceMap,
    /// Machines by the names of their ports, and the Internet.
    parties: BTreeMap<String, Party>,
    /// Rows that the other side has not, or has otherwise.
    changed: BTreeSet<RowId>,
}

/// Packets of one pair on one side.
struct Fate {
    /// They arrive, maybe.
    some: Set,
    /// They arrive and are answered.
    full: Set,
    /// It can't be said.
    unknown: Set,
}

impl<'n> Side<'n> {
    fn new(
        network: &'n Network,
        sets: &'n Sets,
        sources: &'n SourceMap,
        changed: BTreeSet<RowId>,
    ) -> Side<'n> {
        let by_hand = ByHand { all: true, ..ByHand::default() };
        let judge = Judge::new(network, sets, by_hand);
        let mut parties: BTreeMap<String, Party> = everybody(&judge)
            .into_iter()
            .filter_map(|party| match party.place {
                Place::Guest(port) => Some((network.port(port).name.clone(), party)),
                Place::Router | Place::Outside | Place::Balanced(_) => None,
            })
            .collect();
        parties.extend(outside(&judge).map(|party| (INTERNET.to_owned(), party)));
        Side { judge, sources, parties, changed }
    }

    /// Where packets of a sender end.
    fn requests(&mut self, from: &str) -> Vec<Outcome> {
        let Some(sender) = self.parties.get(from) else { return Vec::new() };
        let sets = self.judge.sets;
        let everywhere = sets.any(self.parties.values().map(|party| party.known_to(sender)));
        let set = sets.and(sets.and(sender.sources, everywhere), service(sets, None, None));
        self.judge.walker.is_thorough = false;
        self.judge.requests(sender, set)
    }

    fn fate(&mut self, from: &str, to: &str, requests: &[Outcome]) -> Fate {
        let (Some(sender), Some(receiver)) = (self.parties.get(from), self.parties.get(to)) else {
            return Fate { some: Set::NONE, full: Set::NONE, unknown: Set::NONE };
        };
        self.judge.walker.is_thorough = false;
        let findings = self.judge.findings(sender, receiver, requests);
        let sets = self.judge.sets;
        let of = |is_meant: &dyn Fn(&Finding) -> bool| {
            sets.any(findings.iter().filter(|finding| is_meant(finding)).map(|finding| finding.set))
        };
        Fate {
            some: of(&Finding::may_arrive),
            full: of(&|finding| finding.verdict == Verdict::Reachable),
            unknown: of(&|finding| finding.verdict == Verdict::Undetermined),
        }
    }

    /// What becomes of one of some packets, if both ends are there.
    fn explain(&mut self, from: &str, to: &str, set: Set) -> Option<Finding> {
        let (sender, receiver) = (self.parties.get(from)?, self.parties.get(to)?);
        self.judge.explain(sender, receiver, set).into_iter().next()
    }

    fn name(&self, name: &str) -> Option<String> {
        match self.parties.get(name)?.place {
            Place::Guest(port) => Some(short_name(self.judge.network, port)),
            Place::Router | Place::Outside | Place::Balanced(_) => Some(name.to_owned()),
        }
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

/// A pair that takes a turn.
struct Found {
    from: String,
    to: String,
    shift: Shift,
}

struct Pairs<'p, 'n> {
    sides: &'p mut [Side<'n>; 2],
    sets: &'n Sets,
    found: Vec<Found>,
    n_unjudged: usize,
}

impl Pairs<'_, '_> {
    fn from(&mut self, from: &str, names: &BTreeSet<String>) {
        let requests: Vec<Vec<Outcome>> = self.sides.iter_mut().map(|side| side.requests(from)).collect();
        for to in names.iter().filter(|to| *to != from) {
            let [old, new] = &mut *self.sides;
            let before = old.fate(from, to, &requests[0]);
            let after = new.fate(from, to, &requests[1]);
            self.pair(from, to, before, after);
        }
    }

    fn pair(&mut self, from: &str, to: &str, before: Fate, after: Fate) {
        let sets = self.sets;
        let kept = self.kept(from, to);
        let same = |set: Set| kept.iter().fold(set, |set, keep| keep.of(sets, set));
        let [before, after] = [before, after].map(|fate| Fate {
            some: same(fate.some),
            full: same(fate.full),
            unknown: same(fate.unknown),
        });
        let both = sets.and(before.unknown, after.unknown);
        self.n_unjudged += usize::from(!both.is_none());
        let unclear = sets.minus(sets.or(before.unknown, after.unknown), both);
        let judged = |set: Set| sets.minus(sets.minus(set, unclear), both);
        let more =
            |a: &Fate, b: &Fate| judged(sets.or(sets.minus(a.some, b.some), sets.minus(a.full, b.full)));
        let turns = [
            (Turn::Opens, more(&after, &before)),
            (Turn::Closes, more(&before, &after)),
            (Turn::Unclear, unclear),
        ];
        for (turn, set) in turns.into_iter().filter(|(_, set)| !set.is_none()) {
            self.shift(turn, from, to, set);
        }
    }

    /// What of the addresses can be compared.
    fn kept(&self, from: &str, to: &str) -> Vec<Keep> {
        let [old, new] = &*self.sides;
        let ends = |side: &Side<'_>| {
            let (sender, receiver) = (side.parties.get(from)?, side.parties.get(to)?);
            Some((sender.clone(), receiver.known_to(sender)))
        };
        let (Some((sender, to_old)), Some((other, to_new))) = (ends(old), ends(new)) else {
            return Vec::new();
        };
        let keep = |is_outside: bool, field, a: Set, b: Set| match () {
            () if a == b => None,
            () if is_outside => Some(Keep::Common(self.sets.and(a, b))),
            () => Some(Keep::Without(field)),
        };
        let of_sender = keep(from == INTERNET, Field::IpSrc, sender.sources, other.sources);
        let of_receiver = keep(to == INTERNET, Field::IpDst, to_old, to_new);
        of_sender.into_iter().chain(of_receiver).collect()
    }

    /// Explains packets that take a turn.
    fn shift(&mut self, turn: Turn, from: &str, to: &str, set: Set) {
        let [old, new] = &mut *self.sides;
        // The side on which more is open has the witness.
        let (told, untold) = if turn == Turn::Closes { (old, new) } else { (new, old) };
        let (first, second) = match told.explain(from, to, set) {
            Some(finding) => {
                let alike = alike(self.sets, &finding.witness, set);
                let other = untold.explain(from, to, alike);
                (Some(finding), other)
            }
            None => (None, untold.explain(from, to, set)),
        };
        let (before, after) = if turn == Turn::Closes { (first, second) } else { (second, first) };
        let Some(witness) = after.as_ref().or(before.as_ref()).map(|finding| finding.witness) else { return };
        let mut causes = Vec::new();
        let [old, new] = &*self.sides;
        for (side, finding, is_new) in [(old, &before, false), (new, &after, true)] {
            if let Some(finding) = finding {
                side.causes(finding, is_new, &mut causes);
            }
        }
        let mut told = BTreeSet::new();
        causes.retain(|cause| told.insert(cause.clone()));
        let name = |name: &str| new.name(name).or_else(|| old.name(name)).unwrap_or_default();
        let shift = Shift {
            turn,
            from: vec![name(from)],
            to: vec![name(to)],
            services: services(self.sets, set),
            witness,
            before: before.map(|finding| finding.verdict),
            after: after.map(|finding| finding.verdict),
            causes,
        };
        self.found.push(Found { from: from.to_owned(), to: to.to_owned(), shift });
    }
}

/// How sets of two sides with other addresses are compared.
enum Keep {
    /// Whatever the address.
    Without(Field),
    /// Where both have the address.
    Common(Set),
}

impl Keep {
    fn of(&self, sets: &Sets, set: Set) -> Set {
        match self {
            Keep::Without(field) => sets.forget(set, *field),
            Keep::Common(common) => sets.and(set, *common),
        }
    }
}

/// Packets like one of some: the same but for what the set does not tell apart.
fn alike(sets: &Sets, witness: &Header, set: Set) -> Set {
    let fields = [Field::EthType, Field::IpProto, Field::IpSrc, Field::IpDst, Field::TpSrc, Field::TpDst];
    let tells = |field: &Field| sets.forget(set, *field) != set;
    let told = fields.into_iter().filter(tells);
    told.fold(Set::ALL, |alike, field| sets.and(alike, sets.value(field, witness[field])))
}

/// Pairs with one reason as few rectangles: senders of the same receivers stand together.
fn grouped(found: Vec<Found>) -> Vec<Shift> {
    type Reason = (Turn, String, Option<Verdict>, Option<Verdict>, Vec<Cause>);
    let mut reasons: BTreeMap<Reason, Vec<Found>> = BTreeMap::new();
    for found in found {
        let Shift { turn, services, before, after, causes, .. } = &found.shift;
        // Where a machine is new or gone, its pairs belong together whatever lets them through.
        let is_there = before.is_some() && after.is_some();
        let causes = if is_there { causes.clone() } else { Vec::new() };
        let reason = (*turn, services.clone(), *before, *after, causes);
        reasons.entry(reason).or_default().push(found);
    }
    let mut shifts = Vec::new();
    for pairs in reasons.into_values() {
        let mut by_sender: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for pair in &pairs {
            by_sender.entry(pair.from.clone()).or_default().insert(pair.to.clone());
        }
        let mut rectangles: BTreeMap<BTreeSet<String>, Vec<String>> = BTreeMap::new();
        for (sender, receivers) in by_sender {
            rectangles.entry(receivers).or_default().push(sender);
        }
        for (receivers, senders) in rectangles {
            let of = |from: &str, to: &str| pairs.iter().find(|pair| pair.from == from && pair.to == to);
            let Some(first) = receivers.first().and_then(|to| of(&senders[0], to)) else { continue };
            let from = senders.iter().filter_map(|from| of(from, receivers.first()?));
            let to = receivers.iter().filter_map(|to| of(&senders[0], to));
            let mut shift = first.shift.clone();
            shift.from = from.flat_map(|pair| pair.shift.from.clone()).collect();
            shift.to = to.flat_map(|pair| pair.shift.to.clone()).collect();
            shifts.push(shift);
        }
    }
    shifts.sort_by(|a, b| (a.turn, &a.from, &a.to, &a.services).cmp(&(b.turn, &b.from, &b.to, &b.services)));
    shifts
}
