//! A subnet's card: its name, blocks, marks and workloads in lines below each other.
//!
//! Made at the origin; its parent moves it. Refuses to choose its own width.

use super::text::{self, Style};
use super::{Badge, Card, Chip, Glyph, Item, Point, Rect, Text};
use crate::graph::{NAMED_MAX, Sign, Subnet, WorkloadKind, census};

const PAD: i32 = 12;
const WIDTH_MIN: i32 = 190;
const WIDTH_MAX: i32 = 330;
const LINE: i32 = 17;
const CHIP_HEIGHT: i32 = 18;
const CHIP_PAD: i32 = 7;
const GLYPH: i32 = 8;
/// Where a workload's name begins.
const MEMBER_X: i32 = PAD + GLYPH + 7;
/// Between a text and another on the same line.
const APART: i32 = 14;

/// The width that the subnet would like to have.
pub(super) fn wanted_width(subnet: &Subnet) -> i32 {
    let name = text::width(&subnet.name, Style::Name) + Badge::room(subnet.sign.as_ref());
    let notes = notes(subnet).into_iter().map(|note| text::width(note, Style::Note));
    let blocks = subnet.blocks.iter().map(block_width);
    let chips = subnet.marks.iter().map(|mark| chip_width(&mark.text()));
    let members = members(subnet).into_iter().map(|m| {
        let apart = if m.address.is_empty() { 0 } else { APART };
        let sign = Badge::room(m.sign);
        let name = sign + text::width(&m.name, Style::Member);
        MEMBER_X - PAD + name + apart + text::width(&m.address, Style::Address)
    });
    let widest = notes.chain(blocks).chain(chips).chain(members).chain([name]).max().unwrap_or(0);
    (widest + 2 * PAD).clamp(WIDTH_MIN, WIDTH_MAX)
}

fn notes(subnet: &Subnet) -> impl IntoIterator<Item = &str> {
    [subnet.description.as_str(), subnet.network.as_str()].into_iter().filter(|note| !note.is_empty())
}

fn gateway(block: &(String, String)) -> String {
    if block.1.is_empty() { String::new() } else { format!("gw {}", block.1) }
}

fn block_width(block: &(String, String)) -> i32 {
    let gateway = gateway(block);
    let apart = if gateway.is_empty() { 0 } else { APART };
    text::width(&block.0, Style::Block) + apart + text::width(&gateway, Style::Address)
}

fn chip_width(words: &str) -> i32 {
    text::width(words, Style::Chip) + 2 * CHIP_PAD
}

/// A line about workloads.
struct Member<'s> {
    kind: Option<WorkloadKind>,
    sign: Option<&'s Sign>,
    /// The workload, an index into the subnet's; `None` for several.
    of: Option<usize>,
    name: String,
    address: String,
}

/// A line an address, or one for all of which an overlay says the same where they are many.
fn members(subnet: &Subnet) -> Vec<Member<'_>> {
    if subnet.workloads.len() > NAMED_MAX {
        let lines = subnet.by_sign().into_iter();
        return lines
            .map(|(sign, workloads)| Member {
                kind: workloads.first().map(|w| w.kind),
                sign,
                of: None,
                name: census(&workloads),
                address: String::new(),
            })
            .collect();
    }
    let mut lines = Vec::new();
    for (at, workload) in subnet.workloads.iter().enumerate() {
        let mut addresses = workload.addresses.iter().cloned();
        lines.push(Member {
            kind: Some(workload.kind),
            sign: workload.sign.as_ref(),
            of: Some(at),
            name: workload.name.clone(),
            address: addresses.next().unwrap_or_default(),
        });
        lines.extend(addresses.map(|address| Member {
            kind: None,
            sign: None,
            of: Some(at),
            name: String::new(),
            address,
        }));
    }
    lines
}

/// The card at the origin, as wide as told, as high as it needs.
pub(super) fn card(subnet: &Subnet, index: usize, width: i32) -> Card {
    let inner = width - 2 * PAD;
    let mut card = Card {
        at: Rect { x: 0, y: 0, w: width, h: 0 },
        subnet: index,
        texts: vec![Text::new(
            (PAD, 21),
            Style::Name,
            &subnet.name,
            inner - Badge::room(subnet.sign.as_ref()),
        )],
        badge: subnet.sign.as_ref().map(|sign| Badge::ending((width - PAD, 21), sign)),
        chips: Vec::new(),
        items: Vec::new(),
        rule: None,
    };
    let mut y = 21;
    for note in notes(subnet) {
        y += LINE;
        card.texts.push(Text::new((PAD, y), Style::Note, note, inner));
    }
    for block in &subnet.blocks {
        y = add_block(&mut card, block, y + LINE + 1, inner);
    }
    if !subnet.marks.is_empty() {
        y = add_chips(&mut card, subnet, y + 9, width);
    }
    y += 11;
    if !subnet.workloads.is_empty() {
        card.rule = Some([(PAD, y), (width - PAD, y)]);
        y = add_members(&mut card, subnet, y + 2, inner) + 10;
    }
    card.at.h = y;
    card
}

/// The block, and its gateway on the same line where there is room. Gives the last baseline.
fn add_block(card: &mut Card, block: &(String, String), y: i32, inner: i32) -> i32 {
    card.texts.push(Text::new((PAD, y), Style::Block, &block.0, inner));
    if block.1.is_empty() {
        return y;
    }
    let y = if block_width(block) <= inner { y } else { y + LINE };
    let right: Point = (PAD + inner, y);
    card.texts.push(Text::new(right, Style::Address, &gateway(block), inner).ending_here());
    y
}

/// Chips in lines from `y` on. Gives the lower edge of the last.
fn add_chips(card: &mut Card, subnet: &Subnet, top: i32, width: i32) -> i32 {
    let (mut x, mut y) = (PAD, top);
    for (mark, words) in subnet.marks.iter().map(super::super::Mark::text).enumerate() {
        let w = chip_width(&words).min(width - 2 * PAD);
        if x + w > width - PAD {
            (x, y) = (PAD, y + CHIP_HEIGHT + 5);
        }
        let text = Text::new((x + w / 2, y + 13), Style::Chip, &words, w - 2 * CHIP_PAD).centred_here();
        card.chips.push(Chip { at: Rect { x, y, w, h: CHIP_HEIGHT }, text, mark });
        x += w + 5;
    }
    y + CHIP_HEIGHT
}

/// Workloads from `y` on. Gives the last baseline.
fn add_members(card: &mut Card, subnet: &Subnet, mut y: i32, inner: i32) -> i32 {
    for member in members(subnet) {
        y += LINE + 1;
        let glyph =
            member.kind.map(|kind| Glyph { at: Rect { x: PAD, y: y - GLYPH, w: GLYPH, h: GLYPH }, kind });
        let name_x = MEMBER_X + Badge::room(member.sign);
        let before_name = name_x - PAD;
        let beside_name = inner - before_name - text::width(&member.name, Style::Member) - APART;
        let room = beside_name.max(inner * 3 / 5 - (name_x - MEMBER_X));
        let address = Text::new((PAD + inner, y), Style::Address, &member.address, room).ending_here();
        let taken = if member.address.is_empty() { 0 } else { address.width() + APART };
        let name = Text::new((name_x, y), Style::Member, &member.name, inner - before_name - taken);
        let texts = [(&member.name, name), (&member.address, address)].into_iter();
        card.items.push(Item {
            workload: member.of,
            glyph,
            badge: member.sign.map(|sign| Badge::beginning((MEMBER_X, y), sign)),
            texts: texts.filter(|(said, _)| !said.is_empty()).map(|(_, text)| text).collect(),
        });
    }
    y
}
