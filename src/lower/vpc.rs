//! Vpc → Logical_Router with its ports, static routes and policies.
//!
//! | meant | stored |
//! |---|---|
//! | VPC | `Logical_Router` of its name; the default VPC only when something is in it |
//! | subnet of the VPC | `Logical_Router_Port` `<vpc>-<subnet>` with the gateways |
//! | peering | `Logical_Router_Port` `<vpc>-<remote>`, its `peer` the other side's; no switch between |
//! | transit gateway | a `Logical_Router` of its name, its attachments as peerings |
//! | static route | `Logical_Router_Static_Route`, `dst-ip` unless by source; `discard` for a black hole |
//! | policy route | `Logical_Router_Policy` |
//! | a next hop that is watched | `BFD`, see `bfd` |
//! | neighborAge, learnFromArpRequests, dynamicNeighbors, multicastRelay | options of the router |
//! | network ACL of a subnet | policies, see `network_acl` |
//! | gateway, translations, balancers | `gateway`, `nat`, `balancer` |
//!
//! No route is added that nobody wrote but a gateway's (`gateway`): OVN connects a router's subnets by itself.
//! Fixtures: `harvester/*`, `routes/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::balancer::Balancers;
use super::{bfd, gateway, nat, network_acl};
use crate::assign::derived_mac;
use crate::check::Checked;
use crate::model::{
    self, Peering, PolicyAction, PolicyRoute, RouteSelector, StaticRoute, Subnet, SubnetId, VpcId,
};
use crate::names;
use crate::nb::matching;
use crate::nb::{
    Key, LogicalRouter, LogicalRouterPolicy, LogicalRouterPort, LogicalRouterStaticRoute, Ref, Rows, Table,
};
use crate::span::{Span, Spanned};

pub(super) fn lower(checked: &Checked<'_>, balancers: &Balancers, rows: &mut Rows) {
    let model = checked.model();
    let (by_vpc, rules) = (model.subnets_by_vpc(), nat::Rules::by_vpc(model));
    for (id, vpc) in model.vpcs() {
        let subnets = &by_vpc[id.0];
        let mut gateways = model.gateways_of(id).map(|(_, gateway)| gateway.span);
        let place = vpc.span.or(subnets.first().map(|id| model.subnet(*id).name.span)).or(gateways.next());
        let Some(place) = place else {
            continue;
        };
        let key = Key::new(Table::LogicalRouter, names::router(vpc));
        let ports = subnets.iter().filter_map(|id| subnet_port(model, vpc, *id, rows));
        let mut ports: BTreeSet<Ref> = ports.map(Ref::Key).collect();
        ports.extend(vpc.peerings.iter().map(|peering| Ref::Key(peer_port(vpc, peering, rows))));
        ports.extend(gateway::router_ports(checked, id, rows).into_iter().map(Ref::Key));
        let routes = vpc.static_routes.iter().map(|route| static_route(checked, id, route, rows));
        let mut static_routes: BTreeSet<Ref> = routes.map(Ref::Key).collect();
        static_routes.extend(gateway::default_routes(model, id, rows).into_iter().map(Ref::Key));
        let chain = network_acl::chain(model, vpc, subnets);
        let mut policies = policy_routes(checked, id, chain, rows);
        policies.extend(network_acl::out_of(model, subnets, chain, rows));
        let mut load_balancer = nat::forwards(checked, &rules[id.0], rows);
        load_balancer.extend(balancers.on_router(id));
        let row = LogicalRouter {
            name: names::router(vpc),
            ports,
            static_routes,
            policies,
            nat: nat::translations(checked, id, &rules[id.0], subnets, rows),
            load_balancer,
            options: options(vpc),
            external_ids: super::described(&vpc.description),
            ..LogicalRouter::default()
        };
        rows.insert(key, row, Some(place));
    }
}

/// How the router gets by among many, where that is not as OVN has it by itself.
fn options(vpc: &model::Vpc) -> BTreeMap<String, String> {
    let said = &vpc.router;
    let age = said.neighbour_age.map(|age| ("mac_binding_age_threshold", age.value.to_string()));
    let learns = said.learns_little.then(|| ("always_learn_from_arp_request", "false".to_owned()));
    let asks = said.asks_routers.then(|| ("dynamic_neigh_routers", "true".to_owned()));
    let relay = said.multicast_relay.map(|_| ("mcast_relay", "true".to_owned()));
    let options = [age, learns, asks, relay].into_iter().flatten();
    options.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The router's port in a subnet, if it has one there.
fn subnet_port(model: &model::Model, vpc: &model::Vpc, id: SubnetId, rows: &mut Rows) -> Option<Key> {
    let subnet = model.subnet(id);
    if !subnet.routed {
        return None;
    }
    let name = names::router_port(vpc, subnet);
    let key = Key::new(Table::LogicalRouterPort, name.as_str());
    let row = LogicalRouterPort {
        mac: derived_mac("router", &name).to_string(),
        name,
        networks: networks(subnet),
        options: route_table(subnet.route_table.as_ref()),
        ipv6_ra_configs: router_advertisements(model, id),
        ..LogicalRouterPort::default()
    };
    rows.insert(key.clone(), row, Some(subnet.name.span));
    Some(key)
}

/// What a router port's `options` say of the table for packets that come in by it.
fn route_table(table: Option<&Spanned<String>>) -> BTreeMap<String, String> {
    table.iter().map(|table| ("route_table".to_owned(), table.value.clone())).collect()
}

/// The gateways with the lengths of their blocks.
fn networks(subnet: &Subnet) -> BTreeSet<String> {
    let network = |b: &model::Block| format!("{}/{}", b.gateway.value, b.cidr.value.prefix_len());
    subnet.blocks.iter().map(network).collect()
}

/// What is advertised by default (Kube-OVN's defaults), then what was said by hand.
fn router_advertisements(model: &model::Model, id: SubnetId) -> BTreeMap<String, String> {
    let subnet = model.subnet(id);
    let Some(settings) = subnet.ra.as_ref().filter(|_| subnet.v6().is_some()) else {
        return BTreeMap::new();
    };
    let mut configs: BTreeMap<String, String> = if settings.is_empty() {
        [
            ("address_mode", "dhcpv6_stateful"),
            ("max_interval", "30"),
            ("min_interval", "5"),
            ("send_periodic", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    } else {
        settings.iter().map(|s| (s.name.value.clone(), s.value.value.clone())).collect()
    };
    if let (Some(block), Some(_), true) = (subnet.v6(), model.zones_of(id).next(), settings.is_empty()) {
        configs.insert("rdnss".to_owned(), block.gateway.value.to_string());
    }
    if let Some(mtu) = &subnet.mtu {
        configs.entry("mtu".to_owned()).or_insert_with(|| mtu.value.to_string());
    }
    configs
}

fn peer_port(vpc: &model::Vpc, peering: &Peering, rows: &mut Rows) -> Key {
    let name = names::peer_port(&vpc.name, &peering.remote.value);
    let key = Key::new(Table::LogicalRouterPort, name.as_str());
    let row = LogicalRouterPort {
        mac: derived_mac("router", &name).to_string(),
        name,
        networks: peering.addresses.iter().map(|a| a.value.to_string()).collect(),
        peer: Some(names::peer_port(&peering.remote.value, &vpc.name)),
        options: route_table(peering.table.as_ref()),
        ..LogicalRouterPort::default()
    };
    rows.insert(key.clone(), row, Some(peering.span));
    key
}

fn static_route(checked: &Checked<'_>, id: VpcId, route: &StaticRoute, rows: &mut Rows) -> Key {
    let policy = match route.selector {
        RouteSelector::Destination => "dst-ip",
        RouteSelector::Source => "src-ip",
    };
    let table = route.table.as_ref().map_or("", |t| t.value.as_str());
    let hop = checked.assignment().next_hop(route);
    let watch = route.bfd.as_ref().zip(hop).map(|(said, hop)| bfd::session(checked, id, hop, said, rows));
    let to = (route.prefix.value, hop, watch);
    insert_route(checked.model().vpc(id), table, policy, to, route.span, rows)
}

/// A route of the main table by destination.
pub(super) fn destination_route(
    vpc: &model::Vpc,
    prefix: IpNet,
    next_hop: IpAddr,
    span: Span,
    rows: &mut Rows,
) -> Key {
    insert_route(vpc, "", "dst-ip", (prefix, Some(next_hop), None), span, rows)
}

/// Without a next hop the packets are dropped.
fn insert_route(
    vpc: &model::Vpc,
    table: &str,
    policy: &str,
    (prefix, next_hop, bfd): (IpNet, Option<IpAddr>, Option<Ref>),
    span: Span,
    rows: &mut Rows,
) -> Key {
    let next_hop = next_hop.map_or("discard".to_owned(), |address| address.to_string());
    let shown = if table.is_empty() { "main" } else { table };
    let key = Key::new(
        Table::LogicalRouterStaticRoute,
        format!("{}/route/{shown}/{policy}/{prefix}/{next_hop}", vpc.name),
    );
    let row = LogicalRouterStaticRoute {
        route_table: table.to_owned(),
        ip_prefix: prefix.to_string(),
        policy: Some(policy.to_owned()),
        nexthop: next_hop,
        bfd,
        ..LogicalRouterStaticRoute::default()
    };
    rows.insert(key.clone(), row, Some(span));
    key
}

/// Every policy once; those of one priority and match in an order that does not depend on the input's.
fn policy_routes(checked: &Checked<'_>, id: VpcId, chain: Option<&str>, rows: &mut Rows) -> BTreeSet<Ref> {
    let vpc = checked.model().vpc(id);
    let hops =
        |policy: &PolicyRoute| -> BTreeSet<IpAddr> { policy.next_hops.iter().map(|hop| hop.value).collect() };
    let mut policies: Vec<&PolicyRoute> = vpc.policy_routes.iter().collect();
    policies.sort_by_key(|policy| (policy.priority.value, policy.action.value, hops(policy)));
    let mut keys = super::RuleKeys::new();
    let mut refs = BTreeSet::new();
    for policy in policies {
        let at = format!("{}/policy/{}", vpc.name, policy.priority);
        let text = matching::one_line(&policy.matching.value);
        if let Some(key) = keys.mint(&at, &text, (policy.action.value, hops(policy))) {
            let said = policy.bfd.as_ref();
            let sessions =
                said.into_iter().flat_map(|said| hops(policy).into_iter().map(move |hop| (said, hop)));
            let sessions = sessions.map(|(said, hop)| bfd::session(checked, id, hop, said, rows)).collect();
            refs.insert(Ref::Key(policy_route(key, text, policy, (chain, sessions), rows)));
        }
    }
    refs
}

fn policy_route(
    key: String,
    text: String,
    policy: &PolicyRoute,
    (chain, bfd_sessions): (Option<&str>, BTreeSet<Ref>),
    rows: &mut Rows,
) -> Key {
    let action = match policy.action.value {
        PolicyAction::Allow => "allow",
        PolicyAction::Drop => "drop",
        PolicyAction::Reroute => "reroute",
    };
    let key = Key::new(Table::LogicalRouterPolicy, key);
    let nexthops = match policy.action.value {
        PolicyAction::Reroute => policy.next_hops.iter().map(|hop| hop.value.to_string()).collect(),
        PolicyAction::Allow | PolicyAction::Drop => BTreeSet::new(),
    };
    let row = LogicalRouterPolicy {
        priority: policy.priority.value,
        matching: text,
        action: action.to_owned(),
        nexthops,
        bfd_sessions,
        chain: chain.map(str::to_owned),
        ..LogicalRouterPolicy::default()
    };
    rows.insert(key.clone(), row, Some(policy.span));
    key
}
