//! The rows of every case mean what its model says, by two readings that share nothing.

mod balancers;
mod classes;
mod lints;
mod mutants;
mod subnets;
mod verb;

use std::collections::BTreeSet;
use std::fmt::Write;

use northc::assign::Remembered;
use northc::check::Checked;
use northc::compile::{Options, compile_and};
use northc::diag::Sink;
use northc::files;
use northc::nb::Rows;
use northc::reach::network::Network;
use northc::span::SourceMap;
use northc::target::Target;
use northc::verify::{Report, verify};

use crate::cases::{self, Case};
use crate::worlds::{
    self,
    world::{Dialect, Size},
};

/// Has somebody look at what a case means and at its rows; false when it does not compile for the target.
fn compiled(case: &Case, target: Target, look: impl FnOnce(&Checked<'_>, &Rows)) -> bool {
    let paths: Vec<std::path::PathBuf> = case.sources().into_iter().map(Into::into).collect();
    let (sources, failures) = files::read(&paths);
    assert!(failures.is_empty(), "the sources of {} are text", case.name);
    compiled_from(&sources, target, look)
}

fn compiled_from(sources: &SourceMap, target: Target, look: impl FnOnce(&Checked<'_>, &Rows)) -> bool {
    let options = Options {
        owner: "default".to_owned(),
        target,
        remembered: Remembered::new(),
        gateway_chassis: Vec::new(),
    };
    compile_and(sources, &options, &mut Sink::new(), |checked, rows, _| look(checked, rows)).is_some()
}

/// All of a network's packets compared.
fn compared(checked: &Checked<'_>, rows: &Rows, target: Target) -> Report {
    verify(checked, &Network::of_rows(rows, target), &|| true)
}

#[test]
fn rows_mean_what_the_model_says() {
    let (mut n_compared, mut n_senders, mut open, mut wrong) = (0, 0, BTreeSet::new(), String::new());
    for case in cases::all() {
        for target in Target::TESTED {
            compiled(&case, target, |checked, rows| {
                let report = compared(checked, rows, target);
                assert!(report.is_whole());
                n_compared += 1;
                n_senders += report.n_senders;
                for difference in &report.differences {
                    let _ = writeln!(wrong, "{} for {target}: {difference:?}", case.name);
                }
                for why in report.undetermined.keys() {
                    open.insert(format!("{} for {target}: {why}", case.name));
                }
            });
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(open.is_empty(), "{open:#?}");
    let tally = format!("{n_compared} compilations, {n_senders} senders: rows and model mean the same\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), tally.as_bytes());
}

#[test]
fn rows_of_random_worlds_mean_what_their_models_say() {
    let size = Size { n_vpcs: 3, n_subnets: 6, n_ports: 18 };
    for (seed, dialect) in [(1, Dialect::Native), (2, Dialect::KubeOvn), (3, Dialect::Native)] {
        let mut sources = SourceMap::new();
        sources.add("world.yaml", worlds::text(size, seed, dialect)).expect("it is not that long");
        let is_compiled = compiled_from(&sources, Target::OLDEST, |checked, rows| {
            let report = compared(checked, rows, Target::OLDEST);
            assert!(report.is_whole() && report.n_senders >= size.n_ports);
            assert!(report.differences.is_empty(), "world {seed}: {:#?}", report.differences);
        });
        assert!(is_compiled, "world {seed} is good");
    }
}

#[test]
fn a_router_takes_nothing_back_that_it_has_sent() {
    // What the gateway itself answers goes round by the other VPC, and comes in once more as from itself.
    let text = std::fs::read_to_string("fixtures/native/transit-by-hand/network.yaml").expect("a fixture");
    let round =
        text.replace("{destination: 10.4.0.0/16, vpc: guard}", "{destination: 10.0.0.0/8, vpc: guard}");
    assert_ne!(text, round);
    let mut sources = SourceMap::new();
    sources.add("round.yaml", round).expect("it is not that long");
    let is_compiled = compiled_from(&sources, Target::OLDEST, |checked, rows| {
        let report = compared(checked, rows, Target::OLDEST);
        assert!(report.is_whole() && report.differences.is_empty(), "{:#?}", report.differences);
    });
    assert!(is_compiled);
}
