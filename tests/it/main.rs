//! The only test binary.

mod lab;
