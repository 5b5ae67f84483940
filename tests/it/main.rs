//! The only test binary.

mod expressions;
mod laws;
mod matching;
mod memory;
mod ovn;
#[cfg(feature = "live")]
mod ovsdb;
#[cfg(feature = "live")]
mod proxy;
#[cfg(feature = "live")]
mod servers;
