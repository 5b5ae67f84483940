//! `kubeovn.io/v1` SecurityGroup.
//!
//! The annotation `northc.io/vrrp: "true"` lets members speak VRRP, which Kube-OVN lets everybody. Kube-OVN takes a
//! protocol that it does not know for all of them, and a policy for a drop; here both are refused. Refuses to
//! judge whether rules agree.

use ipnet::IpNet;

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{self, Direction, Family, GroupRule, PortRange, Protocol, Verdict};
use crate::source::declare::{Int, Mapping, Word, Words, declare};
use crate::source::fields::missing;
use crate::source::object::Object;
use crate::source::values::{Block, Flag, Whole};
use crate::span::{Span, Spanned};

declare! {
    /// What interfaces that join it may send and get; everything else is dropped.
    pub(crate) struct SecurityGroup "SecurityGroup.spec" {
        /// 0 is looked at before 1.
        "tier" tier: Option<Int<0, 1>> = "0",
        /// Whether members may talk to each other.
        "allowSameGroupTraffic" same_group: Flag = "false",
        /// What members may get.
        "ingressRules" ingress: Vec<Spanned<Rule>>,
        /// What members may send.
        "egressRules" egress: Vec<Spanned<Rule>>,
    }
}

declare! {
    /// A rule.
    pub(crate) struct Rule "a rule of a security group" {
        /// The lower first.
        "priority" priority: Int<1, 16384>,
        /// The version of IP.
        "ipVersion" family: Word<IpVersion>,
        /// The transport.
        "protocol" protocol: Whole<Option<Word<RuleProtocol>>> = "all",
        /// What happens to packets; `pass` leaves them to the next tier.
        "policy" verdict: Word<Policy>,
        /// Whether the other end is an address or a group.
        "remoteType" remote: Word<RemoteType>,
        /// The addresses at the other end.
        "remoteAddress" address: Whole<Option<Block>>,
        /// The SecurityGroup at the other end.
        "remoteSecurityGroup" group: Whole<Option<Spanned<String>>>,
        /// The addresses of the member.
        "localAddress" local: Whole<Option<Block>> = "all of them",
        /// The lowest destination port.
        "portRangeMin" port_min: Whole<Option<Int<0, 65535>>>,
        /// The highest destination port.
        "portRangeMax" port_max: Whole<Option<Int<0, 65535>>>,
        /// The lowest source port.
        "sourcePortRangeMin" source_port_min: Whole<Option<Int<0, 65535>>> = "any",
        /// The highest source port.
        "sourcePortRangeMax" source_port_max: Whole<Option<Int<0, 65535>>>,
    }
}

/// A version of IP, in the API's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpVersion(Family);

impl Words for IpVersion {
    const WORDS: &'static [(&'static str, IpVersion)] =
        &[("ipv4", IpVersion(Family::V4)), ("ipv6", IpVersion(Family::V6))];
}

/// A protocol, in the API's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleProtocol(Protocol);

impl Words for RuleProtocol {
    const WORDS: &'static [(&'static str, RuleProtocol)] = &[
        ("all", RuleProtocol(Protocol::Any)),
        ("icmp", RuleProtocol(Protocol::Icmp)),
        ("tcp", RuleProtocol(Protocol::Tcp)),
        ("udp", RuleProtocol(Protocol::Udp)),
        ("sctp", RuleProtocol(Protocol::Sctp)),
    ];
}

/// A verdict, in the API's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy(Verdict);

impl Words for Policy {
    const WORDS: &'static [(&'static str, Policy)] = &[
        ("allow", Policy(Verdict::Allow)),
        ("drop", Policy(Verdict::Drop)),
        ("pass", Policy(Verdict::Pass)),
        ("deny", Policy(Verdict::Drop)),
    ];
}

/// What is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteType {
    Address,
    Group,
}

impl Words for RemoteType {
    const WORDS: &'static [(&'static str, RemoteType)] =
        &[("address", RemoteType::Address), ("securityGroup", RemoteType::Group)];
}

/// The group that an object describes; the groups that its rules mean are still names.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<model::SecurityGroup> {
    let vrrp = object.annotation("northc.io/vrrp").filter(|text| text.value == "true").map(|text| text.span);
    let said: SecurityGroup = object.declared(sink)?;
    let tier = said.tier.map(|tier| tier.0).filter(|tier| tier.value != 0);
    if let Some(tier) = tier.filter(|tier| tier.value != 1) {
        let message = format!("`tier` can't be {tier}");
        sink.push(Diagnostic::new(Code::BadValue, tier.span, message).help("it takes 0 or 1"));
    }
    let rules = said.ingress.into_iter().map(|rule| (Direction::ToGuest, rule));
    let rules = rules.chain(said.egress.into_iter().map(|rule| (Direction::FromGuest, rule)));
    Some(model::SecurityGroup {
        name: object.name.map(str::to_owned),
        tier: u8::from(tier.is_some()),
        tier_span: tier.filter(|tier| tier.value == 1).map(|tier| tier.span),
        same_group: said.same_group.0,
        vrrp,
        rules: rules.filter_map(|(direction, said)| rule(direction, said, sink)).collect(),
    })
}

/// An end of a range of ports.
type Port = Whole<Option<Int<0, 65535>>>;

fn ends(rule: &Rule) -> [&Port; 4] {
    [&rule.port_min, &rule.port_max, &rule.source_port_min, &rule.source_port_max]
}

fn rule(direction: Direction, said: Spanned<Rule>, sink: &mut Sink) -> Option<GroupRule> {
    let Spanned { value: rule, span } = said;
    let others = rule.protocol.whole && rule.address.whole && rule.group.whole && rule.local.whole;
    if !(others && ends(&rule).iter().all(|end| end.whole)) {
        return None;
    }
    let n_errors = sink.n_errors();
    let family = rule.family.0.value.0;
    let protocol = rule.protocol.value.map_or(Protocol::Any, |word| word.0.value.0);
    let remote = remote(rule.remote.0.value, rule.address.value, rule.group.value, family, span, sink);
    let local = rule.local.value.map(|block| block.0);
    if let Some(local) = local {
        demand_family(local, family, sink);
    }
    let names = ["portRangeMin", "portRangeMax"];
    let ports = range(names, [&rule.port_min, &rule.port_max], protocol, sink);
    if ports.is_none() && protocol.has_ports() && sink.n_errors() == n_errors {
        sink.push(missing(Rule::WHAT, span, "portRangeMin"));
    }
    let names = ["sourcePortRangeMin", "sourcePortRangeMax"];
    let source_ports = range(names, [&rule.source_port_min, &rule.source_port_max], protocol, sink);
    let rule = GroupRule {
        span,
        direction,
        priority: rule.priority.0,
        family,
        protocol,
        ports,
        source_ports,
        remote: remote?,
        local,
        verdict: rule.verdict.0.map(|policy| policy.0),
        log: None,
    };
    Some(rule).filter(|_| sink.n_errors() == n_errors)
}

fn remote(
    kind: RemoteType,
    address: Option<Block>,
    group: Option<Spanned<String>>,
    family: Family,
    rule: Span,
    sink: &mut Sink,
) -> Option<model::Remote> {
    let (read, other, idle) = match kind {
        RemoteType::Address => {
            ("remoteAddress", "remoteSecurityGroup", group.as_ref().map(|group| group.span))
        }
        RemoteType::Group => {
            ("remoteSecurityGroup", "remoteAddress", address.as_ref().map(|block| block.0.span))
        }
    };
    if let Some(idle) = idle {
        let message = format!("`{other}` has no effect: `remoteType` says that `{read}` counts");
        sink.push(Diagnostic::new(Code::FieldWithoutEffect, idle, message));
    }
    let remote = match kind {
        RemoteType::Address => address.map(|block| model::Remote::Net(block.0)),
        RemoteType::Group => group.map(|group| model::Remote::Group(group, None)),
    };
    match &remote {
        None => sink.push(missing(Rule::WHAT, rule, read)),
        Some(model::Remote::Net(net)) => demand_family(*net, family, sink),
        Some(model::Remote::Group(..)) => {}
    }
    remote
}

/// Reports a rule's address that is not of the family that the rule is about.
fn demand_family(net: Spanned<IpNet>, family: Family, sink: &mut Sink) {
    if family != Family::of(net.value) {
        let message = format!("the rule is about {family}, and `{}` is {}", net.value, Family::of(net.value));
        let problem = Diagnostic::new(Code::FamilyMix, net.span, message);
        sink.push(problem.help("write a rule for each version of IP"));
    }
}

/// A range of ports; none where both ends are absent or zero.
fn range(
    [min, max]: [&'static str; 2],
    ends: [&Port; 2],
    protocol: Protocol,
    sink: &mut Sink,
) -> Option<Spanned<PortRange>> {
    let ends = ends.map(|end| end.value.as_ref().map(|end| end.0));
    let span = ends.iter().flatten().find(|n| n.value != 0)?.span;
    let mut report = |span: Span, message: String, help: &str| {
        sink.push(Diagnostic::new(Code::PortRange, span, message).help(help));
    };
    if !protocol.has_ports() {
        let help = "say which protocol; as it stands, the rule would be about every port";
        report(span, "only TCP, UDP and SCTP have ports".to_owned(), help);
        return None;
    }
    let [Some(first), Some(last)] = ends else {
        report(span, format!("a range of ports has both `{min}` and `{max}`"), "give both ends");
        return None;
    };
    let port = |n: Spanned<i64>| u16::try_from(n.value).ok().filter(|port| *port != 0);
    match (port(first), port(last)) {
        (Some(a), Some(b)) if a <= b => Some(Spanned::new(PortRange { first: a, last: b }, span)),
        (Some(_), Some(_)) => {
            report(last.span, format!("no port is from {first} to {last}"), "write the lower one first");
            None
        }
        (first_port, _) => {
            let wrong = if first_port.is_none() { first } else { last };
            report(wrong.span, format!("there is no port {wrong}"), "ports are 1 to 65535");
            None
        }
    }
}
