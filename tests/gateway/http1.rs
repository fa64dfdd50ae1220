//! A client that sees every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer, as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Without the framing.
    pub body: Vec<u8>,
    /// The framing says that the body is whole.
    pub whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The gateway's stable word, wherever the surface puts it.
    pub fn code(&self) -> String {
        let body = self.json();
        let error = &body["error"];
        let code = error["code"]
            .as_str()
            .or(error["details"][0]["reason"].as_str());
        code.unwrap_or_default().to_owned()
    }
}

/// A connection that can be used several times.
pub struct Connection {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_nodelay(true).expect("a socket");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a socket");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the gateway reads");
    }

    /// Bytes that have been read and not used.
    pub fn rest(&self) -> usize {
        self.buffer.len()
    }

    /// One more read; `false`: the other side has closed.
    pub fn fill(&mut self) -> bool {
        let mut chunk = vec![0; 64 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(e) => panic!(
                "no answer: {e}; so far: {}",
                String::from_utf8_lossy(&self.buffer)
            ),
        }
    }

    /// Status and headers; interim answers are skipped.
    pub fn head(&mut self) -> Option<Answer> {
        loop {
            let end = loop {
                if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                    break end;
                }
                if !self.fill() {
                    return None;
                }
            };
            let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
            let head = String::from_utf8(head).expect("a head");
            let mut lines = head.split("\r\n");
            let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
            if status == 100 {
                continue;
            }
            let headers = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
                .collect();
            return Some(Answer {
                status,
                headers,
                body: Vec::new(),
                whole: false,
            });
        }
    }

    /// The next chunk of a chunked body; `None`: the body has ended, and whether as it should.
    pub fn chunk(&mut self) -> Result<Vec<u8>, bool> {
        let line = loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                break end;
            }
            if !self.fill() {
                return Err(false);
            }
        };
        let size = String::from_utf8_lossy(&self.buffer[..line]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
        let whole = line + 2 + size + 2;
        while self.buffer.len() < whole {
            if !self.fill() {
                return Err(false);
            }
        }
        let frame: Vec<u8> = self.buffer.drain(..whole).collect();
        if size == 0 {
            return Err(true);
        }
        Ok(frame[line + 2..line + 2 + size].to_vec())
    }

    pub fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                match self.chunk() {
                    Ok(chunk) => answer.body.extend_from_slice(&chunk),
                    Err(whole) => {
                        answer.whole = whole;
                        return Some(answer);
                    }
                }
            }
        }
        let length: Option<usize> = answer
            .header("content-length")
            .map(|l| l.parse().expect("a length"));
        while length.is_none_or(|length| self.buffer.len() < length) {
            if !self.fill() {
                break;
            }
        }
        let take = length.unwrap_or(self.buffer.len()).min(self.buffer.len());
        answer.body = self.buffer.drain(..take).collect();
        answer.whole = length == Some(take);
        Some(answer)
    }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nhost: gateway.test\r\n");
    for (name, value) in headers {
        out += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        out += &format!("content-length: {}\r\n", body.len());
    }
    out += "\r\n";
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}
