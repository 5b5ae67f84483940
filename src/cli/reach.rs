//! `northc reach`: what can reach what, from rows alone. Refuses to send packets.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Streams, exit, expecting, input};
use crate::compile::{Compiled, Options, compile};
use crate::diag::{Sink, format};
use crate::expect::{self, Holds, Outcome, set_of, show};
use crate::model::{Expectation, Service};
use crate::nb::dump;
use crate::progress;
use crate::reach::guest::ByHand;
use crate::reach::judge::{Judge, Party, Place, Verdict, service};
use crate::reach::matrix::{Group, Matrix};
use crate::reach::network::Network;
use crate::reach::parties::{INTERNET, Who, machines, name_of, parties};
use crate::reach::set::{Set, Sets};
use crate::reach::show::{ASSUMPTIONS, Writer, verdict};
use crate::reach::table::{self, Entry};
use crate::source;
use crate::span::SourceMap;
use crate::target::Target;

const EXAMPLES: &str = "Examples:
  northc reach -f net.yaml web-1 db-1 tcp/5432  # may it, and if not, what stops it
  northc reach -f net.yaml web internet         # a subnet, a VPC, an address, a network, the Internet
  northc reach -f net.yaml app=web db-1         # machines by their labels
  northc reach -f net/ --all                    # who reaches whom; who behaves alike stands together
  northc reach -f net/ --exposed                # what the Internet reaches, and what reaches it
  northc reach -f net/ --expect                 # whether the Expectations of the input hold
  northc reach --db tcp:10.0.0.1:6641 --expect rules.yaml --format junit
  northc reach --dump saved.json web-1 db-1     # rows that somebody has saved";

/// Arguments of `northc reach`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Who sends to whom, and what: SRC and DST are machines, subnets, VPCs, addresses, networks, labels (app=web),
    /// `*` or `internet`; PROTO is tcp, udp or sctp with /PORT or /PORT-PORT, or icmp, and all of them by default
    #[arg(value_name = "SRC DST [PROTO[/PORT]]", num_args = 0..=3)]
    words: Vec<String>,
    /// Files and folders of YAML or JSON; `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", conflicts_with = "db")]
    files: Vec<PathBuf>,
    /// A saved database: what `ovsdb-client dump --format=json` printed or `ovsdb-client backup` wrote; `-` is standard
    /// input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["db", "files"])]
    dump: Option<PathBuf>,
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
    /// Whether the Expectations of these files, and of the input, hold
    #[arg(long, value_name = "FILE", num_args = 0.., group = "many")]
    expect: Option<Vec<PathBuf>>,
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
    /// Markdown, for a comment on a pull request
    Markdown,
    /// SARIF 2.1.0, of expectations
    Sarif,
    /// Commands of GitHub's runners, of expectations
    Github,
    /// JUnit's XML, of expectations
    Junit,
    /// Graphviz, of many
    Dot,
    /// A picture, of many
    Svg,
}

/// What is asked.
enum Question<'a> {
    /// One to another.
    Pair(&'a str, &'a str, Option<Service>),
    /// Many to many.
    Many(Option<Service>),
    /// Whether expectations hold.
    Expectations,
}

/// What there is to ask about.
struct World {
    network: Network,
    sources: SourceMap,
    expectations: Vec<Expectation>,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let question = match question(args) {
        Ok(question) => question,
        Err(problem) => {
            streams.say(&format!("error: {problem}\n"));
            return exit::USAGE;
        }
    };
    let world = match world(args, streams) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let World { network, sources, expectations } = &world;
    let sets = Sets::default();
    let by_hand = ByHand { all: args.routed, ..ByHand::default() };
    let mut judge = Judge::new(network, &sets, by_hand);
    let set = |said: Option<Service>| said.map_or_else(|| service(&sets, None, None), |it| set_of(&sets, it));
    let answered = match question {
        Question::Pair(from, to, said) => pair(args, &mut judge, sources, (from, to), set(said), streams),
        Question::Many(said) => many(args, &mut judge, set(said), streams),
        Question::Expectations => {
            let outcomes = expect::judge(expectations, network, sources, args.routed);
            Ok(expected(args, &outcomes, sources, streams))
        }
    };
    answered.unwrap_or_else(|problem| {
        streams.say(&format!("error: {problem}\n"));
        exit::USAGE
    })
}

fn question(args: &Args) -> Result<Question<'_>, String> {
    use Format::{Dot, Github, Json, Junit, Markdown, Sarif, Svg, Text};
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    // Other verbs take paths as they come; here they would be names.
    if let Some(path) = words.iter().find(|word| word.contains(['.', '/']) && Path::new(word).exists()) {
        return Err(format!(
            "`{path}` is a file or folder, which stands behind -f: northc reach -f {path} SRC DST"
        ));
    }
    let is_many = args.all || args.exposed || args.from_one.is_some() || args.to_one.is_some();
    let (question, formats): (_, &[Format]) = match (words.as_slice(), is_many, &args.expect) {
        ([], false, Some(_)) => (Question::Expectations, &[Text, Json, Markdown, Sarif, Github, Junit]),
        ([extra, ..], _, Some(_)) => return Err(format!("`{extra}` is one word too many here")),
        ([], true, _) => (Question::Many(None), &[Text, Json, Markdown, Dot, Svg]),
        ([what], true, _) => (Question::Many(Some(what.parse()?)), &[Text, Json, Markdown, Dot, Svg]),
        ([_, extra, ..], true, _) => return Err(format!("`{extra}` is one word too many here")),
        ([from, to], false, _) => (Question::Pair(from, to, None), &[Text, Json, Markdown]),
        ([from, to, what], false, _) => {
            (Question::Pair(from, to, Some(what.parse()?)), &[Text, Json, Markdown])
        }
        (_, false, _) => {
            return Err("say who: SRC and DST, or --all, --from, --to, --exposed or --expect".to_owned());
        }
    };
    if formats.contains(&args.format) {
        return Ok(question);
    }
    let name = |format: &Format| format.to_possible_value().map(|it| it.get_name().to_owned());
    let names: Vec<String> = formats.iter().filter_map(name).collect();
    let wanted = name(&args.format).unwrap_or_default();
    Err(format!("this answer has no `{wanted}`; it has {}", names.join(", ")))
}

/// The rows of the input or of the database, and what is expected of them.
fn world(args: &Args, streams: &mut Streams<'_>) -> Result<World, u8> {
    let expected = args.expect.clone().unwrap_or_default();
    let files = [args.files.as_slice(), &expected].concat();
    let input =
        input::InputArgs::of(files, args.ovn_version, args.lock.clone(), args.gateway_chassis.clone());
    let mut sink = Sink::new();
    if args.files.is_empty() {
        let sources = if expected.is_empty() { SourceMap::new() } else { input.read(&mut sink) };
        let model = source::read(&sources, &mut sink);
        if sink.n_errors() > 0 {
            input.tell(sink, &sources, streams, false)?;
        }
        let network = match &args.dump {
            Some(path) => saved(path, args.ovn_version, streams)?,
            None => live(args, streams)?,
        };
        return Ok(World { network, sources, expectations: model.expectations });
    }
    let sources = input.read(&mut sink);
    let remembered = input.remembered(&mut sink);
    let options = Options {
        owner: "default".to_owned(),
        target: args.ovn_version,
        remembered,
        gateway_chassis: input.gateway_chassis(),
    };
    match compile(&sources, &options, &mut sink) {
        Some(Compiled { rows, model, .. }) => {
            let network = expecting::network(&rows, &model, args.ovn_version);
            Ok(World { network, sources, expectations: model.expectations })
        }
        None => Err(input.tell(sink, &sources, streams, false).err().unwrap_or(exit::NO)),
    }
}

/// The rows of a saved database.
fn saved(path: &Path, target: Target, streams: &mut Streams<'_>) -> Result<Network, u8> {
    let text = match path.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(path),
    };
    let read = text.map_err(|error| error.to_string()).and_then(|text| dump::read(&text));
    read.map(|actual| Network::of_actual(&actual, target)).map_err(|why| {
        streams.say(&format!("error: {}: {why}\n", path.display()));
        exit::NO
    })
}

#[cfg(feature = "live")]
fn live(args: &Args, streams: &mut Streams<'_>) -> Result<Network, u8> {
    use super::database::{read, refuse};
    match read(args.database.northbound()) {
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
    let stage = tracing::info_span!("follow packets").entered();
    for sender in progress::along(senders.iter(), senders.len()) {
        let is_other = |receiver: &&Party| match &receiver.place {
            Place::Guest(_) => receiver.place != sender.place,
            Place::Router | Place::Outside | Place::Balanced(_) => *receiver != sender,
        };
        for receiver in receivers.iter().filter(is_other) {
            let asked = judge.sets.and(judge.sets.and(sender.sources, receiver.known_to(sender)), service);
            let findings = judge.explain(sender, receiver, service);
            let writer = Writer { judge, sources };
            let (from, to) = (name_of(judge.network, &sender.place), name_of(judge.network, &receiver.place));
            let found: Vec<String> = findings.iter().map(|it| writer.finding(it, asked)).collect();
            let nothing = || vec![format!("blocked: {}\n", judge.nothing(sender))];
            let found = if found.is_empty() { nothing() } else { found };
            found.iter().for_each(|found| text.push_str(&format!("{from} → {to}: {found}")));
            let said = verdict(&findings).map_or("mixed", Verdict::name);
            let said = if findings.is_empty() { Verdict::Blocked.name() } else { said };
            let found: Vec<Value> = findings.iter().map(|it| writer.document(it, asked)).collect();
            documents.push(json!({"from": from, "to": to, "verdict": said, "findings": found}));
            verdicts.extend(findings.iter().map(|finding| finding.verdict));
            verdicts.extend(findings.is_empty().then_some(Verdict::Blocked));
        }
    }
    drop(stage);
    if verdicts.is_empty() {
        return Err(format!("`{from}` and `{to}` are the same machine"));
    }
    let code = code(&verdicts);
    match args.format {
        Format::Json => streams.data(&document([("pairs", documents)], "pairs", code)),
        Format::Markdown => streams.data(&format!("### {from} → {to}\n\n~~~~\n{text}~~~~\n")),
        _ => streams.data(&text),
    }
    Ok(code)
}

/// Writes what came of expectations.
fn expected(args: &Args, outcomes: &[Outcome<'_>], sources: &SourceMap, streams: &mut Streams<'_>) -> u8 {
    let has = |holds| outcomes.iter().any(|outcome| outcome.holds() == holds);
    let code = match (has(Holds::No), has(Holds::Open)) {
        (true, _) => exit::NO,
        (false, true) => exit::UNDETERMINED,
        (false, false) => exit::OK,
    };
    let diagnostics = || outcomes.iter().flat_map(Outcome::diagnostics).collect::<Vec<_>>();
    streams.data(&match args.format {
        Format::Json => format!("{:#}\n", show::document(outcomes, sources, code)),
        Format::Markdown => show::markdown(outcomes, sources),
        Format::Sarif => format::sarif(&diagnostics(), sources),
        Format::Github => format::github(&diagnostics(), sources),
        Format::Junit => show::junit(outcomes, sources),
        Format::Text | Format::Dot | Format::Svg => show::text(outcomes, sources),
    });
    code
}

/// Writes a matrix of groups.
fn many(args: &Args, judge: &mut Judge<'_>, service: Set, streams: &mut Streams<'_>) -> Result<u8, String> {
    let all: Vec<Who> = machines(judge).map(Who::Machine).collect();
    let named =
        |name| parties(judge, name).map(|found| found.into_iter().map(|it| Who::of(judge, it)).collect());
    let mut tables: Vec<(Vec<Who>, Vec<Who>)> = Vec::new();
    if args.exposed {
        if judge.wires().is_empty() {
            streams.say("no switch has a port to a physical network: nothing is exposed\n");
        } else {
            let internet: Vec<Who> = named(INTERNET)?;
            tables.push((internet.clone(), all.clone()));
            tables.push((all, internet));
        }
    } else if let Some(from) = &args.from_one {
        tables.push((named(from)?, all));
    } else if let Some(to) = &args.to_one {
        tables.push((all, named(to)?));
    } else {
        tables.push((all.clone(), all));
    }
    let (mut entries, mut verdicts) = (Vec::new(), Vec::new());
    for (from, to) in &tables {
        let matrix = Matrix::new(judge, from, to, service);
        verdicts.extend(matrix.verdicts());
        let names = |parties: &[Who], groups: &[Group]| {
            let name = |at: &usize| name_of(judge.network, &parties[*at].place());
            groups.iter().map(|group| group.iter().map(&name).collect()).collect::<Vec<Rc<[String]>>>()
        };
        let senders = names(from, &matrix.from);
        let is_square = from == to && matrix.from == matrix.to;
        let receivers = if is_square { senders.clone() } else { names(to, &matrix.to) };
        for (sender, from) in matrix.from.iter().zip(&senders) {
            for (receiver, to) in matrix.to.iter().zip(&receivers) {
                let Some(cell) = matrix.cell(sender, receiver) else { continue };
                let verdicts = cell.0.iter().map(|(verdict, services)| (*verdict, services.clone()));
                entries.push(Entry { from: from.clone(), to: to.clone(), verdicts: verdicts.collect() });
            }
        }
    }
    let is_open = verdicts.iter().any(|it| matches!(it, Verdict::Undetermined | Verdict::Ambiguous));
    let code = if is_open { exit::UNDETERMINED } else { exit::OK };
    streams.data(&match args.format {
        Format::Json => {
            let (groups, matrix) = table::documents(&entries);
            document([("groups", groups), ("matrix", matrix)], "matrix", code)
        }
        Format::Markdown => table::markdown(&entries),
        Format::Dot => table::dot(&entries),
        Format::Svg => table::svg(&entries),
        Format::Text | Format::Sarif | Format::Github | Format::Junit => table::text(&entries),
    });
    Ok(code)
}

fn document<const N: usize>(found: [(&str, Vec<Value>); N], kind: &str, code: u8) -> String {
    let mut document = json!({
        "format_version": "1.0",
        "kind": format!("northc.reach.{kind}"),
        "assumptions": ASSUMPTIONS,
        "exit": code,
    });
    found.into_iter().for_each(|(name, values)| document[name] = values.into());
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
