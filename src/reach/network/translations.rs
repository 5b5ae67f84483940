//! Translations of addresses, as far as OVN carries them out.
//!
//! A router translates on a gateway: on one of its ports, or on all of them where a chassis has the whole
//! router (`options:chassis`). A translation without a place to happen is passed over, as are those that
//! contradict themselves (`build_lrouter_nat_flows…` of ovn's `northd/northd.c`, `en-lr-nat.c`).
//!
//! Refuses to translate; [`crate::reach`]'s router does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::build::Builder;
use super::{Link, Network, PortKind, RouterId, RouterPortId, RowId, parse_mac, parse_net};
use crate::nb::matching::{self, Expr};
use crate::nb::{AddressSet, LogicalRouter, Nat, Ref, Table};
use crate::reach::address::is_host;
use crate::target::Target;

/// A translation that OVN carries out.
#[derive(Clone, Debug)]
pub struct Translation {
    /// Its row.
    pub row: RowId,
    /// Whether what is sent to the external address goes to the inside.
    pub is_inward: bool,
    /// Whether what the inside sends gets the external address.
    pub is_outward: bool,
    /// The address outside.
    pub external: IpAddr,
    /// The addresses inside.
    pub logical: IpNet,
    /// The router port that does it; `None` where all ports do.
    pub gateway: Option<RouterPortId>,
    /// Where the machine's own chassis does it, the Ethernet address of the external one.
    pub mac: Option<u64>,
    /// False where the port of the machine whose chassis does it is not there.
    pub has_chassis: bool,
    /// The ports that connections are given.
    pub ports: Option<(u16, u16)>,
    /// For whom it is.
    pub peers: Peers,
    /// Whether packets are rewritten without conntrack.
    pub is_stateless: bool,
    /// The only packets that it is for, and its priority among others of the kind; from 24.09 on.
    pub matching: Option<(Expr, u32)>,
}

/// The addresses on the other side of a translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// All.
    All,
    /// These.
    Only(Vec<IpNet>),
    /// All but these.
    AllBut(Vec<IpNet>),
}

/// A translation that is not followed: packets that it may be about are not judged.
#[derive(Clone, Debug)]
pub struct Unfollowed {
    /// Its row.
    pub row: RowId,
    /// What about it.
    pub what: String,
    /// Sources that it may translate.
    pub sources: Option<IpNet>,
    /// Destinations that it may translate.
    pub destinations: Option<IpNet>,
}

/// Sources that a router on one chassis gives to what it has sent inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forced {
    /// To what it has translated (`dnat_force_snat_ip`).
    pub translated: Vec<IpAddr>,
    /// To what it has spread (`lb_force_snat_ip`).
    pub balanced: Vec<IpAddr>,
    /// To what it has spread: that of the port that it leaves by.
    pub is_of_port: bool,
}

impl Forced {
    pub(super) fn of(options: &BTreeMap<String, String>) -> Forced {
        let option = |name| options.get(name).map(String::as_str).unwrap_or_default();
        let addresses = |text: &str| {
            text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<IpAddr>>()
        };
        Forced {
            translated: addresses(option("dnat_force_snat_ip")),
            balanced: addresses(option("lb_force_snat_ip")),
            is_of_port: option("lb_force_snat_ip") == "router_ip",
        }
    }
}

/// Why a translation does not happen.
enum Not {
    Done(String),
    Followed(String),
}

impl Translation {
    /// Whether packets that come in, or go out, by a port are translated.
    pub fn is_at(&self, port: RouterPortId) -> bool {
        self.gateway.is_none_or(|gateway| gateway == port)
    }
}

impl Builder<'_> {
    /// Reads the translations of every router.
    pub(super) fn translations(&mut self) {
        let ids: BTreeMap<RowId, RouterId> = (self.network.routers.iter().enumerate())
            .map(|(at, router)| (router.row, RouterId(at)))
            .collect();
        for (row, router) in self.table::<LogicalRouter>(Table::LogicalRouter) {
            let Some(id) = ids.get(&row) else { continue };
            for (row, nat) in
                router.nat.iter().filter_map(|to| self.read::<Nat>(to, Table::Nat)).collect::<Vec<_>>()
            {
                // Before 25.03 it is enough that the address can be read, and that there is a gateway.
                let of_router = &self.network.routers[id.0];
                let mut gateways =
                    of_router.ports.iter().filter(|id| self.network.router_port(**id).is_gateway);
                let is_there = of_router.is_gateway || gateways.next().is_some();
                if let ("snat", Ok(address)) = (nat.kind.as_str(), nat.external_ip.parse())
                    && is_there
                    && self.network.target < Target::TESTED[1]
                {
                    self.network.routers[id.0].reserved.push(address);
                }
                match self.translation(*id, row, &nat) {
                    Ok(translation) => self.network.routers[id.0].translations.push(translation),
                    Err(Not::Done(what)) => self.note(row, format!("OVN passes over it: {what}")),
                    Err(Not::Followed(what)) => {
                        let is = |kinds: [&str; 2]| kinds.contains(&nat.kind.as_str());
                        let unfollowed = Unfollowed {
                            row,
                            what,
                            sources: parse_net(&nat.logical_ip).filter(|_| is(["snat", "dnat_and_snat"])),
                            destinations: parse_net(&nat.external_ip),
                        };
                        self.network.routers[id.0].unfollowed.push(unfollowed);
                    }
                }
            }
        }
    }

    fn translation(&self, id: RouterId, row: RowId, nat: &Nat) -> Result<Translation, Not> {
        let done = |what: &str| Not::Done(what.to_owned());
        let (is_inward, is_outward) = match nat.kind.as_str() {
            "snat" => (false, true),
            "dnat" => (true, false),
            "dnat_and_snat" => (true, true),
            other => return Err(Not::Done(format!("it knows no type `{other}`"))),
        };
        let gateway = self.gateway(id, nat)?;
        let is_read = self.network.target < Target::TESTED[1];
        let external = match nat.external_ip.parse::<IpAddr>() {
            Ok(external) => external,
            Err(_) if is_read => return Err(done("its external address is no address")),
            Err(_) => return Err(Not::Followed("its external address is no address".to_owned())),
        };
        let Some(logical) = parse_net(&nat.logical_ip) else {
            return Err(done("its logical address is no address"));
        };
        if logical.addr().is_ipv6() != external.is_ipv6() || is_inward && !is_host(&logical) {
            return Err(done("its logical address does not go with its type or external address"));
        }
        let peers = match (&nat.allowed_ext_ips, &nat.exempted_ext_ips) {
            (None, None) => Peers::All,
            (Some(_), Some(_)) => return Err(done("it has both allowed and exempted external addresses")),
            (Some(only), None) => Peers::Only(self.members_of(only)),
            (None, Some(but)) => Peers::AllBut(self.members_of(but)),
        };
        let matching = self.only(nat, &peers)?;
        let port = nat.logical_port.as_ref();
        let mac = nat.external_mac.as_deref().and_then(parse_mac);
        let is_distributed = is_inward
            && is_outward
            && mac.is_some()
            && port.is_some()
            && gateway.is_some_and(|gateway| self.may_distribute(id, gateway));
        let is_there = |name: &String| self.network.ports.iter().any(|port| port.name == *name);
        Ok(Translation {
            row,
            is_inward,
            is_outward,
            external,
            logical: logical.trunc(),
            gateway,
            mac: mac.filter(|_| is_distributed),
            has_chassis: !is_distributed || port.is_some_and(is_there),
            ports: ports(&nat.external_port_range)?,
            peers,
            is_stateless: is_inward
                && is_outward
                && nat.options.get("stateless").is_some_and(|it| it == "true"),
            matching,
        })
    }

    /// The packets that a translation is for, where it is not for all.
    fn only(&self, nat: &Nat, peers: &Peers) -> Result<Option<(Expr, u32)>, Not> {
        if nat.matching.is_empty() {
            return Ok(None);
        }
        if matches!(peers, Peers::AllBut(_)) {
            return Err(Not::Followed("it has a match and exempted external addresses".to_owned()));
        }
        match matching::parse(&nat.matching, self.network.symbols()).expr {
            Some(expr) => Ok(Some((expr, nat.priority.try_into().unwrap_or(0)))),
            None => Err(Not::Done("it cannot read the match".to_owned())),
        }
    }

    /// The port that does a translation; `None` where the router is on one chassis.
    fn gateway(&self, id: RouterId, nat: &Nat) -> Result<Option<RouterPortId>, Not> {
        let router = &self.network.routers[id.0];
        let named = nat.gateway_port.as_ref();
        if router.is_gateway {
            return match named {
                None => Ok(None),
                Some(_) => Err(Not::Done("its router has no gateway ports to choose from".to_owned())),
            };
        }
        let gateways: Vec<RouterPortId> =
            router.ports.iter().copied().filter(|id| self.network.router_port(*id).is_gateway).collect();
        if let Some(named) = named {
            let row = (self.resolve)(named, Table::LogicalRouterPort);
            let found = gateways.iter().find(|id| Some(self.network.router_port(**id).row) == row);
            return match found {
                Some(found) => Ok(Some(*found)),
                None => Err(Not::Done("its gateway port is no gateway of the router".to_owned())),
            };
        }
        let external = nat.external_ip.parse::<IpAddr>().ok();
        let has = |id: &&RouterPortId| {
            let networks = &self.network.router_port(**id).networks;
            external.is_some_and(|external| networks.iter().any(|net| net.contains(&external)))
        };
        match gateways.as_slice() {
            [] => Err(Not::Done("its router has no gateway".to_owned())),
            [only] => Ok(Some(*only)),
            many => match many.iter().find(has) {
                Some(found) => Ok(Some(*found)),
                None => Err(Not::Done("no gateway of its router is in the external network".to_owned())),
            },
        }
    }

    /// Since 24.09 a router's only gateway does everything where no physical network is behind it.
    fn may_distribute(&self, id: RouterId, gateway: RouterPortId) -> bool {
        let network = &self.network;
        let n_gateways =
            network.router(id).ports.iter().filter(|id| network.router_port(**id).is_gateway).count();
        let is_wired = match network.router_port(gateway).link {
            Link::Switch(port) => network.is_wired(network.port(port).switch),
            Link::Router(_) | Link::Nothing | Link::Contested => false,
        };
        network.target < Target::TESTED[1] || n_gateways != 1 || is_wired
    }

    fn members_of(&self, set: &Ref) -> Vec<IpNet> {
        let set = self.read::<AddressSet>(set, Table::AddressSet);
        set.map_or_else(Vec::new, |(_, set)| set.addresses.iter().filter_map(|it| parse_net(it)).collect())
    }
}

impl Network {
    /// Whether a switch leads to a physical network.
    pub fn is_wired(&self, switch: super::SwitchId) -> bool {
        self.switch(switch).ports.iter().any(|id| self.port(*id).kind == PortKind::Localnet)
    }
}

/// `1000-2000`, or one port; none where nothing is written.
fn ports(text: &str) -> Result<Option<(u16, u16)>, Not> {
    if text.is_empty() {
        return Ok(None);
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
        (Ok(low), Ok(high)) if low <= high => Ok(Some((low, high))),
        _ => Err(Not::Followed(format!("`{text}` is no range of ports"))),
    }
}
