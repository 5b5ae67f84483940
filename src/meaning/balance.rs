//! Balancers and port forwards: what is for an address and port of theirs goes to a backend, any of them.
//!
//! | where | which packets |
//! |---|---|
//! | a segment that a balancer serves | what a machine there, or a wire, may send by its rules; connections alone |
//! | a router, by its gateway | whatever comes in |
//! | a router, by another side | the same, where the sender is on the gateway's chassis: perhaps |
//!
//! A backend that asks itself is asked by the address that it has asked. Who has sent a connection elsewhere gives
//! its answers the old address back: a segment to the machine or wire that has asked, a router to what leaves by its gateway,
//! from 25.03 on also to what has come in by it.
//!
//! Backends that are watched are taken to answer. Refuses to choose one.

use super::follow::{Ended, Run};
use super::network::Served;
use super::packet::{End, Keeper, Packet, host};
use super::{Side, Spot};
use crate::model::{SubnetId, VpcId};
use crate::reach::address::within;
use crate::reach::filter::Tracked;
use crate::reach::header::{Field, Origin, bits};
use crate::reach::set::Set;
use crate::target::Target;

/// A packet that a machine's segment lets go on.
pub(super) struct Sent {
    pub(super) packet: Packet,
    /// Whether it goes back to the machine that has sent it.
    pub(super) is_back: bool,
}

impl Run<'_, '_> {
    /// What becomes of what is sent from a spot, once its rules have let it.
    pub(super) fn spread_on(&mut self, segment: SubnetId, from: Spot, packet: Packet) -> Vec<Sent> {
        let keeper = Keeper::At(from);
        match packet.tracked {
            Tracked::Not => {}
            Tracked::Reply => {
                if let Some(packet) = self.undone(keeper, End::Source, &packet) {
                    return vec![Sent { packet, is_back: true }];
                }
            }
            Tracked::New => {
                if let Some(served) = self.served(self.meaning.net.served_on.get(&segment), &packet) {
                    let spread = self.spread(keeper, &served, packet);
                    return spread.into_iter().map(|packet| self.masked(from, &served, packet)).collect();
                }
            }
        }
        vec![Sent { packet, is_back: false }]
    }

    /// A packet to a backend, which gets another source if it has asked itself.
    fn masked(&mut self, from: Spot, served: &Served, packet: Packet) -> Sent {
        let to = packet.now.apply(&self.ask.sent).destination();
        if !self.ask.is(&packet, within(self.meaning.sets, Field::IpSrc, host(to))) {
            return Sent { packet, is_back: false };
        }
        let mut after = packet.clone();
        after.now[Field::IpSrc] = Origin::Value(bits(served.address));
        self.remember(Keeper::At(from), End::Source, &packet, &mut after);
        Sent { packet: after, is_back: true }
    }

    /// What a router sends to backends of what comes in by a side, and whether all the rest is lost.
    pub(super) fn spread_by(&mut self, vpc: VpcId, side: Side, packet: &Packet) -> (Vec<Packet>, bool) {
        let Some(served) = self.served(Some(&self.meaning.net.served_by[vpc.0]), packet) else {
            return (Vec::new(), false);
        };
        let is_sure = matches!(side, Side::Gateway(_)) || served.backends.is_empty();
        (self.spread(Keeper::Router(vpc), &served, packet.clone()), is_sure)
    }

    /// An answer of a backend as a router sends it out, by a side and having come in by another; `None` for others.
    pub(super) fn unspread_by(&self, vpc: VpcId, inside: Side, out: Side, packet: &Packet) -> Option<Packet> {
        let is_gateway = |side| matches!(side, Side::Gateway(_));
        let is_asked = is_gateway(out) || is_gateway(inside) && self.meaning.target >= Target::TESTED[1];
        if !is_asked {
            return None;
        }
        let (sets, all) = (self.meaning.sets, &self.meaning.net.served_by[vpc.0]);
        if !self.ask.is(packet, sets.any(all.iter().map(|served| served.answers(sets)))) {
            return None;
        }
        self.undone(Keeper::Router(vpc), End::Destination, packet)
    }

    /// The one of some balancers and port forwards that a packet is for.
    fn served(&self, all: Option<&Vec<Served>>, packet: &Packet) -> Option<Served> {
        let all = all?;
        let packets: Vec<Set> = all.iter().map(|served| served.packets(self.meaning.sets)).collect();
        self.ask.first(packet, &packets).map(|at| all[at].clone())
    }

    /// A packet to each backend.
    fn spread(&mut self, keeper: Keeper, served: &Served, packet: Packet) -> Vec<Packet> {
        if served.backends.is_empty() {
            let mut packet = packet;
            packet.because(Some(served.span), format!("{} has no backend", served.what));
            self.end(Ended::Refused, packet);
            return Vec::new();
        }
        let to = |(address, port): &(std::net::IpAddr, u16)| {
            let mut after = packet.clone();
            after.now[Field::IpDst] = Origin::Value(bits(*address));
            after.now[Field::TpDst] = Origin::Value((*port).into());
            self.remember(keeper, End::Destination, &packet, &mut after);
            after.because(Some(served.span), format!("{} sends it to {address}", served.what));
            after
        };
        served.backends.iter().map(to).collect()
    }
}
