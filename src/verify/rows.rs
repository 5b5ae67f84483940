//! What rows do with packets, in the words of the model: who is who is known by names alone.
//!
//! Refuses to judge by itself; [`crate::reach`] does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::check::Checked;
use crate::meaning::{Fate, Place, Sender, Side, Spot};
use crate::model::{PortId, SubnetId, VpcId};
use crate::names;
use crate::reach::alike::{Alike, Questions};
use crate::reach::guest::{ByHand, Guests};
use crate::reach::judge::{self, Judge, Party, Verdict};
use crate::reach::network::{self, Network, RouterPortId, RowId, SwitchId};
use crate::reach::set::{Set, Sets};
use crate::reach::walk::{End, Flow, Kind, Outcome, Step};

use super::{RowSaid, universe};

/// What becomes of some packets by the rows.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) set: Set,
    pub(super) fate: Fate,
    /// The rows that had a say, in order.
    pub(super) rows: Vec<RowId>,
}

/// Rows, asked in the words of a model.
pub(super) struct RowsMeaning<'n> {
    judge: Judge<'n>,
    goes_on: &'n dyn Fn() -> bool,
    known: &'n Known<'n>,
}

/// What is known of rows without a packet; threads may share it.
pub(super) struct Known<'n> {
    network: &'n Network,
    by_hand: ByHand,
    told: Guests<'n>,
    alike: Alike,
    ports: HashMap<String, network::PortId>,
    guests: HashMap<String, PortId>,
    wires: HashMap<String, SubnetId>,
    vpcs: HashMap<String, VpcId>,
    /// First and last addresses of blocks that somebody has.
    edges: HashSet<IpAddr>,
}

impl<'n> Known<'n> {
    pub(super) fn new(checked: &Checked<'_>, network: &'n Network) -> Known<'n> {
        let model = checked.model();
        let ports = network.ports.iter().enumerate();
        let ports: HashMap<String, network::PortId> =
            ports.map(|(at, port)| (port.name.clone(), network::PortId(at))).collect();
        let guests: HashMap<String, PortId> =
            model.ports().map(|(id, port)| (port.name.clone(), id)).collect();
        let bridged = model.subnets().filter(|(_, subnet)| subnet.underlay.is_some());
        let wires = bridged.map(|(id, subnet)| (names::localnet(subnet), id)).collect();
        let vpcs = model.vpcs().map(|(id, vpc)| (names::router(vpc), id)).collect();
        // A machine that is told nothing has its gateway by hand, where there is one.
        let is_routed = |id: PortId| model.subnet(model.port(id).subnet).routed;
        let each = guests.iter().filter_map(|(name, id)| Some((*ports.get(name)?, is_routed(*id))));
        let each: BTreeMap<network::PortId, bool> = each.collect();
        let by_hand = ByHand { all: false, each };
        let alike = Alike::new(&Judge::new(network, &Sets::default(), by_hand.clone()));
        let told = Guests::new(network, ByHand::default());
        let edges: HashSet<IpAddr> = universe::edges(model).collect();
        let given = network.given().filter(|address| edges.contains(address)).collect();
        Known { network, by_hand, told, alike, ports, guests, wires, vpcs, edges: given }
    }

    /// Whether somebody has an address that is the first or the last of a block.
    pub(super) fn gives(&self, edge: IpAddr) -> bool {
        self.edges.contains(&edge)
    }

    /// The routes that a machine is told; `None` where it is not in the rows.
    pub(super) fn told(&self, name: &str) -> Option<Vec<(IpNet, Vec<IpAddr>)>> {
        Some(self.told.told(*self.ports.get(name)?))
    }

    /// What a machine is like; `None` where it is unlike all others, or not in the rows with these addresses and no
    /// others.
    pub(super) fn class(&self, name: &str, addresses: &[IpAddr]) -> Option<usize> {
        let port = *self.ports.get(name)?;
        let own = self.told.addresses(port);
        let is_same = own.len() == addresses.len() && own.iter().all(|it| addresses.contains(it));
        is_same.then(|| self.alike.class(port)).flatten()
    }

    /// How many machines are on a switch, if nothing tells apart addresses there that nobody has.
    pub(super) fn n_machines(&self, switch: SwitchId) -> Option<usize> {
        self.alike.n_machines(switch)
    }

    /// The switch that a machine is on, and the part of the network; `None` where it is not in the rows.
    pub(super) fn place(&self, name: &str) -> Option<(SwitchId, usize)> {
        let switch = self.network.port(*self.ports.get(name)?).switch;
        Some((switch, self.alike.part(switch)))
    }

    /// The part of the network that a router is in, by one of its sides on a segment; `None` where it is not in the rows.
    pub(super) fn part_of_router(&self, checked: &Checked<'_>, side: Side) -> Option<usize> {
        let port = self.router_port(checked, side)?;
        Some(self.alike.part_of_router(self.network.router_port(port).router))
    }

    /// A router's side in a subnet or on an external network; `None` where it is not in the rows.
    fn router_port(&self, checked: &Checked<'_>, side: Side) -> Option<RouterPortId> {
        let model = checked.model();
        let (vpc, subnet) = match side {
            Side::Subnet(id) => (model.subnet(id).vpc, id),
            Side::Gateway(id) => (model.gateway(id).vpc, model.gateway(id).external),
            Side::Peer(..) => return None,
        };
        let name = names::router_port(model.vpc(vpc), model.subnet(subnet));
        self.network.router_ports.iter().position(|port| port.name == name).map(RouterPortId)
    }
}

impl<'n> RowsMeaning<'n> {
    /// The meaning of rows, in sets that live there, as long as `goes_on` says so.
    pub(super) fn new(
        known: &'n Known<'n>,
        sets: &'n Sets,
        goes_on: &'n dyn Fn() -> bool,
    ) -> RowsMeaning<'n> {
        let mut judge = Judge::new(known.network, sets, known.by_hand.clone());
        known.alike.watch(&mut judge);
        judge.walker.goes_on = Some(goes_on);
        RowsMeaning { judge, goes_on, known }
    }

    pub(super) fn sets(&self) -> &'n Sets {
        self.judge.sets
    }

    /// What packets have been asked since this was last called.
    pub(super) fn take_asked(&self) -> Questions {
        self.known.alike.take_asked(&self.judge)
    }

    fn sender(&self, checked: &Checked<'_>, from: Spot) -> Option<network::PortId> {
        let model = checked.model();
        match from {
            Spot::Port(id) => self.known.ports.get(&model.port(id).name).copied(),
            Spot::Wire(id) => self.known.ports.get(&names::localnet(model.subnet(id))).copied(),
            Spot::Router(_) => None,
        }
    }

    /// What becomes of packets; answers are asked for of those in `asking`. `None` where it was time to
    /// stop.
    pub(super) fn courses(
        &mut self,
        checked: &Checked<'_>,
        Sender { from, via }: Sender,
        set: Set,
        asking: Set,
    ) -> Option<Vec<Course>> {
        let Some(port) = self.sender(checked, from) else {
            return Some(vec![Course { set, fate: Fate::Lost, rows: Vec::new() }]);
        };
        let flow = Flow::new(set);
        let (requests, place) = match from {
            Spot::Port(_) => {
                (self.judge.walker.from_guest(port, flow, Kind::First), judge::Place::Guest(port))
            }
            Spot::Wire(_) | Spot::Router(_) => {
                let requests = match via {
                    None => self.judge.walker.from_outside(port, flow, Kind::First),
                    Some(side) => {
                        let by = self.known.router_port(checked, side).into_iter().collect();
                        self.judge.walker.from_outside_by(port, flow, Kind::First, &by)
                    }
                };
                (requests, judge::Place::Outside)
            }
        };
        let sender = party(place);
        let mut courses = Vec::new();
        for request in requests {
            if !(self.goes_on)() {
                return None;
            }
            self.course(&sender, request, asking, &mut courses);
        }
        (self.goes_on)().then_some(courses)
    }

    fn course(&mut self, from: &Party, request: Outcome, asking: Set, courses: &mut Vec<Course>) {
        let sets = self.judge.sets;
        let mut add = |set: Set, fate, rows| {
            if !set.is_none() {
                courses.push(Course { set, fate, rows });
            }
        };
        let network = self.judge.network;
        let (place, to) = match &request.end {
            End::Port(id) => {
                let name = &network.port(*id).name;
                let place = self.known.guests.get(name).map(|id| Place::Port(*id));
                (place.unwrap_or_else(|| Place::Stranger(name.clone())), judge::Place::Guest(*id))
            }
            End::Outside(id) => {
                let name = &network.port(*id).name;
                let place = self.known.wires.get(name).map(|id| Place::Wire(*id));
                (place.unwrap_or_else(|| Place::Stranger(name.clone())), judge::Place::Outside)
            }
            End::Router(id) => {
                let name = &network.router(network.router_port(*id).router).name;
                let place = self.known.vpcs.get(name).map(|id| Place::Vpc(*id));
                (place.unwrap_or_else(|| Place::Stranger(name.clone())), judge::Place::Router)
            }
            End::Nowhere => {
                let is_told = request.flow.obstacles.last().is_some_and(|it| it.why.is_told());
                let fate = if is_told { Fate::Refused } else { Fate::Lost };
                return add(request.flow.set, fate, rows_of(network, &request));
            }
            End::Unjudged { row, what } => {
                return add(request.flow.set, unsaid(network, *row, what), vec![*row]);
            }
        };
        let written = request.flow.rewrite;
        let fate = |answered| Fate::Arrives { place: place.clone(), written, answered };
        add(sets.minus(request.flow.set, asking), fate(None), rows_of(network, &request));
        let set = sets.and(request.flow.set, asking);
        if set.is_none() {
            return;
        }
        let asked = Outcome { flow: Flow { set, ..request.flow.clone() }, end: request.end.clone() };
        let rows = rows_of(network, &request);
        for (set, verdict, answer) in self.judge.answered(from, &party(to), asked) {
            let back = answer.iter().flat_map(|answer| rows_of(network, answer));
            let all: Vec<RowId> = rows.iter().copied().chain(back).collect();
            let fate = match verdict {
                Verdict::Reachable => fate(Some(true)),
                Verdict::OneWay | Verdict::Blocked | Verdict::NoRoute | Verdict::Ambiguous => {
                    fate(Some(false))
                }
                Verdict::Undetermined => match answer.as_ref().map(|answer| &answer.end) {
                    Some(End::Unjudged { row, what }) => unsaid(network, *row, what),
                    // It comes back to somebody else, who has not asked.
                    Some(_) | None => fate(Some(false)),
                },
            };
            add(set, fate, all);
        }
    }

    /// What people are told of a row.
    pub(super) fn said(&self, row: RowId) -> RowSaid {
        let info = self.judge.network.row(row);
        let gist = if info.gist.is_empty() { String::new() } else { format!(" ({})", info.gist) };
        RowSaid { row: format!("{} {}{gist}", info.table.name(), info.name), origin: info.origin }
    }
}

/// What can't be said, of which kind of row.
fn unsaid(network: &Network, row: RowId, what: &str) -> Fate {
    Fate::Unsaid(format!("{}: {what}", network.row(row).table.name()))
}

/// Somebody who is asked about with any address.
fn party(place: judge::Place) -> Party {
    Party { place, sources: Set::ALL, destinations: Set::ALL, public: Set::ALL }
}

/// The rows that decided on a way.
fn rows_of(network: &Network, outcome: &Outcome) -> Vec<RowId> {
    let steps = outcome.flow.path.steps();
    let row = |step: &Step| match step {
        Step::Policy(row) | Step::Via { row, .. } | Step::Translated { row, .. } => Some(*row),
        Step::Stop(obstacle) => Some(obstacle.row),
        Step::Rule(id) => Some(network.acls[id.0].row),
        Step::In(_) | Step::Out(_) | Step::Connection(_) | Step::Router(_) => None,
    };
    steps.iter().filter_map(row).collect()
}
