//! A subnet's blocks and the gateways in them, as both dialects have them.
//!
//! At most one block a family, IPv4 first; a gateway that nobody gave is the block's first host. Refuses to
//! judge whether a gateway lies in its block; `check` does.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::Block;
use crate::span::Spanned;

/// Blocks with their first hosts as gateways. A second one of a family is reported.
pub(crate) fn blocks(cidrs: impl IntoIterator<Item = Spanned<IpNet>>, sink: &mut Sink) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for cidr in cidrs {
        let twin = blocks.iter().find(|b| is_v4(b.cidr.value) == is_v4(cidr.value));
        if let Some(twin) = twin {
            let message = "a subnet has at most one block of each family";
            sink.push(
                Diagnostic::new(Code::CidrFamilies, cidr.span, message)
                    .label(twin.cidr.span, "the first of this family"),
            );
            continue;
        }
        let first = cidr.value.hosts().next().unwrap_or(cidr.value.addr());
        // An IPv6 network's first address is the subnet-router anycast address (RFC 4291 §2.6.1).
        let first = if is_v4(cidr.value) || first != cidr.value.network() { first } else { next(first) };
        blocks.push(Block { cidr, gateway: Spanned::new(first, cidr.span) });
    }
    blocks.sort_by_key(|b| !is_v4(b.cidr.value));
    blocks
}

/// Puts gateways into the blocks of their families; where all blocks are known, one without is reported.
pub(crate) fn set_gateways(
    blocks: &mut [Block],
    gateways: impl IntoIterator<Item = Spanned<IpAddr>>,
    all_known: bool,
    sink: &mut Sink,
) {
    for gateway in gateways {
        match blocks.iter_mut().find(|b| is_v4(b.cidr.value) == gateway.value.is_ipv4()) {
            Some(block) => block.gateway = gateway,
            None if !all_known => {}
            None => sink.push(Diagnostic::new(
                Code::CidrFamilies,
                gateway.span,
                format!("gateway {gateway} has no block of its family"),
            )),
        }
    }
}

/// Whether a prefix is of IPv4.
pub(crate) fn is_v4(net: IpNet) -> bool {
    net.addr().is_ipv4()
}

fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(a) => IpAddr::V4(u32::from(a).wrapping_add(1).into()),
        IpAddr::V6(a) => IpAddr::V6(u128::from(a).wrapping_add(1).into()),
    }
}
