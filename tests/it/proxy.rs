//! A bad network: a proxy before a server that splits, delays, doubles or cuts what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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

fn pass(client: TcpStream, server: UnixStream, mischief: Mischief, first: bool) {
    client.set_nodelay(true).expect("an option of every socket");
    let (client_in, server_out) =
        (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let ends =
        Arc::new(Mutex::new((client.try_clone().expect("a handle"), server.try_clone().expect("a handle"))));
    let cut = move |ends: &Mutex<(TcpStream, UnixStream)>| {
        let ends = ends.lock().expect("no panic while held");
        // Either may be closed already.
        let _ = ends.0.shutdown(Shutdown::Both);
        let _ = ends.1.shutdown(Shutdown::Both);
    };
    let up_ends = Arc::clone(&ends);
    std::thread::spawn(move || {
        let bound = match mischief {
            Mischief::CutRequests(bytes) if first => bytes,
            _ => usize::MAX,
        };
        copy(client_in, server_out, mischief, bound, false);
        cut(&up_ends);
    });
    std::thread::spawn(move || {
        let bound = match mischief {
            Mischief::CutReplies(bytes) if first => bytes,
            _ => usize::MAX,
        };
        copy(server, client, mischief, bound, matches!(mischief, Mischief::DoubledReplies));
        cut(&ends);
    });
}

/// Passes up to `bound` bytes; errors mean that one end is gone.
fn copy(mut from: impl Read, mut to: impl Write, mischief: Mischief, bound: usize, double: bool) {
    let mut buffer = [0; 16 << 10];
    let mut n_passed = 0;
    let mut framer = Framer::default();
    while n_passed < bound {
        let Ok(n) = from.read(&mut buffer) else { return };
        if n == 0 {
            return;
        }
        let bytes = &buffer[..n.min(bound - n_passed)];
        n_passed += bytes.len();
        let written = match mischief {
            Mischief::SingleBytes => bytes.iter().try_for_each(|byte| to.write_all(&[*byte])),
            Mischief::Delay(delay) => {
                std::thread::sleep(delay);
                to.write_all(bytes)
            }
            Mischief::DoubledReplies if double => {
                framer.push(bytes);
                let mut written = Ok(());
                while let Ok(Some(message)) = framer.next_message() {
                    written = written.and(to.write_all(&[message.as_slice(), message.as_slice()].concat()));
                }
                written
            }
            Mischief::DoubledReplies | Mischief::CutReplies(_) | Mischief::CutRequests(_) => {
                to.write_all(bytes)
            }
        };
        if written.is_err() {
            return;
        }
    }
}
