//! `northc.io/v1alpha1` TransitGateway: a router that stands between VPCs, each of them attached by a link.
//!
//! | field | where it is left out |
//! |---|---|
//! | attachments, routeTable | packets from the VPC are routed by the gateway's `routes` |
//! | routeTables, vpcs | the table leads to every attached VPC |
//! | autoRoutes | the tables lead to those VPCs' blocks, and each VPC's main table to what its own table there leads to |
//!
//! VPCs whose tables don't lead to each other are kept apart: a hub and its spokes. A route by hand to the same
//! prefix stands instead of an automatic one. Refuses to judge blocks; `check` does.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::links::{Link, Wanted};
use super::{Declared, PrefixLists};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, DEFAULT_VPC, Model, NextHop, RouteSelector, StaticRoute, VpcId};
use crate::source::declare::{Cidr, OneOrMore, declare};
use crate::source::fields::conflict;
use crate::source::resolve::{SubnetNames, find_vpc, suggest, unique, vpc_of};
use crate::span::{Span, Spanned};

declare! {
    /// A router between VPCs, which reach each other by it as its tables say.
    pub(crate) struct TransitGateway "TransitGateway.spec" {
        /// A text for people.
        "description" description: Option<Spanned<String>>,
        /// The VPCs that it joins.
        "attachments" attachments: Vec<Spanned<Attachment>>,
        /// Routes of its main table, for packets from attachments without a `routeTable`.
        "routes" routes: Vec<Spanned<TransitRoute>>,
        /// Further tables, so that not everybody reaches everybody.
        "routeTables" tables: Vec<Spanned<TransitTable>>,
        /// Whether its tables lead to the blocks of VPCs, and the main tables of VPCs to what they may reach by it.
        "autoRoutes" auto_routes: Option<Spanned<bool>> = "true",
    }
}

declare! {
    /// A VPC that is joined with the others.
    pub(crate) struct Attachment "an attachment" {
        /// The Vpc.
        "vpc" vpc: Spanned<String>,
        /// The gateway's table for packets from there.
        "routeTable" table: Option<Spanned<String>> = "the gateway's `routes`",
        /// The link's network, or one of each family: the gateway has its first host, the Vpc its second.
        "link" link: OneOrMore<Spanned<IpNet>> = "a /30 of 169.254.64.0/18, a /126 of fd6e:6f72:7468::/64",
    }
}

declare! {
    /// A table of a transit gateway.
    pub(crate) struct TransitTable "a table" {
        /// Its name.
        "name" name: Spanned<String>,
        /// The attached Vpcs whose blocks it leads to.
        "vpcs" vpcs: OneOrMore<Spanned<String>> = "all of them",
        /// Its routes by hand.
        "routes" routes: Vec<Spanned<TransitRoute>>,
    }
}

declare! {
    /// Where a transit gateway sends packets: to one of the targets.
    pub(crate) struct TransitRoute "a route" {
        /// For packets to these prefixes.
        "destination" destination: OneOrMore<Cidr>,
        /// Target: this attached Vpc.
        "vpc" vpc: Option<Spanned<String>>,
        /// Target: nothing. The packets are dropped.
        "blackhole" blackhole: Option<Spanned<bool>>,
    }
}

/// The gateways' routers beside those of VPCs; one with the name of a VPC is left out.
pub(super) fn join(
    declared: Vec<Declared<TransitGateway>>,
    vpcs: &mut Vec<model::Vpc>,
    sink: &mut Sink,
) -> Vec<Declared<TransitGateway>> {
    let mut gateways = unique("TransitGateway", declared, |g| &g.name.value, |g| Some(g.name.span), sink);
    gateways.retain(|gateway| {
        let name = &gateway.name;
        let twin = vpcs.iter().find(|vpc| vpc.name == name.value);
        if twin.is_some() || name.value == DEFAULT_VPC {
            let message = format!("VPC and transit gateway `{name}` would be routers of one name");
            let diagnostic = Diagnostic::new(Code::NameCollision, name.span, message);
            sink.push(match twin.and_then(|vpc| vpc.span) {
                Some(span) => diagnostic.label(span, "the VPC").help("rename one of them"),
                None => diagnostic.help("rename it"),
            });
            return false;
        }
        vpcs.push(router(gateway));
        true
    });
    gateways
}

/// The router of a gateway, without links and routes.
fn router(said: &Declared<TransitGateway>) -> model::Vpc {
    let tables = said.spec.tables.iter().map(|table| table.value.name.clone());
    model::Vpc {
        description: said.description(said.spec.description.as_ref()),
        is_transit: true,
        whole_routes: said.whole,
        whole_links: said.whole,
        route_tables: tables.collect(),
        ..model::Vpc::new(said.name.value.clone(), Some(said.name.span))
    }
}

/// The links of attachments whose VPCs are known.
pub(super) fn wanted(
    declared: &[Declared<TransitGateway>],
    model: &mut Model,
    names: &SubnetNames,
    sink: &mut Sink,
) -> Vec<Wanted> {
    let mut links = Vec::new();
    for said in declared {
        let Some(gateway) = find_vpc(&model.vpcs, &said.name.value) else { continue };
        if said.spec.attachments.is_empty() && said.whole {
            let message = format!("transit gateway `{}` has no `attachments`", said.name);
            sink.push(Diagnostic::new(Code::MissingField, said.name.span, message).help("add `attachments`"));
        }
        let mut attached: BTreeMap<VpcId, Span> = BTreeMap::new();
        for attachment in said.spec.attachments.iter().map(|attachment| &attachment.value) {
            let vpc = &attachment.vpc;
            let says = format_args!("transit gateway `{}` joins VPC", said.name);
            let found = vpc_of(vpc, &model.vpcs, names.doubts(), (Code::PeerUnknown, says), sink);
            let Some(found) = found else {
                model.vpcs[gateway.0].whole_links = false;
                continue;
            };
            if let Some(first) = attached.insert(found, vpc.span) {
                let message = format!("VPC `{vpc}` is attached to transit gateway `{}` twice", said.name);
                sink.push(
                    Diagnostic::new(Code::DuplicateObject, vpc.span, message).label(first, "first here"),
                );
                continue;
            }
            table_of(attachment, said, sink);
            links.push(Wanted {
                name: Spanned::new(said.name.value.clone(), vpc.span),
                vpcs: [gateway, found],
                networks: attachment.link.0.clone(),
                table: attachment.table.clone(),
                auto_routes: said.spec.auto_routes.as_ref().is_none_or(|on| on.value),
            });
        }
    }
    links
}

/// An attachment's table is one of the gateway's.
fn table_of(attachment: &Attachment, said: &Declared<TransitGateway>, sink: &mut Sink) {
    let Some(table) = &attachment.table else { return };
    let known = said.spec.tables.iter().map(|table| table.value.name.value.as_str());
    if said.whole && !known.clone().any(|known| known == table.value) {
        let message = format!("transit gateway `{}` has no table `{table}`", said.name);
        let diagnostic = Diagnostic::new(Code::UnknownObject, table.span, message);
        sink.push(suggest(diagnostic, &table.value, known));
    }
}

/// Routes by hand into the model.
pub(super) fn routes(
    declared: &[Declared<TransitGateway>],
    links: &[Link],
    lists: &PrefixLists,
    model: &mut Model,
    sink: &mut Sink,
) {
    for said in declared {
        let Some(gateway) = find_vpc(&model.vpcs, &said.name.value) else { continue };
        let n_errors = sink.n_errors();
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        let main = said.spec.routes.iter().map(|route| (None, route));
        let further = said.spec.tables.iter().map(|table| &table.value).flat_map(|table| {
            if let Some(first) = seen.insert(&table.name.value, table.name.span) {
                let message = format!("table `{}` is declared twice", table.name);
                sink.push(
                    Diagnostic::new(Code::DuplicateObject, table.name.span, message)
                        .label(first, "first here"),
                );
            }
            table.routes.iter().map(move |route| (Some(&table.name), route))
        });
        let written: Vec<(Option<&Spanned<String>>, &Spanned<TransitRoute>)> = main.chain(further).collect();
        let mut target = Targets { gateway, links, lists };
        for (table, route) in written {
            let routes = target.routes(table, route, model, sink);
            model.vpcs[gateway.0].static_routes.extend(routes);
        }
        model.vpcs[gateway.0].whole_routes &= sink.n_errors() == n_errors;
    }
}

/// What routes of a gateway may name.
struct Targets<'t> {
    gateway: VpcId,
    links: &'t [Link],
    lists: &'t PrefixLists,
}

impl Targets<'_> {
    fn routes(
        &mut self,
        table: Option<&Spanned<String>>,
        said: &Spanned<TransitRoute>,
        model: &Model,
        sink: &mut Sink,
    ) -> Vec<StaticRoute> {
        let (span, route) = (said.span, &said.value);
        let blackhole = route.blackhole.as_ref().filter(|on| on.value);
        let link = match (&route.vpc, blackhole) {
            (Some(vpc), None) => attached(self.links, self.gateway, vpc, model, sink),
            (None, Some(_)) => None,
            (Some(vpc), Some(hole)) => {
                conflict(("vpc", vpc.span), ("blackhole", hole.span), sink);
                None
            }
            (None, None) => {
                let message = "a route has no target";
                sink.push(
                    Diagnostic::new(Code::MissingField, span, message)
                        .help("add `vpc`, or `blackhole: true`"),
                );
                None
            }
        };
        if route.destination.0.is_empty() {
            let message = "a route has no `destination`";
            sink.push(Diagnostic::new(Code::MissingField, span, message).help("add `destination`"));
        }
        let prefixes = self.lists.expand(route.destination.0.clone(), sink);
        let far: Vec<std::net::IpAddr> = link.iter().flat_map(|link| link.far(self.gateway)).collect();
        let next_hop = |prefix: &Spanned<IpNet>, sink: &mut Sink| match (blackhole, &route.vpc) {
            (Some(hole), None) => Some(Spanned::new(NextHop::Discard, hole.span)),
            (None, Some(vpc)) if link.is_some() => {
                let found = far.iter().find(|hop| hop.is_ipv4() == prefix.value.addr().is_ipv4());
                if found.is_none() {
                    let message = format!("the link to VPC `{vpc}` has no address of the family of {prefix}");
                    sink.push(
                        Diagnostic::new(Code::FamilyMix, vpc.span, message).label(prefix.span, "the prefix"),
                    );
                }
                found.map(|hop| Spanned::new(NextHop::Address(*hop), vpc.span))
            }
            _ => None,
        };
        let selector = RouteSelector::Destination;
        let routes = prefixes.into_iter().filter_map(|prefix| {
            let next_hop = next_hop(&prefix, sink)?;
            Some(StaticRoute { span, selector, prefix, next_hop, table: table.cloned(), bfd: None })
        });
        routes.collect()
    }
}

/// The link to a VPC by name; one that is not attached is reported.
fn attached<'l>(
    links: &'l [Link],
    gateway: VpcId,
    vpc: &Spanned<String>,
    model: &Model,
    sink: &mut Sink,
) -> Option<&'l Link> {
    let own = || links.iter().filter(move |link| link.vpcs[0] == gateway);
    let name = |link: &Link| &model.vpc(link.vpcs[1]).name;
    let found = own().find(|link| *name(link) == vpc.value);
    if found.is_none() && model.vpc(gateway).whole_links {
        let message = format!("VPC `{vpc}` is not attached to {}", model.vpc(gateway).called());
        let known = own().map(|link| name(link).as_str());
        let diagnostic = Diagnostic::new(Code::UnknownObject, vpc.span, message);
        sink.push(suggest(diagnostic, &vpc.value, known));
    }
    found
}

/// Generated routes, of gateways that want them: in their tables, then in the VPCs that are attached.
pub(super) fn add_routes(
    declared: &[Declared<TransitGateway>],
    links: &[Link],
    model: &mut Model,
    sink: &mut Sink,
) {
    for said in declared {
        let Some(gateway) = find_vpc(&model.vpcs, &said.name.value) else { continue };
        let own: Vec<&Link> = links.iter().filter(|link| link.vpcs[0] == gateway).collect();
        let mut leads: BTreeMap<&str, Vec<&Link>> = BTreeMap::new();
        for table in said.spec.tables.iter().map(|table| &table.value) {
            let named = table.vpcs.0.iter().filter_map(|vpc| attached(links, gateway, vpc, model, sink));
            let named: Vec<&Link> = named.collect();
            let to = if table.vpcs.0.is_empty() { own.clone() } else { named };
            leads.entry(&table.name.value).or_insert(to);
        }
        let to = |link: &Link| match &link.table {
            Some(table) => leads.get(table.value.as_str()).unwrap_or(&own).clone(),
            None => own.clone(),
        };
        let wanted: Vec<(&Link, Vec<&Link>)> =
            own.iter().filter(|link| link.auto_routes).map(|link| (*link, to(link))).collect();
        let mut done: BTreeSet<Option<&str>> = BTreeSet::new();
        for (from, leads) in &wanted {
            let table = from.table.as_ref();
            if !done.insert(table.map(|table| table.value.as_str())) {
                continue;
            }
            for link in leads {
                for prefix in model.blocks_of(link.vpcs[1]) {
                    link.add_route(gateway, table, prefix.value, model);
                }
            }
        }
        for (from, leads) in &wanted {
            for link in leads.iter().filter(|link| link.vpcs[1] != from.vpcs[1]) {
                for prefix in model.blocks_of(link.vpcs[1]) {
                    from.add_route(from.vpcs[1], None, prefix.value, model);
                }
            }
        }
    }
}
