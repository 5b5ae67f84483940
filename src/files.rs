//! Paths and standard input become source texts: the only reader of users' files.
//!
//! A folder stands for every `.yaml`, `.yml` and `.json` file below it, in the order of their names;
//! hidden entries and links to folders are passed over. Refuses to know what the texts mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::span::SourceMap;

/// A path that could not be read, and why.
#[derive(Debug)]
pub struct Unreadable {
    /// As the user gave it, or as found below a folder.
    pub path: String,
    /// The reason, in words.
    pub reason: String,
}

/// Reads every path; `-` is standard input. What can't be read is returned, the rest is in the map.
pub fn read(paths: &[PathBuf]) -> (SourceMap, Vec<Unreadable>) {
    let mut failures = Vec::new();
    let files = find(paths, &mut failures);
    let mut sources = SourceMap::new();
    if paths.iter().any(|path| is_stdin(path)) {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes);
        add(&mut sources, "<stdin>".to_owned(), read, &mut failures);
    }
    for path in files {
        add(&mut sources, path.display().to_string(), fs::read(&path), &mut failures);
    }
    (sources, failures)
}

/// What tells that a file changed: when it was written, and its length.
pub type Stamp = Option<(SystemTime, u64)>;

/// The files that [`read`] would read, and how they are now; `None` for one that is not there.
pub fn stamps(paths: &[PathBuf]) -> BTreeMap<PathBuf, Stamp> {
    let stamp = |path: &PathBuf| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    find(paths, &mut Vec::new()).into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The files that paths stand for, but for standard input.
fn find(paths: &[PathBuf], failures: &mut Vec<Unreadable>) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for path in paths.iter().filter(|path| !is_stdin(path)) {
        if path.is_dir() {
            walk(path, &mut files, failures);
        } else {
            files.insert(path.clone());
        }
    }
    files
}

fn walk(dir: &Path, files: &mut BTreeSet<PathBuf>, failures: &mut Vec<Unreadable>) {
    let entries = match fs::read_dir(dir).and_then(|entries| entries.collect::<io::Result<Vec<_>>>()) {
        Ok(entries) => entries,
        Err(error) => {
            failures.push(Unreadable { path: dir.display().to_string(), reason: error.to_string() });
            return;
        }
    };
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let is_real_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if hidden {
            continue;
        } else if is_real_dir {
            walk(&path, files, failures);
        } else if is_source(&path) && path.is_file() {
            files.insert(path);
        }
    }
}

fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn add(sources: &mut SourceMap, name: String, bytes: io::Result<Vec<u8>>, failures: &mut Vec<Unreadable>) {
    let text = bytes.map_err(|error| error.to_string()).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|&&b| b == b'\n').count() + 1;
            format!("not UTF-8: line {line} holds a byte that can't be decoded")
        })
    });
    let added =
        text.and_then(|text| sources.add(name.clone(), text).ok_or_else(|| "longer than 4 GiB".to_owned()));
    if let Err(reason) = added {
        failures.push(Unreadable { path: name, reason });
    }
}

/// Writes a text to a file, whole or not at all. The error names the file.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    write_with(path, |out| out.write_all(text.as_bytes()))
}

/// Writes a file whole or not at all: beside its place first, then renamed. It keeps the permissions that it has,
/// and a link to it stays a link. The error names the file.
pub fn write_with(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), String> {
    let failed = |error: io::Error| format!("can't write `{}`: {error}", path.display());
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::symlink_metadata(&path).ok();
    if old.as_ref().is_some_and(|meta| !meta.is_file()) {
        // A device, a pipe or a link to nothing: there is nothing to rename over.
        return File::create(&path).and_then(|mut file| content(&mut file)).map_err(failed);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    // What a stranger left in its place is no file of ours.
    let mut file = File::create_new(&beside).map_err(failed)?;
    let kept = old.map_or(Ok(()), |old| file.set_permissions(old.permissions()));
    let written = kept.and_then(|()| content(&mut file)).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&beside, &path)).map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed(error)
    })
}
