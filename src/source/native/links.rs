//! Links between two routers, with an address on each side: of peerings, and of transit gateways' attachments.
//!
//! A network that nobody gave is a /30 of 169.254.64.0/18 and a /126 of fd6e:6f72:7468::/64, chosen by the names
//! of both, for the families that both have; the next one where either has a link there already. Refuses to know
//! routes, and to judge a link; `check` does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::digest;
use crate::model::{Model, NextHop, Peering, RouteSelector, StaticRoute, VpcId};
use crate::span::{Span, Spanned};

/// Where links that nobody gave are taken from: so many of four addresses each.
const LINKS_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 64, 0);
const LINKS_V6: Ipv6Addr = Ipv6Addr::new(0xfd6e, 0x6f72, 0x7468, 0, 0, 0, 0, 0);
const N_LINKS: u32 = 4096;

/// A link that is to be.
pub(super) struct Wanted {
    /// What declares it.
    pub(super) name: Spanned<String>,
    pub(super) vpcs: [VpcId; 2],
    /// Its networks, at most one a family; with none, they are derived.
    pub(super) networks: Vec<Spanned<IpNet>>,
    /// The first one's table for packets that come in by it.
    pub(super) table: Option<Spanned<String>>,
    /// Whether routes by it are generated.
    pub(super) auto_routes: bool,
}

/// A link that is there.
pub(super) struct Link {
    pub(super) name: Spanned<String>,
    pub(super) vpcs: [VpcId; 2],
    /// Each side's addresses.
    addresses: [Vec<Spanned<IpNet>>; 2],
    pub(super) table: Option<Spanned<String>>,
    pub(super) auto_routes: bool,
}

impl Link {
    /// The other side's addresses, seen from one of the VPCs.
    pub(super) fn far(&self, from: VpcId) -> impl Iterator<Item = IpAddr> {
        let side = usize::from(self.vpcs[0] == from);
        self.addresses[side].iter().map(|address| address.value.addr())
    }

    /// Both sides; of a link that is refused, the one where that is said.
    fn sides(&self) -> &'static [usize] {
        match self.vpcs {
            [one, other] if one == other => &[0],
            [VpcId(0), _] => &[1],
            [_, VpcId(0)] => &[0],
            _ => &[0, 1],
        }
    }

    /// A route to a prefix by this link, where none is written to it in that table.
    pub(super) fn add_route(
        &self,
        from: VpcId,
        table: Option<&Spanned<String>>,
        prefix: IpNet,
        model: &mut Model,
    ) {
        let of_family = |hop: &IpAddr| hop.is_ipv4() == prefix.addr().is_ipv4();
        let Some(hop) = self.far(from).find(of_family) else { return };
        let routes = &mut model.vpcs[from.0].static_routes;
        let name = |table: Option<&Spanned<String>>| table.map(|table| table.value.clone());
        let is_written = |route: &StaticRoute| {
            name(route.table.as_ref()) == name(table)
                && route.selector == RouteSelector::Destination
                && route.prefix.value == prefix
        };
        if routes.iter().any(is_written) {
            return;
        }
        let span = self.name.span;
        routes.push(StaticRoute {
            span,
            selector: RouteSelector::Destination,
            prefix: Spanned::new(prefix, span),
            next_hop: Spanned::new(NextHop::Address(hop), span),
            table: table.cloned(),
            bfd: None,
        });
    }
}

/// Puts both sides of every link into the model: those with networks of their own first.
pub(super) fn attach(mut wanted: Vec<Wanted>, model: &mut Model) -> Vec<Link> {
    wanted.sort_by_key(|link| link.networks.is_empty());
    let mut links = Vec::with_capacity(wanted.len());
    for Wanted { name, vpcs, networks, table, auto_routes } in wanted {
        let addresses = match networks {
            networks if networks.is_empty() => derived(model, vpcs, name.span),
            networks => [1, 2].map(|nth| networks.iter().map(|net| net.map(|net| host(net, nth))).collect()),
        };
        let link = Link { name, vpcs, addresses, table, auto_routes };
        for &near in link.sides() {
            let remote = model.vpc(link.vpcs[1 - near]).name.clone();
            model.vpcs[link.vpcs[near].0].peerings.push(Peering {
                span: link.name.span,
                remote: Spanned::new(remote, link.name.span),
                remote_id: Some(link.vpcs[1 - near]),
                addresses: link.addresses[near].clone(),
                table: link.table.clone().filter(|_| near == 0),
            });
        }
        links.push(link);
    }
    links
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
    let hash = digest::of(format!("link/{}/{}", names[0], names[1]).as_bytes());
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

/// The families that both have (true for IPv4), a transit gateway both of them; IPv4 where nothing is in common.
fn families(model: &Model, vpcs: [VpcId; 2]) -> Vec<bool> {
    let has = |id: VpcId, v4: bool| {
        let mut blocks = model.blocks_of(id).into_iter();
        model.vpc(id).is_transit || blocks.any(|net| net.value.addr().is_ipv4() == v4)
    };
    let both: Vec<bool> =
        [true, false].into_iter().filter(|v4| vpcs.iter().all(|id| has(*id, *v4))).collect();
    if both.is_empty() { vec![true] } else { both }
}
