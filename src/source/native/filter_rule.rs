//! A rule of a SecurityGroup or a NetworkAcl as it is written, and the rules of the model that it stands for.
//!
//! One rule of the model is about one peer, one range of ports and one version of IP. Refuses to look up groups.

use super::PrefixLists;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{
    Direction, Family, GroupRule, Log, PortRange, Protocol, Remote, Severity, Verdict, everything,
};
use crate::source::declare::{Cidr, Int, OneOrMore, Ports, Switch, Word, Words, declare};
use crate::span::{Span, Spanned};

impl Words for Protocol {
    const WORDS: &'static [(&'static str, Protocol)] = &[
        ("any", Protocol::Any),
        ("icmp", Protocol::Icmp),
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("sctp", Protocol::Sctp),
    ];
}

impl Words for Verdict {
    const WORDS: &'static [(&'static str, Verdict)] = &[("allow", Verdict::Allow), ("drop", Verdict::Drop)];
}

declare! {
    /// How a rule's packets are logged.
    pub(crate) struct Logging "log" {
        /// How much they matter.
        "severity" severity: Option<Word<Severity>> = "info",
        /// At most this many messages a second, on each chassis.
        "rate" rate: Option<Int<1, 4_294_967_295>> = "10",
    }
}

impl Words for Severity {
    const WORDS: &'static [(&'static str, Severity)] = &[
        ("alert", Severity::Alert),
        ("warning", Severity::Warning),
        ("notice", Severity::Notice),
        ("info", Severity::Info),
        ("debug", Severity::Debug),
    ];
}

/// How many messages a second a rule may cause that does not say.
const LOG_RATE: i64 = 10;

fn log(said: Option<Switch<Logging>>) -> Option<Spanned<Log>> {
    let (span, severity, rate) = match said? {
        Switch::Off => return None,
        Switch::On(span) => (span, None, None),
        Switch::With(said) => (said.span, said.value.severity, said.value.rate),
    };
    let severity = severity.map_or(Severity::Info, |word| word.0.value);
    let rate = rate.map_or(Spanned::new(LOG_RATE, span), |rate| rate.0);
    Some(Spanned::new(Log { severity, rate }, span))
}

/// A rule, not yet taken apart.
pub(super) struct Written {
    pub(super) span: Span,
    pub(super) direction: Direction,
    pub(super) priority: Spanned<i64>,
    pub(super) protocol: Option<Word<Protocol>>,
    pub(super) ports: OneOrMore<Ports>,
    pub(super) source_ports: OneOrMore<Ports>,
    pub(super) cidrs: OneOrMore<Cidr>,
    pub(super) groups: OneOrMore<Spanned<String>>,
    pub(super) action: Option<Word<Verdict>>,
    pub(super) log: Option<Switch<Logging>>,
}

impl Written {
    /// Adds what it stands for. Without peers it is about everybody.
    pub(super) fn expand(self, lists: &PrefixLists, sink: &mut Sink, rules: &mut Vec<GroupRule>) {
        let span = self.span;
        let protocol = self.protocol.map_or(Protocol::Any, |word| word.0.value);
        let first = self.ports.0.first().or(self.source_ports.0.first());
        if let Some(ports) = first.filter(|_| !protocol.has_ports()) {
            let message = "only TCP, UDP and SCTP have ports";
            sink.push(
                Diagnostic::new(Code::PortRange, ports.0.span, message)
                    .help("say which protocol; as it stands, the rule would be about every port"),
            );
            return;
        }
        let everybody = self.cidrs.0.is_empty() && self.groups.0.is_empty();
        let nets = lists.expand(self.cidrs.0, sink).into_iter().map(|net| (Family::of(net.value), net));
        let mut remotes: Vec<(Family, Remote)> =
            nets.map(|(family, net)| (family, Remote::Net(net))).collect();
        for family in [Family::V4, Family::V6] {
            if everybody {
                let all = everything(family == Family::V4);
                remotes.push((family, Remote::Net(Spanned::new(all, span))));
            }
            remotes.extend(self.groups.0.iter().map(|group| (family, Remote::Group(group.clone(), None))));
        }
        let (ports, source_ports) = (or_any(self.ports), or_any(self.source_ports));
        let log = log(self.log);
        let verdict = self.action.map_or(Spanned::new(Verdict::Allow, span), |action| action.0);
        for (family, remote) in remotes {
            for (ports, source_ports) in
                ports.iter().flat_map(|to| source_ports.iter().map(move |from| (to, from)))
            {
                rules.push(GroupRule {
                    span,
                    direction: self.direction,
                    priority: self.priority,
                    family,
                    protocol,
                    ports: *ports,
                    source_ports: *source_ports,
                    remote: copied(&remote),
                    local: None,
                    verdict,
                    log,
                });
            }
        }
    }
}

fn copied(remote: &Remote) -> Remote {
    match remote {
        Remote::Net(net) => Remote::Net(*net),
        Remote::Group(name, id) => Remote::Group(name.clone(), *id),
    }
}

/// Each range, or any port.
fn or_any(ports: OneOrMore<Ports>) -> Vec<Option<Spanned<PortRange>>> {
    if ports.0.is_empty() { vec![None] } else { ports.0.into_iter().map(|ports| Some(ports.0)).collect() }
}
