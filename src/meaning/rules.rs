//! Who may say what on a segment: rules by hand, private subnets, security groups, network ACLs on the way in.
//!
//! | rank | who |
//! |---|---|
//! | as written | rules by hand |
//! | 31000 | the gateway of a subnet with a network ACL |
//! | 31000 − number | a rule of that list; 21000 everything else |
//! | 20000 | private, to ports in groups |
//! | 18484 − priority | a rule of a security group, in its tier |
//! | 2005 | DHCP, a group's own members, VRRP |
//! | 2004 | to the next tier, for members of a group of tier 1 |
//! | 2003 | everything else of a port in a group, in every tier |
//! | 1900 | `allowEWTraffic` |
//! | 1001, 1000 | what private lets pass, and the rest |
//!
//! Of one tier the highest rank decides, what no rule is about passes. Rules of one rank that disagree leave it to
//! chance. Refuses to remember connections.

use std::rc::Rc;

use ipnet::IpNet;

use super::packet::host;
use super::{Meaning, Side, Spot};
use crate::model::{AclAction, Direction, Family, Subnet, SubnetId, Verdict};
use crate::nb::matching;
use crate::reach::address::{within, within_any};
use crate::reach::filter::{Surroundings, Tracked};
use crate::reach::header::{ARP, Field, Header, IPV4, IPV6};
use crate::reach::set::{Set, Sets};
use crate::span::Span;

/// A place where rules are asked: whose, which way, and who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StageKey {
    pub(super) subnet: SubnetId,
    pub(super) direction: Direction,
    pub(super) from: Spot,
    /// Not known yet on the way in.
    pub(super) to: Option<Spot>,
    pub(super) tracked: Tracked,
}

/// What the rules of a place say of every packet.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// What may pass.
    pub(super) passes: Option<Set>,
    /// What may be dropped.
    pub(super) dropped: Option<Set>,
    /// What may be dropped with a word to its sender.
    pub(super) refused: Option<Set>,
    /// What can't be said, and why.
    pub(super) unsaid: Option<(Set, String)>,
    /// What passes without a connection, whatever other rules say of it.
    pub(super) stateless: Option<Set>,
    /// Which packets are whose; none are left to some.
    pub(super) lines: Vec<(Set, Option<Span>, String)>,
}

/// What a rule does with its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Pass,
    Drop,
    Refuse,
    Next,
}

/// A rule at its place.
pub(super) struct Ranked {
    pub(super) tier: u8,
    pub(super) rank: i64,
    pub(super) set: Set,
    pub(super) says: Says,
    pub(super) span: Option<Span>,
    pub(super) what: String,
}

/// What can't be said of some packets.
struct Unsure {
    set: Set,
    what: String,
}

impl Meaning<'_> {
    /// What is said at a place.
    pub(super) fn decision(&self, key: StageKey) -> Rc<Decision> {
        let acls = &self.net.model.subnet(key.subnet).acls;
        // Only rules by hand know both ends.
        let to = key.to.filter(|_| key.direction == Direction::ToGuest);
        let from = match (key.direction, acls.is_empty(), to) {
            (Direction::ToGuest, true, Some(to)) => to,
            (Direction::ToGuest | Direction::FromGuest, _, _) => key.from,
        };
        let key = StageKey { from, to, ..key };
        if let Some(known) = self.decisions.borrow().get(&key) {
            return known.clone();
        }
        let made = Rc::new(self.decide(&key));
        self.decisions.borrow_mut().insert(key, made.clone());
        made
    }

    fn decide(&self, key: &StageKey) -> Decision {
        let subnet = self.net.model.subnet(key.subnet);
        let (mut rules, mut unsure) = (Vec::new(), Vec::new());
        let mut stateless = Set::NONE;
        self.by_hand(subnet, key, &mut rules, &mut unsure, &mut stateless);
        self.private(subnet, key, &mut rules);
        self.border(subnet, key, &mut rules);
        let facing = key.to.unwrap_or(key.from);
        if let Spot::Port(id) = facing {
            self.groups(id, key.direction, &mut rules);
        }
        let mut decision = judged(self.sets, rules);
        decision.stateless = Some(stateless);
        if !unsure.is_empty() {
            let set = self.sets.any(unsure.iter().map(|one| one.set));
            let what: Vec<String> = unsure.into_iter().map(|one| one.what).collect();
            decision.unsaid = Some((set, what.join("; ")));
        }
        decision
    }

    /// Whether somebody on a segment learns who has an IPv4 address there; `None` where rules leave that open. The
    /// segment itself answers machines for whom it knows, and routers do not ask for those.
    pub(super) fn questions(&self, subnet: SubnetId, from: Spot, to: Spot, is_known: bool) -> Option<bool> {
        let out = |from| (Direction::FromGuest, from, None);
        let into = |from, to| (Direction::ToGuest, from, Some(to));
        let stages = match (from, is_known) {
            (Spot::Router(_), true) => Vec::new(),
            (Spot::Port(_), true) => vec![out(from), into(from, from)],
            _ => vec![out(from), into(from, to), out(to), into(to, from)],
        };
        let mut question = Header::default();
        question[Field::EthType] = ARP;
        let mut answered = Some(true);
        for (direction, from, to) in stages {
            let decision = self.decision(StageKey { subnet, direction, from, to, tracked: Tracked::Not });
            let is = |set: Option<Set>| set.is_some_and(|set| self.sets.contains(set, &question));
            let is_stopped = is(decision.dropped) || is(decision.refused);
            let is_open = is(decision.unsaid.as_ref().map(|(set, _)| *set));
            match (is(decision.passes), is_stopped, is_open) {
                (true, false, false) => {}
                (false, true, false) => return Some(false),
                _ => answered = None,
            }
        }
        answered
    }

    fn by_hand(
        &self,
        subnet: &Subnet,
        key: &StageKey,
        rules: &mut Vec<Ranked>,
        unsure: &mut Vec<Unsure>,
        stateless: &mut Set,
    ) {
        let (inport, outport) =
            (self.net.name(key.from), key.to.map(|spot| self.net.name(spot)).unwrap_or_default());
        let around = Surroundings {
            inport: &inport,
            outport: &outport,
            tracked: key.tracked,
            ..Surroundings::unknown(crate::reach::walk::TTL, key.tracked)
        };
        for acl in subnet.acls.iter().filter(|acl| acl.direction == key.direction) {
            let Some(expr) = matching::parse(&acl.matching.value, self.reader.symbols).expr else { continue };
            let (truth, asked) = self.reader.read(&expr, &around);
            let set = self.sets.minus(truth.maybe, truth.yes);
            if !set.is_none() {
                unsure.push(Unsure { set, what: format!("a rule by hand asks for {}", asked.join(", ")) });
            }
            let says = match acl.action.value {
                AclAction::Allow | AclAction::AllowRelated | AclAction::AllowStateless => Says::Pass,
                AclAction::Drop => Says::Drop,
                AclAction::Reject => Says::Refuse,
                AclAction::Pass => Says::Next,
            };
            if acl.action.value == AclAction::AllowStateless {
                *stateless = self.sets.or(*stateless, truth.yes);
            }
            let what = format!("rule by hand of subnet `{}`", subnet.name);
            let (rank, span) = (acl.priority.value, Some(acl.span));
            rules.push(Ranked { tier: 0, rank, set: truth.yes, says, span, what });
        }
        let Some(span) = subnet.allow_east_west.filter(|_| !subnet.acls.is_empty()) else { return };
        for own in blocks(subnet) {
            let set = self.between(own, own);
            let what = format!("`allowEWTraffic` of subnet `{}`", subnet.name);
            rules.push(Ranked { tier: 0, rank: 1900, set, says: Says::Pass, span: Some(span), what });
        }
    }

    /// Whether rules remember connections on a segment.
    pub(super) fn remembers(&self, id: SubnetId) -> bool {
        *self.remembering.borrow_mut().entry(id).or_insert_with(|| {
            let (net, subnet) = (&self.net, self.net.model.subnet(id));
            let ports = net.ports.get(&id).into_iter().flatten();
            let in_groups = ports.into_iter().any(|port| !net.model.port(*port).groups.is_empty());
            let by_hand = subnet.acls.iter().any(|acl| acl.action.value == AclAction::AllowRelated);
            let is_private = subnet.private.is_some() && !subnet.blocks.is_empty();
            by_hand || is_private || in_groups
        })
    }

    /// Packets from one network to another.
    fn between(&self, from: IpNet, to: IpNet) -> Set {
        self.sets.and(within(self.sets, Field::IpSrc, from), within(self.sets, Field::IpDst, to))
    }

    pub(super) fn ip(&self, family: Option<Family>) -> Set {
        let of = |family| self.sets.value(Field::EthType, if family == Family::V4 { IPV4 } else { IPV6 });
        match family {
            Some(family) => of(family),
            None => self.sets.or(of(Family::V4), of(Family::V6)),
        }
    }

    /// A private subnet: its own packets stay inside, and who is allowed may come and be gone to.
    fn private(&self, subnet: &Subnet, key: &StageKey, rules: &mut Vec<Ranked>) {
        let (Some(span), Direction::ToGuest) = (subnet.private, key.direction) else { return };
        let mut may = Set::NONE;
        for own in blocks(subnet) {
            let nearby = match own {
                IpNet::V4(_) => vec![own],
                IpNet::V6(_) => vec![own, net("fe80::/64")],
            };
            let many = net(if own.addr().is_ipv4() { "224.0.0.0/4" } else { "ff00::/8" });
            for from in &nearby {
                may = nearby.iter().chain([&many]).fold(may, |may, to| {
                    let set = self.between(*from, *to);
                    self.sets.or(may, set)
                });
            }
            let family = Family::of(own);
            for other in subnet.allow.iter().map(|net| net.value).filter(|it| Family::of(*it) == family) {
                let (there, back) = (self.between(own, other), self.between(other, own));
                may = self.sets.any([may, there, back]);
            }
        }
        let what = format!("subnet `{}` is private", subnet.name);
        let rest = Ranked {
            tier: 0,
            rank: 1000,
            set: self.ip(None),
            says: Says::Drop,
            span: Some(span),
            what: what.clone(),
        };
        rules.push(rest);
        let what = format!("what private subnet `{}` lets pass", subnet.name);
        rules.push(Ranked { tier: 0, rank: 1001, set: may, says: Says::Pass, span: Some(span), what });
        if let Some(Spot::Port(id)) = key.to
            && !self.net.model.port(id).groups.is_empty()
        {
            let own = blocks(subnet);
            let v6 = own.iter().any(|block| block.addr().is_ipv6()).then(|| net("fe80::/64"));
            let inside = own.into_iter().chain(subnet.allow.iter().map(|net| net.value)).chain(v6);
            let families: Vec<Family> = blocks(subnet).into_iter().map(Family::of).collect();
            let inside = inside.filter(|net| families.contains(&Family::of(*net)));
            let set = self.sets.minus(self.ip(None), within_any(self.sets, Field::IpSrc, inside));
            let what = format!("subnet `{}` is private", subnet.name);
            rules.push(Ranked { tier: 0, rank: 20_000, set, says: Says::Drop, span: Some(span), what });
        }
    }

    /// What a network ACL lets into its subnet.
    fn border(&self, subnet: &Subnet, key: &StageKey, rules: &mut Vec<Ranked>) {
        let is_in =
            key.direction == Direction::FromGuest && key.from == Spot::Router(Side::Subnet(key.subnet));
        let (Some(named), true) = (subnet.network_acl, is_in) else { return };
        let list = self.net.model.network_acl(named.value);
        let gateways = subnet.blocks.iter().flat_map(|block| {
            let link = block.gateway.value.is_ipv6().then(|| net("fe80::/64"));
            link.into_iter().chain([host(block.gateway.value)])
        });
        let set = within_any(self.sets, Field::IpSrc, gateways);
        let span = Some(named.span);
        rules.push(Ranked {
            tier: 0,
            rank: 31_000,
            set,
            says: Says::Pass,
            span,
            what: format!("the gateway of subnet `{}`", subnet.name),
        });
        for rule in list.rules.iter().filter(|rule| rule.direction == Direction::ToGuest) {
            let says = if rule.verdict.value == Verdict::Allow { Says::Pass } else { Says::Drop };
            let Some(set) = self.packets_of(rule, None) else { continue };
            let what = format!("network ACL `{}`, rule {}", list.name, rule.priority);
            let rank = 31_000 - rule.priority.value;
            rules.push(Ranked { tier: 0, rank, set, says, span: Some(rule.span), what });
        }
        let what = format!("no rule of network ACL `{}` lets it in", list.name);
        rules.push(Ranked { tier: 0, rank: 21_000, set: self.ip(None), says: Says::Drop, span, what });
    }

    /// What a network ACL says of packets that leave its subnet: what passes, and whose each packet is.
    pub(super) fn leaving(&self, id: SubnetId) -> Option<Decision> {
        let subnet = self.net.model.subnet(id);
        let named = subnet.network_acl?;
        let list = self.net.model.network_acl(named.value);
        let near = blocks(subnet).into_iter();
        let near = near.chain(subnet.v6().map(|_| net("fe80::/64")));
        let mut rules = vec![Ranked {
            tier: 0,
            rank: 31_000,
            set: within_any(self.sets, Field::IpDst, near),
            says: Says::Pass,
            span: Some(named.span),
            what: format!("subnet `{}` itself", subnet.name),
        }];
        for rule in list.rules.iter().filter(|rule| rule.direction == Direction::FromGuest) {
            let says = if rule.verdict.value == Verdict::Allow { Says::Pass } else { Says::Drop };
            let Some(set) = self.packets_of(rule, None) else { continue };
            let what = format!("network ACL `{}`, rule {}", list.name, rule.priority);
            let rank = 31_000 - rule.priority.value;
            rules.push(Ranked { tier: 0, rank, set, says, span: Some(rule.span), what });
        }
        let (set, span) = (self.ip(None), Some(named.span));
        let what = format!("no rule of network ACL `{}` lets it out", list.name);
        rules.push(Ranked { tier: 0, rank: 21_000, set, says: Says::Drop, span, what });
        Some(judged(self.sets, rules))
    }
}

/// What ranked rules say together.
fn judged(sets: &Sets, mut rules: Vec<Ranked>) -> Decision {
    rules.sort_by_key(|rule| (rule.tier, -rule.rank));
    let (mut passes, mut dropped, mut refused, mut left) = (Set::NONE, Set::NONE, Set::NONE, Set::ALL);
    let mut lines = Vec::new();
    for tier in rules.chunk_by(|a, b| a.tier == b.tier) {
        let mut next = Set::NONE;
        for equals in tier.chunk_by(|a, b| a.rank == b.rank) {
            let mut decided = Set::NONE;
            for rule in equals {
                let set = sets.and(left, rule.set);
                decided = sets.or(decided, set);
                match rule.says {
                    Says::Pass => passes = sets.or(passes, set),
                    Says::Drop => dropped = sets.or(dropped, set),
                    Says::Refuse => refused = sets.or(refused, set),
                    Says::Next => next = sets.or(next, set),
                }
                lines.push((set, rule.span, rule.what.clone()));
            }
            left = sets.minus(left, decided);
        }
        left = sets.or(left, next);
    }
    let passes = sets.or(passes, left);
    let (passes, dropped, refused) = (Some(passes), Some(dropped), Some(refused));
    Decision { passes, dropped, refused, unsaid: None, stateless: None, lines }
}

fn blocks(subnet: &Subnet) -> Vec<IpNet> {
    subnet.blocks.iter().map(|block| block.cidr.value).collect()
}

fn net(text: &str) -> IpNet {
    text.parse().expect("a network")
}
