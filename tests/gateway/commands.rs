//! What an operator types, and what the process does when it is told something.

use std::process::Command;

use crate::stand::{CHAT, Gateway, Simulator, channel, eventually, free_address, torouter};

fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("a code"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

struct File(std::path::PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!(
            "torouter-check-{}-{}.toml",
            std::process::id(),
            free_address().port()
        ));
        std::fs::write(&path, text).expect("a file");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn check_tells_five_mistakes_in_five_lines() {
    let file = File::new(
        "[server]\nlisten = [\"nowhere\"]\nthredas = 1\n[[channels]]\nname = \"a\"\nplatform = \"x\"\npriority = \"high\"\n[[groups]]\nname = \"g\"\nchannels = [\"b\"]\n",
    );
    let (code, out, err) = run(torouter().arg("check").arg("--config").arg(&file.0));
    assert_eq!((code, out.as_str()), (1, ""));
    let name = file.0.display().to_string();
    let places: Vec<String> = err
        .lines()
        .map(|line| {
            let rest = line
                .strip_prefix(&format!("{name}:"))
                .unwrap_or_else(|| panic!("{line}"));
            rest.split(": ").next().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(places, ["2:11", "3:1", "6:12", "7:12", "10:13"], "{err}");
}

#[test]
fn check_takes_the_example_and_tells_which_secret_is_missing() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/torouter.toml");
    let (code, out, err) = run(torouter()
        .args(["check", "--config", example])
        .env("OPENAI_API_KEY", "x")
        .env("ANTHROPIC_API_KEY", "x")
        .env("TOROUTER_KEY", "sk-x"));
    assert_eq!(code, 0, "{err}");
    assert!(
        out.ends_with(": ok: 2 channels, 1 groups, 1 keys\n"),
        "{out}"
    );
    let (code, _, err) = run(torouter().args(["check", "--config", example]).env_clear());
    assert_eq!(code, 1);
    assert!(err.contains("OPENAI_API_KEY is not set"), "{err}");
}

#[test]
fn wrong_usage_and_a_start_that_fails_have_their_codes() {
    assert_eq!(run(torouter().arg("serv")).0, 2);
    assert_eq!(
        run(torouter().args(["check", "--config", "/nonexistent.toml"])).0,
        1
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, _, err) = run(torouter().args(["simulate", "--listen", &address]));
    assert_eq!(code, 3);
    assert!(
        err.contains(&format!("cannot listen on {address}")),
        "{err}"
    );
}

#[test]
fn a_reload_takes_a_valid_config_and_refuses_a_wrong_one() {
    let simulator = Simulator::start(&[]);
    let gateway = Gateway::start(simulator.address, "", &[channel("before", "openai", "")]);
    let config = gateway.folder.join("torouter.toml");
    let text = std::fs::read_to_string(&config).expect("a file");
    let channel_of = || {
        gateway
            .post("/v1/chat/completions", CHAT)
            .header("x-torouter-channel")
            .map(str::to_owned)
    };
    assert_eq!(channel_of().as_deref(), Some("before"));
    std::fs::write(&config, text.replace("\"before\"", "\"after\"")).expect("a file");
    gateway.process.signal("-HUP");
    eventually("the new config is used", || {
        (channel_of().as_deref() == Some("after")).then_some(())
    });
    std::fs::write(&config, "nonsense = ").expect("a file");
    gateway.process.signal("-HUP");
    eventually("the wrong one is refused", || {
        (gateway.metric("torouter_config_reloads_total", &[("result", "error")]) > 0.5)
            .then_some(())
    });
    assert_eq!(channel_of().as_deref(), Some("after"));
    assert!(gateway.process.log().contains("the old one stays"));
}

#[test]
fn a_secret_comes_from_a_file() {
    let simulator = Simulator::start(&[]);
    let secret = File::new("sk-from-a-file\n");
    let config = format!(
        "[[channels]]\nname = \"c\"\nplatform = \"openai\"\nbase_url = \"http://{}/v1\"\napi_key = {{ env = \"UP\" }}\n\
         [[groups]]\nname = \"g\"\nchannels = [\"c\"]\n[[keys]]\nname = \"k\"\ngroup = \"g\"\nsecret = {{ file = \"{}\" }}\n",
        simulator.address,
        secret.0.display()
    );
    let gateway = Gateway::with_env("", &config, &[("UP", "up-1")]);
    let answer = gateway.send(
        "POST",
        "/v1/chat/completions",
        &[("x-api-key", "sk-from-a-file")],
        CHAT.as_bytes(),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(
        simulator.requests()[0]["headers"]["authorization"],
        "Bearer up-1"
    );
}
