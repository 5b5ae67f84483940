//! `kubeovn.io/v1` SecurityGroup.
//!
//! | field | meaning here |
//! |---|---|
//! | ingressRules, egressRules | rules, the lower `priority` first |
//! | ipVersion, protocol, portRange…, sourcePortRange… | which packets |
//! | remoteType, remoteAddress, remoteSecurityGroup | who is at the other end |
//! | localAddress | which addresses of the member |
//! | policy | `allow`, `drop` (or `deny`), `pass` to the next tier |
//! | tier | 0 is looked at before 1 |
//! | allowSameGroupTraffic | members may talk to each other |
//! | annotation `northc.io/vrrp: "true"` | members may speak VRRP, which Kube-OVN lets everybody |
//!
//! Kube-OVN takes a protocol that it does not know for all of them, and a policy for a drop; here both are
//! refused. Refuses to judge whether rules agree.

use ipnet::IpNet;

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Direction, Family, GroupRule, PortRange, Protocol, Remote, SecurityGroup, Verdict};
use crate::source::fields::{Fields, choice, network_or_address, owned};
use crate::source::object::Object;
use crate::span::{Span, Spanned};

/// The group that an object describes; the groups that its rules mean are still names.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<SecurityGroup> {
    let vrrp = object.annotation("northc.io/vrrp").filter(|text| text.value == "true").map(|text| text.span);
    let mut spec = object.spec("SecurityGroup.spec", sink)?;
    let tier = tier(&mut spec, sink);
    let same_group = spec.flag("allowSameGroupTraffic", sink);
    let mut rules = Vec::new();
    for (field, direction) in [("ingressRules", Direction::ToGuest), ("egressRules", Direction::FromGuest)] {
        for node in spec.list(field, sink) {
            rules.extend(rule(Fields::of("a rule of a security group", node, sink), direction, sink));
        }
    }
    spec.finish(sink);
    object.fields.finish(sink);
    let (tier, tier_span) = tier.map_or((0, None), |tier| (tier.value, Some(tier.span)));
    Some(SecurityGroup { name: owned(object.name), tier, tier_span, same_group, vrrp, rules })
}

/// The tier, where it is another than 0.
fn tier(spec: &mut Fields<'_>, sink: &mut Sink) -> Option<Spanned<u8>> {
    let said = spec.int("tier", sink)?;
    match said.value {
        0 => None,
        1 => Some(said.map(|_| 1)),
        other => {
            let message = format!("`tier` can't be {other}");
            sink.push(Diagnostic::new(Code::BadValue, said.span, message).help("it takes 0 or 1"));
            None
        }
    }
}

fn rule(mut fields: Fields<'_>, direction: Direction, sink: &mut Sink) -> Option<GroupRule> {
    let family = fields
        .required("ipVersion", sink)
        .and_then(|text| choice(text, "ipVersion", &[("ipv4", Family::V4), ("ipv6", Family::V6)], sink));
    let known = [
        ("all", Protocol::Any),
        ("icmp", Protocol::Icmp),
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("sctp", Protocol::Sctp),
    ];
    let protocol = fields
        .text("protocol", sink)
        .map_or(Some(Protocol::Any), |text| choice(text, "protocol", &known, sink));
    let priority = fields.int("priority", sink);
    if fields.node("priority").is_none() {
        fields.report_missing("priority", sink);
    }
    let verdict = fields.required("policy", sink).and_then(|text| {
        let known = [
            ("allow", Verdict::Allow),
            ("drop", Verdict::Drop),
            ("pass", Verdict::Pass),
            ("deny", Verdict::Drop),
        ];
        Some(Spanned::new(choice(text, "policy", &known, sink)?, text.span))
    });
    let remote = remote(&mut fields, family, sink);
    let local = fields.text("localAddress", sink);
    let has_local = local.is_some();
    let local = local.and_then(|text| network_or_address(text, "`localAddress`", sink));
    let local = local.filter(|net| is_of_family(*net, family, sink));
    let span = fields.span;
    let n_errors = sink.n_errors();
    let ports = range(&mut fields, ["portRangeMin", "portRangeMax"], protocol, sink);
    if ports.is_none() && protocol.is_some_and(Protocol::has_ports) && sink.n_errors() == n_errors {
        fields.report_missing("portRangeMin", sink);
    }
    let source_ports = range(&mut fields, ["sourcePortRangeMin", "sourcePortRangeMax"], protocol, sink);
    let ports_read = sink.n_errors() == n_errors;
    fields.finish(sink);
    let rule = GroupRule {
        span,
        direction,
        priority: priority?,
        family: family?,
        protocol: protocol?,
        ports,
        source_ports,
        remote: remote?,
        local,
        verdict: verdict?,
        log: None,
    };
    Some(rule).filter(|rule| ports_read && has_local == rule.local.is_some())
}

fn remote(fields: &mut Fields<'_>, family: Option<Family>, sink: &mut Sink) -> Option<Remote> {
    #[derive(Clone, Copy)]
    enum Kind {
        Address,
        Group,
    }
    let known = [("address", Kind::Address), ("securityGroup", Kind::Group)];
    fields.skip(&["remoteAddress", "remoteSecurityGroup"]);
    let kind = fields.required("remoteType", sink).and_then(|text| choice(text, "remoteType", &known, sink));
    let (read, other) = match kind? {
        Kind::Address => ("remoteAddress", "remoteSecurityGroup"),
        Kind::Group => ("remoteSecurityGroup", "remoteAddress"),
    };
    let text = fields.required(read, sink);
    if let Some(other_text) = fields.text(other, sink) {
        let message = format!("`{other}` has no effect: `remoteType` says that `{read}` counts");
        sink.push(Diagnostic::new(Code::FieldWithoutEffect, other_text.span, message));
    }
    match kind? {
        Kind::Group => Some(Remote::Group(owned(text?), None)),
        Kind::Address => {
            let net = network_or_address(text?, "`remoteAddress`", sink)?;
            is_of_family(net, family, sink).then_some(Remote::Net(net))
        }
    }
}

/// Whether a rule's address is of the family that the rule is about; another one is reported.
fn is_of_family(net: Spanned<IpNet>, family: Option<Family>, sink: &mut Sink) -> bool {
    let Some(family) = family.filter(|family| *family != Family::of(net.value)) else { return true };
    let message = format!("the rule is about {family}, and `{}` is {}", net.value, Family::of(net.value));
    sink.push(
        Diagnostic::new(Code::FamilyMix, net.span, message).help("write a rule for each version of IP"),
    );
    false
}

/// A range of ports; none where both ends are absent or zero.
fn range(
    fields: &mut Fields<'_>,
    [min, max]: [&'static str; 2],
    protocol: Option<Protocol>,
    sink: &mut Sink,
) -> Option<Spanned<PortRange>> {
    let ends = [min, max].map(|name| fields.int(name, sink));
    let span = ends.iter().flatten().find(|n| n.value != 0)?.span;
    let mut report = |span: Span, message: String, help: &str| {
        sink.push(Diagnostic::new(Code::PortRange, span, message).help(help));
    };
    if !protocol?.has_ports() {
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
