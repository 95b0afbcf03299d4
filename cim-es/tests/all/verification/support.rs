//! A file with something of everything, and copies of it that were damaged by raw SQL.

use std::path::{Path, PathBuf};

use cim_es::SqliteEventStore;
use cim_es::block::Cid;
use cim_es::store::{
    Bookmark, CheckpointStore, Damage, EventStore, ExpectedVersion, ObjectStore, Position,
    Snapshot, SnapshotStore,
};
use cim_es::verify::{Verification, VerificationReport};
use rusqlite::Connection;

use crate::sqlite_support::{Directory, commit, key, note, run, typed};

/// How many events the file has: a hundred rounds of seven.
pub const EVENTS: u64 = 700;
/// The aggregates `a`, `b` and `c`.
pub const AGGREGATES: u64 = 3;

/// Where something stands in a round: three events of `a` in one commit, one of `b` alone, one of `b` and two of `c` in one
/// commit.
pub fn at(round: u64, place: u64) -> u64 {
    round * 7 + place
}

/// The file, as it was written.
pub struct Whole {
    pub directory: Directory,
    pub path: PathBuf,
}

pub fn whole() -> Whole {
    let directory = Directory::new();
    let path = directory.file("whole.db");
    run(fill(&path));
    Whole { directory, path }
}

async fn fill(path: &Path) {
    let store = SqliteEventStore::open(path).expect("a new file");
    for round in 0..EVENTS / 7 {
        let number = round * 10;
        let any = ExpectedVersion::Any;
        let of_a = commit().aggregate(
            key("a"),
            any,
            vec![note(number), note(number + 1), note(number + 2)],
        );
        let of_b = commit().aggregate(key("b"), any, vec![typed("test.note.counted", number)]);
        let of_both = commit()
            .aggregate(key("b"), any, vec![typed("test.note.counted", number + 3)])
            .aggregate(key("c"), any, vec![note(number + 4), note(number + 5)]);
        for commit in [of_a, of_b, of_both] {
            store.append(commit).await.expect("it is stored");
        }
    }
    for object in ["one object", "another object"] {
        store.put_object(object.into()).await.expect("it is kept");
    }
    let last = store
        .last(&key("a"))
        .await
        .expect("it reads")
        .expect("it is there");
    for tag in [1, 2] {
        let snapshot = Snapshot {
            tag,
            version: last.envelope.sequence,
            last_cid: last.cid,
            position: last.position,
            state: "a state".into(),
        };
        let saved = store.save_snapshot(&key("a"), snapshot).await;
        saved.expect("it is kept");
    }
    for reader in ["one", "another"] {
        let at = Bookmark::from(Position(7));
        store.save_checkpoint(reader, at).await.expect("it is kept");
    }
    assert_eq!(store.last_position().await.expect("it reads").0, EVENTS);
    store.close().await;
}

impl Whole {
    /// A copy that something was done to.
    pub fn damaged(&self, name: &str, damage: impl FnOnce(&Connection)) -> PathBuf {
        let path = self.directory.file(&format!("{name}.db"));
        std::fs::copy(&self.path, &path).expect("the file is copied");
        let file = Connection::open(&path).expect("the copy opens");
        damage(&file);
        file.close().expect("the copy closes");
        path
    }
}

/// Opens a file that may be damaged.
pub fn opened(path: &Path) -> SqliteEventStore {
    let options = SqliteEventStore::options().even_if_damaged();
    options.open(path).expect("the file opens")
}

/// Everything that is told of a file.
pub fn verified(path: &Path, threads: usize) -> (Vec<Damage>, VerificationReport) {
    run(async {
        let mut damages = Vec::new();
        let mut verification = Verification::of(opened(path)).threads(threads);
        let report = verification.finish(|damage| damages.push(damage)).await;
        let report = report.expect("the file is read");
        assert_eq!(report.damages, damages.len() as u64);
        assert!(report.is_complete);
        (damages, report)
    })
}

/// Does something to the body of an event.
pub fn change_body(file: &Connection, position: u64, change: impl FnOnce(&mut Vec<u8>)) {
    change_blob(file, "events", "body", "position", position, change);
}

/// Does something to a value of bytes.
pub fn change_blob(
    file: &Connection,
    table: &str,
    column: &str,
    by: &str,
    row: u64,
    change: impl FnOnce(&mut Vec<u8>),
) {
    let sql = format!("SELECT {column} FROM {table} WHERE {by} = ?1");
    let mut bytes: Vec<u8> = file
        .query_row(&sql, [row.cast_signed()], |row| row.get(0))
        .expect("the row is there");
    change(&mut bytes);
    let sql = format!("UPDATE {table} SET {column} = ?2 WHERE {by} = ?1");
    let changed = file.execute(&sql, (row.cast_signed(), bytes));
    assert_eq!(changed.expect("the row is written"), 1);
}

#[expect(clippy::ptr_arg, reason = "as every change of a body is called")]
pub fn flip_last(bytes: &mut Vec<u8>) {
    *bytes.last_mut().expect("there are bytes") ^= 1;
}

/// Runs SQL that changes one row at least.
pub fn sql(file: &Connection, sql: &str) {
    assert!(file.execute(sql, ()).expect(sql) > 0, "{sql}");
}

/// The CID that stands beside an event.
pub fn cid_at(file: &Connection, position: u64) -> Cid {
    let sql = "SELECT cid FROM events WHERE position = ?1";
    let bytes: Vec<u8> = file
        .query_row(sql, [position.cast_signed()], |row| row.get(0))
        .expect("the event is there");
    cim_es::block::parse_cid(&bytes).expect("it is a CID")
}
