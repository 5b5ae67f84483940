//! What OVN dies of and what it takes without a word, one by one, and what northc does about each.
//!
//! `docs/silence.md` is written from this list. An answer with a code is shown by a case of `fixtures/check`; where a
//! row of the kind is never written, `rows` holds that of all rows that anybody can get (`mutants::doors`).

mod ports;
pub(crate) mod rows;

use std::fmt::Write;
use std::fs;

use northc::diag::Code;

use crate::cases::root;
use crate::docs::is_current;

/// What becomes of an input that asks for it.
enum Answer {
    /// A message of this code; the case of `fixtures/check` that shows it.
    Told(&'static str, &'static str),
    /// No input makes such rows: the rule that holds that.
    Never(&'static str),
    /// No change does so: how it is gone about. A law of plans holds that (`laws`).
    Otherwise(&'static str),
}

use Answer::{Never, Otherwise, Told};

/// A row that should not be, and the answers to what would make it.
type Trap = (&'static str, &'static [Answer]);

const DEADLY: [Trap; 8] = [
    ("several routes of one prefix without a next hop", &[Never("routes")]),
    ("a route without a next hop and with `ecmp_symmetric_reply`", &[Never("routes")]),
    (
        "`discard` beside another route of its prefix",
        &[Told("N0450", "native-discard-shared"), Never("routes")],
    ),
    ("a BFD session at a port that no chassis carries", &[Told("N0472", "bfd-nowhere"), Never("watched")]),
    ("a tunnel key that does not fit (`requested-tnl-key`)", &[Never("options")]),
    ("two addresses of a family in `lb_force_snat_ip`, `dnat_force_snat_ip`", &[Never("options")]),
    (
        "router ports whose peers are others, text that is no text",
        &[Told("N0402", "peer-one-sided"), Never("links"), Never("texts")],
    ),
    (
        "a router or a switch that goes in one round of northd with another one that comes (26.03.1)",
        &[Otherwise(
            "it is emptied with the change and goes once northd has seen that; nothing comes before northd has seen what went",
        )],
    ),
];

const SILENT: [Trap; 44] = [
    ("a route's port on another router", &[Never("routes")]),
    (
        "a switch port that leads to a router port which is not there, or which another one leads to",
        &[Never("links")],
    ),
    (
        "a peer that names nobody, or somebody who names another",
        &[Told("N0402", "peer-one-sided"), Never("links")],
    ),
    ("a router port's network without a length", &[Told("N0405", "peer-address-bare"), Never("links")]),
    (
        "overlapping networks of one router",
        &[
            Told("N0301", "cidr-overlap"),
            Told("N0409", "peer-network-reused"),
            Told("N0410", "peer-network-overlap"),
            Never("links"),
        ],
    ),
    (
        "one address, or one MAC address, for two ports of a switch",
        &[Told("N0309", "address-taken"), Told("N0312", "mac-taken"), Never("segments")],
    ),
    ("a machine with its gateway's address", &[Told("N0310", "address-reserved"), Never("segments")]),
    (
        "a translation on a router without a gateway",
        &[Told("N0440", "nat-without-gateway"), Never("translations")],
    ),
    ("a floating IP with a MAC address and no port, or the reverse", &[Never("translations")]),
    (
        "a gateway on a network that is not bridged",
        &[Told("N0436", "external-not-bridged"), Never("kinds-of-ports")],
    ),
    ("a floating IP of a port that is not there", &[Told("N0218", "unknown-inside"), Never("translations")]),
    ("a public address with a length", &[Never("translations")]),
    (
        "a range of ports or a match of a translation that can't be read",
        &[Never("translations"), Never("matches")],
    ),
    ("a public address that is on no network of the router", &[Told("N0308", "elastic-ip-clashes")]),
    ("one source translated in two ways", &[Told("N0445", "nat-tie"), Never("translations")]),
    (
        "one public address for two routers, or for uses that exclude each other",
        &[Told("N0444", "elastic-ip-shared"), Told("N0309", "elastic-ip-clashes"), Never("public")],
    ),
    (
        "the same route twice, which is half of the traffic each",
        &[Told("N0423", "route-twice"), Never("routes")],
    ),
    ("a route table without routes, or misspelt", &[Told("N0427", "route-table-unknown")]),
    ("a reroute without a next hop", &[Told("N0431", "policy-hops"), Never("policies")]),
    ("next hops of two families", &[Told("N0422", "family-mix"), Never("policies")]),
    ("a match that can't be read", &[Told("N0501", "match-trailing"), Never("matches")]),
    (
        "an address set, port group or port in a match that is not there",
        &[Told("N0503", "match-unknown-set"), Told("N0504", "match-unknown-port"), Never("matches")],
    ),
    (
        "a field that is not set there, such as `outport` where packets leave a guest",
        &[Told("N0505", "match-never-true"), Never("rules")],
    ),
    (
        "a constant with host bits, which stands for the whole block",
        &[Told("N0502", "match-host-bits"), Told("N0112", "host-bits")],
    ),
    ("an address set of two families, or with something else in it", &[Never("sets")]),
    ("an address set or port group whose name no match can write", &[Told("N0113", "pools"), Never("sets")]),
    ("rules of one priority that disagree", &[Told("N0506", "acl-tie"), Told("N0430", "policy-tie")]),
    ("`apply-after-lb` on rules for what reaches a guest", &[Never("rules")]),
    ("a meter that is not there", &[Told("N0528", "meter-rate"), Never("rules")]),
    ("`default_acl_drop` on a switch without rules, which is open", &[Never("options")]),
    ("a port group's rule that is not tied to its ports", &[Never("rules")]),
    ("DHCP options for another block than the guest's", &[Never("guests")]),
    (
        "a DHCP option that OVN does not know, or a value that it can't read",
        &[Told("N0603", "dhcp-option"), Never("guests")],
    ),
    ("a DHCP router that is not on the guest's segment", &[Told("N0320", "dhcp-router-elsewhere")]),
    (
        "a name in capitals, or one whose address is none",
        &[Told("N0160", "native-dns-zone"), Never("guests")],
    ),
    (
        "a balancer's address in a subnet, where nobody answers for it",
        &[Told("N0452", "balancer-address"), Told("N0601", "balancer-address"), Never("segments")],
    ),
    (
        "two balancers with one address and port",
        &[Told("N0453", "balancer-twice"), Told("N0446", "forward-twice"), Never("balancers")],
    ),
    (
        "a health check that asks nobody, or for another address",
        &[Told("N0456", "balancer-unwatched"), Told("N0113", "balancer-unwatched"), Never("balancers")],
    ),
    (
        "a bridged port without its physical network",
        &[Told("N0107", "native-missing-field"), Never("kinds-of-ports")],
    ),
    (
        "a gateway that nobody carries, or a chassis that is not there",
        &[
            Told("N0437", "gateway-without-chassis"),
            Told("N0439", "chassis-guessed"),
            Told("N0481", "chassis-unknown"),
            Never("gateways"),
        ],
    ),
    (
        "options by misspelt names, of routers that are on one chassis, of forced sources",
        &[Told("N0105", "unknown-field"), Told("N0604", "ra-option"), Never("options")],
    ),
    ("a virtual port that nobody may hold", &[Told("N0216", "vip-unheld"), Never("kinds-of-ports")]),
    (
        "a policy or QoS rule of priority 0, and one without an effect",
        &[Told("N0429", "priority-range"), Never("policies"), Never("rules")],
    ),
    ("references to rows that are not there, and rows that nobody holds", &[Never("schema")]),
];

const HEAD: &str = "# What OVN does not say

OVN takes almost everything that fits its schema. Some rows stop it for every tenant, others it leaves out or reads
otherwise without a line in a log, and what was to be filtered passes. This is what is known of them, and what northc
does: it answers with a [code](codes.md), or no input, however it is written, makes such a row. Tests hold the second of
all rows of all `fixtures/`, with each single thing in them changed, and with other texts in place of each text.

";

#[test]
fn the_list_is_true_and_its_page_current() {
    let mut page = HEAD.to_owned();
    let parts = [
        ("Rows that crash or freeze ovn-northd", DEADLY.as_slice()),
        ("Rows that are ignored, or mean something else", SILENT.as_slice()),
    ];
    for (title, traps) in parts {
        let _ = write!(page, "## {title}\n\n| row | northc |\n|---|---|\n");
        for (what, answers) in traps {
            let said: Vec<String> = answers.iter().map(|answer| said(what, answer)).collect();
            let _ = writeln!(page, "| {what} | {} |", said.join(", "));
        }
        page.push('\n');
    }
    is_current("silence.md", page.trim_end_matches('\n'));
}

/// An answer in words, after a look at what it rests on.
fn said(what: &str, answer: &Answer) -> String {
    match answer {
        Told(code, case) => {
            let snapshot = root().join("fixtures/check").join(case).join("check.snap");
            let shown =
                fs::read_to_string(&snapshot).unwrap_or_else(|e| panic!("{}: {e}", snapshot.display()));
            assert!(shown.contains(&format!("[{code}]: ")), "{what}: {case} does not show {code}");
            let code: Code = code.parse().unwrap_or_else(|_| panic!("{code} is a code"));
            format!("[{code}](codes.md#{}-{}) {}", code.number().to_lowercase(), code.slug(), code.slug())
        }
        Never(rule) => {
            assert!(rows::RULES.iter().any(|(name, _)| name == rule), "{what}: there is no rule `{rule}`");
            "never written".to_owned()
        }
        Otherwise(how) => (*how).to_owned(),
    }
}
