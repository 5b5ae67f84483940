//! Balancers, as far as OVN spreads anything by them (`ovn_lb_vip_init` of ovn's `lib/lb.c`).
//!
//! An address with a port goes to ports, one without to hosts, and all of one family: where a single backend is
//! otherwise, OVN passes over the whole address.
//!
//! Refuses to choose a backend, and to know which of them are alive.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::build::Builder;
use super::{RowId, Unfollowed, Vip};
use crate::nb::{LoadBalancer, Ref, Table};
use crate::reach::header::{SCTP, TCP, UDP};
use crate::target::Target;

/// Who is told the Ethernet address of a virtual address that a router serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Responder {
    /// Whoever asks for one in a network of the router.
    Near,
    /// Whoever asks.
    Always,
    /// Nobody.
    Never,
}

/// A virtual address or a backend.
type End = (IpAddr, Option<u16>);

impl Builder<'_> {
    /// The virtual addresses of some balancers, and those that are not followed.
    pub(super) fn vips(&mut self, balancers: &BTreeSet<Ref>) -> (Vec<Vip>, Vec<Unfollowed>) {
        let (mut vips, mut unfollowed) = (Vec::new(), Vec::new());
        let rows: Vec<(RowId, LoadBalancer)> =
            balancers.iter().filter_map(|to| self.read(to, Table::LoadBalancer)).collect();
        for (row, balancer) in rows {
            if is(&balancer.options, "template") {
                let what = "what stands for its addresses is another on every chassis";
                let everywhere = ["0.0.0.0/0", "::/0"].map(|net| net.parse().ok());
                unfollowed.extend(everywhere.map(|destinations| Unfollowed {
                    row,
                    what: what.to_owned(),
                    sources: None,
                    destinations,
                }));
                continue;
            }
            for (vip, backends) in &balancer.vips {
                match read(row, &balancer, vip, backends) {
                    Some(vip) => vips.push(vip),
                    None => {
                        self.note(row, format!("OVN passes over `{vip}`: it or a backend cannot be read"))
                    }
                }
            }
        }
        (vips, unfollowed)
    }

    /// Marks an address of a router that OVN makes nothing of: before 25.03 northd writes `drop` for one without backends
    /// behind what becomes of sources, and no OVN can read that.
    pub(super) fn void(&mut self, vip: &mut Vip, forces: bool) {
        let is_quiet = vip.backends.is_empty() && !vip.rejects;
        vip.is_void = is_quiet && (vip.keeps_source || forces) && self.network.target < Target::TESTED[1];
        if vip.is_void {
            let what =
                format!("OVN before 25.03 passes over `{}` on a router: it has no backend", vip.address);
            self.note(vip.row, what);
        }
    }

    /// Whether any of some balancers has an address, be it one that OVN cannot read: for that a switch follows
    /// connections.
    pub(super) fn have_addresses(&self, balancers: &BTreeSet<Ref>) -> bool {
        let mut rows = balancers.iter().filter_map(|to| self.read(to, Table::LoadBalancer));
        rows.any(|(_, balancer): (RowId, LoadBalancer)| !balancer.vips.is_empty())
    }
}

fn read(row: RowId, balancer: &LoadBalancer, vip: &str, backends: &str) -> Option<Vip> {
    let (address, port) = end(vip)?;
    let backends = backends.split(',').map(str::trim).filter(|text| !text.is_empty());
    let backends: Vec<End> = backends.map(end).collect::<Option<_>>()?;
    let fits = |(own, to): &End| own.is_ipv6() == address.is_ipv6() && to.is_some() == port.is_some();
    if !backends.iter().all(fits) {
        return None;
    }
    let options = &balancer.options;
    let hairpin = options.get("hairpin_snat_ip").map(String::as_str).unwrap_or_default();
    let mut hairpin = hairpin.split_whitespace().filter_map(|text| text.parse::<IpAddr>().ok());
    let proto = match balancer.protocol.as_deref() {
        Some("udp") => UDP,
        Some("sctp") => SCTP,
        _ => TCP,
    };
    Some(Vip {
        row,
        address,
        port,
        proto,
        backends,
        rejects: is(options, "reject"),
        keeps_source: is(options, "skip_snat"),
        hairpin: hairpin.rfind(|own| own.is_ipv6() == address.is_ipv6()).unwrap_or(address),
        responder: match options.get("neighbor_responder").map(String::as_str) {
            Some("all") => Responder::Always,
            Some("none") => Responder::Never,
            _ => Responder::Near,
        },
        is_void: false,
    })
}

fn is(options: &BTreeMap<String, String>, name: &str) -> bool {
    options.get(name).is_some_and(|value| value == "true")
}

/// The address of `10.0.0.1:80`, `[fd00::1]:80`, `10.0.0.1`, `fd00::1` or `[fd00::1]`, and the port; no port is 0.
fn end(text: &str) -> Option<End> {
    match text.parse::<SocketAddr>() {
        Ok(end) => Some((end.ip(), Some(end.port()).filter(|port| *port != 0))),
        Err(_) => Some((text.trim_matches(['[', ']']).parse().ok()?, None)),
    }
}
