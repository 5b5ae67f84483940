//! Who may cross a subnet's border, and rules by hand.
//!
//! | rule | code |
//! |---|---|
//! | `allowSubnets` goes with `private`, and names other blocks than the own | N0507, N0514 |
//! | a private subnet that shuts out siblings of its VPC, or subnets of a peer, is mentioned | N0508, N0516 |
//! | private on a bridged subnet does not hold on the physical network | N0509 |
//! | bridged subnets of different VPCs on one physical network meet there | N0433 |
//! | `allowEWTraffic` goes with `acls` | N0511 |
//! | a rule's match is one that OVN takes, its priority is OVN's, its action the target's | N05…, N0429, N0601 |
//! | rules of one priority agree, or look at different packets; none stands there twice | N0506, N0512 |
//! | a rule does not drop DHCP, ARP or the gateway by the way, nor open what private shuts | N0510, N0515, N0513 |

use std::collections::{BTreeMap, BTreeSet};

use super::matching::{self, Place};
use super::{Ctx, addressing};
use crate::diag::{Code, Diagnostic};
use crate::model::{Acl, AclAction, Direction, Subnet, SubnetId};
use crate::nb::matching::{Expr, one_line};
use crate::priority::PRIVATE_DROP;

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for (id, subnet) in model.subnets() {
        border(ctx, id, subnet);
        peers(ctx, subnet);
        rules(ctx, subnet);
        if let (Some(span), true) = (subnet.allow_east_west, subnet.acls.is_empty()) {
            let message = "`allowEWTraffic` has no effect without `acls`";
            ctx.report(Diagnostic::new(Code::EastWestWithoutAcls, span, message));
        }
    }
    shared_physical(ctx);
}

fn border(ctx: &mut Ctx<'_>, id: SubnetId, subnet: &Subnet) {
    let Some(private) = subnet.private else {
        if let Some(first) = subnet.allow.first() {
            let message = format!("what subnet `{}` allows has no effect: it is not private", subnet.name);
            ctx.report(
                Diagnostic::new(Code::AllowWithoutPrivate, first.span, message).help("set `private: true`"),
            );
        }
        return;
    };
    for allowed in &subnet.allow {
        let own = subnet.blocks.iter().find(|b| b.cidr.value.contains(&allowed.value));
        if let Some(block) = own {
            let message =
                format!("{} is subnet `{}`'s own, which is always allowed", allowed.value, subnet.name);
            ctx.report(
                Diagnostic::new(Code::AllowOwnBlock, allowed.span, message)
                    .label(block.cidr.span, "its block"),
            );
        }
    }
    siblings(ctx, id, subnet, private);
    if subnet.underlay.is_some() {
        let message = format!(
            "subnet `{}` is bridged to a physical network, where `private` does not hold",
            subnet.name
        );
        let note = "hosts out there reach each other and the gateway without passing OVN";
        ctx.report(Diagnostic::new(Code::PrivateUnderlay, private, message).note(note));
    }
}

fn siblings(ctx: &mut Ctx<'_>, id: SubnetId, subnet: &Subnet, private: crate::span::Span) {
    let model = ctx.model;
    let others =
        ctx.by_vpc[subnet.vpc.0].iter().filter(|other| **other != id).map(|other| model.subnet(*other));
    let shut_out = |other: &&Subnet| {
        other.routed
            && other.blocks.iter().any(|b| {
                let allowed = subnet.allow.iter().any(|allow| addressing::overlap(allow.value, b.cidr.value));
                !allowed && subnet.block_for(b.cidr.value.addr()).is_some()
            })
    };
    let shut: Vec<&Subnet> = others.filter(shut_out).collect();
    if let Some(first) = shut.first() {
        let more = if shut.len() > 1 { format!(" and {} more", shut.len() - 1) } else { String::new() };
        let message = format!("private subnet `{}` shuts out subnet `{}`{more}", subnet.name, first.name);
        let diagnostic = Diagnostic::new(Code::PrivateMissesSibling, private, message);
        ctx.report(match first.blocks.first() {
            Some(block) => diagnostic.label(block.cidr.span, "not allowed by it").help(format!(
                "if it should, add {} to what it allows (`allowSubnets`, `allow`)",
                block.cidr.value
            )),
            None => diagnostic,
        });
    }
}

/// Peers whose subnets a private subnet shuts out.
fn peers(ctx: &mut Ctx<'_>, subnet: &Subnet) {
    let model = ctx.model;
    let Some(private) = subnet.private.filter(|_| subnet.routed) else { return };
    for peering in &model.vpc(subnet.vpc).peerings {
        let Some(remote) = peering.remote_id.filter(|remote| *remote != subnet.vpc) else { continue };
        let theirs = ctx.by_vpc[remote.0].iter().map(|id| model.subnet(*id)).filter(|s| s.routed);
        let mut shut = theirs.flat_map(|s| s.blocks.iter().map(move |b| (s, b))).filter(|(_, b)| {
            let allowed = subnet.allow.iter().any(|allow| addressing::overlap(allow.value, b.cidr.value));
            !allowed && subnet.block_for(b.cidr.value.addr()).is_some()
        });
        if let Some((other, block)) = shut.next() {
            let more = match shut.count() {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            let message = format!(
                "private subnet `{}` shuts out subnet `{}`{more} of peer `{}`",
                subnet.name, other.name, peering.remote
            );
            ctx.report(
                Diagnostic::new(Code::PrivateMissesPeer, private, message)
                    .label(block.cidr.span, "not allowed by it")
                    .help(format!(
                        "if it should, add {} to what it allows (`allowSubnets`, `allow`)",
                        block.cidr.value
                    )),
            );
        }
    }
}

fn place(direction: Direction) -> Place {
    match direction {
        Direction::FromGuest => Place::FromGuest,
        Direction::ToGuest => Place::ToGuest,
    }
}

/// Whether packets get through.
pub(super) fn lets_pass(action: AclAction) -> bool {
    match action {
        AclAction::Allow | AclAction::AllowRelated | AclAction::AllowStateless => true,
        AclAction::Drop | AclAction::Reject | AclAction::Pass => false,
    }
}

fn rules(ctx: &mut Ctx<'_>, subnet: &Subnet) {
    let mut rivals = Rivals::new();
    for acl in &subnet.acls {
        if !(0..=32767).contains(&acl.priority.value) {
            let message = format!("priority {} is outside 0 – 32767", acl.priority);
            ctx.report(Diagnostic::new(Code::PriorityRange, acl.priority.span, message));
        }
        if acl.action.value == AclAction::Pass && !ctx.target.has_acl_tiers() {
            let message = format!("`pass` needs OVN 23.06, the target is {}", ctx.target);
            ctx.report(
                Diagnostic::new(Code::TargetLacks, acl.action.span, message)
                    .help("name the OVN that you have with --ovn-version"),
            );
        }
        let expr = matching::check(ctx, &acl.matching, place(acl.direction));
        if expr.is_some() {
            drops_too_much(ctx, subnet, acl);
            overrides_private(ctx, subnet, acl);
        }
        rivals.entry((acl.direction, acl.priority.value)).or_default().push((acl, expr));
    }
    hits_gateway(ctx, subnet, &rivals);
    for rules in rivals.values() {
        ties(ctx, rules);
    }
}

/// The rules of each direction and priority.
type Rivals<'s> = BTreeMap<(Direction, i64), Vec<Rule<'s>>>;

/// Rules that drop what the gateway says or hears, where no higher one lets it pass.
fn hits_gateway(ctx: &mut Ctx<'_>, subnet: &Subnet, rivals: &Rivals<'_>) {
    if !subnet.routed {
        return;
    }
    for block in &subnet.blocks {
        let gateway = block.gateway.value;
        // Whether a rule above the one at hand lets the gateway pass; the highest priority first.
        let mut passes: BTreeSet<Direction> = BTreeSet::new();
        for ((direction, _), rules) in rivals.iter().rev() {
            for (acl, expr) in rules.iter().filter(|_| !passes.contains(direction)) {
                let names = expr.as_ref().is_some_and(|expr| matching::names_address(expr, gateway));
                if names && matches!(acl.action.value, AclAction::Drop | AclAction::Reject) {
                    let message = format!("this rule drops packets of the gateway {gateway}");
                    ctx.report(
                        Diagnostic::new(Code::AclHitsGateway, acl.matching.span, message)
                            .label(block.gateway.span, "the gateway")
                            .note("guests still send through it, but it can't answer them")
                            .help("allow the gateway's address at a higher priority"),
                    );
                }
            }
            let opens = |(acl, expr): &Rule<'_>| {
                lets_pass(acl.action.value)
                    && expr.as_ref().is_some_and(|expr| matching::names_address(expr, gateway))
            };
            if rules.iter().any(opens) {
                passes.insert(*direction);
            }
        }
    }
}

/// A rule, and what its match says if OVN takes it.
type Rule<'s> = (&'s Acl, Option<Expr>);

fn ties(ctx: &mut Ctx<'_>, rules: &[Rule<'_>]) {
    for (nth, (acl, expr)) in rules.iter().enumerate() {
        let text = one_line(&acl.matching.value);
        let twin = rules[..nth].iter().find(|(other, _)| {
            other.action.value == acl.action.value && one_line(&other.matching.value) == text
        });
        if let Some((twin, _)) = twin {
            let message = "the same rule stands here twice";
            ctx.report(
                Diagnostic::new(Code::AclTwice, acl.matching.span, message)
                    .label(twin.matching.span, "first here"),
            );
            continue;
        }
        let rival = rules[..nth].iter().find(|(other, rival)| {
            lets_pass(other.action.value) != lets_pass(acl.action.value)
                && matching::may_meet(expr.as_ref(), rival.as_ref())
        });
        if let Some((rival, _)) = rival {
            let message = format!("two rules of priority {} disagree, and may see one packet", acl.priority);
            ctx.report(
                Diagnostic::new(Code::AclTie, acl.priority.span, message)
                    .label(rival.priority.span, "the other")
                    .help("OVN may take either; give them different priorities"),
            );
        }
    }
}

/// Rules so wide that ARP or DHCP, without which a guest has no network, go with the rest.
fn drops_too_much(ctx: &mut Ctx<'_>, subnet: &Subnet, acl: &Acl) {
    if !matches!(acl.action.value, AclAction::Drop | AclAction::Reject) {
        return;
    }
    let text = one_line(&acl.matching.value);
    let dhcp = subnet.dhcp.is_some() && acl.direction == Direction::FromGuest;
    let (what, help) = match text.as_str() {
        "1" => ("ARP with everything else, so that no guest finds another", "match `ip` instead of `1`"),
        "ip" | "ip4" | "udp" if dhcp => (
            "what guests ask by DHCP",
            "allow `udp.dst == 67` (DHCPv6: `udp.dst == 547`) at a higher priority",
        ),
        _ => return,
    };
    let allowed = subnet.acls.iter().any(|other| {
        other.priority.value > acl.priority.value
            && other.direction == acl.direction
            && lets_pass(other.action.value)
            && ["67", "547", "dhcp", "arp"].iter().any(|word| other.matching.value.contains(word))
    });
    if !allowed {
        let message = format!("this rule drops {what}");
        ctx.report(Diagnostic::new(Code::AclHitsDhcp, acl.matching.span, message).help(help));
    }
}

/// A rule by hand above the drop of a private subnet opens its border.
fn overrides_private(ctx: &mut Ctx<'_>, subnet: &Subnet, acl: &Acl) {
    let Some(private) = subnet.private else { return };
    if lets_pass(acl.action.value)
        && acl.direction == Direction::ToGuest
        && acl.priority.value >= PRIVATE_DROP
    {
        let message = format!("this rule lets packets cross the border of private subnet `{}`", subnet.name);
        ctx.report(
            Diagnostic::new(Code::AclsMixed, acl.priority.span, message)
                .at(format!("stands above {PRIVATE_DROP}, where private drops"))
                .label(private, "private by this")
                .help("allow it there (`allowSubnets`, `allow`), or use a priority below 1000"),
        );
    }
}

/// What no VPC separates: subnets on one VLAN of one physical network.
fn shared_physical(ctx: &mut Ctx<'_>) {
    let mut seen: BTreeMap<(&str, Option<i64>), &Subnet> = BTreeMap::new();
    let model = ctx.model;
    for (_, subnet) in model.subnets() {
        let Some(underlay) = &subnet.underlay else { continue };
        let wire = (underlay.physical.value.as_str(), underlay.vlan.as_ref().map(|v| v.value));
        match seen.get(&wire).filter(|other| other.vpc != subnet.vpc) {
            Some(other) => {
                let message = format!(
                    "subnets `{}` and `{}` of different VPCs meet on physical network `{}`",
                    other.name, subnet.name, underlay.physical
                );
                ctx.report(
                    Diagnostic::new(Code::SharedPhysical, subnet.name.span, message)
                        .label(other.name.span, "the other")
                        .help("give them different VLANs if they must not reach each other"),
                );
            }
            None => {
                seen.entry(wire).or_insert(subnet);
            }
        }
    }
}
