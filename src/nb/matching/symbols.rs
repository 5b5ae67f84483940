//! The fields and predicates that a match may name, as `ovn_init_symtab` of each version has them.
//!
//! Refuses to interpret what a predicate stands for; it is the text that OVN puts in its place.

use std::fmt;

use super::ast::Format;
use SymbolSet::{V23_03, V25_03, V26_03};

/// The symbols of one OVN version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SymbolSet {
    /// OVN 23.03.
    V23_03,
    /// OVN 25.03.
    V25_03,
    /// OVN 26.03.
    V26_03,
}

/// A field, a part of one, or a predicate.
#[derive(Debug, PartialEq, Eq)]
pub struct Symbol {
    /// As it is written.
    pub name: &'static str,
    /// In bits; zero for text.
    pub width: u32,
    /// What may be asked of it.
    pub level: Level,
    /// What it is.
    pub definition: Definition,
    /// What OVN also requires wherever the symbol is written.
    pub prerequisite: Option<&'static str>,
    /// The family of addresses that it holds.
    pub family: Option<Format>,
    since: SymbolSet,
    until: SymbolSet,
}

/// What may be asked of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Only whether it is equal, never whether it differs.
    Nominal,
    /// Only whether it is equal or differs.
    Boolean,
    /// Anything.
    Ordinal,
}

/// What a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// A field of a packet or of its metadata.
    Field,
    /// The bits of `parent` from `low` up.
    Subfield {
        /// The field it is part of.
        parent: &'static str,
        /// Its lowest bit there.
        low: u32,
    },
    /// True where this expression is.
    Predicate(&'static str),
    /// A field for actions alone: the expression parser knows it and nothing behind it does.
    ActionField,
}

impl SymbolSet {
    /// All of them, oldest first.
    pub const ALL: [SymbolSet; 3] = [SymbolSet::V23_03, SymbolSet::V25_03, SymbolSet::V26_03];

    /// The symbol called `name`.
    pub fn get(self, name: &str) -> Option<&'static Symbol> {
        self.symbols().find(|symbol| symbol.name == name)
    }

    /// All symbols of this version.
    pub fn symbols(self) -> impl Iterator<Item = &'static Symbol> {
        SYMBOLS.iter().filter(move |symbol| symbol.since <= self && self <= symbol.until)
    }

    /// The versions, if any, that have a symbol called `name`.
    pub(super) fn all_with(name: &str) -> Vec<SymbolSet> {
        SymbolSet::ALL.into_iter().filter(|set| set.get(name).is_some()).collect()
    }
}

impl fmt::Display for SymbolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SymbolSet::V23_03 => "23.03",
            SymbolSet::V25_03 => "25.03",
            SymbolSet::V26_03 => "26.03",
        })
    }
}

impl Symbol {
    /// Whether it holds text, such as the name of a port.
    pub fn is_text(&self) -> bool {
        self.width == 0
    }

    const fn new(name: &'static str, width: u32, level: Level, definition: Definition) -> Symbol {
        let (since, until) = (SymbolSet::V23_03, SymbolSet::V26_03);
        Symbol { name, width, level, definition, prerequisite: None, family: None, since, until }
    }

    const fn requires(self, prerequisite: &'static str) -> Symbol {
        Symbol { prerequisite: Some(prerequisite), ..self }
    }

    const fn holds(self, family: Format) -> Symbol {
        Symbol { family: Some(family), ..self }
    }

    const fn since(self, since: SymbolSet) -> Symbol {
        Symbol { since, ..self }
    }

    const fn until(self, until: SymbolSet) -> Symbol {
        Symbol { until, ..self }
    }
}

/// Text.
const fn text(name: &'static str) -> Symbol {
    Symbol::new(name, 0, Level::Nominal, Definition::Field)
}

/// A field whose bits can be masked one by one.
const fn field(name: &'static str, width: u32) -> Symbol {
    Symbol::new(name, width, Level::Ordinal, Definition::Field)
}

/// A field that is matched whole.
const fn nominal(name: &'static str, width: u32) -> Symbol {
    Symbol::new(name, width, Level::Nominal, Definition::Field)
}

/// `width` bits of `parent` from `low` up.
const fn part(name: &'static str, parent: &'static str, low: u32, width: u32) -> Symbol {
    Symbol::new(name, width, Level::Ordinal, Definition::Subfield { parent, low })
}

const fn ct(name: &'static str, low: u32) -> Symbol {
    part(name, "ct_state", low, 1).requires("ct.trk")
}

/// A predicate that rests on fields that are matched whole.
const fn nominal_predicate(name: &'static str, expansion: &'static str) -> Symbol {
    Symbol::new(name, 1, Level::Nominal, Definition::Predicate(expansion))
}

/// A predicate that can be negated.
const fn predicate(name: &'static str, expansion: &'static str) -> Symbol {
    Symbol::new(name, 1, Level::Boolean, Definition::Predicate(expansion))
}

const fn ipv4(name: &'static str) -> Symbol {
    field(name, 32).holds(Format::Ipv4)
}

const fn ipv6(name: &'static str) -> Symbol {
    field(name, 128).holds(Format::Ipv6)
}

const fn mac(name: &'static str) -> Symbol {
    field(name, 48).holds(Format::Mac)
}

static SYMBOLS: &[Symbol] = &[
    text("inport"),
    text("outport"),
    text("remote_outport").since(V26_03),
    field("__inport", 32).since(V26_03),
    field("__outport", 32).since(V26_03),
    predicate("from_evpn_vtep", "__inport[31]").since(V26_03),
    predicate("to_evpn_vtep", "__outport[31]").since(V26_03),
    // Registers: reg0 is the highest quarter of xxreg0.
    field("xxreg0", 128),
    field("xxreg1", 128),
    part("xreg0", "xxreg0", 64, 64),
    part("xreg1", "xxreg0", 0, 64),
    part("xreg2", "xxreg1", 64, 64),
    part("xreg3", "xxreg1", 0, 64),
    field("xreg4", 64),
    part("reg0", "xxreg0", 96, 32),
    part("reg1", "xxreg0", 64, 32),
    part("reg2", "xxreg0", 32, 32),
    part("reg3", "xxreg0", 0, 32),
    part("reg4", "xxreg1", 96, 32),
    part("reg5", "xxreg1", 64, 32),
    part("reg6", "xxreg1", 32, 32),
    part("reg7", "xxreg1", 0, 32),
    part("reg8", "xreg4", 32, 32),
    part("reg9", "xreg4", 0, 32),
    field("flags", 32),
    part("flags.loopback", "flags", 0, 1),
    part("flags.force_snat_for_dnat", "flags", 2, 1),
    part("flags.force_snat_for_lb", "flags", 3, 1),
    part("flags.skip_snat_for_lb", "flags", 9, 1),
    part("flags.use_snat_zone", "flags", 11, 1),
    part("flags.localnet", "flags", 15, 1).since(V25_03),
    part("flags.tunnel_rx", "flags", 16, 1).since(V25_03),
    part("flags.icmp_snat", "flags", 17, 1).since(V25_03),
    part("flags.from_ctrl", "flags", 19, 1).since(V25_03),
    part("flags.unsnat_new", "flags", 20, 1).since(V25_03),
    part("flags.unsnat_not_tracked", "flags", 21, 1).since(V25_03),
    part("flags.igmp_loopback", "flags", 22, 1).since(V26_03),
    part("flags.pkt_sampled", "flags", 23, 1).since(V26_03),
    part("flags.network_id", "flags", 28, 4).since(V26_03),
    field("ct_mark", 32),
    part("ct_mark.blocked", "ct_mark", 0, 1),
    part("ct_mark.natted", "ct_mark", 1, 1),
    part("ct_mark.skip_snat", "ct_mark", 2, 1),
    part("ct_mark.force_snat", "ct_mark", 3, 1),
    part("ct_mark.obs_stage", "ct_mark", 4, 2).since(V25_03),
    part("ct_mark.allow_established", "ct_mark", 6, 1).since(V25_03),
    part("ct_mark.obs_collector_id", "ct_mark", 16, 8).since(V25_03),
    part("ct_mark.ecmp_reply_port", "ct_mark", 16, 16),
    field("ct_label", 128),
    part("ct_label.blocked", "ct_label", 0, 1).until(V23_03),
    part("ct_label.natted", "ct_label", 1, 1).until(V23_03),
    part("ct_label.skip_snat", "ct_label", 2, 1).until(V23_03),
    part("ct_label.force_snat", "ct_label", 3, 1).until(V23_03),
    part("ct_label.nf", "ct_label", 7, 1).since(V26_03),
    part("ct_label.tun_if", "ct_label", 8, 1).since(V26_03),
    part("ct_label.nf_id", "ct_label", 17, 8).since(V26_03),
    part("ct_label.ecmp_reply_eth", "ct_label", 32, 48),
    part("ct_label.ecmp_reply_port", "ct_label", 80, 16).until(V23_03),
    part("ct_label.acl_id", "ct_label", 80, 16).since(V25_03),
    part("ct_label.tun_if_id", "ct_label", 80, 16).since(V26_03),
    part("ct_label.label", "ct_label", 96, 32),
    part("ct_label.obs_point_id", "ct_label", 96, 32).since(V25_03),
    part("ct_label.obs_unused", "ct_label", 0, 96).since(V25_03),
    field("ct_state", 32),
    ct("ct.new", 0),
    ct("ct.est", 1),
    ct("ct.rel", 2),
    ct("ct.rpl", 3),
    ct("ct.inv", 4),
    part("ct.trk", "ct_state", 5, 1),
    ct("ct.snat", 6),
    ct("ct.dnat", 7),
    mac("eth.src"),
    mac("eth.dst"),
    nominal("eth.type", 16),
    predicate("eth.bcast", "eth.dst == ff:ff:ff:ff:ff:ff"),
    part("eth.mcast", "eth.dst", 40, 1),
    predicate("eth.mcastv6", "eth.dst[32..47] == 0x3333"),
    field("vlan.tci", 16),
    predicate("vlan.present", "vlan.tci[12]"),
    part("vlan.pcp", "vlan.tci", 13, 3).requires("vlan.present"),
    part("vlan.vid", "vlan.tci", 0, 12).requires("vlan.present"),
    nominal_predicate("ip4", "eth.type == 0x800"),
    nominal_predicate("ip6", "eth.type == 0x86dd"),
    nominal_predicate("ip", "ip4 || ip6"),
    nominal("ip.proto", 8).requires("ip"),
    nominal("ip.dscp", 6).requires("ip"),
    nominal("ip.ecn", 2).requires("ip"),
    nominal("ip.ttl", 8).requires("ip"),
    ipv4("ip4.src").requires("ip4"),
    ipv4("ip4.dst").requires("ip4"),
    predicate("ip4.src_mcast", "ip4.src[28..31] == 0xe"),
    predicate("ip4.mcast", "eth.mcast && ip4.dst[28..31] == 0xe"),
    nominal_predicate("icmp4", "ip4 && ip.proto == 1"),
    nominal("icmp4.type", 8).requires("icmp4"),
    nominal("icmp4.code", 8).requires("icmp4"),
    nominal_predicate("igmp", "ip4.mcast && ip.proto == 2"),
    ipv6("ip6.src").requires("ip6"),
    ipv6("ip6.dst").requires("ip6"),
    field("ip6.label", 20).requires("ip6"),
    predicate("ip6.mcast_rsvd", "ip6.dst[116..127] == 0xff0 && ip6.dst[0..111] == 0x0").until(V25_03),
    predicate(
        "ip6.mcast_rsvd",
        "ip6.dst == {ff00::, ff01::, ff02::, ff03::, ff04::, ff05::, ff06::, ff07::, \
         ff08::, ff09::, ff0a::, ff0b::, ff0c::, ff0d::, ff0e::, ff0f::}",
    )
    .since(V26_03),
    predicate("ip6.mcast_all_nodes", "ip6.dst == {ff01::1, ff02::1}"),
    predicate("ip6.mcast_all_rtrs", "ip6.dst == {ff01::2, ff02::2, ff05::2}"),
    predicate("ip6.mcast_sol_node", "ip6.dst == ff02::1:ff00:0/104"),
    predicate(
        "ip6.mcast_flood",
        "eth.mcastv6 && (ip6.mcast_rsvd || ip6.mcast_all_nodes || ip6.mcast_all_rtrs || ip6.mcast_sol_node)",
    ),
    predicate("ip6.mcast", "eth.mcastv6 && ip6.dst[120..127] == 0xff"),
    nominal_predicate("icmp6", "ip6 && ip.proto == 58"),
    nominal("icmp6.type", 8).requires("icmp6"),
    nominal("icmp6.code", 8).requires("icmp6"),
    nominal_predicate("icmp", "icmp4 || icmp6"),
    field("ip.frag", 2).requires("ip"),
    predicate("ip.is_frag", "ip.frag[0]"),
    predicate("ip.later_frag", "ip.frag[1]"),
    predicate("ip.first_frag", "ip.is_frag && !ip.later_frag"),
    nominal_predicate("arp", "eth.type == 0x806"),
    nominal("arp.op", 16).requires("arp"),
    ipv4("arp.spa").requires("arp"),
    mac("arp.sha").requires("arp"),
    ipv4("arp.tpa").requires("arp"),
    mac("arp.tha").requires("arp"),
    nominal_predicate("rarp", "eth.type == 0x8035"),
    nominal("rarp.op", 16).requires("rarp"),
    ipv4("rarp.spa").requires("rarp"),
    mac("rarp.sha").requires("rarp"),
    ipv4("rarp.tpa").requires("rarp"),
    mac("rarp.tha").requires("rarp"),
    nominal_predicate("nd", "icmp6.type == {135, 136} && icmp6.code == 0 && ip.ttl == 255"),
    nominal_predicate("nd_ns", "icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"),
    nominal_predicate("nd_ns_mcast", "ip6.mcast && icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255")
        .since(V25_03),
    nominal_predicate("nd_na", "icmp6.type == 136 && icmp6.code == 0 && ip.ttl == 255"),
    nominal_predicate("nd_rs", "icmp6.type == 133 && icmp6.code == 0 && ip.ttl == 255"),
    nominal_predicate("nd_ra", "icmp6.type == 134 && icmp6.code == 0 && ip.ttl == 255"),
    ipv6("nd.target").requires("nd"),
    mac("nd.sll").requires("nd_ns"),
    mac("nd.tll").requires("nd_na"),
    nominal_predicate("mldv1", "ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}").until(V23_03),
    nominal_predicate("mldv1", "eth.mcastv6 && ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}")
        .since(V25_03),
    nominal_predicate("mldv2", "ip6.dst == ff02::16 && icmp6.type == 143").until(V23_03),
    nominal_predicate("mldv2", "eth.mcastv6 && ip6.dst == ff02::16 && icmp6.type == 143").since(V25_03),
    nominal_predicate("tcp", "ip.proto == 6"),
    field("tcp.src", 16).requires("tcp"),
    field("tcp.dst", 16).requires("tcp"),
    field("tcp.flags", 12).requires("tcp"),
    nominal_predicate("udp", "ip.proto == 17"),
    field("udp.src", 16).requires("udp"),
    field("udp.dst", 16).requires("udp"),
    nominal_predicate("sctp", "ip.proto == 132"),
    field("sctp.src", 16).requires("sctp"),
    field("sctp.dst", 16).requires("sctp"),
    field("pkt.mark", 32),
    Symbol::new("icmp4.frag_mtu", 16, Level::Nominal, Definition::ActionField),
    Symbol::new("icmp6.frag_mtu", 32, Level::Nominal, Definition::ActionField),
];
