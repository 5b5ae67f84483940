//! What northc says of every case and makes of it stands beside the case; and what must hold of them all.
//!
//! A case that compiles keeps its rows, its script and its transaction; one with something to say keeps the
//! messages. `scripts/bless` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use northc::nb::stamp;
use serde_json::Value;

use crate::cases::{self, Case, compile, northc};
use crate::reformat;

/// The case whose script is kept whole; of the others the part that is their own.
const WHOLE_SCRIPT: &str = "harvester/vpc-1";

#[test]
fn snapshots() {
    cases::each(&cases::all(), |case| {
        let mut kept = BTreeSet::new();
        let mut keep = |name: &str, text: &str| {
            kept.insert(format!("{name}.snap"));
            snapshot(case, name, text)
        };
        let rows = compile("rows", &case.sources());
        if !rows.err.is_empty() {
            keep("messages", &rows.err)?;
        }
        if rows.code == 0 {
            keep("rows", &readable(&rows.out, case))?;
            let script = compile("nbctl", &case.sources()).out;
            keep("nbctl", if case.name == WHOLE_SCRIPT { &script } else { own_part(&script) })?;
            keep("ovsdb", &one_operation_a_line(&compile("ovsdb", &case.sources()).out))?;
        } else if rows.code != 1 || !rows.out.is_empty() {
            return Err(format!("exit {} with {} bytes of output", rows.code, rows.out.len()));
        }
        no_others(case, &kept)
    });
}

#[test]
fn every_case_says_what_to_notice() {
    cases::each(&cases::all(), |case| {
        let texts = case.texts();
        let is_json = |path: &Path| path.extension().is_some_and(|e| e == "json");
        if texts.iter().all(|(path, text)| is_json(path) || text.starts_with("# ")) {
            return Ok(());
        }
        Err("the first line of a source is a comment that says what to notice".to_owned())
    });
}

#[test]
fn the_order_of_documents_and_the_names_of_files_do_not_matter() {
    each_good(|case| same_bytes(case, &reformat::shuffled(&case.texts())));
}

#[test]
fn yaml_and_json_mean_the_same() {
    each_good(|case| same_bytes(case, &reformat::as_json(&case.texts())));
}

#[test]
fn what_kubectl_prints_means_what_a_person_writes() {
    let rows = |folder: &str| {
        let ran = compile("rows", &[folder.to_owned()]);
        let mut rows: Value = serde_json::from_str(&ran.out).expect("rows are JSON");
        for row in rows["rows"].as_array_mut().into_iter().flatten() {
            row["origin"].take();
        }
        rows
    };
    assert_eq!(rows("fixtures/input/noise"), rows("fixtures/input/noise-clean"));
}

#[test]
fn every_target_takes_what_the_oldest_takes() {
    each_good(|case| {
        let oldest = compile("ovsdb", &case.sources()).out;
        for version in northc::target::Target::TESTED.map(|target| target.to_string()) {
            let args = ["compile", "--to", "ovsdb", "--ovn-version", &version];
            let sources = case.sources();
            let ran = northc(args.into_iter().chain(sources.iter().map(String::as_str)));
            if ran.out != oldest {
                return Err(format!("{version}: exit {}, {}", ran.code, first_difference(&oldest, &ran.out)));
            }
        }
        Ok(())
    });
}

#[test]
fn every_script_has_the_same_prologue() {
    let prologue = include_str!("../../src/emit/prologue.sh");
    each_good(|case| {
        let script = compile("nbctl", &case.sources()).out;
        if script.contains(prologue) { Ok(()) } else { Err("another prologue".to_owned()) }
    });
}

#[test]
fn a_locked_address_stays_put() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let sources = dir.path().join("sources");
    fs::create_dir(&sources).expect("it can be written to");
    let vms = |names: &[&str]| {
        let vm = |name: &&str| {
            format!(
                "---\napiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {{name: {name}}}\nspec:\n  \
                 template: {{spec: {{networks: [{{name: n, multus: {{networkName: default/app-net}}}}]}}}}\n"
            )
        };
        let head = "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: app}\n\
                    spec: {cidrBlock: 10.0.1.0/24, provider: default/app-net, enableDHCP: true}\n";
        let text: String = std::iter::once(head.to_owned()).chain(names.iter().map(vm)).collect();
        fs::write(sources.join("net.yaml"), text).expect("it can be written");
    };
    let lock = dir.path().join("northc.lock");
    let paths = [sources.to_str().expect("text"), "--lock", lock.to_str().expect("text")];
    let addresses = |locked: bool| {
        let ran = northc(
            ["compile", "--to", "rows"]
                .into_iter()
                .chain(paths[..if locked { 3 } else { 1 }].iter().copied()),
        );
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let rows: Value = serde_json::from_str(&ran.out).expect("rows are JSON");
        let address = |row: &Value| {
            let name = row["columns"]["name"].as_str()?.split('.').next()?.to_owned();
            let own = row["columns"]["addresses"][0].as_str()?.split(' ').nth(1)?.to_owned();
            Some(format!("{name} {own}"))
        };
        let rows = rows["rows"].as_array().expect("an array of rows");
        rows.iter().filter_map(address).collect::<Vec<_>>().join(", ")
    };
    vms(&["m", "n"]);
    assert_eq!(addresses(true), "m 10.0.1.2, n 10.0.1.3");
    // `a` comes first by name; it gets what is free.
    vms(&["a", "m", "n"]);
    assert_eq!(addresses(true), "a 10.0.1.4, m 10.0.1.2, n 10.0.1.3");
    assert_eq!(addresses(false), "a 10.0.1.2, m 10.0.1.3, n 10.0.1.4");
    // `m` goes: its address is free again, and only for newcomers.
    vms(&["a", "b", "n"]);
    assert_eq!(addresses(true), "a 10.0.1.4, b 10.0.1.2, n 10.0.1.3");
    let text = fs::read_to_string(&lock).expect("the lock file is written");
    assert!(text.ends_with("a.default.app-net.default.ovn: 10.0.1.4\nb.default.app-net.default.ovn: 10.0.1.2\nn.default.app-net.default.ovn: 10.0.1.3\n"), "{text}");
    // Deleting the file lets everything go.
    fs::remove_file(&lock).expect("it is there");
    assert_eq!(addresses(true), "a 10.0.1.2, b 10.0.1.3, n 10.0.1.4");
}

/// Runs `check` on every case that compiles.
fn each_good(check: impl FnMut(&Case) -> Result<(), String>) {
    let cases: Vec<Case> = cases::all().into_iter().filter(Case::is_good).collect();
    cases::each(&cases, check);
}

/// The files of `twin` compile to the bytes that the case compiles to.
fn same_bytes(case: &Case, twin: &[(String, String)]) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    for (name, text) in twin {
        fs::write(dir.path().join(name), text).map_err(|e| e.to_string())?;
    }
    let paths = [dir.path().to_str().ok_or("a path is text")?.to_owned()];
    for form in ["nbctl", "ovsdb"] {
        let (one, other) = (compile(form, &case.sources()), compile(form, &paths));
        if other.code != 0 {
            return Err(format!("the other does not compile:\n{}", other.err));
        }
        if one.out != other.out {
            return Err(format!("{form}: {}", first_difference(&one.out, &other.out)));
        }
    }
    Ok(())
}

/// The first lines that differ.
pub(crate) fn first_difference(one: &str, other: &str) -> String {
    let (mut a, mut b) = (one.lines(), other.lines());
    let mut number = 1;
    loop {
        match (a.next(), b.next()) {
            (None, None) => return "no difference".to_owned(),
            (a, b) if a == b => number += 1,
            (a, b) => {
                let show =
                    |line: Option<&str>| line.unwrap_or("(ends)").chars().take(600).collect::<String>();
                return format!("line {number}:\n  {}\n  {}", show(a), show(b));
            }
        }
    }
}

fn snapshot(case: &Case, name: &str, text: &str) -> Result<(), String> {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(case.path(""));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let is_same = || settings.bind(|| insta::assert_snapshot!(name, text));
    catch_unwind(AssertUnwindSafe(is_same)).map_err(|_| format!("{name}.snap is different; see above"))
}

/// A snapshot that nothing compares is a lie waiting to be read. Blessing removes it.
fn no_others(case: &Case, kept: &BTreeSet<String>) -> Result<(), String> {
    for entry in fs::read_dir(case.path("")).map_err(|e| e.to_string())?.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".snap") || kept.contains(&name) {
            continue;
        }
        if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
            fs::remove_file(entry.path()).map_err(|e| e.to_string())?;
        } else {
            return Err(format!("{name} is of no use any more"));
        }
    }
    Ok(())
}

/// A script from the first row on: what is before that is the same for every case.
fn own_part(script: &str) -> &str {
    script.find("\nrows() {\n").map_or(script, |at| &script[at + 1..])
}

fn one_operation_a_line(transaction: &str) -> String {
    let params: Vec<Value> = serde_json::from_str(transaction).expect("a transaction is JSON");
    params.iter().map(|operation| format!("{operation}\n")).collect()
}

/// Rows for people: a row's table, key and line, then its columns. Marks of ownership are left out.
fn readable(rows: &str, case: &Case) -> String {
    let document: Value = serde_json::from_str(rows).expect("rows are JSON");
    let mut out = String::new();
    for row in document["rows"].as_array().expect("an array of rows") {
        let text = |key: &str| row[key].as_str().unwrap_or("-");
        let origin = text("origin").trim_start_matches(&case.folder).trim_start_matches('/');
        let _ = writeln!(out, "{} {}  ({origin})", text("table"), text("key"));
        for (column, value) in row["columns"].as_object().expect("columns by name") {
            write_column(&mut out, column, value);
        }
    }
    out
}

fn write_column(out: &mut String, column: &str, value: &Value) {
    let shown = |value: &Value| match value {
        Value::String(text) if !text.contains(['\n', '\t']) => text.clone(),
        Value::Object(reference) if reference.contains_key("ref") => {
            format!("→ {}", reference["ref"]["key"].as_str().unwrap_or("?"))
        }
        other => other.to_string(),
    };
    match value {
        Value::Array(items) => {
            for item in items {
                let _ = writeln!(out, "    {column}: {}", shown(item));
            }
        }
        Value::Object(pairs) if !pairs.contains_key("ref") => {
            let marks = [stamp::OWNER, stamp::KEY, stamp::DIGEST];
            for (key, value) in pairs.iter().filter(|(key, _)| !marks.contains(&key.as_str())) {
                let _ = writeln!(out, "    {column}:{key} = {}", shown(value));
            }
        }
        value => {
            let _ = writeln!(out, "    {column} = {}", shown(value));
        }
    }
}
