//! A picture → one HTML page that needs no network: zoom, search, and what is behind each object.
//!
//! What a click shows stands in the page as templates, so the script holds no data. Refuses to draw: the
//! picture is `svg`'s.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::svg::escape;
use super::{Picture, Place, Subnet, Vpc};
use crate::span::{SourceMap, Span};

const CSS: &str = include_str!("html.css");
const SCRIPT: &str = include_str!("html.js");

/// Lines of a source that are shown before and after the one where an object is declared.
const LINES_BEFORE: usize = 4;
const LINES_AFTER: usize = 30;

/// The page: a drawn picture, the sources it was made from, and the rows that each place caused.
pub fn html(picture: &Picture, svg: &str, sources: &SourceMap, rows: &BTreeMap<Span, Vec<String>>) -> String {
    let ctx = Ctx { sources, rows };
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
        let names = link.ends.each_ref().map(|end| picture.vpcs[end.vpc].name.as_str());
        let addresses = link.ends.each_ref().map(|end| end.address.as_str());
        let places = link.ends.iter().filter_map(|end| end.place.as_ref());
        let words = [&names[..], &addresses[..]].concat().join(" ");
        let head = Head { id: format!("link-{at}"), kind: "peering", name: names.join(" – "), words };
        ctx.add(&mut out, &head, "", &places.collect::<Vec<_>>());
    }
    let _ = writeln!(out, "<script>\n{SCRIPT}</script>\n</html>");
    out
}

/// What a template begins with, and what it is found by.
struct Head {
    id: String,
    kind: &'static str,
    name: String,
    words: String,
}

struct Ctx<'c> {
    sources: &'c SourceMap,
    rows: &'c BTreeMap<Span, Vec<String>>,
}

impl Ctx<'_> {
    fn add_vpc(&self, out: &mut String, at: usize, vpc: &Vpc) {
        let words = format!("{} {} {}", vpc.name, vpc.description, vpc.cidrs.join(" "));
        let head = Head { id: format!("vpc-{at}"), kind: "VPC", name: vpc.name.clone(), words };
        let routes: String = vpc
            .routes
            .iter()
            .map(|(what, to)| format!("<tr><td>{}<td>{}\n", escape(what), escape(to)))
            .collect();
        let routes =
            if routes.is_empty() { routes } else { format!("<h3>Routes</h3><table>{routes}</table>") };
        self.add(out, &head, &routes, &vpc.place.iter().collect::<Vec<_>>());
        for (nth, subnet) in vpc.subnets.iter().enumerate() {
            self.add_subnet(out, format!("subnet-{at}-{nth}"), subnet);
        }
    }

    fn add_subnet(&self, out: &mut String, id: String, subnet: &Subnet) {
        let mut words = vec![subnet.name.as_str(), &subnet.description, &subnet.network];
        words.extend(subnet.blocks.iter().flat_map(|(cidr, gateway)| [cidr.as_str(), gateway]));
        let mut members = String::new();
        for workload in &subnet.workloads {
            words.push(&workload.name);
            words.extend(workload.addresses.iter().map(String::as_str));
            let line = workload.place.as_ref().map_or("", |place| &place.line);
            let cells = [workload.name.as_str(), &workload.addresses.join(" "), line].map(escape);
            let _ = writeln!(members, "<tr><td>{}", cells.join("<td>"));
        }
        if !members.is_empty() {
            members = format!("<h3>{}</h3><table>{members}</table>", escape(&subnet.census()));
        }
        let head = Head { id, kind: "subnet", name: subnet.name.clone(), words: words.join(" ") };
        let places = subnet.place.iter().chain(subnet.workloads.iter().filter_map(|w| w.place.as_ref()));
        self.add(out, &head, &members, &places.collect::<Vec<_>>());
    }

    /// A template: a heading, what is special, the source of the first place, the rows of all.
    fn add(&self, out: &mut String, head: &Head, special: &str, places: &[&Place]) {
        let [id, name, words] = [&head.id, &head.name, &head.words].map(|text| escape(text));
        let _ = writeln!(out, "<template data-for=\"{id}\" data-words=\"{}\">", words.to_lowercase());
        let _ = writeln!(out, "<h2><small>{}</small>{name}</h2>{special}", head.kind);
        let n_shown = if head.kind == "peering" { places.len() } else { 1 };
        for place in places.iter().take(n_shown) {
            let _ = writeln!(out, "<h3>{}</h3><pre>{}</pre>", escape(&place.line), self.excerpt(place.span));
        }
        let rows = places.iter().filter_map(|place| self.rows.get(&place.span)).flatten();
        let rows: String = rows.map(|row| format!("<pre>{}</pre>", escape(row))).collect();
        if !rows.is_empty() {
            let _ = writeln!(out, "<h3>Rows</h3>{rows}");
        }
        out.push_str("</template>\n");
    }

    /// The lines around a place, no further than its YAML document, its own line marked.
    fn excerpt(&self, span: Span) -> String {
        let source = self.sources.get(span.file);
        let (line, _) = source.line_col(span.start);
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
