//! The server's schema (RFC 7047 §3.2), as far as it decides what we may read and write.
//!
//! Refuses to know which columns matter; `replica` does, and whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::nb::Kind;

/// A database's schema.
#[derive(Clone, Debug, Deserialize)]
pub struct Schema {
    /// The database's name.
    pub name: String,
    /// Its version, such as `7.0.0`. To decide what it can do, look at the columns instead.
    #[serde(default)]
    pub version: String,
    tables: BTreeMap<String, Table>,
}

#[derive(Clone, Debug, Deserialize)]
struct Table {
    columns: BTreeMap<String, Column>,
}

/// A column.
#[derive(Clone, Debug, Deserialize)]
pub struct Column {
    #[serde(rename = "type", deserialize_with = "read_type")]
    shape: Shape,
}

#[derive(Clone, Debug, Default)]
struct Shape {
    key: String,
    value: Option<String>,
    /// False when the column holds at most one atom.
    many: bool,
    choices: Option<BTreeSet<String>>,
}

impl Schema {
    /// Reads the result of `get_schema`.
    pub fn parse(json: &str) -> Result<Schema, String> {
        serde_json::from_str(json).map_err(|error| format!("the schema cannot be read: {error}"))
    }

    /// True when there is such a table.
    pub fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// A column, if it is there.
    pub fn column(&self, table: &str, column: &str) -> Option<&Column> {
        self.tables.get(table)?.columns.get(column)
    }
}

impl Column {
    /// True when values of this kind go in and come out.
    pub fn fits(&self, kind: Kind) -> bool {
        let (atom, many) = match kind {
            Kind::Text | Kind::TextOpt => ("string", false),
            Kind::TextSet => ("string", true),
            Kind::Int | Kind::IntOpt => ("integer", false),
            Kind::Bool | Kind::BoolOpt => ("boolean", false),
            Kind::RefOpt => ("uuid", false),
            Kind::RefSet => ("uuid", true),
            Kind::Map => return self.is_map_to("string"),
            Kind::IntMap => return self.is_map_to("integer"),
        };
        self.shape.value.is_none() && self.shape.key == atom && self.shape.many == many
    }

    fn is_map_to(&self, value: &str) -> bool {
        self.shape.key == "string" && self.shape.value.as_deref() == Some(value)
    }

    /// True when the schema lets this string in: it has no list of choices, or it is one of them.
    pub fn allows(&self, text: &str) -> bool {
        self.shape.choices.as_ref().is_none_or(|choices| choices.contains(text))
    }
}

fn read_type<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
    let json = Value::deserialize(deserializer)?;
    let base = |json: &Value| json.as_str().or_else(|| json.get("type")?.as_str()).map(str::to_owned);
    if let Some(key) = json.as_str() {
        return Ok(Shape { key: key.to_owned(), ..Shape::default() });
    }
    let (key, value) = (json.get("key"), json.get("value"));
    let choices = key.and_then(|key| key.get("enum")).map(|choices| match choices {
        Value::String(only) => BTreeSet::from([only.clone()]),
        set => set
            .get(1)
            .and_then(Value::as_array)
            .map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
    });
    Ok(Shape {
        key: key.and_then(base).unwrap_or_default(),
        value: value.and_then(base),
        many: json.get("max").is_some_and(|max| max != 1),
        choices,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_choices_are_read() {
        let json = r#"{"name":"N","version":"1.0.0","tables":{"T":{"columns":{
            "name":{"type":"string"},
            "refs":{"type":{"key":{"type":"uuid","refTable":"T"},"min":0,"max":"unlimited"}},
            "tag":{"type":{"key":{"type":"integer","minInteger":1},"min":0,"max":1}},
            "ids":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
            "action":{"type":{"key":{"type":"string","enum":["set",["allow","drop"]]}}}}}}}"#;
        let schema = Schema::parse(json).expect("a schema");
        let fits = |column: &str, kind: Kind| schema.column("T", column).is_some_and(|c| c.fits(kind));
        assert!(fits("name", Kind::Text) && fits("refs", Kind::RefSet) && fits("tag", Kind::IntOpt));
        assert!(fits("ids", Kind::Map) && !fits("ids", Kind::TextSet) && !fits("refs", Kind::RefOpt));
        let action = schema.column("T", "action").expect("a column");
        assert!(action.allows("drop") && !action.allows("pass"));
        assert!(schema.column("T", "nothing").is_none() && !schema.has_table("U"));
    }
}
