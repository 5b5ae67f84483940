//! Whether what was committed has taken effect: northd's and the chassis' word, waited for with a bound.
//!
//! Refuses to call anything confirmed that was not read.

use std::time::Duration;

use tokio::time::Instant;

use super::{Event, OnEvent, Options, Wait};
use crate::nb::{Atom, Datum, Kind};
use crate::ovsdb::message::OpResult;
use crate::ovsdb::op::{Op, Until, Which};
use crate::ovsdb::session::Session;

/// The server waits for a change at most so long before we look again, and say so.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// So long northd may take for what it was doing.
const ROUND_MAX: Duration = Duration::from_secs(5);
/// After a fault of the connection we look again so much later.
const PAUSE: Duration = Duration::from_millis(200);

/// What the waiting came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The column that was read: `SB_Global.nb_cfg`, `NB_Global.sb_cfg`, `NB_Global.hv_cfg`.
    pub asked: &'static str,
    /// True when it reached the number of this apply.
    pub is_confirmed: bool,
    /// How long it took, or how long we waited; nothing where nobody could be asked.
    pub took: Option<Duration>,
    /// Chassis that have not confirmed, where they could be asked for.
    pub lagging: Vec<String>,
}

impl Settled {
    /// There is no row in `NB_Global` (nobody ran `ovn-nbctl init`, no ovn-northd ever did), or it could
    /// not be read.
    pub(super) fn impossible() -> Settled {
        let asked = "NB_Global, which has no row";
        Settled { asked, is_confirmed: false, took: None, lagging: Vec::new() }
    }
}

/// Waits until `number` is confirmed.
pub(super) async fn settle(
    session: &Session,
    number: i64,
    options: &Options,
    on_event: OnEvent<'_>,
) -> Settled {
    let start = Instant::now();
    let deadline = start + options.timeout;
    let (who, table, column, asked) = match (options.wait, &options.southbound) {
        (Wait::Hv, _) => (session, "NB_Global", "hv_cfg", "NB_Global.hv_cfg"),
        (Wait::Sb | Wait::None, Some(southbound)) => (southbound, "SB_Global", "nb_cfg", "SB_Global.nb_cfg"),
        (Wait::Sb | Wait::None, None) => (session, "NB_Global", "sb_cfg", "NB_Global.sb_cfg"),
    };
    let is_confirmed = loop {
        let at = read(who, table, column).await;
        if let Some(at) = at {
            if at >= number {
                break true;
            }
            on_event(Event::Waiting { asked, at, wanted: number });
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            break false;
        }
        match at {
            Some(at) => until_differs(who, table, column, at, remaining.min(WAIT_MAX)).await,
            None => tokio::time::sleep(remaining.min(PAUSE)).await,
        }
    };
    let lagging = match &options.southbound {
        Some(southbound) if !is_confirmed && options.wait == Wait::Hv => lagging(southbound, number).await,
        Some(_) | None => Vec::new(),
    };
    Settled { asked, is_confirmed, took: Some(start.elapsed()), lagging }
}

/// Lets northd see every change that anybody made with a number, before what it must not see with them in one round
/// ([`crate::plan::vacate`]). Bounded, since it may be gone; where none has ever been, there is nobody to wait for.
pub(super) async fn round(session: &Session, options: &Options, on_event: OnEvent<'_>) {
    if let Some(number) = seen_by_northd(session).await {
        let timeout = options.timeout.min(ROUND_MAX);
        settle(session, number, &Options { wait: Wait::Sb, timeout, ..options.clone() }, on_event).await;
    }
}

/// The number of the last change, if a northd was ever here: it gives the network a prefix for MAC addresses
/// (ovn-nb(5), `NB_Global`).
async fn seen_by_northd(session: &Session) -> Option<i64> {
    let columns = vec!["nb_cfg".into(), "options".into()];
    let select = Op::Select { table: "NB_Global".into(), rows: Which::All, columns };
    let results = session.transact(&[select]).await.ok()?;
    let Some(OpResult::Rows(rows)) = results.first() else { return None };
    let row = rows.first()?;
    let Datum::Map(options) = row.get(Kind::Map, "options")? else { return None };
    let was_here = options.iter().any(|(key, _)| *key == Atom::Text("mac_prefix".into()));
    row.int("nb_cfg").filter(|_| was_here)
}

/// The number of the last change that anybody made with one.
pub(super) async fn number(session: &Session) -> Option<i64> {
    read(session, "NB_Global", "nb_cfg").await
}

/// A column of a table of one row; `None` when it cannot be read now.
async fn read(session: &Session, table: &'static str, column: &'static str) -> Option<i64> {
    let select = Op::Select { table: table.into(), rows: Which::All, columns: vec![column.into()] };
    match session.transact(&[select]).await.ok()?.first()? {
        OpResult::Rows(rows) => rows.first()?.int(column),
        OpResult::Inserted(_) | OpResult::Count(_) | OpResult::Done => None,
    }
}

/// Lets the server wait for a change, which costs it nothing (RFC 7047 §5.2.6).
async fn until_differs(
    session: &Session,
    table: &'static str,
    column: &'static str,
    at: i64,
    patience: Duration,
) {
    let wait = Op::Wait {
        table: table.into(),
        rows: Which::All,
        until: Until::Differs,
        row: vec![(column.into(), Datum::set([Atom::Int(at)]))],
        timeout_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
    };
    let start = Instant::now();
    if session.transact(&[wait]).await.is_err() && start.elapsed() < PAUSE {
        tokio::time::sleep(PAUSE.min(patience)).await;
    }
}

async fn lagging(southbound: &Session, number: i64) -> Vec<String> {
    let columns = vec!["name".into(), "nb_cfg".into()];
    let select = Op::Select { table: "Chassis_Private".into(), rows: Which::All, columns };
    let Ok(results) = southbound.transact(&[select]).await else { return Vec::new() };
    let Some(OpResult::Rows(rows)) = results.first() else { return Vec::new() };
    let is_behind = |row: &&crate::ovsdb::message::Selected| row.int("nb_cfg").is_none_or(|at| at < number);
    rows.iter().filter(is_behind).filter_map(|row| row.text("name").map(str::to_owned)).collect()
}
