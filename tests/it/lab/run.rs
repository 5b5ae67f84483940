//! Carries out one case on one bench, one way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::bench::{Bench, northc};
use super::guests::{self, World};
use super::steps::{Bound, Check, Guest, Step, Steps};

/// How rows get into the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    /// The script of `northc compile`.
    Script,
    /// `northc apply`.
    Apply,
}

/// Seconds that a check is given to come out as expected: one that expects less than `ok`, one that
/// expects `ok`.
const PATIENCE: [u32; 2] = [3, 20];
/// Connections of a check about how many machines answer; chance sends all of them to one of two in one of
/// 32768 cases.
const CONNECTIONS: usize = 16;
/// Of these, how many are under way at a time; more would only wait for a processor.
const AT_ONCE: usize = 4;
/// Of all, how many may be late on a busy machine, and are tried once more.
const LATE: usize = 8;
/// A check about how many machines answer is made again until it holds: so often at least, and for so long.
const ROUNDS: usize = 3;
const CONVERGED: Duration = Duration::from_secs(20);
const NIC: &str = "enp1s0";

/// A machine that is plugged in.
struct Plugged {
    guest: guests::Guest,
    /// As it reported after its boot.
    got: Vec<String>,
}

struct Run<'a> {
    bench: &'a Bench,
    folder: &'a Path,
    way: Way,
    world: World,
    /// By the name that the lab knows.
    plugged: BTreeMap<String, Plugged>,
    flows: Vec<Check>,
    spoofed: BTreeSet<(String, String)>,
    n_checks: usize,
}

/// Runs the case; gives how many checks held, or everything that did not.
pub(super) fn case(bench: &Bench, folder: &Path, steps: &Steps, way: Way) -> Result<usize, String> {
    bench.lab(&["reset"], "")?;
    let mut run = Run {
        bench,
        folder,
        way,
        world: World::default(),
        plugged: BTreeMap::new(),
        flows: Vec::new(),
        spoofed: BTreeSet::new(),
        n_checks: 0,
    };
    let mut failures = String::new();
    for (line, step) in &steps.steps {
        if let Err(e) = run.step(step) {
            let _ = match step {
                Step::Checks(_) | Step::Settle => write!(failures, "{e}"),
                _ => writeln!(failures, "  line {line}: {e}"),
            };
            // A failed check says nothing about the next; anything else leaves nothing to check.
            if !matches!(step, Step::Checks(_) | Step::Settle | Step::Has { .. }) {
                break;
            }
        }
    }
    for line in bench.lab(&["logs"], "")?.lines() {
        if !steps.logs.iter().any(|text| line.contains(text)) {
            let _ = writeln!(failures, "  log: {line}");
        }
    }
    if failures.is_empty() { Ok(run.n_checks) } else { Err(failures) }
}

impl Run<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Apply(paths) => self.apply(paths),
            Step::Refuse { paths, code } => self.refuse(paths, code),
            Step::Plug { name, node, guest } => self.plug(name, node.as_deref(), guest),
            Step::Unplug(name) => {
                let name = self.name(name)?;
                self.bench.lab(&["vm", "del", &name], "")?;
                self.plugged.remove(&name);
                Ok(())
            }
            Step::Route { name, on } => self.route(name, *on),
            Step::Has { name, words } => self.has(name, words),
            Step::Checks(checks) => self.checks(checks),
            Step::Serve { name, proto, port, v6 } => {
                self.serve(&[(name.as_str(), proto.as_str(), *port, *v6)])
            }
            Step::Flow(check) => self.flow(check),
            Step::Settle => self.settle(),
            Step::Nbctl(args) => {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                self.bench.lab(&[&["nbctl", "--wait=hv"], args.as_slice()].concat(), "").map(drop)
            }
            Step::Exec { name, command } => {
                let name = self.name(name)?;
                let command: Vec<&str> = command.iter().map(String::as_str).collect();
                self.bench.lab(&[&["vm", "exec", &name, "--"], command.as_slice()].concat(), "").map(drop)
            }
            Step::Lookup { name, question, answers, by } => {
                self.lookup(name, question, answers, by.as_deref())
            }
            Step::Logged(text) => self.bench.lab(&["logged", text], "").map(drop),
            Step::Freeze(node) => self.bench.lab(&["freeze", node], "").map(drop),
            Step::Thaw(node) => self.bench.lab(&["thaw", node], "").map(drop),
        }
    }

    fn compile(&self, paths: &[String], to: &str) -> Result<String, String> {
        let mut args = vec!["compile", "--ovn-version", &self.bench.version, "--to", to];
        args.extend(paths.iter().map(String::as_str));
        northc(self.folder, &args)
    }

    fn apply(&mut self, paths: &[String]) -> Result<(), String> {
        self.world = guests::read(&self.compile(paths, "rows")?)?;
        if !self.world.physical.is_empty() {
            let names: Vec<&str> = self.world.physical.iter().map(String::as_str).collect();
            self.bench.lab(&[&["physnet"], names.as_slice()].concat(), "")?;
        }
        match self.way {
            Way::Script => {
                let script = self.compile(paths, "nbctl")?;
                self.bench.lab(&["apply", "-"], &script)?;
            }
            Way::Apply => {
                let database = self.bench.database()?;
                let version = ["--ovn-version", &self.bench.version, "--db", &database];
                let mut args = vec!["apply", "--yes", "--wait", "hv"];
                args.extend(version);
                args.extend(paths.iter().map(String::as_str));
                northc(self.folder, &args)?;
                // On every version's own schema and northd: what was applied leaves nothing to do.
                let mut args = vec!["plan", "--detailed-exitcode"];
                args.extend(version);
                args.extend(paths.iter().map(String::as_str));
                northc(self.folder, &args)?;
                self.n_checks += 1;
            }
        }
        if !self.plugged.is_empty() {
            self.bench.lab(&["vm", "wait"], "")?;
        }
        Ok(())
    }

    fn refuse(&mut self, paths: &[String], code: &str) -> Result<(), String> {
        self.n_checks += 1;
        match self.compile(paths, "nbctl") {
            Ok(_) => Err(format!("{} compiles; {code} was expected", paths.join(" "))),
            Err(e) if e.contains(code) => Ok(()),
            Err(e) => Err(format!("refused, but not with {code}: {e}")),
        }
    }

    fn plug(&mut self, name: &str, node: Option<&str>, wanted: &Guest) -> Result<(), String> {
        let names = if name == "*" {
            let there: BTreeSet<&str> = self.plugged.values().map(|p| p.guest.lsp.as_str()).collect();
            let all = self.world.short_names().into_iter();
            all.filter(|n| self.world.guest(n).is_ok_and(|g| !there.contains(g.lsp.as_str()))).collect()
        } else {
            vec![name.to_owned()]
        };
        let mut lines = String::new();
        for (at, name) in names.iter().enumerate() {
            let guest = self.world.guest(name)?.clone();
            let node = node.unwrap_or(["hv1", "hv2"][at % 2]);
            let _ = writeln!(
                lines,
                "{name} --on {node} --port {} --mac {} --nic {NIC}{}",
                guest.lsp,
                guest.mac,
                network(&guest, wanted)
            );
            self.plugged.insert(name.clone(), Plugged { guest, got: Vec::new() });
        }
        let said = self.bench.lab(&["vm", "add", "-"], &lines)?;
        for line in said.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            let (name, _nic) = (words.next().unwrap_or_default(), words.next());
            let got: Vec<String> = words.collect();
            if let Some(none) = got.iter().find(|w| w.ends_with("=none")) {
                return Err(format!("{name} asked in vain: {none}"));
            }
            if let Some(plugged) = self.plugged.get_mut(&name) {
                plugged.got = got;
            }
        }
        Ok(())
    }

    fn route(&mut self, name: &str, on: bool) -> Result<(), String> {
        let name = self.name(name)?;
        let gateways = self.plugged[&name].guest.gateways.clone();
        let mut commands = String::new();
        for gateway in gateways {
            let family = if gateway.is_ipv6() { "-6" } else { "-4" };
            let _ = match on {
                true => write!(commands, "ip {family} route replace default via {gateway} dev {NIC};"),
                false => write!(commands, "ip {family} route del default dev {NIC};"),
            };
        }
        self.bench.lab(&["vm", "exec", &name, "--", "sh", "-ec", &commands], "").map(drop)
    }

    fn has(&mut self, name: &str, words: &[String]) -> Result<(), String> {
        self.n_checks += words.len();
        let name = self.name(name)?;
        let got = &self.plugged[&name].got;
        match words.iter().find(|w| !got.contains(w)) {
            None => Ok(()),
            Some(missing) => Err(format!("{name} has no {missing}, but {}", got.join(" "))),
        }
    }

    /// Asks by a real question; an answer that is late is waited for.
    fn lookup(
        &mut self,
        name: &str,
        question: &str,
        answers: &BTreeSet<String>,
        by: Option<&str>,
    ) -> Result<(), String> {
        self.n_checks += 1;
        let name = self.name(name)?;
        let kind = match answers.first().map(|answer| answer.parse::<IpAddr>()) {
            Some(Ok(IpAddr::V6(_))) => "-type=aaaa",
            Some(Err(_)) => "",
            None | Some(Ok(IpAddr::V4(_))) => "-type=a",
        };
        let told = format!("$(sed -n 's/^nameserver //p' /etc/netns/{name}/resolv.conf | head -1)");
        let ask =
            format!("timeout 3 busybox nslookup {kind} {question} {} 2>&1 || true", by.unwrap_or(&told));
        let mut said = String::new();
        for _ in 0..if answers.is_empty() { 1 } else { 5 } {
            said = self.bench.lab(&["vm", "exec", &name, "--", "sh", "-c", &ask], "")?;
            // What stands before is the server's own name and address.
            let answer =
                said.lines().skip_while(|line| !line.starts_with("Name:") && !line.contains("name = "));
            let found = answer.filter_map(|line| {
                let address =
                    line.strip_prefix("Address:").or_else(|| Some(line.split_once("name = ")?.1))?;
                Some(address.trim().to_owned())
            });
            if found.collect::<BTreeSet<String>>() == *answers {
                return Ok(());
            }
        }
        Err(format!("{name} asks for {question} and is not told {answers:?}, but:\n{said}"))
    }

    /// The lab's name for a machine of the case.
    fn name(&self, name: &str) -> Result<String, String> {
        if self.plugged.contains_key(name) || name == "internet" {
            return Ok(name.to_owned());
        }
        let lsp = &self.world.guest(name)?.lsp;
        let known = self.plugged.iter().find(|(_, p)| p.guest.lsp == *lsp).map(|(known, _)| known.clone());
        known.ok_or_else(|| format!("{name} is not plugged in"))
    }

    /// The address that a check goes to, and the machine that should answer, if one does by name.
    fn destination(&self, check: &Check) -> Result<(IpAddr, Option<String>), String> {
        if let Ok(address) = check.to.parse() {
            return Ok((address, None));
        }
        if check.to == "gateway" {
            let from = self.name(&check.from)?;
            let gateway = self.plugged.get(&from).and_then(|p| p.guest.gateway(check.v6));
            return Ok((gateway.ok_or_else(|| format!("{from} has no gateway"))?, None));
        }
        let to = self.name(&check.to)?;
        Ok((self.address(&to, check.v6)?, Some(to)))
    }

    fn address(&self, name: &str, v6: bool) -> Result<IpAddr, String> {
        if name == "internet" {
            let address = if v6 { "2001:db8:203::1" } else { "203.0.113.1" };
            return address.parse().map_err(|e| format!("{address}: {e}"));
        }
        let address = self.plugged.get(name).and_then(|p| p.guest.address(v6));
        address.ok_or_else(|| format!("{name} has no IPv{} address", if v6 { 6 } else { 4 }))
    }

    fn serve(&self, services: &[(&str, &str, u16, bool)]) -> Result<(), String> {
        let mut lines = BTreeSet::new();
        for (name, proto, port, v6) in services {
            let name = self.name(name)?;
            lines.insert(format!("{name} {} {proto} {port} {name}\n", if *v6 { 6 } else { 4 }));
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.bench.lab(&["serve", "-"], &lines.into_iter().collect::<String>()).map(drop)
    }

    /// `*` is every machine, and `next` the one after it.
    fn expand(&self, check: &Check) -> Vec<Check> {
        if check.from != "*" {
            return vec![check.clone()];
        }
        let names: Vec<&String> = self.plugged.keys().collect();
        let pair = |(at, from): (usize, &&String)| {
            let to = if check.to == "next" { names[(at + 1) % names.len()] } else { &check.to };
            Check { from: (*from).clone(), to: to.clone(), ..check.clone() }
        };
        names.iter().enumerate().map(pair).filter(|c| c.from != c.to).collect()
    }

    fn checks(&mut self, checks: &[Check]) -> Result<(), String> {
        let checks: Vec<Check> = checks.iter().flat_map(|check| self.expand(check)).collect();
        let (spread, checks): (Vec<Check>, Vec<Check>) =
            checks.into_iter().partition(|check| check.answerers().is_some());
        let mut services = Vec::new();
        for check in &checks {
            if let Some(port) = check.port {
                let (address, name) = self.destination(check)?;
                let name = name.unwrap_or_else(|| "internet".to_owned());
                services.push((name, check.kind.clone(), port, address.is_ipv6()));
            }
            if let Some(source) = check.facts.get("as") {
                let name = self.name(&check.from)?;
                if self.spoofed.insert((name.clone(), source.clone())) {
                    self.bench
                        .lab(&["vm", "exec", &name, "--", "ip", "addr", "add", source, "dev", NIC], "")?;
                }
            }
        }
        let services: Vec<_> = services.iter().map(|(n, k, p, v)| (n.as_str(), k.as_str(), *p, *v)).collect();
        self.serve(&services)?;
        let mut failures = String::new();
        for ok in [true, false] {
            let some: Vec<&Check> = checks.iter().filter(|c| c.wants_ok() == ok).collect();
            failures += &self.send(&some, PATIENCE[usize::from(ok)])?;
        }
        for check in &spread {
            let began = Instant::now();
            let mut failure = self.spread(check)?;
            // A watched next hop comes when its session does, and a busy machine is late: neither outlasts this, nor
            // is a fault seen that comes and goes.
            for round in 1.. {
                if failure.is_empty() || (round >= ROUNDS && began.elapsed() > CONVERGED) {
                    break;
                }
                failure = self.spread(check)?;
            }
            self.n_checks += usize::from(failure.is_empty());
            failures += &failure;
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// Many connections: none may be refused, and the few that are late come through by themselves; gives the
    /// failure.
    fn spread(&self, check: &Check) -> Result<String, String> {
        let mut answers = Vec::with_capacity(CONNECTIONS);
        while answers.len() < CONNECTIONS {
            answers.extend(self.probe(&[check; AT_ONCE], 0)?);
        }
        let is_late = |answer: &&mut String| *answer == "drop";
        if answers.iter_mut().filter(is_late).count() <= LATE {
            for late in answers.iter_mut().filter(is_late) {
                *late = self.probe(&[check], 0)?.remove(0);
            }
        }
        let ok: Vec<&str> = answers.iter().filter_map(|answer| answer.strip_prefix("ok who=")).collect();
        let who: BTreeSet<&str> = ok.iter().filter_map(|rest| rest.split(' ').next()).collect();
        let wanted = check.answerers().is_some_and(|n| n.contains(&who.len()));
        if wanted && ok.len() == CONNECTIONS {
            return Ok(String::new());
        }
        let (n, line, text) = (ok.len(), check.line, &check.text);
        Ok(format!("  line {line}: {n} of {CONNECTIONS} connections answered, by {who:?}\n    {text}\n"))
    }

    /// Sends all at once; gives the failures. What should have come through and did not is sent again by itself:
    /// a hundred at once can be too much for a busy machine.
    fn send(&mut self, checks: &[&Check], patience: u32) -> Result<String, String> {
        let failed = self.failed(checks, patience)?;
        let (lost, wrong): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(check, _)| check.wants_ok());
        let lost: Vec<&Check> = lost.into_iter().map(|(check, _)| check).collect();
        let lost = self.failed(&lost, patience)?;
        self.n_checks += checks.len() - lost.len() - wrong.len();
        let mut failures = String::new();
        for (check, why) in lost.into_iter().chain(wrong) {
            let Check { line, text, from, to, .. } = check;
            let _ = writeln!(failures, "  line {line}: {from} -> {to}: {why}\n    {text}");
        }
        Ok(failures)
    }

    /// Sends all at once; gives those whose answer is not what they expect, and why.
    fn failed<'c>(&self, checks: &[&'c Check], patience: u32) -> Result<Vec<(&'c Check, String)>, String> {
        let mut failed = Vec::new();
        for (check, answer) in checks.iter().zip(self.probe(checks, patience)?) {
            failed.extend(self.judge(check, &answer)?.map(|why| (*check, why)));
        }
        Ok(failed)
    }

    /// Sends all at once; gives what the lab says of each.
    fn probe(&self, checks: &[&Check], patience: u32) -> Result<Vec<String>, String> {
        let mut lines = String::new();
        for (id, check) in checks.iter().enumerate() {
            let (to, _) = self.destination(check)?;
            let from = self.name(&check.from)?;
            let source = check.facts.get("as").map_or("-", String::as_str);
            let last = match check.port {
                Some(port) => port.to_string(),
                None => check.facts.get("size").cloned().unwrap_or_else(|| "-".to_owned()),
            };
            let (want, kind) = (&check.outcome, &check.kind);
            let _ = writeln!(lines, "{id} {from} {want} {patience} {kind} {source} {to} {last}");
        }
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let said = self.bench.lab(&["probe", "-"], &lines)?;
        let answers: BTreeMap<&str, &str> = said.lines().filter_map(|l| l.split_once(' ')).collect();
        let answer = |id: usize| answers.get(id.to_string().as_str()).copied();
        let answers = (0..checks.len()).map(|id| answer(id).unwrap_or("no answer from the lab").to_owned());
        Ok(answers.collect())
    }

    /// Why an answer is not what the check expects.
    fn judge(&self, check: &Check, answer: &str) -> Result<Option<String>, String> {
        let mut words = answer.split_whitespace();
        let outcome = words.next().unwrap_or_default();
        if outcome != check.outcome {
            return Ok(Some(format!("{answer}; expected {}", check.outcome)));
        }
        if !check.wants_ok() {
            return Ok(None);
        }
        let got: BTreeMap<&str, &str> = words.filter_map(|w| w.split_once('=')).collect();
        let mut wanted: BTreeMap<&str, String> = BTreeMap::new();
        let (address, name) = self.destination(check)?;
        if check.kind == "ping" {
            wanted.insert("from", address.to_string());
        } else if let Some(name) = name {
            if name != "internet" && check.from != "internet" {
                wanted.insert("from", self.address(&self.name(&check.from)?, address.is_ipv6())?.to_string());
            }
            wanted.insert("who", name);
        }
        let told = check.facts.iter().filter(|(k, _)| !matches!(k.as_str(), "as" | "size"));
        wanted.extend(told.map(|(k, v)| (k.as_str(), v.clone())));
        for (key, wanted) in wanted {
            let got = got.get(key).copied().unwrap_or("nothing");
            if !wanted.split('|').any(|w| w == got) {
                return Ok(Some(format!("{answer}; expected {key}={wanted}")));
            }
        }
        Ok(None)
    }

    fn flow(&mut self, check: &Check) -> Result<(), String> {
        let (to, name) = self.destination(check)?;
        if let (Some(port), Some(name)) = (check.port, name) {
            self.serve(&[(name.as_str(), "echo", port, to.is_ipv6())])?;
        }
        let port = check.port.map_or_else(|| "-".to_owned(), |p| p.to_string());
        let from = self.name(&check.from)?;
        let id = format!("flow{}", self.flows.len());
        self.bench.lab(&["flow", "-"], &format!("{id} {from} {} - {to} {port}\n", check.kind))?;
        self.flows.push(check.clone());
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        let flows = std::mem::take(&mut self.flows);
        let mut lines = String::new();
        for (id, flow) in flows.iter().enumerate() {
            let _ = writeln!(lines, "flow{id} {}", self.name(&flow.from)?);
        }
        let said = self.bench.lab(&["unflow", "-"], &lines)?;
        let answers: BTreeMap<&str, &str> = said.lines().filter_map(|l| l.split_once(' ')).collect();
        let mut failures = String::new();
        for (id, flow) in flows.iter().enumerate() {
            let answer = answers.get(format!("flow{id}").as_str()).copied().unwrap_or("sent=0");
            let got: BTreeMap<&str, u64> = answer
                .split_whitespace()
                .filter_map(|w| w.split_once('='))
                .filter_map(|(k, v)| Some((k, v.parse().ok()?)))
                .collect();
            let nothing = got.get("sent").is_none_or(|sent| *sent == 0);
            let holds = |b: &Bound| got.get(b.what.as_str()).is_some_and(|n| (b.least..=b.most).contains(n));
            if nothing || !flow.bounds.iter().all(holds) {
                let _ = writeln!(failures, "  line {}: {answer}\n    {}", flow.line, flow.text);
            } else {
                self.n_checks += 1;
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }
}

/// The words of `vm add` for the guest's addresses and routes.
fn network(guest: &guests::Guest, wanted: &Guest) -> String {
    let said = |word: &str| wanted.0.contains(word);
    let by_hand = said("route") || said("static");
    let asks = |word: &str| said(word) || (wanted.0.is_empty() && guest.offers.contains(word));
    let mut out = String::new();
    for word in ["dhcp", "dhcp6", "ra"].into_iter().filter(|w| asks(w)) {
        let _ = write!(out, " --{word}");
    }
    for address in &guest.addresses {
        let asked = asks(if address.addr().is_ipv6() { "dhcp6" } else { "dhcp" });
        if by_hand || !asked {
            let _ = write!(out, " --ip {address}");
        }
    }
    if said("route") {
        for gateway in &guest.gateways {
            let _ = write!(out, " --gw {gateway}");
        }
    }
    out
}
