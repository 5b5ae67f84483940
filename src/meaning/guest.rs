//! What a machine is told of its network, and where it sends.
//!
//! A machine on a routed subnet that is told nothing is taken to have its gateway by hand; on others it has no
//! route. Refuses to know what is set inside a machine.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Meaning;
use crate::model::{self, METADATA, PortId, Setting, Subnet, everything};

/// A route that a machine is told: where to, and by whom.
pub type Told = (IpNet, IpAddr);

impl Meaning<'_> {
    /// The routes that DHCP and router advertisements tell a machine.
    pub fn told(&self, id: PortId) -> Vec<Told> {
        let (_, subnet) = self.net.home(id);
        let addresses = &self.net.assignment.port(id).addresses;
        let has = |v4: bool| addresses.iter().any(|address| address.is_ipv4() == v4);
        let mut told = if has(true) { self.told_by_dhcp(id, subnet) } else { Vec::new() };
        if has(false) && subnet.routed && subnet.ra.is_some() {
            told.extend(subnet.v6().map(|block| (everything(false), block.gateway.value)));
        }
        told.sort_by_key(|(to, _)| std::cmp::Reverse(to.prefix_len()));
        told
    }

    /// The routes that a machine uses.
    pub(super) fn routes(&self, id: PortId) -> Vec<Told> {
        let (_, subnet) = self.net.home(id);
        if !subnet.routed {
            return Vec::new();
        }
        let mut routes = self.told(id);
        for address in &self.net.assignment.port(id).addresses {
            let v4 = address.is_ipv4();
            if !routes.iter().any(|(to, _)| to.addr().is_ipv4() == v4) {
                let block = subnet.block_for(*address);
                routes.extend(block.map(|block| (everything(v4), block.gateway.value)));
            }
        }
        routes
    }
}

impl Meaning<'_> {
    fn told_by_dhcp(&self, id: PortId, subnet: &Subnet) -> Vec<Told> {
        let Some(block) = subnet.v4() else { return Vec::new() };
        let of_all = subnet.dhcp.as_ref().map(|dhcp| (dhcp.v4.as_slice(), dhcp.keeps_defaults));
        let (settings, keeps_defaults): (Vec<&Setting>, bool) =
            match (&self.net.model.port(id).dhcp.v4, of_all) {
                (model::Told::Nothing, _) | (model::Told::AsSubnet, None) => return Vec::new(),
                (model::Told::AsSubnet, Some((all, keeps))) => (all.iter().collect(), keeps),
                (model::Told::Own(own), Some((all, keeps))) if own.over_subnet => {
                    (all.iter().chain(&own.settings).collect(), keeps)
                }
                (model::Told::Own(own), _) => (own.settings.iter().collect(), own.over_subnet),
            };
        let by_hand = |name: &str| {
            let last = settings.iter().rev().find(|setting| setting.name.value == name);
            last.map(|setting| setting.value.value.as_str())
        };
        let words = |text: &str| -> Vec<String> {
            let words = text.split(|c: char| "{}, ".contains(c)).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        };
        if let Some(text) = by_hand("classless_static_route") {
            let words = words(text);
            let route = |pair: &[String]| Some((network(&pair[0])?, pair[1].parse().ok()?));
            return words.chunks_exact(2).filter_map(route).collect();
        }
        let router = match by_hand("router") {
            Some(text) => words(text).first().and_then(|first| first.parse().ok()),
            None if settings.is_empty() || keeps_defaults => Some(block.gateway.value),
            None => None,
        };
        let router = router.map(|router| (everything(true), router));
        let teller = subnet.metadata.and_then(|port| {
            let addresses = &self.net.assignment.port(port.value).addresses;
            addresses.iter().find(|address| address.is_ipv4()).map(|own| (IpNet::from(METADATA), *own))
        });
        router.into_iter().chain(teller).collect()
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
