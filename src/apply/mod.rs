//! Carries out plans: guarded transactions, their outcome made certain, the effect waited for and read back.
//!
//! The promise: every transaction is executed as a whole or not at all, and only if every row that it
//! touches is as the plan saw it. Nothing is sent twice whose outcome is not known. Of two runs for one
//! owner, the second finds that the first wrote ([`crate::nb::record`]) and plans anew.
//!
//! Refuses to decide what to do: the plan did.

mod commit;
mod names;
pub mod provisional;
mod settle;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::nb::actual::Actual;
use crate::nb::{Rows, stamp};
use crate::ovsdb::fault::Fault;
use crate::ovsdb::session::Session;
use crate::plan::batch::Limits;
use crate::plan::standing::Standing;
use crate::plan::{Plan, Request, effect, plan};

pub use settle::Settled;

/// How far an apply waits for what it wrote to take effect, as `ovn-nbctl --wait` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    None,
    /// Until ovn-northd has written the Southbound database.
    Sb,
    /// Until every chassis has installed its flows.
    Hv,
}

/// How to apply.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far to wait.
    pub wait: Wait,
    /// How long.
    pub timeout: Duration,
    /// How large transactions may be.
    pub limits: Limits,
    /// How often a plan is made anew after somebody else's write.
    pub n_attempts_max: usize,
    /// The Southbound database, where it can be asked: `NB_Global.sb_cfg` is ahead of the truth in
    /// OVN 23.09 to 24.03.6, 24.09, 25.03.0 to .1 and 25.09.0.
    pub southbound: Option<Session>,
    /// The apply is to be confirmed, or it will be undone.
    pub is_provisional: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            wait: Wait::Sb,
            timeout: Duration::from_secs(30),
            limits: Limits::default(),
            n_attempts_max: 5,
            southbound: None,
            is_provisional: false,
        }
    }
}

/// What happens on the way, for those who watch.
#[derive(Clone, Debug)]
pub enum Event {
    /// A transaction was committed.
    Committed {
        /// Which, from 1.
        number: usize,
        /// Of how many.
        n_transactions: usize,
        /// How many rows it touched.
        n_steps: usize,
        /// How long it took.
        took: Duration,
    },
    /// The answer to a transaction was lost; the database is asked.
    Unsure(Box<Fault>),
    /// What came out.
    Sure {
        /// Whether it had been committed.
        was_committed: bool,
    },
    /// Somebody else wrote in between; a new plan is made.
    Raced(Vec<String>),
    /// Waiting for northd or the chassis: who is asked, where it stands, what is wanted.
    Waiting {
        /// The column that is read.
        asked: &'static str,
        /// Its value.
        at: i64,
        /// The value that it must reach.
        wanted: i64,
    },
}

/// Who says yes to a plan, made for what was found.
pub type Approve<'a> = &'a mut dyn FnMut(&Plan, &Actual) -> bool;

/// Who is told of [`Event`]s.
pub type OnEvent<'e> = &'e mut dyn FnMut(Event);

/// An apply that was committed.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its id, which the owner's record holds.
    pub id: String,
    /// What was carried out.
    pub plan: Plan,
    /// How many transactions it took.
    pub n_transactions: usize,
    /// How long they took.
    pub took: Duration,
    /// Whether it took effect; `None` when nobody wanted to know.
    pub settled: Option<Settled>,
    /// Rows that were not as written when they were read back, in words: somebody else's hand.
    pub undone: Vec<String>,
}

/// Why an apply did not come to its end.
#[derive(Debug)]
pub enum Failure {
    /// Something is in the way; nothing was written.
    Conflicts(Box<Plan>),
    /// Nobody said yes; nothing was written.
    Declined,
    /// The database is not as the plan saw it, in words. So many transactions were committed before.
    Stale(Vec<String>, usize),
    /// The database refused or could not be reached. So many transactions were committed before.
    Fault(Box<Fault>, usize),
    /// A transaction was sent, and whether it was committed could not be found out.
    Unknown(Box<Fault>),
}

/// Brings the database to the wanted rows: plans, asks `approve`, applies, and after a lost race does so
/// again. `None` when there is nothing to do.
pub async fn apply(
    session: &Session,
    desired: &Rows,
    request: &Request<'_>,
    options: &Options,
    approve: Approve<'_>,
    on_event: OnEvent<'_>,
) -> Result<Option<Done>, Failure> {
    let mut make = |actual: &Actual| plan(desired, actual, request);
    bring(session, &mut make, options, commit::Ending::Keep, approve, on_event).await
}

/// The same for rows that stay wanted: after the first time, only what changed since is looked at, here and there.
pub async fn follow(
    session: &Session,
    standing: &mut Standing,
    request: &Request<'_>,
    options: &Options,
    approve: Approve<'_>,
    on_event: OnEvent<'_>,
) -> Result<Option<Done>, Failure> {
    let mut make = |actual: &Actual| standing.plan(actual, request);
    bring(session, &mut make, options, commit::Ending::Keep, approve, on_event).await
}

/// Carries out a plan exactly.
pub async fn execute(
    session: &Session,
    plan: Plan,
    options: &Options,
    on_event: OnEvent<'_>,
) -> Result<Done, Failure> {
    run(session, plan, options, commit::Ending::Keep, on_event).await
}

/// Removes every row of the owner, and the record last. `None` when there is none.
pub async fn destroy(
    session: &Session,
    request: &Request<'_>,
    options: &Options,
    approve: Approve<'_>,
    on_event: OnEvent<'_>,
) -> Result<Option<Done>, Failure> {
    let mut make = |actual: &Actual| plan(&Rows::new(), actual, request);
    bring(session, &mut make, options, commit::Ending::Leave, approve, on_event).await
}

async fn bring(
    session: &Session,
    make: &mut dyn FnMut(&Actual) -> Plan,
    options: &Options,
    ending: commit::Ending,
    approve: Approve<'_>,
    on_event: OnEvent<'_>,
) -> Result<Option<Done>, Failure> {
    let mut n_attempts = 0;
    loop {
        n_attempts += 1;
        let actual = session.actual().await.map_err(|fault| Failure::Fault(Box::new(fault), 0))?;
        let made = make(&actual);
        if !made.conflicts.is_empty() {
            return Err(Failure::Conflicts(Box::new(made)));
        }
        let only_the_record = match ending {
            commit::Ending::Keep => made.finishes_another(),
            commit::Ending::Leave => made.base.is_some(),
        };
        if made.is_empty() && !only_the_record {
            return Ok(None);
        }
        if !made.is_empty() && !approve(&made, &actual) {
            return Err(Failure::Declined);
        }
        // As long as it is held, the session must copy all rows to change the first of them.
        drop(actual);
        match run(session, made, options, ending, on_event).await {
            Err(Failure::Stale(changed, _)) if n_attempts < options.n_attempts_max => {
                on_event(Event::Raced(changed));
            }
            Err(failure) => return Err(failure),
            Ok(done) => return Ok(Some(done)),
        }
    }
}

async fn run(
    session: &Session,
    plan: Plan,
    options: &Options,
    ending: commit::Ending,
    on_event: OnEvent<'_>,
) -> Result<Done, Failure> {
    let start = tokio::time::Instant::now();
    let id = new_id(&plan);
    let committed = commit::commit(session, &plan, &id, options, ending, on_event).await?;
    let took = start.elapsed();
    let settled = match (options.wait, committed.nb_cfg) {
        (Wait::None, _) => None,
        (Wait::Sb | Wait::Hv, Some(nb_cfg)) => Some(settle::settle(session, nb_cfg, options, on_event).await),
        (Wait::Sb | Wait::Hv, None) => Some(Settled::impossible()),
    };
    let n_transactions = committed.n_transactions;
    // What cannot be read back is not known to be undone; the connection's fault will show next time.
    let undone = match session.actual().await {
        Ok(actual) => undone(&plan, &actual),
        Err(fault) => vec![format!("the rows could not be read back: {fault}")],
    };
    Ok(Done { id, plan, n_transactions, took, settled, undone })
}

fn undone(plan: &Plan, actual: &Actual) -> Vec<String> {
    effect::missing(plan, actual).iter().map(|step| format!("{} is not as written", step.key)).collect()
}

/// An id that no other apply has.
fn new_id(plan: &Plan) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let base = plan.base.as_ref().and_then(|base| base.txn.as_deref()).unwrap_or("");
    let text = format!("{}\0{}\0{base}\0{now}\0{}", plan.owner, plan.rows, std::process::id());
    stamp::short_digest(text.as_bytes())
}
