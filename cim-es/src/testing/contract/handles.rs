//! What several handles to the same data owe each other: other processes, and the same one after a restart.

use futures_util::StreamExt;

use super::Provider;
use super::sample::*;
use crate::store::{
    CheckpointStore, EventStore, EventStoreExt, ExpectedVersion, ObjectStore, Position,
};

/// What one handle wrote, a handle that was opened apart reads at once.
pub async fn another_handle_sees_what_was_written(provider: impl Provider) {
    let (one, other) = (provider.open().await, provider.open().await);
    let key = key();
    for number in 1..=5 {
        let stored = append_each(&one, &key, [number]).await;
        assert_eq!(other.last(&key).await.unwrap().as_ref(), stored.last());
        let found = other.get_by_cid(&stored[0].cid).await.unwrap();
        assert_eq!(found.as_ref(), stored.last());
        let events = history(&other, &key).await;
        assert_eq!(events.len() as u64, number);
        assert_eq!(everything(&other).await, events);
        let of_type = other.get_events_by_type(TYPE, Position::START, 9).await;
        assert_eq!(of_type.unwrap(), events);
    }
}

/// Handles that write in turn know where the other left off: each expects the version that the other made.
pub async fn handles_write_in_turn(provider: impl Provider) {
    let handles = [provider.open().await, provider.open().await];
    let (key, beside) = (key(), key());
    let mut stored = Vec::new();
    for version in 0..12_u64 {
        let store = &handles[version as usize % 2];
        let expected = ExpectedVersion::Exactly(version);
        let written = append(store, &key, expected, [version]).await;
        stored.extend(written.unwrap_or_else(|error| panic!("at version {version}: {error}")));
        stored.extend(append_each(store, &beside, [version]).await);
        assert_conflict(append(store, &key, expected, [99]).await);
    }
    assert!(stored.is_sorted_by(|one, next| one.position < next.position));
    for store in &handles {
        assert_eq!(everything(store).await, stored);
        assert_chained(&history(store, &key).await);
    }
}

/// A handle that is dropped takes nothing with it: what was acknowledged is there, and the others go on.
pub async fn a_handle_that_is_dropped_takes_nothing_with_it(provider: impl Provider) {
    let (one, other) = (provider.open().await, provider.open().await);
    let key = key();
    let mut following = other.subscribe(Position::START);
    let mut stored = append_each(&one, &key, 0..3).await;
    let object = one.put_object(vec![0xa0].into()).await.unwrap();
    one.save_checkpoint("reader", Position(3).into())
        .await
        .unwrap();
    let abandoned = one.subscribe(Position::START);
    drop((abandoned, one));
    assert_eq!(take(&mut following, 3).await, stored);
    stored.extend(append_each(&other, &key, 3..6).await);
    assert_eq!(take(&mut following, 3).await, stored[3..]);
    drop((following, other));
    let reopened = provider.open().await;
    assert_eq!(everything(&reopened).await, stored);
    assert_eq!(history(&reopened, &key).await, stored);
    assert!(reopened.get_object(&object).await.unwrap().is_some());
    let checkpoint = reopened.get_checkpoint("reader").await.unwrap();
    assert_eq!(checkpoint, Some(Position(3).into()));
    let next = append(&reopened, &key, ExpectedVersion::Exactly(6), [6]).await;
    stored.extend(next.unwrap());
    assert_chained(&history(&reopened, &key).await);
    assert!(stored.is_sorted_by(|one, next| one.position < next.position));
    let mut behind = reopened.read_all(stored[5].position);
    assert_eq!(behind.next().await.unwrap().unwrap(), stored[6]);
}
