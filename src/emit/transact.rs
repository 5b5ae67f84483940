//! Rows → the `params` of one RFC 7047 `transact` request (§4.1.3), as `ovsdb-client transact` takes them.
//!
//! Every row is inserted under its own UUID. Guards come first: no row of another may hold one of our
//! switches' or routers' names, which the schema does not keep unique. A second run is refused as a whole
//! (`duplicate uuid`) and changes nothing. Refuses updates; a plan makes those.

use std::io;

use uuid::Uuid;

use crate::nb::datum::{self, write_text, write_uuid};
use crate::nb::key::ByPlace;
use crate::nb::{Atom, Column, Datum, Key, ROWS_MIN, Row, Rows, Table};
use crate::parallel;
use crate::progress;

/// The database that the transaction is for.
pub const DATABASE: &str = "OVN_Northbound";

/// How many rows are written at once: some hundred kibibytes. Whole, the text was a third of a compilation's memory.
const PIECE: usize = 256;

/// A row with the UUID that it is inserted under.
type Line<'r> = ((&'r Key, &'r Row), Uuid);

/// The transaction as one line of JSON, with a newline. Members of objects stand in the order of their names.
pub fn transaction(rows: &Rows, owner: &str) -> String {
    let mut out = Vec::new();
    write(&mut out, rows, owner).expect("memory takes every write");
    String::from_utf8(out).expect("JSON of strings is UTF-8")
}

/// Writes the same, piece by piece.
pub fn write(to: &mut dyn io::Write, rows: &Rows, owner: &str) -> io::Result<()> {
    let all: Vec<(&Key, &Row)> = rows.iter().collect();
    let is_small = all.len() < 2 * ROWS_MIN;
    let piece = if is_small { parallel::part(all.len(), ROWS_MIN) } else { PIECE };
    // A port's UUID stands in its row, its switch's and those of its groups, and each time anew it would be a
    // digest: that was a tenth of a compilation. A row's own is known by its place in line: to look that up too was
    // another hundredth.
    let derived = |part: &[(&Key, &Row)]| part.iter().map(|(key, _)| key.uuid(owner)).collect::<Vec<_>>();
    let own = parallel::map_parts(&all, ROWS_MIN, derived).concat();
    let all: Vec<Line<'_>> = all.into_iter().zip(own).collect();
    let uuids: ByPlace<Uuid> = all.iter().map(|((key, _), own)| (key.place(), *own)).collect();
    let uuid = |key: &Key| uuids.get(&key.place()).copied().unwrap_or_else(|| key.uuid(owner));
    let pieces: Vec<(usize, &[Line<'_>])> = (0..).step_by(piece).zip(all.chunks(piece)).collect();
    let mut out = vec![b'['];
    write_text(&mut out, DATABASE);
    for table in [Table::LogicalRouter, Table::LogicalSwitch] {
        rows.table(table).for_each(|(_, row)| nobody_has_the_name(&mut out, table, row));
    }
    to.write_all(&out)?;
    let write = |(at, piece): (usize, &[Line<'_>])| {
        let mut out = Vec::with_capacity(piece.len() << 10);
        piece.iter().for_each(|line| insert(&mut out, line, &uuid));
        (at, out)
    };
    parallel::until_failure(pieces, write, |(at, out)| {
        progress::at(at as u64, all.len() as u64);
        to.write_all(&out)
    })?;
    to.write_all(b"]\n")
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

fn insert(out: &mut Vec<u8>, ((key, row), own): &Line<'_>, uuid: &impl Fn(&Key) -> Uuid) {
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
    write_uuid(out, *own);
    out.extend_from_slice(b"\"}");
}
