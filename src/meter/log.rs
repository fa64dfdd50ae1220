//! One line a request, to stderr. A request only appends to a buffer; a thread of its own writes it out,
//! so that a slow terminal or journal never holds up traffic.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::record::Record;
use crate::base::clock::{rfc3339_ms, unix_ms};
use crate::dialect::Operation;

const OFF: u8 = 0;
const JSON: u8 = 1;
const TEXT: u8 = 2;

/// Lines beyond this are dropped and counted: whatever reads stderr has stopped reading.
const MAX_BUFFER: usize = 8 << 20;
/// Lines are gathered for so long.
const GATHER: Duration = Duration::from_millis(20);

static FORMAT: AtomicU8 = AtomicU8::new(OFF);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static BUFFER: LazyLock<(Mutex<String>, Condvar)> = LazyLock::new(Default::default);

fn buffer() -> MutexGuard<'static, String> {
    // A panic while appending leaves at worst half a line.
    BUFFER.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the writing thread.
pub fn start(json: bool) -> std::io::Result<()> {
    FORMAT.store(if json { JSON } else { TEXT }, Relaxed);
    std::thread::Builder::new()
        .name("request-log".into())
        .spawn(|| {
            loop {
                let mut lines = buffer();
                while lines.is_empty() {
                    lines = BUFFER.1.wait(lines).unwrap_or_else(PoisonError::into_inner);
                }
                drop(lines);
                std::thread::sleep(GATHER);
                flush();
            }
        })
        .map(|_| ())
}

/// Writes out what has been gathered.
pub fn flush() {
    let mut lines = std::mem::take(&mut *buffer());
    let dropped = DROPPED.swap(0, Relaxed);
    if dropped > 0 {
        let _ = writeln!(
            lines,
            "{{\"level\":\"WARN\",\"message\":\"{dropped} request lines were dropped\"}}"
        );
    }
    // Nobody is there to be told that stderr is gone.
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// Appends the line of a request.
pub fn write(record: &Record<'_>) {
    let format = FORMAT.load(Relaxed);
    if format == OFF {
        return;
    }
    let mut lines = buffer();
    if lines.len() > MAX_BUFFER {
        DROPPED.fetch_add(1, Relaxed);
        return;
    }
    let was_empty = lines.is_empty();
    // Writing to a string cannot fail.
    let _ = if format == JSON {
        json_line(&mut lines, record)
    } else {
        text_line(&mut lines, record)
    };
    drop(lines);
    if was_empty {
        BUFFER.1.notify_one();
    }
}

/// Text in a JSON string: names, ids and paths, which rarely need an escape.
fn quoted(out: &mut String, text: &str) {
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&crate::wire::json::quote(text));
    }
}

/// Milliseconds with three places, without the detour over floats.
fn millis(out: &mut String, time: Duration) -> std::fmt::Result {
    let micros = time.as_micros();
    write!(out, "{}.{:03}", micros / 1000, micros % 1000)
}

fn field(out: &mut String, name: &str, text: &str) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    quoted(out, text);
}

fn json_line(out: &mut String, r: &Record<'_>) -> std::fmt::Result {
    out.push_str("{\"ts\":\"");
    timestamp(out);
    out.push_str("\",\"level\":\"INFO\",\"message\":\"request\"");
    field(out, "request_id", r.request_id);
    field(out, "method", r.method);
    field(out, "path", r.path);
    write!(out, ",\"status\":{}", r.series.status)?;
    for (name, text) in [
        ("key", r.series.key),
        ("group", r.series.group),
        ("channel", r.series.channel),
        ("model", r.series.model),
        ("upstream_model", r.upstream_model),
    ] {
        if !text.is_empty() {
            field(out, name, text);
        }
    }
    field(out, "surface", r.series.surface.name());
    field(
        out,
        "endpoint",
        r.series.operation.map_or("none", Operation::name),
    );
    write!(
        out,
        ",\"stream\":{},\"attempts\":{},\"duration_ms\":",
        r.series.stream, r.attempts
    )?;
    millis(out, r.duration)?;
    for (name, time) in [("ttft_ms", r.first_token), ("overhead_ms", r.overhead)] {
        if let Some(time) = time {
            write!(out, ",\"{name}\":")?;
            millis(out, time)?;
        }
    }
    if !r.usage.is_empty() {
        let u = &r.usage;
        write!(
            out,
            ",\"input_tokens\":{},\"output_tokens\":{},\"cache_read_tokens\":{},\"cache_write_tokens\":{},\"reasoning_tokens\":{},\"estimated\":{}",
            u.input(),
            u.output,
            u.cache_read,
            u.cache_write(),
            u.reasoning,
            r.estimated
        )?;
        if let Some(cost) = r.cost {
            write!(out, ",\"cost_usd\":{cost}")?;
        }
    }
    write!(
        out,
        ",\"request_bytes\":{},\"response_bytes\":{}",
        r.request_bytes, r.response_bytes
    )?;
    if let Some(client) = r.client {
        write!(out, ",\"client\":\"{client}\"")?;
    }
    if let Some(error) = r.error {
        field(out, "error", error);
    }
    if let Some(id) = r.upstream_request_id {
        field(out, "upstream_request_id", id);
    }
    out.push_str("}\n");
    Ok(())
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn text_line(out: &mut String, r: &Record<'_>) -> std::fmt::Result {
    timestamp(out);
    write!(
        out,
        "  INFO request {} {} {} key={} channel={} model={} attempts={} ms={:.1} in={} out={}",
        r.series.status,
        r.method,
        r.path.escape_debug(),
        dash(r.series.key),
        dash(r.series.channel),
        dash(r.series.model),
        r.attempts,
        r.duration.as_secs_f64() * 1000.0,
        r.usage.input(),
        r.usage.output,
    )?;
    if let Some(error) = r.error {
        write!(out, " error={error}")?;
    }
    writeln!(out, " id={}", r.request_id)
}

/// The time, formatted once a second: only its milliseconds change within one.
fn timestamp(out: &mut String) {
    thread_local! {
        static SECOND: std::cell::RefCell<(u64, String)> = const { std::cell::RefCell::new((u64::MAX, String::new())) };
    }
    let now = unix_ms();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now / 1000 {
            *second = now / 1000;
            *text = rfc3339_ms(now - now % 1000);
        }
        // `2026-11-22T14:39:09.` and three digits.
        out.push_str(text.get(..20).unwrap_or_default());
    });
    let _ = write!(out, "{:03}Z", now % 1000);
}
