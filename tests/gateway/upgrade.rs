//! A new process takes the listening sockets over from the running one: nothing is refused, nothing is lost.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::http1::{Connection, request};
use crate::stand::{CHAT, Gateway, KEY, Simulator, eventually, open_store, requests_in};

#[test]
fn an_upgrade_under_load_drops_no_request_and_no_usage() {
    let simulator = Simulator::start(&["--latency", "20ms"]);
    let upstream = simulator.address;
    let folder = std::env::temp_dir().join(format!("torouter-upgrade-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let head = format!(
        "upgrade_socket = \"{0}/upgrade.sock\"\ndrain_timeout = \"20s\"\n[store]\nurl = \"sqlite:{0}/store.db\"\n",
        folder.display()
    );
    let rest = format!(
        "[[channels]]\nname = \"openai\"\nplatform = \"openai\"\nbase_url = \"http://{upstream}\"\napi_key = {{ value = \"upstream-secret\" }}\nmodels = [\"gpt-*\"]\n[[groups]]\nname = \"default\"\nchannels = [\"openai\"]\n[[keys]]\nname = \"test\"\ngroup = \"default\"\nsecret = {{ value = \"{KEY}\" }}\n"
    );
    let mut gateway = Gateway::with_config(&head, &rest);
    let (over, good) = (AtomicBool::new(false), AtomicU32::new(0));
    let (address, auth) = (gateway.address, format!("Bearer {KEY}"));
    let asked = request(
        "POST",
        "/v1/chat/completions",
        &[("authorization", auth.as_str())],
        CHAT.as_bytes(),
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    let mut connection = Connection::open(address);
                    connection.send(&asked);
                    let answer = connection.answer().expect("an answer");
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    good.fetch_add(1, Relaxed);
                }
            });
        }
        let done = |count: u32| {
            eventually("requests go on", || {
                (good.load(Relaxed) >= count).then_some(())
            });
        };
        done(50);
        let next = gateway.take_over(&folder.join("upgrade.sock"));
        // The old one goes on until the new one has the sockets, and what it began it ends.
        assert_eq!(gateway.process.wait().code(), Some(0));
        done(good.load(Relaxed) + 50);
        over.store(true, Relaxed);
        gateway.process = next;
    });
    gateway.process.signal("-TERM");
    assert_eq!(gateway.process.wait().code(), Some(0));
    let store = open_store(&format!("sqlite:{}/store.db", folder.display()));
    assert_eq!(requests_in(&store), u64::from(good.into_inner()));
    let _ = std::fs::remove_dir_all(&folder);
}
