//! The only test binary.

mod laws;
mod memory;
