//! `kubeovn.io/v1` Vpc: routes, policies, this side of the peerings.
//!
//! | field | meaning here |
//! |---|---|
//! | staticRoutes | routes of the router |
//! | policyRoutes | policies of the router |
//! | vpcPeerings | one end of a link to another router |
//! | enableExternal | a gateway on the default external network |
//! | extraExternalSubnets | with it, gateways on further ones |
//! | annotation `northc.io/cidrs` | the blocks that the subnets must lie in (the kind has no such field) |
//! | others | no row in OVN; each answered with a diagnostic when set |

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{NextHop, Peering, PolicyAction, PolicyRoute, RouteSelector, StaticRoute, Vpc};
use crate::source::fields::{
    Fields, address, choice, comma_list, interface_address, network, network_or_address, owned,
};
use crate::source::object::Object;
use crate::span::{Span, Spanned};

use super::{no_effect, not_yet};

/// The external networks that a VPC is to have gateways on, by name.
pub(crate) struct Exits {
    /// The VPC's name.
    pub(crate) vpc: String,
    /// Where it asks for the default one.
    pub(crate) default: Option<Span>,
    /// Further ones.
    pub(crate) extra: Vec<Spanned<String>>,
}

/// The VPC that an object describes, and its ways out; peers are still names.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<(Vpc, Exits)> {
    let mut spec = object.fields.map("spec", "Vpc.spec", sink);
    let cidrs = object.annotation("northc.io/cidrs").map_or(Vec::new(), |text| {
        comma_list(text).into_iter().filter_map(|p| network(p, "`northc.io/cidrs`", sink)).collect()
    });
    let mut vpc = Vpc {
        name: object.name.value.to_owned(),
        span: Some(object.name.span),
        description: object.description(),
        whole_routes: true,
        whole_links: true,
        whole_exits: true,
        cidrs,
        static_routes: Vec::new(),
        route_tables: Vec::new(),
        policy_routes: Vec::new(),
        peerings: Vec::new(),
    };
    let mut exits = Exits { vpc: vpc.name.clone(), default: None, extra: Vec::new() };
    if let Some(spec) = &mut spec {
        let n_errors = sink.n_errors();
        for node in spec.list("staticRoutes", sink) {
            vpc.static_routes.extend(static_route(Fields::of("a static route", node, sink), sink));
        }
        vpc.whole_routes = sink.n_errors() == n_errors;
        for node in spec.list("policyRoutes", sink) {
            vpc.policy_routes.extend(policy_route(Fields::of("a policy route", node, sink), sink));
        }
        let n_errors = sink.n_errors();
        for node in spec.list("vpcPeerings", sink) {
            vpc.peerings.extend(peering(Fields::of("a VPC peering", node, sink), sink));
        }
        vpc.whole_links = sink.n_errors() == n_errors;
        let n_errors = sink.n_errors();
        exits.default = spec.flag("enableExternal", sink);
        exits.extra = spec.texts("extraExternalSubnets", sink).into_iter().map(owned).collect();
        if let (Some(first), None) = (exits.extra.first(), exits.default) {
            let why = "`enableExternal` is not true, so the VPC gets no gateway";
            no_effect(first.span, "extraExternalSubnets", why, sink);
            exits.extra.clear();
        }
        vpc.whole_exits = sink.n_errors() == n_errors;
        answer_others(spec, sink);
    }
    if let Some(spec) = spec {
        spec.finish(sink);
    }
    object.fields.finish(sink);
    Some((vpc, exits))
}

fn answer_others(spec: &mut Fields<'_>, sink: &mut Sink) {
    if let Some(name) = spec.text("defaultSubnet", sink) {
        no_effect(
            name.span,
            "defaultSubnet",
            "it tells Kubernetes where to put pods, which is not OVN's business",
            sink,
        );
    }
    if let Some(first) = spec.texts("namespaces", sink).first() {
        no_effect(
            first.span,
            "namespaces",
            "it tells Kubernetes where to put pods, which is not OVN's business",
            sink,
        );
    }
    if let Some(span) = spec.flag("enableBfd", sink) {
        not_yet(span, "enableBfd", "next hops are not monitored", sink);
    }
    if let Some(mut port) = spec.map("bfdPort", "Vpc.spec.bfdPort", sink) {
        if let Some(span) = port.flag("enabled", sink) {
            not_yet(span, "bfdPort", "next hops are not monitored", sink);
        }
        port.skip(&["ip", "nodeSelector"]);
        port.finish(sink);
    }
}

fn static_route(mut fields: Fields<'_>, sink: &mut Sink) -> Option<StaticRoute> {
    let prefix = fields.required("cidr", sink);
    let next_hop = fields.required("nextHopIP", sink);
    let selector = fields.text("policy", sink).map_or(Some(RouteSelector::Destination), |text| {
        let known = [("policyDst", RouteSelector::Destination), ("policySrc", RouteSelector::Source)];
        choice(text, "policy", &known, sink)
    });
    let table = fields.text("routeTable", sink);
    if let Some(mode) = fields.text("ecmpMode", sink) {
        let why = "several next hops of one prefix share its traffic by themselves";
        no_effect(mode.span, "ecmpMode", why, sink);
    }
    if let Some(id) = fields.text("bfdId", sink) {
        let message = "a BFD session can't be referred to by the UUID of its row";
        sink.push(
            Diagnostic::new(Code::BfdUnsupported, id.span, message)
                .note("the route is written without it: its next hop is always taken to be alive"),
        );
    }
    let span = fields.span;
    fields.finish(sink);
    let prefix = network_or_address(prefix?, "`cidr`", sink);
    let next_hop = address(next_hop?, "`nextHopIP`", sink);
    Some(StaticRoute {
        span,
        selector: selector?,
        prefix: prefix?,
        next_hop: next_hop?.map(NextHop::Address),
        table: table.map(owned),
    })
}

fn policy_route(mut fields: Fields<'_>, sink: &mut Sink) -> Option<PolicyRoute> {
    let priority = fields.int("priority", sink);
    if priority.is_none() && fields.node("priority").is_none() {
        fields.report_missing("priority", sink);
    }
    let matching = fields.required("match", sink);
    let action = fields.required("action", sink).and_then(|text| {
        let known = [
            ("allow", PolicyAction::Allow),
            ("drop", PolicyAction::Drop),
            ("reroute", PolicyAction::Reroute),
        ];
        Some(Spanned::new(choice(text, "action", &known, sink)?, text.span))
    });
    let hops = fields.text("nextHopIP", sink).map_or(Vec::new(), comma_list);
    let span = fields.span;
    fields.finish(sink);
    let n_hops = hops.len();
    let next_hops: Vec<_> = hops.into_iter().filter_map(|hop| address(hop, "`nextHopIP`", sink)).collect();
    let all_good = next_hops.len() == n_hops;
    Some(PolicyRoute { span, priority: priority?, matching: owned(matching?), action: action?, next_hops })
        .filter(|_| all_good)
}

fn peering(mut fields: Fields<'_>, sink: &mut Sink) -> Option<Peering> {
    let remote = fields.required("remoteVpc", sink);
    let local = fields.required("localConnectIP", sink);
    let span = fields.span;
    fields.finish(sink);
    let mut addresses = Vec::new();
    for text in comma_list(local?) {
        if text.value.parse::<std::net::IpAddr>().is_ok() {
            let message = format!("`{text}` lacks its prefix length");
            let bits = if text.value.contains(':') { 126 } else { 30 };
            sink.push(
                Diagnostic::new(Code::PeerAddressBare, text.span, message).help(format!(
                    "write `{text}/{bits}`: the link needs a network, one address for each VPC"
                )),
            );
        } else {
            addresses.extend(interface_address(text, "`localConnectIP`", sink));
        }
    }
    Some(Peering { span, remote: owned(remote?), remote_id: None, addresses })
}
