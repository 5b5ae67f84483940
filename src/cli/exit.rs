//! Exit codes, one table for every command. Refuses to decide which applies.

/// Done, and what was asked holds.
pub const OK: u8 = 0;
/// The answer is no: errors in the input.
pub const NO: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 64;
