//! What only a file can suffer.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor};
use torouter::store::{BeginError, ContextError, Settings, Status, Store, Trouble};

use super::place::{DAY, Folder, Place, Postgres, alice};
use super::turns::{after, done, new, turn};

fn refused(url: &str) -> String {
    let settings = Settings {
        url: url.to_owned(),
        responses_ttl: DAY,
        responses_max_bytes: 1 << 20,
        usage_ttl: DAY,
    };
    Store::open(&settings).expect_err(url).to_string()
}

#[test]
fn what_cannot_be_opened_is_told() {
    let folder = Folder::new();
    let path = folder.0.display();
    for (url, part) in [
        ("mysql://u:hidden@h/d".to_owned(), "must begin with"),
        (
            "postgres://u:hidden@h:port/d".to_owned(),
            "is not a PostgreSQL URL",
        ),
        ("sqlite:".to_owned(), "no path"),
        (format!("sqlite:{path}/a.db?mode=rwc"), "without parameters"),
        (
            format!("sqlite:{path}/nowhere/a.db"),
            "nowhere is not there",
        ),
        (format!("sqlite:{path}"), "cannot be opened"),
    ] {
        let told = refused(&url);
        assert!(told.contains(part) && !told.contains("hidden"), "{told}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_or_is_damaged_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let path = folder.0.join("a.db");
    let url = format!("sqlite:{}", path.display());
    std::fs::write(&path, "not a database, but someone's text\n".repeat(1000)).expect("written");
    let before = std::fs::read(&path).expect("read");
    let told = refused(&url);
    assert!(told.contains("not a database"), "{told}");
    assert_eq!(std::fs::read(&path).expect("read"), before);

    let whole = Place::file();
    let _open = whole.open();
    whole.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let file = whole.url.strip_prefix("sqlite:").expect("a file");
    std::fs::copy(file, &path).expect("copied");
    // The first page keeps its header, all behind it is lost.
    let mut bytes = std::fs::read(&path).expect("read");
    for byte in &mut bytes[100..] {
        *byte = 0x5a;
    }
    std::fs::write(&path, bytes).expect("written");
    let told = refused(&url);
    assert!(told.contains("malformed"), "{told}");
}

#[tokio::test]
async fn only_its_user_may_read_the_file() {
    let place = Place::file();
    let store = place.open();
    turn(&store, new("r")).await;
    let path = place.url.strip_prefix("sqlite:").expect("a file");
    for suffix in ["", "-wal", "-shm"] {
        let mode = std::fs::metadata(format!("{path}{suffix}"))
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn a_lock_that_another_holds_is_told_and_passes() {
    let place = Place::file();
    let store = place.open();
    turn(&store, new("before")).await;
    let mut other = sqlx::SqliteConnection::connect(&place.url)
        .await
        .expect("a connection");
    other.execute("BEGIN EXCLUSIVE").await.expect("locked");
    let from = Instant::now();
    match store.begin(new("r")).await {
        Err(BeginError::Store(error)) => assert_eq!(error.trouble, Trouble::Locked, "{error}"),
        other => panic!("{other:?}"),
    }
    assert!(
        from.elapsed() < Duration::from_secs(5),
        "{:?}",
        from.elapsed()
    );
    // Reading goes on meanwhile.
    assert!(
        store
            .find("before".into(), alice())
            .await
            .expect("an answer")
            .is_some()
    );
    other.execute("ROLLBACK").await.expect("unlocked");
    turn(&store, new("r")).await;
}

/// Writes turns, each after the last. With a `STORE_URL` this is the process that the tests below kill: then it goes on for
/// ever.
#[tokio::test]
async fn each_turn_rests_on_all_before_it() {
    let killed = std::env::var("STORE_URL").ok();
    let last = if killed.is_some() { usize::MAX } else { 20 };
    let settings = Settings {
        url: killed.unwrap_or_else(|| "sqlite::memory:".to_owned()),
        responses_ttl: DAY,
        responses_max_bytes: 1 << 30,
        usage_ttl: DAY,
    };
    let store = Store::open(&settings).expect("opened");
    turn(&store, new("r0")).await;
    for number in 1..=last {
        let (id, before) = (format!("r{number}"), format!("r{}", number - 1));
        turn(&store, after(&id, &before)).await;
        println!("turn {number}");
    }
    let context = store.context(format!("r{last}"), alice(), 1 << 20).await;
    assert_eq!(context.expect("a context").turns.len(), last + 1);
}

/// Kills a process that writes, and looks at what it has left.
pub fn killed_while_it_writes(place: &Place) {
    use std::io::BufRead;
    let mut writer = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "sqlite::each_turn_rests_on_all_before_it",
            "--nocapture",
        ])
        .env("STORE_URL", &place.url)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let lines = std::io::BufReader::new(writer.stdout.take().expect("a pipe")).lines();
    let written = lines
        .map(|line| line.expect("a line"))
        .filter_map(|line| line.strip_prefix("turn ")?.parse::<usize>().ok());
    let last = written
        .take_while(|number| *number <= 40)
        .last()
        .expect("turns");
    writer.kill().expect("killed");
    writer.wait().expect("ended");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = place.open();
        // All that was said to be done is there, and whole.
        let id = format!("r{last}");
        let context = store.context(id.clone(), alice(), 1 << 20).await;
        assert_eq!(context.expect("a context").turns.len(), last + 1);
        // And of what was under way there is all or nothing.
        for number in last + 1.. {
            let id = format!("r{number}");
            match store.context(id.clone(), alice(), 1 << 20).await {
                Ok(context) => {
                    let own = context.turns.last().expect("a turn");
                    assert_eq!(own.input, new(&id).input);
                    let begun = context.stored.status == Status::InProgress && own.output == "[]";
                    assert!(begun || own.output == done(&id).output, "{own:?}");
                }
                Err(ContextError::NotFound) => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        turn(&store, after("afterwards", &id)).await;
    });
}

#[test]
fn a_killed_process_leaves_no_half_turn_in_a_file() {
    killed_while_it_writes(&Place::file());
}

#[test]
fn a_killed_process_leaves_no_half_turn_in_postgresql() {
    let server = Postgres::start();
    killed_while_it_writes(&Place::postgres(&server, "killed"));
}

/// Not a bound, which a busy machine would break, but a figure, and a guard against a turn that waits for something.
#[tokio::test]
async fn a_turn_is_stored_in_well_under_a_millisecond() {
    let place = Place::file();
    let store = place.open();
    let content = format!("[{{\"id\":\"x\",\"t\":\"{}\"}}]", "x".repeat(2000));
    let mut times = Vec::new();
    for number in 0..600 {
        let begun = torouter::store::NewResponse {
            input: content.clone(),
            ..new(&format!("r{number}"))
        };
        let from = Instant::now();
        turn(&store, begun).await;
        times.push(from.elapsed());
    }
    times.sort();
    println!("begin + finish: p50 {:?}, p99 {:?}", times[300], times[594]);
    assert!(times[300] < Duration::from_millis(5), "{:?}", times[300]);
}
