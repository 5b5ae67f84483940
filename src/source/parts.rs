//! A large input is read in parts, each by whichever thread is free, and what they declare is put together in order.
//!
//! Reading is two fifths of a compilation and four of them the YAML library's, which one document keeps busy without a
//! look at another. Where a part of a text is no YAML by itself, the text is read again as a whole, so that what is
//! wrong is told as ever. Refuses to know kinds.

use std::sync::atomic::{AtomicU64, Ordering};

use super::native::Native;
use super::yaml::{self, Part, Torn};
use super::{Declarations, Doubts, outside};
use crate::diag::Sink;
use crate::parallel;
use crate::progress;
use crate::span::SourceMap;

/// The least that is worth a thread, in bytes: some ten milliseconds.
const BYTES_MIN: usize = 256 << 10;

/// Everything that the texts declare, in order.
pub(super) fn read(sources: &SourceMap, sink: &mut Sink) -> Declarations {
    let n_bytes: usize = sources.iter().map(|(_, source)| source.text.len()).sum();
    let size = parallel::part(n_bytes, BYTES_MIN);
    let cut = sources.iter().flat_map(|(file, source)| Part::of(file, &source.text, size)).collect();
    let whole = || sources.iter().map(|(file, source)| Part::whole(file, &source.text)).collect();
    let read = together(cut, size).or_else(|Torn| together(whole(), size));
    let (declared, told) =
        read.unwrap_or_else(|Torn| unreachable!("what is wrong with a whole text is told"));
    told.into_iter().for_each(|told| sink.append(told));
    declared
}

/// What these parts declare, and what is to be told of each thread's share of them, of `size` bytes or a little more.
fn together(parts: Vec<Part<'_>>, size: usize) -> Result<(Declarations, Vec<Sink>), Torn> {
    let n_bytes: usize = parts.iter().map(Part::len).sum();
    let n_done = AtomicU64::new(0);
    let mut shares: Vec<(usize, Vec<Part<'_>>)> = Vec::new();
    for part in parts {
        match shares.last_mut().filter(|(n, _)| *n < size) {
            Some((n, share)) => {
                *n += part.len();
                share.push(part);
            }
            None => shares.push((part.len(), vec![part])),
        }
    }
    let read = parallel::map(shares, |(_, share)| {
        let (mut declared, mut sink) = (Declarations::default(), Sink::new());
        for part in share {
            yaml::documents(&part, &mut sink, |root, sink| {
                let n = u64::from(root.span.end - root.span.start);
                progress::at(n_done.fetch_add(n, Ordering::Relaxed), n_bytes as u64);
                declared.document(root, sink);
            })?;
        }
        // Most of their sorting, which `resolve` does by itself, as long as all threads are busy.
        declared.interfaces.sort_by(|a, b| a.port.cmp(&b.port));
        Ok((declared, sink))
    });
    let (mut all, mut told) = (Declarations::default(), Vec::new());
    for read in read {
        let (declared, sink) = read?;
        all.append(declared);
        told.push(sink);
    }
    Ok((all, told))
}

/// Adds to each list what stands behind it. By name and all of them: a kind that comes is not forgotten.
macro_rules! append {
    ($to:expr, $from:expr, $type:path { $($list:ident)* } $($rest:ident)*) => {
        let $type { $($list,)* $($rest,)* } = $from;
        $( $to.$list.extend($list); )*
    };
}

impl Declarations {
    fn append(&mut self, behind: Declarations) {
        append!(self, behind, Declarations {
            vpcs subnets networks vlans provider_networks interfaces records vips groups network_acls balancers
            qos_policies pools vpc_dns expectations
        } outside native doubts skipped waiting);
        append_native(&mut self.native, native);
        append_outside(&mut self.outside, outside);
        let Doubts { lost, left_out } = doubts;
        self.doubts.lost |= lost;
        self.doubts.left_out.extend(left_out);
        for (all, behind) in [(&mut self.skipped, skipped), (&mut self.waiting, waiting)] {
            for (kind, (n, span)) in behind {
                all.entry(kind).or_insert((0, span)).0 += n;
            }
        }
    }
}

fn append_native(all: &mut Native, behind: Native) {
    append!(all, behind, Native {
        vpcs subnets tables peerings transits prefix_lists groups network_acls externals
        internet_gateways nat_gateways elastic_ips forwards balancers dns_zones pools qos_policies expectations
    });
}

fn append_outside(all: &mut outside::Declared, behind: outside::Declared) {
    append!(all, behind, outside::Declared {
        exits eips rules nodes nat_gateways nat_eips egress_gateways internet_gateways elastic_ips
    } config);
    all.config = config.or(all.config.take());
}
