//! What the machine at a port knows of its network: its addresses, its neighbours, its routes.
//!
//! A machine knows what DHCP and router advertisements tell it. Where they tell nothing, its addresses
//! are taken to be set by hand, with the network of the router port beside it and no route.
//!
//! Refuses to know more than the rows: routes set by hand are an assumption that somebody else makes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::network::{Network, Port, PortId, RouterPort};

/// Whether machines have a default route that no row tells them of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByHand {
    /// All of them.
    pub all: bool,
    /// Or these do, or do not even have the one that they are told of.
    pub each: BTreeMap<PortId, bool>,
}

/// A route of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Where to.
    pub(super) to: IpNet,
    /// By whom; several where it is not known which.
    pub(super) gateways: Vec<IpAddr>,
}

/// What a machine knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Guest {
    /// Its Ethernet address.
    pub(super) mac: Option<u64>,
    /// Its addresses.
    pub(super) addresses: Vec<IpAddr>,
    /// Networks whose machines it asks for directly.
    pub(super) networks: Vec<IpNet>,
    /// Its routes, most specific first.
    pub(super) routes: Vec<Route>,
}

/// The machines of a network.
#[derive(Clone, Debug)]
pub struct Guests<'n> {
    network: &'n Network,
    by_hand: ByHand,
}

impl<'n> Guests<'n> {
    /// The machines of `network`, with what is assumed of them.
    pub fn new(network: &'n Network, by_hand: ByHand) -> Guests<'n> {
        Guests { network, by_hand }
    }

    /// The addresses of the machine at a port.
    pub fn addresses(&self, port: PortId) -> Vec<IpAddr> {
        let port = self.network.port(port);
        let own = port.addresses.iter().flat_map(|address| address.ips.iter().map(IpNet::addr));
        own.chain(port.shared.iter().copied()).collect()
    }

    /// The routes of the machine at a port, most specific first: where to, and by whom.
    pub fn told(&self, port: PortId) -> Vec<(IpNet, Vec<IpAddr>)> {
        self.guest(port).routes.into_iter().map(|route| (route.to, route.gateways)).collect()
    }

    /// Whether the machine at a port has a default route by hand; `None` where it knows what it is told.
    pub(super) fn by_hand(&self, id: PortId) -> Option<bool> {
        self.by_hand.each.get(&id).copied().or(self.by_hand.all.then_some(true))
    }

    /// What is assumed of all machines.
    pub(super) fn all_by_hand(&self) -> &ByHand {
        &self.by_hand
    }

    pub(super) fn guest(&self, id: PortId) -> Guest {
        let port = self.network.port(id);
        let addresses = self.addresses(id);
        let routers: Vec<&RouterPort> = (self.network.routers_on(port.switch))
            .map(|(_, router_port)| self.network.router_port(router_port))
            .collect();
        let networks = addresses.iter().flat_map(|address| match network_of(port, &routers, *address) {
            Some(net) => vec![net],
            None => self.beside(port, address.is_ipv6()),
        });
        let by_hand = self.by_hand(id);
        let mut routes = Vec::new();
        for is_ipv6 in [false, true] {
            let own = addresses.iter().copied().filter(|address| address.is_ipv6() == is_ipv6);
            let beside = beside(&routers, own.collect());
            let told = if is_ipv6 { advertised(&routers) } else { told(port) };
            let default = default_route(is_ipv6, beside);
            routes.extend(match by_hand {
                None => told,
                Some(true) if told.is_empty() => default,
                Some(true) => told,
                Some(false) => Vec::new(),
            });
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.to.prefix_len()));
        let link_local = "fe80::/10".parse::<IpNet>().expect("a network");
        let networks = networks.chain([link_local]).collect();
        Guest { mac: port.addresses.first().map(|address| address.mac), addresses, networks, routes }
    }

    /// Where nothing says how large a network is, machines of one switch are taken to be in the same.
    fn beside(&self, port: &Port, is_ipv6: bool) -> Vec<IpNet> {
        let ports = &self.network.switch(port.switch).ports;
        let addresses = ports.iter().flat_map(|id| self.addresses(*id));
        addresses.filter(|address| address.is_ipv6() == is_ipv6).map(IpNet::from).collect()
    }
}

/// Addresses of routers whose network a machine is in.
fn beside(routers: &[&RouterPort], own: Vec<IpAddr>) -> Vec<IpAddr> {
    let networks = routers.iter().flat_map(|router| router.networks.iter());
    networks.filter(|net| own.iter().any(|address| net.contains(address))).map(IpNet::addr).collect()
}

fn default_route(is_ipv6: bool, gateways: Vec<IpAddr>) -> Vec<Route> {
    let everywhere = if is_ipv6 { "::/0" } else { "0.0.0.0/0" };
    let to = everywhere.parse::<IpNet>().expect("a network");
    if gateways.is_empty() { Vec::new() } else { vec![Route { to, gateways }] }
}

/// The network that a machine takes an address to be in.
fn network_of(port: &Port, routers: &[&RouterPort], address: IpAddr) -> Option<IpNet> {
    let told = port.dhcpv4.as_ref().and_then(|dhcp| dhcp.cidr.parse::<IpNet>().ok());
    let beside = routers.iter().flat_map(|router| router.networks.iter().copied());
    let written = port.addresses.iter().flat_map(|known| known.ips.iter().copied());
    let candidates = told.into_iter().chain(beside).chain(written);
    let is_one = |net: &IpNet| net.contains(&address) && net.prefix_len() < net.max_prefix_len();
    candidates.filter(is_one).map(|net| net.trunc()).next()
}

/// The routes that DHCPv4 tells. Classless ones make a client ignore the router (RFC 3442).
fn told(port: &Port) -> Vec<Route> {
    let Some(dhcp) = &port.dhcpv4 else { return Vec::new() };
    if let Some(text) = dhcp.options.get("classless_static_route") {
        let words: Vec<&str> =
            text.trim_matches(['{', '}']).split([',', ' ']).filter(|word| !word.is_empty()).collect();
        let pairs = words.chunks_exact(2).filter_map(|pair| {
            let to = super::network::parse_net(pair[0])?;
            Some(Route { to, gateways: vec![pair[1].parse().ok()?] })
        });
        return pairs.collect();
    }
    let gateway = dhcp.options.get("router").and_then(|router| {
        router.trim_matches(['{', '}']).split([',', ' ']).next().and_then(|first| first.parse().ok())
    });
    default_route(false, gateway.into_iter().collect())
}

/// The route that router advertisements tell: by the address of a port that sends them.
fn advertised(routers: &[&RouterPort]) -> Vec<Route> {
    let senders = routers.iter().filter(|router| router.advertises);
    let gateways = senders.flat_map(|router| router.networks.iter().map(IpNet::addr));
    default_route(true, gateways.filter(IpAddr::is_ipv6).take(1).collect())
}
