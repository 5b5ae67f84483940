//! Machines that the model may take for each other, but for what it asks of their addresses, and who is on their subnet.
//!
//! Wherever a packet is asked about an address, that is noted ([`Meaning::take_asked`]): machines of the same traits whose
//! addresses get the same answers behave alike. What else is asked of a machine is a trait: where it is, who its groups
//! are, what it may use, what it is told, where it has public addresses. Whoever is called by name or address (a next hop,
//! a backend, whose public address is not its alone) is like nobody. Refuses to know rows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::homes::{Home, place_of};
use super::{Meaning, Side, Told};
use crate::model::{GatewayId, GroupId, PortId, SubnetId, VpcId};
use crate::nb::matching::{self, ReferenceKind};
use crate::reach::address::is_host;
use crate::span::Span;

/// What tells machines apart besides their addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Traits {
    home: Home,
    groups: Vec<GroupId>,
    is_guarded: bool,
    told: Vec<(IpNet, By)>,
    /// The blocks that its addresses are of.
    blocks: Vec<Option<usize>>,
    /// The gateways, family by family, where it has a public address.
    publics: Vec<(GatewayId, bool)>,
}

/// Who a route is by that a machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    /// The gateway of one of its subnet's blocks.
    Block(usize),
    Given(IpAddr),
}

/// An address outside that is translated to one machine.
#[derive(Clone, Copy, Debug)]
pub struct Public {
    /// By whom.
    gateway: GatewayId,
    /// The address.
    pub address: IpAddr,
    /// Where the translation stands.
    pub span: Span,
}

impl Meaning<'_> {
    /// The VPCs, by one of them, within which every address is one machine's: those that peerings join.
    pub fn realm(&self, id: PortId) -> VpcId {
        self.net.realm_of(self.net.home(id).1.vpc)
    }

    /// The same of a router, by one of its sides.
    pub fn realm_of(&self, side: Side) -> VpcId {
        self.net.realm_of(self.net.vpc_of(side))
    }

    /// The public addresses of each machine, in the order of its [`Traits`].
    pub fn publics(&self) -> BTreeMap<PortId, Vec<Public>> {
        let all = self.net.translations.iter().flatten().filter(|it| it.is_inward);
        let mut by_machine: BTreeMap<PortId, BTreeMap<(GatewayId, bool), Public>> = BTreeMap::new();
        for it in all {
            if let Some(id) = self.net.publics.get(&(it.gateway, it.outside)) {
                let public = Public { gateway: it.gateway, address: it.outside, span: it.span };
                by_machine.entry(*id).or_default().insert((it.gateway, it.outside.is_ipv6()), public);
            }
        }
        by_machine.into_iter().map(|(id, all)| (id, all.into_values().collect())).collect()
    }

    /// The traits of every machine that may be like another.
    pub fn traits(&self) -> BTreeMap<PortId, Traits> {
        let (model, assignment) = (self.net.model, self.net.assignment);
        let told: BTreeMap<PortId, Vec<Told>> = model.ports().map(|(id, _)| (id, self.told(id))).collect();
        let named: BTreeSet<PortId> = self.named();
        let called = self.called(&told);
        let strange: BTreeSet<SubnetId> =
            model.subnets().map(|(id, _)| id).filter(|id| self.names_ports(*id)).collect();
        let (held, publics, homes) = (self.net.held(), self.publics(), self.homes(&told));
        let is_plain = |id: PortId| {
            let port = model.port(id);
            let is_own = |address: &IpAddr| {
                let key = (self.realm(id), *address);
                held.get(&key).is_some_and(|spots| spots.len() == 1) && !called.contains(&key)
            };
            let is_alone = port.forwards || named.contains(&id) || strange.contains(&port.subnet);
            let addresses = &assignment.port(id).addresses;
            !is_alone && addresses.iter().all(is_own) && assignment.allowed(model, id).is_empty()
        };
        let plain = told.into_iter().filter(|(id, _)| is_plain(*id)).map(|(id, told)| {
            let port = model.port(id);
            let subnet = model.subnet(port.subnet);
            let by = |by: IpAddr| place_of(subnet, by).map_or(By::Given(by), By::Block);
            let place = |it: &Public| (it.gateway, it.address.is_ipv6());
            let block =
                |address: &IpAddr| subnet.blocks.iter().position(|it| it.cidr.value.contains(address));
            let traits = Traits {
                home: homes[&port.subnet].clone(),
                groups: port.groups.iter().map(|group| group.value).collect(),
                is_guarded: port.port_security,
                told: told.into_iter().map(|(to, gateway)| (to, by(gateway))).collect(),
                blocks: assignment.port(id).addresses.iter().map(block).collect(),
                publics: publics.get(&id).map_or(&[][..], Vec::as_slice).iter().map(place).collect(),
            };
            (id, traits)
        });
        plain.collect()
    }

    /// Machines that something else says by name: who answers for metadata, who may take a virtual address on.
    fn named(&self) -> BTreeSet<PortId> {
        let model = self.net.model;
        let tellers = model.subnets.iter().filter_map(|subnet| Some(subnet.metadata.as_ref()?.value));
        tellers.chain(model.vips.iter().flat_map(|vip| vip.parents.iter().copied())).collect()
    }

    /// Addresses that packets are sent to or get, whoever they were for.
    fn called(&self, told: &BTreeMap<PortId, Vec<Told>>) -> BTreeSet<(VpcId, IpAddr)> {
        let (net, model) = (&self.net, self.net.model);
        let gateways = told.iter().flat_map(|(id, told)| told.iter().map(|(_, by)| (self.realm(*id), *by)));
        let of_vpcs = model.vpcs().flat_map(|(id, _)| {
            let is_public = |at: (GatewayId, IpAddr)| net.publics.contains_key(&at);
            let translated = net.translations[id.0].iter();
            let translated = translated.filter(|it| !it.is_inward || !is_public((it.gateway, it.outside)));
            let translated = translated.map(|it| it.inside);
            let translated = translated.filter(is_host);
            let served = net.served_by[id.0].iter().flat_map(|it| &it.backends).map(|(to, _)| *to);
            let all = net.next_hops(id).into_iter().chain(translated.map(|net| net.addr()));
            all.chain(served).map(move |address| (net.realm_of(id), address)).collect::<Vec<_>>()
        });
        let spread = net.served_on.iter().flat_map(|(id, served)| {
            let realm = net.realm_of(model.subnet(*id).vpc);
            let backends = served.iter().flat_map(|it| &it.backends);
            backends.map(move |(to, _)| (realm, *to)).collect::<Vec<_>>()
        });
        gateways.chain(of_vpcs).chain(spread).collect()
    }

    /// Whether a rule by hand on a segment calls ports by their names, or by those of groups.
    fn names_ports(&self, id: SubnetId) -> bool {
        self.net.model.subnet(id).acls.iter().any(|acl| {
            let parsed = matching::parse(&acl.matching.value, self.reader.symbols);
            let is_port = |kind| kind != ReferenceKind::AddressSet;
            parsed.expr.is_some_and(|expr| expr.references().into_iter().any(|it| is_port(it.kind)))
        })
    }
}
