//! `kubeovn.io/v1` VpcNatGateway, IptablesEIP, IptablesFIPRule, IptablesSnatRule, IptablesDnatRule.
//!
//! Kube-OVN runs a pod that translates with the kernel's tables. Here OVN itself does it: the gateway is one of
//! the VPC's router, `lanIp` as a next hop stands for the external network's own gateway, and the rules are
//! those of an OvnEip. What is about the pod has no effect. Refuses to resolve names.

use std::net::IpAddr;

use ipnet::IpNet;

use super::nat::{Eip, EipType, Rule, Said, Translation, forward};
use super::{no_effect, not_yet};
use crate::diag::Sink;
use crate::source::fields::{Fields, address, choice, mac, network_or_address, owned};
use crate::source::object::Object;
use crate::span::Spanned;

/// A NAT gateway whose names are not resolved yet.
pub(crate) struct NatGateway {
    pub(crate) name: Spanned<String>,
    pub(crate) vpc: Spanned<String>,
    /// A next hop that stands for this gateway.
    pub(crate) lan_ip: Option<Spanned<IpAddr>>,
    /// The networks that it leads to.
    pub(crate) externals: Vec<Spanned<String>>,
}

/// A public address of a NAT gateway.
pub(crate) struct NatEip {
    /// Its external network is absent where the gateway says it.
    pub(crate) eip: Eip,
    /// The NAT gateway's name.
    pub(crate) gateway: Spanned<String>,
}

/// The gateway that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<NatGateway> {
    let mut spec = object.spec("VpcNatGateway.spec", sink)?;
    let vpc = spec.required("vpc", sink);
    let lan_ip = spec.text("lanIp", sink).and_then(|text| address(text, "`lanIp`", sink));
    let externals = spec.texts("externalSubnets", sink).into_iter().map(owned).collect();
    answer_others(&mut spec, sink);
    spec.finish(sink);
    object.fields.finish(sink);
    Some(NatGateway { name: owned(object.name), vpc: owned(vpc?), lan_ip, externals })
}

/// What is about the pod, and what no row follows from.
fn answer_others(spec: &mut Fields<'_>, sink: &mut Sink) {
    spec.skip(&[
        "affinity",
        "annotations",
        "namespace",
        "noDefaultEIP",
        "replicas",
        "selector",
        "subnet",
        "tolerations",
    ]);
    if let Some(policy) = spec.text("qosPolicy", sink) {
        not_yet(policy.span, "qosPolicy", "the gateway's traffic is not limited", sink);
    }
    for (name, what) in [("bgpSpeaker", "VpcNatGateway.spec.bgpSpeaker"), ("bfd", "VpcNatGateway.spec.bfd")] {
        let Some(mut part) = spec.map(name, what, sink) else { continue };
        if let Some(span) = part.flag("enabled", sink) {
            no_effect(span, name, "it is about the pod, and OVN itself does its work", sink);
        }
        part.skip(&["asn", "enableGracefulRestart", "extraArgs", "holdTime", "minRX", "minTX", "multiplier"]);
        part.skip(&["neighbors", "password", "remoteAsn", "routerId"]);
        part.finish(sink);
    }
    for name in ["internalSubnets", "internalCIDRs"] {
        if let Some(first) = spec.texts(name, sink).first() {
            no_effect(first.span, name, "the VPC's routes say what goes to the gateway", sink);
        }
    }
    if let Some(first) = spec.list("routes", sink).first() {
        no_effect(first.span, "routes", "they are the pod's; the VPC's routes say what goes where", sink);
    }
}

/// The public address that an IptablesEIP describes.
pub(crate) fn read_eip(mut object: Object<'_>, sink: &mut Sink) -> Option<NatEip> {
    let mut spec = object.spec("IptablesEIP.spec", sink)?;
    let gateway = spec.required("natGwDp", sink);
    let external = spec.text("externalSubnet", sink);
    let texts = [spec.text("v4ip", sink), spec.text("v6ip", sink)];
    let mac = spec.text("macAddress", sink).and_then(|text| mac(text, sink));
    if let Some(policy) = spec.text("qosPolicy", sink) {
        not_yet(policy.span, "qosPolicy", "the address's traffic is not limited", sink);
    }
    spec.skip(&["namespace"]);
    spec.finish(sink);
    object.fields.finish(sink);
    let addresses = texts.into_iter().flatten().filter_map(|t| address(t, "an IptablesEIP", sink)).collect();
    let kind = Spanned::new(EipType::Nat, object.name.span);
    let eip = Eip { name: owned(object.name), kind, external: external.map(owned), mac, addresses };
    Some(NatEip { eip, gateway: owned(gateway?) })
}

/// The floating IP that an IptablesFIPRule describes.
pub(crate) fn read_fip(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let mut spec = object.spec("IptablesFIPRule.spec", sink)?;
    let inside = host(&mut spec, "internalIp", sink);
    let what = Translation::Floating { distributed: Some(Spanned::new(false, object.name.span)) };
    rule("IptablesFIPRule", object, spec, inside, Some(what), sink)
}

/// The translation of sources that an IptablesSnatRule describes.
pub(crate) fn read_snat(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let mut spec = object.spec("IptablesSnatRule.spec", sink)?;
    let text = spec.required("internalCIDR", sink);
    let inside = text.and_then(|text| network_or_address(text, "`internalCIDR`", sink));
    rule("IptablesSnatRule", object, spec, inside, Some(Translation::Source), sink)
}

/// The port forward that an IptablesDnatRule describes.
pub(crate) fn read_dnat(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let mut spec = object.spec("IptablesDnatRule.spec", sink)?;
    let inside = host(&mut spec, "internalIp", sink);
    let what = forward(&mut spec, sink);
    if let Some(kind) = spec.text("type", sink) {
        let known = [("exclusive", false), ("share", true)];
        if choice(kind, "type", &known, sink) == Some(true) {
            not_yet(kind.span, "type", "a port leads to one place, so a second rule for it is refused", sink);
        }
    }
    rule("IptablesDnatRule", object, spec, inside, what, sink)
}

fn host(spec: &mut Fields<'_>, name: &'static str, sink: &mut Sink) -> Option<Spanned<IpNet>> {
    let text = spec.required(name, sink)?;
    Some(address(text, &format!("`{name}`"), sink)?.map(IpNet::from))
}

/// What the kinds have in common.
fn rule(
    kind: &'static str,
    object: Object<'_>,
    mut spec: Fields<'_>,
    inside: Option<Spanned<IpNet>>,
    what: Option<Translation>,
    sink: &mut Sink,
) -> Option<Rule> {
    let eip = spec.required("eip", sink);
    spec.finish(sink);
    object.fields.finish(sink);
    let inside = Said::Given(vec![inside?]);
    Some(Rule { kind, name: owned(object.name), eip: owned(eip?), vpc: None, inside, what: what? })
}
