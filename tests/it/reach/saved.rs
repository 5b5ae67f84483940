//! Saved databases, as the tools of OVSDB save them: what they hold is what a live one holds.

use std::process::Command;

use northc::emit::transact::transaction;
use northc::nb::dump;
use northc::reach::network::Network;
use northc::target::Target;

use super::against_itself::verdicts;
use super::random::World;
use crate::expressions::Dice;
use crate::ovn;
use crate::stack::Stack;

#[test]
fn a_saved_database_means_what_the_live_one_does() {
    if !ovn::is_present() {
        return;
    }
    for seed in 0..4 {
        let world = World::new(&mut Dice::new(seed));
        let stack = Stack::database();
        let params = serde_json::from_str(&transaction(&world.rows, "random")).expect("JSON");
        stack.transact(&params).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let expected = verdicts(&Network::of_rows(&world.rows, Target::OLDEST));
        for how in [&["dump", "--format=json"][..], &["dump", "--format=json", "--pretty"], &["backup"]] {
            let remote = stack.remote();
            let saved = Command::new("ovsdb-client").args(how).args([&remote, "OVN_Northbound"]).output();
            let saved = String::from_utf8(saved.expect("ovsdb-client is there").stdout).expect("text");
            let actual = dump::read(&saved).unwrap_or_else(|e| panic!("seed {seed}, {how:?}: {e}"));
            assert_eq!(
                verdicts(&Network::of_actual(&actual, Target::OLDEST)),
                expected,
                "seed {seed}, {how:?}"
            );
        }
    }
}

#[test]
fn what_is_no_saved_database_is_refused_with_its_line() {
    let schema = "{\"name\":\"OVN_Southbound\"}\n";
    let other = format!("OVSDB JSON {} 0\n{schema}", schema.len());
    let table = |rows: &str| {
        format!(
            "{{\"caption\":\"Address_Set table\",\"headings\":[\"_uuid\",\"addresses\",\"name\"],\"data\":[{rows}]}}"
        )
    };
    let uuid = "[\"uuid\",\"7e1cf5b3-480a-4d1e-a9c8-2ed2faf86a9d\"]";
    let wrong = [
        (String::new(), "it is empty"),
        ("apiVersion: v1".to_owned(), "line 1: expected value"),
        (format!("{}\n{{\"a\": 1", table("")), "line 2: EOF"),
        (format!("{}\n\n{{}}", table("")), "line 3: this is no table"),
        ("{\"kind\": \"northc.rows\"}".to_owned(), "line 1: this is what `northc compile --to rows` wrote"),
        (table("[1]"), "line 1: a row of Address_Set has another number of columns"),
        (table("[1, 2, 3]"), "line 1: a row of Address_Set has no `_uuid`"),
        (table(&format!("[{uuid}, \"10.0.0.1\", 7]")), "line 1: column `name` of row 7e1cf5b3"),
        (other, "line 1: this is the database of OVN_Southbound"),
        ("OVSDB JSON 99 0\n{}\n".to_owned(), "line 1: the record that begins here is cut off"),
        ("OVSDB JSON x\n".to_owned(), "line 1: this is no record"),
        ("OVSDB CLUSTER 1 0\n{}\n".to_owned(), "line 1: this is a member of a cluster"),
    ];
    for (text, expected) in wrong {
        let said = dump::read(&text).expect_err(expected);
        assert!(said.starts_with(expected), "`{said}`, not `{expected}`");
    }
}
