//! Diagnostics as people read them on a terminal: the text, the underline, the help.
//!
//! Refuses to decide severities and to write to a stream.

use std::borrow::Cow;
use std::collections::BTreeMap;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Label, Severity};
use crate::span::{FileId, Source, SourceMap};
use crate::visible::visible;

/// How many diagnostics of one code are shown in full; the rest are counted.
pub const SHOWN_PER_CODE: usize = 50;

/// Lines longer than this, in bytes, are shown in part.
const LINE_MAX: usize = 160;

/// How much of such a line is shown on either side of a label, and of the label.
const EXCERPT: usize = 50;

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
            let text = renderer.render(&report(diagnostic, sources));
            // The renderer puts an empty place above a snippet whose place stands above it already.
            for line in text.lines().filter(|line| !is_empty_place(line)) {
                out.push_str(line);
                out.push('\n');
            }
            out.push('\n');
        }
    }
    for (code, n) in shown.into_iter().filter(|&(_, n)| n > SHOWN_PER_CODE) {
        out.push_str(&format!("... and {} more of {code} ({})\n\n", n - SHOWN_PER_CODE, code.slug()));
    }
    out
}

/// `:::` with nothing behind it, in colours or not.
fn is_empty_place(line: &str) -> bool {
    line.contains(":::")
        && line
            .split('\u{1b}')
            .map(|part| part.split_once('m').map_or(part, |(_, t)| t))
            .collect::<String>()
            .trim()
            == ":::"
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = level
        .primary_title(visible(&diagnostic.message).into_owned())
        .id(diagnostic.code.to_string())
        .elements(snippets(diagnostic, sources));
    for help in &diagnostic.helps {
        group = group.element(Level::HELP.message(visible(help).into_owned()));
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(visible(note).into_owned()));
    }
    vec![group]
}

/// One snippet a stretch of nearby labels, the primary label's first.
fn snippets<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Element<'a>> {
    let primary = diagnostic.primary.iter().map(|label| (label, AnnotationKind::Primary));
    let others = diagnostic.others.iter().map(|label| (label, AnnotationKind::Context));
    let mut elements: Vec<Element<'a>> = Vec::new();
    let mut stretches: Vec<Stretch<'a>> = Vec::new();
    for (label, kind) in primary.chain(others) {
        let source = sources.get(label.span.file);
        if source.line_at(label.span.start).len() > LINE_MAX {
            elements.extend(excerpt(label, kind, source));
            continue;
        }
        let line = source.line(label.span.start);
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
    let whole = stretches.into_iter().map(|stretch| stretch.snippet(sources.get(stretch.file)).into());
    whole.chain(elements).collect()
}

/// Of a line as long as a file, what stands around the label.
fn excerpt<'a>(label: &'a Label, kind: AnnotationKind, source: &'a Source) -> [Element<'a>; 2] {
    let (line, column) = source.line_col(label.span.start);
    let range = label.span.range();
    let text = source.text.as_str();
    let start = range.start.min(text.len());
    let line_start = start - source.line_before(label.span.start).len();
    let line_end = line_start + source.line_at(label.span.start).len();
    let stop = range.end.clamp(start, line_end).min(start + EXCERPT);
    let from = text.floor_char_boundary(start.saturating_sub(EXCERPT).max(line_start));
    let to = text.ceil_char_boundary((stop + EXCERPT).min(line_end));
    let stop = text.ceil_char_boundary(stop);
    let label_text = (!label.text.is_empty()).then(|| visible(&label.text).into_owned());
    let (before, after) =
        (if from > line_start { "..." } else { "" }, if to < line_end { "..." } else { "" });
    let shown = format!("{before}{}{after}", quiet(text.get(from..to).unwrap_or("")));
    let at = before.len() + start - from;
    let snippet = Snippet::source(shown)
        .line_start(line)
        .annotation(kind.span(at..at + (stop - start)).label(label_text));
    [Origin::path(visible(&source.name).into_owned()).line(line).char_column(column).into(), snippet.into()]
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

    fn snippet(&self, source: &'a Source) -> Snippet<'a, Annotation<'a>> {
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
            let label_text = (!label.text.is_empty()).then(|| visible(&label.text).into_owned());
            kind.span(begin..stop).label(label_text)
        });
        Snippet::source(quiet(window))
            .path(visible(&source.name).into_owned())
            .line_start(source.line(from as u32))
            .fold(true)
            .annotations(annotations)
    }
}

/// An underline stays on the line it begins on: nothing is gained by drawing along a whole object.
fn first_line_end(window: &str, begin: usize, end: usize) -> usize {
    let end = end.min(window.len());
    window.get(begin..end).and_then(|t| t.find('\n')).map_or(end, |at| begin + at)
}

/// A source text as shown, without the carriage returns of Windows: the renderer replaces other control characters, but not those of U+0080 to U+009F,
/// which some terminals obey. What stands for them is as many bytes long, so that labels stay where they are.
fn quiet(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    if !text.contains(obeyed) && !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    let mut quiet = text.replace(obeyed, "\u{b7}").replace("\r\n", " \n");
    if quiet.ends_with('\r') {
        quiet.truncate(quiet.len() - 1);
        quiet.push(' ');
    }
    Cow::Owned(quiet)
}
