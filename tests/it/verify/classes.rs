//! One machine of many alike is broken: it is found, though others are followed for it. And the proof ends in time.

use std::cell::Cell;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use northc::nb::{Atom, Datum, Row, Rows, Table};
use northc::parallel::with_threads;
use northc::reach::guest::ByHand;
use northc::reach::judge::{Judge, service};
use northc::reach::network::Network;
use northc::reach::parties::everybody;
use northc::reach::set::Sets;
use northc::span::SourceMap;
use northc::target::Target;
use northc::verify::{verify, verify_within};

use super::mutants::{Mutant, changed, mutants, n_found, with_acls};
use super::{compared, compiled_from};
use crate::reach::classes::harbour;
use crate::reach::translations::add_rule;
use crate::worlds::{
    self,
    world::{Dialect, Size},
};

pub(super) fn with_world(text: String, look: impl FnOnce(&northc::check::Checked<'_>, &Rows)) {
    let mut sources = SourceMap::new();
    sources.add("world.yaml", text).expect("it is not that long");
    assert!(compiled_from(&sources, Target::OLDEST, look), "it is good");
}

#[test]
fn neither_sets_that_are_let_go_nor_threads_change_anything() {
    let size = Size { n_vpcs: 2, n_subnets: 4, n_ports: 24 };
    with_world(worlds::text(size, 1, Dialect::Native), |checked, rows| {
        let acls = rows.table(Table::Acl).flat_map(|(key, row)| mutants(key, row));
        let broken = acls.step_by(7).map(|mutant| changed(rows, &mutant));
        let (mut n_wrong, mut n_idle) = (0, 0);
        for rows in std::iter::once(rows.clone()).chain(broken) {
            let network = Network::of_rows(&rows, Target::OLDEST);
            let within = |(n_threads, n_edges)| {
                with_threads(n_threads, || verify_within(checked, &network, &|| true, n_edges))
            };
            let kept = within((1, usize::MAX));
            for other in [(1, 0), (2, usize::MAX), (7, 0)] {
                assert_eq!(format!("{kept:?}"), format!("{:?}", within(other)), "{other:?}");
            }
            n_wrong += usize::from(!kept.differences.is_empty());
            n_idle += kept.idle.len();
        }
        assert!(n_wrong > 3, "{n_wrong} wrong, {n_idle} idle");
    });
}

#[test]
fn whoever_is_broken_among_many_alike_is_found() {
    let size = Size { n_vpcs: 2, n_subnets: 4, n_ports: 24 };
    with_world(worlds::text(size, 1, Dialect::Native), |checked, rows| {
        let whole = compared(checked, rows, Target::OLDEST);
        assert!(whole.is_whole() && whole.differences.is_empty(), "{:#?}", whole.differences);
        assert!(whole.n_classes * 2 <= whole.n_senders, "{} of {}", whole.n_classes, whole.n_senders);
        // One of each VPC that is not the first of its subnet, nor the last.
        let ports: Vec<&str> = checked.model().ports.iter().map(|port| port.name.as_str()).collect();
        let middle =
            |vpc: &str| ports.iter().copied().find(|name| name.starts_with(vpc) && name.ends_with("vm-2"));
        let broken: Vec<&str> = ["vpc-0", "vpc-1"].into_iter().filter_map(middle).collect();
        assert_eq!(broken.len(), 2, "{ports:?}");
        let is_own = |mutant: &Mutant| {
            let is_of = |name: &&str| {
                let is_port = mutant.key.table == Table::LogicalSwitchPort && *mutant.key.name == **name;
                is_port || mutant.kind == "member" && mutant.what.contains(*name)
            };
            broken.iter().any(is_of) || mutant.key.table == Table::Nat
        };
        let all = rows.iter().flat_map(|(key, row)| mutants(key, row)).filter(is_own);
        let n_found = n_found(checked, rows, all);
        assert!(n_found >= 10, "{n_found} found");
        for name in broken {
            let report = compared(checked, &elsewhere(rows, name), Target::OLDEST);
            assert!(!report.differences.is_empty(), "{name} has another address, as all of its row says");
        }
    });
}

/// Rows in which a machine has another address than it was given, and may use that one.
fn elsewhere(rows: &Rows, name: &str) -> Rows {
    let mut made = Rows::new();
    for (key, row) in rows.iter() {
        let mut row = row.clone();
        if key.table == Table::LogicalSwitchPort && *key.name == *name {
            for column in ["addresses", "port_security"] {
                let Some(Datum::Set(atoms)) = row.get_mut(column) else { panic!("it has {column}") };
                for atom in atoms.iter_mut() {
                    let Atom::Text(text) = atom else { continue };
                    let (before, _) = text.rsplit_once('.').expect("an address");
                    *atom = Atom::Text(format!("{before}.250").into());
                }
            }
        }
        made.insert(key.clone(), row, rows.origin(key));
    }
    made
}

#[test]
fn whoever_is_broken_among_many_with_public_addresses_is_found() {
    with_world(harbour(), |checked, rows| {
        for target in Target::TESTED {
            let whole = compared(checked, rows, target);
            assert!(whole.is_whole() && whole.differences.is_empty(), "{:#?}", whole.differences);
            // Those with and without a public address of either VPC, and what is outside.
            assert_eq!((whole.n_senders, whole.n_classes), (15, 5));
            assert!(whole.idle.is_empty(), "{:?}", whole.idle);
        }
        let is_of = |row: &Row, of: &str| format!("{row:?}").contains(of);
        let last = rows.iter().filter(|(key, row)| {
            let is_port = key.table == Table::LogicalSwitchPort && ["near-4", "far-2"].contains(&&*key.name);
            is_port || key.table == Table::Nat && ["203.0.113.24", "203::32"].iter().any(|it| is_of(row, it))
        });
        let n_found = n_found(checked, rows, last.flat_map(|(key, row)| mutants(key, row)));
        assert!(n_found >= 20, "{n_found} found");
        // Each is about one machine, or two, of several that are alike where it is not asked: as senders, and as those
        // that somebody sends to.
        let outside = "the physical network of `wan`";
        for (switch, direction, matching, senders) in [
            ("wan", "from-lport", "ip4.src == 203.0.113.24", ["near-4", "far-0"]),
            ("wan", "to-lport", "ip4.src == 203.0.113.24", ["near-4", "far-0"]),
            ("wan", "to-lport", "ip4.dst == 203.0.113.32 && tcp.dst == 22", ["far-2", "near-0"]),
            ("wan", "from-lport", "ip6.dst == 2001:db8:203::24", ["near-4", outside]),
            ("far-net", "to-lport", "ip4.src == {203.0.113.23, 203.0.113.24}", ["near-3", "far-0"]),
            ("near-net", "from-lport", "ip4.dst == 203.0.113.32", ["far-2", "near-0"]),
            (
                "near-net",
                "to-lport",
                "ip4.dst == 10.20.1.6 && ip4.src == 198.51.100.0/24",
                ["near-4", outside],
            ),
        ] {
            let mut rows = rows.clone();
            add_rule(&mut rows, |name| name == switch, direction, (1000, "drop"), matching);
            for target in Target::TESTED {
                let what = format!("{switch} {direction} {matching} for {target}");
                let report = compared(checked, &rows, target);
                assert_eq!((report.n_followed, report.n_classes), (15, 6), "{what}");
                for sender in senders {
                    let is_told = report.differences.iter().any(|it| it.from == sender);
                    assert!(is_told, "{what}: {:#?}", report.differences);
                }
            }
        }
    });
}

#[test]
fn what_the_model_alone_asks_of_a_public_address_tells_its_machine_apart() {
    let mut text = harbour();
    for object in [
        "kind: SecurityGroup, metadata: {name: one}, \
         spec: {ingress: [{protocol: tcp, ports: 443, cidrs: 203.0.113.23}]}",
        "kind: NetworkInterface, metadata: {name: guarded}, spec: {subnet: far-net, securityGroups: one}",
        "kind: ElasticIp, metadata: {name: guarded-public}, \
         spec: {externalNetwork: wan, networkInterface: guarded, addresses: 203.0.113.40}",
    ] {
        let _ = writeln!(text, "---\n{{apiVersion: northc.io/v1alpha1, {object}}}");
    }
    with_world(text, |checked, rows| {
        let whole = compared(checked, rows, Target::OLDEST);
        assert!(whole.is_whole() && whole.differences.is_empty(), "{:#?}", whole.differences);
        // To the guarded one goes what near-3 sends, and nothing of the others like it.
        assert_eq!((whole.n_senders, whole.n_classes), (16, 7));
        let other =
            with_acls(rows, |acl| acl.matching = acl.matching.replace("203.0.113.23", "203.0.113.99"));
        let report = compared(checked, &other, Target::OLDEST);
        assert_eq!(report.n_classes, 7);
        assert!(report.differences.iter().any(|it| it.from == "near-3"), "{:#?}", report.differences);
    });
}

/// Machines whose addresses go out untranslated, and one elsewhere that lets a single one of them in.
fn strangers() -> String {
    let mut text = String::new();
    let mut add = |kind: &str, api: &str, metadata: &str, spec: &str| {
        let _ = writeln!(
            text,
            "---\n{{apiVersion: {api}, kind: {kind}, metadata: {{{metadata}}}, spec: {spec}}}"
        );
    };
    let node = r#"name: gw1, labels: {ovn.kubernetes.io/external-gw: "true"}, annotations: {ovn.kubernetes.io/chassis: gw1}"#;
    add("Node", "v1", node, "{}");
    let ours = "kubeovn.io/v1";
    add("Vlan", ours, "name: uplink", "{id: 0, provider: physnet1}");
    let external = "{protocol: IPv4, cidrBlock: 203.0.113.0/24, gateway: 203.0.113.1, vlan: uplink}";
    add("Subnet", ours, "name: external", external);
    for vpc in ["a", "b"] {
        let route = "{cidr: 0.0.0.0/0, nextHopIP: 203.0.113.1, policy: policyDst}";
        let spec = format!("{{enableExternal: true, staticRoutes: [{route}]}}");
        add("Vpc", ours, &format!("name: {vpc}"), &spec);
        let subnet = "protocol: IPv4, cidrBlock: 10.0.0.0/24, enableDHCP: true, private: false";
        let spec = format!("{{vpc: {vpc}, provider: {vpc}-net.{vpc}.ovn, {subnet}}}");
        add("Subnet", ours, &format!("name: {vpc}-net"), &spec);
    }
    let rule = "{ipVersion: ipv4, protocol: tcp, priority: 1, policy: allow, remoteType: address, \
                remoteAddress: 10.0.0.7/32, portRangeMin: 443, portRangeMax: 443}";
    add("SecurityGroup", ours, "name: one", &format!("{{ingressRules: [{rule}]}}"));
    let machines = (0..10).map(|nth| ("a", format!("a-{nth}"), "")).chain([("b", "b-0".to_owned(), "one")]);
    for (vpc, name, groups) in machines {
        let port = format!("{vpc}-net.{vpc}.ovn.kubernetes.io");
        let joins =
            if groups.is_empty() { String::new() } else { format!(", {port}/security_groups: {groups}") };
        let annotations = format!(r#"{{{port}/port_security: "true"{joins}}}"#);
        let devices = "{interfaces: [{name: default, bridge: {}}]}";
        let networks = format!("[{{name: default, multus: {{networkName: {vpc}/{vpc}-net}}}}]");
        let inner = format!("{{domain: {{devices: {devices}}}, networks: {networks}}}");
        let spec = format!(
            "{{runStrategy: Always, template: {{metadata: {{annotations: {annotations}}}, spec: {inner}}}}}"
        );
        add("VirtualMachine", "kubevirt.io/v1", &format!("name: {name}, namespace: {vpc}"), &spec);
    }
    add("OvnEip", ours, "name: b-0", "{externalSubnet: external, type: nat}");
    add("OvnFip", ours, "name: b-0", "{ovnEip: b-0, ipName: b-0.b.b-net.b.ovn}");
    text
}

#[test]
fn what_is_asked_elsewhere_tells_machines_of_a_class_apart() {
    with_world(strangers(), |checked, rows| {
        let whole = compared(checked, rows, Target::OLDEST);
        assert!(whole.is_whole() && whole.differences.is_empty(), "{:#?}", whole.differences);
        assert!(whole.n_classes < 6, "{} of {}", whole.n_classes, whole.n_senders);
        let other = with_acls(rows, |acl| acl.matching = acl.matching.replace("10.0.0.7", "10.0.0.8"));
        let report = compared(checked, &other, Target::OLDEST);
        let is_told = |name: &str| report.differences.iter().any(|it| it.from.starts_with(name));
        // The sixth and the seventh have 10.0.0.7 and 10.0.0.8.
        assert!(is_told("a-5.") && is_told("a-6."), "{:#?}", report.differences);
    });
}

#[test]
fn what_differs_is_said_though_its_sender_is_not_followed_to_the_end() {
    // None is like another, and each sends to so many that it does so in two parts.
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "---\n{{apiVersion: northc.io/v1alpha1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n"
        )
    };
    let mut text = object("Vpc", "all", "") + &object("Subnet", "net", "vpc: all, cidrs: 10.9.0.0/24");
    for nth in 0..70 {
        let spec = format!("subnet: net, allowedAddressPairs: 10.10.0.{nth}");
        text += &object("NetworkInterface", &format!("m-{nth}"), &spec);
    }
    with_world(text, |checked, rows| {
        let mut rows = rows.clone();
        add_rule(&mut rows, |name| name == "net", "from-lport", (1000, "drop"), "ip4.dst == 10.9.0.5");
        let network = Network::of_rows(&rows, Target::OLDEST);
        let ends_after = |n: usize| {
            let n_left = AtomicUsize::new(n);
            let goes_on = || n_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
            with_threads(1, || verify(checked, &network, &goes_on))
        };
        let first = (1..).map(|n| ends_after(20 * n)).find(|report| !report.differences.is_empty());
        let report = first.expect("it differs");
        assert_eq!(report.n_followed, 0);
        assert!(report.differences.iter().all(|it| it.from == "m-0"), "{:#?}", report.differences);
    });
}

#[test]
fn the_time_is_looked_at_in_the_middle_of_a_sender() {
    let size = Size { n_vpcs: 1, n_subnets: 2, n_ports: 12 };
    with_world(worlds::text(size, 1, Dialect::Native), |_, rows| {
        let (network, sets) = (Network::of_rows(rows, Target::OLDEST), Sets::default());
        let n_left = Cell::new(0);
        let goes_on = || {
            n_left.set(n_left.get() - 1);
            n_left.get() > 0
        };
        let mut judge = Judge::new(&network, &sets, ByHand::default());
        judge.walker.goes_on = Some(&goes_on);
        let (sender, every) = (everybody(&judge).swap_remove(0), service(&sets, None, None));
        let mut n_ends = |n: i32| {
            n_left.set(n);
            judge.requests(&sender, every).len()
        };
        let (few, all) = (n_ends(4), n_ends(i32::MAX));
        assert!(few < all, "{few} of {all} ends");
    });
}
