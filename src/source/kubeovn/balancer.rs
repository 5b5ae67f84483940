//! `kubeovn.io/v1` SwitchLBRule, RouterLBRule: addresses that stand for workloads.
//!
//! | rule | who can use it |
//! |---|---|
//! | SwitchLBRule | the VPC of its backends, or of the annotation `ovn.kubernetes.io/logical_router` |
//! | RouterLBRule | the VPC that it names, and the outside by the address of its OvnEip |
//!
//! Backends are the `endpoints`, else the workloads of `namespace` whose labels are those of `selector`. Where
//! Kube-OVN forgets a rule without backends, its connections are refused. Refuses to resolve names.

use std::net::IpAddr;

use super::{AnyCase, no_effect};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Listener, Transport};
use crate::source::balancers::{Backends, Declared, ROUTER_RULE, SWITCH_RULE, default_health};
use crate::source::declare::{Int, Mapping, Word, Words, declare};
use crate::source::fields::{missing, owned};
use crate::source::object::Object;
use crate::source::outside::OVN_EIP;
use crate::source::values::{Commas, Label, Whole};
use crate::span::{Span, Spanned};

/// How long a client stays with its backend where `sessionAffinity` says so, in seconds: Kubernetes' default.
const AFFINITY: i64 = 10800;

declare! {
    /// An address and ports that stand for several workloads of a VPC, for that VPC.
    pub(crate) struct SwitchLbRule "SwitchLBRule.spec" {
        /// Its address, or one of each family.
        "vip" addresses: Spanned<Commas<Spanned<IpAddr>>>,
        /// The ports that it listens on.
        "ports" ports: Whole<Vec<Spanned<RulePort>>>,
        /// Addresses that connections go to.
        "endpoints" endpoints: Vec<Spanned<IpAddr>>,
        /// Labels of the workloads that they go to, each as `key: value`, where there are no `endpoints`.
        "selector" selector: Vec<Label>,
        /// The namespace of those.
        "namespace" namespace: Option<Spanned<String>> = "default",
        /// Whether a client stays with its backend for three hours (`ClientIP`).
        "sessionAffinity" affinity: Option<Word<Affinity>> = "None",
    }
}

declare! {
    /// The same at a public address, for the outside too.
    pub(crate) struct RouterLbRule "RouterLBRule.spec" {
        /// The OvnEip.
        "ovnEip" eip: Spanned<String>,
        /// The VPC.
        "vpc" vpc: Spanned<String>,
        /// The ports that it listens on.
        "ports" ports: Whole<Vec<Spanned<RulePort>>>,
        /// Addresses that connections go to.
        "endpoints" endpoints: Vec<Spanned<IpAddr>>,
        /// Labels of the workloads that they go to, each as `key: value`, where there are no `endpoints`.
        "selector" selector: Vec<Label>,
        /// The namespace of those.
        "namespace" namespace: Option<Spanned<String>> = "default",
        /// Whether a client stays with its backend for three hours (`ClientIP`).
        "sessionAffinity" affinity: Option<Word<Affinity>> = "None",
    }
}

declare! {
    /// A port of a balancer.
    pub(crate) struct RulePort "a port of the rule" {
        /// Of the balancer's address.
        "port" port: Int<1, 65535>,
        /// Of the backends.
        "targetPort" target_port: Option<Int<0, 65535>> = "the same",
        /// The transport.
        "protocol" protocol: Option<Word<AnyCase>> = "TCP",
    }
    unused {
        "name" Spanned<String>: Code::FieldWithoutEffect, "a listener of OVN has no name";
    }
}

/// Whether a client stays with its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    Client,
    None,
}

impl Words for Affinity {
    const WORDS: &'static [(&'static str, Affinity)] =
        &[("ClientIP", Affinity::Client), ("None", Affinity::None)];
}

/// What both kinds have in common.
struct Common {
    ports: Whole<Vec<Spanned<RulePort>>>,
    endpoints: Vec<Spanned<IpAddr>>,
    selector: Vec<Label>,
    namespace: Option<Spanned<String>>,
    affinity: Option<Word<Affinity>>,
}

/// The balancer that a SwitchLBRule describes.
pub(crate) fn read_switch_rule(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let n_errors = sink.n_errors();
    let said: SwitchLbRule = object.declared(sink)?;
    let SwitchLbRule { addresses, ports, endpoints, selector, namespace, affinity } = said;
    let common = Common { ports, endpoints, selector, namespace, affinity };
    let mut rule = rule((SWITCH_RULE, "slr"), SwitchLbRule::WHAT, &object, common, sink);
    rule.whole = sink.n_errors() == n_errors;
    rule.addresses = addresses.value.0;
    rule.vpc = object.annotation("ovn.kubernetes.io/logical_router").map(owned);
    (!rule.addresses.is_empty()).then_some(rule)
}

/// The balancer that a RouterLBRule describes.
pub(crate) fn read_router_rule(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let n_errors = sink.n_errors();
    let said: RouterLbRule = object.declared(sink)?;
    let RouterLbRule { eip, vpc, ports, endpoints, selector, namespace, affinity } = said;
    let common = Common { ports, endpoints, selector, namespace, affinity };
    let mut rule = rule((ROUTER_RULE, "rlr"), RouterLbRule::WHAT, &object, common, sink);
    rule.whole = sink.n_errors() == n_errors;
    rule.vpc = Some(vpc);
    rule.public = Some((OVN_EIP, eip));
    Some(rule)
}

/// A rule without its address. `prefix` is that of the Service that Kube-OVN would make of it.
fn rule(
    (kind, prefix): (&'static str, &str),
    what: &str,
    object: &Object<'_>,
    common: Common,
    sink: &mut Sink,
) -> Declared {
    if common.ports.value.is_empty() && common.ports.whole {
        sink.push(missing(what, object.name.span, "ports"));
    }
    let unwatched = object.annotation("ovn.kubernetes.io/service_health_check");
    let is_watched = unwatched.is_none_or(|said| said.value != "false");
    let stays = common.affinity.filter(|said| said.0.value == Affinity::Client);
    Declared {
        kind,
        minted: format!("{prefix}-{}", object.name),
        name: owned(object.name),
        whole: true,
        vpc: None,
        clients: Vec::new(),
        addresses: Vec::new(),
        public: None,
        listeners: common.ports.value.into_iter().filter_map(|port| listener(port.value, sink)).collect(),
        backends: backends(object.name.span, common.endpoints, common.selector, common.namespace, sink),
        health: is_watched.then(|| default_health(object.name.span)),
        affinity: stays.map(|said| said.0.map(|_| AFFINITY)),
    }
}

/// As in a Service, a target port that nobody gives, or 0, is the port.
fn listener(said: RulePort, sink: &mut Sink) -> Option<Listener> {
    let port = port(said.port.0, sink);
    let target = said.target_port.map(|target| target.0).filter(|target| target.value != 0);
    let target = target.map(|target| self::port(target, sink));
    Some(Listener {
        protocol: said.protocol.map_or(Transport::Tcp, |word| word.0.value.0),
        port: port?,
        target_port: target.unwrap_or(port)?,
    })
}

fn port(said: Spanned<i64>, sink: &mut Sink) -> Option<Spanned<u16>> {
    let number = u16::try_from(said.value).ok().filter(|number| *number != 0);
    if number.is_none() {
        let message = format!("there is no port {said}");
        sink.push(Diagnostic::new(Code::PortRange, said.span, message).help("ports are 1 to 65535"));
    }
    Some(Spanned::new(number?, said.span))
}

fn backends(
    name: Span,
    addresses: Vec<Spanned<IpAddr>>,
    selector: Vec<Label>,
    namespace: Option<Spanned<String>>,
    sink: &mut Sink,
) -> Backends {
    let span = selector.first().map_or(name, |label| label.0.span);
    if !addresses.is_empty() || selector.is_empty() {
        if !selector.is_empty() {
            no_effect(span, "selector", "the rule has `endpoints`", sink);
        }
        return Backends::Named { interfaces: Vec::new(), addresses };
    }
    let namespace = namespace.map_or("default".to_owned(), |name| name.value);
    Backends::Selected { namespace, labels: selector.into_iter().map(|label| label.0.value).collect(), span }
}
