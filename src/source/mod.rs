//! Front end: texts to the model.
//!
//! Splits documents and lists, sends each object to the file of its kind, then resolves names. Unknown
//! kinds are counted and skipped. Refuses to judge the network; `check` does.

mod fields;
mod kubeovn;
mod object;
mod resolve;
mod yaml;

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Model, Vpc};
use crate::nearest::nearest;
use crate::span::{SourceMap, Span};

use fields::Fields;
use kubeovn::{ip, network, subnet, underlay, vip, vpc, workload};
use object::{Kind, Object, Scope};
use yaml::{Node, Yaml};

/// Reads every text into a model. What could not be read is reported and left out.
pub fn read(sources: &SourceMap, sink: &mut Sink) -> Model {
    let mut declared = Declarations::default();
    for (file, source) in sources.iter() {
        let text = source.text.as_str();
        yaml::documents(file, text, sink, |root, sink| declared.document(root, sink));
    }
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
    interfaces: Vec<workload::Interface>,
    records: Vec<ip::Record>,
    vips: Vec<vip::Declared>,
    /// Unknown kinds: how many, and the first one's place.
    skipped: BTreeMap<String, (usize, Span)>,
    /// Known kinds that this version does not lower: the same.
    waiting: BTreeMap<String, (usize, Span)>,
}

/// Kinds of the `kubeovn.io` group that this version reads.
const KUBEOVN_KINDS: [&str; 6] = ["IP", "ProviderNetwork", "Subnet", "Vip", "Vlan", "Vpc"];

/// Kinds that concern a VPC and that this version does not lower.
const WAITING_KINDS: [&str; 16] = [
    "IPPool",
    "IptablesDnatRule",
    "IptablesEIP",
    "IptablesFIPRule",
    "IptablesSnatRule",
    "OvnDnatRule",
    "OvnEip",
    "OvnFip",
    "OvnSnatRule",
    "QoSPolicy",
    "RouterLBRule",
    "SecurityGroup",
    "SwitchLBRule",
    "VpcDns",
    "VpcEgressGateway",
    "VpcNatGateway",
];

impl Declarations {
    fn document(&mut self, root: &Node<'_>, sink: &mut Sink) {
        if !matches!(root.value, Yaml::Map(_)) {
            sink.push(fields::wrong_type(root, "a document", "an object with `apiVersion` and `kind`"));
            return;
        }
        let mut fields = Fields::of("the document", root, sink);
        let Some(kind) = object::kind_of(&mut fields, sink) else { return };
        if kind.kind.value.ends_with("List") && fields.node("items").is_some() {
            for item in fields.list("items", sink) {
                self.document(item, sink);
            }
            return;
        }
        self.object(&kind, root, sink);
    }

    fn object(&mut self, kind: &Kind<'_>, node: &Node<'_>, sink: &mut Sink) {
        use Scope::{Cluster, Namespaced};
        let known = match (kind.group, kind.kind.value) {
            ("kubeovn.io", "Vpc") => {
                self.vpcs.extend(Object::read("Vpc", Cluster, node, sink).and_then(|o| vpc::read(o, sink)));
                "v1"
            }
            ("kubeovn.io", "Subnet") => {
                self.subnets
                    .extend(Object::read("Subnet", Cluster, node, sink).and_then(|o| subnet::read(o, sink)));
                "v1"
            }
            ("kubeovn.io", "Vlan") => {
                self.vlans.extend(
                    Object::read("Vlan", Cluster, node, sink).and_then(|o| underlay::read_vlan(o, sink)),
                );
                "v1"
            }
            ("kubeovn.io", "ProviderNetwork") => {
                let object = Object::read("ProviderNetwork", Cluster, node, sink);
                self.provider_networks.extend(object.and_then(|o| underlay::read_provider_network(o, sink)));
                "v1"
            }
            ("kubeovn.io", "IP") => {
                self.records.extend(Object::read("IP", Cluster, node, sink).and_then(|o| ip::read(o, sink)));
                "v1"
            }
            ("kubeovn.io", "Vip") => {
                self.vips.extend(Object::read("Vip", Cluster, node, sink).and_then(|o| vip::read(o, sink)));
                "v1"
            }
            ("k8s.cni.cncf.io", "NetworkAttachmentDefinition") => {
                let object = Object::read("NetworkAttachmentDefinition", Namespaced, node, sink);
                self.networks.extend(object.and_then(|o| network::read(o, sink)));
                "v1"
            }
            ("kubevirt.io", "VirtualMachine") => {
                let object = Object::read("VirtualMachine", Namespaced, node, sink);
                self.interfaces.extend(object.and_then(|o| workload::read_vm(o, sink)).unwrap_or_default());
                "v1"
            }
            ("", "Pod") => {
                let object = Object::read("Pod", Namespaced, node, sink);
                self.interfaces.extend(object.and_then(|o| workload::read_pod(o, sink)).unwrap_or_default());
                "v1"
            }
            _ => return self.skip(kind),
        };
        if kind.version.value != known {
            let message = format!("{} is read as version {known}, not {}", kind.kind, kind.version);
            sink.push(Diagnostic::new(Code::UnknownVersion, kind.version.span, message));
        }
    }

    fn skip(&mut self, kind: &Kind<'_>) {
        let waiting = kind.group == "kubeovn.io" && WAITING_KINDS.contains(&kind.kind.value);
        let list = if waiting { &mut self.waiting } else { &mut self.skipped };
        list.entry(kind.kind.value.to_owned()).or_insert((0, kind.kind.span)).0 += 1;
    }

    fn report_skipped(&self, sink: &mut Sink) {
        for (kind, (n, span)) in &self.waiting {
            let message = format!(
                "{} of kind {kind} left out: this version of northc does not lower them",
                objects(*n)
            );
            sink.push(Diagnostic::new(Code::NotYet, *span, message));
        }
        for (kind, (n, span)) in &self.skipped {
            let message = format!("{} of kind {kind} skipped: northc does not read the kind", objects(*n));
            let diagnostic = Diagnostic::new(Code::UnknownKind, *span, message);
            let known =
                KUBEOVN_KINDS.into_iter().chain(["NetworkAttachmentDefinition", "VirtualMachine", "Pod"]);
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
