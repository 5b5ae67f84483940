//! The verdicts of every case's `steps`, which `ovn-trace` and real packets give too, from rows alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use northc::assign::Remembered;
use northc::compile::{Options, compile};
use northc::diag::Sink;
use northc::files;
use northc::model::GatewayChassis;
use northc::nb::Rows;
use northc::reach::guest::ByHand;
use northc::reach::header::Field;
use northc::reach::judge::{Finding, Judge, Party, Place, Proto, Verdict, service};
use northc::reach::network::{Network, PortId, PortKind};
use northc::reach::parties::{INTERNET, parties};
use northc::reach::set::{Set, Sets};
use northc::reach::walk::End;
use northc::target::Target;

use crate::cases::{self, Case};
use crate::lab::steps::{self, Check, Guest, Step};

#[test]
fn cases_get_the_verdicts_of_their_steps() {
    let cases =
        cases::all().into_iter().chain(cases::of_the_lab()).filter(|case| case.path("steps").exists());
    let (mut n_cases, mut n_verdicts, mut failures) = (0, 0, String::new());
    for case in cases {
        let text = fs::read_to_string(case.path("steps")).expect("steps are text");
        let steps = steps::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let target = steps.needs.as_deref().map_or(Target::OLDEST, |it| it.parse().expect("a version"));
        let mut run = Run::new(&case, target);
        for (line, step) in &steps.steps {
            run.step(step).unwrap_or_else(|e| {
                let _ = writeln!(failures, "{} line {line}: {e}", case.name);
            });
        }
        n_cases += 1;
        n_verdicts += run.n_verdicts;
    }
    assert!(failures.is_empty(), "{failures}");
    let tally = format!("{n_cases} cases, {n_verdicts} verdicts from rows alone\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), tally.as_bytes());
}

/// What the pages that northc grew from say of who reaches whom; each is a case, and its verdicts come from rows alone.
const STATEMENTS: [(&str, &str); 28] = [
    ("S-032", "a machine of the default VPC and one of another do not reach each other"),
    ("S-034", "nor do machines of two VPCs that are not peers"),
    ("S-039", "a machine without a route is told so at home, by its own kernel"),
    ("S-042", "neighbours on one subnet need no route"),
    ("S-044", "with a route, a machine reaches another subnet of its VPC"),
    ("S-045", "and is reached from there"),
    ("S-046", "with a route on one side alone, neither side hears the other"),
    ("S-050", "a private subnet's machines do not reach the VPC's others"),
    ("S-051", "nor are they reached by them"),
    ("S-052", "among themselves, and to their gateway, nothing changes"),
    ("S-053", "what a private subnet allows comes and goes"),
    ("S-054", "of two private subnets both have to allow it"),
    ("S-055", "one that is not private has nothing to allow"),
    ("S-058", "peers are no exception: a private subnet has to allow them"),
    ("S-062", "nobody gets outside without a route"),
    ("S-063", "without translation the outside does not answer"),
    ("S-064", "with it, it does"),
    ("S-065", "and still not without a route"),
    ("S-069", "machines of different VPCs are apart unless somebody joins them"),
    ("S-070", "peers see each other's own addresses"),
    ("S-073", "a VPC beside two peers reaches neither"),
    ("S-074", "the peers reach each other"),
    ("S-078", "through a peering with routes both ways, both sides answer"),
    ("S-079", "machines need routes there too"),
    ("S-086", "a route to the whole of the other VPC serves its subnets"),
    ("S-087", "a subnet beside that route is not reached"),
    ("S-089", "a route on one side alone brings no answer"),
    ("S-090", "a peering that one side alone declares joins nobody"),
];

#[test]
fn every_statement_about_who_reaches_whom_is_a_case() {
    let cases = cases::all().into_iter().chain(cases::of_the_lab());
    let texts = cases.filter_map(|case| fs::read_to_string(case.path("steps")).ok());
    let comments: String = texts
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.split_once('#').map(|(_, comment)| format!("{comment}\n")))
                .collect::<Vec<_>>()
        })
        .collect();
    let number = |name: &str| name.trim_start_matches("S-").parse::<usize>().expect("a number");
    let is_between = |wanted: usize| {
        let ranges = comments.split(", ").flat_map(str::lines).filter_map(|part| part.split_once(" … "));
        let mut ends = ranges.filter_map(|(a, b)| {
            let of =
                |text: &str| text.trim().trim_end_matches(':').trim_start_matches("S-").parse::<usize>().ok();
            Some((of(a)?, of(b.split([':', ' ']).next()?)?))
        });
        ends.any(|(first, last)| (first..=last).contains(&wanted))
    };
    let is_named = |name: &str| comments.contains(name) || is_between(number(name));
    let missing: Vec<_> = STATEMENTS.iter().filter(|(name, _)| !is_named(name)).collect();
    assert!(missing.is_empty(), "no case says: {missing:?}");
}

struct Run<'a> {
    case: &'a Case,
    target: Target,
    network: Network,
    /// Guests that were given or refused a default route by hand.
    routes: BTreeMap<PortId, bool>,
    n_verdicts: usize,
    /// Somebody has changed things that these rows do not tell of.
    is_touched: bool,
    /// A chassis does not run.
    is_frozen: bool,
}

impl<'a> Run<'a> {
    fn new(case: &'a Case, target: Target) -> Run<'a> {
        let network = Network::default();
        Run {
            case,
            target,
            network,
            routes: BTreeMap::new(),
            n_verdicts: 0,
            is_touched: false,
            is_frozen: false,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Apply(paths) => {
                let rows = rows(&self.case.below(paths), self.target);
                self.network = Network::of_rows(&rows, self.target);
                Ok(())
            }
            Step::Plug { name, guest, .. } => self.plug(name, guest),
            Step::Route { name, on } => {
                let port = self.port(name)?;
                self.routes.insert(port, *on);
                Ok(())
            }
            Step::Checks(checks) if !self.is_touched && !self.is_frozen => {
                let judged: Vec<Check> = checks.iter().flat_map(|check| self.spelled_out(check)).collect();
                let failures: Vec<String> =
                    judged.iter().filter_map(|check| self.check(check).err()).collect();
                if failures.is_empty() { Ok(()) } else { Err(failures.join("\n    ")) }
            }
            Step::Nbctl(_) | Step::Exec { .. } | Step::Unplug(_) => {
                self.is_touched = true;
                Ok(())
            }
            Step::Checks(_) | Step::Refuse { .. } | Step::Has { .. } | Step::Lookup { .. } => Ok(()),
            Step::Serve { .. } | Step::Flow(_) | Step::Settle | Step::Logged(_) => Ok(()),
            Step::Freeze(_) | Step::Thaw(_) => {
                self.is_frozen = matches!(step, Step::Freeze(_));
                Ok(())
            }
        }
    }

    /// A check with `*` in the place of every machine, and `next` in that of the one after it.
    fn spelled_out(&self, check: &Check) -> Vec<Check> {
        if check.from != "*" {
            return vec![check.clone()];
        }
        let guests = self.network.ports.iter().filter(|port| port.kind == PortKind::Guest);
        let names: Vec<&String> = guests.map(|port| &port.name).collect();
        let spelled = names.iter().zip(names.iter().cycle().skip(1)).map(|(from, next)| {
            let to = if check.to == "next" { (*next).clone() } else { check.to.clone() };
            Check { from: (*from).clone(), to, ..check.clone() }
        });
        spelled.collect()
    }

    fn plug(&mut self, name: &str, guest: &Guest) -> Result<(), String> {
        if guest.0.is_empty() {
            return Ok(());
        }
        let ports = match name {
            "*" => (0..self.network.ports.len()).map(PortId).collect(),
            name => vec![self.port(name)?],
        };
        let is_told = ["dhcp", "dhcp6", "ra"].iter().any(|word| guest.0.contains(*word));
        if !is_told {
            let has_route = guest.0.contains("route");
            self.routes.extend(ports.into_iter().map(|port| (port, has_route)));
        }
        Ok(())
    }

    fn port(&self, name: &str) -> Result<PortId, String> {
        let sets = Sets::default();
        let judge = Judge::new(&self.network, &sets, ByHand::default());
        match parties(&judge, name)?.as_slice() {
            [Party { place: Place::Guest(port), .. }] => Ok(*port),
            _ => Err(format!("{name} is no machine")),
        }
    }

    fn check(&mut self, check: &Check) -> Result<(), String> {
        // How many of them answer is chance.
        if check.answerers().is_some() {
            return Ok(());
        }
        let sets = Sets::default();
        let by_hand = ByHand { all: false, each: self.routes.clone() };
        let mut judge = Judge::new(&self.network, &sets, by_hand);
        if check.from == INTERNET && judge.wires().is_empty() {
            return if check.wants_ok() {
                Err(format!("{}: nothing is outside", check.text))
            } else {
                Ok(())
            };
        }
        let sender = self.place(&check.from)?;
        let own = self.address(&judge, &check.from, check.v6).ok_or("the sender has no such address")?;
        let source: IpAddr = match check.facts.get("as") {
            Some(text) => text.parse().map_err(|_| format!("{text} is no address"))?,
            None => own,
        };
        let mut gateway = None;
        if let Place::Guest(port) = sender {
            judge.walker.claimed = check.facts.get("as").map(|_| (port, source));
            gateway = self.gateway(port, check.v6).map(|gateway| gateway.to_string());
        }
        let name = match check.to.as_str() {
            "gateway" => gateway.as_deref().unwrap_or("no gateway"),
            name => name,
        };
        let (place, to) = match name.parse::<IpAddr>() {
            Ok(address) => match check.facts.get("who") {
                // Any of several: a balancer chooses.
                Some(who) if !who.contains('|') => (self.place(who)?, address),
                Some(_) => (parties(&judge, name)?[0].place.clone(), address),
                None => match parties(&judge, name) {
                    Ok(found) => (found[0].place.clone(), address),
                    // Nobody has it: a guest may still try.
                    Err(_) => (Place::Outside, address),
                },
            },
            Err(_) => {
                let to = self.address(&judge, name, check.v6).ok_or("the receiver has no such address")?;
                (self.place(name)?, to)
            }
        };
        let from = party(&sets, sender, source);
        let to = party(&sets, place, to);
        let findings = judge.explain(&from, &to, packets(&sets, check));
        let [finding] = findings.as_slice() else {
            return Err(format!("{}: {} findings", check.text, findings.len()));
        };
        self.n_verdicts += 1;
        compare(check, finding)
    }

    fn place(&self, name: &str) -> Result<Place, String> {
        if name == INTERNET { Ok(Place::Outside) } else { self.port(name).map(Place::Guest) }
    }

    /// The address that somebody sends from and is sent to.
    fn address(&self, judge: &Judge<'_>, name: &str, v6: bool) -> Option<IpAddr> {
        if name == INTERNET {
            return if v6 { "2001:db8:203::1" } else { "203.0.113.1" }.parse().ok();
        }
        let own = judge.walker.guests.addresses(self.port(name).ok()?);
        own.into_iter().find(|address| address.is_ipv6() == v6)
    }

    /// The address of the router beside a machine.
    fn gateway(&self, port: PortId, v6: bool) -> Option<IpAddr> {
        let routers = self.network.routers_on(self.network.port(port).switch);
        let mut networks = routers.flat_map(|(_, id)| self.network.router_port(id).networks.clone());
        networks.find(|net| net.addr().is_ipv6() == v6).map(|net| net.addr())
    }
}

fn party(sets: &Sets, place: Place, address: IpAddr) -> Party {
    let (family, bits) = match address {
        IpAddr::V4(address) => (0x0800, u128::from(address.to_bits())),
        IpAddr::V6(address) => (0x86dd, address.to_bits()),
    };
    let family = sets.value(Field::EthType, family);
    let sources = sets.and(family, sets.value(Field::IpSrc, bits));
    let destinations = sets.and(family, sets.value(Field::IpDst, bits));
    Party { place, sources, destinations, public: destinations }
}

fn packets(sets: &Sets, check: &Check) -> Set {
    let port = check.port.map(|port| (port, port));
    match check.kind.as_str() {
        "tcp" => sets.and(service(sets, Some(Proto::Tcp), port), sets.value(Field::TpSrc, 40_000)),
        "udp" => sets.and(service(sets, Some(Proto::Udp), port), sets.value(Field::TpSrc, 40_000)),
        _ => service(sets, Some(Proto::Icmp), None),
    }
}

fn compare(check: &Check, finding: &Finding) -> Result<(), String> {
    let course = &finding.courses[0];
    let is_refused = course.request.flow.obstacles.first().is_some_and(|it| it.why.is_told());
    let outcome = match (finding.verdict, &course.request.end) {
        (Verdict::Reachable, _) => "ok",
        (Verdict::NoRoute, _) => "noroute",
        (Verdict::Blocked, _) if is_refused && check.kind != "ping" => "refused",
        (Verdict::Blocked, _) if is_refused => "reject",
        (Verdict::OneWay | Verdict::Blocked, _) => "drop",
        // Somebody who is not asked for has got it.
        (Verdict::Undetermined, End::Port(_) | End::Outside(_)) => "drop",
        (verdict, end) => return Err(format!("{}: {verdict:?} at {end:?}", check.text)),
    };
    if outcome != check.outcome {
        let obstacles = &course.request.flow.obstacles;
        return Err(format!("{}: {:?} {obstacles:?} {course:?}", check.text, finding.verdict));
    }
    let seen = course.request.flow.rewrite.apply(&finding.witness).source();
    let own = finding.witness.source().to_string();
    let is_named =
        check.to.parse::<IpAddr>().is_err() && ![&check.to, &check.from].contains(&&INTERNET.to_owned());
    let from = check.facts.get("from").or(is_named.then_some(&own)).filter(|_| check.kind != "ping");
    if from.is_some_and(|from| check.wants_ok() && *from != seen.to_string()) {
        return Err(format!("{}: it comes from {seen}", check.text));
    }
    let ttl = course.answer.as_ref().map(|answer| answer.flow.ttl.to_string()).unwrap_or_default();
    match check.facts.get("ttl") {
        Some(wanted) if !wanted.split('|').any(|one| one == ttl) => Err(format!("{}: ttl={ttl}", check.text)),
        _ => Ok(()),
    }
}

/// The rows that paths compile to.
pub(super) fn rows(paths: &[String], target: Target) -> Rows {
    const CHASSIS: &str = "--gateway-chassis=";
    let (options, paths): (Vec<&String>, Vec<&String>) = paths.iter().partition(|it| it.contains(CHASSIS));
    let chassis =
        options.iter().filter_map(|it| it.split_once(CHASSIS)).flat_map(|(_, list)| list.split(','));
    let chassis = chassis.filter_map(|it| it.split_once(':')).map(|(name, priority)| GatewayChassis {
        name: name.to_owned(),
        priority: priority.parse().ok(),
        span: None,
    });
    let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
    let (sources, failures) = files::read(&paths);
    assert!(failures.is_empty(), "the case can be read");
    let options = Options {
        owner: "default".to_owned(),
        target,
        remembered: Remembered::new(),
        gateway_chassis: chassis.collect(),
    };
    compile(&sources, &options, &mut Sink::new()).expect("the case compiles").rows
}
