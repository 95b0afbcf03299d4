//! What reading gives.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use futures_util::future::join_all;

use super::Provider;
use super::sample::*;
use crate::block::StoredEvent;
use crate::store::{
    Bookmark, CheckpointStore, EventStore, EventStoreExt, ExpectedVersion, Position, Selection,
    StoreError, Versions,
};

/// A history reads from any version to its end, and is empty past it.
pub async fn a_history_reads_from_any_version(provider: impl Provider) {
    let store = provider.open().await;
    let (key, unknown) = (key(), key());
    append(&store, &key, ExpectedVersion::NoStream, 1..=5)
        .await
        .unwrap();
    for from in 0..=7_u64 {
        let events = store.get_events(&key, from).await.unwrap();
        assert_eq!(
            numbers(&events),
            (from.max(1)..=5).collect::<Vec<_>>(),
            "from {from}"
        );
    }
    assert_eq!(store.get_events(&key, u64::MAX).await.unwrap(), []);
    assert_eq!(store.get_events(&unknown, 1).await.unwrap(), []);
}

/// The last event of an aggregate is the one with its version; an unknown aggregate has none.
pub async fn the_last_event_is_the_last(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    assert_eq!(store.last(&key).await.unwrap(), None);
    let stored = append(&store, &key, ExpectedVersion::NoStream, [1, 2])
        .await
        .unwrap();
    assert_eq!(store.last(&key).await.unwrap().as_ref(), stored.last());
}

/// Every event is found by its CID, and no other CID finds one.
pub async fn an_event_is_found_by_its_cid(provider: impl Provider) {
    let store = provider.open().await;
    let stored = append_each(&store, &key(), 1..=3).await;
    for event in &stored {
        assert_eq!(
            store.get_by_cid(&event.cid).await.unwrap().as_ref(),
            Some(event)
        );
    }
    let payload = stored[0].envelope.payload;
    assert_eq!(store.get_by_cid(&payload).await.unwrap(), None);
    for (what, cid) in neighbours(&stored[1].cid) {
        assert_eq!(store.get_by_cid(&cid).await.unwrap(), None, "{what}");
    }
}

/// Every way to an event leads to the same one: its bytes, its place and its envelope, which is the one in the bytes.
pub async fn every_way_to_an_event_leads_to_the_same(provider: impl Provider) {
    let store = provider.open().await;
    let keys = [key(), key(), key_of_kind("contract.example", "x")];
    let mut following = store.subscribe(Position::START);
    let mut stored = Vec::new();
    for number in 0..9 {
        let of_two = keys.iter().skip(number as usize % 2).take(2);
        let request = of_two.fold(commit(), |request, key| {
            let event = event_of_type(if number % 3 == 0 { OTHER_TYPE } else { TYPE }, number);
            request.aggregate(key.clone(), ExpectedVersion::Any, vec![event, note(number)])
        });
        stored.extend(store.append(request).await.unwrap());
    }
    assert!(stored.is_sorted_by(|one, next| one.position < next.position));
    let ids: BTreeSet<_> = stored.iter().map(|event| event.envelope.id).collect();
    assert_eq!(ids.len(), stored.len(), "two events have one id");
    assert_eq!(everything(&store).await, stored);
    assert_eq!(take(&mut following, stored.len()).await, stored);
    for event_type in [TYPE, OTHER_TYPE] {
        let expected: Vec<_> = stored
            .iter()
            .filter(|event| event.event_type() == event_type)
            .cloned()
            .collect();
        let found = store
            .get_events_by_type(event_type, Position::START, 1_000)
            .await;
        assert_eq!(found.unwrap(), expected);
    }
    for key in &keys {
        let expected: Vec<_> = stored
            .iter()
            .filter(|event| key.has(event))
            .cloned()
            .collect();
        assert_eq!(history(&store, key).await, expected);
        assert_eq!(store.last(key).await.unwrap().as_ref(), expected.last());
        for (place, event) in expected.iter().enumerate() {
            let from = store
                .get_versions(key, Versions::starting_with(&event.head()))
                .await
                .unwrap();
            assert_eq!(from, expected[place..]);
            let found = store.find_in(key, &event.cid).await.unwrap();
            assert_eq!(found.as_ref(), Some(event));
            let elsewhere = keys.iter().find(|other| *other != key);
            let elsewhere = store.find_in(elsewhere.unwrap(), &event.cid).await;
            assert_eq!(elsewhere.unwrap(), None);
        }
    }
    for event in &stored {
        let proved = StoredEvent::verify(event.position, event.cid, event.body().clone());
        assert_eq!(proved.as_ref(), Ok(event));
    }
}

/// Events of one type come in the store's order, after a position, and no more than the limit.
pub async fn events_of_a_type_come_in_order_after_a_position_up_to_a_limit(
    provider: impl Provider,
) {
    let store = provider.open().await;
    let keys = [key(), key()];
    let mut wanted = Vec::new();
    for number in 0..20 {
        let event_type = if number % 3 == 0 { OTHER_TYPE } else { TYPE };
        let event = event_of_type(event_type, number);
        let key = keys[number as usize % 2].clone();
        let stored = store
            .append(commit().aggregate(key, ExpectedVersion::Any, vec![event]))
            .await;
        if event_type == OTHER_TYPE {
            wanted.extend(stored.unwrap());
        }
    }
    let of_type = |after, limit| store.get_events_by_type(OTHER_TYPE, after, limit);
    assert_eq!(of_type(Position::START, 100).await.unwrap(), wanted);
    assert_eq!(of_type(Position::START, 3).await.unwrap(), wanted[..3]);
    assert_eq!(of_type(wanted[2].position, 2).await.unwrap(), wanted[3..5]);
    assert_eq!(of_type(wanted[6].position, 2).await.unwrap(), []);
    assert_eq!(of_type(Position::START, 0).await.unwrap(), []);
    assert_eq!(
        store
            .get_events_by_type("contract.sample.never", Position::START, 9)
            .await
            .unwrap(),
        []
    );
}

/// Reading all gives every event of every aggregate once, in the store's order, and ends.
pub async fn reading_all_gives_every_event_once_and_ends(provider: impl Provider) {
    let store = provider.open().await;
    assert_eq!(everything(&store).await, []);
    let mut stored = Vec::new();
    for start in (0..1_500).step_by(100) {
        let commit = append(
            &store,
            &key(),
            ExpectedVersion::NoStream,
            start..start + 100,
        )
        .await;
        stored.extend(commit.unwrap());
    }
    assert_eq!(everything(&store).await, stored);
}

/// Reading starts after any position, also after the last.
pub async fn reading_all_starts_after_any_position(provider: impl Provider) {
    let store = provider.open().await;
    let stored = append(&store, &key(), ExpectedVersion::NoStream, 1..=9)
        .await
        .unwrap();
    for (place, event) in stored.iter().enumerate() {
        let rest = &stored[place + 1..];
        assert_eq!(collect(store.read_all(event.position)).await, rest);
        let behind_it = store.read(Selection::everything(), event.bookmark());
        assert_eq!(collect(behind_it).await, rest);
    }
}

/// A reader that comes with a place of another history is told, whether the store ends before it or has another event
/// there; it gets nothing that could be taken for an answer.
pub async fn a_bookmark_of_another_history_is_an_error(provider: impl Provider) {
    let store = provider.open().await;
    let stored = append_each(&store, &key(), 1..=4).await;
    let last = stored[3].position;
    let just_past = Bookmark::from(Position(last.0 + 1));
    let elsewhere = Bookmark {
        position: last,
        cid: Some(stored[2].cid),
    };
    let past = Bookmark::from(Position(u64::MAX / 4));
    let bookmarks = [past, just_past, elsewhere];
    join_all(bookmarks.map(|bookmark| assert_another_history(&store, bookmark))).await;
    let mut level = store.follow(Selection::everything(), stored[3].bookmark());
    let next = append_each(&store, &key(), [5]).await;
    assert_eq!(take(&mut level, 1).await, next);
}

/// A reader that goes on from its checkpoint in a store of another history is told, however long that history is.
pub async fn a_checkpoint_of_another_history_is_an_error(provider: impl Provider) {
    let store = provider.open().await;
    let stored = append_each(&store, &key(), 1..=4).await;
    store
        .save_checkpoint("reader of another history", stored[1].bookmark())
        .await
        .unwrap();
    let at = async || {
        store
            .get_checkpoint("reader of another history")
            .await
            .unwrap()
            .unwrap_or_default()
    };
    let mut rest = store.read(Selection::everything(), at().await);
    assert_eq!(take(&mut rest, 2).await, stored[2..]);
    // What the reader kept while the file, or the stream, was another one.
    let former = Bookmark {
        position: stored[1].position,
        cid: Some(stored[0].cid),
    };
    store
        .save_checkpoint("reader of another history", former)
        .await
        .unwrap();
    assert_another_history(&store, at().await).await;
}

async fn assert_another_history(store: &impl EventStore, bookmark: Bookmark) {
    let selections = [
        Selection::everything(),
        Selection::subjects(TYPE),
        Selection::kinds(["contract.sample"]),
        Selection::aggregate(key()),
        Selection::everything().in_partitions([0, 1]),
    ];
    let streams = selections.into_iter().flat_map(|selection| {
        [
            store.read(selection.clone(), bookmark),
            store.follow(selection, bookmark),
        ]
    });
    // All at once: before an engine on several servers says so it makes sure that no server lags.
    let told = streams.map(|mut stream| async move {
        match stream.next().await {
            Some(Err(StoreError::AnotherHistory(it))) => assert_eq!(it.known, bookmark),
            other => panic!("a reader behind {bookmark:?} gets {other:?}"),
        }
        assert!(stream.next().await.is_none(), "an error ends the stream");
    });
    join_all(told).await;
}

/// The last position is that of the last event, whoever wrote it.
pub async fn the_last_position_is_that_of_the_last_event(provider: impl Provider) {
    let (store, other) = (provider.open().await, provider.open().await);
    assert_eq!(store.last_position().await.unwrap(), Position::START);
    for number in 0..3 {
        let writer = if number == 1 { &other } else { &store };
        append_each(writer, &key(), [number]).await;
        let all = everything(&store).await;
        let last = all.last().map(|event| event.position);
        assert_eq!(Some(store.last_position().await.unwrap()), last);
        assert_eq!(Some(other.last_position().await.unwrap()), last);
    }
}

/// Reading all ends also when others keep writing, and has everything that was there before.
pub async fn reading_all_ends_while_others_write(provider: impl Provider) {
    let store = provider.open().await;
    let before = append(&store, &key(), ExpectedVersion::NoStream, 0..300)
        .await
        .unwrap();
    let key = key();
    let mut read = Vec::new();
    let mut stream = store.read_all(Position::START);
    while let Some(event) = stream.next().await {
        read.push(event.unwrap());
        append_each(&store, &key, [read.len() as u64]).await;
        assert!(
            read.len() < 10_000,
            "the stream follows its own writer without end"
        );
    }
    assert_eq!(read[..300], before);
}

/// So does the history of an aggregate, which ends with the event that was its last when it was asked for.
pub async fn a_history_ends_while_others_write(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let before = append(&store, &key, ExpectedVersion::NoStream, 0..300).await;
    let before = before.unwrap();
    let mut read = Vec::new();
    let mut stream = store.history(&key, Versions::ALL);
    while let Some(event) = stream.next().await {
        read.push(event.unwrap());
        append_each(&store, &key, [1_000 + read.len() as u64]).await;
        assert!(
            read.len() < 2_000,
            "the history follows its own writer without end"
        );
    }
    assert_chained(&read);
    assert_eq!(read[..300], before);
}
