//! Subnet → Logical_Switch with its ports and ACLs.
//!
//! | meant | stored |
//! |---|---|
//! | subnet | `Logical_Switch` of its name |
//! | routed | switch port `<subnet>-<vpc>` of type `router`, addresses `router` |
//! | external network of a VPC | a switch port towards that VPC's router (`gateway`) |
//! | bridged | switch port `localnet.<subnet>` of type `localnet` |
//! | private | `to-lport` ACLs: drop `ip` at 1000; own block and allowed ones at 1001 |
//! | allowEWTraffic | ACLs of both directions at 1900 for the own block, where there are rules by hand |
//! | acls | one ACL each, as written |
//! | balancers, zones, QoS policies | `balancer`, `dns`, `qos` |
//! | private, with ports in security groups | what `filter` adds |
//! | network ACL | what `network_acl` adds |
//!
//! A private subnet's rules look at packets on their way to a port, the router's port included, so they
//! hold in both directions (S-048 … S-058 of the fixtures). Packets that never leave the segment are not
//! its border's business: link-local IPv6 and multicast from the own block pass. Fixtures: `private/*`.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::balancer::Balancers;
use super::{dns, filter, gateway, network_acl, port, qos};
use crate::assign::derived_mac;
use crate::check::Checked;
use crate::model::{self, AclAction, Block, Direction, Subnet};
use crate::names;
use crate::nb::matching;
use crate::nb::{Acl, Key, LogicalSwitch, LogicalSwitchPort, Ref, Rows, Table};
use crate::priority;
use crate::progress;
use crate::span::Span;

pub(super) fn lower(checked: &Checked<'_>, keys: &[Key], balancers: &Balancers, rows: &mut Rows) {
    let model = checked.model();
    let mut ports = port::by_subnet(checked, keys, rows);
    let mut qos_rules = qos::by_subnet(checked, rows);
    let mut zones = dns::by_subnet(checked, rows);
    let (filtered, gateways) = (filter::subnets(model), gateway::by_external(model));
    for (id, subnet) in progress::along(model.subnets(), model.subnets.len()) {
        let vpc = model.vpc(subnet.vpc);
        let mut members = std::mem::take(&mut ports[id.0]);
        if subnet.routed {
            members.insert(Ref::Key(router_port(vpc, subnet, balancers.arp_proxy(id, subnet), rows)));
        }
        members.extend(gateway::switch_ports(model, &gateways[id.0], rows).into_iter().map(Ref::Key));
        if let Some(underlay) = &subnet.underlay {
            members.insert(Ref::Key(localnet(subnet, underlay, rows)));
        }
        let mut acls = BTreeSet::new();
        private(subnet, rows, &mut acls);
        by_hand(subnet, rows, &mut acls);
        network_acl::into(model, subnet, rows, &mut acls);
        if filtered.contains(&id) {
            filter::guard(model, subnet, rows, &mut acls);
        }
        let row = LogicalSwitch {
            name: names::switch(subnet),
            ports: members,
            acls,
            load_balancer: balancers.on_switch(id),
            dns_records: std::mem::take(&mut zones[id.0]),
            qos_rules: std::mem::take(&mut qos_rules[id.0]),
            other_config: multicast(vpc, subnet),
            external_ids: super::described(&subnet.description),
        };
        rows.insert(Key::new(Table::LogicalSwitch, names::switch(subnet)), row, Some(subnet.name.span));
    }
}

fn router_port(vpc: &model::Vpc, subnet: &Subnet, arp_proxy: Option<String>, rows: &mut Rows) -> Key {
    let name = names::router_side(vpc, subnet);
    let key = Key::new(Table::LogicalSwitchPort, name.as_str());
    let mut options = BTreeMap::from([("router-port".to_owned(), names::router_port(vpc, subnet))]);
    options.extend(arp_proxy.map(|addresses| ("arp_proxy".to_owned(), addresses)));
    let row = LogicalSwitchPort {
        name,
        kind: "router".to_owned(),
        // Without it OVN 23.03 has no entry for the router's MAC and drops what is sent to it.
        addresses: BTreeSet::from(["router".to_owned()]),
        options,
        ..LogicalSwitchPort::default()
    };
    rows.insert(key.clone(), row, Some(subnet.name.span));
    key
}

fn localnet(subnet: &Subnet, underlay: &model::Underlay, rows: &mut Rows) -> Key {
    let name = names::localnet(subnet);
    let key = Key::new(Table::LogicalSwitchPort, name.as_str());
    let row = LogicalSwitchPort {
        name,
        kind: "localnet".to_owned(),
        addresses: BTreeSet::from(["unknown".to_owned()]),
        options: BTreeMap::from([("network_name".to_owned(), underlay.physical.value.clone())]),
        tag_request: underlay.vlan.as_ref().map(|tag| tag.value),
        ..LogicalSwitchPort::default()
    };
    rows.insert(key.clone(), row, Some(underlay.physical.span));
    key
}

/// Snooping, with the gateway as querier where the router is here.
fn multicast(vpc: &model::Vpc, subnet: &Subnet) -> BTreeMap<String, String> {
    let Some(said) = &subnet.snooping else { return BTreeMap::new() };
    let mut config = BTreeMap::from([("mcast_snoop".to_owned(), "true".to_owned())]);
    if subnet.routed && said.querier {
        let mac = derived_mac("router", &names::router_port(vpc, subnet));
        config.insert("mcast_querier".to_owned(), "true".to_owned());
        config.insert("mcast_eth_src".to_owned(), mac.to_string());
        let source = |block: Option<&Block>| block.map(|b| b.gateway.value.to_string());
        config.extend(source(subnet.v4()).map(|a| ("mcast_ip4_src".to_owned(), a)));
        config.extend(source(subnet.v6()).map(|a| ("mcast_ip6_src".to_owned(), a)));
    } else if subnet.routed {
        config.insert("mcast_querier".to_owned(), "false".to_owned());
    }
    if said.flood_unregistered {
        config.insert("mcast_flood_unregistered".to_owned(), "true".to_owned());
    }
    let numbers = [
        ("mcast_idle_timeout", said.idle_timeout),
        ("mcast_query_interval", said.query_interval),
        ("mcast_table_size", said.table_size),
    ];
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number?.value)));
    config.extend(numbers.map(|(name, number)| (name.to_owned(), number.to_string())));
    config
}

fn private(subnet: &Subnet, rows: &mut Rows, acls: &mut BTreeSet<Ref>) {
    let Some(span) = subnet.private else { return };
    let mut add = |what: String, priority: i64, matching: String, action: &str, span: Span| {
        let key = Key::new(Table::Acl, format!("{}/private/{what}", subnet.name));
        let row = Acl {
            name: Some(filter::acl_name(&subnet.name.value, "private")),
            direction: "to-lport".to_owned(),
            priority,
            matching,
            action: action.to_owned(),
            ..Acl::default()
        };
        acls.insert(Ref::Key(key.clone()));
        rows.insert(key, row, Some(span));
    };
    add("drop".to_owned(), priority::PRIVATE_DROP, "ip".to_owned(), "drop", span);
    for block in &subnet.blocks {
        let own = block.cidr.value;
        let ip = family(own);
        let within = match own {
            IpNet::V4(_) => format!("{ip}.src == {own} && ({ip}.dst == {own} || {ip}.mcast)"),
            IpNet::V6(_) => format!(
                "({ip}.src == {own} || {ip}.src == fe80::/64) && ({ip}.dst == {own} || {ip}.dst == fe80::/64 || {ip}.mcast)"
            ),
        };
        add(format!("within/{own}"), priority::PRIVATE_ALLOW, within, "allow-related", block.cidr.span);
        let of_family = |allowed: &&crate::span::Spanned<IpNet>| family(allowed.value) == ip;
        let allowed: BTreeMap<IpNet, Span> =
            subnet.allow.iter().filter(of_family).map(|a| (a.value, a.span)).collect();
        for (other, span) in allowed {
            let matching = format!(
                "({ip}.src == {own} && {ip}.dst == {other}) || ({ip}.src == {other} && {ip}.dst == {own})"
            );
            add(format!("allow/{other}"), priority::PRIVATE_ALLOW, matching, "allow-related", span);
        }
    }
}

/// `ip4` or `ip6`, as match expressions have it.
fn family(net: IpNet) -> &'static str {
    match net {
        IpNet::V4(_) => "ip4",
        IpNet::V6(_) => "ip6",
    }
}

fn by_hand(subnet: &Subnet, rows: &mut Rows, acls: &mut BTreeSet<Ref>) {
    let mut rules: Vec<&model::Acl> = subnet.acls.iter().collect();
    rules.sort_by_key(|acl| (acl.direction, acl.priority.value, acl.action.value));
    let mut keys = super::RuleKeys::new();
    for acl in rules {
        let direction = direction(acl.direction);
        let text = match acl.action.value {
            // OVN 23.03 writes ` && ` and this behind a condition of its own, where connections are tracked.
            AclAction::Reject => matching::enclosed(&acl.matching.value),
            _ => matching::one_line(&acl.matching.value),
        };
        let at = format!("{}/acl/{direction}/{}", subnet.name, acl.priority);
        let Some(key) = keys.mint(&at, &text, acl.action.value) else { continue };
        let key = Key::new(Table::Acl, key);
        let row = Acl {
            direction: direction.to_owned(),
            priority: acl.priority.value,
            matching: text,
            action: action(acl.action.value).to_owned(),
            ..Acl::default()
        };
        acls.insert(Ref::Key(key.clone()));
        rows.insert(key, row, Some(acl.span));
    }
    let Some(span) = subnet.allow_east_west.filter(|_| !subnet.acls.is_empty()) else { return };
    for block in &subnet.blocks {
        let (own, ip) = (block.cidr.value, family(block.cidr.value));
        for direction in [Direction::FromGuest, Direction::ToGuest].map(direction) {
            let key = Key::new(Table::Acl, format!("{}/east-west/{direction}/{own}", subnet.name));
            let row = Acl {
                direction: direction.to_owned(),
                priority: priority::EAST_WEST,
                matching: format!("{ip}.src == {own} && {ip}.dst == {own}"),
                action: "allow".to_owned(),
                ..Acl::default()
            };
            acls.insert(Ref::Key(key.clone()));
            rows.insert(key, row, Some(span));
        }
    }
}

pub(super) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::FromGuest => "from-lport",
        Direction::ToGuest => "to-lport",
    }
}

fn action(action: AclAction) -> &'static str {
    match action {
        AclAction::Allow => "allow",
        AclAction::AllowRelated => "allow-related",
        AclAction::AllowStateless => "allow-stateless",
        AclAction::Drop => "drop",
        AclAction::Reject => "reject",
        AclAction::Pass => "pass",
    }
}
