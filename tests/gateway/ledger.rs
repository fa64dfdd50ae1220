//! What is used is written down: once, soon, and whatever happens to the gateway or its store.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use torouter::store::{RequestQuery, Store, UsageRow};

use crate::http1::request;
use crate::place::{Place, Postgres};
use crate::stand::{CHAT, CHAT_STREAM, Gateway, KEY, Simulator, channel, eventually};

/// What a row must be there by: so long after its answer was whole.
const AT_MOST_LOST: Duration = Duration::from_millis(250);

pub fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// All rows, page by page.
pub fn rows(store: &Store) -> Vec<UsageRow> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let ask = RequestQuery {
            before,
            limit: 1000,
            ..RequestQuery::default()
        };
        let page = wait(store.requests(ask)).expect("the store answers");
        let Some(last) = page.last() else {
            return all;
        };
        before = Some((last.row.at, last.id));
        all.extend(page.into_iter().map(|row| row.row));
    }
}

/// How often each request stands there.
fn counts(store: &Store) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for row in rows(store) {
        *counts.entry(row.request_id).or_default() += 1;
    }
    counts
}

/// One request over a connection of its own. The id of an answer that came whole.
fn ask(address: SocketAddr, body: &str) -> Option<String> {
    let headers = [
        ("x-api-key", KEY),
        ("content-type", "application/json"),
        ("connection", "close"),
    ];
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    let asked = request("POST", "/v1/chat/completions", &headers, body.as_bytes());
    stream.write_all(&asked).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, rest) = answer.split_once("\r\n\r\n")?;
    let whole = rest.contains("data: [DONE]") && rest.ends_with("0\r\n\r\n")
        || rest.trim_end().ends_with('}') && !head.contains("chunked");
    let head = head.to_ascii_lowercase();
    let id = head.split("x-request-id: ").nth(1)?.lines().next()?;
    (head.starts_with("http/1.1 200") && whole).then(|| id.to_owned())
}

/// Clients that ask as fast as they are answered, until they are told to stop.
struct Load {
    answered: Arc<Mutex<Vec<(Instant, String)>>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let answered = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..4)
            .map(|n| {
                let (answered, stop) = (answered.clone(), stop.clone());
                let body = if n % 2 == 0 { CHAT } else { CHAT_STREAM };
                std::thread::spawn(move || {
                    while !stop.load(Relaxed) {
                        if let Some(id) = ask(address, body) {
                            answered
                                .lock()
                                .expect("no panic")
                                .push((Instant::now(), id));
                        }
                    }
                })
            })
            .collect();
        Self {
            answered,
            stop,
            clients,
        }
    }

    fn wait_for(&self, count: usize) {
        let all = || self.answered.lock().expect("no panic").len();
        eventually("answers", || (all() >= count).then_some(()));
    }

    /// What was answered until `at`.
    fn end(self, at: Instant) -> Vec<String> {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            client.join().expect("no panic");
        }
        let answered = self.answered.lock().expect("no panic");
        let before = answered.iter().filter(|(when, _)| *when <= at);
        before.map(|(_, id)| id.clone()).collect()
    }
}

fn head(place: &Place) -> String {
    format!("[store]\nurl = \"{}\"\n", place.url)
}

fn gateway(simulator: &Simulator, place: &Place) -> Gateway {
    Gateway::start(
        simulator.address,
        &head(place),
        &[channel("c", "openai", "")],
    )
}

fn all_are_there(store: &Store, ids: &[String]) {
    eventually("every row is in the store", || {
        let counts = counts(store);
        assert!(
            counts.values().all(|count| *count == 1),
            "a row is there twice"
        );
        ids.iter().all(|id| counts.contains_key(id)).then_some(())
    });
}

#[test]
fn kill_9_in_mid_load_loses_nothing_that_was_answered_250_ms_before() {
    let (simulator, place) = (Simulator::start(&[]), Place::file());
    let mut gateway = gateway(&simulator, &place);
    for _ in 0..3 {
        let load = Load::start(gateway.address);
        load.wait_for(100);
        // The last moment that must be safe.
        let safe = Instant::now().checked_sub(AT_MOST_LOST).expect("a moment");
        gateway.process.signal("-KILL");
        gateway.process.wait();
        let ids = load.end(safe);
        gateway.kill_and_restart();
        all_are_there(&place.open(), &ids);
    }
}

#[test]
fn nothing_is_lost_on_sigterm() {
    let (simulator, place) = (Simulator::start(&[]), Place::file());
    let mut gateway = gateway(&simulator, &place);
    let load = Load::start(gateway.address);
    load.wait_for(100);
    gateway.process.signal("-TERM");
    gateway.process.wait();
    let ids = load.end(Instant::now());
    let counts = counts(&place.open());
    let missing: Vec<_> = ids.iter().filter(|id| !counts.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{missing:?} of {}", ids.len());
    assert!(counts.values().all(|count| *count == 1));
}

fn serve(gateway: &Gateway, count: usize) -> Vec<String> {
    let one = |_| ask(gateway.address, CHAT).expect("it serves");
    (0..count).map(one).collect()
}

#[test]
fn usage_waits_for_a_store_that_is_locked() {
    use sqlx::{Connection as _, Executor as _};
    let (simulator, place) = (Simulator::start(&[]), Place::file());
    let gateway = gateway(&simulator, &place);
    let store = place.open();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut other = runtime
        .block_on(sqlx::SqliteConnection::connect(&place.url))
        .expect("a connection");
    runtime
        .block_on(other.execute("BEGIN IMMEDIATE"))
        .expect("the lock");
    let ids = serve(&gateway, 30);
    eventually("they wait", || {
        (gateway.metric("torouter_usage_queue_length", &[]) > 29.5).then_some(())
    });
    assert!(counts(&store).is_empty());
    runtime.block_on(other.execute("ROLLBACK")).expect("free");
    all_are_there(&store, &ids);
    eventually("nothing waits", || {
        (gateway.metric("torouter_usage_queue_length", &[]) < 0.5).then_some(())
    });
    assert!(gateway.metric("torouter_usage_write_failures_total", &[]) < 0.5);
}

#[test]
fn usage_waits_for_a_postgresql_that_is_down_also_over_a_kill() {
    let simulator = Simulator::start(&[]);
    let mut server = Postgres::start();
    let place = Place::postgres(&server, "usage");
    let mut gateway = gateway(&simulator, &place);
    let mut ids = serve(&gateway, 5);
    server.kill();
    ids.extend(serve(&gateway, 20));
    std::thread::sleep(AT_MOST_LOST);
    gateway.process.signal("-KILL");
    gateway.process.wait();
    server.run();
    gateway.kill_and_restart();
    ids.extend(serve(&gateway, 5));
    all_are_there(&place.open(), &ids);
}
