//! The OVSDB client against real servers.

mod cluster;
mod network;
mod tls;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use northc::nb::actual::Lack;
use northc::nb::{Atom, Datum, Table};
use northc::ovsdb::endpoint::Remotes;
use northc::ovsdb::fault::{Fault, Remedy};
use northc::ovsdb::message::OpResult;
use northc::ovsdb::op::{Mutator, Op, Until, Which};
use northc::ovsdb::session::{Notice, Options, Session};
use uuid::Uuid;

use crate::ovn::is_present;
use crate::servers::{SCHEMA, Server};

fn options(remotes: &str) -> Options {
    Options::northbound(Remotes::parse(remotes).expect("endpoints"))
}

fn connect(remotes: &str) -> Session {
    Session::start(options(remotes)).expect("options are right")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), future).await.expect("nothing hangs")
    })
}

fn text(text: &str) -> Datum {
    Datum::set([Atom::Text(text.into())])
}

/// A row's UUID. ovsdb-server hashes UUIDs by their first 32 bits: those must not count up.
fn id(number: u128) -> Uuid {
    // Odd, so that no two products are one.
    Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn switch(number: u128, name: &str) -> Op {
    let row = vec![("name".into(), text(name))];
    Op::Insert { table: "Logical_Switch".into(), uuid: id(number), row }
}

fn rename(number: u128, name: &str) -> Op {
    let rows = Which::Row(id(number));
    Op::Update { table: "Logical_Switch".into(), rows, row: vec![("name".into(), text(name))] }
}

/// Waits so long until the switch has this name.
fn until_named(number: u128, name: &str, timeout_ms: u64) -> Op {
    let (table, rows) = ("Logical_Switch".into(), Which::Row(id(number)));
    Op::Wait { table, rows, until: Until::Equal, row: vec![("name".into(), text(name))], timeout_ms }
}

/// Names of all switches, as the replica has them, in order.
async fn names(session: &Session) -> Vec<String> {
    let actual = session.actual().await.expect("rows");
    let named = |(_, row): (Uuid, &Arc<northc::nb::Row>)| northc::nb::actual::name(row).map(str::to_owned);
    let mut names: Vec<String> = actual.table(Table::LogicalSwitch).filter_map(named).collect();
    names.sort();
    names
}

async fn inserts_reads_and_changes(remote: &str) {
    let session = connect(remote);
    let schema = session.schema().await.expect("a schema");
    assert!(schema.has_table("Logical_Router") && schema.column("ACL", "match").is_some());
    assert!(names(&session).await.is_empty());
    let results = session.transact(&[switch(1, "a"), switch(2, "b")]).await.expect("written");
    assert_eq!(results, [1, 2].map(|number| OpResult::Inserted(id(number))));
    assert_eq!(names(&session).await, ["a", "b"]);
    let results = session.transact(&[rename(1, "\"ä\\"), rename(7, "x")]).await.expect("written");
    assert_eq!(results, [OpResult::Count(1), OpResult::Count(0)]);
    assert_eq!(names(&session).await, ["\"ä\\", "b"]);
    let pair = (Atom::Text("k".into()), Atom::Text("v".into()));
    let mutations = vec![("external_ids".into(), Mutator::Insert, Datum::map([pair]))];
    let (table, rows) = ("Logical_Switch".into(), Which::Row(id(1)));
    session.transact(&[Op::Mutate { table, rows, mutations }]).await.expect("written");
    let actual = session.actual().await.expect("rows");
    let row = actual.get(Table::LogicalSwitch, id(1)).expect("a row");
    assert_eq!(northc::nb::stamp::external_id(row, "k"), Some("v"));
    let younger =
        |lack: &&Lack| lack.table.columns().iter().any(|c| Some(c.name) == lack.column && c.since.is_some());
    assert!(
        actual.lacks().iter().all(|lack| younger(&lack)),
        "OVN 23.03 has the others: {:?}",
        actual.lacks()
    );
    let everything = Op::Delete { table: "Logical_Switch".into(), rows: Which::All };
    assert_eq!(session.transact(&[everything]).await.expect("deleted"), [OpResult::Count(2)]);
    assert!(names(&session).await.is_empty());
}

#[test]
fn unix_tcp_and_ipv6_sockets_all_serve() {
    if !is_present() {
        return;
    }
    let server = Server::alone(&["--remote=ptcp:0:127.0.0.1"]);
    wait(inserts_reads_and_changes(&server.remote()));
    wait(inserts_reads_and_changes(&format!("tcp:127.0.0.1:{}", server.port())));
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let server = Server::alone(&["--remote=ptcp:0:[::1]"]);
        wait(inserts_reads_and_changes(&format!("tcp:[::1]:{}", server.port())));
    }
}

#[test]
fn refusals_name_the_operation_and_the_row() {
    if !is_present() {
        return;
    }
    let server = Server::alone(&[]);
    wait(async {
        let session = connect(&server.remote());
        session.transact(&[switch(1, "a")]).await.expect("written");
        let refused = |result: Result<Vec<OpResult>, Fault>| match result {
            Err(Fault::Refused(refusal)) => (Fault::Refused(refusal.clone()).remedy(), *refusal),
            other => panic!("not refused: {other:?}"),
        };
        // An insert that is sent again does not double the row.
        let (remedy, refusal) = refused(session.transact(&[switch(2, "b"), switch(1, "a")]).await);
        assert_eq!((remedy, refusal.op, refusal.error.as_str()), (Remedy::Resync, Some(1), "duplicate uuid"));
        assert_eq!((refusal.table.as_deref(), refusal.row), (Some("Logical_Switch"), Some(id(1))));
        assert_eq!(names(&session).await, ["a"]);
        // A guard.
        let (remedy, refusal) = refused(session.transact(&[until_named(1, "z", 0), rename(1, "c")]).await);
        assert!(refusal.is_guard() && remedy == Remedy::Resync, "{refusal}");
        // A reference to nothing, which only the commit sees.
        let nothing = Atom::Ref(northc::nb::Ref::Foreign(id(99)));
        let row = vec![("ports".into(), Datum::set([nothing]))];
        let dangling = Op::Update { table: "Logical_Switch".into(), rows: Which::Row(id(1)), row };
        let (_, refusal) = refused(session.transact(&[rename(1, "c"), dangling]).await);
        assert!(refusal.at_commit && refusal.named.contains(&id(1)), "{refusal}");
        assert_eq!(refusal.error, "referential integrity violation");
        // A column that the server does not have.
        let row = vec![("colour".into(), text("red"))];
        let unknown = Op::Insert { table: "Logical_Switch".into(), uuid: id(3), row };
        let (remedy, refusal) = refused(session.transact(&[switch(2, "b"), unknown]).await);
        assert_eq!((remedy, refusal.op, refusal.error.as_str()), (Remedy::Stop, Some(1), "unknown column"));
        assert_eq!(names(&session).await, ["a"]);
    });
}

#[test]
fn what_an_older_schema_lacks_is_named_and_the_rest_is_read() {
    if !is_present() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let text = std::fs::read_to_string(SCHEMA).expect("OVN's schema");
    let mut schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let tables = schema["tables"].as_object_mut().expect("tables");
    tables.remove("DHCP_Options").expect("a table");
    let ports = tables["Logical_Switch_Port"]["columns"].as_object_mut().expect("columns");
    for column in ["dhcpv4_options", "dhcpv6_options"] {
        ports.remove(column).expect("a column");
    }
    let file = dir.path().join("old.ovsschema");
    std::fs::write(&file, schema.to_string()).expect("written");
    let server = Server::of_schema(file.to_str().expect("a plain name"), &[]);
    wait(async {
        let session = connect(&server.remote());
        let actual = session.actual().await.expect("rows");
        let lacks: Vec<_> = actual.lacks().iter().map(|lack| (lack.table, lack.column)).collect();
        let port = Table::LogicalSwitchPort;
        let expected =
            [(Table::DhcpOptions, None), (port, Some("dhcpv4_options")), (port, Some("dhcpv6_options"))];
        assert!(expected.iter().all(|lack| lacks.contains(lack)), "{lacks:?}");
        assert!(!lacks.contains(&(Table::LogicalSwitch, None)), "{lacks:?}");
        session.transact(&[switch(1, "a")]).await.expect("written");
        assert_eq!(names(&session).await, ["a"]);
    });
}

#[test]
fn values_of_many_rows_are_guarded_at_once() {
    if !is_present() {
        return;
    }
    let server = Server::alone(&[]);
    wait(async {
        let session = connect(&server.remote());
        session.transact(&[switch(1, "a"), switch(2, "b")]).await.expect("written");
        let mark = Datum::map([(Atom::Text("northc-owner".into()), Atom::Text("me".into()))]);
        let guard = |names: &[&str]| Op::WaitValues {
            table: "Logical_Switch".into(),
            rows: Which::Where("external_ids".into(), northc::ovsdb::op::Compare::Excludes, mark.clone()),
            column: "name".into(),
            values: names.iter().map(|name| text(name)).collect(),
        };
        session.transact(&[guard(&["b", "a"]), rename(1, "c")]).await.expect("as it was said");
        for names in [&["a", "b"][..], &["c"], &["b", "c", "d"], &[]] {
            let Err(Fault::Refused(refusal)) = session.transact(&[guard(names), rename(1, "e")]).await else {
                panic!("others are called otherwise")
            };
            assert!(refusal.is_guard());
        }
        assert_eq!(names(&session).await, ["b", "c"]);
    });
}

#[test]
fn rows_are_selected_and_versions_guard_them() {
    if !is_present() {
        return;
    }
    let server = Server::alone(&[]);
    wait(async {
        let session = connect(&server.remote());
        session.transact(&[switch(1, "a")]).await.expect("written");
        let select = Op::Select {
            table: "Logical_Switch".into(),
            rows: Which::Row(id(1)),
            columns: vec!["_uuid".into(), "_version".into(), "name".into()],
        };
        let results = session.transact(std::slice::from_ref(&select)).await.expect("selected");
        let [OpResult::Rows(rows)] = results.as_slice() else { panic!("one result") };
        let [row] = rows.as_slice() else { panic!("one row") };
        assert_eq!((row.uuid("_uuid"), row.text("name")), (Some(id(1)), Some("a")));
        let version = Atom::Ref(northc::nb::Ref::Foreign(row.uuid("_version").expect("a version")));
        let guard = Op::Wait {
            table: "Logical_Switch".into(),
            rows: Which::Row(id(1)),
            until: Until::Equal,
            row: vec![("_version".into(), Datum::set([version]))],
            timeout_ms: 0,
        };
        session.transact(&[guard.clone(), rename(1, "b")]).await.expect("nobody was there before");
        let Err(Fault::Refused(refusal)) = session.transact(&[guard, rename(1, "c")]).await else {
            panic!("the version has changed")
        };
        assert!(refusal.is_guard());
    });
}

#[test]
fn what_cannot_be_reached_is_said_at_once() {
    if !is_present() {
        return;
    }
    let started = Instant::now();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = closed.local_addr().expect("bound").port();
    drop(closed);
    let fault = wait(connect(&format!("unix:/nowhere/nb.sock,tcp:127.0.0.1:{port}")).actual())
        .expect_err("nobody is there");
    let said = fault.to_string();
    assert_eq!(fault.remedy(), Remedy::Retry);
    assert!(said.contains("unix:/nowhere/nb.sock: No such file"), "{said}");
    assert!(said.contains(&format!("tcp:127.0.0.1:{port}: Connection refused")), "{said}");

    let server = Server::alone(&[]);
    let southbound = Options::southbound(Remotes::parse(&server.remote()).expect("an endpoint"));
    let fault = wait(Session::start(southbound).expect("options").schema()).expect_err("another database");
    assert!(fault.to_string().contains("no database `OVN_Southbound`, but `OVN_Northbound`"), "{fault}");
    assert_eq!(fault.remedy(), Remedy::Stop);

    let other =
        std::os::unix::net::UnixListener::bind(format!("{}.http", &server.remote()[5..])).expect("bound");
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        // Whoever closes with something unread resets the connection, and the answer may be lost with it.
        for mut client in other.incoming().flatten() {
            drop(client.write_all(b"HTTP/1.1 400 Bad Request\r\n"));
            drop(client.read_to_end(&mut Vec::new()));
        }
    });
    let fault = wait(connect(&format!("{}.http", server.remote())).schema()).expect_err("no OVSDB");
    assert!(fault.to_string().contains("this is no OVSDB server"), "{fault}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn noted(remotes: &str, change: impl Fn(&mut Options)) -> (Session, Arc<Mutex<Vec<String>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut options = options(remotes);
    let into = Arc::clone(&notes);
    let note = move |notice: &Notice| into.lock().expect("no panic while held").push(notice.to_string());
    options.on_notice = Some(Arc::new(note));
    change(&mut options);
    (Session::start(options).expect("options are right"), notes)
}
