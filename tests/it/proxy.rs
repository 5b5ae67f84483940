//! A bad network: a proxy before a server that splits, delays, doubles or cuts what passes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use northc::ovsdb::frame::Framer;

/// What the proxy does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mischief {
    /// Passes single bytes, both ways.
    SingleBytes,
    /// Passes what it gets, later.
    Delay(Duration),
    /// Sends each message of the server twice.
    DoubledReplies,
    /// On the first connection, cuts after so many bytes from the server.
    CutReplies(usize),
    /// On the first connection, cuts after so many bytes from the client.
    CutRequests(usize),
    /// On the first connection, passes a transaction that inserts and keeps the reply to itself.
    CutAfterTransact,
    /// Makes the server an old one, which does not know methods that begin so.
    Unknown(&'static str),
}

/// The proxy; it listens until the test process ends.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    n_connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// Listens on loopback, before the server behind a unix socket.
    pub(crate) fn before(remote: &str, mischief: Mischief) -> Proxy {
        let path = remote.strip_prefix("unix:").expect("a unix socket").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let n_connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&n_connections);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
                let Ok(server) = UnixStream::connect(&path) else { continue };
                pass(client, server, mischief, first);
            }
        });
        Proxy { port, n_connections }
    }

    /// Where it listens.
    pub(crate) fn remote(&self) -> String {
        format!("tcp:127.0.0.1:{}", self.port)
    }

    /// How often somebody connected.
    pub(crate) fn n_connections(&self) -> usize {
        self.n_connections.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

fn pass(client: TcpStream, server: UnixStream, mischief: Mischief, first: bool) {
    client.set_nodelay(true).expect("an option of every socket");
    let doubled = || (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let (from_client, to_server) = doubled();
    let ends = Arc::new(doubled());
    let up_ends = Arc::clone(&ends);
    std::thread::spawn(move || {
        copy(from_client, to_server, mischief, first, Side::Client);
        cut(&up_ends);
    });
    std::thread::spawn(move || {
        copy(server, client, mischief, first, Side::Server);
        cut(&ends);
    });
}

/// Either end may be closed already.
fn cut((client, server): &(TcpStream, UnixStream)) {
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Passes what one side sends until it or the mischief ends; errors mean that an end is gone.
fn copy(mut from: impl Read, mut to: impl Write, mischief: Mischief, first: bool, side: Side) {
    let mut bound = match (mischief, side) {
        (Mischief::CutReplies(bytes), Side::Server) | (Mischief::CutRequests(bytes), Side::Client)
            if first =>
        {
            bytes
        }
        _ => usize::MAX,
    };
    let mut buffer = [0; 16 << 10];
    let mut framer = Framer::default();
    loop {
        let n = from.read(&mut buffer).unwrap_or(0);
        let bytes = &buffer[..n.min(bound)];
        bound -= bytes.len();
        let passed = match (mischief, side) {
            (Mischief::SingleBytes, _) => bytes.iter().try_for_each(|byte| to.write_all(&[*byte])),
            (Mischief::Delay(delay), _) => {
                std::thread::sleep(delay);
                to.write_all(bytes)
            }
            (Mischief::DoubledReplies, Side::Server)
            | (Mischief::CutAfterTransact | Mischief::Unknown(_), Side::Client) => {
                framer.push(bytes);
                messages(&mut framer, &mut to, mischief, first)
            }
            _ => to.write_all(bytes),
        };
        if passed.is_err() || bytes.is_empty() || bound == 0 {
            return;
        }
    }
}

/// Passes whole messages with the mischief that is about them.
fn messages(framer: &mut Framer, to: &mut impl Write, mischief: Mischief, first: bool) -> io::Result<()> {
    while let Ok(Some(message)) = framer.next_message() {
        match mischief {
            Mischief::DoubledReplies => to.write_all(&[message.as_slice(), message.as_slice()].concat())?,
            Mischief::Unknown(method) => {
                let text = String::from_utf8_lossy(&message);
                let known = format!("\"method\":\"{method}");
                to.write_all(text.replace(&known, "\"method\":\"no_").as_bytes())?;
            }
            _ => to.write_all(&message)?,
        }
        if matches!(mischief, Mischief::CutAfterTransact)
            && first
            && String::from_utf8_lossy(&message).contains("\"op\":\"insert\"")
        {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
    Ok(())
}
