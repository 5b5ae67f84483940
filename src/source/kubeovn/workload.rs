//! `kubevirt.io/v1` VirtualMachine and core Pod: the interfaces they plug into subnets.
//!
//! An interface on an overlay network becomes a port `<workload>.<namespace>.<network>.<namespace>.ovn`,
//! one on the built-in provider `<workload>.<namespace>`. Annotations `<provider>.kubernetes.io/…` give
//! addresses and settings. Refuses what is inside the guest, except what cloud-init says of its network.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::Value;

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Few, Mac, OwnOptions, Owner, PortDhcp, Provider, Told};
use crate::nearest::nearest;
use crate::source::declare::{Cidr, Unused};
use crate::source::fields::{Fields, address, comma_list, mac, network_or_address, owned};
use crate::source::object::Object;
use crate::source::pools::Said;
use crate::source::qos;
use crate::source::values::pair;
use crate::source::yaml::{self, Node, Part, Yaml};
use crate::span::{Span, Spanned};

/// An annotation of an interface.
pub(crate) struct Attribute {
    /// What follows the slash.
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) about: &'static str,
    /// What it is answered with, where no row follows from it.
    pub(crate) unused: Option<Unused>,
}

const fn read(name: &'static str, about: &'static str) -> Attribute {
    Attribute { name, about, unused: None }
}

const fn idle(name: &'static str, code: Code, why: &'static str) -> Attribute {
    Attribute { name, about: "", unused: Some(Unused { nothing: "", code, why }) }
}

/// Why what nodes and guests act upon has no effect.
const NOT_OVN: &str = "a node's agent or the guest acts upon it, not OVN";
/// Why what Kube-OVN writes there has none.
const RECORD: &str = "it follows from the subnet, and is Kube-OVN's own record of it";

/// Why what is about a move between chassis has no effect.
const MOVE: &str = "Kube-OVN itself arranges moves; `requestedChassis` of a NetworkInterface says the same";

/// What says the same as the annotations of the default VPC's ways out.
const BY_OBJECTS: &str =
    "an OvnEip with an OvnFip (in and out) or an OvnSnatRule (out alone) says the same, in every VPC";
const BY_POLICY: &str = "a policyRoute of its Vpc that reroutes its address says the same, in every VPC";

/// Annotations that northc reads or answers.
pub(crate) const ATTRIBUTES: [Attribute; 29] = [
    read("aaps", "the Vips that it may hold, with commas between them"),
    idle("activation_strategy", Code::FieldWithoutEffect, MOVE),
    idle("cidr", Code::FieldWithoutEffect, RECORD),
    idle("default_route", Code::FieldWithoutEffect, NOT_OVN),
    read(
        "dhcp-v4-options",
        "what DHCPv4 tells it in place of its Subnet's options: `name=value`, with commas between them",
    ),
    read("dhcp-v6-options", "the same by DHCPv6"),
    read("egress_rate", "megabits a second that it may send"),
    idle("eip", Code::NotYet, BY_OBJECTS),
    idle("gateway", Code::FieldWithoutEffect, RECORD),
    read("ingress_rate", "megabits a second that may reach it"),
    read("ip_address", "its address, or one of each family, with a comma between them"),
    read(
        "ip_pool",
        "the IPPool that its address comes from, or addresses with commas or semicolons between them",
    ),
    idle("jitter", Code::FieldWithoutEffect, NOT_OVN),
    idle("latency", Code::FieldWithoutEffect, NOT_OVN),
    read("layer2_forward", "whether it gets what is for a MAC that nobody is known to have"),
    idle("limit", Code::FieldWithoutEffect, NOT_OVN),
    idle("logical_router", Code::FieldWithoutEffect, RECORD),
    read("logical_switch", "its Subnet"),
    idle("loss", Code::FieldWithoutEffect, NOT_OVN),
    read("mac_address", "its Ethernet address"),
    idle("mirror", Code::FieldWithoutEffect, NOT_OVN),
    idle("north_gateway", Code::NotYet, BY_POLICY),
    read("port_security", "whether it may send from its own addresses alone"),
    read("port_vips", "those of the subnet's `vips` that it may hold, with commas between them"),
    idle("routes", Code::FieldWithoutEffect, NOT_OVN),
    read("security_groups", "the SecurityGroups that it joins, with commas between them"),
    idle("snat", Code::NotYet, BY_OBJECTS),
    read("vips", "further addresses that it may send from, with commas between them"),
    idle("vlan_id", Code::FieldWithoutEffect, RECORD),
];

fn is_attribute(name: &str) -> bool {
    ATTRIBUTES.iter().any(|attribute| attribute.name == name)
}

/// An interface whose names are not resolved yet.
pub(crate) struct Interface {
    /// The port's name.
    pub(crate) port: String,
    /// Where the interface is declared.
    pub(crate) span: Span,
    /// What it belongs to.
    pub(crate) owner: Owner,
    /// The workload's namespace.
    pub(crate) namespace: String,
    /// The workload's labels.
    pub(crate) labels: Few<(String, String)>,
    /// The network; `None` for the built-in provider.
    pub(crate) network: Option<Box<Spanned<Provider>>>,
    /// The subnet by name, where an annotation says it.
    pub(crate) subnet: Option<Spanned<String>>,
    pub(crate) mac: Option<Spanned<Mac>>,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
    /// Whether it is a virtual machine's.
    pub(crate) is_machine: bool,
    pub(crate) port_security: bool,
    /// Names of security groups that it joins.
    pub(crate) groups: Vec<Spanned<String>>,
    pub(crate) forwards: bool,
    /// Names of virtual addresses that it may hold.
    pub(crate) aaps: Few<Spanned<String>>,
    /// Virtual addresses of the subnet that it may hold.
    pub(crate) port_vips: Few<Spanned<String>>,
    /// Further addresses that it may send from.
    pub(crate) allowed_pairs: Few<Cidr>,
    pub(crate) guest_addresses: Few<Spanned<IpAddr>>,
    pub(crate) guest_default_route: bool,
    /// The chassis that it may be bound to; any where there is none.
    pub(crate) requested_chassis: Few<Spanned<String>>,
    pub(crate) dhcp: PortDhcp,
    /// Where its addresses come from.
    pub(crate) pool: Option<Box<Said>>,
    /// What limits it.
    pub(crate) rates: Option<Box<qos::Declared>>,
    /// Where it says that it is silent on a further chassis until the guest announces itself there.
    pub(crate) activated: Option<Span>,
}

impl Interface {
    /// What it belongs to, for people.
    pub(crate) fn owner(&self) -> Cow<'_, str> {
        self.owner.told(&self.port)
    }
}

/// The interfaces of a virtual machine.
pub(crate) fn read_vm(mut object: Object<'_>, sink: &mut Sink) -> Option<Vec<Interface>> {
    let mut spec = object.spec("VirtualMachine.spec", sink)?;
    spec.skip(&[
        "dataVolumeTemplates",
        "instancetype",
        "preference",
        "runStrategy",
        "running",
        "updateVolumesStrategy",
    ]);
    let template = spec.map("template", "VirtualMachine.spec.template", sink);
    spec.finish(sink);
    object.fields.finish(sink);
    let mut template = template?;
    let mut metadata = template.map("metadata", "VirtualMachine.spec.template.metadata", sink);
    let annotations = metadata.as_mut().and_then(|m| m.map("annotations", "annotations", sink));
    let labels = metadata.as_mut().and_then(|m| m.map("labels", "labels", sink));
    let mut annotated: Vec<_> = annotations.iter().flat_map(Fields::pairs).collect();
    annotated.extend(object.annotations.iter().copied());
    let labels: Vec<_> = labels.iter().flat_map(Fields::pairs).map(|(k, _, v)| (k, v.value)).collect();
    let mut pod = template.map("spec", "VirtualMachine.spec.template.spec", sink)?;
    let devices = pod.map("domain", "domain", sink).and_then(|mut d| d.map("devices", "devices", sink));
    let declared = devices.map_or(&[][..], |mut d| d.list("interfaces", sink));
    let harvester_macs = harvester_macs(&object, sink);
    let guest = guest_network(&mut pod, sink);
    let owner = format!("VirtualMachine {}/{}", object.namespace, object.name);
    let mut interfaces = Vec::new();
    for node in pod.list("networks", sink) {
        let mut network = Fields::of("a network of the VM", node, sink);
        let Some(name) = network.required("name", sink) else { continue };
        let multus = network.map("multus", "multus", sink);
        let provider = match multus.and_then(|mut m| m.required("networkName", sink)) {
            Some(text) => Some(text.map(|t| provider_of_network(t, object.namespace))),
            None if network.node("pod").is_some() => None,
            None => continue,
        };
        let mut interface = interface(&object, &owner, &labels, provider, node.span, &annotated, sink);
        if interface.mac.is_none() {
            interface.mac = declared_mac(declared, name.value, sink)
                .or_else(|| harvester_macs.iter().find(|(n, _)| n == name.value).map(|(_, mac)| *mac));
        }
        interfaces.push(interface);
    }
    astray(&interfaces, &annotated, sink);
    if let [only] = interfaces.as_mut_slice() {
        only.guest_addresses = guest.0.into();
        only.guest_default_route = guest.1;
    }
    Some(interfaces)
}

/// The interfaces of a pod.
pub(crate) fn read_pod(mut object: Object<'_>, sink: &mut Sink) -> Option<Vec<Interface>> {
    object.fields.skip(&["spec"]);
    let owner = format!("Pod {}/{}", object.namespace, object.name);
    let annotated = object.annotations.clone();
    let labels = object.labels.clone();
    let mut interfaces = Vec::new();
    interfaces.push(interface(&object, &owner, &labels, None, object.name.span, &annotated, sink));
    if let Some(text) = object.annotation("k8s.v1.cni.cncf.io/networks") {
        for provider in pod_networks(text, object.namespace, sink) {
            let span = provider.span;
            interfaces.push(interface(&object, &owner, &labels, Some(provider), span, &annotated, sink));
        }
    }
    astray(&interfaces, &annotated, sink);
    object.fields.finish(sink);
    Some(interfaces)
}

/// Annotations for a network on which the workload has no interface.
fn astray(interfaces: &[Interface], annotations: &[(&str, Span, Spanned<&str>)], sink: &mut Sink) {
    let own: Vec<String> =
        interfaces.iter().filter_map(|i| Some(domain(&i.network.as_ref()?.value))).collect();
    for (key, span, _) in annotations {
        let Some((said, attribute)) = key.split_once('/') else { continue };
        let for_network = said.ends_with(".ovn.kubernetes.io") && is_attribute(attribute);
        if !for_network || own.iter().any(|own| own == said) {
            continue;
        }
        let message = format!("nothing reads the annotation `{key}`: there is no interface on that network");
        let diagnostic = Diagnostic::new(Code::AnnotationNearMiss, *span, message);
        sink.push(match nearest(said, own.iter().map(String::as_str)) {
            Some(near) => diagnostic.help(format!("did you mean `{near}/{attribute}`?")),
            None => diagnostic,
        });
    }
}

/// What stands before the slash in annotations for a network's interface.
fn domain(network: &Provider) -> String {
    format!("{}.{}.ovn.kubernetes.io", network.name, network.namespace)
}

/// One interface, with what annotations say of it.
fn interface<'d>(
    object: &Object<'_>,
    owner: &str,
    labels: &[(&str, &str)],
    network: Option<Spanned<Provider>>,
    span: Span,
    annotations: &[(&'d str, Span, Spanned<&'d str>)],
    sink: &mut Sink,
) -> Interface {
    let prefix =
        network.as_ref().map_or("ovn".to_owned(), |n| format!("{}.{}.ovn", n.value.name, n.value.namespace));
    let find = |attribute: &str| {
        let wanted = format!("{prefix}.kubernetes.io/{attribute}");
        let found = annotations.iter().find(|(key, _, _)| *key == wanted);
        found.map(|(_, _, value)| *value).filter(|value| !value.value.is_empty())
    };
    near_misses(&prefix, annotations, sink);
    answer_annotations(&find, sink);
    let is_true = |attribute: &str| find(attribute).is_some_and(|v| v.value == "true");
    let port = match &network {
        Some(_) => format!("{}.{}.{prefix}", object.name, object.namespace),
        None => format!("{}.{}", object.name, object.namespace),
    };
    let names = |attribute: &str| -> Vec<Spanned<String>> {
        find(attribute).map_or(Vec::new(), comma_list).into_iter().map(owned).collect()
    };
    let addresses = find("ip_address").map_or(Vec::new(), comma_list);
    let told = |attribute: &str, sink: &mut Sink| match find(attribute) {
        Some(text) => Told::Own(Box::new(OwnOptions {
            span: text.span,
            over_subnet: false,
            settings: comma_list(text).into_iter().filter_map(|item| Some(pair(item, sink)?.0)).collect(),
        })),
        None => Told::AsSubnet,
    };
    let pairs = find("vips").map_or(Vec::new(), comma_list).into_iter();
    let pairs = pairs.filter_map(|text| network_or_address(text, "`vips`", sink)).map(Cidr::Net).collect();
    let span = network.as_ref().map_or(span, |n| n.span);
    let rates = super::qos::of_interface(&Spanned::new(port.clone(), span), &find, sink);
    Interface {
        port,
        span,
        rates: rates.map(Box::new),
        pool: find("ip_pool").map(|text| Box::new(super::pool::of_interface(text, sink))),
        owner: Owner::Other(owner.into()),
        namespace: object.namespace.to_owned(),
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        network: network.map(Box::new),
        subnet: find("logical_switch").map(owned),
        mac: find("mac_address").and_then(|text| mac(text, sink)),
        addresses: addresses.into_iter().filter_map(|t| address(t, "`ip_address`", sink)).collect(),
        is_machine: owner.starts_with("VirtualMachine "),
        port_security: is_true("port_security"),
        groups: names("security_groups"),
        forwards: is_true("layer2_forward"),
        aaps: names("aaps").into(),
        port_vips: names("port_vips").into(),
        allowed_pairs: pairs,
        guest_addresses: Few::default(),
        guest_default_route: false,
        requested_chassis: Few::default(),
        dhcp: PortDhcp { v4: told("dhcp-v4-options", sink), v6: told("dhcp-v6-options", sink) },
        activated: None,
    }
}

fn answer_annotations<'d>(find: &impl Fn(&str) -> Option<Spanned<&'d str>>, sink: &mut Sink) {
    for attribute in &ATTRIBUTES {
        if let (Some(unused), Some(value)) = (attribute.unused, find(attribute.name)) {
            unused.answer(value.span, attribute.name, sink);
        }
    }
}

/// Annotations that were probably meant for this provider and that nobody would read.
fn near_misses(prefix: &str, annotations: &[(&str, Span, Spanned<&str>)], sink: &mut Sink) {
    for (key, span, _) in annotations {
        let Some((domain, attribute)) = key.split_once('/') else { continue };
        let right = format!("{prefix}.kubernetes.io");
        let meant = if domain == right && !is_attribute(attribute) {
            match nearest(attribute, ATTRIBUTES.iter().map(|attribute| attribute.name)) {
                Some(near) => near,
                None => continue,
            }
        } else if domain == prefix && prefix != "ovn" && is_attribute(attribute) {
            attribute
        } else {
            continue;
        };
        let message = format!("nothing reads the annotation `{key}`");
        sink.push(
            Diagnostic::new(Code::AnnotationNearMiss, *span, message)
                .help(format!("did you mean `{right}/{meant}`?")),
        );
    }
}

/// `namespace/name`, or a name in the workload's own namespace.
fn provider_of_network(text: &str, namespace: &str) -> Provider {
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    Provider { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// `ns/name, name@interface` or a JSON list of objects, as Multus takes both.
fn pod_networks(text: Spanned<&str>, namespace: &str, sink: &mut Sink) -> Vec<Spanned<Provider>> {
    if !text.value.starts_with('[') {
        let one = |item: Spanned<&str>| {
            item.map(|t| provider_of_network(t.split('@').next().unwrap_or(t), namespace))
        };
        return comma_list(text).into_iter().map(one).collect();
    }
    let Ok(Value::Array(items)) = serde_json::from_str(text.value) else {
        let message = "`k8s.v1.cni.cncf.io/networks` is neither a list of names nor JSON";
        sink.push(Diagnostic::new(Code::BadEmbeddedJson, text.span, message));
        return Vec::new();
    };
    let one = |item: &Value| {
        let name = item.get("name")?.as_str()?.to_owned();
        let namespace = item.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        Some(Spanned::new(Provider { namespace: namespace.to_owned(), name }, text.span))
    };
    items.iter().filter_map(one).collect()
}

fn declared_mac(interfaces: &[Node<'_>], name: &str, sink: &mut Sink) -> Option<Spanned<Mac>> {
    for node in interfaces {
        let mut fields = Fields::of("an interface of the VM", node, &mut Sink::new());
        if fields.text("name", &mut Sink::new()).is_some_and(|n| n.value == name) {
            return fields.text("macAddress", sink).and_then(|text| mac(text, sink));
        }
    }
    None
}

/// Harvester keeps the MAC addresses that it has seen in an annotation: JSON from interface to address.
fn harvester_macs(object: &Object<'_>, sink: &mut Sink) -> Vec<(String, Spanned<Mac>)> {
    let Some(text) = object.annotation("harvesterhci.io/mac-address") else { return Vec::new() };
    let Ok(Value::Object(macs)) = serde_json::from_str(text.value) else {
        let message = "`harvesterhci.io/mac-address` does not hold a JSON object";
        sink.push(Diagnostic::new(Code::BadEmbeddedJson, text.span, message));
        return Vec::new();
    };
    let one = |(name, value): (&String, &Value)| {
        let mac = mac(Spanned::new(value.as_str()?, text.span), sink)?;
        Some((name.clone(), mac))
    };
    macs.iter().filter_map(one).collect()
}

/// What cloud-init's network data gives the guest's first interface: addresses, and whether a default route.
fn guest_network(pod: &mut Fields<'_>, sink: &mut Sink) -> (Vec<Spanned<IpAddr>>, bool) {
    let mut found = (Vec::new(), false);
    for node in pod.list("volumes", sink) {
        let mut volume = Fields::of("a volume of the VM", node, sink);
        for source in ["cloudInitNoCloud", "cloudInitConfigDrive"] {
            let data = volume.map(source, source, sink).and_then(|mut c| c.text("networkData", sink));
            let Some(data) = data else { continue };
            let part = Part::whole(data.span.file, data.value);
            // What cloud-init can't read says nothing of addresses.
            let _ = yaml::documents(&part, &mut Sink::new(), |root, _| {
                guest_addresses(root, data.span, &mut found);
            });
        }
    }
    found
}

fn guest_addresses(root: &Node<'_>, span: Span, found: &mut (Vec<Spanned<IpAddr>>, bool)) {
    let ethernets = get(get(root, "network").unwrap_or(root), "ethernets");
    let Some(Node { value: Yaml::Map(interfaces), .. }) = ethernets else { return };
    for interface in interfaces {
        let addresses = get(&interface.value, "addresses").map_or(&[][..], items);
        for text in addresses.iter().filter_map(scalar) {
            let address = text.split('/').next().unwrap_or(text);
            found.0.extend(address.parse().ok().map(|a: IpAddr| Spanned::new(a, span)));
        }
        let routes = get(&interface.value, "routes").map_or(&[][..], items);
        let to_all = |route: &Node<'_>| {
            let to = get(route, "to").and_then(scalar).unwrap_or("");
            matches!(to, "default" | "0.0.0.0/0" | "::/0")
        };
        let gateway = ["gateway4", "gateway6"].iter().any(|key| get(&interface.value, key).is_some());
        found.1 |= gateway || routes.iter().any(to_all);
    }
}

fn get<'n, 's>(node: &'n Node<'s>, key: &str) -> Option<&'n Node<'s>> {
    match &node.value {
        Yaml::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
        _ => None,
    }
}

fn items<'n, 's>(node: &'n Node<'s>) -> &'n [Node<'s>] {
    match &node.value {
        Yaml::Seq(items) => items,
        _ => &[],
    }
}

fn scalar<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.value {
        Yaml::Scalar { text, .. } => Some(text),
        _ => None,
    }
}
