//! Kube-OVN's VpcEgressGateway, names to ids: a gateway of the VPC's router, and what it translates.
//!
//! | said | meant |
//! |---|---|
//! | externalSubnet | a gateway there, and the VPC's default route where it has none |
//! | externalIPs | the address that sources get; the router's own where there is none |
//! | policies with `snat`, selectors | sources that are translated |
//! | policies, where the default route leads elsewhere | a policy that sends what leaves the VPC here |
//!
//! Refuses to judge whether sources can get out; `check` does.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::kubeovn::egress::{EgressGateway, EgressPolicy, Selector};
use super::kubeovn::nat::{Rule, Said, Translation};
use super::kubeovn::not_yet;
use super::outside::{Address, EGRESS_GATEWAY, PublicAddresses, kube_ovns};
use super::resolve::{Selectable, SubnetNames, unique};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{
    ElasticIp, ElasticIpId, Model, PolicyAction, PolicyRoute, Public, RouteSelector, SubnetId, VpcId,
    everything,
};
use crate::span::Spanned;

/// Where Kube-OVN has the policies of its egress gateways.
const PRIORITY: i64 = 29_100;

/// Gateways into the model; what they translate is given back.
pub(super) fn attach(
    declared: Vec<EgressGateway>,
    workloads: &[Selectable],
    names: &SubnetNames,
    public: &mut PublicAddresses,
    model: &mut Model,
    sink: &mut Sink,
) -> Vec<Rule> {
    let (mut rules, mut seats) = (Vec::new(), Vec::new());
    for gateway in unique(EGRESS_GATEWAY, declared, |g| &g.name.value, |g| Some(g.name.span), sink) {
        let who = format!("{EGRESS_GATEWAY} {}", gateway.name);
        let Some(vpc) = names.vpc_of(format_args!("{who}"), &gateway.vpc, model, sink) else { continue };
        let Some(external) = names.find(&gateway.external, &who, sink) else {
            model.vpcs[vpc.0].whole_exits = false;
            continue;
        };
        let message = format!("OVN itself does what {who} is for: there are no pods");
        sink.push(Diagnostic::new(Code::NatGatewayInOvn, gateway.name.span, message));
        if model.gateway_on(vpc, external).is_none() {
            model.add_gateway(kube_ovns(vpc, external, gateway.external.span, None, Vec::new()));
        }
        let address = (!gateway.addresses.is_empty()).then(|| {
            let (name, span) = (gateway.name.value.clone(), gateway.name.span);
            let addresses = gateway.addresses.clone();
            model.elastic_ips.push(ElasticIp { name, span, external, mac: None, addresses });
            Public::ElasticIp(ElasticIpId(model.elastic_ips.len() - 1))
        });
        seats.push((gateway.name.clone(), vpc, external, address));
        for policy in &gateway.policies {
            if policy.snat.0.is_some() {
                let blocks =
                    policy.blocks.iter().map(|block| (block.0.to_string(), Said::Given(vec![block.0])));
                let subnets =
                    policy.subnets.iter().map(|name| (name.to_string(), Said::Subnet(name.clone())));
                rules.extend(blocks.chain(subnets).map(|(what, inside)| rule(&gateway, &what, inside)));
            }
            send(&gateway, policy, (vpc, external), names, model, sink);
        }
        for selector in &gateway.selectors {
            let chosen = selected(selector, workloads, vpc, model);
            if leads_elsewhere(model, vpc, external, true) && leads_elsewhere(model, vpc, external, false) {
                let so = "the VPC's default route leads elsewhere, and what they select takes that";
                not_yet(selector.span, "selectors", so, sink);
            }
            let port = |name: String| {
                let inside = Said::Port(Spanned::new(name.clone(), selector.span));
                rule(&gateway, &name, inside)
            };
            rules.extend(chosen.into_iter().map(port));
        }
    }
    // Ids of gateways are what they are once all of them are there.
    for (name, vpc, external, address) in seats {
        let address = address.or_else(|| model.gateway_on(vpc, external).map(Public::Gateway));
        let entry = Address { public: address, span: name.span, vpc: Some(vpc) };
        public.insert((EGRESS_GATEWAY, name.value), entry);
    }
    rules
}

fn rule(gateway: &EgressGateway, what: &str, inside: Said) -> Rule {
    Rule {
        kind: EGRESS_GATEWAY,
        name: Spanned::new(format!("{}/{what}", gateway.name), gateway.name.span),
        eip: gateway.name.clone(),
        vpc: Some(gateway.vpc.clone()),
        inside,
        what: Translation::Source,
    }
}

/// The ports of workloads that a selector means.
fn selected(selector: &Selector, workloads: &[Selectable], vpc: VpcId, model: &Model) -> Vec<String> {
    let is_meant = |workload: &&Selectable| {
        selector.namespace.as_ref().is_none_or(|own| *own == workload.namespace)
            && selector.labels.iter().all(|label| workload.labels.contains(label))
    };
    let is_here = |name: &&str| {
        super::resolve::find_port(model, name)
            .is_some_and(|id| model.subnet(model.port(id).subnet).vpc == vpc)
    };
    let ports = workloads.iter().filter(is_meant).map(|workload| workload.port.as_str());
    ports.filter(is_here).map(str::to_owned).collect()
}

/// Whether the main table's default route of a family leads somewhere else than to this network.
fn leads_elsewhere(model: &Model, vpc: VpcId, external: SubnetId, v4: bool) -> bool {
    let block = model.subnet(external).blocks.iter().find(|block| block.cidr.value.addr().is_ipv4() == v4);
    let Some(block) = block else { return true };
    let by_hand = model.vpc(vpc).static_routes.iter().filter(|route| {
        route.table.is_none()
            && route.selector == RouteSelector::Destination
            && route.prefix.value == everything(v4)
    });
    let by_hand = by_hand.filter_map(|route| route.address());
    let implied = model.default_routes(vpc).into_iter().filter(|route| route.prefix == everything(v4));
    let mut hops = by_hand.chain(implied.map(|route| route.next_hop));
    !hops.any(|hop| block.cidr.value.contains(&hop))
}

/// Where routes of the main table lead by themselves, as to peers.
fn routed_by_name(model: &Model, vpc: VpcId) -> impl Iterator<Item = IpNet> {
    let routes = model.vpc(vpc).static_routes.iter().filter(|route| {
        route.table.is_none()
            && route.selector == RouteSelector::Destination
            && route.prefix.value.prefix_len() > 0
    });
    routes.map(|route| route.prefix.value)
}

/// Sends what leaves the VPC from a policy's sources to the external network, where nothing else does.
fn send(
    gateway: &EgressGateway,
    policy: &EgressPolicy,
    (vpc, external): (VpcId, SubnetId),
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) {
    let who = format!("{EGRESS_GATEWAY} {}", gateway.name);
    let subnets = policy.subnets.iter().filter_map(|name| names.find(name, &who, sink));
    let of_subnets: Vec<IpNet> =
        subnets.flat_map(|id| &model.subnet(id).blocks).map(|block| block.cidr.value).collect();
    let sources: Vec<IpNet> = policy.blocks.iter().map(|block| block.0.value).chain(of_subnets).collect();
    for v4 in [true, false] {
        if !leads_elsewhere(model, vpc, external, v4) {
            continue;
        }
        let of_family = |net: &IpNet| net.addr().is_ipv4() == v4;
        let hop: Option<IpAddr> =
            model.subnet(external).blocks.iter().map(|block| block.gateway.value).find(|a| a.is_ipv4() == v4);
        let from: Vec<String> = sources.iter().filter(|net| of_family(net)).map(IpNet::to_string).collect();
        let own = model.blocks_of(vpc).into_iter().map(|block| block.value);
        let own: BTreeSet<IpNet> = own.chain(routed_by_name(model, vpc)).filter(of_family).collect();
        let own: Vec<String> = own.iter().map(IpNet::to_string).collect();
        let (Some(hop), false) = (hop, from.is_empty()) else { continue };
        let span = gateway.name.span;
        let ip = if v4 { "ip4" } else { "ip6" };
        let within = format!("{ip}.src == {{{}}}", from.join(", "));
        let beyond =
            if own.is_empty() { String::new() } else { format!(" && !({ip}.dst == {{{}}})", own.join(", ")) };
        model.vpcs[vpc.0].policy_routes.push(PolicyRoute {
            span,
            priority: Spanned::new(PRIORITY, span),
            matching: Spanned::new(within + &beyond, span),
            action: Spanned::new(PolicyAction::Reroute, span),
            next_hops: vec![Spanned::new(hop, span)],
            bfd: None,
        });
    }
}
