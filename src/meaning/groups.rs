//! Security groups: what the groups of a machine let it send and be sent, and which packets a rule is about.
//!
//! A machine in a group is closed but for what its groups let pass and for DHCP. Ranks: [`super::rules`]. Refuses to
//! rank rules of anybody else.

use std::collections::BTreeMap;

use super::Meaning;
use super::packet::host;
use super::rules::{Ranked, Says};
use crate::check::Checked;
use crate::model::{
    Direction, Family, GroupId, GroupRule, Port, PortId, PortRange, Protocol, Remote, Verdict, VpcId,
};
use crate::names as minted;
use crate::reach::address::{within, within_any};
use crate::reach::filter::{Member, Names};
use crate::reach::header::{Field, ICMP, ICMP6, SCTP, TCP, UDP, bits};
use crate::reach::set::Set;

impl Meaning<'_> {
    /// What the groups of a port say of it.
    pub(super) fn groups(&self, id: PortId, direction: Direction, rules: &mut Vec<Ranked>) {
        let model = self.net.model;
        let port: &Port = model.port(id);
        if port.groups.is_empty() {
            return;
        }
        let vpc = model.subnet(port.subnet).vpc;
        for group_id in port.groups.iter().map(|group| group.value) {
            let group = model.group(group_id);
            for rule in group.rules.iter().filter(|rule| rule.direction == direction) {
                let says = match rule.verdict.value {
                    Verdict::Allow => Says::Pass,
                    Verdict::Drop => Says::Drop,
                    Verdict::Pass => Says::Next,
                };
                let Some(set) = self.packets_of(rule, Some(vpc)) else { continue };
                let what = format!("security group `{}`", group.name);
                let (tier, rank) = (group.tier, 18_484 - rule.priority.value);
                rules.push(Ranked { tier, rank, set, says, span: Some(rule.span), what });
            }
            let mut extra = |tier, rank, set, says, span, what: &str| {
                let what = format!("security group `{}`: {what}", group.name);
                rules.push(Ranked { tier, rank, set, says, span, what });
            };
            if group.same_group.is_some() {
                let far = if direction == Direction::ToGuest { Field::IpSrc } else { Field::IpDst };
                let set = self.members(group_id, vpc, far);
                extra(group.tier, 2005, set, Says::Pass, group.same_group, "its own members");
            }
            if group.vrrp.is_some() {
                let set = self.sets.and(self.ip(None), self.sets.value(Field::IpProto, 112));
                extra(0, 2005, set, Says::Pass, group.vrrp, "VRRP");
            }
            if group.tier > 0 {
                extra(0, 2004, self.ip(None), Says::Next, group.tier_span, "is of the next tier");
            }
        }
        let first = port.groups.first().map(|group| group.span);
        let dhcp = Ranked {
            tier: 0,
            rank: 2005,
            set: self.dhcp(direction),
            says: Says::Pass,
            span: first,
            what: "DHCP passes every security group".to_owned(),
        };
        rules.push(dhcp);
        for tier in 0..=1 {
            let what = "no security group lets it pass".to_owned();
            let set = self.ip(None);
            rules.push(Ranked { tier, rank: 2003, set, says: Says::Drop, span: first, what });
        }
    }

    fn dhcp(&self, direction: Direction) -> Set {
        let of = |family, client: u128, server: u128| {
            let (from, to) = match direction {
                Direction::FromGuest => (client, server),
                Direction::ToGuest => (server, client),
            };
            let sets = self.sets;
            let ends = sets.and(sets.value(Field::TpSrc, from), sets.value(Field::TpDst, to));
            sets.and(sets.and(self.ip(Some(family)), sets.value(Field::IpProto, UDP)), ends)
        };
        self.sets.or(of(Family::V4, 68, 67), of(Family::V6, 546, 547))
    }

    /// Packets from (`IpSrc`) or to (`IpDst`) a group's members in a VPC and its peers.
    fn members(&self, group: GroupId, vpc: VpcId, field: Field) -> Set {
        *self.members.borrow_mut().entry((group, vpc, field)).or_insert_with(|| {
            let model = self.net.model;
            let near: Vec<VpcId> = model.neighbourhood(vpc).collect();
            let is_near = |id: &&PortId| near.contains(&model.subnet(model.port(**id).subnet).vpc);
            let ports = self.net.members.get(&group).into_iter().flatten().filter(is_near);
            let addresses = ports.flat_map(|id| &self.net.assignment.port(*id).addresses);
            within_any(self.sets, field, addresses.copied().map(host))
        })
    }

    /// The packets that a rule is about; `None` where it is about nobody.
    pub(super) fn packets_of(&self, rule: &GroupRule, vpc: Option<VpcId>) -> Option<Set> {
        let sets = self.sets;
        let (far, near) = match rule.direction {
            Direction::FromGuest => (Field::IpDst, Field::IpSrc),
            Direction::ToGuest => (Field::IpSrc, Field::IpDst),
        };
        let remote = match &rule.remote {
            Remote::Net(net) => within(sets, far, net.value),
            Remote::Group(_, id) => self.members((*id)?, vpc?, far),
        };
        let mut set = sets.and(self.ip(Some(rule.family)), remote);
        if let Some(local) = &rule.local {
            set = sets.and(set, within(sets, near, local.value));
        }
        let proto = match (rule.protocol, rule.family) {
            (Protocol::Any, _) => return Some(set),
            (Protocol::Icmp, Family::V4) => ICMP,
            (Protocol::Icmp, Family::V6) => ICMP6,
            (Protocol::Tcp, _) => TCP,
            (Protocol::Udp, _) => UDP,
            (Protocol::Sctp, _) => SCTP,
        };
        set = sets.and(set, sets.value(Field::IpProto, proto));
        for (field, range) in [(Field::TpSrc, &rule.source_ports), (Field::TpDst, &rule.ports)] {
            // From 1 to the last port is every port, as nobody uses port 0.
            let whole = PortRange { first: 1, last: u16::MAX };
            if let Some(range) = range.as_ref().map(|range| range.value).filter(|range| *range != whole) {
                set = sets.and(set, sets.range(field, range.first.into(), range.last.into()));
            }
        }
        Some(set)
    }
}

/// What rules by hand can refer to: groups by their ports and by their members' addresses, pools by theirs.
pub(super) fn names(checked: &Checked<'_>) -> Names {
    let (model, assignment) = (checked.model(), checked.assignment());
    let mut names = Names::default();
    let mut add = |name: String, ports: Vec<PortId>| {
        for (suffix, width) in [("ip4", 32), ("ip6", 128)] {
            let addresses = ports.iter().flat_map(|id| &assignment.port(*id).addresses);
            let members = addresses.filter(|address| address.is_ipv4() == (width == 32));
            let members =
                members.map(|address| Member { value: bits(*address), mask: ones(width), width }).collect();
            names.address_sets.insert(format!("{name}_{suffix}"), members);
        }
        let ports = ports.iter().map(|id| model.port(*id).name.clone()).collect();
        names.port_groups.insert(name, ports);
    };
    for (vpc, members) in model.members() {
        let vpc = model.vpc(vpc);
        let mut all: BTreeMap<PortId, ()> = BTreeMap::new();
        for (group, ports) in members {
            all.extend(ports.iter().map(|id| (*id, ())));
            add(minted::port_group(&model.group(group).name.value, &vpc.name), ports);
        }
        add(minted::filtered(vpc), all.into_keys().collect());
    }
    for pool in &model.pools {
        for (name, v4) in minted::address_sets(pool) {
            let width = if v4 { 32 } else { 128 };
            let member =
                |net: ipnet::IpNet| Member { value: bits(net.network()), mask: bits(net.netmask()), width };
            names.address_sets.insert(name, pool.nets(v4).into_iter().map(member).collect());
        }
    }
    names
}

fn ones(width: u32) -> u128 {
    u128::MAX >> (128 - width)
}
