//! Random small networks and packets for them: everything that `northc reach` follows, often in conflict.
//!
//! Refuses to know what should become of a packet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use northc::nb::{
    Acl, AddressSet, Dns, GatewayChassis, Key, LoadBalancer, LogicalRouter, LogicalRouterPolicy,
    LogicalRouterPort, LogicalRouterStaticRoute, LogicalSwitch, LogicalSwitchPort, Nat, PortGroup, Ref, Row,
    Rows, Table,
};
use northc::reach::header::{Field, Header};
use serde_json::{Value, json};

use crate::expressions::Dice;

/// A machine of a random network.
pub(super) struct Machine {
    pub(super) port: String,
    pub(super) switch: String,
    pub(super) mac: u64,
    pub(super) addresses: Vec<IpAddr>,
}

/// A random network.
#[derive(Default)]
pub(super) struct World {
    pub(super) rows: Rows,
    pub(super) machines: Vec<Machine>,
    /// Whether rules may ask for conntrack's state.
    asks_state: bool,
    /// Switches with a physical network.
    wires: Vec<String>,
    /// Router ports: switch, Ethernet address, addresses.
    routers: Vec<(String, u64, Vec<IpAddr>)>,
    /// Addresses that translations have outside.
    externals: Vec<IpAddr>,
    /// Virtual addresses of balancers.
    vips: Vec<IpAddr>,
    /// Ethernet addresses that routers answer by in place of neighbours.
    proxies: Vec<(String, u64)>,
    /// What is written beside the rows: operations of one transaction with theirs.
    pub(super) beside: Vec<Value>,
    /// Whether `NB_Global` says `default_acl_drop`.
    pub(super) drops_rest: bool,
    n_rows: usize,
}

/// A packet, and where it is sent.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) port: String,
    pub(super) switch: String,
    pub(super) eth_src: u64,
    pub(super) eth_dst: u64,
    pub(super) header: Header,
}

/// Whose the rows are.
pub(super) const OWNER: &str = "random";
const PORTS: [u128; 7] = [22, 53, 80, 443, 1023, 1024, 40_000];
const PRIORITIES: [i64; 5] = [0, 1, 1000, 1001, 32_767];

impl World {
    /// The network of a seed.
    pub(super) fn new(dice: &mut Dice) -> World {
        let mut world = World { asks_state: dice.one_in(6), ..World::default() };
        world.drops_rest = dice.one_in(8);
        let n_switches = 2 + dice.below(3);
        let n_routers = 1 + dice.below(2);
        let mut switches: Vec<LogicalSwitch> = (0..n_switches)
            .map(|at| LogicalSwitch { name: format!("s{at}"), ..Default::default() })
            .collect();
        let mut routers: Vec<LogicalRouter> =
            (0..n_routers).map(|at| LogicalRouter { name: format!("r{at}"), ..Default::default() }).collect();
        for (at, switch) in switches.iter_mut().enumerate() {
            let n_machines = 1 + dice.below(3);
            (0..n_machines).for_each(|n| world.machine(dice, switch, at, n));
            if dice.one_in(8) {
                world.wire(switch);
            }
            let first = dice.below(n_routers);
            world.attach(dice, &mut routers[first], switch, at, 1);
            if n_routers == 2 && dice.one_in(4) {
                world.attach(dice, &mut routers[1 - first], switch, at, 254);
            }
        }
        if n_routers == 2 && dice.one_in(2) {
            world.join(dice, &mut routers);
        }
        for router in routers.iter_mut().filter(|router| !router.ports.is_empty()) {
            (0..dice.below(6)).for_each(|_| world.route(dice, router));
            (0..dice.below(4)).for_each(|_| world.policy(dice, router));
            if dice.one_in(5) {
                router.options.insert("chassis".to_owned(), "gw".to_owned());
            }
            (0..dice.below(5)).for_each(|_| world.translation(dice, router));
            if dice.one_in(3) {
                (0..1 + dice.below(3)).for_each(|_| world.balancer(dice, &mut router.load_balancer));
            }
            if dice.one_in(2) {
                let forced = dice.pick(&["30.0.0.9", "router_ip", "30.0.0.9 fd00:30::9"]).to_owned();
                router.options.insert("lb_force_snat_ip".to_owned(), forced);
            }
            if dice.one_in(3) {
                router.options.insert("dnat_force_snat_ip".to_owned(), "30.0.0.8".to_owned());
            }
            router.enabled = dice.one_in(25).then_some(false);
        }
        world.groups(dice);
        for mut switch in switches {
            (0..dice.below(6)).for_each(|_| world.rule(dice, &mut switch.acls));
            if dice.one_in(3) {
                (0..1 + dice.below(3)).for_each(|_| world.balancer(dice, &mut switch.load_balancer));
            }
            if dice.one_in(5) {
                let row =
                    Dns { records: [("a.b".to_owned(), "10.0.0.2".to_owned())].into(), ..Default::default() };
                switch.dns_records.insert(world.nameless(Table::Dns, row));
            }
            world.group(dice, Table::LogicalSwitch, &switch.name);
            world.insert(Table::LogicalSwitch, &switch.name.clone(), switch);
        }
        for router in routers {
            world.group(dice, Table::LogicalRouter, &router.name);
            world.insert(Table::LogicalRouter, &router.name.clone(), router);
        }
        world
    }

    /// Balancers that a switch or router has by a group alone.
    fn group(&mut self, dice: &mut Dice, of: Table, name: &str) {
        if !dice.one_in(8) {
            return;
        }
        let mut balancers = BTreeSet::new();
        (0..1 + dice.below(2)).for_each(|_| self.balancer(dice, &mut balancers));
        let uuids = balancers.iter().filter_map(|to| match to {
            Ref::Key(key) => Some(json!(["uuid", key.uuid(OWNER).to_string()])),
            Ref::Foreign(_) => None,
        });
        let group = format!("group_{name}");
        self.beside.push(json!({"op": "insert", "table": "Load_Balancer_Group", "uuid-name": group,
            "row": {"name": group, "load_balancer": ["set", uuids.collect::<Vec<_>>()]}}));
        self.beside.push(json!({"op": "update", "table": of.name(), "where": [["name", "==", name]],
            "row": {"load_balancer_group": ["named-uuid", group]}}));
    }

    fn row(&self, to: &Ref) -> Option<&Row> {
        let Ref::Key(key) = to else { return None };
        self.rows.get(key)
    }

    fn insert(&mut self, table: Table, name: &str, row: impl Into<Row>) -> Ref {
        let key = Key::new(table, name);
        self.rows.insert(key.clone(), row, None);
        Ref::Key(key)
    }

    fn nameless(&mut self, table: Table, row: impl Into<Row>) -> Ref {
        self.n_rows += 1;
        self.insert(table, &self.n_rows.to_string(), row)
    }

    fn machine(&mut self, dice: &mut Dice, switch: &mut LogicalSwitch, at: usize, n: usize) {
        let name = format!("m{at}{n}");
        // Sometimes two machines have one address, of either kind.
        let host = if dice.one_in(12) { 2 } else { 2 + n };
        let mac = 0x02_00_00_00_00_00 | (at as u64) << 8 | if dice.one_in(15) { 2 } else { 2 + n as u64 };
        let mut addresses = vec![format!("10.0.{at}.{host}")];
        if dice.one_in(2) {
            addresses.push(format!("fd00:{at}::{host}"));
        }
        if dice.one_in(10) {
            addresses.push(format!("10.0.{at}.{}", 100 + n));
        }
        let mut security = BTreeSet::new();
        if dice.one_in(4) {
            // A whole network, which ovn-controller takes as such, is an address for ovn-trace.
            let text = match dice.below(4) {
                0 => show(mac),
                1 => format!("{} 10.0.{at}.{host}/24 10.0.9.9", show(mac)),
                2 => format!("{} {}", show(mac ^ 0x80), addresses.join(" ")),
                _ => format!("{} {}", show(mac), addresses.join(" ")),
            };
            security.insert(text);
        }
        let mut known = BTreeSet::from([format!("{} {}", show(mac), addresses.join(" "))]);
        if dice.one_in(15) {
            known.insert("unknown".to_owned());
        }
        let port = LogicalSwitchPort {
            name: name.clone(),
            addresses: known,
            port_security: security,
            enabled: dice.one_in(20).then_some(false),
            ..Default::default()
        };
        switch.ports.insert(self.insert(Table::LogicalSwitchPort, &name, port));
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        self.machines.push(Machine { port: name, switch: switch.name.clone(), mac, addresses });
    }

    fn wire(&mut self, switch: &mut LogicalSwitch) {
        let name = format!("{}-wire", switch.name);
        self.wires.push(switch.name.clone());
        let port = LogicalSwitchPort {
            name: name.clone(),
            kind: "localnet".to_owned(),
            addresses: ["unknown".to_owned()].into(),
            options: [("network_name".to_owned(), "out".to_owned())].into(),
            ..Default::default()
        };
        switch.ports.insert(self.insert(Table::LogicalSwitchPort, &name, port));
    }

    fn attach(
        &mut self,
        dice: &mut Dice,
        router: &mut LogicalRouter,
        switch: &mut LogicalSwitch,
        at: usize,
        host: usize,
    ) {
        let name = format!("{}-{}", router.name, switch.name);
        let mac = 0x02_00_00_00_10_00 | (at as u64) << 8 | host as u64;
        let mut networks = BTreeSet::from([format!("10.0.{at}.{host}/24")]);
        if dice.one_in(2) {
            networks.insert(format!("fd00:{at}::{host}/64"));
        }
        if dice.one_in(10) {
            networks.insert("10.0.0.200/28".to_owned());
        }
        let addresses = networks.iter().filter_map(|net| net.split('/').next()?.parse().ok()).collect();
        self.routers.push((switch.name.clone(), mac, addresses));
        let table = if dice.one_in(5) { "t1" } else { "" };
        let options = (!table.is_empty()).then(|| ("route_table".to_owned(), table.to_owned()));
        let mut gateway_chassis = BTreeSet::new();
        if dice.one_in(3) {
            let row = GatewayChassis {
                name: format!("{name}-gw"),
                chassis_name: "gw".to_owned(),
                ..Default::default()
            };
            gateway_chassis.insert(self.insert(Table::GatewayChassis, &format!("{name}-gw"), row));
        }
        let port = LogicalRouterPort {
            name: name.clone(),
            mac: show(mac),
            networks,
            gateway_chassis,
            options: options.into_iter().collect(),
            enabled: dice.one_in(25).then_some(false),
            ..Default::default()
        };
        router.ports.insert(self.insert(Table::LogicalRouterPort, &name, port));
        let end = format!("{}-{}", switch.name, router.name);
        let mut options = BTreeMap::from([("router-port".to_owned(), name)]);
        if dice.one_in(6) {
            let proxied =
                dice.pick(&["10.0.0.77 169.254.77.1", "10.0.1.128/26", "0a:58:00:00:00:01 10.0.2.77"]);
            options.insert("arp_proxy".to_owned(), proxied.to_owned());
            self.proxies.push((switch.name.clone(), 0x0a58_0000_0001));
        }
        let port = LogicalSwitchPort {
            name: end.clone(),
            kind: "router".to_owned(),
            addresses: ["router".to_owned()].into(),
            options,
            ..Default::default()
        };
        switch.ports.insert(self.insert(Table::LogicalSwitchPort, &end, port));
    }

    /// Two routers, port to port.
    fn join(&mut self, dice: &mut Dice, routers: &mut [LogicalRouter]) {
        let v6 = dice.one_in(2);
        for (at, router) in routers.iter_mut().enumerate() {
            let mut networks = BTreeSet::from([format!("169.254.0.{}/30", at + 1)]);
            if v6 {
                networks.insert(format!("fd00:ff::{}/126", at + 1));
            }
            let port = LogicalRouterPort {
                name: format!("join{at}"),
                mac: show(0x02_00_00_00_20_00 | at as u64),
                networks,
                peer: Some(format!("join{}", 1 - at)),
                ..Default::default()
            };
            router.ports.insert(self.insert(Table::LogicalRouterPort, &format!("join{at}"), port));
            if dice.one_in(2) {
                let next_hop = format!("169.254.0.{}", 2 - at);
                let prefix = dice.pick(&["0.0.0.0/0", "10.0.0.0/16", "10.0.2.0/24"]).to_owned();
                let route =
                    LogicalRouterStaticRoute { ip_prefix: prefix, nexthop: next_hop, ..Default::default() };
                router.static_routes.insert(self.nameless(Table::LogicalRouterStaticRoute, route));
            }
        }
    }

    /// An address that somebody has, or nobody.
    fn address(&self, dice: &mut Dice) -> IpAddr {
        let machine = &self.machines[dice.below(self.machines.len())];
        match dice.below(9) {
            7 if !self.vips.is_empty() => self.vips[dice.below(self.vips.len())],
            8 if !self.externals.is_empty() => self.externals[dice.below(self.externals.len())],
            0 if !self.routers.is_empty() => {
                let own = &self.routers[dice.below(self.routers.len())].2;
                own[dice.below(own.len())]
            }
            1 => format!("10.0.{}.{}", dice.below(4), dice.below(20)).parse().expect("an address"),
            2 => {
                dice.pick(&["20.0.0.1", "20.1.2.3", "169.254.0.2", "fd00:99::1"]).parse().expect("an address")
            }
            _ => machine.addresses[dice.below(machine.addresses.len())],
        }
    }

    fn next_hop(&self, dice: &mut Dice) -> String {
        self.address_of(dice, false).to_string()
    }

    fn address_of(&self, dice: &mut Dice, is_ipv6: bool) -> IpAddr {
        std::iter::repeat_with(|| self.address(dice)).find(|it| it.is_ipv6() == is_ipv6).expect("without end")
    }

    fn route(&mut self, dice: &mut Dice, router: &mut LogicalRouter) {
        let prefixes = [
            "0.0.0.0/0",
            "10.0.0.0/16",
            "10.0.1.0/24",
            "10.0.1.0/25",
            "10.0.2.2/32",
            "20.0.0.0/8",
            "20.1.0.0/16",
            "10.0.0.7/24",
        ];
        let prefix = dice.pick(&prefixes).to_owned();
        let ports: Vec<String> = router.ports.iter().filter_map(|to| name_of(&self.rows, to)).collect();
        // `discard` beside another route of its prefix is the end of northd 25.03.
        let is_discard = dice.one_in(8);
        let own = format!("10.0.{}.{}/26", dice.below(4), 64 * dice.below(4));
        let prefix = if is_discard { own } else { prefix };
        let is_taken = router.static_routes.iter().filter_map(|to| self.row(to));
        let mut is_taken = is_taken.filter_map(|row| LogicalRouterStaticRoute::try_from(row).ok());
        if is_discard && is_taken.any(|route| route.ip_prefix == prefix) {
            return;
        }
        let nexthop = if is_discard { "discard".to_owned() } else { self.next_hop(dice) };
        let output_port = (!is_discard && dice.one_in(6)).then(|| ports[dice.below(ports.len())].clone());
        let policy = dice.one_in(4).then(|| "src-ip".to_owned());
        let is_symmetric = !is_discard && policy.is_none() && dice.one_in(4);
        let route = LogicalRouterStaticRoute {
            route_table: if dice.one_in(5) { "t1".to_owned() } else { String::new() },
            ip_prefix: prefix,
            policy,
            nexthop,
            output_port,
            options: is_symmetric
                .then(|| ("ecmp_symmetric_reply".to_owned(), "true".to_owned()))
                .into_iter()
                .collect(),
            ..Default::default()
        };
        router.static_routes.insert(self.nameless(Table::LogicalRouterStaticRoute, route));
    }

    fn policy(&mut self, dice: &mut Dice, router: &mut LogicalRouter) {
        let action = dice.pick(&["allow", "drop", "reroute", "reroute"]).to_owned();
        let n_hops = if action == "reroute" { 1 + dice.below(2) } else { 0 };
        let ports: Vec<String> = router.ports.iter().filter_map(|to| name_of(&self.rows, to)).collect();
        let mut matching = self.matching(dice, false);
        if dice.one_in(4) {
            let side = dice.pick(&["inport", "outport"]);
            matching = format!("{side} == \"{}\" && ({matching})", ports[dice.below(ports.len())]);
        }
        let policy = LogicalRouterPolicy {
            priority: PRIORITIES[dice.below(PRIORITIES.len())],
            matching,
            action,
            nexthops: (0..n_hops).map(|_| self.next_hop(dice)).collect(),
            ..Default::default()
        };
        router.policies.insert(self.nameless(Table::LogicalRouterPolicy, policy));
    }

    /// A translation, on a gateway or where OVN passes over it.
    fn translation(&mut self, dice: &mut Dice, router: &mut LogicalRouter) {
        let machine = &self.machines[dice.below(self.machines.len())];
        let inside = machine.addresses[dice.below(machine.addresses.len())];
        let at = dice.below(4);
        let external = match (inside.is_ipv6(), dice.below(6)) {
            (true, 0) => format!("fd00:{at}::1"),
            (true, n) => format!("fd00:{at}::{}", 30 + n),
            (false, 0) => format!("10.0.{at}.1"),
            (false, 1) => "30.0.0.1".to_owned(),
            (false, n) => format!("10.0.{at}.{}", 30 + n),
        };
        let kind = dice.pick(&["snat", "snat", "dnat", "dnat_and_snat", "dnat_and_snat"]).to_owned();
        let is_wide = kind == "snat" && inside.is_ipv4() && !dice.one_in(3);
        let wide = ["10.0.0.0/16", "10.0.1.0/24", "10.0.2.0/24", "10.0.1.128/25"];
        let logical_ip = if is_wide { dice.pick(&wide).to_owned() } else { inside.to_string() };
        let is_distributed = kind == "dnat_and_snat" && dice.one_in(3);
        let (logical_port, external_mac) = match is_distributed {
            true => (Some(machine.port.clone()), Some(show(machine.mac | 0x40_00))),
            false => (None, None),
        };
        let set = || Some(Ref::Key(Key::new(Table::AddressSet, "four")));
        let (is_only, is_but) = (dice.one_in(5), dice.one_in(5));
        self.externals.push(external.parse().expect("an address"));
        let is_stateless = kind == "dnat_and_snat" && dice.one_in(6);
        let row = Nat {
            allowed_ext_ips: is_only.then(set).flatten().filter(|_| inside.is_ipv4()),
            exempted_ext_ips: is_but.then(set).flatten().filter(|_| inside.is_ipv4()),
            options: is_stateless.then(|| ("stateless".to_owned(), "true".to_owned())).into_iter().collect(),
            external_ip: external,
            kind,
            logical_ip,
            logical_port,
            external_mac,
            ..Default::default()
        };
        router.nat.insert(self.nameless(Table::Nat, row));
    }

    /// A balancer with a few addresses, some of which OVN passes over.
    fn balancer(&mut self, dice: &mut Dice, balancers: &mut BTreeSet<Ref>) {
        let mut vips = BTreeMap::new();
        for _ in 0..1 + dice.below(2) {
            let is_ipv6 = dice.one_in(4);
            let vip: IpAddr = match is_ipv6 {
                true => format!("fd00:40::{}", dice.below(3)),
                false if dice.one_in(6) => format!("10.0.{}.{}", dice.below(3), 60 + dice.below(3)),
                false => format!("40.0.0.{}", dice.below(4)),
            }
            .parse()
            .expect("an address");
            let has_port = !dice.one_in(4);
            let mut backends = Vec::new();
            for _ in 0..dice.below(4) {
                let machine = &self.machines[dice.below(self.machines.len())];
                let own = machine.addresses.iter().find(|own| own.is_ipv6() == is_ipv6);
                let Some(own) = own.or(machine.addresses.first().filter(|_| dice.one_in(8))) else {
                    continue;
                };
                let port = has_port.then(|| dice.pick(&["80", "443", "1024"])).filter(|_| !dice.one_in(12));
                backends.push(socket(*own, port));
            }
            let port = has_port.then(|| dice.pick(&["22", "80", "443"]));
            vips.insert(socket(vip, port), backends.join(","));
            self.vips.push(vip);
        }
        let mut options = BTreeMap::new();
        // The first packet of a client that a balancer is to remember is the last for ovn-trace: no affinity.
        for name in ["reject", "skip_snat"] {
            if dice.one_in(3) {
                options.insert(name.to_owned(), "true".to_owned());
            }
        }
        let protocol = dice.pick(&["", "tcp", "tcp", "udp", "sctp"]).to_owned();
        let row = LoadBalancer {
            name: format!("lb{}", self.n_rows),
            vips,
            protocol: (!protocol.is_empty()).then_some(protocol),
            options,
            ..Default::default()
        };
        balancers.insert(self.nameless(Table::LoadBalancer, row));
    }

    fn groups(&mut self, dice: &mut Dice) {
        for name in ["four", "six"] {
            let mut addresses = BTreeSet::new();
            for _ in 0..dice.below(4) {
                let address = self.address(dice);
                if address.is_ipv6() == (name == "six") {
                    let length = if dice.one_in(3) { "/24" } else { "" };
                    addresses.insert(format!("{address}{}", if name == "four" { length } else { "" }));
                }
            }
            let set = AddressSet { name: name.to_owned(), addresses, ..Default::default() };
            self.insert(Table::AddressSet, name, set);
        }
        for name in ["web", "db"] {
            let mut group = PortGroup { name: name.to_owned(), ..Default::default() };
            for machine in &self.machines {
                if dice.one_in(3) {
                    group.ports.insert(Ref::Key(Key::new(Table::LogicalSwitchPort, machine.port.as_str())));
                }
            }
            (0..dice.below(3)).for_each(|_| self.rule(dice, &mut group.acls));
            self.insert(Table::PortGroup, name, group);
        }
    }

    fn rule(&mut self, dice: &mut Dice, acls: &mut BTreeSet<Ref>) {
        let actions = ["allow", "allow", "allow-related", "allow-stateless", "drop", "drop", "reject"];
        let direction = dice.pick(&["from-lport", "to-lport"]).to_owned();
        let matching = match dice.below(5) {
            0 => {
                let port = &self.machines[dice.below(self.machines.len())].port;
                let side = dice.pick(&["inport", "outport"]);
                format!("{side} == \"{port}\" && ({})", self.matching(dice, self.asks_state))
            }
            1 => {
                let side = if direction == "to-lport" { "outport" } else { "inport" };
                format!(
                    "{side} == @{} && ({})",
                    dice.pick(&["web", "db"]),
                    self.matching(dice, self.asks_state)
                )
            }
            _ => self.matching(dice, self.asks_state),
        };
        let after = direction == "from-lport" && dice.one_in(6);
        let acl = Acl {
            direction,
            priority: PRIORITIES[dice.below(PRIORITIES.len())],
            matching,
            action: dice.pick(&actions).to_owned(),
            options: after.then(|| ("apply-after-lb".to_owned(), "true".to_owned())).into_iter().collect(),
            ..Default::default()
        };
        acls.insert(self.nameless(Table::Acl, acl));
    }

    fn matching(&self, dice: &mut Dice, asks_state: bool) -> String {
        let matching = match dice.below(6) {
            0 => format!("({}) && ({})", self.test(dice), self.test(dice)),
            1 => format!("({}) || ({})", self.test(dice), self.test(dice)),
            _ => self.test(dice),
        };
        if asks_state || !matching.contains("ct.") { matching } else { self.matching(dice, false) }
    }

    fn test(&self, dice: &mut Dice) -> String {
        let tests = [
            "ip4",
            "ip6",
            "ip",
            "tcp",
            "udp",
            "icmp4",
            "icmp4.type == 8",
            "icmp",
            "tcp.dst == 22",
            "tcp.dst == {22, 80, 443}",
            "tcp.dst != 80",
            "!(tcp.dst == 80)",
            "tcp.dst >= 1024",
            "tcp.src > 1023 && tcp.dst <= 53",
            "1000 <= udp.dst < 40000",
            "udp.dst == 53 || udp.src == 53",
            "tcp.dst[0]",
            "!tcp.dst[0] && tcp",
            "tcp.dst[15] == 1",
            "tcp.dst == 0x400/0xfc00",
            "ct.new && tcp",
            "ct.new",
            "ct.est",
            "!ct.est && ip4",
            "ip.ttl == 64",
            "ip.ttl == 63",
            "!ip.is_frag",
            "1",
            "0",
            "arp",
            "nd || tcp",
            "ip4.src == $four",
            "ip4.dst == $four",
            "ip4.src != $four",
            "ip6.src == $six",
            "ip4.src == $web_ip4",
            "ip4.dst == {$db_ip4, 20.0.0.1}",
            "ip6.dst == $web_ip6",
            "ip4.src == $nope",
            "ip4 &&",
            "tcp.flags == 2",
            "ip4.src == 10.0.0.0/255.255.0.255",
            "ip4.dst[0..7] == 2",
            "ip4.src[8..15] == 1",
            "ip4.dst == 10.0.0.0/16",
            "ip4.src == {10.0.1.0/24, 10.0.2.2}",
            "ip4.src != 10.0.1.0/24",
            "!(ip4.src == 10.0.1.0/24 && tcp.dst == 80)",
            "ip6.src == fd00:1::/64",
            "eth.dst[40]",
        ];
        if !dice.one_in(5) {
            return dice.pick(&tests).to_owned();
        }
        let machine = &self.machines[dice.below(self.machines.len())];
        let address = machine.addresses[dice.below(machine.addresses.len())];
        let ip = if address.is_ipv6() { "ip6" } else { "ip4" };
        match dice.below(3) {
            0 => format!("eth.src == {}", show(machine.mac)),
            1 => format!("{ip}.src == {address}"),
            _ => format!("{ip}.dst == {address}"),
        }
    }

    /// A packet that a machine sends.
    pub(super) fn packet(&self, dice: &mut Dice) -> Packet {
        let machine = &self.machines[dice.below(self.machines.len())];
        self.sent(dice, machine)
    }

    /// A packet that comes in from a physical network, where there is one: from a stranger.
    pub(super) fn out_of_wire(&self, dice: &mut Dice) -> Option<Packet> {
        let switch = self.wires.get(dice.below(self.wires.len().max(1)))?;
        let (port, mac) = (format!("{switch}-wire"), 0x02_77_00_00_00_01);
        let near = format!("10.0.{}.99", switch.trim_start_matches('s'));
        let addresses = [near.as_str(), "20.0.0.1", "fd00:99::1"].map(|own| own.parse().expect("an address"));
        let at = dice.below(2);
        let addresses = vec![addresses[at], addresses[2]];
        Some(self.sent(dice, &Machine { port, switch: switch.clone(), mac, addresses }))
    }

    fn sent(&self, dice: &mut Dice, machine: &Machine) -> Packet {
        let to = self.address(dice);
        let own = machine.addresses.iter().find(|own| own.is_ipv6() == to.is_ipv6());
        let source = match own {
            Some(own) if !dice.one_in(10) => *own,
            _ => self.address_of(dice, to.is_ipv6()),
        };
        let near: Vec<u64> = (self.routers.iter().filter(|(switch, _, _)| *switch == machine.switch))
            .map(|(_, mac, _)| *mac)
            .collect();
        let holder = self.machines.iter().find(|m| m.switch == machine.switch && m.addresses.contains(&to));
        let eth_dst = match holder {
            Some(holder) if !dice.one_in(6) => holder.mac,
            _ if dice.one_in(20) => 0x02_99_99_99_99_99,
            _ if dice.one_in(6) && self.proxies.iter().any(|(switch, _)| *switch == machine.switch) => {
                self.proxies[0].1
            }
            _ => near[dice.below(near.len())],
        };
        let header = header(dice, source, to);
        let (port, switch) = (machine.port.clone(), machine.switch.clone());
        Packet { port, switch, eth_src: machine.mac, eth_dst, header }
    }
}

fn header(dice: &mut Dice, source: IpAddr, to: IpAddr) -> Header {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let mut header = Header::default();
    header[Field::EthType] = if to.is_ipv6() { 0x86dd } else { 0x0800 };
    header[Field::IpSrc] = bits(source);
    header[Field::IpDst] = bits(to);
    let port = |dice: &mut Dice| PORTS[dice.below(PORTS.len())];
    match dice.below(5) {
        0 => {
            header[Field::IpProto] = if to.is_ipv6() { 58 } else { 1 };
            let kinds: [u128; 2] = if to.is_ipv6() { [128, 1] } else { [8, 3] };
            header[Field::TpSrc] = kinds[usize::from(dice.one_in(5))];
        }
        kind => {
            header[Field::IpProto] = [6, 6, 17, 132][kind - 1];
            header[Field::TpSrc] = port(dice);
            header[Field::TpDst] = port(dice);
        }
    }
    header
}

/// `10.0.0.1:80`, `[fd00::1]:80`, or the address alone.
fn socket(address: IpAddr, port: Option<&str>) -> String {
    match (address, port) {
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
        (address, Some(port)) => format!("{address}:{port}"),
        (address, None) => address.to_string(),
    }
}

fn name_of(rows: &Rows, to: &Ref) -> Option<String> {
    let Ref::Key(key) = to else { return None };
    LogicalRouterPort::try_from(rows.get(key)?).ok().map(|port| port.name)
}

/// An Ethernet address in words.
pub(super) fn show(mac: u64) -> String {
    let bytes: Vec<String> = (0..6).rev().map(|at| format!("{:02x}", (mac >> (8 * at)) & 0xff)).collect();
    bytes.join(":")
}

/// What is in a network, for messages.
pub(super) fn dump(rows: &Rows) -> String {
    let mut text = String::new();
    for (key, row) in rows.iter() {
        let columns: BTreeMap<&str, String> =
            row.set_columns().map(|(column, value)| (column.name, format!("{value:?}"))).collect();
        text.push_str(&format!("{key} {columns:?}\n"));
    }
    text
}
