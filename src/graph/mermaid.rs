//! A picture → a Mermaid flowchart, for pages that draw it by themselves.
//!
//! Refuses to place anything.

use std::fmt::Write;

use super::{Legend, Mark, Picture, Sign, Tone, Vpc, dot};

/// The picture as a flowchart.
pub fn mermaid(picture: &Picture) -> String {
    let mut out = format!("%% {}\nflowchart TB\n", picture.summary());
    for (at, vpc) in picture.vpcs.iter().enumerate() {
        add_vpc(&mut out, at, vpc);
    }
    for link in &picture.links {
        let [a, b] = link.ends.each_ref().map(dot::node);
        let _ = writeln!(out, "  {a} ---|{}| {b}", quote(dot::ends(picture, link)));
    }
    picture.legend.iter().for_each(|legend| add_legend(&mut out, legend));
    out.push_str("  classDef private stroke:#bf8700,stroke-width:2px\n");
    if picture.legend.is_some() {
        out.push_str("  classDef added stroke:#1a7f37,stroke-width:3px\n");
        out.push_str("  classDef changed stroke:#9a6700,stroke-width:3px\n");
        out.push_str("  classDef removed stroke:#cf222e,stroke-width:3px,stroke-dasharray:4\n");
    }
    out
}

fn add_vpc(out: &mut String, at: usize, vpc: &Vpc) {
    let _ = writeln!(out, "  subgraph v{at}[{}]", quote(dot::title(vpc)));
    if let Some(router) = dot::router(vpc) {
        let _ = writeln!(out, "    r{at}([{}])", quote(router));
    }
    for (nth, subnet) in vpc.subnets.iter().enumerate() {
        let private = if subnet.marks.contains(&Mark::Private) { ":::private" } else { "" };
        let class = subnet.sign.as_ref().map_or(private, class);
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
    if let Some(class) = vpc.sign.as_ref().map(class).filter(|class| !class.is_empty()) {
        let _ = writeln!(out, "  class v{at} {}", class.trim_start_matches(":::"));
    }
}

/// What a plan does to an object, as a class; the other signs are words enough.
fn class(sign: &Sign) -> &'static str {
    match sign.tone {
        Tone::Added => ":::added",
        Tone::Changed => ":::changed",
        Tone::Removed => ":::removed",
        Tone::Asked | Tone::Yes | Tone::Partly | Tone::No | Tone::Open | Tone::Group(_) => "",
    }
}

/// A node a line, and who reaches whom between them.
fn add_legend(out: &mut String, legend: &Legend) {
    let _ = writeln!(out, "  subgraph legend[{}]", quote([&legend.title]));
    for (at, (sign, who, what)) in legend.lines.iter().enumerate() {
        let what = Some(what).filter(|what| !what.is_empty() && legend.arrows.is_empty());
        let label = quote([&dot::signed(Some(sign), who)].into_iter().chain(what));
        let _ = writeln!(out, "    l{at}[{label}]{}", class(sign));
    }
    for (from, to, what) in &legend.arrows {
        let _ = match what.is_empty() {
            true => writeln!(out, "    l{from} --> l{to}"),
            false => writeln!(out, "    l{from} -->|{}| l{to}", quote([what])),
        };
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
