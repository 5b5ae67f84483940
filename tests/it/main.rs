//! The only test binary.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[cfg(feature = "live")]
mod ovsdb;
#[cfg(feature = "live")]
mod proxy;
#[cfg(feature = "live")]
mod servers;
