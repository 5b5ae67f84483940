//! The only test binary.

mod expressions;
mod lab;
mod matching;
mod ovn;
