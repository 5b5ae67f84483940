//! Segments: who is where, what a machine may send, and what the rules let pass.
//!
//! On a segment where somebody's rules remember connections, or that a balancer serves, all machines' connections are
//! remembered: an answer passes a machine's rules if what it answers did. Those of a wire are where a balancer serves.
//! Routers remember nothing; what was said of a packet at a machine holds for the rest of its way across the segment
//! where rules remember connections.
//!
//! Refuses to route.

use super::balance::Sent;
use super::follow::{Ended, Run};
use super::packet::{End, Keeper, Packet, host};
use super::rules::StageKey;
use super::{Side, Spot};
use crate::model::{Block, Direction, PortId, SubnetId, VpcId};
use crate::reach::address::within_any;
use crate::reach::filter::Tracked;
use crate::reach::header::{Field, IPV4, Origin, eth_type};
use crate::reach::outside::public;
use crate::reach::set::Set;
use std::net::IpAddr;

impl Run<'_, '_> {
    /// A machine sends.
    pub(super) fn send_from_port(&mut self, id: PortId, packet: Packet) {
        let net = &self.meaning.net;
        let (segment, subnet) = net.home(id);
        let addresses = &net.assignment.port(id).addresses;
        let is_sized = |own: &&IpAddr| net.is_sized(segment, own.is_ipv4());
        let blocks = addresses.iter().filter(is_sized).filter_map(|own| subnet.block_for(*own));
        let blocks = within_any(self.meaning.sets, Field::IpDst, blocks.map(|block| block.cidr.value));
        let families = self
            .meaning
            .sets
            .any(addresses.iter().map(|own| self.meaning.sets.value(Field::EthType, eth_type(*own))));
        let known = self.meaning.sets.and(self.meaning.held(segment), families);
        let near = self.meaning.sets.or(blocks, known);
        // Of whoever is like it, what is on its own segment would be asked.
        let chosen = self.among(Field::IpDst, &packet);
        let is_apart = |block: &Block| net.is_apart(block.cidr.value, subnet.vpc, chosen);
        let is_near = match subnet.blocks.iter().all(is_apart) {
            true => self.ask.is_somebodys(&packet, near),
            false => self.ask.is(&packet, near),
        };
        if is_near {
            return self.find(segment, Spot::Port(id), None, packet);
        }
        for (to, gateway) in self.meaning.routes(id) {
            if self.ask.goes_to(&packet, to) {
                return self.find(segment, Spot::Port(id), Some(gateway), packet);
            }
        }
        let span = Some(net.model.port(id).span);
        self.lose(packet, span, format!("`{}` has no route there", net.model.port(id).name));
    }

    /// Somebody behind a bridged subnet sends: to neighbours, else by every router there.
    pub(super) fn send_from_wire(&mut self, id: SubnetId, packet: Packet) {
        if !self.is_sendable(&packet) {
            return self.lose(packet, None, "the Internet knows no way to a private address");
        }
        let wire = Spot::Wire(id);
        let holders = self.holders(id, None, &packet);
        if !holders.is_empty() {
            for spot in holders {
                self.ask_and_cross(id, (wire, spot), None, packet.clone());
            }
            return;
        }
        let net = &self.meaning.net;
        let subnet = net.model.subnet(id);
        let routers = net.routers_on(id);
        let by = self.via.map_or_else(|| routers.clone(), |side| vec![side]);
        let near = within_any(self.meaning.sets, Field::IpDst, subnet.blocks.iter().map(|it| it.cidr.value));
        if routers.is_empty() || self.ask.is(&packet, near) {
            let what = format!("nobody on subnet `{}` has the address", subnet.name);
            return self.lose(packet, Some(subnet.name.span), what);
        }
        for side in by {
            self.ask_and_cross(id, (wire, Spot::Router(side)), None, packet.clone());
        }
    }

    /// What answers from behind a bridged subnet goes back to whom it came from.
    pub(super) fn answer_from_wire(&mut self, id: SubnetId, hop: Option<Spot>, packet: Packet) {
        if !self.is_sendable(&packet) {
            return self.lose(packet, None, "the Internet knows no way to a private address");
        }
        match hop {
            Some(spot) => self.cross(id, Spot::Wire(id), spot, packet),
            None => self.lose(packet, None, "nobody was there to answer"),
        }
    }

    /// Whether somebody out there knows a way: a neighbour does, and everybody to public addresses.
    fn is_sendable(&self, packet: &Packet) -> bool {
        let (sets, model) = (self.meaning.sets, self.meaning.net.model);
        let sendable = self.meaning.sendable.get_or_init(|| {
            let wired = || model.subnets.iter().filter(|subnet| subnet.underlay.is_some());
            let bridged = || wired().flat_map(|subnet| subnet.blocks.iter().map(|block| block.cidr.value));
            let far = sets.minus(public(sets, Field::IpSrc), within_any(sets, Field::IpSrc, bridged()));
            let known = sets.or(public(sets, Field::IpDst), within_any(sets, Field::IpDst, bridged()));
            sets.or(sets.not(far), known)
        });
        self.ask.is(packet, *sendable)
    }

    /// Whoever has the packet's destination on a segment, or another address.
    fn holders(&self, segment: SubnetId, address: Option<IpAddr>, packet: &Packet) -> Vec<Spot> {
        let Some(holders) = self.meaning.net.holders.get(&segment) else { return Vec::new() };
        if let Some(address) = address {
            return holders.get(&address).cloned().unwrap_or_default();
        }
        let destination = packet.now.apply(&self.ask.sent).destination();
        match holders.get(&destination) {
            Some(spots) if self.is_for(spots, packet, host(destination)) => spots.clone(),
            Some(_) => Vec::new(),
            None => {
                let is_held = self.ask.is(packet, self.meaning.held(segment));
                assert!(!is_held, "who holds {destination} is known");
                Vec::new()
            }
        }
    }

    /// Sends to whoever has an address on a segment: the packet's destination where none is given.
    pub(super) fn find(&mut self, segment: SubnetId, from: Spot, address: Option<IpAddr>, packet: Packet) {
        let net = &self.meaning.net;
        let holders = self.holders(segment, address, &packet);
        if !holders.is_empty() {
            for spot in holders {
                self.ask_and_cross(segment, (from, spot), address, packet.clone());
            }
            return;
        }
        let takers: Vec<Spot> = net.takers(segment).into_iter().filter(|spot| *spot != from).collect();
        let subnet = net.model.subnet(segment);
        match takers.as_slice() {
            [] => {
                let what = format!("nobody on subnet `{}` has the address", subnet.name);
                self.lose(packet, Some(subnet.name.span), what);
            }
            [only] => self.cross(segment, from, *only, packet),
            [_, ..] => {
                let what = format!("several on subnet `{}` take unknown addresses", subnet.name);
                self.end(Ended::Unsaid(what), packet);
            }
        }
    }

    /// The same, once it is known who has the address: IPv4 asks for that by ARP, which rules by hand may take.
    fn ask_and_cross(
        &mut self,
        segment: SubnetId,
        (from, to): (Spot, Spot),
        address: Option<IpAddr>,
        packet: Packet,
    ) {
        let (net, sets) = (&self.meaning.net, self.meaning.sets);
        let subnet = net.model.subnet(segment);
        let is_v4 = || match address {
            Some(address) => address.is_ipv4(),
            None => self.ask.is(&packet, sets.value(Field::EthType, IPV4)),
        };
        if subnet.acls.is_empty() || !is_v4() {
            return self.cross(segment, from, to, packet);
        }
        let of = address.unwrap_or_else(|| packet.now.apply(&self.ask.sent).destination());
        let is_known = match (from, to) {
            (Spot::Wire(_), _) => true,
            (_, Spot::Port(id)) => !net.model.port(id).forwards,
            (_, Spot::Router(Side::Gateway(gateway))) => {
                net.assignment.gateway(gateway).addresses.contains(&of)
            }
            (_, Spot::Router(Side::Subnet(_) | Side::Peer(..)) | Spot::Wire(_)) => true,
        };
        match self.meaning.questions(segment, from, to, is_known) {
            Some(true) => self.cross(segment, from, to, packet),
            Some(false) => {
                let what = format!("rules of subnet `{}` take the question who has the address", subnet.name);
                self.lose(packet, Some(subnet.name.span), what);
            }
            None => {
                let what = "whether a rule by hand takes questions for addresses is not followed".to_owned();
                self.end(Ended::Unsaid(what), packet);
            }
        }
    }

    /// From one place on a segment to another, past the rules of both.
    fn cross(&mut self, segment: SubnetId, from: Spot, to: Spot, mut packet: Packet) {
        if self.is_over() {
            return;
        }
        packet.tracked = Tracked::Not;
        if let Spot::Port(id) = from
            && !self.may_use(id, Field::IpSrc, &packet)
        {
            let port = self.meaning.net.model.port(id);
            return self.lose(packet, Some(port.span), format!("`{}` may not send as that", port.name));
        }
        for packet in self.filtered(segment, Direction::FromGuest, from, None, packet) {
            let sent = match from {
                Spot::Port(_) | Spot::Wire(_) => self.spread_on(segment, from, packet),
                Spot::Router(_) => vec![Sent { packet, is_back: false }],
            };
            for Sent { packet, is_back } in sent {
                match is_back {
                    true => self.come_out(segment, from, from, packet),
                    false if from == to => {
                        self.lose(packet, None, "it would go back to where it came from");
                    }
                    false => self.come_out(segment, from, to, packet),
                }
            }
        }
    }

    /// Past the rules of whoever gets it.
    fn come_out(&mut self, segment: SubnetId, from: Spot, to: Spot, packet: Packet) {
        for mut packet in self.filtered(segment, Direction::ToGuest, from, Some(to), packet) {
            packet.tracked = Tracked::Not;
            packet.hop = Some(from);
            match to {
                Spot::Port(id) if self.may_use(id, Field::IpDst, &packet) => self.end(Ended::At(to), packet),
                Spot::Port(id) => {
                    let port = self.meaning.net.model.port(id);
                    let what = format!("`{}` may not have that address", port.name);
                    self.lose(packet, Some(port.span), what);
                }
                Spot::Wire(_) => self.end(Ended::At(to), packet),
                Spot::Router(side) => self.enter_router(side, packet),
            }
        }
    }

    /// Whether port security lets a machine use an address.
    fn may_use(&self, id: PortId, field: Field, packet: &Packet) -> bool {
        let port = self.meaning.net.model.port(id);
        if !port.port_security {
            return true;
        }
        let own = self.meaning.net.assignment.port(id).addresses.iter().copied().map(host);
        let pairs = self.meaning.net.assignment.allowed(self.meaning.net.model, id);
        let own = within_any(self.meaning.sets, field, own.chain(pairs));
        match self.is_its(id, field, packet) {
            true => self.ask.is_somebodys(packet, own),
            false => self.ask.is(packet, own),
        }
    }

    /// Whether a packet goes to an address that these have.
    fn is_for(&self, spots: &[Spot], packet: &Packet, address: ipnet::IpNet) -> bool {
        match spots {
            [only] if self.is_one(*only, packet, address) => {
                self.ask.is_somebodys(packet, within_any(self.meaning.sets, Field::IpDst, [address]))
            }
            _ => self.ask.goes_to(packet, address),
        }
    }

    /// Whether whoever has an address has it as whoever is like him has another.
    fn is_one(&self, spot: Spot, packet: &Packet, address: ipnet::IpNet) -> bool {
        match spot {
            Spot::Port(id) => self.is_its(id, Field::IpDst, packet),
            Spot::Router(Side::Gateway(gateway)) => {
                self.meaning.net.publics.contains_key(&(gateway, address.addr()))
            }
            Spot::Router(Side::Subnet(_) | Side::Peer(..)) | Spot::Wire(_) => false,
        }
    }

    /// Whether an address of a packet, where a machine has it, is its own and nobody else's: the packet was sent from
    /// among those whose addresses are one machine's each, or their router has written it.
    pub(super) fn is_its(&self, id: PortId, field: Field, packet: &Packet) -> bool {
        let from = self.among(field, packet);
        from.is_some() && from == self.meaning.net.realm(Spot::Port(id))
    }

    /// The VPCs among whose machines an address of a packet was chosen, if these are known.
    pub(super) fn among(&self, field: Field, packet: &Packet) -> Option<VpcId> {
        let net = &self.meaning.net;
        match packet.now[field] {
            Origin::Field(_) => match self.via {
                Some(side) => Some(net.realm_of(net.vpc_of(side))),
                None => net.realm(self.from),
            },
            Origin::Value(value) => packet.writer_of(value).map(|vpc| net.realm_of(vpc)),
        }
    }

    /// What passes the rules of one end.
    fn filtered(
        &mut self,
        subnet: SubnetId,
        direction: Direction,
        from: Spot,
        to: Option<Spot>,
        mut packet: Packet,
    ) -> Vec<Packet> {
        let facing = to.unwrap_or(from);
        let key = |tracked| StageKey { subnet, direction, from, to, tracked };
        let is_balanced = self.meaning.net.served_on.contains_key(&subnet);
        let (is_tracked, is_kept) = match facing {
            Spot::Port(_) => (is_balanced || self.meaning.remembers(subnet), true),
            Spot::Wire(_) => (is_balanced, self.meaning.remembers(subnet)),
            Spot::Router(_) => (false, self.meaning.remembers(subnet)),
        };
        if !is_tracked {
            packet.tracked = if is_kept { packet.tracked } else { Tracked::Not };
            return self.judged(key(packet.tracked), packet);
        }
        let stateless = self.meaning.decision(key(Tracked::Not)).stateless.unwrap_or(Set::NONE);
        if self.ask.is(&packet, stateless) {
            let mut through =
                self.judged(key(Tracked::Not), Packet { tracked: Tracked::Not, ..packet.clone() });
            if packet.tracked != Tracked::Not {
                through.extend(self.judged(key(packet.tracked), packet));
            }
            return through;
        }
        if direction == Direction::ToGuest
            && let Some(answer) = self.undone(Keeper::At(facing), End::Destination, &packet)
        {
            packet = answer;
        }
        let is_known = packet.is_answer && packet.remembered.contains(&facing);
        packet.tracked = if is_known { Tracked::Reply } else { Tracked::New };
        let mut through = self.judged(key(packet.tracked), packet);
        for packet in through.iter_mut().filter(|_| !is_known) {
            packet.remembered.insert(facing);
        }
        through
    }

    fn judged(&mut self, key: StageKey, packet: Packet) -> Vec<Packet> {
        if key.tracked == Tracked::Reply {
            return vec![packet];
        }
        let decision = self.meaning.decision(key);
        if let Some((set, what)) = &decision.unsaid
            && self.ask.is(&packet, *set)
        {
            self.end(Ended::Unsaid(what.clone()), packet);
            return Vec::new();
        }
        let is = |set: Option<Set>| set.is_some_and(|set| self.ask.is(&packet, set));
        let [passes, dropped, refused] = [decision.passes, decision.dropped, decision.refused].map(is);
        let line = |packet: &mut Packet| {
            let header = packet.now.apply(&self.ask.sent);
            let line = decision.lines.iter().find(|(set, ..)| self.meaning.sets.contains(*set, &header));
            if let Some((_, span, what)) = line {
                packet.because(*span, what.clone());
            }
        };
        let mut packet = packet;
        line(&mut packet);
        if refused {
            self.end(Ended::Refused, packet.clone());
        }
        if dropped {
            self.end(Ended::Lost, packet.clone());
        }
        if passes { vec![packet] } else { Vec::new() }
    }
}
