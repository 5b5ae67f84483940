//! `northc.io/v1alpha1` Expectation: what must, or must never, reach what.
//!
//! No row comes of it: `northc check`, `reach`, `plan` and `apply` hold the rows to it. Refuses to look up names;
//! they are found in the rows.

use super::Declared;
use crate::model::{self, Expected, Service};
use crate::source::declare::{OneOrMore, Word, Words, declare};
use crate::span::Spanned;

declare! {
    /// What must reach what, or must not. It makes no rows; `check`, `compile`, `plan`, `apply` and `reach` hold the rows to it.
    pub(crate) struct Expectation "Expectation.spec" {
        /// Who sends: interfaces, machines, subnets, VPCs, addresses, prefixes, `internet`, `*` for every machine, or labels: `app=web,tier!=test`.
        "from" from: OneOrMore<Spanned<String>>,
        /// Who of these is not meant.
        "except" except: OneOrMore<Spanned<String>> = "nobody",
        /// Who is sent to.
        "to" to: OneOrMore<Spanned<String>>,
        /// What is sent: `tcp/443`, `udp/8000-8080`, `icmp`.
        "services" services: OneOrMore<Spanned<Service>> = "everything",
        /// What must hold. `reachable`: all of it arrives and is answered, whatever OVN chooses. `unreachable`: none of it arrives, even from machines that give themselves routes. `only`: nothing else reaches `to`, neither from others nor by other services.
        "expect" expect: Word<Expected>,
        /// Whether machines are taken to have their default routes, told or not; for `reachable`, the others always do.
        "routed" routed: Option<Spanned<bool>> = "false",
    }
}

impl Words for Expected {
    const WORDS: &'static [(&'static str, Expected)] = &[
        ("reachable", Expected::Reachable),
        ("unreachable", Expected::Unreachable),
        ("only", Expected::Only),
    ];
}

/// The expectation; its names stay names.
pub(super) fn expectation(said: Declared<Expectation>) -> model::Expectation {
    let spec = said.spec;
    model::Expectation {
        name: said.name,
        from: spec.from.0,
        except: spec.except.0,
        to: spec.to.0,
        services: spec.services.0,
        expected: spec.expect.0,
        is_routed: spec.routed.is_some_and(|on| on.value),
    }
}
