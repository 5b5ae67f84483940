//! The OVSDB client against real servers.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use northc::nb::{Atom, Datum, Table};
use northc::ovsdb::endpoint::Remotes;
use northc::ovsdb::fault::{Fault, Remedy, TlsFailure};
use northc::ovsdb::message::OpResult;
use northc::ovsdb::op::{Mutator, Op, Until, Which};
use northc::ovsdb::session::{Members, Notice, Options, Session};
use uuid::Uuid;

use crate::ovn::{is_present, wait_for};
use crate::proxy::{Mischief, Proxy};
use crate::servers::{Cluster, Pki, SCHEMA, Server};

fn options(remotes: &str) -> Options {
    Options::northbound(Remotes::parse(remotes).expect("endpoints"))
}

fn connect(remotes: &str) -> Session {
    Session::start(options(remotes)).expect("options are right")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), future).await.expect("nothing hangs")
    })
}

fn text(text: &str) -> Datum {
    Datum::set([Atom::Text(text.into())])
}

fn switch(number: u128, name: &str) -> Op {
    let row = vec![("name".into(), text(name))];
    Op::Insert { table: "Logical_Switch".into(), uuid: Uuid::from_u128(number), row }
}

fn rename(number: u128, name: &str) -> Op {
    let rows = Which::Row(Uuid::from_u128(number));
    Op::Update { table: "Logical_Switch".into(), rows, row: vec![("name".into(), text(name))] }
}

/// Names of all switches, as the replica has them.
async fn names(session: &Session) -> Vec<String> {
    let actual = session.actual().await.expect("rows");
    let named = |(_, row): (Uuid, &Arc<northc::nb::Row>)| northc::nb::actual::name(row).map(str::to_owned);
    actual.table(Table::LogicalSwitch).filter_map(named).collect()
}

async fn inserts_reads_and_changes(remote: &str) {
    let session = connect(remote);
    let schema = session.schema().await.expect("a schema");
    assert!(schema.has_table("Logical_Router") && schema.column("ACL", "match").is_some());
    assert!(names(&session).await.is_empty());
    let results = session.transact(&[switch(1, "a"), switch(2, "b")]).await.expect("written");
    assert_eq!(results, [1, 2].map(|number| OpResult::Inserted(Uuid::from_u128(number))));
    assert_eq!(names(&session).await, ["a", "b"]);
    let results = session.transact(&[rename(1, "\"ä\\"), rename(7, "x")]).await.expect("written");
    assert_eq!(results, [OpResult::Count(1), OpResult::Count(0)]);
    assert_eq!(names(&session).await, ["\"ä\\", "b"]);
    let pair = (Atom::Text("k".into()), Atom::Text("v".into()));
    let mutations = vec![("external_ids".into(), Mutator::Insert, Datum::map([pair]))];
    let (table, rows) = ("Logical_Switch".into(), Which::Row(Uuid::from_u128(1)));
    session.transact(&[Op::Mutate { table, rows, mutations }]).await.expect("written");
    let actual = session.actual().await.expect("rows");
    let row = actual.get(Table::LogicalSwitch, Uuid::from_u128(1)).expect("a row");
    assert_eq!(northc::nb::stamp::external_id(row, "k"), Some("v"));
    assert!(actual.lacks().is_empty(), "OVN 23.03 has every column: {:?}", actual.lacks());
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
        assert_eq!(
            (refusal.table.as_deref(), refusal.row),
            (Some("Logical_Switch"), Some(Uuid::from_u128(1)))
        );
        assert_eq!(names(&session).await, ["a"]);
        // A guard.
        let wait = Op::Wait {
            table: "Logical_Switch".into(),
            rows: Which::Row(Uuid::from_u128(1)),
            until: Until::Equal,
            row: vec![("name".into(), text("z"))],
            timeout_ms: 0,
        };
        let (remedy, refusal) = refused(session.transact(&[wait, rename(1, "c")]).await);
        assert!(refusal.is_guard() && remedy == Remedy::Resync, "{refusal}");
        // A reference to nothing, which only the commit sees.
        let nothing = Atom::Ref(northc::nb::Ref::Foreign(Uuid::from_u128(99)));
        let row = vec![("ports".into(), Datum::set([nothing]))];
        let dangling =
            Op::Update { table: "Logical_Switch".into(), rows: Which::Row(Uuid::from_u128(1)), row };
        let (_, refusal) = refused(session.transact(&[rename(1, "c"), dangling]).await);
        assert!(refusal.at_commit && refusal.named.contains(&Uuid::from_u128(1)), "{refusal}");
        assert_eq!(refusal.error, "referential integrity violation");
        // A column that the server does not have.
        let row = vec![("colour".into(), text("red"))];
        let unknown = Op::Insert { table: "Logical_Switch".into(), uuid: Uuid::from_u128(3), row };
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
        assert_eq!(lacks, expected);
        session.transact(&[switch(1, "a")]).await.expect("written");
        assert_eq!(names(&session).await, ["a"]);
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
            rows: Which::Row(Uuid::from_u128(1)),
            columns: vec!["_uuid".into(), "_version".into(), "name".into()],
        };
        let results = session.transact(std::slice::from_ref(&select)).await.expect("selected");
        let [OpResult::Rows(rows)] = results.as_slice() else { panic!("one result") };
        let [row] = rows.as_slice() else { panic!("one row") };
        assert_eq!((row.uuid("_uuid"), row.text("name")), (Some(Uuid::from_u128(1)), Some("a")));
        let version = Atom::Ref(northc::nb::Ref::Foreign(row.uuid("_version").expect("a version")));
        let guard = Op::Wait {
            table: "Logical_Switch".into(),
            rows: Which::Row(Uuid::from_u128(1)),
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
        use std::io::Write;
        let Ok((mut client, _)) = other.accept() else { return };
        drop(client.write_all(b"HTTP/1.1 400 Bad Request\r\n"));
    });
    let fault = wait(connect(&format!("{}.http", server.remote())).schema()).expect_err("no OVSDB");
    assert!(fault.to_string().contains("this is no OVSDB server"), "{fault}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn tls_session(server: &Server, files: Option<northc::ovsdb::tls::TlsFiles>) -> Result<Session, Fault> {
    let mut options = options(&format!("ssl:127.0.0.1:{}", server.port()));
    options.tls = files;
    Session::start(options)
}

fn tls_failure(server: &Server, files: Option<northc::ovsdb::tls::TlsFiles>) -> TlsFailure {
    let fault = match tls_session(server, files) {
        Ok(session) => wait(session.schema()).expect_err("TLS must fail"),
        Err(fault) => fault,
    };
    assert_eq!(fault.remedy(), Remedy::Stop);
    match fault {
        Fault::Tls { failure, .. } => failure,
        other => panic!("no failure of TLS: {other}"),
    }
}

#[test]
fn tls_takes_the_right_certificate_and_says_what_is_wrong_with_others() {
    if !is_present() {
        return;
    }
    let pki = Pki::new();
    let server = pki.server("server");
    wait(async {
        let session = tls_session(&server, Some(pki.files("client", "ca"))).expect("files are right");
        session.transact(&[switch(1, "a")]).await.expect("written");
        assert_eq!(names(&session).await, ["a"]);
    });
    assert_eq!(tls_failure(&server, Some(pki.files("client", "other"))), TlsFailure::UnknownCa);
    assert_eq!(tls_failure(&server, None), TlsFailure::NotConfigured);
    for (name, reason) in [("stranger", "its CA does not know it"), ("late", "it has expired")] {
        let failure = tls_failure(&server, Some(pki.files(name, "ca")));
        assert_eq!(failure, TlsFailure::RefusedUs(reason.to_owned()), "{name}");
    }
    // A lab's server, whose certificate is its own CA.
    let lab = pki.server("ca");
    let own = tls_session(&lab, Some(pki.files("client", "ca"))).expect("files are right");
    wait(own.schema()).expect("the certificate is the CA's");
    assert_eq!(tls_failure(&pki.server("late"), Some(pki.files("client", "ca"))), TlsFailure::Expired);
    let missing = tls_failure(&server, Some(pki.files("nobody", "ca"))).to_string();
    assert!(missing.starts_with("the certificate `") && missing.contains("nobody.pem"), "{missing}");
    // A server that speaks no TLS.
    let plain = Server::alone(&["--remote=ptcp:0:127.0.0.1"]);
    let fault = wait(tls_session(&plain, Some(pki.files("client", "ca"))).expect("files").schema());
    assert!(fault.is_err());
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

#[test]
fn a_cluster_is_followed_through_elections() {
    if !is_present() {
        return;
    }
    let mut cluster = Cluster::start();
    let first = cluster.leader();
    // The leader last: both followers are asked before.
    let order = [(first + 1) % 3, (first + 2) % 3, first];
    let (session, notes) = noted(&cluster.remotes(order), |_| {});
    let said = |what: &str| notes.lock().expect("held briefly").iter().any(|note| note.contains(what));
    wait(async { session.transact(&[switch(1, "a")]).await }).expect("written");
    assert_eq!(wait(names(&session)), ["a"]);

    // A leader that hands over finishes what is under way; nothing is lost or done twice.
    cluster.members[first].appctl(&["cluster/failure-test", "transfer-leadership"]);
    for number in 2..40 {
        match wait(session.transact(&[switch(number, "b")])) {
            Ok(_) => {}
            Err(fault) => panic!("switch {number}: {fault}"),
        }
    }
    wait_for("the leadership moves", || cluster.leader() != first);
    assert_eq!(wait(names(&session)).len(), 39);

    // A leader that is killed.
    let second = cluster.leader();
    cluster.members[second].kill();
    let started = Instant::now();
    wait(session.transact(&[switch(50, "c")])).expect("the new leader takes it");
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(wait(names(&session)).len(), 40);
    assert!(said("waiting for the cluster's leader"), "{notes:?}");

    // No quorum: a deadline, not a hang; and afterwards all is well again.
    let third = cluster.leader();
    let last = 3 - second - third;
    cluster.members[last].signal("STOP");
    let budget = Duration::from_secs(2);
    let fault = wait(session.transact_within(&[switch(51, "d")], budget)).expect_err("nobody agrees");
    assert!(fault.outcome_unknown() && fault.remedy() == Remedy::Resync, "{fault}");
    cluster.members[last].signal("CONT");
    cluster.members[second].start();
    wait(session.transact(&[rename(50, "e")])).expect("there is a leader again");
    assert!(wait(names(&session)).contains(&"e".to_owned()));
}

#[test]
fn a_follower_serves_whoever_asks_for_any_member() {
    if !is_present() {
        return;
    }
    let cluster = Cluster::start();
    let follower = (cluster.leader() + 1) % 3;
    let remote = cluster.members[follower].remote();
    let mut any = options(&remote);
    any.members = Members::Any;
    let session = Session::start(any).expect("options");
    wait(session.transact(&[switch(1, "a")])).expect("the follower passes it on");
    assert_eq!(wait(names(&session)), ["a"]);
    // Alone in the list, it is no leader, however long we wait.
    let (session, _) = noted(&remote, |options| options.patience = Duration::from_secs(1));
    let fault = wait(session.schema()).expect_err("it follows");
    assert!(matches!(fault, Fault::NotLeader { .. }) && fault.remedy() == Remedy::Retry, "{fault}");
    assert!(fault.to_string().contains("it follows"), "{fault}");
}

#[test]
fn a_bad_network_is_survived() {
    if !is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let mut number = 0;
    for mischief in [
        Mischief::SingleBytes,
        Mischief::Delay(Duration::from_millis(20)),
        Mischief::DoubledReplies,
        Mischief::CutReplies(5_000),
        Mischief::CutRequests(100),
        Mischief::CutRequests(2_000),
        Mischief::CutAfterTransact,
        Mischief::Unknown("monitor_cond_since"),
        Mischief::Unknown("monitor_cond"),
    ] {
        let proxy = Proxy::before(&server.remote(), mischief);
        wait(async {
            let session = connect(&proxy.remote());
            for _ in 0..3 {
                number += 1;
                match session.transact(&[switch(number, &"x".repeat(500))]).await {
                    Ok(_) => {}
                    // Cut after sending: look, and send it only if it is not there.
                    Err(fault) => {
                        assert!(fault.outcome_unknown(), "{mischief:?}: {fault}");
                        let actual = session.actual().await.expect("rows");
                        if actual.get(Table::LogicalSwitch, Uuid::from_u128(number)).is_none() {
                            session.transact(&[switch(number, "x")]).await.expect("sent again");
                        }
                    }
                }
                let n_rows = names(&session).await.len();
                assert_eq!(n_rows, usize::try_from(number).expect("small"), "{mischief:?}");
            }
        });
        let passes = matches!(mischief, Mischief::SingleBytes | Mischief::Delay(_) | Mischief::Unknown(_));
        assert_eq!(proxy.n_connections() == 1, passes, "{mischief:?}");
    }
}

#[test]
fn a_server_that_stops_is_given_up_and_found_again() {
    if !is_present() {
        return;
    }
    let mut server = Server::alone(&[]);
    let (session, _) = noted(&server.remote(), |options| options.probe = Duration::from_millis(300));
    wait(session.transact(&[switch(1, "a")])).expect("written");
    server.signal("STOP");
    let started = Instant::now();
    let budget = Duration::from_secs(1);
    let fault = wait(session.transact_within(&[switch(2, "b")], budget)).expect_err("it is stopped");
    assert!(matches!(fault, Fault::TimedOutSent { .. }), "{fault}");
    // Larger than any socket's buffer: it cannot be wholly sent, so nothing can have happened.
    let large = vec![switch(3, &"x".repeat(8 << 20))];
    let fault = wait(session.transact_within(&large, budget)).expect_err("it is stopped");
    assert!(matches!(fault, Fault::TimedOut { .. } | Fault::Unreachable { .. }), "{fault}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    server.signal("CONT");
    wait(session.transact(&[switch(4, "d")])).expect("it goes on");
    // Killed and started again: a new connection, and rows that are read anew.
    server.kill();
    server.start();
    assert!(wait(names(&session)).contains(&"d".to_owned()));
}

#[test]
fn probes_are_answered_while_a_large_transaction_is_under_way_and_in_silence() {
    if !is_present() {
        return;
    }
    let server = Server::alone(&["--remote=ptcp:0:127.0.0.1"]);
    let remote = format!("tcp:127.0.0.1:{}", server.port());
    let (quiet, quiet_notes) = noted(&remote, |options| options.probe = Duration::from_secs(60));
    let (busy, busy_notes) = noted(&remote, |options| options.probe = Duration::from_secs(60));
    wait(async {
        quiet.transact(&[switch(1, "a")]).await.expect("written");
        // The server waits inside this transaction for longer than it lets a client be silent.
        let guard = Op::Wait {
            table: "Logical_Switch".into(),
            rows: Which::Row(Uuid::from_u128(1)),
            until: Until::Equal,
            row: vec![("name".into(), text("b"))],
            timeout_ms: 20_000,
        };
        let waiting = [guard, rename(1, "c")];
        let transaction = busy.transact(&waiting);
        // This thread sleeps as a busy caller would: only the session's own can answer.
        let caller = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            std::thread::sleep(Duration::from_millis(11_500));
            quiet.transact(&[rename(1, "b")]).await
        };
        let (waited, renamed) = tokio::join!(transaction, caller);
        renamed.expect("the idle connection is still there");
        waited.expect("the busy connection is still there");
    });
    for notes in [quiet_notes, busy_notes] {
        let notes = notes.lock().expect("held briefly");
        assert!(!notes.iter().any(|note| note.starts_with("left")), "{notes:?}");
    }
}

#[test]
fn a_request_that_nobody_waits_for_is_dropped_by_the_server() {
    if !is_present() {
        return;
    }
    let server = Server::alone(&[]);
    wait(async {
        let session = connect(&server.remote());
        session.transact(&[switch(1, "a")]).await.expect("written");
        let guard = Op::Wait {
            table: "Logical_Switch".into(),
            rows: Which::Row(Uuid::from_u128(1)),
            until: Until::Equal,
            row: vec![("name".into(), text("b"))],
            timeout_ms: 60_000,
        };
        let waiting = [guard, rename(1, "c")];
        let given_up = tokio::time::timeout(Duration::from_millis(300), session.transact(&waiting)).await;
        assert!(given_up.is_err());
        // What would have woken it wakes nobody.
        session.transact(&[rename(1, "b")]).await.expect("written");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(names(&session).await, ["b"]);
    });
}

#[test]
fn a_dump_of_thirty_megabytes_is_read() {
    if !is_present() {
        return;
    }
    let server = Server::alone(&[]);
    wait(async {
        let session = connect(&server.remote());
        let long = "x".repeat(3_000);
        for batch in 0..10u128 {
            let ops: Vec<Op> = (0..1_000).map(|nth| switch(batch * 1_000 + nth + 1, &long)).collect();
            session.transact(&ops).await.expect("written");
        }
        let (reader, notes) = noted(&server.remote(), |_| {});
        assert_eq!(names(&reader).await.len(), 10_000);
        let notes = notes.lock().expect("held briefly");
        assert!(notes.iter().any(|note| note.starts_with("read 10000 rows")), "{notes:?}");
    });
}
