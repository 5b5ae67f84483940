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

use super::no_effect;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Listener, Transport};
use crate::source::balancers::{Backends, Declared, ROUTER_RULE, SWITCH_RULE, default_health};
use crate::source::fields::{Fields, address, choice, comma_list, owned};
use crate::source::object::Object;
use crate::source::outside::OVN_EIP;
use crate::span::{Span, Spanned};

/// How long a client stays with its backend where `sessionAffinity` says so, in seconds: Kubernetes' default.
const AFFINITY: i64 = 10800;

/// The balancer that a SwitchLBRule describes.
pub(crate) fn read_switch_rule(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let mut spec = object.spec("SwitchLBRule.spec", sink)?;
    let vip = spec.required("vip", sink);
    let addresses = vip.map_or(Vec::new(), comma_list);
    let mut rule = rule(SWITCH_RULE, "slr", &object, &mut spec, sink);
    rule.addresses = addresses.into_iter().filter_map(|text| address(text, "`vip`", sink)).collect();
    rule.vpc = object.annotation("ovn.kubernetes.io/logical_router").map(owned);
    spec.finish(sink);
    object.fields.finish(sink);
    (!rule.addresses.is_empty()).then_some(rule)
}

/// The balancer that a RouterLBRule describes.
pub(crate) fn read_router_rule(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let mut spec = object.spec("RouterLBRule.spec", sink)?;
    let eip = spec.required("ovnEip", sink);
    let vpc = spec.required("vpc", sink);
    let mut rule = rule(ROUTER_RULE, "rlr", &object, &mut spec, sink);
    spec.finish(sink);
    object.fields.finish(sink);
    rule.vpc = Some(owned(vpc?));
    rule.public = Some((OVN_EIP, owned(eip?)));
    Some(rule)
}

/// What both have in common. `prefix` is that of the Service that Kube-OVN would make of it.
fn rule(
    kind: &'static str,
    prefix: &str,
    object: &Object<'_>,
    spec: &mut Fields<'_>,
    sink: &mut Sink,
) -> Declared {
    let n_errors = sink.n_errors();
    let listeners = listeners(spec, sink);
    let backends = backends(object.name.span, spec, sink);
    let known = [("ClientIP", true), ("None", false)];
    let affinity = spec.text("sessionAffinity", sink).and_then(|text| {
        let is_on = choice(text, "sessionAffinity", &known, sink)?;
        is_on.then_some(Spanned::new(AFFINITY, text.span))
    });
    let unwatched = object.annotation("ovn.kubernetes.io/service_health_check");
    let is_watched = unwatched.is_none_or(|said| said.value != "false");
    Declared {
        kind,
        minted: format!("{prefix}-{}", object.name),
        name: owned(object.name),
        whole: sink.n_errors() == n_errors,
        vpc: None,
        clients: Vec::new(),
        addresses: Vec::new(),
        public: None,
        listeners,
        backends,
        health: is_watched.then(|| default_health(object.name.span)),
        affinity,
    }
}

fn listeners(spec: &mut Fields<'_>, sink: &mut Sink) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for node in spec.list("ports", sink) {
        let mut fields = Fields::of("a port of the rule", node, sink);
        fields.skip(&["name"]);
        let port = port("port", &mut fields, sink);
        let target_port = port_number("targetPort", &mut fields, sink);
        let known = [
            ("TCP", Transport::Tcp),
            ("UDP", Transport::Udp),
            ("SCTP", Transport::Sctp),
            ("tcp", Transport::Tcp),
            ("udp", Transport::Udp),
            ("sctp", Transport::Sctp),
        ];
        let protocol = match fields.text("protocol", sink) {
            Some(text) => choice(text, "protocol", &known, sink),
            None => Some(Transport::Tcp),
        };
        fields.finish(sink);
        // As in a Service, a target port that nobody gives, or 0, is the port.
        if let (Some(port), Some(protocol), Ok(target_port)) = (port, protocol, target_port) {
            listeners.push(Listener { protocol, port, target_port: target_port.unwrap_or(port) });
        }
    }
    if listeners.is_empty() && spec.node("ports").is_none() {
        spec.report_missing("ports", sink);
    }
    listeners
}

fn port(name: &'static str, fields: &mut Fields<'_>, sink: &mut Sink) -> Option<Spanned<u16>> {
    match port_number(name, fields, sink) {
        Ok(Some(port)) => Some(port),
        Ok(None) => {
            fields.report_missing(name, sink);
            None
        }
        Err(()) => None,
    }
}

/// A port; none where there is none, or 0. What is no port is reported.
fn port_number(
    name: &'static str,
    fields: &mut Fields<'_>,
    sink: &mut Sink,
) -> Result<Option<Spanned<u16>>, ()> {
    let Some(said) = fields.int(name, sink).filter(|said| said.value != 0) else { return Ok(None) };
    let number = u16::try_from(said.value).map_err(|_| {
        let message = format!("there is no port {said}");
        sink.push(Diagnostic::new(Code::PortRange, said.span, message).help("ports are 1 to 65535"));
    })?;
    Ok(Some(Spanned::new(number, said.span)))
}

fn backends(name: Span, spec: &mut Fields<'_>, sink: &mut Sink) -> Backends {
    let endpoints = spec.texts("endpoints", sink);
    let namespace = spec.text("namespace", sink).map_or("default", |text| text.value).to_owned();
    let selector = spec.texts("selector", sink);
    let span = selector.first().map_or(name, |label| label.span);
    if !endpoints.is_empty() || selector.is_empty() {
        if !selector.is_empty() {
            no_effect(span, "selector", "the rule has `endpoints`", sink);
        }
        let texts = endpoints.into_iter();
        let addresses: Vec<Spanned<IpAddr>> =
            texts.filter_map(|text| address(text, "`endpoints`", sink)).collect();
        return Backends::Named { interfaces: Vec::new(), addresses };
    }
    let mut labels = Vec::new();
    for label in selector {
        match label.value.split_once(':') {
            Some((key, value)) => labels.push((key.trim().to_owned(), value.trim().to_owned())),
            None => {
                let message = format!("`{label}` is no label and its value");
                sink.push(Diagnostic::new(Code::BadValue, label.span, message).help("write it as `app:web`"));
            }
        }
    }
    Backends::Selected { namespace, labels, span }
}
