//! northc turns a description of virtual private clouds into rows of OVN's Northbound database.
//!
//! The program is a thin shell around this crate. Another one compiles like this; what is wrong is told with lines:
//!
//! ```
//! use northc::compile::{Compiled, Options, compile};
//! use northc::diag::{Sink, render};
//! use northc::{emit, span::SourceMap};
//!
//! fn rows(text: &str) -> Result<Compiled, String> {
//!     let mut sources = SourceMap::new();
//!     sources.add("office.yaml", text.to_owned()).ok_or("longer than 4 GiB")?;
//!     let mut sink = Sink::new();
//!     compile(&sources, &Options::new("example"), &mut sink)
//!         .ok_or_else(|| render::render(&sink.into_sorted(&sources), &sources, false))
//! }
//!
//! let options = Options::new("example");
//! let office = rows("{apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: office}}")?;
//! let script = emit::nbctl::script(&office.rows, &options.owner, options.target);
//! assert!(script.contains("# Logical_Router office"));
//!
//! let wrong = rows("{apiVersion: northc.io/v1alpha1, kind: Vcp, metadata: {name: office}}");
//! assert!(wrong.is_err_and(|told| told.contains("did you mean `Vpc`?")));
//! # Ok::<(), String>(())
//! ```
//!
//! A plan is what makes one set of rows of another: of those of a live database (`ovsdb::session`), or, as here, of what
//! would be there had another input been applied. [`plan::render::text`] and [`plan::json`] tell it, `apply` does it:
//!
//! ```
//! # use northc::compile::{Options, compile};
//! # use northc::{diag::Sink, span::SourceMap};
//! use northc::plan::{Request, as_if_applied, plan};
//! # let read = |text: &str| {
//! #     let mut sources = SourceMap::new();
//! #     sources.add("office.yaml", text.to_owned()).expect("short");
//! #     (compile(&sources, &Options::new("example"), &mut Sink::new()).expect("no mistakes").rows, sources)
//! # };
//!
//! let (before, _) = read("{apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: office}}");
//! let (after, sources) = read("{apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: factory}}");
//! let made = plan(&after, &as_if_applied(&before, "example"), &Request::new("example", &sources));
//! assert_eq!((made.summary().n_add, made.summary().n_remove), (1, 1));
//! ```
//!
//! What reaches what is asked of rows, whoever made them: see [`reach`]. `examples/library.rs` does all three.
//!
//! What is stable for programs that are not written in Rust is the JSON, `docs/json.md`. Modules that this page does
//! not list are the program's own, and change as it does.
//!
#![doc = include_str!("ARCHITECTURE.md")]

#[cfg(feature = "live")]
pub mod apply;
pub mod assign;
pub mod check;
#[doc(hidden)]
pub mod cli;
pub mod compile;
pub mod diag;
mod digest;
pub mod emit;
pub mod expect;
#[doc(hidden)]
pub mod files;
pub mod graph;
pub mod lock;
#[doc(hidden)]
pub mod lower;
#[doc(hidden)]
pub mod meaning;
pub mod model;
mod names;
pub mod nb;
#[doc(hidden)]
pub mod nearest;
pub mod ovsdb;
#[doc(hidden)]
pub mod parallel;
pub mod plan;
mod priority;
mod progress;
pub mod reach;
#[doc(hidden)]
pub mod source;
pub mod span;
pub mod target;
pub mod verify;
mod visible;
