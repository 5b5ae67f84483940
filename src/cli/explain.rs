//! `northc explain`: the page of a code, or the list of all. Refuses to read input.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Streams, exit};
use crate::diag::format::FORMAT_VERSION;
use crate::diag::{Code, Severity};

/// Arguments of `northc explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A code by number or by name: `N0301`, `cidr-overlap`
    #[arg(value_name = "CODE", required_unless_present = "list", conflicts_with = "list")]
    code: Option<Code>,
    /// Every code with its severity
    #[arg(long)]
    list: bool,
    /// How to tell it
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Markdown, or a table
    Text,
    /// One JSON document
    Json,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let text = match (args.code, args.format) {
        (Some(code), Format::Text) => code.page().to_owned(),
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
