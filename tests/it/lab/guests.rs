//! The machines of a case, read from the rows that northc makes of its YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

/// A port that a machine can be plugged into, and what its network offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Guest {
    /// The name of the switch port.
    pub(crate) lsp: String,
    /// The name of the switch.
    pub(crate) switch: String,
    pub(crate) mac: String,
    /// With the prefix length of its subnet.
    pub(crate) addresses: Vec<IpNet>,
    /// The router's addresses on its switch.
    pub(crate) gateways: Vec<IpAddr>,
    /// The router's Ethernet address on its switch.
    pub(crate) gateway_mac: Option<String>,
    /// `dhcp`, `dhcp6`, `ra`, as far as they are on.
    pub(crate) offers: BTreeSet<&'static str>,
    /// Whether DHCPv4 tells a router.
    pub(crate) is_told_router: bool,
    /// The chassis that alone may have it, the present one of a migration.
    pub(crate) chassis: Option<String>,
}

impl Guest {
    pub(crate) fn address(&self, v6: bool) -> Option<IpAddr> {
        self.addresses.iter().map(IpNet::addr).find(|a| a.is_ipv6() == v6)
    }

    pub(crate) fn gateway(&self, v6: bool) -> Option<IpAddr> {
        self.gateways.iter().copied().find(|a| a.is_ipv6() == v6)
    }
}

/// What a case's rows say about the world outside them.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) guests: BTreeMap<String, Guest>,
    /// Names of physical networks.
    pub(crate) physical: BTreeSet<String>,
    /// Names of switches.
    pub(crate) switches: BTreeSet<String>,
    /// Names of routers that a switch leads to.
    pub(crate) routers: BTreeSet<String>,
    /// Switch ports towards them.
    pub(crate) localnets: BTreeSet<String>,
    /// Next hops outside: the gateway's router port, and the address.
    pub(crate) uplinks: BTreeSet<(String, IpAddr)>,
}

impl World {
    /// The machine called `name`: the port's whole name, or its part up to a dot if only one fits.
    pub(crate) fn guest(&self, name: &str) -> Result<&Guest, String> {
        if let Some(guest) = self.guests.get(name) {
            return Ok(guest);
        }
        let start = format!("{name}.");
        let fitting: Vec<&Guest> = self.guests.values().filter(|g| g.lsp.starts_with(&start)).collect();
        match fitting.as_slice() {
            [one] => Ok(one),
            [] => Err(format!("no machine {name}; there are: {}", self.names())),
            many => {
                let many: Vec<&str> = many.iter().map(|g| g.lsp.as_str()).collect();
                Err(format!("{name} may be any of {}", many.join(", ")))
            }
        }
    }

    /// Machines that have the address.
    pub(crate) fn holders(&self, address: IpAddr) -> impl Iterator<Item = &Guest> {
        self.guests.values().filter(move |g| g.addresses.iter().any(|a| a.addr() == address))
    }

    /// The shortest name of each machine that means no other.
    pub(crate) fn short_names(&self) -> Vec<String> {
        self.guests
            .keys()
            .map(|lsp| {
                let dots = lsp.match_indices('.').map(|(at, _)| &lsp[..at]);
                dots.into_iter().find(|n| self.guest(n).is_ok()).unwrap_or(lsp).to_owned()
            })
            .collect()
    }

    fn names(&self) -> String {
        self.guests.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

type Columns<'a> = &'a Value;

/// Reads what `northc compile --to rows` prints.
pub(crate) fn read(json: &str) -> Result<World, String> {
    let document: Value = serde_json::from_str(json).map_err(|e| format!("rows: {e}"))?;
    let rows = document["rows"].as_array().ok_or("rows: no array `rows`")?;
    let mut tables: BTreeMap<(&str, &str), Columns<'_>> = BTreeMap::new();
    for row in rows {
        if let (Some(table), Some(key)) = (row["table"].as_str(), row["key"].as_str()) {
            tables.insert((table, key), &row["columns"]);
        }
    }
    let of = |table: &'static str| tables.iter().filter(move |((t, _), _)| *t == table).map(|(_, c)| *c);
    let router_ports: BTreeMap<&str, Columns<'_>> =
        of("Logical_Router_Port").filter_map(|c| Some((c["name"].as_str()?, c))).collect();

    let mut world = World::default();
    let mut led_to = BTreeSet::new();
    for switch in of("Logical_Switch") {
        world.switches.extend(switch["name"].as_str().map(str::to_owned));
        let ports: Vec<Columns<'_>> = refs(&switch["ports"])
            .filter_map(|key| tables.get(&("Logical_Switch_Port", key)).copied())
            .collect();
        let routers: Vec<Columns<'_>> = ports
            .iter()
            .filter_map(|p| router_ports.get(p["options"]["router-port"].as_str()?).copied())
            .collect();
        led_to.extend(routers.iter().filter_map(|r| r["name"].as_str()));
        for port in &ports {
            match port["type"].as_str().unwrap_or("") {
                "" => {
                    if let Some(mut guest) = guest(port, &routers)? {
                        guest.switch = switch["name"].as_str().unwrap_or_default().to_owned();
                        let dhcp = refs(&port["dhcpv4_options"]).next();
                        let dhcp = dhcp.and_then(|key| tables.get(&("DHCP_Options", key)));
                        guest.is_told_router = dhcp.is_some_and(|row| row["options"]["router"].is_string());
                        world.guests.insert(guest.lsp.clone(), guest);
                    }
                }
                "localnet" => {
                    world.physical.extend(port["options"]["network_name"].as_str().map(str::to_owned));
                    world.localnets.extend(port["name"].as_str().map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    for router in of("Logical_Router") {
        if refs(&router["ports"]).any(|key| led_to.contains(key)) {
            world.routers.extend(router["name"].as_str().map(str::to_owned));
        }
        let row = |table: &'static str, key: &str| tables.get(&(table, key)).copied();
        let routes = refs(&router["static_routes"]).filter_map(|key| row("Logical_Router_Static_Route", key));
        let policies = refs(&router["policies"]).filter_map(|key| row("Logical_Router_Policy", key));
        let rerouted = policies.flat_map(|policy| strings(&policy["nexthops"]));
        let hops: Vec<IpAddr> = routes
            .filter_map(|route| route["nexthop"].as_str())
            .chain(rerouted)
            .filter_map(|hop| hop.parse().ok())
            .collect();
        let ports = refs(&router["ports"]).filter_map(|key| row("Logical_Router_Port", key));
        for port in ports.filter(|port| refs(&port["ha_chassis_group"]).next().is_some()) {
            let nets: Vec<IpNet> = strings(&port["networks"]).filter_map(|net| net.parse().ok()).collect();
            let near = hops.iter().filter(|hop| nets.iter().any(|net| net.contains(*hop)));
            let name = port["name"].as_str().unwrap_or_default();
            world.uplinks.extend(near.map(|hop| (name.to_owned(), *hop)));
        }
    }
    Ok(world)
}

fn guest(port: Columns<'_>, routers: &[Columns<'_>]) -> Result<Option<Guest>, String> {
    let name = port["name"].as_str().ok_or("rows: a port without a name")?;
    let networks: Vec<IpNet> =
        routers.iter().flat_map(|r| strings(&r["networks"])).filter_map(|n| n.parse().ok()).collect();
    let Some(own) = strings(&port["addresses"]).find(|a| a.contains(':')) else { return Ok(None) };
    let mut words = own.split_whitespace();
    let mut guest = Guest {
        lsp: name.to_owned(),
        mac: words.next().unwrap_or_default().to_owned(),
        gateways: networks.iter().map(IpNet::addr).collect(),
        gateway_mac: routers.first().and_then(|r| Some(r["mac"].as_str()?.to_owned())),
        chassis: port["options"]["requested-chassis"]
            .as_str()
            .and_then(|chassis| Some(chassis.split(',').next()?.to_owned())),
        ..Guest::default()
    };
    for word in words {
        let address: IpAddr = word.parse().map_err(|_| format!("rows: port {name}: {word} is no address"))?;
        let length = networks
            .iter()
            .find(|n| n.contains(&address))
            .map_or(if address.is_ipv4() { 24 } else { 64 }, IpNet::prefix_len);
        let net = IpNet::new(address, length).map_err(|e| format!("rows: port {name}: {e}"))?;
        guest.addresses.push(net);
    }
    let set = |column: &str| refs(&port[column]).next().is_some();
    if set("dhcpv4_options") {
        guest.offers.insert("dhcp");
    }
    if set("dhcpv6_options") {
        guest.offers.insert("dhcp6");
    }
    if routers.iter().any(|r| r["ipv6_ra_configs"].as_object().is_some_and(|o| !o.is_empty())) {
        guest.offers.insert("ra");
    }
    Ok(Some(guest))
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().filter_map(Value::as_str)
}

/// The keys of the rows that a column refers to: one reference or an array of them.
fn refs(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice)
        .iter()
        .filter_map(|v| v["ref"]["key"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = r#"{"format_version":"1.0","kind":"northc.rows","rows":[
      {"table":"Logical_Switch","key":"s1","columns":{"name":"s1","ports":[
        {"ref":{"table":"Logical_Switch_Port","key":"vm1.a.s1"}},
        {"ref":{"table":"Logical_Switch_Port","key":"vm1.b.s1"}},
        {"ref":{"table":"Logical_Switch_Port","key":"s1-vpc"}}]}},
      {"table":"Logical_Switch_Port","key":"vm1.a.s1","columns":{"name":"vm1.a.s1",
        "addresses":["02:00:00:00:00:01 10.0.0.2 fd00::2"],
        "dhcpv4_options":{"ref":{"table":"DHCP_Options","key":"s1/dhcpv4"}}}},
      {"table":"Logical_Switch_Port","key":"vm1.b.s1","columns":{"name":"vm1.b.s1",
        "addresses":["02:00:00:00:00:02 10.0.0.3","unknown"]}},
      {"table":"Logical_Switch_Port","key":"s1-vpc","columns":{"name":"s1-vpc","type":"router",
        "addresses":["router"],"options":{"router-port":"vpc-s1"}}},
      {"table":"Logical_Router_Port","key":"vpc-s1","columns":{"name":"vpc-s1",
        "networks":["10.0.0.1/20","fd00::1/64"],"ipv6_ra_configs":{"address_mode":"slaac"}}},
      {"table":"Logical_Router","key":"alone","columns":{"name":"alone"}},
      {"table":"Logical_Router","key":"vpc","columns":{"name":"vpc","ports":[
        {"ref":{"table":"Logical_Router_Port","key":"vpc-s1"}}]}}]}"#;

    #[test]
    fn a_guest_is_its_port_and_what_its_network_offers() {
        let world = read(ROWS).expect("rows");
        let guest = world.guest("vm1.a").expect("one fits");
        assert_eq!(guest.mac, "02:00:00:00:00:01");
        assert_eq!(format!("{:?}", guest.addresses), "[10.0.0.2/20, fd00::2/64]");
        assert_eq!(guest.gateway(true), "fd00::1".parse().ok());
        assert_eq!(guest.offers, BTreeSet::from(["dhcp", "ra"]));
        assert!(world.guest("vm1").expect_err("two fit").contains("any of"));
        assert_eq!(world.short_names(), ["vm1.a", "vm1.b"]);
        assert!(world.switches.contains("s1") && world.routers.contains("vpc") && world.routers.len() == 1);
    }
}
