//! The only test binary.

mod expressions;
mod matching;
mod ovn;
