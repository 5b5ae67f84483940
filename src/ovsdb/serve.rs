//! One connection from handshake to loss: requests out, replies in, echo answered, deadlines kept.
//!
//! Every message is handled at once and nothing here waits for a caller, so the server's probes are
//! answered however much is under way. What changed of the rows waits until there is nothing else to do, so that it
//! is read while the server works on what is sent next. Refuses to reconnect; `driver` does.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::driver::{Ask, Driver, End, Reply, Request, WAITING_MAX};
use super::fault::{Fault, RpcError, Why};
use super::link::{ID_MONITOR, Link};
use super::message::{self, Incoming};
use super::replica::Replica;
use super::session::Notice;
use crate::nb::actual::Actual;

/// How many transactions may be under way: more make a cluster slower, not faster.
const FLIGHTS_MAX: usize = 16;
/// How long replies may still come from a member that has lost the leadership.
const FAREWELL: Duration = Duration::from_secs(5);
/// So many changes of rows may wait to be read.
const UNREAD_MAX: usize = 16;
/// The longest that a server may be silent over a dump, after many that took too long.
const DUMP_SILENCE_MAX: Duration = Duration::from_secs(600);

/// A transaction that was given to the stream.
struct Flight {
    message: Arc<Vec<u8>>,
    /// For [`super::stream::Stream::was_sent`].
    number: u64,
    queued: Instant,
    due: Instant,
    budget: Duration,
    only_reads: bool,
    n_losses: u32,
    reply: Reply<String>,
}

/// Somebody who waits for rows.
struct Reader {
    reply: Reply<Arc<Actual>>,
    queued: Instant,
    n_losses: u32,
}

/// How far the rows are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dump {
    Unasked,
    Asked(Instant),
    Done,
}

/// The state of one connection.
struct Serving {
    link: Link,
    flights: BTreeMap<u64, Flight>,
    dump: Dump,
    /// Those who wait for the dump.
    readers: Vec<Reader>,
    /// What changed of the rows and was not read yet: the method and its parameters.
    unread: VecDeque<(String, Box<RawValue>)>,
    /// Set when the server is of no use any more but owes replies.
    leaving: Option<(Why, Instant)>,
    probed: Option<Instant>,
}

impl Driver {
    pub(super) async fn serve(&mut self, link: Link) -> End {
        let mut serving = Serving {
            link,
            flights: BTreeMap::new(),
            dump: Dump::Unasked,
            readers: Vec::new(),
            unread: VecDeque::new(),
            leaving: None,
            probed: None,
        };
        if let Some(replica) = self.replica.take() {
            self.replica = Some(replica.reconnected(&serving.link.schema));
            self.ask_for_rows(&mut serving);
        }
        let end = loop {
            self.dispatch(&mut serving);
            let wake = serving.next_wake(self.options.probe, self.dump_silence);
            let room = self.waiting.len() < WAITING_MAX;
            let step = tokio::select! {
                biased;
                message = poll_fn(|cx| serving.link.stream.poll_message(cx)) => match message {
                    Ok(bytes) => self.receive(&mut serving, &bytes),
                    Err(why) => Err(why),
                },
                Some(id) = self.cancels.recv() => {
                    self.forget(id);
                    serving.cancel(id);
                    Ok(())
                }
                request = self.requests.recv(), if room => match request {
                    Some(request) => {
                        self.waiting.push_back(request);
                        Ok(())
                    }
                    None => break End::Closed,
                },
                // Whoever was just answered is asked first what it wants next.
                () = yield_now(), if !serving.unread.is_empty() => self.read_one(&mut serving),
                () = sleep_until(wake) => self.tick(&mut serving),
            };
            if let Err(why) = step {
                break End::Lost(why);
            }
        };
        self.seen = serving.link.server.seen(&self.options).unwrap_or(self.seen);
        self.settle(serving, &end);
        end
    }

    /// Sends what waits, as far as the server may have it.
    fn dispatch(&mut self, serving: &mut Serving) {
        while serving.leaving.is_none() && serving.flights.len() < FLIGHTS_MAX {
            let wants_rows = |request: &Request| matches!(request.ask, Ask::Actual(_));
            if !serving.unread.is_empty() && self.waiting.front().is_some_and(wants_rows) {
                return;
            }
            let Some(Request { ask, queued, n_losses }) = self.waiting.pop_front() else { return };
            match ask {
                Ask::Schema(reply) => drop(reply.send(Ok(Arc::clone(&serving.link.schema)))),
                Ask::Actual(reply) => match (&self.replica, serving.dump) {
                    (Some(replica), Dump::Done) => drop(reply.send(Ok(Arc::clone(replica.actual())))),
                    (_, Dump::Unasked) => {
                        self.replica = Some(Replica::new(&serving.link.schema));
                        serving.readers.push(Reader { reply, queued, n_losses });
                        self.ask_for_rows(serving);
                    }
                    (_, Dump::Asked(_) | Dump::Done) => {
                        serving.readers.push(Reader { reply, queued, n_losses });
                    }
                },
                Ask::Transact { id, message, budget, only_reads, reply } => {
                    let number = serving.link.stream.send(Arc::clone(&message));
                    let due = Instant::now() + budget;
                    let flight = Flight { message, number, queued, due, budget, only_reads, n_losses, reply };
                    serving.flights.insert(id, flight);
                }
            }
        }
    }

    fn ask_for_rows(&self, serving: &mut Serving) {
        let Some(replica) = &self.replica else { return };
        let params = replica.request_params(&self.options.database);
        let request = message::request(ID_MONITOR, replica.method().name(), &params);
        serving.link.stream.send(Arc::new(request));
        serving.dump = Dump::Asked(Instant::now());
    }

    fn receive(&mut self, serving: &mut Serving, bytes: &[u8]) -> Result<(), Why> {
        match message::parse(bytes).map_err(Why::Protocol)? {
            Incoming::Echo { id, params } => {
                serving.link.stream.send(Arc::new(message::echo_reply(id, params)));
                Ok(())
            }
            Incoming::Notification { method, params } => self.notification(serving, &method, params),
            Incoming::Reply { id: Some(ID_MONITOR), result } => self.rows(serving, result),
            Incoming::Reply { id: Some(id), result } => {
                // Unknown ids are of requests that were given up, or doubled on the way.
                if let Some(flight) = serving.flights.remove(&id) {
                    let answer = result.map(|raw| raw.get().to_owned());
                    let answer = answer.map_err(|error| Fault::Rpc { method: "transact", error });
                    drop(flight.reply.send(answer));
                }
                Ok(())
            }
            Incoming::Reply { id: None, .. } => Ok(()),
        }
    }

    fn notification(&mut self, serving: &mut Serving, method: &str, params: &RawValue) -> Result<(), Why> {
        if serving.link.server.update(method, params)? {
            if let Err(why) = serving.link.server.check(&self.options, self.seen) {
                serving.leave(why);
            }
            return Ok(());
        }
        if method == "monitor_canceled" {
            serving.leave(Why::Changed);
            return Ok(());
        }
        // Locks and the like we do not ask for.
        if serving.dump == Dump::Done && self.replica.is_some() {
            serving.unread.push_back((method.to_owned(), params.to_owned()));
            if serving.unread.len() > UNREAD_MAX {
                return self.read_one(serving);
            }
        }
        Ok(())
    }

    /// Takes the oldest of the changes that wait.
    fn read_one(&mut self, serving: &mut Serving) -> Result<(), Why> {
        let (Some((method, params)), Some(replica)) = (serving.unread.pop_front(), &mut self.replica) else {
            return Ok(());
        };
        let updated = replica.update(&method, params.get());
        updated.map(drop).map_err(|detail| self.distrust(serving, detail))
    }

    /// The reply to the request for rows.
    fn rows(&mut self, serving: &mut Serving, result: Result<&RawValue, RpcError>) -> Result<(), Why> {
        let (Some(replica), Dump::Asked(asked)) = (&mut self.replica, serving.dump) else { return Ok(()) };
        match result {
            Ok(raw) => {
                if let Err(detail) = replica.start(raw.get()) {
                    return Err(self.distrust(serving, detail));
                }
                serving.dump = Dump::Done;
                self.dump_silence = self.options.dump_silence;
                let actual = Arc::clone(replica.actual());
                self.notice(Notice::Read { n_rows: actual.len(), took: asked.elapsed() });
                for reader in serving.readers.drain(..) {
                    drop(reader.reply.send(Ok(Arc::clone(&actual))));
                }
                Ok(())
            }
            Err(error) if error.error == "unknown method" && replica.fall_back() => {
                self.ask_for_rows(serving);
                Ok(())
            }
            Err(error) => {
                let method = replica.method().name();
                for reader in serving.readers.drain(..) {
                    drop(reader.reply.send(Err(Fault::Rpc { method, error: error.clone() })));
                }
                Err(Why::Protocol(error.to_string()))
            }
        }
    }

    /// Throws the replica away: whatever comes next begins with a whole dump.
    fn distrust(&mut self, serving: &Serving, detail: String) -> Why {
        self.replica = Some(Replica::new(&serving.link.schema));
        Why::Protocol(detail)
    }

    /// What is due now.
    fn tick(&mut self, serving: &mut Serving) -> Result<(), Why> {
        let now = Instant::now();
        serving.expire(now)?;
        let silence = self.dump_silence;
        let heard = serving.link.stream.heard();
        match serving.dump {
            Dump::Asked(asked) if asked.max(heard) + silence <= now => {
                let method = self.replica.as_ref().map_or("monitor", |replica| replica.method().name());
                for reader in serving.readers.drain(..) {
                    drop(reader.reply.send(Err(Fault::TimedOut { method, after: silence })));
                }
                self.dump_silence = (silence * 2).min(DUMP_SILENCE_MAX);
                return Err(Why::Silent(silence));
            }
            Dump::Unasked | Dump::Asked(_) | Dump::Done => {}
        }
        if let Some((why, until)) = &serving.leaving
            && (serving.flights.is_empty() || *until <= now)
        {
            return Err(why.clone());
        }
        let probe = self.options.probe;
        match serving.unanswered_probe() {
            // Work under way has deadlines of its own.
            Some(probed) if probed + probe <= now && serving.is_idle() => Err(Why::Silent(now - heard)),
            None if heard + probe <= now => {
                serving.probed = Some(now);
                serving.link.stream.send(Arc::new(message::probe()));
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// After the connection: whoever can be served by the next one waits for it, the others are told.
    fn settle(&mut self, serving: Serving, end: &End) {
        let End::Lost(why) = end else { return };
        let Serving { link, flights, readers, .. } = serving;
        for (id, flight) in flights.into_iter().rev() {
            let Flight { message, number, queued, budget, only_reads, n_losses, reply, .. } = flight;
            if !only_reads && link.stream.was_sent(number) {
                let (endpoint, why) = (link.endpoint.clone(), why.clone());
                drop(reply.send(Err(Fault::LostSent { method: "transact", endpoint, why })));
                continue;
            }
            let ask = Ask::Transact { id, message, budget, only_reads, reply };
            let request = self.lost(Request { ask, queued, n_losses }, &link.endpoint, why);
            request.into_iter().for_each(|request| self.waiting.push_front(request));
        }
        for Reader { reply, queued, n_losses } in readers {
            let request = Request { ask: Ask::Actual(reply), queued, n_losses };
            self.waiting.extend(self.lost(request, &link.endpoint, why));
        }
    }
}

impl Serving {
    fn is_idle(&self) -> bool {
        self.flights.is_empty() && !matches!(self.dump, Dump::Asked(_))
    }

    /// Our probe, until the server says anything at all.
    fn unanswered_probe(&self) -> Option<Instant> {
        self.probed.filter(|probed| self.link.stream.heard() <= *probed)
    }

    /// Sends nothing more, and goes when the last reply is in or late.
    fn leave(&mut self, why: Why) {
        if self.leaving.is_none() {
            self.leaving = Some((why, Instant::now() + FAREWELL));
        }
    }

    /// Nobody waits for this request any more: the server may drop it.
    fn cancel(&mut self, id: u64) {
        if let Some(flight) = self.flights.get(&id)
            && self.link.stream.was_sent(flight.number)
        {
            self.flights.remove(&id);
            self.link.stream.send(Arc::new(message::cancel(id)));
        }
    }

    /// Fails the transactions whose deadline has passed. One that is not wholly sent blocks all
    /// others, so the connection goes with it.
    fn expire(&mut self, now: Instant) -> Result<(), Why> {
        let due: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| flight.due <= now).map(|(id, _)| *id).collect();
        let mut stuck = Ok(());
        for id in due {
            let Some(flight) = self.flights.remove(&id) else { continue };
            let (method, after) = ("transact", flight.budget);
            let sent = self.link.stream.was_sent(flight.number);
            drop(flight.reply.send(Err(match sent && !flight.only_reads {
                true => Fault::TimedOutSent { method, after },
                false => Fault::TimedOut { method, after },
            })));
            match sent {
                true => drop(self.link.stream.send(Arc::new(message::cancel(id)))),
                false => stuck = Err(Why::Silent(after)),
            }
        }
        stuck
    }

    fn next_wake(&self, probe: Duration, dump_silence: Duration) -> Instant {
        let heard = self.link.stream.heard();
        let probing = match self.unanswered_probe() {
            None => Some(heard + probe),
            Some(probed) => self.is_idle().then_some(probed + probe),
        };
        let dump = match self.dump {
            Dump::Asked(asked) => Some(asked.max(heard) + dump_silence),
            Dump::Unasked | Dump::Done => None,
        };
        let leaving = self.leaving.as_ref().map(|(_, until)| match self.flights.is_empty() {
            true => Instant::now(),
            false => *until,
        });
        let flights = self.flights.values().map(|flight| flight.due);
        let next = flights.chain(probing).chain(dump).chain(leaving).min();
        // There is always a probe to send or its answer to wait for, or work with a deadline.
        next.unwrap_or_else(|| Instant::now() + probe)
    }
}
