//! Addresses of a subnet that are kept for those who name them.
//!
//! Refuses to give them out; `assign` does.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::{AddressRange, SubnetId};
use crate::span::{Span, Spanned};

/// Addresses under a name.
#[derive(Debug)]
pub struct AddressPool {
    /// Unique among pools that are declared.
    pub name: Spanned<String>,
    /// Whose they are.
    pub subnet: SubnetId,
    /// Either family's.
    pub ranges: Vec<Spanned<AddressRange>>,
    /// Whether nobody else gets one of them.
    pub is_reserved: bool,
    /// Where it says that matches can name them.
    pub set: Option<Span>,
}

impl AddressPool {
    /// The fewest networks that are the addresses of a family.
    pub fn nets(&self, v4: bool) -> Vec<IpNet> {
        let of_family = self.ranges.iter().filter(|range| range.value.first.is_ipv4() == v4);
        IpNet::aggregate(&of_family.flat_map(|range| range.value.nets()).collect())
    }

    /// Whether it has addresses of both families.
    pub fn is_mixed(&self) -> bool {
        [true, false].iter().all(|v4| self.ranges.iter().any(|range| range.value.first.is_ipv4() == *v4))
    }
}

impl AddressRange {
    /// The fewest networks that are its addresses.
    pub fn nets(self) -> Vec<IpNet> {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
            }
            _ => Vec::new(),
        }
    }
}
