//! JSON-RPC 1.0 as OVSDB speaks it (RFC 7047 §4): requests, replies, notifications, and what a
//! `transact` answers. The one place that knows how they look.
//!
//! Refuses to know sockets, sessions, and what rows mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::fault::{Refusal, RpcError};
use super::op::Op;
use crate::nb::datum::write_text;
use crate::nb::{Datum, Kind, datum};
use crate::visible::visible;

/// The id of our own probes; every other id of ours is a number.
pub const PROBE: &str = "northc-probe";

#[derive(Deserialize)]
struct Envelope<'m> {
    #[serde(borrow, default)]
    id: Option<&'m RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'m, str>>,
    #[serde(borrow, default)]
    params: Option<&'m RawValue>,
    #[serde(borrow, default)]
    result: Option<&'m RawValue>,
    #[serde(borrow, default)]
    error: Option<&'m RawValue>,
}

/// A message from the server.
#[derive(Debug)]
pub enum Incoming<'m> {
    /// §4.1.11: to be answered at once with its own parameters.
    Echo {
        /// Its id, as JSON.
        id: &'m str,
        /// Its parameters, as JSON.
        params: &'m str,
    },
    /// Something that happened: `update3`, `monitor_canceled` …
    Notification {
        /// What.
        method: Cow<'m, str>,
        /// Its parameters.
        params: &'m RawValue,
    },
    /// The answer to a request of ours; the id is `None` when it is no number.
    Reply {
        /// Which request.
        id: Option<u64>,
        /// What came of it. `null` is the JSON value.
        result: Result<&'m RawValue, RpcError>,
    },
}

/// Reads a message; the error says what is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Incoming<'_>, String> {
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let id = envelope.id.map(RawValue::get);
    if let Some(method) = envelope.method {
        let params = envelope.params.ok_or("a request without `params`")?;
        return match (method.as_ref(), id) {
            ("echo", Some(id)) => Ok(Incoming::Echo { id, params: params.get() }),
            (_, None) => Ok(Incoming::Notification { method, params }),
            (method, Some(_)) => {
                Err(format!("the server asks for `{}`, which clients do not do", visible(method)))
            }
        };
    }
    let id = id.ok_or("neither a request nor a reply")?;
    let result = match envelope.error {
        Some(error) => Err(rpc_error(error)),
        None => Ok(envelope.result.unwrap_or(RawValue::NULL)),
    };
    Ok(Incoming::Reply { id: id.parse().ok(), result })
}

fn rpc_error(raw: &RawValue) -> RpcError {
    let text =
        |value: Option<&Value>| visible(value.and_then(Value::as_str).unwrap_or_default()).into_owned();
    match serde_json::from_str(raw.get()) {
        Ok(Value::String(error)) => RpcError { error: visible(&error).into_owned(), details: String::new() },
        Ok(Value::Object(o)) => RpcError { error: text(o.get("error")), details: text(o.get("details")) },
        Ok(_) | Err(_) => RpcError { error: raw.get().to_owned(), details: String::new() },
    }
}

/// A request; `params` is a JSON array.
pub fn request(id: u64, method: &str, params: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(params.len() + method.len() + 48);
    out.extend_from_slice(b"{\"method\":");
    write_text(&mut out, method);
    out.extend_from_slice(b",\"params\":");
    out.extend_from_slice(params);
    out.extend_from_slice(format!(",\"id\":{id}}}").as_bytes());
    out
}

/// Our own probe.
pub fn probe() -> Vec<u8> {
    format!("{{\"method\":\"echo\",\"params\":[],\"id\":\"{PROBE}\"}}").into_bytes()
}

/// The answer to the server's probe.
pub fn echo_reply(id: &str, params: &str) -> Vec<u8> {
    format!("{{\"result\":{params},\"error\":null,\"id\":{id}}}").into_bytes()
}

/// §4.1.4: the request `id` is of no interest any more.
pub fn cancel(id: u64) -> Vec<u8> {
    format!("{{\"method\":\"cancel\",\"params\":[{id}],\"id\":null}}").into_bytes()
}

/// What came of one operation (RFC 7047 §5.2).
#[derive(Clone, Debug, PartialEq)]
pub enum OpResult {
    /// `insert`: the row's UUID.
    Inserted(Uuid),
    /// `update`, `mutate`, `delete`: how many rows matched. 0 is no error to the server.
    Count(u64),
    /// `select`: the rows.
    Rows(Vec<Selected>),
    /// The others have nothing to say.
    Done,
}

/// A row that a `select` brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    columns: BTreeMap<String, Value>,
}

impl Selected {
    /// The value of a column of this kind; `None` when it was not selected or does not fit.
    pub fn get(&self, kind: Kind, column: &str) -> Option<Datum> {
        datum::from_json(kind, self.columns.get(column)?)
    }

    /// A column of one string.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.columns.get(column)?.as_str()
    }

    /// A column of one integer.
    pub fn int(&self, column: &str) -> Option<i64> {
        self.columns.get(column)?.as_i64()
    }

    /// A column of one UUID, such as `_uuid`.
    pub fn uuid(&self, column: &str) -> Option<Uuid> {
        match self.columns.get(column)?.as_array()?.as_slice() {
            [tag, uuid] if tag == "uuid" => Uuid::parse_str(uuid.as_str()?).ok(),
            _ => None,
        }
    }
}

/// Why a `transact` brought no results.
#[derive(Debug, PartialEq)]
pub enum Unfit {
    /// The server refused.
    Refused(Box<Refusal>),
    /// The answer makes no sense.
    Nonsense(String),
}

#[derive(Deserialize)]
struct Element<'m> {
    error: Option<String>,
    details: Option<String>,
    /// What the system said to the server.
    #[serde(rename = "io-error")]
    io_error: Option<String>,
    count: Option<u64>,
    #[serde(borrow)]
    uuid: Option<&'m RawValue>,
    rows: Option<Vec<BTreeMap<String, Value>>>,
}

/// The results of a `transact` of these operations (RFC 7047 §4.1.3): one element for each, and one
/// more when the commit failed although every operation went well.
pub fn results(ops: &[Op], result: &str) -> Result<Vec<OpResult>, Unfit> {
    let nonsense = |detail: &str| Unfit::Nonsense(detail.to_owned());
    let elements: Vec<Option<Element<'_>>> =
        serde_json::from_str(result).map_err(|error| Unfit::Nonsense(error.to_string()))?;
    let mut results = Vec::with_capacity(ops.len());
    let n_elements = elements.len();
    for (at, element) in elements.into_iter().enumerate() {
        let element = element.ok_or_else(|| nonsense("a result is null, and none before it failed"))?;
        if let Some(error) = element.error {
            let details: Vec<String> = element.details.into_iter().chain(element.io_error).collect();
            let (error, details) = (visible(&error).into_owned(), visible(&details.join(": ")).into_owned());
            return Err(Unfit::Refused(Box::new(refusal(ops, at, error, details))));
        }
        let op = ops.get(at).ok_or_else(|| nonsense("more results than operations"))?;
        results.push(match op {
            Op::Insert { .. } => OpResult::Inserted(inserted(&element).ok_or_else(|| nonsense("no `uuid`"))?),
            Op::Update { .. } | Op::Mutate { .. } | Op::Delete { .. } => {
                OpResult::Count(element.count.ok_or_else(|| nonsense("no `count`"))?)
            }
            Op::Select { .. } => {
                let rows = element.rows.ok_or_else(|| nonsense("no `rows`"))?;
                OpResult::Rows(rows.into_iter().map(|columns| Selected { columns }).collect())
            }
            Op::Wait { .. } | Op::WaitValues { .. } | Op::CommitDurable | Op::Comment(_) | Op::Assert(_) => {
                OpResult::Done
            }
        });
    }
    match n_elements == ops.len() {
        true => Ok(results),
        false => Err(nonsense("fewer results than operations")),
    }
}

fn inserted(element: &Element<'_>) -> Option<Uuid> {
    let (_, uuid): (String, String) = serde_json::from_str(element.uuid?.get()).ok()?;
    Uuid::parse_str(&uuid).ok()
}

fn refusal(ops: &[Op], at: usize, error: String, details: String) -> Refusal {
    let named = uuids(&details);
    let at_commit = at >= ops.len();
    let op = match at_commit {
        false => Some(at),
        // The first row named is the one at fault; the operation that wrote it comes before others.
        true => named.iter().find_map(|row| ops.iter().position(|op| op.row() == Some(*row))),
    };
    let culprit = op.and_then(|at| ops.get(at));
    Refusal {
        op,
        op_name: culprit.map(Op::name),
        table: culprit.and_then(Op::table).map(str::to_owned),
        row: culprit.and_then(Op::row).or_else(|| named.first().copied()),
        named,
        at_commit,
        error,
        details,
    }
}

/// The UUIDs that a text mentions, each once, in order.
fn uuids(text: &str) -> Vec<Uuid> {
    let mut found = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(|word| word.len() == 36) {
        if let Ok(uuid) = Uuid::parse_str(word)
            && !found.contains(&uuid)
        {
            found.push(uuid);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ovsdb::op::Which;

    fn delete(row: u128) -> Op {
        Op::Delete { table: "ACL".into(), rows: Which::Row(Uuid::from_u128(row)) }
    }

    #[test]
    fn requests_and_replies_are_told_apart() {
        let echo = br#"{"id":"echo","method":"echo","params":[1]}"#;
        let Ok(Incoming::Echo { id, params }) = parse(echo) else { panic!("an echo") };
        assert_eq!(echo_reply(id, params), br#"{"result":[1],"error":null,"id":"echo"}"#);
        let reply = br#"{"id":7,"error":null,"result":null}"#;
        let Ok(Incoming::Reply { id: Some(7), result: Ok(raw) }) = parse(reply) else { panic!("a reply") };
        assert_eq!(raw.get(), "null");
        let reply = br#"{"id":7,"error":"unknown method"}"#;
        let Ok(Incoming::Reply { result: Err(error), .. }) = parse(reply) else { panic!("an error") };
        assert_eq!(error.to_string(), "unknown method");
        let error = br#"{"id":7,"error":{"details":"no x","error":"unknown database","syntax":"[]"}}"#;
        let Ok(Incoming::Reply { result: Err(error), .. }) = parse(error) else { panic!("an error") };
        assert_eq!(error.to_string(), "unknown database: no x");
        assert!(parse(b"{}").is_err() && parse(b"{\"id\":1").is_err());
    }

    #[test]
    fn an_operation_that_fails_is_named() {
        let ops = [delete(1), delete(2), delete(3)];
        let reply = r#"[{"count":1},{"error":"constraint violation","details":"bad"},null]"#;
        let Err(Unfit::Refused(refusal)) = results(&ops, reply) else { panic!("refused") };
        assert_eq!((refusal.op, refusal.row), (Some(1), Some(Uuid::from_u128(2))));
        assert!(!refusal.at_commit);
    }

    #[test]
    fn a_commit_that_fails_is_traced_to_an_operation() {
        let ops = [delete(1), delete(2)];
        let reply = r#"[{"count":1},{"count":1},{"error":"referential integrity violation","details":"cannot delete ACL row 00000000-0000-0000-0000-000000000002 because of 1 remaining reference(s)"}]"#;
        let Err(Unfit::Refused(refusal)) = results(&ops, reply) else { panic!("refused") };
        assert_eq!((refusal.op, refusal.at_commit), (Some(1), true));
        assert_eq!(refusal.table.as_deref(), Some("ACL"));
    }

    #[test]
    fn answers_without_sense_are_refused() {
        let ops = [delete(1)];
        assert_eq!(results(&ops, r#"[{"count":4}]"#), Ok(vec![OpResult::Count(4)]));
        for reply in ["[]", "[null]", "{}", "[{}]", r#"[{"count":1},{"count":1}]"#] {
            assert!(matches!(results(&ops, reply), Err(Unfit::Nonsense(_))), "{reply}");
        }
    }
}
