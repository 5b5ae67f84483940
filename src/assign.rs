//! Every free choice: which address a port gets, and which MAC.
//!
//! A pure function of names and of what was chosen before. A port without an address by hand takes the one
//! that the lock file remembers, else the lowest free one of its subnet, in the order of names; a MAC is
//! derived from the name and locally administered, so a rebuild changes none. Refuses to read files and to
//! judge what was given by hand.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use uuid::Uuid;

use crate::model::{AddressRange, Block, Mac, Model, Port, PortId, SubnetId};

/// Addresses given out before, by the name of the port or virtual address.
pub type Remembered = BTreeMap<String, Vec<IpAddr>>;

/// What was chosen.
#[derive(Debug, Default)]
pub struct Assignment {
    ports: Vec<PortAssignment>,
    vips: Vec<Vec<IpAddr>>,
}

/// What a port gets.
#[derive(Clone, Debug)]
pub struct PortAssignment {
    /// Given by hand or derived.
    pub mac: Mac,
    /// At most one a family, IPv4 first.
    pub addresses: Vec<IpAddr>,
}

/// A port for which a block had no free address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The subnet that is full.
    pub subnet: SubnetId,
    /// The first port that went without; `None` for a virtual address.
    pub port: Option<PortId>,
}

impl Assignment {
    /// What a port gets.
    pub fn port(&self, id: PortId) -> &PortAssignment {
        &self.ports[id.0]
    }

    /// The addresses of the virtual address at an index of [`Model::vips`].
    pub fn vip(&self, at: usize) -> &[IpAddr] {
        &self.vips[at]
    }

    /// Every choice that was not given by hand, to be remembered.
    pub fn chosen(&self, model: &Model) -> Remembered {
        let port = |(port, got): (&Port, &PortAssignment)| {
            let by_hand = |a: &IpAddr| port.addresses.iter().any(|g| g.value == *a);
            let chosen: Vec<IpAddr> = got.addresses.iter().copied().filter(|a| !by_hand(a)).collect();
            (!chosen.is_empty()).then(|| (port.name.clone(), chosen))
        };
        let vips = model.vips.iter().zip(&self.vips).filter_map(|(vip, got)| {
            let by_hand = |a: &IpAddr| vip.addresses.iter().any(|g| g.value == *a);
            let chosen: Vec<IpAddr> = got.iter().copied().filter(|a| !by_hand(a)).collect();
            (!chosen.is_empty()).then(|| (vip.name.clone(), chosen))
        });
        model.ports.iter().zip(&self.ports).filter_map(port).chain(vips).collect()
    }
}

/// Chooses for every port and virtual address. Subnets that are full are returned, once each.
pub fn assign(model: &Model, remembered: &Remembered) -> (Assignment, Vec<Exhausted>) {
    let mut pools: Vec<Pool> = model.subnets.iter().map(|s| Pool::new(&s.blocks, &s.exclude)).collect();
    for port in &model.ports {
        port.addresses.iter().for_each(|a| pools[port.subnet.0].take(a.value));
    }
    for vip in &model.vips {
        vip.addresses.iter().for_each(|a| pools[vip.subnet.0].take(a.value));
    }
    // What is remembered is claimed before anybody chooses, so that a newcomer can't push it out.
    let mut claimed: Vec<Vec<IpAddr>> = Vec::with_capacity(model.ports.len());
    for port in &model.ports {
        let given: Vec<IpAddr> = port.addresses.iter().map(|a| a.value).collect();
        claimed.push(pools[port.subnet.0].claim(&given, remembered.get(&port.name)));
    }
    let vip_claims: Vec<Vec<IpAddr>> = model
        .vips
        .iter()
        .map(|vip| {
            let given: Vec<IpAddr> = vip.addresses.iter().map(|a| a.value).collect();
            pools[vip.subnet.0].claim(&given, remembered.get(&vip.name))
        })
        .collect();

    let mut full: BTreeMap<SubnetId, Exhausted> = BTreeMap::new();
    let mut vips = Vec::with_capacity(model.vips.len());
    for (vip, mut addresses) in model.vips.iter().zip(vip_claims) {
        if !pools[vip.subnet.0].fill(&mut addresses) {
            full.entry(vip.subnet).or_insert(Exhausted { subnet: vip.subnet, port: None });
        }
        vips.push(addresses);
    }
    let mut macs = Macs::new(model);
    let mut ports = Vec::with_capacity(model.ports.len());
    for ((id, port), mut addresses) in model.ports().zip(claimed) {
        if !pools[port.subnet.0].fill(&mut addresses) {
            full.entry(port.subnet).or_insert(Exhausted { subnet: port.subnet, port: Some(id) });
        }
        ports.push(PortAssignment { mac: macs.of(port), addresses });
    }
    (Assignment { ports, vips }, full.into_values().collect())
}

/// A MAC address derived from a name: locally administered, unicast (IEEE 802, bit 1 of the first byte).
pub fn derived_mac(kind: &str, name: &str) -> Mac {
    nth_mac(kind, name, 0)
}

/// The `n`th candidate, for the unlikely case that an earlier one is taken.
fn nth_mac(kind: &str, name: &str, n: u32) -> Mac {
    let text = if n == 0 { format!("mac/{kind}/{name}") } else { format!("mac/{kind}/{name}/{n}") };
    let hash = Uuid::new_v5(&Uuid::nil(), text.as_bytes());
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
        Macs { used: given.collect() }
    }

    fn of(&mut self, port: &Port) -> Mac {
        if let Some(mac) = &port.mac {
            return mac.value;
        }
        let mut n = 0;
        loop {
            let mac = nth_mac("port", &port.name, n);
            if self.used.insert((port.subnet, mac)) {
                return mac;
            }
            n += 1;
        }
    }
}

/// The free addresses of a subnet.
struct Pool {
    blocks: Vec<BlockPool>,
}

struct BlockPool {
    v4: bool,
    /// The lowest address that may still be free.
    next: u128,
    last: u128,
    used: BTreeSet<u128>,
    /// Sorted by first address.
    closed: Vec<(u128, u128)>,
}

impl Pool {
    fn new(blocks: &[Block], exclude: &[crate::span::Spanned<AddressRange>]) -> Pool {
        let pool = |block: &Block| {
            let net = block.cidr.value;
            let v4 = net.addr().is_ipv4();
            let (first, last) = (number(net.network()), number(net.broadcast()));
            let mut closed: Vec<(u128, u128)> = exclude
                .iter()
                .filter(|range| range.value.first.is_ipv4() == v4)
                .map(|range| (number(range.value.first), number(range.value.last)))
                .collect();
            closed.sort_unstable();
            // The broadcast address is IPv4's alone; the network address is nobody's in either family.
            let last = if v4 { last.saturating_sub(1) } else { last };
            BlockPool {
                v4,
                next: first + 1,
                last,
                used: BTreeSet::from([number(block.gateway.value)]),
                closed,
            }
        };
        Pool { blocks: blocks.iter().map(pool).collect() }
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
    fn claim(&mut self, given: &[IpAddr], remembered: Option<&Vec<IpAddr>>) -> Vec<IpAddr> {
        let mut addresses = given.to_vec();
        for &address in remembered.into_iter().flatten() {
            let family_taken = addresses.iter().any(|a| a.is_ipv4() == address.is_ipv4());
            if !family_taken && self.block(address).is_some_and(|block| block.claim(number(address))) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Adds the lowest free address of every family that is missing; false when one has none left.
    fn fill(&mut self, addresses: &mut Vec<IpAddr>) -> bool {
        let mut filled = true;
        for block in &mut self.blocks {
            if addresses.iter().any(|a| a.is_ipv4() == block.v4) {
                continue;
            }
            match block.lowest() {
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
        let inside = |&&(first, last): &&(u128, u128)| first <= address && address <= last;
        self.closed.iter().filter(inside).map(|&(_, last)| last).max()
    }

    fn claim(&mut self, address: u128) -> bool {
        let open = (self.next..=self.last).contains(&address) && self.closed_until(address).is_none();
        open && self.used.insert(address)
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
