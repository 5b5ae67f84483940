//! Input that is made to hurt: northc ends with a message, in memory that grows with the input and no faster.
//!
//! The program itself is run, under a limit of memory that the kernel holds it to. `NORTHC_BOMBS=20` makes every
//! bomb so many times as large. Refuses to look at clocks.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// What the program takes without any input, and then for each byte of it.
const KIB_BASE: usize = 400 << 10;
const BYTES_PER_BYTE: usize = 120;

/// How many times as large as every day.
fn scale() -> usize {
    std::env::var("NORTHC_BOMBS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// `northc check` of a file with this text, and what may be said of it at the most.
fn check(text: impl AsRef<[u8]>) -> (i32, String) {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("input.yaml");
    fs::write(&path, &text).expect("it can be written");
    let output = run(&path, KIB_BASE + text.as_ref().len() * BYTES_PER_BYTE / 1024);
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).expect("UTF-8"))
}

fn run(path: &Path, kib_max: usize) -> Output {
    let limited = format!("ulimit -v {kib_max} && exec \"$0\" check \"$1\"");
    let mut command = Command::new("bash");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_northc")]).arg(path);
    command.output().expect("bash is there")
}

fn says(text: impl AsRef<[u8]>, code: i32, word: &str) {
    let (is, said) = check(text);
    let shown: String = said.chars().take(2_000).collect();
    assert!(is == code && said.contains(word), "exit {is}, wanted {code} and {word}:\n{shown}");
}

const VPC: &str = "apiVersion: northc.io/v1alpha1\nkind: Vpc\nmetadata: {name: a}\n";

#[test]
fn a_line_of_megabytes() {
    let long = "x".repeat(scale() * 5_000_000);
    says(format!("{VPC}spec: {{description: {long}}}\n"), 0, "");
    says(format!("{VPC}spec: {{{long}: 1}}\n"), 1, "N0102");
    says(format!("{VPC}{long}\n"), 1, "N0102");
    says(format!("{VPC}spec: {{description: \"{long}\n"), 1, "N0102");
}

#[test]
fn documents_without_end() {
    says("---\n".repeat(scale() * 50_000), 0, "N0110");
    says("---\na: 1\n".repeat(scale() * 2_000), 1, "N0107");
    let other = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
    says(other.repeat(scale() * 10_000), 0, "N0104");
}

#[test]
fn depth() {
    let n = scale() * 100_000;
    says("[".repeat(n), 1, "N0111");
    says("{a: ".repeat(n), 1, "N0111");
    says("- ".repeat(n), 1, "N0111");
    says(format!("{}1{}", "[".repeat(n), "]".repeat(n)), 1, "N0111");
    let stairs: String = (0..scale() * 1_000).fold(String::new(), |mut text, depth| {
        let _ = writeln!(text, "{}a:", " ".repeat(depth));
        text
    });
    says(stairs, 1, "N0111");
}

#[test]
fn aliases_of_aliases() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        let _ = writeln!(text, "a{n}: &a{n} [{}]", vec![format!("*a{}", n - 1); 10].join(", "));
    }
    says(&text, 1, "N01");
    says("a: &a [*a]\n", 1, "N01");
    says("a: &a {b: *a}\n", 1, "N01");
}

#[test]
fn the_same_key_again_and_again() {
    says(format!("{VPC}spec:\n{}", "  description: x\n".repeat(scale() * 5_000)), 1, "N0103");
}

#[test]
fn ten_thousand_errors() {
    let mut text = String::new();
    let n = scale() * 2_000;
    for at in 0..n {
        let _ = write!(
            text,
            "---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {{name: s{at}}}\nspec: {{cidrBlock: 10.0.0.0/33}}\n"
        );
    }
    says(text, 1, &format!("{n} errors"));
}

#[test]
fn bytes_that_are_no_text() {
    says(b"\xff\xfe\x00\x01", 1, "N0101");
    says(b"a: \x00\n", 1, "N0102");
    says(format!("\u{feff}{VPC}"), 0, "");
    says(VPC.replace('\n', "\r\n"), 0, "");
    says(format!("{VPC}spec: {{cidrs: 99999999999999999999999999}}\n"), 1, "N01");
    says(
        "apiVersion: kubeovn.io/v1\nkind: Vlan\nmetadata: {name: a}\nspec: {id: 184467440737095516160, provider: p}\n",
        1,
        "N01",
    );
}

#[test]
fn everything_peers_with_everything() {
    let n = 40 * scale().min(5);
    let mut text = String::new();
    for at in 0..n {
        let _ = write!(text, "---\napiVersion: northc.io/v1alpha1\nkind: Vpc\nmetadata: {{name: v{at}}}\n");
        let _ = write!(
            text,
            "---\napiVersion: northc.io/v1alpha1\nkind: Subnet\nmetadata: {{name: s{at}}}\nspec: {{vpc: v{at}, cidrs: [10.{at}.0.0/24]}}\n"
        );
        let _ = write!(
            text,
            "---\napiVersion: northc.io/v1alpha1\nkind: VpcPeering\nmetadata: {{name: p{at}}}\nspec: {{vpcs: [v{at}, v{}]}}\n",
            (at + 1) % n
        );
    }
    says(text, 0, "");
}

#[cfg(unix)]
#[test]
fn folders_that_lead_into_themselves_and_files_that_are_none() {
    let dir = TempDir::new().expect("a folder");
    let below = dir.path().join("below");
    fs::create_dir(&below).expect("a folder");
    fs::write(below.join("a.yaml"), VPC).expect("a file");
    std::os::unix::fs::symlink(dir.path(), below.join("up")).expect("a link");
    std::os::unix::fs::symlink("itself.yaml", below.join("itself.yaml")).expect("a link");
    let made = Command::new("mkfifo").arg(below.join("pipe.yaml")).status().expect("mkfifo is there");
    assert!(made.success());
    let output = run(dir.path(), KIB_BASE);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Given by name they are read, or said.
    let output = run(&below.join("itself.yaml"), KIB_BASE);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("N0101"), "{said}");
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("input.yaml");
    let (short, long) = (VPC.to_owned(), format!("{VPC}spec: {{description: {}}}\n", "x".repeat(100_000)));
    fs::write(&path, &short).expect("a file");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fs::write(&path, &long).and_then(|()| fs::write(&path, &short)).expect("it can be written");
            }
        });
        for _ in 0..20 {
            let output = run(&path, KIB_BASE);
            let code = output.status.code();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(matches!(code, Some(0 | 1)) && !said.contains("panicked"), "{code:?} {said}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
