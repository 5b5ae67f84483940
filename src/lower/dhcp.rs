//! DHCP of a subnet, and of a port that has its own → DHCP_Options, one row a family.
//!
//! Without settings by hand a guest is told its router, the MTU and a lease of an hour, and where OVN answers for
//! names, the gateway as its server for them; settings by hand stand in their place, or beside them where the dialect
//! says so, and what OVN requires (`server_id`, `server_mac`, `lease_time`) is added where it is missing. Values are written as OVN takes them: strings in quotes, lists in braces. Fixtures: `dhcp/*`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::assign::derived_mac;
use crate::check::Checked;
use crate::model::{Block, METADATA, Port, PortId, Setting, Subnet, SubnetId, Told};
use crate::nb::dhcp;
use crate::nb::{DhcpOptions, Key, Rows, Table};
use crate::span::Span;

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

/// Writes the options of a subnet, if somebody answers there.
pub(super) fn of_subnet(checked: &Checked<'_>, id: SubnetId, rows: &mut Rows) -> Options {
    let subnet = checked.model().subnet(id);
    let Some(dhcp) = &subnet.dhcp else { return Options::default() };
    let server = Server::new(checked, id, subnet.name.value.clone());
    let whole = Said { settings: dhcp.v4.iter().collect(), keeps_defaults: dhcp.keeps_defaults };
    let v4 = server.v4(&whole, dhcp.span, rows);
    let whole = Said { settings: dhcp.v6.iter().collect(), keeps_defaults: dhcp.keeps_defaults };
    Options { v4, v6: server.v6(&whole, dhcp.span, rows) }
}

/// Writes the options of a port that has its own; those of its subnet are `by_default`.
pub(super) fn of_port(checked: &Checked<'_>, port: &Port, by_default: &Options, rows: &mut Rows) -> Options {
    let subnet = checked.model().subnet(port.subnet);
    let server = Server::new(checked, port.subnet, format!("{}/{}", subnet.name, port.name));
    let row = |told: &Told, v4: bool, rows: &mut Rows| {
        let default = || if v4 { by_default.v4.clone() } else { by_default.v6.clone() };
        let own = match told {
            Told::AsSubnet => return default(),
            Told::Nothing => return None,
            Told::Own(own) => own,
        };
        if own.over_subnet && own.settings.is_empty() && subnet.dhcp.is_some() {
            return default();
        }
        let under = subnet.dhcp.as_ref().filter(|_| own.over_subnet);
        let under = under.map_or(&[][..], |dhcp| if v4 { &dhcp.v4 } else { &dhcp.v6 });
        let keeps_defaults = own.over_subnet && subnet.dhcp.as_ref().is_none_or(|dhcp| dhcp.keeps_defaults);
        let said = Said { settings: under.iter().chain(&own.settings).collect(), keeps_defaults };
        if v4 { server.v4(&said, own.span, rows) } else { server.v6(&said, own.span, rows) }
    };
    let (v4, v6) = (row(&port.dhcp.v4, true, rows), row(&port.dhcp.v6, false, rows));
    Options { v4, v6 }
}

/// Settings by hand, the last of a name counts.
struct Said<'m> {
    settings: Vec<&'m Setting>,
    /// Whether they stand beside what follows from the subnet, or in its place.
    keeps_defaults: bool,
}

impl Said<'_> {
    fn written(&self, v4: bool) -> BTreeMap<String, String> {
        let one = |s: &&Setting| {
            let value = &s.value.value;
            let known = dhcp::kind(v4, &s.name.value);
            (s.name.value.clone(), known.map_or_else(|| value.clone(), |kind| kind.written(value)))
        };
        self.settings.iter().map(one).collect()
    }

    fn has_defaults(&self) -> bool {
        self.settings.is_empty() || self.keeps_defaults
    }
}

/// Who answers, and for whom.
struct Server<'m> {
    subnet: &'m Subnet,
    /// What the rows are called by: the subnet, or the port.
    whose: String,
    mac: String,
    /// The domains of the zones that OVN answers for here.
    domains: Vec<&'m str>,
    /// Where guests send what is for the metadata address.
    metadata: Option<IpAddr>,
}

impl<'m> Server<'m> {
    fn new(checked: &'m Checked<'m>, id: SubnetId, whose: String) -> Server<'m> {
        let model = checked.model();
        let subnet = model.subnet(id);
        let mac = derived_mac("dhcp", &format!("{}-{}", model.vpc(subnet.vpc).name, subnet.name)).to_string();
        let domains = model.zones_of(id).map(|zone| zone.domain.as_str()).collect();
        let addresses = |port: PortId| &checked.assignment().port(port).addresses;
        let metadata =
            subnet.metadata.and_then(|port| addresses(port.value).iter().copied().find(IpAddr::is_ipv4));
        Server { subnet, whose, mac, domains, metadata }
    }

    fn v4(&self, said: &Said<'_>, span: Span, rows: &mut Rows) -> Option<Key> {
        let block = self.subnet.v4()?;
        let mut options = said.written(true);
        let mut default = |name: &str, value: &str| {
            options.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        };
        let mtu = if self.subnet.underlay.is_some() { UNDERLAY_MTU } else { OVERLAY_MTU };
        let said_mtu = self.subnet.mtu.as_ref().map(|mtu| mtu.value);
        let mtu = said_mtu.or_else(|| said.has_defaults().then_some(mtu));
        if let Some(mtu) = mtu {
            default("mtu", &mtu.to_string());
        }
        if said.has_defaults() {
            let gateway = block.gateway.value.to_string();
            default("router", &gateway);
            self.names("dns_server", "domain_name", &gateway, &mut default);
        }
        default("lease_time", LEASE_TIME);
        default("server_id", SERVER_ID);
        default("server_mac", &self.mac);
        if let Some(hop) = self.metadata {
            // A guest that is told routes passes over its router (RFC 3442).
            let router =
                options.get("router").and_then(|routers| routers.trim_matches(['{', '}']).split(',').next());
            let router = router.map_or(String::new(), |router| format!(", 0.0.0.0/0,{router}"));
            let routes = format!("{{{METADATA}/32,{hop}{router}}}");
            options.entry("classless_static_route".to_owned()).or_insert(routes);
        }
        Some(self.insert("dhcpv4", block, options, span, rows))
    }

    fn v6(&self, said: &Said<'_>, span: Span, rows: &mut Rows) -> Option<Key> {
        let block = self.subnet.v6()?;
        let mut options = said.written(false);
        let mut default = |name: &str, value: &str| {
            options.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        };
        default("server_id", &self.mac);
        if said.has_defaults() {
            self.names("dns_server", "domain_search", &block.gateway.value.to_string(), &mut default);
        }
        Some(self.insert("dhcpv6", block, options, span, rows))
    }

    /// Where OVN answers for names, guests ask their gateway, and in the domain if it is one.
    fn names(&self, server: &str, domain: &str, gateway: &str, default: &mut impl FnMut(&str, &str)) {
        if !self.domains.is_empty() {
            default(server, gateway);
        }
        if let [only] = self.domains.as_slice() {
            default(domain, &dhcp::OptionKind::Text.written(only));
        }
    }

    fn insert(
        &self,
        family: &str,
        block: &Block,
        options: BTreeMap<String, String>,
        span: Span,
        rows: &mut Rows,
    ) -> Key {
        let key = Key::new(Table::DhcpOptions, format!("{}/{family}", self.whose));
        let row = DhcpOptions { cidr: block.cidr.value.to_string(), options, ..DhcpOptions::default() };
        rows.insert(key.clone(), row, Some(span));
        key
    }
}
