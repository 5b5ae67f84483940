//! Pools: are their addresses the subnet's, and nobody else's pool's?
//!
//! | rule | code |
//! |---|---|
//! | a pool lies in its subnet | N0308 |
//! | an address is in one pool | N0361 |
//! | an interface's pool is its subnet's | N0360 |
//! | what matches name it by is a name that OVN takes, and nobody else's | N0113, N0206 |

use std::collections::BTreeMap;

use super::Ctx;
use crate::diag::{Code, Diagnostic};
use crate::model::{AddressPool, AddressRange};
use crate::names;
use crate::span::Spanned;

pub(super) fn check(ctx: &mut Ctx<'_>) {
    let model = ctx.model;
    for pool in &model.pools {
        pool.ranges.iter().for_each(|range| inside(ctx, pool, range));
    }
    overlaps(ctx);
    sets(ctx);
    for (_, port) in model.ports() {
        let Some(id) = port.pool else { continue };
        let pool = model.pool(id.value);
        if pool.subnet != port.subnet {
            let (own, other) = (&model.subnet(port.subnet).name, &model.subnet(pool.subnet).name);
            let message =
                format!("{} is on subnet `{own}`, and pool `{}` on `{other}`", port.owner(), pool.name);
            ctx.report(
                Diagnostic::new(Code::PoolElsewhere, id.span, message).label(pool.name.span, "declared here"),
            );
        }
    }
}

fn inside(ctx: &mut Ctx<'_>, pool: &AddressPool, range: &Spanned<AddressRange>) {
    let subnet = ctx.model.subnet(pool.subnet);
    let block = subnet.block_for(range.value.first);
    let is_inside = block.is_some_and(|block| {
        block.cidr.value.contains(&range.value.first) && block.cidr.value.contains(&range.value.last)
    });
    if is_inside || !subnet.whole {
        return;
    }
    let message = format!("{range} of pool `{}` is outside subnet `{}`", pool.name, subnet.name);
    let diagnostic = Diagnostic::new(Code::AddressOutside, range.span, message);
    ctx.report(match block {
        Some(block) => diagnostic.label(block.cidr.span, "its block"),
        None => diagnostic.label(subnet.name.span, "it has no block of that family"),
    });
}

/// An address has one pool that it is kept for.
fn overlaps(ctx: &mut Ctx<'_>) {
    let reserved = ctx.model.pools.iter().filter(|pool| pool.is_reserved);
    let mut ranges: Vec<(&AddressPool, &Spanned<AddressRange>)> =
        reserved.flat_map(|pool| pool.ranges.iter().map(move |range| (pool, range))).collect();
    ranges.sort_by_key(|(pool, range)| (pool.subnet, range.value));
    for pair in ranges.windows(2) {
        let [(first, one), (second, other)] = pair else { continue };
        let is_same_pool = first.name.value == second.name.value;
        if first.subnet != second.subnet || is_same_pool || !one.value.contains(other.value.first) {
            continue;
        }
        let message = format!("pools `{}` and `{}` both have {}", first.name, second.name, other.value.first);
        ctx.report(Diagnostic::new(Code::PoolsOverlap, other.span, message).label(one.span, "the other"));
    }
}

/// ovn-nb(5), Address_Set.name: letters, digits, `_` and `.`, and no digit first.
fn sets(ctx: &mut Ctx<'_>) {
    let mut seen: BTreeMap<String, &AddressPool> = BTreeMap::new();
    for pool in &ctx.model.pools {
        for (name, _) in names::address_sets(pool) {
            let is_sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b));
            if !is_sound || name.starts_with(|c: char| c.is_ascii_digit()) {
                let message = format!("no match can name the addresses of pool `{}` as `${name}`", pool.name);
                ctx.sink.push(
                    Diagnostic::new(Code::BadName, pool.name.span, message)
                        .help("begin the name with a letter, with letters, digits, `-` and `.` behind it"),
                );
            }
            if let Some(first) = seen.insert(name.clone(), pool) {
                let message = format!("two sets of addresses would be called `{name}`");
                ctx.sink.push(
                    Diagnostic::new(Code::NameCollision, pool.name.span, message)
                        .label(first.name.span, "the other")
                        .help("rename one of them"),
                );
                break;
            }
        }
    }
}
