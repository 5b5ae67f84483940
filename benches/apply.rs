//! How long plans take to make and to carry out, and how large a transaction should be.
//!
//! `cargo bench --bench apply -- 20000 5000/1000 0/250` brings an empty database to so many ports, once for
//! each pair of limits (rows in a single transaction at most, rows in each of many), then plans again, moves
//! one port, and destroys everything. Refuses to judge the numbers.

use std::collections::BTreeSet;
use std::io::{Write, stdout};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use northc::apply::{Options, Wait, apply, destroy};
use northc::nb::actual::Actual;
use northc::nb::{
    Key, LogicalRouter, LogicalRouterPort, LogicalSwitch, LogicalSwitchPort, Ref, Rows, Table, stamp,
};
use northc::ovsdb::endpoint::Remotes;
use northc::ovsdb::op::{Op, Which};
use northc::ovsdb::session::{self, Session};
use northc::plan::batch::Limits;
use northc::plan::{Plan, Request, plan};
use northc::span::SourceMap;

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

const OWNER: &str = "bench";
const N_PORTS_PER_SWITCH: usize = 50;
const N_SWITCHES_PER_ROUTER: usize = 10;

fn main() -> Anything<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let n_ports = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let pair = |arg: &String| {
        let (single, batch) = arg.split_once('/')?;
        Some(Limits { n_single_max: single.parse().ok()?, n_batch_max: batch.parse().ok()? })
    };
    let mut limits: Vec<Limits> = args.iter().filter_map(pair).collect();
    if limits.is_empty() {
        limits.push(Limits::default());
    }
    let desired = network(n_ports, 0);
    let moved = network(n_ports, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for limits in limits {
        let dir = tempfile::tempdir()?;
        let server = Server::start(&dir)?;
        runtime.block_on(measure(&server.remote, &desired, &moved, limits))?;
    }
    Ok(())
}

async fn measure(remote: &str, desired: &Rows, moved: &Rows, limits: Limits) -> Anything<()> {
    let Limits { n_single_max, n_batch_max } = limits;
    writeln!(stdout(), "{} rows, at most {n_single_max} at once, else {n_batch_max}", desired.len())?;
    let remotes = Remotes::parse(remote)?;
    let session = Session::start(session::Options::northbound(remotes.clone()))?;
    let sources = SourceMap::new();
    let request = Request::new(OWNER, &sources);
    let options = Options { wait: Wait::None, limits, ..Options::default() };
    let (mut yes, mut quiet) = (|_: &Plan, _: &Actual| true, |_| ());
    let bystander = Bystander::start(remotes)?;

    let start = Instant::now();
    let actual = session.actual().await?;
    let made = plan(desired, &actual, &request);
    report("  planned from nothing", start.elapsed())?;
    let start = Instant::now();
    northc::apply::execute(&session, made, &options, &mut quiet).await.map_err(|f| format!("{f:?}"))?;
    report("  applied and read back", start.elapsed())?;
    report("  longest wait of a bystander", bystander.stop())?;

    let start = Instant::now();
    let actual = session.actual().await?;
    let made = plan(desired, &actual, &request);
    assert!(made.is_empty(), "nothing is left to do");
    report("  planned again, empty", start.elapsed())?;
    let start = Instant::now();
    apply(&session, moved, &request, &options, &mut yes, &mut quiet).await.map_err(|f| format!("{f:?}"))?;
    report("  one port changed, planned and applied", start.elapsed())?;
    let start = Instant::now();
    destroy(&session, &request, &options, &mut yes, &mut quiet).await.map_err(|f| format!("{f:?}"))?;
    report("  destroyed", start.elapsed())
}

fn report(what: &str, took: Duration) -> Anything<()> {
    Ok(writeln!(stdout(), "{what:<42} {:>9.1} ms", took.as_secs_f64() * 1000.0)?)
}

/// A network of so many ports. `variant` changes one of them.
fn network(n_ports: usize, variant: usize) -> Rows {
    let mut rows = Rows::new();
    let n_switches = n_ports.div_ceil(N_PORTS_PER_SWITCH);
    for r in 0..n_switches.div_ceil(N_SWITCHES_PER_ROUTER) {
        let mut router_ports = BTreeSet::new();
        for s in r * N_SWITCHES_PER_ROUTER..n_switches.min((r + 1) * N_SWITCHES_PER_ROUTER) {
            let mut ports: BTreeSet<Ref> = BTreeSet::new();
            for p in s * N_PORTS_PER_SWITCH..n_ports.min((s + 1) * N_PORTS_PER_SWITCH) {
                let last = if p == 0 { variant } else { p % 250 };
                let address =
                    format!("02:00:00:{:02x}:{:02x}:{:02x} 10.0.0.{last}", p >> 16, p >> 8 & 255, p & 255);
                let port = LogicalSwitchPort {
                    name: format!("port-{p}"),
                    addresses: [address.clone()].into(),
                    port_security: [address].into(),
                    ..Default::default()
                };
                ports.insert(insert(&mut rows, Table::LogicalSwitchPort, &port.name.clone(), port));
            }
            let name = format!("r{r}-s{s}");
            let networks = [format!("10.{}.{}.1/24", s >> 8, s & 255)].into();
            let port = LogicalRouterPort { name: name.clone(), networks, ..Default::default() };
            router_ports.insert(insert(&mut rows, Table::LogicalRouterPort, &name, port));
            let options = [("router-port".to_owned(), name)].into();
            let name = format!("s{s}-r{r}");
            let port = LogicalSwitchPort { name, kind: "router".into(), options, ..Default::default() };
            ports.insert(insert(&mut rows, Table::LogicalSwitchPort, &port.name.clone(), port));
            let name = format!("s{s}");
            let switch = LogicalSwitch { name: name.clone(), ports, ..Default::default() };
            insert(&mut rows, Table::LogicalSwitch, &name, switch);
        }
        let name = format!("r{r}");
        let router = LogicalRouter { name: name.clone(), ports: router_ports, ..Default::default() };
        insert(&mut rows, Table::LogicalRouter, &name, router);
    }
    stamp::stamp(&mut rows, OWNER);
    rows
}

fn insert(rows: &mut Rows, table: Table, name: &str, row: impl Into<northc::nb::Row>) -> Ref {
    let key = Key::new(table, name);
    rows.insert(key.clone(), row, None);
    Ref::Key(key)
}

/// Another client, which asks for one small row all the time and notes the longest answer.
struct Bystander {
    is_done: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Duration>,
}

impl Bystander {
    fn start(remotes: Remotes) -> Anything<Bystander> {
        let session = Session::start(session::Options::northbound(remotes))?;
        let is_done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_done);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let watch = async move {
            let mut longest = Duration::ZERO;
            while !flag.load(Ordering::Relaxed) {
                let columns = vec!["nb_cfg".into()];
                let start = Instant::now();
                let select = Op::Select { table: "NB_Global".into(), rows: Which::All, columns };
                if session.transact(&[select]).await.is_ok() {
                    longest = longest.max(start.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            longest
        };
        Ok(Bystander { is_done, thread: std::thread::spawn(move || runtime.block_on(watch)) })
    }

    fn stop(self) -> Duration {
        self.is_done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

struct Server {
    process: Child,
    remote: String,
}

impl Server {
    fn start(dir: &tempfile::TempDir) -> Anything<Server> {
        let path = |name: &str| dir.path().join(name).display().to_string();
        let (db, socket) = (path("nb.db"), path("nb.sock"));
        Command::new("ovsdb-tool").args(["create", &db, "/usr/share/ovn/ovn-nb.ovsschema"]).status()?;
        let process = Command::new("ovsdb-server")
            .args([&format!("--remote=punix:{socket}"), &format!("--unixctl={}", path("ctl")), &db])
            .stderr(Stdio::null())
            .spawn()?;
        while UnixStream::connect(&socket).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Server { process, remote: format!("unix:{socket}") })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
