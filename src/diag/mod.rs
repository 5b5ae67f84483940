//! What we tell people about their input: diagnostics as values, gathered, never thrown.
//!
//! A diagnostic names the input's fault; a socket's fault is an error type of the live modules, and
//! a fault of ours is a panic. Refuses to know what a VPC is, and to print.

pub mod code;
pub mod format;
pub mod render;

use std::collections::BTreeMap;

use crate::span::{SourceMap, Span};

pub use code::Code;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing to mend.
    Note,
    /// Accepted, and probably not what was meant.
    Warning,
    /// Refused: nothing is emitted.
    Error,
}

impl Severity {
    /// The word that people see.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// A place, and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What; may be empty.
    pub text: String,
}

/// One thing that we tell about the input.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Which of the known things it is.
    pub code: Code,
    /// The code's default, unless the user chose another.
    pub severity: Severity,
    /// One line, lower case, no full stop, the user's words in backticks.
    pub message: String,
    /// The culprit; `None` where there is no text to point at.
    pub primary: Option<Label>,
    /// Witnesses: places that the message depends on.
    pub others: Vec<Label>,
    /// What to do.
    pub helps: Vec<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// A diagnostic about the text at `span`.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        let primary = Some(Label { span, text: String::new() });
        Diagnostic { primary, ..Diagnostic::general(code, message) }
    }

    /// A diagnostic about the input as a whole.
    pub fn general(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: code.severity(),
            message: message.into(),
            primary: None,
            others: Vec::new(),
            helps: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Says what the culprit is, under its underline.
    pub fn at(mut self, text: impl Into<String>) -> Diagnostic {
        if let Some(primary) = &mut self.primary {
            primary.text = text.into();
        }
        self
    }

    /// Adds a witness.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.others.push(Label { span, text: text.into() });
        self
    }

    /// Says what to do.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.helps.push(text.into());
        self
    }

    /// Says what else is worth knowing.
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }
}

/// Where stages leave their diagnostics.
#[derive(Debug, Default)]
pub struct Sink {
    diagnostics: Vec<Diagnostic>,
    n_errors: usize,
}

impl Sink {
    /// An empty one.
    pub fn new() -> Sink {
        Sink::default()
    }

    /// Leaves one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.n_errors += usize::from(diagnostic.severity == Severity::Error);
        self.diagnostics.push(diagnostic);
    }

    /// Leaves all that somebody else left elsewhere, in that order.
    pub(crate) fn append(&mut self, other: Sink) {
        self.n_errors += other.n_errors;
        self.diagnostics.extend(other.diagnostics);
    }

    /// Whether something has been said about a place or a part of it.
    pub fn has_about(&self, span: Span) -> bool {
        let range = span.range();
        let is_within = |label: &Label| {
            let part = label.span.range();
            label.span.file == span.file && range.start <= part.start && part.end <= range.end
        };
        self.diagnostics.iter().any(|told| told.primary.as_ref().is_some_and(is_within))
    }

    /// Has what was said under a code refuse the input.
    pub fn refuse(&mut self, code: Code) {
        for said in self.diagnostics.iter_mut().filter(|said| said.code == code) {
            self.n_errors += usize::from(said.severity != Severity::Error);
            said.severity = Severity::Error;
        }
    }

    /// True when something in it refuses the input.
    pub fn has_errors(&self) -> bool {
        self.n_errors > 0
    }

    /// How many refuse the input so far; a reader that compares two counts knows whether it went well.
    pub fn n_errors(&self) -> usize {
        self.n_errors
    }

    /// True when something with this code was left.
    pub fn has(&self, code: Code) -> bool {
        self.diagnostics.iter().any(|d| d.code == code)
    }

    /// Everything, sorted by file name, position and code, so that neither the order of stages nor the
    /// order of files on the command line shows. Identical ones are said once, and so is that a field has no
    /// effect, wherever it stands.
    pub fn into_sorted(mut self, sources: &SourceMap) -> Vec<Diagnostic> {
        let place = |d: &Diagnostic| {
            d.primary.as_ref().map(|p| (sources.get(p.span.file).name.clone(), p.span.start, p.span.end))
        };
        self.diagnostics.sort_by_cached_key(|d| (place(d), d.code, d.message.clone()));
        self.diagnostics.dedup_by(|a, b| a.code == b.code && a.message == b.message && place(a) == place(b));
        once_a_field(self.diagnostics)
    }
}

/// Of fields without effect, the first of each sort, with how many follow: a server writes some into every object.
fn once_a_field(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut said: Vec<Diagnostic> = Vec::new();
    let mut n_more: BTreeMap<(String, Vec<String>), (usize, usize)> = BTreeMap::new();
    for diagnostic in diagnostics {
        if diagnostic.code == Code::FieldWithoutEffect && diagnostic.others.is_empty() {
            let sort = (diagnostic.message.clone(), diagnostic.notes.clone());
            if let Some((_, n)) = n_more.get_mut(&sort) {
                *n += 1;
                continue;
            }
            n_more.insert(sort, (said.len(), 0));
        }
        said.push(diagnostic);
    }
    for (first, n) in n_more.into_values().filter(|(_, n)| *n > 0) {
        let places = if n == 1 { "one more place".to_owned() } else { format!("{n} more places") };
        said[first].notes.push(format!("the same in {places}"));
    }
    said
}

/// The user's say on severities: `--deny`, `--allow`.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// `None` silences a code.
    overrides: BTreeMap<Code, Option<Severity>>,
    /// Every warning refuses.
    deny_warnings: bool,
}

impl Levels {
    /// Makes every warning an error.
    pub fn deny_warnings(&mut self) {
        self.deny_warnings = true;
    }

    /// Makes a code an error.
    pub fn deny(&mut self, code: Code) {
        self.overrides.insert(code, Some(Severity::Error));
    }

    /// Silences a code.
    pub fn allow(&mut self, code: Code) {
        self.overrides.insert(code, None);
    }

    /// Sets the severities of `diagnostics` as the user said, leaving out what was silenced.
    pub fn apply(&self, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let judge = |mut d: Diagnostic| {
            d.severity = match self.overrides.get(&d.code) {
                Some(said) => (*said)?,
                None if self.deny_warnings && d.severity == Severity::Warning => Severity::Error,
                None => d.severity,
            };
            Some(d)
        };
        diagnostics.into_iter().filter_map(judge).collect()
    }
}
