//! The Northbound tables that northc writes, one struct each, named as in ovn-nb(5).
//!
//! A column that is listed here is managed: its absence in a struct means OVN's default, and
//! anything else in a live database is drift. Columns that northd or ovn-controller write (`up`,
//! `tag`, `dynamic_addresses`, `ipv6_prefix`, `status` …) are left out on purpose.
//!
//! Refuses to hold values; [`super::Row`] does.

use std::collections::{BTreeMap, BTreeSet};

use super::value::{Field, Kind, Ref};

/// A column of the schema: its name, shape, and what its references point at.
#[derive(Debug)]
pub struct Column {
    /// As in the `.ovsschema`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// For reference columns: the table pointed at.
    pub target: Option<Table>,
    /// For reference columns: the server drops a reference whose row is gone, instead of refusing
    /// that the row goes (RFC 7047 §3.2 `refType`).
    pub is_weak: bool,
    /// The OVN release that brought the column, year and month, where it is younger than 23.03.
    pub since: Option<(u16, u16)>,
}

impl Column {
    /// True for the column of a parent that keeps child rows alive (RFC 7047 §3.2).
    pub fn holds_children(&self) -> bool {
        self.kind == Kind::RefSet && !self.is_weak && self.target.is_some_and(|target| !target.is_root())
    }
}

macro_rules! tables {
    ($(
        $(#[$doc:meta])*
        $table:ident $name:literal $root:ident $($named:ident)? {
            $(
                $(#[$field_doc:meta])*
                $column:literal $field:ident: $ty:ty $(=> $target:ident)? $(= weak $weak:ident)?
                    $(; since $since:expr)?,
            )*
        }
    )*) => {
        /// A table that northc writes. Ordered parents first, the order in which scripts list them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Table { $( #[doc = concat!("`", $name, "`")] $table, )* }

        impl Table {
            /// Every table, in order.
            pub const ALL: &[Table] = &[ $(Table::$table),* ];

            /// The table's name in the schema.
            pub fn name(self) -> &'static str {
                match self { $(Table::$table => $name),* }
            }

            /// The table of this name in the schema.
            pub fn from_name(name: &str) -> Option<Table> {
                match name { $($name => Some(Table::$table),)* _ => None }
            }

            /// True for a root table: its rows live without a reference to them, and must be
            /// deleted explicitly (RFC 7047 §3.2 `isRoot`).
            pub fn is_root(self) -> bool {
                match self { $(Table::$table => tables!(@root $root)),* }
            }

            /// True where a row's name is its identity in the whole database: by the schema's index,
            /// or, for routers and switches, by our own decision.
            pub fn is_named(self) -> bool {
                match self { $(Table::$table => tables!(@named $($named)?)),* }
            }

            /// The columns that northc manages, in the order in which [`super::Row`] stores them.
            pub fn columns(self) -> &'static [Column] {
                match self { $(Table::$table => $table::COLUMNS),* }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Eq)]
            pub struct $table { $( $(#[$field_doc])* pub $field: $ty, )* }

            impl $table {
                const COLUMNS: &'static [Column] = &[ $(Column {
                    name: $column,
                    kind: <$ty as Field>::KIND,
                    target: tables!(@target $($target)? $($weak)?),
                    is_weak: tables!(@is_weak $($weak)?),
                    since: tables!(@since $($since)?),
                }),* ];
            }

            impl From<$table> for super::Row {
                fn from(row: $table) -> super::Row {
                    let set = [ $((!row.$field.is_default()).then(|| row.$field.into_datum())),* ];
                    super::Row::of(Table::$table, set)
                }
            }

            impl TryFrom<&super::Row> for $table {
                type Error = &'static str;

                /// The typed view of a row; the error names the column that has another shape.
                fn try_from(row: &super::Row) -> Result<$table, &'static str> {
                    let mut columns = row.columns();
                    let mut next = || columns.next().map(|(_, datum)| datum);
                    Ok($table {
                        $( $field: next().and_then(<$ty as Field>::from_datum).ok_or($column)?, )*
                    })
                }
            }
        )*
    };
    (@root root) => { true };
    (@root child) => { false };
    (@named) => { false };
    (@named named) => { true };
    (@target) => { None };
    (@target $target:ident) => { Some(Table::$target) };
    (@is_weak) => { false };
    (@is_weak $weak:ident) => { true };
    (@since) => { None };
    (@since $since:expr) => { Some($since) };
}

tables! {
    /// A set of DHCP options that ports refer to.
    DhcpOptions "DHCP_Options" root {
        /// The network for which the options apply; an address outside it gets no DHCP.
        "cidr" cidr: String,
        /// Option name to value, in OVN's notation.
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// Addresses under a name, for match expressions.
    AddressSet "Address_Set" root named {
        /// Unique in the database; matches write it as `$name`.
        "name" name: String,
        /// Addresses or networks of one family.
        "addresses" addresses: BTreeSet<String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// Chassis that may carry a gateway, by priority.
    HaChassisGroup "HA_Chassis_Group" root named {
        /// Unique in the database.
        "name" name: String,
        /// Its members.
        "ha_chassis" ha_chassis: BTreeSet<Ref> => HaChassis,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A chassis of a group.
    HaChassis "HA_Chassis" child {
        /// The chassis' name (`system-id`); nothing checks that it exists.
        "chassis_name" chassis_name: String,
        /// 0–32767, higher first.
        "priority" priority: i64,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A limit of log messages.
    Meter "Meter" root named {
        /// Unique in the database; ACLs refer to it by name.
        "name" name: String,
        /// `kbps` or `pktps`.
        "unit" unit: String,
        /// Its limits, at least one.
        "bands" bands: BTreeSet<Ref> => MeterBand,
        /// Whether everyone who refers to it gets a limit of their own.
        "fair" fair: Option<bool>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// What a meter does past a rate.
    MeterBand "Meter_Band" child {
        /// `drop`.
        "action" action: String,
        /// In the meter's unit.
        "rate" rate: i64,
        /// Kilobits or packets on top.
        "burst_size" burst_size: i64,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// Virtual addresses and the backends that connections to them go to.
    LoadBalancer "Load_Balancer" root {
        /// For people; not unique.
        "name" name: String,
        /// `IP[:PORT]` to `IP[:PORT],…`.
        "vips" vips: BTreeMap<String, String>,
        /// `tcp`, `udp`, `sctp`.
        "protocol" protocol: Option<String>,
        /// How backends are looked after.
        "health_check" health_check: BTreeSet<Ref> => LoadBalancerHealthCheck,
        /// Backend to `PORT:SOURCE`, for health checks.
        "ip_port_mappings" ip_port_mappings: BTreeMap<String, String>,
        /// What a backend is chosen by; the five-tuple when empty.
        "selection_fields" selection_fields: BTreeSet<String>,
        /// `reject`, `affinity_timeout`, `hairpin_snat_ip` …
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// How the backends of one virtual address are looked after.
    LoadBalancerHealthCheck "Load_Balancer_Health_Check" child {
        /// The key in `Load_Balancer.vips`.
        "vip" vip: String,
        /// `interval`, `timeout`, `success_count`, `failure_count`.
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// Names that OVN itself answers for.
    Dns "DNS" root {
        /// Lower-case name to addresses.
        "records" records: BTreeMap<String, String>,
        /// `ovn-owned`.
        "options" options: BTreeMap<String, String>; since (24, 3),
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A session that watches over a next hop (RFC 5880).
    Bfd "BFD" root {
        /// The router port it is sent from.
        "logical_port" logical_port: String,
        /// The next hop.
        "dst_ip" dst_ip: String,
        /// Milliseconds.
        "min_tx" min_tx: Option<i64>,
        /// Milliseconds.
        "min_rx" min_rx: Option<i64>,
        /// Packets that may go missing.
        "detect_mult" detect_mult: Option<i64>,
        /// Session options.
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A layer-3 router; here, a VPC.
    LogicalRouter "Logical_Router" root named {
        /// Unique by our decision, not by the schema.
        "name" name: String,
        /// Its ports.
        "ports" ports: BTreeSet<Ref> => LogicalRouterPort,
        /// Its routes.
        "static_routes" static_routes: BTreeSet<Ref> => LogicalRouterStaticRoute,
        /// Its policies, evaluated after routing.
        "policies" policies: BTreeSet<Ref> => LogicalRouterPolicy,
        /// Its address translations.
        "nat" nat: BTreeSet<Ref> => Nat,
        /// Balancers whose virtual addresses it serves.
        "load_balancer" load_balancer: BTreeSet<Ref> = weak LoadBalancer,
        /// Router options.
        "options" options: BTreeMap<String, String>,
        /// `false` drops everything.
        "enabled" enabled: Option<bool>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A router's interface.
    LogicalRouterPort "Logical_Router_Port" child named {
        /// Unique in the database.
        "name" name: String,
        /// Its Ethernet address.
        "mac" mac: String,
        /// Its addresses with prefix lengths.
        "networks" networks: BTreeSet<String>,
        /// The router port at the other end, for router-to-router links.
        "peer" peer: Option<String>,
        /// The chassis that may carry it as a gateway.
        "ha_chassis_group" ha_chassis_group: Option<Ref> => HaChassisGroup,
        /// The same in an older notation; never set by northc.
        "gateway_chassis" gateway_chassis: BTreeSet<Ref> => GatewayChassis,
        /// Port options: `route_table`, `gateway_mtu` …
        "options" options: BTreeMap<String, String>,
        /// Router advertisements.
        "ipv6_ra_configs" ipv6_ra_configs: BTreeMap<String, String>,
        /// `false` drops everything.
        "enabled" enabled: Option<bool>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A static route.
    LogicalRouterStaticRoute "Logical_Router_Static_Route" child {
        /// Empty for the main table.
        "route_table" route_table: String,
        /// Destination or, with `src-ip`, source.
        "ip_prefix" ip_prefix: String,
        /// `dst-ip` or `src-ip`.
        "policy" policy: Option<String>,
        /// Next hop, or `discard`.
        "nexthop" nexthop: String,
        /// The port to send from.
        "output_port" output_port: Option<String>,
        /// The session without which the route is not used.
        "bfd" bfd: Option<Ref> = weak Bfd,
        /// Route options.
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A routing policy: evaluated after routing, by priority alone.
    LogicalRouterPolicy "Logical_Router_Policy" child {
        /// 0–32767, higher first.
        "priority" priority: i64,
        /// Match expression.
        "match" matching: String,
        /// `allow`, `drop`, `reroute` or, from 25.03 on, `jump`.
        "action" action: String,
        /// For `reroute`.
        "nexthops" nexthops: BTreeSet<String>,
        /// The sessions without which next hops are not used.
        "bfd_sessions" bfd_sessions: BTreeSet<Ref> = weak Bfd; since (24, 3),
        /// The chain that it is in; none for the one that is asked first.
        "chain" chain: Option<String>; since (25, 3),
        /// For `jump`: the chain that is asked next.
        "jump_chain" jump_chain: Option<String>; since (25, 3),
        /// Policy options.
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A chassis that may carry a router port; never written by northc.
    GatewayChassis "Gateway_Chassis" child named {
        /// Unique in the database.
        "name" name: String,
        /// The chassis' name.
        "chassis_name" chassis_name: String,
        /// 0–32767, higher first.
        "priority" priority: i64,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// An address translation of a router.
    Nat "NAT" child {
        /// `snat`, `dnat`, `dnat_and_snat`.
        "type" kind: String,
        /// The address outside.
        "external_ip" external_ip: String,
        /// With `logical_port`: the address is served where that port lives.
        "external_mac" external_mac: Option<String>,
        /// `FIRST-LAST`, for `snat`.
        "external_port_range" external_port_range: String,
        /// The address or, for `snat`, network inside.
        "logical_ip" logical_ip: String,
        /// The switch port that has the address inside.
        "logical_port" logical_port: Option<String>,
        /// Only traffic with these addresses outside.
        "allowed_ext_ips" allowed_ext_ips: Option<Ref> => AddressSet,
        /// No traffic with these addresses outside.
        "exempted_ext_ips" exempted_ext_ips: Option<Ref> => AddressSet,
        /// The gateway that does it, where the router has several.
        "gateway_port" gateway_port: Option<Ref> = weak LogicalRouterPort,
        /// Only packets that match; all where it is empty.
        "match" matching: String; since (24, 9),
        /// Among translations with a match, higher first.
        "priority" priority: i64; since (24, 9),
        /// `stateless` …
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A layer-2 switch; here, a subnet.
    LogicalSwitch "Logical_Switch" root named {
        /// Unique by our decision, not by the schema.
        "name" name: String,
        /// Its ports.
        "ports" ports: BTreeSet<Ref> => LogicalSwitchPort,
        /// Its access rules.
        "acls" acls: BTreeSet<Ref> => Acl,
        /// Its limits and marks.
        "qos_rules" qos_rules: BTreeSet<Ref> => Qos,
        /// Balancers whose virtual addresses its ports reach.
        "load_balancer" load_balancer: BTreeSet<Ref> = weak LoadBalancer,
        /// Names that it answers for.
        "dns_records" dns_records: BTreeSet<Ref> = weak Dns,
        /// Switch options: multicast snooping …
        "other_config" other_config: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A switch's port: a workload, a router, a localnet.
    LogicalSwitchPort "Logical_Switch_Port" child named {
        /// Unique in the database; equals `iface-id` on the chassis.
        "name" name: String,
        /// Empty for a workload.
        "type" kind: String,
        /// `MAC IP…`, `router`, `unknown`.
        "addresses" addresses: BTreeSet<String>,
        /// Source addresses it may use; empty allows any.
        "port_security" port_security: BTreeSet<String>,
        /// Port options, by type.
        "options" options: BTreeMap<String, String>,
        /// DHCPv4 for this port.
        "dhcpv4_options" dhcpv4_options: Option<Ref> = weak DhcpOptions,
        /// DHCPv6 for this port.
        "dhcpv6_options" dhcpv6_options: Option<Ref> = weak DhcpOptions,
        /// The container parent; never set by northc.
        "parent_name" parent_name: Option<String>,
        /// VLAN of a localnet port; northd copies it to `tag`.
        "tag_request" tag_request: Option<i64>,
        /// `false` drops everything.
        "enabled" enabled: Option<bool>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// Ports under a name, and the rules for them.
    PortGroup "Port_Group" root named {
        /// Unique in the database; matches write it as `@name`.
        "name" name: String,
        /// Its members.
        "ports" ports: BTreeSet<Ref> = weak LogicalSwitchPort,
        /// Their access rules.
        "acls" acls: BTreeSet<Ref> => Acl,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A limit or mark for a switch's packets.
    Qos "QoS" child {
        /// 0–32767, higher first.
        "priority" priority: i64,
        /// `from-lport` or `to-lport`.
        "direction" direction: String,
        /// Match expression.
        "match" matching: String,
        /// `dscp` to 0–63.
        "action" action: BTreeMap<String, i64>,
        /// `rate` and `burst`, in kilobits (a second).
        "bandwidth" bandwidth: BTreeMap<String, i64>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// An access rule of a switch.
    Acl "ACL" child {
        /// Label in logs, at most 63 characters.
        "name" name: Option<String>,
        /// `from-lport` or `to-lport`.
        "direction" direction: String,
        /// 0–32767, higher first.
        "priority" priority: i64,
        /// Match expression.
        "match" matching: String,
        /// `allow`, `allow-related`, `allow-stateless`, `drop`, `reject`, `pass`.
        "action" action: String,
        /// Whether matches are logged.
        "log" log: bool,
        /// Log severity.
        "severity" severity: Option<String>,
        /// The meter that limits the log.
        "meter" meter: Option<String>,
        /// A mark on the connections that it lets pass.
        "label" label: i64,
        /// 0–3, lower first.
        "tier" tier: i64; since (23, 6),
        /// `apply-after-lb`, `log-related` …
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }
}
