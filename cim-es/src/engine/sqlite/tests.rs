//! What only a store with a poor digest of names, or a look into the file, can show.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use rusqlite::Connection;

use super::*;
use crate::domain::message::{MessageIdentity, Timestamp};
use crate::domain::subject::Token;
use crate::store::{EventStoreExt, ExpectedVersion, NewEvent, Position};

mod histories;
mod kinds;
mod partitions;
mod upgrade;
mod waiting;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread; the engine needs no runtime.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("cim-es-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What remains is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn key(id: &str) -> AggregateKey {
    AggregateKey::new("test.note", Token::new(id).expect("a token"))
}

fn commit(ids: &[&str], expected: ExpectedVersion) -> CommitRequest {
    let identity = MessageIdentity::new_from_user("test");
    let mut commit = CommitRequest::new(identity, Timestamp::from_micros(1));
    for id in ids {
        let event = NewEvent::from_payload("test.note.written", 1, vec![0xa0]);
        commit = commit.aggregate(key(id), expected, vec![event]);
    }
    commit
}

/// A digest under which many names meet.
fn poor_digest(_: &str, id: &str) -> i64 {
    // The largest key, so that the next ones wrap around.
    i64::MAX - (id.len() as i64 % 2)
}

#[test]
fn names_that_share_a_digest_are_never_confused() {
    let directory = Directory::new();
    let path = directory.0.join("shared.db");
    let options = SqliteEventStore::options();
    let open = || SqliteEventStore::start_with(&path, &options, poor_digest).expect("it opens");
    let store = open();
    // Two new names with one digest in one commit, and one that comes later.
    wait(store.append(commit(&["a", "b"], ExpectedVersion::NoStream))).expect("it appends");
    wait(store.append(commit(&["c"], ExpectedVersion::NoStream))).expect("it appends");
    wait(store.append(commit(&["b", "dd"], ExpectedVersion::Any))).expect("it appends");
    drop(store);
    let store = open();
    for (id, versions) in [("a", 1), ("b", 2), ("c", 1), ("dd", 1), ("e", 0), ("ff", 0)] {
        let events = wait(store.get_events(&key(id), 1)).expect("it reads");
        assert_eq!(events.len(), versions, "{id}");
        assert!(events.iter().all(|event| event.envelope.aggregate_id == id));
    }
    let refused = wait(store.append(commit(&["c"], ExpectedVersion::NoStream)));
    assert!(
        matches!(refused, Err(StoreError::Conflict { actual: 1, .. })),
        "{refused:?}"
    );
    assert_eq!(wait(store.check()).expect("it is whole").aggregates, 4);
}

#[test]
fn a_name_without_a_free_key_is_refused_and_the_others_go_on() {
    let directory = Directory::new();
    let path = directory.0.join("crowded.db");
    let options = SqliteEventStore::options();
    let store = SqliteEventStore::start_with(&path, &options, |_, _| 5).expect("it opens");
    for id in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        wait(store.append(commit(&[id], ExpectedVersion::NoStream))).expect("it appends");
    }
    let refused = wait(store.append(commit(&["i"], ExpectedVersion::NoStream)));
    assert!(
        matches!(refused, Err(StoreError::InvalidCommit { .. })),
        "{refused:?}"
    );
    wait(store.append(commit(&["h"], ExpectedVersion::Exactly(1)))).expect("it appends");
}

#[test]
fn a_commit_and_a_checkpoint_reach_the_medium_where_a_plain_sync_does_not() {
    let directory = Directory::new();
    let path = directory.0.join("sync.db");
    let database = open::writer(&path, &schema::FORMAT, &SqliteEventStore::options(), |_| {
        Ok(())
    });
    let database = database.expect("it opens");
    for pragma in ["fullfsync", "checkpoint_fullfsync"] {
        let value = database
            .connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        assert_eq!(value, Ok(1), "{pragma}");
    }
}

/// Changes the file behind the store's back, as a defect or a hand in the file would.
fn tamper(path: &Path, sql: &str) {
    let other = Connection::open(path).expect("it opens");
    let changed = other.execute(sql, ()).expect("the statement runs");
    assert!(changed > 0, "`{sql}` changed nothing");
}

/// Each change of a row is found by the check of the whole file, also where SQLite finds nothing wrong.
#[test]
fn the_check_finds_every_row_that_was_changed() {
    let directory = Directory::new();
    let whole = directory.0.join("whole.db");
    let store = SqliteEventStore::open(&whole).expect("it opens");
    for _ in 0..100 {
        let commit = commit(&["a", "b", "c", "d"], ExpectedVersion::Any);
        wait(store.append(commit)).expect("it appends");
    }
    wait(crate::store::ObjectStore::put_object(
        &store,
        vec![0xa0].into(),
    ))
    .expect("it is kept");
    wait(crate::store::CheckpointStore::save_checkpoint(
        &store,
        "reader",
        Position(3).into(),
    ))
    .expect("it is saved");
    let report = wait(store.check()).expect("it is whole");
    assert_eq!(
        (report.events, report.aggregates, report.objects),
        (400, 4, 1)
    );
    wait(store.close());
    for (number, sql) in [
        "DELETE FROM events WHERE position = 300",
        "DELETE FROM events WHERE position = 400",
        "DELETE FROM aggregates WHERE id = 'a'",
        "UPDATE aggregates SET version = version - 1 WHERE id = 'a'",
        "UPDATE aggregates SET id = 'z' WHERE id = 'a'",
        "UPDATE aggregates SET position = 1 WHERE id = 'b'",
        "UPDATE events SET type = 2 WHERE position = 17",
        "UPDATE events SET previous_of_type = 0 WHERE position = 17",
        "UPDATE events SET previous_of_aggregate = 1 WHERE position = 17",
        "UPDATE events SET aggregate = 5 WHERE position = 17",
        "UPDATE events SET timestamp = 5 WHERE position = 17",
        "UPDATE types SET last = last - 2",
        "UPDATE types SET name = 'other'",
        "UPDATE types SET kind = 'other'",
        "DELETE FROM types",
        "DELETE FROM type_positions WHERE position = 17",
        "UPDATE type_positions SET position = 999 WHERE position = 17",
        "UPDATE cid_segments SET digest = x'00'",
        "DELETE FROM cid_segments",
        "UPDATE objects SET body = x'00'",
        "UPDATE checkpoints SET position = 9",
    ]
    .into_iter()
    .enumerate()
    {
        let path = directory.0.join(format!("{number}.db"));
        std::fs::copy(&whole, &path).expect("it copies");
        let store = SqliteEventStore::open(&path).expect("it opens");
        tamper(&path, sql);
        let verdict = wait(store.check());
        assert!(
            matches!(verdict, Err(StoreError::Damaged(_))),
            "{sql}: {verdict:?}"
        );
    }
}

#[test]
fn an_append_on_a_head_that_was_changed_is_refused() {
    let directory = Directory::new();
    for (number, sql) in [
        "UPDATE aggregates SET version = version - 1, position = position - 1",
        "UPDATE aggregates SET version = 9",
        "UPDATE aggregates SET timestamp = 9",
    ]
    .into_iter()
    .enumerate()
    {
        let path = directory.0.join(format!("{number}.db"));
        let store = SqliteEventStore::open(&path).expect("it opens");
        for _ in 0..3 {
            wait(store.append(commit(&["a"], ExpectedVersion::Any))).expect("it appends");
        }
        tamper(&path, sql);
        let refused = wait(store.append(commit(&["a"], ExpectedVersion::Any)));
        assert!(
            matches!(refused, Err(StoreError::Damaged(_))),
            "{sql}: {refused:?}"
        );
    }
}

#[test]
fn after_a_defect_in_the_writing_thread_nobody_waits_for_ever() {
    let directory = Directory::new();
    let store = SqliteEventStore::open(directory.0.join("defect.db")).expect("it opens");
    wait(store.append(commit(&["a"], ExpectedVersion::NoStream))).expect("it appends");
    let mut stream = store.subscribe(Position(1));
    let follower = std::thread::spawn(move || {
        wait(std::future::poll_fn(|context| {
            stream.as_mut().poll_next(context)
        }))
    });
    let hit = wait(
        store
            .shared
            .writer
            .write(0, |_| panic!("a defect, on purpose")),
    );
    assert!(
        matches!(hit, Err(StoreError::OutcomeUnknown { .. })),
        "{hit:?}"
    );
    // The thread unwinds before its queue is gone.
    let later = wait(store.append(commit(&["a"], ExpectedVersion::Any)));
    let is_clear = matches!(
        later,
        Err(StoreError::Closed { .. } | StoreError::OutcomeUnknown { .. })
    );
    assert!(is_clear, "{later:?}");
    let followed = follower.join().expect("the follower is answered");
    assert!(
        matches!(followed, Some(Err(StoreError::Closed { .. }))),
        "{followed:?}"
    );
    let later = wait(store.append(commit(&["a"], ExpectedVersion::Any)));
    assert!(matches!(later, Err(StoreError::Closed { .. })), "{later:?}");
    assert_eq!(
        wait(store.get_events(&key("a"), 1))
            .expect("it reads")
            .len(),
        1
    );
}

#[test]
fn a_defect_in_one_read_leaves_the_others_alone() {
    let directory = Directory::new();
    let options = SqliteEventStore::options().readers(1);
    let store = options.open(directory.0.join("read.db")).expect("it opens");
    wait(store.append(commit(&["a"], ExpectedVersion::NoStream))).expect("it appends");
    let read = store
        .shared
        .readers
        .read(|_| -> Result<(), StoreError> { panic!("a defect, on purpose") });
    let hit = wait(read);
    assert!(matches!(hit, Err(StoreError::Closed { .. })), "{hit:?}");
    assert_eq!(
        wait(store.get_events(&key("a"), 1))
            .expect("it reads")
            .len(),
        1
    );
}
