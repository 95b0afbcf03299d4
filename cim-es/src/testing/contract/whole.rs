//! Large commits and long histories, which come whole, and commits of which nobody sees a part.

use std::pin::pin;
use std::task::Poll;

use tokio::task::{JoinSet, yield_now};

use super::Provider;
use super::sample::*;
use crate::block::StoredEvent;
use crate::store::{
    AggregateKey, Bookmark, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, Position,
    Selection, StoreError, partition,
};

/// The most events that a commit may have.
const MOST: u64 = 1_000;

/// A commit of as many events as are allowed is stored whole, for one aggregate and for a hundred; one more is refused.
pub async fn a_commit_of_the_most_events_is_stored_whole(provider: impl Provider) {
    let store = provider.open().await;
    let alone = key();
    let stored = append(&store, &alone, ExpectedVersion::NoStream, 0..MOST).await;
    let mut stored = stored.unwrap();
    assert_eq!(history(&store, &alone).await, stored);
    let keys: Vec<_> = (0..100).map(|_| key()).collect();
    let share = MOST / 100;
    let of_all = (0..).zip(&keys).fold(commit(), |request, (place, key)| {
        let numbers = place * share..(place + 1) * share;
        let events = numbers.map(note).collect();
        request.aggregate(key.clone(), ExpectedVersion::NoStream, events)
    });
    stored.extend(store.append(of_all).await.unwrap());
    assert_eq!(
        numbers(&stored[MOST as usize..]),
        (0..MOST).collect::<Vec<_>>()
    );
    assert_eq!(everything(&store).await, stored);
    for (key, events) in keys
        .iter()
        .zip(stored[MOST as usize..].chunks(share as usize))
    {
        assert_eq!(history(&store, key).await, events);
        assert_chained(events);
    }
    let outcome = append(&store, &alone, ExpectedVersion::Any, 0..=MOST).await;
    let is_refused = matches!(outcome, Err(StoreError::InvalidCommit { .. }));
    assert!(is_refused, "{:?}", outcome.map(|stored| stored.len()));
    assert_eq!(everything(&store).await, stored);
}

/// The events of a commit are stored in its order, also where those of its aggregates alternate, on what is there and on
/// nothing.
pub async fn a_commit_keeps_the_order_of_events_that_alternate(provider: impl Provider) {
    let store = provider.open().await;
    let (one, other) = (key(), key());
    let before = append(&store, &one, ExpectedVersion::NoStream, [0]).await;
    let before = before.unwrap();
    let any = ExpectedVersion::Any;
    let request = commit()
        .event(one.clone(), ExpectedVersion::Exactly(1), note(1))
        .event(other.clone(), ExpectedVersion::NoStream, note(2))
        .event(one.clone(), any, note(3))
        .event(other.clone(), any, note(4))
        .event(one.clone(), any, note(5));
    let stored = store.append(request).await.unwrap();
    assert_eq!(numbers(&stored), [1, 2, 3, 4, 5]);
    let parts: Vec<[u32; 4]> = stored.iter().map(|it| it.envelope.commit.into()).collect();
    let expected = [
        [1, 3, 1, 5],
        [1, 2, 2, 5],
        [2, 3, 3, 5],
        [2, 2, 4, 5],
        [3, 3, 5, 5],
    ];
    assert_eq!(parts, expected);
    let all = [before, stored].concat();
    assert_eq!(everything(&store).await, all);
    for (key, count) in [(one, 4), (other, 2)] {
        let events = history(&store, &key).await;
        assert_eq!(events.len(), count);
        assert_chained(&events);
    }
}

/// A history of thousands of events reads whole from any version, as does everything.
pub async fn a_long_history_reads_whole(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let mut stored = Vec::new();
    for start in [0, MOST, 2 * MOST] {
        let end = (start + MOST).min(2_500);
        stored.extend(
            append(&store, &key, ExpectedVersion::Any, start..end)
                .await
                .unwrap(),
        );
    }
    for from in [
        1, 2, 255, 256, 257, 500, 501, 512, 513, 1_000, 1_001, 1_025, 1_501, 1_989, 2_000, 2_001,
        2_244, 2_245, 2_246, 2_401, 2_500,
    ] {
        let events = store.get_events(&key, from as u64).await.unwrap();
        assert_eq!(
            events.len(),
            stored.len() - (from - 1),
            "from version {from}"
        );
        assert_eq!(events, stored[from - 1..]);
    }
    for after in [0_usize, 1, 256, 499, 500, 1_000, 1_499] {
        let position = after
            .checked_sub(1)
            .map_or(Position::START, |place| stored[place].position);
        let events = collect(store.read_all(position)).await;
        assert_eq!(events.len(), stored.len() - after, "after {after} events");
        assert_eq!(events, stored[after..]);
    }
    for limit in [256, 257, 500, 1_000, 1_001, 2_499, 10_000] {
        let found = store
            .get_events_by_type(TYPE, Position::START, limit)
            .await
            .unwrap();
        assert_eq!(found.len(), stored.len().min(limit), "at most {limit}");
        assert_eq!(found, stored[..found.len()]);
    }
    assert_eq!(store.last(&key).await.unwrap().as_ref(), stored.last());
}

/// Reading ends with the last event at every number of events, those among them that fill the pages of an engine.
pub async fn reading_gives_all_at_every_number_of_events(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let mut stored = Vec::new();
    for count in [
        1, 2, 99, 100, 101, 127, 128, 129, 255, 256, 257, 499, 500, 501, 511, 512, 513, 1_000,
        1_001,
    ] {
        let missing = stored.len() as u64..count;
        stored.extend(
            append(&store, &key, ExpectedVersion::Any, missing)
                .await
                .unwrap(),
        );
        let (of_key, all) = (history(&store, &key).await, everything(&store).await);
        assert_eq!((of_key.len(), all.len()), (stored.len(), stored.len()));
        assert_eq!(of_key, stored);
        assert_eq!(all, stored);
        for selection in [
            Selection::subjects(TYPE),
            Selection::aggregate(key.clone()),
            Selection::kinds([key.kind()]),
            Selection::everything().in_partitions([partition(key.id().as_str())]),
        ] {
            let selected = collect(store.read(selection, Bookmark::START)).await;
            assert_eq!(selected.len(), stored.len());
            assert_eq!(selected, stored);
        }
    }
}

/// While a commit is stored nobody sees a part of it, in a history, as a last event, or among everything: neither one who
/// reads beside the writer, nor one who reads between the steps of the writing.
pub async fn nobody_sees_a_part_of_a_commit(provider: impl Provider) {
    const COMMITS: u64 = 15;
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let write = |keys: [AggregateKey; 2]| {
        let store = store.clone();
        async move {
            for _ in 0..COMMITS {
                store.append(of_both(&keys, 30)).await.unwrap();
            }
        }
    };
    let keys = [key(), key()];
    let mut beside = JoinSet::new();
    beside.spawn(write(keys.clone()));
    let mut is_written = false;
    while !is_written {
        if let Some(outcome) = beside.try_join_next() {
            outcome.expect("a writer ends without a panic");
            is_written = true;
        }
        assert_whole_commits(&elsewhere, &keys).await;
    }
    let keys = [key(), key()];
    let mut writing = Box::pin(write(keys.clone()));
    while step(&mut writing).await.is_pending() {
        assert_whole_commits(&elsewhere, &keys).await;
    }
    assert_eq!(everything(&elsewhere).await.len() as u64, 4 * COMMITS * 30);
}

/// Between the steps of an append nobody sees a part of it, and one that its caller gives up is stored whole or not at all.
pub async fn an_append_that_is_given_up_is_whole_or_not_there(provider: impl Provider) {
    const EVENTS: u64 = 12;
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    for steps in 0..12 {
        let keys = [key(), key()];
        let append = store.append(of_both(&keys, EVENTS));
        give_up_after(steps, append, &elsewhere, &keys, EVENTS).await;
        let next = store.append(of_both(&keys, 1)).await.unwrap();
        assert!(
            matches!(next[0].envelope.sequence, 1 | 13),
            "after {steps} steps"
        );
        for key in &keys {
            assert_chained(&history(&elsewhere, key).await);
        }
    }
}

/// A commit refused for its last event leaves no trace: the next one follows as if it had never been.
pub async fn a_refused_commit_leaves_no_trace(provider: impl Provider) {
    let store = provider.open().await;
    let (one, other) = (key(), key());
    let kept = append(&store, &one, ExpectedVersion::NoStream, [1])
        .await
        .unwrap();
    let not_canonical = crate::store::NewEvent::from_payload(TYPE, 1, vec![0xa0, 0x00]);
    let broken = commit()
        .aggregate(
            one.clone(),
            ExpectedVersion::Exactly(1),
            vec![note(2), note(3)],
        )
        .aggregate(
            other.clone(),
            ExpectedVersion::NoStream,
            vec![note(4), not_canonical],
        );
    assert!(store.append(broken).await.is_err());
    let late = commit()
        .aggregate(
            one.clone(),
            ExpectedVersion::Exactly(1),
            vec![note(2), note(3)],
        )
        .aggregate(other.clone(), ExpectedVersion::Exactly(1), vec![note(4)]);
    assert_conflict(store.append(late).await);
    assert_eq!(everything(&store).await, kept);
    assert_eq!(store.last(&one).await.unwrap().as_ref(), kept.last());
    assert_eq!(store.last(&other).await.unwrap(), None);
    let next = append(&store, &one, ExpectedVersion::Exactly(1), [5])
        .await
        .unwrap();
    assert_eq!(next[0].envelope.previous, Some(kept[0].cid));
    append(&store, &other, ExpectedVersion::NoStream, [6])
        .await
        .unwrap();
}

/// A commit with as many events for each of two aggregates.
pub(super) fn of_both(keys: &[AggregateKey; 2], events: u64) -> CommitRequest {
    let notes = || (0..events).map(note).collect();
    let [one, other] = keys.clone();
    commit()
        .aggregate(one, ExpectedVersion::Any, notes())
        .aggregate(other, ExpectedVersion::Any, notes())
}

/// What is read of the aggregates, and everything, ends with a whole commit.
pub(super) async fn assert_whole_commits(store: &impl EventStore, keys: &[AggregateKey; 2]) {
    for key in keys {
        assert_ends_with_a_commit(&history(store, key).await);
        let last = store.last(key).await.unwrap();
        assert_ends_with_a_commit(last.as_slice());
    }
    everything(store).await;
}

fn assert_ends_with_a_commit(events: &[StoredEvent]) {
    if let Some(last) = events.last() {
        let part = last.envelope.commit;
        assert_eq!(part.index, part.of, "a part of a commit is seen");
    }
}

/// Gives up a write of events of two aggregates, or sees it end, after it was polled so many times: then, and for a while
/// after, nobody sees a part of it.
pub(super) async fn give_up_after<T>(
    steps: usize,
    write: impl Future<Output = Result<T, StoreError>> + Send,
    elsewhere: &impl EventStore,
    keys: &[AggregateKey; 2],
    events: u64,
) where
    T: Send,
{
    {
        let mut write = pin!(write);
        for _ in 0..steps {
            match step(&mut write).await {
                Poll::Ready(Ok(_)) => break,
                Poll::Ready(Err(error)) => panic!("{error:?}"),
                Poll::Pending => assert_all_or_nothing(elsewhere, keys, events).await,
            }
        }
    }
    for _ in 0..20 {
        assert_all_or_nothing(elsewhere, keys, events).await;
        yield_now().await;
    }
}

/// The aggregates have all events of one commit or none; what shows in the first shows in the second, which is asked later.
pub(super) async fn assert_all_or_nothing(
    store: &impl EventStore,
    keys: &[AggregateKey; 2],
    events: u64,
) {
    let mut before = 0;
    for key in keys {
        let count = history(store, key).await.len() as u64;
        assert!(
            count == 0 || count == events,
            "{count} of {events} events are seen"
        );
        assert!(
            count >= before,
            "one aggregate has its events and the other has not"
        );
        before = count;
    }
}
