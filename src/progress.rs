//! How far the work is, told to whoever listens while it goes on.
//!
//! Whoever has many things to do says how many, and which one it is at; [`crate::cli`] shows that to a person who has
//! waited a second. Where nobody listens it costs a comparison. Refuses to know clocks and terminals.

/// What such an event is called among those of `tracing`: it has two numbers, `done` and `of`.
pub(crate) const TARGET: &str = "northc::progress";

/// Tells that so much is done of so much, in the current stage; of zero where nobody knows.
pub(crate) fn at(done: u64, of: u64) {
    tracing::trace!(target: TARGET, done, of);
}

/// The same things in the same order; each says where we are before it comes.
pub(crate) fn along<T>(items: impl Iterator<Item = T>, n: usize) -> impl Iterator<Item = T> {
    items.zip(0..).map(move |(item, done)| {
        at(done, n as u64);
        item
    })
}
