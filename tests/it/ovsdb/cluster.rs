//! A cluster of three: elections, followers, no quorum.

use std::time::{Duration, Instant};

use northc::ovsdb::fault::{Fault, Remedy};
use northc::ovsdb::session::{Members, Session};

use super::{names, noted, options, rename, switch, wait};
use crate::ovn::{is_present, wait_for};
use crate::servers::Cluster;

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
