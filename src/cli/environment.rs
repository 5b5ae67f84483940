//! The variables of the environment that northc reads, one table for manuals. Each is read where it matters.

/// Every variable with its meaning.
pub(super) const TABLE: &[(&str, &str)] = &[
    ("NORTHC_DB", "the Northbound database where `--db` does not say it"),
    ("OVN_NB_DB", "the same where `NORTHC_DB` does not say it either; ovn-nbctl reads it too"),
    ("OVN_SB_DB", "the Southbound database where `--sb-db` does not say it"),
    ("NORTHC_LOG", "what is logged, as filters: `northc::ovsdb=debug`; stands over `--verbose`"),
    ("NO_COLOR", "if it is set, nothing is coloured but by `--color`"),
    ("FORCE_COLOR", "if it or CLICOLOR_FORCE is set, messages are coloured too that go to no terminal"),
];
