//! What is fuzzed: a function a door by which foreign bytes come in. Each takes any bytes and must not panic.
//!
//! `cargo fuzz` calls them from `fuzz_targets/`, and the tests of every day with the bytes in `corpus/`.
//! Refuses to know which answers are right: only that there is one.

use std::fmt::Write;

use northc::compile::{Options, compile};
use northc::diag::{self, Sink};
use northc::nb::matching::{self, SymbolSet};
use northc::nb::{Kind, Table, dump};
use northc::ovsdb::frame::Framer;
use northc::ovsdb::message;
use northc::ovsdb::replica::Replica;
use northc::ovsdb::schema::Schema;
use northc::plan::batch::{Limits, batches};
use northc::reach::guest::ByHand;
use northc::reach::judge::Judge;
use northc::reach::matrix::Matrix;
use northc::reach::network::Network;
use northc::reach::parties::{Who, machines};
use northc::reach::set::{Set, Sets};
use northc::span::SourceMap;
use northc::target::Target;
use northc::{emit, lock, plan};

/// More machines than this in one input would say nothing new, slowly.
const N_PARTIES_MAX: usize = 6;

/// A file that a user gives to any verb.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut sources = SourceMap::new();
    sources.add("input.yaml".to_owned(), text.to_owned()).expect("shorter than 4 GiB");
    for target in Target::TESTED {
        let options = Options {
            owner: "fuzz".to_owned(),
            target,
            remembered: Default::default(),
            gateway_chassis: Vec::new(),
        };
        let mut sink = Sink::new();
        let compiled = compile(&sources, &options, &mut sink);
        let diagnostics = sink.into_sorted(&sources);
        let said = diag::render::render(&diagnostics, &sources, false);
        let is_control = |c: char| c.is_control() && c != '\n';
        assert!(!said.contains(is_control), "a message drives the terminal: {said:?}");
        diag::format::json(&diagnostics, &sources);
        let Some(compiled) = compiled else { continue };
        emit::nbctl::script(&compiled.rows, &options.owner, target);
        let transaction = emit::transact::transaction(&compiled.rows, &options.owner);
        serde_json::from_str::<serde_json::Value>(&transaction).expect("a transaction is JSON");
        judge(&Network::of_rows(&compiled.rows, target));
    }
}

/// A match, as a user writes it or another program left it: what is printed of it means the same.
pub fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for symbols in [SymbolSet::V23_03, SymbolSet::V26_03] {
        let parsed = matching::parse(text, symbols);
        for problem in &parsed.problems {
            assert!(text.get(problem.range.clone()).is_some(), "a problem lies outside the text");
        }
        let Some(expr) = parsed.expr else { continue };
        let printed = expr.to_string();
        let again = matching::parse(&printed, symbols).expr.expect("what is printed can be read");
        assert_eq!(again.to_string(), printed, "printing it a second time changes it");
    }
}

/// Rows as a server's monitor sends them, true or not, and what can reach what in them.
pub fn monitor(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let schema = Schema::parse(&schema()).expect("a schema");
    let mut replica = Replica::new(&schema);
    let mut messages = text.split('\u{1e}');
    if replica.start(messages.next().unwrap_or_default()).is_err() {
        return;
    }
    for update in messages {
        if replica.update("update3", update).is_err() {
            return;
        }
    }
    judge(&Network::of_actual(replica.actual(), Target::OLDEST));
}

/// A database that somebody saved, true or not, and what can reach what in it.
pub fn saved(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(actual) = dump::read(text) else { return };
    for target in Target::TESTED {
        judge(&Network::of_actual(&actual, target));
    }
}

/// What a server sends: cut anywhere, it is the same.
pub fn conversation(bytes: &[u8]) {
    const BYTES_MAX: usize = 1 << 20;
    let read = |chunk: usize| {
        let mut framer = Framer::new(BYTES_MAX);
        let mut messages = Vec::new();
        for piece in bytes.chunks(chunk) {
            framer.push(piece);
            loop {
                match framer.next_message() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(_) => return (messages, true),
                }
            }
        }
        (messages, false)
    };
    let whole = read(usize::MAX);
    assert!(whole == read(1) && whole == read(7), "messages depend on how they arrive");
    for message in &whole.0 {
        let _ = message::parse(message);
    }
}

/// A lock file; what is written of it reads the same.
pub fn lock(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(remembered) = lock::parse(text) {
        assert_eq!(lock::parse(&lock::text(&remembered)), Ok(remembered));
    }
}

/// A saved plan, altered by somebody who knows how to make its digest fit.
pub fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(serde_json::Value::Object(mut object)) = serde_json::from_str(text) else { return };
    object.remove("digest");
    let mut document = serde_json::Value::Object(object);
    document["digest"] = plan::json::digest(&document).into();
    if let Ok(plan) = plan::saved::read(&document.to_string()) {
        plan::render::sum(&plan);
        emit::operations::transactions(&plan, &batches(&plan, &Limits::default()));
    }
}

/// Who reaches whom among the first few machines.
fn judge(network: &Network) {
    let sets = Sets::default();
    let mut judge = Judge::new(network, &sets, ByHand::default());
    let parties: Vec<Who> = machines(&judge).take(N_PARTIES_MAX).map(Who::Machine).collect();
    Matrix::new(&mut judge, &parties, &parties, Set::ALL);
}

/// A schema that has every table and column that northc knows.
pub fn schema() -> String {
    let mut text = r#"{"name":"OVN_Northbound","version":"7.0.0","tables":{"#.to_owned();
    for (at, table) in Table::ALL.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(text, r#"{comma}"{}":{{"columns":{{"#, table.name());
        for (at, column) in table.columns().iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(text, r#"{comma}"{}":{{"type":{}}}"#, column.name, shape(column.kind));
        }
        text.push_str("}}");
    }
    text.push_str("}}");
    text
}

fn shape(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => r#""string""#,
        Kind::TextOpt => r#"{"key":"string","min":0,"max":1}"#,
        Kind::TextSet => r#"{"key":"string","min":0,"max":"unlimited"}"#,
        Kind::Int => r#""integer""#,
        Kind::IntOpt => r#"{"key":"integer","min":0,"max":1}"#,
        Kind::Bool => r#""boolean""#,
        Kind::BoolOpt => r#"{"key":"boolean","min":0,"max":1}"#,
        Kind::RefOpt => r#"{"key":"uuid","min":0,"max":1}"#,
        Kind::RefSet => r#"{"key":"uuid","min":0,"max":"unlimited"}"#,
        Kind::Map => r#"{"key":"string","value":"string","min":0,"max":"unlimited"}"#,
        Kind::IntMap => r#"{"key":"string","value":"integer","min":0,"max":"unlimited"}"#,
    }
}
