//! Rows are read once: references followed, addresses and matches parsed, ports joined.
//!
//! Refuses to fail: what OVN passes over is left out, with a note.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{
    AccessRule, AclId, Action, Address, Direction, Forced, Link, Network, Note, Port, PortId, PortKind,
    Router, RouterId, RouterPort, RouterPortId, RowId, RowInfo, Switch, SwitchId, parse_mac, parse_net,
};
use crate::nb::matching::{self, Expr, ReferenceKind};
use crate::nb::{
    Acl, AddressSet, Atom, Datum, DhcpOptions, LoadBalancer, LogicalRouter, LogicalRouterPolicy,
    LogicalRouterPort, LogicalRouterStaticRoute, LogicalSwitch, LogicalSwitchPort, Nat, PortGroup, Ref, Row,
    Table, stamp,
};
use crate::reach::filter::Member;
use crate::reach::header::bits;
use crate::span::Span;
use crate::target::Target;

/// `MAC IP…` as OVN reads it: up to the first word that is no address.
fn parse_address(text: &str) -> Option<Address> {
    let mut words = text.split_whitespace();
    let mac = parse_mac(words.next()?)?;
    let mut ips: Vec<IpNet> = words.map_while(parse_net).collect();
    ips.shrink_to_fit();
    Some(Address { mac, ips })
}

/// Those of some texts that are such; memory for no more, as there are many ports.
fn parse_addresses(texts: &BTreeSet<String>) -> Vec<Address> {
    let mut found: Vec<Address> = texts.iter().filter_map(|text| parse_address(text)).collect();
    found.shrink_to_fit();
    found
}

/// `[MAC] IP…` as OVN reads it: up to the first word that is no address. Before 23.06 it takes IPv4 addresses alone,
/// whatever their prefix length.
fn proxies(text: &str, target: Target) -> (Option<u64>, Vec<IpNet>) {
    let mut words = text.split_whitespace().peekable();
    if !target.is_at_least((23, 6)) {
        let nets = words.map_while(parse_net).filter(|net| net.addr().is_ipv4());
        return (None, nets.map(|net| net.addr().into()).collect());
    }
    let mac = words.peek().and_then(|word| parse_mac(word));
    let nets = words.skip(usize::from(mac.is_some())).map_while(parse_net);
    (mac, nets.map(|net| net.trunc()).collect())
}

pub(super) type Resolve<'a> = &'a dyn Fn(&Ref, Table) -> Option<RowId>;

/// What a database says beside its rows.
#[derive(Default)]
pub(super) struct Besides {
    /// Whether switches with rules drop what none is about.
    pub(super) drops_rest: bool,
    /// The balancers that switches and routers have by groups.
    pub(super) balancers: BTreeMap<RowId, BTreeSet<Ref>>,
}

pub(super) struct Builder<'a> {
    rows: Vec<&'a Row>,
    besides: Besides,
    pub(super) resolve: Resolve<'a>,
    pub(super) network: Network,
    port_of_row: BTreeMap<RowId, PortId>,
    dhcp: BTreeMap<RowId, Arc<DhcpOptions>>,
    /// Matches that have been read; none for those that OVN cannot read.
    matches: BTreeMap<RowId, Option<Arc<Expr>>>,
    /// The switches that each port group has ports on.
    switches_of: BTreeMap<String, BTreeSet<SwitchId>>,
}

impl<'a> Builder<'a> {
    pub(super) fn build(
        found: Vec<(String, &'a Row, Option<Span>)>,
        resolve: Resolve<'a>,
        besides: Besides,
        target: Target,
    ) -> Network {
        let rows = found.iter().map(|(_, row, _)| *row).collect();
        let infos = found.into_iter().map(|(name, row, origin)| RowInfo {
            table: row.table(),
            name,
            gist: gist(row),
            origin,
        });
        let network = Network { rows: infos.collect(), target, ..Network::default() };
        let mut builder = Builder {
            rows,
            besides,
            resolve,
            network,
            port_of_row: BTreeMap::new(),
            dhcp: BTreeMap::new(),
            matches: BTreeMap::new(),
            switches_of: BTreeMap::new(),
        };
        builder.switches();
        builder.sets();
        builder.routers();
        builder.links();
        builder.virtual_addresses();
        builder.translations();
        builder.access_rules();
        builder.network
    }

    /// The rows of a table, read.
    pub(super) fn table<T: for<'r> TryFrom<&'r Row>>(&self, table: Table) -> Vec<(RowId, T)> {
        let of_table = self.rows.iter().enumerate().filter(|(_, row)| row.table() == table);
        of_table.filter_map(|(at, row)| Some((RowId(at), T::try_from(row).ok()?))).collect()
    }

    /// The switch ports of a type, read: all of them at once are many.
    fn ports_of_type(&self, kind: &str) -> Vec<(RowId, LogicalSwitchPort)> {
        let is_one = |row: &Row| {
            let known =
                row.get("type").map(|datum| matches!(datum, Datum::Set(atoms) if is_text(atoms, kind)));
            row.table() == Table::LogicalSwitchPort && known == Some(true)
        };
        let rows = self.rows.iter().enumerate().filter(|(_, row)| is_one(row));
        rows.filter_map(|(at, row)| Some((RowId(at), LogicalSwitchPort::try_from(*row).ok()?))).collect()
    }

    pub(super) fn read<T: for<'r> TryFrom<&'r Row>>(&self, to: &Ref, table: Table) -> Option<(RowId, T)> {
        let id = (self.resolve)(to, table)?;
        Some((id, T::try_from(self.rows[id.0]).ok()?))
    }

    pub(super) fn note(&mut self, row: RowId, what: impl Into<String>) {
        self.network.notes.push(Note { row, what: what.into() });
    }

    fn routers(&mut self) {
        for (row, router) in self.table::<LogicalRouter>(Table::LogicalRouter) {
            if router.enabled == Some(false) {
                self.note(row, "OVN passes over it and its ports: it is switched off");
                continue;
            }
            let id = RouterId(self.network.routers.len());
            let ports: Vec<_> =
                router.ports.iter().filter_map(|to| self.read(to, Table::LogicalRouterPort)).collect();
            let ports = ports.into_iter().filter_map(|(row, port)| self.router_port(id, row, port)).collect();
            let routes = router.static_routes.iter();
            let routes = routes.filter_map(|to| self.read(to, Table::LogicalRouterStaticRoute)).collect();
            let policies: Vec<(RowId, LogicalRouterPolicy)> =
                router.policies.iter().filter_map(|to| self.read(to, Table::LogicalRouterPolicy)).collect();
            let policies = policies.into_iter().filter_map(|(row, policy)| {
                let matching = self.matching(row, &policy.matching, None)?;
                Some((row, policy, matching))
            });
            let policies = policies.collect();
            let ports: Vec<RouterPortId> = ports;
            let is_gateway = router.options.contains_key("chassis");
            let (mut vips, unfollowed) = self.vips(&self.balancers(row, router.load_balancer));
            let forced = Forced::of(&router.options);
            let forces = !forced.balanced.is_empty() || is_gateway && forced.is_of_port;
            vips.iter_mut().for_each(|vip| self.void(vip, forces));
            self.network.routers.push(Router {
                row,
                vips,
                forced: if is_gateway { forced } else { Forced::default() },
                name: router.name,
                ports,
                routes,
                policies,
                is_gateway,
                translations: Vec::new(),
                unfollowed,
                reserved: Vec::new(),
            });
        }
    }

    fn router_port(&mut self, router: RouterId, row: RowId, port: LogicalRouterPort) -> Option<RouterPortId> {
        let Some(mac) = parse_mac(&port.mac) else {
            self.note(row, format!("OVN passes over the port: `{}` is no Ethernet address", port.mac));
            return None;
        };
        let networks: Vec<IpNet> = port.networks.iter().filter_map(|net| parse_net(net)).collect();
        if networks.len() < port.networks.len() {
            self.note(row, "OVN passes over networks that it cannot read");
        }
        let id = RouterPortId(self.network.router_ports.len());
        self.network.router_ports.push(RouterPort {
            row,
            name: port.name,
            router,
            mac,
            networks,
            link: Link::Nothing,
            route_table: port.options.get("route_table").cloned().unwrap_or_default(),
            is_enabled: port.enabled != Some(false),
            advertises: port.ipv6_ra_configs.contains_key("address_mode"),
            is_gateway: port.ha_chassis_group.is_some() || !port.gateway_chassis.is_empty(),
        });
        Some(id)
    }

    fn switches(&mut self) {
        for (row, switch) in self.table::<LogicalSwitch>(Table::LogicalSwitch) {
            let id = SwitchId(self.network.switches.len());
            let ports: Vec<_> =
                switch.ports.iter().filter_map(|to| self.read(to, Table::LogicalSwitchPort)).collect();
            let ports = ports.into_iter().map(|(row, port)| self.port(id, row, port)).collect();
            let balancers = self.balancers(row, switch.load_balancer);
            let (vips, unfollowed) = self.vips(&balancers);
            let is_balanced = self.have_addresses(&balancers);
            self.network.switches.push(Switch {
                row,
                name: switch.name,
                ports,
                acls: Vec::new(),
                has_followed: false,
                is_balanced,
                drops_rest: false,
                drops_new: is_balanced && self.besides.drops_rest && !self.network.target.has_acl_tiers(),
                vips,
                unfollowed,
                answers_dns: !switch.dns_records.is_empty(),
            });
        }
    }

    /// The balancers of a switch or router, its own and those of its groups.
    fn balancers(&self, row: RowId, own: BTreeSet<Ref>) -> BTreeSet<Ref> {
        own.into_iter().chain(self.besides.balancers.get(&row).into_iter().flatten().cloned()).collect()
    }

    fn port(&mut self, switch: SwitchId, row: RowId, port: LogicalSwitchPort) -> PortId {
        let kind = match port.kind.as_str() {
            "" | "localport" => PortKind::Guest,
            "router" => PortKind::Router(None),
            "localnet" => PortKind::Localnet,
            other => PortKind::Other(other.to_owned()),
        };
        let security = parse_addresses(&port.port_security);
        if security.len() < port.port_security.len() {
            self.note(row, "OVN passes over port security without an Ethernet address");
        }
        let dhcp = port.dhcpv4_options.as_ref().and_then(|to| self.dhcp(to));
        let proxied = port.options.get("arp_proxy").map(String::as_str).unwrap_or_default();
        // A map that all is taken out of keeps half a KiB.
        let is_label = |key: &str| ![stamp::OWNER, stamp::KEY, stamp::DIGEST].contains(&key);
        let labels = port.external_ids.into_iter().filter(|(key, _)| is_label(key)).collect();
        let (proxy_mac, proxied) = proxies(proxied, self.network.target);
        let id = PortId(self.network.ports.len());
        self.port_of_row.insert(row, id);
        self.network.ports.push(Port {
            row,
            name: port.name,
            switch,
            kind,
            addresses: parse_addresses(&port.addresses),
            has_unknown: port.addresses.contains("unknown"),
            is_dynamic: port.addresses.iter().any(|text| text.split_whitespace().any(|w| w == "dynamic")),
            is_router_address: port.addresses.contains("router"),
            security,
            is_enabled: port.enabled != Some(false),
            shared: Vec::new(),
            proxied,
            proxy_mac,
            dhcpv4: dhcp,
            labels,
        });
        id
    }

    /// What a row tells machines, read once.
    fn dhcp(&mut self, to: &Ref) -> Option<Arc<DhcpOptions>> {
        let row = (self.resolve)(to, Table::DhcpOptions)?;
        if let Some(known) = self.dhcp.get(&row) {
            return Some(known.clone());
        }
        let (_, options) = self.read::<DhcpOptions>(to, Table::DhcpOptions)?;
        let options = Arc::new(options);
        self.dhcp.insert(row, options.clone());
        Some(options)
    }

    /// Joins router ports with what they name.
    fn links(&mut self) {
        let by_name: BTreeMap<String, RouterPortId> = (self.network.router_ports.iter().enumerate())
            .map(|(at, port)| (port.name.clone(), RouterPortId(at)))
            .collect();
        for (row, port) in self.table::<LogicalRouterPort>(Table::LogicalRouterPort) {
            let Some(id) = by_name.get(&port.name) else { continue };
            let Some(peer) = port.peer.as_ref().filter(|peer| !peer.is_empty()) else { continue };
            match by_name.get(peer) {
                Some(peer) => self.network.router_ports[id.0].link = Link::Router(*peer),
                None => self.note(row, format!("there is no router port `{peer}`")),
            }
        }
        for (row, port) in self.ports_of_type("router") {
            let Some(id) = self.port_of_row.get(&row) else { continue };
            let at = id.0;
            let wanted = port.options.get("router-port").map(String::as_str).unwrap_or_default();
            match by_name.get(wanted) {
                Some(id) => {
                    self.network.ports[at].kind = PortKind::Router(Some(*id));
                    let end = &mut self.network.router_ports[id.0];
                    if end.link == Link::Nothing {
                        end.link = Link::Switch(PortId(at));
                    } else {
                        end.link = Link::Contested;
                        self.note(row, format!("router port `{wanted}` has another end already"));
                    }
                }
                None => self.note(row, format!("there is no router port `{wanted}`")),
            }
        }
    }

    /// Addresses that any of several machines may take on.
    fn virtual_addresses(&mut self) {
        for (row, port) in self.ports_of_type("virtual") {
            let Some(id) = self.port_of_row.get(&row) else { continue };
            let switch = self.network.port(*id).switch;
            let option = |name| port.options.get(name).map(String::as_str).unwrap_or_default();
            let (Ok(address), parents) = (option("virtual-ip").parse::<IpAddr>(), option("virtual-parents"))
            else {
                continue;
            };
            let parents: BTreeSet<&str> = parents.split(',').map(str::trim).collect();
            for at in self.network.switches[switch.0].ports.clone() {
                if parents.contains(self.network.ports[at.0].name.as_str()) {
                    self.network.ports[at.0].shared.push(address);
                }
            }
        }
    }

    /// Address sets, port groups, and the address sets that OVN makes of those.
    fn sets(&mut self) {
        for (_, set) in self.table::<AddressSet>(Table::AddressSet) {
            let members = set.addresses.iter().filter_map(|text| member(text)).collect();
            self.network.names.address_sets.insert(set.name, members);
        }
        for (_, group) in self.table::<PortGroup>(Table::PortGroup) {
            let ports = self.members(&group);
            let nets = ports.iter().flat_map(|id| &self.network.port(*id).addresses).flat_map(|own| &own.ips);
            let of = |is_ipv6| {
                let own = nets.clone().filter(|net: &&IpNet| net.addr().is_ipv6() == is_ipv6);
                own.map(|net| host(net.addr())).collect::<Vec<_>>()
            };
            let made =
                [(format!("{}_ip4", group.name), of(false)), (format!("{}_ip6", group.name), of(true))];
            let names = ports.iter().map(|id| self.network.port(*id).name.clone()).collect();
            let switches = ports.iter().map(|id| self.network.port(*id).switch).collect();
            self.switches_of.insert(group.name.clone(), switches);
            self.network.names.port_groups.insert(group.name, names);
            self.network.names.address_sets.extend(made);
        }
    }

    fn members(&self, group: &PortGroup) -> Vec<PortId> {
        let rows = group.ports.iter().filter_map(|to| (self.resolve)(to, Table::LogicalSwitchPort));
        rows.filter_map(|row| self.port_of_row.get(&row).copied()).collect()
    }

    /// The rules of each switch: its own, and those of the groups that its ports are in.
    fn access_rules(&mut self) {
        let mut rules: Vec<BTreeMap<RowId, Acl>> = vec![BTreeMap::new(); self.network.switches.len()];
        for (at, (_, switch)) in self.table::<LogicalSwitch>(Table::LogicalSwitch).into_iter().enumerate() {
            rules[at].extend(switch.acls.iter().filter_map(|to| self.read::<Acl>(to, Table::Acl)));
        }
        for (_, group) in self.table::<PortGroup>(Table::PortGroup) {
            let own: Vec<(RowId, Acl)> =
                group.acls.iter().filter_map(|to| self.read(to, Table::Acl)).collect();
            let switches = self.members(&group).into_iter().map(|id| self.network.port(id).switch);
            for switch in switches.collect::<BTreeSet<SwitchId>>() {
                rules[switch.0].extend(own.iter().cloned());
            }
        }
        for (at, rules) in rules.into_iter().enumerate() {
            self.network.switches[at].has_followed = rules.values().any(|acl| acl.action == "allow-related");
            self.network.switches[at].drops_rest = self.besides.drops_rest && !rules.is_empty();
            let mut ids: Vec<AclId> = rules
                .into_iter()
                .filter_map(|(row, acl)| self.access_rule(row, &acl, SwitchId(at)))
                .collect();
            ids.sort_by_key(|id| {
                let rule = &self.network.acls[id.0];
                (rule.direction, rule.tier, -rule.priority, rule.row)
            });
            self.network.switches[at].acls = ids;
        }
    }

    fn access_rule(&mut self, row: RowId, acl: &Acl, switch: SwitchId) -> Option<AclId> {
        let matching = self.matching(row, &acl.matching, Some(switch))?;
        if acl.action == "reject" && !self.is_read_behind_and(switch, &acl.matching) {
            self.note(row, "OVN before 23.06 passes over it: a match with `||` needs parentheses around it");
            return None;
        }
        let is_after = acl.options.get("apply-after-lb").is_some_and(|value| value == "true");
        let direction = match (acl.direction.as_str(), is_after) {
            ("from-lport", false) => Direction::FromPort,
            ("from-lport", true) => Direction::FromPortBalanced,
            _ => Direction::ToPort,
        };
        let action = match acl.action.as_str() {
            "allow" | "allow-related" => Action::Allow,
            "allow-stateless" => Action::AllowStateless,
            "drop" => Action::Drop,
            "reject" => Action::Reject,
            "pass" => Action::Pass,
            other => {
                self.note(row, format!("OVN knows no action `{other}`"));
                return None;
            }
        };
        let id = AclId(self.network.acls.len());
        let (tier, priority) = (acl.tier, acl.priority);
        self.network.acls.push(AccessRule { row, direction, tier, priority, matching, action });
        Some(id)
    }

    /// Up to 23.06, where connections are followed, the match of a rule that rejects stands behind `… && `
    /// as it is written, and `||` beside `&&` is an error.
    fn is_read_behind_and(&self, switch: SwitchId, text: &str) -> bool {
        let is_bare = self.network.switch(switch).is_stateful() && !self.network.target.has_acl_tiers();
        !is_bare || matching::parse(&format!("ip && {text}"), self.network.symbols()).expr.is_some()
    }

    /// A match that OVN can read and resolve for a switch with its ports, or for a router, which has
    /// none; one that it cannot is as if it were not there.
    fn matching(&mut self, row: RowId, text: &str, switch: Option<SwitchId>) -> Option<Arc<Expr>> {
        let symbols = self.network.symbols();
        let read = self.matches.entry(row);
        let read = read.or_insert_with(|| matching::parse(text, symbols).expr.map(Arc::new));
        let Some(expr) = read.clone() else {
            self.note(row, "OVN passes over it: it cannot read the match");
            return None;
        };
        let names = &self.network.names;
        let missing: BTreeSet<String> = expr
            .references()
            .iter()
            .filter_map(|it| match it.kind {
                ReferenceKind::AddressSet => {
                    let width = it.field.map_or(0, |field| field.width);
                    let fits = |set: &Vec<Member>| set.iter().all(|member| member.width <= width);
                    (!names.address_sets.get(it.name).is_some_and(fits)).then(|| format!("`${}`", it.name))
                }
                ReferenceKind::PortGroup => {
                    let on = self.switches_of.get(it.name);
                    let is_here = switch.is_some_and(|switch| on.is_some_and(|on| on.contains(&switch)));
                    (!is_here).then(|| format!("`@{}`", it.name))
                }
                ReferenceKind::Port | ReferenceKind::ResidentPort => None,
            })
            .collect();
        if missing.is_empty() {
            return Some(expr);
        }
        let missing: Vec<String> = missing.into_iter().collect();
        self.note(row, format!("OVN passes over it: there is no fitting {}", missing.join(", ")));
        None
    }
}

fn is_text(atoms: &[Atom], text: &str) -> bool {
    matches!(atoms, [Atom::Text(own)] if **own == *text)
}

/// An address as a member of a set.
fn host(address: IpAddr) -> Member {
    let width = if address.is_ipv6() { 128 } else { 32 };
    Member { value: bits(address), mask: u128::MAX, width }
}

/// A member of an address set.
fn member(text: &str) -> Option<Member> {
    if let Some(mac) = parse_mac(text) {
        return Some(Member { value: mac.into(), mask: u128::MAX, width: 48 });
    }
    let net = parse_net(text)?;
    let width = u32::from(net.max_prefix_len());
    let free = width - u32::from(net.prefix_len());
    let mask = if free == 0 { u128::MAX } else { u128::MAX.checked_shl(free).unwrap_or(0) };
    let mask = if width == 32 && free > 0 { mask & u128::from(u32::MAX) } else { mask };
    Some(Member { value: bits(net.network()), mask, width })
}

/// What a row does, in a few words of the row's own.
fn gist(row: &Row) -> String {
    let text = match row.table() {
        Table::Acl => Acl::try_from(row).map(|acl| {
            format!(
                "{} {} {} `{}`",
                acl.direction,
                acl.priority,
                acl.action,
                matching::one_line(&acl.matching)
            )
        }),
        Table::LogicalRouterPolicy => LogicalRouterPolicy::try_from(row).map(|policy| {
            let hops: Vec<&str> = policy.nexthops.iter().map(String::as_str).collect();
            let to = policy.jump_chain.clone().filter(|_| hops.is_empty()).unwrap_or(hops.join(", "));
            let to = if to.is_empty() { to } else { format!(" to {to}") };
            let text = matching::one_line(&policy.matching);
            format!("{} {}{to} `{text}`", policy.priority, policy.action)
        }),
        Table::LogicalRouterStaticRoute => LogicalRouterStaticRoute::try_from(row).map(|route| {
            let from = if route.policy.as_deref() == Some("src-ip") { "from " } else { "" };
            format!("{from}{} via {}", route.ip_prefix, route.nexthop)
        }),
        Table::Nat => {
            Nat::try_from(row).map(|nat| format!("{} {} as {}", nat.kind, nat.logical_ip, nat.external_ip))
        }
        Table::LoadBalancer => LoadBalancer::try_from(row).map(|balancer| {
            let vips = balancer.vips.iter().map(|(vip, backends)| match backends.as_str() {
                "" => format!("{vip} to nobody"),
                backends => format!("{vip} to {backends}"),
            });
            vips.collect::<Vec<_>>().join(", ")
        }),
        _ => Ok(String::new()),
    };
    text.unwrap_or_default()
}
