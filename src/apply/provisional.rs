//! Applies that undo themselves unless they are confirmed, for changes that can cut the operator's own path.
//!
//! The confirmation goes through the database: whoever can write it there has not lost the way to it. The
//! run that applied watches the owner's record, and undoes exactly what it did when time is up. Refuses to
//! undo over somebody else's later change; then it says so.

use std::time::Duration;

use tokio::time::Instant;

use super::{Done, Failure, OnEvent, Options, execute};
use crate::emit::operations::record_operations;
use crate::nb::Table;
use crate::nb::actual::Actual;
use crate::nb::record::{self, Record};
use crate::ovsdb::session::Session;

/// How often the record is looked at.
const PAUSE: Duration = Duration::from_millis(250);
const WAITING: &str = "waiting:";

/// What the record says while apply `id` waits for its confirmation.
pub(super) fn waiting(id: &str) -> String {
    format!("{WAITING}{id}")
}

/// What became of a provisional apply.
#[derive(Debug)]
pub enum Outcome {
    /// It was confirmed and stays.
    Confirmed,
    /// Another apply of the owner followed, which settles the matter: nothing is undone.
    Overtaken,
    /// It was undone.
    Undone(Box<Done>),
    /// It was to be undone, and could not be.
    Stuck(Failure),
}

/// Waits for the confirmation of `done`, and undoes it after `patience` or when `interrupted` ends.
pub async fn hold(
    session: &Session,
    done: &Done,
    patience: Duration,
    interrupted: impl Future<Output = ()>,
    options: &Options,
    on_event: OnEvent<'_>,
) -> Outcome {
    let owner = &done.plan.owner;
    let deadline = Instant::now() + patience;
    tokio::pin!(interrupted);
    loop {
        if let Ok(actual) = session.actual().await {
            match read(&actual, owner).and_then(|record| record.confirm) {
                Some(confirm) if confirm == done.id => return Outcome::Confirmed,
                Some(confirm) if confirm == waiting(&done.id) => {}
                Some(_) | None => return Outcome::Overtaken,
            }
        }
        if Instant::now() >= deadline {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)) => {}
            () = &mut interrupted => break,
        }
    }
    let base = session.actual().await.ok().and_then(|actual| read(&actual, owner));
    if base.as_ref().and_then(|base| base.confirm.as_deref()) == Some(&*done.id) {
        return Outcome::Confirmed;
    }
    let options = Options { is_provisional: false, ..options.clone() };
    match execute(session, done.plan.inverse(base), &options, on_event).await {
        Ok(undone) => Outcome::Undone(Box::new(undone)),
        Err(failure) => Outcome::Stuck(failure),
    }
}

/// Confirms the owner's provisional apply. The id of it; `None` when there is none.
pub async fn confirm(session: &Session, owner: &str) -> Result<Option<String>, Failure> {
    let actual = session.actual().await.map_err(|fault| Failure::Fault(Box::new(fault), 0))?;
    let Some(before) = read(&actual, owner) else { return Ok(None) };
    let waits = before.confirm.as_deref().and_then(|confirm| confirm.strip_prefix(WAITING));
    let Some(id) = waits.map(str::to_owned) else { return Ok(None) };
    let after = Record { confirm: Some(id.clone()), ..before.clone() };
    let ops = record_operations(owner, Some(&before), Some(&after));
    session.transact(&ops).await.map_err(|fault| Failure::Fault(Box::new(fault), 0))?;
    Ok(Some(id))
}

fn read(actual: &Actual, owner: &str) -> Option<Record> {
    actual.get(Table::DhcpOptions, record::uuid(owner)).map(|row| Record::read(row))
}
