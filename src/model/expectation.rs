//! What somebody expects to reach what, or not to.
//!
//! Names are as they were written: what they stand for is found in rows, by `reach`. Refuses to judge.

use std::fmt;
use std::str::FromStr;

use super::{PortRange, Protocol};
use crate::span::Spanned;

/// What is expected of the packets between some and others.
#[derive(Debug)]
pub struct Expectation {
    /// Unique among expectations.
    pub name: Spanned<String>,
    /// Who sends.
    pub from: Vec<Spanned<String>>,
    /// Who of these is not meant.
    pub except: Vec<Spanned<String>>,
    /// Who is sent to.
    pub to: Vec<Spanned<String>>,
    /// What is sent; everything where nothing is said.
    pub services: Vec<Spanned<Service>>,
    /// What is to become of it.
    pub expected: Spanned<Expected>,
    /// Whether machines are taken to have their default routes, told or not.
    pub is_routed: bool,
}

/// What is to become of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Every one of them arrives and is answered, whatever OVN chooses.
    Reachable,
    /// None of them arrives, whatever OVN chooses and whatever routes machines have.
    Unreachable,
    /// Nothing else arrives, from anybody.
    Only,
}

/// A protocol and its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The protocol.
    pub protocol: Protocol,
    /// The ports that it goes to; all where there are none.
    pub ports: Option<PortRange>,
}

impl Expected {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Expected::Reachable => "reachable",
            Expected::Unreachable => "unreachable",
            Expected::Only => "only",
        }
    }
}

impl FromStr for Service {
    type Err = String;

    /// `tcp`, `tcp/443`, `udp/8000-8080`, `icmp`, `any`
    fn from_str(text: &str) -> Result<Service, String> {
        let (name, ports) = text.split_once('/').map_or((text, None), |(name, ports)| (name, Some(ports)));
        let protocol = match name {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            "icmp" => Protocol::Icmp,
            "any" => Protocol::Any,
            _ => return Err(format!("`{name}` is none of tcp, udp, sctp, icmp, any")),
        };
        let Some(ports) = ports else { return Ok(Service { protocol, ports: None }) };
        if matches!(protocol, Protocol::Icmp | Protocol::Any) {
            return Err(format!("{name} has no ports"));
        }
        let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is no port, 0 to 65535"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(format!("{first} is above {last}"));
        }
        Ok(Service { protocol, ports: Some(PortRange { first, last }) })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
            Protocol::Icmp => "icmp",
            Protocol::Any => "any",
        })?;
        match self.ports {
            None => Ok(()),
            Some(PortRange { first, last }) if first == last => write!(f, "/{first}"),
            Some(PortRange { first, last }) => write!(f, "/{first}-{last}"),
        }
    }
}
