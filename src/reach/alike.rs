//! Machines that rows do not tell apart, on one switch or on several that are alike, for whoever follows packets of one
//! for all of them.
//!
//! What rows ask about their addresses elsewhere, in parts of the network with addresses of their own, is not known
//! beforehand: it is noted while packets are followed. Refuses to follow packets.

use std::collections::BTreeMap;

use super::classes::zones::{Asked, Zones};
pub use super::classes::zones::{Questions, Written};
use super::classes::{Home, classify_with_switches};
use super::judge::Judge;
use super::network::{PortId, PortKind, RouterId, SwitchId};
use super::parties::{Who, machines};

/// Machines by what they are like.
#[derive(Debug)]
pub struct Alike {
    zones: Zones,
    classes: Vec<Option<usize>>,
    /// How many machines are on each switch, where nothing tells its addresses apart but those of machines.
    even: BTreeMap<SwitchId, usize>,
}

impl Alike {
    /// Those of a judge's network.
    pub fn new(judge: &Judge<'_>) -> Alike {
        let zones = Zones::of(judge.network);
        let all: Vec<Who> = machines(judge).map(Who::Machine).collect();
        let parties: Vec<(&Who, (usize, usize))> = all.iter().map(|who| (who, (0, 0))).collect();
        let mut classes = vec![None; judge.network.ports.len()];
        let (members, even) = classify_with_switches(judge, &zones, &parties);
        for (who, member) in all.iter().zip(members) {
            if let (Some(port), Some((Home::On(_) | Home::Alike(_), _))) = (who.port(), member.home) {
                classes[port.0] = Some(member.class);
            }
        }
        let network = judge.network;
        let is_guest = |id: &&PortId| network.port(**id).kind == PortKind::Guest;
        let n_guests = |id: SwitchId| network.switch(id).ports.iter().filter(is_guest).count();
        let even = even.into_iter().map(|id| (id, n_guests(id))).collect();
        Alike { zones, classes, even }
    }

    /// How many machines are on a switch that may change places with others, whoever has no address there included;
    /// `None` where something tells apart addresses that nobody has.
    pub fn n_machines(&self, switch: SwitchId) -> Option<usize> {
        self.even.get(&switch).copied()
    }

    /// What a machine is like; `None` for one that is unlike all others. Two of a class on different switches are to each
    /// other as two on one switch are not.
    pub fn class(&self, port: PortId) -> Option<usize> {
        self.classes[port.0]
    }

    /// The part of the network that a switch is in, within which an address is one machine's.
    pub fn part(&self, switch: SwitchId) -> usize {
        self.zones.of_switch(switch)
    }

    /// The part of the network that a router is in.
    pub fn part_of_router(&self, router: RouterId) -> usize {
        self.zones.of_router(router)
    }

    /// From now on a judge notes what its packets are asked.
    pub fn watch(&self, judge: &mut Judge<'_>) {
        judge.walker.asked = Some(Asked::of_each(self.zones.clone()));
    }

    /// What packets have been asked since this was last called. Classes have foreseen what is asked in their own part.
    pub fn take_asked(&self, judge: &Judge<'_>) -> Questions {
        judge.walker.asked.as_ref().map(Asked::take).unwrap_or_default()
    }
}
