//! `northc.io/v1alpha1` PrefixList: prefixes under a name, which stands wherever a prefix can.
//!
//! A list that does not exist is reported where it is named. Refuses lists of lists.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{Declared, unknown};
use crate::diag::{Code, Diagnostic, Sink};
use crate::source::Doubts;
use crate::source::declare::{Cidr, OneOrMore, declare};
use crate::source::pools;
use crate::source::resolve::unique;
use crate::span::Spanned;

declare! {
    /// Prefixes under a name, which stands wherever a prefix can.
    pub(crate) struct PrefixList "PrefixList.spec" {
        /// The prefixes, of either family.
        "cidrs" cidrs: OneOrMore<Spanned<IpNet>>,
    }
}

/// Every list by its name.
pub(crate) struct PrefixLists {
    by_name: BTreeMap<String, Vec<IpNet>>,
    /// Lists that may exist although they were not read.
    left_out: BTreeSet<String>,
    /// Any may.
    lost: bool,
}

impl PrefixLists {
    /// The lists, and pools of addresses, which stand where lists do.
    pub(super) fn new(
        declared: Vec<Declared<PrefixList>>,
        pools: &[pools::Declared],
        doubts: &Doubts,
        sink: &mut Sink,
    ) -> PrefixLists {
        let lists = unique("PrefixList", declared, |l| &l.name.value, |l| Some(l.name.span), sink);
        let mut by_name: BTreeMap<String, Vec<IpNet>> = BTreeMap::new();
        for pool in pools {
            let nets = pool.ranges.iter().flat_map(|range| range.value.nets()).collect();
            by_name.insert(pool.name.value.clone(), nets);
        }
        for list in lists {
            if let Some(pool) = pools.iter().find(|pool| pool.name.value == list.name.value) {
                let message = format!("`{}` is a PrefixList and a pool of addresses", list.name);
                sink.push(
                    Diagnostic::new(Code::DuplicateObject, list.name.span, message)
                        .label(pool.name.span, "the pool")
                        .help("rename one of them: rules could mean either"),
                );
            }
            by_name.insert(list.name.value, list.spec.cidrs.0.iter().map(|cidr| cidr.value).collect());
        }
        let kinds = ["PrefixList", "IpPool", "IPPool"];
        let left_out = doubts.left_out.iter().filter(|(kind, _)| kinds.contains(kind));
        PrefixLists { by_name, left_out: left_out.map(|(_, name)| name.clone()).collect(), lost: doubts.lost }
    }

    /// Prefixes as written, and those of lists at the place where the list is named.
    pub(super) fn expand(
        &self,
        cidrs: impl IntoIterator<Item = Cidr>,
        sink: &mut Sink,
    ) -> Vec<Spanned<IpNet>> {
        let mut expanded = Vec::new();
        for cidr in cidrs {
            match cidr {
                Cidr::Net(net) => expanded.push(net),
                Cidr::List(name) => match self.by_name.get(&name.value) {
                    Some(nets) => expanded.extend(nets.iter().map(|net| Spanned::new(*net, name.span))),
                    None if self.lost || self.left_out.contains(&name.value) => {}
                    None => {
                        let known = self.by_name.keys().map(String::as_str);
                        sink.push(unknown("PrefixList", &name, known));
                    }
                },
            }
        }
        expanded
    }
}
