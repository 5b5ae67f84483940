//! `natOutgoing` and the rules that refine it → what of a block is translated, for which destinations.
//!
//! The first rule that matches a packet decides, and one that none matches is translated. OVN takes the longest
//! source prefix, and knows destinations that keep their source alone (`exempted_ext_ips`). So every source that a
//! rule names gets a part of its own, which says where its packets keep their source: each rule by destination
//! becomes addresses there. Refuses to know rows.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::model::{Subnet, everything};

/// A part of a block whose packets are translated, but for those to the exempt destinations.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) inside: IpNet,
    pub(super) exempt: Vec<IpNet>,
}

/// OVN lets exempt packets pass two ranks above those that are translated, one prefix length a rank
/// (ovn-northd(8), S_ROUTER_OUT_SNAT): a longer prefix by so many bits has nothing to fear.
const CLEAR: u8 = 3;

/// The parts of a subnet's block, those that hold others first.
pub(super) fn parts(subnet: &Subnet, block: IpNet) -> Vec<Part> {
    let sources = subnet.nat_rules.iter().flat_map(|rule| &rule.sources).map(|source| source.value.trunc());
    let cuts: BTreeSet<IpNet> = sources.filter(|cut| *cut != block && block.contains(cut)).collect();
    let mut parts = Vec::new();
    divide(subnet, block, &cuts, false, &mut parts);
    parts
}

fn divide(subnet: &Subnet, net: IpNet, cuts: &BTreeSet<IpNet>, is_within: bool, parts: &mut Vec<Part>) {
    let exempt = exempt(subnet, net);
    let inner: Vec<IpNet> = cuts.iter().filter(|cut| **cut != net && net.contains(*cut)).copied().collect();
    let is_close = |cut: &IpNet| cut.prefix_len() < net.prefix_len() + CLEAR;
    if !exempt.is_empty() && inner.iter().any(is_close) {
        return halves(net).for_each(|half| divide(subnet, half, cuts, is_within, parts));
    }
    let is_left_out = exempt == [everything(net.addr().is_ipv4())];
    // Beyond every other part nobody translates it anyway.
    if is_within || !is_left_out {
        let exempt = if is_left_out { halves(exempt[0]).collect() } else { exempt };
        parts.push(Part { inside: net, exempt });
    }
    let is_outermost = |cut: &IpNet| !inner.iter().any(|other| other != cut && other.contains(cut));
    for cut in inner.iter().filter(|cut| is_outermost(cut)) {
        divide(subnet, *cut, cuts, is_within || !is_left_out, parts);
    }
}

/// Where packets from addresses of `net`, none of which a rule names more closely, keep their source.
fn exempt(subnet: &Subnet, net: IpNet) -> Vec<IpNet> {
    let all = everything(net.addr().is_ipv4());
    let (mut left, mut kept) = (vec![all], Vec::new());
    for rule in &subnet.nat_rules {
        let is_asked =
            rule.sources.is_empty() || rule.sources.iter().any(|source| source.value.contains(&net));
        if !is_asked {
            continue;
        }
        let everywhere = rule.destinations.is_empty().then_some(all);
        let named = rule.destinations.iter().map(|to| to.value.trunc());
        for to in named.filter(|to| to.addr().is_ipv4() == all.addr().is_ipv4()).chain(everywhere) {
            if !rule.is_translated {
                kept.extend(left.iter().filter_map(|left| common(*left, to)));
            }
            left = left.into_iter().flat_map(|left| without(left, to)).collect();
        }
    }
    IpNet::aggregate(&kept)
}

fn common(one: IpNet, other: IpNet) -> Option<IpNet> {
    if one.contains(&other) {
        return Some(other);
    }
    other.contains(&one).then_some(one)
}

/// What is left of `net` without `taken`.
fn without(net: IpNet, taken: IpNet) -> Vec<IpNet> {
    if taken.contains(&net) {
        return Vec::new();
    }
    if !net.contains(&taken) {
        return vec![net];
    }
    halves(net).flat_map(|half| without(half, taken)).collect()
}

/// The two halves of a prefix that is no host's.
fn halves(net: IpNet) -> impl Iterator<Item = IpNet> {
    net.subnets(net.prefix_len() + 1).expect("a prefix with another one within it is no host's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NatRule;
    use crate::span::{SourceMap, Span, Spanned};

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    /// The first rule that matches decides; asked one address after the other.
    fn is_translated(rules: &[NatRule], from: IpNet, to: IpNet) -> bool {
        let hits = |nets: &[Spanned<IpNet>], one: IpNet| {
            nets.is_empty() || nets.iter().any(|net| net.value.contains(&one))
        };
        let rule = rules.iter().find(|rule| hits(&rule.sources, from) && hits(&rule.destinations, to));
        rule.is_none_or(|rule| rule.is_translated)
    }

    /// As northd ranks its flows.
    fn is_translated_by(parts: &[Part], from: IpNet, to: IpNet) -> bool {
        let flows = parts.iter().filter(|part| part.inside.contains(&from)).flat_map(|part| {
            let rank = part.inside.prefix_len();
            let is_exempt = part.exempt.iter().any(|net| net.contains(&to));
            is_exempt.then_some((rank + 2, false)).into_iter().chain([(rank, true)])
        });
        flows.max().is_some_and(|(_, translated)| translated)
    }

    #[test]
    fn parts_say_what_the_rules_say() {
        let file = SourceMap::new().add("rules", String::new()).expect("it is small");
        let span = Span::new(file, 0..0);
        let nets =
            |texts: &[&str]| texts.iter().map(|text| Spanned::new(net(text), span)).collect::<Vec<_>>();
        let rule = |is_translated, sources: &[&str], destinations: &[&str]| NatRule {
            span,
            is_translated,
            sources: nets(sources),
            destinations: nets(destinations),
        };
        let worlds = [
            vec![],
            vec![rule(false, &["10.0.1.5/32"], &[])],
            vec![rule(false, &[], &["192.0.2.0/24"]), rule(true, &["10.0.1.0/25"], &["192.0.2.7/32"])],
            vec![rule(true, &["10.0.1.0/25"], &["192.0.2.7/32"]), rule(false, &[], &["192.0.2.0/24"])],
            vec![rule(true, &["10.0.1.64/26", "10.0.1.5/32"], &[]), rule(false, &[], &[])],
            vec![
                rule(false, &["10.0.1.0/26"], &["192.0.2.0/25", "198.51.100.0/24"]),
                rule(false, &["10.0.1.5/32"], &[]),
            ],
            vec![rule(false, &["10.0.0.0/8"], &[]), rule(true, &[], &[])],
            vec![rule(false, &["172.16.0.0/12"], &[]), rule(false, &[], &["fd00::/8"])],
        ];
        let everyone = [0, 5, 7, 63, 64, 100, 127, 128, 255].map(|n| net(&format!("10.0.1.{n}/32")));
        let everywhere =
            ["192.0.2.7/32", "192.0.2.8/32", "192.0.2.200/32", "198.51.100.1/32", "8.8.8.8/32"].map(net);
        for rules in worlds {
            let mut subnet = Subnet::new(Spanned::new("web".to_owned(), span));
            subnet.nat_rules = rules;
            let parts = parts(&subnet, net("10.0.1.0/24"));
            for (from, to) in everyone.iter().flat_map(|from| everywhere.iter().map(move |to| (*from, *to))) {
                let want = is_translated(&subnet.nat_rules, from, to);
                assert_eq!(is_translated_by(&parts, from, to), want, "{from} {to} {parts:?}");
            }
        }
    }
}
