//! `--verbose`, `--timings` and `NORTHC_LOG`: what happens inside, told on standard error.
//!
//! A stage opens a span and knows nothing of who listens. Refuses to measure what is no stage.

use std::io;
use std::time::Instant;

use tracing::span::{Attributes, Id};
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::{EnvFilter, fmt};

/// Filters as `tracing_subscriber::EnvFilter` has them, such as `northc::ovsdb=debug`.
const VARIABLE: &str = "NORTHC_LOG";

/// Listens from here on, in every thread of the process. Events are written up to a level that follows from how
/// often `--verbose` was said, or as the variable says; with `timings`, so is the time that each stage took.
pub(super) fn listen(verbose: u8, timings: bool) {
    let said = std::env::var(VARIABLE).ok().filter(|filter| !filter.is_empty());
    if said.is_none() && verbose == 0 && !timings {
        return;
    }
    let by_count = match verbose {
        0 => "off",
        1 => "northc=info",
        2 => "northc=debug",
        _ => "northc=trace",
    };
    let filter = EnvFilter::builder().parse_lossy(said.as_deref().unwrap_or(by_count));
    let events = fmt::layer().with_writer(io::stderr).with_ansi(false).with_filter(filter);
    let subscriber = Registry::default().with(events).with(timings.then_some(Timings));
    // Who runs several command lines in one process hears of all what the first one asked for.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Writes how long each stage took, when it ends.
struct Timings;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Timings {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if *attributes.metadata().level() == Level::INFO
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(Instant::now());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        if let Some(began) = span.extensions().get::<Instant>() {
            let took = began.elapsed().as_secs_f64() * 1000.0;
            let mut stderr = io::stderr().lock();
            let _ = io::Write::write_fmt(&mut stderr, format_args!("{took:>10.1} ms  {}\n", span.name()));
        }
    }
}
