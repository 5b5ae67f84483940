//! Names to ids: VPCs, providers, subnets, VLANs, the workloads of a virtual address.
//!
//! Dangling and duplicate names are reported here, with the nearest name that exists. The result is
//! sorted by name, so that nothing later can depend on the order of the input. Refuses to judge addresses.

mod groups;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::kubeovn::{dns, ip, subnet, underlay, vip, workload};
use super::{Declarations, Doubts, balancers, bfd, native, outside, pools, qos};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{
    DEFAULT_SUBNETS, DEFAULT_VPC, Few, Model, Port, PortId, Provider, Subnet, SubnetId, Underlay, Vip, Vpc,
    VpcId,
};
use crate::nearest::nearest;
use crate::parallel;
use crate::span::{Span, Spanned};

/// Network attachments by name: place and CNI plugin.
type Networks = BTreeMap<Provider, (Span, String)>;

/// Resolves everything that was declared. What dangles is reported and left out.
pub(super) fn resolve(mut declared: Declarations, sink: &mut Sink) -> Model {
    let native = std::mem::take(&mut declared.native);
    let pending = native::join(native, &mut declared, sink);
    let mut doubts = declared.doubts;
    let mut outside = declared.outside;
    let mut model = Model { vpcs: vpcs(declared.vpcs, sink), ..Model::default() };
    resolve_peers(&mut model.vpcs, &doubts, sink);
    let networks = networks(declared.networks, sink);
    let physical = Physical {
        vlans: unique("Vlan", declared.vlans, |v| &v.name.value, |v| Some(v.name.span), sink),
        networks: unique("ProviderNetwork", declared.provider_networks, |n| &n.value, |n| Some(n.span), sink),
    };
    let subnets = subnets(declared.subnets, &model, &networks, &physical, &mut doubts, sink);
    let namespaces = subnets.namespaces;
    model.subnets = subnets.subnets;
    model.network_acls = groups::network_acls(declared.network_acls, sink);
    for (id, name) in subnets.network_acls {
        let found = groups::network_acl(&name, &model.network_acls, &doubts, sink);
        model.subnets[id.0].network_acl = found.map(|id| Spanned::new(id, name.span));
    }
    model.whole = !doubts.lost && !doubts.left_out.iter().any(|(kind, _)| *kind == "Subnet");
    model.groups = groups::resolve(declared.groups, &doubts, sink);
    let mut names = SubnetNames::new(&model, doubts);
    let mut interfaces = unique("the interface", declared.interfaces, |i| &i.port, |i| Some(i.span), sink);
    declared.qos_policies.extend(interfaces.iter_mut().filter_map(|i| Some(*i.rates.take()?)));
    let wanted = pools::wanted(&mut interfaces, &declared.pools);
    let places = Places { names: &names, namespaces: &namespaces, networks: &networks, model: &model };
    let (ports, selectors) = ports(interfaces, &places, &pending, sink);
    model.ports = ports;
    records(declared.records, &names, &mut model, sink);
    outside::switch_ports(&outside, &names, &mut model, sink);
    model.ports.sort_by(|a, b| a.name.cmp(&b.name));
    pools::resolve(declared.pools, wanted, &names, &mut model, sink);
    model.vips = vips(declared.vips, subnets.vips, &selectors, &names, &model, sink);
    let watch = bfd::Watch::new(&outside, subnets.ecmp, &model);
    let rules = pending.attach(&outside, &mut names, &mut model, sink);
    outside.rules.extend(rules);
    let bound = qos::bound(&outside);
    let public = outside::resolve(outside, &selectors, &names, &mut model, sink);
    qos::resolve(declared.qos_policies, bound, &public, &names, &mut model, sink);
    let rules = declared.balancers.iter().filter(|it| it.kind == balancers::SWITCH_RULE);
    let rules: Vec<String> = rules.map(|rule| rule.name.value.clone()).collect();
    dns::answer(declared.vpc_dns, &rules, &names, &model, sink);
    watch.apply(&mut model, sink);
    balancers::resolve(declared.balancers, &public, &selectors, &names, &mut model, sink);
    let expectations = declared.expectations;
    model.expectations = unique("Expectation", expectations, |e| &e.name.value, |e| Some(e.name.span), sink);
    model
}

/// Keeps the first of each name, in the order of names; a second one is reported.
pub(super) fn unique<T>(
    kind: &str,
    mut items: Vec<T>,
    name: impl Fn(&T) -> &str,
    span: impl Fn(&T) -> Option<Span>,
    sink: &mut Sink,
) -> Vec<T> {
    items.sort_by(|a, b| name(a).cmp(name(b)).then(span(a).cmp(&span(b))));
    items.dedup_by(|item, last| {
        let is_twin = name(last) == name(item);
        if let (true, Some(second), Some(first)) = (is_twin, span(item), span(last)) {
            let message = format!("{kind} `{}` is declared twice", name(item));
            sink.push(Diagnostic::new(Code::DuplicateObject, second, message).label(first, "first here"));
        }
        is_twin
    });
    items
}

/// VPCs by name, the default one first whether or not it was declared.
fn vpcs(declared: Vec<Vpc>, sink: &mut Sink) -> Vec<Vpc> {
    let mut vpcs = unique("Vpc", declared, |v| &v.name, |v| v.span, sink);
    let default = match vpcs.iter().position(|v| v.name == DEFAULT_VPC) {
        Some(at) => vpcs.remove(at),
        None => Vpc::new(DEFAULT_VPC.to_owned(), None),
    };
    vpcs.insert(0, default);
    vpcs
}

/// An interface by its port's name.
pub(super) fn find_port(model: &Model, name: &str) -> Option<PortId> {
    model.ports.binary_search_by(|port| port.name.as_str().cmp(name)).ok().map(PortId)
}

/// A VPC by its name.
pub(super) fn find_vpc(vpcs: &[Vpc], name: &str) -> Option<VpcId> {
    if name == DEFAULT_VPC {
        return Some(VpcId(0));
    }
    let rest = vpcs.get(1..).unwrap_or(&[]);
    rest.binary_search_by(|v| v.name.as_str().cmp(name)).ok().map(|at| VpcId(at + 1))
}

/// The VPC of a name. One that does not exist is reported: what the message says comes before the name.
pub(super) fn vpc_of(
    name: &Spanned<String>,
    vpcs: &[Vpc],
    doubts: &Doubts,
    (code, says): (Code, fmt::Arguments<'_>),
    sink: &mut Sink,
) -> Option<VpcId> {
    let found = find_vpc(vpcs, &name.value);
    if let Some(gateway) = found.map(|id| &vpcs[id.0]).filter(|vpc| vpc.is_transit) {
        let message = format!("{says} `{name}`, which is a transit gateway");
        let diagnostic = Diagnostic::new(code, name.span, message);
        sink.push(diagnostic.label(gateway.span.unwrap_or(name.span), "the gateway"));
        return None;
    }
    if found.is_none() && !doubts.cover("Vpc", &name.value) {
        let message = format!("{says} `{name}`, which is not in the input");
        let diagnostic = Diagnostic::new(code, name.span, message);
        let known = vpcs.iter().filter(|vpc| !vpc.is_transit);
        sink.push(suggest(diagnostic, &name.value, known.map(|vpc| vpc.name.as_str())));
    }
    found
}

fn resolve_peers(vpcs: &mut [Vpc], doubts: &Doubts, sink: &mut Sink) {
    for at in 0..vpcs.len() {
        for peer in 0..vpcs[at].peerings.len() {
            let remote = &vpcs[at].peerings[peer].remote;
            let says = format_args!("VPC `{}` peers with", vpcs[at].name);
            let found = vpc_of(remote, vpcs, doubts, (Code::PeerUnknown, says), sink);
            vpcs[at].peerings[peer].remote_id = found;
        }
    }
}

/// Adds the nearest name that exists.
pub(super) fn suggest<'c>(
    diagnostic: Diagnostic,
    name: &str,
    known: impl Iterator<Item = &'c str>,
) -> Diagnostic {
    match nearest(name, known) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

fn networks(declared: Vec<super::network::Network>, sink: &mut Sink) -> Networks {
    let mut networks = Networks::new();
    for network in declared {
        if let Some((first, _)) = networks.get(&network.provider) {
            let message = format!("NetworkAttachmentDefinition `{}` is declared twice", network.provider);
            sink.push(
                Diagnostic::new(Code::DuplicateObject, network.span, message).label(*first, "first here"),
            );
            continue;
        }
        networks.insert(network.provider, (network.span, network.cni));
    }
    networks
}

/// The physical side: VLANs and the networks that they are on.
struct Physical {
    vlans: Vec<underlay::Vlan>,
    networks: Vec<Spanned<String>>,
}

impl Physical {
    /// What a subnet's `vlan` stands for.
    fn underlay(&self, name: &Spanned<String>, doubts: &Doubts, sink: &mut Sink) -> Option<Underlay> {
        let Some(vlan) = self.vlans.iter().find(|v| v.name.value == name.value) else {
            if doubts.cover("Vlan", &name.value) {
                return None;
            }
            let diagnostic =
                Diagnostic::new(Code::UnknownVlan, name.span, format!("no Vlan `{name}` in the input"));
            sink.push(suggest(diagnostic, &name.value, self.vlans.iter().map(|v| v.name.value.as_str())));
            return None;
        };
        let physical = vlan.provider.clone()?;
        let known = self.networks.is_empty() || self.networks.iter().any(|n| n.value == physical.value);
        if !known && !doubts.cover("ProviderNetwork", &physical.value) {
            let message = format!("no ProviderNetwork `{physical}` in the input");
            let diagnostic = Diagnostic::new(Code::UnknownVlan, physical.span, message);
            sink.push(suggest(diagnostic, &physical.value, self.networks.iter().map(|n| n.value.as_str())));
        }
        let tag = (vlan.id.value != 0).then_some(vlan.id);
        Some(Underlay { physical, vlan: tag })
    }
}

#[derive(Default)]
struct Subnets {
    subnets: Vec<Subnet>,
    /// Which namespaces' pods live where.
    namespaces: BTreeMap<String, SubnetId>,
    /// Addresses that subnets themselves declare as virtual.
    vips: Vec<(SubnetId, Spanned<std::net::IpAddr>)>,
    /// Those that leave by several watched next hops.
    ecmp: Vec<(SubnetId, Span)>,
    /// The network ACLs that they name.
    network_acls: Vec<(SubnetId, Spanned<String>)>,
}

fn subnets(
    declared: Vec<subnet::Declared>,
    model: &Model,
    networks: &Networks,
    physical: &Physical,
    doubts: &mut Doubts,
    sink: &mut Sink,
) -> Subnets {
    let declared = unique("Subnet", declared, |d| &d.subnet.name.value, |d| Some(d.subnet.name.span), sink);
    let mut out = Subnets::default();
    let mut taken: BTreeMap<Provider, (String, Span)> = BTreeMap::new();
    for mut d in declared {
        let kind = d.provider.as_ref().map_or(ProviderKind::BuiltIn, |p| provider_kind(&p.value));
        if is_built_in(&d, sink) {
            continue;
        }
        let vpc = if d.placed { subnet_vpc(&d, model, doubts, sink) } else { None };
        let Some(vpc) = vpc else {
            doubts.leave_out("Subnet", d.subnet.name.value);
            if let ProviderKind::Overlay(provider) = kind {
                doubts.leave_out(BOUND_NETWORK, provider.to_string());
            }
            continue;
        };
        d.subnet.vpc = vpc;
        if let (ProviderKind::OnlyAddresses, Some(provider)) = (&kind, &d.provider) {
            let message = format!("subnet `{}` only manages addresses for another plugin", d.subnet.name);
            sink.push(
                Diagnostic::new(Code::FieldWithoutEffect, provider.span, message)
                    .note("a provider of one part makes no switch"),
            );
            doubts.leave_out("address-only Subnet", d.subnet.name.value);
            continue;
        }
        if let (ProviderKind::Overlay(provider), Some(said)) = (kind, &d.provider) {
            check_network(&provider, said.span, networks, doubts, sink);
            if let Some((other, span)) = taken.get(&provider) {
                let message = format!("subnets `{other}` and `{}` are on one overlay network", d.subnet.name);
                let (first, second) = (said.span.min(*span), said.span.max(*span));
                sink.push(
                    Diagnostic::new(Code::ProviderInUse, second, message)
                        .at(format!("{provider} a second time"))
                        .label(first, "first here")
                        .help("give each subnet a network of its own"),
                );
            } else {
                taken.insert(provider.clone(), (d.subnet.name.value.clone(), said.span));
            }
            d.subnet.provider = Some(Spanned::new(provider, said.span));
        }
        if let Some(vlan) = &d.vlan {
            d.subnet.underlay = physical.underlay(vlan, doubts, sink);
            d.subnet.whole &= d.subnet.underlay.is_some();
            d.subnet.routed = d.logical_gateway;
        }
        d.subnet.routed &= !d.subnet.blocks.is_empty();
        let id = SubnetId(out.subnets.len());
        for namespace in d.namespaces {
            out.namespaces.entry(namespace).or_insert(id);
        }
        out.vips.extend(d.vips.into_iter().map(|v| (id, v)));
        out.ecmp.extend(d.ecmp.map(|span| (id, span)));
        out.network_acls.extend(d.network_acl.map(|name| (id, name)));
        out.subnets.push(d.subnet);
    }
    out
}

/// True for the default VPC's own subnets, which are Kube-OVN's business; their names elsewhere are refused.
fn is_built_in(d: &subnet::Declared, sink: &mut Sink) -> bool {
    let name = &d.subnet.name;
    if !DEFAULT_SUBNETS.contains(&name.value.as_str()) {
        return false;
    }
    match d.vpc.as_ref().filter(|vpc| vpc.value != DEFAULT_VPC) {
        Some(vpc) => {
            let message = format!("the name `{name}` belongs to the default VPC's own subnet");
            sink.push(
                Diagnostic::new(Code::ReservedName, name.span, message)
                    .label(vpc.span, "not the default VPC"),
            );
        }
        None => {
            let message = format!("subnet `{name}` is Kube-OVN's own and is left out");
            sink.push(Diagnostic::new(Code::BuiltInLeftOut, name.span, message));
        }
    }
    true
}

fn subnet_vpc(d: &subnet::Declared, model: &Model, doubts: &Doubts, sink: &mut Sink) -> Option<VpcId> {
    let Some(vpc) = &d.vpc else { return Some(VpcId(0)) };
    let says = format_args!("subnet `{}` is in VPC", d.subnet.name);
    vpc_of(vpc, &model.vpcs, doubts, (Code::UnknownVpc, says), sink)
}

enum ProviderKind {
    /// Kube-OVN's primary network.
    BuiltIn,
    /// An overlay network of its own.
    Overlay(Provider),
    /// Addresses for another CNI plugin.
    OnlyAddresses,
}

/// `default/vswitch1`, `vswitch1.default.ovn` and `vswitch1.default` are one provider (Harvester's page and
/// Kube-OVN write it differently); `ovn` is the built-in one.
fn provider_kind(text: &str) -> ProviderKind {
    let overlay = |namespace: &str, name: &str| {
        ProviderKind::Overlay(Provider { namespace: namespace.to_owned(), name: name.to_owned() })
    };
    if text == "ovn" {
        return ProviderKind::BuiltIn;
    }
    if let Some((namespace, name)) = text.split_once('/') {
        return overlay(namespace, name);
    }
    match text.strip_suffix(".ovn").unwrap_or(text).rsplit_once('.') {
        Some((name, namespace)) => overlay(namespace, name),
        None => ProviderKind::OnlyAddresses,
    }
}

/// Where the input has networks at all, a provider must be one of them, and one that OVN makes.
fn check_network(provider: &Provider, span: Span, networks: &Networks, doubts: &Doubts, sink: &mut Sink) {
    match networks.get(provider) {
        Some((_, cni)) if cni == "kube-ovn" => {}
        Some((at, cni)) => {
            let message = format!("the network `{provider}` is made by `{cni}`, not by kube-ovn");
            sink.push(Diagnostic::new(Code::NotAnOverlay, span, message).label(*at, "declared here"));
        }
        None if networks.is_empty() => {}
        None if doubts.cover("NetworkAttachmentDefinition", &provider.to_string()) => {}
        None => {
            let message = format!("no NetworkAttachmentDefinition `{provider}` in the input");
            let names: Vec<String> = networks.keys().map(Provider::to_string).collect();
            let diagnostic = Diagnostic::new(Code::UnknownProvider, span, message);
            sink.push(suggest(diagnostic, &provider.to_string(), names.iter().map(String::as_str)));
        }
    }
}

/// What [`Doubts`] calls the network of a subnet that was left out.
const BOUND_NETWORK: &str = "network of a Subnet";

/// Subnets by name and by provider.
pub(super) struct SubnetNames {
    doubts: Doubts,
    by_name: BTreeMap<String, SubnetId>,
    by_provider: BTreeMap<Provider, SubnetId>,
}

impl SubnetNames {
    fn new(model: &Model, doubts: Doubts) -> SubnetNames {
        let by_name = model.subnets().map(|(id, s)| (s.name.value.clone(), id)).collect();
        let providers = model.subnets().filter_map(|(id, s)| Some((s.provider.as_ref()?.value.clone(), id)));
        SubnetNames { doubts, by_name, by_provider: providers.collect() }
    }

    /// Whether there is a subnet of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The interface of a name; one that does not exist is reported.
    pub(super) fn interface(&self, name: &Spanned<String>, model: &Model, sink: &mut Sink) -> Option<PortId> {
        let found = find_port(model, &name.value);
        if found.is_none() && !self.may_lack_interfaces() {
            sink.push(native::unknown("interface", name, model.ports.iter().map(|port| port.name.as_str())));
        }
        found
    }

    /// Whether an interface may exist that was not read.
    pub(super) fn may_lack_interfaces(&self) -> bool {
        ["VirtualMachine", "Pod", "IP", "NetworkInterface"].iter().any(|kind| self.may_lack(kind))
    }

    /// The subnet of a name, if there is one.
    pub(super) fn known(&self, name: &str) -> Option<SubnetId> {
        self.by_name.get(name).copied()
    }

    /// The VPC that something is in; one that does not exist is reported as `who`'s.
    pub(super) fn vpc_of(
        &self,
        who: fmt::Arguments<'_>,
        name: &Spanned<String>,
        model: &Model,
        sink: &mut Sink,
    ) -> Option<VpcId> {
        let says = format_args!("{who} is in VPC");
        vpc_of(name, &model.vpcs, &self.doubts, (Code::UnknownVpc, says), sink)
    }

    /// What may exist although it was not read.
    pub(super) fn doubts(&self) -> &Doubts {
        &self.doubts
    }

    /// Whether an object may exist although it was not read.
    pub(super) fn may_exist(&self, kind: &'static str, name: &str) -> bool {
        self.doubts.cover(kind, name)
    }

    /// Remembers an object that is left out.
    pub(super) fn leave_out(&mut self, kind: &'static str, name: String) {
        self.doubts.leave_out(kind, name);
    }

    /// Whether any object of a kind may exist that was not read.
    pub(super) fn may_lack(&self, kind: &str) -> bool {
        self.doubts.lost || self.doubts.left_out.iter().any(|(left_out, _)| *left_out == kind)
    }

    /// The subnet of a name; one that does not exist is reported as `who`'s.
    pub(super) fn find(&self, name: &Spanned<String>, who: &str, sink: &mut Sink) -> Option<SubnetId> {
        let found = self.by_name.get(&name.value).copied();
        let excused = DEFAULT_SUBNETS.contains(&name.value.as_str())
            || self.doubts.cover("Subnet", &name.value)
            || self.doubts.cover("address-only Subnet", &name.value);
        if found.is_none() && !excused {
            let message = format!("{who} is on subnet `{name}`, which is not in the input");
            let diagnostic = Diagnostic::new(Code::UnknownSubnet, name.span, message);
            sink.push(suggest(diagnostic, &name.value, self.by_name.keys().map(String::as_str)));
        }
        found
    }
}

/// What virtual addresses and balancers need to know of a workload's interface: its namespace, labels, and the
/// virtual addresses that it names.
pub(super) struct Selectable {
    pub(super) port: String,
    pub(super) namespace: String,
    pub(super) labels: Few<(String, String)>,
    aaps: Few<Spanned<String>>,
    port_vips: Few<Spanned<String>>,
}

/// What interfaces name.
struct Places<'a> {
    names: &'a SubnetNames,
    /// The subnets of namespaces.
    namespaces: &'a BTreeMap<String, SubnetId>,
    networks: &'a Networks,
    model: &'a Model,
}

/// From so many interfaces on, they are worth a thread.
const INTERFACES_MIN: usize = 4096;

/// The ports of interfaces, on all processors: with what they do now where they are parsed, one took a fourteenth of a
/// compilation for it.
#[allow(clippy::vec_box, reason = "as in `Declarations`")]
fn ports(
    interfaces: Vec<Box<workload::Interface>>,
    places: &Places<'_>,
    pending: &native::Pending,
    sink: &mut Sink,
) -> (Vec<Port>, Vec<Selectable>) {
    let (mut ports, mut selectable) = (Vec::with_capacity(interfaces.len()), Vec::new());
    let size = parallel::part(interfaces.len(), INTERFACES_MIN);
    let mut left = interfaces.into_iter();
    let next = || Some(left.by_ref().take(size).collect()).filter(|part: &Vec<_>| !part.is_empty());
    let parts = std::iter::from_fn(next).collect();
    let work = |part: Vec<Box<workload::Interface>>| {
        let (mut ports, mut selectable, mut sink) = (Vec::with_capacity(part.len()), Vec::new(), Sink::new());
        for interface in part {
            ports.extend(port(*interface, places, pending, &mut selectable, &mut sink));
        }
        (ports, selectable, sink)
    };
    parallel::in_order(parts, work, |(part, selectors, told)| {
        ports.extend(part);
        selectable.extend(selectors);
        sink.append(told);
    });
    (ports, selectable)
}

/// The port of an interface, if it is on a subnet of ours.
fn port(
    i: workload::Interface,
    places: &Places<'_>,
    pending: &native::Pending,
    selectable: &mut Vec<Selectable>,
    sink: &mut Sink,
) -> Option<Port> {
    let subnet = interface_subnet(&i, places, sink)?;
    let groups = groups::joined(&i, places.model, &places.names.doubts, sink);
    if !i.labels.is_empty() || !i.aaps.is_empty() || !i.port_vips.is_empty() {
        selectable.push(Selectable {
            port: i.port.clone(),
            namespace: i.namespace,
            labels: i.labels.clone(),
            aaps: i.aaps,
            port_vips: i.port_vips,
        });
    }
    Some(Port {
        name: i.port,
        span: i.span,
        owner: i.owner,
        labels: i.labels,
        subnet,
        mac: i.mac,
        addresses: i.addresses,
        is_machine: i.is_machine,
        port_security: i.port_security,
        groups,
        allowed_pairs: pending.expand(i.allowed_pairs, sink).into(),
        forwards: i.forwards,
        guest_addresses: i.guest_addresses,
        guest_default_route: i.guest_default_route,
        requested_chassis: i.requested_chassis,
        dhcp: i.dhcp,
        pool: None,
        activated: i.activated,
    })
}

/// Where an interface lives; `None` also for the management network, which is not ours.
fn interface_subnet(i: &workload::Interface, places: &Places<'_>, sink: &mut Sink) -> Option<SubnetId> {
    let Places { names, namespaces, networks, model } = *places;
    let said = match &i.subnet {
        Some(name) => Some(names.find(name, &i.owner(), sink)?),
        None => None,
    };
    let Some(network) = &i.network else {
        let by_namespace = || namespaces.get(&i.namespace).copied();
        return said.or_else(by_namespace);
    };
    let Some(&own) = names.by_provider.get(&network.value) else {
        let foreign = networks.get(&network.value).is_some_and(|(_, cni)| cni != "kube-ovn");
        if foreign || names.doubts.cover(BOUND_NETWORK, &network.value.to_string()) {
            return None;
        }
        let message = format!("{} is on network `{}`, which no subnet is bound to", i.owner(), network.value);
        let known: Vec<String> = names.by_provider.keys().map(Provider::to_string).collect();
        let diagnostic = Diagnostic::new(Code::ProviderWithoutSubnet, network.span, message)
            .note("Kube-OVN would plug it into the default subnet, without a word");
        sink.push(suggest(diagnostic, &network.value.to_string(), known.iter().map(String::as_str)));
        return None;
    };
    if let (Some(said), Some(name)) = (said.filter(|s| *s != own), &i.subnet) {
        let message = format!(
            "{} is on network `{}` of subnet `{}`, but is told to use subnet `{}`",
            i.owner(),
            network.value,
            model.subnet(own).name,
            model.subnet(said).name
        );
        sink.push(Diagnostic::new(Code::WrongSubnet, name.span, message).label(network.span, "its network"));
    }
    Some(own)
}

/// Lays Kube-OVN's own records over the ports: they pin addresses, and stand for ports that are not declared.
fn records(records: Vec<ip::Record>, names: &SubnetNames, model: &mut Model, sink: &mut Sink) {
    if records.is_empty() {
        return;
    }
    let records = unique("IP", records, |r| &r.name.value, |r| Some(r.name.span), sink);
    let at: BTreeMap<String, usize> =
        model.ports.iter().enumerate().map(|(at, p)| (p.name.clone(), at)).collect();
    for record in records {
        if let Some(&at) = at.get(&record.name.value) {
            let port = &mut model.ports[at];
            if port.addresses.is_empty() {
                port.addresses = record.addresses;
            }
            port.mac = port.mac.or(record.mac);
            continue;
        }
        let name = record.subnet;
        let Some(subnet) = names.find(&name, &record.owner, sink) else { continue };
        model.ports.push(Port {
            mac: record.mac,
            addresses: record.addresses,
            ..Port::bare(record.name, record.owner, subnet)
        });
    }
}

fn vips(
    declared: Vec<vip::Declared>,
    of_subnets: Vec<(SubnetId, Spanned<std::net::IpAddr>)>,
    workloads: &[Selectable],
    names: &SubnetNames,
    model: &Model,
    sink: &mut Sink,
) -> Vec<Vip> {
    let mut by_aap: BTreeMap<&str, Vec<&Selectable>> = BTreeMap::new();
    let mut by_address: BTreeMap<&str, Vec<&Selectable>> = BTreeMap::new();
    for workload in workloads {
        workload.aaps.iter().for_each(|aap| by_aap.entry(&aap.value).or_default().push(workload));
        workload.port_vips.iter().for_each(|vip| by_address.entry(&vip.value).or_default().push(workload));
    }
    let mut vips: Vec<Vip> = Vec::new();
    let declared = unique("Vip", declared, |d| &d.name.value, |d| Some(d.name.span), sink);
    unknown_vips(&declared, &of_subnets, workloads, names, model, sink);
    for d in declared {
        let Some(subnet) = names.find(&d.subnet, &format!("Vip {}", d.name), sink) else {
            continue;
        };
        let holds = |w: &&Selectable| {
            d.namespace.as_ref() == Some(&w.namespace)
                && d.selector.iter().all(|label| w.labels.contains(label))
        };
        let named = by_aap.get(d.name.value.as_str()).into_iter().flatten().copied();
        for aap in named.clone().filter(|w| !holds(w)).flat_map(|w| &w.aaps) {
            if aap.value == d.name.value {
                let message = format!("Vip `{}` is not for this workload", d.name);
                sink.push(
                    Diagnostic::new(Code::VipUnheld, aap.span, message)
                        .label(d.name.span, "its `namespace` and `selector` say for whom it is")
                        .help("give the Vip the workload's namespace, and only labels that the workload has"),
                );
            }
        }
        let parents = named.filter(holds).filter_map(|w| find_port(model, &w.port));
        let parents: Vec<PortId> = parents.filter(|id| model.ports[id.0].subnet == subnet).collect();
        if parents.is_empty() && !d.selector.is_empty() && model.whole {
            let message = format!("no workload holds the virtual address `{}`", d.name);
            sink.push(
                Diagnostic::new(Code::VipUnheld, d.name.span, message)
                    .note("the address is kept free, and nobody answers for it")
                    .help("name it in the annotation `ovn.kubernetes.io/aaps` of the workloads that its `selector` means"),
            );
        }
        vips.push(Vip { name: d.name.value, span: d.name.span, subnet, addresses: d.addresses, parents });
    }
    for (subnet, address) in of_subnets {
        let name = format!("{}-vip-{}", model.subnet(subnet).name, address);
        let text = address.value.to_string();
        let named = by_address.get(text.as_str()).into_iter().flatten().copied();
        let parents = named.filter_map(|w| find_port(model, &w.port));
        let parents = parents.filter(|id| model.ports[id.0].subnet == subnet).collect();
        vips.push(Vip { name, span: address.span, subnet, addresses: vec![address], parents });
    }
    vips.sort_by(|a, b| a.name.cmp(&b.name));
    vips
}

/// Virtual addresses that workloads name and that nobody declares.
fn unknown_vips(
    declared: &[vip::Declared],
    of_subnets: &[(SubnetId, Spanned<std::net::IpAddr>)],
    workloads: &[Selectable],
    names: &SubnetNames,
    model: &Model,
    sink: &mut Sink,
) {
    let vip_names: BTreeSet<&str> = declared.iter().map(|vip| vip.name.value.as_str()).collect();
    let addresses: BTreeSet<String> = of_subnets.iter().map(|(_, a)| a.value.to_string()).collect();
    for workload in workloads {
        for aap in &workload.aaps {
            if !vip_names.contains(aap.value.as_str()) && !names.doubts.cover("Vip", &aap.value) {
                let message = format!("there is no Vip `{aap}`");
                let diagnostic = Diagnostic::new(Code::UnknownVip, aap.span, message);
                sink.push(suggest(diagnostic, &aap.value, declared.iter().map(|v| v.name.value.as_str())));
            }
        }
        for vip in &workload.port_vips {
            if !addresses.contains(&vip.value) && model.whole {
                let message = format!("no subnet has `{vip}` among its `vips`");
                sink.push(Diagnostic::new(Code::UnknownVip, vip.span, message));
            }
        }
    }
}
