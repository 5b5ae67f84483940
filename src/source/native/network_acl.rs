//! `northc.io/v1alpha1` NetworkAcl: what crosses the border of the subnets that name it.
//!
//! Rules are numbered, the first one that matches decides, and nobody remembers connections: what answers a
//! packet is judged like any other. Refuses to know who names it.

use super::filter_rule::{Logging, Written};
use super::{Declared, PrefixLists};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, Direction, Protocol, Verdict};
use crate::source::declare::{Cidr, Int, OneOrMore, Ports, Switch, Word, declare};
use crate::span::Spanned;

declare! {
    /// What crosses the border of the Subnets that name it: the rule of the lowest number that matches decides, what no rule matches is dropped, and replies need rules of their own. What stays within a subnet is not judged, nor what its gateway itself says.
    pub(crate) struct NetworkAcl "NetworkAcl.spec" {
        /// What may come into the subnets.
        "ingress" ingress: Vec<Spanned<NumberedRule>>,
        /// What may leave them.
        "egress" egress: Vec<Spanned<NumberedRule>>,
    }
}

declare! {
    /// Packets that pass, or do not.
    pub(crate) struct NumberedRule "a rule of a network ACL" {
        /// Its place: the lowest is asked first.
        "number" number: Int<1, 9999>,
        /// What they carry.
        "protocol" protocol: Option<Word<Protocol>> = "any",
        /// The ports that they go to: `443`, `8000-8080`.
        "ports" ports: OneOrMore<Ports> = "all",
        /// The ports that they come from.
        "sourcePorts" source_ports: OneOrMore<Ports> = "all",
        /// Who is at the other end: the source of what comes in, the destination of what leaves.
        "cidrs" cidrs: OneOrMore<Cidr> = "everybody",
        /// What happens to them.
        "action" action: Option<Word<Verdict>> = "allow",
        /// Whether they are logged; how, where it is a mapping. What leaves can't be: routers do not log.
        "log" log: Option<Switch<Logging>> = "false",
    }
}

/// The list; who names it is still unknown.
pub(super) fn network_acl(
    said: Declared<NetworkAcl>,
    lists: &PrefixLists,
    sink: &mut Sink,
) -> model::NetworkAcl {
    let mut rules = Vec::new();
    for (direction, said) in
        [(Direction::ToGuest, said.spec.ingress), (Direction::FromGuest, said.spec.egress)]
    {
        for Spanned { value: rule, span } in said {
            let log = if direction == Direction::FromGuest { unlogged(rule.log, sink) } else { rule.log };
            let written = Written {
                span,
                direction,
                priority: rule.number.0,
                protocol: rule.protocol,
                ports: rule.ports,
                source_ports: rule.source_ports,
                cidrs: rule.cidrs,
                groups: OneOrMore(Vec::new()),
                action: rule.action,
                log,
            };
            written.expand(lists, sink, &mut rules);
        }
    }
    model::NetworkAcl { name: said.name, whole: said.whole, rules }
}

/// Says that a rule for what leaves logs nothing.
fn unlogged(log: Option<Switch<Logging>>, sink: &mut Sink) -> Option<Switch<Logging>> {
    let span = match log? {
        Switch::Off => return None,
        Switch::On(span) => span,
        Switch::With(said) => said.span,
    };
    let message = "`log` has no effect on what leaves: OVN's routers, which judge it, log nothing";
    sink.push(
        Diagnostic::new(Code::FieldWithoutEffect, span, message)
            .help("log by a rule of a security group, at the interfaces"),
    );
    None
}
