//! Streams over long histories: no gap, no repetition, bounded memory, whatever the pace of the consumer.

use std::time::Duration;

use crate::sqlite_support::{Directory, any, note, run};
use cim_es::SqliteEventStore;
use cim_es::store::{EventStore, EventStoreExt, Position, StoreError};
use futures_util::StreamExt;

const BACKLOG: u64 = 2_000;
const LIVE: u64 = 300;

#[test]
fn a_slow_consumer_with_a_large_backlog_misses_nothing_that_comes_meanwhile() {
    let directory = Directory::new();
    run(async {
        let store = SqliteEventStore::open(directory.file("slow.db")).expect("the file opens");
        for first in (0..BACKLOG).step_by(500) {
            let events = (first..first + 500).map(note).collect();
            store
                .append(any("backlog", events))
                .await
                .expect("it appends");
        }
        let mut stream = store.subscribe(Position(10));
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    for number in 0..LIVE / 3 {
                        let commit = any(format!("live{writer}"), vec![note(number)]);
                        store.append(commit).await.expect("it appends");
                    }
                })
            })
            .collect();
        for position in 11..=BACKLOG + LIVE {
            if position % 500 == 0 {
                std::thread::sleep(Duration::from_millis(50));
            }
            let event = stream.next().await.expect("it goes on").expect("it reads");
            assert_eq!(event.position, Position(position));
        }
        for writer in writers {
            writer.await.expect("the writer ends");
        }
    });
}

#[test]
fn a_subscription_to_a_position_yet_to_come_is_told_of_another_history() {
    let directory = Directory::new();
    run(async {
        let store = SqliteEventStore::open(directory.file("ahead.db")).expect("the file opens");
        let first = store.subscribe(Position(3)).next().await;
        assert!(
            matches!(first, Some(Err(StoreError::AnotherHistory(_)))),
            "{first:?}"
        );
    });
}

#[test]
fn reading_does_not_wait_for_a_long_write() {
    let directory = Directory::new();
    let path = directory.file("long.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        store
            .append(any("a", vec![note(1)]))
            .await
            .expect("it appends");
        let other = rusqlite::Connection::open(&path).expect("the file opens");
        other
            .execute_batch("BEGIN IMMEDIATE")
            .expect("the other writes");
        let waiting = {
            let store = store.clone();
            tokio::spawn(async move { store.append(any("a", vec![note(2)])).await })
        };
        for _ in 0..20 {
            let last = store
                .last(&crate::sqlite_support::key("a"))
                .await
                .expect("it reads");
            assert_eq!(last.expect("it has an event").position, Position(1));
        }
        assert!(!waiting.is_finished());
        other.execute_batch("ROLLBACK").expect("the other ends");
        waiting.await.unwrap().expect("it appends");
    });
}

#[test]
fn behind_the_last_of_all_positions_there_is_nothing_and_past_it_another_history() {
    let directory = Directory::new();
    run(async {
        let store = SqliteEventStore::open(directory.file("end.db")).expect("the file opens");
        store
            .append(any("a", vec![note(1)]))
            .await
            .expect("it appends");
        assert!(store.read_all(Position(1)).next().await.is_none());
        for position in [2, i64::MAX as u64, u64::MAX - 1, u64::MAX] {
            let found = store.read_all(Position(position)).next().await;
            let is_told = matches!(found, Some(Err(StoreError::AnotherHistory(_))));
            assert!(is_told, "{position}: {found:?}");
        }
    });
}
