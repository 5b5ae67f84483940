//! What every OVN must stand besides packets: this very program again, in the images of the lab. Random packets
//! against its `ovn-trace`, and its `ovn-northd` fed with what hostile input compiles to.
//!
//! `NORTHC_PACKETS=20000` sends more of them, `NORTHC_SEED` others (`reach/against_ovn.rs`), `NORTHC_LAB_OVN=25.03`
//! asks one version. Refuses to run where an image's C library is older than the one that it was built for.

use std::process::{Command, Output, Stdio};

use super::{TURN, VERSIONS, bench, say};
use crate::cases::root;

/// How many packets are sent on each version on every day.
const N_PACKETS: &str = "600";

/// What `ovs` and `ovn` programs want to be there.
const INSIDE: &str = "mkdir -p /var/run/ovn /var/run/openvswitch";

#[test]
#[ignore = "needs Docker and minutes; scripts/test runs it"]
fn every_ovn_sends_packets_where_we_say() {
    on_every_ovn(&VERSIONS, "against_ovn::", " packets: ");
}

/// The oldest is asked by `cargo test` on a machine as old; on a newer one its image could not run this program.
#[test]
#[ignore = "needs Docker and minutes; scripts/test runs it"]
fn every_northd_lives_on_what_hostile_input_compiles_to() {
    on_every_ovn(&VERSIONS[1..], "doors::no_door_leads_to_a_trap", " lives on ");
}

/// Runs the tests of this name on each of these versions and says the line of each that holds `tally`.
fn on_every_ovn(versions: &[&str], tests: &str, tally: &str) {
    if std::env::var_os("NORTHC_WITHOUT_CONTAINERS").is_some_and(|value| value == "1") {
        say("NOT TESTED: {tests} on other OVNs needs containers, and NORTHC_WITHOUT_CONTAINERS=1\n");
        return;
    }
    let versions = std::env::var("NORTHC_LAB_OVN").unwrap_or_else(|_| versions.join(" "));
    let versions: Vec<String> = versions.split([' ', ',']).map(str::to_owned).collect();
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    bench::images(&versions).unwrap_or_else(|e| panic!("{e}"));
    let mut failures = String::new();
    for version in &versions {
        let output = inside(version, tests);
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let said = said.concat();
        if said.contains("version `GLIBC_") {
            say(&format!("{version}: NOT TESTED: its image has an older C library than this machine\n"));
            continue;
        }
        let line = said.lines().find(|line| line.contains(tally));
        say(&format!("{version}: {}\n", line.unwrap_or("nothing said")));
        if !output.status.success() || line.is_none() {
            failures += &format!("{version}:\n{said}\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn inside(version: &str, tests: &str) -> Output {
    let n_packets = std::env::var("NORTHC_PACKETS").unwrap_or_else(|_| N_PACKETS.to_owned());
    let program = std::env::current_exe().expect("a program knows where it is");
    // Where the package and what cargo made of it are, there they are inside too.
    let made = program.ancestors().nth(2).expect("tests are below `deps`").display();
    let root = root().display();
    Command::new("docker")
        .args(["run", "--rm", "--network=none", "--env=NORTHC_SEED"])
        .arg(format!("--env=NORTHC_PACKETS={n_packets}"))
        .args([format!("--volume={root}:{root}:ro"), format!("--volume={made}:{made}:ro")])
        .args([format!("--workdir={root}"), format!("northc-lab:{version}")])
        .args(["sh", "-c", &format!("{INSIDE} && exec {} --nocapture {tests}", program.display())])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("docker does not start: {e}"))
}
