//! One machine of many alike on many subnets alike is broken, or one subnet: it is found, though others are followed for
//! them.

use std::fmt::Write;

use northc::nb::{
    Key, LogicalRouter, LogicalRouterPolicy, LogicalSwitch, LogicalSwitchPort, Ref, Rows, Table,
};
use northc::target::Target;

use super::classes::with_world;
use super::compared;
use super::mutants::{Mutant, mutants, n_found, with_acls};
use crate::reach::translations::{add_rule, alter};

/// A VPC with subnets that are alike but for what is added, its peer, and a way out.
fn terraces(added: &[&str]) -> String {
    let mut text = String::new();
    let mut add = |kind: &str, name: &str, spec: &str| {
        let _ = writeln!(
            text,
            "---\n{{apiVersion: northc.io/v1alpha1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}"
        );
    };
    add("ExternalNetwork", "wan", "physicalNetwork: physnet1, cidrs: 203.0.113.0/24");
    add("Vpc", "hill", "routes: [{destination: 0.0.0.0/0, natGateway: hill-nat}]");
    add("InternetGateway", "hill-door", "vpc: hill, externalNetwork: wan, chassis: [{name: gw1}]");
    add("ElasticIp", "hill-out", "externalNetwork: wan");
    add("NatGateway", "hill-nat", "vpc: hill, elasticIp: hill-out");
    add("Vpc", "valley", "");
    add("VpcPeering", "path", "vpcs: [hill, valley]");
    let web = "{protocol: tcp, ports: 443}, {protocol: tcp, ports: 22, securityGroups: web}";
    add("SecurityGroup", "web", &format!("ingress: [{web}], egress: [{{}}]"));
    for (vpc, block, n_subnets) in [("hill", 0, 5), ("valley", 1, 3)] {
        for nth in 0..n_subnets {
            let cidrs = format!("cidrs: [10.{block}.{nth}.0/24, \"fd00:{block}:{nth}::/64\"]");
            add("Subnet", &format!("{vpc}-{nth}"), &format!("vpc: {vpc}, {cidrs}"));
            for machine in 0..3 {
                let groups = if machine < 2 { ", securityGroups: web" } else { "" };
                let spec = format!("subnet: {vpc}-{nth}{groups}");
                add("NetworkInterface", &format!("{vpc}-{nth}-{machine}"), &spec);
            }
        }
    }
    for object in added {
        let _ = writeln!(text, "---\n{{apiVersion: northc.io/v1alpha1, {object}}}");
    }
    text
}

/// Of either VPC those in the group, and those in none, and what is outside.
const N_CLASSES: usize = 5;

#[test]
fn whatever_is_broken_on_one_of_many_subnets_is_found() {
    with_world(terraces(&[]), |checked, rows| {
        for target in Target::TESTED {
            let whole = compared(checked, rows, target);
            assert!(whole.is_whole() && whole.differences.is_empty(), "{:#?}", whole.differences);
            assert_eq!((whole.n_senders, whole.n_classes), (25, N_CLASSES));
            assert!(whole.idle.is_empty(), "{:?}", whole.idle);
        }
        // Of a subnet that is neither the first of its kind nor the last: some, or all where somebody asks for more.
        let is_own = |mutant: &Mutant| {
            let names = ["hill-3", "valley-1", "10.0.3.", "fd00:0:3:", "10.1.1."];
            let is_common = [Table::LogicalRouterStaticRoute, Table::LogicalRouter, Table::Nat]
                .contains(&mutant.key.table);
            is_common || names.iter().any(|own| mutant.key.name.contains(own) || mutant.what.contains(own))
        };
        let step = if std::env::var_os("NORTHC_MUTANTS").is_some() { 1 } else { 11 };
        let all = rows.iter().flat_map(|(key, row)| mutants(key, row)).filter(is_own);
        let n_found = n_found(checked, rows, all.step_by(step));
        assert!(n_found >= 12, "{n_found} found");
    });
}

/// What is done to rows, and of whom it is told.
type Change<'c> = (&'c str, &'c dyn Fn(&mut Rows), &'c [&'c str]);

#[test]
fn what_rows_say_of_one_subnet_tells_it_apart() {
    with_world(terraces(&[]), |checked, rows| {
        // Each is about one subnet of several, or about nobody's address in one: said on a switch, or by the group.
        let on = |switch: &'static str, direction: &'static str, matching: &'static str| {
            move |rows: &mut Rows| {
                add_rule(rows, |name| name == switch, direction, (32_000, "drop"), matching)
            }
        };
        let policy = |matching: &'static str| move |rows: &mut Rows| *rows = with_policy(rows, matching);
        let stranger = |rows: &mut Rows| {
            let key = Key::new(Table::LogicalSwitchPort, "stranger");
            let addresses = ["0a:00:00:00:00:01 10.0.3.77".to_owned()].into();
            let row =
                LogicalSwitchPort { name: "stranger".to_owned(), addresses, ..LogicalSwitchPort::default() };
            rows.insert(key.clone(), row, None);
            alter(rows, Table::LogicalSwitch, |switch: &mut LogicalSwitch| {
                switch.ports.extend((switch.name == "hill-3").then(|| Ref::Key(key.clone())));
            });
        };
        let changes: [Change<'_>; 8] = [
            ("one switch", &on("hill-3", "to-lport", "ip4.src == 10.0.3.0/24"), &["hill-3-0"]),
            ("towards one", &on("hill-1", "from-lport", "ip4.dst == 10.0.3.0/24"), &["hill-1-2"]),
            ("one source", &on("valley-2", "to-lport", "ip4.src == 10.0.3.0/24"), &["hill-3-0"]),
            ("a part", &on("valley-2", "to-lport", "ip4.src == 10.0.3.2/31"), &["hill-3-0"]),
            ("a policy", &policy("ip4.dst == 10.0.3.0/24"), &["hill-0-0", "valley-0-0"]),
            ("a side", &policy("inport == \"hill-hill-3\" && ip4"), &["hill-3-0"]),
            ("a stranger", &stranger, &["hill-0-0", "hill-3-0"]),
            ("its side", &|rows: &mut Rows| *rows = elsewhere(rows), &["hill-0-0", "hill-3-1"]),
        ];
        for (what, change, senders) in changes {
            let mut rows = rows.clone();
            change(&mut rows);
            for target in Target::TESTED {
                let report = compared(checked, &rows, target);
                for sender in senders {
                    let is_told = report.differences.iter().any(|it| it.from == *sender);
                    let told: Vec<&str> = report.differences.iter().map(|it| it.from.as_str()).collect();
                    assert!(is_told, "{what} for {target}: {sender} is not among {told:?}");
                }
            }
        }
    });
}

/// Rows in which a machine is on another switch.
fn elsewhere(rows: &Rows) -> Rows {
    let mut rows = rows.clone();
    let mut moved = std::collections::BTreeSet::new();
    for wanted in ["hill-3", "hill-4"] {
        alter(&mut rows, Table::LogicalSwitch, |switch: &mut LogicalSwitch| {
            if switch.name == wanted {
                let is_it = |port: &Ref| matches!(port, Ref::Key(key) if &*key.name == "hill-3-1");
                moved.extend(switch.ports.iter().filter(|port| is_it(port)).cloned());
                switch.ports.retain(|port| !is_it(port));
                if wanted == "hill-4" {
                    switch.ports.append(&mut moved);
                }
            }
        });
    }
    rows
}

#[test]
fn what_the_model_says_of_one_subnet_tells_it_apart() {
    let group = "kind: SecurityGroup, metadata: {name: one}, spec: {ingress: [{protocol: tcp, ports: 22, cidrs: CIDR}]}";
    let member =
        "kind: NetworkInterface, metadata: {name: one}, spec: {subnet: valley-2, securityGroups: one}";
    for (cidr, other, found) in [
        ("10.0.3.0/24", "10.0.2.0/24", ["hill-3-0", "hill-2-0"]),
        ("10.0.3.0/30", "10.0.3.4/30", ["hill-3-0", "hill-3-2"]),
        ("10.0.2.0/23", "10.0.0.0/23", ["hill-2-0", "hill-0-0"]),
    ] {
        with_world(terraces(&[&group.replace("CIDR", cidr), member]), |checked, rows| {
            let whole = compared(checked, rows, Target::OLDEST);
            assert!(whole.is_whole() && whole.differences.is_empty(), "{:#?}", whole.differences);
            let rows = with_acls(rows, |acl| acl.matching = acl.matching.replace(cidr, other));
            let report = compared(checked, &rows, Target::OLDEST);
            for sender in found {
                let told: Vec<&str> = report.differences.iter().map(|it| it.from.as_str()).collect();
                assert!(told.contains(&sender), "{cidr}: {sender} is not among {told:?}");
            }
        });
    }
}

#[test]
fn who_is_like_nobody_sends_beside_it_and_elsewhere() {
    let lone = "kind: NetworkInterface, metadata: {name: lone}, \
                spec: {subnet: hill-0, addresses: 10.0.0.50, allowedAddressPairs: 10.77.0.1}";
    with_world(terraces(&[lone]), |checked, rows| {
        let whole = compared(checked, rows, Target::OLDEST);
        assert!(whole.is_whole() && whole.differences.is_empty(), "{:#?}", whole.differences);
        // What is routed in its VPC is not what goes to its own subnet.
        let policy = "ip4.src == 10.0.0.50 && ip4.dst == 10.0.0.0/22";
        let report = compared(checked, &with_policy(rows, policy), Target::OLDEST);
        assert!(report.differences.iter().any(|it| it.from == "lone"), "{:#?}", report.differences);
    });
}

/// Rows in which a policy of a VPC drops what matches.
fn with_policy(rows: &Rows, matching: &str) -> Rows {
    let (mut rows, key) = (rows.clone(), Key::new(Table::LogicalRouterPolicy, "one"));
    let (matching, action) = (matching.to_owned(), "drop".to_owned());
    let row = LogicalRouterPolicy { priority: 900, matching, action, ..LogicalRouterPolicy::default() };
    rows.insert(key.clone(), row, None);
    alter(&mut rows, Table::LogicalRouter, |router: &mut LogicalRouter| {
        router.policies.extend(router.name.contains("hill").then(|| Ref::Key(key.clone())));
    });
    rows
}
