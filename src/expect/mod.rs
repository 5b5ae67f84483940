//! Expectations held against rows: who must reach whom, and who must not.
//!
//! | expected | fails on packets that | machines have |
//! |---|---|---|
//! | reachable | may be lost, or not be answered | the routes that they are told |
//! | unreachable | may arrive | default routes: they can give themselves some |
//! | only | may arrive from others, or are of other services | likewise |
//!
//! Refuses to find out what names mean and where packets go; `reach` does.

pub mod show;

use serde_json::Value;

use crate::diag::{Code, Diagnostic};
use crate::model::{Expectation, Expected, PortRange, Protocol, Service};
use crate::progress;
use crate::reach::guest::ByHand;
use crate::reach::header::Header;
use crate::reach::judge::{Finding, Judge, Party, Place, Proto, Verdict, service};
use crate::reach::network::Network;
use crate::reach::parties::{everybody, name_of, outside, parties};
use crate::reach::set::{Set, Sets};
use crate::reach::show::{Writer, probe, services};
use crate::reach::walk::Step;
use crate::span::{SourceMap, Span, Spanned};

/// More places than this are not pointed at.
const PLACES_MAX: usize = 3;

/// What came of an expectation.
#[derive(Debug)]
pub struct Outcome<'e> {
    /// The expectation.
    pub expectation: &'e Expectation,
    /// How many pairs it is about.
    pub n_pairs: usize,
    /// Names that stand for nobody, and why.
    pub nobody: Vec<(Span, String)>,
    /// Pairs for which it does not hold; the first one is explained.
    pub broken: Vec<Failure>,
    /// Pairs for which it can't be said; likewise.
    pub open: Vec<Failure>,
}

/// A pair for which an expectation does not hold, or can't be said to.
#[derive(Debug)]
pub struct Failure {
    /// Who sends.
    pub from: String,
    /// Who is sent to.
    pub to: String,
    /// What becomes of the packets.
    pub verdict: Verdict,
    /// Their protocols and ports.
    pub services: String,
    /// One of them; `None` where there can be none.
    pub witness: Option<Header>,
    /// Why there is none then.
    pub nothing: &'static str,
    /// How it goes.
    pub way: Option<Way>,
}

/// How a packet goes, and by whose doing.
#[derive(Debug)]
pub struct Way {
    /// In words.
    pub text: String,
    /// For machines.
    pub document: Value,
    /// What decides, and where it is written.
    pub places: Vec<(Span, String)>,
}

/// Whether an expectation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It can't be said.
    Open,
}

/// Holds expectations against a network; `is_routed` gives every machine its default routes.
pub fn judge<'e>(
    expectations: &'e [Expectation],
    network: &Network,
    sources: &SourceMap,
    is_routed: bool,
) -> Vec<Outcome<'e>> {
    let _stage = tracing::info_span!("expectations").entered();
    let sets = Sets::default();
    let judge = |all| Judge::new(network, &sets, ByHand { all, ..ByHand::default() });
    let (mut told, mut routed) = (judge(is_routed), judge(true));
    let one = |expectation: &'e Expectation| {
        let is_told = expectation.expected.value == Expected::Reachable && !expectation.is_routed;
        let judge = if is_told { &mut told } else { &mut routed };
        Inquiry { judge, sources, expectation }.outcome()
    };
    progress::along(expectations.iter(), expectations.len()).map(one).collect()
}

struct Inquiry<'a, 'n, 'e> {
    judge: &'a mut Judge<'n>,
    sources: &'a SourceMap,
    expectation: &'e Expectation,
}

/// Packets of a pair that do not fare as expected.
struct Found {
    from: Party,
    to: Party,
    finding: Option<Finding>,
}

impl<'e> Inquiry<'_, '_, 'e> {
    fn outcome(mut self) -> Outcome<'e> {
        let expectation = self.expectation;
        let mut nobody = Vec::new();
        let except = self.parties(&expectation.except, &mut nobody);
        let sets = self.judge.sets;
        let from = without(sets, self.parties(&expectation.from, &mut nobody), &except);
        let to = self.parties(&expectation.to, &mut nobody);
        let no_name = [("from", &expectation.from), ("to", &expectation.to)];
        let no_name = no_name.into_iter().filter(|(_, names)| names.is_empty());
        nobody.extend(no_name.map(|(field, _)| (expectation.name.span, format!("`{field}` names nobody"))));
        if from.is_empty() && nobody.is_empty() {
            nobody.push((expectation.name.span, "`except` leaves nobody of `from`".to_owned()));
        }
        let mut outcome = Outcome { expectation, n_pairs: 0, nobody, broken: Vec::new(), open: Vec::new() };
        if !outcome.nobody.is_empty() {
            return outcome;
        }
        let (mut broken, mut open) = (Vec::new(), Vec::new());
        for (sender, set) in self.senders(from) {
            outcome.n_pairs += self.sender(&sender, set, &to, &mut broken, &mut open);
        }
        outcome.broken = self.failures(broken);
        outcome.open = self.failures(open);
        outcome
    }

    fn parties(&self, names: &[Spanned<String>], nobody: &mut Vec<(Span, String)>) -> Vec<Party> {
        let mut all: Vec<Party> = Vec::new();
        for name in names {
            match parties(self.judge, &name.value) {
                Ok(found) => found.into_iter().for_each(|party| add(self.judge.sets, &mut all, party)),
                Err(why) => nobody.push((name.span, why)),
            }
        }
        all
    }

    /// Who sends, and of what it is asked.
    fn senders(&self, from: Vec<Party>) -> Vec<(Party, Set)> {
        let sets = self.judge.sets;
        let said = self.expectation.services.iter().map(|said| set_of(sets, said.value));
        let everything = service(sets, None, None);
        let said = if self.expectation.services.is_empty() { everything } else { sets.any(said) };
        match self.expectation.expected.value {
            Expected::Reachable | Expected::Unreachable => {
                from.into_iter().map(|party| (party, said)).collect()
            }
            Expected::Only => {
                let all = everybody(self.judge).into_iter().chain(outside(self.judge));
                let others = all.map(|party| {
                    let own = from.iter().filter(|own| own.place == party.place).map(|own| own.sources);
                    let meant = sets.and(sets.any(own), said);
                    (party, sets.minus(everything, meant))
                });
                others.collect()
            }
        }
    }

    /// Judges what one sends to all others; how many they are.
    fn sender(
        &mut self,
        from: &Party,
        set: Set,
        receivers: &[Party],
        broken: &mut Vec<Found>,
        open: &mut Vec<Found>,
    ) -> usize {
        let sets = self.judge.sets;
        let everywhere = sets.any(receivers.iter().map(|to| to.known_to(from)));
        let sent = sets.and(sets.and(from.sources, everywhere), set);
        self.judge.walker.is_thorough = false;
        let requests = self.judge.requests(from, sent);
        let must_reach = self.expectation.expected.value == Expected::Reachable;
        let mut n_pairs = 0;
        for to in receivers.iter().filter(|to| to.place != from.place) {
            n_pairs += 1;
            let findings = self.judge.findings(from, to, &requests);
            let found = |finding| Found { from: from.clone(), to: to.clone(), finding };
            if findings.is_empty() && must_reach {
                broken.push(found(None));
            }
            for finding in findings {
                let is_broken = match must_reach {
                    true => finding.verdict != Verdict::Reachable,
                    false => finding.may_arrive(),
                };
                match finding.verdict {
                    Verdict::Undetermined => open.push(found(Some(finding))),
                    _ if is_broken => broken.push(found(Some(finding))),
                    _ => {}
                }
            }
        }
        n_pairs
    }

    /// In words; the first one with its way.
    fn failures(&mut self, found: Vec<Found>) -> Vec<Failure> {
        let mut failures = Vec::new();
        for Found { from, to, finding } in found {
            let network = self.judge.network;
            let names = (name_of(network, &from.place), name_of(network, &to.place));
            let set = finding.as_ref().map_or(Set::NONE, |finding| finding.set);
            let mut failure = Failure {
                from: names.0,
                to: names.1,
                verdict: finding.as_ref().map_or(Verdict::Blocked, |finding| finding.verdict),
                services: services(self.judge.sets, set),
                witness: finding.as_ref().map(|finding| finding.witness),
                nothing: self.judge.nothing(&from),
                way: None,
            };
            if let (true, Some(finding)) = (failures.is_empty(), finding) {
                let explained = self.judge.explain(&from, &to, finding.set);
                let explained = explained.into_iter().find(|it| it.verdict == finding.verdict);
                let finding = explained.unwrap_or(finding);
                failure.way = Some(self.way(&finding));
                failure.witness = Some(finding.witness);
            }
            failures.push(failure);
        }
        failures
    }

    fn way(&self, finding: &Finding) -> Way {
        let writer = Writer { judge: self.judge, sources: self.sources };
        let network = self.judge.network;
        let ways = finding.courses.iter().flat_map(|course| [Some(&course.request), course.answer.as_ref()]);
        let steps: Vec<Step> = ways.flatten().flat_map(|way| way.flow.path.steps()).collect();
        let is_stopped =
            finding.verdict != Verdict::Ambiguous && steps.iter().any(|step| matches!(step, Step::Stop(_)));
        let decides = |step: &&Step| match step {
            Step::Stop(_) => true,
            Step::Rule(_) | Step::Policy(_) | Step::Translated { .. } => !is_stopped,
            Step::In(_) | Step::Out(_) | Step::Connection(_) | Step::Router(_) | Step::Via { .. } => false,
        };
        let mut places: Vec<(Span, String)> = Vec::new();
        for step in steps.iter().filter(decides) {
            let (said, row) = writer.step(step, &finding.witness);
            if let Some(span) = network.row(row).origin
                && !places.iter().any(|(known, _)| *known == span)
            {
                places.push((span, said));
            }
        }
        places.truncate(PLACES_MAX);
        Way {
            text: writer.finding(finding, finding.set),
            document: writer.document(finding, finding.set),
            places,
        }
    }
}

/// Adds a party, or what is new of it.
fn add(sets: &Sets, all: &mut Vec<Party>, party: Party) {
    match all.iter_mut().find(|known| known.place == party.place && party.place != Place::Router) {
        Some(known) => {
            known.sources = sets.or(known.sources, party.sources);
            known.destinations = sets.or(known.destinations, party.destinations);
            known.public = sets.or(known.public, party.public);
        }
        None => all.push(party),
    }
}

/// Some, but for others.
fn without(sets: &Sets, mut some: Vec<Party>, others: &[Party]) -> Vec<Party> {
    for party in &mut some {
        for other in others.iter().filter(|other| other.place == party.place) {
            party.sources = sets.minus(party.sources, other.sources);
            party.destinations = sets.minus(party.destinations, other.destinations);
            party.public = sets.minus(party.public, other.public);
        }
    }
    some.retain(|party| !party.sources.is_none());
    some
}

/// The packets of a service.
pub fn set_of(sets: &Sets, said: Service) -> Set {
    let proto = match said.protocol {
        Protocol::Any => None,
        Protocol::Icmp => Some(Proto::Icmp),
        Protocol::Tcp => Some(Proto::Tcp),
        Protocol::Udp => Some(Proto::Udp),
        Protocol::Sctp => Some(Proto::Sctp),
    };
    service(sets, proto, said.ports.map(|PortRange { first, last }| (first, last)))
}

impl Outcome<'_> {
    /// Whether it holds.
    pub fn holds(&self) -> Holds {
        match (self.nobody.is_empty() && self.broken.is_empty(), self.open.is_empty()) {
            (false, _) => Holds::No,
            (true, false) => Holds::Open,
            (true, true) => Holds::Yes,
        }
    }

    /// What it comes to in a line; empty where it holds.
    pub fn summary(&self) -> String {
        if let Some((_, why)) = self.nobody.first() {
            return why.clone();
        }
        let failures = if self.broken.is_empty() { &self.open } else { &self.broken };
        let Some(first) = failures.first() else { return String::new() };
        let more = match failures.len() - 1 {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        format!("{}{more}", first.summary())
    }

    /// The same as diagnostics.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let Expectation { name, expected, .. } = self.expectation;
        let nobody = self.nobody.iter().map(|(span, why)| {
            Diagnostic::new(Code::ExpectationOfNobody, *span, format!("expectation `{name}`: {why}"))
        });
        let mut diagnostics: Vec<Diagnostic> = nobody.collect();
        let kinds = [
            (Code::ExpectationViolated, &self.broken, "does not hold"),
            (Code::ExpectationOpen, &self.open, "can't be judged"),
        ];
        for (code, failures, what) in kinds {
            let Some(first) = failures.first() else { continue };
            let message = format!("expectation `{name}` {what}: {}", first.summary());
            let mut diagnostic = Diagnostic::new(code, expected.span, message);
            if let Some(witness) = &first.witness {
                diagnostic = diagnostic.at(witness.to_string()).help(format!(
                    "`northc reach {} {} {}` tells the whole way",
                    first.from,
                    first.to,
                    probe(witness)
                ));
            }
            let places = first.way.iter().flat_map(|way| &way.places);
            for (span, said) in places {
                diagnostic = diagnostic.label(*span, said.clone());
            }
            if let Some(more) = failures.len().checked_sub(1).filter(|more| *more > 0) {
                let pairs =
                    failures[1..].iter().take(PLACES_MAX).map(|it| format!("{} → {}", it.from, it.to));
                let pairs = pairs.collect::<Vec<_>>().join(", ");
                let rest = if more > PLACES_MAX { ", …" } else { "" };
                diagnostic = diagnostic.note(format!("{more} more: {pairs}{rest}"));
            }
            diagnostics.push(diagnostic);
        }
        diagnostics
    }
}

impl Failure {
    /// Who, and what becomes of the packets.
    pub fn summary(&self) -> String {
        let Failure { from, to, verdict, services, witness, nothing, way: _ } = self;
        match witness {
            None => format!("{from} → {to} is {}: {nothing}", verdict.name()),
            Some(_) => format!("{from} → {to} is {} for {services}", verdict.name()),
        }
    }
}
