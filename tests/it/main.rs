//! The only test binary.

mod cases;
mod expressions;
mod fixtures;
mod lab;
mod laws;
mod matching;
mod memory;
mod ovn;
#[cfg(feature = "live")]
mod ovsdb;
#[cfg(feature = "live")]
mod proxy;
mod readme;
mod reformat;
mod script;
#[cfg(feature = "live")]
mod servers;
mod stack;
mod tidy;
mod trace;
