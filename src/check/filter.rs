//! Security groups: do their rules say something, do they agree, and what else filters the same ports?
//!
//! | rule | code |
//! |---|---|
//! | a rule's priority is one that there is room for | N0429 |
//! | tiers exist in the target; the last tier passes nothing on | N0601, N0123 |
//! | a rule stands there once; others of its group leave something to it | N0512, N0519 |
//! | rules of one priority agree, or look at different packets, also those of groups that share a port | N0506 |
//! | what is logged has a limit that a meter can have | N0528 |
//! | a group has members | N0520 |
//! | what a group lets in, private lets in; `acls` on the same ports are mentioned | N0521 |
//! | members whose addresses are trusted can't be impersonated | N0522 |
//! | members send from addresses that their group stands for, where rules name it | N0530 |
//!
//! Names are `resolve`'s business, families and ports the reader's.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::Ctx;
use super::addressing::overlap;
use super::policy::lets_pass;
use crate::diag::{Code, Diagnostic};
use crate::model::{
    Acl, Direction, GroupId, GroupRule, Port, PortRange, Protocol, Remote, SecurityGroup, Subnet, SubnetId,
    Verdict, VpcId,
};
use crate::priority::{GROUP_RULES, GROUPS_DROP, group_rule};
use crate::span::{Span, Spanned};

/// What a meter of OVN can be told (ovn-nb(5), Meter_Band.rate).
pub(super) const METER_RATES: std::ops::RangeInclusive<i64> = 1..=4_294_967_295;

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let joined: BTreeSet<GroupId> =
        model.ports.iter().flat_map(|port| port.groups.iter().map(|group| group.value)).collect();
    for (id, group) in model.groups() {
        tiers(ctx, group);
        rules(ctx, id, group);
        if !joined.contains(&id) && model.whole {
            let message = format!("nobody joins security group `{}`", group.name);
            let help = "name it in `securityGroups` of interfaces, or in the annotation `ovn.kubernetes.io/security_groups` of workloads";
            ctx.report(Diagnostic::new(Code::GroupEmpty, group.name.span, message).help(help));
        }
    }
    shared_ports(ctx);
    mixed(ctx);
    forgeable(ctx);
    pairs(ctx);
}

fn tiers(ctx: &mut Ctx<'_>, group: &SecurityGroup) {
    let passes = group.rules.iter().filter(|rule| rule.verdict.value == Verdict::Pass);
    let passes: Vec<_> = passes.map(|rule| rule.verdict.span).collect();
    if let Some(tier) = group.tier_span {
        for pass in &passes {
            let message =
                format!("`pass` leaves a packet to the next tier, and `{}` is in the last", group.name);
            ctx.report(Diagnostic::new(Code::ConflictingFields, *pass, message).label(tier, "the last tier"));
        }
    }
    let Some(first) = group.tier_span.or(passes.first().copied()) else { return };
    if !ctx.target.has_acl_tiers() {
        let message = format!("tiers need OVN 23.06, the target is {}", ctx.target);
        ctx.report(
            Diagnostic::new(Code::TargetLacks, first, message)
                .help("name the OVN that you have with --ovn-version"),
        );
    }
}

/// The limit of what a rule logs is one that a meter can have.
pub(super) fn log_rates<'r>(ctx: &mut Ctx<'_>, rules: impl Iterator<Item = &'r GroupRule>) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for rate in rules.filter_map(|rule| Some(rule.log?.value.rate)) {
        if !METER_RATES.contains(&rate.value) && told.insert(rate.span) {
            let message = format!("{rate} messages a second is no limit that a meter of OVN can have");
            let help = format!("give a rate of {} to {}", METER_RATES.start(), METER_RATES.end());
            ctx.report(Diagnostic::new(Code::MeterRate, rate.span, message).help(help));
        }
    }
}

fn rules(ctx: &mut Ctx<'_>, id: GroupId, group: &SecurityGroup) {
    log_rates(ctx, group.rules.iter());
    for rule in &group.rules {
        if !GROUP_RULES.contains(&rule.priority.value) {
            let (first, last) = (GROUP_RULES.start(), GROUP_RULES.end());
            let message = format!("priority {} is outside {first} – {last}", rule.priority);
            ctx.report(Diagnostic::new(Code::PriorityRange, rule.priority.span, message));
        }
    }
    for (nth, rule) in group.rules.iter().enumerate() {
        let before = &group.rules[..nth];
        if let Some(twin) = before.iter().find(|other| is_same(rule, other)) {
            let message = format!("the same rule stands in security group `{}` twice", group.name);
            ctx.report(Diagnostic::new(Code::AclTwice, rule.span, message).label(twin.span, "first here"));
            continue;
        }
        if let Some(rival) = before.iter().find(|other| disagree(rule, other)) {
            tie(ctx, rule, rival, "two rules");
        }
        shadowed(ctx, id, group, rule);
    }
}

/// A rule to which others of its group leave nothing, or nothing that is not done anyway.
fn shadowed(ctx: &mut Ctx<'_>, id: GroupId, group: &SecurityGroup, rule: &GroupRule) {
    let above = |other: &&GroupRule| other.priority.value < rule.priority.value && covers(other, rule);
    if let Some(other) = group.rules.iter().find(above) {
        let message = format!("no packet is left to this rule of security group `{}`", group.name);
        ctx.report(
            Diagnostic::new(Code::GroupRuleShadowed, rule.span, message)
                .label(other.span, format!("takes them all, at priority {}", other.priority))
                .help("give it a lower number, or take it out"),
        );
        return;
    }
    let of_itself = matches!(rule.remote, Remote::Group(_, Some(remote)) if remote == id);
    if let (true, Verdict::Allow, Some(same)) = (of_itself, rule.verdict.value, group.same_group) {
        let message = format!("members of `{}` reach each other without this rule", group.name);
        ctx.report(
            Diagnostic::new(Code::GroupRuleShadowed, rule.span, message)
                .label(same, "by this")
                .help("take one of them out; the rule alone opens no more than it says"),
        );
    }
}

fn tie(ctx: &mut Ctx<'_>, rule: &GroupRule, rival: &GroupRule, who: &str) {
    let message = format!("{who} of priority {} disagree, and may see one packet", rule.priority);
    ctx.report(
        Diagnostic::new(Code::AclTie, rule.priority.span, message)
            .label(rival.priority.span, "the other")
            .help("OVN may take either; give them different priorities"),
    );
}

/// Groups that meet on a port: their rules are one list there.
fn shared_ports(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut pairs: BTreeSet<(GroupId, GroupId)> = BTreeSet::new();
    for port in &model.ports {
        for (nth, group) in port.groups.iter().enumerate() {
            pairs.extend(port.groups[..nth].iter().map(|other| (other.value, group.value)));
        }
    }
    for (one, other) in pairs {
        let (one, other) = (model.group(one), model.group(other));
        if one.tier != other.tier {
            continue;
        }
        let mut by_place: BTreeMap<(Direction, i64), Vec<&GroupRule>> = BTreeMap::new();
        for rule in &one.rules {
            by_place.entry((rule.direction, rule.priority.value)).or_default().push(rule);
        }
        for rule in &other.rules {
            let rivals = by_place.get(&(rule.direction, rule.priority.value)).into_iter().flatten();
            if let Some(rival) = rivals.copied().find(|rival| disagree(rule, rival)) {
                let who = format!("groups `{}` and `{}` share a port, and rules", one.name, other.name);
                tie(ctx, rule, rival, &who);
            }
        }
    }
}

/// What else filters ports that are in groups.
fn mixed(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut groups: BTreeMap<SubnetId, BTreeSet<GroupId>> = BTreeMap::new();
    let mut subnets: BTreeMap<GroupId, BTreeSet<SubnetId>> = BTreeMap::new();
    for port in &model.ports {
        for group in &port.groups {
            groups.entry(port.subnet).or_default().insert(group.value);
            subnets.entry(group.value).or_default().insert(port.subnet);
        }
    }
    for (id, groups) in groups {
        let groups: Vec<&SecurityGroup> = groups.into_iter().map(|id| model.group(id)).collect();
        model.subnet(id).acls.iter().for_each(|acl| beside_acl(ctx, acl, &groups));
    }
    for (id, subnets) in subnets {
        let subnets: Vec<&Subnet> = subnets.into_iter().map(|id| model.subnet(id)).collect();
        model.group(id).rules.iter().for_each(|rule| beside_private(ctx, &subnets, rule));
    }
}

/// A rule by hand and the groups of its subnet's ports: who has the last word?
fn beside_acl(ctx: &mut Ctx<'_>, acl: &Acl, groups: &[&SecurityGroup]) {
    let rules = groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter(|rule| rule.direction == acl.direction && rule.verdict.value != Verdict::Drop);
    let above = rules
        .filter(|rule| group_rule(rule.priority.value) >= acl.priority.value)
        .min_by_key(|rule| rule.priority.value);
    let (message, help, witness) = match (lets_pass(acl.action.value), above) {
        (true, _) if acl.priority.value < GROUPS_DROP => (
            "this rule opens nothing for ports in security groups, which are closed above it",
            "let the packets pass by a rule of a group",
            None,
        ),
        (true, _) => (
            "this rule lets packets past the security groups of ports on its subnet",
            "let the packets pass by a rule of a group",
            None,
        ),
        (false, Some(rule)) => (
            "this rule does not hold against a rule of a security group, which lets packets pass before",
            "give it a priority above 18483, or make it a rule of the group",
            Some(rule),
        ),
        (false, None) => return,
    };
    let mut diagnostic = Diagnostic::new(Code::FiltersMixed, acl.priority.span, message).help(help);
    if let Some(rule) = witness {
        let place = group_rule(rule.priority.value);
        diagnostic = diagnostic.label(rule.priority.span, format!("stands at {place} in OVN"));
    }
    ctx.report(diagnostic);
}

/// A rule that lets in what a private subnet of a member keeps out.
fn beside_private(ctx: &mut Ctx<'_>, subnets: &[&Subnet], rule: &GroupRule) {
    let Remote::Net(net) = &rule.remote else { return };
    if rule.verdict.value != Verdict::Allow {
        return;
    }
    let lets_in = |subnet: &Subnet| {
        let own = subnet.blocks.iter().map(|block| block.cidr.value);
        own.chain(subnet.allow.iter().map(|allow| allow.value)).any(|inside| overlap(inside, net.value))
    };
    let shut = subnets.iter().find_map(|subnet| Some((subnet, subnet.private.filter(|_| !lets_in(subnet))?)));
    if let Some((subnet, private)) = shut {
        let message =
            format!("private subnet `{}` shuts {} out, whatever this rule says", subnet.name, net.value);
        ctx.report(
            Diagnostic::new(Code::FiltersMixed, net.span, message).label(private, "private by this").help(
                format!(
                    "add {} to what it allows (`allowSubnets`, `allow`), so that both let it pass",
                    net.value
                ),
            ),
        );
    }
}

/// Rules that trust the addresses of a group's members, where somebody in the VPC may send from any address.
fn forgeable(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut open: BTreeMap<VpcId, &Port> = BTreeMap::new();
    for port in model.ports.iter().filter(|port| !port.port_security) {
        open.entry(model.subnet(port.subnet).vpc).or_insert(port);
    }
    let mut told: BTreeSet<GroupId> = BTreeSet::new();
    for (vpc, members) in model.members() {
        let Some(port) = open.get(&vpc) else { continue };
        for id in members.into_keys() {
            let group = model.group(id);
            let lets_in = |rule: &&GroupRule| {
                rule.direction == Direction::ToGuest && rule.verdict.value == Verdict::Allow
            };
            let by_rule = group.rules.iter().filter(lets_in).find_map(|rule| match &rule.remote {
                Remote::Group(name, _) => Some(name.span),
                Remote::Net(_) => None,
            });
            let Some(span) = by_rule.or(group.same_group).filter(|_| told.insert(id)) else { continue };
            let message = format!("`{}` trusts addresses that others can send from too", group.name);
            ctx.report(
                Diagnostic::new(Code::GroupForgeable, span, message)
                    .at("knows members by their addresses")
                    .label(port.span, "may send from any address")
                    .help(
                        "turn on port security for it (annotation `ovn.kubernetes.io/port_security`, or `portSecurity`)",
                    ),
            );
        }
    }
}

/// Who may send from further addresses, in a group that rules know by its members' own (ovn-nb(5), Port_Group).
fn pairs(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    let mut named: BTreeMap<GroupId, Span> = BTreeMap::new();
    for (id, group) in model.groups() {
        let remotes = group.rules.iter().filter_map(|rule| match &rule.remote {
            Remote::Group(name, id) => Some(((*id)?, name.span)),
            Remote::Net(_) => None,
        });
        for (id, span) in remotes.chain(group.same_group.map(|span| (id, span))) {
            named.entry(id).or_insert(span);
        }
    }
    let pairs = model.ports.iter().filter_map(|port| {
        let pair = port.allowed_pairs.first()?;
        Some((port, pair.span, format!("from {}", pair.value.trunc())))
    });
    let vips = model.vips.iter().flat_map(|vip| {
        vip.parents.iter().map(|id| (model.port(*id), vip.span, format!("from Vip `{}`", vip.name)))
    });
    for (port, span, from) in pairs.chain(vips) {
        let known = port.groups.iter().find_map(|group| Some((group.value, *named.get(&group.value)?)));
        let Some((id, rule)) = known else { continue };
        let group = &model.group(id).name;
        let message = format!("what `{}` sends {from} does not count as from group `{group}`", port.name);
        ctx.report(
            Diagnostic::new(Code::PairOutsideGroup, span, message)
                .at("no address of its own")
                .label(rule, "knows members by their own addresses")
                .help("if it should, give such a rule for the address too"),
        );
    }
}

/// True when no packet matches the second and not the first.
pub(super) fn covers(wide: &GroupRule, narrow: &GroupRule) -> bool {
    let within = |wide: IpNet, narrow: IpNet| wide.contains(&narrow);
    let remote = match (&wide.remote, &narrow.remote) {
        (Remote::Net(wide), Remote::Net(narrow)) => within(wide.value, narrow.value),
        (Remote::Net(wide), Remote::Group(..)) => wide.value.prefix_len() == 0,
        (Remote::Group(_, wide), Remote::Group(_, narrow)) => wide == narrow,
        (Remote::Group(..), Remote::Net(_)) => false,
    };
    let local = match (wide.local, narrow.local) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => within(wide.value, narrow.value),
    };
    (wide.direction, wide.family) == (narrow.direction, narrow.family)
        && (wide.protocol == Protocol::Any || wide.protocol == narrow.protocol)
        && holds(wide.ports, narrow.ports)
        && holds(wide.source_ports, narrow.source_ports)
        && remote
        && local
}

fn holds(wide: Option<Spanned<PortRange>>, narrow: Option<Spanned<PortRange>>) -> bool {
    let (wide, narrow) = (ends(wide), ends(narrow));
    wide.first <= narrow.first && narrow.last <= wide.last
}

/// Whether a port may be in both.
pub(super) fn meet(one: Option<Spanned<PortRange>>, other: Option<Spanned<PortRange>>) -> bool {
    let (one, other) = (ends(one), ends(other));
    one.first <= other.last && other.first <= one.last
}

/// Any port where none are given.
fn ends(range: Option<Spanned<PortRange>>) -> PortRange {
    range.map_or(PortRange { first: 1, last: u16::MAX }, |range| range.value)
}

fn is_same(one: &GroupRule, other: &GroupRule) -> bool {
    one.priority.value == other.priority.value
        && one.verdict.value == other.verdict.value
        && covers(one, other)
        && covers(other, one)
}

/// Whether a packet may match both rules, which stand at one place and say different things of it.
fn disagree(one: &GroupRule, other: &GroupRule) -> bool {
    let remote = match (&one.remote, &other.remote) {
        (Remote::Net(a), Remote::Net(b)) => overlap(a.value, b.value),
        (Remote::Group(..), _) | (_, Remote::Group(..)) => true,
    };
    let protocols = [one.protocol, other.protocol];
    one.priority.value == other.priority.value
        && one.verdict.value != other.verdict.value
        && (one.direction, one.family) == (other.direction, other.family)
        && (protocols.contains(&Protocol::Any) || one.protocol == other.protocol)
        && meet(one.ports, other.ports)
        && meet(one.source_ports, other.source_ports)
        && remote
        && one.local.zip(other.local).is_none_or(|(a, b)| overlap(a.value, b.value))
}
