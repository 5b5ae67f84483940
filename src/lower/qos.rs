//! QoS policies → QoS rows of switches.
//!
//! | meant | stored on | anchor |
//! |---|---|---|
//! | of an interface | its subnet's switch | `inport`, `outport` |
//! | of a subnet | its switch | the source or destination in its blocks |
//! | of a public address | the external network's switch | the source or destination, as the outside sees it |
//! | of a gateway | the external network's switch | `inport`, `outport`: the port towards the router |
//!
//! What is sent is asked on its way into the switch (`from-lport`), what is received on its way out. A rule is one
//! row, since a row is one meter, and each chassis has that meter for itself. Meters drop, in every datapath; OVN's
//! other way, `qos_max_rate` of a port, delays, and only where the kernel forwards. Up to OVN 23.03 marks and rates
//! are asked apart, so that a row with one of them leaves the other to the next; later the first row decides both.
//! Priorities: `priority.rs`. Fixtures: `qos/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::filter::{ip, of_net, packets};
use super::port::host_or_net;
use super::subnet::direction;
use crate::check::Checked;
use crate::model::{Direction, Family, GroupRule, Public, QosRule, QosTarget, Remote};
use crate::names;
use crate::nb::{Key, Qos, Ref, Rows, Table};
use crate::priority;

/// Writes the rows; gives them by the subnet on whose switch they are.
pub(super) fn by_subnet(checked: &Checked<'_>, rows: &mut Rows) -> Vec<BTreeSet<Ref>> {
    let model = checked.model();
    let mut by_subnet = vec![BTreeSet::new(); model.subnets.len()];
    for policy in &model.qos_policies {
        for target in &policy.targets {
            let subnet = model.counted_on(target.value);
            let switch = &model.subnet(subnet).name;
            for (nth, rule) in policy.rules.iter().enumerate() {
                let Some(matching) = matching(checked, target.value, rule) else { continue };
                let whose = whose(checked, target.value);
                let way = direction(rule.direction);
                let key = Key::new(Table::Qos, format!("{switch}/qos/{}/{whose}/{way}/{nth}", policy.name));
                rows.insert(key.clone(), row(target.value, rule, nth, matching), Some(rule.span));
                by_subnet[subnet.0].insert(Ref::Key(key));
            }
        }
    }
    by_subnet
}

fn row(target: QosTarget, rule: &QosRule, nth: usize, matching: String) -> Qos {
    let said = |name: &str, value: Option<i64>| value.map(|value| (name.to_owned(), value));
    let number = |value: &Option<crate::span::Spanned<i64>>| value.as_ref().map(|value| value.value);
    let rates = [said("rate", number(&rule.rate)), said("burst", number(&rule.burst))];
    Qos {
        priority: match target {
            QosTarget::Subnet(_) => priority::qos_of_subnet(nth),
            QosTarget::Gateway(_) => priority::qos_of_gateway(nth),
            QosTarget::Port(_) | QosTarget::ElasticIp(_) => priority::qos_of_one(nth),
        },
        direction: direction(rule.direction).to_owned(),
        matching,
        action: said("dscp", number(&rule.dscp)).into_iter().collect(),
        bandwidth: rates.into_iter().flatten().collect(),
        ..Qos::default()
    }
}

/// What a target is called in keys.
fn whose(checked: &Checked<'_>, target: QosTarget) -> String {
    let model = checked.model();
    match target {
        QosTarget::Port(id) => format!("port/{}", model.port(id).name),
        QosTarget::Subnet(_) => "all".to_owned(),
        QosTarget::ElasticIp(id) => format!("elastic-ip/{}", model.elastic_ips[id.0].name),
        QosTarget::Gateway(id) => format!("gateway/{}", model.vpc(model.gateway(id).vpc).name),
    }
}

/// A rule's packets at a target; `None` where there are none of its family.
fn matching(checked: &Checked<'_>, target: QosTarget, rule: &QosRule) -> Option<String> {
    let model = checked.model();
    let hosts = |addresses: &[IpAddr]| addresses.iter().copied().map(IpNet::from).collect::<Vec<_>>();
    match target {
        QosTarget::Port(id) => Some(at_port(&model.port(id).name, rule)),
        QosTarget::Gateway(id) => {
            let gateway = model.gateway(id);
            let side = names::router_side(model.vpc(gateway.vpc), model.subnet(gateway.external));
            Some(at_port(&side, rule))
        }
        QosTarget::Subnet(id) => {
            let blocks: Vec<IpNet> = model.subnet(id).blocks.iter().map(|block| block.cidr.value).collect();
            of_addresses(&blocks, rule)
        }
        QosTarget::ElasticIp(id) => {
            of_addresses(&hosts(checked.assignment().public(Public::ElasticIp(id))), rule)
        }
    }
}

fn at_port(port: &str, rule: &QosRule) -> String {
    let end = match rule.direction {
        Direction::FromGuest => "inport",
        Direction::ToGuest => "outport",
    };
    let alternatives: Vec<String> = rule.packets.iter().map(text).collect();
    let any = match alternatives.as_slice() {
        [v4, v6] if v4 == "ip4" && v6 == "ip6" => "ip".to_owned(),
        [only] => only.clone(),
        several => format!("({})", joined(several)),
    };
    format!("{end} == \"{port}\" && {any}")
}

fn of_addresses(own: &[IpNet], rule: &QosRule) -> Option<String> {
    let end = match rule.direction {
        Direction::FromGuest => "src",
        Direction::ToGuest => "dst",
    };
    let mut alternatives = Vec::new();
    for packets in &rule.packets {
        let family = ip(packets.family);
        for net in own.iter().filter(|net| Family::of(**net) == packets.family) {
            let anchor = format!("{family}.{end} == {}", host_or_net(*net));
            let text = text(packets);
            alternatives.push(if text == family { anchor } else { format!("{anchor} && {text}") });
        }
    }
    match alternatives.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(joined(several)),
    }
}

fn text(rule: &GroupRule) -> String {
    let remote = match &rule.remote {
        Remote::Net(net) => of_net(rule, net.value),
        Remote::Group(..) => ip(rule.family).to_owned(),
    };
    packets(rule, remote)
}

/// Any of several conditions, each in parentheses where it has parts.
fn joined(conditions: &[String]) -> String {
    let closed = |text: &String| if text.contains("&&") { format!("({text})") } else { text.clone() };
    let mut seen: BTreeMap<&str, ()> = BTreeMap::new();
    let each_once = conditions.iter().filter(|text| seen.insert(text, ()).is_none());
    each_once.map(closed).collect::<Vec<_>>().join(" || ")
}
