//! What it costs to bring a database to the wanted rows, against what the database alone takes.
//!
//! `cargo bench --bench apply -- 10000` compiles a world of so many ports and writes it into an empty database:
//! once by replaying the bytes of our own inserts as they are, in transactions of several sizes, and once
//! by northc, which plans, guards, writes and reads back. Then it plans with nothing to do, against the server's
//! own dump of the same columns; adds one port with a replica that is warm, planned from all rows, from all rows
//! beside those that were wanted before, and from the rows that changed; and destroys everything. `--cluster`
//! takes three members, `--runs N` other than five runs. Refuses to judge the numbers.

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::server::Server;
use common::world::{self, Dialect, Size};
use common::{Anything, Measured, seconds, spent, table};
use northc::apply::{Options, Wait, apply, destroy, execute, follow};
use northc::compile::{self, compile};
use northc::diag::Sink;
use northc::emit::operations::transactions;
use northc::nb::actual::Actual;
use northc::nb::{Rows, Table};
use northc::ovsdb::endpoint::Remotes;
use northc::ovsdb::frame::Framer;
use northc::ovsdb::message;
use northc::ovsdb::session::{self, Session};
use northc::plan::batch::{Limits, batches};
use northc::plan::standing::Standing;
use northc::plan::{Plan, Request, plan};
use northc::span::SourceMap;
use northc::target::Target;
use uuid::Uuid;

const OWNER: &str = "bench";
/// Rows in a transaction of the raw replay.
const SIZES: [usize; 4] = [250, 500, 1000, 5000];
const APPLY: &str = "apply to the empty database, read back";
const DUMP: &str = "the server's dump, thrown away";
/// The replay by clients that are told what was written: everything, as northc is; the row's version; of rows that are
/// there, what changes and which go.
const TOLD: [(&str, Watch); 3] = [
    ("raw replay, 500 rows a transaction, to a client that monitors", Watch::All),
    ("… that monitors versions", Watch::Versions),
    ("… that monitors changes and deletions", Watch::Changes),
];
const CHANGE: &str = "one port more, replica warm";
const ANEW: &str = "one port less, all wanted rows given anew";
const KNOWN: &str = "one port more, its rows given";

fn main() -> Anything<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value =
        |flag: &str| args.iter().position(|arg| arg == flag).and_then(|at| args.get(at + 1)?.parse().ok());
    let n_runs: usize = value("--runs").unwrap_or(5);
    let n_members = if args.iter().any(|arg| arg == "--cluster") { 3 } else { 1 };
    let n_ports = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let mut text = String::new();
    world::write(&mut text, Size::of_ports(n_ports), 1, Dialect::Native)?;
    let (desired, _) = wanted(&text)?;
    text.push_str(
        "---\napiVersion: northc.io/v1alpha1\nkind: NetworkInterface\nmetadata: {name: one-more}\n\
         spec: {subnet: vpc-0-net-0}\n",
    );
    // Its text begins with the other's, so that places in both are in it.
    let (more, sources) = wanted(&text)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut measured = Measured::default();
    for _ in 0..n_runs {
        for size in SIZES {
            replay((&desired, &sources), size, n_members, (&replay_of(size), None), &mut measured)?;
        }
        for (name, watch) in TOLD {
            replay((&desired, &sources), 500, n_members, (name, Some(watch)), &mut measured)?;
        }
        let server = Server::start(n_members)?;
        runtime.block_on(measure(&server, &desired, (&more, &sources), &mut measured))?;
    }
    let kind = if n_members == 1 { "standalone" } else { "cluster" };
    measured.keep("apply", &format!("{kind},{n_ports}"))?;
    tell(&measured, &format!("{n_ports} ports, {} rows, {kind}", desired.len()))
}

fn wanted(text: &str) -> Anything<(Rows, SourceMap)> {
    let mut sources = SourceMap::new();
    sources.add("world.yaml", text.to_owned()).ok_or("shorter than 4 GiB")?;
    let owner = OWNER.to_owned();
    let (remembered, gateway_chassis) = (Default::default(), Vec::new());
    let options = compile::Options { owner, target: Target::OLDEST, remembered, gateway_chassis };
    let compiled = compile(&sources, &options, &mut Sink::new()).ok_or("the world has no errors")?;
    Ok((compiled.rows, sources))
}

/// What a client is told.
#[derive(Clone, Copy, PartialEq)]
enum Watch {
    All,
    Versions,
    Changes,
}

/// Our inserts, cut into transactions of so many rows, sent one after the other and only waited for, by one who may
/// watch.
fn replay(
    (desired, sources): (&Rows, &SourceMap),
    size: usize,
    n_members: usize,
    (name, watch): (&str, Option<Watch>),
    measured: &mut Measured,
) -> Anything<()> {
    let made = plan(desired, &Actual::default(), &Request::new(OWNER, sources));
    let limits = Limits { n_single_max: size, n_batch_max: size };
    let requests: Vec<Vec<u8>> = (1..)
        .zip(batches(&made, &limits))
        .map(|(id, steps)| {
            let params = transactions(&made, &[steps]);
            message::request(id, "transact", inserts(&params).as_bytes())
        })
        .collect();
    let server = Server::start(n_members)?;
    let mut wire = Wire::connect(&server.socket)?;
    if let Some(watch) = watch {
        wire.ask(&dump_request(watch))?;
    }
    let clock = Clock::start(&server)?;
    for request in &requests {
        wire.ask(request)?;
    }
    clock.stop(name, measured)
}

/// The transaction without its guards of names, of which each would scan a table.
fn inserts(params: &str) -> String {
    let end = match params.find("\"where\":[[\"name\",") {
        Some(at) => params[..at].rfind(",{\"op\":").unwrap_or(at),
        None => params.trim_end().len() - 1,
    };
    format!("{}]", &params[..end])
}

async fn measure(
    server: &Server,
    desired: &Rows,
    (more, sources): (&Rows, &SourceMap),
    measured: &mut Measured,
) -> Anything<()> {
    let remotes = Remotes::parse(&server.remote)?;
    let request = Request::new(OWNER, sources);
    let options = Options { wait: Wait::None, ..Options::default() };
    let (mut yes, mut quiet) = (|_: &Plan, _: &Actual| true, |_| ());

    let clock = Clock::start(server)?;
    let session = Session::start(session::Options::northbound(remotes.clone()))?;
    let made = plan(desired, session.actual().await?.as_ref(), &request);
    execute(&session, made, &options, &mut quiet).await.map_err(|f| format!("{f:?}"))?;
    clock.stop(APPLY, measured)?;

    let clock = Clock::start(server)?;
    Wire::connect(&server.socket)?.ask(&dump_request(Watch::All))?;
    clock.stop(DUMP, measured)?;
    let clock = Clock::start(server)?;
    let fresh = Session::start(session::Options::northbound(remotes))?;
    let actual = fresh.actual().await?;
    clock.stop("connect and read", measured)?;
    let before = Clock::start(server)?;
    assert!(plan(desired, &actual, &request).is_empty(), "nothing is left to do");
    before.stop("plan with nothing to do", measured)?;
    drop((fresh, actual));

    let clock = Clock::start(server)?;
    apply(&session, more, &request, &options, &mut yes, &mut quiet).await.map_err(|f| format!("{f:?}"))?;
    clock.stop(CHANGE, measured)?;

    let mut standing = Standing::new(more.clone());
    let (fewer, mut one) = (desired.clone(), Rows::new());
    for (key, row) in more.iter().filter(|(key, row)| desired.get(key) != Some(row)) {
        one.insert(key.clone(), row.clone(), more.origin(key));
    }
    assert!(standing.plan(session.actual().await?.as_ref(), &request).is_empty(), "it is all there");
    let clock = Clock::start(server)?;
    standing.want(fewer);
    follow(&session, &mut standing, &request, &options, &mut yes, &mut quiet)
        .await
        .map_err(|f| format!("{f:?}"))?;
    clock.stop(ANEW, measured)?;
    let clock = Clock::start(server)?;
    standing.put(one);
    let done = follow(&session, &mut standing, &request, &options, &mut yes, &mut quiet).await;
    clock.stop(KNOWN, measured)?;
    assert!(done.map_err(|f| format!("{f:?}"))?.is_some_and(|done| done.undone.is_empty()), "it is written");
    drop(standing);

    let clock = Clock::start(server)?;
    destroy(&session, &request, &options, &mut yes, &mut quiet).await.map_err(|f| format!("{f:?}"))?;
    clock.stop("destroy", measured)
}

/// How long a step takes, and what of it is the server's processor time and ours.
struct Clock<'s> {
    server: &'s Server,
    start: Instant,
    servers: Duration,
    ours: Duration,
}

impl Clock<'_> {
    fn start(server: &Server) -> Anything<Clock<'_>> {
        let (servers, ours) = (server.time()?, spent());
        Ok(Clock { server, start: Instant::now(), servers, ours })
    }

    fn stop(self, what: &str, measured: &mut Measured) -> Anything<()> {
        let took = self.start.elapsed();
        let servers = self.server.time()? - self.servers;
        let ours = spent() - self.ours;
        measured.add(what, took.as_secs_f64());
        measured.add(&format!("{what}, server"), servers.as_secs_f64());
        measured.add(&format!("{what}, ours"), ours.as_secs_f64());
        Ok(())
    }
}

/// Asks for the same rows as northc does, or for less of them.
fn dump_request(watch: Watch) -> Vec<u8> {
    let columns = |table: Table| {
        // The server of this machine may be the oldest.
        let names = table.columns().iter().filter(|column| column.since.is_none());
        let names: Vec<String> = match watch {
            Watch::All | Watch::Changes => names.map(|column| format!("{:?}", column.name)).collect(),
            Watch::Versions => vec!["\"_version\"".to_owned()],
        };
        let select = if watch == Watch::Changes { ",\"select\":{\"insert\":false}" } else { "" };
        format!("{:?}:[{{\"columns\":[{}]{select}}}]", table.name(), names.join(","))
    };
    let tables = Table::ALL.iter().map(|&table| columns(table)).collect::<Vec<_>>().join(",");
    let params = format!("[\"OVN_Northbound\",\"raw\",{{{tables}}},\"{}\"]", Uuid::nil());
    message::request(0, "monitor_cond_since", params.as_bytes())
}

/// A connection on which nobody looks at what comes back, but for errors.
struct Wire {
    stream: UnixStream,
    framer: Framer,
    buffer: Vec<u8>,
}

impl Wire {
    fn connect(socket: &str) -> Anything<Wire> {
        Ok(Wire {
            stream: UnixStream::connect(socket)?,
            framer: Framer::default(),
            buffer: vec![0; 64 << 10],
        })
    }

    fn ask(&mut self, request: &[u8]) -> Anything<()> {
        self.stream.write_all(request)?;
        loop {
            while let Some(message) = self.framer.next_message()? {
                let text = String::from_utf8_lossy(message.as_ref());
                if text.contains("\"error\":\"") || text.contains("\"error\":{") {
                    return Err(text.chars().take(500).collect::<String>().into());
                }
                if !text.contains("\"method\":\"update3\"") {
                    return Ok(());
                }
            }
            let n = self.stream.read(&mut self.buffer)?;
            self.framer.push(&self.buffer[..n]);
        }
    }
}

/// A line for each step, and the goals: ratios by the clock, which are the neighbours' on a machine that has any, and of
/// processor time, the server's and ours together.
fn tell(measured: &Measured, title: &str) -> Anything<()> {
    let parts = [", server", ", ours"];
    let steps: Vec<&String> =
        measured.names().iter().filter(|name| !parts.iter().any(|part| name.ends_with(part))).collect();
    let both = |step: &str| parts.map(|part| measured.median(&format!("{step}{part}"))).iter().sum::<f64>();
    let head = [title, "clock, median", "least", "most", "the server", "northc or the replay"];
    let mut lines = Vec::new();
    for step in steps {
        let (least, most) = measured.range(step);
        let [server, ours] = parts.map(|part| measured.median(&format!("{step}{part}")));
        let cells = [measured.median(step), least, most, server, ours].map(seconds);
        lines.push([step.clone()].into_iter().chain(cells).collect());
    }
    table(&head.map(str::to_owned), &lines)?;
    let clock = |step: &str| measured.median(step);
    let ratios = |of: &dyn Fn(&str) -> f64| {
        let floor = SIZES.map(|size| of(&replay_of(size))).into_iter().fold(f64::MAX, f64::min);
        let plan = of("connect and read") + of("plan with nothing to do");
        [of(APPLY) / floor, of(APPLY) / of(TOLD[0].0), plan / of(DUMP)]
    };
    let what = [
        "apply by the best raw replay",
        "apply by the replay to a client that monitors",
        "plan with nothing to do by the dump",
    ];
    let lines = what.iter().zip(ratios(&clock)).zip(ratios(&both));
    let lines: Vec<_> = lines
        .map(|((what, clock), both)| {
            vec![(*what).to_owned(), format!("{clock:.2} ×"), format!("{both:.2} ×")]
        })
        .collect();
    table(&["ratios", "clock", "processor time"].map(str::to_owned), &lines)
}

fn replay_of(size: usize) -> String {
    format!("raw replay, {size} rows a transaction")
}
