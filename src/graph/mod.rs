//! The network as people picture it, before anybody draws it: VPCs, subnets in them, links between them.
//!
//! `draw` makes it of a model; `change` and `reach` put signs on it. `dot` and `mermaid` write it down for others to
//! lay out; `layout` places it on paper, `svg` draws that, and `html` makes it a page. Names in a [`Picture`] are
//! shown as written but for characters that would not be seen. Refuses to judge the network, which is checked, and
//! to know OVN.

pub mod change;
pub mod dot;
mod draw;
pub mod html;
pub mod layout;
pub mod mermaid;
pub mod reach;
pub mod svg;

pub use draw::picture;

use crate::span::Span;

/// More workloads than these are counted rather than named.
pub const NAMED_MAX: usize = 5;
/// More routes than these are counted rather than listed; balancers likewise.
pub const ROUTES_MAX: usize = 4;

/// Everything that is drawn. VPCs by name, the default VPC first, and then physical networks.
#[derive(Debug, Default)]
pub struct Picture {
    /// The boxes. The default VPC is one of them where it is declared or has a subnet.
    pub vpcs: Vec<Vpc>,
    /// Peerings and ways out, each once.
    pub links: Vec<Link>,
    /// What the signs mean, where there are any.
    pub legend: Option<Legend>,
}

/// What a box stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A VPC, with its router.
    #[default]
    Vpc,
    /// The VPC that exists without being declared.
    Default,
    /// A transit gateway: a router between VPCs, without subnets.
    Transit,
    /// A physical network, where the world outside begins. It has no router of ours.
    Physical,
}

impl Kind {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Vpc => "VPC",
            Kind::Default => "default VPC",
            Kind::Transit => "transit gateway",
            Kind::Physical => "physical network",
        }
    }
}

/// A box: a VPC with a router, or a physical network.
#[derive(Debug, Default)]
pub struct Vpc {
    /// Its name.
    pub name: String,
    /// A text for people; empty if none.
    pub description: String,
    /// What it is.
    pub kind: Kind,
    /// The blocks that its subnets must lie in; empty where nobody said.
    pub cidrs: Vec<String>,
    /// The router's routes by hand: what, and where to.
    pub routes: Vec<(String, String)>,
    /// How many policies the router has.
    pub n_policies: usize,
    /// What is translated at its gateways, line by line.
    pub exits: Vec<String>,
    /// Its load balancers.
    pub balancers: Vec<Balancer>,
    /// What is in it.
    pub subnets: Vec<Subnet>,
    /// Where it is declared.
    pub place: Option<Place>,
    /// What an overlay says of it.
    pub sign: Option<Sign>,
}

/// An address that stands for several workloads.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// Its name.
    pub name: String,
    /// Where it listens and how many stand behind it: `10.0.9.9 tcp/80 → 2 backends`.
    pub text: String,
    /// Where it is declared.
    pub place: Option<Place>,
}

/// A subnet: a card in its VPC's box.
#[derive(Debug, Default)]
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
    /// What an overlay says of it.
    pub sign: Option<Sign>,
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
    /// The name that it is plugged in by; empty for a virtual address.
    pub port: String,
    /// Where it is declared.
    pub place: Option<Place>,
    /// What an overlay says of it.
    pub sign: Option<Sign>,
}

/// A line between two boxes.
#[derive(Debug)]
pub struct Link {
    /// The VPC that comes first, then the other.
    pub ends: [LinkEnd; 2],
    /// Whether it leads out of a VPC rather than to a peer.
    pub is_exit: bool,
    /// What an overlay says of it.
    pub sign: Option<Sign>,
}

/// One side of a link.
#[derive(Debug)]
pub struct LinkEnd {
    /// An index into [`Picture::vpcs`].
    pub vpc: usize,
    /// The subnet in it that a way out leads to, an index into [`Vpc::subnets`].
    pub subnet: Option<usize>,
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

/// What an overlay says of an object, in a few letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sign {
    /// The letters.
    pub text: String,
    /// What they mean.
    pub tone: Tone,
}

/// What a sign means, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// It is new.
    Added,
    /// It becomes another.
    Changed,
    /// It goes.
    Removed,
    /// The one that is asked about.
    Asked,
    /// It is reached.
    Yes,
    /// Some packets reach it.
    Partly,
    /// It is not reached.
    No,
    /// Nobody can say.
    Open,
    /// It behaves like all of this number.
    Group(usize),
}

impl Tone {
    /// For style sheets.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Added => "added",
            Tone::Changed => "changed",
            Tone::Removed => "removed",
            Tone::Asked => "asked",
            Tone::Yes => "yes",
            Tone::Partly => "partly",
            Tone::No => "no",
            Tone::Open => "open",
            Tone::Group(_) => "group",
        }
    }
}

/// What the signs of a picture mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Legend {
    /// Above the lines.
    pub title: String,
    /// A sign, what has it, and what follows for that.
    pub lines: Vec<(Sign, String, String)>,
    /// From one line to another, with what passes: for those who draw arrows. Empty where they would be too many.
    pub arrows: Vec<(usize, usize, String)>,
}

impl Picture {
    /// `2 VPCs, 4 subnets, 3 workloads, 1 peering`.
    pub fn summary(&self) -> String {
        let subnets = self.vpcs.iter().flat_map(|vpc| &vpc.subnets);
        let (n_subnets, n_workloads) =
            subnets.fold((0, 0), |(n, w), subnet| (n + 1, w + subnet.workloads.len()));
        let n_physical = self.vpcs.iter().filter(|vpc| vpc.kind == Kind::Physical).count();
        let n_transit = self.vpcs.iter().filter(|vpc| vpc.kind == Kind::Transit).count();
        let mut parts = vec![
            counted(self.vpcs.len() - n_physical - n_transit, "VPC", "VPCs"),
            counted(n_subnets, "subnet", "subnets"),
            counted(n_workloads, "workload", "workloads"),
        ];
        let is_attachment =
            |link: &Link| link.ends.iter().any(|end| self.vpcs[end.vpc].kind == Kind::Transit);
        let n_peerings = self.links.iter().filter(|link| !link.is_exit && !is_attachment(link)).count();
        if n_peerings > 0 {
            parts.push(counted(n_peerings, "peering", "peerings"));
        }
        if n_transit > 0 {
            parts.push(counted(n_transit, "transit gateway", "transit gateways"));
        }
        if n_physical > 0 {
            parts.push(counted(n_physical, "physical network", "physical networks"));
        }
        parts.join(", ")
    }

    /// What a link's end leads to: the subnet, else the VPC.
    pub fn end_name(&self, end: &LinkEnd) -> &str {
        let vpc = &self.vpcs[end.vpc];
        end.subnet.map_or(&vpc.name, |at| &vpc.subnets[at].name)
    }
}

impl Subnet {
    /// `12 machines, 3 containers`, by kind; empty where nothing is plugged in.
    pub fn census(&self) -> String {
        census(&self.workloads.iter().collect::<Vec<_>>())
    }

    /// The workloads by what an overlay says of them, where they are too many to name.
    pub fn by_sign(&self) -> Vec<(Option<&Sign>, Vec<&Workload>)> {
        let mut by_sign: std::collections::BTreeMap<Option<&Sign>, Vec<&Workload>> = Default::default();
        for workload in &self.workloads {
            by_sign.entry(workload.sign.as_ref()).or_default().push(workload);
        }
        by_sign.into_iter().collect()
    }
}

/// `12 machines, 3 containers`, by kind; empty where there are none.
pub fn census(workloads: &[&Workload]) -> String {
    let kinds = [
        (WorkloadKind::Machine, "machine", "machines"),
        (WorkloadKind::Container, "container", "containers"),
        (WorkloadKind::VirtualAddress, "virtual address", "virtual addresses"),
    ];
    let count = |(kind, one, many): (WorkloadKind, &str, &str)| {
        let n = workloads.iter().filter(|w| w.kind == kind).count();
        (n > 0).then(|| counted(n, one, many))
    };
    kinds.into_iter().filter_map(count).collect::<Vec<_>>().join(", ")
}

impl Vpc {
    /// What its router does beyond its own subnets, line by line.
    pub fn router_lines(&self) -> Vec<String> {
        let mut lines = self.exits.clone();
        let route = |(what, to): &(String, String)| format!("{what} → {to}");
        add_few(&mut lines, self.routes.iter().map(route).collect(), "route", "routes");
        let balancer = |it: &Balancer| format!("{} {}", it.name, it.text);
        add_few(&mut lines, self.balancers.iter().map(balancer).collect(), "balancer", "balancers");
        if self.n_policies > 0 {
            lines.push(counted(self.n_policies, "policy", "policies"));
        }
        lines
    }
}

/// All of some lines, or how many they are.
fn add_few(lines: &mut Vec<String>, more: Vec<String>, one: &str, many: &str) {
    match more.len() {
        n if n <= ROUTES_MAX => lines.extend(more),
        n => lines.push(counted(n, one, many)),
    }
}

/// `1 route`, `2 routes`.
pub fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The text with a stand-in for what draws nothing, breaks a line, or turns the direction of what follows.
/// Joiners stay: letters and emoji need them.
pub fn visible(text: &str) -> String {
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
