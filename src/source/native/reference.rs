//! What the native kinds take, for editors (JSON Schema, draft 2020-12) and for people (Markdown).
//!
//! Both are made from the declarations that the reader reads by, and can't say otherwise. Refuses to know a
//! kind's meaning beyond that.

use serde_json::{Map, Value, json};

use super::outside::{ElasticIp, ExternalNetwork, InternetGateway, NatGateway, PortForward};
use super::{
    LoadBalancer, NetworkAcl, NetworkInterface, PrefixList, RouteTable, SecurityGroup, Subnet, Vpc,
    VpcPeering,
};
use crate::source::declare::{Field, Form, Mapping};

/// A kind, for those who write it.
struct Kind {
    name: &'static str,
    about: String,
    fields: Vec<Field>,
}

/// Every kind, in the order in which people meet them.
fn kinds() -> Vec<Kind> {
    fn kind<M: Mapping>() -> Kind {
        let name = M::WHAT.strip_suffix(".spec").unwrap_or(M::WHAT);
        Kind { name, about: M::about(), fields: M::fields() }
    }
    vec![
        kind::<Vpc>(),
        kind::<Subnet>(),
        kind::<NetworkInterface>(),
        kind::<RouteTable>(),
        kind::<VpcPeering>(),
        kind::<SecurityGroup>(),
        kind::<NetworkAcl>(),
        kind::<ExternalNetwork>(),
        kind::<InternetGateway>(),
        kind::<NatGateway>(),
        kind::<ElasticIp>(),
        kind::<PortForward>(),
        kind::<LoadBalancer>(),
        kind::<PrefixList>(),
    ]
}

/// A JSON Schema that takes one object of any native kind.
pub fn schema() -> Value {
    let kinds = kinds();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let case = |kind: &Kind| {
        json!({
            "if": { "properties": { "kind": { "const": kind.name } } },
            "then": { "$ref": format!("#/$defs/{}", kind.name) },
        })
    };
    let cases: Vec<Value> = kinds.iter().map(case).collect();
    let defs: Map<String, Value> = kinds.iter().map(|kind| (kind.name.to_owned(), object(kind))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "northc.io/v1alpha1",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "apiVersion": { "const": "northc.io/v1alpha1" },
            "kind": { "enum": names },
        },
        "allOf": cases,
        "$defs": defs,
    })
}

fn object(kind: &Kind) -> Value {
    let mut required = vec!["apiVersion", "kind", "metadata"];
    if kind.fields.iter().any(|field| field.required) {
        required.push("spec");
    }
    json!({
        "description": kind.about,
        "required": required,
        "additionalProperties": false,
        "properties": {
            "apiVersion": {},
            "kind": {},
            "metadata": {
                "type": "object",
                "required": ["name"],
                "properties": { "name": { "type": "string" } },
            },
            "spec": mapping(&kind.fields),
            "status": {},
        },
    })
}

fn mapping(fields: &[Field]) -> Value {
    let property = |field: &Field| {
        let mut schema = of_form(&field.form);
        let about = match field.default {
            Some(default) => format!("{} Default: {default}.", field.about),
            None => field.about.clone(),
        };
        schema["description"] = json!(about);
        (field.name.to_owned(), schema)
    };
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": fields.iter().map(property).collect::<Map<String, Value>>(),
    })
}

const ADDRESS: &str = r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*";

fn of_form(form: &Form) -> Value {
    let text = |pattern: String| json!({ "type": "string", "pattern": pattern });
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Address => text(format!("^({ADDRESS})$")),
        Form::Network => text(format!("^({ADDRESS})/[0-9]{{1,3}}$")),
        Form::Cidr => text(format!("^(({ADDRESS})(/[0-9]{{1,3}})?|[^:/]*[A-Za-z][^:/]*)$")),
        Form::Range => text(format!(r"^({ADDRESS})(\s*\.\.\s*({ADDRESS}))?$")),
        Form::Mac => text("^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$".to_owned()),
        Form::Ports => json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$" },
        ] }),
        Form::Boolean => json!({ "type": "boolean" }),
        Form::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Form::Words(words) => json!({ "enum": words }),
        Form::List(of) => json!({ "type": "array", "items": of_form(of) }),
        Form::Pair(of) => json!({ "type": "array", "items": of_form(of), "minItems": 2, "maxItems": 2 }),
        Form::OneOrMore(of) => {
            json!({ "anyOf": [of_form(of), { "type": "array", "items": of_form(of) }] })
        }
        Form::Switch(of) => json!({ "anyOf": [{ "type": "boolean" }, of_form(of)] }),
        Form::Settings => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
        }
        Form::Mapping(fields) => mapping(fields),
    }
}

const HEAD: &str = "# The kinds of `northc.io/v1alpha1`

Written by `northc schema --format markdown` from the declarations that northc reads by. An object is `apiVersion`,
`kind`, `metadata` with its `name`, and `spec` with the fields below. A field in bold must be there. Names are those
of other objects of the input, of this dialect or of Kube-OVN's.
";

/// The same for people.
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    for kind in kinds() {
        out.push_str(&format!("\n## {}\n\n{}\n\n", kind.name, kind.about));
        table(&kind.fields, &mut out);
    }
    out
}

/// A row a field, then the tables of the mappings among them.
fn table(fields: &[Field], out: &mut String) {
    out.push_str("| field | takes | means | default |\n|---|---|---|---|\n");
    for field in fields {
        let name = if field.required { format!("**{}**", field.name) } else { field.name.to_owned() };
        let default = field.default.unwrap_or("");
        out.push_str(&format!("| {name} | {} | {} | {default} |\n", in_words(&field.form), field.about));
    }
    for field in fields {
        if let Some(inner) = fields_of(&field.form) {
            out.push_str(&format!("\n`{}`:\n\n", field.name));
            table(inner, out);
        }
    }
}

fn fields_of(form: &Form) -> Option<&[Field]> {
    match form {
        Form::Mapping(fields) => Some(fields),
        Form::List(of) | Form::Pair(of) | Form::OneOrMore(of) | Form::Switch(of) => fields_of(of),
        Form::Text
        | Form::Address
        | Form::Network
        | Form::Cidr
        | Form::Range
        | Form::Mac
        | Form::Ports
        | Form::Boolean
        | Form::Integer(..)
        | Form::Words(_)
        | Form::Settings => None,
    }
}

fn in_words(form: &Form) -> String {
    match form {
        Form::Text => "a text".to_owned(),
        Form::Address => "an address".to_owned(),
        Form::Network => "a prefix".to_owned(),
        Form::Cidr => "a prefix, an address or a PrefixList".to_owned(),
        Form::Range => "an address or a range".to_owned(),
        Form::Mac => "a MAC address".to_owned(),
        Form::Ports => "a port or a range".to_owned(),
        Form::Boolean => "true or false".to_owned(),
        Form::Integer(least, most) => format!("{least} – {most}"),
        Form::Words(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Form::List(of) => format!("a list: {}", in_words(of)),
        Form::Pair(of) => format!("a list of two: {}", in_words(of)),
        Form::OneOrMore(of) => format!("{}, or a list of them", in_words(of)),
        Form::Switch(of) => format!("true, false or {}", in_words(of)),
        Form::Settings => "names and values".to_owned(),
        Form::Mapping(_) => "a mapping, see below".to_owned(),
    }
}
