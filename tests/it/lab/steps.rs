//! The file `steps` of a case: text in, steps out. The language is described in `fixtures/lab/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A case's script.
#[derive(Debug)]
pub(crate) struct Steps {
    /// The oldest version of OVN it runs on.
    pub(crate) needs: Option<String>,
    /// Texts of warnings that it provokes.
    pub(crate) logs: Vec<String>,
    pub(crate) steps: Vec<(usize, Step)>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Apply(Vec<String>),
    Refuse {
        paths: Vec<String>,
        code: String,
    },
    /// `name` is `*` for every machine that is not there yet.
    Plug {
        name: String,
        node: Option<String>,
        guest: Guest,
    },
    Unplug(String),
    Route {
        name: String,
        on: bool,
    },
    Has {
        name: String,
        words: Vec<String>,
    },
    /// Neighbouring checks, sent at once.
    Checks(Vec<Check>),
    Serve {
        name: String,
        proto: String,
        port: u16,
        v6: bool,
    },
    Flow(Check),
    Settle,
    Nbctl(Vec<String>),
    Exec {
        name: String,
        command: Vec<String>,
    },
    /// A machine asks for a name, or the name of an address.
    Lookup {
        name: String,
        question: String,
        answers: BTreeSet<String>,
        /// The server, if not the one that it was told.
        by: Option<String>,
    },
    /// Somebody has logged a packet with this in it.
    Logged(String),
    Freeze(String),
    Thaw(String),
}

/// Where a guest's addresses and routes come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Guest(pub(crate) BTreeSet<String>);

/// One packet, or one flow of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    pub(crate) line: usize,
    /// As written, for messages.
    pub(crate) text: String,
    /// `ping`, `tcp` or `udp`.
    pub(crate) kind: String,
    pub(crate) v6: bool,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) port: Option<u16>,
    pub(crate) outcome: String,
    pub(crate) facts: BTreeMap<String, String>,
    /// `lost<=0 gap<=500`: what a flow may cost.
    pub(crate) bounds: Vec<Bound>,
}

/// `lost<=0`, or `lost>=20` for a flow that an edit should cut.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) what: String,
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Check {
    pub(crate) fn wants_ok(&self) -> bool {
        self.outcome == "ok"
    }

    /// How many machines must answer many connections, if that is what the check is about: one, or more.
    pub(crate) fn answerers(&self) -> Option<std::ops::RangeInclusive<usize>> {
        match self.facts.get("who").map(String::as_str) {
            Some("one") => Some(1..=1),
            Some("several") => Some(2..=usize::MAX),
            _ => None,
        }
    }
}

const OUTCOMES: [&str; 5] = ["ok", "drop", "noroute", "refused", "reject"];
const FACTS: [&str; 6] = ["ttl", "from", "who", "as", "size", "dscp"];
const GUESTS: [&str; 5] = ["route", "static", "dhcp", "dhcp6", "ra"];

pub(crate) fn parse(text: &str) -> Result<Steps, String> {
    let mut out = Steps { needs: None, logs: Vec::new(), steps: Vec::new() };
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        let words: Vec<&str> = line.split(" #").next().unwrap_or("").split_whitespace().collect();
        if words.is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        step(&words, line, line_number, &mut out).map_err(|e| format!("line {line_number}: {e}"))?;
    }
    controls(&out)?;
    Ok(out)
}

fn step(words: &[&str], line: &str, number: usize, out: &mut Steps) -> Result<(), String> {
    let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let step = match words {
        ["needs", version] => {
            out.needs = Some((*version).to_owned());
            return Ok(());
        }
        ["logs", ..] => {
            out.logs.push(words[1..].join(" "));
            return Ok(());
        }
        ["apply", paths @ ..] if !paths.is_empty() => Step::Apply(owned(paths)),
        ["refuse", paths @ .., code] if !paths.is_empty() => {
            Step::Refuse { paths: owned(paths), code: (*code).to_owned() }
        }
        ["vm", name, "on", node, words @ ..] => {
            Step::Plug { name: (*name).to_owned(), node: Some((*node).to_owned()), guest: guest(words)? }
        }
        ["vm", name, words @ ..] => Step::Plug { name: (*name).to_owned(), node: None, guest: guest(words)? },
        ["unplug", name] => Step::Unplug((*name).to_owned()),
        ["guest", name, "route"] => Step::Route { name: (*name).to_owned(), on: true },
        ["guest", name, "noroute"] => Step::Route { name: (*name).to_owned(), on: false },
        ["guest", name, "has", words @ ..] => Step::Has { name: (*name).to_owned(), words: owned(words) },
        ["serve", name, service] => {
            let (proto, port) = service.split_once(':').ok_or("serve NAME tcp:PORT")?;
            let (port, v6) = (port_number(port)?, proto.ends_with('6'));
            Step::Serve { name: (*name).to_owned(), proto: proto.trim_end_matches('6').to_owned(), port, v6 }
        }
        ["flow", rest @ ..] => {
            let checks = checks(rest, line, number, true)?;
            out.steps.extend(checks.into_iter().map(|check| (number, Step::Flow(check))));
            return Ok(());
        }
        ["settle"] => Step::Settle,
        ["nbctl", args @ ..] => Step::Nbctl(owned(args)),
        ["exec", name, command @ ..] => Step::Exec { name: (*name).to_owned(), command: owned(command) },
        ["lookup", name, question, rest @ ..] => {
            let (by, answers): (Vec<&str>, Vec<&str>) = rest.iter().partition(|w| w.starts_with("by="));
            if answers.is_empty() {
                return Err("lookup NAME QUESTION ANSWER…, or none".to_owned());
            }
            Step::Lookup {
                name: (*name).to_owned(),
                question: (*question).to_owned(),
                answers: owned(&answers).into_iter().filter(|answer| answer != "none").collect(),
                by: by.first().map(|by| by.trim_start_matches("by=").to_owned()),
            }
        }
        ["logged", ..] => Step::Logged(words[1..].join(" ")),
        ["freeze", node] => Step::Freeze((*node).to_owned()),
        ["thaw", node] => Step::Thaw((*node).to_owned()),
        ["ping" | "ping6" | "tcp" | "tcp6" | "udp" | "udp6", ..] => {
            let checks = checks(words, line, number, false)?;
            if let Some((_, Step::Checks(before))) = out.steps.last_mut() {
                before.extend(checks);
                return Ok(());
            }
            Step::Checks(checks)
        }
        _ => return Err(format!("no such step: {}", line.trim())),
    };
    out.steps.push((number, step));
    Ok(())
}

fn guest(words: &[&str]) -> Result<Guest, String> {
    words
        .iter()
        .map(|word| match GUESTS.contains(word) {
            true => Ok((*word).to_owned()),
            false => Err(format!("a guest is none of: {}", GUESTS.join(", "))),
        })
        .collect::<Result<_, _>>()
        .map(Guest)
}

fn port_number(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text} is no port"))
}

/// `KIND A[, A…] -> B[, B…][:PORT] [OUTCOME] [KEY=VALUE…]`, one check a pair.
fn checks(words: &[&str], line: &str, number: usize, flow: bool) -> Result<Vec<Check>, String> {
    let arrow = words.iter().position(|w| *w == "->" || *w == "<->").ok_or("A -> B is missing")?;
    let names = |words: &[&str]| -> Vec<String> {
        words.join(" ").split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect()
    };
    let from = names(&words[1..arrow]);
    let is_to = |word: &str| !OUTCOMES.contains(&word) && !word.contains('=');
    let end = words[arrow + 1..].iter().position(|w| !is_to(w)).map_or(words.len(), |n| arrow + 1 + n);
    let to = names(&words[arrow + 1..end]);
    if from.is_empty() || to.is_empty() {
        return Err("A -> B is missing".to_owned());
    }
    let kind = words[0].trim_end_matches('6');
    let mut check = Check {
        line: number,
        text: line.trim().to_owned(),
        kind: kind.to_owned(),
        v6: words[0].ends_with('6'),
        from: String::new(),
        to: String::new(),
        port: None,
        outcome: String::new(),
        facts: BTreeMap::new(),
        bounds: Vec::new(),
    };
    for word in &words[end..] {
        if let Some(bound) = bound(word)? {
            check.bounds.push(bound);
        } else if let Some((key, value)) = word.split_once('=') {
            if !FACTS.contains(&key) {
                return Err(format!("{key} is none of: {}", FACTS.join(", ")));
            }
            check.facts.insert(key.to_owned(), value.to_owned());
        } else if check.outcome.is_empty() {
            check.outcome = (*word).to_owned();
        } else {
            return Err(format!("two outcomes: {} and {word}", check.outcome));
        }
    }
    match (flow, check.outcome.is_empty(), check.bounds.iter().any(|b| b.what == "lost")) {
        (false, true, _) => return Err(format!("an outcome is missing, one of: {}", OUTCOMES.join(", "))),
        (true, false, _) | (true, _, false) => return Err("a flow takes no outcome, but lost<=N".to_owned()),
        _ => {}
    }
    let mut out = Vec::new();
    for a in &from {
        for b in &to {
            let (b, port) = with_port(b, kind)?;
            if *a == b {
                continue;
            }
            out.push(Check { from: a.clone(), to: b.clone(), port, ..check.clone() });
            if words[arrow] == "<->" {
                out.push(Check { from: b, to: a.clone(), port, ..check.clone() });
            }
        }
    }
    Ok(out)
}

fn bound(word: &str) -> Result<Option<Bound>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{word}: a number is missing"));
    Ok(if let Some((what, most)) = word.split_once("<=") {
        Some(Bound { what: what.to_owned(), least: 0, most: number(most)? })
    } else if let Some((what, least)) = word.split_once(">=") {
        Some(Bound { what: what.to_owned(), least: number(least)?, most: u64::MAX })
    } else {
        None
    })
}

/// `vm2:80`, `10.0.0.1:80`, `[fd00::1]:80`, `vm2`, `fd00::1`.
fn with_port(text: &str, kind: &str) -> Result<(String, Option<u16>), String> {
    if kind == "ping" {
        return Ok((text.to_owned(), None));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{text}: a port is missing"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), Some(port_number(port)?)))
}

/// A packet that must not arrive proves nothing if none ever could.
fn controls(steps: &Steps) -> Result<(), String> {
    let all = || {
        steps.steps.iter().flat_map(|(_, step)| match step {
            Step::Checks(checks) => checks.as_slice(),
            Step::Flow(check) => std::slice::from_ref(check),
            _ => &[],
        })
    };
    let live: BTreeSet<&str> = all()
        .filter(|check| check.wants_ok() || !check.bounds.is_empty())
        .flat_map(|check| [check.from.as_str(), check.to.as_str()])
        .collect();
    for check in
        all().filter(|check| check.outcome != "noroute" && !check.wants_ok() && check.bounds.is_empty())
    {
        for end in [&check.from, &check.to] {
            let outside =
                end.parse::<IpAddr>().is_ok() || ["internet", "gateway", "*", "next"].contains(&end.as_str());
            if !outside && !live.contains(end.as_str()) {
                return Err(format!(
                    "line {}: nothing shows that {end} can be reached at all; add a check with `ok` for it",
                    check.line
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Vec<Check> {
        match parse(text).map(|s| s.steps) {
            Ok(steps) => steps
                .into_iter()
                .flat_map(|(_, step)| match step {
                    Step::Checks(checks) => checks,
                    Step::Flow(check) => vec![check],
                    _ => Vec::new(),
                })
                .collect(),
            Err(e) => panic!("{e}"),
        }
    }

    #[test]
    fn a_check_names_every_pair() {
        let checks = only("ping a, b <-> c, a ok ttl=63 # R03");
        let pairs: Vec<_> = checks.iter().map(|c| format!("{}>{}", c.from, c.to)).collect();
        assert_eq!(pairs, ["a>c", "c>a", "b>c", "c>b", "b>a", "a>b"]);
        assert_eq!(checks[0].facts["ttl"], "63");
    }

    #[test]
    fn a_port_follows_a_name_or_an_address() {
        let checks = only("tcp6 a -> [fd00::1]:80 ok\nudp a -> b:53 ok from=10.0.0.1|10.0.0.2");
        assert_eq!((checks[0].to.as_str(), checks[0].port, checks[0].v6), ("fd00::1", Some(80), true));
        assert_eq!((checks[1].to.as_str(), checks[1].port, checks[1].v6), ("b", Some(53), false));
    }

    #[test]
    fn many_connections_are_answered_by_one_or_by_several() {
        let checks =
            only("tcp a -> 10.0.0.1:80 ok who=one\ntcp a -> 10.0.0.1:80 ok who=several\ntcp a -> b:80 ok");
        let n = |at: usize| checks[at].answerers();
        assert_eq!((n(0), n(1), n(2)), (Some(1..=1), Some(2..=usize::MAX), None));
    }

    #[test]
    fn silence_needs_a_control() {
        let error = parse("ping a -> b drop").expect_err("a and b never answered");
        assert!(error.contains("line 1"), "{error}");
        assert!(parse("ping a -> b drop\nping a -> gateway ok\nping b -> gateway ok").is_ok());
        assert!(parse("ping a -> b noroute").is_ok());
    }

    #[test]
    fn a_flow_has_a_bound() {
        let bound = |least, most| Bound { what: "lost".to_owned(), least, most };
        assert_eq!(only("flow ping a -> b lost<=2")[0].bounds, [bound(0, 2)]);
        assert_eq!(only("flow ping a -> b lost>=9")[0].bounds, [bound(9, u64::MAX)]);
        assert!(parse("flow ping a -> b ok").is_err());
        assert!(parse("ping a -> b").is_err());
    }

    #[test]
    fn what_is_no_step_is_said_with_its_line() {
        assert_eq!(parse("\n# x\nwait 5").expect_err("no such step"), "line 3: no such step: wait 5");
    }
}
