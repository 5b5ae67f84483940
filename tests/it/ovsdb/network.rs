//! Bad networks, stopped servers, silence, and a lot of data.

use std::time::{Duration, Instant};

use northc::nb::Table;
use northc::ovsdb::fault::Fault;
use northc::ovsdb::op::{Op, Until, Which};
use uuid::Uuid;

use super::{connect, names, noted, rename, switch, text, wait};
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
