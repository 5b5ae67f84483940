//! northc's own kinds, `northc.io/v1alpha1`: one file each, declared once for reader, schema and page.
//!
//! Names follow those of Kube-OVN's kinds, and both become the same model; either may name objects of the
//! other. What follows from something else need not be written. Refuses to judge what is meant; `check` does.

mod balancer;
mod dns;
mod expectation;
mod filter_rule;
pub(super) mod interface;
mod links;
mod network_acl;
pub(super) mod outside;
mod peering;
mod pool;
mod prefix_list;
mod qos;
mod route;
mod security_group;
mod subnet;
mod transit;
mod vpc;

use std::collections::BTreeSet;

use ipnet::IpNet;

use self::links::Link;
use super::Declarations;
use super::declare::{Cidr, Mapping};
use super::kubeovn::nat::Rule;
use super::object::Object;
use super::outside::Declared as Outside;
use super::resolve::{SubnetNames, suggest, unique};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, Model};
use crate::span::Spanned;

pub(super) use balancer::LoadBalancer;
pub(super) use dns::DnsZone;
pub(super) use expectation::Expectation;
pub(super) use interface::NetworkInterface;
pub(super) use network_acl::NetworkAcl;
pub(super) use peering::VpcPeering;
pub(super) use pool::IpPool;
pub(super) use prefix_list::{PrefixList, PrefixLists};
pub(super) use qos::QosPolicy;
pub(super) use route::{Route, RouteTable};
pub(super) use security_group::SecurityGroup;
pub(super) use subnet::Subnet;
pub(super) use transit::TransitGateway;
pub(super) use vpc::Vpc;

/// Kinds that are read.
pub(super) const KINDS: [&str; 19] = [
    "DnsZone",
    "ElasticIp",
    "Expectation",
    "ExternalNetwork",
    "InternetGateway",
    "IpPool",
    "LoadBalancer",
    "NatGateway",
    "NetworkAcl",
    "NetworkInterface",
    "PortForward",
    "PrefixList",
    "QosPolicy",
    "RouteTable",
    "SecurityGroup",
    "Subnet",
    "TransitGateway",
    "Vpc",
    "VpcPeering",
];

/// Kinds that this version does not lower.
pub(super) const WAITING_KINDS: [&str; 0] = [];

/// An object of a native kind.
pub(super) struct Declared<S> {
    name: Spanned<String>,
    /// What an annotation says of it; empty if nothing.
    annotated: String,
    /// Its labels.
    labels: Vec<(String, String)>,
    /// False when some of it could not be read.
    whole: bool,
    spec: S,
}

impl<S> Declared<S> {
    fn description(&self, said: Option<&Spanned<String>>) -> String {
        said.map_or_else(|| self.annotated.clone(), |text| text.value.clone())
    }
}

/// Reads an object of a native kind.
pub(super) fn read<S: Mapping>(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared<S>> {
    let n_errors = sink.n_errors();
    let spec: S = if S::needs_some() { object.declared(sink)? } else { object.declared_if_any(sink)? };
    Some(Declared {
        name: object.name.map(str::to_owned),
        annotated: object.description(),
        labels: object.labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        whole: sink.n_errors() == n_errors,
        spec,
    })
}

/// Native objects as declared, in the order read.
#[derive(Default)]
pub(super) struct Native {
    pub(super) vpcs: Vec<Declared<Vpc>>,
    pub(super) subnets: Vec<Declared<Subnet>>,
    pub(super) tables: Vec<Declared<RouteTable>>,
    pub(super) peerings: Vec<Declared<VpcPeering>>,
    pub(super) transits: Vec<Declared<TransitGateway>>,
    pub(super) prefix_lists: Vec<Declared<PrefixList>>,
    pub(super) groups: Vec<Declared<SecurityGroup>>,
    pub(super) network_acls: Vec<Declared<NetworkAcl>>,
    pub(super) externals: Vec<Declared<outside::ExternalNetwork>>,
    pub(super) internet_gateways: Vec<Declared<outside::InternetGateway>>,
    pub(super) nat_gateways: Vec<Declared<outside::NatGateway>>,
    pub(super) elastic_ips: Vec<Declared<outside::ElasticIp>>,
    pub(super) forwards: Vec<Declared<outside::PortForward>>,
    pub(super) balancers: Vec<Declared<LoadBalancer>>,
    pub(super) dns_zones: Vec<Declared<DnsZone>>,
    pub(super) pools: Vec<Declared<IpPool>>,
    pub(super) qos_policies: Vec<Declared<QosPolicy>>,
    pub(super) expectations: Vec<Declared<Expectation>>,
}

/// What can only be put into the model when everything that it names is there.
pub(super) struct Pending {
    lists: PrefixLists,
    routes: Vec<route::Written>,
    tables: Vec<Declared<RouteTable>>,
    peerings: Vec<Declared<VpcPeering>>,
    transits: Vec<Declared<TransitGateway>>,
    nat_gateways: Vec<Declared<outside::NatGateway>>,
    dns_zones: Vec<Declared<DnsZone>>,
    metadata: Vec<subnet::Metadata>,
}

/// Puts VPCs, subnets and whatever can be beside those of the other dialect.
pub(super) fn join(native: Native, declared: &mut Declarations, sink: &mut Sink) -> Pending {
    declared.pools.extend(native.pools.into_iter().map(|said| pool::pool(said, sink)));
    let lists = PrefixLists::new(native.prefix_lists, &declared.pools, &declared.doubts, sink);
    let mut routes = Vec::new();
    for mut vpc in native.vpcs {
        let name = vpc.name.clone();
        routes.push(route::Written { vpc: name, table: None, routes: std::mem::take(&mut vpc.spec.routes) });
        declared.vpcs.push(vpc::vpc(vpc, &lists, sink));
    }
    let transits = transit::join(native.transits, &mut declared.vpcs, sink);
    let mut metadata = Vec::new();
    for mut subnet in native.subnets {
        metadata.extend(subnet::Metadata::take(&mut subnet, sink));
        declared.subnets.push(subnet::subnet(subnet, &lists, sink));
    }
    declared.groups.extend(native.groups.into_iter().map(|group| security_group::group(group, &lists, sink)));
    let network_acls = native.network_acls.into_iter();
    declared.network_acls.extend(network_acls.map(|said| network_acl::network_acl(said, &lists, sink)));
    let externals = native.externals.into_iter().map(|external| outside::external_network(external, sink));
    declared.subnets.extend(externals);
    let exits = &mut declared.outside;
    let gateways = native.internet_gateways.into_iter().map(|gateway| outside::gateway(gateway, sink));
    exits.internet_gateways.extend(gateways);
    for (eip, floating) in native.elastic_ips.into_iter().map(outside::elastic_ip) {
        exits.elastic_ips.push(eip);
        exits.rules.extend(floating);
    }
    let forwards = native.forwards.into_iter().filter_map(|said| outside::port_forward(said, sink));
    exits.rules.extend(forwards);
    declared.balancers.extend(native.balancers.into_iter().map(|said| balancer::balancer(said, sink)));
    let policies = native.qos_policies.into_iter();
    declared.qos_policies.extend(policies.map(|said| qos::policy(said, &lists, sink)));
    declared.expectations = native.expectations.into_iter().map(expectation::expectation).collect();
    let nat_gateways = native.nat_gateways;
    let nat_gateways = unique("NatGateway", nat_gateways, |g| &g.name.value, |g| Some(g.name.span), sink);
    Pending {
        lists,
        routes,
        tables: native.tables,
        peerings: native.peerings,
        transits,
        nat_gateways,
        dns_zones: native.dns_zones,
        metadata,
    }
}

impl Pending {
    /// Prefixes as written, and those of lists at the place where the list is named.
    pub(super) fn expand(
        &self,
        cidrs: impl IntoIterator<Item = Cidr>,
        sink: &mut Sink,
    ) -> Vec<Spanned<IpNet>> {
        self.lists.expand(cidrs, sink)
    }

    /// Zones, peerings and routes. What routes and NAT gateways translate on the way out is given back.
    pub(super) fn attach(
        mut self,
        exits: &Outside,
        names: &mut SubnetNames,
        model: &mut Model,
        sink: &mut Sink,
    ) -> Vec<Rule> {
        for metadata in self.metadata {
            metadata.attach(names, model, sink);
        }
        model.dns_zones = dns::zones(self.dns_zones, names, model, sink);
        let mut wanted = peering::wanted(self.peerings, model, names, sink);
        wanted.extend(transit::wanted(&self.transits, model, names, sink));
        let links = links::attach(wanted, model);
        let (transits, links): (Vec<Link>, Vec<Link>) =
            links.into_iter().partition(|link| model.vpc(link.vpcs[0]).is_transit);
        // Of two VPCs of one name, which is refused, the second one's routes are not judged.
        self.routes.retain(|written| model.vpcs.iter().any(|vpc| vpc.span == Some(written.vpc.span)));
        self.routes.extend(route::tables(self.tables, model, names, sink));
        let nat_gateways = &self.nat_gateways;
        let mut targets = route::Targets {
            lists: &self.lists,
            links: &links,
            transits: &transits,
            exits,
            nat_gateways,
            names,
            led: BTreeSet::new(),
        };
        for written in self.routes {
            targets.attach(written, model, sink);
        }
        let led = targets.led;
        transit::routes(&self.transits, &transits, &self.lists, model, sink);
        peering::add_routes(&links, model);
        transit::add_routes(&self.transits, &transits, model, sink);
        translations(&self.nat_gateways, led, model)
    }
}

/// What is translated on the way out: subnets that NAT gateways name, and those whose table leads to a gateway.
fn translations(
    nat_gateways: &[Declared<outside::NatGateway>],
    led: BTreeSet<route::Led>,
    model: &Model,
) -> Vec<Rule> {
    let mut rules = Vec::new();
    for gateway in nat_gateways {
        let named = gateway.spec.subnets.0.iter();
        rules.extend(named.map(|subnet| outside::source_nat(gateway, subnet.clone())));
    }
    for led in led {
        let is_led = |subnet: &&model::Subnet| {
            let table = subnet.route_table.as_ref().map(|table| &table.value);
            subnet.routed && subnet.vpc == led.vpc && table == led.table.as_ref()
        };
        let by_nat = nat_gateways.iter().find(|gateway| led.is_nat && gateway.name.value == led.gateway);
        for subnet in model.subnets.iter().filter(is_led) {
            match by_nat {
                Some(gateway) if gateway.spec.subnets.0.is_empty() => {
                    rules.push(outside::source_nat(gateway, subnet.name.clone()));
                }
                Some(_) => {}
                None => rules.push(outside::internet_nat(&led.gateway, subnet)),
            }
        }
    }
    rules
}

/// An object that another one names is not in the input.
pub(super) fn unknown<'k>(
    kind: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'k str>,
) -> Diagnostic {
    let message = format!("there is no {kind} `{name}` in the input");
    suggest(Diagnostic::new(Code::UnknownObject, name.span, message), &name.value, known)
}
