//! One match expression: would OVN take it, and does what it names exist?
//!
//! A mistake is underlined at its column. Where OVN only logs that it could not parse a match, the rule is
//! gone and its packets pass, so everything that OVN refuses is an error here (N0501), and a constant that
//! covers more than it says is a warning (N0502). Address sets and port groups must exist (N0503), ports
//! should (N0504), and a field must be one that is set at that place (N0505).

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::names as minted;
use crate::nb::matching::{
    self, ConstantKind, Expr, ExprKind, Number, ProblemKind, ReferenceKind, RelOp, SymbolSet,
};
use crate::span::{Span, Spanned};
use crate::target::Target;

/// Where a match is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On packets that leave a guest: where they go is not known yet.
    FromGuest,
    /// On packets that reach a guest.
    ToGuest,
    /// On packets that a router has routed.
    Policy,
}

/// Longer matches are nobody's by hand, and no argument of a command may be longer than 128 KiB.
const LENGTH_MAX: usize = 65_536;

/// Reports everything about a match; gives what it says if OVN would take it.
pub(super) fn check(ctx: &mut Ctx<'_>, text: &Spanned<String>, place: Place) -> Option<Expr> {
    if text.value.len() > LENGTH_MAX {
        let message = format!("a match of {} bytes is longer than {LENGTH_MAX}", text.value.len());
        ctx.report(Diagnostic::new(Code::MatchInvalid, text.span, message));
        return None;
    }
    let parsed = matching::parse(&text.value, symbols(ctx.target));
    for problem in parsed.problems {
        let code = match (problem.is_error(), problem.kind) {
            (true, _) => Code::MatchInvalid,
            (false, ProblemKind::Never | ProblemKind::AddressFamily) => Code::MatchNeverTrue,
            (false, _) => Code::MatchHostBits,
        };
        let mut diagnostic = Diagnostic::new(code, sub(text, problem.range), problem.message);
        if let Some(help) = problem.help {
            diagnostic = diagnostic.help(help);
        }
        ctx.report(diagnostic);
    }
    let expr = parsed.expr?;
    references(ctx, text, &expr);
    if place == Place::FromGuest && expr.mentions_field("outport") {
        let message = "`outport` is not known yet where packets leave a guest, so the rule never applies";
        ctx.report(
            Diagnostic::new(Code::MatchNeverTrue, text.span, message)
                .help("match on the destination address, or make it a `to-lport` rule"),
        );
    }
    Some(expr)
}

/// The symbols of the newest tested version that is not newer than the target.
fn symbols(target: Target) -> SymbolSet {
    let [_, middle, newest] = Target::TESTED;
    if target >= newest {
        SymbolSet::V26_03
    } else if target >= middle {
        SymbolSet::V25_03
    } else {
        SymbolSet::V23_03
    }
}

/// The place of a part of the text, where the text stands in the source as it is.
fn sub(text: &Spanned<String>, range: Range<usize>) -> Span {
    let (whole, length) = (text.span.range(), text.value.len());
    let n_lines = text.value.matches('\n').count();
    // A text over several lines stands there with the lines' indentation, which is the same for each.
    let indent = match whole.len().checked_sub(length) {
        Some(0) => 0,
        Some(extra) if n_lines > 0 && extra % n_lines == 0 => extra / n_lines,
        _ => return text.span,
    };
    // A problem at the end of the text is shown at its last character.
    let start = range.start.min(length.saturating_sub(1));
    let end = range.end.clamp(start + 1, length.max(start + 1));
    let place = |at: usize| {
        let lines_before = text.value.get(..at).map_or(0, |t| t.matches('\n').count());
        whole.start + at + indent * lines_before
    };
    Span::new(text.span.file, place(start)..place(end))
}

fn references(ctx: &mut Ctx<'_>, text: &Spanned<String>, expr: &Expr) {
    for reference in expr.references() {
        let name = reference.name;
        let span = sub(text, reference.range.clone());
        match reference.kind {
            ReferenceKind::AddressSet | ReferenceKind::PortGroup => {
                // Each port group comes with the sets of its members' addresses (ovn-nb(5), Port_Group).
                let group = match reference.kind {
                    ReferenceKind::AddressSet => {
                        name.strip_suffix("_ip4").or_else(|| name.strip_suffix("_ip6")).unwrap_or("")
                    }
                    _ => name,
                };
                let is_set = reference.kind == ReferenceKind::AddressSet;
                if ctx.port_groups().contains(group) || is_set && minted::has_address_set(ctx.model, name) {
                    continue;
                }
                let (what, sign) = match reference.kind {
                    ReferenceKind::AddressSet => ("address set", '$'),
                    _ => ("port group", '@'),
                };
                let message = format!("there is no {what} `{sign}{name}`");
                ctx.report(
                    Diagnostic::new(Code::MatchUnknownSet, span, message)
                        .note("OVN leaves out a rule that names what does not exist, and its packets pass"),
                );
            }
            ReferenceKind::Port | ReferenceKind::ResidentPort => {
                let ports = ctx.port_names();
                if !ports.contains(name) && ctx.model.whole {
                    let message = format!("there is no port `{name}`");
                    let near = crate::nearest::nearest(name, ports.iter().map(String::as_str));
                    let diagnostic = Diagnostic::new(Code::MatchUnknownPort, span, message);
                    let diagnostic = match near {
                        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                        None => diagnostic,
                    };
                    ctx.report(diagnostic);
                }
            }
        }
    }
}

/// False when no packet can match both: each demands of one field a value that the other rules out. True
/// whenever that can't be told so simply.
pub(super) fn may_meet(one: Option<&Expr>, other: Option<&Expr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    let (ones, others) = (demands(one), demands(other));
    !ones.iter().any(|a| others.iter().any(|b| a.excludes(b)))
}

/// True when the match names addresses, as source or destination, and this one is among them.
pub(super) fn names_address(expr: &Expr, address: IpAddr) -> bool {
    if let ExprKind::Any(ways) = &expr.kind {
        return ways.iter().any(|way| names_address(way, address));
    }
    let (fields, value) = match address {
        IpAddr::V4(a) => (["ip4.src", "ip4.dst"], u128::from(u32::from(a))),
        IpAddr::V6(a) => (["ip6.src", "ip6.dst"], u128::from(a)),
    };
    let covers = |number: &&Number| {
        let mask = number.mask.unwrap_or(u128::MAX);
        mask != 0 && value & mask == number.value & mask
    };
    let about = demands(expr);
    about.iter().any(|d| fields.contains(&d.field) && d.low == 0 && d.values.iter().any(covers))
}

/// Whether a packet that matches can be on its way to a network; `None` where the match says nothing of where
/// packets of that family go.
pub(super) fn may_go_to(expr: &Expr, net: IpNet) -> Option<bool> {
    let (field, value, mask) = match net {
        IpNet::V4(net) => {
            ("ip4.dst", u128::from(u32::from(net.network())), u128::from(u32::from(net.netmask())))
        }
        IpNet::V6(net) => ("ip6.dst", u128::from(net.network()), u128::from(net.netmask())),
    };
    let near = |number: &&Number| {
        let mask = number.mask.unwrap_or(u128::MAX) & mask;
        number.value & mask == value & mask
    };
    let about: Vec<Demand<'_>> =
        demands(expr).into_iter().filter(|d| d.field == field && d.low == 0).collect();
    (!about.is_empty()).then(|| about.iter().all(|d| d.values.iter().any(near)))
}

/// What a conjunction demands of a field: one of these values, or that it is set.
struct Demand<'e> {
    field: &'static str,
    low: u32,
    values: Vec<&'e Number>,
}

impl Demand<'_> {
    fn excludes(&self, other: &Demand<'_>) -> bool {
        let families = [("ip4", "ip6"), ("tcp", "udp"), ("tcp", "icmp4"), ("udp", "icmp4")];
        let opposite = |(a, b): &(&str, &str)| {
            (self.field == *a && other.field == *b) || (self.field == *b && other.field == *a)
        };
        if self.values.is_empty() && other.values.is_empty() {
            return families.iter().any(opposite);
        }
        let same = self.field == other.field && self.low == other.low;
        let apart = |a: &&Number, b: &&Number| {
            let mask = a.mask.unwrap_or(u128::MAX) & b.mask.unwrap_or(u128::MAX);
            a.value & mask != b.value & mask
        };
        same && !self.values.is_empty()
            && !other.values.is_empty()
            && self.values.iter().all(|a| other.values.iter().all(|b| apart(a, b)))
    }
}

fn demands(expr: &Expr) -> Vec<Demand<'_>> {
    match &expr.kind {
        ExprKind::All(parts) => parts.iter().flat_map(demands).collect(),
        ExprKind::Test(field) => {
            vec![Demand { field: field.symbol.name, low: field.low, values: Vec::new() }]
        }
        ExprKind::Compare { field, op: RelOp::Eq, constants } => {
            let number = |constant: &'_ matching::Constant| matches!(constant.kind, ConstantKind::Number(_));
            if !constants.iter().all(number) {
                return Vec::new();
            }
            let values = constants.iter().filter_map(|c| match &c.kind {
                ConstantKind::Number(number) => Some(number),
                _ => None,
            });
            vec![Demand { field: field.symbol.name, low: field.low, values: values.collect() }]
        }
        _ => Vec::new(),
    }
}
