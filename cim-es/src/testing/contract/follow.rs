//! What a subscription gives.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::Provider;
use super::sample::*;
use crate::store::{EventStoreExt, ExpectedVersion, Position};

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
