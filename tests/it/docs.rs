//! What the pages show is what happens: README.md and those of `docs/`.
//!
//! The blocks of a page are done in their order, in a folder of its own that has `fixtures` and `docs` in it:
//!
//! | block | is |
//! |---|---|
//! | `yaml title=FILE` | a file, which is written there |
//! | `console` | commands after `$ `, and what they say, standard error first |
//!
//! Commands of northc in other blocks, which want a cluster or change a machine, are at least ones that it knows.
//!
//! `…` at a line's end stands for the rest of the line, alone on a line for any number of lines. A page that says
//! so in a comment has an OVN of its own, where `OVN_NB_DB` leads. A picture beside the page is the one that its
//! commands draw. Links lead to files that are there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cases::{northc, root};
use crate::ovn::{self, Scratch};

const WANTS_OVN: &str = "<!-- its commands have an OVN of their own -->";

#[test]
fn what_pages_show_is_what_happens() {
    let mut wrong = String::new();
    for page in pages() {
        let text = read(&page);
        let site = if text.contains(WANTS_OVN) {
            if !ovn::is_present() {
                continue;
            }
            Site::with_ovn()
        } else {
            Site::new()
        };
        let acted = blocks(&text).iter().try_for_each(|block| site.act(block));
        if let Err(why) = acted.and_then(|()| site.pictures(&page, &text)) {
            wrong.push_str(&format!("{}: {why}\n", page.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Pages that northc writes itself, all commands built in.
#[test]
#[cfg(feature = "live")]
fn generated_pages_are_current() {
    let pages: [(&str, &[&str]); 2] = [
        ("codes.md", &["explain", "--list", "--format", "markdown"]),
        ("commands.md", &["man", "--format", "markdown"]),
    ];
    for (name, args) in pages {
        let ran = northc(args.iter().copied());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        is_current(name, &ran.out);
    }
}

/// The page of JSON names every document that northc writes, and every field of theirs.
#[test]
fn the_page_of_json_names_every_field() {
    /// Objects whose names are the user's or OVN's.
    const FREE: [&str; 3] = ["columns", "row", "verdicts"];
    fn names(value: &serde_json::Value, all: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    all.insert(name.clone());
                    if !FREE.contains(&name.as_str()) {
                        names(value, all);
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| names(item, all)),
            _ => {}
        }
    }
    let page = read(&root().join("docs/json.md"));
    let (one, other) =
        ("fixtures/harvester/private-both-one-allows", "fixtures/harvester/private-both-allow");
    let documents: [(&str, &[&str]); 9] = [
        ("northc.diagnostics", &["check", "fixtures/mistakes/overlap", "--format", "json"]),
        ("northc.rows", &["compile", "fixtures/native/three-tier", "--to", "rows"]),
        ("northc.plan", &["diff", one, other, "--format", "json"]),
        ("northc.plan", &["diff", "fixtures/native/three-tier", one, "--format", "json"]),
        (
            "northc.reach.pairs",
            &["reach", "-f", "fixtures/policies/drop", "db-1", "web-1", "icmp", "--format", "json"],
        ),
        ("northc.reach.matrix", &["reach", "-f", "fixtures/acls/east-west", "--all", "--format", "json"]),
        (
            "northc.reach.expectations",
            &["reach", "-f", "fixtures/native/expectations", "--expect", "--format", "json"],
        ),
        ("northc.code", &["explain", "N0301", "--format", "json"]),
        ("northc.codes", &["explain", "--format", "json"]),
    ];
    for (kind, args) in documents {
        let ran = northc(args.iter().copied());
        let document: serde_json::Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{args:?}: {e}"));
        assert_eq!((&document["kind"], &document["format_version"]), (&kind.into(), &"1.0".into()));
        assert!(page.contains(kind), "{kind}");
        let mut all = std::collections::BTreeSet::new();
        names(&document, &mut all);
        let missing: Vec<_> = all.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "{kind}: docs/json.md lacks {missing:?}");
    }
}

/// A page of `docs/` is this text; while blessing it becomes it.
pub(crate) fn is_current(name: &str, text: &str) {
    let path = root().join("docs").join(name);
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        fs::write(&path, text).expect("docs can be written");
    }
    assert!(fs::read_to_string(&path).is_ok_and(|kept| kept == text), "docs/{name} is old: scripts/bless");
}

/// `mdbook build docs` makes a book of it: every page is in the summary, and none leads to what is not in the book.
#[test]
fn the_book_has_every_page() {
    let summary = read(&root().join("docs/SUMMARY.md"));
    for page in pages().iter().filter(|page| page.starts_with(root().join("docs"))) {
        let name = page.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("]({name})")),
            "{name} is not in SUMMARY.md"
        );
        let text = read(page);
        for link in links(&text) {
            assert!(!link.starts_with("../"), "{name}: {link} is not in the book");
        }
        for included in text.split("{{#include ").skip(1).filter_map(|rest| rest.split("}}").next()) {
            let part = read(&root().join("docs").join(included));
            for link in links(&part).filter(|_| included.ends_with(".md")) {
                assert!(
                    link.starts_with('#') || link.contains("://"),
                    "{included}: {link} is not in the book"
                );
            }
        }
    }
}

#[test]
fn the_readme_knows_every_verb_and_no_other() {
    let text = read(&root().join("README.md"));
    assert!(text.lines().count() <= 90, "README.md is a screen or little more");
    let shown: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split([' ', '`']).next()).collect();
    for verb in &shown {
        let ran = northc([*verb, "--help"]);
        // Without the feature `live` some verbs say that they are not built in.
        assert!(ran.code == 0 || cfg!(not(feature = "live")), "`{verb}` is no verb: {}", ran.err);
    }
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for program in block.lines().filter_map(|line| line.split(' ').next()) {
            assert!(root().join(program).is_file(), "{program} is not there");
        }
    }
}

/// In an empty folder and without a database they come to nothing, but not to a usage error.
#[test]
fn commands_that_are_not_run_are_spelled_right() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut n = 0;
    for page in pages() {
        let text = read(&page);
        let blocks = text.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        for (_, block) in blocks.filter(|(kind, _)| ["sh", "yaml"].contains(kind)) {
            for line in
                block.lines().map(|line| line.trim_start_matches([' ', '-']).trim_start_matches("run: "))
            {
                let words: Vec<&str> =
                    line.split(" #").next().unwrap_or_default().split_whitespace().collect();
                let [program, args @ ..] = words.as_slice() else { continue };
                if program.starts_with("scripts/") {
                    assert!(root().join(program).is_file(), "{}: {program} is not there", page.display());
                }
                if *program != "northc" {
                    continue;
                }
                let args = args.iter().take_while(|word| !["|", ">", ">>", "||", "&&"].contains(word));
                let ran = Command::new(env!("CARGO_BIN_EXE_northc"))
                    .args(args)
                    .current_dir(dir.path())
                    .stdin(Stdio::null())
                    .env("NORTHC_DB", "unix:nowhere")
                    .output()
                    .expect("northc runs");
                let said = String::from_utf8_lossy(&ran.stderr);
                assert!(ran.status.code() != Some(64), "{}: {line}:\n{said}", page.display());
                n += 1;
            }
        }
    }
    assert!(n > 5, "there are such commands: {n}");
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = read(&page);
        let folder = page.parent().expect("a page is in a folder");
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            let to = if file.is_empty() { page.clone() } else { folder.join(file) };
            assert!(to.exists(), "{}: {link} is not there", page.display());
            let is_there = heading.is_empty()
                || read(&to).lines().any(|line| anchor(line).is_some_and(|it| it == heading));
            assert!(is_there, "{}: {link} is no heading", page.display());
        }
    }
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// What links call a heading, as GitHub and mdBook have it.
fn anchor(line: &str) -> Option<String> {
    let text = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).expect("there are docs");
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.expect("readable").path()).collect();
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap_or_else(|e| panic!("{}: {e}", page.display()))
}

/// What a page has done.
enum Block<'p> {
    File { name: &'p str, text: &'p str },
    Command { line: &'p str, shown: Vec<&'p str> },
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    // Between fences, text and block take turns.
    for block in page.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap_or((block, ""));
        if let Some(name) = kind.strip_prefix("yaml title=") {
            let is_named =
                page.split(block).next().is_some_and(|before| before.contains(&format!("`{name}`")));
            assert!(is_named, "readers do not see the title: the text says that this goes into `{name}`");
            blocks.push(Block::File { name, text });
        } else if kind == "console" {
            for command in commands(text) {
                let (line, shown) = command.split_once('\n').unwrap_or((command, ""));
                blocks.push(Block::Command { line, shown: shown.trim_end().lines().collect() });
            }
        }
    }
    blocks
}

/// Commands with what follows them.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let first = text.strip_prefix("$ ").expect("a console block begins with a command");
    first.split("\n$ ")
}

/// Where a page's commands are run.
struct Site {
    dir: tempfile::TempDir,
    /// The database's socket, and what keeps it.
    ovn: Option<(PathBuf, Scratch)>,
}

impl Site {
    fn new() -> Site {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["fixtures", "docs"] {
            symlink(root().join(name), dir.path().join(name)).expect("linked");
        }
        Site { dir, ovn: None }
    }

    fn with_ovn() -> Site {
        let mut scratch = Scratch::new();
        let [nb, sb] = ["ovn-nb", "ovn-sb"].map(|schema| scratch.database(schema).socket);
        let init = Command::new("ovn-nbctl").arg(format!("--db=unix:{}", nb.display())).arg("init").status();
        assert!(init.is_ok_and(|status| status.success()), "there is a row for ovn-northd to confirm in");
        let at = |option: &str, socket: &Path| format!("--ovn{option}-db=unix:{}", socket.display());
        let mut northd: Child = scratch.daemon("ovn-northd", &[at("nb", &nb), at("sb", &sb)]);
        assert!(northd.wait().is_ok_and(|status| status.success()), "ovn-northd starts");
        Site { ovn: Some((nb, scratch)), ..Site::new() }
    }

    fn act(&self, block: &Block<'_>) -> Result<(), String> {
        let (line, shown) = match block {
            Block::File { name, text } => {
                return fs::write(self.dir.path().join(name), text).map_err(|e| format!("{name}: {e}"));
            }
            Block::Command { line, shown } => (line, shown),
        };
        let binary = Path::new(env!("CARGO_BIN_EXE_northc"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(binary.parent().expect("it is in a folder").to_owned())
            .chain(std::env::split_paths(&path));
        let mut bash = Command::new("bash");
        bash.args(["-c", line]).current_dir(self.dir.path()).stdin(Stdio::null());
        bash.env("PATH", std::env::join_paths(path).expect("a path")).env_remove("NORTHC_DB");
        match &self.ovn {
            Some((socket, _)) => bash.env("OVN_NB_DB", format!("unix:{}", socket.display())),
            None => bash.env_remove("OVN_NB_DB"),
        };
        let ran = bash.output().map_err(|e| format!("bash: {e}"))?;
        let said = [ran.stderr, ran.stdout].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.trim_end().lines().collect();
        if matches(shown, &lines) { Ok(()) } else { Err(format!("`{line}` says otherwise:\n{said}")) }
    }

    /// What the page's commands drew is what it shows.
    fn pictures(&self, page: &Path, text: &str) -> Result<(), String> {
        let shown = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for name in shown.filter(|link| link.ends_with(".svg")) {
            let Ok(drawn) = fs::read(self.dir.path().join(name)) else { continue };
            let kept = page.with_file_name(name);
            if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
                fs::write(&kept, &drawn).map_err(|e| format!("{}: {e}", kept.display()))?;
            }
            if fs::read(&kept).ok() != Some(drawn) {
                return Err(format!("{name} is not what its command draws"));
            }
        }
        Ok(())
    }
}

/// Whether lines are those that are shown.
fn matches(shown: &[&str], said: &[&str]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((&"…", rest)) => (0..=said.len()).any(|skipped| matches(rest, &said[skipped..])),
        Some((line, rest)) => {
            let fits = |real: &&str| match line.strip_suffix('…') {
                Some(start) => real.starts_with(start),
                None => real == line,
            };
            said.split_first().is_some_and(|(first, more)| fits(first) && matches(rest, more))
        }
    }
}
