//! The walls of the house: imports point downward (see ARCHITECTURE.md), and a vendor's or protocol's name stands
//! only where it belongs.

use std::path::{Path, PathBuf};

/// Rooms by floor, from the ground. A room may import from floors below its own, not from its neighbours.
const FLOORS: [&[&str]; 8] = [
    &["base"],
    &["chat", "wire"],
    &["dialect"],
    &["platform"],
    &["config", "store"],
    &["gate", "route", "meter"],
    &["world"],
    &["proxy", "admin", "simulate"],
];
const TOP: &str = "cli";

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Each source file, with the room that it is in.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    found
        .into_iter()
        .filter(|path| path.parent() != Some(&root) || path.ends_with("world.rs"))
        .map(|path| {
            let first = path
                .strip_prefix(&root)
                .expect("below src")
                .components()
                .next();
            let room = first
                .expect("a room")
                .as_os_str()
                .to_string_lossy()
                .replace(".rs", "");
            let text = std::fs::read_to_string(&path).expect("a file");
            (room, path, text)
        })
        .collect()
}

fn floor(room: &str) -> usize {
    if room == TOP {
        return FLOORS.len();
    }
    FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("{room} is on no floor: put it on the map"))
}

#[test]
fn imports_point_downward() {
    for (room, path, text) in sources() {
        let mentioned = text.split("crate::").skip(1);
        for other in mentioned {
            let other: String = other
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            if other.is_empty() || other == room || other == "cli" && room == TOP {
                continue;
            }
            assert!(
                floor(&other) < floor(&room),
                "{}: {room} imports {other}, which is not below it",
                path.display()
            );
        }
    }
}

/// The code of a file: no comments, no tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
        .to_ascii_lowercase()
}

#[test]
fn a_vendors_name_stands_only_in_its_room() {
    // Protocols are named after their vendors; the simulator is a provider, the demo has one.
    let rooms = ["platform", "dialect", "simulate", "cli"];
    for (room, path, text) in sources() {
        if rooms.contains(&room.as_str()) || path.ends_with("tests.rs") {
            continue;
        }
        for name in [
            "openrouter",
            "deepseek",
            "groq",
            "googleapis",
            "x-goog-user",
            "claude",
            "gpt-",
        ] {
            assert!(!code(&text).contains(name), "{}: {name}", path.display());
        }
    }
}

#[test]
fn nothing_below_the_platforms_awaits() {
    for (room, path, text) in sources() {
        if floor(&room) <= floor("platform") {
            assert!(!code(&text).contains(".await"), "{}", path.display());
        }
    }
}
