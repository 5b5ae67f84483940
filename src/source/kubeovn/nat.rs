//! `kubeovn.io/v1` OvnEip, OvnFip, OvnSnatRule, OvnDnatRule: public addresses and what is translated to them.
//!
//! What is inside is named by its IP record (`ipName`, the port's name), by a Vip, or by VPC and address.
//! Refuses to resolve names.

use std::net::IpAddr;

use ipnet::IpNet;

use super::AnyCase;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Mac, Transport};
use crate::source::declare::{Mapping, Word, Words, declare};
use crate::source::fields::{conflict, missing};
use crate::source::object::Object;
use crate::source::values::{Block, Port};
use crate::span::{Span, Spanned};

declare! {
    /// A public address.
    pub(crate) struct OvnEip "OvnEip.spec" {
        /// The external network that it is of.
        "externalSubnet" external: Option<Spanned<String>> = "the default one",
        /// Its IPv4 address.
        "v4Ip" v4: Option<Spanned<IpAddr>> = "a free one",
        /// Its IPv6 address.
        "v6Ip" v6: Option<Spanned<IpAddr>> = "a free one",
        /// Its Ethernet address, where it is that of a port.
        "macAddress" mac: Option<Spanned<Mac>> = "from its name",
        /// For translations (`nat`), the gateway `<vpc>-<externalSubnet>` of a router (`lrp`), or a port on the external network (`lsp`).
        "type" kind: Option<Word<EipType>> = "nat",
    }
}

declare! {
    /// A floating IP: one address inside, one outside, both ways.
    pub(crate) struct OvnFip "OvnFip.spec" {
        /// The OvnEip outside.
        "ovnEip" eip: Spanned<String>,
        /// Whether `ipName` is an IP record's or a Vip's.
        "ipType" inside_type: Option<Word<InsideType>> = "ip",
        /// What is inside: an IP record, whose name is that of its port, or a Vip.
        "ipName" name: Option<Spanned<String>>,
        /// The VPC of the addresses below.
        "vpc" vpc: Option<Spanned<String>>,
        /// The IPv4 address inside, in place of `ipName`.
        "v4Ip" v4: Option<Spanned<IpAddr>>,
        /// The IPv6 address inside.
        "v6Ip" v6: Option<Spanned<IpAddr>>,
        /// Whether the machine's own chassis translates.
        "type" kind: Option<Word<FipType>> = "as `ovn-external-gw-config` says",
    }
}

declare! {
    /// Packets to the outside get a public address as their source.
    pub(crate) struct OvnSnatRule "OvnSnatRule.spec" {
        /// The OvnEip that they get.
        "ovnEip" eip: Spanned<String>,
        /// The Subnet that they come from.
        "vpcSubnet" subnet: Option<Spanned<String>>,
        /// The IP record of the port that they come from.
        "ipName" name: Option<Spanned<String>>,
        /// The VPC of the blocks below.
        "vpc" vpc: Option<Spanned<String>>,
        /// The IPv4 block that they come from.
        "v4IpCidr" v4: Option<Block>,
        /// The IPv6 block that they come from.
        "v6IpCidr" v6: Option<Block>,
    }
}

declare! {
    /// A port of a public address that leads to one inside.
    pub(crate) struct OvnDnatRule "OvnDnatRule.spec" {
        /// The OvnEip.
        "ovnEip" eip: Spanned<String>,
        /// The transport.
        "protocol" protocol: Word<AnyCase>,
        /// The port outside.
        "externalPort" public_port: Port,
        /// The port inside.
        "internalPort" inside_port: Port,
        /// Whether `ipName` is an IP record's or a Vip's.
        "ipType" inside_type: Option<Word<InsideType>> = "ip",
        /// What is inside: an IP record, whose name is that of its port, or a Vip.
        "ipName" name: Option<Spanned<String>>,
        /// The VPC of the addresses below.
        "vpc" vpc: Option<Spanned<String>>,
        /// The IPv4 address inside, in place of `ipName`.
        "v4Ip" v4: Option<Spanned<IpAddr>>,
        /// The IPv6 address inside.
        "v6Ip" v6: Option<Spanned<IpAddr>>,
    }
}

/// What an OvnEip is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EipType {
    /// Translations.
    Nat,
    /// A router's port.
    RouterPort,
    /// A switch's port.
    SwitchPort,
}

impl Words for EipType {
    const WORDS: &'static [(&'static str, EipType)] =
        &[("nat", EipType::Nat), ("lrp", EipType::RouterPort), ("lsp", EipType::SwitchPort)];
}

/// What `ipName` is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InsideType {
    Record,
    Vip,
}

impl Words for InsideType {
    const WORDS: &'static [(&'static str, InsideType)] =
        &[("ip", InsideType::Record), ("vip", InsideType::Vip)];
}

/// Who translates for a floating IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FipType {
    Distributed,
    Centralized,
}

impl Words for FipType {
    const WORDS: &'static [(&'static str, FipType)] =
        &[("distributed", FipType::Distributed), ("centralized", FipType::Centralized)];
}

/// A public address whose names are not resolved yet.
pub(crate) struct Eip {
    pub(crate) name: Spanned<String>,
    pub(crate) kind: Spanned<EipType>,
    /// The default one where none is named.
    pub(crate) external: Option<Spanned<String>>,
    pub(crate) mac: Option<Spanned<Mac>>,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
}

/// A translation whose names are not resolved yet.
pub(crate) struct Rule {
    /// For messages, and for telling kinds apart in what could not be read.
    pub(crate) kind: &'static str,
    pub(crate) name: Spanned<String>,
    pub(crate) eip: Spanned<String>,
    /// The router that translates, where it is not that of what is inside.
    pub(crate) vpc: Option<Spanned<String>>,
    pub(crate) inside: Said,
    pub(crate) what: Translation,
}

/// What is inside, as it was said.
pub(crate) enum Said {
    Port(Spanned<String>),
    Vip(Spanned<String>),
    Subnet(Spanned<String>),
    Given(Vec<Spanned<IpNet>>),
}

/// What a translation does.
pub(crate) enum Translation {
    Floating {
        /// Where it is said whether the machine's own chassis translates, and whether it does.
        distributed: Option<Spanned<bool>>,
    },
    Source,
    Forward {
        protocol: Transport,
        public_port: Spanned<u16>,
        inside_port: Spanned<u16>,
    },
}

/// The public address that an OvnEip describes.
pub(crate) fn read_eip(mut object: Object<'_>, sink: &mut Sink) -> Option<Eip> {
    let said: OvnEip = object.declared(sink)?;
    let name = object.name.map(str::to_owned);
    Some(Eip {
        kind: said.kind.map_or(Spanned::new(EipType::Nat, name.span), |word| word.0),
        name,
        external: said.external,
        mac: said.mac,
        addresses: said.v4.into_iter().chain(said.v6).collect(),
    })
}

/// The floating IP that an OvnFip describes.
pub(crate) fn read_fip(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let said: OvnFip = object.declared(sink)?;
    let distributed = said.kind.map(|word| word.0.map(|kind| kind == FipType::Distributed));
    let named = named(said.inside_type, said.name);
    let ways = [("ipName", named), ("v4Ip", hosts(said.v4, said.v6))];
    Some(Rule {
        kind: "OvnFip",
        name: object.name.map(str::to_owned),
        eip: said.eip,
        inside: inside(OvnFip::WHAT, object.name.span, ways, said.vpc.as_ref(), sink)?,
        vpc: said.vpc,
        what: Translation::Floating { distributed },
    })
}

/// The translation of sources that an OvnSnatRule describes.
pub(crate) fn read_snat(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let said: OvnSnatRule = object.declared(sink)?;
    let blocks: Vec<_> = said.v4.into_iter().chain(said.v6).map(|block| block.0).collect();
    let ways = [
        ("vpcSubnet", said.subnet.map(Said::Subnet)),
        ("ipName", said.name.map(Said::Port)),
        ("v4IpCidr", (!blocks.is_empty()).then_some(Said::Given(blocks))),
    ];
    Some(Rule {
        kind: "OvnSnatRule",
        name: object.name.map(str::to_owned),
        eip: said.eip,
        inside: inside(OvnSnatRule::WHAT, object.name.span, ways, said.vpc.as_ref(), sink)?,
        vpc: said.vpc,
        what: Translation::Source,
    })
}

/// The port forward that an OvnDnatRule describes.
pub(crate) fn read_dnat(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let said: OvnDnatRule = object.declared(sink)?;
    let named = named(said.inside_type, said.name);
    let ways = [("ipName", named), ("v4Ip", hosts(said.v4, said.v6))];
    Some(Rule {
        kind: "OvnDnatRule",
        name: object.name.map(str::to_owned),
        eip: said.eip,
        inside: inside(OvnDnatRule::WHAT, object.name.span, ways, said.vpc.as_ref(), sink)?,
        vpc: said.vpc,
        what: Translation::Forward {
            protocol: said.protocol.0.value.0,
            public_port: said.public_port.0,
            inside_port: said.inside_port.0,
        },
    })
}

fn named(kind: Option<Word<InsideType>>, name: Option<Spanned<String>>) -> Option<Said> {
    let is_vip = kind.is_some_and(|kind| kind.0.value == InsideType::Vip);
    name.map(|name| if is_vip { Said::Vip(name) } else { Said::Port(name) })
}

fn hosts(v4: Option<Spanned<IpAddr>>, v6: Option<Spanned<IpAddr>>) -> Option<Said> {
    let hosts: Vec<_> = v4.into_iter().chain(v6).map(|address| address.map(IpNet::from)).collect();
    (!hosts.is_empty()).then_some(Said::Given(hosts))
}

/// The one of several ways to say what is inside that was taken. Addresses alone do not say which VPC's they are.
fn inside<const N: usize>(
    what: &str,
    name: Span,
    ways: [(&'static str, Option<Said>); N],
    vpc: Option<&Spanned<String>>,
    sink: &mut Sink,
) -> Option<Said> {
    let names = ways.each_ref().map(|(name, _)| format!("`{name}`")).join(" or ");
    let mut said = ways.into_iter().filter_map(|(name, said)| Some((name, said?)));
    let Some((first, taken)) = said.next() else {
        let message = format!("the rule does not say what is inside: it has no {names}");
        sink.push(Diagnostic::new(Code::MissingField, name, message).help("add one of them"));
        return None;
    };
    if let Some((second, other)) = said.next() {
        conflict((first, taken.span(name)), (second, other.span(name)), sink);
    }
    if let (Said::Given(_), None) = (&taken, vpc) {
        sink.push(missing(what, name, "vpc"));
        return None;
    }
    Some(taken)
}

/// Where a rule says what is inside.
impl Said {
    pub(crate) fn span(&self, otherwise: Span) -> Span {
        match self {
            Said::Port(name) | Said::Vip(name) | Said::Subnet(name) => name.span,
            Said::Given(nets) => nets.first().map_or(otherwise, |net| net.span),
        }
    }
}
