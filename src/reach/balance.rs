//! Balancers: what is for a virtual address goes to a backend, any of them.
//!
//! | where | ovn-northd(8) |
//! |---|---|
//! | a switch | what machines and physical networks send, between `from-lport` rules and those that apply after balancers |
//! | a router on one chassis, or without a gateway | whatever comes in |
//! | another router | whatever comes in by its gateway; the rest where its sender is on the gateway's chassis |
//!
//! Only a router with a gateway, or on one chassis, knows its answers again. A backend that asks itself sees
//! another source: the virtual address, or the one that the balancer has for that.
//!
//! Refuses to choose a backend: packets go to all of them. Those that are looked after are taken to be alive.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::within;
use super::filter::Tracked;
use super::header::{Field, eth_type};
use super::nat::{Change, Does, Keeper, Rule, Sources, Zone};
use super::network::{Direction, PortId, RouterPortId, Vip};
use super::set::Set;
use super::switch::Stage;
use super::walk::{Flow, Kind, Walker, Why};
use crate::target::Target;

/// Sources that are kept, and those that are given, win over translations of one chassis' router.
const KEPT: u32 = 120;
const GIVEN_BY_PORT: u32 = 110;
const GIVEN: u32 = 100;
/// Addresses with a port win over those without.
const WITH_PORT: u32 = 120;
const WITHOUT_PORT: u32 = 110;

impl<'n> Walker<'n> {
    /// Balancers as rules of a stage; known connections pass them by.
    pub(super) fn balancing(&self, vips: &'n [Vip]) -> Vec<Rule<'n>> {
        let rule = |vip: &'n Vip| Rule {
            priority: if vip.port.is_some() { WITH_PORT } else { WITHOUT_PORT },
            matching: self.served(vip),
            does: Does::Balance(vip),
        };
        if self.kind == Kind::KnownAnswer {
            Vec::new()
        } else {
            vips.iter().filter(|vip| !vip.is_void).map(rule).collect()
        }
    }

    /// Packets for a virtual address.
    fn served(&self, vip: &Vip) -> Set {
        self.end_of(Field::IpDst, Field::TpDst, vip, (vip.address, vip.port))
    }

    fn end_of(&self, field: Field, tp: Field, vip: &Vip, (address, port): (IpAddr, Option<u16>)) -> Set {
        let sets = self.sets;
        let at = within(sets, field, address.into());
        let Some(port) = port else { return at };
        let service = sets.and(sets.value(Field::IpProto, vip.proto), sets.value(tp, port.into()));
        sets.and(at, service)
    }

    /// Whether all that comes in by a router port is spread, wherever its sender is.
    pub(super) fn is_spread(&self, inport: RouterPortId, vip: &Vip) -> bool {
        let network = self.network;
        let router = network.router(network.router_port(inport).router);
        let mut gateways = router.ports.iter().filter(|id| network.router_port(**id).is_gateway);
        let is_refused = vip.backends.is_empty() && vip.rejects;
        router.is_gateway || is_refused || network.router_port(inport).is_gateway || gateways.next().is_none()
    }

    /// Packets that a gateway takes for answers of backends.
    pub(super) fn spread_from(&self, inport: RouterPortId, out: RouterPortId) -> Set {
        let network = self.network;
        let is_gateway = |id| network.router_port(id).is_gateway;
        let is_asked = is_gateway(out) || network.target >= Target::TESTED[1] && is_gateway(inport);
        let vips = network.router(network.router_port(out).router).vips.iter();
        let vips = vips.filter(|vip| is_asked && !vip.keeps_source);
        let ends = vips.flat_map(|vip| vip.backends.iter().map(move |backend| (vip, *backend)));
        self.sets.any(ends.map(|(vip, end)| self.end_of(Field::IpSrc, Field::TpSrc, vip, end)))
    }

    /// What a switch makes of what comes in by a port, once `from-lport` rules have let it through.
    pub(super) fn balanced(&mut self, inport: PortId, flow: Flow) {
        let network = self.network;
        let switch = network.switch(network.port(inport).switch);
        let stage = Stage {
            switch: network.port(inport).switch,
            direction: Direction::FromPortBalanced,
            inport,
            outport: None,
        };
        if !network.is_tracked(inport) || flow.tracked == Tracked::Not {
            return self.judged(stage, flow).into_iter().for_each(|flow| self.look_up(inport, flow));
        }
        if flow.tracked == Tracked::Reply {
            let (back, flow) = self.recalled_at(inport, Zone::Source, flow);
            back.into_iter().for_each(|flow| self.loop_back(inport, flow));
            return self.judged(stage, flow).into_iter().for_each(|flow| self.look_up(inport, flow));
        }
        let Some(flow) = self.without_unfollowed(&switch.unfollowed, flow) else { return };
        let keeper = Keeper::Port(inport);
        let rules = self.balancing(&switch.vips);
        let n_memories = flow.memories.len();
        for mut flow in self.stage(keeper, Zone::Destination, rules, flow) {
            match flow.memories.get(n_memories..).and_then(<[_]>::last) {
                Some(made) if made.is_own() => {
                    self.loop_back(inport, flow);
                    continue;
                }
                Some(_) => {}
                None => self.remember_at(inport, &mut flow),
            }
            self.judged(stage, flow).into_iter().for_each(|flow| self.look_up(inport, flow));
        }
    }

    /// A copy of packets for each backend of a balancer.
    pub(super) fn spread(&mut self, keeper: Keeper, mut flow: Flow, vip: &Vip) -> Vec<Flow> {
        if vip.backends.is_empty() {
            self.stop(flow, vip.row, Why::NoBackend { is_told: vip.rejects });
            return Vec::new();
        }
        let forces = match keeper {
            Keeper::Router(id) => {
                let forced = &self.network.router(id).forced;
                forced.is_of_port || !forced.balanced.is_empty()
            }
            Keeper::Port(_) => false,
        };
        flow.sources = match (vip.keeps_source, forces) {
            (true, _) => Sources::Kept,
            (false, true) => Sources::Balanced,
            (false, false) => Sources::Translated,
        };
        let mut spread = Vec::new();
        for (to, port) in &vip.backends {
            let ports = port.map(|port| (port, port));
            let change = Change { row: vip.row, to: *to, ports, mac: None, is_remembered: true };
            let own = match keeper {
                Keeper::Port(_) => self.part(&flow, within(self.sets, Field::IpSrc, (*to).into())),
                Keeper::Router(_) => Set::NONE,
            };
            let others = Flow { set: self.sets.minus(flow.set, own), ..flow.clone() };
            spread.extend(self.changed(keeper, Zone::Destination, others, change));
            let own = self.changed(keeper, Zone::Destination, Flow { set: own, ..flow.clone() }, change);
            let mask = Change { to: vip.hairpin, ports: None, ..change };
            spread.extend(own.into_iter().flat_map(|own| self.changed(keeper, Zone::Source, own, mask)));
        }
        spread.retain(|flow| !flow.set.is_none());
        spread
    }

    /// What decides on sources before translations are asked.
    pub(super) fn giving(&self, out: RouterPortId, sources: Sources) -> Vec<Rule<'n>> {
        let port = self.network.router_port(out);
        let router = self.network.router(port.router);
        let forced = &router.forced;
        let give = |priority, addresses: Vec<IpAddr>| {
            let of = |is_ipv6| addresses.iter().copied().find(|own| own.is_ipv6() == is_ipv6);
            let rule = |to: IpAddr| Rule {
                priority,
                matching: self.sets.value(Field::EthType, eth_type(to)),
                does: Does::Give(router.row, to),
            };
            [of(false), of(true)].into_iter().flatten().map(rule).collect::<Vec<_>>()
        };
        match sources {
            Sources::Translated => Vec::new(),
            Sources::Kept => vec![Rule { priority: KEPT, matching: Set::ALL, does: Does::Nothing }],
            Sources::Balanced if forced.is_of_port => {
                give(GIVEN_BY_PORT, port.networks.iter().map(IpNet::addr).collect())
            }
            Sources::Balanced => give(GIVEN, forced.balanced.clone()),
            Sources::Forced => give(GIVEN, forced.translated.clone()),
        }
    }
}
