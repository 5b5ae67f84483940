//! Rows and plans as text: an `ovn-nbctl` script, OVSDB transactions, canonical JSON.
//!
//! The same rows give the same bytes. Refuses sockets and files.

pub mod commands;
pub mod json;
pub mod nbctl;
pub mod operations;
pub mod quote;
pub mod transact;
