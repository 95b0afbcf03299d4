//! What keeps two writers from both winning.

use super::Provider;
use super::sample::*;
use crate::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, StoreError};

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
    let events = history(&store, &key).await;
    assert_eq!(numbers(&events), [1, 2, 3, 4]);
    assert_chained(&events);
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

/// How many aggregates stand in the commits whose guards are tried one by one.
const SEVERAL: u64 = 10;

/// Each aggregate of a commit is guarded, whichever place it has: one that does not stand as expected refuses all of them,
/// and the conflict names it.
pub async fn every_aggregate_of_a_commit_is_guarded(provider: impl Provider) {
    let store = provider.open().await;
    let keys: Vec<_> = (0..SEVERAL).map(|_| key()).collect();
    // Those with an odd number have an event.
    for number in (1..SEVERAL).step_by(2) {
        append_each(&store, &keys[number as usize], [number]).await;
    }
    let foreign = append_each(&store, &key(), [99]).await[0].head();
    let before = everything(&store).await;
    let right = |number: u64| match number % 2 {
        0 => ExpectedVersion::NoStream,
        _ => ExpectedVersion::Exactly(1),
    };
    // With one aggregate that stands elsewhere: at another version, or on the head of another history.
    let with = |wrong: u64, expected: Option<ExpectedVersion>| {
        let mut request = commit();
        for (number, key) in (0..).zip(keys.iter().cloned()) {
            let events = vec![note(number)];
            request = match expected {
                _ if number != wrong => request.aggregate(key, right(number), events),
                Some(expected) => request.aggregate(key, expected, events),
                None => request.aggregate_at(key, foreign, events),
            };
        }
        request
    };
    for number in 0..SEVERAL {
        let wrong = match number % 2 {
            0 => vec![Some(ExpectedVersion::Exactly(1)), None],
            _ => vec![
                Some(ExpectedVersion::NoStream),
                Some(ExpectedVersion::Exactly(2)),
                None,
            ],
        };
        for expected in wrong {
            match store.append(with(number, expected)).await {
                Err(StoreError::Conflict { aggregate, .. }) => {
                    assert_eq!(aggregate, keys[number as usize], "aggregate {number}");
                }
                outcome => panic!("no conflict for aggregate {number} but {outcome:?}"),
            }
            assert_eq!(everything(&store).await, before, "aggregate {number}");
        }
    }
    let whole = with(0, Some(ExpectedVersion::NoStream));
    assert_eq!(store.append(whole).await.unwrap().len(), SEVERAL as usize);
}

/// A store with many aggregates knows where each of them stands.
pub async fn many_aggregates_are_guarded_as_one_is(provider: impl Provider) {
    let store = provider.open().await;
    let keys: Vec<_> = (0..300).map(|_| key()).collect();
    let of_all = |expected: ExpectedVersion, number: u64| {
        let chunks = keys.chunks(100);
        let request = move |keys: &[AggregateKey]| {
            let add = |request: CommitRequest, key: &AggregateKey| {
                request.aggregate(key.clone(), expected, vec![note(number)])
            };
            keys.iter().fold(commit(), add)
        };
        chunks.map(request).collect::<Vec<_>>()
    };
    for (version, expected) in (0..).zip([ExpectedVersion::NoStream, ExpectedVersion::Exactly(1)]) {
        for request in of_all(expected, version) {
            store.append(request).await.unwrap();
        }
    }
    for key in keys.iter().step_by(37) {
        assert_conflict(append(&store, key, ExpectedVersion::NoStream, [7]).await);
        assert_conflict(append(&store, key, ExpectedVersion::Exactly(1), [7]).await);
        let events = history(&store, key).await;
        assert_eq!(numbers(&events), [0, 1]);
        assert_chained(&events);
    }
    // One of a hundred that is stale refuses them all, wherever it stands.
    for stale in [0, 1, 49, 50, 63, 64, 98, 99] {
        let request = (0..100).fold(commit(), |request, place| {
            let version = if place == stale { 1 } else { 2 };
            let expected = ExpectedVersion::Exactly(version);
            request.aggregate(keys[place].clone(), expected, vec![note(9)])
        });
        match store.append(request).await {
            Err(StoreError::Conflict { aggregate, .. }) => assert_eq!(aggregate, keys[stale]),
            outcome => panic!("no conflict at {stale} but {outcome:?}"),
        }
    }
    assert_eq!(everything(&store).await.len(), 600);
}
