//! The network as people picture it, before anybody draws it: VPCs, subnets in them, links between them.
//!
//! `dot` and `mermaid` write it down for others to lay out; `layout` places it on paper, `svg` draws
//! that, and `html` makes it a page. Names in a [`Picture`] are shown as written but for characters that would not be seen.
//! Refuses to judge the network, which is checked, and to know OVN.

pub mod dot;
pub mod html;
pub mod layout;
pub mod mermaid;
pub mod svg;

use crate::check::Checked;
use crate::model::{self, DEFAULT_VPC, Model, PortId, SubnetId, VpcId};
use crate::span::{SourceMap, Span};

/// More workloads than these are counted rather than named.
pub const NAMED_MAX: usize = 5;
/// More routes than these are counted rather than listed.
pub const ROUTES_MAX: usize = 4;

/// Everything that is drawn. VPCs and subnets by name, the default VPC first.
#[derive(Debug)]
pub struct Picture {
    /// The boxes. The default VPC is one of them where it is declared or has a subnet.
    pub vpcs: Vec<Vpc>,
    /// Peerings, each once.
    pub links: Vec<Link>,
}

/// A VPC: a box with a router.
#[derive(Debug)]
pub struct Vpc {
    /// Its name.
    pub name: String,
    /// A text for people; empty if none.
    pub description: String,
    /// Whether it is the one that exists without being declared.
    pub is_default: bool,
    /// The blocks that its subnets must lie in; empty where nobody said.
    pub cidrs: Vec<String>,
    /// The router's routes by hand: what, and where to.
    pub routes: Vec<(String, String)>,
    /// How many policies the router has.
    pub n_policies: usize,
    /// Its gateways on external networks, and what is translated there, line by line.
    pub exits: Vec<String>,
    /// What is in it.
    pub subnets: Vec<Subnet>,
    /// Where it is declared.
    pub place: Option<Place>,
}

/// A subnet: a card in its VPC's box.
#[derive(Debug)]
pub struct Subnet {
    /// Its name.
    pub name: String,
    /// A text for people; empty if none.
    pub description: String,
    /// Blocks and their gateways, IPv4 first.
    pub blocks: Vec<(String, String)>,
    /// The overlay network that it is bound to; empty for the built-in one.
    pub network: String,
    /// Whether the VPC's router has a port here.
    pub routed: bool,
    /// What is special about it.
    pub marks: Vec<Mark>,
    /// What is plugged in, by name.
    pub workloads: Vec<Workload>,
    /// Where it is declared.
    pub place: Option<Place>,
}

/// Something to notice about a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing crosses its border but what is allowed.
    Private,
    /// May cross a private subnet's border.
    Allows(String),
    /// The router has no port in it.
    Unrouted,
    /// Bridged to a physical network, with or without a VLAN.
    Underlay(String),
    /// Guests can ask for addresses.
    Dhcp,
    /// So many rules by hand.
    Rules(usize),
    /// Packets from here are routed by a table of their own.
    Table(String),
}

impl Mark {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Mark::Private => "private".to_owned(),
            Mark::Allows(what) => format!("allows {what}"),
            Mark::Unrouted => "not routed".to_owned(),
            Mark::Underlay(what) => what.clone(),
            Mark::Dhcp => "DHCP".to_owned(),
            Mark::Rules(n) => counted(*n, "rule", "rules"),
            Mark::Table(name) => format!("table {name}"),
        }
    }
}

/// What a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// A virtual machine's interface.
    Machine,
    /// A container's or an interface of unknown owner.
    Container,
    /// An address that moves between workloads.
    VirtualAddress,
}

/// Something that is plugged into a subnet.
#[derive(Debug)]
pub struct Workload {
    /// Its name, after its namespace unless that is `default`.
    pub name: String,
    /// What it is.
    pub kind: WorkloadKind,
    /// At most one a family, IPv4 first.
    pub addresses: Vec<String>,
    /// Where it is declared.
    pub place: Option<Place>,
}

/// A peering: a line between two boxes.
#[derive(Debug)]
pub struct Link {
    /// The VPC that comes first, then the other.
    pub ends: [LinkEnd; 2],
}

/// One side of a peering.
#[derive(Debug)]
pub struct LinkEnd {
    /// An index into [`Picture::vpcs`].
    pub vpc: usize,
    /// This side's addresses on the link.
    pub address: String,
    /// Where this side is declared.
    pub place: Option<Place>,
}

/// Where something is declared: for people, and for those who look for what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `file:line`.
    pub line: String,
    /// The same place in the source.
    pub span: Span,
}

/// Draws up what is to be drawn.
pub fn picture(checked: &Checked<'_>, sources: &SourceMap) -> Picture {
    let model = checked.model();
    let ctx = Ctx { checked, sources, workloads: workloads_by_subnet(checked) };
    let by_vpc = model.subnets_by_vpc();
    let is_drawn = |id: VpcId| {
        let has_gateway = model.gateways_of(id).next().is_some();
        model.vpc(id).span.is_some() || !by_vpc[id.0].is_empty() || has_gateway
    };
    let drawn: Vec<VpcId> = model.vpcs().map(|(id, _)| id).filter(|id| is_drawn(*id)).collect();
    let vpcs = drawn.iter().map(|id| ctx.vpc(*id, &by_vpc[id.0])).collect();
    Picture { vpcs, links: ctx.links(&drawn) }
}

impl Picture {
    /// `2 VPCs, 4 subnets, 3 workloads, 1 peering`.
    pub fn summary(&self) -> String {
        let subnets = self.vpcs.iter().flat_map(|vpc| &vpc.subnets);
        let (n_subnets, n_workloads) =
            subnets.fold((0, 0), |(n, w), subnet| (n + 1, w + subnet.workloads.len()));
        let mut parts = vec![
            counted(self.vpcs.len(), "VPC", "VPCs"),
            counted(n_subnets, "subnet", "subnets"),
            counted(n_workloads, "workload", "workloads"),
        ];
        if !self.links.is_empty() {
            parts.push(counted(self.links.len(), "peering", "peerings"));
        }
        parts.join(", ")
    }
}

impl Subnet {
    /// `12 machines, 3 containers`, by kind; empty where nothing is plugged in.
    pub fn census(&self) -> String {
        let kinds = [
            (WorkloadKind::Machine, "machine", "machines"),
            (WorkloadKind::Container, "container", "containers"),
            (WorkloadKind::VirtualAddress, "virtual address", "virtual addresses"),
        ];
        let count = |(kind, one, many): (WorkloadKind, &str, &str)| {
            let n = self.workloads.iter().filter(|w| w.kind == kind).count();
            (n > 0).then(|| counted(n, one, many))
        };
        kinds.into_iter().filter_map(count).collect::<Vec<_>>().join(", ")
    }
}

impl Vpc {
    /// What its router does beyond its own subnets, line by line.
    pub fn router_lines(&self) -> Vec<String> {
        let mut lines = self.exits.clone();
        match self.routes.len() {
            n if n <= ROUTES_MAX => {
                lines.extend(self.routes.iter().map(|(what, to)| format!("{what} → {to}")));
            }
            n => lines.push(counted(n, "route", "routes")),
        }
        if self.n_policies > 0 {
            lines.push(counted(self.n_policies, "policy", "policies"));
        }
        lines
    }
}

/// `1 route`, `2 routes`.
pub fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
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
        Vpc {
            name: visible(&vpc.name),
            description: visible(&vpc.description),
            is_default: vpc.name == DEFAULT_VPC,
            cidrs: vpc.cidrs.iter().map(ToString::to_string).collect(),
            routes: vpc.static_routes.iter().map(route).chain(implied).collect(),
            n_policies: vpc.policy_routes.len(),
            exits: self.exits(id),
            subnets: subnets.iter().map(|id| self.subnet(*id)).collect(),
            place: vpc.span.and_then(|span| self.place(span)),
        }
    }

    /// `external: 203.0.113.2`, `2 floating IPs`.
    fn exits(&self, id: VpcId) -> Vec<String> {
        let model = self.checked.model();
        let line = |(at, gateway): (model::GatewayId, &model::Gateway)| {
            let addresses = self.checked.assignment().gateway(at).addresses.iter();
            let addresses: Vec<String> = addresses.map(ToString::to_string).collect();
            format!("{}: {}", visible(&model.subnet(gateway.external).name.value), addresses.join(", "))
        };
        let mut lines: Vec<String> = model.gateways_of(id).map(line).collect();
        let count = |vpcs: &mut dyn Iterator<Item = VpcId>| vpcs.filter(|vpc| *vpc == id).count();
        let n_floating = count(&mut model.floating_ips.iter().map(|rule| rule.vpc));
        let n_forwards = count(&mut model.port_forwards.iter().map(|rule| rule.vpc));
        if n_floating > 0 {
            lines.push(counted(n_floating, "floating IP", "floating IPs"));
        }
        if n_forwards > 0 {
            lines.push(counted(n_forwards, "port forward", "port forwards"));
        }
        lines
    }

    fn subnet(&self, id: SubnetId) -> Subnet {
        let subnet = self.checked.model().subnet(id);
        let block = |b: &model::Block| {
            let gateway = if subnet.routed { b.gateway.to_string() } else { String::new() };
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
                    name: visible(short_owner(&port.owner)),
                    kind,
                    addresses: texts(&self.checked.assignment().port(id).addresses),
                    place: self.place(port.span),
                }
            }
            Plugged::Vip(at) => Workload {
                name: visible(&model.vips[at].name),
                kind: WorkloadKind::VirtualAddress,
                addresses: texts(self.checked.assignment().vip(at)),
                place: self.place(model.vips[at].span),
            },
        }
    }

    /// Peerings between drawn VPCs, each from the side that comes first.
    fn links(&self, drawn: &[VpcId]) -> Vec<Link> {
        let model = self.checked.model();
        let end = |vpc: usize, peering: Option<&model::Peering>| LinkEnd {
            vpc,
            address: peering.map_or(String::new(), addresses),
            place: peering.and_then(|p| self.place(p.span)),
        };
        let mut links = Vec::new();
        for (near, id) in drawn.iter().enumerate() {
            for peering in &model.vpc(*id).peerings {
                let Some(remote) = peering.remote_id.filter(|remote| remote > id) else { continue };
                let Ok(far) = drawn.binary_search(&remote) else { continue };
                let back = model.vpc(remote).peerings.iter().find(|p| p.remote_id == Some(*id));
                links.push(Link { ends: [end(near, Some(peering)), end(far, back)] });
            }
        }
        links.sort_by_key(|link| (link.ends[0].vpc, link.ends[1].vpc));
        links
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
        let physical = visible(&underlay.physical.value);
        marks.push(Mark::Underlay(match &underlay.vlan {
            Some(vlan) => format!("{physical} VLAN {vlan}"),
            None => physical,
        }));
    }
    if !subnet.routed {
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

/// The text with a stand-in for what draws nothing, breaks a line, or turns the direction of what follows.
/// Joiners stay: letters and emoji need them.
fn visible(text: &str) -> String {
    let show = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(show).collect()
}
