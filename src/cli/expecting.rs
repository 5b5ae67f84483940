//! Expectations among the input: the verbs that compile hold what they compiled to them.
//!
//! Refuses to judge; [`crate::expect`] does.

use crate::diag::Sink;
use crate::expect::judge;
use crate::model::Model;
use crate::nb::Rows;
use crate::reach::network::Network;
use crate::span::SourceMap;
use crate::target::Target;

/// The network of rows, whose machines have the labels of what was meant.
pub(super) fn network(rows: &Rows, model: &Model, target: Target) -> Network {
    let mut network = Network::of_rows(rows, target);
    network.label(model.ports.iter().map(|port| (port.name.as_str(), &*port.labels)));
    network
}

/// Tells of every expectation that does not hold. Costs nothing where there is none.
pub(super) fn hold(model: &Model, rows: &Rows, target: Target, sources: &SourceMap, sink: &mut Sink) {
    if model.expectations.is_empty() {
        return;
    }
    let outcomes = judge(&model.expectations, &network(rows, model, target), sources, false);
    outcomes.iter().flat_map(|outcome| outcome.diagnostics()).for_each(|it| sink.push(it));
}
