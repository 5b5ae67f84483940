//! Kube-OVN's `enableBfd`: next hops outside a VPC are watched, and left while they do not answer.
//!
//! | said | meant |
//! |---|---|
//! | Vpc, `enableBfd` | each route by hand to an external network's address is watched |
//! | Subnet of it, `enableEcmp` | its packets leave by every OvnEip of type `lsp` there that answers |
//! | Subnet of another, `enableEcmp` | nothing: it is about Kubernetes' nodes |
//!
//! Refuses to judge next hops; `check` does.

use super::kubeovn::nat::EipType;
use super::kubeovn::no_effect;
use super::outside::Declared;
use super::resolve::{find_port, find_vpc};
use crate::diag::Sink;
use crate::model::{Bfd, Model, NextHop, PortId, RouteSelector, StaticRoute, SubnetId, VpcId};
use crate::span::{Span, Spanned};

/// What is asked for, names resolved.
pub(super) struct Watch {
    vpcs: Vec<(VpcId, Span)>,
    /// The OvnEips of type `lsp`.
    exits: Vec<Spanned<PortId>>,
    /// The subnets that leave by them.
    subnets: Vec<(SubnetId, Span)>,
}

impl Watch {
    pub(super) fn new(declared: &Declared, subnets: Vec<(SubnetId, Span)>, model: &Model) -> Watch {
        let vpcs = declared.exits.iter();
        let vpcs = vpcs.filter_map(|exits| Some((find_vpc(&model.vpcs, &exits.vpc)?, exits.bfd?)));
        let ports = declared.eips.iter().filter(|eip| eip.kind.value == EipType::SwitchPort);
        let ports =
            ports.filter_map(|eip| Some(Spanned::new(find_port(model, &eip.name.value)?, eip.name.span)));
        Watch { vpcs: vpcs.collect(), exits: ports.collect(), subnets }
    }

    /// Adds sessions and routes, once the gateways are known.
    pub(super) fn apply(self, model: &mut Model, sink: &mut Sink) {
        for (vpc, span) in &self.vpcs {
            for at in 0..model.vpc(*vpc).static_routes.len() {
                let hop = model.vpc(*vpc).static_routes[at].address();
                if hop.is_some_and(|hop| model.gateway_towards(*vpc, hop).is_some()) {
                    model.vpcs[vpc.0].static_routes[at].bfd.get_or_insert(Bfd::kube_ovns(*span));
                }
            }
        }
        for (subnet, span) in &self.subnets {
            let vpc = model.subnet(*subnet).vpc;
            if !self.vpcs.iter().any(|(watched, _)| *watched == vpc) {
                let why = "it spreads the default VPC's exit over nodes, which are Kubernetes' own";
                no_effect(*span, "enableEcmp", why, sink);
                continue;
            }
            let routes = self.routes(*subnet, *span, model);
            if routes.is_empty() {
                let why = "there is no OvnEip of type `lsp` on an external network of the VPC";
                no_effect(*span, "enableEcmp", why, sink);
            }
            model.vpcs[vpc.0].static_routes.extend(routes);
        }
    }

    /// One a family and exit.
    fn routes(&self, id: SubnetId, span: Span, model: &Model) -> Vec<StaticRoute> {
        let subnet = model.subnet(id);
        let mut routes = Vec::new();
        for block in &subnet.blocks {
            for exit in &self.exits {
                let external = model.port(exit.value).subnet;
                let has_family = model.subnet(external).block_for(block.gateway.value).is_some();
                if model.gateway_on(subnet.vpc, external).is_some() && has_family {
                    routes.push(StaticRoute {
                        span,
                        selector: RouteSelector::Source,
                        prefix: block.cidr,
                        next_hop: exit.map(NextHop::Port),
                        table: subnet.route_table.clone(),
                        bfd: Some(Bfd::kube_ovns(span)),
                    });
                }
            }
        }
        routes
    }
}
