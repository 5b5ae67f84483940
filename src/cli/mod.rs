//! The command line: one enum of verbs, one match.
//!
//! Standard output is data, standard error is speech. Refuses to do a verb's work itself; each has a file.

#[cfg(feature = "live")]
mod apply;
mod check;
mod compile;
#[cfg(feature = "live")]
mod confirm;
#[cfg(feature = "live")]
mod database;
#[cfg(feature = "live")]
mod destroy;
#[cfg(feature = "live")]
mod doctor;
mod duration;
mod environment;
pub mod exit;
mod expecting;
mod explain;
mod graph;
mod input;
mod opening;
mod overlay;
mod plan;
mod planning;
mod reach;
#[cfg(feature = "live")]
mod report;
mod schema;
mod shell;
mod trace;
mod verify;
mod watch;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

/// Compiles virtual private clouds into OVN.
#[derive(Debug, Parser)]
#[command(name = "northc", version, about, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// When to colour; by itself on a terminal, unless NO_COLOR is set, and anywhere with FORCE_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", value_enum)]
    color: ColorChoice,
    /// Say nothing of how it goes; problems and answers are told
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Tell what happens inside; twice for more (or NORTHC_LOG=FILTER)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Tell how long each stage took
    #[arg(long, global = true)]
    timings: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read and check; every problem at once, no network
    ///
    /// Tells every mistake with the line that it is on. Exits with 1 when one of them is an error.
    Check(check::Args),
    /// Write the rows as an ovn-nbctl script, an OVSDB transaction or JSON
    ///
    /// Writes nothing when the input has an error. The same input gives the same bytes, everywhere.
    Compile(compile::Args),
    /// Show what would change in a live database, or between two inputs
    ///
    /// Changes nothing. Rows of other owners are left alone; where one is in the way, the plan says which.
    Plan(plan::Args),
    /// Show what would change between two inputs: OLD NEW; otherwise as `plan`
    ///
    /// Changes nothing, and needs no database. What newly opens and closes is told with a packet each.
    #[command(override_usage = "northc diff [OPTIONS] <OLD> <NEW>")]
    Diff(plan::Args),
    /// Make a live database hold the rows: plan, ask, do it atomically, wait, read back
    #[cfg(feature = "live")]
    Apply(apply::Args),
    /// Remove what an owner owns
    #[cfg(feature = "live")]
    Destroy(destroy::Args),
    /// Keep what `apply --confirm-within` did
    #[cfg(feature = "live")]
    Confirm(confirm::Args),
    /// Whether a database can be worked with, and whether OVN follows it
    ///
    /// Changes nothing. Exits with 1 when OVN or the schema is behind.
    #[cfg(feature = "live")]
    Doctor(doctor::Args),
    /// What a problem's code means, with an example of each side
    ///
    /// Without a code it lists them all.
    Explain(explain::Args),
    /// Draw the network as SVG, DOT, Mermaid or a page
    ///
    /// VPCs are boxes with a router and subnets in them, peerings are lines between boxes. Input with errors
    /// is not drawn; `northc check` tells the warnings.
    Graph(graph::Args),
    /// What the kinds of northc.io/v1alpha1 take, as a JSON Schema for editors or a page
    Schema(schema::Args),
    /// What can reach what and why, from rows alone
    ///
    /// Follows whole sets of packets through the rows, request and answer. Exits with 0 when what was asked is
    /// reachable, 1 when it is not, and 7 when the rows leave it open.
    Reach(reach::Args),
    /// Prove that the rows mean what the input says
    ///
    /// Reads the input and the rows that northc makes of it by two independent ways, and compares what becomes of
    /// every packet. Exits with 1 when they differ, and 7 when something was left out.
    Verify(verify::Args),
    /// Write completions for a shell
    Completions(shell::CompletionsArgs),
    /// Write the manual's main page, or all of its pages
    Man(shell::ManArgs),
}

/// Where a verb reads and writes.
struct Streams<'s> {
    out: &'s mut dyn Write,
    err: &'s mut dyn Write,
    /// Whether messages may be coloured.
    colour: bool,
    /// Whether data may be: a file keeps what it is given.
    data_colour: bool,
    /// Whether nobody wants to hear how it goes.
    quiet: bool,
    /// Whether messages go to a terminal.
    #[cfg(feature = "live")]
    terminal: bool,
}

impl Streams<'_> {
    /// Writes data; a reader that has gone away is not an error.
    fn data(&mut self, text: &str) {
        trace::clear();
        let _ = self.out.write_all(text.as_bytes());
    }

    /// Says how it goes, unless nobody wants to hear it.
    fn status(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Says something to the person.
    fn say(&mut self, text: &str) {
        trace::clear();
        let _ = self.err.write_all(text.as_bytes());
    }
}

/// Runs a command line (the program's name first) and gives the exit code. `terminal` tells whether
/// standard error is one.
pub fn run<A>(args: A, out: &mut dyn Write, err: &mut dyn Write, terminal: bool) -> u8
where
    A: IntoIterator,
    A::Item: Into<OsString> + Clone,
{
    let parsed = Cli::command().try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let to: &mut dyn Write = if error.use_stderr() { err } else { out };
            let _ = write!(to, "{}", error.render());
            return if error.use_stderr() { exit::USAGE } else { exit::OK };
        }
    };
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let colour = |terminal: bool| match cli.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let is_forced = ["FORCE_COLOR", "CLICOLOR_FORCE"].into_iter().any(is_set);
            (terminal || is_forced) && !is_set("NO_COLOR")
        }
    };
    let mut streams = Streams {
        out,
        err,
        colour: colour(terminal),
        data_colour: colour(terminal && std::io::stdout().is_terminal()),
        quiet: cli.quiet,
        #[cfg(feature = "live")]
        terminal,
    };
    trace::listen(cli.verbose, cli.timings, terminal && !cli.quiet);
    act(cli.verb, &mut streams)
}

fn act(verb: Verb, streams: &mut Streams<'_>) -> u8 {
    match verb {
        Verb::Check(args) => check::run(&args, streams),
        Verb::Compile(args) => compile::run(&args, streams),
        Verb::Plan(args) => plan::run(&args, streams),
        Verb::Diff(args) => plan::diff(args, streams),
        #[cfg(feature = "live")]
        Verb::Apply(args) => apply::run(&args, streams),
        #[cfg(feature = "live")]
        Verb::Destroy(args) => destroy::run(&args, streams),
        #[cfg(feature = "live")]
        Verb::Confirm(args) => confirm::run(&args, streams),
        #[cfg(feature = "live")]
        Verb::Doctor(args) => doctor::run(&args, streams),
        Verb::Explain(args) => explain::run(&args, streams),
        Verb::Graph(args) => graph::run(&args, streams),
        Verb::Schema(args) => schema::run(&args, streams),
        Verb::Reach(args) => reach::run(&args, streams),
        Verb::Verify(args) => verify::run(&args, streams),
        Verb::Completions(args) => shell::completions(&args, Cli::command(), streams),
        Verb::Man(args) => shell::man(&args, Cli::command(), streams),
    }
}
