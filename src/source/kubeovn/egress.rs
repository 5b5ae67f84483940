//! `kubeovn.io/v1` VpcEgressGateway.
//!
//! Kube-OVN runs pods that the sources of its policies are sent to, and that translate with the kernel's tables. Here
//! OVN itself does it: the gateway is one of the VPC's router on the external network. What is about the pods has no
//! effect. Refuses to resolve names.

use std::net::IpAddr;

use super::no_effect;
use crate::diag::{Code, Sink};
use crate::model::DEFAULT_VPC;
use crate::source::declare::{Int, Word, Words, declare};
use crate::source::object::Object;
use crate::source::values::{Anything, Block, Flag};
use crate::source::yaml::{Node, Yaml};
use crate::span::{Span, Spanned};

/// Why what is about the pods has no effect.
const PODS: &str = "it is about the pods, and OVN itself does their work";

declare! {
    /// A way out for some sources: OVN's own, in place of the pods that Kube-OVN runs.
    pub(crate) struct VpcEgressGateway "VpcEgressGateway.spec" {
        /// The VPC.
        "vpc" vpc: Option<Spanned<String>> = "`ovn-cluster`",
        /// The external network that it leads to.
        "externalSubnet" external: Spanned<String>,
        /// The address that sources get there, or one of each family; there are no pods for further ones.
        "externalIPs" addresses: Vec<Spanned<IpAddr>> = "the router's own",
        /// The sources that leave by it.
        "policies" policies: Vec<Spanned<EgressPolicy>>,
        /// The workloads that leave by it, translated.
        "selectors" selectors: Vec<Spanned<EgressSelector>>,
        /// Which pod a source takes; `Local` has no effect.
        "trafficPolicy" traffic: Option<Word<Traffic>> = "Cluster",
    }
    unused {
        "replicas" Int<0, 2147483647> = "1": Code::FieldWithoutEffect, PODS;
        "prefix" Spanned<String>: Code::FieldWithoutEffect, PODS;
        "image" Spanned<String>: Code::FieldWithoutEffect, PODS;
        "internalSubnet" Spanned<String>: Code::FieldWithoutEffect, PODS;
        "internalIPs" Vec<Spanned<IpAddr>>: Code::FieldWithoutEffect, PODS;
        "bfd" Spanned<super::natgateway::Bfd>: Code::FieldWithoutEffect, PODS;
        "nodeSelector" Anything: Code::FieldWithoutEffect, PODS;
        "tolerations" Anything: Code::FieldWithoutEffect, PODS;
        "resources" Anything: Code::FieldWithoutEffect, PODS;
        "bgpConf" Spanned<String>: Code::FieldWithoutEffect, PODS;
        "evpnConf" Spanned<String>: Code::FieldWithoutEffect, PODS;
    }
}

declare! {
    /// Sources that leave by an egress gateway.
    pub(crate) struct EgressPolicy "a policy of the gateway" {
        /// Whether they get its address.
        "snat" snat: Flag = "false",
        /// Their blocks.
        "ipBlocks" blocks: Vec<Block>,
        /// Their Subnets.
        "subnets" subnets: Vec<Spanned<String>>,
    }
}

declare! {
    /// Workloads that leave by an egress gateway.
    pub(crate) struct EgressSelector "a selector of the gateway" {
        /// Their namespaces; by the label `kubernetes.io/metadata.name` alone, as others are not in the input.
        "namespaceSelector" namespaces: Option<Spanned<LabelSelector>> = "all",
        /// Their labels.
        "podSelector" pods: Option<Spanned<LabelSelector>> = "all",
    }
}

declare! {
    /// Labels that must be there.
    pub(crate) struct LabelSelector "a selector" {
        /// Names and values.
        "matchLabels" labels: Option<Labels>,
    }
    unused {
        "matchExpressions" Anything: Code::FieldWithoutEffect, "northc compares labels with `matchLabels` alone";
    }
}

/// Labels with their places.
#[derive(Debug)]
pub(crate) struct Labels(Vec<(Spanned<String>, String)>);

impl crate::source::declare::Take for Labels {
    fn form() -> crate::source::declare::Form {
        crate::source::declare::Form::Settings
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Labels> {
        let Yaml::Map(entries) = &node.value else {
            sink.push(crate::source::fields::wrong_type(node, name, "a mapping"));
            return None;
        };
        let one = |entry: &'d crate::source::yaml::Entry<'d>| {
            let value = crate::source::fields::text_of(&entry.value, name, sink)?;
            Some((Spanned::new(entry.key.to_string(), entry.key_span), value.value.to_owned()))
        };
        Some(Labels(entries.iter().filter_map(one).collect()))
    }
}

/// Which pod a source takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    Cluster,
    Local,
}

impl Words for Traffic {
    const WORDS: &'static [(&'static str, Traffic)] =
        &[("Cluster", Traffic::Cluster), ("Local", Traffic::Local)];
}

/// An egress gateway whose names are not resolved yet.
pub(crate) struct EgressGateway {
    /// `namespace/name`
    pub(crate) name: Spanned<String>,
    pub(crate) vpc: Spanned<String>,
    pub(crate) external: Spanned<String>,
    /// Its addresses outside, at most one a family; with none, the router's own.
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
    pub(crate) policies: Vec<EgressPolicy>,
    pub(crate) selectors: Vec<Selector>,
}

/// Workloads that leave by it.
pub(crate) struct Selector {
    pub(crate) span: Span,
    /// Any, where nobody says.
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Vec<(String, String)>,
}

/// How Kubernetes labels a namespace with its own name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The gateway that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<EgressGateway> {
    let said: VpcEgressGateway = object.declared(sink)?;
    let mut addresses: Vec<Spanned<IpAddr>> = Vec::new();
    for address in said.addresses {
        if addresses.iter().any(|other| other.value.is_ipv4() == address.value.is_ipv4()) {
            no_effect(address.span, "externalIPs", "one address of a family serves all", sink);
        } else {
            addresses.push(address);
        }
    }
    if let Some(traffic) = said.traffic.filter(|traffic| traffic.0.value == Traffic::Local) {
        let why = "packets leave by the chassis that carries the gateway, wherever they come from";
        no_effect(traffic.0.span, "trafficPolicy", why, sink);
    }
    let selectors = said.selectors.into_iter().filter_map(|one| selector(one, sink)).collect();
    let name = object.name.map(|name| format!("{}/{name}", object.namespace));
    let vpc = said.vpc.unwrap_or_else(|| Spanned::new(DEFAULT_VPC.to_owned(), name.span));
    let policies = said.policies.into_iter().map(|policy| policy.value).collect();
    Some(EgressGateway { name, vpc, external: said.external, addresses, policies, selectors })
}

fn selector(said: Spanned<EgressSelector>, sink: &mut Sink) -> Option<Selector> {
    let labels = |of: Option<Spanned<LabelSelector>>| {
        of.and_then(|selector| selector.value.labels).map_or(Vec::new(), |labels| labels.0)
    };
    let mut namespace = None;
    for (key, value) in labels(said.value.namespaces) {
        if key.value != NAMESPACE_NAME {
            let why = "the labels of namespaces are not in the input, but for `kubernetes.io/metadata.name`";
            no_effect(key.span, "namespaceSelector", why, sink);
            return None;
        }
        namespace = Some(value);
    }
    let labels = labels(said.value.pods).into_iter().map(|(key, value)| (key.value, value)).collect();
    Some(Selector { span: said.span, namespace, labels })
}
