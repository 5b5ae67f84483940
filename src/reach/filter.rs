//! What a match of OVN's language says of packets, as a set of them.
//!
//! A match also asks for things that are no part of a header: ports, Ethernet addresses, conntrack's
//! state. Those are known where the match is asked, and come in as [`Surroundings`]. What is asked and
//! not known (a mark, a register, a flag of TCP) gives a part of the set that may or may not match.
//!
//! Refuses to guess about that part, and to know where matches stand.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::header::Field;
use super::set::{Set, Sets};
use crate::nb::matching::{
    self, Bound, Constant, ConstantKind, Definition, Expr, ExprKind, FieldRef, RelOp, Symbol, SymbolSet,
};

/// What conntrack has said of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tracked {
    /// It was not asked.
    Not,
    /// The first packet of a connection.
    New,
    /// An answer within a connection.
    Reply,
}

impl Tracked {
    /// The bits of `ct_state`: `new` 0, `est` 1, `rpl` 3, `trk` 5.
    fn state(self) -> u128 {
        match self {
            Tracked::Not => 0,
            Tracked::New => 1 | 1 << 5,
            Tracked::Reply => 1 << 1 | 1 << 3 | 1 << 5,
        }
    }
}

/// What is known of a packet beside its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Surroundings<'a> {
    /// The port that it came in by.
    pub inport: &'a str,
    /// The port that it leaves by; empty where that is not decided yet.
    pub outport: &'a str,
    /// The source Ethernet address, where it is known.
    pub eth_src: Option<u64>,
    /// The destination Ethernet address, where it is known.
    pub eth_dst: Option<u64>,
    /// The time to live.
    pub ttl: u8,
    /// What conntrack has said.
    pub tracked: Tracked,
}

impl Surroundings<'_> {
    /// Of a packet of which nothing is known but its header and what conntrack has said.
    pub fn unknown(ttl: u8, tracked: Tracked) -> Surroundings<'static> {
        Surroundings { inport: "", outport: "", eth_src: None, eth_dst: None, ttl, tracked }
    }
}

/// A member of an address set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The address.
    pub value: u128,
    /// The bits of it that count.
    pub mask: u128,
    /// How many bits an address of its kind has.
    pub width: u32,
}

/// What matches can refer to.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Address sets.
    pub address_sets: BTreeMap<String, Vec<Member>>,
    /// Port groups: names of ports.
    pub port_groups: BTreeMap<String, BTreeSet<String>>,
}

/// Which packets match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// These do.
    pub yes: Set,
    /// No others may. INVARIANT: holds `yes`.
    pub maybe: Set,
}

impl Truth {
    fn certain(set: Set) -> Truth {
        Truth { yes: set, maybe: set }
    }

    fn constant(holds: bool) -> Truth {
        Truth::certain(if holds { Set::ALL } else { Set::NONE })
    }
}

/// Reads matches with the symbols of one OVN.
#[derive(Debug)]
pub struct Reader<'a> {
    /// Where the sets live.
    pub sets: &'a Sets,
    /// The symbols.
    pub symbols: SymbolSet,
    /// What matches can refer to.
    pub names: &'a Names,
    /// What could not be judged so far.
    unjudged: RefCell<BTreeSet<String>>,
    /// Whether ports are not known.
    is_anywhere: Cell<bool>,
    /// Texts of OVN's own, as they were read.
    texts: RefCell<HashMap<&'static str, Rc<Option<Expr>>>>,
}

impl<'a> Reader<'a> {
    /// A reader whose sets live in `sets`.
    pub fn new(sets: &'a Sets, symbols: SymbolSet, names: &'a Names) -> Reader<'a> {
        let (unjudged, texts) = (RefCell::default(), RefCell::default());
        Reader { sets, symbols, names, unjudged, is_anywhere: Cell::new(false), texts }
    }

    /// The packets that match, and what of the match could not be judged.
    pub fn read(&self, expr: &Expr, around: &Surroundings<'_>) -> (Truth, Vec<String>) {
        self.unjudged.borrow_mut().clear();
        let truth = self.truth(expr, true, around);
        (truth, self.unjudged.take().into_iter().collect())
    }

    /// The same of packets at any port.
    pub fn anywhere(&self, expr: &Expr, around: &Surroundings<'_>) -> Truth {
        self.is_anywhere.set(true);
        let (truth, _) = self.read(expr, around);
        self.is_anywhere.set(false);
        truth
    }

    /// OVN pushes a `!` down to the comparisons, and then adds what the fields require.
    fn truth(&self, expr: &Expr, wanted: bool, around: &Surroundings<'_>) -> Truth {
        match &expr.kind {
            ExprKind::Boolean(value) => Truth::constant(*value == wanted),
            ExprKind::Not(operand) => self.truth(operand, !wanted, around),
            ExprKind::All(operands) | ExprKind::Any(operands) => {
                let is_all = matches!(expr.kind, ExprKind::All(_)) == wanted;
                let start = Truth::constant(is_all);
                operands.iter().fold(start, |truth, operand| {
                    let other = self.truth(operand, wanted, around);
                    if is_all { self.both(truth, other) } else { self.either(truth, other) }
                })
            }
            ExprKind::ChassisResident(port) => self.unknown(format!("on which chassis `{}` is", port.value)),
            ExprKind::Test(field) => match field.symbol.definition {
                Definition::Predicate(text) => {
                    let truth = self.required(field, self.text(text, around), around);
                    if wanted { truth } else { self.opposite(truth) }
                }
                _ => {
                    let is_zero = self.bits(field, 0, u128::MAX, around);
                    let truth = if wanted { self.opposite(is_zero) } else { is_zero };
                    self.required(field, truth, around)
                }
            },
            // Nothing to compare with is decided without what the field requires.
            ExprKind::Compare { op, constants, .. } if constants.iter().all(|one| self.is_empty(one)) => {
                Truth::constant(wanted == (*op == RelOp::Ne))
            }
            ExprKind::Compare { field, op, constants } => {
                let truth = match op {
                    RelOp::Eq | RelOp::Ne => constants.iter().fold(Truth::constant(false), |truth, one| {
                        self.either(truth, self.equal(field, one, around))
                    }),
                    op => self.ordered(field, *op, &constants[0], around),
                };
                let truth = if wanted == (*op != RelOp::Ne) { truth } else { self.opposite(truth) };
                self.required(field, truth, around)
            }
            ExprKind::Between { low, field, high } => {
                let side = |bound: &Bound, inclusive, exclusive| {
                    let op = if bound.inclusive { inclusive } else { exclusive };
                    self.ordered(field, op, &bound.constant, around)
                };
                let truth = self.both(side(low, RelOp::Ge, RelOp::Gt), side(high, RelOp::Le, RelOp::Lt));
                let truth = if wanted { truth } else { self.opposite(truth) };
                self.required(field, truth, around)
            }
        }
    }

    /// A text of OVN's own: what a predicate stands for, what a field requires.
    fn text(&self, text: &'static str, around: &Surroundings<'_>) -> Truth {
        let known = self.texts.borrow().get(text).cloned();
        let expr = known.unwrap_or_else(|| {
            let expr = Rc::new(matching::parse(text, self.symbols).expr);
            self.texts.borrow_mut().insert(text, expr.clone());
            expr
        });
        match &*expr {
            Some(expr) => self.truth(expr, true, around),
            None => self.unknown(format!("`{text}`")),
        }
    }

    /// Together with what the field requires.
    fn required(&self, field: &FieldRef, truth: Truth, around: &Surroundings<'_>) -> Truth {
        let (symbols, _) = self.lineage(field.symbol);
        symbols.into_iter().filter_map(|symbol| symbol.prerequisite).fold(truth, |truth, text| {
            let required = self.text(text, around);
            self.both(required, truth)
        })
    }

    /// The symbol and those that it is a part of, and where it lies in the last of them.
    fn lineage(&self, symbol: &'static Symbol) -> (Vec<&'static Symbol>, u32) {
        let (mut symbols, mut offset) = (vec![symbol], 0);
        while let Definition::Subfield { parent, low } = symbols[symbols.len() - 1].definition
            && let Some(parent) = self.symbols.get(parent)
        {
            offset += low;
            symbols.push(parent);
        }
        (symbols, offset)
    }

    fn equal(&self, field: &FieldRef, constant: &Constant, around: &Surroundings<'_>) -> Truth {
        match &constant.kind {
            ConstantKind::Number(number) => {
                if let Definition::Predicate(text) = field.symbol.definition {
                    let truth = self.text(text, around);
                    return if number.value == 0 { self.opposite(truth) } else { truth };
                }
                self.bits(field, number.value, number.mask.unwrap_or(u128::MAX), around)
            }
            ConstantKind::Text(name) => match self.port(field, around) {
                Some(port) => Truth::constant(port == name),
                None => self.unknown(format!("`{}`", field.symbol.name)),
            },
            ConstantKind::PortGroup(name) => {
                match (self.port(field, around), self.names.port_groups.get(name)) {
                    (Some(port), Some(members)) => Truth::constant(members.contains(port)),
                    (None, _) | (_, None) => self.unknown(format!("`@{name}`")),
                }
            }
            ConstantKind::AddressSet(name) => match self.names.address_sets.get(name) {
                Some(members) => self.any_bits(field, members, around),
                None => self.unknown(format!("`${name}`")),
            },
        }
    }

    fn port<'p>(&self, field: &FieldRef, around: &Surroundings<'p>) -> Option<&'p str> {
        match field.symbol.name {
            _ if self.is_anywhere.get() => None,
            "inport" => Some(around.inport),
            "outport" => Some(around.outport),
            _ => None,
        }
    }

    fn is_empty(&self, constant: &Constant) -> bool {
        match &constant.kind {
            ConstantKind::AddressSet(name) => self.names.address_sets.get(name).is_some_and(Vec::is_empty),
            ConstantKind::Number(_) | ConstantKind::Text(_) | ConstantKind::PortGroup(_) => false,
        }
    }

    /// Packets whose field, as far as the mask goes, has the value.
    fn bits(&self, field: &FieldRef, value: u128, mask: u128, around: &Surroundings<'_>) -> Truth {
        self.any_bits(field, &[Member { value, mask, width: field.width }], around)
    }

    /// Packets whose field, as far as the mask of one of them goes, has its value.
    fn any_bits(&self, field: &FieldRef, members: &[Member], around: &Surroundings<'_>) -> Truth {
        if members.is_empty() {
            return Truth::constant(false);
        }
        let (symbols, offset) = self.lineage(field.symbol);
        let base = symbols[symbols.len() - 1];
        let shift = offset + field.low;
        let placed = |one: &Member| {
            let mask = (one.mask & ones(field.width)) << shift;
            ((one.value << shift) & mask, mask)
        };
        let mut placed = members.iter().map(placed);
        if let Some(known) = known(base.name, around) {
            return Truth::constant(placed.any(|(value, mask)| known & mask == value));
        }
        let Some(packet_field) = packet_field(base.name) else {
            return self.unknown(format!("`{}`", field.symbol.name));
        };
        let (mut ranges, mut is_known) = (Vec::new(), true);
        placed.for_each(|(value, mask)| is_known &= masked(base.width, value, mask, &mut ranges));
        let truth = Truth::certain(self.sets.ranges(packet_field, ranges));
        let unknown = || self.unknown(format!("a mask on `{}`", field.symbol.name));
        if is_known { truth } else { self.either(truth, unknown()) }
    }

    fn ordered(&self, field: &FieldRef, op: RelOp, constant: &Constant, around: &Surroundings<'_>) -> Truth {
        let (symbols, offset) = self.lineage(field.symbol);
        let base = symbols[symbols.len() - 1];
        let shift = offset + field.low;
        let ConstantKind::Number(number) = &constant.kind else {
            return self.unknown(format!("an order among addresses of `{}`", field.symbol.name));
        };
        let holds = |value: u128| match op {
            RelOp::Lt => value < number.value,
            RelOp::Le => value <= number.value,
            RelOp::Gt => value > number.value,
            RelOp::Ge => value >= number.value,
            RelOp::Eq => value == number.value,
            RelOp::Ne => value != number.value,
        };
        if let Some(known) = known(base.name, around) {
            return Truth::constant(holds((known >> shift) & ones(field.width)));
        }
        let (Some(packet_field), true) = (packet_field(base.name), shift + field.width == base.width) else {
            return self.unknown(format!("an order on `{}`", field.symbol.name));
        };
        // The highest bits of a field: an order on them is one on the field.
        let first = number.value << shift;
        let last = first | ones(shift);
        let set = match op {
            RelOp::Lt | RelOp::Ge => first.checked_sub(1).map(|end| self.sets.range(packet_field, 0, end)),
            _ => Some(self.sets.range(packet_field, 0, last)),
        };
        let below = set.unwrap_or(Set::NONE);
        let is_below = matches!(op, RelOp::Lt | RelOp::Le);
        Truth::certain(if is_below { below } else { self.sets.not(below) })
    }

    fn both(&self, a: Truth, b: Truth) -> Truth {
        Truth { yes: self.sets.and(a.yes, b.yes), maybe: self.sets.and(a.maybe, b.maybe) }
    }

    fn either(&self, a: Truth, b: Truth) -> Truth {
        Truth { yes: self.sets.or(a.yes, b.yes), maybe: self.sets.or(a.maybe, b.maybe) }
    }

    fn opposite(&self, truth: Truth) -> Truth {
        Truth { yes: self.sets.not(truth.maybe), maybe: self.sets.not(truth.yes) }
    }

    fn unknown(&self, what: String) -> Truth {
        self.unjudged.borrow_mut().insert(what);
        Truth { yes: Set::NONE, maybe: Set::ALL }
    }
}

/// As many ones.
fn ones(width: u32) -> u128 {
    u128::MAX.checked_shr(128 - width).unwrap_or(0)
}

/// Fields that are the same for all packets at one place. Guests send whole, untagged packets.
fn known(name: &str, around: &Surroundings<'_>) -> Option<u128> {
    match name {
        "eth.src" => around.eth_src.map(u128::from),
        "eth.dst" => around.eth_dst.map(u128::from),
        "ip.ttl" => Some(u128::from(around.ttl)),
        "ct_state" => Some(around.tracked.state()),
        "ct_mark" | "ct_label" if around.tracked != Tracked::Reply => Some(0),
        "ip.frag" | "vlan.tci" => Some(0),
        _ => None,
    }
}

fn packet_field(name: &str) -> Option<Field> {
    match name {
        "eth.type" => Some(Field::EthType),
        "ip.proto" => Some(Field::IpProto),
        "ip4.src" | "ip6.src" => Some(Field::IpSrc),
        "ip4.dst" | "ip6.dst" => Some(Field::IpDst),
        "tcp.src" | "udp.src" | "sctp.src" | "icmp4.type" | "icmp6.type" => Some(Field::TpSrc),
        "tcp.dst" | "udp.dst" | "sctp.dst" | "icmp4.code" | "icmp6.code" => Some(Field::TpDst),
        _ => None,
    }
}

/// More intervals than this for one mask are too many.
const HOLES_MAX: u32 = 10;

/// Adds the ranges of a field of which `field & mask == value`; false when the mask has too many holes.
fn masked(width: u32, value: u128, mask: u128, ranges: &mut Vec<(u128, u128)>) -> bool {
    if mask == 0 {
        ranges.extend((value == 0).then_some((0, u128::MAX)));
        return true;
    }
    let free = ones(mask.trailing_zeros());
    let holes = ones(width) & !mask & !free;
    if holes.count_ones() > HOLES_MAX {
        return false;
    }
    let mut hole = holes;
    loop {
        ranges.push((value | hole, value | hole | free));
        if hole == 0 {
            return true;
        }
        hole = (hole - 1) & holes;
    }
}
