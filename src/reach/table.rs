//! Who reaches whom, written down: lines, a table for pull requests, a document, a graph and a picture.
//!
//! Refuses to find it out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::rc::Rc;

use serde_json::{Value, json};

use super::judge::Verdict;

/// Some who behave alike, to others who do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who sends.
    pub from: Rc<[String]>,
    /// Who is sent to.
    pub to: Rc<[String]>,
    /// What becomes of it, and of what, where that differs.
    pub verdicts: Vec<(Verdict, String)>,
}

impl Entry {
    fn said(&self) -> String {
        let said = self.verdicts.iter().map(|(verdict, services)| match services.is_empty() {
            true => verdict.name().to_owned(),
            false => format!("{} for {services}", verdict.name()),
        });
        said.collect::<Vec<_>>().join("; ")
    }

    /// The verdict that a picture shows: the only one, else that something arrives.
    fn shown(&self) -> Shown {
        match self.verdicts.as_slice() {
            [(verdict, _)] => Shown::All(*verdict),
            _ => Shown::Some,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    All(Verdict),
    Some,
}

impl Shown {
    fn colour(self) -> &'static str {
        match self {
            Shown::All(Verdict::Reachable) => "#1a7f37",
            Shown::Some => "#7a9a01",
            Shown::All(Verdict::OneWay) => "#bf8700",
            Shown::All(Verdict::Blocked) => "#d0d7de",
            Shown::All(Verdict::NoRoute) => "#afb8c1",
            Shown::All(Verdict::Ambiguous | Verdict::Undetermined) => "#8250df",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Shown::All(verdict) => verdict.name(),
            Shown::Some => "differs by service",
        }
    }
}

/// Groups of more than this are named once, and have a number from then on.
const GROUP_MAX: usize = 32;

/// All groups in the order in which they come, with a number each. Lists are compared once, not for each entry.
struct Groups<'e> {
    all: Vec<&'e Rc<[String]>>,
    numbers: HashMap<*const [String], usize>,
}

impl<'e> Groups<'e> {
    fn new(entries: &'e [Entry]) -> Groups<'e> {
        let (mut all, mut numbers, mut known) = (Vec::new(), HashMap::new(), BTreeMap::new());
        for group in entries.iter().flat_map(|it| [&it.from, &it.to]) {
            numbers.entry(Rc::as_ptr(group)).or_insert_with(|| {
                *known.entry(group).or_insert_with(|| {
                    all.push(group);
                    all.len() - 1
                })
            });
        }
        Groups { all, numbers }
    }

    fn number(&self, group: &Rc<[String]>) -> usize {
        self.numbers[&Rc::as_ptr(group)]
    }
}

/// The numbers of large groups, in the order in which they come.
struct Numbered<'e> {
    groups: Groups<'e>,
    /// From 1; none of those that are small.
    numbers: Vec<Option<usize>>,
}

impl<'e> Numbered<'e> {
    fn new(entries: &'e [Entry]) -> Numbered<'e> {
        let groups = Groups::new(entries);
        let mut n_large = 0;
        let number = |group: &&Rc<[String]>| {
            let is_large = group.len() > GROUP_MAX;
            n_large += usize::from(is_large);
            is_large.then_some(n_large)
        };
        let numbers = groups.all.iter().map(number).collect();
        Numbered { groups, numbers }
    }

    fn name(&self, group: &Rc<[String]>) -> String {
        match self.numbers[self.groups.number(group)] {
            Some(number) => format!("group {number}"),
            None => group.join(", "),
        }
    }

    /// Who is in which group, a line each.
    fn members(&self, line: impl Fn(String) -> String) -> String {
        let told = |(group, number): (&&Rc<[String]>, &Option<usize>)| {
            number.map(|at| line(format!("group {at}, {} machines: {}", group.len(), group.join(", "))))
        };
        self.groups.all.iter().zip(&self.numbers).filter_map(told).collect()
    }
}

/// For people: a line each.
pub fn text(entries: &[Entry]) -> String {
    let numbered = Numbered::new(entries);
    let line =
        |it: &Entry| format!("{} → {}: {}\n", numbered.name(&it.from), numbered.name(&it.to), it.said());
    let lines: String = entries.iter().map(line).collect();
    numbered.members(|text| format!("{text}\n")) + &lines
}

/// For a pull request.
pub fn markdown(entries: &[Entry]) -> String {
    let numbered = Numbered::new(entries);
    let line =
        |it: &Entry| format!("| {} | {} | {} |\n", numbered.name(&it.from), numbered.name(&it.to), it.said());
    let lines: String = entries.iter().map(line).collect();
    let members = numbered.members(|text| format!("- {text}\n"));
    let members = if members.is_empty() { members } else { members + "\n" };
    format!("{members}| from | to | |\n|---|---|---|\n{lines}")
}

/// For machines: every group once, and for each sender by number the receivers who fare alike.
pub fn documents(entries: &[Entry]) -> (Vec<Value>, Vec<Value>) {
    let groups = Groups::new(entries);
    type Told<'e> = (usize, &'e [(Verdict, String)]);
    let mut alike: BTreeMap<Told<'_>, Vec<usize>> = BTreeMap::new();
    for Entry { from, to, verdicts } in entries {
        alike.entry((groups.number(from), verdicts)).or_default().push(groups.number(to));
    }
    let one = |((from, verdicts), to): (Told<'_>, Vec<usize>)| {
        let verdicts: BTreeMap<_, _> =
            verdicts.iter().map(|(verdict, said)| (verdict.name(), said)).collect();
        json!({"from": from, "to": to, "verdicts": verdicts})
    };
    let groups = groups.all.into_iter().map(|group| json!(&group[..])).collect();
    (groups, alike.into_iter().map(one).collect())
}

/// For Graphviz: an arrow where something arrives.
pub fn dot(entries: &[Entry]) -> String {
    let groups = unique(entries.iter().map(|it| &it.from).chain(entries.iter().map(|it| &it.to)));
    let at = |group: &Rc<[String]>| groups.iter().position(|it| *it == group).unwrap_or_default();
    let quote =
        |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let mut out = "digraph reach {\n  rankdir=LR\n  node [shape=box, fontname=\"sans-serif\"]\n".to_owned();
    for (at, group) in groups.iter().enumerate() {
        let _ = writeln!(out, "  g{at} [label={}]", quote(&group.join("\n")));
    }
    for entry in entries {
        let shown = entry.shown();
        if matches!(shown, Shown::All(Verdict::Blocked | Verdict::NoRoute)) {
            continue;
        }
        let style = if shown == Shown::All(Verdict::Reachable) { "solid" } else { "dashed" };
        let (from, to, colour) = (at(&entry.from), at(&entry.to), shown.colour());
        let label = quote(&entry.said());
        let _ = writeln!(out, "  g{from} -> g{to} [label={label}, style={style}, color=\"{colour}\"]");
    }
    out.push_str("}\n");
    out
}

const SIDE: usize = 28;
const LETTER: usize = 8;
const NAME_MAX: usize = 40;

/// A picture: senders down, receivers across, a square each.
pub fn svg(entries: &[Entry]) -> String {
    let rows: Vec<&Rc<[String]>> = unique(entries.iter().map(|it| &it.from));
    let columns: Vec<&Rc<[String]>> = unique(entries.iter().map(|it| &it.to));
    let names = |groups: &[&Rc<[String]>]| groups.iter().map(|it| short(it)).collect::<Vec<String>>();
    let (row_names, column_names) = (names(&rows), names(&columns));
    let widest =
        |names: &[String]| names.iter().map(|name| name.chars().count()).max().unwrap_or(0) * LETTER + 16;
    let (left, top) = (widest(&row_names), widest(&column_names));
    let legend: Vec<Shown> = legend(entries);
    let (width, height) = (left + columns.len() * SIDE + 200, top + rows.len().max(legend.len()) * SIDE + 16);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"monospace\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (at, name) in row_names.iter().enumerate() {
        let y = top + at * SIDE + 19;
        let _ = writeln!(out, "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>", left - 8, xml(name));
    }
    for (at, name) in column_names.iter().enumerate() {
        let (x, y) = (left + at * SIDE + 18, top - 8);
        let _ = writeln!(out, "<text transform=\"translate({x} {y}) rotate(-90)\">{}</text>", xml(name));
    }
    for entry in entries {
        let at =
            |groups: &[&Rc<[String]>], group| groups.iter().position(|it| *it == group).unwrap_or_default();
        let (x, y) = (left + at(&columns, &entry.to) * SIDE, top + at(&rows, &entry.from) * SIDE);
        let title = format!("{} → {}: {}", short(&entry.from), short(&entry.to), entry.said());
        square(x, y, entry.shown(), &title, &mut out);
    }
    for (at, shown) in legend.iter().enumerate() {
        let (x, y) = (left + columns.len() * SIDE + 24, top + at * SIDE);
        square(x, y, *shown, shown.name(), &mut out);
        let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{}</text>", x + SIDE + 6, y + 19, shown.name());
    }
    out.push_str("</svg>\n");
    out
}

fn square(x: usize, y: usize, shown: Shown, title: &str, out: &mut String) {
    let (side, colour) = (SIDE - 2, shown.colour());
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"{colour}\"><title>{}</title></rect>",
        xml(title)
    );
}

fn legend(entries: &[Entry]) -> Vec<Shown> {
    let all = Verdict::ALL.into_iter().map(Shown::All).chain([Shown::Some]);
    all.filter(|shown| entries.iter().any(|entry| entry.shown() == *shown)).collect()
}

fn unique<'e>(groups: impl Iterator<Item = &'e Rc<[String]>>) -> Vec<&'e Rc<[String]>> {
    let mut known = BTreeSet::new();
    groups.filter(|group| known.insert(*group)).collect()
}

/// `a, b and 7 more`
fn short(group: &[String]) -> String {
    let all = group.join(", ");
    if all.chars().count() <= NAME_MAX {
        return all;
    }
    let first: String = group[0].chars().take(NAME_MAX - 12).collect();
    format!("{first} and {} more", group.len() - 1)
}

/// Text for XML, without the characters that it may not hold.
pub fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')) {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
