//! `northc verify`: do the rows mean what the input says? Refuses to write rows.

use std::time::{Duration, Instant};

use tracing::info_span;

use super::{Streams, duration, exit, input};
use crate::check::Checked;
use crate::compile::{Options, compile_and};
use crate::diag::{Code, Diagnostic, Sink};
use crate::nb::Rows;
use crate::reach::network::Network;
use crate::target::Target;
use crate::verify::{Report, verify};

const EXAMPLES: &str = "Examples:
  northc verify net.yaml                        # every machine, every packet
  northc verify net/ --budget 1m                # as much of it as a minute allows
  northc verify net/ --format sarif > northc.sarif";

/// Arguments of `northc verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    input: input::InputArgs,
    /// Stop after this time, and tell how far it came
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    budget: Option<Duration>,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let mut sink = Sink::new();
    let sources = args.input.read(&mut sink);
    let target = args.input.ovn_version;
    let options = Options {
        owner: "default".to_owned(),
        target,
        remembered: args.input.remembered(&mut sink),
        gateway_chassis: args.input.gateway_chassis(),
    };
    let mut report = None;
    compile_and(&sources, &options, &mut sink, |checked, rows, sink| {
        report = args.budget.map_or(Proof::Whole, Proof::Within).look(checked, rows, target, sink);
        if let Some(report) = &report {
            report.advise(sink);
        }
    });
    if let Err(code) = args.input.tell(sink, &sources, streams, true) {
        return code;
    }
    let Some(report) = report else { return exit::NO };
    if !report.is_whole() || !report.undetermined.is_empty() {
        return exit::UNDETERMINED;
    }
    let n = report.n_senders;
    let senders = if n == 1 { "1 sender".to_owned() } else { format!("{n} senders") };
    streams.status(&format!("the rows mean what the input says: every packet of {senders} was compared\n"));
    exit::OK
}

/// How much of the proof a verb does beside its own work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proof {
    /// Nothing.
    None,
    /// All of it.
    Whole,
    /// As much as this time allows.
    Within(Duration),
}

impl Proof {
    /// Does it, and says what was found; nothing where nobody asked.
    pub(super) fn look(
        self,
        checked: &Checked<'_>,
        rows: &Rows,
        target: Target,
        sink: &mut Sink,
    ) -> Option<Report> {
        let budget = match self {
            Proof::None => return None,
            Proof::Whole => None,
            Proof::Within(budget) => Some(budget),
        };
        let _stage = info_span!("verify").entered();
        let began = Instant::now();
        let network = Network::of_rows(rows, target);
        let report = verify(checked, &network, &|| budget.is_none_or(|budget| began.elapsed() < budget));
        report.tell(sink);
        if !report.is_whole() {
            let (done, all, time) = (report.n_followed, report.n_senders, duration::show(began.elapsed()));
            let message = format!("{done} of {all} senders were verified in {time}");
            let help = "`northc verify` takes the time it needs, `--budget TIME` sets a limit";
            sink.push(Diagnostic::general(Code::NotAllVerified, message).help(help));
        }
        Some(report)
    }
}
