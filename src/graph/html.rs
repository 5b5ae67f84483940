//! A picture → one HTML page that needs no network: zoom, search, and what is behind each object.
//!
//! What a click shows stands in the page as templates, so the script holds no data. `data-for` is what a template
//! is about, `data-in` where that is drawn when it has no place of its own, and who reaches whom is one template for all
//! that behave alike. Refuses to draw: the picture is `svg`'s.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::reach::{Group, Reach};
use super::svg::escape;
use super::{Picture, Place, Subnet, Vpc, Workload, WorkloadKind, reach};
use crate::span::{SourceMap, Span};

const CSS: &str = include_str!("html.css");
const SCRIPT: &str = include_str!("html.js");

/// Lines of a source that are shown before and after the one where an object is declared.
const LINES_BEFORE: usize = 4;
const LINES_AFTER: usize = 30;

/// What stands behind a picture.
#[derive(Debug)]
pub struct Behind<'b> {
    /// What it was made from.
    pub sources: &'b SourceMap,
    /// The rows that each place caused, in words.
    pub rows: &'b BTreeMap<Span, Vec<String>>,
    /// Who reaches whom, where that was asked.
    pub reach: Option<&'b Reach>,
}

/// The page of a drawn picture.
pub fn html(picture: &Picture, svg: &str, behind: &Behind<'_>) -> String {
    let ctx = Ctx { behind };
    let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n");
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n",
    );
    let summary = escape(&picture.summary());
    let _ = writeln!(out, "<title>{summary}</title>\n<style>\n{CSS}</style>");
    out.push_str(
        "<header><input id=\"search\" type=\"search\" placeholder=\"Search names and addresses  ( / )\" \
         aria-label=\"Search\"><span id=\"found\" role=\"status\"></span>\
         <button id=\"in\" title=\"Zoom in (+)\">+</button><button id=\"out\" title=\"Zoom out (-)\">−</button>\
         <button id=\"fit\" title=\"Show all (0)\">Fit</button></header>\n",
    );
    let _ = writeln!(out, "<main>{svg}</main>\n<aside id=\"panel\" hidden></aside>");
    for (at, vpc) in picture.vpcs.iter().enumerate() {
        ctx.add_vpc(&mut out, at, vpc);
    }
    for (at, link) in picture.links.iter().enumerate() {
        let names = link.ends.each_ref().map(|end| picture.end_name(end));
        let addresses = link.ends.each_ref().map(|end| end.address.as_str());
        let places = link.ends.iter().filter_map(|end| end.place.as_ref());
        let words = [&names[..], &addresses[..]].concat().join(" ");
        let kind = if link.is_exit { "way out" } else { "peering" };
        let head = Head { id: format!("link-{at}"), within: None, kind, name: names.join(" – "), words };
        ctx.add(&mut out, &head, "", &places.collect::<Vec<_>>());
    }
    behind.reach.iter().for_each(|reach| add_reach(&mut out, reach));
    let _ = writeln!(out, "<script>\n{SCRIPT}</script>\n</html>");
    out
}

/// What a template begins with, and what it is found by.
struct Head {
    id: String,
    /// Where it is drawn, if it may have no place of its own.
    within: Option<String>,
    kind: &'static str,
    name: String,
    words: String,
}

struct Ctx<'c> {
    behind: &'c Behind<'c>,
}

impl Ctx<'_> {
    fn add_vpc(&self, out: &mut String, at: usize, vpc: &Vpc) {
        let balancers = vpc.balancers.iter().map(|it| format!("{} {}", it.name, it.text));
        let words = [vpc.name.clone(), vpc.description.clone(), vpc.cidrs.join(" ")];
        let words: Vec<String> = words.into_iter().chain(balancers).collect();
        let head = Head {
            id: format!("vpc-{at}"),
            within: None,
            kind: vpc.kind.text(),
            name: vpc.name.clone(),
            words: words.join(" "),
        };
        let routes = vpc.routes.iter().map(|(what, to)| [what.as_str(), to.as_str()]);
        let balancers = vpc.balancers.iter().map(|it| [it.name.as_str(), it.text.as_str()]);
        let special = table("Routes", routes) + &table("Load balancers", balancers);
        let places = vpc.place.iter().chain(vpc.balancers.iter().filter_map(|it| it.place.as_ref()));
        self.add(out, &head, &special, &places.collect::<Vec<_>>());
        for (nth, subnet) in vpc.subnets.iter().enumerate() {
            self.add_subnet(out, &format!("{at}-{nth}"), subnet);
        }
    }

    fn add_subnet(&self, out: &mut String, at: &str, subnet: &Subnet) {
        let mut words = vec![subnet.name.as_str(), &subnet.description, &subnet.network];
        words.extend(subnet.blocks.iter().flat_map(|(cidr, gateway)| [cidr.as_str(), gateway]));
        let mut members = String::new();
        for (nth, workload) in subnet.workloads.iter().enumerate() {
            let sign = workload.sign.as_ref().map_or("", |sign| &sign.text);
            let cells = [sign, &workload.name, &workload.addresses.join(" ")].map(escape);
            let _ = writeln!(members, "<tr data-open=\"workload-{at}-{nth}\"><td>{}", cells.join("<td>"));
        }
        if !members.is_empty() {
            members = format!("<h3>{}</h3><table>{members}</table>", escape(&subnet.census()));
        }
        let head = Head {
            id: format!("subnet-{at}"),
            within: None,
            kind: "subnet",
            name: subnet.name.clone(),
            words: words.join(" "),
        };
        self.add(out, &head, &members, &subnet.place.iter().collect::<Vec<_>>());
        for (nth, workload) in subnet.workloads.iter().enumerate() {
            self.add_workload(out, at, nth, workload);
        }
    }

    fn add_workload(&self, out: &mut String, subnet: &str, nth: usize, workload: &Workload) {
        let kind = match workload.kind {
            WorkloadKind::Machine => "machine",
            WorkloadKind::Container => "container",
            WorkloadKind::VirtualAddress => "virtual address",
        };
        let addresses = workload.addresses.join(" ");
        let head = Head {
            id: format!("workload-{subnet}-{nth}"),
            within: Some(format!("subnet-{subnet}")),
            kind,
            name: workload.name.clone(),
            words: format!("{} {addresses}", workload.name),
        };
        let mut special = format!("<p>{}</p>", escape(&addresses));
        let everybody = self.behind.reach.filter(|reach| reach.asked.is_none());
        if let Some(group) = everybody.and_then(|reach| reach.group_of(&workload.port)) {
            let _ = write!(special, "<div data-reach=\"{group}\"></div>");
        }
        self.add(out, &head, &special, &workload.place.iter().collect::<Vec<_>>());
    }

    /// A template: a heading, what is special, the source of the first place, the rows of all.
    fn add(&self, out: &mut String, head: &Head, special: &str, places: &[&Place]) {
        let [id, name, words] = [&head.id, &head.name, &head.words].map(|text| escape(text));
        let within = head.within.as_ref().map_or(String::new(), |within| format!(" data-in=\"{within}\""));
        let words = words.to_lowercase();
        let _ = writeln!(out, "<template data-for=\"{id}\"{within} data-words=\"{words}\">");
        let _ = writeln!(out, "<h2><small>{}</small>{name}</h2>{special}", head.kind);
        for place in places {
            let _ = writeln!(out, "<h3>{}</h3><pre>{}</pre>", escape(&place.line), self.excerpt(place.span));
        }
        let rows = places.iter().filter_map(|place| self.behind.rows.get(&place.span)).flatten();
        let rows: String = rows.map(|row| format!("<pre>{}</pre>", escape(row))).collect();
        if !rows.is_empty() {
            let _ = writeln!(out, "<h3>Rows</h3>{rows}");
        }
        out.push_str("</template>\n");
    }

    /// The lines around a place, no further than its YAML document, its own line marked.
    fn excerpt(&self, span: Span) -> String {
        let source = self.behind.sources.get(span.file);
        let line = source.line(span.start);
        let lines: Vec<&str> = source.text.lines().collect();
        let at = (line - 1).min(lines.len());
        let is_border = |line: &&str| line.starts_with("---");
        let before = lines[..at].iter().rev().take(LINES_BEFORE).take_while(|l| !is_border(l)).count();
        let after = lines[at..].iter().take(LINES_AFTER).take_while(|l| !is_border(l)).count();
        let shown = lines[at - before..at + after].iter().enumerate();
        shown
            .map(|(n, text)| {
                let number = at - before + n + 1;
                let text = escape(&super::visible(text));
                if number == line {
                    format!("<mark>{number:>5}  {text}</mark>\n")
                } else {
                    format!("{number:>5}  {text}\n")
                }
            })
            .collect()
    }
}

/// A table of two columns under a heading; nothing where it is empty.
fn table<'t>(heading: &str, rows: impl Iterator<Item = [&'t str; 2]>) -> String {
    let rows: String = rows.map(|cells| format!("<tr><td>{}\n", cells.map(escape).join("<td>"))).collect();
    if rows.is_empty() { rows } else { format!("<h3>{heading}</h3><table>{rows}</table>") }
}

/// A template a group: whom it reaches, and who reaches it; `data-to` has the answers for those who paint them.
fn add_reach(out: &mut String, reach: &Reach) {
    if reach.asked.is_some() {
        return;
    }
    for group in 0..reach.to.len() {
        let to: Vec<String> = (0..reach.to.len())
            .filter_map(|to| {
                let answer = reach.answers.get(&(group, to))?;
                Some(format!("{to}:{}", reach::tone(answer).class()))
            })
            .collect();
        let _ = writeln!(out, "<template data-group=\"{group}\" data-to=\"{}\">", to.join(" "));
        let whom = |other: usize| (reach.passes(group, other), &reach.to[other]);
        let who = |other: usize| (reach.passes(other, group), &reach.from[other]);
        out.push_str(&passing("Reaches", (0..reach.to.len()).map(whom)));
        out.push_str(&passing("Is reached by", (0..reach.from.len()).map(who)));
        out.push_str("</template>\n");
    }
}

fn passing<'g>(heading: &str, others: impl Iterator<Item = (Option<String>, &'g Group)>) -> String {
    let others = others.filter_map(|(passes, group)| Some((passes?, group.names.join(", "))));
    let rows: Vec<(String, String)> =
        others.map(|(what, names)| (names, if what.is_empty() { "all".to_owned() } else { what })).collect();
    match rows.is_empty() {
        true => format!("<h3>{heading}</h3><p>nobody</p>"),
        false => table(heading, rows.iter().map(|(names, what)| [names.as_str(), what.as_str()])),
    }
}
