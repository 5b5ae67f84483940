//! A subnet: its blocks, who may cross its border, what its guests are told.
//!
//! Refuses to judge it.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{NetworkAclId, PortId, VpcId};
use crate::span::{Span, Spanned};

/// A layer-2 segment with an address block a family.
#[derive(Debug)]
pub struct Subnet {
    /// Unique among subnets.
    pub name: Spanned<String>,
    /// A text for people; empty if none.
    pub description: String,
    /// Whose it is.
    pub vpc: VpcId,
    /// False when some of it could not be read.
    pub whole: bool,
    /// At most one a family, IPv4 first; none on a switch that only forwards frames.
    pub blocks: Vec<Block>,
    /// Never given out by allocation.
    pub exclude: Vec<Spanned<AddressRange>>,
    /// The overlay network it is bound to; `None` for the built-in one.
    pub provider: Option<Spanned<Provider>>,
    /// True when the VPC's router has a port here.
    pub routed: bool,
    /// Where it says that nothing crosses its border but `allow`.
    pub private: Option<Span>,
    /// What may cross a private subnet's border, in both directions.
    pub allow: Vec<Spanned<IpNet>>,
    /// The list that decides what crosses its border.
    pub network_acl: Option<Spanned<NetworkAclId>>,
    /// Rules by hand.
    pub acls: Vec<Acl>,
    /// Where it says that its own block may talk among itself whatever `acls` say.
    pub allow_east_west: Option<Span>,
    /// Settings for guests that ask by DHCPv4, DHCPv6; `None` where nobody answers.
    pub dhcp: Option<Dhcp>,
    /// Who answers for the metadata address, which guests that ask by DHCP are told.
    pub metadata: Option<Spanned<PortId>>,
    /// Router advertisements, setting by setting; `None` where there are none.
    pub ra: Option<Vec<Setting>>,
    /// What guests are told, in bytes.
    pub mtu: Option<Spanned<i64>>,
    /// The physical network it is bridged to.
    pub underlay: Option<Underlay>,
    /// The route table that the router uses for packets from here; `None` is the main one.
    pub route_table: Option<Spanned<String>>,
    /// Where it says that packets to the outside get the VPC's public address as their source.
    pub nat_outgoing: Option<Span>,
    /// What refines that: the first rule that matches decides, and what none matches is translated.
    pub nat_rules: Vec<NatRule>,
    /// Multicast that is learned rather than flooded; `None` where it is flooded.
    pub snooping: Option<Snooping>,
    /// Addresses beyond the router that it answers for on the segment.
    pub arp_proxy: Vec<Spanned<IpNet>>,
}

/// Packets that get the VPC's public address as their source, or keep their own.
#[derive(Debug)]
pub struct NatRule {
    /// The whole rule.
    pub span: Span,
    /// Whether they are translated.
    pub is_translated: bool,
    /// Where they come from; empty for anywhere.
    pub sources: Vec<Spanned<IpNet>>,
    /// Where they go; empty for anywhere.
    pub destinations: Vec<Spanned<IpNet>>,
}

/// How multicast is learned.
#[derive(Clone, Copy, Debug)]
pub struct Snooping {
    /// Where it is asked for.
    pub span: Span,
    /// Whether the router asks who listens.
    pub querier: bool,
    /// Whether what nobody asked for is flooded all the same.
    pub flood_unregistered: bool,
    /// Seconds until a silent member is forgotten; OVN's own where nobody says.
    pub idle_timeout: Option<Spanned<i64>>,
    /// Seconds between the router's questions; OVN's own where nobody says.
    pub query_interval: Option<Spanned<i64>>,
    /// The most groups that are learned; OVN's own where nobody says.
    pub table_size: Option<Spanned<i64>>,
}

impl Snooping {
    /// With OVN's own numbers.
    pub fn plain(span: Span) -> Snooping {
        Snooping {
            span,
            querier: true,
            flood_unregistered: false,
            idle_timeout: None,
            query_interval: None,
            table_size: None,
        }
    }
}

impl Subnet {
    /// A routed one of the default VPC, of which nothing more is known.
    pub fn new(name: Spanned<String>) -> Subnet {
        Subnet {
            name,
            description: String::new(),
            vpc: VpcId(0),
            whole: true,
            blocks: Vec::new(),
            exclude: Vec::new(),
            provider: None,
            routed: true,
            private: None,
            allow: Vec::new(),
            network_acl: None,
            acls: Vec::new(),
            allow_east_west: None,
            dhcp: None,
            metadata: None,
            ra: None,
            mtu: None,
            underlay: None,
            route_table: None,
            nat_outgoing: None,
            nat_rules: Vec::new(),
            snooping: None,
            arp_proxy: Vec::new(),
        }
    }

    /// The block of an address's family.
    pub fn block_for(&self, address: IpAddr) -> Option<&Block> {
        self.blocks.iter().find(|block| block.cidr.value.addr().is_ipv4() == address.is_ipv4())
    }

    /// The IPv4 block.
    pub fn v4(&self) -> Option<&Block> {
        self.blocks.iter().find(|block| block.cidr.value.addr().is_ipv4())
    }

    /// The IPv6 block.
    pub fn v6(&self) -> Option<&Block> {
        self.blocks.iter().find(|block| block.cidr.value.addr().is_ipv6())
    }
}

/// An address block and the gateway in it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Without host bits.
    pub cidr: Spanned<IpNet>,
    /// The router's address; the first host where nobody said, with the block's place.
    pub gateway: Spanned<IpAddr>,
}

/// Addresses from the first to the last, both included, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange {
    /// Lowest.
    pub first: IpAddr,
    /// Highest.
    pub last: IpAddr,
}

impl AddressRange {
    /// True when the address lies in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}..{}", self.first, self.last)
        }
    }
}

/// The overlay network that a subnet is bound to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Provider {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name of the network attachment.
    pub name: String,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A setting by name, in the user's words.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name.
    pub name: Spanned<String>,
    /// Its value.
    pub value: Spanned<String>,
}

/// What guests are told by DHCP beyond what follows from the subnet.
#[derive(Debug)]
pub struct Dhcp {
    /// Where DHCP is switched on.
    pub span: Span,
    /// Whether options by hand stand beside what follows from the subnet, or in its place.
    pub keeps_defaults: bool,
    /// DHCPv4 options by hand.
    pub v4: Vec<Setting>,
    /// DHCPv6 options by hand.
    pub v6: Vec<Setting>,
}

/// A bridge to a physical network.
#[derive(Clone, Debug)]
pub struct Underlay {
    /// The name that chassis map to a bridge (`ovn-bridge-mappings`).
    pub physical: Spanned<String>,
    /// 802.1Q tag; `None` for untagged.
    pub vlan: Option<Spanned<i64>>,
}

/// Which way a rule looks, from the guest's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Packets that leave a guest.
    FromGuest,
    /// Packets that reach a guest.
    ToGuest,
}

/// What a rule does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AclAction {
    /// Lets it pass.
    Allow,
    /// Lets it and its replies pass.
    AllowRelated,
    /// Lets it pass without looking at connections.
    AllowStateless,
    /// Drops it silently.
    Drop,
    /// Drops it and tells the sender.
    Reject,
    /// Leaves it to the next tier.
    Pass,
}

/// A rule by hand.
#[derive(Debug)]
pub struct Acl {
    /// The whole rule.
    pub span: Span,
    /// Which way.
    pub direction: Direction,
    /// Higher first.
    pub priority: Spanned<i64>,
    /// Which packets, in OVN's expression language.
    pub matching: Spanned<String>,
    /// What happens to them.
    pub action: Spanned<AclAction>,
}
