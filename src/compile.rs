//! The spine: sources → Model → Checked → Rows, gathering diagnostics on the way.
//!
//! Refuses files, live databases and output formats.

use tracing::info_span;

use crate::assign::Remembered;
use crate::check::{Checked, check};
use crate::diag::Sink;
use crate::lower::lower;
use crate::model::{GatewayChassis, Model};
use crate::nb::{Rows, schema, stamp};
use crate::source;
use crate::span::SourceMap;
use crate::target::Target;

/// What a compilation is told beside its sources.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose rows they are.
    pub owner: String,
    /// The OVN that they are for.
    pub target: Target,
    /// Addresses given out before.
    pub remembered: Remembered,
    /// The chassis that may carry gateways, instead of those that the sources name.
    pub gateway_chassis: Vec<GatewayChassis>,
}

impl Options {
    /// For the oldest OVN, with nothing remembered and no chassis named.
    pub fn new(owner: impl Into<String>) -> Options {
        let (target, remembered, gateway_chassis) = (Target::OLDEST, Remembered::new(), Vec::new());
        Options { owner: owner.into(), target, remembered, gateway_chassis }
    }
}

/// What a compilation without errors gives.
#[derive(Debug)]
pub struct Compiled {
    /// The rows, with their owner's marks.
    pub rows: Rows,
    /// What was meant.
    pub model: Model,
}

/// Compiles every source. `None` when something in `sink` is an error.
pub fn compile(sources: &SourceMap, options: &Options, sink: &mut Sink) -> Option<Compiled> {
    compile_and(sources, options, sink, |_, _, _| ())
}

/// Compiles every source, and has somebody look at what was meant and what came of it.
pub fn compile_and(
    sources: &SourceMap,
    options: &Options,
    sink: &mut Sink,
    look: impl FnOnce(&Checked<'_>, &Rows, &mut Sink),
) -> Option<Compiled> {
    let model = read(sources, options, sink);
    let checked = judge(&model, options, sink)?;
    let mut rows = info_span!("lower").in_scope(|| lower(&checked));
    finish(&mut rows, options);
    look(&checked, &rows, sink);
    Some(Compiled { rows, model })
}

/// Compiles every source to rows alone. Once all is checked, `wants` says whether somebody will look at what was meant
/// beside the rows; otherwise that is given up as soon as there are rows, and with it a third of a compilation's memory.
pub fn compile_rows(
    sources: &SourceMap,
    options: &Options,
    sink: &mut Sink,
    wants: impl FnOnce(&Checked<'_>) -> bool,
    look: impl FnOnce(&Checked<'_>, &Rows, &mut Sink),
) -> Option<Rows> {
    let model = read(sources, options, sink);
    let checked = judge(&model, options, sink)?;
    let is_wanted = wants(&checked);
    let mut rows = info_span!("lower").in_scope(|| lower(&checked));
    if is_wanted {
        finish(&mut rows, options);
        look(&checked, &rows, sink);
    } else {
        drop(checked);
        drop(model);
        finish(&mut rows, options);
    }
    Some(rows)
}

fn read(sources: &SourceMap, options: &Options, sink: &mut Sink) -> Model {
    let mut model = info_span!("read").in_scope(|| source::read(sources, sink));
    model.prefer_chassis(&options.gateway_chassis);
    model
}

fn judge<'m>(model: &'m Model, options: &Options, sink: &mut Sink) -> Option<Checked<'m>> {
    info_span!("check").in_scope(|| check(model, options.target, &options.remembered, sink))
}

/// Marks the rows, and makes sure that a database takes them.
fn finish(rows: &mut Rows, options: &Options) {
    info_span!("stamp").in_scope(|| stamp::stamp(rows, &options.owner));
    let problems = info_span!("prove").in_scope(|| schema::problems(rows));
    assert!(problems.is_empty(), "checked input makes rows that the schema takes: {}", problems.join("; "));
}
