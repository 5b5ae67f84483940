//! A rule by hand on a subnet's ports: the same fields and words in both dialects.
//!
//! Refuses to judge the match; `check` does.

use super::declare::{Int, Word, Words, declare};
use crate::model::{self, AclAction, Direction};
use crate::span::Spanned;

declare! {
    /// A rule about packets at the subnet's ports, in OVN's own words.
    pub(crate) struct Acl "an ACL" {
        /// Which packets: those that leave a guest (`from-lport`) or reach one (`to-lport`).
        "direction" direction: Word<Direction>,
        /// Higher first.
        "priority" priority: Int<0, 32767>,
        /// Which of them, in OVN's expression language.
        "match" matching: Spanned<String>,
        /// What happens to them.
        "action" action: Word<AclAction>,
    }
}

impl Words for Direction {
    const WORDS: &'static [(&'static str, Direction)] =
        &[("from-lport", Direction::FromGuest), ("to-lport", Direction::ToGuest)];
}

impl Words for AclAction {
    const WORDS: &'static [(&'static str, AclAction)] = &[
        ("allow", AclAction::Allow),
        ("allow-related", AclAction::AllowRelated),
        ("allow-stateless", AclAction::AllowStateless),
        ("drop", AclAction::Drop),
        ("reject", AclAction::Reject),
        ("pass", AclAction::Pass),
    ];
}

/// The rule as it is meant.
pub(crate) fn acl(said: Spanned<Acl>) -> model::Acl {
    model::Acl {
        span: said.span,
        direction: said.value.direction.0.value,
        priority: said.value.priority.0,
        matching: said.value.matching,
        action: said.value.action.0,
    }
}
