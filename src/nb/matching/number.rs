//! Integers and addresses, with or without a mask: the part of OVN's lexer that has the most rules.
//!
//! Refuses to know how wide the field is that a number is compared with.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ast::Format;
use super::lex::{TokenKind, Written};

/// The longest text that OVN tries to read as an IP address.
const ADDRESS_LEN_MAX: usize = 45;

/// How many hexadecimal digits, leading zeros aside, OVN has room for: 128 bytes.
const HEX_DIGITS_MAX: usize = 256;

/// How many of them the widest field has.
const FIELD_DIGITS_MAX: usize = 32;

/// A number without a mask.
struct Plain {
    value: u128,
    format: Format,
    /// Whether `value` is only the end of it. A mask can still make it fit a field.
    is_cut: bool,
}

/// A number at the start of `rest`, and its length.
pub(super) fn lex(rest: &str) -> (TokenKind, usize) {
    let value_len = extent(rest);
    let value_text = &rest[..value_len];
    let value = match plain(value_text) {
        Ok(value) => value,
        Err(message) => return (TokenKind::Bad(message, None), value_len),
    };
    let Some(after) = rest[value_len..].strip_prefix('/') else {
        let Plain { value, format, is_cut } = value;
        let whole = TokenKind::Number(Written { value, mask: None, format });
        return (if is_cut { too_wide(value_text) } else { whole }, value_len);
    };
    let mask_len = extent(after);
    let mask_text = &after[..mask_len];
    let kind = match plain(mask_text) {
        Err(message) => TokenKind::Bad(message, None),
        Ok(mask) if mask.is_cut => too_wide(mask_text),
        Ok(mask) => masked(&value, &mask).map_or_else(
            || {
                let message = format!("`{mask_text}` is no mask for `{value_text}`");
                TokenKind::Bad(message, Some(mask_help(value.format)))
            },
            TokenKind::Number,
        ),
    };
    (kind, value_len + 1 + mask_len)
}

fn too_wide(text: &str) -> TokenKind {
    TokenKind::Bad(format!("`{text}` does not fit into 128 bits"), None)
}

/// How far a number reaches. A colon after a dot ends it (`10.0.0.1:80`), and so do two dots.
fn extent(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut has_dot = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'.' if bytes.get(at + 1) != Some(&b'.') => has_dot = true,
            b':' if !has_dot => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => break,
        }
        at += 1;
    }
    at
}

/// The whole of `text` as a number.
fn plain(text: &str) -> Result<Plain, String> {
    let whole = |value, format| Ok(Plain { value, format, is_cut: false });
    if text.is_empty() {
        return Err("a number is missing".to_owned());
    }
    if let Some(value) = mac(text) {
        return whole(value, Format::Mac);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return whole(decimal(text)?, Format::Decimal);
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return hexadecimal(text, digits);
    }
    let short = Some(text).filter(|text| text.len() <= ADDRESS_LEN_MAX);
    if let Some(address) = short.and_then(|text| text.parse::<Ipv4Addr>().ok()) {
        return whole(u128::from(address.to_bits()), Format::Ipv4);
    }
    if let Some(address) = short.and_then(|text| text.parse::<Ipv6Addr>().ok()) {
        return whole(address.to_bits(), Format::Ipv6);
    }
    Err(format!("`{text}` is neither a number nor an address"))
}

fn decimal(text: &str) -> Result<u128, String> {
    if text.starts_with('0') && text != "0" {
        return Err(format!("`{text}` has leading zeros"));
    }
    let value = text.parse::<u64>();
    value.map(u128::from).map_err(|_| format!("`{text}` does not fit into 64 bits; write it in hexadecimal"))
}

fn hexadecimal(text: &str, digits: &str) -> Result<Plain, String> {
    if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_hexdigit()) {
        return Err(format!("`{text}` is not a hexadecimal number"));
    }
    let significant = digits.trim_start_matches('0');
    if significant.len() > HEX_DIGITS_MAX {
        return Err(format!("`{text}` does not fit into 1024 bits"));
    }
    let last = &significant[significant.len().saturating_sub(FIELD_DIGITS_MAX)..];
    let value = u128::from_str_radix(last, 16).unwrap_or(0);
    Ok(Plain { value, format: Format::Hexadecimal, is_cut: significant.len() > last.len() })
}

/// A MAC address: any text of 17 bytes that `scanf` reads as six hexadecimal numbers with colons
/// between them. It keeps the low byte of each.
fn mac(text: &str) -> Option<u128> {
    const MAC_LEN: usize = 17;
    if text.len() != MAC_LEN {
        return None;
    }
    let mut value = 0;
    let mut n_groups = 0;
    for group in text.split(':') {
        let digits = group.strip_prefix("0x").or_else(|| group.strip_prefix("0X")).unwrap_or(group);
        let byte = u128::from_str_radix(digits, 16).ok()? & 0xff;
        value = value << 8 | byte;
        n_groups += 1;
    }
    (n_groups == 6).then_some(value)
}

/// `value` under `mask`, where their formats go together.
fn masked(value: &Plain, mask: &Plain) -> Option<Written> {
    // OVN keeps the low 32 bits of a prefix length.
    let prefix_len = mask.value as u32;
    let (mask, format) = match (value.format, mask.format) {
        (format, mask_format) if format == mask_format => (mask.value, format),
        (Format::Ipv4, Format::Decimal) if prefix_len <= 32 => (prefix_mask(prefix_len, 32), Format::Ipv4),
        (Format::Ipv6, Format::Decimal) if prefix_len <= 128 => (prefix_mask(prefix_len, 128), Format::Ipv6),
        (Format::Decimal, Format::Hexadecimal) if value.value == 0 => (mask.value, Format::Hexadecimal),
        _ => return None,
    };
    Some(Written { value: value.value, mask: Some(mask), format })
}

fn mask_help(format: Format) -> &'static str {
    match format {
        Format::Decimal => "mask a decimal number with a decimal one, or write both in hexadecimal",
        Format::Hexadecimal => "mask a hexadecimal number with a hexadecimal one",
        Format::Ipv4 => "write a prefix length up to 32, or a mask such as 255.255.255.0",
        Format::Ipv6 => "write a prefix length up to 128, or a mask such as ffff::",
        Format::Mac => "mask a MAC address with one, such as ff:ff:ff:00:00:00",
    }
}

/// The mask whose highest `len` of `width` bits are set.
pub(super) fn prefix_mask(len: u32, width: u32) -> u128 {
    let ones = |n: u32| 1_u128.checked_shl(n).map_or(u128::MAX, |bit| bit - 1);
    ones(width) & !ones(width - len)
}

/// The length of the prefix that `mask` is, where it is one.
pub(super) fn prefix_len(mask: u128, width: u32) -> Option<u32> {
    let len = mask.count_ones();
    (len <= width && prefix_mask(len, width) == mask).then_some(len)
}
