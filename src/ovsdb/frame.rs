//! Bytes to complete JSON objects. OVSDB puts nothing between messages (RFC 7047 §4), so the end of
//! one is where its outermost brace closes.
//!
//! Resumable: every byte is looked at once, wherever the stream is cut. Refuses to parse what is
//! inside, and to know sockets.

use thiserror::Error;

/// The longest message that a [`Framer`] takes unless told otherwise: the dump of some two million
/// ports, and a bound on what a broken server can make us hold.
pub const BYTES_MAX: usize = 1 << 30;

/// Cuts a stream of bytes into JSON objects.
#[derive(Debug)]
pub struct Framer {
    bytes: Vec<u8>,
    /// Where the message that is being scanned begins.
    start: usize,
    /// INVARIANT: `start <= scanned <= bytes.len()`; what is before has been looked at.
    scanned: usize,
    depth: usize,
    place: Place,
    bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Outside,
    InString,
    AfterBackslash,
}

/// Why a stream is no sequence of JSON objects.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A message begins with something else than `{`.
    #[error("byte {0:#04x} where a JSON object must begin")]
    NotAnObject(u8),
    /// A message passes the bound.
    #[error("a message longer than {0} bytes")]
    TooLong(usize),
}

impl Default for Framer {
    fn default() -> Framer {
        Framer::new(BYTES_MAX)
    }
}

impl Framer {
    /// A framer that refuses messages longer than `bytes_max`.
    pub fn new(bytes_max: usize) -> Framer {
        Framer { bytes: Vec::new(), start: 0, scanned: 0, depth: 0, place: Place::Outside, bytes_max }
    }

    /// Takes what a read brought.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            // Here `bytes` holds at most what one read brought beyond a message, so this is cheap:
            // `next` has been called until it had nothing more.
            self.bytes.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next complete message, if it is there. After an error the stream is lost.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        while let Some(&byte) = self.bytes.get(self.scanned) {
            self.scanned += 1;
            match (self.place, byte) {
                (Place::AfterBackslash, _) => self.place = Place::InString,
                (Place::InString, b'\\') => self.place = Place::AfterBackslash,
                (Place::InString, b'"') => self.place = Place::Outside,
                (Place::InString, _) => {
                    let rest = &self.bytes[self.scanned..];
                    self.scanned += memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                }
                (Place::Outside, b'{') => self.depth += 1,
                (Place::Outside, b'[') if self.depth > 0 => self.depth += 1,
                (Place::Outside, b'}' | b']') if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return self.cut();
                    }
                }
                (Place::Outside, b' ' | b'\t' | b'\r' | b'\n') if self.depth == 0 => {
                    self.start = self.scanned;
                }
                (Place::Outside, other) if self.depth == 0 => return Err(FrameError::NotAnObject(other)),
                (Place::Outside, b'"') => self.place = Place::InString,
                (Place::Outside, _) => {}
            }
        }
        if self.scanned - self.start > self.bytes_max {
            return Err(FrameError::TooLong(self.bytes_max));
        }
        Ok(None)
    }

    /// Takes the message that ends at `scanned` out of the buffer; a long one without copying it.
    fn cut(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if self.scanned - self.start > self.bytes_max {
            return Err(FrameError::TooLong(self.bytes_max));
        }
        if self.start == 0 && self.bytes.len() - self.scanned <= self.scanned {
            let rest = self.bytes.split_off(self.scanned);
            self.scanned = 0;
            return Ok(Some(std::mem::replace(&mut self.bytes, rest)));
        }
        let message = self.bytes[self.start..self.scanned].to_vec();
        self.start = self.scanned;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = concat!(
        r#"{"id":1,"result":[{"a":"}{][\"\\"}],"error":null}"#,
        " \n",
        r#"{"method":"echo","params":["\\\"{"],"id":"echo"}"#,
        r#"{}{"ü":"\u007b"}"#,
    );

    fn messages(chunks: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(message) = framer.next_message().expect("well-formed") {
                found.push(String::from_utf8(message).expect("UTF-8"));
            }
        }
        found
    }

    fn expected() -> Vec<String> {
        let all = messages(&[STREAM.as_bytes()]);
        assert_eq!(all.len(), 4);
        assert_eq!(all[2], "{}");
        assert!(all.iter().all(|message| message.starts_with('{') && message.ends_with('}')));
        all
    }

    #[test]
    fn any_two_cuts_and_single_bytes_give_the_same_messages() {
        let bytes = STREAM.as_bytes();
        let expected = expected();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(messages(&chunks), expected, "cut at {first} and {second}");
            }
        }
        let singles: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(messages(&singles), expected);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (text, byte) in [("[1]", b'['), ("HTTP/1.1", b'H'), ("{}]", b']'), ("\u{16}\u{3}", 0x16)] {
            let mut framer = Framer::default();
            framer.push(text.as_bytes());
            let error = loop {
                match framer.next_message() {
                    Ok(Some(_)) => {}
                    other => break other,
                }
            };
            assert_eq!(error, Err(FrameError::NotAnObject(byte)), "{text}");
        }
    }

    #[test]
    fn a_message_without_end_is_refused_at_the_bound() {
        let mut framer = Framer::new(10);
        framer.push(b"{\"a\":1}{\"a\":1}");
        assert_eq!(framer.next_message().map(|m| m.is_some()), Ok(true));
        assert_eq!(framer.next_message().map(|m| m.is_some()), Ok(true));
        framer.push(b"{\"a\":\"aaaa");
        assert_eq!(framer.next_message(), Ok(None));
        framer.push(b"a");
        assert_eq!(framer.next_message(), Err(FrameError::TooLong(10)));
    }

    #[test]
    fn a_long_message_in_small_reads_is_scanned_once() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(4 << 20));
        let started = std::time::Instant::now();
        let chunks: Vec<&[u8]> = long.as_bytes().chunks(64).collect();
        assert_eq!(messages(&chunks).len(), 1);
        // Quadratic work here is 137 GB of scanning: minutes, on any machine.
        assert!(started.elapsed().as_secs() < 20);
    }
}
