//! QoS policies: does each thing have one, and can OVN be told its rates?
//!
//! | rule | code |
//! |---|---|
//! | rates and bursts are those that a meter can have; a mark has six bits | N0528, N0109 |
//! | there is room for the rules of a policy | N0429 |
//! | each thing has one policy a direction | N0461 |
//! | an interface with a policy on a subnet with one is mentioned | N0561 |
//! | a subnet has blocks, by which its guests' packets are known | N0120 |

use std::collections::{BTreeMap, BTreeSet};

use super::Ctx;
use super::filter::METER_RATES;
use crate::diag::{Code, Diagnostic};
use crate::model::{Direction, QosPolicy, QosTarget};
use crate::priority::QOS_RULES_MAX;
use crate::span::Span;

/// RFC 2474 §3.
const DSCP_MAX: i64 = 63;

type Seen<'m> = BTreeMap<(QosTarget, Direction), (Span, &'m QosPolicy)>;

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut seen = Seen::new();
    for policy in &model.qos_policies {
        values(ctx, policy);
        let directions: BTreeSet<Direction> = policy.rules.iter().map(|rule| rule.direction).collect();
        for target in &policy.targets {
            if let QosTarget::Subnet(id) = target.value {
                without_blocks(ctx, policy, id, target.span);
            }
            for direction in &directions {
                if let Some((span, other)) = seen.get(&(target.value, *direction)) {
                    let message = format!("{} and {} are for the same packets", other.name, policy.name);
                    ctx.report(
                        Diagnostic::new(Code::QosTwice, target.span, message)
                            .label(*span, "the other is for it too")
                            .help("write the rules of both into one policy, in the order in which they are asked"),
                    );
                    break;
                }
                seen.insert((target.value, *direction), (target.span, policy));
            }
        }
    }
    over_subnets(ctx, &seen);
}

fn values(ctx: &mut Ctx<'_>, policy: &QosPolicy) {
    for rule in &policy.rules {
        for rate in [rule.rate, rule.burst].into_iter().flatten() {
            if !METER_RATES.contains(&rate.value) {
                let message = format!("{rate} kilobits are no limit that a meter of OVN can have");
                let help = format!("give {} to {}", METER_RATES.start(), METER_RATES.end());
                ctx.report(Diagnostic::new(Code::MeterRate, rate.span, message).help(help));
            }
        }
        if let Some(dscp) = rule.dscp.filter(|dscp| !(0..=DSCP_MAX).contains(&dscp.value)) {
            let message = format!("`dscp` can't be {dscp}: the field has six bits");
            let help = format!("write a number up to {DSCP_MAX}, without the two bits of ECN");
            ctx.report(Diagnostic::new(Code::BadValue, dscp.span, message).help(help));
        }
    }
    if let Some(rule) = policy.rules.get(QOS_RULES_MAX) {
        let message = format!("{} has more than {QOS_RULES_MAX} rules", policy.name);
        ctx.report(Diagnostic::new(Code::PriorityRange, rule.span, message));
    }
}

fn without_blocks(ctx: &mut Ctx<'_>, policy: &QosPolicy, id: crate::model::SubnetId, span: Span) {
    let subnet = ctx.model.subnet(id);
    if subnet.blocks.is_empty() && subnet.whole {
        let message =
            format!("{} has no effect on subnet `{}`, which has no block", policy.name, subnet.name);
        ctx.report(
            Diagnostic::new(Code::FieldWithoutEffect, span, message)
                .note("its guests' packets are known by their addresses")
                .help("name its interfaces instead"),
        );
    }
}

/// The interface's own rules are asked first, and OVN asks no further than the first that matches.
fn over_subnets(ctx: &mut Ctx<'_>, seen: &Seen<'_>) {
    let model = ctx.model;
    for ((target, direction), (span, policy)) in seen {
        let QosTarget::Port(id) = target else { continue };
        let port = model.port(*id);
        let Some((other, of_subnet)) = seen.get(&(QosTarget::Subnet(port.subnet), *direction)) else {
            continue;
        };
        let message = format!("{} comes before {} for {}", policy.name, of_subnet.name, port.owner());
        ctx.report(
            Diagnostic::new(Code::QosShadowed, *span, message)
                .label(*other, "its subnet's")
                .note("a packet counts for the first rule that matches it: the subnet's rate does not limit the interface too"),
        );
    }
}
