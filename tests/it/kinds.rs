//! The kinds of both dialects: one declaration each, of which the reader, the schema, the page and the fixtures
//! tell the same.
//!
//! Refuses what holds of every fixture, which `fixtures` tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use northc::nb::stamp;
use serde_json::Value;

use crate::cases::{self, compile, northc, root};
use crate::reformat;

/// How the command line calls a dialect, its API, what its kinds' definitions begin with, and its page.
struct Dialect {
    name: &'static str,
    api_version: &'static str,
    prefix: &'static str,
    page: &'static str,
}

const NATIVE: Dialect =
    Dialect { name: "native", api_version: "northc.io/v1alpha1", prefix: "", page: "docs/native.md" };
const KUBE_OVN: Dialect =
    Dialect { name: "kube-ovn", api_version: "kubeovn.io/v1", prefix: "kubeovn.", page: "docs/kube-ovn.md" };

fn schema(dialect: &str) -> Value {
    let ran = northc(["schema", "--dialect", dialect]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    serde_json::from_str(&ran.out).expect("a schema is JSON")
}

fn validator(dialect: &str) -> jsonschema::Validator {
    let schema = schema(dialect);
    jsonschema::draft202012::meta::validate(&schema).expect("draft 2020-12");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// The objects of a text, those of lists too.
fn objects(text: &str) -> Vec<Value> {
    let of_document = |object: Value| match object.get("items").and_then(Value::as_array) {
        Some(items) if object["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => items.clone(),
        _ => vec![object],
    };
    reformat::documents(text).into_iter().flat_map(of_document).collect()
}

/// The objects of every case that compiles for some OVN, with the case's name.
fn good_objects() -> Vec<(String, Value)> {
    let newest = |case: &cases::Case| {
        let args = ["compile", "--ovn-version", "26.03"].map(str::to_owned).into_iter().chain(case.sources());
        northc(args.collect::<Vec<_>>().iter().map(String::as_str)).code == 0
    };
    let all = cases::all().into_iter().chain(cases::of_the_lab());
    let good = all.filter(|case| case.is_good() || newest(case));
    let of_case = |case: cases::Case| {
        let texts = case.texts();
        let found: Vec<Value> = texts.iter().flat_map(|(_, text)| objects(text)).collect();
        found.into_iter().map(move |object| (case.name.clone(), object))
    };
    good.flat_map(of_case).collect()
}

#[test]
fn the_schemas_take_every_object_that_compiles() {
    let both = validator("both");
    let single = [NATIVE, KUBE_OVN].map(|dialect| (validator(dialect.name), dialect.api_version));
    for (case, object) in good_objects() {
        let own = single.iter().filter(|(_, version)| object["apiVersion"] == *version);
        for validator in own.map(|(validator, _)| validator).chain([&both]) {
            if let Err(error) = validator.validate(&object) {
                panic!("{case}: {error} at {}\n{object:#}", error.instance_path());
            }
        }
    }
}

#[test]
fn the_schema_refuses_every_wrong_type() {
    let validators = [validator(NATIVE.name), validator("both")];
    let mut n_objects = 0;
    let entries = fs::read_dir(root().join("fixtures/check")).expect("fixtures");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let is_wrong_type = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("native-wrong-type"))
    };
    folders.retain(is_wrong_type);
    for folder in folders {
        let text = fs::read_to_string(folder.join("input.yaml")).expect("a case has an input");
        for object in objects(&text).iter().filter(|object| object["apiVersion"] == NATIVE.api_version) {
            for validator in &validators {
                assert!(!validator.is_valid(object), "{}: the schema takes\n{object:#}", folder.display());
            }
            n_objects += 1;
        }
    }
    assert!(n_objects > 20, "{n_objects} objects");
}

/// The fields that a dialect's schema has, as `Kind.field.field`: those that say something, and those without
/// effect.
fn declared(dialect: &Dialect) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut used, mut idle) = (BTreeSet::new(), BTreeSet::new());
    for (kind, def) in schema(dialect.name)["$defs"].as_object().expect("definitions") {
        let kind = kind.strip_prefix(dialect.prefix).expect("its own kinds");
        fields(&def["properties"]["spec"], kind, &mut used, &mut idle);
    }
    (used, idle)
}

#[test]
fn every_field_has_a_fixture() {
    let good = good_objects();
    for dialect in [NATIVE, KUBE_OVN] {
        let (used, idle) = declared(&dialect);
        let mut shown = BTreeSet::new();
        for (_, object) in good.iter().filter(|(_, object)| object["apiVersion"] == dialect.api_version) {
            paths(&object["spec"], object["kind"].as_str().expect("a kind"), &mut shown);
        }
        let missing: Vec<&String> = used.difference(&shown).collect();
        assert!(missing.is_empty(), "no fixture shows {missing:?}");
        assert_eq!(idle.is_empty(), dialect.name == NATIVE.name, "northc's own kinds are lowered whole");
    }
}

/// Each of these says something in `fixtures/check/field-without-effect`, and is answered there by its own name.
#[test]
fn every_field_without_effect_is_answered() {
    let (_, idle) = declared(&KUBE_OVN);
    let folder = "fixtures/check/field-without-effect";
    let text = fs::read_to_string(root().join(folder).join("input.yaml")).expect("a case");
    let mut shown = BTreeSet::new();
    for object in objects(&text) {
        paths(&object["spec"], object["kind"].as_str().expect("a kind"), &mut shown);
    }
    let missing: Vec<&String> = idle.difference(&shown).collect();
    assert!(missing.is_empty(), "{folder} does not show {missing:?}");
    let page = fs::read_to_string(root().join(KUBE_OVN.page)).expect("a page");
    let ran = northc(["check", "--format", "json", folder]);
    let said: Value = serde_json::from_str(&ran.out).expect("JSON");
    let said = said["diagnostics"].as_array().expect("an array");
    for field in &idle {
        let name = field.rsplit('.').next().expect("a path");
        let row =
            page.lines().find(|line| line.starts_with(&format!("| `{field}` | "))).unwrap_or_else(|| {
                panic!("{} does not list {field}", KUBE_OVN.page);
            });
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let (code, why) = (columns[2], columns[3]);
        let is_answer = |d: &&Value| {
            d["code"] == code
                && d["message"].as_str().is_some_and(|m| m.starts_with(&format!("`{name}` ")))
                && d["notes"].as_array().is_some_and(|notes| notes.iter().any(|note| note == why))
        };
        assert!(said.iter().any(|d| is_answer(&d)), "{field} is not answered with {code}: {why}");
    }
}

/// The fields that a schema has, below a path; lists and alternatives are looked through. What is in a field
/// without effect has none either.
fn fields(schema: &Value, path: &str, used: &mut BTreeSet<String>, idle: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["deprecated"] == true {
            idle.insert(path);
            continue;
        }
        fields(property, &path, used, idle);
        used.insert(path);
    }
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    for part in alternatives.chain(schema.get("items")) {
        fields(part, path, used, idle);
    }
}

/// The fields that a value has, in the same notation.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let path = format!("{path}.{name}");
                paths(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, path, found)),
        _ => {}
    }
}

#[test]
fn the_pages_are_what_the_declarations_say() {
    for dialect in [NATIVE, KUBE_OVN] {
        let page = northc(["schema", "--format", "markdown", "--dialect", dialect.name]).out;
        let path = root().join(dialect.page);
        if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
            fs::write(&path, &page).expect("the page can be written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(kept, page, "{} is out of date: INSTA_UPDATE=always writes it anew", dialect.page);
    }
}

/// Interfaces and balancers have another name in each dialect; identities follow from names.
#[test]
fn the_same_in_each_dialect() {
    let rows = |case: &str| {
        let ran = compile("rows", &[format!("fixtures/{case}")]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let text =
            ran.out.replace(".default\"", "\"").replace(".default:", ":").replace("/slr-app/", "/app/");
        let mut rows: Value =
            serde_json::from_str(&text.replace("\"slr-app\"", "\"app\"")).expect("rows are JSON");
        let mut found: Vec<Value> =
            rows["rows"].as_array_mut().into_iter().flatten().map(Value::take).collect();
        for row in &mut found {
            row["origin"].take();
            row["uuid"].take();
            row["columns"]["external_ids"][stamp::DIGEST].take();
        }
        found.sort_by_key(Value::to_string);
        found
    };
    assert_eq!(rows("native/peering-example-1"), rows("harvester/peering-example-1"));
    let three_tiers = rows("dialects/native");
    assert!(three_tiers.len() > 40, "{} rows", three_tiers.len());
    assert_eq!(three_tiers, rows("dialects/kube-ovn"));
}
