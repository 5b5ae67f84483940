//! Text of others as it is shown to people: nothing in it drives a terminal or turns what follows.
//!
//! Refuses to know what the text is for.

use std::borrow::Cow;

/// The text without control characters and marks of direction: those are written out.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c.is_control() || turns_text(c);
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let show = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        c if is_hidden(c) => format!("\\u{{{:x}}}", c as u32),
        c => c.to_string(),
    };
    Cow::Owned(text.chars().map(show).collect())
}

/// Characters that change the direction of what follows (UAX #9), so that it reads as something else.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
