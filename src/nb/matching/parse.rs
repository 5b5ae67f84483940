//! Tokens to expressions, as `lib/expr.c` of OVN parses them.
//!
//! Refuses to judge a comparison, which [`check`] does, and to go on behind a token that is out of
//! place; it does go on behind everything else, so that one run finds all there is to say.

use std::ops::Range;

use super::Parsed;
use super::ast::{Bound, Constant, ConstantKind, Expr, ExprKind, FieldRef, Format, Number, RelOp, Text};
use super::check::{self, Comparison};
use super::implied;
use super::lex::{self, Token, TokenKind, Written};
use super::problem::{Problem, ProblemKind};
use super::suggest;
use super::symbols::SymbolSet;

/// How many parentheses OVN allows inside each other.
const NESTING_MAX: usize = 100;

/// A problem is noted behind which nothing can be trusted.
struct Stop;

/// What a part of the text says. `None` where a problem is noted and the rest still makes sense.
type Outcome<T> = Result<Option<T>, Stop>;

struct Parser<'t> {
    text: &'t str,
    symbols: SymbolSet,
    tokens: Vec<Token>,
    at: usize,
    problems: Vec<Problem>,
    /// Whether an odd number of `!` stands around the current token.
    is_negated: bool,
    n_open: usize,
}

/// One operand of `&&` and `||`.
struct Operand {
    expr: Option<Expr>,
    /// Whether `!` may stand before it.
    is_atomic: bool,
}

/// The constants on one side of a comparison.
struct Constants {
    list: Vec<Constant>,
    is_braced: bool,
}

/// Reads `text` as a match of the OVN version that `symbols` stands for.
pub fn parse(text: &str, symbols: SymbolSet) -> Parsed {
    let (expr, mut problems) = read(text, symbols);
    if let Some(expr) = &expr {
        problems.extend(implied::contradictions(expr, symbols));
    }
    problems.sort_by_key(|problem| problem.range.start);
    Parsed { expr, problems }
}

/// The same without a look at how its parts go together.
pub(super) fn read(text: &str, symbols: SymbolSet) -> (Option<Expr>, Vec<Problem>) {
    let tokens = lex::tokens(text);
    let (at, n_open) = (0, 0);
    let (problems, is_negated) = (Vec::new(), false);
    let mut parser = Parser { text, symbols, tokens, at, problems, is_negated, n_open };
    let expr = parser.whole().unwrap_or(None);
    let is_refused = parser.problems.iter().any(Problem::is_error);
    (expr.filter(|_| !is_refused), parser.problems)
}

impl Parser<'_> {
    fn whole(&mut self) -> Outcome<Expr> {
        let expr = self.expression()?;
        match self.peek() {
            TokenKind::End => Ok(expr),
            TokenKind::ParenClose => Err(self.unexpected("no `(` is open", None)),
            TokenKind::Id => {
                let help = suggest::instead(self.word(), self.symbols);
                Err(self.unexpected("`&&` or `||` is missing before this", help.as_deref()))
            }
            TokenKind::Assign => Err(self.assignment()),
            _ => Err(self.unexpected("the match should end here", None)),
        }
    }

    fn expression(&mut self) -> Outcome<Expr> {
        let start = self.range().start;
        let mut operands = vec![self.operand()?];
        let Some(joiner) = self.joiner() else { return Ok(operands.pop().flatten()) };
        let mut is_mixed = false;
        while let Some(found) = self.joiner() {
            if found != joiner && !is_mixed {
                let message = "`&&` and `||` stand side by side";
                self.note(Problem::new(ProblemKind::MixedOperators, self.range(), message).help(
                    "put parentheses around what belongs together; OVN has no precedence between them",
                ));
                is_mixed = true;
            }
            self.advance();
            operands.push(self.operand()?);
        }
        let range = start..self.end();
        Ok(operands.into_iter().collect::<Option<Vec<_>>>().map(|operands| join(&joiner, operands, range)))
    }

    /// The `&&` or `||` that comes next.
    fn joiner(&self) -> Option<TokenKind> {
        match self.peek() {
            TokenKind::And => Some(TokenKind::And),
            TokenKind::Or => Some(TokenKind::Or),
            _ => None,
        }
    }

    fn operand(&mut self) -> Outcome<Expr> {
        let start = self.range().start;
        if !self.take(&TokenKind::Not) {
            return Ok(self.primary()?.expr);
        }
        self.is_negated = !self.is_negated;
        let operand = self.primary()?;
        self.is_negated = !self.is_negated;
        let range = start..self.end();
        if !operand.is_atomic {
            let message = "`!` needs parentheses around a comparison";
            let help = format!("write `!({})`", self.text[range.clone()][1..].trim_start());
            self.note(Problem::new(ProblemKind::Syntax, range, message).help(help));
            return Ok(None);
        }
        Ok(operand.expr.map(|expr| Expr { kind: ExprKind::Not(Box::new(expr)), range }))
    }

    fn primary(&mut self) -> Result<Operand, Stop> {
        match self.peek() {
            TokenKind::ParenOpen => self.parenthesized(),
            TokenKind::Id if self.peek_second() == &TokenKind::ParenOpen => self.function(),
            TokenKind::Id => self.field_first(),
            _ => self.constants_first(),
        }
    }

    fn parenthesized(&mut self) -> Result<Operand, Stop> {
        if self.n_open >= NESTING_MAX {
            let message = format!("parentheses are nested more than {NESTING_MAX} deep");
            self.note(Problem::new(ProblemKind::Nesting, self.range(), message));
            return Err(Stop);
        }
        self.advance();
        self.n_open += 1;
        let expr = self.expression()?;
        self.n_open -= 1;
        if !self.take(&TokenKind::ParenClose) {
            return Err(match self.peek() {
                TokenKind::Assign => self.assignment(),
                _ => self.unexpected("`)` is missing before this", None),
            });
        }
        Ok(Operand { expr, is_atomic: true })
    }

    fn function(&mut self) -> Result<Operand, Stop> {
        let start = self.range().start;
        if self.word() != "is_chassis_resident" {
            let help = "the only function is `is_chassis_resident(\"port\")`";
            return Err(self.unexpected("this is no function", Some(help)));
        }
        self.advance();
        self.advance();
        let TokenKind::Text(value) = self.peek().clone() else {
            return Err(self.unexpected("the name of a port, in double quotes, is missing", None));
        };
        let port = Text { value, range: self.range() };
        self.advance();
        if !self.take(&TokenKind::ParenClose) {
            return Err(self.unexpected("`)` is missing before this", None));
        }
        let range = start..self.end();
        Ok(Operand { expr: Some(Expr { kind: ExprKind::ChassisResident(port), range }), is_atomic: true })
    }

    /// `field`, or `field == constants`.
    fn field_first(&mut self) -> Result<Operand, Stop> {
        let start = self.range().start;
        let field = self.field()?;
        let TokenKind::Relation(op) = *self.peek() else {
            if self.peek() == &TokenKind::Assign {
                return Err(self.assignment());
            }
            return Ok(Operand { expr: self.test(field), is_atomic: true });
        };
        self.advance();
        let constants = self.constants()?;
        let expr = field.zip(constants).and_then(|(field, constants)| {
            let range = start..self.end();
            self.compare(field, op, constants, range)
        });
        Ok(Operand { expr, is_atomic: false })
    }

    fn test(&mut self, field: Option<FieldRef>) -> Option<Expr> {
        let field = field?;
        if let Some(problem) = check::test(&field, self.is_negated) {
            self.note(problem);
        }
        let range = field.range.clone();
        Some(Expr { kind: ExprKind::Test(field), range })
    }

    /// `0`, `1`, `constants == field`, or `low < field < high`.
    fn constants_first(&mut self) -> Result<Operand, Stop> {
        let start = self.range().start;
        let boolean = self.boolean();
        let constants = self.constants()?;
        let TokenKind::Relation(first) = *self.peek() else {
            if let Some(kind) = boolean {
                let range = start..self.end();
                let expr = Some(Expr { kind: ExprKind::Boolean(kind), range });
                return Ok(Operand { expr, is_atomic: true });
            }
            return Err(self.unexpected("a comparison is missing before this", None));
        };
        self.advance();
        let field = self.field()?;
        let TokenKind::Relation(second) = *self.peek() else {
            let expr = field.zip(constants).and_then(|(field, constants)| {
                let range = start..self.end();
                self.compare(field, first.turned(), constants, range)
            });
            return Ok(Operand { expr, is_atomic: false });
        };
        self.advance();
        let last = self.constants()?;
        let range = start..self.end();
        let (Some(field), Some(constants), Some(last)) = (field, constants, last) else {
            return Ok(Operand { expr: None, is_atomic: false });
        };
        let expr = self.between((constants, first), field, (second, last), range);
        Ok(Operand { expr, is_atomic: false })
    }

    /// The value of the next token, if it may stand alone.
    fn boolean(&self) -> Option<bool> {
        match self.peek() {
            TokenKind::Number(Written { value, mask: None, format: Format::Decimal }) => match value {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
            _ => None,
        }
    }

    fn compare(
        &mut self,
        field: FieldRef,
        op: RelOp,
        constants: Constants,
        range: Range<usize>,
    ) -> Option<Expr> {
        let found = check::comparison(&Comparison {
            field: &field,
            op,
            constants: &constants.list,
            is_braced: constants.is_braced,
            is_negated: self.is_negated,
            range: range.clone(),
        });
        self.problems.extend(found);
        Some(Expr { kind: ExprKind::Compare { field, op, constants: constants.list }, range })
    }

    fn between(
        &mut self,
        (first, first_op): (Constants, RelOp),
        field: FieldRef,
        (last_op, last): (RelOp, Constants),
        range: Range<usize>,
    ) -> Option<Expr> {
        let is_ascending = match (first_op, last_op) {
            (RelOp::Lt | RelOp::Le, RelOp::Lt | RelOp::Le) => true,
            (RelOp::Gt | RelOp::Ge, RelOp::Gt | RelOp::Ge) => false,
            _ => {
                let message = "a range needs two operators that point the same way";
                let problem = Problem::new(ProblemKind::Syntax, range, message);
                self.note(problem.help("write `1024 <= tcp.dst <= 49151`"));
                return None;
            }
        };
        let mut bound = |op: RelOp, side: RelOp, constants: Constants| {
            self.compare(field.clone(), op, constants, range.clone()).and_then(|expr| match expr.kind {
                ExprKind::Compare { mut constants, .. } => {
                    let constant = constants.pop()?;
                    Some(Bound { inclusive: matches!(side, RelOp::Le | RelOp::Ge), constant })
                }
                _ => None,
            })
        };
        let first = bound(first_op.turned(), first_op, first)?;
        let last = bound(last_op, last_op, last)?;
        let (low, high) = if is_ascending { (first, last) } else { (last, first) };
        if let Some(problem) = check::range(&low, &high, range.clone()) {
            self.note(problem);
        }
        Some(Expr { kind: ExprKind::Between { low, field, high }, range })
    }

    fn field(&mut self) -> Outcome<FieldRef> {
        if self.peek() != &TokenKind::Id {
            return Err(self.unexpected("a field is missing before this", None));
        }
        let start = self.range().start;
        let symbol = self.symbols.get(self.word());
        if symbol.is_none() {
            let message = format!("OVN {} has no field or predicate `{}`", self.symbols, self.word());
            let help = suggest::instead(self.word(), self.symbols);
            let problem = Problem::new(ProblemKind::UnknownSymbol, self.range(), message);
            self.note(Problem { help, ..problem });
        }
        self.advance();
        let bits = self.bits()?;
        let range = start..self.end();
        let Some(symbol) = symbol else { return Ok(None) };
        let (low, high) = bits.unwrap_or((0, symbol.width.saturating_sub(1)));
        if bits.is_some()
            && let Err(problem) = check::subfield(symbol, low, high, range.clone())
        {
            self.note(problem);
            return Ok(None);
        }
        let width = if symbol.is_text() { 0 } else { high - low + 1 };
        let field = FieldRef { symbol, low, width, range };
        if let Some(problem) = check::action_field(&field) {
            self.note(problem);
        }
        Ok(Some(field))
    }

    /// `[low]` or `[low..high]`, if it stands here.
    fn bits(&mut self) -> Outcome<(u32, u32)> {
        if !self.take(&TokenKind::BracketOpen) {
            return Ok(None);
        }
        let low = self.bit()?;
        let high = if self.take(&TokenKind::Ellipsis) { self.bit()? } else { low };
        if !self.take(&TokenKind::BracketClose) {
            return Err(self.unexpected("`]` is missing before this", None));
        }
        Ok(Some((low, high)))
    }

    fn bit(&mut self) -> Result<u32, Stop> {
        let number = match self.peek() {
            TokenKind::Number(Written { value, mask: None, format: Format::Decimal }) => {
                i32::try_from(*value).ok().map(i32::unsigned_abs)
            }
            _ => None,
        };
        let bit = number.ok_or_else(|| self.unexpected("the number of a bit is missing", None))?;
        self.advance();
        Ok(bit)
    }

    /// One constant, or a set of them in braces.
    fn constants(&mut self) -> Outcome<Constants> {
        let is_braced = self.take(&TokenKind::BraceOpen);
        let mut list = vec![self.constant()?];
        while is_braced && !self.closes_braces() {
            list.push(self.constant()?);
        }
        let is_text = |constant: &Constant| constant.kind.is_text();
        let Some(odd) = list.iter().find(|constant| is_text(constant) != is_text(&list[0])) else {
            return Ok(Some(Constants { list, is_braced }));
        };
        let message = "a set holds text or numbers, not both";
        let problem = Problem::new(ProblemKind::TypeMismatch, odd.range.clone(), message);
        self.note(problem);
        Ok(None)
    }

    /// Takes the comma and the brace, if they come next; OVN needs no comma, and allows a last one.
    fn closes_braces(&mut self) -> bool {
        self.take(&TokenKind::Comma);
        self.take(&TokenKind::BraceClose)
    }

    fn constant(&mut self) -> Result<Constant, Stop> {
        let range = self.range();
        let kind = match self.peek().clone() {
            TokenKind::Text(text) => ConstantKind::Text(text),
            TokenKind::AddressSet => ConstantKind::AddressSet(self.word()[1..].to_owned()),
            TokenKind::PortGroup => ConstantKind::PortGroup(self.word()[1..].to_owned()),
            TokenKind::Number(Written { value: written, mask, format }) => {
                let value = written & mask.unwrap_or(u128::MAX);
                let number = Number { value, mask, format };
                self.problems.extend(check::host_bits(written, &number, range.clone()));
                ConstantKind::Number(number)
            }
            TokenKind::Id => {
                let help = format!("text stands in double quotes: `\"{}\"`", self.word());
                return Err(self.unexpected("a value is missing before this", Some(&help)));
            }
            _ => return Err(self.unexpected("a value is missing before this", None)),
        };
        self.advance();
        Ok(Constant { kind, range })
    }

    fn assignment(&mut self) -> Stop {
        self.unexpected("`=` assigns, and a match cannot", Some("`==` compares"))
    }

    /// Notes that the next token is out of place, or whatever is wrong with the token itself.
    fn unexpected(&mut self, message: &str, help: Option<&str>) -> Stop {
        let range = self.range();
        let problem = match self.peek() {
            TokenKind::Bad(message, help) => {
                let problem = Problem::new(ProblemKind::Lexical, range, message.clone());
                Problem { help: help.map(str::to_owned), ..problem }
            }
            TokenKind::Template => {
                let message = format!("`{}` becomes another text on every chassis", self.word());
                Problem::new(ProblemKind::Template, range, message)
                    .help("write what it stands for; only load balancers can use template variables")
            }
            TokenKind::End => {
                let message = message.replace(" before this", "");
                Problem::new(ProblemKind::Syntax, range, format!("the match ends too early: {message}"))
            }
            _ => {
                let problem = Problem::new(ProblemKind::Syntax, range, message);
                Problem { help: help.map(str::to_owned), ..problem }
            }
        };
        self.note(problem);
        Stop
    }

    fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn peek(&self) -> &TokenKind {
        &self.tokens[self.at].kind
    }

    fn peek_second(&self) -> &TokenKind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    /// Where the next token is.
    fn range(&self) -> Range<usize> {
        self.tokens[self.at].range.clone()
    }

    /// The next token as it is written.
    fn word(&self) -> &str {
        &self.text[self.range()]
    }

    /// Where the last token ended.
    fn end(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].range.end
    }

    fn advance(&mut self) {
        // INVARIANT: `tokens` is not empty, and nothing takes its last token.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn take(&mut self, kind: &TokenKind) -> bool {
        let is_next = self.peek() == kind;
        if is_next {
            self.advance();
        }
        is_next
    }
}

/// All or any of `operands`, with those of the same kind inside them spread out.
fn join(joiner: &TokenKind, operands: Vec<Expr>, range: Range<usize>) -> Expr {
    let is_all = joiner == &TokenKind::And;
    let flat = operands.into_iter().flat_map(|operand| match operand.kind {
        ExprKind::All(inner) if is_all => inner,
        ExprKind::Any(inner) if !is_all => inner,
        kind => vec![Expr { kind, range: operand.range }],
    });
    let flat = flat.collect();
    Expr { kind: if is_all { ExprKind::All(flat) } else { ExprKind::Any(flat) }, range }
}
