//! A socket and a framer: whole messages in, whole messages out, over unix, tcp or TLS.
//!
//! Reads and writes go on together, for the server does not read on while nobody takes its replies.
//! Refuses to know what messages say; it is not yet a session.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use super::endpoint::{Address, Endpoint};
use super::fault::{TlsFailure, Why};
use super::frame::Framer;
use super::session::Options;
use super::tls;

/// How much one read may bring.
const READ_BYTES: usize = 64 << 10;

/// Bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection.
pub(crate) struct Stream {
    io: Box<dyn Io>,
    framer: Framer,
    chunk: Box<[u8]>,
    outbox: VecDeque<Arc<Vec<u8>>>,
    /// How much of the first message of `outbox` is written.
    written: usize,
    /// Messages that were wholly written.
    n_sent: u64,
    /// Messages that were given to [`Stream::send`].
    n_queued: u64,
    flushed: bool,
    heard: Instant,
}

/// Connects, TLS handshake included. Dropping the future gives up.
pub(crate) async fn connect(
    options: &Options,
    endpoint: &Endpoint,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Stream, Why> {
    let io: Box<dyn Io> = match endpoint {
        endpoint if let Some(dial) = &options.dial => dial(endpoint).map_err(|error| why(&error))?,
        Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(|error| why(&error))?),
        Endpoint::Tcp(address) => Box::new(connect_tcp(address).await?),
        Endpoint::Ssl(address) => {
            let config = tls.ok_or(Why::Tls(TlsFailure::NotConfigured))?;
            // OVSDB servers look at no name; an address keeps one off the wire.
            let name = ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
            let tcp = connect_tcp(address).await?;
            let connected = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await;
            Box::new(connected.map_err(|error| match why(&error) {
                // It speaks something else, or does not say why.
                Why::Hangup => Why::Tls(TlsFailure::Other("the server hung up".to_owned())),
                other => other,
            })?)
        }
    };
    Ok(Stream {
        io,
        framer: Framer::new(options.message_bytes_max),
        chunk: vec![0; READ_BYTES].into_boxed_slice(),
        outbox: VecDeque::new(),
        written: 0,
        n_sent: 0,
        n_queued: 0,
        flushed: true,
        heard: Instant::now(),
    })
}

async fn connect_tcp(address: &Address) -> Result<TcpStream, Why> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|e| why(&e))?;
    // Requests are whole messages: nothing is gained by waiting for more.
    stream.set_nodelay(true).map_err(|error| why(&error))?;
    Ok(stream)
}

fn why(error: &io::Error) -> Why {
    match (tls::failure(error), error.kind()) {
        (Some(failure), _) => Why::Tls(failure),
        (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            Why::Hangup
        }
        (None, _) => Why::Io(error.to_string()),
    }
}

impl Stream {
    /// Queues a message; [`Stream::poll_message`] writes it. The number is for [`Stream::was_sent`].
    pub(crate) fn send(&mut self, message: Arc<Vec<u8>>) -> u64 {
        self.outbox.push_back(message);
        self.n_queued += 1;
        self.n_queued
    }

    /// True when the whole message is out of our hands. Before that the server cannot have acted on
    /// it, for it does not act on half an object.
    pub(crate) fn was_sent(&self, number: u64) -> bool {
        number <= self.n_sent
    }

    /// When the server was last heard.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// Writes what is queued and waits for the next message. After an error the stream is lost.
    /// Cancel-safe: between calls everything is in `self`.
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, Why>> {
        loop {
            if let Some(message) = self.framer.next_message()? {
                return Poll::Ready(Ok(message));
            }
            // A broken write is no reason to leave: the server's last words may still be unread.
            let broken = match self.poll_write(cx) {
                Poll::Ready(Err(error)) => Some(error),
                Poll::Ready(Ok(())) | Poll::Pending => None,
            };
            let mut buf = ReadBuf::new(&mut self.chunk);
            match Pin::new(&mut self.io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if buf.filled().is_empty() => return Poll::Ready(Err(Why::Hangup)),
                Poll::Ready(Ok(())) => {
                    self.heard = Instant::now();
                    self.framer.push(buf.filled());
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(why(&error))),
                Poll::Pending => match broken {
                    Some(error) => return Poll::Ready(Err(why(&error))),
                    None => return Poll::Pending,
                },
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(message) = self.outbox.front() {
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, &message[self.written..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.flushed = false;
            self.written += n;
            if self.written == message.len() {
                self.outbox.pop_front();
                self.written = 0;
                self.n_sent += 1;
            }
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}
