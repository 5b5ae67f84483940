//! The only test binary.

#[cfg(feature = "live")]
#[cfg(feature = "live")]
#[cfg(feature = "live")]
mod cases;
mod expressions;
mod fixtures;
mod guests;
mod lab;
mod lab;
mod laws;
mod matching;
mod memory;
mod ovn;
mod ovsdb;
mod proxy;
mod reformat;
mod servers;
mod stack;
mod steps;
mod trace;
