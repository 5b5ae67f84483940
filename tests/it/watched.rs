//! A monitor of its own on a real server, which holds each single update of each apply against what is promised of
//! every moment (`promise.rs`).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use northc::apply::{Done, Event};
use northc::nb::actual::Actual;
use northc::nb::{Rows, Table};
use northc::ovsdb::frame::Framer;
use northc::ovsdb::replica::Replica;
use northc::ovsdb::schema::Schema;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use crate::laws::{OWNER, net, rows};
use crate::live::{block_on, bring, connect, options};
use crate::mutants::MUTATED;
use crate::ovn;
use crate::promise::Sight;
use crate::proxy::{Mischief, Proxy};
use crate::servers::Server;

/// Everything that was seen, and the rows now.
#[derive(Default)]
struct Seen {
    sights: Vec<Sight>,
    rows: Arc<Actual>,
}

/// Watches until the server goes.
fn watch(remote: &str) -> Arc<Mutex<Seen>> {
    let path = remote.strip_prefix("unix:").expect("a unix socket").to_owned();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let watching = Arc::clone(&seen);
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = UnixStream::connect(path).expect("it listens");
        let schema = next(&mut stream, &mut Framer::default(), "get_schema", &json!(["OVN_Northbound"]));
        let schema = Schema::parse(&schema["result"].to_string()).expect("a schema");
        let mut replica = Replica::new(&schema);
        let has = |table: &&Table| schema.has_table(table.name());
        let of_table = |table: &Table| {
            let columns = table.columns().iter().map(|column| column.name);
            let columns: Vec<&str> =
                columns.filter(|name| schema.column(table.name(), name).is_some()).collect();
            (table.name().to_owned(), json!([{ "columns": columns }]))
        };
        let tables: Map<String, Value> = Table::ALL.iter().filter(has).map(of_table).collect();
        let params = json!(["OVN_Northbound", "watch", tables, uuid::Uuid::nil().to_string()]);
        let mut framer = Framer::default();
        let dump = next(&mut stream, &mut framer, "monitor_cond_since", &params);
        replica.start(&dump["result"].to_string()).expect("a dump");
        ready.send(()).expect("somebody waits");
        let mut chunk = vec![0; 64 << 10];
        loop {
            while let Ok(Some(message)) = framer.next_message() {
                let message: Value = serde_json::from_slice(&message).expect("JSON");
                if message["method"] != "update3" {
                    continue;
                }
                replica.update("update3", &message["params"].to_string()).expect("an update");
                let mut seen = watching.lock().expect("held briefly");
                seen.sights.push(Sight::of(replica.actual()));
                seen.rows = Arc::clone(replica.actual());
            }
            match stream.read(&mut chunk) {
                Ok(n) if n > 0 => framer.push(&chunk[..n]),
                Ok(_) | Err(_) => return,
            }
        }
    });
    is_ready.recv().expect("it watches");
    seen
}

/// The reply to a request.
fn next(stream: &mut UnixStream, framer: &mut Framer, method: &str, params: &Value) -> Value {
    let request = json!({"id": 0, "method": method, "params": params});
    stream.write_all(request.to_string().as_bytes()).expect("it listens");
    let mut chunk = vec![0; 64 << 10];
    loop {
        if let Some(message) = framer.next_message().expect("JSON") {
            return serde_json::from_slice(&message).expect("JSON");
        }
        let n = stream.read(&mut chunk).expect("it answers");
        framer.push(&chunk[..n]);
    }
}

/// Applies through `remote`, and holds every update that was seen meanwhile against the promise. How many there were.
fn watched(
    server: &Server,
    remote: &str,
    seen: &Mutex<Seen>,
    rows: &Rows,
    owner: &str,
) -> Result<usize, String> {
    let from = {
        let mut seen = seen.lock().expect("held briefly");
        seen.sights.clear();
        Sight::of(&seen.rows)
    };
    let mut events = Vec::new();
    let made: Result<Option<Done>, _> =
        block_on(bring(&connect(remote), rows, owner, &options(1, 2), &mut events));
    made.map_err(|failure| format!("{failure:?}"))?;
    if let Some(raced) = events.iter().find(|event| matches!(event, Event::Raced(_))) {
        return Err(format!("nobody else wrote: {raced:?}"));
    }
    let now = block_on(connect(&server.remote()).actual()).expect("rows");
    ovn::wait_for("the last update", || seen.lock().expect("held briefly").rows == now);
    let seen = seen.lock().expect("held briefly");
    let to = Sight::of(&now);
    match seen.sights.iter().find_map(|sight| sight.broken(&from, &to)) {
        Some(broken) => Err(broken),
        None => Ok(seen.sights.len()),
    }
}

#[test]
fn each_update_of_each_apply_keeps_what_is_promised() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let remote = server.remote();
    let seen = watch(&remote);
    let mut n_updates = 0;
    for (at, mutated) in MUTATED.iter().enumerate() {
        // Some changes of each case: all of them are applied by `mutants::applied`.
        let wanted = mutated.wanted.iter().skip(at % 7).step_by(1 + mutated.wanted.len() / 2).take(2);
        let first = ("at first".to_owned(), mutated.there.clone());
        for (what, rows) in std::iter::once(&first).chain(wanted) {
            let n = watched(&server, &remote, &seen, rows, "default");
            n_updates += n.unwrap_or_else(|broken| panic!("{}: {what}: {broken}", mutated.case));
        }
        watched(&server, &remote, &seen, &Rows::new(), "default").expect("removed");
    }
    assert!(n_updates > 500, "{n_updates}");
}

#[test]
fn random_changes_keep_what_is_promised_under_faults_too() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let seen = watch(&server.remote());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(Default::default()));
    let mut n_updates = 0;
    for round in 0..40 {
        let rows = rows(&net().new_tree(&mut runner).expect("a network").current());
        let mischief = match round % 4 {
            0 => Mischief::Delay(Duration::from_millis(1)),
            1 => Mischief::CutAfterTransact,
            2 => Mischief::CutReplies(6_000 + 500 * round),
            _ => Mischief::CutRequests(3_000 + 300 * round),
        };
        let proxy = Proxy::before(&server.remote(), mischief);
        let n = watched(&server, &proxy.remote(), &seen, &rows, OWNER);
        n_updates += n.unwrap_or_else(|broken| panic!("round {round}, {mischief:?}: {broken}"));
    }
    assert!(n_updates > 100, "{n_updates}");
}
