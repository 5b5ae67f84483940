//! YAML text to trees of nodes with spans: the only user of the YAML crate.
//!
//! JSON is YAML here. Anchors, aliases and merge keys are resolved, within limits that no honest file
//! reaches. A broken document is a diagnostic, and reading goes on with the next one. Refuses to know
//! kinds and fields.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError};

use crate::diag::{Code, Diagnostic, Sink};
use crate::span::{FileId, Span};

/// Deepest nesting of a document.
const DEPTH_MAX: usize = 100;
/// Most nodes that the aliases of one document may copy.
const ALIAS_NODES_MAX: usize = 100_000;

/// A value with its place. A scalar's span covers its text without quotes wherever that text stands in
/// the source as it is, so that offsets into the value are offsets into the source.
#[derive(Clone, Debug)]
pub(crate) struct Node<'s> {
    /// What it is.
    pub(crate) value: Yaml<'s>,
    /// Where it stands.
    pub(crate) span: Span,
}

/// A YAML value, not yet typed by a schema.
#[derive(Clone, Debug)]
pub(crate) enum Yaml<'s> {
    /// `null`, `~` or nothing.
    Null,
    /// Any other scalar; `plain` is false for quoted and block scalars, which are always strings.
    Scalar {
        /// The text after escapes.
        text: Cow<'s, str>,
        /// Whether it was written without quotes.
        plain: bool,
    },
    /// A sequence.
    Seq(Vec<Node<'s>>),
    /// A mapping, in the order written.
    Map(Vec<Entry<'s>>),
}

/// A key of a mapping and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'s> {
    /// The key.
    pub(crate) key: Cow<'s, str>,
    /// Where the key stands.
    pub(crate) key_span: Span,
    /// The value.
    pub(crate) value: Node<'s>,
}

impl Node<'_> {
    /// What it is, for "expected …, found …".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Yaml::Null => "nothing",
            Yaml::Scalar { .. } => "a single value",
            Yaml::Seq(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }
}

/// A text, or a part of one that begins and ends between two documents.
#[derive(Clone, Debug)]
pub(crate) struct Part<'s> {
    file: FileId,
    text: &'s str,
    range: Range<usize>,
}

impl<'s> Part<'s> {
    /// The whole of a text.
    pub(crate) fn whole(file: FileId, text: &'s str) -> Part<'s> {
        Part { file, text, range: 0..text.len() }
    }

    /// The parts of a text, of at least `size` bytes each but for the last.
    pub(crate) fn of(file: FileId, text: &'s str, size: usize) -> Vec<Part<'s>> {
        let mut parts = Vec::new();
        let mut start: usize = 0;
        while let Some(end) = marker(text, start.saturating_add(size)) {
            parts.push(Part { file, text, range: start..end });
            start = end;
        }
        parts.push(Part { file, text, range: start..text.len() });
        parts
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    fn is_whole(&self) -> bool {
        self.len() == self.text.len()
    }
}

/// Where the first document from there on begins with `---`, which at the begin of a line is nothing else (YAML 1.2.2
/// §9.1.2).
fn marker(text: &str, from: usize) -> Option<usize> {
    let rest = text.as_bytes().get(from..)?;
    let is_marker = |at: &usize| {
        let line = &rest[*at..];
        line.starts_with(b"\n---") && matches!(line.get(4), None | Some(b' ' | b'\t' | b'\r' | b'\n'))
    };
    Some(from + (0..rest.len()).find(is_marker)? + 1)
}

/// A part of a text can't be read by itself: what is wrong is to be told from the whole.
pub(crate) struct Torn;

/// Calls `each` with every non-empty document, in order.
pub(crate) fn documents<'s>(
    part: &Part<'s>,
    sink: &mut Sink,
    mut each: impl FnMut(&Node<'s>, &mut Sink),
) -> Result<(), Torn> {
    let &Part { file, text, ref range } = part;
    let mut options = Options::default();
    options.block_nesting_limit = DEPTH_MAX;
    options.flow_nesting_limit = DEPTH_MAX;
    let mut parser = Parser::new_from_str_with_options(&text[range.clone()], options);
    let mut builder = Builder::new(file, text);
    loop {
        match parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => return Ok(()),
            Some(Ok((Event::DocumentEnd, _))) => {
                if let Some(root) = builder.finish().filter(|root| !matches!(root.value, Yaml::Null)) {
                    each(&root, sink);
                }
                continue;
            }
            Some(Ok((event, span))) => {
                let at = span.byte_range().unwrap_or(0..0);
                let span = Span::new(file, range.start + at.start..range.start + at.end);
                let Err(problem) = builder.event(event, span, sink) else { continue };
                sink.push(*problem);
            }
            Some(Err(error)) => sink.push(syntax_error(file, text, &error)),
        }
        // Something is wrong, and we go on behind it.
        if !part.is_whole() {
            return Err(Torn);
        }
        builder = Builder::new(file, text);
        if !parser.proceed_next_document().unwrap_or(false) {
            return Ok(());
        }
    }
}

fn syntax_error(file: FileId, text: &str, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let end = text.get(at..).and_then(|t| t.chars().next()).map_or(at, |c| at + c.len_utf8());
    let info = error.info();
    let span = Span::new(file, at..end);
    if info.contains("recursion limit") {
        return too_deep(span);
    }
    let line_start = text.get(..at).and_then(|t| t.rfind('\n')).map_or(0, |nl| nl + 1);
    let line = text.get(line_start..).and_then(|t| t.lines().next()).unwrap_or("");
    // The parser may notice a tab from the line above.
    let next_line = line_start + line.len() + 1;
    if let Some(tab) = [line_start, next_line].into_iter().find_map(|start| tab_in_indent(text, start)) {
        let span = Span::new(file, tab..tab + 1);
        return Diagnostic::new(Code::YamlSyntax, span, "not YAML: a tab in the indentation")
            .help("indent with spaces: YAML does not allow tabs");
    }
    let diagnostic = Diagnostic::new(Code::YamlSyntax, span, format!("not YAML: {info}"));
    let help = if line.contains("{{") {
        "this looks like a template: render it first"
    } else if line.trim_start().starts_with("```") {
        "this looks like Markdown: take only what stands between the fences"
    } else if info.contains("document start") {
        "put a line `---` between two documents"
    } else if info.contains("expected ':'") && line.contains(':') {
        "put a blank after the colon"
    } else {
        return diagnostic;
    };
    diagnostic.help(help)
}

/// The first tab among the blanks that a line begins with.
fn tab_in_indent(text: &str, line_start: usize) -> Option<usize> {
    let line = text.get(line_start..)?.lines().next()?;
    let indent = line.len() - line.trim_start().len();
    line.get(..indent)?.find('\t').map(|at| line_start + at)
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::new(Code::TooDeep, span, format!("nested deeper than {DEPTH_MAX} levels"))
}

/// Builds one document's tree from events.
struct Builder<'s> {
    file: FileId,
    text: &'s str,
    root: Option<Node<'s>>,
    open: Vec<Open<'s>>,
    anchors: HashMap<usize, Node<'s>>,
    n_alias_nodes: usize,
}

/// A collection whose end has not come yet.
struct Open<'s> {
    anchor: usize,
    start: Span,
    items: Items<'s>,
}

enum Items<'s> {
    Seq(Vec<Node<'s>>),
    /// Entries so far, and the key that waits for its value.
    Map(Vec<Entry<'s>>, Option<(Cow<'s, str>, Span)>),
}

impl<'s> Builder<'s> {
    fn new(file: FileId, text: &'s str) -> Builder<'s> {
        Builder { file, text, root: None, open: Vec::new(), anchors: HashMap::new(), n_alias_nodes: 0 }
    }

    fn finish(&mut self) -> Option<Node<'s>> {
        self.anchors.clear();
        self.n_alias_nodes = 0;
        self.root.take()
    }

    fn event(&mut self, event: Event<'s>, span: Span, sink: &mut Sink) -> Result<(), Box<Diagnostic>> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let node = self.scalar(text, style, span);
                if let Yaml::Scalar { text, .. } = &node.value
                    && text.contains('\0')
                {
                    let message = "a value holds the character NUL, which no text in OVN can";
                    return Err(Diagnostic::new(Code::YamlSyntax, node.span, message)
                        .help("remove it")
                        .into());
                }
                self.place(node, anchor, sink)
            }
            Event::SequenceStart(_, anchor, _) => self.open(anchor, span, Items::Seq(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.open(anchor, span, Items::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let span = Span { end: span.end.max(open.start.end), ..open.start };
                let value = match open.items {
                    Items::Seq(items) => Yaml::Seq(items),
                    Items::Map(entries, _) => Yaml::Map(merged(without_late_twins(entries, sink))),
                };
                self.place(Node { value, span }, open.anchor, sink)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Diagnostic::new(
                        Code::YamlSyntax,
                        span,
                        "an alias to a value that contains it",
                    )
                    .into());
                };
                self.n_alias_nodes += count(node);
                if self.n_alias_nodes > ALIAS_NODES_MAX {
                    let message = format!("aliases copy more than {ALIAS_NODES_MAX} values");
                    return Err(Diagnostic::new(Code::TooDeep, span, message)
                        .help("write the values out, or split the document")
                        .into());
                }
                let node = node.clone();
                self.place(node, 0, sink)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, start: Span, items: Items<'s>) -> Result<(), Box<Diagnostic>> {
        self.open.push(Open { anchor, start, items });
        if self.open.len() > DEPTH_MAX {
            return Err(too_deep(start).into());
        }
        Ok(())
    }

    fn scalar(&self, text: Cow<'s, str>, style: ScalarStyle, span: Span) -> Node<'s> {
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
            return Node { value: Yaml::Null, span };
        }
        let wanted = text.trim();
        let source = self.text.get(span.range()).unwrap_or("");
        // Most scalars: nothing is searched for them.
        if wanted == source {
            return Node { value: Yaml::Scalar { text, plain }, span };
        }
        if style == ScalarStyle::Literal && wanted.contains('\n') {
            // From the first to the last character of the text, the indentation of the lines between included.
            let blanks = source.len() - source.trim_start().len();
            let start = span.range().start + blanks;
            let span = Span::new(self.file, start..start + source.trim().len());
            return Node { value: Yaml::Scalar { text, plain }, span };
        }
        let inner = source.find(wanted).filter(|_| !wanted.is_empty()).map(|at| {
            let start = span.range().start + at;
            Span::new(self.file, start..start + wanted.len())
        });
        Node { value: Yaml::Scalar { text, plain }, span: inner.unwrap_or(span) }
    }

    /// Puts a finished node where it belongs: the root, the open sequence, or a key's value.
    fn place(&mut self, node: Node<'s>, anchor: usize, sink: &mut Sink) -> Result<(), Box<Diagnostic>> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let depth = self.open.len();
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::Seq(items)) => items.push(node),
            Some(Items::Map(entries, waiting)) => match waiting.take() {
                None => *waiting = Some(key_of(node)?),
                Some((key, key_span)) => {
                    let entry = Entry { key, key_span, value: node };
                    add_entry(entries, entry, depth == 1, sink);
                }
            },
        }
        Ok(())
    }
}

fn key_of(node: Node<'_>) -> Result<(Cow<'_, str>, Span), Box<Diagnostic>> {
    match node.value {
        Yaml::Scalar { text, .. } => Ok((text, node.span)),
        Yaml::Null => Ok((Cow::Borrowed("null"), node.span)),
        Yaml::Seq(_) | Yaml::Map(_) => {
            Err(Diagnostic::new(Code::YamlSyntax, node.span, "a key must be a single value")
                .help("if this is a template, render it first; else put quotes around the value")
                .into())
        }
    }
}

/// Mappings up to this size are searched for duplicate keys as they grow.
const SMALL_MAP: usize = 32;

fn add_entry<'s>(entries: &mut Vec<Entry<'s>>, entry: Entry<'s>, is_document: bool, sink: &mut Sink) {
    let twin = if entries.len() < SMALL_MAP {
        entries.iter().find(|e| e.key == entry.key && entry.key != "<<")
    } else {
        None
    };
    match twin {
        None => entries.push(entry),
        // Two objects in one document: told by what every object has, not by every key that both have.
        Some(first) if is_document && entries.iter().any(|e| e.key == "kind") => {
            if entry.key == "kind" {
                let diagnostic = twice(first.key_span, &entry);
                sink.push(diagnostic.help("if these are two objects, put a line `---` between them"));
            } else if !matches!(&*entry.key, "apiVersion" | "metadata" | "spec" | "status") {
                sink.push(twice(first.key_span, &entry));
            }
        }
        Some(first) => sink.push(twice(first.key_span, &entry)),
    }
}

/// Drops the duplicates that [`add_entry`] did not look for, in mappings too large to search each time.
fn without_late_twins<'s>(entries: Vec<Entry<'s>>, sink: &mut Sink) -> Vec<Entry<'s>> {
    if entries.len() <= SMALL_MAP {
        return entries;
    }
    let mut first: HashMap<String, Span> = HashMap::new();
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        match first.get(&*entry.key) {
            Some(twin) if entry.key != "<<" => sink.push(twice(*twin, &entry)),
            _ => {
                first.insert(entry.key.to_string(), entry.key_span);
                kept.push(entry);
            }
        }
    }
    kept
}

fn twice(first: Span, second: &Entry<'_>) -> Diagnostic {
    Diagnostic::new(Code::DuplicateKey, second.key_span, format!("`{}` stands here twice", second.key))
        .at("a second time")
        .label(first, "first here")
        .help("keep one of them: readers of YAML disagree on which one counts")
}

/// Resolves merge keys (`<<: *anchor`): what the mapping says itself wins.
fn merged(entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    if !entries.iter().any(|e| e.key == "<<") {
        return entries;
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| e.key == "<<");
    let mut seen: HashSet<String> = own.iter().map(|e| e.key.to_string()).collect();
    for merge in merges {
        let maps = match merge.value.value {
            Yaml::Seq(items) => items,
            _ => vec![merge.value],
        };
        for entry in maps
            .into_iter()
            .filter_map(|node| match node.value {
                Yaml::Map(entries) => Some(entries),
                _ => None,
            })
            .flatten()
        {
            if seen.insert(entry.key.to_string()) {
                own.push(entry);
            }
        }
    }
    own
}

fn count(node: &Node<'_>) -> usize {
    match &node.value {
        Yaml::Null | Yaml::Scalar { .. } => 1,
        Yaml::Seq(items) => 1 + items.iter().map(count).sum::<usize>(),
        Yaml::Map(entries) => 1 + entries.iter().map(|e| count(&e.value)).sum::<usize>(),
    }
}
