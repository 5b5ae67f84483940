//! Port → Logical_Switch_Port; virtual addresses that workloads share → ports of type `virtual`.
//!
//! `addresses` is `MAC IP…`, with `unknown` beside it for a port that forwards for others. With port
//! security the port may send from those, from its allowed pairs and from the addresses that it may hold alone. DHCP settings are the subnet's, or its
//! own. A
//! port that may only be bound to certain chassis names them in `requested-chassis`.
//! Fixtures: `ports/*`.

use std::collections::{BTreeMap, BTreeSet};

use super::dhcp;
use crate::check::Checked;
use crate::model::{Port, PortId, SubnetId};
use crate::names;
use crate::nb::{Key, LogicalSwitchPort, ROWS_MIN, Ref, Rows, Table};
use crate::parallel;

/// Writes the ports of all workloads, and the DHCP options they refer to; gives them by subnet.
pub(super) fn by_subnet(checked: &Checked<'_>, keys: &[Key], rows: &mut Rows) -> Vec<BTreeSet<Ref>> {
    let model = checked.model();
    let options: Vec<dhcp::Options> =
        model.subnets().map(|(id, _)| dhcp::of_subnet(checked, id, rows)).collect();
    // Few have their own.
    let own = model.ports().filter(|(_, port)| !port.dhcp.is_as_subnet());
    let own: BTreeMap<PortId, dhcp::Options> =
        own.map(|(id, port)| (id, dhcp::of_port(checked, port, &options[port.subnet.0], rows))).collect();
    let part = parallel::part(keys.len(), ROWS_MIN);
    let parts = (0..).step_by(part).zip(keys.chunks(part)).collect();
    let mut made = Vec::with_capacity(keys.len());
    let lower = |(first, keys): (usize, &[Key])| {
        let row = |(key, nth): (&Key, usize)| {
            let (id, port) = (PortId(nth), &model.ports[nth]);
            let options = own.get(&id).unwrap_or(&options[port.subnet.0]);
            Rows::placed(key.clone(), workload(checked, id, port, options), Some(port.span))
        };
        keys.iter().zip(first..).map(row).collect::<Vec<_>>()
    };
    parallel::in_order(parts, lower, |part| made.extend(part));
    rows.append(made);
    let mut by_subnet = vec![Vec::new(); model.subnets.len()];
    for (port, key) in model.ports.iter().zip(keys) {
        by_subnet[port.subnet.0].push(Ref::Key(key.clone()));
    }
    let mut by_subnet: Vec<BTreeSet<Ref>> = by_subnet.into_iter().map(BTreeSet::from_iter).collect();
    virtual_ports(checked, rows, |subnet, key| {
        by_subnet[subnet.0].insert(Ref::Key(key));
    });
    by_subnet
}

fn workload(checked: &Checked<'_>, id: PortId, port: &Port, options: &dhcp::Options) -> LogicalSwitchPort {
    let got = checked.assignment().port(id);
    let mut own = got.mac.to_string();
    for address in &got.addresses {
        own.push_str(&format!(" {address}"));
    }
    let mut addresses = BTreeSet::from([own.clone()]);
    if port.forwards {
        addresses.insert("unknown".to_owned());
    }
    let mut port_security = BTreeSet::new();
    if port.port_security {
        let pairs = checked.assignment().allowed(checked.model(), id);
        let pairs: BTreeSet<String> = pairs.into_iter().map(host_or_net).collect();
        let pairs: String = pairs.into_iter().map(|pair| format!(" {pair}")).collect();
        port_security.insert(own + &pairs);
    }
    let has = |v4: bool| got.addresses.iter().any(|a| a.is_ipv4() == v4);
    LogicalSwitchPort {
        name: port.name.clone(),
        addresses,
        port_security,
        dhcpv4_options: options.v4.clone().filter(|_| has(true)).map(Ref::Key),
        dhcpv6_options: options.v6.clone().filter(|_| has(false)).map(Ref::Key),
        options: chassis(port),
        ..LogicalSwitchPort::default()
    }
}

/// Several are for a migration: the port works on each of them (ovn-nb(5), `requested-chassis`), or on the further
/// ones when the guest has come.
fn chassis(port: &Port) -> BTreeMap<String, String> {
    let names: Vec<&str> = port.requested_chassis.iter().map(|chassis| chassis.value.as_str()).collect();
    let mut options = BTreeMap::new();
    if !names.is_empty() {
        options.insert("requested-chassis".to_owned(), names.join(","));
    }
    if port.activated.is_some() && names.len() > 1 {
        options.insert("activation-strategy".to_owned(), "rarp".to_owned());
    }
    options
}

pub(super) fn host_or_net(net: ipnet::IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// One virtual port for each family of a shared address: OVN takes a single address in `virtual-ip`.
fn virtual_ports(checked: &Checked<'_>, rows: &mut Rows, mut each: impl FnMut(SubnetId, Key)) {
    let model = checked.model();
    for (at, vip) in model.vips.iter().enumerate().filter(|(_, vip)| !vip.parents.is_empty()) {
        let parents: Vec<&str> = vip.parents.iter().map(|id| model.ports[id.0].name.as_str()).collect();
        for (nth, address) in checked.assignment().vip(at).iter().enumerate() {
            let name = names::virtual_port(vip, nth).into_owned();
            let key = Key::new(Table::LogicalSwitchPort, name.as_str());
            let row = LogicalSwitchPort {
                name,
                kind: "virtual".to_owned(),
                options: BTreeMap::from([
                    ("virtual-ip".to_owned(), address.to_string()),
                    ("virtual-parents".to_owned(), parents.join(",")),
                ]),
                ..LogicalSwitchPort::default()
            };
            rows.insert(key.clone(), row, Some(vip.span));
            each(vip.subnet, key);
        }
    }
}
