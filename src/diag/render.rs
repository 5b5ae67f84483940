//! Diagnostics as people read them on a terminal: the text, the underline, the help.
//!
//! Refuses to decide severities and to write to a stream.

use std::collections::BTreeMap;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Label, Severity};
use crate::span::{FileId, Source, SourceMap};

/// How many diagnostics of one code are shown in full; the rest are counted.
pub const SHOWN_PER_CODE: usize = 50;

/// Labels of one file that are at most this many lines apart share a snippet.
const SNIPPET_LINES_MAX: usize = 400;

/// All diagnostics as one text, with colours if asked; ends with a newline unless empty.
pub fn render(diagnostics: &[Diagnostic], sources: &SourceMap, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut shown: BTreeMap<_, usize> = BTreeMap::new();
    let mut out = String::new();
    for diagnostic in diagnostics {
        let n = shown.entry(diagnostic.code).or_default();
        *n += 1;
        if *n <= SHOWN_PER_CODE {
            out.push_str(&renderer.render(&report(diagnostic, sources)));
            out.push_str("\n\n");
        }
    }
    for (code, n) in shown.into_iter().filter(|&(_, n)| n > SHOWN_PER_CODE) {
        out.push_str(&format!("... and {} more of {code} ({})\n\n", n - SHOWN_PER_CODE, code.slug()));
    }
    out
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = level
        .primary_title(visible(&diagnostic.message))
        .id(diagnostic.code.to_string())
        .elements(snippets(diagnostic, sources));
    for help in &diagnostic.helps {
        group = group.element(Level::HELP.message(visible(help)));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(visible(note)));
    }
    vec![group]
}

/// One snippet a stretch of nearby labels, the primary label's first.
fn snippets<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let primary = diagnostic.primary.iter().map(|label| (label, AnnotationKind::Primary));
    let others = diagnostic.others.iter().map(|label| (label, AnnotationKind::Context));
    let mut stretches: Vec<Stretch<'a>> = Vec::new();
    for (label, kind) in primary.chain(others) {
        let line = sources.get(label.span.file).line_col(label.span.start).0;
        let near = |s: &&mut Stretch<'a>| {
            s.file == label.span.file && s.first.min(line) + SNIPPET_LINES_MAX > s.last.max(line)
        };
        match stretches.iter_mut().find(near) {
            Some(stretch) => stretch.add(label, kind, line),
            None => stretches.push(Stretch {
                file: label.span.file,
                first: line,
                last: line,
                labels: vec![(label, kind)],
            }),
        }
    }
    stretches.into_iter().map(|stretch| stretch.snippet(sources.get(stretch.file))).collect()
}

struct Stretch<'a> {
    file: FileId,
    first: usize,
    last: usize,
    labels: Vec<(&'a Label, AnnotationKind)>,
}

impl<'a> Stretch<'a> {
    fn add(&mut self, label: &'a Label, kind: AnnotationKind, line: usize) {
        self.first = self.first.min(line);
        self.last = self.last.max(line);
        self.labels.push((label, kind));
    }

    fn snippet(&self, source: &'a Source) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let start = self.labels.iter().map(|(l, _)| l.span.range().start).min().unwrap_or(0);
        let end = self.labels.iter().map(|(l, _)| l.span.range().end).max().unwrap_or(0);
        let text = &source.text;
        let from = text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |at| at + 1);
        let to = text.get(end..).and_then(|t| t.find('\n')).map_or(text.len(), |at| end + at);
        let window = text.get(from..to).unwrap_or("");
        let annotations = self.labels.iter().map(|(label, kind)| {
            let range = label.span.range();
            let begin = range.start.saturating_sub(from).min(window.len());
            let stop = first_line_end(window, begin, range.end.saturating_sub(from)).max(begin);
            let label_text = (!label.text.is_empty()).then(|| visible(&label.text));
            kind.span(begin..stop).label(label_text)
        });
        Snippet::source(window)
            .path(source.name.as_str())
            .line_start(source.line_col(from as u32).0)
            .fold(true)
            .annotations(annotations)
    }
}

/// An underline stays on the line it begins on: nothing is gained by drawing along a whole object.
fn first_line_end(window: &str, begin: usize, end: usize) -> usize {
    let end = end.min(window.len());
    window.get(begin..end).and_then(|t| t.find('\n')).map_or(end, |at| begin + at)
}

/// Text without control characters, so that no input can drive a terminal.
fn visible(text: &str) -> String {
    let show = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c.is_control() => format!("\\u{{{:x}}}", c as u32),
        c => c.to_string(),
    };
    text.chars().map(show).collect()
}
