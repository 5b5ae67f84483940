//! Names that people use, as parties of a question.
//!
//! A name is a port's, or the start of one up to a dot if the ports that start so are one machine's; a subnet's
//! (a switch), a VPC's (a router), an address (of a machine, a balancer, a router), a network, labels, `*` for
//! every machine, or `internet`.
//!
//! Refuses to take a name that fits two things.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::{is_host, within_any};
use super::header::{Field, Header, bits, eth_type};
use super::judge::{Judge, Party, Place};
use super::network::{Link, Network, PortId, PortKind, RowId, SwitchId, Vip};
use super::outside::public;
use super::selector::Selector;
use super::set::Sets;
use crate::nearest::nearest;

/// What stands for everything that is on none of the networks.
pub const INTERNET: &str = "internet";

/// What stands for every machine.
pub const EVERYBODY: &str = "*";

/// The parties that a name stands for; the error says what is wrong with it.
pub fn parties(judge: &Judge<'_>, name: &str) -> Result<Vec<Party>, String> {
    let network = judge.network;
    if name.trim().is_empty() {
        return Err("a name is empty".to_owned());
    }
    if name == INTERNET {
        return Ok(vec![internet(judge)]);
    }
    if name == EVERYBODY {
        return Ok(everybody(judge));
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return at(judge, IpNet::from(address), name);
    }
    if let Ok(net) = name.parse::<IpNet>() {
        return at(judge, net.trunc(), name);
    }
    if let Some((start, length)) = name.split_once('/')
        && let Ok(address) = start.parse::<IpAddr>()
    {
        let most = IpNet::from(address).max_prefix_len();
        return Err(format!("`{name}` is no network: `{length}` is no length of a prefix, 0 to {most}"));
    }
    // Kubernetes' way to name a machine of a namespace.
    let in_namespace = name.split_once('/').map(|(namespace, name)| format!("{name}.{namespace}"));
    let ports = match Selector::is_meant(name) {
        true => selected(network, name)?,
        false => named(network, in_namespace.as_deref().unwrap_or(name), name)?,
    };
    let found: Vec<Party> = ports.into_iter().map(|port| guest(judge, port)).collect();
    let has_address = found.iter().any(|party| !party.sources.is_none());
    match has_address {
        true => Ok(found.into_iter().filter(|party| !party.sources.is_none()).collect()),
        false => Err(format!("`{name}` has no address in the rows")),
    }
}

/// Every machine that has an address.
pub fn machines(judge: &Judge<'_>) -> impl Iterator<Item = PortId> {
    guests(judge.network).filter(|id| !judge.walker.guests.addresses(*id).is_empty())
}

/// Every machine, with its addresses.
pub fn everybody(judge: &Judge<'_>) -> Vec<Party> {
    machines(judge).map(|id| guest(judge, id)).collect()
}

/// Whoever is asked about among many: a machine, of which no set is made before it is needed, or any party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The machine at a port, with all of its addresses.
    Machine(PortId),
    /// Anybody.
    Party(Party),
}

impl Who {
    /// A party: a machine, where all of its addresses are meant.
    pub fn of(judge: &Judge<'_>, party: Party) -> Who {
        match party.place {
            Place::Guest(port) if party == guest(judge, port) => Who::Machine(port),
            _ => Who::Party(party),
        }
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        match self {
            Who::Machine(port) => Place::Guest(*port),
            Who::Party(party) => party.place.clone(),
        }
    }

    /// The machine's port, if it is one.
    pub fn port(&self) -> Option<PortId> {
        match self {
            Who::Machine(port) => Some(*port),
            Who::Party(Party { place: Place::Guest(port), .. }) => Some(*port),
            Who::Party(_) => None,
        }
    }

    /// It, with its addresses.
    pub fn party(&self, judge: &Judge<'_>) -> Party {
        match self {
            Who::Machine(port) => guest(judge, *port),
            Who::Party(party) => party.clone(),
        }
    }
}

/// What is behind the physical networks; `None` where there are none.
pub fn outside(judge: &Judge<'_>) -> Option<Party> {
    (!judge.wires().is_empty()).then(|| internet(judge))
}

/// What people call a party.
pub fn name_of(network: &Network, place: &Place) -> String {
    match place {
        Place::Guest(port) => short_name(network, *port),
        Place::Router => "router".to_owned(),
        Place::Outside => INTERNET.to_owned(),
        Place::Balanced(_) => "balancer".to_owned(),
    }
}

/// The shortest start of a port's name, up to a dot, that is no other port's.
pub fn short_name(network: &Network, port: PortId) -> String {
    let name = &network.port(port).name;
    let mut starts = name.match_indices('.').map(|(at, _)| &name[..at]);
    let is_only = |start: &&str| starting(network, start).len() == 1;
    starts.find(is_only).unwrap_or(name).to_owned()
}

fn guests(network: &Network) -> impl Iterator<Item = PortId> {
    (0..network.ports.len()).map(PortId).filter(|id| network.port(*id).kind == PortKind::Guest)
}

fn starting(network: &Network, start: &str) -> Vec<PortId> {
    let sorted = network.by_name();
    let name = |id: &PortId| network.port(*id).name.as_str();
    let from = |text: &str| sorted.partition_point(|id| name(id) < text);
    let exact = sorted[from(start)..].iter().take_while(|id| name(id) == start);
    // What comes after the dot begins before what begins with the character after it.
    let longer = &sorted[from(&format!("{start}."))..from(&format!("{start}/"))];
    let mut found: Vec<PortId> = exact.chain(longer).copied().collect();
    found.sort_unstable();
    found
}

/// The ports whose labels are like that.
fn selected(network: &Network, text: &str) -> Result<Vec<PortId>, String> {
    let selector = Selector::parse(text)?;
    let found: Vec<PortId> =
        guests(network).filter(|id| selector.selects(&network.port(*id).labels)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let labels = guests(network).flat_map(|id| &network.port(id).labels);
    let known: BTreeSet<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
    let near = selector.wanted().filter(|wanted| !known.contains(wanted));
    let near =
        near.filter_map(|wanted| nearest(&wanted, known.iter().map(String::as_str)).map(str::to_owned));
    Err(format!("no machine has the labels `{text}`{}", hint(near.take(1).next())))
}

fn hint(near: Option<String>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// The ports that a name stands for, which somebody has said in other words.
fn named(network: &Network, name: &str, said: &str) -> Result<Vec<PortId>, String> {
    let exact: Vec<PortId> = guests(network).filter(|id| network.port(*id).name == name).collect();
    let switches: Vec<SwitchId> =
        (0..network.switches.len()).map(SwitchId).filter(|id| network.switch(*id).name == name).collect();
    let routers: Vec<usize> =
        (0..network.routers.len()).filter(|at| network.routers[*at].name == name).collect();
    let of_switch = |id: &SwitchId| {
        let ports = network.switch(*id).ports.iter().copied();
        ports.filter(|port| network.port(*port).kind == PortKind::Guest).collect::<Vec<_>>()
    };
    let n_kinds = [!exact.is_empty(), !switches.is_empty(), !routers.is_empty()];
    if n_kinds.into_iter().filter(|is_one| *is_one).count() > 1 {
        return Err(format!("`{said}` may be a port, a subnet or a VPC; use the name of a port"));
    }
    if !exact.is_empty() {
        return Ok(exact);
    }
    if let [switch] = switches.as_slice() {
        return Ok(of_switch(switch));
    }
    if let [router] = routers.as_slice() {
        let of_router = (0..network.switches.len()).map(SwitchId).filter(|switch| {
            network.routers_on(*switch).any(|(_, port)| network.router_port(port).router.0 == *router)
        });
        return Ok(of_router.flat_map(|switch| of_switch(&switch)).collect());
    }
    let fitting = starting(network, name);
    match fitting.as_slice() {
        [_] => Ok(fitting),
        many if is_one_machine(network, many) => Ok(fitting),
        [] if switches.is_empty() && routers.is_empty() => Err(unknown(network, name, said)),
        [] => Err(format!("there are several called `{said}`")),
        many => {
            let names: Vec<&str> = many.iter().map(|id| network.port(*id).name.as_str()).collect();
            Err(format!("`{said}` may be any of {}", names.join(", ")))
        }
    }
}

/// Whether ports are one machine's, as Kube-OVN names them: `machine.namespace.…`.
fn is_one_machine(network: &Network, ports: &[PortId]) -> bool {
    let owners: BTreeSet<Option<(&str, &str)>> = (ports.iter())
        .map(|id| {
            let mut parts = network.port(*id).name.split('.');
            parts.next().zip(parts.next())
        })
        .collect();
    owners.len() == 1 && !owners.contains(&None)
}

fn unknown(network: &Network, name: &str, said: &str) -> String {
    let short: Vec<String> = guests(network).map(|id| short_name(network, id)).collect();
    let ports = guests(network).map(|id| network.port(id).name.as_str());
    let switches = network.switches.iter().map(|switch| switch.name.as_str());
    let routers = network.routers.iter().map(|router| router.name.as_str());
    let known = short.iter().map(String::as_str).chain(ports).chain(switches).chain(routers);
    let near = nearest(name, known.chain([INTERNET])).map(str::to_owned);
    format!("there is no machine, subnet or VPC `{said}`{}", hint(near))
}

/// Whoever is in a network: machines, those that its addresses are translated to, routers, or somebody on a
/// physical network.
fn at(judge: &Judge<'_>, net: IpNet, name: &str) -> Result<Vec<Party>, String> {
    let network = judge.network;
    let inside: Vec<Party> = guests(network)
        .map(|id| {
            let own = judge.walker.guests.addresses(id).into_iter().filter(|address| net.contains(address));
            party(judge.sets, Place::Guest(id), own.map(IpNet::from))
        })
        .filter(|party| !party.sources.is_none())
        .collect();
    if !inside.is_empty() {
        return Ok(inside);
    }
    let on_switches = network.switches.iter().flat_map(|switch| &switch.vips);
    let on_routers = network.routers.iter().flat_map(|router| &router.vips);
    let vips: Vec<&Vip> = on_switches.chain(on_routers).filter(|vip| net.contains(&vip.address)).collect();
    if !vips.is_empty() {
        let rows: BTreeSet<RowId> = vips.iter().map(|vip| vip.row).collect();
        let place = Place::Balanced(rows.into_iter().collect());
        return Ok(vec![party(judge.sets, place, vips.iter().map(|vip| vip.address.into()))]);
    }
    let translated = guests(network).filter_map(|id| {
        let external = externals(judge, id).into_iter().filter(|external| net.contains(external));
        let to = party(judge.sets, Place::Guest(id), external.map(IpNet::from));
        let is_one = !to.destinations.is_none();
        is_one.then(|| Party { sources: guest(judge, id).sources, ..to })
    });
    let translated: Vec<Party> = translated.collect();
    if !translated.is_empty() {
        return Ok(translated);
    }
    let routers = network.router_ports.iter().flat_map(|port| port.addresses());
    let routers: Vec<IpNet> = routers.filter(|own| net.contains(own)).map(IpNet::from).collect();
    if !routers.is_empty() {
        return Ok(vec![party(judge.sets, Place::Router, routers)]);
    }
    if judge.wires().is_empty() {
        let what = if is_host(&net) { "address" } else { "address in" };
        return Err(format!("no port has the {what} {name}, and there is no physical network"));
    }
    Ok(vec![party(judge.sets, Place::Outside, [net])])
}

pub(super) fn guest(judge: &Judge<'_>, id: PortId) -> Party {
    let own = judge.walker.guests.addresses(id).into_iter().map(IpNet::from);
    let public = public_of(judge, id).into_iter().map(IpNet::from);
    let public = within_any(judge.sets, Field::IpDst, public);
    Party { public, ..party(judge.sets, Place::Guest(id), own) }
}

/// What outsiders know a machine by: its public addresses, and those that are translated to it.
pub(super) fn public_of(judge: &Judge<'_>, id: PortId) -> Vec<IpAddr> {
    let private = judge.walker.private(Field::IpDst);
    let is_private = |address: &IpAddr| {
        let mut header = Header::default();
        header[Field::EthType] = eth_type(*address);
        header[Field::IpDst] = bits(*address);
        judge.sets.contains(private, &header)
    };
    let own = judge.walker.guests.addresses(id).into_iter().filter(|own| !is_private(own));
    own.chain(externals(judge, id)).collect()
}

/// External addresses that are translated to a machine: by a router beside it, or by one that has nobody beside it
/// with the address.
pub(super) fn externals(judge: &Judge<'_>, id: PortId) -> Vec<IpAddr> {
    let network = judge.network;
    let all = judge.walker.externals();
    let mut found = Vec::new();
    for own in judge.walker.guests.addresses(id) {
        let Some(inside) = all.get(&own) else { continue };
        for (router, external) in &inside.externals {
            let links = network.router(*router).ports.iter().map(|port| network.router_port(*port).link);
            let mut beside = links.filter_map(|link| switch_of(network, link));
            let is_beside = beside.clone().any(|switch| switch == network.port(id).switch);
            if is_beside || !beside.any(|switch| inside.held_on.contains(&switch)) {
                found.push(*external);
            }
        }
    }
    found
}

fn switch_of(network: &Network, link: Link) -> Option<SwitchId> {
    match link {
        Link::Switch(port) => Some(network.port(port).switch),
        Link::Router(_) | Link::Nothing | Link::Contested => None,
    }
}

/// Public addresses that are on none of the networks.
fn internet(judge: &Judge<'_>) -> Party {
    let sets = judge.sets;
    let network = judge.network;
    let own = network.router_ports.iter().flat_map(|port| port.networks.iter().map(IpNet::trunc));
    let guests = guests(network).flat_map(|id| judge.walker.guests.addresses(id)).map(IpNet::from);
    let translations = network.routers.iter().flat_map(|router| &router.translations);
    let external = translations.map(|it| IpNet::from(it.external));
    let taken: Vec<IpNet> = own.chain(guests).chain(external).collect();
    let side = |field| sets.minus(public(sets, field), within_any(sets, field, taken.iter().copied()));
    let (sources, destinations) = (side(Field::IpSrc), side(Field::IpDst));
    Party { place: Place::Outside, sources, destinations, public: destinations }
}

fn party(sets: &Sets, place: Place, networks: impl IntoIterator<Item = IpNet>) -> Party {
    let networks: Vec<IpNet> = networks.into_iter().collect();
    let [sources, destinations] =
        [Field::IpSrc, Field::IpDst].map(|field| within_any(sets, field, networks.iter().copied()));
    Party { place, sources, destinations, public: destinations }
}
