//! Real packets: every case of `fixtures/lab`, first by script, then by `apply`.
//!
//! The language of the cases is described in `fixtures/lab/README.md`.

use super::run::{self, Way};
use super::{Case, bench, column, on_every_version};

#[test]
fn every_case_can_be_read() {
    if let Err(e) = cases() {
        panic!("{e}");
    }
}

#[test]
#[ignore = "needs Docker and minutes; scripts/test runs it"]
fn packets() {
    let ways: &[Way] = if bench::has_verb("apply") { &[Way::Script, Way::Apply] } else { &[Way::Script] };
    on_every_version("packets", cases(), |bench, cases| {
        let by = |way: &Way| {
            let title = format!("{} {}", bench.version, format!("{way:?}").to_lowercase());
            column(bench, title, cases, |case| run::case(bench, &case.folder, &case.steps, *way))
        };
        Ok(ways.iter().map(by).collect())
    });
}

fn cases() -> Result<Vec<Case>, String> {
    let folder = bench::root().join("fixtures/lab");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let folder = entry.map_err(|e| e.to_string())?.path();
        let Ok(steps) = std::fs::read_to_string(folder.join("steps")) else { continue };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        cases.push(Case::read(name, folder, &steps)?);
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}
