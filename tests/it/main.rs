//! The only test binary.

mod cases;
mod expressions;
mod fixtures;
mod matching;
mod ovn;
mod reformat;
