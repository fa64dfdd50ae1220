//! HTTP/1.1 framing over a socket: where a head ends, where a body ends, what a chunk holds.
//!
//! Only what two well-behaved peers on loopback send each other. Knows nothing of chat.

use memchr::{memchr, memmem};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any head or chunk-size line that the benchmark can see; a peer that exceeds it is broken.
const LINE_LIMIT: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    Length(usize),
    Chunked,
    Unframed,
}

#[derive(Debug, PartialEq)]
pub struct Head {
    /// Method and target, or version and status.
    pub start_line: String,
    pub framing: Framing,
    pub close: bool,
}

/// The head at the start of `buf` and its length, or `None` while it is not all there.
pub fn read_head(buf: &[u8]) -> Option<(Head, usize)> {
    let end = memmem::find(buf, b"\r\n\r\n")?;
    let mut lines = buf[..end]
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii);
    let start_line = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut head = Head {
        start_line,
        framing: Framing::Unframed,
        close: false,
    };
    for line in lines {
        let Some(colon) = memchr(b':', line) else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            head.framing = Framing::Length(number(value, 10)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            head.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            head.close = value.eq_ignore_ascii_case(b"close");
        }
    }
    Some((head, end + 4))
}

fn number(text: &[u8], radix: u32) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(text).ok()?, radix).ok()
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Plain,
    ChunkSize,
    Chunk,
    ChunkEnd,
    Trailer,
    Over,
}

/// Takes the framing off a body, however its bytes are cut.
pub struct Body {
    stage: Stage,
    left: usize,
}

impl Body {
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) | Framing::Unframed => Self {
                stage: Stage::Over,
                left: 0,
            },
            Framing::Length(left) => Self {
                stage: Stage::Plain,
                left,
            },
            Framing::Chunked => Self {
                stage: Stage::ChunkSize,
                left: 0,
            },
        }
    }

    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Hands the payload in `input` to `sink`; returns how many bytes of `input` are done with.
    pub fn feed(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.stage {
                Stage::Over => return Ok(used),
                Stage::Plain | Stage::Chunk => {
                    let taken = self.left.min(rest.len());
                    if taken > 0 {
                        sink(&rest[..taken]);
                    }
                    used += taken;
                    self.left -= taken;
                    if self.left > 0 {
                        return Ok(used);
                    }
                    self.stage = if self.stage == Stage::Plain {
                        Stage::Over
                    } else {
                        Stage::ChunkEnd
                    };
                }
                Stage::ChunkEnd => {
                    if rest.len() < 2 {
                        return Ok(used);
                    }
                    used += 2;
                    self.stage = Stage::ChunkSize;
                }
                Stage::ChunkSize | Stage::Trailer => {
                    let Some(end) = memchr(b'\n', rest) else {
                        return Ok(used);
                    };
                    self.line(rest[..end].trim_ascii())?;
                    used += end + 1;
                }
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.stage == Stage::Trailer {
            if line.is_empty() {
                self.stage = Stage::Over;
            }
            return Ok(());
        }
        let size = &line[..memchr(b';', line).unwrap_or(line.len())];
        self.left = number(size, 16).ok_or_else(|| broken("a chunk without a size"))?;
        self.stage = if self.left == 0 {
            Stage::Trailer
        } else {
            Stage::Chunk
        };
        Ok(())
    }
}

pub fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A socket and what was read from it ahead of time.
pub struct Wire {
    socket: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        // One event a write must be one event on the wire.
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            ahead: Vec::with_capacity(16 * 1024),
        })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Waits for more bytes; false when the peer has closed.
    pub async fn fill(&mut self) -> io::Result<bool> {
        if self.ahead.len() > LINE_LIMIT {
            return Err(broken("a head or a chunk size without end"));
        }
        Ok(self.socket.read_buf(&mut self.ahead).await? > 0)
    }

    /// The next head; `None` when the peer closed between two messages.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some((head, len)) = read_head(&self.ahead) {
                self.ahead.drain(..len);
                return Ok(Some(head));
            }
            if !self.fill().await? {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Hands over the payload that is already here. Does not wait.
    pub fn feed(&mut self, body: &mut Body, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let used = body.feed(&self.ahead, sink)?;
        self.ahead.drain(..used);
        Ok(())
    }

    /// Reads a body to its end.
    pub async fn body(&mut self, framing: Framing, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut body = Body::new(framing);
        loop {
            self.feed(&mut body, sink)?;
            if body.is_over() {
                return Ok(());
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether the peer still holds its side open. What it has sent meanwhile is thrown away.
    pub fn is_open(&self) -> bool {
        let mut scrap = [0; 4096];
        loop {
            match self.socket.try_read(&mut scrap) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nx-trailer: 1\r\n\r\nNEXT";

    fn payload(pieces: &[&[u8]], framing: Framing) -> (Vec<u8>, Vec<u8>) {
        let (mut body, mut ahead, mut out) = (Body::new(framing), Vec::new(), Vec::new());
        for piece in pieces {
            ahead.extend_from_slice(piece);
            let used = body
                .feed(&ahead, &mut |bytes| out.extend_from_slice(bytes))
                .unwrap();
            ahead.drain(..used);
        }
        assert!(body.is_over());
        (out, ahead)
    }

    #[test]
    fn a_chunked_body_survives_every_cut_and_leaves_the_next_message_alone() {
        for cut in 0..=CHUNKED.len() {
            let (out, rest) = payload(&[&CHUNKED[..cut], &CHUNKED[cut..]], Framing::Chunked);
            assert_eq!(
                (out.as_slice(), rest.as_slice()),
                (&b"hello world"[..], &b"NEXT"[..]),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_counted_body_ends_at_its_count() {
        let (out, rest) = payload(&[b"hel", b"loNEXT"], Framing::Length(5));
        assert_eq!(
            (out.as_slice(), rest.as_slice()),
            (&b"hello"[..], &b"NEXT"[..])
        );
    }

    #[test]
    fn a_chunk_size_that_is_no_number_is_an_error() {
        assert!(
            Body::new(Framing::Chunked)
                .feed(b"zz\r\n", &mut |_| {})
                .is_err()
        );
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        assert_eq!(read_head(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"), None);
        let (head, len) =
            read_head(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
                .unwrap();
        assert_eq!(
            (head.start_line.as_str(), head.framing, head.close, len),
            ("HTTP/1.1 200 OK", Framing::Length(3), true, 57)
        );
    }
}
