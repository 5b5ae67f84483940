//! Northbound rows as a network: who hangs on whom, with every text read once.
//!
//! What OVN passes over without a word (a route that has no path, a match that it cannot read) is passed
//! over here too, and remembered as a [`Note`].
//!
//! Refuses to decide where a packet goes, and to know whether northc wrote the rows.

mod balancers;
mod build;
mod translations;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;
use uuid::Uuid;

pub use self::balancers::Responder;
use self::build::{Besides, Builder};
pub use self::translations::{Forced, Peers, Translation, Unfollowed};
use super::filter::Names;
use super::selector::Labels;
use crate::nb::actual::{self, Actual};
use crate::nb::matching::{Expr, SymbolSet};
use crate::nb::{DhcpOptions, Key, LogicalRouterPolicy, LogicalRouterStaticRoute, Ref, Rows, Table, stamp};
use crate::span::Span;
use crate::target::Target;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub usize);
    )* };
}

ids! {
    /// A row, by its place in [`Network::rows`].
    RowId,
    /// A switch, by its place in [`Network::switches`].
    SwitchId,
    /// A switch port, by its place in [`Network::ports`].
    PortId,
    /// A router, by its place in [`Network::routers`].
    RouterId,
    /// A router port, by its place in [`Network::router_ports`].
    RouterPortId,
    /// An access rule, by its place in [`Network::acls`].
    AclId,
}

/// What is said of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowInfo {
    /// Its table.
    pub table: Table,
    /// What people call it: its key, its name, else its UUID.
    pub name: String,
    /// What it does, for rows whose name says nothing.
    pub gist: String,
    /// The YAML that caused it, where that is known.
    pub origin: Option<Span>,
}

/// A row that OVN passes over, or that makes it do something else than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The row.
    pub row: RowId,
    /// What is wrong with it.
    pub what: String,
}

/// An Ethernet address and the addresses that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The Ethernet address.
    pub mac: u64,
    /// With the prefix length that is written, else that of a host.
    pub ips: Vec<IpNet>,
}

/// What a switch port is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A machine.
    Guest,
    /// A router, if there is one at its end.
    Router(Option<RouterPortId>),
    /// A physical network.
    Localnet,
    /// Something that is not followed; the type.
    Other(String),
}

/// A switch port.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its row.
    pub row: RowId,
    /// Its name.
    pub name: String,
    /// The switch that it is on.
    pub switch: SwitchId,
    /// What it is for.
    pub kind: PortKind,
    /// The addresses that it is known by.
    pub addresses: Vec<Address>,
    /// Whether anything may be behind it.
    pub has_unknown: bool,
    /// Whether northd chooses an address of it.
    pub is_dynamic: bool,
    /// Whether it stands for its peer's Ethernet address.
    pub is_router_address: bool,
    /// The addresses that it may use; empty allows any.
    pub security: Vec<Address>,
    /// Whether it is switched on.
    pub is_enabled: bool,
    /// Virtual addresses that the machine may take on.
    pub shared: Vec<IpAddr>,
    /// What a router answers for in its place, as the port to it says (`arp_proxy`).
    pub proxied: Vec<IpNet>,
    /// By which Ethernet address; the router's own where none is given.
    pub proxy_mac: Option<u64>,
    /// What DHCPv4 tells the machine.
    pub dhcpv4: Option<Arc<DhcpOptions>>,
    /// What people say of it: its `external_ids`, and what is added to them.
    pub labels: Labels,
}

/// A switch.
#[derive(Clone, Debug)]
pub struct Switch {
    /// Its row.
    pub row: RowId,
    /// Its name.
    pub name: String,
    /// Its ports.
    pub ports: Vec<PortId>,
    /// The rules that hold on it, highest priority first.
    pub acls: Vec<AclId>,
    /// Whether rules have connections followed on it.
    pub has_followed: bool,
    /// Whether balancers do, and then those of physical networks too.
    pub is_balanced: bool,
    /// Whether what no rule is about is dropped.
    pub drops_rest: bool,
    /// Whether new connections are that no rule is about: before 23.06 for a balancer alone.
    pub drops_new: bool,
    /// The virtual addresses of its balancers.
    pub vips: Vec<Vip>,
    /// Its balancers that are not followed.
    pub unfollowed: Vec<Unfollowed>,
    /// Whether it answers DNS.
    pub answers_dns: bool,
}

/// An address that a balancer spreads over others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// The balancer.
    pub row: RowId,
    /// The address.
    pub address: IpAddr,
    /// The port; all of them, of all protocols, where none is written.
    pub port: Option<u16>,
    /// The protocol.
    pub proto: u128,
    /// Where connections go, one of them each; ports where the address has one.
    pub backends: Vec<(IpAddr, Option<u16>)>,
    /// Whether senders are told that there is no backend.
    pub rejects: bool,
    /// Whether a router leaves the source of what it spreads as it is.
    pub keeps_source: bool,
    /// The source that a backend sees which has asked itself.
    pub hairpin: IpAddr,
    /// Who is told that a router has the address.
    pub responder: Responder,
    /// Whether a router makes nothing of it, and lets its packets pass by.
    pub is_void: bool,
}

/// Which way a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// At what a port sends.
    FromPort,
    /// At what a port sends, once balancers have chosen (`apply-after-lb`).
    FromPortBalanced,
    /// At what a port is sent.
    ToPort,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Lets through; on a switch that follows connections, answers too.
    Allow,
    /// Lets through without following the connection.
    AllowStateless,
    /// Drops.
    Drop,
    /// Drops, and says so to the sender.
    Reject,
    /// Leaves it to the next tier.
    Pass,
}

impl Action {
    /// Whether packets go on.
    pub fn lets_through(self) -> bool {
        matches!(self, Action::Allow | Action::AllowStateless)
    }
}

/// An access rule that OVN can read.
#[derive(Clone, Debug)]
pub struct AccessRule {
    /// Its row.
    pub row: RowId,
    /// Which way it looks.
    pub direction: Direction,
    /// Lower ones are asked first.
    pub tier: i64,
    /// Higher ones win.
    pub priority: i64,
    /// The packets it is about.
    pub matching: Arc<Expr>,
    /// What it does to them.
    pub action: Action,
}

/// What is at the other end of a router port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A port of a switch.
    Switch(PortId),
    /// A port of a router.
    Router(RouterPortId),
    /// Nothing.
    Nothing,
    /// More than one thing; which of them OVN takes is chance.
    Contested,
}

/// A router port.
#[derive(Clone, Debug)]
pub struct RouterPort {
    /// Its row.
    pub row: RowId,
    /// Its name.
    pub name: String,
    /// The router that it is on.
    pub router: RouterId,
    /// Its Ethernet address.
    pub mac: u64,
    /// Its addresses and the networks they are in.
    pub networks: Vec<IpNet>,
    /// What is at its other end.
    pub link: Link,
    /// The route table for what comes in here; empty for the main one.
    pub route_table: String,
    /// Whether it is switched on.
    pub is_enabled: bool,
    /// Whether it tells IPv6 guests of itself.
    pub advertises: bool,
    /// Whether a gateway chassis hosts it, where translations are done.
    pub is_gateway: bool,
}

/// A router.
#[derive(Clone, Debug)]
pub struct Router {
    /// Its row.
    pub row: RowId,
    /// Its name.
    pub name: String,
    /// Its ports.
    pub ports: Vec<RouterPortId>,
    /// Its static routes.
    pub routes: Vec<(RowId, LogicalRouterStaticRoute)>,
    /// Its policies that OVN can read.
    pub policies: Vec<(RowId, LogicalRouterPolicy, Arc<Expr>)>,
    /// Whether all of it is on one chassis.
    pub is_gateway: bool,
    /// Its translations that OVN carries out.
    pub translations: Vec<Translation>,
    /// Its translations and balancers that are not followed.
    pub unfollowed: Vec<Unfollowed>,
    /// Addresses that it does not take for its own, though nothing comes of their translations.
    pub reserved: Vec<IpAddr>,
    /// The sources that it gives to what it has translated or spread.
    pub forced: Forced,
    /// The virtual addresses of its balancers.
    pub vips: Vec<Vip>,
}

/// Rows as a network.
#[derive(Debug, Default)]
pub struct Network {
    /// Every row, for what is said of it.
    pub rows: Vec<RowInfo>,
    /// The switches.
    pub switches: Vec<Switch>,
    /// Their ports.
    pub ports: Vec<Port>,
    /// The routers.
    pub routers: Vec<Router>,
    /// Their ports.
    pub router_ports: Vec<RouterPort>,
    /// The access rules.
    pub acls: Vec<AccessRule>,
    /// What matches can refer to.
    pub names: Names,
    /// The OVN that runs them.
    pub target: Target,
    /// What OVN passes over.
    pub notes: Vec<Note>,
    /// The machines' ports in the order of their names.
    pub(super) by_name: OnceLock<Vec<PortId>>,
}

/// The port of servers that answer for names.
pub(super) const DNS_PORT: u128 = 53;

impl Network {
    /// Whether a switch lets everything from UDP port 53 pass to its ports, because OVN answers for names there. Since
    /// 25.03 none does; of 24.03 and 24.09, where patches ended it, the first releases still do (CVE-2025-0650).
    pub(super) fn passes_dns(&self, switch: SwitchId) -> bool {
        self.switch(switch).answers_dns && !self.target.is_at_least((25, 3))
    }

    /// Every address that is somebody's: a machine's, a router's, one that stands for others or that others stand for.
    pub fn given(&self) -> impl Iterator<Item = IpAddr> {
        let machines = self.ports.iter().flat_map(|port| {
            let own = port.addresses.iter().flat_map(|address| &address.ips).map(IpNet::addr);
            own.chain(port.shared.iter().copied())
        });
        let routers = self.router_ports.iter().flat_map(RouterPort::addresses);
        let translations = self.routers.iter().flat_map(|router| &router.translations);
        let translated = translations.flat_map(|it| [it.external, it.logical.addr()]);
        let switches = self.switches.iter().flat_map(|switch| &switch.vips);
        let vips = switches.chain(self.routers.iter().flat_map(|router| &router.vips));
        let balanced =
            vips.flat_map(|vip| vip.backends.iter().map(|(to, _)| *to).chain([vip.address, vip.hairpin]));
        machines.chain(routers).chain(translated).chain(balanced)
    }

    /// The network of rows that were compiled.
    pub fn of_rows(rows: &Rows, target: Target) -> Network {
        let ids: BTreeMap<&Key, RowId> =
            rows.iter().enumerate().map(|(at, (key, _))| (key, RowId(at))).collect();
        let found = rows.iter().map(|(key, row)| (key.name.to_string(), row, rows.origin(key)));
        let resolve = |to: &Ref, _: Table| match to {
            Ref::Key(key) => ids.get(key).copied(),
            Ref::Foreign(_) => None,
        };
        Builder::build(found.collect(), &resolve, Besides::default(), target)
    }

    /// The network of a live database.
    pub fn of_actual(actual: &Actual, target: Target) -> Network {
        Network::of_actual_at(actual, &|_, _| None, target)
    }

    /// The same, with the YAML behind the rows where somebody knows it.
    pub fn of_actual_at(
        actual: &Actual,
        origin: &dyn Fn(Table, Uuid) -> Option<Span>,
        target: Target,
    ) -> Network {
        let ids: BTreeMap<(Table, Uuid), RowId> =
            actual.iter().enumerate().map(|(at, (uuid, row))| ((row.table(), uuid), RowId(at))).collect();
        let found = actual.iter().map(|(uuid, row)| {
            let name = actual::name(row).or_else(|| stamp::external_id(row, stamp::KEY));
            let name = name.map_or_else(|| uuid.to_string(), str::to_owned);
            (name, row.as_ref(), origin(row.table(), uuid))
        });
        let resolve = |to: &Ref, table: Table| match to {
            Ref::Foreign(uuid) => ids.get(&(table, *uuid)).copied(),
            Ref::Key(_) => None,
        };
        let besides = Besides {
            drops_rest: actual.beside.drops_rest(),
            balancers: (actual.iter().enumerate())
                .map(|(at, (uuid, _))| (RowId(at), actual.beside.balancers(uuid).map(Ref::Foreign).collect()))
                .filter(|(_, refs): &(RowId, BTreeSet<Ref>)| !refs.is_empty())
                .collect(),
        };
        Builder::build(found.collect(), &resolve, besides, target)
    }

    /// Adds what somebody says of machines, by the names of their ports.
    pub fn label<'l>(&mut self, labels: impl IntoIterator<Item = (&'l str, &'l [(String, String)])>) {
        let by_port: BTreeMap<&str, &[(String, String)]> = labels.into_iter().collect();
        for port in &mut self.ports {
            port.labels
                .extend(by_port.get(port.name.as_str()).into_iter().flat_map(|own| own.iter().cloned()));
        }
    }

    /// What is said of a row.
    pub fn row(&self, row: RowId) -> &RowInfo {
        &self.rows[row.0]
    }

    /// The port.
    pub fn port(&self, port: PortId) -> &Port {
        &self.ports[port.0]
    }

    /// The switch.
    pub fn switch(&self, switch: SwitchId) -> &Switch {
        &self.switches[switch.0]
    }

    /// The router.
    pub fn router(&self, router: RouterId) -> &Router {
        &self.routers[router.0]
    }

    /// The router port.
    pub fn router_port(&self, port: RouterPortId) -> &RouterPort {
        &self.router_ports[port.0]
    }

    /// The router ports that a switch leads to, with the switch ports they hang on.
    pub fn routers_on(&self, switch: SwitchId) -> impl Iterator<Item = (PortId, RouterPortId)> {
        self.switch(switch).ports.iter().filter_map(|id| Some((*id, self.port(*id).router_port()?)))
    }

    /// The ports of machines in the order of their names.
    pub(super) fn by_name(&self) -> &[PortId] {
        self.by_name.get_or_init(|| {
            let ids = (0..self.ports.len()).map(PortId);
            let mut guests: Vec<PortId> = ids.filter(|id| self.port(*id).kind == PortKind::Guest).collect();
            guests.sort_by(|a, b| self.port(*a).name.cmp(&self.port(*b).name));
            guests
        })
    }

    /// Whether conntrack is asked about what passes a port.
    pub fn is_tracked(&self, id: PortId) -> bool {
        let port = self.port(id);
        let switch = self.switch(port.switch);
        match port.kind {
            PortKind::Router(_) => false,
            PortKind::Localnet => switch.is_balanced,
            PortKind::Guest | PortKind::Other(_) => switch.is_stateful(),
        }
    }

    /// The symbols that matches are read with.
    pub fn symbols(&self) -> SymbolSet {
        symbols(self.target)
    }
}

impl Switch {
    /// Whether connections are followed on it.
    pub fn is_stateful(&self) -> bool {
        self.has_followed || self.is_balanced
    }
}

impl Port {
    /// The router port at its end.
    pub(super) fn router_port(&self) -> Option<RouterPortId> {
        match self.kind {
            PortKind::Router(id) => id,
            PortKind::Guest | PortKind::Localnet | PortKind::Other(_) => None,
        }
    }
}

impl RouterPort {
    /// Its addresses, with the link-local one that its Ethernet address gives.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let link_local = self.networks.iter().any(|net| net.addr().is_ipv6());
        let own = link_local.then(|| IpAddr::V6(link_local_of(self.mac)));
        self.networks.iter().map(IpNet::addr).chain(own)
    }
}

/// The newest symbols that are not newer than the target.
fn symbols(target: Target) -> SymbolSet {
    let is_old_enough =
        |symbols: &SymbolSet| symbols.to_string().parse::<Target>().is_ok_and(|version| version <= target);
    SymbolSet::ALL.into_iter().filter(is_old_enough).max().unwrap_or(SymbolSet::V23_03)
}

/// The link-local address that follows from an Ethernet address (RFC 4291, appendix A).
pub(super) fn link_local_of(mac: u64) -> Ipv6Addr {
    let high = ((mac >> 24) & 0xff_ffff) ^ 0x02_0000;
    let low = mac & 0xff_ffff;
    Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(high << 40 | 0xff_fe00_0000 | low))
}

/// `02:00:00:00:00:01` as a number.
pub(super) fn parse_mac(text: &str) -> Option<u64> {
    let mut mac = 0;
    let mut n_bytes = 0;
    for byte in text.split(':') {
        if byte.is_empty() || byte.len() > 2 {
            return None;
        }
        mac = mac << 8 | u64::from_str_radix(byte, 16).ok()?;
        n_bytes += 1;
    }
    (n_bytes == 6).then_some(mac)
}

/// A number as `02:00:00:00:00:01`.
pub(super) fn show_mac(mac: u64) -> String {
    let bytes: Vec<String> = (0..6).rev().map(|at| format!("{:02x}", (mac >> (8 * at)) & 0xff)).collect();
    bytes.join(":")
}

/// `10.0.0.1/24`, or an address alone for a host.
pub(super) fn parse_net(text: &str) -> Option<IpNet> {
    match text.parse::<IpNet>() {
        Ok(net) => Some(net),
        Err(_) => text.parse::<IpAddr>().ok().map(IpNet::from),
    }
}
