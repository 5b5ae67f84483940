//! Routers: what they take for themselves, routes, network ACLs on the way out, policies, and the way on.
//!
//! The longest prefix wins; of equal ones a connected network, then a route by destination, then one by source. A
//! route or policy whose next hop is on none of the router's networks is as if it were not there. What leaves a
//! subnet with a network ACL passes that first, then policies by hand, by priority.
//!
//! Refuses to choose between next hops, or policies of one priority that disagree: the packet goes all ways.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::follow::{Ended, Run};
use super::packet::{Packet, host};
use super::{Side, Spot};
use crate::model::{NextHop, PolicyAction, PolicyRoute, RouteSelector, Vpc, VpcId};
use crate::nb::matching;
use crate::reach::address::within;
use crate::reach::filter::{Surroundings, Tracked};
use crate::reach::header::{Field, ICMP, ICMP6, IPV4, IPV6};
use crate::reach::set::Set;
use crate::span::Span;

/// Where a route leads.
#[derive(Clone, Debug)]
enum Way {
    /// Out of a side, to a next hop or to the destination itself.
    Out {
        side: Side,
        next_hop: Option<IpAddr>,
    },
    Discard,
    Unsaid(String),
}

/// A route, or a network that is there without one.
pub(super) struct Route {
    length: u8,
    /// Connected above destination above source.
    rank: u8,
    matching: Set,
    prefix: IpNet,
    ways: Vec<(Way, Option<Span>)>,
    /// Whether it is left while its next hops, all of them watched, do not answer.
    may_be_down: bool,
}

/// The routes of a table, those that win first.
pub(super) type Routes = Rc<Vec<Route>>;

/// A way out of a router.
#[derive(Clone, Copy)]
pub(super) struct Exit {
    pub(super) inside: Side,
    pub(super) out: Side,
    pub(super) next_hop: Option<IpAddr>,
}

impl Run<'_, '_> {
    /// A packet comes to a router from elsewhere, which takes no IPv4 that says to come from itself.
    pub(super) fn enter_router(&mut self, side: Side, packet: Packet) {
        let net = &self.meaning.net;
        let vpc = net.vpc_of(side);
        let (sets, own) = (self.meaning.sets, self.meaning.own(vpc, Field::IpSrc));
        if self.ask.is(&packet, sets.and(own, sets.value(Field::EthType, IPV4))) {
            let what = format!(
                "the router of VPC `{}` takes nothing back that it has sent",
                net.model.vpc(vpc).name
            );
            return self.lose(packet, net.model.vpc(vpc).span, what);
        }
        self.take_in(side, packet);
    }

    /// A packet that a router looks at: from elsewhere, or its own once more.
    pub(super) fn take_in(&mut self, side: Side, mut packet: Packet) {
        if packet.visited.contains(&(side, packet.now)) || self.is_over() {
            return self.lose(packet, None, "it comes back to where it was");
        }
        packet.visited.push((side, packet.now));
        let net = &self.meaning.net;
        let vpc = net.vpc_of(side);
        if self.ask.is(&packet, self.meaning.own(vpc, Field::IpDst)) {
            if self.is_echo_request(&packet) {
                return self.end(Ended::Router(side), packet);
            }
            if !self.is_shared(vpc, &packet) {
                let what = format!("it is for the router of VPC `{}` itself", net.model.vpc(vpc).name);
                return self.lose(packet, None, what);
            }
        }
        self.come_in(side, packet);
    }

    fn is_echo_request(&self, packet: &Packet) -> bool {
        let sets = self.meaning.sets;
        let of = |family, proto, kind| {
            let values = [(Field::EthType, family), (Field::IpProto, proto), (Field::TpSrc, kind)];
            let values = values.into_iter().chain([(Field::TpDst, 0)]);
            values.fold(Set::ALL, |set, (field, value)| sets.and(set, sets.value(field, value)))
        };
        self.ask.is(packet, sets.or(of(IPV4, ICMP, 8), of(IPV6, ICMP6, 128)))
    }

    /// A packet that is not for the router itself, or comes from it.
    pub(super) fn come_in(&mut self, side: Side, packet: Packet) {
        for packet in self.translate_in(side, packet) {
            self.route(side, packet);
        }
    }

    fn route(&mut self, side: Side, packet: Packet) {
        let net = &self.meaning.net;
        let vpc = net.vpc_of(side);
        let routes = self.routes(vpc, side);
        let matchings: Vec<Set> = routes.iter().map(|route| route.matching).collect();
        // Whoever is like its receiver may be on another subnet, to which there is another route.
        let chosen = self.among(Field::IpDst, &packet);
        let is_home = |route: &Route| route.rank > 0 && net.is_apart(route.prefix, vpc, chosen);
        let mut passed = 0;
        while let Some(at) =
            self.ask.first_but(&packet, &matchings[passed..], |at| is_home(&routes[passed + at]))
        {
            let route = &routes[passed + at];
            passed += at + 1;
            for (way, span) in route.ways.iter().cloned() {
                let mut packet = packet.clone();
                match way {
                    Way::Discard => self.lose(packet, span, "a route discards it"),
                    Way::Unsaid(what) => self.end(Ended::Unsaid(what), packet),
                    Way::Out { side: out, next_hop } => {
                        if route.rank < 2 {
                            packet.because(span, format!("the route to {}", route.prefix));
                        }
                        self.police(Exit { inside: side, out, next_hop }, packet);
                    }
                }
            }
            if !route.may_be_down {
                return;
            }
        }
        let of_vpc = self.meaning.net.model.vpc(vpc);
        self.lose(packet, of_vpc.span, format!("VPC `{}` has no route there", of_vpc.name));
    }

    /// The routes of what comes in by a side, those that win first.
    fn routes(&self, vpc: VpcId, side: Side) -> Routes {
        let model = self.meaning.net.model;
        let table = match side {
            Side::Subnet(id) => model.subnet(id).route_table.as_ref(),
            Side::Peer(vpc, at) => model.vpc(vpc).peerings[at].table.as_ref(),
            Side::Gateway(_) => None,
        };
        let table = table.map(|table| table.value.as_str());
        let mut known = self.meaning.routes.borrow_mut();
        let routes = known.entry((vpc, table.map(str::to_owned))).or_insert_with(|| {
            let mut routes = self.routes_of(vpc, table);
            routes.sort_by_key(|route| std::cmp::Reverse((route.length, route.rank)));
            Rc::new(routes)
        });
        routes.clone()
    }

    fn routes_of(&self, vpc: VpcId, table: Option<&str>) -> Vec<Route> {
        let (net, sets) = (&self.meaning.net, self.meaning.sets);
        let model = net.model;
        let mut routes: Vec<Route> = net
            .sides(vpc)
            .into_iter()
            .map(|(side, _, prefix)| Route {
                length: prefix.prefix_len(),
                rank: 2,
                matching: within(sets, Field::IpDst, prefix),
                prefix,
                ways: vec![(Way::Out { side, next_hop: None }, None)],
                may_be_down: false,
            })
            .collect();
        let of_vpc = model.vpc(vpc);
        let by_hand = of_vpc.static_routes.iter().map(|route| {
            let own = route.table.as_ref().map(|table| table.value.as_str());
            let is_source = route.selector == RouteSelector::Source;
            // Before 25.03 a route by source in the main table holds in all of them.
            let is_everywhere = is_source && own.is_none() && !self.meaning.target.has_policy_chains();
            let hop = match route.next_hop.value {
                NextHop::Discard => None,
                NextHop::Address(_) | NextHop::Port(_) => net.assignment.next_hop(route).map(Some),
            };
            let is_lost = hop.is_none() && route.next_hop.value != NextHop::Discard;
            let holds = (own == table || is_everywhere) && !is_lost;
            // By source and for all packets it has no rank: OVN may as well take the drop of what has no route.
            let may_be_down = route.bfd.is_some() || is_source && route.prefix.value.prefix_len() == 0;
            (holds, is_source, route.prefix.value, (hop.flatten(), may_be_down), Some(route.span))
        });
        let added = model.default_routes(vpc).into_iter().map(|route| {
            let span = Some(net.gateway(route.gateway).span);
            (table.is_none(), false, route.prefix, (Some(route.next_hop), false), span)
        });
        for (_, is_source, prefix, hop, span) in by_hand.chain(added).filter(|(holds, ..)| *holds) {
            let (hop, may_be_down) = hop;
            let Some(way) = self.way(vpc, hop) else { continue };
            let rank = u8::from(!is_source);
            let same = |route: &&mut Route| route.rank == rank && route.prefix == prefix;
            if let Some(route) = routes.iter_mut().find(same) {
                route.ways.push((way, span));
                route.may_be_down &= may_be_down;
                continue;
            }
            let field = if is_source { Field::IpSrc } else { Field::IpDst };
            let matching = within(sets, field, prefix);
            routes.push(Route {
                length: prefix.prefix_len(),
                rank,
                matching,
                prefix,
                ways: vec![(way, span)],
                may_be_down,
            });
        }
        for route in &mut routes {
            let n_discards = route.ways.iter().filter(|(way, _)| matches!(way, Way::Discard)).count();
            if n_discards > 0 && route.ways.len() > 1 {
                let what = format!("{} is both dropped and routed", route.prefix);
                route.ways = vec![(Way::Unsaid(what), None)];
            }
        }
        routes
    }

    /// Where a next hop leads; without one, nowhere. `None` if it is on none of the router's networks.
    fn way(&self, vpc: VpcId, next_hop: Option<IpAddr>) -> Option<Way> {
        let Some(hop) = next_hop else { return Some(Way::Discard) };
        let sides = self.sides_towards(vpc, hop);
        match sides.as_slice() {
            [] => None,
            [side] => Some(Way::Out { side: *side, next_hop }),
            [_, ..] => Some(Way::Unsaid(format!("several networks of the router have {hop}"))),
        }
    }

    fn sides_towards(&self, vpc: VpcId, hop: IpAddr) -> Vec<Side> {
        let sides = self.meaning.net.sides(vpc);
        let towards: BTreeSet<Side> =
            sides.into_iter().filter(|(_, _, net)| net.contains(&hop)).map(|(side, ..)| side).collect();
        towards.into_iter().collect()
    }

    /// The subnet's network ACL, then policies by hand.
    fn police(&mut self, exit: Exit, mut packet: Packet) {
        if let Side::Subnet(id) = exit.inside
            && let Some(decision) = self.meaning.leaving(id)
        {
            let header = packet.now.apply(&self.ask.sent);
            let line = decision.lines.iter().find(|(set, ..)| self.meaning.sets.contains(*set, &header));
            if let Some((_, span, what)) = line {
                packet.because(*span, what.clone());
            }
            let is = |set: Option<Set>| set.is_some_and(|set| self.ask.is(&packet, set));
            let (passes, dropped) = (is(decision.passes), is(decision.dropped));
            if dropped {
                self.end(Ended::Lost, packet.clone());
            }
            if !passes {
                return;
            }
        }
        self.policies(exit, packet);
    }

    fn policies(&mut self, exit: Exit, packet: Packet) {
        let net = &self.meaning.net;
        let vpc = net.vpc_of(exit.inside);
        let of_vpc: &Vpc = net.model.vpc(vpc);
        let mut policies: Vec<&PolicyRoute> = of_vpc.policy_routes.iter().collect();
        policies.sort_by_key(|policy| std::cmp::Reverse(policy.priority.value));
        let (inport, outport) = (net.side_name(exit.inside), net.side_name(exit.out));
        let ttl = crate::reach::walk::TTL - 1;
        let around =
            Surroundings { inport: &inport, outport: &outport, ..Surroundings::unknown(ttl, Tracked::Not) };
        for equals in policies.chunk_by(|a, b| a.priority.value == b.priority.value) {
            let mut done: Vec<(PolicyAction, BTreeSet<IpAddr>)> = Vec::new();
            for policy in equals {
                let parsed = matching::parse(&policy.matching.value, self.meaning.reader.symbols);
                let Some(expr) = parsed.expr else { continue };
                let hops: BTreeSet<IpAddr> = policy.next_hops.iter().map(|hop| hop.value).collect();
                let effect = (policy.action.value, hops);
                if !self.has_effect(vpc, policy) || done.contains(&effect) {
                    continue;
                }
                let (truth, asked) = self.meaning.reader.read(&expr, &around);
                if self.ask.is(&packet, self.meaning.sets.minus(truth.maybe, truth.yes)) {
                    let what = format!("a policy by hand asks for {}", asked.join(", "));
                    self.end(Ended::Unsaid(what), packet.clone());
                    done.push(effect);
                } else if self.ask.is(&packet, truth.yes) {
                    self.obey(exit, policy, packet.clone());
                    done.push(effect);
                }
            }
            if !done.is_empty() {
                return;
            }
        }
        self.leave(exit, packet);
    }

    /// A reroute to nowhere is as if it were not there.
    fn has_effect(&self, vpc: VpcId, policy: &PolicyRoute) -> bool {
        let leads = |hop: IpAddr| !self.sides_towards(vpc, hop).is_empty();
        match policy.action.value {
            PolicyAction::Allow | PolicyAction::Drop => true,
            PolicyAction::Reroute => policy.next_hops.iter().any(|hop| leads(hop.value)),
        }
    }

    fn obey(&mut self, exit: Exit, policy: &PolicyRoute, mut packet: Packet) {
        let span = Some(policy.span);
        match policy.action.value {
            PolicyAction::Allow => {
                packet.because(span, "a policy lets it pass");
                self.leave(exit, packet);
            }
            PolicyAction::Drop => self.lose(packet, span, "a policy drops it"),
            PolicyAction::Reroute if policy.bfd.is_some() => {
                let what = "whether a policy's next hops answer is not in the model".to_owned();
                self.end(Ended::Unsaid(what), packet);
            }
            PolicyAction::Reroute => {
                let vpc = self.meaning.net.vpc_of(exit.inside);
                packet.because(span, "a policy sends it elsewhere");
                for hop in policy.next_hops.iter().map(|hop| hop.value) {
                    match self.sides_towards(vpc, hop).as_slice() {
                        [] => {}
                        [out] => {
                            let exit = Exit { out: *out, next_hop: Some(hop), ..exit };
                            self.leave(exit, packet.clone());
                        }
                        [_, ..] => {
                            let what = format!("several networks of the router have {hop}");
                            self.end(Ended::Unsaid(what), packet.clone());
                        }
                    }
                }
            }
        }
    }

    /// Out of the router: to a neighbour, or to a peer.
    pub(super) fn deliver(&mut self, exit: Exit, packet: Packet) {
        let net = &self.meaning.net;
        match (exit.out, net.segment_of(exit.out)) {
            (side, Some(segment)) => self.find(segment, Spot::Router(side), exit.next_hop, packet),
            (Side::Peer(vpc, at), None) => {
                let span = Some(net.model.vpc(vpc).peerings[at].span);
                let Some(far) = net.peer(vpc, at) else {
                    return self.lose(packet, span, "the other side of the peering is not there");
                };
                let sides = net.sides(net.vpc_of(far));
                let own = sides.iter().filter(|(side, ..)| *side == far).map(|(_, own, _)| *own);
                let is_it = match exit.next_hop {
                    Some(hop) => own.into_iter().any(|own| own == hop),
                    None => own.into_iter().any(|own| self.ask.goes_to(&packet, host(own))),
                };
                match is_it {
                    true => self.enter_router(far, packet),
                    false => self.lose(packet, span, "nobody at the other end has the next hop"),
                }
            }
            (Side::Subnet(_) | Side::Gateway(_), None) => {
                self.lose(packet, None, "the router has no network there");
            }
        }
    }
}
