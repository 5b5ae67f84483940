//! What Neutron, Kube-OVN and people by hand write and northc does not: groups of balancers, `default_acl_drop`, routes
//! that answer by the way that packets came, routers that answer for neighbours, rules that take ARP.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use northc::emit::transact::transaction;
use northc::nb::actual::Actual;
use northc::nb::{
    Acl, Atom, Datum, Key, LoadBalancer, LogicalRouter, LogicalRouterPort, LogicalRouterStaticRoute,
    LogicalSwitch, LogicalSwitchPort, Ref, Row, Rows, Table,
};
use northc::reach::guest::ByHand;
use northc::reach::header::Field;
use northc::reach::judge::{Judge, Proto, Verdict, service};
use northc::reach::network::Network;
use northc::reach::parties::parties;
use northc::reach::set::{Set, Sets};
use northc::reach::show::verdict;
use northc::target::Target;
use serde_json::Value;
use uuid::Uuid;

use super::random::OWNER;
use crate::ovn;
use crate::stack::Stack;
use crate::trace::Fate;
use northc::plan::as_if_applied;

/// Two switches and a router between them: machine `a` on one, `b` and `c` on the other.
struct Small {
    rows: Rows,
    switches: [LogicalSwitch; 2],
    router: LogicalRouter,
}

impl Small {
    fn new() -> Small {
        let named = |name: &str| LogicalSwitch { name: name.to_owned(), ..LogicalSwitch::default() };
        let mut small = Small {
            rows: Rows::new(),
            switches: [named("s0"), named("s1")],
            router: LogicalRouter { name: "r".to_owned(), ..LogicalRouter::default() },
        };
        small.machine(0, "a", "02:00:00:00:00:02 10.0.0.2 fd00::2");
        small.machine(1, "b", "02:00:00:00:01:09 10.0.1.9 20.0.0.5");
        small.machine(1, "c", "02:00:00:00:01:0a 10.0.1.10");
        for at in [0, 1] {
            let end = format!("r-s{at}");
            let networks = BTreeSet::from([format!("10.0.{at}.1/24"), format!("fd00:{at}::1/64")]);
            let mac = format!("02:00:00:00:1{at}:01");
            let port = LogicalRouterPort { name: end.clone(), mac, networks, ..LogicalRouterPort::default() };
            let to = small.insert(Table::LogicalRouterPort, &end, port);
            small.router.ports.insert(to);
            let port = LogicalSwitchPort {
                name: format!("s{at}-r"),
                kind: "router".to_owned(),
                addresses: ["router".to_owned()].into(),
                options: [("router-port".to_owned(), end)].into(),
                ..LogicalSwitchPort::default()
            };
            let to = small.insert(Table::LogicalSwitchPort, &format!("s{at}-r"), port);
            small.switches[at].ports.insert(to);
        }
        small
    }

    fn insert(&mut self, table: Table, name: &str, row: impl Into<Row>) -> Ref {
        let key = Key::new(table, name);
        self.rows.insert(key.clone(), row, None);
        Ref::Key(key)
    }

    fn machine(&mut self, at: usize, name: &str, addresses: &str) {
        let port = LogicalSwitchPort {
            name: name.to_owned(),
            addresses: [addresses.to_owned()].into(),
            ..LogicalSwitchPort::default()
        };
        let to = self.insert(Table::LogicalSwitchPort, name, port);
        self.switches[at].ports.insert(to);
    }

    /// A rule for both ways on a switch.
    fn rule(mut self, at: usize, priority: i64, action: &str, matching: &str) -> Small {
        for direction in ["from-lport", "to-lport"] {
            let (matching, action) = (matching.to_owned(), action.to_owned());
            let acl = Acl { direction: direction.to_owned(), priority, matching, action, ..Acl::default() };
            let to = self.insert(Table::Acl, &format!("{at} {direction} {priority}"), acl);
            self.switches[at].acls.insert(to);
        }
        self
    }

    /// A route, with options.
    fn route(mut self, prefix: &str, hop: &str, options: &[(&str, &str)]) -> Small {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let row = LogicalRouterStaticRoute {
            ip_prefix: prefix.to_owned(),
            nexthop: hop.to_owned(),
            options,
            ..LogicalRouterStaticRoute::default()
        };
        let to = self.insert(Table::LogicalRouterStaticRoute, &format!("{prefix} {hop}"), row);
        self.router.static_routes.insert(to);
        self
    }

    fn rows(self) -> Rows {
        let Small { mut rows, switches, router } = self;
        for switch in switches {
            rows.insert(Key::new(Table::LogicalSwitch, switch.name.as_str()), switch, None);
        }
        rows.insert(Key::new(Table::LogicalRouter, "r"), router, None);
        rows
    }
}

/// What is said of packets from a machine's first address.
fn verdict_of(network: &Network, from: &str, to: &str, packets: impl Fn(&Sets) -> Set) -> Option<Verdict> {
    let source = if from == "a" { "10.0.0.2" } else { "10.0.1.9" };
    verdict_from(network, source, from, to, packets)
}

fn verdict_from(
    network: &Network,
    source: &str,
    from: &str,
    to: &str,
    packets: impl Fn(&Sets) -> Set,
) -> Option<Verdict> {
    let sets = Sets::default();
    let source: Ipv4Addr = source.parse().expect("an address");
    let own = sets.value(Field::IpSrc, source.to_bits().into());
    let mut judge = Judge::new(network, &sets, ByHand { all: true, ..ByHand::default() });
    let (from, to) = (parties(&judge, from).expect("a name"), parties(&judge, to).ok()?);
    verdict(&judge.explain(&from[0], &to[0], sets.and(own, packets(&sets))))
}

fn https(sets: &Sets) -> Set {
    service(sets, Some(Proto::Tcp), Some((443, 443)))
}

fn uuid(table: Table, name: &str) -> Uuid {
    Key::new(table, name).uuid(OWNER)
}

fn set(members: &[Uuid]) -> Datum {
    Datum::set(members.iter().map(|uuid| Atom::Ref(Ref::Foreign(*uuid))))
}

/// A database with these rows whose `NB_Global` drops what no rule is about.
fn dropping(rows: &Rows) -> Actual {
    let mut actual = as_if_applied(rows, OWNER);
    let option = (Atom::Text("default_acl_drop".into()), Atom::Text("true".into()));
    actual.beside.add("NB_Global", Uuid::nil(), &Datum::map(vec![option]));
    actual
}

#[test]
fn balancers_of_a_group_are_balancers() {
    for table in [Table::LogicalSwitch, Table::LogicalRouter] {
        let mut small = Small::new();
        let vips = [("40.0.0.1:443".to_owned(), "10.0.1.9:443".to_owned())].into();
        small.insert(Table::LoadBalancer, "lb", LoadBalancer { vips, ..LoadBalancer::default() });
        let rows = small.rows();
        let mut actual = as_if_applied(&rows, OWNER);
        let said =
            |actual: &Actual| verdict_of(&Network::of_actual(actual, Target::OLDEST), "a", "40.0.0.1", https);
        assert_ne!(said(&actual), Some(Verdict::Reachable));
        let name = if table == Table::LogicalSwitch { "s0" } else { "r" };
        actual.beside.add(
            "Load_Balancer_Group",
            Uuid::from_u128(7),
            &set(&[uuid(Table::LoadBalancer, "lb")]),
        );
        assert_ne!(said(&actual), Some(Verdict::Reachable), "nobody has the group");
        actual.beside.add(table.name(), uuid(table, name), &set(&[Uuid::from_u128(7)]));
        // A router without a gateway spreads, and does not know the answer again.
        let expected = if name == "s0" { Verdict::Reachable } else { Verdict::OneWay };
        assert_eq!(said(&actual), Some(expected), "{name}");
    }
}

#[test]
fn what_no_rule_is_about_is_dropped_where_the_database_says_so() {
    for target in Target::TESTED {
        let said = |small: Small| {
            let rows = small.rows();
            let network = Network::of_actual(&dropping(&rows), target);
            verdict_of(&network, "b", "c", https).expect("a verdict")
        };
        // A switch without rules, and one that lets everything pass that it is asked about.
        assert_eq!(said(Small::new()), Verdict::Reachable, "{target}");
        let open = Small::new().rule(1, 1000, "allow", "ip");
        assert_eq!(said(open), Verdict::Blocked, "{target}: nobody lets ARP pass, nor what was balanced");
        let rows = Small::new().rule(1, 1000, "allow", "ip").rule(1, 1001, "allow", "arp").rows();
        let mut open = rows.clone();
        for (key, row) in rows.iter().filter(|(key, _)| key.table == Table::Acl) {
            let acl = Acl::try_from(row).expect("a rule");
            if acl.direction == "from-lport" {
                let after = Key::new(Table::Acl, format!("{} after", key.name));
                let options = [("apply-after-lb".to_owned(), "true".to_owned())].into();
                open.insert(after.clone(), Acl { options, ..acl }, None);
                super::translations::alter(&mut open, Table::LogicalSwitch, |switch: &mut LogicalSwitch| {
                    if switch.name == "s1" {
                        switch.acls.insert(Ref::Key(after.clone()));
                    }
                });
            }
        }
        let at = |actual: &Actual| verdict_of(&Network::of_actual(actual, target), "b", "c", https);
        assert_eq!(at(&dropping(&rows)), Some(Verdict::Blocked), "{target}: what comes after balancers");
        assert_eq!(at(&dropping(&open)), Some(Verdict::Reachable), "{target}");
        assert_eq!(
            at(&as_if_applied(&rows, OWNER)),
            Some(Verdict::Reachable),
            "{target}: it does not say so"
        );
    }
}

#[test]
fn answers_go_back_as_their_packets_came() {
    let symmetric = [("ecmp_symmetric_reply", "true")];
    let of = |options: &[(&str, &str)], is_gateway: bool, hops: &[&str]| {
        let mut small = Small::new();
        for hop in hops {
            small = small.route("20.0.0.0/8", hop, options);
        }
        if is_gateway {
            small.router.options.insert("chassis".to_owned(), "gw".to_owned());
        }
        small.rows()
    };
    let said = |rows: &Rows, target, packets: fn(&Sets) -> Set| {
        let network = Network::of_rows(rows, target);
        verdict_from(&network, "20.0.0.5", "b", "a", packets).expect("a verdict")
    };
    let ping = |sets: &Sets| service(sets, Some(Proto::Icmp), None);
    for target in Target::TESTED {
        let both = ["10.0.1.9", "10.0.1.10"];
        // One of the two next hops is not who has asked.
        assert_ne!(said(&of(&[], true, &both), target, https), Verdict::Reachable, "{target}");
        assert_ne!(said(&of(&symmetric, false, &both), target, https), Verdict::Reachable, "{target}");
        assert_eq!(said(&of(&symmetric, true, &both), target, https), Verdict::Reachable, "{target}");
        let is_old = target == Target::OLDEST;
        let ping = said(&of(&symmetric, true, &both), target, ping);
        assert_eq!(ping == Verdict::Reachable, !is_old, "{target}: before 25.03 no ICMP");
        // A single next hop, and not the one that it came from.
        let single = said(&of(&symmetric, true, &["10.0.1.10"]), target, https);
        assert_eq!(single == Verdict::Reachable, !is_old, "{target}: before 25.03 there must be a choice");
    }
}

/// Whether a real OVN answers who on `s1` has an address, asked by `b`.
fn is_answered(rows: &Rows, of: &str) -> bool {
    let stack = Stack::with_northd();
    let params: Value = serde_json::from_str(&transaction(rows, OWNER)).expect("JSON");
    stack.transact(&params).expect("it is taken");
    stack.settle();
    let question = format!(
        "inport == \"b\" && eth.src == 02:00:00:00:01:09 && eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && \
         arp.sha == 02:00:00:00:01:09 && arp.spa == 10.0.1.9 && arp.tha == 00:00:00:00:00:00 && arp.tpa == {of}"
    );
    let text = stack.trace("s1", "new", &question).expect("it is traced");
    Fate::of(&text).outputs == ["b"]
}

#[test]
fn whoever_is_not_answered_sends_nothing() {
    let rules = [
        (Small::new().rule(1, 900, "drop", "1").rule(1, 1000, "allow", "ip"), Verdict::Blocked),
        (
            Small::new().rule(1, 900, "drop", "!ip.is_frag").rule(1, 1000, "allow-related", "ip4"),
            Verdict::Blocked,
        ),
        (Small::new().rule(1, 900, "drop", "ip").rule(1, 1000, "allow", "ip4"), Verdict::Reachable),
        (Small::new().rule(1, 900, "reject", "1").rule(1, 1000, "allow", "ip || arp"), Verdict::Reachable),
        // It has to ask itself before it answers.
        (Small::new().rule(1, 900, "drop", "inport == \"c\"").rule(1, 1000, "allow", "ip"), Verdict::OneWay),
    ];
    for (small, expected) in rules {
        let rows = small.rows();
        let network = Network::of_rows(&rows, Target::OLDEST);
        let is_let = expected != Verdict::Blocked;
        assert_eq!(verdict_of(&network, "b", "c", https), Some(expected), "{}", super::random::dump(&rows));
        if ovn::is_present() {
            assert_eq!(is_answered(&rows, "10.0.1.10"), is_let, "{}", super::random::dump(&rows));
        }
    }
    // What no row tells of is asked for at the other end too, and routers ask for nothing else.
    let rows = Small::new().rule(1, 900, "drop", "1").rule(1, 1000, "allow", "ip").rows();
    assert_eq!(
        verdict_of(&Network::of_rows(&rows, Target::OLDEST), "a", "c", https),
        Some(Verdict::OneWay),
        "the router knows `c`, which does not learn of the router"
    );
}

#[test]
fn a_balancer_alone_makes_an_old_switch_drop_the_rest() {
    // Seed 1057 of the random networks.
    let mut small = Small::new();
    let vips = [("40.0.0.1:80".to_owned(), String::new())].into();
    let to = small.insert(Table::LoadBalancer, "lb", LoadBalancer { vips, ..LoadBalancer::default() });
    small.switches[1].load_balancer.insert(to);
    let rows = small.rows();
    for target in Target::TESTED {
        let said = verdict_of(&Network::of_actual(&dropping(&rows), target), "b", "c", https);
        let expected = if target == Target::OLDEST { Verdict::Blocked } else { Verdict::Reachable };
        assert_eq!(said, Some(expected), "{target}");
    }
}

#[test]
fn only_a_router_answers_for_what_no_row_of_a_switch_tells_of() {
    let said = |matching: Option<&str>| {
        let mut small = Small::new();
        let vips = [("10.0.1.60:443".to_owned(), "10.0.0.2:443".to_owned())].into();
        let to = small.insert(Table::LoadBalancer, "lb", LoadBalancer { vips, ..LoadBalancer::default() });
        small.router.load_balancer.insert(to);
        let small = match matching {
            Some(matching) => small.rule(1, 900, "drop", matching),
            None => small,
        };
        verdict_of(&Network::of_rows(&small.rows(), Target::OLDEST), "b", "10.0.1.60", https)
    };
    // A router without a gateway does not know the answer again.
    assert_eq!(said(None), Some(Verdict::OneWay));
    assert_eq!(said(Some("inport == \"s1-r\" && arp")), Some(Verdict::Blocked));
    assert_eq!(said(Some("inport == \"c\" && arp")), Some(Verdict::OneWay));
}

#[test]
fn a_rule_that_asks_what_is_in_questions_leaves_it_open() {
    let rows = Small::new().rule(1, 900, "drop", "arp.tpa == 10.0.1.10").rows();
    let network = Network::of_rows(&rows, Target::OLDEST);
    assert_eq!(verdict_of(&network, "b", "c", https), Some(Verdict::Undetermined));
}

#[test]
fn a_router_answers_for_networks() {
    let world = |proxied: &str| {
        let mut small = Small::new().route("10.0.1.200/32", "10.0.0.2", &[]);
        small.machine(0, "d", "02:00:00:00:00:03 10.0.0.3");
        let mut rows = small.rows();
        super::translations::alter(&mut rows, Table::LogicalSwitchPort, |port: &mut LogicalSwitchPort| {
            if port.name == "a" {
                port.addresses = ["02:00:00:00:00:02 10.0.0.2 10.0.1.200".to_owned()].into();
            }
            if port.name == "s1-r" {
                port.options.insert("arp_proxy".to_owned(), proxied.to_owned());
            }
        });
        rows
    };
    for (proxied, since_old, since_new) in [
        ("10.0.1.200", true, true),
        ("10.0.1.128/25", false, true),
        ("0a:58:00:00:00:01 10.0.1.128/25", false, true),
        ("10.0.1.128", false, false),
    ] {
        let rows = world(proxied);
        for target in Target::TESTED {
            let said = verdict_of(&Network::of_rows(&rows, target), "b", "10.0.1.200", https);
            let is_let = if target == Target::OLDEST { since_old } else { since_new };
            assert_eq!(said == Some(Verdict::Reachable), is_let, "{proxied} for {target}: {said:?}");
        }
        if ovn::is_present() {
            let is_old = ovn::version().parse::<Target>().expect("a version") == Target::OLDEST;
            assert_eq!(
                is_answered(&rows, "10.0.1.200"),
                if is_old { since_old } else { since_new },
                "{proxied}"
            );
        }
    }
}
