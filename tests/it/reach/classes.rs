//! Of each class of machines a few are followed: whoever follows every machine finds the same.

use std::collections::{BTreeMap, BTreeSet};

use northc::nb::{Key, LogicalSwitch, LogicalSwitchPort, PortGroup, Ref, Rows, Table};
use northc::reach::guest::ByHand;
use northc::reach::judge::{Judge, Party, Place, Verdict, service};
use northc::reach::matrix::Matrix;
use northc::reach::network::Network;
use northc::reach::parties::{Who, everybody, name_of, outside};
use northc::reach::set::{Set, Sets};
use northc::reach::show::services;
use northc::target::Target;

use super::random::World;
use super::translations::{add_rule, alter};
use crate::expressions::Dice;
use crate::worlds;
use crate::worlds::world::{Dialect, Size};

/// What becomes of packets by verdict, in words.
type Said = BTreeMap<Verdict, String>;

/// Holds who reaches whom against what becomes of each machine's packets; how many classes there were.
fn is_as_one_by_one(rows: &Rows, target: Target, what: &str) -> usize {
    between_is_as_one_by_one(rows, target, what, [&|_| true, &|_| true])
}

/// The same from some places to some.
fn between_is_as_one_by_one(
    rows: &Rows,
    target: Target,
    what: &str,
    ends: [&dyn Fn(&Place) -> bool; 2],
) -> usize {
    let network = Network::of_rows(rows, target);
    let sets = Sets::default();
    let mut judge = Judge::new(&network, &sets, ByHand { all: true, ..ByHand::default() });
    let mut all = everybody(&judge);
    all.extend(outside(&judge));
    let everything = service(&sets, None, None);
    let lists = ends.map(|is_meant| {
        let meant = all.iter().filter(|party| is_meant(&party.place));
        meant.map(|party| Who::of(&judge, party.clone())).collect::<Vec<_>>()
    });
    let matrix = Matrix::new(&mut judge, &lists[0], &lists[1], everything);
    let meant = |end: usize| all.iter().filter(move |party| ends[end](&party.place)).enumerate();
    for (a, from) in meant(0) {
        let receivers: Vec<Party> = meant(1).map(|(_, to)| to.clone()).collect();
        let said = one_by_one(&mut judge, from, &receivers, everything);
        for (b, to) in receivers.iter().enumerate().filter(|(_, to)| *to != from) {
            let found = matrix.cell(&vec![a], &vec![b]).map(|cell| &cell.0);
            let names = (name_of(&network, &from.place), name_of(&network, &to.place));
            assert_eq!(found, Some(&said[b]), "{what}: {names:?}");
        }
    }
    if lists[0] == lists[1] {
        groups_are_alike(&matrix, all.len(), what);
    }
    matrix.n_classes
}

fn one_by_one(judge: &mut Judge<'_>, from: &Party, all: &[Party], service: Set) -> Vec<Said> {
    let sets = judge.sets;
    judge.walker.is_thorough = false;
    let everywhere = sets.any(all.iter().map(|to| to.known_to(from)));
    let set = sets.and(sets.and(from.sources, everywhere), service);
    let requests = judge.requests(from, set);
    let mut said = Vec::new();
    for to in all {
        let mut by_verdict: BTreeMap<Verdict, Set> = BTreeMap::new();
        for finding in judge.findings(from, to, &requests) {
            let set = by_verdict.entry(finding.verdict).or_insert(Set::NONE);
            *set = sets.or(*set, finding.set);
        }
        let is_only = by_verdict.len() == 1;
        let words = |set| if is_only { String::new() } else { services(sets, set) };
        said.push(by_verdict.into_iter().map(|(verdict, set)| (verdict, words(set))).collect());
    }
    said
}

/// Everybody is in one group, and what is said of a group holds of each pair of it.
fn groups_are_alike(matrix: &Matrix, n_parties: usize, what: &str) {
    let members: BTreeSet<usize> = matrix.from.iter().flatten().copied().collect();
    assert_eq!(members.len(), n_parties, "{what}");
    for from in &matrix.from {
        for to in &matrix.to {
            let pairs = from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b);
            let cells: BTreeSet<_> = pairs.map(|(a, b)| matrix.cell(&vec![a], &vec![b])).collect();
            assert!(cells.len() <= 1, "{what}: {from:?} → {to:?}");
        }
    }
}

/// The rows, and beside each machine two that are like it.
pub(super) fn tripled(world: &World) -> Rows {
    let mut rows = world.rows.clone();
    for machine in &world.machines {
        let key = Key::new(Table::LogicalSwitchPort, machine.port.as_str());
        let Some(port) = rows.get(&key).and_then(|row| LogicalSwitchPort::try_from(row).ok()) else {
            continue;
        };
        for copy in 1..3_u64 {
            let moved = |text: &String| {
                let words = text.split(' ').enumerate().map(|(at, word)| match at {
                    0 => word.replacen("02:00:", &format!("02:{copy}0:"), 1),
                    _ => format!("{word}{copy}").replace("/24", "").replace("/64", ""),
                });
                words.collect::<Vec<_>>().join(" ")
            };
            let name = format!("{}-{copy}", machine.port);
            let twin = LogicalSwitchPort {
                name: name.clone(),
                addresses: port.addresses.iter().map(moved).collect(),
                port_security: port.port_security.iter().map(moved).collect(),
                ..port.clone()
            };
            let twin_key = Key::new(Table::LogicalSwitchPort, name);
            rows.insert(twin_key.clone(), twin, None);
            let join = |ports: &mut BTreeSet<Ref>| {
                if ports.contains(&Ref::Key(key.clone())) {
                    ports.insert(Ref::Key(twin_key.clone()));
                }
            };
            alter(&mut rows, Table::LogicalSwitch, |switch: &mut LogicalSwitch| join(&mut switch.ports));
            alter(&mut rows, Table::PortGroup, |group: &mut PortGroup| join(&mut group.ports));
        }
    }
    rows
}

#[test]
fn in_random_networks_machines_of_a_class_behave_alike() {
    for seed in 0..12 {
        let world = World::new(&mut Dice::new(seed));
        let target = Target::TESTED[seed as usize % Target::TESTED.len()];
        is_as_one_by_one(&world.rows, target, &format!("seed {seed}"));
        if seed < 4 {
            is_as_one_by_one(&tripled(&world), target, &format!("seed {seed}, tripled"));
        }
    }
}

#[test]
fn in_clouds_whose_vpcs_have_the_same_addresses_machines_of_a_class_behave_alike() {
    for dialect in [Dialect::Native, Dialect::KubeOvn] {
        let size = Size { n_vpcs: 4, n_subnets: 14, n_ports: 36 };
        let rows = worlds::compiled(&worlds::text(size, 3, dialect));
        let n_classes = is_as_one_by_one(&rows, Target::OLDEST, &format!("{dialect:?}"));
        assert!(n_classes < 20, "{dialect:?}: {n_classes} classes of 36 machines");
    }
}

/// Two VPCs with the same private addresses, on one physical network: machines with public addresses, and others.
pub(crate) fn harbour() -> String {
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "---\napiVersion: northc.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
        )
    };
    let wan = "physicalNetwork: physnet1, cidrs: [203.0.113.0/24, \"2001:db8:203::/64\"]";
    let mut text = object("ExternalNetwork", "wan", wan);
    for (at, (vpc, n_public)) in [("near", 5), ("far", 3)].into_iter().enumerate() {
        let route = format!("routes: [{{destination: [0.0.0.0/0, \"::/0\"], internetGateway: {vpc}-door}}]");
        text += &object("Vpc", vpc, &route);
        let door = format!("vpc: {vpc}, externalNetwork: wan, chassis: [{{name: gw1}}]");
        text += &object("InternetGateway", &format!("{vpc}-door"), &door);
        let cidrs = "cidrs: [10.20.1.0/24, \"fd00:20:1::/64\"]";
        text += &object("Subnet", &format!("{vpc}-net"), &format!("vpc: {vpc}, {cidrs}"));
        for nth in 0..n_public + 3 {
            let name = format!("{vpc}-{nth}");
            text += &object("NetworkInterface", &name, &format!("subnet: {vpc}-net"));
            if nth < n_public {
                let host = 20 + 10 * at + nth;
                let addresses = format!("[203.0.113.{host}, \"2001:db8:203::{host}\"]");
                let spec = format!("externalNetwork: wan, networkInterface: {name}, addresses: {addresses}");
                text += &object("ElasticIp", &format!("{name}-public"), &spec);
            }
        }
    }
    text
}

#[test]
fn public_addresses_tell_machines_apart_where_something_elsewhere_asks_about_them() {
    let rows = worlds::compiled(&harbour());
    assert_eq!(is_as_one_by_one(&rows, Target::OLDEST, "no rule"), 4);
    let is_outside = |place: &Place| *place == Place::Outside;
    let is_machine = |place: &Place| !is_outside(place);
    for (direction, matching, n_more) in [
        ("from-lport", "ip4.src == 203.0.113.21", 1),
        ("to-lport", "ip4.src == 203.0.113.21", 1),
        ("to-lport", "ip4.dst == 203.0.113.22 && tcp.dst == 22", 1),
        ("from-lport", "ip4.src == {203.0.113.20, 203.0.113.31}", 2),
        ("from-lport", "ip4.dst == 203.0.113.20/30", 1),
        ("to-lport", "ip6.src == 2001:db8:203::21 && icmp6", 1),
        ("from-lport", "ip4.src == 203.0.113.128/25", 0),
        ("from-lport", "ip4.src == 10.20.1.11", 0),
    ] {
        let mut rows = rows.clone();
        add_rule(&mut rows, |switch| switch == "wan", direction, (1000, "drop"), matching);
        for target in Target::TESTED {
            let what = format!("{matching}, {direction}, {target}");
            let n_classes = is_as_one_by_one(&rows, target, &what);
            assert_eq!(n_classes, 4 + n_more, "{what}");
            between_is_as_one_by_one(&rows, target, &what, [&is_machine, &is_outside]);
            between_is_as_one_by_one(&rows, target, &what, [&is_outside, &is_machine]);
        }
    }
}
