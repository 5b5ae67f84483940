//! What the rows mean: every case on a real `ovn-northd`, its packets followed by `ovn-trace`.
//!
//! Twice: one Northbound database is fed by the emitted script, one by the emitted transaction. Both must
//! hold the same rows, take them a second time without a change, and give the verdicts of the case's
//! `steps` (`fixtures/lab/README.md` has the language; what only real machines can do is passed over here).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::thread;

use ipnet::IpNet;
use serde_json::Value;

use crate::cases::{self, Case, compile};
use crate::lab::guests::{self, Guest, World};
use crate::lab::steps::{self, Check, Step};
use crate::northbound::{self, Dump};
use crate::ovn;
use crate::stack::{self, Stack};

/// How rows get into the database.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Script,
    Transaction,
}

#[test]
fn rows_mean_what_the_yaml_means() {
    if !ovn::is_present() {
        return;
    }
    let cases: Vec<Case> = cases::all().into_iter().filter(Case::is_good).collect();
    let run = |way: Way| {
        let stack = Stack::with_northd();
        cases.iter().map(|case| run_case(&stack, case, way)).collect::<Vec<_>>()
    };
    let (by_script, by_transaction) = thread::scope(|scope| {
        let one = scope.spawn(|| run(Way::Script));
        let other = scope.spawn(|| run(Way::Transaction));
        (one.join().expect("scripts end"), other.join().expect("transactions end"))
    });
    let mut failures = String::new();
    let mut n_verdicts = 0;
    for ((case, one), other) in cases.iter().zip(&by_script).zip(&by_transaction) {
        for (way, outcome) in [("script", one), ("transaction", other)] {
            let _ =
                outcome.failures.iter().try_for_each(|f| writeln!(failures, "{} by {way}: {f}", case.name));
            n_verdicts += outcome.n_verdicts;
        }
        if let Some(difference) = northbound::difference(&one.rows, &other.rows) {
            let _ = writeln!(failures, "{}: script and transaction differ\n{difference}", case.name);
        }
    }
    assert!(failures.is_empty(), "{failures}");
    let tally = format!("{} cases, {n_verdicts} verdicts of ovn-trace\n", cases.len());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), tally.as_bytes());
}

/// What became of a case on one of the two ways.
#[derive(Default)]
struct Outcome {
    /// The rows after the first `apply`.
    rows: Dump,
    n_verdicts: usize,
    failures: Vec<String>,
}

struct Run<'a> {
    stack: &'a Stack,
    case: &'a Case,
    way: Way,
    world: World,
    /// Guests that were given or refused a default route by hand, by port.
    routes: BTreeMap<String, bool>,
    out: Outcome,
}

fn run_case(stack: &Stack, case: &Case, way: Way) -> Outcome {
    stack.reset();
    let mut run =
        Run { stack, case, way, world: World::default(), routes: BTreeMap::new(), out: Outcome::default() };
    let text = fs::read_to_string(case.path("steps")).unwrap_or_else(|_| "apply .\n".to_owned());
    let mut expected = Vec::new();
    match steps::parse(&text) {
        Err(e) => run.out.failures.push(format!("steps: {e}")),
        Ok(steps) => {
            for (line, step) in &steps.steps {
                if let Err(e) = run.step(step) {
                    run.out.failures.push(format!("line {line}: {e}"));
                }
            }
            expected = steps.logs;
        }
    }
    let complaints = stack.complaints().into_iter();
    let unexpected = complaints.filter(|line| !expected.iter().any(|text| line.contains(text)));
    run.out.failures.extend(unexpected.map(|line| format!("northd: {line}")));
    run.out
}

impl Run<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Apply(paths) => self.apply(paths),
            Step::Refuse { paths, code } => {
                let ran = compile("nbctl", &self.case.below(paths));
                if ran.code == 1 && ran.err.contains(code.as_str()) {
                    return Ok(());
                }
                Err(format!("expected {code}, got exit {}:\n{}", ran.code, ran.err))
            }
            Step::Plug { name, guest, .. } => {
                let lsps: Vec<String> = match name.as_str() {
                    "*" => self.world.guests.keys().cloned().collect(),
                    name => vec![self.world.guest(name)?.lsp.clone()],
                };
                if !guest.0.is_empty() {
                    let has_route = guest.0.contains("route");
                    self.routes.extend(lsps.into_iter().map(|lsp| (lsp, has_route)));
                }
                Ok(())
            }
            Step::Route { name, on } => {
                self.routes.insert(self.world.guest(name)?.lsp.clone(), *on);
                Ok(())
            }
            Step::Has { name, words } => self.has(name, words),
            Step::Checks(checks) => self.checks(checks),
            Step::Nbctl(args) => {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                self.stack.nbctl(&args)?;
                self.stack.settle();
                Ok(())
            }
            // Real machines' business.
            Step::Unplug(_) | Step::Serve { .. } | Step::Flow(_) | Step::Settle => Ok(()),
            Step::Exec { .. } | Step::Freeze(_) | Step::Thaw(_) | Step::Logged(_) | Step::Lookup { .. } => {
                Ok(())
            }
        }
    }

    /// Writes the rows, then once more, which changes nothing.
    fn apply(&mut self, paths: &[String]) -> Result<(), String> {
        let paths = self.case.below(paths);
        self.world = guests::read(&compile("rows", &paths).out)?;
        let before = match self.way {
            Way::Script => {
                let script = compile("nbctl", &paths).out;
                stack::succeeded(&self.stack.script(&script))?;
                self.stack.settle();
                let before = self.stack.dump();
                stack::succeeded(&self.stack.script(&script)).map_err(|e| format!("run again, {e}"))?;
                before
            }
            Way::Transaction => {
                // A transaction inserts: an edit is a new database.
                self.stack.reset();
                let text = compile("ovsdb", &paths).out;
                let params: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                self.stack.transact(&params)?;
                self.stack.settle();
                let before = self.stack.dump();
                match self.stack.transact(&params) {
                    Ok(_) => return Err("the transaction is taken a second time".to_owned()),
                    Err(e) if e.contains("timed out") || e.contains("duplicate uuid") => {}
                    Err(e) => return Err(format!("the second time the transaction is refused for: {e}")),
                }
                before
            }
        };
        self.stack.settle();
        let after = self.stack.dump();
        if let Some(difference) = northbound::difference(&before, &after) {
            return Err(format!("the second time changes something:\n{difference}"));
        }
        if let Some(port) = self.stack.passed_over(&after).first() {
            return Err(format!("northd makes nothing of {port}"));
        }
        self.world.uplinks.iter().for_each(|(port, hop)| self.stack.learn(port, *hop));
        if self.out.rows.is_empty() {
            self.out.rows = after;
        }
        Ok(())
    }

    fn checks(&mut self, checks: &[Check]) -> Result<(), String> {
        let mut failures = String::new();
        // The host outside is there for real packets alone.
        for check in checks.iter().filter(|c| c.from != "internet" && c.to != "internet") {
            self.out.n_verdicts += 1;
            let verdict = self.verdict(check)?;
            if let Some(why) = verdict.differs_from(check) {
                let _ = write!(failures, "\n  {} [{} -> {}]: {why}", check.text, check.from, check.to);
                verdict
                    .traces
                    .iter()
                    .for_each(|t| failures += &format!("\n    {}", t.trim().replace('\n', "\n    ")));
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    fn has_route(&self, guest: &Guest, v6: bool) -> bool {
        let told = || if v6 { guest.offers.contains("ra") } else { guest.is_told_router };
        self.routes.get(&guest.lsp).copied().unwrap_or_else(told)
    }

    /// Where a guest sends a packet for `to`: the Ethernet address, or what keeps it from sending.
    fn next_hop(&self, guest: &Guest, to: IpAddr) -> Result<String, &'static str> {
        let is_near = guest.addresses.iter().any(|own: &IpNet| own.contains(&to));
        let router = || guest.gateway_mac.clone().ok_or("drop");
        if !is_near {
            return if self.has_route(guest, to.is_ipv6()) { router() } else { Err("noroute") };
        }
        if guest.gateways.contains(&to) {
            return router();
        }
        let neighbour = self.world.holders(to).find(|other| other.switch == guest.switch);
        neighbour.map(|other| other.mac.clone()).ok_or("drop")
    }

    fn verdict(&self, check: &Check) -> Result<Verdict, String> {
        let from = self.world.guest(&check.from)?;
        let own = from.address(check.v6).ok_or_else(|| format!("{} has no such address", check.from))?;
        let source = match check.facts.get("as") {
            Some(text) => text.parse().map_err(|_| format!("{text} is no address"))?,
            None => own,
        };
        let (to, wanted) = match check.to.as_str() {
            "gateway" => (from.gateway(check.v6), None),
            text => match text.parse() {
                Ok(address) => (Some(address), None),
                Err(_) => {
                    let guest = self.world.guest(text)?;
                    (guest.address(check.v6), Some(guest))
                }
            },
        };
        let to = to.ok_or_else(|| format!("{} has no such address", check.to))?;
        let wanted = match check.facts.get("who") {
            Some(name) => Some(self.world.guest(name)?),
            None => wanted,
        };
        let mut verdict = Verdict::default();
        let mac = match self.next_hop(from, to) {
            Ok(mac) => mac,
            Err(outcome) => return Ok(verdict.ends(outcome)),
        };
        let packet = format!("{} && {}", ends(from, &mac, source, to), protocol(check, false));
        let fate = self.follow(from, "new", &packet, &mut verdict)?;
        if let Some(outcome) = fate.refusal {
            return Ok(verdict.ends(if check.kind == "udp" && outcome == "reject" {
                "refused"
            } else {
                outcome
            }));
        }
        if check.to == "gateway" && fate.outputs == [from.lsp.as_str()] {
            verdict.ttl = Some(fate.ttl);
            return Ok(verdict.ends("ok"));
        }
        if wanted.is_none() && fate.outputs.iter().any(|port| self.world.localnets.contains(port)) {
            // Outside nobody knows the way to a private address.
            verdict.source = fate.source;
            return Ok(verdict.ends(if fate.source.is_some() { "ok" } else { "drop" }));
        }
        let holders: Vec<&Guest> = self.world.holders(to).collect();
        let receiver = fate.outputs.iter().find_map(|lsp| match wanted {
            Some(guest) => (guest.lsp == *lsp).then_some(guest),
            None => holders.iter().copied().find(|guest| guest.lsp == *lsp),
        });
        let Some(receiver) = receiver else {
            verdict.who = fate.outputs;
            return Ok(verdict.ends("drop"));
        };
        verdict.who = vec![receiver.lsp.clone()];
        let back = if source == own { self.next_hop(receiver, source) } else { Ok(from.mac.clone()) };
        let Ok(mac) = back else { return Ok(verdict.ends("drop")) };
        let reply = format!("{} && {}", ends(receiver, &mac, to, source), protocol(check, true));
        let fate = self.follow(receiver, "est,rpl", &reply, &mut verdict)?;
        verdict.ttl = Some(fate.ttl);
        Ok(verdict.ends(if fate.outputs.contains(&from.lsp) { "ok" } else { "drop" }))
    }

    fn follow(&self, from: &Guest, ct: &str, packet: &str, verdict: &mut Verdict) -> Result<Fate, String> {
        let packet = format!("inport == \"{}\" && ip.ttl == 64 && {packet}", from.lsp);
        let text = self.stack.trace(&from.switch, ct, &packet)?;
        let fate = Fate::of(&text);
        verdict.traces.push(text);
        Ok(fate)
    }

    /// What DHCP tells the guest.
    fn has(&self, name: &str, words: &[String]) -> Result<(), String> {
        let guest = self.world.guest(name)?;
        let packet = format!(
            "inport == \"{}\" && eth.src == {} && eth.dst == ff:ff:ff:ff:ff:ff && ip.ttl == 64 && \
             ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && udp.src == 68 && udp.dst == 67",
            guest.lsp, guest.mac
        );
        let text = self.stack.trace(&guest.switch, "new", &packet)?;
        let options =
            text.split("put_dhcp_opts(").nth(1).and_then(|rest| rest.split(");").next()).unwrap_or("");
        let option = |name: &str| {
            let mut pairs = options.split(", ").filter_map(|pair| pair.split_once(" = "));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let length = option("netmask").and_then(|m| ipnet::ipv4_mask_to_prefix(m.parse().ok()?).ok());
        let mut got = Vec::new();
        got.extend(option("offerip").zip(length).map(|(ip, length)| format!("{ip}/{length}")));
        got.extend(option("router").map(|router| format!("default={router}")));
        got.extend(option("mtu").map(|mtu| format!("mtu={mtu}")));
        match words.iter().find(|word| !got.contains(word)) {
            None => Ok(()),
            Some(word) => Err(format!("{name} is not told {word}, but {}", got.join(" "))),
        }
    }
}

/// The ends of a packet.
fn ends(from: &Guest, mac: &str, source: IpAddr, to: IpAddr) -> String {
    let ip = if to.is_ipv6() { "ip6" } else { "ip4" };
    format!("eth.src == {} && eth.dst == {mac} && {ip}.src == {source} && {ip}.dst == {to}", from.mac)
}

/// What is in a packet.
fn protocol(check: &Check, is_reply: bool) -> String {
    match (check.kind.as_str(), check.port) {
        (kind, Some(port)) => {
            let (source, to) = if is_reply { (port, 40_000) } else { (40_000, port) };
            format!("{kind} && {kind}.src == {source} && {kind}.dst == {to}")
        }
        _ if check.v6 => format!("icmp6.type == {} && icmp6.code == 0", if is_reply { 129 } else { 128 }),
        _ => format!("icmp4.type == {} && icmp4.code == 0", if is_reply { 0 } else { 8 }),
    }
}

/// What a sender sees.
#[derive(Default)]
struct Verdict {
    outcome: String,
    /// Of what came back.
    ttl: Option<u8>,
    /// The source that is seen outside.
    source: Option<IpAddr>,
    /// The ports that the request came out of.
    who: Vec<String>,
    traces: Vec<String>,
}

impl Verdict {
    fn ends(mut self, outcome: &str) -> Verdict {
        outcome.clone_into(&mut self.outcome);
        self
    }

    fn differs_from(&self, check: &Check) -> Option<String> {
        if self.outcome != check.outcome {
            return Some(format!("{} (request came out of {:?})", self.outcome, self.who));
        }
        if let (Some(wanted), Some(got)) = (check.facts.get("from"), self.source)
            && *wanted != got.to_string()
        {
            return Some(format!("from={got}"));
        }
        let wanted = check.facts.get("ttl")?;
        let got = self.ttl.map(|ttl| ttl.to_string()).unwrap_or_default();
        (!wanted.split('|').any(|w| w == got)).then(|| format!("ttl={got}"))
    }
}

/// What becomes of one packet.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Fate {
    pub(crate) outputs: Vec<String>,
    pub(crate) ttl: u8,
    pub(crate) refusal: Option<&'static str>,
    /// What its source was translated to.
    pub(crate) source: Option<IpAddr>,
    /// What its destination was translated to.
    pub(crate) destination: Option<IpAddr>,
}

impl Fate {
    /// Reads the actions that ovn-trace prints. What happens to packets that are made on the way (an ARP
    /// request, an ICMP error) is not what happens to this one.
    pub(crate) fn of(text: &str) -> Fate {
        let mut fate = Fate { ttl: 64, ..Fate::default() };
        let mut depth = 0_usize;
        let mut aside: Option<usize> = None;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let refusal = match line.split([' ', ';', '{']).next().unwrap_or_default() {
                "tcp_reset" | "sctp_abort" => Some("refused"),
                "icmp4" | "icmp6" | "icmp4_error" | "icmp6_error" | "reject" => Some("reject"),
                _ => None,
            };
            fate.refusal = fate.refusal.or(refusal.filter(|_| aside.is_none()));
            let address = |field: &str| {
                let text = line.split_once(field)?.1;
                text.split([')', ',', ' ']).next()?.parse::<IpAddr>().ok()
            };
            if line.starts_with("ct_snat") {
                fate.source = address(".src=").or(fate.source);
            } else if line.starts_with("ct_dnat") {
                fate.destination = address(".dst=").or(fate.destination);
            }
            if line.ends_with('{') {
                let is_aside =
                    refusal.is_some() || ["arp", "nd_ns", "nd_na"].iter().any(|a| line.starts_with(a));
                aside = aside.or(is_aside.then_some(depth));
                depth += 1;
            } else if line.starts_with('}') {
                depth = depth.saturating_sub(1);
                aside = aside.filter(|start| *start < depth);
            } else if aside.is_some() {
                continue;
            } else if let Some(port) = line.strip_prefix("output(\"") {
                fate.outputs.extend(port.split('"').next().map(str::to_owned));
            } else if line == "ip.ttl--;" {
                fate.ttl = fate.ttl.saturating_sub(1);
            } else if let Some(ttl) = line.strip_prefix("ip.ttl = ") {
                fate.ttl = ttl.trim_end_matches(';').parse().unwrap_or(0);
            }
        }
        fate
    }
}

#[test]
fn a_fate_is_what_happens_to_the_packet_itself() {
    let text = "# icmp,reg14=0x1\nip.ttl--;\nct_next(ct_state=new|trk) {\n    output(\"b\");\n};\narp {\n    output(\"x\");\n};\n";
    assert_eq!(Fate::of(text), Fate { outputs: vec!["b".to_owned()], ttl: 63, ..Fate::default() });
    assert_eq!(Fate::of("tcp_reset {\n  output(\"a\");\n};").refusal, Some("refused"));
    assert!(Fate::of("tcp_reset {\n  output(\"a\");\n};").outputs.is_empty());
}
