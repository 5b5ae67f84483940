//! The same objects written otherwise: other order, other files, JSON for YAML.

use std::path::PathBuf;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Every document in a file of its own, last one first.
pub(crate) fn shuffled(texts: &[(PathBuf, String)]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (path, text) in texts {
        let end = path.extension().and_then(|e| e.to_str()).unwrap_or("yaml");
        let documents: Vec<&str> = if end == "json" { vec![text] } else { text.split("\n---\n").collect() };
        files.extend(documents.into_iter().map(|document| (end, format!("{document}\n"))));
    }
    let n = files.len();
    let name = |(at, (end, text)): (usize, (&str, String))| (format!("{:03}.{end}", n - at), text);
    files.into_iter().enumerate().map(name).collect()
}

/// Every document as JSON with sorted keys on one line, all of them in one file.
pub(crate) fn as_json(texts: &[(PathBuf, String)]) -> Vec<(String, String)> {
    let documents = texts.iter().flat_map(|(_, text)| documents(text));
    let text: String = documents.map(|document| format!("---\n{document}\n")).collect();
    vec![("all.yaml".to_owned(), text)]
}

/// The documents of a YAML text that are not empty.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let mut documents = Vec::new();
    let mut open: Vec<(Value, Option<String>, usize)> = Vec::new();
    let mut anchors = std::collections::BTreeMap::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.expect("a fixture that compiles is YAML");
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style == ScalarStyle::Plain), anchor),
            Event::Alias(anchor) => (Value::clone(&anchors[&anchor]), 0),
            Event::SequenceStart(_, anchor, _) => {
                open.push((Value::Array(Vec::new()), None, anchor));
                continue;
            }
            Event::MappingStart(_, anchor, _) => {
                open.push((Value::Object(Map::new()), None, anchor));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, _, anchor) = open.pop().expect("it was opened");
                (value, anchor)
            }
            _ => continue,
        };
        anchors.insert(anchor, value.clone());
        match open.last_mut() {
            None if value.is_null() => {}
            None => documents.push(value),
            Some((Value::Array(items), _, _)) => items.push(value),
            Some((Value::Object(entries), key, _)) => match key.take() {
                Some(key) => drop(entries.insert(key, value)),
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            },
            Some(_) => {}
        }
    }
    documents
}

fn scalar(text: &str, is_plain: bool) -> Value {
    match text {
        "" | "~" | "null" if is_plain => Value::Null,
        "true" if is_plain => Value::Bool(true),
        "false" if is_plain => Value::Bool(false),
        _ if is_plain => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        _ => Value::from(text),
    }
}
