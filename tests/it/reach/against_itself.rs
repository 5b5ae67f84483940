//! Sets against every packet of a small world: what is done to a set is done to each packet in it.

use std::collections::BTreeSet;

use northc::nb::matching::{self, SymbolSet};
use northc::plan::as_if_applied;
use northc::reach::filter::{Names, Reader, Surroundings, Tracked};
use northc::reach::guest::{ByHand, Guests};
use northc::reach::header::{Field, Header, Origin, Rewrite};
use northc::reach::judge::{Judge, service};
use northc::reach::matrix::Matrix;
use northc::reach::network::{Network, PortId};
use northc::reach::parties::{Who, machines, name_of};
use northc::reach::set::{Set, Sets};
use northc::reach::walk::{End, Flow, Kind, Obstacle, Outcome, Walker};
use northc::target::Target;
use proptest::prelude::*;

use super::random::World;
use crate::expressions::Dice;

/// A set built at random, and what it is by the way it was built.
enum Built {
    Range(Field, u128, u128),
    Ranges(Field, Vec<(u128, u128)>),
    And(Box<Built>, Box<Built>),
    Or(Box<Built>, Box<Built>),
    Minus(Box<Built>, Box<Built>),
    Before(Box<Built>, Rewrite),
    Forget(Box<Built>, Field),
}

/// Fields have values from 0 to 3 in these worlds.
const VALUES: u128 = 4;
const FIELDS: [Field; 3] = [Field::IpProto, Field::IpSrc, Field::TpDst];

fn build(dice: &mut Dice, depth: usize) -> Built {
    let field = FIELDS[dice.below(FIELDS.len())];
    if depth == 0 {
        let mut range = || {
            let low = dice.below(VALUES as usize) as u128;
            (low, low + dice.below((VALUES - low) as usize) as u128)
        };
        let (low, high) = range();
        let others: Vec<(u128, u128)> = (0..3).map(|_| range()).collect();
        let n_others = dice.below(4);
        return match n_others {
            0 | 1 => Built::Range(field, low, high),
            n => Built::Ranges(field, others.into_iter().take(n).chain([(low, high)]).collect()),
        };
    }
    let part = |dice: &mut Dice| Box::new(build(dice, depth - 1));
    match dice.below(6) {
        0 | 1 => Built::And(part(dice), part(dice)),
        2 => Built::Or(part(dice), part(dice)),
        3 => Built::Minus(part(dice), part(dice)),
        4 => Built::Forget(part(dice), field),
        _ => {
            let mut rewrite = Rewrite::IDENTITY;
            rewrite[field] = match dice.below(2) {
                0 => Origin::Value(dice.below(VALUES as usize) as u128),
                _ => Origin::Field(FIELDS[dice.below(FIELDS.len())]),
            };
            Built::Before(part(dice), rewrite)
        }
    }
}

impl Built {
    fn set(&self, sets: &Sets) -> Set {
        match self {
            Built::Range(field, low, high) => sets.range(*field, *low, *high),
            Built::Ranges(field, ranges) => sets.ranges(*field, ranges.iter().copied()),
            Built::And(a, b) => sets.and(a.set(sets), b.set(sets)),
            Built::Or(a, b) => sets.or(a.set(sets), b.set(sets)),
            Built::Minus(a, b) => sets.minus(a.set(sets), b.set(sets)),
            Built::Before(inner, rewrite) => sets.before(inner.set(sets), rewrite),
            Built::Forget(inner, field) => sets.forget(inner.set(sets), *field),
        }
    }

    fn holds(&self, header: &Header) -> bool {
        match self {
            Built::Range(field, low, high) => (*low..=*high).contains(&header[*field]),
            Built::Ranges(field, ranges) => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&header[*field]))
            }
            Built::And(a, b) => a.holds(header) && b.holds(header),
            Built::Or(a, b) => a.holds(header) || b.holds(header),
            Built::Minus(a, b) => a.holds(header) && !b.holds(header),
            Built::Before(inner, rewrite) => inner.holds(&rewrite.apply(header)),
            // Values beyond the world's stand for all that no range names.
            Built::Forget(inner, field) => (0..=VALUES).any(|value| {
                let mut other = *header;
                other[*field] = value;
                inner.holds(&other)
            }),
        }
    }
}

/// Every packet of the world, and one beyond it.
fn world() -> impl Iterator<Item = Header> {
    (0..(VALUES + 1).pow(3)).map(|n| {
        let mut header = Header::default();
        for (at, field) in FIELDS.into_iter().enumerate() {
            header[field] = n / (VALUES + 1).pow(at as u32) % (VALUES + 1);
        }
        header
    })
}

proptest! {
    #[test]
    fn a_set_is_its_packets(seed: u64) {
        let sets = Sets::default();
        let built = build(&mut Dice::new(seed), 5);
        let set = built.set(&sets);
        for header in world() {
            prop_assert_eq!(sets.contains(set, &header), built.holds(&header), "{:?}", header);
        }
        if let Some(picked) = sets.pick(set, &[(Field::TpDst, 2), (Field::IpSrc, 1)]) {
            prop_assert!(sets.contains(set, &picked));
        } else {
            prop_assert!(set.is_none());
        }
        // Equal packets, equal numbers.
        let twice = sets.minus(sets.or(set, set), sets.not(set));
        prop_assert_eq!(twice, set);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn many_packets_fare_as_each_of_them(seed: u64) {
        let mut dice = Dice::new(seed);
        let world = World::new(&mut dice);
        let network = Network::of_rows(&world.rows, Target::OLDEST);
        let sets = Sets::default();
        let mut walker = Walker::new(&network, &sets, Guests::new(&network, ByHand { all: true, ..ByHand::default() }));
        for _ in 0..20 {
            let packet = world.packet(&mut dice);
            let at = PortId(network.ports.iter().position(|port| port.name == packet.port).expect("its port"));
            let only = Field::ALL.into_iter().fold(Set::ALL, |set, field| {
                sets.and(set, sets.value(field, packet.header[field]))
            });
            let family = sets.value(Field::EthType, packet.header[Field::EthType]);
            let wide = sets.and(family, sets.range(Field::IpSrc, 0, packet.header[Field::IpSrc]));
            let one = walker.from_guest(at, Flow::new(only), Kind::First);
            let many = walker.from_guest(at, Flow::new(wide), Kind::First);
            let of_many = many.iter().filter(|it| sets.contains(it.flow.set, &packet.header));
            prop_assert_eq!(fates(one.iter()), fates(of_many), "{}", packet.header);
            let covered = sets.any(many.iter().map(|it| it.flow.set));
            prop_assert_eq!(covered, wide, "nothing is lost without a word");
        }
    }
}

/// How packets ended and what stopped them.
fn fates<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> BTreeSet<(String, Vec<Obstacle>)> {
    let fate = |it: &Outcome| {
        let end = match &it.end {
            // Which part of a match was not judged depends on the packets.
            End::Unjudged { row, .. } => format!("{row:?}"),
            end => format!("{end:?} {}", it.flow.ttl),
        };
        (end, it.flow.obstacles.clone())
    };
    outcomes.map(fate).collect()
}

#[test]
fn a_match_is_what_it_says() {
    let sets = Sets::default();
    let names = Names::default();
    let reader = Reader::new(&sets, SymbolSet::V23_03, &names);
    let around = Surroundings {
        inport: "a",
        outport: "b",
        eth_src: Some(1),
        eth_dst: None,
        ttl: 64,
        tracked: Tracked::New,
    };
    let mut packet = Header::default();
    packet[Field::EthType] = 0x0800;
    packet[Field::IpProto] = 6;
    packet[Field::IpSrc] = 0x0a00_0102;
    packet[Field::IpDst] = 0x0a00_0203;
    packet[Field::TpSrc] = 40_000;
    packet[Field::TpDst] = 443;
    let table = [
        ("ip4 && tcp", Some(true)),
        ("ip6", Some(false)),
        ("ip4.src == 10.0.1.0/24", Some(true)),
        ("ip4.src != 10.0.1.0/24", Some(false)),
        ("!(ip4.src == 10.0.1.2 && udp.dst == 443)", Some(false)),
        ("!(ip4.src == 10.0.1.3 || tcp.dst == 80)", Some(true)),
        ("ip4.dst == 10.0.0.3/255.255.0.255", Some(true)),
        ("ip4.dst[24..31] == 10", Some(true)),
        // Sixteen million intervals.
        ("ip4.dst[0..7] == 3", None),
        ("tcp.dst[8]", Some(true)),
        ("!tcp.dst[8]", Some(false)),
        ("1024 <= tcp.src <= 40000", Some(true)),
        ("tcp.dst > 443", Some(false)),
        ("tcp.dst[8..15] >= 1", Some(true)),
        ("inport == \"a\" && outport == \"b\"", Some(true)),
        ("inport == {\"x\", \"y\"}", Some(false)),
        ("ct.new && !ct.est", Some(true)),
        ("ip.ttl == 63", Some(false)),
        ("ip.is_frag", Some(false)),
        ("!ip.is_frag", Some(true)),
        ("eth.dst == 02:00:00:00:00:01", None),
        ("tcp.flags == 2", None),
        ("tcp.flags == 2 && udp", Some(false)),
        ("tcp.flags == 2 || tcp", Some(true)),
        ("reg0 == 1", None),
        ("arp || ip4", Some(true)),
        ("0", Some(false)),
    ];
    for (text, expected) in table {
        let expr = matching::parse(text, SymbolSet::V23_03).expr.expect("a good match");
        let (truth, unjudged) = reader.read(&expr, &around);
        let (yes, maybe) = (sets.contains(truth.yes, &packet), sets.contains(truth.maybe, &packet));
        let got = (yes == maybe).then_some(yes);
        assert_eq!(got, expected, "`{text}` {unjudged:?}");
        assert!(sets.minus(truth.yes, truth.maybe).is_none(), "`{text}`");
    }
}

#[test]
fn a_database_is_read_as_what_was_written() {
    for seed in 0..12 {
        let world = World::new(&mut Dice::new(seed));
        let written = Network::of_rows(&world.rows, Target::OLDEST);
        let stored = Network::of_actual(&as_if_applied(&world.rows, "random"), Target::OLDEST);
        assert_eq!(verdicts(&written), verdicts(&stored), "seed {seed}");
    }
}

/// Who reaches whom, in words.
pub(super) fn verdicts(network: &Network) -> BTreeSet<String> {
    let sets = Sets::default();
    let mut judge = Judge::new(network, &sets, ByHand { all: true, ..ByHand::default() });
    let all: Vec<Who> = machines(&judge).map(Who::Machine).collect();
    let service = service(&sets, None, None);
    let matrix = Matrix::new(&mut judge, &all, &all, service);
    let name = |at: &usize| name_of(network, &all[*at].place());
    let mut said = BTreeSet::new();
    for from in matrix.from.iter().flatten() {
        for to in matrix.to.iter().flatten() {
            let cell = matrix.cell(&vec![*from], &vec![*to]);
            said.insert(format!("{} {} {cell:?}", name(from), name(to)));
        }
    }
    said
}
