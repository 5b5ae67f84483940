//! Who can be an end of packets that a change turns, where it touches only switches that lead to one router each.
//!
//! No packet passes through such a switch, for OVN sends none back where it came from: who meets what differs is there,
//! at a port that it is about, or is sent to an address that leads there; or sends to one that is taken to be outside.
//!
//! Refuses to know what differs.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::Side;
use super::alike::Person;
use super::touched::Part;
use crate::reach::address::within_any;
use crate::reach::classes::follow::Between;
use crate::reach::classes::zones::Zones;
use crate::reach::header::Field;
use crate::reach::judge::Judge;
use crate::reach::network::{Link, Network, Port, PortId, PortKind, RouterId, RouterPort, SwitchId};
use crate::reach::parties::externals;

/// Between whom packets can take a turn in a part, at some of its switch ports if they are said; `None` if it may be
/// anybody.
pub(super) fn between(
    sides: &[Side<'_>; 2],
    parts: &[Part; 2],
    names: Option<&HashSet<String>>,
    people: &[Person<'_>],
) -> Option<Between> {
    let [before, after] = [0, 1].map(|side: usize| Ends::of(&sides[side], &parts[side], names));
    let mut ends = [before?, after?];
    // Whose an address is may have changed: what leads there on one side does on the other.
    let leading: HashSet<IpAddr> = ends.iter().flat_map(|ends| &ends.leading).copied().collect();
    let nets = leading.iter().map(|address| IpNet::from(*address));
    let outwards = within_any(sides[0].judge.sets, Field::IpDst, nets);
    ends.iter_mut().for_each(|ends| ends.leading.clone_from(&leading));
    let is_on = |side: usize, port: Option<PortId>| port.is_some_and(|port| ends[side].has_port(port));
    let is_end = |it: &Person<'_>| [0, 1].into_iter().any(|side| is_on(side, it.ports[side]));
    Some(Between { ends: people.iter().map(is_end).collect(), outwards })
}

/// Who can be an end on one side.
struct Ends<'s, 'n> {
    judge: &'s Judge<'n>,
    network: &'n Network,
    zones: &'s Zones,
    /// The parts of the network with addresses of their own that the switches are in.
    own: BTreeSet<usize>,
    /// Machines there.
    ports: HashSet<PortId>,
    /// Switches from which somebody may send whatever he wants to their routers.
    switches: BTreeSet<SwitchId>,
    /// Networks that lead to them, by part.
    nets: Vec<(usize, IpNet)>,
    /// Addresses that somebody there has, by part.
    hosts: HashSet<(usize, IpAddr)>,
    /// Addresses that are turned into one there.
    leading: HashSet<IpAddr>,
}

impl<'s, 'n> Ends<'s, 'n> {
    fn of(side: &'s Side<'n>, part: &Part, names: Option<&HashSet<String>>) -> Option<Ends<'s, 'n>> {
        if part.is_routed_otherwise {
            return None;
        }
        let (judge, network, zones) = (&side.judge, side.judge.network, side.zones());
        let mut ends = Ends {
            judge,
            network,
            zones,
            own: part.touched.iter().map(|id| zones.of_switch(*id)).collect(),
            ports: HashSet::new(),
            switches: BTreeSet::new(),
            nets: Vec::new(),
            hosts: HashSet::new(),
            leading: HashSet::new(),
        };
        let doors = part.touched.iter().map(|id| ends.door(*id)).collect::<Option<Vec<_>>>()?;
        for (id, door) in part.touched.iter().zip(&doors) {
            ends.machines(*id, *door, names);
        }
        while ends.follow(part) {}
        let fronts = ends.fronts(part);
        let is_passed_on = part.routers.iter().any(|id| ends.is_sent_there(*id, &fronts, &doors));
        (!is_passed_on).then_some(ends)
    }

    /// Adds those of a switch, and what leads to them there.
    fn machines(&mut self, id: SwitchId, door: Option<&RouterPort>, names: Option<&HashSet<String>>) {
        let zone = self.zones.of_switch(id);
        let is_named = |port: &Port| names.is_none_or(|names| names.contains(&port.name));
        let ports = &self.network.switch(id).ports;
        let is_any = |port: &Port| port.has_unknown || port.kind != PortKind::Guest;
        let is_all = ports.iter().map(|id| self.network.port(*id)).any(|port| is_named(port) && is_any(port));
        if is_all {
            self.nets.extend(door.iter().flat_map(|door| &door.networks).map(|net| (zone, *net)));
        }
        for id in ports.iter().filter(|id| is_all || is_named(self.network.port(**id))) {
            let port = self.network.port(*id);
            self.ports.insert(*id);
            let own = port.addresses.iter().flat_map(|own| &own.ips).map(IpNet::addr);
            self.hosts.extend(own.chain(port.shared.iter().copied()).map(|address| (zone, address)));
        }
    }

    /// The only way out of a switch of machines, if there is one; `None` if it is not such a switch.
    fn door(&self, id: SwitchId) -> Option<Option<&'n RouterPort>> {
        let ports = self.network.switch(id).ports.iter().map(|id| (*id, &self.network.port(*id).kind));
        let mut others = ports.filter(|(_, kind)| **kind != PortKind::Guest);
        match (others.next(), others.next()) {
            (None, _) => Some(None),
            (Some((own, PortKind::Router(to))), None) => {
                let door = to.map(|to| self.network.router_port(to));
                // Who claims what another switch claims too may keep that from its router.
                door.is_none_or(|door| door.link == Link::Switch(own)).then_some(door)
            }
            _ => None,
        }
    }

    /// Adds addresses that are turned into one that leads there; whether there were more.
    fn follow(&mut self, part: &Part) -> bool {
        let n_before = self.leading.len();
        for id in &part.routers {
            let zone = self.zones.of_router(*id);
            for it in &self.network.router(*id).translations {
                let is_own = self
                    .nets
                    .iter()
                    .any(|(of, net)| *of == zone && (it.logical.contains(net) || net.contains(&it.logical)));
                let is_in = |address: &IpAddr| it.logical.contains(address);
                let is_host = || self.hosts.iter().any(|(of, host)| *of == zone && is_in(host));
                if is_own || is_host() || self.leading.iter().any(is_in) {
                    self.leading.insert(it.external);
                }
            }
        }
        let of_routers =
            part.routers.iter().map(|id| (self.zones.of_router(*id), &self.network.router(*id).vips));
        let of_switches =
            part.switches.iter().map(|id| (self.zones.of_switch(*id), &self.network.switch(*id).vips));
        let all =
            of_routers.chain(of_switches).flat_map(|(zone, vips)| vips.iter().map(move |vip| (zone, vip)));
        let found =
            all.filter(|(zone, vip)| vip.backends.iter().any(|(backend, _)| self.has(*zone, *backend)));
        let found: Vec<IpAddr> = found.map(|(_, vip)| vip.address).collect();
        self.leading.extend(found);
        self.leading.len() > n_before
    }

    /// Addresses by which others send to routers of the same parts; machines that can choose to are ends.
    fn fronts(&mut self, part: &Part) -> HashSet<IpAddr> {
        let mut fronts = HashSet::new();
        for id in part.routers.iter().filter(|id| self.own.contains(&self.zones.of_router(**id))) {
            let router = self.network.router(*id);
            fronts.extend(router.translations.iter().map(|it| it.external));
            fronts.extend(router.vips.iter().map(|vip| vip.address));
            for port in router.ports.iter().map(|id| self.network.router_port(*id)) {
                fronts.extend(port.addresses());
                if let Link::Switch(to) = port.link {
                    let switch = self.network.port(to).switch;
                    let is_shared = self.zones.of_switch(switch) != self.zones.of_router(*id);
                    self.switches.extend(is_shared.then_some(switch));
                }
            }
        }
        fronts
    }

    /// Whether a router sends what it is not for there, or on its way there.
    fn is_sent_there(&self, id: RouterId, fronts: &HashSet<IpAddr>, doors: &[Option<&RouterPort>]) -> bool {
        let (router, zone) = (self.network.router(id), self.zones.of_router(id));
        let is_away = !self.own.contains(&zone);
        let leads = |text: &String| {
            let is_it = |hop: IpAddr| self.has(zone, hop) || is_away && fronts.contains(&hop);
            text.parse().is_ok_and(is_it)
        };
        let by = |port: &String| doors.iter().flatten().any(|door| door.name == *port);
        let mut hops = router.policies.iter().flat_map(|(_, policy, _)| &policy.nexthops);
        hops.any(leads)
            || router
                .routes
                .iter()
                .any(|(_, route)| leads(&route.nexthop) || route.output_port.iter().any(by))
    }

    fn has(&self, zone: usize, address: IpAddr) -> bool {
        self.leading.contains(&address)
            || self.hosts.contains(&(zone, address))
            || self.nets.iter().any(|(of, net)| *of == zone && net.contains(&address))
    }

    /// Whether a machine is one.
    fn has_port(&self, port: PortId) -> bool {
        let switch = self.network.port(port).switch;
        let zone = self.zones.of_switch(switch);
        self.ports.contains(&port)
            || self.switches.contains(&switch)
            || self.judge.walker.guests.addresses(port).into_iter().any(|own| self.has(zone, own))
            || externals(self.judge, port).into_iter().any(|external| self.leading.contains(&external))
    }
}
