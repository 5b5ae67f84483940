//! `northc check`: read, check, tell every problem. Refuses to write rows.

use super::{Streams, exit, expecting, input, watch};
use crate::check;
use crate::diag::Sink;
use crate::lower::lower;
use crate::source;

const EXAMPLES: &str = "Examples:
  northc check                                  # everything below this directory
  kubectl get vpc,subnet,vm -A -o yaml | northc check -
  northc check net.yaml --deny warnings         # for CI: a warning fails too
  northc check net.yaml --format sarif > northc.sarif";

/// Arguments of `northc check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    input: input::InputArgs,
    /// Check again whenever a file changes
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    if args.watch {
        return watch::again(&args.input.paths, streams, |streams| once(args, streams));
    }
    once(args, streams)
}

fn once(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let mut sink = Sink::new();
    let sources = args.input.read(&mut sink);
    let remembered = args.input.remembered(&mut sink);
    let mut model = source::read(&sources, &mut sink);
    model.prefer_chassis(&args.input.gateway_chassis());
    let target = args.input.ovn_version;
    let checked = check::check(&model, target, &remembered, &mut sink);
    if let Some(checked) = checked.filter(|_| !model.expectations.is_empty()) {
        expecting::hold(&model, &lower(&checked), target, &sources, &mut sink);
    }
    args.input.tell(sink, &sources, streams, true).err().unwrap_or(exit::OK)
}
