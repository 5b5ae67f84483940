//! `kubeovn.io/v1` Subnet.
//!
//! A subnet becomes a switch, and a port of the VPC's router unless it is bridged to a physical network
//! whose own gateway its guests use. Addresses, ACLs, DHCP and advertisements follow from its fields;
//! fields that only Kubernetes nodes act upon are answered with a diagnostic. Refuses to judge blocks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{KUBERNETES_PODS, no_effect};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, AddressRange, Block, Dhcp, Setting, Snooping};
use crate::source::acl::{Acl, acl};
use crate::source::blocks::{blocks, is_v4, set_gateways};
use crate::source::declare::{Int, Mapping, Word, Words, declare};
use crate::source::fields::{conflict, missing};
use crate::source::object::Object;
use crate::source::values::{self, Anything, Commas, Flag, Whole};
use crate::span::{Span, Spanned};

/// Why fields about the default VPC's exit have no effect.
const EXIT_NODES: &str = "it chooses the nodes that the default VPC leaves by, which are Kubernetes' own";
/// Why fields of `u2oInterconnection` have none.
const INTERCONNECTION: &str = "it belongs to `u2oInterconnection`";
/// Why fields about routing tables of Linux have none.
const NODE_ROUTING: &str = "it is about a node's own routing";

declare! {
    /// A segment with an address block, and the router's port in it.
    pub(crate) struct Subnet "Subnet.spec" {
        /// The VPC that it belongs to.
        "vpc" vpc: Whole<Option<Spanned<String>>> = "`ovn-cluster`",
        /// The overlay network that it is bound to, `namespace/name` or `name.namespace.ovn`; `ovn` is the built-in one.
        "provider" provider: Whole<Option<Spanned<String>>> = "ovn",
        /// The Vlan that bridges it to a physical network.
        "vlan" vlan: Whole<Option<Spanned<String>>>,
        /// Its block, or one of each family; only a bridged subnet may have none.
        "cidrBlock" cidrs: Whole<Commas<Spanned<IpNet>>>,
        /// The router's address, or one of each family.
        "gateway" gateways: Commas<Spanned<IpAddr>> = "the first host of the block",
        /// Addresses that are never given out: `10.0.1.2` or `10.0.1.2..10.0.1.9`.
        "excludeIps" exclude: Vec<Spanned<AddressRange>>,
        /// The families of its blocks, from which it follows; another one is warned about.
        "protocol" protocol: Option<Word<Families>>,
        /// Nothing crosses its border, in either direction, but what `allowSubnets` says.
        "private" private: Flag = "false",
        /// What may cross a private subnet's border.
        "allowSubnets" allow: Vec<values::Block>,
        /// Rules by hand.
        "acls" acls: Vec<Spanned<Acl>>,
        /// With `acls`, whether its guests reach each other whatever these say below 1900.
        "allowEWTraffic" allow_east_west: Flag = "false",
        /// Whether guests that ask are told their address and router.
        "enableDHCP" dhcp: Flag = "false",
        /// DHCPv4 options in OVN's words, `name=value`; `;` stands between the items of a value.
        "dhcpV4Options" dhcp_v4: Option<Spanned<Commas<values::Pair>>>,
        /// DHCPv6 options likewise.
        "dhcpV6Options" dhcp_v6: Option<Spanned<Commas<values::Pair>>>,
        /// Whether the router advertises itself.
        "enableIPv6RA" ra: Flag = "false",
        /// Settings of that in OVN's words, `name=value`.
        "ipv6RAConfigs" ra_configs: Option<Spanned<Commas<values::Pair>>>,
        /// The largest packet that guests are told to send.
        "mtu" mtu: Option<Int<0, 65535>> = "what is left under a tunnel",
        /// The route table for packets from here.
        "routeTable" route_table: Option<Spanned<String>> = "the main one",
        /// Whether packets to the outside get the address of the VPC's gateway as their source.
        "natOutgoing" nat_outgoing: Flag = "false",
        /// What `natOutgoing` leaves as it is; the first rule that matches decides.
        "natOutgoingPolicyRules" nat_rules: Vec<Spanned<NatRule>>,
        /// A router outside that packets leave by.
        "externalEgressGateway" egress: Option<Spanned<Commas<Spanned<IpAddr>>>>
            => Code::NotYet, "packets to the outside are routed as the VPC says",
        /// Whether packets leave by every OvnEip of type `lsp` that answers; of a VPC with `enableBfd`.
        "enableEcmp" ecmp: Flag = "false",
        /// Whether multicast goes to those alone who asked for it.
        "enableMulticastSnoop" multicast_snooping: Flag = "false",
        /// Whether the router has a port although the subnet is bridged.
        "logicalGateway" logical_gateway: Flag = "false",
        /// Whether a bridged subnet and the others of its VPC reach each other.
        "u2oInterconnection" interconnection: Flag = "false"
            => Code::NotYet, "the router gets no port in this bridged subnet",
        /// Namespaces whose workloads live here where they do not say.
        "namespaces" namespaces: Vec<Spanned<String>>,
        /// Addresses that workloads may hold in turn.
        "vips" vips: Vec<Spanned<IpAddr>>,
        /// What nodes the default VPC leaves by; `centralized` has no effect.
        "gatewayType" gateway_type: Option<Word<GatewayType>> = "distributed",
    }
    unused {
        "gatewayNode" Spanned<String>: Code::FieldWithoutEffect, EXIT_NODES;
        "gatewayNodeSelectors" Anything: Code::FieldWithoutEffect, EXIT_NODES;
        "default" Spanned<bool> = "false": Code::FieldWithoutEffect, KUBERNETES_PODS;
        "namespaceSelectors" Anything: Code::FieldWithoutEffect, KUBERNETES_PODS;
        "disableGatewayCheck" Spanned<bool> = "false": Code::FieldWithoutEffect,
            "it is about a check that the CNI makes when a pod starts";
        "disableInterConnection" Spanned<bool> = "false": Code::FieldWithoutEffect,
            "it is about OVN interconnection, which northc does not set up";
        "enableLb" Spanned<bool> = "true": Code::FieldWithoutEffect,
            "no service of Kubernetes is lowered, so there is nothing to attach";
        "enableExternalLBAddress" Spanned<bool> = "false": Code::FieldWithoutEffect,
            "it is about flows that a node's daemon installs";
        "nodeNetwork" Spanned<String>: Code::FieldWithoutEffect, "it is about a node's tunnels";
        "policyRoutingPriority" Int<0, 32765> = "0": Code::FieldWithoutEffect, NODE_ROUTING;
        "policyRoutingTableID" Int<0, 2147483647> = "0": Code::FieldWithoutEffect, NODE_ROUTING;
        "u2oInterconnectionIP" Commas<Spanned<IpAddr>>: Code::FieldWithoutEffect, INTERCONNECTION;
        "u2oFeatures" Anything: Code::FieldWithoutEffect, INTERCONNECTION;
    }
}

declare! {
    /// A rule of what is translated.
    pub(crate) struct NatRule "a rule of natOutgoingPolicyRules" {
        /// Whether what matches is translated.
        "action" action: Word<NatAction>,
        /// Which packets.
        "match" matching: Option<Spanned<NatMatch>>,
    }
}

declare! {
    /// Packets of these addresses.
    pub(crate) struct NatMatch "match" {
        /// Where they come from.
        "srcIPs" sources: Commas<values::Block>,
        /// Where they go.
        "dstIPs" destinations: Commas<values::Block>,
    }
}

/// The families of a subnet's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Families {
    V4,
    V6,
    Dual,
    None,
}

impl Words for Families {
    const WORDS: &'static [(&'static str, Families)] =
        &[("IPv4", Families::V4), ("IPv6", Families::V6), ("Dual", Families::Dual), ("Mac", Families::None)];
}

/// What nodes the default VPC leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GatewayType {
    Distributed,
    Centralized,
}

impl Words for GatewayType {
    const WORDS: &'static [(&'static str, GatewayType)] =
        &[("distributed", GatewayType::Distributed), ("centralized", GatewayType::Centralized)];
}

/// What becomes of a packet's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NatAction {
    Translate,
    Keep,
}

impl Words for NatAction {
    const WORDS: &'static [(&'static str, NatAction)] =
        &[("nat", NatAction::Translate), ("forward", NatAction::Keep)];
}

/// A subnet whose names are not resolved yet.
pub(crate) struct Declared {
    /// What is known without looking elsewhere; its VPC is the default one, its provider unset.
    pub(crate) subnet: model::Subnet,
    /// False when `vpc` or `provider` could not be read: judged in the default VPC, which is meant where they
    /// are absent, it would only seem wrong there.
    pub(crate) placed: bool,
    /// `vpc`, if any.
    pub(crate) vpc: Option<Spanned<String>>,
    /// `provider`, if any.
    pub(crate) provider: Option<Spanned<String>>,
    /// `vlan`, if any.
    pub(crate) vlan: Option<Spanned<String>>,
    /// Whether the router has a port even where the subnet is bridged.
    pub(crate) logical_gateway: bool,
    /// Namespaces whose pods live here.
    pub(crate) namespaces: Vec<String>,
    /// Addresses that move between workloads.
    pub(crate) vips: Vec<Spanned<IpAddr>>,
    /// Where it asks to leave by all the OvnEips of type `lsp`; of VPCs with `enableBfd` alone.
    pub(crate) ecmp: Option<Span>,
    /// The network ACL for what crosses its border, if any; northc's own kind alone can name one.
    pub(crate) network_acl: Option<Spanned<String>>,
}

/// The subnet that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let n_errors = sink.n_errors();
    let said: Subnet = object.declared(sink)?;
    answer(&said, sink);
    let is_whole = said.cidrs.whole && said.vlan.whole;
    if said.cidrs.value.0.is_empty() && said.vlan.value.is_none() && is_whole {
        sink.push(missing(Subnet::WHAT, object.name.span, "cidrBlock"));
    }
    let all_known = is_whole && (!said.cidrs.value.0.is_empty() || said.vlan.value.is_some());
    let mut blocks = blocks(said.cidrs.value.0, sink);
    set_gateways(&mut blocks, said.gateways.0, all_known, sink);
    check_protocol(said.protocol, &blocks, sink);
    let mut subnet = model::Subnet {
        description: object.description(),
        blocks,
        exclude: said.exclude,
        private: said.private.0,
        allow: said.allow.into_iter().map(|block| block.0).collect(),
        acls: said.acls.into_iter().map(acl).collect(),
        allow_east_west: said.allow_east_west.0,
        dhcp: said.dhcp.0.map(|span| Dhcp {
            span,
            keeps_defaults: false,
            v4: settings(said.dhcp_v4),
            v6: settings(said.dhcp_v6),
        }),
        metadata: None,
        ra: said.ra.0.map(|_| settings(said.ra_configs)),
        mtu: said.mtu.map(|mtu| mtu.0).filter(|mtu| mtu.value != 0),
        route_table: said.route_table,
        nat_outgoing: said.nat_outgoing.0,
        snooping: said.multicast_snooping.0.map(Snooping::plain),
        ..model::Subnet::new(object.name.map(str::to_owned))
    };
    exits(&mut subnet, said.nat_rules, said.egress.map(|egress| egress.span), sink);
    subnet.whole = sink.n_errors() == n_errors;
    Some(Declared {
        subnet,
        placed: said.vpc.whole && said.provider.whole,
        vpc: said.vpc.value,
        provider: said.provider.value,
        vlan: said.vlan.value,
        logical_gateway: said.logical_gateway.0.is_some(),
        namespaces: said.namespaces.into_iter().map(|name| name.value).collect(),
        vips: said.vips,
        ecmp: said.ecmp.0,
        network_acl: None,
    })
}

/// What has no effect as it stands.
fn answer(said: &Subnet, sink: &mut Sink) {
    let mut idle = |name: &str, span: Option<Span>, why: &str| {
        if let Some(span) = span {
            no_effect(span, name, why, sink);
        }
    };
    if said.dhcp.0.is_none() {
        for (name, options) in [("dhcpV4Options", &said.dhcp_v4), ("dhcpV6Options", &said.dhcp_v6)] {
            let why = "`enableDHCP` is not true, so nobody answers guests";
            idle(name, options.as_ref().map(|options| options.span), why);
        }
    }
    if said.ra.0.is_none() {
        let why = "`enableIPv6RA` is not true, so nothing is advertised";
        idle("ipv6RAConfigs", said.ra_configs.as_ref().map(|configs| configs.span), why);
    }
    let centralized = said.gateway_type.as_ref().filter(|said| said.0.value == GatewayType::Centralized);
    idle("gatewayType", centralized.map(|said| said.0.span), EXIT_NODES);
    if let (Some(on), Some(logical)) = (said.interconnection.0, said.logical_gateway.0) {
        conflict(("u2oInterconnection", on), ("logicalGateway", logical), sink);
    }
}

fn check_protocol(said: Option<Word<Families>>, blocks: &[Block], sink: &mut Sink) {
    let Some(Word(said)) = said else { return };
    let is = match blocks {
        [] => return,
        [one] if is_v4(one.cidr.value) => Families::V4,
        [_] => Families::V6,
        _ => Families::Dual,
    };
    if said.value != is {
        let word =
            |families| Families::WORDS.iter().find(|(_, f)| *f == families).map_or("", |(word, _)| word);
        let (said_word, is) = (word(said.value), word(is));
        let message = format!("`protocol` says {said_word}, the block is {is}");
        let help = format!("write `protocol: {is}`, or leave it out: it follows from the block");
        sink.push(
            Diagnostic::new(Code::ProtocolMismatch, said.span, message)
                .label(blocks[0].cidr.span, format!("{is} by this"))
                .help(help),
        );
    }
}

fn settings(said: Option<Spanned<Commas<values::Pair>>>) -> Vec<Setting> {
    said.map_or(Vec::new(), |said| said.value.0).into_iter().map(|pair| pair.0).collect()
}

/// Ways to the outside, some of which exclude each other.
fn exits(subnet: &mut model::Subnet, rules: Vec<Spanned<NatRule>>, egress: Option<Span>, sink: &mut Sink) {
    if let (Some(nat), Some(egress)) = (subnet.nat_outgoing, egress) {
        subnet.nat_outgoing = None;
        return conflict(("natOutgoing", nat), ("externalEgressGateway", egress), sink);
    }
    nat_rules(subnet, rules, sink);
    let everywhere = subnet.allow.iter().any(|allowed| allowed.value.prefix_len() == 0);
    if let (Some(exit), Some(private), false) = (subnet.nat_outgoing.or(egress), subnet.private, everywhere) {
        let message = format!("subnet `{}` is private: nothing gets as far as the outside", subnet.name);
        sink.push(
            Diagnostic::new(Code::PrivateBlocksExit, exit, message)
                .label(private, "private by this")
                .help("add 0.0.0.0/0, or the destinations that are meant, to `allowSubnets`"),
        );
    }
}

/// Refinements of `natOutgoing`: the first rule that matches decides, and what none matches is translated.
fn nat_rules(subnet: &mut model::Subnet, rules: Vec<Spanned<NatRule>>, sink: &mut Sink) {
    if let (Some(first), None) = (rules.first(), subnet.nat_outgoing) {
        let why = "`natOutgoing` is not true, so there is nothing to refine";
        return no_effect(first.span, "natOutgoingPolicyRules", why, sink);
    }
    let plain = |blocks: Commas<values::Block>| blocks.0.into_iter().map(|block| block.0).collect();
    let rule = |said: Spanned<NatRule>| {
        let (sources, destinations) = match said.value.matching {
            Some(matching) => (plain(matching.value.sources), plain(matching.value.destinations)),
            None => Default::default(),
        };
        let is_translated = said.value.action.0.value == NatAction::Translate;
        model::NatRule { span: said.span, is_translated, sources, destinations }
    };
    subnet.nat_rules = rules.into_iter().map(rule).collect();
}
