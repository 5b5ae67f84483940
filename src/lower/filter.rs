//! Security groups → Port_Group, their rules → ACL; what private means to ports in groups → Address_Set, ACL.
//!
//! | meant | stored |
//! |---|---|
//! | a group's members in a VPC | `Port_Group` `ovn.sg.<group>..<vpc>` |
//! | a rule | one ACL of it, however many members; its tier is the group's |
//! | a rule about a group | `$ovn.sg.<group>..<vpc>_ip4`, which OVN keeps; those of peers beside it |
//! | members may talk to each other, or speak VRRP | an ACL a direction |
//! | everybody in a group is closed | `Port_Group` `northc.filtered.<vpc>`: drop `ip`, but for DHCP |
//! | private, for ports in groups | a switch's ACL above all groups that drops what comes from outside |
//!
//! Every rule is tied to `inport` or `outport`: one that is not would be about all ports of each switch that
//! has a member (ovn-nb(5), Port_Group). ARP is not IP, and OVN itself lets neighbour discovery, router
//! advertisements and replies pass. Priorities: `priority.rs`. Fixtures: `security-groups/*`.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::log;
use super::port::host_or_net;
use super::subnet::direction;
use crate::check::Checked;
use crate::model::{
    Direction, Family, GroupId, GroupRule, Members, Model, PortId, Protocol, Remote, SecurityGroup, Subnet,
    SubnetId, Verdict, Vpc, VpcId,
};
use crate::names;
use crate::nb::{Acl, AddressSet, Key, PortGroup, Ref, Rows, Table};
use crate::priority;
use crate::span::Span;

const DIRECTIONS: [Direction; 2] = [Direction::ToGuest, Direction::FromGuest];

/// ovn-nb(5): an ACL's name has at most 63 characters.
const ACL_NAME_MAX: usize = 63;

/// Writes the groups of every VPC.
pub(super) fn lower(checked: &Checked<'_>, keys: &[Key], rows: &mut Rows) {
    let model = checked.model();
    let members = model.members();
    for (vpc, by_group) in &members {
        for (id, ports) in by_group {
            let name = names::port_group(&model.group(*id).name.value, &model.vpc(*vpc).name);
            let mut group = Group { name, ports, keys, acls: BTreeSet::new(), rows: &mut *rows };
            group.rules(model, *vpc, *id, &members);
            group.insert(model.group(*id).name.span);
        }
        filtered(model, keys, model.vpc(*vpc), by_group, rows);
    }
}

/// Everybody in a group: DHCP passes, the rest is dropped where no tier has said otherwise.
fn filtered(model: &Model, keys: &[Key], vpc: &Vpc, by_group: &Members, rows: &mut Rows) {
    let ports: BTreeSet<PortId> = by_group.values().flatten().copied().collect();
    let ports: Vec<PortId> = ports.into_iter().collect();
    let Some(first) = ports.first() else { return };
    let span = model.ports[first.0].span;
    let mut group = Group { name: names::filtered(vpc), ports: &ports, keys, acls: BTreeSet::new(), rows };
    let tiers = if by_group.keys().any(|id| has_tiers(model.group(*id))) { 0..=1 } else { 0..=0 };
    for direction in DIRECTIONS {
        let (v4, v6) = match direction {
            Direction::FromGuest => ("udp.src == 68 && udp.dst == 67", "udp.src == 546 && udp.dst == 547"),
            Direction::ToGuest => ("udp.src == 67 && udp.dst == 68", "udp.src == 547 && udp.dst == 546"),
        };
        let dhcp = format!("((ip4 && {v4}) || (ip6 && {v6}))");
        group.add(&vpc.name, "dhcp", direction, span, |acl| {
            acl.priority = priority::GROUPS_BASE;
            acl.matching += &dhcp;
            acl.action = "allow-related".to_owned();
        });
        for tier in tiers.clone() {
            let what = if tier == 0 { "closed".to_owned() } else { format!("closed/{tier}") };
            group.add(&vpc.name, &what, direction, span, |acl| {
                acl.priority = priority::GROUPS_DROP;
                acl.matching += "ip";
                acl.action = "drop".to_owned();
                acl.tier = tier;
            });
        }
    }
    group.insert(span);
}

/// Whether a group needs the tier after the first.
fn has_tiers(group: &SecurityGroup) -> bool {
    group.tier > 0 || group.rules.iter().any(|rule| rule.verdict.value == Verdict::Pass)
}

/// A port group that is being written.
struct Group<'r> {
    name: String,
    ports: &'r [PortId],
    /// Of all ports, by id.
    keys: &'r [Key],
    acls: BTreeSet<Ref>,
    rows: &'r mut Rows,
}

impl Group<'_> {
    /// Adds a rule for the members; `what` tells it apart from the others of its direction.
    fn add(&mut self, whose: &str, what: &str, way: Direction, span: Span, say: impl FnOnce(&mut Acl)) {
        let anchor = match way {
            Direction::FromGuest => "inport",
            Direction::ToGuest => "outport",
        };
        let mut acl = Acl {
            name: Some(acl_name(whose, &format!("{}/{what}", shown(way)))),
            direction: direction(way).to_owned(),
            matching: format!("{anchor} == @{} && ", self.name),
            ..Acl::default()
        };
        say(&mut acl);
        let key = Key::new(Table::Acl, format!("{}/{}/{what}", self.name, acl.direction));
        self.acls.insert(Ref::Key(key.clone()));
        self.rows.insert(key, acl, Some(span));
    }

    fn rules(&mut self, model: &Model, vpc: VpcId, id: GroupId, members: &BTreeMap<VpcId, Members>) {
        let group = model.group(id);
        let whose = group.name.value.as_str();
        let mut rules: Vec<&GroupRule> = group.rules.iter().collect();
        rules.sort_by_key(|rule| (rule.direction, rule.priority.value, rule.verdict.value));
        let mut keys = super::RuleKeys::new();
        for rule in rules {
            let Some(text) = matching(model, vpc, rule, members) else { continue };
            let at = rule.priority.to_string();
            let seen = format!("{}/{at}", direction(rule.direction));
            let Some(key) = keys.mint(&seen, &text, rule.verdict.value) else { continue };
            let what = key.split_once('/').map_or(at.as_str(), |(_, what)| what);
            let logged = log::lower(rule.log, model.vpc(vpc), self.rows);
            self.add(whose, what, rule.direction, rule.span, |acl| {
                acl.name = Some(acl_name(whose, &format!("{}/{at}", shown(rule.direction))));
                acl.priority = priority::group_rule(rule.priority.value);
                acl.matching += &text;
                acl.action = action(rule.verdict.value).to_owned();
                acl.tier = i64::from(group.tier);
                logged.write(acl);
            });
        }
        for way in DIRECTIONS {
            self.extras(model, vpc, id, way, members);
        }
    }

    /// What a group says of itself as a whole.
    fn extras(
        &mut self,
        model: &Model,
        vpc: VpcId,
        id: GroupId,
        way: Direction,
        members: &BTreeMap<VpcId, Members>,
    ) {
        let group = model.group(id);
        let whose = group.name.value.as_str();
        let among = |family| addresses(model, vpc, id, family, members);
        let among = among(Family::V4).zip(among(Family::V6));
        if let (Some(span), Some((v4, v6))) = (group.same_group, among) {
            let (far, _) = ends(way);
            self.add(whose, "same-group", way, span, |acl| {
                acl.priority = priority::GROUPS_BASE;
                acl.matching += &format!("(ip4.{far} == {v4} || ip6.{far} == {v6})");
                acl.action = "allow-related".to_owned();
                acl.tier = i64::from(group.tier);
            });
        }
        if let Some(span) = group.vrrp {
            self.add(whose, "vrrp", way, span, |acl| {
                acl.priority = priority::GROUPS_BASE;
                acl.matching += "ip.proto == 112";
                acl.action = "allow-related".to_owned();
            });
        }
        if let Some(span) = group.tier_span {
            self.add(whose, "next-tier", way, span, |acl| {
                acl.priority = priority::GROUPS_NEXT_TIER;
                acl.matching += "ip";
                acl.action = "pass".to_owned();
            });
        }
    }

    fn insert(self, span: Span) {
        let ports = self.ports.iter().map(|id| Ref::Key(self.keys[id.0].clone())).collect();
        let row = PortGroup { name: self.name.clone(), ports, acls: self.acls, ..PortGroup::default() };
        self.rows.insert(Key::new(Table::PortGroup, self.name), row, Some(span));
    }
}

/// What a rule's packets are; `None` where nobody is at the other end.
fn matching(
    model: &Model,
    vpc: VpcId,
    rule: &GroupRule,
    members: &BTreeMap<VpcId, Members>,
) -> Option<String> {
    let remote = match &rule.remote {
        Remote::Net(net) => of_net(rule, net.value),
        Remote::Group(_, id) => {
            let (far, _) = ends(rule.direction);
            let members = addresses(model, vpc, (*id)?, rule.family, members)?;
            format!("{}.{far} == {members}", ip(rule.family))
        }
    };
    Some(packets(rule, remote))
}

/// What a rule about a network says of the other end.
pub(super) fn of_net(rule: &GroupRule, net: IpNet) -> String {
    let (far, _) = ends(rule.direction);
    match net.prefix_len() {
        0 => ip(rule.family).to_owned(),
        _ => format!("{}.{far} == {}", ip(rule.family), host_or_net(net)),
    }
}

/// What a rule's packets are, beside who is at the other end.
pub(super) fn packets(rule: &GroupRule, remote: String) -> String {
    let ip = ip(rule.family);
    let (_, near) = ends(rule.direction);
    let mut parts = vec![remote];
    parts.extend(rule.local.map(|net| format!("{ip}.{near} == {}", host_or_net(net.value))));
    let protocol = match (rule.protocol, rule.family) {
        (Protocol::Any, _) => None,
        (Protocol::Icmp, Family::V4) => Some("icmp4"),
        (Protocol::Icmp, Family::V6) => Some("icmp6"),
        (Protocol::Tcp, _) => Some("tcp"),
        (Protocol::Udp, _) => Some("udp"),
        (Protocol::Sctp, _) => Some("sctp"),
    };
    if let Some(protocol) = protocol {
        let ranges = [("src", rule.source_ports), ("dst", rule.ports)];
        let tests = ranges.into_iter().filter_map(|(end, range)| {
            let range = range?.value;
            match (range.first, range.last) {
                (1, u16::MAX) => None,
                (first, last) if first == last => Some(format!("{protocol}.{end} == {first}")),
                (first, last) => Some(format!("{first} <= {protocol}.{end} <= {last}")),
            }
        });
        let tests: Vec<String> = tests.collect();
        parts.extend(if tests.is_empty() { vec![protocol.to_owned()] } else { tests });
    }
    parts.join(" && ")
}

/// The addresses of a group's members, here and in peers, as matches name them; `None` without members.
fn addresses(
    model: &Model,
    vpc: VpcId,
    id: GroupId,
    family: Family,
    members: &BTreeMap<VpcId, Members>,
) -> Option<String> {
    let has_members = |vpc: &VpcId| members.get(vpc).is_some_and(|by_group| by_group.contains_key(&id));
    let set = |vpc: VpcId| {
        format!("${}_{}", names::port_group(&model.group(id).name.value, &model.vpc(vpc).name), ip(family))
    };
    let sets: Vec<String> = model.neighbourhood(vpc).filter(has_members).map(set).collect();
    match sets.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("{{{}}}", several.join(", "))),
    }
}

pub(super) fn ip(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip4",
        Family::V6 => "ip6",
    }
}

/// Where the other end's address stands in a packet, and where the guest's.
fn ends(way: Direction) -> (&'static str, &'static str) {
    match way {
        Direction::FromGuest => ("dst", "src"),
        Direction::ToGuest => ("src", "dst"),
    }
}

/// `ingress` or `egress`, as people say who think of the guest.
fn shown(way: Direction) -> &'static str {
    match way {
        Direction::FromGuest => "egress",
        Direction::ToGuest => "ingress",
    }
}

fn action(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow-related",
        Verdict::Drop => "drop",
        Verdict::Pass => "pass",
    }
}

/// `<whose>/<what>`, at most as long as OVN takes it; `what` is always whole.
pub(super) fn acl_name(whose: &str, what: &str) -> String {
    let room = ACL_NAME_MAX.saturating_sub(what.chars().count() + 1);
    let whose: String = whose.chars().take(room).collect();
    format!("{whose}/{what}")
}

/// Subnets with a port in a security group.
pub(super) fn subnets(model: &Model) -> BTreeSet<SubnetId> {
    let filtered = model.ports.iter().filter(|port| !port.groups.is_empty());
    filtered.map(|port| port.subnet).collect()
}

/// A private subnet stays private to its ports in groups, whatever their rules let in.
pub(super) fn guard(model: &Model, subnet: &Subnet, rows: &mut Rows, acls: &mut BTreeSet<Ref>) {
    let Some(span) = subnet.private else { return };
    let filtered = names::filtered(model.vpc(subnet.vpc));
    for (family, whole) in [(Family::V4, Ipv4Net::default().into()), (Family::V6, Ipv6Net::default().into())]
    {
        let ip = ip(family);
        let own = subnet.blocks.iter().map(|block| block.cidr.value).find(|net| Family::of(*net) == family);
        let mut matching = format!("outport == @{filtered} && {ip}");
        if let Some(own) = own {
            let link_local = (family == Family::V6).then(link_local);
            let allowed = subnet.allow.iter().map(|allow| allow.value).chain([own]).chain(link_local);
            let inside: Vec<IpNet> = allowed.filter(|net| Family::of(*net) == family).collect();
            let addresses = outside(whole, &inside);
            if addresses.is_empty() {
                continue;
            }
            let name = names::outside(subnet, ip);
            let set = AddressSet {
                name: name.clone(),
                addresses: addresses.iter().map(|net| host_or_net(*net)).collect(),
                ..AddressSet::default()
            };
            rows.insert(Key::new(Table::AddressSet, name.as_str()), set, Some(span));
            matching += &format!(".src == ${name}");
        }
        let key = Key::new(Table::Acl, format!("{}/private/groups/{ip}", subnet.name));
        let acl = Acl {
            name: Some(acl_name(&subnet.name.value, "private")),
            direction: direction(Direction::ToGuest).to_owned(),
            priority: priority::PRIVATE_GUARD,
            matching,
            action: "drop".to_owned(),
            ..Acl::default()
        };
        acls.insert(Ref::Key(key.clone()));
        rows.insert(key, acl, Some(span));
    }
}

/// RFC 4291 §2.5.6.
fn link_local() -> IpNet {
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64).into()
}

/// The largest networks that make up `whole` without those inside.
fn outside(whole: IpNet, inside: &[IpNet]) -> Vec<IpNet> {
    if inside.iter().any(|net| net.contains(&whole)) {
        return Vec::new();
    }
    if !inside.iter().any(|net| whole.contains(net)) {
        return vec![whole];
    }
    let halves = whole.subnets(whole.prefix_len() + 1).expect("what holds another network can be halved");
    halves.flat_map(|half| outside(half, inside)).collect()
}

#[test]
fn what_is_outside_and_what_is_inside_are_everything() {
    let net = |text: &str| -> IpNet { text.parse().expect("a network") };
    let inside = [net("128.0.0.0/2"), net("10.0.0.0/8"), net("10.1.0.0/16")];
    let mut all = outside(net("0.0.0.0/0"), &inside);
    assert!(all.iter().all(|out| inside.iter().all(|net| !net.contains(out) && !out.contains(net))));
    all.extend(inside);
    assert_eq!(IpNet::aggregate(&all), vec![net("0.0.0.0/0")]);
    assert_eq!(outside(net("::/0"), &[net("::/0")]), vec![]);
    assert_eq!(outside(net("::/0"), &[]), vec![net("::/0")]);
}

#[test]
fn an_acl_name_is_cut_where_it_says_least() {
    assert_eq!(acl_name("web", "ingress/1"), "web/ingress/1");
    let long = acl_name(&"w".repeat(80), "ingress/16384");
    assert_eq!((long.len(), long.ends_with("w/ingress/16384")), (63, true));
}
