//! `kubeovn.io/v1` Vlan and ProviderNetwork: how a bridged subnet reaches a physical network.
//!
//! A Vlan gives a subnet's localnet port its tag and network name. A ProviderNetwork is about bridges on
//! nodes and makes no row. Refuses to configure nodes.

use crate::diag::{Code, Diagnostic, Sink};
use crate::source::fields::owned;
use crate::source::object::Object;
use crate::span::Spanned;

/// A VLAN of a physical network.
pub(crate) struct Vlan {
    pub(crate) name: Spanned<String>,
    /// 0 for untagged.
    pub(crate) id: Spanned<i64>,
    /// The ProviderNetwork's name.
    pub(crate) provider: Option<Spanned<String>>,
}

/// The VLAN that an object describes.
pub(crate) fn read_vlan(mut object: Object<'_>, sink: &mut Sink) -> Option<Vlan> {
    let mut spec = object.spec("Vlan.spec", sink)?;
    let id = spec.int("id", sink);
    let old_id = spec.int("vlanId", sink);
    let provider = spec.text("provider", sink);
    let old_provider = spec.text("providerInterfaceName", sink);
    if spec.node("provider").or(spec.node("providerInterfaceName")).is_none() {
        spec.report_missing("provider", sink);
    }
    spec.finish(sink);
    object.fields.finish(sink);
    if let Some(id) = id.or(old_id) {
        check_tag(id, 0, sink);
    }
    let id = id.or(old_id).unwrap_or(Spanned::new(0, object.name.span));
    Some(Vlan { name: owned(object.name), id, provider: provider.or(old_provider).map(owned) })
}

/// Reports a tag that does not exist; the least one is 0 where that stands for none.
pub(crate) fn check_tag(id: Spanned<i64>, least: i64, sink: &mut Sink) {
    if !(least..=4094).contains(&id.value) {
        let none = if least == 0 { ", and 0 for none" } else { "" };
        let message = format!("{id} is not a VLAN: tags are 1 – 4094{none}");
        sink.push(Diagnostic::new(Code::VlanRange, id.span, message));
    }
}

/// The name of the physical network that an object describes.
pub(crate) fn read_provider_network(mut object: Object<'_>, sink: &mut Sink) -> Option<Spanned<String>> {
    let mut spec = object.spec("ProviderNetwork.spec", sink)?;
    spec.skip(&[
        "autoCreateVlanSubinterfaces",
        "customInterfaces",
        "defaultInterface",
        "exchangeLinkName",
        "excludeNodes",
        "nodeSelector",
        "preserveVlanInterfaces",
        "vlanInterfaces",
    ]);
    spec.finish(sink);
    object.fields.finish(sink);
    Some(owned(object.name))
}
