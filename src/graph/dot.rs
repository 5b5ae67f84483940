//! A picture → DOT, for Graphviz to lay out: a cluster a VPC, a node a subnet, an edge a peering.
//!
//! Refuses to place anything.

use std::fmt::Write;

use super::{Mark, NAMED_MAX, Picture, Subnet, Vpc};

const HEAD: &str = "graph northc {
  graph [fontname=\"Helvetica\", fontsize=13, compound=true, nodesep=0.3, ranksep=0.5]
  node [fontname=\"Helvetica\", fontsize=10, shape=box, style=\"rounded,filled\", fillcolor=white, color=\"#8c959f\"]
  edge [fontname=\"Helvetica\", fontsize=9, color=\"#8c959f\", fontcolor=\"#57606a\"]
";

/// The picture in DOT.
pub fn dot(picture: &Picture) -> String {
    let mut out = format!("// {}\n{HEAD}", picture.summary());
    for (at, vpc) in picture.vpcs.iter().enumerate() {
        add_vpc(&mut out, at, vpc);
    }
    for link in &picture.links {
        let [a, b] = &link.ends;
        let _ = writeln!(
            out,
            "  r{} -- r{} [color=\"#3b6fc4\", penwidth=1.5, taillabel={}, headlabel={}]",
            a.vpc,
            b.vpc,
            quote([&a.address]),
            quote([&b.address])
        );
    }
    out.push_str("}\n");
    out
}

fn add_vpc(out: &mut String, at: usize, vpc: &Vpc) {
    let kind = if vpc.is_default { "default VPC" } else { "VPC" };
    let title = [format!("{kind} {}", vpc.name), vpc.description.clone(), vpc.cidrs.join(", ")];
    let _ = writeln!(out, "  subgraph cluster_{at} {{");
    let _ = writeln!(out, "    label={}", quote(title.iter().filter(|line| !line.is_empty())));
    let _ = writeln!(out, "    style=\"rounded,filled\"; fillcolor=\"#f6f8fa\"; color=\"#d0d7de\"");
    let router = ["router".to_owned()].into_iter().chain(vpc.router_lines());
    let _ = writeln!(out, "    r{at} [shape=ellipse, label={}]", quote(router));
    for (nth, subnet) in vpc.subnets.iter().enumerate() {
        add_subnet(out, at, nth, subnet);
    }
    out.push_str("  }\n");
}

fn add_subnet(out: &mut String, vpc: usize, nth: usize, subnet: &Subnet) {
    let colour = if subnet.marks.contains(&Mark::Private) { ", color=\"#bf8700\"" } else { "" };
    let _ = writeln!(out, "    s{vpc}_{nth} [label={}{colour}]", quote(lines(subnet)));
    if subnet.routed {
        let gateways = subnet.blocks.iter().map(|(_, gateway)| gateway);
        let _ = writeln!(out, "    r{vpc} -- s{vpc}_{nth} [label={}]", quote(gateways));
    }
}

/// What a subnet's node says, line by line; the same in every notation that lays out by itself.
pub(super) fn lines(subnet: &Subnet) -> Vec<String> {
    let mut lines = vec![subnet.name.clone()];
    lines.extend([&subnet.description, &subnet.network].into_iter().filter(|l| !l.is_empty()).cloned());
    lines.extend(subnet.blocks.iter().map(|(cidr, _)| cidr.clone()));
    if !subnet.marks.is_empty() {
        lines.push(subnet.marks.iter().map(Mark::text).collect::<Vec<_>>().join(", "));
    }
    if subnet.workloads.len() > NAMED_MAX {
        lines.push(subnet.census());
    } else {
        let line =
            |w: &super::Workload| format!("{} {}", w.name, w.addresses.join(" ")).trim_end().to_owned();
        lines.extend(subnet.workloads.iter().map(line));
    }
    lines
}

/// Lines as one DOT string, each centred. A backslash would begin an escape of DOT's, an ampersand one of
/// HTML's.
fn quote<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> String {
    let escape = |line: S| {
        let line = line.as_ref().replace('&', "&amp;").replace('\\', "\\\\");
        line.replace('"', "\\\"").replace(char::is_control, " ")
    };
    let lines: Vec<String> = lines.into_iter().map(escape).collect();
    format!("\"{}\"", lines.join("\\n"))
}
