//! `kubeovn.io/v1` OvnEip, OvnFip, OvnSnatRule, OvnDnatRule: public addresses and what is translated to them.
//!
//! | kind | meaning here |
//! |---|---|
//! | OvnEip of type `nat` | an elastic IP |
//! | … of type `lrp` | the address and MAC of the gateway `<vpc>-<externalSubnet>` |
//! | … of type `lsp` | a port on the external network |
//! | OvnFip | a floating IP: one address inside, one outside, both ways |
//! | OvnSnatRule | a subnet, interface or block whose packets get the address as their source |
//! | OvnDnatRule | a port of the address that leads to one inside |
//!
//! What is inside is named by its IP record (`ipName`, the port's name), by a Vip, or by VPC and address.
//! Refuses to resolve names.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Mac, Transport};
use crate::source::fields::{Fields, address, choice, conflict, mac, network_or_address, owned};
use crate::source::object::Object;
use crate::span::{Span, Spanned};

/// What an OvnEip is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EipType {
    /// Translations.
    Nat,
    /// A router's port.
    RouterPort,
    /// A switch's port.
    SwitchPort,
}

/// A public address whose names are not resolved yet.
pub(crate) struct Eip {
    pub(crate) name: Spanned<String>,
    pub(crate) kind: Spanned<EipType>,
    /// The default one where none is named.
    pub(crate) external: Option<Spanned<String>>,
    pub(crate) mac: Option<Spanned<Mac>>,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
}

/// A translation whose names are not resolved yet.
pub(crate) struct Rule {
    /// For messages, and for telling kinds apart in what could not be read.
    pub(crate) kind: &'static str,
    pub(crate) name: Spanned<String>,
    pub(crate) eip: Spanned<String>,
    /// The router that translates, where it is not that of what is inside.
    pub(crate) vpc: Option<Spanned<String>>,
    pub(crate) inside: Said,
    pub(crate) what: Translation,
}

/// What is inside, as it was said.
pub(crate) enum Said {
    Port(Spanned<String>),
    Vip(Spanned<String>),
    Subnet(Spanned<String>),
    Given(Vec<Spanned<IpNet>>),
}

/// What a translation does.
pub(crate) enum Translation {
    Floating {
        /// Where it is said whether the machine's own chassis translates, and whether it does.
        distributed: Option<Spanned<bool>>,
    },
    Source,
    Forward {
        protocol: Transport,
        public_port: Spanned<u16>,
        inside_port: Spanned<u16>,
    },
}

/// The public address that an OvnEip describes.
pub(crate) fn read_eip(mut object: Object<'_>, sink: &mut Sink) -> Option<Eip> {
    let mut spec = object.spec("OvnEip.spec", sink)?;
    let external = spec.text("externalSubnet", sink);
    let texts = [spec.text("v4Ip", sink), spec.text("v6Ip", sink)];
    let mac = spec.text("macAddress", sink).and_then(|text| mac(text, sink));
    let kind = spec.text("type", sink);
    spec.finish(sink);
    object.fields.finish(sink);
    let known = [("nat", EipType::Nat), ("lrp", EipType::RouterPort), ("lsp", EipType::SwitchPort)];
    let kind = match kind {
        None => Spanned::new(EipType::Nat, object.name.span),
        Some(text) => Spanned::new(choice(text, "type", &known, sink)?, text.span),
    };
    let addresses = texts.into_iter().flatten().filter_map(|text| address(text, "an OvnEip", sink)).collect();
    Some(Eip { name: owned(object.name), kind, external: external.map(owned), mac, addresses })
}

/// The floating IP that an OvnFip describes.
pub(crate) fn read_fip(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let mut spec = object.spec("OvnFip.spec", sink)?;
    let eip = spec.required("ovnEip", sink);
    let known = [("distributed", true), ("centralized", false)];
    let distributed = spec.text("type", sink).and_then(|text| {
        let is = choice(text, "type", &known, sink)?;
        Some(Spanned::new(is, text.span))
    });
    let inside = host(&mut spec, sink);
    rule("OvnFip", object, spec, eip, (inside, Some(Translation::Floating { distributed })), sink)
}

/// The translation of sources that an OvnSnatRule describes.
pub(crate) fn read_snat(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let mut spec = object.spec("OvnSnatRule.spec", sink)?;
    let eip = spec.required("ovnEip", sink);
    let subnet = spec.text("vpcSubnet", sink).map(|text| Said::Subnet(owned(text)));
    let port = spec.text("ipName", sink).map(|text| Said::Port(owned(text)));
    let blocks = given(&mut spec, ["v4IpCidr", "v6IpCidr"], sink);
    let inside = one_of([("vpcSubnet", subnet), ("ipName", port), ("v4IpCidr", blocks)], &spec, sink);
    rule("OvnSnatRule", object, spec, eip, (inside, Some(Translation::Source)), sink)
}

/// The port forward that an OvnDnatRule describes.
pub(crate) fn read_dnat(mut object: Object<'_>, sink: &mut Sink) -> Option<Rule> {
    let mut spec = object.spec("OvnDnatRule.spec", sink)?;
    let eip = spec.required("ovnEip", sink);
    let what = forward(&mut spec, sink);
    let inside = host(&mut spec, sink);
    rule("OvnDnatRule", object, spec, eip, (inside, what), sink)
}

/// A rule of which its public address, what is inside and what is done are read: the rest.
fn rule(
    kind: &'static str,
    object: Object<'_>,
    mut spec: Fields<'_>,
    eip: Option<Spanned<&str>>,
    (inside, what): (Option<Said>, Option<Translation>),
    sink: &mut Sink,
) -> Option<Rule> {
    let vpc = spec.text("vpc", sink);
    let inside = in_a_vpc(inside, vpc, &spec, sink);
    spec.finish(sink);
    object.fields.finish(sink);
    Some(Rule {
        kind,
        name: owned(object.name),
        eip: owned(eip?),
        vpc: vpc.map(owned),
        inside: inside?,
        what: what?,
    })
}

/// `protocol`, `externalPort` and `internalPort`.
pub(super) fn forward(spec: &mut Fields<'_>, sink: &mut Sink) -> Option<Translation> {
    let known =
        [("tcp", Transport::Tcp), ("udp", Transport::Udp), ("TCP", Transport::Tcp), ("UDP", Transport::Udp)];
    let protocol = spec.required("protocol", sink).and_then(|text| choice(text, "protocol", &known, sink));
    let public_port = spec.required("externalPort", sink).and_then(|text| port(text, sink));
    let inside_port = spec.required("internalPort", sink).and_then(|text| port(text, sink));
    Some(Translation::Forward { protocol: protocol?, public_port: public_port?, inside_port: inside_port? })
}

fn port(text: Spanned<&str>, sink: &mut Sink) -> Option<Spanned<u16>> {
    let number = text.value.parse().ok().filter(|number| *number > 0);
    if number.is_none() {
        let message = format!("`{text}` is not a port: they are 1 – 65535");
        sink.push(Diagnostic::new(Code::BadValue, text.span, message));
    }
    Some(Spanned::new(number?, text.span))
}

/// One host: an IP record, a Vip, or addresses.
fn host(spec: &mut Fields<'_>, sink: &mut Sink) -> Option<Said> {
    let is_vip = spec.text("ipType", sink).and_then(|text| {
        let known = [("ip", false), ("vip", true)];
        choice(text, "ipType", &known, sink)
    });
    let named = spec.text("ipName", sink).map(owned);
    let named = named.map(|name| if is_vip == Some(true) { Said::Vip(name) } else { Said::Port(name) });
    let addresses = given(spec, ["v4Ip", "v6Ip"], sink);
    one_of([("ipName", named), ("v4Ip", addresses)], spec, sink)
}

/// Addresses, and blocks where the fields take them.
fn given(spec: &mut Fields<'_>, names: [&'static str; 2], sink: &mut Sink) -> Option<Said> {
    let mut nets = Vec::new();
    for name in names {
        let Some(text) = spec.text(name, sink) else { continue };
        nets.extend(if name.ends_with("Cidr") {
            network_or_address(text, &format!("`{name}`"), sink)
        } else {
            address(text, &format!("`{name}`"), sink).map(|address| address.map(IpNet::from))
        });
    }
    (!nets.is_empty()).then_some(Said::Given(nets))
}

/// The one of several ways to say a thing that was taken.
fn one_of<const N: usize>(
    ways: [(&'static str, Option<Said>); N],
    spec: &Fields<'_>,
    sink: &mut Sink,
) -> Option<Said> {
    let names = ways.each_ref().map(|(name, _)| format!("`{name}`")).join(" or ");
    let mut said = ways.into_iter().filter_map(|(name, said)| Some((name, said?)));
    let Some((first, taken)) = said.next() else {
        let message = format!("the rule does not say what is inside: it has no {names}");
        sink.push(Diagnostic::new(Code::MissingField, spec.span, message).help("add one of them"));
        return None;
    };
    if let Some((second, _)) = said.next() {
        let place = |name: &str| spec.key_span(name).unwrap_or(spec.span);
        conflict((first, place(first)), (second, place(second)), sink);
    }
    Some(taken)
}

/// Addresses alone do not say which VPC's they are.
fn in_a_vpc(
    inside: Option<Said>,
    vpc: Option<Spanned<&str>>,
    spec: &Fields<'_>,
    sink: &mut Sink,
) -> Option<Said> {
    if let (Some(Said::Given(_)), None) = (&inside, vpc) {
        spec.report_missing("vpc", sink);
        return None;
    }
    inside
}

/// Where a rule says what is inside.
impl Said {
    pub(crate) fn span(&self, otherwise: Span) -> Span {
        match self {
            Said::Port(name) | Said::Vip(name) | Said::Subnet(name) => name.span,
            Said::Given(nets) => nets.first().map_or(otherwise, |net| net.span),
        }
    }
}
