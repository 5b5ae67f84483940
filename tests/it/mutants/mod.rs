//! Fixtures with one thing changed: the transaction is the difference of the rows, and nothing else.
//!
//! What the difference is, this file computes by itself, from both sets of rows.

#[cfg(feature = "live")]
mod applied;
mod doors;
mod hostile;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;
use northc::assign::Remembered;
use northc::compile::{Options, compile};
use northc::diag::{Severity, Sink};
use northc::emit::operations::operations;
use northc::nb::{Atom, Datum, Key, Kind, Row, Rows, Table, stamp};
use northc::ovsdb::op::{Mutator, Name, Op, Which, values};
use northc::plan::{Request, as_if_applied, plan};
use northc::span::SourceMap;
use northc::target::Target;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cases::{self, Case};
use crate::memory::execute;
use crate::reformat;

const OWNER: &str = "default";

/// The objects of a case with one thing changed.
struct Mutant {
    /// What: `Subnet.spec.private toggled`.
    what: String,
    objects: Vec<Value>,
}

/// A case, and what became of its rows by every single change of its objects.
pub(crate) struct Mutated {
    pub(crate) case: String,
    pub(crate) there: Rows,
    n_mutants: usize,
    n_compiled: usize,
    /// What was changed, and the rows, where they are others.
    pub(crate) wanted: Vec<(String, Rows)>,
    /// Objects without which nothing compiles, whatever goes with them.
    stuck: Vec<String>,
}

/// Every case that compiles, each in a thread of its own; for all tests here.
pub(crate) static MUTATED: LazyLock<Vec<Mutated>> = LazyLock::new(|| {
    let cases: Vec<Case> = cases::all().into_iter().filter(Case::is_good).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = cases.iter().map(|case| scope.spawn(|| Mutated::new(case))).collect();
        running.into_iter().map(|thread| thread.join().expect("it compiles as JSON")).collect()
    })
});

impl Mutated {
    fn new(case: &Case) -> Mutated {
        let objects = objects(case);
        let there = rows(&objects).unwrap_or_else(|| panic!("{} does not compile as JSON", case.name));
        let mutants = mutants(&objects);
        let (case, n_mutants) = (case.name.clone(), mutants.len() + objects.len());
        let compiled = mutants.into_iter().filter_map(|mutant| Some((mutant.what, rows(&mutant.objects)?)));
        let mut wanted: Vec<(String, Rows)> = compiled.collect();
        let mut stuck = Vec::new();
        for (at, object) in objects.iter().enumerate() {
            let kind = object["kind"].as_str().unwrap_or_default();
            match without(&objects, at) {
                Some(rows) => wanted.push((format!("{kind} removed"), rows)),
                None => stuck.push(object.to_string()),
            }
        }
        let n_compiled = wanted.len();
        wanted.retain(|(_, wanted)| *wanted != there);
        Mutated { case, there, n_mutants, n_compiled, wanted, stuck }
    }
}

/// The rows when an object is gone, and with it whatever can't be without it.
fn without(objects: &[Value], at: usize) -> Option<Rows> {
    let mut objects = objects.to_vec();
    let mut gone = BTreeSet::from([at]);
    while !gone.is_empty() {
        gone.iter().rev().for_each(|at| drop(objects.remove(*at)));
        match compiled(&objects) {
            Ok(rows) => return Some(rows),
            Err(wrong) => gone = wrong,
        }
    }
    None
}

fn objects(case: &Case) -> Vec<Value> {
    case.texts().iter().flat_map(|(_, text)| reformat::documents(text)).collect()
}

/// The rows of these objects, which forget their lines; `None` when the objects have errors.
fn rows(objects: &[Value]) -> Option<Rows> {
    compiled(objects).ok()
}

/// The same; or which of the objects have errors.
fn compiled(objects: &[Value]) -> Result<Rows, BTreeSet<usize>> {
    let mut sources = SourceMap::new();
    let texts: Vec<String> = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    sources.add("mutant.yaml", texts.concat());
    let options = Options {
        owner: OWNER.into(),
        target: Target::default(),
        remembered: Remembered::default(),
        gateway_chassis: Vec::new(),
    };
    let mut sink = Sink::new();
    let Some(compiled) = compile(&sources, &options, &mut sink) else {
        let errors = sink.into_sorted(&sources).into_iter().filter(|d| d.severity == Severity::Error);
        let places = errors.filter_map(|error| Some(error.primary?.span.range().start));
        let object = |place| {
            let mut end = 0;
            texts.iter().position(|text| {
                end += text.len();
                place < end
            })
        };
        return Err(places.filter_map(object).collect());
    };
    let mut rows = Rows::new();
    compiled.rows.iter().for_each(|(key, row)| rows.insert(key.clone(), row.clone(), None));
    Ok(rows)
}

/// Every single change within an object: a field or an item of a list is removed, or a value is another.
fn mutants(objects: &[Value]) -> Vec<Mutant> {
    let mut all = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        let kind = object["kind"].as_str().unwrap_or_default();
        for (what, changed) in changes(kind, object) {
            let mut objects = objects.to_vec();
            objects[at] = changed;
            all.push(Mutant { what, objects });
        }
    }
    all
}

/// The value with one thing in it changed, in every way, and what that is.
fn changes(path: &str, value: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    match value {
        Value::Null => {}
        Value::Bool(value) => all.push((format!("{path} toggled"), json!(!value))),
        Value::Number(number) => {
            all.extend(number.as_i64().map(|number| (format!("{path} changed"), json!(number + 1))));
        }
        Value::String(text) => all.push((format!("{path} changed"), json!(another(text)))),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let mut rest = items.clone();
                rest.remove(at);
                all.push((format!("{path}[] removed"), json!(rest)));
                for (what, changed) in changes(&format!("{path}[]"), item) {
                    let mut items = items.clone();
                    items[at] = changed;
                    all.push((what, json!(items)));
                }
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                let mut rest = entries.clone();
                rest.remove(key);
                all.push((format!("{path}.{key} removed"), json!(rest)));
                for (what, changed) in changes(&format!("{path}.{key}"), entry) {
                    let mut entries = entries.clone();
                    entries.insert(key.clone(), changed);
                    all.push((what, json!(entries)));
                }
            }
        }
    }
    all
}

/// Words of which one can stand where the other does.
const WORDS: [(&str, &str); 10] = [
    ("true", "false"),
    ("false", "true"),
    ("allow", "drop"),
    ("allow-related", "drop"),
    ("allow-stateless", "drop"),
    ("drop", "allow"),
    ("reject", "drop"),
    ("from-lport", "to-lport"),
    ("to-lport", "from-lport"),
    ("policyDst", "policySrc"),
];

/// Another text of the same sort: the next block or address, a narrower match, the next number, a longer word.
fn another(text: &str) -> String {
    if let Some((_, other)) = WORDS.iter().find(|(word, _)| *word == text) {
        return (*other).to_owned();
    }
    if text.contains("==") {
        return format!("({text}) && ip.ttl > 7");
    }
    if let Some((first, rest)) = text.split_once(',') {
        return format!("{},{rest}", another(first));
    }
    if let Ok(block) = text.parse::<IpNet>() {
        let is_network = block.addr() == block.network();
        let n_bits = if is_network { block.max_prefix_len() - block.prefix_len() } else { 0 };
        return format!("{}/{}", later(block.addr(), n_bits), block.prefix_len());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return later(address, 0).to_string();
    }
    let Some(end) = text.rfind(|c: char| c.is_ascii_digit()).map(|at| at + 1) else {
        return format!("{text}x");
    };
    let digits = text[..end].bytes().rev().take_while(u8::is_ascii_digit).count().min(9);
    let (before, number) = text[..end].split_at(end - digits);
    let next = number.parse::<u64>().expect("digits") + 1;
    format!("{before}{next:0digits$}{}", &text[end..])
}

/// The address so many (a power of two) further on.
fn later(address: IpAddr, n_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address).wrapping_add(1 << n_bits.min(31))).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address).wrapping_add(1 << n_bits.min(127))).into()),
    }
}

/// What is written, a line for each row that comes or goes, each value, member and pair.
type Written = BTreeSet<String>;

fn uuid_of(key: &Key) -> Uuid {
    key.uuid(OWNER)
}

/// What must be written for rows that are there to become the wanted ones.
fn difference(there: &Rows, wanted: &Rows) -> Written {
    let mut written = Written::new();
    let keys: BTreeSet<&Key> = there.iter().chain(wanted.iter()).map(|(key, _)| key).collect();
    for key in keys {
        match (there.get(key), wanted.get(key)) {
            (None, Some(row)) => {
                written.insert(format!("{key} comes"));
                for (column, datum) in row.set_columns() {
                    written.insert(value(key, column.name, &values(datum, &uuid_of)));
                }
            }
            // A child goes with its place in a parent (RFC 7047 §3.2), unless it would hold a root back.
            (Some(row), None) if !key.table.is_root() && !holds_a_root(row) => {}
            (Some(_), None) => drop(written.insert(format!("{key} goes"))),
            (Some(there), Some(wanted)) => written.extend(row_difference(key, there, wanted)),
            (None, None) => unreachable!("it is a key of one of them"),
        }
    }
    written
}

fn holds_a_root(row: &Row) -> bool {
    row.set_columns().any(|(column, _)| !column.is_weak && column.target.is_some_and(Table::is_root))
}

fn row_difference(key: &Key, there: &Row, wanted: &Row) -> Written {
    let mut written = Written::new();
    for ((column, there), (_, wanted)) in there.columns().zip(wanted.columns()) {
        let (there, wanted) = (values(there, &uuid_of), values(wanted, &uuid_of));
        match (column.kind, &there, &wanted) {
            (_, there, wanted) if there == wanted => {}
            (Kind::RefSet, Datum::Set(there), Datum::Set(wanted)) => {
                let of = |sign, atoms: &[Atom], others: &[Atom]| {
                    let only = atoms.iter().filter(|atom| !others.contains(atom));
                    only.map(|atom| member(key, column.name, sign, atom)).collect::<Vec<_>>()
                };
                written.extend(of('+', wanted, there));
                written.extend(of('-', there, wanted));
            }
            (Kind::Map | Kind::IntMap, Datum::Map(there), Datum::Map(wanted)) => {
                let (there, wanted): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    (there.iter().cloned().collect(), wanted.iter().cloned().collect());
                let names: BTreeSet<&Atom> = there.keys().chain(wanted.keys()).collect();
                let differing = names.into_iter().filter(|name| there.get(name) != wanted.get(name));
                written.extend(differing.map(|name| pair(key, column.name, name, wanted.get(name))));
            }
            (_, _, wanted) => drop(written.insert(value(key, column.name, wanted))),
        }
    }
    written
}

/// What these operations write.
fn written(ops: &[Op], keys: &BTreeMap<(&str, Uuid), &Key>) -> Written {
    let mut written = Written::new();
    for op in ops {
        let key = || keys[&(op.table().expect("a table"), op.row().expect("one row"))];
        match op {
            Op::Wait { .. } => {}
            Op::Insert { row, .. } => {
                written.insert(format!("{} comes", key()));
                written.extend(row.iter().map(|(column, datum)| value(key(), column, datum)));
            }
            Op::Update { rows: Which::Row(_), row, .. } => {
                written.extend(row.iter().map(|(column, datum)| value(key(), column, datum)));
            }
            Op::Mutate { rows: Which::Row(_), mutations, .. } => written.extend(mutated(key(), mutations)),
            Op::Delete { rows: Which::Row(_), .. } => drop(written.insert(format!("{} goes", key()))),
            _ => panic!("no plan needs {op:?}"),
        }
    }
    written
}

fn mutated(key: &Key, mutations: &[(Name, Mutator, Datum)]) -> Written {
    let mut written = Written::new();
    let mut pairs: BTreeMap<(&str, &Atom), Option<&Atom>> = BTreeMap::new();
    for (column, mutator, datum) in mutations {
        match (mutator, datum) {
            (Mutator::Insert, Datum::Map(new)) => {
                pairs.extend(new.iter().map(|(name, value)| ((&**column, name), Some(value))));
            }
            (Mutator::Insert, Datum::Set(atoms)) => {
                written.extend(atoms.iter().map(|atom| member(key, column, '+', atom)));
            }
            (Mutator::Delete, Datum::Set(atoms)) => {
                for atom in atoms {
                    match atom {
                        Atom::Ref(_) => drop(written.insert(member(key, column, '-', atom))),
                        name => drop(pairs.insert((column, name), None)),
                    }
                }
            }
            (Mutator::Delete | Mutator::Add, _) => panic!("no plan needs {mutator:?} {datum:?}"),
        }
    }
    written.extend(pairs.into_iter().map(|((column, name), value)| pair(key, column, name, value)));
    written
}

fn value(key: &Key, column: &str, datum: &Datum) -> String {
    format!("{key}.{column} is {datum:?}")
}

fn member(key: &Key, column: &str, sign: char, atom: &Atom) -> String {
    format!("{key}.{column} {sign} {atom:?}")
}

fn pair(key: &Key, column: &str, name: &Atom, value: Option<&Atom>) -> String {
    format!("{key}.{column}:{name:?} is {value:?}")
}

/// Rows of which nothing changes but the digest, though it is of what else is in them.
fn marked_for_nothing(there: &Rows, wanted: &Rows) -> Vec<Key> {
    let content = |row: &Row| {
        let mut row = row.clone();
        for column in row.table().columns() {
            match row.get_mut(column.name) {
                Some(Datum::Map(pairs)) => {
                    let digest = Atom::Text(stamp::DIGEST.into());
                    *pairs = pairs.iter().filter(|(name, _)| *name != digest).cloned().collect();
                }
                Some(datum) if column.holds_children() => *datum = column.kind.default(),
                Some(Datum::Set(_)) | None => {}
            }
        }
        row
    };
    let digest = |row| stamp::external_id(row, stamp::DIGEST).map(str::to_owned);
    let both = wanted.iter().filter_map(|(key, row)| Some((key, row, there.get(key)?)));
    let for_nothing = both.filter(|(_, a, b)| content(a) == content(b) && digest(a) != digest(b));
    for_nothing.map(|(key, ..)| key.clone()).collect()
}

/// Plans from the one to the other, and compares the transaction with the difference.
fn is_smallest(there: &Rows, wanted: &Rows) -> Result<(), String> {
    let mut actual = as_if_applied(there, OWNER);
    let sources = SourceMap::new();
    let made = plan(wanted, &actual, &Request::new(OWNER, &sources));
    if !made.conflicts.is_empty() {
        return Err(format!("conflicts: {:?}", made.conflicts));
    }
    let keys = there.iter().chain(wanted.iter()).map(|(key, _)| ((key.table.name(), uuid_of(key)), key));
    let (is, expected) =
        (written(&operations(&made, &made.steps), &keys.collect()), difference(there, wanted));
    if is != expected {
        let (more, less) = (is.difference(&expected), expected.difference(&is));
        return Err(format!("needless: {:#?}\nmissing: {:#?}", more, less));
    }
    execute(&mut actual, &made, &made.steps);
    if actual != as_if_applied(wanted, OWNER) {
        return Err("the operations do not lead to the rows".to_owned());
    }
    match marked_for_nothing(there, wanted) {
        keys if keys.is_empty() => Ok(()),
        keys => Err(format!("only the digest changes: {keys:?}")),
    }
}

/// S-056: making a subnet private is a matter of its rules alone.
fn is_about_rules(there: &Rows, wanted: &Rows) -> Result<(), String> {
    let tables = [Table::Acl, Table::AddressSet].map(Table::name);
    let is_rule = |line: &&String| tables.iter().any(|t| line.starts_with(t)) || line.contains(".acls ");
    match difference(there, wanted).iter().find(|line| !is_rule(line)) {
        None => Ok(()),
        Some(line) => Err(format!("not about rules: {line}")),
    }
}

#[test]
fn every_single_change_is_the_smallest_transaction() {
    for Mutated { case, there, wanted, .. } in MUTATED.iter() {
        for (what, wanted) in wanted {
            is_smallest(there, wanted).unwrap_or_else(|e| panic!("{case}: {what}: {e}"));
            if what == "Subnet.spec.private toggled" {
                is_about_rules(there, wanted).unwrap_or_else(|e| panic!("{case}: {what}: {e}"));
            }
        }
    }
    let sum = |count: fn(&Mutated) -> usize| MUTATED.iter().map(count).sum::<usize>();
    let (n_mutants, n_compiled) = (sum(|case| case.n_mutants), sum(|case| case.n_compiled));
    let n_changed = sum(|case| case.wanted.len());
    let said =
        format!("{n_mutants} changes, {n_compiled} of them compile, {n_changed} of those change a row");
    assert!(n_mutants > 5_000 && n_compiled * 3 > n_mutants && n_changed * 2 > n_compiled, "{said}");
}

/// Kinds whose objects are no rows of their own in any fixture: what they say is in those of others, or in none.
const WITHOUT_ROWS: [&str; 4] = ["Deployment", "Expectation", "ProviderNetwork", "VpcDns"];

#[test]
fn every_object_can_go_with_those_that_need_it() {
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    for case in cases::all().into_iter().filter(Case::is_good) {
        kinds.extend(objects(&case).iter().filter_map(|object| Some(object["kind"].as_str()?.to_owned())));
    }
    for Mutated { case, wanted, stuck, .. } in MUTATED.iter() {
        assert!(stuck.is_empty(), "{case}: {stuck:#?}");
        for (what, _) in wanted {
            kinds.retain(|kind| what.strip_suffix(" removed") != Some(kind));
        }
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    assert_eq!(kinds, WITHOUT_ROWS, "objects whose removal takes no row away");
}

#[test]
fn another_text_is_of_the_same_sort() {
    for (text, other) in [
        ("10.0.1.0/24", "10.0.2.0/24"),
        ("169.254.0.1/30", "169.254.0.2/30"),
        ("10.0.0.255", "10.0.1.0"),
        ("fd00::/64", "fd00:0:0:1::/64"),
        ("10.0.1.0/24,fd00::/64", "10.0.2.0/24,fd00::/64"),
        ("10.0.0.1..10.0.0.9", "10.0.0.1..10.0.0.10"),
        ("02:00:00:00:00:09", "02:00:00:00:00:10"),
        ("ip4.src == 10.0.0.1", "(ip4.src == 10.0.0.1) && ip.ttl > 7"),
        ("drop", "allow"),
        ("subnet", "subnetx"),
    ] {
        assert_eq!(another(text), other);
    }
}
