//! Plans carried out on real servers: whole fixtures, random networks, killed servers, elections, bad networks,
//! two runs at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use northc::apply::{Done, Event, Failure, Options, Wait, apply, destroy, follow};
use northc::nb::actual::{Actual, View};
use northc::nb::{Key, Rows, Table, record};
use northc::ovsdb::endpoint::Remotes;
use northc::ovsdb::session::{self, Session};
use northc::plan::batch::Limits;
use northc::plan::standing::Standing;
use northc::plan::{Plan, Request, as_if_applied, plan};
use northc::span::SourceMap;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRng, TestRunner};

use crate::laws::{Net, OWNER, net, rows};
use crate::ovn;
use crate::proxy::{Mischief, Proxy};
use crate::servers::{Cluster, Server};

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

pub(crate) fn connect(remotes: &str) -> Session {
    let mut options = session::Options::northbound(Remotes::parse(remotes).expect("remotes"));
    options.patience = Duration::from_secs(30);
    Session::start(options).expect("a session")
}

pub(crate) fn options(n_single_max: usize, n_batch_max: usize) -> Options {
    let limits = Limits { n_single_max, n_batch_max };
    Options { wait: Wait::None, limits, n_attempts_max: 10, ..Options::default() }
}

/// Applies with a yes to everything.
pub(crate) async fn bring(
    session: &Session,
    desired: &Rows,
    owner: &str,
    options: &Options,
    events: &mut Vec<Event>,
) -> Result<Option<Done>, Failure> {
    let sources = SourceMap::new();
    let request = Request::new(owner, &sources);
    apply(session, desired, &request, options, &mut |_: &Plan, _: &Actual| true, &mut |event| {
        events.push(event)
    })
    .await
}

/// The rows without the owners' records.
pub(crate) fn without_records(actual: &Actual) -> Actual {
    let mut actual = actual.clone();
    let records: Vec<_> = actual
        .table(Table::DhcpOptions)
        .filter(|(_, row)| northc::nb::stamp::external_id(row, record::TXN).is_some())
        .map(|(uuid, _)| uuid)
        .collect();
    for uuid in records {
        actual.remove(Table::DhcpOptions, uuid);
    }
    actual
}

/// A network of this many switches with this many ports each, all on one router.
pub(crate) fn large(n_switches: u8, n_ports: usize) -> Rows {
    use northc::nb::{Datum, LogicalSwitchPort, Ref, stamp};
    let mut small = Net { routers: [(0, BTreeMap::new())].into(), ..Net::default() };
    small.switches = (0..n_switches).map(|s| (s, (0, BTreeMap::new()))).collect();
    let mut all = rows(&small);
    for s in 0..n_switches {
        let mut members = Vec::new();
        for p in 0..n_ports {
            let name = format!("s{s}-p{p}");
            let key = Key::new(Table::LogicalSwitchPort, name.as_str());
            let addresses = [format!("02:00:00:{s:02x}:{:02x}:{:02x} 10.{s}.0.9", p >> 8, p & 255)].into();
            all.insert(key.clone(), LogicalSwitchPort { name, addresses, ..Default::default() }, None);
            members.push(northc::nb::Atom::Ref(Ref::Key(key)));
        }
        let switch = Key::new(Table::LogicalSwitch, format!("s{s}"));
        let (_, row) = all.iter_mut().find(|(key, _)| **key == switch).expect("a switch");
        let ports = row.get_mut("ports").expect("a column");
        let Datum::Set(old) = ports.clone() else { panic!("a set") };
        *ports = Datum::set(old.into_iter().chain(members));
    }
    stamp::stamp(&mut all, OWNER);
    all
}

pub(crate) fn northc(remote: &str, args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut all = vec!["northc"];
    all.extend(args);
    all.extend(["--db", remote]);
    let code = northc::cli::run(all, &mut out, &mut err, false);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (code, text(out), text(err))
}

/// Every folder below `fixtures` that holds YAML.
fn fixtures() -> Vec<PathBuf> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        entries.sort();
        if entries.iter().any(|path| path.extension().is_some_and(|end| end == "yaml")) {
            found.push(dir.to_owned());
        }
        entries.iter().filter(|path| path.is_dir()).for_each(|path| walk(path, found));
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), &mut found);
    found
}

/// A switch makes room for another, in one apply and in several in a row, none of which waits for its effect; northd sees
/// no switch that comes in one round with one that went.
#[test]
fn what_makes_room_goes_once_northd_has_seen_it_empty() {
    if !ovn::is_present() {
        return;
    }
    let stack = crate::stack::Stack::with_northd();
    stack.settles().expect("northd lives");
    let with_switch = |nth: u8| {
        rows(&Net {
            routers: [(0, BTreeMap::new())].into(),
            switches: [(nth, (0, BTreeMap::new()))].into(),
            ..Net::default()
        })
    };
    let session = connect(&stack.remote());
    let wanted = [with_switch(0), with_switch(1), Rows::new(), with_switch(2), with_switch(3)];
    for (wanted, n_transactions) in wanted.iter().zip([1, 2, 1, 1, 2]) {
        let done = block_on(bring(&session, wanted, OWNER, &options(5000, 500), &mut Vec::new()));
        let done = done.expect("it is applied").expect("there is something to do");
        assert_eq!((done.n_transactions, done.undone), (n_transactions, Vec::new()));
    }
    stack.settles().expect("northd lives");
    let log = std::fs::read_to_string(stack.path("ovn-nb.db")).expect("the database keeps a log");
    let (mut n_came, mut went, mut number) = (0, Vec::new(), 0);
    for record in log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let numbers = record["NB_Global"].as_object().and_then(|rows| rows.values().next());
        let column = |name| numbers.and_then(|row| row[name].as_i64());
        number = column("nb_cfg").unwrap_or(number);
        if let Some(seen) = column("sb_cfg") {
            went.retain(|at| *at > seen);
        }
        let switches = record["Logical_Switch"].as_object().into_iter().flatten();
        for (_, row) in switches.filter(|(_, row)| row.is_null() || row["name"].is_string()) {
            if row.is_null() {
                went.push(column("nb_cfg").unwrap_or(i64::MAX));
            } else {
                n_came += 1;
                assert!(went.is_empty(), "northd was not waited for:\n{log}");
            }
        }
    }
    assert_eq!(n_came, 4);
}

#[test]
fn every_fixture_is_applied_planned_empty_and_destroyed() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let remote = server.remote();
    let before = block_on(connect(&remote).actual()).expect("rows");
    let mut n_applied = 0;
    for folder in fixtures() {
        let path = folder.to_str().expect("a plain name");
        let mut said = Vec::new();
        if northc::cli::run(["northc", "check", path], &mut Vec::new(), &mut said, false) != 0 {
            continue;
        }
        // An input of nothing would remove all that is there.
        let is_empty = String::from_utf8_lossy(&said).contains("N0110");
        let (code, _, err) = northc(&remote, &["apply", path, "--yes", "--wait", "none"]);
        assert_eq!(code, u8::from(is_empty), "{path}: {err}");
        if is_empty {
            continue;
        }
        let (code, out, err) = northc(&remote, &["plan", path, "--detailed-exitcode"]);
        assert_eq!(code, 0, "{path}: {out}{err}");
        let (code, _, err) = northc(&remote, &["destroy", "--yes", "--wait", "none"]);
        assert_eq!(code, 0, "{path}: {err}");
        let after = block_on(connect(&remote).actual()).expect("rows");
        assert_eq!(after, before, "{path} left something");
        n_applied += 1;
    }
    assert!(n_applied > 0, "no fixture could be applied");
}

/// The tables whose rows a plan touches beyond what follows from other rows.
fn told_tables(document: &str) -> Vec<String> {
    let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
    let steps = document["steps"].as_array().expect("steps").iter();
    let is_own = |step: &&serde_json::Value| {
        let changes = step["changes"].as_array();
        changes.is_none_or(|changes| changes.iter().any(|change| change.get("insert").is_none()))
    };
    steps.filter(is_own).map(|step| step["table"].as_str().expect("a table").to_owned()).collect()
}

/// S-056: making a subnet private is a matter of its rules alone.
#[test]
fn a_toggled_private_touches_rules_alone() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let remote = server.remote();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("vpc.yaml");
    let path = file.to_str().expect("a plain name");
    let write = |private: bool| {
        let text = format!(
            "{{apiVersion: kubeovn.io/v1, kind: Vpc, metadata: {{name: v}}}}\n---\n\
             {{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {{name: s}}, spec: {{vpc: v, \
             cidrBlock: 10.0.0.0/24, provider: n.default.ovn, private: {private}}}}}\n"
        );
        std::fs::write(&file, text).expect("written");
    };
    write(false);
    let (code, _, err) = northc(&remote, &["apply", path, "--yes", "--wait", "none"]);
    assert_eq!(code, 0, "{err}");
    for private in [true, false] {
        write(private);
        let (code, out, err) = northc(&remote, &["plan", path, "--format", "json", "--detailed-exitcode"]);
        assert_eq!(code, 2, "{err}");
        let tables = told_tables(&out);
        assert!(!tables.is_empty() && tables.iter().all(|table| table == "ACL"), "{out}");
        let (code, _, err) = northc(&remote, &["apply", path, "--yes", "--yes-delete", "--wait", "none"]);
        assert_eq!(code, 0, "{err}");
    }
}

#[test]
fn random_networks_follow_each_other_past_foreign_rows() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let session = connect(&server.remote());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(Default::default()));
    let theirs = {
        let mut theirs = rows(&net().new_tree(&mut runner).expect("a network").current());
        for (_, row) in theirs.iter_mut() {
            if let Some(northc::nb::Datum::Set(name)) = row.get_mut("name") {
                name.iter_mut().for_each(|name| {
                    if let northc::nb::Atom::Text(name) = name {
                        *name = format!("your-{name}").into();
                    }
                });
            }
        }
        northc::nb::stamp::stamp(&mut theirs, "you");
        theirs
    };
    block_on(async {
        bring(&session, &theirs, "you", &options(5000, 1000), &mut Vec::new()).await.expect("applied");
        let mut standing = Standing::default();
        for round in 0..80 {
            let ours = rows(&net().new_tree(&mut runner).expect("a network").current());
            let options = options([5000, 4, 1][round % 3], 2);
            let done = if round < 40 {
                bring(&session, &ours, OWNER, &options, &mut Vec::new()).await
            } else {
                standing.want(ours.clone());
                let (mut yes, sources) = (|_: &Plan, _: &Actual| true, SourceMap::new());
                let request = Request::new(OWNER, &sources);
                follow(&session, &mut standing, &request, &options, &mut yes, &mut |_| ()).await
            };
            let done = done.expect("applied");
            assert!(done.is_none_or(|done| done.undone.is_empty()));
            let actual = session.actual().await.expect("rows");
            let mut expected = as_if_applied(&ours, OWNER);
            for (uuid, row) in as_if_applied(&theirs, "you").iter() {
                expected.insert(uuid, row.as_ref().clone());
            }
            let actual = without_records(&actual);
            assert!(actual.iter().eq(expected.iter()), "round {round}: {actual:#?}\n{expected:#?}");
        }
    });
}

#[test]
fn an_apply_goes_on_after_its_server_was_killed() {
    if !ovn::is_present() {
        return;
    }
    let mut server = Server::alone(&[]);
    let remote = server.remote();
    let wanted = Arc::new(large(20, 60));
    for round in 0..6u64 {
        let desired = if round % 2 == 0 { Arc::clone(&wanted) } else { Arc::new(large(7, 90)) };
        let worker = std::thread::spawn({
            let (remote, desired) = (remote.clone(), Arc::clone(&desired));
            move || {
                let session = connect(&remote);
                block_on(bring(&session, &desired, OWNER, &options(50, 40), &mut Vec::new()))
            }
        });
        std::thread::sleep(Duration::from_millis(3 + 11 * round));
        server.kill();
        std::thread::sleep(Duration::from_millis(50));
        server.start();
        // Whether it came through or not: the next run finishes the work.
        let _ = worker.join().expect("no panic");
        let session = connect(&remote);
        block_on(async {
            bring(&session, &desired, OWNER, &options(50, 40), &mut Vec::new()).await.expect("applied");
            let actual = without_records(session.actual().await.expect("rows").as_ref());
            assert!(actual.iter().eq(as_if_applied(&desired, OWNER).iter()), "round {round}");
        });
    }
}

#[test]
fn a_lost_answer_is_looked_up() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let proxy = Proxy::before(&server.remote(), Mischief::CutAfterTransact);
    let mut events = Vec::new();
    let session = connect(&proxy.remote());
    let done = block_on(bring(&session, &large(2, 5), OWNER, &options(5000, 1000), &mut events));
    assert!(matches!(done, Ok(Some(_))), "{done:?}");
    let is_found = |event: &Event| matches!(event, Event::Sure { was_committed: true });
    assert!(events.iter().any(is_found), "{events:?}");
}

/// Whatever the network does, an apply and a destroy end, their rows are there and gone, and the server's log
/// has each of their transactions once.
#[test]
fn an_apply_comes_through_a_bad_network() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let desired = large(2, 9);
    let mut mischiefs = vec![
        Mischief::SingleBytes,
        Mischief::Delay(Duration::from_millis(10)),
        Mischief::DoubledReplies,
        Mischief::CutAfterTransact,
    ];
    mischiefs.extend((0..12).map(|n| Mischief::CutRequests(200 + 900 * n)));
    mischiefs.extend((0..12).map(|n| Mischief::CutReplies(200 + 900 * n)));
    let (mut n_transactions, mut n_cut) = (0, 0);
    for mischief in mischiefs {
        let proxy = Proxy::before(&server.remote(), mischief);
        let session = connect(&proxy.remote());
        block_on(async {
            let done = bring(&session, &desired, OWNER, &options(6, 4), &mut Vec::new()).await;
            let Ok(Some(done)) = done else { panic!("{mischief:?}: {done:?}") };
            assert_eq!(done.undone, Vec::<String>::new(), "{mischief:?}");
            let actual = connect(&server.remote()).actual().await.expect("rows");
            let actual = without_records(&actual);
            assert!(actual.iter().eq(as_if_applied(&desired, OWNER).iter()), "{mischief:?}");
            let sources = SourceMap::new();
            let request = Request::new(OWNER, &sources);
            let (mut yes, mut quiet) = (|_: &Plan, _: &Actual| true, |_| ());
            let gone = destroy(&session, &request, &options(6, 4), &mut yes, &mut quiet).await;
            let Ok(Some(gone)) = gone else { panic!("{mischief:?}: {gone:?}") };
            assert!(connect(&server.remote()).actual().await.expect("rows").is_empty(), "{mischief:?}");
            n_transactions += done.n_transactions + gone.n_transactions;
            let logged = server.comments();
            assert_eq!(logged.len(), n_transactions, "{mischief:?}: {logged:#?}");
            assert_eq!(logged.iter().collect::<BTreeSet<_>>().len(), n_transactions, "{logged:#?}");
        });
        n_cut += usize::from(proxy.n_connections() > 1);
    }
    assert!(n_cut > 20, "{n_cut} runs were cut");
}

#[test]
fn an_apply_survives_elections_and_stopped_members() {
    if !ovn::is_present() {
        return;
    }
    let mut cluster = Cluster::start();
    let leader = cluster.leader();
    // Followers first.
    let remotes = cluster.remotes([(leader + 1) % 3, (leader + 2) % 3, leader]);
    let sizes = [(20, 60), (7, 90), (20, 60)];
    for (round, (n_switches, n_ports)) in sizes.into_iter().enumerate() {
        let desired = Arc::new(large(n_switches, n_ports));
        let worker = std::thread::spawn({
            let (remotes, desired) = (remotes.clone(), Arc::clone(&desired));
            move || {
                let session = connect(&remotes);
                block_on(bring(&session, &desired, OWNER, &options(50, 40), &mut Vec::new()))
            }
        });
        std::thread::sleep(Duration::from_millis(60));
        let leader = cluster.leader();
        match round {
            0 => cluster.members[leader].kill(),
            1 => cluster.members[(leader + 1) % 3].signal("STOP"),
            _ => {
                cluster.members[leader].appctl(&["cluster/failure-test", "transfer-leadership"]);
            }
        }
        worker.join().expect("no panic").unwrap_or_else(|failure| panic!("round {round}: {failure:?}"));
        match round {
            0 => cluster.members[leader].start(),
            1 => cluster.members[(leader + 1) % 3].signal("CONT"),
            _ => {}
        }
        let session = connect(&remotes);
        let actual = without_records(block_on(session.actual()).expect("rows").as_ref());
        assert!(actual.iter().eq(as_if_applied(&desired, OWNER).iter()), "round {round}");
    }
}

#[test]
fn two_runs_at_once_lose_and_double_nothing() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let remote = server.remote();
    let inputs = [Arc::new(large(4, 20)), Arc::new(large(6, 10))];
    let runs: Vec<_> = inputs
        .iter()
        .cloned()
        .map(|desired| {
            let remote = remote.clone();
            std::thread::spawn(move || {
                let session = connect(&remote);
                for _ in 0..10 {
                    match block_on(bring(&session, &desired, OWNER, &options(30, 20), &mut Vec::new())) {
                        Ok(_) | Err(Failure::Stale(..)) => {}
                        Err(failure) => panic!("{failure:?}"),
                    }
                }
            })
        })
        .collect();
    runs.into_iter().for_each(|run| run.join().expect("no panic"));
    let session = connect(&remote);
    block_on(async {
        for desired in &inputs {
            bring(&session, desired, OWNER, &options(30, 20), &mut Vec::new()).await.expect("applied");
            let actual = session.actual().await.expect("rows");
            assert!(View::new(&actual, OWNER, desired).extra.is_empty());
            let actual = without_records(&actual);
            assert!(actual.iter().eq(as_if_applied(desired, OWNER).iter()));
        }
    });
}

#[test]
fn a_stale_plan_writes_nothing() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let session = connect(&server.remote());
    let (old, new) = (large(2, 3), large(3, 2));
    block_on(async {
        bring(&session, &old, OWNER, &options(5000, 1000), &mut Vec::new()).await.expect("applied");
        let sources = SourceMap::new();
        let actual = session.actual().await.expect("rows");
        let made = plan(&new, &actual, &Request::new(OWNER, &sources));
        bring(&session, &new, OWNER, &options(5000, 1000), &mut Vec::new()).await.expect("applied");
        let before = session.actual().await.expect("rows");
        let failure = northc::apply::execute(&session, made, &options(5000, 1000), &mut |_| ()).await;
        let Err(Failure::Stale(changed, 0)) = failure else { panic!("{failure:?}") };
        assert!(changed[0].contains("northc wrote"), "{changed:?}");
        assert_eq!(session.actual().await.expect("rows"), before);
    });
}
