//! `northc.io/v1alpha1` RouteTable, and routes wherever they stand: what is named in them is found here.
//!
//! | a route leads | to |
//! |---|---|
//! | nextHop | an address; several share the packets |
//! | networkInterface | a machine, whichever address it gets; several share the packets |
//! | peering | the other side of a VpcPeering |
//! | transitGateway | the gateway's side of the link that attaches the VPC |
//! | internetGateway, natGateway | the router of the external network; `outside` says whose address packets get |
//! | blackhole | nowhere: the packets are dropped |
//!
//! A route with several prefixes is as many routes. Refuses to judge next hops; `check` does.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::links::Link;
use super::outside::NatGateway;
use super::{Declared, PrefixLists, unknown};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, Model, NextHop, RouteSelector, StaticRoute, Vpc, VpcId};
use crate::source::declare::{Cidr, Int, OneOrMore, Switch, declare};
use crate::source::fields::conflict;
use crate::source::outside::Declared as Outside;
use crate::source::resolve::{SubnetNames, find_vpc, unique};
use crate::span::{Span, Spanned};

declare! {
    /// Routes for the packets of those subnets that name the table.
    pub(crate) struct RouteTable "RouteTable.spec" {
        /// The Vpc that it belongs to.
        "vpc" vpc: Spanned<String>,
        /// Its routes. The Vpc's own subnets and links are reached without any.
        "routes" routes: Vec<Spanned<Route>>,
    }
}

declare! {
    /// Where packets go: one of `destination` and `source`, and one of the targets.
    pub(crate) struct Route "a route" {
        /// For packets to these prefixes.
        "destination" destination: OneOrMore<Cidr>,
        /// For packets from these prefixes.
        "source" source: OneOrMore<Cidr>,
        /// Target: the router or machine at this address.
        "nextHop" next_hop: OneOrMore<Spanned<IpAddr>>,
        /// Target: this NetworkInterface.
        "networkInterface" interface: OneOrMore<Spanned<String>>,
        /// Target: the other side of this VpcPeering.
        "peering" peering: Option<Spanned<String>>,
        /// Target: this TransitGateway, which the Vpc is attached to.
        "transitGateway" transit: Option<Spanned<String>>,
        /// Target: the world outside, by this InternetGateway; subnets that use the table get its address there.
        "internetGateway" internet_gateway: Option<Spanned<String>>,
        /// Target: the world outside, by this NatGateway.
        "natGateway" nat_gateway: Option<Spanned<String>>,
        /// Target: nothing. The packets are dropped.
        "blackhole" blackhole: Option<Spanned<bool>>,
        /// Whether the next hop is watched, so that the route is left while it does not answer; times where it is a mapping. For next hops on external networks.
        "bfd" bfd: Option<Switch<Bfd>> = "false",
    }
}

declare! {
    /// How a next hop is watched.
    pub(crate) struct Bfd "bfd" {
        /// Milliseconds between packets that are sent.
        "minTx" min_tx: Option<Int<1, 3600000>> = "1000",
        /// Milliseconds between packets that are received.
        "minRx" min_rx: Option<Int<1, 3600000>> = "1000",
        /// So many packets may go missing.
        "multiplier" multiplier: Option<Int<1, 255>> = "5",
    }
}

/// The session that is asked for.
pub(super) fn session(said: Option<&Switch<Bfd>>) -> Option<model::Bfd> {
    let number = |field: &Option<i64>, default: i64| field.unwrap_or(default);
    let (span, [min_tx, min_rx, multiplier]) = match said? {
        Switch::Off => return None,
        Switch::On(span) => (*span, [None; 3]),
        Switch::With(Spanned { value, span }) => {
            let [tx, rx] = [&value.min_tx, &value.min_rx].map(|ms| ms.as_ref().map(|ms| ms.0.value));
            (*span, [tx, rx, value.multiplier.as_ref().map(|n| n.0.value)])
        }
    };
    let (min_tx, min_rx) = (number(&min_tx, 1000), number(&min_rx, 1000));
    Some(model::Bfd { span, min_tx, min_rx, multiplier: number(&multiplier, 5) })
}

/// Routes, and where they stand.
pub(super) struct Written {
    /// The VPC by name.
    pub(super) vpc: Spanned<String>,
    /// `None` for the main table.
    pub(super) table: Option<Spanned<String>>,
    /// The routes.
    pub(super) routes: Vec<Spanned<Route>>,
}

/// The routes of tables; one of a VPC that does not exist is reported.
pub(super) fn tables(
    declared: Vec<Declared<RouteTable>>,
    model: &mut Model,
    names: &SubnetNames,
    sink: &mut Sink,
) -> Vec<Written> {
    let tables = unique("RouteTable", declared, |t| &t.name.value, |t| Some(t.name.span), sink);
    let mut written = Vec::with_capacity(tables.len());
    for table in tables {
        let vpc = table.spec.vpc;
        let who = format_args!("route table `{}`", table.name);
        let Some(id) = names.vpc_of(who, &vpc, model, sink) else { continue };
        let owner = &mut model.vpcs[id.0];
        owner.whole_routes &= table.whole;
        owner.route_tables.push(table.name.clone());
        written.push(Written { vpc, table: Some(table.name), routes: table.spec.routes });
    }
    written
}

/// What routes may name.
pub(super) struct Targets<'t> {
    pub(super) lists: &'t PrefixLists,
    pub(super) links: &'t [Link],
    pub(super) transits: &'t [Link],
    pub(super) exits: &'t Outside,
    pub(super) nat_gateways: &'t [Declared<NatGateway>],
    pub(super) names: &'t SubnetNames,
    /// Which tables lead outside, as far as they were seen.
    pub(super) led: BTreeSet<Led>,
}

/// A table that leads to a gateway.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Led {
    pub(super) vpc: VpcId,
    /// `None` for the main table.
    pub(super) table: Option<String>,
    /// A NAT gateway rather than an internet gateway.
    pub(super) is_nat: bool,
    /// Its name.
    pub(super) gateway: String,
}

/// Where one route leads.
enum Target {
    Hop(Spanned<NextHop>),
    /// A link or a gateway: the address of each family behind it.
    Far {
        what: String,
        addresses: Vec<IpAddr>,
        span: Span,
    },
}

impl<'t> Targets<'t> {
    /// Puts written routes into the model.
    pub(super) fn attach(&mut self, written: Written, model: &mut Model, sink: &mut Sink) {
        let Some(vpc) = find_vpc(&model.vpcs, &written.vpc.value) else { return };
        let n_errors = sink.n_errors();
        for route in written.routes {
            let routes = self.routes(vpc, written.table.as_ref(), route, model, sink);
            model.vpcs[vpc.0].static_routes.extend(routes);
        }
        model.vpcs[vpc.0].whole_routes &= sink.n_errors() == n_errors;
    }

    fn routes(
        &mut self,
        vpc: VpcId,
        table: Option<&Spanned<String>>,
        said: Spanned<Route>,
        model: &Model,
        sink: &mut Sink,
    ) -> Vec<StaticRoute> {
        let span = said.span;
        let (targets, bfd) = (self.targets(vpc, &said, model, sink), session(said.value.bfd.as_ref()));
        self.remember((vpc, model.vpc(vpc)), table, &said.value);
        let Some((selector, prefixes)) = self.prefixes(said, sink) else { return Vec::new() };
        let mut routes = Vec::new();
        for prefix in prefixes {
            for next_hop in hops(&targets, &prefix, sink) {
                routes.push(StaticRoute { span, selector, prefix, next_hop, table: table.cloned(), bfd });
            }
        }
        routes
    }

    fn prefixes(
        &self,
        said: Spanned<Route>,
        sink: &mut Sink,
    ) -> Option<(RouteSelector, Vec<Spanned<IpNet>>)> {
        let Route { destination: OneOrMore(to), source: OneOrMore(from), .. } = said.value;
        let (selector, cidrs) = match (to.is_empty(), from.is_empty()) {
            (false, true) => (RouteSelector::Destination, to),
            (true, false) => (RouteSelector::Source, from),
            (true, true) => {
                let message = "a route has no `destination`";
                sink.push(
                    Diagnostic::new(Code::MissingField, said.span, message)
                        .help("add `destination`, or `source`"),
                );
                return None;
            }
            (false, false) => {
                let (to, from) = (to[0].span(), from[0].span());
                conflict(("destination", to), ("source", from), sink);
                return None;
            }
        };
        Some((selector, self.lists.expand(cidrs, sink)))
    }

    /// The targets of a route: all of one sort.
    fn targets(&self, vpc: VpcId, said: &Spanned<Route>, model: &Model, sink: &mut Sink) -> Vec<Target> {
        let route = &said.value;
        let blackhole = route.blackhole.as_ref().filter(|on| on.value).map(|on| on.span);
        let sorts: Vec<(&str, Span)> = [
            ("nextHop", route.next_hop.0.first().map(|hop| hop.span)),
            ("networkInterface", route.interface.0.first().map(|name| name.span)),
            ("peering", route.peering.as_ref().map(|name| name.span)),
            ("transitGateway", route.transit.as_ref().map(|name| name.span)),
            ("internetGateway", route.internet_gateway.as_ref().map(|name| name.span)),
            ("natGateway", route.nat_gateway.as_ref().map(|name| name.span)),
            ("blackhole", blackhole),
        ]
        .into_iter()
        .filter_map(|(field, span)| Some((field, span?)))
        .collect();
        match sorts.as_slice() {
            [] => {
                let message = "a route has no target";
                sink.push(
                    Diagnostic::new(Code::MissingField, said.span, message).help(
                        "add `nextHop`, `networkInterface`, `peering`, `transitGateway`, a gateway, or `blackhole: true`",
                    ),
                );
            }
            [_] => {}
            [(one, first), .., (other, last)] => {
                conflict((other, *last), (one, *first), sink);
                return Vec::new();
            }
        }
        let addresses = route.next_hop.0.iter().map(|hop| Target::Hop(hop.map(NextHop::Address)));
        let interfaces = route.interface.0.iter().filter_map(|name| {
            let id = self.names.interface(name, model, sink)?;
            Some(Target::Hop(Spanned::new(NextHop::Port(id), name.span)))
        });
        let mut targets: Vec<Target> = addresses.chain(interfaces).collect();
        targets.extend(route.peering.as_ref().and_then(|name| self.peering(name, vpc, model, sink)));
        targets.extend(route.transit.as_ref().and_then(|name| self.transit(name, vpc, model, sink)));
        let internet = route.internet_gateway.as_ref();
        targets.extend(internet.and_then(|name| self.internet_gateway(name, vpc, model, sink)));
        let nat = route.nat_gateway.as_ref();
        targets.extend(nat.and_then(|name| self.nat_gateway(name, vpc, model, sink)));
        targets.extend(blackhole.map(|span| Target::Hop(Spanned::new(NextHop::Discard, span))));
        targets
    }

    /// What a name stands for; one that stands for nothing is reported.
    fn named<'k, T>(
        &self,
        kind: &'static str,
        name: &Spanned<String>,
        known: &'k [T],
        name_of: impl Fn(&T) -> &str,
        sink: &mut Sink,
    ) -> Option<&'k T> {
        let found = known.iter().find(|it| name_of(it) == name.value);
        if found.is_none() && !self.names.may_exist(kind, &name.value) {
            sink.push(unknown(kind, name, known.iter().map(&name_of)));
        }
        found
    }

    fn peering(&self, name: &Spanned<String>, vpc: VpcId, model: &Model, sink: &mut Sink) -> Option<Target> {
        let link = self.named("VpcPeering", name, self.links, |link| &link.name.value, sink)?;
        if !link.vpcs.contains(&vpc) {
            let [one, other] = link.vpcs.map(|id| model.vpc(id).name.as_str());
            let own = &model.vpc(vpc).name;
            let message = format!("peering `{name}` joins `{one}` and `{other}`, and not VPC `{own}`");
            sink.push(
                Diagnostic::new(Code::BadValue, name.span, message).label(link.name.span, "the peering"),
            );
            return None;
        }
        let (what, addresses) = (format!("peering `{name}`"), link.far(vpc).collect());
        Some(Target::Far { what, addresses, span: name.span })
    }

    fn transit(&self, name: &Spanned<String>, vpc: VpcId, model: &Model, sink: &mut Sink) -> Option<Target> {
        let gateways: Vec<&Vpc> = model.vpcs.iter().filter(|vpc| vpc.is_transit).collect();
        let gateway = self.named("TransitGateway", name, &gateways, |gateway| &gateway.name, sink)?;
        let link = self.transits.iter().find(|link| link.name.value == name.value && link.vpcs[1] == vpc);
        let Some(link) = link else {
            if gateway.whole_links {
                let message = format!("{} is not attached to {}", model.vpc(vpc).called(), gateway.called());
                let diagnostic = Diagnostic::new(Code::BadValue, name.span, message);
                sink.push(diagnostic.label(gateway.span.unwrap_or(name.span), "the gateway"));
            }
            return None;
        };
        let (what, addresses) = (format!("transit gateway `{name}`"), link.far(vpc).collect());
        Some(Target::Far { what, addresses, span: name.span })
    }

    fn internet_gateway(
        &self,
        name: &Spanned<String>,
        vpc: VpcId,
        model: &Model,
        sink: &mut Sink,
    ) -> Option<Target> {
        let known = &self.exits.internet_gateways;
        let gateway = self.named("InternetGateway", name, known, |gateway| &gateway.name.value, sink)?;
        let gateway = ("internet gateway", &gateway.vpc, &gateway.external);
        self.exit(name, gateway, vpc, model, sink)
    }

    fn nat_gateway(
        &self,
        name: &Spanned<String>,
        vpc: VpcId,
        model: &Model,
        sink: &mut Sink,
    ) -> Option<Target> {
        let gateway =
            self.named("NatGateway", name, self.nat_gateways, |gateway| &gateway.name.value, sink)?;
        // An address that does not exist is reported where the gateway is resolved.
        let spec = &gateway.spec;
        let eip = self.exits.elastic_ips.iter().find(|eip| eip.name.value == spec.elastic_ip.value)?;
        self.exit(name, ("NAT gateway", &spec.vpc, eip.external.as_ref()?), vpc, model, sink)
    }

    /// What a gateway (what it is, its VPC and its network) leads to: the router outside.
    fn exit(
        &self,
        name: &Spanned<String>,
        (what, owner, external): (&str, &Spanned<String>, &Spanned<String>),
        vpc: VpcId,
        model: &Model,
        sink: &mut Sink,
    ) -> Option<Target> {
        let own = &model.vpc(vpc).name;
        if owner.value != *own {
            let message = format!("{what} `{name}` is VPC `{owner}`'s, and not VPC `{own}`'s");
            sink.push(Diagnostic::new(Code::BadValue, name.span, message).label(owner.span, "its VPC"));
            return None;
        }
        let external = model.subnet(self.names.known(&external.value)?);
        let addresses = external.blocks.iter().map(|block| block.gateway.value).collect();
        Some(Target::Far {
            what: format!("external network `{}`", external.name),
            addresses,
            span: name.span,
        })
    }

    /// Keeps in mind that the table leads outside.
    fn remember(&mut self, vpc: (VpcId, &Vpc), table: Option<&Spanned<String>>, route: &Route) {
        let (internet, nat) = (&self.exits.internet_gateways, self.nat_gateways);
        let internet = route
            .internet_gateway
            .iter()
            .filter(|name| internet.iter().any(|g| g.name.value == name.value && g.vpc.value == vpc.1.name));
        let nat = route
            .nat_gateway
            .iter()
            .filter(|name| nat.iter().any(|g| g.name.value == name.value && g.spec.vpc.value == vpc.1.name));
        let vpc = vpc.0;
        for (is_nat, gateway) in internet.map(|name| (false, name)).chain(nat.map(|name| (true, name))) {
            let (table, gateway) = (table.map(|table| table.value.clone()), gateway.value.clone());
            self.led.insert(Led { vpc, table, is_nat, gateway });
        }
    }
}

/// The next hops for a prefix: of several, those of its family.
fn hops(targets: &[Target], prefix: &Spanned<IpNet>, sink: &mut Sink) -> Vec<Spanned<NextHop>> {
    let is_v4 = prefix.value.addr().is_ipv4();
    let mut hops = Vec::new();
    for target in targets {
        match target {
            Target::Hop(hop) => hops.push(*hop),
            Target::Far { what, addresses, span } => {
                match addresses.iter().find(|far| far.is_ipv4() == is_v4) {
                    Some(far) => hops.push(Spanned::new(NextHop::Address(*far), *span)),
                    None => {
                        let message = format!("{what} has no address of the family of {prefix}");
                        sink.push(
                            Diagnostic::new(Code::FamilyMix, *span, message)
                                .label(prefix.span, "the prefix")
                                .help("give it both families"),
                        );
                    }
                }
            }
        }
    }
    let fits = |hop: &Spanned<NextHop>| match hop.value {
        NextHop::Address(address) => address.is_ipv4() == is_v4,
        NextHop::Port(_) | NextHop::Discard => true,
    };
    if hops.iter().any(fits) {
        hops.retain(fits);
    }
    hops
}
