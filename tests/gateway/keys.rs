//! `torouter keys` and `torouter usage` beside a gateway on the same store.

use std::fs::File;
use std::io::PipeWriter;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::admin;
use crate::stand::{Gateway, Simulator, free_address, torouter};

/// A database in a folder that goes with the test.
pub struct Database(PathBuf);

impl Database {
    pub fn new() -> Self {
        let name = format!(
            "torouter-keys-{}-{}",
            std::process::id(),
            free_address().port()
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    pub fn head(&self) -> String {
        let path = self.0.join("torouter.db");
        format!("[store]\nurl = \"sqlite:{}\"\n", path.display())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start() -> (Database, Simulator, Gateway) {
    let database = Database::new();
    let (simulator, gateway) = admin::start(&format!("{}{}", admin::ADMIN, database.head()));
    (database, simulator, gateway)
}

pub fn run(config: &Path, words: &str) -> Output {
    let mut command = torouter();
    command.args(words.split(' ')).arg("--config").arg(config);
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn a_key_is_made_listed_changed_and_deleted_from_the_command_line() {
    let (_database, _simulator, gateway) = start();
    let config = gateway.folder.join("torouter.toml");
    let make = "keys create --name a --group default --rpm 5 --spend-usd 0.25 --models gpt-5,gpt-4* --deny 10.0.0.0/8 --expires 30d --json";
    let made = json(&run(&config, make));
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(made["key"]["limits"]["rpm"], 5);
    assert_eq!(made["key"]["limits"]["spend_usd"].to_string(), "0.25");
    assert_eq!(
        made["key"]["models"],
        serde_json::json!(["gpt-5", "gpt-4*"])
    );

    // The running gateway knows it.
    let seen = admin::ask(&gateway, "GET", "/admin/v1/keys/a", &Value::Null);
    assert_eq!(seen.json()["key"], made["key"]);

    let changed = json(&run(
        &config,
        "keys update a --rpm 0 --tpm 100 --disable --no-expires --name b --json",
    ));
    let key = &changed["key"];
    assert_eq!(
        (&key["name"], &key["enabled"]),
        (&"b".into(), &false.into())
    );
    assert_eq!(
        (&key["limits"]["rpm"], &key["limits"]["tpm"]),
        (&Value::Null, &100.into())
    );
    assert_eq!(
        (&key["expires"], &key["limits"]["spend_usd"].to_string()),
        (&Value::Null, &"0.25".into())
    );
    let shown = json(&run(&config, "keys show b --json"));
    assert_eq!(shown, changed);

    let listed = run(&config, "keys list");
    let listed = text(&listed.stdout);
    assert!(listed.starts_with("name"), "{listed}");
    assert!(
        listed.contains("disabled") && listed.contains("enabled, in the config"),
        "{listed}"
    );
    assert!(!listed.contains(&secret), "{listed}");

    let deleted = run(&config, "keys delete b");
    assert_eq!(
        (deleted.status.code(), text(&deleted.stderr).as_str()),
        (Some(0), "")
    );
    assert!(
        text(&deleted.stdout).starts_with("deleted: b (key_"),
        "{}",
        text(&deleted.stdout)
    );
    assert_eq!(
        admin::ask(&gateway, "GET", "/admin/v1/keys/b", &Value::Null).status,
        404
    );
}

#[test]
fn the_secret_is_shown_once_and_to_a_person() {
    let (_database, _simulator, gateway) = start();
    let config = gateway.folder.join("torouter.toml");
    let made = text(&run(&config, "keys create --name a --group default").stdout);
    let secret = made
        .split_whitespace()
        .find(|word| word.starts_with("sk-") && word.len() == 46);
    let secret = secret.unwrap_or_else(|| panic!("no secret: {made}"));
    assert!(made.contains("shown only now"), "{made}");
    for words in [
        "keys list --json",
        "keys show a --json",
        "keys show a",
        "keys list",
    ] {
        let output = run(&config, words);
        assert!(!text(&output.stdout).contains(secret), "{words}");
    }
    assert!(!gateway.process.log().contains(secret));
}

#[test]
fn wrong_input_is_told_and_changes_nothing() {
    let (_database, _simulator, gateway) = start();
    let config = gateway.folder.join("torouter.toml");
    assert_eq!(
        run(&config, "keys create --name a --group default")
            .status
            .code(),
        Some(0)
    );
    for (words, code, wanted) in [
        (
            "keys create --name a --group default",
            1,
            "another key has this name",
        ),
        (
            "keys create --name test --group default",
            1,
            "another key has this name",
        ),
        (
            "keys create --name b --group nowhere",
            1,
            "defined: \"default\"",
        ),
        (
            "keys create --name b --group default --allow 10.0.0.0/33",
            1,
            "--allow",
        ),
        ("keys create --name b --group default --rpm -1", 1, "--rpm"),
        (
            "keys create --name b --group default --rpm many",
            1,
            "--rpm",
        ),
        (
            "keys create --name b --group default --spend-usd -0.5",
            1,
            "--spend-usd",
        ),
        (
            "keys create --name b --group default --expires yesterday",
            1,
            "--expires",
        ),
        ("keys create --name key_b --group default", 1, "--name"),
        ("keys create --name b", 2, "--group"),
        (
            "keys create --name b --group default --burst 5",
            2,
            "--burst",
        ),
        ("keys update a --enable --disable", 2, "--disable"),
        ("keys update a", 2, "--rpm"),
        ("keys update a --json", 2, "--rpm"),
        ("keys update a --allow ,", 1, "--allow"),
        ("keys update a --deny 10.0.0.0/8,", 1, "--deny"),
        ("keys update a --models gpt-5,,gpt-4", 1, "--models"),
        (
            "usage --since 2026-01-02 --until 2026-01-01",
            1,
            "since must not be after until",
        ),
        ("keys show nobody", 1, "there is no key"),
        ("keys delete nobody", 1, "there is no key"),
        ("keys update test --disable", 1, "config file"),
        ("usage --by hour", 1, "--by"),
        ("usage --since soon", 1, "--since"),
        ("usage --format xml", 2, "--format"),
    ] {
        let output = run(&config, words);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}: {told}");
        assert!(told.contains(wanted), "{words}: {told}");
        assert_eq!(text(&output.stdout), "", "{words}");
    }
    let listed = json(&run(&config, "keys list --json"));
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(2), "{listed}");
}

#[test]
fn a_store_in_memory_is_the_gateways_alone() {
    let (_simulator, gateway) = admin::start("");
    let config = gateway.folder.join("torouter.toml");
    for words in ["keys list", "keys create --name a --group default", "usage"] {
        let output = run(&config, words);
        assert_eq!(output.status.code(), Some(1), "{words}");
        let told = text(&output.stderr);
        assert!(
            told.contains("sqlite::memory:") && told.contains("admin API"),
            "{told}"
        );
    }
}

#[test]
fn commands_work_where_no_gateway_runs() {
    let (_database, _simulator, mut gateway) = start();
    let config = gateway.folder.join("torouter.toml");
    gateway.process.signal("-KILL");
    gateway.process.wait();
    let made = json(&run(&config, "keys create --name a --group default --json"));
    assert_eq!(made["key"]["name"], "a");
    let usage = json(&run(&config, "usage --format json"));
    assert_eq!(usage["rows"][0]["requests"], 0);
    let csv = run(&config, "usage --format csv --by day,key,model");
    assert!(
        text(&csv.stdout).starts_with("day,key,model,requests,"),
        "{}",
        text(&csv.stdout)
    );
    let table = run(&config, "usage --by key");
    assert!(
        text(&table.stdout).starts_with("key"),
        "{}",
        text(&table.stdout)
    );
}

#[test]
fn a_store_that_is_broken_cannot_start() {
    let (database, _simulator, mut gateway) = start();
    gateway.process.signal("-KILL");
    gateway.process.wait();
    for entry in std::fs::read_dir(&database.0).expect("a folder").flatten() {
        // The spool is a folder.
        if entry.path().is_file() {
            std::fs::write(entry.path(), "this is no database, and was never one").expect("a file");
        }
    }
    let config = gateway.folder.join("torouter.toml");
    let output = run(&config, "keys list");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("store.url"),
        "{}",
        text(&output.stderr)
    );
}

/// A command whose output goes somewhere else than to us.
fn run_into(config: &Path, words: &str, stdout: impl Into<Stdio>) -> Output {
    let mut command = torouter();
    command.args(words.split(' ')).arg("--config").arg(config);
    command.stdout(stdout).output().expect("the binary runs")
}

fn full() -> File {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("a full device")
}

/// A pipe that nobody reads.
fn closed() -> PipeWriter {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer
}

#[test]
fn a_key_whose_secret_cannot_be_written_is_deleted_again() {
    let (_database, _simulator, gateway) = start();
    let config = gateway.folder.join("torouter.toml");
    for words in [
        "keys create --name a --group default",
        "keys create --name a --group default --json",
    ] {
        for output in [
            run_into(&config, words, full()),
            run_into(&config, words, closed()),
        ] {
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{words}: {told}");
            assert!(
                told.contains("\"a\"") && told.contains("deleted again"),
                "{told}"
            );
            let seen = admin::ask(&gateway, "GET", "/admin/v1/keys/a", &Value::Null);
            assert_eq!(seen.status, 404);
        }
    }
}

#[test]
fn a_reader_that_leaves_is_no_error_and_a_full_device_is_one() {
    let (_database, _simulator, gateway) = start();
    let config = gateway.folder.join("torouter.toml");
    for words in ["keys list", "keys show test --json", "usage", "check"] {
        let output = run_into(&config, words, closed());
        let told = (output.status.code(), text(&output.stderr));
        assert_eq!(told, (Some(0), String::new()), "{words}");
        let output = run_into(&config, words, full());
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words}: {told}");
        assert!(told.contains("standard output"), "{words}: {told}");
    }
}

#[test]
fn keys_and_usage_work_where_the_secrets_of_the_gateway_are_not() {
    let (database, _simulator, gateway) = start();
    let config = gateway.folder.join("torouter.toml");
    let whole = std::fs::read_to_string(&config).expect("a config");
    let away = "{ env = \"TOROUTER_TEST_UNSET_VARIABLE\" }";
    let mut text_away = String::new();
    for line in whole.lines() {
        match line.split_once("= { value") {
            Some((name, _)) => text_away += &format!("{name}= {away}\n"),
            _ => text_away += &format!("{line}\n"),
        }
    }
    assert!(!text_away.contains("value ="), "{text_away}");
    let config = database.folder().join("away.toml");
    std::fs::write(&config, text_away).expect("a file");
    let made = json(&run(&config, "keys create --name a --group default --json"));
    assert_eq!(made["key"]["name"], "a");
    let fixed = json(&run(&config, "keys show test --json"));
    assert_eq!(fixed["key"]["hint"], "-");
    json(&run(&config, "usage --format json"));
    let checked = run(&config, "check");
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked.stderr).contains("TOROUTER_TEST_UNSET_VARIABLE"));
}

#[test]
fn an_empty_list_clears_and_each_flag_alone_is_a_change() {
    let (_database, _simulator, gateway) = start();
    let config = gateway.folder.join("torouter.toml");
    json(&run(
        &config,
        "keys create --name a --group default --models gpt-5 --json",
    ));
    let changed = json(&run(&config, "keys update a --json --models="));
    assert_eq!(changed["key"]["models"], serde_json::json!([]));
    for change in [
        "--name=a",
        "--group=default",
        "--enable",
        "--disable",
        "--no-expires",
        "--expires=30d",
        "--models=gpt-5",
        "--allow=10.0.0.0/8",
        "--deny=10.1.0.0/16",
        "--rpm=1",
        "--rp5h=1",
        "--rpd=1",
        "--rp7d=1",
        "--tpm=1",
        "--max-in-flight=1",
        "--spend-usd=1",
        "--spend-usd-5h=1",
        "--spend-usd-day=1",
        "--spend-usd-7d=1",
        "--spend-usd-30d=1",
    ] {
        json(&run(&config, &format!("keys update a --json {change}")));
    }
}
