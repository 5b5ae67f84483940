//! A workload's attachment to a subnet, and addresses that several workloads share.
//!
//! Refuses to choose addresses; `assign` does.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::{Few, GroupId, PoolId, PortId, Setting, SubnetId};
use crate::span::{Span, Spanned};

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// True when an interface can have it: neither multicast nor all zeros.
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: as six numbers with a width, addresses were 2 % of a compilation.
        let mut text = *b"00:00:00:00:00:00";
        for (byte, digits) in self.0.iter().zip(text.chunks_mut(3)) {
            digits[0] = HEX[usize::from(byte >> 4)];
            digits[1] = HEX[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for Mac {
    type Err = ();

    /// Six pairs of hexadecimal digits between colons or dashes.
    fn from_str(text: &str) -> Result<Mac, ()> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or(())?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| ())?;
        }
        if parts.next().is_some() { Err(()) } else { Ok(Mac(bytes)) }
    }
}

/// A workload's interface on a subnet.
#[derive(Debug)]
pub struct Port {
    /// Unique among ports; the hypervisor plugs the interface in under this name (`iface-id`).
    pub name: String,
    /// Where the interface is declared.
    pub span: Span,
    /// What it belongs to.
    pub owner: Owner,
    /// Labels of that.
    pub labels: Few<(String, String)>,
    /// Where it is plugged in.
    pub subnet: SubnetId,
    /// Given by hand, or derived from the name.
    pub mac: Option<Spanned<Mac>>,
    /// Given by hand, at most one a family; the others are allocated.
    pub addresses: Vec<Spanned<IpAddr>>,
    /// Where the addresses come from that are not given by hand; anywhere in the subnet where there is none.
    pub pool: Option<Spanned<PoolId>>,
    /// Whether the guest sets up its own network, as a machine does and a container does not.
    pub is_machine: bool,
    /// Whether the port may only send from its own addresses.
    pub port_security: bool,
    /// Further addresses that it may send from.
    pub allowed_pairs: Few<Spanned<IpNet>>,
    /// The security groups that it joins, each once; with none it is open.
    pub groups: Vec<Spanned<GroupId>>,
    /// Whether it forwards frames for others, so that unknown destinations go to it.
    pub forwards: bool,
    /// The address that cloud-init configures in the guest.
    pub guest_addresses: Few<Spanned<IpAddr>>,
    /// Whether the guest is given a default route by other means than DHCP and advertisements.
    pub guest_default_route: bool,
    /// The chassis that it may be bound to, the present one first; any where there is none.
    pub requested_chassis: Few<Spanned<String>>,
    /// What it is told when it asks for its address.
    pub dhcp: PortDhcp,
    /// Where it says that on a further chassis it is silent until the guest announces itself there (RARP).
    pub activated: Option<Span>,
}

/// What a port belongs to, as people call it.
#[derive(Debug)]
pub enum Owner {
    /// Nothing: a `NetworkInterface` of the port's name declares it alone.
    Itself,
    /// `VirtualMachine default/web-1`
    Other(Box<str>),
}

impl Owner {
    /// That of the port `name`, for people.
    pub fn told<'o>(&'o self, name: &str) -> Cow<'o, str> {
        match self {
            Owner::Itself => Cow::Owned(format!("NetworkInterface {name}")),
            Owner::Other(owner) => Cow::Borrowed(owner),
        }
    }
}

impl Port {
    /// What it belongs to, for people: `VirtualMachine default/web-1`.
    pub fn owner(&self) -> Cow<'_, str> {
        self.owner.told(&self.name)
    }

    /// A port that nothing is known of but its name, what it belongs to and where it is: no machine's, and open.
    #[must_use]
    pub fn bare(name: Spanned<String>, owner: String, subnet: SubnetId) -> Self {
        Self {
            name: name.value,
            span: name.span,
            owner: Owner::Other(owner.into()),
            labels: Few::default(),
            subnet,
            mac: None,
            addresses: Vec::new(),
            pool: None,
            is_machine: false,
            port_security: false,
            allowed_pairs: Few::default(),
            groups: Vec::new(),
            forwards: false,
            guest_addresses: Few::default(),
            guest_default_route: false,
            requested_chassis: Few::default(),
            dhcp: PortDhcp::default(),
            activated: None,
        }
    }
}

/// What an interface is told when it asks for its address.
#[derive(Debug, Default)]
pub struct PortDhcp {
    /// By DHCPv4.
    pub v4: Told,
    /// By DHCPv6.
    pub v6: Told,
}

impl PortDhcp {
    /// Whether it is told what its subnet tells everybody.
    pub fn is_as_subnet(&self) -> bool {
        matches!((&self.v4, &self.v6), (Told::AsSubnet, Told::AsSubnet))
    }
}

/// What an interface is told by one protocol.
#[derive(Debug, Default)]
pub enum Told {
    /// What its subnet tells everybody.
    #[default]
    AsSubnet,
    /// Nothing.
    Nothing,
    /// Something of its own.
    Own(Box<OwnOptions>),
}

/// Options of one interface.
#[derive(Debug)]
pub struct OwnOptions {
    /// Where they stand.
    pub span: Span,
    /// Whether they stand over those of the subnet, or in their place.
    pub over_subnet: bool,
    /// Options by hand.
    pub settings: Vec<Setting>,
}

impl Told {
    /// Options of its own.
    pub fn own(&self) -> Option<&OwnOptions> {
        match self {
            Told::Own(own) => Some(own),
            Told::AsSubnet | Told::Nothing => None,
        }
    }
}

/// An address that moves between workloads.
#[derive(Debug)]
pub struct Vip {
    /// Unique among ports and virtual addresses.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Where it lives.
    pub subnet: SubnetId,
    /// At most one a family; those not given are allocated.
    pub addresses: Vec<Spanned<IpAddr>>,
    /// The workloads that may hold it; with none, the address is only kept free.
    pub parents: Vec<PortId>,
}
