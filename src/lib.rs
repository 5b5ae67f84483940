//! northc turns a description of virtual private clouds into rows of OVN's Northbound database.
//!
//! The program is a thin shell around this crate. Another one compiles like this:
//!
//! ```
//! use northc::compile::{Options, compile};
//! use northc::diag::{Sink, render};
//! use northc::{emit, span::SourceMap, target::Target};
//!
//! let office = "{apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: office}}";
//! let mut sources = SourceMap::new();
//! sources.add("office.yaml".to_owned(), office.to_owned()).expect("shorter than 4 GiB");
//! let options = Options {
//!     owner: "example".to_owned(),
//!     target: Target::OLDEST,
//!     remembered: Default::default(),
//!     gateway_chassis: Vec::new(),
//! };
//! let mut sink = Sink::new();
//! match compile(&sources, &options, &mut sink) {
//!     Some(compiled) => {
//!         assert_eq!(compiled.rows.len(), 1);
//!         let script = emit::nbctl::script(&compiled.rows, &options.owner, options.target);
//!         assert!(script.contains("# Logical_Router office"));
//!     }
//!     None => panic!("{}", render::render(&sink.into_sorted(&sources), &sources, false)),
//! }
//! ```
//!
#![doc = include_str!("ARCHITECTURE.md")]

#[cfg(feature = "live")]
pub mod apply;
pub mod assign;
pub mod check;
pub mod cli;
pub mod compile;
pub mod diag;
mod digest;
pub mod emit;
pub mod expect;
pub mod files;
pub mod graph;
pub mod lock;
pub mod lower;
pub mod meaning;
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
pub mod verify;
mod visible;
