//! First waist: the network that somebody meant, names resolved to ids.
//!
//! The same for every dialect. Refuses to know YAML and OVN: it says "private", not "ACL".

pub mod balancer;
pub mod dns;
pub mod expectation;
pub mod few;
pub mod filter;
pub mod gateway;
pub mod pool;
pub mod port;
pub mod qos;
pub mod subnet;
pub mod vpc;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::span::Spanned;

pub use balancer::{Backend, Balancer, HealthCheck, Listener};
pub use dns::{DnsRecord, DnsZone};
pub use expectation::{Expectation, Expected, Service};
pub use few::Few;
pub use filter::{
    Family, GroupRule, Log, Members, NetworkAcl, PortRange, Protocol, Remote, SecurityGroup, Severity,
    Verdict,
};
pub use gateway::{
    DefaultRoute, ElasticIp, FloatingIp, Gateway, GatewayChassis, Inside, PortForward, Public, SourceNat,
    Transport, everything,
};
pub use pool::AddressPool;
pub use port::{Mac, OwnOptions, Owner, Port, PortDhcp, Told, Vip};
pub use qos::{QosPolicy, QosRule, QosTarget};
pub use subnet::{
    Acl, AclAction, AddressRange, Block, Dhcp, Direction, NatRule, Provider, Setting, Snooping, Subnet,
    Underlay,
};
pub use vpc::{
    Bfd, NextHop, Peering, PolicyAction, PolicyRoute, RouteSelector, RouterOptions, StaticRoute, Vpc,
};

/// The name of the VPC that exists without being declared (statement of the Harvester page).
pub const DEFAULT_VPC: &str = "ovn-cluster";
/// Where guests look for what a cloud tells them.
pub const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// The subnets that belong to the default VPC's own workings; users can't take their names.
pub const DEFAULT_SUBNETS: [&str; 2] = ["ovn-default", "join"];

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(pub usize);

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )* };
}

ids! {
    /// An index into [`Model::vpcs`]. 0 is the default VPC.
    VpcId
    /// An index into [`Model::subnets`].
    SubnetId
    /// An index into [`Model::ports`].
    PortId
    /// An index into [`Model::groups`].
    GroupId
    /// An index into [`Model::network_acls`].
    NetworkAclId
    /// An index into [`Model::gateways`].
    GatewayId
    /// An index into [`Model::elastic_ips`].
    ElasticIpId
    /// An index into [`Model::pools`].
    PoolId
}

/// Everything that was meant. Every list is sorted by name, so that the order of the input is lost.
#[derive(Debug, Default)]
pub struct Model {
    /// False when something of the input could not be read: what then seems to be missing may only be unread.
    pub whole: bool,
    /// The default VPC first, then the others by name.
    pub vpcs: Vec<Vpc>,
    /// By name.
    pub subnets: Vec<Subnet>,
    /// By name.
    pub ports: Vec<Port>,
    /// Those that are declared by name, then those of single interfaces.
    pub pools: Vec<AddressPool>,
    /// By name.
    pub vips: Vec<Vip>,
    /// By name.
    pub groups: Vec<SecurityGroup>,
    /// By name.
    pub network_acls: Vec<NetworkAcl>,
    /// By VPC; of one VPC, the one that packets take by default first.
    pub gateways: Vec<Gateway>,
    /// Those that may carry gateways, by name.
    pub gateway_chassis: Vec<GatewayChassis>,
    /// The chassis of all nodes of the input, by name; empty where it has no nodes.
    pub nodes: Vec<Spanned<String>>,
    /// Kind by kind, by name.
    pub elastic_ips: Vec<ElasticIp>,
    /// By name.
    pub floating_ips: Vec<FloatingIp>,
    /// By name.
    pub source_nats: Vec<SourceNat>,
    /// By name.
    pub port_forwards: Vec<PortForward>,
    /// By name.
    pub balancers: Vec<Balancer>,
    /// By name.
    pub dns_zones: Vec<DnsZone>,
    /// By name.
    pub qos_policies: Vec<QosPolicy>,
    /// By name.
    pub expectations: Vec<Expectation>,
}

impl Model {
    /// The VPC behind an id.
    pub fn vpc(&self, id: VpcId) -> &Vpc {
        &self.vpcs[id.0]
    }

    /// The subnet behind an id.
    pub fn subnet(&self, id: SubnetId) -> &Subnet {
        &self.subnets[id.0]
    }

    /// The port behind an id.
    pub fn port(&self, id: PortId) -> &Port {
        &self.ports[id.0]
    }

    /// The address pool behind an id.
    pub fn pool(&self, id: PoolId) -> &AddressPool {
        &self.pools[id.0]
    }

    /// The security group behind an id.
    pub fn group(&self, id: GroupId) -> &SecurityGroup {
        &self.groups[id.0]
    }

    /// The network ACL behind an id.
    pub fn network_acl(&self, id: NetworkAclId) -> &NetworkAcl {
        &self.network_acls[id.0]
    }

    /// VPCs with their ids.
    pub fn vpcs(&self) -> impl Iterator<Item = (VpcId, &Vpc)> {
        self.vpcs.iter().enumerate().map(|(at, vpc)| (VpcId(at), vpc))
    }

    /// Subnets with their ids.
    pub fn subnets(&self) -> impl Iterator<Item = (SubnetId, &Subnet)> {
        self.subnets.iter().enumerate().map(|(at, subnet)| (SubnetId(at), subnet))
    }

    /// Ports with their ids.
    pub fn ports(&self) -> impl Iterator<Item = (PortId, &Port)> {
        self.ports.iter().enumerate().map(|(at, port)| (PortId(at), port))
    }

    /// Security groups with their ids.
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, &SecurityGroup)> {
        self.groups.iter().enumerate().map(|(at, group)| (GroupId(at), group))
    }

    /// What a VPC is reached by: its blocks, or those of its subnets where it has none.
    pub fn blocks_of(&self, id: VpcId) -> Vec<Spanned<IpNet>> {
        let own = &self.vpc(id).cidrs;
        if !own.is_empty() {
            return own.clone();
        }
        let subnets = self.subnets.iter().filter(|subnet| subnet.vpc == id && subnet.routed);
        subnets.flat_map(|subnet| &subnet.blocks).map(|block| block.cidr).collect()
    }

    /// The subnets of every VPC, by VPC.
    pub fn subnets_by_vpc(&self) -> Vec<Vec<SubnetId>> {
        let mut by_vpc = vec![Vec::new(); self.vpcs.len()];
        for (id, subnet) in self.subnets() {
            by_vpc[subnet.vpc.0].push(id);
        }
        by_vpc
    }
}
