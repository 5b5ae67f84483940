//! Bad networks, stopped servers, silence, and a lot of data.

use std::time::{Duration, Instant};

use northc::nb::{Atom, Datum, Ref, Table};
use northc::ovsdb::fault::{Fault, Remedy};
use northc::ovsdb::op::{Op, Which};

use super::{connect, id, names, noted, rename, switch, text, until_named, wait};
use crate::ovn::is_present;
use crate::proxy::{Mischief, Proxy};
use crate::servers::Server;

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
                        if actual.get(Table::LogicalSwitch, id(number)).is_none() {
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
    let (session, _) = noted(&server.remote(), |options| {
        options.probe = Duration::from_secs(1);
        options.patience = Duration::from_secs(2);
    });
    wait(session.transact(&[switch(1, "a")])).expect("written");
    let budget = Duration::from_secs(1);
    server.signal("STOP");
    // Larger than any socket's buffer: it cannot be wholly sent, so nothing can have happened.
    let large = vec![switch(3, &"x".repeat(1 << 20))];
    let fault = wait(session.transact_within(&large, budget)).expect_err("it is stopped");
    assert!(matches!(fault, Fault::TimedOut { .. }) && fault.remedy() == Remedy::Retry, "{fault}");
    server.signal("CONT");
    assert_eq!(wait(names(&session)), ["a"]);
    server.signal("STOP");
    let fault = wait(session.transact_within(&[switch(2, "b")], budget)).expect_err("it is stopped");
    assert!(matches!(fault, Fault::TimedOutSent { .. }), "{fault}");
    let started = Instant::now();
    let select =
        Op::Select { table: "Logical_Switch".into(), rows: Which::All, columns: vec!["name".into()] };
    let fault = wait(session.transact_within(&[select], budget)).expect_err("it is stopped");
    assert!(fault.remedy() == Remedy::Retry && !fault.outcome_unknown(), "{fault}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    server.signal("CONT");
    wait(session.transact(&[switch(4, "d")])).expect("it goes on");
    // Killed and started again: a new connection, and rows that are read anew.
    server.kill();
    server.start();
    assert!(wait(names(&session)).contains(&"d".to_owned()));
}

#[test]
fn probes_are_answered_while_a_transaction_is_under_way_and_in_silence() {
    if !is_present() {
        return;
    }
    // The server probes after half a second, and hangs up after another.
    let server = Server::alone(&["--remote=db:OVN_Northbound,NB_Global,connections"]);
    wait(async {
        let session = connect(&server.remote());
        let row = vec![
            ("target".into(), text("ptcp:0:127.0.0.1")),
            ("inactivity_probe".into(), Datum::set([Atom::Int(500)])),
        ];
        let connection = Op::Insert { table: "Connection".into(), uuid: id(1), row };
        let set = Datum::set([Atom::Ref(Ref::Foreign(id(1)))]);
        let row = vec![("connections".into(), set)];
        let global = Op::Insert { table: "NB_Global".into(), uuid: id(2), row };
        session.transact(&[switch(1, "a"), connection, global]).await.expect("written");
    });
    let remote = format!("tcp:127.0.0.1:{}", server.port());
    let never = Duration::from_secs(60);
    let (quiet, quiet_notes) = noted(&remote, |options| options.probe = never);
    let (busy, busy_notes) = noted(&remote, |options| options.probe = never);
    wait(async {
        quiet.schema().await.expect("connected");
        // The server waits inside this transaction for longer than it lets a client be silent.
        let waiting = [until_named(1, "b", 20_000), rename(1, "c")];
        let transaction = busy.transact(&waiting);
        let caller = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            // As a caller who computes: only the session's own thread can answer.
            std::thread::sleep(Duration::from_millis(2_500));
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
    let log = server.log();
    assert!(!log.contains("no response to inactivity probe"), "{log}");
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
        let waiting = [until_named(1, "b", 60_000), rename(1, "c")];
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
