//! A connection with the handshake done: the server has our database, its schema is read, and where a
//! cluster is behind it, it leads.
//!
//! Everything is asked in one go. `_Server` (ovsdb-server(5)) says who leads and stays monitored;
//! servers before OVS 2.9 do not have it and know no clusters either. `set_db_change_aware` keeps the
//! server from hanging up on every change of leadership, which would lose replies.
//!
//! Refuses to try a second endpoint, and to wait.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_rustls::rustls::ClientConfig;
use uuid::Uuid;

use super::endpoint::Endpoint;
use super::fault::{RpcError, Why};
use super::message::{self, Incoming};
use super::schema::Schema;
use super::session::{Members, Options};
use super::stream::{self, Stream};
use crate::nb::{Atom, Datum, Kind, datum};
use crate::visible::visible;

const ID_SERVER: u64 = 1;
const ID_AWARE: u64 = 2;
const ID_SCHEMA: u64 = 3;
/// The id of the request for rows.
pub(crate) const ID_MONITOR: u64 = 4;
/// The first id for callers' requests.
pub(crate) const ID_FIRST: u64 = 16;

/// The name of the monitor of `_Server`.
const MONITOR: &str = "northc-server";

/// A connection to a server that can serve us.
pub(crate) struct Link {
    pub(crate) endpoint: Endpoint,
    pub(crate) stream: Stream,
    pub(crate) schema: Arc<Schema>,
    pub(crate) server: Server,
}

/// How far a cluster was when we last heard of it: a server that is behind must not be believed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    cluster: Option<Uuid>,
    index: i64,
}

/// Connects and shakes hands.
pub(crate) async fn open(
    options: &Options,
    tls: Option<&Arc<ClientConfig>>,
    endpoint: &Endpoint,
    seen: Seen,
) -> Result<Link, Why> {
    let endpoint = endpoint.within(&options.run_dir);
    let mut stream = stream::connect(options, &endpoint, tls).await?;
    let columns = r#"["name","model","connected","leader","cid","index"]"#;
    let server_params =
        format!(r#"["_Server","{MONITOR}",{{"Database":{{"columns":{columns}}}}}]"#).into_bytes();
    let mut schema_params = vec![b'['];
    crate::nb::datum::write_text(&mut schema_params, &options.database);
    schema_params.push(b']');
    for (id, method, params) in [
        (ID_SERVER, "monitor", server_params.as_slice()),
        (ID_AWARE, "set_db_change_aware", b"[true]"),
        (ID_SCHEMA, "get_schema", &schema_params),
    ] {
        stream.send(Arc::new(message::request(id, method, params)));
    }
    let mut server = None;
    let mut schema = None;
    while server.is_none() || schema.is_none() {
        let bytes = poll_fn(|cx| stream.poll_message(cx)).await?;
        match message::parse(&bytes).map_err(Why::Protocol)? {
            Incoming::Echo { id, params } => {
                stream.send(Arc::new(message::echo_reply(id, params)));
            }
            Incoming::Reply { id: Some(ID_SERVER), result } => server = Some(Server::new(result)?),
            Incoming::Reply { id: Some(ID_SCHEMA), result } => {
                let parsed = result.map(|raw| Schema::parse(raw.get()));
                schema = Some(parsed);
            }
            Incoming::Reply { .. } => {}
            Incoming::Notification { method, params } => {
                if let Some(server) = &mut server {
                    server.update(&method, params)?;
                }
            }
        }
    }
    let (Some(server), Some(schema)) = (server, schema) else { return Err(Why::Hangup) };
    server.check(options, seen)?;
    let schema = match schema {
        Ok(schema) => schema.map_err(Why::Protocol)?,
        Err(error) if error.error == "unknown database" => {
            return Err(Why::NoDatabase(options.database.clone(), server.names()));
        }
        Err(error) => return Err(Why::Protocol(error.to_string())),
    };
    Ok(Link { endpoint, stream, schema: Arc::new(schema), server })
}

/// What `_Server` says about the server's databases.
pub(crate) struct Server {
    /// INVARIANT: `None` when the server has no `_Server`; then it knows no clusters.
    databases: Option<BTreeMap<String, Database>>,
}

struct Database {
    name: String,
    clustered: bool,
    connected: bool,
    leader: bool,
    cluster: Option<Uuid>,
    index: Option<i64>,
}

#[derive(Deserialize)]
struct RowUpdate {
    new: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct ServerUpdates {
    #[serde(rename = "Database", default)]
    database: BTreeMap<String, RowUpdate>,
}

impl Server {
    fn new(result: Result<&RawValue, RpcError>) -> Result<Server, Why> {
        match result {
            Ok(raw) => {
                let mut server = Server { databases: Some(BTreeMap::new()) };
                server.take(raw.get())?;
                Ok(server)
            }
            Err(_) => Ok(Server { databases: None }),
        }
    }

    /// Takes a notification, if it is about `_Server`; false when it is about something else.
    pub(crate) fn update(&mut self, method: &str, params: &RawValue) -> Result<bool, Why> {
        if method != "update" {
            return Ok(false);
        }
        let nonsense = |error: serde_json::Error| Why::Protocol(format!("an update cannot be read: {error}"));
        let (monitor, updates): (Value, &RawValue) = serde_json::from_str(params.get()).map_err(nonsense)?;
        if monitor != MONITOR {
            return Ok(false);
        }
        self.take(updates.get())?;
        Ok(true)
    }

    fn take(&mut self, updates: &str) -> Result<(), Why> {
        let updates: ServerUpdates = serde_json::from_str(updates)
            .map_err(|error| Why::Protocol(format!("`_Server` cannot be read: {error}")))?;
        let databases = self.databases.get_or_insert_default();
        for (uuid, RowUpdate { new }) in updates.database {
            match new.map(|columns| Database::read(&columns)) {
                None => {
                    databases.remove(&uuid);
                }
                Some(None) => return Err(Why::Protocol("`_Server` has another shape".to_owned())),
                Some(Some(database)) => {
                    databases.insert(uuid, database);
                }
            }
        }
        Ok(())
    }

    /// Whether this server can serve us.
    pub(crate) fn check(&self, options: &Options, seen: Seen) -> Result<(), Why> {
        let Some(databases) = &self.databases else { return Ok(()) };
        let Some(database) = databases.values().find(|database| database.name == options.database) else {
            return Err(Why::NoDatabase(options.database.clone(), self.names()));
        };
        if !database.connected {
            return Err(Why::Alone);
        }
        if database.clustered && !database.leader && options.members == Members::Leader {
            return Err(Why::Follower);
        }
        let same_cluster = database.cluster.is_some() && database.cluster == seen.cluster;
        match same_cluster && database.index.is_some_and(|index| index < seen.index) {
            true => Err(Why::Stale),
            false => Ok(()),
        }
    }

    /// Where the cluster of our database is now.
    pub(crate) fn seen(&self, options: &Options) -> Option<Seen> {
        let mut databases = self.databases.iter().flat_map(BTreeMap::values);
        let database = databases.find(|database| database.name == options.database)?;
        Some(Seen { cluster: database.cluster, index: database.index.unwrap_or(0) })
    }

    fn names(&self) -> String {
        let databases = self.databases.iter().flat_map(BTreeMap::values);
        let names: Vec<_> = databases
            .filter(|database| database.name != "_Server")
            .map(|database| format!("`{}`", visible(&database.name)))
            .collect();
        if names.is_empty() { "others".to_owned() } else { names.join(", ") }
    }
}

impl Database {
    fn read(columns: &BTreeMap<String, Value>) -> Option<Database> {
        let first = |kind: Kind, column: &str| match datum::from_json(kind, columns.get(column)?)? {
            Datum::Set(atoms) => Some(atoms.into_iter().next()),
            Datum::Map(_) => None,
        };
        let text = |column: &str| match first(Kind::Text, column)? {
            Some(Atom::Text(text)) => Some(text.to_string()),
            _ => None,
        };
        let truth = |column: &str| Some(first(Kind::Bool, column)? == Some(Atom::Bool(true)));
        Some(Database {
            name: text("name")?,
            clustered: text("model")? == "clustered",
            connected: truth("connected")?,
            leader: truth("leader")?,
            cluster: match first(Kind::RefOpt, "cid")? {
                Some(Atom::Ref(crate::nb::Ref::Foreign(uuid))) => Some(uuid),
                _ => None,
            },
            index: match first(Kind::IntOpt, "index")? {
                Some(Atom::Int(index)) => Some(index),
                _ => None,
            },
        })
    }
}
