//! `northc.io/v1alpha1` SecurityGroup: what its members may receive and send.
//!
//! A rule says who is at the other end (`cidrs`, `securityGroups`, or everybody) and on which ports. It becomes
//! one rule of the model for each of its peers, ports and versions of IP. Refuses to look up groups.

use super::{Declared, PrefixLists};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, Direction, Family, GroupRule, PortRange, Protocol, Remote, Verdict, everything};
use crate::source::declare::{Cidr, Int, OneOrMore, Ports, Word, Words, declare};
use crate::span::Spanned;

declare! {
    /// What its members may receive and send; whatever no rule lets pass is dropped, and replies pass.
    pub(crate) struct SecurityGroup "SecurityGroup.spec" {
        /// What may reach members.
        "ingress" ingress: Vec<Spanned<Rule>>,
        /// What members may send.
        "egress" egress: Vec<Spanned<Rule>>,
        /// Whether members may talk to each other.
        "sameGroup" same_group: Option<Spanned<bool>> = "false",
        /// Whether members may speak VRRP.
        "vrrp" vrrp: Option<Spanned<bool>> = "false",
    }
}

declare! {
    /// Packets that pass, or do not.
    pub(crate) struct Rule "a rule of a security group" {
        /// What they carry.
        "protocol" protocol: Option<Word<Protocol>> = "any",
        /// The ports that they go to: `443`, `8000-8080`.
        "ports" ports: OneOrMore<Ports> = "all",
        /// The ports that they come from.
        "sourcePorts" source_ports: OneOrMore<Ports> = "all",
        /// Who is at the other end, by address.
        "cidrs" cidrs: OneOrMore<Cidr> = "everybody",
        /// Who is at the other end, by the SecurityGroup.
        "securityGroups" groups: OneOrMore<Spanned<String>>,
        /// What happens to them.
        "action" action: Option<Word<Verdict>> = "allow",
        /// Lower first.
        "priority" priority: Option<Int<1, 16384>> = "100",
    }
}

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

/// Where a rule that does not say stands.
const PRIORITY: i64 = 100;

/// The group; those that its rules mean are still names.
pub(super) fn group(
    said: Declared<SecurityGroup>,
    lists: &PrefixLists,
    sink: &mut Sink,
) -> model::SecurityGroup {
    let spec = said.spec;
    let mut rules = Vec::new();
    for (direction, said) in [(Direction::ToGuest, spec.ingress), (Direction::FromGuest, spec.egress)] {
        said.into_iter().for_each(|rule| expand(direction, rule, lists, sink, &mut rules));
    }
    let is_on = |field: Option<Spanned<bool>>| field.filter(|on| on.value).map(|on| on.span);
    model::SecurityGroup {
        name: said.name,
        tier: 0,
        tier_span: None,
        same_group: is_on(spec.same_group),
        vrrp: is_on(spec.vrrp),
        rules,
    }
}

fn expand(
    direction: Direction,
    said: Spanned<Rule>,
    lists: &PrefixLists,
    sink: &mut Sink,
    rules: &mut Vec<GroupRule>,
) {
    let (span, rule) = (said.span, said.value);
    let protocol = rule.protocol.map_or(Protocol::Any, |word| word.0.value);
    let first = rule.ports.0.first().or(rule.source_ports.0.first());
    if let Some(ports) = first.filter(|_| !protocol.has_ports()) {
        let message = "only TCP, UDP and SCTP have ports";
        sink.push(
            Diagnostic::new(Code::PortRange, ports.0.span, message)
                .help("say which protocol; as it stands, the rule would be about every port"),
        );
        return;
    }
    let everybody = rule.cidrs.0.is_empty() && rule.groups.0.is_empty();
    let nets = lists.expand(rule.cidrs.0, sink).into_iter().map(|net| (Family::of(net.value), net));
    let mut remotes: Vec<(Family, Remote)> = nets.map(|(family, net)| (family, Remote::Net(net))).collect();
    for family in [Family::V4, Family::V6] {
        if everybody {
            let all = everything(family == Family::V4);
            remotes.push((family, Remote::Net(Spanned::new(all, span))));
        }
        remotes.extend(rule.groups.0.iter().map(|group| (family, Remote::Group(group.clone(), None))));
    }
    let (ports, source_ports) = (or_any(rule.ports), or_any(rule.source_ports));
    let priority = rule.priority.map_or(Spanned::new(PRIORITY, span), |priority| priority.0);
    let verdict = rule.action.map_or(Spanned::new(Verdict::Allow, span), |action| action.0);
    for (family, remote) in remotes {
        for (ports, source_ports) in
            ports.iter().flat_map(|to| source_ports.iter().map(move |from| (to, from)))
        {
            rules.push(GroupRule {
                span,
                direction,
                priority,
                family,
                protocol,
                ports: *ports,
                source_ports: *source_ports,
                remote: copied(&remote),
                local: None,
                verdict,
            });
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
