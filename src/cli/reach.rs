//! `northc reach`: what can reach what, from rows alone. Refuses to send packets.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Streams, exit, input};
use crate::compile::{Options, compile};
use crate::diag::Sink;
use crate::reach::guest::ByHand;
use crate::reach::judge::{Judge, Party, Proto, Verdict, service};
use crate::reach::matrix::{Group, Matrix};
use crate::reach::network::Network;
use crate::reach::parties::{INTERNET, everybody, name_of, parties};
use crate::reach::set::{Set, Sets};
use crate::reach::show::{ASSUMPTIONS, Writer, verdict};
use crate::span::SourceMap;
use crate::target::Target;

const EXAMPLES: &str = "Examples:
  northc reach -f net.yaml web-1 db-1 tcp/5432  # may it, and if not, what stops it
  northc reach -f net.yaml web internet         # a subnet, a VPC, an address, a network, the Internet
  northc reach -f net/ --all                    # who reaches whom; who behaves alike stands together
  northc reach -f net/ --exposed                # what the Internet reaches, and what reaches it
  northc reach --db tcp:10.0.0.1:6641 web-1 db-1";

/// Arguments of `northc reach`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Who sends to whom, and what: SRC and DST are machines, subnets, VPCs, addresses, networks or `internet`;
    /// PROTO is tcp, udp or sctp with /PORT or /PORT-PORT, or icmp, and all of them by default
    #[arg(value_name = "SRC DST [PROTO[/PORT]]", num_args = 0..=3)]
    words: Vec<String>,
    /// Files and folders of YAML or JSON; `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", conflicts_with = "db")]
    files: Vec<PathBuf>,
    /// Every machine to every other
    #[arg(long, group = "many")]
    all: bool,
    /// One machine, subnet or VPC to every machine
    #[arg(long = "from", value_name = "SRC", group = "many")]
    from_one: Option<String>,
    /// Every machine to one machine, subnet or VPC
    #[arg(long = "to", value_name = "DST", group = "many")]
    to_one: Option<String>,
    /// The Internet to every machine, and every machine to the Internet
    #[arg(long, group = "many")]
    exposed: bool,
    /// As if every machine had its default routes, told or not
    #[arg(long)]
    routed: bool,
    /// How to tell the answer
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    format: Format,
    /// The OVN that the rows are for
    #[arg(long, value_name = "YY.MM", default_value_t = Target::OLDEST)]
    ovn_version: Target,
    /// Use the addresses that are remembered in this file
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Chassis that may carry gateways, the preferred first; instead of those that Nodes name
    #[arg(long, value_name = "NAME[:PRIORITY],…", value_parser = input::chassis_list)]
    gateway_chassis: Option<input::ChassisList>,
    #[cfg(feature = "live")]
    #[command(flatten)]
    database: super::database::DatabaseArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    proto: Proto,
    ports: Option<(u16, u16)>,
}

fn asked(text: &str) -> Result<Asked, String> {
    let (name, ports) = text.split_once('/').map_or((text, None), |(name, ports)| (name, Some(ports)));
    let all = [Proto::Tcp, Proto::Udp, Proto::Sctp, Proto::Icmp];
    let proto = all.into_iter().find(|proto| proto.name() == name);
    let proto = proto.ok_or_else(|| format!("`{name}` is none of tcp, udp, sctp, icmp"))?;
    if proto == Proto::Icmp && ports.is_some() {
        return Err("icmp has no ports".to_owned());
    }
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is no port, 0 to 65535"));
    let ports = match ports {
        None => None,
        Some(text) => {
            let (low, high) = text.split_once('-').unwrap_or((text, text));
            let (low, high) = (port(low)?, port(high)?);
            if low > high {
                return Err(format!("{low} is above {high}"));
            }
            Some((low, high))
        }
    };
    Ok(Asked { proto, ports })
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let (ends, what) = match question(args) {
        Ok(question) => question,
        Err(problem) => {
            streams.say(&format!("error: {problem}\n"));
            return exit::USAGE;
        }
    };
    let (network, sources) = match network(args, streams) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let sets = Sets::default();
    let by_hand = ByHand { all: args.routed, ..ByHand::default() };
    let mut judge = Judge::new(&network, &sets, by_hand);
    let service = service(&sets, what.map(|it| it.proto), what.and_then(|it| it.ports));
    let answered = match ends {
        Some(ends) => pair(args, &mut judge, &sources, ends, service, streams),
        None => many(args, &mut judge, service, streams),
    };
    answered.unwrap_or_else(|problem| {
        streams.say(&format!("error: {problem}\n"));
        exit::USAGE
    })
}

/// Two ends, where two are asked about, and what is sent.
type Question<'a> = (Option<(&'a str, &'a str)>, Option<Asked>);

fn question(args: &Args) -> Result<Question<'_>, String> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let is_many = args.all || args.exposed || args.from_one.is_some() || args.to_one.is_some();
    match (words.as_slice(), is_many) {
        ([], true) => Ok((None, None)),
        ([what], true) => Ok((None, Some(asked(what)?))),
        ([_, extra, ..], true) => Err(format!("`{extra}` is one word too many here")),
        ([from, to], false) => Ok((Some((from, to)), None)),
        ([from, to, what], false) => Ok((Some((from, to)), Some(asked(what)?))),
        (_, false) => Err("say who: SRC and DST, or --all, --from, --to or --exposed".to_owned()),
    }
}

/// The rows of the input or of the database.
fn network(args: &Args, streams: &mut Streams<'_>) -> Result<(Network, SourceMap), u8> {
    if args.files.is_empty() {
        return live(args, streams).map(|network| (network, SourceMap::new()));
    }
    let input = input::InputArgs::of(
        args.files.clone(),
        args.ovn_version,
        args.lock.clone(),
        args.gateway_chassis.clone(),
    );
    let mut sink = Sink::new();
    let sources = input.read(&mut sink);
    let remembered = input.remembered(&mut sink);
    let options = Options {
        owner: "default".to_owned(),
        target: args.ovn_version,
        remembered,
        gateway_chassis: input.gateway_chassis(),
    };
    match compile(&sources, &options, &mut sink) {
        Some(compiled) => Ok((Network::of_rows(&compiled.rows, args.ovn_version), sources)),
        None => {
            input.tell(sink, &sources, streams, false);
            Err(exit::NO)
        }
    }
}

#[cfg(feature = "live")]
fn live(args: &Args, streams: &mut Streams<'_>) -> Result<Network, u8> {
    use super::database::{block_on, refuse};
    let read = args.database.northbound().and_then(|session| block_on(session.actual()));
    match read {
        Ok(actual) => Ok(Network::of_actual(&actual, args.ovn_version)),
        Err(fault) => Err(refuse(&fault, streams)),
    }
}

#[cfg(not(feature = "live"))]
fn live(_: &Args, streams: &mut Streams<'_>) -> Result<Network, u8> {
    streams.say("error: this northc was built without the feature `live`; it reads files (-f) only\n");
    Err(exit::USAGE)
}

/// Explains every pair of two names.
fn pair(
    args: &Args,
    judge: &mut Judge<'_>,
    sources: &SourceMap,
    (from, to): (&str, &str),
    service: Set,
    streams: &mut Streams<'_>,
) -> Result<u8, String> {
    let (senders, receivers) = (parties(judge, from)?, parties(judge, to)?);
    let (mut text, mut documents, mut verdicts) = (String::new(), Vec::new(), Vec::new());
    for sender in &senders {
        for receiver in receivers.iter().filter(|receiver| *receiver != sender) {
            let asked = judge.sets.and(judge.sets.and(sender.sources, receiver.known_to(sender)), service);
            let findings = judge.explain(sender, receiver, service);
            let writer = Writer { judge, sources };
            let (from, to) = (name_of(judge.network, sender), name_of(judge.network, receiver));
            let found: Vec<String> = findings.iter().map(|it| writer.finding(it, asked)).collect();
            let found = if found.is_empty() { vec!["blocked: no common family\n".to_owned()] } else { found };
            found.iter().for_each(|found| text.push_str(&format!("{from} → {to}: {found}")));
            let said = verdict(&findings).map_or("mixed", Verdict::name);
            let said = if findings.is_empty() { Verdict::Blocked.name() } else { said };
            let found: Vec<Value> = findings.iter().map(|it| writer.document(it, asked)).collect();
            documents.push(json!({"from": from, "to": to, "verdict": said, "findings": found}));
            verdicts.extend(findings.iter().map(|finding| finding.verdict));
            verdicts.extend(findings.is_empty().then_some(Verdict::Blocked));
        }
    }
    if verdicts.is_empty() {
        return Err(format!("`{from}` and `{to}` are the same machine"));
    }
    let code = code(&verdicts);
    match args.format {
        Format::Text => streams.data(&text),
        Format::Json => streams.data(&document("pairs", documents, code)),
    }
    Ok(code)
}

/// Writes a matrix of groups.
fn many(args: &Args, judge: &mut Judge<'_>, service: Set, streams: &mut Streams<'_>) -> Result<u8, String> {
    let all = everybody(judge);
    let mut tables: Vec<(Vec<Party>, Vec<Party>)> = Vec::new();
    if args.exposed {
        if judge.wires().is_empty() {
            streams.say("no switch has a port to a physical network: nothing is exposed\n");
            return Ok(exit::OK);
        }
        let internet = parties(judge, INTERNET)?;
        tables.push((internet.clone(), all.clone()));
        tables.push((all, internet));
    } else if let Some(from) = &args.from_one {
        tables.push((parties(judge, from)?, all));
    } else if let Some(to) = &args.to_one {
        tables.push((all, parties(judge, to)?));
    } else {
        tables.push((all.clone(), all));
    }
    let (mut text, mut documents, mut verdicts) = (String::new(), Vec::new(), Vec::new());
    for (from, to) in &tables {
        let matrix = Matrix::new(judge, from, to, service);
        verdicts.extend(matrix.verdicts());
        for sender in &matrix.from {
            for receiver in &matrix.to {
                let Some(cell) = matrix.cell(sender, receiver) else { continue };
                let names = |parties: &[Party], group: &Group| {
                    let names = group.iter().map(|at| name_of(judge.network, &parties[*at]));
                    names.collect::<Vec<String>>()
                };
                let (sender, receiver) = (names(from, sender), names(to, receiver));
                let said = cell.0.iter().map(|(verdict, services)| match services.is_empty() {
                    true => verdict.name().to_owned(),
                    false => format!("{} for {services}", verdict.name()),
                });
                let said = said.collect::<Vec<_>>().join("; ");
                text.push_str(&format!("{} → {}: {said}\n", sender.join(", "), receiver.join(", ")));
                let by_verdict = cell.0.iter().map(|(verdict, services)| (verdict.name(), services));
                let by_verdict: std::collections::BTreeMap<_, _> = by_verdict.collect();
                documents.push(json!({"from": sender, "to": receiver, "verdicts": by_verdict}));
            }
        }
    }
    let is_open = verdicts.iter().any(|it| matches!(it, Verdict::Undetermined | Verdict::Ambiguous));
    let code = if is_open { exit::UNDETERMINED } else { exit::OK };
    match args.format {
        Format::Text => streams.data(&text),
        Format::Json => streams.data(&document("matrix", documents, code)),
    }
    Ok(code)
}

fn document(kind: &str, found: Vec<Value>, code: u8) -> String {
    let document = json!({
        "format_version": "1.0",
        "kind": format!("northc.reach.{kind}"),
        kind: found,
        "assumptions": ASSUMPTIONS,
        "exit": code,
    });
    format!("{document:#}\n")
}

/// What is asked holds, does not, or is open.
fn code(verdicts: &[Verdict]) -> u8 {
    let is_open = |it: &Verdict| matches!(it, Verdict::Undetermined | Verdict::Ambiguous);
    let is_no = |it: &Verdict| matches!(it, Verdict::Blocked | Verdict::OneWay | Verdict::NoRoute);
    if verdicts.iter().any(is_no) {
        exit::NO
    } else if verdicts.iter().any(is_open) {
        exit::UNDETERMINED
    } else {
        exit::OK
    }
}
