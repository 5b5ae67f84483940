//! What northc says beside its answer: `--quiet`, `--timings`, `--verbose`, how far it is, and again with `--watch`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::worlds::{self, world};

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
    assert_eq!(stages, ["files", "read", "check", "lower", "stamp", "prove", "emit"], "{timings}");
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

/// What comes out of a terminal that northc runs on.
fn on_terminal(args: &[&str]) -> String {
    let words = [&[env!("CARGO_BIN_EXE_northc")], args].concat();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &words.join(" "), "/dev/null"]).stdin(Stdio::null()).env_remove("NORTHC_LOG");
    for name in ["NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"] {
        terminal.env_remove(name);
    }
    let ran = terminal.output().expect("script(1) of bsdutils gives a terminal");
    String::from_utf8(ran.stdout).expect("text")
}

#[test]
fn a_plan_is_coloured_on_a_terminal_and_not_in_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("old")).expect("made");
    let net = file(dir.path(), VPC);
    let (old, net) = (dir.path().join("old"), net.to_str().expect("a plain name"));
    let args = ["diff", old.to_str().expect("a plain name"), net, "--allow", "N0110"];
    let to_file = dir.path().join("plan.txt");
    let redirected = [&args[..], &[">", to_file.to_str().expect("a plain name")]].concat();
    assert!(on_terminal(&args).contains("\x1b["));
    on_terminal(&redirected);
    let kept = fs::read_to_string(&to_file).expect("written");
    assert!(kept.contains("Plan: 1 to add") && !kept.contains('\x1b'), "{kept}");
    let said = |name: &str, value: &str| {
        let mut command = northc(&args);
        command.env(name, value);
        String::from_utf8(command.output().expect("it runs").stdout).expect("text")
    };
    assert!(said("FORCE_COLOR", "1").contains("\x1b["));
    assert!(!said("FORCE_COLOR", "").contains('\x1b') && !said("NO_COLOR", "1").contains('\x1b'));
}

#[test]
fn what_takes_long_says_how_far_it_is_on_a_terminal_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("net.json");
    let out = out.to_str().expect("a plain name");
    let compiling = |net: &'static str| vec!["compile", net, "--to", "ovsdb", "-o"];
    // What takes this machine long is as large as it must be.
    for n_ports in [1_000, 4_000, 16_000, 64_000, 256_000] {
        let net = file(dir.path(), &worlds::text(world::Size::of_ports(n_ports), 1, world::Dialect::Native));
        let net: &'static str = net.to_str().expect("a plain name").to_owned().leak();
        let began = Instant::now();
        let said = on_terminal(&[&compiling(net)[..], &[out]].concat());
        if began.elapsed() < Duration::from_secs(2) {
            continue;
        }
        let bars: Vec<&str> = said.split("\r\x1b[K").filter(|it| it.contains(" %, about ")).collect();
        let is_bar = |bar: &&str| bar.contains(" [") && bar.contains(">") && bar.ends_with(" left");
        assert!(!bars.is_empty() && bars.iter().all(is_bar), "{said:?}");
        let rest = said.rsplit("\r\x1b[K").next().unwrap_or_default();
        assert!(!rest.contains(" left"), "the line goes when the work is done: {said:?}");
        let quiet = on_terminal(&[&compiling(net)[..], &[out, "--quiet"]].concat());
        assert!(!quiet.contains(" left"), "{quiet:?}");
        let piped = err(northc(&[&compiling(net)[..], &[out]].concat()));
        assert!(!piped.contains(" left"), "{piped:?}");
        return;
    }
    panic!("nothing takes this machine long");
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
    // At once, so that nobody sees it half written.
    let aside = tempfile::tempdir().expect("a directory");
    let put = |text: &str| {
        let (from, to) = (aside.path().join("more.yaml"), dir.path().join("more.yaml"));
        fs::write(&from, text).and_then(|()| fs::rename(from, to)).expect("written");
    };
    put(subnet);
    let after = watcher.until("watching 2 files");
    assert!(after.contains("exit 1") && after.contains("did you mean `v`?"), "{after}");
    put(&subnet.replace("vpc: w", "vpc: v"));
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
