//! Translations that no case of YAML asks for: rows of a case, altered.

use northc::nb::{
    Acl, AddressSet, Key, LogicalRouter, LogicalRouterPort, LogicalSwitch, Nat, Ref, Row, Rows, Table,
};
use northc::reach::guest::ByHand;
use northc::reach::judge::{Judge, Proto, service};
use northc::reach::network::Network;
use northc::reach::parties::parties;
use northc::reach::set::{Set, Sets};
use northc::target::Target;

use super::steps::rows;

/// The rows of files of a case of the lab, for an OVN.
pub(super) fn case(paths: &[&str], target: Target) -> Rows {
    let paths: Vec<String> = paths.iter().map(|path| format!("fixtures/lab/{path}")).collect();
    rows(&paths, target)
}

/// Changes every row of a table.
pub(crate) fn alter<T>(rows: &mut Rows, table: Table, mut change: impl FnMut(&mut T))
where
    T: for<'r> TryFrom<&'r Row> + Into<Row>,
{
    for (_, row) in rows.iter_mut().filter(|(key, _)| key.table == table) {
        let Ok(mut typed) = T::try_from(&*row) else { continue };
        change(&mut typed);
        *row = typed.into();
    }
}

/// Adds a rule, with a priority and an action, to switches by their names.
pub(crate) fn add_rule(
    rows: &mut Rows,
    is_meant: impl Fn(&str) -> bool,
    direction: &str,
    (priority, action): (i64, &str),
    matching: &str,
) {
    let key = Key::new(Table::Acl, format!("{direction} {priority} {action}"));
    let (direction, action, matching) = (direction.to_owned(), action.to_owned(), matching.to_owned());
    rows.insert(key.clone(), Acl { direction, priority, action, matching, ..Acl::default() }, None);
    alter(rows, Table::LogicalSwitch, |switch: &mut LogicalSwitch| {
        switch.acls.extend(is_meant(&switch.name).then(|| Ref::Key(key.clone())));
    });
}

/// What is said of packets to tcp/443: the verdicts, and the source that arrives.
pub(super) fn said(rows: &Rows, target: Target, from: &str, to: &str) -> Vec<String> {
    said_of(rows, target, from, to, |sets| service(sets, Some(Proto::Tcp), Some((443, 443))))
}

/// The same of other packets.
pub(super) fn said_of(
    rows: &Rows,
    target: Target,
    from: &str,
    to: &str,
    packets: impl Fn(&Sets) -> Set,
) -> Vec<String> {
    let network = Network::of_rows(rows, target);
    let sets = Sets::default();
    let mut judge = Judge::new(&network, &sets, ByHand { all: true, ..ByHand::default() });
    let (from, to) = (parties(&judge, from).expect("a name"), parties(&judge, to).expect("a name"));
    let service = packets(&sets);
    let findings = judge.explain(&from[0], &to[0], service);
    let said = findings.iter().map(|finding| {
        let arrived = finding.courses[0].request.flow.rewrite.apply(&finding.witness);
        format!("{} from {}", finding.verdict.name(), arrived.source())
    });
    said.collect()
}

pub(super) const NAT: [&str; 2] = ["nat-outgoing/outside.yaml", "nat-outgoing/nat.yaml"];
const FLOATING: [&str; 1] = ["floating-ip/network.yaml"];

#[test]
fn a_port_of_a_range_is_ovns_choice() {
    let target = Target::OLDEST;
    let mut rows = case(&NAT, target);
    alter(&mut rows, Table::Nat, |nat: &mut Nat| nat.external_port_range = "3000-4000".to_owned());
    assert_eq!(said(&rows, target, "vm-external", "8.8.8.8"), ["reachable from 203.0.113.2"]);
    // Only where a rule tells ports of the range apart does the choice matter.
    let drop = |matching: &str| {
        let mut rows = rows.clone();
        add_rule(&mut rows, |switch| switch == "external", "from-lport", (1000, "drop"), matching);
        said(&rows, target, "vm-external", "8.8.8.8")
    };
    assert_eq!(drop("tcp.src == 3500"), ["ambiguous from 203.0.113.2"]);
    assert_eq!(drop("tcp.src >= 3000"), ["blocked from 203.0.113.2"]);
    assert_eq!(drop("tcp.src > 4000"), ["reachable from 203.0.113.2"]);
}

#[test]
fn a_range_that_is_none_is_not_judged() {
    let mut rows = case(&NAT, Target::OLDEST);
    alter(&mut rows, Table::Nat, |nat: &mut Nat| nat.external_port_range = "all".to_owned());
    let found = said(&rows, Target::OLDEST, "vm-external", "8.8.8.8");
    assert_eq!(found, ["undetermined from 172.20.30.2"]);
}

/// Before 24.03 OVN gives the answer to a connection that came untranslated another source; for floating IPs
/// up to 25.03.
#[test]
fn what_comes_untranslated_is_answered_since_it_is_remembered() {
    let [oldest, middle, newest] = Target::TESTED;
    for (target, verdict) in [(oldest, "one-way"), (middle, "reachable"), (newest, "reachable")] {
        let found = said(&case(&NAT, target), target, "203.0.113.1", "vm-external");
        assert_eq!(found, [format!("{verdict} from 203.0.113.1")], "{target}");
    }
    for (target, verdict) in [(oldest, "one-way"), (middle, "one-way"), (newest, "reachable")] {
        let rows = case(&FLOATING, target);
        let network = Network::of_rows(&rows, target);
        let sets = Sets::default();
        let mut judge = Judge::new(&network, &sets, ByHand { all: true, ..ByHand::default() });
        let from = parties(&judge, "203.0.113.1").expect("an address")[0].clone();
        let mut to = parties(&judge, "a").expect("a machine")[0].clone();
        to.public = to.destinations;
        let found = judge.explain(&from, &to, service(&sets, Some(Proto::Tcp), Some((443, 443))));
        let found: Vec<&str> = found.iter().map(|finding| finding.verdict.name()).collect();
        assert_eq!(found, [verdict], "{target}");
    }
}

#[test]
fn a_router_on_one_chassis_translates_at_every_port() {
    for target in Target::TESTED {
        let mut rows = case(&NAT, target);
        alter(&mut rows, Table::LogicalRouterPort, |port: &mut LogicalRouterPort| {
            port.gateway_chassis.clear();
            port.ha_chassis_group = None;
        });
        let lost = said(&rows, target, "vm-external", "8.8.8.8");
        assert_eq!(lost, ["one-way from 172.20.30.2"], "without a gateway nothing is translated");
        alter(&mut rows, Table::LogicalRouter, |router: &mut LogicalRouter| {
            router.options.insert("chassis".to_owned(), "gw1".to_owned());
        });
        assert_eq!(said(&rows, target, "vm-external", "8.8.8.8"), ["reachable from 203.0.113.2"]);
        assert_eq!(said(&rows, target, "203.0.113.1", "vm-external"), ["reachable from 203.0.113.1"]);
    }
}

#[test]
fn a_stateless_translation_goes_both_ways() {
    let target = Target::OLDEST;
    let mut rows = case(&FLOATING, target);
    alter(&mut rows, Table::Nat, |nat: &mut Nat| {
        nat.options.insert("stateless".to_owned(), "true".to_owned());
    });
    assert_eq!(said(&rows, target, "203.0.113.1", "203.0.113.50"), ["reachable from 203.0.113.1"]);
    assert_eq!(said(&rows, target, "a", "8.8.8.8"), ["reachable from 203.0.113.50"]);
    // Of what leaves by the gateway OVN looks at the sender where it is about others.
    let key = Key::new(Table::AddressSet, "strangers");
    let addresses = ["10.0.0.0/8".to_owned(), "172.16.0.0/12".to_owned(), "192.168.0.0/16".to_owned()].into();
    rows.insert(
        key.clone(),
        AddressSet { name: "strangers".to_owned(), addresses, ..AddressSet::default() },
        None,
    );
    alter(&mut rows, Table::Nat, |nat: &mut Nat| nat.exempted_ext_ips = Some(Ref::Key(key.clone())));
    assert!(said(&rows, target, "a", "8.8.8.8")[0].starts_with("blocked"));
}
