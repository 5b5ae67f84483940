//! A static verifier: what can reach what, read from Northbound rows and nothing else.
//!
//! Rows may have been compiled a moment ago or come from a live database, northc's own or anybody's.
//! Whole sets of packets are followed, not samples. What OVN leaves to chance is told apart from what it
//! decides, and what cannot be judged is said to be so, with the row.
//!
//! Refuses to share code with what makes the rows, and to know what they were meant to do.

mod balance;
pub mod change;
mod classes;
pub mod filter;
pub mod guest;
pub mod header;
pub mod judge;
pub mod matrix;
mod nat;
pub mod network;
pub(crate) mod outside;
pub mod parties;
mod router;
pub mod selector;
pub mod set;
pub mod show;
mod switch;
pub mod table;
pub mod walk;
