//! Watched next hops: can OVN watch them, and does everybody who asks for that mean the same?
//!
//! | rule | code |
//! |---|---|
//! | a next hop that is watched is on an external network of the VPC | N0472 |
//! | one next hop is watched with one set of times | N0473 |
//! | policies have watched next hops where OVN has such | N0601 |

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{Bfd, NextHop, PolicyRoute, VpcId};
use crate::span::Spanned;

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for (id, vpc) in model.vpcs() {
        let mut sessions = Sessions::new();
        for route in &vpc.static_routes {
            let Some(bfd) = &route.bfd else { continue };
            if let Some(hop) = ctx.assignment.next_hop(route) {
                watched(ctx, id, bfd, &Spanned::new(hop, route.next_hop.span), &mut sessions);
            } else if route.next_hop.value == NextHop::Discard {
                let message = "packets that are dropped have no next hop to watch";
                let diagnostic = Diagnostic::new(Code::BfdNowhere, bfd.span, message);
                ctx.report(diagnostic.label(route.next_hop.span, "dropped"));
            }
        }
        for policy in &vpc.policy_routes {
            let Some(bfd) = &policy.bfd else { continue };
            target(ctx, policy, bfd);
            for hop in &policy.next_hops {
                watched(ctx, id, bfd, hop, &mut sessions);
            }
        }
    }
}

fn target(ctx: &mut Ctx<'_>, policy: &PolicyRoute, bfd: &Bfd) {
    if !ctx.target.has_policy_bfd() {
        let message = format!("OVN {} watches no next hops of policies; 24.03 does", ctx.target);
        ctx.report(
            Diagnostic::new(Code::TargetLacks, bfd.span, message)
                .label(policy.action.span, "the policy")
                .help("compile with `--ovn-version 24.03` or later, or let a static route lead there"),
        );
    }
}

/// Watched next hops of a router.
type Sessions<'m> = BTreeMap<IpAddr, &'m Bfd>;

/// OVN sends BFD packets from the chassis of a gateway, and has one session a port and next hop.
fn watched<'m>(
    ctx: &mut Ctx<'m>,
    id: VpcId,
    bfd: &'m Bfd,
    hop: &Spanned<IpAddr>,
    sessions: &mut Sessions<'m>,
) {
    let vpc = ctx.model.vpc(id);
    if ctx.model.gateway_towards(id, hop.value).is_none() {
        if vpc.whole_exits && ctx.model.whole {
            let message = format!("next hop {hop} is on no external network of {}", vpc.called());
            ctx.report(
                Diagnostic::new(Code::BfdNowhere, bfd.span, message)
                    .at("can't be watched")
                    .label(hop.span, "the next hop")
                    .note("OVN sends BFD packets from a gateway's chassis; a router's other ports are on all of them"),
            );
        }
        return;
    }
    let first = *sessions.entry(hop.value).or_insert(bfd);
    if first.times() != bfd.times() {
        let message = format!("next hop {hop} is watched in two ways");
        ctx.report(
            Diagnostic::new(Code::BfdDiffers, bfd.span, message)
                .label(first.span, "the other")
                .help("OVN has one session with a next hop: give both the same times"),
        );
    }
}
