//! What a database says beside the rows that northc manages, and packets heed: the options of `NB_Global`, and groups
//! of balancers (`Load_Balancer_Group`), which Neutron and Kube-OVN use.
//!
//! Refuses to write any of it, and to know what it means.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::value::{Atom, Datum, Kind, Ref};

/// Where it stands: a table, a column and what that holds.
pub const COLUMNS: [(&str, &str, Kind); 4] = [
    ("NB_Global", "options", Kind::Map),
    ("Load_Balancer_Group", "load_balancer", Kind::RefSet),
    ("Logical_Switch", "load_balancer_group", Kind::RefSet),
    ("Logical_Router", "load_balancer_group", Kind::RefSet),
];

/// The rest of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    options: BTreeMap<String, String>,
    /// Balancers by group; groups by switch or router.
    members: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// Switches and routers.
    users: BTreeSet<Uuid>,
}

impl Beside {
    /// Adds what a row of one of these tables holds in its column.
    pub fn add(&mut self, table: &str, row: Uuid, datum: &Datum) {
        match datum {
            Datum::Map(pairs) => {
                let text = |atom: &Atom| match atom {
                    Atom::Text(text) => Some(text.to_string()),
                    _ => None,
                };
                let pairs = pairs.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
                self.options.extend(pairs);
            }
            Datum::Set(atoms) => {
                let members = atoms.iter().filter_map(|atom| match atom {
                    Atom::Ref(Ref::Foreign(uuid)) => Some(*uuid),
                    _ => None,
                });
                let members: BTreeSet<Uuid> = members.collect();
                if !members.is_empty() {
                    self.members.insert(row, members);
                    self.users.extend((table != "Load_Balancer_Group").then_some(row));
                }
            }
        }
    }

    /// Whether there is any of it that packets heed.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.drops_rest()
    }

    /// Whether what no access rule is about is dropped, on switches that have any (`default_acl_drop`).
    pub fn drops_rest(&self) -> bool {
        self.options.get("default_acl_drop").is_some_and(|value| value == "true")
    }

    /// The balancers that a switch or router has by its groups.
    pub fn balancers(&self, of: Uuid) -> impl Iterator<Item = Uuid> {
        let groups = self.members.get(&of).filter(|_| self.users.contains(&of)).into_iter().flatten();
        groups.filter_map(|group| self.members.get(group)).flatten().copied()
    }
}
