//! An OVSDB client (RFC 7047, ovsdb-server(7)) for the Northbound database.
//!
//! | file | job |
//! |---|---|
//! | `endpoint` | `unix:`, `tcp:`, `ssl:`, and lists of them |
//! | `frame` | bytes → complete JSON objects; no sockets |
//! | `message` | requests, replies, notifications; the one place that knows JSON-RPC |
//! | `op`, `encode` | operations of a transaction, straight to bytes |
//! | `decode` | what a monitor sends, straight into rows |
//! | `schema` | what the server can hold |
//! | `tls`, `stream` | socket and framer; not yet a session |
//! | `link` | handshake done: schema read, leadership checked |
//! | `driver` | the one task that owns the socket: ids, echo, deadlines, reconnects |
//! | `serve` | one connection, from handshake to loss |
//! | `replica` | monitor → rows |
//! | `session` | the handle that callers hold |
//! | `fault` | what can go wrong, and whether to retry, resync or stop |
//!
//! One task owns the socket, and callers talk to it through bounded channels; nothing is locked while
//! bytes move. It lives on a thread of its own, so that it answers the server's probes also while its
//! caller computes. Every wait has a bound.
//!
//! Without the feature `live` only `op` is there: what a transaction says, without a way to send it.
//!
//! Refuses to know plans, diagnostics, and who owns a row. An example stands in `session`.

#[cfg(feature = "live")]
mod decode;
#[cfg(feature = "live")]
pub mod driver;
mod encode;
#[cfg(feature = "live")]
pub mod endpoint;
#[cfg(feature = "live")]
pub mod fault;
#[cfg(feature = "live")]
pub mod frame;
#[cfg(feature = "live")]
mod link;
#[cfg(feature = "live")]
pub mod message;
pub mod op;
#[cfg(feature = "live")]
pub mod replica;
#[cfg(feature = "live")]
pub mod schema;
#[cfg(feature = "live")]
mod serve;
#[cfg(feature = "live")]
pub mod session;
#[cfg(feature = "live")]
mod stream;
#[cfg(feature = "live")]
pub mod tls;
