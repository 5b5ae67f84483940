//! `northc schema`: what kinds take. Refuses to read input.

use clap::ValueEnum;

use super::{Streams, exit};
use crate::source;

const EXAMPLES: &str = "Examples:
  northc schema --dialect both > northc.schema.json
  # then, as the first line of a file, for editors that know yaml-language-server:
  #   # yaml-language-server: $schema=northc.schema.json";

/// Arguments of `northc schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// How to tell it
    #[arg(long, value_name = "FORMAT", default_value = "json", value_enum)]
    format: Format,

    /// Whose kinds
    #[arg(long, value_name = "DIALECT", default_value = "native", value_enum)]
    dialect: Dialect,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dialect {
    /// northc's own, `northc.io/v1alpha1`
    Native,
    /// Kube-OVN's, `kubeovn.io/v1`
    KubeOvn,
    /// Those of both, and any other object
    Both,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// JSON Schema, draft 2020-12, of one object
    Json,
    /// A page for people
    Markdown,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let dialects = match args.dialect {
        Dialect::Native => &[source::Dialect::Native][..],
        Dialect::KubeOvn => &[source::Dialect::KubeOvn],
        Dialect::Both => &[source::Dialect::Native, source::Dialect::KubeOvn],
    };
    let text = match args.format {
        Format::Json => format!("{:#}\n", source::schema(dialects)),
        Format::Markdown => {
            dialects.iter().map(|dialect| source::markdown(*dialect)).collect::<Vec<_>>().join("\n")
        }
    };
    streams.data(&text);
    exit::OK
}
