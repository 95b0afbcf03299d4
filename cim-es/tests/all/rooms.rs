//! The rooms of the crate stand in one order, and what a room uses is its own or below it.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up: a room may name those before it, and itself.
const ROOMS: [&str; 17] = [
    "domain",
    "block",
    "car",
    "store",
    "engine",
    "subscription",
    "document",
    "repository",
    "projection",
    "hybrid",
    "replay",
    "verify",
    "proof",
    "age",
    "bundle",
    "dag",
    "testing",
];

/// Each engine knows the ports alone.
const ENGINES: [&str; 4] = ["memory", "sqlite", "jetstream", "postgres"];

/// The rooms of the distributed engine, from the bottom up.
const JETSTREAM: [&str; 7] = [
    "retry",
    "config",
    "connect",
    "api",
    "buckets",
    "subscription",
    "stream",
];

/// An import of a room of the distributed engine from below it, as `file: path`.
///
/// A room names another by the path from the root of the crate, so that nothing is hidden behind `super`.
fn imports_upward_in_jetstream(engine: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (at, room) in JETSTREAM.iter().enumerate() {
        for file in files(&engine.join(room)) {
            let text = fs::read_to_string(&file).expect("a source file is UTF-8");
            let shown = file.strip_prefix(engine).expect("a file of the room");
            for named in named_rooms(&text) {
                let Some(path) = named.rest.strip_prefix("jetstream::") else {
                    continue;
                };
                let below = path.split("::").next().unwrap_or(path);
                let below = below.trim_end_matches(';');
                if named.room == "engine" && !JETSTREAM[..=at].contains(&below) {
                    found.push(format!("{}: {path}", shown.display()));
                }
            }
            let is_root = file.file_name().is_some_and(|name| name == "mod.rs");
            let depth = shown.components().count() - usize::from(is_root);
            let above = format!("use {}", "super::".repeat(depth));
            found.extend(
                text.lines()
                    .filter(|line| line.starts_with(&above))
                    .map(|line| format!("{}: {line}", shown.display())),
            );
        }
    }
    found
}

/// An import of one room from a file of another, as `file: room`.
fn imports_upward(sources: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (at, room) in ROOMS.iter().enumerate() {
        for file in files(&sources.join(room)) {
            let text = fs::read_to_string(&file).expect("a source file is UTF-8");
            let shown = file.strip_prefix(sources).expect("a file of the room");
            let mut parts = shown.components().map(|part| part.as_os_str());
            let engine = parts.nth(1).filter(|_| *room == "engine");
            for named in named_rooms(&text) {
                let is_below = ROOMS[..=at].contains(&named.room);
                let is_own_engine = named.room != "engine"
                    || engine
                        .is_none_or(|engine| named.rest.starts_with(&*engine.to_string_lossy()));
                if !is_below || !is_own_engine {
                    found.push(format!(
                        "{}: crate::{}::{}",
                        shown.display(),
                        named.room,
                        named.rest
                    ));
                }
            }
        }
    }
    found
}

struct Named<'a> {
    room: &'a str,
    rest: &'a str,
}

/// What a file names by `crate::`, outside of comments, macros for other crates, and its tests.
fn named_rooms(text: &str) -> Vec<Named<'_>> {
    let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    shipped
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.match_indices("crate::")
                .map(move |(at, _)| line.split_at(at))
        })
        .filter(|(before, _)| !before.ends_with('$') && !before.ends_with('_'))
        .map(|(_, after)| {
            let path = after.trim_start_matches("crate::");
            let (room, rest) = path.split_once("::").unwrap_or((path, ""));
            // A visibility names a room as well: `pub(in crate::room)`.
            let room = room.split_once(')').map_or(room, |(room, _)| room);
            Named { room, rest }
        })
        .filter(|named| !named.room.contains('!'))
        .collect()
}

/// The files of a room, which is a folder or a single file.
fn files(room: &Path) -> Vec<PathBuf> {
    let file = room.with_extension("rs");
    if file.is_file() {
        return vec![file];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(room).expect("the room is a folder") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_room_uses_only_what_stands_below_it() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(imports_upward(&sources), Vec::<String>::new());
}

#[test]
fn a_room_of_the_distributed_engine_uses_only_what_stands_below_it() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/jetstream");
    assert_eq!(imports_upward_in_jetstream(&engine), Vec::<String>::new());
}

#[test]
fn every_room_and_every_engine_is_looked_at() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = |folder: &Path, known: &[&str]| {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // The pages of the guide name everything; a program sees what every user of the crate does.
            let is_room = path.is_dir() && !["guide", "bin"].contains(&&*name);
            assert!(
                !is_room || known.contains(&&*name),
                "{name} stands nowhere in the order"
            );
        }
    };
    rooms(&sources, &ROOMS);
    rooms(&sources.join("engine"), &ENGINES);
    rooms(&sources.join("engine/jetstream"), &JETSTREAM);
}

#[test]
fn an_import_from_above_and_from_another_engine_is_found() {
    let folder = std::env::temp_dir().join(format!("cim-es-rooms-{}", std::process::id()));
    for room in ROOMS.iter().chain(&["engine/memory", "engine/sqlite"]) {
        fs::create_dir_all(folder.join(room)).expect("a temporary folder can be made");
    }
    let upward = "use crate::store::EventStore;\n// use crate::testing::given;\n";
    fs::write(folder.join("block/cid.rs"), upward).expect("the file can be written");
    let sideways = "use crate::engine::sqlite::Writer;\nuse crate::engine::memory::Log;\n";
    fs::write(folder.join("engine/memory/log.rs"), sideways).expect("the file can be written");
    let found = imports_upward(&folder);
    fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
    let expected = [
        "block/cid.rs: crate::store::EventStore;",
        "engine/memory/log.rs: crate::engine::sqlite::Writer;",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_circle_within_the_distributed_engine_is_found() {
    let engine = std::env::temp_dir().join(format!("cim-es-circle-{}", std::process::id()));
    for room in JETSTREAM {
        fs::create_dir_all(engine.join(room)).expect("a temporary folder can be made");
    }
    let upward = "use crate::engine::jetstream::stream::Stream;\nuse super::request::Api;\n";
    fs::write(engine.join("api/leader.rs"), upward).expect("the file can be written");
    let hidden = "use super::subscription::Retry;\nuse crate::engine::jetstream::Connection;\n";
    fs::write(engine.join("buckets/mod.rs"), hidden).expect("the file can be written");
    let found = imports_upward_in_jetstream(&engine);
    fs::remove_dir_all(&engine).expect("the temporary folder can be removed");
    let expected = [
        "api/leader.rs: stream::Stream;",
        "buckets/mod.rs: Connection;",
        "buckets/mod.rs: use super::subscription::Retry;",
    ];
    assert_eq!(found, expected);
}
