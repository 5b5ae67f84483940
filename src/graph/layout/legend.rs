//! What signs mean, line by line below the boxes, in columns where the paper is wide.
//!
//! Refuses to know what a sign is about.

use super::text::{self, Style};
use super::{Badge, MARGIN, Text};
use crate::graph::Legend;

/// What has a sign is not told at more length.
const WHO_MAX: i32 = 320;
/// What follows is not told at more length, where others stand beside it.
const WHAT_MAX: i32 = 420;
const LINE: i32 = 20;
const APART: i32 = 16;
/// Fewer lines than these stay in one column.
const COLUMN_MIN: usize = 8;

/// The widths of a legend's parts.
struct Widths {
    sign: i32,
    who: i32,
    what: i32,
}

impl Widths {
    fn of(legend: &Legend) -> Widths {
        let sign = legend.lines.iter().map(|(sign, _, _)| Badge::room(Some(sign)));
        let who = legend.lines.iter().map(|(_, who, _)| text::width(who, Style::Member));
        let what = legend.lines.iter().map(|(_, _, what)| text::width(what, Style::Address));
        let [sign, who, what] =
            [sign.max(), who.max(), what.max()].map(|widest: Option<i32>| widest.unwrap_or(0));
        Widths { sign, who: who.min(WHO_MAX), what: what.min(WHAT_MAX) }
    }

    fn line(&self) -> i32 {
        self.sign + self.who + APART + self.what
    }
}

/// The width that the legend would like to have.
pub(super) fn wanted_width(legend: Option<&Legend>) -> i32 {
    let Some(legend) = legend else { return 0 };
    MARGIN + text::width(&legend.title, Style::Name).max(Widths::of(legend).line())
}

/// Lines of a sign and its texts.
pub(super) type Lines = Vec<(Option<Badge>, Vec<Text>)>;

/// The legend below `top` on paper of a width, and where it ends.
pub(super) fn legend(legend: Option<&Legend>, top: i32, paper: i32) -> (Lines, i32) {
    let Some(legend) = legend else { return (Vec::new(), top) };
    let room = paper - 2 * MARGIN;
    let widths = Widths::of(legend);
    let n_fitting = usize::try_from((room + 2 * APART) / (widths.line() + 2 * APART)).unwrap_or(0).max(1);
    let n_rows = legend.lines.len().div_ceil(n_fitting).max(COLUMN_MIN);
    let n_columns = i32::try_from(legend.lines.len().div_ceil(n_rows)).unwrap_or(1).max(1);
    let column = (room + 2 * APART) / n_columns;
    let first = top + 34;
    let mut lines = vec![(None, vec![Text::new((MARGIN, first), Style::Name, &legend.title, room)])];
    for (x, chunk) in (0..).map(|n: i32| MARGIN + n * column).zip(legend.lines.chunks(n_rows)) {
        for (y, (letters, name, what)) in (1..).map(|n: i32| first + n * LINE).zip(chunk) {
            let mut texts = vec![Text::new((x + widths.sign, y), Style::Member, name, widths.who)];
            if !what.is_empty() {
                let before = widths.sign + widths.who + APART;
                let room = column - 2 * APART - before;
                texts.push(Text::new((x + before, y), Style::Address, what, room));
            }
            lines.push((Some(Badge::beginning((x, y), letters)), texts));
        }
    }
    let n_rows = i32::try_from(legend.lines.len().min(n_rows)).unwrap_or(i32::MAX);
    (lines, first + n_rows * LINE + 8)
}
