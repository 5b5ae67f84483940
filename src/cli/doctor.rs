//! `northc doctor`: whether a database can be worked with, and whether OVN follows it.
//!
//! Reads, and refuses to write: that nobody has asked OVN for a confirmation yet is told, not mended.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::database::{DatabaseArgs, block_on, refuse, tell};
use super::{Streams, exit};
use crate::nb::actual::{Actual, Lack};
use crate::nb::{Atom, Datum, Kind, record, stamp};
use crate::ovsdb::fault::Fault;
use crate::ovsdb::message::{OpResult, Selected};
use crate::ovsdb::op::{Op, Which};
use crate::ovsdb::session::{Notice, Session};
use crate::target::Target;

const EXAMPLES: &str = "Examples:
  northc doctor                                 # $OVN_NB_DB, or OVN's own default
  northc doctor --db tcp:10.0.0.1:6641 --sb-db tcp:10.0.0.1:6642
  ovn-nbctl --wait=hv sync & northc doctor      # who keeps that from ending";

/// Arguments of `northc doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// How to tell what was found
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// What was found.
struct Found {
    endpoint: String,
    schema: String,
    lacks: Vec<Lack>,
    /// How many rows each owner has.
    owners: BTreeMap<String, usize>,
    n_others: usize,
    progress: Option<Progress>,
    /// Where the Southbound database could be asked.
    chassis: Option<Vec<Chassis>>,
}

/// How far OVN has come: `NB_Global` (ovn-nb(5)).
struct Progress {
    /// What ovn-northd calls itself: `options:northd_internal_version`.
    northd: Option<String>,
    /// The number of the last change that somebody wants confirmed.
    wanted: i64,
    /// The last that is in the Southbound database.
    southbound: i64,
    /// The last that all chassis have done.
    hypervisors: i64,
}

/// A hypervisor or gateway, and the number of the last change that it has done (`Chassis_Private`, ovn-sb(5)).
struct Chassis {
    name: String,
    done: i64,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let found = match block_on(examine(&args.database)) {
        Ok(found) => found,
        Err(fault) => return refuse(&fault, streams),
    };
    match args.format {
        Format::Text => streams.data(&found.text()),
        Format::Json => streams.data(&format!("{:#}\n", found.json())),
    }
    if found.is_well() { exit::OK } else { exit::NO }
}

async fn examine(args: &DatabaseArgs) -> Result<Found, Fault> {
    let endpoint = Arc::new(Mutex::new(String::new()));
    let connected = Arc::clone(&endpoint);
    let session = args.northbound_told(Arc::new(move |notice| {
        if let Notice::Connected(endpoint) = notice {
            *connected.lock().unwrap_or_else(PoisonError::into_inner) = endpoint.to_string();
        }
        tell(notice);
    }))?;
    let actual = session.actual().await?;
    let schema = session.schema().await?.version.clone();
    let (owners, n_others) = owners(&actual);
    let columns = ["nb_cfg", "sb_cfg", "hv_cfg", "options"];
    let progress = select(&session, "NB_Global", &columns).await?.first().map(|row| Progress {
        northd: row.get(Kind::Map, "options").and_then(|options| value(&options, "northd_internal_version")),
        wanted: row.int("nb_cfg").unwrap_or(0),
        southbound: row.int("sb_cfg").unwrap_or(0),
        hypervisors: row.int("hv_cfg").unwrap_or(0),
    });
    let chassis = match args.southbound()? {
        Some(southbound) => Some(chassis(&southbound).await?),
        None => None,
    };
    let endpoint = endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lacks = actual.lacks().iter().copied().collect();
    Ok(Found { endpoint, schema, lacks, owners, n_others, progress, chassis })
}

/// How many rows each owner has, and how many rows are nobody's that northc knows.
fn owners(actual: &Actual) -> (BTreeMap<String, usize>, usize) {
    let (mut owners, mut n_others) = (BTreeMap::new(), 0);
    // An owner's record is a row too, and not one that anybody wanted.
    for (_, row) in actual.iter().filter(|(_, row)| stamp::external_id(row, record::TXN).is_none()) {
        match stamp::external_id(row, stamp::OWNER) {
            Some(owner) => *owners.entry(owner.to_owned()).or_default() += 1,
            None => n_others += 1,
        }
    }
    (owners, n_others)
}

async fn chassis(southbound: &Session) -> Result<Vec<Chassis>, Fault> {
    let rows = select(southbound, "Chassis_Private", &["name", "nb_cfg"]).await?;
    let chassis = |row: &Selected| {
        Some(Chassis { name: row.text("name")?.to_owned(), done: row.int("nb_cfg").unwrap_or(0) })
    };
    let mut found: Vec<Chassis> = rows.iter().filter_map(chassis).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

async fn select(
    session: &Session,
    table: &'static str,
    columns: &[&'static str],
) -> Result<Vec<Selected>, Fault> {
    let columns = columns.iter().map(|&column| column.into()).collect();
    let select = Op::Select { table: table.into(), rows: Which::All, columns };
    Ok(match session.transact(&[select]).await?.pop() {
        Some(OpResult::Rows(rows)) => rows,
        Some(OpResult::Inserted(_) | OpResult::Count(_) | OpResult::Done) | None => Vec::new(),
    })
}

fn value(map: &Datum, key: &str) -> Option<String> {
    let Datum::Map(map) = map else { return None };
    let text = |atom: &Atom| match atom {
        Atom::Text(text) => Some(text.to_string()),
        Atom::Int(_) | Atom::Bool(_) | Atom::Ref(_) => None,
    };
    map.iter().find(|(atom, _)| text(atom).as_deref() == Some(key)).and_then(|(_, value)| text(value))
}

impl Found {
    /// The newest release that is tested whose rows the schema has a place for.
    fn holds(&self) -> Option<Target> {
        let needs = |lack: &Lack, target: Target| {
            let name = lack.column?;
            let column = lack.table.columns().iter().find(|column| column.name == name)?;
            Some(column.since.is_none_or(|since| target.is_at_least(since)))
        };
        let fits = |target: &Target| !self.lacks.iter().any(|lack| needs(lack, *target).unwrap_or(true));
        Target::TESTED.into_iter().rev().find(fits)
    }

    fn behind(&self, progress: &Progress) -> Vec<&Chassis> {
        let chassis = self.chassis.iter().flatten();
        chassis.filter(|chassis| chassis.done < progress.wanted).collect()
    }

    fn is_well(&self) -> bool {
        let follows = |p: &Progress| p.southbound >= p.wanted && p.hypervisors >= p.wanted;
        self.holds().is_some() && self.progress.as_ref().is_some_and(follows)
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |well: bool, about: &str, text: &str| {
            let _ = writeln!(out, "{} {about:<12} {text}", if well { '✓' } else { '!' });
        };
        let Found { endpoint, schema, .. } = self;
        match self.holds() {
            Some(target) => {
                let text = format!("{endpoint}, schema {schema}: takes rows for OVN up to {target}");
                line(true, "Northbound", &text);
            }
            None => {
                let text = format!("{endpoint}, schema {schema}: older than OVN {}", Target::OLDEST);
                line(false, "Northbound", &text);
            }
        }
        let owned = self.owners.iter().map(|(owner, n)| format!("{n} of owner `{owner}`"));
        let others = (self.n_others > 0 || self.owners.is_empty())
            .then(|| format!("{} without a mark of northc", self.n_others));
        line(true, "rows", &owned.chain(others).collect::<Vec<_>>().join(", "));
        let Some(progress) = &self.progress else {
            line(false, "ovn-northd", "has never been here: NB_Global has no row");
            return out;
        };
        let Progress { northd, wanted, southbound, hypervisors } = progress;
        let northd = northd.as_deref().map(|version| format!("{version}, ")).unwrap_or_default();
        if *wanted == 0 {
            line(true, "ovn-northd", &format!("{northd}was never asked to confirm a change"));
            return out;
        }
        let text = if southbound >= wanted {
            format!("{northd}has done every change up to {wanted}")
        } else {
            format!(
                "{northd}has done {southbound} of {wanted} changes: it is at work, stuck, or does not run"
            )
        };
        line(southbound >= wanted, "ovn-northd", &text);
        let mut text = if hypervisors >= wanted {
            format!("have done every change up to {wanted}")
        } else {
            format!("have done {hypervisors} of {wanted} changes")
        };
        match &self.chassis {
            None if hypervisors < wanted => text.push_str("; --sb-db tells which are behind"),
            Some(all) if all.is_empty() => "there is none".clone_into(&mut text),
            Some(_) | None => {}
        }
        let behind: Vec<String> =
            self.behind(progress).iter().map(|c| format!("{} ({})", c.name, c.done)).collect();
        if !behind.is_empty() {
            let _ = write!(text, "; behind: {}", behind.join(", "));
        }
        line(hypervisors >= wanted, "hypervisors", &text);
        out
    }

    fn json(&self) -> Value {
        let lacks = self.lacks.iter().map(|lack| json!([lack.table.name(), lack.column]));
        json!({
            "format_version": "1.0",
            "kind": "northc.doctor",
            "well": self.is_well(),
            "northbound": {
                "endpoint": self.endpoint,
                "schema": self.schema,
                "ovn_version_max": self.holds().map(|target| target.to_string()),
                "lacks": lacks.collect::<Vec<_>>(),
            },
            "rows": { "owners": self.owners, "others": self.n_others },
            "ovn": self.progress.as_ref().map(|progress| json!({
                "northd": progress.northd,
                "nb_cfg": progress.wanted,
                "sb_cfg": progress.southbound,
                "hv_cfg": progress.hypervisors,
            })),
            "chassis": self.chassis.as_ref().map(|chassis| {
                chassis.iter().map(|c| json!({"name": c.name, "nb_cfg": c.done})).collect::<Vec<_>>()
            }),
        })
    }
}
