//! What came of expectations: for people, for pull requests, for CI and for machines.
//!
//! Refuses to judge.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Failure, Holds, Outcome};
use crate::reach::show::{ASSUMPTIONS, witness};
use crate::reach::table::xml;
use crate::span::SourceMap;

impl Holds {
    /// As machines are told.
    pub fn name(self) -> &'static str {
        match self {
            Holds::Yes => "holds",
            Holds::No => "violated",
            Holds::Open => "undetermined",
        }
    }

    fn sign(self) -> char {
        match self {
            Holds::Yes => '✓',
            Holds::No => '✗',
            Holds::Open => '?',
        }
    }
}

/// Where an expectation is written.
fn place(outcome: &Outcome<'_>, sources: &SourceMap) -> String {
    sources.line(outcome.expectation.expected.span)
}

/// `only, 3 pairs`
fn gist(outcome: &Outcome<'_>) -> String {
    let (expected, n) = (outcome.expectation.expected.value.name(), outcome.n_pairs);
    format!("{expected}, {n} {}", if n == 1 { "pair" } else { "pairs" })
}

/// `2 hold, 1 does not, 1 can't be judged`
fn sum(outcomes: &[Outcome<'_>]) -> String {
    let n = |holds| outcomes.iter().filter(|outcome| outcome.holds() == holds).count();
    let counts = [
        (n(Holds::Yes), "holds", "hold"),
        (n(Holds::No), "does not", "do not"),
        (n(Holds::Open), "can't be judged", "can't be judged"),
    ];
    let said = counts.into_iter().filter(|(n, ..)| *n > 0);
    let said: Vec<String> =
        said.map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many })).collect();
    if said.is_empty() { "there are no expectations".to_owned() } else { said.join(", ") }
}

/// For people.
pub fn text(outcomes: &[Outcome<'_>], sources: &SourceMap) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let (holds, name) = (outcome.holds(), &outcome.expectation.name);
        let said = if holds == Holds::Yes { gist(outcome) } else { outcome.summary() };
        let _ = writeln!(text, "{} {name}: {said}  ({})", holds.sign(), place(outcome, sources));
        let way = told(outcome).and_then(|failure| failure.way.as_ref());
        // Its first line is the verdict, which is said above.
        for line in way.iter().flat_map(|way| way.text.lines().skip(1)) {
            let _ = writeln!(text, "  {line}");
        }
    }
    let _ = writeln!(text, "{}", sum(outcomes));
    text
}

/// The failure that is explained.
fn told<'o>(outcome: &'o Outcome<'_>) -> Option<&'o Failure> {
    outcome.broken.first().or(outcome.open.first())
}

/// For a comment on a pull request.
pub fn markdown(outcomes: &[Outcome<'_>], sources: &SourceMap) -> String {
    let mut text = format!("### Expectations: {}\n\n", sum(outcomes));
    let _ = writeln!(text, "| | expectation | |\n|---|---|---|");
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for outcome in outcomes {
        let holds = outcome.holds();
        let said = if holds == Holds::Yes { gist(outcome) } else { outcome.summary() };
        let name = &outcome.expectation.name.value;
        let _ = writeln!(
            text,
            "| {} | {} `{}` | {} |",
            holds.sign(),
            cell(name),
            place(outcome, sources),
            cell(&said)
        );
    }
    for outcome in outcomes {
        if let Some(way) = told(outcome).and_then(|failure| failure.way.as_ref()) {
            let name = &outcome.expectation.name;
            let _ = write!(
                text,
                "\n<details><summary>{name}</summary>\n\n~~~~\n{}~~~~\n\n</details>\n",
                way.text
            );
        }
    }
    text
}

/// For machines.
pub fn document(outcomes: &[Outcome<'_>], sources: &SourceMap, exit: u8) -> Value {
    let failure = |failure: &Failure| {
        let Failure { from, to, verdict, services, witness: packet, nothing: _, way } = failure;
        json!({
            "from": from,
            "to": to,
            "verdict": verdict.name(),
            "services": services,
            "witness": packet.as_ref().map(witness),
            "finding": way.as_ref().map(|way| &way.document),
        })
    };
    let one = |outcome: &Outcome<'_>| {
        json!({
            "name": outcome.expectation.name.value,
            "origin": place(outcome, sources),
            "expect": outcome.expectation.expected.value.name(),
            "result": outcome.holds().name(),
            "pairs": outcome.n_pairs,
            "problems": outcome.nobody.iter().map(|(_, why)| why).collect::<Vec<_>>(),
            "violations": outcome.broken.iter().map(failure).collect::<Vec<_>>(),
            "undetermined": outcome.open.iter().map(failure).collect::<Vec<_>>(),
        })
    };
    json!({
        "format_version": "1.0",
        "kind": "northc.reach.expectations",
        "expectations": outcomes.iter().map(one).collect::<Vec<_>>(),
        "assumptions": ASSUMPTIONS,
        "exit": exit,
    })
}

/// JUnit's XML, as CI servers read it: an expectation is a test; one that can't be judged, an error.
pub fn junit(outcomes: &[Outcome<'_>], sources: &SourceMap) -> String {
    let n = |holds| outcomes.iter().filter(|outcome| outcome.holds() == holds).count();
    let (tests, failures, errors) = (outcomes.len(), n(Holds::No), n(Holds::Open));
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"northc\" {counts}>\n  \
         <testsuite name=\"expectations\" {counts} skipped=\"0\" time=\"0\">\n"
    );
    for outcome in outcomes {
        let span = outcome.expectation.expected.span;
        let source = sources.get(span.file);
        let line = source.line(span.start);
        let (name, file) = (xml(&outcome.expectation.name.value), xml(&source.name));
        let case = format!(
            "<testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{line}\" time=\"0\""
        );
        let (element, kind) = match outcome.holds() {
            Holds::Yes => {
                let _ = writeln!(text, "    {case}/>");
                continue;
            }
            Holds::No => ("failure", "violated"),
            Holds::Open => ("error", "undetermined"),
        };
        let way = told(outcome).and_then(|failure| failure.way.as_ref()).map_or("", |way| way.text.as_str());
        let (message, way) = (xml(&outcome.summary()), xml(way));
        let _ = writeln!(
            text,
            "    {case}>\n      <{element} type=\"{kind}\" message=\"{message}\">{way}</{element}>\n    </testcase>"
        );
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}
