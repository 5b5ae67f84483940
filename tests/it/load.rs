//! Thousands of applies in a row, and twenty clients at once: memory and file handles stay flat, everybody ends.
//!
//! `NORTHC_LOAD=50` makes it so many times as long. Refuses to look at how fast; `benches/` do.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use northc::apply::Failure;
use northc::nb::{Atom, Datum, Rows, stamp};
use northc::plan::as_if_applied;

use crate::laws::OWNER;
use crate::live::{block_on, bring, connect, large, options, without_records};
use crate::ovn;
use crate::servers::Server;

fn scale() -> usize {
    std::env::var("NORTHC_LOAD").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Open files of a process, and its memory in KiB.
fn takes(pid: u32) -> [usize; 2] {
    let n_files = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    [n_files, kib.expect("VmRSS")]
}

/// Run by the test below in a process of its own, where nobody else opens files.
#[test]
#[ignore = "run by memory_and_handles_stay_flat, in a process of its own"]
fn a_client_of_its_own() {
    let Ok(remote) = std::env::var("NORTHC_LOAD_REMOTE") else { return };
    let pid: u32 = std::env::var("NORTHC_LOAD_SERVER").expect("a number").parse().expect("a number");
    let inputs = [large(3, 20), large(4, 15)];
    let kept = connect(&remote);
    let round = |n: usize| {
        block_on(async {
            // Half on connections of their own, half on one that is kept.
            let fresh = connect(&remote);
            let session = if n.is_multiple_of(2) { &fresh } else { &kept };
            bring(session, &inputs[n % 2], OWNER, &options(5000, 500), &mut Vec::new())
                .await
                .expect("applied");
            bring(&kept, &inputs[n % 2], OWNER, &options(5000, 500), &mut Vec::new()).await.expect("planned");
        });
    };
    let all = || {
        // Threads of sessions that were dropped are on their way out.
        std::thread::sleep(Duration::from_millis(300));
        [takes(std::process::id()), takes(pid)].concat()
    };
    (0..40).for_each(round);
    let before = all();
    let n_rounds = 80 * scale();
    (0..n_rounds).for_each(round);
    let after = all();
    let said = format!("{n_rounds} rounds: files and KiB of client and server: {before:?}, then {after:?}\n");
    let _ = std::io::stdout().write_all(said.as_bytes());
    for (at, (before, after)) in before.iter().zip(&after).enumerate() {
        let slack = if at % 2 == 0 { 2 } else { 12_000 };
        assert!(*after <= before + slack, "it grows: {before} to {after}");
    }
}

#[test]
fn memory_and_handles_stay_flat() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["load::a_client_of_its_own", "--exact", "--ignored", "--nocapture"])
        .env("NORTHC_LOAD_REMOTE", server.remote())
        .env("NORTHC_LOAD_SERVER", server.pid().to_string())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The same network for another owner, whose names are others.
fn of_owner(owner: &str) -> Rows {
    let mut rows = large(2, 8);
    for (_, row) in rows.iter_mut() {
        if let Some(Datum::Set(name)) = row.get_mut("name") {
            name.iter_mut().for_each(|name| {
                if let Atom::Text(name) = name {
                    *name = format!("{owner}-{name}").into();
                }
            });
        }
    }
    stamp::stamp(&mut rows, owner);
    rows
}

#[test]
fn twenty_clients_at_once_all_end_and_lose_nothing() {
    if !ovn::is_present() {
        return;
    }
    const N_CLIENTS: usize = 20;
    let server = Server::alone(&[]);
    let remote = server.remote();
    let start = Instant::now();
    let shared = [large(2, 8), large(3, 6)];
    let n_stale: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..N_CLIENTS)
            .map(|n| {
                let (remote, shared) = (&remote, &shared);
                // Half of them are one owner, and want two different networks.
                let owner = if n % 2 == 0 { OWNER.to_owned() } else { format!("owner{n}") };
                scope.spawn(move || {
                    let rows = if n % 2 == 0 { shared[n / 2 % 2].clone() } else { of_owner(&owner) };
                    let mut n_stale = 0;
                    for _ in 0..3 * scale() {
                        let session = connect(remote);
                        match block_on(bring(&session, &rows, &owner, &options(30, 20), &mut Vec::new())) {
                            Ok(_) => {}
                            Err(Failure::Stale(..)) if n % 2 == 0 => n_stale += 1,
                            Err(failure) => panic!("{owner}: {failure:?}"),
                        }
                    }
                    n_stale
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("no panic")).sum()
    });
    assert!(start.elapsed() < Duration::from_secs(120) * u32::try_from(scale()).expect("small"));
    let said = format!("{n_stale} runs of one owner gave up after lost races\n");
    let _ = std::io::stdout().write_all(said.as_bytes());
    block_on(async {
        let session = connect(&remote);
        bring(&session, &shared[0], OWNER, &options(30, 20), &mut Vec::new()).await.expect("applied");
        let is = without_records(session.actual().await.expect("rows").as_ref());
        let mut wanted = as_if_applied(&shared[0], OWNER);
        for owner in (1..N_CLIENTS).step_by(2).map(|n| format!("owner{n}")) {
            as_if_applied(&of_owner(&owner), &owner)
                .iter()
                .for_each(|(uuid, row)| wanted.insert(uuid, row.as_ref().clone()));
        }
        let uuids =
            |rows: &northc::nb::actual::Actual| rows.iter().map(|(uuid, _)| uuid).collect::<BTreeSet<_>>();
        assert_eq!(uuids(&is), uuids(&wanted));
        assert!(is.iter().eq(wanted.iter()));
    });
}
