//! A network without machines that are like others in it.
//!
//! Whatever nobody asks about goes: machines, their addresses in sets, subnets that are empty then. Routes and
//! translations stay as they are; no packet of a question comes to them.
//!
//! Refuses to choose who stays.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::reach::header::bits;
use crate::reach::network::{AclId, Link, Network, Port, PortId, PortKind, RouterPort, SwitchId};

/// The network without some machines, and where the ports of the others are in it.
pub(in crate::reach) fn without(
    network: &Network,
    gone: &BTreeSet<PortId>,
) -> (Network, BTreeMap<PortId, PortId>) {
    let is_left = |id: &PortId| !gone.contains(id);
    let is_guest = |id: &PortId| network.port(*id).kind == PortKind::Guest;
    let mut places = BTreeMap::new();
    let mut left = Network { target: network.target, routers: network.routers.clone(), ..Network::default() };
    let mut shut = BTreeSet::new();
    for (at, switch) in network.switches.iter().enumerate() {
        let mut kept: Vec<PortId> = switch.ports.iter().copied().filter(is_left).collect();
        let is_empty = !kept.iter().any(is_guest) && switch.ports.iter().any(is_guest);
        let only = kept.iter().filter(|id| !is_guest(id)).count() == 1;
        if is_empty && only && !network.is_wired(SwitchId(at)) {
            shut.extend(network.routers_on(SwitchId(at)).map(|(_, id)| id));
            kept.clear();
        }
        let is_open = !kept.is_empty();
        for id in &kept {
            places.insert(*id, PortId(left.ports.len()));
            left.ports.push(network.port(*id).clone());
        }
        let mut switch = switch.clone();
        switch.ports = kept.into_iter().map(|id| places[&id]).collect();
        let first = left.acls.len();
        if is_open {
            left.acls.extend(switch.acls.iter().map(|id| network.acls[id.0].clone()));
        }
        switch.acls = (first..left.acls.len()).map(AclId).collect();
        left.switches.push(switch);
    }
    left.router_ports = network.router_ports.iter().map(|port| moved(port, &places)).collect();
    left.routers.iter_mut().for_each(|router| router.ports.retain(|id| !shut.contains(id)));
    names(network, gone, &mut left);
    (left, places)
}

fn moved(port: &RouterPort, places: &BTreeMap<PortId, PortId>) -> RouterPort {
    let link = match port.link {
        Link::Switch(at) => places.get(&at).map_or(Link::Nothing, |at| Link::Switch(*at)),
        link @ (Link::Router(_) | Link::Nothing | Link::Contested) => link,
    };
    RouterPort { link, ..port.clone() }
}

/// What matches can refer to, without those who have gone; addresses that somebody else has too stay.
fn names(network: &Network, gone: &BTreeSet<PortId>, left: &mut Network) {
    let addresses = |port: &Port| {
        port.addresses
            .iter()
            .flat_map(|own| own.ips.iter())
            .map(|net| (net.addr().is_ipv6(), bits(net.addr())))
            .collect::<Vec<_>>()
    };
    let mut dead: HashSet<(bool, u128)> = gone.iter().flat_map(|id| addresses(network.port(*id))).collect();
    let mut ports: HashSet<&str> = HashSet::new();
    for port in &left.ports {
        ports.insert(&port.name);
        for own in addresses(port) {
            dead.remove(&own);
        }
    }
    for (name, members) in &network.names.address_sets {
        let is_left = |member: &&crate::reach::filter::Member| {
            let is_host = member.mask == u128::MAX;
            !is_host || !dead.contains(&(member.width == 128, member.value))
        };
        let mut kept: Vec<_> = members.iter().filter(is_left).copied().collect();
        // A set with nobody in it is another thing than one with somebody.
        kept.extend(members.first().filter(|_| kept.is_empty()));
        left.names.address_sets.insert(name.clone(), kept);
    }
    for (name, members) in &network.names.port_groups {
        let kept = members.iter().filter(|port| ports.contains(port.as_str())).cloned().collect();
        left.names.port_groups.insert(name.clone(), kept);
    }
}
