//! Core Node, and the ConfigMap `ovn-external-gw-config`: which chassis carry gateways, and the default VPC's.
//!
//! A node is a gateway by its label `ovn.kubernetes.io/external-gw`, or because the ConfigMap lists it; its
//! chassis is what the annotation `ovn.kubernetes.io/chassis` says. Refuses everything else of nodes.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::diag::Sink;
use crate::model::Mac;
use crate::source::fields::{Fields, choice, comma_list, interface_address, mac, owned};
use crate::source::object::Object;
use crate::source::yaml;
use crate::span::{Span, Spanned};

/// A machine of the cluster.
pub(crate) struct Node {
    pub(crate) name: Spanned<String>,
    pub(crate) is_gateway: bool,
    pub(crate) chassis: Option<Spanned<String>>,
}

/// What the ConfigMap says.
pub(crate) struct GatewayConfig {
    /// Where its name stands.
    pub(crate) span: Span,
    /// Whether the default VPC has a gateway.
    pub(crate) is_on: bool,
    /// Whether floating IPs are distributed that do not say.
    pub(crate) distributed: bool,
    /// Names of nodes.
    pub(crate) nodes: Vec<Spanned<String>>,
    /// The default VPC's addresses on the external network.
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
    /// The default VPC's MAC there.
    pub(crate) mac: Option<Spanned<Mac>>,
}

/// The node that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Node> {
    object.fields.skip(&["spec"]);
    object.fields.finish(sink);
    let label = ("ovn.kubernetes.io/external-gw", "true");
    Some(Node {
        name: owned(object.name),
        is_gateway: object.labels.contains(&label),
        chassis: object.annotation("ovn.kubernetes.io/chassis").map(owned),
    })
}

/// Whether an object is the ConfigMap that is read here. Others are nobody's business.
pub(crate) fn is_gateway_config(node: &yaml::Node<'_>) -> bool {
    let mut sink = Sink::new();
    let mut object = Fields::of("ConfigMap", node, &mut sink);
    let metadata = object.map("metadata", "metadata", &mut sink);
    let name = metadata.and_then(|mut metadata| metadata.text("name", &mut sink));
    name.is_some_and(|name| name.value == "ovn-external-gw-config")
}

/// What the ConfigMap describes.
pub(crate) fn read_gateway_config(mut object: Object<'_>, sink: &mut Sink) -> Option<GatewayConfig> {
    object.fields.skip(&["binaryData", "immutable"]);
    let mut data = object.fields.map("data", "ovn-external-gw-config.data", sink);
    object.fields.finish(sink);
    let mut config = GatewayConfig {
        span: object.name.span,
        is_on: false,
        distributed: false,
        nodes: Vec::new(),
        addresses: Vec::new(),
        mac: None,
    };
    let Some(data) = &mut data else { return Some(config) };
    config.is_on = data.text("enable-external-gw", sink).is_some_and(|text| text.value == "true");
    let known = [("distributed", true), ("centralized", false)];
    let kind = data.text("type", sink).and_then(|text| choice(text, "type", &known, sink));
    config.distributed = kind == Some(true);
    let nodes = data.text("external-gw-nodes", sink).map_or(Vec::new(), comma_list);
    config.nodes = nodes.into_iter().map(owned).collect();
    let own = data.text("nic-ip", sink).map_or(Vec::new(), comma_list);
    let own = own.into_iter().filter_map(|text| interface_address(text, "`nic-ip`", sink));
    config.addresses = own.map(|net| net.map(|net: IpNet| net.addr())).collect();
    config.mac = data.text("nic-mac", sink).and_then(|text| mac(text, sink));
    // The node's part, and what the external subnet says itself.
    data.skip(&["external-gw-addr", "external-gw-nic", "external-gw-vlanid"]);
    data.finish(sink);
    Some(config)
}
