//! Answers that go back as their connection came: by the port and to the Ethernet address that it came from, past routes
//! and policies (`ecmp_symmetric_reply` of static routes, ovn-northd(8)).
//!
//! Only a router on one chassis does so, for what came in by a port that such a route leads to, from a source that the
//! route is for; before 25.03 of TCP, UDP and SCTP alone, and where the route has several next hops.
//!
//! Refuses to follow answers that the router has translated too.

use std::rc::Rc;

use super::address::within;
use super::header::{Field, Rewrite, SCTP, TCP, UDP};
use super::network::{RouterId, RouterPort, RouterPortId, RowId};
use super::router::{Via, scoped};
use super::routes::To;
use super::set::Set;
use super::walk::{End, Flow, Kind, Walker};

/// From whom a connection came in that a route answers to the same (`ecmp_symmetric_reply`).
#[derive(Clone, Debug)]
pub struct WayBack {
    router: RouterId,
    row: RowId,
    port: RouterPortId,
    mac: Option<u64>,
    /// The packets, as they were sent.
    set: Set,
    /// What had become of them.
    before: Rewrite,
    /// The route's table, and what it is for.
    table: Option<String>,
    to: Set,
}

impl To {
    /// The port that it leaves by.
    pub(super) fn port(&self) -> Option<RouterPortId> {
        match self {
            To::Port { out, .. } => Some(*out),
            To::Discard | To::Unjudged(_) => None,
        }
    }
}

impl Walker<'_> {
    /// Remembers from whom connections came in that are answered to the same.
    pub(super) fn note_way_back(&mut self, inport: RouterPortId, flow: &mut Flow) {
        let router = self.network.router_port(inport).router;
        if self.kind != Kind::First || !self.network.router(router).is_gateway {
            return;
        }
        for group in self.routes_of(router).groups().iter().filter(|group| group.symmetric.contains(&inport))
        {
            let mut from = within(self.sets, Field::IpSrc, group.net);
            if self.network.target < scoped() {
                let of = |proto| self.sets.value(Field::IpProto, proto);
                from = self.sets.and(from, self.sets.any([TCP, UDP, SCTP].map(of)));
            }
            let set = self.part(flow, from);
            if !set.is_none() {
                let (row, table, to) = (group.ways[0].row, group.table.clone(), group.matching);
                let (mac, before) = (flow.eth_src, flow.rewrite);
                let back = WayBack { router, row, port: inport, mac, set, before, table, to };
                Rc::make_mut(&mut flow.ways_back).push(back);
            }
        }
    }

    /// Sends answers back to whom the router has their connection from, past routes and policies; the rest stays.
    pub(super) fn go_back(&mut self, inport: RouterPortId, mut flow: Flow) -> Flow {
        if self.kind != Kind::Answer || flow.ways_back.is_empty() {
            return flow;
        }
        let RouterPort { router: id, route_table, .. } = self.network.router_port(inport);
        let (id, known) = (*id, flow.ways_back.clone());
        let known = known.iter().filter(|back| back.router == id);
        for back in known.filter(|back| back.table.as_ref().is_none_or(|own| own == route_table)) {
            let set = self.sets.and(self.part(&flow, back.to), back.set);
            let is_translated = flow.memories.iter().any(|it| it.is_translation_of(id));
            let set = match is_translated {
                true => set,
                false => self.sets.and(set, self.same(&back.before.reply(flow.echo), &flow.rewrite)),
            };
            let mut own = Flow { set, ..flow.clone() };
            flow.set = self.sets.minus(flow.set, set);
            if is_translated {
                let what =
                    "whether what its router translates goes back as it came is not followed".to_owned();
                self.end(own, End::Unjudged { row: back.row, what });
            } else if !set.is_none() {
                own.ttl -= 1;
                let back_to = Some(back.mac);
                self.send(Via { row: back.row, inport, out: back.port, next_hop: None, back_to }, own);
            }
        }
        flow
    }
}
