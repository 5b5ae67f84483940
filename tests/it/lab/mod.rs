//! Real packets: every case of `fixtures/lab` on real OVN in containers.
//!
//! One lab a version, all versions at once; in each the cases run one after another, first by script, then
//! by `apply`. The language of the cases is described in `fixtures/lab/README.md`.

mod bench;
pub(crate) mod guests;
mod run;
pub(crate) mod steps;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use bench::Bench;
use run::Way;
use steps::Steps;

const VERSIONS: [&str; 3] = ["23.03", "25.03", "26.03"];

struct Case {
    name: String,
    folder: PathBuf,
    steps: Steps,
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

/// Past libtest's capture: the table is wanted also when all is well.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[test]
fn every_case_can_be_read() {
    if let Err(e) = cases() {
        panic!("{e}");
    }
}

#[test]
#[ignore = "needs Docker and minutes; scripts/test runs it"]
fn packets() {
    if std::env::var_os("NORTHC_WITHOUT_CONTAINERS").is_some_and(|value| value == "1") {
        say("NOT TESTED: no packet was sent, because NORTHC_WITHOUT_CONTAINERS=1\n");
        return;
    }
    let all = cases().unwrap_or_else(|e| panic!("{e}"));
    let chosen = std::env::var("NORTHC_LAB_CASE").unwrap_or_default();
    let cases: Vec<Case> = all.into_iter().filter(|case| case.name.contains(&chosen)).collect();
    assert!(!cases.is_empty(), "no case is called like {chosen}");
    let versions = std::env::var("NORTHC_LAB_OVN").unwrap_or_else(|_| VERSIONS.join(" "));
    let versions: Vec<String> = versions.split([' ', ',']).map(str::to_owned).collect();
    bench::images(&versions).unwrap_or_else(|e| panic!("{e}"));

    let columns: Vec<Column> = std::thread::scope(|scope| {
        let cases = &cases;
        let threads: Vec<_> = versions.iter().map(|v| scope.spawn(move || column(v, cases))).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap_or_else(|_| panic!("a lab's thread died"))).collect()
    });
    let failed = report(&cases, &columns);
    assert_eq!(failed, 0, "{failed} of the cells above failed");
}

/// One version, one way: the fate of every case.
struct Column {
    title: String,
    fates: BTreeMap<String, Fate>,
}

fn column(version: &str, cases: &[Case]) -> Vec<Column> {
    let ways: &[Way] = if bench::has_verb("apply") { &[Way::Script, Way::Apply] } else { &[Way::Script] };
    let keep = std::env::var_os("NORTHC_LAB_KEEP").is_some();
    let bench = Bench::up(version, keep);
    ways.iter()
        .map(|way| {
            let title = format!("{version} {}", format!("{way:?}").to_lowercase());
            let fate = |case: &Case| {
                let fate = match &bench {
                    Ok(bench) => fate(bench, case, *way),
                    Err(e) => Fate::Failed(format!("  the lab did not come up: {e}\n")),
                };
                say(&format!("{title} {}: {}\n", case.name, fate.cell()));
                (case.name.clone(), fate)
            };
            let fates = cases.iter().map(fate).collect();
            Column { title, fates }
        })
        .collect()
}

fn fate(bench: &Bench, case: &Case, way: Way) -> Fate {
    // Versions are YY.MM: as text they are in order.
    if case.steps.needs.as_ref().is_some_and(|needs| bench.version < *needs) {
        return Fate::NotForThis;
    }
    let began = Instant::now();
    match run::case(bench, &case.folder, &case.steps, way) {
        Ok(n_checks) => Fate::Held { n_checks, seconds: began.elapsed().as_secs_f64() },
        Err(mut failures) => {
            let to = bench::artifacts(&format!("{}-{}-{way:?}", case.name, bench.version));
            let _ = std::fs::remove_dir_all(&to);
            match bench.lab(&["collect", &to.to_string_lossy()], "") {
                Ok(_) => failures += &format!("  kept: {}\n", to.display()),
                Err(e) => failures += &format!("  nothing kept: {e}\n"),
            }
            Fate::Failed(failures)
        }
    }
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

fn cases() -> Result<Vec<Case>, String> {
    let folder = bench::root().join("fixtures/lab");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let folder = entry.map_err(|e| e.to_string())?.path();
        let file = folder.join("steps");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let steps = steps::parse(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        cases.push(Case { name, folder, steps });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}
