//! The only test binary.

#[cfg(feature = "live")]
mod drift;
mod expressions;
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
#[cfg(feature = "live")]
mod servers;
