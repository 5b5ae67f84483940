//! The DHCP options that OVN knows, and what it takes for each (ovn-nb(5), DHCP_Options; the same names in
//! 23.03 and 26.03 but where noted).
//!
//! northd copies options unread into a flow; one that ovn-controller can't parse costs every guest its DHCP.
//! Refuses to choose values.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

/// What an option's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// IPv4 addresses: `10.0.0.1` or `{10.0.0.1, 10.0.0.2}`.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// An integer up to this.
    Number(u64),
    /// `0` or `1`.
    Bool,
    /// A string, in double quotes.
    Text,
    /// An address or a string.
    Host,
    /// An Ethernet address.
    Mac,
    /// `{destination/length,gateway, …}`.
    Routes,
}

use OptionKind::{Bool, Host, Ipv4, Ipv6, Mac, Number, Routes, Text};

/// Options of DHCPv4.
const V4: [(&str, OptionKind); 38] = [
    ("T1", Number(u32::MAX as u64)),
    ("T2", Number(u32::MAX as u64)),
    ("arp_cache_timeout", Number(u32::MAX as u64)),
    ("bootfile_name", Text),
    ("bootfile_name_alt", Text),
    ("broadcast_address", Ipv4),
    ("classless_static_route", Routes),
    ("default_ttl", Number(255)),
    ("dns_server", Ipv4),
    ("domain_name", Text),
    ("domain_search_list", Text),
    ("ethernet_encap", Bool),
    ("hostname", Text),
    ("ip_forward_enable", Bool),
    ("lease_time", Number(u32::MAX as u64)),
    ("log_server", Ipv4),
    ("lpr_server", Ipv4),
    ("ms_classless_static_route", Routes),
    ("mtu", Number(65535)),
    ("netbios_name_server", Ipv4),
    ("netbios_node_type", Number(255)),
    ("netmask", Ipv4),
    ("next_server", Ipv4),
    ("nis_server", Ipv4),
    ("ntp_server", Ipv4),
    ("path_prefix", Text),
    ("policy_filter", Ipv4),
    ("router", Ipv4),
    ("router_discovery", Bool),
    ("router_solicitation", Ipv4),
    ("server_id", Ipv4),
    ("server_mac", Mac),
    ("swap_server", Ipv4),
    ("tcp_keepalive_interval", Number(u32::MAX as u64)),
    ("tcp_ttl", Number(255)),
    ("tftp_server", Host),
    ("tftp_server_address", Ipv4),
    ("wpad", Text),
];

/// Options of DHCPv6.
const V6: [(&str, OptionKind); 4] =
    [("dns_server", Ipv6), ("domain_search", Text), ("ia_addr", Ipv6), ("server_id", Mac)];

/// The options of a family: name and kind.
pub fn options(v4: bool) -> &'static [(&'static str, OptionKind)] {
    if v4 { &V4 } else { &V6 }
}

/// The kind of an option; `None` for a name that OVN does not know.
pub fn kind(v4: bool, name: &str) -> Option<OptionKind> {
    options(v4).iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

impl OptionKind {
    /// What it takes, in words.
    pub fn wants(self) -> String {
        match self {
            Ipv4 => "IPv4 addresses".to_owned(),
            Ipv6 => "IPv6 addresses".to_owned(),
            Number(max) => format!("a number up to {max}"),
            Bool => "0 or 1".to_owned(),
            Text => "text".to_owned(),
            Host => "an address or a name".to_owned(),
            Mac => "a MAC address".to_owned(),
            Routes => "destinations and gateways, like {10.1.0.0/16,10.0.0.1}".to_owned(),
        }
    }

    /// Whether OVN takes the value once it is written as [`OptionKind::written`] writes it.
    pub fn takes(self, value: &str) -> bool {
        let items = items(value);
        let all = |test: fn(&str) -> bool| !items.is_empty() && items.iter().all(|item| test(item));
        match self {
            Ipv4 => all(|item| item.parse::<Ipv4Addr>().is_ok()),
            Ipv6 => all(|item| item.parse::<Ipv6Addr>().is_ok()),
            Number(max) => value.parse::<u64>().is_ok_and(|n| n <= max),
            Bool => matches!(value, "0" | "1"),
            Text | Host => !value.is_empty() && !value.trim_matches('"').contains('"'),
            Mac => {
                value.split(':').count() == 6
                    && value
                        .split(':')
                        .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
            }
            Routes => {
                let pair = |pair: &[&str]| match pair {
                    [to, via] => to.parse::<Ipv4Net>().is_ok() && via.parse::<Ipv4Addr>().is_ok(),
                    _ => false,
                };
                !items.is_empty() && items.chunks(2).all(pair)
            }
        }
    }

    /// The value in OVN's notation: strings in quotes, lists in braces. Kube-OVN's lists, which `;` separates,
    /// are lists too.
    pub fn written(self, value: &str) -> String {
        match self {
            Text => quoted(value),
            Host if value.parse::<Ipv4Addr>().is_err() => quoted(value),
            Ipv4 | Ipv6 | Routes => {
                let items = items(value);
                if items.len() > 1 { format!("{{{}}}", items.join(", ")) } else { items.concat() }
            }
            Host | Number(_) | Bool | Mac => value.to_owned(),
        }
    }
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.trim_matches('"'))
}

/// The items of `a`, `a;b` or `{a, b}`.
pub fn items(value: &str) -> Vec<&str> {
    let inner = value.strip_prefix('{').and_then(|v| v.strip_suffix('}')).unwrap_or(value);
    inner.split([';', ',']).map(str::trim).filter(|item| !item.is_empty()).collect()
}
