//! Address pools of both dialects: which subnet's they are, and who gets an address of them.
//!
//! An interface names a pool, or its namespace is one of the pool's, or it lists the addresses itself. Refuses to
//! judge addresses.

use super::kubeovn::workload;
use super::native;
use super::resolve::{SubnetNames, find_port, unique};
use crate::diag::Sink;
use crate::model::{AddressPool, AddressRange, Model, PoolId};
use crate::span::{Span, Spanned};

/// A pool, its subnet still a name.
pub(super) struct Declared {
    pub(super) name: Spanned<String>,
    pub(super) subnet: Spanned<String>,
    /// Whose workloads get their address of it.
    pub(super) namespaces: Vec<String>,
    pub(super) ranges: Vec<Spanned<AddressRange>>,
    pub(super) set: Option<Span>,
}

/// What an interface says of where its address comes from.
pub(super) enum Said {
    /// The pool.
    Pool(Spanned<String>),
    /// One of these.
    Ranges(Span, Vec<Spanned<AddressRange>>),
}

/// An interface that may get its address of a pool.
pub(super) struct Wanted {
    port: String,
    namespace: String,
    said: Option<Said>,
}

/// Those of the interfaces that say so, and all of them where pools have namespaces.
pub(super) fn wanted(interfaces: &mut [Box<workload::Interface>], pools: &[Declared]) -> Vec<Wanted> {
    let by_namespace = pools.iter().any(|pool| !pool.namespaces.is_empty());
    let wants = interfaces.iter_mut().filter(|i| by_namespace || i.pool.is_some());
    let wanted = |i: &mut Box<workload::Interface>| Wanted {
        port: i.port.clone(),
        namespace: i.namespace.clone(),
        said: i.pool.take().map(|said| *said),
    };
    wants.map(wanted).collect()
}

/// The pools by name, and the interfaces that get an address of them.
pub(super) fn resolve(
    declared: Vec<Declared>,
    wanted: Vec<Wanted>,
    names: &SubnetNames,
    model: &mut Model,
    sink: &mut Sink,
) {
    let declared = unique("IPPool", declared, |d| &d.name.value, |d| Some(d.name.span), sink);
    let mut namespaces: Vec<(String, PoolId)> = Vec::new();
    for pool in declared {
        let Some(subnet) = names.find(&pool.subnet, &format!("pool `{}`", pool.name), sink) else { continue };
        let id = PoolId(model.pools.len());
        namespaces.extend(pool.namespaces.into_iter().map(|namespace| (namespace, id)));
        model.pools.push(AddressPool {
            name: pool.name,
            subnet,
            ranges: pool.ranges,
            is_reserved: true,
            set: pool.set,
        });
    }
    let n_declared = model.pools.len();
    for wanted in wanted {
        let Some(at) = find_port(model, &wanted.port) else { continue };
        let subnet = model.port(at).subnet;
        let pool = match wanted.said {
            Some(Said::Pool(name)) => {
                let known = &model.pools[..n_declared];
                let found = known.iter().position(|pool| pool.name.value == name.value);
                if found.is_none()
                    && !["IPPool", "IpPool"].iter().any(|kind| names.may_exist(kind, &name.value))
                {
                    let known = known.iter().map(|pool| pool.name.value.as_str());
                    sink.push(native::unknown("pool", &name, known));
                }
                found.map(|at| Spanned::new(PoolId(at), name.span))
            }
            Some(Said::Ranges(span, ranges)) => {
                let name = Spanned::new(format!("of {}", model.port(at).owner()), span);
                model.pools.push(AddressPool { name, subnet, ranges, is_reserved: false, set: None });
                Some(Spanned::new(PoolId(model.pools.len() - 1), span))
            }
            None => {
                let own = |(namespace, id): &&(String, PoolId)| {
                    *namespace == wanted.namespace && model.pools[id.0].subnet == subnet
                };
                let found = namespaces.iter().find(own);
                found.map(|(_, id)| Spanned::new(*id, model.pools[id.0].name.span))
            }
        };
        model.ports[at.0].pool = pool;
    }
}
