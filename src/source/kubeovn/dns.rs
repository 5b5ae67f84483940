//! `kubeovn.io/v1` VpcDns: a server of Kubernetes' in a VPC, whose address is a SwitchLBRule.
//!
//! The server is a deployment, which OVN can't be; the rule, where the input has it, is a balancer like others.
//! Refuses to invent names: a DnsZone holds those that OVN answers for itself.

use crate::diag::{Code, Diagnostic, Sink};
use crate::model::Model;
use crate::source::declare::{Int, declare};
use crate::source::object::Object;
use crate::source::resolve::{SubnetNames, unique};
use crate::span::Spanned;

/// Why what is about the deployment has no effect.
const DEPLOYMENT: &str = "it is about the server, which Kubernetes runs";

declare! {
    /// A server for names, which Kubernetes runs. OVN can balance to it where the input has its SwitchLBRule, `vpc-dns-` and the name.
    pub(crate) struct VpcDns "VpcDns.spec" {
        /// The Vpc.
        "vpc" vpc: Spanned<String>,
        /// The Subnet of the server.
        "subnet" subnet: Spanned<String>,
    }
    unused {
        "replicas" Int<1, 3>: Code::FieldWithoutEffect, DEPLOYMENT;
        "corefile" Spanned<String> = "vpc-dns-corefile": Code::FieldWithoutEffect, DEPLOYMENT;
    }
}

/// A server whose names are not resolved yet.
pub(crate) struct Declared {
    name: Spanned<String>,
    vpc: Spanned<String>,
    subnet: Spanned<String>,
}

/// The server that an object describes.
pub(crate) fn read(mut object: Object<'_>, sink: &mut Sink) -> Option<Declared> {
    let said: VpcDns = object.declared(sink)?;
    Some(Declared { name: object.name.map(str::to_owned), vpc: said.vpc, subnet: said.subnet })
}

/// Says of each server whether guests have its address; `rules` are the names of SwitchLBRules.
pub(crate) fn answer(
    declared: Vec<Declared>,
    rules: &[String],
    names: &SubnetNames,
    model: &Model,
    sink: &mut Sink,
) {
    let declared = unique("VpcDns", declared, |d| &d.name.value, |d| Some(d.name.span), sink);
    for Declared { name, vpc, subnet } in declared {
        let who = format!("VpcDns {name}");
        names.vpc_of(format_args!("{who}"), &vpc, model, sink);
        names.find(&subnet, &who, sink);
        let rule = format!("vpc-dns-{name}");
        if rules.contains(&rule) || names.may_exist("SwitchLBRule", &rule) {
            continue;
        }
        let message =
            format!("{who} makes no rows: its server is a deployment, and its address not in the input");
        sink.push(
            Diagnostic::new(Code::VpcDnsServer, name.span, message).help(format!(
                "add the SwitchLBRule `{rule}`, or write the names into a DnsZone of northc.io"
            )),
        );
    }
}
