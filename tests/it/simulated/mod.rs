//! The client and its applies against servers that are only played, on a clock that tests turn: thousands of runs
//! in which everything goes wrong that can, each repeated by its seed.
//!
//! `NORTHC_SIMULATIONS=20000` is how many runs, `NORTHC_SEED=7` the one to repeat, `NORTHC_CUTS=all` cuts a
//! connection after every byte of its conversation. Refuses to know how real servers fail; `tests/it/faults.rs`.

mod database;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use northc::apply::{Done, Event, Failure, destroy};
use northc::nb::Rows;
use northc::nb::actual::Actual;
use northc::nb::{Row, stamp};
use northc::ovsdb::endpoint::Remotes;
use northc::ovsdb::session::{self, Session};
use northc::plan::{Plan, Request, as_if_applied};
use northc::span::SourceMap;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::time::Instant;
use uuid::Uuid;

use crate::expressions::Dice;
use crate::laws::{Net, OWNER, net, rows};
use crate::live::{bring, options, without_records};
use crate::promise::Sight;
use crate::servers::Server;
use world::{Commit, Cut, Mood, N_MEMBERS, Shared, World};

/// The longest that an apply may take, whatever servers do: every wait in it has a bound.
const DEADLINE: Duration = Duration::from_secs(900);

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// A runtime whose clock jumps to the next thing that happens.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().expect("a runtime").block_on(work)
}

fn connect(world: &Shared, n_members: usize) -> Session {
    let remotes: Vec<String> = (0..n_members).map(|member| format!("unix:/{member}")).collect();
    let mut options = session::Options::northbound(Remotes::parse(&remotes.join(",")).expect("remotes"));
    options.dial = Some(world::dial(world));
    options.message_bytes_max = 2 << 20;
    let (session, driver) = Session::with_driver(options).expect("a session");
    tokio::spawn(driver.run());
    session
}

/// Rows of two networks of ours, and those of somebody else.
fn networks(seed: u64) -> [Rows; 3] {
    let seed: Vec<u8> = seed.to_le_bytes().repeat(4);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut draw = || rows(&net().new_tree(&mut runner).expect("a network").current());
    let (before, wanted, mut theirs) = (draw(), draw(), draw());
    for (_, row) in theirs.iter_mut() {
        if let Some(northc::nb::Datum::Set(name)) = row.get_mut("name") {
            name.iter_mut().for_each(|name| {
                if let northc::nb::Atom::Text(name) = name {
                    *name = format!("your-{name}").into();
                }
            });
        }
        // Which name our ports.
        if let Some(northc::nb::Datum::Map(options)) = row.get_mut("options") {
            *options = Box::default();
        }
    }
    stamp::stamp(&mut theirs, "you");
    [before, wanted, theirs]
}

fn together(ours: &Rows, theirs: &Rows) -> Actual {
    let mut all = as_if_applied(theirs, "you");
    as_if_applied(ours, OWNER).iter().for_each(|(uuid, row)| all.insert(uuid, row.as_ref().clone()));
    all
}

/// Rows of others, and what others wrote on ours.
fn foreign(rows: &Actual) -> BTreeMap<Uuid, Arc<Row>> {
    let is_theirs = |row: &Row| stamp::external_id(row, stamp::OWNER) != Some(OWNER);
    rows.iter().filter(|(_, row)| is_theirs(row)).map(|(uuid, row)| (uuid, Arc::clone(row))).collect()
}

fn theirs_on_ours(rows: &Actual) -> BTreeSet<Uuid> {
    rows.iter().filter(|(_, row)| stamp::external_id(row, "theirs").is_some()).map(|(uuid, _)| uuid).collect()
}

/// A run, from its seed.
struct Run {
    seed: u64,
    mood: Mood,
    limits: northc::apply::Options,
    n_members: usize,
    before: Rows,
    wanted: Rows,
    theirs: Rows,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut dice = Dice::new(seed);
        let mut often = |n: usize| if dice.one_in(2) { 0 } else { n + dice.below(n) };
        let mut mood = Mood { late: often(5), cut: often(8), fate: often(10), ..Mood::default() };
        match seed % 4 {
            0 => {}
            1 => mood.lies = often(6),
            2 => (mood.forgets, mood.converts) = (often(1) > 0, often(1) > 0),
            _ => mood.rival = often(4),
        }
        let limits = match dice.below(3) {
            0 => options(5000, 500),
            1 => options(4, 2),
            _ => options(1, 1),
        };
        let n_members = if dice.one_in(2) { N_MEMBERS } else { 1 };
        let [before, wanted, theirs] = networks(seed);
        Run { seed, mood, limits, n_members, before, wanted, theirs }
    }

    /// Whether what a server says and does is right, however late.
    fn is_honest(&self) -> bool {
        self.mood.lies == 0 && !self.mood.forgets && !self.mood.converts
    }

    fn world(&self) -> Shared {
        let rows = together(&self.before, &self.theirs);
        Arc::new(Mutex::new(World::new(self.seed, rows, self.n_members > 1, self.mood)))
    }

    /// An apply in the mood, one in peace, a second that finds nothing to do, and the same of a destroy. How long
    /// the longest took.
    async fn play(&self) -> Result<Duration, String> {
        let world = self.world();
        let mut longest = Duration::ZERO;
        for is_destroy in [false, true] {
            let start = Instant::now();
            world.lock().expect("held briefly").mood = self.mood;
            let fate = tokio::spawn(world::act(Arc::clone(&world)));
            let mut events = Vec::new();
            let n_before = commits(&world).len();
            let session = connect(&world, self.n_members);
            let work = self.once(&session, is_destroy, &mut events);
            let result =
                tokio::time::timeout(DEADLINE, work).await.map_err(|_| "there is no end".to_owned())?;
            longest = longest.max(start.elapsed());
            let now = Arc::clone(&world.lock().expect("held briefly").rows);
            self.judge(&result, &events, &commits(&world)[n_before..], &now, is_destroy)?;
            fate.abort();
            world.lock().expect("held briefly").calm();
            // What a cluster had not decided, it decides now.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let wanted = if is_destroy { &Rows::new() } else { &self.wanted };
            for round in 0..2 {
                let session = connect(&world, self.n_members);
                let work = self.once(&session, is_destroy, &mut events);
                let work = tokio::time::timeout(Duration::from_secs(120), work);
                let done = work.await.map_err(|_| "there is no end in peace".to_owned())?;
                let done = done.map_err(|failure| format!("in peace: {failure:?}"))?;
                if round == 1 && done.is_some() {
                    return Err(format!("a second run finds something to do: {done:?}"));
                }
            }
            self.holds(wanted, &world)?;
        }
        self.nothing_foreign_was_touched(&commits(&world))?;
        Ok(longest)
    }

    async fn once(
        &self,
        session: &Session,
        is_destroy: bool,
        events: &mut Vec<Event>,
    ) -> Result<Option<Done>, Failure> {
        if !is_destroy {
            return bring(session, &self.wanted, OWNER, &self.limits, events).await;
        }
        let sources = SourceMap::new();
        let request = Request::new(OWNER, &sources);
        let mut yes = |_: &Plan, _: &Actual| true;
        destroy(session, &request, &self.limits, &mut yes, &mut |event| events.push(event)).await
    }

    /// Whether the database holds our rows as wanted, and others' as they were.
    fn holds(&self, wanted: &Rows, world: &Shared) -> Result<(), String> {
        let is = without_records(&world.lock().expect("held briefly").rows);
        let ours = |rows: &Actual| -> Vec<(Uuid, Row)> {
            let ours = rows.iter().filter(|(_, row)| stamp::external_id(row, stamp::OWNER) == Some(OWNER));
            ours.map(|(uuid, row)| (uuid, plain(row))).collect()
        };
        match ours(&is) == ours(&as_if_applied(wanted, OWNER)) {
            true => Ok(()),
            false => Err(format!("not as wanted: {:#?}\n{wanted:#?}", ours(&is))),
        }
    }

    /// What was said of the outcome must be true.
    fn judge(
        &self,
        result: &Result<Option<Done>, Failure>,
        events: &[Event],
        commits: &[Commit],
        now: &Actual,
        is_destroy: bool,
    ) -> Result<(), String> {
        let ours: Vec<&str> = commits.iter().filter_map(|commit| commit.comment.as_deref()).collect();
        if !self.mood.forgets && ours.iter().collect::<BTreeSet<_>>().len() != ours.len() {
            return Err(format!("a transaction was carried out twice: {ours:#?}"));
        }
        if !self.is_honest() {
            return Ok(());
        }
        let n_said = events.iter().filter(|event| matches!(event, Event::Committed { .. })).count();
        let n_last = events.iter().rev().take_while(|event| !matches!(event, Event::Raced(_)));
        let n_last = n_last.filter(|event| matches!(event, Event::Committed { .. })).count();
        let n_done = ours.len();
        let is_true = match result {
            Ok(Some(done)) => n_said == n_done && done.n_transactions == n_last,
            Ok(None) | Err(Failure::Conflicts(_) | Failure::Declined) => n_said == n_done,
            Err(Failure::Stale(_, n) | Failure::Fault(_, n)) => n_said == n_done && *n == n_last,
            // It may be carried out later still.
            Err(Failure::Unknown(_)) => n_said == n_done || n_said + 1 == n_done,
        };
        if !is_true {
            return Err(format!("{n_done} transactions, and it is said: {result:?}\n{events:#?}"));
        }
        if self.mood.rival > 0 {
            return Ok(());
        }
        let wanted = if is_destroy { &Rows::new() } else { &self.wanted };
        let to = together(wanted, &self.theirs);
        if result.is_ok() && !without_records(now).iter().eq(to.iter()) {
            return Err("it is said to be done, and is not".to_owned());
        }
        let from = commits.first().map_or(now, |commit| commit.before.as_ref());
        let (from, to) = (Sight::of(from), Sight::of(&to));
        let broken = commits.iter().find_map(|commit| Sight::of(&commit.after).broken(&from, &to));
        broken.map_or(Ok(()), Err)
    }

    fn nothing_foreign_was_touched(&self, commits: &[Commit]) -> Result<(), String> {
        for Commit { comment, before, after } in commits {
            let Some(comment) = comment else { continue };
            if foreign(before) != foreign(after) {
                return Err(format!("{comment}: others' rows are others now"));
            }
            let kept = theirs_on_ours(after);
            let lost = theirs_on_ours(before)
                .into_iter()
                .find(|uuid| !kept.contains(uuid) && after.iter().any(|(other, _)| other == *uuid));
            if let Some(uuid) = lost {
                return Err(format!("{comment}: what others wrote on {uuid} is gone"));
            }
        }
        Ok(())
    }
}

/// A row without what others wrote on it.
fn plain(row: &Row) -> Row {
    let mut row = row.clone();
    if let Some(northc::nb::Datum::Map(pairs)) = row.get_mut("external_ids") {
        let theirs = northc::nb::Atom::Text("theirs".into());
        *pairs = pairs.iter().filter(|(key, _)| *key != theirs).cloned().collect();
    }
    row
}

fn commits(world: &Shared) -> Vec<Commit> {
    world.lock().expect("held briefly").commits.clone()
}

/// Plays many runs on every processor; panics with the seed of one that went wrong.
fn all<T: Send>(n: u64, run: impl Fn(u64) -> Result<T, String> + Sync) -> Vec<T> {
    let first = number("NORTHC_SEED", 0);
    let seeds = if std::env::var_os("NORTHC_SEED").is_some() { first..first + 1 } else { 0..n };
    let next = Mutex::new(seeds);
    let n_threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut results = Vec::new();
                    loop {
                        let Some(seed) = next.lock().expect("held briefly").next() else { return results };
                        results.push(run(seed).unwrap_or_else(|wrong| panic!("NORTHC_SEED={seed}: {wrong}")));
                    }
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("nothing goes wrong")).collect()
    })
}

#[test]
fn whatever_servers_do_an_apply_ends_says_what_is_true_and_is_finished_by_the_next() {
    let longest = all(number("NORTHC_SIMULATIONS", 400), |seed| {
        let run = Run::new(seed);
        block_on(run.play()).map_err(|wrong| format!("{:?}: {wrong}", run.mood))
    });
    let longest = longest.into_iter().max().expect("a run");
    assert!(longest < DEADLINE, "{longest:?}");
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in 0..8 {
        let run = Run::new(seed);
        let once = || block_on(run.play()).unwrap_or_else(|wrong| panic!("NORTHC_SEED={seed}: {wrong}"));
        assert_eq!(once(), once(), "NORTHC_SEED={seed}");
    }
}

/// A network of which every transaction holds one row.
fn small() -> Rows {
    let mut small = Net { routers: [(0, BTreeMap::new())].into(), ..Net::default() };
    small.switches = [(0, (0, [(1, 1)].into()))].into();
    small.ports = [(0, (0, 1, true))].into();
    rows(&small)
}

/// One apply through connections that are cut; how many bytes went each way.
fn cut_apply(cut: Option<Cut>) -> Result<[usize; 2], String> {
    block_on(async {
        let world = World::new(1, Actual::default(), false, Mood::default());
        let world = Arc::new(Mutex::new(world));
        world.lock().expect("held briefly").cut = cut;
        let desired = small();
        let session = connect(&world, 1);
        let (limits, mut events) = (options(3, 2), Vec::new());
        let work = bring(&session, &desired, OWNER, &limits, &mut events);
        let result = tokio::time::timeout(DEADLINE, work).await.map_err(|_| "there is no end".to_owned())?;
        if cut.is_none_or(|cut| cut.once) {
            let done = result.map_err(|failure| format!("{failure:?}"))?;
            if !done.is_some_and(|done| done.undone.is_empty()) {
                return Err("it is not read back".to_owned());
            }
        }
        world.lock().expect("held briefly").calm();
        bring(&connect(&world, 1), &desired, OWNER, &options(3, 2), &mut Vec::new())
            .await
            .map_err(|failure| format!("the next: {failure:?}"))?;
        let world = world.lock().expect("held briefly");
        let comments: Vec<_> = world.commits.iter().map(|commit| commit.comment.clone()).collect();
        if comments.iter().collect::<BTreeSet<_>>().len() != comments.len() {
            return Err(format!("carried out twice: {comments:#?}"));
        }
        match without_records(&world.rows) == as_if_applied(&desired, OWNER) {
            true => Ok(world.n_bytes),
            false => Err("not as wanted".to_owned()),
        }
    })
}

#[test]
fn a_connection_may_be_cut_after_any_byte() {
    let [n_replies, n_requests] = cut_apply(None).expect("nothing is cut");
    // Every day some hundred places, others each time that the conversation changes.
    let is_every = std::env::var("NORTHC_CUTS").is_ok_and(|cuts| cuts == "all");
    let step = if is_every { 1 } else { (n_replies + n_requests) / 211 };
    let mut cuts = Vec::new();
    for (replies, n_bytes) in [(true, n_replies), (false, n_requests)] {
        for once in [true, false] {
            cuts.extend((1..n_bytes).step_by(step).map(|bytes| Cut { replies, bytes, once }));
        }
    }
    let n = cuts.len() as u64;
    let run = |at: u64| {
        let cut = cuts[usize::try_from(at).expect("small")];
        cut_apply(Some(cut)).map_err(|wrong| format!("{cut:?}: {wrong}"))
    };
    assert_eq!(all(n, run).len(), cuts.len());
}

/// What is played is what ovsdb-server does: the same plans leave the same rows on both.
#[test]
fn the_played_server_is_as_the_real_one() {
    if !crate::ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let real = crate::live::connect(&server.remote());
    for seed in 0..30 {
        let run = Run { mood: Mood::default(), n_members: 1, ..Run::new(seed) };
        let played = block_on(async {
            let world = run.world();
            let done = run.once(&connect(&world, 1), false, &mut Vec::new()).await;
            done.map(|_| Arc::clone(&world.lock().expect("held briefly").rows))
        });
        let played = played.expect("applied");
        let live = crate::live::block_on(async {
            let (ours, theirs) = (&run.before, &run.theirs);
            for (rows, owner) in [(theirs, "you"), (ours, OWNER), (&run.wanted, OWNER)] {
                bring(&real, rows, owner, &run.limits, &mut Vec::new()).await.expect("applied");
            }
            real.actual().await.expect("rows")
        });
        assert!(without_records(&played).iter().eq(without_records(&live).iter()), "{seed}");
    }
}
