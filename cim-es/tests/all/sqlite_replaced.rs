//! The file under a store: deleted, renamed or replaced while it is open, and beside a log that is not its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::sqlite_support::child::{self, Told};
use crate::sqlite_support::{Directory, any, key, large, note, run};
use cim_es::ErrorChain;
use cim_es::SqliteEventStore;
use cim_es::store::{
    CheckpointStore, EventStore, EventStoreExt, ObjectStore, Position, SnapshotStore, StoreError,
};
use rusqlite::Connection;

fn open(path: impl AsRef<Path>) -> SqliteEventStore {
    SqliteEventStore::open(path).expect("the file opens")
}

fn append(store: &SqliteEventStore, id: &str) {
    run(store.append(any(id, vec![note(1)]))).expect("it appends");
}

fn events(store: &SqliteEventStore, id: &str) -> usize {
    run(store.get_events(&key(id), 1)).expect("it reads").len()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A closed store with one event of an aggregate.
fn filled(path: &Path, id: &str) {
    let store = open(path);
    append(&store, id);
    run(store.close());
}

/// Every write and every read of the store says what became of its file.
fn assert_replaced(store: &SqliteEventStore, what: &str) {
    let says = |asked: &str, error: Option<StoreError>| {
        let Some(StoreError::Replaced { reason, .. }) = &error else {
            panic!("{asked}: {error:?}");
        };
        assert!(reason.contains(what), "{asked}: {reason}");
    };
    run(async {
        says("append", store.append(any("a", vec![note(2)])).await.err());
        says("object", store.put_object(vec![0xa0].into()).await.err());
        says(
            "checkpoint",
            store.save_checkpoint("r", Position(1).into()).await.err(),
        );
        says("history", store.get_events(&key("a"), 1).await.err());
        says(
            "snapshot",
            store.get_latest_snapshot(&key("a"), 1).await.err(),
        );
        says("check", store.check().await.err());
    });
}

#[test]
fn a_file_that_was_deleted_takes_no_further_commit() {
    let directory = Directory::new();
    let path = directory.file("store.db");
    let store = open(&path);
    append(&store, "a");
    fs::remove_file(&path).expect("it is deleted");
    assert_replaced(&store, "not there any more");
}

#[test]
fn a_file_that_was_replaced_takes_no_further_commit_and_the_other_keeps_its_log() {
    let directory = Directory::new();
    let path = directory.file("store.db");
    let store = open(&path);
    append(&store, "a");
    let other = directory.file("other.db");
    filled(&other, "b");
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(beside(&path, suffix)).expect("it is deleted");
    }
    fs::rename(&other, &path).expect("it is replaced");
    assert_replaced(&store, "is another file now");
    let new = open(&path);
    append(&new, "b");
    let log = beside(&path, "-wal");
    let before = fs::metadata(&log).expect("the log is there").len();
    run(store.close());
    assert_eq!(fs::metadata(&log).expect("it is still there").len(), before);
    append(&new, "b");
    run(new.close());
    let new = open(&path);
    assert_eq!((events(&new, "a"), events(&new, "b")), (0, 3));
}

#[test]
fn a_directory_that_was_renamed_stops_the_store_until_it_is_back() {
    let directory = Directory::new();
    let (here, there) = (directory.file("here"), directory.file("there"));
    fs::create_dir(&here).expect("a directory");
    let store = open(here.join("store.db"));
    append(&store, "a");
    fs::rename(&here, &there).expect("it is renamed");
    assert_replaced(&store, "a directory above it was");
    fs::rename(&there, &here).expect("it is renamed back");
    append(&store, "a");
    assert_eq!(events(&store, "a"), 2);
}

#[test]
fn a_link_that_leads_to_another_file_by_now_stops_the_store() {
    let directory = Directory::new();
    let (one, other) = (directory.file("one.db"), directory.file("other.db"));
    filled(&one, "a");
    filled(&other, "b");
    let link = directory.file("link.db");
    symlink(&one, &link).expect("a link");
    let store = open(&link);
    append(&store, "a");
    fs::remove_file(&link).expect("it is deleted");
    symlink(&other, &link).expect("a link");
    assert_replaced(&store, "is another file now");
}

#[test]
fn a_file_whose_log_was_deleted_takes_no_further_commit() {
    for suffix in ["-wal", "-shm"] {
        let directory = Directory::new();
        let path = directory.file("store.db");
        let store = open(&path);
        append(&store, "a");
        fs::remove_file(beside(&path, suffix)).expect("it is deleted");
        assert_replaced(&store, suffix);
    }
}

#[test]
fn a_new_file_is_not_made_beside_what_a_deleted_one_left() {
    for suffix in ["-wal", "-shm", "-journal"] {
        let directory = Directory::new();
        let path = directory.file("store.db");
        let left = beside(&path, suffix);
        fs::write(&left, [1; 4096]).expect("it is written");
        let error = SqliteEventStore::open(&path).expect_err("it is not its own");
        assert!(
            matches!(error, StoreError::Incompatible { .. }),
            "{error:?}"
        );
        assert!(ErrorChain(&error).to_string().contains(suffix), "{error}");
        assert!(!path.exists(), "a file was made all the same");
        fs::remove_file(left).expect("it is deleted");
        append(&open(&path), "a");
    }
}

/// What a store leaves that dies before it can move its log into its file.
fn die(directory: &Directory, name: &str, commits: u64) -> (PathBuf, PathBuf) {
    let path = directory.file("dying.db");
    let store = open(&path);
    for number in 0..commits {
        run(store.append(any(number % 7, vec![large(3_000)]))).expect("it appends");
    }
    let (file, log) = (directory.file(name), beside(&directory.file(name), "-wal"));
    // In another process, whose closing of the file drops none of this one's locks.
    for (from, to) in [(path.clone(), &file), (beside(&path, "-wal"), &log)] {
        let copied = std::process::Command::new("cp").arg(from).arg(to).status();
        assert!(copied.is_ok_and(|status| status.success()));
    }
    run(store.close());
    drop(store);
    fs::remove_file(path).expect("it is deleted");
    (file, log)
}

#[test]
fn a_log_is_taken_with_its_own_file_and_refused_beside_another() {
    let directory = Directory::new();
    let (long, long_log) = die(&directory, "long.db", 90);
    let (short, short_log) = die(&directory, "short.db", 20);
    let pairs = [
        ("a longer file", &long, &short_log),
        ("a shorter file", &short, &long_log),
    ];
    for (number, (what, file, log)) in pairs.into_iter().enumerate() {
        let path = directory.file(&format!("{number}.db"));
        fs::copy(file, &path).expect("it copies");
        run(open(&path).close());
        fs::copy(log, beside(&path, "-wal")).expect("it copies");
        let error = SqliteEventStore::open(&path).expect_err("the log is another's");
        assert!(
            matches!(error, StoreError::Incompatible { .. }),
            "{what}: {error:?}"
        );
        fs::remove_file(beside(&path, "-wal")).expect("it is deleted");
        run(open(&path).check()).expect("it is whole");
    }
    for (file, commits) in [(long, 90), (short, 20)] {
        let store = open(&file);
        assert_eq!(run(store.check()).expect("it is whole").events, commits);
    }
}

#[test]
fn an_immutable_file_is_not_read_without_the_commits_in_its_log() {
    let directory = Directory::new();
    let (file, log) = die(&directory, "dead.db", 3);
    let link = directory.file("link.db");
    symlink(&file, &link).expect("a link");
    let strange = directory
        .path()
        .join(OsStr::from_bytes(b"stra\xffnge #?%.db"));
    fs::copy(&file, &strange).expect("it copies");
    fs::copy(&log, beside(&strange, "-wal")).expect("it copies");
    let linked = directory.file("linked");
    symlink(directory.path(), &linked).expect("a link to the directory");
    for path in [link, strange.clone(), linked.join("dead.db")] {
        let error = SqliteEventStore::options().immutable().open(&path);
        let error = error.expect_err("its log holds commits");
        assert!(
            matches!(error, StoreError::Incompatible { .. }),
            "{error:?}"
        );
    }
    run(open(&strange).close());
    let store = SqliteEventStore::options().immutable().open(&strange);
    assert_eq!(events(&store.expect("the file opens"), "0"), 1);
}

#[test]
fn a_file_with_two_names_is_refused_and_one_that_was_left_half_made_is_not() {
    let directory = Directory::new();
    let path = directory.file("store.db");
    filled(&path, "a");
    let other = directory.file("other.db");
    fs::hard_link(&path, &other).expect("another name");
    for options in [
        SqliteEventStore::options(),
        SqliteEventStore::options().read_only(),
        SqliteEventStore::options().immutable(),
    ] {
        let error = options
            .open(&other)
            .expect_err("its log goes by another name");
        assert!(
            ErrorChain(&error).to_string().contains("2 names"),
            "{error}"
        );
    }
    fs::remove_file(&other).expect("it is deleted");
    let draft = directory.file("store.db.0123456789abcdef0123456789abcdef.new");
    fs::hard_link(&path, &draft).expect("another name");
    assert_eq!(events(&open(&path), "a"), 1);
    assert!(!draft.exists());
}

#[test]
fn a_check_checks_the_file_of_the_store_wherever_the_program_goes() {
    let directory = Directory::new();
    for place in ["here", "there"] {
        fs::create_dir(directory.file(place)).expect("a directory");
    }
    filled(&directory.file("there").join("store.db"), "b");
    let path = directory.file("here").join("store.db");
    let mut child = child::start(module_path!(), "a_child_changes_its_directory", &path, 0);
    let told: Vec<_> = Told::by(&mut child).collect();
    assert!(child.wait().expect("the child ends").success());
    assert_eq!(told, ["3 events"]);
}

#[test]
fn a_child_changes_its_directory() {
    let Some(path) = child::file() else {
        return;
    };
    let here = path.parent().expect("a directory");
    std::env::set_current_dir(here).expect("it goes there");
    let store = open("store.db");
    for _ in 0..3 {
        append(&store, "a");
    }
    std::env::set_current_dir(here.with_file_name("there")).expect("it goes there");
    let report = run(store.check()).expect("the file is whole");
    append(&store, "a");
    child::tell(&format!("{} events", report.events));
}

/// What another program may add to the file, and the name under which it is refused.
const ADDED: [(&str, &str); 5] = [
    (
        "CREATE TRIGGER swallow BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END",
        "swallow",
    ),
    (
        "CREATE TRIGGER forget AFTER INSERT ON checkpoints BEGIN DELETE FROM checkpoints; END",
        "forget",
    ),
    ("CREATE UNIQUE INDEX refuse ON events (type)", "refuse"),
    ("CREATE TABLE extra (a)", "extra"),
    ("CREATE VIEW shown AS SELECT * FROM events", "shown"),
];

fn add(path: &Path, sql: &str) {
    Connection::open(path)
        .and_then(|other| other.execute_batch(sql))
        .expect("the other program writes");
}

#[test]
fn a_file_with_something_added_is_not_opened_and_says_how_to_remove_it() {
    for (sql, name) in ADDED {
        let directory = Directory::new();
        let path = directory.file("store.db");
        filled(&path, "a");
        add(&path, sql);
        let error = SqliteEventStore::open(&path).expect_err("something was added");
        let text = ErrorChain(&error).to_string();
        assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
        let (_, remedy) = text.split_once('`').expect("it quotes");
        assert!(remedy.contains(name) && text.contains("DROP"), "{text}");
    }
    let directory = Directory::new();
    let path = directory.file("store.db");
    filled(&path, "a");
    add(&path, "ANALYZE");
    append(&open(&path), "a");
}

#[test]
fn what_is_added_while_the_store_is_open_refuses_every_write() {
    for (sql, name) in ADDED {
        let directory = Directory::new();
        let path = directory.file("store.db");
        let store = open(&path);
        append(&store, "a");
        // A handle of this process that SQLite knows of leaves its locks as they are.
        add(&path, sql);
        run(async {
            for error in [
                store.append(any("a", vec![note(2)])).await.err(),
                store
                    .save_checkpoint("reader", Position(1).into())
                    .await
                    .err(),
            ] {
                let error = error.expect("something was added");
                assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
                assert!(ErrorChain(&error).to_string().contains(name), "{error}");
            }
        });
        assert_eq!(events(&store, "a"), 1);
    }
}

#[test]
fn a_checkpoint_reads_back_as_it_was_saved() {
    let directory = Directory::new();
    let store = open(directory.file("store.db"));
    for position in [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        let read = run(async {
            store
                .save_checkpoint("reader", Position(position).into())
                .await?;
            store.get_checkpoint("reader").await
        });
        assert_eq!(read.expect("it reads"), Some(Position(position).into()));
    }
}
