//! Clients that go away.

use std::time::{Duration, Instant};

use crate::http1::{Connection, request};
use crate::stand::{CHAT_STREAM, Gateway, KEY, Simulator, channel, eventually};

fn stream_of(gateway: &Gateway) -> Connection {
    let mut connection = Connection::open(gateway.address);
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", KEY)],
        CHAT_STREAM.as_bytes(),
    ));
    assert_eq!(connection.head().map(|h| h.status), Some(200));
    connection
}

fn in_flight(simulator: &Simulator) -> u64 {
    simulator.get("/__sim/state")["in_flight"]
        .as_u64()
        .expect("a number")
}

#[test]
fn events_come_one_by_one_as_they_are_sent() {
    let simulator = Simulator::start(&["--gap", "150ms"]);
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", "")]);
    let mut connection = stream_of(&gateway);
    let _held = connection.chunk().expect("the opening");
    let mut last = Instant::now();
    let mut gaps = Vec::new();
    while let Ok(chunk) = connection.chunk() {
        gaps.push(last.elapsed());
        last = Instant::now();
        assert!(
            String::from_utf8_lossy(&chunk).matches("data: ").count() <= 2,
            "{chunk:?}"
        );
    }
    let late = gaps
        .iter()
        .filter(|gap| **gap > Duration::from_millis(60))
        .count();
    assert!(late >= 4, "{gaps:?}");
}

#[test]
fn a_client_that_leaves_ends_the_upstream_request_within_100_ms_and_is_counted() {
    let simulator = Simulator::start(&["--gap", "50ms", "--events", "200"]);
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", "")]);
    let mut connection = stream_of(&gateway);
    for _ in 0..6 {
        connection.chunk().expect("an event");
    }
    drop(connection);
    let left = Instant::now();
    eventually("the upstream request ends", || {
        let seen = simulator.requests();
        (seen[0]["aborted"] == true).then_some(())
    });
    // The simulator is asked over a connection of its own, which takes time, too.
    assert!(
        left.elapsed() < Duration::from_millis(150),
        "{:?}",
        left.elapsed()
    );
    let output = eventually("the tokens so far are counted", || {
        let output = gateway.metric(
            "torouter_tokens_total",
            &[("type", "output"), ("key", "test")],
        );
        (output > 0.0).then_some(output)
    });
    assert!(output < 100.0, "only what was sent: {output}");
    assert!(gateway.metric("torouter_tokens_total", &[("type", "input")]) > 0.0);
    assert!((gateway.metric("torouter_requests_total", &[("status", "499")]) - 1.0).abs() < 0.1);
    assert!(gateway.metric("torouter_requests_in_flight", &[]).abs() < 0.1);
    let line = eventually("its line is logged", || {
        gateway
            .process
            .log()
            .lines()
            .find(|l| l.contains("\"status\":499"))
            .map(str::to_owned)
    });
    assert!(
        line.contains("\"estimated\":true") && line.contains("client_closed_request"),
        "{line}"
    );
}

#[test]
fn a_client_that_leaves_before_the_first_byte_is_counted_and_burns_no_channel() {
    let simulator = Simulator::start(&["--latency", "5s"]);
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", "")]);
    let mut connection = Connection::open(gateway.address);
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", KEY)],
        CHAT_STREAM.as_bytes(),
    ));
    eventually("it is under way", || {
        (in_flight(&simulator) > 0).then_some(())
    });
    drop(connection);
    eventually("it is counted", || {
        (gateway.metric("torouter_requests_total", &[("status", "499")]) > 0.5).then_some(())
    });
    assert!((gateway.metric("torouter_channel_up", &[("channel", "c")]) - 1.0).abs() < 0.1);
    assert!(
        gateway
            .metric("torouter_channel_in_flight", &[("channel", "c")])
            .abs()
            < 0.1
    );
}

#[test]
fn a_half_close_counts_as_leaving() {
    let simulator = Simulator::start(&["--gap", "50ms", "--events", "200"]);
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", "")]);
    let connection = stream_of(&gateway);
    connection
        .stream
        .shutdown(std::net::Shutdown::Write)
        .expect("a socket");
    eventually("it is counted", || {
        (gateway.metric("torouter_requests_total", &[("status", "499")]) > 0.5).then_some(())
    });
}

#[test]
fn a_stop_waits_for_streams_and_no_longer() {
    let simulator = Simulator::start(&["--gap", "100ms", "--events", "10"]);
    let mut gateway = Gateway::start(
        simulator.address,
        "drain_timeout = \"30s\"\n",
        &[channel("c", "openai", "")],
    );
    let mut connection = stream_of(&gateway);
    connection.chunk().expect("an event");
    gateway.process.signal("-TERM");
    let began = Instant::now();
    let mut text = String::new();
    while let Ok(chunk) = connection.chunk() {
        text += &String::from_utf8_lossy(&chunk);
    }
    assert!(text.ends_with("[DONE]\n\n"), "{text}");
    assert!(gateway.process.wait().success());
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert!(
        gateway.process.log().contains("\"status\":200"),
        "{}",
        gateway.process.log()
    );
}

#[test]
fn a_client_that_reads_slowly_is_not_the_channels_fault() {
    let simulator = Simulator::start(&[]);
    let lines = "headers = { x-sim-size = \"20000000\" }\ntimeouts = { idle = \"1s\" }";
    let gateway = Gateway::start(simulator.address, "", &[channel("c", "openai", lines)]);
    let mut connection = Connection::open(gateway.address);
    connection.send(&request(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", KEY)],
        crate::stand::CHAT.as_bytes(),
    ));
    let head = connection.head().expect("a head");
    // Longer than the upstream may be silent: the sockets are full, and it is the client that waits.
    std::thread::sleep(Duration::from_millis(2500));
    let length: usize = head
        .header("content-length")
        .and_then(|l| l.parse().ok())
        .expect("a length");
    let mut read = connection.rest();
    while read < length {
        let mut chunk = vec![0; 1 << 20];
        match std::io::Read::read(&mut connection.stream, &mut chunk).expect("the answer goes on") {
            0 => break,
            n => read += n,
        }
    }
    assert_eq!(read, length);
    assert!(
        gateway
            .metric(
                "torouter_upstream_attempts_total",
                &[("outcome", "timeout")]
            )
            .abs()
            < 0.1
    );
}
