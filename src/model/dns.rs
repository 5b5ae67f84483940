//! Names that the network itself answers for.
//!
//! A guest's question is answered on its own chassis, whichever server it asks; what no zone knows goes on to that
//! server. Refuses to know how a question travels.

use std::net::IpAddr;

use super::{Model, PortId, SubnetId};
use crate::span::{Span, Spanned};

/// Names for the guests of some subnets.
#[derive(Debug)]
pub struct DnsZone {
    /// Unique among zones.
    pub name: Spanned<String>,
    /// What its names end with, without a final dot.
    pub domain: String,
    /// Whose guests are answered, in the order of ids.
    pub subnets: Vec<SubnetId>,
    /// Whether addresses lead back to names.
    pub reverse: bool,
    /// Where it says that nobody else is to be asked about its names.
    pub authoritative: Option<Span>,
    /// In the order written; one name may be there several times.
    pub records: Vec<DnsRecord>,
}

/// What a name stands for.
#[derive(Debug)]
pub struct DnsRecord {
    /// Where it is declared.
    pub span: Span,
    /// Whole, in small letters, without a final dot.
    pub name: String,
    /// Addresses by hand.
    pub addresses: Vec<IpAddr>,
    /// Interfaces, whose addresses it stands for.
    pub ports: Vec<PortId>,
}

impl Model {
    /// The zones that answer the guests of a subnet.
    pub fn zones_of(&self, subnet: SubnetId) -> impl Iterator<Item = &DnsZone> {
        self.dns_zones.iter().filter(move |zone| zone.subnets.binary_search(&subnet).is_ok())
    }
}
