//! `northc.io/v1alpha1` Subnet.
//!
//! What a guest needs is there without being asked for: a gateway, DHCP, and router advertisements where there
//! is an IPv6 block. A bridged subnet has the physical network's own, so nothing is answered there unless it
//! says so. Refuses to judge blocks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Declared, PrefixLists};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, AddressRange, METADATA, Model, Setting};
use crate::source::acl::{Acl, acl};
use crate::source::blocks::{blocks, set_gateways};
use crate::source::declare::{Cidr, Int, OneOrMore, Settings, Switch, Word, Words, declare};
use crate::source::fields::conflict;
use crate::source::kubeovn::{subnet, underlay};
use crate::source::resolve::SubnetNames;
use crate::span::{Span, Spanned};

declare! {
    /// A segment with an address block, and the router's port in it.
    pub(crate) struct Subnet "Subnet.spec" {
        /// A text for people.
        "description" description: Option<Spanned<String>>,
        /// The Vpc that it belongs to.
        "vpc" vpc: Spanned<String>,
        /// Its block, or one of each family; only a bridged subnet may have none.
        "cidrs" cidrs: OneOrMore<Spanned<IpNet>>,
        /// The router's address, or one of each family.
        "gateway" gateways: OneOrMore<Spanned<IpAddr>> = "the first host of the block",
        /// Addresses that are never given out: `10.0.1.2` or `10.0.1.2..10.0.1.9`.
        "exclude" exclude: OneOrMore<Spanned<AddressRange>>,
        /// The RouteTable for packets from here.
        "routeTable" route_table: Option<Spanned<String>> = "the Vpc's `routes`",
        /// The NetworkAcl for what crosses its border.
        "networkAcl" network_acl: Option<Spanned<String>>,
        /// Nothing crosses its border, in either direction, but what `allow` says.
        "private" private: Option<Spanned<bool>> = "false",
        /// What may cross a private subnet's border.
        "allow" allow: OneOrMore<Cidr>,
        /// Whether packets to the outside get the address of the Vpc's gateway as their source, whatever its routes say.
        "natOutgoing" nat_outgoing: Option<Spanned<bool>> = "as `routeTable` leads to a gateway",
        /// What refines `natOutgoing`: the first rule that matches decides.
        "natOutgoingRules" nat_rules: Vec<Spanned<NatRule>>,
        /// Rules by hand.
        "acls" acls: Vec<Spanned<Acl>>,
        /// Whether guests that ask are told their address and router; options beside those where it is a mapping.
        "dhcp" dhcp: Option<Switch<Dhcp>> = "true, and false where it is bridged",
        /// Whether the router advertises itself; settings in OVN's words where it is a mapping.
        "ipv6Ra" ra: Option<Switch<Settings>> = "as `dhcp`, where there is an IPv6 block",
        /// The NetworkInterface of this Subnet that answers for 169.254.169.254: guests that ask by DHCP send there what is for it.
        "metadata" metadata: Option<Spanned<String>>,
        /// The largest packet that guests are told to send.
        "mtu" mtu: Option<Int<68, 65535>> = "what is left under a tunnel",
        /// The overlay network of Harvester that it is bound to: `namespace/name` of a NetworkAttachmentDefinition.
        "provider" provider: Option<Spanned<String>>,
        /// The physical network that it is bridged to.
        "underlay" underlay: Option<Spanned<Underlay>>,
        /// Whether multicast goes to those alone who asked for it; settings where it is a mapping.
        "multicastSnooping" snooping: Option<Switch<Snooping>> = "false",
        /// Addresses elsewhere that the router answers for on the segment, for guests that take them for neighbours.
        "arpProxy" arp_proxy: OneOrMore<Cidr>,
    }
}

declare! {
    /// Packets that get the address of the Vpc's gateway, or keep their own.
    pub(crate) struct NatRule "a rule of `natOutgoing`" {
        /// What becomes of the source.
        "action" action: Word<NatAction>,
        /// For packets from these prefixes.
        "source" sources: OneOrMore<Cidr> = "any",
        /// For packets to these prefixes.
        "destination" destinations: OneOrMore<Cidr> = "any",
    }
}

/// What becomes of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NatAction {
    /// It is the gateway's outside.
    Translate,
    /// It stays.
    Keep,
}

impl Words for NatAction {
    const WORDS: &'static [(&'static str, NatAction)] =
        &[("translate", NatAction::Translate), ("keep", NatAction::Keep)];
}

declare! {
    /// How multicast is learned.
    pub(crate) struct Snooping "multicastSnooping" {
        /// Whether the router asks who listens.
        "querier" querier: Option<Spanned<bool>> = "true, where the router has a port",
        /// Whether what nobody asked for goes to everybody.
        "floodUnregistered" flood_unregistered: Option<Spanned<bool>> = "false",
        /// Seconds until a silent member is forgotten.
        "idleTimeout" idle_timeout: Option<Int<15, 3600>> = "300",
        /// Seconds between the router's questions.
        "queryInterval" query_interval: Option<Int<1, 3600>> = "half of `idleTimeout`",
        /// The most groups that are learned.
        "tableSize" table_size: Option<Int<1, 32766>> = "2048",
    }
}

fn snooping(said: Option<Switch<Snooping>>) -> Option<model::Snooping> {
    let with = |said: Spanned<Snooping>| model::Snooping {
        querier: said.value.querier.is_none_or(|on| on.value),
        flood_unregistered: said.value.flood_unregistered.is_some_and(|on| on.value),
        idle_timeout: said.value.idle_timeout.map(|n| n.0),
        query_interval: said.value.query_interval.map(|n| n.0),
        table_size: said.value.table_size.map(|n| n.0),
        ..model::Snooping::plain(said.span)
    };
    match said? {
        Switch::Off => None,
        Switch::On(span) => Some(model::Snooping::plain(span)),
        Switch::With(said) => Some(with(said)),
    }
}

declare! {
    /// What guests are told beyond their address, router and MTU.
    pub(crate) struct Dhcp "dhcp" {
        /// DHCPv4 options by OVN's names for them, like `dns_server`.
        "v4" v4: Option<Spanned<Settings>>,
        /// DHCPv6 options by OVN's names for them.
        "v6" v6: Option<Spanned<Settings>>,
    }
}

declare! {
    /// A bridge to a physical network.
    pub(crate) struct Underlay "underlay" {
        /// The name that chassis map to a bridge (`ovn-bridge-mappings`).
        "physicalNetwork" physical: Spanned<String>,
        /// The 802.1Q tag.
        "vlan" vlan: Option<Int<1, 4094>> = "untagged",
        /// Whether the Vpc's router has a port here, although there may be another router outside.
        "logicalGateway" logical_gateway: Option<Spanned<bool>> = "false",
    }
}

/// The DHCP option whose routes make a guest pass over the router that it is told.
const CLASSLESS: &str = "classless_static_route";

/// The subnet; its VPC is still a name.
pub(super) fn subnet(said: Declared<Subnet>, lists: &PrefixLists, sink: &mut Sink) -> subnet::Declared {
    let n_errors = sink.n_errors();
    let (name, description) = (said.name.clone(), said.description(said.spec.description.as_ref()));
    let spec = said.spec;
    let (logical, underlay) = match spec.underlay {
        Some(underlay) => bridged(underlay.value, sink),
        None => (None, None),
    };
    if spec.cidrs.0.is_empty() && underlay.is_none() && said.whole {
        let message = "Subnet.spec has no `cidrs`";
        sink.push(Diagnostic::new(Code::MissingField, name.span, message).help("add `cidrs`"));
    }
    let mut blocks = blocks(spec.cidrs.0, sink);
    set_gateways(&mut blocks, spec.gateways.0, said.whole, sink);
    let routed = underlay.is_none() || logical.is_some();
    let dhcp = dhcp(spec.dhcp, (underlay.is_none() && !blocks.is_empty()).then_some(name.span));
    let has_v6 = blocks.iter().any(|b| b.cidr.value.addr().is_ipv6());
    let ra = match spec.ra {
        None => (dhcp.is_some() && has_v6 && routed).then(Vec::new),
        Some(Switch::Off) => None,
        Some(Switch::On(_)) => Some(Vec::new()),
        Some(Switch::With(settings)) => Some(settings.value.0),
    };
    let is_on = |field: Option<Spanned<bool>>| field.filter(|on| on.value).map(|on| on.span);
    let mut nat_rules = Vec::with_capacity(spec.nat_rules.len());
    for rule in spec.nat_rules {
        nat_rules.push(model::NatRule {
            span: rule.span,
            is_translated: matches!(rule.value.action.0.value, NatAction::Translate),
            sources: lists.expand(rule.value.sources.0, sink),
            destinations: lists.expand(rule.value.destinations.0, sink),
        });
    }
    let mut subnet = model::Subnet {
        description,
        blocks,
        exclude: spec.exclude.0,
        routed,
        nat_outgoing: is_on(spec.nat_outgoing),
        nat_rules,
        private: is_on(spec.private),
        allow: lists.expand(spec.allow.0, sink),
        acls: spec.acls.into_iter().map(acl).collect(),
        dhcp,
        ra,
        mtu: spec.mtu.map(|mtu| mtu.0),
        underlay,
        route_table: spec.route_table,
        snooping: snooping(spec.snooping),
        arp_proxy: lists.expand(spec.arp_proxy.0, sink),
        ..model::Subnet::new(name)
    };
    subnet.whole = said.whole && sink.n_errors() == n_errors;
    subnet::Declared {
        subnet,
        placed: true,
        vpc: Some(spec.vpc),
        provider: spec.provider,
        vlan: None,
        logical_gateway: false,
        namespaces: Vec::new(),
        vips: Vec::new(),
        ecmp: None,
        network_acl: spec.network_acl,
    }
}

/// Where the router has a port although the subnet is bridged, and the bridge.
fn bridged(said: Underlay, sink: &mut Sink) -> (Option<Span>, Option<model::Underlay>) {
    let vlan = said.vlan.map(|vlan| vlan.0);
    if let Some(vlan) = &vlan {
        underlay::check_tag(*vlan, 1, sink);
    }
    let logical = said.logical_gateway.filter(|on| on.value).map(|on| on.span);
    (logical, Some(model::Underlay { physical: said.physical, vlan }))
}

/// Where nobody says, guests are answered at `by_default`.
fn dhcp(said: Option<Switch<Dhcp>>, by_default: Option<Span>) -> Option<model::Dhcp> {
    let options = |said: Option<Spanned<Settings>>| said.map_or(Vec::<Setting>::new(), |s| s.value.0);
    let (span, v4, v6) = match said {
        None => (by_default?, Vec::new(), Vec::new()),
        Some(Switch::Off) => return None,
        Some(Switch::On(span)) => (span, Vec::new(), Vec::new()),
        Some(Switch::With(said)) => (said.span, options(said.value.v4), options(said.value.v6)),
    };
    Some(model::Dhcp { span, keeps_defaults: true, v4, v6 })
}

/// Who answers for the metadata address of a subnet, by names.
pub(super) struct Metadata {
    subnet: String,
    interface: Spanned<String>,
}

impl Metadata {
    /// Takes it out of what is said of a subnet; options that say the same are refused.
    pub(super) fn take(said: &mut Declared<Subnet>, sink: &mut Sink) -> Option<Metadata> {
        let interface = said.spec.metadata.take()?;
        if let Some(Switch::With(dhcp)) = &said.spec.dhcp {
            let by_hand = dhcp.value.v4.iter().flat_map(|settings| &settings.value.0);
            for setting in by_hand.filter(|setting| setting.name.value == CLASSLESS) {
                conflict((CLASSLESS, setting.name.span), ("metadata", interface.span), sink);
            }
        }
        Some(Metadata { subnet: said.name.value.clone(), interface })
    }

    /// Tells the subnet. Its border and the interface's port security let the address pass.
    pub(super) fn attach(self, names: &SubnetNames, model: &mut Model, sink: &mut Sink) {
        let (Some(subnet), Some(port)) =
            (names.known(&self.subnet), names.interface(&self.interface, model, sink))
        else {
            return;
        };
        let span = self.interface.span;
        if model.port(port).subnet != subnet {
            let message = format!("interface `{}` is not on subnet `{}`", self.interface, self.subnet);
            let diagnostic = Diagnostic::new(Code::NextHopUnreachable, span, message);
            sink.push(diagnostic.help("guests can only be sent to one of their own subnet"));
            return;
        }
        let address = Spanned::new(IpNet::from(METADATA), span);
        model.ports[port.0].allowed_pairs.push(address);
        let subnet = &mut model.subnets[subnet.0];
        subnet.metadata = Some(Spanned::new(port, span));
        if subnet.private.is_some() {
            subnet.allow.push(address);
        }
    }
}
