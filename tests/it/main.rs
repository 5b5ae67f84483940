//! The only test binary.

mod expressions;
mod laws;
mod matching;
mod memory;
mod ovn;
