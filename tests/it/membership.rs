//! Security groups between two transactions: no port without its groups, no rule without the groups it names.
//!
//! Every edit of the fixtures' networks into each other, in transactions as small as they get.

use std::collections::BTreeSet;

use northc::assign::Remembered;
use northc::compile::{Options, compile};
use northc::diag::Sink;
use northc::nb::actual::{Actual, name, name_in};
use northc::nb::{Datum, Ref, Rows, Table};
use northc::plan::batch::{Limits, batches};
use northc::plan::{Request, as_if_applied, plan};
use northc::span::SourceMap;
use northc::target::Target;

use crate::cases;
use crate::memory::execute;

const OWNER: &str = "default";

/// The rows of the cases with security groups, which forget their lines, and none.
fn networks() -> Vec<(String, Rows)> {
    let cases = cases::all().into_iter().filter(|case| case.name.starts_with("security-groups/"));
    let mut networks: Vec<(String, Rows)> = cases
        .map(|case| {
            let mut sources = SourceMap::new();
            for (path, text) in case.texts() {
                sources.add(path.to_string_lossy(), text);
            }
            let options = Options {
                owner: OWNER.into(),
                target: Target::default(),
                remembered: Remembered::default(),
                gateway_chassis: Vec::new(),
            };
            let compiled = compile(&sources, &options, &mut Sink::new()).expect("the case is good");
            let mut rows = Rows::new();
            compiled.rows.iter().for_each(|(key, row)| rows.insert(key.clone(), row.clone(), None));
            (case.name, rows)
        })
        .collect();
    networks.push(("nothing".to_owned(), Rows::new()));
    networks
}

#[test]
fn nobody_is_open_between_two_transactions() {
    let networks = networks();
    assert!(networks.len() > 4);
    for (from, before) in &networks {
        for (to, after) in &networks {
            let mut actual = as_if_applied(before, OWNER);
            let sources = SourceMap::new();
            let made = plan(after, &actual, &Request::new(OWNER, &sources));
            let limits = Limits { n_single_max: 2, n_batch_max: 1 };
            for (nth, steps) in batches(&made, &limits).iter().enumerate() {
                execute(&mut actual, &made, steps);
                let wrong = unnamed(&actual).or_else(|| unprotected(&actual, [before, after]));
                if let Some(wrong) = wrong {
                    panic!("{from} to {to}, transaction {nth}: {wrong}");
                }
            }
            assert_eq!(actual, as_if_applied(after, OWNER), "{from} to {to}");
        }
    }
}

fn names(actual: &Actual, table: Table) -> BTreeSet<String> {
    actual.table(table).filter_map(|(_, row)| name(row)).map(str::to_owned).collect()
}

/// A rule for somebody that names what is not there.
fn unnamed(actual: &Actual) -> Option<String> {
    let mut known: BTreeSet<String> =
        names(actual, Table::AddressSet).iter().map(|s| format!("${s}")).collect();
    for group in names(actual, Table::PortGroup) {
        known.extend([format!("@{group}"), format!("${group}_ip4"), format!("${group}_ip6")]);
    }
    let empty = |uuid: uuid::Uuid| {
        let refers =
            |datum: &Datum| datum.refs().any(|to| matches!(to, Ref::Foreign(found) if *found == uuid));
        let mut holders =
            actual.table(Table::PortGroup).filter(|(_, row)| row.get("acls").is_some_and(refers));
        holders.any(|(_, row)| row.get("ports").is_none_or(|datum| datum.refs().next().is_none()))
    };
    actual.table(Table::Acl).filter(|(uuid, _)| !empty(*uuid)).find_map(|(_, row)| {
        let text = name_in(row.get("match")?)?;
        let mut words =
            text.split([' ', '(', ')', '{', '}', ',']).filter(|word| word.starts_with(['@', '$']));
        words.find(|word| !known.contains(*word)).map(|word| format!("{word} is missing for {text}"))
    })
}

/// A port that is in fewer groups than it had or than it is to have, whichever are fewer.
fn unprotected(actual: &Actual, networks: [&Rows; 2]) -> Option<String> {
    let groups_in = |rows: &Rows, port: &str| {
        let holds = |row: &northc::nb::Row| {
            row.get("ports")
                .is_some_and(|d| d.refs().any(|to| matches!(to, Ref::Key(key) if *key.name == *port)))
        };
        rows.table(Table::PortGroup).filter(|(_, row)| holds(row)).count()
    };
    actual.table(Table::LogicalSwitchPort).find_map(|(uuid, row)| {
        let port = name(row)?;
        let has_row = |rows: &&Rows| rows.table(Table::LogicalSwitchPort).any(|(key, _)| *key.name == *port);
        let least = networks.iter().filter(|rows| has_row(rows)).map(|rows| groups_in(rows, port)).min()?;
        let is_it = |to: &Ref| matches!(to, Ref::Foreign(found) if *found == uuid);
        let holds = |row: &northc::nb::Row| row.get("ports").is_some_and(|datum| datum.refs().any(is_it));
        let n = actual.table(Table::PortGroup).filter(|(_, row)| holds(row)).count();
        (n < least).then(|| format!("{port} is in {n} groups, not in {least}"))
    })
}
