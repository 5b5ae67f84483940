//! What holds of every plan, whatever the rows are.

use std::collections::{BTreeMap, BTreeSet};

use northc::nb::actual::{Actual, View, name};
use northc::nb::{
    Acl, Atom, Datum, DhcpOptions, Key, LogicalRouter, LogicalRouterPort, LogicalRouterStaticRoute,
    LogicalSwitch, LogicalSwitchPort, Ref, Row, Rows, Table, schema, stamp,
};
use northc::plan::batch::{Limits, batches};
use northc::plan::effect::outcome;
use northc::plan::standing::Standing;
use northc::plan::step::{Action, Edit, Step, Why};
use northc::plan::{Adopt, Mode, Plan, Request, as_if_applied, json, plan, render, saved, vacate};
use northc::span::SourceMap;
use proptest::prelude::*;
use proptest::sample::subsequence;
use uuid::Uuid;

use crate::memory::execute;

pub(crate) const OWNER: &str = "me";

/// A network in small: which rows there are and what they say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Net {
    /// Router number to its routes.
    pub(crate) routers: BTreeMap<u8, BTreeMap<u8, u8>>,
    /// Switch number to router number, rules (priority to match).
    pub(crate) switches: BTreeMap<u8, (u8, BTreeMap<u8, u8>)>,
    /// Port number to switch number, address, whether it has DHCP.
    pub(crate) ports: BTreeMap<u8, (u8, u8, bool)>,
}

pub(crate) fn net() -> impl Strategy<Value = Net> {
    let routes = || prop::collection::btree_map(0..4u8, 0..3u8, 0..3);
    let routers = prop::collection::btree_map(0..3u8, routes(), 0..3);
    let switches = prop::collection::btree_map(0..4u8, (0..3u8, routes()), 0..4);
    let ports = prop::collection::btree_map(0..8u8, (0..4u8, 0..4u8, any::<bool>()), 0..8);
    (routers, switches, ports).prop_map(|(routers, switches, ports)| Net { routers, switches, ports })
}

fn text(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn rows(net: &Net) -> Rows {
    let mut rows = Rows::new();
    let mut router_ports: BTreeMap<u8, BTreeSet<Ref>> = BTreeMap::new();
    for (s, (r, acls)) in &net.switches {
        let mut ports: BTreeSet<Ref> = BTreeSet::new();
        if net.routers.contains_key(r) {
            let name = format!("r{r}-s{s}");
            let key = Key::new(Table::LogicalRouterPort, name.as_str());
            let networks = [format!("10.{s}.0.1/24")].into();
            let port = LogicalRouterPort { name: name.clone(), networks, ..Default::default() };
            rows.insert(key.clone(), port, None);
            router_ports.entry(*r).or_default().insert(key.into());
            let key = Key::new(Table::LogicalSwitchPort, format!("s{s}-r{r}"));
            let options = text(&[("router-port", &name)]);
            let name = key.name.to_string();
            rows.insert(
                key.clone(),
                LogicalSwitchPort { name, kind: "router".into(), options, ..Default::default() },
                None,
            );
            ports.insert(key.into());
        }
        for (p, (_, address, has_dhcp)) in net.ports.iter().filter(|(_, (at, ..))| at == s) {
            let key = Key::new(Table::LogicalSwitchPort, format!("p{p}"));
            let dhcp = Key::new(Table::DhcpOptions, format!("s{s}/dhcp"));
            if *has_dhcp && rows.get(&dhcp).is_none() {
                let options = DhcpOptions { cidr: format!("10.{s}.0.0/24"), ..Default::default() };
                rows.insert(dhcp.clone(), options, None);
            }
            let port = LogicalSwitchPort {
                name: key.name.to_string(),
                addresses: [format!("02:00:00:00:00:0{p} 10.{s}.0.{address}")].into(),
                dhcpv4_options: has_dhcp.then_some(dhcp.into()),
                ..Default::default()
            };
            rows.insert(key.clone(), port, None);
            ports.insert(key.into());
        }
        let mut rules: BTreeSet<Ref> = BTreeSet::new();
        for (priority, matching) in acls {
            let key = Key::new(Table::Acl, format!("s{s}/{priority}"));
            let matching = format!("ip4.dst == 10.{matching}.0.0/16");
            let (direction, action) = ("to-lport".into(), "drop".into());
            let acl =
                Acl { priority: i64::from(*priority), matching, direction, action, ..Default::default() };
            rows.insert(key.clone(), acl, None);
            rules.insert(key.into());
        }
        let switch = LogicalSwitch { name: format!("s{s}"), ports, acls: rules, ..Default::default() };
        rows.insert(Key::new(Table::LogicalSwitch, format!("s{s}")), switch, None);
    }
    for (r, routes) in &net.routers {
        let mut static_routes: BTreeSet<Ref> = BTreeSet::new();
        for (prefix, nexthop) in routes {
            let key = Key::new(Table::LogicalRouterStaticRoute, format!("r{r}/20.{prefix}.0.0/16"));
            let route = LogicalRouterStaticRoute {
                ip_prefix: format!("20.{prefix}.0.0/16"),
                nexthop: format!("10.0.0.{nexthop}"),
                ..Default::default()
            };
            rows.insert(key.clone(), route, None);
            static_routes.insert(key.into());
        }
        let ports = router_ports.remove(r).unwrap_or_default();
        let router = LogicalRouter { name: format!("r{r}"), ports, static_routes, ..Default::default() };
        rows.insert(Key::new(Table::LogicalRouter, format!("r{r}")), router, None);
    }
    stamp::stamp(&mut rows, OWNER);
    rows
}

fn plan_of(desired: &Rows, actual: &Actual) -> Plan {
    let sources = SourceMap::new();
    plan(desired, actual, &Request::new(OWNER, &sources))
}

/// Foreign rows: a switch with a port, and a port and a rule in each of our switches.
pub(crate) fn add_foreign(actual: &mut Actual) {
    let marks = text(&[("vendor", "somebody")]);
    let switches: Vec<Uuid> = actual.table(Table::LogicalSwitch).map(|(uuid, _)| uuid).collect();
    for (at, switch) in switches.into_iter().enumerate() {
        let uuid = Uuid::from_u128(1000 + at as u128);
        let name = format!("foreign{at}");
        let port = LogicalSwitchPort { name, external_ids: marks.clone(), ..Default::default() };
        actual.insert(uuid, port.into());
        let row = actual.get_mut(Table::LogicalSwitch, switch).expect("it is there");
        let Some(ports @ Datum::Set(_)) = row.get_mut("ports") else { panic!("a set") };
        *ports = Datum::set(ports.refs().cloned().chain([Ref::Foreign(uuid)]).map(Atom::Ref));
        let Some(Datum::Map(pairs)) = row.get_mut("external_ids") else { panic!("a map") };
        let theirs = (Atom::Text("theirs".into()), Atom::Text("yes".into()));
        let all = Datum::map(std::mem::take(pairs).into_iter().chain([theirs]));
        *row.get_mut("external_ids").expect("a map") = all;
    }
    let uuid = Uuid::from_u128(1);
    let switch = LogicalSwitch { name: "theirs".into(), external_ids: marks, ..Default::default() };
    actual.insert(uuid, switch.into());
}

fn foreign(actual: &Actual, desired: &Rows) -> View {
    let mut view = View::new(actual, OWNER, desired);
    view.rows = Rows::new();
    view
}

fn apply(actual: &mut Actual, plan: &Plan, limits: &Limits) -> usize {
    let batches = batches(plan, limits);
    for steps in &batches {
        execute(actual, plan, steps);
    }
    batches.len()
}

fn one() -> Limits {
    Limits { n_single_max: usize::MAX, n_batch_max: usize::MAX }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn applying_a_plan_gives_what_is_wanted(a in net(), b in net(), single in 0..20usize, batch in 1..6usize) {
        let (a, b) = (rows(&a), rows(&b));
        prop_assert_eq!(schema::problems(&a), Vec::<String>::new());
        let mut actual = as_if_applied(&b, OWNER);
        let made = plan_of(&a, &actual);
        prop_assert_eq!(&made.conflicts, &vec![]);
        prop_assert_eq!(&outcome(&made, &actual), &as_if_applied(&a, OWNER));
        apply(&mut actual, &made, &Limits { n_single_max: single, n_batch_max: batch });
        prop_assert_eq!(&actual, &as_if_applied(&a, OWNER));
        prop_assert!(plan_of(&a, &actual).is_empty());
    }

    #[test]
    fn a_plan_touches_what_differs_and_nothing_else(a in net(), b in net()) {
        let (a, b) = (rows(&a), rows(&b));
        let made = plan_of(&a, &as_if_applied(&b, OWNER));
        for step in &made.steps {
            match (&step.action, a.get(&step.key), b.get(&step.key)) {
                (Action::Insert(row), Some(wanted), None) => prop_assert_eq!(row, wanted),
                (Action::Delete(row), None, Some(live)) => prop_assert_eq!(row, live),
                (Action::Update(changes), Some(wanted), Some(live)) => {
                    let differing: Vec<&str> = wanted.columns().zip(live.columns())
                        .filter(|((_, wanted), (_, live))| wanted != live)
                        .map(|((column, _), _)| column.name)
                        .collect();
                    let changed: Vec<&str> = changes.iter().map(|change| change.column.name).collect();
                    prop_assert_eq!(changed, differing);
                }
                _ => prop_assert!(false, "{:?}", step),
            }
        }
        let n_same = a.iter().filter(|(key, row)| b.get(key) == Some(row)).count();
        let n_both = a.iter().filter(|(key, _)| b.get(key).is_some()).count();
        prop_assert_eq!(made.steps.len(), a.len() + b.len() - n_both - n_same);
    }

    #[test]
    fn an_interrupted_apply_is_finished_by_the_next(a in net(), b in net(), c in net(), n in 0..6usize) {
        let (a, b, c) = (rows(&a), rows(&b), rows(&c));
        let mut actual = as_if_applied(&b, OWNER);
        let made = plan_of(&a, &actual);
        for steps in batches(&made, &Limits { n_single_max: 4, n_batch_max: 2 }).iter().take(n) {
            execute(&mut actual, &made, steps);
        }
        let made = plan_of(&c, &actual);
        apply(&mut actual, &made, &one());
        prop_assert_eq!(&actual, &as_if_applied(&c, OWNER));
    }

    #[test]
    fn a_row_that_stays_wanted_is_there_after_every_transaction(a in net(), b in net()) {
        let (a, b) = (rows(&a), rows(&b));
        let mut actual = as_if_applied(&b, OWNER);
        let made = plan_of(&a, &actual);
        for steps in &batches(&made, &Limits { n_single_max: 3, n_batch_max: 2 }) {
            execute(&mut actual, &made, steps);
            for (key, _) in a.iter().filter(|(key, _)| b.get(key).is_some()) {
                prop_assert!(actual.get(key.table, key.uuid(OWNER)).is_some(), "{} is gone", key);
            }
        }
    }

    #[test]
    fn routers_and_switches_go_apart_from_those_of_their_table_that_come(
        a in net(), b in net(), single in 0..200usize, batch in 1..6usize
    ) {
        let made = plan_of(&rows(&a), &as_if_applied(&rows(&b), OWNER));
        let batches = batches(&made, &Limits { n_single_max: single, n_batch_max: batch });
        for table in [Table::LogicalRouter, Table::LogicalSwitch] {
            let mut steps = batches.iter().flatten().filter(|step| step.key.table == table);
            if !steps.any(|step| matches!(step.action, Action::Insert(_))) {
                continue;
            }
            for (at, steps) in batches.iter().enumerate() {
                let mut of_table = steps.iter().filter(|step| step.key.table == table);
                let takes = of_table.any(|step| matches!(step.action, Action::Delete(_)));
                prop_assert!(!takes || at > 0 && at + 1 == batches.len() && vacate::is_removal(steps));
            }
        }
    }

    #[test]
    fn foreign_rows_and_members_survive(a in net(), b in net()) {
        let (a, b) = (rows(&a), rows(&b));
        let mut actual = as_if_applied(&b, OWNER);
        add_foreign(&mut actual);
        let before = foreign(&actual, &a).foreign;
        let made = plan_of(&a, &actual);
        let loses_switch = b.table(Table::LogicalSwitch).any(|(key, _)| a.get(key).is_none());
        prop_assert_eq!(made.conflicts.is_empty(), !loses_switch, "{:?}", made.conflicts);
        if made.conflicts.is_empty() {
            apply(&mut actual, &made, &Limits { n_single_max: 4, n_batch_max: 2 });
            prop_assert_eq!(foreign(&actual, &a).foreign, before);
            prop_assert!(plan_of(&a, &actual).is_empty());
        }
    }

    #[test]
    fn two_owners_do_not_see_each_other(a in net(), b in net()) {
        let mut theirs = rows(&b);
        stamp::stamp(&mut theirs, "you");
        // Names are the database's, so theirs differ.
        for (_, row) in theirs.iter_mut() {
            if let Some(Datum::Set(name)) = row.get_mut("name") {
                name.iter_mut().for_each(|name| if let Atom::Text(name) = name {
                    *name = format!("your-{name}").into();
                });
            }
        }
        let ours = rows(&a);
        let mut actual = as_if_applied(&theirs, "you");
        let before = actual.clone();
        let made = plan_of(&ours, &actual);
        prop_assert_eq!(&made.conflicts, &vec![]);
        apply(&mut actual, &made, &one());
        let undo = plan_of(&Rows::new(), &actual);
        apply(&mut actual, &undo, &one());
        let remaining: Vec<_> = actual.iter().collect();
        prop_assert_eq!(remaining, before.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_standing_plan_is_the_plan(turns in prop::collection::vec((net(), hand(), any::<bool>()), 1..6)) {
        let sources = SourceMap::new();
        let request = Request::new(OWNER, &sources);
        let mut actual = Actual::default();
        let mut standing = Standing::default();
        for (net, hand, is_known) in turns {
            hand.meddle(&mut actual);
            let wanted = rows(&net);
            if is_known {
                change(&mut standing, &wanted);
            } else {
                standing.want(wanted.clone());
            }
            let (made, whole) = (standing.plan(&actual, &request), plan(&wanted, &actual, &request));
            prop_assert_eq!(in_any_order(&made), in_any_order(&whole));
            let is_possible = made.conflicts.is_empty() && has_distinct_names(&outcome(&made, &actual));
            if is_possible && !matches!(hand, Hand::Wait) {
                apply(&mut actual, &made, &one());
            }
        }
    }

    #[test]
    fn a_saved_plan_is_the_plan(a in net(), b in net()) {
        let (a, b) = (rows(&a), rows(&b));
        let made = plan_of(&a, &as_if_applied(&b, OWNER));
        let text = serde_json::to_string_pretty(&json::document(&made)).expect("JSON");
        prop_assert_eq!(saved::read(&text).expect("readable"), made);
        if let Some(at) = text.find("10.0.") {
            let mut altered = text.clone();
            altered.replace_range(at..at + 5, "11.0.");
            prop_assert_eq!(saved::read(&altered), Err(saved::Unusable::Altered));
        }
    }

    #[test]
    fn damage_is_told_from_a_change_of_input(a in net(), pick in any::<prop::sample::Index>()) {
        let a = rows(&a);
        let actual = as_if_applied(&a, OWNER);
        let columns: Vec<(Uuid, Table, &str)> = actual.iter()
            .flat_map(|(uuid, row)| row.columns().map(move |(column, _)| (uuid, row.table(), column.name)))
            .filter(|(_, _, column)| *column != "external_ids")
            .collect();
        prop_assume!(!columns.is_empty());
        let (uuid, table, column) = columns[pick.index(columns.len())];
        let mut damaged = actual.clone();
        let row = damaged.get_mut(table, uuid).expect("there");
        let datum = row.get_mut(column).expect("a column");
        prop_assume!(alter(datum));
        let made = plan_of(&a, &damaged);
        let changed: Vec<&Step> = made.steps.iter().collect();
        prop_assert_eq!(changed.len(), 1);
        prop_assert_eq!(&changed[0].why, &Why::Drift);
        let Action::Update(changes) = &changed[0].action else { panic!("an update") };
        prop_assert_eq!(changes.len(), 1, "{:?}", changes);
        prop_assert_eq!(changes[0].column.name, column);
        let is_small = matches!(changes[0].edit, Edit::Replace { .. } | Edit::Pairs(_));
        prop_assert!(is_small);
        apply(&mut damaged, &made, &one());
        prop_assert_eq!(damaged, actual);
    }

    #[test]
    fn add_only_and_keep_never_take_away(a in net(), b in net()) {
        let (a, b) = (rows(&a), rows(&b));
        let sources = SourceMap::new();
        for mode in [Mode::AddOnly, Mode::Keep] {
            let mut actual = as_if_applied(&b, OWNER);
            let request = Request { mode, ..Request::new(OWNER, &sources) };
            let made = plan(&a, &actual, &request);
            let is_delete = |step: &Step| matches!(step.action, Action::Delete(_));
            prop_assert!(!made.steps.iter().any(is_delete));
            apply(&mut actual, &made, &one());
            for (key, _) in a.iter().chain(b.iter()) {
                prop_assert!(actual.get(key.table, key.uuid(OWNER)).is_some());
            }
            prop_assert!(plan(&a, &actual, &request).is_empty());
        }
    }

    #[test]
    fn adopted_rows_keep_their_uuid(a in net(), taken in subsequence((0..4u8).collect::<Vec<_>>(), 0..4)) {
        let a = rows(&a);
        let mut actual = Actual::default();
        for s in &taken {
            let name = format!("s{s}");
            let switch = LogicalSwitch { name, ..Default::default() };
            actual.insert(Uuid::from_u128(u128::from(*s) + 1), switch.into());
        }
        let sources = SourceMap::new();
        let request = Request { adopt: Adopt::InTheWay, ..Request::new(OWNER, &sources) };
        let in_the_way = taken.iter()
            .filter(|s| a.get(&Key::new(Table::LogicalSwitch, format!("s{s}"))).is_some()).count();
        prop_assert_eq!(plan_of(&a, &actual).conflicts.len(), in_the_way);
        let made = plan(&a, &actual, &request);
        prop_assert_eq!(made.summary().n_adopt, in_the_way);
        apply(&mut actual, &made, &Limits { n_single_max: 3, n_batch_max: 2 });
        let again = plan_of(&a, &actual);
        prop_assert!(again.is_empty(), "{}", render::text(&again, render::Paint::Plain));
        prop_assert_eq!(again.uuids.len(), in_the_way);
        let undo = plan_of(&Rows::new(), &actual);
        apply(&mut actual, &undo, &one());
        prop_assert_eq!(actual.len(), taken.len() - in_the_way);
    }
}

/// Tells what is wanted row by row.
fn change(standing: &mut Standing, wanted: &Rows) {
    let gone = standing.desired().iter().filter(|(key, _)| wanted.get(key).is_none());
    let gone: Vec<Key> = gone.map(|(key, _)| key.clone()).collect();
    gone.iter().for_each(|key| standing.remove(key));
    let mut new = Rows::new();
    for (key, row) in wanted.iter().filter(|(key, row)| standing.desired().get(key) != Some(row)) {
        new.insert(key.clone(), row.clone(), None);
    }
    standing.put(new);
}

/// The plan without what it says of groups, which is an order and nothing more.
fn in_any_order(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.steps.iter_mut().for_each(|step| step.group = step.key.clone());
    plan.steps.sort_by(|a, b| (&a.key, a.uuid).cmp(&(&b.key, b.uuid)));
    if let Some(guard) = &mut plan.guard {
        guard.routers.sort();
    }
    plan
}

/// Whether a server would take the rows: of two that somebody made of one, it takes one.
fn has_distinct_names(actual: &Actual) -> bool {
    let mut seen = BTreeSet::new();
    let named = actual.iter().filter(|(_, row)| row.table().is_named());
    named.filter_map(|(_, row)| Some((row.table(), name(row)?))).all(|name| seen.insert(name))
}

/// What somebody does to a database between two plans.
#[derive(Clone, Debug)]
enum Hand {
    Nothing,
    /// Nothing, and the next plan is not carried out.
    Wait,
    Alter(prop::sample::Index, prop::sample::Index),
    /// All that a row says about its owner goes.
    Wipe(prop::sample::Index),
    Copy,
    Remove(prop::sample::Index),
    /// Somebody else's rows come.
    Foreign,
    /// A port of somebody else's takes a name.
    Take(u8),
}

fn hand() -> impl Strategy<Value = Hand> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => Just(Hand::Nothing),
        1 => Just(Hand::Wait),
        2 => (index(), index()).prop_map(|(row, column)| Hand::Alter(row, column)),
        1 => index().prop_map(Hand::Wipe),
        1 => Just(Hand::Copy),
        2 => index().prop_map(Hand::Remove),
        1 => Just(Hand::Foreign),
        1 => (0..8u8).prop_map(Hand::Take),
    ]
}

impl Hand {
    fn meddle(&self, actual: &mut Actual) {
        let all: Vec<(Uuid, Table)> = actual.iter().map(|(uuid, row)| (uuid, row.table())).collect();
        if all.is_empty() {
            return;
        }
        match self {
            Hand::Nothing | Hand::Wait => {}
            Hand::Alter(row, column) => {
                let (uuid, table) = all[row.index(all.len())];
                let row = actual.get_mut(table, uuid).expect("there");
                let columns: Vec<&str> = row.columns().map(|(column, _)| column.name).collect();
                alter(row.get_mut(columns[column.index(columns.len())]).expect("a column"));
            }
            Hand::Wipe(row) => {
                let (uuid, table) = all[row.index(all.len())];
                let row = actual.get_mut(table, uuid).expect("there");
                *row.get_mut("external_ids").expect("a column") = Datum::map([]);
            }
            Hand::Copy => {
                let switch = actual.table(Table::LogicalSwitch).next().map(|(_, row)| row.as_ref().clone());
                switch.into_iter().for_each(|row| actual.insert(Uuid::from_u128(7), row));
            }
            Hand::Remove(row) => {
                let (gone, table) = all[row.index(all.len())];
                actual.remove(table, gone);
                for (uuid, table) in all {
                    let Some(row) = actual.get(table, uuid) else { continue };
                    let columns: Vec<&str> = row
                        .columns()
                        .filter(|(_, datum)| datum.refs().any(|to| *to == Ref::Foreign(gone)))
                        .map(|(column, _)| column.name)
                        .collect();
                    for column in columns {
                        let row = actual.get_mut(table, uuid).expect("there");
                        let Some(Datum::Set(atoms)) = row.get_mut(column) else { panic!("a set") };
                        *atoms = atoms
                            .iter()
                            .filter(|atom| **atom != Atom::Ref(Ref::Foreign(gone)))
                            .cloned()
                            .collect();
                    }
                }
            }
            Hand::Foreign => add_foreign(actual),
            Hand::Take(port) => {
                let port = LogicalSwitchPort { name: format!("p{port}"), ..Default::default() };
                if !actual.iter().any(|(_, row)| name(row) == Some(&port.name)) {
                    actual.insert(Uuid::from_u128(77), port.into());
                }
            }
        }
    }
}

/// Changes a value by hand; false where the law's own net would be torn (references).
fn alter(datum: &mut Datum) -> bool {
    match datum {
        Datum::Set(atoms) if atoms.iter().any(|atom| matches!(atom, Atom::Ref(_))) => return false,
        Datum::Set(atoms) => match &mut **atoms {
            [Atom::Text(text)] => *text = format!("{text}x").into(),
            [Atom::Int(value)] => *value += 1,
            [Atom::Bool(value)] => *value = !*value,
            _ => return false,
        },
        Datum::Map(pairs) => {
            *datum = Datum::map(pairs.iter().cloned().chain([(text_atom("x"), text_atom("y"))]))
        }
    }
    true
}

fn text_atom(text: &str) -> Atom {
    Atom::Text(text.into())
}

#[test]
fn a_new_port_is_one_insert_and_one_member() {
    let mut net = Net { switches: [(0, (0, BTreeMap::new()))].into(), ..Net::default() };
    net.ports = [(0, (0, 1, false))].into();
    let before = as_if_applied(&rows(&net), OWNER);
    net.ports.insert(1, (0, 2, false));
    let made = plan_of(&rows(&net), &before);
    let [insert, update] = made.steps.as_slice() else { panic!("{:?}", made.steps) };
    assert!(matches!(insert.action, Action::Insert(_)));
    let Action::Update(changes) = &update.action else { panic!("{update:?}") };
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert!(
        matches!(&change.edit, Edit::Members { insert, delete } if insert.len() == 1 && delete.is_empty())
    );
    assert_eq!(made.summary().n_rows(), 1);
}

#[test]
fn a_copy_of_a_row_is_deleted_and_says_so() {
    let net = Net { switches: [(0, (0, BTreeMap::new()))].into(), ..Net::default() };
    let wanted = rows(&net);
    let mut actual = as_if_applied(&wanted, OWNER);
    let (_, row) = actual.table(Table::LogicalSwitch).next().expect("a switch");
    let copy: Row = row.as_ref().clone();
    actual.insert(Uuid::from_u128(7), copy);
    let made = plan_of(&wanted, &actual);
    let [step] = made.steps.as_slice() else { panic!("{:?}", made.steps) };
    assert_eq!((&step.why, step.uuid), (&Why::Duplicate, Uuid::from_u128(7)));
    assert!(render::text(&made, render::Paint::Plain).contains("a copy"));
}
