//! Machines that are alike on both sides: packets of one, to one of each class, are followed for all of them.
//!
//! A class is one of the rows and one of the model, found apart, on one subnet or on several that are alike on both
//! sides. What either side has asked about addresses on the way says whether its machines are alike for these packets
//! too: those that it tells apart are followed as well ([`super::standing`]). So no answer hangs on a guess.
//!
//! | addresses | whose packets for them stand for others' |
//! |---|---|
//! | a machine's own | of those who reach it by its own router: [`Place`] |
//! | public, translated to it | everybody's |
//!
//! Refuses to follow packets.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use crate::check::Checked;
use crate::meaning::{self, Meaning, Public, Traits};
use crate::model::{PortId, SubnetId, VpcId};
use crate::reach::address::within_any;
use crate::reach::alike;
use crate::reach::header::{Field, IPV4, IPV6, Origin, Rewrite, bits, eth_type};
use crate::reach::network::SwitchId;
use crate::reach::set::{Quickly, Set, Sets};
use crate::span::Span;

use super::rows::Known;

/// Where addresses are one machine's on both sides: in the model, and in the rows.
pub(super) type Place = (VpcId, usize);

/// What an address is of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Own,
    Public,
}

/// Addresses of one family: those of the machines of a place, or all public ones.
pub(super) type List = (Option<Place>, u128);

/// An address of a machine of a class: which one of the machine's of its kind.
struct Listed {
    address: u128,
    class: usize,
    nth: usize,
    machine: PortId,
}

/// Machines that are alike.
pub(super) struct Class {
    pub(super) place: Place,
    /// All of them, in order.
    pub(super) members: Vec<PortId>,
    pub(super) by_home: BTreeMap<HomeId, Vec<PortId>>,
}

/// A subnet on a switch of the rows, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HomeId(usize);

/// A subnet on a switch of the rows.
pub(super) struct Home {
    /// Others with the same subnet or the same switch; none in rows as they should be.
    pub(super) tangled: Vec<HomeId>,
    /// Those with the same number have machines of the same classes, and no others, and are alike in every address that
    /// no machine has.
    pub(super) company: Option<usize>,
    /// Where the whole subnet is translated on its way out.
    pub(super) outgoing: Vec<Span>,
}

/// Machines by class.
pub(super) struct Classes<'s> {
    pub(super) sets: &'s Sets,
    pub(super) sorted: &'s Sorted,
    /// What a question about a field comes to for the addresses of a list.
    answers: RefCell<Quickly<(List, Field, Set), Rc<Answers>>>,
    /// Packets from or for a machine, by an address of a kind.
    of: RefCell<Quickly<(Kind, PortId, Field), Set>>,
}

/// Machines as they were sorted before a packet was followed; threads may share them.
pub(super) struct Sorted {
    own: Vec<Vec<IpAddr>>,
    pub(super) publics: BTreeMap<PortId, Vec<Public>>,
    pub(super) classes: Vec<Class>,
    of: BTreeMap<PortId, usize>,
    pub(super) by_place: BTreeMap<Place, Vec<usize>>,
    /// Classes with public addresses.
    pub(super) with_publics: Vec<usize>,
    pub(super) place_of: BTreeMap<PortId, Place>,
    homes: Vec<Home>,
    home_of: BTreeMap<PortId, HomeId>,
    lists: BTreeMap<List, Vec<Listed>>,
    /// Who has an address, in the places that there are.
    having: HashMap<u128, Vec<(Kind, PortId)>>,
    /// Every machine's own addresses by place, and all public ones, in order.
    pub(super) by_address: BTreeMap<Option<Place>, Vec<(u128, IpAddr, PortId)>>,
}

/// What is left of a question for addresses of a list, by class and which of a machine's it is: of those for which it is
/// not what it is for most of their class.
pub(super) struct Answers(pub(super) BTreeMap<(usize, usize), Rc<Odd>>);

/// Machines of a class for which a question does not come to what it does for most of the class, with what it comes to.
pub(super) type Odd = BTreeMap<PortId, Set>;

/// What packets of a sender were asked by both sides; each with the part of the rows' network whose classes have foreseen
/// it.
#[derive(Default)]
pub(super) struct Asked {
    /// Each with the packets of which it was asked.
    pub(super) sent: BTreeMap<(Option<usize>, Set), BTreeSet<Set>>,
    pub(super) written: BTreeSet<(Option<usize>, Written)>,
}

/// A question about an address that was written on the way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written {
    pub(super) field: Field,
    value: u128,
    by: By,
    pub(super) set: Set,
}

/// Whose router has written an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Somebody,
    Vpc(VpcId),
    Part(usize),
}

impl Asked {
    /// What the model has asked as well.
    pub(super) fn meant(&mut self, asked: meaning::Asked) {
        for (set, among) in asked.sent {
            self.sent.entry((None, set)).or_default().insert(among);
        }
        self.written.extend(asked.written.into_iter().map(|it| {
            let meaning::Written { field, value, by, set } = it;
            (None, Written { field, value, by: by.map_or(By::Somebody, By::Vpc), set })
        }));
    }

    /// What the rows have asked as well.
    pub(super) fn done(&mut self, asked: alike::Questions) {
        for (part, set, among) in asked.sent {
            self.sent.entry((Some(part), set)).or_default().insert(among);
        }
        self.written.extend(asked.written.into_iter().map(|(part, it, set)| {
            let alike::Written { field, value, by } = it;
            (Some(part), Written { field, value, by: by.map_or(By::Somebody, By::Part), set })
        }));
    }
}

impl Sorted {
    pub(super) fn new(checked: &Checked<'_>, meaning: &Meaning<'_>, rows: &Known<'_>) -> Sorted {
        let model = checked.model();
        let own = model.ports().map(|(id, _)| checked.assignment().port(id).addresses.clone()).collect();
        let mut sorted = Sorted {
            own,
            publics: meaning.publics(),
            classes: Vec::new(),
            of: BTreeMap::new(),
            by_place: BTreeMap::new(),
            with_publics: Vec::new(),
            place_of: BTreeMap::new(),
            homes: Vec::new(),
            home_of: BTreeMap::new(),
            lists: BTreeMap::new(),
            having: HashMap::new(),
            by_address: BTreeMap::new(),
        };
        let mut homes: BTreeMap<(SubnetId, SwitchId), HomeId> = BTreeMap::new();
        for (id, port) in model.ports() {
            let Some((switch, part)) = rows.place(&port.name) else { continue };
            let next = HomeId(homes.len());
            sorted.home_of.insert(id, *homes.entry((port.subnet, switch)).or_insert(next));
            sorted.place_of.insert(id, (meaning.realm(id), part));
            for kind in [Kind::Own, Kind::Public] {
                let place = sorted.place_of.get(&id).copied().filter(|_| kind == Kind::Own);
                for address in sorted.addresses(kind, id) {
                    sorted.having.entry(bits(address)).or_default().push((kind, id));
                    sorted.by_address.entry(place).or_default().push((bits(address), address, id));
                }
            }
        }
        let mut by_kind: BTreeMap<(Traits, usize), Vec<PortId>> = BTreeMap::new();
        for (id, traits) in meaning.traits() {
            if let Some(class) = rows.class(&model.port(id).name, &sorted.own[id.0]) {
                by_kind.entry((traits, class)).or_default().push(id);
            }
        }
        for members in by_kind.into_values().filter(|members| members.len() > 1) {
            sorted.add(members);
        }
        sorted.lists.values_mut().for_each(|list| list.sort_by_key(|it| it.address));
        sorted.by_address.values_mut().for_each(|all| all.sort_unstable());
        sorted.settle(checked, meaning, rows, &homes);
        sorted
    }

    fn add(&mut self, members: Vec<PortId>) {
        let (at, first) = (self.classes.len(), members[0]);
        let place = self.place_of[&first];
        self.by_place.entry(place).or_default().push(at);
        if self.publics.contains_key(&first) {
            self.with_publics.push(at);
        }
        let mut by_home: BTreeMap<HomeId, Vec<PortId>> = BTreeMap::new();
        for machine in members.iter().copied() {
            by_home.entry(self.home_of[&machine]).or_default().push(machine);
            self.of.insert(machine, at);
            for kind in [Kind::Own, Kind::Public] {
                let place = Some(place).filter(|_| kind == Kind::Own);
                for (nth, address) in self.addresses(kind, machine).into_iter().enumerate() {
                    let listed = Listed { address: bits(address), class: at, nth, machine };
                    self.lists.entry((place, eth_type(address))).or_default().push(listed);
                }
            }
        }
        self.classes.push(Class { place, members, by_home });
    }

    /// What is known of homes once all machines are sorted.
    fn settle(
        &mut self,
        checked: &Checked<'_>,
        meaning: &Meaning<'_>,
        rows: &Known<'_>,
        homes: &BTreeMap<(SubnetId, SwitchId), HomeId>,
    ) {
        let model = checked.model();
        let mut n_ports: BTreeMap<SubnetId, usize> = BTreeMap::new();
        model.ports().for_each(|(_, port)| *n_ports.entry(port.subnet).or_default() += 1);
        let mut classes_at: BTreeMap<HomeId, (usize, Vec<usize>)> = BTreeMap::new();
        for (at, class) in self.classes.iter().enumerate() {
            for (home, members) in &class.by_home {
                let (n, classes) = classes_at.entry(*home).or_default();
                *n += members.len();
                classes.push(at);
            }
        }
        let mut on_switch: BTreeMap<SwitchId, Vec<HomeId>> = BTreeMap::new();
        homes.iter().for_each(|((_, switch), home)| on_switch.entry(*switch).or_default().push(*home));
        let mut companies: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut known: BTreeMap<HomeId, Home> = BTreeMap::new();
        for ((subnet, switch), id) in homes {
            let here = (*subnet, SwitchId(0))..=(*subnet, SwitchId(usize::MAX));
            let of_subnet = homes.range(here).map(|(_, home)| *home);
            let tangled = of_subnet.chain(on_switch[switch].iter().copied()).filter(|home| home != id);
            let tangled: Vec<HomeId> = tangled.collect();
            let (n, classes) = classes_at.remove(id).unwrap_or_default();
            let is_all = n == n_ports[subnet] && rows.n_machines(*switch) == Some(n) && tangled.is_empty();
            let next = companies.len();
            let company = is_all.then(|| *companies.entry(classes).or_insert(next));
            known.insert(*id, Home { tangled, company, outgoing: meaning.outgoing(*subnet) });
        }
        self.homes = known.into_values().collect();
    }

    pub(super) fn addresses(&self, kind: Kind, id: PortId) -> Vec<IpAddr> {
        match kind {
            Kind::Own => self.own[id.0].clone(),
            Kind::Public => self.publics.get(&id).into_iter().flatten().map(|it| it.address).collect(),
        }
    }

    /// The class of a machine; `None` for one that is like no other.
    pub(super) fn class_of(&self, id: PortId) -> Option<usize> {
        self.of.get(&id).copied()
    }

    /// Where a machine is; `None` if it is not in the rows.
    pub(super) fn home_of(&self, id: PortId) -> Option<HomeId> {
        self.home_of.get(&id).copied()
    }

    pub(super) fn home(&self, id: HomeId) -> &Home {
        &self.homes[id.0]
    }

    /// Whose a written address may be: where somebody has it where it was written, he is meant.
    pub(super) fn meant(&self, written: &Written) -> Vec<(Kind, PortId)> {
        let all = self.having.get(&written.value).map_or(&[][..], Vec::as_slice);
        let is_here = |(kind, id): &&(Kind, PortId)| {
            let place = self.place_of[id];
            *kind == Kind::Own
                && match written.by {
                    By::Somebody => false,
                    By::Vpc(vpc) => place.0 == vpc,
                    By::Part(part) => place.1 == part,
                }
        };
        let here: Vec<(Kind, PortId)> = all.iter().filter(is_here).copied().collect();
        if here.is_empty() { all.to_vec() } else { here }
    }
}

impl<'s> Classes<'s> {
    /// The classes, asked about sets that live there.
    pub(super) fn new(sorted: &'s Sorted, sets: &'s Sets) -> Classes<'s> {
        Classes { sets, sorted, answers: RefCell::default(), of: RefCell::default() }
    }

    /// The lists that there are of a place, and those of all public addresses.
    pub(super) fn lists(&self, place: Option<Place>) -> Vec<List> {
        let places = place.map(Some).into_iter().chain([None]);
        let all = places.flat_map(|place| [(place, IPV4), (place, IPV6)]);
        all.filter(|list| self.sorted.lists.contains_key(list)).collect()
    }

    /// What is left of a question about a field for each address of a list.
    pub(super) fn answers(&self, list: List, field: Field, set: Set) -> Rc<Answers> {
        let key = (list, field, set);
        let known = self.answers.borrow().get(&key).cloned();
        known.unwrap_or_else(|| {
            let made = Rc::new(self.answer(list, field, set));
            self.answers.borrow_mut().insert(key, made.clone());
            made
        })
    }

    fn answer(&self, list: List, field: Field, set: Set) -> Answers {
        let starts = self.sets.starts(set, field);
        let listed = self.sorted.lists.get(&list).filter(|_| !starts.is_empty());
        let listed = listed.map_or(&[][..], Vec::as_slice);
        let mut by_answer: BTreeMap<Set, Vec<&[Listed]>> = BTreeMap::new();
        let mut left = listed;
        while let Some(first) = left.first() {
            let next = first.address.checked_add(1).and_then(|above| starts.range(above..).next());
            let end = next.map_or(left.len(), |next| left.partition_point(|it| it.address < *next));
            let (alike, rest) = left.split_at(end);
            let mut rewrite = Rewrite::IDENTITY;
            rewrite[field] = Origin::Value(first.address);
            rewrite[Field::EthType] = Origin::Value(list.1);
            by_answer.entry(self.sets.before(set, &rewrite)).or_default().push(alike);
            left = rest;
        }
        let n = |(_, all): &(&Set, &Vec<&[Listed]>)| all.iter().map(|it| it.len()).sum::<usize>();
        let usual = by_answer.iter().max_by_key(n).map_or(Set::NONE, |(answer, _)| *answer);
        let mut others: BTreeMap<(usize, usize), Odd> = BTreeMap::new();
        for (answer, all) in by_answer.into_iter().filter(|(answer, _)| *answer != usual) {
            for it in all.into_iter().flatten() {
                others.entry((it.class, it.nth)).or_default().insert(it.machine, answer);
            }
        }
        let odd = others.into_iter().filter_map(|((class, nth), others)| {
            let odd = odd(&self.sorted.classes[class].members, usual, &others);
            (!odd.is_empty()).then(|| ((class, nth), Rc::new(odd)))
        });
        Answers(odd.collect())
    }

    /// Whether some packets of any of these are from or for a machine. Whoever is alike has no part in what is asked of
    /// others' packets alone.
    pub(super) fn is_of(&self, kind: Kind, id: PortId, field: Field, all: &BTreeSet<Set>) -> bool {
        let own = *self.of.borrow_mut().entry((kind, id, field)).or_insert_with(|| {
            let own = self.sorted.addresses(kind, id).into_iter().map(IpNet::from);
            within_any(self.sets, field, own)
        });
        all.iter().any(|set| self.sets.meet(*set, own))
    }

    /// Those of the class of a machine that are odd, by what a question about addresses of a kind comes to for each of
    /// theirs.
    pub(super) fn odd(&self, kind: Kind, like: PortId, field: Field, set: Set) -> Vec<Rc<Odd>> {
        let Some(at) = self.sorted.class_of(like) else { return Vec::new() };
        let place = Some(self.sorted.classes[at].place).filter(|_| kind == Kind::Own);
        let mut all = Vec::new();
        for (nth, address) in self.sorted.addresses(kind, like).into_iter().enumerate() {
            let answers = self.answers((place, eth_type(address)), field, set);
            all.extend(answers.0.get(&(at, nth)).cloned());
        }
        all
    }
}

/// Those whose answer is not that of most, of machines with a usual answer but for others. Of as many each the first one
/// says which.
fn odd(members: &[PortId], usual: Set, others: &Odd) -> Odd {
    let mut n_of: BTreeMap<Set, (usize, Reverse<PortId>)> = BTreeMap::new();
    let rest = members.iter().find(|id| !others.contains_key(id));
    n_of.extend(rest.map(|first| (usual, (members.len() - others.len(), Reverse(*first)))));
    for (id, answer) in others {
        n_of.entry(*answer).or_insert((0, Reverse(*id))).0 += 1;
    }
    let most = n_of.into_iter().max_by_key(|(_, n)| *n).map_or(usual, |(answer, _)| answer);
    if most == usual {
        return others.clone();
    }
    let all = members.iter().map(|id| (*id, others.get(id).copied().unwrap_or(usual)));
    all.filter(|(_, answer)| *answer != most).collect()
}
