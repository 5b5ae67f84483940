//! Names to ids, for load balancers of every dialect: VPCs, public addresses, backends by name or by label.
//!
//! Where a balancer does not say its VPC, it is that of its backends. Refuses to judge addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::outside::{self, PublicAddresses};
use super::resolve::{Selectable, SubnetNames, find_port, unique};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Backend, Balancer, HealthCheck, Listener, Model, PortId, Subnet, VpcId};
use crate::span::{Span, Spanned};

pub(super) const LOAD_BALANCER: &str = "LoadBalancer";
pub(super) const SWITCH_RULE: &str = "SwitchLBRule";
pub(super) const ROUTER_RULE: &str = "RouterLBRule";

/// A balancer whose names are not resolved yet.
pub(super) struct Declared {
    pub(super) kind: &'static str,
    pub(super) name: Spanned<String>,
    /// Its name among balancers of every kind.
    pub(super) minted: String,
    /// False when some of it could not be read.
    pub(super) whole: bool,
    /// `None` for that of its backends.
    pub(super) vpc: Option<Spanned<String>>,
    pub(super) clients: Vec<Spanned<String>>,
    pub(super) addresses: Vec<Spanned<IpAddr>>,
    /// Kind and name.
    pub(super) public: Option<(&'static str, Spanned<String>)>,
    pub(super) listeners: Vec<Listener>,
    pub(super) backends: Backends,
    pub(super) health: Option<HealthCheck>,
    pub(super) affinity: Option<Spanned<i64>>,
}

/// Where connections go, as it was said.
pub(super) enum Backends {
    /// Interfaces and addresses, one by one.
    Named { interfaces: Vec<Spanned<String>>, addresses: Vec<Spanned<IpAddr>> },
    /// The workloads of a namespace that have these labels, and where that is said.
    Selected { namespace: String, labels: Vec<(String, String)>, span: Span },
}

/// How backends are watched where nobody says how: OVN's interval and timeout, and Kube-OVN's counts.
pub(super) fn default_health(span: Span) -> HealthCheck {
    HealthCheck { span, interval: 5, timeout: 20, successes: 3, failures: 3 }
}

/// Resolves everything. What dangles is reported and left out.
pub(super) fn resolve(
    declared: Vec<Declared>,
    public: &PublicAddresses,
    workloads: &[Selectable],
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) {
    let balancers = unique("the balancer", declared, |d| &d.minted, |d| Some(d.name.span), sink);
    for declared in balancers {
        let balancer = Resolver { declared: &declared, workloads, names, model, sink }.balancer(public);
        model.balancers.extend(balancer);
    }
}

/// What one balancer is resolved with.
struct Resolver<'r> {
    declared: &'r Declared,
    workloads: &'r [Selectable],
    names: &'r SubnetNames,
    model: &'r Model,
    sink: &'r mut Sink,
}

impl Resolver<'_> {
    fn balancer(&mut self, public: &PublicAddresses) -> Option<Balancer> {
        let declared = self.declared;
        let who = format!("{} `{}`", declared.kind, declared.name);
        let said = match &declared.vpc {
            Some(name) => Some(self.vpc(name, &who)?),
            None => None,
        };
        let backends = self.backends(said);
        let vpc = match said {
            Some(vpc) => vpc,
            None => self.vpc_of(&backends, &who)?,
        };
        let public = match &declared.public {
            Some((kind, name)) => {
                let found = outside::find_public(public, kind, name, &who, self.names, self.sink)?;
                Some(Spanned::new(found, name.span))
            }
            None => None,
        };
        let mut clients: Vec<Spanned<VpcId>> = Vec::new();
        for name in &declared.clients {
            let client = self.vpc(name, &format!("a client of {who}"));
            clients.extend(client.map(|client| Spanned::new(client, name.span)));
        }
        Some(Balancer {
            name: declared.minted.clone(),
            span: declared.name.span,
            vpc,
            clients,
            addresses: declared.addresses.clone(),
            public,
            listeners: declared.listeners.clone(),
            backends,
            health: declared.health,
            affinity: declared.affinity,
        })
    }

    fn vpc(&mut self, name: &Spanned<String>, who: &str) -> Option<VpcId> {
        self.names.vpc_of(format_args!("{who}"), name, self.model, self.sink)
    }

    /// The backends, each once; none at all is reported.
    fn backends(&mut self, vpc: Option<VpcId>) -> Vec<Spanned<Backend>> {
        let n_errors = self.sink.n_errors();
        let found = match &self.declared.backends {
            Backends::Named { interfaces, addresses } => self.named(interfaces, addresses),
            Backends::Selected { namespace, labels, span } => self.selected(namespace, labels, *span, vpc),
        };
        let mut backends: Vec<Spanned<Backend>> = Vec::with_capacity(found.len());
        let mut seen = BTreeSet::new();
        backends.extend(found.into_iter().filter(|backend| seen.insert(backend.value)));
        let is_sure =
            self.declared.whole && self.sink.n_errors() == n_errors && !self.names.may_lack_interfaces();
        if backends.is_empty() && is_sure {
            let (place, message) = match &self.declared.backends {
                Backends::Named { .. } => (self.declared.name.span, "has no backend".to_owned()),
                Backends::Selected { namespace, labels, span } => {
                    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}:{v}")).collect();
                    let labels = labels.join(", ");
                    (*span, format!("selects no workload of namespace `{namespace}` with {labels}"))
                }
            };
            let message = format!("{} `{}` {message}", self.declared.kind, self.declared.name);
            self.sink.push(
                Diagnostic::new(Code::BalancerEmpty, place, message).note("connections to it are refused"),
            );
        }
        backends
    }

    fn named(
        &mut self,
        interfaces: &[Spanned<String>],
        addresses: &[Spanned<IpAddr>],
    ) -> Vec<Spanned<Backend>> {
        let mut found = Vec::new();
        for name in interfaces {
            let id = self.names.interface(name, self.model, self.sink);
            found.extend(id.map(|id| Spanned::new(Backend::Port(id), name.span)));
        }
        found.extend(addresses.iter().map(|address| address.map(Backend::Address)));
        found
    }

    /// The interfaces of workloads with all of the labels; of one VPC, where it is known.
    fn selected(
        &self,
        namespace: &str,
        labels: &[(String, String)],
        span: Span,
        vpc: Option<VpcId>,
    ) -> Vec<Spanned<Backend>> {
        let is_meant = |workload: &&Selectable| {
            workload.namespace == namespace && labels.iter().all(|label| workload.labels.contains(label))
        };
        let is_here =
            |id: &PortId| vpc.is_none_or(|vpc| self.model.subnet(self.model.port(*id).subnet).vpc == vpc);
        let ports = self.workloads.iter().filter(is_meant).filter_map(|w| find_port(self.model, &w.port));
        ports.filter(is_here).map(|id| Spanned::new(Backend::Port(id), span)).collect()
    }

    /// The one VPC that the backends are in, or the balancer's address where there are none.
    fn vpc_of(&mut self, backends: &[Spanned<Backend>], who: &str) -> Option<VpcId> {
        let model = self.model;
        let around = |address: IpAddr| {
            let is_around = move |subnet: &&Subnet| {
                subnet.block_for(address).is_some_and(|block| block.cidr.value.contains(&address))
            };
            model.subnets.iter().filter(is_around).map(|subnet| subnet.vpc)
        };
        let mut vpcs: BTreeSet<VpcId> = BTreeSet::new();
        for backend in backends {
            match backend.value {
                Backend::Port(id) => vpcs.extend([model.subnet(model.port(id).subnet).vpc]),
                Backend::Address(address) => vpcs.extend(around(address)),
            }
        }
        if backends.is_empty() {
            vpcs = self.declared.addresses.iter().flat_map(|address| around(address.value)).collect();
        }
        if vpcs.len() > 1 {
            let named: Vec<String> = vpcs.iter().map(|id| format!("`{}`", model.vpc(*id).name)).collect();
            let message = format!("{who} may be in VPC {}", named.join(" or "));
            self.sink.push(
                Diagnostic::new(Code::MissingField, self.declared.name.span, message)
                    .note("its backends are in each of them")
                    .help("add the annotation `ovn.kubernetes.io/logical_router` with the VPC's name"),
            );
            return None;
        }
        Some(vpcs.into_iter().next().unwrap_or(VpcId(0)))
    }
}
