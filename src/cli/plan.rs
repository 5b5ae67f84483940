//! `northc plan`: what would change in a live database, or between two inputs. Refuses to write either.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::opening::{Before, Opening, OpeningArgs};
use super::planning::{PlanningArgs, guard_text, paint};
use super::verify::Proof;
use super::{Streams, exit, watch};
use crate::diag::Code;
use crate::emit;
use crate::files;
use crate::nb::actual::Actual;
use crate::plan::batch::{Limits, batches};
use crate::plan::standing::Standing;
use crate::plan::{Plan, as_if_applied, json, plan, render};

const EXAMPLES: &str = "Examples:
  northc plan net.yaml                          # against $OVN_NB_DB, or OVN's own default
  northc plan net.yaml --db tcp:10.0.0.1:6641 --out net.plan
  northc plan --from old/ --to new/             # two inputs; needs no database
  northc diff old/ new/ --fail-on opens         # for CI: 1 when something newly opens
  northc plan net.yaml --detailed-exitcode      # for CI: 2 when something would change";

/// Arguments of `northc plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Compare with this input instead of a database
    #[arg(long, value_name = "OLD", num_args = 1..)]
    from: Vec<PathBuf>,
    /// With --from: the new input. Else the form to write: nbctl or ovsdb
    #[arg(long, value_name = "NEW|FORM", num_args = 1..)]
    to: Vec<OsString>,
    /// Save the plan, to apply exactly it later
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Prove first that the rows mean what the input says
    #[arg(long)]
    verify: bool,
    /// Exit with 2 when there are differences
    #[arg(long)]
    detailed_exitcode: bool,
    /// Plan again whenever a file changes
    #[arg(long)]
    watch: bool,
    // What has headings of its own comes last, or it takes what follows under them.
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    opening: OpeningArgs,
}

impl Args {
    /// The same, with the two paths as the old input and the new one, unless --from and --to say which they are.
    fn between(mut self) -> Result<Args, &'static str> {
        match (self.planning.input.paths.as_slice(), self.from.is_empty()) {
            ([old, new], true) => (self.from, self.to) = (vec![old.clone()], vec![new.clone().into()]),
            (_, true) => return Err("`diff` compares two files or folders: northc diff OLD NEW"),
            (_, false) => {}
        }
        Ok(self)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Words,
    Json,
    Markdown,
    Nbctl,
    Ovsdb,
}

/// `northc diff`: the same between two paths.
pub(super) fn diff(args: Args, streams: &mut Streams<'_>) -> u8 {
    match args.between() {
        Ok(args) => run(&args, streams),
        Err(problem) => {
            streams.say(&format!("error: {problem}\n"));
            exit::USAGE
        }
    }
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let (form, new) = match form(args) {
        Ok(said) => said,
        Err(problem) => {
            streams.say(&format!("error: {problem}\n"));
            return exit::USAGE;
        }
    };
    let database = args.from.is_empty().then(|| open(args));
    if args.watch {
        let paths = [new.as_slice(), &args.from].concat();
        // The connection stays, so that the database need not be read again.
        let mut standing = Standing::default();
        return watch::again(&paths, streams, |streams| {
            once(args, form, &new, database.clone(), Some(&mut standing), streams)
        });
    }
    once(args, form, &new, database, None, streams)
}

fn once(
    args: &Args,
    form: Form,
    new: &[PathBuf],
    database: Option<Database>,
    standing: Option<&mut Standing>,
    streams: &mut Streams<'_>,
) -> u8 {
    let planning = &args.planning;
    let wanted = match planning.wanted(new, args.proof(), streams) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    let old;
    let (actual, before) = if let Some(database) = database {
        match read(database, streams) {
            Ok(actual) => (actual, Before::Database),
            Err(code) => return code,
        }
    } else {
        old = match planning.former(&args.from, streams) {
            Ok(old) => old,
            Err(code) => return code,
        };
        (Arc::new(as_if_applied(&old.0, planning.owner())), Before::Input(&old))
    };
    let (rows, sources) = wanted;
    let request = planning.request(&sources);
    let alone;
    let (made, desired) = if let Some(standing) = standing {
        standing.want(rows);
        (standing.plan(&actual, &request), standing.desired())
    } else {
        alone = rows;
        (plan(&alone, &actual, &request), &alone)
    };
    let wanted = (desired, &sources);
    let opening = args.opening.of(&made, (&actual, &before), wanted, planning);
    show(args, form, &made, &opening, streams);
    if !made.conflicts.is_empty() {
        planning.tell_conflicts(&made, wanted, streams);
        return exit::CONFLICT;
    }
    if let Some(path) = &args.out
        && let Err(code) = save(path, &made, &opening, streams)
    {
        return code;
    }
    if let Some(code) = args.opening.verdict(&opening) {
        return code;
    }
    if args.detailed_exitcode && !made.is_empty() { exit::DIFFERENCES } else { exit::OK }
}

impl Args {
    fn proof(&self) -> Proof {
        if self.verify { Proof::Whole } else { Proof::None }
    }
}

/// What to write, and the paths of the new input: `--to` means either, by what it says.
fn form(args: &Args) -> Result<(Form, Vec<PathBuf>), String> {
    let mut form = match &args.planning.input {
        input if input.is_json() => Form::Json,
        input if input.is_markdown() => Form::Markdown,
        _ => Form::Words,
    };
    let mut new: Vec<PathBuf> = Vec::new();
    for word in &args.to {
        match word.to_str() {
            Some("nbctl") => form = Form::Nbctl,
            Some("ovsdb") => form = Form::Ovsdb,
            _ => new.push(word.into()),
        }
    }
    match (new.is_empty(), args.from.is_empty()) {
        (true, _) => Ok((form, args.planning.input.paths.clone())),
        (false, false) => Ok((form, new)),
        (false, true) => {
            Err(format!("`--to {}` is neither nbctl nor ovsdb; a path needs --from", new[0].display()))
        }
    }
}

#[cfg(feature = "live")]
type Database = Result<crate::ovsdb::session::Session, crate::ovsdb::fault::Fault>;
#[cfg(not(feature = "live"))]
#[derive(Clone)]
struct Database;

#[cfg(feature = "live")]
fn open(args: &Args) -> Database {
    args.planning.database.northbound_ahead()
}

#[cfg(not(feature = "live"))]
fn open(_: &Args) -> Database {
    Database
}

#[cfg(feature = "live")]
fn read(database: Database, streams: &mut Streams<'_>) -> Result<Arc<Actual>, u8> {
    use super::database::{read, refuse};
    read(database).map_err(|fault| refuse(&fault, streams))
}

#[cfg(not(feature = "live"))]
fn read(Database: Database, streams: &mut Streams<'_>) -> Result<Arc<Actual>, u8> {
    streams.say("error: this northc was built without the feature `live`; it plans with --from only\n");
    Err(exit::USAGE)
}

fn show(args: &Args, form: Form, made: &Plan, opening: &Opening, streams: &mut Streams<'_>) {
    let text = match form {
        Form::Words => format!("{}{}", render::text(made, paint(streams)), opening.text(paint(streams))),
        Form::Json => format!("{:#}\n", json::document_with(made, opening.document())),
        Form::Markdown => render::markdown(made, &opening.markdown()),
        Form::Nbctl => emit::commands::script(made),
        Form::Ovsdb => emit::operations::transactions(made, &batches(made, &Limits::default())),
    };
    streams.data(&text);
    if let Some(guard) = &made.guard {
        let (code, what) = (Code::MuchDeleted, guard_text(guard));
        streams.say(&format!("warning[{code}]: {what}; apply needs --yes-delete\n"));
    }
    if form == Form::Words && args.from.is_empty() && args.out.is_none() && !made.is_empty() {
        streams.status("Not saved (--out FILE), so an apply later may do something else.\n");
    }
}

fn save(path: &Path, made: &Plan, opening: &Opening, streams: &mut Streams<'_>) -> Result<(), u8> {
    match files::write(path, &format!("{:#}\n", json::document_with(made, opening.document()))) {
        Ok(()) => {
            streams.status(&format!("Saved. Apply exactly this: northc apply {}\n", path.display()));
            Ok(())
        }
        Err(reason) => {
            streams.say(&format!("error: {reason}\n"));
            Err(exit::USAGE)
        }
    }
}
