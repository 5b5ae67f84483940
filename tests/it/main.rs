//! The only test binary.

mod asides;
mod bad_input;
mod bombs;
mod browser;
mod cases;
mod dependencies;
mod docs;
#[cfg(feature = "live")]
mod doctor;
#[cfg(feature = "live")]
mod drift;
mod explain;
mod expressions;
#[cfg(feature = "live")]
mod faults;
mod fixtures;
#[cfg(feature = "live")]
mod fuzzed;
mod graph;
#[cfg(feature = "live")]
mod guarded;
mod kinds;
mod lab;
mod laws;
#[cfg(feature = "live")]
mod live;
#[cfg(feature = "live")]
mod load;
mod matching;
mod membership;
mod memory;
mod mutants;

mod northbound;
mod ovn;
#[cfg(feature = "live")]
mod ovsdb;
#[cfg(feature = "live")]
mod promise;
#[cfg(feature = "live")]
mod proxy;
mod reach;
mod reformat;
mod row_page;
mod script;
#[cfg(feature = "live")]
mod servers;
mod shells;
#[cfg(feature = "live")]
mod simulated;
mod slips;
mod stack;
mod threads;
mod tidy;
mod trace;
mod traps;
#[cfg(feature = "live")]
mod verbs;
mod verify;
#[cfg(feature = "live")]
mod watched;
mod worlds;
