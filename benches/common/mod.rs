//! What the benchmarks share: clocks and memory of a process, repetition, tables and raw data.
//!
//! Times are processor times where a step is ours alone: a machine that has other work disturbs those least.
//! Raw measurements go to `target/bench/NAME.csv`, or the folder that `NORTHC_BENCH_DIR` names, one a line; tables show
//! medians. Refuses to judge.

#![allow(dead_code, reason = "each benchmark uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[cfg(feature = "live")]
pub(crate) mod server;
#[path = "../../examples/generate/world.rs"]
pub(crate) mod world;

/// That of the program.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) type Anything<T> = Result<T, Box<dyn std::error::Error>>;

/// Processor time of this thread so far.
pub(crate) fn thread_time() -> Duration {
    time(ClockId::ThreadCPUTime)
}

/// Processor time of this process so far, with that of threads that have ended.
pub(crate) fn spent() -> Duration {
    time(ClockId::ProcessCPUTime)
}

fn time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time of a process so far, its threads that live together.
pub(crate) fn process_time(pid: u32) -> Anything<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let nanos = text.split_whitespace().next().and_then(|first| first.parse().ok());
        sum += Duration::from_nanos(nanos.unwrap_or(0));
    }
    Ok(sum)
}

/// The most memory that this process ever had, or had since [`forget_peak`], in bytes.
pub(crate) fn peak() -> Anything<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(1024 * line.trim().trim_end_matches(" kB").parse::<u64>()?)
}

/// The memory that this process has now, in bytes.
pub(crate) fn resident() -> Anything<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(1024 * line.trim().trim_end_matches(" kB").parse::<u64>()?)
}

/// Lets the peak begin anew (proc(5), `clear_refs`).
pub(crate) fn forget_peak() -> io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}

/// Measurements by what was measured, in the order in which they first came.
#[derive(Default)]
pub(crate) struct Measured {
    names: Vec<String>,
    values: BTreeMap<String, Vec<f64>>,
}

impl Measured {
    /// Adds one.
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        if !self.values.contains_key(name) {
            self.names.push(name.to_owned());
        }
        self.values.entry(name.to_owned()).or_default().push(value);
    }

    /// What was measured.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The one in the middle; 0 for none.
    pub(crate) fn median(&self, name: &str) -> f64 {
        let Some(values) = self.values.get(name) else { return 0.0 };
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    /// The least and the greatest.
    pub(crate) fn range(&self, name: &str) -> (f64, f64) {
        let values = self.values.get(name).map_or(&[][..], Vec::as_slice);
        values.iter().fold((f64::MAX, 0.0), |(low, high), value| (value.min(low), value.max(high)))
    }

    /// Appends every measurement to `NAME.csv`; `what` is the first field of each line.
    pub(crate) fn keep(&self, name: &str, what: &str) -> Anything<PathBuf> {
        let by_default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        let dir = std::env::var_os("NORTHC_BENCH_DIR").map_or_else(by_default, PathBuf::from);
        fs::create_dir_all(&dir)?;
        let path = dir.join(format!("{name}.csv"));
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        for name in &self.names {
            for value in &self.values[name] {
                writeln!(file, "{what},{name},{value}")?;
            }
        }
        Ok(path)
    }
}

/// Prints a Markdown table: what stands in the first column, and a number each in the others.
pub(crate) fn table(head: &[String], rows: &[Vec<String>]) -> Anything<()> {
    let mut out = stdout().lock();
    writeln!(out, "| {} |", head.join(" | "))?;
    writeln!(out, "|---|{}", "--:|".repeat(head.len() - 1))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    Ok(writeln!(out)?)
}

/// A duration in a unit that suits it.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        v if v < 0.01 => format!("{:.2} ms", v * 1000.0),
        v if v < 1.0 => format!("{:.0} ms", v * 1000.0),
        v => format!("{v:.2} s"),
    }
}

/// A number of bytes in a unit that suits it.
pub(crate) fn bytes(value: f64) -> String {
    match value {
        v if v < 10_240.0 => format!("{v:.0} B"),
        v if v < 1024.0 * 1024.0 * 1024.0 => format!("{:.0} MiB", v / 1024.0 / 1024.0),
        v => format!("{:.2} GiB", v / 1024.0 / 1024.0 / 1024.0),
    }
}
