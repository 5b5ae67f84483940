//! How much of the wire something may take, and how its packets are marked.
//!
//! Rules are asked in order, and the first that matches decides. Refuses to know who counts the packets.

use super::{Direction, ElasticIpId, GatewayId, GroupRule, Model, PortId, SubnetId};
use crate::span::{Span, Spanned};

/// Rules for the packets of some objects, each of which has its own share.
#[derive(Debug)]
pub struct QosPolicy {
    /// Unique among policies; what it is, for people: `QosPolicy slow`.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Whose packets.
    pub targets: Vec<Spanned<QosTarget>>,
    /// The first that matches decides.
    pub rules: Vec<QosRule>,
}

/// Something whose packets are counted and marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QosTarget {
    /// An interface.
    Port(PortId),
    /// Everything on a subnet together.
    Subnet(SubnetId),
    /// A public address.
    ElasticIp(ElasticIpId),
    /// Everything that leaves a VPC by a gateway.
    Gateway(GatewayId),
}

/// What is done with some packets.
#[derive(Debug)]
pub struct QosRule {
    /// The whole rule.
    pub span: Span,
    /// Which way, seen from the target.
    pub direction: Direction,
    /// Which packets: those of any of these. Nothing else of a rule of a group counts here.
    pub packets: Vec<GroupRule>,
    /// Kilobits a second, past which packets are dropped.
    pub rate: Option<Spanned<i64>>,
    /// Kilobits that may come at once.
    pub burst: Option<Spanned<i64>>,
    /// What they are marked with (RFC 2474).
    pub dscp: Option<Spanned<i64>>,
}

impl Model {
    /// The switch on which a target's packets are counted.
    pub fn counted_on(&self, target: QosTarget) -> SubnetId {
        match target {
            QosTarget::Port(id) => self.port(id).subnet,
            QosTarget::Subnet(id) => id,
            QosTarget::ElasticIp(id) => self.elastic_ips[id.0].external,
            QosTarget::Gateway(id) => self.gateway(id).external,
        }
    }
}
