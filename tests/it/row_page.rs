//! `docs/rows.md`: which rows become of which kind, as the cases show it.
//!
//! Every row knows the place in the YAML that it is there for; here those are put together by the kind of the object
//! around the place. Refuses to know what ought to be: a kind that no case has is not on the page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use northc::compile::{Options, compile};
use northc::diag::Sink;
use northc::files;
use northc::span::{SourceMap, Span};
use northc::target::Target;

use crate::cases;
use crate::docs::is_current;

const HEAD: &str = "# Which rows become of which kind

Put together by the tests from all of `fixtures/`: the tables of OVN's Northbound database that have rows because of an
object of the kind. Which ones there are depends on its fields; `northc compile --to rows` shows them for an input, and a
page of `northc graph --format html` object by object.

| kind | rows |
|---|---|
";

#[test]
fn rows_by_kind_are_current() {
    let mut found: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for case in cases::all().iter().chain(&cases::of_the_lab()) {
        let paths: Vec<PathBuf> = case.sources().iter().map(|path| cases::root().join(path)).collect();
        let (sources, _) = files::read(&paths);
        let options = Options {
            owner: "default".to_owned(),
            target: Target::OLDEST,
            remembered: Default::default(),
            gateway_chassis: Vec::new(),
        };
        let Some(compiled) = compile(&sources, &options, &mut Sink::new()) else { continue };
        for (key, _) in compiled.rows.iter() {
            let kind = compiled.rows.origin(key).and_then(|span| kind(&sources, span));
            if let Some(kind) = kind {
                found.entry(kind).or_default().insert(key.table.name());
            }
        }
    }
    let line = |(kind, tables): (String, BTreeSet<&str>)| {
        format!("| {kind} | {} |\n", tables.into_iter().collect::<Vec<_>>().join(", "))
    };
    let lines: String = found.into_iter().map(line).collect();
    is_current("rows.md", &format!("{HEAD}{lines}"));
}

/// `Vpc (northc.io)`: what the object around a place is.
fn kind(sources: &SourceMap, span: Span) -> Option<String> {
    let source = sources.get(span.file);
    let at = span.range().start;
    let start = source.text[..at].rfind("\n---").map_or(0, |border| border + 4);
    let end = source.text[at..].find("\n---").map_or(source.text.len(), |border| at + border);
    let object = &source.text[start..end];
    let value = |field: &str| {
        let rest = object.split_once(field)?.1.trim_start_matches(['"', ':', ' ']);
        rest.split(['"', ',', '}', '\n', ' ']).next().map(str::to_owned)
    };
    let (kind, api) = (value("kind")?, value("apiVersion")?);
    let group = api.split_once('/').map_or("core", |(group, _)| group).to_owned();
    // A list has many objects, and which one it is can't be seen from here.
    (!object.contains("items")).then(|| format!("{kind} ({group})"))
}
