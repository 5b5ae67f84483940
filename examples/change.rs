//! One change among rows that stay wanted, planned from what changed: `scripts/instructions` counts what it takes.
//!
//! `change WORLD.yaml` compiles the file, takes its rows for those of a database, and lets one port forward frames for
//! others. Refuses to write anything.

use std::error::Error;
use std::fs;

use northc::compile::{Options, compile};
use northc::diag::Sink;
use northc::nb::{Atom, Datum, Rows, Table, stamp};
use northc::plan::standing::Standing;
use northc::plan::{Request, as_if_applied};
use northc::span::SourceMap;

const OWNER: &str = "example";

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("change WORLD.yaml")?;
    let mut sources = SourceMap::new();
    sources.add(path.as_str(), fs::read_to_string(&path)?).ok_or("longer than 4 GiB")?;
    let rows = compile(&sources, &Options::new(OWNER), &mut Sink::new()).ok_or("the world has errors")?.rows;
    let actual = as_if_applied(&rows, OWNER);
    let (key, row) = rows.table(Table::LogicalSwitchPort).next().ok_or("the world has no port")?;
    let (key, mut row) = (key.clone(), row.clone());
    let addresses = row.get_mut("addresses").ok_or("ports have addresses")?;
    *addresses = Datum::set([Atom::Text("unknown".into())]);
    let mut one = Rows::new();
    one.insert(key, row, None);
    stamp::stamp(&mut one, OWNER);

    let request = Request::new(OWNER, &sources);
    let mut standing = Standing::new(rows);
    assert!(standing.plan(&actual, &request).is_empty(), "it is all there");
    standing.put(one);
    assert_eq!(standing.plan(&actual, &request).steps.len(), 1, "one row changed");
    Ok(())
}
