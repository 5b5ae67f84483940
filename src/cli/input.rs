//! Arguments that every verb with input shares, and how problems of the input are told.
//!
//! Refuses to compile.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use tracing::info_span;

use super::{Streams, exit};
use crate::assign::Remembered;
use crate::diag::{Code, Diagnostic, Levels, Severity, Sink, format, render};
use crate::files;
use crate::lock;
use crate::model::GatewayChassis;
use crate::span::SourceMap;
use crate::target::Target;

/// What to read and how to judge it.
#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// Files and folders of YAML or JSON; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub(super) paths: Vec<PathBuf>,
    /// The OVN that the rows are for
    #[arg(long, value_name = "YY.MM", default_value_t = Target::OLDEST)]
    pub(super) ovn_version: Target,
    /// Remember given addresses in this file, so that they stay put
    #[arg(long, value_name = "FILE")]
    pub(super) lock: Option<PathBuf>,
    /// Chassis that may carry gateways, the preferred first; instead of those that Nodes name
    #[arg(long, value_name = "NAME[:PRIORITY],…", value_parser = chassis_list)]
    gateway_chassis: Option<ChassisList>,
    /// Treat a code, or all `warnings`, as errors
    #[arg(long, value_name = "CODE", value_parser = Codes(str::parse::<Denied>), hide_possible_values = true)]
    deny: Vec<Denied>,
    /// Silence a code that is no error
    #[arg(long, value_name = "CODE", value_parser = Codes(silenceable), hide_possible_values = true)]
    allow: Vec<Code>,
    /// How to tell problems
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    format: Format,
}

/// What to read, for a verb whose `--format` is its product's: problems are told as text.
#[derive(Debug, clap::Args)]
pub(super) struct DrawnArgs {
    /// Files and folders of YAML or JSON; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// The OVN that the network is for
    #[arg(long, value_name = "YY.MM", default_value_t = Target::OLDEST)]
    ovn_version: Target,
    /// Draw the addresses that are remembered in this file
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Chassis that may carry gateways, the preferred first; instead of those that Nodes name
    #[arg(long, value_name = "NAME[:PRIORITY],…", value_parser = chassis_list)]
    gateway_chassis: Option<ChassisList>,
}

impl DrawnArgs {
    /// The input that they name.
    pub(super) fn input(&self) -> InputArgs {
        let (paths, lock) = (self.paths.clone(), self.lock.clone());
        InputArgs::of(paths, self.ovn_version, lock, self.gateway_chassis.clone())
    }
}

/// The value of `--gateway-chassis`.
pub(super) type ChassisList = Vec<GatewayChassis>;

/// The priority of the first chassis that has none of its own; the others follow downwards.
const PRIORITY: i64 = 100;
/// ovn-nb(5), HA_Chassis.priority.
const PRIORITY_MAX: i64 = 32767;

/// `NAME[:PRIORITY],…`; each name once, each priority once.
pub(super) fn chassis_list(text: &str) -> Result<ChassisList, String> {
    let mut list = ChassisList::new();
    for (item, rank) in text.split(',').map(str::trim).zip(0..) {
        let with_number = item.rsplit_once(':').and_then(|(name, n)| Some((name, n.parse::<i64>().ok()?)));
        let (name, priority) = with_number.unwrap_or((item, PRIORITY - rank));
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(format!("`{item}` names no chassis"));
        }
        if !(0..=PRIORITY_MAX).contains(&priority) {
            return Err(format!("priority {priority} of `{name}` is outside 0 – {PRIORITY_MAX}"));
        }
        if let Some(other) = list.iter().find(|other| other.name == name) {
            return Err(format!("`{}` stands there twice", other.name));
        }
        if let Some(other) = list.iter().find(|other| other.priority == Some(priority)) {
            return Err(format!("`{}` and `{name}` have one priority, {priority}", other.name));
        }
        list.push(GatewayChassis { name: name.to_owned(), priority: Some(priority), span: None });
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(list)
}

/// Reads a code, and tells shells which there are.
#[derive(Clone, Copy)]
pub(super) struct Codes<T>(pub(super) fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Codes<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<T, clap::Error> {
        let read = self.0;
        StringValueParser::new().try_map(move |text| read(&text)).parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let value = |code: &Code| PossibleValue::new(code.number()).help(code.summary());
        Some(Box::new(Code::ALL.iter().map(value)))
    }
}

#[derive(Clone, Copy, Debug)]
enum Denied {
    Warnings,
    Code(Code),
}

impl std::str::FromStr for Denied {
    type Err = String;

    fn from_str(text: &str) -> Result<Denied, String> {
        if text == "warnings" { Ok(Denied::Warnings) } else { text.parse().map(Denied::Code) }
    }
}

fn silenceable(text: &str) -> Result<Code, String> {
    let code: Code = text.parse()?;
    if code.severity() == Severity::Error {
        return Err(format!("{code} ({}) is an error and can't be silenced", code.slug()));
    }
    Ok(code)
}

/// How problems are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, on standard error
    Text,
    /// One JSON document
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// Commands of GitHub's runners
    Github,
    /// Markdown, for a comment on a pull request
    Markdown,
}

impl InputArgs {
    /// These paths, judged as ever and told as text.
    pub(super) fn of(
        paths: Vec<PathBuf>,
        ovn_version: Target,
        lock: Option<PathBuf>,
        gateway_chassis: Option<ChassisList>,
    ) -> InputArgs {
        let (deny, allow) = (Vec::new(), Vec::new());
        InputArgs { paths, ovn_version, lock, gateway_chassis, deny, allow, format: Format::Text }
    }

    /// Reads the texts. What can't be read is in `sink`.
    pub(super) fn read(&self, sink: &mut Sink) -> SourceMap {
        self.read_paths(&self.paths, sink)
    }

    /// Reads the texts at other paths. What can't be read is in `sink`.
    pub(super) fn read_paths(&self, paths: &[PathBuf], sink: &mut Sink) -> SourceMap {
        let (sources, failures) = info_span!("files").in_scope(|| files::read(paths));
        for failure in failures {
            let message = format!("can't read `{}`: {}", failure.path, failure.reason);
            sink.push(Diagnostic::general(Code::Unreadable, message));
        }
        sources
    }

    /// True when data is wanted as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// True when data is wanted as Markdown.
    pub(super) fn is_markdown(&self) -> bool {
        self.format == Format::Markdown
    }

    /// The chassis that may carry gateways, if the command line names any.
    pub(super) fn gateway_chassis(&self) -> ChassisList {
        self.gateway_chassis.clone().unwrap_or_default()
    }

    /// Reads the lock file, if one is named and there.
    pub(super) fn remembered(&self, sink: &mut Sink) -> Remembered {
        let Some(path) = &self.lock else { return Remembered::new() };
        match lock::read(path) {
            Ok(remembered) => remembered,
            Err(problem) => {
                sink.push(Diagnostic::general(Code::LockInvalid, problem));
                Remembered::new()
            }
        }
    }

    /// Tells what was found. The exit code, where something of it is an error by the user's own measure, or an
    /// expectation can't be judged.
    pub(super) fn tell(
        &self,
        sink: Sink,
        sources: &SourceMap,
        streams: &mut Streams<'_>,
        data: bool,
    ) -> Result<(), u8> {
        let mut levels = Levels::default();
        for denied in &self.deny {
            match denied {
                Denied::Warnings => levels.deny_warnings(),
                Denied::Code(code) => levels.deny(*code),
            }
        }
        self.allow.iter().for_each(|code| levels.allow(*code));
        let diagnostics = levels.apply(sink.into_sorted(sources));
        let text = match self.format {
            Format::Text => render::render(&diagnostics, sources, streams.colour),
            Format::Json => format::json(&diagnostics, sources),
            Format::Sarif => format::sarif(&diagnostics, sources),
            Format::Github => format::github(&diagnostics, sources),
            Format::Markdown => format::markdown(&diagnostics, sources),
        };
        // Where a verb's product is the list of problems, a machine's list is data.
        if data && self.format != Format::Text {
            streams.data(&text);
        } else {
            streams.say(&text);
        }
        if self.format == Format::Text
            && let Some(line) = summary(&diagnostics)
        {
            streams.say(&line);
        }
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            return Err(exit::NO);
        }
        let is_open = diagnostics.iter().any(|d| d.code == Code::ExpectationOpen);
        if is_open { Err(exit::UNDETERMINED) } else { Ok(()) }
    }
}

/// `2 errors, 1 warning`, and where to read on; nothing where there is nothing.
fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let first = diagnostics.iter().max_by_key(|d| d.severity)?;
    let counts = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| {
        let n = diagnostics.iter().filter(|d| d.severity == severity).count();
        (n > 0).then(|| format!("{n} {}{}", severity.name(), if n == 1 { "" } else { "s" }))
    });
    let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    Some(format!("{counts}; `northc explain {}` tells more\n", first.code))
}
