//! `kubeovn.io/v1` IP: Kube-OVN's own record of an address given to a port.
//!
//! It pins the address and MAC of the workload's port, or stands for the port where the workload itself
//! is not in the input. Refuses records of nodes: those belong to Kube-OVN's own workings.

use std::net::IpAddr;

use crate::diag::Sink;
use crate::model::Mac;
use crate::source::fields::{address, comma_list, mac, owned};
use crate::source::object::Object;
use crate::span::Spanned;

/// An address record.
pub(crate) struct Record {
    /// The port's name.
    pub(crate) name: Spanned<String>,
    /// Where it lives.
    pub(crate) subnet: Option<Spanned<String>>,
    /// What it belongs to, for people.
    pub(crate) owner: String,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
    pub(crate) mac: Option<Spanned<Mac>>,
}

/// The record that an object is; `None` for those of nodes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Record> {
    let mut spec = object.spec("IP.spec", sink)?;
    let subnet = spec.required("subnet", sink);
    let pod = spec.text("podName", sink);
    let namespace = spec.text("namespace", sink);
    let kind = spec.text("podType", sink);
    let both = spec.text("ipAddress", sink).map_or(Vec::new(), comma_list);
    let v4 = spec.text("v4IpAddress", sink);
    let v6 = spec.text("v6IpAddress", sink);
    let mac = spec.text("macAddress", sink).and_then(|text| mac(text, sink));
    spec.skip(&["attachIps", "attachMacs", "attachSubnets", "containerID", "nodeName"]);
    spec.finish(sink);
    object.fields.finish(sink);
    if object.name.value.starts_with("node-") && namespace.is_none() {
        return None;
    }
    let texts = if v4.is_some() || v6.is_some() { v4.into_iter().chain(v6).collect() } else { both };
    let addresses = texts.into_iter().filter_map(|t| address(t, "an IP record", sink)).collect();
    let owner = match pod {
        Some(pod) => {
            let kind = kind.map_or("Pod", |k| k.value);
            format!("{kind} {}/{pod}", namespace.map_or("default", |n| n.value))
        }
        None => format!("IP {}", object.name),
    };
    Some(Record { name: owned(object.name), subnet: subnet.map(owned), owner, addresses, mac })
}
