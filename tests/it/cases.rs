//! The folders of `fixtures/`, and northc run on them in this process.
//!
//! A folder with sources in it is a case. Refuses to know the library: cases are run by the command line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A case.
pub(crate) struct Case {
    /// Its folder below `fixtures/`: `harvester/vpc-1`.
    pub(crate) name: String,
    /// Its folder below the package: `fixtures/harvester/vpc-1`.
    pub(crate) folder: String,
}

/// What a command line gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs northc in this process.
pub(crate) fn northc<'a>(args: impl IntoIterator<Item = &'a str>) -> Ran {
    let args = std::iter::once("northc").chain(args);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = northc::cli::run(args, &mut out, &mut err, false);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("northc writes UTF-8");
    Ran { code, out: text(out), err: text(err) }
}

/// `northc compile --to FORM PATH…`
pub(crate) fn compile(form: &str, paths: &[String]) -> Ran {
    northc(["compile", "--to", form].into_iter().chain(paths.iter().map(String::as_str)))
}

impl Case {
    /// What is compiled: the paths of the first `apply` of its steps, else the folder.
    pub(crate) fn sources(&self) -> Vec<String> {
        let steps = fs::read_to_string(self.path("steps")).unwrap_or_default();
        let apply = steps.lines().find_map(|line| line.strip_prefix("apply "));
        let is_path = |word: &&str| !word.starts_with("--");
        match apply.map(|paths| paths.split_whitespace().filter(is_path).collect::<Vec<_>>()) {
            None => vec![self.folder.clone()],
            Some(paths) => self.below(&paths),
        }
    }

    /// Paths of the case's folder as they are from here.
    pub(crate) fn below<S: AsRef<str>>(&self, paths: &[S]) -> Vec<String> {
        let below = |path: &S| match path.as_ref() {
            "." => self.folder.clone(),
            path => format!("{}/{path}", self.folder),
        };
        paths.iter().map(below).collect()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        root().join(&self.folder).join(file)
    }

    /// Whether it compiles.
    pub(crate) fn is_good(&self) -> bool {
        compile("nbctl", &self.sources()).code == 0
    }

    /// The texts of its sources, file by file, in the order of their names.
    pub(crate) fn texts(&self) -> Vec<(PathBuf, String)> {
        let mut files = BTreeSet::new();
        for source in self.sources() {
            let source = root().join(source);
            if source.is_dir() { files.extend(sources_in(&source)) } else { files.extend([source]) }
        }
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path, text)
        };
        files.into_iter().map(read).collect()
    }
}

/// Where the package is; tests run there.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every case, by name. Those of `fixtures/lab` are about what real machines do, and not here.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = folders();
    cases.retain(|case| !case.name.starts_with("lab/") && !case.name.starts_with("check/"));
    assert!(!cases.is_empty(), "there are fixtures");
    cases
}

/// The cases of `fixtures/lab`.
pub(crate) fn of_the_lab() -> Vec<Case> {
    folders().into_iter().filter(|case| case.name.starts_with("lab/")).collect()
}

fn folders() -> Vec<Case> {
    let mut folders = Vec::new();
    walk(&root().join("fixtures"), &mut folders);
    let case = |folder: PathBuf| {
        let below = folder.strip_prefix(root()).expect("fixtures are below the package");
        let folder = below.to_str().expect("names of fixtures are text").to_owned();
        let name = folder.trim_start_matches("fixtures/").to_owned();
        Case { name, folder }
    };
    let mut cases: Vec<Case> = folders.into_iter().map(case).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    if !sources_in(folder).is_empty() {
        found.push(folder.to_owned());
    }
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.filter_map(|entry| entry.ok().map(|e| e.path())) {
        if path.is_dir() {
            walk(&path, found);
        }
    }
}

fn sources_in(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.filter_map(|entry| entry.ok().map(|e| e.path()));
    let is_source = |path: &PathBuf| {
        path.extension().and_then(|e| e.to_str()).is_some_and(|e| ["yaml", "yml", "json"].contains(&e))
    };
    paths.filter(is_source).collect()
}

/// Runs `check` on every case, and fails with everything that failed.
pub(crate) fn each(cases: &[Case], mut check: impl FnMut(&Case) -> Result<(), String>) {
    let failures: Vec<String> =
        cases.iter().filter_map(|case| check(case).err().map(|e| format!("{}: {e}", case.name))).collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}
