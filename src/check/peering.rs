//! Peerings: do both sides mean the same link, and do routes use it?
//!
//! | rule | code |
//! |---|---|
//! | neither side is the default VPC, or the VPC itself; one peering a pair | N0403, N0404, N0418 |
//! | both sides declare it | N0402 |
//! | the two addresses are different hosts of one network, of the same families | N0406, N0407, N0408 |
//! | a link has a network of its own, over no subnet and no other link | N0410, N0409 |
//! | a link is a /30, link-local, off the metadata address; IPv6 not link-local | N0411, N0412, N0413, N0416 |
//! | peers have no blocks in common; peers of one VPC better not | N0414, N0435 |
//! | a route covers every subnet of the peer, and keeps within the peer's blocks | N0415, N0419 |
//! | no source route takes what a route to a peer should | N0425 |
//! | a VPC between others is mentioned | N0417 |

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Ctx, addressing};
use crate::diag::{Code, Diagnostic};
use crate::model::{Block, METADATA, Peering, RouteSelector, StaticRoute, Subnet, Vpc, VpcId};
use crate::span::Spanned;

/// RFC 1918.
const RFC_1918: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for (id, vpc) in model.vpcs() {
        for (nth, peering) in vpc.peerings.iter().enumerate() {
            if allowed(ctx, id, vpc, peering) && once(ctx, vpc, nth) {
                link(ctx, id, vpc, peering);
                both_sides(ctx, id, vpc, peering);
            }
        }
        reused_links(ctx, vpc);
        source_routes(ctx, vpc);
        between(ctx, id, vpc);
    }
    overlaps(ctx);
}

/// The subnets' blocks of a VPC.
fn blocks<'m>(ctx: &Ctx<'m>, id: VpcId) -> Vec<(&'m Subnet, &'m Block)> {
    let model = ctx.model;
    let subnets = ctx.by_vpc[id.0].iter().map(|id| model.subnet(*id));
    subnets.flat_map(|s| s.blocks.iter().map(move |b| (s, b))).collect()
}

fn allowed(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc, peering: &Peering) -> bool {
    let Some(remote) = peering.remote_id else { return false };
    if remote == id {
        let message = format!("VPC `{}` peers with itself", vpc.name);
        ctx.report(Diagnostic::new(Code::PeerSelf, peering.remote.span, message));
        return false;
    }
    if remote == VpcId(0) || id == VpcId(0) {
        let message =
            format!("{} can't peer with `{}`: one of them is the default VPC", vpc.called(), peering.remote);
        ctx.report(
            Diagnostic::new(Code::PeerDefaultVpc, peering.remote.span, message)
                .help("move the subnets that must be reached into a VPC of their own, and peer with that"),
        );
        return false;
    }
    true
}

fn once(ctx: &mut Ctx<'_>, vpc: &Vpc, nth: usize) -> bool {
    let peering = &vpc.peerings[nth];
    let first = vpc.peerings[..nth].iter().find(|other| other.remote.value == peering.remote.value);
    if let Some(first) = first {
        let message = format!("VPC `{}` peers with `{}` twice", vpc.name, peering.remote);
        ctx.report(
            Diagnostic::new(Code::PeerTwice, peering.remote.span, message)
                .label(first.remote.span, "first here"),
        );
    }
    first.is_none()
}

/// What one side alone can get wrong.
fn link(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc, peering: &Peering) {
    for (nth, address) in peering.addresses.iter().enumerate() {
        let (net, host) = (address.value.trunc(), address.value.addr());
        let spare = net.max_prefix_len() - net.prefix_len();
        if let Some(first) =
            peering.addresses[..nth].iter().find(|a| a.value.addr().is_ipv4() == host.is_ipv4())
        {
            let message = "a side of a link has at most one address of each family";
            ctx.report(
                Diagnostic::new(Code::CidrFamilies, address.span, message)
                    .label(first.span, "the first of them"),
            );
            continue;
        }
        if spare == 0 {
            let bits = net.max_prefix_len() - 2;
            let message = format!("{} leaves no address for the other VPC", address.value);
            ctx.report(
                Diagnostic::new(Code::PeerAddressBare, address.span, message)
                    .help(format!("write {host}/{bits}")),
            );
            continue;
        }
        if let Some(what) = addressing::no_host(net, host).filter(|_| spare > 1) {
            let message = format!("{host} is the {what} of {net}");
            ctx.report(
                Diagnostic::new(Code::PeerAddressReserved, address.span, message).help(hosts_help(net)),
            );
        }
        advice(ctx, address, net, host, spare);
        // The other side's subnets are judged with the other side's address.
        for (subnet, block) in blocks(ctx, id) {
            if addressing::overlap(net, block.cidr.value) {
                let message =
                    format!("the link {net} of {} lies over subnet `{}`", vpc.called(), subnet.name);
                ctx.report(
                    Diagnostic::new(Code::PeerNetworkOverlap, address.span, message)
                        .label(block.cidr.span, "this block")
                        .help("take a link from 169.254.0.0/16"),
                );
            }
        }
    }
}

fn hosts_help(net: IpNet) -> String {
    let hosts: Vec<String> = net.hosts().take(2).map(|h| format!("{h}/{}", net.prefix_len())).collect();
    format!("the link's addresses are {}", hosts.join(" and "))
}

/// Links that work and are not recommended.
fn advice(ctx: &mut Ctx<'_>, address: &Spanned<IpNet>, net: IpNet, host: IpAddr, spare: u8) {
    let v6_link_local = matches!(host, IpAddr::V6(a) if a.is_unicast_link_local());
    if spare > 2 && !v6_link_local {
        let bits = net.max_prefix_len() - 2;
        let message = format!("the link {net} is wider than the two addresses that it needs");
        ctx.report(
            Diagnostic::new(Code::PeerNetworkWide, address.span, message)
                .help(format!("write {host}/{bits}")),
        );
    }
    let private = |range: &str| range.parse().is_ok_and(|range| addressing::overlap(range, net));
    if let Some(range) = RFC_1918.into_iter().find(|range| private(range)) {
        let message = format!("the link {net} is in {range}, where subnets may want to be");
        ctx.report(
            Diagnostic::new(Code::PeerNetworkPrivate, address.span, message)
                .help("take a link from 169.254.0.0/16"),
        );
    }
    if net.contains(&METADATA) {
        let message = format!("the link {net} covers {METADATA}, where guests look for metadata");
        ctx.report(Diagnostic::new(Code::PeerNetworkMetadata, address.span, message));
    }
    if v6_link_local {
        let message = format!("{host} is link-local: routes can't name it as their next hop on this link");
        ctx.report(
            Diagnostic::new(Code::PeerLinkLocal, address.span, message)
                .help("take unique local addresses, like fd00:0:0:ff::1/126 and fd00:0:0:ff::2/126"),
        );
    }
}

/// What shows only when both sides are seen.
fn both_sides(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc, peering: &Peering) {
    let Some(remote_id) = peering.remote_id else { return };
    let remote = ctx.model.vpc(remote_id);
    let Some(back) = remote.peerings.iter().find(|p| p.remote_id == Some(id)) else {
        if !remote.whole_links || !ctx.model.whole {
            return;
        }
        let message = format!("VPC `{}` peers with `{}`, which does not peer back", vpc.name, remote.name);
        let diagnostic = Diagnostic::new(Code::PeerOneSided, peering.remote.span, message)
            .help(format!("add a peering with `remoteVpc: {}` to `{}`", vpc.name, remote.name));
        ctx.report(match remote.span {
            Some(span) => diagnostic.label(span, "the other side"),
            None => diagnostic,
        });
        return;
    };
    if id < remote_id && vpc.whole_links && remote.whole_links {
        ends(ctx, peering, back);
    }
    // A transit gateway's tables say whom they lead to.
    if vpc.whole_routes && !vpc.is_transit {
        unrouted(ctx, vpc, peering, remote_id, back);
    }
}

/// The two ends of a link.
fn ends(ctx: &mut Ctx<'_>, one: &Peering, other: &Peering) {
    for address in &one.addresses {
        let family = |a: &&Spanned<IpNet>| a.value.addr().is_ipv4() == address.value.addr().is_ipv4();
        let Some(far) = other.addresses.iter().find(family) else {
            let message =
                format!("the other side of the link has no address of the family of {}", address.value);
            ctx.report(
                Diagnostic::new(Code::PeerNetworkDiffers, address.span, message)
                    .label(other.span, "the other side"),
            );
            continue;
        };
        if far.value.addr() == address.value.addr() {
            let message = format!("both ends of the link have the address {}", far.value.addr());
            ctx.report(
                Diagnostic::new(Code::PeerAddressSame, address.span, message)
                    .label(far.span, "the other end")
                    .help(hosts_help(address.value.trunc())),
            );
        } else if far.value.trunc() != address.value.trunc() {
            let message =
                format!("the ends of the link are in {} and in {}", address.value.trunc(), far.value.trunc());
            ctx.report(
                Diagnostic::new(Code::PeerNetworkDiffers, address.span, message)
                    .label(far.span, "the other end")
                    .help(hosts_help(address.value.trunc())),
            );
        }
    }
    for far in &other.addresses {
        if !one.addresses.iter().any(|a| a.value.addr().is_ipv4() == far.value.addr().is_ipv4()) {
            let message = format!("the other side of the link has no address of the family of {}", far.value);
            ctx.report(
                Diagnostic::new(Code::PeerNetworkDiffers, far.span, message)
                    .label(one.span, "the other side"),
            );
        }
    }
}

/// Subnets of the peer that no route covers.
fn unrouted(ctx: &mut Ctx<'_>, vpc: &Vpc, peering: &Peering, remote_id: VpcId, back: &Peering) {
    let remote = ctx.model.vpc(remote_id);
    for far in &back.addresses {
        let hop = far.value.addr();
        // Both ends with one address: said elsewhere, and a route to oneself would mend nothing.
        if peering.addresses.iter().any(|own| own.value.addr() == hop) {
            continue;
        }
        let of_family = |net: IpNet| net.addr().is_ipv4() == hop.is_ipv4();
        let to_peer = |r: &&StaticRoute| r.selector == RouteSelector::Destination && r.address() == Some(hop);
        let routes: Vec<&StaticRoute> = vpc.static_routes.iter().filter(to_peer).collect();
        let by_any = |net: IpNet| {
            let covers =
                |r: &StaticRoute| r.selector == RouteSelector::Destination && r.prefix.value.contains(&net);
            vpc.static_routes.iter().any(covers)
        };
        let missing: Vec<(&Subnet, &Block)> = blocks(ctx, remote_id)
            .into_iter()
            .filter(|(s, b)| s.routed && of_family(b.cidr.value) && !by_any(b.cidr.value))
            .collect();
        if let Some((first, block)) = missing.first() {
            let more =
                if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
            let message = format!(
                "no route of VPC `{}` covers subnet `{}`{more} of its peer `{}`",
                vpc.name, first.name, remote.name
            );
            let mut diagnostic = Diagnostic::new(Code::PeerSubnetUnrouted, peering.remote.span, message)
                .label(block.cidr.span, "not reached");
            for (_, block) in missing.iter().take(8) {
                let cidr = block.cidr.value;
                diagnostic =
                    diagnostic.help(format!("add a static route: {{cidr: {cidr}, nextHopIP: {hop}}}"));
            }
            ctx.report(diagnostic);
        }
        for route in routes {
            astray(ctx, route, remote_id);
        }
    }
}

/// A route to a peer that has nothing there: its blocks say so, or none of its subnets and routes is near.
fn astray(ctx: &mut Ctx<'_>, route: &StaticRoute, remote_id: VpcId) {
    let remote = ctx.model.vpc(remote_id);
    let prefix = route.prefix.value;
    if let Some(first) = remote.cidrs.first() {
        if !remote.cidrs.iter().any(|cidr| cidr.value.contains(&prefix)) {
            let message = format!("{prefix} is not within the blocks of VPC `{}`", remote.name);
            ctx.report(
                Diagnostic::new(Code::RouteOutsidePeer, route.prefix.span, message)
                    .label(first.span, "its blocks"),
            );
        }
        return;
    }
    let subnets = blocks(ctx, remote_id);
    let onward = remote.static_routes.iter().map(|r| r.prefix.value);
    let mut there = subnets.iter().map(|(_, b)| b.cidr.value).chain(onward);
    let judged = ctx.model.whole && remote.whole_routes && !subnets.is_empty();
    if judged && !there.any(|net| addressing::overlap(net, prefix)) {
        let nets: Vec<String> = subnets.iter().take(8).map(|(_, b)| b.cidr.value.to_string()).collect();
        let message = format!("VPC `{}` has nothing in {prefix}", remote.name);
        ctx.report(
            Diagnostic::new(Code::RouteOutsidePeer, route.prefix.span, message)
                .label(subnets[0].1.cidr.span, "its subnets are elsewhere")
                .help(format!("the peer has {}", nets.join(", "))),
        );
    }
}

/// Two links of a VPC in one network: OVN binds the routes of both to one of them.
fn reused_links(ctx: &mut Ctx<'_>, vpc: &Vpc) {
    let links: Vec<&Spanned<IpNet>> = vpc.peerings.iter().flat_map(|p| &p.addresses).collect();
    for (nth, link) in links.iter().enumerate() {
        let other =
            links[..nth].iter().find(|other| addressing::overlap(other.value.trunc(), link.value.trunc()));
        if let Some(other) = other {
            let message = format!("two links of {} are in {}", vpc.called(), link.value.trunc());
            ctx.report(
                Diagnostic::new(Code::PeerNetworkReused, link.span, message)
                    .label(other.span, "the other link")
                    .help("give each link a /30 of its own"),
            );
        }
    }
}

/// OVN takes the longest prefix, whether source or destination; of equals, the destination's.
fn source_routes(ctx: &mut Ctx<'_>, vpc: &Vpc) {
    let hops: Vec<IpAddr> = vpc
        .peerings
        .iter()
        .filter_map(|p| Some(ctx.model.vpc(p.remote_id?)))
        .flat_map(|remote| remote.peerings.iter().filter(|p| p.remote.value == vpc.name))
        .flat_map(|p| p.addresses.iter().map(|a| a.value.addr()))
        .collect();
    let table = |r: &StaticRoute| r.table.as_ref().map(|t| t.value.clone());
    let (by_source, by_destination): (Vec<_>, Vec<_>) =
        vpc.static_routes.iter().partition(|r| r.selector == RouteSelector::Source);
    for source in by_source {
        let beaten = by_destination.iter().find(|r| {
            r.address().is_some_and(|hop| hops.contains(&hop))
                && table(r) == table(source)
                && r.prefix.value.addr().is_ipv4() == source.prefix.value.addr().is_ipv4()
                && r.prefix.value.prefix_len() < source.prefix.value.prefix_len()
                && r.next_hop.value != source.next_hop.value
        });
        if let Some(beaten) = beaten {
            let (from, to) = (source.prefix.value, beaten.prefix.value);
            let goes = source.address().map_or("elsewhere".to_owned(), |hop| format!("to {hop}"));
            let message = format!("packets from {from} to {to} go {goes}, not to the peer");
            ctx.report(
                Diagnostic::new(Code::SourceRouteWins, source.prefix.span, message)
                    .at(format!("/{} beats /{}", from.prefix_len(), to.prefix_len()))
                    .label(beaten.prefix.span, "the route to the peer")
                    .help(format!(
                        "split the peer's route into prefixes of /{} or longer",
                        from.prefix_len()
                    )),
            );
        }
    }
}

/// A VPC with several peers: it forwards between them where routes say so.
fn between(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc) {
    let mut seen = BTreeSet::new();
    if vpc.is_transit {
        return;
    }
    let other = |p: &&Peering| p.remote_id.is_some_and(|r| r != id && r != VpcId(0) && seen.insert(r));
    let peers: Vec<&Peering> = vpc.peerings.iter().filter(other).collect();
    if let [first, .., last] = peers.as_slice() {
        let message = format!("VPC `{}` stands between {} peers", vpc.name, peers.len());
        ctx.report(
            Diagnostic::new(Code::PeerTransitive, last.remote.span, message)
                .label(first.remote.span, "another peer")
                .note("with routes on all sides it forwards from one to the other; Kube-OVN supports two VPCs alone"),
        );
    }
}

/// Blocks in common between peers, and between two peers of one VPC.
fn overlaps(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for (id, vpc) in model.vpcs() {
        let mut peers: Vec<VpcId> = vpc.peerings.iter().filter_map(|p| p.remote_id).collect();
        peers.retain(|peer| *peer != id);
        peers.sort_unstable();
        peers.dedup();
        for (nth, peer) in peers.iter().enumerate() {
            if id < *peer || !model.vpc(*peer).peerings.iter().any(|p| p.remote_id == Some(id)) {
                common(ctx, id, *peer, None);
            }
            for other in peers[..nth].iter().filter(|_| !vpc.is_transit) {
                common(ctx, *other, *peer, Some(vpc));
            }
        }
    }
}

fn common(ctx: &mut Ctx<'_>, one: VpcId, other: VpcId, through: Option<&Vpc>) {
    let (a, b) = (ctx.model.vpc(one), ctx.model.vpc(other));
    for (subnet_a, block_a) in blocks(ctx, one) {
        for (subnet_b, block_b) in blocks(ctx, other) {
            if addressing::overlap(block_a.cidr.value, block_b.cidr.value) {
                let (code, how, help) = match through {
                    None => (
                        Code::PeerCidrOverlap,
                        "peer".to_owned(),
                        "no route can tell them apart; give one of them another block",
                    ),
                    Some(vpc) => (
                        Code::PeersOverlap,
                        format!("both peer with `{}`", vpc.name),
                        "give one of them another block, or each a route table of its own there",
                    ),
                };
                let message = format!(
                    "VPCs `{}` and `{}` {how}, and their subnets `{}` and `{}` overlap",
                    a.name, b.name, subnet_a.name, subnet_b.name
                );
                ctx.report(
                    Diagnostic::new(code, block_b.cidr.span, message)
                        .label(block_a.cidr.span, format!("`{}`", subnet_a.name))
                        .help(help),
                );
            }
        }
    }
}
