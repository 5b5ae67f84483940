//! `kubeovn.io/v1` QoSPolicy, and the annotations that limit a workload's interface.
//!
//! Kube-OVN limits by the traffic control of a NAT gateway's pod, or of a node. Here OVN itself drops what is past a
//! rate, at the public address, the gateway or the interface. Refuses what is about the interfaces of a pod.

use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::no_effect;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{Direction, Family, GroupRule, Protocol, QosRule, Remote, Verdict, everything};
use crate::source::declare::{Form, Int, Take, Word, Words, declare};
use crate::source::fields::{network_or_address, owned, part, text_of};
use crate::source::object::Object;
use crate::source::qos::{Binding, Declared, KUBEOVN, Target};
use crate::source::values::Flag;
use crate::source::yaml::Node;
use crate::span::{Span, Spanned};

/// Places of rules; what stands there says only which is asked first.
const PRIORITIES: RangeInclusive<i64> = 0..=65535;
/// What a megabit is in OVN's unit.
const KILOBITS: f64 = 1000.0;
/// ovn-nb(5), QoS.bandwidth.
const RATE_MAX: f64 = 4_294_967_295.0;
/// The interface of a NAT gateway's pod that is towards the outside.
const OUTSIDE: &str = "net1";

declare! {
    /// Rates for the NAT gateways or the public addresses that name it; what is more is dropped.
    pub(crate) struct QosPolicy "QoSPolicy.spec" {
        /// What may name it: public addresses, or NAT gateways.
        "bindingType" binding: Word<ForGateways>,
        /// Whether several may, each with the rates to itself.
        "shared" shared: Flag = "false",
        /// The rules, the lower priority first.
        "bandwidthLimitRules" rules: Vec<Spanned<RateLimit>>,
    }
}

declare! {
    /// Some packets, and their rate.
    pub(crate) struct RateLimit "a rule of a QoSPolicy" {
        /// What people call it; of one priority, rules are asked in the order of their names.
        "name" name: Option<Spanned<String>>,
        /// Megabits a second.
        "rateMax" rate: Megabits,
        /// Megabits that may come at once.
        "burstMax" burst: Option<Megabits> = "those of a second",
        /// Which way, seen from the inside.
        "direction" direction: Word<Way>,
        /// Its place: the lower is asked first.
        "priority" priority: Option<Int<0, 65535>> = "0",
        /// The pod's interface that Kube-OVN limits; only the one towards the outside is there.
        "interface" interface: Option<Spanned<String>> = "net1",
        /// `ip` where `matchValue` says whose packets.
        "matchType" by_address: Option<Word<ByAddress>> = "all packets",
        /// `src 192.0.2.0/24` or `dst 192.0.2.0/24`, of the packet as it is outside.
        "matchValue" value: Option<Spanned<String>>,
    }
}

/// Whether a policy is for gateways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForGateways(bool);

impl Words for ForGateways {
    const WORDS: &'static [(&'static str, ForGateways)] =
        &[("EIP", ForGateways(false)), ("NATGW", ForGateways(true))];
}

/// Which way a rule looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way(Direction);

impl Words for Way {
    const WORDS: &'static [(&'static str, Way)] =
        &[("ingress", Way(Direction::ToGuest)), ("egress", Way(Direction::FromGuest))];
}

/// How a rule tells packets apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByAddress;

impl Words for ByAddress {
    const WORDS: &'static [(&'static str, ByAddress)] = &[("ip", ByAddress)];
}

/// Megabits, kept as kilobits.
#[derive(Debug)]
pub(crate) struct Megabits(Spanned<i64>);

impl Take for Megabits {
    fn form() -> Form {
        Form::Text
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Megabits> {
        megabits(text_of(node, name, sink)?.map(str::trim), name, sink).map(Megabits)
    }
}

/// The policy that an object describes; what names it is not known yet.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let said: QosPolicy = object.declared(sink)?;
    let mut rules = said.rules;
    let place = |rule: &RateLimit| {
        let name = rule.name.as_ref().map_or(String::new(), |name| name.value.clone());
        (rule.priority.as_ref().map_or(0, |priority| priority.0.value), name)
    };
    rules.sort_by_key(|rule| place(&rule.value));
    for Int(priority) in rules.iter().filter_map(|rule| rule.value.priority.as_ref()) {
        if !PRIORITIES.contains(&priority.value) {
            let (first, last) = (PRIORITIES.start(), PRIORITIES.end());
            let message = format!("priority {priority} is outside {first} – {last}");
            sink.push(Diagnostic::new(Code::PriorityRange, priority.span, message));
        }
    }
    Some(Declared {
        kind: KUBEOVN,
        name: owned(object.name),
        targets: Vec::new(),
        rules: rules.into_iter().filter_map(|rule| of_rule(rule, sink)).collect(),
        binding: Some(Binding { for_gateways: said.binding.0.value.0, is_shared: said.shared.0.is_some() }),
    })
}

fn of_rule(said: Spanned<RateLimit>, sink: &mut Sink) -> Option<QosRule> {
    let Spanned { value: said, span } = said;
    let direction = said.direction.0.value.0;
    if let Some(interface) = said.interface.filter(|interface| interface.value != OUTSIDE) {
        let why = "it names an interface of the gateway's pod, and OVN itself does its work: towards the outside alone";
        no_effect(interface.span, "interface", why, sink);
        return None;
    }
    let packets = match said.by_address {
        None => [true, false].map(|v4| packets(span, direction, None, everything(v4))).into(),
        Some(_) => vec![matched(said.value.as_ref(), span, direction, sink)?],
    };
    let (rate, burst) = (Some(said.rate.0), said.burst.map(|burst| burst.0));
    Some(QosRule { span, direction, packets, rate, burst, dscp: None })
}

/// `src 10.0.0.0/24` or `dst 10.0.0.0/24`, of the packet as it is outside.
fn matched(
    value: Option<&Spanned<String>>,
    span: Span,
    way: Direction,
    sink: &mut Sink,
) -> Option<GroupRule> {
    let value = value.map(|text| Spanned::new(text.value.as_str(), text.span));
    let split = value.and_then(|text| Some((text, text.value.split_once(' ')?)));
    let Some((text, (end @ ("src" | "dst"), net))) = split else {
        let place = value.map_or(span, |text| text.span);
        sink.push(
            Diagnostic::new(Code::BadValue, place, "`matchValue` says neither `src` nor `dst`")
                .help("write it as `src 192.0.2.0/24`, or `dst 192.0.2.0/24`"),
        );
        return None;
    };
    let net = network_or_address(part(text, net.trim()), "`matchValue`", sink)?;
    let is_remote = (end == "src") == (way == Direction::ToGuest);
    let local = (!is_remote).then_some(net);
    let remote = if is_remote { net.value } else { everything(net.value.addr().is_ipv4()) };
    Some(packets(text.span, way, local, remote))
}

fn packets(span: Span, direction: Direction, local: Option<Spanned<IpNet>>, remote: IpNet) -> GroupRule {
    GroupRule {
        span,
        direction,
        priority: Spanned::new(0, span),
        family: Family::of(remote),
        protocol: Protocol::Any,
        ports: None,
        source_ports: None,
        remote: Remote::Net(Spanned::new(remote, span)),
        local,
        verdict: Spanned::new(Verdict::Allow, span),
        log: None,
    }
}

/// Megabits in a text, as kilobits.
fn megabits(text: Spanned<&str>, field: &str, sink: &mut Sink) -> Option<Spanned<i64>> {
    let kilobits = text.value.parse::<f64>().ok().map(|megabits| (megabits * KILOBITS).round());
    match kilobits.filter(|kilobits| (1.0..=RATE_MAX).contains(kilobits)) {
        Some(kilobits) => Some(Spanned::new(kilobits as i64, text.span)),
        None => {
            let message = format!("`{field}` takes megabits, not `{text}`");
            sink.push(
                Diagnostic::new(Code::BadValue, text.span, message)
                    .help("write a number from 0.001 to 4294967"),
            );
            None
        }
    }
}

/// What annotations say of an interface's rates. Kube-OVN lets four fifths of a second's come at once.
pub(super) fn of_interface<'d>(
    port: &Spanned<String>,
    find: &impl Fn(&str) -> Option<Spanned<&'d str>>,
    sink: &mut Sink,
) -> Option<Declared> {
    let mut rules = Vec::new();
    for (attribute, direction) in
        [("ingress_rate", Direction::ToGuest), ("egress_rate", Direction::FromGuest)]
    {
        let Some(text) = find(attribute).filter(|text| text.value != "0") else { continue };
        let Some(rate) = megabits(text, attribute, sink) else { continue };
        let span = text.span;
        let packets = [true, false].map(|v4| packets(span, direction, None, everything(v4))).into();
        let burst = Some(rate.map(|rate| (rate * 4 / 5).max(1)));
        rules.push(QosRule { span, direction, packets, rate: Some(rate), burst, dscp: None });
    }
    let name = Spanned::new(format!("rates of {port}"), rules.first()?.span);
    let targets = vec![Target::Itself(port.clone())];
    Some(Declared { kind: "the annotated", name, targets, rules, binding: None })
}
