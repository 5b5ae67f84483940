//! Translations: what a router writes over addresses on the way, and back again on the way of the answer.
//!
//! | stage | ovn-northd(8) |
//! |---|---|
//! | in | an answer to an external address gets its old one (UNSNAT), then what is sent inside (DNAT) |
//! | out | what a machine answers gets the external address (UNDNAT), then what is sent outside (SNAT) |
//! | loop | what is for an external address of the gateway it would leave by comes in by it again |
//!
//! What conntrack remembers of a connection is kept with its packets: how they came to a stage and how they
//! left it. An answer that is exactly what such packets ask for goes the same way back.
//!
//! Refuses to choose between translations of equal priority, or a port of a range: packets go all ways.

use std::collections::BTreeSet;
use std::rc::Rc;

use ipnet::IpNet;

use super::filter::{Surroundings, Tracked};
use super::header::{Field, Origin, Rewrite, SCTP, TCP, UDP, bits};
use super::network::{Peers, RouterId, RouterPortId, RowId, Translation, Unfollowed};
use super::set::Set;
use super::walk::{End, Flow, Kind, Step, TTL, Walker, within};
use crate::target::Target;

/// Where conntrack remembers a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// Where sources are translated.
    Source,
    /// Where destinations are.
    Destination,
}

/// A connection that a router remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    router: RouterId,
    zone: Zone,
    row: RowId,
    before: Rewrite,
    after: Rewrite,
}

/// A rule of a stage: which packets, and the translation, if it is one that does anything.
struct Rule<'n> {
    priority: u32,
    matching: Set,
    does: Option<&'n Translation>,
}

/// The priority of all translations of destinations.
const DNAT: u32 = 100;
/// More ports of a range that rules tell apart are too many to follow.
const PORTS_MAX: usize = 64;

impl<'n> Walker<'n> {
    /// Packets that have come in by a router port: answers as they were asked for, then those for the inside.
    pub(super) fn translated_in(&mut self, inport: RouterPortId, flow: Flow) -> Vec<Flow> {
        let network = self.network;
        let id = network.router_port(inport).router;
        let router = network.router(id);
        let unfollowed =
            router.unfollowed.iter().filter_map(|it| Some((it, self.destined(&it.destinations?))));
        let Some(flow) = self.followed(unfollowed.collect(), flow) else { return Vec::new() };
        let here: Vec<&Translation> = router.translations.iter().filter(|it| it.is_at(inport)).collect();
        let tracked = here.iter().filter(|it| it.is_outward && !it.is_stateless);
        let asked = self.sets.any(tracked.map(|it| self.destined(&it.external.into())));
        let (mut inside, mut left) = self.reversed(id, Zone::Source, asked, flow);
        for translation in here.iter().filter(|it| it.is_stateless) {
            let set = self.part(&left, self.destined(&translation.external.into()));
            inside.extend(self.translated(id, Zone::Destination, &left, set, translation));
            left.set = self.sets.minus(left.set, set);
        }
        let mut rules = Vec::new();
        for translation in here.into_iter().filter(|it| it.is_inward && !it.is_stateless) {
            let matching = self.destined(&translation.external.into());
            self.rules(DNAT, matching, Field::IpSrc, translation, &mut rules);
        }
        inside.extend(self.stage(id, Zone::Destination, rules, left));
        inside
    }

    /// Packets that are about to leave by a router port, having come in by another.
    pub(super) fn translated_out(
        &mut self,
        inport: RouterPortId,
        out: RouterPortId,
        flow: Flow,
    ) -> Vec<Flow> {
        let network = self.network;
        let id = network.router_port(out).router;
        let router = network.router(id);
        let is_gateway = router.is_gateway || network.router_port(out).is_gateway;
        let unfollowed = router
            .unfollowed
            .iter()
            .filter(|_| is_gateway)
            .filter_map(|it| Some((it, within(self.sets, Field::IpSrc, &it.sources?))));
        let Some(flow) = self.followed(unfollowed.collect(), flow) else { return Vec::new() };
        let here: Vec<&Translation> = router.translations.iter().filter(|it| it.is_at(out)).collect();
        let inward = here.iter().filter(|it| it.is_inward && !it.is_stateless);
        let inward = self.sets.any(inward.map(|it| within(self.sets, Field::IpSrc, &it.logical)));
        let asked = if router.is_gateway { Set::ALL } else { inward };
        let (mut outside, left) = self.reversed(id, Zone::Destination, asked, flow);
        for mut flow in self.remembered(id, inport, left) {
            let known = self.known(id, asked, &flow);
            outside.push(Flow { set: known, ..flow.clone() });
            flow.set = self.sets.minus(flow.set, known);
            let mut rules = Vec::new();
            for translation in here.iter().filter(|it| it.is_outward && it.has_chassis) {
                let matching = within(self.sets, Field::IpSrc, &translation.logical);
                let priority = u32::from(translation.logical.prefix_len());
                self.rules(priority, matching, Field::IpDst, translation, &mut rules);
            }
            outside.extend(self.stage(id, Zone::Source, rules, flow));
        }
        outside.retain(|flow| !flow.set.is_none());
        outside
    }

    /// Takes out what translations that are not followed may be about.
    fn followed(&mut self, unfollowed: Vec<(&'n Unfollowed, Set)>, mut flow: Flow) -> Option<Flow> {
        for (it, about) in unfollowed {
            let set = self.part(&flow, about);
            self.end(Flow { set, ..flow.clone() }, End::Unjudged { row: it.row, what: it.what.clone() });
            flow.set = self.sets.minus(flow.set, set);
        }
        (!flow.set.is_none()).then_some(flow)
    }

    /// A translation as rules: exempted peers pass by one of higher priority, which shorter prefixes lose to too.
    fn rules(
        &self,
        priority: u32,
        matching: Set,
        peer: Field,
        translation: &'n Translation,
        rules: &mut Vec<Rule<'n>>,
    ) {
        let ours = self.with_peers(matching, peer, translation);
        rules.push(Rule { priority, matching: ours, does: Some(translation) });
        if matches!(translation.peers, Peers::AllBut(_)) {
            let exempt = self.sets.minus(matching, ours);
            rules.push(Rule { priority: priority + 2, matching: exempt, does: None });
        }
    }

    /// Those of some packets whose other end a translation is for.
    fn with_peers(&self, matching: Set, peer: Field, translation: &Translation) -> Set {
        let peers = |nets: &[IpNet]| self.sets.any(nets.iter().map(|net| within(self.sets, peer, net)));
        match &translation.peers {
            Peers::All => matching,
            Peers::Only(nets) => self.sets.and(matching, peers(nets)),
            Peers::AllBut(nets) => self.sets.minus(matching, peers(nets)),
        }
    }

    /// Asks the rules of a stage, highest priority first.
    fn stage(&mut self, id: RouterId, zone: Zone, mut rules: Vec<Rule<'n>>, flow: Flow) -> Vec<Flow> {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        let (mut done, mut left) = (Vec::new(), flow);
        for equals in rules.chunk_by(|a, b| a.priority == b.priority) {
            let mut decided = Set::NONE;
            for rule in equals {
                let set = self.part(&left, rule.matching);
                decided = self.sets.or(decided, set);
                match rule.does {
                    None => done.push(Flow { set, ..left.clone() }),
                    Some(translation) => done.extend(self.translated(id, zone, &left, set, translation)),
                }
            }
            left.set = self.sets.minus(left.set, decided);
        }
        done.push(left);
        done.retain(|flow| !flow.set.is_none());
        done
    }

    /// Packets of a set with another address, and the connection remembered; a copy for each kind of port.
    fn translated(
        &mut self,
        router: RouterId,
        zone: Zone,
        flow: &Flow,
        set: Set,
        translation: &'n Translation,
    ) -> Vec<Flow> {
        if set.is_none() {
            return Vec::new();
        }
        let (field, port, to) = match zone {
            Zone::Source => (Field::IpSrc, Field::TpSrc, translation.external),
            Zone::Destination => (Field::IpDst, Field::TpDst, translation.logical.addr()),
        };
        let mut written = Flow { set, ..flow.clone() };
        written.rewrite[field] = Origin::Value(bits(to));
        if zone == Zone::Source {
            written.eth_src = translation.mac.or(written.eth_src);
        }
        let mut made = match translation.ports {
            Some(range) => self.with_ports(written, port, range, translation),
            None => vec![written],
        };
        let row = translation.row;
        for made in &mut made {
            let (before, after) = (flow.rewrite, made.rewrite);
            if !translation.is_stateless {
                Rc::make_mut(&mut made.memories).push(Memory { router, zone, row, before, after });
            }
            made.step(Step::Translated { row, before: before.into(), after: after.into() });
        }
        made
    }

    /// Packets with any port of a range, one copy for all ports that no rule tells apart.
    fn with_ports(
        &mut self,
        mut flow: Flow,
        field: Field,
        (low, high): (u16, u16),
        translation: &Translation,
    ) -> Vec<Flow> {
        let with_ports = self.sets.any([TCP, UDP, SCTP].map(|proto| self.sets.value(Field::IpProto, proto)));
        let set = self.part(&flow, with_ports);
        let (low, high) = (u128::from(low), u128::from(high));
        let starts = self.told_apart().into_iter().filter(|start| (low + 1..=high).contains(start));
        let ports: Vec<u128> = [low].into_iter().chain(starts).collect();
        if ports.len() > PORTS_MAX {
            let what = "rules tell too many ports of its range apart".to_owned();
            self.end(Flow { set, ..flow }, End::Unjudged { row: translation.row, what });
            return Vec::new();
        }
        let mut made: Vec<Flow> = ports
            .into_iter()
            .map(|port| {
                let mut flow = Flow { set, ..flow.clone() };
                flow.rewrite[field] = Origin::Value(port);
                flow
            })
            .collect();
        flow.set = self.sets.minus(flow.set, set);
        made.push(flow);
        made.retain(|flow| !flow.set.is_none());
        made
    }

    /// Where the ports begin that some rule of the network tells from those below.
    fn told_apart(&self) -> BTreeSet<u128> {
        let network = self.network;
        let around = Surroundings::unknown(TTL, Tracked::Not);
        let rules = network.acls.iter().map(|rule| &rule.matching);
        let policies = network.routers.iter().flat_map(|router| router.policies.iter().map(|it| &it.2));
        let mut starts = BTreeSet::new();
        for matching in rules.chain(policies) {
            matching.visit(&mut |part| {
                let (truth, _) = self.reader.read(part, &around);
                for field in [Field::TpSrc, Field::TpDst] {
                    starts.extend(self.sets.starts(truth.maybe, field));
                }
            });
        }
        let vips = network.routers.iter().flat_map(|router| &router.vips);
        starts.extend(vips.filter_map(|vip| vip.port).flat_map(|port| [port.into(), u128::from(port) + 1]));
        starts
    }

    /// Answers of connections that the router has translated, as their askers know them; and the rest.
    fn reversed(&mut self, id: RouterId, zone: Zone, asked: Set, flow: Flow) -> (Vec<Flow>, Flow) {
        let (mut done, mut left) = (Vec::new(), flow);
        let memories = left.memories.clone();
        let memories = memories.iter().filter(|it| it.is_of(id, zone) && it.before != it.after);
        for memory in memories.filter(|_| self.kind != Kind::First) {
            let same = self.same(&memory.after.reply(left.echo), &left.rewrite);
            let set = self.sets.and(self.part(&left, asked), same);
            if set.is_none() {
                continue;
            }
            let (before, after) = (left.rewrite, memory.before.reply(left.echo));
            let mut known = Flow { set, rewrite: after, ..left.clone() };
            if zone == Zone::Destination {
                let mut translations = self.network.router(id).translations.iter();
                let mac = translations.find(|it| it.row == memory.row).and_then(|it| it.mac);
                known.eth_src = mac.or(known.eth_src);
            }
            let (before, after) = (before.into(), after.into());
            known.step(Step::Translated { row: memory.row, before, after });
            done.push(known);
            left.set = self.sets.minus(left.set, set);
        }
        (done, left)
    }

    /// Answers of connections that the router remembers and has not translated: their source stays.
    fn known(&self, id: RouterId, asked: Set, flow: &Flow) -> Set {
        let router = self.network.router(id);
        let is_asked = router.is_gateway || self.network.target >= Target::TESTED[1];
        if self.kind == Kind::First || !is_asked {
            return Set::NONE;
        }
        let of = |zone| {
            let plain = flow.memories.iter().filter(|it| it.is_of(id, zone) && it.before == it.after);
            self.sets.any(plain.map(|it| self.same(&it.after.reply(flow.echo), &flow.rewrite)))
        };
        let by_destination = self.sets.and(self.part(flow, asked), of(Zone::Destination));
        let by_source = if router.is_gateway { Set::NONE } else { of(Zone::Source) };
        self.sets.and(flow.set, self.sets.or(by_destination, by_source))
    }

    /// First packets, and that the router remembers them as they are.
    ///
    /// A router on one chassis remembers all. Others, from 24.03 on, what comes in by a gateway to addresses that
    /// have `snat`, and from 25.09 on to those that have `dnat_and_snat`.
    fn remembered(&self, id: RouterId, inport: RouterPortId, flow: Flow) -> Vec<Flow> {
        let router = self.network.router(id);
        let target = self.network.target;
        if self.kind != Kind::First || target < Target::TESTED[1] && !router.is_gateway {
            return vec![flow];
        }
        let remember = |mut flow: Flow, zone, row| {
            let (before, after) = (flow.rewrite, flow.rewrite);
            if !flow.memories.iter().any(|it| it.is_of(id, zone) && it.after == after) {
                Rc::make_mut(&mut flow.memories).push(Memory { router: id, zone, row, before, after });
            }
            flow
        };
        if router.is_gateway {
            return vec![remember(flow, Zone::Destination, router.row)];
        }
        let (mut done, mut left) = (Vec::new(), flow);
        for translation in router.translations.iter().filter(|it| it.gateway == Some(inport)) {
            let zone = if translation.is_inward { Zone::Destination } else { Zone::Source };
            let is_one = translation.is_outward && translation.has_chassis && !translation.is_stateless;
            if !is_one || translation.is_inward && target < Target::TESTED[2] {
                continue;
            }
            let inside = self.destined(&translation.logical);
            let set = self.part(&left, self.with_peers(inside, Field::IpSrc, translation));
            done.push(remember(Flow { set, ..left.clone() }, zone, translation.row));
            left.set = self.sets.minus(left.set, set);
        }
        done.push(left);
        done
    }

    /// Sent packets that two ways of writing them over make the same.
    pub(super) fn same(&self, a: &Rewrite, b: &Rewrite) -> Set {
        let sets = self.sets;
        Field::ALL.into_iter().fold(Set::ALL, |set, field| {
            let same = match (a[field], b[field]) {
                (a, b) if a == b => Set::ALL,
                (Origin::Field(from), Origin::Value(value)) | (Origin::Value(value), Origin::Field(from)) => {
                    sets.value(from, value)
                }
                _ => Set::NONE,
            };
            sets.and(set, same)
        })
    }

    /// Packets for external addresses of a gateway port.
    pub(super) fn external(&self, gateway: RouterPortId, is_served: bool) -> Set {
        let router = self.network.router(self.network.router_port(gateway).router);
        let here = router.translations.iter().filter(|it| it.gateway == Some(gateway));
        let here = here.filter(|it| it.has_chassis || !is_served);
        self.sets.any(here.map(|it| self.destined(&it.external.into())))
    }

    /// Packets for addresses that a router shares with others: it takes none of them for itself.
    pub(super) fn shared(&self, id: RouterId) -> Set {
        let router = self.network.router(id);
        let external = router.translations.iter().filter(|it| !it.is_inward).map(|it| it.external);
        let vips = router.vips.iter().map(|vip| vip.address);
        self.sets.any(external.chain(vips).map(|own| self.destined(&own.into())))
    }

    /// Packets from addresses that a gateway gives to others: they are not asked where they come from.
    pub(super) fn lent(&self, gateway: RouterPortId) -> Set {
        let router = self.network.router(self.network.router_port(gateway).router);
        let here = router.translations.iter().filter(|it| it.gateway == Some(gateway) && !it.is_inward);
        self.sets.any(here.map(|it| within(self.sets, Field::IpSrc, &it.external.into())))
    }
}

impl Memory {
    fn is_of(&self, router: RouterId, zone: Zone) -> bool {
        self.router == router && self.zone == zone
    }
}
