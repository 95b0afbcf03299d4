//! Files of version 2, and what becomes of them.

use super::kinds::{append, positions};
use super::*;

/// Makes a file what version 2 would have made of the same commits: one row for each type, whatever the kind.
fn downgrade(path: &Path) {
    let file = Connection::open(path).expect("it opens");
    let names: Vec<String> = file
        .prepare("SELECT name FROM types GROUP BY name ORDER BY min(number)")
        .and_then(|mut names| {
            let names = names.query_map((), |row| row.get(0))?;
            names.collect()
        })
        .expect("the types are read");
    file.execute_batch(
        "BEGIN;
         CREATE TEMP TABLE named AS SELECT number, name FROM types;
         CREATE TEMP TABLE merged (number INTEGER PRIMARY KEY, name TEXT NOT NULL);",
    )
    .expect("it begins");
    for (index, name) in names.iter().enumerate() {
        file.execute(
            "INSERT INTO merged VALUES (?1, ?2)",
            ((index + 1) as i64, name),
        )
        .expect("it is numbered");
    }
    let declared = schema::declaration(schema::WITHOUT_KINDS, "types", "");
    file.execute_batch(&format!(
        "UPDATE events SET type = (
             SELECT merged.number FROM merged JOIN named USING (name) WHERE named.number = events.type
         );
         UPDATE events SET previous_of_type = coalesce((
             SELECT max(before.position) FROM events AS before
             WHERE before.type = events.type AND before.position < events.position
         ), 0);
         DELETE FROM type_positions;
         INSERT INTO type_positions SELECT type, position FROM events
             WHERE position <= (SELECT max(position) FROM events) / 256 * 256;
         DROP TABLE types;
         {declared};
         PRAGMA user_version = 2;"
    ))
    .expect("it is written");
    for (index, name) in names.iter().enumerate() {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(name);
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        file.execute(
            "INSERT INTO types SELECT ?1, ?2, ?3, max(position) FROM events WHERE type = ?1",
            ((index + 1) as i64, name, i64::from_be_bytes(first)),
        )
        .expect("the type is written");
    }
    file.execute_batch("COMMIT").expect("it ends");
}

/// A file of version 2 with 600 events: of two types of one kind each, and of one that three kinds have.
fn old(directory: &Directory) -> PathBuf {
    let path = directory.0.join("old.db");
    let store = SqliteEventStore::open(&path).expect("it opens");
    for round in 0..100 {
        let id = format!("a{}", round % 7);
        append(&store, "test.note", &id, "test.note.written");
        append(&store, "test.book", &id, "test.note.written");
        append(&store, "test.book", &id, "test.book.printed");
        append(&store, "other.shelf", "s", "test.note.written");
        append(&store, "test.book", &id, "test.note.written");
        append(&store, "test.note", &id, "test.note.read");
    }
    wait(store.close());
    downgrade(&path);
    path
}

fn every(remainders: &[u64]) -> Vec<u64> {
    let all = 1..=600;
    all.filter(|position| remainders.contains(&(position % 6)))
        .collect()
}

fn assert_whole(store: &SqliteEventStore, types: u64) {
    let report = wait(store.check()).expect("it is whole");
    assert_eq!((report.events, report.aggregates), (600, 15));
    assert_eq!(report.types, types);
    let read = |kinds: &[&str]| positions(store, kinds).expect("it reads");
    assert_eq!(read(&["test.note"]), every(&[1, 0]));
    assert_eq!(read(&["test.book"]), every(&[2, 3, 5]));
    assert_eq!(read(&["other.shelf"]), every(&[4]));
}

#[test]
fn a_file_of_version_2_is_brought_to_the_present_one_when_it_is_opened_for_writing() {
    let directory = Directory::new();
    let path = old(&directory);
    let store = SqliteEventStore::open(&path).expect("it opens");
    assert_whole(&store, 5);
    append(&store, "other.shelf", "s", "test.note.written");
    append(&store, "other.shelf", "s", "test.book.printed");
    wait(store.close());
    let store = SqliteEventStore::open(&path).expect("it opens again");
    let of_shelf = positions(&store, &["other.shelf"]).expect("it reads");
    assert_eq!(of_shelf.last(), Some(&602));
    assert_eq!(wait(store.check()).expect("it is whole").types, 6);
}

#[test]
fn a_file_of_version_2_is_read_as_it_is_where_nothing_may_be_written() {
    let directory = Directory::new();
    let path = old(&directory);
    for options in [
        SqliteEventStore::options().immutable(),
        SqliteEventStore::options().read_only(),
    ] {
        let store = options.open(&path).expect("it opens");
        assert_whole(&store, 3);
        wait(store.close());
    }
    let reader = SqliteEventStore::options().read_only();
    let reader = reader.open(&path).expect("it opens");
    assert_whole(&reader, 3);
    // Another process brings it to the present version meanwhile.
    let writer = SqliteEventStore::open(&path).expect("it opens");
    assert_whole(&writer, 5);
    assert_whole(&reader, 5);
}

#[test]
fn a_damaged_file_of_version_2_is_left_as_it_is() {
    let directory = Directory::new();
    for (sql, reason) in [
        (
            "UPDATE aggregates SET kind = 'test.novel' WHERE id = 'a1' AND kind = 'test.note'",
            "does not belong under key",
        ),
        (
            "DELETE FROM aggregates WHERE id = 'a1'",
            "events have an aggregate",
        ),
        (
            "UPDATE types SET name = 'test.note.wrote' WHERE number = 1",
            "not what was written",
        ),
    ] {
        let path = old(&directory);
        tamper(&path, sql);
        let refused = SqliteEventStore::open(&path).expect_err("it is refused");
        assert!(matches!(refused, StoreError::Damaged(_)), "{refused:?}");
        assert!(refused.to_string().contains(reason), "{refused}");
        let file = Connection::open(&path).expect("it opens");
        let version = file.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));
        assert_eq!(version, Ok(2));
        drop(file);
        std::fs::remove_file(&path).expect("it is removed");
    }
}
