//! The only test binary.

mod cases;
mod expressions;
mod fixtures;
mod guests;
mod matching;
mod ovn;
mod reformat;
mod script;
mod stack;
mod steps;
mod trace;
