//! `northc.io/v1alpha1` NetworkInterface: a machine's port on a subnet.
//!
//! Its name is the port's name, which hypervisors plug the machine in under (`iface-id`). It sends from its own
//! addresses alone unless it says otherwise. Refuses what is inside the guest.

use std::net::IpAddr;

use super::Declared;
use super::subnet::Dhcp;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Few, Mac, OwnOptions, Owner, PortDhcp, Setting, Told};
use crate::source::declare::{Cidr, OneOrMore, Settings, Switch, Word, Words, declare};
use crate::source::kubeovn::workload::Interface;
use crate::source::object::Object;
use crate::source::pools::Said;
use crate::span::{Span, Spanned};

declare! {
    /// A machine's port on a subnet. Its name is what hypervisors plug the machine in under (`iface-id`).
    pub(crate) struct NetworkInterface "NetworkInterface.spec" {
        /// The Subnet that it is plugged into.
        "subnet" subnet: Spanned<String>,
        /// Its addresses, at most one of each family.
        "addresses" addresses: OneOrMore<Spanned<IpAddr>> = "the lowest that are free",
        /// The IpPool that addresses come from.
        "pool" pool: Option<Spanned<String>> = "all of the Subnet",
        /// Its Ethernet address.
        "mac" mac: Option<Spanned<Mac>> = "derived from the name",
        /// Whether it may only send from its own addresses and the allowed ones.
        "portSecurity" port_security: Option<Spanned<bool>> = "true",
        /// Further addresses that it may send from, as a router or a holder of a shared address does.
        "allowedAddressPairs" allowed_pairs: OneOrMore<Cidr>,
        /// The SecurityGroups that it joins: closed then, but for what their rules let pass.
        "securityGroups" groups: OneOrMore<Spanned<String>> = "none: open",
        /// Whether it forwards frames for others, so that unknown destinations go to it.
        "layer2Forward" forwards: Option<Spanned<bool>> = "false",
        /// Whether the guest has a default route by other means than DHCP and advertisements.
        "guestDefaultRoute" guest_default_route: Option<Spanned<bool>> = "false",
        /// The chassis that it may be bound to; two during a migration, the present one first.
        "requestedChassis" requested_chassis: OneOrMore<Spanned<String>> = "whichever plugs it in",
        /// Whether it is told its address when it asks; options over those of its Subnet where it is a mapping.
        "dhcp" dhcp: Option<Box<Switch<Dhcp>>> = "as its Subnet",
        /// When it works on a further chassis: at once, or when the guest has announced itself there by RARP.
        "activation" activation: Option<Word<Activation>> = "at-once",
    }
}

/// When a port works on a further chassis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    /// As soon as it is plugged in there.
    AtOnce,
    /// When the guest has sent a RARP packet there.
    Rarp,
}

impl Words for Activation {
    const WORDS: &'static [(&'static str, Activation)] =
        &[("at-once", Activation::AtOnce), ("rarp", Activation::Rarp)];
}

/// The interface; its subnet is still a name.
pub(crate) fn read(object: Object<'_>, sink: &mut Sink) -> Option<Interface> {
    let said: Declared<NetworkInterface> = super::read(object, sink)?;
    let spec = said.spec;
    let is_on = |field: &Option<Spanned<bool>>| field.as_ref().is_some_and(|on| on.value);
    for chassis in spec.requested_chassis.0.iter().filter(|chassis| chassis.value.contains(',')) {
        let message = format!("`{chassis}` can't be a chassis: OVN puts commas between their names");
        sink.push(
            Diagnostic::new(Code::BadName, chassis.span, message)
                .help("write several chassis as a list: `requestedChassis: [hv1, hv2]`"),
        );
    }
    Some(Interface {
        owner: Owner::Itself,
        port: said.name.value,
        span: said.name.span,
        namespace: String::new(),
        labels: said.labels.into(),
        network: None,
        subnet: Some(spec.subnet),
        mac: spec.mac,
        addresses: spec.addresses.0,
        is_machine: true,
        port_security: spec.port_security.is_none_or(|on| on.value),
        forwards: is_on(&spec.forwards),
        groups: spec.groups.0,
        aaps: Few::default(),
        port_vips: Few::default(),
        allowed_pairs: spec.allowed_pairs.0.into(),
        guest_addresses: Few::default(),
        guest_default_route: is_on(&spec.guest_default_route),
        requested_chassis: spec.requested_chassis.0.into(),
        activated: spec.activation.filter(|word| word.0.value == Activation::Rarp).map(|word| word.0.span),
        dhcp: told(spec.dhcp),
        rates: None,
        pool: spec.pool.map(|name| Box::new(Said::Pool(name))),
    })
}

fn told(said: Option<Box<Switch<Dhcp>>>) -> PortDhcp {
    let own = |span: Span, settings: Vec<Setting>| {
        Told::Own(Box::new(OwnOptions { span, over_subnet: true, settings }))
    };
    let of_family = |span: Span, said: Option<Spanned<Settings>>| match said {
        Some(said) => own(said.span, said.value.0),
        None => own(span, Vec::new()),
    };
    match said.map(|said| *said) {
        None => PortDhcp::default(),
        Some(Switch::Off) => PortDhcp { v4: Told::Nothing, v6: Told::Nothing },
        Some(Switch::On(span)) => PortDhcp { v4: own(span, Vec::new()), v6: own(span, Vec::new()) },
        Some(Switch::With(said)) => {
            let (span, said) = (said.span, said.value);
            PortDhcp { v4: of_family(span, said.v4), v6: of_family(span, said.v6) }
        }
    }
}
