//! What holds when several write at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Provider;
use super::sample::*;
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::store::{AggregateKey, EventStore, ExpectedVersion, StoreError};

/// Of several writers that expect one version one wins, its event follows the one that they knew, and the others are
/// told.
pub async fn of_writers_that_expect_one_version_one_wins(provider: impl Provider) {
    const ROUNDS: u64 = 40;
    const TASKS: usize = 4;
    let handles = [provider.open().await, provider.open().await];
    let key = key();
    let mut previous = None;
    for version in 0..ROUNDS {
        let start = Arc::new(Barrier::new(TASKS));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (store, key) = (handles[task % 2].clone(), key.clone());
            let start = Arc::clone(&start);
            tasks.spawn(async move {
                let write = || append(&store, &key, ExpectedVersion::Exactly(version), [version]);
                start.wait().await;
                <[_; 2]>::from(join(write(), write()).await)
            });
        }
        let mut won: Vec<StoredEvent> = Vec::new();
        while let Some(outcomes) = tasks.join_next().await {
            for outcome in outcomes.expect("a writer ends without a panic") {
                match outcome {
                    Ok(stored) => won.extend(stored),
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{}", ErrorChain(&error)),
                }
            }
        }
        assert_eq!(
            won.len(),
            1,
            "events were acknowledged after version {version}"
        );
        assert_eq!(won[0].envelope.sequence, version + 1);
        assert_eq!(won[0].envelope.previous, previous);
        previous = Some(won[0].cid);
    }
    assert_complete(&handles[0], &key, ROUNDS).await;
}

const WRITERS: u64 = 8;
const EACH: u64 = 12;

/// Writers that read, expect and try again: every acknowledged event is there once, in one unbroken chain.
pub async fn concurrent_writers_with_an_expected_version_lose_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let meet = Arc::new(Barrier::new(WRITERS as usize));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, key, meet) = (store.clone(), key.clone(), meet.clone());
        writers.spawn(async move {
            for number in 0..EACH {
                append_guarded(&store, &key, writer * EACH + number, &meet).await;
            }
        });
    }
    all(writers).await;
    assert_complete(&store, &key, WRITERS * EACH).await;
}

/// Writers that append to any version: every acknowledged event is there once, in one unbroken chain.
pub async fn concurrent_writers_with_any_version_lose_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, key) = (store.clone(), key.clone());
        let numbers = writer * EACH..(writer + 1) * EACH;
        writers.spawn(async move { append_each(&store, &key, numbers).await });
    }
    let mut acknowledged = Vec::new();
    while let Some(writer) = writers.join_next().await {
        acknowledged.extend(writer.expect("a writer ends without a panic"));
    }
    acknowledged.sort_by_key(|event| event.position);
    assert_eq!(history(&store, &key).await, acknowledged);
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
    all(writers).await;
    assert_complete(&store, &one, WRITERS * EACH).await;
    assert_complete(&store, &other, WRITERS * EACH).await;
    let (one, other) = (history(&store, &one).await, history(&store, &other).await);
    assert_eq!(
        numbers(&one),
        numbers(&other),
        "the commits came in two different orders"
    );
    let mut commits: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (place, event) in everything(&store).await.iter().enumerate() {
        commits
            .entry(event.envelope.causation_id)
            .or_default()
            .push(place);
    }
    let is_together = |places: &Vec<usize>| places[1] == places[0] + 1;
    assert!(
        commits.values().all(is_together),
        "between the events of a commit stand those of another"
    );
}

/// Two handles that were opened apart write to one aggregate: nothing is lost, nothing forks.
pub async fn two_handles_on_the_same_data_lose_nothing(provider: impl Provider) {
    let handles = [provider.open().await, provider.open().await];
    let key = key();
    let meet = Arc::new(Barrier::new(handles.len()));
    let mut writers = JoinSet::new();
    for (writer, store) in handles.iter().enumerate() {
        let (store, key, meet) = (store.clone(), key.clone(), meet.clone());
        writers.spawn(async move {
            for number in 0..EACH {
                append_guarded(&store, &key, writer as u64 * EACH + number, &meet).await;
            }
        });
    }
    all(writers).await;
    for store in &handles {
        assert_complete(store, &key, 2 * EACH).await;
    }
}

/// Appends at the version that the store shows, again and again until it is accepted. The writers meet when each has seen a
/// version, so that none of them is done before another begins.
async fn append_guarded(store: &impl EventStore, key: &AggregateKey, number: u64, meet: &Barrier) {
    let mut have_met = false;
    loop {
        let last = store.last(key).await.unwrap();
        if !std::mem::replace(&mut have_met, true) {
            meet.wait().await;
        }
        let version = last.as_ref().map_or(0, |last| last.envelope.sequence);
        let known = last.map(|last| last.cid);
        let expected = ExpectedVersion::Exactly(version);
        match append(store, key, expected, [number]).await {
            Ok(stored) => {
                let envelope = &stored[0].envelope;
                assert_eq!(
                    envelope.sequence,
                    version + 1,
                    "the version after the expected"
                );
                assert_eq!(envelope.previous, known, "the event that the writer knew");
                return;
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{}", ErrorChain(&error)),
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

async fn all(mut writers: JoinSet<()>) {
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer ends without a panic");
    }
}
