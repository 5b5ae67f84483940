//! Follows one packet, and its answer, to wherever they may end.
//!
//! Refuses to know more than one packet.

use super::packet::{Asker, Packet};
use super::{Fate, Meaning, Outcome, Place, Sender, Side, Spot};
use crate::model::VpcId;
use crate::reach::header::{Field, Header, ICMP, ICMP6, IPV4, IPV6, Rewrite};
use crate::reach::set::Set;
use crate::span::Span;

/// Where a packet ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// Lost.
    Lost,
    /// Lost, and its sender is told.
    Refused,
    /// At a machine, on a wire.
    At(Spot),
    /// At a router, by this side of it.
    Router(Side),
    /// That can't be said.
    Unsaid(String),
}

/// A packet under way.
pub(super) struct Run<'r, 'm> {
    pub(super) meaning: &'r Meaning<'m>,
    pub(super) ask: Asker<'m>,
    /// Who has sent it.
    pub(super) from: Spot,
    /// The router by which it goes alone, where its sender might choose another.
    pub(super) via: Option<Side>,
    ends: Vec<(Ended, Packet)>,
}

/// More ways for one packet than this are given up on.
const ENDS_MAX: usize = 4096;

/// What becomes of a packet, with the set of all that fare alike.
pub(super) fn follow(
    meaning: &Meaning<'_>,
    sender: Sender,
    sent: Header,
    asking: Set,
) -> (Set, Vec<Outcome>) {
    let Sender { from, via } = sender;
    let mut run = Run { meaning, from, via, ask: Asker::new(meaning.sets, sent), ends: Vec::new() };
    run.send(from, Packet::first());
    let is_asked = run.ask.narrow(asking);
    let mut outcomes = Vec::new();
    for (ended, packet) in std::mem::take(&mut run.ends) {
        run.conclude(from, is_asked, ended, packet, &mut outcomes);
    }
    let alike = run.ask.alike();
    meaning.note(run.ask.asked(), alike);
    (alike, outcomes)
}

impl Run<'_, '_> {
    pub(super) fn end(&mut self, ended: Ended, packet: Packet) {
        if self.ends.len() < ENDS_MAX {
            self.ends.push((ended, packet));
        }
    }

    /// The packet is lost here.
    pub(super) fn lose(&mut self, mut packet: Packet, span: Option<Span>, what: impl Into<String>) {
        packet.because(span, what);
        self.end(Ended::Lost, packet);
    }

    /// Whether there are too many ways to go on.
    pub(super) fn is_over(&self) -> bool {
        self.ends.len() >= ENDS_MAX
    }

    fn send(&mut self, from: Spot, packet: Packet) {
        match from {
            Spot::Port(id) => self.send_from_port(id, packet),
            Spot::Wire(id) => self.send_from_wire(id, packet),
            Spot::Router(side) => self.come_in(side, packet),
        }
    }

    fn conclude(&mut self, from: Spot, asked: bool, ended: Ended, packet: Packet, all: &mut Vec<Outcome>) {
        let (place, back) = match ended {
            Ended::Lost => return all.push(plain(Fate::Lost, packet)),
            Ended::Refused => return all.push(plain(Fate::Refused, packet)),
            Ended::Unsaid(what) => return all.push(plain(Fate::Unsaid(what), packet)),
            Ended::At(Spot::Port(id)) => (Place::Port(id), Spot::Port(id)),
            Ended::At(Spot::Wire(id)) => (Place::Wire(id), Spot::Wire(id)),
            Ended::At(Spot::Router(side)) | Ended::Router(side) => {
                (Place::Vpc(self.meaning.net.vpc_of(side)), Spot::Router(side))
            }
        };
        let written = packet.now;
        let mut add = |answered, reasons, detour| {
            let fate = Fate::Arrives { place: place.clone(), written, answered };
            all.push(Outcome { fate, reasons, detour });
        };
        if !asked {
            return add(None, packet.reasons, None);
        }
        let echo = self.echo();
        let answer = packet.answer(echo);
        match back {
            Spot::Wire(id) => self.answer_from_wire(id, packet.hop, answer),
            Spot::Port(_) | Spot::Router(_) => self.send(back, answer),
        }
        let mut unsaid = None;
        for (ended, answer) in std::mem::take(&mut self.ends) {
            let is_back = match (&ended, from) {
                (Ended::At(Spot::Wire(_)), Spot::Wire(_)) => true,
                (Ended::At(spot), from) => *spot == from,
                (Ended::Unsaid(what), _) => {
                    unsaid = Some(plain(Fate::Unsaid(what.clone()), answer));
                    continue;
                }
                (Ended::Lost | Ended::Refused | Ended::Router(_), _) => false,
            };
            let is_known = is_back && self.ask.is_same(&Rewrite::IDENTITY.reply(echo), &answer.now);
            let (mut there, way_back) = (self.routers(&packet), self.routers(&answer));
            there.reverse();
            let is_detour = is_known && there != way_back && !matches!(place, Place::Vpc(_));
            there.reverse();
            add(Some(is_known), answer.reasons, is_detour.then_some((there, way_back)));
        }
        all.extend(unsaid);
    }

    /// The VPCs whose routers a packet has come by.
    fn routers(&self, packet: &Packet) -> Vec<VpcId> {
        packet.visited.iter().map(|(side, _)| self.meaning.net.vpc_of(*side)).collect()
    }

    /// The type of ICMP that answers it, if it is an echo request.
    fn echo(&self) -> Option<u128> {
        let sets = self.meaning.sets;
        let is = |family, proto| {
            let family = sets.value(Field::EthType, family);
            self.ask.was(sets.and(family, sets.value(Field::IpProto, proto)))
        };
        if is(IPV4, ICMP) {
            Some(0)
        } else if is(IPV6, ICMP6) {
            Some(129)
        } else {
            None
        }
    }
}

fn plain(fate: Fate, packet: Packet) -> Outcome {
    Outcome { fate, reasons: packet.reasons, detour: None }
}
