//! A VPC's box: its name, its peers at the sides, its router, and its subnets' cards in a grid below it.
//!
//! Made at the origin; its parent moves it. Refuses to know where it will stand.

use super::text::{self, Style};
use super::{Anchor, Badge, Card, Chip, Frame, PITCH, Point, Rect, Text, card};
use crate::graph::{Kind, Vpc};

const PAD: i32 = 18;
/// Where the line from the router down to the subnets is.
const TRUNK_X: i32 = PAD + 16;
/// Where cards begin.
const CARDS_X: i32 = PAD + 32;
const CARD_GAP: i32 = 14;
/// Between rows of cards with a rail between them, and without.
const ROW_GAP_RAIL: i32 = 28;
const ROW_GAP: i32 = 14;
const ROUTER_HEIGHT: i32 = 22;
const ROUTER_WORDS: &str = "router";
const LINE: i32 = 18;
const WIDTH_MIN: i32 = 260;
/// Between peers at the left and at the right.
const PEERS_APART: i32 = 24;
/// A peer's row is not wider than this.
const PEER_MAX: i32 = 320;
/// Wider cards do not read better.
const CARD_MAX: i32 = 440;
/// A grid of cards would like to be so much wider than high, in tenths.
const GRID_RATIO: i32 = 14;

/// A peer's row: its name, and this side's address on the link.
#[derive(Clone, Debug)]
pub(super) struct Peer<'p> {
    pub(super) name: &'p str,
    pub(super) address: &'p str,
}

/// The peers' rows at both sides of a box.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers<'p> {
    pub(super) left: Vec<Peer<'p>>,
    pub(super) right: Vec<Peer<'p>>,
    /// Whether they are half a row further down.
    pub(super) is_shifted: bool,
}

impl Peers<'_> {
    fn n_rows(&self) -> i32 {
        i32::try_from(self.left.len().max(self.right.len())).unwrap_or(i32::MAX)
    }
}

/// A box, and how far below its top the first peer's row is.
pub(super) struct Sketch {
    pub(super) frame: Frame,
    pub(super) first_port_y: i32,
}

/// The width that the box would like to have.
pub(super) fn wanted_width(vpc: &Vpc, peers: &Peers<'_>) -> i32 {
    let title = text::width(&vpc.name, Style::Title).min(420) + 24 + label_width(vpc);
    let cidrs = text::width(&cidrs(vpc), Style::Address).min(420);
    let note = text::width(&vpc.description, Style::Note).min(420);
    let routes = vpc.router_lines().iter().map(|line| text::width(line, Style::Address)).max().unwrap_or(0);
    let header = [title, cidrs, note, routes + router_width() + 12, peers_width(peers)];
    let header = header.into_iter().max().unwrap_or(0) + 2 * PAD;
    header.max(grid_width(vpc)).max(WIDTH_MIN)
}

/// Both sides get half of the box where there are both.
fn peers_width(peers: &Peers<'_>) -> i32 {
    let side = |rows: &[Peer<'_>]| {
        let name = rows.iter().map(|peer| text::width(peer.name, Style::Member)).max().unwrap_or(0);
        let address = rows.iter().map(|peer| text::width(peer.address, Style::Address)).max().unwrap_or(0);
        (name + 10 + address).min(PEER_MAX)
    };
    match (peers.left.is_empty(), peers.right.is_empty()) {
        (true, true) => 0,
        (false, true) => side(&peers.left),
        (true, false) => side(&peers.right),
        (false, false) => 2 * side(&peers.left).max(side(&peers.right)) + PEERS_APART,
    }
}

/// What the box is, and what an overlay says of it.
fn label_width(vpc: &Vpc) -> i32 {
    text::width(vpc.kind.text(), Style::Kind) + Badge::room(vpc.sign.as_ref())
}

/// Where cards begin: there is room for a line from the router before them.
fn cards_x(vpc: &Vpc) -> i32 {
    if vpc.kind == Kind::Physical { PAD } else { CARDS_X }
}

fn cidrs(vpc: &Vpc) -> String {
    vpc.cidrs.join(", ")
}

fn router_width() -> i32 {
    text::width(ROUTER_WORDS, Style::Chip) + 20
}

fn card_width(vpc: &Vpc) -> i32 {
    vpc.subnets.iter().map(card::wanted_width).max().unwrap_or(0)
}

/// The width of the grid whose shape is the most pleasing.
fn grid_width(vpc: &Vpc) -> i32 {
    let n = count(vpc.subnets.len());
    if n == 0 {
        return 0;
    }
    let w = card_width(vpc);
    let heights: i32 = vpc.subnets.iter().map(|s| card::card(s, 0, w).at.h).sum();
    let h = heights / n + ROW_GAP_RAIL;
    let score = |n_columns: &i32| {
        let (width, height) = (n_columns * (w + CARD_GAP), (n + n_columns - 1) / n_columns * h);
        // The side of the smallest frame of the wanted shape around it; then the fewer holes the better.
        let holes = (n + n_columns - 1) / n_columns * n_columns - n;
        ((width * 10).max(height * GRID_RATIO), holes)
    };
    let best = (1..=n.min(64)).min_by_key(score).unwrap_or(1);
    cards_x(vpc) + best * (w + CARD_GAP) - CARD_GAP + PAD
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The box at the origin, as wide as told.
pub(super) fn frame(vpc: &Vpc, width: i32, peers: &Peers<'_>) -> Sketch {
    let inner = width - 2 * PAD;
    let mut texts = Vec::new();
    let badge = vpc.sign.as_ref().map(|sign| Badge::ending((width - PAD, 29), sign));
    let label_x = width - PAD - Badge::room(vpc.sign.as_ref());
    let label = Text::new((label_x, 29), Style::Kind, vpc.kind.text(), inner).ending_here();
    texts.push(Text::new((PAD, 30), Style::Title, &vpc.name, inner - label_width(vpc) - 20));
    texts.push(label);
    let mut y = 30;
    for (line, style) in [(vpc.description.clone(), Style::Note), (cidrs(vpc), Style::Address)] {
        if !line.is_empty() {
            y += LINE;
            texts.push(Text::new((PAD, y), style, &line, inner));
        }
    }
    let shift = if peers.is_shifted { PITCH / 2 } else { 0 };
    let first_port_y = up_to_pitch(y + 4) + PITCH / 2 + shift;
    if peers.n_rows() > 0 {
        add_peers(&mut texts, peers, first_port_y, width);
        y = first_port_y + (peers.n_rows() - 1) * PITCH + PITCH / 2;
    }
    let (router, lines_end) = match vpc.kind {
        Kind::Vpc | Kind::Default | Kind::Transit => {
            let (router, end) = add_router(&mut texts, vpc, y + 14, inner);
            (Some(router), end)
        }
        Kind::Physical => (None, y),
    };
    let trunk_top: Point = (TRUNK_X, router.as_ref().map_or(lines_end, |router| router.at.bottom()));
    let (cards, rails, bottom) = grid(vpc, width, trunk_top, lines_end);
    let height = bottom + PAD;
    let at = Rect { x: 0, y: 0, w: width, h: height };
    let frame = Frame { at, texts, badge, router, rails, cards };
    Sketch { frame, first_port_y }
}

/// The next multiple of the pitch.
pub(super) fn up_to_pitch(y: i32) -> i32 {
    (y + PITCH - 1) / PITCH * PITCH
}

fn add_peers(texts: &mut Vec<Text>, peers: &Peers<'_>, first_y: i32, width: i32) {
    let sides = [(&peers.left, Anchor::Start), (&peers.right, Anchor::End)];
    let is_shared = !peers.left.is_empty() && !peers.right.is_empty();
    let room = if is_shared { (width - 2 * PAD - PEERS_APART) / 2 } else { width - 2 * PAD };
    for (rows, anchor) in sides {
        // Addresses stand below each other, names too.
        let row = |(y, peer): (i32, &Peer<'_>)| {
            let address = Text::new((0, y), Style::Address, peer.address, room * 3 / 5);
            let taken = if peer.address.is_empty() { 0 } else { address.width() + 10 };
            (Text::new((0, y), Style::Member, peer.name, room - taken), address)
        };
        let ys = (0..).map(|n: i32| first_y + 4 + n * PITCH);
        let rows: Vec<(Text, Text)> = ys.zip(rows).map(row).collect();
        let name_width = rows.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
        let address_width = rows.iter().map(|(_, address)| address.width()).max().unwrap_or(0);
        let (name_x, address_x) = match anchor {
            Anchor::Start => (PAD, PAD + (name_width + 10).min(room - address_width)),
            Anchor::Middle | Anchor::End => {
                (width - PAD - (address_width + 10).min(room - name_width), width - PAD)
            }
        };
        for (name, address) in rows {
            texts.push(Text { x: name_x, anchor, ..name });
            if !address.shown.is_empty() {
                texts.push(Text { x: address_x, anchor, ..address });
            }
        }
    }
}

/// The router's label at `top`, and what it does on the lines beside it. Gives where they end.
fn add_router(texts: &mut Vec<Text>, vpc: &Vpc, top: i32, inner: i32) -> (Chip, i32) {
    let w = router_width();
    let at = Rect { x: PAD, y: top, w, h: ROUTER_HEIGHT };
    let words = Text::new((PAD + w / 2, top + 15), Style::Chip, ROUTER_WORDS, w).centred_here();
    let mut bottom = at.bottom();
    for (n, line) in vpc.router_lines().iter().enumerate() {
        let y = top + 15 + count(n) * LINE;
        texts.push(Text::new((PAD + w + 12, y), Style::Address, line, inner - w - 12));
        bottom = bottom.max(y + 5);
    }
    (Chip { at, text: words, mark: 0 }, bottom)
}

/// The cards below `top`, the lines to them from the router, and where it all ends.
fn grid(vpc: &Vpc, width: i32, trunk_top: Point, top: i32) -> (Vec<Card>, Vec<[Point; 2]>, i32) {
    let cards_x = cards_x(vpc);
    let inner = width - cards_x - PAD;
    let wanted = card_width(vpc).max(1);
    let n_fitting = ((inner + CARD_GAP) / (wanted + CARD_GAP)).max(1);
    // As even a grid as the same number of rows allows.
    let n_rows =
        count(vpc.subnets.len()).div_euclid(n_fitting) + i32::from(vpc.subnets.len() as i32 % n_fitting > 0);
    let n_columns = if n_rows == 0 { 1 } else { (count(vpc.subnets.len()) + n_rows - 1) / n_rows };
    let w = ((inner + CARD_GAP) / n_columns - CARD_GAP).min(CARD_MAX.max(wanted));
    let row_gap = if n_columns > 1 { ROW_GAP_RAIL } else { ROW_GAP };
    let (mut cards, mut rails) = (Vec::new(), Vec::new());
    let mut y = top + if n_columns > 1 { ROW_GAP_RAIL } else { ROW_GAP };
    let mut trunk_bottom = trunk_top.1;
    for (row, subnets) in vpc.subnets.chunks(usize::try_from(n_columns).unwrap_or(1)).enumerate() {
        let first = row * usize::try_from(n_columns).unwrap_or(1);
        let mut made: Vec<Card> =
            subnets.iter().enumerate().map(|(n, subnet)| card::card(subnet, first + n, w)).collect();
        let h = made.iter().map(|card| card.at.h).max().unwrap_or(0);
        let routed = (0..).zip(subnets).filter(|(_, s)| s.routed && vpc.kind != Kind::Physical);
        let routed: Vec<i32> = routed.map(|(n, _)| n).collect();
        let x_of = |n: i32| cards_x + n * (w + CARD_GAP);
        if let Some(last) = routed.last() {
            trunk_bottom = if n_columns == 1 { y + 17 } else { y - ROW_GAP_RAIL / 2 };
            if n_columns == 1 {
                rails.push([(TRUNK_X, trunk_bottom), (CARDS_X, trunk_bottom)]);
            } else {
                rails.push([(TRUNK_X, trunk_bottom), (x_of(*last) + 24, trunk_bottom)]);
                rails.extend(routed.iter().map(|n| [(x_of(*n) + 24, trunk_bottom), (x_of(*n) + 24, y)]));
            }
        }
        for (n, card) in (0..).zip(&mut made) {
            card.at.h = h;
            *card = card.clone().shifted(x_of(n), y);
        }
        cards.append(&mut made);
        y += h + row_gap;
    }
    if trunk_bottom > trunk_top.1 {
        rails.insert(0, [trunk_top, (TRUNK_X, trunk_bottom)]);
    }
    let bottom = if cards.is_empty() { top } else { y - row_gap };
    (cards, rails, bottom)
}
