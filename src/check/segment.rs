//! What a large deployment asks of its segments and ports: multicast, addresses answered for, moves between chassis.
//!
//! | rule | code |
//! |---|---|
//! | numbers are those that OVN takes | N0109 |
//! | multicast is relayed between subnets that learn it | N0474 |
//! | an address that the router answers for is nobody's on the segment, and is one that OVN can answer for | N0475, N0601 |
//! | what waits for a guest on a further chassis has a further chassis | N0120 |
//! | a rule that refines natOutgoing is about sources of the subnet | N0476 |

use std::ops::RangeInclusive;

use super::{Ctx, addressing};
use crate::diag::{Code, Diagnostic};
use crate::model::{PortId, Subnet, Vpc, VpcId};
use crate::span::Spanned;

/// ovn-nb(5), Logical_Switch.other_config and Logical_Router.options.
const IDLE_TIMEOUT: RangeInclusive<i64> = 15..=3600;
const QUERY_INTERVAL: RangeInclusive<i64> = 1..=3600;
const TABLE_SIZE: RangeInclusive<i64> = 1..=32_766;
const NEIGHBOUR_AGE: RangeInclusive<i64> = 1..=4_294_967_295;

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut ports: Vec<Vec<PortId>> = vec![Vec::new(); model.subnets.len()];
    model.ports().for_each(|(id, port)| ports[port.subnet.0].push(id));
    for (id, vpc) in model.vpcs() {
        number(ctx, "neighborAge", vpc.router.neighbour_age, NEIGHBOUR_AGE);
        relay(ctx, id, vpc);
    }
    for (id, subnet) in model.subnets() {
        if let Some(snooping) = &subnet.snooping {
            number(ctx, "idleTimeout", snooping.idle_timeout, IDLE_TIMEOUT);
            number(ctx, "queryInterval", snooping.query_interval, QUERY_INTERVAL);
            number(ctx, "tableSize", snooping.table_size, TABLE_SIZE);
        }
        proxied(ctx, subnet, &ports[id.0]);
        refined(ctx, subnet);
    }
    for (_, port) in model.ports() {
        let Some(span) = port.activated.filter(|_| port.requested_chassis.len() < 2) else { continue };
        let message = "`activation` has no effect: it is for a second chassis, and there is none";
        ctx.report(
            Diagnostic::new(Code::FieldWithoutEffect, span, message)
                .help("name both in `requestedChassis`, the present one first"),
        );
    }
}

fn number(ctx: &mut Ctx<'_>, field: &str, said: Option<Spanned<i64>>, range: RangeInclusive<i64>) {
    let Some(said) = said.filter(|said| !range.contains(&said.value)) else { return };
    let message = format!("`{field}` takes {} to {}, not {said}", range.start(), range.end());
    ctx.report(Diagnostic::new(Code::BadValue, said.span, message));
}

/// OVN relays to and from switches that snoop.
fn relay(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc) {
    let model = ctx.model;
    let learning =
        ctx.by_vpc[id.0].iter().map(|id| model.subnet(*id)).filter(|s| s.routed && s.snooping.is_some());
    let n_learning = learning.count();
    let Some(span) = vpc.router.multicast_relay.filter(|_| n_learning < 2 && model.whole) else { return };
    let what = if n_learning == 0 { "no subnet" } else { "one subnet alone" };
    let message = format!("`multicastRelay` relays nothing: {what} of {} learns multicast", vpc.called());
    ctx.report(
        Diagnostic::new(Code::RelayIdle, span, message)
            .help("set `multicastSnooping: true` in the subnets that it is to join"),
    );
}

fn proxied(ctx: &mut Ctx<'_>, subnet: &Subnet, ports: &[PortId]) {
    let model = ctx.model;
    for net in &subnet.arp_proxy {
        if !subnet.routed {
            let message = format!("`arpProxy` has no effect: the router is not in subnet `{}`", subnet.name);
            ctx.report(Diagnostic::new(Code::FieldWithoutEffect, net.span, message));
            continue;
        }
        let is_host_v4 = net.value.addr().is_ipv4() && net.value.prefix_len() == 32;
        if !is_host_v4 && !ctx.target.has_proxied_networks() {
            let message =
                format!("OVN {} answers for single IPv4 addresses alone, not for {net}", ctx.target);
            ctx.report(
                Diagnostic::new(Code::TargetLacks, net.span, message)
                    .help("compile with `--ovn-version 23.06` or later, or list the addresses"),
            );
        }
        let gateway = subnet.blocks.iter().find(|block| net.value.contains(&block.gateway.value));
        let port = ports.iter().find(|port| {
            ctx.assignment.port(**port).addresses.iter().any(|address| net.value.contains(address))
        });
        let taken = match (gateway, port) {
            (Some(block), _) => Some(("the gateway's".to_owned(), block.gateway.span)),
            (None, Some(port)) => Some((format!("{}'s", model.port(*port).owner()), model.port(*port).span)),
            (None, None) => None,
        };
        if let Some((whose, span)) = taken {
            let message =
                format!("the router can't answer for {net} on subnet `{}`: it is {whose}", subnet.name);
            ctx.report(
                Diagnostic::new(Code::ProxyTaken, net.span, message)
                    .label(span, "who answers for itself")
                    .help("leave out what is on the segment"),
            );
        }
    }
}

fn refined(ctx: &mut Ctx<'_>, subnet: &Subnet) {
    for rule in &subnet.nat_rules {
        let is_here = |net: &Spanned<ipnet::IpNet>| {
            subnet.blocks.iter().any(|block| addressing::overlap(block.cidr.value, net.value))
        };
        let Some(first) = rule.sources.first() else { continue };
        if rule.sources.iter().any(is_here) || !subnet.whole {
            continue;
        }
        let message = format!("no packet from subnet `{}` has a source in {first}", subnet.name);
        let diagnostic = Diagnostic::new(Code::NatRuleIdle, first.span, message);
        ctx.report(match subnet.blocks.first() {
            Some(block) => diagnostic.label(block.cidr.span, "its block"),
            None => diagnostic,
        });
    }
}
