//! Machines that behave alike, known before a packet is followed.
//!
//! Two machines are of one class when the network stays the same if they change places: nothing tells their ports or
//! their addresses apart. Whole subnets may change places with all that is theirs: their network at the router, routes
//! to exactly that network, translations of exactly that network.
//!
//! | what tells machines apart | where it is asked |
//! |---|---|
//! | groups, names and Ethernet addresses in matches | on their switch |
//! | networks, sets and addresses in any row | in their own part of the network ([`zones`]) |
//! | the same, elsewhere | found out while packets are followed ([`follow`]), and then parted ([`parted_by`]) |
//!
//! Refuses to follow packets. What it does not understand makes a machine a class by itself.

mod door;
pub(super) mod follow;
mod marks;
mod questions;
pub(super) mod reduce;
pub(super) mod zones;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use self::door::{Door, Doubles, Texts, doors};
use self::marks::Atoms;
use self::questions::Questions;
use self::zones::Zones;
use super::address;
use super::judge::Judge;
use super::network::{Network, Peers, PortId, RouterId, SwitchId, Translation};
use super::parties::Who;

/// Where the machines of a class may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Home {
    /// It is unlike all others.
    Alone(PortId),
    /// On this switch, which is unlike all others.
    On(SwitchId),
    /// On any switch of this class.
    Alike(usize),
}

/// A party of a question, by what it is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its class.
    pub(super) class: usize,
    /// Where it is, if it is a machine.
    pub(super) home: Option<(Home, SwitchId)>,
}

/// What tells a machine from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Traits {
    home: Home,
    is_enabled: bool,
    is_secured: bool,
    knows: usize,
    groups: Vec<usize>,
    macs: Vec<usize>,
    atoms: Vec<(bool, usize)>,
    translations: Vec<String>,
    lists: (usize, usize),
}

/// Numbers of things; those that are equal have the same.
#[derive(Debug)]
pub(super) struct Numbers<T>(HashMap<T, usize>);

impl<T: Eq + Hash> Numbers<T> {
    /// None yet.
    pub(super) fn new() -> Numbers<T> {
        Numbers(HashMap::new())
    }

    /// The number of a thing.
    pub(super) fn of(&mut self, it: T) -> usize {
        let next = self.0.len();
        *self.0.entry(it).or_insert(next)
    }
}

/// The classes of parties, each with the lists of a question that it is in.
pub(super) fn classify(judge: &Judge<'_>, zones: &Zones, parties: &[(&Who, (usize, usize))]) -> Vec<Member> {
    Sorter::new(judge, zones, parties).members(judge, parties)
}

/// The same, and the switches on which nothing tells addresses apart but those of machines and the router.
pub(super) fn classify_with_switches(
    judge: &Judge<'_>,
    zones: &Zones,
    parties: &[(&Who, (usize, usize))],
) -> (Vec<Member>, BTreeSet<SwitchId>) {
    let mut sorter = Sorter::new(judge, zones, parties);
    let members = sorter.members(judge, parties);
    let even = sorter.doors.iter().filter(|(id, door)| sorter.is_even(judge.network, **id, door));
    (members, even.map(|(id, _)| *id).collect())
}

/// The same, where machines of a class are parted further: those with the same number stay together.
pub(super) fn parted_by(members: &[Member], split: impl Fn(usize) -> Option<usize>) -> Vec<Member> {
    let mut classes = Numbers::new();
    let mut parted = members.to_vec();
    // The classes of machines come first.
    for is_machine in [true, false] {
        let of_kind = parted.iter_mut().enumerate().filter(|(_, it)| it.home.is_some() == is_machine);
        of_kind.for_each(|(at, member)| member.class = classes.of((member.class, split(at))));
    }
    parted
}

/// Sorts machines.
struct Sorter {
    zone_of: Vec<usize>,
    questions: BTreeMap<usize, Questions>,
    atoms: BTreeMap<usize, Atoms>,
    doors: BTreeMap<SwitchId, Door>,
    homes: BTreeMap<SwitchId, usize>,
    doubles: Doubles,
    /// Switches with a port behind which anything may be.
    open: BTreeSet<SwitchId>,
    /// The groups that somebody asks about, by the ports in them.
    groups_of: HashMap<String, Vec<usize>>,
    /// What is known by machines of a switch that are told the same.
    knowledge: HashMap<(SwitchId, Told), (usize, Vec<IpNet>)>,
    /// The networks that rows tell machines of, by row.
    cidrs: HashMap<usize, Option<IpNet>>,
    known: Numbers<String>,
    /// Translations that are one machine's: what they are, and the address outside.
    translations: BTreeMap<PortId, Vec<(String, IpAddr)>>,
}

/// What a machine is told: by which row, by whose hand, and the networks that its addresses are in.
type Told = (usize, Option<bool>, Vec<(bool, Option<usize>, bool)>);

impl Sorter {
    fn new(judge: &Judge<'_>, zones: &Zones, parties: &[(&Who, (usize, usize))]) -> Sorter {
        let network = judge.network;
        let zone_of: Vec<usize> =
            (0..network.switches.len()).map(|at| zones.of_switch(SwitchId(at))).collect();
        let mut questions = asked(network, zones);
        let doors = doors(network, zones, &questions);
        let mut sorter = Sorter {
            zone_of,
            doors,
            homes: BTreeMap::new(),
            open: network.ports.iter().filter(|port| port.has_unknown).map(|port| port.switch).collect(),
            doubles: Doubles::of(network, zones),
            groups_of: HashMap::new(),
            knowledge: HashMap::new(),
            cidrs: HashMap::new(),
            known: Numbers::new(),
            translations: BTreeMap::new(),
            atoms: BTreeMap::new(),
            questions: BTreeMap::new(),
        };
        for (party, _) in parties {
            if let Some(port) = party.port() {
                let (_, literal) = sorter.knows(judge, port).clone();
                let zone = sorter.zone_of[network.port(port).switch.0];
                let marks = &mut questions.get_mut(&zone).expect("asked").marks;
                literal.iter().for_each(|net| marks.net(net));
            }
        }
        let said = sorter.said(network, zones, &mut questions);
        let groups: BTreeSet<&String> = questions.values().flat_map(|it| &it.groups).collect();
        for (at, group) in groups.into_iter().enumerate() {
            for name in network.names.port_groups.get(group).into_iter().flatten() {
                sorter.groups_of.entry(name.clone()).or_default().push(at);
            }
        }
        sorter.atoms =
            questions.iter_mut().map(|(zone, it)| (*zone, std::mem::take(&mut it.marks).atoms())).collect();
        sorter.questions = questions;
        let (mut texts, mut alike) = (Texts::default(), Numbers::new());
        for (id, door) in &sorter.doors {
            let mut traits = door::traits(network, *id, door, &mut texts);
            let atoms = &sorter.atoms[&sorter.zone_of[id.0]];
            let over: Vec<Vec<usize>> = door.nets.iter().map(|net| atoms.over(net)).collect();
            let own = network.port(door.port);
            let groups = sorter.groups_of.get(&own.name);
            let macs = sorter.macs(*id, network.router_port(door.router_port).mac);
            traits.push_str(&format!("{over:?} {groups:?} {macs:?} {:?}", said.get(id)));
            sorter.homes.insert(*id, alike.of(traits));
        }
        sorter
    }

    fn members(&mut self, judge: &Judge<'_>, parties: &[(&Who, (usize, usize))]) -> Vec<Member> {
        let mut classes: Numbers<Traits> = Numbers::new();
        let mut others: Vec<&Who> = Vec::new();
        let mut members = Vec::with_capacity(parties.len());
        for (party, lists) in parties {
            members.push(match party.port() {
                Some(port) => {
                    let traits = Traits { lists: *lists, ..self.traits(judge, party, port) };
                    let home = Some((traits.home, judge.network.port(port).switch));
                    Member { class: classes.of(traits), home }
                }
                None => {
                    let at = others.iter().position(|other| other == party).unwrap_or(others.len());
                    if at == others.len() {
                        others.push(party);
                    }
                    Member { class: at, home: None }
                }
            });
        }
        // The classes of machines come first.
        let n_classes = classes.0.len();
        members.iter_mut().filter(|it| it.home.is_none()).for_each(|it| it.class += n_classes);
        members
    }

    fn is_even(&self, network: &Network, id: SwitchId, door: &Door) -> bool {
        let machines = network.switch(id).ports.iter().flat_map(|id| &network.port(*id).addresses);
        let machines = machines.flat_map(|own| &own.ips).map(IpNet::addr);
        let held: BTreeSet<IpAddr> =
            machines.chain(network.router_port(door.router_port).addresses()).collect();
        let atoms = &self.atoms[&self.zone_of[id.0]];
        door.nets.iter().all(|net| atoms.is_even(net, &held))
    }

    /// What is said of exactly the network of a switch, or of one machine; all else is a mark.
    fn said(
        &mut self,
        network: &Network,
        zones: &Zones,
        questions: &mut BTreeMap<usize, Questions>,
    ) -> BTreeMap<SwitchId, Vec<String>> {
        let mut said: BTreeMap<SwitchId, Vec<String>> = BTreeMap::new();
        let own: BTreeMap<(usize, IpNet), SwitchId> = (self.doors.iter())
            .flat_map(|(id, door)| door.nets.iter().map(move |net| ((zones.of_switch(*id), *net), *id)))
            .collect();
        let mut externals: BTreeMap<(usize, IpAddr), usize> = BTreeMap::new();
        for (at, router) in network.routers.iter().enumerate() {
            let zone = zones.of_router(RouterId(at));
            for translation in &router.translations {
                *externals.entry((zone, translation.external)).or_default() += 1;
            }
        }
        for (at, router) in network.routers.iter().enumerate() {
            let zone = zones.of_router(RouterId(at));
            let marks = &mut questions.get_mut(&zone).expect("asked").marks;
            let nets =
                router.ports.iter().flat_map(|id| &network.router_port(*id).networks).map(IpNet::trunc);
            nets.filter(|net| !own.contains_key(&(zone, *net))).for_each(|net| marks.net(&net));
            for (_, route) in &router.routes {
                let Some(net) = super::network::parse_net(&route.ip_prefix).map(|net| net.trunc()) else {
                    continue;
                };
                let what = format!(
                    "route {at} {:?} {} {} {:?} {}",
                    route.policy,
                    route.route_table,
                    route.nexthop,
                    route.output_port,
                    route.bfd.is_some(),
                );
                match own.get(&(zone, net)) {
                    Some(switch) => said.entry(*switch).or_default().push(what),
                    None => marks.net(&net),
                }
            }
            for it in &router.translations {
                let what = translation(at, it);
                let holder = self.doubles.holders.get(&(zone, it.logical.addr())).copied().flatten();
                let is_external_free = externals[&(zone, it.external)] == 1
                    && !self.doubles.holders.contains_key(&(zone, it.external));
                let is_host = address::is_host(&it.logical);
                match (what, own.get(&(zone, it.logical)), holder) {
                    (Some(what), Some(switch), _) if it.mac.is_none() => {
                        said.entry(*switch).or_default().push(format!("{what} {}", it.external));
                        marks.address(it.external);
                    }
                    (Some(what), None, Some(port)) if is_host && is_external_free => {
                        self.translations.entry(port).or_default().push((what, it.external));
                    }
                    _ => {
                        marks.net(&it.logical);
                        marks.address(it.external);
                    }
                }
                let (Peers::Only(nets) | Peers::AllBut(nets)) = &it.peers else { continue };
                nets.iter().for_each(|net| marks.net(net));
            }
        }
        said
    }

    /// What a machine knows, by number, and the networks and addresses in it that are not its switch's.
    fn knows(&mut self, judge: &Judge<'_>, id: PortId) -> &(usize, Vec<IpNet>) {
        let network = judge.network;
        let port = network.port(id);
        let told = port.dhcpv4.as_ref();
        let row = told.map_or(0, |dhcp| Arc::as_ptr(dhcp) as usize);
        let cidr = told.and_then(|dhcp| *self.cidrs.entry(row).or_insert_with(|| dhcp.cidr.parse().ok()));
        let nets: &[IpNet] = self.doors.get(&port.switch).map_or(&[], |door| &door.nets);
        let place = |address: IpAddr| {
            let is_in = |net: &IpNet| net.contains(&address);
            (address.is_ipv6(), nets.iter().position(is_in), cidr.as_ref().is_some_and(is_in))
        };
        let places = judge.walker.guests.addresses(id).into_iter().map(place).collect();
        let key = (port.switch, (row, judge.walker.guests.by_hand(id), places));
        if !self.knowledge.contains_key(&key) {
            let guest = judge.walker.guests.guest(id);
            let door = self.doors.get(&port.switch).map(|door| (door, network.router_port(door.router_port)));
            let (mut text, mut literal) = (String::new(), Vec::new());
            let mut say = |net: IpNet, is_gateway: bool| {
                let own = door.and_then(|(door, router)| match is_gateway {
                    true => router.networks.iter().position(|own| own.addr() == net.addr()),
                    false => door.nets.iter().position(|own| *own == net),
                });
                let what = if is_gateway { " via" } else { " to" };
                match own {
                    Some(at) => text.push_str(&format!("{what} #{at}")),
                    None => {
                        text.push_str(&format!("{what} {net}"));
                        literal.push(net);
                    }
                }
            };
            guest.networks.iter().for_each(|net| say(*net, false));
            for route in &guest.routes {
                say(route.to, false);
                route.gateways.iter().for_each(|gateway| say(IpNet::from(*gateway), true));
            }
            let number = self.known.of(text);
            self.knowledge.insert(key.clone(), (number, literal));
        }
        &self.knowledge[&key]
    }

    fn traits(&mut self, judge: &Judge<'_>, party: &Who, id: PortId) -> Traits {
        let network = judge.network;
        let port = network.port(id);
        let zone = self.zone_of[port.switch.0];
        let knows = self.knows(judge, id).0;
        let atoms = &self.atoms[&zone];
        let addresses: Vec<IpNet> = port.addresses.iter().flat_map(|own| own.ips.iter().copied()).collect();
        let door = self.doors.get(&port.switch);
        let is_near =
            |net: &IpNet| door.is_none_or(|door| door.nets.iter().any(|own| own.contains(&net.addr())));
        let is_whole = match party {
            Who::Machine(_) => true,
            Who::Party(party) => addresses.len() == 1 || super::parties::guest(judge, id) == *party,
        };
        let is_plain = port.addresses.len() == 1
            && port.shared.is_empty()
            && !self.questions[&zone].is_strange
            && !self.questions[&zone].ports.contains(&port.name)
            && !self.doubles.ports.contains(&id)
            && (port.security.is_empty() || port.security == port.addresses)
            && addresses.iter().all(|net| address::is_host(net) && is_near(net))
            && !self.open.contains(&port.switch)
            && is_whole;
        let home = match (is_plain, self.homes.get(&port.switch)) {
            (false, _) => Home::Alone(id),
            (true, Some(home)) => Home::Alike(*home),
            (true, None) => Home::On(port.switch),
        };
        let own = self.translations.get(&id).into_iter().flatten();
        let own = own.map(|(what, external)| format!("{what} {}", atoms.of(*external)));
        Traits {
            home,
            is_enabled: port.is_enabled,
            is_secured: !port.security.is_empty(),
            knows,
            groups: self.groups_of.get(&port.name).cloned().unwrap_or_default(),
            macs: port.addresses.first().map_or_else(Vec::new, |own| self.macs(port.switch, own.mac)),
            atoms: addresses.iter().map(|net| (net.addr().is_ipv6(), atoms.of(net.addr()))).collect(),
            translations: own.collect(),
            lists: (0, 0),
        }
    }

    /// The questions about Ethernet addresses to which one is an answer.
    fn macs(&self, switch: SwitchId, mac: u64) -> Vec<usize> {
        let asked = self.questions[&self.zone_of[switch.0]].macs.iter().enumerate();
        let is_it = |(_, (value, mask)): &(usize, &(u128, u128))| u128::from(mac) & mask == *value & mask;
        asked.filter(is_it).map(|(at, _)| at).collect()
    }
}

/// What each part of the network asks, but for what networks, routes and translations are about.
fn asked(network: &Network, zones: &Zones) -> BTreeMap<usize, Questions> {
    let mut questions: BTreeMap<usize, Questions> = BTreeMap::new();
    let mut rows = BTreeSet::new();
    let physical = questions::physical(network);
    for (at, switch) in network.switches.iter().enumerate() {
        let zone = zones.of_switch(SwitchId(at));
        let questions = questions.entry(zone).or_insert_with(|| Questions::common(&physical));
        questions.vips(&switch.vips);
        for rule in switch.acls.iter().map(|id| &network.acls[id.0]) {
            if rows.insert((zone, rule.row)) {
                questions.matching(&rule.matching, &network.names);
            }
        }
    }
    for at in (0..network.routers.len()).map(RouterId) {
        let zone = zones.of_router(at);
        questions.entry(zone).or_insert_with(|| Questions::common(&physical)).router(network, at);
    }
    questions
}

/// What a translation does, but for its addresses; `None` where that is not all.
fn translation(router: usize, it: &Translation) -> Option<String> {
    let is_plain = it.mac.is_none() && it.peers == Peers::All && it.matching.is_none() && !it.is_stateless;
    is_plain.then(|| {
        format!(
            "translation {router} {} {} {:?} {} {:?}",
            it.is_inward, it.is_outward, it.gateway, it.has_chassis, it.ports
        )
    })
}
