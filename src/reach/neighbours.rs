//! Who on a switch has which address, and what is sent to whom for it.
//!
//! Whether they answer is `reach::resolve`'s.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::within_any;
use super::header::{Field, address};
use super::network::{PortId, PortKind, SwitchId};
use super::set::Set;
use super::walk::{Flow, Walker};

/// What can be had by asking the neighbours on a switch: the Ethernet addresses of whoever has an address.
pub(super) type Holders = BTreeMap<IpAddr, Vec<u64>>;

/// Addresses that the same neighbours have.
pub(super) struct Neighbours {
    /// The addresses, of one family.
    pub(super) addresses: Vec<IpAddr>,
    /// The Ethernet addresses.
    pub(super) macs: Vec<u64>,
}

impl Walker<'_> {
    /// Sends what is for known neighbours; the rest comes back.
    pub(super) fn send_to_neighbours(&mut self, port: PortId, switch: SwitchId, flow: Flow) -> Flow {
        let mut left = flow;
        if left.set.is_none() {
            return left;
        }
        for Neighbours { addresses, macs } in self.neighbours_for(switch, &left) {
            let set = self.among(&left, &addresses);
            if set.is_none() {
                continue;
            }
            for mac in macs {
                let flow = Flow { set, ..left.clone() };
                let flow = self.resolved(port, left.eth_src, addresses[0], mac, flow);
                self.enter_switch(port, Flow { eth_dst: Some(mac), ..flow });
            }
            left.set = self.sets.minus(left.set, set);
        }
        match self.network.port(port).kind {
            PortKind::Guest => self.send_to_proxies(port, left.eth_src, left),
            PortKind::Router(_) | PortKind::Localnet | PortKind::Other(_) => left,
        }
    }

    /// Who on a switch has which address, as its rows say.
    fn neighbours(&self, switch: SwitchId) -> &Holders {
        self.neighbours[switch.0].get_or_init(|| super::switch::neighbours(self.network, switch))
    }

    /// Who has which addresses on a switch, of those that packets may be for: what is sent to the same is sent at once,
    /// which a router with many translations makes cheap.
    pub(super) fn neighbours_for(&self, switch: SwitchId, flow: &Flow) -> Vec<Neighbours> {
        let own = |(address, macs): (&IpAddr, &Vec<u64>)| (*address, macs.clone());
        let all = self.neighbours(switch);
        let mut known: Vec<(IpAddr, Vec<u64>)> = match self.addresses(flow, Field::IpDst) {
            Some(ranges) => {
                let within = |(low, high): &(u128, u128)| {
                    let last = u128::from(u32::MAX);
                    let v4 = (*low <= last).then(|| address(false, *low)..=address(false, (*high).min(last)));
                    [v4, Some(address(true, *low)..=address(true, *high))]
                };
                let ranges = ranges.iter().flat_map(within).flatten();
                ranges.flat_map(|range| all.range(range)).map(own).collect()
            }
            None => all.iter().map(own).collect(),
        };
        known.sort_by_key(|(address, _)| *address);
        let claimed = self.claimed.filter(|(port, _)| self.network.port(*port).switch == switch);
        let claimed = claimed.and_then(|(port, address)| Some((address, vec![self.guests.guest(port).mac?])));
        let mut found: Vec<Neighbours> = Vec::new();
        let mut at: HashMap<_, usize> = HashMap::new();
        for (address, macs) in claimed.into_iter().chain(known) {
            let next = found.len();
            let kind = (address.is_ipv6(), self.is_unknown(switch, address));
            let at = *at.entry((kind, macs.clone())).or_insert(next);
            if at == next {
                found.push(Neighbours { addresses: Vec::new(), macs });
            }
            found[at].addresses.push(address);
        }
        found
    }

    /// The packets of a flow that are for some addresses. Each of those is asked about, whoever has it.
    pub(super) fn among(&self, flow: &Flow, addresses: &[IpAddr]) -> Set {
        let nets = || addresses.iter().map(|address| IpNet::from(*address));
        if self.asked.is_some() {
            nets().for_each(|net| self.note(self.sets.before(self.destined(&net), &flow.rewrite)));
        }
        let set = within_any(self.sets, Field::IpDst, nets());
        self.sets.and(flow.set, self.sets.before(set, &flow.rewrite))
    }

    /// The Ethernet addresses of whoever has an address on a switch.
    pub(super) fn neighbour(&self, switch: SwitchId, wanted: IpAddr) -> Option<Vec<u64>> {
        match self.claimed.filter(|(port, own)| *own == wanted && self.network.port(*port).switch == switch) {
            Some((port, _)) => self.guests.guest(port).mac.map(|mac| vec![mac]),
            None => self.neighbours(switch).get(&wanted).cloned().or_else(|| {
                let proxies = self.proxies(switch).iter().filter(|(net, _)| net.contains(&wanted));
                let macs: Vec<u64> = proxies.map(|(_, mac)| *mac).collect();
                (!macs.is_empty()).then_some(macs)
            }),
        }
    }
}
