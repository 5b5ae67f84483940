//! A router's routing tables, in the order in which a packet asks them: the longest prefix first.
//!
//! Refuses to follow packets.

use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::address::within;
use super::halves::Halves;
use super::header::Field;
use super::network::{Network, RouterId, RouterPortId, RowId};
use super::router::{ports_towards, scoped};
use super::set::{Set, Sets};
use super::walk::Walker;
use crate::nb::LogicalRouterStaticRoute;

/// Routes that are asked as one: a prefix of a table, with its next hops.
#[derive(Clone, Debug)]
pub(super) struct RouteGroup {
    /// The prefix length, then what beats what at equal length.
    pub(super) priority: (u8, Rank),
    /// The packets that it is about.
    pub(super) matching: Set,
    /// The table that it is in; `None` for all of them.
    pub(super) table: Option<String>,
    /// The only port that it is for packets from.
    pub(super) inport: Option<RouterPortId>,
    /// The prefix.
    pub(super) net: IpNet,
    /// Where it leads.
    pub(super) ways: Vec<Way>,
    /// Whether packets may pass it by: all of its next hops are watched over (BFD), or it has no rank.
    pub(super) may_be_down: bool,
    /// The ports by which answers go back to whom they came in from, whatever the route (`ecmp_symmetric_reply`).
    pub(super) symmetric: Vec<RouterPortId>,
}

/// What beats what among prefixes of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Source,
    Destination,
    Connected,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The row that says so.
    pub(super) row: RowId,
    /// What it does.
    pub(super) to: To,
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// Sends to a next hop, or to the destination itself.
    Port { out: RouterPortId, next_hop: Option<IpAddr> },
    /// Drops.
    Discard,
    /// Something that is not followed.
    Unjudged(String),
}

/// Those of all tables of a router.
#[derive(Debug)]
pub(super) struct Routes {
    groups: Vec<RouteGroup>,
    /// Of each priority, how many there are, and their packets.
    by_priority: Vec<(usize, Halves)>,
}

impl Routes {
    fn new(sets: &Sets, mut groups: Vec<RouteGroup>) -> Routes {
        groups.sort_by_key(|group| std::cmp::Reverse(group.priority));
        let equals = groups.chunk_by(|a, b| a.priority == b.priority);
        let halves = |equals: &[RouteGroup]| {
            let matching: Vec<Set> = equals.iter().map(|group| group.matching).collect();
            (equals.len(), Halves::new(sets, &matching))
        };
        let by_priority = equals.map(halves).collect();
        Routes { groups, by_priority }
    }

    /// All of them.
    pub(super) fn groups(&self) -> &[RouteGroup] {
        &self.groups
    }

    /// Those that neither beats the other, the highest priority first; and where their packets are looked for.
    pub(super) fn by_priority(&self) -> impl Iterator<Item = (&[RouteGroup], &Halves)> {
        let mut left = self.groups.as_slice();
        self.by_priority.iter().map(move |(n, halves)| {
            let (equals, rest) = left.split_at(*n);
            left = rest;
            (equals, halves)
        })
    }
}

impl Walker<'_> {
    /// The routes of a router.
    pub(super) fn routes_of(&mut self, router: RouterId) -> Rc<Routes> {
        if let Some(known) = &self.routes[router.0] {
            return known.clone();
        }
        let mut groups = self.connected(router);
        groups.extend(self.static_routes(router));
        let routes = Rc::new(Routes::new(self.sets, groups));
        self.routes[router.0] = Some(routes.clone());
        routes
    }

    fn connected(&self, router: RouterId) -> Vec<RouteGroup> {
        let network = self.network;
        let mut groups = Vec::new();
        for id in &network.router(router).ports {
            let port = network.router_port(*id);
            let way = Way { row: port.row, to: To::Port { out: *id, next_hop: None } };
            let mut add = |net: IpNet, inport| {
                groups.push(RouteGroup {
                    priority: (net.prefix_len(), Rank::Connected),
                    matching: within(self.sets, Field::IpDst, net),
                    table: None,
                    inport,
                    ways: vec![way.clone()],
                    may_be_down: false,
                    symmetric: Vec::new(),
                    net,
                });
            };
            port.networks.iter().for_each(|net| add(*net, None));
            if port.networks.iter().any(|net| net.addr().is_ipv6()) {
                add("fe80::/64".parse().expect("a network"), Some(*id));
            }
        }
        groups
    }

    fn static_routes(&self, router: RouterId) -> Vec<RouteGroup> {
        let network = self.network;
        let mut groups: Vec<(IpNet, RouteGroup)> = Vec::new();
        for (row, route) in &network.router(router).routes {
            let Some(net) = super::network::parse_net(&route.ip_prefix).map(|net| net.trunc()) else {
                continue;
            };
            let is_source = route.policy.as_deref() == Some("src-ip");
            let (rank, field) =
                if is_source { (Rank::Source, Field::IpSrc) } else { (Rank::Destination, Field::IpDst) };
            // Before 25.03 a route by source in the main table holds in all of them.
            let is_everywhere = is_source && route.route_table.is_empty() && network.target < scoped();
            let table = (!is_everywhere).then(|| route.route_table.clone());
            let is_symmetric = route.options.get("ecmp_symmetric_reply").is_some_and(|value| value == "true");
            let is_symmetric = is_symmetric && network.router(router).is_gateway;
            let ways = match is_symmetric && is_source {
                true => {
                    let what = "answers to a route by source that go back as they came are not followed";
                    vec![Way { row: *row, to: To::Unjudged(what.to_owned()) }]
                }
                false => ways(network, router, *row, route, net),
            };
            let symmetric: Vec<RouterPortId> =
                ways.iter().filter(|_| is_symmetric).filter_map(|way| way.to.port()).collect();
            // Whether a session is up is not in the rows. And OVN ranks a route by source for all packets as it does
            // the drop of what has no route.
            let may_be_down = route.bfd.is_some() || is_source && net.prefix_len() == 0;
            let priority = (net.prefix_len(), rank);
            let same = groups
                .iter_mut()
                .find(|(known, group)| *known == net && group.priority == priority && group.table == table);
            match same {
                Some((_, group)) => {
                    group.may_be_down &= may_be_down || ways.is_empty();
                    group.ways.extend(ways);
                    group.symmetric.extend(symmetric);
                }
                None if ways.is_empty() => {}
                None => {
                    let matching = within(self.sets, field, net);
                    let inport = None;
                    let group =
                        RouteGroup { priority, matching, table, inport, net, ways, may_be_down, symmetric };
                    groups.push((net, group));
                }
            }
        }
        for (_, group) in &mut groups {
            // Before 25.03 a single next hop is no choice to come back to.
            if group.ways.len() < 2 && network.target < scoped() {
                group.symmetric.clear();
            }
            let n_discards = group.ways.iter().filter(|way| way.to == To::Discard).count();
            if n_discards > 0 && group.ways.len() > 1 {
                let what = "`discard` shares its prefix with other routes".to_owned();
                group.ways = vec![Way { row: group.ways[0].row, to: To::Unjudged(what) }];
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

/// Where a static route leads; empty when OVN passes over it.
fn ways(
    network: &Network,
    router: RouterId,
    row: RowId,
    route: &LogicalRouterStaticRoute,
    net: IpNet,
) -> Vec<Way> {
    let way = |to| vec![Way { row, to }];
    if route.nexthop == "discard" {
        return way(To::Discard);
    }
    let own = &network.router(router).ports;
    let next_hop = route.nexthop.parse::<IpAddr>().ok();
    if next_hop.is_some_and(|hop| hop.is_ipv6() != net.addr().is_ipv6()) {
        let what = "its next hop is of another family than its prefix".to_owned();
        return if network.target < scoped() { Vec::new() } else { way(To::Unjudged(what)) };
    }
    let named = route.output_port.as_ref().filter(|name| !name.is_empty());
    if let Some(name) = named {
        return match own.iter().find(|id| network.router_port(**id).name == *name) {
            Some(out) if next_hop.is_some() || route.nexthop.is_empty() => {
                way(To::Port { out: *out, next_hop })
            }
            Some(_) => Vec::new(),
            None => way(To::Unjudged(format!("its output port `{name}` is not one of the router"))),
        };
    }
    let Some(next_hop) = next_hop else { return Vec::new() };
    match ports_towards(network, own, next_hop).as_slice() {
        [] => Vec::new(),
        [out] => way(To::Port { out: *out, next_hop: Some(next_hop) }),
        _ => way(To::Unjudged(format!("several ports of the router lead to {next_hop}"))),
    }
}
