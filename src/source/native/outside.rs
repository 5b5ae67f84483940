//! `northc.io/v1alpha1` ExternalNetwork, InternetGateway, NatGateway, ElasticIp, PortForward: ways out of a VPC.
//!
//! | subnet | whose packets get outside |
//! |---|---|
//! | its route table leads to an InternetGateway | with the gateway's address as their source |
//! | its route table leads to a NatGateway, or that names it | with the elastic IP of that one |
//! | neither | none do |
//!
//! An ElasticIp that names an interface is its address in both directions. Refuses to choose addresses, and to
//! look up networks and interfaces.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Declared;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, AddressRange, Block, GatewayChassis, Mac, Transport};
use crate::source::blocks::{blocks, set_gateways};
use crate::source::declare::{Int, OneOrMore, Word, Words, declare};
use crate::source::fields::conflict;
use crate::source::kubeovn::nat::{Eip, EipType, Rule, Said, Translation};
use crate::source::kubeovn::{subnet, underlay};
use crate::source::outside::{
    ELASTIC_IP, INTERNET_GATEWAY, InternetGateway as Exit, NAT_GATEWAY, PORT_FORWARD,
};
use crate::source::resolve::unique;
use crate::span::Spanned;

declare! {
    /// A physical network with a router of its own that leads on, to the Internet for example.
    pub(crate) struct ExternalNetwork "ExternalNetwork.spec" {
        /// A text for people.
        "description" description: Option<Spanned<String>>,
        /// The name that chassis map to a bridge (`ovn-bridge-mappings`).
        "physicalNetwork" physical: Spanned<String>,
        /// The 802.1Q tag.
        "vlan" vlan: Option<Int<1, 4094>> = "untagged",
        /// Its block, or one of each family.
        "cidrs" cidrs: OneOrMore<Spanned<IpNet>>,
        /// The router outside, or one of each family.
        "gateway" gateways: OneOrMore<Spanned<IpAddr>> = "the first host of the block",
        /// Addresses that may be given out to gateways and elastic IPs.
        "pool" pool: OneOrMore<Spanned<AddressRange>> = "all of the block",
    }
}

declare! {
    /// A Vpc's port on an external network: for subnets whose route table leads to it, out and, with elastic IPs, in.
    pub(crate) struct InternetGateway "InternetGateway.spec" {
        /// The Vpc.
        "vpc" vpc: Spanned<String>,
        /// The ExternalNetwork.
        "externalNetwork" external: Spanned<String>,
        /// Its addresses there, at most one of each family.
        "addresses" addresses: OneOrMore<Spanned<IpAddr>> = "the lowest that are free",
        /// Its Ethernet address there.
        "mac" mac: Option<Spanned<Mac>> = "derived from the names",
        /// The chassis that may carry it.
        "chassis" chassis: Vec<Spanned<Chassis>> = "those of `--gateway-chassis`",
    }
}

declare! {
    /// A chassis that may carry a gateway.
    pub(crate) struct Chassis "a chassis" {
        /// Its name in OVN (`system-id`).
        "name" name: Spanned<String>,
        /// Higher first.
        "priority" priority: Option<Int<0, 32767>> = "gateways are spread",
    }
}

declare! {
    /// A way out for subnets that nothing outside may reach: their packets get an elastic IP as their source.
    pub(crate) struct NatGateway "NatGateway.spec" {
        /// The Vpc; it has an InternetGateway on the elastic IP's network.
        "vpc" vpc: Spanned<String>,
        /// The ElasticIp.
        "elasticIp" elastic_ip: Spanned<String>,
        /// The Subnets.
        "subnets" subnets: OneOrMore<Spanned<String>> = "those whose route table leads here",
    }
}

declare! {
    /// A public address.
    pub(crate) struct ElasticIp "ElasticIp.spec" {
        /// The ExternalNetwork that it is an address of.
        "externalNetwork" external: Spanned<String>,
        /// The address, or one of each family.
        "addresses" addresses: OneOrMore<Spanned<IpAddr>> = "the lowest that is free",
        /// The interface that has it, in both directions.
        "networkInterface" interface: Option<Spanned<String>>,
        /// Whether the interface's own chassis translates rather than the gateway's.
        "distributed" distributed: Option<Spanned<bool>> = "false",
        /// What answers for it where it is distributed.
        "mac" mac: Option<Spanned<Mac>> = "derived from the name",
    }
}

declare! {
    /// A port of a public address that is a port of an interface.
    pub(crate) struct PortForward "PortForward.spec" {
        /// The ElasticIp.
        "elasticIp" elastic_ip: Spanned<String>,
        /// Of the transport.
        "protocol" protocol: Option<Word<Transport>> = "tcp",
        /// Outside.
        "port" port: Int<1, 65535>,
        /// The interface that it leads to.
        "networkInterface" interface: Option<Spanned<String>>,
        /// The address that it leads to, in place of an interface.
        "address" address: Option<Spanned<IpAddr>>,
        /// The Vpc of the address.
        "vpc" vpc: Option<Spanned<String>>,
        /// Inside.
        "targetPort" target_port: Option<Int<1, 65535>> = "the port outside",
    }
}

impl Words for Transport {
    const WORDS: &'static [(&'static str, Transport)] =
        &[("tcp", Transport::Tcp), ("udp", Transport::Udp), ("sctp", Transport::Sctp)];
}

/// An external network is a subnet that is bridged, of nobody's VPC.
pub(super) fn external_network(said: Declared<ExternalNetwork>, sink: &mut Sink) -> subnet::Declared {
    let n_errors = sink.n_errors();
    let (name, description) = (said.name.clone(), said.description(said.spec.description.as_ref()));
    let spec = said.spec;
    let vlan = spec.vlan.map(|vlan| vlan.0);
    if let Some(vlan) = &vlan {
        underlay::check_tag(*vlan, 1, sink);
    }
    if spec.cidrs.0.is_empty() && said.whole {
        let message = "ExternalNetwork.spec has no `cidrs`";
        sink.push(Diagnostic::new(Code::MissingField, name.span, message).help("add `cidrs`"));
    }
    let mut blocks = blocks(spec.cidrs.0, sink);
    set_gateways(&mut blocks, spec.gateways.0, said.whole, sink);
    let exclude = if spec.pool.0.is_empty() { Vec::new() } else { outside_of(&spec.pool.0, &blocks) };
    let whole = said.whole && sink.n_errors() == n_errors;
    subnet::Declared {
        subnet: model::Subnet {
            description,
            whole,
            blocks,
            exclude,
            routed: false,
            underlay: Some(model::Underlay { physical: spec.physical, vlan }),
            ..model::Subnet::new(name)
        },
        placed: true,
        vpc: None,
        provider: None,
        vlan: None,
        logical_gateway: false,
        namespaces: Vec::new(),
        vips: Vec::new(),
        ecmp: None,
        network_acl: None,
    }
}

/// What of the blocks is in none of the ranges.
fn outside_of(pool: &[Spanned<AddressRange>], blocks: &[Block]) -> Vec<Spanned<AddressRange>> {
    let mut gaps = Vec::new();
    for block in blocks {
        let cidr = block.cidr.value;
        let inside = |range: &&Spanned<AddressRange>| cidr.contains(&range.value.first);
        let mut ranges: Vec<AddressRange> = pool.iter().filter(inside).map(|range| range.value).collect();
        ranges.sort_unstable();
        let mut next = number(cidr.network());
        let last = number(cidr.broadcast());
        let mut close = |from: u128, to: u128| {
            if from <= to {
                let range = AddressRange { first: address(cidr, from), last: address(cidr, to) };
                gaps.push(Spanned::new(range, block.cidr.span));
            }
        };
        for range in ranges {
            close(next, number(range.first).wrapping_sub(1));
            next = next.max(number(range.last).saturating_add(1));
        }
        close(next, last);
    }
    gaps
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u32::from(a).into(),
        IpAddr::V6(a) => a.into(),
    }
}

/// The address of a number, in the family of `net`.
fn address(net: IpNet, number: u128) -> IpAddr {
    match net {
        IpNet::V4(_) => IpAddr::V4((number as u32).into()),
        IpNet::V6(_) => IpAddr::V6(number.into()),
    }
}

/// The gateway; its VPC and network are still names.
pub(super) fn gateway(said: Declared<InternetGateway>, sink: &mut Sink) -> Exit {
    let chassis = |chassis: Spanned<Chassis>| GatewayChassis {
        span: Some(chassis.value.name.span),
        name: chassis.value.name.value,
        priority: chassis.value.priority.map(|priority| priority.0.value),
    };
    let carriers = said.spec.chassis.into_iter().map(chassis).collect();
    Exit {
        name: said.name,
        vpc: said.spec.vpc,
        external: said.spec.external,
        addresses: said.spec.addresses.0,
        mac: said.spec.mac,
        chassis: unique("the chassis", carriers, |c| &c.name, |c| c.span, sink),
    }
}

/// The address, and the floating IP that it is where an interface has it.
pub(super) fn elastic_ip(said: Declared<ElasticIp>) -> (Eip, Option<Rule>) {
    let (name, spec) = (said.name, said.spec);
    let floating = spec.interface.map(|interface| Rule {
        kind: ELASTIC_IP,
        name: name.clone(),
        eip: name.clone(),
        vpc: None,
        inside: Said::Port(interface),
        what: Translation::Floating {
            distributed: Some(spec.distributed.unwrap_or(Spanned::new(false, name.span))),
        },
    });
    let eip = Eip {
        kind: Spanned::new(EipType::Nat, name.span),
        name,
        external: Some(spec.external),
        mac: spec.mac,
        addresses: spec.addresses.0,
    };
    (eip, floating)
}

/// A subnet whose packets get the address of a NAT gateway.
pub(super) fn source_nat(said: &Declared<NatGateway>, subnet: Spanned<String>) -> Rule {
    Rule {
        kind: NAT_GATEWAY,
        name: Spanned::new(format!("{}/{subnet}", said.name), said.name.span),
        eip: said.spec.elastic_ip.clone(),
        vpc: Some(said.spec.vpc.clone()),
        inside: Said::Subnet(subnet),
        what: Translation::Source,
    }
}

/// A subnet whose packets get the address of an internet gateway.
pub(super) fn internet_nat(gateway: &str, subnet: &model::Subnet) -> Rule {
    let span = subnet.name.span;
    Rule {
        kind: INTERNET_GATEWAY,
        name: Spanned::new(format!("{gateway}/{}", subnet.name), span),
        eip: Spanned::new(gateway.to_owned(), span),
        vpc: None,
        inside: Said::Subnet(subnet.name.clone()),
        what: Translation::Source,
    }
}

/// The forward; one without a target is reported.
pub(super) fn port_forward(said: Declared<PortForward>, sink: &mut Sink) -> Option<Rule> {
    let (name, spec) = (said.name, said.spec);
    let inside = match (spec.interface, spec.address) {
        (Some(interface), None) => Said::Port(interface),
        (None, Some(address)) if spec.vpc.is_some() => Said::Given(vec![address.map(IpNet::from)]),
        (None, Some(address)) => {
            let message = "an address alone does not say which VPC's it is";
            sink.push(Diagnostic::new(Code::MissingField, address.span, message).help("add `vpc`"));
            return None;
        }
        (None, None) => {
            let message = "a PortForward has no target";
            sink.push(
                Diagnostic::new(Code::MissingField, name.span, message)
                    .help("add `networkInterface`, or `address` and `vpc`"),
            );
            return None;
        }
        (Some(interface), Some(address)) => {
            conflict(("networkInterface", interface.span), ("address", address.span), sink);
            return None;
        }
    };
    let public_port = port(spec.port, sink);
    let inside_port = spec.target_port.map_or(public_port, |target| port(target, sink));
    let protocol = spec.protocol.map_or(Transport::Tcp, |word| word.0.value);
    let what = Translation::Forward { protocol, public_port: public_port?, inside_port: inside_port? };
    Some(Rule { kind: PORT_FORWARD, name, eip: spec.elastic_ip, vpc: spec.vpc, inside, what })
}

/// A port; what is none is reported.
pub(super) fn port(said: Int<1, 65535>, sink: &mut Sink) -> Option<Spanned<u16>> {
    let port = u16::try_from(said.0.value).ok().filter(|port| *port != 0);
    if port.is_none() {
        let message = format!("there is no port {}", said.0);
        sink.push(Diagnostic::new(Code::PortRange, said.0.span, message).help("ports are 1 to 65535"));
    }
    Some(Spanned::new(port?, said.0.span))
}
