//! `kubeovn.io/v1` Vip: an address that workloads share.
//!
//! It keeps its address free; where it selects workloads and they name it in their annotation
//! `…/aaps`, it becomes a virtual port that OVN moves between them. Refuses the type that serves
//! Kubernetes' hosts, with a diagnostic.

use std::net::IpAddr;

use super::not_yet;
use crate::diag::{Code, Sink};
use crate::model::Mac;
use crate::source::declare::{Word, Words, declare};
use crate::source::object::Object;
use crate::source::values::Label;
use crate::span::Spanned;

/// Why what Kube-OVN writes there itself has no effect.
const RECORD: &str = "it is Kube-OVN's own record of what it did";

declare! {
    /// An address that workloads share: it is kept free, and those that it selects and that name it in their annotation `aaps` may hold it.
    pub(crate) struct Vip "Vip.spec" {
        /// The Subnet that it is in.
        "subnet" subnet: Spanned<String>,
        /// The namespace of the workloads that may hold it.
        "namespace" namespace: Option<Spanned<String>>,
        /// Its IPv4 address.
        "v4ip" v4: Option<Spanned<IpAddr>> = "a free one",
        /// Its IPv6 address.
        "v6ip" v6: Option<Spanned<IpAddr>> = "a free one",
        /// Labels of the workloads that may hold it, each as `key: value`.
        "selector" selector: Vec<Label>,
        /// `switch_lb_vip` keeps the address free for a SwitchLBRule that names it; `kube_host_vm_vip` is not lowered yet.
        "type" kind: Option<Word<VipType>>,
    }
    unused {
        "attachSubnets" Vec<Spanned<String>>: Code::NotYet, "the address is kept free in `subnet` alone";
        "macAddress" Spanned<Mac>: Code::FieldWithoutEffect, "a virtual address is answered for with the MAC of whoever holds it";
        "parentMac" Spanned<Mac>: Code::FieldWithoutEffect, RECORD;
        "parentV4ip" Spanned<IpAddr>: Code::FieldWithoutEffect, RECORD;
        "parentV6ip" Spanned<IpAddr>: Code::FieldWithoutEffect, RECORD;
    }
}

/// What answers for an address beside the workloads that hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VipType {
    Balancer,
    Host,
}

impl Words for VipType {
    const WORDS: &'static [(&'static str, VipType)] =
        &[("switch_lb_vip", VipType::Balancer), ("kube_host_vm_vip", VipType::Host)];
}

/// A virtual address whose names are not resolved yet.
pub(crate) struct Declared {
    pub(crate) name: Spanned<String>,
    pub(crate) subnet: Spanned<String>,
    /// Workloads of this namespace may hold it; `None` only keeps the address free.
    pub(crate) namespace: Option<String>,
    /// Labels that those workloads carry: key and value.
    pub(crate) selector: Vec<(String, String)>,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
}

/// The virtual address that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let said: Vip = object.declared(sink)?;
    if let Some(Word(kind)) = said.kind.filter(|kind| kind.0.value == VipType::Host) {
        not_yet(kind.span, "type", "the address is kept free, and nothing answers for it", sink);
    }
    Some(Declared {
        name: object.name.map(str::to_owned),
        subnet: said.subnet,
        namespace: said.namespace.map(|name| name.value),
        selector: said.selector.into_iter().map(|label| label.0.value).collect(),
        addresses: said.v4.into_iter().chain(said.v6).collect(),
    })
}
