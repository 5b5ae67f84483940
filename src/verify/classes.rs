//! Machines that are alike on both sides: packets of one, to one of each class, are followed for all of them.
//!
//! A class is one of the rows and one of the model, found apart, on one subnet. What either side has asked about
//! addresses on the way says whether its machines are alike for these packets too: those that it tells apart are followed
//! as well. So no answer hangs on a guess. Refuses to follow packets.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use crate::check::Checked;
use crate::meaning::{Meaning, Spot, Traits};
use crate::model::{PortId, VpcId};
use crate::reach::header::{Field, IPV4, IPV6, Origin, Rewrite, bits, eth_type};
use crate::reach::network::SwitchId;
use crate::reach::set::{Set, Sets};

use super::rows::RowsMeaning;

/// Where addresses are one machine's on both sides: in the model, and in the rows.
type Place = (VpcId, usize);

/// A question about a field, asked of the machines of a place.
type Asked = (Place, Set, Field);

/// Machines that are alike, in order.
struct Class {
    place: Place,
    members: Vec<PortId>,
    /// The first and the last of their addresses, family by family.
    spans: Vec<(u128, u128)>,
}

/// Machines by class.
pub(super) struct Classes<'s> {
    sets: &'s Sets,
    sorted: Rc<Sorted>,
    /// The classes of a place that a question about a field may part.
    parted: RefCell<HashMap<Asked, Rc<[usize]>>>,
}

/// Machines as they were sorted before a packet was followed.
struct Sorted {
    addresses: Vec<Vec<IpAddr>>,
    classes: Vec<Class>,
    of: BTreeMap<PortId, usize>,
    places: BTreeMap<Place, Vec<usize>>,
    place_of: BTreeMap<PortId, Place>,
}

impl<'s> Classes<'s> {
    pub(super) fn new(
        checked: &Checked<'_>,
        meaning: &Meaning<'_>,
        rows: &RowsMeaning<'_>,
        sets: &'s Sets,
    ) -> Classes<'s> {
        let model = checked.model();
        let addresses: Vec<Vec<IpAddr>> =
            model.ports().map(|(id, _)| checked.assignment().port(id).addresses.clone()).collect();
        let mut by_kind: BTreeMap<(Traits, usize, SwitchId), Class> = BTreeMap::new();
        let mut place_of = BTreeMap::new();
        for (id, port) in model.ports() {
            place_of.extend(rows.part(&port.name).map(|part| (id, (meaning.realm(id), part))));
        }
        for (id, traits) in meaning.traits() {
            let class = rows.class(&model.port(id).name, &addresses[id.0]);
            let (Some((class, switch)), Some(place)) = (class, place_of.get(&id)) else { continue };
            let own: Vec<u128> = addresses[id.0].iter().map(|address| bits(*address)).collect();
            let class = by_kind.entry((traits, class, switch)).or_insert_with(|| Class {
                place: *place,
                members: Vec::new(),
                spans: own.iter().map(|own| (*own, *own)).collect(),
            });
            class.members.push(id);
            for (span, own) in class.spans.iter_mut().zip(own) {
                *span = (span.0.min(own), span.1.max(own));
            }
        }
        let mut made = Sorted {
            addresses,
            classes: by_kind.into_values().filter(|class| class.members.len() > 1).collect(),
            of: BTreeMap::new(),
            places: BTreeMap::new(),
            place_of,
        };
        for (at, class) in made.classes.iter().enumerate() {
            made.of.extend(class.members.iter().map(|id| (*id, at)));
            made.places.entry(class.place).or_default().push(at);
        }
        Classes { sets, sorted: Rc::new(made), parted: RefCell::default() }
    }

    /// The same, asked about sets that live elsewhere.
    pub(super) fn with<'o>(&self, sets: &'o Sets) -> Classes<'o> {
        Classes { sets, sorted: self.sorted.clone(), parted: RefCell::default() }
    }

    /// The machines that a sender need not send to: of each class there is another, beside itself.
    pub(super) fn others(&self, from: Spot) -> BTreeSet<PortId> {
        let Some(from) = machine(from) else { return BTreeSet::new() };
        let of_place = self.sorted.place_of.get(&from).and_then(|place| self.sorted.places.get(place));
        let classes = of_place.into_iter().flatten().map(|at| &self.sorted.classes[*at]);
        let others = classes.flat_map(|class| class.members.iter().filter(|id| **id != from).skip(1));
        others.copied().collect()
    }

    /// Those of some machines that what was asked tells from one of their class that is none of them.
    pub(super) fn apart(
        &self,
        from: Spot,
        others: &BTreeSet<PortId>,
        asked: &BTreeSet<Set>,
    ) -> BTreeSet<PortId> {
        let Some(from) = machine(from) else { return BTreeSet::new() };
        let Some(place) = self.sorted.place_of.get(&from) else { return BTreeSet::new() };
        let mut told = BTreeSet::new();
        for set in asked {
            for class in self.parted(*place, *set, Field::IpDst).iter().map(|at| &self.sorted.classes[*at]) {
                let seen = class.members.iter().find(|id| **id != from && !others.contains(id));
                told.extend(seen.into_iter().flat_map(|seen| self.told(class, *seen, Field::IpDst, *set)));
            }
        }
        told.retain(|id| others.contains(id));
        told
    }

    /// Who else of a sender's class sends alike.
    pub(super) fn fellows(&self, from: Spot, asked: &BTreeSet<Set>) -> Vec<PortId> {
        let Some((from, at)) = machine(from).and_then(|id| Some((id, self.sorted.of.get(&id)?))) else {
            return Vec::new();
        };
        let class = &self.sorted.classes[*at];
        let asked = asked.iter().filter(|set| self.parted(class.place, **set, Field::IpSrc).contains(at));
        let told: BTreeSet<PortId> =
            asked.flat_map(|set| self.told(class, from, Field::IpSrc, *set)).collect();
        class.members.iter().copied().filter(|id| *id != from && !told.contains(id)).collect()
    }

    /// Packets to any of these.
    pub(super) fn destined(&self, machines: &BTreeSet<PortId>) -> Set {
        let addresses = || machines.iter().flat_map(|id| &self.sorted.addresses[id.0]);
        let of = |family, v4: bool| {
            let own = addresses().filter(|address| address.is_ipv4() == v4).map(|it| (bits(*it), bits(*it)));
            self.sets.and(self.sets.value(Field::EthType, family), self.sets.ranges(Field::IpDst, own))
        };
        self.sets.or(of(IPV4, true), of(IPV6, false))
    }

    /// Those of a class that a question about a field tells from one of them.
    fn told(&self, class: &Class, like: PortId, field: Field, set: Set) -> Vec<PortId> {
        let starts = self.starts(set, field);
        let answers = |id: PortId| -> Vec<Set> {
            self.sorted.addresses[id.0].iter().map(|own| self.answer(set, field, *own)).collect()
        };
        let expected = answers(like);
        let mut is_told: HashMap<Vec<usize>, bool> = HashMap::new();
        let mut tells = |id: PortId| {
            let atoms = self.sorted.addresses[id.0].iter().map(|own| atom(&starts, bits(*own))).collect();
            *is_told.entry(atoms).or_insert_with(|| answers(id) != expected)
        };
        class.members.iter().copied().filter(|id| tells(*id)).collect()
    }

    /// The classes of a place that have addresses on both sides of where answers may change.
    fn parted(&self, place: Place, set: Set, field: Field) -> Rc<[usize]> {
        let known = self.parted.borrow().get(&(place, set, field)).cloned();
        known.unwrap_or_else(|| {
            let starts = self.starts(set, field);
            let is_parted = |at: &usize| {
                let spans = &self.sorted.classes[*at].spans;
                spans.iter().any(|(first, last)| atom(&starts, *first) != atom(&starts, *last))
            };
            let of_place = self.sorted.places.get(&place).map_or(&[][..], Vec::as_slice);
            let parted: Rc<[usize]> = of_place.iter().copied().filter(is_parted).collect();
            self.parted.borrow_mut().insert((place, set, field), parted.clone());
            parted
        })
    }

    fn starts(&self, set: Set, field: Field) -> Vec<u128> {
        self.sets.starts(set, field).into_iter().collect()
    }

    /// What is left of a question for an address.
    fn answer(&self, set: Set, field: Field, own: IpAddr) -> Set {
        let mut rewrite = Rewrite::IDENTITY;
        rewrite[field] = Origin::Value(bits(own));
        rewrite[Field::EthType] = Origin::Value(eth_type(own));
        self.sets.before(set, &rewrite)
    }
}

/// Between which of the values where answers may change an address is.
fn atom(starts: &[u128], address: u128) -> usize {
    starts.partition_point(|start| *start <= address)
}

fn machine(from: Spot) -> Option<PortId> {
    match from {
        Spot::Port(id) => Some(id),
        Spot::Router(_) | Spot::Wire(_) => None,
    }
}
