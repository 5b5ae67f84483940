//! What somebody may have meant by a name that is no symbol.
//!
//! Refuses to guess where nothing is near.

use super::symbols::SymbolSet;

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
    let distance_max = 1 + name.len() / 6;
    let distances = symbols.symbols().map(|symbol| (distance(name, symbol.name), symbol.name));
    let (nearest, symbol) = distances.min()?;
    (nearest <= distance_max).then(|| format!("did you mean `{symbol}`?"))
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

/// How many letters to insert, delete, replace or swap to get from one name to the other.
fn distance(from: &str, to: &str) -> usize {
    /// Longer than any symbol, so that nothing that long is near one.
    const LEN_MAX: usize = 64;
    if from.len() > LEN_MAX {
        return LEN_MAX;
    }
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, &letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &other) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let is_swap = row > 0 && column > 0 && letter == to[column - 1] && from[row - 1] == other;
            if is_swap {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = above;
        above = current;
    }
    above[to.len()]
}
