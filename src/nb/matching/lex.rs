//! Text to tokens, as `lib/lex.c` of OVN cuts it.
//!
//! Refuses to know which tokens may follow which, and to go on after the first thing that is no
//! token.

use std::ops::Range;

use super::ast::{Format, RelOp};
use super::number;

/// A token and its place.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) range: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Id,
    Text(String),
    Number(Written),
    AddressSet,
    PortGroup,
    Template,
    ParenOpen,
    ParenClose,
    BraceOpen,
    BraceClose,
    BracketOpen,
    BracketClose,
    Relation(RelOp),
    Not,
    And,
    Or,
    Ellipsis,
    Comma,
    Assign,
    /// A token of OVN's actions, which no match contains.
    Foreign,
    End,
    /// Not a token: what is wrong, and what would help.
    Bad(String, Option<&'static str>),
}

/// A number as it stands in the text, bits outside its mask included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) value: u128,
    pub(super) mask: Option<u128>,
    pub(super) format: Format,
}

/// All tokens of `text`; the last one is `End` or `Bad`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let token = next(text, at);
        at = token.range.end;
        let is_last = matches!(token.kind, TokenKind::End | TokenKind::Bad(..));
        tokens.push(token);
        if is_last {
            return tokens;
        }
    }
}

/// The first token of `text` at or after `at`.
fn next(text: &str, at: usize) -> Token {
    let start = match skip_blanks(text, at) {
        Ok(start) => start,
        Err(bad) => return bad,
    };
    let rest = &text[start..];
    let (kind, len) = match rest.as_bytes() {
        [] => (TokenKind::End, 0),
        [b'"', ..] => quoted(rest),
        [b'$', ..] => sigil(rest, TokenKind::AddressSet),
        [b'@', ..] => sigil(rest, TokenKind::PortGroup),
        [b'^', ..] => sigil(rest, TokenKind::Template),
        [b'0'..=b'9', ..] | [b':', b':', ..] => number::lex(rest),
        [first, ..] if first.is_ascii_hexdigit() && is_address(rest) => number::lex(rest),
        [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => (TokenKind::Id, id_len(rest)),
        bytes => punctuation(bytes).unwrap_or_else(|| unknown(rest)),
    };
    Token { kind, range: start..start + len }
}

/// Where the next token starts, behind blanks and comments.
fn skip_blanks(text: &str, mut at: usize) -> Result<usize, Token> {
    let bytes = text.as_bytes();
    loop {
        match &bytes[at..] {
            [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => at += 1,
            [b'/', b'/', rest @ ..] => {
                at += 2 + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            }
            [b'/', b'*', ..] => {
                let line = text[at..].lines().next().unwrap_or_default();
                let Some(len) = line[2..].find("*/") else {
                    let message = "`/*` has no `*/` on the same line".to_owned();
                    let range = at..at + line.len();
                    return Err(Token { kind: TokenKind::Bad(message, None), range });
                };
                at += len + 4;
            }
            _ => return Ok(at),
        }
    }
}

fn punctuation(bytes: &[u8]) -> Option<(TokenKind, usize)> {
    let found = match bytes {
        [b'(', ..] => (TokenKind::ParenOpen, 1),
        [b')', ..] => (TokenKind::ParenClose, 1),
        [b'{', ..] => (TokenKind::BraceOpen, 1),
        [b'}', ..] => (TokenKind::BraceClose, 1),
        [b'[', ..] => (TokenKind::BracketOpen, 1),
        [b']', ..] => (TokenKind::BracketClose, 1),
        [b',', ..] => (TokenKind::Comma, 1),
        [b'=', b'=', ..] => (TokenKind::Relation(RelOp::Eq), 2),
        [b'=', ..] => (TokenKind::Assign, 1),
        [b'!', b'=', ..] => (TokenKind::Relation(RelOp::Ne), 2),
        [b'!', ..] => (TokenKind::Not, 1),
        [b'<', b'=', ..] => (TokenKind::Relation(RelOp::Le), 2),
        [b'<', b'-', b'>', ..] => (TokenKind::Foreign, 3),
        [b'<', ..] => (TokenKind::Relation(RelOp::Lt), 1),
        [b'>', b'=', ..] => (TokenKind::Relation(RelOp::Ge), 2),
        [b'>', ..] => (TokenKind::Relation(RelOp::Gt), 1),
        [b'&', b'&', ..] => (TokenKind::And, 2),
        [b'|', b'|', ..] => (TokenKind::Or, 2),
        [b'.', b'.', ..] => (TokenKind::Ellipsis, 2),
        [b'-', b'-', ..] => (TokenKind::Foreign, 2),
        [b';' | b'-' | b':', ..] => (TokenKind::Foreign, 1),
        _ => return None,
    };
    Some(found)
}

fn unknown(rest: &str) -> (TokenKind, usize) {
    let Some(first) = rest.chars().next() else { return (TokenKind::End, 0) };
    let help = match first {
        '&' => Some("write `&&`"),
        '|' => Some("write `||`"),
        '\'' => Some("quote names with `\"`"),
        _ => None,
    };
    let shown = first.escape_debug();
    (TokenKind::Bad(format!("`{shown}` has no meaning here"), help), first.len_utf8())
}

/// Whether digits and letters up to `f` are followed by a colon: an address, not a name.
fn is_address(rest: &str) -> bool {
    rest.bytes().find(|byte| !byte.is_ascii_hexdigit()) == Some(b':')
}

fn id_len(rest: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len())
}

fn sigil(rest: &str, kind: TokenKind) -> (TokenKind, usize) {
    let name = &rest[1..];
    if name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '.') {
        return (kind, 1 + id_len(name));
    }
    let message = format!("`{}` is not followed by a name", &rest[..1]);
    let help = "a name starts with a letter, `_` or `.`, and goes on with those and digits";
    (TokenKind::Bad(message, Some(help)), 1)
}

/// A string in double quotes, with the escapes of JSON.
fn quoted(rest: &str) -> (TokenKind, usize) {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let kind = match unescape(&rest[1..at]) {
                    Ok(text) => TokenKind::Text(text),
                    Err(message) => TokenKind::Bad(message, None),
                };
                return (kind, at + 1);
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    (TokenKind::Bad("the string has no closing `\"`".to_owned(), None), rest.len())
}

fn unescape(inside: &str) -> Result<String, String> {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (letter, len) = match escape.as_bytes().first() {
            Some(&byte @ (b'"' | b'\\' | b'/')) => (char::from(byte), 1),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => code_point(escape)?,
            _ => {
                let shown: String = escape.chars().take(1).collect();
                return Err(format!("`\\{shown}` is not an escape"));
            }
        };
        text.push(letter);
        rest = &escape[len..];
    }
    text.push_str(rest);
    Ok(text)
}

/// The character that `u` and four digits stand for, or two such groups, and the length of both.
fn code_point(escape: &str) -> Result<(char, usize), String> {
    let unit = |text: Option<&str>| {
        let digits = text?.strip_prefix('u')?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let bad = || "`\\u` needs four hexadecimal digits that stand for a character".to_owned();
    let first = unit(escape.get(..5)).filter(|&first| first != 0).ok_or_else(bad)?;
    // OVN lets the second half of a pair stand alone. No port can be called that: names are UTF-8.
    let is_second_half = (0xdc00..0xe000).contains(&first);
    let letter = char::from_u32(u32::from(first));
    if let Some(letter) = letter.or(is_second_half.then_some(char::REPLACEMENT_CHARACTER)) {
        return Ok((letter, 5));
    }
    let second = escape.get(5..).and_then(|rest| rest.strip_prefix('\\'));
    let second = unit(second.and_then(|rest| rest.get(..5))).ok_or_else(bad)?;
    match char::decode_utf16([first, second]).next() {
        Some(Ok(letter)) => Ok((letter, 11)),
        _ => Err(bad()),
    }
}
