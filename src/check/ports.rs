//! Ports: addresses and MAC addresses given by hand, and what guests learn of their network.
//!
//! | rule | code |
//! |---|---|
//! | an address lies in its subnet, is a host's, and is nobody else's; at most one a family | N0308, N0310, N0309, N0318 |
//! | there is an address left for those without | N0311 |
//! | a MAC address is one interface's, router's or elastic IP's on its switch | N0312 |
//! | cloud-init configures the address that the port has | N0319 |
//! | a machine learns a default route | N0320 |
//! | a switch has no more ports than OVN can number | N0605 |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Ctx, addressing, full};
use crate::assign::{Exhausted, derived_mac};
use crate::diag::{Code, Diagnostic};
use crate::model::{Dhcp, ElasticIpId, Mac, Port, Public, Setting, Subnet, SubnetId, Told, Vip};
use crate::names;
use crate::span::{Span, Spanned};

/// ovn-sb(5), Port_Binding.tunnel_key: 15 bits.
const PORTS_MAX: usize = 32767;

pub(super) fn check(ctx: &mut Ctx<'_>, exhausted: &[Exhausted]) {
    full(ctx, exhausted);
    addresses(ctx);
    macs(ctx);
    for (id, port) in ctx.model.ports() {
        let assigned = &ctx.assignment.port(id).addresses;
        guest_addresses(ctx, port, assigned);
    }
    let mut by_subnet: Vec<Vec<&Port>> = vec![Vec::new(); ctx.model.subnets.len()];
    for (_, port) in ctx.model.ports() {
        by_subnet[port.subnet.0].push(port);
    }
    for (id, subnet) in ctx.model.subnets() {
        too_many(ctx, subnet, by_subnet[id.0].len());
        default_route(ctx, subnet, &by_subnet[id.0]);
    }
}

fn addresses(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let ports = model.ports.iter().filter(|p| !p.addresses.is_empty());
    let ports = ports.map(|p| (p.subnet, p.owner(), &p.addresses));
    let holder = |vip: &Vip| -> Cow<'_, str> { Cow::Owned(format!("the virtual address `{}`", vip.name)) };
    let vips = model.vips.iter().map(|v| (v.subnet, holder(v), &v.addresses));
    let public = model.gateways().map(|(id, g)| (g.external, Public::Gateway(id), &g.addresses));
    let elastic = model.elastic_ips.iter().enumerate();
    let elastic = elastic.map(|(at, e)| (e.external, Public::ElasticIp(ElasticIpId(at)), &e.addresses));
    let name = |public| -> Cow<'_, str> { Cow::Owned(model.public_name(public)) };
    let public = public.chain(elastic).map(|(subnet, public, a)| (subnet, name(public), a));
    let mut seen: BTreeMap<(SubnetId, IpAddr), (Span, Cow<'_, str>)> = BTreeMap::new();
    for (id, owner, addresses) in ports.chain(vips).chain(public) {
        let subnet = model.subnet(id);
        for (nth, address) in addresses.iter().enumerate() {
            if let Some(first) =
                addresses[..nth].iter().find(|a| a.value.is_ipv4() == address.value.is_ipv4())
            {
                let message = format!("{owner} has two addresses of one family");
                ctx.report(
                    Diagnostic::new(Code::CidrFamilies, address.span, message)
                        .label(first.span, "the first of them"),
                );
                continue;
            }
            if !fits(ctx, subnet, &owner, address) {
                continue;
            }
            if let Some((span, other)) = seen.get(&(id, address.value)) {
                let message = format!("{address} is given to {other} and to {owner}");
                let (first, second) = (address.span.min(*span), address.span.max(*span));
                ctx.report(Diagnostic::new(Code::AddressTaken, second, message).label(first, "first here"));
            } else {
                seen.insert((id, address.value), (address.span, owner.clone()));
            }
        }
    }
}

/// Whether a host of the subnet can have the address.
fn fits(ctx: &mut Ctx<'_>, subnet: &Subnet, owner: &str, address: &Spanned<IpAddr>) -> bool {
    let inside = subnet.block_for(address.value).filter(|b| b.cidr.value.contains(&address.value));
    let Some(block) = inside else {
        if !subnet.whole && subnet.block_for(address.value).is_none() {
            return false;
        }
        let message = format!("{address} of {owner} is outside subnet `{}`", subnet.name);
        let diagnostic = Diagnostic::new(Code::AddressOutside, address.span, message);
        ctx.report(match subnet.block_for(address.value) {
            Some(block) => diagnostic.label(block.cidr.span, "its block"),
            None => diagnostic.label(subnet.name.span, "it has no block of that family"),
        });
        return false;
    };
    let what = if address.value == block.gateway.value {
        Some("gateway")
    } else {
        addressing::no_host(block.cidr.value, address.value)
    };
    if let Some(what) = what {
        let message = format!("{address} of {owner} is the {what} of subnet `{}`", subnet.name);
        let (place, text) = match what {
            "gateway" => (block.gateway.span, format!("the gateway is {}", block.gateway)),
            _ => (block.cidr.span, "its block".to_owned()),
        };
        ctx.report(Diagnostic::new(Code::AddressReserved, address.span, message).label(place, text));
    }
    what.is_none()
}

fn macs(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut routers: BTreeMap<(SubnetId, Mac), Span> = BTreeMap::new();
    for (id, subnet) in model.subnets().filter(|(_, subnet)| subnet.routed) {
        let name = names::router_port(model.vpc(subnet.vpc), subnet);
        routers.insert((id, derived_mac("router", &name)), subnet.name.span);
    }
    for (id, gateway) in model.gateways().filter(|(_, gateway)| gateway.mac.is_none()) {
        routers.insert((gateway.external, ctx.assignment.gateway(id).mac), gateway.span);
    }
    let ports = model.ports.iter().filter(|p| p.mac.is_some()).map(|p| (p.subnet, p.mac, p.owner()));
    let name = |public| -> Cow<'_, str> { Cow::Owned(model.public_name(public)) };
    let gateways = model.gateways().map(|(id, g)| (g.external, g.mac, name(Public::Gateway(id))));
    let elastic = model.elastic_ips.iter().enumerate();
    let elastic = elastic.map(|(at, e)| (e.external, e.mac, name(Public::ElasticIp(ElasticIpId(at)))));
    let mut seen: BTreeMap<(SubnetId, Mac), (Span, Cow<'_, str>)> = BTreeMap::new();
    for (id, mac, owner) in ports.chain(gateways).chain(elastic) {
        let Some(mac) = mac else { continue };
        let subnet = &model.subnet(id).name;
        if let Some(span) = routers.get(&(id, mac.value)) {
            let message = format!("{mac} of {owner} is a router's own on subnet `{subnet}`");
            ctx.report(
                Diagnostic::new(Code::MacTaken, mac.span, message)
                    .label(*span, "the router's port here has it")
                    .help("leave the MAC address out, and one is derived from the name"),
            );
        }
        if let Some((span, other)) = seen.get(&(id, mac.value)) {
            let message = format!("{mac} is given to {other} and to {owner} on subnet `{subnet}`");
            let (first, second) = (mac.span.min(*span), mac.span.max(*span));
            ctx.report(Diagnostic::new(Code::MacTaken, second, message).label(first, "first here"));
        } else {
            seen.insert((id, mac.value), (mac.span, owner));
        }
    }
}

fn guest_addresses(ctx: &mut Ctx<'_>, port: &Port, assigned: &[IpAddr]) {
    for said in &port.guest_addresses {
        let Some(given) = assigned.iter().find(|a| a.is_ipv4() == said.value.is_ipv4() && **a != said.value)
        else {
            continue;
        };
        let message = format!("cloud-init gives {} the address {said}, its port has {given}", port.owner());
        let diagnostic = Diagnostic::new(Code::GuestAddressDiffers, said.span, message)
            .note("with port security the port drops what the guest sends; without it, replies go astray");
        let by_hand = port.addresses.iter().find(|a| a.value == *given);
        ctx.report(match by_hand {
            Some(by_hand) => diagnostic.label(by_hand.span, "the port's address"),
            None => diagnostic
                .label(port.span, format!("gets {given}, the next one free"))
                .help(format!("give the port {said} by the annotation `ip_address` of its network")),
        });
    }
}

fn too_many(ctx: &mut Ctx<'_>, subnet: &Subnet, n_ports: usize) {
    let n_others = usize::from(subnet.routed) + usize::from(subnet.underlay.is_some());
    if n_ports + n_others > PORTS_MAX {
        let message =
            format!("subnet `{}` has {n_ports} ports; OVN numbers {PORTS_MAX} at most", subnet.name);
        ctx.report(Diagnostic::new(Code::TooManyPorts, subnet.name.span, message).help("split it"));
    }
}

/// Machines that get neither DHCP nor an advertisement nor a route from cloud-init have no way out.
fn default_route(ctx: &mut Ctx<'_>, subnet: &Subnet, ports: &[&Port]) {
    if subnet.blocks.is_empty() || !subnet.routed {
        return;
    }
    let has_router = |settings: &[Setting]| {
        settings.iter().any(|s| matches!(&*s.name.value, "router" | "classless_static_route"))
    };
    let tells = |dhcp: &Dhcp| dhcp.v4.is_empty() || dhcp.keeps_defaults || has_router(&dhcp.v4);
    let learns_v4 = |port: &Port| match &port.dhcp.v4 {
        Told::Nothing => false,
        Told::AsSubnet => subnet.dhcp.as_ref().is_some_and(tells),
        Told::Own(own) if own.over_subnet => {
            has_router(&own.settings) || subnet.dhcp.as_ref().is_none_or(tells)
        }
        Told::Own(own) => own.settings.is_empty() || has_router(&own.settings),
    };
    let learns = |port: &Port| if subnet.v4().is_some() { learns_v4(port) } else { subnet.ra.is_some() };
    let mut without = ports.iter().filter(|p| p.is_machine && !p.guest_default_route && !learns(p));
    let Some(first) = without.next() else { return };
    let gateway = subnet.blocks[0].gateway.value;
    let who = match without.count() {
        0 => format!("{} on subnet `{}` learns", first.owner(), subnet.name),
        n => format!("{} and {n} more on subnet `{}` learn", first.owner(), subnet.name),
    };
    let message = format!("{who} no default route");
    // DHCPv6 tells no router (RFC 8415); advertisements do.
    let mend = match (subnet.v4(), &subnet.dhcp) {
        (None, _) => "set `enableIPv6RA: true`".to_owned(),
        (Some(_), Some(_)) if matches!(first.dhcp.v4, Told::Nothing) => "let it ask by DHCP".to_owned(),
        (Some(_), None) => "set `enableDHCP: true`".to_owned(),
        (Some(_), Some(_)) => format!("add `router={gateway}` to `dhcpV4Options`"),
    };
    ctx.report(
        Diagnostic::new(Code::GuestWithoutRoute, subnet.name.span, message)
            .label(first.span, "reaches its own subnet alone")
            .help(format!("{mend}, or add the route in the guest: ip route add default via {gateway}")),
    );
}
