//! Who sends, and which packets are looked at.
//!
//! Every address that a machine may ask for, all protocols and ports, whole and unicast; the first and the last of an
//! IPv4 block are such where the rows give them to somebody. Its own addresses and those that it may use beside them are
//! looked at with their answers, where there are such; any other source only for where it gets to.
//!
//! Refuses to follow packets.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::check::Checked;
use crate::meaning::{Meaning, Sender, Spot};
use crate::model::{GroupId, Model, PortId, SubnetId};
use crate::reach::address::within_any;
use crate::reach::header::{Field, IPV4, IPV6};
use crate::reach::judge::service;
use crate::reach::outside::public;
use crate::reach::set::{Set, Sets};

use super::rows::Known;

/// What nobody sends to, or from: not unicast, not beyond one machine or link.
const NOBODY: [&str; 6] = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"];

/// Packets of a sender that are looked at together.
#[derive(Clone, Copy)]
pub(super) struct Errand {
    /// Who sends.
    pub(super) sender: Sender,
    /// Where to.
    to: To,
    /// Whether they are the last of this sender.
    pub(super) is_last: bool,
}

/// Where packets go.
#[derive(Clone, Copy)]
enum To {
    Anywhere,
    /// To somebody on a segment.
    Here(SubnetId),
    /// To nobody on a segment.
    Beyond(SubnetId),
}

/// Addresses that packets are sorted by, found once for all sets.
pub(super) struct Grounds {
    /// What nobody sends to or from.
    nobody: Vec<IpNet>,
    routers: Vec<IpNet>,
    /// What the model knows.
    known: Vec<IpNet>,
}

impl Grounds {
    pub(super) fn new(checked: &Checked<'_>, rows: &Known<'_>) -> Grounds {
        let nobody = NOBODY.iter().map(|net| net.parse::<IpNet>().expect("a network"));
        let edges = edges(checked.model()).filter(|edge| !rows.gives(*edge)).map(IpNet::from);
        let nobody: Vec<IpNet> = nobody.chain(edges).collect();
        let routers: Vec<IpNet> = routers(checked).into_iter().map(IpNet::from).collect();
        // Machines of a subnet have addresses side by side: one network for many.
        let [nobody, routers, known] = [nobody, routers, known(checked)].map(|nets| IpNet::aggregate(&nets));
        Grounds { nobody, routers, known }
    }
}

/// The packets that are looked at.
pub(super) struct Universe<'s> {
    sets: &'s Sets,
    /// Every packet.
    all: Set,
    /// Those that somebody answers.
    service: Set,
    /// By source: addresses that the model knows.
    known: Set,
    /// By source: somebody on the Internet.
    public: Set,
    /// By source: the blocks of bridged subnets.
    bridged: Vec<(SubnetId, Set)>,
}

impl<'s> Universe<'s> {
    pub(super) fn new(checked: &Checked<'_>, grounds: &Grounds, sets: &'s Sets) -> Universe<'s> {
        let model = checked.model();
        let (v4, v6) = (sets.value(Field::EthType, IPV4), sets.value(Field::EthType, IPV6));
        let short = [Field::IpSrc, Field::IpDst].map(|field| sets.range(field, 0, u32::MAX.into()));
        let v4 = sets.and(v4, sets.and(short[0], short[1]));
        let ports = [Field::TpSrc, Field::TpDst].map(|field| sets.range(field, 0, u16::MAX.into()));
        let protocols = sets.range(Field::IpProto, 0, u8::MAX.into());
        let all = sets.and(sets.or(v4, v6), sets.and(protocols, sets.and(ports[0], ports[1])));
        let nobody =
            [Field::IpSrc, Field::IpDst].map(|field| within_any(sets, field, grounds.nobody.iter().copied()));
        // A router forwards nothing that says to come from itself.
        let routers = within_any(sets, Field::IpSrc, grounds.routers.iter().copied());
        let all = sets.minus(all, sets.any(nobody.into_iter().chain([routers])));
        let known = within_any(sets, Field::IpSrc, grounds.known.iter().copied());
        let bridged = model.subnets().filter(|(_, subnet)| subnet.underlay.is_some()).map(|(id, subnet)| {
            let blocks = subnet.blocks.iter().map(|block| block.cidr.value);
            (id, within_any(sets, Field::IpSrc, blocks))
        });
        let bridged = bridged.collect();
        let service = service(sets, None, None);
        Universe { sets, all, service, known, public: public(sets, Field::IpSrc), bridged }
    }

    /// Everybody who sends, with where to. Those who are least alike come first: if the time is over, most has been seen.
    /// What is behind a bridged subnet sends to whoever is there, and then beyond by one router after the other: several
    /// VPCs may have the same addresses, but what is behind one router is one VPC's.
    pub(super) fn errands(checked: &Checked<'_>, meaning: &Meaning<'_>) -> Vec<Errand> {
        let model = checked.model();
        let mut seen: HashMap<(SubnetId, Vec<GroupId>), usize> = HashMap::new();
        let errand = |from, via, to| Errand { sender: Sender { from, via }, to, is_last: true };
        let bridged = model.subnets().filter(|(_, subnet)| subnet.underlay.is_some());
        let wires = bridged.map(|(id, _)| {
            let from = Spot::Wire(id);
            let sides = meaning.routers_on(id);
            let here = if sides.is_empty() { To::Anywhere } else { To::Here(id) };
            let beyond = sides.into_iter().map(|side| errand(from, Some(side), To::Beyond(id)));
            let mut all: Vec<Errand> = [errand(from, None, here)].into_iter().chain(beyond).collect();
            let n = all.len();
            all[..n - 1].iter_mut().for_each(|errand| errand.is_last = false);
            (2, all)
        });
        let ports = model.ports().map(|(id, port)| {
            let groups = port.groups.iter().map(|group| group.value).collect();
            let nth = seen.entry((port.subnet, groups)).or_default();
            *nth += 1;
            (*nth, vec![errand(Spot::Port(id), None, To::Anywhere)])
        });
        let mut senders: Vec<(usize, Vec<Errand>)> = wires.chain(ports).collect();
        senders.sort_by_key(|(nth, _)| *nth);
        senders.into_iter().flat_map(|(_, errands)| errands).collect()
    }

    /// What is looked at of an errand.
    pub(super) fn of(&self, checked: &Checked<'_>, meaning: &Meaning<'_>, errand: &Errand) -> (Set, Set) {
        let to = match errand.to {
            To::Anywhere => Set::ALL,
            To::Here(id) => meaning.held(id),
            To::Beyond(id) => self.sets.not(meaning.held(id)),
        };
        let (all, asking) = self.from(checked, errand.sender.from);
        (self.sets.and(all, to), self.sets.and(asking, to))
    }

    /// Packets that somebody may send, and those of them whose answers are asked for.
    fn from(&self, checked: &Checked<'_>, sender: Spot) -> (Set, Set) {
        let sets = self.sets;
        match sender {
            Spot::Port(id) => {
                let own = within_any(sets, Field::IpSrc, own(checked, id));
                let is_guarded = checked.model().port(id).port_security;
                let strange = sets.minus(self.public, self.known);
                let sources = if is_guarded { Set::ALL } else { sets.or(own, strange) };
                (sets.and(self.all, sources), sets.and(sets.and(self.all, own), self.service))
            }
            Spot::Wire(id) => {
                let here = self.bridged.iter().filter(|(at, _)| *at == id).map(|(_, set)| *set);
                let sources = sets.minus(sets.any(here.chain([self.public])), self.known);
                let all = sets.and(self.all, sources);
                (all, sets.and(all, self.service))
            }
            Spot::Router(_) => (Set::NONE, Set::NONE),
        }
    }
}

/// The first and the last address of each IPv4 block, which nobody has in the model.
pub(super) fn edges(model: &Model) -> impl Iterator<Item = IpAddr> {
    let blocks = model.subnets.iter().flat_map(|subnet| &subnet.blocks).map(|block| block.cidr.value);
    let links = model.vpcs.iter().flat_map(|vpc| &vpc.peerings).flat_map(|peering| &peering.addresses);
    let blocks = blocks.chain(links.map(|link| link.value.trunc()));
    let blocks = blocks.filter(|net| net.addr().is_ipv4() && net.prefix_len() < 31);
    blocks.flat_map(|net| [net.network(), net.broadcast()])
}

/// The addresses of routers.
fn routers(checked: &Checked<'_>) -> Vec<IpAddr> {
    let (model, assignment) = (checked.model(), checked.assignment());
    let routed = model.subnets.iter().filter(|subnet| subnet.routed);
    let inner = routed.flat_map(|subnet| subnet.blocks.iter().map(|block| block.gateway.value));
    let outer = model.gateways().flat_map(|(id, _)| assignment.gateway(id).addresses.iter().copied());
    let links = model.vpcs.iter().flat_map(|vpc| &vpc.peerings).flat_map(|peering| &peering.addresses);
    inner.chain(outer).chain(links.map(|link| link.value.addr())).collect()
}

/// What a machine may use.
fn own(checked: &Checked<'_>, id: PortId) -> Vec<IpNet> {
    let pairs = checked.assignment().allowed(checked.model(), id);
    let addresses = checked.assignment().port(id).addresses.iter().copied();
    addresses.map(IpNet::from).chain(pairs).collect()
}

/// Every address that somebody in the model has.
fn known(checked: &Checked<'_>) -> Vec<IpNet> {
    let (model, assignment): (&Model, _) = (checked.model(), checked.assignment());
    let mut known: Vec<IpAddr> = Vec::new();
    known.extend(model.ports().flat_map(|(id, _)| assignment.port(id).addresses.clone()));
    known.extend(model.gateways().flat_map(|(id, _)| assignment.gateway(id).addresses.clone()));
    let publics = (0..model.elastic_ips.len()).map(crate::model::ElasticIpId);
    known.extend(publics.flat_map(|id| assignment.public(crate::model::Public::ElasticIp(id)).to_vec()));
    known.extend((0..model.vips.len()).flat_map(|at| assignment.vip(at).to_vec()));
    known.extend(model.balancers.iter().flat_map(|one| assignment.balanced(one)).map(|it| it.value));
    let mut nets: Vec<IpNet> = known.into_iter().map(IpNet::from).collect();
    for subnet in &model.subnets {
        nets.extend(
            subnet.blocks.iter().map(|block| IpNet::from(block.gateway.value)).filter(|_| subnet.routed),
        );
        // What routers have networks of is not the Internet; on a bridged subnet others may have addresses.
        nets.extend(subnet.blocks.iter().map(|block| block.cidr.value).filter(|_| subnet.underlay.is_none()));
    }
    let links = model.vpcs.iter().flat_map(|vpc| &vpc.peerings).flat_map(|peering| &peering.addresses);
    nets.extend(links.map(|address| address.value.trunc()));
    let pairs = model.ports.iter().flat_map(|port| &port.allowed_pairs).map(|pair| pair.value);
    nets.extend(pairs.filter(|pair| pair.prefix_len() > 0));
    nets
}
