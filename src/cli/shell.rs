//! `northc completions` and `northc man`: what shells and readers of manuals need, made from the command
//! line itself. Refuses to install anything.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::{Command, ValueEnum};
use clap_complete::Generator;
use clap_complete::shells::{Bash, Fish, Zsh};
use clap_mangen::Man;

use super::{Streams, environment, exit};
use crate::files;

/// Arguments of `northc completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

const COMPLETIONS_EXAMPLES: &str = "Examples:
  northc completions bash > ~/.local/share/bash-completion/completions/northc
  northc completions zsh > ~/.zfunc/_northc            # with ~/.zfunc in $fpath
  northc completions fish > ~/.config/fish/completions/northc.fish";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    /// GNU Bash
    Bash,
    /// The Z shell
    Zsh,
    /// fish
    Fish,
}

/// Arguments of `northc man`.
#[derive(Debug, clap::Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(super) struct ManArgs {
    /// Write a page for northc and one for every command into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "man", value_enum, conflicts_with = "dir")]
    format: ManFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ManFormat {
    /// For man(1)
    Man,
    /// One page with every command, the exit codes and the environment
    Markdown,
}

const MAN_EXAMPLES: &str = "Examples:
  northc man | man -l -
  northc man --dir ~/.local/share/man/man1";

/// Writes a shell's completions.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command, streams: &mut Streams<'_>) -> u8 {
    command.set_bin_name("northc");
    command.build();
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => Bash.generate(&command, &mut script),
        Shell::Zsh => Zsh.generate(&command, &mut script),
        Shell::Fish => {
            Fish.generate(&command, &mut script);
            script.extend(fish_words(&command).into_bytes());
        }
    }
    streams.data(&String::from_utf8_lossy(&script));
    exit::OK
}

/// What may stand in a place that has no option before it, for fish: clap's generator leaves these out.
fn fish_words(command: &Command) -> String {
    let mut out = String::new();
    for verb in command.get_subcommands() {
        for value in verb.get_positionals().flat_map(clap::Arg::get_possible_values) {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default().replace('\'', "\\'");
            let (verb, value) = (verb.get_name(), value.get_name());
            let on = format!("__fish_northc_using_subcommand {verb}");
            out.push_str(&format!("complete -c northc -n \"{on}\" -f -a '{value}' -d '{help}'\n"));
        }
    }
    out
}

/// Writes the main page, or all of them into a directory.
pub(super) fn man(args: &ManArgs, mut command: Command, streams: &mut Streams<'_>) -> u8 {
    command.build();
    let Some(dir) = &args.dir else {
        streams.data(&match args.format {
            ManFormat::Man => page(&command),
            ManFormat::Markdown => markdown(&command),
        });
        return exit::OK;
    };
    match pages(&command, dir) {
        Ok(()) => exit::OK,
        Err(reason) => {
            streams.say(&format!("error: {reason}\n"));
            exit::USAGE
        }
    }
}

fn pages(command: &Command, dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|error| format!("can't make `{}`: {error}", dir.display()))?;
    files::write(&dir.join("northc.1"), &page(command))?;
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
    for verb in verbs {
        files::write(&dir.join(format!("northc-{}.1", verb.get_name())), &page(verb))?;
    }
    Ok(())
}

/// How wide help is where nobody looks at it on a terminal.
const COLUMNS: usize = 110;

/// All of it on one page: what every command's `--help` says, the exit codes and the environment.
fn markdown(command: &Command) -> String {
    let mut out =
        "# Commands\n\nWritten by `northc man --format markdown` from the command line itself.\n".to_owned();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        let help = verb.clone().term_width(COLUMNS).render_long_help().to_string();
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        out.push_str(&format!("\n## northc {}\n\n```text\n{}\n```\n", verb.get_name(), lines.join("\n")));
    }
    out.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    exit::TABLE.iter().for_each(|(code, meaning)| out.push_str(&format!("| {code} | {meaning} |\n")));
    out.push_str("\n## Environment\n\n| variable | meaning |\n|---|---|\n");
    environment::TABLE
        .iter()
        .for_each(|(name, meaning)| out.push_str(&format!("| `{name}` | {meaning} |\n")));
    out
}

/// A page in man(7). It has no date, so that the same program gives the same bytes. The heading and the
/// examples are northc's own: an empty date must be quoted, and lines of examples must stay lines.
fn page(command: &Command) -> String {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let heading = format!(".TH \"{name}\" \"1\" \"\" \"northc {}\" \"northc\"", env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    let without_examples = command.clone().after_help(Resettable::Reset);
    // Writing into memory does not fail.
    let _ = Man::new(without_examples).render(&mut page);
    let page = String::from_utf8_lossy(&page).replace("\n.br\n\n.br\n", "\n.sp\n");
    let mut out = String::new();
    for line in page.lines() {
        if line == ".SH VERSION" {
            out.push_str(&terms("EXIT STATUS", exit::TABLE));
            out.push_str(&terms("ENVIRONMENT", environment::TABLE));
            out.push_str(&examples(command));
            out.push_str(".SH \"SEE ALSO\"\n.BR northc (1),\n.BR ovn\\-nb (5),\n.BR ovn\\-nbctl (8)\n");
        }
        out.push_str(if line.starts_with(".TH ") { &heading } else { line });
        out.push('\n');
    }
    out
}

/// A section of words and what they mean.
fn terms(title: &str, table: &[(impl Display, &str)]) -> String {
    let term = |(word, meaning): &(_, &str)| format!(".TP\n.B {word}\n{}\n", roff(meaning));
    format!(".SH \"{title}\"\n{}", table.iter().map(term).collect::<String>())
}

/// Text as man(7) prints it.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

fn examples(command: &Command) -> String {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines: Vec<String> = text
        .lines()
        .filter(|line| *line != "Examples:")
        .map(|line| format!("\\&{}\n", roff(line.trim_start())))
        .collect();
    if lines.is_empty() { String::new() } else { format!(".SH EXAMPLES\n.nf\n{}.fi\n", lines.concat()) }
}
