//! `kubeovn.io/v1` Vlan and ProviderNetwork: how a bridged subnet reaches a physical network.
//!
//! A Vlan gives a subnet's localnet port its tag and network name. A ProviderNetwork is about bridges on
//! nodes and makes no row. Refuses to configure nodes.

use crate::diag::{Code, Diagnostic, Sink};
use crate::source::declare::{Int, Mapping, declare};
use crate::source::fields::missing;
use crate::source::object::Object;
use crate::source::values::{Anything, Whole};
use crate::span::Spanned;

declare! {
    /// A VLAN of a physical network, for bridged subnets.
    pub(crate) struct VlanSpec "Vlan.spec" {
        /// The 802.1Q tag; 0 for none.
        "id" id: Option<Int<0, 4094>> = "0",
        /// The ProviderNetwork, whose name chassis map to a bridge (`ovn-bridge-mappings`).
        "provider" provider: Whole<Option<Spanned<String>>>,
        /// An older name of `id`.
        "vlanId" old_id: Option<Int<0, 4094>>,
        /// An older name of `provider`.
        "providerInterfaceName" old_provider: Whole<Option<Spanned<String>>>,
    }
}

/// Why what is about bridges on nodes has no effect.
const BRIDGES: &str =
    "northc configures no nodes: map the network's name to a bridge there (`ovn-bridge-mappings`)";

declare! {
    /// A physical network, by its name.
    pub(crate) struct ProviderNetworkSpec "ProviderNetwork.spec" {}
    unused {
        "defaultInterface" Spanned<String>: Code::FieldWithoutEffect, BRIDGES;
        "customInterfaces" Anything: Code::FieldWithoutEffect, BRIDGES;
        "nodeSelector" Anything: Code::FieldWithoutEffect, BRIDGES;
        "excludeNodes" Vec<Spanned<String>>: Code::FieldWithoutEffect, BRIDGES;
        "exchangeLinkName" Spanned<bool> = "false": Code::FieldWithoutEffect, BRIDGES;
        "autoCreateVlanSubinterfaces" Spanned<bool> = "false": Code::FieldWithoutEffect, BRIDGES;
        "preserveVlanInterfaces" Spanned<bool> = "false": Code::FieldWithoutEffect, BRIDGES;
        "vlanInterfaces" Vec<Spanned<String>>: Code::FieldWithoutEffect, BRIDGES;
    }
}

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
    let said: VlanSpec = object.declared(sink)?;
    let is_whole = said.provider.whole && said.old_provider.whole;
    let provider = said.provider.value.or(said.old_provider.value);
    if provider.is_none() && is_whole {
        sink.push(missing(VlanSpec::WHAT, object.name.span, "provider"));
    }
    let id = said.id.or(said.old_id).map(|id| id.0);
    if let Some(id) = id {
        check_tag(id, 0, sink);
    }
    let id = id.unwrap_or(Spanned::new(0, object.name.span));
    Some(Vlan { name: object.name.map(str::to_owned), id, provider })
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
    let ProviderNetworkSpec {} = object.declared(sink)?;
    Some(object.name.map(str::to_owned))
}
