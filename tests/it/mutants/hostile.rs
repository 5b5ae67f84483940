//! Fixtures in which one text would break out of where it is put: it is refused, or it is a text like any other.
//!
//! A tame text in the same place tells what that is: the same rules, and the same columns that hold it.

use std::collections::BTreeSet;

use northc::nb::matching::{self, SymbolSet};
use northc::nb::{Atom, Datum, Row, Rows};
use serde_json::Value;

use super::{objects, rows};
use crate::cases::{self, Case};

/// Ends a string of a match, of JSON, of a shell and of a terminal, and goes on as something else.
const HOSTILE: &str =
    "canary\" || 1 == 1 || inport == \"'`$(touch canary)`\u{1b}]0;x\u{7}\n\u{202e}<script>\\";
const TAME: &str = "canary";

#[test]
fn no_text_breaks_out_of_its_place() {
    let cases: Vec<Case> = cases::all().into_iter().filter(Case::is_good).collect();
    let counts = std::thread::scope(|scope| {
        let running: Vec<_> = cases.iter().map(|case| scope.spawn(|| check(case))).collect();
        running.into_iter().map(|thread| thread.join().expect("it holds")).collect::<Vec<_>>()
    });
    let (n_texts, n_taken) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    assert!(n_texts > 1_500 && n_taken > 300, "{n_texts} texts, {n_taken} of them taken");
}

/// How many texts there were, and how many of them were taken with something hostile in them.
fn check(case: &Case) -> (usize, usize) {
    let objects = Value::Array(objects(case));
    let mut texts = BTreeSet::new();
    collect(&objects, &mut texts);
    let with = |text: &str, more: &str| {
        let mut objects = objects.clone();
        replace(&mut objects, text, &format!("{text}{more}"));
        let Value::Array(objects) = objects else { unreachable!("it was one") };
        rows(&objects)
    };
    let mut n_taken = 0;
    for text in &texts {
        let Some(hostile) = with(text, HOSTILE) else { continue };
        let tame = with(text, TAME).unwrap_or_else(|| panic!("{}: `{text}` is only taken broken", case.name));
        assert_eq!(rules(&hostile), rules(&tame), "{}: `{text}` changes a rule", case.name);
        let more: Vec<_> = places(&hostile).difference(&places(&tame)).cloned().collect();
        assert!(more.is_empty(), "{}: `{text}` gets into {more:?}", case.name);
        n_taken += 1;
    }
    (texts.len(), n_taken)
}

pub(super) fn collect<'v>(value: &'v Value, texts: &mut BTreeSet<&'v str>) {
    match value {
        Value::String(text) => drop(texts.insert(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        // A kind that is none is no text: it is another program's.
        Value::Object(entries) => {
            let is_text = |key: &&String| !["apiVersion", "kind"].contains(&key.as_str());
            entries.iter().filter(|(key, _)| is_text(key)).for_each(|(_, entry)| collect(entry, texts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts another text where this one stands, also as the name of a reference: `default/net`.
pub(super) fn replace(value: &mut Value, text: &str, other: &str) {
    match value {
        Value::String(found) if found == text => other.clone_into(found),
        Value::String(found) => {
            if let Some(namespace) = found.strip_suffix(text).filter(|namespace| namespace.ends_with('/')) {
                *found = format!("{namespace}{other}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, text, other)),
        Value::Object(entries) => entries.values_mut().for_each(|entry| replace(entry, text, other)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn texts<'r>(row: &'r Row) -> impl Iterator<Item = (&'static str, &'r str)> {
    row.set_columns().flat_map(|(column, datum)| {
        let atoms: Vec<&'r Atom> = match datum {
            Datum::Set(atoms) => atoms.iter().collect(),
            Datum::Map(pairs) => pairs.iter().flat_map(|(name, value)| [name, value]).collect(),
        };
        let text =
            |atom: &'r Atom| if let Atom::Text(text) = atom { Some((column.name, &**text)) } else { None };
        atoms.into_iter().filter_map(text).collect::<Vec<_>>()
    })
}

/// The matches, without what their strings and sets are called, sorted.
fn rules(rows: &Rows) -> Vec<String> {
    let matches = rows.iter().flat_map(|(_, row)| texts(row).collect::<Vec<_>>());
    let matches = matches.filter(|(column, _)| *column == "match").map(|(_, text)| text);
    let mut rules: Vec<String> = matches.map(skeleton).collect();
    rules.sort_unstable();
    rules
}

fn skeleton(text: &str) -> String {
    let parsed = matching::parse(text, SymbolSet::V23_03);
    let expr = parsed.expr.unwrap_or_else(|| panic!("{text} is no match: {:?}", parsed.problems));
    let (mut outside, mut is_inside, mut is_escaped) = (String::new(), false, false);
    for c in expr.to_string().chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_inside = !is_inside,
            '|' | '&' | '!' | '(' | ')' | '=' if !is_inside => outside.push(c),
            _ => {}
        }
    }
    format!("{outside} {}", expr.references().len())
}

/// The columns that hold the word.
fn places(rows: &Rows) -> BTreeSet<(&'static str, &'static str)> {
    let all = rows
        .iter()
        .flat_map(|(key, row)| texts(row).map(|text| (key.table.name(), text)).collect::<Vec<_>>());
    all.filter(|(_, (_, text))| text.contains(TAME)).map(|(table, (column, _))| (table, column)).collect()
}
