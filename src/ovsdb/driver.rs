//! The task behind a session: finds a server, keeps the queue while there is none, and hands both to
//! `serve`.
//!
//! Refuses to fail for good: as long as somebody holds the session it goes on looking, slower and
//! slower, and only those who wait are told after a while that it was in vain.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::rustls::ClientConfig;
use tracing::{debug, info};

use super::endpoint::Endpoint;
use super::fault::{Attempt, Fault, Why};
use super::link::{self, Link, Seen};
use super::replica::Replica;
use super::schema::Schema;
use super::session::{Notice, Options};
use crate::nb::actual::Actual;

/// How many requests wait here for a connection before the channel fills.
pub(super) const WAITING_MAX: usize = 64;
/// The first pause after a round in vain; doubled after each.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause while somebody waits.
const PAUSE_MAX_ASKED: Duration = Duration::from_secs(1);
/// The longest pause while nobody does: as OVN's tools.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// How many rounds a first connection gets: one may meet a server that is just starting.
const ROUNDS_MIN: u32 = 3;
/// A connection that ends so soon after it was made was of no use.
const BRIEF: Duration = Duration::from_secs(1);
/// How many connections may break over a request before it is given up, once its patience is over or what
/// breaks them is lasting.
const LOSSES_MAX: u32 = 5;
/// How long one of several remotes may take to greet in the first round; doubled in each.
const GREETING_MIN: Duration = Duration::from_secs(1);
/// How long any remote may take to greet.
const GREETING_MAX: Duration = Duration::from_secs(8);

/// What a session asks for, and since when it waits.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) ask: Ask,
    pub(super) queued: Instant,
    /// How many connections broke over it.
    pub(super) n_losses: u32,
}

impl Request {
    pub(super) fn new(ask: Ask) -> Request {
        Request { ask, queued: Instant::now(), n_losses: 0 }
    }
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Fault>>;

#[derive(Debug)]
pub(super) enum Ask {
    Schema(Reply<Arc<Schema>>),
    Actual(Reply<Arc<Actual>>),
    Transact { id: u64, message: Arc<Vec<u8>>, budget: Duration, only_reads: bool, reply: Reply<String> },
}

impl Ask {
    pub(super) fn fail(self, fault: Fault) {
        // Who asked may have left; then nobody is to be told.
        match self {
            Ask::Schema(reply) => drop(reply.send(Err(fault))),
            Ask::Actual(reply) => drop(reply.send(Err(fault))),
            Ask::Transact { reply, .. } => drop(reply.send(Err(fault))),
        }
    }
}

/// The task that owns the socket; [`Driver::run`] it beside the session.
pub struct Driver {
    pub(super) options: Options,
    tls: Option<Arc<ClientConfig>>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) cancels: mpsc::UnboundedReceiver<u64>,
    pub(super) waiting: VecDeque<Request>,
    /// Rows, once somebody asked for them; it survives connections.
    pub(super) replica: Option<Replica>,
    pub(super) dump_silence: Duration,
    pub(super) seen: Seen,
    /// Where the next round begins.
    first: usize,
    was_connected: bool,
    /// How many connections in a row were of no use.
    n_brief: u32,
    alone_since: Instant,
    attempts: Vec<Attempt>,
}

/// Why serving ended.
pub(super) enum End {
    /// Nobody holds the session.
    Closed,
    /// The connection is of no use any more.
    Lost(Why),
}

impl Driver {
    pub(super) fn new(
        options: Options,
        tls: Option<Arc<ClientConfig>>,
        requests: mpsc::Receiver<Request>,
        cancels: mpsc::UnboundedReceiver<u64>,
    ) -> Driver {
        Driver {
            dump_silence: options.dump_silence,
            options,
            tls,
            requests,
            cancels,
            waiting: VecDeque::new(),
            replica: None,
            seen: Seen::default(),
            first: 0,
            was_connected: false,
            n_brief: 0,
            alone_since: Instant::now(),
            attempts: Vec::new(),
        }
    }

    /// Runs until the last handle of the session is dropped.
    pub async fn run(mut self) {
        while let Some(link) = self.find().await {
            self.was_connected = true;
            let endpoint = link.endpoint.clone();
            self.notice(Notice::Connected(endpoint.clone()));
            let connected = Instant::now();
            match self.serve(link).await {
                End::Closed => break,
                End::Lost(why) => {
                    self.alone_since = Instant::now();
                    self.n_brief = if connected.elapsed() < BRIEF { self.n_brief + 1 } else { 0 };
                    self.attempts = vec![Attempt { endpoint, why }];
                    self.notice(Notice::Lost(self.attempts[0].clone()));
                    // Whoever just left us is asked last.
                    self.first += 1;
                }
            }
        }
    }

    pub(super) fn notice(&self, notice: Notice) {
        match notice {
            Notice::Waiting { .. } | Notice::Lost(_) => info!(database = self.options.database, "{notice}"),
            Notice::Connected(_) | Notice::Read { .. } => {
                debug!(database = self.options.database, "{notice}");
            }
        }
        if let Some(tell) = &self.options.on_notice {
            tell(&notice);
        }
    }

    /// Goes round the remotes until one can serve us; `None` when nobody holds the session.
    async fn find(&mut self) -> Option<Link> {
        let mut n_rounds = 0;
        let mut pause = PAUSE_MIN;
        let mut greeting = match self.options.remotes.endpoints() {
            [_] => GREETING_MAX,
            _ => GREETING_MIN,
        };
        // The first may have met a server on its way out.
        if self.n_brief > 1 {
            pause = (PAUSE_MIN * (1 << self.n_brief.min(6))).min(PAUSE_MAX_ASKED);
            self.meanwhile(sleep(pause), false).await?;
        }
        loop {
            let round = round(self.options.clone(), self.tls.clone(), self.first, greeting, self.seen);
            match self.meanwhile(round, false).await?? {
                Ok((at, link)) => {
                    self.first = at;
                    return Some(link);
                }
                Err(attempts) => self.attempts = attempts,
            }
            n_rounds += 1;
            if self.is_hopeless(n_rounds) {
                self.give_up(|_| true);
            }
            let pause_max = if self.waiting.is_empty() { PAUSE_MAX } else { PAUSE_MAX_ASKED };
            let next = pause.min(pause_max);
            if !self.waiting.is_empty() {
                self.notice(Notice::Waiting { attempts: self.attempts.clone(), next });
            }
            self.meanwhile(sleep(next), true).await?;
            pause = next * 2;
            greeting = (greeting * 2).min(GREETING_MAX);
        }
    }

    /// Waits for `future` while requests queue up and grow old. The outer `None` means that nobody
    /// holds the session, the inner that the first request cut the wait short.
    async fn meanwhile<T>(
        &mut self,
        future: impl Future<Output = T>,
        until_asked: bool,
    ) -> Option<Option<T>> {
        let mut future = pin!(future);
        loop {
            let oldest = self.waiting.front().map(|request| request.queued.max(self.alone_since));
            let patience = oldest.map(|since| since + self.options.patience);
            let room = self.waiting.len() < WAITING_MAX;
            // In this order, so that a run can be repeated.
            tokio::select! {
                biased;
                done = &mut future => return Some(Some(done)),
                request = self.requests.recv(), if room => {
                    let cut = until_asked && self.waiting.is_empty();
                    self.waiting.push_back(request?);
                    if cut {
                        return Some(None);
                    }
                }
                Some(id) = self.cancels.recv() => self.forget(id),
                () = until(patience) => {
                    let now = Instant::now();
                    let (alone_since, patience) = (self.alone_since, self.options.patience);
                    self.give_up(|request| request.queued.max(alone_since) + patience <= now);
                }
            }
        }
    }

    /// A request over which a connection broke: it waits for the next one, unless too many did.
    pub(super) fn lost(&self, request: Request, endpoint: &Endpoint, why: &Why) -> Option<Request> {
        let request = Request { n_losses: request.n_losses + 1, ..request };
        let waited = request.queued.elapsed();
        if request.n_losses < LOSSES_MAX || (!why.is_lasting() && waited < self.options.patience) {
            return Some(request);
        }
        let attempts = [Attempt { endpoint: endpoint.clone(), why: why.clone() }];
        request.ask.fail(Fault::of(&self.options.database, &attempts, waited));
        None
    }

    pub(super) fn forget(&mut self, cancelled: u64) {
        self.waiting.retain(|request| !matches!(request.ask, Ask::Transact { id, .. } if id == cancelled));
    }

    /// True when another round would say the same: on a first connection nobody is expected to come
    /// up soon, and later only what is lasting counts.
    fn is_hopeless(&self, n_rounds: u32) -> bool {
        self.attempts.iter().all(|Attempt { why, .. }| match why {
            Why::Io(_) | Why::Hangup => !self.was_connected && n_rounds >= ROUNDS_MIN,
            why => why.is_lasting(),
        })
    }

    fn give_up(&mut self, mut which: impl FnMut(&Request) -> bool) {
        let now = Instant::now();
        for request in std::mem::take(&mut self.waiting) {
            match which(&request) {
                false => self.waiting.push_back(request),
                true => {
                    let waited = now - request.queued;
                    request.ask.fail(Fault::of(&self.options.database, &self.attempts, waited));
                }
            }
        }
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Asks every remote once, from `first` on, and takes the first that can serve us.
async fn round(
    options: Options,
    tls: Option<Arc<ClientConfig>>,
    first: usize,
    greeting: Duration,
    seen: Seen,
) -> Result<(usize, Link), Vec<Attempt>> {
    let endpoints = options.remotes.endpoints();
    let mut attempts = Vec::with_capacity(endpoints.len());
    for nth in 0..endpoints.len() {
        let at = (first + nth) % endpoints.len();
        let endpoint = &endpoints[at];
        let opened = timeout(greeting, link::open(&options, tls.as_ref(), endpoint, seen)).await;
        let why = match opened {
            Ok(Ok(link)) => return Ok((at, link)),
            Ok(Err(why)) => why,
            Err(_) => Why::Silent(greeting),
        };
        debug!(%endpoint, "cannot serve us: {why}");
        attempts.push(Attempt { endpoint: endpoint.clone(), why });
    }
    Err(attempts)
}
