//! What the fuzzers found or grew, and every fixture, once through the same doors.
//!
//! `fuzz/README.md` says how the corpus is grown. Refuses to look for more: that takes hours.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cases::root;

#[expect(unreachable_pub, reason = "the fuzzers are another crate")]
#[path = "../../fuzz/targets.rs"]
pub(crate) mod targets;

/// A door, by its name.
type Door = (&'static str, fn(&[u8]));

const DOORS: [Door; 7] = [
    ("yaml", targets::yaml),
    ("expression", targets::expression),
    ("monitor", targets::monitor),
    ("saved", targets::saved),
    ("conversation", targets::conversation),
    ("lock", targets::lock),
    ("plan", targets::plan),
];

#[test]
fn nothing_in_the_corpus_makes_northc_panic() {
    for (name, door) in DOORS {
        let files = files(&root().join("fuzz/corpus").join(name));
        assert!(!files.is_empty(), "nothing for {name}");
        files.iter().for_each(|file| door(&fs::read(file).expect("a file")));
    }
}

#[test]
fn no_fixture_makes_northc_panic() {
    let files = files(&root().join("fixtures"));
    files
        .iter()
        .filter(|file| is_yaml(file))
        .for_each(|file| targets::yaml(&fs::read(file).expect("a file")));
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "json")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
