//! The kinds of Kube-OVN, KubeVirt and Kubernetes that describe a VPC: one file each.
//!
//! Tolerant of status and server defaults, strict in spec: every field is lowered, or answered with
//! a diagnostic. Refuses to resolve names; `resolve` does.

pub(crate) mod balancer;
pub(crate) mod dns;
pub(crate) mod egress;
pub(crate) mod ip;
pub(crate) mod nat;
pub(crate) mod natgateway;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod pool;
pub(crate) mod qos;
pub(crate) mod security_group;
pub(crate) mod subnet;
pub(crate) mod underlay;
pub(crate) mod vip;
pub(crate) mod vpc;
pub(crate) mod workload;

use super::declare::Words;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::Transport;
use crate::span::Span;

/// Why fields about Kubernetes' pods have no effect.
const KUBERNETES_PODS: &str = "it tells Kubernetes where to put pods, which is not OVN's business";

/// A transport, in small letters or in capitals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyCase(Transport);

impl Words for AnyCase {
    const WORDS: &'static [(&'static str, AnyCase)] = &[
        ("tcp", AnyCase(Transport::Tcp)),
        ("udp", AnyCase(Transport::Udp)),
        ("sctp", AnyCase(Transport::Sctp)),
        ("TCP", AnyCase(Transport::Tcp)),
        ("UDP", AnyCase(Transport::Udp)),
        ("SCTP", AnyCase(Transport::Sctp)),
    ];
}

/// Answers a field that no row of OVN follows from.
pub(super) fn no_effect(span: Span, field: &str, why: &str, sink: &mut Sink) {
    let message = format!("`{field}` has no effect here");
    sink.push(Diagnostic::new(Code::FieldWithoutEffect, span, message).note(why));
}

/// Answers a field whose rows this version does not write.
pub(super) fn not_yet(span: Span, field: &str, so: &str, sink: &mut Sink) {
    let message = format!("`{field}` is not lowered by this version of northc");
    sink.push(Diagnostic::new(Code::NotYet, span, message).note(so));
}
