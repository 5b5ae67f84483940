//! How much room a text takes, and how it is shortened to the room there is.
//!
//! Nobody knows which font a picture is looked at with, so a text is measured with the widest of the usual
//! ones (DejaVu Sans); in any other it leaves some room. Refuses to draw.

use unicode_width::UnicodeWidthChar;

/// What a text is for; each has a font.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// A VPC's name.
    Title,
    /// What a box is: `VPC`.
    Kind,
    /// A description, an overlay network.
    Note,
    /// A subnet's name.
    Name,
    /// A subnet's block.
    Block,
    /// A gateway, a route, an address.
    Address,
    /// The name of a workload or of a peer.
    Member,
    /// A mark on a subnet, the router's label.
    Chip,
}

enum Face {
    Regular,
    Bold,
    Mono,
}

impl Style {
    /// Size in tenths of a pixel.
    pub fn size(self) -> i32 {
        match self {
            Style::Title => 160,
            Style::Kind | Style::Chip => 105,
            Style::Name => 130,
            Style::Block => 120,
            Style::Note | Style::Address => 110,
            Style::Member => 115,
        }
    }

    fn face(self) -> Face {
        match self {
            Style::Title | Style::Name => Face::Bold,
            Style::Block | Style::Address => Face::Mono,
            Style::Kind | Style::Note | Style::Member | Style::Chip => Face::Regular,
        }
    }
}

/// Thousandths of an em of the characters from space to `~`.
const REGULAR: [i32; 95] = [
    318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 500, 838, 318, 361, 318, 337, 637, 637, 637, 637, 637,
    637, 637, 637, 637, 637, 337, 337, 838, 838, 838, 531, 1000, 685, 687, 699, 771, 632, 576, 775, 752, 295,
    295, 656, 558, 863, 749, 788, 604, 788, 695, 635, 611, 732, 685, 989, 686, 611, 686, 391, 337, 391, 838,
    500, 500, 613, 635, 550, 635, 616, 353, 635, 634, 278, 278, 580, 278, 975, 634, 612, 635, 635, 412, 521,
    393, 634, 592, 818, 592, 592, 525, 637, 337, 637, 838,
];

/// The same in bold.
const BOLD: [i32; 95] = [
    349, 457, 521, 838, 696, 1002, 873, 307, 458, 458, 523, 838, 380, 416, 380, 366, 696, 696, 696, 696, 696,
    696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 581, 1000, 774, 763, 734, 831, 684, 684, 821, 837, 373,
    373, 775, 638, 996, 837, 851, 733, 851, 771, 721, 683, 813, 774, 1104, 771, 725, 726, 458, 366, 458, 838,
    500, 500, 675, 716, 593, 716, 679, 436, 716, 712, 343, 343, 666, 343, 1042, 712, 688, 716, 716, 494, 596,
    479, 712, 652, 924, 646, 652, 583, 712, 366, 712, 838,
];

const MONO: i32 = 610;

/// Thousandths of an em.
fn advance(c: char, face: &Face) -> i32 {
    let ascii = (c as usize).checked_sub(0x20).filter(|at| *at < REGULAR.len());
    match (ascii, face) {
        (Some(_), Face::Mono) => MONO,
        (Some(at), Face::Regular) => REGULAR[at],
        (Some(at), Face::Bold) => BOLD[at],
        (None, _) => match (c, c.width()) {
            ('·', _) => 380,
            ('→', _) => 1000,
            (_, None | Some(0)) => 0,
            (_, Some(1)) => 1000,
            (_, Some(_)) => 1400,
        },
    }
}

/// Pixels, rounded up.
pub fn width(text: &str, style: Style) -> i32 {
    let face = style.face();
    let ems: i64 = text.chars().map(|c| i64::from(advance(c, &face))).sum();
    let pixels = (ems * i64::from(style.size()) + 9_999) / 10_000;
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

/// True when the measure is a guess, because no table holds a character of the text.
pub fn is_guessed(text: &str) -> bool {
    !text.chars().all(|c| (' '..='~').contains(&c) || matches!(c, '→' | '·' | '…'))
}

/// The text if it fits into so many pixels, else its beginning and its end around `…`: names of one family
/// differ at the end as often as at the start.
pub fn fit(text: &str, style: Style, room: i32) -> String {
    if width(text, style) <= room {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let shortened = |n: usize| -> String {
        let head = n.div_ceil(2);
        chars[..head].iter().chain(['…'].iter()).chain(&chars[chars.len() - (n - head)..]).collect()
    };
    let fits = |n: &usize| width(&shortened(*n), style) <= room;
    // Widths grow with the number of characters kept, but for characters of no width.
    let kept = (1..chars.len()).take(500).take_while(fits).last().unwrap_or(0);
    shortened(kept)
}
