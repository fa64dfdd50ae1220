//! Closed-loop load: each connection sends its next request when the answer to the last is complete. One thread.
//! Prints one line of JSON; any answer that is not exactly what the mock says counts as an error.
//!
//!     bench-load unary  --to ADDR --connections N --seconds S
//!     bench-load stream --to ADDR --connections N --events E [--gap-us G] [--seconds S]
//!     bench-load hold   --to ADDR --connections N
//!
//! Each takes `--upstream chat|anthropic|gemini`, whose models are asked for, and `--speaks chat|anthropic|gemini|kept|unkept`, the
//! protocol of request and answer (chat both): a proxy that translates nothing is spoken to as its upstream is.
//!
//! `stream` repeats whole streams until the seconds are over; without seconds each connection reads one. `hold` opens
//! N streams, waits for the first content event of each, prints `ready`, and closes them at the next line on stdin.

use memchr::{memchr, memmem};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use torouter_bench::flags::{Flags, refuse};
use torouter_bench::http1::{Body, Framing, Wire, broken};
use torouter_bench::talk::{MARK, Mode, Protocol, Shape, request};

/// How long the last answers may take beyond the asked seconds.
const GRACE: Duration = Duration::from_secs(20);

struct Plan {
    name: String,
    to: String,
    connections: usize,
    length: Duration,
    shape: Shape,
    mode: Mode,
    speaks: Protocol,
    request: Vec<u8>,
}

impl Plan {
    fn from_args() -> Self {
        let mut args = std::env::args().skip(1);
        let name = args.next().unwrap_or_default();
        let mut flags = Flags::new(args);
        let to: String = flags.take("--to", String::new());
        let key: String = flags.take("--key", "sk-bench-0001".into());
        let connections = flags.take("--connections", 1);
        let length = Duration::from_secs_f64(flags.take("--seconds", 0.0_f64).clamp(0.0, 3600.0));
        let events = Shape::Events {
            count: flags.take("--events", 200),
            gap: Duration::from_micros(flags.take("--gap-us", 0)),
        };
        let mut protocol = |flag| {
            let word: String = flags.take(flag, "chat".into());
            Protocol::named(&word)
                .unwrap_or_else(|| refuse("chat, anthropic and gemini are spoken here"))
        };
        let (upstream, speaks) = (protocol("--upstream"), protocol("--speaks"));
        flags.finish();
        let (shape, mode) = match name.as_str() {
            "unary" => (events, Mode::Whole),
            "stream" => (events, Mode::Streamed),
            "hold" => (Shape::Hold, Mode::Streamed),
            _ => refuse("usage: bench-load unary|stream|hold --to ADDR --connections N …"),
        };
        if to.is_empty() || connections == 0 {
            refuse("--to ADDR and at least one connection are needed");
        }
        let model = format!("{}{}", upstream.prefix(), shape.model());
        let request = request(&to, &key, speaks, &model, mode);
        Self {
            name,
            to,
            connections,
            length,
            shape,
            mode,
            speaks,
            request,
        }
    }

    async fn connect(&self) -> io::Result<Wire> {
        Wire::new(TcpStream::connect(&self.to).await?)
    }
}

#[derive(Default)]
struct Score {
    took_ns: Vec<u64>,
    events: u64,
    errors: u64,
    first_error: String,
}

impl Score {
    fn fault(&mut self, error: &io::Error) {
        if self.errors == 0 {
            self.first_error = error.to_string();
        }
        self.errors += 1;
    }

    fn percentile_us(&self, share: f64) -> f64 {
        let last = self.took_ns.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.took_ns.get(at).map_or(0.0, |ns| *ns as f64 / 1000.0)
    }

    fn print(&mut self, plan: &Plan, took: Duration) {
        self.took_ns.sort_unstable();
        let (requests, seconds) = (self.took_ns.len(), took.as_secs_f64());
        // Quotes, backslashes and control characters would break the JSON that carries the text.
        let first_error: String = self
            .first_error
            .chars()
            .map(|c| {
                if c.is_control() || c == '"' || c == '\\' {
                    ' '
                } else {
                    c
                }
            })
            .collect();
        println!(
            concat!(
                r#"{{"mode":"{}","connections":{},"seconds":{:.4},"requests":{},"rps":{:.2},"p50_us":{:.2},"p99_us":{:.2},"#,
                r#""events":{},"events_per_s":{:.1},"errors":{},"first_error":"{}"}}"#
            ),
            plan.name,
            plan.connections,
            seconds,
            requests,
            requests as f64 / seconds,
            self.percentile_us(0.50),
            self.percentile_us(0.99),
            self.events,
            self.events as f64 / seconds,
            self.errors,
            first_error
        );
    }
}

/// What a stream has brought so far.
struct Tally {
    speaks: Protocol,
    /// The start of a line whose end has not come yet.
    begun: Vec<u8>,
    events: u64,
    usage: bool,
    done: bool,
}

impl Tally {
    fn new(speaks: Protocol) -> Self {
        Self {
            speaks,
            begun: Vec::new(),
            events: 0,
            usage: false,
            done: false,
        }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr(b'\n', bytes) {
            if self.begun.is_empty() {
                self.line(&bytes[..end]);
            } else {
                let mut line = std::mem::take(&mut self.begun);
                line.extend_from_slice(&bytes[..end]);
                self.line(&line);
            }
            bytes = &bytes[end + 1..];
        }
        self.begun.extend_from_slice(bytes);
    }

    fn line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else {
            return;
        };
        if memmem::find(data, MARK).is_some() {
            self.events += 1;
            return;
        }
        let (usage, done): (&[u8], &[u8]) = match self.speaks {
            Protocol::Chat => (br#""usage":{"#, b"[DONE]"),
            Protocol::Anthropic => (br#""usage":{"#, br#""type":"message_stop""#),
            Protocol::Kept | Protocol::Unkept => {
                (br#""usage":{"#, br#""type":"response.completed""#)
            }
            Protocol::Gemini => (br#""usageMetadata":{"#, br#""finishReason":"STOP""#),
        };
        self.usage |= memmem::find(data, usage).is_some();
        self.done |= memmem::find(data, done).is_some();
    }

    fn check(&self, asked: Shape) -> io::Result<()> {
        match asked {
            Shape::Events { count, .. } if self.events != count => {
                Err(broken(&format!("{} events of {count}", self.events)))
            }
            _ if !self.usage => Err(broken("a stream without usage")),
            _ if !self.done => Err(broken("a stream without its end")),
            _ => Ok(()),
        }
    }
}

/// The head of a good answer, or an error that quotes the bad one.
async fn accepted(wire: &mut Wire) -> io::Result<(Framing, bool)> {
    let head = wire
        .head()
        .await?
        .ok_or_else(|| broken("closed instead of an answer"))?;
    if head.start_line.split(' ').nth(1) == Some("200") && head.framing != Framing::Unframed {
        return Ok((head.framing, head.close));
    }
    let mut text = Vec::new();
    wire.body(head.framing, &mut |bytes| text.extend_from_slice(bytes))
        .await?;
    let text = String::from_utf8_lossy(&text);
    Err(broken(&format!(
        "{}: {}",
        head.start_line,
        text.chars().take(300).collect::<String>()
    )))
}

/// One request and its whole answer: how many events it brought, and whether the connection is used up.
async fn exchange(wire: &mut Wire, plan: &Plan) -> io::Result<(u64, bool)> {
    wire.send(&plan.request).await?;
    let (framing, close) = accepted(wire).await?;
    match plan.mode {
        Mode::Streamed => {
            let mut tally = Tally::new(plan.speaks);
            wire.body(framing, &mut |bytes| tally.feed(bytes)).await?;
            tally.check(plan.shape)?;
            Ok((tally.events, close))
        }
        Mode::Whole => {
            let mut text = Vec::with_capacity(2048);
            wire.body(framing, &mut |bytes| text.extend_from_slice(bytes))
                .await?;
            memmem::find(&text, MARK).ok_or_else(|| broken("an answer without the mock's text"))?;
            Ok((0, close))
        }
    }
}

async fn worker(plan: &Plan, until: Instant, score: &RefCell<Score>) -> io::Result<()> {
    let mut wire = plan.connect().await?;
    loop {
        let begun = Instant::now();
        let (events, close) = exchange(&mut wire, plan).await?;
        let ended = Instant::now();
        {
            let mut score = score.borrow_mut();
            score.took_ns.push((ended - begun).as_nanos() as u64);
            score.events += events;
        }
        if ended >= until {
            return Ok(());
        }
        if close {
            wire = plan.connect().await?;
        }
    }
}

async fn drive(plan: Rc<Plan>) -> Score {
    let score = Rc::new(RefCell::new(Score::default()));
    let until = Instant::now() + plan.length;
    let workers: Vec<_> = (0..plan.connections)
        .map(|_| {
            let (plan, score) = (plan.clone(), score.clone());
            spawn_local(async move {
                // A worker ends at its first error: a run with any error is thrown away as a whole.
                if let Err(error) = worker(&plan, until, &score).await {
                    score.borrow_mut().fault(&error);
                }
            })
        })
        .collect();
    let all = async {
        for worker in workers {
            let _ = worker.await;
        }
    };
    if timeout(plan.length + GRACE, all).await.is_err() {
        score
            .borrow_mut()
            .fault(&broken("answers were still missing when the time was up"));
    }
    score.take()
}

/// Opens a stream and reads up to its first content event.
async fn open(plan: &Plan) -> io::Result<Wire> {
    let mut wire = plan.connect().await?;
    wire.send(&plan.request).await?;
    let (framing, _) = accepted(&mut wire).await?;
    let (mut body, mut tally) = (Body::new(framing), Tally::new(plan.speaks));
    loop {
        wire.feed(&mut body, &mut |bytes| tally.feed(bytes))?;
        if tally.events > 0 {
            return Ok(wire);
        }
        if body.is_over() || !wire.fill().await? {
            return Err(broken("a held stream ended before its first event"));
        }
    }
}

async fn hold(plan: Rc<Plan>) -> Score {
    let mut score = Score::default();
    let opening: Vec<_> = (0..plan.connections)
        .map(|_| {
            let plan = plan.clone();
            spawn_local(async move {
                let begun = Instant::now();
                let wire = timeout(GRACE, open(&plan))
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
                Ok::<_, io::Error>((wire, begun.elapsed()))
            })
        })
        .collect();
    let mut held = Vec::with_capacity(plan.connections);
    for stream in opening {
        match stream.await.map_err(io::Error::other).flatten() {
            Ok((wire, took)) => {
                score.took_ns.push(took.as_nanos() as u64);
                score.events += 1;
                held.push(wire);
            }
            Err(error) => score.fault(&error),
        }
    }
    if score.errors == 0 {
        println!("ready");
        // Blocks the only thread, on purpose: an open idle stream needs nothing from the client.
        let _ = io::stdin().read_line(&mut String::new());
        // Lets the runtime see what has happened on the sockets meanwhile.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in held.iter().filter(|wire| !wire.is_open()) {
        score.fault(&broken("a held stream was closed by the other side"));
    }
    score
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let plan = Rc::new(Plan::from_args());
    let begun = Instant::now();
    let mut score = LocalSet::new()
        .run_until(async {
            match plan.shape {
                Shape::Hold => hold(plan.clone()).await,
                Shape::Events { .. } => drive(plan.clone()).await,
            }
        })
        .await;
    score.print(&plan, begun.elapsed());
}
