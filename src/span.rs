//! Where a thing was written: files, byte ranges, lines and columns.
//!
//! Refuses to know what the bytes mean or how they were read.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// One source text of a run; an index into [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A byte range of one source text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text it lies in.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of `range` (byte offsets) in `file`.
    pub fn new(file: FileId, range: Range<usize>) -> Span {
        // INVARIANT: SourceMap::add refuses texts whose offsets do not fit.
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file, start: at(range.start), end: at(range.end.max(range.start)) }
    }

    /// The byte range, for slicing.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Pairs a value with its place.
    pub fn new(value: T, span: Span) -> Spanned<T> {
        Spanned { value, span }
    }

    /// The same place, another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), span: self.span }
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A source text, its name, and where its lines start.
#[derive(Debug)]
pub struct Source {
    /// The path as the user gave it, or `<stdin>`.
    pub name: String,
    /// The whole text, UTF-8.
    pub text: String,
    /// Looked for when a place is first told: most texts are compiled without a word, and this was 3 % of it.
    lines: OnceLock<Lines>,
}

/// Where the lines and characters of a text are.
#[derive(Debug)]
struct Lines {
    starts: Vec<u32>,
    /// How many characters stand before each multiple of [`MARK_EVERY`] bytes.
    marks: Vec<u32>,
}

impl Lines {
    fn of(text: &str) -> Lines {
        let mut starts = vec![0];
        starts.extend(text.bytes().enumerate().filter(|&(_, b)| b == b'\n').map(|(at, _)| at as u32 + 1));
        let mut marks = vec![0];
        for chunk in text.as_bytes().chunks(MARK_EVERY) {
            let n_here = chunk.iter().filter(|byte| begins_char(**byte)).count();
            marks.push(marks[marks.len() - 1] + n_here as u32);
        }
        Lines { starts, marks }
    }

    fn at(&self, offset: u32) -> usize {
        self.starts.partition_point(|&start| start <= offset).max(1) - 1
    }
}

/// A column is counted from a mark at most this many bytes away: a line may be a whole file long.
const MARK_EVERY: usize = 4096;

impl Source {
    /// 1-based line, and 1-based column in characters, of a byte offset.
    pub fn line_col(&self, offset: u32) -> (usize, usize) {
        let start = self.line_start(offset);
        let upto = (offset as usize).min(self.text.len());
        (self.line(offset), self.n_chars(upto).saturating_sub(self.n_chars(start)) + 1)
    }

    /// 1-based line of a byte offset.
    pub fn line(&self, offset: u32) -> usize {
        self.lines().at(offset) + 1
    }

    /// The line that a byte offset is on, without its end.
    pub fn line_at(&self, offset: u32) -> &str {
        let rest = self.text.get(self.line_start(offset)..).unwrap_or("");
        rest.split('\n').next().unwrap_or("")
    }

    /// What stands before a byte offset on its line.
    pub fn line_before(&self, offset: u32) -> &str {
        let upto = (offset as usize).min(self.text.len());
        self.text.get(self.line_start(offset)..upto).unwrap_or("")
    }

    fn lines(&self) -> &Lines {
        self.lines.get_or_init(|| Lines::of(&self.text))
    }

    fn line_start(&self, offset: u32) -> usize {
        let lines = self.lines();
        lines.starts[lines.at(offset)] as usize
    }

    /// How many characters begin before a byte offset.
    fn n_chars(&self, offset: usize) -> usize {
        let mark = offset / MARK_EVERY;
        let after = &self.text.as_bytes()[mark * MARK_EVERY..offset];
        self.lines().marks[mark] as usize + after.iter().filter(|byte| begins_char(**byte)).count()
    }
}

/// False for the second and later bytes of a character in UTF-8.
fn begins_char(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// Every text of one run.
#[derive(Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// No texts.
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// Adds a text under a name. `None` when it is longer than 4 GiB, which offsets cannot address.
    pub fn add(&mut self, name: impl Into<String>, text: String) -> Option<FileId> {
        u32::try_from(text.len()).ok()?;
        let id = FileId(u32::try_from(self.sources.len()).ok()?);
        self.sources.push(Source { name: name.into(), text, lines: OnceLock::new() });
        Some(id)
    }

    /// The text behind an id.
    pub fn get(&self, id: FileId) -> &Source {
        &self.sources[id.0 as usize]
    }

    /// All texts in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &Source)> {
        self.sources.iter().enumerate().map(|(at, source)| (FileId(at as u32), source))
    }

    /// What stands at a span; empty when the span is outside its text.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.file).text.get(span.range()).unwrap_or("")
    }

    /// `file:line:column` of a span's first byte, as compilers print it.
    pub fn place(&self, span: Span) -> String {
        let source = self.get(span.file);
        let (line, col) = source.line_col(span.start);
        format!("{}:{line}:{col}", source.name)
    }

    /// `file:line`, for comments in generated text.
    pub fn line(&self, span: Span) -> String {
        let source = self.get(span.file);
        format!("{}:{}", source.name, source.line(span.start))
    }
}
