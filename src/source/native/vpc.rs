//! `northc.io/v1alpha1` Vpc: blocks, the routes of the main table, policies.
//!
//! Peerings are a kind of their own, and so are further route tables. Refuses to look up what routes name.

use std::net::IpAddr;

use super::route::{self, Bfd};
use super::{Declared, PrefixLists, Route};
use crate::diag::Sink;
use crate::model::{self, PolicyAction, RouterOptions};
use crate::source::declare::{Cidr, Int, OneOrMore, Switch, Word, Words, declare};
use crate::span::Spanned;

declare! {
    /// An isolated routing domain: a router that its subnets share with nobody.
    pub(crate) struct Vpc "Vpc.spec" {
        /// A text for people.
        "description" description: Option<Spanned<String>>,
        /// The blocks that its subnets must lie in.
        "cidrs" cidrs: OneOrMore<Cidr> = "wherever its subnets are",
        /// The main route table: for packets from peers and from subnets without a `routeTable`.
        "routes" routes: Vec<Spanned<Route>>,
        /// Rules that decide after routing, by priority alone.
        "policyRoutes" policies: Vec<Spanned<PolicyRoute>>,
        /// Seconds until the router forgets a neighbour that it has learned.
        "neighborAge" neighbour_age: Option<Int<1, 4294967295>> = "it never does",
        /// Whether the router learns from ARP requests for others, too. With thousands of machines on a segment, false spares as many entries.
        "learnFromArpRequests" learns: Option<Spanned<bool>> = "true",
        /// Whether the router asks for the addresses of other routers when it needs them. With hundreds of routers on a segment, true spares flows for each pair.
        "dynamicNeighbors" asks: Option<Spanned<bool>> = "false",
        /// Whether multicast is forwarded between its subnets that have `multicastSnooping`.
        "multicastRelay" relay: Option<Spanned<bool>> = "false",
    }
}

declare! {
    /// A rule that decides after routing.
    pub(crate) struct PolicyRoute "a policy route" {
        /// Higher first.
        "priority" priority: Int<1, 32767>,
        /// Which packets, in OVN's expression language.
        "match" matching: Spanned<String>,
        /// Let go as routed, dropped, or sent to `nextHop` instead.
        "action" action: Word<PolicyAction>,
        /// For `reroute`; several share the packets.
        "nextHop" next_hops: OneOrMore<Spanned<IpAddr>>,
        /// Whether the next hops are watched, so that one is left while it does not answer; as in a route.
        "bfd" bfd: Option<Switch<Bfd>> = "false",
    }
}

impl Words for PolicyAction {
    const WORDS: &'static [(&'static str, PolicyAction)] =
        &[("allow", PolicyAction::Allow), ("drop", PolicyAction::Drop), ("reroute", PolicyAction::Reroute)];
}

/// The VPC without its routes.
pub(super) fn vpc(said: Declared<Vpc>, lists: &PrefixLists, sink: &mut Sink) -> model::Vpc {
    let policy = |policy: Spanned<PolicyRoute>| model::PolicyRoute {
        span: policy.span,
        priority: policy.value.priority.0,
        matching: policy.value.matching,
        action: policy.value.action.0,
        bfd: route::session(policy.value.bfd.as_ref()),
        next_hops: policy.value.next_hops.0,
    };
    let spec = &said.spec;
    let router = RouterOptions {
        neighbour_age: spec.neighbour_age.as_ref().map(|age| age.0),
        learns_little: spec.learns.as_ref().is_some_and(|on| !on.value),
        asks_routers: spec.asks.as_ref().is_some_and(|on| on.value),
        multicast_relay: spec.relay.as_ref().filter(|on| on.value).map(|on| on.span),
    };
    model::Vpc {
        router,
        description: said.description(said.spec.description.as_ref()),
        whole_routes: said.whole,
        cidrs: lists.expand(said.spec.cidrs.0, sink),
        policy_routes: said.spec.policies.into_iter().map(policy).collect(),
        ..model::Vpc::new(said.name.value, Some(said.name.span))
    }
}
