//! `northc.io/v1alpha1` VpcPeering: a link between two VPCs, declared once for both.
//!
//! | field | where it is left out |
//! |---|---|
//! | link | derived, see `links` |
//! | autoRoutes | each VPC's main table leads to the other's `cidrs`, or to its subnets where it has none |
//!
//! A route by hand to the same prefix stands instead of an automatic one. Refuses to judge the link.

use ipnet::IpNet;

use super::Declared;
use super::links::{Link, Wanted};
use crate::diag::{Code, Sink};
use crate::model::Model;
use crate::source::declare::{OneOrMore, Pair, declare};
use crate::source::resolve::{SubnetNames, unique, vpc_of};
use crate::span::Spanned;

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

/// The links of peerings whose VPCs are known.
pub(super) fn wanted(
    declared: Vec<Declared<VpcPeering>>,
    model: &mut Model,
    names: &mut SubnetNames,
    sink: &mut Sink,
) -> Vec<Wanted> {
    let declared = unique("VpcPeering", declared, |p| &p.name.value, |p| Some(p.name.span), sink);
    let mut links = Vec::with_capacity(declared.len());
    for said in declared {
        let Pair(vpcs) = said.spec.vpcs;
        let found = vpcs.each_ref().map(|name| {
            let says = format_args!("peering `{}` joins VPC", said.name);
            vpc_of(name, &model.vpcs, names.doubts(), (Code::PeerUnknown, says), sink)
        });
        let [Some(one), Some(other)] = found else {
            found.into_iter().flatten().for_each(|id| model.vpcs[id.0].whole_links = false);
            names.leave_out("VpcPeering", said.name.value);
            continue;
        };
        links.push(Wanted {
            name: said.name,
            vpcs: [one, other],
            networks: said.spec.link.0,
            table: None,
            auto_routes: said.spec.auto_routes.is_none_or(|on| on.value),
        });
    }
    links
}

/// Adds the routes of peerings that want them.
pub(super) fn add_routes(links: &[Link], model: &mut Model) {
    for link in links.iter().filter(|link| link.auto_routes && link.vpcs[0] != link.vpcs[1]) {
        for (near, far) in [(0, 1), (1, 0)].map(|(near, far)| (link.vpcs[near], link.vpcs[far])) {
            for prefix in model.blocks_of(far) {
                link.add_route(near, None, prefix.value, model);
            }
        }
    }
}
