//! `northc compile`: rows as a script, a transaction or JSON. Refuses to talk to a database.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use tracing::info_span;

use super::verify::Proof;
use super::{Streams, exit, expecting, input, trace};
use crate::assign::Remembered;
use crate::check::Checked;
use crate::compile::{Options, compile_rows};
use crate::diag::{Code, Sink};
use crate::emit;
use crate::span::SourceMap;
use crate::{files, lock};

const EXAMPLES: &str = "Examples:
  northc compile net.yaml -o net.sh             # then: OVN_NB_DB=tcp:10.0.0.1:6641 bash net.sh
  northc compile net/ --lock net/northc.lock    # addresses stay put from run to run
  northc compile net.yaml --to rows             # JSON: each row and the line that caused it";

/// Arguments of `northc compile`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    input: input::InputArgs,
    /// What to write
    #[arg(long, value_name = "FORM", default_value = "nbctl", value_enum)]
    to: Form,
    /// Where to write it; standard output by default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Whose rows they are: several owners share a database without seeing each other
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = owner)]
    owner: String,
    /// Prove first that the rows mean what the input says
    #[arg(long)]
    verify: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// A bash script of ovn-nbctl calls
    Nbctl,
    /// The params of an RFC 7047 transaction
    Ovsdb,
    /// Canonical JSON, with the line that caused each row
    Rows,
}

/// A name that can stand in a database and in a script's comment.
pub(super) fn owner(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("an owner's name is not empty and holds no control characters".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let mut sink = Sink::new();
    let sources = args.input.read(&mut sink);
    let options = Options {
        owner: args.owner.clone(),
        target: args.input.ovn_version,
        remembered: args.input.remembered(&mut sink),
        gateway_chassis: args.input.gateway_chassis(),
    };
    let proof = if args.verify { Proof::Whole } else { Proof::None };
    let mut chosen = Remembered::new();
    let wants = |checked: &Checked<'_>| {
        if args.input.lock.is_some() {
            chosen = checked.assignment().chosen(checked.model());
        }
        args.verify || !checked.model().expectations.is_empty()
    };
    let rows = compile_rows(&sources, &options, &mut sink, wants, |checked, rows, sink| {
        proof.look(checked, rows, options.target, sink);
        expecting::hold(checked.model(), rows, options.target, &sources, sink);
    });
    sink.refuse(Code::NothingToCompile);
    if let Err(code) = args.input.tell(sink, &sources, streams, false) {
        return code;
    }
    let Some(rows) = rows else { return exit::NO };
    // Only JSON says where each row comes from.
    let sources = if let Form::Rows = args.to { sources } else { SourceMap::new() };
    let emit = |out: &mut dyn Write| {
        let _emitting = info_span!("emit").entered();
        match args.to {
            Form::Nbctl => out.write_all(emit::nbctl::script(&rows, &args.owner, options.target).as_bytes()),
            Form::Ovsdb => emit::transact::write(out, &rows, &args.owner),
            Form::Rows => out.write_all(emit::json::rows(&rows, &args.owner, &sources).as_bytes()),
        }
    };
    let locked = args.input.lock.as_ref().filter(|_| chosen != options.remembered);
    let wrote_lock = locked.map_or(Ok(()), |path| files::write(path, &lock::text(&chosen)));
    let wrote = wrote_lock.and_then(|()| match &args.output {
        Some(path) => files::write_with(path, emit),
        None => {
            if std::io::stdout().is_terminal() {
                trace::hush();
            }
            // A reader that has gone away is not an error.
            let _ = emit(streams.out);
            Ok(())
        }
    });
    // The program ends: a million rows that are freed one by one are a twentieth of a compilation.
    std::mem::forget((rows, sources));
    match wrote {
        Ok(()) => exit::OK,
        Err(reason) => {
            streams.say(&format!("error: {reason}\n"));
            exit::USAGE
        }
    }
}
