//! Cases on real OVN in containers: one lab a version, all versions at once, in each one case after another.

mod bench;
mod corpus;
mod differential;
pub(crate) mod guests;
mod packets;
mod run;
pub(crate) mod steps;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use bench::Bench;
use steps::Steps;

const VERSIONS: [&str; 3] = ["23.03", "25.03", "26.03"];

/// Held by the test whose labs run: packets are judged by the clock, and machines are small.
static TURN: Mutex<()> = Mutex::new(());

struct Case {
    name: String,
    folder: PathBuf,
    steps: Steps,
}

impl Case {
    fn read(name: String, folder: PathBuf, steps: &str) -> Result<Case, String> {
        let steps = steps::parse(steps).map_err(|e| format!("{}/steps: {e}", folder.display()))?;
        Ok(Case { name, folder, steps })
    }
}

/// What became of a case in one column of the table.
enum Fate {
    Held { n_checks: usize, seconds: f64 },
    Failed(String),
    NotForThis,
}

impl Fate {
    fn cell(&self) -> String {
        match self {
            Fate::Held { n_checks, seconds } => format!("{n_checks} ok {seconds:.1} s"),
            Fate::Failed(_) => "FAILED".to_owned(),
            Fate::NotForThis => "-".to_owned(),
        }
    }
}

/// One version, one way: the fate of every case.
struct Column {
    title: String,
    fates: BTreeMap<String, Fate>,
}

/// Past libtest's capture: the table is wanted also when all is well.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Brings up a lab of every version, fills its `columns`, and shows them all as one table, which must hold.
fn on_every_version(
    test: &str,
    cases: Result<Vec<Case>, String>,
    columns: impl Fn(&Bench, &[Case]) -> Result<Vec<Column>, String> + Sync,
) {
    if std::env::var_os("NORTHC_WITHOUT_CONTAINERS").is_some_and(|value| value == "1") {
        say(&format!("NOT TESTED: {test} need containers, and NORTHC_WITHOUT_CONTAINERS=1\n"));
        return;
    }
    let chosen = std::env::var("NORTHC_LAB_CASE").unwrap_or_default();
    let mut cases = cases.unwrap_or_else(|e| panic!("{e}"));
    cases.retain(|case| case.name.contains(&chosen));
    assert!(!cases.is_empty(), "no case of the {test} is called like {chosen}");
    let versions = std::env::var("NORTHC_LAB_OVN").unwrap_or_else(|_| VERSIONS.join(" "));
    let versions: Vec<String> = versions.split([' ', ',']).map(str::to_owned).collect();
    let keep = std::env::var_os("NORTHC_LAB_KEEP").is_some();
    // One that failed has ended.
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    bench::images(&versions).unwrap_or_else(|e| panic!("{e}"));
    let fill = |version: &str| Bench::up(test, version, keep).and_then(|bench| columns(&bench, &cases));
    let filled: Vec<Result<Vec<Column>, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = versions.iter().map(|version| scope.spawn(|| fill(version))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| panic!("a lab's thread died"))).collect()
    });
    let (filled, missing): (Vec<_>, Vec<_>) = filled.into_iter().partition(Result::is_ok);
    let filled: Vec<Column> = filled.into_iter().flatten().flatten().collect();
    let failed = report(&cases, &filled);
    let missing: Vec<String> = missing.into_iter().filter_map(Result::err).collect();
    assert!(missing.is_empty(), "not every lab came up: {}", missing.join("\n"));
    assert_eq!(failed, 0, "{failed} of the cells above failed");
}

/// The fate of every case at the hands of `run`, which gives how many checks held, or all that did not.
fn column(
    bench: &Bench,
    title: String,
    cases: &[Case],
    run: impl Fn(&Case) -> Result<usize, String>,
) -> Column {
    let fate = |case: &Case| {
        let fate = fate(bench, &title, case, &run);
        say(&format!("{title} {}: {}\n", case.name, fate.cell()));
        (case.name.clone(), fate)
    };
    let fates = cases.iter().map(fate).collect();
    Column { title, fates }
}

fn fate(bench: &Bench, title: &str, case: &Case, run: impl Fn(&Case) -> Result<usize, String>) -> Fate {
    // Versions are YY.MM: as text they are in order.
    if case.steps.needs.as_ref().is_some_and(|needs| bench.version < *needs) {
        return Fate::NotForThis;
    }
    let began = Instant::now();
    match run(case) {
        Ok(n_checks) => Fate::Held { n_checks, seconds: began.elapsed().as_secs_f64() },
        Err(mut failures) => {
            let to = artifacts(&format!("{} {title}", case.name));
            let _ = std::fs::remove_dir_all(&to);
            match bench.lab(&["collect", &to.to_string_lossy()], "") {
                Ok(_) => failures += &format!("  kept: {}\n", to.display()),
                Err(e) => failures += &format!("  nothing kept: {e}\n"),
            }
            Fate::Failed(failures)
        }
    }
}

fn artifacts(what: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab").join(what.replace([' ', '/'], "-"))
}

/// The table of cases by version, and what failed; gives how many cells failed.
fn report(cases: &[Case], columns: &[Column]) -> usize {
    let mut out = String::from("\n");
    let mut details = String::new();
    let mut failed = 0;
    let width = cases.iter().map(|c| c.name.len()).max().unwrap_or(0);
    out += &format!("{:width$}", "case");
    columns.iter().for_each(|c| out += &format!("  {:>18}", c.title));
    out.push('\n');
    for case in cases {
        out += &format!("{:width$}", case.name);
        for column in columns {
            let fate = column.fates.get(&case.name);
            if let Some(Fate::Failed(why)) = fate {
                failed += 1;
                details += &format!("{} on {}:\n{why}", case.name, column.title);
            }
            let cell = fate.map_or_else(String::new, Fate::cell);
            out += &format!("  {cell:>18}");
        }
        out.push('\n');
    }
    say(&format!("{out}\n{details}"));
    failed
}
