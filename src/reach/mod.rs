//! A static verifier: what can reach what, read from Northbound rows and nothing else.
//!
//! Rows may have been compiled a moment ago or come from a live database, northc's own or anybody's.
//! Whole sets of packets are followed, not samples. What OVN leaves to chance is told apart from what it
//! decides, and what cannot be judged is said to be so, with the row.
//!
//! ```
//! # use northc::compile::{Options, compile};
//! # use northc::{diag::Sink, span::SourceMap};
//! use northc::reach::guest::ByHand;
//! use northc::reach::judge::{Judge, Proto, Verdict, service};
//! use northc::reach::network::Network;
//! use northc::reach::parties::parties;
//! use northc::reach::set::Sets;
//! use northc::reach::show::verdict;
//!
//! let office = "
//! {apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: office}}
//! ---
//! {apiVersion: northc.io/v1alpha1, kind: Subnet, metadata: {name: desks}, spec: {vpc: office, cidrs: 10.1.1.0/24}}
//! ---
//! {apiVersion: northc.io/v1alpha1, kind: NetworkInterface, metadata: {name: ann}, spec: {subnet: desks}}
//! ---
//! {apiVersion: northc.io/v1alpha1, kind: NetworkInterface, metadata: {name: bob}, spec: {subnet: desks}}";
//! # let mut sources = SourceMap::new();
//! # sources.add("office.yaml", office.to_owned()).expect("short");
//! # let options = Options::new("example");
//! # let rows = compile(&sources, &options, &mut Sink::new()).expect("no mistakes").rows;
//! // `rows` are those of the office; `Network::of_actual` takes a live database's.
//! let (network, sets) = (Network::of_rows(&rows, options.target), Sets::default());
//! let mut judge = Judge::new(&network, &sets, ByHand::default());
//! let (ann, bob) = (parties(&judge, "ann")?, parties(&judge, "bob")?);
//! let https = service(&sets, Some(Proto::Tcp), Some((443, 443)));
//! assert_eq!(verdict(&judge.explain(&ann[0], &bob[0], https)), Some(Verdict::Reachable));
//! # Ok::<(), String>(())
//! ```
//!
//! Refuses to share code with what makes the rows, and to know what they were meant to do.

pub(crate) mod address;
pub mod alike;
mod back;
mod balance;
pub mod change;
mod classes;
pub mod filter;
pub mod guest;
mod halves;
pub mod header;
pub mod judge;
pub mod matrix;
mod nat;
mod neighbours;
pub mod network;
pub(crate) mod outside;
pub mod parties;
mod resolve;
mod router;
mod routes;
pub mod selector;
pub mod set;
pub mod show;
mod switch;
pub mod table;
pub mod walk;
