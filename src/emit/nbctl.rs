//! Rows → a bash script of `ovn-nbctl` calls that a person can read.
//!
//! The script addresses every row by its UUID, which follows from owner and key: a row that exists is set,
//! column by column, and one that does not is created, so the second run changes nothing and a run on a
//! database that drifted repairs it. Rules, routes, policies and DHCP options that the owner no longer has
//! are removed; routers, switches and ports never are, and neither is the record that `apply` keeps. It
//! first looks for rows of others that hold one of its names, and stops with status 3 before it writes
//! anything.
//!
//! One `ovn-nbctl` call is one transaction. Rows up to [`ROWS_MAX`] and [`BYTES_MAX`] go in one; more are
//! split between units (a router and its switches), and a unit that is itself too large between its frame
//! and its ports. Refuses to know databases: what it needs to know it asks when it runs.

use std::collections::BTreeMap;
use std::fmt::Write;

use uuid::Uuid;

use super::quote;
use crate::nb::unit::{Unit, units};
use crate::nb::value::Ref;
use crate::nb::{Atom, Column, Datum, Key, Kind, Row, Rows, Table, record, stamp};
use crate::target::Target;

/// Most rows of a transaction: ovn-nbctl's time grows with the square of its commands.
pub const ROWS_MAX: usize = 2_000;
/// Most bytes of a transaction as written here; with what the script adds to rows that exist it stays well
/// below the two mebibytes that Linux gives a process for its arguments.
pub const BYTES_MAX: usize = 600_000;
/// Most members that one line adds.
const MEMBERS_MAX: usize = 50;

const PROLOGUE: &str = include_str!("prologue.sh");

/// Tables whose rows the script never removes: what hangs off them is not northc's alone to judge, and a
/// router port that stays refers to its chassis.
const KEPT: [Table; 3] = [Table::HaChassisGroup, Table::LogicalRouter, Table::LogicalSwitch];

/// Tables whose rows may carry a description.
const DESCRIBED: [Table; 2] = [Table::LogicalRouter, Table::LogicalSwitch];

/// Where rows without a name hang: parent, column, child.
fn tidied() -> impl Iterator<Item = (Table, &'static str, Table)> {
    let columns = Table::ALL.iter().flat_map(|parent| parent.columns().iter().map(move |c| (*parent, c)));
    columns.filter_map(|(parent, column)| {
        let child = column.target.filter(|child| column.holds_children() && !child.is_named())?;
        Some((parent, column.name, child))
    })
}

/// The script for rows that carry `owner`'s marks.
pub fn script(rows: &Rows, owner: &str, target: Target) -> String {
    let body = body(rows, owner);
    let mut out = String::new();
    out.push_str("#!/usr/bin/env bash\n");
    let n = rows.len();
    let _ = writeln!(out, "# northc {}: {n} rows for OVN {target} and later.", env!("CARGO_PKG_VERSION"));
    let atomic = match body.n_commits {
        0 | 1 => "All of it is one transaction.".to_owned(),
        n => format!("{n} transactions, each leaving every router and switch whole."),
    };
    let _ =
        writeln!(out, "# {atomic} Run it as often as you like. Database: as ovn-nbctl finds it (OVN_NB_DB).");
    out.push_str(
        "# Rules, routes, policies and DHCP options that this owner no longer has are removed; routers,\n",
    );
    out.push_str("# switches and ports never are.\n");
    out.push_str(PROLOGUE);
    let text = quote::atom(&Atom::Text(owner.into()), &|key| key.uuid(owner));
    let _ = writeln!(out, "\nowner={}", quote::shell(&text));
    let used = || Table::ALL.iter().filter(|table| rows.table(**table).next().is_some());
    out.push_str("declare -A blank=(  # managed columns as they are when nobody sets them\n");
    for table in used() {
        let _ = writeln!(out, "    [{}]={}", table.name(), quote::shell(&blanks(*table, owner, target)));
    }
    out.push_str(")\ndeclare -A said=(  # what rows may say in external_ids beside the marks\n");
    for table in DESCRIBED {
        let _ = writeln!(out, "    [{}]={}", table.name(), stamp::DESCRIPTION);
    }
    let record = record::uuid(owner);
    let _ =
        writeln!(out, ")\nwanted[{record}]=1  # in which runs of northc itself leave word for each other");
    for table in used() {
        let kind = if table.is_named() { "named" } else { "unnamed" };
        let _ = writeln!(out, "have_{kind} {}", table.name());
    }
    out.push_str("\nrows() {\n");
    out.push_str(&body.text);
    tidy(&mut out, target);
    out.push_str("    commit\n}\n\nrows\npass='write'\nrows\n");
    out
}

/// Takes away what the owner no longer has.
fn tidy(out: &mut String, target: Target) {
    for table in Table::ALL.iter().filter(|table| table.is_root() && !KEPT.contains(table)) {
        let _ = writeln!(out, "    tidy_root {}", table.name());
    }
    for (parent, column, child) in tidied() {
        let _ = writeln!(out, "    tidy {} {column} {}", parent.name(), child.name());
    }
    for table in Table::ALL {
        let is_there = |c: &&Column| c.since.is_none_or(|since| target.is_at_least(since));
        for column in table.columns().iter().filter(|c| c.is_weak && c.kind == Kind::RefSet).filter(is_there)
        {
            let Some(member) = column.target else { continue };
            let _ = writeln!(out, "    tidy_members {} {} {}", table.name(), column.name, member.name());
        }
    }
}

/// Columns that every row sets; OVN's schema takes no default for most of them.
const ALWAYS_SET: [&str; 17] = [
    "action",
    "chassis_name",
    "cidr",
    "direction",
    "dst_ip",
    "external_ip",
    "ip_prefix",
    "logical_ip",
    "mac",
    "match",
    "name",
    "networks",
    "nexthop",
    "priority",
    "rate",
    "unit",
    "vip",
];

/// Defaults of the columns that a row's line leaves out. Sets of references are members' business,
/// `external_ids` may hold other people's keys, and an older OVN does not know younger columns.
fn blanks(table: Table, owner: &str, target: Target) -> String {
    let always = |c: &Column| {
        (ALWAYS_SET.contains(&c.name) || (table, c.name) == (Table::Nat, "type"))
            && matches!(c.kind, Kind::Text | Kind::TextSet | Kind::Int)
    };
    let mut managed: Vec<_> = table.columns().iter().collect();
    managed.retain(|c| c.kind != Kind::RefSet && c.name != "external_ids" && !always(c));
    managed.retain(|c| c.since.is_none_or(|release| target.is_at_least(release)));
    let blank = |c: &Column| {
        format!("{}={}", c.name, quote::datum(c.kind, &c.kind.default(), &|key| key.uuid(owner)))
    };
    managed.into_iter().map(blank).collect::<Vec<_>>().join(" ")
}

struct Body {
    text: String,
    n_commits: usize,
}

/// The calls for every row, with a `commit` wherever a transaction is full.
fn body(rows: &Rows, owner: &str) -> Body {
    let mut body = Body { text: String::new(), n_commits: 1 };
    let mut filled = Filled::default();
    let units = units(rows);
    let workloads = Workloads::new(rows, &units);
    for unit in &units {
        let frame = frame(rows, unit, &workloads, owner);
        if filled.would_overflow(unit.frame.len(), frame.len()) {
            body.commit(&mut filled);
        }
        filled.add(unit.frame.len(), frame.len());
        body.text.push_str(&frame);
        for batch in unit.ports.chunks(MEMBERS_MAX) {
            let text = ports(rows, batch, &workloads, owner);
            if filled.would_overflow(batch.len(), text.len()) {
                body.commit(&mut filled);
            }
            filled.add(batch.len(), text.len());
            body.text.push_str(&text);
        }
    }
    body
}

impl Body {
    fn commit(&mut self, filled: &mut Filled) {
        self.text.push_str("    commit\n\n");
        self.n_commits += 1;
        *filled = Filled::default();
    }
}

/// How full a transaction is.
#[derive(Default)]
struct Filled {
    n_rows: usize,
    n_bytes: usize,
}

impl Filled {
    fn would_overflow(&self, n_rows: usize, n_bytes: usize) -> bool {
        self.n_rows > 0 && (self.n_rows + n_rows > ROWS_MAX || self.n_bytes + n_bytes > BYTES_MAX)
    }

    fn add(&mut self, n_rows: usize, n_bytes: usize) {
        self.n_rows += n_rows;
        self.n_bytes += n_bytes;
    }
}

/// Workloads' ports, each with the sets that it enters together with its row.
struct Workloads<'r> {
    sets: BTreeMap<&'r Key, Vec<(&'r Key, &'static str)>>,
}

impl<'r> Workloads<'r> {
    fn new(rows: &'r Rows, units: &[Unit<'r>]) -> Workloads<'r> {
        let ports = units.iter().flat_map(|unit| &unit.ports);
        let mut sets: BTreeMap<&Key, Vec<(&Key, &str)>> = ports.map(|port| (*port, Vec::new())).collect();
        for (holder, row) in rows.iter() {
            for (column, datum) in row.columns().filter(|(column, _)| column.kind == Kind::RefSet) {
                for to in datum.refs() {
                    let Ref::Key(to) = to else { continue };
                    if let Some(sets) = sets.get_mut(to) {
                        sets.push((holder, column.name));
                    }
                }
            }
        }
        Workloads { sets }
    }
}

/// Routers and switches with everything but workloads' ports.
fn frame(rows: &Rows, unit: &Unit<'_>, workloads: &Workloads<'_>, owner: &str) -> String {
    let mut out = String::new();
    for key in &unit.frame {
        let Some(row) = rows.get(key) else { continue };
        if matches!(key.table, Table::LogicalRouter | Table::LogicalSwitch | Table::PortGroup) {
            let _ = writeln!(out, "\n    # {}", comment(key));
        }
        call(&mut out, key, row, owner);
    }
    for key in &unit.frame {
        let Some(row) = rows.get(key) else { continue };
        for (column, datum) in row.columns().filter(|(column, _)| is_by_member(key.table, column)) {
            let members = datum.refs().filter_map(|to| match to {
                Ref::Key(to) => Some(to),
                Ref::Foreign(_) => None,
            });
            let members: Vec<Uuid> =
                members.filter(|to| !workloads.sets.contains_key(to)).map(|to| to.uuid(owner)).collect();
            memberships(&mut out, key, column.name, &members, owner);
        }
    }
    out
}

/// A batch of workloads' ports, each put into its switch and its port groups.
fn ports(rows: &Rows, batch: &[&Key], workloads: &Workloads<'_>, owner: &str) -> String {
    let mut out = String::new();
    let mut by_set: BTreeMap<(&Key, &str), Vec<Uuid>> = BTreeMap::new();
    for key in batch {
        if let Some(row) = rows.get(key) {
            call(&mut out, key, row, owner);
        }
        for set in &workloads.sets[key] {
            by_set.entry(*set).or_default().push(key.uuid(owner));
        }
    }
    for ((holder, column), members) in by_set {
        memberships(&mut out, holder, column, &members, owner);
    }
    out
}

/// Whether a column's references are put into their set one by one, beside those of others. One that is never
/// empty goes with its row instead: a meter has a band (ovn-nb(5)), and `create` alone would give it none that exists.
fn is_by_member(table: Table, column: &Column) -> bool {
    column.kind == Kind::RefSet && (table, column.name) != (Table::Meter, "bands")
}

fn call(out: &mut String, key: &Key, row: &Row, owner: &str) {
    let uuid_of = |key: &Key| key.uuid(owner);
    let table = key.table.name();
    let uuid = key.uuid(owner);
    if key.table.is_named() {
        let _ = write!(out, "    named {table} {uuid} {}", quote::shell(&key.name));
    } else {
        let _ = write!(out, "    row {table} {uuid}");
    }
    for (column, datum) in row.set_columns().filter(|(column, _)| !is_by_member(key.table, column)) {
        match datum {
            Datum::Map(pairs) if column.name == "external_ids" => {
                for (k, v) in pairs {
                    let text =
                        format!("external_ids:{}={}", quote::atom(k, &uuid_of), quote::atom(v, &uuid_of));
                    let _ = write!(out, " {}", quote::shell(&text));
                }
            }
            _ => {
                let text = format!("{}={}", column.name, quote::datum(column.kind, datum, &uuid_of));
                let _ = write!(out, " {}", quote::shell(&text));
            }
        }
    }
    out.push('\n');
}

fn memberships(out: &mut String, parent: &Key, column: &str, members: &[Uuid], owner: &str) {
    for members in members.chunks(MEMBERS_MAX) {
        let _ = write!(out, "    member {} {} {column}", parent.table.name(), parent.uuid(owner));
        for member in members {
            let _ = write!(out, " {member}");
        }
        out.push('\n');
    }
}

/// A key in a comment: on one line, whatever is in it.
fn comment(key: &Key) -> String {
    let name: String = key.name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{} {name}", key.table.name())
}
