//! Do the rows mean what the model says? Both meanings are worked out apart and held against each other.
//!
//! The model's is [`crate::meaning`]'s, the rows' is [`crate::reach`]'s. From every machine and from behind every
//! bridged subnet whole sets of packets are followed, to any address; the two must name the same ends for all of
//! them, as the same packets, with answers that come back alike. What a machine is told of routes must be the same.
//! Machines that both sides say are alike are followed once (`verify::classes`), on all processors (`verify::senders`).
//!
//! | difference | of packets |
//! |---|---|
//! | over-permissive | the rows let something arrive, or be answered, that the model does not |
//! | over-restrictive | the rows stop something that the model lets arrive, or be answered |
//!
//! What either side can't judge is left out of the comparison and told, with the reason. Refuses to know how rows
//! are made, and to look at a clock: whoever calls it says when to stop.

mod classes;
mod compare;
mod rows;
mod senders;
mod standing;
mod tell;
mod universe;

use std::collections::{BTreeMap, BTreeSet};

use crate::check::Checked;
use crate::meaning::{Idle, Reason};
use crate::parallel;
use crate::reach::header::Header;
use crate::reach::network::Network;
use crate::span::Span;

/// Which way the rows differ from the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// They let more through.
    OverPermissive,
    /// They let less through.
    OverRestrictive,
    /// They send it elsewhere, or as something else.
    Otherwise,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Kind::OverPermissive => "over-permissive",
            Kind::OverRestrictive => "over-restrictive",
            Kind::Otherwise => "otherwise",
        }
    }
}

/// A row that had a say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowSaid {
    /// The row, as people call it.
    pub row: String,
    /// What caused it, where that is known.
    pub origin: Option<Span>,
}

/// Packets that the rows treat otherwise than the model.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which way.
    pub kind: Kind,
    /// Who sends.
    pub from: String,
    /// One of the packets.
    pub witness: Option<Header>,
    /// What the model says of it, all that is possible.
    pub meant: Vec<String>,
    /// What the rows do with it, likewise.
    pub done: Vec<String>,
    /// What decides in the model, in order.
    pub reasons: Vec<Reason>,
    /// What decides in the rows, in order.
    pub rows: Vec<RowSaid>,
    /// How many more there are from others, for the same reasons.
    pub n_more: usize,
}

/// Packets whose answers come back by other routers.
#[derive(Clone, Debug)]
pub struct Detour {
    /// What last decided about the answer, if it stands anywhere.
    pub span: Option<Span>,
    /// Who sends.
    pub from: String,
    /// One of the packets.
    pub witness: Header,
    /// The routers of the packet.
    pub there: Vec<String>,
    /// Those of the answer.
    pub back: Vec<String>,
}

/// What came of comparing.
#[derive(Debug, Default)]
pub struct Report {
    /// What no packet comes to; known when everything was followed.
    pub idle: BTreeSet<(Idle, Span)>,
    /// Where answers take another way, one for each reason.
    pub detours: Vec<Detour>,
    /// Where the rows differ.
    pub differences: Vec<Difference>,
    /// What could not be judged, by reason, with how many senders it concerns.
    pub undetermined: BTreeMap<String, usize>,
    /// How many senders there are.
    pub n_senders: usize,
    /// How many of them are proven: all, unless it was time to stop.
    pub n_followed: usize,
    /// How many of those were followed, for themselves and for whoever is like them.
    pub n_classes: usize,
}

impl Report {
    /// Whether every sender was followed.
    pub fn is_whole(&self) -> bool {
        self.n_followed == self.n_senders
    }
}

/// With more edges of sets than this, 20 bytes each, sets are let go: 40 MiB, for what asks for them again.
const N_EDGES_MAX: usize = 1 << 21;

/// But each thread keeps so many.
const N_EDGES_MIN: usize = 1 << 18;

/// Holds rows against the model that they were made from, sender by sender, as long as `goes_on` says so.
pub fn verify(checked: &Checked<'_>, network: &Network, goes_on: &(dyn Fn() -> bool + Sync)) -> Report {
    let n_edges = (N_EDGES_MAX / parallel::n_threads()).max(N_EDGES_MIN);
    verify_within(checked, network, goes_on, n_edges)
}

/// The same, where a thread with more edges of sets than `n_edges` lets them all go before the next look; what is found
/// does not hang on it, nor on how many threads there are.
pub fn verify_within(
    checked: &Checked<'_>,
    network: &Network,
    goes_on: &(dyn Fn() -> bool + Sync),
    n_edges: usize,
) -> Report {
    senders::all(checked, network, goes_on, n_edges)
}
