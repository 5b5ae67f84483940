//! One plan's transactions, in order, each with an outcome that is known before the next is sent.
//!
//! Every transaction moves the owner's record from the id of the one before to its own. So a transaction
//! whose answer was lost can be looked up, and one that is sent again after all cannot be executed twice:
//! its guard on the record fails. Refuses to wait for effects, but where northd must have seen one transaction before
//! the next ([`vacate`]).

use std::sync::Arc;

use tokio::time::Instant;

use super::names::Others;
use super::{Event, Failure, OnEvent, Options, Wait};
use crate::emit::operations::{operations, record_operations};
use crate::nb::actual::Actual;
use crate::nb::record::{self, Record};
use crate::nb::{Atom, Datum, Table};
use crate::ovsdb::fault::{Fault, Remedy};
use crate::ovsdb::message::OpResult;
use crate::ovsdb::op::{Mutator, Op, Which};
use crate::ovsdb::session::{Encoded, Session};
use crate::plan::batch::batches;
use crate::plan::step::Step;
use crate::plan::{Mode, Plan, effect, vacate};

/// How often a transaction whose answer was lost is looked up and, if it was not committed, sent again.
const N_SENDS_MAX: usize = 5;

/// What becomes of the owner's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It tells of this apply.
    Keep,
    /// It goes with the last row.
    Leave,
}

/// What the transactions came to.
#[derive(Debug)]
pub(super) struct Committed {
    /// How many there were.
    pub(super) n_transactions: usize,
    /// The number that northd and the chassis will confirm, where it was asked for.
    pub(super) nb_cfg: Option<i64>,
}

/// Commits the plan under `id`.
pub(super) async fn commit(
    session: &Session,
    plan: &Plan,
    id: &str,
    options: &Options,
    ending: Ending,
    on_event: OnEvent<'_>,
) -> Result<Committed, Failure> {
    let mut batches = batches(plan, &options.limits);
    if batches.is_empty() {
        batches.push(Vec::new());
    }
    if batches.iter().any(|steps| vacate::brings(steps)) {
        super::settle::round(session, options, on_event).await;
    }
    let (others, before) = (others(session, plan).await?, plan.base.clone());
    let mut making = Making { session, plan, id, options, ending, batches: &batches, others, before };
    let n_transactions = batches.len();
    let mut nb_cfg = None;
    let mut next = making.transaction(0);
    while let Some(txn) = next {
        if making.is_apart(txn.at) {
            super::settle::round(session, options, on_event).await;
        }
        let start = Instant::now();
        // The next is made while the server works on this one.
        let ahead = async {
            tokio::task::yield_now().await;
            making.transaction(txn.at + 1)
        };
        let (results, prepared) = tokio::join!(txn.send(session, on_event), ahead);
        next = prepared;
        let results = results?;
        let (number, n_steps) = (txn.at + 1, batches[txn.at].len());
        on_event(Event::Committed { number, n_transactions, n_steps, took: start.elapsed() });
        if txn.is_numbered {
            nb_cfg = match results.as_deref().and_then(number_of) {
                Some(number) => Some(number),
                None => super::settle::number(session).await,
            };
        }
    }
    Ok(Committed { n_transactions, nb_cfg })
}

/// The plan's transactions, made one after the other.
struct Making<'t> {
    session: &'t Session,
    plan: &'t Plan,
    id: &'t str,
    options: &'t Options,
    ending: Ending,
    batches: &'t [Vec<Step>],
    others: Others,
    /// The record as the transaction before leaves it.
    before: Option<Record>,
}

impl<'t> Making<'t> {
    /// Number `at`, after the one before it.
    fn transaction(&mut self, at: usize) -> Option<Transaction<'t>> {
        let (plan, n_transactions) = (self.plan, self.batches.len());
        let steps = self.batches.get(at)?;
        let is_last = at + 1 == n_transactions;
        let after = match (is_last, self.ending) {
            (true, Ending::Leave) => None,
            (true, Ending::Keep) | (false, _) => {
                Some(record_after(plan, self.id, at, is_last, self.options.is_provisional))
            }
        };
        let mut ops = record_operations(&plan.owner, self.before.as_ref(), after.as_ref());
        ops.extend(operations(plan, steps));
        ops.extend(self.others.guards(steps, &plan.owner));
        let (id, number) = (self.id, at + 1);
        ops.push(Op::Comment(format!("northc {id}: owner {}, {number} of {n_transactions}", plan.owner)));
        if is_last {
            ops.push(Op::CommitDurable);
        }
        // Whoever brings others waits for the number of what goes.
        let is_numbered =
            vacate::takes(steps) || is_last && self.options.wait != Wait::None || self.is_apart(at + 1);
        if is_numbered {
            ops.extend(next_number());
        }
        let encoded = self.session.encode(&ops);
        let before = std::mem::replace(&mut self.before, after.clone());
        Some(Transaction { plan, ops, encoded, before, after, at, is_numbered })
    }

    /// Whether transaction `at` takes away, where others came, what northd must have seen empty by then.
    fn is_apart(&self, at: usize) -> bool {
        let brings = |steps: &Vec<Step>| vacate::brings(steps);
        at + 1 == self.batches.len()
            && vacate::is_removal(&self.batches[at])
            && self.batches[..at].iter().any(brings)
    }
}

/// Who else has routers and switches; a name that the plan gives must not be among theirs.
async fn others(session: &Session, plan: &Plan) -> Result<Others, Failure> {
    let actual = session.actual().await.map_err(|fault| Failure::Fault(Box::new(fault), 0))?;
    let taken = effect::namesakes(plan, &actual);
    if taken.is_empty() { Ok(Others::new(&actual, &plan.owner)) } else { Err(Failure::Stale(taken, 0)) }
}

/// The record as transaction `at` leaves it.
fn record_after(plan: &Plan, id: &str, at: usize, is_last: bool, is_provisional: bool) -> Record {
    let is_whole = is_last && plan.mode == Mode::All;
    Record {
        txn: Some(format!("{id}.{}", at + 1)),
        rows: is_whole.then(|| plan.rows.clone()).filter(|rows| !rows.is_empty()),
        pending: (!is_last).then(|| id.to_owned()),
        confirm: is_provisional.then(|| super::provisional::waiting(id)),
    }
}

/// Raises the number that northd copies once it is done (ovn-nb(5), `NB_Global`), and reads it.
fn next_number() -> [Op; 2] {
    let add = ("nb_cfg".into(), Mutator::Add, Datum::set([Atom::Int(1)]));
    [
        Op::Mutate { table: "NB_Global".into(), rows: Which::All, mutations: vec![add] },
        Op::Select { table: "NB_Global".into(), rows: Which::All, columns: vec!["nb_cfg".into()] },
    ]
}

fn number_of(results: &[OpResult]) -> Option<i64> {
    match results.last()? {
        OpResult::Rows(rows) => rows.first()?.int("nb_cfg"),
        OpResult::Inserted(_) | OpResult::Count(_) | OpResult::Done => None,
    }
}

struct Transaction<'t> {
    plan: &'t Plan,
    ops: Vec<Op>,
    encoded: Encoded,
    before: Option<Record>,
    after: Option<Record>,
    /// How many come before it.
    at: usize,
    is_numbered: bool,
}

impl Transaction<'_> {
    /// Sends it until it is known to be committed or refused. `None` when it was committed and its
    /// results are lost.
    async fn send(&self, session: &Session, on_event: OnEvent<'_>) -> Result<Option<Vec<OpResult>>, Failure> {
        let mut n_sends = 0;
        loop {
            n_sends += 1;
            let fault = match session.send(&self.encoded, &self.ops).await {
                Ok(results) => return Ok(Some(results)),
                Err(fault) => fault,
            };
            let is_unknown = fault.outcome_unknown();
            let is_refused = matches!(fault, Fault::Refused(_));
            if is_unknown {
                on_event(Event::Unsure(Box::new(fault.clone())));
            }
            // A refusal of what was sent before may be the echo of its own success.
            if is_unknown || (is_refused && n_sends > 1) {
                let actual =
                    self.look(session).await.map_err(|_| Failure::Unknown(Box::new(fault.clone())))?;
                let was_committed = self.is_in(&actual);
                if is_unknown {
                    on_event(Event::Sure { was_committed });
                }
                if was_committed {
                    return Ok(None);
                }
            }
            let is_retry = is_unknown || (is_refused && fault.remedy() == Remedy::Retry);
            if is_retry && n_sends < N_SENDS_MAX {
                continue;
            }
            // What was sent may still be waiting there.
            if is_unknown {
                return Err(Failure::Unknown(Box::new(fault)));
            }
            return Err(self.failure(session, fault).await);
        }
    }

    /// The rows after the server has answered once more: a copy of ours is no older than what it did before.
    async fn look(&self, session: &Session) -> Result<Arc<Actual>, Fault> {
        let rows = Which::Row(record::uuid(&self.plan.owner));
        let table = Table::DhcpOptions.name().into();
        session.transact(&[Op::Select { table, rows, columns: vec!["_uuid".into()] }]).await?;
        session.actual().await
    }

    async fn failure(&self, session: &Session, fault: Fault) -> Failure {
        let Fault::Refused(refusal) = &fault else {
            return Failure::Fault(Box::new(fault), self.at);
        };
        if fault.remedy() != Remedy::Resync {
            return Failure::Fault(Box::new(fault), self.at);
        }
        let changed = match session.actual().await {
            Ok(actual) if self.at == 0 => effect::changed_since(self.plan, &actual),
            Ok(_) | Err(_) => Vec::new(),
        };
        let changed = if changed.is_empty() { vec![refusal.to_string()] } else { changed };
        Failure::Stale(changed, self.at)
    }

    /// True when the database shows that this transaction was committed.
    fn is_in(&self, actual: &Actual) -> bool {
        let live = actual.get(Table::DhcpOptions, record::uuid(&self.plan.owner));
        let live = live.map(|row| Record::read(row));
        match &self.after {
            Some(after) => live.is_some_and(|live| live.txn == after.txn),
            None if self.before.is_some() => live.is_none(),
            None => effect::missing(self.plan, actual).is_empty(),
        }
    }
}
