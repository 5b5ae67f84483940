//! `northc.io/v1alpha1` LoadBalancer: an address and ports that stand for several interfaces.
//!
//! A balancer without an address is reported; one without targets refuses connections, which resolving reports.
//! Refuses to look up interfaces and VPCs.

use std::net::IpAddr;

use super::{Declared, outside};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, Transport};
use crate::source::balancers::{self, Backends, LOAD_BALANCER};
use crate::source::declare::{Int, OneOrMore, Switch, Word, declare};
use crate::source::outside::ELASTIC_IP;
use crate::span::Spanned;

declare! {
    /// An address and ports that stand for several interfaces, for the whole Vpc. It is best none of a Subnet: then guests send to it by their default route.
    pub(crate) struct LoadBalancer "LoadBalancer.spec" {
        /// The Vpc.
        "vpc" vpc: Spanned<String>,
        /// Its address inside, or one of each family.
        "vip" addresses: OneOrMore<Spanned<IpAddr>>,
        /// Its ElasticIp, for the outside.
        "elasticIp" elastic_ip: Option<Spanned<String>>,
        /// The ports that it listens on.
        "listeners" listeners: Vec<Spanned<Listener>>,
        /// Where connections go; with none, they are refused.
        "targets" targets: Option<Spanned<Targets>>,
        /// Whether targets are asked if they are alive, and how.
        "healthCheck" health: Option<Switch<HealthCheck>> = "false",
        /// How many seconds a client stays with its target.
        "affinity" affinity: Option<Int<1, 65535>> = "a connection's life",
        /// Peered Vpcs that can use it too.
        "clients" clients: OneOrMore<Spanned<String>>,
    }
}

declare! {
    /// A port that a balancer listens on.
    pub(crate) struct Listener "a listener" {
        /// Of the transport.
        "protocol" protocol: Option<Word<Transport>> = "tcp",
        /// Of the balancer's address.
        "port" port: Int<1, 65535>,
        /// Of the targets.
        "targetPort" target_port: Option<Int<1, 65535>> = "the same",
    }
}

declare! {
    /// Where connections go.
    pub(crate) struct Targets "targets" {
        /// The interfaces.
        "networkInterfaces" interfaces: OneOrMore<Spanned<String>>,
        /// Addresses, in place of interfaces.
        "addresses" addresses: OneOrMore<Spanned<IpAddr>>,
    }
}

declare! {
    /// How targets are asked if they are alive: by a TCP handshake, or by a UDP packet that nobody refuses.
    pub(crate) struct HealthCheck "a health check" {
        /// Seconds from one probe to the next.
        "interval" interval: Option<Int<1, 3600>> = "5",
        /// Seconds that a probe is waited for.
        "timeout" timeout: Option<Int<1, 3600>> = "20",
        /// Answers that make a target good.
        "successes" successes: Option<Int<1, 255>> = "3",
        /// Missing answers that make it bad.
        "failures" failures: Option<Int<1, 255>> = "3",
    }
}

/// The balancer; its names are still names.
pub(super) fn balancer(said: Declared<LoadBalancer>, sink: &mut Sink) -> balancers::Declared {
    let (name, whole, spec) = (said.name, said.whole, said.spec);
    if spec.addresses.0.is_empty() && spec.elastic_ip.is_none() && whole {
        let message = "a LoadBalancer has no address";
        sink.push(Diagnostic::new(Code::MissingField, name.span, message).help("add `vip`, or `elasticIp`"));
    }
    if spec.listeners.is_empty() && whole {
        let message = "LoadBalancer.spec has no `listeners`";
        sink.push(Diagnostic::new(Code::MissingField, name.span, message).help("add `listeners`"));
    }
    let listeners = spec.listeners.into_iter().filter_map(|said| listener(said.value, sink)).collect();
    let targets = spec.targets.map(|said| said.value);
    let (interfaces, addresses) = targets.map_or_else(Default::default, |t| (t.interfaces.0, t.addresses.0));
    balancers::Declared {
        kind: LOAD_BALANCER,
        minted: name.value.clone(),
        name,
        whole,
        vpc: Some(spec.vpc),
        clients: spec.clients.0,
        addresses: spec.addresses.0,
        public: spec.elastic_ip.map(|name| (ELASTIC_IP, name)),
        listeners,
        backends: Backends::Named { interfaces, addresses },
        health: spec.health.and_then(|switch| health(switch, sink)),
        affinity: spec.affinity.and_then(|said| within(said, "affinity", sink)),
    }
}

fn listener(said: Listener, sink: &mut Sink) -> Option<model::Listener> {
    let port = outside::port(said.port, sink);
    let target_port = said.target_port.map_or(port, |target| outside::port(target, sink));
    let protocol = said.protocol.map_or(Transport::Tcp, |word| word.0.value);
    Some(model::Listener { protocol, port: port?, target_port: target_port? })
}

fn health(switch: Switch<HealthCheck>, sink: &mut Sink) -> Option<model::HealthCheck> {
    let (span, said) = match switch {
        Switch::Off => return None,
        Switch::On(span) => (span, None),
        Switch::With(said) => (said.span, Some(said.value)),
    };
    let mut check = balancers::default_health(span);
    if let Some(said) = said {
        set(&mut check.interval, said.interval, "interval", sink);
        set(&mut check.timeout, said.timeout, "timeout", sink);
        set(&mut check.successes, said.successes, "successes", sink);
        set(&mut check.failures, said.failures, "failures", sink);
    }
    Some(check)
}

fn set<const MIN: i64, const MAX: i64>(
    value: &mut i64,
    said: Option<Int<MIN, MAX>>,
    field: &str,
    sink: &mut Sink,
) {
    if let Some(said) = said.and_then(|said| within(said, field, sink)) {
        *value = said.value;
    }
}

fn within<const MIN: i64, const MAX: i64>(
    said: Int<MIN, MAX>,
    field: &str,
    sink: &mut Sink,
) -> Option<Spanned<i64>> {
    if (MIN..=MAX).contains(&said.0.value) {
        return Some(said.0);
    }
    let message = format!("`{field}` can't be {}", said.0);
    sink.push(Diagnostic::new(Code::BadValue, said.0.span, message).help(format!("it takes {MIN} to {MAX}")));
    None
}
