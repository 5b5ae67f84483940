//! Every packet of small worlds, followed one at a time by a few lines that know nothing of sets.
//!
//! Two switches with two machines each and a router between them; rules and policies without ties. What this file
//! knows of OVN is ovn-northd(8) again, written down a second time: a reference, not a product.

use std::net::{IpAddr, Ipv4Addr};

use northc::nb::{
    Acl, Key, LogicalRouter, LogicalRouterPolicy, LogicalRouterPort, LogicalRouterStaticRoute, LogicalSwitch,
    LogicalSwitchPort, Ref, Row, Rows, Table,
};
use northc::reach::guest::ByHand;
use northc::reach::header::{Field, Header};
use northc::reach::judge::{Judge, Party, Place};
use northc::reach::network::{Network, PortId};
use northc::reach::set::{Set, Sets};
use northc::target::Target;

use crate::expressions::Dice;

const N_WORLDS: u64 = 60;
const PROTOS: [(u128, &str); 3] = [(6, "tcp"), (17, "udp"), (1, "icmp4")];
const SERVICES: [u128; 2] = [80, 443];
const CLIENT: u128 = 40_000;

/// A packet: machines are numbered 0 to 3, the first two on the first switch.
#[derive(Clone, Copy, Debug)]
struct Packet {
    from: usize,
    to: usize,
    proto: usize,
    source_port: u128,
    port: u128,
}

impl Packet {
    fn reply(self) -> Packet {
        Packet { from: self.to, to: self.from, source_port: self.port, port: self.source_port, ..self }
    }

    fn header(self) -> Header {
        let mut header = Header::default();
        header[Field::EthType] = 0x0800;
        header[Field::IpProto] = PROTOS[self.proto].0;
        header[Field::IpSrc] = address(self.from).to_bits().into();
        header[Field::IpDst] = address(self.to).to_bits().into();
        if PROTOS[self.proto].1 == "icmp4" {
            header[Field::TpSrc] = 8;
        } else {
            (header[Field::TpSrc], header[Field::TpDst]) = (self.source_port, self.port);
        }
        header
    }
}

/// What a rule asks for; nothing where there is `None`.
#[derive(Clone, Copy, Debug, Default)]
struct Asks {
    from: Option<usize>,
    to: Option<usize>,
    proto: Option<usize>,
    port: Option<u128>,
}

impl Asks {
    fn roll(dice: &mut Dice) -> Asks {
        let machine = |dice: &mut Dice| dice.one_in(3).then(|| dice.below(4));
        let (from, to) = (machine(dice), machine(dice));
        let proto = dice.one_in(2).then(|| dice.below(3));
        let has_port = dice.one_in(2) && proto.is_some_and(|proto| proto < 2);
        Asks { from, to, proto, port: has_port.then(|| SERVICES[dice.below(2)]) }
    }

    fn fit(&self, packet: Packet) -> bool {
        self.from.is_none_or(|from| from == packet.from)
            && self.to.is_none_or(|to| to == packet.to)
            && self.proto.is_none_or(|proto| proto == packet.proto)
            && self.port.is_none_or(|port| port == packet.port)
    }

    fn text(&self) -> String {
        let mut parts = vec!["ip4".to_owned()];
        parts.extend(self.from.map(|from| format!("ip4.src == {}", address(from))));
        parts.extend(self.to.map(|to| format!("ip4.dst == {}", address(to))));
        parts.extend(self.proto.map(|proto| PROTOS[proto].1.to_owned()));
        let port = self.proto.zip(self.port);
        parts.extend(port.map(|(proto, port)| format!("{}.dst == {port}", PROTOS[proto].1)));
        parts.join(" && ")
    }
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    is_outward: bool,
    asks: Asks,
    action: &'static str,
}

/// Rules of each switch and policies of the router, those that win first.
#[derive(Debug)]
struct World {
    rules: [Vec<Rule>; 2],
    policies: Vec<(Asks, bool)>,
    discarded: Option<usize>,
}

fn address(machine: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, (machine / 2) as u8, 2 + (machine % 2) as u8)
}

impl World {
    fn roll(dice: &mut Dice) -> World {
        let rule = |dice: &mut Dice| {
            let is_outward = dice.one_in(2);
            let asks = Asks::roll(dice);
            let actions = ["allow", "allow-related", "drop", "drop", "reject", "allow-stateless"];
            // Stateless ones for what a machine is sent depend on the chassis.
            let action = actions[dice.below(if is_outward { 6 } else { 5 })];
            Rule { is_outward, asks, action }
        };
        let rules = [0, 1].map(|_| (0..dice.below(5)).map(|_| rule(dice)).collect());
        let policies = (0..dice.below(4)).map(|_| (Asks::roll(dice), dice.one_in(2))).collect();
        World { rules, policies, discarded: dice.one_in(4).then(|| dice.below(4)) }
    }

    /// Whether the first rule of a direction that fits lets a packet through.
    fn lets(&self, switch: usize, is_outward: bool, packet: Packet) -> bool {
        let mut rules = self.rules[switch].iter();
        let decides = rules.find(|rule| rule.is_outward == is_outward && rule.asks.fit(packet));
        decides.is_none_or(|rule| rule.action.starts_with("allow"))
    }

    fn is_tracked(&self, switch: usize, is_outward: bool, packet: Packet) -> bool {
        let is_stateful = self.rules[switch].iter().any(|rule| rule.action == "allow-related");
        let mut rules = self.rules[switch].iter().filter(|rule| rule.action == "allow-stateless");
        is_stateful && !rules.any(|rule| rule.is_outward == is_outward && rule.asks.fit(packet))
    }

    fn routes(&self, packet: Packet) -> bool {
        let policy = self.policies.iter().find(|(asks, _)| asks.fit(packet));
        self.discarded != Some(packet.to) && policy.is_none_or(|(_, allows)| *allows)
    }

    /// Whether a packet arrives; `known` are the machines whose switch remembers the connection.
    fn arrives(&self, packet: Packet, known: &mut Vec<usize>, is_reply: bool) -> bool {
        let (near, far) = (packet.from / 2, packet.to / 2);
        let is_tracked = self.is_tracked(near, true, packet);
        let is_known = is_reply && is_tracked && known.contains(&packet.from);
        if !is_known && !self.lets(near, true, packet) {
            return false;
        }
        if is_tracked {
            known.push(packet.from);
        }
        if near != far {
            // Towards the router what conntrack has said at the machine still holds; behind it nothing does.
            let out = is_known || self.lets(near, false, packet);
            if !out || !self.routes(packet) || !self.lets(far, true, packet) {
                return false;
            }
        }
        let is_tracked = self.is_tracked(far, false, packet);
        let is_known = is_reply && is_tracked && known.contains(&packet.to);
        if !is_known && !self.lets(far, false, packet) {
            return false;
        }
        if is_tracked {
            known.push(packet.to);
        }
        true
    }

    fn verdict(&self, packet: Packet) -> &'static str {
        let mut known = Vec::new();
        if !self.arrives(packet, &mut known, false) {
            "blocked"
        } else if self.arrives(packet.reply(), &mut known, true) {
            "reachable"
        } else {
            "one-way"
        }
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        let mut insert = |table, name: String, row: Row| {
            let key = Key::new(table, name);
            rows.insert(key.clone(), row, None);
            Ref::Key(key)
        };
        let mut router = LogicalRouter { name: "r".to_owned(), ..Default::default() };
        for (at, rules) in self.rules.iter().enumerate() {
            let mut switch = LogicalSwitch { name: format!("s{at}"), ..Default::default() };
            for (n, rule) in rules.iter().enumerate() {
                let acl = Acl {
                    direction: if rule.is_outward { "from-lport" } else { "to-lport" }.to_owned(),
                    priority: 100 - n as i64,
                    matching: rule.asks.text(),
                    action: rule.action.to_owned(),
                    ..Default::default()
                };
                switch.acls.insert(insert(Table::Acl, format!("{at}.{n}"), acl.into()));
            }
            for machine in [2 * at, 2 * at + 1] {
                let port = LogicalSwitchPort {
                    name: format!("m{machine}"),
                    addresses: [format!("02:00:00:00:00:0{machine} {}", address(machine))].into(),
                    ..Default::default()
                };
                switch.ports.insert(insert(Table::LogicalSwitchPort, format!("m{machine}"), port.into()));
            }
            let port = LogicalRouterPort {
                name: format!("r{at}"),
                mac: format!("02:00:00:00:01:0{at}"),
                networks: [format!("10.0.{at}.1/24")].into(),
                ..Default::default()
            };
            router.ports.insert(insert(Table::LogicalRouterPort, format!("r{at}"), port.into()));
            let port = LogicalSwitchPort {
                name: format!("s{at}-r"),
                kind: "router".to_owned(),
                addresses: ["router".to_owned()].into(),
                options: [("router-port".to_owned(), format!("r{at}"))].into(),
                ..Default::default()
            };
            switch.ports.insert(insert(Table::LogicalSwitchPort, format!("s{at}-r"), port.into()));
            insert(Table::LogicalSwitch, format!("s{at}"), switch.into());
        }
        for (n, (asks, allows)) in self.policies.iter().enumerate() {
            let policy = LogicalRouterPolicy {
                priority: 100 - n as i64,
                matching: asks.text(),
                action: if *allows { "allow" } else { "drop" }.to_owned(),
                ..Default::default()
            };
            router.policies.insert(insert(Table::LogicalRouterPolicy, n.to_string(), policy.into()));
        }
        if let Some(machine) = self.discarded {
            let route = LogicalRouterStaticRoute {
                ip_prefix: format!("{}/32", address(machine)),
                nexthop: "discard".to_owned(),
                ..Default::default()
            };
            let table = Table::LogicalRouterStaticRoute;
            router.static_routes.insert(insert(table, "discard".to_owned(), route.into()));
        }
        insert(Table::LogicalRouter, "r".to_owned(), router.into());
        rows
    }
}

fn packets() -> impl Iterator<Item = Packet> {
    (0..4 * 4 * 3 * 2).filter_map(|n| {
        let (from, to, proto, port) = (n % 4, n / 4 % 4, n / 16 % 3, SERVICES[n / 48]);
        let (source_port, port) = if proto == 2 { (0, 0) } else { (CLIENT, port) };
        (from != to).then_some(Packet { from, to, proto, source_port, port })
    })
}

#[test]
fn every_packet_of_small_worlds_gets_the_verdict_that_it_gets_alone() {
    let mut tally = std::collections::BTreeMap::new();
    for seed in 0..N_WORLDS {
        let world = World::roll(&mut Dice::new(seed));
        let network = Network::of_rows(&world.rows(), Target::OLDEST);
        let sets = Sets::default();
        let mut judge = Judge::new(&network, &sets, ByHand { all: true, ..ByHand::default() });
        for packet in packets() {
            let header = packet.header();
            let only = Field::ALL
                .into_iter()
                .fold(Set::ALL, |set, field| sets.and(set, sets.value(field, header[field])));
            let party = |machine: usize| {
                let name = format!("m{machine}");
                let port = network.ports.iter().position(|port| port.name == name).map(PortId);
                let place = Place::Guest(port.expect("a port of the world"));
                Party { place, sources: Set::ALL, destinations: Set::ALL, public: Set::ALL }
            };
            let findings = judge.explain(&party(packet.from), &party(packet.to), only);
            let found: Vec<&str> = findings.iter().map(|finding| finding.verdict.name()).collect();
            let expected = world.verdict(packet);
            assert_eq!(
                found,
                [expected],
                "seed {seed}: {header} (to {:?}) in {world:?}",
                IpAddr::from(address(packet.to))
            );
            *tally.entry(expected).or_insert(0) += 1;
        }
    }
    assert!(tally.len() == 3 && tally.values().all(|n| *n > 100), "all verdicts are common: {tally:?}");
}
