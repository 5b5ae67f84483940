//! Gateways: can somebody carry them, and does anything get to them?
//!
//! | rule | code |
//! |---|---|
//! | an external network is bridged to a physical one, and has addresses | N0436, N0107 |
//! | some chassis may carry a gateway; with two, a dead one is not survived | N0437, N0438 |
//! | a chassis' priority is OVN's, and its own | N0429, N0480 |
//! | a chassis that is named is a node's, where the input has nodes | N0481 |
//! | a default route that follows from having a gateway is mentioned | N0442 |
//! | `natOutgoing` has a gateway of each family to go by, and a router before it | N0441, N0120 |
//! | what is translated at a gateway is routed to it | N0443 |

use std::collections::BTreeSet;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{Gateway, GatewayChassis, Inside, Public, Subnet, SubnetId, Vpc, VpcId, everything};
use crate::nearest::nearest;
use crate::span::Span;

/// ovn-nb(5), HA_Chassis.priority.
const CHASSIS_PRIORITIES: std::ops::RangeInclusive<i64> = 0..=32_767;

pub(super) fn check(ctx: &mut Ctx<'_>) {
    bridged(ctx);
    chassis(ctx);
    for (id, vpc) in ctx.model.vpcs() {
        default_routes(ctx, id, vpc);
        for subnet in ctx.by_vpc[id.0].clone() {
            outgoing(ctx, id, vpc, ctx.model.subnet(subnet));
        }
    }
    routed(ctx);
}

fn bridged(ctx: &mut Ctx<'_>) {
    let mut seen = BTreeSet::new();
    for gateway in &ctx.model.gateways {
        let external = ctx.model.subnet(gateway.external);
        if !external.whole || !seen.insert(gateway.external) {
            continue;
        }
        if external.underlay.is_none() {
            let message = format!("external network `{}` is bridged to no physical network", external.name);
            ctx.report(
                Diagnostic::new(Code::ExternalNotBridged, gateway.span, message)
                    .label(external.name.span, "has no `vlan`")
                    .help("name a Vlan in its `vlan`; id 0 stands for untagged"),
            );
        }
        if external.blocks.is_empty() {
            let message = format!("external network `{}` has no addresses for a gateway", external.name);
            ctx.report(
                Diagnostic::new(Code::MissingField, external.name.span, message)
                    .label(gateway.span, "the gateway")
                    .help("give it a block (`cidrBlock`, `cidrs`)"),
            );
        }
    }
}

fn chassis(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    // Those of the model are everybody's and told once.
    let first_without = model.gateways.iter().find(|gateway| gateway.chassis.is_empty());
    let with = model.gateways.iter().filter(|gateway| !gateway.chassis.is_empty());
    for gateway in first_without.into_iter().chain(with) {
        enough(ctx, gateway, model.chassis_of(gateway));
        priorities(ctx, gateway);
    }
    known(ctx);
}

/// OVN waits for a chassis that is not there, and says nothing. Where nodes are in the input, they are all there are.
fn known(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    if model.nodes.is_empty() {
        return;
    }
    let of_gateways =
        model.gateways.iter().flat_map(|gateway| &gateway.chassis).chain(&model.gateway_chassis);
    let of_gateways = of_gateways.map(|chassis| (chassis.name.as_str(), chassis.span));
    let of_ports = model.ports.iter().flat_map(|port| &port.requested_chassis);
    let of_ports = of_ports.map(|name| (name.value.as_str(), Some(name.span)));
    let mut told = BTreeSet::new();
    for (name, span) in of_gateways.chain(of_ports) {
        if model.nodes.iter().any(|node| node.value == name) || !told.insert(name) {
            continue;
        }
        let message = format!("no node of the input has the chassis `{name}`");
        let mut diagnostic = match span {
            Some(span) => Diagnostic::new(Code::ChassisUnknown, span, message),
            None => Diagnostic::general(Code::ChassisUnknown, message),
        };
        let near = nearest(name, model.nodes.iter().map(|node| node.value.as_str()));
        if let Some(near) = model.nodes.iter().find(|node| Some(node.value.as_str()) == near) {
            diagnostic = diagnostic.label(near.span, "did you mean this one?");
        }
        ctx.report(diagnostic.note("OVN waits for it for ever, and nothing works there"));
    }
}

/// Of two chassis with one priority, either carries the gateway, and nobody can tell which.
fn priorities(ctx: &mut Ctx<'_>, gateway: &Gateway) {
    for (nth, carrier) in gateway.chassis.iter().enumerate() {
        let (Some(priority), Some(span)) = (carrier.priority, carrier.span) else { continue };
        if !CHASSIS_PRIORITIES.contains(&priority) {
            let (first, last) = (CHASSIS_PRIORITIES.start(), CHASSIS_PRIORITIES.end());
            let message =
                format!("priority {priority} of chassis `{}` is outside {first} – {last}", carrier.name);
            ctx.report(Diagnostic::new(Code::PriorityRange, span, message));
        }
        let twin = gateway.chassis[..nth].iter().find(|other| other.priority == Some(priority));
        if let Some(twin_span) = twin.and_then(|twin| twin.span) {
            let message = format!("another chassis has the priority of `{}`, {priority}", carrier.name);
            ctx.report(
                Diagnostic::new(Code::ChassisTie, span, message)
                    .label(twin_span, "the other")
                    .help("give each its own, or none: then gateways are spread"),
            );
        }
    }
}

fn enough(ctx: &mut Ctx<'_>, gateway: &Gateway, carriers: &[GatewayChassis]) {
    let vpc = &ctx.model.vpc(gateway.vpc).name;
    match carriers {
        [] => {
            let message = format!("no chassis may carry the gateway of VPC `{vpc}`");
            ctx.report(
                Diagnostic::new(Code::GatewayWithoutChassis, gateway.span, message).help(
                    "say --gateway-chassis NAME,…, or add Nodes with the label `ovn.kubernetes.io/external-gw: \"true\"`",
                ),
            );
        }
        [one, other] => {
            let message = format!("gateways have two chassis, `{}` and `{}`", one.name, other.name);
            let note = "when one dies at once, the other takes itself for cut off and does not take over";
            let place = one.span.unwrap_or(gateway.span);
            let diagnostic = Diagnostic::new(Code::GatewayTwoChassis, place, message).note(note);
            let diagnostic = diagnostic.help("add a third chassis");
            ctx.report(other.span.into_iter().fold(diagnostic, |d, span| d.label(span, "the other")));
        }
        _ => {}
    }
}

fn default_routes(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc) {
    if !vpc.whole_routes {
        return;
    }
    let routes = ctx.model.default_routes(id);
    let Some(first) = routes.first() else { return };
    let gateway = ctx.model.gateway(first.gateway);
    let external = &ctx.model.subnet(gateway.external).name;
    let message = format!("VPC `{}` gets a default route through `{external}`", vpc.name);
    let shown =
        routes.iter().map(|route| format!("{{cidr: {}, nextHopIP: {}}}", route.prefix, route.next_hop));
    let shown = shown.collect::<Vec<_>>().join(", ");
    ctx.report(
        Diagnostic::new(Code::DefaultRouteAdded, gateway.span, message)
            .note(format!("its staticRoutes have none; this stands in: {shown}")),
    );
}

fn outgoing(ctx: &mut Ctx<'_>, id: VpcId, vpc: &Vpc, subnet: &Subnet) {
    let Some(span) = subnet.nat_outgoing else { return };
    if !subnet.routed {
        if subnet.whole {
            let message =
                format!("`natOutgoing` has no effect: the router is not in subnet `{}`", subnet.name);
            let note = "its guests use the physical network's gateway";
            ctx.report(Diagnostic::new(Code::FieldWithoutEffect, span, message).note(note));
        }
        return;
    }
    if !vpc.whole_exits {
        return;
    }
    let externals: Vec<&Subnet> =
        ctx.model.gateways_of(id).map(|(_, gateway)| ctx.model.subnet(gateway.external)).collect();
    for block in &subnet.blocks {
        let address = block.gateway.value;
        if externals.iter().any(|external| external.block_for(address).is_some()) {
            continue;
        }
        let of_family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        let what = if externals.is_empty() { String::new() } else { format!(" for {of_family}") };
        let message = format!("VPC `{}` has no gateway{what} that could translate {}", vpc.name, block.cidr);
        let diagnostic = Diagnostic::new(Code::NatOutgoingNowhere, span, message)
            .note("packets to the outside are dropped, or leave with a source that no reply finds back to");
        let diagnostic = if externals.is_empty() {
            diagnostic.help("set `enableExternal: true` on the Vpc, with an external Subnet on a Vlan")
        } else {
            diagnostic.help(format!("give the external subnet `{}` an {of_family} block", externals[0].name))
        };
        ctx.report(if id == VpcId(0) && externals.is_empty() {
            diagnostic.note("Kube-OVN does it with rules of the nodes' kernels here, which are not OVN's")
        } else {
            diagnostic
        });
        if externals.is_empty() {
            return;
        }
    }
}

/// Something that is translated: by which gateway, where its packets come from, and where that is said.
struct Translated {
    vpc: VpcId,
    external: SubnetId,
    subnet: SubnetId,
    span: Span,
}

/// Translated packets must come to the gateway: a table without a route to it keeps them in.
fn routed(ctx: &mut Ctx<'_>) {
    let mut seen = BTreeSet::new();
    for Translated { vpc, external, subnet, span } in translated(ctx) {
        let model = ctx.model;
        let (vpc_of, outside, inside) = (model.vpc(vpc), model.subnet(external), model.subnet(subnet));
        if !vpc_of.whole_routes || model.gateway_on(vpc, external).is_none() {
            continue;
        }
        for block in &outside.blocks {
            let hop = block.gateway.value;
            if inside.block_for(hop).is_none() || !seen.insert((subnet, external, hop.is_ipv4())) {
                continue;
            }
            if leads_to(ctx, vpc, inside, block.cidr.value) {
                continue;
            }
            let table = inside.route_table.as_ref();
            let of_table = table.map_or("main route table".to_owned(), |t| format!("route table `{t}`"));
            let message = format!(
                "no route of the {of_table} leads from subnet `{}` to `{}`",
                inside.name, outside.name
            );
            let more = table.map_or(String::new(), |t| format!(", routeTable: {t}"));
            let route = format!("{{cidr: {}, nextHopIP: {hop}{more}}}", everything(hop.is_ipv4()));
            let diagnostic = Diagnostic::new(Code::NatWithoutRoute, span, message)
                .note("what is translated there never comes to the gateway, in either direction")
                .help(format!("add {route} to the staticRoutes of VPC `{}`", vpc_of.name));
            ctx.report(match table {
                Some(table) => diagnostic.label(table.span, "its table"),
                None => diagnostic,
            });
        }
    }
}

/// Whether some route for packets from a subnet, or a policy, has its next hop in a network.
fn leads_to(ctx: &Ctx<'_>, vpc: VpcId, subnet: &Subnet, network: ipnet::IpNet) -> bool {
    let table = subnet.route_table.as_ref().map(|t| t.value.as_str());
    let by_hand = ctx.model.vpc(vpc).static_routes.iter().any(|route| {
        route.table.as_ref().map(|t| t.value.as_str()) == table
            && ctx.assignment.next_hop(route).is_some_and(|hop| network.contains(&hop))
    });
    let implied = || ctx.model.default_routes(vpc).iter().any(|route| network.contains(&route.next_hop));
    let sent = || {
        let policies = &ctx.model.vpc(vpc).policy_routes;
        policies.iter().flat_map(|policy| &policy.next_hops).any(|hop| network.contains(&hop.value))
    };
    by_hand || table.is_none() && implied() || sent()
}

fn translated(ctx: &Ctx<'_>) -> Vec<Translated> {
    let model = ctx.model;
    let mut all = Vec::new();
    for (id, subnet) in model.subnets().filter(|(_, subnet)| subnet.routed) {
        let Some(span) = subnet.nat_outgoing else { continue };
        // One that packets take by default is enough: the others translate what is routed to them.
        let first: Option<&Gateway> = model.gateways_of(subnet.vpc).map(|(_, gateway)| gateway).next();
        all.extend(first.map(|g| Translated { vpc: subnet.vpc, external: g.external, subnet: id, span }));
    }
    let mut add = |vpc: VpcId, public: Public, inside: &Inside, span: Span| {
        let subnet = match inside {
            Inside::Port(id) => Some(model.ports[id.0].subnet),
            Inside::Vip(at) => Some(model.vips[*at].subnet),
            Inside::Subnet(id) => Some(*id),
            Inside::Given(nets) => {
                let of_vpc = ctx.by_vpc[vpc.0].iter().copied();
                let mut holding = of_vpc.filter(|id| {
                    let blocks = &model.subnet(*id).blocks;
                    blocks.iter().any(|b| nets.iter().any(|net| b.cidr.value.contains(&net.value)))
                });
                holding.next()
            }
        };
        let external = model.external_of(public);
        all.extend(subnet.map(|subnet| Translated { vpc, external, subnet, span }));
    };
    for rule in &model.floating_ips {
        add(rule.vpc, rule.public.value, &rule.inside.value, rule.inside.span);
    }
    for rule in &model.source_nats {
        add(rule.vpc, rule.public.value, &rule.inside.value, rule.inside.span);
    }
    for rule in &model.port_forwards {
        add(rule.vpc, rule.public.value, &rule.inside.value, rule.inside.span);
    }
    all
}
