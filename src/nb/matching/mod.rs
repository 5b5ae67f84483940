//! Matches of ACLs and router policies: what OVN accepts as one, and what it says.
//!
//! OVN's northd pastes a match into a logical flow without reading it. What it cannot parse,
//! ovn-controller logs and skips, and the packets that it should have dropped go through. So the
//! whole language of ovn-sb(5), "match" of Logical_Flow, is parsed here, with the symbols of the
//! target, and refused where OVN would refuse it.
//!
//! Refuses to look anything up: which address sets, port groups and ports exist is for whoever asks
//! for [`Expr::references`].

mod ast;
mod check;
mod implied;
mod lex;
mod number;
mod parse;
mod print;
mod problem;
mod suggest;
mod symbols;

pub use ast::{
    Bound, Constant, ConstantKind, Expr, ExprKind, FieldRef, Format, Number, Reference, ReferenceKind, RelOp,
    Text,
};
pub use parse::parse;
pub use print::{enclosed, one_line};
pub use problem::{Problem, ProblemKind, Severity};
pub use symbols::{Definition, Level, Symbol, SymbolSet};

/// A match that was read.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What it says; there exactly when no problem is an error.
    pub expr: Option<Expr>,
    /// All there is to say about it, in the order of the text.
    pub problems: Vec<Problem>,
}

#[cfg(test)]
mod tests;
