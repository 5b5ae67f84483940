//! Rows that do something else than they seem to say, on every OVN that is tested.

use northc::nb::{
    Dns, Key, LoadBalancer, LogicalRouter, LogicalRouterPolicy, LogicalSwitch, LogicalSwitchPort, Ref, Rows,
    Table,
};
use northc::reach::header::Field;
use northc::reach::judge::{Proto, service};
use northc::reach::set::Sets;
use northc::target::Target;

use super::translations::{NAT, add_rule, alter, case, said, said_of};

/// Adds a rule to the machine's switch.
fn rule(rows: &mut Rows, direction: &str, priority: i64, action: &str, matching: &str) {
    add_rule(rows, |switch| switch != "external", direction, (priority, action), matching);
}

/// Packets from the machine of the case to one beside its gateway.
fn verdict(rows: &Rows, target: Target) -> String {
    said(rows, target, "vm-external", "8.8.8.8").join(", ")
}

#[test]
fn no_rule_stops_the_answer_of_a_connection_that_is_followed() {
    for target in Target::TESTED {
        let mut rows = case(&NAT, target);
        rule(&mut rows, "to-lport", 2000, "drop", "ip4.src == 8.8.8.8 && tcp.src == 443");
        assert_eq!(verdict(&rows, target), "one-way from 203.0.113.2", "{target}");
        rule(&mut rows, "from-lport", 1000, "allow-related", "ip4");
        assert_eq!(verdict(&rows, target), "reachable from 203.0.113.2", "{target}");
    }
}

#[test]
fn connections_are_followed_where_a_balancer_has_an_address_that_ovn_cannot_read() {
    for target in Target::TESTED {
        let mut rows = case(&NAT, target);
        rule(&mut rows, "to-lport", 2000, "drop", "ip4.src == 8.8.8.8 && tcp.src == 443");
        assert_eq!(verdict(&rows, target), "one-way from 203.0.113.2", "{target}");
        let key = Key::new(Table::LoadBalancer, "balancer");
        // A port on one side alone.
        let vips = [("[fd00:40::1]:80".to_owned(), "fd00::4".to_owned())].into();
        rows.insert(key.clone(), LoadBalancer { vips, ..LoadBalancer::default() }, None);
        alter(&mut rows, Table::LogicalSwitch, |switch: &mut LogicalSwitch| {
            switch.load_balancer.insert(Ref::Key(key.clone()));
        });
        assert_eq!(verdict(&rows, target), "reachable from 203.0.113.2", "{target}");
    }
}

#[test]
fn a_policy_sends_nowhere_what_has_no_route() {
    for target in Target::TESTED {
        let mut rows = case(&NAT, target);
        let key = Key::new(Table::LogicalRouterPolicy, "reroute");
        let policy = LogicalRouterPolicy {
            priority: 100,
            matching: "ip4.dst == 8.8.8.8".to_owned(),
            action: "reroute".to_owned(),
            nexthops: ["203.0.113.9".to_owned()].into(),
            ..LogicalRouterPolicy::default()
        };
        rows.insert(key.clone(), policy, None);
        alter(&mut rows, Table::LogicalRouter, |router: &mut LogicalRouter| {
            router.policies.insert(Ref::Key(key.clone()));
        });
        assert_eq!(verdict(&rows, target), "reachable from 203.0.113.2", "{target}");
        alter(&mut rows, Table::LogicalRouter, |router: &mut LogicalRouter| router.static_routes.clear());
        assert_eq!(verdict(&rows, target), "blocked from 172.20.30.2", "{target}");
    }
}

#[test]
fn rules_of_equal_priority_leave_it_to_ovn() {
    for target in Target::TESTED {
        let mut rows = case(&NAT, target);
        rule(&mut rows, "from-lport", 1500, "allow-related", "tcp.dst == 443");
        rule(&mut rows, "from-lport", 1500, "drop", "ip4.src == 172.20.30.0/24");
        assert_eq!(verdict(&rows, target), "ambiguous from 203.0.113.2", "{target}");
    }
}

#[test]
fn older_switches_that_answer_for_names_let_pass_what_looks_like_an_answer() {
    let from_port_53 = |sets: &Sets| {
        let udp = service(sets, Some(Proto::Udp), Some((443, 443)));
        sets.and(udp, sets.value(Field::TpSrc, 53))
    };
    for target in Target::TESTED {
        let mut rows = case(&NAT, target);
        rule(&mut rows, "to-lport", 2000, "drop", "udp");
        let is_blocked = |rows: &Rows| {
            let said = said_of(rows, target, "vm-external", "8.8.8.8", from_port_53);
            said.iter().all(|verdict| verdict.starts_with("blocked"))
        };
        assert!(is_blocked(&rows), "{target}");
        let key = Key::new(Table::Dns, "zone");
        rows.insert(key.clone(), Dns::default(), None);
        alter(&mut rows, Table::LogicalSwitch, |switch: &mut LogicalSwitch| {
            switch.dns_records.insert(Ref::Key(key.clone()));
        });
        assert_eq!(is_blocked(&rows), target.is_at_least((25, 3)), "{target}");
    }
}

#[test]
fn nobody_answers_for_an_address_that_a_switch_does_not_know() {
    let target = Target::OLDEST;
    let mut rows = case(&NAT, target);
    alter(&mut rows, Table::LogicalSwitchPort, |port: &mut LogicalSwitchPort| {
        port.addresses.remove("unknown");
    });
    assert_eq!(verdict(&rows, target), "blocked from 203.0.113.2");
}
