//! DHCP of a subnet → DHCP_Options, one row a family.
//!
//! Without settings by hand a guest is told its router, the MTU and a lease of an hour; settings by hand
//! stand in their place, or beside them where the dialect says so, and what OVN requires (`server_id`, `server_mac`, `lease_time`) is added where it
//! is missing. Values are written as OVN takes them: strings in quotes, lists in braces. Fixtures: `dhcp/*`.

use std::collections::BTreeMap;

use crate::assign::derived_mac;
use crate::model::{Dhcp, Model, Setting, Subnet};
use crate::nb::dhcp;
use crate::nb::{DhcpOptions, Key, Rows, Table};

/// The rows that ports of a subnet refer to.
#[derive(Default)]
pub(super) struct Options {
    pub(super) v4: Option<Key>,
    pub(super) v6: Option<Key>,
}

/// The server's own address: link-local, so that it is never a guest's.
const SERVER_ID: &str = "169.254.0.254";
/// Seconds.
const LEASE_TIME: &str = "3600";
/// What is left of 1500 bytes under Geneve over IPv6 with OVN's options.
const OVERLAY_MTU: i64 = 1400;
const UNDERLAY_MTU: i64 = 1500;

/// Writes the options of `subnet`, if somebody answers there.
pub(super) fn lower(model: &Model, subnet: &Subnet, rows: &mut Rows) -> Options {
    let Some(dhcp) = &subnet.dhcp else { return Options::default() };
    let vpc = model.vpc(subnet.vpc);
    let server = derived_mac("dhcp", &format!("{}-{}", vpc.name, subnet.name)).to_string();
    let mut insert = |family: &str, cidr: String, options: BTreeMap<String, String>| {
        let key = Key::new(Table::DhcpOptions, format!("{}/{family}", subnet.name));
        rows.insert(key.clone(), DhcpOptions { cidr, options, ..DhcpOptions::default() }, Some(dhcp.span));
        key
    };
    let v4 = subnet.v4().map(|block| {
        insert(
            "dhcpv4",
            block.cidr.value.to_string(),
            v4_options(subnet, dhcp, block.gateway.value.to_string(), &server),
        )
    });
    let v6 =
        subnet.v6().map(|block| insert("dhcpv6", block.cidr.value.to_string(), v6_options(dhcp, &server)));
    Options { v4, v6 }
}

fn v4_options(subnet: &Subnet, dhcp: &Dhcp, gateway: String, server: &str) -> BTreeMap<String, String> {
    let mut options = by_hand(&dhcp.v4, true);
    if dhcp.v4.is_empty() || dhcp.keeps_defaults {
        let mtu = if subnet.underlay.is_some() { UNDERLAY_MTU } else { OVERLAY_MTU };
        options.entry("router".to_owned()).or_insert(gateway);
        options.entry("mtu".to_owned()).or_insert_with(|| mtu.to_string());
    }
    if let Some(mtu) = &subnet.mtu {
        options.insert("mtu".to_owned(), mtu.value.to_string());
    }
    for (name, value) in [("lease_time", LEASE_TIME), ("server_id", SERVER_ID), ("server_mac", server)] {
        options.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    options
}

fn v6_options(dhcp: &Dhcp, server: &str) -> BTreeMap<String, String> {
    let mut options = by_hand(&dhcp.v6, false);
    options.entry("server_id".to_owned()).or_insert_with(|| server.to_owned());
    options
}

fn by_hand(settings: &[Setting], v4: bool) -> BTreeMap<String, String> {
    let one = |s: &Setting| {
        let value = &s.value.value;
        let written = dhcp::kind(v4, &s.name.value).map_or_else(|| value.clone(), |kind| kind.written(value));
        (s.name.value.clone(), written)
    };
    settings.iter().map(one).collect()
}
