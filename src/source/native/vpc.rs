//! `northc.io/v1alpha1` Vpc: blocks, the routes of the main table, policies.
//!
//! Peerings are a kind of their own, and so are further route tables. Refuses to look up what routes name.

use std::net::IpAddr;

use super::{Declared, PrefixLists, Route};
use crate::diag::Sink;
use crate::model::{self, PolicyAction};
use crate::source::declare::{Cidr, Int, OneOrMore, Word, Words, declare};
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
        next_hops: policy.value.next_hops.0,
    };
    model::Vpc {
        description: said.description(said.spec.description.as_ref()),
        name: said.name.value,
        span: Some(said.name.span),
        whole_routes: said.whole,
        whole_links: true,
        whole_exits: true,
        cidrs: lists.expand(said.spec.cidrs.0, sink),
        static_routes: Vec::new(),
        route_tables: Vec::new(),
        policy_routes: said.spec.policies.into_iter().map(policy).collect(),
        peerings: Vec::new(),
    }
}
