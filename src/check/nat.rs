//! Translations: do they hold together, and beside balancers with public addresses?
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
//! | a public address has a MAC of its own only where a machine's chassis answers for it | N0120 |

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{ElasticIpId, FloatingIp, Inside, Public, SubnetId, Transport, VpcId};
use crate::span::{Span, Spanned};

/// How a public address is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// By one host, for everything.
    Floating,
    /// As a source.
    Source,
    /// By ports of it.
    Ports,
}

/// Whoever uses a public address.
struct User<'m> {
    vpc: VpcId,
    public: &'m Spanned<Public>,
    how: Use,
    what: String,
}

/// What all kinds of translation have in common.
struct Rule<'m> {
    user: User<'m>,
    inside: &'m Spanned<Inside>,
}

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let rules = rules(ctx);
    for rule in &rules {
        families(ctx, rule);
    }
    let balancers = ctx.model.balancers.iter().filter_map(|balancer| {
        let (public, what) = (balancer.public.as_ref()?, format!("balancer `{}`", balancer.name));
        Some(User { vpc: balancer.vpc, public, how: Use::Ports, what })
    });
    let balancers: Vec<User<'_>> = balancers.collect();
    let mut users: Vec<&User<'_>> = rules.iter().map(|rule| &rule.user).chain(&balancers).collect();
    users.sort_by_key(|user| user.public.span);
    for user in &users {
        gateway(ctx, user);
        own_address(ctx, user);
        one_gateway(ctx, user);
    }
    shared(ctx, &users);
    sources(ctx, &rules);
    forwards(ctx);
    for floating in &ctx.model.floating_ips {
        distributed(ctx, floating);
    }
    macs(ctx);
}

/// Every translation, in the order of the input.
fn rules<'m>(ctx: &Ctx<'m>) -> Vec<Rule<'m>> {
    let model = ctx.model;
    let floating = model.floating_ips.iter().map(|rule| {
        let what = format!("floating IP `{}`", rule.name);
        let user = User { vpc: rule.vpc, public: &rule.public, how: Use::Floating, what };
        Rule { user, inside: &rule.inside }
    });
    let source = model.source_nats.iter().map(|rule| {
        let what = format!("source translation `{}`", rule.name);
        let user = User { vpc: rule.vpc, public: &rule.public, how: Use::Source, what };
        Rule { user, inside: &rule.inside }
    });
    let forward = model.port_forwards.iter().map(|rule| {
        let what = format!("port forward `{}`", rule.name);
        let user = User { vpc: rule.vpc, public: &rule.public, how: Use::Ports, what };
        Rule { user, inside: &rule.inside }
    });
    let mut rules: Vec<Rule<'_>> = floating.chain(source).chain(forward).collect();
    rules.sort_by_key(|rule| rule.user.public.span);
    rules
}

fn gateway(ctx: &mut Ctx<'_>, user: &User<'_>) {
    let model = ctx.model;
    let (vpc, external) = (model.vpc(user.vpc), model.external_of(user.public.value));
    if model.gateway_on(user.vpc, external).is_some() || !vpc.whole_exits {
        return;
    }
    let external = &model.subnet(external).name;
    let message = format!("{} is in VPC `{}`, which has no gateway on `{external}`", user.what, vpc.name);
    let diagnostic = Diagnostic::new(Code::NatWithoutGateway, user.public.span, message)
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
    let public = rule.user.public;
    let outside = ctx.assignment.public(public.value);
    let inside = ctx.assignment.inside(ctx.model, &rule.inside.value);
    let is_pair = |net: &IpNet| outside.iter().any(|a| a.is_ipv4() == net.addr().is_ipv4());
    if inside.is_empty() || outside.is_empty() || inside.iter().any(is_pair) {
        return;
    }
    let message = format!("{} has no family that is both inside and outside", rule.user.what);
    let families = |v4: bool| if v4 { "IPv4" } else { "IPv6" };
    ctx.report(
        Diagnostic::new(Code::FamilyMix, rule.inside.span, message)
            .at(format!("{} inside", families(inside[0].addr().is_ipv4())))
            .label(public.span, format!("{} outside", families(outside[0].is_ipv4()))),
    );
}

/// A gateway's address may be a source of its own VPC's packets and have ports forwarded, and no more.
fn own_address(ctx: &mut Ctx<'_>, user: &User<'_>) {
    let Public::Gateway(id) = user.public.value else { return };
    let owner = ctx.model.gateway(id).vpc;
    let problem = if owner != user.vpc {
        format!("belongs to VPC `{}`", ctx.model.vpc(owner).name)
    } else if user.how == Use::Floating {
        "has to answer for itself".to_owned()
    } else {
        return;
    };
    let message = format!("{} uses the address of a gateway, which {problem}", user.what);
    ctx.report(
        Diagnostic::new(Code::ElasticIpType, user.public.span, message)
            .help("declare an OvnEip of type `nat` for it"),
    );
}

fn shared(ctx: &mut Ctx<'_>, users: &[&User<'_>]) {
    let mut seen: BTreeMap<Public, Vec<&User<'_>>> = BTreeMap::new();
    for user in users.iter().filter(|user| matches!(user.public.value, Public::ElasticIp(_))) {
        let others = seen.entry(user.public.value).or_default();
        let is_floating = |user: &User<'_>| user.how == Use::Floating;
        let clash =
            others.iter().find(|other| other.vpc != user.vpc || is_floating(other) || is_floating(user));
        if let Some(other) = clash {
            let name = ctx.model.public_name(user.public.value);
            let why = if other.vpc == user.vpc {
                "a floating IP has its public address for itself"
            } else {
                "a public address is one router's"
            };
            let message = format!("{name} is used by {} and by {}", other.what, user.what);
            ctx.report(
                Diagnostic::new(Code::ElasticIpShared, user.public.span, message)
                    .label(other.public.span, other.what.clone())
                    .note(why)
                    .help("declare a public address for each"),
            );
        }
        others.push(user);
    }
}

/// Equal prefixes are equal priorities in OVN: either address may be the source.
fn sources(ctx: &mut Ctx<'_>, rules: &[Rule<'_>]) {
    let mut seen: BTreeMap<(VpcId, SubnetId, IpNet), (Span, &str)> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.user.how != Use::Ports) {
        let User { vpc, public, what, .. } = &rule.user;
        let external = ctx.model.external_of(public.value);
        for (_, inside) in ctx.assignment.pairs(ctx.model, public.value, &rule.inside.value) {
            let here = (*vpc, external, inside);
            let Some((first, other)) = seen.insert(here, (rule.inside.span, what)) else { continue };
            let host = inside.prefix_len() == inside.max_prefix_len();
            let shown = if host { inside.addr().to_string() } else { inside.to_string() };
            let message = format!("{shown} is translated by {other} and by {what}");
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
    }
}

/// Only a router with one gateway gives ports of a public address away.
fn one_gateway(ctx: &mut Ctx<'_>, user: &User<'_>) {
    let model = ctx.model;
    if user.how == Use::Ports && model.gateways_of(user.vpc).nth(1).is_some() {
        let vpc = &model.vpc(user.vpc).name;
        let message = format!("{} is in VPC `{vpc}`, which has several gateways", user.what);
        ctx.report(
            Diagnostic::new(Code::TargetLacks, user.public.span, message)
                .note("no OVN up to 26.03 forwards ports on a router with more than one gateway")
                .help("use a floating IP"),
        );
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

/// Where the gateway answers for an address, it does so with its own MAC.
fn macs(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let is_distributed =
        |rule: &FloatingIp| rule.distributed && ctx.assignment.machine(model, rule).is_some();
    let own: BTreeSet<Public> =
        model.floating_ips.iter().filter(|rule| is_distributed(rule)).map(|rule| rule.public.value).collect();
    for (at, eip) in model.elastic_ips.iter().enumerate() {
        let public = Public::ElasticIp(ElasticIpId(at));
        let Some(mac) = eip.mac.filter(|_| !own.contains(&public)) else { continue };
        let message = format!("the MAC address of {} has no effect", model.public_name(public));
        let note = "the gateway answers for the address, with its own";
        ctx.report(Diagnostic::new(Code::FieldWithoutEffect, mac.span, message).note(note));
    }
}
