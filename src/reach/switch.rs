//! Switches: port security, access rules, and which port has an Ethernet address.
//!
//! | stage | ovn-northd(8) |
//! |---|---|
//! | in | port security, `from-lport` rules, lookup by destination Ethernet address |
//! | out | `to-lport` rules, port security |
//!
//! On a switch with an `allow-related` rule or a balancer, what a machine sends and is sent goes through conntrack:
//! an answer to a packet that was let through passes before any rule is asked. What comes from or goes to a router does
//! not, and takes along what conntrack said at the other end, to a router only where there is such a rule. What comes
//! from or goes to a physical network does where there is a balancer.
//!
//! Refuses to choose between rules of equal priority: their packets go both ways.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::{is_host, within};
use super::filter::{Surroundings, Tracked};
use super::header::{Field, IPV4, IPV6, UDP};
use super::nat::Zone;
use super::network::{
    self, AclId, Action, Address, Direction, Network, Port, PortId, PortKind, Responder, RouterPortId, RowId,
    SwitchId, Translation, link_local_of,
};
use super::router::external_macs;
use super::set::{Set, Sets};
use super::walk::{End, Flow, Kind, OUTCOMES_MAX, Step, Walker, Why};

/// Which ports have an Ethernet address.
pub(super) fn macs(network: &Network, switch: SwitchId) -> HashMap<u64, Vec<PortId>> {
    let mut macs: HashMap<u64, Vec<PortId>> = HashMap::new();
    for id in &network.switch(switch).ports {
        let port = network.port(*id);
        let mut own: Vec<u64> = port.addresses.iter().map(|address| address.mac).collect();
        if let Some(id) = port.router_port().filter(|_| port.is_router_address) {
            own.extend(external_macs(network, id).chain([network.router_port(id).mac]).chain(port.proxy_mac));
        }
        own.sort_unstable();
        own.dedup();
        own.into_iter().for_each(|mac| macs.entry(mac).or_default().push(*id));
    }
    macs
}

/// The Ethernet addresses of whoever has an address on a switch, as its rows say.
pub(super) fn neighbours(network: &Network, switch: SwitchId) -> BTreeMap<IpAddr, Vec<u64>> {
    let mut neighbours: BTreeMap<IpAddr, Vec<u64>> = BTreeMap::new();
    for id in &network.switch(switch).ports {
        let port = network.port(*id);
        for Address { mac, ips } in &port.addresses {
            ips.iter().for_each(|net| neighbours.entry(net.addr()).or_default().push(*mac));
        }
        // Whoever of the machines has taken a virtual address on answers for it.
        let own = port.addresses.first().filter(|_| port.kind == PortKind::Guest);
        for (address, own) in port.shared.iter().zip(own.into_iter().cycle()) {
            neighbours.entry(*address).or_default().push(own.mac);
        }
        if let Some(id) = port.router_port() {
            let router = network.router_port(id);
            let proxied = port.proxied.iter().filter(|net| is_host(net)).map(IpNet::addr);
            // Since 23.06 whoever has the address answers first.
            let proxied = proxied.filter(|_| !network.target.is_at_least((23, 6)));
            let own = router.addresses().chain(answered(network, id)).chain(proxied);
            own.for_each(|own| neighbours.entry(own).or_default().push(router.mac));
            for (external, mac) in externals(network, id) {
                neighbours.entry(external).or_default().push(mac);
            }
        }
    }
    for macs in neighbours.values_mut() {
        macs.sort_unstable();
        macs.dedup();
    }
    neighbours
}

/// Networks that routers answer for where nobody on a switch has the address, with the Ethernet address.
pub(super) fn proxies(network: &Network, switch: SwitchId) -> Vec<(IpNet, u64)> {
    let ports = network.switch(switch).ports.iter().map(|id| network.port(*id));
    let proxies = ports.filter_map(|port| Some((port, network.router_port(port.router_port()?))));
    let nets = proxies.flat_map(|(port, router)| {
        port.proxied.iter().map(move |net| (*net, port.proxy_mac.unwrap_or(router.mac)))
    });
    nets.collect()
}

/// Addresses that routers on a switch answer for, and no row tells of.
pub(super) fn unknown(network: &Network, switch: SwitchId) -> BTreeSet<IpAddr> {
    let routers: Vec<RouterPortId> = network.routers_on(switch).map(|(_, id)| id).collect();
    let external = routers.iter().flat_map(|id| externals(network, *id).map(|(external, _)| external));
    let mut unknown: BTreeSet<IpAddr> =
        external.chain(routers.iter().flat_map(|id| answered(network, *id))).collect();
    let ports = network.switch(switch).ports.iter().map(|id| network.port(*id));
    let own = ports.flat_map(|port| &port.addresses).flat_map(|address| address.ips.iter().map(IpNet::addr));
    for own in own.chain(routers.iter().flat_map(|id| network.router_port(*id).addresses())) {
        unknown.remove(&own);
    }
    unknown
}

/// External addresses that a router port answers for, with the Ethernet address.
fn externals(network: &Network, id: RouterPortId) -> impl Iterator<Item = (IpAddr, u64)> {
    let port = network.router_port(id);
    let translations = network.router(port.router).translations.iter();
    let is_here = move |it: &&Translation| match it.gateway {
        Some(gateway) => gateway == id && it.has_chassis,
        None => port.networks.iter().any(|net| net.contains(&it.external)),
    };
    translations.filter(is_here).map(|it| (it.external, it.mac.unwrap_or(port.mac)))
}

/// Virtual addresses that a router port answers for: those in a network of its router, or what balancers say.
fn answered(network: &Network, id: RouterPortId) -> impl Iterator<Item = IpAddr> {
    let router = network.router(network.router_port(id).router);
    let is_near = |address: &IpAddr| {
        let mut nets = router.ports.iter().flat_map(|id| &network.router_port(*id).networks);
        nets.any(|net| net.contains(address))
    };
    let vips = router.vips.iter().filter(move |vip| match vip.responder {
        Responder::Always => true,
        Responder::Near => is_near(&vip.address),
        Responder::Never => false,
    });
    vips.map(|vip| vip.address)
}

/// A stage of rules.
#[derive(Clone, Copy)]
pub(super) struct Stage {
    pub(super) switch: SwitchId,
    pub(super) direction: Direction,
    pub(super) inport: PortId,
    pub(super) outport: Option<PortId>,
}

impl<'n> Walker<'n> {
    /// Packets come into a switch.
    pub(super) fn enter_switch(&mut self, inport: PortId, flow: Flow) {
        let came_from = self.asked.as_ref().map(|asked| asked.on_switch(self.network.port(inport).switch));
        self.let_in(inport, flow);
        self.come_from(came_from);
    }

    fn let_in(&mut self, inport: PortId, mut flow: Flow) {
        let network = self.network;
        let port = network.port(inport);
        if flow.set.is_none() || self.gives_up(&flow, port.row) {
            return;
        }
        if !port.is_enabled {
            return self.stop(flow, port.row, Why::Disabled);
        }
        if flow.first_hop.is_none() {
            flow.first_hop = Some((inport, flow.eth_dst));
            flow.first_source = flow.eth_src;
        }
        flow.step(Step::In(inport));
        let allowed = allowed(self.sets, port, flow.eth_src, Field::IpSrc);
        let good = self.part(&flow, allowed);
        let bad = self.sets.minus(flow.set, good);
        let spoofed = self.hinder(&flow, bad, port.row, Why::Spoofed);
        flow.set = good;
        let stage = Stage { switch: port.switch, direction: Direction::FromPort, inport, outport: None };
        for flow in [Some(flow), spoofed].into_iter().flatten() {
            self.access(stage, flow).into_iter().for_each(|flow| self.balanced(inport, flow));
        }
    }

    /// Whether it is time to stop, or there are too many outcomes to go on.
    fn gives_up(&mut self, flow: &Flow, row: RowId) -> bool {
        let is_over = self.outcomes.len() + 1 >= OUTCOMES_MAX;
        if is_over {
            self.end(flow.clone(), End::Unjudged { row, what: "there are too many ways".to_owned() });
        }
        is_over || self.goes_on.is_some_and(|goes_on| !goes_on())
    }

    /// Finds the port that has the destination's Ethernet address.
    pub(super) fn look_up(&mut self, inport: PortId, flow: Flow) {
        let network = self.network;
        let switch = network.port(inport).switch;
        let found = flow.eth_dst.map_or_else(Vec::new, |mac| self.ports_with(switch, mac).to_vec());
        if !found.is_empty() {
            return found.into_iter().for_each(|outport| self.forward(inport, outport, flow.clone()));
        }
        let ports = network.switch(switch).ports.iter().copied();
        let unknown: Vec<PortId> =
            ports.filter(|id| *id != inport && network.port(*id).has_unknown).collect();
        match unknown.as_slice() {
            [] => self.stop(flow, network.switch(switch).row, Why::EthernetAddress),
            [outport] => self.forward(inport, *outport, flow),
            [first, ..] => {
                let what = "several ports of its switch take unknown addresses".to_owned();
                self.end(flow, End::Unjudged { row: network.port(*first).row, what });
            }
        }
    }

    /// Packets leave a switch by the port that has their destination.
    fn forward(&mut self, inport: PortId, outport: PortId, flow: Flow) {
        let port = self.network.port(outport);
        if !port.is_enabled {
            return self.stop(flow, port.row, Why::Disabled);
        }
        if inport == outport {
            return self.stop(flow, port.row, Why::SamePort);
        }
        self.leave_switch(inport, outport, flow);
    }

    /// Packets go back to the machine that has sent them.
    pub(super) fn loop_back(&mut self, port: PortId, flow: Flow) {
        let (eth_src, eth_dst) = (flow.eth_dst, flow.eth_src);
        self.leave_switch(port, port, Flow { eth_src, eth_dst, ..flow });
    }

    fn leave_switch(&mut self, inport: PortId, outport: PortId, flow: Flow) {
        let network = self.network;
        let port = network.port(outport);
        let stage =
            Stage { switch: port.switch, direction: Direction::ToPort, inport, outport: Some(outport) };
        for mut flow in self.access(stage, flow) {
            let allowed = allowed(self.sets, port, flow.eth_dst, Field::IpDst);
            let good = self.part(&flow, allowed);
            let bad = self.sets.minus(flow.set, good);
            let misaddressed = self.hinder(&flow, bad, port.row, Why::NotItsAddress);
            flow.set = good;
            for flow in [Some(flow), misaddressed].into_iter().flatten() {
                self.hand_over(outport, flow);
            }
        }
    }

    fn hand_over(&mut self, outport: PortId, mut flow: Flow) {
        flow.step(Step::Out(outport));
        flow.tracked = Tracked::Not;
        let port = self.network.port(outport);
        let row = port.row;
        match &port.kind {
            PortKind::Guest => self.end(flow, End::Port(outport)),
            PortKind::Localnet => self.end(flow, End::Outside(outport)),
            PortKind::Router(Some(router_port)) => self.enter_router(*router_port, flow),
            PortKind::Router(None) => self.stop(flow, row, Why::DeadEnd),
            PortKind::Other(kind) => {
                let what = format!("what is behind a port of type `{kind}` is not in the rows");
                self.end(flow, End::Unjudged { row, what });
            }
        }
    }

    /// What the rules of a stage let through.
    fn access(&mut self, stage: Stage, flow: Flow) -> Vec<Flow> {
        let network = self.network;
        let switch = network.switch(stage.switch);
        let facing = stage.outport.unwrap_or(stage.inport);
        if !switch.is_stateful() {
            return self.judged(stage, Flow { tracked: Tracked::Not, ..flow });
        }
        if !network.is_tracked(facing) {
            let is_forgotten = stage.outport.is_some() && !switch.has_followed;
            let tracked = if is_forgotten { Tracked::Not } else { flow.tracked };
            return self.judged(stage, Flow { tracked, ..flow });
        }
        let mut let_through = Vec::new();
        let mut followed = flow;
        for id in &switch.acls {
            let rule = &network.acls[id.0];
            let is_of_machine =
                (rule.direction == Direction::ToPort) == (stage.direction == Direction::ToPort);
            if !is_of_machine || rule.action != Action::AllowStateless {
                continue;
            }
            let around = self.around(stage, &followed);
            let (truth, unjudged) = self.truth(rule.row, &rule.matching, &around);
            let yes = self.part(&followed, truth.yes);
            let unsure = self.sets.minus(self.part(&followed, truth.maybe), yes);
            self.cannot_judge(&followed, unsure, *id, &unjudged);
            followed.set = self.sets.minus(followed.set, self.sets.or(yes, unsure));
            // What conntrack said at the sender is still known on its own chassis alone.
            let mut said = vec![Tracked::Not, followed.tracked];
            said.dedup();
            for tracked in said.into_iter().filter(|_| !yes.is_none()) {
                let_through.extend(self.judged(stage, Flow { set: yes, tracked, ..followed.clone() }));
            }
        }
        let (known, new) = match self.kind {
            Kind::First => (Vec::new(), Some(followed)),
            Kind::KnownAnswer => (vec![followed], None),
            Kind::Answer => {
                let (known, new) = self.recalled_at(facing, Zone::Destination, followed);
                (known, Some(new))
            }
        };
        for known in known {
            let_through.extend(self.judged(stage, Flow { tracked: Tracked::Reply, ..known }));
        }
        let new = new.map(|new| self.judged(stage, Flow { tracked: Tracked::New, ..new }));
        for mut flow in new.into_iter().flatten() {
            // What a machine sends may yet be sent elsewhere by a balancer.
            if stage.outport.is_some() {
                self.remember_at(facing, &mut flow);
            }
            let_through.push(flow);
        }
        let_through
    }

    /// What the rules of a stage let through, once it is clear what conntrack says.
    pub(super) fn judged(&mut self, stage: Stage, mut flow: Flow) -> Vec<Flow> {
        if flow.set.is_none() {
            return Vec::new();
        }
        let network = self.network;
        let switch = network.switch(stage.switch);
        if flow.tracked == Tracked::Reply {
            if stage.direction != Direction::FromPortBalanced {
                flow.step(Step::Connection(stage.switch));
            }
            return vec![flow];
        }
        let looks_this_way = |id: &AclId| network.acls[id.0].direction == stage.direction;
        let rules: Vec<AclId> = switch.acls.iter().copied().filter(looks_this_way).collect();
        let mut let_through = Vec::new();
        if stage.direction == Direction::ToPort && network.passes_dns(stage.switch) {
            let from_server = self
                .sets
                .and(self.sets.value(Field::IpProto, UDP), self.sets.value(Field::TpSrc, network::DNS_PORT));
            let set = self.part(&flow, from_server);
            if !set.is_none() {
                let_through.push(Flow { set, ..flow.clone() });
                flow.set = self.sets.minus(flow.set, set);
            }
        }
        for tier in rules.chunk_by(|a, b| network.acls[a.0].tier == network.acls[b.0].tier) {
            let mut passed = Set::NONE;
            for equals in tier.chunk_by(|a, b| network.acls[a.0].priority == network.acls[b.0].priority) {
                passed = self.sets.or(passed, self.equals(stage, equals, &mut flow, &mut let_through));
            }
            flow.set = self.sets.or(flow.set, passed);
        }
        if switch.drops_rest || switch.drops_new && flow.tracked != Tracked::Not {
            let_through.extend(self.hinder(&flow, flow.set, switch.row, Why::NoRule));
        } else if !flow.set.is_none() {
            let_through.push(flow);
        }
        let_through
    }

    /// Asks rules of equal priority: takes what they decide out of `flow`, gives back what they pass on.
    fn equals(&mut self, stage: Stage, rules: &[AclId], flow: &mut Flow, through: &mut Vec<Flow>) -> Set {
        let network = self.network;
        let around = self.around(stage, flow);
        let (mut decided, mut passed) = (Set::NONE, Set::NONE);
        let mut by_action: Vec<(Action, Set)> = Vec::new();
        for id in rules {
            let rule = &network.acls[id.0];
            let (truth, unjudged) = self.truth(rule.row, &rule.matching, &around);
            let yes = self.part(flow, truth.yes);
            let unsure = self.sets.minus(self.part(flow, truth.maybe), yes);
            self.cannot_judge(flow, unsure, *id, &unjudged);
            decided = self.sets.any([decided, yes, unsure]);
            let same = by_action.iter().find(|(action, _)| is_same(*action, rule.action));
            let fresh = self.sets.minus(yes, same.map_or(Set::NONE, |(_, set)| *set));
            by_action.push((rule.action, yes));
            match rule.action {
                Action::Allow | Action::AllowStateless if !fresh.is_none() => {
                    let mut flow = Flow { set: fresh, ..flow.clone() };
                    flow.step(Step::Rule(*id));
                    through.push(flow);
                }
                Action::Drop => through.extend(self.hinder(flow, fresh, rule.row, Why::Dropped)),
                Action::Reject => through.extend(self.hinder(flow, fresh, rule.row, Why::Rejected)),
                Action::Pass => passed = self.sets.or(passed, fresh),
                Action::Allow | Action::AllowStateless => {}
            }
        }
        flow.set = self.sets.minus(flow.set, decided);
        passed
    }

    fn cannot_judge(&mut self, flow: &Flow, unsure: Set, id: AclId, unjudged: &[String]) {
        let row = self.network.acls[id.0].row;
        let what = format!("its match asks for {}, which is not followed", unjudged.join(", "));
        self.end(Flow { set: unsure, ..flow.clone() }, End::Unjudged { row, what });
    }

    fn around(&self, stage: Stage, flow: &Flow) -> Surroundings<'n> {
        let network = self.network;
        Surroundings {
            inport: &network.port(stage.inport).name,
            outport: stage.outport.map_or("", |id| &network.port(id).name),
            eth_src: flow.eth_src,
            eth_dst: flow.eth_dst,
            ttl: flow.ttl,
            tracked: flow.tracked,
        }
    }
}

fn is_same(a: Action, b: Action) -> bool {
    a == b || a.lets_through() && b.lets_through()
}

/// What port security lets a machine send (`IpSrc`) or be sent (`IpDst`) with one Ethernet address.
fn allowed(sets: &Sets, port: &Port, mac: Option<u64>, field: Field) -> Set {
    if port.security.is_empty() {
        return Set::ALL;
    }
    let entries: Vec<&Address> = port.security.iter().filter(|entry| Some(entry.mac) == mac).collect();
    let mut allowed = Set::NONE;
    for entry in entries {
        if entry.ips.is_empty() {
            return Set::ALL;
        }
        for net in &entry.ips {
            // A network stands for all of its addresses only where it is written as one.
            let is_network = net.addr() == net.network();
            let own = if is_network { *net } else { net.addr().into() };
            allowed = sets.or(allowed, within(sets, field, own));
            if field == Field::IpDst && net.prefix_len() < net.max_prefix_len() && net.addr().is_ipv4() {
                allowed = sets.or(allowed, within(sets, field, net.broadcast().into()));
            }
        }
        let families: Vec<&str> = match field {
            Field::IpSrc => vec![],
            _ => vec!["255.255.255.255/32", "224.0.0.0/4", "ff00::/8"],
        };
        let has = |is_ipv6: bool| entry.ips.iter().any(|net| net.addr().is_ipv6() == is_ipv6);
        let many = families.iter().filter_map(|net| net.parse::<ipnet::IpNet>().ok());
        let many = many.filter(|net| has(net.addr().is_ipv6()));
        allowed = many.fold(allowed, |allowed, net| sets.or(allowed, within(sets, field, net)));
        if has(true) {
            let link_local = ipnet::IpNet::from(std::net::IpAddr::V6(link_local_of(entry.mac)));
            allowed = sets.or(allowed, within(sets, field, link_local));
        }
        if has(false) && field == Field::IpSrc {
            allowed = sets.or(allowed, discover(sets));
        }
    }
    // Port security is about IP and what resolves its addresses.
    let ip = sets.or(sets.value(Field::EthType, IPV4), sets.value(Field::EthType, IPV6));
    if port.security.iter().any(|entry| Some(entry.mac) == mac) {
        sets.or(allowed, sets.not(ip))
    } else {
        Set::NONE
    }
}

/// What asks for an address before there is one.
fn discover(sets: &Sets) -> Set {
    let fields = [
        (Field::EthType, IPV4),
        (Field::IpProto, UDP),
        (Field::IpSrc, 0),
        (Field::IpDst, u128::from(u32::MAX)),
        (Field::TpSrc, 68),
        (Field::TpDst, 67),
    ];
    fields.into_iter().fold(Set::ALL, |set, (field, value)| sets.and(set, sets.value(field, value)))
}
