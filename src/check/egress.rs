//! Egress rules of security groups beside balancers: they are asked before a balancer has chosen, and see its
//! address (ovn-northd(8), switch ingress tables). Who thinks of backends closes too much, or too little.
//!
//! | rule | code |
//! |---|---|
//! | who may send to a balancer's backends may send to the balancer | N0529 |
//! | who may send to a balancer may send to its backends | N0529 |
//!
//! A rule about source ports or some of a member's addresses is taken to be about all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{
    Balancer, Direction, Family, GroupId, GroupRule, Listener, PortId, Protocol, Remote, SecurityGroup,
    Transport, Verdict, VpcId,
};

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    if model.balancers.is_empty() {
        return;
    }
    // One interface stands for all that are in the same groups.
    let mut members: BTreeMap<VpcId, BTreeMap<BTreeSet<GroupId>, PortId>> = BTreeMap::new();
    for (id, port) in model.ports().filter(|(_, port)| !port.groups.is_empty()) {
        let groups = port.groups.iter().map(|group| group.value).collect();
        members.entry(model.subnet(port.subnet).vpc).or_default().entry(groups).or_insert(id);
    }
    let ports = ctx.assignment.ports_by_address(model);
    for balancer in &model.balancers {
        let clients = balancer.vpcs().into_iter().flat_map(|vpc| members.get(&vpc).into_iter().flatten());
        for (groups, port) in clients {
            let told =
                balancer.listeners.iter().find_map(|l| differs(ctx, &ports, balancer, l, groups, *port));
            if let Some(diagnostic) = told {
                ctx.report(diagnostic);
            }
        }
    }
}

/// Where a packet goes: its address, and the interface that has it.
type To = (IpAddr, Option<PortId>);

/// What there is to say of the members of these groups, one of whom is `port`.
fn differs(
    ctx: &Ctx<'_>,
    ports: &BTreeMap<(VpcId, IpAddr), PortId>,
    balancer: &Balancer,
    listener: &Listener,
    groups: &BTreeSet<GroupId>,
    port: PortId,
) -> Option<Diagnostic> {
    let model = ctx.model;
    let groups: Vec<(GroupId, &SecurityGroup)> = groups.iter().map(|id| (*id, model.group(*id))).collect();
    let judge = |to: To, at: u16| {
        let of = |id: PortId| model.port(id).groups.iter().map(|group| group.value).collect::<BTreeSet<_>>();
        verdict(&groups, (to.0, to.1.map(of).unwrap_or_default()), listener.protocol, at)
    };
    let own = ctx.assignment.balanced(balancer);
    let to_balancer = || own.iter().map(|address| judge((address.value, None), listener.port.value));
    let backends = balancer.backends.iter().flat_map(|backend| ctx.assignment.backend(backend.value));
    let backends: Vec<To> =
        backends.map(|address| (address, ports.get(&(balancer.vpc, address)).copied())).collect();
    let may_send = to_balancer().any(|judged| judged.is_allowed());
    let (owner, name) = (&model.port(port).owner(), &balancer.name);
    let mut judged = backends.iter().map(|to| (to.0, judge(*to, listener.target_port.value)));
    if may_send {
        let (address, Judged::Dropped(rule)) =
            judged.find(|(_, judged)| matches!(judged, Judged::Dropped(_)))?
        else {
            return None;
        };
        let message = format!("{owner} reaches {address} by balancer `{name}`, whatever this rule says");
        let diagnostic = Diagnostic::new(Code::BalancerBeforeRules, rule.verdict.span, message)
            .label(listener.port.span, "egress rules see this port of the balancer's address")
            .help("say it of the balancer's address too, or in the ingress rules of its backends");
        return Some(diagnostic);
    }
    let (_, Judged::Allowed(Some(rule))) = judged.find(|(_, judged)| judged.is_allowed())? else {
        return None;
    };
    let address = own.first()?;
    let message = format!("{owner} may send to the backends of balancer `{name}`, and not to the balancer");
    Some(
        Diagnostic::new(Code::BalancerBeforeRules, listener.port.span, message)
            .at("egress rules see this port of the balancer's address")
            .label(rule.span, "lets it reach a backend by itself")
            .help(format!("allow {} port {} of {address} as well", listener.protocol, listener.port)),
    )
}

/// What becomes of a packet, and the rule that says so where it was one.
#[derive(Clone, Copy)]
enum Judged<'m> {
    Allowed(Option<&'m GroupRule>),
    Dropped(&'m GroupRule),
    Closed,
}

impl Judged<'_> {
    fn is_allowed(self) -> bool {
        matches!(self, Judged::Allowed(_))
    }
}

/// The egress rules of some groups, tier by tier; what none lets pass is dropped.
fn verdict<'m>(
    groups: &[(GroupId, &'m SecurityGroup)],
    (address, holder): (IpAddr, BTreeSet<GroupId>),
    protocol: Transport,
    port: u16,
) -> Judged<'m> {
    for tier in 0..=1 {
        let here: Vec<_> = groups.iter().filter(|(_, group)| group.tier == tier).collect();
        let rules = here.iter().flat_map(|(_, group)| &group.rules);
        let meets = |rule: &&GroupRule| meets(rule, address, &holder, protocol, port);
        let first = rules.filter(meets).min_by_key(|rule| rule.priority.value);
        match first.map(|rule| (rule, rule.verdict.value)) {
            Some((rule, Verdict::Allow)) => return Judged::Allowed(Some(rule)),
            Some((rule, Verdict::Drop)) => return Judged::Dropped(rule),
            Some((_, Verdict::Pass)) => continue,
            None => {}
        }
        if here.iter().any(|(id, group)| group.same_group.is_some() && holder.contains(id)) {
            return Judged::Allowed(None);
        }
    }
    Judged::Closed
}

fn meets(
    rule: &GroupRule,
    address: IpAddr,
    holder: &BTreeSet<GroupId>,
    protocol: Transport,
    port: u16,
) -> bool {
    let carries = match rule.protocol {
        Protocol::Any => true,
        Protocol::Icmp => false,
        Protocol::Tcp => protocol == Transport::Tcp,
        Protocol::Udp => protocol == Transport::Udp,
        Protocol::Sctp => protocol == Transport::Sctp,
    };
    let remote = match &rule.remote {
        Remote::Net(net) => net.value.contains(&address),
        Remote::Group(_, id) => id.is_some_and(|id| holder.contains(&id)),
    };
    carries
        && remote
        && rule.direction == Direction::FromGuest
        && rule.family == Family::of(IpNet::from(address))
        && rule.ports.is_none_or(|range| (range.value.first..=range.value.last).contains(&port))
}
