//! Integers and addresses, with or without a mask: the part of OVN's lexer that has the most rules.
//!
//! Refuses to know how wide the field is that a number is compared with.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ast::Format;
use super::lex::{TokenKind, Written};

/// The longest text that OVN tries to read as an IP address.
const ADDRESS_LEN_MAX: usize = 45;

/// How many digits of OVN's widest number, 128 bits, can be other than leading zeros.
const HEX_DIGITS_MAX: usize = 32;

/// A number at the start of `rest`, and its length.
pub(super) fn lex(rest: &str) -> (TokenKind, usize) {
    let value_len = extent(rest);
    let (value, format) = match plain(&rest[..value_len]) {
        Ok(number) => number,
        Err(message) => return (TokenKind::Bad(message, None), value_len),
    };
    let Some(after) = rest[value_len..].strip_prefix('/') else {
        return (TokenKind::Number(Written { value, mask: None, format }), value_len);
    };
    let mask_len = extent(after);
    let len = value_len + 1 + mask_len;
    let mask = match plain(&after[..mask_len]) {
        Ok(mask) => mask,
        Err(message) => return (TokenKind::Bad(message, None), len),
    };
    match masked(value, format, mask) {
        Some(number) => (TokenKind::Number(number), len),
        None => {
            let message = format!("`{}` is no mask for `{}`", &after[..mask_len], &rest[..value_len]);
            (TokenKind::Bad(message, Some(mask_help(format))), len)
        }
    }
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

/// A number without a mask.
fn plain(text: &str) -> Result<(u128, Format), String> {
    if text.is_empty() {
        return Err("a number is missing".to_owned());
    }
    if let Some(value) = mac(text) {
        return Ok((value, Format::Mac));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return decimal(text);
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return hexadecimal(text, digits);
    }
    let short = Some(text).filter(|text| text.len() <= ADDRESS_LEN_MAX);
    if let Some(address) = short.and_then(|text| text.parse::<Ipv4Addr>().ok()) {
        return Ok((u128::from(address.to_bits()), Format::Ipv4));
    }
    if let Some(address) = short.and_then(|text| text.parse::<Ipv6Addr>().ok()) {
        return Ok((address.to_bits(), Format::Ipv6));
    }
    Err(format!("`{text}` is neither a number nor an address"))
}

fn decimal(text: &str) -> Result<(u128, Format), String> {
    if text.starts_with('0') && text != "0" {
        return Err(format!("`{text}` has leading zeros"));
    }
    match text.parse::<u64>() {
        Ok(value) => Ok((u128::from(value), Format::Decimal)),
        Err(_) => Err(format!("`{text}` does not fit into 64 bits; write it in hexadecimal")),
    }
}

fn hexadecimal(text: &str, digits: &str) -> Result<(u128, Format), String> {
    let significant = digits.trim_start_matches('0');
    if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_hexdigit()) {
        return Err(format!("`{text}` is not a hexadecimal number"));
    }
    if significant.len() > HEX_DIGITS_MAX {
        return Err(format!("`{text}` does not fit into 128 bits"));
    }
    let value = u128::from_str_radix(significant, 16).unwrap_or(0);
    Ok((value, Format::Hexadecimal))
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
fn masked(value: u128, format: Format, (mask, mask_format): (u128, Format)) -> Option<Written> {
    // OVN keeps the low 32 bits of a prefix length.
    let prefix_len = mask as u32;
    let (mask, format) = match (format, mask_format) {
        (value_format, mask_format) if value_format == mask_format => (mask, value_format),
        (Format::Ipv4, Format::Decimal) if prefix_len <= 32 => (prefix_mask(prefix_len, 32), Format::Ipv4),
        (Format::Ipv6, Format::Decimal) if prefix_len <= 128 => (prefix_mask(prefix_len, 128), Format::Ipv6),
        (Format::Decimal, Format::Hexadecimal) if value == 0 => (mask, Format::Hexadecimal),
        _ => return None,
    };
    Some(Written { value, mask: Some(mask), format })
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
