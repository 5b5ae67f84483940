//! A checked model → a picture of it.
//!
//! Physical networks get boxes of their own: the subnets that are bridged to them and have no router, and a line to
//! each VPC that has a gateway there. Refuses to place anything.

use std::collections::BTreeMap;

use super::{
    Balancer, Kind, Link, LinkEnd, Mark, Picture, Place, Subnet, Vpc, Workload, WorkloadKind, counted,
    visible,
};
use crate::check::Checked;
use crate::model::{self, DEFAULT_VPC, Model, PortId, SubnetId, VpcId};
use crate::span::{SourceMap, Span};

/// Draws up what is to be drawn.
pub fn picture(checked: &Checked<'_>, sources: &SourceMap) -> Picture {
    let model = checked.model();
    let ctx = Ctx { checked, sources, workloads: workloads_by_subnet(checked) };
    let mut by_vpc = model.subnets_by_vpc();
    by_vpc.iter_mut().for_each(|subnets| subnets.retain(|id| physical(model.subnet(*id)).is_none()));
    let is_drawn = |id: VpcId| {
        let has_gateway = model.gateways_of(id).next().is_some();
        model.vpc(id).span.is_some() || !by_vpc[id.0].is_empty() || has_gateway
    };
    let drawn: Vec<VpcId> = model.vpcs().map(|(id, _)| id).filter(|id| is_drawn(*id)).collect();
    let mut boxes: Vec<(Option<VpcId>, Vec<SubnetId>)> =
        drawn.iter().map(|id| (Some(*id), by_vpc[id.0].clone())).collect();
    let mut outside: BTreeMap<&str, Vec<SubnetId>> = BTreeMap::new();
    for (id, subnet) in model.subnets() {
        physical(subnet).into_iter().for_each(|name| outside.entry(name).or_default().push(id));
    }
    boxes.extend(outside.values().map(|subnets| (None, subnets.clone())));
    let vpcs = boxes.iter().map(|(vpc, subnets)| match vpc {
        Some(id) => ctx.vpc(*id, subnets),
        None => ctx.physical(subnets),
    });
    let vpcs = vpcs.collect();
    let links = ctx.peerings(&drawn).into_iter().chain(ctx.exits(&boxes)).collect();
    Picture { vpcs, links, legend: None }
}

/// The physical network that a subnet is nothing but a part of.
fn physical(subnet: &model::Subnet) -> Option<&str> {
    subnet.underlay.as_ref().filter(|_| !subnet.routed).map(|underlay| underlay.physical.value.as_str())
}

struct Ctx<'c> {
    checked: &'c Checked<'c>,
    sources: &'c SourceMap,
    workloads: Vec<Vec<Plugged>>,
}

/// A port or a virtual address, by index.
#[derive(Clone, Copy)]
enum Plugged {
    Port(PortId),
    Vip(usize),
}

fn workloads_by_subnet(checked: &Checked<'_>) -> Vec<Vec<Plugged>> {
    let model: &Model = checked.model();
    let mut by_subnet = vec![Vec::new(); model.subnets.len()];
    for (id, port) in model.ports() {
        by_subnet[port.subnet.0].push(Plugged::Port(id));
    }
    for (at, vip) in model.vips.iter().enumerate() {
        by_subnet[vip.subnet.0].push(Plugged::Vip(at));
    }
    by_subnet
}

impl Ctx<'_> {
    fn place(&self, span: Span) -> Option<Place> {
        Some(Place { line: visible(&self.sources.line(span)), span })
    }

    fn vpc(&self, id: VpcId, subnets: &[SubnetId]) -> Vpc {
        let model = self.checked.model();
        let vpc = model.vpc(id);
        let route = |route: &model::StaticRoute| {
            let from = match route.selector {
                model::RouteSelector::Destination => "",
                model::RouteSelector::Source => "from ",
            };
            let table = route.table.as_ref().map_or(String::new(), |t| format!(" in {}", visible(&t.value)));
            let to = match self.checked.assignment().next_hop(route) {
                Some(address) => address.to_string(),
                None => "dropped".to_owned(),
            };
            (format!("{from}{}{table}", route.prefix), to)
        };
        let implied = model.default_routes(id).into_iter();
        let implied = implied.map(|route| (route.prefix.to_string(), route.next_hop.to_string()));
        let own = model.balancers.iter().filter(|balancer| balancer.vpc == id);
        Vpc {
            name: visible(&vpc.name),
            description: visible(&vpc.description),
            kind: match vpc.is_transit {
                true => Kind::Transit,
                false if vpc.name == DEFAULT_VPC => Kind::Default,
                false => Kind::Vpc,
            },
            cidrs: vpc.cidrs.iter().map(ToString::to_string).collect(),
            routes: vpc.static_routes.iter().map(route).chain(implied).collect(),
            n_policies: vpc.policy_routes.len(),
            exits: self.translations(id),
            balancers: own.map(|balancer| self.balancer(balancer)).collect(),
            subnets: subnets.iter().map(|id| self.subnet(*id)).collect(),
            place: vpc.span.and_then(|span| self.place(span)),
            sign: None,
        }
    }

    /// The box of a physical network that these subnets are bridged to.
    fn physical(&self, subnets: &[SubnetId]) -> Vpc {
        let underlay = subnets.iter().find_map(|id| self.checked.model().subnet(*id).underlay.as_ref());
        Vpc {
            name: underlay.map_or(String::new(), |underlay| visible(&underlay.physical.value)),
            kind: Kind::Physical,
            subnets: subnets.iter().map(|id| self.subnet(*id)).collect(),
            place: underlay.and_then(|underlay| self.place(underlay.physical.span)),
            ..Vpc::default()
        }
    }

    /// `2 floating IPs`, `1 port forward`.
    fn translations(&self, id: VpcId) -> Vec<String> {
        let model = self.checked.model();
        let count = |vpcs: &mut dyn Iterator<Item = VpcId>| vpcs.filter(|vpc| *vpc == id).count();
        let n_floating = count(&mut model.floating_ips.iter().map(|rule| rule.vpc));
        let n_forwards = count(&mut model.port_forwards.iter().map(|rule| rule.vpc));
        let mut lines = Vec::new();
        if n_floating > 0 {
            lines.push(counted(n_floating, "floating IP", "floating IPs"));
        }
        if n_forwards > 0 {
            lines.push(counted(n_forwards, "port forward", "port forwards"));
        }
        lines
    }

    fn balancer(&self, balancer: &model::Balancer) -> Balancer {
        let addresses =
            self.checked.assignment().balanced(balancer).into_iter().map(|it| it.value.to_string());
        let ports = balancer.listeners.iter().map(|it| format!("{}/{}", it.protocol, it.port));
        let words: Vec<String> = addresses.chain(ports).collect();
        let backends = counted(balancer.backends.len(), "backend", "backends");
        Balancer {
            name: visible(&balancer.name),
            text: format!("{} → {backends}", words.join(" ")),
            place: self.place(balancer.span),
        }
    }

    fn subnet(&self, id: SubnetId) -> Subnet {
        let subnet = self.checked.model().subnet(id);
        let is_physical = physical(subnet).is_some();
        let block = |b: &model::Block| {
            let gateway = if subnet.routed || is_physical { b.gateway.to_string() } else { String::new() };
            (b.cidr.to_string(), gateway)
        };
        let mut workloads: Vec<Workload> =
            self.workloads[id.0].iter().map(|plugged| self.workload(*plugged)).collect();
        workloads.sort_by(|a, b| (a.kind, &a.name, &a.addresses).cmp(&(b.kind, &b.name, &b.addresses)));
        Subnet {
            name: visible(&subnet.name.value),
            description: visible(&subnet.description),
            blocks: subnet.blocks.iter().map(block).collect(),
            network: subnet.provider.as_ref().map_or(String::new(), |p| visible(&p.to_string())),
            routed: subnet.routed,
            marks: marks(subnet),
            workloads,
            place: self.place(subnet.name.span),
            sign: None,
        }
    }

    fn workload(&self, plugged: Plugged) -> Workload {
        let model = self.checked.model();
        let texts = |addresses: &[std::net::IpAddr]| addresses.iter().map(ToString::to_string).collect();
        match plugged {
            Plugged::Port(id) => {
                let port = &model.ports[id.0];
                let kind = if port.is_machine { WorkloadKind::Machine } else { WorkloadKind::Container };
                Workload {
                    name: visible(short_owner(&port.owner())),
                    kind,
                    addresses: texts(&self.checked.assignment().port(id).addresses),
                    port: port.name.clone(),
                    place: self.place(port.span),
                    sign: None,
                }
            }
            Plugged::Vip(at) => Workload {
                name: visible(&model.vips[at].name),
                kind: WorkloadKind::VirtualAddress,
                addresses: texts(self.checked.assignment().vip(at)),
                port: String::new(),
                place: self.place(model.vips[at].span),
                sign: None,
            },
        }
    }

    /// Peerings between drawn VPCs, each from the side that comes first.
    fn peerings(&self, drawn: &[VpcId]) -> Vec<Link> {
        let model = self.checked.model();
        let end = |vpc: usize, peering: Option<&model::Peering>| LinkEnd {
            vpc,
            subnet: None,
            address: peering.map_or(String::new(), addresses),
            place: peering.and_then(|p| self.place(p.span)),
        };
        let mut links = Vec::new();
        for (near, id) in drawn.iter().enumerate() {
            for peering in &model.vpc(*id).peerings {
                let Some(remote) = peering.remote_id.filter(|remote| remote > id) else { continue };
                let Ok(far) = drawn.binary_search(&remote) else { continue };
                let back = model.vpc(remote).peerings.iter().find(|p| p.remote_id == Some(*id));
                links.push(Link {
                    ends: [end(near, Some(peering)), end(far, back)],
                    is_exit: false,
                    sign: None,
                });
            }
        }
        links.sort_by_key(|link| (link.ends[0].vpc, link.ends[1].vpc));
        links
    }

    /// Gateways, from their VPC to the network that they are on.
    fn exits(&self, boxes: &[(Option<VpcId>, Vec<SubnetId>)]) -> Vec<Link> {
        let model = self.checked.model();
        let exit = |(id, gateway): (model::GatewayId, &model::Gateway)| {
            let near = boxes.iter().position(|(vpc, _)| *vpc == Some(gateway.vpc))?;
            let nth = |subnets: &[SubnetId]| subnets.iter().position(|subnet| *subnet == gateway.external);
            let (far, subnet) =
                boxes.iter().enumerate().find_map(|(at, (_, subnets))| Some((at, nth(subnets)?)))?;
            let addresses = self.checked.assignment().gateway(id).addresses.iter();
            let address = addresses.map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let ends = [
                LinkEnd { vpc: near, subnet: None, address, place: self.place(gateway.span) },
                LinkEnd { vpc: far, subnet: Some(subnet), address: String::new(), place: None },
            ];
            (near != far).then_some(Link { ends, is_exit: true, sign: None })
        };
        model.gateways().filter_map(exit).collect()
    }
}

fn addresses(peering: &model::Peering) -> String {
    peering.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// More blocks than these that may cross a private subnet's border are counted.
const ALLOWED_MAX: usize = 3;

fn marks(subnet: &model::Subnet) -> Vec<Mark> {
    let mut marks = Vec::new();
    if subnet.private.is_some() {
        marks.push(Mark::Private);
        if subnet.allow.len() <= ALLOWED_MAX {
            marks.extend(subnet.allow.iter().map(|block| Mark::Allows(block.to_string())));
        } else {
            marks.push(Mark::Allows(counted(subnet.allow.len(), "block", "blocks")));
        }
    }
    if let Some(underlay) = &subnet.underlay {
        let physical = subnet.routed.then(|| visible(&underlay.physical.value));
        let vlan = underlay.vlan.as_ref().map(|vlan| format!("VLAN {vlan}"));
        let words: Vec<String> = physical.into_iter().chain(vlan).collect();
        if !words.is_empty() {
            marks.push(Mark::Underlay(words.join(" ")));
        }
    } else if !subnet.routed {
        marks.push(Mark::Unrouted);
    }
    if let Some(table) = &subnet.route_table {
        marks.push(Mark::Table(visible(&table.value)));
    }
    if !subnet.acls.is_empty() {
        marks.push(Mark::Rules(subnet.acls.len()));
    }
    if subnet.dhcp.is_some() {
        marks.push(Mark::Dhcp);
    }
    marks
}

/// `VirtualMachine default/web-1` → `web-1`, `Pod shop/db` → `shop/db`.
fn short_owner(owner: &str) -> &str {
    let name = owner.split_once(' ').map_or(owner, |(_, name)| name);
    name.strip_prefix("default/").unwrap_or(name)
}
