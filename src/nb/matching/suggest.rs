//! What somebody may have meant by a name that is no symbol.
//!
//! Refuses to guess where nothing is near.

use super::symbols::SymbolSet;
use crate::nearest::nearest;

/// What other firewalls and other people call things.
const ALIASES: &[(&str, &str)] = &[
    ("ip.src", "write `ip4.src` or `ip6.src`"),
    ("ip.dst", "write `ip4.dst` or `ip6.dst`"),
    ("icmp.type", "write `icmp4.type` or `icmp6.type`"),
    ("icmp.code", "write `icmp4.code` or `icmp6.code`"),
    ("tcp.sport", "write `tcp.src`"),
    ("tcp.dport", "write `tcp.dst`"),
    ("tcp.port", "write `tcp.dst`, or `tcp.src` for the client's port"),
    ("udp.sport", "write `udp.src`"),
    ("udp.dport", "write `udp.dst`"),
    ("udp.port", "write `udp.dst`, or `udp.src` for the client's port"),
    ("ipv4", "write `ip4`"),
    ("ipv6", "write `ip6`"),
    ("ipv4.src", "write `ip4.src`"),
    ("ipv4.dst", "write `ip4.dst`"),
    ("ipv6.src", "write `ip6.src`"),
    ("ipv6.dst", "write `ip6.dst`"),
    ("icmpv4", "write `icmp4`"),
    ("icmpv6", "write `icmp6`"),
    ("and", "write `&&`"),
    ("or", "write `||`"),
    ("not", "write `!`"),
    ("any", "`1` matches every packet"),
    ("true", "write `1`"),
    ("false", "write `0`"),
];

/// What to write instead of `name`.
pub(super) fn instead(name: &str, symbols: SymbolSet) -> Option<String> {
    if let Some((_, help)) = ALIASES.iter().find(|(alias, _)| name.eq_ignore_ascii_case(alias)) {
        return Some((*help).to_owned());
    }
    if let Some(versions) = elsewhere(name, symbols) {
        return Some(versions);
    }
    let symbol = nearest(name, symbols.symbols().map(|symbol| symbol.name))?;
    Some(format!("did you mean `{symbol}`?"))
}

/// Which OVN versions have it, where this one does not.
fn elsewhere(name: &str, symbols: SymbolSet) -> Option<String> {
    let (first, last) = {
        let versions = SymbolSet::all_with(name);
        (*versions.first()?, *versions.last()?)
    };
    Some(if symbols < first {
        format!("OVN {first} and later have it")
    } else {
        format!("OVN had it up to {last}")
    })
}
