//! What a model means: what becomes of every packet that a machine or the outside may send.
//!
//! Read from the checked model alone, by packets: one is followed at a time, and every question that is asked of
//! it narrows the set of those that fare alike. Nothing here knows rows, nor how they are made: ranks, borders and
//! translations are written down a second time, so that [`crate::verify`] can hold the two against each other.
//!
//! What rules by hand say is read by [`crate::reach::filter`], since they are in OVN's own language.
//!
//! Refuses to follow matches on what is no part of a header.

mod alike;
mod balance;
mod follow;
mod groups;
mod guest;
mod homes;
mod idle;
mod network;
mod packet;
mod router;
mod rules;
mod segment;
mod translate;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use crate::check::Checked;
use crate::model::{GatewayId, GroupId, PortId, SubnetId, VpcId};
use crate::nb::matching::SymbolSet;
use crate::reach::address::within_any;
use crate::reach::filter::{Names, Reader};
use crate::reach::header::{Field, Rewrite};
use crate::reach::set::{Set, Sets};
use crate::span::Span;
use crate::target::Target;

pub use self::alike::{Public, Traits};
pub use self::guest::Told;
pub use self::idle::Idle;
use self::network::Network;
use self::packet::host;
use self::router::Routes;
use self::rules::{Decision, StageKey};
use self::translate::Door;

/// A router's side of one of its networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// In one of its VPC's subnets.
    Subnet(SubnetId),
    /// On an external network.
    Gateway(GatewayId),
    /// Towards a peer: a VPC, and which of its peerings.
    Peer(VpcId, usize),
}

/// Somewhere on a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spot {
    /// A machine.
    Port(PortId),
    /// A router.
    Router(Side),
    /// What is behind a bridged subnet.
    Wire(SubnetId),
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Where it is.
    pub from: Spot,
    /// What is behind a bridged subnet sends what is for nobody there by any router: by this one alone.
    pub via: Option<Side>,
}

/// What packets were asked about their addresses, but for who they are from and for.
#[derive(Debug, Default)]
pub struct Asked {
    /// Whether packets, as they were sent, are among these; and of which packets it was asked.
    pub sent: BTreeSet<(Set, Set)>,
    /// The same of packets with an address that was written on the way.
    pub written: BTreeSet<Written>,
}

/// A question about a packet with an address that was written on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// Where it has the address.
    pub field: Field,
    /// The address, as a number.
    pub value: u128,
    /// The VPC whose router wrote it, by the one that stands for those that are joined with it ([`Meaning::realm`]).
    pub by: Option<VpcId>,
    /// Whether the packet, as it was then, is among these.
    pub set: Set,
}

/// Where packets end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// At a machine.
    Port(PortId),
    /// At a router, which answers.
    Vpc(VpcId),
    /// Behind a bridged subnet.
    Wire(SubnetId),
    /// At something that the model does not know.
    Stranger(String),
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It does not arrive.
    Lost,
    /// It does not arrive, and its sender is told.
    Refused,
    /// It arrives.
    Arrives {
        /// Where.
        place: Place,
        /// As what.
        written: Rewrite,
        /// Whether the answer comes back; `None` where it was not asked for.
        answered: Option<bool>,
    },
    /// That can't be said, for this reason.
    Unsaid(String),
}

/// Something that decides about a packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// Where it stands, if anywhere.
    pub span: Option<Span>,
    /// In words.
    pub what: String,
}

/// One thing that may become of packets, and what decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What becomes of them.
    pub fate: Fate,
    /// What decided, in order.
    pub reasons: Vec<Reason>,
    /// Where the answer comes back by other routers: those of the packet, those of its answer.
    pub detour: Option<(Vec<VpcId>, Vec<VpcId>)>,
}

/// Packets that fare alike, and everything that may become of them.
#[derive(Clone, Debug)]
pub struct Region {
    /// The packets.
    pub set: Set,
    /// All that is possible.
    pub outcomes: Vec<Outcome>,
}

/// What is known of a model without a packet; threads may share it.
pub struct Known<'m> {
    net: Network<'m>,
    names: &'m Names,
    symbols: SymbolSet,
    target: Target,
}

/// The meaning of one model.
pub struct Meaning<'m> {
    net: &'m Network<'m>,
    sets: &'m Sets,
    reader: Reader<'m>,
    target: Target,
    decisions: RefCell<HashMap<StageKey, Rc<Decision>>>,
    /// Whether rules remember connections on a segment.
    remembering: RefCell<HashMap<SubnetId, bool>>,
    /// Packets from or to members of a group, by the VPC that asks.
    members: RefCell<HashMap<(GroupId, VpcId, Field), Set>>,
    /// Packets from or to a router's own addresses.
    own: RefCell<HashMap<(VpcId, Field), Set>>,
    /// Packets to whoever is on a segment.
    held: RefCell<HashMap<SubnetId, Set>>,
    /// What somebody behind a bridged subnet knows a way for.
    sendable: OnceCell<Set>,
    /// What a gateway translates.
    doors: RefCell<HashMap<GatewayId, Rc<Door>>>,
    /// Routes of a VPC, those that win first, by their table; `None` is the main one.
    routes: RefCell<HashMap<(VpcId, Option<String>), Routes>>,
    /// What packets were asked.
    asked: RefCell<Asked>,
}

/// What rules by hand can refer to.
pub fn names(checked: &Checked<'_>) -> Names {
    groups::names(checked)
}

impl<'m> Known<'m> {
    /// What is known of a model for an OVN; `names` are [`names`] of the same model.
    pub fn new(checked: &'m Checked<'m>, target: Target, names: &'m Names) -> Known<'m> {
        let known = |symbols: &SymbolSet| symbols.to_string().parse::<Target>().is_ok_and(|v| v <= target);
        let symbols = SymbolSet::ALL.into_iter().filter(known).max().unwrap_or(SymbolSet::V23_03);
        Known { net: Network::new(checked), names, symbols, target }
    }
}

impl<'m> Meaning<'m> {
    /// The meaning of a model, in sets that live there.
    pub fn new(known: &'m Known<'m>, sets: &'m Sets) -> Meaning<'m> {
        Meaning {
            net: &known.net,
            sets,
            reader: Reader::new(sets, known.symbols, known.names),
            target: known.target,
            decisions: RefCell::default(),
            remembering: RefCell::default(),
            members: RefCell::default(),
            own: RefCell::default(),
            held: RefCell::default(),
            sendable: OnceCell::new(),
            doors: RefCell::default(),
            routes: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// What becomes of packets from somewhere, part by part, as long as `goes_on` says so; `None` where it ended
    /// before the last part. Answers are asked for of those in `asking`.
    pub fn regions(
        &self,
        sender: Sender,
        set: Set,
        asking: Set,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<Vec<Region>> {
        let (mut left, mut regions) = (set, Vec::new());
        while let Some(sent) = self.sets.pick(left, &[]) {
            if !goes_on() {
                return None;
            }
            let (alike, outcomes) = follow::follow(self, sender, sent, asking);
            let alike = self.sets.and(left, alike);
            assert!(self.sets.contains(alike, &sent), "a packet fares like itself");
            left = self.sets.minus(left, alike);
            regions.push(Region { set: alike, outcomes });
        }
        Some(regions)
    }

    /// What packets were asked since this was last called: by nothing else are machines with the same [`Traits`] told
    /// apart.
    pub fn take_asked(&self) -> Asked {
        self.asked.take()
    }

    fn note(&self, asked: packet::Asked, among: Set) {
        let mut all = self.asked.borrow_mut();
        all.sent.extend(asked.sent.into_iter().map(|set| (set, among)));
        let by = |it: Written| Written { by: it.by.map(|vpc| self.net.realm_of(vpc)), ..it };
        all.written.extend(asked.written.into_iter().map(by));
    }

    /// The routers on a segment.
    pub fn routers_on(&self, id: SubnetId) -> Vec<Side> {
        self.net.routers_on(id)
    }

    /// Packets from (`IpSrc`) or to (`IpDst`) addresses of a router's own.
    fn own(&self, vpc: VpcId, field: Field) -> Set {
        *self.own.borrow_mut().entry((vpc, field)).or_insert_with(|| {
            let own = self.net.sides(vpc).into_iter().map(|(_, own, _)| host(own));
            within_any(self.sets, field, own)
        })
    }

    /// Packets to whoever is on a segment.
    pub fn held(&self, id: SubnetId) -> Set {
        *self.held.borrow_mut().entry(id).or_insert_with(|| {
            let holders = self.net.holders.get(&id).into_iter().flat_map(|holders| holders.keys());
            within_any(self.sets, Field::IpDst, holders.copied().map(host))
        })
    }
}
