//! What kinds take, for editors (JSON Schema, draft 2020-12) and for people (Markdown).
//!
//! Both are made from the declarations that the reader reads by, and can't say otherwise. Refuses to know a
//! kind's meaning beyond that.

use serde_json::{Map, Value, json};

use super::declare::{Field, Form, Mapping, Unused};
use super::kubeovn::{
    balancer, dns, egress, ip, nat, natgateway, pool, qos, security_group as kubeovn_group,
    subnet as kubeovn_subnet, underlay, vip, vpc as kubeovn_vpc, workload,
};
use super::native::{self, outside};
use crate::diag::Code;

/// Whose kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `northc.io/v1alpha1`
    Native,
    /// `kubeovn.io/v1`
    KubeOvn,
}

/// A kind, for those who write it.
struct Kind {
    name: &'static str,
    about: String,
    fields: Vec<Field>,
}

fn kind<M: Mapping>() -> Kind {
    let name = M::WHAT.strip_suffix(".spec").unwrap_or(M::WHAT);
    Kind { name, about: M::about(), fields: M::fields() }
}

impl Dialect {
    fn api_version(self) -> &'static str {
        match self {
            Dialect::Native => "northc.io/v1alpha1",
            Dialect::KubeOvn => "kubeovn.io/v1",
        }
    }

    /// Every kind, in the order in which people meet them.
    fn kinds(self) -> Vec<Kind> {
        match self {
            Dialect::Native => vec![
                kind::<native::Vpc>(),
                kind::<native::Subnet>(),
                kind::<native::NetworkInterface>(),
                kind::<native::RouteTable>(),
                kind::<native::VpcPeering>(),
                kind::<native::TransitGateway>(),
                kind::<native::SecurityGroup>(),
                kind::<native::NetworkAcl>(),
                kind::<outside::ExternalNetwork>(),
                kind::<outside::InternetGateway>(),
                kind::<outside::NatGateway>(),
                kind::<outside::ElasticIp>(),
                kind::<outside::PortForward>(),
                kind::<native::LoadBalancer>(),
                kind::<native::DnsZone>(),
                kind::<native::QosPolicy>(),
                kind::<native::PrefixList>(),
                kind::<native::IpPool>(),
                kind::<native::Expectation>(),
            ],
            Dialect::KubeOvn => vec![
                kind::<kubeovn_vpc::Vpc>(),
                kind::<kubeovn_subnet::Subnet>(),
                kind::<underlay::VlanSpec>(),
                kind::<underlay::ProviderNetworkSpec>(),
                kind::<ip::Ip>(),
                kind::<vip::Vip>(),
                kind::<kubeovn_group::SecurityGroup>(),
                kind::<nat::OvnEip>(),
                kind::<nat::OvnFip>(),
                kind::<nat::OvnSnatRule>(),
                kind::<nat::OvnDnatRule>(),
                kind::<egress::VpcEgressGateway>(),
                kind::<natgateway::VpcNatGateway>(),
                kind::<natgateway::IptablesEip>(),
                kind::<natgateway::IptablesFipRule>(),
                kind::<natgateway::IptablesSnatRule>(),
                kind::<natgateway::IptablesDnatRule>(),
                kind::<balancer::SwitchLbRule>(),
                kind::<balancer::RouterLbRule>(),
                kind::<pool::IpPool>(),
                kind::<qos::QosPolicy>(),
                kind::<dns::VpcDns>(),
            ],
        }
    }
}

/// A JSON Schema that takes one object of any kind of these dialects. Where there are several, an object of
/// neither is taken too, as a file may hold both and others beside them.
pub fn schema(dialects: &[Dialect]) -> Value {
    let names = dialects.iter().map(|dialect| dialect.api_version()).collect::<Vec<_>>().join(", ");
    let defs: Map<String, Value> = dialects.iter().flat_map(|dialect| definitions(*dialect)).collect();
    let root = match dialects {
        [only] => of_dialect(*only),
        several => {
            let case = |dialect: &Dialect| {
                json!({
                    "if": { "properties": { "apiVersion": { "const": dialect.api_version() } } },
                    "then": of_dialect(*dialect),
                })
            };
            json!({
                "required": ["apiVersion", "kind"],
                "allOf": several.iter().map(case).collect::<Vec<_>>(),
            })
        }
    };
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": names,
        "type": "object",
        "$defs": defs,
    });
    for (key, value) in root.as_object().into_iter().flatten() {
        schema[key] = value.clone();
    }
    schema
}

fn of_dialect(dialect: Dialect) -> Value {
    let names: Vec<&str> = dialect.kinds().iter().map(|kind| kind.name).collect();
    let case = |name: &&str| {
        json!({
            "if": { "properties": { "kind": { "const": name } } },
            "then": { "$ref": format!("#/$defs/{}", definition(dialect, name)) },
        })
    };
    json!({
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "apiVersion": { "const": dialect.api_version() },
            "kind": { "enum": names },
        },
        "allOf": names.iter().map(case).collect::<Vec<_>>(),
    })
}

/// Kinds of both dialects may have one name.
fn definition(dialect: Dialect, kind: &str) -> String {
    match dialect {
        Dialect::Native => kind.to_owned(),
        Dialect::KubeOvn => format!("kubeovn.{kind}"),
    }
}

fn definitions(dialect: Dialect) -> impl Iterator<Item = (String, Value)> {
    dialect.kinds().into_iter().map(move |kind| (definition(dialect, kind.name), object(dialect, &kind)))
}

fn object(dialect: Dialect, kind: &Kind) -> Value {
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
            "spec": mapping(dialect, &kind.fields),
            "status": {},
        },
    })
}

fn mapping(dialect: Dialect, fields: &[Field]) -> Value {
    let property = |field: &Field| {
        let mut schema = of_form(dialect, &field.form);
        // An empty text is absent, as the Kube-OVN API has it, and servers write many of them.
        if dialect == Dialect::KubeOvn && !field.required {
            schema = json!({ "anyOf": [schema, { "enum": ["", null] }] });
        }
        schema["description"] = json!(match (field.unused, field.default) {
            (Some(unused), _) => in_short(unused),
            (None, Some(default)) => format!("{} Default: {default}.", field.about),
            (None, None) => field.about.clone(),
        });
        if field.unused.is_some() {
            schema["deprecated"] = json!(true);
        }
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

/// What a field is answered with that no row follows from.
fn in_short(unused: Unused) -> String {
    let so = match unused.code {
        Code::NotYet => "Not lowered yet",
        _ => "No effect",
    };
    format!("{so} ({}): {}.", unused.code, unused.why)
}

const ADDRESS: &str = r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*";

fn of_form(dialect: Dialect, form: &Form) -> Value {
    let of_form = |form: &Form| of_form(dialect, form);
    let text = |pattern: String| json!({ "type": "string", "pattern": pattern });
    match form {
        Form::Anything => json!({}),
        // What it is a list of can't be said of a text.
        Form::Commas(_) => json!({ "type": "string" }),
        Form::Label => json!({ "type": ["string", "object"] }),
        Form::Block => text(format!("^({ADDRESS})(/[0-9]{{1,3}})?$")),
        Form::Port => json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^[0-9]{1,5}$" },
        ] }),
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
        Form::Service => text("^(tcp|udp|sctp)(/[0-9]{1,5}(-[0-9]{1,5})?)?$|^icmp$|^any$".to_owned()),
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
        Form::Mapping(fields) => mapping(dialect, fields),
    }
}

const HEAD: &str = "# The kinds of `northc.io/v1alpha1`

Written by `northc schema --format markdown` from the declarations that northc reads by. An object is `apiVersion`,
`kind`, `metadata` with its `name`, and `spec` with the fields below. A field in bold must be there. Names are those
of other objects of the input, of this dialect or of Kube-OVN's.
";

const KUBEOVN_HEAD: &str = "# The kinds of `kubeovn.io/v1`

Written by `northc schema --dialect kube-ovn --format markdown` from the declarations that northc reads by: what each
field of Kube-OVN's API means here, and which have no effect in OVN. A field in bold must be there, and an empty text
is an absent one. Names are those of other objects of the input, of this dialect or of northc's own.

Workloads are core Pods and VirtualMachines of KubeVirt, overlay networks NetworkAttachmentDefinitions of type
`kube-ovn`. Nodes and the ConfigMap `ovn-external-gw-config` say which chassis carry gateways.
";

/// The same for people.
pub fn markdown(dialect: Dialect) -> String {
    let head = match dialect {
        Dialect::Native => HEAD,
        Dialect::KubeOvn => KUBEOVN_HEAD,
    };
    let mut out = head.to_owned();
    let kinds = dialect.kinds();
    for kind in &kinds {
        out.push_str(&format!("\n## {}\n\n{}\n\n", kind.name, kind.about));
        if kind.fields.iter().any(|field| field.unused.is_none()) {
            table(&kind.fields, &mut out);
        } else {
            out.push_str("No field of it has an effect; its name has.\n");
        }
    }
    if dialect == Dialect::KubeOvn {
        out.push_str("\n## Annotations\n\n");
        out.push_str(ANNOTATIONS);
        for attribute in workload::ATTRIBUTES {
            out.push_str(&format!(
                "| {} | {} |\n",
                attribute.name,
                attribute.unused.map_or(attribute.about.to_owned(), in_short)
            ));
        }
        out.push_str("\n## Without effect\n\n");
        out.push_str(WITHOUT_EFFECT);
        kinds.iter().for_each(|kind| unused(kind.name, &kind.fields, &mut out));
    }
    out
}

const ANNOTATIONS: &str = "Of an interface on the network `name` of `namespace`, as `name.namespace.ovn.kubernetes.io/…`; on the built-in one as
`ovn.kubernetes.io/…`.

| annotation | means |
|---|---|
";

const WITHOUT_EFFECT: &str =
    "Every field that no row follows from. Where one says something, northc says so, with the code.

| field | code | why |
|---|---|---|
";

/// The fields without effect of a mapping and of those in it.
fn unused(path: &str, fields: &[Field], out: &mut String) {
    for field in fields {
        let path = format!("{path}.{}", field.name);
        match (field.unused, fields_of(&field.form)) {
            (Some(unused), _) => {
                out.push_str(&format!("| `{path}` | {} | {} |\n", unused.code, unused.why));
            }
            (None, Some(inner)) => self::unused(&path, inner, out),
            (None, None) => {}
        }
    }
}

/// A row a field, then the tables of the mappings among them.
fn table(fields: &[Field], out: &mut String) {
    out.push_str("| field | takes | means | default |\n|---|---|---|---|\n");
    let used = || fields.iter().filter(|field| field.unused.is_none());
    for field in used() {
        let name = if field.required { format!("**{}**", field.name) } else { field.name.to_owned() };
        let default = field.default.unwrap_or("");
        out.push_str(&format!("| {name} | {} | {} | {default} |\n", in_words(&field.form), field.about));
    }
    for field in used() {
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
        Form::Anything
        | Form::Commas(_)
        | Form::Label
        | Form::Block
        | Form::Port
        | Form::Text
        | Form::Address
        | Form::Network
        | Form::Cidr
        | Form::Range
        | Form::Mac
        | Form::Ports
        | Form::Service
        | Form::Boolean
        | Form::Integer(..)
        | Form::Words(_)
        | Form::Settings => None,
    }
}

fn in_words(form: &Form) -> String {
    match form {
        Form::Anything => "anything".to_owned(),
        Form::Commas(of) => format!("{}, several with commas", in_words(of)),
        Form::Label => "`key: value`".to_owned(),
        Form::Block => "a prefix or an address".to_owned(),
        Form::Port => "a port".to_owned(),
        Form::Text => "a text".to_owned(),
        Form::Address => "an address".to_owned(),
        Form::Network => "a prefix".to_owned(),
        Form::Cidr => "a prefix, an address, a PrefixList or an IpPool".to_owned(),
        Form::Range => "an address or a range".to_owned(),
        Form::Mac => "a MAC address".to_owned(),
        Form::Ports => "a port or a range".to_owned(),
        Form::Service => "a protocol, or one with ports".to_owned(),
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
