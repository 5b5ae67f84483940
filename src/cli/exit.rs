//! Exit codes, one table for every command. Refuses to decide which applies.

/// Done, and what was asked holds.
pub const OK: u8 = 0;
/// The answer is no: errors in the input.
pub const NO: u8 = 1;
/// With `--detailed-exitcode` alone: succeeded, and there are differences.
pub const DIFFERENCES: u8 = 2;
/// A conflict or a guard: stale plan, foreign row, too much to delete. Nothing was written.
pub const CONFLICT: u8 = 3;
/// The database could not be reached before the commit. Safe to run again.
pub const UNREACHABLE: u8 = 4;
/// Committed, but not confirmed in time, or not as written when read back.
pub const UNCONFIRMED: u8 = 5;
/// The connection broke after sending, and what came of it could not be found out.
pub const UNKNOWN: u8 = 6;
/// Something that is not followed stands between question and answer, or it is OVN's choice.
pub const UNDETERMINED: u8 = 7;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// A bug of northc.
pub const BUG: u8 = 70;
