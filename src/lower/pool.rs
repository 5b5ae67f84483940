//! Pools that matches can name → Address_Set, one a family. Fixtures: `addresses/pools`.

use super::port::host_or_net;
use crate::check::Checked;
use crate::names;
use crate::nb::{AddressSet, Key, Rows, Table};

pub(super) fn lower(checked: &Checked<'_>, rows: &mut Rows) {
    for pool in &checked.model().pools {
        for (name, v4) in names::address_sets(pool) {
            let addresses = pool.nets(v4).into_iter().map(host_or_net).collect();
            let row = AddressSet { name: name.clone(), addresses, ..AddressSet::default() };
            rows.insert(Key::new(Table::AddressSet, name), row, pool.set);
        }
    }
}
