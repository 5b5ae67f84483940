//! Servers of one database that are only played: a cluster or one alone, with a connection task a client, and a
//! fate that stops them, empties them, moves their leader and garbles what they say. The clock is tokio's.
//!
//! Everything follows from a seed. Refuses to judge; `mod.rs` does.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use northc::nb::actual::{Actual, Lack};
use northc::nb::{Table, record, stamp};
use northc::ovsdb::endpoint::Endpoint;
use northc::ovsdb::frame::Framer;
use northc::ovsdb::session::{Dial, Io};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::database;
use crate::expressions::Dice;
use crate::fuzzed::targets;
use crate::laws::OWNER;

/// What may go wrong, and how often: one in so many; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mood {
    /// A message of the server comes late.
    pub(super) late: usize,
    /// A connection is cut within a message.
    pub(super) cut: usize,
    /// A reply never comes, comes twice, after a later message, or as nonsense.
    pub(super) lies: usize,
    /// An event of [`World::fate`].
    pub(super) fate: usize,
    /// Of those, the database forgets: it is emptied, or an older copy comes back.
    pub(super) forgets: bool,
    /// Of those, the schema is another.
    pub(super) converts: bool,
    /// Somebody else writes over our rows, every so many tenths of a second.
    pub(super) rival: usize,
}

/// Bytes after which connections are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Of those that the server sends, or that the client does.
    pub(super) replies: bool,
    pub(super) bytes: usize,
    /// The first connection alone.
    pub(super) once: bool,
}

/// A transaction that was carried out.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    /// The comment, where it is northc's.
    pub(super) comment: Option<String>,
    pub(super) before: Arc<Actual>,
    pub(super) after: Arc<Actual>,
}

pub(super) struct World {
    dice: Dice,
    pub(super) mood: Mood,
    pub(super) cut: Option<Cut>,
    pub(super) rows: Arc<Actual>,
    schema: String,
    is_cluster: bool,
    txn: Uuid,
    history: Vec<(Uuid, Arc<Actual>)>,
    leader: usize,
    silent_until: Instant,
    down_until: Instant,
    full_until: Instant,
    lonely_until: Instant,
    pub(super) commits: Vec<Commit>,
    connections: Vec<(usize, mpsc::UnboundedSender<Push>)>,
    n_connections: usize,
    /// How many bytes went to and from clients in all.
    pub(super) n_bytes: [usize; 2],
}

/// What a connection is told to send.
enum Push {
    Rows(Arc<Commit>, Uuid),
    Leader,
    Cancelled,
    Hangup,
}

pub(super) type Shared = Arc<Mutex<World>>;

/// Members of the cluster.
pub(super) const N_MEMBERS: usize = 3;

impl World {
    pub(super) fn new(seed: u64, rows: Actual, is_cluster: bool, mood: Mood) -> World {
        let now = Instant::now();
        World {
            dice: Dice::new(seed),
            mood,
            cut: None,
            rows: Arc::new(rows),
            schema: targets::schema(),
            is_cluster,
            txn: Uuid::from_u128(1),
            history: Vec::new(),
            leader: 0,
            silent_until: now,
            down_until: now,
            full_until: now,
            lonely_until: now,
            commits: Vec::new(),
            connections: Vec::new(),
            n_connections: 0,
            n_bytes: [0; 2],
        }
    }

    fn happens(&mut self, one_in: usize) -> bool {
        one_in > 0 && self.dice.one_in(one_in)
    }

    /// Some time up to so many milliseconds.
    fn time(&mut self, ms_max: usize) -> Duration {
        Duration::from_millis(1 + self.dice.below(ms_max) as u64)
    }

    /// From here on nothing goes wrong.
    pub(super) fn calm(&mut self) {
        let now = Instant::now();
        self.mood = Mood::default();
        self.cut = None;
        (self.silent_until, self.down_until, self.full_until, self.lonely_until) = (now, now, now, now);
        self.convert(false);
    }

    fn tell(&mut self, push: impl Fn() -> Push) {
        self.connections.retain(|(_, connection)| connection.send(push()).is_ok());
    }

    fn transact(&mut self, ops: &[Value]) -> Value {
        if Instant::now() < self.full_until && !ops.iter().all(|op| op["op"] == "select") {
            let error = json!({"error": "I/O error", "details": "cannot write: No space left on device"});
            return Value::Array([vec![json!({}); ops.len()], vec![error]].concat());
        }
        let (results, after) = database::transact(&self.rows, ops);
        if let Some(after) = after.filter(|after| *after != *self.rows) {
            let comment = ops.iter().find_map(|op| op["comment"].as_str()).map(str::to_owned);
            self.become_rows(after, comment);
        }
        Value::Array(results)
    }

    fn become_rows(&mut self, after: Actual, comment: Option<String>) {
        let (before, after) = (Arc::clone(&self.rows), Arc::new(after));
        self.txn = Uuid::from_u128(self.txn.as_u128() + 1);
        self.history.push((self.txn, Arc::clone(&after)));
        self.rows = Arc::clone(&after);
        let commit = Commit { comment, before, after };
        self.commits.push(commit.clone());
        let (commit, txn) = (Arc::new(commit), self.txn);
        self.tell(|| Push::Rows(Arc::clone(&commit), txn));
    }

    /// Another schema: columns younger than OVN 23.03 are not there, or are again.
    fn convert(&mut self, to_old: bool) {
        let young =
            Table::ALL.iter().flat_map(|table| table.columns().iter().map(move |column| (*table, column)));
        let young = young.filter(|(_, column)| column.since.is_some() || column.name == "dhcpv4_options");
        let lacks = young.filter(|_| to_old).map(|(table, column)| Lack { table, column: Some(column.name) });
        let mut rows = Actual::new(lacks.collect());
        if rows.lacks() == self.rows.lacks() {
            return;
        }
        let mut schema: Value = serde_json::from_str(&targets::schema()).expect("JSON");
        for lack in rows.lacks() {
            let columns = schema["tables"][lack.table.name()]["columns"].as_object_mut().expect("columns");
            columns.remove(lack.column.expect("a column"));
        }
        self.schema = schema.to_string();
        for (uuid, row) in self.rows.iter() {
            let mut row = row.as_ref().clone();
            let table = row.table();
            for column in table.columns().iter().filter(|column| !rows.has_column(table, column.name)) {
                *row.get_mut(column.name).expect("a column") = column.kind.default();
            }
            rows.insert(uuid, row);
        }
        self.rows = Arc::new(rows);
        self.history.clear();
        self.tell(|| Push::Cancelled);
    }

    /// Something that happens to servers.
    fn fate(&mut self) {
        let now = Instant::now();
        match self.dice.below(9) {
            0 => self.silent_until = now + self.time(20_000),
            1 | 2 => {
                self.down_until = now + self.time(4_000);
                self.tell(|| Push::Hangup);
            }
            3 => self.full_until = now + self.time(5_000),
            4 | 5 if self.is_cluster => {
                self.leader = self.dice.below(N_MEMBERS);
                self.tell(|| Push::Leader);
            }
            6 if self.is_cluster => self.lonely_until = now + self.time(15_000),
            7 if self.mood.forgets => {
                self.tell(|| Push::Hangup);
                let copy = match self.history.len() {
                    0 => Arc::new(Actual::new(self.rows.lacks().clone())),
                    n => Arc::clone(&self.history[self.dice.below(n)].1),
                };
                self.history.clear();
                self.txn = Uuid::from_u128(self.txn.as_u128() + 1_000_000);
                self.rows =
                    if self.dice.one_in(2) { copy } else { Arc::new(Actual::new(copy.lacks().clone())) };
            }
            8 if self.mood.converts => {
                let to_old = self.dice.one_in(2);
                self.convert(to_old);
            }
            _ => self.tell(|| Push::Hangup),
        }
    }

    /// Somebody takes a row of ours away, or writes over it.
    fn interfere(&mut self) {
        let is_ours = |row: &northc::nb::Row| stamp::external_id(row, stamp::OWNER) == Some(OWNER);
        let ours: Vec<(Uuid, Table)> =
            self.rows.iter().filter(|(_, row)| is_ours(row)).map(|(uuid, row)| (uuid, row.table())).collect();
        if ours.is_empty() {
            return;
        }
        let (uuid, table) = ours[self.dice.below(ours.len())];
        let mut after = self.rows.as_ref().clone();
        match self.dice.below(3) {
            0 if uuid != record::uuid(OWNER) => drop(after.remove(table, uuid)),
            1 => {
                let theirs = json!({"op": "mutate", "table": table.name(),
                    "where": [["_uuid", "==", ["uuid", uuid.to_string()]]],
                    "mutations": [["external_ids", "insert", ["map", [["theirs", "yes"]]]]]});
                self.transact(&[theirs]);
                return;
            }
            _ => {
                let row = after.get_mut(table, uuid).expect("it is there");
                let column = if table == Table::Acl { "match" } else { "options" };
                let Some(datum) = row.get_mut(column) else { return };
                *datum = match datum {
                    northc::nb::Datum::Set(_) => {
                        northc::nb::Datum::set([northc::nb::Atom::Text("ip6".into())])
                    }
                    northc::nb::Datum::Map(_) => northc::nb::Datum::map([]),
                };
            }
        }
        if crate::memory::commit(&mut after).is_ok() && after != *self.rows {
            self.become_rows(after, None);
        }
    }

    fn server_rows(&self, member: usize) -> Value {
        let model = if self.is_cluster { "clustered" } else { "standalone" };
        let cid = match self.is_cluster {
            true => json!(["uuid", Uuid::from_u128(77).to_string()]),
            false => json!(["set", []]),
        };
        let leads = !self.is_cluster || self.leader == member;
        let connected = leads || Instant::now() >= self.lonely_until;
        let row = json!({"name": "OVN_Northbound", "model": model, "connected": connected, "leader": leads,
            "cid": cid, "index": if self.is_cluster { json!(1) } else { json!(["set", []]) }});
        let at = Uuid::from_u128(5).to_string();
        json!({"Database": {at: {"new": row}}})
    }
}

/// Connects to a member: `unix:/0`, `unix:/1` …
pub(super) fn dial(world: &Shared) -> Dial {
    let world = Arc::clone(world);
    Arc::new(move |endpoint: &Endpoint| {
        let member = endpoint.to_string().rsplit('/').next().and_then(|n| n.parse().ok()).expect("a member");
        let mut at = world.lock().expect("held briefly");
        if Instant::now() < at.down_until {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (push, pushes) = mpsc::unbounded_channel();
        at.connections.push((member, push));
        let cut = at.cut.filter(|cut| !cut.once || at.n_connections == 0);
        at.n_connections += 1;
        tokio::spawn(serve(Arc::clone(&world), member, theirs, pushes, cut));
        Ok(Box::new(ours) as Box<dyn Io>)
    })
}

/// Lets fate and the rival act until the mood is good.
pub(super) async fn act(world: Shared) {
    let mut n_tenths = 0;
    loop {
        {
            let mut at = world.lock().expect("held briefly");
            let (one_in, rival) = (at.mood.fate, at.mood.rival);
            if one_in == 0 && rival == 0 {
                return;
            }
            if at.happens(one_in) {
                at.fate();
            }
            if rival > 0 && n_tenths % rival == 0 {
                at.interfere();
            }
        }
        n_tenths += 1;
        sleep(Duration::from_millis(100)).await;
    }
}

/// What a cluster does with a transaction once its members see each other again: it is carried out, or lost.
async fn decide(world: Shared, ops: Vec<Value>) {
    loop {
        sleep(Duration::from_millis(100)).await;
        let mut world = world.lock().expect("held briefly");
        if Instant::now() >= world.lonely_until {
            if world.dice.one_in(2) {
                world.transact(&ops);
            }
            return;
        }
    }
}

/// One connection, from the server's side.
struct Connection {
    world: Shared,
    member: usize,
    out: WriteHalf<DuplexStream>,
    /// Said after the next message.
    held: Option<Vec<u8>>,
    pushes: mpsc::UnboundedReceiver<Push>,
    is_monitored: bool,
    cut: Option<Cut>,
}

async fn serve(
    world: Shared,
    member: usize,
    io: DuplexStream,
    pushes: mpsc::UnboundedReceiver<Push>,
    cut: Option<Cut>,
) {
    let (mut input, out) = tokio::io::split(io);
    let mut connection = Connection { world, member, out, held: None, pushes, is_monitored: false, cut };
    let mut framer = Framer::default();
    let mut chunk = vec![0; 16 << 10];
    // An error is the end of the connection, whoever made it.
    loop {
        let gone = tokio::select! {
            biased;
            push = connection.pushes.recv() => match push {
                Some(push) => connection.push(push).await,
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
            n = input.read(&mut chunk) => match n {
                Ok(n) if n > 0 => connection.hear(&mut framer, &chunk[..n]).await,
                Ok(_) | Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
            },
        };
        if gone.is_err() {
            return;
        }
    }
}

impl Connection {
    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().expect("held briefly"))
    }

    async fn awake(&self) {
        loop {
            let until = self.with(|world| world.silent_until);
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }

    async fn hear(&mut self, framer: &mut Framer, mut bytes: &[u8]) -> io::Result<()> {
        self.awake().await;
        self.with(|world| world.n_bytes[1] += bytes.len());
        let bound = self.cut.as_mut().filter(|cut| !cut.replies);
        let is_cut = bound.is_some_and(|cut| {
            let passes = bytes.len().min(cut.bytes);
            bytes = &bytes[..passes];
            cut.bytes -= passes;
            cut.bytes == 0
        });
        framer.push(bytes);
        while let Ok(Some(message)) = framer.next_message() {
            let message: Value = serde_json::from_slice(&message).expect("northc sends JSON");
            self.answer(&message).await?;
        }
        if is_cut { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    async fn answer(&mut self, message: &Value) -> io::Result<()> {
        let (id, params) = (&message["id"], &message["params"]);
        let result = match message["method"].as_str() {
            Some("monitor") => self.with(|world| world.server_rows(self.member)),
            Some("set_db_change_aware" | "echo") => json!([]),
            Some("get_schema") => self.with(|world| serde_json::from_str(&world.schema).expect("JSON")),
            Some("monitor_cond_since") => {
                self.is_monitored = true;
                self.with(|world| world.dump(&params[3]))
            }
            Some("transact") => {
                let lonely_until = self.with(|world| world.lonely_until);
                let ops = &params.as_array().expect("params")[1..];
                if Instant::now() < lonely_until && !ops.iter().all(|op| op["op"] == "select") {
                    // Without the others nothing is decided; meanwhile the connection serves on.
                    let (world, ops) = (Arc::clone(&self.world), ops.to_vec());
                    tokio::spawn(decide(world, ops));
                    return Ok(());
                }
                let result = self.with(|world| world.transact(ops));
                // What its monitor is told of a transaction comes before the reply.
                while let Ok(push) = self.pushes.try_recv() {
                    self.push(push).await?;
                }
                result
            }
            // Answers to our own probes, of which there are none, and what is given up.
            Some("cancel") | None => return Ok(()),
            Some(other) => panic!("`{other}` is not played"),
        };
        self.say(json!({"id": id, "result": result, "error": null}).to_string().into_bytes(), true).await
    }

    async fn push(&mut self, push: Push) -> io::Result<()> {
        self.awake().await;
        let notice = match push {
            Push::Hangup => return Err(io::ErrorKind::BrokenPipe.into()),
            Push::Rows(commit, txn) if self.is_monitored => {
                let updates = database::updates(&commit.before, &commit.after, "insert");
                json!({"id": null, "method": "update3", "params": ["northc", txn.to_string(), updates]})
            }
            Push::Rows(..) => return Ok(()),
            Push::Leader => {
                let rows = self.with(|world| world.server_rows(self.member));
                json!({"id": null, "method": "update", "params": ["northc-server", rows]})
            }
            Push::Cancelled => json!({"id": null, "method": "monitor_canceled", "params": ["northc"]}),
        };
        self.say(notice.to_string().into_bytes(), false).await
    }

    /// Sends a message, as far as the mood lets it.
    async fn say(&mut self, message: Vec<u8>, is_reply: bool) -> io::Result<()> {
        let (late, lie) = self.with(|world| {
            let late = if world.happens(world.mood.late) { world.time(9_000) } else { Duration::ZERO };
            let lie = if world.happens(world.mood.lies) { 1 + world.dice.below(7) } else { 0 };
            (late, lie)
        });
        sleep(late).await;
        let lies = match lie {
            1 => vec![],
            2 => vec![message.clone(), message.clone()],
            3 => {
                let before = self.held.replace(message);
                before.into_iter().collect()
            }
            4 => vec![message[..message.len() / 2].to_vec(), b"}]}".to_vec()],
            5 if is_reply => {
                let text = String::from_utf8_lossy(&message).into_owned();
                vec![text.replace("[\"uuid\"", "[7").replace("\"count\":", "\"n\":").into_bytes()]
            }
            6 => vec![b"\x00\xff{{{".to_vec()],
            7 => vec![
                format!("{{\"id\":null,\"method\":\"x\",\"params\":[\"{}\"]}}", "x".repeat(3 << 20)).into(),
            ],
            _ => [vec![message], self.held.take().into_iter().collect()].concat(),
        };
        for message in lies {
            self.write(&message).await?;
        }
        Ok(())
    }

    async fn write(&mut self, message: &[u8]) -> io::Result<()> {
        let mut bound = self.with(|world| match world.happens(world.mood.cut) {
            true => world.dice.below(message.len() + 1),
            false => usize::MAX,
        });
        if let Some(cut) = self.cut.as_mut().filter(|cut| cut.replies) {
            bound = bound.min(cut.bytes);
            cut.bytes -= cut.bytes.min(message.len());
        }
        let passes = &message[..message.len().min(bound)];
        self.with(|world| world.n_bytes[0] += passes.len());
        self.out.write_all(passes).await?;
        if bound <= message.len() { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

impl World {
    /// The reply to a request for rows.
    fn dump(&self, since: &Value) -> Value {
        let known = self.history.iter().find(|(txn, _)| since == txn.to_string().as_str());
        match known.filter(|_| self.is_cluster) {
            Some((_, before)) => {
                json!([true, self.txn.to_string(), database::updates(before, &self.rows, "insert")])
            }
            None => {
                let nothing = Actual::new(self.rows.lacks().clone());
                json!([false, self.txn.to_string(), database::updates(&nothing, &self.rows, "initial")])
            }
        }
    }
}
