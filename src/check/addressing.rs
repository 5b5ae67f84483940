//! Blocks, gateways and exclusions: do the subnets fit into their VPC, and beside each other?
//!
//! | rule | code |
//! |---|---|
//! | a block is unicast space, and has room for a gateway and a host | N0304, N0305 |
//! | the gateway is a host address of the block | N0302, N0303 |
//! | no two blocks of a VPC and its external networks overlap; each lies in the VPC's own blocks where it has some | N0301, N0314 |
//! | a block keeps off what Kube-OVN uses itself; public space is mentioned | N0315, N0316 |
//! | exclusions lie in the block; the MTU is one that the family takes | N0307, N0317 |

use std::net::IpAddr;

use ipnet::IpNet;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{Block, Subnet, SubnetId, Vpc, VpcId};
use crate::span::Spanned;

/// RFC 8200 §5.
const IPV6_MTU_MIN: i64 = 1280;
/// RFC 791 §3.2.
const IPV4_MTU_MIN: i64 = 68;
/// The largest IP packet.
const MTU_MAX: i64 = 65535;

/// Space that is not for hosts of a subnet (RFC 6890), and what it is.
const SPECIAL: [(&str, &str); 9] = [
    ("0.0.0.0/8", "\"this network\""),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("::/127", "unspecified and loopback"),
    ("::ffff:0:0/96", "IPv4 addresses written as IPv6"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
];

/// What Kube-OVN uses in the default VPC unless it is told otherwise.
const KUBE_OVN: [(&str, &str); 2] =
    [("100.64.0.0/16", "joins nodes"), ("10.96.0.0/12", "holds service addresses")];

/// Space that may be used without asking anybody (RFC 1918, 4193, 6598, 2544, 5737, 3849).
const PRIVATE: [&str; 10] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "198.18.0.0/15",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "fc00::/7",
    "2001:db8::/32",
];

pub(super) fn check(ctx: &mut Ctx<'_>) {
    for (_, subnet) in ctx.model.subnets() {
        for block in &subnet.blocks {
            if unicast(ctx, block) && roomy(ctx, block) {
                gateway(ctx, subnet, block);
                reserved(ctx, subnet, block);
                public(ctx, block);
            }
        }
        exclusions(ctx, subnet);
        mtu(ctx, subnet);
    }
    for (id, vpc) in ctx.model.vpcs() {
        overlaps(ctx, id, vpc);
        within_vpc(ctx, id, vpc);
    }
}

/// True when the networks share an address.
pub(super) fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

fn net(text: &str) -> IpNet {
    text.parse().expect("constants of this file are prefixes")
}

fn unicast(ctx: &mut Ctx<'_>, block: &Block) -> bool {
    let cidr = block.cidr.value;
    let special = special(cidr);
    if let Some((range, what)) = special {
        let message = format!("{cidr} is not space for hosts");
        ctx.report(
            Diagnostic::new(Code::CidrSpecial, block.cidr.span, message)
                .at(format!("covers {range}: {what}")),
        );
    }
    special.is_none()
}

/// What a block is where hosts can't be.
pub(super) fn special(cidr: IpNet) -> Option<&'static (&'static str, &'static str)> {
    SPECIAL.iter().find(|(range, _)| overlap(net(range), cidr))
}

fn roomy(ctx: &mut Ctx<'_>, block: &Block) -> bool {
    let cidr = block.cidr.value;
    let fits = cidr.max_prefix_len() - cidr.prefix_len() >= 2;
    if !fits {
        let longest = cidr.max_prefix_len() - 2;
        let message = format!("{cidr} has no room for a gateway and a host");
        ctx.report(
            Diagnostic::new(Code::CidrTooSmall, block.cidr.span, message)
                .help(format!("take a /{longest} or wider")),
        );
    }
    fits
}

fn gateway(ctx: &mut Ctx<'_>, subnet: &Subnet, block: &Block) {
    let (cidr, gateway) = (block.cidr.value, block.gateway.value);
    if !cidr.contains(&gateway) {
        let message = format!("gateway {gateway} of subnet `{}` is outside its block", subnet.name);
        ctx.report(
            Diagnostic::new(Code::GatewayOutside, block.gateway.span, message)
                .label(block.cidr.span, format!("{} – {}", cidr.network(), cidr.broadcast()))
                .help(format!("the first host address is {}", first_host(cidr))),
        );
    } else if let Some(what) = no_host(cidr, gateway) {
        let message = format!("gateway {gateway} of subnet `{}` is the {what} of its block", subnet.name);
        ctx.report(
            Diagnostic::new(Code::GatewayReserved, block.gateway.span, message)
                .label(block.cidr.span, format!("{} – {}", cidr.network(), cidr.broadcast()))
                .help(format!("the first host address is {}", first_host(cidr))),
        );
    }
}

/// What an address is where no host can have it: the network's own or the broadcast address.
pub(super) fn no_host(cidr: IpNet, address: IpAddr) -> Option<&'static str> {
    if address == cidr.network() {
        Some("network address")
    } else if address.is_ipv4() && address == cidr.broadcast() {
        Some("broadcast address")
    } else {
        None
    }
}

fn first_host(cidr: IpNet) -> IpAddr {
    match cidr.network() {
        IpAddr::V4(a) => IpAddr::V4((u32::from(a) + 1).into()),
        IpAddr::V6(a) => IpAddr::V6((u128::from(a) + 1).into()),
    }
}

fn reserved(ctx: &mut Ctx<'_>, subnet: &Subnet, block: &Block) {
    if subnet.vpc != VpcId(0) {
        return;
    }
    let taken = KUBE_OVN.iter().find(|(range, _)| overlap(net(range), block.cidr.value));
    if let Some((range, what)) = taken {
        let message = format!("{} is over {range}, which {what} in the default VPC", block.cidr.value);
        let help = "choose another block, unless Kube-OVN was installed with other ranges";
        ctx.report(Diagnostic::new(Code::CidrReserved, block.cidr.span, message).help(help));
    }
}

fn public(ctx: &mut Ctx<'_>, block: &Block) {
    let cidr = block.cidr.value;
    if !PRIVATE.iter().any(|range| net(range).contains(&cidr)) {
        let message = format!("{cidr} is public address space");
        let note = "guests can't reach the Internet hosts that really have these addresses";
        ctx.report(Diagnostic::new(Code::CidrPublic, block.cidr.span, message).note(note));
    }
}

fn exclusions(ctx: &mut Ctx<'_>, subnet: &Subnet) {
    for range in &subnet.exclude {
        let inside = subnet.block_for(range.value.first).is_some_and(|b| {
            b.cidr.value.contains(&range.value.first) && b.cidr.value.contains(&range.value.last)
        });
        let unread = !subnet.whole && subnet.block_for(range.value.first).is_none();
        if !inside && !unread {
            let message = format!("`{}` of excludeIps is not inside subnet `{}`", range.value, subnet.name);
            let diagnostic = Diagnostic::new(Code::ExcludeOutside, range.span, message);
            ctx.report(match subnet.block_for(range.value.first) {
                Some(block) => diagnostic.label(block.cidr.span, "its block"),
                None => diagnostic.note("the subnet has no block of that family"),
            });
        }
    }
}

fn mtu(ctx: &mut Ctx<'_>, subnet: &Subnet) {
    let Some(mtu) = &subnet.mtu else { return };
    let least = if subnet.v6().is_some() { IPV6_MTU_MIN } else { IPV4_MTU_MIN };
    if !(least..=MTU_MAX).contains(&mtu.value) {
        let message = format!("an MTU of {mtu} is outside {least} – {MTU_MAX}");
        ctx.report(Diagnostic::new(Code::MtuTooSmall, mtu.span, message));
    }
}

fn overlaps(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc) {
    let mut subnets: Vec<SubnetId> = ctx.by_vpc[id.0].clone();
    let externals = ctx.model.gateways_of(id).map(|(_, gateway)| gateway.external);
    subnets.extend(externals.filter(|external| ctx.model.subnet(*external).vpc != id));
    let mut blocks: Vec<(&Subnet, &Spanned<IpNet>)> = subnets
        .iter()
        .map(|id| ctx.model.subnet(*id))
        .flat_map(|s| s.blocks.iter().map(move |b| (s, &b.cidr)))
        .filter(|(_, cidr)| special(cidr.value).is_none())
        .collect();
    blocks.sort_by_key(|(_, cidr)| (cidr.value.network(), cidr.value.prefix_len(), cidr.span));
    // Prefixes are nested or apart: in this order a block overlaps the last wider one, or none.
    let mut widest: Option<(&Subnet, &Spanned<IpNet>)> = None;
    for (subnet, cidr) in blocks {
        match widest.filter(|(_, wide)| wide.value.contains(&cidr.value)) {
            Some((other, wide)) => {
                let how = if wide.value == cidr.value { "the same block" } else { "lies inside" };
                let message =
                    format!("subnets `{}` and `{}` of VPC `{}` overlap", other.name, subnet.name, vpc.name);
                ctx.report(
                    Diagnostic::new(Code::CidrOverlap, cidr.span, message)
                        .at(format!("`{}`: {how}", subnet.name))
                        .label(wide.span, format!("`{}` has {}", other.name, wide.value))
                        .help(format!(
                            "choose a block outside {}, or move one of them to another VPC",
                            wide.value
                        )),
                );
            }
            None => widest = Some((subnet, cidr)),
        }
    }
}

fn within_vpc(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc) {
    if vpc.cidrs.is_empty() {
        return;
    }
    for subnet in ctx.by_vpc[id.0].clone() {
        let subnet = ctx.model.subnet(subnet);
        for block in &subnet.blocks {
            if !vpc.cidrs.iter().any(|cidr| cidr.value.contains(&block.cidr.value)) {
                let message = format!("subnet `{}` is outside the blocks of VPC `{}`", subnet.name, vpc.name);
                ctx.report(
                    Diagnostic::new(Code::CidrOutsideVpc, block.cidr.span, message)
                        .label(vpc.cidrs[0].span, "the VPC's blocks")
                        .note("a peer's route to the VPC's blocks does not reach it"),
                );
            }
        }
    }
}
