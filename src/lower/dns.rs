//! Names that OVN answers for → DNS, a row a zone, several of a large one, which the switches of its subnets refer to.
//!
//! | meant | stored |
//! |---|---|
//! | a name | `records`: the name to its addresses, IPv4 first |
//! | an address that leads back | `records`: `5.2.0.10.in-addr.arpa` to the first name that has it |
//! | nobody else is asked | `options:ovn-owned` |
//!
//! Names are in small letters: that is how ovn-controller looks them up. Fixtures: `dns/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::check::Checked;
use crate::digest;
use crate::model::DnsZone;
use crate::nb::{Dns, Key, Ref, Rows, Table};

/// How many records are in a row, about: a script has a row on one line, and an argument at most 128 KiB.
const RECORDS_MAX: usize = 500;

/// Writes the zones; gives them by the subnet on whose switch they answer.
pub(super) fn by_subnet(checked: &Checked<'_>, rows: &mut Rows) -> Vec<BTreeSet<Ref>> {
    let model = checked.model();
    let mut by_subnet = vec![BTreeSet::new(); model.subnets.len()];
    for zone in &model.dns_zones {
        let owned = zone.authoritative.map(|_| ("ovn-owned".to_owned(), "true".to_owned()));
        for (key, records) in parts(zone, records(checked, zone)) {
            for id in &zone.subnets {
                by_subnet[id.0].insert(Ref::Key(key.clone()));
            }
            let options = owned.clone().into_iter().collect();
            rows.insert(key, Dns { records, options, ..Dns::default() }, Some(zone.name.span));
        }
    }
    by_subnet
}

/// A large zone in several rows. In which of them a name is, the name alone decides, so that few rows change with it.
fn parts(zone: &DnsZone, records: BTreeMap<String, String>) -> Vec<(Key, BTreeMap<String, String>)> {
    let n_parts = records.len().div_ceil(RECORDS_MAX).max(1).next_power_of_two();
    if n_parts == 1 {
        return vec![(Key::new(Table::Dns, zone.name.value.as_str()), records)];
    }
    let mut parts = vec![BTreeMap::new(); n_parts];
    for (name, value) in records {
        let digest = digest::of(name.as_bytes()).as_u128();
        let nth = usize::try_from(digest % n_parts as u128).expect("a remainder is smaller");
        parts[nth].insert(name, value);
    }
    let key = |nth: usize| Key::new(Table::Dns, format!("{}/{nth}", zone.name));
    parts.into_iter().enumerate().map(|(nth, part)| (key(nth), part)).collect()
}

fn records(checked: &Checked<'_>, zone: &DnsZone) -> BTreeMap<String, String> {
    let mut names: BTreeMap<&str, BTreeSet<IpAddr>> = BTreeMap::new();
    let mut back: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for record in &zone.records {
        let of_ports = record.ports.iter().flat_map(|id| &checked.assignment().port(*id).addresses);
        for address in record.addresses.iter().chain(of_ports) {
            names.entry(&record.name).or_default().insert(*address);
            back.entry(*address).or_insert(&record.name);
        }
    }
    let text =
        |addresses: BTreeSet<IpAddr>| addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ");
    let mut records: BTreeMap<String, String> =
        names.into_iter().map(|(name, addresses)| (name.to_owned(), text(addresses))).collect();
    for (address, name) in back.into_iter().filter(|_| zone.reverse) {
        records.entry(reversed(address)).or_insert_with(|| name.to_owned());
    }
    records
}

/// The name that an address is asked for by (RFC 1035 §3.5, RFC 3596 §2.5).
fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let digits = format!("{:032x}", u128::from(v6));
            let labels: String = digits.chars().rev().flat_map(|digit| [digit, '.']).collect();
            format!("{labels}ip6.arpa")
        }
    }
}
