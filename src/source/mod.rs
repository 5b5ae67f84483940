//! Front end: texts to the model.
//!
//! Splits documents and lists, sends each object to the file of its kind, then resolves names. Unknown
//! kinds are counted and skipped. Refuses to judge the network; `check` does.

mod acl;
mod balancers;
mod bfd;
mod blocks;
mod declare;
mod egress;
mod fields;
mod kubeovn;
mod native;
mod object;
mod outside;
mod parts;
mod pools;
mod qos;
mod reference;
mod resolve;
mod values;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Expectation, Model, NetworkAcl, SecurityGroup, Vpc};
use crate::nearest::nearest;
use crate::span::{SourceMap, Span};

use fields::Fields;
use kubeovn::{
    balancer, ip, nat, natgateway, network, node, security_group, subnet, underlay, vip, vpc, workload,
};
use native::Native;
use object::{Kind, Object, Scope};
use yaml::{Node, Yaml};

pub use reference::{Dialect, markdown, schema};

/// Reads every text into a model. What could not be read is reported and left out.
pub fn read(sources: &SourceMap, sink: &mut Sink) -> Model {
    let mut declared = parts::read(sources, sink);
    declared.doubts.lost |=
        [Code::Unreadable, Code::YamlSyntax, Code::TooDeep].into_iter().any(|code| sink.has(code));
    declared.report_skipped(sink);
    resolve::resolve(declared, sink)
}

/// Objects as declared, in the order read; names are still names.
#[derive(Default)]
struct Declarations {
    vpcs: Vec<Vpc>,
    subnets: Vec<subnet::Declared>,
    networks: Vec<network::Network>,
    vlans: Vec<underlay::Vlan>,
    provider_networks: Vec<crate::span::Spanned<String>>,
    /// Boxed, as they are sorted, and so that each can go once it is a port.
    #[allow(
        clippy::vec_box,
        reason = "a fifth of the memory of reading: nothing is moved, and each goes by itself"
    )]
    interfaces: Vec<Box<workload::Interface>>,
    records: Vec<ip::Record>,
    vips: Vec<vip::Declared>,
    groups: Vec<SecurityGroup>,
    network_acls: Vec<NetworkAcl>,
    outside: outside::Declared,
    balancers: Vec<balancers::Declared>,
    qos_policies: Vec<qos::Declared>,
    pools: Vec<pools::Declared>,
    vpc_dns: Vec<kubeovn::dns::Declared>,
    expectations: Vec<Expectation>,
    native: Native,
    doubts: Doubts,
    /// Unknown kinds: how many, and the first one's place.
    skipped: BTreeMap<String, (usize, Span)>,
    /// Known kinds that this version does not lower: the same.
    waiting: BTreeMap<String, (usize, Span)>,
}

/// What is in the input and could not be read, or was left out. Nobody is told that it does not exist.
#[derive(Default)]
struct Doubts {
    /// Something was lost with its name: it may be anything.
    lost: bool,
    /// Kind and name.
    left_out: BTreeSet<(&'static str, String)>,
}

impl Doubts {
    fn leave_out(&mut self, kind: &'static str, name: impl Into<String>) {
        self.left_out.insert((kind, name.into()));
    }

    /// Whether an object may exist although it was not read.
    fn cover(&self, kind: &'static str, name: &str) -> bool {
        self.lost || self.left_out.contains(&(kind, name.to_owned()))
    }
}

/// The kinds of an API group that are northc's business.
struct Group {
    name: &'static str,
    /// Whose it is, for messages.
    owner: &'static str,
    version: &'static str,
    /// Kinds that this version reads.
    kinds: &'static [&'static str],
    /// Kinds that this version does not lower.
    waiting: &'static [&'static str],
}

const GROUPS: [Group; 2] = [
    Group {
        name: "kubeovn.io",
        owner: "Kube-OVN",
        version: "v1",
        kinds: &KUBEOVN_KINDS,
        waiting: &WAITING_KINDS,
    },
    Group {
        name: "northc.io",
        owner: "northc",
        version: "v1alpha1",
        kinds: &native::KINDS,
        waiting: &native::WAITING_KINDS,
    },
];

/// Kinds of the `kubeovn.io` group that this version reads.
const KUBEOVN_KINDS: [&str; 22] = [
    "IP",
    "IPPool",
    "IptablesDnatRule",
    "IptablesEIP",
    "IptablesFIPRule",
    "IptablesSnatRule",
    "OvnDnatRule",
    "OvnEip",
    "OvnFip",
    "OvnSnatRule",
    "ProviderNetwork",
    "QoSPolicy",
    "RouterLBRule",
    "SecurityGroup",
    "Subnet",
    "SwitchLBRule",
    "Vip",
    "Vlan",
    "Vpc",
    "VpcDns",
    "VpcEgressGateway",
    "VpcNatGateway",
];

/// Kinds that concern a VPC and that this version does not lower.
const WAITING_KINDS: [&str; 0] = [];

impl Declarations {
    fn document(&mut self, root: &Node<'_>, sink: &mut Sink) {
        if !matches!(root.value, Yaml::Map(_)) {
            sink.push(
                fields::wrong_type(root, "a document", "an object with `apiVersion` and `kind`")
                    .help("write what `kubectl get -o yaml` prints, with `---` between objects"),
            );
            self.doubts.lost = true;
            return;
        }
        let mut fields = Fields::of("the document", root, sink);
        let Some(kind) = object::kind_of(&mut fields, sink) else {
            self.doubts.lost = true;
            return;
        };
        if kind.kind.value.ends_with("List") && fields.node("items").is_some() {
            for item in fields.list("items", sink) {
                self.document(item, sink);
            }
            return;
        }
        self.object(&kind, root, sink);
    }

    fn object(&mut self, kind: &Kind<'_>, node: &Node<'_>, sink: &mut Sink) {
        let is_read = match kind.group {
            "northc.io" => self.native_object(kind, node, sink),
            _ => self.kubernetes_object(kind, node, sink),
        };
        if !is_read {
            return self.skip(kind, sink);
        }
        let version = GROUPS.iter().find(|group| group.name == kind.group).map_or("v1", |g| g.version);
        if kind.version.value != version {
            let message = format!("{} is read as version {version}, not {}", kind.kind, kind.version);
            sink.push(Diagnostic::new(Code::UnknownVersion, kind.version.span, message));
        }
    }

    /// Reads an object of one of northc's own kinds; false when it is none.
    fn native_object(&mut self, kind: &Kind<'_>, node: &Node<'_>, sink: &mut Sink) -> bool {
        macro_rules! into {
            ($list:ident, $name:literal) => {{
                let object = self.read($name, Scope::Cluster, node, sink, native::read);
                self.native.$list.extend(object);
            }};
        }
        match kind.kind.value {
            "Vpc" => into!(vpcs, "Vpc"),
            "Subnet" => into!(subnets, "Subnet"),
            "NetworkInterface" => {
                let read = native::interface::read;
                let object = self.read("NetworkInterface", Scope::Cluster, node, sink, read);
                self.interfaces.extend(object.map(Box::new));
            }
            "RouteTable" => into!(tables, "RouteTable"),
            "VpcPeering" => into!(peerings, "VpcPeering"),
            "TransitGateway" => into!(transits, "TransitGateway"),
            "PrefixList" => into!(prefix_lists, "PrefixList"),
            "SecurityGroup" => into!(groups, "SecurityGroup"),
            "NetworkAcl" => into!(network_acls, "NetworkAcl"),
            "ExternalNetwork" => into!(externals, "ExternalNetwork"),
            "InternetGateway" => into!(internet_gateways, "InternetGateway"),
            "NatGateway" => into!(nat_gateways, "NatGateway"),
            "ElasticIp" => into!(elastic_ips, "ElasticIp"),
            "PortForward" => into!(forwards, "PortForward"),
            "LoadBalancer" => into!(balancers, "LoadBalancer"),
            "IpPool" => into!(pools, "IpPool"),
            "DnsZone" => into!(dns_zones, "DnsZone"),
            "QosPolicy" => into!(qos_policies, "QosPolicy"),
            "Expectation" => into!(expectations, "Expectation"),
            _ => return false,
        }
        true
    }

    /// Reads an object of Kube-OVN, KubeVirt or Kubernetes; false when it is none that northc knows.
    fn kubernetes_object(&mut self, kind: &Kind<'_>, node: &Node<'_>, sink: &mut Sink) -> bool {
        use Scope::{Cluster, Namespaced};
        macro_rules! into {
            ($list:ident, $scope:expr, $name:literal, $read:path) => {{
                let object = self.read($name, $scope, node, sink, $read);
                self.$list.extend(object);
            }};
        }
        match (kind.group, kind.kind.value) {
            ("kubeovn.io", "Vpc") => {
                let vpc = self.read("Vpc", Cluster, node, sink, vpc::read);
                let (vpc, exits) = vpc.unzip();
                self.vpcs.extend(vpc);
                self.outside.exits.extend(exits);
            }
            ("kubeovn.io", "Subnet") => into!(subnets, Cluster, "Subnet", subnet::read),
            ("kubeovn.io", "Vlan") => into!(vlans, Cluster, "Vlan", underlay::read_vlan),
            ("kubeovn.io", "ProviderNetwork") => {
                into!(provider_networks, Cluster, "ProviderNetwork", underlay::read_provider_network);
            }
            ("kubeovn.io", "IP") => into!(records, Cluster, "IP", ip::read),
            ("kubeovn.io", "Vip") => into!(vips, Cluster, "Vip", vip::read),
            ("kubeovn.io", "SecurityGroup") => into!(groups, Cluster, "SecurityGroup", security_group::read),
            ("kubeovn.io", "IPPool") => into!(pools, Cluster, "IPPool", kubeovn::pool::read),
            ("kubeovn.io", "VpcDns") => into!(vpc_dns, Cluster, "VpcDns", kubeovn::dns::read),
            ("kubeovn.io", "QoSPolicy") => into!(qos_policies, Cluster, "QoSPolicy", kubeovn::qos::read),
            ("kubeovn.io", "SwitchLBRule") => {
                into!(balancers, Cluster, "SwitchLBRule", balancer::read_switch_rule);
            }
            ("kubeovn.io", "RouterLBRule") => {
                into!(balancers, Cluster, "RouterLBRule", balancer::read_router_rule);
            }
            ("k8s.cni.cncf.io", "NetworkAttachmentDefinition") => {
                into!(networks, Namespaced, "NetworkAttachmentDefinition", network::read);
            }
            ("kubevirt.io", "VirtualMachine") => {
                let interfaces = self.read("VirtualMachine", Namespaced, node, sink, workload::read_vm);
                self.interfaces.extend(interfaces.into_iter().flatten().map(Box::new));
            }
            ("", "Pod") => {
                let interfaces = self.read("Pod", Namespaced, node, sink, workload::read_pod);
                self.interfaces.extend(interfaces.into_iter().flatten().map(Box::new));
            }
            _ => return self.exit(kind, node, sink),
        }
        true
    }

    /// Reads an object that is about the way out of a VPC; false for any other.
    fn exit(&mut self, kind: &Kind<'_>, node: &Node<'_>, sink: &mut Sink) -> bool {
        use Scope::{Cluster, Namespaced};
        macro_rules! into {
            ($list:ident, $name:literal, $read:path) => {{
                let object = self.read($name, Cluster, node, sink, $read);
                self.outside.$list.extend(object);
            }};
        }
        match (kind.group, kind.kind.value) {
            ("kubeovn.io", "OvnEip") => into!(eips, "OvnEip", nat::read_eip),
            ("kubeovn.io", "OvnFip") => into!(rules, "OvnFip", nat::read_fip),
            ("kubeovn.io", "OvnSnatRule") => into!(rules, "OvnSnatRule", nat::read_snat),
            ("kubeovn.io", "OvnDnatRule") => into!(rules, "OvnDnatRule", nat::read_dnat),
            ("kubeovn.io", "VpcNatGateway") => into!(nat_gateways, "VpcNatGateway", natgateway::read),
            ("kubeovn.io", "IptablesEIP") => into!(nat_eips, "IptablesEIP", natgateway::read_eip),
            ("kubeovn.io", "IptablesFIPRule") => into!(rules, "IptablesFIPRule", natgateway::read_fip),
            ("kubeovn.io", "IptablesSnatRule") => into!(rules, "IptablesSnatRule", natgateway::read_snat),
            ("kubeovn.io", "IptablesDnatRule") => into!(rules, "IptablesDnatRule", natgateway::read_dnat),
            ("kubeovn.io", "VpcEgressGateway") => {
                let gateway = self.read("VpcEgressGateway", Namespaced, node, sink, kubeovn::egress::read);
                self.outside.egress_gateways.extend(gateway);
            }
            ("", "Node") => into!(nodes, "Node", node::read),
            ("", "ConfigMap") if node::is_gateway_config(node) => {
                let read = node::read_gateway_config;
                let config = self.read("ConfigMap", Namespaced, node, sink, read);
                self.outside.config = config.or(self.outside.config.take());
            }
            _ => return false,
        }
        true
    }

    /// Reads an object of a known kind. One that can't be read is remembered, so that nobody is told that it
    /// does not exist.
    fn read<'d, T>(
        &mut self,
        kind: &'static str,
        scope: Scope,
        node: &'d Node<'d>,
        sink: &mut Sink,
        read: impl FnOnce(Object<'d>, &mut Sink) -> Option<T>,
    ) -> Option<T> {
        let n_errors = sink.n_errors();
        let Some(object) = Object::read(kind, scope, node, sink) else {
            self.doubts.lost |= sink.n_errors() > n_errors;
            return None;
        };
        let name = object.full_name(scope);
        let read = read(object, sink);
        if read.is_none() {
            self.doubts.leave_out(kind, name);
        }
        read
    }

    fn skip(&mut self, kind: &Kind<'_>, sink: &mut Sink) {
        let group = GROUPS.iter().find(|group| group.name == kind.group);
        let waiting = group.is_some_and(|group| group.waiting.contains(&kind.kind.value));
        if let Some(group) = group.filter(|_| !waiting) {
            let known = group.kinds.iter().chain(group.waiting).copied();
            let near = nearest(kind.kind.value, known);
            let message = format!("{} has no kind `{}`", group.owner, kind.kind);
            let diagnostic = Diagnostic::new(Code::KindNearMiss, kind.kind.span, message);
            let help = match near {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None if group.name == "northc.io" => Some(format!("it has {}", group.kinds.join(", "))),
                None => None,
            };
            if let Some(help) = help {
                sink.push(diagnostic.help(help));
                self.doubts.lost = true;
                return;
            }
        }
        let list = if waiting { &mut self.waiting } else { &mut self.skipped };
        list.entry(kind.kind.value.to_owned()).or_insert((0, kind.kind.span)).0 += 1;
    }

    fn report_skipped(&self, sink: &mut Sink) {
        for (kind, (n, span)) in &self.waiting {
            let message = format!(
                "{} of kind {kind} left out: this version of northc does not lower the kind",
                objects(*n)
            );
            sink.push(Diagnostic::new(Code::NotYet, *span, message));
        }
        for (kind, (n, span)) in &self.skipped {
            let message = format!("{} of kind {kind} skipped: northc does not read the kind", objects(*n));
            let diagnostic = Diagnostic::new(Code::UnknownKind, *span, message);
            let others = ["NetworkAttachmentDefinition", "VirtualMachine", "Pod"];
            let known = GROUPS.iter().flat_map(|group| group.kinds).copied().chain(others);
            sink.push(match nearest(kind, known) {
                Some(near) if near != kind => diagnostic.help(format!("did you mean `{near}`?")),
                Some(near) => diagnostic.help(format!("{near} is known under another apiVersion")),
                None => diagnostic,
            });
        }
    }
}

fn objects(n: usize) -> String {
    if n == 1 { "1 object".to_owned() } else { format!("{n} objects") }
}
