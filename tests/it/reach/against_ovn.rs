//! Random packets through random networks, against `ovn-trace` on a real `ovn-northd`: no disagreement.
//!
//! First packets and answers are traced apart, by two daemons that say `new` and `est,rpl` whenever conntrack
//! is asked. What conntrack has said is forgotten on the way through a router, but not by ovn-trace: packets
//! whose fate hangs on that are left out. `NORTHC_PACKETS=20000` asks for more packets than those of every day,
//! `NORTHC_SEED` for others; on a machine, or in an image of the lab, that has another OVN it is that one's verdicts
//! that count.

mod found;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use northc::emit::transact::transaction;
use northc::nb::actual::Actual;
use northc::nb::{Table, dump};
use northc::reach::guest::{ByHand, Guests};
use northc::reach::header::{Field, Header};
use northc::reach::network::{Network, PortId, RowId};
use northc::reach::set::{Set, Sets};
use northc::reach::show::microflow;
use northc::reach::walk::{End, Flow, Kind, Outcome, Step, Walker, Why};
use northc::target::Target;
use serde_json::{Value, json};

use super::random::{self, OWNER, Packet, World};
use crate::expressions::Dice;
use crate::ovn;
use crate::stack::Stack;
use crate::trace::Fate;

/// How many packets are sent through each network.
const PACKETS_EACH: usize = 120;

/// How many more come in from its physical networks.
const FROM_OUTSIDE: usize = 20;

/// What can be seen of a packet's fate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// It leaves by a port with a time to live; what its source and destination were translated to.
    Out(String, u8, [Option<IpAddr>; 2]),
    /// It is lost; whether the sender is told.
    Lost(bool),
}

#[test]
fn ovn_sends_packets_where_we_say() {
    if !ovn::is_present() {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<usize>().ok());
    let n_wanted = number("NORTHC_PACKETS").unwrap_or(4000);
    let first = number("NORTHC_SEED").unwrap_or(0);
    let mut tally = Tally::default();
    for seed in (first..).take(n_wanted.div_ceil(PACKETS_EACH)) {
        network(&Stack::with_northd(), seed as u64, &mut tally);
    }
    let Tally { n_packets, n_arrived, n_lost, n_choices, n_unjudged, disagreements } = tally;
    let _ = writeln!(
        std::io::stderr(),
        "{n_packets} packets: {n_arrived} arrive, {n_lost} are lost, {n_choices} of them OVN's choice, \
         {n_unjudged} not judged"
    );
    assert!(
        disagreements.is_empty(),
        "{} disagreements:\n{}",
        disagreements.len(),
        disagreements[..disagreements.len().min(6)].join("\n\n")
    );
    assert!(n_arrived * 10 > n_packets && n_unjudged < n_packets, "the packets are worth sending");
}

/// What the database holds, as somebody saves it.
fn saved(stack: &Stack) -> Actual {
    let dump = ["dump", "--format=json", &stack.remote(), "OVN_Northbound"];
    let saved = Command::new("ovsdb-client").args(dump).output().expect("ovsdb-client is there");
    dump::read(std::str::from_utf8(&saved.stdout).expect("text")).expect("a saved database")
}

#[derive(Default)]
struct Tally {
    n_packets: usize,
    n_arrived: usize,
    n_lost: usize,
    n_choices: usize,
    n_unjudged: usize,
    disagreements: Vec<String>,
}

fn network(stack: &Stack, seed: u64, tally: &mut Tally) {
    let mut dice = Dice::new(seed);
    let world = World::new(&mut dice);
    let mut params: Value = serde_json::from_str(&transaction(&world.rows, OWNER)).expect("JSON");
    params.as_array_mut().expect("operations").extend(world.beside.iter().cloned());
    stack.transact(&params).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    if world.drops_rest {
        stack
            .nbctl(&["set", "NB_Global", ".", "options:default_acl_drop=true"])
            .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    stack.settle();
    let target: Target = ovn::version().parse().expect("a version of OVN");
    let network = match world.beside.is_empty() && !world.drops_rest {
        true => Network::of_rows(&world.rows, target),
        false => Network::of_actual(&saved(stack), target),
    };
    let sets = Sets::default();
    let mut walker = Walker::new(&network, &sets, Guests::new(&network, ByHand::default()));
    let mut packets: Vec<Packet> = (0..PACKETS_EACH).map(|_| world.packet(&mut dice)).collect();
    packets.extend((0..FROM_OUTSIDE).filter_map(|_| world.out_of_wire(&mut dice)));
    for (kind, state) in [(Kind::First, "new"), (Kind::KnownAnswer, "est,rpl")] {
        let mut tracer = Tracer::start(stack, state);
        for packet in packets.iter().skip(if kind == Kind::First { 0 } else { PACKETS_EACH * 2 / 3 }) {
            let Some(expected) = expected(&network, &mut walker, packet, kind) else {
                tally.n_unjudged += 1;
                continue;
            };
            // Some loops are too deep for ovn-trace, and some too wide.
            let Some(text) = tracer.trace(packet) else {
                drop(tracer);
                tracer = Tracer::start(stack, state);
                tally.n_unjudged += 1;
                continue;
            };
            let seen = seen_of(&text);
            // A neighbour was asked and answered, and ovn-trace waits for no answer.
            if seen == Seen::Lost(false) && ["arp.op = 2;", "nd_na"].iter().any(|it| text.contains(it)) {
                tally.n_unjudged += 1;
                continue;
            }
            tally.n_packets += 1;
            tally.n_choices += usize::from(expected.len() > 1);
            match &seen {
                Seen::Out(..) => tally.n_arrived += 1,
                Seen::Lost(_) => tally.n_lost += 1,
            }
            if !expected.contains(&seen) {
                let rows =
                    if tally.disagreements.is_empty() { random::dump(&world.rows) } else { String::new() };
                let why = obstacles(&network, &mut walker, packet, kind);
                tally.disagreements.push(format!(
                    "seed {seed}, {state}: {packet:?}\n  {}\n  OVN: {seen:?}\n  northc: {expected:?} {why:?}\n{text}{rows}",
                    packet.header
                ));
            }
        }
    }
}

/// What stops a packet, for whoever looks into a disagreement.
fn obstacles(network: &Network, walker: &mut Walker<'_>, packet: &Packet, kind: Kind) -> Vec<String> {
    let (at, flow) = sent(network, walker, packet);
    let outcomes = walker.from_wire(at, flow, kind);
    let obstacles = outcomes.iter().flat_map(|it| &it.flow.obstacles);
    obstacles.map(|it| format!("{:?} by {}", it.why, network.row(it.row).name)).collect()
}

/// A packet at its port.
fn sent(network: &Network, walker: &Walker<'_>, packet: &Packet) -> (PortId, Flow) {
    let sets = walker.sets;
    let only = Field::ALL
        .into_iter()
        .fold(Set::ALL, |set, field| sets.and(set, sets.value(field, packet.header[field])));
    let at = network.ports.iter().position(|port| port.name == packet.port).map(PortId);
    let flow = Flow { eth_src: Some(packet.eth_src), eth_dst: Some(packet.eth_dst), ..Flow::new(only) };
    (at.expect("the port is there"), flow)
}

/// All that may become of a packet; `None` when it can't be judged.
fn expected(
    network: &Network,
    walker: &mut Walker<'_>,
    packet: &Packet,
    kind: Kind,
) -> Option<BTreeSet<Seen>> {
    // On a router of one chassis ovn-trace ends where an address might have to be given back, be it of what the router
    // itself answers.
    let gateways = network.routers.iter().filter(|router| router.is_gateway);
    let mut given = gateways.flat_map(|router| {
        let outward = router.translations.iter().filter(|it| it.is_outward).map(|it| it.external);
        let forced = router.forced.translated.iter().chain(&router.forced.balanced).copied();
        let own = router.ports.iter().filter(|_| router.forced.is_of_port);
        outward.chain(forced).chain(own.flat_map(|id| network.router_port(*id).addresses()))
    });
    let ends = [packet.header.source(), packet.header.destination()];
    if given.any(|own| ends.contains(&own)) {
        return None;
    }
    let (at, flow) = sent(network, walker, packet);
    let outcomes = walker.from_wire(at, flow, kind);
    let asks_state = network.acls.iter().any(|rule| rule.matching.to_string().contains("ct."));
    let is_routed = |it: &Outcome| it.flow.path.steps().iter().any(|step| matches!(step, Step::Router(_)));
    let vips = network.switches.iter().flat_map(|switch| &switch.vips);
    let vips: BTreeSet<IpAddr> = vips.map(|vip| vip.address).collect();
    let is_for_vip = |it: &Outcome| vips.contains(&it.flow.rewrite.apply(&packet.header).destination());
    if outcomes.iter().any(|it| is_routed(it) && is_for_vip(it)) {
        return None;
    }
    if (asks_state || kind == Kind::KnownAnswer) && outcomes.iter().any(is_routed) {
        return None;
    }
    // The address of a port that is switched off is asked for, and ovn-trace waits for no answer.
    let is_off =
        |mac| network.ports.iter().any(|it| !it.is_enabled && it.addresses.iter().any(|a| a.mac == mac));
    let mut all = BTreeSet::new();
    // With what translations have given the echo request that they answer.
    let mut outcomes: Vec<_> = outcomes.into_iter().map(|it| ([None, None], it)).collect();
    while let Some((before, Outcome { flow, end })) = outcomes.pop() {
        let own = translated(network, &flow, &packet.header);
        let given = [own[0].or(before[0]), own[1].or(before[1])];
        all.extend(flow.eth_dst.is_some_and(is_off).then_some(Seen::Lost(false)));
        let seen = match end {
            End::Unjudged { .. } => return None,
            _ if is_beyond_trace(network, &flow, &packet.header) => return None,
            // Where nobody is known to have the next hop, ovn-trace ends with a question to the neighbours.
            _ if flow.eth_dst.is_none() => Seen::Lost(false),
            End::Port(port) | End::Outside(port) => {
                Seen::Out(network.port(port).name.clone(), flow.ttl, given)
            }
            End::Router(port) => {
                let echo = if packet.header.is_ipv6() { 129 } else { 0 };
                let answer = flow.answered(flow.set, Some(echo));
                outcomes.extend(walker.from_router(port, answer, kind).into_iter().map(|it| (given, it)));
                continue;
            }
            End::Nowhere => {
                let is_rejected = flow.obstacles.last().is_some_and(|it| it.why.is_told());
                all.extend(may_say(&flow, &packet.header).then_some(Seen::Lost(!is_rejected)));
                Seen::Lost(is_rejected)
            }
        };
        all.insert(seen);
    }
    Some(all)
}

/// Where ovn-trace does not follow balancers: a machine that is sent to itself keeps its address; what a router has sent
/// to its own sender is turned back by whatever switch has balancers, as if it were that switch's; and a router forgets
/// what the balancer, or the translation of a destination, wants of the source.
fn is_beyond_trace(network: &Network, flow: &Flow, header: &Header) -> bool {
    let on_routers = network.routers.iter().flat_map(|router| {
        let is_forced = router.forced.is_of_port || !router.forced.balanced.is_empty();
        router.vips.iter().filter(move |vip| vip.keeps_source || is_forced)
    });
    let particular: BTreeSet<RowId> = on_routers.map(|vip| vip.row).collect();
    let is_beyond = |step: &Step| match step {
        Step::Translated { row, before, after } => {
            let is_masked = before[Field::IpSrc] != after[Field::IpSrc];
            match network.row(*row).table {
                Table::LoadBalancer => {
                    let after = after.apply(header);
                    is_masked || particular.contains(row) || after.source() == after.destination()
                }
                // It is a router that gives the source.
                table => table == Table::LogicalRouter,
            }
        }
        _ => false,
    };
    flow.path.steps().iter().any(is_beyond)
}

/// Whether a sender may be told or not: a router says that it is no server and that a packet has come too far,
/// and nobody complains about a complaint.
fn may_say(flow: &Flow, header: &Header) -> bool {
    let why = flow.obstacles.last().map(|obstacle| &obstacle.why);
    let is_error = matches!(header[Field::IpProto], 1 | 58) && !matches!(header[Field::TpSrc], 8 | 128);
    match why {
        Some(Why::RouterAddress | Why::TimeToLive | Why::Loop) => true,
        Some(why) if why.is_told() => is_error,
        _ => false,
    }
}

/// What ovn-trace says of a packet.
fn seen_of(text: &str) -> Seen {
    // From 25.03 on what waits for a neighbour is also shown to go on, for no Ethernet address; and so is what tells
    // its sender of a refusal.
    let refusals = ["tcp_reset {", "sctp_abort {", "icmp4 {", "icmp6 {"];
    let before = refusals.iter().filter_map(|it| text.find(it)).min().map_or(text, |at| &text[..at]);
    if before.contains("eth.dst = 00:00:00:00:00:00;") {
        return Seen::Lost(false);
    }
    seen(&Fate::of(text))
}

fn seen(fate: &Fate) -> Seen {
    match fate.outputs.as_slice() {
        [] => Seen::Lost(fate.refusal.is_some()),
        [port] => Seen::Out(port.clone(), fate.ttl, [fate.source, fate.destination]),
        many => Seen::Out(many.join(","), fate.ttl, [fate.source, fate.destination]),
    }
}

/// The last source and the last destination that translations have given a packet.
///
/// Which backend a balancer has chosen ovn-trace does not say, and what is translated without conntrack looks like
/// what a router does to an echo request.
fn translated(network: &Network, flow: &Flow, sent: &Header) -> [Option<IpAddr>; 2] {
    let translations = network.routers.iter().flat_map(|router| &router.translations);
    let stateless: BTreeSet<RowId> = translations.filter(|it| it.is_stateless).map(|it| it.row).collect();
    let mut given = [None, None];
    for step in flow.path.steps() {
        if let Step::Translated { before, after, row } = step {
            if network.row(row).table == Table::LoadBalancer || stateless.contains(&row) {
                continue;
            }
            let after_header = after.apply(sent);
            if before[Field::IpSrc] != after[Field::IpSrc] {
                given[0] = Some(after_header.source());
            }
            if before[Field::IpDst] != after[Field::IpDst] {
                given[1] = Some(after_header.destination());
            }
        }
    }
    given
}

/// A daemon of `ovn-trace` that says the same of every packet that conntrack is asked about.
struct Tracer {
    control: std::path::PathBuf,
    pidfile: std::path::PathBuf,
}

impl Tracer {
    fn start(stack: &Stack, state: &str) -> Tracer {
        let file = |end: &str| stack.path(&format!("trace-{}.{end}", state.replace(',', "-")));
        let tracer = Tracer { control: file("ctl"), pidfile: file("pid") };
        // A loop that multiplies its packets would take the machine's memory before it comes to an end.
        let started = Command::new("sh")
            .args(["-c", "ulimit -v 2000000 && exec ovn-trace \"$@\"", "ovn-trace"])
            .args(["--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off", "--no-friendly-names"])
            .arg(format!("--db={}", stack.southbound()))
            .arg(format!("--unixctl={}", tracer.control.display()))
            .arg(format!("--pidfile={}", tracer.pidfile.display()))
            .arg(format!("--log-file={}", file("log").display()))
            .args(vec![format!("--ct={state}"); PACKETS_EACH * 20])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(started.is_ok_and(|status| status.success()), "ovn-trace starts");
        tracer
    }

    fn trace(&self, packet: &Packet) -> Option<String> {
        let flow = format!(
            "inport == \"{}\" && eth.src == {} && eth.dst == {} && ip.ttl == 64 && {}",
            packet.port,
            random::show(packet.eth_src),
            random::show(packet.eth_dst),
            microflow(&packet.header)
        );
        let reply = ovn::ask(&self.control, "trace", &json!(["--minimal", packet.switch, flow]))?;
        Some(reply["result"].as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(&self.pidfile) {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).stderr(Stdio::null()).status();
        }
        let _ = fs::remove_file(&self.control);
        let _ = fs::remove_file(&self.pidfile);
    }
}
