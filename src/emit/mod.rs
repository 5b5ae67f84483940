//! Rows as text: an `ovn-nbctl` script, an OVSDB transaction, canonical JSON.
//!
//! The same rows give the same bytes. Refuses sockets and files.

pub mod json;
pub mod nbctl;
pub mod quote;
pub mod transact;
