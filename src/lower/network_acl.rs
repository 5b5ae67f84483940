//! Network ACL → ACL on the subnet's switch for what comes in, Logical_Router_Policy for what leaves.
//!
//! | meant | stored |
//! |---|---|
//! | rule for what comes in | `from-lport` ACL, `inport` the switch's port towards the router, `allow-stateless` or `drop` |
//! | what the gateway itself says | `allow-stateless` above all rules; a policy that lets pass what goes back |
//! | rule for what leaves | policy of the router, `inport` its port in the subnet, `allow` or `drop` |
//! | the same, where the VPC has policies by hand | those in a chain of their own, which a rule that lets pass jumps to |
//! | anything else | dropped, at either place |
//!
//! Two places, as there is none where OVN asks for replies in both directions: a switch with an `allow-related`
//! rule lets replies pass before any ACL (ovn-northd(8), priority 65532). What comes from a router's port isn't
//! tracked at all, and routers have no connections. What a router answers itself comes by its policies like what
//! it forwards (ovn-northd(8), from IP Input on). Both are asked at the subnet's border, so that neighbours
//! aren't judged. Only versions of IP that the subnet has get rows. Fixtures: `native/network-acl`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::filter::{acl_name, ip, of_net, packets};
use super::log;
use super::subnet::direction;
use crate::model::{Direction, Family, GroupRule, Model, NetworkAcl, Remote, Subnet, SubnetId, Verdict, Vpc};
use crate::names;
use crate::nb::{Acl, Key, LogicalRouterPolicy, Ref, Rows, Table};
use crate::priority::{self, network_acl_rule};
use crate::span::Span;

/// The chain of a router's policies by hand, where rules of network ACLs come before them.
const BY_HAND: &str = "by-hand";

/// What an ACL does that lets pass: not even what other rules of the switch have tracked is looked up.
const ALLOW: &str = "allow-stateless";
const DROP: &str = "drop";

/// What may come into a subnet.
pub(super) fn into(model: &Model, subnet: &Subnet, rows: &mut Rows, acls: &mut BTreeSet<Ref>) {
    let Some((list, named)) = list_of(model, subnet) else { return };
    let vpc = model.vpc(subnet.vpc);
    let mut border = Border { subnet, list, anchor: names::router_side(vpc, subnet), acls, rows };
    for block in &subnet.blocks {
        let (ip, gateway) = (ip(Family::of(block.cidr.value)), block.gateway);
        let name = format!("gateway/{ip}");
        border.add(&name, &name, gateway.span, |acl| {
            acl.priority = priority::NETWORK_ACL_GATEWAY;
            acl.matching += &match gateway.value {
                IpAddr::V4(own) => format!("{ip}.src == {own}"),
                IpAddr::V6(own) => format!("{ip}.src == {{{own}, fe80::/64}}"),
            };
            acl.action = ALLOW.to_owned();
        });
    }
    for (what, text, rule) in rules(list, subnet, Direction::ToGuest) {
        let logged = log::lower(rule.log, vpc, border.rows);
        border.add(&what, &rule.priority.to_string(), rule.span, |acl| {
            acl.priority = network_acl_rule(rule.priority.value);
            acl.matching += &text;
            acl.action = if rule.verdict.value == Verdict::Allow { ALLOW } else { DROP }.to_owned();
            logged.write(acl);
        });
    }
    border.add("rest", "rest", named, |acl| {
        acl.priority = priority::NETWORK_ACL_DROP;
        acl.matching += "ip";
        acl.action = DROP.to_owned();
    });
}

/// A subnet's border, as what comes in meets it.
struct Border<'r> {
    subnet: &'r Subnet,
    list: &'r NetworkAcl,
    /// The switch's port towards the router.
    anchor: String,
    acls: &'r mut BTreeSet<Ref>,
    rows: &'r mut Rows,
}

impl Border<'_> {
    /// Adds an ACL; `what` tells it apart from the others, people know it as `name`.
    fn add(&mut self, what: &str, name: &str, span: Span, say: impl FnOnce(&mut Acl)) {
        let mut acl = Acl {
            name: Some(acl_name(&self.list.name.value, &format!("ingress/{name}"))),
            direction: direction(Direction::FromGuest).to_owned(),
            matching: format!("inport == \"{}\" && ", self.anchor),
            ..Acl::default()
        };
        say(&mut acl);
        let key = Key::new(Table::Acl, format!("{}/network-acl/{what}", self.subnet.name));
        self.acls.insert(Ref::Key(key.clone()));
        self.rows.insert(key, acl, Some(span));
    }
}

/// What may leave the subnets of a VPC.
pub(super) fn out_of(
    model: &Model,
    subnets: &[SubnetId],
    chain: Option<&str>,
    rows: &mut Rows,
) -> BTreeSet<Ref> {
    let mut refs = BTreeSet::new();
    let mut add = |key: String, priority: i64, matching: String, verdict: Verdict, span: Span| {
        let action = match (verdict, chain) {
            (Verdict::Allow, None) => "allow",
            (Verdict::Allow, Some(_)) => "jump",
            (Verdict::Drop | Verdict::Pass, _) => DROP,
        };
        let key = Key::new(Table::LogicalRouterPolicy, key);
        let row = LogicalRouterPolicy {
            priority,
            matching,
            action: action.to_owned(),
            jump_chain: chain.filter(|_| verdict == Verdict::Allow).map(str::to_owned),
            ..LogicalRouterPolicy::default()
        };
        refs.insert(Ref::Key(key.clone()));
        rows.insert(key, row, Some(span));
    };
    let mut last = None;
    for subnet in subnets.iter().map(|id| model.subnet(*id)) {
        let Some((list, named)) = list_of(model, subnet) else { continue };
        let vpc = model.vpc(subnet.vpc);
        let anchor = format!("inport == \"{}\"", names::router_port(vpc, subnet));
        let key = |what: &str| format!("{}/network-acl/{}/{what}", vpc.name, subnet.name);
        for block in &subnet.blocks {
            let ip = ip(Family::of(block.cidr.value));
            let within = match block.cidr.value {
                IpNet::V4(own) => format!("{ip}.dst == {own}"),
                IpNet::V6(own) => format!("{ip}.dst == {{{own}, fe80::/64}}"),
            };
            let (key, span) = (key(&format!("gateway/{ip}")), block.gateway.span);
            let matching = format!("{anchor} && {within}");
            add(key, priority::NETWORK_ACL_GATEWAY, matching, Verdict::Allow, span);
        }
        for (what, text, rule) in rules(list, subnet, Direction::FromGuest) {
            let priority = network_acl_rule(rule.priority.value);
            add(key(&what), priority, format!("{anchor} && {text}"), rule.verdict.value, rule.span);
        }
        add(key("rest"), priority::NETWORK_ACL_DROP, format!("{anchor} && ip"), Verdict::Drop, named);
        last = Some((vpc, named));
    }
    if let (Some((vpc, span)), Some(_)) = (last, chain) {
        let key = format!("{}/network-acl/next", vpc.name);
        add(key, priority::POLICIES_NEXT, "1".to_owned(), Verdict::Allow, span);
    }
    refs
}

/// The chain of the policies by hand, where they must not come before network ACLs, nor after their last word.
pub(super) fn chain(model: &Model, vpc: &Vpc, subnets: &[SubnetId]) -> Option<&'static str> {
    let filtered = subnets.iter().any(|id| list_of(model, model.subnet(*id)).is_some());
    (filtered && !vpc.policy_routes.is_empty()).then_some(BY_HAND)
}

/// A subnet's list, and where it is named.
fn list_of<'m>(model: &'m Model, subnet: &Subnet) -> Option<(&'m NetworkAcl, Span)> {
    subnet.network_acl.map(|named| (model.network_acl(named.value), named.span))
}

/// The rules of a direction for versions of IP that the subnet has, each once: what tells it apart, and its match.
fn rules<'m>(list: &'m NetworkAcl, subnet: &Subnet, way: Direction) -> Vec<(String, String, &'m GroupRule)> {
    let has = |family| subnet.blocks.iter().any(|block| Family::of(block.cidr.value) == family);
    let mut rules: Vec<&GroupRule> =
        list.rules.iter().filter(|rule| rule.direction == way && has(rule.family)).collect();
    rules.sort_by_key(|rule| (rule.priority.value, rule.family));
    let mut keys = super::RuleKeys::new();
    let written = rules.into_iter().filter_map(|rule| {
        let Remote::Net(net) = &rule.remote else { return None };
        let text = packets(rule, of_net(rule, net.value));
        let what = keys.mint(&rule.priority.to_string(), &text, rule.verdict.value)?;
        Some((what, text, rule))
    });
    written.collect()
}
