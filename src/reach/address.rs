//! Packets by the networks that their addresses lie in.
//!
//! Refuses to know whose networks they are.

use ipnet::IpNet;

use super::header::{Field, IPV4, IPV6, bits};
use super::set::{Set, Sets};

/// The values that an address may have; any where they are not known.
pub(super) struct Ranges(pub(super) Option<Vec<(u128, u128)>>);

impl Ranges {
    /// Whether it may be an address; in a network of several it may always lie.
    pub(super) fn may_have(&self, net: &IpNet) -> bool {
        if !is_host(net) {
            return true;
        }
        let (first, last) = (bits(net.network()), bits(net.broadcast()));
        self.0.as_ref().is_none_or(|ranges| ranges.iter().any(|(low, high)| *low <= last && first <= *high))
    }
}

/// Whether it is one address.
pub(crate) fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

/// Packets whose address lies in a network.
pub(crate) fn within(sets: &Sets, field: Field, net: IpNet) -> Set {
    within_any(sets, field, [net])
}

/// Packets whose address lies in one of some networks, of which there may be many.
pub(crate) fn within_any(sets: &Sets, field: Field, nets: impl IntoIterator<Item = IpNet>) -> Set {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for net in nets {
        let range = (bits(net.network()), bits(net.broadcast()));
        if net.addr().is_ipv6() { v6.push(range) } else { v4.push(range) }
    }
    let of = |family, ranges: Vec<(u128, u128)>| match ranges.is_empty() {
        true => Set::NONE,
        false => sets.and(sets.value(Field::EthType, family), sets.ranges(field, ranges)),
    };
    sets.or(of(IPV4, v4), of(IPV6, v6))
}
