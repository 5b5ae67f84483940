//! Writes a network of any size, for measurements: `cargo run --release --example generate -- --help`.

mod world;

use std::path::PathBuf;

use clap::Parser;
use world::{Dialect, Size};

/// Writes YAML of a network of any size: the same arguments, the same bytes.
#[derive(Parser)]
struct Args {
    /// How many ports.
    #[arg(long, default_value_t = 1_000)]
    ports: usize,
    /// How many subnets; one for each 50 ports unless said.
    #[arg(long)]
    subnets: Option<usize>,
    /// How many VPCs; one for each 400 ports unless said.
    #[arg(long)]
    vpcs: Option<usize>,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kinds of Kube-OVN instead of northc's own.
    #[arg(long)]
    kubeovn: bool,
    /// Where to; a folder must be there.
    output: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let usual = Size::of_ports(args.ports);
    let size = Size {
        n_vpcs: args.vpcs.unwrap_or(usual.n_vpcs),
        n_subnets: args.subnets.unwrap_or(usual.n_subnets),
        n_ports: args.ports,
    };
    let dialect = if args.kubeovn { Dialect::KubeOvn } else { Dialect::Native };
    let mut text = String::new();
    world::write(&mut text, size, args.seed, dialect)?;
    Ok(std::fs::write(args.output, text)?)
}
