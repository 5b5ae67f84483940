//! Settings that OVN reads late and drops silently: DHCP options, router advertisements.
//!
//! | rule | code |
//! |---|---|
//! | a DHCP option, of a subnet or a port, is one of OVN's, with a value that it parses, not told twice | N0603 |
//! | routes by DHCP, which take the place of the router, have a default one; routers are on the segment | N0320 |
//! | a port has an address of the family that its own options are for | N0120 |
//! | a router advertisement has settings that OVN takes, and a family to advertise | N0604, N0120 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::Ipv6Net;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{Setting, Subnet};
use crate::nb::dhcp;
use crate::nearest::nearest;

/// ovn-nb(5), Logical_Router_Port.ipv6_ra_configs.
const RA_SETTINGS: [&str; 9] = [
    "address_mode",
    "dnssl",
    "max_interval",
    "min_interval",
    "mtu",
    "rdnss",
    "route_info",
    "router_preference",
    "send_periodic",
];
const RA_PREFERENCES: [&str; 3] = ["HIGH", "MEDIUM", "LOW"];
const RA_MODES: [&str; 3] = ["slaac", "dhcpv6_stateful", "dhcpv6_stateless"];

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for (_, subnet) in model.subnets() {
        if let Some(dhcp) = &subnet.dhcp {
            dhcp_options(ctx, &dhcp.v4, true);
            dhcp_options(ctx, &dhcp.v6, false);
            routers(ctx, subnet, &dhcp.v4);
        }
        advertisements(ctx, subnet);
    }
    for (_, port) in model.ports() {
        for (told, v4) in [(&port.dhcp.v4, true), (&port.dhcp.v6, false)] {
            let Some(own) = told.own() else { continue };
            dhcp_options(ctx, &own.settings, v4);
            let subnet = model.subnet(port.subnet);
            if v4 {
                routers(ctx, subnet, &own.settings);
            }
            let block = if v4 { subnet.v4() } else { subnet.v6() };
            if block.is_none() && subnet.whole && !own.settings.is_empty() {
                let family = if v4 { "IPv4" } else { "IPv6" };
                let message = format!(
                    "options for {family} have no effect here: {} has no address of it",
                    port.owner()
                );
                ctx.report(
                    Diagnostic::new(Code::FieldWithoutEffect, own.span, message)
                        .label(subnet.name.span, format!("has no {family} block")),
                );
            }
        }
    }
}

fn dhcp_options(ctx: &mut Ctx<'_>, settings: &[Setting], v4: bool) {
    let family = if v4 { "DHCPv4" } else { "DHCPv6" };
    for setting in settings {
        let name = setting.name.value.as_str();
        if v4 && name == "netmask" {
            let message =
                "OVN tells guests the netmask of their block itself; another one makes it unreadable";
            ctx.report(Diagnostic::new(Code::DhcpOption, setting.name.span, message).help("leave it out"));
            continue;
        }
        let Some(kind) = dhcp::kind(v4, name) else {
            let message = format!("OVN has no {family} option `{name}`; guests would get no {family} at all");
            let known = dhcp::options(v4).iter().map(|(known, _)| *known);
            let diagnostic = Diagnostic::new(Code::DhcpOption, setting.name.span, message);
            ctx.report(match nearest(name, known) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic,
            });
            continue;
        };
        if !kind.takes(&setting.value.value) {
            let message = format!("`{name}` takes {}, not `{}`", kind.wants(), setting.value);
            ctx.report(Diagnostic::new(Code::DhcpOption, setting.value.span, message));
        } else if name == "classless_static_route" && !setting.value.value.contains("0.0.0.0/0") {
            let message = "guests that are told these routes take no default route from `router`";
            ctx.report(
                Diagnostic::new(Code::GuestWithoutRoute, setting.value.span, message)
                    .note("RFC 3442 has them ignore it")
                    .help("add `0.0.0.0/0` with the gateway to the routes"),
            );
        }
    }
}

/// A guest looks for its routers on its own segment: one elsewhere is none.
fn routers(ctx: &mut Ctx<'_>, subnet: &Subnet, settings: &[Setting]) {
    let Some(block) = subnet.v4() else { return };
    for setting in settings {
        let items = dhcp::items(&setting.value.value);
        let hops: Vec<&str> = match setting.name.value.as_str() {
            "router" => items,
            "classless_static_route" => items.into_iter().skip(1).step_by(2).collect(),
            _ => continue,
        };
        let hops = hops.iter().filter_map(|hop| hop.parse::<Ipv4Addr>().ok());
        let mut elsewhere =
            hops.filter(|hop| !hop.is_unspecified() && !block.cidr.value.contains(&IpAddr::V4(*hop)));
        let Some(hop) = elsewhere.next() else { continue };
        let message = format!("guests of subnet `{}` are told router {hop}, which is not on it", subnet.name);
        ctx.report(
            Diagnostic::new(Code::GuestWithoutRoute, setting.value.span, message)
                .label(block.cidr.span, "their block")
                .help(format!("name the gateway, {}, or leave the option out", block.gateway)),
        );
    }
}

/// `HIGH-fd00::/48,LOW-…`
fn is_route_info(text: &str) -> bool {
    text.split(',').all(|one| match one.trim().split_once('-') {
        Some((how, prefix)) => RA_PREFERENCES.contains(&how) && prefix.parse::<Ipv6Net>().is_ok(),
        None => false,
    })
}

/// Names with commas between them.
fn is_search_list(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    text.split(',').all(|name| is_name(name.trim()))
}

fn advertisements(ctx: &mut Ctx<'_>, subnet: &Subnet) {
    let Some(settings) = &subnet.ra else { return };
    if subnet.v6().is_none() || !subnet.routed {
        let why = if subnet.v6().is_none() { "has no IPv6 block" } else { "has no router" };
        let message = format!("`enableIPv6RA` has no effect here: subnet `{}` {why}", subnet.name);
        ctx.report(Diagnostic::new(Code::FieldWithoutEffect, subnet.name.span, message));
    }
    for setting in settings {
        let (name, value) = (setting.name.value.as_str(), setting.value.value.as_str());
        let number = |range: RangeInclusive<u32>| value.parse().is_ok_and(|n| range.contains(&n));
        let wants = match name {
            "address_mode" if !RA_MODES.contains(&value) => "slaac, dhcpv6_stateful or dhcpv6_stateless",
            "mtu" if !number(1280..=65_535) => "a number of 1280 to 65535",
            "max_interval" if !number(4..=1800) => "4 to 1800 seconds",
            "min_interval" if !number(3..=1350) => "3 to 1350 seconds",
            "send_periodic" if !matches!(value, "true" | "false") => "true or false",
            "router_preference" if !RA_PREFERENCES.contains(&value) => "HIGH, MEDIUM or LOW",
            "rdnss" if value.parse::<Ipv6Addr>().is_err() => "one IPv6 address",
            "dnssl" if !is_search_list(value) => "names of domains, with commas between them",
            "route_info" if !is_route_info(value) => "prefixes like HIGH-fd00::/48, with commas between them",
            known if RA_SETTINGS.contains(&known) => continue,
            unknown => {
                let message = format!("OVN has no router advertisement setting `{unknown}`");
                let diagnostic = Diagnostic::new(Code::RaOption, setting.name.span, message);
                ctx.report(match nearest(unknown, RA_SETTINGS) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic,
                });
                continue;
            }
        };
        let message = format!("`{name}` takes {wants}, not `{value}`");
        ctx.report(Diagnostic::new(Code::RaOption, setting.value.span, message));
    }
    if !settings.is_empty() && !settings.iter().any(|s| s.name.value == "address_mode") {
        let message = "router advertisements without `address_mode` are not sent";
        ctx.report(
            Diagnostic::new(Code::RaOption, settings[0].name.span, message)
                .help("add address_mode=slaac or dhcpv6_stateful"),
        );
    }
}
