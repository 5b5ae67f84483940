//! `kubeovn.io/v1` VpcNatGateway, IptablesEIP, IptablesFIPRule, IptablesSnatRule, IptablesDnatRule.
//!
//! Kube-OVN runs a pod that translates with the kernel's tables. Here OVN itself does it: the gateway is one of
//! the VPC's router, `lanIp` as a next hop stands for the external network's own gateway, and the rules are
//! those of an OvnEip. What is about the pod has no effect. Refuses to resolve names.

use std::net::IpAddr;

use ipnet::IpNet;

use super::nat::{Eip, EipType, Rule, Said, Translation};
use super::{AnyCase, not_yet};
use crate::diag::{Code, Sink};
use crate::model::Mac;
use crate::source::declare::{Int, Word, Words, declare};
use crate::source::object::Object;
use crate::source::values::{Anything, Block, Port};
use crate::span::Spanned;

/// Why what is about the pod has no effect.
const POD: &str = "it is about the pod, and OVN itself does its work";
/// Why what says which packets go there has no effect.
const ROUTES: &str = "the VPC's routes say what goes to the gateway";

declare! {
    /// A gateway that translates: OVN's own, in place of the pod that Kube-OVN runs.
    pub(crate) struct VpcNatGateway "VpcNatGateway.spec" {
        /// The VPC.
        "vpc" vpc: Spanned<String>,
        /// An address inside; as a next hop of the VPC's routes it stands for this gateway.
        "lanIp" lan_ip: Option<Spanned<IpAddr>>,
        /// The external networks that it leads to.
        "externalSubnets" externals: Vec<Spanned<String>>,
        /// The QoSPolicy that limits what goes through it.
        "qosPolicy" qos: Option<Spanned<String>>,
    }
    unused {
        "subnet" Spanned<String>: Code::FieldWithoutEffect, POD;
        "namespace" Spanned<String>: Code::FieldWithoutEffect, POD;
        "replicas" Int<1, 2147483647> = "1": Code::FieldWithoutEffect, POD;
        "selector" Vec<Spanned<String>>: Code::FieldWithoutEffect, POD;
        "affinity" Anything: Code::FieldWithoutEffect, POD;
        "annotations" Anything: Code::FieldWithoutEffect, POD;
        "tolerations" Anything: Code::FieldWithoutEffect, POD;
        "noDefaultEIP" Spanned<bool> = "false": Code::FieldWithoutEffect, POD;
        "bgpSpeaker" Spanned<BgpSpeaker>: Code::FieldWithoutEffect, POD;
        "bfd" Spanned<Bfd>: Code::FieldWithoutEffect, POD;
        "internalSubnets" Vec<Spanned<String>>: Code::FieldWithoutEffect, ROUTES;
        "internalCIDRs" Vec<Block>: Code::FieldWithoutEffect, ROUTES;
        "routes" Anything: Code::FieldWithoutEffect, "they are the pod's; the VPC's routes say what goes where";
    }
}

declare! {
    /// What the pod says by BGP.
    pub(crate) struct BgpSpeaker "VpcNatGateway.spec.bgpSpeaker" {
        /// Whether it speaks.
        "enabled" _enabled: Option<Spanned<bool>> = "false",
        /// Its autonomous system.
        "asn" _asn: Option<Int<0, 4294967295>>,
        /// That of its neighbours.
        "remoteAsn" _remote_asn: Option<Int<0, 4294967295>>,
        /// Whom it speaks to.
        "neighbors" _neighbours: Vec<Spanned<IpAddr>>,
        /// How long a silent neighbour is believed.
        "holdTime" _hold_time: Option<Anything>,
        /// Its name among routers.
        "routerId" _router_id: Option<Spanned<String>>,
        /// What it shares with its neighbours.
        "password" _password: Option<Spanned<String>>,
        /// Whether neighbours wait for it to come back.
        "enableGracefulRestart" _graceful: Option<Spanned<bool>> = "false",
        /// What it is called with.
        "extraArgs" _arguments: Vec<Spanned<String>>,
    }
}

declare! {
    /// How it is found out whether the pod lives.
    pub(crate) struct Bfd "VpcNatGateway.spec.bfd" {
        /// Whether it is.
        "enabled" _enabled: Option<Spanned<bool>> = "false",
        /// The least milliseconds between packets that are taken.
        "minRX" _min_rx: Option<Int<1, 3600000>> = "1000",
        /// The least milliseconds between packets that are sent.
        "minTX" _min_tx: Option<Int<1, 3600000>> = "1000",
        /// How many may be missing.
        "multiplier" _multiplier: Option<Int<1, 255>> = "3",
    }
}

declare! {
    /// A public address of a NAT gateway.
    pub(crate) struct IptablesEip "IptablesEIP.spec" {
        /// The VpcNatGateway.
        "natGwDp" gateway: Spanned<String>,
        /// The external network that it is of.
        "externalSubnet" external: Option<Spanned<String>> = "the gateway's only one",
        /// Its IPv4 address.
        "v4ip" v4: Option<Spanned<IpAddr>> = "a free one",
        /// Its IPv6 address.
        "v6ip" v6: Option<Spanned<IpAddr>> = "a free one",
        /// Its Ethernet address, which is the gateway's: another one has no effect.
        "macAddress" mac: Option<Spanned<Mac>>,
        /// The QoSPolicy that limits what comes from and goes to it.
        "qosPolicy" qos: Option<Spanned<String>>,
    }
    unused {
        "namespace" Spanned<String>: Code::FieldWithoutEffect, POD;
    }
}

declare! {
    /// A floating IP: one address inside, one outside, both ways.
    pub(crate) struct IptablesFipRule "IptablesFIPRule.spec" {
        /// The IptablesEIP outside.
        "eip" eip: Spanned<String>,
        /// The address inside.
        "internalIp" inside: Spanned<IpAddr>,
    }
}

declare! {
    /// Packets to the outside get a public address as their source.
    pub(crate) struct IptablesSnatRule "IptablesSnatRule.spec" {
        /// The IptablesEIP that they get.
        "eip" eip: Spanned<String>,
        /// Where they come from.
        "internalCIDR" inside: Block,
    }
}

declare! {
    /// A port of a public address that leads to one inside.
    pub(crate) struct IptablesDnatRule "IptablesDnatRule.spec" {
        /// The IptablesEIP.
        "eip" eip: Spanned<String>,
        /// The transport.
        "protocol" protocol: Word<AnyCase>,
        /// The port outside.
        "externalPort" public_port: Port,
        /// The address inside.
        "internalIp" inside: Spanned<IpAddr>,
        /// The port inside.
        "internalPort" inside_port: Port,
        /// Whether the port leads to one place or to several; `share` is not lowered yet.
        "type" kind: Option<Word<DnatType>> = "exclusive",
    }
}

/// How many places a port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DnatType {
    Exclusive,
    Share,
}

impl Words for DnatType {
    const WORDS: &'static [(&'static str, DnatType)] =
        &[("exclusive", DnatType::Exclusive), ("share", DnatType::Share)];
}

/// A NAT gateway whose names are not resolved yet.
pub(crate) struct NatGateway {
    pub(crate) name: Spanned<String>,
    pub(crate) vpc: Spanned<String>,
    /// A next hop that stands for this gateway.
    pub(crate) lan_ip: Option<Spanned<IpAddr>>,
    /// The networks that it leads to.
    pub(crate) externals: Vec<Spanned<String>>,
    /// The policy that limits what leaves by it.
    pub(crate) qos: Option<Spanned<String>>,
}

/// A public address of a NAT gateway.
pub(crate) struct NatEip {
    /// Its external network is absent where the gateway says it.
    pub(crate) eip: Eip,
    /// The NAT gateway's name.
    pub(crate) gateway: Spanned<String>,
    /// The policy that limits what comes from and goes to it.
    pub(crate) qos: Option<Spanned<String>>,
}

/// The gateway that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<NatGateway> {
    let said: VpcNatGateway = object.declared(sink)?;
    let name = object.name.map(str::to_owned);
    Some(NatGateway { name, vpc: said.vpc, lan_ip: said.lan_ip, externals: said.externals, qos: said.qos })
}

/// The public address that an IptablesEIP describes.
pub(crate) fn read_eip(mut object: Object<'_>, sink: &mut Sink) -> Option<NatEip> {
    let said: IptablesEip = object.declared(sink)?;
    let eip = Eip {
        name: object.name.map(str::to_owned),
        kind: Spanned::new(EipType::Nat, object.name.span),
        external: said.external,
        mac: said.mac,
        addresses: said.v4.into_iter().chain(said.v6).collect(),
    };
    Some(NatEip { eip, gateway: said.gateway, qos: said.qos })
}

/// The floating IP that an IptablesFIPRule describes.
pub(crate) fn read_fip(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let said: IptablesFipRule = object.declared(sink)?;
    let what = Translation::Floating { distributed: Some(Spanned::new(false, object.name.span)) };
    Some(rule("IptablesFIPRule", &object, said.eip, said.inside.map(IpNet::from), what))
}

/// The translation of sources that an IptablesSnatRule describes.
pub(crate) fn read_snat(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let said: IptablesSnatRule = object.declared(sink)?;
    Some(rule("IptablesSnatRule", &object, said.eip, said.inside.0, Translation::Source))
}

/// The port forward that an IptablesDnatRule describes.
pub(crate) fn read_dnat(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let said: IptablesDnatRule = object.declared(sink)?;
    if let Some(Word(kind)) = said.kind.filter(|kind| kind.0.value == DnatType::Share) {
        not_yet(kind.span, "type", "a port leads to one place, so a second rule for it is refused", sink);
    }
    let what = Translation::Forward {
        protocol: said.protocol.0.value.0,
        public_port: said.public_port.0,
        inside_port: said.inside_port.0,
    };
    Some(rule("IptablesDnatRule", &object, said.eip, said.inside.map(IpNet::from), what))
}

fn rule(
    kind: &'static str,
    object: &Object<'_>,
    eip: Spanned<String>,
    inside: Spanned<IpNet>,
    what: Translation,
) -> Rule {
    let name = object.name.map(str::to_owned);
    Rule { kind, name, eip, vpc: None, inside: Said::Given(vec![inside]), what }
}
