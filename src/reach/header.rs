//! The fields of a packet that decide where it goes, and what the way does to them.
//!
//! Fields are named as in Open vSwitch: the type and code of ICMP are `tp_src` and `tp_dst`. Ethernet
//! addresses, the time to live and conntrack's state follow from the way, and are not here.
//!
//! Refuses to hold sets; [`super::set`] does.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Index, IndexMut};

/// How many fields there are.
pub(super) const N_FIELDS: usize = 6;

/// A field, in the order in which sets look at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The Ethernet type.
    EthType,
    /// The protocol above IP.
    IpProto,
    /// The source address.
    IpSrc,
    /// The destination address.
    IpDst,
    /// The source port, or the type of ICMP.
    TpSrc,
    /// The destination port, or the code of ICMP.
    TpDst,
}

impl Field {
    /// Every field, in order.
    pub const ALL: [Field; N_FIELDS] =
        [Field::EthType, Field::IpProto, Field::IpSrc, Field::IpDst, Field::TpSrc, Field::TpDst];
}

/// Ethernet types.
pub const IPV4: u128 = 0x0800;
/// The question who has an IPv4 address, and its answer.
pub const ARP: u128 = 0x0806;
/// IPv6.
pub const IPV6: u128 = 0x86dd;

/// ICMP, a protocol above IP.
pub const ICMP: u128 = 1;
/// TCP.
pub const TCP: u128 = 6;
/// UDP.
pub const UDP: u128 = 17;
/// ICMPv6.
pub const ICMP6: u128 = 58;
/// SCTP.
pub const SCTP: u128 = 132;

/// One packet: a value for each field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Header([u128; N_FIELDS]);

impl Index<Field> for Header {
    type Output = u128;

    fn index(&self, field: Field) -> &u128 {
        &self.0[field as usize]
    }
}

impl IndexMut<Field> for Header {
    fn index_mut(&mut self, field: Field) -> &mut u128 {
        &mut self.0[field as usize]
    }
}

impl Header {
    /// Whether it is IPv6.
    pub fn is_ipv6(&self) -> bool {
        self[Field::EthType] == IPV6
    }

    /// The source address.
    pub fn source(&self) -> IpAddr {
        address(self.is_ipv6(), self[Field::IpSrc])
    }

    /// The destination address.
    pub fn destination(&self) -> IpAddr {
        address(self.is_ipv6(), self[Field::IpDst])
    }
}

/// `tcp 10.0.0.1:49152 → 10.0.0.2:80`
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, to) = (self.source(), self.destination());
        let (from_port, port) = (self[Field::TpSrc], self[Field::TpDst]);
        let end = |address: IpAddr, port: u128| match address {
            IpAddr::V4(address) => format!("{address}:{port}"),
            IpAddr::V6(address) => format!("[{address}]:{port}"),
        };
        match self[Field::IpProto] {
            ICMP | ICMP6 => write!(f, "icmp {source} → {to} type {from_port} code {port}"),
            proto @ (TCP | UDP | SCTP) => {
                write!(f, "{} {} → {}", protocol_name(proto), end(source, from_port), end(to, port))
            }
            proto => write!(f, "ip protocol {proto} {source} → {to}"),
        }
    }
}

/// `tcp`, `udp`, `sctp`, `icmp`, or the number.
pub(super) fn protocol_name(proto: u128) -> String {
    match proto {
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        SCTP => "sctp".to_owned(),
        ICMP | ICMP6 => "icmp".to_owned(),
        other => format!("proto-{other}"),
    }
}

/// The number as an address.
pub fn address(is_ipv6: bool, bits: u128) -> IpAddr {
    match is_ipv6 {
        true => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        false => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
    }
}

/// The address as a number.
pub fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The Ethernet type of an address's family.
pub fn eth_type(address: IpAddr) -> u128 {
    if address.is_ipv6() { IPV6 } else { IPV4 }
}

/// Where a field's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A field of the packet as it was sent.
    Field(Field),
    /// Something that was written on the way.
    Value(u128),
}

/// What has been done to a packet since it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rewrite([Origin; N_FIELDS]);

impl Index<Field> for Rewrite {
    type Output = Origin;

    fn index(&self, field: Field) -> &Origin {
        &self.0[field as usize]
    }
}

impl IndexMut<Field> for Rewrite {
    fn index_mut(&mut self, field: Field) -> &mut Origin {
        &mut self.0[field as usize]
    }
}

impl Rewrite {
    /// Nothing has.
    pub const IDENTITY: Rewrite = Rewrite([
        Origin::Field(Field::EthType),
        Origin::Field(Field::IpProto),
        Origin::Field(Field::IpSrc),
        Origin::Field(Field::IpDst),
        Origin::Field(Field::TpSrc),
        Origin::Field(Field::TpDst),
    ]);

    /// Whether nothing has.
    pub fn is_identity(&self) -> bool {
        *self == Rewrite::IDENTITY
    }

    /// The packet as it has become.
    pub fn apply(&self, sent: &Header) -> Header {
        let mut header = Header::default();
        for field in Field::ALL {
            header[field] = match self[field] {
                Origin::Field(from) => sent[from],
                Origin::Value(value) => value,
            };
        }
        header
    }

    /// What answers the packet: ends exchanged, and for an echo request the type of a reply.
    pub fn reply(&self, echo: Option<u128>) -> Rewrite {
        let mut reply = *self;
        reply.0.swap(Field::IpSrc as usize, Field::IpDst as usize);
        match echo {
            Some(kind) => reply[Field::TpSrc] = Origin::Value(kind),
            None => reply.0.swap(Field::TpSrc as usize, Field::TpDst as usize),
        }
        reply
    }
}
