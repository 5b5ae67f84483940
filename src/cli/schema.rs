//! `northc schema`: what northc's own kinds take. Refuses to read input.

use clap::ValueEnum;

use super::{Streams, exit};
use crate::source;

const EXAMPLES: &str = "Examples:
  northc schema > northc.schema.json
  # then, as the first line of a file, for editors that know yaml-language-server:
  #   # yaml-language-server: $schema=northc.schema.json";

/// Arguments of `northc schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// How to tell it
    #[arg(long, value_name = "FORMAT", default_value = "json", value_enum)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// JSON Schema, draft 2020-12, of one object
    Json,
    /// A page for people
    Markdown,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let text = match args.format {
        Format::Json => format!("{:#}\n", source::schema()),
        Format::Markdown => source::markdown(),
    };
    streams.data(&text);
    exit::OK
}
