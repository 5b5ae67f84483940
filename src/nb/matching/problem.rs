//! What can be wrong with a match, as values.
//!
//! Refuses to decide how it is shown.

use std::ops::Range;

/// One thing to say about a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The part of the text it is about.
    pub range: Range<usize>,
    /// What sort of problem.
    pub kind: ProblemKind,
    /// What is the case: lower case, no full stop, the user's words in backticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Whether OVN would install the match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It would, but it may not mean what was meant.
    Warning,
    /// It would not, or must not.
    Error,
}

/// The sorts of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// A character, number or string that is no token.
    Lexical,
    /// Tokens in an order that is no expression.
    Syntax,
    /// `&&` and `||` side by side.
    MixedOperators,
    /// Parentheses too deep for OVN.
    Nesting,
    /// A name that is no field or predicate of the target.
    UnknownSymbol,
    /// Text where a number belongs, or the reverse.
    TypeMismatch,
    /// A constant wider than its field.
    TooWide,
    /// Bits that the field has not.
    Subfield,
    /// `<`, `<=`, `>` or `>=` where only `==` and `!=` are allowed.
    Ordering,
    /// A field that OVN can only test for being equal, tested for being different.
    Nominal,
    /// A field of several bits on its own.
    MultiBitTest,
    /// `^name`, which each chassis replaces by a text of its own.
    Template,
    /// OVN accepts it, and matches more packets than it says.
    MaskIgnored,
    /// OVN accepts it, and the daemons that install it crash.
    ActionField,
    /// Bits are written that the mask excludes.
    HostBits,
    /// Bits are written that the subfield has not, and OVN drops them.
    Truncated,
    /// An address of one family against a field of another.
    AddressFamily,
    /// An ordering against an address set, which depends on what the set holds.
    OrderedSet,
    /// No packet matches.
    Never,
}

impl ProblemKind {
    /// How bad it is.
    pub fn severity(self) -> Severity {
        use ProblemKind as Kind;
        match self {
            Kind::Lexical | Kind::Syntax | Kind::MixedOperators | Kind::Nesting => Severity::Error,
            Kind::UnknownSymbol | Kind::TypeMismatch | Kind::TooWide => Severity::Error,
            Kind::Subfield | Kind::Ordering | Kind::Nominal => Severity::Error,
            Kind::MultiBitTest | Kind::Template => Severity::Error,
            Kind::MaskIgnored | Kind::ActionField => Severity::Error,
            Kind::HostBits | Kind::Truncated | Kind::AddressFamily => Severity::Warning,
            Kind::OrderedSet | Kind::Never => Severity::Warning,
        }
    }

    /// Whether we refuse here what OVN accepts, because what it then does is not what is written.
    pub fn is_stricter_than_ovn(self) -> bool {
        matches!(self, ProblemKind::MaskIgnored | ProblemKind::ActionField)
    }
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, range: Range<usize>, message: impl Into<String>) -> Problem {
        Problem { range, kind, message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()), ..self }
    }

    /// Whether it keeps the match from being accepted.
    pub fn is_error(&self) -> bool {
        self.kind.severity() == Severity::Error
    }
}
