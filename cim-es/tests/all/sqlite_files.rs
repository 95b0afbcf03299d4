//! Files that cannot be used, and files that cannot be written: a clear error, and nothing half-written.

use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(target_os = "linux")]
use crate::sqlite_support::Disk;
use crate::sqlite_support::{Directory, any, collect, commit, key, large, note, run};
use cim_es::ErrorChain;
use cim_es::SqliteEventStore;
use cim_es::block::StoredEvent;
use cim_es::store::{
    CheckpointStore, EventStore, EventStoreExt, ExpectedVersion, Position, SnapshotStore,
    StoreError,
};
use rusqlite::Connection;

fn refused(path: &Path) -> StoreError {
    let error = SqliteEventStore::open(path).expect_err("the file cannot be used");
    let text = ErrorChain(&error).to_string();
    let name = path.file_name().expect("it has a name").to_string_lossy();
    assert!(text.contains(&*name), "`{text}` does not name the file");
    error
}

fn assert_incompatible(path: &Path, reason: &str) {
    let error = refused(path);
    assert!(
        matches!(error, StoreError::Incompatible { .. }),
        "{error:?}"
    );
    assert!(
        ErrorChain(&error).to_string().contains(reason),
        "`{error}` does not say `{reason}`"
    );
}

async fn everything(store: &SqliteEventStore) -> Vec<StoredEvent> {
    collect(store.read_all(Position::START))
        .await
        .expect("it reads")
}

/// A file with three events of aggregate `a`, closed.
fn filled(directory: &Directory) -> PathBuf {
    let path = directory.file("filled.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let events = vec![note(1), note(2), note(3)];
        store.append(any("a", events)).await.expect("it appends");
        store.close().await;
    });
    path
}

#[test]
fn a_file_of_another_program_is_refused_by_its_id() {
    let directory = Directory::new();
    let path = directory.file("other.db");
    Connection::open(&path)
        .and_then(|other| other.execute_batch("CREATE TABLE a (b); PRAGMA application_id = 7;"))
        .expect("the other program writes");
    assert_incompatible(&path, "application id is 0x00000007");
}

#[test]
fn a_file_of_another_version_is_refused_by_its_version() {
    let directory = Directory::new();
    let path = filled(&directory);
    Connection::open(&path)
        .and_then(|file| file.execute_batch("PRAGMA user_version = 8"))
        .expect("the version is set");
    assert_incompatible(&path, "has version 8, this program knows versions 2 to 7");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = Directory::new();
    let path = directory.file("letter.txt");
    std::fs::write(&path, "Dear reader, this is a letter. ".repeat(100)).expect("it is written");
    assert_incompatible(&path, "no SQLite file");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 3_100);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_file_is_not_taken_for_a_new_store() {
    let directory = Directory::new();
    let path = directory.file("empty.db");
    std::fs::write(&path, []).expect("it is written");
    let error = refused(&path);
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
}

#[test]
fn a_directory_is_refused() {
    let directory = Directory::new();
    assert_incompatible(directory.path(), "is a directory");
}

#[test]
fn a_name_that_sqlite_takes_for_no_path_is_refused() {
    assert_incompatible(Path::new(":memory:"), "take `MemoryEventStore`");
    assert_incompatible(Path::new("file:store.db?mode=ro"), "a path is needed");
    assert!(!Path::new(":memory:").exists());
    assert!(!Path::new("file:store.db?mode=ro").exists());
}

#[cfg(unix)]
#[test]
fn a_link_to_no_file_is_refused() {
    let directory = Directory::new();
    let link = directory.file("link.db");
    std::os::unix::fs::symlink("missing/store.db", &link).unwrap();
    assert_incompatible(&link, "a link to a file that does not exist");
}

#[test]
fn a_missing_directory_is_named() {
    let directory = Directory::new();
    let path = directory.file("missing").join("store.db");
    assert_incompatible(&path, "does not exist; create it first");
}

#[test]
fn opening_a_missing_file_for_reading_makes_nothing() {
    let directory = Directory::new();
    let path = directory.file("missing.db");
    let error = SqliteEventStore::options().read_only().open(&path);
    let error = error.expect_err("it is missing");
    assert!(
        matches!(error, StoreError::Incompatible { .. }),
        "{error:?}"
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_new_file_leaves_nothing_beside_it_once_it_is_closed() {
    let directory = Directory::new();
    filled(&directory);
    let names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["filled.db"]);
}

#[test]
fn whoever_closes_a_store_finds_it_closed_afterwards() {
    let directory = Directory::new();
    let path = directory.file("closed.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let appends: Vec<_> = (0..24)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.append(any(number, vec![large(900_000)])).await })
            })
            .collect();
        // Once one has its answer, the others wait for the writer.
        let mut appends = appends.into_iter();
        let first = appends.next().expect("there are some").await;
        first.expect("no panic").expect("it appends");
        let closers = [store.clone(), store].map(|store| {
            let log = directory.file("closed.db-wal");
            tokio::spawn(async move {
                store.close().await;
                log.exists()
            })
        });
        for closer in closers {
            assert!(!closer.await.expect("no panic"), "the log is still there");
        }
    });
}

#[test]
fn a_store_that_was_opened_for_reading_reads_everything_and_refuses_every_write() {
    let directory = Directory::new();
    let path = filled(&directory);
    run(async {
        for options in [
            SqliteEventStore::options().read_only(),
            SqliteEventStore::options().immutable(),
        ] {
            let store = options.open(&path).expect("the file opens");
            assert_eq!(everything(&store).await.len(), 3);
            assert_eq!(store.get_events(&key("a"), 2).await.unwrap().len(), 2);
            store.check().await.expect("the file is whole");
            let refused = store.append(any("a", vec![note(4)])).await;
            assert!(
                matches!(refused, Err(StoreError::ReadOnly { .. })),
                "{refused:?}"
            );
            let refused = store.save_checkpoint("reader", Position(1).into()).await;
            assert!(
                matches!(refused, Err(StoreError::ReadOnly { .. })),
                "{refused:?}"
            );
            store.close().await;
        }
        let store = SqliteEventStore::open(&path).expect("the file opens");
        assert_eq!(everything(&store).await.len(), 3);
    });
}

#[test]
fn a_reader_follows_what_another_handle_writes() {
    let directory = Directory::new();
    let path = filled(&directory);
    run(async {
        let writer = SqliteEventStore::open(&path).expect("the file opens");
        let reader = SqliteEventStore::options().read_only().open(&path);
        let reader = reader.expect("the file opens for reading");
        let mut stream = reader.subscribe(Position(3));
        let stored = writer
            .append(any("b", vec![note(1)]))
            .await
            .expect("it appends");
        let seen = futures_util::StreamExt::next(&mut stream).await;
        assert_eq!(seen.unwrap().unwrap(), stored[0]);
    });
}

#[test]
fn a_write_protected_file_says_so() {
    let directory = Directory::new();
    let path = filled(&directory);
    let protected = Command::new("chattr").arg("+i").arg(&path).status();
    if !protected.is_ok_and(|status| status.success()) {
        // Permissions do not bind the superuser, so where the flag cannot be set, they must do.
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        if std::fs::OpenOptions::new().append(true).open(&path).is_ok() {
            eprintln!("skipped: this user may write to every file");
            return;
        }
    }
    let opened = SqliteEventStore::open(&path);
    let read = SqliteEventStore::options()
        .immutable()
        .open(&path)
        .map(|store| run(async { everything(&store).await.len() }));
    // The directory of the test could not be removed with it.
    let _ = Command::new("chattr").arg("-i").arg(&path).status();
    let error = opened.expect_err("the file cannot be written");
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert_eq!(read.expect("it reads"), 3);
}

#[test]
fn a_file_that_may_not_grow_refuses_the_commit_and_stays_whole() {
    let directory = Directory::new();
    let path = directory.file("limited.db");
    run(async {
        let store = SqliteEventStore::options()
            .max_file_bytes(200 * 1024)
            .open(&path)
            .expect("the file opens");
        fill_up(&store).await;
        store.check().await.expect("the file is whole");
    });
}

/// Appends until there is no room; then nothing of the refused commit is there, and what was acknowledged is.
async fn fill_up(store: &SqliteEventStore) {
    let mut acknowledged = 0;
    let error = loop {
        let commit = commit()
            .aggregate(
                key("a"),
                ExpectedVersion::Exactly(acknowledged),
                vec![large(9_000)],
            )
            .aggregate(
                key(format!("b{acknowledged}")),
                ExpectedVersion::NoStream,
                vec![note(1)],
            );
        match store.append(commit).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 10_000, "it never filled up");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(acknowledged > 3, "it was full after {acknowledged} commits");
    assert_eq!(everything(store).await.len() as u64, 2 * acknowledged);
    let absent = key(format!("b{acknowledged}"));
    assert_eq!(store.last(&absent).await.expect("it reads"), None);
    let again = store.append(any("a", vec![large(200_000)])).await;
    assert!(matches!(again, Err(StoreError::Full { .. })), "{again:?}");
    assert_eq!(
        store.get_events(&key("a"), 1).await.unwrap().len() as u64,
        acknowledged
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_refuses_the_commit_and_stays_whole() {
    let directory = Directory::new();
    let Some(disk) = Disk::mount(&directory, "1m") else {
        return;
    };
    run(async {
        let path = disk.path().join("store.db");
        let store = SqliteEventStore::open(&path).expect("the file opens");
        fill_up(&store).await;
        let acknowledged = everything(&store).await;
        store.close().await;
        let store = SqliteEventStore::open(&path).expect("the file opens on a full disk");
        assert_eq!(everything(&store).await, acknowledged);
        store.check().await.expect("the file is whole");
        store.close().await;
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_read_only_disk_is_read_as_immutable_and_says_so_otherwise() {
    let directory = Directory::new();
    let Some(disk) = Disk::mount(&directory, "1m") else {
        return;
    };
    let path = disk.path().join("store.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        store
            .append(any("a", vec![note(1)]))
            .await
            .expect("it appends");
        store.close().await;
    });
    disk.protect();
    let error = refused(&path);
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    let error = refused(&disk.path().join("new.db"));
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    let error = SqliteEventStore::options().read_only().open(&path);
    let error = error.expect_err("its log cannot be shared with other processes");
    assert!(
        ErrorChain(&error)
            .to_string()
            .contains("open it as immutable"),
        "{error}"
    );
    let store = SqliteEventStore::options().immutable().open(&path);
    let store = store.expect("the file opens");
    assert_eq!(run(everything(&store)).len(), 1);
}

#[test]
fn a_path_below_a_file_is_refused() {
    let directory = Directory::new();
    let path = filled(&directory).join("store.db");
    let error = refused(&path);
    assert!(
        matches!(error, StoreError::Incompatible { .. }),
        "{error:?}"
    );
}

#[test]
fn a_file_that_another_process_holds_is_busy() {
    let directory = Directory::new();
    let path = filled(&directory);
    run(async {
        let store = SqliteEventStore::options()
            .busy_timeout(std::time::Duration::from_millis(50))
            .open(&path)
            .expect("the file opens");
        let other = Connection::open(&path).expect("the file opens");
        other
            .execute_batch("BEGIN IMMEDIATE")
            .expect("the other writes");
        let refused = store.append(any("a", vec![note(4)])).await;
        assert!(
            matches!(refused, Err(StoreError::Busy { .. })),
            "{refused:?}"
        );
        assert_eq!(everything(&store).await.len(), 3);
        other.execute_batch("ROLLBACK").expect("the other ends");
        store
            .append(any("a", vec![note(4)]))
            .await
            .expect("it appends");
    });
}

#[test]
fn after_closing_every_handle_says_closed_and_streams_end() {
    let directory = Directory::new();
    let path = filled(&directory);
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let other = store.clone();
        let mut stream = store.subscribe(Position(3));
        let waiting = tokio::spawn(async move { futures_util::StreamExt::next(&mut stream).await });
        tokio::task::yield_now().await;
        store.close().await;
        store.close().await;
        let appended = other.append(any("a", vec![note(4)])).await;
        assert!(
            matches!(appended, Err(StoreError::Closed { .. })),
            "{appended:?}"
        );
        let read = other.get_events(&key("a"), 1).await;
        assert!(matches!(read, Err(StoreError::Closed { .. })), "{read:?}");
        let saved = other.get_latest_snapshot(&key("a"), 1).await;
        assert!(matches!(saved, Err(StoreError::Closed { .. })), "{saved:?}");
        let ended = waiting.await.expect("the stream answers");
        assert!(
            matches!(ended, Some(Err(StoreError::Closed { .. }))),
            "{ended:?}"
        );
    });
}

#[test]
fn dropping_the_last_handle_finishes_the_writes_that_wait() {
    let directory = Directory::new();
    let path = directory.file("dropped.db");
    let acknowledged = run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let writes: Vec<_> = (0..50)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.append(any(number, vec![note(1)])).await })
            })
            .collect();
        drop(store);
        let mut acknowledged = 0;
        for write in writes {
            acknowledged += usize::from(write.await.expect("it answers").is_ok());
        }
        acknowledged
    });
    let store = SqliteEventStore::open(&path).expect("the file opens");
    assert_eq!(run(everything(&store)).len(), acknowledged);
    assert_eq!(acknowledged, 50);
}

#[test]
fn any_sqlite_tool_shows_the_history() {
    let directory = Directory::new();
    let path = filled(&directory);
    let store = SqliteEventStore::open(&path).expect("the file opens");
    let events = run(everything(&store));
    let tool = Connection::open(&path).expect("the file opens");
    let mut rows = tool
        .prepare("SELECT position, kind, id, sequence, type, time, cid FROM history")
        .expect("the view is there");
    let rows: Vec<(u64, String, String, u64, String, String, String)> = rows
        .query_map((), |row| {
            Ok((
                row.get::<_, i64>(0)? as u64,
                row.get(1)?,
                row.get(2)?,
                row.get::<_, i64>(3)? as u64,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
            ))
        })
        .expect("the view reads")
        .collect::<Result<_, _>>()
        .expect("the view reads");
    assert_eq!(rows.len(), events.len());
    for (row, event) in rows.iter().zip(&events) {
        assert_eq!(row.0, event.position.0);
        assert_eq!((row.1.as_str(), row.2.as_str()), ("test.note", "a"));
        assert_eq!(row.3, event.envelope.sequence);
        assert_eq!(row.4, "test.note.written");
        assert_eq!(row.5, "1970-01-01T00:00:00.000Z");
        assert_eq!(
            row.6.parse().ok(),
            Some(event.cid),
            "a CID as any IPLD tool reads it"
        );
    }
}

#[test]
fn events_are_found_by_cid_past_every_segment_of_the_index() {
    let directory = Directory::new();
    let path = directory.file("many.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let mut samples = Vec::new();
        // One merged segment of 65,536, small ones behind it, and a rest.
        for number in 0..67 {
            let events = (0..1_000)
                .map(|event| note(number * 1_000 + event))
                .collect();
            let stored = store
                .append(any(number % 3, events))
                .await
                .expect("it appends");
            samples.extend([stored[0].clone(), stored[577].clone()]);
        }
        for event in &samples {
            let found = store
                .get_by_cid(&event.cid)
                .await
                .expect("it is looked for");
            assert_eq!(found.as_ref(), Some(event));
        }
        let absent = cim_es::block::HashCode::default().cid(b"absent");
        assert_eq!(
            store.get_by_cid(&absent).await.expect("it is looked for"),
            None
        );
    });
}
