//! Whether a difference comes from the input or from somebody's hand in the database.
//!
//! Three digests decide: of the row as northc last wrote it (a mark on the row), as it is, and as it
//! is wanted. Refuses to decide what is done about it.

use super::step::{Change, Why};
use crate::nb::Row;
use crate::nb::stamp::{self, external_id};

/// Why `live` differs from `wanted` in these columns.
pub(super) fn why(wanted: &Row, live: &Row, changes: &[Change]) -> Why {
    let written = external_id(live, stamp::DIGEST);
    let is_as_written = written.is_some_and(|written| stamp::digest(live) == written);
    let is_same_input = written.is_some() && written == external_id(wanted, stamp::DIGEST);
    let n_content = changes.iter().filter(|change| !change.is_marks()).count();
    match (is_same_input, is_as_written) {
        _ if n_content == 0 => Why::Marks,
        (false, true) => Why::Input,
        (true, true | false) => Why::Drift,
        (false, false) if written.is_none() => Why::Drift,
        (false, false) => Why::Both,
    }
}

/// Why they differ, when the input is known to be what was last applied.
pub(super) fn why_with_same_input(wanted: &Row, live: &Row, changes: &[Change]) -> Why {
    match why(wanted, live, changes) {
        Why::Marks => Why::Marks,
        Why::Input | Why::Drift | Why::Both | Why::Duplicate | Why::Adopted(_) => Why::Drift,
    }
}
