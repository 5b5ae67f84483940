//! The emitted script on a real database: what it repairs, what it refuses, what it survives.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::Instant;

use northc::nb::{Kind, Table};
use serde_json::{Map, Value, json};

use crate::cases::{self, Case, compile, northc};
use crate::northbound::{self, Dump};
use crate::ovn;
use crate::stack::{self, Stack};

/// Columns that hold other people's members beside ours.
const CHILDREN: [&str; 4] = ["acls", "policies", "ports", "static_routes"];

/// Columns with at most one reference.
const REFERENCES: [&str; 7] = [
    "allowed_ext_ips",
    "bfd",
    "dhcpv4_options",
    "dhcpv6_options",
    "exempted_ext_ips",
    "gateway_port",
    "ha_chassis_group",
];

#[test]
fn a_drifted_database_is_repaired() {
    if !ovn::is_present() {
        return;
    }
    let stack = Stack::database();
    let (mut tables, mut damaged) = (BTreeSet::new(), BTreeSet::new());
    let cases: Vec<Case> = cases::all().into_iter().filter(Case::is_good).collect();
    cases::each(&cases, |case| {
        stack.reset();
        let script = compile("nbctl", &case.sources()).out;
        let rows: Value = serde_json::from_str(&compile("ovsdb", &case.sources()).out).expect("JSON");
        stack.transact(&rows)?;
        let whole = stack.dump();
        tables.extend(whole.keys().cloned());
        stack.operations(damage(&whole, &columns_of_northc(&tables), &mut damaged));
        stack::succeeded(&stack.script(&script)).map_err(|e| format!("after damage, {e}"))?;
        if let Some(difference) = northbound::difference(&whole, &stack.dump()) {
            return Err(format!("not everything is repaired (left: as it should be):\n{difference}"));
        }
        // Children taken out of their parents are gone from the database.
        stack.operations(orphan(&whole));
        stack::succeeded(&stack.script(&script)).map_err(|e| format!("after orphaning, {e}"))?;
        match northbound::difference(&whole, &stack.dump()) {
            Some(difference) => Err(format!("not everything is back (left: as it should be):\n{difference}")),
            None => Ok(()),
        }
    });
    let managed = columns_of_northc(&tables);
    let never: Vec<String> = managed.difference(&damaged).cloned().collect();
    assert!(
        never.is_empty(),
        "no case sets these columns, so nothing shows that they are repaired: {never:?}"
    );
}

/// `Table.column` of everything that the script manages on the oldest OVN, among tables that have rows.
fn columns_of_northc(tables: &BTreeSet<String>) -> BTreeSet<String> {
    let has_rows = |table: Table| tables.contains(table.name());
    let tables = Table::ALL.iter().filter(|table| has_rows(**table));
    let columns = tables.flat_map(|table| table.columns().iter().map(move |column| (table, column)));
    let managed = columns.filter(|(table, column)| {
        // The schema has one action of a band.
        let has_another = (**table, column.name) != (Table::MeterBand, "action");
        has_another
            && column.kind != Kind::RefSet
            && column.name != "external_ids"
            && column.since.is_none()
            && column.target.is_none_or(has_rows)
    });
    managed.map(|(table, column)| format!("{}.{}", table.name(), column.name)).collect()
}

/// Operations that give every managed column of every row another value.
fn damage(rows: &Dump, managed: &BTreeSet<String>, damaged: &mut BTreeSet<String>) -> Vec<Value> {
    let all = rows;
    let mut operations = Vec::new();
    for (table, rows) in all {
        for (uuid, row) in rows {
            let mut other = Map::new();
            for (column, value) in row {
                let name = format!("{table}.{column}");
                if column == "external_ids" {
                    other.insert(
                        column.clone(),
                        json!(["map", [["northc-owner", "x"], ["northc-digest", "y"]]]),
                    );
                    continue;
                }
                let is_empty_reference =
                    REFERENCES.contains(&column.as_str()) && *value == json!(["set", []]);
                let value = match is_empty_reference {
                    true => somebody(all, table, column),
                    false => Some(another(column, value, uuid)),
                };
                let Some(value) = value.filter(|_| managed.contains(&name)) else { continue };
                other.insert(column.clone(), value);
                damaged.insert(name);
            }
            operations.push(json!({
                "op": "update", "table": table, "where": [["_uuid", "==", ["uuid", uuid]]], "row": other,
            }));
        }
    }
    operations
}

/// A reference to some row that the column may refer to.
fn somebody(rows: &Dump, table: &str, column: &str) -> Option<Value> {
    let columns = Table::from_name(table)?.columns();
    let target = columns.iter().find(|c| c.name == column)?.target?;
    let uuid = rows.get(target.name())?.keys().next()?;
    Some(json!(["uuid", uuid]))
}

/// A value of the column's type that is not `value`.
fn another(column: &str, value: &Value, uuid: &str) -> Value {
    let number = u32::from_str_radix(&uuid[..4], 16).expect("a UUID is hexadecimal");
    match (column, value) {
        ("direction", value) => json!(if *value == json!("to-lport") { "from-lport" } else { "to-lport" }),
        ("policy", _) => json!("src-ip"),
        ("severity", value) => json!(if *value == json!("alert") { "info" } else { "alert" }),
        ("unit", value) => json!(if *value == json!("kbps") { "pktps" } else { "kbps" }),
        ("type", value) if *value == json!("snat") => json!("dnat"),
        ("type", value) if *value == json!("dnat_and_snat") => json!("snat"),
        ("protocol", _) => json!("sctp"),
        ("selection_fields", _) => json!("ip_src"),
        ("action", Value::Array(_)) => json!(["map", [["dscp", 63]]]),
        ("bandwidth", _) => json!(["map", [["rate", number + 1]]]),
        ("action", value) => json!(if *value == json!("drop") { "allow" } else { "drop" }),
        ("enabled", _) => json!(false),
        ("tag_request", _) => json!(77),
        ("mac", _) => json!("0a:00:00:00:00:99"),
        ("name", _) => json!(format!("damaged-{uuid}")),
        ("peer", _) => json!(format!("nobody-{number}")),
        (column, _) if REFERENCES.contains(&column) => json!(["set", []]),
        (_, Value::Number(_)) => json!(number % 32_000),
        (_, Value::Bool(value)) => json!(!value),
        (_, Value::String(_)) => json!(format!("damaged {number}")),
        (_, Value::Array(pair)) if pair.first() == Some(&json!("map")) => {
            json!(["map", [["damaged", "yes"]]])
        }
        _ => json!("damaged"),
    }
}

/// Operations that empty every set of children.
fn orphan(rows: &Dump) -> Vec<Value> {
    let mut operations = Vec::new();
    for table in ["Logical_Router", "Logical_Switch"] {
        let columns = rows.get(table).and_then(|rows| rows.values().next());
        let columns = columns.into_iter().flat_map(Map::keys).filter(|c| CHILDREN.contains(&c.as_str()));
        let row: Map<String, Value> = columns.map(|c| (c.clone(), json!(["set", []]))).collect();
        operations.push(json!({"op": "update", "table": table, "where": [], "row": row}));
    }
    operations
}

#[test]
fn rows_of_others_are_left_alone() {
    if !ovn::is_present() {
        return;
    }
    let stack = Stack::database();
    let case = ["fixtures/harvester/private".to_owned()];
    let script = compile("nbctl", &case).out;
    stack::succeeded(&stack.script(&script)).expect("the database is empty");
    // Somebody else adds a route, an ACL and a port to our rows, and a switch of their own.
    for args in [
        &["lr-route-add", "vpc-1", "192.0.2.0/24", "172.20.10.9"][..],
        &["acl-add", "vswitch2-subnet", "to-lport", "5", "ip4", "drop"],
        &["lsp-add", "vswitch2-subnet", "by-hand"],
        &["ls-add", "theirs"],
        &["set", "logical_router", "vpc-1", "external_ids:note=mine"],
        &[
            "set",
            "logical_switch",
            "vswitch1-subnet",
            "load_balancer_group=[]",
            "other_config:exclude_ips=1.1.1.1",
        ],
    ] {
        stack.nbctl(args).expect("ovn-nbctl does it");
    }
    let theirs = |dump: &Dump| {
        let mut dump = dump.clone();
        for row in dump.get_mut("Logical_Switch").expect("switches").values_mut() {
            row.remove("other_config");
        }
        dump
    };
    let before = stack.dump();
    stack::succeeded(&stack.script(&script)).expect("it runs again");
    assert_eq!(northbound::difference(&theirs(&before), &theirs(&stack.dump())), None);
    // An owner that says nothing any more loses its rules, and nobody else's.
    let open = compile("nbctl", &["fixtures/harvester/vpc-1".to_owned()]).out;
    stack::succeeded(&stack.script(&open)).expect("it runs");
    let after = stack.dump();
    assert_eq!(after["ACL"].len(), 1, "the one by hand");
    assert_eq!(after["Logical_Router_Static_Route"].len(), 1);
    // Another owner may not take our names.
    let other = northc(["compile", "--owner", "b", case[0].as_str()]).out;
    let refused = stack.script(&other);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert_eq!(northbound::difference(&after, &stack.dump()), None);
}

/// What `apply` keeps for itself is none of the script's business, and a description goes with its YAML.
#[test]
fn a_script_leaves_the_record_and_takes_a_description_back() {
    if !ovn::is_present() {
        return;
    }
    let stack = Stack::database();
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let file = dir.path().join("vpc.yaml");
    let path = file.to_str().expect("text").to_owned();
    let script = |description: &str| {
        let vpc = "apiVersion: kubeovn.io/v1\nkind: Vpc\nmetadata:\n  name: v\n";
        fs::write(&file, format!("{vpc}{description}")).expect("it can be written");
        let script = compile("nbctl", std::slice::from_ref(&path));
        assert_eq!(script.code, 0, "{}", script.err);
        stack::succeeded(&stack.script(&script.out)).expect("the script runs");
        stack.dump()
    };
    let plain = script("");
    script("  annotations: {field.cattle.io/description: ours}\n");
    let record = json!(["map", [["northc-owner", "default"], ["northc-key", "northc:record"]]]);
    let uuid = northc::nb::record::uuid("default").to_string();
    stack.operations([
        json!({"op": "insert", "table": "DHCP_Options", "uuid": uuid, "row": {"external_ids": record}}),
        json!({"op": "mutate", "table": "Logical_Router", "where": [],
            "mutations": [["external_ids", "insert", ["map", [["description", "theirs"]]]]]}),
    ]);
    let described = stack.dump();
    let mut after = script("");
    assert_eq!(after["DHCP_Options"], described["DHCP_Options"]);
    after.remove("DHCP_Options");
    let router = after.get_mut("Logical_Router").and_then(|rows| rows.values_mut().next()).expect("a router");
    assert_eq!(external_id(router, "description").as_deref(), Some("theirs"));
    let ids = router["external_ids"][1].as_array_mut().expect("a map");
    ids.retain(|pair| pair[0] != "description");
    assert_eq!(northbound::difference(&plain, &after), None);
}

#[test]
fn a_name_that_is_taken_stops_script_and_transaction() {
    if !ovn::is_present() {
        return;
    }
    let stack = Stack::database();
    let case = ["fixtures/harvester/vpc-1".to_owned()];
    let script = compile("nbctl", &case).out;
    let transaction: Value = serde_json::from_str(&compile("ovsdb", &case).out).expect("JSON");
    for args in [
        &["ls-add", "vswitch2-subnet"][..],
        &["lr-add", "vpc-1"],
        &["lr-add", "x", "--", "lrp-add", "x", "vpc-1-vswitch1-subnet", "0a:00:00:00:00:01", "192.0.2.1/24"],
        &["ls-add", "x", "--", "lsp-add", "x", "vm1-vswitch1.default.vswitch1.default.ovn"],
    ] {
        stack.reset();
        stack.nbctl(args).expect("ovn-nbctl does it");
        let before = stack.dump();
        let output = stack.script(&script);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains("nothing was written"), "{said}");
        stack.transact(&transaction).expect_err("a transaction is refused too");
        assert_eq!(northbound::difference(&before, &stack.dump()), None, "{args:?}");
    }
}

#[test]
fn the_transaction_is_what_ovsdb_client_takes() {
    if !ovn::is_present() {
        return;
    }
    let (one, other) = (Stack::database(), Stack::database());
    let case = ["fixtures/harvester/peering".to_owned()];
    let transaction = compile("ovsdb", &case).out;
    let output = one.run(Command::new("ovsdb-client").args(["transact", &one.remote(), transaction.trim()]));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !said.contains("error"), "{said}");
    stack::succeeded(&other.script(&compile("nbctl", &case).out)).expect("the database is empty");
    assert_eq!(northbound::difference(&one.dump(), &other.dump()), None);
}

/// Texts that end a word, start a command, or stand for something else, to some reader between the YAML
/// and the database.
const HOSTILE: [&str; 18] = [
    "$(touch canary)",
    "`touch canary`",
    "'; touch canary; '",
    "\"; touch canary; \"",
    "'\"'\"'",
    "a b",
    "\\",
    "\\\"",
    "${HOME}",
    "!!",
    "*",
    "--",
    "-- ls-add canary",
    "{a=b}",
    "[a,b]",
    "a=b,c=d",
    "# no comment",
    "é ☃ 漢",
];

#[test]
fn hostile_texts_arrive_as_they_are() {
    if !ovn::is_present() {
        return;
    }
    let stack = Stack::database();
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut objects = vec![json!({
        "apiVersion": "kubeovn.io/v1", "kind": "Vpc",
        "metadata": {"name": "it's $(touch canary)", "annotations": {"field.cattle.io/description": HOSTILE.join("\n\t\r")}},
    })];
    for (at, text) in HOSTILE.iter().enumerate() {
        let matching = format!("inport == {}", json!(text));
        objects.push(json!({
            "apiVersion": "kubeovn.io/v1", "kind": "Subnet",
            "metadata": {"name": subnet_name(at, text), "annotations": {"field.cattle.io/description": text}},
            "spec": {
                "vpc": "it's $(touch canary)", "cidrBlock": format!("10.0.{at}.0/24"), "provider": format!("default/net-{at}"),
                "enableDHCP": true, "dhcpV4Options": format!("router=10.0.{at}.1,domain_name={}", json!("x.example")),
                "acls": [{"direction": "from-lport", "priority": 1000 + at, "match": matching, "action": "drop"}],
            },
        }));
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let source = dir.path().join("hostile.json");
    fs::write(&source, list.to_string()).expect("it can be written");
    let owner = "it's \"the\" $(touch canary) `owner`, = {}";
    let path = source.to_str().expect("text");
    let compile = |form: &str| northc(["compile", "--to", form, "--owner", owner, path]);
    let script = compile("nbctl");
    assert_eq!(script.code, 0, "{}", script.err);
    stack::succeeded(&stack.script(&script.out)).expect("the script runs");
    assert!(!stack.path("canary").exists() && !dir.path().join("canary").exists(), "a text was run");
    let by_script = stack.dump();
    stack::succeeded(&stack.script(&script.out)).expect("the script runs again");
    assert_eq!(northbound::difference(&by_script, &stack.dump()), None);
    stack.reset();
    let transaction: Value = serde_json::from_str(&compile("ovsdb").out).expect("JSON");
    stack.transact(&transaction).expect("the transaction is taken");
    let by_transaction = stack.dump();
    assert_eq!(northbound::difference(&by_script, &by_transaction), None);
    let names = by_script["Logical_Switch"].values().filter_map(|row| Some(row["name"].as_str()?.to_owned()));
    let wanted = HOSTILE.iter().enumerate().map(|(at, text)| subnet_name(at, text));
    assert_eq!(names.collect::<BTreeSet<_>>(), wanted.collect());
    let descriptions: BTreeSet<String> = by_script["Logical_Switch"]
        .values()
        .filter_map(|row| external_id(row, "northc-description"))
        .collect();
    assert_eq!(descriptions, HOSTILE.iter().map(|text| (*text).to_owned()).collect());
    let owners: BTreeSet<String> = by_script
        .values()
        .flat_map(|rows| rows.values())
        .filter_map(|row| external_id(row, "northc-owner"))
        .collect();
    assert_eq!(owners, BTreeSet::from([owner.to_owned()]));
}

/// A name with the text in it, but for the comma, which names may not hold.
fn subnet_name(at: usize, text: &str) -> String {
    format!("{at} {}", text.replace(',', ";"))
}

fn external_id(row: &Map<String, Value>, key: &str) -> Option<String> {
    let pairs = row.get("external_ids")?.get(1)?.as_array()?;
    pairs.iter().find(|pair| pair[0] == key).and_then(|pair| Some(pair[1].as_str()?.to_owned()))
}

#[test]
fn a_large_network_takes_no_more_than_its_share() {
    const N_PORTS: usize = 10_000;
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let time = |n: usize| {
        let path = dir.path().join(format!("{n}.yaml"));
        fs::write(&path, network(n)).expect("it can be written");
        let path = path.to_str().expect("text").to_owned();
        let once = || {
            let start = Instant::now();
            let ran = compile("nbctl", std::slice::from_ref(&path));
            assert_eq!(ran.code, 0, "{}", ran.err);
            start.elapsed().as_secs_f64()
        };
        (0..3).map(|_| once()).fold(f64::MAX, f64::min)
    };
    let ratio = time(N_PORTS) / time(N_PORTS / 5);
    // Five times the ports: about five times the time, and twenty-five if a step were quadratic.
    assert!(ratio < 14.0, "{N_PORTS} ports take {ratio:.1} times as long as a fifth of them");
}

#[test]
fn a_large_network_is_split_into_transactions() {
    const N_PORTS: usize = 5_000;
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let path = dir.path().join("network.yaml");
    fs::write(&path, network(N_PORTS)).expect("it can be written");
    let path = path.to_str().expect("text").to_owned();
    let script = compile("nbctl", std::slice::from_ref(&path)).out;
    let transactions: Vec<&str> = script.split("    commit\n").collect();
    assert!(transactions.len() > 3, "it is split");
    let longest = transactions.iter().map(|text| text.len()).max().unwrap_or(0);
    assert!(longest < 1_000_000, "a transaction of {longest} bytes is near what a process can be given");
    if !ovn::is_present() {
        return;
    }
    let stack = Stack::database();
    stack::succeeded(&stack.script(&script)).expect("the script runs");
    let by_script = stack.dump();
    assert_eq!(by_script["Logical_Switch_Port"].len(), N_PORTS + 20);
    stack::succeeded(&stack.script(&script)).expect("the script runs again");
    assert_eq!(northbound::difference(&by_script, &stack.dump()), None);
    stack.reset();
    let transaction: Value = serde_json::from_str(&compile("ovsdb", &[path]).out).expect("JSON");
    stack.transact(&transaction).expect("the transaction is taken");
    assert_eq!(northbound::difference(&by_script, &stack.dump()), None);
}

/// Twenty subnets of one VPC, all but one of them small.
fn network(n_ports: usize) -> String {
    let mut out = "apiVersion: kubeovn.io/v1\nkind: Vpc\nmetadata: {name: big}\n".to_owned();
    for subnet in 0..20 {
        let _ = writeln!(
            out,
            "---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {{name: s{subnet}}}\n\
             spec: {{vpc: big, cidrBlock: 10.{subnet}.0.0/16, provider: default/n{subnet}}}"
        );
    }
    for port in 0..n_ports {
        // The first subnet has more ports than go into one transaction.
        let subnet = if port % 2 == 0 { 0 } else { port % 20 };
        let _ = writeln!(
            out,
            "---\napiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {{name: vm{port}}}\nspec:\n  \
             template: {{spec: {{networks: [{{name: n, multus: {{networkName: default/n{subnet}}}}}]}}}}"
        );
    }
    out
}
