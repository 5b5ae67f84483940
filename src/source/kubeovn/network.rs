//! `k8s.cni.cncf.io/v1` NetworkAttachmentDefinition: a Harvester overlay network.
//!
//! A NAD makes no row. It is what a subnet's `provider` and a workload's network refer to. Refuses to
//! read configurations of other CNI plugins beyond their type.

use serde_json::Value;

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::Provider;
use crate::source::object::Object;
use crate::span::{Span, Spanned};

/// A network attachment.
pub(crate) struct Network {
    /// Its namespace and name, which are its provider's.
    pub(crate) provider: Provider,
    /// Where its name stands.
    pub(crate) span: Span,
    /// The CNI plugin; `kube-ovn` for overlay networks.
    pub(crate) cni: String,
}

/// The network that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Network> {
    let mut spec = object.spec("NetworkAttachmentDefinition.spec", sink)?;
    let config = spec.required("config", sink);
    spec.finish(sink);
    let span = object.name.span;
    let provider = Provider { namespace: object.namespace.to_owned(), name: object.name.value.to_owned() };
    object.fields.finish(sink);
    let config = config?;
    let json: Value = match serde_json::from_str(config.value) {
        Ok(json @ Value::Object(_)) => json,
        Ok(_) => return not_json(config, "it is not an object", sink),
        Err(error) => return not_json(config, &error.to_string(), sink),
    };
    let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or("");
    let cni = match text("type") {
        // A list of plugins: the first one makes the interface.
        "" => json.pointer("/plugins/0/type").and_then(Value::as_str).unwrap_or("").to_owned(),
        cni => cni.to_owned(),
    };
    let said = text("provider");
    let own = format!("{}.{}.ovn", provider.name, provider.namespace);
    if cni == "kube-ovn" && said != own {
        let message = format!("the network's provider is `{said}`, but its own name makes it `{own}`");
        sink.push(
            Diagnostic::new(Code::ProviderMismatch, config.span, message)
                .label(span, "named here")
                .help(format!("write \"provider\": \"{own}\"")),
        );
    }
    Some(Network { provider, span, cni })
}

fn not_json(config: Spanned<&str>, why: &str, sink: &mut Sink) -> Option<Network> {
    let message = format!("`config` does not hold a JSON object: {why}");
    sink.push(Diagnostic::new(Code::BadEmbeddedJson, config.span, message));
    None
}
