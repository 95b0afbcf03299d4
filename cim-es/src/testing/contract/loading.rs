//! What a repository loads from a store: from a snapshot, as of a moment, all of a kind, and the events of a subject.

use super::Provider;
use super::counter::{Counter, CounterCommand, CounterEvent, add, builder, execute, repository};
use super::sample::{append, key};
use crate::domain::aggregate::Id;
use crate::domain::message::{FixedClock, Timestamp};
use crate::repository::{At, LoadError, Recorded};
use crate::store::{AggregateKey, ExpectedVersion, Position, Snapshot, SnapshotStore};

use CounterCommand::{Close, SetLimit};

/// The events of one subject come typed, over all aggregates of the kind, in the store's order.
pub async fn events_of_a_subject_come_typed_and_in_order(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let ids = [Id::new(), Id::new()];
    for amount in 1..=6 {
        add(&counters, &ids[amount as usize % 2], amount)
            .await
            .unwrap();
        execute(
            &counters,
            &ids[0],
            SetLimit {
                limit: 100 + amount,
            },
        )
        .await
        .unwrap();
    }
    let subject = crate::subject!(CounterEvent, "contract.counter.added");
    let added = counters
        .events_of(subject, Position::START, 4)
        .await
        .unwrap();
    let amounts = |recorded: &[Recorded<CounterEvent>]| {
        let amount = |recorded: &Recorded<CounterEvent>| match recorded.event {
            CounterEvent::Added { amount } => amount,
            _ => 0,
        };
        recorded.iter().map(amount).collect::<Vec<_>>()
    };
    assert_eq!(amounts(&added), [1, 2, 3, 4]);
    let rest = counters
        .events_of(subject, added[3].stored.position, 100)
        .await
        .unwrap();
    assert_eq!(amounts(&rest), [5, 6]);
}

/// Every aggregate of a kind is loaded as it would be by itself, in the order of the first events; those of other kinds
/// are passed over.
pub async fn all_aggregates_of_a_kind_are_loaded_at_once(provider: impl Provider) {
    let store = provider.open().await;
    let counters = repository(&store);
    let ids = [Id::new(), Id::new(), Id::new()];
    for (place, id) in [2, 0, 2, 1, 0, 2].into_iter().enumerate() {
        add(&counters, &ids[id], 1 + place as u64).await.unwrap();
        append(&store, &key(), ExpectedVersion::NoStream, [1])
            .await
            .unwrap();
    }
    execute(&counters, &ids[1], Close).await.unwrap();
    let all = counters.load_all().await.unwrap();
    let found: Vec<_> = all.iter().map(|(id, _)| *id).collect();
    assert_eq!(found, [ids[2], ids[0], ids[1]]);
    for (id, root) in all {
        let alone = counters.load(&id).await.unwrap();
        assert_eq!((root.head(), &*root), (alone.head(), &*alone));
    }
}

/// A load from a snapshot gives what a load of the whole history gives.
pub async fn a_snapshot_plus_the_rest_is_the_whole(provider: impl Provider) {
    let store = provider.open().await;
    let counters = builder(&store).snapshot_threshold(4).build();
    let id = Id::new();
    let key = AggregateKey::of::<Counter>(&id).unwrap();
    for amount in 1..=10 {
        add(&counters, &id, amount).await.unwrap();
        let from_snapshot = repository(&store).load(&id).await.unwrap();
        let whole = builder(&store)
            .without_snapshots()
            .build()
            .load(&id)
            .await
            .unwrap();
        assert_eq!(*from_snapshot, *whole);
        assert_eq!((whole.version(), whole.total), (amount, (1..=amount).sum()));
        assert_eq!(from_snapshot.head(), whole.head());
    }
    let tag = tag_of(&store, &key).await;
    assert_eq!(
        store
            .get_latest_snapshot(&key, tag)
            .await
            .unwrap()
            .unwrap()
            .version,
        8
    );
}

/// A snapshot whose event is not in the history, or whose bytes do not decode, changes no answer.
pub async fn a_snapshot_that_does_not_fit_is_ignored(provider: impl Provider) {
    let store = provider.open().await;
    let counters = builder(&store).snapshot_threshold(2).build();
    let (id, other) = (Id::new(), Id::new());
    for amount in [1, 2, 3] {
        add(&counters, &id, amount).await.unwrap();
        add(&counters, &other, amount * 100).await.unwrap();
    }
    let key = AggregateKey::of::<Counter>(&id).unwrap();
    let tag = tag_of(&store, &key).await;
    let foreign = AggregateKey::of::<Counter>(&other).unwrap();
    let foreign = store
        .get_latest_snapshot(&foreign, tag)
        .await
        .unwrap()
        .unwrap();
    let fitting = store.get_latest_snapshot(&key, tag).await.unwrap().unwrap();
    let unreadable = Snapshot {
        state: vec![0xff; 9].into(),
        version: 3,
        ..fitting.clone()
    };
    let too_new = Snapshot {
        version: 77,
        ..fitting
    };
    for snapshot in [foreign, unreadable, too_new] {
        store.save_snapshot(&key, snapshot).await.unwrap();
        let loaded = repository(&store).load(&id).await.unwrap();
        assert_eq!((loaded.version(), loaded.total), (3, 6));
    }
}

/// The tag under which the repository keeps snapshots of counters.
async fn tag_of(store: &impl SnapshotStore, key: &AggregateKey) -> u64 {
    let tag = crate::repository::snapshot_tag::<Counter>();
    assert!(
        store.get_latest_snapshot(key, tag).await.unwrap().is_some(),
        "no snapshot was written"
    );
    tag
}

/// An aggregate loads as it was after a version, at a time, and after an event.
pub async fn an_aggregate_loads_as_it_was(provider: impl Provider) {
    let store = provider.open().await;
    let id = Id::new();
    let second = |n: i64| Timestamp::from_micros(1_767_225_600_000_000 + n * 1_000_000);
    let mut cids = Vec::new();
    for number in 1..=6_i64 {
        let clock = FixedClock(second(number * 10));
        let counters = builder(&store).clock(clock).snapshot_threshold(4).build();
        let commit = add(&counters, &id, number as u64).await.unwrap();
        cids.push(commit.events()[0].cid);
    }
    let counters = repository(&store);
    let total = async |at: At| counters.load_at(&id, at).await.map(|root| root.total);
    for version in 0..=6_u64 {
        let expected = (1..=version).sum::<u64>();
        assert_eq!(total(At::Version(version)).await.unwrap(), expected);
        assert_eq!(
            total(At::Time(second(version as i64 * 10))).await.unwrap(),
            expected
        );
        assert_eq!(
            total(At::Time(second(version as i64 * 10 + 9)))
                .await
                .unwrap(),
            expected
        );
        if version > 0 {
            assert_eq!(
                total(At::Cid(cids[version as usize - 1])).await.unwrap(),
                expected
            );
        }
    }
    let past = total(At::Version(7)).await;
    assert!(
        matches!(
            past,
            Err(LoadError::NoSuchVersion {
                asked: 7,
                found: 6,
                ..
            })
        ),
        "{past:?}"
    );
    let elsewhere = add(&counters, &Id::new(), 1).await.unwrap().events()[0].cid;
    let foreign = total(At::Cid(elsewhere)).await;
    assert!(
        matches!(foreign, Err(LoadError::NoSuchEvent { .. })),
        "{foreign:?}"
    );
    let history = counters.history(&id).await.unwrap();
    let expected: Vec<_> = (1..=6)
        .map(|amount| CounterEvent::Added { amount })
        .collect();
    assert_eq!(
        history
            .iter()
            .map(|recorded| recorded.event.clone())
            .collect::<Vec<_>>(),
        expected
    );
}
