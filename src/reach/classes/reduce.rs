//! A network without machines that are like others in it, or without all that is not joined to some of it.
//!
//! Whatever nobody asks about goes: machines, their addresses in sets, subnets that are empty then. Routes and
//! translations stay as they are; no packet of a question comes to them.
//!
//! Refuses to choose who stays.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::nb::matching::{Expr, ReferenceKind};
use crate::reach::header::bits;
use crate::reach::network::{
    AclId, Link, Network, Port, PortId, PortKind, Router, RouterId, RouterPort, RouterPortId, Switch,
    SwitchId, Translation,
};

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

/// Some switches and routers that nothing joins to others: a network of theirs, without what is said of rows, and
/// where its ports were.
pub(in crate::reach) fn part(
    network: &Network,
    switches: &BTreeSet<SwitchId>,
    routers: &BTreeSet<RouterId>,
) -> (Network, Vec<PortId>) {
    let ports: Vec<PortId> =
        switches.iter().flat_map(|id| network.switch(*id).ports.iter().copied()).collect();
    let of_routers: Vec<RouterPortId> =
        routers.iter().flat_map(|id| network.router(*id).ports.iter().copied()).collect();
    let port_at: HashMap<PortId, PortId> = ports.iter().zip(0..).map(|(id, at)| (*id, PortId(at))).collect();
    let router_port_at: HashMap<RouterPortId, RouterPortId> =
        of_routers.iter().zip(0..).map(|(id, at)| (*id, RouterPortId(at))).collect();
    let mut left = Network { target: network.target, ..Network::default() };
    for (at, id) in switches.iter().enumerate() {
        let switch = network.switch(*id);
        let first = left.acls.len();
        left.acls.extend(switch.acls.iter().map(|id| network.acls[id.0].clone()));
        let acls = (first..left.acls.len()).map(AclId).collect();
        let own = switch.ports.iter().map(|id| port_at[id]).collect();
        left.switches.push(Switch { ports: own, acls, ..switch.clone() });
        left.ports.extend(switch.ports.iter().map(|id| {
            let port = network.port(*id).clone();
            let kind = match port.kind {
                PortKind::Router(to) => PortKind::Router(to.and_then(|to| router_port_at.get(&to).copied())),
                kind => kind,
            };
            Port { switch: SwitchId(at), kind, ..port }
        }));
    }
    for (at, id) in routers.iter().enumerate() {
        let router = network.router(*id);
        let own = router.ports.iter().map(|id| router_port_at[id]).collect();
        let translations = router.translations.iter().map(|it| {
            let gateway = it.gateway.and_then(|id| router_port_at.get(&id).copied());
            Translation { gateway, ..it.clone() }
        });
        let translations = translations.collect();
        left.routers.push(Router { ports: own, translations, ..router.clone() });
        left.router_ports.extend(router.ports.iter().map(|id| {
            let port = network.router_port(*id);
            let link = match port.link {
                Link::Switch(to) => port_at.get(&to).map_or(Link::Nothing, |to| Link::Switch(*to)),
                Link::Router(to) => router_port_at.get(&to).map_or(Link::Nothing, |to| Link::Router(*to)),
                link @ (Link::Nothing | Link::Contested) => link,
            };
            RouterPort { router: RouterId(at), link, ..port.clone() }
        }));
    }
    named(network, &mut left);
    (left, ports)
}

/// What matches of a part refer to.
fn named(network: &Network, left: &mut Network) {
    let of_rules = left.acls.iter().map(|rule| &*rule.matching);
    let of_policies =
        left.routers.iter().flat_map(|router| &router.policies).map(|(_, _, matching)| &**matching);
    let translations = left.routers.iter().flat_map(|router| &router.translations);
    let of_translations = translations.filter_map(|it| Some(&it.matching.as_ref()?.0));
    let mut read = HashSet::new();
    let matches = of_rules.chain(of_policies).chain(of_translations);
    for expr in matches.filter(|expr| read.insert(std::ptr::from_ref::<Expr>(expr))) {
        for reference in expr.references() {
            let name = reference.name;
            match reference.kind {
                ReferenceKind::AddressSet => {
                    let members = network.names.address_sets.get_key_value(name);
                    left.names.address_sets.extend(members.map(|(name, all)| (name.clone(), all.clone())));
                }
                ReferenceKind::PortGroup => {
                    let members = network.names.port_groups.get_key_value(name);
                    left.names.port_groups.extend(members.map(|(name, all)| (name.clone(), all.clone())));
                }
                ReferenceKind::Port | ReferenceKind::ResidentPort => {}
            }
        }
    }
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
