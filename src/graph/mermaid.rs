//! A picture → a Mermaid flowchart, for pages that draw it by themselves.
//!
//! Refuses to place anything.

use std::fmt::Write;

use super::{Mark, Picture, Vpc, dot};

/// The picture as a flowchart.
pub fn mermaid(picture: &Picture) -> String {
    let mut out = format!("%% {}\nflowchart TB\n", picture.summary());
    for (at, vpc) in picture.vpcs.iter().enumerate() {
        add_vpc(&mut out, at, vpc);
    }
    for link in &picture.links {
        let [a, b] = &link.ends;
        let addresses = [&a.address, &b.address].into_iter().filter(|address| !address.is_empty());
        let label = quote(addresses.map(String::as_str).collect::<Vec<_>>().join(" – ").split('\0'));
        let _ = writeln!(out, "  r{} ---|{label}| r{}", a.vpc, b.vpc);
    }
    out.push_str("  classDef private stroke:#bf8700,stroke-width:2px\n");
    out
}

fn add_vpc(out: &mut String, at: usize, vpc: &Vpc) {
    let kind = if vpc.is_default { "default VPC" } else { "VPC" };
    let title = [format!("{kind} {}", vpc.name), vpc.description.clone(), vpc.cidrs.join(", ")];
    let _ = writeln!(out, "  subgraph v{at}[{}]", quote(title.iter().filter(|line| !line.is_empty())));
    let router = ["router".to_owned()].into_iter().chain(vpc.router_lines());
    let _ = writeln!(out, "    r{at}([{}])", quote(router));
    for (nth, subnet) in vpc.subnets.iter().enumerate() {
        let class = if subnet.marks.contains(&Mark::Private) { ":::private" } else { "" };
        let _ = writeln!(out, "    s{at}_{nth}[{}]{class}", quote(dot::lines(subnet)));
        let gateways: Vec<&String> = subnet.blocks.iter().map(|(_, gateway)| gateway).collect();
        if subnet.routed {
            let _ = match gateways.is_empty() {
                true => writeln!(out, "    r{at} --- s{at}_{nth}"),
                false => writeln!(out, "    r{at} ---|{}| s{at}_{nth}", quote(gateways)),
            };
        }
    }
    out.push_str("  end\n");
}

/// Lines as one Mermaid string. All that could mean something to Mermaid, to Markdown or to HTML is written
/// as a character's number.
fn quote<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> String {
    let escape = |line: S| {
        let mut out = String::new();
        for c in line.as_ref().chars() {
            let is_plain =
                c.is_alphanumeric() || matches!(c, ' ' | '.' | ':' | '/' | '-' | ',' | '→' | '–' | '…');
            if is_plain {
                out.push(c);
            } else if c.is_control() {
                out.push(' ');
            } else {
                let _ = write!(out, "#{};", c as u32);
            }
        }
        out
    };
    let lines: Vec<String> = lines.into_iter().map(escape).collect();
    format!("\"{}\"", lines.join("<br/>"))
}
