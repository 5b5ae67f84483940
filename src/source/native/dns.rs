//! `northc.io/v1alpha1` DnsZone: names that OVN answers for.
//!
//! A name is a host's: letters, digits, `-` and `_` between dots. Refuses wildcards, which OVN does not look up.

use std::net::IpAddr;

use super::Declared;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, DnsRecord, Model, PortId, SubnetId};
use crate::source::declare::{OneOrMore, declare};
use crate::source::resolve::{SubnetNames, unique};
use crate::span::{Span, Spanned};

declare! {
    /// Names that OVN answers for, whichever server a guest asks. Guests that ask for their address by DHCP are told the gateway as their server, where nobody says another.
    pub(crate) struct DnsZone "DnsZone.spec" {
        /// What names of records end with, unless they end with a dot.
        "domain" domain: Option<Spanned<String>> = "the zone's name",
        /// The Vpcs whose guests are answered.
        "vpcs" vpcs: OneOrMore<Spanned<String>>,
        /// Further Subnets whose guests are.
        "subnets" subnets: OneOrMore<Spanned<String>>,
        /// The names.
        "records" records: Vec<Spanned<Record>>,
        /// Whether every interface of these subnets is among them, by its own name.
        "interfaces" interfaces: Option<Spanned<bool>> = "false",
        /// Whether addresses lead back to names.
        "reverse" reverse: Option<Spanned<bool>> = "true",
        /// Whether a question for a name's other family, of which it has no address, is refused at once, and not left to a server. Needs OVN 24.03.
        "authoritative" authoritative: Option<Spanned<bool>> = "false",
    }
}

declare! {
    /// A name and what it stands for.
    pub(crate) struct Record "a record" {
        /// The name: `db`, or `db.example.org.` with a dot at its end for one of another domain.
        "name" name: Spanned<String>,
        /// Addresses.
        "addresses" addresses: OneOrMore<Spanned<IpAddr>>,
        /// Interfaces, for their addresses.
        "networkInterfaces" interfaces: OneOrMore<Spanned<String>>,
    }
}

/// RFC 1035 §2.3.4.
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 253;

/// The zones by name, with everything that they name.
pub(super) fn zones(
    declared: Vec<Declared<DnsZone>>,
    names: &SubnetNames,
    model: &Model,
    sink: &mut Sink,
) -> Vec<model::DnsZone> {
    let declared = unique("DnsZone", declared, |d| &d.name.value, |d| Some(d.name.span), sink);
    declared.into_iter().map(|said| zone(said, names, model, sink)).collect()
}

fn zone(said: Declared<DnsZone>, names: &SubnetNames, model: &Model, sink: &mut Sink) -> model::DnsZone {
    let spec = &said.spec;
    let subnets = subnets(&said, names, model, sink);
    let domain = spec.domain.as_ref().unwrap_or(&said.name);
    let is_domain_good = is_name(domain, sink);
    let mut records = Vec::new();
    for record in spec.records.iter().filter(|_| is_domain_good) {
        let mut ports: Vec<PortId> = Vec::new();
        ports.extend(record.value.interfaces.0.iter().filter_map(|name| names.interface(name, model, sink)));
        let addresses: Vec<IpAddr> = record.value.addresses.0.iter().map(|address| address.value).collect();
        if addresses.is_empty() && record.value.interfaces.0.is_empty() && said.whole {
            let message = format!("the record of `{}` has no address", record.value.name);
            sink.push(
                Diagnostic::new(Code::MissingField, record.span, message)
                    .help("add `addresses`, or `networkInterfaces`"),
            );
        }
        let name = qualified(&record.value.name, domain);
        records.extend(record_of(record.span, name, addresses, ports, sink));
    }
    let joins = spec.interfaces.as_ref().is_some_and(|on| on.value);
    for (id, port) in model.ports().filter(|_| joins && is_domain_good) {
        if subnets.binary_search(&port.subnet).is_ok() {
            let name = Spanned::new(format!("{}.{domain}", port.name), port.span);
            records.extend(record_of(port.span, name, Vec::new(), vec![id], sink));
        }
    }
    model::DnsZone {
        domain: domain.value.trim_end_matches('.').to_ascii_lowercase(),
        subnets,
        reverse: spec.reverse.as_ref().is_none_or(|on| on.value),
        authoritative: spec.authoritative.as_ref().filter(|on| on.value).map(|on| on.span),
        records,
        name: said.name,
    }
}

/// Those of the VPCs, and further ones; each once.
fn subnets(said: &Declared<DnsZone>, names: &SubnetNames, model: &Model, sink: &mut Sink) -> Vec<SubnetId> {
    let (vpcs, named) = (&said.spec.vpcs.0, &said.spec.subnets.0);
    if vpcs.is_empty() && named.is_empty() && said.whole {
        let message = format!("nobody is answered by DnsZone `{}`", said.name);
        sink.push(
            Diagnostic::new(Code::MissingField, said.name.span, message).help("add `vpcs`, or `subnets`"),
        );
    }
    let who = format!("DnsZone `{}`", said.name);
    let mut subnets: Vec<SubnetId> = Vec::new();
    for name in vpcs {
        let Some(vpc) = names.vpc_of(format_args!("{who}"), name, model, sink) else { continue };
        subnets.extend(model.subnets().filter(|(_, subnet)| subnet.vpc == vpc).map(|(id, _)| id));
    }
    subnets.extend(named.iter().filter_map(|name| names.find(name, &who, sink)));
    subnets.sort_unstable();
    subnets.dedup();
    subnets
}

/// The whole name of a record.
fn qualified(name: &Spanned<String>, domain: &Spanned<String>) -> Spanned<String> {
    let whole = match name.value.strip_suffix('.') {
        Some(whole) => whole.to_owned(),
        None => format!("{name}.{}", domain.value.trim_end_matches('.')),
    };
    Spanned::new(whole, name.span)
}

fn record_of(
    span: Span,
    name: Spanned<String>,
    addresses: Vec<IpAddr>,
    ports: Vec<PortId>,
    sink: &mut Sink,
) -> Option<DnsRecord> {
    is_name(&name, sink).then(|| DnsRecord { span, name: name.value.to_ascii_lowercase(), addresses, ports })
}

/// Whether a host can have the name (RFC 1123 §2.1, and `_`, as services have it); one that can't is reported.
fn is_name(name: &Spanned<String>, sink: &mut Sink) -> bool {
    let text = name.value.strip_suffix('.').unwrap_or(&name.value);
    let is_label = |label: &str| {
        let sound = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        sound && (1..=LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let wrong = text.split('.').find(|label| !is_label(label));
    if wrong.is_none() && text.len() <= NAME_MAX {
        return true;
    }
    let message = match wrong {
        Some(label) => format!("`{name}` is no name to ask for: `{label}` can't be a part of one"),
        None => format!("`{name}` is longer than {NAME_MAX} characters"),
    };
    let diagnostic = Diagnostic::new(Code::DnsName, name.span, message);
    sink.push(if wrong == Some("*") {
        diagnostic.help("OVN looks names up as they are asked for: write each of them")
    } else {
        diagnostic.help("parts have 1 to 63 letters, digits, `-` and `_`, with dots between them")
    });
    false
}
