//! What holds of the source itself: who imports whom, what every file says of itself, how long things get.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use northc::diag::Code;

use crate::cases::root;

/// Who may import whom within the crate: a module, and the modules that it may name. `ARCHITECTURE.md`
/// holds the same table. A new edge is a change of the design.
const IMPORTS: [(&str, &str); 30] = [
    ("span", ""),
    ("target", ""),
    ("nearest", ""),
    ("priority", ""),
    ("digest", ""),
    ("progress", ""),
    ("parallel", ""),
    ("visible", ""),
    ("files", "span"),
    ("diag", "nearest span visible"),
    ("model", "span"),
    ("names", "digest model span"),
    ("nb", "digest nearest parallel span visible"),
    ("source", "diag digest model nearest parallel progress span"),
    ("assign", "digest model names parallel span"),
    ("lock", "assign"),
    ("check", "assign diag model names nb nearest parallel priority progress span target"),
    ("lower", "assign check digest model names nb parallel priority progress span"),
    ("compile", "assign check diag lower model nb source span target"),
    ("graph", "check model span"),
    ("plan", "nb parallel span visible"),
    ("ovsdb", "nb visible"),
    ("reach", "nb nearest progress span target"),
    ("meaning", "assign check model names nb reach span target"),
    ("verify", "check diag meaning model names parallel progress reach span"),
    ("expect", "diag model progress reach span"),
    ("emit", "nb ovsdb parallel plan progress span target"),
    ("apply", "emit nb ovsdb plan"),
    (
        "cli",
        "apply assign check compile diag emit expect files graph lock lower model nb ovsdb plan progress reach source span target verify",
    ),
    ("main", "cli"),
];

/// Longest file and longest function, in lines.
const FILE_MAX: usize = 700;
const FUNCTION_MAX: usize = 70;

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: [&str; 9] =
    ["common", "handler", "helper", "helpers", "manager", "misc", "process", "util", "utils"];

#[test]
fn imports_follow_the_table() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files("src") {
        let module = module_of(&path);
        let may: BTreeSet<&str> = match IMPORTS.iter().find(|(name, _)| *name == module) {
            Some((_, may)) => may.split(' ').collect(),
            None if module == "lib" => BTreeSet::new(),
            None => {
                wrong.push(format!("{}: the table has no row `{module}`", path.display()));
                continue;
            }
        };
        for named in imported(&text) {
            if named != module && !may.contains(named.as_str()) {
                wrong.push(format!("{}: `{module}` must not import `{named}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_allows_no_more_than_is_used() {
    for (module, may) in IMPORTS.iter().filter(|(module, _)| *module != "main") {
        let mut used = BTreeSet::new();
        for (path, text) in rust_files("src") {
            if module_of(&path) == *module {
                used.extend(imported(&text));
            }
        }
        let unused: Vec<&str> = may.split(' ').filter(|m| !m.is_empty() && !used.contains(*m)).collect();
        assert!(unused.is_empty(), "`{module}` no longer imports {unused:?}: take it out of the table");
    }
}

#[test]
fn the_table_has_no_circles() {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    loop {
        let is_free = |may: &str| may.split(' ').all(|m| m.is_empty() || done.contains(m));
        let next = IMPORTS.iter().find(|(module, may)| !done.contains(module) && is_free(may));
        match next {
            Some((module, _)) => done.insert(module),
            None => break,
        };
    }
    let stuck: Vec<_> = IMPORTS.iter().map(|(m, _)| *m).filter(|m| !done.contains(m)).collect();
    assert!(stuck.is_empty(), "these import each other: {stuck:?}");
}

#[test]
fn architecture_holds_the_same_table() {
    let text = fs::read_to_string(root().join("src/ARCHITECTURE.md")).expect("src/ARCHITECTURE.md is there");
    let row = |line: &str| {
        let mut cells =
            line.strip_prefix("| `")?.split('|').map(|cell| cell.replace('`', "").trim().to_owned());
        Some((cells.next()?, cells.next()?))
    };
    let said: Vec<(String, String)> = text.lines().filter_map(row).collect();
    let enforced: Vec<(String, String)> = IMPORTS
        .iter()
        .map(|(module, may)| ((*module).to_owned(), if may.is_empty() { "–" } else { may }.to_owned()))
        .collect();
    assert_eq!(said, enforced);
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in rust_files("src").into_iter().chain(rust_files("tests")).chain(rust_files("benches"))
    {
        assert!(text.starts_with("//! "), "{} begins with `//!`", path.display());
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        assert!(!EMPTY_NAMES.contains(&stem), "`{stem}` says nothing about what is in {}", path.display());
    }
}

#[test]
fn nothing_grows_too_long() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files("src").into_iter().chain(rust_files("tests")).chain(rust_files("benches"))
    {
        let n_lines = text.lines().count();
        if n_lines > FILE_MAX {
            wrong.push(format!("{}: {n_lines} lines, at most {FILE_MAX}", path.display()));
        }
        for (name, line, n_lines) in functions(&text).into_iter().filter(|(_, _, n)| *n > FUNCTION_MAX) {
            wrong.push(format!(
                "{}:{line}: `{name}` has {n_lines} lines, at most {FUNCTION_MAX}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn numbers_and_slugs_are_unique_and_in_order() {
    let numbers: Vec<&str> = Code::ALL.iter().map(|code| code.number()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "numbers go up: {numbers:?}");
    let slugs: BTreeSet<&str> = Code::ALL.iter().map(|code| code.slug()).collect();
    assert_eq!(slugs.len(), Code::ALL.len(), "a slug means one code");
    for (number, slug) in numbers.iter().zip(Code::ALL.iter().map(|code| code.slug())) {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(slug.chars().all(is_word), "{number}: `{slug}` is not of small letters and dashes");
    }
}

#[test]
fn a_function_is_counted_from_its_name_to_its_brace() {
    let text =
        "fn a() {\n    b();\n}\n\nimpl X {\n    pub fn c(\n        &self,\n    ) {\n        d();\n    }\n}\n";
    assert_eq!(functions(text), [("a".to_owned(), 1, 3), ("c".to_owned(), 6, 5)]);
    assert_eq!(
        imported("use crate::nb::Rows; // crate::plan\n/// crate::x\ncrate::diag::f()"),
        ["diag", "nb"]
    );
}

/// Names, first lines and lengths of functions, by rustfmt's indentation.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with("//")).collect();
        let is_before = |word: &&str| ["pub", "const", "async"].contains(word) || word.starts_with("pub(");
        let Some(fn_idx) = words.iter().position(|word| *word == "fn") else { continue };
        if !words[..fn_idx].iter().all(is_before) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let length =
            lines[at..].iter().position(|l| *l == end || l.ends_with(";") && l.trim() == line.trim());
        let name = words.get(fn_idx + 1).map_or("", |name| name.split(['(', '<']).next().unwrap_or(name));
        functions.extend(length.map(|length| (name.to_owned(), at + 1, length + 1)));
    }
    functions
}

/// The modules that a text names as `crate::…`, comments left out.
fn imported(text: &str) -> Vec<String> {
    let code: String =
        text.lines().map(|line| format!("{}\n", line.split("//").next().unwrap_or(""))).collect();
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let word = |text: &str| -> String {
            text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit()).collect()
        };
        match rest.strip_prefix('{') {
            None => modules.extend([word(rest)]),
            Some(list) => {
                modules.extend(list.split('}').next().unwrap_or("").split(',').map(|m| word(m.trim())))
            }
        }
    }
    modules.into_iter().filter(|module| !module.is_empty()).collect()
}

/// The first part of a file's path below `src`.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix("src").expect("a file of src");
    let first = below.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// Every Rust file below a folder of the package, with its text.
fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(|entry| entry.ok().map(|e| e.path())) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("source is text");
                found.push((path.strip_prefix(root()).expect("below the package").to_owned(), text));
            }
        }
    }
    found.sort();
    found
}
