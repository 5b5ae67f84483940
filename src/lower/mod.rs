//! Checked model to rows: total, because what can't be lowered was refused before.
//!
//! One file a concern, called in the order of the tables. Refuses YAML, live databases and diagnostics.

mod balancer;
mod bfd;
mod dhcp;
mod dns;
mod filter;
mod gateway;
mod log;
mod nat;
mod nat_rules;
mod network_acl;
mod pool;
mod port;
mod qos;
mod subnet;
mod vpc;

use std::collections::BTreeMap;

use crate::check::Checked;
use crate::nb::{Key, ROWS_MIN, Rows, Table, stamp};
use crate::parallel;

/// The rows that mean what the model says, without marks of ownership.
pub fn lower(checked: &Checked<'_>) -> Rows {
    // Made once: the row, the switch and the groups of a port all refer to it by one text.
    let ports =
        checked.model().ports.iter().map(|port| Key::new(Table::LogicalSwitchPort, port.name.as_str()));
    let ports: Vec<Key> = ports.collect();
    let networks = || {
        let mut rows = Rows::new();
        let balancers = balancer::lower(checked, &mut rows);
        vpc::lower(checked, &balancers, &mut rows);
        subnet::lower(checked, &ports, &balancers, &mut rows);
        pool::lower(checked, &mut rows);
        rows
    };
    let groups = || {
        let mut rows = Rows::new();
        filter::lower(checked, &ports, &mut rows);
        rows
    };
    // Half of this stage are the groups that ports are in.
    let (mut rows, groups) = parallel::both((ports.len(), ROWS_MIN), networks, groups);
    rows.join(groups);
    rows
}

/// A description as people will find it in the database; nothing for an empty one.
fn described(description: &str) -> BTreeMap<String, String> {
    let text = (!description.is_empty()).then(|| (stamp::DESCRIPTION.to_owned(), description.to_owned()));
    text.into_iter().collect()
}

/// Keys for rules that have no name but a place (direction, priority) and a match: `at` is that place. Rules
/// that share both get a number behind it, in the order given, and one that says the same again gets none.
struct RuleKeys<T> {
    seen: BTreeMap<String, Vec<T>>,
}

impl<T: PartialEq> RuleKeys<T> {
    fn new() -> RuleKeys<T> {
        RuleKeys { seen: BTreeMap::new() }
    }

    /// The key of a rule with this match and this verdict; `None` when it stands there already.
    fn mint(&mut self, at: &str, matching: &str, verdict: T) -> Option<String> {
        let key = format!("{at}/{}", short_digest(matching));
        let others = self.seen.entry(key.clone()).or_default();
        if others.contains(&verdict) {
            return None;
        }
        others.push(verdict);
        Some(if others.len() == 1 { key } else { format!("{key}/{}", others.len()) })
    }
}

/// Eight hexadecimal digits that stand for a text in a key.
fn short_digest(text: &str) -> String {
    crate::digest::of(text.as_bytes()).simple().to_string()[..8].to_owned()
}
