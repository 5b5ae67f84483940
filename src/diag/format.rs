//! Diagnostics for machines: JSON, SARIF 2.1.0, and the commands that GitHub's runners read.
//!
//! Refuses to choose among them and to write to a stream.

use serde_json::{Value, json};

use super::{Diagnostic, Label, Severity};
use crate::span::SourceMap;

/// The version of the JSON's shape; grows in its second part as long as readers need not change.
pub const FORMAT_VERSION: &str = "1.0";

/// One JSON document with every diagnostic.
pub fn json(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let label = |label: &Label| {
        let mut place = place(label, sources);
        place["text"] = json!(label.text);
        place
    };
    let one = |d: &Diagnostic| {
        json!({
            "code": d.code.to_string(),
            "slug": d.code.slug(),
            "severity": d.severity.name(),
            "message": d.message,
            "primary": d.primary.as_ref().map(label),
            "labels": d.others.iter().map(label).collect::<Vec<_>>(),
            "help": d.helps,
            "notes": d.notes,
        })
    };
    let document = json!({
        "format_version": FORMAT_VERSION,
        "kind": "northc.diagnostics",
        "diagnostics": diagnostics.iter().map(one).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn place(label: &Label, sources: &SourceMap) -> Value {
    let source = sources.get(label.span.file);
    let (line, column) = source.line_col(label.span.start);
    let (end_line, end_column) = source.line_col(label.span.end);
    json!({
        "file": source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    })
}

/// A SARIF 2.1.0 log (OASIS), as code-scanning services take it.
pub fn sarif(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let location = |label: &Label| {
        let place = place(label, sources);
        json!({
            "physicalLocation": {
                "artifactLocation": { "uri": place["file"] },
                "region": {
                    "startLine": place["line"],
                    "startColumn": place["column"],
                    "endLine": place["end_line"],
                    "endColumn": place["end_column"],
                },
            },
            "message": { "text": label.text },
        })
    };
    let result = |d: &Diagnostic| {
        json!({
            "ruleId": d.code.to_string(),
            "level": d.severity.name(),
            "message": { "text": with_help(d) },
            "locations": d.primary.iter().map(location).collect::<Vec<_>>(),
            "relatedLocations": d.others.iter().map(location).collect::<Vec<_>>(),
        })
    };
    let mut codes: Vec<_> = diagnostics.iter().map(|d| d.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let rule = |code: &super::Code| json!({ "id": code.to_string(), "name": code.slug(), "shortDescription": { "text": code.summary() } });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "northc",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(rule).collect::<Vec<_>>(),
            }},
            "results": diagnostics.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    format!("{log:#}\n")
}

/// Workflow commands, a line each: `::error file=…,line=…::…`.
pub fn github(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let line = |d: &Diagnostic| {
        let command = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let place = d.primary.as_ref().map_or(String::new(), |label| {
            let place = place(label, sources);
            let file = escape_property(place["file"].as_str().unwrap_or(""));
            format!("file={file},line={},col={},", place["line"], place["column"])
        });
        format!("::{command} {place}title={}::{}\n", d.code, escape_data(&with_help(d)))
    };
    diagnostics.iter().map(line).collect()
}

/// A list for a comment on a pull request; nothing where there is nothing.
pub fn markdown(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let line = |d: &Diagnostic| {
        let place =
            d.primary.as_ref().map_or(String::new(), |label| format!(" `{}`:", sources.line(label.span)));
        let helps: String = d.helps.iter().map(|help| format!("<br>help: {}", one_line(help))).collect();
        format!("- **{}[{}]**{place} {}{helps}\n", d.severity.name(), d.code, one_line(&d.message))
    };
    diagnostics.iter().map(line).collect()
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

fn with_help(d: &Diagnostic) -> String {
    let helps = d.helps.iter().map(|help| format!("\nhelp: {help}"));
    std::iter::once(d.message.clone()).chain(helps).collect()
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}
