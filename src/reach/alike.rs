//! Machines of a switch that rows do not tell apart, for whoever follows packets of one for all of them.
//!
//! What rows ask about their addresses elsewhere, in parts of the network with addresses of their own, is not known
//! beforehand: it is noted while packets are followed. Refuses to follow packets.

use super::classes::zones::{Asked, Zones};
pub use super::classes::zones::{Questions, Written};
use super::classes::{Home, classify};
use super::judge::Judge;
use super::network::{PortId, RouterId, SwitchId};
use super::parties::{Who, machines};

/// Machines by what they are like.
#[derive(Debug)]
pub struct Alike {
    zones: Zones,
    classes: Vec<Option<(usize, SwitchId)>>,
}

impl Alike {
    /// Those of a judge's network.
    pub fn new(judge: &Judge<'_>) -> Alike {
        let zones = Zones::of(judge.network);
        let all: Vec<Who> = machines(judge).map(Who::Machine).collect();
        let parties: Vec<(&Who, (usize, usize))> = all.iter().map(|who| (who, (0, 0))).collect();
        let mut classes = vec![None; judge.network.ports.len()];
        for (who, member) in all.iter().zip(classify(judge, &zones, &parties)) {
            if let (Some(port), Some((Home::On(_) | Home::Alike(_), switch))) = (who.port(), member.home) {
                classes[port.0] = Some((member.class, switch));
            }
        }
        Alike { zones, classes }
    }

    /// What a machine is like; `None` for one that is unlike all others.
    pub fn class(&self, port: PortId) -> Option<(usize, SwitchId)> {
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
