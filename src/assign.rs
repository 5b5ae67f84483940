//! Every free choice: which address a port gets, and which MAC.
//!
//! A pure function of names and of what was chosen before. A port without an address by hand takes the one
//! that the lock file remembers, else the lowest free one of its subnet, in the order of names; a MAC is
//! derived from the name and locally administered, so a rebuild changes none. Refuses to read files and to
//! judge what was given by hand.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::iter;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::digest;
use crate::model::{
    AddressRange, Backend, Balancer, Block, ElasticIpId, FloatingIp, Gateway, GatewayId, Inside, Mac, Model,
    NextHop, PoolId, Port, PortId, Public, SourceNat, StaticRoute, SubnetId, VpcId,
};
use crate::names;
use crate::parallel;
use crate::span::Spanned;

/// From so many ports on, their MAC addresses are worth a thread.
const PORTS_MIN: usize = 4096;

/// Addresses given out before, by the name of the port or virtual address.
pub type Remembered = BTreeMap<String, Vec<IpAddr>>;

/// What was chosen.
#[derive(Debug, Default)]
pub struct Assignment {
    ports: Vec<PortAssignment>,
    vips: Vec<Vec<IpAddr>>,
    gateways: Vec<PortAssignment>,
    elastic_ips: Vec<Vec<IpAddr>>,
    probes: BTreeMap<SubnetId, Vec<IpAddr>>,
}

/// What a port gets.
#[derive(Clone, Debug)]
pub struct PortAssignment {
    /// Given by hand or derived.
    pub mac: Mac,
    /// At most one a family, IPv4 first.
    pub addresses: Vec<IpAddr>,
}

/// Who has addresses of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A VPC's port on an external network.
    Gateway(GatewayId),
    /// A public address.
    ElasticIp(ElasticIpId),
    /// A virtual address: an index into [`Model::vips`].
    Vip(usize),
    /// A workload's interface.
    Port(PortId),
    /// Whatever asks a subnet's interfaces whether they are alive.
    Probe(SubnetId),
}

/// A subnet, or a pool in it, whose free addresses did not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The subnet that is full.
    pub subnet: SubnetId,
    /// The pool that is, if it is one.
    pub pool: Option<PoolId>,
    /// The first that went without.
    pub holder: Holder,
}

impl Assignment {
    /// What a port gets.
    pub fn port(&self, id: PortId) -> &PortAssignment {
        &self.ports[id.0]
    }

    /// Where a route leads: an address of its family. `None` for a black hole, and for an interface without one.
    pub fn next_hop(&self, route: &StaticRoute) -> Option<IpAddr> {
        match route.next_hop.value {
            NextHop::Address(address) => Some(address),
            NextHop::Discard => None,
            NextHop::Port(id) => {
                let of_family = |a: &&IpAddr| a.is_ipv4() == route.prefix.value.addr().is_ipv4();
                self.port(id).addresses.iter().find(of_family).copied()
            }
        }
    }

    /// The addresses of the virtual address at an index of [`Model::vips`].
    pub fn vip(&self, at: usize) -> &[IpAddr] {
        &self.vips[at]
    }

    /// What a port may send from beside its own addresses: its pairs, and the addresses that it may hold.
    pub fn allowed(&self, model: &Model, id: PortId) -> Vec<IpNet> {
        let held = model.vips.iter().zip(&self.vips).filter(|(vip, _)| vip.parents.contains(&id));
        let held = held.flat_map(|(_, addresses)| addresses).map(|address| IpNet::from(*address));
        model.port(id).allowed_pairs.iter().map(|pair| pair.value).chain(held).collect()
    }

    /// What a gateway gets on its external network.
    pub fn gateway(&self, id: GatewayId) -> &PortAssignment {
        &self.gateways[id.0]
    }

    /// The addresses behind a public address, at most one a family.
    pub fn public(&self, public: Public) -> &[IpAddr] {
        match public {
            Public::ElasticIp(id) => &self.elastic_ips[id.0],
            Public::Gateway(id) => &self.gateways[id.0].addresses,
        }
    }

    /// The addresses that backends on a subnet are asked from; none where nobody asks.
    pub fn probe(&self, subnet: SubnetId) -> &[IpAddr] {
        self.probes.get(&subnet).map_or(&[], Vec::as_slice)
    }

    /// The addresses of a balancer, inside and outside.
    pub fn balanced(&self, balancer: &Balancer) -> Vec<Spanned<IpAddr>> {
        let public = balancer.public.iter().flat_map(|public| {
            self.public(public.value).iter().map(|address| Spanned::new(*address, public.span))
        });
        balancer.addresses.iter().copied().chain(public).collect()
    }

    /// The addresses of a backend.
    pub fn backend(&self, backend: Backend) -> Vec<IpAddr> {
        match backend {
            Backend::Port(id) => self.port(id).addresses.clone(),
            Backend::Address(address) => vec![address],
        }
    }

    /// The interfaces of VPCs that have balancers, by VPC and address.
    pub fn ports_by_address(&self, model: &Model) -> BTreeMap<(VpcId, IpAddr), PortId> {
        let vpcs: BTreeSet<VpcId> = model.balancers.iter().map(|balancer| balancer.vpc).collect();
        let ports = model.ports().map(|(id, port)| (id, model.subnet(port.subnet).vpc));
        let here = ports.filter(|(_, vpc)| vpcs.contains(vpc));
        let addresses = |(id, vpc): (PortId, VpcId)| {
            self.port(id).addresses.iter().map(move |address| ((vpc, *address), id))
        };
        here.flat_map(addresses).collect()
    }

    /// The addresses or blocks of what is inside.
    pub fn inside(&self, model: &Model, inside: &Inside) -> Vec<IpNet> {
        let hosts = |addresses: &[IpAddr]| addresses.iter().map(|a| IpNet::from(*a)).collect();
        match inside {
            Inside::Port(id) => hosts(&self.ports[id.0].addresses),
            Inside::Vip(at) => hosts(&self.vips[*at]),
            Inside::Subnet(id) => model.subnet(*id).blocks.iter().map(|block| block.cidr.value).collect(),
            Inside::Given(nets) => nets.iter().map(|net| net.value).collect(),
        }
    }

    /// What is outside with what is inside, family by family.
    pub fn pairs(&self, model: &Model, public: Public, inside: &Inside) -> Vec<(IpAddr, IpNet)> {
        let inside = self.inside(model, inside);
        let outside = self.public(public).iter();
        let of_family = |a: &IpAddr, net: &IpNet| net.addr().is_ipv4() == a.is_ipv4();
        outside.flat_map(|a| inside.iter().filter(|net| of_family(a, net)).map(|net| (*a, *net))).collect()
    }

    /// The interface on whose chassis a floating IP is translated; `None` where the gateway's does it.
    pub fn machine(&self, model: &Model, floating: &FloatingIp) -> Option<PortId> {
        let has = |id: PortId, net: &IpNet| self.ports[id.0].addresses.contains(&net.addr());
        let given = |nets: &[Spanned<IpNet>]| {
            let is_it = |(id, port): &(PortId, &Port)| {
                model.subnet(port.subnet).vpc == floating.vpc && nets.iter().any(|net| has(*id, &net.value))
            };
            model.ports().find(is_it).map(|(id, _)| id)
        };
        match &floating.inside.value {
            _ if !floating.distributed => None,
            Inside::Port(id) => Some(*id),
            Inside::Given(nets) => given(nets),
            Inside::Vip(_) | Inside::Subnet(_) => None,
        }
    }

    /// Whether exactly this block is translated by hand at a gateway.
    pub fn is_translated(
        &self,
        model: &Model,
        sources: &[&SourceNat],
        gateway: &Gateway,
        block: IpNet,
    ) -> bool {
        sources.iter().any(|nat| {
            let is_here = model.external_of(nat.public.value) == gateway.external;
            let mut pairs = self.pairs(model, nat.public.value, &nat.inside.value).into_iter();
            is_here && pairs.any(|(_, inside)| inside == block)
        })
    }

    /// Every choice that was not given by hand, to be remembered.
    pub fn chosen(&self, model: &Model) -> Remembered {
        let chosen = |claim: Claim<'_>| {
            let by_hand = |a: &IpAddr| claim.given.iter().any(|g| g.value == *a);
            let got = match claim.holder {
                Holder::Gateway(id) => &self.gateways[id.0].addresses,
                Holder::ElasticIp(id) => &self.elastic_ips[id.0],
                Holder::Vip(at) => &self.vips[at],
                Holder::Port(id) => &self.ports[id.0].addresses,
                Holder::Probe(subnet) => &self.probes[&subnet],
            };
            let chosen: Vec<IpAddr> = got.iter().copied().filter(|a| !by_hand(a)).collect();
            (!chosen.is_empty()).then(|| (claim.name.into_owned(), chosen))
        };
        claims(model).filter_map(chosen).collect()
    }
}

/// Somebody who needs addresses.
struct Claim<'m> {
    holder: Holder,
    /// What a lock file calls it.
    name: Cow<'m, str>,
    subnet: SubnetId,
    given: &'m [Spanned<IpAddr>],
    /// Where the others come from, if not from the whole subnet.
    pool: Option<PoolId>,
}

/// Everybody who needs addresses, in the order in which they choose.
fn claims(model: &Model) -> impl Iterator<Item = Claim<'_>> {
    let gateways = model.gateways().map(|(id, gateway)| Claim {
        holder: Holder::Gateway(id),
        name: Cow::Owned(gateway_port(model, gateway)),
        subnet: gateway.external,
        given: &gateway.addresses,
        pool: None,
    });
    let elastic_ips = model.elastic_ips.iter().enumerate().map(|(at, eip)| Claim {
        holder: Holder::ElasticIp(ElasticIpId(at)),
        name: Cow::Owned(format!("elastic-ip/{}", eip.name)),
        subnet: eip.external,
        given: &eip.addresses,
        pool: None,
    });
    let vips = model.vips.iter().enumerate().map(|(at, vip)| Claim {
        holder: Holder::Vip(at),
        name: Cow::Borrowed(vip.name.as_str()),
        subnet: vip.subnet,
        given: &vip.addresses,
        pool: None,
    });
    let ports = model.ports().map(|(id, port)| Claim {
        holder: Holder::Port(id),
        name: Cow::Borrowed(port.name.as_str()),
        subnet: port.subnet,
        given: &port.addresses,
        pool: port.pool.map(|pool| pool.value).filter(|id| model.pool(*id).subnet == port.subnet),
    });
    // Last, so that nobody's address changes because somebody is watched.
    let probes = model.watched_subnets().into_iter().map(|subnet| Claim {
        holder: Holder::Probe(subnet),
        name: Cow::Owned(format!("health-check/{}", model.subnet(subnet).name)),
        subnet,
        given: &[],
        pool: None,
    });
    gateways.chain(elastic_ips).chain(vips).chain(ports).chain(probes)
}

fn gateway_port(model: &Model, gateway: &Gateway) -> String {
    names::router_port(model.vpc(gateway.vpc), model.subnet(gateway.external))
}

/// Chooses for everybody. Subnets that are full are returned, once each.
pub fn assign(model: &Model, remembered: &Remembered) -> (Assignment, Vec<Exhausted>) {
    let mut pools: Vec<Pool> = model.subnets.iter().map(|s| Pool::new(&s.blocks, &s.exclude)).collect();
    for pool in model.pools.iter().filter(|pool| pool.is_reserved) {
        pools[pool.subnet.0].keep(&pool.ranges);
    }
    let mut kept: Vec<Kept> = model.pools.iter().map(|pool| Kept::new(&pool.ranges)).collect();
    for claim in claims(model) {
        claim.given.iter().for_each(|a| pools[claim.subnet.0].take(a.value));
    }
    for (subnet, addresses) in model.balanced_addresses() {
        addresses.into_iter().for_each(|address| pools[subnet.0].take(address));
    }
    // What is remembered is claimed before anybody chooses, so that a newcomer can't push it out.
    let remembered = |claim: Claim<'_>| {
        let given: Vec<IpAddr> = claim.given.iter().map(|a| a.value).collect();
        let pool = claim.pool.map(|id| &kept[id.0]);
        pools[claim.subnet.0].claim(&given, remembered.get(claim.name.as_ref()), pool)
    };
    let claimed: Vec<Vec<IpAddr>> = claims(model).map(remembered).collect();
    let mut full: BTreeMap<(SubnetId, Option<PoolId>), Exhausted> = BTreeMap::new();
    // Each is a digest, which all threads make.
    let derived = |part: &[Port]| part.iter().map(|port| nth_mac("port", &port.name, 0)).collect::<Vec<_>>();
    let derived = parallel::map_parts(&model.ports, PORTS_MIN, derived).concat();
    let mut macs = Macs::new(model);
    let mut got = Assignment::default();
    for (Claim { holder, subnet, pool, .. }, mut addresses) in claims(model).zip(claimed) {
        if !pools[subnet.0].fill(&mut addresses, pool.map(|id| &mut kept[id.0])) {
            full.entry((subnet, pool)).or_insert(Exhausted { subnet, pool, holder });
        }
        match holder {
            Holder::Gateway(id) => {
                let gateway = model.gateway(id);
                let derived = || derived_mac("router", &gateway_port(model, gateway));
                let mac = gateway.mac.as_ref().map_or_else(derived, |mac| mac.value);
                got.gateways.push(PortAssignment { mac, addresses });
            }
            Holder::ElasticIp(_) => got.elastic_ips.push(addresses),
            Holder::Vip(_) => got.vips.push(addresses),
            Holder::Port(id) => {
                got.ports.push(PortAssignment { mac: macs.of(&model.ports[id.0], derived[id.0]), addresses })
            }
            Holder::Probe(subnet) => drop(got.probes.insert(subnet, addresses)),
        }
    }
    (got, full.into_values().collect())
}

/// A MAC address derived from a name: locally administered, unicast (IEEE 802, bit 1 of the first byte).
pub fn derived_mac(kind: &str, name: &str) -> Mac {
    nth_mac(kind, name, 0)
}

/// The `n`th candidate, for the unlikely case that an earlier one is taken.
fn nth_mac(kind: &str, name: &str, n: u32) -> Mac {
    let text = if n == 0 { format!("mac/{kind}/{name}") } else { format!("mac/{kind}/{name}/{n}") };
    let hash = digest::of(text.as_bytes());
    let [a, b, c, d, e, ..] = *hash.as_bytes();
    Mac([0x02, a, b, c, d, e])
}

/// The MAC addresses in use, by switch.
struct Macs {
    used: HashSet<(SubnetId, Mac)>,
}

impl Macs {
    fn new(model: &Model) -> Macs {
        let given = model.ports.iter().filter_map(|p| Some((p.subnet, p.mac.as_ref()?.value)));
        let mut used = HashSet::with_capacity(model.ports.len());
        used.extend(given);
        Macs { used }
    }

    /// The one given by hand, or the first derived one that nobody has.
    fn of(&mut self, port: &Port, first: Mac) -> Mac {
        if let Some(mac) = &port.mac {
            return mac.value;
        }
        let mut candidates = iter::once(first).chain((1..).map(|n| nth_mac("port", &port.name, n)));
        let free = candidates.find(|mac| self.used.insert((port.subnet, *mac)));
        free.expect("there are more addresses than ports")
    }
}

/// What is left of a pool, by family: from the first to the last of each range.
struct Kept {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Kept {
    fn new(ranges: &[Spanned<AddressRange>]) -> Kept {
        Kept { v4: numbers(ranges, true), v6: numbers(ranges, false) }
    }

    fn of(&mut self, v4: bool) -> &mut Vec<(u128, u128)> {
        if v4 { &mut self.v4 } else { &mut self.v6 }
    }

    /// Whether an address is in it.
    fn has(&self, address: IpAddr) -> bool {
        let ranges = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        covers(ranges, number(address)).is_some()
    }

    /// Whether it has nothing of an address's family: then any will do.
    fn lacks(&self, address: IpAddr) -> bool {
        (if address.is_ipv4() { &self.v4 } else { &self.v6 }).is_empty()
    }
}

/// Ranges of a family, sorted by their first address.
fn numbers(ranges: &[Spanned<AddressRange>], v4: bool) -> Vec<(u128, u128)> {
    let of_family = ranges.iter().filter(|range| range.value.first.is_ipv4() == v4);
    let mut numbers: Vec<(u128, u128)> =
        of_family.map(|range| (number(range.value.first), number(range.value.last))).collect();
    numbers.sort_unstable();
    numbers
}

/// The last address of the ranges that an address is in.
fn covers(ranges: &[(u128, u128)], address: u128) -> Option<u128> {
    let inside = |&&(first, last): &&(u128, u128)| first <= address && address <= last;
    ranges.iter().filter(inside).map(|&(_, last)| last).max()
}

/// The free addresses of a subnet.
struct Pool {
    blocks: Vec<BlockPool>,
}

struct BlockPool {
    v4: bool,
    first: u128,
    /// The lowest address that may still be free.
    next: u128,
    last: u128,
    used: BTreeSet<u128>,
    /// Never given out. Sorted by first address.
    closed: Vec<(u128, u128)>,
    /// Given to those alone who name the pool.
    kept: Vec<(u128, u128)>,
}

impl Pool {
    fn new(blocks: &[Block], exclude: &[Spanned<AddressRange>]) -> Pool {
        let pool = |block: &Block| {
            let net = block.cidr.value;
            let v4 = net.addr().is_ipv4();
            let (first, last) = (number(net.network()), number(net.broadcast()));
            // The broadcast address is IPv4's alone; the network address is nobody's in either family.
            let last = if v4 { last.saturating_sub(1) } else { last };
            BlockPool {
                v4,
                first: first + 1,
                next: first + 1,
                last,
                used: BTreeSet::from([number(block.gateway.value)]),
                closed: numbers(exclude, v4),
                kept: Vec::new(),
            }
        };
        Pool { blocks: blocks.iter().map(pool).collect() }
    }

    /// Keeps addresses for those who name their pool.
    fn keep(&mut self, ranges: &[Spanned<AddressRange>]) {
        for block in &mut self.blocks {
            block.kept.extend(numbers(ranges, block.v4));
        }
    }

    fn block(&mut self, address: IpAddr) -> Option<&mut BlockPool> {
        self.blocks.iter_mut().find(|b| b.v4 == address.is_ipv4())
    }

    /// Marks an address as used.
    fn take(&mut self, address: IpAddr) {
        if let Some(block) = self.block(address) {
            block.used.insert(number(address));
        }
    }

    /// The given addresses, and of the remembered ones those of other families that are still free.
    fn claim(
        &mut self,
        given: &[IpAddr],
        remembered: Option<&Vec<IpAddr>>,
        pool: Option<&Kept>,
    ) -> Vec<IpAddr> {
        let mut addresses = Vec::with_capacity(self.blocks.len().max(given.len()));
        addresses.extend_from_slice(given);
        for &address in remembered.into_iter().flatten() {
            let family_taken = addresses.iter().any(|a| a.is_ipv4() == address.is_ipv4());
            let fits = pool.is_none_or(|pool| pool.has(address) || pool.lacks(address));
            let is_named = pool.is_some_and(|pool| pool.has(address));
            if !family_taken
                && fits
                && self.block(address).is_some_and(|block| block.claim(number(address), is_named))
            {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Adds the lowest free address of every family that is missing; false when one has none left.
    fn fill(&mut self, addresses: &mut Vec<IpAddr>, mut pool: Option<&mut Kept>) -> bool {
        let mut filled = true;
        for block in &mut self.blocks {
            if addresses.iter().any(|a| a.is_ipv4() == block.v4) {
                continue;
            }
            let ranges = pool.as_mut().map(|pool| pool.of(block.v4)).filter(|ranges| !ranges.is_empty());
            let lowest = match ranges {
                Some(ranges) => block.lowest_of(ranges),
                None => block.lowest(),
            };
            match lowest {
                Some(free) => addresses.push(address(free, block.v4)),
                None => filled = false,
            }
        }
        addresses.sort_by_key(|a| !a.is_ipv4());
        filled
    }
}

impl BlockPool {
    fn closed_until(&self, address: u128) -> Option<u128> {
        covers(&self.closed, address).max(covers(&self.kept, address))
    }

    /// Takes an address that is free to whoever names the pool that it is in, or to all.
    fn claim(&mut self, address: u128, is_named: bool) -> bool {
        let is_closed =
            if is_named { covers(&self.closed, address) } else { self.closed_until(address) }.is_some();
        (self.first..=self.last).contains(&address) && !is_closed && self.used.insert(address)
    }

    /// The lowest free address of some ranges; what lies below it is taken out of them.
    fn lowest_of(&mut self, ranges: &mut [(u128, u128)]) -> Option<u128> {
        for (first, last) in ranges {
            *first = self.first.max(*first);
            while *first <= self.last.min(*last) {
                let candidate = *first;
                *first = covers(&self.closed, candidate).unwrap_or(candidate).checked_add(1)?;
                if covers(&self.closed, candidate).is_none() && self.used.insert(candidate) {
                    return Some(candidate);
                }
            }
        }
        None
    }

    fn lowest(&mut self) -> Option<u128> {
        while self.next <= self.last {
            let candidate = self.next;
            if let Some(last) = self.closed_until(candidate) {
                self.next = last.checked_add(1)?;
                continue;
            }
            self.next = candidate.checked_add(1)?;
            if self.used.insert(candidate) {
                return Some(candidate);
            }
        }
        None
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => a.into(),
    }
}

fn address(number: u128, v4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(n) if v4 => IpAddr::V4(n.into()),
        _ => IpAddr::V6(number.into()),
    }
}
