//! Transit gateways: can their tables tell the attached VPCs apart, and do answers come back?
//!
//! | rule | code |
//! |---|---|
//! | VPCs that a table leads to, and those that use it, have no blocks in common | N0470 |
//! | a VPC that may reach another one is reached by its answers | N0471 |
//!
//! Links are judged as those of peerings (`peering`), routes as those of every router (`routing`).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{Ctx, addressing};
use crate::diag::{Code, Diagnostic};
use crate::model::{Model, Peering, RouteSelector, Vpc, VpcId};
use crate::span::Spanned;

/// The VPCs that each table leads to, with the blocks that it leads to there.
type Leads<'m> = BTreeMap<Option<&'m str>, BTreeMap<VpcId, Vec<Spanned<IpNet>>>>;

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for (id, gateway) in model.vpcs().filter(|(_, vpc)| vpc.is_transit) {
        let leads = leads(model, id, gateway);
        overlaps(ctx, gateway, &leads);
        if gateway.whole_routes && gateway.whole_links {
            answers(ctx, gateway, &leads);
        }
    }
}

/// The table of an attachment, as seen from the gateway.
fn table(peering: &Peering) -> Option<&str> {
    peering.table.as_ref().map(|table| table.value.as_str())
}

fn leads<'m>(model: &Model, id: VpcId, gateway: &'m Vpc) -> Leads<'m> {
    let mut far = BTreeMap::new();
    for remote in gateway.peerings.iter().filter_map(|peering| peering.remote_id) {
        let back = model.vpc(remote).peerings.iter().find(|peering| peering.remote_id == Some(id));
        let addresses = back.into_iter().flat_map(|peering| &peering.addresses);
        far.extend(addresses.map(|address| (address.value.addr(), remote)));
    }
    let mut leads = Leads::new();
    let routes = gateway.static_routes.iter().filter(|r| r.selector == RouteSelector::Destination);
    for route in routes {
        let Some(remote) = route.address().and_then(|hop| far.get(&hop)) else { continue };
        let name = route.table.as_ref().map(|table| table.value.as_str());
        let blocks = model.blocks_of(*remote).into_iter();
        let here = blocks.filter(|block| addressing::overlap(block.value, route.prefix.value));
        leads.entry(name).or_default().entry(*remote).or_default().extend(here);
    }
    leads
}

/// Two VPCs with an address in common can't both be behind one table, nor one of them behind the other's.
fn overlaps(ctx: &mut Ctx<'_>, gateway: &Vpc, leads: &Leads<'_>) {
    let model = ctx.model;
    let mut said = BTreeSet::new();
    for (name, to) in leads {
        let users = gateway.peerings.iter().filter(|peering| table(peering) == *name);
        let mut known: BTreeMap<VpcId, Vec<Spanned<IpNet>>> =
            users.filter_map(|peering| peering.remote_id).map(|id| (id, model.blocks_of(id))).collect();
        // Two that use a table and are not led to by it don't meet there.
        let led: BTreeSet<VpcId> = to.keys().copied().collect();
        to.iter().for_each(|(id, blocks)| drop(known.insert(*id, blocks.clone())));
        let known: Vec<_> = known.into_iter().collect();
        for (nth, (other, theirs)) in known.iter().enumerate() {
            for (one, blocks) in
                known[..nth].iter().filter(|(one, _)| led.contains(one) || led.contains(other))
            {
                let mut pairs = blocks.iter().flat_map(|a| theirs.iter().map(move |b| (a, b)));
                let clash = pairs.find(|(a, b)| addressing::overlap(a.value, b.value));
                let Some((a, b)) = clash.filter(|_| said.insert((*one, *other))) else { continue };
                let (one, other) = (&model.vpc(*one).name, &model.vpc(*other).name);
                let message = format!(
                    "{} joins VPCs `{one}` and `{other}`, which have addresses in common",
                    gateway.called()
                );
                ctx.report(
                    Diagnostic::new(Code::TransitOverlap, b.span, message)
                        .at(format!("`{other}` has {}", b.value))
                        .label(a.span, format!("`{one}` has {}", a.value))
                        .help("give one of them another block, or keep them apart by `routeTables`"),
                );
            }
        }
    }
}

/// What one VPC may send to another is lost on the way back where the other's table does not lead to it.
fn answers(ctx: &mut Ctx<'_>, gateway: &Vpc, leads: &Leads<'_>) {
    let model = ctx.model;
    let reaches = |from: &Peering, to: Option<VpcId>| {
        let led = leads.get(&table(from));
        to.is_some_and(|to| from.remote_id != Some(to) && led.is_some_and(|led| led.contains_key(&to)))
    };
    for from in &gateway.peerings {
        for to in gateway.peerings.iter().filter(|to| reaches(from, to.remote_id)) {
            if reaches(to, from.remote_id) {
                continue;
            }
            let what = table(to).map_or("the main table".to_owned(), |name| format!("table `{name}`"));
            let message =
                format!("VPC `{}` reaches `{}` and gets no answer", name(model, from), name(model, to));
            ctx.report(Diagnostic::new(Code::TransitOneWay, from.span, message).label(
                to.table.as_ref().map_or(to.span, |table| table.span),
                format!("{what}, for packets from here, does not lead back"),
            ));
        }
    }
}

/// The name of an attached VPC.
fn name<'m>(model: &'m Model, peering: &'m Peering) -> &'m str {
    peering.remote_id.map_or(peering.remote.value.as_str(), |id| &model.vpc(id).name)
}
