//! What can go wrong between us and a database, and what to do about it.
//!
//! Callers branch on [`Fault::remedy`]; the text is for people. Refuses to retry anything itself.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use super::endpoint::{Endpoint, EndpointError};
use super::frame::FrameError;

/// What to do after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing was done; the same request may be sent again, later.
    Retry,
    /// The database is not, or may not be, what we thought: read it and plan anew before writing.
    Resync,
    /// Trying again changes nothing.
    Stop,
}

/// Why a request has no answer, or a bad one.
#[derive(Clone, Debug, Error)]
pub enum Fault {
    /// The remotes are not written right.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No remote took us; nothing was sent.
    #[error("cannot reach `{database}`{}: {}", after(*.waited), Attempt::list(.attempts))]
    Unreachable {
        /// Which database.
        database: String,
        /// What every remote said last.
        attempts: Vec<Attempt>,
        /// How long we tried.
        waited: Duration,
    },
    /// Some remote answered, and none of them leads the cluster; nothing was sent.
    #[error("the cluster of `{database}` has no leader{}: {}", after(*.waited), Attempt::list(.attempts))]
    NotLeader {
        /// Which database.
        database: String,
        /// What every remote said last.
        attempts: Vec<Attempt>,
        /// How long we tried.
        waited: Duration,
    },
    /// The TLS handshake failed; nothing was sent.
    #[error("{endpoint}: {failure}")]
    Tls {
        /// With whom.
        endpoint: Endpoint,
        /// Why.
        failure: TlsFailure,
    },
    /// A remote answered that cannot serve us: no OVSDB, or another database.
    #[error("{endpoint}: {why}")]
    Unfit {
        /// Who.
        endpoint: Endpoint,
        /// Why.
        why: Why,
    },
    /// A deadline passed, and nothing was changed: the request only reads, or was not wholly sent.
    #[error("no reply to `{method}` within {after:?}; nothing was changed")]
    TimedOut {
        /// The JSON-RPC method.
        method: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// A deadline passed while the server worked on the request: the outcome is unknown.
    #[error("no reply to `{method}` within {after:?}: the outcome is unknown")]
    TimedOutSent {
        /// The JSON-RPC method.
        method: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The connection broke after the request was sent: the outcome is unknown.
    #[error("{endpoint}: {why} after `{method}` was sent: the outcome is unknown")]
    LostSent {
        /// The JSON-RPC method.
        method: &'static str,
        /// With whom.
        endpoint: Endpoint,
        /// How it broke.
        why: Why,
    },
    /// The server refused the transaction as a whole; nothing was written.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The server answered a request with an error of the protocol's level (RFC 7047 §4).
    #[error("the server refused `{method}`: {error}")]
    Rpc {
        /// The JSON-RPC method.
        method: &'static str,
        /// In its words.
        error: RpcError,
    },
    /// The server sent what the protocol does not allow, in reply to a request that was sent.
    #[error("the server's answer to `{method}` makes no sense: {detail}")]
    Protocol {
        /// The JSON-RPC method.
        method: &'static str,
        /// What.
        detail: String,
    },
    /// The session was closed, or its thread could not be started.
    #[error("the session with the database is closed")]
    Closed,
}

/// Why one remote could not serve us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which remote.
    pub endpoint: Endpoint,
    /// Why not.
    pub why: Why,
}

/// Why a connection was not made, or did not last.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// The operating system's word.
    #[error("{0}")]
    Io(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The other end closed.
    #[error("the server closed the connection")]
    Hangup,
    /// The handshake failed.
    #[error(transparent)]
    Tls(TlsFailure),
    /// No JSON objects.
    #[error("this is no OVSDB server: {0}")]
    Frame(#[from] FrameError),
    /// A message without sense.
    #[error("{0}")]
    Protocol(String),
    /// Another server than we look for.
    #[error("it has no database `{0}`, but {1}")]
    NoDatabase(String, String),
    /// A member of a cluster that follows.
    #[error("it follows")]
    Follower,
    /// A member without contact to most of its cluster.
    #[error("it has no contact with its cluster")]
    Alone,
    /// A member that knows less than we have already seen.
    #[error("it lags behind what we have already seen")]
    Stale,
    /// The database was converted to another schema, or removed.
    #[error("the database changed under us")]
    Changed,
}

/// Why TLS failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TlsFailure {
    /// `ssl:` was asked for, and not how.
    #[error("`ssl:` needs a private key, a certificate and a CA certificate")]
    NotConfigured,
    /// A file could not be used.
    #[error("the {what} `{}` cannot be used: {reason}", .path.display())]
    File {
        /// Which of the files.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server's certificate is signed by somebody else.
    #[error("the server's certificate is not signed by the given CA")]
    UnknownCa,
    /// The server's certificate is out of date.
    #[error("the server's certificate has expired")]
    Expired,
    /// The server's certificate is of the future, or our clock is wrong.
    #[error("the server's certificate is not valid yet")]
    NotYetValid,
    /// The server's certificate has another fault.
    #[error("the server's certificate cannot be used: {0}")]
    Certificate(String),
    /// The server does not like our certificate.
    #[error("the server refused our certificate: {0}")]
    RefusedUs(String),
    /// The other end does not speak TLS that we speak.
    #[error("TLS failed: {0}")]
    Other(String),
}

/// An error of the protocol's level: `error` and `details` of RFC 7047 §4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// The short word: `unknown database`, `syntax error`, `canceled` …
    pub error: String,
    /// More of it; empty when there is none.
    pub details: String,
}

/// A transaction that the server refused; none of it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The index of the operation at fault. At commit the server names rows, not operations; then
    /// it is the first operation about such a row, if there is one.
    pub op: Option<usize>,
    /// The name of that operation.
    pub op_name: Option<&'static str>,
    /// Its table.
    pub table: Option<String>,
    /// Its row.
    pub row: Option<Uuid>,
    /// Rows that the server's text names.
    pub named: Vec<Uuid>,
    /// True when all operations went well and the commit did not (RFC 7047 §4.1.3).
    pub at_commit: bool,
    /// The short word: `constraint violation`, `timed out` …
    pub error: String,
    /// The server's explanation; may be empty.
    pub details: String,
}

impl Refusal {
    /// True for the failure of a `wait` with timeout 0: somebody changed a row that we guarded.
    pub fn is_guard(&self) -> bool {
        self.error == "timed out" && self.op_name == Some("wait")
    }

    fn remedy(&self) -> Remedy {
        match self.error.as_str() {
            // A guard, an index or a reference: the database is not what the plan was made for.
            "timed out" | "duplicate uuid" | "referential integrity violation" => Remedy::Resync,
            "constraint violation" if self.at_commit => Remedy::Resync,
            // Its disk is full, or its memory.
            "aborted" | "resources exhausted" | "I/O error" => Remedy::Retry,
            _ => Remedy::Stop,
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused the transaction")?;
        match (self.op, self.op_name) {
            (Some(op), Some(name)) => write!(f, " at operation {op}, `{name}`")?,
            _ if self.at_commit => write!(f, " at commit")?,
            _ => {}
        }
        if let Some(table) = &self.table {
            write!(f, " in {table}")?;
        }
        if let Some(row) = self.row {
            write!(f, " row {row}")?;
        }
        write!(f, ": {}", self.error)?;
        if !self.details.is_empty() {
            write!(f, ": {}", self.details)?;
        }
        Ok(())
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.details.is_empty() {
            true => f.write_str(&self.error),
            false => write!(f, "{}: {}", self.error, self.details),
        }
    }
}

impl Attempt {
    fn list(attempts: &[Attempt]) -> String {
        attempts.iter().map(|a| format!("{}: {}", a.endpoint, a.why)).collect::<Vec<_>>().join("; ")
    }
}

impl Why {
    /// True when waiting cannot help.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Why::Tls(_) | Why::Frame(_) | Why::Protocol(_) | Why::NoDatabase(..) => true,
            Why::Io(_)
            | Why::Silent(_)
            | Why::Hangup
            | Why::Follower
            | Why::Alone
            | Why::Stale
            | Why::Changed => false,
        }
    }

    /// True when the remote is a healthy member of a cluster that will have a leader again.
    pub(crate) fn is_election(&self) -> bool {
        matches!(self, Why::Follower | Why::Alone | Why::Stale)
    }
}

impl Fault {
    /// What to do.
    pub fn remedy(&self) -> Remedy {
        match self {
            Fault::Unreachable { .. } | Fault::NotLeader { .. } | Fault::TimedOut { .. } => Remedy::Retry,
            Fault::TimedOutSent { .. } | Fault::LostSent { .. } | Fault::Protocol { .. } => Remedy::Resync,
            Fault::Refused(refusal) => refusal.remedy(),
            // The database was converted while the request waited: it was dropped, not carried out.
            Fault::Rpc { error, .. } if error.error == "canceled" => Remedy::Retry,
            Fault::Endpoint(_)
            | Fault::Tls { .. }
            | Fault::Unfit { .. }
            | Fault::Rpc { .. }
            | Fault::Closed => Remedy::Stop,
        }
    }

    /// True when the request may have been carried out, and may not.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Fault::TimedOutSent { .. } | Fault::LostSent { .. } | Fault::Protocol { .. })
    }

    /// The fault that tells most of what a round of attempts met.
    pub(crate) fn of(database: &str, attempts: &[Attempt], waited: Duration) -> Fault {
        let (database, attempts) = (database.to_owned(), attempts.to_vec());
        if attempts.iter().any(|attempt| attempt.why.is_election()) {
            return Fault::NotLeader { database, attempts, waited };
        }
        let lasting = attempts.iter().find(|attempt| attempt.why.is_lasting());
        match lasting.cloned() {
            Some(Attempt { endpoint, why: Why::Tls(failure) }) => Fault::Tls { endpoint, failure },
            Some(Attempt { endpoint, why }) => Fault::Unfit { endpoint, why },
            None => Fault::Unreachable { database, attempts, waited },
        }
    }
}

fn after(waited: Duration) -> String {
    match waited.as_millis() {
        0..100 => String::new(),
        _ => format!(" after {:.1} s", waited.as_secs_f64()),
    }
}
