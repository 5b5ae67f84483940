//! What is behind the physical networks: who is public there, who is private, and who knows a way to whom.
//!
//! Addresses on a physical network are known to everybody there, and taken to be translated or routed by whoever
//! leads from it to the Internet. Elsewhere the Internet knows no way to a private address.
//!
//! Refuses to know machines out there.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::within_any;
use super::header::{Field, IPV4, IPV6};
use super::network::{PortId, RouterId, SwitchId};
use super::set::{Set, Sets};
use super::walk::{Fixed, Flow, Walker, Why};

/// An address that is sent what comes for external ones.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// Those, with the router that translates them.
    pub(super) externals: Vec<(RouterId, IpAddr)>,
    /// The switches on which somebody has the address.
    pub(super) held_on: HashSet<SwitchId>,
}

/// Networks that nobody routes on the Internet (RFC 6890, RFC 4291).
pub(super) const NOT_PUBLIC: [&str; 14] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
    "::/3",
    "4000::/2",
    "8000::/1",
    "2001:db8::/32",
];

/// Headers whose source (`IpSrc`) or destination (`IpDst`) is public.
pub(crate) fn public(sets: &Sets, field: Field) -> Set {
    let v4 = sets.and(sets.value(Field::EthType, IPV4), sets.range(field, 0, u32::MAX.into()));
    let all = sets.or(v4, sets.value(Field::EthType, IPV6));
    let private = NOT_PUBLIC.iter().map(|net| net.parse::<IpNet>().expect("a network"));
    sets.minus(all, within_any(sets, field, private))
}

impl Walker<'_> {
    /// Headers with an address that is on a physical network itself.
    fn physical(&self, field: Field) -> Set {
        self.physical.of(field, || self.find_physical(field))
    }

    fn find_physical(&self, field: Field) -> Set {
        let network = self.network;
        let wired = (0..network.switches.len()).map(SwitchId).filter(|switch| network.is_wired(*switch));
        let nets = wired.flat_map(|switch| {
            let routers = network.routers_on(switch).map(|(_, id)| network.router_port(id));
            let networks = routers.flat_map(|port| port.networks.iter().map(IpNet::trunc));
            let ports = network.switch(switch).ports.iter();
            let guests = ports.flat_map(|id| self.guests.addresses(*id)).map(IpNet::from);
            networks.chain(guests).collect::<Vec<_>>()
        });
        within_any(self.sets, field, nets)
    }

    /// Headers with an address that the Internet knows no way to.
    pub(super) fn private(&self, field: Field) -> Set {
        self.private.of(field, || {
            let known = self.sets.or(public(self.sets, field), self.physical(field));
            let families = [IPV4, IPV6].map(|family| self.sets.value(Field::EthType, family));
            self.sets.minus(self.sets.any(families), known)
        })
    }

    /// The addresses that are sent what comes for external ones.
    pub(super) fn externals(&self) -> &HashMap<IpAddr, Inside> {
        self.externals.get_or_init(|| {
            let mut externals: HashMap<IpAddr, Inside> = HashMap::new();
            for (at, router) in self.network.routers.iter().enumerate() {
                for translation in router.translations.iter().filter(|it| it.is_inward) {
                    let inside = externals.entry(translation.logical.addr()).or_default();
                    inside.externals.push((RouterId(at), translation.external));
                }
            }
            for at in (0..self.network.ports.len()).map(PortId) {
                for own in self.guests.addresses(at) {
                    if let Some(inside) = externals.get_mut(&own) {
                        inside.held_on.insert(self.network.port(at).switch);
                    }
                }
            }
            externals
        })
    }

    /// Takes out what the Internet would send to private addresses.
    pub(super) fn sendable(&mut self, switch: SwitchId, mut flow: Flow) -> Flow {
        let sets = self.sets;
        let unsendable = self.fixed(Fixed::Unsendable, || {
            let far = sets.minus(public(sets, Field::IpSrc), self.physical(Field::IpSrc));
            sets.and(far, self.private(Field::IpDst))
        });
        let lost = self.part(&flow, unsendable);
        self.stop_some(&mut flow, lost, self.network.switch(switch).row, Why::Private);
        flow
    }
}
