//! How long it takes to load a database and to read it, and how much of that is ours.
//!
//! `cargo bench --bench dump -- 100000` starts an ovsdb-server, writes so many ports of 425 bytes in
//! transactions of 255, reads them all, and for comparison reads the same bytes without looking at
//! them. Refuses to judge the numbers.
//!
//! Two busy cores, OVS 3.1, 100 000 ports: written in 6.6 s; 39.9 MB read and framed in 4.4 s, read
//! into rows in 4.6 to 5.0 s, with 0.5 s of our processor time. The rest is the server's, which sends
//! nothing before it has written the whole reply.

use std::io::{Read, Write, stdout};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use northc::nb::{Atom, Datum, Ref, Table};
use northc::ovsdb::endpoint::Remotes;
use northc::ovsdb::frame::Framer;
use northc::ovsdb::message;
use northc::ovsdb::op::Op;
use northc::ovsdb::session::{Options, Session};
use uuid::Uuid;

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

const PORTS_PER_SWITCH: u128 = 50;
/// Five switches with their ports.
const ROWS_PER_TRANSACTION: usize = 255;

fn main() -> Anything<()> {
    let n_ports = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(10_000);
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (db, socket) = (path("nb.db"), path("nb.sock"));
    Command::new("ovsdb-tool").args(["create", &db, "/usr/share/ovn/ovn-nb.ovsschema"]).status()?;
    let server = Server(
        Command::new("ovsdb-server")
            .args([&format!("--remote=punix:{socket}"), &format!("--unixctl={}", path("ctl")), &db])
            .stderr(Stdio::null())
            .spawn()?,
    );
    while UnixStream::connect(&socket).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }

    let remotes = Remotes::parse(&format!("unix:{socket}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let writer = Session::start(Options::northbound(remotes.clone()))?;
    let started = Instant::now();
    runtime.block_on(async {
        for batch in ops(n_ports).chunks(ROWS_PER_TRANSACTION) {
            writer.transact(batch).await?;
        }
        Anything::Ok(())
    })?;
    drop(writer);
    report(&format!("{n_ports} ports written"), started.elapsed())?;

    for _ in 0..3 {
        let started = Instant::now();
        let n_bytes = raw_dump(&socket)?;
        report(&format!("{n_bytes} bytes read and framed"), started.elapsed())?;
        let cpu = cpu_time()?;
        let started = Instant::now();
        let reader = Session::start(Options::northbound(remotes.clone()))?;
        let actual = runtime.block_on(reader.actual())?;
        let took = started.elapsed();
        let n_rows = actual.table(Table::LogicalSwitchPort).count();
        report(&format!("{n_rows} ports read into rows"), took)?;
        report("  of which our processor time", cpu_time()?.saturating_sub(cpu))?;
    }
    drop(server);
    Ok(())
}

fn report(what: &str, took: Duration) -> std::io::Result<()> {
    writeln!(stdout(), "{what}: {:.3} s", took.as_secs_f64())
}

fn ops(n_ports: u128) -> Vec<Op> {
    let text = |text: String| Atom::Text(text.into());
    let map = |pairs: Vec<(&str, String)>| {
        Datum::map(pairs.into_iter().map(|(k, v)| (Atom::Text(k.into()), text(v))))
    };
    let mut ops = Vec::new();
    for first in (0..n_ports).step_by(50) {
        let mut refs = Vec::new();
        for nth in first..(first + PORTS_PER_SWITCH).min(n_ports) {
            let uuid = id(&format!("port {nth}"));
            let name = format!("vm-{nth}.default.ovn");
            let address = format!(
                "0a:00:00:{:02x}:{:02x}:{:02x} 10.{}.{}.{}",
                nth >> 16,
                nth >> 8 & 255,
                nth & 255,
                nth >> 16,
                nth >> 8 & 255,
                nth & 255
            );
            let external_ids = vec![
                ("northc-owner", "bench".into()),
                ("northc-key", name.clone()),
                ("northc-digest", format!("{nth:016x}")),
            ];
            let row = vec![
                ("name".into(), Datum::set([text(name)])),
                ("addresses".into(), Datum::set([text(address.clone())])),
                ("port_security".into(), Datum::set([text(address)])),
                ("options".into(), map(vec![("requested-chassis", "node".into())])),
                ("external_ids".into(), map(external_ids)),
            ];
            ops.push(Op::Insert { table: "Logical_Switch_Port".into(), uuid, row });
            refs.push(Atom::Ref(Ref::Foreign(uuid)));
        }
        let name = Datum::set([text(format!("subnet-{first}"))]);
        let row = vec![("name".into(), name), ("ports".into(), Datum::set(refs))];
        let uuid = id(&format!("switch {first}"));
        ops.push(Op::Insert { table: "Logical_Switch".into(), uuid, row });
    }
    ops
}

/// ovsdb-server hashes a UUID by its first 32 bits, so UUIDs that count up would all collide there.
fn id(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::nil(), name.as_bytes())
}

/// Asks for the same rows and throws them away.
fn raw_dump(socket: &str) -> Anything<usize> {
    let columns = |table: Table| {
        let names = table.columns().iter().map(|column| format!("{:?}", column.name));
        format!("{:?}:[{{\"columns\":[{}]}}]", table.name(), names.collect::<Vec<_>>().join(","))
    };
    let tables = Table::ALL.iter().map(|&table| columns(table)).collect::<Vec<_>>().join(",");
    let params = format!("[\"OVN_Northbound\",\"raw\",{{{tables}}},\"{}\"]", Uuid::nil());
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(&message::request(1, "monitor_cond_since", params.as_bytes()))?;
    let mut framer = Framer::default();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = stream.read(&mut buffer)?;
        framer.push(&buffer[..n]);
        if let Some(message) = framer.next_message()? {
            return Ok(message.len());
        }
    }
}

/// Processor time of this process, all threads, in clock ticks of 10 ms.
fn cpu_time() -> Anything<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
