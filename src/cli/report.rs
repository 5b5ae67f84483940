//! What `apply` and `destroy` say and ask on their way, and the exit codes of what came out.
//!
//! Refuses to write anything without a yes, from a flag or from a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::database::refuse;
use super::planning::{guard_text, paint};
use super::{Streams, duration, exit, trace};
use crate::apply::{Done, Event, Failure, Settled};
use crate::diag::Code;
use crate::plan::{Plan, render};

/// What the person has agreed to.
#[derive(Clone, Debug)]
pub(super) struct Consent {
    /// To the plan.
    pub(super) yes: bool,
    /// To many deletions.
    pub(super) yes_delete: bool,
    /// What must be typed where a plain yes is not enough; `None` takes `yes`.
    pub(super) word: Option<String>,
}

impl Consent {
    /// Whether what the plan deletes needs no further word.
    pub(super) fn allows_deletions(&self, plan: &Plan) -> bool {
        self.yes_delete || plan.guard.is_none()
    }
}

/// Tells what happens.
pub(super) struct Reporter<'r, 's> {
    pub(super) streams: &'r mut Streams<'s>,
    pub(super) consent: Consent,
    /// The exit code when the plan was not agreed to.
    declined: u8,
    /// When the first event came.
    started: Option<Instant>,
    /// Whether a line of progress stands there, to be written over.
    has_progress: bool,
}

impl<'r, 's> Reporter<'r, 's> {
    pub(super) fn new(streams: &'r mut Streams<'s>, consent: Consent) -> Reporter<'r, 's> {
        Reporter { streams, consent, declined: exit::NO, started: None, has_progress: false }
    }

    /// Shows the plan.
    pub(super) fn show(&mut self, plan: &Plan) {
        let text = render::text(plan, paint(self.streams));
        self.streams.data(&text);
    }

    /// Does not go on, and exits with this.
    pub(super) fn decline(&mut self, code: u8) -> bool {
        self.declined = code;
        false
    }

    /// Asks whether to go on, unless the answer is known.
    pub(super) fn approve(&mut self, plan: &Plan) -> bool {
        let is_terminal = std::io::stdin().is_terminal();
        if let Some(guard) = &plan.guard
            && !self.consent.yes_delete
        {
            let what = guard_text(guard);
            if !is_terminal {
                let code = Code::MuchDeleted;
                self.streams.say(&format!("error[{code}]: {what}; if that is meant, pass --yes-delete\n"));
                self.declined = exit::CONFLICT;
                return false;
            }
            let word = self.consent.word.clone().unwrap_or_else(|| plan.owner.clone());
            return self.ask(&format!("{what}. Type `{word}` to go on: "), &word);
        }
        if self.consent.yes {
            return true;
        }
        if !is_terminal {
            let n = plan.summary().n_rows();
            self.streams.say(&format!(
                "error: this would change {n} rows and there is no terminal to ask on; pass --yes, or apply a saved plan\n"
            ));
            self.declined = exit::USAGE;
            return false;
        }
        self.ask("Type `yes` to go on: ", "yes")
    }

    fn ask(&mut self, question: &str, word: &str) -> bool {
        self.streams.say(question);
        let _ = self.streams.err.flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        read.is_ok() && answer.trim() == word
    }

    /// Tells what happens on the way.
    pub(super) fn event(&mut self, event: &Event) {
        let elapsed = self.started.get_or_insert_with(Instant::now).elapsed();
        match event {
            Event::Committed { number, n_transactions, n_steps: _, took: _ } => {
                if number < n_transactions {
                    let left = elapsed.mul_f64((n_transactions - number) as f64 / *number as f64);
                    let left = duration::show(left);
                    self.progress(
                        elapsed,
                        &format!("transaction {number} of {n_transactions}, about {left} left"),
                    );
                }
            }
            Event::Waiting { asked, at, wanted } => {
                self.progress(
                    elapsed,
                    &format!("committed; waiting for {asked} to reach {wanted}, it is at {at}"),
                );
            }
            Event::Unsure(fault) => self.line(&format!("{fault}; looking it up")),
            Event::Sure { was_committed: true } => self.line("it was committed"),
            Event::Sure { was_committed: false } => self.line("it was not committed; sending it again"),
            Event::Raced(changed) => {
                self.line(&format!("somebody else wrote meanwhile ({}); planning anew", some(changed)));
            }
        }
    }

    /// Shows how far we are, on a terminal, once it takes long.
    fn progress(&mut self, elapsed: Duration, text: &str) {
        if self.streams.terminal && elapsed >= PROGRESS_AFTER {
            trace::hush();
            self.streams.status(&format!("\r\x1b[K{text}"));
            self.has_progress = true;
        }
    }

    fn line(&mut self, text: &str) {
        self.clear();
        self.streams.status(&format!("{text}\n"));
    }

    /// Takes the line of progress away.
    fn clear(&mut self) {
        if self.has_progress {
            self.streams.status("\r\x1b[K");
            self.has_progress = false;
        }
    }
}

/// Progress shows after so long.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);

/// The first few of many.
fn some(items: &[String]) -> String {
    const N: usize = 3;
    match items.len() {
        0..=N => items.join("; "),
        n => format!("{}; and {} more", items[..N].join("; "), n - N),
    }
}

/// Tells what came out, and gives the exit code.
pub(super) fn finish(result: &Result<Option<Done>, Failure>, reporter: &mut Reporter<'_, '_>) -> u8 {
    reporter.clear();
    let declined = reporter.declined;
    let streams = &mut *reporter.streams;
    match result {
        Ok(None) => {
            streams.status("No changes: the database holds what is wanted.\n");
            exit::OK
        }
        Ok(Some(done)) => tell_done(done, streams),
        Err(Failure::Declined) => {
            streams.say("nothing was written\n");
            declined
        }
        Err(Failure::Conflicts(made)) => {
            for conflict in &made.conflicts {
                streams.say(&format!("error: {conflict}\n"));
            }
            streams.say("nothing was written\n");
            exit::CONFLICT
        }
        Err(Failure::Stale(changed, n_committed)) => {
            streams.say(&format!("error[{}]: the plan is stale: {}\n", Code::StalePlan, some(changed)));
            tell_rest(*n_committed, streams);
            exit::CONFLICT
        }
        Err(Failure::Fault(fault, n_committed)) => {
            let code = refuse(fault, streams);
            tell_rest(*n_committed, streams);
            code
        }
        Err(Failure::Unknown(fault)) => {
            streams.say(&format!(
                "error[{}]: {fault}, and it could not be looked up afterwards\n",
                Code::OutcomeUnknown
            ));
            streams.say("  = running the same command again is safe: it plans from what is there\n");
            exit::UNKNOWN
        }
    }
}

fn tell_rest(n_committed: usize, streams: &mut Streams<'_>) {
    match n_committed {
        0 => streams.say("  = nothing was written; plan again\n"),
        n => streams
            .say(&format!("  = {n} transactions were committed before; the next apply finishes the work\n")),
    }
}

fn tell_done(done: &Done, streams: &mut Streams<'_>) -> u8 {
    let n_rows = done.plan.steps.len();
    let rows = if n_rows == 1 { "row" } else { "rows" };
    let in_transactions = match done.n_transactions {
        1 => "one transaction".to_owned(),
        n => format!("{n} transactions"),
    };
    streams.status(&format!("{n_rows} {rows} written in {in_transactions}, {}\n", duration::show(done.took)));
    let mut code = exit::OK;
    if let Some(Settled { asked, is_confirmed, took, lagging }) = &done.settled {
        let took =
            |before: &str| took.map_or_else(String::new, |took| before.to_owned() + &duration::show(took));
        if *is_confirmed {
            streams.status(&format!("confirmed by {asked}{}\n", took(", ")));
        } else {
            let who = if lagging.is_empty() { String::new() } else { format!(" ({})", lagging.join(", ")) };
            let within = took(" within ");
            streams.say(&format!(
                "error[{}]: committed, and not confirmed by {asked}{within}{who}\n",
                Code::NotInEffect
            ));
            streams.say("  = the rows are in the database; there is no need to apply again\n");
            code = exit::UNCONFIRMED;
        }
    }
    if !done.undone.is_empty() {
        streams.say(&format!("error[{}]: read back, {}\n", Code::ReadBackDiffers, some(&done.undone)));
        streams.say("  = somebody else writes these rows too; see `northc plan`\n");
        code = exit::UNCONFIRMED;
    }
    code
}
