//! The only place where OVN names and keys are minted.
//!
//! Names follow Kube-OVN, so that what people know carries over: router `<vpc>`, switch `<subnet>`, router
//! port `<vpc>-<subnet>`, its switch port `<subnet>-<vpc>`, peering port `<vpc>-<remote>`. The scheme is
//! ambiguous; `check` refuses two objects that would mint one name. Port groups are called
//! `ovn.sg.<group>..<vpc>`, as matches can refer to them.

use crate::model::{Model, Subnet, Vip, Vpc};

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

/// The ports of a VPC that are in a security group. Kube-OVN has one port group for all VPCs; here an address
/// says who somebody is within its VPC alone.
pub(crate) fn port_group(group: &str, vpc: &str) -> String {
    format!("ovn.sg.{}..{}", symbol(group), symbol(vpc))
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
    format!("{symbol}_.{}", uuid::Uuid::new_v5(&uuid::Uuid::nil(), name.as_bytes()).simple())
}

/// The destinations of a family that packets from a subnet reach with their own source. Address sets have
/// names of letters, digits, `_` and `.` alone, so that the subnet's stands there in hexadecimal digits.
pub(crate) fn exempt(subnet: &Subnet, v4: bool) -> String {
    let digits: String = subnet.name.value.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("exempt.{digits}.ip{}", if v4 { 4 } else { 6 })
}

/// The limit of what rules of a VPC log, by its messages a second.
pub(crate) fn log_meter(vpc: &Vpc, rate: i64) -> String {
    format!("northc.log.{}.{rate}", vpc.name)
}

/// What a name stands for, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Minted {
    /// The OVN name.
    pub(crate) name: String,
    /// What mints it: `the router port of subnet a in VPC b`.
    pub(crate) what: String,
    /// Where that is declared.
    pub(crate) span: crate::span::Span,
}

/// Names of router ports, which are unique in the whole database.
pub(crate) fn router_ports(model: &Model) -> Vec<Minted> {
    let subnets = model.subnets.iter().filter(|s| s.routed).map(|subnet| {
        let vpc = model.vpc(subnet.vpc);
        Minted {
            name: router_port(vpc, subnet),
            what: format!("the router port of subnet `{}` in VPC `{}`", subnet.name, vpc.name),
            span: subnet.name.span,
        }
    });
    let peers = model.vpcs.iter().flat_map(|vpc| {
        vpc.peerings.iter().map(|peering| Minted {
            name: peer_port(&vpc.name, &peering.remote.value),
            what: format!("the peering port of VPC `{}` towards `{}`", vpc.name, peering.remote),
            span: peering.remote.span,
        })
    });
    let gateways = model.gateways.iter().map(|gateway| {
        let (vpc, external) = (model.vpc(gateway.vpc), model.subnet(gateway.external));
        let what = format!("the gateway of VPC `{}` on `{}`", vpc.name, external.name);
        Minted { name: router_port(vpc, external), what, span: gateway.span }
    });
    subnets.chain(gateways).chain(peers).collect()
}

/// Names of switch ports, which are unique in the whole database.
pub(crate) fn switch_ports(model: &Model) -> Vec<Minted> {
    let routers = model.subnets.iter().filter(|s| s.routed).map(|subnet| {
        let vpc = model.vpc(subnet.vpc);
        let what = format!("the port of subnet `{}` towards VPC `{}`", subnet.name, vpc.name);
        Minted { name: router_side(vpc, subnet), what, span: subnet.name.span }
    });
    let gateways = model.gateways.iter().map(|gateway| {
        let (vpc, external) = (model.vpc(gateway.vpc), model.subnet(gateway.external));
        let what = format!("the port of external network `{}` towards VPC `{}`", external.name, vpc.name);
        Minted { name: router_side(vpc, external), what, span: gateway.span }
    });
    let localnets = model.subnets.iter().filter(|s| s.underlay.is_some()).map(|subnet| {
        let what = format!("the port of subnet `{}` towards its physical network", subnet.name);
        Minted { name: localnet(subnet), what, span: subnet.name.span }
    });
    let ports = model.ports.iter().map(|port| Minted {
        name: port.name.clone(),
        what: format!("the interface of {}", port.owner),
        span: port.span,
    });
    let virtual_ports = model.vips.iter().filter(|v| !v.parents.is_empty()).map(|vip: &Vip| Minted {
        name: vip.name.clone(),
        what: format!("the virtual address `{}`", vip.name),
        span: vip.span,
    });
    routers.chain(gateways).chain(localnets).chain(ports).chain(virtual_ports).collect()
}

/// Names of port groups, and of the sets of addresses beside them.
pub(crate) fn port_groups(model: &Model) -> Vec<Minted> {
    let mut minted = Vec::new();
    for (vpc, members) in model.members() {
        let vpc = model.vpc(vpc);
        let first = members.values().flatten().min();
        minted.extend(first.map(|port| Minted {
            name: filtered(vpc),
            what: format!("the ports of VPC `{}` that are in security groups", vpc.name),
            span: model.ports[port.0].span,
        }));
        minted.extend(members.keys().map(|id| Minted {
            name: port_group(&model.group(*id).name.value, &vpc.name),
            what: format!("security group `{}` in VPC `{}`", model.group(*id).name, vpc.name),
            span: model.group(*id).name.span,
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
