//! The envelope that every Kubernetes object comes in: kind, name, annotations, and the noise around.
//!
//! Refuses to know what the object says.

use super::declare::Mapping;
use super::fields::Fields;
use super::yaml::Node;
use crate::diag::{Code, Diagnostic, Sink};
use crate::span::{Span, Spanned};

/// Longest name that the Kubernetes API takes (RFC 1123 subdomain).
const NAME_MAX: usize = 253;

/// `apiVersion` and `kind` of a document.
pub(crate) struct Kind<'d> {
    /// The part of `apiVersion` before the slash; empty for core kinds.
    pub(crate) group: &'d str,
    /// The part after it.
    pub(crate) version: Spanned<&'d str>,
    /// `kind`.
    pub(crate) kind: Spanned<&'d str>,
}

/// Reads `apiVersion` and `kind`; a document without them is reported.
pub(crate) fn kind_of<'d>(fields: &mut Fields<'d>, sink: &mut Sink) -> Option<Kind<'d>> {
    // What `kubectl describe` prints begins like an object and is none.
    if fields.key_span("kind").is_none()
        && let Some(span) = fields.key_span("Kind").or(fields.key_span("API Version"))
    {
        sink.push(
            Diagnostic::new(Code::MissingField, span, "the document has no `kind` and no `apiVersion`")
                .help("this looks like `kubectl describe`; take what `kubectl get -o yaml` prints"),
        );
        return None;
    }
    if fields.key_span("kind").is_none() && fields.key_span("apiVersion").is_none() {
        sink.push(
            Diagnostic::new(
                Code::MissingField,
                fields.span,
                "an object has a `kind` and an `apiVersion`; this has neither",
            )
            .help("write what `kubectl get -o yaml` prints"),
        );
        return None;
    }
    let kind = fields.required("kind", sink);
    let version = fields.required("apiVersion", sink);
    let (kind, version) = (kind?, version?);
    let group = version.value.split_once('/').map_or("", |(group, _)| group);
    let number = version.value.split_once('/').map_or(version.value, |(_, number)| number);
    Some(Kind { group, version: Spanned::new(number, version.span), kind })
}

/// An object's metadata, and its `spec` still to be read.
pub(crate) struct Object<'d> {
    /// `metadata.name`.
    pub(crate) name: Spanned<&'d str>,
    /// `metadata.namespace`; `default` where none is given.
    pub(crate) namespace: &'d str,
    /// Key, place of the key, value.
    pub(crate) annotations: Vec<(&'d str, Span, Spanned<&'d str>)>,
    /// Key and value.
    pub(crate) labels: Vec<(&'d str, &'d str)>,
    /// The document's fields.
    pub(crate) fields: Fields<'d>,
}

/// Whether objects of a kind live in namespaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Cluster,
    Namespaced,
}

impl<'d> Object<'d> {
    /// Reads the metadata of `node`, an object of `kind`. `None` when it has no usable name or is being
    /// deleted, which is reported.
    pub(crate) fn read(
        kind: &'static str,
        scope: Scope,
        node: &'d Node<'d>,
        sink: &mut Sink,
    ) -> Option<Object<'d>> {
        let mut fields = Fields::of(kind, node, sink);
        fields.skip(&["apiVersion", "kind", "status"]);
        let Some(mut metadata) = fields.map("metadata", "metadata", sink) else {
            sink.push(fields.missing("metadata"));
            return None;
        };
        metadata.skip(&[
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "finalizers",
            "generateName",
            "generation",
            "managedFields",
            "ownerReferences",
            "resourceVersion",
            "selfLink",
            "uid",
        ]);
        let name = metadata.required("name", sink);
        let namespace = metadata.text("namespace", sink);
        let deletion = metadata.text("deletionTimestamp", sink);
        let annotations = metadata.map("annotations", "metadata.annotations", sink);
        let labels = metadata.map("labels", "metadata.labels", sink);
        metadata.finish(sink);
        let name = name.filter(|name| check_name(kind, *name, sink))?;
        if let Some(deletion) = deletion {
            let message = format!("{kind} `{name}` is being deleted and is left out");
            sink.push(Diagnostic::new(Code::BeingDeleted, deletion.span, message));
            return None;
        }
        if let (Scope::Cluster, Some(namespace)) = (scope, namespace) {
            let message = format!("a {kind} belongs to no namespace; `{namespace}` is ignored");
            sink.push(Diagnostic::new(Code::NamespaceIgnored, namespace.span, message));
        }
        Some(Object {
            name,
            namespace: namespace.map_or("default", |n| n.value),
            annotations: annotations.map(|a| a.pairs().collect()).unwrap_or_default(),
            labels: labels.map(|l| l.pairs().map(|(k, _, v)| (k, v.value)).collect()).unwrap_or_default(),
            fields,
        })
    }

    /// What tells it apart from others of its kind.
    pub(crate) fn full_name(&self, scope: Scope) -> String {
        match scope {
            Scope::Cluster => self.name.value.to_owned(),
            Scope::Namespaced => format!("{}/{}", self.namespace, self.name),
        }
    }

    /// The value of an annotation.
    pub(crate) fn annotation(&self, key: &str) -> Option<Spanned<&'d str>> {
        let (_, _, value) = self.annotations.iter().find(|(k, _, _)| *k == key)?;
        (!value.value.is_empty()).then_some(*value)
    }

    /// `spec`; an object without one is reported and read as empty.
    pub(crate) fn spec(&mut self, what: &'static str, sink: &mut Sink) -> Option<Fields<'d>> {
        let spec = self.fields.map("spec", what, sink);
        if spec.is_none() {
            sink.push(match self.fields.first_unasked() {
                Some((key, span)) => {
                    let message = format!("`{key}` stands beside `spec`, not in it");
                    Diagnostic::new(Code::MissingField, span, message).help("indent it below `spec:`")
                }
                None => self.fields.missing("spec"),
            });
        }
        spec
    }

    /// `spec`, read to the end, and the document with it.
    pub(crate) fn declared<S: Mapping>(&mut self, sink: &mut Sink) -> Option<S> {
        let spec = self.spec(S::WHAT, sink)?;
        self.fields.finish(sink);
        S::read(spec, sink)
    }

    /// The same for a kind whose `spec` may be left out.
    pub(crate) fn declared_if_any<S: Mapping>(&mut self, sink: &mut Sink) -> Option<S> {
        if self.fields.node("spec").is_some() {
            return self.declared(sink);
        }
        self.fields.finish(sink);
        S::read(Fields::empty(S::WHAT, self.name.span), sink)
    }

    /// What people wrote about it; empty if nothing.
    pub(crate) fn description(&self) -> String {
        let keys = ["northc.io/description", "field.cattle.io/description"];
        keys.iter().find_map(|key| self.annotation(key)).map_or(String::new(), |text| text.value.to_owned())
    }
}

fn check_name(kind: &str, name: Spanned<&str>, sink: &mut Sink) -> bool {
    let problem = if name.value.len() > NAME_MAX {
        Some(format!("is longer than {NAME_MAX} bytes"))
    } else if name.value.chars().any(char::is_control) {
        Some("holds control characters".to_owned())
    } else {
        None
    };
    if let Some(problem) = problem {
        sink.push(
            Diagnostic::new(Code::BadName, name.span, format!("the name of this {kind} {problem}"))
                .help("use small letters, digits, `-` and `.`"),
        );
        return false;
    }
    let plain = |part: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(part.chars().next())
            && edge(part.chars().last())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if !name.value.split('.').all(plain) {
        let message = format!("Kubernetes would refuse the name `{name}` for a {kind}");
        sink.push(
            Diagnostic::new(Code::NameNotDns, name.span, message)
                .help("use small letters, digits, `-` and `.`, with a letter or digit at both ends"),
        );
    }
    true
}
