//! What a match rules out by naming a field: `tcp.dst` is only there where `ip.proto` is 6.
//!
//! Refuses to prove anything beyond that. It finds the match that nothing can satisfy because two of
//! its parts belong to different protocols, and stays silent about what stands inside a `!`.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::{Constant, ConstantKind, Expr, ExprKind, Number, RelOp};
use super::parse::read;
use super::problem::{Problem, ProblemKind};
use super::symbols::{Definition, Level, Symbol, SymbolSet};

/// The values that are left to the fields that OVN matches whole; a field that is not here is free.
type Possible = BTreeMap<&'static str, BTreeSet<u128>>;

/// The parts of `expr` that contradict what stands beside them.
pub(super) fn contradictions(expr: &Expr, symbols: SymbolSet) -> Vec<Problem> {
    let mut reader = Reader { symbols, expanded: BTreeMap::new(), problems: Vec::new() };
    reader.possible(expr);
    reader.problems
}

struct Reader {
    symbols: SymbolSet,
    /// What the prerequisites and predicates that were met so far leave.
    expanded: BTreeMap<&'static str, Possible>,
    problems: Vec<Problem>,
}

impl Reader {
    fn possible(&mut self, expr: &Expr) -> Possible {
        match &expr.kind {
            ExprKind::All(operands) => operands.iter().fold(Possible::new(), |before, operand| {
                let here = self.possible(operand);
                self.problems.extend(clash(&before, &here, operand));
                both(before, here)
            }),
            ExprKind::Any(operands) => {
                let operands = operands.iter().map(|operand| self.possible(operand));
                operands.reduce(either).unwrap_or_default()
            }
            ExprKind::Test(field) => both(self.required(field.symbol), self.meant(field.symbol)),
            ExprKind::Compare { field, op: RelOp::Eq, constants } => {
                let required = self.required(field.symbol);
                match (field.symbol.level, field.symbol.definition) {
                    (Level::Nominal, Definition::Field) => both(required, listed(field.symbol, constants)),
                    (Level::Nominal, _) => both(required, self.meant(field.symbol)),
                    (Level::Boolean | Level::Ordinal, _) => required,
                }
            }
            ExprKind::Compare { field, .. } | ExprKind::Between { field, .. } => self.required(field.symbol),
            ExprKind::Boolean(_) | ExprKind::ChassisResident(_) | ExprKind::Not(_) => Possible::new(),
        }
    }

    /// What the prerequisite of `symbol`, or of the field it is a part of, leaves.
    fn required(&mut self, symbol: &Symbol) -> Possible {
        let own = symbol.prerequisite.map(|text| self.expanded(text)).unwrap_or_default();
        match symbol.definition {
            Definition::Subfield { parent, .. } => {
                let parent = self.symbols.get(parent).map(|parent| self.required(parent));
                both(own, parent.unwrap_or_default())
            }
            Definition::Field | Definition::Predicate(_) | Definition::ActionField => own,
        }
    }

    /// What `symbol` leaves when it is true.
    fn meant(&mut self, symbol: &Symbol) -> Possible {
        match symbol.definition {
            Definition::Predicate(text) => self.expanded(text),
            Definition::Field | Definition::Subfield { .. } | Definition::ActionField => Possible::new(),
        }
    }

    /// What a text of the symbol table leaves.
    fn expanded(&mut self, text: &'static str) -> Possible {
        if let Some(known) = self.expanded.get(text) {
            return known.clone();
        }
        let expr = read(text, self.symbols).0;
        let possible = expr.map(|expr| self.possible(&expr)).unwrap_or_default();
        self.expanded.insert(text, possible.clone());
        possible
    }
}

/// What a list of constants leaves to the field that is compared with it.
fn listed(symbol: &Symbol, constants: &[Constant]) -> Possible {
    let value = |constant: &Constant| match constant.kind {
        ConstantKind::Number(Number { value, mask: None, .. }) => Some(value),
        _ => None,
    };
    let values: Option<BTreeSet<u128>> = constants.iter().map(value).collect();
    values.map(|values| (symbol.name, values)).into_iter().collect()
}

fn both(mut left: Possible, right: Possible) -> Possible {
    for (name, values) in right {
        left.entry(name).and_modify(|others| others.retain(|value| values.contains(value))).or_insert(values);
    }
    left
}

fn either(left: Possible, mut right: Possible) -> Possible {
    let joined = left.into_iter().filter_map(|(name, mut values)| {
        values.extend(right.remove(name)?);
        Some((name, values))
    });
    joined.collect()
}

fn clash(before: &Possible, here: &Possible, operand: &Expr) -> Option<Problem> {
    let is_disjoint = |name: &str| {
        let (before, here) = before.get(name).zip(here.get(name))?;
        (!before.is_empty() && !here.is_empty() && before.is_disjoint(here)).then_some(())
    };
    let name = here.keys().find(|name| is_disjoint(name).is_some())?;
    let message = format!("no packet matches: this needs another `{name}` than what stands before it");
    let problem = Problem::new(ProblemKind::Never, operand.range.clone(), message);
    Some(match *name {
        "eth.type" => problem.help("write one match for IPv4 and another for IPv6, or join them with `||`"),
        "ip.proto" => problem.help("write one match for each protocol, or join them with `||`"),
        _ => problem,
    })
}
