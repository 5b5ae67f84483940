//! What a plan newly opens and closes, for the verbs that show plans, and whether that is to fail.
//!
//! Refuses to compare; [`crate::reach::change`] does.

use std::collections::BTreeMap;

use clap::ValueEnum;
use uuid::Uuid;

use super::exit;
use super::planning::PlanningArgs;
use crate::nb::actual::Actual;
use crate::nb::{Rows, Table};
use crate::plan::Plan;
use crate::plan::effect::outcome;
use crate::plan::render::Paint;
use crate::reach::change::{Change, Moment, PAIRS_MAX, TooMany, Turn, compare, show};
use crate::reach::network::Network;
use crate::span::{SourceMap, Span};

/// Whether to look at what opens and closes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What it opens and closes")]
pub(super) struct OpeningArgs {
    /// Look at it, however few machines are alike
    #[arg(long, conflicts_with = "no_reach")]
    reach: bool,
    /// Do not look at it
    #[arg(long)]
    no_reach: bool,
    /// Exit with 1 when something newly opens, or closes, and with 7 when that can't be said
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', conflicts_with = "no_reach")]
    fail_on: Vec<FailOn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Something is newly reachable
    Opens,
    /// Something is no longer reachable
    Closes,
}

/// What was found out.
pub(super) enum Opening {
    /// Nobody wanted to know.
    Unasked,
    /// Nobody insisted.
    TooMany(TooMany),
    /// This opens and closes.
    Known(Change),
}

/// Where the rows of before come from.
pub(super) enum Before<'a> {
    /// A database.
    Database,
    /// Another input.
    Input(&'a (Rows, SourceMap)),
}

impl OpeningArgs {
    /// Whether somebody wants it, whatever the verb does by itself.
    pub(super) fn insists(&self) -> bool {
        self.reach || !self.fail_on.is_empty()
    }

    /// What a plan opens and closes in a database.
    pub(super) fn of(
        &self,
        plan: &Plan,
        (actual, before): (&Actual, &Before<'_>),
        (desired, wanted): (&Rows, &SourceMap),
        planning: &PlanningArgs,
    ) -> Opening {
        if self.no_reach || plan.is_empty() || !plan.conflicts.is_empty() {
            return Opening::Unasked;
        }
        let after = outcome(plan, actual);
        let new = origins(desired, |key| plan.uuid(key));
        let sources = if let Before::Input(old) = before { &old.1 } else { wanted };
        let old = match before {
            Before::Database => BTreeMap::new(),
            Before::Input(old) => origins(&old.0, |key| key.uuid(planning.owner())),
        };
        let old = |table, uuid| old.get(&(table, uuid)).copied();
        let new = |table, uuid| new.get(&(table, uuid)).copied();
        let target = planning.input.ovn_version;
        let network =
            [Network::of_actual_at(actual, &old, target), Network::of_actual_at(&after, &new, target)];
        let before = Moment { rows: actual, network: &network[0], sources };
        let after = Moment { rows: &after, network: &network[1], sources: wanted };
        let pairs_max = if self.insists() { usize::MAX } else { PAIRS_MAX };
        match compare(&before, &after, pairs_max) {
            Ok(change) => Opening::Known(change),
            Err(too_many) => Opening::TooMany(too_many),
        }
    }

    /// The exit code, where it is not 0.
    pub(super) fn verdict(&self, opening: &Opening) -> Option<u8> {
        let Opening::Known(change) = opening else { return None };
        let is_meant = |turn| match turn {
            FailOn::Opens => change.has(Turn::Opens),
            FailOn::Closes => change.has(Turn::Closes),
        };
        if self.fail_on.iter().copied().any(is_meant) {
            return Some(exit::NO);
        }
        (!self.fail_on.is_empty() && change.has(Turn::Unclear)).then_some(exit::UNDETERMINED)
    }
}

fn origins(rows: &Rows, uuid: impl Fn(&crate::nb::Key) -> Uuid) -> BTreeMap<(Table, Uuid), Span> {
    let all = rows.iter().filter_map(|(key, _)| Some(((key.table, uuid(key)), rows.origin(key)?)));
    all.collect()
}

impl Opening {
    /// For people.
    pub(super) fn text(&self, paint: Paint) -> String {
        match self {
            Opening::Unasked => String::new(),
            Opening::TooMany(too_many) => format!("\n{}\n", too_many.text()),
            Opening::Known(change) => format!("\n{}", painted(&show::text(change), paint)),
        }
    }

    /// For a pull request.
    pub(super) fn markdown(&self) -> String {
        match self {
            Opening::Unasked => String::new(),
            Opening::TooMany(too_many) => format!("{}.\n\n", too_many.text()),
            Opening::Known(change) => show::markdown(change),
        }
    }

    /// For machines; `None` where nobody looked.
    pub(super) fn document(&self) -> Option<serde_json::Value> {
        match self {
            Opening::Unasked | Opening::TooMany(_) => None,
            Opening::Known(change) => Some(show::document(change)),
        }
    }
}

/// What opens in yellow, since it is to be looked at; what closes in red.
fn painted(text: &str, paint: Paint) -> String {
    let line = |line: &str| {
        let colour = match line.get(..4) {
            Some("  + ") => paint.code("\x1b[33m"),
            Some("  - ") => paint.code("\x1b[31m"),
            _ => "",
        };
        let end = if colour.is_empty() { "" } else { paint.code("\x1b[0m") };
        format!("{colour}{line}{end}\n")
    };
    text.lines().map(line).collect()
}
