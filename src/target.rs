//! The version of OVN that rows are meant for, and what it can hold.
//!
//! Feature by feature, with the release that brought it (ovn `NEWS`, `ovn-nb.ovsschema`). Refuses to know
//! rows.

use std::fmt;
use std::str::FromStr;

/// A release of OVN: year and month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    year: u16,
    month: u16,
}

impl Target {
    /// The oldest release that northc writes for; the default.
    pub const OLDEST: Target = Target { year: 23, month: 3 };

    /// The releases that every feature is tested with.
    pub const TESTED: [Target; 3] =
        [Target::OLDEST, Target { year: 25, month: 3 }, Target { year: 26, month: 3 }];

    /// True for this release, year and month, and those after it.
    pub fn is_at_least(self, (year, month): (u16, u16)) -> bool {
        self >= Target { year, month }
    }

    /// `Logical_Router_Policy.chain`, and `jump` from one to another (25.03).
    pub fn has_policy_chains(self) -> bool {
        self.is_at_least((25, 3))
    }

    /// `Logical_Router_Policy.bfd_sessions` (24.03).
    pub fn has_policy_bfd(self) -> bool {
        self.is_at_least((24, 3))
    }

    /// `arp_proxy` of networks and of IPv6 (23.06).
    pub fn has_proxied_networks(self) -> bool {
        self.is_at_least((23, 6))
    }

    /// `ACL.action` `pass`, which leaves a packet to the next tier (23.06).
    pub fn has_acl_tiers(self) -> bool {
        self.is_at_least((23, 6))
    }
}

impl Default for Target {
    fn default() -> Target {
        Target::OLDEST
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}.{:02}", self.year, self.month)
    }
}

impl FromStr for Target {
    type Err = String;

    /// `YY.MM`, optionally followed by a patch level, which no feature depends on.
    fn from_str(text: &str) -> Result<Target, String> {
        let mut parts = text.split('.');
        let mut number = || parts.next().and_then(|part| part.parse::<u16>().ok());
        let (Some(year), Some(month)) = (number(), number()) else {
            return Err(format!("`{text}` is not a version of OVN, like 25.03"));
        };
        let target = Target { year, month };
        if target < Target::OLDEST {
            return Err(format!("northc writes for OVN {} and later", Target::OLDEST));
        }
        if year > 99 || !(1..=12).contains(&month) {
            return Err(format!("`{text}` is not a version of OVN, like 25.03"));
        }
        Ok(target)
    }
}
