//! Balancers: do they have an address to themselves, and backends that they can reach?
//!
//! | rule | code |
//! |---|---|
//! | an address inside is nobody else's, and a guest that takes it for a neighbour's is answered | N0452, N0601 |
//! | an address and port is one balancer's, wherever both are | N0453, N0446 |
//! | backends are routed to in the balancer's own VPC; clients are its peers | N0454 |
//! | each address has a backend of its family, if there are backends | N0422 |
//! | a backend that is to be watched is an interface, and speaks TCP or UDP | N0456 |
//! | its name has no colon, up to which OVN reads it (ovn-nb(5), `ip_port_mappings`) | N0113 |
//! | no rule lets guests' packets pass without a look at connections | N0457 |
//!
//! Public addresses are judged with the other translations (`nat`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Ctx, addressing};
use crate::diag::{Code, Diagnostic};
use crate::model::{AclAction, Backend, Balancer, Family, PortId, SubnetId, Transport, VpcId};
use crate::span::{Span, Spanned};

/// An address and port of a VPC.
type Socket = (VpcId, IpAddr, Transport, u16);

/// Interfaces by VPC and address.
type Ports = BTreeMap<(VpcId, IpAddr), PortId>;

/// The release whose `arp_proxy` answers for IPv6 (ovn `NEWS`).
const ND_PROXY: (u16, u16) = (23, 6);

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    twice(ctx);
    let ports = ctx.assignment.ports_by_address(model);
    let mut bypassed = BTreeMap::new();
    for balancer in &model.balancers {
        for address in &balancer.addresses {
            inside(ctx, &ports, balancer, address);
        }
        clients(ctx, balancer);
        for backend in &balancer.backends {
            reachable(ctx, balancer, backend);
        }
        families(ctx, balancer);
        watched(ctx, &ports, balancer);
        for (id, _) in model.served_subnets(balancer) {
            bypassed.entry(id).or_insert(balancer);
        }
    }
    for (id, balancer) in bypassed {
        stateless(ctx, id, balancer);
    }
}

/// One address and port of a VPC is one balancer's, or one port forward's.
fn twice(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut seen: BTreeMap<Socket, (Span, String, Code)> = BTreeMap::new();
    for forward in &model.port_forwards {
        for address in ctx.assignment.public(forward.public.value) {
            let socket = (forward.vpc, *address, forward.protocol, forward.public_port.value);
            let what = format!("port forward `{}`", forward.name);
            seen.insert(socket, (forward.public_port.span, what, Code::ForwardTwice));
        }
    }
    for balancer in &model.balancers {
        let what = format!("balancer `{}`", balancer.name);
        for address in ctx.assignment.balanced(balancer) {
            for (vpc, listener) in
                balancer.vpcs().into_iter().flat_map(|vpc| balancer.listeners.iter().map(move |l| (vpc, l)))
            {
                let socket = (vpc, address.value, listener.protocol, listener.port.value);
                let here = listener.port.span;
                let Some((first, other, code)) = seen.get(&socket) else {
                    seen.insert(socket, (here, what.clone(), Code::BalancerTwice));
                    continue;
                };
                if *first == here {
                    continue;
                }
                let message = format!(
                    "{} port {} of {address} is {other}'s and {what}'s in VPC `{}`",
                    listener.protocol,
                    listener.port,
                    model.vpc(vpc).name
                );
                let (first, second) = (*first.min(&here), *first.max(&here));
                let diagnostic = Diagnostic::new(*code, second, message)
                    .label(first, "first here")
                    .note("OVN may take either for a connection")
                    .help("give one of them another port or address");
                ctx.report(diagnostic);
            }
        }
    }
}

/// An address inside: nobody else's, in none of the VPCs that can use it.
fn inside(ctx: &mut Ctx<'_>, ports: &Ports, balancer: &Balancer, address: &Spanned<IpAddr>) {
    let model = ctx.model;
    let refuse = |why: String| {
        Diagnostic::new(
            Code::BalancerAddress,
            address.span,
            format!("{address} of balancer `{}` {why}", balancer.name),
        )
    };
    if let Some((range, what)) = addressing::special(IpNet::from(address.value)) {
        return ctx.report(refuse(format!("is not for hosts: {range} is {what}")));
    }
    for vpc in balancer.vpcs() {
        let name = &model.vpc(vpc).name;
        let link = |peering: &crate::model::Peering| {
            peering.addresses.iter().find(|link| link.value.contains(&address.value)).map(|link| link.span)
        };
        if let Some(span) = model.vpc(vpc).peerings.iter().find_map(link) {
            return ctx
                .report(refuse(format!("is on a peering link of VPC `{name}`")).label(span, "the link"));
        }
        let on_external = model.gateways_of(vpc).find_map(|(_, gateway)| {
            let block = model.subnet(gateway.external).block_for(address.value)?;
            block.cidr.value.contains(&address.value).then_some((gateway.external, block.cidr.span))
        });
        if let Some((external, span)) = on_external {
            let why = format!("is on external network `{}`", model.subnet(external).name);
            return ctx.report(
                refuse(why)
                    .label(span, "its block")
                    .help("declare an ElasticIp for it, and name that in `elasticIp`"),
            );
        }
        let Some(around) = model.subnet_around(&ctx.by_vpc[vpc.0], address.value) else { continue };
        if let Some(diagnostic) = in_subnet(ctx, ports, balancer, address, around, &refuse) {
            return ctx.report(diagnostic);
        }
    }
}

/// What is wrong with an address that lies in a subnet's block.
fn in_subnet(
    ctx: &Ctx<'_>,
    ports: &Ports,
    balancer: &Balancer,
    address: &Spanned<IpAddr>,
    id: SubnetId,
    refuse: &impl Fn(String) -> Diagnostic,
) -> Option<Diagnostic> {
    let model = ctx.model;
    let subnet = model.subnet(id);
    let block = subnet.block_for(address.value)?;
    let name = &subnet.name;
    if subnet.vpc != balancer.vpc {
        let why = format!("lies in subnet `{name}` of VPC `{}`, a client", model.vpc(subnet.vpc).name);
        let diagnostic = refuse(why).label(block.cidr.span, "its block");
        return Some(diagnostic.note("its guests would look for a neighbour there, and nobody answers"));
    }
    if !subnet.routed {
        let why = format!("lies in subnet `{name}`, where no router answers for it");
        let diagnostic = refuse(why).label(block.cidr.span, "its block");
        return Some(diagnostic.help("choose an address outside of every subnet"));
    }
    if address.value == block.gateway.value {
        let why = format!("is the gateway of subnet `{name}`");
        return Some(refuse(why).label(block.gateway.span, "the gateway"));
    }
    if let Some(what) = addressing::no_host(block.cidr.value, address.value) {
        let why = format!("is the {what} of subnet `{name}`");
        return Some(refuse(why).label(block.cidr.span, "its block"));
    }
    if let Some(id) = ports.get(&(balancer.vpc, address.value)) {
        let port = model.port(*id);
        let span = port.addresses.iter().find(|a| a.value == address.value).map_or(port.span, |a| a.span);
        return Some(refuse(format!("is that of {}", port.owner())).label(span, "the other"));
    }
    let held = |(at, vip): &(usize, &crate::model::Vip)| {
        vip.subnet == id && !vip.parents.is_empty() && ctx.assignment.vip(*at).contains(&address.value)
    };
    if let Some((_, vip)) = model.vips.iter().enumerate().find(held) {
        let why = format!("is the virtual address `{}`, which workloads hold", vip.name);
        return Some(refuse(why).label(vip.span, "the other"));
    }
    if address.value.is_ipv6() && !ctx.target.is_at_least(ND_PROXY) {
        let message = format!("{address} of balancer `{}` lies in subnet `{name}`", balancer.name);
        return Some(
            Diagnostic::new(Code::TargetLacks, address.span, message)
                .note("before OVN 23.06 no router answers for an IPv6 address that is not its own")
                .help("choose an address outside of every subnet"),
        );
    }
    None
}

/// A client's packets reach backends by the peering.
fn clients(ctx: &mut Ctx<'_>, balancer: &Balancer) {
    let model = ctx.model;
    let vpc = model.vpc(balancer.vpc);
    for client in &balancer.clients {
        let name = &model.vpc(client.value).name;
        if client.value == balancer.vpc {
            let message = format!("VPC `{name}` is balancer `{}`'s own and can use it anyway", balancer.name);
            ctx.report(Diagnostic::new(Code::FieldWithoutEffect, client.span, message));
            continue;
        }
        let is_peer = model.neighbourhood(balancer.vpc).any(|vpc| vpc == client.value);
        if is_peer || !vpc.whole_links {
            continue;
        }
        let message = format!("VPC `{name}` can't use balancer `{}`: it is no peer", balancer.name);
        ctx.report(
            Diagnostic::new(Code::BalancerStrays, client.span, message)
                .note(format!("the backends are in VPC `{}`", vpc.name))
                .help(format!("peer `{}` with `{name}`", vpc.name)),
        );
    }
}

/// A backend is where the VPC's router leads.
fn reachable(ctx: &mut Ctx<'_>, balancer: &Balancer, backend: &Spanned<Backend>) {
    let model = ctx.model;
    let own = &model.vpc(balancer.vpc).name;
    let (subnet, what) = match backend.value {
        Backend::Port(id) => (Some(model.port(id).subnet), model.port(id).owner().into_owned()),
        Backend::Address(address) => {
            let elsewhere = || ctx.by_vpc.iter().find_map(|subnets| model.subnet_around(subnets, address));
            let here = model.subnet_around(&ctx.by_vpc[balancer.vpc.0], address);
            (here.or_else(elsewhere), address.to_string())
        }
    };
    let is_own = |address: &IpAddr| ctx.assignment.balanced(balancer).iter().any(|a| a.value == *address);
    let problem = match (subnet.map(|id| model.subnet(id)), backend.value) {
        (_, Backend::Address(address)) if is_own(&address) => "is the balancer's own address".to_owned(),
        (Some(subnet), _) if subnet.vpc != balancer.vpc => {
            format!("is in VPC `{}`, the balancer in `{own}`", model.vpc(subnet.vpc).name)
        }
        (Some(subnet), _) if !subnet.routed => {
            format!("is on subnet `{}`, which no router leads to", subnet.name)
        }
        (Some(_) | None, _) => return,
    };
    let message = format!("backend {what} of balancer `{}` {problem}", balancer.name);
    ctx.report(
        Diagnostic::new(Code::BalancerStrays, backend.span, message).label(balancer.span, "the balancer"),
    );
}

fn families(ctx: &mut Ctx<'_>, balancer: &Balancer) {
    let of = |address: IpAddr| Family::of(IpNet::from(address));
    let backends: Vec<IpAddr> =
        balancer.backends.iter().flat_map(|backend| ctx.assignment.backend(backend.value)).collect();
    let Some(first) = balancer.backends.first().filter(|_| !backends.is_empty()) else { return };
    for address in ctx.assignment.balanced(balancer) {
        let family = of(address.value);
        if backends.iter().any(|backend| of(*backend) == family) {
            continue;
        }
        let message = format!("{address} of balancer `{}` has no {family} backend", balancer.name);
        ctx.report(
            Diagnostic::new(Code::FamilyMix, address.span, message)
                .label(first.span, format!("{} alone", of(backends[0]))),
        );
    }
}

fn watched(ctx: &mut Ctx<'_>, ports: &Ports, balancer: &Balancer) {
    let Some(health) = &balancer.health else { return };
    let model = ctx.model;
    for backend in &balancer.backends {
        let (id, address) = match backend.value {
            Backend::Port(id) => (Some(id), None),
            Backend::Address(address) => (ports.get(&(balancer.vpc, address)).copied(), Some(address)),
        };
        if let Some(port) = id.map(|id| model.port(id)).filter(|port| port.name.contains(':')) {
            let message =
                format!("the name of {} holds a colon, so nobody can ask if it is alive", port.owner());
            ctx.report(
                Diagnostic::new(Code::BadName, backend.span, message)
                    .label(health.span, "OVN puts a colon between the name and the address to ask from")
                    .help("rename it, or leave the health check out"),
            );
        }
        let Some(address) = address.filter(|_| id.is_none() && model.whole) else { continue };
        let message = format!("nobody asks backend {address} of balancer `{}` if it is alive", balancer.name);
        ctx.report(
            Diagnostic::new(Code::BalancerUnwatched, backend.span, message)
                .label(health.span, "the health check")
                .note("OVN asks interfaces alone, and none in the input has the address"),
        );
    }
    if let Some(listener) = balancer.listeners.iter().find(|l| l.protocol == Transport::Sctp) {
        let message = format!("nobody asks the SCTP backends of balancer `{}`", balancer.name);
        ctx.report(
            Diagnostic::new(Code::BalancerUnwatched, listener.port.span, message)
                .label(health.span, "the health check")
                .note("OVN has no health check for SCTP"),
        );
    }
}

/// Packets that a stateless rule lets pass go by without the balancer's translation (ovn-northd(8)).
fn stateless(ctx: &mut Ctx<'_>, id: SubnetId, balancer: &Balancer) {
    let subnet = ctx.model.subnet(id);
    let rules = subnet.acls.iter().filter(|acl| acl.action.value == AclAction::AllowStateless);
    for acl in rules {
        let message = format!("packets of this stateless rule are not balanced on subnet `{}`", subnet.name);
        ctx.report(
            Diagnostic::new(Code::BalancerBypassed, acl.action.span, message)
                .label(balancer.span, format!("balancer `{}` serves the subnet", balancer.name))
                .help("take `allow-related`"),
        );
    }
}
