//! northc's own kinds: one declaration, of which the reader, the schema, the page and the fixtures tell the same.
//!
//! Refuses what holds of every fixture, which `fixtures` tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::cases::{self, compile, northc, root};
use crate::reformat;

const API_VERSION: &str = "northc.io/v1alpha1";

fn schema() -> Value {
    let ran = northc(["schema"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    serde_json::from_str(&ran.out).expect("a schema is JSON")
}

fn validator() -> jsonschema::Validator {
    let schema = schema();
    jsonschema::draft202012::meta::validate(&schema).expect("draft 2020-12");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// The native objects of a text.
fn objects(text: &str) -> Vec<Value> {
    let mut objects = reformat::documents(text);
    objects.retain(|object| object["apiVersion"] == API_VERSION);
    objects
}

/// The native objects of every case that compiles, with the case's name.
fn good_objects() -> Vec<(String, Value)> {
    let good = cases::all().into_iter().filter(|case| case.is_good());
    let of_case = |case: cases::Case| {
        let texts = case.texts();
        let found: Vec<Value> = texts.iter().flat_map(|(_, text)| objects(text)).collect();
        found.into_iter().map(move |object| (case.name.clone(), object))
    };
    good.flat_map(of_case).collect()
}

#[test]
fn the_schema_takes_every_native_object_that_compiles() {
    let validator = validator();
    for (case, object) in good_objects() {
        if let Err(error) = validator.validate(&object) {
            panic!("{case}: {error} at {}\n{object:#}", error.instance_path());
        }
    }
}

#[test]
fn the_schema_refuses_every_wrong_type() {
    let validator = validator();
    let mut n_objects = 0;
    let entries = fs::read_dir(root().join("fixtures/check")).expect("fixtures");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let is_wrong_type = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("native-wrong-type"))
    };
    folders.retain(is_wrong_type);
    for folder in folders {
        let text = fs::read_to_string(folder.join("input.yaml")).expect("a case has an input");
        for object in objects(&text) {
            assert!(!validator.is_valid(&object), "{}: the schema takes\n{object:#}", folder.display());
            n_objects += 1;
        }
    }
    assert!(n_objects > 20, "{n_objects} objects");
}

#[test]
fn every_native_field_has_a_fixture() {
    let mut declared = BTreeSet::new();
    for (kind, def) in schema()["$defs"].as_object().expect("definitions") {
        fields(&def["properties"]["spec"], kind, &mut declared);
    }
    let mut shown = BTreeSet::new();
    for (_, object) in good_objects() {
        paths(&object["spec"], object["kind"].as_str().expect("a kind"), &mut shown);
    }
    let missing: Vec<&String> = declared.difference(&shown).collect();
    assert!(missing.is_empty(), "no fixture shows {missing:?}");
}

/// The fields that a schema has, below a path; lists and alternatives are looked through.
fn fields(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields(property, &path, found);
        found.insert(path);
    }
    fields_of_parts(schema, path, found);
}

fn fields_of_parts(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    for part in alternatives.chain(schema.get("items")) {
        fields(part, path, found);
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
fn the_page_is_what_the_declarations_say() {
    let page = northc(["schema", "--format", "markdown"]).out;
    let path = root().join("docs/native.md");
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        fs::write(&path, &page).expect("the page can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, page, "docs/native.md is out of date: INSTA_UPDATE=always writes it anew");
}

#[test]
fn the_same_in_each_dialect() {
    let rows = |case: &str| {
        let ran = compile("rows", &[format!("fixtures/{case}")]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let mut rows: Value = serde_json::from_str(&ran.out).expect("rows are JSON");
        for row in rows["rows"].as_array_mut().into_iter().flatten() {
            row["origin"].take();
        }
        rows
    };
    assert_eq!(rows("native/peering-example-1"), rows("harvester/peering-example-1"));
}
