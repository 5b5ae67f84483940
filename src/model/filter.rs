//! Security groups: rules for whoever joins, whatever its subnet. Network ACLs: rules for the border of a subnet.
//!
//! A port that joins a group is closed in both directions, but for what the rules of its groups let pass and
//! for what it can't do without (ARP, neighbour discovery, DHCP). Replies pass with what they answer. A
//! network ACL remembers nothing: the first of its rules that matches decides, replies included. Refuses to know
//! how a packet filter is told so.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::IpNet;

use super::{Direction, GroupId, Model, PortId, VpcId};
use crate::span::{Span, Spanned};

/// Rules for the ports that join it.
#[derive(Debug)]
pub struct SecurityGroup {
    /// Unique among groups.
    pub name: Spanned<String>,
    /// Rules of a lower tier are looked at first; 0 and 1 exist.
    pub tier: u8,
    /// Where a tier other than 0 is chosen.
    pub tier_span: Option<Span>,
    /// Where it says that its members may talk to each other.
    pub same_group: Option<Span>,
    /// Where it says that its members may speak VRRP (RFC 5798).
    pub vrrp: Option<Span>,
    /// In the order written.
    pub rules: Vec<GroupRule>,
}

/// Numbered rules for what crosses the border of the subnets that name it.
#[derive(Debug)]
pub struct NetworkAcl {
    /// Unique among network ACLs.
    pub name: Spanned<String>,
    /// False when a rule could not be read.
    pub whole: bool,
    /// In the order written; their numbers are their priorities, and nobody at the other end is a group.
    pub rules: Vec<GroupRule>,
}

/// A rule of a group or a network ACL. All that it says must hold of a packet.
#[derive(Debug)]
pub struct GroupRule {
    /// The whole rule.
    pub span: Span,
    /// Which way.
    pub direction: Direction,
    /// Lower first.
    pub priority: Spanned<i64>,
    /// Which version of IP.
    pub family: Family,
    /// What it carries.
    pub protocol: Protocol,
    /// Ports that it goes to; `None` is any.
    pub ports: Option<Spanned<PortRange>>,
    /// Ports that it comes from; `None` is any.
    pub source_ports: Option<Spanned<PortRange>>,
    /// Who is at the other end.
    pub remote: Remote,
    /// Which addresses of the member; `None` is any.
    pub local: Option<Spanned<IpNet>>,
    /// What happens to it.
    pub verdict: Spanned<Verdict>,
    /// Whether its packets are logged, and how.
    pub log: Option<Spanned<Log>>,
}

/// How a rule's packets are logged.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// How much they matter.
    pub severity: Severity,
    /// At most this many messages a second on each chassis, rule by rule.
    pub rate: Spanned<i64>,
}

/// How much a logged packet matters (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody must act.
    Alert,
    /// Something may be wrong.
    Warning,
    /// Normal, and worth a look.
    Notice,
    /// Normal.
    Info,
    /// For those who look for a mistake.
    Debug,
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of a network.
    pub fn of(net: IpNet) -> Family {
        match net {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Whatever it is.
    Any,
    /// ICMP or ICMPv6.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Whether it has ports.
    pub fn has_ports(self) -> bool {
        match self {
            Protocol::Tcp | Protocol::Udp | Protocol::Sctp => true,
            Protocol::Any | Protocol::Icmp => false,
        }
    }
}

/// Ports from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    /// Lowest.
    pub first: u16,
    /// Highest.
    pub last: u16,
}

/// Who is at the other end of a rule.
#[derive(Debug)]
pub enum Remote {
    /// Whoever has one of these addresses.
    Net(Spanned<IpNet>),
    /// Whoever is in this group; without an id there is no such group, which was reported.
    Group(Spanned<String>, Option<GroupId>),
}

/// What a group's rule does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Lets it and its replies pass.
    Allow,
    /// Drops it silently.
    Drop,
    /// Leaves it to the next tier.
    Pass,
}

/// The ports of one VPC by the group that they join.
pub type Members = BTreeMap<GroupId, Vec<PortId>>;

impl Model {
    /// Who is in which group, VPC by VPC: an address says who somebody is within its VPC alone, so a group
    /// with members in several is several.
    pub fn members(&self) -> BTreeMap<VpcId, Members> {
        let mut members: BTreeMap<VpcId, Members> = BTreeMap::new();
        for (id, port) in self.ports().filter(|(_, port)| !port.groups.is_empty()) {
            let by_group = members.entry(self.subnet(port.subnet).vpc).or_default();
            for group in &port.groups {
                by_group.entry(group.value).or_default().push(id);
            }
        }
        members
    }

    /// The VPCs whose addresses mean something to this one: itself, its peers, and those that a transit gateway
    /// joins it with.
    pub fn neighbourhood(&self, vpc: VpcId) -> impl Iterator<Item = VpcId> {
        let peers = |of: VpcId| self.vpc(of).peerings.iter().filter_map(|peering| peering.remote_id);
        let beyond = peers(vpc).filter(|peer| self.vpc(*peer).is_transit).flat_map(peers);
        let known: std::collections::BTreeSet<VpcId> = peers(vpc).chain(beyond).chain([vpc]).collect();
        known.into_iter().filter(|id| !self.vpc(*id).is_transit)
    }
}
