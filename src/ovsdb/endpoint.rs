//! Where a database is: `unix:`, `tcp:` and `ssl:` endpoints and comma-separated lists of them, in
//! the notation of ovsdb(7) that every OVN tool takes.
//!
//! Refuses to resolve names, open sockets, or read the environment.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The port of `tcp:` and `ssl:` endpoints that name none (ovsdb(7)).
pub const PORT: u16 = 6640;

/// Where OVN's tools look for the Northbound database when nobody tells them (ovn-nbctl(8)).
pub const OVN_NB: &str = "unix:/var/run/ovn/ovnnb_db.sock";

/// Where OVN's tools look for the Southbound database when nobody tells them (ovn-sbctl(8)).
pub const OVN_SB: &str = "unix:/var/run/ovn/ovnsb_db.sock";

/// The directory in which OVN's tools look for `unix:` sockets given by a relative path.
pub const RUN_DIR: &str = "/var/run/openvswitch";

/// One place where a server may listen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `unix:PATH`; a relative path is relative to the run directory.
    Unix(PathBuf),
    /// `tcp:HOST[:PORT]`
    Tcp(Address),
    /// `ssl:HOST[:PORT]`
    Ssl(Address),
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The endpoints of one database, at least one: a cluster has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remotes {
    // INVARIANT: not empty.
    endpoints: Vec<Endpoint>,
}

/// What is wrong with an endpoint's text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// Nothing between two commas, or nothing at all.
    #[error("an endpoint is empty in `{0}`")]
    Empty(String),
    /// Something else than `unix:`, `tcp:` or `ssl:`.
    #[error("`{0}` is no endpoint: it must start with `unix:`, `tcp:` or `ssl:`")]
    Scheme(String),
    /// `punix:`, `ptcp:`, `pssl:` are for servers.
    #[error("`{0}` is where a server listens: to connect, leave out the leading `p`")]
    Passive(String),
    /// No path or host.
    #[error("`{0}` names no {1}")]
    Missing(String, &'static str),
    /// The port is no number from 1 to 65535.
    #[error("`{0}`: the port `{1}` is not a number from 1 to 65535")]
    Port(String, String),
    /// More than one colon outside brackets.
    #[error("`{0}`: write an IPv6 address in brackets, as in `tcp:[::1]:6641`")]
    Brackets(String),
    /// Brackets around something that is no IPv6 address.
    #[error("`{0}`: `{1}` is no IPv6 address")]
    Ipv6(String, String),
}

impl Endpoint {
    /// Reads one endpoint.
    pub fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        let scheme = || EndpointError::Scheme(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(scheme)?;
        match kind {
            "unix" if rest.is_empty() => Err(EndpointError::Missing(text.to_owned(), "path")),
            "unix" => Ok(Endpoint::Unix(rest.into())),
            "tcp" => Ok(Endpoint::Tcp(Address::parse(text, rest)?)),
            "ssl" => Ok(Endpoint::Ssl(Address::parse(text, rest)?)),
            "punix" | "ptcp" | "pssl" => Err(EndpointError::Passive(text.to_owned())),
            _ => Err(scheme()),
        }
    }

    /// The same, with a relative socket path taken from `run_dir`.
    pub fn within(&self, run_dir: &Path) -> Endpoint {
        match self {
            Endpoint::Unix(path) => Endpoint::Unix(run_dir.join(path)),
            other => other.clone(),
        }
    }
}

impl Address {
    fn parse(text: &str, rest: &str) -> Result<Address, EndpointError> {
        let whole = || text.to_owned();
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(|| EndpointError::Brackets(whole()))?;
                // A zone (`fe80::1%eth0`) is part of the host, and no part of the address.
                let address = host.split('%').next().unwrap_or(host);
                if address.parse::<Ipv6Addr>().is_err() {
                    return Err(EndpointError::Ipv6(whole(), host.to_owned()));
                }
                match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if after.is_empty() => (host, None),
                    None => return Err(EndpointError::Brackets(whole())),
                }
            }
            None => match rest.split_once(':') {
                Some((_, port)) if port.contains(':') => return Err(EndpointError::Brackets(whole())),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        if host.is_empty() {
            return Err(EndpointError::Missing(whole(), "host"));
        }
        let port = match port {
            None => PORT,
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(EndpointError::Port(whole(), port.to_owned())),
            },
        };
        Ok(Address { host: host.to_owned(), port })
    }
}

impl Remotes {
    /// Reads a comma-separated list. Blanks around commas are let through, doubles are dropped.
    pub fn parse(text: &str) -> Result<Remotes, EndpointError> {
        let mut endpoints = Vec::new();
        for part in text.split(',').map(str::trim) {
            if part.is_empty() {
                return Err(EndpointError::Empty(text.to_owned()));
            }
            let endpoint = Endpoint::parse(part)?;
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        Ok(Remotes { endpoints })
    }

    /// The endpoints, in the order given.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// True when some endpoint needs keys and certificates.
    pub fn needs_tls(&self) -> bool {
        self.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Ssl(_)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
            Endpoint::Tcp(address) => write!(f, "tcp:{address}"),
            Endpoint::Ssl(address) => write!(f, "ssl:{address}"),
        }
    }
}

impl fmt::Display for Remotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{endpoint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_read_and_printed_back() {
        for (text, printed) in [
            ("unix:/run/ovn/ovnnb_db.sock", "unix:/run/ovn/ovnnb_db.sock"),
            ("tcp:127.0.0.1:6641", "tcp:127.0.0.1:6641"),
            ("tcp:nb.example", "tcp:nb.example:6640"),
            ("ssl:[::1]:6641", "ssl:[::1]:6641"),
            ("tcp:[fe80::1%eth0]", "tcp:[fe80::1%eth0]:6640"),
            ("tcp:a:1, tcp:b:2,tcp:a:1", "tcp:a:1,tcp:b:2"),
        ] {
            assert_eq!(Remotes::parse(text).map(|r| r.to_string()), Ok(printed.to_owned()));
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let said = |text: &str| Remotes::parse(text).expect_err("wrong").to_string();
        assert_eq!(said(""), "an endpoint is empty in ``");
        assert_eq!(said("tcp:a:1,"), "an endpoint is empty in `tcp:a:1,`");
        assert_eq!(said("/run/x"), "`/run/x` is no endpoint: it must start with `unix:`, `tcp:` or `ssl:`");
        assert_eq!(
            said("ptcp:6641"),
            "`ptcp:6641` is where a server listens: to connect, leave out the leading `p`"
        );
        assert_eq!(said("unix:"), "`unix:` names no path");
        assert_eq!(said("tcp::6641"), "`tcp::6641` names no host");
        assert_eq!(said("tcp:a:0"), "`tcp:a:0`: the port `0` is not a number from 1 to 65535");
        assert_eq!(
            said("tcp:::1:6641"),
            "`tcp:::1:6641`: write an IPv6 address in brackets, as in `tcp:[::1]:6641`"
        );
        assert_eq!(said("tcp:[::g]:1"), "`tcp:[::g]:1`: `::g` is no IPv6 address");
    }
}
