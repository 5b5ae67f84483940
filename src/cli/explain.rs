//! `northc explain`: the page of a code, or the list of all. Refuses to read input.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Streams, exit};
use crate::diag::format::FORMAT_VERSION;
use crate::diag::{Code, Severity};

const EXAMPLES: &str = "Examples:
  northc explain N0301                          # or by its name: cidr-overlap
  northc explain | grep gateway                 # which codes there are";

/// Arguments of `northc explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A code by number or by name: `N0301`, `cidr-overlap`
    #[arg(value_name = "CODE", conflicts_with = "list", value_parser = super::input::Codes(str::parse::<Code>), hide_possible_values = true)]
    code: Option<Code>,
    /// Every code with its severity; so does no code at all
    #[arg(long)]
    list: bool,
    /// How to tell it
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A page, or a table
    Text,
    /// One page of Markdown; with --list, of all codes
    Markdown,
    /// One JSON document
    Json,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let text = match (args.code, args.format) {
        (Some(code), Format::Text | Format::Markdown) => code.page().to_owned(),
        (None, Format::Markdown) => book(),
        (Some(code), Format::Json) => document("northc.code", json!({ "code": one(code, true) })),
        (None, Format::Text) => table(),
        (None, Format::Json) => {
            let codes: Vec<Value> = Code::ALL.iter().map(|code| one(*code, false)).collect();
            document("northc.codes", json!({ "codes": codes }))
        }
    };
    streams.data(&text);
    exit::OK
}

fn document(kind: &str, mut body: Value) -> String {
    body["format_version"] = json!(FORMAT_VERSION);
    body["kind"] = json!(kind);
    format!("{body:#}\n")
}

fn one(code: Code, with_page: bool) -> Value {
    let mut value = json!({
        "code": code.number(),
        "slug": code.slug(),
        "severity": code.severity().name(),
        "summary": code.summary(),
    });
    if with_page {
        value["page"] = json!(code.page());
    }
    value
}

/// Every page on one, with a table before them.
fn book() -> String {
    let mut out = "# Codes\n\nWritten by `northc explain --list --format markdown`. Every problem that northc tells has a \
                   code, which keeps its\nmeaning for good; `northc explain CODE` is its page here.\n\n\
                   | code | name | severity | says that |\n|---|---|---|---|\n"
        .to_owned();
    for code in Code::ALL {
        let (number, slug, severity) = (code.number(), code.slug(), code.severity().name());
        // As mdBook and GitHub name a heading's place.
        let anchor = format!("{number} {slug}").to_lowercase().replace(' ', "-");
        out.push_str(&format!("| [{number}](#{anchor}) | {slug} | {severity} | {} |\n", code.summary()));
    }
    for code in Code::ALL {
        let mut is_fenced = false;
        out.push('\n');
        for line in code.page().trim_end().lines() {
            is_fenced ^= line.starts_with("```");
            // A heading is one further down here.
            out.push_str(if !is_fenced && line.starts_with('#') { "#" } else { "" });
            out.push_str(&match line.strip_prefix("```yaml ") {
                Some(_) => "```yaml\n".to_owned(),
                None => format!("{line}\n"),
            });
        }
    }
    out
}

/// A line a code, in columns.
fn table() -> String {
    let slug_width = Code::ALL.iter().map(|code| code.slug().len()).max().unwrap_or(0);
    let severity_width = Severity::Warning.name().len();
    let line = |code: &Code| {
        let (slug, severity) = (code.slug(), code.severity().name());
        format!("{code}  {slug:slug_width$}  {severity:severity_width$}  {}\n", code.summary())
    };
    Code::ALL.iter().map(line).collect()
}
