//! What is wrong with one commit, or one write, concerns nobody else.

use std::path::Path;
use std::time::Duration;

use crate::sqlite_support::{Directory, any, collect, key, large, note, run, typed};
use cim_es::SqliteEventStore;
use cim_es::block::HashCode;
use cim_es::store::{
    CheckpointStore, CommitRequest, EventStore, EventStoreExt, ObjectStore, Position, StateChange,
    StoreError, SyncState,
};
use rusqlite::Connection;

/// Keeps the writer of a store from writing until it is dropped, so that what is asked of it meanwhile waits together.
struct Hold(Connection);

impl Hold {
    fn on(path: &Path) -> Self {
        let other = Connection::open(path).expect("the file opens");
        other
            .execute_batch("BEGIN IMMEDIATE")
            .expect("the other process writes");
        Self(other)
    }

    fn end(self) {
        self.0.execute_batch("ROLLBACK").expect("it ends");
    }
}

fn tamper(path: &Path, sql: &str) {
    let other = Connection::open(path).expect("the file opens");
    assert!(
        other.execute(sql, ()).expect("the statement runs") > 0,
        "`{sql}`"
    );
}

/// Appends all at the same time, and gives the outcome of each.
async fn together(
    store: &SqliteEventStore,
    path: &Path,
    commits: Vec<CommitRequest>,
) -> Vec<Result<(), StoreError>> {
    let hold = Hold::on(path);
    let waiting: Vec<_> = commits
        .into_iter()
        .map(|commit| {
            let store = store.clone();
            tokio::spawn(async move { store.append(commit).await.map(drop) })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    hold.end();
    let mut outcomes = Vec::new();
    for append in waiting {
        outcomes.push(append.await.expect("no panic"));
    }
    outcomes
}

#[test]
fn a_damaged_aggregate_fails_no_commit_to_another() {
    let directory = Directory::new();
    let path = directory.file("store.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        for number in 0..50 {
            let commit = any(number, vec![note(number)]);
            store.append(commit).await.expect("it appends");
        }
        for bad in [7, 8, 9, 20, 21, 22, 23, 24] {
            tamper(
                &path,
                &format!(
                    "UPDATE events SET body = x'80' WHERE position = {}",
                    bad + 1
                ),
            );
        }
        let commits = (0..50).map(|number| any(number, vec![note(number)]));
        let outcomes = together(&store, &path, commits.collect()).await;
        for (number, outcome) in outcomes.iter().enumerate() {
            match number {
                7..=9 | 20..=24 => {
                    assert!(
                        matches!(outcome, Err(StoreError::Damaged(_))),
                        "{outcome:?}"
                    );
                }
                _ => assert!(outcome.is_ok(), "{number}: {outcome:?}"),
            }
        }
        assert_eq!(
            store.get_events(&key(49), 1).await.expect("it reads").len(),
            2
        );
    });
}

#[test]
fn a_damaged_event_that_is_the_last_of_its_type_fails_no_commit_of_another_type() {
    let directory = Directory::new();
    let path = directory.file("store.db");
    run(async {
        let event = |number: u64| typed(&format!("test.note.kind{number}"), number);
        let store = SqliteEventStore::open(&path).expect("the file opens");
        for number in 0..9 {
            let commit = any(number, vec![event(number)]);
            store.append(commit).await.expect("it appends");
        }
        tamper(&path, "UPDATE events SET body = x'80' WHERE position = 4");
        let fresh = SqliteEventStore::open(&path).expect("the file opens again");
        for store in [&store, &fresh] {
            // A healthy aggregate may still get events of the type only where its list goes on from a whole one.
            let commits = (0..9).map(|number| any(number, vec![event(number)]));
            let outcomes = together(store, &path, commits.collect()).await;
            for (number, outcome) in outcomes.iter().enumerate() {
                assert_eq!(outcome.is_err(), number == 3, "{number}: {outcome:?}");
            }
        }
    });
}

#[test]
fn a_commit_that_the_file_has_no_room_for_fails_no_smaller_one() {
    let directory = Directory::new();
    let path = directory.file("store.db");
    run(async {
        let store = SqliteEventStore::options()
            .max_file_bytes(600 * 1024)
            .open(&path)
            .expect("the file opens");
        let commits = (0..40).map(|number| match number % 10 {
            3 => any(number, vec![large(900_000)]),
            _ => any(number, vec![note(number)]),
        });
        let outcomes = together(&store, &path, commits.collect()).await;
        for (number, outcome) in outcomes.iter().enumerate() {
            match number % 10 {
                3 => assert!(
                    matches!(outcome, Err(StoreError::Full { .. })),
                    "{outcome:?}"
                ),
                _ => assert!(outcome.is_ok(), "{number}: {outcome:?}"),
            }
        }
        store.check().await.expect("the file is whole");
        let events = collect(store.read_all(Position::START)).await;
        assert_eq!(events.expect("it reads").len(), 36);
    });
}

/// The system does not let the file, nor its log, grow past a size: what does not fit fails, and moving the log into the
/// file makes room for what does.
#[cfg(unix)]
#[test]
fn a_limit_of_the_system_on_the_size_of_files_fails_what_does_not_fit_alone() {
    use crate::sqlite_support::child::{self, Told};

    let directory = Directory::new();
    let path = directory.file("store.db");
    let mut child = child::start_limited(module_path!(), "a_child_may_write_small_files", &path);
    let told: Vec<_> = Told::by(&mut child).collect();
    assert!(child.wait().expect("the child ends").success());
    assert_eq!(told, ["small: 200 of 200, large: 0 of 10, full: 10"]);
}

#[cfg(unix)]
#[test]
fn a_child_may_write_small_files() {
    use crate::sqlite_support::child;

    let Some(path) = child::file() else {
        return;
    };
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let (mut small, mut large_ones, mut full) = (0, 0, 0);
        for round in 0..10 {
            let mut commits: Vec<_> = (0..20)
                .map(|number| any(format!("{round}-{number}"), vec![large(1_000)]))
                .collect();
            commits.insert(
                5,
                any(
                    "large",
                    vec![large(900_000), large(900_000), large(900_000)],
                ),
            );
            let outcomes = together(&store, &path, commits).await;
            large_ones += usize::from(outcomes[5].is_ok());
            let said = |error: &StoreError| error.to_string().contains("ulimit -f");
            full += usize::from(matches!(
                &outcomes[5],
                Err(error @ StoreError::Full { .. }) if said(error)
            ));
            small += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        }
        small -= large_ones;
        store.check().await.expect("the file is whole");
        child::tell(&format!(
            "small: {small} of 200, large: {large_ones} of 10, full: {full}"
        ));
    });
}

#[test]
fn a_damaged_object_fails_no_other_write() {
    let directory = Directory::new();
    let path = directory.file("store.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let object = |number: u8| bytes::Bytes::from(vec![0x81, number]);
        for number in 0..10 {
            store.put_object(object(number)).await.expect("it is kept");
        }
        tamper(
            &path,
            "UPDATE objects SET body = x'80' WHERE number IN (3, 4, 5, 6, 7)",
        );
        let hold = Hold::on(&path);
        let writes: Vec<_> = (0..20)
            .map(|number| {
                let store = store.clone();
                let object = object(number);
                tokio::spawn(async move {
                    let kept = store.put_object(object).await;
                    let saved = store.save_checkpoint("reader", Position(1).into()).await;
                    saved.and(kept)
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        hold.end();
        for (number, write) in writes.into_iter().enumerate() {
            let outcome = write.await.expect("no panic");
            match number {
                2..=6 => assert!(
                    matches!(outcome, Err(StoreError::Damaged(_))),
                    "{outcome:?}"
                ),
                _ => assert!(outcome.is_ok(), "{number}: {outcome:?}"),
            }
        }
        let cid = HashCode::default().cid(&object(19));
        assert_eq!(
            store.get_object(&cid).await.expect("it reads"),
            Some(object(19))
        );
    });
}

#[test]
fn a_commit_after_another_process_has_written_looks_at_what_it_wrote_alone() {
    let directory = Directory::new();
    let path = directory.file("store.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        for number in 0..5 {
            let event = typed(&format!("test.note.kind{number}"), number);
            store
                .append(any(number, vec![event]))
                .await
                .expect("it appends");
        }
        let other = SqliteEventStore::open(&path).expect("the file opens again");
        // A type that neither of the two writes.
        tamper(&path, "UPDATE events SET body = x'80' WHERE position = 3");
        for (number, writer) in [
            (0, &other),
            (1, &store),
            (9, &other),
            (9, &store),
            (1, &other),
        ] {
            let event = typed(&format!("test.note.kind{number}"), number);
            let written = writer.append(any(number, vec![event])).await;
            assert!(written.is_ok(), "{number}: {written:?}");
        }
        tamper(
            &path,
            "UPDATE events SET body = x'80'
             WHERE position = (SELECT position FROM aggregates WHERE id = '0')",
        );
        let refused = store.append(any(0, vec![note(1)])).await;
        assert!(
            matches!(refused, Err(StoreError::Damaged(_))),
            "{refused:?}"
        );
    });
}

/// A file gets further tables when they are first needed, which may be while another handle looks at what it declares.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_gets_more_tables_meanwhile_is_opened() {
    let directory = Directory::new();
    for round in 0..60_u64 {
        let path = directory.file(&format!("{round}.db"));
        let store = SqliteEventStore::open(&path).unwrap();
        let opening: Vec<_> = (0..3)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    for _ in 0..4 {
                        SqliteEventStore::open(&path).unwrap();
                    }
                })
            })
            .collect();
        // Each time at another moment of theirs.
        tokio::time::sleep(Duration::from_micros(round * 100)).await;
        let change = StateChange::put("known", vec![1]);
        store.change_state(vec![change]).await.unwrap();
        for opened in opening {
            opened.join().unwrap();
        }
    }
}
