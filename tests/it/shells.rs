//! What northc writes for shells and readers of manuals, as those take it: real ones, where they are there.
//!
//! Without one this says so and passes, unless `NORTHC_SHELLS` demands them all.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::cases::{northc, root};

/// What is typed, and what a shell makes of it: there are more commands with `che`, formats with `sar`, and codes
/// with `N030`, than these.
const TYPED: [(&str, &str); 4] = [
    ("northc che", "check"),
    ("northc check --format sar", "sarif"),
    ("northc graph --form", "--format"),
    ("northc explain N0301", "N0301"),
];

#[test]
fn bash_completes() {
    let dir = scripts();
    let ask = |typed: &str| {
        let words: Vec<&str> = typed.split(' ').collect();
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        format!(
            "source northc.bash; COMP_WORDS=({typed}); COMP_CWORD={}; COMP_LINE='{typed}'; COMP_POINT=${{#COMP_LINE}}; \
             $(complete -p northc | sed 's/.*-F \\([^ ]*\\).*/\\1/') northc '{last}' '{before}'; echo \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        )
    };
    completes(dir.path(), "bash", |typed| vec!["--norc".to_owned(), "-c".to_owned(), ask(typed)]);
}

#[test]
fn fish_completes() {
    let dir = scripts();
    let ask = |typed: &str| format!("source northc.fish; complete -C '{typed}'");
    completes(dir.path(), "fish", |typed| vec!["--no-config".to_owned(), "-c".to_owned(), ask(typed)]);
}

/// Somebody sits before it and presses the key: completion is the editor's, and the editor wants a terminal.
#[test]
fn zsh_completes() {
    let dir = scripts();
    let ask = |typed: &str| {
        format!(
            "zmodload zsh/zpty; zpty typist TERM=dumb zsh -f; \
             zpty -w typist 'fpath=($PWD $fpath); autoload -U compinit; compinit -u -d $PWD/dump; northc() {{ print said: $* }}'; \
             zpty -w typist '{typed}'$'\\t'; zpty -r typist said $'*\\nsaid: [^$]*\\n'; print -r -- $said"
        )
    };
    completes(dir.path(), "zsh", |typed| vec!["-f".to_owned(), "-c".to_owned(), ask(typed)]);
}

/// The three scripts, in a folder.
fn scripts() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (shell, name) in [("bash", "northc.bash"), ("zsh", "_northc"), ("fish", "northc.fish")] {
        fs::write(dir.path().join(name), northc(["completions", shell]).out).expect("written");
    }
    dir
}

fn completes(dir: &Path, shell: &str, args: impl Fn(&str) -> Vec<String>) {
    if !is_there(shell) {
        return;
    }
    for (typed, completed) in TYPED {
        let ran = Command::new(shell)
            .args(args(typed))
            .current_dir(dir)
            .env("HOME", dir)
            .output()
            .expect("it runs");
        let said = [ran.stdout, ran.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let is_said = said.split([' ', '\n', '\r', '\t']).any(|word| word == completed);
        assert!(is_said, "{shell} makes of `{typed}`:\n{said}");
    }
}

#[test]
fn readers_of_manuals_take_every_page() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(northc(["man", "--dir", dir.path().to_str().expect("a plain name")]).code, 0);
    let pages: Vec<_> =
        fs::read_dir(dir.path()).expect("there").map(|it| it.expect("readable").path()).collect();
    assert!(pages.len() > 10, "{pages:?}");
    if is_there("mandoc") {
        let ran = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning"])
            .args(&pages)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        // The same program gives the same bytes, and has no date.
        let wrong: Vec<&str> = said.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
    for page in pages.iter().filter(|_| is_there("man")) {
        let ran = Command::new("man")
            .args(["--warnings", "-l"])
            .arg(page)
            .env("MANWIDTH", "100")
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert!(said.contains("SYNOPSIS") && said.contains("northc"), "{said}");
        assert!(said.contains("EXIT STATUS") && said.contains("the database could not be reached"), "{said}");
    }
}

/// Whatever looks like the name of a variable in the command line's code is in the manual.
#[test]
fn manuals_tell_every_variable_that_is_read() {
    let manual = northc(["man"]).out;
    let mut names = BTreeSet::new();
    for file in fs::read_dir(root().join("src/cli")).expect("there").map(|it| it.expect("readable").path()) {
        let is_name = |text: &&str| {
            let mut bytes = text.bytes();
            text.contains('_') && bytes.all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        };
        let text = fs::read_to_string(file).expect("readable");
        names.extend(text.split('"').skip(1).step_by(2).filter(is_name).map(str::to_owned));
    }
    assert!(names.contains("NORTHC_LOG") && names.len() > 5, "{names:?}");
    // Cargo's are read while building.
    names.retain(|name| !name.starts_with("CARGO_"));
    let untold: Vec<_> = names.iter().filter(|name| !manual.contains(name.as_str())).collect();
    assert!(untold.is_empty(), "{untold:?}");
}

fn is_there(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    assert!(is_there || std::env::var_os("NORTHC_SHELLS").is_none(), "there is no {program}");
    if !is_there {
        let _ = writeln!(std::io::stderr(), "no {program}: not tested with it");
    }
    is_there
}
