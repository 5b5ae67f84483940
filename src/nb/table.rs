//! The Northbound tables that northc writes, one struct each, named as in ovn-nb(5).
//!
//! A column that is listed here is managed: its absence in a struct means OVN's default, and
//! anything else in a live database is drift. Columns that northd or ovn-controller write (`up`,
//! `tag`, `dynamic_addresses`, `ipv6_prefix`, `status` …) are left out on purpose.
//!
//! Refuses to hold values; [`super::Row`] does.

use std::collections::{BTreeMap, BTreeSet};

use super::value::{Datum, Field, Kind, Ref};

/// A column of the schema: its name, shape, and what its references point at.
#[derive(Debug)]
pub struct Column {
    /// As in the `.ovsschema`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// For reference columns: the table pointed at.
    pub target: Option<Table>,
}

impl Column {
    /// True for the column of a parent that keeps child rows alive (RFC 7047 §3.2).
    pub fn holds_children(&self) -> bool {
        self.kind == Kind::RefSet && self.target.is_some_and(|target| !target.is_root())
    }
}

macro_rules! tables {
    ($(
        $(#[$doc:meta])*
        $table:ident $name:literal $root:ident {
            $( $(#[$field_doc:meta])* $column:literal $field:ident: $ty:ty $(=> $target:ident)?, )*
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
                    target: tables!(@target $($target)?),
                }),* ];
            }

            impl From<$table> for super::Row {
                fn from(row: $table) -> super::Row {
                    super::Row::new(Table::$table, vec![ $(row.$field.into_datum()),* ])
                }
            }

            impl TryFrom<&super::Row> for $table {
                type Error = &'static str;

                /// The typed view of a row; the error names the column that has another shape.
                fn try_from(row: &super::Row) -> Result<$table, &'static str> {
                    let mut data = row.data().iter();
                    let mut next = || data.next().unwrap_or(&EMPTY);
                    Ok($table { $( $field: <$ty as Field>::from_datum(next()).ok_or($column)?, )* })
                }
            }
        )*
    };
    (@root root) => { true };
    (@root child) => { false };
    (@target) => { None };
    (@target $target:ident) => { Some(Table::$target) };
}

static EMPTY: Datum = Datum::Set(Vec::new());

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

    /// A layer-3 router; here, a VPC.
    LogicalRouter "Logical_Router" root {
        /// Unique by our decision, not by the schema.
        "name" name: String,
        /// Its ports.
        "ports" ports: BTreeSet<Ref> => LogicalRouterPort,
        /// Its routes.
        "static_routes" static_routes: BTreeSet<Ref> => LogicalRouterStaticRoute,
        /// Its policies, evaluated after routing.
        "policies" policies: BTreeSet<Ref> => LogicalRouterPolicy,
        /// Router options.
        "options" options: BTreeMap<String, String>,
        /// `false` drops everything.
        "enabled" enabled: Option<bool>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A router's interface.
    LogicalRouterPort "Logical_Router_Port" child {
        /// Unique in the database.
        "name" name: String,
        /// Its Ethernet address.
        "mac" mac: String,
        /// Its addresses with prefix lengths.
        "networks" networks: BTreeSet<String>,
        /// The router port at the other end, for router-to-router links.
        "peer" peer: Option<String>,
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
        /// `allow`, `drop` or `reroute`.
        "action" action: String,
        /// For `reroute`.
        "nexthops" nexthops: BTreeSet<String>,
        /// Policy options.
        "options" options: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A layer-2 switch; here, a subnet.
    LogicalSwitch "Logical_Switch" root {
        /// Unique by our decision, not by the schema.
        "name" name: String,
        /// Its ports.
        "ports" ports: BTreeSet<Ref> => LogicalSwitchPort,
        /// Its access rules.
        "acls" acls: BTreeSet<Ref> => Acl,
        /// Switch options: multicast snooping …
        "other_config" other_config: BTreeMap<String, String>,
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }

    /// A switch's port: a workload, a router, a localnet.
    LogicalSwitchPort "Logical_Switch_Port" child {
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
        "dhcpv4_options" dhcpv4_options: Option<Ref> => DhcpOptions,
        /// DHCPv6 for this port.
        "dhcpv6_options" dhcpv6_options: Option<Ref> => DhcpOptions,
        /// The container parent; never set by northc.
        "parent_name" parent_name: Option<String>,
        /// VLAN of a localnet port; northd copies it to `tag`.
        "tag_request" tag_request: Option<i64>,
        /// `false` drops everything.
        "enabled" enabled: Option<bool>,
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
        /// Owner, key, digest.
        "external_ids" external_ids: BTreeMap<String, String>,
    }
}
