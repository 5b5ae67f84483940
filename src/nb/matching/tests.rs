//! Tables of matches and what is made of them. What OVN accepts is for `tests/it/matching.rs`.

use super::ast::{ExprKind, ReferenceKind};
use super::problem::ProblemKind as Kind;
use super::symbols::{Definition, Level, SymbolSet};
use super::{Expr, Parsed, one_line, parse};

const NEWEST: SymbolSet = SymbolSet::V26_03;

fn accepted(text: &str) -> Expr {
    let Parsed { expr, problems } = parse(text, NEWEST);
    expr.unwrap_or_else(|| panic!("`{text}` is refused: {problems:?}"))
}

/// What is said about `text`: the sort of each problem, and the words it points at.
fn said(text: &str, symbols: SymbolSet) -> Vec<(Kind, &str)> {
    let problems = parse(text, symbols).problems;
    problems.into_iter().map(|problem| (problem.kind, &text[problem.range])).collect()
}

#[test]
fn the_canonical_form() {
    let table = [
        ("ip4&&tcp", "ip4 && tcp"),
        ("ip4 && (tcp && tcp.dst == 80)", "ip4 && tcp && tcp.dst == 80"),
        ("(((ip4)))", "ip4"),
        ("ip4 && (tcp || udp)", "ip4 && (tcp || udp)"),
        ("80 == tcp.dst", "tcp.dst == 80"),
        ("1024 > tcp.dst", "tcp.dst < 1024"),
        ("49151 >= tcp.dst > 1023", "1023 < tcp.dst <= 49151"),
        ("tcp.dst == {80 443,}", "tcp.dst == {80, 443}"),
        ("tcp.dst == {80}", "tcp.dst == 80"),
        ("ip4.dst == 10.0.0.99/24", "ip4.dst == 10.0.0.0/24"),
        ("ip4.dst == 10.0.0.0/255.0.255.0", "ip4.dst == 10.0.0.0/255.0.255.0"),
        ("ip6.src == FD00:0::1/64", "ip6.src == fd00::/64"),
        ("eth.src == 02:00:00:00:00:01/ff:ff:ff:00:00:00", "eth.src == 02:00:00:00:00:00/ff:ff:ff:00:00:00"),
        ("reg0 == 0/0xF0", "reg0 == 0x0/0xf0"),
        ("tcp.dst[0..15] == 0X50", "tcp.dst == 0x50"),
        ("reg0 == 0x100000000000000000000000000000001/0x1", "reg0 == 0x1/0x1"),
        ("tcp.flags[1]", "tcp.flags[1]"),
        ("!(ct.est)", "!ct.est"),
        ("!(tcp.dst == 22)", "!(tcp.dst == 22)"),
        ("inport == \"a\\u0022\\/\\n\"", "inport == \"a\\\"/\\u000a\""),
        ("! is_chassis_resident(\"gw\")", "!is_chassis_resident(\"gw\")"),
        ("1 // everything", "1"),
    ];
    for (text, canonical) in table {
        let expr = accepted(text);
        assert_eq!(expr.to_string(), canonical);
        assert_eq!(accepted(canonical), expr);
    }
}

#[test]
fn one_line_keeps_the_words() {
    assert_eq!(one_line(" ip4  /* v4 */\n&&\ttcp.dst==80 // web\n"), "ip4 && tcp.dst==80");
    assert_eq!(one_line("inport == \"a  b\""), "inport == \"a  b\"");
    assert_eq!(one_line("  "), "");
}

#[test]
fn what_is_refused() {
    let table: &[(&str, &[(Kind, &str)])] = &[
        ("", &[(Kind::Syntax, "")]),
        ("ip4 &&", &[(Kind::Syntax, "")]),
        ("ip4 & tcp", &[(Kind::Lexical, "&")]),
        ("ip4 and tcp", &[(Kind::Syntax, "and")]),
        ("ip4 = 1", &[(Kind::Syntax, "=")]),
        ("(ip4", &[(Kind::Syntax, "")]),
        ("ip4)", &[(Kind::Syntax, ")")]),
        ("ip4 && tcp || udp", &[(Kind::MixedOperators, "||")]),
        ("ipv4 && tcp.dport == 80", &[(Kind::UnknownSymbol, "ipv4"), (Kind::UnknownSymbol, "tcp.dport")]),
        ("inport == lsp1", &[(Kind::Syntax, "lsp1")]),
        ("inport == 'lsp1'", &[(Kind::Lexical, "'")]),
        ("inport == \"lsp1", &[(Kind::Lexical, "\"lsp1")]),
        ("inport", &[(Kind::TypeMismatch, "inport")]),
        ("inport == 5", &[(Kind::TypeMismatch, "5")]),
        ("tcp.dst == @web", &[(Kind::TypeMismatch, "@web")]),
        ("tcp.dst == {80, \"http\"}", &[(Kind::TypeMismatch, "\"http\"")]),
        ("tcp.dst == 65536", &[(Kind::TooWide, "65536")]),
        ("ip4.src == {10.0.0.1, fd00::1}", &[(Kind::TooWide, "fd00::1")]),
        ("tcp.dst", &[(Kind::MultiBitTest, "tcp.dst")]),
        ("tcp.dst[16]", &[(Kind::Subfield, "tcp.dst[16]")]),
        ("tcp.dst[7..0] == 1", &[(Kind::Subfield, "tcp.dst[7..0]")]),
        ("ip.proto[0]", &[(Kind::Subfield, "ip.proto[0]")]),
        ("inport[0] == \"a\"", &[(Kind::Subfield, "inport[0]")]),
        ("ip.proto > 5", &[(Kind::Ordering, "ip.proto > 5")]),
        ("tcp.dst > {80, 443}", &[(Kind::Ordering, "tcp.dst > {80, 443}")]),
        ("ip4.src > 10.0.0.0/8", &[(Kind::Ordering, "ip4.src > 10.0.0.0/8")]),
        ("ip.proto != 6", &[(Kind::Nominal, "ip.proto != 6")]),
        ("inport != \"a\"", &[(Kind::Nominal, "inport != \"a\"")]),
        ("!tcp", &[(Kind::Nominal, "tcp")]),
        ("!(ip4 && tcp.dst == 80)", &[(Kind::Nominal, "ip4")]),
        ("!tcp.dst == 80", &[(Kind::Syntax, "!tcp.dst == 80")]),
        ("1 < tcp.dst > 5", &[(Kind::Syntax, "1 < tcp.dst > 5")]),
        ("ip4.src == 10.0.0.1/33", &[(Kind::Lexical, "10.0.0.1/33")]),
        ("ip4.src == 10.0.0.256", &[(Kind::Lexical, "10.0.0.256")]),
        ("tcp.dst == 080", &[(Kind::Lexical, "080")]),
        ("ip4 /* open", &[(Kind::Lexical, "/* open")]),
        ("ip4.dst == ^vip", &[(Kind::Template, "^vip")]),
        ("ip.proto == 0x6/0xf", &[(Kind::MaskIgnored, "0x6/0xf")]),
        ("icmp4.frag_mtu == 1400", &[(Kind::ActionField, "icmp4.frag_mtu")]),
        (
            "nosuch == 1 && tcp.dst == 65536 && ip4 ip6",
            &[(Kind::UnknownSymbol, "nosuch"), (Kind::TooWide, "65536"), (Kind::Syntax, "ip6")],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(said(text, NEWEST), *expected, "{text}");
        assert!(parse(text, NEWEST).expr.is_none(), "{text}");
    }
}

#[test]
fn what_is_accepted_with_a_warning() {
    let table: &[(&str, &[(Kind, &str)])] = &[
        ("ip4.dst == 10.0.0.99/24", &[(Kind::HostBits, "10.0.0.99/24")]),
        ("tcp.dst[0..7] == 0x1ff", &[(Kind::Truncated, "0x1ff")]),
        ("ip6.src == 10.0.0.1", &[(Kind::AddressFamily, "10.0.0.1")]),
        ("ip4.src > $as", &[(Kind::OrderedSet, "ip4.src > $as")]),
        ("80 < tcp.dst < 80", &[(Kind::Never, "80 < tcp.dst < 80")]),
        ("ip4 && ip6.src == fd00::1", &[(Kind::Never, "ip6.src == fd00::1")]),
        ("tcp && (udp.dst == 53 || udp.src == 53)", &[(Kind::Never, "udp.dst == 53 || udp.src == 53")]),
        ("icmp && tcp.dst == 80", &[(Kind::Never, "tcp.dst == 80")]),
        ("ip && icmp6 && ip4.src == 10.0.0.1", &[(Kind::Never, "ip4.src == 10.0.0.1")]),
    ];
    for (text, expected) in table {
        assert_eq!(said(text, NEWEST), *expected, "{text}");
        accepted(text);
    }
    for text in [
        "ip4 && tcp.dst == 80",
        "ip && icmp4",
        "(tcp || udp) && udp.dst == 53",
        "!(ip4.src == 10.0.0.1 && ip6.src == ::1)",
    ] {
        assert_eq!(said(text, NEWEST), [], "{text}");
    }
}

#[test]
fn what_would_help() {
    let table = [
        ("ip4.scr == 10.0.0.1", "did you mean `ip4.src`?"),
        ("ip.src == 10.0.0.1", "write `ip4.src` or `ip6.src`"),
        ("flags.network_id == 1", "OVN 26.03 and later have it"),
        ("ct_label.blocked", "OVN had it up to 23.03"),
        ("inport == vm1", "text stands in double quotes: `\"vm1\"`"),
        ("!tcp.dst == 80", "write `!(tcp.dst == 80)`"),
        ("ip4 or ip6", "write `||`"),
    ];
    for (text, help) in table {
        let first = parse(text, SymbolSet::V25_03).problems.swap_remove(0);
        assert_eq!(first.help.as_deref(), Some(help), "{text}");
    }
    assert_eq!(parse("entirely_else", NEWEST).problems[0].help, None);
}

#[test]
fn a_match_names_what_it_refers_to() {
    let expr = accepted(
        "outport == @web && ip4.src == {$office, 10.0.0.1} && is_chassis_resident(\"gw\") && inport == \"vm1\"",
    );
    let named: Vec<_> =
        expr.references().iter().map(|it| (it.kind, it.name.to_owned(), it.range.start)).collect();
    assert_eq!(
        named,
        [
            (ReferenceKind::PortGroup, "web".to_owned(), 11),
            (ReferenceKind::AddressSet, "office".to_owned(), 31),
            (ReferenceKind::ResidentPort, "gw".to_owned(), 73),
            (ReferenceKind::Port, "vm1".to_owned(), 92),
        ]
    );
    assert_eq!(expr.references()[1].field.map(|field| field.width), Some(32));
    assert!(expr.mentions_field("outport"));
    assert!(!expr.mentions_field("eth.type"));
}

#[test]
fn nesting_ends_where_that_of_ovn_does() {
    let nested = |n: usize| format!("{}ip4{}", "(".repeat(n), ")".repeat(n));
    accepted(&nested(100));
    assert_eq!(said(&nested(101), NEWEST), [(Kind::Nesting, "(")]);
    assert_eq!(said(&"(".repeat(1_000_000), NEWEST), [(Kind::Nesting, "(")]);
}

#[test]
fn a_long_match_is_read_in_one_go() {
    let text = vec!["tcp.dst == 1"; 50_000].join(" || ");
    let ExprKind::Any(operands) = accepted(&text).kind else { panic!("`||` joins") };
    assert_eq!(operands.len(), 50_000);
}

#[test]
fn symbols_stand_for_what_they_say() {
    for symbols in SymbolSet::ALL {
        for symbol in symbols.symbols() {
            let read = |text: &str| {
                let Parsed { expr, problems } = parse(text, symbols);
                assert_eq!(problems, [], "{symbols}: {} is `{text}`", symbol.name);
                expr.expect("nothing is wrong with it")
            };
            symbol.prerequisite.map(read);
            match symbol.definition {
                Definition::Predicate(expansion) => {
                    let of = |field: &&super::FieldRef| field.symbol.level == Level::Nominal;
                    let has_nominal = read(expansion).fields().iter().any(of);
                    let level = if has_nominal { Level::Nominal } else { Level::Boolean };
                    assert_eq!(symbol.level, level, "{symbols}: {}", symbol.name);
                }
                Definition::Subfield { parent, low } => {
                    let parent = symbols.get(parent).expect("it is part of a symbol");
                    assert!(low + symbol.width <= parent.width, "{symbols}: {}", symbol.name);
                }
                Definition::Field | Definition::ActionField => {}
            }
            let same_name = symbols.symbols().filter(|other| other.name == symbol.name);
            assert_eq!(same_name.count(), 1, "{symbols}: {}", symbol.name);
        }
    }
}
