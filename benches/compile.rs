//! What compiling costs, step by step, and how that grows.
//!
//! `cargo bench --bench compile -- 1000 10000 100000` compiles worlds of so many ports to an OVSDB transaction,
//! five times each and one after the other, beside what the YAML library alone takes to read the same text
//! into nothing. Each run is a process of its own, so that its peak memory is its own. `--kubeovn` writes
//! the worlds in the other dialect, `--runs N` runs more or fewer times, `--threads N` lets so many threads work.
//! Refuses to judge the numbers.

mod common;

use std::fs::File;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::world::{self, Dialect, Size};
use common::{Anything, Measured, bytes, forget_peak, peak, seconds, spent, table};
use granit_parser::Parser;
use northc::check::check;
use northc::diag::Sink;
use northc::lower::lower;
use northc::nb::{schema, stamp};
use northc::parallel::with_threads;
use northc::target::Target;
use northc::{emit, files, source};

const STEPS: [&str; 7] = ["YAML library alone", "read", "check", "lower", "stamp", "prove", "encode"];

fn main() -> Anything<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| args.iter().position(|arg| arg == flag).and_then(|at| args.get(at + 1));
    let n_threads = value("--threads");
    if let Some(path) = value("--one") {
        let one = || one(Path::new(path));
        return match n_threads {
            Some(n) => with_threads(n.parse()?, one),
            None => one(),
        };
    }
    let n_runs = value("--runs").and_then(|n| n.parse().ok());
    let dialect = if args.iter().any(|arg| arg == "--kubeovn") { Dialect::KubeOvn } else { Dialect::Native };
    let mut sizes: Vec<usize> =
        args.iter().filter_map(|arg| arg.parse().ok()).filter(|n| *n >= 100).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 10_000];
    }
    let dir = tempfile::tempdir()?;
    let mut worlds = Vec::new();
    for &n_ports in &sizes {
        let path = dir.path().join(format!("{n_ports}.yaml"));
        let mut text = String::new();
        world::write(&mut text, Size::of_ports(n_ports), 1, dialect)?;
        std::fs::write(&path, text)?;
        worlds.push((n_ports, path, Measured::default()));
    }
    for _ in 0..n_runs.unwrap_or(5) {
        for (_, path, measured) in &mut worlds {
            let mut run = Command::new(std::env::current_exe()?);
            run.arg("--one").arg(path);
            let run = run.args(n_threads.iter().flat_map(|n| ["--threads", n])).output()?;
            if !run.status.success() {
                return Err(String::from_utf8_lossy(&run.stderr).into());
            }
            for line in String::from_utf8(run.stdout)?.lines() {
                let (name, value) = line.rsplit_once(',').ok_or("NAME,VALUE")?;
                measured.add(name, value.parse()?);
            }
        }
    }
    for (n_ports, _, measured) in &worlds {
        measured.keep("compile", &format!("{dialect:?},{n_ports}"))?;
    }
    tell(&worlds.into_iter().map(|(n, _, measured)| (n, measured)).collect::<Vec<_>>())
}

/// One compilation in this process; prints what it took.
fn one(path: &Path) -> Anything<()> {
    let say = |name: &str, value: f64| writeln!(stdout(), "{name},{value}");
    let mut clock = Clock::start()?;
    let (sources, _) = files::read(&[path.to_owned()]);
    for (_, source) in sources.iter() {
        say("bytes of YAML", source.text.len() as f64)?;
        parse_into_nothing(&source.text)?;
    }
    clock.lap(STEPS[0])?;
    let mut sink = Sink::new();
    let model = source::read(&sources, &mut sink);
    clock.lap(STEPS[1])?;
    let nothing_remembered = Default::default();
    let checked = check(&model, Target::OLDEST, &nothing_remembered, &mut sink);
    let checked = checked.ok_or("the world has no errors")?;
    clock.lap(STEPS[2])?;
    let mut rows = lower(&checked);
    drop(checked);
    drop(model);
    clock.lap(STEPS[3])?;
    stamp::stamp(&mut rows, "bench");
    clock.lap(STEPS[4])?;
    assert!(schema::problems(&rows).is_empty(), "the rows are well-formed");
    clock.lap(STEPS[5])?;
    // As the program does: nobody asks for the texts any more.
    drop(sources);
    let out = path.with_extension("json");
    emit::transact::write(&mut File::create(&out)?, &rows, "bench")?;
    clock.lap(STEPS[6])?;
    say("rows", rows.len() as f64)?;
    say("bytes written", std::fs::metadata(&out)?.len() as f64)?;
    Ok(())
}

/// What every reader of YAML has to pay: all events of all documents, looked at by nobody.
fn parse_into_nothing(text: &str) -> Anything<()> {
    for event in Parser::new_from_str(text) {
        std::hint::black_box(event?);
    }
    Ok(())
}

struct Clock {
    start: Instant,
    spent: Duration,
}

impl Clock {
    fn start() -> Anything<Clock> {
        forget_peak()?;
        Ok(Clock { start: Instant::now(), spent: spent() })
    }

    fn lap(&mut self, step: &str) -> Anything<()> {
        let (took, spent) = (self.start.elapsed(), spent() - self.spent);
        writeln!(stdout(), "{step},{}", took.as_secs_f64())?;
        writeln!(stdout(), "{step} processors,{}", spent.as_secs_f64())?;
        writeln!(stdout(), "{step} peak,{}", peak()?)?;
        *self = Clock::start()?;
        Ok(())
    }
}

fn tell(worlds: &[(usize, Measured)]) -> Anything<()> {
    let head = |first: &str| {
        let sizes = worlds.iter().map(|(n, _)| format!("{n} ports"));
        [first.to_owned()].into_iter().chain(sizes).collect::<Vec<String>>()
    };
    let row = |first: &str, cell: &dyn Fn(usize, &Measured) -> String| {
        let cells = worlds.iter().map(|(n, measured)| cell(*n, measured));
        [first.to_owned()].into_iter().chain(cells).collect::<Vec<String>>()
    };
    let compile = |measured: &Measured| STEPS[1..].iter().map(|step| measured.median(step)).sum::<f64>();
    let top = |measured: &Measured| {
        let peaks = STEPS[1..].iter().map(|step| measured.median(&format!("{step} peak")));
        peaks.fold(0.0, f64::max)
    };
    let mut times = vec![row("YAML", &|_, m| bytes(m.median("bytes of YAML")))];
    times.push(row("rows", &|_, m| format!("{:.0}", m.median("rows"))));
    for step in STEPS {
        times.push(row(step, &|_, m| seconds(m.median(step))));
    }
    times.push(row("compile in all", &|_, m| seconds(compile(m))));
    let processors = |m: &Measured| STEPS[1..].iter().map(|s| m.median(&format!("{s} processors"))).sum();
    times.push(row("compile in all, processors", &|_, m| seconds(processors(m))));
    times.push(row("by the YAML library's", &|_, m| format!("{:.2} ×", compile(m) / m.median(STEPS[0]))));
    times.push(row("rows a second", &|_, m| format!("{:.0}", m.median("rows") / compile(m))));
    table(&head("by the clock, median"), &times)?;
    let mut peaks = Vec::new();
    for step in STEPS {
        peaks.push(row(step, &|_, m| bytes(m.median(&format!("{step} peak")))));
    }
    peaks.push(row("the most", &|_, m| bytes(top(m))));
    peaks.push(row("the most, a port", &|n, m| bytes(top(m) / n as f64)));
    table(&head("peak memory, median"), &peaks)
}
