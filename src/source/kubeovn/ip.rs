//! `kubeovn.io/v1` IP: Kube-OVN's own record of an address given to a port.
//!
//! It pins the address and MAC of the workload's port, or stands for the port where the workload itself
//! is not in the input. Refuses records of nodes: those belong to Kube-OVN's own workings.

use std::net::IpAddr;

use crate::diag::{Code, Sink};
use crate::model::Mac;
use crate::source::declare::declare;
use crate::source::object::Object;
use crate::source::values::Commas;
use crate::span::Spanned;

/// Why further attachments have no effect.
const ATTACHED: &str = "each interface has a record of its own";
/// Why what is about the machine that a workload ran on has no effect.
const WHERE_IT_RAN: &str = "it says where the workload ran, which OVN finds out by itself";

declare! {
    /// Kube-OVN's record of an address that it gave to a port, named like the port.
    pub(crate) struct Ip "IP.spec" {
        /// The Subnet.
        "subnet" subnet: Spanned<String>,
        /// The workload.
        "podName" pod: Option<Spanned<String>>,
        /// Its namespace.
        "namespace" namespace: Option<Spanned<String>>,
        /// Its kind, for people.
        "podType" kind: Option<Spanned<String>> = "Pod",
        /// Its addresses, where the two below are absent.
        "ipAddress" both: Commas<Spanned<IpAddr>>,
        /// Its IPv4 address.
        "v4IpAddress" v4: Option<Spanned<IpAddr>>,
        /// Its IPv6 address.
        "v6IpAddress" v6: Option<Spanned<IpAddr>>,
        /// Its Ethernet address.
        "macAddress" mac: Option<Spanned<Mac>>,
    }
    unused {
        "attachIps" Vec<Spanned<String>>: Code::FieldWithoutEffect, ATTACHED;
        "attachMacs" Vec<Spanned<String>>: Code::FieldWithoutEffect, ATTACHED;
        "attachSubnets" Vec<Spanned<String>>: Code::FieldWithoutEffect, ATTACHED;
        "containerID" Spanned<String>: Code::FieldWithoutEffect, WHERE_IT_RAN;
        "nodeName" Spanned<String>: Code::FieldWithoutEffect, WHERE_IT_RAN;
    }
}

/// An address record.
pub(crate) struct Record {
    /// The port's name.
    pub(crate) name: Spanned<String>,
    /// Where it lives.
    pub(crate) subnet: Spanned<String>,
    /// What it belongs to, for people.
    pub(crate) owner: String,
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
    pub(crate) mac: Option<Spanned<Mac>>,
}

/// The record that an object is; `None` for those of nodes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Record> {
    let said: Ip = object.declared(sink)?;
    if object.name.value.starts_with("node-") && said.namespace.is_none() {
        return None;
    }
    let each: Vec<_> = said.v4.into_iter().chain(said.v6).collect();
    let owner = match said.pod {
        Some(pod) => {
            let kind = said.kind.map_or("Pod".to_owned(), |kind| kind.value);
            format!("{kind} {}/{pod}", said.namespace.map_or("default".to_owned(), |name| name.value))
        }
        None => format!("IP {}", object.name),
    };
    Some(Record {
        name: object.name.map(str::to_owned),
        subnet: said.subnet,
        owner,
        addresses: if each.is_empty() { said.both.0 } else { each },
        mac: said.mac,
    })
}
