//! The only test binary.

mod cases;
mod expressions;
mod fixtures;
mod graph;
mod guests;
mod lab;
mod laws;
mod matching;
mod memory;
mod ovn;
#[cfg(feature = "live")]
mod ovsdb;
#[cfg(feature = "live")]
mod proxy;
mod reformat;
#[cfg(feature = "live")]
mod servers;
mod stack;
mod steps;
mod trace;
