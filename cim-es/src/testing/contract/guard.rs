//! What keeps two writers from both winning.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::Provider;
use super::sample::*;
use crate::store::{AggregateKey, EventStore, ExpectedVersion, StoreError};

/// `Any` appends whatever the version is.
pub async fn any_appends_to_whatever_is_there(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    for number in 1..=3 {
        append(&store, &key, ExpectedVersion::Any, [number])
            .await
            .unwrap();
    }
    assert_chained(&history(&store, &key).await);
}

/// `NoStream` is for the first events of an aggregate alone.
pub async fn no_stream_refuses_an_aggregate_that_has_events(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    append(&store, &key, ExpectedVersion::NoStream, [1])
        .await
        .unwrap();
    let outcome = append(&store, &key, ExpectedVersion::NoStream, [2]).await;
    match outcome {
        Err(StoreError::Conflict {
            aggregate,
            expected,
            actual,
        }) => {
            assert_eq!(
                (aggregate, expected, actual),
                (key.clone(), ExpectedVersion::NoStream, 1)
            );
        }
        outcome => panic!("no conflict but {outcome:?}"),
    }
    assert_eq!(numbers(&history(&store, &key).await), [1]);
}

/// `Exactly(n)` is refused for every version but `n`, and stores nothing then.
pub async fn exactly_refuses_every_other_version(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    assert_conflict(append(&store, &key, ExpectedVersion::Exactly(1), [0]).await);
    append(&store, &key, ExpectedVersion::Exactly(0), [1])
        .await
        .unwrap();
    append(&store, &key, ExpectedVersion::Exactly(1), [2, 3])
        .await
        .unwrap();
    for version in [0, 1, 2, 4, 100, u64::MAX] {
        assert_conflict(append(&store, &key, ExpectedVersion::Exactly(version), [9]).await);
    }
    append(&store, &key, ExpectedVersion::Exactly(3), [4])
        .await
        .unwrap();
    assert_eq!(numbers(&history(&store, &key).await), [1, 2, 3, 4]);
}

/// A head that the caller brings counts only when it is the store's own, by version and by CID.
pub async fn a_head_of_another_history_is_a_conflict(provider: impl Provider) {
    let store = provider.open().await;
    let (key, elsewhere) = (key(), key());
    let first = append(&store, &key, ExpectedVersion::NoStream, [1])
        .await
        .unwrap();
    let other = append(&store, &elsewhere, ExpectedVersion::NoStream, [2])
        .await
        .unwrap();
    let stale = commit().aggregate_at(key.clone(), other[0].head(), vec![note(3)]);
    assert_conflict(store.append(stale).await);
    let right = commit().aggregate_at(key.clone(), first[0].head(), vec![note(4)]);
    store.append(right).await.unwrap();
    let again = commit().aggregate_at(key.clone(), first[0].head(), vec![note(5)]);
    assert_conflict(store.append(again).await);
    let events = history(&store, &key).await;
    assert_eq!(numbers(&events), [1, 4]);
    assert_chained(&events);
}

/// One refused aggregate refuses the whole commit.
pub async fn a_commit_over_several_aggregates_is_all_or_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let (one, other) = (key(), key());
    append(&store, &other, ExpectedVersion::NoStream, [1])
        .await
        .unwrap();
    let refused = commit()
        .aggregate(one.clone(), ExpectedVersion::NoStream, vec![note(2)])
        .aggregate(other.clone(), ExpectedVersion::Exactly(7), vec![note(3)]);
    assert_conflict(store.append(refused).await);
    assert_eq!(history(&store, &one).await, []);
    assert_eq!(numbers(&history(&store, &other).await), [1]);
    let accepted = commit()
        .aggregate(
            one.clone(),
            ExpectedVersion::NoStream,
            vec![note(2), note(3)],
        )
        .aggregate(other.clone(), ExpectedVersion::Exactly(1), vec![note(4)]);
    assert_eq!(store.append(accepted).await.unwrap().len(), 3);
    assert_eq!(numbers(&history(&store, &one).await), [2, 3]);
    assert_eq!(numbers(&history(&store, &other).await), [1, 4]);
}

const WRITERS: u64 = 8;
const EACH: u64 = 12;

/// Writers that read, expect and try again: every acknowledged event is there once, in one unbroken chain.
pub async fn concurrent_writers_with_an_expected_version_lose_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, key) = (store.clone(), key.clone());
        writers.spawn(async move {
            for number in 0..EACH {
                append_guarded(&store, &key, writer * EACH + number).await;
            }
        });
    }
    join(writers).await;
    assert_complete(&store, &key, WRITERS * EACH).await;
}

/// Writers that append to any version: every acknowledged event is there once, in one unbroken chain.
pub async fn concurrent_writers_with_any_version_lose_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, key) = (store.clone(), key.clone());
        writers.spawn(async move {
            for number in 0..EACH {
                let number = writer * EACH + number;
                append(&store, &key, ExpectedVersion::Any, [number])
                    .await
                    .unwrap();
            }
        });
    }
    join(writers).await;
    assert_complete(&store, &key, WRITERS * EACH).await;
}

/// Commits over two aggregates by several writers: both histories have all of them, each commit whole.
pub async fn concurrent_commits_over_two_aggregates_stay_whole(provider: impl Provider) {
    let store = provider.open().await;
    let (one, other) = (key(), key());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, one, other) = (store.clone(), one.clone(), other.clone());
        writers.spawn(async move {
            for number in 0..EACH {
                let events = || vec![note(writer * EACH + number)];
                let request = commit()
                    .aggregate(one.clone(), ExpectedVersion::Any, events())
                    .aggregate(other.clone(), ExpectedVersion::Any, events());
                store.append(request).await.unwrap();
            }
        });
    }
    join(writers).await;
    assert_complete(&store, &one, WRITERS * EACH).await;
    assert_complete(&store, &other, WRITERS * EACH).await;
    let (one, other) = (history(&store, &one).await, history(&store, &other).await);
    assert_eq!(
        numbers(&one),
        numbers(&other),
        "the commits came in two different orders"
    );
}

/// Two handles that were opened apart write to one aggregate: nothing is lost, nothing forks.
pub async fn two_handles_on_the_same_data_lose_nothing(provider: impl Provider) {
    let handles = [provider.open().await, provider.open().await];
    let key = key();
    let mut writers = JoinSet::new();
    for (writer, store) in handles.iter().enumerate() {
        let (store, key) = (store.clone(), key.clone());
        writers.spawn(async move {
            for number in 0..EACH {
                append_guarded(&store, &key, writer as u64 * EACH + number).await;
            }
        });
    }
    join(writers).await;
    for store in &handles {
        assert_complete(store, &key, 2 * EACH).await;
    }
}

/// Appends at the version that the store shows, again and again until it is accepted.
async fn append_guarded(store: &impl EventStore, key: &AggregateKey, number: u64) {
    loop {
        let last = store.last(key).await.unwrap();
        let expected = ExpectedVersion::Exactly(last.map_or(0, |last| last.envelope.sequence));
        match append(store, key, expected, [number]).await {
            Ok(_) => return,
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn assert_complete(store: &impl EventStore, key: &AggregateKey, count: u64) {
    let events = history(store, key).await;
    assert_chained(&events);
    let numbers: BTreeSet<_> = events.iter().map(number).collect();
    assert_eq!(events.len() as u64, count);
    assert_eq!(numbers, (0..count).collect());
}

async fn join(mut writers: JoinSet<()>) {
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer ends without a panic");
    }
}
