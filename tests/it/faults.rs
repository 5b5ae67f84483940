//! What people see when a real server fails under a verb: an end in time, a true word, and a next run that finishes.
//!
//! Thousands of ways more are played in `simulated`. Refuses to know how the client works.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use northc::apply::Failure;
use northc::nb::{Atom, Datum, Table};
use northc::ovsdb::op::{Op, Which};
use northc::plan::as_if_applied;
use serde_json::Value;

use crate::laws::OWNER;
use crate::live::{block_on, bring, connect, large, northc, options, without_records};
use crate::ovn;
use crate::servers::{SCHEMA, Server};

/// Every verb that asks a database, and what else it takes.
const VERBS: [&[&str]; 5] = [
    &["plan", "INPUT"],
    &["apply", "INPUT", "--yes", "--yes-delete", "--wait", "none"],
    &["destroy", "--yes", "--yes-delete", "--wait", "none"],
    &["confirm"],
    &["reach", "--all"],
];

const INPUT: &str = "{apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: v}}\n---\n\
    {apiVersion: northc.io/v1alpha1, kind: Subnet, metadata: {name: s}, spec: {vpc: v, cidrs: 10.0.0.0/24}}\n";

/// A file with a network, gone with its folder.
fn input() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("network.yaml");
    fs::write(&file, INPUT).expect("written");
    let path = file.to_str().expect("a plain name").to_owned();
    (dir, path)
}

/// Each verb against what is at `remote`: it must exit with this, say this, and end.
fn each_verb(remote: &str, code: u8, word: &str) {
    let (_dir, path) = input();
    for verb in VERBS {
        let mut args: Vec<&str> =
            verb.iter().map(|arg| if *arg == "INPUT" { path.as_str() } else { *arg }).collect();
        args.extend(["--retry-for", "1s"]);
        let start = Instant::now();
        let (is, out, err) = northc(remote, &args);
        assert!(is == code && err.contains(word), "{args:?}: exit {is}\n{out}{err}");
        assert!(
            !err.contains(|c: char| c.is_control() && c != '\n'),
            "{args:?} drives the terminal: {err:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(30), "{args:?} took {:?}", start.elapsed());
    }
}

#[test]
fn a_server_that_stands_still_or_is_gone_is_told_of_in_time() {
    if !ovn::is_present() {
        return;
    }
    let mut server = Server::alone(&[]);
    server.signal("STOP");
    each_verb(&server.remote(), 4, "cannot reach `OVN_Northbound`");
    server.signal("CONT");
    let (_dir, path) = input();
    let (code, _, err) = northc(&server.remote(), &["apply", &path, "--yes", "--wait", "none"]);
    assert_eq!(code, 0, "{err}");
    server.kill();
    each_verb(&server.remote(), 4, "cannot reach `OVN_Northbound`");
}

#[test]
fn a_server_that_talks_nonsense_is_told_of_in_time() {
    // Each answers whatever it hears, again and again, until the test process ends.
    for (answer, word) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "where a JSON object must begin"),
        ("{\"id\":3,\"result\":[1,2],\"error\":null}{\"id\":1,\"error\":\"none\"}", "schema"),
        ("{\"id\":1,\"error\":\"none\"}{\"id\":3,\"error\":\"unknown \\u001b]0;x\\u0007\"}", "unknown"),
        ("{", "cannot reach"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let remote = format!("tcp:{}", listener.local_addr().expect("bound"));
        std::thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let mut chunk = [0; 4096];
                    while std::io::Read::read(&mut client, &mut chunk).is_ok_and(|n| n > 0) {
                        if std::io::Write::write_all(&mut client, answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        each_verb(&remote, 4, word);
    }
}

/// A session that is held while the server comes back empty, or as it was before.
#[test]
fn a_server_that_forgets_is_filled_again() {
    if !ovn::is_present() {
        return;
    }
    let mut server = Server::alone(&[]);
    let session = connect(&server.remote());
    let (old, new) = (large(3, 9), large(5, 7));
    let check = |rows: &northc::nb::Rows, what: &str| {
        block_on(async {
            let made = bring(&session, rows, OWNER, &options(20, 10), &mut Vec::new()).await;
            made.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
            let actual = connect(&server.remote()).actual().await.expect("rows");
            assert!(without_records(&actual).iter().eq(as_if_applied(rows, OWNER).iter()), "{what}");
        });
    };
    check(&old, "at first");
    let backup = server.backup();
    check(&new, "changed");
    server.restore(None);
    let check = |server: &Server, what: &str| {
        block_on(async {
            let made = bring(&session, &new, OWNER, &options(20, 10), &mut Vec::new()).await;
            made.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
            let actual = connect(&server.remote()).actual().await.expect("rows");
            assert!(without_records(&actual).iter().eq(as_if_applied(&new, OWNER).iter()), "{what}");
        });
    };
    check(&server, "empty");
    server.restore(Some(&backup));
    check(&server, "as it was before");
}

/// Schemas between which the server's database is converted: OVN's own, one that lacks what is younger than some
/// release long ago, and those that `NORTHC_SCHEMAS` names.
fn schemas(dir: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(SCHEMA).expect("OVN's schema");
    let mut old: Value = serde_json::from_str(&text).expect("JSON");
    for (table, column) in [("Logical_Switch_Port", "dhcpv6_options"), ("ACL", "label")] {
        old["tables"][table]["columns"].as_object_mut().expect("columns").remove(column);
    }
    old["version"] = "5.0.0".into();
    let file = dir.join("old.ovsschema");
    fs::write(&file, old.to_string()).expect("written");
    let further = std::env::var("NORTHC_SCHEMAS").unwrap_or_default();
    let further = further.split(' ').filter(|path| !path.is_empty()).map(str::to_owned);
    let old = file.to_str().expect("a plain name").to_owned();
    further.chain([old, SCHEMA.to_owned()]).collect()
}

#[test]
fn a_schema_that_changes_under_a_session_is_followed() {
    if !ovn::is_present() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let schemas = schemas(dir.path());
    let server = Server::alone(&[]);
    let session = connect(&server.remote());
    for (round, schema) in schemas.iter().cycle().take(3 * schemas.len()).enumerate() {
        let rows = if round % 2 == 0 { large(3, 9) } else { large(5, 7) };
        let worker = std::thread::spawn({
            let (session, rows) = (session.clone(), rows.clone());
            move || block_on(bring(&session, &rows, OWNER, &options(10, 5), &mut Vec::new()))
        });
        std::thread::sleep(Duration::from_millis(7 * round as u64));
        server.convert(schema);
        // Whether it came through or not, it ended, and the next run finishes.
        match worker.join().expect("no panic") {
            Ok(_) | Err(Failure::Stale(..) | Failure::Fault(..) | Failure::Unknown(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
        block_on(async {
            bring(&session, &rows, OWNER, &options(10, 5), &mut Vec::new()).await.expect("applied");
            let actual = connect(&server.remote()).actual().await.expect("rows");
            let is: Vec<_> = without_records(&actual).iter().map(|(uuid, _)| uuid).collect();
            let wanted: Vec<_> = as_if_applied(&rows, OWNER).iter().map(|(uuid, _)| uuid).collect();
            assert_eq!(is, wanted, "{schema}");
        });
    }
}

#[test]
fn a_full_disk_is_told_of_and_nothing_is_lost() {
    if !ovn::is_present() {
        return;
    }
    let mut server = Server::alone(&[]);
    let small = large(2, 3);
    let session = connect(&server.remote());
    block_on(bring(&session, &small, OWNER, &options(5000, 500), &mut Vec::new())).expect("applied");
    let kib = u32::try_from(server.backup().len() / 1024).expect("small") + 8;
    server.restart_with(Some(kib));
    let rows = large(20, 60);
    let failure = block_on(bring(&session, &rows, OWNER, &options(5, 5), &mut Vec::new()));
    let Err(Failure::Fault(fault, _)) = failure else { panic!("{failure:?}") };
    assert!(fault.to_string().contains("I/O error") && fault.to_string().contains("too large"), "{fault}");
    // Through the program, into a database that takes nothing more.
    server.restart_with(Some(u32::try_from(server.backup().len() / 1024).expect("small")));
    let (_dir, path) = input();
    let (code, _, err) =
        northc(&server.remote(), &["apply", &path, "--owner", "another", "--yes", "--wait", "none"]);
    assert!(code == 4 && err.contains("I/O error") && err.contains("nothing was written"), "{code}: {err}");
    server.restart_with(None);
    block_on(async {
        bring(&session, &rows, OWNER, &options(50, 40), &mut Vec::new()).await.expect("applied");
        let actual = connect(&server.remote()).actual().await.expect("rows");
        assert!(without_records(&actual).iter().eq(as_if_applied(&rows, OWNER).iter()));
    });
}

/// Somebody writes over our rows all the time.
#[test]
fn a_rival_stops_nothing_and_loses_nothing() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let session = connect(&server.remote());
    let inputs = [large(3, 20), large(4, 15)];
    let theirs = Op::Insert {
        table: "Logical_Switch".into(),
        uuid: uuid::Uuid::from_u128(1),
        row: vec![("name".into(), Datum::set([Atom::Text("theirs".into())]))],
    };
    block_on(session.transact(&[theirs])).expect("written");
    let is_over = AtomicBool::new(false);
    let n_written = std::thread::scope(|scope| {
        let rival = scope.spawn(|| {
            let session = connect(&server.remote());
            let mut n = 0;
            while !is_over.load(Ordering::Relaxed) {
                n += 1;
                let pair = (Atom::Text("mtu".into()), Atom::Text(n.to_string().into()));
                let row = vec![("other_config".into(), Datum::map([pair]))];
                let table: northc::ovsdb::op::Name = "Logical_Switch".into();
                let ours = [0, 1, 2].map(|s| {
                    let key = northc::nb::Key::new(Table::LogicalSwitch, format!("s{s}"));
                    Op::Update { table: table.clone(), rows: Which::Row(key.uuid(OWNER)), row: row.clone() }
                });
                block_on(session.transact(&ours)).expect("written");
                std::thread::sleep(Duration::from_millis(2));
            }
            n
        });
        for round in 0..20 {
            let start = Instant::now();
            let made =
                block_on(bring(&session, &inputs[round % 2], OWNER, &options(30, 20), &mut Vec::new()));
            assert!(matches!(made, Ok(_) | Err(Failure::Stale(..))), "{made:?}");
            assert!(start.elapsed() < Duration::from_secs(60));
        }
        is_over.store(true, Ordering::Relaxed);
        rival.join().expect("no panic")
    });
    assert!(n_written > 20, "{n_written}");
    block_on(async {
        bring(&session, &inputs[0], OWNER, &options(30, 20), &mut Vec::new()).await.expect("applied");
        let mut actual = without_records(session.actual().await.expect("rows").as_ref());
        assert!(actual.remove(Table::LogicalSwitch, uuid::Uuid::from_u128(1)).is_some());
        assert!(actual.iter().eq(as_if_applied(&inputs[0], OWNER).iter()));
    });
}
