//! `northc graph`: draws the network. Refuses input with errors, a picture of it would be a guess; leaves
//! warnings to `northc check`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Streams, exit, input};
use crate::diag::Sink;
use crate::graph::{self, Picture, dot, layout, mermaid, svg};
use crate::{check, files, source};

const EXAMPLES: &str = "Examples:
  northc graph net.yaml -o net.svg
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
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let mut sink = Sink::new();
    let input = args.input.input();
    let sources = input.read(&mut sink);
    let remembered = input.remembered(&mut sink);
    let model = source::read(&sources, &mut sink);
    let checked = check::check(&model, input.ovn_version, &remembered, &mut sink);
    let Some(checked) = checked else {
        input.tell(sink, &sources, streams, false);
        return exit::NO;
    };
    let text = draw(&graph::picture(&checked, &sources), args.format);
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

fn draw(picture: &Picture, format: Format) -> String {
    match format {
        Format::Svg => svg::svg(picture, &layout::layout(picture)),
        Format::Dot => dot::dot(picture),
        Format::Mermaid => mermaid::mermaid(picture),
    }
}
