//! The only test binary.

mod cases;
#[cfg(feature = "live")]
mod drift;
mod expressions;
mod fixtures;
mod guests;
mod lab;
mod laws;
#[cfg(feature = "live")]
mod live;
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
#[cfg(feature = "live")]
mod verbs;
