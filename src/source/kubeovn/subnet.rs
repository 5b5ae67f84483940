//! `kubeovn.io/v1` Subnet.
//!
//! A subnet becomes a switch, and a port of the VPC's router unless it is bridged to a physical network
//! whose own gateway its guests use. Addresses, ACLs, DHCP and advertisements follow from its fields;
//! fields that only Kubernetes nodes act upon are answered with a diagnostic. Refuses to judge blocks.

use std::net::IpAddr;

use super::{no_effect, not_yet};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Block, Dhcp, Setting, Subnet, VpcId};
use crate::source::acl::{Acl, acl};
use crate::source::blocks::{blocks, is_v4, set_gateways};
use crate::source::fields::{
    Fields, address, choice, comma_list, conflict, network, network_or_address, owned, part, range,
};
use crate::source::object::Object;
use crate::span::{Span, Spanned};

/// A subnet whose names are not resolved yet.
pub(crate) struct Declared {
    /// What is known without looking elsewhere; its VPC is the default one, its provider unset.
    pub(crate) subnet: Subnet,
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
    /// The network ACL for what crosses its border, if any; northc's own kind alone can name one.
    pub(crate) network_acl: Option<Spanned<String>>,
}

/// The subnet that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let n_errors = sink.n_errors();
    let mut spec = object.spec("Subnet.spec", sink)?;
    let vpc = spec.text("vpc", sink);
    let provider = spec.text("provider", sink);
    let placed = sink.n_errors() == n_errors;
    let n_errors_before = n_errors;
    let n_errors = sink.n_errors();
    let vlan = spec.text("vlan", sink);
    let block_text = spec.text("cidrBlock", sink);
    if block_text.is_none() && vlan.is_none() && sink.n_errors() == n_errors {
        spec.report_missing("cidrBlock", sink);
    }
    let blocks = read_blocks(&mut spec, block_text, sink);
    check_protocol(&mut spec, &blocks, sink);
    let private = spec.flag("private", sink);
    let allow = spec.texts("allowSubnets", sink);
    let allow = allow.into_iter().filter_map(|t| network_or_address(t, "`allowSubnets`", sink)).collect();
    let exclude =
        spec.texts("excludeIps", sink).into_iter().filter_map(|t| range(t, "`excludeIps`", sink)).collect();
    let vips = spec.texts("vips", sink).into_iter().filter_map(|t| address(t, "`vips`", sink)).collect();
    let acls: Vec<Spanned<Acl>> = spec.take("acls", sink).unwrap_or_default();
    let mut subnet = Subnet {
        name: owned(object.name),
        description: object.description(),
        vpc: VpcId(0),
        whole: true,
        blocks,
        exclude,
        provider: None,
        routed: true,
        private,
        allow,
        network_acl: None,
        acls: acls.into_iter().map(acl).collect(),
        allow_east_west: spec.flag("allowEWTraffic", sink),
        dhcp: dhcp(&mut spec, sink),
        ra: ra(&mut spec, sink),
        mtu: spec.int("mtu", sink).filter(|mtu| mtu.value != 0),
        underlay: None,
        route_table: spec.text("routeTable", sink).map(owned),
        nat_outgoing: None,
        nat_exempt: Vec::new(),
        multicast_snooping: spec.flag("enableMulticastSnoop", sink),
    };
    let logical_gateway = spec.flag("logicalGateway", sink);
    let namespaces = spec.texts("namespaces", sink).into_iter().map(|n| n.value.to_owned()).collect();
    exits(&mut spec, &mut subnet, sink);
    answer_interconnection(&mut spec, logical_gateway, sink);
    answer_others(&mut spec, sink);
    spec.finish(sink);
    object.fields.finish(sink);
    subnet.whole = sink.n_errors() == n_errors_before;
    Some(Declared {
        subnet,
        placed,
        vpc: vpc.map(owned),
        provider: provider.map(owned),
        vlan: vlan.map(owned),
        logical_gateway: logical_gateway.is_some(),
        namespaces,
        vips,
        network_acl: None,
    })
}

/// Blocks with their gateways, IPv4 first. A gateway of a family without a block is reported.
fn read_blocks(spec: &mut Fields<'_>, text: Option<Spanned<&str>>, sink: &mut Sink) -> Vec<Block> {
    let n_errors = sink.n_errors();
    let cidrs = text.map_or(Vec::new(), comma_list).into_iter();
    let cidrs: Vec<_> = cidrs.filter_map(|text| network(text, "`cidrBlock`", sink)).collect();
    let mut blocks = blocks(cidrs, sink);
    let all_known = sink.n_errors() == n_errors && (text.is_some() || spec.text("vlan", sink).is_some());
    let gateways = spec.text("gateway", sink).map_or(Vec::new(), comma_list).into_iter();
    let gateways: Vec<_> = gateways.filter_map(|text| address(text, "`gateway`", sink)).collect();
    set_gateways(&mut blocks, gateways, all_known, sink);
    blocks
}

fn check_protocol(spec: &mut Fields<'_>, blocks: &[Block], sink: &mut Sink) {
    let Some(text) = spec.text("protocol", sink) else { return };
    let known = [("IPv4", "IPv4"), ("IPv6", "IPv6"), ("Dual", "Dual"), ("Mac", "Mac")];
    let Some(said) = choice(text, "protocol", &known, sink) else { return };
    let is = match blocks {
        [] => "Mac",
        [one] if is_v4(one.cidr.value) => "IPv4",
        [_] => "IPv6",
        _ => "Dual",
    };
    if said != is && !blocks.is_empty() {
        let diagnostic = Diagnostic::new(
            Code::ProtocolMismatch,
            text.span,
            format!("`protocol` says {said}, the block is {is}"),
        );
        let help = format!("write `protocol: {is}`, or leave it out: it follows from the block");
        sink.push(diagnostic.label(blocks[0].cidr.span, format!("{is} by this")).help(help));
    }
}

fn dhcp(spec: &mut Fields<'_>, sink: &mut Sink) -> Option<Dhcp> {
    let v4 = spec.text("dhcpV4Options", sink);
    let v6 = spec.text("dhcpV6Options", sink);
    let on = spec.flag("enableDHCP", sink);
    if on.is_none() {
        for (name, text) in [("dhcpV4Options", v4), ("dhcpV6Options", v6)] {
            let Some(text) = text else { continue };
            no_effect(text.span, name, "`enableDHCP` is not true, so nobody answers guests", sink);
        }
    }
    Some(Dhcp { span: on?, keeps_defaults: false, v4: settings(v4, sink), v6: settings(v6, sink) })
}

fn ra(spec: &mut Fields<'_>, sink: &mut Sink) -> Option<Vec<Setting>> {
    let text = spec.text("ipv6RAConfigs", sink);
    let on = spec.flag("enableIPv6RA", sink);
    if let (None, Some(text)) = (on, text) {
        no_effect(text.span, "ipv6RAConfigs", "`enableIPv6RA` is not true, so nothing is advertised", sink);
    }
    on.map(|_| settings(text, sink))
}

/// `name=value,name=value`, as Kube-OVN writes option lists.
fn settings(text: Option<Spanned<&str>>, sink: &mut Sink) -> Vec<Setting> {
    let one = |item: Spanned<&str>| match item.value.split_once('=') {
        Some((name, value)) => {
            let (name, value) = (part(item, name.trim()), part(item, value.trim()));
            Some(Setting { name: owned(name), value: owned(value) })
        }
        None => {
            let message = format!("`{item}` is not `name=value`");
            sink.push(Diagnostic::new(Code::BadValue, item.span, message));
            None
        }
    };
    text.map_or(Vec::new(), comma_list).into_iter().filter_map(one).collect()
}

/// Ways to the outside, some of which exclude each other.
fn exits(spec: &mut Fields<'_>, subnet: &mut Subnet, sink: &mut Sink) {
    let nat = spec.flag("natOutgoing", sink);
    let gateway = spec.text("externalEgressGateway", sink);
    if let (Some(nat), Some(gateway)) = (nat, gateway) {
        spec.skip(&["natOutgoingPolicyRules"]);
        return conflict(("natOutgoing", nat), ("externalEgressGateway", gateway.span), sink);
    }
    subnet.nat_outgoing = nat;
    nat_rules(spec, subnet, sink);
    for text in gateway.map_or(Vec::new(), comma_list) {
        if address(text, "`externalEgressGateway`", sink).is_some() {
            let so = "packets to the outside are routed as the VPC says";
            not_yet(text.span, "externalEgressGateway", so, sink);
        }
    }
    let everywhere = subnet.allow.iter().any(|allowed| allowed.value.prefix_len() == 0);
    if let (Some(exit), Some(private), false) = (nat.or(gateway.map(|g| g.span)), subnet.private, everywhere)
    {
        let message = format!("subnet `{}` is private: nothing gets as far as the outside", subnet.name);
        sink.push(
            Diagnostic::new(Code::PrivateBlocksExit, exit, message)
                .label(private, "private by this")
                .help("add 0.0.0.0/0, or the destinations that are meant, to `allowSubnets`"),
        );
    }
}

/// Refinements of `natOutgoing`: the first rule that matches decides, and what none matches is translated. OVN
/// keeps the source by destination alone, so that is what can be said.
fn nat_rules(spec: &mut Fields<'_>, subnet: &mut Subnet, sink: &mut Sink) {
    let nodes = spec.list("natOutgoingPolicyRules", sink);
    if let (Some(first), None) = (nodes.first(), subnet.nat_outgoing) {
        let why = "`natOutgoing` is not true, so there is nothing to refine";
        no_effect(first.span, "natOutgoingPolicyRules", why, sink);
        return;
    }
    let mut after_translation = false;
    for node in nodes {
        let mut rule = Fields::of("a rule of natOutgoingPolicyRules", node, sink);
        let known = [("nat", true), ("forward", false)];
        let action = rule.required("action", sink).and_then(|text| choice(text, "action", &known, sink));
        let mut what = rule.map("match", "match", sink);
        let mut ips = |name: &'static str, sink: &mut Sink| {
            let texts =
                what.as_mut().and_then(|fields| fields.text(name, sink)).map_or(Vec::new(), comma_list);
            texts.into_iter().filter_map(|text| network_or_address(text, name, sink)).collect::<Vec<_>>()
        };
        let (sources, destinations) = (ips("srcIPs", sink), ips("dstIPs", sink));
        if let Some(what) = what {
            what.finish(sink);
        }
        rule.finish(sink);
        match action {
            Some(false) if sources.is_empty() && !destinations.is_empty() && !after_translation => {
                subnet.nat_exempt.extend(destinations);
            }
            Some(false) => {
                let so = "packets that it matches are translated like all others";
                not_yet(rule.span, "forward", so, sink);
            }
            Some(true) => after_translation = true,
            None => {}
        }
    }
}

/// A bridged subnet's way to its VPC's router.
fn answer_interconnection(spec: &mut Fields<'_>, logical_gateway: Option<Span>, sink: &mut Sink) {
    let Some(on) = spec.flag("u2oInterconnection", sink) else { return };
    match logical_gateway {
        Some(logical) => conflict(("u2oInterconnection", on), ("logicalGateway", logical), sink),
        None => not_yet(on, "u2oInterconnection", "the router gets no port in this bridged subnet", sink),
    }
}

/// Fields that say nothing about OVN: the field, its value where it says nothing at all, and the reason.
const WITHOUT_EFFECT: [(&str, &str, &str); 14] = [
    ("gatewayNode", "", "it chooses the nodes that the default VPC leaves by, which are Kubernetes' own"),
    ("enableEcmp", "false", "it spreads the default VPC's exit over nodes, which are Kubernetes' own"),
    ("default", "false", "it tells Kubernetes where to put pods, which is not OVN's business"),
    ("disableGatewayCheck", "false", "it is about a check that the CNI makes when a pod starts"),
    ("disableInterConnection", "false", "it is about OVN interconnection, which northc does not set up"),
    ("enableLb", "true", "no service of Kubernetes is lowered, so there is nothing to attach"),
    ("enableExternalLBAddress", "false", "it is about flows that a node's daemon installs"),
    ("nodeNetwork", "", "it is about a node's tunnels"),
    ("policyRoutingPriority", "0", "it is about a node's own routing"),
    ("policyRoutingTableID", "0", "it is about a node's own routing"),
    ("u2oInterconnectionIP", "", "it belongs to `u2oInterconnection`"),
    ("namespaceSelectors", "", "it tells Kubernetes where to put pods, which is not OVN's business"),
    (
        "gatewayNodeSelectors",
        "",
        "it chooses the nodes that the default VPC leaves by, which are Kubernetes' own",
    ),
    ("u2oFeatures", "", "it belongs to `u2oInterconnection`"),
];

fn answer_others(spec: &mut Fields<'_>, sink: &mut Sink) {
    if let Some(kind) = spec.text("gatewayType", sink) {
        let known = [("distributed", false), ("centralized", true)];
        if choice(kind, "gatewayType", &known, sink) == Some(true) {
            let why = "it chooses the nodes that the default VPC leaves by, which are Kubernetes' own";
            no_effect(kind.span, "gatewayType", why, sink);
        }
    }
    for (field, nothing, why) in WITHOUT_EFFECT {
        let Some(node) = spec.node(field) else { continue };
        let says_nothing = match &node.value {
            crate::source::yaml::Yaml::Scalar { text, .. } => {
                let text = text.trim();
                text.is_empty() || text.eq_ignore_ascii_case(nothing)
            }
            crate::source::yaml::Yaml::Seq(items) => items.is_empty(),
            crate::source::yaml::Yaml::Map(entries) => entries.is_empty(),
            crate::source::yaml::Yaml::Null => true,
        };
        if !says_nothing {
            no_effect(one_line(node.span, spec, field), field, why, sink);
        }
    }
}

/// A list or mapping is underlined at its key.
fn one_line(span: Span, spec: &Fields<'_>, field: &str) -> Span {
    spec.key_span(field).map_or(span, |key| if key.end <= span.start { key } else { span })
}
