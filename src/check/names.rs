//! Names: do two objects mint one OVN name?
//!
//! Kube-OVN's scheme joins names with `-`, so VPC `a` with subnet `b-c` and VPC `a-b` with subnet `c` meet.
//! Port names are unique in the whole database, and northd drops a switch port that has a router port's
//! name (N0206). The holders of a virtual address stand in one value, with commas between (N0113). A subnet with its VPC's name is refused as Kube-OVN refuses it (N0211).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::Subnet;
use crate::names::{self, Minted, What};

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut all: Vec<Minted<'_>> = names::router_ports(model).chain(names::switch_ports(model)).collect();
    // Most are in order. Of one name, the first stays the first.
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for same in all.chunk_by(|a, b| a.name == b.name) {
        let [first, others @ ..] = same else { continue };
        for minted in others {
            // A VPC and a subnet of its name, refused below; two peerings with one VPC, refused elsewhere.
            if first.span == minted.span || is_same_link(first.what, minted.what) {
                continue;
            }
            ctx.report(collision("ports", first, minted));
        }
    }
    port_groups(ctx);
    holders(ctx);
    for (_, subnet) in ctx.model.subnets() {
        physical(ctx, subnet);
        let vpc = ctx.model.vpc(subnet.vpc);
        if vpc.name == subnet.name.value {
            let message = format!("subnet `{}` has the name of its VPC", subnet.name);
            let diagnostic = Diagnostic::new(Code::SubnetNamedAsVpc, subnet.name.span, message);
            ctx.report(match vpc.span {
                Some(span) => {
                    diagnostic.label(span, "the VPC").help("rename one of them: Kube-OVN refuses this")
                }
                None => diagnostic,
            });
        }
    }
}

/// `ovn-bridge-mappings` is `name:bridge,name:bridge`, so that some names can't be in it.
fn physical(ctx: &mut Ctx<'_>, subnet: &Subnet) {
    let Some(name) = subnet.underlay.as_ref().map(|underlay| &underlay.physical) else { return };
    if name.value.contains([':', ',']) || name.value.contains(char::is_whitespace) {
        let message = format!("no chassis can map a physical network called `{name}` to a bridge");
        ctx.report(
            Diagnostic::new(Code::BadName, name.span, message)
                .help("use a name without colons, commas and blanks"),
        );
    }
}

/// Two peerings of one VPC with one other.
fn is_same_link(one: What<'_>, other: What<'_>) -> bool {
    match (one, other) {
        (What::PeerPort(vpc, peering), What::PeerPort(vpc_too, peering_too)) => {
            vpc.name == vpc_too.name && peering.remote.value == peering_too.remote.value
        }
        _ => false,
    }
}

/// Two things of OVN that would have one name.
fn collision(things: &str, first: &Minted<'_>, minted: &Minted<'_>) -> Diagnostic {
    let message = format!("two {things} would be called `{}`", minted.name);
    Diagnostic::new(Code::NameCollision, minted.span, message)
        .at(minted.what.to_string())
        .label(first.span, first.what.to_string())
        .help("rename one of them")
}

/// Port groups are unique in the whole database.
fn port_groups(ctx: &mut Ctx<'_>) {
    let mut seen: BTreeMap<Cow<'_, str>, Minted<'_>> = BTreeMap::new();
    for minted in names::port_groups(ctx.model) {
        if let Some(first) = seen.get(&minted.name) {
            ctx.report(collision("port groups", first, &minted));
        } else {
            seen.insert(minted.name.clone(), minted);
        }
    }
}

/// Workloads that hold a virtual address: OVN reads their names up to a comma (ovn-nb(5), `virtual-parents`).
fn holders(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for vip in &model.vips {
        for port in vip.parents.iter().map(|id| &model.ports[id.0]).filter(|port| port.name.contains(',')) {
            let message = format!(
                "the name of {} holds a comma, so it can't hold the virtual address `{}`",
                port.owner(),
                vip.name
            );
            ctx.report(
                Diagnostic::new(Code::BadName, port.span, message)
                    .label(vip.span, "OVN puts commas between the names of its holders")
                    .help("rename the workload"),
            );
        }
    }
}
