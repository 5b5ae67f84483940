//! northc turns a description of virtual private clouds into rows of OVN's Northbound database.
//!
#![doc = include_str!("ARCHITECTURE.md")]

#[cfg(feature = "live")]
pub mod apply;
pub mod assign;
pub mod check;
pub mod cli;
pub mod compile;
pub mod diag;
pub mod emit;
pub mod files;
pub mod graph;
pub mod lock;
pub mod lower;
pub mod model;
mod names;
pub mod nb;
pub mod nearest;
pub mod ovsdb;
pub mod plan;
mod priority;
pub mod reach;
pub mod source;
pub mod span;
pub mod target;
