//! Zones: does each name mean one thing, and can the target hold them?
//!
//! | rule | code |
//! |---|---|
//! | a name is in one of a subnet's zones | N0460 |
//! | an authoritative zone has a target that knows them | N0601 |
//! | a subnet with filters has a target on which answers don't open them | N0560 |

use std::collections::BTreeMap;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{Direction, DnsRecord, DnsZone, SubnetId};

/// The release that brought `DNS.options`.
const OWNED: (u16, u16) = (24, 3);
/// The first release that never lets everything from port 53 pass; patches of 24.03 and 24.09 do not either.
const CLOSED: (u16, u16) = (25, 3);

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for (id, _) in model.subnets() {
        twice(ctx, id);
    }
    for zone in &model.dns_zones {
        if let Some(span) = zone.authoritative.filter(|_| !ctx.target.is_at_least(OWNED)) {
            let message = format!("an authoritative zone needs OVN 24.03; the target is {}", ctx.target);
            let help = "name the OVN that you have with --ovn-version, or leave `authoritative` out";
            ctx.report(Diagnostic::new(Code::TargetLacks, span, message).help(help));
        }
        opens(ctx, zone);
    }
}

/// Which of two rows with a name answers, OVN does not say.
fn twice(ctx: &mut Ctx<'_>, subnet: SubnetId) {
    let model = ctx.model;
    let mut seen: BTreeMap<&str, (&DnsZone, &DnsRecord)> = BTreeMap::new();
    for zone in model.zones_of(subnet) {
        for record in &zone.records {
            let (first, other) = *seen.entry(record.name.as_str()).or_insert((zone, record));
            if first.name.value == zone.name.value {
                continue;
            }
            let message = format!(
                "`{}` is in zones `{}` and `{}`, which both answer on subnet `{}`",
                record.name,
                first.name,
                zone.name,
                model.subnet(subnet).name
            );
            ctx.report(
                Diagnostic::new(Code::DnsTwice, record.span, message)
                    .label(other.span, "the other")
                    .note("which of the two is answered is left to chance"),
            );
            return;
        }
    }
}

/// An older OVN lets whatever comes from UDP port 53 pass on its way to a guest, where it answers for names.
fn opens(ctx: &mut Ctx<'_>, zone: &DnsZone) {
    let model = ctx.model;
    if ctx.target.is_at_least(CLOSED) {
        return;
    }
    let is_filtered = |id: SubnetId| {
        let subnet = model.subnet(id);
        let in_groups = || model.ports.iter().any(|port| port.subnet == id && !port.groups.is_empty());
        subnet.private.is_some()
            || subnet.network_acl.is_some()
            || subnet.acls.iter().any(|acl| acl.direction == Direction::ToGuest)
            || in_groups()
    };
    let mut filtered = zone.subnets.iter().filter(|id| is_filtered(**id));
    let Some(first) = filtered.next() else { return };
    let subnet = model.subnet(*first);
    let more = match filtered.count() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let message = format!(
        "what comes from UDP port 53 passes the filters of subnet `{}`{more}, since zone `{}` answers there",
        subnet.name, zone.name
    );
    ctx.report(
        Diagnostic::new(Code::DnsOpensFilters, zone.name.span, message)
            .label(subnet.name.span, "has filters for what reaches its guests")
            .note(format!("so on OVN {}: CVE-2025-0650, mended in 24.03.5, 24.09.2 and 25.03", ctx.target))
            .help("name the OVN that you have with --ovn-version, or let the zone answer elsewhere"),
    );
}
