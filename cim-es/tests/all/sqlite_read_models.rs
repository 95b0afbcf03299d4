//! The file of read models: what it is taken for, what is noticed, and what it refuses.

use std::path::Path;
use std::time::Duration;

use cim_es::prelude::Uuid;
use cim_es::store::read_model::{
    DocumentChange, IndexEntry, Page, ReadModelError, ReadModelStorage, ReadModelStorageExt,
    ViewChanges, ViewDeclaration, ViewId,
};
use cim_es::store::{Bookmark, Position, StoreError};
use cim_es::{SqliteEventStore, SqliteReadModels};
use rusqlite::Connection;

use crate::sqlite_support::Directory;

fn view() -> ViewId {
    ViewId::new("cards", 1).unwrap()
}

fn at(position: u64) -> Bookmark {
    Position(position).into()
}

async fn held(storage: &SqliteReadModels) -> Uuid {
    let holder = Uuid::now_v7();
    let declaration = ViewDeclaration::new(view(), 1);
    storage.open_view(&declaration).await.unwrap();
    let lease = Duration::from_secs(3_600);
    storage.hold(&view(), holder, lease).await.unwrap();
    holder
}

/// A file with one document, closed again.
async fn filled(path: &Path) {
    let storage = SqliteReadModels::open(path).unwrap();
    let holder = held(&storage).await;
    let card = DocumentChange::put("dune", "one").indexed("reader", "ann");
    let changes = ViewChanges::new(holder, at(0), at(7)).with_documents(vec![card]);
    storage.commit(&view(), changes).await.unwrap();
    storage.close().await;
}

fn tool(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn refused(path: &Path) -> String {
    SqliteReadModels::open(path).unwrap_err().to_string()
}

#[tokio::test]
async fn a_file_of_events_and_one_of_read_models_are_told_apart() {
    let directory = Directory::default();
    let (events, views) = (directory.file("events.db"), directory.file("views.db"));
    drop(SqliteEventStore::open(&events).unwrap());
    filled(&views).await;
    let said = refused(&events);
    let expected =
        "it is a store of events, and a file of read models is needed; give another path";
    assert!(said.contains(expected), "{said}");
    let said = SqliteEventStore::open(&views).unwrap_err().to_string();
    let expected =
        "it is a file of read models, and a store of events is needed; give another path";
    assert!(said.contains(expected), "{said}");
    tool(
        &directory.file("other.db"),
        "CREATE TABLE notes (text TEXT)",
    );
    let said = refused(&directory.file("other.db"));
    assert!(said.contains("SQLite file of another program"), "{said}");
    let said = refused(Path::new(":memory:"));
    assert!(said.contains("take `MemoryReadModels`"), "{said}");
}

#[tokio::test]
async fn tables_of_the_author_stand_beside_and_nothing_stands_on_ours() {
    let directory = Directory::default();
    let path = directory.file("views.db");
    filled(&path).await;
    tool(
        &path,
        "CREATE TABLE heads (unit TEXT PRIMARY KEY, person TEXT);
         CREATE INDEX heads_by_person ON heads (person);",
    );
    drop(SqliteReadModels::open(&path).unwrap());
    tool(
        &path,
        "CREATE TRIGGER swallow BEFORE INSERT ON documents BEGIN SELECT RAISE(IGNORE); END",
    );
    let said = refused(&path);
    assert!(
        said.contains("the trigger `swallow` on `documents`"),
        "{said}"
    );
    assert!(said.contains("DROP TRIGGER \"swallow\""), "{said}");
}

#[tokio::test]
async fn a_row_that_a_person_changed_is_damage_and_no_answer() {
    for sql in [
        "UPDATE documents SET value = x'00'",
        "UPDATE documents SET key = 'emma'",
        "UPDATE views SET position = position + 1",
        "UPDATE views SET fingerprint = 2",
        "UPDATE views SET parked = x'01'",
        "DELETE FROM documents",
    ] {
        let directory = Directory::default();
        let path = directory.file("views.db");
        filled(&path).await;
        tool(&path, sql);
        let storage = SqliteReadModels::open(&path).unwrap();
        let listed = storage.list(&view(), &Page::default()).await.map(drop);
        let entry = IndexEntry::new("reader", "ann");
        let found = storage
            .find(&view(), &entry, &Page::default())
            .await
            .map(drop);
        let is_damaged = |answer: &Result<(), ReadModelError>| {
            matches!(answer, Err(ReadModelError::Storage(StoreError::Damaged(_))))
        };
        assert!(is_damaged(&found), "{sql}: {found:?}");
        assert!(
            is_damaged(&listed) || sql.starts_with("DELETE"),
            "{sql}: {listed:?}"
        );
    }
}

#[tokio::test]
async fn a_full_file_stores_nothing_of_a_commit_and_goes_on() {
    let directory = Directory::default();
    let options = SqliteReadModels::options().max_file_bytes(256 * 1024);
    let storage = options.open(directory.file("views.db")).unwrap();
    let holder = held(&storage).await;
    let large = (0..100).map(|number| DocumentChange::put(number.to_string(), vec![7; 10_000]));
    let changes = ViewChanges::new(holder, at(0), at(1)).with_documents(large.collect());
    let refused = storage.commit(&view(), changes).await.unwrap_err();
    let is_full = matches!(refused, ReadModelError::Storage(StoreError::Full { .. }));
    assert!(is_full && refused.is_transient(), "{refused:?}");
    let listed = storage.list(&view(), &Page::default()).await.unwrap();
    assert_eq!((listed.value.documents.len(), listed.position.0), (0, 0));
    let changes = ViewChanges::new(holder, at(0), at(1));
    let small = changes.with_documents(vec![DocumentChange::put("small", "one")]);
    storage.commit(&view(), small).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_replaced_takes_no_further_commit() {
    let directory = Directory::default();
    let path = directory.file("views.db");
    let storage = SqliteReadModels::open(&path).unwrap();
    let holder = held(&storage).await;
    std::fs::rename(&path, directory.file("moved.db")).unwrap();
    let changes = ViewChanges::new(holder, at(0), at(1));
    let refused = storage.commit(&view(), changes).await.unwrap_err();
    let is_replaced = matches!(
        refused,
        ReadModelError::Storage(StoreError::Replaced { .. })
    );
    assert!(is_replaced, "{refused:?}");
}

#[tokio::test]
async fn a_program_that_only_asks_opens_the_file_for_reading() {
    let directory = Directory::default();
    let path = directory.file("views.db");
    filled(&path).await;
    let writer = SqliteReadModels::open(&path).unwrap();
    let reader = SqliteReadModels::options().read_only().open(&path).unwrap();
    let dune = reader.get(&view(), "dune").await.unwrap();
    assert_eq!((dune.value.unwrap(), dune.position.0), ("one".into(), 7));
    reader
        .open_view(&ViewDeclaration::new(view(), 1))
        .await
        .unwrap();
    let refused = reader.serve(&view()).await.unwrap_err();
    let is_refused = matches!(
        refused,
        ReadModelError::Storage(StoreError::ReadOnly { .. })
    );
    assert!(is_refused, "{refused:?}");
    writer.close().await;
    let closed = writer.get(&view(), "dune").await.unwrap_err();
    let is_closed = matches!(closed, ReadModelError::Storage(StoreError::Closed { .. }));
    assert!(is_closed, "{closed:?}");
}

#[tokio::test]
async fn another_process_that_holds_the_file_makes_it_busy() {
    let directory = Directory::default();
    let path = directory.file("views.db");
    let options = SqliteReadModels::options().busy_timeout(Duration::from_millis(50));
    let storage = options.open(&path).unwrap();
    let holder = held(&storage).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let changes = || ViewChanges::new(holder, at(0), at(1));
    let refused = storage.commit(&view(), changes()).await.unwrap_err();
    let is_busy = matches!(refused, ReadModelError::Storage(StoreError::Busy { .. }));
    assert!(is_busy && refused.is_transient(), "{refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    storage.commit(&view(), changes()).await.unwrap();
}
