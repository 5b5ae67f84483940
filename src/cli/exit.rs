//! Exit codes, one table for every command. Refuses to decide which applies.

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: u8 = $code;)*

        /// Every code with its meaning.
        pub const TABLE: &[(u8, &str)] = &[$(($code, $meaning)),*];
    };
}

codes! {
    OK = 0, "done, and what was asked holds";
    NO = 1, "the answer is no: errors in the input, not reachable, an expectation violated";
    DIFFERENCES = 2, "with `--detailed-exitcode` alone: succeeded, and there are differences";
    CONFLICT = 3, "a conflict or a guard: nothing was written";
    UNREACHABLE = 4, "the database could not be reached before the commit; safe to run again";
    UNCONFIRMED = 5, "committed, but not confirmed in time";
    UNKNOWN = 6, "the connection broke after sending, and what came of it could not be found out";
    UNDETERMINED = 7, "`reach`, `verify`, Expectations: what decides is OVN's choice, or not in the rows, or not followed";
    USAGE = 64, "the command line is wrong";
    BUG = 70, "a bug in northc";
}
