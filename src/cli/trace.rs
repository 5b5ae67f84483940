//! `--verbose`, `--timings`, `NORTHC_LOG` and progress: what happens inside, told on standard error.
//!
//! A stage opens a span, says how far it is, and knows nothing of who listens. Refuses to measure what is no stage.

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::{EnvFilter, fmt};

use super::duration;
use crate::progress;

/// Filters as `tracing_subscriber::EnvFilter` has them, such as `northc::ovsdb=debug`.
const VARIABLE: &str = "NORTHC_LOG";

/// Listens from here on, in every thread of the process. Events are written up to a level that follows from how
/// often `--verbose` was said, or as the variable says; with `timings`, so is the time that each stage took. How far
/// a long stage is shows on a terminal.
pub(super) fn listen(verbose: u8, timings: bool, terminal: bool) {
    let said = std::env::var(VARIABLE).ok().filter(|filter| !filter.is_empty());
    if said.is_none() && verbose == 0 && !timings && !terminal {
        return;
    }
    let by_count = match verbose {
        0 => "off",
        1 => "northc=info",
        2 => "northc=debug",
        _ => "northc=trace,northc::progress=off",
    };
    let filter = EnvFilter::builder().parse_lossy(said.as_deref().unwrap_or(by_count));
    let events = fmt::layer().with_writer(io::stderr).with_ansi(false).with_filter(filter);
    let is_stage = |it: &Metadata<'_>| it.is_span() && *it.level() == Level::INFO;
    let timings = timings.then_some(Timings).with_filter(filter_fn(is_stage));
    let is_told = move |it: &Metadata<'_>| is_stage(it) || it.target() == progress::TARGET;
    let bar = terminal.then(|| Bar { began: Instant::now() }).with_filter(filter_fn(is_told));
    let subscriber = Registry::default().with(events).with(timings).with(bar);
    // Who runs several command lines in one process hears of all what the first one asked for.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// When a stage began.
struct Began(Instant);

/// Remembers when a stage begins, for whoever asks later.
fn begin<S: Subscriber + for<'s> LookupSpan<'s>>(id: &Id, context: &Context<'_, S>) {
    if let Some(span) = context.span(id) {
        span.extensions_mut().replace(Began(Instant::now()));
    }
}

/// Writes how long each stage took, when it ends.
struct Timings;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Timings {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        begin(id, &context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        if let Some(Began(at)) = span.extensions().get() {
            clear();
            let took = at.elapsed().as_secs_f64() * 1000.0;
            let _ = writeln!(io::stderr().lock(), "{took:>10.1} ms  {}", span.name());
        }
    }
}

/// Nobody wants to see how far a second's work is.
const PATIENCE: Duration = Duration::from_secs(1);
/// A line that changes more often can't be read.
const EVERY: Duration = Duration::from_millis(100);
/// Characters between the brackets.
const WIDTH: u64 = 24;

/// The line that is there now.
static LINE: Mutex<Line> = Mutex::new(Line { drawn: None, hushed: false });

struct Line {
    /// When it was last drawn; `None` when it is not there.
    drawn: Option<Instant>,
    /// Whether the terminal belongs to somebody else.
    hushed: bool,
}

/// Takes the line away.
pub(super) fn clear() {
    let mut line = LINE.lock().expect("nobody panics while drawing");
    if line.drawn.take().is_some() {
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }
}

/// Takes the line away for good: the terminal is somebody else's now.
pub(super) fn hush() {
    clear();
    LINE.lock().expect("nobody panics while drawing").hushed = true;
}

/// Shows how far the current stage is.
struct Bar {
    began: Instant,
}

/// The numbers of an event of [`progress`].
#[derive(Default)]
struct Numbers {
    done: u64,
    of: u64,
}

impl Visit for Numbers {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "done" => self.done = value,
            "of" => self.of = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Bar {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        begin(id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let now = Instant::now();
        if now - self.began < PATIENCE {
            return;
        }
        let mut line = LINE.lock().expect("nobody panics while drawing");
        if line.hushed || line.drawn.is_some_and(|at| now - at < EVERY) {
            return;
        }
        let Some(span) = context.event_span(event) else { return };
        let Some(took) = span.extensions().get::<Began>().map(|began| now - began.0) else { return };
        let mut numbers = Numbers::default();
        event.record(&mut numbers);
        let _ = write!(io::stderr(), "\r\x1b[K{}", bar(span.name(), took, &numbers));
        line.drawn = Some(now);
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        clear();
    }
}

/// `check [=======>    ] 57 %, about 2.0 s left`; only how long it takes, where nobody knows how much it is.
fn bar(stage: &str, took: Duration, &Numbers { done, of }: &Numbers) -> String {
    if of == 0 {
        return format!("{stage}: {}", duration::show(took));
    }
    let done = done.min(of);
    let head = "=".repeat(usize::try_from(done * WIDTH / of).unwrap_or(0)) + ">";
    let (percent, width) = (done * 100 / of, WIDTH as usize + 1);
    let bar = format!("{stage} [{head:<width$}] {percent} %");
    if done == 0 {
        return bar;
    }
    let left = took.mul_f64((of - done) as f64 / done as f64);
    match left.as_secs() + 1 {
        seconds @ 0..60 => format!("{bar}, about {seconds} s left"),
        seconds => format!("{bar}, about {} min left", seconds.div_ceil(60)),
    }
}
