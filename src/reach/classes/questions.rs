//! What a part of a network asks about packets and ports.
//!
//! Refuses to know who asks for which machine's sake.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::marks::{Marks, Range};
use crate::nb::matching::{Constant, ConstantKind, Expr, ExprKind, FieldRef, Number, RelOp};
use crate::reach::filter::{Member, Names};
use crate::reach::network::{Network, RouterId, SwitchId, Translation, Vip};
use crate::reach::outside::NOT_PUBLIC;

/// Addresses that no row mentions, and that are not like others, besides those that are not public.
const PECULIAR: [&str; 6] =
    ["0.0.0.0/32", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "fe80::/64", "ff00::/8"];

/// What a part of a network asks.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// About addresses.
    pub(super) marks: Marks,
    /// About Ethernet addresses: a value and the bits that count.
    pub(super) macs: BTreeSet<(u128, u128)>,
    /// About groups of ports.
    pub(super) groups: BTreeSet<String>,
    /// Ports that are called by their names.
    pub(super) ports: HashSet<String>,
    /// Addresses that packets are sent to or get.
    pub(super) special: BTreeSet<IpAddr>,
    /// Sets that have been looked at.
    sets: HashSet<String>,
    /// Whether something is asked that is none of these.
    pub(super) is_strange: bool,
}

impl Questions {
    /// What is asked everywhere, about addresses on physical networks too.
    pub(super) fn common(physical: &[IpNet]) -> Questions {
        let mut questions = Questions::default();
        let peculiar = NOT_PUBLIC.iter().chain(&PECULIAR).map(|net| net.parse::<IpNet>().expect("a network"));
        peculiar.chain(physical.iter().copied()).for_each(|net| questions.marks.net(&net));
        questions
    }

    /// A match asks.
    pub(super) fn matching(&mut self, expr: &Expr, names: &Names) {
        expr.visit(&mut |part| match &part.kind {
            ExprKind::Compare { field, op, constants } => {
                constants.iter().for_each(|constant| self.constant(field, *op, constant, names));
            }
            ExprKind::Between { low, field, high } => {
                for bound in [low, high] {
                    self.constant(field, RelOp::Lt, &bound.constant, names);
                }
            }
            ExprKind::ChassisResident(port) => {
                self.ports.insert(port.value.clone());
            }
            ExprKind::Boolean(_) | ExprKind::Test(_) => {}
            ExprKind::Not(_) | ExprKind::All(_) | ExprKind::Any(_) => {}
        });
    }

    fn constant(&mut self, field: &FieldRef, op: RelOp, constant: &Constant, names: &Names) {
        match &constant.kind {
            ConstantKind::Text(name) => {
                self.ports.insert(name.clone());
            }
            ConstantKind::PortGroup(name) => {
                self.groups.insert(name.clone());
            }
            ConstantKind::AddressSet(name) => {
                if self.sets.insert(name.clone()) {
                    let members = names.address_sets.get(name).map_or(&[][..], Vec::as_slice);
                    self.marks.together(members.iter().filter_map(range_of_member));
                    let macs = members.iter().filter(|member| member.width == 48);
                    self.macs.extend(macs.map(|member| (member.value, member.mask)));
                }
            }
            ConstantKind::Number(number) => self.number(field, op, *number),
        }
    }

    fn number(&mut self, field: &FieldRef, op: RelOp, number: Number) {
        let is_ipv6 = match field.symbol.name {
            "ip4.src" | "ip4.dst" => false,
            "ip6.src" | "ip6.dst" => true,
            "eth.src" | "eth.dst" => {
                self.is_strange |= op.is_ordering() || field.is_partial();
                self.macs.insert((number.value, number.mask.unwrap_or(u128::MAX)));
                return;
            }
            name => {
                self.is_strange |=
                    ["ip4.", "ip6.", "eth.", "arp.", "nd."].iter().any(|it| name.starts_with(it))
                        && !matches!(name, "eth.type");
                return;
            }
        };
        let ones = if is_ipv6 { u128::MAX } else { u128::from(u32::MAX) };
        let mask = number.mask.unwrap_or(ones) & ones;
        let free = ones & !mask;
        self.is_strange |= field.is_partial() || free & free.wrapping_add(1) != 0;
        self.marks.range((is_ipv6, number.value, number.value | free));
        if let Some(below) = number.value.checked_sub(1).filter(|_| op.is_ordering()) {
            self.marks.range((is_ipv6, 0, below));
            self.marks.range((is_ipv6, 0, number.value));
        }
    }

    /// Balancers ask.
    pub(super) fn vips(&mut self, vips: &[Vip]) {
        for vip in vips {
            let ends = vip.backends.iter().map(|(address, _)| *address).chain([vip.address, vip.hairpin]);
            ends.for_each(|address| self.marks.address(address));
            self.special.extend([vip.address, vip.hairpin]);
        }
    }

    /// A router asks, but for what its networks, routes and translations are about.
    pub(super) fn router(&mut self, network: &Network, id: RouterId) {
        let router = network.router(id);
        self.vips(&router.vips);
        let mut hops: Vec<IpAddr> = router.forced.translated.clone();
        hops.extend(&router.forced.balanced);
        for (_, policy, matching) in &router.policies {
            self.matching(matching, &network.names);
            hops.extend(policy.nexthops.iter().filter_map(|hop| hop.parse::<IpAddr>().ok()));
        }
        for (_, route) in &router.routes {
            hops.extend(route.nexthop.parse::<IpAddr>().ok());
            self.ports.extend(route.output_port.clone());
        }
        for Translation { matching, external, .. } in &router.translations {
            self.special.insert(*external);
            if let Some((expr, _)) = matching {
                self.matching(expr, &network.names);
            }
        }
        for it in &router.unfollowed {
            it.sources.iter().chain(&it.destinations).for_each(|net| self.marks.net(net));
        }
        self.special.extend(&hops);
        let own = router.ports.iter().flat_map(|id| network.router_port(*id).addresses());
        own.chain(hops).for_each(|address| self.marks.address(address));
    }
}

/// Networks of routers on physical networks, and addresses of machines there.
pub(super) fn physical(network: &Network) -> Vec<IpNet> {
    let wired = (0..network.switches.len()).map(SwitchId).filter(|switch| network.is_wired(*switch));
    let ports = wired.flat_map(|switch| &network.switch(switch).ports).map(|id| network.port(*id));
    let nets = ports.flat_map(|port| {
        let router = port.router_port().map(|id| network.router_port(id));
        let routed = router.into_iter().flat_map(|port| port.networks.iter().map(IpNet::trunc));
        let own = port.addresses.iter().flat_map(|own| own.ips.iter().map(|net| net.addr().into()));
        routed.chain(own)
    });
    nets.collect()
}

fn range_of_member(member: &Member) -> Option<Range> {
    let ones = match member.width {
        32 => u128::from(u32::MAX),
        128 => u128::MAX,
        _ => return None,
    };
    Some((member.width == 128, member.value, member.value | (ones & !member.mask)))
}
