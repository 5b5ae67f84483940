//! A VPC, its routes and route tables, policies and peerings.
//!
//! Refuses to judge them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{PortId, VpcId};
use crate::span::{Span, Spanned};

/// An isolated routing domain.
#[derive(Debug)]
pub struct Vpc {
    /// Unique among VPCs.
    pub name: String,
    /// Where its name stands; `None` for the default VPC when nobody declared it.
    pub span: Option<Span>,
    /// A text for people; empty if none.
    pub description: String,
    /// False when a route could not be read.
    pub whole_routes: bool,
    /// False when a peering could not be read.
    pub whole_links: bool,
    /// False when a gateway could not be read.
    pub whole_exits: bool,
    /// The blocks that its subnets must lie in; empty where nobody said.
    pub cidrs: Vec<Spanned<IpNet>>,
    /// Routes, as written.
    pub static_routes: Vec<StaticRoute>,
    /// Route tables that were declared as such; one that only its routes name is not among them.
    pub route_tables: Vec<Spanned<String>>,
    /// Policies, as written.
    pub policy_routes: Vec<PolicyRoute>,
    /// This side of its peerings.
    pub peerings: Vec<Peering>,
}

/// What a route's prefix is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteSelector {
    /// The packet's destination.
    Destination,
    /// The packet's source.
    Source,
}

/// A route by hand.
#[derive(Debug)]
pub struct StaticRoute {
    /// The whole route.
    pub span: Span,
    /// Destination or source.
    pub selector: RouteSelector,
    /// Which packets.
    pub prefix: Spanned<IpNet>,
    /// Where to.
    pub next_hop: Spanned<NextHop>,
    /// The table it belongs to; `None` is the main one.
    pub table: Option<Spanned<String>>,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NextHop {
    /// To whoever has this address.
    Address(IpAddr),
    /// To a workload's interface, whichever address it gets.
    Port(PortId),
    /// Nowhere: the packets are dropped.
    Discard,
}

impl StaticRoute {
    /// The next hop's address, where it was written as one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.next_hop.value {
            NextHop::Address(address) => Some(address),
            NextHop::Port(_) | NextHop::Discard => None,
        }
    }
}

/// What a policy does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyAction {
    /// Goes on as routed.
    Allow,
    /// Ends here.
    Drop,
    /// Goes to the policy's next hops instead.
    Reroute,
}

/// A policy: decides after routing, by priority alone.
#[derive(Debug)]
pub struct PolicyRoute {
    /// The whole policy.
    pub span: Span,
    /// Higher first.
    pub priority: Spanned<i64>,
    /// Which packets, in OVN's expression language.
    pub matching: Spanned<String>,
    /// What happens to them.
    pub action: Spanned<PolicyAction>,
    /// For reroutes.
    pub next_hops: Vec<Spanned<IpAddr>>,
}

/// One side of a peering.
#[derive(Debug)]
pub struct Peering {
    /// The whole declaration.
    pub span: Span,
    /// The other VPC, as written.
    pub remote: Spanned<String>,
    /// The other VPC, if it exists.
    pub remote_id: Option<VpcId>,
    /// This side's addresses on the link, at most one a family.
    pub addresses: Vec<Spanned<IpNet>>,
}
