//! How long it takes to say what can reach what, and that rows mean what their model says; and how many classes of
//! machines there were.
//!
//! `cargo bench --bench reach -- 50 100000` makes a world of so many VPCs and ports in northc's own kinds
//! (`examples/generate`), compiles it, reads its rows, and answers: one pair, and all pairs. With `verify` behind it, the
//! rows are held against the model instead; with `change`, a rule is turned into its opposite, and it is asked what that
//! opens and closes. Times are processor times, where nothing else is said.
//! Refuses to judge the numbers; docs/performance.md has them.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use northc::assign::Remembered;
use northc::check::Checked;
use northc::compile::{Options, compile_and};
use northc::diag::Sink;
use northc::nb::{Acl, Rows, Table};
use northc::plan::as_if_applied;
use northc::reach::change::{Moment, PAIRS_MAX, compare};
use northc::reach::guest::ByHand;
use northc::reach::judge::{Judge, Proto, service};
use northc::reach::matrix::Matrix;
use northc::reach::network::Network;
use northc::reach::parties::{Who, machines};
use northc::reach::set::Sets;
use northc::span::SourceMap;
use northc::target::Target;
use northc::verify::verify;

mod common;

use common::world::{self, Dialect, Size};
use common::{Anything, forget_peak, peak, resident, spent, thread_time};

/// Whose rows they are.
const OWNER: &str = "bench";
/// So many single pairs are asked for: the clock tells no less.
const N_PAIRS: usize = 1000;

fn main() -> Anything<()> {
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let (n_vpcs, n_ports) = match numbers.as_slice() {
        [n_vpcs, n_ports, ..] => (*n_vpcs, *n_ports),
        [n_ports] => (n_ports.div_ceil(400), *n_ports),
        [] => (5, 2_000),
    };
    let size = Size { n_vpcs, n_subnets: n_ports.div_ceil(50), n_ports };
    if std::env::args().any(|arg| arg == "verify") {
        let mut done = Ok(());
        compiled(size, |checked, rows| done = verified(checked, rows))?;
        return done;
    }
    let rows = compiled(size, |_, _| ())?;
    if std::env::args().any(|arg| arg == "change") {
        return changed(rows);
    }
    forget_peak()?;
    let before = peak()?;
    let network = timed("read rows", || Network::of_rows(&rows, Target::OLDEST))?;
    let sets = Sets::default();
    let mut judge = timed("prepare", || Judge::new(&network, &sets, ByHand::default()))?;
    let all: Vec<Who> = timed("name machines", || machines(&judge).map(Who::Machine).collect())?;
    let https = service(&sets, Some(Proto::Tcp), Some((443, 443)));
    if let (Some(first), Some(last)) = (all.first(), all.get(all.len() / 2)) {
        let mut ask = |from: &Who, to: &Who| {
            let (from, to) = (from.party(&judge), to.party(&judge));
            judge.explain(&from, &to, https).len()
        };
        timed("one pair, the first", || ask(first, last))?;
        // Each from another machine to another.
        let pairs = all.iter().step_by(all.len().div_ceil(N_PAIRS)).zip(all.iter().rev());
        timed(&format!("{N_PAIRS} pairs"), || pairs.map(|(from, to)| ask(from, to)).sum::<usize>())?;
    }
    let every = service(&sets, None, None);
    let matrix = timed("all pairs", || Matrix::new(&mut judge, &all, &all, every))?;
    let (n_classes, n_groups) = (matrix.n_classes, matrix.from.len());
    report(
        &format!("{} machines of {n_classes} classes, {n_groups} of which behave alike", all.len()),
        None,
    )?;
    report(&format!("{} nodes of sets", sets.n_nodes()), None)?;
    report(&format!("{} KiB at most beside the rows", (peak()? - before) / 1024), None)
}

/// Holds the rows of a world against its model.
fn verified(checked: &Checked<'_>, rows: &Rows) -> Anything<()> {
    let network = timed("read rows", || Network::of_rows(rows, Target::OLDEST))?;
    let (began, before) = (Instant::now(), spent());
    let proof = verify(checked, &network, &|| true);
    report("verify, all threads", Some(spent() - before))?;
    report("verify, by the clock", Some(began.elapsed()))?;
    let (n_senders, n_classes) = (proof.n_senders, proof.n_classes);
    report(&format!("{n_senders} senders, {n_classes} of them followed"), None)?;
    report(&format!("{} differences", proof.differences.len()), None)?;
    report(&format!("{} KiB at most", peak()? / 1024), None)
}

/// Turns a rule of a VPC that is joined with nobody, and one of a VPC that has a peer and a way out, and asks what that
/// opens and closes, with the network of before loaded.
fn changed(rows: Rows) -> Anything<()> {
    let before = as_if_applied(&rows, OWNER);
    let network = timed("read rows", || Network::of_actual(&before, Target::OLDEST))?;
    for vpc in ["vpc_2", "vpc_0"] {
        let of_vpc = format!("ovn.sg.{vpc}_web..{vpc}/to-lport/");
        let key = rows.table(Table::Acl).map(|(key, _)| key).find(|key| key.name.starts_with(&of_vpc));
        let key = key.ok_or("the VPC has a rule")?;
        let mut after = before.clone();
        let row = after.get_mut(Table::Acl, key.uuid(OWNER)).ok_or("it is in the database")?;
        let mut rule = Acl::try_from(&*row)?;
        rule.action = "drop".to_owned();
        *row = rule.into();
        report(&format!("{} now drops", key.name), None)?;
        let other = timed("read rows with it", || Network::of_actual(&after, Target::OLDEST))?;
        let sources = SourceMap::new();
        let before = Moment { rows: &before, network: &network, sources: &sources };
        let after = Moment { rows: &after, network: &other, sources: &sources };
        let change = timed("what it opens and closes", || compare(&before, &after, PAIRS_MAX))?;
        let change = change.map_err(|too_many| too_many.text())?;
        let (n_classes, n_shifts) = (change.n_classes, change.shifts.len());
        report(&format!("{n_classes} classes that it can touch, {n_shifts} shifts"), None)?;
    }
    Ok(())
}

/// The rows of a world; somebody looks at them beside what was meant.
fn compiled(size: Size, look: impl FnOnce(&Checked<'_>, &Rows)) -> Anything<Rows> {
    let mut text = String::new();
    world::write(&mut text, size, 1, Dialect::Native)?;
    let mut sources = SourceMap::new();
    sources.add("world.yaml", text).ok_or("the world is too long")?;
    let (remembered, gateway_chassis) = (Remembered::new(), Vec::new());
    let options = Options { owner: OWNER.to_owned(), target: Target::OLDEST, remembered, gateway_chassis };
    let compiled = compile_and(&sources, &options, &mut Sink::new(), |checked, rows, _| look(checked, rows));
    let compiled = compiled.ok_or("the world does not compile")?;
    let n_rules = compiled.rows.table(Table::Acl).filter(|(_, row)| Acl::try_from(*row).is_ok()).count();
    report(&format!("{} rows, {n_rules} of them rules", compiled.rows.iter().count()), None)?;
    Ok(compiled.rows)
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> Anything<T> {
    let (started, before) = (thread_time(), resident()?);
    let made = act();
    let took = thread_time() - started;
    let more = resident()?.saturating_sub(before) / 1024;
    report(&format!("{what}, {more} KiB more"), Some(took))?;
    Ok(made)
}

fn report(what: &str, took: Option<Duration>) -> Anything<()> {
    let took = took.map_or_else(String::new, |took| format!("  {:.3} ms", took.as_secs_f64() * 1e3));
    writeln!(stdout(), "{what}{took}")?;
    Ok(())
}
