//! One packet on its way, and the set of all that have been answered alike so far.
//!
//! Refuses to know where it is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Reason, Side, Spot, Written};
use crate::model::VpcId;
use crate::reach::address::within;
use crate::reach::filter::Tracked;
use crate::reach::header::{Field, Header, Origin, Rewrite};
use crate::reach::set::{Set, Sets};
use crate::span::Span;

/// Which end of a connection has been written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// Who remembers a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// A VPC's router.
    Router(VpcId),
    /// A segment, for what is at one of its spots.
    At(Spot),
}

/// A connection that is remembered: how its packets came, and how they went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) keeper: Keeper,
    pub(super) end: End,
    pub(super) before: Rewrite,
    pub(super) after: Rewrite,
}

/// One packet on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    /// What has become of it.
    pub(super) now: Rewrite,
    /// For the answer to an echo request, its type.
    pub(super) echo: Option<u128>,
    /// Whether it is an answer.
    pub(super) is_answer: bool,
    /// What has been said of its connection on the segment that it is on.
    pub(super) tracked: Tracked,
    /// Who remembers its connection.
    pub(super) remembered: BTreeSet<Spot>,
    /// What has been written over of it, and by whom.
    pub(super) memories: Vec<Memory>,
    /// Who came in by a gateway untranslated, as what, and is remembered there.
    pub(super) plain: Vec<(VpcId, Rewrite)>,
    /// Where it has come into routers, as what.
    pub(super) visited: Vec<(Side, Rewrite)>,
    /// The last place that it has left a segment from.
    pub(super) hop: Option<Spot>,
    /// What has decided.
    pub(super) reasons: Vec<Reason>,
}

impl Packet {
    pub(super) fn first() -> Packet {
        Packet {
            now: Rewrite::IDENTITY,
            echo: None,
            is_answer: false,
            tracked: Tracked::Not,
            remembered: BTreeSet::new(),
            memories: Vec::new(),
            plain: Vec::new(),
            visited: Vec::new(),
            hop: None,
            reasons: Vec::new(),
        }
    }

    /// What answers it.
    pub(super) fn answer(&self, echo: Option<u128>) -> Packet {
        Packet {
            now: self.now.reply(echo),
            echo,
            is_answer: true,
            remembered: self.remembered.clone(),
            memories: self.memories.clone(),
            plain: self.plain.clone(),
            reasons: self.reasons.clone(),
            ..Packet::first()
        }
    }

    /// The VPC whose router has written an address, to remember the connection by.
    pub(super) fn writer_of(&self, address: u128) -> Option<VpcId> {
        let wrote = |memory: &&Memory| {
            let is_new = |field| {
                memory.after[field] == Origin::Value(address) && memory.before[field] != memory.after[field]
            };
            [Field::IpSrc, Field::IpDst].into_iter().any(is_new)
        };
        match self.memories.iter().rev().find(wrote)?.keeper {
            Keeper::Router(vpc) => Some(vpc),
            Keeper::At(_) => None,
        }
    }

    pub(super) fn because(&mut self, span: Option<Span>, what: impl Into<String>) {
        self.reasons.push(Reason { span, what: what.into() });
    }
}

/// What a packet was asked, but for who it is from and for.
#[derive(Default)]
pub(super) struct Asked {
    /// Whether it, as it was sent, is among these.
    pub(super) sent: BTreeSet<Set>,
    /// The same of addresses that were written on the way.
    pub(super) written: BTreeSet<Written>,
}

/// Asks questions of a packet and keeps the set of those that would have answered the same.
pub(super) struct Asker<'s> {
    pub(super) sets: &'s Sets,
    pub(super) sent: Header,
    alike: Cell<Set>,
    /// Everything that was asked but for who it is.
    asked: RefCell<Asked>,
}

impl<'s> Asker<'s> {
    pub(super) fn new(sets: &'s Sets, sent: Header) -> Asker<'s> {
        Asker { sets, sent, alike: Cell::new(Set::ALL), asked: RefCell::default() }
    }

    /// Everything that has answered alike.
    pub(super) fn alike(&self) -> Set {
        self.alike.get()
    }

    /// Whether the packet, as it is now, is in a set.
    pub(super) fn is(&self, packet: &Packet, set: Set) -> bool {
        for field in [Field::IpSrc, Field::IpDst].into_iter().filter(|it| self.sets.is_about(set, [*it])) {
            if let Origin::Value(value) = packet.now[field] {
                let by = packet.writer_of(value);
                self.asked.borrow_mut().written.insert(Written { field, value, by, set });
            }
        }
        self.was(self.sets.before(set, &packet.now))
    }

    /// Everything that was asked, but for who a packet is from and for.
    pub(super) fn asked(self) -> Asked {
        self.asked.into_inner()
    }

    /// Whether the packet, as it is now, is from or for somebody who is there: of whoever is like him the same would
    /// have been asked.
    pub(super) fn is_somebodys(&self, packet: &Packet, set: Set) -> bool {
        self.narrow(self.sets.before(set, &packet.now))
    }

    /// Whether the packet, as it was sent, is in a set.
    pub(super) fn was(&self, set: Set) -> bool {
        if self.sets.is_about(set, [Field::IpSrc, Field::IpDst]) {
            self.asked.borrow_mut().sent.insert(set);
        }
        self.narrow(set)
    }

    /// The same, where whoever is like its sender is asked about himself.
    pub(super) fn narrow(&self, set: Set) -> bool {
        let holds = self.sets.contains(set, &self.sent);
        let alike = self.alike.get();
        self.alike.set(if holds { self.sets.and(alike, set) } else { self.sets.minus(alike, set) });
        holds
    }

    /// Whether it goes to one of these.
    pub(super) fn goes_to(&self, packet: &Packet, net: IpNet) -> bool {
        self.is(packet, within(self.sets, Field::IpDst, net))
    }

    /// Which is the first of some sets that the packet, as it is now, is in. That it is in this one says that it is in
    /// none of those which share nothing with it: they are not asked one by one, of which there may be hundreds.
    pub(super) fn first(&self, packet: &Packet, all: &[Set]) -> Option<usize> {
        self.first_but(packet, all, |_| false)
    }

    /// The same, where that it is in some of them says who it is.
    pub(super) fn first_but(
        &self,
        packet: &Packet,
        all: &[Set],
        is_who: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let now = packet.now.apply(&self.sent);
        let Some(at) = all.iter().position(|set| self.sets.contains(*set, &now)) else {
            self.is(packet, self.sets.any(all.iter().copied()));
            return None;
        };
        for other in all[..at].iter().filter(|other| self.sets.meet(**other, all[at])) {
            self.is(packet, *other);
        }
        let is_in = if is_who(at) { self.is_somebodys(packet, all[at]) } else { self.is(packet, all[at]) };
        is_in.then_some(at)
    }

    /// Whether two ways of writing the packet over come to the same.
    pub(super) fn is_same(&self, a: &Rewrite, b: &Rewrite) -> bool {
        let sets = self.sets;
        let same = Field::ALL.into_iter().fold(Set::ALL, |set, field| {
            let here = match (a[field], b[field]) {
                (a, b) if a == b => Set::ALL,
                (Origin::Field(from), Origin::Value(value)) | (Origin::Value(value), Origin::Field(from)) => {
                    sets.value(from, value)
                }
                (Origin::Field(_), Origin::Field(_)) | (Origin::Value(_), Origin::Value(_)) => Set::NONE,
            };
            sets.and(set, here)
        });
        self.was(same)
    }
}

/// A host as a network.
pub(super) fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}
