//! Rows that stay wanted: what the last plan saw is kept, and the next one looks only at rows that changed since,
//! on either side.
//!
//! At anything out of the ordinary everything is looked at again, as [`plan`](super::plan()) does: rows of others that
//! changed, copies, marks that are gone, rows in the way, another owner or mode. The plan is the same either way; the
//! order of its steps may differ where VPCs share rows. Refuses to know where rows come from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::group::Groups;
use super::{Adopt, Mode, Plan, Request, Sight, arrange, decide, whole};
use crate::nb::actual::{Actual, Moment, View, by_key, key_mark};
use crate::nb::record::{self, Record};
use crate::nb::stamp::{self, external_id};
use crate::nb::{Key, Row, Rows, Table};

/// Wanted rows, and what was last seen of them in a database.
#[derive(Debug, Default)]
pub struct Standing {
    desired: Rows,
    sum: stamp::Sum,
    /// Rows that may not be as wanted. INVARIANT: all that are not, where something was seen.
    open: BTreeSet<Key>,
    seen: Option<Seen>,
}

/// A database in which everything was in order, but for the open rows.
#[derive(Debug)]
struct Seen {
    owner: String,
    moment: Moment,
    /// The owner's rows that are there, the record left out.
    keys: HashMap<(Table, Uuid), Key>,
    foreign: BTreeMap<(Table, Uuid), Arc<Row>>,
    groups: Groups,
}

impl Standing {
    /// These rows are wanted; they carry the owner's marks ([`stamp::stamp`]).
    pub fn new(desired: Rows) -> Standing {
        Standing { sum: stamp::Sum::of(&desired), desired, ..Standing::default() }
    }

    /// What is wanted.
    pub fn desired(&self) -> &Rows {
        &self.desired
    }

    /// From now on these rows are wanted, and no others.
    pub fn want(&mut self, desired: Rows) {
        for (key, old, new) in self.desired.beside(&desired).filter(|(_, old, new)| old != new) {
            old.into_iter().for_each(|row| self.sum.subtract(key, row));
            new.into_iter().for_each(|row| self.sum.add(key, row));
            self.open.insert(key.clone());
        }
        self.desired = desired;
    }

    /// From now on these rows are wanted too, each instead of one of its key: what to call where it is known what
    /// changed, since all else is not even compared.
    pub fn put(&mut self, rows: Rows) {
        for (key, row, origin) in rows.into_rows() {
            self.remove(&key);
            self.sum.add(&key, &row);
            self.desired.insert(key, row, origin);
        }
    }

    /// From now on there shall be no such row.
    pub fn remove(&mut self, key: &Key) {
        self.open.insert(key.clone());
        if let Some(old) = self.desired.remove(key) {
            self.sum.subtract(key, &old);
        }
    }

    /// What must happen to the database now.
    pub fn plan(&mut self, actual: &Actual, request: &Request<'_>) -> Plan {
        let _stage = tracing::info_span!("plan").entered();
        let made = match self.part(actual, request) {
            Some(made) => made,
            None => self.all(actual, request),
        };
        self.open = made.steps.iter().map(|step| step.key.clone()).collect();
        made
    }

    fn all(&mut self, actual: &Actual, request: &Request<'_>) -> Plan {
        let (mut made, view) = whole(&self.desired, self.sum, actual, request);
        let groups = Groups::new(&self.desired, &view.rows);
        arrange(&mut made, &self.desired, &groups, request);
        let is_in_order = view.odd.is_empty() && view.extra.is_empty() && made.conflicts.is_empty();
        self.seen = (is_in_order && is_plain(request)).then(|| {
            let keys = view.uuids.into_iter().filter(|(key, _)| !record::is_record(key));
            let keys = keys.map(|(key, uuid)| ((key.table, uuid), key)).collect();
            let (owner, moment) = (request.owner.to_owned(), actual.moment());
            Seen { owner, moment, keys, foreign: view.foreign, groups }
        });
        made
    }

    /// The plan from what changed alone; `None` where everything must be looked at.
    fn part(&mut self, actual: &Actual, request: &Request<'_>) -> Option<Plan> {
        let mut seen = self.seen.take().filter(|seen| seen.owner == request.owner && is_plain(request))?;
        for at in actual.touched_since(seen.moment)? {
            self.open.extend(seen.look(at, actual)?);
        }
        let base = seen.base(actual)?;
        let mut desired = Rows::new();
        let mut view = View::default();
        for key in &self.open {
            let at = (key.table, key.uuid(request.owner));
            let wanted = self.desired.get(key);
            if let Some(row) = wanted {
                desired.insert(key.clone(), row.clone(), self.desired.origin(key));
            }
            if let Some(live) = actual.get(key.table, at.1) {
                let is_ours = wanted.is_some() || seen.is_marked(live, key);
                if !is_ours || !seen.keys.contains_key(&at) {
                    return None;
                }
                view.rows.insert(key.clone(), by_key(live, |at| seen.keys.get(&at)), None);
                view.uuids.insert(key.clone(), at.1);
            }
        }
        view.foreign = std::mem::take(&mut seen.foreign);
        let (adopted, n_owned, rows) = (BTreeMap::new(), seen.keys.len(), self.sum);
        let sight = Sight { desired: &desired, actual, view: &view, adopted: &adopted, base, n_owned, rows };
        let mut made = decide(sight, request);
        seen.groups.learn(&desired, &view.rows);
        arrange(&mut made, &desired, &seen.groups, request);
        (seen.foreign, seen.moment) = (view.foreign, actual.moment());
        self.seen = made.conflicts.is_empty().then_some(seen);
        Some(made)
    }
}

/// What a plan of a part can do.
fn is_plain(request: &Request<'_>) -> bool {
    request.mode == Mode::All && request.adopt == Adopt::Never
}

impl Seen {
    /// The key of the owner's row that is there or was, if any; `None` where more must be looked at.
    fn look(&mut self, at: (Table, Uuid), actual: &Actual) -> Option<Option<Key>> {
        if at == (Table::DhcpOptions, record::uuid(&self.owner)) {
            return Some(None);
        }
        match (self.keys.get(&at), actual.get(at.0, at.1)) {
            (Some(_), None) => Some(self.keys.remove(&at)),
            (Some(key), Some(row)) => {
                let owner = external_id(row, stamp::OWNER);
                owner.is_none_or(|owner| owner == self.owner).then(|| Some(key.clone()))
            }
            (None, Some(row)) => {
                let key =
                    key_mark(row).filter(|key| self.is_marked(row, key) && key.uuid(&self.owner) == at.1)?;
                self.keys.insert(at, key.clone());
                Some(Some(key))
            }
            (None, None) => (!self.foreign.contains_key(&at)).then_some(None),
        }
    }

    /// The owner's record, where it can be told from any other row.
    fn base(&self, actual: &Actual) -> Option<Option<Record>> {
        match actual.get(Table::DhcpOptions, record::uuid(&self.owner)) {
            Some(row) => self.is_marked(row, &record::key()).then(|| Some(Record::read(row))),
            None => Some(None),
        }
    }

    fn is_marked(&self, row: &Row, key: &Key) -> bool {
        external_id(row, stamp::OWNER) == Some(&self.owner) && key_mark(row).as_ref() == Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nb::{LogicalSwitch, LogicalSwitchPort, Ref};
    use crate::plan::as_if_applied;
    use crate::plan::effect::outcome;
    use crate::span::SourceMap;

    const OWNER: &str = "me";

    fn rows(n_ports: usize) -> Rows {
        let mut rows = Rows::new();
        let keys: Vec<Key> =
            (0..n_ports).map(|nth| Key::new(Table::LogicalSwitchPort, format!("p{nth}"))).collect();
        for key in &keys {
            let port = LogicalSwitchPort { name: key.name.to_string(), ..Default::default() };
            rows.insert(key.clone(), port, None);
        }
        let ports = keys.into_iter().map(Ref::Key).collect();
        let switch = LogicalSwitch { name: "s".into(), ports, ..Default::default() };
        rows.insert(Key::new(Table::LogicalSwitch, "s"), switch, None);
        stamp::stamp(&mut rows, OWNER);
        rows
    }

    #[test]
    fn what_did_not_change_is_not_looked_at() {
        let sources = SourceMap::new();
        let request = Request::new(OWNER, &sources);
        let mut actual = as_if_applied(&rows(2), OWNER);
        let mut standing = Standing::new(rows(2));
        assert!(standing.part(&actual, &request).is_none(), "nothing was seen yet");
        assert!(standing.plan(&actual, &request).is_empty());
        standing.want(rows(3));
        let made = standing.part(&actual, &request).expect("a new port and its switch are all that changed");
        assert_eq!(made.steps.len(), 2);
        for (uuid, row) in outcome(&made, &actual).iter() {
            actual.insert(uuid, row.as_ref().clone());
        }
        assert_eq!(standing.part(&actual, &request).map(|made| made.steps), Some(Vec::new()));
        // Somebody else's row comes: it might be in the way of any of ours.
        actual.insert(Uuid::nil(), LogicalSwitch { name: "theirs".into(), ..Default::default() }.into());
        assert!(standing.part(&actual, &request).is_none());
        assert!(standing.plan(&actual, &request).is_empty());
        assert!(standing.part(&actual.clone(), &request).is_none(), "a copy may change by itself");
    }
}
