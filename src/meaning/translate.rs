//! Translations: what a gateway writes over, and back again on the way of the answer.
//!
//! What comes in by a gateway is first made what was asked for, if it answers, and otherwise goes to what is inside.
//! What leaves by one gets back the address that was asked for, if it answers, and otherwise the address outside of
//! the longest prefix inside. What then is for an address of the gateway comes in by it again.
//!
//! Before 25.03 a router does not remember who came in untranslated, and translates the answers.
//!
//! Refuses to know balancers and port forwards: what is theirs is written over by [`super::balance`].

use std::rc::Rc;

use super::follow::Run;
use super::network::Translation;
use super::packet::{End, Keeper, Memory, Packet, host};
use super::router::Exit;
use super::{Meaning, Side};
use crate::model::{GatewayId, VpcId};
use crate::reach::address::{within, within_any};
use crate::reach::header::{Field, Origin, bits};
use crate::reach::set::Set;
use crate::target::Target;

/// What a gateway translates.
pub(super) struct Door {
    /// All of it, and what is not inward alone; longest prefixes inside first.
    all: [Vec<Translation>; 2],
    /// Packets from inside of each.
    insides: [Vec<Set>; 2],
    /// Packets for any address outside.
    outside: Set,
    /// Packets for one that stands for what is inside.
    inward: Set,
    /// Packets from what such an address stands for.
    machines: Set,
    /// Packets to whose senders a router remembers that they came in untranslated.
    noted: Set,
}

impl Meaning<'_> {
    fn door(&self, gateway: GatewayId) -> Rc<Door> {
        let mut doors = self.doors.borrow_mut();
        doors.entry(gateway).or_insert_with(|| Rc::new(self.make_door(gateway))).clone()
    }

    fn make_door(&self, gateway: GatewayId) -> Door {
        let sets = self.sets;
        let here = self.net.translations[self.net.gateway(gateway).vpc.0].iter();
        let mut all: Vec<Translation> = here.filter(|it| it.gateway == gateway).cloned().collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.inside.prefix_len()));
        let outside = |all: &mut dyn Iterator<Item = &Translation>| {
            within_any(sets, Field::IpDst, all.map(|it| host(it.outside)))
        };
        // From 25.03 on a router remembers who comes in by a gateway, untranslated, to what it translates.
        let is_noted = |it: &&Translation| {
            self.target >= if it.is_inward { Target::TESTED[2] } else { Target::TESTED[1] }
        };
        let noted = |it: &Translation| {
            let peers = it.kept(sets, Field::IpDst, Field::IpSrc);
            sets.minus(within(sets, Field::IpDst, it.inside), peers)
        };
        let noted = sets.any(all.iter().filter(is_noted).map(noted));
        let rest: Vec<Translation> = all.iter().filter(|it| !it.is_inward).cloned().collect();
        let inward = || all.iter().filter(|it| it.is_inward);
        let insides =
            |all: &[Translation]| all.iter().map(|it| within(sets, Field::IpSrc, it.inside)).collect();
        Door {
            insides: [insides(&all), insides(&rest)],
            outside: outside(&mut all.iter()),
            inward: outside(&mut inward()),
            machines: within_any(sets, Field::IpSrc, inward().map(|it| it.inside)),
            noted,
            all: [all, rest],
        }
    }
}

impl Run<'_, '_> {
    /// Packets that come into a router.
    pub(super) fn translate_in(&mut self, side: Side, packet: Packet) -> Vec<Packet> {
        let vpc = self.meaning.net.vpc_of(side);
        if matches!(side, Side::Gateway(_))
            && let Some(answer) = self.undone(Keeper::Router(vpc), End::Source, &packet)
        {
            return vec![answer];
        }
        let (mut spread, is_all) = self.spread_by(vpc, side, &packet);
        if !is_all {
            spread.extend(self.translated_in(vpc, side, packet));
        }
        spread
    }

    fn translated_in(&self, vpc: VpcId, side: Side, packet: Packet) -> Vec<Packet> {
        let Side::Gateway(gateway) = side else { return vec![packet] };
        let door = self.meaning.door(gateway);
        if !self.ask.is(&packet, door.inward) {
            return vec![packet];
        }
        let destination = packet.now.apply(&self.ask.sent).destination();
        let ours = door.all[0].iter().filter(|it| it.is_inward && it.outside == destination);
        let written = ours.map(|it| {
            let is_for_it = within(self.meaning.sets, Field::IpDst, host(destination));
            match self.meaning.net.publics.contains_key(&(gateway, it.outside)) {
                true => self.ask.is_somebodys(&packet, is_for_it),
                false => self.ask.is(&packet, is_for_it),
            };
            let mut after = packet.clone();
            after.now[Field::IpDst] = Origin::Value(bits(it.inside.addr()));
            self.remember(Keeper::Router(vpc), End::Destination, &packet, &mut after);
            after.because(Some(it.span), format!("{} is {} inside", it.outside, it.inside.addr()));
            after
        });
        written.collect()
    }

    /// Packets that are about to leave a router.
    pub(super) fn leave(&mut self, exit: Exit, packet: Packet) {
        let Side::Gateway(gateway) = exit.out else {
            return self.leave_unshared(exit, packet, Set::NONE);
        };
        let outside = self.meaning.door(gateway).outside;
        if exit.inside == exit.out && self.ask.is(&packet, outside) {
            return self.lose(
                packet,
                None,
                "it is for an address outside that stands for nothing of the kind",
            );
        }
        self.leave_unshared(exit, packet, outside);
    }

    fn leave_unshared(&mut self, exit: Exit, packet: Packet, outside: Set) {
        let vpc = self.meaning.net.vpc_of(exit.out);
        let passes = exit.next_hop.is_none() && self.ask.is(&packet, outside);
        if !passes && self.is_own(vpc, &packet) && self.is_shared(vpc, &packet) {
            return self.lose(packet, None, "it is for an address of the router itself");
        }
        let mut packet = packet;
        self.note(vpc, exit.inside, &mut packet);
        let packet = match (self.unspread_by(vpc, exit.inside, exit.out, &packet), exit.out) {
            (Some(answer), _) => answer,
            (None, Side::Gateway(gateway)) => self.translate_out(vpc, gateway, packet),
            (None, Side::Subnet(_) | Side::Peer(..)) => packet,
        };
        let Side::Gateway(_) = exit.out else { return self.deliver(exit, packet) };
        match self.is_answered(exit) && self.ask.is(&packet, outside) {
            true => self.take_in(exit.out, packet),
            false => self.deliver(exit, packet),
        }
    }

    /// Whether anybody may have the next hop.
    fn is_answered(&self, exit: Exit) -> bool {
        let net = &self.meaning.net;
        let (Some(hop), Some(segment)) = (exit.next_hop, net.segment_of(exit.out)) else { return true };
        let is_own = net.sides(net.vpc_of(exit.out)).iter().any(|(_, own, _)| *own == hop);
        let holders = net.holders.get(&segment).is_some_and(|holders| holders.contains_key(&hop));
        !is_own && (holders || !net.takers(segment).is_empty())
    }

    fn translate_out(&mut self, vpc: VpcId, gateway: GatewayId, packet: Packet) -> Packet {
        let (sets, door) = (self.meaning.sets, self.meaning.door(gateway));
        let is_machine = self.ask.is(&packet, door.machines);
        if is_machine && let Some(answer) = self.undone(Keeper::Router(vpc), End::Destination, &packet) {
            return answer;
        }
        if self.is_noted(vpc, &packet) {
            return packet;
        }
        let part = usize::from(!is_machine);
        let chosen = self.among(Field::IpSrc, &packet);
        let is_its = |at: usize| {
            let it = &door.all[part][at];
            let machine = self.meaning.net.publics.get(&(gateway, it.outside));
            machine.is_some_and(|id| self.is_its(*id, Field::IpSrc, &packet))
                || self.meaning.net.is_apart(it.inside, vpc, chosen)
        };
        let Some(at) = self.ask.first_but(&packet, &door.insides[part], is_its) else { return packet };
        let it = &door.all[part][at];
        if self.ask.is(&packet, it.kept(sets, Field::IpSrc, Field::IpDst)) {
            return packet;
        }
        let mut after = packet.clone();
        after.now[Field::IpSrc] = Origin::Value(bits(it.outside));
        self.remember(Keeper::Router(vpc), End::Source, &packet, &mut after);
        after.because(Some(it.span), format!("{} is {} outside", it.inside, it.outside));
        after
    }

    pub(super) fn remember(&self, keeper: Keeper, end: End, before: &Packet, after: &mut Packet) {
        let memory = Memory { keeper, end, before: before.now, after: after.now };
        after.memories.push(memory);
    }

    /// An answer as it was asked for, if that has been written over here.
    pub(super) fn undone(&self, keeper: Keeper, end: End, packet: &Packet) -> Option<Packet> {
        if !packet.is_answer {
            return None;
        }
        let mut known = packet.memories.iter().filter(|it| it.keeper == keeper && it.end == end);
        let memory = known.find(|it| self.ask.is_same(&it.after.reply(packet.echo), &packet.now))?;
        let now = memory.before.reply(packet.echo);
        Some(Packet { now, ..packet.clone() })
    }

    /// A router may remember who comes in by a gateway untranslated.
    fn note(&self, vpc: VpcId, inside: Side, packet: &mut Packet) {
        let Side::Gateway(gateway) = inside else { return };
        if !packet.is_answer && self.ask.is(packet, self.meaning.door(gateway).noted) {
            packet.plain.push((vpc, packet.now));
        }
    }

    /// Whether it answers somebody who is remembered like that.
    fn is_noted(&self, vpc: VpcId, packet: &Packet) -> bool {
        let mut plain = packet.plain.iter().filter(|(at, _)| *at == vpc);
        packet.is_answer && plain.any(|(_, now)| self.ask.is_same(&now.reply(packet.echo), &packet.now))
    }

    /// Whether a packet is for an address of the router's own.
    fn is_own(&self, vpc: VpcId, packet: &Packet) -> bool {
        self.ask.is(packet, self.meaning.own(vpc, Field::IpDst))
    }

    /// Whether it is for an address that the router shares with what it translates.
    pub(super) fn is_shared(&self, vpc: VpcId, packet: &Packet) -> bool {
        let net = &self.meaning.net;
        let shared = net.translations[vpc.0].iter().filter(|it| !it.is_inward).map(|it| it.outside);
        let shared = shared.chain(net.served_by[vpc.0].iter().map(|it| it.address)).map(host);
        self.ask.is(packet, within_any(self.meaning.sets, Field::IpDst, shared))
    }
}
