//! Bad input: what northc says of it, whole, beside the input.
//!
//! A folder of `fixtures/check` is a case: `input.yaml`, or any other sources, and `check.snap`. A file `args`
//! holds further arguments. Refuses to look at rows.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use northc::diag::Code;
use serde_json::Value;

use crate::cases::{Ran, northc, root};

/// How many cases there are at least.
const N_CASES: usize = 140;

/// The sources that can't begin with a comment that says what to notice.
const SPEECHLESS: [&str; 1] = ["empty"];

/// What takes longer on a processor is quadratic: an unoptimised build needs a tenth of it.
const LONGEST: Duration = Duration::from_secs(30);

/// Widest line that is shown of a source.
const WIDTH_MAX: usize = 200;

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("fixtures/check")).expect("fixtures");
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    cases.sort_unstable();
    cases
}

/// Runs every case and fails with all that failed.
fn each(mut check: impl FnMut(&str, &Path) -> Result<(), String>) {
    let cases = cases();
    assert!(cases.len() >= N_CASES, "only {} cases", cases.len());
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|path| {
            let name = path.file_name().and_then(|n| n.to_str()).expect("names of fixtures are text");
            check(name, path).err().map(|error| format!("{name}: {error}"))
        })
        .collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

fn run(name: &str, path: &Path, further: &[&str]) -> Ran {
    let args = fs::read_to_string(path.join("args")).unwrap_or_default();
    let folder = format!("fixtures/check/{name}");
    northc(
        ["check", folder.as_str()].into_iter().chain(args.split_whitespace()).chain(further.iter().copied()),
    )
}

#[test]
fn snapshots_of_bad_input() {
    each(|name, path| {
        let ran = run(name, path, &[]);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(path);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let text = format!("{}exit {}\n", ran.err, ran.code);
        let is_same = || settings.bind(|| insta::assert_snapshot!("check", text));
        catch_unwind(AssertUnwindSafe(is_same)).map_err(|_| "check.snap is different; see above".to_owned())
    });
}

#[test]
fn every_code_about_input_has_a_case() {
    let mut shown = String::new();
    each(|_, path| {
        shown += &fs::read_to_string(path.join("check.snap")).map_err(|e| e.to_string())?;
        Ok(())
    });
    // Those of plans and databases have their own tests; the others here can't lie in a folder.
    let elsewhere = [Code::TooManyPorts, Code::LockInvalid];
    let about_input = Code::ALL.iter().filter(|code| code.number() < "N0700" && !elsewhere.contains(code));
    let without: Vec<&Code> = about_input.filter(|code| !shown.contains(&format!("[{code}]"))).collect();
    assert!(without.is_empty(), "no case shows {without:?}");
}

#[test]
fn messages_keep_the_style() {
    each(|name, path| {
        let ran = run(name, path, &["--format", "json"]);
        let document: Value = serde_json::from_str(&ran.out).map_err(|e| e.to_string())?;
        for diagnostic in document["diagnostics"].as_array().ok_or("no diagnostics")? {
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            let mut texts = vec![text(&diagnostic["message"])];
            for list in ["help", "notes"] {
                texts.extend(diagnostic[list].as_array().into_iter().flatten().map(text));
            }
            for text in texts {
                let type_name = ["Some(", "None)", "Spanned", "IpNet", "Vec<", "String"];
                if text.is_empty() || text.ends_with('.') || type_name.iter().any(|t| text.contains(t)) {
                    return Err(format!("bad style: {text}"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn nothing_shown_can_drive_a_terminal_or_is_too_wide() {
    each(|name, path| {
        let ran = run(name, path, &[]);
        if let Some(c) = ran.err.chars().find(|c| c.is_control() && *c != '\n') {
            return Err(format!("{c:?} is shown"));
        }
        let is_source =
            |line: &&str| line.split_once(" | ").is_some_and(|(n, _)| n.trim().parse::<usize>().is_ok());
        match ran.err.lines().filter(is_source).find(|line| line.chars().count() > WIDTH_MAX) {
            Some(line) => Err(format!("{} characters in a line: {line}", line.chars().count())),
            None => Ok(()),
        }
    });
}

#[test]
fn every_case_says_what_to_notice() {
    each(|name, path| {
        let yaml =
            fs::read_dir(path).map_err(|e| e.to_string())?.filter_map(|entry| Some(entry.ok()?.path()));
        for file in yaml.filter(|path| path.extension().is_some_and(|e| e == "yaml")) {
            let bytes = fs::read(&file).map_err(|e| e.to_string())?;
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            if !text.starts_with(b"# ") && !SPEECHLESS.contains(&name) {
                return Err(format!("{} does not begin with a comment", file.display()));
            }
        }
        Ok(())
    });
}

#[test]
fn the_forms_for_machines_are_what_they_say() {
    each(|name, path| {
        let json: Value = serde_json::from_str(&run(name, path, &["--format", "json"]).out)
            .map_err(|error| format!("json: {error}"))?;
        let n = json["diagnostics"].as_array().map_or(0, Vec::len);
        sarif(&run(name, path, &["--format", "sarif"]).out, n)?;
        let github = run(name, path, &["--format", "github"]);
        let commands = github.out.lines().filter(|line| {
            let kind = ["::error ", "::warning ", "::notice "].iter().any(|kind| line.starts_with(kind));
            kind && line.matches("::").count() >= 2
        });
        if commands.count() != n || github.out.lines().count() != n {
            return Err(format!("{n} problems, and these commands:\n{}", github.out));
        }
        Ok(())
    });
}

/// What the schema of SARIF 2.1.0 demands of what we write (§3.13, §3.27, §3.30).
fn sarif(text: &str, n: usize) -> Result<(), String> {
    let log: Value = serde_json::from_str(text).map_err(|error| format!("sarif: {error}"))?;
    if log["version"] != "2.1.0" || log["runs"].as_array().map(Vec::len) != Some(1) {
        return Err("not one run of SARIF 2.1.0".to_owned());
    }
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().ok_or("no rules")?;
    let results = run["results"].as_array().ok_or("no results")?;
    if results.len() != n || run["tool"]["driver"]["name"] != "northc" {
        return Err(format!("{} results for {n} problems", results.len()));
    }
    for result in results {
        let known = rules.iter().any(|rule| rule["id"] == result["ruleId"]);
        let level = ["error", "warning", "note"].iter().any(|level| result["level"] == *level);
        if !known || !level || !result["message"]["text"].is_string() {
            return Err(format!("a bad result: {result:#}"));
        }
        for location in result["locations"].as_array().ok_or("no locations")? {
            let region = &location["physicalLocation"]["region"];
            let at = |key: &str| region[key].as_u64().unwrap_or(0);
            let uri = location["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap_or("");
            let in_order = (at("startLine"), at("startColumn")) <= (at("endLine"), at("endColumn"));
            if at("startLine") == 0 || at("startColumn") == 0 || !in_order || uri.contains(' ') {
                return Err(format!("a bad place: {location:#}"));
            }
        }
    }
    Ok(())
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("a file");
    }
    dir
}

fn check(dir: &tempfile::TempDir, further: &[&str]) -> Ran {
    northc(["check", dir.path().to_str().expect("text")].into_iter().chain(further.iter().copied()))
}

const VPC: &str = "apiVersion: kubeovn.io/v1\nkind: Vpc\nmetadata: {name: shop}\n";

#[test]
fn what_can_not_be_read_is_told_with_the_rest() {
    let dir = folder(&[("a.yaml", VPC), ("b.yaml", "kind: [\n")]);
    let missing = dir.path().join("missing.yaml");
    let path = dir.path().to_str().expect("text");
    let ran = northc(["check", path, missing.to_str().expect("text")]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("error[N0101]: can't read") && ran.err.contains("No such file"), "{}", ran.err);
    assert!(ran.err.contains("error[N0102]"), "{}", ran.err);
    assert!(ran.err.ends_with("2 errors; `northc explain N0102` tells more\n"), "{}", ran.err);
}

#[test]
fn names_of_files_can_not_drive_a_terminal() {
    let dir = folder(&[("a\x1b[31m\u{9b}2J.yaml", "kind: [\n")]);
    let ran = check(&dir, &[]);
    assert!(ran.err.contains("a\\u{1b}[31m\\u{9b}2J.yaml"), "{}", ran.err);
    assert!(!ran.err.contains(['\x1b', '\u{9b}']), "{:?}", ran.err);
}

#[test]
fn a_broken_lock_file_is_told_by_line() {
    for (text, says) in [
        ("a.b: 10.0.1.2\nnonsense\n", ":2: a line is `name: address`"),
        ("a.b: 10.0.1\n", ":1: `a.b` has something that is no address"),
        ("a.b: 10.0.1.2\na.b: 10.0.1.3\n", ":2: `a.b` stands here twice"),
        ("<<<<<<< ours\n", ":1: an unresolved merge conflict"),
    ] {
        let dir = folder(&[("a.yaml", VPC), ("northc.lock", text)]);
        let lock = dir.path().join("northc.lock");
        let ran = check(&dir, &["--lock", lock.to_str().expect("text")]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("error[N0606]") && ran.err.contains(says), "{}", ran.err);
    }
}

#[test]
fn a_switch_has_no_more_ports_than_ovn_can_number() {
    let mut text =
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: web}\nspec: {cidrBlock: 10.0.0.0/8}\n"
            .to_owned();
    for n in 0..32_767 {
        text += &format!(
            "---\n{{apiVersion: kubeovn.io/v1, kind: IP, metadata: {{name: p{n}.default}}, spec: {{subnet: web}}}}\n"
        );
    }
    let dir = folder(&[("a.yaml", &text)]);
    let ran = check(&dir, &["--format", "github"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("title=N0605::subnet `web` has 32767 ports"),
        "{}",
        &ran.out[..2000.min(ran.out.len())]
    );
}

/// How long this thread has been on a processor: what others do beside is not in it (proc_pid_schedstat).
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first is a number"))
}

fn took_little(what: &str, before: Duration) {
    let took = processor_time() - before;
    assert!(!took.is_zero() && took < LONGEST, "{what}: {took:?}");
}

#[test]
fn ten_thousand_mistakes_are_told_in_little_time_and_space() {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for n in 0..10_000 {
        let (a, b) = (n / 250, n % 250);
        text += &format!(
            "- apiVersion: kubeovn.io/v1\n  kind: Subnet\n  metadata: {{name: s{n}}}\n  spec: {{cidrBlock: 10.{a}.{b}.0/24, gateway: 10.250.0.1}}\n"
        );
    }
    let dir = folder(&[("a.yaml", &text)]);
    let before = processor_time();
    let ran = check(&dir, &[]);
    took_little("text", before);
    assert!(ran.err.contains("... and 9950 more of N0302 (gateway-outside)"), "{} bytes", ran.err.len());
    assert!(ran.err.len() < 200_000, "{} bytes", ran.err.len());
    for format in ["json", "sarif", "github"] {
        let before = processor_time();
        assert!(check(&dir, &["--format", format]).out.len() > 1_000_000);
        took_little(format, before);
    }
}

#[test]
fn a_line_of_a_megabyte_is_shown_in_part_and_in_little_time() {
    let item = |n: usize| {
        let (a, b) = (n / 250, n % 250);
        format!(
            "{{\"apiVersion\": \"kubeovn.io/v1\", \"kind\": \"Subnet\", \"metadata\": {{\"name\": \"s{n}\"}}, \"spec\": {{\"cidrBlock\": \"10.{a}.{b}.0/24\", \"gateway\": \"10.250.0.1\"}}}}"
        )
    };
    let items: Vec<String> = (0..8_000).map(item).collect();
    let text = format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{}]}}", items.join(", "));
    assert!(text.len() > 1_000_000 && !text.contains('\n'));
    let dir = folder(&[("a.json", &text)]);
    for format in ["text", "json", "sarif"] {
        let before = processor_time();
        let ran = check(&dir, &["--format", format]);
        took_little(format, before);
        let widest = ran.err.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= WIDTH_MAX + 60, "{format}: a line of {widest} characters");
    }
}

#[test]
fn severities_are_the_users_to_choose() {
    let dir = folder(&[(
        "a.yaml",
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: web}\nspec: {cidrBlock: 20.0.1.0/24, gatway: 20.0.1.1}\n",
    )]);
    let first_lines = |ran: &Ran| {
        ran.err
            .lines()
            .filter(|l| l.contains("[N"))
            .map(|l| l.split(':').next().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    let plain = check(&dir, &[]);
    assert_eq!(
        (plain.code, first_lines(&plain)),
        (0, vec!["note[N0316]".to_owned(), "warning[N0105]".to_owned()])
    );
    let denied = check(&dir, &["--deny", "warnings"]);
    assert_eq!(
        (denied.code, first_lines(&denied)),
        (1, vec!["note[N0316]".to_owned(), "error[N0105]".to_owned()])
    );
    for code in ["N0316", "cidr-public", "n0316"] {
        let denied = check(&dir, &["--deny", code]);
        assert_eq!((denied.code, first_lines(&denied)[0].as_str()), (1, "error[N0316]"));
        let allowed = check(&dir, &["--allow", code]);
        assert_eq!((allowed.code, first_lines(&allowed)), (0, vec!["warning[N0105]".to_owned()]));
    }
    let both = check(&dir, &["--deny", "warnings", "--allow", "unknown-field"]);
    assert_eq!((both.code, first_lines(&both)), (0, vec!["note[N0316]".to_owned()]));
    let error = check(&dir, &["--allow", "cidr-overlap"]);
    assert_eq!(error.code, 64);
    assert!(error.err.contains("is an error and can't be silenced"), "{}", error.err);
    assert_eq!(check(&dir, &["--deny", "N9999"]).code, 64);
}
