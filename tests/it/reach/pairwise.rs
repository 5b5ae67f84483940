//! A change is compared by classes of machines, where rows that differ can touch them: whoever compares every pair of
//! machines by itself, wherever they are, finds the same.
//!
//! `NORTHC_CHANGES=1000 cargo test pairwise::` tries more random changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use northc::nb::actual::Actual;
use northc::nb::{
    Acl, AddressSet, Atom, Datum, LoadBalancer, LogicalRouter, LogicalRouterPolicy, LogicalRouterPort,
    LogicalRouterStaticRoute, LogicalSwitch, LogicalSwitchPort, Nat, PortGroup, Ref, Row, Table,
};
use northc::plan::as_if_applied;
use northc::reach::change::{Change, Turn};
use northc::reach::guest::ByHand;
use northc::reach::header::Field;
use northc::reach::judge::{Judge, Party, Place, Verdict, service};
use northc::reach::network::{Link, Network, PortId, PortKind};
use northc::reach::parties::{INTERNET, everybody, name_of, outside};
use northc::reach::set::{Set, Sets};
use northc::reach::show::services;
use northc::reach::walk::{Flow, Outcome};
use northc::target::Target;
use uuid::Uuid;

use super::changes::{change, change_within};
use super::classes::tripled;
use super::random::World;
use crate::expressions::Dice;
use crate::worlds;
use crate::worlds::world::{Dialect, Size};

/// Turn, sender, receiver, services.
type Said = BTreeSet<(Turn, String, String, String)>;

fn said(change: &Change) -> Said {
    let mut said = Said::new();
    for shift in &change.shifts {
        for from in &shift.from {
            for to in shift.to.iter().filter(|to| *to != from) {
                let is_new = said.insert((shift.turn, from.clone(), to.clone(), shift.services.clone()));
                assert!(is_new, "{from} → {to} is said twice");
            }
        }
    }
    said
}

/// What becomes of the packets of one pair.
struct Fate {
    some: Set,
    full: Set,
    unknown: Set,
}

struct Side<'n> {
    judge: Judge<'n>,
    parties: BTreeMap<String, Party>,
    /// The part of the network that each is in.
    parts: BTreeMap<String, usize>,
}

impl<'n> Side<'n> {
    fn new(network: &'n Network, sets: &'n Sets) -> Side<'n> {
        let judge = Judge::new(network, sets, ByHand { all: true, ..ByHand::default() });
        let all = everybody(&judge).into_iter().chain(outside(&judge));
        let parties = all.map(|party| (name_of(network, &party.place), party)).collect();
        Side { judge, parties, parts: parts(network) }
    }

    fn requests(&mut self, from: &str) -> Vec<Outcome> {
        let Some(sender) = self.parties.get(from) else { return Vec::new() };
        self.judge.walker.is_thorough = false;
        let sets = self.judge.sets;
        let everywhere = sets.any(self.parties.values().map(|party| party.known_to(sender)));
        let set = sets.and(sets.and(sender.sources, everywhere), service(sets, None, None));
        self.judge.requests(sender, set)
    }

    fn fate(&mut self, from: &str, to: &str, requests: &[Outcome]) -> Fate {
        let sets = self.judge.sets;
        let mut by_verdict: BTreeMap<Verdict, Set> = BTreeMap::new();
        if let (Some(sender), Some(receiver)) = (self.parties.get(from), self.parties.get(to)) {
            for request in requests {
                let set = sets.and(request.flow.set, receiver.known_to(sender));
                if set.is_none() {
                    continue;
                }
                let flow = Flow { set, ..request.flow.clone() };
                let request = Outcome { flow, end: request.end.clone() };
                for (set, verdict, _) in self.judge.answered(sender, receiver, request) {
                    let own = by_verdict.entry(verdict).or_insert(Set::NONE);
                    *own = sets.or(*own, set);
                }
            }
        }
        let of = |verdict| by_verdict.get(&verdict).copied().unwrap_or(Set::NONE);
        let unknown = of(Verdict::Undetermined);
        let lost = sets.or(of(Verdict::Blocked), of(Verdict::NoRoute));
        let full = sets.minus(of(Verdict::Reachable), sets.any([unknown, lost, of(Verdict::OneWay)]));
        let some = sets.minus(sets.or(of(Verdict::Reachable), of(Verdict::OneWay)), unknown);
        Fate { some, full, unknown }
    }
}

/// The part that each machine is in, of those that links join.
fn parts(network: &Network) -> BTreeMap<String, usize> {
    let n_switches = network.switches.len();
    let mut of: Vec<usize> = (0..n_switches + network.routers.len()).collect();
    let mut links: Vec<(usize, usize)> = Vec::new();
    let mut wired = None;
    for port in &network.ports {
        match port.kind {
            PortKind::Router(Some(to)) => {
                links.push((port.switch.0, n_switches + network.router_port(to).router.0));
            }
            PortKind::Localnet => links.push((port.switch.0, *wired.get_or_insert(port.switch.0))),
            PortKind::Guest | PortKind::Router(None) | PortKind::Other(_) => {}
        }
    }
    for port in &network.router_ports {
        if let Link::Router(to) = port.link {
            links.push((n_switches + port.router.0, n_switches + network.router_port(to).router.0));
        }
    }
    for _ in 0..of.len() {
        for (a, b) in &links {
            let least = of[*a].min(of[*b]);
            (of[*a], of[*b]) = (least, least);
        }
    }
    let guests = (0..network.ports.len()).map(PortId).filter(|id| network.port(*id).kind == PortKind::Guest);
    let machines = guests.map(|id| (name_of(network, &Place::Guest(id)), of[network.port(id).switch.0]));
    machines.chain(wired.map(|at| (INTERNET.to_owned(), of[at]))).collect()
}

/// The same of every pair by itself; and what is unclear between some that no link joins, which nobody need say: who
/// moves from one part to another has them compared together.
fn one_by_one(before: &Actual, after: &Actual, what: &str) -> [Said; 2] {
    let networks = [before, after].map(|rows| Network::of_actual(rows, Target::OLDEST));
    let sets = Sets::default();
    let mut sides = networks.each_ref().map(|network| Side::new(network, &sets));
    let names: BTreeSet<String> = sides.iter().flat_map(|side| side.parties.keys().cloned()).collect();
    let mut said = [Said::new(), Said::new()];
    for from in &names {
        let requests = sides.each_mut().map(|side| side.requests(from));
        for to in names.iter().filter(|to| *to != from) {
            let [old, new] = &mut sides;
            let (a, b) = (old.fate(from, to, &requests[0]), new.fate(from, to, &requests[1]));
            let kept = kept(&sides, from, to);
            let same = |set: Set| kept.iter().fold(set, |set, keep| keep(&sets, set));
            let [a, b] = [a, b].map(|fate| [fate.some, fate.full, fate.unknown].map(same));
            let both = sets.and(a[2], b[2]);
            let unclear = sets.minus(sets.or(a[2], b[2]), both);
            let more = |a: &[Set; 3], b: &[Set; 3]| {
                let set = sets.or(sets.minus(a[0], b[0]), sets.minus(a[1], b[1]));
                sets.minus(set, sets.or(unclear, both))
            };
            let turns = [(Turn::Opens, more(&b, &a)), (Turn::Closes, more(&a, &b)), (Turn::Unclear, unclear)];
            let is_joined = sides
                .iter()
                .any(|side| side.parts.get(from).zip(side.parts.get(to)).is_some_and(|(a, b)| a == b));
            for (turn, set) in turns.into_iter().filter(|(_, set)| !set.is_none()) {
                assert!(is_joined || turn == Turn::Unclear, "{what}: {from} → {to}");
                said[usize::from(!is_joined)].insert((turn, from.clone(), to.clone(), services(&sets, set)));
            }
        }
    }
    said
}

type Keep = Box<dyn Fn(&Sets, Set) -> Set>;

/// What of addresses that are others can be compared.
fn kept(sides: &[Side<'_>; 2], from: &str, to: &str) -> Vec<Keep> {
    let ends = sides.each_ref().map(|side| {
        let (sender, receiver) = (side.parties.get(from)?, side.parties.get(to)?);
        Some((sender.sources, receiver.known_to(sender)))
    });
    let [Some(old), Some(new)] = ends else { return Vec::new() };
    let mut kept: Vec<Keep> = Vec::new();
    for (name, field, a, b) in [(from, Field::IpSrc, old.0, new.0), (to, Field::IpDst, old.1, new.1)] {
        if a != b && name == INTERNET {
            kept.push(Box::new(move |sets, set| sets.and(set, sets.and(a, b))));
        } else if a != b {
            kept.push(Box::new(move |sets, set| sets.forget(set, field)));
        }
    }
    kept
}

/// Turns something of a database into something else; what it was.
fn mutate(actual: &mut Actual, dice: &mut Dice) -> &'static str {
    match dice.below(22) {
        0 => edit(actual, dice, |acl: &mut Acl, dice| {
            acl.action =
                dice.pick(&["drop", "allow-related", "allow", "reject", "allow-stateless"]).to_owned();
        }),
        1 => edit(actual, dice, |acl: &mut Acl, dice| acl.priority = dice.below(3) as i64 * 1000),
        2 => edit(actual, dice, |acl: &mut Acl, dice| {
            let other = ["ip4.src == 10.0.1.0/24", "tcp.dst == 443", "udp", "ip4", "tcp.flags == 2"];
            acl.matching = dice.pick(&other).to_owned();
        }),
        3 => {
            edit(actual, dice, |route: &mut LogicalRouterStaticRoute, _| route.nexthop = "discard".to_owned())
        }
        4 => edit(actual, dice, |nat: &mut Nat, dice| {
            nat.external_ip = format!("30.0.0.{}", 40 + dice.below(9));
        }),
        5 => edit(actual, dice, |policy: &mut LogicalRouterPolicy, dice| {
            policy.action = dice.pick(&["allow", "drop"]).to_owned();
        }),
        6 => edit(actual, dice, |port: &mut LogicalSwitchPort, _| port.enabled = Some(false)),
        7 => edit(actual, dice, |port: &mut LogicalSwitchPort, dice| {
            let host = format!(".{}", 30 + dice.below(60));
            let moved = |text: &String| match text.rsplit_once('.').filter(|_| port.kind.is_empty()) {
                Some((start, _)) => format!("{start}{host}"),
                None => text.clone(),
            };
            port.addresses = port.addresses.iter().map(moved).collect();
        }),
        8 => edit(actual, dice, |port: &mut LogicalSwitchPort, _| port.port_security.clear()),
        9 => edit(actual, dice, |set: &mut AddressSet, _| drop(set.addresses.pop_first())),
        10 => edit(actual, dice, |group: &mut PortGroup, _| drop(group.ports.pop_last())),
        11 => edit(actual, dice, |balancer: &mut LoadBalancer, _| {
            balancer.vips.values_mut().for_each(String::clear);
        }),
        12 => edit(actual, dice, |port: &mut LogicalRouterPort, _| port.enabled = Some(false)),
        13 => edit(actual, dice, |router: &mut LogicalRouter, _| router.enabled = Some(false)),
        14 => edit(actual, dice, |port: &mut LogicalRouterPort, _| drop(port.networks.pop_last())),
        _ => come_or_go(actual, dice),
    }
}

/// The same of whole rows.
fn come_or_go(actual: &mut Actual, dice: &mut Dice) -> &'static str {
    match dice.below(7) {
        0 | 1 => {
            let tables =
                [Table::Acl, Table::LogicalRouterStaticRoute, Table::Nat, Table::LogicalRouterPolicy];
            let table = tables[dice.below(tables.len())];
            let Some(uuid) = any(actual, dice, table) else { return "nothing" };
            actual.remove(table, uuid);
            refs(actual, |refs| refs.retain(|to| *to != Ref::Foreign(uuid)));
            "a row gone"
        }
        2 => {
            let tables = [Table::LoadBalancer, Table::Dns, Table::AddressSet];
            let table = tables[dice.below(tables.len())];
            let Some(uuid) = any(actual, dice, table) else { return "nothing" };
            actual.remove(table, uuid);
            refs(actual, |refs| refs.retain(|to| *to != Ref::Foreign(uuid)));
            "a thing gone"
        }
        3 => {
            let Some(uuid) = any(actual, dice, Table::LogicalSwitchPort) else { return "nothing" };
            actual.remove(Table::LogicalSwitchPort, uuid);
            refs(actual, |refs| refs.retain(|to| *to != Ref::Foreign(uuid)));
            "a port gone"
        }
        4 | 5 => {
            let Some(uuid) = any(actual, dice, Table::LogicalSwitchPort) else { return "nothing" };
            let row = actual.get(Table::LogicalSwitchPort, uuid).expect("it is there");
            let port = LogicalSwitchPort::try_from(row.as_ref()).expect("a port");
            let moved = |text: &String| {
                let text = text.replacen("02:00:", "02:50:", 1).replace("/24", "");
                if text.contains('.') { format!("{text}7") } else { text }
            };
            let twin = LogicalSwitchPort {
                name: format!("new-{}", port.name),
                addresses: port.addresses.iter().map(moved).collect(),
                port_security: port.port_security.iter().map(moved).collect(),
                ..port
            };
            let new = Uuid::from_u128(dice.below(usize::MAX) as u128);
            actual.insert(new, twin.into());
            if dice.below(2) == 0 {
                let Some(switch) = any(actual, dice, Table::LogicalSwitch) else { return "nothing" };
                edit_row(actual, switch, |own: &mut LogicalSwitch| {
                    own.ports.insert(Ref::Foreign(new));
                });
                return "a twin elsewhere";
            }
            refs(actual, |refs| {
                if refs.contains(&Ref::Foreign(uuid)) {
                    refs.insert(Ref::Foreign(new));
                }
            });
            "a port more"
        }
        _ => {
            let Some(port) = any(actual, dice, Table::LogicalSwitchPort) else { return "nothing" };
            let Some(switch) = any(actual, dice, Table::LogicalSwitch) else { return "nothing" };
            let switches: Vec<Uuid> = actual.table(Table::LogicalSwitch).map(|(uuid, _)| uuid).collect();
            for uuid in switches {
                edit_row(actual, uuid, |own: &mut LogicalSwitch| {
                    own.ports.remove(&Ref::Foreign(port));
                    own.ports.extend((uuid == switch).then_some(Ref::Foreign(port)));
                });
            }
            "a port elsewhere"
        }
    }
}

/// A row of a table.
fn any(actual: &Actual, dice: &mut Dice, table: Table) -> Option<Uuid> {
    let all: Vec<Uuid> = actual.table(table).map(|(uuid, _)| uuid).collect();
    (!all.is_empty()).then(|| all[dice.below(all.len())])
}

fn edit<T>(actual: &mut Actual, dice: &mut Dice, change: impl FnOnce(&mut T, &mut Dice)) -> &'static str
where
    T: for<'r> TryFrom<&'r Row> + Into<Row>,
{
    let of_kind = |row: &Row| T::try_from(row).is_ok();
    let all: Vec<Uuid> = actual.iter().filter(|(_, row)| of_kind(row)).map(|(uuid, _)| uuid).collect();
    if all.is_empty() {
        return "nothing";
    }
    edit_row(actual, all[dice.below(all.len())], |row| change(row, dice));
    std::any::type_name::<T>()
}

fn edit_row<T>(actual: &mut Actual, uuid: Uuid, change: impl FnOnce(&mut T))
where
    T: for<'r> TryFrom<&'r Row> + Into<Row>,
{
    let row = actual.iter().find(|(own, _)| *own == uuid).map(|(_, row)| row.clone()).expect("it is there");
    let mut typed = T::try_from(row.as_ref()).ok().expect("of its kind");
    change(&mut typed);
    actual.insert(uuid, typed.into());
}

/// Changes what rows refer to.
fn refs(actual: &mut Actual, change: impl Fn(&mut BTreeSet<Ref>)) {
    let rows: Vec<(Uuid, Row)> = actual.iter().map(|(uuid, row)| (uuid, row.as_ref().clone())).collect();
    for (uuid, mut row) in rows {
        let columns = row.table().columns().iter().filter(|column| column.target.is_some());
        let mut is_other = false;
        for column in columns {
            let Some(datum) = row.get_mut(column.name) else { continue };
            let before: BTreeSet<Ref> = datum.refs().cloned().collect();
            let mut after = before.clone();
            change(&mut after);
            if before != after {
                *datum = Datum::set(after.into_iter().map(Atom::Ref));
                is_other = true;
            }
        }
        if is_other {
            actual.insert(uuid, row);
        }
    }
}

/// Changes a database and holds the comparison against each pair's; how many pairs turn.
fn holds(old: &Actual, dice: &mut Dice, what: &str) -> usize {
    let mut new = old.clone();
    let mutations: Vec<&str> = (0..1 + dice.below(3)).map(|_| mutate(&mut new, dice)).collect();
    let what = format!("{what}, {mutations:?}");
    let found = said(&change(old, &new));
    let [wanted, idle] = one_by_one(old, &new, &what);
    let more: Vec<_> = found.difference(&wanted).filter(|it| !idle.contains(it)).collect();
    let less: Vec<_> = wanted.difference(&found).collect();
    assert!(more.is_empty() && less.is_empty(), "{what}: said {more:#?}, not said {less:#?}");
    found.len()
}

/// How many random changes are tried.
fn n_changes() -> u64 {
    std::env::var("NORTHC_CHANGES").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

#[test]
fn in_random_networks_classes_turn_as_their_machines() {
    let mut n_turned = 0;
    for seed in 0..n_changes() {
        let dice = &mut Dice::new(seed);
        let world = World::new(dice);
        let is_tripled = seed % 4 == 0;
        let rows = if is_tripled { tripled(&world) } else { world.rows };
        let what = format!("seed {seed}{}", if is_tripled { ", tripled" } else { "" });
        n_turned += holds(&as_if_applied(&rows, "random"), dice, &what);
    }
    assert!(n_turned > 100, "{n_turned}");
}

#[test]
fn a_rule_is_asked_about_where_it_holds() {
    let size = Size { n_vpcs: 8, n_subnets: 16, n_ports: 160 };
    let old = as_if_applied(&worlds::compiled(&worlds::text(size, 1, Dialect::Native)), "test");
    // The VPC has a way out, as another has.
    let is_rule = |(_, row): &(Uuid, &Arc<Row>)| {
        let rule = Acl::try_from(row.as_ref()).expect("a rule");
        rule.matching.contains("@ovn.sg.vpc_0_web") && rule.direction == "to-lport"
    };
    let (rule, _) = old.table(Table::Acl).find(is_rule).expect("the VPC has a rule");
    let mut new = old.clone();
    edit_row(&mut new, rule, |rule: &mut Acl| rule.action = "drop".to_owned());
    let narrow = change(&old, &new);
    assert!(!narrow.shifts.is_empty());
    let (mut router, routers) = (new.clone(), Table::LogicalRouter);
    let (first, _) = old.table(routers).next().expect("it has a router");
    edit_row(&mut router, first, |router: &mut LogicalRouter| router.enabled = Some(false));
    let n_pairs = narrow.n_classes.pow(2);
    let is_less = |rows: &Actual| change_within(&old, rows, n_pairs - 1).is_ok();
    assert_eq!((is_less(&new), is_less(&router)), (true, false), "{n_pairs} pairs");
}

#[test]
fn in_clouds_parts_that_no_row_touches_turn_nothing() {
    let mut n_turned = 0;
    for seed in 0..n_changes().div_ceil(8) {
        for dialect in [Dialect::Native, Dialect::KubeOvn] {
            let size = Size { n_vpcs: 4, n_subnets: 10, n_ports: 24 };
            let rows = as_if_applied(&worlds::compiled(&worlds::text(size, seed, dialect)), "test");
            n_turned += holds(&rows, &mut Dice::new(seed), &format!("{dialect:?}, seed {seed}"));
        }
    }
    assert!(n_turned > 10, "{n_turned}");
}
