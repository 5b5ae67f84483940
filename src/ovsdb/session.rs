//! The handle to a database: what callers ask, and how long they are ready to wait.
//!
//! A session connects by itself, reconnects by itself, and waits out elections. A request that was
//! not wholly sent when a connection broke, or that only reads, is sent again on the next one; for
//! any other the caller learns that the outcome is unknown. Refuses to send a write twice.
//!
//! ```no_run
//! use northc::nb::{Atom, Datum};
//! use northc::ovsdb::endpoint::Remotes;
//! use northc::ovsdb::op::{Op, Which};
//! use northc::ovsdb::session::{Options, Session};
//!
//! # async fn example() -> Result<(), northc::ovsdb::fault::Fault> {
//! let remotes = Remotes::parse("tcp:10.0.0.1:6641,tcp:10.0.0.2:6641,tcp:10.0.0.3:6641")?;
//! let session = Session::start(Options::northbound(remotes))?;
//!
//! let actual = session.actual().await?;
//! println!("{} rows", actual.len());
//!
//! let name = Datum::set([Atom::Text("ls-1".into())]);
//! let uuid = uuid::Uuid::from_u128(1);
//! let row = vec![("name".into(), name)];
//! session.transact(&[Op::Insert { table: "Logical_Switch".into(), uuid, row }]).await?;
//! // The row is in the next snapshot: a server sends updates before it replies.
//! assert!(session.actual().await?.len() > actual.len());
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::driver::{Ask, Driver, Request};
use super::encode;
use super::endpoint::{self, Endpoint, Remotes};
use super::fault::{Attempt, Fault, Why};
use super::frame;
use super::link::ID_FIRST;
use super::message::{self, OpResult};
use super::op::{Op, Which};
use super::schema::Schema;
pub use super::stream::Io;
use super::tls::{self, TlsFiles};
use crate::nb::Kind;
use crate::nb::actual::Actual;
use crate::nb::beside::{self, Beside};

/// How many requests wait in the channel before callers do.
const QUEUE: usize = 64;
/// What any transaction may take.
const BUDGET: Duration = Duration::from_secs(10);
/// What every further MiB of a transaction may take. ovsdb-server 3.1 needs 0.1 s for it alone and
/// 0.2 s in a cluster of three; this leaves room for a machine ten times slower.
const BUDGET_MIB: Duration = Duration::from_secs(2);

/// Who is told of what happens to the connection.
pub type OnNotice = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Opens a connection to an endpoint: through a tunnel of the caller's, or to a server that is only played.
pub type Dial = Arc<dyn Fn(&Endpoint) -> io::Result<Box<dyn Io>> + Send + Sync>;

/// How to reach a database.
#[derive(Clone)]
pub struct Options {
    /// Where its servers listen.
    pub remotes: Remotes,
    /// Its name: `OVN_Northbound`, `OVN_Southbound`.
    pub database: String,
    /// For `ssl:` remotes.
    pub tls: Option<TlsFiles>,
    /// Which members of a cluster to talk to.
    pub members: Members,
    /// Where `unix:` sockets with relative paths are (`OVS_RUNDIR`).
    pub run_dir: PathBuf,
    /// How long a request waits for a server that can take it: an election's time, and more.
    pub patience: Duration,
    /// How long the server may be silent before we ask whether it is there (ovsdb-server asks after
    /// 5 s itself).
    pub probe: Duration,
    /// How long the server may be silent over a dump; doubled after each dump that took longer.
    pub dump_silence: Duration,
    /// The longest message that we take.
    pub message_bytes_max: usize,
    /// Used instead of a socket, and of TLS.
    pub dial: Option<Dial>,
    /// Told of what happens to the connection, on the session's thread; it must not block.
    pub on_notice: Option<OnNotice>,
}

/// Which members of a cluster to talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// The leader: one hop less for writes, and reads that are never old. ovn-nbctl's default.
    Leader,
    /// Any that is in contact with the others (`--no-leader-only`).
    Any,
}

/// Something that happened to the connection.
#[derive(Clone, Debug)]
pub enum Notice {
    /// We are connected.
    Connected(Endpoint),
    /// A connection ended; we look for the next.
    Lost(Attempt),
    /// No remote can serve us now; we try again after a while.
    Waiting {
        /// What each remote said.
        attempts: Vec<Attempt>,
        /// After which while.
        next: Duration,
    },
    /// The rows are read.
    Read {
        /// How many there are.
        n_rows: usize,
        /// How long it took.
        took: Duration,
    },
}

/// A transaction as bytes, and how long its answer may take.
pub(crate) struct Encoded {
    params: Vec<u8>,
    budget: Duration,
}

/// A handle to a database; clones share one connection, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Session {
    requests: mpsc::Sender<Request>,
    cancels: mpsc::UnboundedSender<u64>,
    ids: Arc<AtomicU64>,
    database: Arc<str>,
}

impl Options {
    /// OVN's Northbound database behind these remotes.
    pub fn northbound(remotes: Remotes) -> Options {
        Options::new(remotes, "OVN_Northbound")
    }

    /// OVN's Southbound database behind these remotes.
    pub fn southbound(remotes: Remotes) -> Options {
        Options::new(remotes, "OVN_Southbound")
    }

    fn new(remotes: Remotes, database: &str) -> Options {
        Options {
            remotes,
            database: database.to_owned(),
            tls: None,
            members: Members::Leader,
            run_dir: endpoint::RUN_DIR.into(),
            patience: Duration::from_secs(15),
            probe: Duration::from_secs(5),
            dump_silence: Duration::from_secs(30),
            message_bytes_max: frame::BYTES_MAX,
            dial: None,
            on_notice: None,
        }
    }
}

impl Session {
    /// Starts a session on a thread of its own; the connection is made behind it. Only what is wrong
    /// with the options is an error here.
    pub fn start(options: Options) -> Result<Session, Fault> {
        let (session, driver) = Session::with_driver(options)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|_| Fault::Closed)?;
        let run = move || runtime.block_on(driver.run());
        std::thread::Builder::new().name("ovsdb".to_owned()).spawn(run).map_err(|_| Fault::Closed)?;
        Ok(session)
    }

    /// A session whose [`Driver`] the caller runs, on a runtime with I/O and time. While it does not
    /// run, the server's probes stay unanswered.
    pub fn with_driver(options: Options) -> Result<(Session, Driver), Fault> {
        let config = match &options.tls {
            Some(files) if options.remotes.needs_tls() => Some(tls::client_config(files)),
            Some(_) | None => None,
        };
        let failed = |failure| Fault::Tls { endpoint: options.remotes.endpoints()[0].clone(), failure };
        let config = config.transpose().map_err(failed)?;
        let (requests, asked) = mpsc::channel(QUEUE);
        // Not bounded by itself: at most one id for each request, and those are bounded.
        let (cancels, cancelled) = mpsc::unbounded_channel();
        let database = options.database.as_str().into();
        let driver = Driver::new(options, config, asked, cancelled);
        Ok((Session { requests, cancels, ids: Arc::new(AtomicU64::new(ID_FIRST)), database }, driver))
    }

    /// The schema of the server that we are connected to.
    pub async fn schema(&self) -> Result<Arc<Schema>, Fault> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Schema(reply), answer).await
    }

    /// Every row of the tables that northc writes, as the server has them now: at least as new as
    /// any transaction that was answered before. The first call reads them all; afterwards the
    /// server sends what changes.
    pub async fn actual(&self) -> Result<Arc<Actual>, Fault> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Actual(reply), answer).await
    }

    /// What the Northbound database says beside those rows, and packets heed; nothing where its schema has no place
    /// for it.
    pub async fn beside(&self) -> Result<Beside, Fault> {
        let select = |(table, column, _): (&'static str, &'static str, Kind)| Op::Select {
            table: table.into(),
            rows: Which::All,
            columns: vec!["_uuid".into(), column.into()],
        };
        let results = match self.transact(&beside::COLUMNS.map(select)).await {
            Err(Fault::Refused(_)) => return Ok(Beside::default()),
            results => results?,
        };
        let mut found = Beside::default();
        for ((table, column, kind), result) in beside::COLUMNS.into_iter().zip(results) {
            let OpResult::Rows(rows) = result else { continue };
            for row in rows {
                if let (Some(uuid), Some(datum)) = (row.uuid("_uuid"), row.get(kind, column)) {
                    found.add(table, uuid, &datum);
                }
            }
        }
        Ok(found)
    }

    /// Lets the server begin with what [`Session::actual`] will ask for: a large dump takes it seconds, in which
    /// the caller may do something else.
    pub fn expect_actual(&self) {
        let (reply, _) = oneshot::channel();
        // Where the queue is full, there is nothing to be gained.
        let _ = self.requests.try_send(Request::new(Ask::Actual(reply)));
    }

    /// Carries out a transaction, all of it or nothing, with a deadline that grows with its size. It
    /// is written when this returns `Ok`, and not written when the [`Fault`] says so.
    pub async fn transact(&self, ops: &[Op]) -> Result<Vec<OpResult>, Fault> {
        self.send(&self.encode(ops), ops).await
    }

    /// The same with a deadline of the caller's, counted from when it is sent.
    pub async fn transact_within(&self, ops: &[Op], budget: Duration) -> Result<Vec<OpResult>, Fault> {
        self.send(&Encoded { budget, ..self.encode(ops) }, ops).await
    }

    /// A transaction as it is sent, made while the server still works on another one.
    pub(crate) fn encode(&self, ops: &[Op]) -> Encoded {
        let params = encode::transact_params(&self.database, ops);
        let waits = ops.iter().map(|op| match op {
            Op::Wait { timeout_ms, .. } => Duration::from_millis(*timeout_ms),
            _ => Duration::ZERO,
        });
        let budget =
            BUDGET + waits.sum::<Duration>() + BUDGET_MIB.mul_f64(params.len() as f64 / f64::from(1 << 20));
        Encoded { params, budget }
    }

    /// [`Session::transact`] of what was encoded from these operations.
    pub(crate) async fn send(&self, encoded: &Encoded, ops: &[Op]) -> Result<Vec<OpResult>, Fault> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let message = Arc::new(message::request(id, "transact", &encoded.params));
        let (reply, answer) = oneshot::channel();
        let budget = encoded.budget;
        let only_reads = ops.iter().all(Op::only_reads);
        let mut forget = Forget { session: self, id: Some(id) };
        let answer = self.ask(Ask::Transact { id, message, budget, only_reads, reply }, answer).await;
        forget.id = None;
        message::results(ops, &answer?).map_err(|unfit| match unfit {
            message::Unfit::Refused(refusal) => Fault::Refused(refusal),
            message::Unfit::Nonsense(detail) => Fault::Protocol { method: "transact", detail },
        })
    }

    async fn ask<T>(&self, ask: Ask, answer: oneshot::Receiver<Result<T, Fault>>) -> Result<T, Fault> {
        self.requests.send(Request::new(ask)).await.map_err(|_| Fault::Closed)?;
        answer.await.unwrap_or(Err(Fault::Closed))
    }
}

/// Tells the driver when nobody waits for a request any more.
struct Forget<'s> {
    session: &'s Session,
    id: Option<u64>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // The driver may be gone; then there is nothing to forget.
            let _ = self.session.cancels.send(id);
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Connected(endpoint) => write!(f, "connected to {endpoint}"),
            Notice::Lost(Attempt { endpoint, why }) => write!(f, "left {endpoint}: {why}"),
            Notice::Read { n_rows, took } => write!(f, "read {n_rows} rows in {took:.1?}"),
            Notice::Waiting { attempts, next } => {
                let election = attempts.iter().any(|a| matches!(a.why, Why::Follower | Why::Alone));
                let what = if election { "waiting for the cluster's leader" } else { "waiting for a server" };
                write!(f, "{what}, next attempt in {next:.1?}:")?;
                for (at, Attempt { endpoint, why }) in attempts.iter().enumerate() {
                    write!(f, "{} {endpoint}: {why}", if at > 0 { ";" } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("remotes", &self.remotes)
            .field("database", &self.database)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}
