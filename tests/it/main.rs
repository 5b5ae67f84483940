//! The only test binary.

mod cases;
mod expressions;
mod laws;
mod fixtures;
mod guests;
mod matching;
mod memory;
mod ovn;
#[cfg(feature = "live")]
mod ovsdb;
#[cfg(feature = "live")]
mod proxy;
#[cfg(feature = "live")]
mod servers;
mod reformat;
mod stack;
mod steps;
mod trace;
