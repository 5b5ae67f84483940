//! A comparison as diagnostics. Refuses to compare.

use super::{Difference, Kind, Report};
use crate::diag::{Code, Diagnostic, Sink};
use crate::meaning::Idle;

/// More rows of a way than the last ones are not told.
const ROWS_MAX: usize = 4;

impl Report {
    /// Says everything that was found, but for how long it took.
    pub fn tell(&self, sink: &mut Sink) {
        for difference in &self.differences {
            sink.push(difference.diagnostic());
        }
        for (why, n) in &self.undetermined {
            let message = format!("not compared, of {n} of {} senders: {why}", self.n_senders);
            sink.push(Diagnostic::general(Code::NotVerified, message));
        }
    }
}

impl Report {
    /// Says what else was seen on the way: what no packet comes to, and answers that come back another way. What has
    /// been said of the same place before is not said again.
    pub fn advise(&self, sink: &mut Sink) {
        for (idle, span) in self.idle.iter().filter(|(_, span)| !sink.has_about(*span)).collect::<Vec<_>>() {
            let diagnostic = match idle {
                Idle::Rule => {
                    let message = "the rules before it leave no packet to this rule, all of them together";
                    Diagnostic::new(Code::RuleIdle, *span, message).help("put it before them, or take it out")
                }
                Idle::Route => {
                    Diagnostic::new(Code::RouteIdle, *span, "no packet of anybody takes this route")
                }
                Idle::Policy => {
                    Diagnostic::new(Code::PolicyIdle, *span, "no packet of anybody comes to this policy")
                }
                Idle::Translation => {
                    let message = "no packet of anybody comes to this translation";
                    Diagnostic::new(Code::TranslationIdle, *span, message)
                        .help("packets need a route to the external network, and nothing in their way")
                }
            };
            sink.push(diagnostic);
        }
        for detour in &self.detours {
            let message =
                format!("what answers {} of {} comes back another way", detour.witness, detour.from);
            let diagnostic = match detour.span {
                Some(span) => Diagnostic::new(Code::Detour, span, message).at("by this"),
                None => Diagnostic::general(Code::Detour, message),
            };
            let (there, back) = (detour.there.join(", "), detour.back.join(", "));
            sink.push(diagnostic.note(format!("there by the routers {there}; back by {back}")));
        }
    }
}

impl Difference {
    /// The place in the input that decides in the model, the rows that decide in the database, and a packet.
    fn diagnostic(&self) -> Diagnostic {
        let from = &self.from;
        let what = match &self.witness {
            Some(packet) => format!("{packet} of {from}"),
            None => format!("what {from} is told"),
        };
        let (code, message) = match self.kind {
            Kind::OverPermissive => {
                (Code::OverPermissive, format!("{what} is let through, and the model stops it"))
            }
            Kind::OverRestrictive => {
                (Code::OverRestrictive, format!("{what} is stopped, and the model lets it through"))
            }
            Kind::Otherwise => (Code::Otherwise, format!("{what} is not as the model says")),
        };
        let placed = self.reasons.iter().rev().find_map(|reason| Some((reason.span?, &reason.what)));
        let mut diagnostic = match placed {
            Some((span, what)) => Diagnostic::new(code, span, message).at(what.clone()),
            None => Diagnostic::general(code, message),
        };
        if let Some(last) = self.reasons.last().filter(|last| last.span.is_none()) {
            diagnostic = diagnostic.note(format!("in the model: {}", last.what));
        }
        diagnostic = diagnostic.note(format!("the model: {}", self.meant.join(", or ")));
        diagnostic = diagnostic.note(format!("the rows: {}", self.done.join(", or ")));
        let first = self.rows.len().saturating_sub(ROWS_MAX);
        for said in &self.rows[first..] {
            diagnostic = diagnostic.note(format!("by {}", said.row));
        }
        match self.n_more {
            0 => diagnostic,
            n => diagnostic.note(format!("{n} more of the kind")),
        }
    }
}
