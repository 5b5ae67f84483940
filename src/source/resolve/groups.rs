//! Security groups and network ACLs by name: whom rules mean, which groups a workload joins, which list a subnet has.
//!
//! A name that means nothing is an error: a port would be open where it should be closed. Refuses to judge
//! rules.

use super::super::kubeovn::workload::Interface;
use super::{Doubts, native, suggest, unique};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{GroupId, Model, NetworkAcl, NetworkAclId, Remote, SecurityGroup};
use crate::span::Spanned;

/// The groups by name, their rules knowing whom they mean.
pub(super) fn resolve(declared: Vec<SecurityGroup>, doubts: &Doubts, sink: &mut Sink) -> Vec<SecurityGroup> {
    let mut groups = unique("SecurityGroup", declared, |g| &g.name.value, |g| Some(g.name.span), sink);
    for at in 0..groups.len() {
        for nth in 0..groups[at].rules.len() {
            let Remote::Group(name, _) = &groups[at].rules[nth].remote else { continue };
            let found = find(&groups, name, doubts, sink, || {
                format!("a rule of security group `{}` means group `{name}`", groups[at].name)
            });
            if let Remote::Group(_, id) = &mut groups[at].rules[nth].remote {
                *id = found;
            }
        }
    }
    groups
}

/// The groups that a workload's interface joins, each once.
pub(super) fn joined(
    interface: &Interface,
    model: &Model,
    doubts: &Doubts,
    sink: &mut Sink,
) -> Vec<Spanned<GroupId>> {
    let mut joined: Vec<Spanned<GroupId>> = Vec::with_capacity(interface.groups.len());
    for name in &interface.groups {
        let who = || format!("{} joins security group `{name}`", interface.owner());
        let found = find(&model.groups, name, doubts, sink, who);
        let Some(id) = found.filter(|id| joined.iter().all(|other| other.value != *id)) else { continue };
        joined.push(Spanned::new(id, name.span));
    }
    joined.sort_by_key(|group| group.value);
    joined
}

/// The network ACLs by name.
pub(super) fn network_acls(declared: Vec<NetworkAcl>, sink: &mut Sink) -> Vec<NetworkAcl> {
    unique("NetworkAcl", declared, |acl| &acl.name.value, |acl| Some(acl.name.span), sink)
}

/// The network ACL that a subnet names.
pub(super) fn network_acl(
    name: &Spanned<String>,
    acls: &[NetworkAcl],
    doubts: &Doubts,
    sink: &mut Sink,
) -> Option<NetworkAclId> {
    let found = acls.binary_search_by(|acl| acl.name.value.cmp(&name.value)).ok().map(NetworkAclId);
    if found.is_none() && !doubts.cover("NetworkAcl", &name.value) {
        sink.push(native::unknown("NetworkAcl", name, acls.iter().map(|acl| acl.name.value.as_str())));
    }
    found
}

fn find(
    groups: &[SecurityGroup],
    name: &Spanned<String>,
    doubts: &Doubts,
    sink: &mut Sink,
    what: impl Fn() -> String,
) -> Option<GroupId> {
    let found = groups.binary_search_by(|group| group.name.value.cmp(&name.value)).ok().map(GroupId);
    if found.is_none() && !doubts.cover("SecurityGroup", &name.value) {
        let message = format!("{}, which is not in the input", what());
        let diagnostic = Diagnostic::new(Code::UnknownGroup, name.span, message);
        sink.push(suggest(diagnostic, &name.value, groups.iter().map(|group| group.name.value.as_str())));
    }
    found
}
