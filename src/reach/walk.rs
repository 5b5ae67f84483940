//! Follows sets of packets from where they are sent to wherever they may end.
//!
//! A set is split where its packets part, and copied where OVN may choose (several next hops, rules of
//! equal priority that disagree). So every packet is in one outcome, or in all that are possible for it.
//! Sets are those of packets as they were sent; what happens to them on the way is kept as a rewrite.
//!
//! Neighbours are taken to answer, packets to be whole and untagged, with a time to live of 64.
//!
//! Refuses to judge what an outcome means for a question.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::address::{Ranges, within};
use super::back::WayBack;
use super::classes::zones::{Asked, Written};
use super::filter::{Reader, Surroundings, Tracked, Truth};
use super::guest::{Guests, Route};
use super::header::{Field, Header, IPV4, Origin, Rewrite};
use super::nat::{Keeper, Memory, Sources};
use super::neighbours::Holders;
use super::network::{AccessRule, AclId, Network, PortId, RouterId, RouterPortId, RowId, SwitchId};
use super::outside::Inside;
use super::resolve::{Answer, Question};
use super::routes::Routes;
use super::set::{Set, Sets};
use crate::nb::matching::Expr;

/// The time to live that guests send with.
pub const TTL: u8 = 64;
/// The time to live of what a router sends itself.
pub(super) const ROUTER_TTL: u8 = 255;
/// With more ranges of addresses than this, all neighbours and translations are looked through.
const RANGES_MAX: usize = 64;
/// More outcomes than this for one set are given up on.
pub(super) const OUTCOMES_MAX: usize = 200_000;

/// Something that a packet passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a switch by this port.
    In(PortId),
    /// A rule lets it through.
    Rule(AclId),
    /// It belongs to a connection that was let through before.
    Connection(SwitchId),
    /// Out of a switch by this port.
    Out(PortId),
    /// A router takes it in.
    Router(RouterPortId),
    /// A route, a network or a policy sends it out of a router port, to a next hop.
    Via {
        /// The row that decides.
        row: RowId,
        /// The port that it leaves by.
        out: RouterPortId,
        /// The next hop; its destination where there is none.
        next_hop: Option<IpAddr>,
    },
    /// A policy lets it go on.
    Policy(RowId),
    /// A translation writes it over.
    Translated {
        /// The translation.
        row: RowId,
        /// What had become of it.
        before: Box<Rewrite>,
        /// What becomes of it.
        after: Box<Rewrite>,
    },
    /// This stops it.
    Stop(Obstacle),
}

/// Why a packet goes no further.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The port or router is switched off.
    Disabled,
    /// Port security does not let the sender use its source.
    Spoofed,
    /// Port security does not let the receiver have its destination.
    NotItsAddress,
    /// A rule drops it.
    Dropped,
    /// A rule drops it and tells the sender.
    Rejected,
    /// No rule is about it, and what none is about is dropped.
    NoRule,
    /// The guest knows no way.
    GuestRoute,
    /// Nobody on the switch or link has the address.
    Neighbour(Option<IpAddr>),
    /// Nobody on the switch has the Ethernet address.
    EthernetAddress,
    /// It would leave by the port that it came by.
    SamePort,
    /// The router has no route.
    NoRoute,
    /// A route discards it.
    Discarded,
    /// A policy drops it.
    Policy,
    /// It is for a balancer that has no backend.
    NoBackend {
        /// Whether the sender is told.
        is_told: bool,
    },
    /// It is for the router, which does not take it.
    RouterAddress,
    /// Its source or destination is none that a router forwards.
    Martian,
    /// It comes back to where it was.
    Loop,
    /// Its time to live runs out.
    TimeToLive,
    /// The router port leads nowhere.
    DeadEnd,
    /// It is for an external address that translates nothing of the kind.
    External,
    /// One end has a public address, the other a private one that it cannot know.
    Private,
    /// It answers somebody who was not asked.
    NotAsked,
}

impl Why {
    /// Whether the sender is told by rule: a reset of TCP, or an error of ICMP.
    pub fn is_told(&self) -> bool {
        matches!(self, Why::Rejected | Why::NoBackend { is_told: true })
    }
}

/// Something that stops a packet, and the row behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Obstacle {
    /// The row that decides, or the place that lacks one.
    pub row: RowId,
    /// Why.
    pub why: Why,
}

/// Where packets end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At a machine.
    Port(PortId),
    /// On a physical network, by this port.
    Outside(PortId),
    /// At a router, which answers an echo.
    Router(RouterPortId),
    /// Nowhere; the last obstacle says why.
    Nowhere,
    /// What happens to them can't be said.
    Unjudged {
        /// The row.
        row: RowId,
        /// What about it.
        what: String,
    },
}

/// What has been passed, last first.
#[derive(Clone, Debug, Default)]
pub struct Path(Option<Rc<(Step, Path)>>);

impl Path {
    fn with(&self, step: Step) -> Path {
        Path(Some(Rc::new((step, self.clone()))))
    }

    /// What has been passed, in order.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = self;
        while let Some(link) = &at.0 {
            steps.push(link.0.clone());
            at = &link.1;
        }
        steps.reverse();
        steps
    }
}

/// Packets on their way.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Which packets, as they were sent.
    pub set: Set,
    /// What they have become.
    pub rewrite: Rewrite,
    /// Their source Ethernet address, where it is known.
    pub eth_src: Option<u64>,
    /// Their destination Ethernet address, where it is known.
    pub eth_dst: Option<u64>,
    /// Their time to live.
    pub ttl: u8,
    /// What conntrack has said of them on the switch that they are on.
    pub tracked: Tracked,
    /// Where they came into the network, and the Ethernet address that they were sent to there.
    pub first_hop: Option<(PortId, Option<u64>)>,
    /// The source Ethernet address that they were sent with.
    pub first_source: Option<u64>,
    /// What they have passed.
    pub path: Path,
    /// What would have stopped them.
    pub obstacles: Vec<Obstacle>,
    /// What switches and routers remember of their connection.
    pub memories: Rc<Vec<Memory>>,
    /// From whom they came into routers that answer them to the same.
    pub ways_back: Rc<Vec<WayBack>>,
    /// What becomes of their source on the router that they are in.
    pub sources: Sources,
    /// For answers to an echo request, their type.
    pub echo: Option<u128>,
    /// Router ports that they have come in by, as what.
    pub visited: Vec<(RouterPortId, Rewrite)>,
}

impl Flow {
    /// Packets that are about to be sent.
    pub fn new(set: Set) -> Flow {
        Flow {
            set,
            rewrite: Rewrite::IDENTITY,
            eth_src: None,
            eth_dst: None,
            ttl: TTL,
            tracked: Tracked::Not,
            first_hop: None,
            first_source: None,
            path: Path::default(),
            obstacles: Vec::new(),
            memories: Rc::default(),
            ways_back: Rc::default(),
            sources: Sources::default(),
            echo: None,
            visited: Vec::new(),
        }
    }

    /// The answers to these packets, about to be sent.
    pub fn answered(&self, set: Set, echo: Option<u128>) -> Flow {
        let rewrite = self.rewrite.reply(echo);
        let (memories, ways_back) = (self.memories.clone(), self.ways_back.clone());
        Flow { rewrite, memories, ways_back, echo, ..Flow::new(set) }
    }

    pub(super) fn step(&mut self, step: Step) {
        self.path = self.path.with(step);
    }

    /// Something stops them, or would.
    pub(super) fn meet(&mut self, obstacle: Obstacle) {
        self.step(Step::Stop(obstacle.clone()));
        self.obstacles.push(obstacle);
    }
}

/// Packets and where they ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The packets, as they ended.
    pub flow: Flow,
    /// Where.
    pub end: End,
}

/// Which packets of connections are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// First packets.
    First,
    /// Answers, known to conntrack where the first packet was remembered.
    Answer,
    /// Answers, known to conntrack wherever it is asked.
    KnownAnswer,
}

/// Packets that follow from a router alone, or from one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fixed {
    /// For an address that a router port's translations and balancers give to others.
    Outward(RouterPortId),
    /// From an address that translations of a router port are for.
    Inward(RouterPortId),
    /// What a router drops at once by its source; of packets that come back, or others.
    MartianSource(RouterId, bool),
    /// What every router drops at once by its destination.
    MartianDestination,
    /// For an address of a router.
    Own(RouterId),
    /// For an address of a router port.
    OwnOf(RouterPortId),
    /// For an external address of a gateway; those alone that it serves, or all.
    External(RouterPortId, bool),
    /// For an address that a router shares.
    Shared(RouterId),
    /// For an address outside, or from one inside, that a translation of a router port is about alone.
    Translated(RouterPortId, Field),
    /// For an address inside that such a translation is about, where it remembers connections from outside.
    Remembered(RouterPortId),
    /// From an address that a gateway lends.
    Lent(RouterPortId),
    /// What the Internet would send to private addresses.
    Unsendable,
    /// Echo requests.
    Echo,
}

/// A set that is found out once for sources and once for destinations.
#[derive(Debug, Default)]
pub(super) struct BothEnds([OnceCell<Set>; 2]);

impl BothEnds {
    pub(super) fn of(&self, field: Field, find: impl FnOnce() -> Set) -> Set {
        *self.0[usize::from(field == Field::IpDst)].get_or_init(find)
    }
}

/// What a match says, and what of it cannot be judged.
type Read = (Truth, Rc<[String]>);

/// Follows packets through one network.
pub struct Walker<'n> {
    pub(super) network: &'n Network,
    /// Where the sets live.
    pub sets: &'n Sets,
    /// The machines.
    pub guests: Guests<'n>,
    pub(super) reader: Reader<'n>,
    /// Whether to go on behind what stops packets, to find the rest of it.
    pub is_thorough: bool,
    /// Where it is remembered what packets are asked about, and in which part of the network.
    pub(super) asked: Option<Asked>,
    /// Says how long to go on; once it was told to stop, what has come out is not all.
    pub goes_on: Option<&'n dyn Fn() -> bool>,
    /// An address that the machine at a port has taken on without a row that says so.
    pub claimed: Option<(PortId, IpAddr)>,
    pub(super) kind: Kind,
    pub(super) outcomes: Vec<Outcome>,
    macs: Vec<OnceCell<HashMap<u64, Vec<PortId>>>>,
    pub(super) neighbours: Vec<OnceCell<Holders>>,
    /// Networks that routers answer for on each switch.
    pub(super) proxies: Vec<OnceCell<Vec<(IpNet, u64)>>>,
    /// Addresses on each switch that no row tells of.
    pub(super) unknown: Vec<OnceCell<BTreeSet<IpAddr>>>,
    /// Whether rules of a switch may take questions for addresses.
    pub(super) takers: Vec<OnceCell<bool>>,
    pub(super) questions: HashMap<Question, Answer>,
    pub(super) routes: Vec<Option<Rc<Routes>>>,
    truths: RefCell<HashMap<(RowId, Surroundings<'n>), Read>>,
    fixed: RefCell<HashMap<Fixed, Set>>,
    pub(super) physical: BothEnds,
    pub(super) private: BothEnds,
    pub(super) externals: OnceCell<HashMap<IpAddr, Inside>>,
}

impl<'n> Walker<'n> {
    /// A walker through `network`, whose sets live in `sets`.
    pub fn new(network: &'n Network, sets: &'n Sets, guests: Guests<'n>) -> Walker<'n> {
        let n_switches = network.switches.len();
        Walker {
            network,
            sets,
            guests,
            reader: Reader::new(sets, network.symbols(), &network.names),
            is_thorough: false,
            asked: None,
            goes_on: None,
            claimed: None,
            kind: Kind::First,
            outcomes: Vec::new(),
            macs: vec![OnceCell::new(); n_switches],
            neighbours: vec![OnceCell::new(); n_switches],
            proxies: vec![OnceCell::new(); n_switches],
            unknown: vec![OnceCell::new(); n_switches],
            takers: vec![OnceCell::new(); n_switches],
            questions: HashMap::new(),
            routes: vec![None; network.routers.len()],
            truths: RefCell::default(),
            fixed: RefCell::default(),
            physical: BothEnds::default(),
            private: BothEnds::default(),
            externals: OnceCell::new(),
        }
    }

    /// What becomes of packets that the machine at a port sends.
    pub fn from_guest(&mut self, port: PortId, flow: Flow, kind: Kind) -> Vec<Outcome> {
        self.kind = kind;
        if let Some(asked) = &self.asked {
            asked.on_switch(self.network.port(port).switch);
        }
        self.launch(port, flow);
        std::mem::take(&mut self.outcomes)
    }

    /// What becomes of packets that come in by a port, Ethernet addresses set.
    pub fn from_wire(&mut self, port: PortId, flow: Flow, kind: Kind) -> Vec<Outcome> {
        self.kind = kind;
        self.enter_switch(port, flow);
        std::mem::take(&mut self.outcomes)
    }

    /// What becomes of answers from a physical network, Ethernet addresses set.
    pub fn answered_outside(&mut self, port: PortId, flow: Flow) -> Vec<Outcome> {
        self.kind = Kind::Answer;
        if let Some(asked) = &self.asked {
            asked.on_switch(self.network.port(port).switch);
        }
        let flow = self.sendable(self.network.port(port).switch, flow);
        self.enter_switch(port, flow);
        std::mem::take(&mut self.outcomes)
    }

    /// What becomes of packets that a router sends itself, as if they had come in by a port.
    pub fn from_router(&mut self, port: RouterPortId, flow: Flow, kind: Kind) -> Vec<Outcome> {
        self.kind = kind;
        if let Some(asked) = &self.asked {
            asked.on_router(self.network.router_port(port).router);
        }
        self.come_in(port, Flow { ttl: ROUTER_TTL, ..flow });
        std::mem::take(&mut self.outcomes)
    }

    /// What becomes of packets from a physical network, which may know every neighbour and router there.
    pub fn from_outside(&mut self, port: PortId, flow: Flow, kind: Kind) -> Vec<Outcome> {
        let routers = self.network.routers_on(self.network.port(port).switch).map(|(_, id)| id).collect();
        self.from_outside_by(port, flow, kind, &routers)
    }

    /// The same, where what is for nobody there goes by some of the routers alone.
    pub fn from_outside_by(
        &mut self,
        port: PortId,
        flow: Flow,
        kind: Kind,
        by: &BTreeSet<RouterPortId>,
    ) -> Vec<Outcome> {
        self.kind = kind;
        let network = self.network;
        let switch = network.port(port).switch;
        if let Some(asked) = &self.asked {
            asked.on_switch(switch);
        }
        let routers: Vec<RouterPortId> = network.routers_on(switch).map(|(_, id)| id).collect();
        let flow = self.sendable(switch, flow);
        let rest = self.send_to_neighbours(port, switch, flow);
        let near = routers.iter().flat_map(|id| &network.router_port(*id).networks);
        let near = self.part(&rest, self.sets.any(near.map(|net| self.destined(&net.trunc()))));
        let far = Flow { set: self.sets.minus(rest.set, near), ..rest.clone() };
        for router in by {
            let mac = network.router_port(*router).mac;
            let own = network.router_port(*router).networks.iter().map(IpNet::addr);
            let mut far = far.clone();
            if let Some(own) = own.into_iter().find(IpAddr::is_ipv4) {
                let v4 = self.part(&far, self.sets.value(Field::EthType, IPV4));
                let asked = self.resolved(port, None, own, mac, Flow { set: v4, ..far.clone() });
                far.set = self.sets.or(self.sets.minus(far.set, v4), asked.set);
            }
            self.enter_switch(port, Flow { eth_dst: Some(mac), ..far });
        }
        let lost = if by.is_empty() { rest.set } else { near };
        if !lost.is_none() {
            self.stop(Flow { set: lost, ..rest }, network.switch(switch).row, Why::Neighbour(None));
        }
        std::mem::take(&mut self.outcomes)
    }

    /// The packets of a flow that are in `set` now.
    pub(super) fn part(&self, flow: &Flow, set: Set) -> Set {
        self.sets.and(flow.set, self.sent(flow, set))
    }

    /// Packets, as they were sent, that are in `set` if they have become what those of a flow are now.
    fn sent(&self, flow: &Flow, set: Set) -> Set {
        self.note_written(flow, set);
        let set = self.sets.before(set, &flow.rewrite);
        self.note(flow.set, set);
        set
    }

    /// The values that an address of packets may have now; `None` if those are too many ranges to look at.
    pub(super) fn addresses(&self, flow: &Flow, field: Field) -> Option<Vec<(u128, u128)>> {
        let ranges = match flow.rewrite[field] {
            Origin::Value(value) => vec![(value, value)],
            Origin::Field(field) => self.sets.intervals(self.sets.only(flow.set, &[field]), field),
        };
        (ranges.len() <= RANGES_MAX).then_some(ranges)
    }

    /// The same, to pass by rows that are about one other address each, of which a router may have a thousand: they are
    /// asked about as one, packets with any of their addresses being `all`.
    pub(super) fn at_most(&self, flow: &Flow, field: Field, all: Set) -> Ranges {
        let ranges = self.addresses(flow, field);
        if self.asked.is_some() && ranges.is_some() {
            self.sent(flow, all);
        }
        Ranges(ranges)
    }

    /// Packets that are always the same ones, found out once.
    pub(super) fn fixed(&self, what: Fixed, find: impl FnOnce() -> Set) -> Set {
        let known = self.fixed.borrow().get(&what).copied();
        known.unwrap_or_else(|| {
            let found = find();
            self.fixed.borrow_mut().insert(what, found);
            found
        })
    }

    /// Whether packets of some are in `set`, as they were sent, is asked. It tells machines apart by their addresses alone.
    pub(super) fn note(&self, among: Set, set: Set) {
        let is_about = || self.sets.is_about(set, [Field::IpSrc, Field::IpDst]);
        if let Some(asked) = self.asked.as_ref().filter(|_| is_about()) {
            asked.note(among, set);
        }
    }

    /// Whether packets are in `set`, as they are now, is asked of addresses that were written on the way.
    fn note_written(&self, flow: &Flow, set: Set) {
        let Some(asked) = &self.asked else { return };
        for field in [Field::IpSrc, Field::IpDst] {
            if let Origin::Value(value) = flow.rewrite[field]
                && self.sets.is_about(set, [field])
            {
                let mut writers = flow.memories.iter().rev().filter_map(|memory| memory.writer_of(value));
                let by = writers.next().map(|keeper| match keeper {
                    Keeper::Router(id) => asked.zones().of_router(id),
                    Keeper::Port(id) => asked.zones().of_switch(self.network.port(id).switch),
                });
                asked.note_written(Written { field, value, by }, set);
            }
        }
    }

    /// What comes next is asked where packets were before.
    pub(super) fn come_from(&self, zone: Option<usize>) {
        if let (Some(asked), Some(zone)) = (&self.asked, zone) {
            asked.back(zone);
        }
    }

    pub(super) fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    pub(super) fn put_outcomes(&mut self, outcomes: Vec<Outcome>) {
        self.outcomes = outcomes;
    }

    pub(super) fn end(&mut self, flow: Flow, end: End) {
        if !flow.set.is_none() && self.outcomes.len() < OUTCOMES_MAX {
            self.outcomes.push(Outcome { flow, end });
        }
    }

    /// The packets end here.
    pub(super) fn stop(&mut self, mut flow: Flow, row: RowId, why: Why) {
        flow.meet(Obstacle { row, why });
        self.end(flow, End::Nowhere);
    }

    /// Some of the packets end here; the rest stays.
    pub(super) fn stop_some(&mut self, flow: &mut Flow, set: Set, row: RowId, why: Why) {
        if !set.is_none() {
            self.stop(Flow { set, ..flow.clone() }, row, why);
            flow.set = self.sets.minus(flow.set, set);
        }
    }

    /// The packets end here, unless one wants to know what else is in their way.
    pub(super) fn hinder(&mut self, flow: &Flow, set: Set, row: RowId, why: Why) -> Option<Flow> {
        if set.is_none() {
            return None;
        }
        let mut flow = Flow { set, ..flow.clone() };
        if !self.is_thorough {
            self.stop(flow, row, why);
            return None;
        }
        flow.meet(Obstacle { row, why });
        Some(flow)
    }

    /// Which packets a row's match is about, in terms of what they are there.
    pub(super) fn truth(&self, row: RowId, expr: &Expr, around: &Surroundings<'n>) -> Read {
        let key = (row, *around);
        if let Some(known) = self.truths.borrow().get(&key) {
            return known.clone();
        }
        let (truth, unjudged) = self.reader.read(expr, around);
        let read = (truth, Rc::from(unjudged));
        self.truths.borrow_mut().insert(key, read.clone());
        read
    }

    /// How a rule misses a packet: by its priority alone, or by one field; not by more.
    pub fn misses(&self, rule: &AccessRule, packet: &Header) -> Option<Option<Field>> {
        let around = Surroundings::unknown(TTL, Tracked::New);
        let truth = self.truth(rule.row, &rule.matching, &around).0;
        if self.sets.contains(truth.maybe, packet) {
            return Some(None);
        }
        let is_it = |field: &Field| self.sets.contains(self.sets.forget(truth.maybe, *field), packet);
        Field::ALL.into_iter().find(is_it).map(Some)
    }

    /// A machine sends: to neighbours itself, elsewhere by what it knows of routes.
    fn launch(&mut self, port: PortId, flow: Flow) {
        let guest = self.guests.guest(port);
        let network = self.network;
        let Some(mac) = guest.mac else {
            let what = "its Ethernet address is not in the rows".to_owned();
            return self.end(flow, End::Unjudged { row: network.port(port).row, what });
        };
        let flow = Flow { eth_src: Some(mac), ..flow };
        let switch = network.port(port).switch;
        let near = self.sets.any(guest.networks.iter().map(|net| self.destined(net)));
        let rest = Flow { set: self.part(&flow, self.sets.not(near)), ..flow.clone() };
        let near = Flow { set: self.part(&flow, near), ..flow };
        let unknown = self.send_to_neighbours(port, switch, near);
        self.send_to_unknown(port, switch, unknown, None);
        let mut left = rest;
        for Route { to, gateways } in &guest.routes {
            let set = self.part(&left, self.destined(to));
            let flow = Flow { set, ..left.clone() };
            left.set = self.sets.minus(left.set, set);
            for gateway in gateways.iter().filter(|_| !set.is_none()) {
                let macs = self.neighbour(switch, *gateway).unwrap_or_default();
                if macs.is_empty() {
                    self.send_to_unknown(port, switch, flow.clone(), Some(*gateway));
                }
                for mac in macs {
                    let flow = self.resolved(port, flow.eth_src, *gateway, mac, flow.clone());
                    self.enter_switch(port, Flow { eth_dst: Some(mac), ..flow });
                }
            }
        }
        if !left.set.is_none() {
            self.stop(left, network.port(port).row, Why::GuestRoute);
        }
    }

    /// Which ports of a switch have an Ethernet address.
    pub(super) fn ports_with(&self, switch: SwitchId, mac: u64) -> &[PortId] {
        let macs = self.macs[switch.0].get_or_init(|| super::switch::macs(self.network, switch));
        macs.get(&mac).map_or(&[], Vec::as_slice)
    }

    /// Sends to an address that no row tells of: somebody behind a port of unknown addresses may have it.
    fn send_to_unknown(&mut self, port: PortId, switch: SwitchId, flow: Flow, next_hop: Option<IpAddr>) {
        if flow.set.is_none() {
            return;
        }
        match self.network.switch(switch).ports.iter().any(|id| self.network.port(*id).has_unknown) {
            true => self.enter_switch(port, Flow { eth_dst: None, ..flow }),
            false => self.stop(flow, self.network.switch(switch).row, Why::Neighbour(next_hop)),
        }
    }

    /// Packets for addresses of a network.
    pub(super) fn destined(&self, net: &IpNet) -> Set {
        within(self.sets, Field::IpDst, *net)
    }
}
