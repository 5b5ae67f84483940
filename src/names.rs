//! The only place where OVN names and keys are minted.
//!
//! Names follow Kube-OVN, so that what people know carries over: router `<vpc>`, switch `<subnet>`, router
//! port `<vpc>-<subnet>`, its switch port `<subnet>-<vpc>`, peering port `<vpc>-<remote>`. The scheme is
//! ambiguous; `check` refuses two objects that would mint one name. Port groups are called
//! `ovn.sg.<group>..<vpc>`, as matches can refer to them.

use std::borrow::Cow;
use std::fmt;

use ipnet::IpNet;

use crate::model::{AddressPool, Model, Peering, Port, Subnet, Vip, Vpc};

/// The router of a VPC.
pub(crate) fn router(vpc: &Vpc) -> String {
    vpc.name.clone()
}

/// The switch of a subnet.
pub(crate) fn switch(subnet: &Subnet) -> String {
    subnet.name.value.clone()
}

/// The router's port in a subnet.
pub(crate) fn router_port(vpc: &Vpc, subnet: &Subnet) -> String {
    format!("{}-{}", vpc.name, subnet.name)
}

/// The switch's port towards the router.
pub(crate) fn router_side(vpc: &Vpc, subnet: &Subnet) -> String {
    format!("{}-{}", subnet.name, vpc.name)
}

/// The router's port towards a peer.
pub(crate) fn peer_port(vpc: &str, remote: &str) -> String {
    format!("{vpc}-{remote}")
}

/// The switch's port towards the physical network.
pub(crate) fn localnet(subnet: &Subnet) -> String {
    format!("localnet.{}", subnet.name)
}

/// The port for the `nth` address of a virtual address.
pub(crate) fn virtual_port(vip: &Vip, nth: usize) -> Cow<'_, str> {
    if nth == 0 { Cow::Borrowed(vip.name.as_str()) } else { Cow::Owned(format!("{}-v6", vip.name)) }
}

/// The ports of a VPC that are in a security group. Kube-OVN has one port group for all VPCs; here an address
/// says who somebody is within its VPC alone.
pub(crate) fn port_group(group: &str, vpc: &str) -> String {
    format!("ovn.sg.{}..{}", symbol(group), symbol(vpc))
}

/// The sets of addresses by which matches can name a pool, with the family of each. Kube-OVN puts both families into
/// one, which no match can be about.
pub(crate) fn address_sets(pool: &AddressPool) -> Vec<(String, bool)> {
    let name = pool.name.value.replace('-', ".");
    let families = [true, false].into_iter().filter(|v4| {
        pool.set.is_some() && pool.ranges.iter().any(|range| range.value.first.is_ipv4() == *v4)
    });
    let of_family = |v4: bool| match pool.is_mixed() {
        true => format!("{name}.ip{}", if v4 { 4 } else { 6 }),
        false => name.clone(),
    };
    families.map(|v4| (of_family(v4), v4)).collect()
}

/// Whether a pool has the set of this name.
pub(crate) fn has_address_set(model: &Model, name: &str) -> bool {
    model.pools.iter().any(|pool| address_sets(pool).iter().any(|(set, _)| set == name))
}

/// The ports of a VPC that are in any security group.
pub(crate) fn filtered(vpc: &Vpc) -> String {
    format!("northc.filtered.{}", symbol(&vpc.name))
}

/// The addresses that a private subnet shuts out; `family` is `ip4` or `ip6`.
pub(crate) fn outside(subnet: &Subnet, family: &str) -> String {
    format!("northc.outside.{}.{family}", symbol(&subnet.name.value))
}

/// A name as matches can refer to it: letters, digits, `.` and `_` (ovn-nb(5), Port_Group.name). Names that
/// Kubernetes takes stay apart: they have no `_`, no `..` and no `-.`; others get a digest.
fn symbol(name: &str) -> String {
    let is_plain = |label: &str| {
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let sound = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    let symbol: String = name.chars().map(sound).collect();
    if name.split('.').all(is_plain) {
        return symbol;
    }
    format!("{symbol}_.{}", crate::digest::of(name.as_bytes()).simple())
}

/// The destinations that packets from a subnet's block, or from a part of it, reach with their own source. Address
/// sets have names of letters, digits, `_` and `.` alone, so that the subnet's stands there in hexadecimal digits.
pub(crate) fn exempt(subnet: &Subnet, inside: IpNet, is_whole: bool) -> String {
    let digits: String = subnet.name.value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let family = if inside.addr().is_ipv4() { 4 } else { 6 };
    let part = if is_whole { String::new() } else { format!(".{inside}").replace([':', '/'], "_") };
    format!("exempt.{digits}.ip{family}{part}")
}

/// The limit of what rules of a VPC log, by its messages a second.
pub(crate) fn log_meter(vpc: &Vpc, rate: i64) -> String {
    format!("northc.log.{}.{rate}", vpc.name)
}

/// What a name stands for, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Minted<'m> {
    /// The OVN name.
    pub(crate) name: Cow<'m, str>,
    /// What mints it: `the router port of subnet a in VPC b`.
    pub(crate) what: What<'m>,
    /// Where that is declared.
    pub(crate) span: crate::span::Span,
}

/// What mints a name. Words only where somebody reads them: hardly any port is ever in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'m> {
    RouterPort(&'m Subnet, &'m Vpc),
    PeerPort(&'m Vpc, &'m Peering),
    Gateway(&'m Vpc, &'m Subnet),
    RouterSide(&'m Subnet, &'m Vpc),
    ExternalSide(&'m Subnet, &'m Vpc),
    Localnet(&'m Subnet),
    Interface(&'m Port),
    Vip(&'m Vip),
    Filtered(&'m Vpc),
    Group(&'m str, &'m Vpc),
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::RouterPort(subnet, vpc) => {
                write!(f, "the router port of subnet `{}` in VPC `{}`", subnet.name, vpc.name)
            }
            What::PeerPort(vpc, peering) => {
                write!(f, "the peering port of VPC `{}` towards `{}`", vpc.name, peering.remote)
            }
            What::Gateway(vpc, external) => {
                write!(f, "the gateway of VPC `{}` on `{}`", vpc.name, external.name)
            }
            What::RouterSide(subnet, vpc) => {
                write!(f, "the port of subnet `{}` towards VPC `{}`", subnet.name, vpc.name)
            }
            What::ExternalSide(external, vpc) => {
                write!(f, "the port of external network `{}` towards VPC `{}`", external.name, vpc.name)
            }
            What::Localnet(subnet) => {
                write!(f, "the port of subnet `{}` towards its physical network", subnet.name)
            }
            What::Interface(port) => write!(f, "the interface of {}", port.owner()),
            What::Vip(vip) => write!(f, "the virtual address `{}`", vip.name),
            What::Filtered(vpc) => {
                write!(f, "the ports of VPC `{}` that are in security groups", vpc.name)
            }
            What::Group(group, vpc) => write!(f, "security group `{group}` in VPC `{}`", vpc.name),
        }
    }
}

/// Names of router ports, which are unique in the whole database.
pub(crate) fn router_ports(model: &Model) -> impl Iterator<Item = Minted<'_>> {
    let subnets = model.subnets.iter().filter(|s| s.routed).map(|subnet| {
        let vpc = model.vpc(subnet.vpc);
        let name = Cow::Owned(router_port(vpc, subnet));
        Minted { name, what: What::RouterPort(subnet, vpc), span: subnet.name.span }
    });
    let peers = model.vpcs.iter().flat_map(|vpc| {
        vpc.peerings.iter().map(move |peering| Minted {
            name: Cow::Owned(peer_port(&vpc.name, &peering.remote.value)),
            what: What::PeerPort(vpc, peering),
            span: peering.remote.span,
        })
    });
    let gateways = model.gateways.iter().map(|gateway| {
        let (vpc, external) = (model.vpc(gateway.vpc), model.subnet(gateway.external));
        let name = Cow::Owned(router_port(vpc, external));
        Minted { name, what: What::Gateway(vpc, external), span: gateway.span }
    });
    subnets.chain(gateways).chain(peers)
}

/// The name of a workload's port.
fn interface(port: &Port) -> Minted<'_> {
    Minted { name: Cow::Borrowed(port.name.as_str()), what: What::Interface(port), span: port.span }
}

/// Names of switch ports, which are unique in the whole database.
pub(crate) fn switch_ports(model: &Model) -> impl Iterator<Item = Minted<'_>> {
    let routers = model.subnets.iter().filter(|s| s.routed).map(|subnet| {
        let vpc = model.vpc(subnet.vpc);
        let name = Cow::Owned(router_side(vpc, subnet));
        Minted { name, what: What::RouterSide(subnet, vpc), span: subnet.name.span }
    });
    let gateways = model.gateways.iter().map(|gateway| {
        let (vpc, external) = (model.vpc(gateway.vpc), model.subnet(gateway.external));
        let name = Cow::Owned(router_side(vpc, external));
        Minted { name, what: What::ExternalSide(external, vpc), span: gateway.span }
    });
    let localnets = model.subnets.iter().filter(|s| s.underlay.is_some()).map(|subnet| {
        let name = Cow::Owned(localnet(subnet));
        Minted { name, what: What::Localnet(subnet), span: subnet.name.span }
    });
    let ports = model.ports.iter().map(interface);
    let virtual_ports = model.vips.iter().filter(|v| !v.parents.is_empty()).flat_map(|vip| {
        let n_families = model.subnet(vip.subnet).blocks.len();
        let minted = |nth| Minted { name: virtual_port(vip, nth), what: What::Vip(vip), span: vip.span };
        (0..n_families).map(minted)
    });
    routers.chain(gateways).chain(localnets).chain(ports).chain(virtual_ports)
}

/// Names of port groups, and of the sets of addresses beside them.
pub(crate) fn port_groups(model: &Model) -> Vec<Minted<'_>> {
    let mut minted = Vec::new();
    for (vpc, members) in model.members() {
        let vpc = model.vpc(vpc);
        let first = members.values().flatten().min();
        minted.extend(first.map(|port| Minted {
            name: Cow::Owned(filtered(vpc)),
            what: What::Filtered(vpc),
            span: model.ports[port.0].span,
        }));
        minted.extend(members.keys().map(|id| {
            let group = &model.group(*id).name;
            let name = Cow::Owned(port_group(&group.value, &vpc.name));
            Minted { name, what: What::Group(&group.value, vpc), span: group.span }
        }));
    }
    minted
}

#[test]
fn names_that_kubernetes_takes_stay_apart() {
    assert_eq!(port_group("web-tier", "vpc-1"), "ovn.sg.web_tier..vpc_1");
    assert_eq!(port_group("1st.web", "a--b"), "ovn.sg.1st.web..a__b");
    let odd = ["web_tier", "web tier", "web-tier", "web.tier", "-web", "web-", "w\u{fc}b", "a..b", "a"];
    let symbols: std::collections::BTreeSet<String> = odd.iter().map(|name| symbol(name)).collect();
    assert_eq!(symbols.len(), odd.len());
    assert!(symbols.iter().all(|s| s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))));
}
