//! A rule that is logged → its ACL's log, and the Meter that keeps it from flooding the chassis.
//!
//! | meant | stored |
//! |---|---|
//! | logged | `log`, `severity`; the ACL's `name` says which rule it is |
//! | at most so many messages a second | `Meter` `northc.log.<vpc>.<rate>`, `fair`: each rule counts for itself |
//!
//! An ACL names its meter, as a text, so a meter stands there for as long as a rule of its VPC names it. Every log
//! has one: without, a scan of ports would fill the disks of hypervisors (ovn-nb(5), ACL.meter).

use crate::model::{Log, Severity, Vpc};
use crate::names;
use crate::nb::{Acl, Key, Meter, MeterBand, Ref, Rows, Table};
use crate::span::{Span, Spanned};

/// What an ACL says of its log: a severity and a meter.
pub(super) struct Logged(Option<(&'static str, String)>);

impl Logged {
    /// Says it.
    pub(super) fn write(self, acl: &mut Acl) {
        let Some((severity, meter)) = self.0 else { return };
        acl.log = true;
        acl.severity = Some(severity.to_owned());
        acl.meter = Some(meter);
    }
}

/// Writes the meter that a rule's log needs, where none of the VPC did before.
pub(super) fn lower(log: Option<Spanned<Log>>, vpc: &Vpc, rows: &mut Rows) -> Logged {
    let Some(Spanned { value: log, span }) = log else { return Logged(None) };
    let name = names::log_meter(vpc, log.rate.value);
    let key = Key::new(Table::Meter, name.as_str());
    if rows.get(&key).is_none() {
        meter(key, name.clone(), log.rate.value, span, rows);
    }
    Logged(Some((severity(log.severity), name)))
}

fn meter(key: Key, name: String, rate: i64, span: Span, rows: &mut Rows) {
    let band = Key::new(Table::MeterBand, name.as_str());
    let row = MeterBand { action: "drop".to_owned(), rate, ..MeterBand::default() };
    rows.insert(band.clone(), row, Some(span));
    let row = Meter {
        name,
        unit: "pktps".to_owned(),
        bands: [Ref::Key(band)].into(),
        fair: Some(true),
        ..Meter::default()
    };
    rows.insert(key, row, Some(span));
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Alert => "alert",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
        Severity::Info => "info",
        Severity::Debug => "debug",
    }
}
