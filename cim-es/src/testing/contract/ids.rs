//! What tells aggregates and types of events apart.

use uuid::Uuid;

use super::Provider;
use super::sample::*;
use crate::domain::aggregate::IdText;
use crate::store::{
    AggregateKey, Bookmark, EventStore, EventStoreExt, ExpectedVersion, Position, Selection,
    Snapshot, SnapshotStore, partition,
};

/// Two kinds of aggregate may have the same id: each has its own history.
pub async fn two_kinds_with_one_id_do_not_mix(provider: impl Provider) {
    let store = provider.open().await;
    let id = Uuid::now_v7().to_string();
    let one_key = key_of_kind("contract.sample", &id);
    let other_key = key_of_kind("contract.example", &id);
    append(&store, &one_key, ExpectedVersion::NoStream, [1, 2])
        .await
        .unwrap();
    append(&store, &other_key, ExpectedVersion::NoStream, [3])
        .await
        .unwrap();
    append(&store, &one_key, ExpectedVersion::Exactly(2), [4])
        .await
        .unwrap();
    let (one, other) = (
        history(&store, &one_key).await,
        history(&store, &other_key).await,
    );
    assert_eq!((numbers(&one), numbers(&other)), (vec![1, 2, 4], vec![3]));
    assert_chained(&one);
    assert_chained(&other);
    for (store_key, events) in [(&one_key, &one), (&other_key, &other)] {
        let last = store.last(store_key).await.unwrap();
        assert_eq!(last.as_ref(), events.last());
    }
    let elsewhere = store.find_in(&one_key, &other[0].cid).await.unwrap();
    assert_eq!(elsewhere, None, "an event of the other kind");
    let found = store.find_in(&other_key, &other[0].cid).await.unwrap();
    assert_eq!(found.as_ref(), other.first());
    // Neither the version of the other kind nor that of both counts.
    for version in [3, 4] {
        let expected = ExpectedVersion::Exactly(version);
        assert_conflict(append(&store, &other_key, expected, [5]).await);
    }
}

/// Kinds and ids whose texts follow on each other in the same way, or differ in the case alone, are apart.
pub async fn kinds_that_look_alike_do_not_mix(provider: impl Provider) {
    let store = provider.open().await;
    let keys = [
        ("contract.sample", "a.b"),
        ("contract.sample.a", "b"),
        ("contract", "sample.a.b"),
        ("contract.Sample", "a.b"),
        ("contract.sampl", "ea.b"),
        ("contract.sample_", "a.b"),
    ];
    let key = |(kind, id)| AggregateKey::new(kind, IdText::new(id).expect("an id has a text"));
    for (number, names) in (0..).zip(keys) {
        let stored = append(&store, &key(names), ExpectedVersion::NoStream, [number]).await;
        stored.unwrap_or_else(|error| panic!("{names:?}: {error}"));
    }
    for (number, names) in (0..).zip(keys) {
        let events = history(&store, &key(names)).await;
        assert_eq!(numbers(&events), [number], "{names:?}");
        assert_eq!(events[0].envelope.aggregate, names.0);
        let last = store.last(&key(names)).await.unwrap();
        assert_eq!(last.as_ref(), events.first(), "{names:?}");
    }
}

/// Types of events that look alike are apart, and each is found under its whole name.
pub async fn types_of_events_that_look_alike_do_not_mix(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let long = format!("contract.sample.{}", "x".repeat(120));
    let types = [
        "contract.sample.moved_on",
        "contract.sample.movedXon",
        "contract.sample.moved",
        "contract.sample.Moved",
        "contract.sample.moved.on",
        "contract.example.moved",
        &format!("{long}a"),
        &format!("{long}b"),
    ];
    for (number, event_type) in (0..).zip(types) {
        let event = event_of_type(event_type, number);
        let request = commit().aggregate(key.clone(), ExpectedVersion::Any, vec![event]);
        let stored = store.append(request).await;
        stored.unwrap_or_else(|error| panic!("{event_type}: {error}"));
    }
    let events = history(&store, &key).await;
    assert_chained(&events);
    for (event, event_type) in events.iter().zip(types) {
        assert_eq!(event.event_type(), event_type);
        let found = store
            .get_events_by_type(event_type, Position::START, 9)
            .await;
        assert_eq!(found.unwrap(), std::slice::from_ref(event), "{event_type}");
    }
    assert_eq!(events.len(), types.len());
}

/// Ids from the world, each of which differs from another one in what a subject, a key or a file may lose.
pub(super) const IDS: [&str; 65] = [
    "ann.lee@example.org",
    "Ann.Lee@example.org",
    "Ann Lee",
    "Ann%20Lee",
    "Ann+Lee",
    "Ann_Lee",
    "2.15.1",
    "2.15",
    "2%2E15",
    "*",
    ">",
    "%",
    "_",
    "a\r\nCid: b",
    "a\0b",
    "a\0c",
    "a\0",
    "a\u{a0}b",
    "a\u{200d}",
    "\u{feff}a",
    "Ä/=~",
    "ä/=~",
    "1",
    "01",
    "1.0",
    "1e0",
    "a",
    "A",
    "\u{ff41}",
    "a ",
    "a\t",
    "a\n",
    " a",
    "ab",
    "aa",
    // Ways in which "a.b" may be written where a dot cannot stand.
    "a.b",
    "a_b",
    "a/b",
    "a-b",
    "a%2Eb",
    "a%2eb",
    "a%252Eb",
    "a=2Eb",
    "a~2Eb",
    "a~b",
    "a\\.b",
    "a\\x2eb",
    "a\\b",
    "a\u{2024}b",
    "a..b",
    "a.b.",
    ".a.b",
    "\u{e9}",
    "e\u{301}",
    "\u{1d11e}",
    "straße",
    "strasse",
    "STRASSE",
    "\u{130}",
    "i\u{307}",
    "\u{212a}",
    "k",
    "K",
    "\u{fb01}",
    "fi",
];

/// Long ids that differ from each other behind a length at which a store may cut them.
fn long_ids() -> impl Iterator<Item = String> {
    [32, 63, 64, 127, 128, 200, 254]
        .into_iter()
        .flat_map(|same| ["a", "b"].map(|end| "x".repeat(same) + end))
}

/// An id is any text: it comes back as it is, and no two of them share events or snapshots.
pub async fn any_text_is_an_id_and_no_two_of_them_mix(provider: impl Provider) {
    let store = provider.open().await;
    let mut long: Vec<_> = long_ids().collect();
    long.push(".".repeat(255));
    let ids = || {
        IDS.into_iter()
            .chain(long.iter().map(String::as_str))
            .zip(0..)
    };
    let key = |id| {
        AggregateKey::new(
            "contract.sample",
            IdText::new(id).expect("an id has a text"),
        )
    };
    for (id, number) in ids() {
        let first = append(&store, &key(id), ExpectedVersion::NoStream, [number]).await;
        let first = first.unwrap_or_else(|error| panic!("{id:?}: {error}"))[0].head();
        let next = commit().aggregate_at(key(id), first, vec![note(number + 1000)]);
        let next = store.append(next).await;
        next.unwrap_or_else(|error| panic!("{id:?}: {error}"));
        let snapshot = Snapshot {
            tag: 1,
            version: first.version,
            last_cid: first.cid,
            position: first.position,
            state: id.as_bytes().to_vec().into(),
        };
        let kept = store.save_snapshot(&key(id), snapshot).await;
        kept.unwrap_or_else(|error| panic!("{id:?}: {error}"));
    }
    for (id, number) in ids() {
        let events = history(&store, &key(id)).await;
        assert_eq!(numbers(&events), [number, number + 1000], "{id:?}");
        assert_chained(&events);
        assert!(events.iter().all(|event| event.envelope.aggregate_id == id));
        let selected = store.read(key(id).into(), Bookmark::START);
        assert_eq!(collect(selected).await, events, "{id:?}");
        let its_partition = Selection::aggregate(key(id)).in_partitions([partition(id)]);
        let in_partition = collect(store.read(its_partition, Bookmark::START)).await;
        assert_eq!(in_partition, events, "{id:?}");
        let last = store.last(&key(id)).await.unwrap();
        assert_eq!(last.as_ref(), events.last(), "{id:?}");
        let snapshot = store.get_latest_snapshot(&key(id), 1).await.unwrap();
        let state = snapshot.map(|snapshot| snapshot.state.to_vec());
        assert_eq!(state.as_deref(), Some(id.as_bytes()), "{id:?}");
    }
}
