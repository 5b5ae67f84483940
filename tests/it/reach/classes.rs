//! Of each class of machines a few are followed: whoever follows every machine finds the same.

use std::collections::{BTreeMap, BTreeSet};

use northc::nb::{Key, LogicalSwitch, LogicalSwitchPort, PortGroup, Ref, Rows, Table};
use northc::reach::guest::ByHand;
use northc::reach::judge::{Judge, Party, Verdict, service};
use northc::reach::matrix::Matrix;
use northc::reach::network::Network;
use northc::reach::parties::{Who, everybody, name_of, outside};
use northc::reach::set::{Set, Sets};
use northc::reach::show::services;
use northc::target::Target;

use super::random::World;
use super::translations::alter;
use crate::expressions::Dice;
use crate::worlds;
use crate::worlds::world::{Dialect, Size};

/// What becomes of packets by verdict, in words.
type Said = BTreeMap<Verdict, String>;

/// Holds who reaches whom against what becomes of each machine's packets; how many classes there were.
fn is_as_one_by_one(rows: &Rows, target: Target, what: &str) -> usize {
    let network = Network::of_rows(rows, target);
    let sets = Sets::default();
    let mut judge = Judge::new(&network, &sets, ByHand { all: true, ..ByHand::default() });
    let mut all = everybody(&judge);
    all.extend(outside(&judge));
    let everything = service(&sets, None, None);
    let whole: Vec<Who> = all.iter().map(|party| Who::of(&judge, party.clone())).collect();
    let matrix = Matrix::new(&mut judge, &whole, &whole, everything);
    for (a, from) in all.iter().enumerate() {
        let said = one_by_one(&mut judge, from, &all, everything);
        for (b, to) in all.iter().enumerate().filter(|(b, _)| *b != a) {
            let found = matrix.cell(&vec![a], &vec![b]).map(|cell| &cell.0);
            let names = (name_of(&network, &from.place), name_of(&network, &to.place));
            assert_eq!(found, Some(&said[b]), "{what}: {names:?}");
        }
    }
    groups_are_alike(&matrix, all.len(), what);
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
