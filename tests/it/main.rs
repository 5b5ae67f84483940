//! The only test binary.

mod bad_input;
mod explain;
mod expressions;
mod matching;
mod ovn;
