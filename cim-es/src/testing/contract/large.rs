//! Events of any size, and pages that end where an engine's own may end.

use futures_util::StreamExt;

use super::Provider;
use super::sample::*;
use crate::block::StoredEvent;
use crate::store::{
    AggregateKey, Bookmark, EventStore, EventStoreExt, ExpectedVersion, Head, NewEvent, Position,
    SealOptions, Selection, seal,
};

/// A note of as many bytes or a few more.
fn sized(number: u64, bytes: usize) -> NewEvent {
    let text = "x".repeat(bytes.saturating_sub(24));
    let payload = Sized { number, text };
    let payload = serde_ipld_dagcbor::to_vec(&payload).expect("a text encodes");
    NewEvent::from_payload(TYPE, 1, payload)
}

#[derive(serde::Serialize)]
struct Sized {
    number: u64,
    text: String,
}

/// What every way of reading gives, by the numbers of the events alone: their texts are long.
async fn assert_read(store: &impl EventStore, keys: &[AggregateKey], stored: &[StoredEvent]) {
    let is_same = |found: &[StoredEvent], expected: &[&StoredEvent], what: &str| {
        let cids = |event: &StoredEvent| (event.position, event.cid);
        let (found, expected): (Vec<_>, Vec<_>) = (
            found.iter().map(cids).collect(),
            expected.iter().map(|event| cids(event)).collect(),
        );
        assert_eq!(found, expected, "{what}");
    };
    let all: Vec<&StoredEvent> = stored.iter().collect();
    is_same(&everything(store).await, &all, "everything");
    let following = store.follow(Selection::everything(), Bookmark::START);
    let followed: Vec<_> = following
        .take(stored.len())
        .map(Result::unwrap)
        .collect()
        .await;
    is_same(&followed, &all, "a subscription");
    let of_type = store
        .get_events_by_type(TYPE, Position::START, stored.len() + 1)
        .await;
    is_same(&of_type.unwrap(), &all, "the events of the type");
    for place in (0..stored.len()).filter(|place| stored.len() < 12 || place % 11 == 0) {
        let behind = collect(store.read_all(stored[place].position)).await;
        is_same(&behind, &all[place + 1..], "everything behind a position");
    }
    for key in keys {
        let own: Vec<_> = stored.iter().filter(|event| key.has(event)).collect();
        for from in (0..own.len()).filter(|from| own.len() < 12 || from % 11 == 0) {
            let events = store.get_events(key, from as u64 + 1).await.unwrap();
            is_same(&events, &own[from..], "a history");
        }
        let selected = store.read(Selection::aggregate(key.clone()), Bookmark::START);
        is_same(&collect(selected).await, &own, "an aggregate");
        let last = store.last(key).await.unwrap();
        is_same(last.as_slice(), &own[own.len() - 1..], "the last event");
    }
    // Without an index by CID this reads everything.
    for event in stored.iter().rev().take(12) {
        let found = store.get_by_cid(&event.cid).await.unwrap();
        is_same(found.as_slice(), &[event], "an event by its CID");
    }
}

/// Events of hundreds of kilobytes are read whole wherever they stand, and so is what follows them: in a commit of
/// megabytes, in a history, and among everything.
pub async fn large_events_come_whole_wherever_they_stand(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let keys = [key(), key()];
    let mut stored = Vec::new();
    for sizes in [
        &[10, 400_000, 10, 10, 500_000, 300_000, 300_000, 10][..],
        &[990_000, 10],
        &[10],
    ] {
        let request = (0..).zip(sizes).fold(commit(), |request, (place, size)| {
            let key = keys[place / 2 % 2].clone();
            request.event(key, ExpectedVersion::Any, sized(place as u64, *size))
        });
        stored.extend(store.append(request).await.unwrap());
    }
    for store in [&store, &elsewhere] {
        assert_read(store, &keys, &stored).await;
    }
    assert!(stored.iter().any(|event| event.payload().len() > 900_000));
}

/// Events whose bytes fill a megabyte to the last one are read whole, and so are those that are one event short of it or
/// one beyond.
pub async fn events_that_fill_a_megabyte_are_read_whole(provider: impl Provider) {
    const BODY: usize = 64 * 1024;
    let store = provider.open().await;
    let key = key();
    let mut stored = append_each(&store, &key, [0]).await;
    for number in 1..=33 {
        let head = stored[stored.len() - 1].head();
        let rough = BODY - 1_000;
        let event = sized(
            number,
            rough + BODY - body_behind(&key, head, sized(number, rough)),
        );
        let request = commit().aggregate(key.clone(), ExpectedVersion::Any, vec![event]);
        stored.extend(store.append(request).await.unwrap());
        assert_eq!(stored[stored.len() - 1].body().len(), BODY);
        if matches!(number, 15..=17 | 32 | 33) {
            assert_read(&store, std::slice::from_ref(&key), &stored).await;
        }
    }
}

/// How many bytes an event takes as it is stored.
fn body_behind(key: &AggregateKey, head: Head, event: NewEvent) -> usize {
    let request = commit().aggregate_at(key.clone(), head, vec![event]);
    let sealed = seal(request, &[Some(head)], &SealOptions::default()).expect("it is sealed");
    let mut stored = sealed
        .into_iter()
        .map(|event| event.into_stored(Position(1)));
    stored.next().map_or(0, |event| event.body().len())
}

/// Events are found by their CID wherever they stand in a long history, by every handle.
pub async fn any_event_of_a_long_history_is_found(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let key = key();
    let mut stored = Vec::new();
    for numbers in [0..300, 300..301, 301..1_200] {
        let more = append(&store, &key, ExpectedVersion::Any, numbers).await;
        stored.extend(more.unwrap());
    }
    append_each(&store, &super::sample::key(), 0..3).await;
    for place in [
        0,
        1,
        254,
        255,
        256,
        257,
        499,
        500,
        511,
        512,
        999,
        1_000,
        stored.len() - 1,
    ] {
        for store in [&store, &elsewhere] {
            let event = &stored[place];
            let found = store.get_by_cid(&event.cid).await.unwrap();
            assert_eq!(found.as_ref(), Some(event), "event {place}");
            let found = store.find_in(&key, &event.cid).await.unwrap();
            assert_eq!(
                found.as_ref(),
                Some(event),
                "event {place} of its aggregate"
            );
        }
    }
}
