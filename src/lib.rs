//! northc turns a description of virtual private clouds into rows of OVN's Northbound database.

pub mod nb;
#[cfg(feature = "live")]
pub mod ovsdb;
pub mod span;
