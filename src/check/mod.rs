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

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::assign::{self, Assignment, Exhausted, Holder, Remembered};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Model, Public, SubnetId, VpcId};
use crate::names as minted;
use crate::parallel;
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
    by_vpc: &'m [Vec<SubnetId>],
    /// The VPCs that declare a peering with each.
    callers: &'m [Vec<VpcId>],
    names: &'m Names,
    /// What this rule has to say.
    sink: Sink,
}

/// Names that rules look for, once somebody asked.
#[derive(Default)]
struct Names {
    /// Of all ports.
    ports: OnceLock<BTreeSet<String>>,
    /// Of all port groups.
    groups: OnceLock<BTreeSet<String>>,
}

impl<'m> Ctx<'m> {
    /// The names of all router and switch ports.
    fn port_names(&self) -> &'m BTreeSet<String> {
        let minted = || minted::router_ports(self.model).chain(minted::switch_ports(self.model));
        self.names.ports.get_or_init(|| minted().map(|minted| minted.name.into_owned()).collect())
    }

    /// The names of all port groups.
    fn port_groups(&self) -> &'m BTreeSet<String> {
        let minted = || minted::port_groups(self.model).into_iter();
        self.names.groups.get_or_init(|| minted().map(|minted| minted.name.into_owned()).collect())
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.sink.push(diagnostic);
    }
}

/// Rules, each of which looks at all of the model and at nothing that another one says.
const N_RULES: usize = 19;
/// From so many ports on, the rules are worth a thread.
const PORTS_MIN: usize = 4096;

/// Checks everything. `None` when anything reported so far, here or before, is an error.
pub fn check<'m>(
    model: &'m Model,
    target: Target,
    remembered: &Remembered,
    sink: &mut Sink,
) -> Option<Checked<'m>> {
    let (assignment, full) = assign::assign(model, remembered);
    let (by_vpc, callers, names) = (model.subnets_by_vpc(), callers(model), Names::default());
    if !sink.has_errors() {
        nothing(model).into_iter().for_each(|told| sink.push(told));
    }
    let rules: [&(dyn Fn(&mut Ctx<'_>) + Sync); N_RULES] = [
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
    let n_done = AtomicU64::new(0);
    let look = |rules: &[&(dyn Fn(&mut Ctx<'_>) + Sync)]| {
        let (by_vpc, callers, names) = (&*by_vpc, &*callers, &names);
        let sink = Sink::new();
        let mut ctx = Ctx { model, target, assignment: &assignment, by_vpc, callers, names, sink };
        for rule in rules {
            progress::at(n_done.fetch_add(1, Ordering::Relaxed), N_RULES as u64);
            rule(&mut ctx);
        }
        ctx.sink
    };
    let is_small = parallel::part(model.ports.len(), PORTS_MIN) >= model.ports.len();
    let parts = rules.chunks(if is_small { N_RULES } else { 1 }).collect();
    parallel::map(parts, look).into_iter().for_each(|said| sink.append(said));
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
fn nothing(model: &Model) -> Option<Diagnostic> {
    let declared = model.vpcs.iter().any(|vpc| vpc.span.is_some()) || !model.subnets.is_empty();
    let message = "the input holds no VPC and no subnet";
    let help = "name the files or folders to read";
    let meant =
        "where everything is to go, `northc destroy` does that, and `--allow N0110` says that it is meant";
    (!declared).then(|| Diagnostic::general(Code::NothingToCompile, message).help(help).help(meant))
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
            Holder::Port(id) => (model.ports[id.0].span, model.ports[id.0].owner().into_owned()),
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
