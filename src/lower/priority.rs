//! The only place where priorities are numbers (Kube-OVN's own, so that people's rules keep their rank).

/// A private subnet drops what nothing above lets pass.
pub(crate) const PRIVATE_DROP: i64 = 1000;
/// A private subnet's own block and its allowed ones.
pub(crate) const PRIVATE_ALLOW: i64 = 1001;
/// `allowEWTraffic`: the subnet's own block, past rules by hand below it.
pub(crate) const EAST_WEST: i64 = 1900;
