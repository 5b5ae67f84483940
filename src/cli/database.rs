//! Which database, and how to reach it; the same options for every verb that needs one.
//!
//! Refuses to read or write it.

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Streams, duration, exit, trace};
use crate::diag::Code;
use crate::nb::actual::Actual;
use crate::ovsdb::endpoint::{OVN_NB, Remotes};
use crate::ovsdb::fault::{Fault, Remedy};
use crate::ovsdb::session::{Members, Notice, OnNotice, Options, Session};
use crate::ovsdb::tls::TlsFiles;
use crate::progress;

/// How to reach the database.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Database")]
pub(super) struct DatabaseArgs {
    /// The Northbound database: unix:PATH, tcp:HOST:PORT, ssl:HOST:PORT; a cluster's with commas between. Else it is
    /// what NORTHC_DB says, or OVN_NB_DB, or OVN's own socket
    // Not clap's `env`, which takes a variable for an option and then refuses `-f` beside it.
    #[arg(long, value_name = "REMOTES")]
    db: Option<String>,
    /// The Southbound database, asked whether ovn-northd is done
    #[arg(long, value_name = "REMOTES", env = "OVN_SB_DB")]
    sb_db: Option<String>,
    /// Our private key, for ssl:
    #[arg(short = 'p', long, value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// Our certificate, for ssl:
    #[arg(short = 'c', long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The certificate of the server's CA, for ssl:
    #[arg(short = 'C', long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// Talk to any member of a cluster, not only to the leader
    #[arg(long)]
    no_leader_only: bool,
    /// How long to wait for a server, or for the end of an election
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration::parse)]
    retry_for: Duration,
}

impl DatabaseArgs {
    /// Where the Northbound database is said to be.
    pub(super) fn remotes(&self) -> String {
        let variable = |name| std::env::var(name).ok().filter(|db| !db.is_empty());
        let said = self.db.clone().or_else(|| variable("NORTHC_DB")).or_else(|| variable("OVN_NB_DB"));
        said.unwrap_or_else(|| OVN_NB.to_owned())
    }

    /// A session with the Northbound database.
    pub(super) fn northbound(&self) -> Result<Session, Fault> {
        self.northbound_told(Arc::new(tell))
    }

    /// The same, with somebody else who is told of what happens to the connection.
    pub(super) fn northbound_told(&self, on_notice: OnNotice) -> Result<Session, Fault> {
        let options = self.options(Options::northbound(Remotes::parse(&self.remotes())?));
        Session::start(Options { on_notice: Some(on_notice), ..options })
    }

    /// The same, already asked for its rows: a large database takes longer to tell them than we to compile.
    pub(super) fn northbound_ahead(&self) -> Result<Session, Fault> {
        let session = self.northbound()?;
        session.expect_actual();
        Ok(session)
    }

    /// A session with the Southbound database, if it is known where that is.
    pub(super) fn southbound(&self) -> Result<Option<Session>, Fault> {
        let Some(remotes) = &self.sb_db else { return Ok(None) };
        Session::start(self.options(Options::southbound(Remotes::parse(remotes)?))).map(Some)
    }

    fn options(&self, options: Options) -> Options {
        let tls = match (&self.private_key, &self.certificate, &self.ca_cert) {
            (Some(private_key), Some(certificate), Some(ca_cert)) => Some(TlsFiles {
                private_key: private_key.clone(),
                certificate: certificate.clone(),
                ca_cert: ca_cert.clone(),
            }),
            _ => None,
        };
        let members = if self.no_leader_only { Members::Any } else { Members::Leader };
        Options { tls, members, patience: self.retry_for, ..options }
    }
}

/// Says that we wait, as it happens: the session has a thread of its own.
pub(super) fn tell(notice: &Notice) {
    if let Notice::Waiting { .. } = notice {
        trace::clear();
        let _ = writeln!(std::io::stderr(), "{notice}");
    }
}

/// Says what went wrong with the database, and gives the exit code.
pub(super) fn refuse(fault: &Fault, streams: &mut Streams<'_>) -> u8 {
    streams.say(&format!("error[{}]: {fault}\n", Code::DatabaseFault));
    if let Fault::Unreachable { .. } = fault {
        streams.say("  = --db or OVN_NB_DB says where it is; files are enough for `plan --from OLD --to NEW` and `reach -f PATH`\n");
    }
    match fault {
        Fault::Endpoint(_) => exit::USAGE,
        Fault::Refused(_) | Fault::Rpc { .. } if fault.remedy() == Remedy::Stop => {
            streams.say("  = this is a bug of northc or a database of an unknown kind; please report it\n");
            exit::BUG
        }
        Fault::Refused(_) if fault.remedy() == Remedy::Retry => {
            streams.say("  = the server could not do it now; see why, and run the same command again\n");
            exit::UNREACHABLE
        }
        Fault::Refused(_) => exit::CONFLICT,
        _ if fault.outcome_unknown() => exit::UNKNOWN,
        _ => exit::UNREACHABLE,
    }
}

/// What is in a database.
pub(super) fn read(session: Result<Session, Fault>) -> Result<Arc<Actual>, Fault> {
    let _stage = tracing::info_span!("read the database").entered();
    let session = session?;
    block_on(async {
        let (mut actual, beside) = (session.actual().await?, session.beside().await?);
        if !beside.is_empty() {
            Arc::make_mut(&mut actual).beside = beside;
        }
        Ok(actual)
    })
}

/// How often we tell that we wait.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Runs what talks to a database, and tells meanwhile that it goes on.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system gives a timer and a poller").block_on(async {
        let mut work = pin!(work);
        loop {
            match timeout(TELL_EVERY, &mut work).await {
                Ok(done) => return done,
                Err(_) => progress::at(0, 0),
            }
        }
    })
}
