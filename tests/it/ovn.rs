//! Real OVN daemons, each test's in a directory of its own, gone when the test is.
//!
//! Refuses to guess: where the programs are missing a test fails, unless `NORTHC_WITHOUT_OVN=1`.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a daemon may take to start or to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether to test with the OVN programs: always, unless `NORTHC_WITHOUT_OVN=1`. Panics where they should be
/// there and are not.
pub(crate) fn is_present() -> bool {
    if std::env::var_os("NORTHC_WITHOUT_OVN").is_some_and(|value| value == "1") {
        return false;
    }
    let programs = ["ovsdb-server", "ovsdb-tool", "ovn-northd", "ovn-nbctl", "ovn-trace"];
    let is_missing = |program: &&str| Command::new(program).arg("--version").output().is_err();
    let missing: Vec<_> = programs.into_iter().filter(is_missing).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} cannot be run: install OVN (`scripts/test ovn` does), or set NORTHC_WITHOUT_OVN=1"
    );
    true
}

/// The version that `ovn-trace` prints, such as `23.03.1`.
pub(crate) fn version() -> String {
    let output = Command::new("ovn-trace").arg("--version").output().expect("ovn-trace runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = text.lines().next().unwrap_or_default();
    first.rsplit(' ').next().unwrap_or_default().to_owned()
}

/// A directory with daemons in it.
pub(crate) struct Scratch {
    dir: tempfile::TempDir,
    children: Vec<Child>,
    pidfiles: Vec<PathBuf>,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        Scratch { dir, children: Vec::new(), pidfiles: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a server for a new, empty database of `schema`, a file of OVN's such as `ovn-sb`.
    pub(crate) fn database(&mut self, schema: &str) -> Database {
        let file = self.path(&format!("{schema}.db"));
        let schema_file = Path::new("/usr/share/ovn").join(format!("{schema}.ovsschema"));
        let created = Command::new("ovsdb-tool").arg("create").arg(&file).arg(&schema_file).status();
        assert!(created.is_ok_and(|status| status.success()), "ovsdb-tool makes {}", file.display());
        let socket = self.path(&format!("{schema}.sock"));
        let child = Command::new("ovsdb-server")
            .arg(&file)
            .arg(format!("--remote=punix:{}", socket.display()))
            .arg(format!("--unixctl={}", self.path(&format!("{schema}.ctl")).display()))
            .args(["-vconsole:off", "--no-chdir"])
            .stdin(Stdio::null())
            .spawn()
            .expect("ovsdb-server starts");
        let pid = child.id();
        self.children.push(child);
        wait_for("the database's socket", || UnixStream::connect(&socket).is_ok());
        Database { socket, pid }
    }

    /// Starts `program`, which goes into the background itself once it is ready, and returns what
    /// waits for that. Its control socket is `<program>.ctl`, its log `<program>.log`.
    pub(crate) fn daemon(&mut self, program: &str, args: &[String]) -> Child {
        let file = |end: &str| self.path(&format!("{program}.{end}"));
        let pidfile = file("pid");
        let child = Command::new(program)
            .args(args)
            .args(["--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off", "-vfile:info"])
            .arg(format!("--pidfile={}", pidfile.display()))
            .arg(format!("--unixctl={}", file("ctl").display()))
            .arg(format!("--log-file={}", file("log").display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        self.pidfiles.push(pidfile);
        child
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for pidfile in &self.pidfiles {
            if let Ok(pid) = fs::read_to_string(pidfile) {
                signal("KILL", pid.trim());
            }
        }
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A running `ovsdb-server`.
pub(crate) struct Database {
    pub(crate) socket: PathBuf,
    pid: u32,
}

impl Database {
    /// Runs one transaction, which must succeed.
    pub(crate) fn transact(&self, database: &str, operations: Vec<Value>) {
        let params: Vec<Value> = std::iter::once(json!(database)).chain(operations).collect();
        let result = call(&self.socket, "transact", &json!(params));
        let failed =
            result.as_array().and_then(|parts| parts.iter().find(|part| part.get("error").is_some()));
        assert_eq!(failed, None, "the transaction is accepted");
    }

    /// Runs `act` while the server stands still: what connects meanwhile is not answered.
    pub(crate) fn while_stopped<T>(&self, act: impl FnOnce() -> T) -> T {
        let pid = self.pid.to_string();
        signal("STOP", &pid);
        let result = act();
        signal("CONT", &pid);
        result
    }
}

fn signal(name: &str, pid: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), pid]).stderr(Stdio::null()).status();
}

/// One JSON-RPC call on a socket of its own.
pub(crate) fn call(socket: &Path, method: &str, params: &Value) -> Value {
    let mut reply = ask(socket, method, params).expect("the daemon answers");
    assert_eq!(reply["error"], Value::Null, "`{method}` succeeds");
    reply["result"].take()
}

/// The answer to one JSON-RPC call; `None` when the daemon dies of it.
pub(crate) fn ask(socket: &Path, method: &str, params: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).expect("the socket is there");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let request = json!({"id": 0, "method": method, "params": params});
    stream.write_all(request.to_string().as_bytes()).expect("the daemon listens");
    let mut messages = serde_json::Deserializer::from_reader(&stream).into_iter::<Value>();
    messages.next()?.ok()
}

/// Waits until `is_ready`.
pub(crate) fn wait_for(what: &str, mut is_ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_ready() {
        assert!(start.elapsed() < PATIENCE, "{what} does not appear");
        sleep(Duration::from_millis(5));
    }
}
