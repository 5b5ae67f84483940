//! A plan as people read it: `+` new, `~` changed, `-` gone, `!` somebody else's doing, `=` taken over.
//!
//! Refuses to decide whether there are colours, and to print.

use std::fmt::{self, Write};

use super::Plan;
use super::step::{Action, Change, Edit, Pair, Step, Why};
use super::summary::Telling;
use crate::nb::{Atom, Datum, Key, Ref, Row, stamp};
use crate::visible::visible;

/// Whether the text carries ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// It does not.
    Plain,
    /// It does.
    Ansi,
}

impl Paint {
    /// The code, or nothing.
    pub fn code(self, code: &'static str) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Ansi => code,
        }
    }
}

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const MAGENTA: &str = "\x1b[35m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";

/// Places stand in this column, or two blanks behind a longer line.
const COLUMN_OF_PLACES: usize = 72;
/// What a new row says of itself is cut here.
const N_GIST_MAX: usize = 100;

/// The plan in words.
pub fn text(plan: &Plan, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, plan, paint);
    out
}

/// The plan for a comment on a pull request, with what else is to be said of it in the middle.
pub fn markdown(plan: &Plan, more: &str) -> String {
    if plan.is_empty() {
        return format!("### {}\n\n{more}", sum(plan));
    }
    // Signs stand first, where a highlighter looks for them.
    let rows = text(plan, Paint::Plain).replace("\n  ", "\n");
    format!(
        "### {}\n\n{more}<details><summary>Rows</summary>\n\n~~~~diff\n{rows}~~~~\n\n</details>\n",
        sum(plan)
    )
}

fn write(out: &mut String, plan: &Plan, paint: Paint) -> fmt::Result {
    let telling = Telling::new(plan);
    let is_drift = |step: &&Step| matches!(step.why, Why::Drift | Why::Duplicate);
    let steps = || plan.steps.iter().filter(|step| telling.has_step(step));
    let mut wanted: Vec<&Step> = steps().filter(|step| !is_drift(step)).collect();
    let mut drifted: Vec<&Step> = steps().filter(is_drift).collect();
    wanted.sort_by_key(|step| &step.group);
    drifted.sort_by_key(|step| &step.group);
    write_groups(out, &wanted, &telling, paint)?;
    if !drifted.is_empty() {
        let (bold, reset) = (paint.code(BOLD), paint.code(RESET));
        writeln!(out, "{bold}Changed outside northc (drift), will be put right:{reset}\n")?;
        write_groups(out, &drifted, &telling, paint)?;
    }
    if plan.finishes_another() {
        writeln!(out, "The last apply was interrupted; this plan finishes it.\n")?;
    }
    writeln!(out, "{}", sum(plan))
}

fn write_groups(out: &mut String, steps: &[&Step], telling: &Telling, paint: Paint) -> fmt::Result {
    for group in steps.chunk_by(|a, b| a.group == b.group) {
        let (bold, reset) = (paint.code(BOLD), paint.code(RESET));
        writeln!(out, "{bold}{}{reset}", group[0].group)?;
        for step in group {
            write_step(out, step, telling, paint)?;
        }
        out.push('\n');
    }
    Ok(())
}

fn write_step(out: &mut String, step: &Step, telling: &Telling, paint: Paint) -> fmt::Result {
    let (sign, colour) = sign(step);
    let (colour, reset) = (paint.code(colour), paint.code(RESET));
    let lines = match &step.action {
        Action::Insert(row) => gist(row),
        Action::Update(changes) => change_lines(changes, telling),
        Action::Delete(_) => Vec::new(),
    };
    let said = match remark(step) {
        Some(remark) => format!("{} ({remark})", step.key),
        None => step.key.to_string(),
    };
    write!(out, "  {colour}{sign}{reset} {}", said)?;
    if let Some(place) = &step.place {
        let (dim, n_blanks) = (paint.code(DIM), COLUMN_OF_PLACES.saturating_sub(said.chars().count() + 4));
        write!(out, "{:1$}{dim}{place}{reset}", "", n_blanks.max(2))?;
    }
    out.push('\n');
    let dim = if matches!(step.action, Action::Insert(_)) { paint.code(DIM) } else { "" };
    for line in lines {
        writeln!(out, "      {dim}{line}{}", if dim.is_empty() { "" } else { reset })?;
    }
    Ok(())
}

fn sign(step: &Step) -> (char, &'static str) {
    match (&step.why, &step.action) {
        (Why::Drift | Why::Duplicate, _) => ('!', MAGENTA),
        (Why::Adopted(_), _) => ('=', YELLOW),
        (_, Action::Insert(_)) => ('+', GREEN),
        (_, Action::Update(_)) => ('~', YELLOW),
        (_, Action::Delete(_)) => ('-', RED),
    }
}

fn remark(step: &Step) -> Option<String> {
    match (&step.why, &step.action) {
        (Why::Duplicate, _) => Some(format!("a copy, {}, is deleted", step.uuid)),
        (Why::Drift, Action::Insert(_)) => Some("was deleted; comes back".to_owned()),
        (Why::Drift, Action::Update(_)) => None,
        (Why::Drift, Action::Delete(_)) => Some("was added; is deleted".to_owned()),
        (Why::Adopted(Some(holder)), _) => Some(format!("taken over from {holder}, {}", step.uuid)),
        (Why::Adopted(None), _) => Some(format!("taken over, {}", step.uuid)),
        (Why::Both, Action::Update(_)) => Some("also changed outside northc".to_owned()),
        (Why::Marks, _) => Some("only northc's marks".to_owned()),
        (Why::Input | Why::Both, _) => None,
    }
}

/// What a new row says, apart from its name, its marks and its references.
fn gist(row: &Row) -> Vec<String> {
    let columns = row.set_columns().filter(|(column, _)| {
        column.target.is_none() && column.name != "name" && column.name != "external_ids"
    });
    let said: Vec<String> =
        columns.map(|(column, datum)| format!("{}={}", column.name, show(datum))).collect();
    let said = said.join("  ");
    match said.char_indices().nth(N_GIST_MAX) {
        _ if said.is_empty() => Vec::new(),
        Some((at, _)) => vec![format!("{}…", &said[..at])],
        None => vec![said],
    }
}

fn change_lines(changes: &[Change], telling: &Telling) -> Vec<String> {
    let mut lines = Vec::new();
    for change in changes.iter().filter(|change| telling.has_change(change)) {
        let name = change.column.name;
        match &change.edit {
            Edit::Replace { before, after } => {
                lines.push(format!("{name}  {} -> {}", show(before), show(after)));
            }
            Edit::Members { insert, delete } => {
                let member = |sign: char, atoms: &[Atom]| {
                    let atoms = atoms.iter().filter(|atom| telling.has_member(atom));
                    atoms.map(|atom| format!("{name}  {sign} {}", Show(atom))).collect::<Vec<_>>()
                };
                lines.extend(member('+', insert));
                lines.extend(member('-', delete));
            }
            Edit::Pairs(pairs) => {
                lines.extend(pairs.iter().filter(|pair| !is_mark(name, pair)).map(|pair| {
                    let side = |atom: &Option<Atom>| {
                        atom.as_ref().map_or("(none)".to_owned(), |atom| Show(atom).to_string())
                    };
                    format!("{name}:{}  {} -> {}", bare(&pair.key), side(&pair.before), side(&pair.after))
                }))
            }
        }
    }
    lines
}

fn is_mark(column: &str, pair: &Pair) -> bool {
    column == "external_ids" && stamp::is_mark(&pair.key)
}

fn bare(atom: &Atom) -> String {
    match atom {
        Atom::Text(text) => visible(text).into_owned(),
        Atom::Int(_) | Atom::Bool(_) | Atom::Ref(_) => Show(atom).to_string(),
    }
}

fn show(datum: &Datum) -> String {
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [] => "(none)".to_owned(),
            [atom] => Show(atom).to_string(),
            atoms => {
                let atoms: Vec<String> = atoms.iter().map(|atom| Show(atom).to_string()).collect();
                format!("[{}]", atoms.join(", "))
            }
        },
        Datum::Map(pairs) => {
            let pairs: Vec<String> =
                pairs.iter().map(|(key, value)| format!("{}={}", bare(key), Show(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

struct Show<'a>(&'a Atom);

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Atom::Int(value) => write!(f, "{value}"),
            Atom::Bool(value) => write!(f, "{value}"),
            Atom::Text(text) => write!(f, "{text:?}"),
            Atom::Ref(Ref::Key(Key { name, .. })) => write!(f, "{}", visible(name)),
            Atom::Ref(Ref::Foreign(uuid)) => write!(f, "{uuid}"),
        }
    }
}

/// The closing line: what happens to how many rows.
pub fn sum(plan: &Plan) -> String {
    let summary = plan.summary();
    if plan.is_empty() {
        return "No changes: the database holds what is wanted.".to_owned();
    }
    let super::Summary { n_add, n_change, n_remove, n_repair, n_adopt } = summary;
    let counts = [
        (n_add, "to add"),
        (n_change, "to change"),
        (n_remove, "to remove"),
        (n_repair, "to repair"),
        (n_adopt, "to adopt"),
    ];
    let said: Vec<String> = counts
        .iter()
        .enumerate()
        .filter(|(at, (n, _))| *at < 3 || *n > 0)
        .map(|(_, (n, what))| format!("{n} {what}"))
        .collect();
    format!("Plan: {}.", said.join(", "))
}
