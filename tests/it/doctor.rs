//! `northc doctor` on databases in every state that it tells apart.

use serde_json::{Value, json};

use crate::live::northc;
use crate::ovn::{self, call};
use crate::servers::Server;
use crate::stack::Stack;

const NETWORK: &str = "fixtures/harvester/vpc-1";

#[test]
fn a_database_that_ovn_follows_is_well_until_somebody_is_behind() {
    if !ovn::is_present() {
        return;
    }
    let stack = Stack::with_northd();
    stack.settle();
    let (remote, southbound) = (stack.remote(), stack.southbound());
    let doctor = |args: &[&str]| northc(&remote, &[&["doctor", "--sb-db", &southbound], args].concat());
    let (code, out, err) = northc(&remote, &["apply", NETWORK, "--yes", "--wait", "sb"]);
    assert_eq!(code, 0, "{err}");
    let (code, told, err) = doctor(&[]);
    assert_eq!((code, err.as_str()), (0, ""), "{told}");
    assert!(out.contains("10 to add") && told.contains("10 of owner `default`"), "{out}{told}");
    assert!(
        told.contains(&remote) && told.contains("up to 23.03") && told.contains("every change up to 2"),
        "{told}"
    );

    // A hypervisor that has done nothing yet.
    let chassis = json!({"op": "insert", "table": "Chassis_Private", "row": {"name": "hv1", "nb_cfg": 0}});
    let made = call(stack.southbound_socket(), "transact", &json!(["OVN_Southbound", chassis]));
    assert!(made[0].get("uuid").is_some(), "{made}");
    stack.settle();
    let (code, out, _) = doctor(&[]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("! hypervisors  have done 0 of 3 changes; behind: hv1 (0)"), "{out}");
    let (_, out, _) = northc(&remote, &["doctor"]);
    assert!(out.contains("--sb-db tells which"), "{out}");

    // An ovn-northd that is gone.
    stack.stop_northd();
    stack.nbctl(&["set", "NB_Global", ".", "nb_cfg=9"]).expect("set");
    let (code, out, _) = doctor(&["--format", "json"]);
    let found: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &found["well"], &found["ovn"]["nb_cfg"]), (1, &json!(false), &json!(9)), "{out}");
    assert_eq!(found["ovn"]["sb_cfg"], json!(3), "{out}");
    assert_eq!(found["rows"]["owners"], json!({"default": 10}), "{out}");
    assert_eq!(found["chassis"], json!([{"name": "hv1", "nb_cfg": 0}]), "{out}");
    assert!(found["ovn"]["northd"].as_str().is_some_and(|version| version.starts_with("23.03")), "{out}");
    assert!(doctor(&[]).1.contains("has done 3 of 9 changes"));
}

#[test]
fn what_is_not_there_is_told() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let (code, out, _) = northc(&server.remote(), &["doctor"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("! ovn-northd   has never been here") && out.contains("0 without a mark"), "{out}");
    let (code, out, err) = northc("unix:/nowhere", &["doctor", "--retry-for", "100ms"]);
    assert_eq!((code, out.as_str()), (4, ""), "{err}");
    assert!(err.contains("/nowhere"), "{err}");
}
