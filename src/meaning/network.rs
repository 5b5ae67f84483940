//! The model as places that packets can be in: who is on which segment, which networks a router has.
//!
//! Refuses to follow packets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::packet::host;
use super::{Side, Spot, homes};
use crate::assign::Assignment;
use crate::check::Checked;
use crate::model::{
    Balancer, Gateway, GatewayId, GroupId, Model, NatRule, PortId, Public, Subnet, SubnetId, Transport, VpcId,
};
use crate::names;
use crate::reach::address::{is_host, within, within_any};
use crate::reach::header::{Field, SCTP, TCP, UDP};
use crate::reach::set::{Set, Sets};
use crate::span::{Span, Spanned};

/// A model with what is asked of it again and again.
pub(super) struct Network<'m> {
    pub(super) model: &'m Model,
    pub(super) assignment: &'m Assignment,
    /// The machines on each segment.
    pub(super) ports: BTreeMap<SubnetId, Vec<PortId>>,
    /// The machines in each group.
    pub(super) members: BTreeMap<GroupId, Vec<PortId>>,
    /// Who has which address on a segment.
    pub(super) holders: BTreeMap<SubnetId, BTreeMap<IpAddr, Vec<Spot>>>,
    /// VPCs that are joined by peerings have addresses together: one of them for each VPC.
    realms: Vec<VpcId>,
    /// The subnets of each VPC.
    pub(super) by_vpc: Vec<Vec<SubnetId>>,
    /// What a router translates.
    pub(super) translations: Vec<Vec<Translation>>,
    /// Addresses outside that stand for one machine each and for nothing else, by the gateway that translates them.
    pub(super) publics: BTreeMap<(GatewayId, IpAddr), PortId>,
    /// What a router spreads or forwards.
    pub(super) served_by: Vec<Vec<Served>>,
    /// What is spread on a segment before a router sees it.
    pub(super) served_on: BTreeMap<SubnetId, Vec<Served>>,
    /// Blocks of subnets that share no address with others, nor with another network of the routers, of joined VPCs, nor
    /// with what is outside.
    apart: BTreeMap<(VpcId, IpNet), SubnetId>,
    /// Translations of exactly such a block.
    outgoing: BTreeMap<SubnetId, Vec<Translation>>,
}

/// A port of an address that stands for others.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) address: IpAddr,
    protocol: Transport,
    port: u16,
    /// Where its connections go, one of them each.
    pub(super) backends: BTreeSet<(IpAddr, u16)>,
    pub(super) span: Span,
    /// Whose it is, in words.
    pub(super) what: String,
}

impl Served {
    /// Packets for it.
    pub(super) fn packets(&self, sets: &Sets) -> Set {
        self.end(sets, (Field::IpDst, Field::TpDst), (self.address, self.port))
    }

    /// What its backends may answer.
    pub(super) fn answers(&self, sets: &Sets) -> Set {
        sets.any(self.backends.iter().map(|to| self.end(sets, (Field::IpSrc, Field::TpSrc), *to)))
    }

    fn end(&self, sets: &Sets, (ip, tp): (Field, Field), (address, port): (IpAddr, u16)) -> Set {
        let proto = match self.protocol {
            Transport::Tcp => TCP,
            Transport::Udp => UDP,
            Transport::Sctp => SCTP,
        };
        let service = sets.and(sets.value(Field::IpProto, proto), sets.value(tp, port.into()));
        sets.and(within(sets, ip, host(address)), service)
    }
}

/// An address outside that stands for addresses inside.
#[derive(Clone, Debug)]
pub(super) struct Translation {
    /// Whether what comes for it goes inside.
    pub(super) is_inward: bool,
    pub(super) outside: IpAddr,
    pub(super) inside: IpNet,
    pub(super) gateway: GatewayId,
    /// What refines it: the first that is about a packet decides.
    pub(super) rules: Vec<Refined>,
    pub(super) span: Span,
}

/// Whether packets between some addresses are translated; empty for all addresses.
#[derive(Clone, Debug)]
pub(super) struct Refined {
    is_translated: bool,
    inside: Vec<IpNet>,
    outside: Vec<IpNet>,
}

impl Refined {
    /// A rule as it is about a family; `None` where it is about the other one alone.
    fn of(rule: &NatRule, v4: bool) -> Option<Refined> {
        let of_family = |nets: &[Spanned<IpNet>]| {
            let own = nets.iter().map(|net| net.value).filter(|net| net.addr().is_ipv4() == v4);
            let own: Vec<IpNet> = own.collect();
            (nets.is_empty() || !own.is_empty()).then_some(own)
        };
        let (inside, outside) = (of_family(&rule.sources)?, of_family(&rule.destinations)?);
        Some(Refined { is_translated: rule.is_translated, inside, outside })
    }

    /// All the networks that it is about.
    pub(super) fn nets(&self) -> impl Iterator<Item = IpNet> {
        self.inside.iter().chain(&self.outside).copied()
    }
}

impl Translation {
    /// The packets that keep their address; the fields are those of the address inside and of the one outside.
    pub(super) fn kept(&self, sets: &Sets, inside: Field, outside: Field) -> Set {
        let (mut left, mut kept) = (Set::ALL, Set::NONE);
        for rule in &self.rules {
            let about = |field: Field, nets: &[IpNet]| match nets {
                [] => Set::ALL,
                nets => within_any(sets, field, nets.iter().copied()),
            };
            let about = sets.and(about(inside, &rule.inside), about(outside, &rule.outside));
            if !rule.is_translated {
                kept = sets.or(kept, sets.and(left, about));
            }
            left = sets.minus(left, about);
        }
        kept
    }
}

impl<'m> Network<'m> {
    pub(super) fn new(checked: &'m Checked<'m>) -> Network<'m> {
        let (model, assignment) = (checked.model(), checked.assignment());
        let mut net = Network {
            model,
            assignment,
            ports: BTreeMap::new(),
            members: BTreeMap::new(),
            holders: BTreeMap::new(),
            realms: realms(model),
            by_vpc: model.subnets_by_vpc(),
            translations: Vec::new(),
            publics: BTreeMap::new(),
            served_by: Vec::new(),
            served_on: BTreeMap::new(),
            apart: BTreeMap::new(),
            outgoing: BTreeMap::new(),
        };
        for (id, port) in model.ports() {
            net.ports.entry(port.subnet).or_default().push(id);
            for group in &port.groups {
                net.members.entry(group.value).or_default().push(id);
            }
            for address in &assignment.port(id).addresses {
                net.hold(port.subnet, *address, Spot::Port(id));
            }
        }
        for (at, vip) in model.vips.iter().enumerate().filter(|(_, vip)| !vip.parents.is_empty()) {
            // Any of its workloads may have taken it on.
            for address in assignment.vip(at) {
                vip.parents.iter().for_each(|id| net.hold(vip.subnet, *address, Spot::Port(*id)));
            }
        }
        for (id, subnet) in model.subnets().filter(|(_, subnet)| subnet.routed) {
            for block in &subnet.blocks {
                net.hold(id, block.gateway.value, Spot::Router(Side::Subnet(id)));
            }
        }
        for (id, gateway) in model.gateways() {
            for address in &assignment.gateway(id).addresses {
                net.hold(gateway.external, *address, Spot::Router(Side::Gateway(id)));
            }
        }
        net.translations = model.vpcs().map(|(id, _)| net.translations_of(id)).collect();
        net.served_by = model.vpcs().map(|(id, _)| net.served_by_router(id)).collect();
        for balancer in &model.balancers {
            let addresses = assignment.balanced(balancer).into_iter().map(|it| it.value).collect();
            let served = net.listeners(balancer, addresses);
            for (id, _) in model.served_subnets(balancer) {
                net.served_on.entry(id).or_default().extend(served.iter().cloned());
            }
        }
        net.hold_for_others();
        net.publics = net.one_machines();
        let apart = homes::apart(&net);
        let blocks = |id: SubnetId| model.subnet(id).blocks.iter().map(|block| block.cidr.value);
        let realm = |id: SubnetId| net.realm_of(model.subnet(id).vpc);
        let all = apart.into_iter().flat_map(|id| blocks(id).map(move |block| (id, block)));
        net.apart = all.map(|(id, block)| ((realm(id), block), id)).collect();
        for (at, translations) in net.translations.iter().enumerate() {
            for it in translations.iter().filter(|it| !it.is_inward) {
                if let Some(id) = net.apart.get(&(net.realms[at], it.inside)) {
                    net.outgoing.entry(*id).or_default().push(it.clone());
                }
            }
        }
        net
    }

    /// Whether a network is a block of a subnet and no other's among joined VPCs, where one of them asks about an address
    /// that was chosen among theirs: then the address is in it just where it is somebody's on the subnet, or nobody's.
    pub(super) fn is_apart(&self, net: IpNet, at: VpcId, chosen: Option<VpcId>) -> bool {
        let realm = self.realm_of(at);
        chosen == Some(realm) && self.apart.contains_key(&(realm, net))
    }

    /// Translations of exactly a block of a subnet that is apart, on its way out.
    pub(super) fn outgoing(&self, id: SubnetId) -> &[Translation] {
        self.outgoing.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Routers have, beside their own, the addresses that they answer for.
    fn hold_for_others(&mut self) {
        let model = self.model;
        let balanced = model.balanced_addresses();
        for (id, subnet) in model.subnets().filter(|(_, subnet)| subnet.routed) {
            let proxied = subnet.arp_proxy.iter().map(|net| net.value);
            let proxied = proxied.filter(is_host);
            let proxied =
                proxied.map(|net| net.addr()).chain(balanced.get(&id).into_iter().flatten().copied());
            proxied.for_each(|address| self.hold(id, address, Spot::Router(Side::Subnet(id))));
        }
        for (id, gateway) in model.gateways() {
            let sides = self.sides(gateway.vpc);
            let is_near = |address: &IpAddr| sides.iter().any(|(_, _, net)| net.contains(address));
            let served = self.served_by[gateway.vpc.0].iter().map(|served| served.address);
            let near: BTreeSet<IpAddr> = served.filter(is_near).collect();
            near.into_iter()
                .for_each(|address| self.hold(gateway.external, address, Spot::Router(Side::Gateway(id))));
        }
        for translation in self.translations.concat() {
            let spot = Spot::Router(Side::Gateway(translation.gateway));
            self.hold(model.gateway(translation.gateway).external, translation.outside, spot);
        }
    }

    /// Whoever has an address, by the VPCs among whose machines it is.
    pub(super) fn held(&self) -> BTreeMap<(VpcId, IpAddr), Vec<Spot>> {
        let mut held: BTreeMap<(VpcId, IpAddr), Vec<Spot>> = BTreeMap::new();
        for (id, holders) in &self.holders {
            let realm = self.realm_of(self.model.subnet(*id).vpc);
            for (address, spots) in holders {
                held.entry((realm, *address)).or_default().extend(spots);
            }
        }
        held
    }

    /// Addresses outside that are one machine's.
    fn one_machines(&self) -> BTreeMap<(GatewayId, IpAddr), PortId> {
        let held = self.held();
        let mut n_uses: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let translated = self.translations.iter().flatten().map(|it| it.outside);
        let held_by = held.iter().flat_map(|((_, address), spots)| spots.iter().map(|_| *address));
        let served = self.served_by.iter().flatten().chain(self.served_on.values().flatten());
        let hops = self.model.vpcs().flat_map(|(id, _)| self.next_hops(id));
        let gateways = self.model.gateways().flat_map(|(id, _)| &self.assignment.gateway(id).addresses);
        let others = served.map(|it| it.address).chain(hops).chain(gateways.copied());
        for address in translated.chain(held_by).chain(others) {
            *n_uses.entry(address).or_default() += 1;
        }
        let mut found: BTreeMap<(GatewayId, PortId, bool), Vec<IpAddr>> = BTreeMap::new();
        for (at, translations) in self.translations.iter().enumerate() {
            // It is translated once, and one gateway answers for it.
            let one = translations.iter().filter(|it| it.is_inward && n_uses[&it.outside] == 2);
            for it in one.filter(|it| is_host(&it.inside)) {
                let holders = held.get(&(self.realms[at], it.inside.addr()));
                if let Some([Spot::Port(id)]) = holders.map(Vec::as_slice) {
                    found.entry((it.gateway, *id, it.outside.is_ipv6())).or_default().push(it.outside);
                }
            }
        }
        let only = found.into_iter().filter_map(|((gateway, id, _), all)| match all.as_slice() {
            [only] => Some(((gateway, *only), id)),
            _ => None,
        });
        only.collect()
    }

    /// Whom the routes and policies of a VPC send packets to.
    pub(super) fn next_hops(&self, id: VpcId) -> Vec<IpAddr> {
        let vpc = self.model.vpc(id);
        let routes = vpc.static_routes.iter().filter_map(|route| self.assignment.next_hop(route));
        let policies = vpc.policy_routes.iter().flat_map(|policy| &policy.next_hops).map(|hop| hop.value);
        let defaults = self.model.default_routes(id).into_iter().map(|route| route.next_hop);
        routes.chain(policies).chain(defaults).collect()
    }

    fn hold(&mut self, subnet: SubnetId, address: IpAddr, spot: Spot) {
        let holders = self.holders.entry(subnet).or_default().entry(address).or_default();
        if !holders.contains(&spot) {
            holders.push(spot);
        }
    }

    fn translations_of(&self, vpc: VpcId) -> Vec<Translation> {
        let (model, assignment) = (self.model, self.assignment);
        let at = |public: Public| model.gateway_on(vpc, model.external_of(public));
        let mut all = Vec::new();
        for floating in model.floating_ips.iter().filter(|one| one.vpc == vpc) {
            let Some(gateway) = at(floating.public.value) else { continue };
            for (outside, inside) in assignment.pairs(model, floating.public.value, &floating.inside.value) {
                let (rules, span) = (Vec::new(), floating.span);
                all.push(Translation { is_inward: true, outside, inside, gateway, rules, span });
            }
        }
        for nat in model.source_nats.iter().filter(|one| one.vpc == vpc) {
            let Some(gateway) = at(nat.public.value) else { continue };
            for (outside, inside) in assignment.pairs(model, nat.public.value, &nat.inside.value) {
                let (rules, span) = (Vec::new(), nat.span);
                all.push(Translation { is_inward: false, outside, inside, gateway, rules, span });
            }
        }
        let by_hand = all.clone();
        for subnet in self.by_vpc[vpc.0].iter().map(|id| model.subnet(*id)).filter(|subnet| subnet.routed) {
            let Some(span) = subnet.nat_outgoing else { continue };
            for (gateway, _) in model.gateways_of(vpc) {
                for outside in assignment.gateway(gateway).addresses.iter().copied() {
                    let Some(block) = subnet.block_for(outside) else { continue };
                    let inside = block.cidr.value;
                    let is_taken =
                        |it: &Translation| it.gateway == gateway && it.inside == inside && !it.is_inward;
                    if !by_hand.iter().any(is_taken) {
                        let rules = subnet.nat_rules.iter();
                        let rules = rules.filter_map(|rule| Refined::of(rule, outside.is_ipv4())).collect();
                        all.push(Translation { is_inward: false, outside, inside, gateway, rules, span });
                    }
                }
            }
        }
        all
    }

    fn served_by_router(&self, vpc: VpcId) -> Vec<Served> {
        let (model, assignment) = (self.model, self.assignment);
        let forwards = model.port_forwards.iter().filter(|one| one.vpc == vpc).flat_map(|one| {
            let pairs = assignment.pairs(model, one.public.value, &one.inside.value);
            pairs.into_iter().map(move |(address, inside)| Served {
                address,
                protocol: one.protocol,
                port: one.public_port.value,
                backends: [(inside.addr(), one.inside_port.value)].into(),
                span: one.span,
                what: format!("port forward `{}`", one.name),
            })
        });
        let balancers = model.balancers.iter().filter(|one| one.vpc == vpc).flat_map(|one| {
            let public = one.public.iter().flat_map(|public| assignment.public(public.value));
            self.listeners(one, public.copied().collect())
        });
        forwards.chain(balancers).collect()
    }

    /// Every listener at every address.
    fn listeners(&self, balancer: &Balancer, addresses: Vec<IpAddr>) -> Vec<Served> {
        let backends = balancer.backends.iter().flat_map(|to| self.assignment.backend(to.value));
        let backends: Vec<IpAddr> = backends.collect();
        let mut all = Vec::new();
        for address in addresses {
            for listener in &balancer.listeners {
                let of_family = backends.iter().filter(|to| to.is_ipv4() == address.is_ipv4());
                all.push(Served {
                    address,
                    protocol: listener.protocol,
                    port: listener.port.value,
                    backends: of_family.map(|to| (*to, listener.target_port.value)).collect(),
                    span: balancer.span,
                    what: format!("balancer `{}`", balancer.name),
                });
            }
        }
        all
    }

    pub(super) fn gateway(&self, id: GatewayId) -> &'m Gateway {
        self.model.gateway(id)
    }

    /// Whose router a side is of.
    pub(super) fn vpc_of(&self, side: Side) -> VpcId {
        match side {
            Side::Subnet(id) => self.model.subnet(id).vpc,
            Side::Gateway(id) => self.gateway(id).vpc,
            Side::Peer(vpc, _) => vpc,
        }
    }

    /// The segment that a side is on.
    pub(super) fn segment_of(&self, side: Side) -> Option<SubnetId> {
        match side {
            Side::Subnet(id) => Some(id),
            Side::Gateway(id) => Some(self.gateway(id).external),
            Side::Peer(..) => None,
        }
    }

    /// The networks of a router, each with its own address there.
    pub(super) fn sides(&self, vpc: VpcId) -> Vec<(Side, IpAddr, IpNet)> {
        let model = self.model;
        let mut sides = Vec::new();
        for id in &self.by_vpc[vpc.0] {
            let subnet = model.subnet(*id);
            let blocks = subnet.blocks.iter().filter(|_| subnet.routed);
            sides.extend(blocks.map(|block| (Side::Subnet(*id), block.gateway.value, block.cidr.value)));
        }
        for (id, gateway) in model.gateways_of(vpc) {
            for address in self.assignment.gateway(id).addresses.iter().copied() {
                let block = model.subnet(gateway.external).block_for(address);
                sides.extend(block.map(|block| (Side::Gateway(id), address, block.cidr.value)));
            }
        }
        for (at, peering) in model.vpc(vpc).peerings.iter().enumerate() {
            for net in peering.addresses.iter().map(|address| address.value) {
                sides.push((Side::Peer(vpc, at), net.addr(), net.trunc()));
            }
        }
        sides
    }

    /// The other end of a peering.
    pub(super) fn peer(&self, vpc: VpcId, at: usize) -> Option<Side> {
        let remote = self.model.vpc(vpc).peerings[at].remote_id?;
        let back = self.model.vpc(remote).peerings.iter().position(|peering| peering.remote_id == Some(vpc));
        Some(Side::Peer(remote, back?))
    }

    /// Whether machines on a segment are told how large it is, or have a router beside them that knows; others
    /// are taken to know their neighbours alone.
    pub(super) fn is_sized(&self, id: SubnetId, v4: bool) -> bool {
        let has = |address: &IpAddr| address.is_ipv4() == v4;
        let is_told = v4 && self.model.subnet(id).dhcp.is_some();
        is_told
            || self.routers_on(id).into_iter().any(|side| match side {
                Side::Gateway(gateway) => self.assignment.gateway(gateway).addresses.iter().any(has),
                Side::Subnet(_) | Side::Peer(..) => true,
            })
    }

    /// The routers on a segment.
    pub(super) fn routers_on(&self, id: SubnetId) -> Vec<Side> {
        let subnet = self.model.subnet(id);
        let own = subnet.routed.then_some(Side::Subnet(id));
        let here = self.model.gateways().filter(|(_, gateway)| gateway.external == id);
        own.into_iter().chain(here.map(|(gateway, _)| Side::Gateway(gateway))).collect()
    }

    /// Who takes what nobody on a segment is known for.
    pub(super) fn takers(&self, id: SubnetId) -> Vec<Spot> {
        let ports = self.ports.get(&id).into_iter().flatten();
        let forwarding = ports.filter(|port| self.model.port(**port).forwards).map(|port| Spot::Port(*port));
        let wire = self.model.subnet(id).underlay.as_ref().map(|_| Spot::Wire(id));
        forwarding.chain(wire).collect()
    }

    /// The name that rules by hand know a place on a segment by.
    pub(super) fn name(&self, spot: Spot) -> String {
        let model = self.model;
        match spot {
            Spot::Port(id) => model.port(id).name.clone(),
            Spot::Wire(id) => names::localnet(model.subnet(id)),
            Spot::Router(side) => {
                let segment = self.segment_of(side).map(|id| model.subnet(id));
                let vpc = model.vpc(self.vpc_of(side));
                segment.map_or_else(String::new, |subnet| names::router_side(vpc, subnet))
            }
        }
    }

    /// The name that policies by hand know a router's side by.
    pub(super) fn side_name(&self, side: Side) -> String {
        let vpc = self.model.vpc(self.vpc_of(side));
        match side {
            Side::Subnet(id) => names::router_port(vpc, self.model.subnet(id)),
            Side::Gateway(id) => names::router_port(vpc, self.model.subnet(self.gateway(id).external)),
            Side::Peer(_, at) => names::peer_port(&vpc.name, &vpc.peerings[at].remote.value),
        }
    }

    /// The VPCs that one is joined with, by one of them.
    pub(super) fn realm_of(&self, vpc: VpcId) -> VpcId {
        self.realms[vpc.0]
    }

    /// The VPCs among whose machines one is; `None` for what is no machine.
    pub(super) fn realm(&self, spot: Spot) -> Option<VpcId> {
        match spot {
            Spot::Port(id) => Some(self.realm_of(self.home(id).1.vpc)),
            Spot::Router(_) | Spot::Wire(_) => None,
        }
    }

    /// The subnet of a port.
    pub(super) fn home(&self, port: PortId) -> (SubnetId, &'m Subnet) {
        let id = self.model.port(port).subnet;
        (id, self.model.subnet(id))
    }
}

/// The first of the VPCs that each is joined with.
fn realms(model: &Model) -> Vec<VpcId> {
    let mut realms: Vec<VpcId> = model.vpcs().map(|(id, _)| id).collect();
    let joined = model
        .vpcs()
        .flat_map(|(id, vpc)| vpc.peerings.iter().filter_map(move |peering| Some((id, peering.remote_id?))));
    for (a, b) in joined {
        let (a, b) = (realms[a.0], realms[b.0]);
        let (first, other) = (a.min(b), a.max(b));
        realms.iter_mut().filter(|it| **it == other).for_each(|it| *it = first);
    }
    realms
}
