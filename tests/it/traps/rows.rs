//! What no rows of northc's may hold, because OVN dies of it or takes it without a word (ovn-nb(5), ovn-northd(8)).
//!
//! Reads rows as a database would, and knows nothing of what they were made from. What a database itself would
//! refuse is `nb::schema`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use northc::nb::matching::{self, ReferenceKind, SymbolSet};
use northc::nb::{
    Acl, AddressSet, Atom, Bfd, Datum, DhcpOptions, Dns, HaChassis, HaChassisGroup, Key, LoadBalancer,
    LoadBalancerHealthCheck, LogicalRouter, LogicalRouterPolicy, LogicalRouterPort, LogicalRouterStaticRoute,
    LogicalSwitch, LogicalSwitchPort, Nat, PortGroup, Qos, Ref, Row, Rows, Table, dhcp, schema,
};

use super::ports;

/// A rule: its name, and what breaks it.
pub(crate) type Rule = (&'static str, fn(&Rows, &mut Vec<String>));

pub(crate) const RULES: [Rule; 17] = [
    ("schema", |rows, found| found.extend(schema::problems(rows))),
    ("texts", texts),
    ("options", options),
    ("routes", routes),
    ("policies", policies),
    ("watched", watched),
    ("links", ports::links),
    ("segments", ports::segments),
    ("kinds-of-ports", ports::kinds),
    ("gateways", gateways),
    ("translations", translations),
    ("public", public),
    ("balancers", balancers),
    ("matches", matches),
    ("rules", rules),
    ("sets", sets),
    ("guests", guests),
];

/// Everything in the rows that must not be, each with its rule.
pub(crate) fn faults(rows: &Rows) -> Vec<String> {
    let of_rule = |(name, rule): &Rule| {
        let mut found = Vec::new();
        rule(rows, &mut found);
        found.into_iter().map(|fault| format!("{name}: {fault}")).collect::<Vec<_>>()
    };
    RULES.iter().flat_map(of_rule).collect()
}

/// The rows of a table.
pub(super) fn all<'r, T: TryFrom<&'r Row, Error = &'static str>>(
    rows: &'r Rows,
    table: Table,
) -> impl Iterator<Item = (&'r Key, T)> {
    rows.table(table).map(|(key, row)| (key, read(row)))
}

/// The rows that a column refers to.
pub(super) fn of<'r, T: TryFrom<&'r Row, Error = &'static str>>(
    rows: &'r Rows,
    refs: &BTreeSet<Ref>,
) -> Vec<T> {
    let row = |to: &Ref| match to {
        Ref::Key(key) => rows.get(key).expect("`schema` holds that it is there"),
        Ref::Foreign(_) => panic!("nothing refers to rows of others"),
    };
    refs.iter().map(|to| read(row(to))).collect()
}

fn read<'r, T: TryFrom<&'r Row, Error = &'static str>>(row: &'r Row) -> T {
    T::try_from(row).unwrap_or_else(|column| panic!("{:?}.{column} has another shape", row.table()))
}

/// northd has hung over what is no text, and a NUL ends one in C.
fn texts(rows: &Rows, found: &mut Vec<String>) {
    let holds_nul = |atom: &Atom| matches!(atom, Atom::Text(text) if text.contains('\0'));
    for (key, row) in rows.iter() {
        let has_nul = row.set_columns().any(|(_, datum)| match datum {
            Datum::Set(atoms) => atoms.iter().any(holds_nul),
            Datum::Map(pairs) => pairs.iter().any(|(name, value)| holds_nul(name) || holds_nul(value)),
        });
        found.extend(has_nul.then(|| format!("{key} holds a NUL")));
    }
}

/// Options by their names: northd looks for those that it knows and leaves the others. Among those that are left
/// out here on purpose are keys of tunnels, which freeze northd, forced sources, which kill it, and all that would
/// move a whole router to one chassis.
const OPTIONS: [(Table, &str, &[&str]); 8] = [
    (
        Table::LogicalSwitch,
        "other_config",
        &[
            "mcast_eth_src",
            "mcast_flood_unregistered",
            "mcast_idle_timeout",
            "mcast_ip4_src",
            "mcast_ip6_src",
            "mcast_querier",
            "mcast_query_interval",
            "mcast_snoop",
            "mcast_table_size",
        ],
    ),
    (
        Table::LogicalSwitchPort,
        "options",
        &[
            "activation-strategy",
            "arp_proxy",
            "mcast_flood",
            "mcast_flood_reports",
            "nat-addresses",
            "network_name",
            "requested-chassis",
            "router-port",
            "virtual-ip",
            "virtual-parents",
        ],
    ),
    (
        Table::LogicalRouter,
        "options",
        &[
            "always_learn_from_arp_request",
            "dynamic_neigh_routers",
            "mac_binding_age_threshold",
            "mcast_relay",
        ],
    ),
    (Table::LogicalRouterPort, "options", &["mcast_flood", "route_table"]),
    (
        Table::LogicalRouterPort,
        "ipv6_ra_configs",
        &[
            "address_mode",
            "dnssl",
            "max_interval",
            "min_interval",
            "mtu",
            "rdnss",
            "route_info",
            "router_preference",
            "send_periodic",
        ],
    ),
    (Table::LoadBalancer, "options", &["affinity_timeout", "ct_flush", "reject"]),
    (Table::LoadBalancerHealthCheck, "options", &["failure_count", "interval", "success_count", "timeout"]),
    (Table::Dns, "options", &["ovn-owned"]),
];

fn options(rows: &Rows, found: &mut Vec<String>) {
    for (key, row) in rows.iter() {
        for (column, datum) in row.set_columns() {
            let Datum::Map(pairs) = datum else { continue };
            let known = OPTIONS.iter().find(|(table, name, _)| (*table, *name) == (key.table, column.name));
            if !["options", "other_config", "ipv6_ra_configs"].contains(&column.name)
                || key.table == Table::DhcpOptions
            {
                continue;
            }
            let known = known.map_or(&[] as &[&str], |(.., known)| *known);
            let is_known = |name: &Atom| matches!(name, Atom::Text(name) if known.contains(&&**name));
            let unknown = pairs.iter().filter(|(name, _)| !is_known(name));
            found.extend(unknown.map(|(name, _)| format!("{key}.{} has {name:?}", column.name)));
        }
    }
}

/// A route has one hop or drops; OVN 25.03 and 26.03 die of routes without a hop, and of a prefix that is dropped
/// and routed.
fn routes(rows: &Rows, found: &mut Vec<String>) {
    for (key, router) in all::<LogicalRouter>(rows, Table::LogicalRouter) {
        let mut hops: BTreeMap<(String, Option<String>, IpNet), Vec<String>> = BTreeMap::new();
        for route in of::<LogicalRouterStaticRoute>(rows, &router.static_routes) {
            let shown = format!("{key}: route {} to `{}`", route.ip_prefix, route.nexthop);
            let Ok(prefix) = route.ip_prefix.parse::<IpNet>() else {
                found.push(format!("{shown} is not for a prefix"));
                continue;
            };
            let hop = route.nexthop.parse::<IpAddr>();
            let is_discard = route.nexthop == "discard";
            if prefix.trunc() != prefix
                || !(is_discard || hop.is_ok_and(|hop| hop.is_ipv4() == prefix.addr().is_ipv4()))
            {
                found.push(format!("{shown} leads nowhere"));
            }
            if route.output_port.is_some() || !route.options.is_empty() || (is_discard && route.bfd.is_some())
            {
                found.push(format!("{shown} has a port or options"));
            }
            let bfds = of::<Bfd>(rows, &route.bfd.into_iter().collect());
            if bfds.iter().any(|bfd| bfd.dst_ip != route.nexthop) {
                found.push(format!("{shown} watches another hop"));
            }
            hops.entry((route.route_table, route.policy, prefix)).or_default().push(route.nexthop);
        }
        for (slot, hops) in hops {
            let distinct: BTreeSet<&String> = hops.iter().collect();
            if distinct.len() < hops.len() || (hops.len() > 1 && hops.iter().any(|hop| hop == "discard")) {
                found.push(format!("{key}: {slot:?} goes to {hops:?}"));
            }
        }
    }
}

fn policies(rows: &Rows, found: &mut Vec<String>) {
    for (key, policy) in all::<LogicalRouterPolicy>(rows, Table::LogicalRouterPolicy) {
        let hops: Vec<_> = policy.nexthops.iter().map(|hop| hop.parse::<IpAddr>()).collect();
        let v4 = hops.iter().filter(|hop| hop.as_ref().is_ok_and(IpAddr::is_ipv4)).count();
        let is_reroute = policy.action == "reroute";
        let whole = hops.iter().all(Result::is_ok) && (v4 == 0 || v4 == hops.len());
        let jumps = policy.action == "jump";
        if !whole || is_reroute == hops.is_empty() || jumps != policy.jump_chain.is_some() {
            found.push(format!("{key} leads nowhere"));
        }
        if !(1..=32_767).contains(&policy.priority) {
            found.push(format!("{key} has priority {}", policy.priority));
        }
        let to = policy.jump_chain.as_ref();
        let is_there = |chain: &String| {
            all::<LogicalRouterPolicy>(rows, Table::LogicalRouterPolicy)
                .any(|(_, p)| p.chain.as_ref() == Some(chain))
        };
        if to.is_some_and(|chain| !is_there(chain)) {
            found.push(format!("{key} jumps nowhere"));
        }
    }
}

/// A session is a gateway's: OVN 25.03 and 26.03 die of one at a port that nobody carries.
fn watched(rows: &Rows, found: &mut Vec<String>) {
    let carried: BTreeSet<String> = all::<LogicalRouterPort>(rows, Table::LogicalRouterPort)
        .filter(|(_, port)| port.ha_chassis_group.is_some())
        .map(|(_, port)| port.name)
        .collect();
    for (key, bfd) in all::<Bfd>(rows, Table::Bfd) {
        if !carried.contains(&bfd.logical_port) || bfd.dst_ip.parse::<IpAddr>().is_err() {
            found.push(format!("{key} is at {}", bfd.logical_port));
        }
    }
}

fn gateways(rows: &Rows, found: &mut Vec<String>) {
    for (key, group) in all::<HaChassisGroup>(rows, Table::HaChassisGroup) {
        let members = of::<HaChassis>(rows, &group.ha_chassis);
        let ranks: BTreeSet<i64> = members.iter().map(|member| member.priority).collect();
        let in_range = ranks.iter().all(|rank| (0..=32_767).contains(rank));
        if members.is_empty() || ranks.len() < members.len() || !in_range {
            found.push(format!("{key} has {} members, {} ranks", members.len(), ranks.len()));
        }
    }
}

fn translations(rows: &Rows, found: &mut Vec<String>) {
    for (key, router) in all::<LogicalRouter>(rows, Table::LogicalRouter) {
        let ports = of::<LogicalRouterPort>(rows, &router.ports);
        let n_gateways = ports.iter().filter(|port| port.ha_chassis_group.is_some()).count();
        let mut sources = BTreeSet::new();
        for nat in of::<Nat>(rows, &router.nat) {
            let shown = format!("{key}: {} {} for {}", nat.kind, nat.external_ip, nat.logical_ip);
            let outside = nat.external_ip.parse::<IpAddr>();
            let inside =
                nat.logical_ip.parse::<IpNet>().or(nat.logical_ip.parse::<IpAddr>().map(IpNet::from));
            let (Ok(outside), Ok(inside)) = (outside, inside) else {
                found.push(format!("{shown} is between no addresses"));
                continue;
            };
            let is_host = inside.prefix_len() == inside.max_prefix_len();
            if outside.is_ipv4() != inside.addr().is_ipv4() || !(is_host || nat.kind == "snat") {
                found.push(format!("{shown} is of two families, or for many"));
            }
            if n_gateways == 0 || (n_gateways > 1) != nat.gateway_port.is_some() {
                found.push(format!("{shown} is at none of {n_gateways} gateways"));
            }
            let port =
                nat.logical_port.as_ref().map(|name| Key::new(Table::LogicalSwitchPort, name.as_str()));
            let is_there = port.as_ref().is_none_or(|key| rows.get(key).is_some());
            if nat.external_mac.is_some() != port.is_some() || !is_there {
                found.push(format!("{shown} has a half of what makes it distributed"));
            }
            if !nat.external_port_range.is_empty()
                || (nat.allowed_ext_ips.is_some() && nat.exempted_ext_ips.is_some())
            {
                found.push(format!("{shown} has a range of ports, or two lists"));
            }
            if !sources.insert((nat.gateway_port, inside)) {
                found.push(format!("{shown}: its source is translated twice"));
            }
        }
    }
}

/// On a physical network, an address is one router's.
fn public(rows: &Rows, found: &mut Vec<String>) {
    let mut owners: BTreeMap<IpAddr, BTreeSet<&Key>> = BTreeMap::new();
    for (key, router) in all::<LogicalRouter>(rows, Table::LogicalRouter) {
        let translated =
            of::<Nat>(rows, &router.nat).into_iter().map(|nat| nat.external_ip.parse::<IpAddr>().ok());
        let balancers = of::<LoadBalancer>(rows, &router.load_balancer);
        let balanced = balancers.iter().flat_map(|lb| lb.vips.keys().map(|vip| address(vip)));
        let gateways = of::<LogicalRouterPort>(rows, &router.ports);
        let gateways = gateways.iter().filter(|port| port.ha_chassis_group.is_some());
        let own = gateways
            .flat_map(|port| &port.networks)
            .map(|net| net.parse::<IpNet>().ok().map(|net| net.addr()));
        for address in translated.chain(balanced).chain(own.collect::<Vec<_>>()).flatten() {
            owners.entry(address).or_default().insert(key);
        }
    }
    let shared = owners.into_iter().filter(|(_, owners)| owners.len() > 1);
    found.extend(shared.map(|(address, owners)| format!("{address} is of {owners:?}")));
}

/// The address of `ADDRESS:PORT`; `None` where it is something else.
pub(super) fn address(socket: &str) -> Option<IpAddr> {
    socket.parse::<SocketAddr>().ok().filter(|socket| socket.port() > 0).map(|socket| socket.ip())
}

fn balancers(rows: &Rows, found: &mut Vec<String>) {
    for (key, lb) in all::<LoadBalancer>(rows, Table::LoadBalancer) {
        for (vip, backends) in &lb.vips {
            let of_vip = address(vip);
            let fits = |backend: &str| address(backend).map(|a| a.is_ipv4()) == of_vip.map(|a| a.is_ipv4());
            if of_vip.is_none() || !backends.split(',').filter(|text| !text.is_empty()).all(fits) {
                found.push(format!("{key}: {vip} to {backends}"));
            }
        }
        for check in of::<LoadBalancerHealthCheck>(rows, &lb.health_check) {
            if !lb.vips.contains_key(&check.vip) || lb.ip_port_mappings.is_empty() {
                found.push(format!("{key}: nobody asks for {}", check.vip));
            }
        }
        for (backend, from) in &lb.ip_port_mappings {
            let port = from.split_once(':').map(|(port, _)| Key::new(Table::LogicalSwitchPort, port));
            if port.is_none_or(|key| rows.get(&key).is_none()) {
                found.push(format!("{key}: {backend} is asked from {from}"));
            }
        }
    }
    let switches =
        all::<LogicalSwitch>(rows, Table::LogicalSwitch).map(|(key, row)| (key, row.load_balancer));
    let routers = all::<LogicalRouter>(rows, Table::LogicalRouter).map(|(key, row)| (key, row.load_balancer));
    for (key, held) in switches.chain(routers) {
        let mut seen = BTreeSet::new();
        for lb in of::<LoadBalancer>(rows, &held) {
            let twice = lb.vips.keys().filter(|vip| !seen.insert((lb.protocol.clone(), (*vip).clone())));
            found.extend(twice.map(|vip| format!("{key} has {vip} twice")));
        }
    }
}

fn matches(rows: &Rows, found: &mut Vec<String>) {
    for (key, row) in rows.iter() {
        let Some(Datum::Set(atoms)) = row.get("match") else { continue };
        for atom in atoms {
            let Atom::Text(text) = atom else { continue };
            if text.is_empty() && key.table == Table::Nat {
                continue;
            }
            let parsed = matching::parse(text, SymbolSet::V23_03);
            let Some(expr) = parsed.expr else {
                found.push(format!("{key} matches `{text}`"));
                continue;
            };
            for reference in expr.references() {
                let group = reference.name.trim_end_matches("_ip4").trim_end_matches("_ip6");
                let is_there = |table, name: &str| rows.get(&Key::new(table, name)).is_some();
                let fine = match reference.kind {
                    ReferenceKind::PortGroup => is_there(Table::PortGroup, reference.name),
                    ReferenceKind::AddressSet => {
                        is_there(Table::AddressSet, reference.name) || is_there(Table::PortGroup, group)
                    }
                    ReferenceKind::Port | ReferenceKind::ResidentPort => true,
                };
                found.extend((!fine).then(|| format!("{key} names {}, which is not there", reference.name)));
            }
        }
    }
}

fn rules(rows: &Rows, found: &mut Vec<String>) {
    for (key, acl) in all::<Acl>(rows, Table::Acl) {
        let reads = |field| {
            let parsed = matching::parse(&acl.matching, SymbolSet::V23_03);
            parsed.expr.is_some_and(|expr| expr.mentions_field(field))
        };
        let late = acl.direction == "from-lport" && reads("outport");
        let early = acl.options.contains_key("apply-after-lb") && acl.direction != "from-lport";
        let meter =
            acl.meter.as_ref().is_none_or(|name| rows.get(&Key::new(Table::Meter, name.as_str())).is_some());
        let name = acl.name.as_ref().is_none_or(|name| name.len() <= 63 * 4 && name.chars().count() <= 63);
        if late || early || !meter || !name || !(0..=32_767).contains(&acl.priority) {
            found.push(format!("{key} has no effect, or another"));
        }
    }
    for (key, group) in all::<PortGroup>(rows, Table::PortGroup) {
        for acl in of::<Acl>(rows, &group.acls) {
            let end = if acl.direction == "from-lport" { "inport" } else { "outport" };
            if !acl.matching.starts_with(&format!("{end} == @{} && ", group.name)) {
                found.push(format!("{key}: `{}` is about ports that are not in it", acl.matching));
            }
        }
    }
    for (key, qos) in all::<Qos>(rows, Table::Qos) {
        let is_idle = qos.action.is_empty() && !qos.bandwidth.contains_key("rate");
        if is_idle || !(1..=32_767).contains(&qos.priority) {
            found.push(format!("{key} has no effect, or another"));
        }
    }
}

fn sets(rows: &Rows, found: &mut Vec<String>) {
    for (key, set) in all::<AddressSet>(rows, Table::AddressSet) {
        let nets = set
            .addresses
            .iter()
            .map(|text| text.parse::<IpNet>().or(text.parse::<IpAddr>().map(IpNet::from)));
        let v4: BTreeSet<Option<bool>> = nets.map(|net| net.ok().map(|net| net.addr().is_ipv4())).collect();
        if v4.len() > 1 || v4.contains(&None) {
            found.push(format!("{key} holds {:?}", set.addresses));
        }
    }
    let names = rows.iter().filter(|(key, _)| [Table::AddressSet, Table::PortGroup].contains(&key.table));
    for (key, _) in names {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '.';
        let is_name =
            key.name.starts_with(is_first) && key.name.chars().all(|c| is_first(c) || c.is_ascii_digit());
        found.extend((!is_name).then(|| format!("{key} can't be named in a match")));
    }
}

/// What guests are told: a block that has the guest's address, options that can be read, names that can be asked for.
fn guests(rows: &Rows, found: &mut Vec<String>) {
    for (key, port) in all::<LogicalSwitchPort>(rows, Table::LogicalSwitchPort) {
        let own: Vec<IpAddr> =
            port.addresses.iter().flat_map(|text| text.split(' ')).filter_map(|w| w.parse().ok()).collect();
        for told in [&port.dhcpv4_options, &port.dhcpv6_options] {
            for dhcp in of::<DhcpOptions>(rows, &told.iter().cloned().collect()) {
                let block = dhcp.cidr.parse::<IpNet>();
                if !block.is_ok_and(|block| own.iter().any(|address| block.contains(address))) {
                    found.push(format!("{key} is told of {}", dhcp.cidr));
                }
            }
        }
    }
    for (key, told) in all::<DhcpOptions>(rows, Table::DhcpOptions) {
        let v4 = told.cidr.parse::<IpNet>().is_ok_and(|block| block.addr().is_ipv4());
        let needed: &[&str] = if v4 { &["server_id", "server_mac", "lease_time"] } else { &["server_id"] };
        let lacks = needed.iter().filter(|name| !told.options.contains_key(**name));
        found.extend(lacks.map(|name| format!("{key} lacks {name}")));
        let is_read = |(name, value): &(&String, &String)| {
            *name == "server_mac" || dhcp::kind(v4, name).is_some_and(|kind| kind.takes(value))
        };
        let unread = told.options.iter().filter(|pair| !is_read(pair));
        found.extend(unread.map(|(name, value)| format!("{key} says {name}={value}")));
    }
    for (key, zone) in all::<Dns>(rows, Table::Dns) {
        let is_address = |word: &str| word.parse::<IpAddr>().is_ok();
        for (name, value) in &zone.records {
            let asked = name.to_lowercase() == *name;
            let answered = name.ends_with(".arpa") || value.split_whitespace().all(is_address);
            found.extend((!asked || !answered).then(|| format!("{key} answers {name} with {value}")));
        }
    }
}
