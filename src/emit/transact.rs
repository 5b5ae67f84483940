//! Rows → the `params` of one RFC 7047 `transact` request (§4.1.3), as `ovsdb-client transact` takes them.
//!
//! Every row is inserted under its own UUID. Guards come first: no row of another may hold one of our
//! switches' or routers' names, which the schema does not keep unique. A second run is refused as a whole
//! (`duplicate uuid`) and changes nothing. Refuses updates; a plan makes those.

use std::collections::HashMap;
use std::io;

use uuid::Uuid;

use crate::nb::datum::{self, write_text, write_uuid};
use crate::nb::{Atom, Column, Datum, Key, Row, Rows, Table};
use crate::progress;

/// The database that the transaction is for.
pub const DATABASE: &str = "OVN_Northbound";

/// How much is written at once. Whole, the text was a third of a compilation's memory.
const PIECE: usize = 64 << 10;

/// The transaction as one line of JSON, with a newline. Members of objects stand in the order of their names.
pub fn transaction(rows: &Rows, owner: &str) -> String {
    let mut out = Vec::new();
    write(&mut out, rows, owner).expect("memory takes every write");
    String::from_utf8(out).expect("JSON of strings is UTF-8")
}

/// Writes the same, piece by piece.
pub fn write(to: &mut dyn io::Write, rows: &Rows, owner: &str) -> io::Result<()> {
    // A port's UUID stands in its row, its switch's and those of its groups, and each time anew it would be a
    // digest: that was a tenth of a compilation.
    let uuids: HashMap<_, Uuid> = rows.iter().map(|(key, _)| (key.place(), key.uuid(owner))).collect();
    let mut out = Vec::with_capacity(2 * PIECE);
    out.push(b'[');
    write_text(&mut out, DATABASE);
    for table in [Table::LogicalRouter, Table::LogicalSwitch] {
        rows.table(table).for_each(|(_, row)| nobody_has_the_name(&mut out, table, row));
    }
    for (key, row) in progress::along(rows.iter(), rows.len()) {
        insert(&mut out, key, row, &|key| {
            uuids.get(&key.place()).copied().unwrap_or_else(|| key.uuid(owner))
        });
        if out.len() >= PIECE {
            to.write_all(&out)?;
            out.clear();
        }
    }
    out.extend_from_slice(b"]\n");
    to.write_all(&out)
}

/// Asserts that no row has the name (RFC 7047 §5.2.6, timeout 0: now or never).
fn nobody_has_the_name(out: &mut Vec<u8>, table: Table, row: &Row) {
    let name = match row.get("name") {
        Some(Datum::Set(atoms)) => match atoms.as_slice() {
            [Atom::Text(name)] => &**name,
            _ => "",
        },
        _ => "",
    };
    out.extend_from_slice(b",{\"columns\":[\"name\"],\"op\":\"wait\",\"rows\":[],\"table\":");
    write_text(out, table.name());
    out.extend_from_slice(b",\"timeout\":0,\"until\":\"==\",\"where\":[[\"name\",\"==\",");
    write_text(out, name);
    out.extend_from_slice(b"]]}");
}

fn insert(out: &mut Vec<u8>, key: &Key, row: &Row, uuid: &impl Fn(&Key) -> Uuid) {
    out.extend_from_slice(b",{\"op\":\"insert\",\"row\":{");
    let mut columns: Vec<(&Column, &Datum)> = row.set_columns().collect();
    columns.sort_unstable_by_key(|(column, _)| column.name);
    for (at, (column, value)) in columns.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(out, column.name);
        out.push(b':');
        datum::write(out, column.kind, value, uuid);
    }
    out.extend_from_slice(b"},\"table\":");
    write_text(out, key.table.name());
    out.extend_from_slice(b",\"uuid\":\"");
    write_uuid(out, uuid(key));
    out.extend_from_slice(b"\"}");
}
