//! A layout → SVG 1.1: one file that needs no program, no network and no font of its own.
//!
//! Colours follow the reader's preference for light or dark. Every box carries a title for those who hover
//! or listen. Refuses to place anything.

use std::fmt::Write;

use super::layout::text::{self, Style};
use super::layout::{Anchor, Badge, Card, Chip, Frame, Item, Layout, Point, Rect, Text, Wire};
use super::{Kind, Mark, Picture, Sign, Subnet, Tone, Vpc, WorkloadKind};

/// Colours and fonts.
const CSS: &str = include_str!("svg.css");
/// Lines have this many colours, `.h0` and so on in the style sheet.
const N_HUES: usize = 6;
/// How round a line's corner is.
const CORNER: i32 = 7;

/// The picture as an SVG document, laid out as told.
pub fn svg(picture: &Picture, layout: &Layout) -> String {
    let (w, h) = (layout.w, layout.h);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
         role=\"img\" aria-labelledby=\"title desc\">"
    );
    let _ = writeln!(out, "<title id=\"title\">{}</title>", escape(&picture.summary()));
    let _ = writeln!(out, "<desc id=\"desc\">{}</desc>", escape(&description(picture)));
    let _ = writeln!(out, "<style>\n{CSS}</style>");
    let _ = writeln!(out, "<rect class=\"paper\" width=\"{w}\" height=\"{h}\"/>");
    for (at, (frame, vpc)) in layout.frames.iter().zip(&picture.vpcs).enumerate() {
        add_frame(&mut out, at, frame, vpc);
    }
    for wire in &layout.wires {
        add_wire(&mut out, picture, wire);
    }
    for (badge, texts) in &layout.legend {
        badge.iter().for_each(|badge| add_badge(&mut out, badge));
        texts.iter().for_each(|text| add_text(&mut out, text));
    }
    add_text(&mut out, &layout.footer);
    out.push_str("</svg>\n");
    out
}

/// What the picture shows, for those who can't see it.
fn description(picture: &Picture) -> String {
    let mut lines = Vec::new();
    for vpc in &picture.vpcs {
        let subnets = vpc.subnets.iter().map(|subnet| {
            let blocks =
                subnet.blocks.iter().map(|(cidr, _)| cidr.as_str()).collect::<Vec<_>>().join(" and ");
            if blocks.is_empty() { subnet.name.clone() } else { format!("{} ({blocks})", subnet.name) }
        });
        let subnets = subnets.collect::<Vec<_>>().join(", ");
        let holds = if subnets.is_empty() { "no subnet".to_owned() } else { subnets };
        let kind = match vpc.kind {
            Kind::Physical => "Physical network",
            Kind::Transit => "Transit gateway",
            Kind::Vpc | Kind::Default => "VPC",
        };
        lines.push(format!("{kind} {} holds {holds}.", vpc.name));
    }
    for link in &picture.links {
        let [a, b] = [0, 1].map(|end| picture.end_name(&link.ends[end]));
        lines.push(match link.is_exit {
            true => format!("{a} has a gateway on {b}."),
            false => format!("{a} and {b} are peers."),
        });
    }
    lines.join(" ")
}

fn add_frame(out: &mut String, at: usize, frame: &Frame, vpc: &Vpc) {
    let class = match vpc.kind {
        Kind::Vpc | Kind::Transit => "vpc",
        Kind::Default => "vpc default",
        Kind::Physical => "vpc physical",
    };
    let class = signed(class, vpc.sign.as_ref());
    let _ = writeln!(out, "<g class=\"{class}\" id=\"vpc-{at}\"{}>", group(vpc.sign.as_ref()));
    add_title(out, vpc.kind.text(), &vpc.name, vpc.place.as_ref());
    add_box(out, "box", frame.at, 10);
    for rail in &frame.rails {
        add_line(out, "rail", rail);
    }
    frame.router.iter().for_each(|router| add_chip(out, "router", router, 11));
    frame.badge.iter().for_each(|badge| add_badge(out, badge));
    frame.texts.iter().for_each(|text| add_text(out, text));
    for card in &frame.cards {
        add_card(out, at, card, &vpc.subnets[card.subnet]);
    }
    out.push_str("</g>\n");
}

fn add_card(out: &mut String, vpc: usize, card: &Card, subnet: &Subnet) {
    let mut class = "subnet".to_owned();
    for (mark, name) in [(Mark::Private, " private"), (Mark::Unrouted, " unrouted")] {
        if subnet.marks.contains(&mark) {
            class.push_str(name);
        }
    }
    let class = signed(&class, subnet.sign.as_ref());
    let _ = writeln!(out, "<g class=\"{class}\" id=\"subnet-{vpc}-{}\">", card.subnet);
    add_title(out, "subnet", &subnet.name, subnet.place.as_ref());
    add_box(out, "box", card.at, 7);
    card.badge.iter().for_each(|badge| add_badge(out, badge));
    card.texts.iter().for_each(|text| add_text(out, text));
    for chip in &card.chips {
        let class = match subnet.marks[chip.mark] {
            Mark::Private | Mark::Allows(_) => "mark private",
            Mark::Underlay(_) => "mark underlay",
            Mark::Unrouted | Mark::Dhcp | Mark::Rules(_) | Mark::Table(_) => "mark",
        };
        add_chip(out, class, chip, 9);
    }
    if let Some(rule) = &card.rule {
        add_line(out, "rule", rule);
    }
    for lines in card.items.chunk_by(|a, b| a.workload.is_some() && a.workload == b.workload) {
        add_items(out, &format!("{vpc}-{}", card.subnet), lines, subnet);
    }
    out.push_str("</g>\n");
}

/// What is said of one workload, or of several.
fn add_items(out: &mut String, card: &str, lines: &[Item], subnet: &Subnet) {
    let of = lines.first().and_then(|item| item.workload);
    if let Some(at) = of {
        let sign = subnet.workloads[at].sign.as_ref();
        let class = signed("workload", sign);
        let _ = writeln!(out, "<g class=\"{class}\" id=\"workload-{card}-{at}\"{}>", group(sign));
    }
    for item in lines {
        item.glyph.iter().for_each(|glyph| add_glyph(out, glyph.at, glyph.kind));
        item.badge.iter().for_each(|badge| add_badge(out, badge));
        item.texts.iter().for_each(|text| add_text(out, text));
    }
    if of.is_some() {
        out.push_str("</g>\n");
    }
}

/// A class, and what an overlay adds to it.
fn signed(class: &str, sign: Option<&Sign>) -> String {
    sign.map_or(class.to_owned(), |sign| format!("{class} {}", sign.tone.class()))
}

/// Which group of those that behave alike an object is in, as an attribute.
fn group(sign: Option<&Sign>) -> String {
    match sign.map(|sign| sign.tone) {
        Some(Tone::Group(n)) => format!(" data-group=\"{n}\""),
        _ => String::new(),
    }
}

fn add_badge(out: &mut String, badge: &Badge) {
    let hue = match badge.tone {
        Tone::Group(n) => format!(" g{}", n % N_HUES),
        _ => String::new(),
    };
    add_labelled(out, &format!("sign {}{hue}", badge.tone.class()), badge.at, 4, &badge.text);
}

/// A square, a disc, a diamond.
fn add_glyph(out: &mut String, at: Rect, kind: WorkloadKind) {
    let Rect { x, y, w, h } = at;
    let (rx, ry) = (x + w / 2, y + h / 2);
    let _ = match kind {
        WorkloadKind::Machine => {
            writeln!(
                out,
                "<rect class=\"machine\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"2\"/>"
            )
        }
        WorkloadKind::Container => {
            writeln!(out, "<circle class=\"container\" cx=\"{rx}\" cy=\"{ry}\" r=\"{}\"/>", w / 2)
        }
        WorkloadKind::VirtualAddress => {
            let (right, bottom) = (x + w, y + h);
            writeln!(out, "<path class=\"virtual\" d=\"M{rx} {y}L{right} {ry}L{rx} {bottom}L{x} {ry}Z\"/>")
        }
    };
}

fn add_wire(out: &mut String, picture: &Picture, wire: &Wire) {
    let link = &picture.links[wire.link];
    let hue = if link.is_exit { "exit".to_owned() } else { format!("h{}", wire.link % N_HUES) };
    let class = signed(&format!("link {hue}"), link.sign.as_ref());
    let _ = writeln!(out, "<g class=\"{class}\" id=\"link-{}\">", wire.link);
    let ends = link.ends.each_ref().map(|end| {
        let name = picture.end_name(end);
        if end.address.is_empty() { name.to_owned() } else { format!("{name} {}", end.address) }
    });
    let _ = writeln!(out, "<title>{}</title>", escape(&ends.join(" – ")));
    let _ = writeln!(out, "<path d=\"{}\"/>", path(&wire.points));
    for (x, y) in [wire.points.first(), wire.points.last()].into_iter().flatten() {
        let _ = writeln!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\"/>");
    }
    out.push_str("</g>\n");
}

/// A line with rounded corners.
fn path(points: &[Point]) -> String {
    let mut d = String::new();
    for (at, &(x, y)) in points.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).and_then(|n| points.get(n)), points.get(at + 1));
        let _ = match (before, after) {
            (None, _) => write!(d, "M{x} {y}"),
            (Some(_), None) => write!(d, "L{x} {y}"),
            (Some(&before), Some(&after)) => {
                let ((ax, ay), (bx, by)) = (towards((x, y), before), towards((x, y), after));
                write!(d, "L{ax} {ay}Q{x} {y} {bx} {by}")
            }
        };
    }
    d
}

/// The point a corner's radius from one point towards another, but not beyond the middle.
fn towards((x, y): Point, (to_x, to_y): Point) -> Point {
    let step = |d: i32| d.signum() * CORNER.min(d.abs() / 2);
    (x + step(to_x - x), y + step(to_y - y))
}

fn add_title(out: &mut String, kind: &str, name: &str, place: Option<&super::Place>) {
    let place = place.map_or(String::new(), |place| format!("\n{}", place.line));
    let _ = writeln!(out, "<title>{}</title>", escape(&format!("{kind} {name}{place}")));
}

fn add_box(out: &mut String, class: &str, at: Rect, radius: i32) {
    let Rect { x, y, w, h } = at;
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{radius}\"/>"
    );
}

fn add_chip(out: &mut String, class: &str, chip: &Chip, radius: i32) {
    add_labelled(out, class, chip.at, radius, &chip.text);
}

fn add_labelled(out: &mut String, class: &str, at: Rect, radius: i32, text: &Text) {
    let Rect { x, y, w, h } = at;
    let _ = write!(
        out,
        "<g class=\"{class}\"><rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{radius}\"/>"
    );
    add_text(out, text);
    out.truncate(out.trim_end().len());
    out.push_str("</g>\n");
}

fn add_line(out: &mut String, class: &str, [(x1, y1), (x2, y2)]: &[Point; 2]) {
    let _ = writeln!(out, "<path class=\"{class}\" d=\"M{x1} {y1}L{x2} {y2}\"/>");
}

fn add_text(out: &mut String, text: &Text) {
    let class = match text.style {
        Style::Title => "title",
        Style::Kind => "kind",
        Style::Note => "note",
        Style::Name => "name",
        Style::Block => "block",
        Style::Address => "address",
        Style::Member => "member",
        Style::Chip => "chip",
    };
    let _ = write!(out, "<text class=\"{class}\" x=\"{}\" y=\"{}\"", text.x, text.y);
    out.push_str(match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    });
    if text::is_guessed(&text.shown) && text.width() > 0 {
        // Scripts whose letters join or stack are as wide as they like; this makes them keep to their room.
        let _ = write!(out, " textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"", text.width());
    }
    out.push('>');
    if let Some(full) = &text.full {
        let _ = write!(out, "<title>{}</title>", escape(full));
    }
    let _ = writeln!(out, "{}</text>", escape(&text.shown));
}

/// Text that means itself between tags and in attributes. What XML 1.0 can't hold at all is replaced.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
