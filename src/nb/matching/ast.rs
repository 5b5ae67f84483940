//! What a match says, once read: a tree of tests, with the place of each in the text.
//!
//! Refuses to hold what OVN would not accept, and to know how the text was laid out: parentheses,
//! comments and which side of `==` the field stood on are gone. Equality ignores places.

use std::ops::Range;

use super::symbols::Symbol;

/// A match expression, or a part of one.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// Where it is written, without the parentheses around it.
    pub range: Range<usize>,
}

/// The forms of a match expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExprKind {
    /// `0` or `1`: no packet, every packet.
    Boolean(bool),
    /// A field on its own, true when it is not zero: `ip4`, `ct.est`.
    Test(FieldRef),
    /// A field against constants: `==` means one of them, `!=` none of them.
    ///
    /// The orderings have a single constant. The field always stands left.
    Compare {
        /// The field.
        field: FieldRef,
        /// How it relates to the constants.
        op: RelOp,
        /// At least one.
        constants: Vec<Constant>,
    },
    /// A field between two constants, the lower one written first: `1024 <= tcp.dst <= 49151`.
    Between {
        /// The lower end.
        low: Bound,
        /// The field.
        field: FieldRef,
        /// The upper end.
        high: Bound,
    },
    /// `is_chassis_resident("port")`: the chassis that runs the flow hosts that port.
    ChassisResident(Text),
    /// Not.
    Not(Box<Expr>),
    /// All of them, two or more, none of them an `All`.
    All(Vec<Expr>),
    /// Any of them, two or more, none of them an `Any`.
    Any(Vec<Expr>),
}

/// A field, or some of its bits.
#[derive(Clone, Debug)]
pub struct FieldRef {
    /// The field.
    pub symbol: &'static Symbol,
    /// The lowest bit that takes part.
    pub low: u32,
    /// How many bits take part; zero for a field that holds text.
    pub width: u32,
    /// Where it is written.
    pub range: Range<usize>,
}

/// How a field relates to a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Whether the constant itself is inside.
    pub inclusive: bool,
    /// The constant.
    pub constant: Constant,
}

/// One constant.
#[derive(Clone, Debug)]
pub struct Constant {
    /// What it is.
    pub kind: ConstantKind,
    /// Where it is written.
    pub range: Range<usize>,
}

/// The kinds of constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstantKind {
    /// An integer or an address, perhaps masked.
    Number(Number),
    /// A quoted string, its escapes resolved.
    Text(String),
    /// `$name`: every address of an address set.
    AddressSet(String),
    /// `@name`: every port of a port group.
    PortGroup(String),
}

/// An integer or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The value; bits outside the mask are clear.
    pub value: u128,
    /// The bits that count, where not all do.
    pub mask: Option<u128>,
    /// How it is written.
    pub format: Format,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// `80`
    Decimal,
    /// `0x50`
    Hexadecimal,
    /// `10.0.0.1`
    Ipv4,
    /// `fd00::1`
    Ipv6,
    /// `02:00:00:00:00:01`
    Mac,
}

/// A quoted string and its place.
#[derive(Clone, Debug)]
pub struct Text {
    /// The string, its escapes resolved.
    pub value: String,
    /// Where it is written, quotes included.
    pub range: Range<usize>,
}

/// Something outside the match that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'e> {
    /// What sort of thing.
    pub kind: ReferenceKind,
    /// Its name, without `$`, `@` or quotes.
    pub name: &'e str,
    /// The field it is compared with; a resident port is compared with none.
    pub field: Option<&'static Symbol>,
    /// Where it is named.
    pub range: Range<usize>,
}

/// The sorts of things that a match can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKind {
    /// `$name`
    AddressSet,
    /// `@name`
    PortGroup,
    /// A string compared with `inport` or `outport`.
    Port,
    /// The port in `is_chassis_resident("port")`.
    ResidentPort,
}

impl Expr {
    /// Everything outside the match that it names, in the order of the text.
    pub fn references(&self) -> Vec<Reference<'_>> {
        let mut found = Vec::new();
        self.visit(&mut |expr| match &expr.kind {
            ExprKind::Compare { field, constants, .. } => {
                found.extend(constants.iter().filter_map(|constant| constant.reference(field)));
            }
            ExprKind::Between { low, field, high } => {
                let constants = [&low.constant, &high.constant];
                found.extend(constants.into_iter().filter_map(|constant| constant.reference(field)));
            }
            ExprKind::ChassisResident(port) => found.push(Reference {
                kind: ReferenceKind::ResidentPort,
                name: &port.value,
                field: None,
                range: port.range.clone(),
            }),
            ExprKind::Boolean(_) | ExprKind::Test(_) => {}
            ExprKind::Not(_) | ExprKind::All(_) | ExprKind::Any(_) => {}
        });
        found.sort_by_key(|reference| reference.range.start);
        found
    }

    /// Every field that is written in the match, in the order of the text.
    pub fn fields(&self) -> Vec<&FieldRef> {
        let mut found = Vec::new();
        self.visit(&mut |expr| match &expr.kind {
            ExprKind::Test(field) | ExprKind::Compare { field, .. } | ExprKind::Between { field, .. } => {
                found.push(field)
            }
            ExprKind::Boolean(_) | ExprKind::ChassisResident(_) => {}
            ExprKind::Not(_) | ExprKind::All(_) | ExprKind::Any(_) => {}
        });
        found
    }

    /// Whether the match writes the field called `name`; a predicate that implies it does not count.
    pub fn mentions_field(&self, name: &str) -> bool {
        self.fields().iter().any(|field| field.symbol.name == name)
    }

    /// Every part of the match, itself first.
    pub fn visit<'e>(&'e self, see: &mut impl FnMut(&'e Expr)) {
        see(self);
        match &self.kind {
            ExprKind::Not(operand) => operand.visit(see),
            ExprKind::All(operands) | ExprKind::Any(operands) => {
                operands.iter().for_each(|operand| operand.visit(see));
            }
            ExprKind::Boolean(_) | ExprKind::Test(_) | ExprKind::ChassisResident(_) => {}
            ExprKind::Compare { .. } | ExprKind::Between { .. } => {}
        }
    }
}

impl RelOp {
    /// The same relation with its sides exchanged: `1 < x` is `x > 1`.
    pub fn turned(self) -> RelOp {
        match self {
            RelOp::Eq => RelOp::Eq,
            RelOp::Ne => RelOp::Ne,
            RelOp::Lt => RelOp::Gt,
            RelOp::Le => RelOp::Ge,
            RelOp::Gt => RelOp::Lt,
            RelOp::Ge => RelOp::Le,
        }
    }

    /// Whether it asks which of two values is larger.
    pub fn is_ordering(self) -> bool {
        !matches!(self, RelOp::Eq | RelOp::Ne)
    }
}

impl FieldRef {
    /// Whether only some of the field's bits take part.
    pub fn is_partial(&self) -> bool {
        self.width != self.symbol.width
    }
}

impl Constant {
    fn reference(&self, field: &FieldRef) -> Option<Reference<'_>> {
        let (kind, name) = match &self.kind {
            ConstantKind::Number(_) => return None,
            ConstantKind::Text(name) => (ReferenceKind::Port, name),
            ConstantKind::AddressSet(name) => (ReferenceKind::AddressSet, name),
            ConstantKind::PortGroup(name) => (ReferenceKind::PortGroup, name),
        };
        Some(Reference { kind, name, field: Some(field.symbol), range: self.range.clone() })
    }
}

impl Number {
    /// How many bits it needs: an address its whole width, an integer up to its highest set bit,
    /// anything masked up to the highest bit that counts. OVN compares this with the field.
    pub fn width(self) -> u32 {
        match (self.mask, self.format) {
            (Some(mask), _) => significant_bits(mask),
            (None, Format::Decimal | Format::Hexadecimal) => significant_bits(self.value),
            (None, Format::Ipv4) => 32,
            (None, Format::Ipv6) => 128,
            (None, Format::Mac) => 48,
        }
    }
}

/// The position of the highest set bit, counted from one.
pub(super) fn significant_bits(value: u128) -> u32 {
    u128::BITS - value.leading_zeros()
}

impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Expr {}

impl PartialEq for FieldRef {
    fn eq(&self, other: &FieldRef) -> bool {
        let of = |field: &FieldRef| (field.symbol.name, field.low, field.width);
        of(self) == of(other)
    }
}

impl Eq for FieldRef {}

impl PartialEq for Constant {
    fn eq(&self, other: &Constant) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Constant {}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.value == other.value
    }
}

impl Eq for Text {}
