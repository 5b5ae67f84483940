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
    /// Whether it is a transit gateway's router: it has links and no subnets, and forwards between the VPCs there.
    pub is_transit: bool,
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
    /// How its router gets by among many.
    pub router: RouterOptions,
}

/// How a router gets by among many others.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouterOptions {
    /// Seconds until a learned neighbour is forgotten; never where nobody says.
    pub neighbour_age: Option<Spanned<i64>>,
    /// Whether it learns from ARP requests for others as well only what it knows already.
    pub learns_little: bool,
    /// Whether it asks for the addresses of other routers, rather than knowing them all beforehand.
    pub asks_routers: bool,
    /// Where it is to forward multicast between subnets.
    pub multicast_relay: Option<Span>,
}

impl Vpc {
    /// One of which nothing more is known.
    pub fn new(name: String, span: Option<Span>) -> Vpc {
        Vpc {
            name,
            span,
            description: String::new(),
            is_transit: false,
            whole_routes: true,
            whole_links: true,
            whole_exits: true,
            cidrs: Vec::new(),
            static_routes: Vec::new(),
            route_tables: Vec::new(),
            policy_routes: Vec::new(),
            peerings: Vec::new(),
            router: RouterOptions::default(),
        }
    }

    /// How people call it: "VPC `shop`".
    pub fn called(&self) -> String {
        format!("{} `{}`", if self.is_transit { "transit gateway" } else { "VPC" }, self.name)
    }
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
    /// What watches over the next hop: while it does not answer, the route is not there.
    pub bfd: Option<Bfd>,
}

/// A session that watches over a next hop (RFC 5880).
#[derive(Clone, Copy, Debug)]
pub struct Bfd {
    /// Where it is asked for.
    pub span: Span,
    /// At least so many milliseconds between packets that are sent.
    pub min_tx: i64,
    /// At least so many milliseconds between packets that are received.
    pub min_rx: i64,
    /// So many packets may go missing.
    pub multiplier: i64,
}

impl Bfd {
    /// With Kube-OVN's times.
    pub fn kube_ovns(span: Span) -> Bfd {
        Bfd { span, min_tx: 100, min_rx: 100, multiplier: 3 }
    }

    /// Its times, in order.
    pub fn times(&self) -> [i64; 3] {
        [self.min_tx, self.min_rx, self.multiplier]
    }
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
    /// What watches over the next hops.
    pub bfd: Option<Bfd>,
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
    /// The route table for packets that come in by the link; `None` is the main one.
    pub table: Option<Spanned<String>>,
}
