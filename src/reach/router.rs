//! Routers: what they take for themselves, routes, and the policies that come after routes.
//!
//! | stage | ovn-northd(8) |
//! |---|---|
//! | in | admission by Ethernet address, martians, the router's own addresses, time to live |
//! | routing | the longest prefix of destination or source; of equal ones connected, then by destination |
//! | policy | by priority; may drop, or send elsewhere what has a route |
//! | out | the next hop's Ethernet address, the port's state |
//!
//! A route that is watched over (BFD) may be there or not.
//!
//! Refuses to choose between next hops, or between policies of equal priority: packets go all ways.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::within_any;
use super::filter::{Surroundings, Tracked};
use super::header::{Field, ICMP, ICMP6, IPV4, IPV6};
use super::nat::Sources;
use super::network::{Link, Network, PortId, Router, RouterId, RouterPortId, RowId};
use super::routes::{To, Way};
use super::set::Set;
use super::walk::{End, Fixed, Flow, Step, Walker, Why};
use crate::nb::LogicalRouterPolicy;
use crate::target::Target;

/// Sources and destinations that a router forwards nothing from or to.
const MARTIAN_SOURCES: [&str; 4] = ["224.0.0.0/4", "255.255.255.255/32", "127.0.0.0/8", "0.0.0.0/8"];
const MARTIAN_DESTINATIONS: [&str; 2] = ["127.0.0.0/8", "0.0.0.0/8"];

impl<'n> Walker<'n> {
    /// Packets come into a router.
    pub(super) fn enter_router(&mut self, inport: RouterPortId, flow: Flow) {
        let came_from =
            self.asked.as_ref().map(|asked| asked.on_router(self.network.router_port(inport).router));
        self.let_into_router(inport, flow);
        self.come_from(came_from);
    }

    fn let_into_router(&mut self, inport: RouterPortId, mut flow: Flow) {
        let network = self.network;
        let port = network.router_port(inport);
        let router = network.router(port.router);
        if !port.is_enabled {
            return self.stop(flow, port.row, Why::Disabled);
        }
        let proxy = match port.link {
            Link::Switch(port) => network.port(port).proxy_mac,
            Link::Router(_) | Link::Nothing | Link::Contested => None,
        };
        let mut own = external_macs(network, inport).chain([port.mac]).chain(proxy);
        if !own.any(|mac| flow.eth_dst == Some(mac)) {
            return self.stop(flow, port.row, Why::EthernetAddress);
        }
        if port.link == Link::Contested {
            let what = "more than one port claims to be its other end".to_owned();
            return self.end(flow, End::Unjudged { row: port.row, what });
        }
        flow.step(Step::Router(inport));
        if flow.visited.contains(&(inport, flow.rewrite)) {
            return self.stop(flow, router.row, Why::Loop);
        }
        flow.visited.push((inport, flow.rewrite));
        self.take_in(inport, flow, false);
    }

    /// Packets that are in a router: what it drops or takes for itself, then translations and routes.
    fn take_in(&mut self, inport: RouterPortId, mut flow: Flow, is_back: bool) {
        flow.sources = Sources::default();
        let set = self.part(&flow, self.lent(inport));
        let unasked = Flow { set, ..flow.clone() };
        let asked = Flow { set: self.sets.minus(flow.set, set), ..flow };
        let asked = if asked.set.is_none() { None } else { self.received(inport, asked, is_back) };
        for flow in [Some(unasked), asked].into_iter().flatten().filter(|flow| !flow.set.is_none()) {
            if flow.ttl <= 1 {
                let router = self.network.router_port(inport).router;
                self.stop(flow, self.network.router(router).row, Why::TimeToLive);
            } else {
                self.come_in(inport, flow);
            }
        }
    }

    /// Packets that are not for the router itself.
    pub(super) fn come_in(&mut self, inport: RouterPortId, mut flow: Flow) {
        self.note_way_back(inport, &mut flow);
        for flow in self.translated_in(inport, flow) {
            self.route(inport, flow);
        }
    }

    /// Takes out what the router drops at once or takes for itself.
    fn received(&mut self, inport: RouterPortId, mut flow: Flow, is_back: bool) -> Option<Flow> {
        let network = self.network;
        let router = network.router(network.router_port(inport).router);
        let sets = self.sets;
        let martian = self.martian(network.router_port(inport).router, is_back);
        let martian = sets.any(martian.map(|set| self.part(&flow, set)));
        self.stop_some(&mut flow, martian, router.row, Why::Martian);
        let shared = self.shared(network.router_port(inport).router);
        let own = self.own(network.router_port(inport).router);
        let ports = if self.part(&flow, own).is_none() { &[][..] } else { &router.ports };
        for id in ports {
            let own = self.fixed(Fixed::OwnOf(*id), || self.for_ports(&[*id]));
            let own = self.part(&flow, own);
            if own.is_none() {
                continue;
            }
            let echo = self.part(&flow, self.fixed(Fixed::Echo, || echo_requests(self)));
            let echo = sets.and(own, echo);
            self.end(Flow { set: echo, ..flow.clone() }, End::Router(inport));
            flow.set = sets.minus(flow.set, echo);
            let lost = sets.minus(sets.minus(own, echo), self.part(&flow, shared));
            self.stop_some(&mut flow, lost, network.router_port(*id).row, Why::RouterAddress);
        }
        (!flow.set.is_none()).then_some(flow)
    }

    /// What a router drops at once: what comes from or goes to addresses that it forwards nothing from or to, and
    /// what comes from its own. By source, and by destination: where one of them was written, that one is decided.
    fn martian(&self, router: RouterId, is_back: bool) -> [Set; 2] {
        let parse = |net: &&str| net.parse::<IpNet>().expect("a network");
        let from = self.fixed(Fixed::MartianSource(router, is_back), || {
            let ports = self.network.router(router).ports.iter().map(|id| self.network.router_port(*id));
            let networks = ports.flat_map(|port| &port.networks);
            let own = networks.filter(|net| net.addr().is_ipv4() && !is_back).flat_map(|net| {
                let last = (net.prefix_len() < 31).then(|| net.broadcast());
                [Some(net.addr()), last].into_iter().flatten().map(IpNet::from)
            });
            within_any(self.sets, Field::IpSrc, MARTIAN_SOURCES.iter().map(parse).chain(own))
        });
        let to = self.fixed(Fixed::MartianDestination, || {
            within_any(self.sets, Field::IpDst, MARTIAN_DESTINATIONS.iter().map(parse))
        });
        [from, to]
    }

    /// Packets for an address of a router.
    fn own(&self, router: RouterId) -> Set {
        self.fixed(Fixed::Own(router), || self.for_ports(&self.network.router(router).ports))
    }

    fn for_ports(&self, ports: &[RouterPortId]) -> Set {
        let own = ports.iter().flat_map(|id| self.network.router_port(*id).addresses());
        within_any(self.sets, Field::IpDst, own.map(IpNet::from))
    }

    /// Looks for a route, asks the policies, and sends.
    pub(super) fn route(&mut self, inport: RouterPortId, flow: Flow) {
        let flow = self.go_back(inport, flow);
        if flow.set.is_none() {
            return;
        }
        let network = self.network;
        let router_id = network.router_port(inport).router;
        let router = network.router(router_id);
        let table = &network.router_port(inport).route_table;
        let routes = self.routes_of(router_id);
        let mut left = flow;
        for (equals, halves) in routes.by_priority() {
            let mut decided = Set::NONE;
            for (at, set) in halves.parts(|set| self.part(&left, set)) {
                let group = &equals[at];
                let is_asked = group.table.as_ref().is_none_or(|own| own == table)
                    && group.inport.is_none_or(|own| own == inport);
                if !is_asked {
                    continue;
                }
                if !group.may_be_down {
                    decided = self.sets.or(decided, set);
                }
                for way in &group.ways {
                    self.take(inport, way, Flow { set, ..left.clone() });
                }
            }
            left.set = self.sets.minus(left.set, decided);
        }
        if !left.set.is_none() {
            self.stop(left, router.row, Why::NoRoute);
        }
    }

    fn take(&mut self, inport: RouterPortId, way: &Way, mut flow: Flow) {
        match &way.to {
            To::Discard => self.stop(flow, way.row, Why::Discarded),
            To::Unjudged(what) => self.end(flow, End::Unjudged { row: way.row, what: what.clone() }),
            To::Port { out, next_hop } => {
                flow.ttl -= 1;
                let (row, out, next_hop) = (way.row, *out, *next_hop);
                self.policies(Via { row, inport, out, next_hop, back_to: None }, &mut Vec::new(), flow);
            }
        }
    }

    /// Asks the policies of a chain: the last one of `jumped`, the first of all where there is none.
    fn policies(&mut self, via: Via, jumped: &mut Vec<&'n str>, flow: Flow) {
        let network = self.network;
        let router = network.router(network.router_port(via.inport).router);
        let chain = jumped.last().copied();
        let is_here = |at: &usize| chain_of(&router.policies[*at].1) == chain;
        let mut order: Vec<usize> = (0..router.policies.len()).filter(is_here).collect();
        order.sort_by_key(|at| -router.policies[*at].1.priority);
        let mut left = flow;
        let around = Surroundings {
            inport: &network.router_port(via.inport).name,
            outport: &network.router_port(via.out).name,
            eth_src: Some(network.router_port(via.out).mac),
            eth_dst: left.eth_dst,
            ttl: left.ttl,
            tracked: Tracked::Not,
        };
        let priority = |at: &usize| router.policies[*at].1.priority;
        for equals in order.chunk_by(|a, b| priority(a) == priority(b)) {
            let (mut decided, mut tried) = (Set::NONE, Vec::new());
            for at in equals {
                let (row, policy, matching) = &router.policies[*at];
                let Some(effect) = effect(network, router, policy) else { continue };
                let (truth, unjudged) = self.truth(*row, matching, &around);
                let yes = self.part(&left, truth.yes);
                let unsure = self.sets.minus(self.part(&left, truth.maybe), yes);
                let what = format!("its match asks for {}, which is not followed", unjudged.join(", "));
                self.end(Flow { set: unsure, ..left.clone() }, End::Unjudged { row: *row, what });
                decided = self.sets.any([decided, yes, unsure]);
                let done = self.sets.any(tried.iter().filter(|(e, _)| *e == effect).map(|(_, set)| *set));
                let fresh = self.sets.minus(yes, done);
                tried.push((effect.clone(), yes));
                let flow = Flow { set: fresh, ..left.clone() };
                match effect {
                    Effect::Jump(chain) if jumped.contains(&chain) => {
                        let what = format!("policies jump from chain `{chain}` back to itself");
                        self.end(flow, End::Unjudged { row: *row, what });
                    }
                    Effect::Jump(chain) if !flow.set.is_none() => {
                        jumped.push(chain);
                        self.policies(via, jumped, flow);
                        jumped.pop();
                    }
                    effect => self.done_by_policy(*row, effect, via, flow),
                }
            }
            // The rule of no policy has priority 0 as well.
            if priority(&equals[0]) == 0 {
                break;
            }
            left.set = self.sets.minus(left.set, decided);
        }
        self.send(via, left);
    }

    fn done_by_policy(&mut self, row: RowId, effect: Effect<'_>, via: Via, mut flow: Flow) {
        if flow.set.is_none() {
            return;
        }
        match effect {
            Effect::Allow => {
                flow.step(Step::Policy(row));
                self.send(via, flow);
            }
            Effect::Drop => {
                let set = flow.set;
                if let Some(flow) = self.hinder(&flow, set, row, Why::Policy) {
                    self.send(via, flow);
                }
            }
            Effect::Reroute(hops) => hops.into_iter().for_each(|(next_hop, out)| {
                self.send(Via { row, out, next_hop: Some(next_hop), ..via }, flow.clone());
            }),
            // Of no packets: others were sent to the chain.
            Effect::Jump(_) => {}
            Effect::Unjudged(what) => self.end(flow, End::Unjudged { row, what }),
        }
    }

    /// Translates packets that leave, and sends them to the next hop, or in again by the gateway that has their
    /// destination.
    pub(super) fn send(&mut self, via: Via, mut flow: Flow) {
        let network = self.network;
        let port = network.router_port(via.out);
        let served = self.external(via.out, true);
        let lost = if via.inport == via.out { self.external(via.out, false) } else { Set::NONE };
        let lost = self.part(&flow, lost);
        self.stop_some(&mut flow, lost, port.row, Why::External);
        let own = self.sets.and(self.own(port.router), self.shared(port.router));
        let own = self.part(&flow, own);
        let passes = match via.next_hop {
            None => self.part(&flow, served),
            // Whoever is known gets it before anybody is asked for, and that is where such packets are lost.
            Some(hop) if self.is_known(port.link, hop) => own,
            Some(_) => Set::NONE,
        };
        let own = self.sets.minus(own, passes);
        self.stop_some(&mut flow, own, network.router(port.router).row, Why::RouterAddress);
        let mut flow = self.admitted(via.out, flow);
        if flow.set.is_none() {
            return;
        }
        flow.step(Step::Via { row: via.row, out: via.out, next_hop: via.next_hop });
        flow.eth_src = Some(port.mac);
        let is_answered = self.is_answered(via);
        for mut flow in self.translated_out(via.inport, via.out, flow) {
            let back = if is_answered { self.part(&flow, served) } else { Set::NONE };
            if !back.is_none() {
                self.come_back(via.out, Flow { set: back, ..flow.clone() });
            }
            flow.set = self.sets.minus(flow.set, back);
            self.deliver(via, flow);
        }
    }

    /// Packets come in again by the gateway that they would have left by.
    fn come_back(&mut self, gateway: RouterPortId, mut flow: Flow) {
        let network = self.network;
        let port = network.router_port(gateway);
        // Whoever has an Ethernet address of its own outside is let in by that all the same.
        if !port.is_enabled && flow.eth_src == Some(port.mac) {
            return self.stop(flow, port.row, Why::Disabled);
        }
        flow.step(Step::Router(gateway));
        if flow.visited.contains(&(gateway, flow.rewrite)) {
            return self.stop(flow, network.router(port.router).row, Why::Loop);
        }
        flow.visited.push((gateway, flow.rewrite));
        self.take_in(gateway, flow, true);
    }

    /// Gives packets the next hop's Ethernet address and sends them out.
    fn deliver(&mut self, via: Via, flow: Flow) {
        if flow.set.is_none() {
            return;
        }
        let network = self.network;
        let port = network.router_port(via.out);
        if !port.is_enabled {
            return self.stop(flow, port.row, Why::Disabled);
        }
        match port.link {
            Link::Nothing => self.stop(flow, port.row, Why::DeadEnd),
            Link::Contested => {
                let what = "more than one port claims to be its other end".to_owned();
                self.end(flow, End::Unjudged { row: port.row, what });
            }
            Link::Router(peer) => self.send_to_router(via, peer, flow),
            Link::Switch(switch_port) => {
                let switch = network.port(switch_port).switch;
                if let Some(eth_dst) = via.back_to {
                    return self.enter_switch(switch_port, Flow { eth_dst, ..flow });
                }
                let left = match via.next_hop {
                    None => {
                        let mut left = flow;
                        for holders in self.neighbours_for(switch, &left) {
                            let set = self.among(&left, &holders);
                            let flow = Flow { set, ..left.clone() };
                            left.set = self.sets.minus(left.set, set);
                            let (of, macs) = (holders.addresses[0], &holders.macs);
                            self.send_to_macs(switch_port, of, flow, macs, port.mac);
                        }
                        self.send_to_proxies(switch_port, Some(port.mac), left)
                    }
                    Some(next_hop) => match self.neighbour(switch, next_hop) {
                        Some(macs) => {
                            return self.send_to_macs(switch_port, next_hop, flow, &macs, port.mac);
                        }
                        None => flow,
                    },
                };
                let has_unknown = network.switch(switch).ports.iter().any(|id| network.port(*id).has_unknown);
                match has_unknown {
                    true => self.enter_switch(switch_port, Flow { eth_dst: None, ..left }),
                    false if left.set.is_none() => {}
                    false => self.stop(left, network.switch(switch).row, Why::Neighbour(via.next_hop)),
                }
            }
        }
    }

    fn send_to_macs(&mut self, port: PortId, of: IpAddr, flow: Flow, macs: &[u64], own: u64) {
        for mac in macs.iter().filter(|_| !flow.set.is_none()) {
            if *mac == own {
                let row = self.network.port(port).row;
                self.stop(flow.clone(), row, Why::SamePort);
            } else {
                let flow = self.resolved(port, Some(own), of, *mac, flow.clone());
                self.enter_switch(port, Flow { eth_dst: Some(*mac), ..flow });
            }
        }
    }

    fn send_to_router(&mut self, via: Via, peer: RouterPortId, mut flow: Flow) {
        let far = self.network.router_port(peer);
        if far.link != Link::Router(via.out) {
            let what = "the port that it names as its peer does not name it".to_owned();
            let row = self.network.router_port(via.out).row;
            return self.end(flow, End::Unjudged { row, what });
        }
        let addresses: Vec<IpAddr> = far.addresses().collect();
        let reached = match via.next_hop {
            _ if via.back_to.is_some() => flow.set,
            Some(next_hop) if addresses.contains(&next_hop) => flow.set,
            Some(_) => Set::NONE,
            None => {
                let own = addresses.iter().map(|own| self.destined(&(*own).into()));
                self.part(&flow, self.sets.any(own))
            }
        };
        let lost = self.sets.minus(flow.set, reached);
        if !lost.is_none() {
            self.stop(Flow { set: lost, ..flow.clone() }, far.row, Why::Neighbour(via.next_hop));
        }
        flow.set = reached;
        if !flow.set.is_none() {
            flow.eth_dst = Some(far.mac);
            self.enter_router(peer, flow);
        }
    }
}

/// Ethernet addresses of translations that a gateway takes packets for.
pub(super) fn external_macs(network: &Network, gateway: RouterPortId) -> impl Iterator<Item = u64> {
    let router = network.router(network.router_port(gateway).router);
    let here = router.translations.iter().filter(move |it| it.gateway == Some(gateway) && it.has_chassis);
    here.filter_map(|it| it.mac)
}

/// What a policy does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Effect<'n> {
    Allow,
    Drop,
    Reroute(Vec<(IpAddr, RouterPortId)>),
    /// To the policies of this chain.
    Jump(&'n str),
    Unjudged(String),
}

/// What a policy does; `None` when OVN passes over it.
fn effect<'n>(network: &Network, router: &'n Router, policy: &'n LogicalRouterPolicy) -> Option<Effect<'n>> {
    match policy.action.as_str() {
        "jump" => {
            let chain = policy.jump_chain.as_deref()?;
            let is_there = router.policies.iter().any(|(_, policy, _)| chain_of(policy) == Some(chain));
            return is_there.then_some(Effect::Jump(chain));
        }
        "allow" => return Some(Effect::Allow),
        "drop" => return Some(Effect::Drop),
        "reroute" if !policy.bfd_sessions.is_empty() => {
            return Some(Effect::Unjudged("whether its BFD sessions are up is not in the rows".to_owned()));
        }
        "reroute" => {}
        other => return Some(Effect::Unjudged(format!("its action `{other}` is not followed"))),
    }
    let mut hops = Vec::new();
    for text in &policy.nexthops {
        let next_hop = text.parse::<IpAddr>().ok();
        let outs = next_hop.map(|hop| ports_towards(network, &router.ports, hop)).unwrap_or_default();
        match (next_hop, outs.as_slice()) {
            (Some(next_hop), [out]) => hops.push((next_hop, *out)),
            (Some(_), [_, _, ..]) => {
                return Some(Effect::Unjudged(format!("several ports of the router lead to {text}")));
            }
            // Before 25.03 one bad next hop is the end of the whole policy.
            _ if network.target < scoped() => return None,
            _ => {}
        }
    }
    (!hops.is_empty()).then_some(Effect::Reroute(hops))
}

/// The chain that a policy is in.
fn chain_of(policy: &LogicalRouterPolicy) -> Option<&str> {
    policy.chain.as_deref().filter(|chain| !chain.is_empty())
}

/// A port to leave by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Via {
    pub(super) row: RowId,
    pub(super) inport: RouterPortId,
    pub(super) out: RouterPortId,
    pub(super) next_hop: Option<IpAddr>,
    /// For what goes back as it came: the Ethernet address that it came from, where that is known.
    pub(super) back_to: Option<Option<u64>>,
}

/// The first OVN that keeps routes by source to their table, and drops single next hops of a policy.
pub(super) fn scoped() -> Target {
    Target::TESTED[1]
}

/// Ports in whose networks an address is.
pub(super) fn ports_towards(network: &Network, ports: &[RouterPortId], address: IpAddr) -> Vec<RouterPortId> {
    let link_local: IpNet = "fe80::/64".parse().expect("a network");
    let reaches = |id: &&RouterPortId| {
        let networks = &network.router_port(**id).networks;
        let is_ipv6 = networks.iter().any(|net| net.addr().is_ipv6());
        networks.iter().any(|net| net.contains(&address)) || is_ipv6 && link_local.contains(&address)
    };
    ports.iter().filter(reaches).copied().collect()
}

fn echo_requests(walker: &Walker<'_>) -> Set {
    let sets = walker.sets;
    let of = |family, proto, kind| {
        let fields =
            [(Field::EthType, family), (Field::IpProto, proto), (Field::TpSrc, kind), (Field::TpDst, 0)];
        fields.into_iter().fold(Set::ALL, |set, (field, value)| sets.and(set, sets.value(field, value)))
    };
    sets.or(of(IPV4, ICMP, 8), of(IPV6, ICMP6, 128))
}
