//! `kubeovn.io/v1` Vip: an address that workloads share.
//!
//! It keeps its address free; where it selects workloads and they name it in their annotation
//! `…/aaps`, it becomes a virtual port that OVN moves between them. Refuses the type that serves
//! Kubernetes' hosts, with a diagnostic.

use std::net::IpAddr;

use super::not_yet;
use crate::diag::Sink;
use crate::source::fields::{address, owned};
use crate::source::object::Object;
use crate::span::Spanned;

/// The type of those that are kept free for a SwitchLBRule, which names the address.
const FOR_BALANCERS: &str = "switch_lb_vip";

/// A virtual address whose names are not resolved yet.
pub(crate) struct Declared {
    pub(crate) name: Spanned<String>,
    pub(crate) subnet: Option<Spanned<String>>,
    /// Workloads of this namespace may hold it; `None` only keeps the address free.
    pub(crate) namespace: Option<String>,
    /// Labels that those workloads carry: key and value.
    pub(crate) selector: Vec<(String, String)>,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
}

/// The virtual address that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let mut spec = object.spec("Vip.spec", sink)?;
    let subnet = spec.required("subnet", sink);
    let namespace = spec.text("namespace", sink);
    let v4 = spec.text("v4ip", sink);
    let v6 = spec.text("v6ip", sink);
    let selector = spec.texts("selector", sink);
    let kind = spec.text("type", sink).filter(|kind| kind.value != FOR_BALANCERS);
    if let Some(kind) = kind {
        not_yet(kind.span, "type", "the address is kept free, and nothing answers for it", sink);
    }
    spec.skip(&["attachSubnets", "macAddress", "parentMac", "parentV4ip", "parentV6ip"]);
    spec.finish(sink);
    object.fields.finish(sink);
    let addresses = v4.into_iter().chain(v6).filter_map(|t| address(t, "a Vip", sink)).collect();
    let selector = selector.into_iter().filter_map(|label| {
        let (key, value) = label.value.split_once(':')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    });
    Some(Declared {
        name: owned(object.name),
        subnet: subnet.map(owned),
        namespace: namespace.map(|n| n.value.to_owned()),
        selector: selector.collect(),
        addresses,
    })
}
