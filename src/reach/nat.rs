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
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::address::{is_host, within, within_any};
use super::filter::{Surroundings, Tracked};
use super::header::{Field, Origin, Rewrite, SCTP, TCP, UDP, bits};
use super::network::{Peers, PortId, RouterId, RouterPortId, RowId, Translation, Unfollowed, Vip};
use super::set::Set;
use super::walk::{End, Fixed, Flow, Kind, Step, TTL, Walker, Why};
use crate::target::Target;

/// Where conntrack remembers a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// Where sources are translated.
    Source,
    /// Where destinations are, and rules of a switch ask.
    Destination,
}

/// Whose conntrack remembers a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// A router's.
    Router(RouterId),
    /// That of a switch for the machine at a port.
    Port(PortId),
}

/// A connection that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    keeper: Keeper,
    zone: Zone,
    /// What has made it: a translation, a balancer, a router or a port.
    pub row: RowId,
    before: Rewrite,
    after: Rewrite,
}

/// What a router does to the sources of packets because of what it has done to their destinations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sources {
    /// What its translations say.
    #[default]
    Translated,
    /// Nothing: a balancer wants them kept.
    Kept,
    /// They are given one, since the packets were spread.
    Balanced,
    /// They are given one, since the packets were translated.
    Forced,
}

/// A rule of a stage: which packets, and what it does.
pub(super) struct Rule<'n> {
    pub(super) priority: u32,
    pub(super) matching: Set,
    pub(super) does: Does<'n>,
}

/// What a rule does.
#[derive(Clone, Copy)]
pub(super) enum Does<'n> {
    /// Lets pass by.
    Nothing,
    Translate(&'n Translation),
    /// Remembers that nothing is translated.
    Remember(Zone, RowId),
    /// Gives packets a source.
    Give(RowId, IpAddr),
    Balance(&'n Vip),
    /// Balances on one chassis, and lets pass by on all others.
    MayBalance(&'n Vip),
}

/// What a packet is given in place of what it had.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) row: RowId,
    pub(super) to: IpAddr,
    pub(super) ports: Option<(u16, u16)>,
    pub(super) mac: Option<u64>,
    pub(super) is_remembered: bool,
}

/// The priority of all translations of destinations.
const DNAT: u32 = 100;
/// That of the translations with a match that have none.
const MATCHING: u32 = 300;
/// A gateway port's translations of sources have so much more than those of a router on one chassis.
const DISTRIBUTED: u32 = 128;
/// More ports of a range that rules tell apart are too many to follow.
const PORTS_MAX: usize = 64;

impl<'n> Walker<'n> {
    /// Packets that have come in by a router port: answers as they were asked for, then those for the inside.
    pub(super) fn translated_in(&mut self, inport: RouterPortId, flow: Flow) -> Vec<Flow> {
        let network = self.network;
        let id = network.router_port(inport).router;
        let router = network.router(id);
        let Some(flow) = self.without_unfollowed(&router.unfollowed, flow) else { return Vec::new() };
        let here: Vec<&Translation> = router.translations.iter().filter(|it| it.is_at(inport)).collect();
        let asked = self.fixed(Fixed::Outward(inport), || {
            let tracked = here.iter().filter(|it| it.is_outward && !it.is_stateless);
            let asked = tracked.map(|it| it.external).chain(self.given(inport)).map(IpNet::from);
            within_any(self.sets, Field::IpDst, asked)
        });
        let keeper = Keeper::Router(id);
        let (mut inside, left) = self.reversed(keeper, Zone::Source, asked, flow);
        let mut rules = self.balancing(&router.vips);
        for rule in rules.iter_mut() {
            match rule.does {
                Does::Balance(vip) if !self.is_spread(inport, vip) => rule.does = Does::MayBalance(vip),
                _ => {}
            }
        }
        let place = (self.at_router(inport, None, &left), &left);
        let external = self.fixed(Fixed::Translated(inport, Field::IpDst), || {
            let inward = here.iter().filter(|it| it.is_inward);
            within_any(self.sets, Field::IpDst, inward.map(|it| IpNet::from(it.external)))
        });
        let among = self.at_most(&left, Field::IpDst, external);
        for translation in here.into_iter().filter(|it| it.is_inward && among.may_have(&it.external.into())) {
            let matching = self.destined(&translation.external.into());
            // A router on one chassis has written it over before it asks for whom.
            let is_blind = translation.is_stateless && router.is_gateway;
            let peer = if is_blind { None } else { Some(Field::IpSrc) };
            let rule = Rule { priority: DNAT, matching, does: Does::Translate(translation) };
            self.rules(rule, peer, translation, &place, &mut rules);
        }
        inside.extend(self.stage(keeper, Zone::Destination, rules, left.clone()));
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
            .filter_map(|it| Some((it, within(self.sets, Field::IpSrc, it.sources?))));
        let Some(flow) = self.followed(unfollowed.collect(), flow) else { return Vec::new() };
        let here: Vec<&Translation> = router.translations.iter().filter(|it| it.is_at(out)).collect();
        let inward = self.fixed(Fixed::Inward(out), || {
            let inward = here.iter().filter(|it| it.is_inward && !it.is_stateless);
            within_any(self.sets, Field::IpSrc, inward.map(|it| it.logical))
        });
        let inward = self.sets.or(inward, self.spread_from(inport, out));
        let asked = if router.is_gateway { Set::ALL } else { inward };
        let keeper = Keeper::Router(id);
        let (mut outside, left) = self.reversed(keeper, Zone::Destination, asked, flow);
        let mut flow = left;
        if router.is_gateway {
            self.remember(keeper, Zone::Destination, router.row, &mut flow);
        }
        let known = self.known(id, asked, &flow);
        outside.push(Flow { set: known, ..flow.clone() });
        flow.set = self.sets.minus(flow.set, known);
        let mut rules = self.giving(out, flow.sources);
        let place = (self.at_router(inport, Some(out), &flow), &flow);
        let priority = |translation: &Translation| {
            let length = u32::from(translation.logical.prefix_len()) + 1;
            if router.is_gateway { length } else { length + DISTRIBUTED }
        };
        let logical = self.fixed(Fixed::Translated(out, Field::IpSrc), || {
            let hosts = here.iter().filter(|it| it.is_outward && it.has_chassis && is_host(&it.logical));
            within_any(self.sets, Field::IpSrc, hosts.map(|it| it.logical))
        });
        let among = self.at_most(&flow, Field::IpSrc, logical);
        let is_outward = |it: &&Translation| it.is_outward && it.has_chassis && among.may_have(&it.logical);
        for translation in here.into_iter().filter(is_outward) {
            let matching = within(self.sets, Field::IpSrc, translation.logical);
            let does = Does::Translate(translation);
            let rule = Rule { priority: priority(translation), matching, does };
            self.rules(rule, Some(Field::IpDst), translation, &place, &mut rules);
        }
        let remembered = self.fixed(Fixed::Remembered(inport), || {
            let hosts = self.remembering(inport).map(|(_, it)| it.logical).filter(is_host);
            within_any(self.sets, Field::IpDst, hosts)
        });
        let among = self.at_most(&flow, Field::IpDst, remembered);
        for (zone, translation) in self.remembering(inport).filter(|(_, it)| among.may_have(&it.logical)) {
            let matching = self.destined(&translation.logical);
            let does = Does::Remember(zone, translation.row);
            let rule = Rule { priority: priority(translation), matching, does };
            self.rules(rule, Some(Field::IpSrc), translation, &place, &mut rules);
        }
        outside.extend(self.stage(keeper, Zone::Source, rules, flow.clone()));
        outside.retain(|flow| !flow.set.is_none());
        outside
    }

    /// What a router with gateways lets through to them in view of its translations without conntrack that are not
    /// for all: nothing to the external address of one, but from those it is for; nothing from those it is not for.
    /// Of several that are for some alone, OVN takes one.
    pub(super) fn admitted(&mut self, out: RouterPortId, mut flow: Flow) -> Flow {
        let network = self.network;
        let router = network.router(network.router_port(out).router);
        let is_gateway = |id: RouterPortId| network.router_port(id).is_gateway;
        let particular = |it: &&'n Translation| it.is_stateless && it.peers != Peers::All;
        let particular: Vec<&Translation> = router.translations.iter().filter(particular).collect();
        if particular.is_empty() || router.is_gateway || !router.ports.iter().any(|id| is_gateway(*id)) {
            return flow;
        }
        let from = |nets: &[IpNet]| within_any(self.sets, Field::IpSrc, nets.iter().copied());
        let own = router.translations.iter().filter(|it| it.mac.is_some() && it.gateway == Some(out));
        let own = from(&own.map(|it| it.logical).collect::<Vec<_>>());
        let (mut allowed, mut n_only) = (Set::NONE, 0);
        for it in &particular {
            if let Peers::Only(nets) = &it.peers {
                n_only += 1;
                allowed = self.sets.or(allowed, from(nets));
            }
        }
        let allowed = if is_gateway(out) { allowed } else { Set::NONE };
        let refused: Vec<(&Translation, Set, Set)> = particular
            .into_iter()
            .map(|it| match &it.peers {
                // Since 25.03 they are refused the external address alone.
                Peers::AllBut(nets) if is_gateway(out) && network.target >= Target::TESTED[1] => {
                    let external = self.destined(&it.external.into());
                    (it, self.sets.and(from(nets), external), allowed)
                }
                Peers::AllBut(nets) if is_gateway(out) => (it, from(nets), allowed),
                Peers::Only(_) => {
                    let others = self.sets.minus(self.destined(&it.external.into()), allowed);
                    (it, others, if n_only > 1 { Set::ALL } else { Set::NONE })
                }
                Peers::All | Peers::AllBut(_) => (it, Set::NONE, Set::NONE),
            })
            .collect();
        for (translation, set, unsure) in refused {
            let set = self.part(&flow, self.sets.minus(set, own));
            let unsure = self.sets.and(set, self.part(&flow, unsure));
            self.stop_some(&mut flow.clone(), unsure, translation.row, Why::External);
            self.stop_some(&mut flow, self.sets.minus(set, unsure), translation.row, Why::External);
        }
        flow
    }

    fn at_router(&self, inport: RouterPortId, out: Option<RouterPortId>, flow: &Flow) -> Surroundings<'n> {
        let network = self.network;
        Surroundings {
            inport: &network.router_port(inport).name,
            outport: out.map_or("", |out| &network.router_port(out).name),
            eth_src: None,
            eth_dst: None,
            ttl: flow.ttl,
            tracked: Tracked::Not,
        }
    }

    /// Addresses that a router gives to others, as seen where packets come in by a port.
    fn given(&self, inport: RouterPortId) -> Vec<IpAddr> {
        let port = self.network.router_port(inport);
        let forced = &self.network.router(port.router).forced;
        let own = port.networks.iter().map(IpNet::addr).filter(|_| forced.is_of_port);
        forced.translated.iter().chain(&forced.balanced).copied().chain(own).collect()
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

    /// Takes out what rows that are not followed may send elsewhere.
    pub(super) fn without_unfollowed(&mut self, unfollowed: &'n [Unfollowed], flow: Flow) -> Option<Flow> {
        let about = unfollowed.iter().filter_map(|it| Some((it, self.destined(&it.destinations?))));
        let about = about.collect();
        self.followed(about, flow)
    }

    /// Adds what a translation does to packets: exempted peers pass by with a higher priority, which shorter
    /// prefixes lose to too.
    fn rules(
        &mut self,
        rule: Rule<'n>,
        peer: Option<Field>,
        translation: &'n Translation,
        (around, flow): &(Surroundings<'n>, &Flow),
        rules: &mut Vec<Rule<'n>>,
    ) {
        let Rule { priority, matching, does } = rule;
        let ours = peer.map_or(matching, |peer| self.with_peers(matching, peer, translation));
        if let Some((expr, priority)) = &translation.matching {
            let (truth, unjudged) = self.truth(translation.row, expr, around);
            let unsure = self.sets.and(self.sets.minus(truth.maybe, truth.yes), ours);
            let set = self.part(flow, unsure);
            let what = format!("its match asks for {}, which is not followed", unjudged.join(", "));
            self.end(Flow { set, ..(*flow).clone() }, End::Unjudged { row: translation.row, what });
            let matching = self.sets.and(truth.yes, ours);
            return rules.push(Rule { priority: MATCHING + priority, matching, does });
        }
        rules.push(Rule { priority, matching: ours, does });
        if matches!(translation.peers, Peers::AllBut(_)) {
            let exempt = self.sets.minus(matching, ours);
            rules.push(Rule { priority: priority + 2, matching: exempt, does: Does::Nothing });
        }
    }

    /// Those of some packets whose other end a translation is for.
    fn with_peers(&self, matching: Set, peer: Field, translation: &Translation) -> Set {
        let peers = |nets: &[IpNet]| within_any(self.sets, peer, nets.iter().copied());
        match &translation.peers {
            Peers::All => matching,
            Peers::Only(nets) => self.sets.and(matching, peers(nets)),
            Peers::AllBut(nets) => self.sets.minus(matching, peers(nets)),
        }
    }

    /// Asks the rules of a stage, highest priority first.
    pub(super) fn stage(
        &mut self,
        keeper: Keeper,
        zone: Zone,
        mut rules: Vec<Rule<'n>>,
        flow: Flow,
    ) -> Vec<Flow> {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        let (mut done, mut left) = (Vec::new(), flow);
        for equals in rules.chunk_by(|a, b| a.priority == b.priority) {
            let mut decided = Set::NONE;
            for rule in equals {
                let set = self.part(&left, rule.matching);
                if set.is_none() {
                    continue;
                }
                let flow = Flow { set, ..left.clone() };
                if !matches!(rule.does, Does::MayBalance(_)) {
                    decided = self.sets.or(decided, set);
                }
                match rule.does {
                    Does::Nothing => done.push(flow),
                    Does::Remember(zone, row) => {
                        let mut flow = flow;
                        self.remember(keeper, zone, row, &mut flow);
                        done.push(flow);
                    }
                    Does::Translate(translation) => {
                        done.extend(self.translated(keeper, zone, flow, translation));
                    }
                    Does::Give(row, to) => {
                        let change = Change { row, to, ports: None, mac: None, is_remembered: true };
                        done.extend(self.changed(keeper, zone, flow, change));
                    }
                    Does::Balance(vip) | Does::MayBalance(vip) => {
                        done.extend(self.spread(keeper, flow, vip));
                    }
                }
            }
            left.set = self.sets.minus(left.set, decided);
        }
        done.push(left);
        done.retain(|flow| !flow.set.is_none());
        done
    }

    fn translated(
        &mut self,
        keeper: Keeper,
        zone: Zone,
        mut flow: Flow,
        translation: &Translation,
    ) -> Vec<Flow> {
        let to = match zone {
            Zone::Source => translation.external,
            Zone::Destination => translation.logical.addr(),
        };
        let mac = translation.mac.filter(|_| zone == Zone::Source);
        let is_forced = match keeper {
            Keeper::Router(id) => !self.network.router(id).forced.translated.is_empty(),
            Keeper::Port(_) => false,
        };
        if zone == Zone::Destination && is_forced {
            flow.sources = Sources::Forced;
        }
        let is_remembered = !translation.is_stateless;
        let change = Change { row: translation.row, to, ports: translation.ports, mac, is_remembered };
        self.changed(keeper, zone, flow, change)
    }

    /// Packets with another address, and the connection remembered; a copy for each kind of port.
    pub(super) fn changed(
        &mut self,
        keeper: Keeper,
        zone: Zone,
        mut flow: Flow,
        change: Change,
    ) -> Vec<Flow> {
        let (field, port) = match zone {
            Zone::Source => (Field::IpSrc, Field::TpSrc),
            Zone::Destination => (Field::IpDst, Field::TpDst),
        };
        let (row, before) = (change.row, flow.rewrite);
        flow.rewrite[field] = Origin::Value(bits(change.to));
        flow.eth_src = change.mac.or(flow.eth_src);
        let mut made = match change.ports {
            Some(range) => self.with_ports(flow, port, range, row),
            None => vec![flow],
        };
        for made in &mut made {
            let after = made.rewrite;
            if change.is_remembered {
                Rc::make_mut(&mut made.memories).push(Memory { keeper, zone, row, before, after });
            }
            made.step(Step::Translated { row, before: before.into(), after: after.into() });
        }
        made
    }

    /// Packets with any port of a range, one copy for all ports that no rule tells apart.
    fn with_ports(&mut self, mut flow: Flow, field: Field, (low, high): (u16, u16), row: RowId) -> Vec<Flow> {
        let with_ports = self.sets.any([TCP, UDP, SCTP].map(|proto| self.sets.value(Field::IpProto, proto)));
        let set = self.part(&flow, with_ports);
        let (low, high) = (u128::from(low), u128::from(high));
        let starts = self.told_apart().into_iter().filter(|start| (low + 1..=high).contains(start));
        let ports: Vec<u128> = [low].into_iter().chain(starts).collect();
        if ports.len() > PORTS_MAX {
            let what = "rules tell too many ports of its range apart".to_owned();
            self.end(Flow { set, ..flow }, End::Unjudged { row, what });
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
        let vips = vips.chain(network.switches.iter().flat_map(|switch| &switch.vips));
        starts.extend(vips.filter_map(|vip| vip.port).flat_map(|port| [port.into(), u128::from(port) + 1]));
        starts
    }

    /// Answers of connections that were translated, as their askers know them; and the rest.
    fn reversed(&mut self, keeper: Keeper, zone: Zone, asked: Set, flow: Flow) -> (Vec<Flow>, Flow) {
        let memories = flow.memories.clone();
        let memories = memories.iter().filter(|it| it.is_of(keeper, zone) && it.before != it.after);
        self.recalled(memories, asked, flow)
    }

    /// Answers of connections that a switch remembers for the machine at a port; and the rest.
    pub(super) fn recalled_at(&mut self, port: PortId, zone: Zone, flow: Flow) -> (Vec<Flow>, Flow) {
        let memories = flow.memories.clone();
        let memories = memories.iter().filter(|it| it.is_of(Keeper::Port(port), zone));
        self.recalled(memories, Set::ALL, flow)
    }

    fn recalled<'m>(
        &mut self,
        memories: impl Iterator<Item = &'m Memory>,
        asked: Set,
        flow: Flow,
    ) -> (Vec<Flow>, Flow) {
        let (mut done, mut left) = (Vec::new(), flow);
        for memory in memories.filter(|_| self.kind != Kind::First) {
            let same = self.same(&memory.after.reply(left.echo), &left.rewrite);
            let set = self.sets.and(self.part(&left, asked), same);
            if set.is_none() {
                continue;
            }
            let (before, after) = (left.rewrite, memory.before.reply(left.echo));
            let mut known = Flow { set, rewrite: after, ..left.clone() };
            if let (Keeper::Router(id), Zone::Destination) = (memory.keeper, memory.zone) {
                let mut translations = self.network.router(id).translations.iter();
                let mac = translations.find(|it| it.row == memory.row).and_then(|it| it.mac);
                known.eth_src = mac.or(known.eth_src);
            }
            if memory.before != memory.after {
                let (before, after) = (before.into(), after.into());
                known.step(Step::Translated { row: memory.row, before, after });
            }
            done.push(known);
            left.set = self.sets.minus(left.set, set);
        }
        (done, left)
    }

    /// The switch remembers, for the machine at a port, a connection that it has not translated.
    pub(super) fn remember_at(&self, port: PortId, flow: &mut Flow) {
        let row = self.network.port(port).row;
        self.remember(Keeper::Port(port), Zone::Destination, row, flow);
    }

    /// Answers of connections that the router remembers and has not translated: their source stays.
    fn known(&self, id: RouterId, asked: Set, flow: &Flow) -> Set {
        let router = self.network.router(id);
        let is_asked = router.is_gateway || self.network.target >= Target::TESTED[1];
        if self.kind == Kind::First || !is_asked {
            return Set::NONE;
        }
        let of = |zone| {
            let keeper = Keeper::Router(id);
            let plain = flow.memories.iter().filter(|it| it.is_of(keeper, zone) && it.before == it.after);
            self.sets.any(plain.map(|it| self.same(&it.after.reply(flow.echo), &flow.rewrite)))
        };
        let by_destination = self.sets.and(self.part(flow, asked), of(Zone::Destination));
        let by_source = if router.is_gateway { Set::NONE } else { of(Zone::Source) };
        self.sets.and(flow.set, self.sets.or(by_destination, by_source))
    }

    /// A first packet, and that it is remembered as it is.
    fn remember(&self, keeper: Keeper, zone: Zone, row: RowId, flow: &mut Flow) {
        let (before, after) = (flow.rewrite, flow.rewrite);
        let is_known = flow.memories.iter().any(|it| it.is_of(keeper, zone) && it.after == after);
        if self.kind == Kind::First && !is_known {
            Rc::make_mut(&mut flow.memories).push(Memory { keeper, zone, row, before, after });
        }
    }

    /// Translations of a gateway that remembers, as it is, what comes in by it for the inside: from 24.03 on those
    /// with `snat`, and from 25.09 on those with `dnat_and_snat`.
    fn remembering(&self, inport: RouterPortId) -> impl Iterator<Item = (Zone, &'n Translation)> + use<'n> {
        let network = self.network;
        let target = network.target;
        let router = network.router(network.router_port(inport).router);
        let here = router.translations.iter().filter(move |it| it.gateway == Some(inport));
        here.filter_map(move |it| {
            let is_one = it.is_outward && it.has_chassis && !it.is_stateless;
            let since = if it.is_inward { Target::TESTED[2] } else { Target::TESTED[1] };
            let zone = if it.is_inward { Zone::Destination } else { Zone::Source };
            (is_one && target >= since).then_some((zone, it))
        })
    }

    /// Sent packets that two ways of writing them over make the same.
    pub(super) fn same(&self, a: &Rewrite, b: &Rewrite) -> Set {
        let sets = self.sets;
        let same = Field::ALL.into_iter().fold(Set::ALL, |set, field| {
            let same = match (a[field], b[field]) {
                (a, b) if a == b => Set::ALL,
                (Origin::Field(from), Origin::Value(value)) | (Origin::Value(value), Origin::Field(from)) => {
                    sets.value(from, value)
                }
                _ => Set::NONE,
            };
            sets.and(set, same)
        });
        self.note(Set::ALL, same);
        same
    }

    /// Packets for external addresses of a gateway port.
    pub(super) fn external(&self, gateway: RouterPortId, is_served: bool) -> Set {
        self.fixed(Fixed::External(gateway, is_served), || {
            let router = self.network.router(self.network.router_port(gateway).router);
            let here = router.translations.iter().filter(|it| it.gateway == Some(gateway));
            let here = here.filter(|it| it.has_chassis || !is_served);
            within_any(self.sets, Field::IpDst, here.map(|it| it.external.into()))
        })
    }

    /// Packets for addresses that a router shares with others: it takes none of them for itself.
    pub(super) fn shared(&self, id: RouterId) -> Set {
        self.fixed(Fixed::Shared(id), || {
            let router = self.network.router(id);
            let external = router.translations.iter().filter(|it| !it.is_inward).map(|it| it.external);
            let vips = router.vips.iter().map(|vip| vip.address);
            let forced = &router.forced;
            let ports = router.ports.iter().filter(|_| forced.is_of_port);
            let own = ports.flat_map(|id| self.network.router_port(*id).networks.iter().map(IpNet::addr));
            let given = forced.translated.iter().chain(&forced.balanced).copied().chain(own);
            let reserved = router.reserved.iter().copied();
            within_any(
                self.sets,
                Field::IpDst,
                external.chain(vips).chain(given).chain(reserved).map(IpNet::from),
            )
        })
    }

    /// Packets from addresses that a gateway gives to others: they are not asked where they come from.
    pub(super) fn lent(&self, gateway: RouterPortId) -> Set {
        self.fixed(Fixed::Lent(gateway), || {
            let router = self.network.router(self.network.router_port(gateway).router);
            let here = router.translations.iter().filter(|it| it.gateway == Some(gateway) && !it.is_inward);
            within_any(self.sets, Field::IpSrc, here.map(|it| it.external.into()))
        })
    }
}

impl Memory {
    /// Whether it is of a machine that has asked itself.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.keeper, Keeper::Port(_)) && self.zone == Zone::Source
    }

    /// Whether a router has written its packets over.
    pub(super) fn is_translation_of(&self, router: RouterId) -> bool {
        self.keeper == Keeper::Router(router) && self.before != self.after
    }

    /// Who has written this address, if that made the connection.
    pub(super) fn writer_of(&self, address: u128) -> Option<Keeper> {
        let is_new =
            |field| self.after[field] == Origin::Value(address) && self.before[field] != self.after[field];
        [Field::IpSrc, Field::IpDst].into_iter().any(is_new).then_some(self.keeper)
    }

    fn is_of(&self, keeper: Keeper, zone: Zone) -> bool {
        self.keeper == keeper && self.zone == zone
    }
}
