//! The only place where the priorities of packet filters are numbers: one table for all of them.
//!
//! | number | what stands there |
//! |---|---|
//! | 0 – 32767 | `acls`, each where its author put it |
//! | 31000 | what a subnet's own gateway says, past its network ACL |
//! | 30999 – 21001 | rules of a network ACL, their numbers 1 – 9999 |
//! | 21000 | what no rule of a network ACL matches is dropped |
//! | 20000 | what a private subnet shuts out, for its ports in security groups |
//! | 18483 – 2100 | rules of security groups, their priorities 1 – 16384 |
//! | 2005 | what a port in a group can't do without; its group's own members; VRRP |
//! | 2004 | to the next tier, for ports of a group of tier 1 |
//! | 2003 | everything else from and to a port in a group is dropped |
//! | 1900 | `allowEWTraffic` |
//! | 1001, 1000 | a private subnet's own block and its allowed ones; everything else is dropped |
//!
//! They are Kube-OVN's own, so that people's rules keep their rank. The exception is 20000: in Kube-OVN a
//! group's rule opens a private subnet, here both must let a packet in. Network ACLs look at what comes from the
//! router, before anything looks at what goes to a port, so that both must let a packet in there too; what leaves
//! is asked at the same numbers by the router's policies. `explain N0521` shows the same table.

/// A private subnet drops what nothing above lets pass.
pub(crate) const PRIVATE_DROP: i64 = 1000;
/// A private subnet's own block and its allowed ones.
pub(crate) const PRIVATE_ALLOW: i64 = 1001;
/// `allowEWTraffic`: the subnet's own block, past rules by hand below it.
pub(crate) const EAST_WEST: i64 = 1900;
/// A port in a security group is closed to what nothing above lets pass.
pub(crate) const GROUPS_DROP: i64 = 2003;
/// Packets of ports in a group of tier 1, which tier 0 says nothing of.
pub(crate) const GROUPS_NEXT_TIER: i64 = 2004;
/// DHCP, members of a group among each other, VRRP.
pub(crate) const GROUPS_BASE: i64 = 2005;
/// What a private subnet shuts out, above every rule of a security group.
pub(crate) const PRIVATE_GUARD: i64 = 20_000;

/// Lowest and highest priority of a security group's rule, the lower first.
pub(crate) const GROUP_RULES: std::ops::RangeInclusive<i64> = 1..=16_384;

/// Where a security group's rule stands.
pub(crate) fn group_rule(priority: i64) -> i64 {
    18_484 - priority
}

/// What no rule of a network ACL matches is dropped.
pub(crate) const NETWORK_ACL_DROP: i64 = 21_000;
/// What the gateway of a subnet says to it.
pub(crate) const NETWORK_ACL_GATEWAY: i64 = 31_000;
/// Policies by hand, where they stand in a chain of their own.
pub(crate) const POLICIES_NEXT: i64 = 1;

/// How many rules a QoS policy may have.
pub(crate) const QOS_RULES_MAX: usize = 1_000;

/// Where the `nth` rule of a policy for a subnet stands, among rows for rates and marks. OVN passes over priority 0.
pub(crate) fn qos_of_subnet(nth: usize) -> i64 {
    qos(0, nth)
}

/// The same for a gateway.
pub(crate) fn qos_of_gateway(nth: usize) -> i64 {
    qos(1, nth)
}

/// The same for an interface or a public address.
pub(crate) fn qos_of_one(nth: usize) -> i64 {
    qos(2, nth)
}

fn qos(rank: usize, nth: usize) -> i64 {
    let number = QOS_RULES_MAX * (rank + 1) - nth;
    i64::try_from(number).expect("a rank is small")
}

/// Lowest and highest number of a network ACL's rule, the lower first.
pub(crate) const NETWORK_ACL_RULES: std::ops::RangeInclusive<i64> = 1..=9_999;

/// Where a network ACL's rule stands.
pub(crate) fn network_acl_rule(number: i64) -> i64 {
    NETWORK_ACL_GATEWAY - number
}

#[test]
fn everything_has_a_place_of_its_own() {
    let (first, last) = (group_rule(*GROUP_RULES.start()), group_rule(*GROUP_RULES.end()));
    let numbers = (network_acl_rule(*NETWORK_ACL_RULES.start()), network_acl_rule(*NETWORK_ACL_RULES.end()));
    let places = [
        PRIVATE_DROP,
        PRIVATE_ALLOW,
        EAST_WEST,
        GROUPS_DROP,
        GROUPS_NEXT_TIER,
        GROUPS_BASE,
        last,
        first,
        PRIVATE_GUARD,
        NETWORK_ACL_DROP,
        numbers.1,
        numbers.0,
        NETWORK_ACL_GATEWAY,
    ];
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
}
