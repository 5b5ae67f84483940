//! `northc.io/v1alpha1` SecurityGroup: what its members may receive and send.
//!
//! A rule says who is at the other end (`cidrs`, `securityGroups`, or everybody) and on which ports; what it
//! becomes, `filter_rule`. Refuses to look up groups.

use super::filter_rule::{Logging, Written};
use super::{Declared, PrefixLists};
use crate::diag::Sink;
use crate::model::{self, Direction, Protocol, Verdict};
use crate::source::declare::{Cidr, Int, OneOrMore, Ports, Switch, Word, declare};
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
        /// Whether they are logged; how, where it is a mapping.
        "log" log: Option<Switch<Logging>> = "false",
        /// Lower first.
        "priority" priority: Option<Int<1, 16384>> = "100",
    }
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
        for Spanned { value: rule, span } in said {
            let written = Written {
                span,
                direction,
                priority: rule.priority.map_or(Spanned::new(PRIORITY, span), |priority| priority.0),
                protocol: rule.protocol,
                ports: rule.ports,
                source_ports: rule.source_ports,
                cidrs: rule.cidrs,
                groups: rule.groups,
                action: rule.action,
                log: rule.log,
            };
            written.expand(lists, sink, &mut rules);
        }
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
