//! `northc graph`: draws the network. Refuses input with errors, a picture of it would be a guess; leaves
//! warnings to `northc check`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{Streams, exit, input};
use crate::check::Checked;
use crate::diag::Sink;
use crate::graph::{self, dot, html, layout, mermaid, svg};
use crate::span::{SourceMap, Span};
use crate::{check, emit, files, lower, source};

const EXAMPLES: &str = "Examples:
  northc graph net.yaml -o net.svg
  northc graph net/ --format html -o net.html   # zoom, search, click for lines and rows
  northc graph net/ --format mermaid            # to paste into a Markdown page
  northc graph net/ --format dot | dot -Tpdf -o net.pdf";

/// Arguments of `northc graph`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    input: input::DrawnArgs,
    /// What to draw
    #[arg(long, value_name = "FORMAT", default_value = "svg", value_enum)]
    format: Format,
    /// Where to write it; standard output by default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A picture that needs no other program
    Svg,
    /// For Graphviz
    Dot,
    /// For Markdown pages that draw Mermaid
    Mermaid,
    /// A page to zoom and search in, where a click shows an object's lines and rows
    Html,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let mut sink = Sink::new();
    let input = args.input.input();
    let sources = input.read(&mut sink);
    let remembered = input.remembered(&mut sink);
    let mut model = source::read(&sources, &mut sink);
    model.prefer_chassis(&input.gateway_chassis());
    let checked = check::check(&model, input.ovn_version, &remembered, &mut sink);
    let Some(checked) = checked else {
        input.tell(sink, &sources, streams, false);
        return exit::NO;
    };
    let text = draw(&checked, &sources, args.format);
    let Some(path) = &args.output else {
        streams.data(&text);
        return exit::OK;
    };
    match files::write(path, &text) {
        Ok(()) => exit::OK,
        Err(reason) => {
            streams.say(&format!("error: {reason}\n"));
            exit::USAGE
        }
    }
}

fn draw(checked: &Checked<'_>, sources: &SourceMap, format: Format) -> String {
    let picture = graph::picture(checked, sources);
    let svg = || svg::svg(&picture, &layout::layout(&picture));
    match format {
        Format::Svg => svg(),
        Format::Dot => dot::dot(&picture),
        Format::Mermaid => mermaid::mermaid(&picture),
        Format::Html => html::html(&picture, &svg(), sources, &rows_by_origin(checked)),
    }
}

/// Every row in words, by what caused it.
fn rows_by_origin(checked: &Checked<'_>) -> BTreeMap<Span, Vec<String>> {
    let rows = lower::lower(checked);
    let mut by_origin: BTreeMap<Span, Vec<String>> = BTreeMap::new();
    for (key, row) in rows.iter() {
        let columns = emit::json::columns(row);
        let line = |(column, value): (&String, &serde_json::Value)| format!("\n  {column} = {value}");
        let text =
            format!("{} {}{}", key.table.name(), key.name, columns.iter().map(line).collect::<String>());
        rows.origin(key).into_iter().for_each(|span| by_origin.entry(span).or_default().push(text.clone()));
    }
    by_origin
}
