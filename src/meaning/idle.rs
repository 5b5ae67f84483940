//! Rules, routes and translations that nothing is left to.
//!
//! Of rules it is known from what is left by those before them, all together, wherever they are asked. Of the rest from
//! what decided about packets. Refuses to say whether that was meant.

use std::collections::{BTreeMap, BTreeSet};

use super::Meaning;
use super::rules::Decision;
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
    /// Notes what has been asked so far, and whether any packet was left to it.
    pub fn note_asked(&self, is_used: &mut BTreeMap<Span, bool>) {
        self.decisions.borrow().values().for_each(|decision| note(decision, is_used));
    }

    /// Rules to which those before them leave no packet, wherever they are asked; those of machines as it was noted.
    pub fn idle_rules(&self, mut is_used: BTreeMap<Span, bool>) -> Vec<Span> {
        let model = self.net.model;
        let leaving = model.subnets().filter_map(|(id, _)| self.leaving(id));
        leaving.for_each(|decision| note(&decision, &mut is_used));
        let groups = model.groups.iter().flat_map(|group| &group.rules);
        let lists = model.network_acls.iter().flat_map(|list| &list.rules);
        let acls = model.subnets.iter().flat_map(|subnet| &subnet.acls).map(|acl| acl.span);
        let rules: BTreeSet<Span> = groups.chain(lists).map(|rule| rule.span).chain(acls).collect();
        rules.into_iter().filter(|span| is_used.get(span) == Some(&false)).collect()
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

fn note(decision: &Decision, is_used: &mut BTreeMap<Span, bool>) {
    for (set, span, _) in &decision.lines {
        if let Some(span) = span {
            *is_used.entry(*span).or_default() |= !set.is_none();
        }
    }
}
