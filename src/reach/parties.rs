//! Names that people use, as parties of a question.
//!
//! A name is a port's, or the start of one up to a dot if only one port starts so; a subnet's (a switch),
//! a VPC's (a router), an address, a network, or `internet`.
//!
//! Refuses to take a name that fits two things.

use std::net::IpAddr;

use ipnet::IpNet;

use super::header::{Field, IPV4, IPV6};
use super::judge::{Judge, Party, Place};
use super::network::{Network, PortId, PortKind, SwitchId};
use super::set::{Set, Sets};
use super::walk::within;
use crate::nearest::nearest;

/// What stands for everything that is on none of the networks.
pub const INTERNET: &str = "internet";

/// Networks that nobody routes on the Internet (RFC 6890, RFC 4291).
const NOT_PUBLIC: [&str; 14] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
    "::/3",
    "4000::/2",
    "8000::/1",
    "2001:db8::/32",
];

/// The parties that a name stands for; the error says what is wrong with it.
pub fn parties(judge: &Judge<'_>, name: &str) -> Result<Vec<Party>, String> {
    let network = judge.network;
    if name == INTERNET {
        return Ok(vec![internet(judge)]);
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return at(judge, IpNet::from(address), name);
    }
    if let Ok(net) = name.parse::<IpNet>() {
        return at(judge, net.trunc(), name);
    }
    let ports = named(network, name)?;
    let found: Vec<Party> = ports.into_iter().map(|port| guest(judge, port)).collect();
    let has_address = found.iter().any(|party| !party.sources.is_none());
    match has_address {
        true => Ok(found.into_iter().filter(|party| !party.sources.is_none()).collect()),
        false => Err(format!("`{name}` has no address in the rows")),
    }
}

/// Every machine.
pub fn everybody(judge: &Judge<'_>) -> Vec<Party> {
    guests(judge.network).map(|id| guest(judge, id)).filter(|party| !party.sources.is_none()).collect()
}

/// What people call a party.
pub fn name_of(network: &Network, party: &Party) -> String {
    match party.place {
        Place::Guest(port) => short_name(network, port),
        Place::Router => "router".to_owned(),
        Place::Outside => INTERNET.to_owned(),
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
    let begins = |name: &str| name == start || name.strip_prefix(start).is_some_and(|r| r.starts_with('.'));
    guests(network).filter(|id| begins(&network.port(*id).name)).collect()
}

/// The ports that a name stands for.
fn named(network: &Network, name: &str) -> Result<Vec<PortId>, String> {
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
        return Err(format!("`{name}` may be a port, a subnet or a VPC; use the name of a port"));
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
        [] if switches.is_empty() && routers.is_empty() => Err(unknown(network, name)),
        [] => Err(format!("there are several called `{name}`")),
        many => {
            let names: Vec<&str> = many.iter().map(|id| network.port(*id).name.as_str()).collect();
            Err(format!("`{name}` may be any of {}", names.join(", ")))
        }
    }
}

fn unknown(network: &Network, name: &str) -> String {
    let short: Vec<String> = guests(network).map(|id| short_name(network, id)).collect();
    let ports = guests(network).map(|id| network.port(id).name.as_str());
    let switches = network.switches.iter().map(|switch| switch.name.as_str());
    let routers = network.routers.iter().map(|router| router.name.as_str());
    let known = short.iter().map(String::as_str).chain(ports).chain(switches).chain(routers);
    let hint = nearest(name, known.chain([INTERNET]));
    let hint = hint.map_or_else(String::new, |hint| format!("; did you mean `{hint}`?"));
    format!("there is no machine, subnet or VPC `{name}`{hint}")
}

/// Whoever is in a network: machines, else routers, else somebody on a physical network.
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
    let routers = network.router_ports.iter().flat_map(|port| port.addresses());
    let routers: Vec<IpNet> = routers.filter(|own| net.contains(own)).map(IpNet::from).collect();
    if !routers.is_empty() {
        return Ok(vec![party(judge.sets, Place::Router, routers)]);
    }
    if judge.wires().is_empty() {
        let what = if net.prefix_len() == net.max_prefix_len() { "address" } else { "address in" };
        return Err(format!("no port has the {what} {name}, and there is no physical network"));
    }
    Ok(vec![party(judge.sets, Place::Outside, [net])])
}

fn guest(judge: &Judge<'_>, id: PortId) -> Party {
    let own = judge.walker.guests.addresses(id);
    party(judge.sets, Place::Guest(id), own.into_iter().map(IpNet::from))
}

/// Public addresses that are on none of the networks.
fn internet(judge: &Judge<'_>) -> Party {
    let sets = judge.sets;
    let network = judge.network;
    let own = network.router_ports.iter().flat_map(|port| port.networks.iter().map(IpNet::trunc));
    let guests = guests(network).flat_map(|id| judge.walker.guests.addresses(id)).map(IpNet::from);
    let parse = |net: &&str| net.parse::<IpNet>().expect("a network");
    let taken: Vec<IpNet> = NOT_PUBLIC.iter().map(parse).chain(own).chain(guests).collect();
    let side = |field| {
        let v4 = sets.and(sets.value(Field::EthType, IPV4), sets.range(field, 0, u32::MAX.into()));
        let all = sets.or(v4, sets.value(Field::EthType, IPV6));
        sets.minus(all, sets.any(taken.iter().map(|net| within(sets, field, net))))
    };
    Party { place: Place::Outside, sources: side(Field::IpSrc), destinations: side(Field::IpDst) }
}

fn party(sets: &Sets, place: Place, networks: impl IntoIterator<Item = IpNet>) -> Party {
    let (mut sources, mut destinations) = (Set::NONE, Set::NONE);
    for net in networks {
        sources = sets.or(sources, within(sets, Field::IpSrc, &net));
        destinations = sets.or(destinations, within(sets, Field::IpDst, &net));
    }
    Party { place, sources, destinations }
}
