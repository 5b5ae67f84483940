//! Ports of switches and routers: whether both ends of each link are there, and addresses are one port's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use northc::nb::{
    HaChassisGroup, Key, LoadBalancer, LogicalRouter, LogicalRouterPort, LogicalSwitch, LogicalSwitchPort,
    Rows, Table,
};

use super::rows::{address, all, of};

fn router_port(rows: &Rows, name: &str) -> Option<LogicalRouterPort> {
    let row = rows.get(&Key::new(Table::LogicalRouterPort, name))?;
    Some(LogicalRouterPort::try_from(row).expect("a router's port"))
}

/// Every port that leads to a router has the router's port, which nobody else leads to; peers name each other.
pub(super) fn links(rows: &Rows, found: &mut Vec<String>) {
    let mut led_to: BTreeSet<String> = BTreeSet::new();
    for (key, port) in all::<LogicalSwitchPort>(rows, Table::LogicalSwitchPort) {
        let to = port.options.get("router-port");
        if (port.kind == "router") != to.is_some() {
            found.push(format!("{key} is half a router's"));
        }
        let Some(to) = to else { continue };
        let far = router_port(rows, to);
        if far.is_none_or(|far| far.peer.is_some()) || !led_to.insert(to.clone()) {
            found.push(format!("{key} leads to {to}, which is not there, or has another"));
        }
    }
    for (key, port) in all::<LogicalRouterPort>(rows, Table::LogicalRouterPort) {
        let back = port.peer.as_ref().map(|peer| router_port(rows, peer).and_then(|far| far.peer));
        match back {
            Some(back) if back.as_ref() == Some(&port.name) => {}
            None if led_to.contains(&port.name) => {}
            _ => found.push(format!("{key} leads nowhere")),
        }
        let nets = port.networks.iter().map(|text| text.parse::<IpNet>());
        let is_whole =
            nets.clone().all(|net| net.is_ok()) && port.networks.iter().all(|text| text.contains('/'));
        if !is_whole || port.networks.is_empty() || !port.gateway_chassis.is_empty() {
            found.push(format!("{key} has {:?}", port.networks));
        }
        let group: Vec<HaChassisGroup> = of(rows, &port.ha_chassis_group.iter().cloned().collect());
        found.extend(
            group
                .iter()
                .any(|group| group.ha_chassis.is_empty())
                .then(|| format!("{key}: nobody carries it")),
        );
    }
    for (key, router) in all::<LogicalRouter>(rows, Table::LogicalRouter) {
        let ports: Vec<LogicalRouterPort> = of(rows, &router.ports);
        let nets: Vec<IpNet> =
            ports.iter().flat_map(|port| &port.networks).filter_map(|net| net.parse().ok()).collect();
        for (nth, net) in nets.iter().enumerate() {
            let other = nets[..nth]
                .iter()
                .find(|other| other.contains(&net.network()) || net.contains(&other.network()));
            found.extend(other.map(|other| format!("{key} is attached to {net} and {other}")));
        }
    }
}

/// On a switch, an Ethernet address and an address are one port's, and a balancer's address that looks like a
/// neighbour's is answered for.
pub(super) fn segments(rows: &Rows, found: &mut Vec<String>) {
    for (key, switch) in all::<LogicalSwitch>(rows, Table::LogicalSwitch) {
        let ports: Vec<LogicalSwitchPort> = of(rows, &switch.ports);
        let far = |port: &LogicalSwitchPort| router_port(rows, port.options.get("router-port")?);
        let mut macs: BTreeMap<String, String> = BTreeMap::new();
        let mut addresses: BTreeMap<IpAddr, String> = BTreeMap::new();
        let mut nets: Vec<(IpNet, String)> = Vec::new();
        for port in &ports {
            let router = far(port);
            let of_router =
                router.iter().flat_map(|far| far.networks.iter().filter_map(|net| net.parse().ok()));
            let of_router: Vec<IpNet> = of_router.collect();
            nets.extend(
                of_router
                    .iter()
                    .map(|net| (*net, port.options.get("arp_proxy").cloned().unwrap_or_default())),
            );
            let own = port.addresses.iter().filter(|text| text.contains(':'));
            let words: Vec<&str> = own.flat_map(|text| text.split(' ')).collect();
            let is_mac = |word: &&&str| word.len() == 17 && word.parse::<IpAddr>().is_err();
            let mac = words.iter().find(is_mac).map(|mac| (*mac).to_owned());
            for mac in mac.into_iter().chain(router.map(|far| far.mac)) {
                if let Some(other) = macs.insert(mac.to_lowercase(), port.name.clone()) {
                    found.push(format!("{key}: {mac} is of {other} and {}", port.name));
                }
            }
            let own = words.iter().filter_map(|word| word.parse::<IpAddr>().ok());
            for address in own.chain(of_router.iter().map(IpNet::addr)) {
                if let Some(other) = addresses.insert(address, port.name.clone()) {
                    found.push(format!("{key}: {address} is of {other} and {}", port.name));
                }
            }
        }
        for lb in of::<LoadBalancer>(rows, &switch.load_balancer) {
            for vip in lb.vips.keys().filter_map(|vip| address(vip)) {
                let silent = nets.iter().any(|(net, proxied)| {
                    net.contains(&vip)
                        && net.addr() != vip
                        && !proxied.split(' ').any(|word| word == vip.to_string())
                });
                found.extend(silent.then(|| format!("{key}: nobody answers for {vip}")));
            }
        }
    }
}

/// A bridged port has its network, a virtual one its address and somebody who may hold it.
pub(super) fn kinds(rows: &Rows, found: &mut Vec<String>) {
    for (key, port) in all::<LogicalSwitchPort>(rows, Table::LogicalSwitchPort) {
        let option = |name: &str| port.options.get(name).map(String::as_str).unwrap_or_default();
        let is_there = |name: &str| rows.get(&Key::new(Table::LogicalSwitchPort, name)).is_some();
        let whole = match port.kind.as_str() {
            "" | "router" => true,
            "localnet" => !option("network_name").is_empty(),
            "virtual" => {
                option("virtual-ip").parse::<IpAddr>().is_ok()
                    && option("virtual-parents").split(',').all(is_there)
            }
            _ => false,
        };
        let tag = port.tag_request.is_none_or(|tag| (1..=4095).contains(&tag));
        found
            .extend((!whole || !tag).then(|| format!("{key} is a {} port without what it needs", port.kind)));
    }
}
