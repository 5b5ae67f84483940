//! Translations: do they hold together?
//!
//! | rule | code |
//! |---|---|
//! | the VPC has a gateway on the public address's network | N0440 |
//! | inside and outside have a family in common | N0422 |
//! | a floating IP has its public address for itself; others share one within a VPC | N0444 |
//! | a floating IP is not a port's own address, nor another VPC's gateway's | N0447 |
//! | a source is translated once at a gateway | N0445 |
//! | a public port leads to one place, by a router with one gateway | N0446, N0601 |
//! | a floating IP is distributed only where the machine is known | N0448 |

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{FloatingIp, Inside, Public, SubnetId, Transport, VpcId};
use crate::span::{Span, Spanned};

/// How a public address is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// By one host, for everything.
    Floating,
    /// As a source.
    Source,
    /// By a port of it.
    Forward,
}

/// What all kinds of translation have in common.
struct Rule<'m> {
    vpc: VpcId,
    public: &'m Spanned<Public>,
    inside: &'m Spanned<Inside>,
    how: Use,
    what: String,
}

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let rules = rules(ctx);
    for rule in &rules {
        gateway(ctx, rule);
        families(ctx, rule);
        own_address(ctx, rule);
    }
    shared(ctx, &rules);
    sources(ctx, &rules);
    forwards(ctx);
    for floating in &ctx.model.floating_ips {
        distributed(ctx, floating);
    }
}

/// Every translation, in the order of the input.
fn rules<'m>(ctx: &Ctx<'m>) -> Vec<Rule<'m>> {
    let model = ctx.model;
    let floating = model.floating_ips.iter().map(|rule| {
        let what = format!("floating IP `{}`", rule.name);
        Rule { vpc: rule.vpc, public: &rule.public, inside: &rule.inside, how: Use::Floating, what }
    });
    let source = model.source_nats.iter().map(|rule| {
        let what = format!("source translation `{}`", rule.name);
        Rule { vpc: rule.vpc, public: &rule.public, inside: &rule.inside, how: Use::Source, what }
    });
    let forward = model.port_forwards.iter().map(|rule| {
        let what = format!("port forward `{}`", rule.name);
        Rule { vpc: rule.vpc, public: &rule.public, inside: &rule.inside, how: Use::Forward, what }
    });
    let mut rules: Vec<Rule<'_>> = floating.chain(source).chain(forward).collect();
    rules.sort_by_key(|rule| rule.public.span);
    rules
}

fn gateway(ctx: &mut Ctx<'_>, rule: &Rule<'_>) {
    let model = ctx.model;
    let (vpc, external) = (model.vpc(rule.vpc), model.external_of(rule.public.value));
    if model.gateway_on(rule.vpc, external).is_some() || !vpc.whole_exits {
        return;
    }
    let external = &model.subnet(external).name;
    let message = format!("{} is in VPC `{}`, which has no gateway on `{external}`", rule.what, vpc.name);
    let diagnostic = Diagnostic::new(Code::NatWithoutGateway, rule.public.span, message)
        .note("OVN would keep the rule and never apply it")
        .help(if external.value == "external" {
            "set `enableExternal: true` on the Vpc".to_owned()
        } else {
            format!("set `enableExternal: true` on the Vpc, with `extraExternalSubnets: [{external}]`")
        });
    ctx.report(match vpc.span {
        Some(span) => diagnostic.label(span, "the VPC"),
        None => diagnostic,
    });
}

fn families(ctx: &mut Ctx<'_>, rule: &Rule<'_>) {
    let outside = ctx.assignment.public(rule.public.value);
    let inside = ctx.assignment.inside(ctx.model, &rule.inside.value);
    let is_pair = |net: &IpNet| outside.iter().any(|a| a.is_ipv4() == net.addr().is_ipv4());
    if inside.is_empty() || outside.is_empty() || inside.iter().any(is_pair) {
        return;
    }
    let message = format!("{} has no family that is both inside and outside", rule.what);
    let families = |v4: bool| if v4 { "IPv4" } else { "IPv6" };
    ctx.report(
        Diagnostic::new(Code::FamilyMix, rule.inside.span, message)
            .at(format!("{} inside", families(inside[0].addr().is_ipv4())))
            .label(rule.public.span, format!("{} outside", families(outside[0].is_ipv4()))),
    );
}

/// A gateway's address may be a source of its own VPC's packets and have ports forwarded, and no more.
fn own_address(ctx: &mut Ctx<'_>, rule: &Rule<'_>) {
    let Public::Gateway(id) = rule.public.value else { return };
    let owner = ctx.model.gateway(id).vpc;
    let problem = if owner != rule.vpc {
        format!("belongs to VPC `{}`", ctx.model.vpc(owner).name)
    } else if rule.how == Use::Floating {
        "has to answer for itself".to_owned()
    } else {
        return;
    };
    let message = format!("{} uses the address of a gateway, which {problem}", rule.what);
    ctx.report(
        Diagnostic::new(Code::ElasticIpType, rule.public.span, message)
            .help("declare an OvnEip of type `nat` for it"),
    );
}

fn shared(ctx: &mut Ctx<'_>, rules: &[Rule<'_>]) {
    let mut users: BTreeMap<Public, Vec<&Rule<'_>>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| matches!(rule.public.value, Public::ElasticIp(_))) {
        let others = users.entry(rule.public.value).or_default();
        let is_floating = |rule: &Rule<'_>| rule.how == Use::Floating;
        let clash =
            others.iter().find(|other| other.vpc != rule.vpc || is_floating(other) || is_floating(rule));
        if let Some(other) = clash {
            let name = ctx.model.public_name(rule.public.value);
            let why = if other.vpc == rule.vpc {
                "a floating IP has its public address for itself"
            } else {
                "a public address is one router's"
            };
            let message = format!("{name} is used by {} and by {}", other.what, rule.what);
            ctx.report(
                Diagnostic::new(Code::ElasticIpShared, rule.public.span, message)
                    .label(other.public.span, other.what.clone())
                    .note(why)
                    .help("declare a public address for each"),
            );
        }
        others.push(rule);
    }
}

/// Equal prefixes are equal priorities in OVN: either address may be the source.
fn sources(ctx: &mut Ctx<'_>, rules: &[Rule<'_>]) {
    let mut seen: BTreeMap<(VpcId, SubnetId, IpNet), (Span, &str)> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.how != Use::Forward) {
        let external = ctx.model.external_of(rule.public.value);
        for (_, inside) in ctx.assignment.pairs(ctx.model, rule.public.value, &rule.inside.value) {
            let here = (rule.vpc, external, inside);
            let Some((first, other)) = seen.insert(here, (rule.inside.span, &rule.what)) else { continue };
            let host = inside.prefix_len() == inside.max_prefix_len();
            let shown = if host { inside.addr().to_string() } else { inside.to_string() };
            let message = format!("{shown} is translated by {other} and by {}", rule.what);
            ctx.report(
                Diagnostic::new(Code::NatTie, rule.inside.span, message)
                    .label(first, other.to_owned())
                    .note("OVN may take either public address for its packets")
                    .help("keep one of them"),
            );
        }
    }
}

fn forwards(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut seen: BTreeMap<(Public, Transport, u16), (Span, &str)> = BTreeMap::new();
    for rule in &model.port_forwards {
        let (protocol, port) = (rule.protocol, rule.public_port.value);
        if let Some((first, other)) =
            seen.insert((rule.public.value, protocol, port), (rule.public_port.span, &rule.name))
        {
            let name = model.public_name(rule.public.value);
            let message = format!("{protocol} port {port} of {name} is forwarded twice");
            let (first, second) = (first.min(rule.public_port.span), first.max(rule.public_port.span));
            ctx.report(
                Diagnostic::new(Code::ForwardTwice, second, message)
                    .label(first, "first here")
                    .help(format!("give `{}` or `{other}` another port", rule.name)),
            );
        }
        if model.gateways_of(rule.vpc).nth(1).is_some() {
            let vpc = &model.vpc(rule.vpc).name;
            let message =
                format!("port forward `{}` is in VPC `{vpc}`, which has several gateways", rule.name);
            ctx.report(
                Diagnostic::new(Code::TargetLacks, rule.public.span, message)
                    .note("no OVN up to 26.03 forwards ports on a router with more than one gateway")
                    .help("use a floating IP"),
            );
        }
    }
}

fn distributed(ctx: &mut Ctx<'_>, floating: &FloatingIp) {
    if !floating.distributed || ctx.assignment.machine(ctx.model, floating).is_some() {
        return;
    }
    let what = match floating.inside.value {
        Inside::Vip(_) => "a virtual address has no chassis of its own",
        Inside::Port(_) | Inside::Subnet(_) | Inside::Given(_) => "no interface in the input has the address",
    };
    let message =
        format!("floating IP `{}` is served by the gateway, not by a machine's chassis", floating.name);
    ctx.report(Diagnostic::new(Code::FloatingCentralized, floating.inside.span, message).note(what));
}
