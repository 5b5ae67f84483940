//! Translations → NAT of the VPC's router; port forwards → Load_Balancer on it.
//!
//! | meant | stored |
//! |---|---|
//! | floating IP | `dnat_and_snat`; distributed, with the machine's port and a MAC of its own |
//! | source translation | `snat`, one row a family and block |
//! | `natOutgoing` | `snat` of the subnet's blocks to the address of each gateway, but for what is exempt |
//! | rules that refine it | `snat` of parts of the block (`nat_rules`), exempt destinations in an `Address_Set` each |
//! | port forward | `Load_Balancer` with a virtual address a family |
//!
//! A translation by hand of a subnet's own block stands in the place of its `natOutgoing`. Where a router has
//! several gateways, each row names its own. Fixtures: `outside/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::nat_rules::Part;
use super::{gateway, nat_rules};
use crate::assign::derived_mac;
use crate::check::Checked;
use crate::model::{FloatingIp, GatewayId, Model, PortForward, Public, SourceNat, SubnetId, VpcId};
use crate::names;
use crate::nb::{AddressSet, Key, LoadBalancer, Nat, Ref, Rows, Table};
use crate::span::Span;

/// The rules of one VPC.
#[derive(Clone, Default)]
pub(super) struct Rules<'m> {
    floating: Vec<&'m FloatingIp>,
    sources: Vec<&'m SourceNat>,
    forwards: Vec<&'m PortForward>,
}

impl<'m> Rules<'m> {
    /// The rules of every VPC: searched once, not once for each.
    pub(super) fn by_vpc(model: &'m Model) -> Vec<Rules<'m>> {
        let mut all = vec![Rules::default(); model.vpcs.len()];
        model.floating_ips.iter().for_each(|rule| all[rule.vpc.0].floating.push(rule));
        model.source_nats.iter().for_each(|rule| all[rule.vpc.0].sources.push(rule));
        model.port_forwards.iter().for_each(|rule| all[rule.vpc.0].forwards.push(rule));
        all
    }
}

/// The translations of a VPC that has these subnets.
pub(super) fn translations(
    checked: &Checked<'_>,
    vpc: VpcId,
    rules: &Rules<'_>,
    subnets: &[SubnetId],
    rows: &mut Rows,
) -> BTreeSet<Ref> {
    let model = checked.model();
    let mut nat = Translations { checked, vpc, sources: &rules.sources, rows, refs: BTreeSet::new() };
    for floating in &rules.floating {
        nat.floating(floating);
    }
    for source in &rules.sources {
        for (outside, inside) in checked.assignment().pairs(model, source.public.value, &source.inside.value)
        {
            nat.source(outside, inside, source.public.value, source.span, None);
        }
    }
    for id in subnets {
        nat.outgoing(*id);
    }
    nat.refs
}

struct Translations<'c, 'r> {
    checked: &'c Checked<'c>,
    vpc: VpcId,
    /// The VPC's own.
    sources: &'c [&'c SourceNat],
    rows: &'r mut Rows,
    refs: BTreeSet<Ref>,
}

impl Translations<'_, '_> {
    fn insert(&mut self, key: String, row: Nat, span: Span) {
        let key = Key::new(Table::Nat, key);
        self.rows.insert(key.clone(), row, Some(span));
        self.refs.insert(Ref::Key(key));
    }

    /// Names the gateway, where the router has a choice.
    fn gateway_port(&self, public: Public) -> Option<Ref> {
        let model = self.checked.model();
        let id: GatewayId = model.gateway_on(self.vpc, model.external_of(public))?;
        let several = model.gateways_of(self.vpc).nth(1).is_some();
        several.then(|| Ref::Key(gateway::port_key(model, model.gateway(id))))
    }

    fn floating(&mut self, floating: &FloatingIp) {
        let model = self.checked.model();
        let assignment = self.checked.assignment();
        let public = floating.public.value;
        for (outside, inside) in assignment.pairs(model, public, &floating.inside.value) {
            let machine = assignment.machine(model, floating).map(|id| &model.ports[id.0]);
            let row = Nat {
                kind: "dnat_and_snat".to_owned(),
                external_ip: outside.to_string(),
                external_mac: machine.map(|_| external_mac(model, public)),
                logical_ip: inside.addr().to_string(),
                logical_port: machine.map(|port| port.name.clone()),
                gateway_port: self.gateway_port(public),
                ..Nat::default()
            };
            let vpc = &model.vpc(self.vpc).name;
            self.insert(format!("{vpc}/floating/{outside}"), row, floating.span);
        }
    }

    fn source(&mut self, outside: IpAddr, inside: IpNet, public: Public, span: Span, exempt: Option<Key>) {
        let model = self.checked.model();
        let (vpc, external) = (&model.vpc(self.vpc).name, &model.subnet(model.external_of(public)).name);
        let is_host = inside.prefix_len() == inside.max_prefix_len();
        let row = Nat {
            kind: "snat".to_owned(),
            external_ip: outside.to_string(),
            logical_ip: if is_host { inside.addr().to_string() } else { inside.to_string() },
            exempted_ext_ips: exempt.map(Ref::Key),
            gateway_port: self.gateway_port(public),
            ..Nat::default()
        };
        self.insert(format!("{vpc}/source/{external}/{inside}"), row, span);
    }

    /// `natOutgoing`, through each gateway that has an address of the family.
    fn outgoing(&mut self, id: SubnetId) {
        let model = self.checked.model();
        let subnet = model.subnet(id);
        let Some(span) = subnet.nat_outgoing.filter(|_| subnet.routed) else { return };
        for (gateway_id, gateway) in model.gateways_of(self.vpc) {
            let public = Public::Gateway(gateway_id);
            for outside in self.checked.assignment().public(public).to_vec() {
                let Some(block) = subnet.block_for(outside) else { continue };
                for Part { inside, exempt } in nat_rules::parts(subnet, block.cidr.value) {
                    if self.checked.assignment().is_translated(model, self.sources, gateway, inside) {
                        continue;
                    }
                    let is_whole = inside == block.cidr.value;
                    let name = names::exempt(subnet, inside, is_whole);
                    let exempt = (!exempt.is_empty()).then(|| address_set(name, &exempt, span, self.rows));
                    self.source(outside, inside, public, span, exempt);
                }
            }
        }
    }
}

fn external_mac(model: &Model, public: Public) -> String {
    let own = match public {
        Public::ElasticIp(id) => {
            let eip = &model.elastic_ips[id.0];
            let derived = || derived_mac("elastic-ip", &eip.name);
            Some(eip.mac.as_ref().map_or_else(derived, |mac| mac.value))
        }
        Public::Gateway(_) => None,
    };
    own.expect("checks give floating IPs an elastic IP").to_string()
}

/// Destinations under a name; once, however many gateways there are.
fn address_set(name: String, nets: &[IpNet], span: Span, rows: &mut Rows) -> Key {
    let key = Key::new(Table::AddressSet, name.as_str());
    if rows.get(&key).is_none() {
        let addresses = nets.iter().map(IpNet::to_string).collect();
        rows.insert(key.clone(), AddressSet { name, addresses, ..AddressSet::default() }, Some(span));
    }
    key
}

/// The port forwards of a VPC.
pub(super) fn forwards(checked: &Checked<'_>, rules: &Rules<'_>, rows: &mut Rows) -> BTreeSet<Ref> {
    rules.forwards.iter().map(|one| Ref::Key(forward(checked, one, rows))).collect()
}

fn forward(checked: &Checked<'_>, forward: &PortForward, rows: &mut Rows) -> Key {
    let model = checked.model();
    let pairs = checked.assignment().pairs(model, forward.public.value, &forward.inside.value);
    let socket = |address: IpAddr, port: u16| std::net::SocketAddr::new(address, port).to_string();
    let vip = |(outside, inside): &(IpAddr, IpNet)| {
        let to = socket(inside.addr(), forward.inside_port.value);
        (socket(*outside, forward.public_port.value), to)
    };
    let vips: BTreeMap<String, String> = pairs.iter().map(vip).collect();
    let first = vips.keys().next().cloned().unwrap_or_default();
    let (vpc, protocol) = (&model.vpc(forward.vpc).name, forward.protocol);
    let key = Key::new(Table::LoadBalancer, format!("{vpc}/forward/{protocol}/{first}"));
    let row = LoadBalancer {
        name: forward.name.clone(),
        vips,
        protocol: Some(protocol.to_string()),
        ..LoadBalancer::default()
    };
    rows.insert(key.clone(), row, Some(forward.span));
    key
}
