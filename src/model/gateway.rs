//! Ways out of a VPC: its gateways on external networks, public addresses, and what is translated to them.
//!
//! An external network is a subnet that is bridged to a physical one; its own gateway leads on. Refuses to
//! judge, and to choose addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{ElasticIpId, GatewayId, Mac, Model, PortId, RouteSelector, Subnet, SubnetId, Vpc, VpcId};
use crate::span::{Span, Spanned};

/// A VPC's port on an external network.
#[derive(Debug)]
pub struct Gateway {
    /// Whose.
    pub vpc: VpcId,
    /// Where it leads.
    pub external: SubnetId,
    /// Where it is declared.
    pub span: Span,
    /// Given by hand, or derived from the names.
    pub mac: Option<Spanned<Mac>>,
    /// Given by hand, at most one a family; the others are allocated.
    pub addresses: Vec<Spanned<IpAddr>>,
    /// The chassis that may carry it; with none, those of the model.
    pub chassis: Vec<GatewayChassis>,
    /// Whether the VPC gets a default route through it where nobody wrote one.
    pub is_default: bool,
}

/// A chassis that may carry gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayChassis {
    /// Its name in OVN (`system-id`).
    pub name: String,
    /// Higher first; without one, gateways are spread over the chassis.
    pub priority: Option<i64>,
    /// Where it is declared; `None` for one of the command line.
    pub span: Option<Span>,
}

/// A public address that translations can use.
#[derive(Debug)]
pub struct ElasticIp {
    /// Unique among those of its kind.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// The network that it is an address of.
    pub external: SubnetId,
    /// What answers for it where a machine's own chassis does.
    pub mac: Option<Spanned<Mac>>,
    /// Given by hand, at most one a family; the others are allocated.
    pub addresses: Vec<Spanned<IpAddr>>,
}

/// Whose address stands for something outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Public {
    /// An elastic IP's.
    ElasticIp(ElasticIpId),
    /// The gateway's own.
    Gateway(GatewayId),
}

/// What stands behind a public address.
#[derive(Clone, Debug)]
pub enum Inside {
    /// An interface, by its addresses.
    Port(PortId),
    /// An address that interfaces share: an index into [`Model::vips`].
    Vip(usize),
    /// A subnet's blocks; for translations of the source alone.
    Subnet(SubnetId),
    /// Addresses or, for translations of the source, blocks.
    Given(Vec<Spanned<IpNet>>),
}

/// One address inside that is one address outside, both ways.
#[derive(Debug)]
pub struct FloatingIp {
    /// Unique among floating IPs.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// The router that translates.
    pub vpc: VpcId,
    /// Outside.
    pub public: Spanned<Public>,
    /// Inside: a host.
    pub inside: Spanned<Inside>,
    /// Whether the machine's own chassis translates rather than the gateway's.
    pub distributed: bool,
}

/// Sources inside that appear as one address outside.
#[derive(Debug)]
pub struct SourceNat {
    /// Unique among them.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// The router that translates.
    pub vpc: VpcId,
    /// Outside.
    pub public: Spanned<Public>,
    /// Inside.
    pub inside: Spanned<Inside>,
}

/// A port outside that is a port inside.
#[derive(Debug)]
pub struct PortForward {
    /// Unique among them.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// The router that translates.
    pub vpc: VpcId,
    /// Outside.
    pub public: Spanned<Public>,
    /// Of the transport.
    pub protocol: Transport,
    /// Outside.
    pub public_port: Spanned<u16>,
    /// Inside: a host.
    pub inside: Spanned<Inside>,
    /// Inside.
    pub inside_port: Spanned<u16>,
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 9260.
    Sctp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        })
    }
}

/// A default route that follows from having a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// Everything of a family.
    pub prefix: IpNet,
    /// The external network's gateway.
    pub next_hop: IpAddr,
    /// Through which it leads.
    pub gateway: GatewayId,
}

/// Every address of a family.
pub fn everything(v4: bool) -> IpNet {
    if v4 {
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0))
    } else {
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0))
    }
}

impl Vpc {
    /// Whether a table (`None` is the main one) has a route by hand for everything of a family.
    pub fn has_default_route(&self, table: Option<&str>, v4: bool) -> bool {
        self.static_routes.iter().any(|route| {
            route.table.as_ref().map(|t| t.value.as_str()) == table
                && route.selector == RouteSelector::Destination
                && route.prefix.value == everything(v4)
        })
    }
}

impl Model {
    /// The gateway behind an id.
    pub fn gateway(&self, id: GatewayId) -> &Gateway {
        &self.gateways[id.0]
    }

    /// Adds a gateway behind the others of its VPC. Ids of gateways are no longer what they were.
    pub fn add_gateway(&mut self, gateway: Gateway) {
        let at = self.gateways.partition_point(|other| other.vpc <= gateway.vpc);
        self.gateways.insert(at, gateway);
    }

    /// Takes these chassis for gateways instead of those that the sources name, if they are any.
    pub fn prefer_chassis(&mut self, chassis: &[GatewayChassis]) {
        if !chassis.is_empty() {
            self.gateway_chassis = chassis.to_vec();
            self.gateways.iter_mut().for_each(|gateway| gateway.chassis.clear());
        }
    }

    /// The chassis that may carry a gateway.
    pub fn chassis_of<'m>(&'m self, gateway: &'m Gateway) -> &'m [GatewayChassis] {
        if gateway.chassis.is_empty() { &self.gateway_chassis } else { &gateway.chassis }
    }

    /// Gateways with their ids.
    pub fn gateways(&self) -> impl Iterator<Item = (GatewayId, &Gateway)> {
        self.gateways.iter().enumerate().map(|(at, gateway)| (GatewayId(at), gateway))
    }

    /// A VPC's gateways, the one that packets take by default first.
    pub fn gateways_of(&self, vpc: VpcId) -> impl Iterator<Item = (GatewayId, &Gateway)> {
        let first = self.gateways.partition_point(|gateway| gateway.vpc < vpc);
        let own = self.gateways[first..].iter().take_while(move |gateway| gateway.vpc == vpc);
        own.enumerate().map(move |(nth, gateway)| (GatewayId(first + nth), gateway))
    }

    /// The network that a public address is of.
    pub fn external_of(&self, public: Public) -> SubnetId {
        match public {
            Public::ElasticIp(id) => self.elastic_ips[id.0].external,
            Public::Gateway(id) => self.gateways[id.0].external,
        }
    }

    /// The VPC's gateway on an external network.
    pub fn gateway_on(&self, vpc: VpcId, external: SubnetId) -> Option<GatewayId> {
        self.gateways_of(vpc).find(|(_, gateway)| gateway.external == external).map(|(id, _)| id)
    }

    /// The VPC's gateway on the external network that an address is in.
    pub fn gateway_towards(&self, vpc: VpcId, address: IpAddr) -> Option<&Gateway> {
        let leads = |gateway: &&Gateway| {
            let block = self.subnet(gateway.external).block_for(address);
            block.is_some_and(|block| block.cidr.value.contains(&address))
        };
        self.gateways_of(vpc).map(|(_, gateway)| gateway).find(leads)
    }

    /// The default routes that a VPC has because it has a gateway: one a family through its first gateway of
    /// that family, where its main table has none by hand.
    pub fn default_routes(&self, id: VpcId) -> Vec<DefaultRoute> {
        let route = |v4: bool| {
            let of_family = |s: &Subnet| if v4 { s.v4().cloned() } else { s.v6().cloned() };
            let (gateway, block) = self
                .gateways_of(id)
                .filter(|(_, gateway)| gateway.is_default)
                .find_map(|(id, gateway)| Some((id, of_family(self.subnet(gateway.external))?)))?;
            let prefix = everything(v4);
            Some(DefaultRoute { prefix, next_hop: block.gateway.value, gateway })
        };
        let vpc = self.vpc(id);
        [true, false].into_iter().filter(|v4| !vpc.has_default_route(None, *v4)).filter_map(route).collect()
    }

    /// How people call a public address.
    pub fn public_name(&self, public: Public) -> String {
        match public {
            Public::ElasticIp(id) => format!("elastic IP `{}`", self.elastic_ips[id.0].name),
            Public::Gateway(id) => {
                let gateway = self.gateway(id);
                let (vpc, external) = (&self.vpc(gateway.vpc).name, &self.subnet(gateway.external).name);
                format!("the gateway of VPC `{vpc}` on `{external}`")
            }
        }
    }
}
