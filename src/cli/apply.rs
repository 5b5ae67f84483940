//! `northc apply`: plan, ask, do it, wait, read back; or do a saved plan exactly. Refuses to plan by itself.

use std::cell::RefCell;
use std::time::Duration;

use super::database::{DatabaseArgs, block_on, refuse};
use super::opening::{Before, OpeningArgs};
use super::planning::{PlanningArgs, paint, saved_plan};
use super::report::{Consent, Reporter, finish};
use super::verify::Proof;
use super::{Streams, duration, exit};
use crate::apply::provisional::{Outcome, hold};
use crate::apply::{Done, Failure, Options, Wait, apply, execute};
use crate::diag::Code;
use crate::nb::Rows;
use crate::nb::actual::Actual;
use crate::ovsdb::fault::Fault;
use crate::ovsdb::session::Session;
use crate::plan::{Plan, plan};
use crate::span::SourceMap;

const EXAMPLES: &str = "Examples:
  northc apply net.yaml                         # shows the plan and asks
  northc apply net.plan                         # exactly what `plan --out net.plan` showed
  northc apply net.yaml --yes --wait hv         # asks nothing, waits for every chassis
  northc apply net.yaml --confirm-within 5m     # undone unless `northc confirm` comes";

/// Arguments of `northc apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) applying: ApplyingArgs,
    /// Undo it after this time unless `northc confirm` comes
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    confirm_within: Option<Duration>,
    /// Do not prove first that the rows mean what the input says
    #[arg(long)]
    no_verify: bool,
    /// How long to take for that proof; what is not done then is told, and not waited for
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    verify_budget: Duration,
    /// Show the plan and write nothing
    #[arg(long)]
    dry_run: bool,
    // What has headings of its own comes last, or it takes what follows under them.
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    opening: OpeningArgs,
}

impl Args {
    fn proof(&self) -> Proof {
        if self.no_verify { Proof::None } else { Proof::Within(self.verify_budget) }
    }
}

/// How to apply; the same for `destroy`.
#[derive(Debug, clap::Args)]
pub(super) struct ApplyingArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Do not ask about much that is deleted
    #[arg(long)]
    pub(super) yes_delete: bool,
    /// How far to wait: not at all, for ovn-northd, for every chassis
    #[arg(long, value_name = "WHAT", default_value = "sb", value_enum)]
    wait: WaitArg,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum WaitArg {
    None,
    Sb,
    Hv,
}

impl ApplyingArgs {
    /// The options that they make.
    pub(super) fn options(&self, database: &DatabaseArgs) -> Result<Options, Fault> {
        let wait = match self.wait {
            WaitArg::None => Wait::None,
            WaitArg::Sb => Wait::Sb,
            WaitArg::Hv => Wait::Hv,
        };
        let southbound = if wait == Wait::None { None } else { database.southbound()? };
        Ok(Options { wait, timeout: self.timeout, southbound, ..Options::default() })
    }

    /// What has been agreed to already.
    pub(super) fn consent(&self) -> Consent {
        Consent { yes: self.yes, yes_delete: self.yes_delete, word: None }
    }
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let reviewed = match saved_plan(&args.planning.input.paths) {
        Ok(reviewed) => reviewed,
        Err(unusable) => {
            streams.say(&format!(
                "error[{}]: {}: {unusable}\n",
                Code::StalePlan,
                args.planning.input.paths[0].display()
            ));
            return exit::CONFLICT;
        }
    };
    let database = &args.planning.database;
    let session = database.northbound_ahead();
    let wanted = match &reviewed {
        Some(_) => (Rows::new(), SourceMap::new()),
        None => match args.planning.wanted(&args.planning.input.paths, args.proof(), streams) {
            Ok(wanted) => wanted,
            Err(code) => return code,
        },
    };
    let opened = session.and_then(|session| Ok((session, args.applying.options(database)?)));
    let (session, options) = match opened {
        Ok(opened) => opened,
        Err(fault) => return refuse(&fault, streams),
    };
    let options = Options { is_provisional: args.confirm_within.is_some(), ..options };
    let _stage = tracing::info_span!("apply").entered();
    block_on(carry_out(args, reviewed, &wanted, &session, &options, streams))
}

async fn carry_out(
    args: &Args,
    reviewed: Option<Plan>,
    wanted: &(Rows, SourceMap),
    session: &Session,
    options: &Options,
    streams: &mut Streams<'_>,
) -> u8 {
    let wanted = (&wanted.0, &wanted.1);
    let (desired, sources) = wanted;
    let request = args.planning.request(sources);
    let reporter = RefCell::new(Reporter::new(streams, args.applying.consent()));
    let mut on_event = |event| reporter.borrow_mut().event(&event);
    // Whoever can't be asked now is found out to be so below.
    let beside = session.beside().await.unwrap_or_default();
    let whole = |actual: &Actual| {
        let mut actual = actual.clone();
        actual.beside = beside.clone();
        actual
    };
    if args.dry_run {
        let reporter = &mut reporter.into_inner();
        let (made, actual) = match (reviewed, session.actual().await) {
            (_, Err(fault)) => return refuse(&fault, reporter.streams),
            (Some(made), Ok(_)) => (made, None),
            (None, Ok(actual)) => (plan(desired, &actual, &request), Some(actual)),
        };
        reporter.show(&made);
        let code = actual.and_then(|actual| opens(args, &made, &whole(&actual), wanted, reporter.streams));
        return code.unwrap_or_else(|| conflict_code(args, &made, wanted, reporter.streams));
    }
    let result = match reviewed {
        Some(made) if !reporter.borrow_mut().consent.allows_deletions(&made) => {
            let reporter = &mut *reporter.borrow_mut();
            reporter.show(&made);
            reporter.approve(&made);
            Err(Failure::Declined)
        }
        Some(made) => execute(session, made, options, &mut on_event).await.map(Some),
        None => {
            let mut approve = |made: &Plan, actual: &Actual| {
                let reporter = &mut *reporter.borrow_mut();
                reporter.show(made);
                if args.applying.yes && !args.opening.insists() {
                    return reporter.approve(made);
                }
                match opens(args, made, &whole(actual), wanted, reporter.streams) {
                    Some(code) => reporter.decline(code),
                    None => reporter.approve(made),
                }
            };
            apply(session, desired, &request, options, &mut approve, &mut on_event).await
        }
    };
    if let Err(Failure::Conflicts(made)) = &result {
        return conflict_code(args, made, wanted, reporter.into_inner().streams);
    }
    if let (Ok(Some(done)), Some(patience)) = (&result, args.confirm_within) {
        let code = provisional(args, session, done, patience, options, &reporter).await;
        if let Some(code) = code {
            return code;
        }
    }
    finish(&result, &mut reporter.into_inner())
}

/// Tells what the plan opens and closes; the exit code where that is to fail.
fn opens(
    args: &Args,
    made: &Plan,
    actual: &Actual,
    wanted: (&Rows, &SourceMap),
    streams: &mut Streams<'_>,
) -> Option<u8> {
    let opening = args.opening.of(made, (actual, &Before::Database), wanted, &args.planning);
    streams.data(&opening.text(paint(streams)));
    let verdict = args.opening.verdict(&opening);
    if verdict.is_some() {
        streams.say("nothing was written\n");
    }
    verdict
}

fn conflict_code(args: &Args, made: &Plan, wanted: (&Rows, &SourceMap), streams: &mut Streams<'_>) -> u8 {
    if made.conflicts.is_empty() {
        return exit::OK;
    }
    args.planning.tell_conflicts(made, wanted, streams);
    streams.say("nothing was written\n");
    exit::CONFLICT
}

/// Waits for the confirmation; the exit code where it did not come.
async fn provisional(
    args: &Args,
    session: &Session,
    done: &Done,
    patience: Duration,
    options: &Options,
    reporter: &RefCell<Reporter<'_, '_>>,
) -> Option<u8> {
    let how_long = duration::show(patience);
    let owner = args.planning.owner();
    reporter.borrow_mut().streams.say(&format!(
        "applied provisionally; it is undone in {how_long} unless you run: northc confirm --owner {owner}\n"
    ));
    let interrupted = async {
        // Without a signal handler there is no interruption to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let mut on_event = |event| reporter.borrow_mut().event(&event);
    let outcome = hold(session, done, patience, interrupted, options, &mut on_event).await;
    let reporter = &mut reporter.borrow_mut();
    match outcome {
        Outcome::Confirmed => {
            reporter.streams.status("confirmed\n");
            None
        }
        Outcome::Overtaken => {
            reporter.streams.say("another apply of this owner followed; nothing is undone\n");
            None
        }
        Outcome::Undone(_) => {
            reporter.streams.say(&format!(
                "error[{}]: not confirmed in time; everything is as it was before\n",
                Code::TakenBack
            ));
            Some(exit::UNCONFIRMED)
        }
        Outcome::Stuck(failure) => {
            reporter.streams.say(&format!(
                "error[{}]: not confirmed in time, and it could not be undone\n",
                Code::NotTakenBack
            ));
            finish(&Err(failure), reporter);
            Some(exit::UNCONFIRMED)
        }
    }
}
