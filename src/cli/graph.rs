//! `northc graph`: draws the network. Refuses input with errors, a picture of it would be a guess; leaves
//! warnings to `northc check`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;

use super::planning::saved_plan;
use super::{Streams, exit, input, overlay};
use crate::diag::{Code, Sink};
use crate::graph::html::Behind;
use crate::graph::{self, Picture, change, dot, html, layout, mermaid, reach, svg};
use crate::nb::Rows;
use crate::span::{SourceMap, Span};
use crate::{check, emit, files, lower, source};

const EXAMPLES: &str = "Examples:
  northc graph net.yaml -o net.svg
  northc graph net/ --format html -o net.html   # zoom, search, click for lines and rows
  northc graph net/ --reach                     # a letter for all that behave alike, and who reaches whom
  northc graph net/ --reach=web-1               # what web-1 reaches; also a subnet, a VPC, `internet`
  northc graph new/ --diff old/                 # what a change adds, alters and removes; or --diff net.plan
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
    /// Show who reaches whom, or what a machine, a subnet, a VPC or `internet` reaches
    #[arg(long, value_name = "WHO", num_args = 0..=1, require_equals = true, default_missing_value = "",
          conflicts_with = "diff")]
    reach: Option<String>,
    /// Show what changes from these files or folders to the input, or what a saved plan does to it
    #[arg(long, value_name = "OLD|PLAN")]
    diff: Vec<PathBuf>,
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

/// A network, drawn and compiled.
pub(super) struct Drawn {
    pub(super) picture: Picture,
    pub(super) rows: Rows,
    pub(super) sources: SourceMap,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let text = match text(args, streams) {
        Ok(text) => text,
        Err(code) => return code,
    };
    let Some(path) = &args.output else {
        streams.data(&text);
        return exit::OK;
    };
    match files::write(path, &text) {
        Ok(()) => exit::OK,
        Err(reason) => refuse(&reason, streams),
    }
}

fn refuse(reason: &str, streams: &mut Streams<'_>) -> u8 {
    streams.say(&format!("error: {reason}\n"));
    exit::USAGE
}

fn text(args: &Args, streams: &mut Streams<'_>) -> Result<String, u8> {
    let input = args.input.input();
    let mut drawn = draw(&input, &input.paths, streams)?;
    let mut reaching = None;
    if let Some(who) = &args.reach {
        let found = overlay::reach(&drawn.rows, input.ovn_version, who, streams);
        let found = found.map_err(|problem| refuse(&problem, streams))?;
        reach::paint(&mut drawn.picture, &found);
        reaching = Some(found);
    }
    if !args.diff.is_empty() {
        let unusable = |problem| refuse(&format!("{}: {problem}", args.diff[0].display()), streams);
        let plan = saved_plan(&args.diff).map_err(unusable)?;
        let (old, touches, sum) = match plan {
            Some(plan) => overlay::before_plan(draw(&input, &input.paths, streams)?.picture, &plan),
            None => overlay::before_input(&drawn, draw(&input, &args.diff, streams)?),
        };
        drawn.picture = change::painted(drawn.picture, old, &touches, &sum);
    }
    Ok(written(&drawn, args.format, reaching.as_ref()))
}

/// Reads and compiles the input at `paths`; problems of it are told.
fn draw(input: &input::InputArgs, paths: &[PathBuf], streams: &mut Streams<'_>) -> Result<Drawn, u8> {
    let mut sink = Sink::new();
    let sources = input.read_paths(paths, &mut sink);
    let remembered = input.remembered(&mut sink);
    let mut model = source::read(&sources, &mut sink);
    model.prefer_chassis(&input.gateway_chassis());
    let Some(checked) = check::check(&model, input.ovn_version, &remembered, &mut sink) else {
        let _ = input.tell(sink, &sources, streams, false);
        return Err(exit::NO);
    };
    if sink.has(Code::NothingToCompile) {
        let mut nothing = Sink::new();
        sink.into_sorted(&sources)
            .into_iter()
            .filter(|it| it.code == Code::NothingToCompile)
            .for_each(|it| nothing.push(it));
        let _ = input.tell(nothing, &sources, streams, false);
    }
    let (picture, rows) = (graph::picture(&checked, &sources), lower::lower(&checked));
    Ok(Drawn { picture, rows, sources })
}

fn written(drawn: &Drawn, format: Format, reach: Option<&reach::Reach>) -> String {
    let picture = &drawn.picture;
    let svg = || svg::svg(picture, &layout::layout(picture));
    match format {
        Format::Svg => svg(),
        Format::Dot => dot::dot(picture),
        Format::Mermaid => mermaid::mermaid(picture),
        Format::Html => {
            let rows = rows_by_origin(&drawn.rows);
            html::html(picture, &svg(), &Behind { sources: &drawn.sources, rows: &rows, reach })
        }
    }
}

/// Every row in words, by what caused it.
fn rows_by_origin(rows: &Rows) -> BTreeMap<Span, Vec<String>> {
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
