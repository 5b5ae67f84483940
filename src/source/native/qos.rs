//! `northc.io/v1alpha1` QosPolicy: rates and marks for packets of interfaces, subnets and elastic IPs.
//!
//! Rules are written as those of a security group, and asked in their order. Refuses a rule that says nothing.

use super::filter_rule::Written;
use super::{Declared, PrefixLists};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Direction, Protocol, QosRule};
use crate::source::declare::{Cidr, Int, OneOrMore, Ports, Word, declare};
use crate::source::outside::ELASTIC_IP;
use crate::source::qos::{self, Target};
use crate::span::Spanned;

declare! {
    /// Rates and marks for packets. The first rule that matches decides; what none matches is left alone. Each target has a rate to itself, and each chassis counts for itself: what several interfaces of a Subnet share, they share chassis by chassis.
    pub(crate) struct QosPolicy "QosPolicy.spec" {
        /// Interfaces, each with the rates to itself.
        "networkInterfaces" interfaces: OneOrMore<Spanned<String>>,
        /// Subnets, the guests of which share them.
        "subnets" subnets: OneOrMore<Spanned<String>>,
        /// Elastic IPs, for what comes from and goes to the outside.
        "elasticIps" elastic_ips: OneOrMore<Spanned<String>>,
        /// What reaches them.
        "ingress" ingress: Vec<Spanned<RateRule>>,
        /// What they send.
        "egress" egress: Vec<Spanned<RateRule>>,
    }
}

declare! {
    /// Some packets, and what is done with them.
    pub(crate) struct RateRule "a rule of a QoS policy" {
        /// What they carry.
        "protocol" protocol: Option<Word<Protocol>> = "any",
        /// The ports that they go to: `443`, `8000-8080`.
        "ports" ports: OneOrMore<Ports> = "all",
        /// The ports that they come from.
        "sourcePorts" source_ports: OneOrMore<Ports> = "all",
        /// Who is at the other end.
        "cidrs" cidrs: OneOrMore<Cidr> = "everybody",
        /// Kilobits a second; what is more is dropped.
        "rate" rate: Option<Int<1, 4_294_967_295>> = "unlimited",
        /// Kilobits that may come at once.
        "burst" burst: Option<Int<1, 4_294_967_295>> = "those of a second",
        /// The mark that they get in their IP header.
        "dscp" dscp: Option<Int<0, 63>> = "the one that they have",
    }
}

/// The policy; what it is for is still names.
pub(super) fn policy(said: Declared<QosPolicy>, lists: &PrefixLists, sink: &mut Sink) -> qos::Declared {
    let spec = said.spec;
    let mut targets: Vec<Target> = spec.interfaces.0.into_iter().map(Target::Interface).collect();
    targets.extend(spec.subnets.0.into_iter().map(Target::Subnet));
    targets.extend(spec.elastic_ips.0.into_iter().map(|name| Target::ElasticIp(ELASTIC_IP, name)));
    if targets.is_empty() && said.whole {
        let message = format!("QosPolicy `{}` is for nothing", said.name);
        sink.push(
            Diagnostic::new(Code::MissingField, said.name.span, message)
                .help("add `networkInterfaces`, `subnets` or `elasticIps`"),
        );
    }
    let mut rules = Vec::new();
    for (direction, said) in [(Direction::ToGuest, spec.ingress), (Direction::FromGuest, spec.egress)] {
        for rule in said {
            rules.extend(of_rule(rule, direction, lists, sink));
        }
    }
    qos::Declared { kind: "QosPolicy", name: said.name, targets, rules, binding: None }
}

fn of_rule(
    said: Spanned<RateRule>,
    direction: Direction,
    lists: &PrefixLists,
    sink: &mut Sink,
) -> Option<QosRule> {
    let Spanned { value: rule, span } = said;
    let mut packets = Vec::new();
    let written = Written {
        span,
        direction,
        priority: Spanned::new(0, span),
        protocol: rule.protocol,
        ports: rule.ports,
        source_ports: rule.source_ports,
        cidrs: rule.cidrs,
        groups: OneOrMore(Vec::new()),
        action: None,
        log: None,
    };
    written.expand(lists, sink, &mut packets);
    let (rate, burst, dscp) = (rule.rate.map(|n| n.0), rule.burst.map(|n| n.0), rule.dscp.map(|n| n.0));
    let missing = match (&rate, &burst, &dscp) {
        (None, Some(burst), _) => {
            Some((burst.span, "a `burst` without a `rate` limits nothing", "add `rate`"))
        }
        (None, None, None) => {
            Some((span, "a rule of a QoS policy says nothing of its packets", "add `rate`, or `dscp`"))
        }
        _ => None,
    };
    if let Some((span, message, help)) = missing {
        sink.push(Diagnostic::new(Code::MissingField, span, message).help(help));
        return None;
    }
    Some(QosRule { span, direction, packets, rate, burst, dscp })
}
