//! `northc destroy`: removes what an owner owns, all of it and nothing else. Refuses to guess whose.

use std::cell::RefCell;

use super::apply::ApplyingArgs;
use super::database::{DatabaseArgs, block_on, refuse};
use super::report::{Consent, Reporter, finish};
use super::{Streams, exit};
use crate::apply::destroy;
use crate::nb::actual::Actual;
use crate::plan::{Plan, Request, plan, render};
use crate::span::SourceMap;

const EXAMPLES: &str = "Examples:
  northc destroy --dry-run                      # what would go
  northc destroy --owner shop                   # shows it, and asks for the owner's name";

/// Arguments of `northc destroy`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Whose rows go
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = super::compile::owner)]
    owner: String,
    #[command(flatten)]
    applying: ApplyingArgs,
    /// Show what would go and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let opened =
        args.database.northbound().and_then(|session| Ok((session, args.applying.options(&args.database)?)));
    let (session, options) = match opened {
        Ok(opened) => opened,
        Err(fault) => return refuse(&fault, streams),
    };
    let sources = SourceMap::new();
    let request = Request::new(&args.owner, &sources);
    if args.dry_run {
        return match block_on(session.actual()) {
            Ok(actual) => {
                let made = plan(&crate::nb::Rows::new(), &actual, &request);
                streams.data(&render::text(&made, super::planning::paint(streams)));
                exit::OK
            }
            Err(fault) => refuse(&fault, streams),
        };
    }
    // Deleting is what was asked for: --yes is enough, and on a terminal the owner's name is.
    let consent =
        Consent { yes: args.applying.yes, yes_delete: args.applying.yes, word: Some(args.owner.clone()) };
    let reporter = RefCell::new(Reporter::new(streams, consent));
    let mut approve = |made: &Plan, _: &Actual| {
        let reporter = &mut *reporter.borrow_mut();
        reporter.show(made);
        reporter.approve(made)
    };
    let mut on_event = |event| reporter.borrow_mut().event(&event);
    let _stage = tracing::info_span!("destroy").entered();
    let result = block_on(destroy(&session, &request, &options, &mut approve, &mut on_event));
    finish(&result, &mut reporter.into_inner())
}
