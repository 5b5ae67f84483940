//! What the verbs that plan have in common: input to wanted rows, options to a request, conflicts to words.
//!
//! Refuses to talk to a database.

use std::path::PathBuf;

use super::verify::Proof;
use super::{Streams, exit, expecting, input};
use crate::compile::{Compiled, Options, compile_and};
use crate::diag::{Code, Diagnostic, Sink};
use crate::files;
use crate::nb::Rows;
use crate::plan::ownership::{Cause, Conflict};
use crate::plan::render::Paint;
use crate::plan::{Adopt, Guard, Mode, Plan, Request, saved};
use crate::span::SourceMap;

/// What is wanted, what may be done for it, and where.
#[derive(Debug, clap::Args)]
pub(super) struct PlanningArgs {
    #[command(flatten)]
    pub(super) input: input::InputArgs,
    #[command(flatten)]
    allowed: AllowedArgs,
    #[cfg(feature = "live")]
    #[command(flatten)]
    pub(super) database: super::database::DatabaseArgs,
}

/// What may be done to the rows that are there.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What may be done")]
struct AllowedArgs {
    /// Whose rows they are: several owners share a database without seeing each other
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = super::compile::owner)]
    owner: String,
    /// Insert rows, and change and delete none
    #[arg(long)]
    add_only: bool,
    /// Whether rows that are no longer wanted are deleted
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    prune: bool,
    /// Take over rows of others that hold a wanted name
    #[arg(long)]
    adopt: bool,
    /// The share of the owner's rows that may be deleted without --yes-delete
    #[arg(long, value_name = "PERCENT", default_value = "30%", value_parser = percent)]
    max_delete: usize,
}

impl PlanningArgs {
    /// Whose rows are meant.
    pub(super) fn owner(&self) -> &str {
        &self.allowed.owner
    }

    /// The request that they make.
    pub(super) fn request<'s>(&'s self, sources: &'s SourceMap) -> Request<'s> {
        let AllowedArgs { owner, add_only, prune, adopt, max_delete } = &self.allowed;
        let mode = match (add_only, prune) {
            (true, _) => Mode::AddOnly,
            (false, false) => Mode::Keep,
            (false, true) => Mode::All,
        };
        let adopt = if *adopt { Adopt::InTheWay } else { Adopt::Never };
        Request { owner, mode, adopt, percent_deleted_max: *max_delete, sources }
    }

    /// The wanted rows of the input at `paths`, proven as far as asked and held to what is expected of them; the
    /// exit code when it has errors, which were told.
    pub(super) fn wanted(
        &self,
        paths: &[PathBuf],
        proof: Proof,
        streams: &mut Streams<'_>,
    ) -> Result<(Rows, SourceMap), u8> {
        self.compiled(paths, proof, streams, |compiled, sources, sink| {
            expecting::hold(&compiled.model, &compiled.rows, self.input.ovn_version, sources, sink);
            // Somebody has named the wrong folder more often than wanted all to go.
            sink.refuse(Code::NothingToCompile);
            true
        })
    }

    /// The rows of an input that is to be left behind, whatever was expected of it or could be said of it.
    pub(super) fn former(
        &self,
        paths: &[PathBuf],
        streams: &mut Streams<'_>,
    ) -> Result<(Rows, SourceMap), u8> {
        self.compiled(paths, Proof::None, streams, |_, _, _| false)
    }

    fn compiled(
        &self,
        paths: &[PathBuf],
        proof: Proof,
        streams: &mut Streams<'_>,
        hold: impl FnOnce(&Compiled, &SourceMap, &mut Sink) -> bool,
    ) -> Result<(Rows, SourceMap), u8> {
        let mut sink = Sink::new();
        let sources = self.input.read_paths(paths, &mut sink);
        let options = Options {
            owner: self.owner().to_owned(),
            target: self.input.ovn_version,
            remembered: self.input.remembered(&mut sink),
            gateway_chassis: self.input.gateway_chassis(),
        };
        let compiled = compile_and(&sources, &options, &mut sink, |checked, rows, sink| {
            proof.look(checked, rows, options.target, sink);
        });
        let is_told = compiled.as_ref().is_none_or(|compiled| hold(compiled, &sources, &mut sink));
        if is_told {
            self.input.tell(sink, &sources, streams, false)?;
        }
        compiled.map(|compiled| (compiled.rows, sources)).ok_or(exit::NO)
    }

    /// Tells what is in the way of the wanted rows.
    pub(super) fn tell_conflicts(
        &self,
        plan: &Plan,
        (desired, sources): (&Rows, &SourceMap),
        streams: &mut Streams<'_>,
    ) {
        let mut sink = Sink::new();
        for conflict in &plan.conflicts {
            let mut diagnostic = match desired.origin(&conflict.key) {
                Some(span) => Diagnostic::new(code(conflict), span, conflict.to_string()),
                None => Diagnostic::general(code(conflict), conflict.to_string()),
            };
            if let Some(help) = conflict.help() {
                diagnostic = diagnostic.help(help);
            }
            sink.push(diagnostic);
        }
        // Conflicts have an exit code of their own.
        let _ = self.input.tell(sink, sources, streams, false);
    }
}

/// The saved plan, when the only path is one.
pub(super) fn saved_plan(paths: &[PathBuf]) -> Result<Option<Plan>, saved::Unusable> {
    let [path] = paths else { return Ok(None) };
    if path.is_dir() || path.as_os_str() == "-" {
        return Ok(None);
    }
    let (sources, _) = files::read(std::slice::from_ref(path));
    match sources.iter().next() {
        Some((_, source)) if saved::is_plan(&source.text) => saved::read(&source.text).map(Some),
        Some(_) | None => Ok(None),
    }
}

fn percent(text: &str) -> Result<usize, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse();
    number.ok().filter(|percent| *percent <= 100).ok_or_else(|| format!("`{text}` is not 0% to 100%"))
}

fn code(conflict: &Conflict) -> Code {
    match conflict.cause {
        Cause::NameTaken => Code::RowInTheWay,
        Cause::UuidTaken => Code::UuidInTheWay,
        Cause::NameOnOtherSide => Code::PortNameShared,
        Cause::HoldsForeign(_) => Code::HoldsForeign,
        Cause::ReferredByForeign(_) => Code::ReferredByForeign,
        Cause::HeldByForeign(_) => Code::HeldByForeign,
        Cause::NotOnServer(_) => Code::ServerLacks,
    }
}

/// Why a plan needs a yes, in words.
pub(super) fn guard_text(guard: &Guard) -> String {
    let Guard { n_deleted, n_owned, routers } = guard;
    let names: Vec<String> = routers.iter().map(|key| format!("`{}`", key.name)).collect();
    let vpcs = match names.as_slice() {
        [] => String::new(),
        [name] => format!(", everything of VPC {name}"),
        names => format!(", everything of VPCs {}", names.join(", ")),
    };
    format!("this deletes {n_deleted} of {n_owned} rows{vpcs}")
}

/// Whether to colour a plan.
pub(super) fn paint(streams: &Streams<'_>) -> Paint {
    if streams.data_colour { Paint::Ansi } else { Paint::Plain }
}
