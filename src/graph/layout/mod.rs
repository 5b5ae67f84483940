//! Where everything of a picture goes on paper, in whole pixels: boxes, texts, lines.
//!
//! Four steps: `frame` and `card` say how big a VPC's box is and what stands where in it, `place` puts the boxes into
//! columns, `wire` finds a way for every peering through the gaps between them, `lanes` keeps those ways
//! apart. Pure and deterministic: whole numbers and no hash order. Refuses colours and file formats.

mod card;
mod frame;
mod lanes;
mod legend;
mod place;
pub mod text;
mod wire;

use super::{Picture, Sign, Tone};
use text::Style;
use wire::Heights;

/// A rectangle; `x` and `y` are its upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
    /// Width.
    pub w: i32,
    /// Height.
    pub h: i32,
}

impl Rect {
    /// One past the right edge.
    pub fn right(self) -> i32 {
        self.x + self.w
    }

    /// One past the lower edge.
    pub fn bottom(self) -> i32 {
        self.y + self.h
    }

    fn shifted(self, dx: i32, dy: i32) -> Rect {
        Rect { x: self.x + dx, y: self.y + dy, ..self }
    }

    /// True when they have a point in common, borders left out.
    pub fn overlaps(self, other: Rect) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }

    /// True when the other lies in it.
    pub fn contains(self, other: Rect) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }
}

/// A point: from the left, from the top.
pub type Point = (i32, i32);

/// Which end of a text is at its `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The first character begins there.
    Start,
    /// The middle of the text is there.
    Middle,
    /// The last character ends there.
    End,
}

/// A line of text.
#[derive(Clone, Debug)]
pub struct Text {
    /// Where it is anchored.
    pub x: i32,
    /// Its baseline.
    pub y: i32,
    /// Which end of it is at `x`.
    pub anchor: Anchor,
    /// Its font.
    pub style: Style,
    /// What is drawn, shortened to fit.
    pub shown: String,
    /// What was meant, where that is more than what is drawn.
    pub full: Option<String>,
}

impl Text {
    /// A text that is shortened to so many pixels.
    fn new((x, y): Point, style: Style, text: &str, room: i32) -> Text {
        let shown = text::fit(text, style, room);
        let full = (shown != text).then(|| text.to_owned());
        Text { x, y, anchor: Anchor::Start, style, shown, full }
    }

    fn shifted(self, dx: i32, dy: i32) -> Text {
        Text { x: self.x + dx, y: self.y + dy, ..self }
    }

    fn centred_here(self) -> Text {
        Text { anchor: Anchor::Middle, ..self }
    }

    fn ending_here(self) -> Text {
        Text { anchor: Anchor::End, ..self }
    }

    /// Its width, as measured.
    pub fn width(&self) -> i32 {
        text::width(&self.shown, self.style)
    }

    /// The room that it takes.
    pub fn rect(&self) -> Rect {
        let (w, size) = (self.width(), self.style.size());
        let x = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - (w + 1) / 2,
            Anchor::End => self.x - w,
        };
        // Ascender and descender of most fonts, for the characters that names are made of.
        let (up, down) = ((size * 8 + 99) / 100, (size * 2 + 99) / 100);
        Rect { x, y: self.y - up, w, h: up + down }
    }
}

/// A small label with a frame of its own.
#[derive(Clone, Debug)]
pub struct Chip {
    /// Its frame.
    pub at: Rect,
    /// Its words.
    pub text: Text,
    /// The mark that it shows, an index into the subnet's.
    pub mark: usize,
}

/// What an overlay says, in a frame of its own.
#[derive(Clone, Debug)]
pub struct Badge {
    /// Its frame.
    pub at: Rect,
    /// Its letters.
    pub text: Text,
    /// What they mean.
    pub tone: Tone,
}

impl Badge {
    const PAD: i32 = 4;
    /// Between a badge and what it is about.
    const APART: i32 = 6;

    fn width(sign: &Sign) -> i32 {
        text::width(&sign.text, Style::Chip) + 2 * Badge::PAD
    }

    /// What a sign takes away from what it stands beside.
    fn room(sign: Option<&Sign>) -> i32 {
        sign.map_or(0, |sign| Badge::width(sign) + Badge::APART)
    }

    /// The badge whose left edge is here; `y` is the baseline of the text beside it.
    fn beginning((x, y): Point, sign: &Sign) -> Badge {
        let w = Badge::width(sign);
        let text = Text::new((x + w / 2, y), Style::Chip, &sign.text, w).centred_here();
        Badge { at: Rect { x, y: y - 11, w, h: 14 }, text, tone: sign.tone }
    }

    /// The badge whose right edge is here.
    fn ending((x, y): Point, sign: &Sign) -> Badge {
        Badge::beginning((x - Badge::width(sign), y), sign)
    }

    fn shifted(self, dx: i32, dy: i32) -> Badge {
        Badge { at: self.at.shifted(dx, dy), text: self.text.shifted(dx, dy), ..self }
    }
}

/// A line about a workload, or about several.
#[derive(Clone, Debug)]
pub struct Item {
    /// An index into the subnet's workloads; `None` for several.
    pub workload: Option<usize>,
    /// What it is, before the first of its lines.
    pub glyph: Option<Glyph>,
    /// What an overlay says of it.
    pub badge: Option<Badge>,
    /// Its name, its address.
    pub texts: Vec<Text>,
}

impl Item {
    fn shifted(self, dx: i32, dy: i32) -> Item {
        Item {
            glyph: self.glyph.map(|glyph| Glyph { at: glyph.at.shifted(dx, dy), ..glyph }),
            badge: self.badge.map(|badge| badge.shifted(dx, dy)),
            texts: self.texts.into_iter().map(|text| text.shifted(dx, dy)).collect(),
            ..self
        }
    }

    /// Everything that it holds.
    pub fn rects(&self) -> impl Iterator<Item = Rect> {
        let texts = self.texts.iter().map(Text::rect);
        let glyph = self.glyph.iter().map(|glyph| glyph.at);
        texts.chain(glyph).chain(self.badge.iter().map(|badge| badge.at))
    }
}

/// A workload's sign.
#[derive(Clone, Copy, Debug)]
pub struct Glyph {
    /// Its frame.
    pub at: Rect,
    /// What it stands for.
    pub kind: super::WorkloadKind,
}

/// A subnet.
#[derive(Clone, Debug)]
pub struct Card {
    /// Its frame.
    pub at: Rect,
    /// An index into the VPC's subnets.
    pub subnet: usize,
    /// Its texts, all but those of chips and items.
    pub texts: Vec<Text>,
    /// Its marks.
    pub chips: Vec<Chip>,
    /// What an overlay says of it.
    pub badge: Option<Badge>,
    /// Its workloads, line by line.
    pub items: Vec<Item>,
    /// The line above its workloads.
    pub rule: Option<[Point; 2]>,
}

/// A VPC.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its frame.
    pub at: Rect,
    /// Name, notes, peers, routes.
    pub texts: Vec<Text>,
    /// What an overlay says of it.
    pub badge: Option<Badge>,
    /// The router, where it has one.
    pub router: Option<Chip>,
    /// From the router to the subnets.
    pub rails: Vec<[Point; 2]>,
    /// The subnets.
    pub cards: Vec<Card>,
}

/// A peering.
#[derive(Clone, Debug)]
pub struct Wire {
    /// An index into the picture's links.
    pub link: usize,
    /// From one box's border to the other's; neighbours differ in one coordinate.
    pub points: Vec<Point>,
}

/// A picture on paper.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Width.
    pub w: i32,
    /// Height.
    pub h: i32,
    /// The VPCs, as in the picture.
    pub frames: Vec<Frame>,
    /// The peerings, as in the picture.
    pub wires: Vec<Wire>,
    /// What signs mean: a title, and lines of a sign and its texts.
    pub legend: Vec<(Option<Badge>, Vec<Text>)>,
    /// What the picture holds, in a line.
    pub footer: Text,
}

/// Between the paper's edge and everything.
const MARGIN: i32 = 20;
/// Boxes begin at multiples of this, and lines to them and between them are at multiples of its half.
const PITCH: i32 = 20;

/// Places a picture.
pub fn layout(picture: &Picture) -> Layout {
    let columns = place::columns(picture);
    let routes = wire::routes(picture, &columns);
    let (mut frames, mut wires) = wire::assemble(picture, &columns, &routes, Heights::Shared);
    if wire::touch(&wires) {
        (frames, wires) = wire::assemble(picture, &columns, &routes, Heights::Apart);
    }
    let right =
        frames.iter().map(|f| f.at.right()).chain(wires.iter().flat_map(|w| w.points.iter().map(|p| p.0)));
    let bottom =
        frames.iter().map(|f| f.at.bottom()).chain(wires.iter().flat_map(|w| w.points.iter().map(|p| p.1)));
    let summary = picture.summary();
    let needed = text::width(&summary, Style::Note) + MARGIN;
    let needed = needed.max(legend::wanted_width(picture.legend.as_ref()));
    let w = right.max().unwrap_or(0).max(needed) + MARGIN;
    let bottom = bottom.max().unwrap_or(0).max(MARGIN);
    let (legend, bottom) = legend::legend(picture.legend.as_ref(), bottom, w);
    let footer = Text::new((MARGIN, bottom + 26), Style::Note, &summary, w - 2 * MARGIN);
    Layout { w, h: bottom + 26 + 18, frames, wires, legend, footer }
}

impl Layout {
    /// Every text, those of chips too.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let legend = self.legend.iter().flat_map(|(_, texts)| texts);
        self.frames.iter().flat_map(Frame::texts).chain(legend).chain([&self.footer])
    }
}

impl Frame {
    /// Every text, those of chips and cards too.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let router = self.router.iter().map(|router| &router.text);
        self.texts.iter().chain(router).chain(self.cards.iter().flat_map(Card::texts))
    }

    fn shifted(mut self, dx: i32, dy: i32) -> Frame {
        self.at = self.at.shifted(dx, dy);
        self.texts = self.texts.into_iter().map(|text| text.shifted(dx, dy)).collect();
        self.badge = self.badge.map(|badge| badge.shifted(dx, dy));
        self.router = self.router.map(|router| router.shifted(dx, dy));
        self.rails = self.rails.into_iter().map(|rail| shifted(rail, dx, dy)).collect();
        self.cards = self.cards.into_iter().map(|card| card.shifted(dx, dy)).collect();
        self
    }
}

fn shifted(line: [Point; 2], dx: i32, dy: i32) -> [Point; 2] {
    line.map(|(x, y)| (x + dx, y + dy))
}

impl Chip {
    fn shifted(self, dx: i32, dy: i32) -> Chip {
        Chip { at: self.at.shifted(dx, dy), text: self.text.shifted(dx, dy), ..self }
    }
}

impl Card {
    fn shifted(mut self, dx: i32, dy: i32) -> Card {
        self.at = self.at.shifted(dx, dy);
        self.texts = self.texts.into_iter().map(|text| text.shifted(dx, dy)).collect();
        self.chips = self.chips.into_iter().map(|chip| chip.shifted(dx, dy)).collect();
        self.badge = self.badge.map(|badge| badge.shifted(dx, dy));
        self.items = self.items.into_iter().map(|item| item.shifted(dx, dy)).collect();
        self.rule = self.rule.map(|rule| shifted(rule, dx, dy));
        self
    }

    /// Every text, those of chips too.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let items = self.items.iter().flat_map(|item| &item.texts);
        self.texts.iter().chain(self.chips.iter().map(|chip| &chip.text)).chain(items)
    }
}
