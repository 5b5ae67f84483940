//! Policies of both dialects: names to what they are for.
//!
//! Kube-OVN's kind is named by its targets; northc's names them. Refuses to judge rates.

use super::kubeovn::natgateway::{NatEip, NatGateway};
use super::outside::{self, NAT_EIP, NAT_EXTERNAL, PublicAddresses};
use super::resolve::{SubnetNames, find_port, find_vpc, suggest, unique};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Model, Public, QosPolicy, QosRule, QosTarget};
use crate::span::Spanned;

/// Kube-OVN's kind.
pub(super) const KUBEOVN: &str = "QoSPolicy";

/// A policy, names as written.
pub(super) struct Declared {
    pub(super) kind: &'static str,
    pub(super) name: Spanned<String>,
    pub(super) targets: Vec<Target>,
    pub(super) rules: Vec<QosRule>,
    /// For Kube-OVN's kind: whether it is for gateways rather than addresses, and whether for several.
    pub(super) binding: Option<Binding>,
}

/// For whom a policy of Kube-OVN is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) for_gateways: bool,
    pub(super) is_shared: bool,
}

/// Something that a policy is for.
pub(super) enum Target {
    Interface(Spanned<String>),
    /// The interface that says so itself, if it has a place here.
    Itself(Spanned<String>),
    Subnet(Spanned<String>),
    /// Of a kind of public addresses.
    ElasticIp(&'static str, Spanned<String>),
    /// The VPC and the networks of a VpcNatGateway.
    NatGateway(Spanned<String>, Vec<Spanned<String>>),
}

/// What names a policy of Kube-OVN.
pub(super) struct Bound {
    policy: Spanned<String>,
    target: Target,
    for_gateways: bool,
}

/// The public addresses and gateways that name a policy.
pub(super) fn bound(outside: &outside::Declared) -> Vec<Bound> {
    let of_eip = |it: &NatEip| {
        let target = Target::ElasticIp(NAT_EIP, it.eip.name.clone());
        Some(Bound { policy: it.qos.clone()?, target, for_gateways: false })
    };
    let of_gateway = |it: &NatGateway| {
        let by_default = || vec![Spanned::new(NAT_EXTERNAL.to_owned(), it.name.span)];
        let externals = if it.externals.is_empty() { by_default() } else { it.externals.clone() };
        let target = Target::NatGateway(it.vpc.clone(), externals);
        Some(Bound { policy: it.qos.clone()?, target, for_gateways: true })
    };
    let eips = outside.nat_eips.iter().filter_map(of_eip);
    eips.chain(outside.nat_gateways.iter().filter_map(of_gateway)).collect()
}

/// The policies by name. What dangles is reported and left out.
pub(super) fn resolve(
    declared: Vec<Declared>,
    bound: Vec<Bound>,
    public: &PublicAddresses,
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) {
    let (kubeovn, native): (Vec<_>, Vec<_>) = declared.into_iter().partition(|it| it.binding.is_some());
    let mut kubeovn = unique(KUBEOVN, kubeovn, |it| &it.name.value, |it| Some(it.name.span), sink);
    let native = unique("QosPolicy", native, |it| &it.name.value, |it| Some(it.name.span), sink);
    for bound in bound {
        bind(bound, &mut kubeovn, names, sink);
    }
    for declared in kubeovn.iter().filter(|it| it.targets.is_empty()) {
        let message = format!("QoSPolicy `{}` has no effect here: nothing names it", declared.name);
        sink.push(Diagnostic::new(Code::FieldWithoutEffect, declared.name.span, message));
    }
    let mut policies = Vec::new();
    for declared in native.into_iter().chain(kubeovn) {
        let who = format!("{} {}", declared.kind, declared.name);
        let mut targets: Vec<Spanned<QosTarget>> = Vec::new();
        for target in &declared.targets {
            targets.extend(find(target, &who, public, names, model, sink));
        }
        targets.sort_by_key(|target| target.value);
        targets.dedup_by_key(|target| target.value);
        policies.push(QosPolicy { name: who, span: declared.name.span, targets, rules: declared.rules });
    }
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    model.qos_policies = policies;
}

/// Gives a policy of Kube-OVN to what names it.
fn bind(bound: Bound, policies: &mut [Declared], names: &SubnetNames, sink: &mut Sink) {
    let (name, span) = (&bound.policy.value, bound.policy.span);
    let Some(at) = policies.iter().position(|policy| policy.name.value == *name) else {
        if !names.may_exist(KUBEOVN, name) {
            let message = format!("there is no QoSPolicy `{name}` in the input");
            let known = policies.iter().map(|policy| policy.name.value.as_str());
            sink.push(suggest(Diagnostic::new(Code::UnknownObject, span, message), name, known));
        }
        return;
    };
    let policy = &mut policies[at];
    let Some(binding) = policy.binding else { return };
    if binding.for_gateways != bound.for_gateways {
        let (is, meets) = if bound.for_gateways { ("EIP", "a gateway") } else { ("NATGW", "an address") };
        let message = format!("QoSPolicy `{name}` is of type {is}, and {meets} names it");
        sink.push(
            Diagnostic::new(Code::BadValue, span, message)
                .label(policy.name.span, format!("`bindingType: {is}`")),
        );
        return;
    }
    if !binding.is_shared && !policy.targets.is_empty() {
        let message = format!("QoSPolicy `{name}` is not shared, and named twice");
        sink.push(
            Diagnostic::new(Code::QosTwice, span, message)
                .label(policy.name.span, "declared here")
                .help("set `shared: true`: each that names it has the whole rate to itself"),
        );
    }
    policy.targets.push(bound.target);
}

fn find(
    target: &Target,
    who: &str,
    public: &PublicAddresses,
    names: &SubnetNames,
    model: &Model,
    sink: &mut Sink,
) -> Vec<Spanned<QosTarget>> {
    match target {
        Target::Interface(name) => {
            let id = names.interface(name, model, sink);
            id.map(|id| Spanned::new(QosTarget::Port(id), name.span)).into_iter().collect()
        }
        Target::Itself(name) => {
            let id = find_port(model, &name.value);
            id.map(|id| Spanned::new(QosTarget::Port(id), name.span)).into_iter().collect()
        }
        Target::Subnet(name) => {
            let id = names.find(name, who, sink);
            id.map(|id| Spanned::new(QosTarget::Subnet(id), name.span)).into_iter().collect()
        }
        Target::ElasticIp(kind, name) => {
            let found = outside::find_public(public, kind, name, who, names, sink);
            let target = found.map(|public| match public {
                Public::ElasticIp(id) => QosTarget::ElasticIp(id),
                Public::Gateway(id) => QosTarget::Gateway(id),
            });
            target.map(|target| Spanned::new(target, name.span)).into_iter().collect()
        }
        Target::NatGateway(vpc, externals) => {
            let vpc_id = find_vpc(&model.vpcs, &vpc.value);
            let gateway = |external: &Spanned<String>| {
                let id = model.gateway_on(vpc_id?, names.known(&external.value)?)?;
                Some(Spanned::new(QosTarget::Gateway(id), vpc.span))
            };
            externals.iter().filter_map(gateway).collect()
        }
    }
}
