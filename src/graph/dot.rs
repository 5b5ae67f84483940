//! A picture → DOT, for Graphviz to lay out: a cluster a VPC, a node a subnet, an edge a link.
//!
//! Refuses to place anything.

use std::fmt::Write;

use super::{
    Kind, Legend, Link, LinkEnd, Mark, NAMED_MAX, Picture, Sign, Subnet, Tone, Vpc, Workload, census,
};

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
        let [a, b] = link.ends.each_ref().map(node);
        let colour = if link.is_exit { "#0b7a68" } else { "#3b6fc4" };
        let colour = link.sign.as_ref().and_then(|sign| paint(sign.tone)).unwrap_or(colour);
        let label = quote(ends(picture, link));
        let _ = writeln!(out, "  {a} -- {b} [color=\"{colour}\", penwidth=1.5, minlen=2, label={label}]");
    }
    picture.legend.iter().for_each(|legend| add_legend(&mut out, legend));
    out.push_str("}\n");
    out
}

fn add_vpc(out: &mut String, at: usize, vpc: &Vpc) {
    let colour = vpc.sign.as_ref().and_then(|sign| paint(sign.tone)).unwrap_or("#d0d7de");
    let _ = writeln!(out, "  subgraph cluster_{at} {{");
    let _ = writeln!(out, "    label={}", quote(title(vpc)));
    let _ = writeln!(out, "    style=\"rounded,filled\"; fillcolor=\"#f6f8fa\"; color=\"{colour}\"");
    if let Some(router) = router(vpc) {
        let _ = writeln!(out, "    r{at} [shape=ellipse, label={}]", quote(router));
    }
    for (nth, subnet) in vpc.subnets.iter().enumerate() {
        add_subnet(out, at, nth, subnet);
    }
    out.push_str("  }\n");
}

fn add_subnet(out: &mut String, vpc: usize, nth: usize, subnet: &Subnet) {
    let private = subnet.marks.contains(&Mark::Private).then_some("#bf8700");
    let colour = subnet.sign.as_ref().and_then(|sign| paint(sign.tone)).or(private);
    let colour = colour.map_or(String::new(), |colour| format!(", color=\"{colour}\""));
    let _ = writeln!(out, "    s{vpc}_{nth} [label={}{colour}]", quote(lines(subnet)));
    if subnet.routed {
        let gateways = subnet.blocks.iter().map(|(_, gateway)| gateway);
        let _ = writeln!(out, "    r{vpc} -- s{vpc}_{nth} [label={}]", quote(gateways));
    }
}

/// A node a line, and who reaches whom between them.
fn add_legend(out: &mut String, legend: &Legend) {
    out.push_str("  subgraph cluster_legend {\n    style=\"rounded,dashed\"; color=\"#8c959f\"\n");
    let _ = writeln!(out, "    label={}", quote([&legend.title]));
    for (at, (sign, who, what)) in legend.lines.iter().enumerate() {
        let colour = paint(sign.tone).map_or(String::new(), |colour| format!(", color=\"{colour}\""));
        let what = Some(what).filter(|what| !what.is_empty() && legend.arrows.is_empty());
        let label = quote([&signed(Some(sign), who)].into_iter().chain(what));
        let _ = writeln!(out, "    l{at} [label={label}{colour}]");
    }
    for (from, to, what) in &legend.arrows {
        let _ =
            writeln!(out, "    l{from} -- l{to} [dir=forward, color=\"#1a7f37\", label={}]", quote([what]));
    }
    out.push_str("  }\n");
}

/// The colour of what a plan does, and of an answer.
fn paint(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Added | Tone::Yes => Some("#1a7f37"),
        Tone::Changed | Tone::Partly => Some("#9a6700"),
        Tone::Removed | Tone::No => Some("#cf222e"),
        Tone::Asked => Some("#0969da"),
        Tone::Open | Tone::Group(_) => None,
    }
}

/// The node that a link ends at: the subnet, else the router.
pub(super) fn node(end: &LinkEnd) -> String {
    match end.subnet {
        Some(nth) => format!("s{}_{nth}", end.vpc),
        None => format!("r{}", end.vpc),
    }
}

/// What a link's line says: each side's name, and its addresses on the link.
pub(super) fn ends(picture: &Picture, link: &Link) -> [String; 2] {
    link.ends.each_ref().map(|end| format!("{} {}", picture.end_name(end), end.address).trim_end().to_owned())
}

/// What a box says, line by line.
pub(super) fn title(vpc: &Vpc) -> Vec<String> {
    let name = signed(vpc.sign.as_ref(), &format!("{} {}", vpc.kind.text(), vpc.name));
    let lines = [name, vpc.description.clone(), vpc.cidrs.join(", ")];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// What a VPC's router says, line by line; a physical network has none.
pub(super) fn router(vpc: &Vpc) -> Option<Vec<String>> {
    let lines = ["router".to_owned()].into_iter().chain(vpc.router_lines());
    (vpc.kind != Kind::Physical).then(|| lines.collect())
}

/// A name with what an overlay says of it: `[+] web`.
pub(super) fn signed(sign: Option<&Sign>, name: &str) -> String {
    sign.map_or(name.to_owned(), |sign| format!("[{}] {name}", sign.text))
}

/// What a subnet's node says, line by line; the same in every notation that lays out by itself.
pub(super) fn lines(subnet: &Subnet) -> Vec<String> {
    let mut lines = vec![signed(subnet.sign.as_ref(), &subnet.name)];
    lines.extend([&subnet.description, &subnet.network].into_iter().filter(|l| !l.is_empty()).cloned());
    lines.extend(subnet.blocks.iter().map(|(cidr, _)| cidr.clone()));
    if !subnet.marks.is_empty() {
        lines.push(subnet.marks.iter().map(Mark::text).collect::<Vec<_>>().join(", "));
    }
    if subnet.workloads.len() > NAMED_MAX {
        lines.extend(subnet.by_sign().iter().map(|(sign, workloads)| signed(*sign, &census(workloads))));
    } else {
        let line = |w: &Workload| {
            let said = format!("{} {}", w.name, w.addresses.join(" "));
            signed(w.sign.as_ref(), said.trim_end())
        };
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
