//! Subnets that the model may take for each other, with all who are there.
//!
//! One may change places with another when nothing is said of it by name, or of a part of its blocks, and both have all
//! else in common: [`Home`]. What is said of all of a block is asked of packets, as it is of
//! any address; that a packet is from or for one of these subnets is asked as one question, whichever it is
//! ([`Network::is_apart`]). Refuses to say who is there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::network::Network;
use super::{Meaning, Side, Told};
use crate::model::{GatewayId, GroupId, NextHop, PortId, Remote, RouteSelector, Subnet, SubnetId, VpcId};
use crate::nb::matching::{self, ConstantKind, Expr, ExprKind};
use crate::reach::address::is_host;
use crate::reach::header::bits;
use crate::span::Span;

/// What tells a subnet from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Home {
    /// It is like no other.
    Only(SubnetId),
    /// Whatever subnets have in common that may change places.
    Like(Kind),
}

/// What subnets have in common that may change places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    vpc: VpcId,
    route_table: Option<String>,
    /// How long the prefixes of its blocks are, by family.
    lengths: Vec<(bool, u8)>,
    /// Whether rules remember connections.
    is_tracked: bool,
    /// Whether machines know how large it is, with IPv4 and with IPv6.
    is_sized: [bool; 2],
    /// The balancers that serve it.
    served: Vec<Span>,
    /// As what the whole block goes out by a gateway.
    outgoing: Vec<(GatewayId, IpAddr)>,
    /// Where routes to exactly its blocks lead, of any of the joined VPCs.
    routed: Vec<Routed>,
}

/// A route to exactly a block: whose, in which table, by whom, and whether he is watched.
type Routed = (VpcId, Option<String>, Option<IpAddr>, bool);

/// Addresses of a family, from the first to the last.
type Range = (bool, u128, u128);

/// What is said of addresses among those of joined VPCs, but for what is said of one machine's alone.
#[derive(Default)]
struct Said {
    ranges: BTreeSet<Range>,
    /// Routes by destination.
    routes: BTreeMap<IpNet, Vec<Routed>>,
    /// Router ports that are called by their names.
    names: BTreeSet<String>,
    /// Whether something is said that is neither.
    is_strange: bool,
}

impl Meaning<'_> {
    /// What tells each subnet from others, where machines are told these routes.
    pub(super) fn homes(&self, told: &BTreeMap<PortId, Vec<Told>>) -> BTreeMap<SubnetId, Home> {
        let mut said: BTreeMap<VpcId, Said> = BTreeMap::new();
        for (id, _) in self.net.model.vpcs() {
            self.said_by(id, said.entry(self.net.realm_of(id)).or_default());
        }
        let mut groups: BTreeSet<(VpcId, GroupId)> = BTreeSet::new();
        for (id, told) in told {
            let (_, subnet) = self.net.home(*id);
            let realm = self.net.realm_of(subnet.vpc);
            groups.extend(self.net.model.port(*id).groups.iter().map(|group| (realm, group.value)));
            // Its own gateway is said of every subnet.
            let by = told.iter().map(|(_, by)| *by).filter(|by| place_of(subnet, *by).is_none());
            let nets = told.iter().map(|(to, _)| *to).chain(by.map(IpNet::from));
            said.entry(realm).or_default().ranges.extend(nets.map(|net| range(&net)));
        }
        for (realm, group) in groups {
            let nets = self.net.model.group(group).rules.iter().flat_map(|rule| {
                let remote = match &rule.remote {
                    Remote::Net(net) => Some(net.value),
                    Remote::Group(..) => None,
                };
                remote.into_iter().chain(rule.local.as_ref().map(|net| net.value))
            });
            said.entry(realm).or_default().ranges.extend(nets.map(|net| range(&net)));
        }
        let homes = self.net.model.subnets().map(|(id, subnet)| {
            let kind = said.get(&self.net.realm_of(subnet.vpc)).and_then(|said| self.kind(id, said));
            (id, kind.map_or(Home::Only(id), Home::Like))
        });
        homes.collect()
    }

    fn said_by(&self, id: VpcId, said: &mut Said) {
        let (net, vpc) = (&self.net, self.net.model.vpc(id));
        let prefixes = vpc.static_routes.iter().map(|route| route.prefix.value);
        for route in vpc.static_routes.iter().filter(|it| it.selector == RouteSelector::Destination) {
            let table = route.table.as_ref().map(|table| table.value.clone());
            let by = match route.next_hop.value {
                NextHop::Discard => None,
                // A port without an address leads nowhere: as if its route were not there.
                NextHop::Address(_) | NextHop::Port(_) => match net.assignment.next_hop(route) {
                    Some(by) => Some(by),
                    None => continue,
                },
            };
            let routed = (id, table, by, route.bfd.is_some());
            said.routes.entry(route.prefix.value).or_default().push(routed);
        }
        let hops = net.next_hops(id).into_iter().map(IpNet::from);
        let served = net.served_by[id.0].iter();
        let served = served.flat_map(|it| it.backends.iter().map(|(to, _)| *to).chain([it.address]));
        said.ranges.extend(prefixes.chain(hops).chain(served.map(IpNet::from)).map(|net| range(&net)));
        for it in &net.translations[id.0] {
            let is_machines = it.is_inward && net.publics.contains_key(&(it.gateway, it.outside));
            let inside = Some(it.inside).filter(|_| !is_machines);
            let refined = it.rules.iter().flat_map(|rule| rule.nets());
            let nets = inside.into_iter().chain([it.outside.into()]).chain(refined);
            said.ranges.extend(nets.map(|net| range(&net)));
        }
        for policy in &vpc.policy_routes {
            if let Some(expr) = matching::parse(&policy.matching.value, self.reader.symbols).expr {
                self.asked(&expr, said);
            }
        }
        for served in net.by_vpc[id.0].iter().filter_map(|id| net.served_on.get(id)).flatten() {
            let all = served.backends.iter().map(|(to, _)| *to).chain([served.address]);
            said.ranges.extend(all.map(|address| range(&address.into())));
        }
    }

    /// What a match asks of addresses.
    fn asked(&self, expr: &Expr, said: &mut Said) {
        let mut constants = Vec::new();
        expr.visit(&mut |part| match &part.kind {
            ExprKind::Compare { field, op, constants: all } => {
                constants.extend(all.iter().map(|it| (field, op.is_ordering(), it)));
            }
            ExprKind::Between { low, field, high } => {
                constants.extend([low, high].map(|bound| (field, true, &bound.constant)));
            }
            ExprKind::ChassisResident(port) => drop(said.names.insert(port.value.clone())),
            ExprKind::Boolean(_) | ExprKind::Test(_) => {}
            ExprKind::Not(_) | ExprKind::All(_) | ExprKind::Any(_) => {}
        });
        for (field, is_ordering, constant) in constants {
            match &constant.kind {
                ConstantKind::Text(name) => drop(said.names.insert(name.clone())),
                ConstantKind::PortGroup(_) => said.is_strange = true,
                ConstantKind::AddressSet(name) => {
                    for it in self.reader.names.address_sets.get(name).into_iter().flatten() {
                        let free = (u128::MAX >> (128 - it.width)) & !it.mask;
                        said.is_strange |= free & free.wrapping_add(1) != 0;
                        said.ranges.insert((it.width == 128, it.value, it.value | free));
                    }
                }
                ConstantKind::Number(number) => {
                    let is_ipv6 = match field.symbol.name {
                        "ip4.src" | "ip4.dst" => false,
                        "ip6.src" | "ip6.dst" => true,
                        _ => continue,
                    };
                    let ones = if is_ipv6 { u128::MAX } else { u32::MAX.into() };
                    let free = ones & !number.mask.unwrap_or(ones);
                    said.is_strange |= is_ordering || field.is_partial() || free & free.wrapping_add(1) != 0;
                    said.ranges.insert((is_ipv6, number.value, number.value | free));
                }
            }
        }
    }

    /// What a subnet has in common with others; `None` if it is like none.
    fn kind(&self, id: SubnetId, said: &Said) -> Option<Kind> {
        let (net, model) = (&self.net, self.net.model);
        let subnet = model.subnet(id);
        let is_plain = subnet.routed
            && subnet.private.is_none()
            && subnet.network_acl.is_none()
            && subnet.acls.is_empty()
            && subnet.metadata.is_none()
            && subnet.underlay.is_none()
            && subnet.arp_proxy.is_empty()
            && net.takers(id).is_empty()
            && net.routers_on(id) == [Side::Subnet(id)]
            && !model.vips.iter().any(|vip| vip.subnet == id);
        let blocks: Vec<IpNet> = subnet.blocks.iter().map(|block| block.cidr.value).collect();
        let is_cut = |block: &IpNet| {
            let (family, low, high) = range(block);
            let is_in_part = |(of, first, last): &Range| {
                let (meets, covers) = (*first <= high && low <= *last, *first <= low && high <= *last);
                *of == family && meets && !covers
            };
            said.ranges.iter().any(is_in_part)
        };
        let realm = Some(net.realm_of(subnet.vpc));
        let is_whole = blocks.iter().all(|block| net.is_apart(*block, subnet.vpc, realm))
            && !said.is_strange
            && !said.names.contains(&net.side_name(Side::Subnet(id)))
            && !blocks.iter().any(|block| is_cut(block) || self.is_full(id, block));
        let outgoing = net.outgoing(id);
        let is_refined = outgoing.iter().any(|it| !it.rules.is_empty());
        (is_plain && is_whole && !is_refined).then(|| Kind {
            vpc: subnet.vpc,
            route_table: subnet.route_table.as_ref().map(|table| table.value.clone()),
            lengths: blocks.iter().map(|net| (net.addr().is_ipv6(), net.prefix_len())).collect(),
            is_tracked: self.remembers(id),
            is_sized: [true, false].map(|v4| net.is_sized(id, v4)),
            served: net.served_on.get(&id).into_iter().flatten().map(|it| it.span).collect(),
            outgoing: outgoing.iter().map(|it| (it.gateway, it.outside)).collect(),
            routed: blocks.iter().filter_map(|block| said.routes.get(block)).flatten().cloned().collect(),
        })
    }

    /// Whether somebody has every address of a block.
    fn is_full(&self, id: SubnetId, block: &IpNet) -> bool {
        let held = self.net.holders.get(&id).into_iter().flat_map(|all| all.keys());
        let n_held = held.filter(|address| block.contains(*address)).count() as u128;
        let n_bits = u32::from(block.max_prefix_len() - block.prefix_len());
        1u128.checked_shl(n_bits).is_some_and(|n| n <= n_held.saturating_add(2))
    }

    /// Where a subnet's whole block is translated on its way out, in the order of what is like it.
    pub fn outgoing(&self, id: SubnetId) -> Vec<Span> {
        self.net.outgoing(id).iter().map(|it| it.span).collect()
    }
}

/// The block of a subnet that a gateway is of, by its place.
pub(super) fn place_of(subnet: &Subnet, gateway: IpAddr) -> Option<usize> {
    subnet.blocks.iter().position(|block| block.gateway.value == gateway)
}

/// A network among those of joined VPCs: a family, its first address and its last, and the subnet whose it is.
type Claim = (VpcId, bool, u128, Reverse<u128>, Option<SubnetId>);

/// Subnets that have their addresses for themselves among those of VPCs that are joined, whoever is routed there, and of
/// what is outside.
pub(super) fn apart(net: &Network<'_>) -> BTreeSet<SubnetId> {
    let mut nets: BTreeSet<Claim> = BTreeSet::new();
    let mut add = |vpc, net: &IpNet, id| {
        let (family, low, high) = range(net);
        nets.insert((vpc, family, low, Reverse(high), id));
    };
    let model = net.model;
    let externals: BTreeSet<SubnetId> = model.gateways().map(|(_, gateway)| gateway.external).collect();
    let outside = externals.iter().flat_map(|id| &model.subnet(*id).blocks).map(|block| block.cidr.value);
    let mut outside: BTreeSet<IpNet> = outside.collect();
    let publics = net.translations.iter().flatten().map(|it| it.outside);
    let strays: BTreeSet<IpAddr> = publics.filter(|it| !outside.iter().any(|net| net.contains(it))).collect();
    outside.extend(strays.into_iter().map(IpNet::from));
    for (id, _) in model.vpcs().filter(|(id, _)| net.realm_of(*id) == *id) {
        outside.iter().for_each(|net| add(id, net, None));
    }
    for (id, subnet) in model.subnets().filter(|(id, _)| !externals.contains(id)) {
        subnet.blocks.iter().for_each(|block| add(net.realm_of(subnet.vpc), &block.cidr.value, Some(id)));
    }
    for (id, vpc) in model.vpcs() {
        let links = vpc.peerings.iter().flat_map(|peering| &peering.addresses);
        links.for_each(|link| add(net.realm_of(id), &link.value, None));
    }
    let mut apart: BTreeSet<SubnetId> = model.subnets().map(|(id, _)| id).collect();
    apart.retain(|id| !externals.contains(id));
    let mut before: Option<(VpcId, bool, u128, Option<SubnetId>)> = None;
    for (vpc, family, low, Reverse(high), id) in nets {
        // Networks lie in one another, or share nothing: the one that reaches furthest comes first.
        match before.filter(|it| (it.0, it.1) == (vpc, family) && low <= it.2) {
            Some((_, _, _, other)) => drop([id, other].map(|id| id.is_some_and(|id| apart.remove(&id)))),
            None => before = Some((vpc, family, high, id)),
        }
    }
    apart
}

/// The addresses of a network.
fn range(net: &IpNet) -> Range {
    let net = if is_host(net) { *net } else { net.trunc() };
    (net.addr().is_ipv6(), bits(net.network()), bits(net.broadcast()))
}
