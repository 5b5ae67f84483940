//! What random networks found, each as small as it gets: `ovn-trace` of this OVN, `reach` and this page say the same.
//!
//! What ovn-trace cannot follow is no case: `is_beyond_trace` says what (seed 3135).

use std::net::Ipv4Addr;
use std::process::Command;

use northc::reach::guest::{ByHand, Guests};
use northc::reach::header::{Field, Header};
use northc::reach::network::Network;
use northc::reach::set::Sets;
use northc::reach::walk::{Kind, Walker};
use northc::target::Target;

use super::{PACKETS_EACH, Seen, Tracer, expected, saved, seen_of};
use crate::ovn;
use crate::reach::random::Packet;
use crate::stack::{Stack, succeeded};

/// Two switches and a router between them: machines `a` and `c` on one, `b` and a physical network on the other.
const NETWORK: &str = "
ls-add s0 -- ls-add s1 -- lr-add r
lrp-add r r-s0 02:00:00:00:10:01 10.0.0.1/24
lrp-add r r-s1 02:00:00:00:11:01 10.0.1.1/24
lsp-add s0 s0-r -- lsp-set-type s0-r router -- lsp-set-addresses s0-r router -- lsp-set-options s0-r router-port=r-s0
lsp-add s1 s1-r -- lsp-set-type s1-r router -- lsp-set-addresses s1-r router -- lsp-set-options s1-r router-port=r-s1
lsp-add s0 a -- lsp-set-addresses a '02:00:00:00:00:02 10.0.0.2'
lsp-add s0 c -- lsp-set-addresses c '02:00:00:00:00:03 10.0.0.3'
lsp-add s1 b -- lsp-set-addresses b '02:00:00:00:01:09 10.0.1.9'
lsp-add s1 w -- lsp-set-type w localnet -- lsp-set-addresses w unknown -- lsp-set-options w network_name=out";

/// A network that random ones shrank to, and what becomes of a packet there.
struct Found {
    /// The seed that found it.
    seed: u64,
    /// What is true of OVN.
    says: &'static str,
    /// What is in the network besides: commands of `ovn-nbctl`, a line each.
    with: &'static str,
    /// Who sends, and to which address: by TCP to port 80, by its router.
    packet: (&'static str, [u8; 4]),
    kind: Kind,
    /// What becomes of it before 25.03, and since.
    becomes: [Becomes; 2],
}

#[derive(Clone, Copy, PartialEq)]
enum Becomes {
    Lost,
    Refused,
    /// It leaves by this port.
    At(&'static str),
}

use Becomes::{At, Lost, Refused};

/// A translation without conntrack that is for all but `a`.
const NOT_FOR_A: &str = "
lrp-set-gateway-chassis r-s1 hv1
--id=@set create address_set name=four 'addresses=\"10.0.0.2\"' -- --id=@nat create nat type=dnat_and_snat \
  'external_ip=\"10.0.1.30\"' 'logical_ip=\"10.0.0.3\"' options:stateless=true exempted_ext_ips=@set -- add logical_router r nat @nat";

const FOUND: [Found; 14] = [
    Found {
        seed: 3115,
        says: "before 25.03 a router passes over an address without backends that keeps sources",
        with: "lr-route-add r 40.0.0.0/8 10.0.1.9
               create load_balancer name=lb protocol=tcp 'vips:\"40.0.0.2\"=\"\"' options:skip_snat=true
               lr-lb-add r lb",
        packet: ("a", [40, 0, 0, 2]),
        kind: Kind::First,
        becomes: [At("b"), Lost],
    },
    Found {
        seed: 3115,
        says: "the same where the router gives sources",
        with: "lr-route-add r 40.0.0.0/8 10.0.1.9
               set logical_router r options:lb_force_snat_ip=30.0.0.9
               create load_balancer name=lb protocol=tcp 'vips:\"40.0.0.2:80\"=\"\"'
               lr-lb-add r lb",
        packet: ("a", [40, 0, 0, 2]),
        kind: Kind::First,
        becomes: [At("b"), Lost],
    },
    Found {
        seed: 3094,
        says: "which one that is on no chassis does not by its ports' addresses",
        with: "lr-route-add r 40.0.0.0/8 10.0.1.9
               set logical_router r options:lb_force_snat_ip=router_ip
               create load_balancer name=lb protocol=tcp 'vips:\"40.0.0.2:80\"=\"\"'
               lr-lb-add r lb",
        packet: ("a", [40, 0, 0, 2]),
        kind: Kind::First,
        becomes: [Lost, Lost],
    },
    Found {
        seed: 3162,
        says: "what leaves for a router is forgotten where balancers alone have connections followed: no answer passes",
        with: "lb-add lb 40.0.0.2:80 10.0.0.2:80 -- ls-lb-add s0 lb
               acl-add s0 to-lport 5 tcp reject",
        packet: ("a", [10, 0, 1, 9]),
        kind: Kind::KnownAnswer,
        becomes: [Refused, Refused],
    },
    Found {
        seed: 1057,
        says: "before 23.06 a balancer alone has new connections dropped",
        with: "set nb_global . options:default_acl_drop=true
               lb-add lb 40.0.0.2:80 10.0.0.2:80 -- ls-lb-add s1 lb",
        packet: ("a", [10, 0, 1, 9]),
        kind: Kind::First,
        becomes: [Lost, At("b")],
    },
    Found {
        seed: 5,
        says: "nor what goes from router to router",
        with: "set nb_global . options:default_acl_drop=true
               lb-add lb 40.0.0.2:80 10.0.0.2:80 -- ls-lb-add s1 lb
               lr-route-add r 10.0.2.0/24 10.0.1.254 -- lr-add q -- ls-add s2
               lrp-add q q-s1 02:00:00:00:11:02 10.0.1.254/24 -- lrp-add q q-s2 02:00:00:00:12:02 10.0.2.1/24
               lsp-add s1 s1-q -- lsp-set-type s1-q router -- lsp-set-addresses s1-q router
               lsp-add s2 s2-q -- lsp-set-type s2-q router -- lsp-set-addresses s2-q router
               lsp-set-options s1-q router-port=q-s1 -- lsp-set-options s2-q router-port=q-s2
               lsp-add s2 d -- lsp-set-addresses d '02:00:00:00:02:05 10.0.2.5'",
        packet: ("a", [10, 0, 2, 5]),
        kind: Kind::First,
        becomes: [At("d"), At("d")],
    },
    Found {
        seed: 5,
        says: "a balancer has what comes in from a physical network spread too",
        with: "lb-add lb 40.0.0.2:80 10.0.0.2:80 -- ls-lb-add s1 lb",
        packet: ("w", [40, 0, 0, 2]),
        kind: Kind::First,
        becomes: [At("a"), At("a")],
    },
    Found {
        seed: 14,
        says: "what is for an address outside comes in again if somebody may have the next hop",
        with: "lrp-set-gateway-chassis r-s1 hv1 -- lsp-del w
               lr-nat-add r dnat_and_snat 30.0.0.30 10.0.0.2 -- lr-route-add r 30.0.0.0/24 10.0.1.9",
        packet: ("c", [30, 0, 0, 30]),
        kind: Kind::First,
        becomes: [At("a"), At("a")],
    },
    Found {
        seed: 14,
        says: "and else does not",
        with: "lrp-set-gateway-chassis r-s1 hv1 -- lsp-del w
               lr-nat-add r dnat_and_snat 30.0.0.30 10.0.0.2 -- lr-route-add r 30.0.0.0/24 10.0.1.77",
        packet: ("c", [30, 0, 0, 30]),
        kind: Kind::First,
        becomes: [Lost, Lost],
    },
    Found {
        seed: 1064,
        says: "before 25.03 an address of source translation is not the router's own although no gateway has it",
        with: "lrp-add r r-s2 02:00:00:00:12:01 10.0.2.1/24 -- lrp-set-gateway-chassis r-s2 hv1
               lrp-set-gateway-chassis r-s1 hv1
               --id=@nat create nat type=snat 'external_ip=\"10.0.0.1\"' 'logical_ip=\"10.0.0.0/24\"' -- add logical_router r nat @nat
               lr-route-add r 10.0.0.1/32 10.0.1.9",
        packet: ("a", [10, 0, 0, 1]),
        kind: Kind::First,
        becomes: [At("b"), Lost],
    },
    Found {
        seed: 1072,
        says: "a gateway that is switched off takes nothing in again",
        with: "lrp-set-gateway-chassis r-s1 hv1 -- lrp-set-enabled r-s1 disabled
               lr-nat-add r dnat_and_snat 10.0.1.30 10.0.0.2",
        packet: ("c", [10, 0, 1, 30]),
        kind: Kind::First,
        becomes: [Lost, Lost],
    },
    Found {
        seed: 5,
        says: "but from who has an Ethernet address of its own outside",
        with: "lrp-set-gateway-chassis r-s1 hv1 -- lrp-set-enabled r-s1 disabled
               lr-nat-add r dnat_and_snat 10.0.1.30 10.0.0.2
               lr-nat-add r dnat_and_snat 10.0.1.31 10.0.0.3 c 02:00:00:00:40:03",
        packet: ("c", [10, 0, 1, 30]),
        kind: Kind::First,
        becomes: [At("a"), At("a")],
    },
    Found {
        seed: 3045,
        says: "before 25.03 whom a translation without conntrack is not for gets nothing out of its gateway",
        with: NOT_FOR_A,
        packet: ("a", [10, 0, 1, 9]),
        kind: Kind::First,
        becomes: [Lost, At("b")],
    },
    Found {
        seed: 3045,
        says: "and since then nothing to its external address",
        with: NOT_FOR_A,
        packet: ("a", [10, 0, 1, 30]),
        kind: Kind::First,
        becomes: [Lost, Lost],
    },
];

#[test]
fn what_random_networks_found() {
    if !ovn::is_present() {
        return;
    }
    let target: Target = ovn::version().parse().expect("a version of OVN");
    let since = usize::from(target >= Target::TESTED[1]);
    let mut failures = Vec::new();
    for found in &FOUND {
        let stack = Stack::with_northd();
        let lines = NETWORK.lines().chain(found.with.lines()).map(str::trim).filter(|line| !line.is_empty());
        let script: String = lines.map(|line| format!("ovn-nbctl {line}\n")).collect();
        let ran = stack.run(Command::new("sh").args(["-ec", &script]));
        succeeded(&ran).unwrap_or_else(|e| panic!("seed {}: {e}", found.seed));
        stack.settle();
        let network = Network::of_actual(&saved(&stack), target);
        let sets = Sets::default();
        let mut walker = Walker::new(&network, &sets, Guests::new(&network, ByHand::default()));
        let packet = packet(found.packet);
        let said = expected(&network, &mut walker, &packet, found.kind);
        let state = if found.kind == Kind::First { "new" } else { "est,rpl" };
        let text = Tracer::start(&stack, state).trace(&packet).expect("it is traced");
        let seen = seen_of(&text);
        let becomes = match &seen {
            Seen::Out(port, ..) => found.becomes.into_iter().find(|it| matches!(it, At(at) if at == port)),
            Seen::Lost(is_told) => Some(if *is_told { Refused } else { Lost }),
        };
        let is_judged = said.as_ref().is_some_and(|said| said.contains(&seen));
        if becomes != Some(found.becomes[since]) || !is_judged {
            let (seed, says) = (found.seed, found.says);
            failures.push(format!("seed {seed}, {says}: OVN {seen:?}, northc {said:?}\n{text}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(FOUND.len() < PACKETS_EACH, "a tracer says enough");
}

/// A packet to port 80 of an address, by the router.
fn packet((from, to): (&str, [u8; 4])) -> Packet {
    let (switch, eth_src, source) = match from {
        "a" => ("s0", 0x02_00_00_00_00_02, [10, 0, 0, 2]),
        "c" => ("s0", 0x02_00_00_00_00_03, [10, 0, 0, 3]),
        "b" => ("s1", 0x02_00_00_00_01_09, [10, 0, 1, 9]),
        _ => ("s1", 0x02_77_00_00_00_01, [10, 0, 1, 99]),
    };
    let eth_dst = if switch == "s0" { 0x02_00_00_00_10_01 } else { 0x02_00_00_00_11_01 };
    let bits = |own| u128::from(Ipv4Addr::from(own).to_bits());
    let mut header = Header::default();
    let fields = [
        (Field::EthType, 0x0800),
        (Field::IpProto, 6),
        (Field::IpSrc, bits(source)),
        (Field::IpDst, bits(to)),
        (Field::TpSrc, 40_000),
        (Field::TpDst, 80),
    ];
    fields.into_iter().for_each(|(field, value)| header[field] = value);
    Packet { port: from.to_owned(), switch: switch.to_owned(), eth_src, eth_dst, header }
}
