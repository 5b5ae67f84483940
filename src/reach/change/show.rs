//! What a change opens and closes, for people, for pull requests and for machines.
//!
//! Refuses to find anything out.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Cause, Change, Shift, TooMany, Turn};
use crate::reach::judge::Verdict;
use crate::reach::show::{ASSUMPTIONS, witness};

/// People are told of no more than this of each turn; machines of all.
const SHIFTS_MAX: usize = 12;
/// Nor of more causes than this of one.
const CAUSES_MAX: usize = 4;
/// Nor of more letters of a cause.
const SAID_MAX: usize = 120;
/// Nor of more names on one side.
const NAMES_MAX: usize = 6;

impl Turn {
    const ALL: [Turn; 3] = [Turn::Opens, Turn::Closes, Turn::Unclear];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Turn::Opens => "opens",
            Turn::Closes => "closes",
            Turn::Unclear => "unclear",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Turn::Opens => "Opens",
            Turn::Closes => "Closes",
            Turn::Unclear => "Can't be judged",
        }
    }

    fn sign(self) -> char {
        match self {
            Turn::Opens => '+',
            Turn::Closes => '-',
            Turn::Unclear => '?',
        }
    }
}

impl TooMany {
    /// Why nothing was compared.
    pub fn text(self) -> String {
        format!(
            "what opens and closes was not looked at: machines are of {} classes (--reach insists)",
            self.n_classes
        )
    }
}

/// For people.
pub fn text(change: &Change) -> String {
    if change.is_first && change.has(Turn::Opens) {
        return FIRST.to_owned();
    }
    let mut text = String::new();
    for turn in Turn::ALL {
        let shifts: Vec<&Shift> = change.shifts.iter().filter(|shift| shift.turn == turn).collect();
        if shifts.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}:", turn.title());
        for shift in shifts.iter().take(SHIFTS_MAX) {
            let _ = writeln!(text, "  {} {}", turn.sign(), headline(shift));
            let _ = writeln!(text, "      packet  {}: {}", shift.witness, verdicts(shift));
            for cause in shift.causes.iter().take(CAUSES_MAX) {
                let lead = if cause.is_new { "now" } else { "was" };
                let _ = writeln!(text, "      {lead:<7} {}", said(cause));
            }
        }
        if let Some(left) = shifts.len().checked_sub(SHIFTS_MAX).filter(|left| *left > 0) {
            let _ = writeln!(text, "  … and {left} more (--format json has all)");
        }
    }
    if change.shifts.is_empty() {
        text.push_str("Nothing opens, nothing closes.\n");
    }
    if change.n_unjudged > 0 {
        let _ = writeln!(text, "Not judged before and after: {}.", pairs(change.n_unjudged));
    }
    text
}

/// For a comment on a pull request.
pub fn markdown(change: &Change) -> String {
    if change.is_first && change.has(Turn::Opens) {
        return format!("{FIRST}\n");
    }
    let mut text = String::new();
    for turn in Turn::ALL {
        let shifts: Vec<&Shift> = change.shifts.iter().filter(|shift| shift.turn == turn).collect();
        if shifts.is_empty() {
            continue;
        }
        let _ = writeln!(text, "**{}**\n\n| | packet | because |\n|---|---|---|", turn.title());
        for shift in shifts.iter().take(SHIFTS_MAX) {
            let causes =
                shift.causes.iter().take(CAUSES_MAX).map(|cause| {
                    format!("{}: {}", if cause.is_new { "now" } else { "was" }, code(&said(cause)))
                });
            let causes: Vec<String> = causes.collect();
            let packet = format!("{}<br>{}", code(&shift.witness.to_string()), verdicts(shift));
            let _ = writeln!(text, "| {} | {packet} | {} |", cell(&headline(shift)), causes.join("<br>"));
        }
        if let Some(left) = shifts.len().checked_sub(SHIFTS_MAX).filter(|left| *left > 0) {
            let _ = writeln!(text, "\n… and {left} more.");
        }
        text.push('\n');
    }
    if change.shifts.is_empty() {
        text.push_str("Nothing opens, nothing closes.\n\n");
    }
    if change.n_unjudged > 0 {
        let _ = writeln!(text, "Not judged before and after: {}.\n", pairs(change.n_unjudged));
    }
    text
}

/// For machines.
pub fn document(change: &Change) -> Value {
    let cause = |cause: &Cause| {
        let Cause { is_new, says, place } = cause;
        json!({"is_new": is_new, "says": says, "origin": place})
    };
    let shift = |shift: &Shift| {
        json!({
            "turn": shift.turn.name(),
            "from": shift.from,
            "to": shift.to,
            "services": shift.services,
            "witness": witness(&shift.witness),
            "before": shift.before.map(Verdict::name),
            "after": shift.after.map(Verdict::name),
            "causes": shift.causes.iter().map(cause).collect::<Vec<_>>(),
        })
    };
    json!({
        "shifts": change.shifts.iter().map(shift).collect::<Vec<_>>(),
        "unjudged_pairs": change.n_unjudged,
        "assumptions": ASSUMPTIONS.iter().chain(&[ROUTED]).collect::<Vec<_>>(),
    })
}

/// Where everything is new, what opens is all there is.
const FIRST: &str = "There was no machine before; `northc reach --all` says who reaches whom.\n";

/// What is assumed of machines where two networks are compared.
const ROUTED: &str = "machines have their default routes, told or not";

fn headline(shift: &Shift) -> String {
    match shift.from == shift.to {
        true => format!("{} among themselves: {}", names(&shift.from), shift.services),
        false => format!("{} → {}: {}", names(&shift.from), names(&shift.to), shift.services),
    }
}

/// `a, b, c and 12 more`
fn names(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(NAMES_MAX) {
        None | Some(0) => shown,
        Some(left) => format!("{shown} and {left} more"),
    }
}

fn verdicts(shift: &Shift) -> String {
    let name = |verdict: Option<Verdict>| verdict.map_or("not there", Verdict::name);
    format!("was {}, is {}", name(shift.before), name(shift.after))
}

fn said(cause: &Cause) -> String {
    let place = cause.place.as_ref().map_or_else(String::new, |place| format!("  ({place})"));
    let is_long = cause.says.chars().count() > SAID_MAX;
    let says: String = cause.says.chars().take(SAID_MAX).collect();
    format!("{says}{}{place}", if is_long { "…" } else { "" })
}

fn pairs(n: usize) -> String {
    format!("{n} {}", if n == 1 { "pair" } else { "pairs" })
}

/// Text as code in a cell of a table.
pub fn code(text: &str) -> String {
    format!("`{}`", cell(text).replace('`', "'"))
}

/// Text in a cell of a table.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
