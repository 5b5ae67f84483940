//! Gateway → Logical_Router_Port on the external network's switch, carried by a group of chassis.
//!
//! | meant | stored |
//! |---|---|
//! | gateway | `Logical_Router_Port` `<vpc>-<external>`, its `ha_chassis_group` one of that name |
//! | its switch's side | switch port `<external>-<vpc>` of type `router`, `nat-addresses` `router` |
//! | chassis | `HA_Chassis` by priority; without priorities, in an order that differs from gateway to gateway |
//! | no default route by hand | `Logical_Router_Static_Route` through the external network's gateway |
//!
//! The route is the one that nobody writes and everybody means who asks for a way out: without it every
//! translation is there and no packet comes to it. Fixtures: `outside/*`.

use std::collections::{BTreeMap, BTreeSet};

use super::vpc::destination_route;
use crate::check::Checked;
use crate::model::{Gateway, GatewayId, Model, VpcId};
use crate::names;
use crate::nb::{HaChassis, HaChassisGroup, Key, LogicalRouterPort, LogicalSwitchPort, Ref, Rows, Table};

/// The first of the priorities that are not given.
const PRIORITY: i64 = 100;

/// A VPC's ports on external networks.
pub(super) fn router_ports(checked: &Checked<'_>, vpc: VpcId, rows: &mut Rows) -> Vec<Key> {
    checked.model().gateways_of(vpc).map(|(id, gateway)| router_port(checked, id, gateway, rows)).collect()
}

fn router_port(checked: &Checked<'_>, id: GatewayId, gateway: &Gateway, rows: &mut Rows) -> Key {
    let model = checked.model();
    let external = model.subnet(gateway.external);
    let got = checked.assignment().gateway(id);
    let network = |address: &std::net::IpAddr| {
        let block = external.block_for(*address).expect("checks keep addresses in their subnet");
        format!("{address}/{}", block.cidr.value.prefix_len())
    };
    let key = port_key(model, gateway);
    let row = LogicalRouterPort {
        name: key.name.to_string(),
        mac: got.mac.to_string(),
        networks: got.addresses.iter().map(network).collect(),
        ha_chassis_group: Some(Ref::Key(chassis_group(model, gateway, rows))),
        ..LogicalRouterPort::default()
    };
    rows.insert(key.clone(), row, Some(gateway.span));
    key
}

/// The key of a gateway's router port.
pub(super) fn port_key(model: &Model, gateway: &Gateway) -> Key {
    let (vpc, external) = (model.vpc(gateway.vpc), model.subnet(gateway.external));
    Key::new(Table::LogicalRouterPort, names::router_port(vpc, external))
}

fn chassis_group(model: &Model, gateway: &Gateway, rows: &mut Rows) -> Key {
    let group = port_key(model, gateway).name;
    let mut order: Vec<_> = model.chassis_of(gateway).iter().collect();
    order.sort_by_cached_key(|chassis| super::short_digest(&format!("{group}/{}", chassis.name)));
    let mut members = BTreeSet::new();
    for (chassis, rank) in order.into_iter().zip(0..) {
        let key = Key::new(Table::HaChassis, format!("{group}/{}", chassis.name));
        let row = HaChassis {
            chassis_name: chassis.name.clone(),
            priority: chassis.priority.unwrap_or_else(|| (PRIORITY - rank).max(0)),
            ..HaChassis::default()
        };
        rows.insert(key.clone(), row, chassis.span.or(Some(gateway.span)));
        members.insert(Ref::Key(key));
    }
    let key = Key::new(Table::HaChassisGroup, group.clone());
    let row = HaChassisGroup { name: group.to_string(), ha_chassis: members, ..HaChassisGroup::default() };
    rows.insert(key.clone(), row, Some(gateway.span));
    key
}

/// The gateways on every subnet.
pub(super) fn by_external(model: &Model) -> Vec<Vec<&Gateway>> {
    let mut by_external = vec![Vec::new(); model.subnets.len()];
    model.gateways.iter().for_each(|gateway| by_external[gateway.external.0].push(gateway));
    by_external
}

/// An external switch's ports towards the routers that have these gateways.
pub(super) fn switch_ports(model: &Model, gateways: &[&Gateway], rows: &mut Rows) -> Vec<Key> {
    gateways.iter().map(|gateway| switch_port(model, gateway, rows)).collect()
}

fn switch_port(model: &Model, gateway: &Gateway, rows: &mut Rows) -> Key {
    let name = names::router_side(model.vpc(gateway.vpc), model.subnet(gateway.external));
    let key = Key::new(Table::LogicalSwitchPort, name.as_str());
    let row = LogicalSwitchPort {
        name,
        kind: "router".to_owned(),
        addresses: BTreeSet::from(["router".to_owned()]),
        options: BTreeMap::from([
            // The physical network learns where the addresses are, and learns it anew after a failover.
            ("nat-addresses".to_owned(), "router".to_owned()),
            ("router-port".to_owned(), port_key(model, gateway).name.to_string()),
        ]),
        ..LogicalSwitchPort::default()
    };
    rows.insert(key.clone(), row, Some(gateway.span));
    key
}

/// Default routes that follow from having a gateway.
pub(super) fn default_routes(model: &Model, id: VpcId, rows: &mut Rows) -> Vec<Key> {
    let routes = model.default_routes(id);
    let route = |route: &crate::model::DefaultRoute| {
        let span = model.gateway(route.gateway).span;
        destination_route(model.vpc(id), route.prefix, route.next_hop, span, rows)
    };
    routes.iter().map(route).collect()
}
