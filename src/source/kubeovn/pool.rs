//! `kubeovn.io/v1` IPPool: addresses of a subnet for the workloads that name it, or that live in its namespaces.
//!
//! Refuses to judge addresses.

use std::net::IpAddr;

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{AddressRange, DEFAULT_SUBNETS};
use crate::source::declare::{Form, Take, declare};
use crate::source::fields::{network_or_address, owned, part, range, text_of};
use crate::source::object::Object;
use crate::source::pools::{Declared, Said};
use crate::source::values::Flag;
use crate::source::yaml::Node;
use crate::span::Spanned;

declare! {
    /// Addresses of a Subnet that only workloads get which name it in their annotation `ip_pool`, or live in its namespaces.
    pub(crate) struct IpPool "IPPool.spec" {
        /// The Subnet.
        "subnet" subnet: Option<Spanned<String>> = "ovn-default",
        /// The namespaces whose workloads get an address of it.
        "namespaces" namespaces: Vec<Spanned<String>>,
        /// The addresses: one, a prefix, or `10.0.1.16..10.0.1.31`.
        "ips" ips: Vec<Addresses>,
        /// Whether matches can name them: `$pool`, with dots in place of `-`; `$pool.ip4` and `$pool.ip6` where it has both families.
        "enableAddressSet" set: Flag = "false",
    }
}

/// An address, the first and the last of several, or all of a prefix.
#[derive(Debug)]
pub(crate) struct Addresses(Spanned<AddressRange>);

impl Take for Addresses {
    fn form() -> Form {
        Form::Text
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Addresses> {
        let text = text_of(node, name, sink)?.map(str::trim);
        if !text.value.contains('/') {
            return range(text, &format!("`{name}`"), sink).map(Addresses);
        }
        let net = network_or_address(text, &format!("`{name}`"), sink)?;
        Some(Addresses(net.map(|net| AddressRange { first: net.network(), last: net.broadcast() })))
    }
}

/// The pool that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let n_errors = sink.n_errors();
    let said: IpPool = object.declared(sink)?;
    let name = object.name.map(str::to_owned);
    if said.ips.is_empty() && sink.n_errors() == n_errors {
        let message = format!("IPPool `{name}` has no addresses");
        sink.push(Diagnostic::new(Code::MissingField, name.span, message).help("add `ips`"));
    }
    let by_default = || Spanned::new(DEFAULT_SUBNETS[0].to_owned(), name.span);
    Some(Declared {
        subnet: said.subnet.unwrap_or_else(by_default),
        namespaces: said.namespaces.into_iter().map(|name| name.value).collect(),
        ranges: said.ips.into_iter().map(|addresses| addresses.0).collect(),
        set: said.set.0,
        name,
    })
}

/// What the annotation `ip_pool` says: the name of a pool, or addresses.
pub(super) fn of_interface(text: Spanned<&str>, sink: &mut Sink) -> Said {
    let items = || text.value.split([',', ';']).map(str::trim).filter(|item| !item.is_empty());
    if items().any(|item| item.parse::<IpAddr>().is_err() && !item.contains("..")) {
        return Said::Pool(owned(text));
    }
    let ranges = items().filter_map(|item| range(part(text, item), "`ip_pool`", sink)).collect();
    Said::Ranges(text.span, ranges)
}
