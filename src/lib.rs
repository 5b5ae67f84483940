//! northc turns a description of virtual private clouds into rows of OVN's Northbound database.

pub mod nb;
pub mod plan;
pub mod span;
