//! Names to ids, for ways out of a VPC: gateways on external networks, public addresses, translations.
//!
//! Kube-OVN's default external network is the subnet `external`; a VPC with `extraExternalSubnets` has gateways
//! on those too, and a VpcNatGateway is a gateway like the others. Refuses to judge whether what is translated can get out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::egress;
use super::kubeovn::egress::EgressGateway;
use super::kubeovn::nat::{Eip, EipType, Rule, Said, Translation};
use super::kubeovn::natgateway::{NatEip, NatGateway};
use super::kubeovn::node::{GatewayConfig, Node};
use super::kubeovn::vpc::Exits;
use super::resolve::{Selectable, SubnetNames, find_vpc, suggest, unique};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{
    ElasticIp, ElasticIpId, FloatingIp, Gateway, GatewayChassis, GatewayId, Inside, Mac, Model, NextHop,
    Port, PortForward, PortId, Public, SourceNat, SubnetId, VpcId,
};
use crate::span::{Span, Spanned};

/// The subnet that Kube-OVN takes for the external network unless it is told otherwise.
const DEFAULT_EXTERNAL: &str = "external";
/// The same for a VpcNatGateway.
pub(super) const NAT_EXTERNAL: &str = "ovn-vpc-external-network";
/// The kinds of public addresses.
pub(super) const OVN_EIP: &str = "OvnEip";
pub(super) const NAT_EIP: &str = "IptablesEIP";
pub(super) const ELASTIC_IP: &str = "ElasticIp";
pub(super) const INTERNET_GATEWAY: &str = "InternetGateway";
/// Native kinds that translate to elastic IPs.
pub(super) const NAT_GATEWAY: &str = "NatGateway";
pub(super) const PORT_FORWARD: &str = "PortForward";
pub(super) const EGRESS_GATEWAY: &str = "VpcEgressGateway";

/// What was declared, names as written.
#[derive(Default)]
pub(super) struct Declared {
    pub(super) exits: Vec<Exits>,
    pub(super) eips: Vec<Eip>,
    pub(super) rules: Vec<Rule>,
    pub(super) nodes: Vec<Node>,
    pub(super) config: Option<GatewayConfig>,
    pub(super) nat_gateways: Vec<NatGateway>,
    pub(super) nat_eips: Vec<NatEip>,
    pub(super) egress_gateways: Vec<EgressGateway>,
    pub(super) internet_gateways: Vec<InternetGateway>,
    pub(super) elastic_ips: Vec<Eip>,
}

/// A gateway that is an object of its own; names as written.
pub(super) struct InternetGateway {
    pub(super) name: Spanned<String>,
    pub(super) vpc: Spanned<String>,
    pub(super) external: Spanned<String>,
    pub(super) mac: Option<Spanned<Mac>>,
    pub(super) addresses: Vec<Spanned<IpAddr>>,
    pub(super) chassis: Vec<GatewayChassis>,
}

/// The OvnEips of type `lsp`: ports of external networks, to be among the others before they are sorted.
pub(super) fn switch_ports(declared: &Declared, names: &SubnetNames, model: &mut Model, sink: &mut Sink) {
    for eip in declared.eips.iter().filter(|eip| eip.kind.value == EipType::SwitchPort) {
        let owner = format!("OvnEip {}", eip.name);
        let Some(subnet) = names.find(&external_of(eip), &owner, sink) else { continue };
        model.ports.push(Port {
            mac: eip.mac,
            addresses: eip.addresses.clone(),
            ..Port::bare(eip.name.clone(), owner, subnet)
        });
    }
}

/// Resolves everything else, and tells the public addresses. What dangles is reported and left out.
pub(super) fn resolve(
    declared: Declared,
    workloads: &[Selectable],
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) -> PublicAddresses {
    let Declared {
        exits,
        eips,
        mut rules,
        nodes,
        config,
        nat_gateways,
        nat_eips,
        egress_gateways,
        internet_gateways: own,
        elastic_ips,
    } = declared;
    let nodes = unique("Node", nodes, |node| &node.name.value, |node| Some(node.name.span), sink);
    model.gateway_chassis = chassis(&nodes, config.as_ref(), sink);
    model.nodes = nodes.into_iter().map(|node| node.chassis.unwrap_or(node.name)).collect();
    model.nodes.sort_by(|a, b| a.value.cmp(&b.value));
    let nat_gateways = unique("VpcNatGateway", nat_gateways, |g| &g.name.value, |g| Some(g.name.span), sink);
    model.gateways = gateways(exits, config.as_ref(), names, model, sink);
    model.gateways.sort_by_key(|gateway| gateway.vpc);
    let owners = nat_gateways_of_vpcs(nat_gateways, names, model, sink);
    let own = internet_gateways(own, names, model, sink);
    let mut public = PublicAddresses::new();
    rules.extend(egress::attach(egress_gateways, workloads, names, &mut public, model, sink));
    let eips = unique("OvnEip", eips, |eip| &eip.name.value, |eip| Some(eip.name.span), sink);
    public.extend(public_addresses(OVN_EIP, eips, names, model, sink));
    let elastic_ips = unique(ELASTIC_IP, elastic_ips, |eip| &eip.name.value, |eip| Some(eip.name.span), sink);
    public.extend(public_addresses(ELASTIC_IP, elastic_ips, names, model, sink));
    for (name, vpc, external) in own {
        let public_of = model.gateway_on(vpc, external).map(Public::Gateway);
        let address = Address { public: public_of, span: name.span, vpc: Some(vpc) };
        public.insert((INTERNET_GATEWAY, name.value), address);
    }
    nat_addresses(nat_eips, &owners, &mut public, names, model, sink);
    let distributed = config.is_some_and(|config| config.distributed);
    let mut seen: BTreeMap<(&'static str, String), Span> = BTreeMap::new();
    for rule in rules {
        if let Some(first) = seen.insert((rule.kind, rule.name.value.clone()), rule.name.span) {
            let message = format!("{} `{}` is declared twice", rule.kind, rule.name);
            let (first, second) = (first.min(rule.name.span), first.max(rule.name.span));
            sink.push(Diagnostic::new(Code::DuplicateObject, second, message).label(first, "first here"));
        } else {
            Rules { names, public: &public, distributed }.add(rule, model, sink);
        }
    }
    model.floating_ips.sort_by(|a, b| a.name.cmp(&b.name));
    model.source_nats.sort_by(|a, b| a.name.cmp(&b.name));
    model.port_forwards.sort_by(|a, b| a.name.cmp(&b.name));
    public
}

/// The kind of public address that a rule names.
fn eip_kind(rule: &Rule) -> &'static str {
    match rule.kind {
        INTERNET_GATEWAY => INTERNET_GATEWAY,
        EGRESS_GATEWAY => EGRESS_GATEWAY,
        ELASTIC_IP | NAT_GATEWAY | PORT_FORWARD => ELASTIC_IP,
        kind if kind.starts_with("Iptables") => NAT_EIP,
        _ => OVN_EIP,
    }
}

fn external_of(eip: &Eip) -> Spanned<String> {
    eip.external.clone().unwrap_or_else(|| Spanned::new(DEFAULT_EXTERNAL.to_owned(), eip.name.span))
}

/// The chassis of gateway nodes, by name.
fn chassis(nodes: &[Node], config: Option<&GatewayConfig>, sink: &mut Sink) -> Vec<GatewayChassis> {
    let listed = config.map_or(&[][..], |config| config.nodes.as_slice());
    let mut wanted: BTreeMap<&str, Span> =
        nodes.iter().filter(|n| n.is_gateway).map(|n| (n.name.value.as_str(), n.name.span)).collect();
    for name in listed {
        wanted.entry(name.value.as_str()).or_insert(name.span);
    }
    let mut chassis: Vec<GatewayChassis> = Vec::new();
    for (name, span) in wanted {
        let node = nodes.iter().find(|node| node.name.value == name);
        let known = node.and_then(|node| node.chassis.clone());
        if known.is_none() {
            let message = format!("the chassis of gateway node `{name}` is not known");
            let diagnostic = Diagnostic::new(Code::ChassisGuessed, span, message)
                .note("the node's name is taken for it; if it is another, no gateway is ever carried there");
            sink.push(match node {
                Some(_) => diagnostic.help("add its annotation `ovn.kubernetes.io/chassis`"),
                None => diagnostic.help("add the Node to the input, with its annotations"),
            });
        }
        let chassis_name = known.unwrap_or_else(|| Spanned::new(name.to_owned(), span));
        let is_twin = |other: &&GatewayChassis| other.name == chassis_name.value;
        if let Some(twin) = chassis.iter().find(is_twin) {
            let message = format!("two gateway nodes have the chassis `{chassis_name}`");
            let diagnostic = Diagnostic::new(Code::DuplicateObject, chassis_name.span, message);
            sink.push(twin.span.into_iter().fold(diagnostic, |d, first| d.label(first, "first here")));
            continue;
        }
        let span = Some(chassis_name.span);
        chassis.push(GatewayChassis { name: chassis_name.value, priority: None, span });
    }
    chassis.sort_by(|a, b| a.name.cmp(&b.name));
    chassis
}

/// A gateway as Kube-OVN has them: the VPC gets a default route through it.
pub(super) fn kube_ovns(
    vpc: VpcId,
    external: SubnetId,
    span: Span,
    mac: Option<Spanned<Mac>>,
    addresses: Vec<Spanned<IpAddr>>,
) -> Gateway {
    Gateway { vpc, external, span, mac, addresses, chassis: Vec::new(), is_default: true }
}

/// Gateways that are objects of their own.
fn internet_gateways(
    declared: Vec<InternetGateway>,
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) -> Vec<(Spanned<String>, VpcId, SubnetId)> {
    let declared = unique("InternetGateway", declared, |g| &g.name.value, |g| Some(g.name.span), sink);
    let mut known = Vec::new();
    for gateway in declared {
        let who = format!("internet gateway `{}`", gateway.name);
        let Some(vpc) = names.vpc_of(format_args!("{who}"), &gateway.vpc, model, sink) else { continue };
        let Some(external) = names.find(&gateway.external, &who, sink) else {
            model.vpcs[vpc.0].whole_exits = false;
            continue;
        };
        if let Some(first) = model.gateway_on(vpc, external) {
            let message =
                format!("VPC `{}` has two gateways on `{}`", gateway.vpc, model.subnet(external).name);
            let first = model.gateway(first).span;
            sink.push(
                Diagnostic::new(Code::DuplicateObject, gateway.name.span, message).label(first, "first here"),
            );
            continue;
        }
        let InternetGateway { name, mac, addresses, chassis, .. } = gateway;
        let span = name.span;
        known.push((name, vpc, external));
        model.add_gateway(Gateway { vpc, external, span, mac, addresses, chassis, is_default: false });
    }
    known
}

/// Gateways by VPC, the one on the default external network first, the others as listed.
fn gateways(
    exits: Vec<Exits>,
    config: Option<&GatewayConfig>,
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) -> Vec<Gateway> {
    let mut gateways: Vec<Gateway> = Vec::new();
    let mut seen: BTreeSet<(VpcId, SubnetId)> = BTreeSet::new();
    for exits in exits {
        let Some(vpc) = find_vpc(&model.vpcs, &exits.vpc) else { continue };
        // With further networks there need be no default one.
        let by_default = exits.default.filter(|_| exits.extra.is_empty() || names.has(DEFAULT_EXTERNAL));
        let default = by_default.map(|span| Spanned::new(DEFAULT_EXTERNAL.to_owned(), span));
        for name in default.into_iter().chain(exits.extra) {
            let who = format!("the gateway of VPC `{}`", exits.vpc);
            match names.find(&name, &who, sink) {
                Some(external) if seen.insert((vpc, external)) => {
                    let (mac, addresses) = (None, Vec::new());
                    gateways.push(kube_ovns(vpc, external, name.span, mac, addresses));
                }
                Some(_) => {}
                None => model.vpcs[vpc.0].whole_exits = false,
            }
        }
    }
    if let Some(config) = config.filter(|config| config.is_on) {
        let name = Spanned::new(DEFAULT_EXTERNAL.to_owned(), config.span);
        let own = |gateway: &&mut Gateway| gateway.vpc == VpcId(0);
        match names.find(&name, "the gateway of the default VPC", sink) {
            Some(external) if seen.insert((VpcId(0), external)) => {
                let (mac, addresses) = (config.mac, config.addresses.clone());
                gateways.insert(0, kube_ovns(VpcId(0), external, config.span, mac, addresses));
            }
            Some(external) => {
                if let Some(gateway) = gateways.iter_mut().filter(own).find(|g| g.external == external) {
                    gateway.mac = config.mac;
                    gateway.addresses.clone_from(&config.addresses);
                }
            }
            None => model.vpcs[0].whole_exits = false,
        }
    }
    gateways
}

/// What kind and name of a declared address stand for.
pub(super) type PublicAddresses = BTreeMap<(&'static str, String), Address>;

pub(super) struct Address {
    /// `None` for one that no translation can use.
    pub(super) public: Option<Public>,
    /// Where it says what it is.
    pub(super) span: Span,
    /// Whose NAT gateway has it.
    pub(super) vpc: Option<VpcId>,
}

/// The VPC of a NAT gateway and the networks that it leads to, by its name.
type NatGateways = BTreeMap<String, (VpcId, Vec<SubnetId>)>;

/// NAT gateways onto their VPCs' routers. A next hop that was the pod is the external network's gateway.
fn nat_gateways_of_vpcs(
    declared: Vec<NatGateway>,
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) -> NatGateways {
    let mut owners = NatGateways::new();
    for gateway in declared {
        let who = format!("VpcNatGateway {}", gateway.name);
        let Some(vpc) = names.vpc_of(format_args!("{who}"), &gateway.vpc, model, sink) else { continue };
        let message = format!("OVN itself does what {who} is for: there is no pod");
        sink.push(Diagnostic::new(Code::NatGatewayInOvn, gateway.name.span, message));
        let default = || vec![Spanned::new(NAT_EXTERNAL.to_owned(), gateway.name.span)];
        let externals = if gateway.externals.is_empty() { default() } else { gateway.externals };
        let mut found = Vec::new();
        for name in externals {
            let Some(external) = names.find(&name, &who, sink) else {
                model.vpcs[vpc.0].whole_exits = false;
                continue;
            };
            found.push(external);
            if model.gateway_on(vpc, external).is_none() {
                let (mac, addresses) = (None, Vec::new());
                model.add_gateway(kube_ovns(vpc, external, name.span, mac, addresses));
            }
        }
        if let (Some(lan_ip), Some(external)) = (gateway.lan_ip, found.first()) {
            stand_in(model, vpc, lan_ip.value, *external);
        }
        owners.insert(gateway.name.value, (vpc, found));
    }
    owners
}

/// Next hops of a VPC that are `pod` become the external network's gateway.
fn stand_in(model: &mut Model, vpc: VpcId, pod: IpAddr, external: SubnetId) {
    let Some(gateway) = model.subnet(external).block_for(pod).map(|block| block.gateway.value) else {
        return;
    };
    let vpc = &mut model.vpcs[vpc.0];
    let (meant, instead) = (NextHop::Address(pod), NextHop::Address(gateway));
    let of_routes = vpc.static_routes.iter_mut().map(|route| &mut route.next_hop);
    of_routes.filter(|hop| hop.value == meant).for_each(|hop| hop.value = instead);
    let of_policies = vpc.policy_routes.iter_mut().flat_map(|policy| &mut policy.next_hops);
    of_policies.filter(|hop| hop.value == pod).for_each(|hop| hop.value = gateway);
}

/// The addresses of NAT gateways into the model.
fn nat_addresses(
    declared: Vec<NatEip>,
    owners: &NatGateways,
    public: &mut PublicAddresses,
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) {
    let declared = unique("IptablesEIP", declared, |d| &d.eip.name.value, |d| Some(d.eip.name.span), sink);
    for NatEip { eip, gateway, .. } in declared {
        let Some((vpc, externals)) = owners.get(&gateway.value) else {
            if !names.may_exist("VpcNatGateway", &gateway.value) {
                let message = format!("no VpcNatGateway `{gateway}` in the input");
                let diagnostic = Diagnostic::new(Code::UnknownNatGateway, gateway.span, message);
                sink.push(suggest(diagnostic, &gateway.value, owners.keys().map(String::as_str)));
            }
            continue;
        };
        let who = format!("IptablesEIP {}", eip.name);
        let external = match &eip.external {
            Some(name) => names.find(name, &who, sink),
            None => externals.first().copied(),
        };
        let Some(external) = external else { continue };
        let id = ElasticIpId(model.elastic_ips.len());
        let (name, span, mac, addresses) = (eip.name.value, eip.name.span, eip.mac, eip.addresses);
        let address = Address { public: Some(Public::ElasticIp(id)), span, vpc: Some(*vpc) };
        public.insert((NAT_EIP, name.clone()), address);
        model.elastic_ips.push(ElasticIp { name, span, external, mac, addresses });
    }
}

/// Elastic IPs into the model, and addresses of routers' ports onto their gateways.
fn public_addresses(
    kind: &'static str,
    eips: Vec<Eip>,
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) -> PublicAddresses {
    let mut public = PublicAddresses::new();
    for eip in eips {
        let (name, place) = (eip.name.value.clone(), eip.kind.span);
        let of_a_port = Address { public: None, span: place, vpc: None };
        match eip.kind.value {
            EipType::SwitchPort => drop(public.insert((OVN_EIP, name), of_a_port)),
            EipType::RouterPort => {
                // Kube-OVN's own name for it.
                let is_meant = |gateway: &Gateway| {
                    let (vpc, external) =
                        (&model.vpc(gateway.vpc).name, &model.subnet(gateway.external).name);
                    format!("{vpc}-{external}") == name
                };
                let Some(at) = model.gateways.iter().position(is_meant) else {
                    let message =
                        format!("OvnEip `{name}` is no gateway's: no VPC has a gateway of that name");
                    sink.push(
                        Diagnostic::new(Code::FieldWithoutEffect, place, message)
                            .note("it is called `<vpc>-<externalSubnet>` where it is one's"),
                    );
                    public.insert((OVN_EIP, name), of_a_port);
                    continue;
                };
                model.gateways[at].mac = eip.mac.or(model.gateways[at].mac);
                if !eip.addresses.is_empty() {
                    model.gateways[at].addresses = eip.addresses;
                }
                let address = Address { public: Some(Public::Gateway(GatewayId(at))), ..of_a_port };
                public.insert((OVN_EIP, name), address);
            }
            EipType::Nat => {
                let external = external_of(&eip);
                let Some(external) = names.find(&external, &format!("{kind} {name}"), sink) else { continue };
                let id = ElasticIpId(model.elastic_ips.len());
                let address = Address { public: Some(Public::ElasticIp(id)), ..of_a_port };
                public.insert((kind, name.clone()), address);
                let (span, mac, addresses) = (eip.name.span, eip.mac, eip.addresses);
                model.elastic_ips.push(ElasticIp { name, span, external, mac, addresses });
            }
        }
    }
    public
}

/// The public address of a kind and a name, for `who`; one that there is not, or that is a port's, is reported.
pub(super) fn find_public(
    public: &PublicAddresses,
    kind: &'static str,
    name: &Spanned<String>,
    who: &str,
    names: &SubnetNames,
    sink: &mut Sink,
) -> Option<Public> {
    let Some(address) = public.get(&(kind, name.value.clone())) else {
        if !names.may_exist(kind, &name.value) {
            let message = format!("no {kind} `{name}` in the input");
            let diagnostic = Diagnostic::new(Code::UnknownElasticIp, name.span, message);
            let known = public.keys().filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str());
            sink.push(suggest(diagnostic, &name.value, known));
        }
        return None;
    };
    if address.public.is_none() {
        let message = format!("{who} can't use `{name}`, a port's own address");
        sink.push(
            Diagnostic::new(Code::ElasticIpType, name.span, message)
                .label(address.span, "not of type `nat`")
                .help("declare an OvnEip of type `nat` for it"),
        );
    }
    address.public
}

/// What translations are resolved with.
struct Rules<'r> {
    names: &'r SubnetNames,
    public: &'r PublicAddresses,
    /// Whether floating IPs are distributed that do not say.
    distributed: bool,
}

impl Rules<'_> {
    fn add(&self, rule: Rule, model: &mut Model, sink: &mut Sink) {
        let place = rule.inside.span(rule.name.span);
        let public = self.public(&rule, sink);
        let inside = self.inside(&rule, model, sink);
        let vpc = self.vpc(&rule, inside.as_ref(), model, sink);
        let (Some(public), Some(inside), Some(vpc)) = (public, inside, vpc) else { return };
        let public = Spanned::new(public, rule.eip.span);
        let inside = Spanned::new(inside, place);
        let (name, span) = (rule.name.value, rule.name.span);
        match rule.what {
            Translation::Floating { distributed } => {
                let distributed = distributed.map_or(self.distributed, |said| said.value);
                model.floating_ips.push(FloatingIp { name, span, vpc, public, inside, distributed });
            }
            Translation::Source => model.source_nats.push(SourceNat { name, span, vpc, public, inside }),
            Translation::Forward { protocol, public_port, inside_port } => {
                model.port_forwards.push(PortForward {
                    name,
                    span,
                    vpc,
                    public,
                    protocol,
                    public_port,
                    inside,
                    inside_port,
                });
            }
        }
    }

    /// What a rule says its public address is, if that was declared.
    fn address(&self, rule: &Rule) -> Option<&Address> {
        self.public.get(&(eip_kind(rule), rule.eip.value.clone()))
    }

    fn public(&self, rule: &Rule, sink: &mut Sink) -> Option<Public> {
        let who = format!("{} `{}`", rule.kind, rule.name);
        find_public(self.public, eip_kind(rule), &rule.eip, &who, self.names, sink)
    }

    fn inside(&self, rule: &Rule, model: &Model, sink: &mut Sink) -> Option<Inside> {
        let mut unknown = |name: &Spanned<String>, what: &str, known: &mut dyn Iterator<Item = &str>| {
            if !["VirtualMachine", "Pod", "IP", "Vip", "NetworkInterface"]
                .iter()
                .any(|kind| self.names.may_lack(kind))
            {
                let message = format!("no {what} `{name}` in the input");
                let diagnostic = Diagnostic::new(Code::UnknownInside, name.span, message);
                sink.push(suggest(diagnostic, &name.value, known));
            }
        };
        match &rule.inside {
            Said::Port(name) => {
                let found = model.ports.binary_search_by(|port| port.name.cmp(&name.value));
                if found.is_err() {
                    unknown(name, "interface", &mut model.ports.iter().map(|port| port.name.as_str()));
                }
                found.ok().map(|at| Inside::Port(PortId(at)))
            }
            Said::Vip(name) => {
                let found = model.vips.binary_search_by(|vip| vip.name.cmp(&name.value));
                if found.is_err() {
                    unknown(name, "Vip", &mut model.vips.iter().map(|vip| vip.name.as_str()));
                }
                found.ok().map(Inside::Vip)
            }
            Said::Subnet(name) => {
                let who = format!("{} {}", rule.kind, rule.name);
                self.names.find(name, &who, sink).map(Inside::Subnet)
            }
            Said::Given(nets) => Some(Inside::Given(nets.clone())),
        }
    }

    /// The router that translates: that of what is inside, or the one that is named.
    fn vpc(&self, rule: &Rule, inside: Option<&Inside>, model: &Model, sink: &mut Sink) -> Option<VpcId> {
        let own = inside.and_then(|inside| match inside {
            Inside::Port(id) => Some(model.ports[id.0].subnet),
            Inside::Vip(at) => Some(model.vips[*at].subnet),
            Inside::Subnet(id) => Some(*id),
            Inside::Given(_) => None,
        });
        let own = own.map(|subnet| model.subnet(subnet).vpc);
        let own = own.or_else(|| self.address(rule)?.vpc);
        let Some(name) = &rule.vpc else { return own };
        let said = self.names.vpc_of(format_args!("{} `{}`", rule.kind, rule.name), name, model, sink)?;
        if let Some(own) = own.filter(|own| *own != said) {
            let message = format!("what is inside is in VPC `{}`, not in `{name}`", model.vpc(own).name);
            let place = rule.inside.span(rule.name.span);
            sink.push(Diagnostic::new(Code::ConflictingFields, name.span, message).label(place, "inside"));
        }
        Some(said)
    }
}
