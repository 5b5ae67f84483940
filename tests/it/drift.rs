//! Damage by hand, to every column of every table that northc writes, is seen and repaired.

use std::collections::BTreeMap;

use northc::apply::apply;
use northc::nb::actual::Actual;
use northc::nb::{Atom, Column, Datum, Key, Kind, Ref, Row, Rows, Table, record, stamp};
use northc::ovsdb::op::{Mutator, Op, Which, values};
use northc::ovsdb::session::Session;
use northc::plan::step::Why;
use northc::plan::{Adopt, Plan, Request, Telling, as_if_applied, plan};
use northc::span::SourceMap;
use uuid::Uuid;

use crate::live::{block_on, bring, connect, options, without_records};
use crate::ovn;
use crate::servers::Server;

const OWNER: &str = "me";

fn text(text: &str) -> Atom {
    Atom::Text(text.into())
}

/// Two values that the schema takes for a column of one string.
fn two_words(table: Table, column: &str) -> [&'static str; 2] {
    match (table, column) {
        (Table::Acl, "action") => ["drop", "allow"],
        (Table::Acl | Table::Qos, "direction") => ["to-lport", "from-lport"],
        (Table::Acl, "severity") => ["info", "debug"],
        (Table::LogicalRouterPolicy, "action") => ["drop", "allow"],
        (Table::LoadBalancer, "protocol") => ["tcp", "udp"],
        (Table::LoadBalancer, "selection_fields") => ["ip_src", "ip_dst"],
        (Table::Meter, "unit") => ["kbps", "pktps"],
        // The schema has no second one.
        (Table::MeterBand, "action") => ["drop", "drop"],
        (Table::Nat, "type") => ["snat", "dnat"],
        (Table::Qos, "action") => ["dscp", "dscp"],
        (Table::Qos, "bandwidth") => ["rate", "burst"],
        (Table::LogicalRouterStaticRoute, "policy") => ["dst-ip", "src-ip"],
        _ => ["one", "two"],
    }
}

fn key(table: Table) -> Key {
    Key::new(table, format!("sample-{}", table.name()))
}

/// True for the first parent that can hold rows of the target.
fn is_first_parent(table: Table, column: &Column) -> bool {
    let holds = |table: &Table| {
        table.columns().iter().any(|other| other.holds_children() && other.target == column.target)
    };
    column.holds_children() && Table::ALL.iter().find(|table| holds(table)) == Some(&table)
}

/// One row of every table, with every column set.
fn sample() -> Rows {
    let mut rows = Rows::new();
    for &table in Table::ALL {
        let value = |column: &Column| match (column.kind, column.target) {
            // The server is of the oldest release.
            _ if column.since.is_some() => column.kind.default(),
            (Kind::Text | Kind::TextOpt, _) => Datum::set([text(two_words(table, column.name)[0])]),
            (Kind::TextSet, _) => Datum::set(two_words(table, column.name).map(text)),
            (Kind::IntMap, _) => Datum::map([(text(two_words(table, column.name)[0]), Atom::Int(5))]),
            (Kind::Int | Kind::IntOpt, _) => Datum::set([Atom::Int(5)]),
            (Kind::Bool | Kind::BoolOpt, _) => Datum::set([Atom::Bool(true)]),
            (Kind::Map, _) if column.name == "external_ids" => {
                Datum::map([(text(stamp::DESCRIPTION), text("one"))])
            }
            (Kind::Map, _) => Datum::map([(text("one"), text("1")), (text("two"), text("2"))]),
            (Kind::RefOpt, Some(target)) => Datum::set([Atom::Ref(Ref::Key(key(target)))]),
            (Kind::RefSet, Some(target)) if !column.holds_children() || is_first_parent(table, column) => {
                Datum::set([Atom::Ref(Ref::Key(key(target)))])
            }
            (Kind::RefSet, _) => Datum::set([]),
            (Kind::RefOpt, None) => panic!("a reference without a target"),
        };
        let data = table.columns().iter().map(value).collect();
        rows.insert(key(table), Row::new(table, data), None);
    }
    stamp::stamp(&mut rows, OWNER);
    rows
}

/// Another value for a column; `None` where there is none to be had without another row.
fn other_values(table: Table, column: &Column, datum: &Datum) -> Vec<Datum> {
    let default = column.kind.default();
    let word = || two_words(table, column.name)[1];
    match (column.kind, datum) {
        _ if column.since.is_some() => Vec::new(),
        (Kind::Text, _) if *datum == Datum::set([text(word())]) => Vec::new(),
        (Kind::Text, _) => vec![Datum::set([text(word())])],
        (Kind::TextOpt, _) => vec![Datum::set([text(word())]), default],
        (Kind::TextSet, _) if column.name == "selection_fields" => vec![Datum::set([text(word())])],
        (Kind::TextSet, _) => {
            let words = two_words(table, column.name);
            vec![Datum::set([text(word())]), Datum::set(words.map(text).into_iter().chain([text("three")]))]
        }
        (Kind::IntMap, _) => vec![Datum::map([(text(word()), Atom::Int(6))]), default],
        (Kind::Int, _) => vec![Datum::set([Atom::Int(6)])],
        (Kind::IntOpt, _) => vec![Datum::set([Atom::Int(6)]), default],
        (Kind::Bool, _) => vec![default],
        (Kind::BoolOpt, _) => vec![Datum::set([Atom::Bool(false)]), default],
        (Kind::RefOpt, _) => vec![default],
        (Kind::RefSet, _) => Vec::new(),
        (Kind::Map, Datum::Map(pairs)) => {
            let mut damaged = Vec::new();
            for (key, _) in pairs {
                damaged.push(Datum::map(pairs.iter().filter(|(other, _)| other != key).cloned()));
                let changed = pairs.iter().cloned().chain([(key.clone(), text("changed"))]);
                damaged.push(Datum::map(changed));
            }
            if column.name != "external_ids" {
                damaged.push(Datum::map(pairs.iter().cloned().chain([(text("more"), text("x"))])));
            }
            damaged
        }
        (Kind::Map, Datum::Set(_)) => panic!("a map"),
    }
}

struct Lab {
    session: Session,
    wanted: Rows,
}

impl Lab {
    /// The sample, applied.
    fn new(server: &Server) -> Lab {
        let lab = Lab { session: connect(&server.remote()), wanted: sample() };
        let done = block_on(bring(&lab.session, &lab.wanted, OWNER, &options(5000, 1000), &mut Vec::new()));
        assert!(matches!(done, Ok(Some(_))), "{done:?}");
        lab
    }

    async fn strike(&self, what: &str, ops: Vec<Op>) {
        let before = without_records(self.session.actual().await.expect("rows").as_ref());
        self.session.transact(&ops).await.unwrap_or_else(|fault| panic!("{what}: {fault}"));
        let sources = SourceMap::new();
        let actual = self.session.actual().await.expect("rows");
        let made = plan(&self.wanted, &actual, &Request::new(OWNER, &sources));
        let telling = Telling::new(&made);
        let told: Vec<_> = made.steps.iter().filter(|step| telling.has_step(step)).collect();
        assert!(!told.is_empty(), "{what}: not seen");
        for step in told {
            assert!(matches!(step.why, Why::Drift | Why::Duplicate | Why::Marks), "{what}: {step:?}");
        }
        // With another owner's mark the row is theirs, until it is asked back.
        let adopt = if made.conflicts.is_empty() { Adopt::Never } else { Adopt::InTheWay };
        assert_eq!(adopt == Adopt::InTheWay, what.contains("northc-owner\"), Text(\"changed"), "{what}");
        let request = Request { adopt, ..Request::new(OWNER, &sources) };
        let (mut yes, mut quiet) = (|_: &Plan, _: &Actual| true, |_| ());
        let options = options(5000, 1000);
        let done = apply(&self.session, &self.wanted, &request, &options, &mut yes, &mut quiet).await;
        assert!(matches!(done, Ok(Some(_))), "{what}: {done:?}");
        let after = without_records(self.session.actual().await.expect("rows").as_ref());
        assert_eq!(after, before, "{what}: not repaired");
    }
}

/// Where a child row hangs.
fn parent_of(table: Table) -> Option<(Table, &'static Column)> {
    let columns = |table: &Table| table.columns().iter().map(|column| (*table, column)).collect::<Vec<_>>();
    let mut all = Table::ALL.iter().flat_map(columns);
    all.find(|(parent, column)| column.target == Some(table) && is_first_parent(*parent, column))
}

fn member(table: Table, parent: Table, column: &Column, uuid: Uuid, mutator: Mutator) -> Op {
    assert_eq!(column.target, Some(table));
    let member = Datum::set([Atom::Ref(Ref::Foreign(uuid))]);
    let rows = Which::Row(key(parent).uuid(OWNER));
    Op::Mutate { table: parent.name().into(), rows, mutations: vec![(column.name.into(), mutator, member)] }
}

/// Tables whose rows the server does not let go: a row of the sample must have them.
const HELD: [Table; 3] = [Table::AddressSet, Table::HaChassisGroup, Table::MeterBand];

#[test]
fn every_damage_is_seen_and_repaired() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let lab = Lab::new(&server);
    block_on(async {
        let actual = without_records(lab.session.actual().await.expect("rows").as_ref());
        assert!(actual.iter().eq(as_if_applied(&lab.wanted, OWNER).iter()), "every column is written");
        for &table in Table::ALL {
            let (key, row) = (key(table), lab.wanted.get(&key(table)).expect("a sample"));
            let uuid = key.uuid(OWNER);
            for (column, datum) in row.columns() {
                for other in other_values(table, column, datum) {
                    let what = format!("{}.{} becomes {other:?}", table.name(), column.name);
                    let rows = Which::Row(uuid);
                    let row = vec![(column.name.into(), values(&other, &|key| key.uuid(OWNER)))];
                    lab.strike(&what, vec![Op::Update { table: table.name().into(), rows, row }]).await;
                }
            }
            let what = format!("{} is deleted", table.name());
            let delete = match parent_of(table) {
                Some((parent, column)) => member(table, parent, column, uuid, Mutator::Delete),
                None => Op::Delete { table: table.name().into(), rows: Which::Row(uuid) },
            };
            if !HELD.contains(&table) {
                lab.strike(&what, vec![delete]).await;
            }
            lab.strike(&format!("{} is copied", table.name()), copy(table, row)).await;
        }
    });
}

/// A second row with our marks; where names are unique, under another name.
fn copy(table: Table, row: &Row) -> Vec<Op> {
    let mut row = row.clone();
    let is_free = [Table::LogicalRouter, Table::LogicalSwitch].contains(&table);
    for column in table.columns() {
        let Some(datum) = row.get_mut(column.name) else { continue };
        if (column.name == "name" && table.is_named() && !is_free)
            || (table, column.name) == (Table::Bfd, "dst_ip")
        {
            *datum = Datum::set([text("copy")]);
        }
        if column.holds_children() && table != Table::Meter {
            *datum = Datum::set([]);
        }
    }
    let uuid = Uuid::from_u128(42);
    let mut ops = vec![Op::insert(uuid, &row, &|key| key.uuid(OWNER))];
    if let Some((parent, column)) = parent_of(table) {
        ops.push(member(table, parent, column, uuid, Mutator::Insert));
    }
    ops
}

#[test]
fn other_peoples_ids_in_our_rows_are_no_drift() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let lab = Lab::new(&server);
    block_on(async {
        let theirs: BTreeMap<Atom, Atom> = [(text("theirs"), text("x"))].into();
        for &table in Table::ALL {
            let mutations = vec![("external_ids".into(), Mutator::Insert, Datum::map(theirs.clone()))];
            let rows = Which::Row(key(table).uuid(OWNER));
            let op = Op::Mutate { table: table.name().into(), rows, mutations };
            lab.session.transact(&[op]).await.expect("written");
        }
        let done = bring(&lab.session, &lab.wanted, OWNER, &options(5000, 1000), &mut Vec::new()).await;
        assert!(matches!(done, Ok(None)), "{done:?}");
        let actual = lab.session.actual().await.expect("rows");
        assert!(actual.get(Table::DhcpOptions, record::uuid(OWNER)).is_some());
    });
}
