//! The same on real servers: each kind of change once, applied to the original's rows and to none, and taken away.

use std::collections::BTreeSet;

use northc::apply::destroy;
use northc::nb::actual::Actual;
use northc::nb::{Rows, Table, record};
use northc::ovsdb::session::Session;
use northc::plan::{Plan, Request};
use northc::span::SourceMap;

use super::{MUTATED, Mutated, OWNER};
use crate::live::{block_on, bring, connect, options};
use crate::northbound::{self, Dump};
use crate::ovn;
use crate::stack::Stack;

/// A database in which others have rows of every sort, and a session with it.
struct Shared {
    stack: Stack,
    session: Session,
    /// Everything in it, before we came.
    before: Dump,
}

impl Shared {
    fn new() -> Shared {
        let stack = Stack::database();
        for command in [
            "init",
            "ls-add theirs -- lsp-add theirs their-port -- acl-add theirs to-lport 5 ip4 drop",
            "lr-add their-router -- lrp-add their-router their-side 0a:00:00:00:00:01 192.0.2.1/24",
            "lr-route-add their-router 198.51.100.0/24 192.0.2.2",
            "lr-policy-add their-router 7 ip4 drop -- lr-nat-add their-router snat 192.0.2.9 192.0.2.0/24",
            "dhcp-options-create 192.0.2.0/24 note=theirs",
            "lb-add their-lb 192.0.2.8:80 192.0.2.3:80 -- ls-lb-add theirs their-lb",
            "pg-add their-group their-port -- set NB_Global . options:note=theirs",
        ] {
            stack.nbctl(&command.split(' ').collect::<Vec<_>>()).expect("ovn-nbctl does it");
        }
        let (session, before) = (connect(&stack.remote()), stack.everything());
        Shared { stack, session, before }
    }

    /// Applies; false when there was nothing to do.
    fn bring(&self, rows: &Rows) -> Result<bool, String> {
        let done = block_on(bring(&self.session, rows, OWNER, &options(5000, 500), &mut Vec::new()));
        let done = done.map_err(|failure| format!("{failure:?}"))?;
        match done.iter().flat_map(|done| &done.undone).next() {
            Some(undone) => Err(undone.clone()),
            None => Ok(done.is_some()),
        }
    }

    /// Destroys; nothing is to be left, and nothing of others touched, to the rows' versions.
    fn clear(&self) -> Result<(), String> {
        let sources = SourceMap::new();
        let request = Request::new(OWNER, &sources);
        let (mut yes, mut quiet) = (|_: &Plan, _: &Actual| true, |_| ());
        block_on(destroy(&self.session, &request, &options(5000, 500), &mut yes, &mut quiet))
            .map_err(|failure| format!("{failure:?}"))?;
        match northbound::difference(&self.before, &self.stack.everything()) {
            None => Ok(()),
            Some(difference) => Err(format!("a destroy leaves (before: after):\n{difference}")),
        }
    }

    /// Our rows, but for what one run tells the next.
    fn ours(&self) -> Dump {
        let mut dump = self.stack.dump();
        for (table, rows) in &mut dump {
            rows.retain(|uuid, _| self.before.get(table).is_none_or(|before| !before.contains_key(uuid)));
        }
        dump.get_mut(Table::DhcpOptions.name()).map(|rows| rows.remove(&record::uuid(OWNER).to_string()));
        dump
    }
}

#[test]
fn a_change_of_every_kind_is_applied_as_if_to_nothing_and_taken_away() {
    if !ovn::is_present() {
        return;
    }
    let (changed, fresh) = (Shared::new(), Shared::new());
    let mut kinds = BTreeSet::new();
    for Mutated { case, there, wanted, .. } in MUTATED.iter() {
        for (what, wanted) in wanted.iter().filter(|(what, _)| kinds.insert(what)) {
            compare(&changed, &fresh, there, wanted).unwrap_or_else(|e| panic!("{case}: {what}: {e}"));
        }
        changed.clear().unwrap_or_else(|e| panic!("{case}: {e}"));
    }
    assert!(kinds.len() > 100, "{} kinds of changes: {kinds:#?}", kinds.len());
}

/// Applies what is there and then what is wanted on one database, and what is wanted on a fresh one.
fn compare(changed: &Shared, fresh: &Shared, there: &Rows, wanted: &Rows) -> Result<(), String> {
    changed.bring(there)?;
    changed.bring(wanted)?;
    if changed.bring(wanted)? {
        return Err("there is something left to do".to_owned());
    }
    fresh.bring(wanted)?;
    match northbound::difference(&changed.ours(), &fresh.ours()) {
        None => fresh.clear(),
        Some(difference) => Err(format!("not as on an empty database:\n{difference}")),
    }
}
