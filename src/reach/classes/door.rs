//! Subnets that may change places: machines on a switch with one way out, by a router.
//!
//! Refuses to judge what is said of their networks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use ipnet::IpNet;

use super::questions::Questions;
use super::zones::Zones;
use crate::reach::network::{Link, Network, PortId, PortKind, RouterPortId, SwitchId};

/// The way out of such a switch.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// The port of the switch.
    pub(super) port: PortId,
    /// That of the router.
    pub(super) router_port: RouterPortId,
    /// The networks of the switch.
    pub(super) nets: Vec<IpNet>,
}

/// Switches that may be like others, in parts of the network that ask `questions`.
pub(super) fn doors(
    network: &Network,
    zones: &Zones,
    questions: &BTreeMap<usize, Questions>,
) -> BTreeMap<SwitchId, Door> {
    let ids = (0..network.switches.len()).map(SwitchId);
    let mut found: BTreeMap<SwitchId, Door> = BTreeMap::new();
    for id in ids {
        let Some(door) = door(network, id) else { continue };
        let asked = &questions[&zones.of_switch(id)];
        let is_sent_to = |net: &IpNet| asked.special.iter().any(|address| net.contains(address));
        let names = [&network.port(door.port).name, &network.router_port(door.router_port).name];
        if !door.nets.iter().any(is_sent_to) && !names.into_iter().any(|name| asked.ports.contains(name)) {
            found.insert(id, door);
        }
    }
    let mut n_claims: BTreeMap<(usize, IpNet), usize> = BTreeMap::new();
    for (id, net) in found.iter().flat_map(|(id, door)| door.nets.iter().map(move |net| (id, net))) {
        *n_claims.entry((zones.of_switch(*id), *net)).or_default() += 1;
    }
    found.retain(|id, door| door.nets.iter().all(|net| n_claims[&(zones.of_switch(*id), *net)] == 1));
    found
}

fn door(network: &Network, id: SwitchId) -> Option<Door> {
    let switch = network.switch(id);
    let mut others = switch.ports.iter().filter(|id| network.port(**id).kind != PortKind::Guest);
    let (port, None) = (*others.next()?, others.next()) else { return None };
    let PortKind::Router(Some(router_port)) = network.port(port).kind else { return None };
    let (at, router) = (network.port(port), network.router_port(router_port));
    let has_own = |mac: u64, ips: &[IpNet]| {
        mac == router.mac && ips.iter().all(|net| router.addresses().any(|own| own == net.addr()))
    };
    let is_plain = router.link == Link::Switch(port)
        && !router.is_gateway
        && at.proxied.is_empty()
        && at.security.is_empty()
        && at.shared.is_empty()
        && at.addresses.iter().all(|address| has_own(address.mac, &address.ips))
        && (at.is_router_address || !at.addresses.is_empty())
        && switch.unfollowed.is_empty()
        && !switch.ports.iter().any(|id| network.port(*id).has_unknown);
    let mut nets: Vec<IpNet> = router.networks.iter().map(IpNet::trunc).collect();
    let n_nets = nets.len();
    nets.sort_unstable();
    nets.dedup();
    (is_plain && nets.len() == n_nets).then_some(())?;
    Some(Door { port, router_port, nets: router.networks.iter().map(IpNet::trunc).collect() })
}

/// Whatever tells such a switch from others, but for what is said of its networks.
pub(super) fn traits(network: &Network, id: SwitchId, door: &Door, texts: &mut Texts) -> String {
    let (switch, port) = (network.switch(id), network.port(door.port));
    let router = network.router_port(door.router_port);
    let mut said = format!(
        "{} {} {} {} {} {} {} {} {} {}",
        router.router.0,
        router.route_table,
        router.is_enabled,
        router.advertises,
        port.is_enabled,
        switch.has_followed,
        switch.is_balanced,
        switch.answers_dns,
        switch.drops_rest,
        switch.drops_new,
    );
    for vip in &switch.vips {
        let _ = write!(said, " vip {} {}", vip.row.0, vip.address);
    }
    for rule in switch.acls.iter().map(|id| &network.acls[id.0]) {
        let text = texts.of(rule.row, &rule.matching);
        let _ =
            write!(said, " {:?} {} {} {:?} {text}", rule.direction, rule.tier, rule.priority, rule.action);
    }
    let lengths = router.networks.iter().map(|net| (net.addr().is_ipv6(), net.prefix_len()));
    let _ = write!(said, " {:?}", lengths.collect::<Vec<_>>());
    said
}

/// Matches by number; those that say the same have the same.
#[derive(Debug, Default)]
pub(super) struct Texts {
    of_row: BTreeMap<usize, usize>,
    known: BTreeMap<String, usize>,
}

impl Texts {
    fn of(&mut self, row: crate::reach::network::RowId, matching: &crate::nb::matching::Expr) -> usize {
        if let Some(known) = self.of_row.get(&row.0) {
            return *known;
        }
        let next = self.known.len();
        let number = *self.known.entry(matching.to_string()).or_insert(next);
        self.of_row.insert(row.0, number);
        number
    }
}

/// Addresses of machines that are there twice, on a switch or in a part of the network.
pub(super) struct Doubles {
    /// Machines that share one with another port of their switch.
    pub(super) ports: BTreeSet<PortId>,
    /// Addresses by part of the network; the machine that has it, if it is one.
    pub(super) holders: BTreeMap<(usize, std::net::IpAddr), Option<PortId>>,
}

impl Doubles {
    /// Those of a network.
    pub(super) fn of(network: &Network, zones: &Zones) -> Doubles {
        let mut ports = BTreeSet::new();
        let mut holders = BTreeMap::new();
        for (at, switch) in network.switches.iter().enumerate() {
            let zone = zones.of_switch(SwitchId(at));
            let mut macs: BTreeMap<u64, PortId> = BTreeMap::new();
            let mut ips: BTreeMap<std::net::IpAddr, PortId> = BTreeMap::new();
            let mut claim = |id: PortId, mac: Option<u64>, ip: Option<std::net::IpAddr>| {
                let others = [mac.and_then(|mac| macs.insert(mac, id)), ip.and_then(|ip| ips.insert(ip, id))];
                for other in others.into_iter().flatten().filter(|other| *other != id) {
                    ports.extend([id, other]);
                }
            };
            for id in &switch.ports {
                let port = network.port(*id);
                if let PortKind::Router(Some(router)) = port.kind {
                    let router = network.router_port(router);
                    claim(*id, Some(router.mac), None);
                    router.addresses().for_each(|own| claim(*id, None, Some(own)));
                }
                for address in &port.addresses {
                    claim(*id, Some(address.mac), None);
                    address.ips.iter().for_each(|net| claim(*id, None, Some(net.addr())));
                }
                for net in port.addresses.iter().flat_map(|address| &address.ips) {
                    let holder = holders.entry((zone, net.addr()));
                    holder.and_modify(|it| *it = None).or_insert(Some(*id));
                }
            }
        }
        Doubles { ports, holders }
    }
}
