//! Rules, routes and translations that nothing is left to.
//!
//! Of rules it is known from what is left by those before them, all together, wherever they are asked. Of the rest from
//! what decided about packets. Refuses to say whether that was meant.

use std::collections::BTreeMap;

use super::Meaning;
use crate::reach::set::Set;
use crate::span::Span;

/// What is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Idle {
    /// A rule of a security group, a network ACL or a subnet.
    Rule,
    /// A route.
    Route,
    /// A policy.
    Policy,
    /// A translation.
    Translation,
}

impl Meaning<'_> {
    /// Rules to which those before them leave no packet, wherever they have been asked so far.
    pub fn idle_rules(&self) -> Vec<Span> {
        let model = self.net.model;
        let groups = model.groups.iter().flat_map(|group| &group.rules);
        let lists = model.network_acls.iter().flat_map(|list| &list.rules);
        let acls = model.subnets.iter().flat_map(|subnet| &subnet.acls).map(|acl| acl.span);
        let rules = groups.chain(lists).map(|rule| rule.span).chain(acls);
        let mut is_used: BTreeMap<Span, Option<bool>> = rules.map(|span| (span, None)).collect();
        let mut see = |lines: &[(Set, Option<Span>, String)]| {
            for (set, span, _) in lines {
                if let Some(used) = span.and_then(|span| is_used.get_mut(&span)) {
                    *used = Some(used.unwrap_or(false) || !set.is_none());
                }
            }
        };
        self.decisions.borrow().values().for_each(|decision| see(&decision.lines));
        let leaving = model.subnets().filter_map(|(id, _)| self.leaving(id));
        leaving.for_each(|decision| see(&decision.lines));
        is_used.into_iter().filter(|(_, used)| *used == Some(false)).map(|(span, _)| span).collect()
    }

    /// Routes, policies and translations that somebody wrote.
    pub fn written(&self) -> Vec<(Idle, Span)> {
        let model = self.net.model;
        let routes = model.vpcs.iter().flat_map(|vpc| &vpc.static_routes);
        let policies = model.vpcs.iter().flat_map(|vpc| &vpc.policy_routes);
        let translations = self.net.translations.iter().flatten();
        let routes = routes.map(|route| (Idle::Route, route.span));
        let policies = policies.map(|policy| (Idle::Policy, policy.span));
        routes.chain(policies).chain(translations.map(|it| (Idle::Translation, it.span))).collect()
    }
}
