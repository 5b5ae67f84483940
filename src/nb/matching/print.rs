//! An expression as text: one canonical form, which OVN accepts and reads as the same expression.
//!
//! Refuses to keep comments, redundant parentheses and the user's spacing; [`one_line`] does keep
//! the user's words.

use std::fmt::{self, Display, Formatter, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::ast::{Bound, Constant, ConstantKind, Expr, ExprKind, FieldRef, Format, Number, RelOp};
use super::lex::{self, TokenKind};
use super::number::prefix_len;

/// The user's own words on one line: comments gone, blanks outside strings single spaces.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut end = 0;
    for token in lex::tokens(text) {
        if token.range.start > end && !line.is_empty() && !token.range.is_empty() {
            line.push(' ');
        }
        line.push_str(&text[token.range.clone()]);
        end = token.range.end;
    }
    line
}

/// The same, in parentheses where it is a choice that `&&` in front of it would tear apart.
pub fn enclosed(text: &str) -> String {
    let mut depth = 0_usize;
    for token in lex::tokens(text) {
        match token.kind {
            TokenKind::ParenOpen => depth += 1,
            TokenKind::ParenClose => depth = depth.saturating_sub(1),
            TokenKind::Or if depth == 0 => return format!("({})", one_line(text)),
            _ => {}
        }
    }
    one_line(text)
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Boolean(value) => write!(f, "{}", u8::from(*value)),
            ExprKind::Test(field) => write!(f, "{field}"),
            ExprKind::Compare { field, op, constants } => {
                write!(f, "{field} {op} ")?;
                print_constants(constants, f)
            }
            ExprKind::Between { low, field, high } => {
                write!(f, "{} {} ", low.constant, low.op())?;
                write!(f, "{field} {} {}", high.op(), high.constant)
            }
            ExprKind::ChassisResident(port) => {
                f.write_str("is_chassis_resident(")?;
                print_quoted(&port.value, f)?;
                f.write_char(')')
            }
            ExprKind::Not(operand) => match operand.kind {
                ExprKind::Boolean(_) | ExprKind::Test(_) | ExprKind::ChassisResident(_) => {
                    write!(f, "!{operand}")
                }
                ExprKind::Compare { .. } | ExprKind::Between { .. } | ExprKind::Not(_) => {
                    write!(f, "!({operand})")
                }
                ExprKind::All(_) | ExprKind::Any(_) => write!(f, "!({operand})"),
            },
            ExprKind::All(operands) => print_joined(operands, " && ", f),
            ExprKind::Any(operands) => print_joined(operands, " || ", f),
        }
    }
}

fn print_joined(operands: &[Expr], joiner: &str, f: &mut Formatter<'_>) -> fmt::Result {
    for (idx, operand) in operands.iter().enumerate() {
        if idx > 0 {
            f.write_str(joiner)?;
        }
        match operand.kind {
            ExprKind::All(_) | ExprKind::Any(_) => write!(f, "({operand})")?,
            _ => write!(f, "{operand}")?,
        }
    }
    Ok(())
}

fn print_constants(constants: &[Constant], f: &mut Formatter<'_>) -> fmt::Result {
    if let [constant] = constants {
        return write!(f, "{constant}");
    }
    for (idx, constant) in constants.iter().enumerate() {
        f.write_str(if idx == 0 { "{" } else { ", " })?;
        write!(f, "{constant}")?;
    }
    f.write_char('}')
}

/// A string as JSON writes it.
fn print_quoted(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(letter))?,
            letter => f.write_char(letter)?,
        }
    }
    f.write_char('"')
}

impl Bound {
    fn op(&self) -> RelOp {
        if self.inclusive { RelOp::Le } else { RelOp::Lt }
    }
}

impl Display for FieldRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol.name)?;
        match self.width {
            _ if !self.is_partial() => Ok(()),
            1 => write!(f, "[{}]", self.low),
            width => write!(f, "[{}..{}]", self.low, self.low + width - 1),
        }
    }
}

impl Display for RelOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RelOp::Eq => "==",
            RelOp::Ne => "!=",
            RelOp::Lt => "<",
            RelOp::Le => "<=",
            RelOp::Gt => ">",
            RelOp::Ge => ">=",
        })
    }
}

impl Display for Constant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ConstantKind::Number(number) => write!(f, "{number}"),
            ConstantKind::Text(text) => print_quoted(text, f),
            ConstantKind::AddressSet(name) => write!(f, "${name}"),
            ConstantKind::PortGroup(name) => write!(f, "@{name}"),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        print_value(self.value, self.format, f)?;
        let Some(mask) = self.mask else { return Ok(()) };
        f.write_char('/')?;
        let len = match self.format {
            Format::Ipv4 => prefix_len(mask, 32),
            Format::Ipv6 => prefix_len(mask, 128),
            Format::Decimal | Format::Hexadecimal | Format::Mac => None,
        };
        match len {
            Some(len) => write!(f, "{len}"),
            None => print_value(mask, self.format, f),
        }
    }
}

fn print_value(value: u128, format: Format, f: &mut Formatter<'_>) -> fmt::Result {
    match format {
        Format::Decimal => write!(f, "{value}"),
        Format::Hexadecimal => write!(f, "{value:#x}"),
        Format::Ipv4 => write!(f, "{}", Ipv4Addr::from_bits(value as u32)),
        Format::Ipv6 => write!(f, "{}", Ipv6Addr::from_bits(value)),
        Format::Mac => {
            let [.., a, b, c, d, e, g] = value.to_be_bytes();
            write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
        }
    }
}

impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Decimal => "decimal",
            Format::Hexadecimal => "hexadecimal",
            Format::Ipv4 => "IPv4",
            Format::Ipv6 => "IPv6",
            Format::Mac => "Ethernet",
        })
    }
}
