//! Who on a switch has which address, and what is sent to whom for it.
//!
//! Addresses that the same neighbours have are sent to at once, which a router with many translations makes cheap.
//! Whether they answer is `reach::resolve`'s.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::address::within_any;
use super::header::{Field, address};
use super::network::{PortId, PortKind, SwitchId};
use super::set::Set;
use super::walk::{Flow, Walker};

/// What can be had by asking the neighbours on a switch: who has an address.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    all: Vec<Rc<Neighbours>>,
    at: BTreeMap<IpAddr, usize>,
}

/// Neighbours who have the same addresses.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// The addresses, of one family, of which rows tell alike.
    pub(super) addresses: Vec<IpAddr>,
    /// The neighbours' Ethernet addresses.
    pub(super) macs: Vec<u64>,
    destined: OnceCell<Set>,
}

impl Walker<'_> {
    /// Sends what is for known neighbours; the rest comes back.
    pub(super) fn send_to_neighbours(&mut self, port: PortId, switch: SwitchId, flow: Flow) -> Flow {
        let mut left = flow;
        if left.set.is_none() {
            return left;
        }
        for holders in self.neighbours_for(switch, &left) {
            let set = self.among(&left, &holders);
            if set.is_none() {
                continue;
            }
            for mac in &holders.macs {
                let flow = Flow { set, ..left.clone() };
                let flow = self.resolved(port, left.eth_src, holders.addresses[0], *mac, flow);
                self.enter_switch(port, Flow { eth_dst: Some(*mac), ..flow });
            }
            left.set = self.sets.minus(left.set, set);
        }
        match self.network.port(port).kind {
            PortKind::Guest => self.send_to_proxies(port, left.eth_src, left),
            PortKind::Router(_) | PortKind::Localnet | PortKind::Other(_) => left,
        }
    }

    /// Who on a switch has which address, as its rows say.
    fn holders(&self, switch: SwitchId) -> &Holders {
        self.neighbours[switch.0].get_or_init(|| {
            let (mut holders, mut alike) = (Holders::default(), HashMap::new());
            let mut all: Vec<Neighbours> = Vec::new();
            for (address, macs) in super::switch::neighbours(self.network, switch) {
                let kind = (address.is_ipv6(), self.is_unknown(switch, address), macs.clone());
                let at = *alike.entry(kind).or_insert(all.len());
                if at == all.len() {
                    all.push(Neighbours { macs, ..Neighbours::default() });
                }
                all[at].addresses.push(address);
                holders.at.insert(address, at);
            }
            holders.all = all.into_iter().map(Rc::new).collect();
            holders
        })
    }

    /// Who on a switch has addresses that packets may be for.
    pub(super) fn neighbours_for(&self, switch: SwitchId, flow: &Flow) -> Vec<Rc<Neighbours>> {
        let holders = self.holders(switch);
        let known: Vec<Rc<Neighbours>> = match self.addresses(flow, Field::IpDst) {
            Some(ranges) => {
                let within = |(low, high): &(u128, u128)| {
                    let last = u128::from(u32::MAX);
                    let v4 = (*low <= last).then(|| address(false, *low)..=address(false, (*high).min(last)));
                    [v4, Some(address(true, *low)..=address(true, *high))]
                };
                let ranges = ranges.iter().flat_map(within).flatten();
                let mut found: Vec<usize> =
                    ranges.flat_map(|range| holders.at.range(range)).map(|(_, at)| *at).collect();
                found.sort_unstable();
                found.dedup();
                found.into_iter().map(|at| holders.all[at].clone()).collect()
            }
            None => holders.all.clone(),
        };
        let claimed = self.claimed.filter(|(port, _)| self.network.port(*port).switch == switch);
        let claimed = claimed.and_then(|(port, address)| {
            let macs = vec![self.guests.guest(port).mac?];
            Some(Rc::new(Neighbours { addresses: vec![address], macs, destined: OnceCell::new() }))
        });
        claimed.into_iter().chain(known).collect()
    }

    /// The packets of a flow that are for some neighbours.
    pub(super) fn among(&self, flow: &Flow, holders: &Neighbours) -> Set {
        let nets = || holders.addresses.iter().map(|address| IpNet::from(*address));
        let destined = holders.destined.get_or_init(|| within_any(self.sets, Field::IpDst, nets()));
        self.part(flow, *destined)
    }

    /// The Ethernet addresses of whoever has an address on a switch.
    pub(super) fn neighbour(&self, switch: SwitchId, wanted: IpAddr) -> Option<Vec<u64>> {
        if let Some((port, _)) =
            self.claimed.filter(|(port, own)| *own == wanted && self.network.port(*port).switch == switch)
        {
            return self.guests.guest(port).mac.map(|mac| vec![mac]);
        }
        let holders = self.holders(switch);
        let known = holders.at.get(&wanted).map(|at| holders.all[*at].macs.clone());
        known.or_else(|| {
            let proxies = self.proxies(switch).iter().filter(|(net, _)| net.contains(&wanted));
            let macs: Vec<u64> = proxies.map(|(_, mac)| *mac).collect();
            (!macs.is_empty()).then_some(macs)
        })
    }
}
