//! What northc says beside its answer: `--quiet`, `--timings`, `--verbose`, and again with `--watch`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn northc(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_northc"));
    command.args(args).stdin(Stdio::null()).env_remove("NORTHC_LOG").env_remove("OVN_NB_DB");
    command
}

fn err(mut command: Command) -> String {
    let output = command.output().expect("northc runs");
    String::from_utf8(output.stderr).expect("text")
}

fn file(dir: &Path, text: &str) -> PathBuf {
    let file = dir.join("net.yaml");
    fs::write(&file, text).expect("written");
    file
}

const VPC: &str = "{apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: v}}\n";

#[test]
fn timings_name_the_stages_and_are_silent_unless_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let net = file(dir.path(), VPC);
    let net = net.to_str().expect("a plain name");
    assert_eq!(err(northc(&["compile", net])), "");
    let timings = err(northc(&["compile", net, "--timings"]));
    let stages: Vec<&str> = timings.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(stages, ["files", "read", "check", "lower", "emit"], "{timings}");
    assert!(timings.lines().all(|line| line.contains(" ms ")), "{timings}");
}

#[test]
fn quiet_leaves_out_how_it_goes_and_keeps_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let saved = dir.path().join("net.plan");
    let net = file(dir.path(), VPC);
    let old = tempfile::tempdir().expect("a directory");
    let nothing = file(old.path(), "");
    let args = [
        "plan",
        "--from",
        nothing.to_str().expect("a plain name"),
        "--to",
        net.to_str().expect("a plain name"),
        "--allow",
        "N0110",
        "--out",
        saved.to_str().expect("a plain name"),
    ];
    assert!(err(northc(&args)).starts_with("Saved."));
    assert_eq!(err(northc(&[&args[..], &["--quiet"]].concat())), "");
    let net = file(dir.path(), "kind: Vpc\n");
    assert!(err(northc(&["check", "-q", net.to_str().expect("a plain name")])).contains("error[N"));
}

#[test]
fn a_database_that_is_not_there_is_told_inside_out() {
    let args = ["plan", "--db", "unix:/nowhere/nb.sock", "--retry-for", "1s", "fixtures/harvester/vpc-1"];
    let mut by_variable = northc(&args);
    by_variable.env("NORTHC_LOG", "northc::ovsdb=info");
    for told in [err(northc(&[&args[..], &["--verbose"]].concat())), err(by_variable)] {
        assert!(told.contains("INFO northc::ovsdb::driver"), "{told}");
    }
    assert!(!err(northc(&args)).contains("INFO"));
}

#[test]
fn watching_says_it_again_when_a_file_changes_or_comes() {
    let dir = tempfile::tempdir().expect("a directory");
    file(dir.path(), VPC);
    let mut watcher = Watcher::new(&["check", "--watch", dir.path().to_str().expect("a plain name")]);
    let before = watcher.until("watching 1 file");
    assert!(before.contains("exit 0"), "{before}");
    let subnet = "{apiVersion: northc.io/v1alpha1, kind: Subnet, metadata: {name: s}, \
                  spec: {vpc: w, cidrs: 10.0.0.0/24}}\n";
    fs::write(dir.path().join("more.yaml"), subnet).expect("written");
    let after = watcher.until("watching 2 files");
    assert!(after.contains("exit 1") && after.contains("did you mean `v`?"), "{after}");
    fs::write(dir.path().join("more.yaml"), subnet.replace("vpc: w", "vpc: v")).expect("written");
    let mended = watcher.until("watching 2 files");
    assert!(mended.contains("exit 0"), "{mended}");
    assert!(err(northc(&["check", "--watch", "-"])).contains("standard input only once"));
}

/// northc running, and what it says.
struct Watcher {
    child: Child,
    lines: Receiver<String>,
}

impl Watcher {
    fn new(args: &[&str]) -> Watcher {
        let mut child = northc(args).stderr(Stdio::piped()).spawn().expect("northc starts");
        let stderr: ChildStderr = child.stderr.take().expect("piped");
        let (say, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| say.send(line))
        });
        Watcher { child, lines }
    }

    /// What it says up to a line that ends like this.
    fn until(&mut self, end: &str) -> String {
        let mut said = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{e} after:\n{said}"));
            said += &line;
            said.push('\n');
            if line.ends_with(end) {
                return said;
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
