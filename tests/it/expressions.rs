//! Match expressions for tests: one of every sort for every symbol, and random ones, good and bad.
//!
//! Refuses to know which of them are right.

use northc::nb::matching::{Symbol, SymbolSet};

/// A source of choices: the same seed, the same choices.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// SplitMix64.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// Names that are almost symbols, or that nothing else uses.
const ODD_NAMES: &[&str] =
    &["tcp.port", "IP4", "ip4.", "ip", "_", "a.b", "ct", "regs", "reg10", "xreg5", "xxreg2"];
const RELATIONS: &[&str] = &["==", "==", "==", "!=", "<", "<=", ">", ">="];
const BLANKS: &[&str] = &["", " ", "  ", "\n", "\t", "/* why */", "// why\n", "\r\n", "\u{b}\u{c}"];
const STRINGS: &[&str] = &[
    "\"vm1\"",
    "\"\"",
    "\"a b\"",
    "\"\\u0041\"",
    "\"\\n\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"\\\\x\"",
    "\"\\/\"",
    "\"\\ud83d\\ude00\"",
    "\"ü\"",
    "\"a\\qb\"",
    "\"\\u00\"",
    "\"\\ud83d\"",
    "\"a\nb\"",
    "\"\\ud83dx\"",
    "\"//\"",
    "\"\\u0000\"",
    "\"\t\"",
];
const SETS: &[&str] =
    &["$four", "$net4", "$six", "$macs", "@web", "$nope", "@nope", "$", "@", "$1a", "$.a", "@web.x"];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "6",
    "15",
    "63",
    "64",
    "80",
    "255",
    "256",
    "0x800",
    "4095",
    "65535",
    "65536",
    "1048576",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "0x0",
    "0x1",
    "0X1f",
    "0x",
    "0xffffffffffffffffffffffffffffffff",
    "0x1ffffffffffffffffffffffffffffffff",
    "0x00000000000000000000000000000000000000000001",
    "0xfg",
    "01",
    "00",
    "1.2.3",
    "10.0.0.1",
    "10.0.0.256",
    "010.0.0.1",
    "1.2.3.4.5",
    "10.0.0.1.",
    "10.0.0.1:80",
    "::",
    "::1",
    "fd00::1",
    "FD00::A",
    "1::2::3",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "1::2:3:4:5:6:7:8",
    "::2:3:4:5:6:7:8",
    "::ffff:1.2.3.4",
    "1.2.3.4::",
    "1:2:3:4:5:6:1.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "12345::",
    ":1",
    ":",
    "a:b",
    "face:",
    "02:00:00:00:00:01",
    "0x2:00:00:00:0:01",
    "100:00:0:00:00:01",
    "02:00:00:00:00:0g",
    "2:0:0:0:0:1",
    "a:b:c:d:e:f:11:22",
    "ff:ff:ff:ff:ff:ff",
    "1a",
    "1e5",
    "fe80:0000:0000:0000:0000:0000:192.168.100.200",
    "1..2",
    "0.0.0.0",
    "255.255.255.255",
];
const MASKS: &[&str] = &[
    "/0",
    "/1",
    "/3",
    "/8",
    "/24",
    "/32",
    "/33",
    "/64",
    "/128",
    "/129",
    "/0x1",
    "/0xff",
    "/255.255.255.0",
    "/255.0.255.0",
    "/ffff::",
    "/::1",
    "/ff:ff:ff:00:00:00",
    "/",
    "/ 8",
    "/4294967320",
    "/0/0",
    "/x",
    "/0x1ffffffffffffffffffffffffffffffff",
];
/// Pieces that a mutation may drop in anywhere.
const SPLINTERS: &[&str] = &[
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "!",
    "&&",
    "||",
    "&",
    "|",
    "==",
    "=",
    "!=",
    "<",
    ">",
    "<->",
    "..",
    ".",
    ",",
    ";",
    "--",
    "-",
    ":",
    "::",
    "$",
    "@",
    "^",
    "^x",
    "\"",
    "'",
    "/",
    "//",
    "/*",
    "*/",
    "\\",
    "0",
    "1",
    "9",
    "a",
    "x",
    "ip4",
    "tcp",
    "[0]",
    "[0..7]",
    "[7..0]",
    "[1..1]",
    "[0x1]",
    "[99]",
    "[4294967296]",
    "[a]",
    " ",
    "\n",
    "ü",
    "\u{7f}",
    "\u{1}",
    "ip4(",
    "is_chassis_resident",
    "is_chassis_resident(\"vm1\")",
    "is_chassis_resident(vm1)",
];

/// For every symbol of every version, the forms in which it can be right or wrong.
pub(crate) fn exhaustive() -> Vec<String> {
    let mut symbols: Vec<&Symbol> = SymbolSet::ALL.into_iter().flat_map(SymbolSet::symbols).collect();
    symbols.sort_by_key(|symbol| symbol.name);
    symbols.dedup_by_key(|symbol| symbol.name);
    symbols.into_iter().flat_map(forms).collect()
}

fn forms(symbol: &Symbol) -> Vec<String> {
    let (name, width) = (symbol.name, symbol.width);
    let max = u128::MAX.checked_shr(128 - width).unwrap_or(0);
    let mut texts: Vec<String> =
        ["", " == 1", " != 1", " == 0", " != 0", " > 0", " <= 1", " == {0, 1}", " == 0x1/0x1"]
            .into_iter()
            .map(|end| format!("{name}{end}"))
            .collect();
    texts.extend(
        [" == \"vm1\"", " == {\"vm1\" \"vm2\"}", " == @web", " == $four", " != $six", " > $net4", "[0]"]
            .map(|end| format!("{name}{end}")),
    );
    texts.extend(
        ["!NAME", "!(NAME)", "!(NAME == 1)", "!(NAME != 1)", "!(NAME == \"vm1\")", "!(NAME != \"vm1\")"]
            .map(|text| text.replace("NAME", name)),
    );
    texts.extend(
        [
            "0 <= NAME <= 1",
            "NAME == 10.0.0.1",
            "NAME == fd00::1",
            "NAME == 02:00:00:00:00:01",
            "NAME[0] == 2",
            "!(!(NAME))",
        ]
        .map(|text| text.replace("NAME", name)),
    );
    texts.push(format!("{name} == {max:#x}"));
    texts.push(format!("{name} == {max:#x}0"));
    texts.push(format!("{name}[0..{}] == 1", width.saturating_sub(1)));
    texts.push(format!("{name}[{width}]"));
    texts
}

/// A random expression; about half have something wrong in them.
pub(crate) fn random(dice: &mut Dice, symbols: SymbolSet) -> String {
    let symbols: Vec<&Symbol> = symbols.symbols().collect();
    let mut writer = Writer { dice, symbols };
    let depth = writer.dice.below(4);
    let mut text = writer.expression(depth);
    if dice.one_in(3) {
        for _ in 0..=dice.below(2) {
            mutate(dice, &mut text);
        }
    }
    text
}

/// Deletes a letter, doubles one, or drops a splinter somewhere.
fn mutate(dice: &mut Dice, text: &mut String) {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    if places.is_empty() {
        return;
    }
    let at = places[dice.below(places.len())];
    match dice.below(4) {
        0 => {
            text.remove(at);
        }
        1 => {
            let letter = text[at..].chars().next().unwrap_or(' ');
            text.insert(at, letter);
        }
        _ => text.insert_str(at, dice.pick(SPLINTERS)),
    }
}

struct Writer<'d> {
    dice: &'d mut Dice,
    symbols: Vec<&'static Symbol>,
}

impl Writer<'_> {
    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 || self.dice.one_in(4) {
            return self.leaf();
        }
        match self.dice.below(8) {
            0 => format!("!({})", self.expression(depth - 1)),
            1 => format!("({})", self.expression(depth - 1)),
            2..=4 => self.joined(depth, "&&"),
            _ => self.joined(depth, "||"),
        }
    }

    fn joined(&mut self, depth: usize, joiner: &str) -> String {
        let n_operands = 2 + self.dice.below(3);
        let mut text = String::new();
        for idx in 0..n_operands {
            if idx > 0 {
                let joiner = if self.dice.one_in(60) { "||" } else { joiner };
                text.push_str(joiner);
                text.push_str(self.blank());
            }
            match self.dice.below(3) {
                0 => text.push_str(&format!("({})", self.expression(depth - 1))),
                _ => text.push_str(&self.leaf()),
            }
            text.push_str(self.blank());
        }
        text
    }

    fn blank(&mut self) -> &'static str {
        if self.dice.one_in(4) { self.dice.pick(BLANKS) } else { " " }
    }

    fn leaf(&mut self) -> String {
        match self.dice.below(16) {
            0 => self.dice.pick(&["0", "1", "2", "{1}", "0x1", "1/1"]).to_owned(),
            1 => format!("is_chassis_resident({})", self.dice.pick(STRINGS)),
            2 => format!("!is_chassis_resident({})", self.dice.pick(STRINGS)),
            3 => {
                let (symbol, field) = self.field();
                let (low, high) = (self.constant(symbol), self.constant(symbol));
                let relations: &[&str] =
                    if self.dice.one_in(2) { &["<", "<="] } else { &[">", ">=", ">", "<"] };
                format!("{low} {} {field} {} {high}", self.dice.pick(relations), self.dice.pick(relations))
            }
            4 => {
                let (symbol, field) = self.field();
                format!("{} {} {field}", self.constants(symbol), self.dice.pick(RELATIONS))
            }
            5..=8 => {
                let not = if self.dice.one_in(4) { "!" } else { "" };
                format!("{not}{}", self.field().1)
            }
            _ => {
                let (symbol, field) = self.field();
                format!(
                    "{field}{}{}{}{}",
                    self.blank(),
                    self.dice.pick(RELATIONS),
                    self.blank(),
                    self.constants(symbol)
                )
            }
        }
    }

    fn field(&mut self) -> (&'static Symbol, String) {
        let symbol = self.symbols[self.dice.below(self.symbols.len())];
        if self.dice.one_in(40) {
            return (symbol, self.dice.pick(ODD_NAMES).to_owned());
        }
        if !self.dice.one_in(6) {
            return (symbol, symbol.name.to_owned());
        }
        let (low, high) =
            (self.dice.below(1 + symbol.width as usize), self.dice.below(1 + symbol.width as usize));
        let text = match self.dice.below(3) {
            0 => format!("{}[{low}]", symbol.name),
            1 => format!("{}[{}..{}]", symbol.name, low.min(high), low.max(high)),
            _ => format!("{} [ {low} .. {high} ]", symbol.name),
        };
        (symbol, text)
    }

    fn constants(&mut self, symbol: &Symbol) -> String {
        if !self.dice.one_in(5) {
            return self.constant(symbol);
        }
        let n_constants = self.dice.below(4);
        let mut text = "{".to_owned();
        for _ in 0..n_constants {
            text.push_str(&self.constant(symbol));
            text.push_str(self.dice.pick(&[", ", ",", " ", ", ", ",,"]));
        }
        text + "}"
    }

    /// Mostly a constant that suits the field.
    fn constant(&mut self, symbol: &Symbol) -> String {
        if self.dice.one_in(8) {
            return self.odd_constant();
        }
        if symbol.is_text() {
            return if self.dice.one_in(4) { "@web" } else { self.dice.pick(STRINGS) }.to_owned();
        }
        let random = u128::from(self.dice.roll()) << 64 | u128::from(self.dice.roll());
        let value = random >> (128 - symbol.width) >> self.dice.below(symbol.width as usize);
        match symbol.width {
            32 if self.dice.one_in(2) => {
                format!("{}{}", std::net::Ipv4Addr::from_bits(value as u32), self.mask())
            }
            128 if self.dice.one_in(2) => format!("{}{}", std::net::Ipv6Addr::from_bits(value), self.mask()),
            _ if self.dice.one_in(6) => format!("{value:#x}/{:#x}", random >> (128 - symbol.width)),
            _ if self.dice.one_in(3) => format!("{value:#x}"),
            _ => value.to_string(),
        }
    }

    fn mask(&mut self) -> &'static str {
        if self.dice.one_in(2) {
            ""
        } else {
            self.dice.pick(&["/8", "/24", "/32", "/0", "/64", "/255.255.0.0", "/ffff::"])
        }
    }

    fn odd_constant(&mut self) -> String {
        match self.dice.below(4) {
            0 => self.dice.pick(SETS).to_owned(),
            1 => self.dice.pick(STRINGS).to_owned(),
            2 => format!("{}{}", self.dice.pick(NUMBERS), self.dice.pick(MASKS)),
            _ => self.dice.pick(NUMBERS).to_owned(),
        }
    }
}
