//! Static routes and policies: does each next hop exist, and does each rule have an effect?
//!
//! | rule | code |
//! |---|---|
//! | prefix and next hop are of one family | N0422 |
//! | a next hop is on a network of the router, and not the router itself | N0420, N0421 |
//! | a route stands there once; several next hops of a prefix are mentioned | N0423, N0424 |
//! | what is dropped is not routed as well (OVN 25.03.0 crashes on it) | N0450 |
//! | a machine that is a next hop may send for others | N0451 |
//! | a route is not one that a connected network always beats | N0426 |
//! | a subnet's route table has routes, and routes in a table are used | N0427 |
//! | a policy's priority is OVN's, above its own catch-all | N0429 |
//! | reroutes have next hops, others have none; a route takes what they reroute | N0431, N0432, N0434 |
//! | policies of one priority agree, or look at different packets | N0430 |
//! | a policy's match is one that OVN takes | N05… |

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Ctx;
use super::matching::{self, Place};
use crate::diag::{Code, Diagnostic};
use crate::model::{NextHop, PolicyAction, PolicyRoute, Port, RouteSelector, StaticRoute, Vpc, VpcId};
use crate::nb::matching::Expr;
use crate::span::{Span, Spanned};

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let guarded = guarded(ctx);
    for (id, vpc) in ctx.model.vpcs() {
        let networks = Networks::of(ctx, id, vpc);
        routes(ctx, id, &networks, &guarded);
        tables(ctx, id, vpc);
        policies(ctx, (id, vpc), &networks);
    }
}

/// The networks that a router is attached to, and its own address in each.
struct Networks {
    connected: Vec<(IpNet, IpAddr, Span)>,
    /// Links that are wrong themselves, or that only the other side declares: what lies in them is not judged.
    doubtful: Vec<IpNet>,
    /// Whether all of them are known.
    whole: bool,
}

impl Networks {
    fn of(ctx: &Ctx<'_>, id: VpcId, vpc: &Vpc) -> Networks {
        let subnets = ctx.by_vpc[id.0].iter().map(|id| ctx.model.subnet(*id)).filter(|s| s.routed);
        let subnets = subnets.flat_map(|s| s.blocks.iter());
        let subnets = subnets.map(|b| (b.cidr.value, b.gateway.value, b.cidr.span));
        let links = vpc.peerings.iter().flat_map(|p| &p.addresses);
        let links = links.map(|a| (a.value.trunc(), a.value.addr(), a.span));
        let model = ctx.model;
        let gateways = model.gateways_of(id).flat_map(|(id, gateway)| {
            let own = ctx.assignment.gateway(id).addresses.iter();
            let block = |own: &IpAddr| model.subnet(gateway.external).block_for(*own).map(|b| b.cidr.value);
            own.filter_map(move |own| Some((block(own)?, *own, gateway.span)))
        });
        let connected: Vec<_> = subnets.chain(links).chain(gateways).collect();
        let others = vpc.peerings.iter().filter_map(|p| Some(model.vpc(p.remote_id?)));
        let callers = ctx.callers[id.0].iter().map(|caller| model.vpc(*caller));
        let far = others.chain(callers).flat_map(|other| {
            let back = other.peerings.iter().filter(move |p| p.remote_id == Some(id));
            back.flat_map(|p| p.addresses.iter().map(|a| a.value))
        });
        let is_wrong = |far: &IpNet| {
            let same_end = connected.iter().any(|(_, own, _)| *own == far.addr());
            same_end || !connected.iter().any(|(net, _, _)| *net == far.trunc())
        };
        let doubtful = far.filter(is_wrong).map(|net| net.trunc()).collect();
        let with_room = |link: &Spanned<IpNet>| link.value.prefix_len() < link.value.max_prefix_len();
        let whole = model.whole
            && vpc.whole_links
            && vpc.whole_exits
            && vpc.peerings.iter().flat_map(|p| &p.addresses).all(with_room)
            && ctx.by_vpc[id.0].iter().map(|id| model.subnet(*id)).all(|s| s.whole || !s.blocks.is_empty());
        Networks { connected, doubtful, whole }
    }

    fn check_hop(&self, ctx: &mut Ctx<'_>, vpc: &Vpc, hop: &Spanned<IpAddr>) {
        if self.doubtful.iter().any(|net| net.contains(&hop.value)) {
            return;
        }
        if let Some((_, _, span)) = self.connected.iter().find(|(_, own, _)| *own == hop.value) {
            let message = format!("next hop {hop} is an address of VPC `{}`'s own router", vpc.name);
            ctx.report(
                Diagnostic::new(Code::NextHopOwn, hop.span, message)
                    .label(*span, "its address here")
                    .help("name the address of the router at the other end"),
            );
        } else if self.whole && !self.connected.iter().any(|(net, _, _)| net.contains(&hop.value)) {
            let message = format!("next hop {hop} is on no network of VPC `{}`", vpc.name);
            let nets: Vec<String> =
                self.connected.iter().take(8).map(|(net, _, _)| net.to_string()).collect();
            let diagnostic = Diagnostic::new(Code::NextHopUnreachable, hop.span, message);
            ctx.report(if nets.is_empty() {
                diagnostic.note("the VPC has no network at all")
            } else {
                diagnostic.help(format!("its router is attached to {}", nets.join(", ")))
            });
        }
    }
}

/// What makes two routes compete: table, selector, prefix.
type Slot<'v> = (&'v str, RouteSelector, IpNet);

fn slot(route: &StaticRoute) -> Slot<'_> {
    let table = route.table.as_ref().map_or("", |t| t.value.as_str());
    (table, route.selector, route.prefix.value)
}

/// Routes that compete, each with its next hop; `None` for a black hole.
type Rivals<'v> = BTreeMap<Slot<'v>, Vec<(&'v StaticRoute, Option<IpAddr>)>>;

/// Ports with port security by VPC and address.
type Guarded<'m> = BTreeMap<(VpcId, IpAddr), &'m Port>;

fn guarded<'m>(ctx: &Ctx<'m>) -> Guarded<'m> {
    let (model, assignment) = (ctx.model, ctx.assignment);
    let ports = model.ports().filter(|(_, port)| port.port_security);
    let with_addresses = ports.flat_map(|(id, port)| {
        let vpc = model.subnet(port.subnet).vpc;
        assignment.port(id).addresses.iter().map(move |address| ((vpc, *address), port))
    });
    with_addresses.collect()
}

fn routes(ctx: &mut Ctx<'_>, id: VpcId, networks: &Networks, guarded: &Guarded<'_>) {
    let vpc = ctx.model.vpc(id);
    let mut slots = Rivals::new();
    for route in &vpc.static_routes {
        let hop = ctx.assignment.next_hop(route);
        if !of_one_family(ctx, route, hop) {
            continue;
        }
        if let Some(hop) = hop {
            networks.check_hop(ctx, vpc, &Spanned::new(hop, route.next_hop.span));
            if let Some(port) = guarded.get(&(id, hop)) {
                guard(ctx, route, port);
            }
        }
        never_used(ctx, route, networks);
        let others = slots.entry(slot(route)).or_default();
        match others.iter().find(|(_, other)| *other == hop) {
            Some((first, _)) => {
                let message = format!("{} has this route twice", vpc.called());
                ctx.report(
                    Diagnostic::new(Code::RouteTwice, route.span, message).label(first.span, "first here"),
                );
            }
            None => others.push((route, hop)),
        }
    }
    for routes in slots.values() {
        let [(first, _), .., (last, _)] = routes.as_slice() else { continue };
        let hole = routes.iter().find(|(_, hop)| hop.is_none());
        if let Some((hole, _)) = hole {
            let hop = if std::ptr::eq(*hole, *first) { last } else { first };
            let message = format!("{} is dropped and routed in {}", first.prefix, vpc.called());
            ctx.report(
                Diagnostic::new(Code::DiscardShared, hole.next_hop.span, message)
                    .label(hop.next_hop.span, "routed by this")
                    .help("decide for one of them; OVN drops either all of it or a share, by its version"),
            );
            continue;
        }
        let message = format!("{} has {} next hops in {}", first.prefix, routes.len(), vpc.called());
        let note = if routes.iter().all(|(route, _)| route.bfd.is_some()) {
            "connections are spread over those of them that answer"
        } else {
            "connections are spread over them, and one that is dead keeps its share"
        };
        ctx.report(
            Diagnostic::new(Code::SeveralNextHops, last.next_hop.span, message)
                .label(first.next_hop.span, "another")
                .note(note),
        );
    }
}

/// Whether the next hop is of the prefix's family; a black hole is of both.
fn of_one_family(ctx: &mut Ctx<'_>, route: &StaticRoute, hop: Option<IpAddr>) -> bool {
    let message = match (route.next_hop.value, hop) {
        (NextHop::Discard, _) => return true,
        (_, Some(hop)) if hop.is_ipv4() == route.prefix.value.addr().is_ipv4() => return true,
        (NextHop::Port(id), _) => {
            let owner = &ctx.model.port(id).owner();
            format!("{owner} has no address of the family of {}", route.prefix)
        }
        (NextHop::Address(hop), _) => format!("next hop {hop} is not of the family of {}", route.prefix),
    };
    ctx.report(
        Diagnostic::new(Code::FamilyMix, route.next_hop.span, message).label(route.prefix.span, "the prefix"),
    );
    false
}

/// A machine that routes sends from addresses that are not its own, which port security drops.
fn guard(ctx: &mut Ctx<'_>, route: &StaticRoute, port: &Port) {
    let prefix = route.prefix.value;
    let sends = port.allowed_pairs.iter().any(|pair| pair.value.contains(&prefix));
    if route.selector == RouteSelector::Destination && !sends {
        let message =
            format!("{} is a next hop, and port security drops what {prefix} answers", port.owner());
        ctx.report(
            Diagnostic::new(Code::NextHopGuarded, route.next_hop.span, message)
                .label(port.span, "may send from its own addresses alone")
                .help(format!("allow it {prefix} as a further address, or take its port security off")),
        );
    }
}

fn never_used(ctx: &mut Ctx<'_>, route: &StaticRoute, networks: &Networks) {
    let same = |(net, _, _): &&(IpNet, IpAddr, Span)| *net == route.prefix.value;
    let connected = networks.connected.iter().find(same);
    if let (RouteSelector::Destination, Some((net, _, span))) = (route.selector, connected) {
        let message = format!("the route to {net} is never used: the router is attached to that network");
        ctx.report(
            Diagnostic::new(Code::RouteNeverUsed, route.prefix.span, message).label(*span, "attached here"),
        );
    }
}

/// Route tables by name: those that subnets use, and those that have routes or were declared.
fn tables(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc) {
    let of_routes = vpc.static_routes.iter().filter_map(|r| r.table.as_ref());
    let with_routes: BTreeMap<&str, Span> =
        of_routes.chain(&vpc.route_tables).map(|t| (t.value.as_str(), t.span)).collect();
    let model = ctx.model;
    let subnets = ctx.by_vpc[id.0].clone().into_iter().map(|id| model.subnet(id));
    let of_links = vpc.peerings.iter().filter_map(|peering| peering.table.as_ref());
    let used = subnets.filter_map(|s| s.route_table.as_ref()).chain(of_links);
    let used: BTreeMap<&str, Span> = used.map(|t| (t.value.as_str(), t.span)).collect();
    if !vpc.whole_routes || !vpc.whole_links || !model.whole {
        return;
    }
    for (table, span) in used.iter().filter(|(table, _)| !with_routes.contains_key(*table)) {
        let message = format!("route table `{table}` has no routes in {}", vpc.called());
        let near = crate::nearest::nearest(table, with_routes.keys().copied());
        let diagnostic = Diagnostic::new(Code::RouteTableUnknown, *span, message)
            .note("packets from here reach the VPC's own subnets and links alone");
        ctx.report(match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic,
        });
    }
    for (table, span) in with_routes.iter().filter(|(table, _)| !used.contains_key(*table)) {
        let users = if vpc.is_transit { "attachment" } else { "subnet" };
        let message = format!("no {users} of {} uses route table `{table}`", vpc.called());
        ctx.report(
            Diagnostic::new(Code::RouteTableUnknown, *span, message)
                .help(format!("set `routeTable` of the {users}s that it is for")),
        );
    }
}

fn policies(ctx: &mut Ctx<'_>, (id, vpc): (VpcId, &Vpc), networks: &Networks) {
    let mut by_priority: BTreeMap<i64, Vec<(&PolicyRoute, Option<Expr>)>> = BTreeMap::new();
    for policy in &vpc.policy_routes {
        priority(ctx, policy);
        hops(ctx, vpc, policy, networks);
        let expr = matching::check(ctx, &policy.matching, Place::Policy);
        if let Some(expr) = &expr {
            taken_by_a_route(ctx, (id, vpc), policy, expr, networks);
        }
        by_priority.entry(policy.priority.value).or_default().push((policy, expr));
    }
    for policies in by_priority.values() {
        for (nth, (policy, expr)) in policies.iter().enumerate() {
            let rival = policies[..nth].iter().find(|(other, rival)| {
                verdict(policy) != verdict(other) && matching::may_meet(expr.as_ref(), rival.as_ref())
            });
            if let Some((rival, _)) = rival {
                let message =
                    format!("two policies of priority {} differ, and may see one packet", policy.priority);
                ctx.report(
                    Diagnostic::new(Code::PolicyTie, policy.priority.span, message)
                        .label(rival.priority.span, "the other")
                        .help("OVN may take either; give them different priorities"),
                );
            }
        }
    }
}

/// OVN looks at policies after it has found a route; a packet without one is gone before (ovn-northd(8),
/// router ingress tables).
fn taken_by_a_route(
    ctx: &mut Ctx<'_>,
    (id, vpc): (VpcId, &Vpc),
    policy: &PolicyRoute,
    expr: &Expr,
    networks: &Networks,
) {
    let Some(hop) = policy.next_hops.first() else { return };
    if policy.action.value != PolicyAction::Reroute || !networks.whole || !vpc.whole_routes {
        return;
    }
    let of_family = |net: &IpNet| net.addr().is_ipv4() == hop.value.is_ipv4();
    let routes = vpc.static_routes.iter().filter(|r| r.selector == RouteSelector::Destination);
    let implied = ctx.model.default_routes(id).into_iter().map(|route| route.prefix);
    let routes: Vec<IpNet> = routes.map(|r| r.prefix.value).chain(implied).filter(of_family).collect();
    let attached = networks.connected.iter().map(|(net, _, _)| *net).filter(of_family);
    let mut beyond = routes.iter().map(|net| matching::may_go_to(expr, *net).unwrap_or(true));
    let mut within = attached.map(|net| matching::may_go_to(expr, net).unwrap_or(false));
    if beyond.any(|goes| goes) || within.any(|goes| goes) {
        return;
    }
    let message = "no route takes these packets, so that they are dropped before this policy is looked at";
    let everything = if hop.value.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    ctx.report(
        Diagnostic::new(Code::RerouteWithoutRoute, policy.matching.span, message)
            .label(policy.action.span, "reroutes what has a route already")
            .help(format!("add a static route as well: {{cidr: {everything}, nextHopIP: {hop}}}")),
    );
}

/// What a policy does, in full.
fn verdict(policy: &PolicyRoute) -> (PolicyAction, Vec<IpAddr>) {
    let mut hops: Vec<IpAddr> = policy.next_hops.iter().map(|hop| hop.value).collect();
    hops.sort_unstable();
    (policy.action.value, hops)
}

fn priority(ctx: &mut Ctx<'_>, policy: &PolicyRoute) {
    let span = policy.priority.span;
    match policy.priority.value {
        1..=32767 => {}
        0 => {
            let message = "priority 0 is where OVN's own catch-all stands, and either may be taken";
            ctx.report(Diagnostic::new(Code::PriorityRange, span, message).help("take 1 or more"));
        }
        other => {
            let message = format!("priority {other} is outside 1 – 32767");
            ctx.report(Diagnostic::new(Code::PriorityRange, span, message));
        }
    }
}

fn hops(ctx: &mut Ctx<'_>, vpc: &Vpc, policy: &PolicyRoute, networks: &Networks) {
    match (policy.action.value, policy.next_hops.as_slice()) {
        (PolicyAction::Reroute, []) => {
            let message = "a reroute needs a next hop: OVN leaves the policy out without one";
            ctx.report(
                Diagnostic::new(Code::RerouteWithoutHop, policy.action.span, message)
                    .help("add one (`nextHopIP`, `nextHop`)"),
            );
        }
        (PolicyAction::Reroute, hops) => {
            let first = &hops[0];
            for hop in hops {
                networks.check_hop(ctx, vpc, hop);
                if hop.value.is_ipv4() != first.value.is_ipv4() {
                    let message = "the next hops of a policy must be of one family";
                    ctx.report(
                        Diagnostic::new(Code::FamilyMix, hop.span, message).label(first.span, "the first"),
                    );
                }
            }
        }
        (PolicyAction::Allow | PolicyAction::Drop, [hop, ..]) => {
            let message = "only a reroute has next hops; this one has no effect";
            ctx.report(
                Diagnostic::new(Code::HopWithoutReroute, hop.span, message)
                    .label(policy.action.span, "not a reroute"),
            );
        }
        (PolicyAction::Allow | PolicyAction::Drop, []) => {}
    }
}
