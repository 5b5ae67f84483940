//! Address resolution: whether rules let pass the question who has an address, and its answer.
//!
//! IPv6 asks by packets that no rule is asked about (ovn-northd(8), `nd || nd_ra || …`). IPv4 asks by ARP, which a
//! rule may take that is about more than IP (`1`, `!ip.is_frag`), and `default_acl_drop` takes.
//!
//! | who asks | what it passes |
//! |---|---|
//! | a machine, for what a row knows | its rules there and back: the switch itself answers |
//! | anybody else, or for what no row knows | the rules of both ends, there and back |
//! | a router, for a machine or router that a row knows | nothing: it does not ask |
//!
//! Refuses to say who has an address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::within;
use super::filter::{Surroundings, Tracked};
use super::header::{ARP, Field};
use super::network::{Direction, Link, PortId, PortKind, SwitchId};
use super::router::Via;
use super::set::Set;
use super::switch::Stage;
use super::walk::{End, Flow, Obstacle, TTL, Walker};

/// The Ethernet address of everybody.
const BROADCAST: u64 = 0xffff_ffff_ffff;

/// What becomes of a question.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Comes,
    Stopped(Obstacle),
    Unjudged(End),
}

/// Who asks whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    asker: (PortId, Option<u64>),
    holder: (PortId, u64),
    /// Whether the switch answers.
    is_known: bool,
}

impl Walker<'_> {
    /// Packets that somebody at a port sends to an Ethernet address, which must be asked for first: those for which
    /// the answer comes. The rest ends here.
    pub(super) fn resolved(
        &mut self,
        asker: PortId,
        own: Option<u64>,
        of: IpAddr,
        mac: u64,
        flow: Flow,
    ) -> Flow {
        let network = self.network;
        let port = network.port(asker);
        let is_known = !self.is_unknown(port.switch, of);
        let is_router = matches!(port.kind, PortKind::Router(_));
        if of.is_ipv6() || is_router && is_known || flow.set.is_none() || !self.may_take(port.switch) {
            return flow;
        }
        let is_asked = is_known && port.kind == PortKind::Guest;
        let holders = self.ports_with(port.switch, mac).to_vec();
        let left = flow;
        for holder in holders {
            // The switch does not answer for a port behind which anything may be.
            let is_known = is_asked && !network.port(holder).has_unknown;
            let question = Question { asker: (asker, own), holder: (holder, mac), is_known };
            let known = self.questions.get(&question).cloned();
            let answer = known.unwrap_or_else(|| self.ask(question));
            self.questions.insert(question, answer.clone());
            match answer {
                Answer::Comes => continue,
                Answer::Stopped(Obstacle { row, why }) => {
                    let further = self.hinder(&left, left.set, row, why);
                    return further.unwrap_or(Flow { set: Set::NONE, ..left });
                }
                Answer::Unjudged(end) => {
                    self.end(left.clone(), end);
                    return Flow { set: Set::NONE, ..left };
                }
            }
        }
        left
    }

    /// Whether somebody beyond a port is known to have an address.
    pub(super) fn is_known(&self, link: Link, hop: IpAddr) -> bool {
        match link {
            Link::Switch(port) => self.neighbour(self.network.port(port).switch, hop).is_some(),
            Link::Router(peer) => self.network.router_port(peer).addresses().any(|own| own == hop),
            Link::Nothing | Link::Contested => false,
        }
    }

    /// Whether anybody may have the next hop: nobody does whose address is the router's own.
    pub(super) fn is_answered(&self, via: Via) -> bool {
        let network = self.network;
        let port = network.router_port(via.out);
        let ports = || network.router(port.router).ports.iter().map(|id| network.router_port(*id));
        let is_own = |hop| ports().any(|port| port.addresses().any(|own| own == hop));
        let may_have = |hop| match port.link {
            Link::Switch(at) => {
                let ports = &network.switch(network.port(at).switch).ports;
                self.is_known(port.link, hop) || ports.iter().any(|id| network.port(*id).has_unknown)
            }
            Link::Router(_) | Link::Nothing | Link::Contested => self.is_known(port.link, hop),
        };
        via.next_hop.is_none_or(|hop| !is_own(hop) && may_have(hop))
    }

    /// Networks that routers answer for on a switch, and by which Ethernet address.
    pub(super) fn proxies(&self, switch: SwitchId) -> &[(IpNet, u64)] {
        self.proxies[switch.0].get_or_init(|| super::switch::proxies(self.network, switch))
    }

    /// Whether no row of a switch tells of an address.
    pub(super) fn is_unknown(&self, switch: SwitchId, address: IpAddr) -> bool {
        let unknown = self.unknown[switch.0].get_or_init(|| super::switch::unknown(self.network, switch));
        unknown.contains(&address)
    }

    /// Whether any rule of a switch may take questions.
    fn may_take(&self, id: SwitchId) -> bool {
        *self.takers[id.0].get_or_init(|| {
            let switch = self.network.switch(id);
            let arp = self.sets.value(Field::EthType, ARP);
            let around = Surroundings::unknown(TTL, Tracked::Not);
            let takes = |matching| {
                let truth = self.reader.anywhere(matching, &around);
                !self.sets.and(truth.maybe, arp).is_none()
            };
            let mut rules = switch.acls.iter().map(|id| &self.network.acls[id.0]);
            switch.drops_rest || rules.any(|rule| !rule.action.lets_through() && takes(&rule.matching))
        })
    }

    fn ask(&mut self, question: Question) -> Answer {
        let Question { asker: (asker, own), holder: (holder, mac), is_known } = question;
        let (own, mac) = (own, Some(mac));
        let from = |port, eth_src, eth_dst| {
            [Direction::FromPort, Direction::FromPortBalanced]
                .map(|direction| ((port, None), direction, eth_src, eth_dst))
        };
        let to = |inport, port, eth_src, eth_dst| ((inport, Some(port)), Direction::ToPort, eth_src, eth_dst);
        let mut stages = from(asker, own, Some(BROADCAST)).to_vec();
        if is_known {
            stages.push(to(asker, asker, mac, own));
        } else {
            stages.push(to(asker, holder, own, Some(BROADCAST)));
            stages.extend(from(holder, mac, own));
            stages.push(to(holder, asker, mac, own));
        }
        let switch = self.network.port(asker).switch;
        let arp = Field::ALL.into_iter().fold(Set::ALL, |set, field| {
            let value = if field == Field::EthType { ARP } else { 0 };
            self.sets.and(set, self.sets.value(field, value))
        });
        // A question is none of the packets that are followed.
        let (outcomes, noted) = (self.take_outcomes(), self.asked.take());
        let is_thorough = std::mem::take(&mut self.is_thorough);
        let mut answer = Answer::Comes;
        for ((inport, outport), direction, eth_src, eth_dst) in stages {
            let stage = Stage { switch, direction, inport, outport };
            let flow = Flow { eth_src, eth_dst, ..Flow::new(arp) };
            let through = self.judged(stage, flow);
            let mut ends = self.take_outcomes();
            answer = match (through.is_empty(), ends.pop()) {
                (_, None) => continue,
                (true, Some(outcome)) if outcome.end == End::Nowhere && ends.is_empty() => {
                    let Some(obstacle) = outcome.flow.obstacles.last() else { continue };
                    Answer::Stopped(obstacle.clone())
                }
                (_, Some(outcome)) => {
                    let row = match (outcome.end, outcome.flow.obstacles.last()) {
                        (End::Unjudged { row, .. }, _) => row,
                        (_, Some(obstacle)) => obstacle.row,
                        (_, None) => self.network.switch(switch).row,
                    };
                    let what = "it may let pass who asks for an address, or not".to_owned();
                    Answer::Unjudged(End::Unjudged { row, what })
                }
            };
            break;
        }
        self.put_outcomes(outcomes);
        self.asked = noted;
        self.is_thorough = is_thorough;
        answer
    }

    /// Sends what a router answers for in the place of neighbours; the rest comes back.
    pub(super) fn send_to_proxies(&mut self, port: PortId, own: Option<u64>, flow: Flow) -> Flow {
        let mut left = flow;
        for (net, mac) in self.proxies(self.network.port(port).switch).to_vec() {
            let set = self.sets.and(left.set, self.part(&left, within(self.sets, Field::IpDst, net)));
            if set.is_none() {
                continue;
            }
            let flow = Flow { set, ..left.clone() };
            left.set = self.sets.minus(left.set, set);
            let flow = self.resolved(port, own, net.addr(), mac, flow);
            self.enter_switch(port, Flow { eth_dst: Some(mac), ..flow });
        }
        left
    }
}
