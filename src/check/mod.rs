//! Is this network coherent, and can the target hold it?
//!
//! Every rule looks at the whole model and reports everything it finds; one run shows all. A model without
//! errors becomes [`Checked`], which nothing else can make. Refuses YAML and rows.

mod addressing;
mod balancer;
mod bfd;
mod dns;
mod egress;
mod filter;
mod gateway;
mod matching;
mod names;
mod nat;
mod network_acl;
mod options;
mod peering;
mod policy;
mod pools;
mod ports;
mod qos;
mod routing;
mod segment;
mod transit;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::assign::{self, Assignment, Exhausted, Holder, Remembered};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Model, Public, SubnetId, VpcId};
use crate::names as minted;
use crate::progress;
use crate::target::Target;

/// A model that was found coherent, with the choices made for it. INVARIANT: only [`check`] makes one.
#[derive(Debug)]
pub struct Checked<'m> {
    model: &'m Model,
    assignment: Assignment,
}

impl<'m> Checked<'m> {
    /// The model.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// The addresses that were chosen.
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }
}

/// What every rule sees.
struct Ctx<'m> {
    model: &'m Model,
    target: Target,
    /// The addresses that were chosen.
    assignment: &'m Assignment,
    /// The subnets of each VPC.
    by_vpc: Vec<Vec<SubnetId>>,
    /// The VPCs that declare a peering with each.
    callers: Vec<Vec<VpcId>>,
    /// The names of all ports, once somebody asked.
    port_names: OnceCell<Rc<BTreeSet<String>>>,
    /// The names of all port groups, once somebody asked.
    port_groups: OnceCell<Rc<BTreeSet<String>>>,
    sink: &'m mut Sink,
}

impl Ctx<'_> {
    /// The names of all router and switch ports.
    fn port_names(&self) -> Rc<BTreeSet<String>> {
        let minted = || minted::router_ports(self.model).chain(minted::switch_ports(self.model));
        Rc::clone(
            self.port_names
                .get_or_init(|| Rc::new(minted().map(|minted| minted.name.into_owned()).collect())),
        )
    }

    /// The names of all port groups.
    fn port_groups(&self) -> Rc<BTreeSet<String>> {
        let names =
            || minted::port_groups(self.model).into_iter().map(|minted| minted.name.into_owned()).collect();
        Rc::clone(self.port_groups.get_or_init(|| Rc::new(names())))
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.sink.push(diagnostic);
    }
}

/// Checks everything. `None` when anything reported so far, here or before, is an error.
pub fn check<'m>(
    model: &'m Model,
    target: Target,
    remembered: &Remembered,
    sink: &mut Sink,
) -> Option<Checked<'m>> {
    let (assignment, full) = assign::assign(model, remembered);
    let (by_vpc, callers) = (model.subnets_by_vpc(), callers(model));
    let (port_names, port_groups) = (OnceCell::new(), OnceCell::new());

    let mut ctx =
        Ctx { model, target, assignment: &assignment, by_vpc, callers, port_names, port_groups, sink };
    let rules: [&dyn Fn(&mut Ctx<'_>); 20] = [
        &nothing,
        &names::check,
        &addressing::check,
        &|ctx| ports::check(ctx, &full),
        &pools::check,
        &peering::check,
        &transit::check,
        &routing::check,
        &bfd::check,
        &gateway::check,
        &nat::check,
        &balancer::check,
        &policy::check,
        &filter::check,
        &egress::check,
        &network_acl::check,
        &dns::check,
        &qos::check,
        &options::check,
        &segment::check,
    ];
    progress::along(rules.iter(), rules.len()).for_each(|rule| rule(&mut ctx));
    (!sink.has_errors()).then_some(Checked { model, assignment })
}

fn callers(model: &Model) -> Vec<Vec<VpcId>> {
    let mut callers = vec![Vec::new(); model.vpcs.len()];
    for (id, vpc) in model.vpcs() {
        for remote in vpc.peerings.iter().filter_map(|peering| peering.remote_id) {
            callers[remote.0].push(id);
        }
    }
    callers
}

/// An input that holds nothing is probably the wrong folder.
fn nothing(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let declared = model.vpcs.iter().any(|vpc| vpc.span.is_some()) || !model.subnets.is_empty();
    if !declared && !ctx.sink.has_errors() {
        let message = "the input holds no VPC and no subnet";
        ctx.report(
            Diagnostic::general(Code::NothingToCompile, message).help("name the files or folders to read"),
        );
    }
}

/// Subnets without a free address.
fn full(ctx: &mut Ctx<'_>, full: &[Exhausted]) {
    for exhausted in full {
        let subnet = ctx.model.subnet(exhausted.subnet);
        let pool = exhausted.pool.map(|id| ctx.model.pool(id));
        let message = match pool {
            Some(pool) => format!("pool `{}` has no free address left", pool.name),
            None => format!("subnet `{}` has no free address left", subnet.name),
        };
        let place = subnet.blocks.first().map_or(subnet.name.span, |b| b.cidr.span);
        let place = pool.and_then(|pool| pool.ranges.first()).map_or(place, |range| range.span);
        let diagnostic = Diagnostic::new(Code::SubnetFull, place, message);
        let model = ctx.model;
        let (span, who) = match exhausted.holder {
            Holder::Port(id) => (model.ports[id.0].span, model.ports[id.0].owner.clone()),
            Holder::Vip(at) => {
                (model.vips[at].span, format!("the virtual address `{}`", model.vips[at].name))
            }
            Holder::Gateway(id) => (model.gateway(id).span, model.public_name(Public::Gateway(id))),
            Holder::Probe(_) => (place, "what asks its interfaces whether they are alive".to_owned()),
            Holder::ElasticIp(id) => (model.elastic_ips[id.0].span, model.public_name(Public::ElasticIp(id))),
        };
        ctx.report(diagnostic.label(span, format!("{who} goes without")));
    }
}
