//! `kubeovn.io/v1` Vpc: routes, policies, this side of the peerings, ways out.
//!
//! The kind has no blocks; the annotation `northc.io/cidrs` gives the ones that its subnets must lie in. Refuses
//! to resolve names.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{KUBERNETES_PODS, no_effect};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, Bfd, NextHop, PolicyAction, RouteSelector};
use crate::source::declare::{Form, Int, Take, Word, Words, declare};
use crate::source::fields::{comma_list, interface_address, network, text_of};
use crate::source::object::Object;
use crate::source::values::{Anything, Block, Commas, Flag, Whole};
use crate::source::yaml::Node;
use crate::span::{Span, Spanned};

declare! {
    /// A virtual private cloud: a router, to which subnets belong.
    pub(crate) struct Vpc "Vpc.spec" {
        /// Routes of the router.
        "staticRoutes" static_routes: Whole<Vec<Spanned<StaticRoute>>>,
        /// Policies of the router, which come after its routes.
        "policyRoutes" policy_routes: Vec<Spanned<PolicyRoute>>,
        /// This side of links to other VPCs, which must declare the other one.
        "vpcPeerings" peerings: Whole<Vec<Spanned<VpcPeering>>>,
        /// Whether the router has a gateway on the default external network.
        "enableExternal" external: Whole<Flag> = "false",
        /// With `enableExternal`, the further external networks that it has gateways on.
        "extraExternalSubnets" extra_externals: Whole<Vec<Spanned<String>>>,
        /// Whether next hops on external networks are watched; subnets with `enableEcmp` leave by those that answer.
        "enableBfd" bfd: Flag = "false",
    }
    unused {
        "defaultSubnet" Spanned<String>: Code::FieldWithoutEffect, KUBERNETES_PODS;
        "namespaces" Vec<Spanned<String>>: Code::FieldWithoutEffect, KUBERNETES_PODS;
        "bfdPort" Spanned<BfdPort>: Code::FieldWithoutEffect,
            "a port for BFD alone is an option of Kube-OVN's own OVN; sessions are those of gateways";
    }
}

declare! {
    /// A port from which next hops are watched.
    pub(crate) struct BfdPort "Vpc.spec.bfdPort" {
        /// Whether there is one.
        "enabled" _enabled: Flag = "false",
        /// Its address.
        "ip" _ip: Commas<Spanned<IpAddr>>,
        /// The nodes that it is on.
        "nodeSelector" _node_selector: Option<Anything>,
    }
}

declare! {
    /// A route.
    pub(crate) struct StaticRoute "a static route" {
        /// Where packets go, or come from.
        "cidr" prefix: Block,
        /// The router that they are handed to.
        "nextHopIP" next_hop: Spanned<IpAddr>,
        /// Whether `cidr` is about their destination or their source.
        "policy" policy: Option<Word<RouteSelector>> = "policyDst",
        /// The route table that it is in.
        "routeTable" table: Option<Spanned<String>> = "the main one",
        /// Whether the next hop is watched: any text says so, and the session is northc's own.
        "bfdId" bfd: Option<Spanned<String>> => Code::BfdUnsupported,
            "the next hop gets a session of northc's own, with Kube-OVN's times",
    }
    unused {
        "ecmpMode" Spanned<String>: Code::FieldWithoutEffect,
            "several next hops share by themselves, and replies keep to a way on routers of one chassis alone";
    }
}

declare! {
    /// A policy: what becomes of packets, whatever their route.
    pub(crate) struct PolicyRoute "a policy route" {
        /// Higher first.
        "priority" priority: Int<0, 32767>,
        /// Which packets, in OVN's expression language.
        "match" matching: Spanned<String>,
        /// What happens to them.
        "action" action: Word<PolicyAction>,
        /// Where they go instead, where the action is `reroute`; several share them.
        "nextHopIP" next_hops: Whole<Commas<Spanned<IpAddr>>>,
    }
}

declare! {
    /// This side of a link to another VPC.
    pub(crate) struct VpcPeering "a VPC peering" {
        /// The other VPC.
        "remoteVpc" remote: Spanned<String>,
        /// The router's address on the link with its prefix length, or one of each family.
        "localConnectIP" addresses: LinkAddresses,
    }
}

impl Words for RouteSelector {
    const WORDS: &'static [(&'static str, RouteSelector)] =
        &[("policyDst", RouteSelector::Destination), ("policySrc", RouteSelector::Source)];
}

/// Addresses on a link, each with its prefix length.
#[derive(Debug)]
pub(crate) struct LinkAddresses(Vec<Spanned<IpNet>>);

impl Take for LinkAddresses {
    fn form() -> Form {
        Form::Commas(Box::new(Form::Network))
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<LinkAddresses> {
        let parts = comma_list(text_of(node, name, sink)?);
        let one =
            |text: Spanned<&str>| {
                if text.value.parse::<IpAddr>().is_err() {
                    return interface_address(text, &format!("`{name}`"), sink);
                }
                let message = format!("`{text}` lacks its prefix length");
                let bits = if text.value.contains(':') { 126 } else { 30 };
                sink.push(Diagnostic::new(Code::PeerAddressBare, text.span, message).help(format!(
                    "write `{text}/{bits}`: the link needs a network, one address for each VPC"
                )));
                None
            };
        Some(LinkAddresses(parts.into_iter().filter_map(one).collect()))
    }
}

/// The external networks that a VPC is to have gateways on, by name.
pub(crate) struct Exits {
    /// The VPC's name.
    pub(crate) vpc: String,
    /// Where it asks for the default one.
    pub(crate) default: Option<Span>,
    /// Further ones.
    pub(crate) extra: Vec<Spanned<String>>,
    /// Where it asks for next hops outside to be watched.
    pub(crate) bfd: Option<Span>,
}

/// The VPC that an object describes, and its ways out; peers are still names.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<(model::Vpc, Exits)> {
    let cidrs = object.annotation("northc.io/cidrs").map_or(Vec::new(), |text| {
        comma_list(text).into_iter().filter_map(|p| network(p, "`northc.io/cidrs`", sink)).collect()
    });
    let spec: Vpc = object.declared_if_any(sink)?;
    let mut extra = spec.extra_externals.value;
    if let (Some(first), None) = (extra.first(), spec.external.value.0) {
        let why = "`enableExternal` is not true, so the VPC gets no gateway";
        no_effect(first.span, "extraExternalSubnets", why, sink);
        extra.clear();
    }
    let name = object.name.value.to_owned();
    let exits = Exits { vpc: name.clone(), default: spec.external.value.0, extra, bfd: spec.bfd.0 };
    let vpc = model::Vpc {
        description: object.description(),
        whole_routes: spec.static_routes.whole,
        whole_links: spec.peerings.whole,
        whole_exits: spec.external.whole && spec.extra_externals.whole,
        cidrs,
        static_routes: spec.static_routes.value.into_iter().map(static_route).collect(),
        policy_routes: spec.policy_routes.into_iter().filter_map(policy_route).collect(),
        peerings: spec.peerings.value.into_iter().map(peering).collect(),
        ..model::Vpc::new(name, Some(object.name.span))
    };
    Some((vpc, exits))
}

fn static_route(said: Spanned<StaticRoute>) -> model::StaticRoute {
    let route = said.value;
    model::StaticRoute {
        span: said.span,
        selector: route.policy.map_or(RouteSelector::Destination, |policy| policy.0.value),
        prefix: route.prefix.0,
        next_hop: route.next_hop.map(NextHop::Address),
        table: route.table,
        bfd: route.bfd.map(|id| Bfd::kube_ovns(id.span)),
    }
}

fn policy_route(said: Spanned<PolicyRoute>) -> Option<model::PolicyRoute> {
    let policy = said.value;
    policy.next_hops.whole.then_some(model::PolicyRoute {
        span: said.span,
        priority: policy.priority.0,
        matching: policy.matching,
        action: policy.action.0,
        next_hops: policy.next_hops.value.0,
        bfd: None,
    })
}

fn peering(said: Spanned<VpcPeering>) -> model::Peering {
    let peering = said.value;
    model::Peering {
        span: said.span,
        remote: peering.remote,
        remote_id: None,
        addresses: peering.addresses.0,
        table: None,
    }
}
