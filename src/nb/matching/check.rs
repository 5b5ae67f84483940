//! Whether a field may be compared with what it is compared with.
//!
//! Refuses to look at more than one comparison, and at what a `$set` or `@group` holds.

use std::ops::Range;

use super::ast::{Bound, Constant, ConstantKind, FieldRef, Format, Number, RelOp};
use super::number::{prefix_len, prefix_mask};
use super::problem::{Problem, ProblemKind};
use super::symbols::{Definition, Level, Symbol};

/// A field and what it is compared with, as OVN sees it while it parses.
pub(super) struct Comparison<'a> {
    pub(super) field: &'a FieldRef,
    pub(super) op: RelOp,
    pub(super) constants: &'a [Constant],
    pub(super) is_braced: bool,
    /// Whether an odd number of `!` stands around it.
    pub(super) is_negated: bool,
    pub(super) range: Range<usize>,
}

/// Everything that OVN, or we, hold against a comparison.
pub(super) fn comparison(it: &Comparison<'_>) -> Vec<Problem> {
    let mut problems = types(it);
    if !problems.is_empty() {
        return problems;
    }
    problems.extend(ordering(it));
    problems.extend(nominal(it));
    problems.extend(it.constants.iter().flat_map(|constant| meaning(it.field, constant)));
    problems
}

/// A field on its own: the same as a comparison with zero.
pub(super) fn test(field: &FieldRef, is_negated: bool) -> Option<Problem> {
    let name = field.symbol.name;
    if field.symbol.is_text() {
        let message = format!("`{name}` holds text and is neither true nor false");
        let help = format!("compare it: `{name} == \"…\"`");
        return Some(Problem::new(ProblemKind::TypeMismatch, field.range.clone(), message).help(help));
    }
    if field.width > 1 && !is_negated {
        let message = format!("`{name}` has {} bits and needs a comparison", field.width);
        let help = format!("`{name} != 0` says that one of them is set");
        return Some(Problem::new(ProblemKind::MultiBitTest, field.range.clone(), message).help(help));
    }
    let zero = ConstantKind::Number(Number { value: 0, mask: None, format: Format::Hexadecimal });
    nominal(&Comparison {
        field,
        op: RelOp::Ne,
        constants: &[Constant { kind: zero, range: field.range.clone() }],
        is_braced: false,
        is_negated,
        range: field.range.clone(),
    })
}

/// What OVN's `icmp4.frag_mtu` and its like do to the daemons that install the flow.
pub(super) fn action_field(field: &FieldRef) -> Option<Problem> {
    (field.symbol.definition == Definition::ActionField).then(|| {
        let message = format!("`{}` can be set by actions, but not matched", field.symbol.name);
        Problem::new(ProblemKind::ActionField, field.range.clone(), message)
            .help("OVN accepts it, and then whatever evaluates the flow crashes")
    })
}

/// Which bits `low..=high` of `symbol` can be taken.
pub(super) fn subfield(symbol: &Symbol, low: u32, high: u32, range: Range<usize>) -> Result<(), Problem> {
    let name = symbol.name;
    let bad = |message: String| Err(Problem::new(ProblemKind::Subfield, range.clone(), message));
    if symbol.is_text() {
        return bad(format!("`{name}` holds text and has no bits to select"));
    }
    if low > high {
        return bad(format!("bits {low} to {high} are in the wrong order"));
    }
    if high >= symbol.width {
        let last = symbol.width - 1;
        return bad(format!("`{name}` has bits 0 to {last}, and no bit {high}"));
    }
    if symbol.level == Level::Nominal && high - low + 1 != symbol.width {
        return bad(format!("`{name}` can only be matched whole"));
    }
    Ok(())
}

/// A range that no value is in.
pub(super) fn range(low: &Bound, high: &Bound, range: Range<usize>) -> Option<Problem> {
    let (ConstantKind::Number(from), ConstantKind::Number(to)) = (&low.constant.kind, &high.constant.kind)
    else {
        return None;
    };
    let is_empty = match (low.inclusive, high.inclusive) {
        (true, true) => from.value > to.value,
        (true, false) | (false, true) => from.value >= to.value,
        (false, false) => from.value.saturating_add(1) >= to.value,
    };
    is_empty.then(|| Problem::new(ProblemKind::Never, range, "nothing is in this range"))
}

fn types(it: &Comparison<'_>) -> Vec<Problem> {
    let symbol = it.field.symbol;
    let wants_text = symbol.is_text();
    let mismatch = |constant: &Constant| {
        let is_text = constant.kind.is_text();
        (is_text != wants_text).then(|| {
            let (has, got) = if wants_text { ("text", "a number") } else { ("a number", "text") };
            let message = format!("`{}` holds {has} and is compared with {got}", symbol.name);
            Problem::new(ProblemKind::TypeMismatch, constant.range.clone(), message)
        })
    };
    let too_wide = |constant: &Constant| {
        let ConstantKind::Number(number) = &constant.kind else { return None };
        (number.width() > symbol.width).then(|| {
            let (has, needs) = (symbol.width, number.width());
            let message = format!("`{}` has {has} bits, and this needs {needs}", symbol.name);
            Problem::new(ProblemKind::TooWide, constant.range.clone(), message)
        })
    };
    let mismatches: Vec<_> = it.constants.iter().filter_map(mismatch).collect();
    if mismatches.is_empty() {
        return it.constants.iter().filter_map(too_wide).collect();
    }
    mismatches
}

fn ordering(it: &Comparison<'_>) -> Option<Problem> {
    if !it.op.is_ordering() {
        return None;
    }
    let op = it.op;
    let bad = |message: String| Some(Problem::new(ProblemKind::Ordering, it.range.clone(), message));
    if it.is_braced {
        return bad(format!("`{op}` has no meaning for a set of values; use `==` or `!=`"));
    }
    if it.field.symbol.level != Level::Ordinal {
        return bad(format!("`{}` has no order; use `==`", it.field.symbol.name));
    }
    match it.constants.first().map(|constant| &constant.kind) {
        Some(ConstantKind::Number(Number { mask: Some(_), .. })) => {
            let problem = bad(format!("`{op}` has no meaning for a masked value"))?;
            Some(problem.help("name the bits instead, as in `eth.src[0..15] > 0x1111`"))
        }
        Some(ConstantKind::AddressSet(name)) => {
            let message = format!("`{op}` is applied to every address of `${name}` at once");
            let problem = Problem::new(ProblemKind::OrderedSet, it.range.clone(), message);
            Some(problem.help("OVN refuses it once the set is empty or its first address is masked"))
        }
        _ => None,
    }
}

/// OVN turns what it matches whole into flows that say "equal"; it has none that say "different".
fn nominal(it: &Comparison<'_>) -> Option<Problem> {
    let symbol = it.field.symbol;
    if symbol.level != Level::Nominal || it.op.is_ordering() {
        return None;
    }
    let name = symbol.name;
    let is_different = (it.op == RelOp::Ne) != it.is_negated;
    let problem = |message: String| Problem::new(ProblemKind::Nominal, it.range.clone(), message);
    if let Definition::Predicate(_) = symbol.definition {
        let is_false = |constant: &Constant| match &constant.kind {
            ConstantKind::Number(number) => (number.value & 1 == 0) != is_different,
            _ => false,
        };
        return it.constants.iter().any(is_false).then(|| {
            problem(format!("OVN has no flows that say \"not `{name}`\""))
                .help("match the exception in a rule of higher priority, and everything in this one")
        });
    }
    is_different.then(|| {
        problem(format!("OVN has no flows that say \"`{name}` differs\""))
            .help("list the values that should match, or match the exception in a rule of higher priority")
    })
}

/// What a constant that OVN accepts may not mean.
fn meaning(field: &FieldRef, constant: &Constant) -> Option<Problem> {
    let ConstantKind::Number(number) = &constant.kind else { return None };
    let symbol = field.symbol;
    let all_ones = prefix_mask(field.width, field.width);
    let is_partial = |mask: u128| mask & all_ones != all_ones;
    if symbol.level == Level::Nominal && number.mask.is_some_and(is_partial) {
        let message =
            format!("`{}` can only be matched whole, and OVN would drop the condition", symbol.name);
        return Some(Problem::new(ProblemKind::MaskIgnored, constant.range.clone(), message));
    }
    if (number.value | number.mask.unwrap_or(0)) & !all_ones != 0 {
        let kept = Number {
            value: number.value & all_ones,
            mask: number.mask.map(|mask| mask & all_ones),
            format: Format::Hexadecimal,
        };
        let message = format!("this does not fit into {} bits; OVN keeps {kept}", field.width);
        return Some(Problem::new(ProblemKind::Truncated, constant.range.clone(), message));
    }
    let is_address = matches!(number.format, Format::Ipv4 | Format::Ipv6 | Format::Mac);
    let other = symbol.family.filter(|&family| is_address && family != number.format);
    other.map(|family| {
        let (name, got) = (symbol.name, number.format);
        let message = format!("`{name}` holds {family} addresses, and this is an {got} one");
        let help = format!("OVN reads it as the number {:#x}", number.value);
        Problem::new(ProblemKind::AddressFamily, constant.range.clone(), message).help(help)
    })
}

/// Bits that are written and that the mask then clears.
pub(super) fn host_bits(written: u128, number: &Number, range: Range<usize>) -> Option<Problem> {
    let mask = number.mask?;
    if written & !mask == 0 {
        return None;
    }
    let width = match number.format {
        Format::Ipv4 => 32,
        Format::Ipv6 => 128,
        Format::Decimal | Format::Hexadecimal | Format::Mac => 0,
    };
    let message = match prefix_len(mask, width) {
        Some(_) => format!("this matches the network {number}, not one address in it"),
        None => format!("bits outside the mask are ignored; this matches {number}"),
    };
    let problem = Problem::new(ProblemKind::HostBits, range, message);
    Some(problem.help(format!("write `{number}`, or drop the mask to match one value")))
}

impl ConstantKind {
    /// Whether it stands for text and not for numbers.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, ConstantKind::Text(_) | ConstantKind::PortGroup(_))
    }
}
