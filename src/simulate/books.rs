//! What was asked and what was sent: the journal of requests and the books of tokens, for tests to compare with.
//!
//! Bodies and headers are kept in memory for whoever runs the simulator and are never logged.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::exchange::{Bill, Request};
use super::json::{Json, obj};
use super::sign;

/// How many requests the journal keeps.
const MOST_REQUESTS: usize = 200;

/// How much of a body the journal keeps; the hash and the length are of all of it.
const MOST_BODY: usize = 64 * 1024;

struct Entry {
    n: u64,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Bytes,
    body_len: usize,
    body_sha256: String,
    started_ms: u64,
    ended_ms: Option<u64>,
    aborted: bool,
}

/// The last requests, and how many there were.
#[derive(Default)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    total: u64,
    in_flight: u64,
    aborted: u64,
}

impl Journal {
    /// Counts a request whose head has come and says its number.
    pub(super) fn begin(&mut self) -> u64 {
        self.total += 1;
        self.in_flight += 1;
        self.total
    }

    /// Keeps a request once its body has come.
    pub(super) fn keep(&mut self, n: u64, request: &Request, started_ms: u64) {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &request.headers {
            let text = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|all| {
                    all.push_str(", ");
                    all.push_str(&text);
                })
                .or_insert_with(|| text.to_string());
        }
        let path = if request.query.is_empty() {
            request.path.clone()
        } else {
            format!("{}?{}", request.path, request.query)
        };
        if self.entries.len() >= MOST_REQUESTS {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            n,
            method: request.method.clone(),
            path,
            headers,
            body: Bytes::copy_from_slice(&request.body[..request.body.len().min(MOST_BODY)]),
            body_len: request.body.len(),
            body_sha256: sign::sha256(&request.body),
            started_ms,
            ended_ms: None,
            aborted: false,
        });
    }

    /// The exchange is over; `aborted` when the client left before the answer's end.
    pub(super) fn end(&mut self, n: u64, aborted: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.aborted += u64::from(aborted);
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.n == n) {
            entry.ended_ms = Some(sign::now_ms());
            entry.aborted = aborted;
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// `GET /__sim/requests`.
    pub(super) fn requests(&self) -> Json {
        Json::List(self.entries.iter().map(Entry::json).collect())
    }

    /// `GET /__sim/state`.
    pub(super) fn state(&self) -> Json {
        obj! { "in_flight": self.in_flight, "total": self.total, "aborted": self.aborted }
    }
}

impl Entry {
    fn json(&self) -> Json {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Json::from(value)))
            .collect();
        let mut out = obj! {
            "n": self.n,
            "method": &self.method,
            "path": &self.path,
            "headers": Json::Object(headers),
            "body": String::from_utf8_lossy(&self.body).into_owned(),
        };
        if self.body_len <= MOST_BODY {
            out.push("body_base64", STANDARD.encode(&self.body));
        }
        out.push("body_len", self.body_len);
        out.push("body_sha256", &self.body_sha256);
        out.push("started_ms", self.started_ms);
        out.push("ended_ms", self.ended_ms);
        out.push("aborted", self.aborted);
        out
    }
}

/// How much of an answer went out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// The answer came to its own end.
    pub(super) complete: bool,
    pub(super) events: u64,
    pub(super) bytes: u64,
    /// Characters of output in the events that went out.
    pub(super) said: u64,
}

#[derive(Default)]
struct Account {
    requests: u64,
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    sent_requests: u64,
    sent_events: u64,
    sent_bytes: u64,
    sent_output: u64,
}

/// Totals per platform and model.
#[derive(Default)]
pub(super) struct Books {
    accounts: BTreeMap<String, Account>,
}

impl Books {
    /// Enters an answer. The reported side counts complete answers only, since a cut one never says its usage;
    /// the sent side counts what went out in any case.
    pub(super) fn enter(&mut self, platform: &str, bill: &Bill, sent: Sent) {
        let account = self
            .accounts
            .entry(format!("{platform}/{}", bill.model))
            .or_default();
        account.sent_requests += 1;
        account.sent_events += sent.events;
        account.sent_bytes += sent.bytes;
        account.sent_output += if sent.complete {
            bill.usage.output
        } else {
            sent.said.div_ceil(4)
        };
        if !sent.complete {
            return;
        }
        account.requests += 1;
        if bill.reported {
            account.input += bill.usage.input;
            account.cache_read += bill.usage.cache_read;
            account.cache_write += bill.usage.cache_write();
            account.output += bill.usage.output;
            account.reasoning += bill.usage.reasoning;
        }
    }

    /// `GET /__sim/books`.
    pub(super) fn json(&self) -> Json {
        let accounts = self.accounts.iter().map(|(name, account)| {
            let json = obj! {
                "requests": account.requests,
                "input": account.input,
                "cache_read": account.cache_read,
                "cache_write": account.cache_write,
                "output": account.output,
                "reasoning": account.reasoning,
                "sent": obj! {
                    "requests": account.sent_requests,
                    "events": account.sent_events,
                    "bytes": account.sent_bytes,
                    "output": account.sent_output,
                },
            };
            (name.clone(), json)
        });
        Json::Object(accounts.collect())
    }
}
