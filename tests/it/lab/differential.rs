//! Random packets against `ovn-trace` of every OVN: this very program again, in the images of the lab.
//!
//! `NORTHC_PACKETS=20000` sends more of them, `NORTHC_SEED` others (`reach/against_ovn.rs`), `NORTHC_LAB_OVN=25.03`
//! asks one version. Refuses to run where an image's C library is older than the one that it was built for.

use std::process::{Command, Output, Stdio};

use super::{TURN, VERSIONS, bench, say};

/// How many packets are sent on each version on every day.
const N_PACKETS: &str = "600";

/// What `ovs` and `ovn` programs want to be there, then the test.
const INSIDE: &str =
    "mkdir -p /var/run/ovn /var/run/openvswitch && exec /northc-it against_ovn:: --nocapture";

#[test]
#[ignore = "needs containers"]
fn every_ovn_sends_packets_where_we_say() {
    if std::env::var_os("NORTHC_WITHOUT_CONTAINERS").is_some_and(|value| value == "1") {
        say("NOT TESTED: other OVNs' ovn-trace needs containers, and NORTHC_WITHOUT_CONTAINERS=1\n");
        return;
    }
    let versions = std::env::var("NORTHC_LAB_OVN").unwrap_or_else(|_| VERSIONS.join(" "));
    let versions: Vec<String> = versions.split([' ', ',']).map(str::to_owned).collect();
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    bench::images(&versions).unwrap_or_else(|e| panic!("{e}"));
    let mut failures = String::new();
    for version in &versions {
        let output = inside(version);
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let said = said.concat();
        if said.contains("version `GLIBC_") {
            say(&format!("{version}: NOT TESTED: its image has an older C library than this machine\n"));
            continue;
        }
        let tally = said.lines().find(|line| line.contains(" packets: ")).unwrap_or("no packets");
        say(&format!("{version}: {tally}\n"));
        if !output.status.success() {
            failures += &format!("{version}:\n{said}\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn inside(version: &str) -> Output {
    let n_packets = std::env::var("NORTHC_PACKETS").unwrap_or_else(|_| N_PACKETS.to_owned());
    let program = std::env::current_exe().expect("a program knows where it is");
    Command::new("docker")
        .args(["run", "--rm", "--network=none", "--workdir=/tmp", "--env=NORTHC_SEED"])
        .arg(format!("--env=NORTHC_PACKETS={n_packets}"))
        .arg(format!("--volume={}:/northc-it:ro", program.display()))
        .args([&format!("northc-lab:{version}"), "sh", "-c", INSIDE])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("docker does not start: {e}"))
}
