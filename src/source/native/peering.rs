//! `northc.io/v1alpha1` VpcPeering: a link between two VPCs, declared once for both.
//!
//! | field | where it is left out |
//! |---|---|
//! | link | a /30 of 169.254.64.0/18 and a /126 of fd6e:6f72:7468::/64, chosen by the VPCs' names, for the families that both have; the next one where a VPC has a link there already |
//! | autoRoutes | each VPC's main table leads to the other's `cidrs`, or to its subnets where it has none |
//!
//! A route by hand to the same prefix stands instead of an automatic one. Refuses to judge the link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use uuid::Uuid;

use super::Declared;
use crate::diag::{Code, Sink};
use crate::model::{Model, NextHop, Peering, RouteSelector, StaticRoute, VpcId};
use crate::source::declare::{OneOrMore, Pair, declare};
use crate::source::resolve::{SubnetNames, unique, vpc_of};
use crate::span::{Span, Spanned};

declare! {
    /// A link between two VPCs, with an address on each side.
    pub(crate) struct VpcPeering "VpcPeering.spec" {
        /// The two Vpcs.
        "vpcs" vpcs: Pair<Spanned<String>>,
        /// The link's network, or one of each family: the first Vpc has its first host, the second its second.
        "link" link: OneOrMore<Spanned<IpNet>> = "a /30 of 169.254.64.0/18, a /126 of fd6e:6f72:7468::/64",
        /// Whether the main table of each Vpc leads to the other's blocks.
        "autoRoutes" auto_routes: Option<Spanned<bool>> = "true",
    }
}

/// Where links that nobody gave are taken from: so many of four addresses each.
const LINKS_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 64, 0);
const LINKS_V6: Ipv6Addr = Ipv6Addr::new(0xfd6e, 0x6f72, 0x7468, 0, 0, 0, 0, 0);
const N_LINKS: u32 = 4096;

/// A peering whose VPCs are known.
pub(super) struct Link {
    pub(super) name: Spanned<String>,
    pub(super) vpcs: [VpcId; 2],
    /// Each side's addresses.
    addresses: [Vec<Spanned<IpNet>>; 2],
    auto_routes: bool,
}

impl Link {
    /// The other side's addresses, seen from one of the VPCs.
    pub(super) fn far(&self, from: VpcId) -> impl Iterator<Item = IpAddr> {
        let side = usize::from(self.vpcs[0] == from);
        self.addresses[side].iter().map(|address| address.value.addr())
    }
}

/// Puts both sides of every peering into the model: those with links of their own first.
pub(super) fn attach(
    declared: Vec<Declared<VpcPeering>>,
    model: &mut Model,
    names: &mut SubnetNames,
    sink: &mut Sink,
) -> Vec<Link> {
    let mut declared = unique("VpcPeering", declared, |p| &p.name.value, |p| Some(p.name.span), sink);
    declared.sort_by_key(|peering| peering.spec.link.0.is_empty());
    let mut links = Vec::with_capacity(declared.len());
    for peering in declared {
        let name = peering.name.clone();
        let Some(link) = link(peering, model, names, sink) else {
            names.leave_out("VpcPeering", name.value);
            continue;
        };
        for &near in sides(&link) {
            let far = 1 - near;
            let remote = model.vpc(link.vpcs[far]).name.clone();
            model.vpcs[link.vpcs[near].0].peerings.push(Peering {
                span: name.span,
                remote: Spanned::new(remote, name.span),
                remote_id: Some(link.vpcs[far]),
                addresses: link.addresses[near].clone(),
            });
        }
        links.push(link);
    }
    links
}

/// Both sides; of a peering that is refused, the one where that is said.
fn sides(link: &Link) -> &'static [usize] {
    match link.vpcs {
        [one, other] if one == other => &[0],
        [VpcId(0), _] => &[1],
        [_, VpcId(0)] => &[0],
        _ => &[0, 1],
    }
}

fn link(said: Declared<VpcPeering>, model: &mut Model, names: &SubnetNames, sink: &mut Sink) -> Option<Link> {
    let Pair(vpcs) = said.spec.vpcs;
    let found = vpcs.each_ref().map(|name| {
        let says = format_args!("peering `{}` joins VPC", said.name);
        vpc_of(name, &model.vpcs, names.doubts(), (Code::PeerUnknown, says), sink)
    });
    let [Some(one), Some(other)] = found else {
        found.into_iter().flatten().for_each(|id| model.vpcs[id.0].whole_links = false);
        return None;
    };
    let addresses = match said.spec.link.0 {
        networks if networks.is_empty() => derived(model, [one, other], said.name.span),
        networks => [1, 2].map(|nth| networks.iter().map(|net| net.map(|net| host(net, nth))).collect()),
    };
    let auto_routes = said.spec.auto_routes.is_none_or(|on| on.value);
    Some(Link { name: said.name, vpcs: [one, other], addresses, auto_routes })
}

/// The `nth` host of a link with the link's length; a link of two addresses has them both for hosts (RFC 3021).
fn host(net: IpNet, nth: u32) -> IpNet {
    let spare = net.max_prefix_len() - net.prefix_len();
    let offset = match spare {
        0 => 0,
        1 => nth - 1,
        _ => nth,
    };
    let address = match net.network() {
        IpAddr::V4(a) => IpAddr::V4((u32::from(a).wrapping_add(offset)).into()),
        IpAddr::V6(a) => IpAddr::V6((u128::from(a).wrapping_add(offset.into())).into()),
    };
    IpNet::new(address, net.prefix_len()).expect("the length is one of that family")
}

/// Links from the range for those that nobody gave, off those that the two VPCs have already.
fn derived(model: &Model, vpcs: [VpcId; 2], span: Span) -> [Vec<Spanned<IpNet>>; 2] {
    let mut names = vpcs.map(|id| model.vpc(id).name.as_str());
    names.sort_unstable();
    let hash = Uuid::new_v5(&Uuid::nil(), format!("link/{}/{}", names[0], names[1]).as_bytes());
    let [a, b, ..] = *hash.as_bytes();
    let start = u32::from(u16::from_be_bytes([a, b])) % N_LINKS;
    let taken: Vec<IpNet> = vpcs
        .iter()
        .flat_map(|id| &model.vpc(*id).peerings)
        .flat_map(|peering| peering.addresses.iter().map(|address| address.value.trunc()))
        .collect();
    let of_family = |v4: bool, at: u32| {
        let (address, length): (IpAddr, u8) = match v4 {
            true => (Ipv4Addr::from(u32::from(LINKS_V4) + 4 * at).into(), 30),
            false => (Ipv6Addr::from(u128::from(LINKS_V6) + 4 * u128::from(at)).into(), 126),
        };
        IpNet::new(address, length).expect("the length is one of that family")
    };
    let families = families(model, vpcs);
    let networks = |at: u32| families.iter().map(move |v4| of_family(*v4, at));
    let is_free = |at: &u32| {
        networks(*at).all(|net| !taken.iter().any(|taken| taken.contains(&net) || net.contains(taken)))
    };
    let mut candidates = (0..N_LINKS).map(|n| (start + n) % N_LINKS);
    let at = candidates.find(is_free).unwrap_or(start);
    [1, 2].map(|nth| networks(at).map(|net| Spanned::new(host(net, nth), span)).collect())
}

/// The families that both VPCs have (true for IPv4); IPv4 where nothing is in common.
fn families(model: &Model, vpcs: [VpcId; 2]) -> Vec<bool> {
    let has = |id: VpcId, v4: bool| blocks(model, id).iter().any(|net| net.addr().is_ipv4() == v4);
    let both: Vec<bool> =
        [true, false].into_iter().filter(|v4| vpcs.iter().all(|id| has(*id, *v4))).collect();
    if both.is_empty() { vec![true] } else { both }
}

/// What a VPC is reached by: its blocks, or those of its subnets where it has none.
fn blocks(model: &Model, id: VpcId) -> Vec<IpNet> {
    let own = &model.vpc(id).cidrs;
    if !own.is_empty() {
        return own.iter().map(|cidr| cidr.value).collect();
    }
    let subnets = model.subnets.iter().filter(|subnet| subnet.vpc == id && subnet.routed);
    subnets.flat_map(|subnet| &subnet.blocks).map(|block| block.cidr.value).collect()
}

/// Adds the routes of peerings that want them, where none is written to the same prefix.
pub(super) fn add_routes(links: &[Link], model: &mut Model) {
    for link in links.iter().filter(|link| link.auto_routes && link.vpcs[0] != link.vpcs[1]) {
        for (near, far) in [(0, 1), (1, 0)].map(|(near, far)| (link.vpcs[near], link.vpcs[far])) {
            for prefix in blocks(model, far) {
                let of_family = |hop: &IpAddr| hop.is_ipv4() == prefix.addr().is_ipv4();
                let Some(hop) = link.far(near).find(of_family) else { continue };
                let routes = &mut model.vpcs[near.0].static_routes;
                let is_written = |route: &StaticRoute| {
                    route.table.is_none()
                        && route.selector == RouteSelector::Destination
                        && route.prefix.value == prefix
                };
                if routes.iter().any(is_written) {
                    continue;
                }
                let span = link.name.span;
                routes.push(StaticRoute {
                    span,
                    selector: RouteSelector::Destination,
                    prefix: Spanned::new(prefix, span),
                    next_hop: Spanned::new(NextHop::Address(hop), span),
                    table: None,
                });
            }
        }
    }
}
