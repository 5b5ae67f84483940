//! The lock file: which addresses were chosen, so that they stay put when other objects come and go.
//!
//! One line a name, sorted: `vm1.default: 172.20.10.2 fd00::2`; a name that would not read as it is, is a string
//! of JSON. Lines of different branches merge without
//! conflict unless they give one name two addresses. The file is optional, and a line may be deleted to let
//! its address go. Refuses to choose.

use std::net::IpAddr;
use std::path::Path;
use std::{fs, io};

use crate::assign::Remembered;

const HEADER: &str = "# northc.lock: addresses given by northc. Keep this file with the YAML.\n";

/// What a lock file holds; nothing if there is no such file. The error says what is wrong, and where.
pub fn read(path: &Path) -> Result<Remembered, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Remembered::new()),
        Err(error) => return Err(format!("can't read the lock file `{}`: {error}", path.display())),
    };
    parse(&text).map_err(|problem| format!("{}:{problem}", path.display()))
}

/// What the text of a lock file says; the error begins with the line's number.
pub fn parse(text: &str) -> Result<Remembered, String> {
    let mut remembered = Remembered::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = at + 1;
        if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)) {
            return Err(format!("{number}: an unresolved merge conflict; keep one line of each name"));
        }
        let (name, addresses) =
            name_of(line).ok_or_else(|| format!("{number}: a line is `name: address`"))?;
        let addresses: Result<Vec<IpAddr>, _> = addresses.split_whitespace().map(str::parse).collect();
        let addresses =
            addresses.map_err(|_| format!("{number}: `{name}` has something that is no address"))?;
        // A merge by lines may leave a line of both branches twice.
        if remembered.get(&name).is_some_and(|before| *before != addresses) {
            return Err(format!("{number}: `{name}` stands here twice; keep one line"));
        }
        remembered.insert(name, addresses);
    }
    Ok(remembered)
}

/// The name that a line begins with, and what stands behind it.
fn name_of(line: &str) -> Option<(String, &str)> {
    if !line.starts_with('"') {
        return line.split_once(": ").map(|(name, rest)| (name.to_owned(), rest));
    }
    let mut names = serde_json::Deserializer::from_str(line).into_iter::<String>();
    let name = names.next()?.ok()?;
    Some((name, line[names.byte_offset()..].strip_prefix(": ")?))
}

/// The text of a lock file.
pub fn text(chosen: &Remembered) -> String {
    let line = |(name, addresses): (&String, &Vec<IpAddr>)| {
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let is_plain = name_of(&format!("{name}: ")).is_some_and(|(read, _)| read == *name)
            && name.trim() == name
            && !name.starts_with(['#', '<', '=', '>'])
            && !name.contains(char::is_control);
        let name = if is_plain { name.clone() } else { serde_json::Value::from(name.as_str()).to_string() };
        format!("{name}: {}\n", addresses.join(" "))
    };
    std::iter::once(HEADER.to_owned()).chain(chosen.iter().map(line)).collect()
}
