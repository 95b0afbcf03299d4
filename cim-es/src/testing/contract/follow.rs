//! What a subscription gives.

use std::collections::BTreeSet;
use std::task::Poll;

use futures_util::StreamExt;
use tokio::task::JoinSet;

use super::Provider;
use super::sample::*;
use crate::store::{EventStore, EventStoreExt, ExpectedVersion, Position, Selection};

/// A subscription gives what was there, then what comes.
pub async fn a_subscription_gives_what_was_and_what_comes(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let mut expected = append(&store, &key, ExpectedVersion::NoStream, 0..600)
        .await
        .unwrap();
    let mut subscription = store.subscribe(Position::START);
    assert_eq!(take(&mut subscription, 600).await, expected);
    expected = append_each(&store, &key, 600..610).await;
    assert_eq!(take(&mut subscription, 10).await, expected);
}

/// A subscription starts after the position it is given.
pub async fn a_subscription_starts_after_a_position(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let stored = append(&store, &key, ExpectedVersion::NoStream, 0..5)
        .await
        .unwrap();
    let mut subscription = store.subscribe(stored[2].position);
    assert_eq!(take(&mut subscription, 2).await, stored[3..]);
    let mut from_end = store.subscribe(stored[4].position);
    let next = append_each(&store, &key, [5]).await;
    assert_eq!(take(&mut from_end, 1).await, next);
}

/// Under concurrent writers a subscription gives every event once, in the store's order.
pub async fn a_subscription_misses_nothing_under_concurrent_writers(provider: impl Provider) {
    let store = provider.open().await;
    let mut subscription = store.subscribe(Position::START);
    let mut writers = JoinSet::new();
    for writer in 0..4_u64 {
        let store = store.clone();
        writers
            .spawn(async move { append_each(&store, &key(), writer * 50..writer * 50 + 50).await });
    }
    let events = take(&mut subscription, 200).await;
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer ends without a panic");
    }
    assert!(events.is_sorted_by(|one, next| one.position < next.position));
    assert_eq!(
        events.iter().map(number).collect::<BTreeSet<_>>(),
        (0..200).collect()
    );
    assert_eq!(events, everything(&store).await);
}

/// A subscription that is not read for a while has everything when it is read again, each event once.
pub async fn a_subscription_that_lags_loses_and_repeats_nothing(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let mut lagging = [
        store.subscribe(Position::START),
        elsewhere.subscribe(Position::START),
    ];
    let key = key();
    let mut stored = append_each(&store, &key, [0]).await;
    for subscription in &mut lagging {
        assert_eq!(take(subscription, 1).await, stored);
        // It waits for what comes.
        let next = step(&mut subscription.next()).await;
        assert!(next.is_pending(), "{next:?}");
    }
    for commits in [20, 3] {
        let start = stored.len();
        for _ in 0..commits {
            let numbers = stored.len() as u64..stored.len() as u64 + 100;
            stored.extend(
                append(&store, &key, ExpectedVersion::Any, numbers)
                    .await
                    .unwrap(),
            );
        }
        stored
            .extend(append_each(&store, &key, stored.len() as u64..stored.len() as u64 + 3).await);
        for subscription in &mut lagging {
            let mut given = take(subscription, 10).await;
            given.extend(take_until(subscription, &stored[stored.len() - 3]).await);
            given.extend(take(subscription, 2).await);
            assert_eq!(given.len(), stored.len() - start);
            assert_eq!(given, stored[start..]);
        }
    }
}

/// Between what was there and what comes no event is lost, wherever the reader stands when it comes.
pub async fn a_subscription_goes_on_where_the_past_ends(provider: impl Provider) {
    for there in [0, 1, 255, 256, 257, 512] {
        let store = provider.open().await;
        let key = key();
        let start = everything(&store)
            .await
            .last()
            .map_or(Position::START, |event| event.position);
        let before = match there {
            0 => Vec::new(),
            _ => append(&store, &key, ExpectedVersion::NoStream, 0..there)
                .await
                .unwrap(),
        };
        let mut unread = store.subscribe(start);
        let mut read = store.subscribe(start);
        let mut waiting = store.subscribe(start);
        let mut of_type = store.follow(Selection::subjects(TYPE), start.into());
        let mut of_aggregate = store.follow(key.clone().into(), start.into());
        assert_eq!(take(&mut read, before.len()).await, before);
        assert_eq!(take(&mut waiting, before.len()).await, before);
        let next = step(&mut waiting.next()).await;
        assert!(next.is_pending(), "{next:?}");
        let mut came = append_each(&store, &key, there..there + 1).await;
        assert_eq!(take(&mut waiting, 1).await, came);
        came.extend(
            append(&store, &key, ExpectedVersion::Any, [1, 2, 3])
                .await
                .unwrap(),
        );
        came.extend(append_each(&store, &key, [4, 5]).await);
        for (subscription, from) in [
            (&mut unread, 0),
            (&mut of_type, 0),
            (&mut of_aggregate, 0),
            (&mut read, before.len()),
            (&mut waiting, before.len() + 1),
        ] {
            let mut given = Vec::new();
            if let Poll::Ready(event) = step(&mut subscription.next()).await {
                given.push(event.expect("a subscription does not end").unwrap());
            }
            // One that has lost what came shows it by this one.
            came.extend(append_each(&store, &key, [9]).await);
            given.extend(take_until(subscription, &came[came.len() - 1]).await);
            let expected: Vec<_> = before.iter().chain(&came).skip(from).cloned().collect();
            assert_eq!(given.len(), expected.len(), "with {there} events before");
            assert_eq!(given, expected);
        }
    }
}

/// Subscriptions that are made while others write miss nothing, from the start and from any event on.
pub async fn subscriptions_made_while_others_write_miss_nothing(provider: impl Provider) {
    let handles = [provider.open().await, provider.open().await];
    let mut writers = JoinSet::new();
    for writer in 0..3_u64 {
        let store = handles[writer as usize % 2].clone();
        let numbers = writer * 40..(writer + 1) * 40;
        writers.spawn(async move { append_each(&store, &key(), numbers).await });
    }
    let mut started = Vec::new();
    let mut after = Position::START;
    for turn in 0..10 {
        let store = &handles[turn % 2];
        let mut from_start = store.subscribe(Position::START);
        let first = take(&mut from_start, turn + 1).await;
        started.push((Position::START, first, from_start));
        started.push((after, Vec::new(), store.subscribe(after)));
        after = store
            .read_all(after)
            .next()
            .await
            .map_or(after, |event| event.unwrap().position);
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer ends without a panic");
    }
    let end = append_each(&handles[0], &key(), [1_000, 1_001]).await;
    let all = everything(&handles[0]).await;
    for (after, mut given, mut subscription) in started {
        given.extend(take_until(&mut subscription, &end[0]).await);
        given.extend(take(&mut subscription, 1).await);
        let expected: Vec<_> = all
            .iter()
            .filter(|event| event.position > after)
            .cloned()
            .collect();
        assert_eq!(numbers(&given), numbers(&expected), "after {after}");
        assert_eq!(given, expected);
    }
}

/// A subscription gives also what a handle that was opened apart writes.
pub async fn a_subscription_follows_another_handle(provider: impl Provider) {
    let (one, other) = (provider.open().await, provider.open().await);
    let mut subscription = one.subscribe(Position::START);
    let key = key();
    for number in 0..3 {
        let stored = append_each(&other, &key, [number]).await;
        assert_eq!(take(&mut subscription, 1).await, stored);
    }
}
