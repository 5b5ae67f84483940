//! Network ACLs: do their rules say something, can connections live by them, is there a border to stand at?
//!
//! | rule | code |
//! |---|---|
//! | a rule's number is one that there is room for, and its own | N0429, N0524 |
//! | the rules before it leave something to a rule | N0519 |
//! | what is let pass in one direction can be answered in the other | N0526 |
//! | what is logged has a limit that a meter can have | N0528 |
//! | a subnet names it | N0527 |
//! | a subnet that names it has a border that OVN sees, the router's port | N0525 |
//! | `acls` of the subnet don't come before it or after it | N0523 |
//! | policies of the VPC can come after it in the target | N0601 |
//!
//! Names are `resolve`'s business, families and ports the reader's.

use std::collections::{BTreeMap, BTreeSet};

use super::Ctx;
use super::addressing::overlap;
use super::filter::{covers, log_rates, meet};
use crate::diag::{Code, Diagnostic};
use crate::model::{
    Acl, Direction, Family, GroupRule, NetworkAcl, NetworkAclId, PortRange, Protocol, Remote, Subnet, Verdict,
};
use crate::priority::{NETWORK_ACL_GATEWAY, NETWORK_ACL_RULES};
use crate::span::{Span, Spanned};

/// Ports that the side takes which begins (RFC 6335 §6, and those that Linux takes).
const EPHEMERAL: PortRange = PortRange { first: 32_768, last: 60_999 };

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut families: BTreeMap<NetworkAclId, BTreeSet<Family>> = BTreeMap::new();
    for subnet in &model.subnets {
        let Some(named) = subnet.network_acl else { continue };
        let own = subnet.blocks.iter().map(|block| Family::of(block.cidr.value));
        families.entry(named.value).or_default().extend(own);
        border(ctx, subnet, named.span);
        beside_acls(ctx, subnet, named.span);
        beside_policies(ctx, subnet, named.span);
    }
    for (at, list) in model.network_acls.iter().enumerate() {
        numbers(ctx, list);
        log_rates(ctx, list.rules.iter());
        shadowed(ctx, list);
        match families.get(&NetworkAclId(at)) {
            Some(families) if list.whole => one_way(ctx, list, families),
            Some(_) => {}
            None if !model.whole => {}
            None => {
                let message = format!("no subnet names network ACL `{}`", list.name);
                let help = "name it in `networkAcl` of a Subnet";
                ctx.report(Diagnostic::new(Code::NetworkAclUnused, list.name.span, message).help(help));
            }
        }
    }
}

fn border(ctx: &mut Ctx<'_>, subnet: &Subnet, named: Span) {
    if !subnet.whole || subnet.routed && subnet.underlay.is_none() {
        return;
    }
    let message = format!("what crosses the border of subnet `{}` does not pass by its router", subnet.name);
    let diagnostic = Diagnostic::new(Code::NetworkAclNowhere, named, message)
        .help("filter by security groups, which stand at every interface");
    ctx.report(match &subnet.underlay {
        Some(underlay) => diagnostic.label(underlay.physical.span, "it is bridged to a physical network"),
        None => diagnostic,
    });
}

/// Rules by hand are asked at one place with those of the network ACL: the higher number has the last word.
fn beside_acls(ctx: &mut Ctx<'_>, subnet: &Subnet, named: Span) {
    let meets = |acl: &&Acl| acl.direction == Direction::FromGuest && !acl.matching.value.contains("inport");
    for acl in subnet.acls.iter().filter(meets) {
        let (message, help) = if acl.priority.value > NETWORK_ACL_GATEWAY {
            (
                "this rule comes before the subnet's network ACL, where it matches what the router sends",
                "below",
            )
        } else {
            ("this rule is not asked for what the router sends, of which the network ACL decides", "above")
        };
        ctx.report(
            Diagnostic::new(Code::NetworkAclMixed, acl.priority.span, message)
                .label(named, format!("stands at 30999 – 21000, {help} it"))
                .help(
                    "make it a rule of the network ACL or of a security group, or tie its match to `inport`",
                ),
        );
    }
}

/// A rule that lets pass must leave the packet to the policies by hand.
fn beside_policies(ctx: &mut Ctx<'_>, subnet: &Subnet, named: Span) {
    let Some(policy) = ctx.model.vpc(subnet.vpc).policy_routes.first() else { return };
    if ctx.target.has_policy_chains() {
        return;
    }
    let message = format!(
        "a network ACL in a VPC with policies needs chains of policies, OVN 25.03; the target is {}",
        ctx.target
    );
    ctx.report(
        Diagnostic::new(Code::TargetLacks, named, message)
            .label(policy.span, "a packet that the network ACL lets leave would not get here")
            .help("name the OVN that you have with --ovn-version, or filter by security groups"),
    );
}

fn numbers(ctx: &mut Ctx<'_>, list: &NetworkAcl) {
    let mut seen: BTreeMap<(Direction, i64), &GroupRule> = BTreeMap::new();
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for rule in &list.rules {
        if !NETWORK_ACL_RULES.contains(&rule.priority.value) && told.insert(rule.span) {
            let (first, last) = (NETWORK_ACL_RULES.start(), NETWORK_ACL_RULES.end());
            let message = format!("number {} is outside {first} – {last}", rule.priority);
            ctx.report(Diagnostic::new(Code::PriorityRange, rule.priority.span, message));
        }
        let first = seen.entry((rule.direction, rule.priority.value)).or_insert(rule);
        if first.span != rule.span && told.insert(rule.span) {
            let message = format!("two rules of network ACL `{}` have number {}", list.name, rule.priority);
            ctx.report(
                Diagnostic::new(Code::NetworkAclNumber, rule.priority.span, message)
                    .label(first.priority.span, "the other")
                    .help("number them in the order in which they are to be asked"),
            );
        }
    }
}

/// Rules of which everything that they stand for is taken by others before.
fn shadowed(ctx: &mut Ctx<'_>, list: &NetworkAcl) {
    let mut parts: BTreeMap<Span, Vec<&GroupRule>> = BTreeMap::new();
    for rule in &list.rules {
        parts.entry(rule.span).or_default().push(rule);
    }
    for (span, parts) in parts {
        let above = |part: &&GroupRule| {
            let takes =
                |other: &&GroupRule| other.priority.value < part.priority.value && covers(other, part);
            list.rules.iter().find(takes)
        };
        let takers: Option<Vec<&GroupRule>> = parts.iter().map(above).collect();
        if let Some(taker) = takers.and_then(|takers| takers.first().copied()) {
            let message = format!("no packet is left to this rule of network ACL `{}`", list.name);
            ctx.report(
                Diagnostic::new(Code::GroupRuleShadowed, span, message)
                    .label(taker.span, format!("takes them, as number {}", taker.priority))
                    .help("give it a lower number, or take it out"),
            );
        }
    }
}

/// Rules that let connections begin of which no answer comes back.
fn one_way(ctx: &mut Ctx<'_>, list: &NetworkAcl, families: &BTreeSet<Family>) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for rule in &list.rules {
        let begins = match rule.protocol {
            Protocol::Any | Protocol::Tcp | Protocol::Sctp => !is_for_answers(list, rule),
            Protocol::Icmp | Protocol::Udp => false,
        };
        let asks = rule.verdict.value == Verdict::Allow && begins && families.contains(&rule.family);
        if !asks || list.rules.iter().any(|other| answers(other, rule)) || !told.insert(rule.span) {
            continue;
        }
        let (passes, other) = match rule.direction {
            Direction::ToGuest => ("comes in", "egress"),
            Direction::FromGuest => ("leaves", "ingress"),
        };
        let message = format!("what {passes} by this rule can't be answered");
        let ports = rule.ports.map_or(String::new(), |ports| format!(" from {}", shown(ports.value)));
        let help = format!("let answers{ports} to ports 1024-65535 pass by a rule of `{other}`");
        ctx.report(
            Diagnostic::new(Code::NetworkAclOneWay, rule.span, message)
                .note("a network ACL does not remember connections")
                .help(help),
        );
    }
}

/// A rule for high ports alone, or one that answers another rule, is no beginning.
fn is_for_answers(list: &NetworkAcl, rule: &GroupRule) -> bool {
    let is_high = |ports: Spanned<PortRange>| ports.value.first >= 1024 && ports.value.last >= EPHEMERAL.last;
    rule.ports.is_some_and(is_high) || list.rules.iter().any(|other| answers(rule, other))
}

/// Whether a rule lets some answer pass to what the other one lets pass.
fn answers(answer: &GroupRule, rule: &GroupRule) -> bool {
    let (Remote::Net(from), Remote::Net(to)) = (&answer.remote, &rule.remote) else { return false };
    let or_ephemeral = |ports: Option<Spanned<PortRange>>| ports.or(Some(Spanned::new(EPHEMERAL, rule.span)));
    answer.direction != rule.direction
        && answer.family == rule.family
        && (answer.verdict.value, rule.verdict.value) == (Verdict::Allow, Verdict::Allow)
        && (answer.protocol == rule.protocol || [answer.protocol, rule.protocol].contains(&Protocol::Any))
        && overlap(from.value, to.value)
        && meet(answer.ports, or_ephemeral(rule.source_ports))
        && meet(answer.source_ports, rule.ports)
}

fn shown(ports: PortRange) -> String {
    match ports.first == ports.last {
        true => format!("port {}", ports.first),
        false => format!("ports {}-{}", ports.first, ports.last),
    }
}
