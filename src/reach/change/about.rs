//! What a change of rules is about: only packets of those protocols and ports, from or to those switch ports, can take a
//! turn.
//!
//! Refuses to judge a change of anything but rules, and of the groups and sets in them.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::touched::{Differences, Part, foreign};
use crate::nb::actual::{self, Actual};
use crate::nb::matching::{ConstantKind, Expr, ExprKind, Reference, ReferenceKind, RelOp};
use crate::nb::{Datum, Table};
use crate::reach::filter::{Reader, Surroundings, Tracked};
use crate::reach::header::{ARP, Field, Origin, Rewrite, SCTP, TCP, UDP};
use crate::reach::network::{AccessRule, Network, RowId, Switch};
use crate::reach::set::{Set, Sets};
use crate::reach::walk::TTL;

/// Packets that rules which differ are about.
pub(super) struct About {
    /// The packets, whatever their addresses, and those that they answer.
    pub(super) packets: Set,
    /// The names of switch ports one of which they all leave or come to; `None` if the rules do not say.
    pub(super) ports: Option<HashSet<String>>,
}

/// Two networks that differ in nothing but rules, and in groups and sets.
pub(super) struct Rules<'c> {
    networks: [&'c Network; 2],
    differences: &'c Differences,
    changed: [Changed<'c>; 2],
}

impl<'c> Rules<'c> {
    /// `None` if they differ in more.
    pub(super) fn of(
        rows: [&'c Actual; 2],
        networks: [&'c Network; 2],
        differences: &'c Differences,
    ) -> Option<Rules<'c>> {
        let [old, new] = [0, 1].map(|side: usize| Changed::of(rows[side], networks[side], differences, side));
        Some(Rules { networks, differences, changed: [old?, new?] })
    }

    /// What those that differ in a part are about; `None` if it may be anything.
    pub(super) fn about(&self, sets: &Sets, parts: &[Part; 2]) -> Option<About> {
        if parts.iter().any(|part| part.is_routed_otherwise) || !self.are_like_before(parts) {
            return None;
        }
        let (mut all, mut ports) = (Set::NONE, Some(HashSet::new()));
        for side in [0, 1] {
            let network = self.networks[side];
            let reader = Reader::new(sets, network.symbols(), &network.names);
            let rules = parts[side].touched.iter().flat_map(|id| &network.switch(*id).acls);
            let mut read = HashSet::new();
            for rule in rules.map(|id| &network.acls[id.0]).filter(|rule| self.changed[side].has(rule)) {
                if read.insert(rule.row) {
                    all = sets.or(all, packets(&reader, &rule.matching)?);
                    ports = ports.and_then(|ports| with_ports(ports, &rule.matching, network));
                }
            }
        }
        let are_kept = self.networks.iter().zip(parts).all(|(network, part)| are_ports_kept(network, part));
        Some(About { packets: requests(sets, all, are_kept), ports })
    }

    /// Whether switches do all that is not said in a rule as they did.
    fn are_like_before(&self, parts: &[Part; 2]) -> bool {
        let of_row = |side: usize| -> HashMap<RowId, &Switch> {
            let switches = parts[side].touched.iter().map(|id| self.networks[side].switch(*id));
            switches.map(|switch| (switch.row, switch)).collect()
        };
        let (before, after) = (of_row(0), of_row(1));
        let same = self.differences.same.iter();
        let pairs: Vec<_> = same.filter_map(|[a, b]| Some((before.get(a)?, after.get(b)?))).collect();
        let habits = |it: &Switch| {
            let follows = (it.has_followed, it.is_balanced, it.answers_dns);
            (follows, it.drops_rest, it.drops_new, it.unfollowed.is_empty())
        };
        pairs.len() == before.len()
            && pairs.len() == after.len()
            && pairs.iter().all(|(a, b)| habits(a) == habits(b))
    }
}

/// Packets, and those that they answer.
fn requests(sets: &Sets, all: Set, are_ports_kept: bool) -> Set {
    let with_ports = sets.any([TCP, UDP, SCTP].map(|proto| sets.value(Field::IpProto, proto)));
    let by_port = if are_ports_kept { sets.and(all, with_ports) } else { Set::NONE };
    let mut exchanged = Rewrite::IDENTITY;
    exchanged[Field::TpSrc] = Origin::Field(Field::TpDst);
    exchanged[Field::TpDst] = Origin::Field(Field::TpSrc);
    let by_kind = sets.only(sets.minus(all, by_port), &[Field::EthType, Field::IpProto]);
    sets.any([by_port, sets.before(by_port, &exchanged), by_kind])
}

/// Adds the ports one of which packets leave or come to that a match holds for; `None` if it names none.
fn with_ports(mut ports: HashSet<String>, matching: &Expr, network: &Network) -> Option<HashSet<String>> {
    let all = match &matching.kind {
        ExprKind::All(parts) => parts.as_slice(),
        _ => std::slice::from_ref(matching),
    };
    let named = all.iter().find_map(|part| match &part.kind {
        ExprKind::Compare { field, op: RelOp::Eq, constants } => {
            ["inport", "outport"].contains(&field.symbol.name).then_some(constants)
        }
        _ => None,
    });
    for constant in named? {
        match &constant.kind {
            ConstantKind::Text(name) => drop(ports.insert(name.clone())),
            ConstantKind::PortGroup(name) => {
                ports.extend(network.names.port_groups.get(name).into_iter().flatten().cloned());
            }
            ConstantKind::AddressSet(_) | ConstantKind::Number(_) => return None,
        }
    }
    Some(ports)
}

/// Whether no translation and no balancer chooses another port.
fn are_ports_kept(network: &Network, part: &Part) -> bool {
    let routers = || part.routers.iter().map(|id| network.router(*id));
    let of_switches = part.switches.iter().flat_map(|id| &network.switch(*id).vips);
    routers().flat_map(|router| &router.translations).all(|it| it.ports.is_none())
        && routers()
            .flat_map(|router| &router.vips)
            .chain(of_switches)
            .all(|vip| vip.backends.iter().all(|(_, port)| *port == vip.port))
}

/// What a match is about, whatever the addresses; `None` if it may keep a switch from asking who has one.
fn packets(reader: &Reader<'_>, matching: &Expr) -> Option<Set> {
    let sets = reader.sets;
    let mut is_about_hops = false;
    matching.visit(&mut |part| match &part.kind {
        ExprKind::Compare { field, .. } | ExprKind::Between { field, .. } | ExprKind::Test(field) => {
            is_about_hops |= field.symbol.name == "ip.ttl";
        }
        _ => {}
    });
    let around = [Tracked::Not, Tracked::New, Tracked::Reply].map(|it| Surroundings::unknown(TTL, it));
    let all = sets.any(around.map(|around| reader.anywhere(matching, &around).maybe));
    let all = sets.only(all, &[Field::EthType, Field::IpProto, Field::TpSrc, Field::TpDst]);
    (!is_about_hops && !sets.meet(all, sets.value(Field::EthType, ARP))).then_some(all)
}

/// Rules that differ on one side, and those that say something else because of groups and sets.
struct Changed<'c> {
    rows: BTreeSet<RowId>,
    groups: HashSet<&'c str>,
    sets: HashSet<&'c str>,
}

impl<'c> Changed<'c> {
    /// `None` where more differs than that.
    fn of(
        rows: &'c Actual,
        network: &'c Network,
        differences: &Differences,
        side: usize,
    ) -> Option<Changed<'c>> {
        let (groups, sets) = (HashSet::new(), HashSet::new());
        let mut changed = Changed { rows: differences.changed[side].clone(), groups, sets };
        for info in changed.rows.iter().map(|id| network.row(*id)) {
            match info.table {
                Table::Acl => {}
                Table::AddressSet => drop(changed.sets.insert(&info.name)),
                Table::PortGroup => drop(changed.groups.insert(&info.name)),
                _ => return None,
            }
        }
        let mut held = differences.moved.clone();
        for (_, row) in rows.table(Table::PortGroup).filter(|_| !changed.groups.is_empty()) {
            if actual::name(row).is_some_and(|name| changed.groups.contains(name)) {
                held.extend(row.get("acls").into_iter().flat_map(Datum::refs).filter_map(foreign));
            }
        }
        for (at, (uuid, row)) in rows.iter().enumerate().filter(|_| !held.is_empty()) {
            if held.contains(&uuid) {
                changed.rows.insert(RowId(at));
                (row.table() == Table::Acl).then_some(())?;
            }
        }
        Some(changed)
    }

    fn has(&self, rule: &AccessRule) -> bool {
        let names = |reference: &Reference<'_>| match reference.kind {
            ReferenceKind::AddressSet => {
                let group =
                    reference.name.strip_suffix("_ip4").or_else(|| reference.name.strip_suffix("_ip6"));
                self.sets.contains(reference.name) || group.is_some_and(|name| self.groups.contains(name))
            }
            ReferenceKind::PortGroup => self.groups.contains(reference.name),
            ReferenceKind::Port | ReferenceKind::ResidentPort => false,
        };
        self.rows.contains(&rule.row) || rule.matching.references().iter().any(names)
    }
}
