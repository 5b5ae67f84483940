//! Load balancers: an address and ports that stand for several interfaces, and who can use it.
//!
//! A balancer serves every routed subnet of its VPC, those of the peers that it names, and the outside where it
//! has a public address. Refuses to choose addresses, and to know how connections are told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Model, PortId, Public, Subnet, SubnetId, Transport, VpcId};
use crate::span::{Span, Spanned};

/// One address for several interfaces.
#[derive(Debug)]
pub struct Balancer {
    /// Unique among balancers.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Whose: its backends are here.
    pub vpc: VpcId,
    /// Peers whose subnets can use it too.
    pub clients: Vec<Spanned<VpcId>>,
    /// Its addresses inside.
    pub addresses: Vec<Spanned<IpAddr>>,
    /// Its address outside.
    pub public: Option<Spanned<Public>>,
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// Its backends, in the order of the input.
    pub backends: Vec<Spanned<Backend>>,
    /// How backends are watched; `None` where they are not.
    pub health: Option<HealthCheck>,
    /// How many seconds a client stays with its backend beyond its connections.
    pub affinity: Option<Spanned<i64>>,
}

/// A port that a balancer listens on.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Of the transport.
    pub protocol: Transport,
    /// Of the balancer's address.
    pub port: Spanned<u16>,
    /// Of the backends.
    pub target_port: Spanned<u16>,
}

/// Where a balancer's connections go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// An interface, by its addresses.
    Port(PortId),
    /// An address.
    Address(IpAddr),
}

/// How backends are watched, all but the counts in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Where it is asked for.
    pub span: Span,
    /// From one probe to the next.
    pub interval: i64,
    /// How long a probe is waited for.
    pub timeout: i64,
    /// Answers that make a backend good.
    pub successes: i64,
    /// Missing answers that make it bad.
    pub failures: i64,
}

impl Balancer {
    /// The VPCs whose subnets can use it.
    pub fn vpcs(&self) -> BTreeSet<VpcId> {
        self.clients.iter().map(|client| client.value).chain([self.vpc]).collect()
    }
}

impl Model {
    /// The subnets whose guests can use a balancer: those with a router, since its packets are routed.
    pub fn served_subnets(&self, balancer: &Balancer) -> impl Iterator<Item = (SubnetId, &Subnet)> {
        let vpcs = balancer.vpcs();
        self.subnets().filter(move |(_, subnet)| subnet.routed && vpcs.contains(&subnet.vpc))
    }

    /// The one of these subnets that an address lies in.
    pub fn subnet_around(&self, subnets: &[SubnetId], address: IpAddr) -> Option<SubnetId> {
        let is_around = |id: &SubnetId| {
            self.subnet(*id).block_for(address).is_some_and(|block| block.cidr.value.contains(&address))
        };
        subnets.iter().copied().find(is_around)
    }

    /// The subnets where a balancer watches backends: it needs an address there to ask from.
    pub fn watched_subnets(&self) -> BTreeSet<SubnetId> {
        let by_vpc = self.subnets_by_vpc();
        let subnet = |balancer: &Balancer, backend: Backend| match backend {
            Backend::Port(id) => Some(self.port(id).subnet),
            Backend::Address(address) => self.subnet_around(&by_vpc[balancer.vpc.0], address),
        };
        let watching = self.balancers.iter().filter(|balancer| balancer.health.is_some());
        watching.flat_map(|b| b.backends.iter().filter_map(|to| subnet(b, to.value))).collect()
    }

    /// The addresses that balancers have in the subnets of their own VPC, subnet by subnet.
    pub fn balanced_addresses(&self) -> BTreeMap<SubnetId, BTreeSet<IpAddr>> {
        let by_vpc = self.subnets_by_vpc();
        let mut addresses: BTreeMap<SubnetId, BTreeSet<IpAddr>> = BTreeMap::new();
        for balancer in &self.balancers {
            for address in &balancer.addresses {
                if let Some(subnet) = self.subnet_around(&by_vpc[balancer.vpc.0], address.value) {
                    addresses.entry(subnet).or_default().insert(address.value);
                }
            }
        }
        addresses
    }
}
