//! What a selection gives, and which versions a history.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt};
use uuid::Uuid;

use super::Provider;
use super::sample::*;
use crate::block::StoredEvent;
use crate::domain::subject::Subjects;
use crate::store::{
    AggregateKey, Bookmark, EventStore, EventStoreExt, ExpectedVersion, Head, PARTITIONS, Position,
    Selection, SelectionError, StoreError, Versions, partition,
};

const OTHER_KIND: &str = "contract.example";

/// Events of two kinds and two types over several aggregates, some of which share an id.
async fn mixed(store: &impl EventStore, count: u64) -> (Vec<AggregateKey>, Vec<StoredEvent>) {
    let ids: Vec<_> = (0..4).map(|_| Uuid::now_v7().to_string()).collect();
    let kinds = ["contract.sample", OTHER_KIND];
    let keys: Vec<_> = (ids.iter())
        .flat_map(|id| kinds.map(|kind| key_of_kind(kind, id)))
        .collect();
    let mut stored = Vec::new();
    for number in 0..count {
        let event_type = [TYPE, TYPE, OTHER_TYPE][number as usize % 3];
        let key = keys[(number * 5) as usize % keys.len()].clone();
        let events = vec![event_of_type(event_type, number)];
        let request = commit().aggregate(key, ExpectedVersion::Any, events);
        stored.extend(store.append(request).await.expect("it is stored"));
    }
    (keys, stored)
}

/// Each selection gives what it says, in the store's order, from the start and from behind any event, and no more.
pub async fn a_selection_gives_what_it_says_and_no_more(provider: impl Provider) {
    let store = provider.open().await;
    let (keys, all) = mixed(&store, 60).await;
    let mine = keys[0].clone();
    let is_mine = move |event: &StoredEvent| mine.has(event);
    let in_partition = |event: &StoredEvent| partition(&event.envelope.aggregate_id);
    let first_partition = in_partition(&all[0]);
    type Wanted = Box<dyn Fn(&StoredEvent) -> bool>;
    let cases: Vec<(Selection, Wanted)> = vec![
        (Selection::everything(), Box::new(|_| true)),
        (
            Selection::subjects(TYPE),
            Box::new(|event| event.event_type() == TYPE),
        ),
        (
            Selection::subjects(Subjects::from(OTHER_TYPE).and("contract.*.never")),
            Box::new(|event| event.event_type() == OTHER_TYPE),
        ),
        (Selection::subjects("contract.>"), Box::new(|_| true)),
        (Selection::subjects("contract.sample.*"), Box::new(|_| true)),
        (
            // Neither covers the other, and they have a subject in common.
            Selection::subjects(Subjects::from("contract.*.noted").and("contract.sample.*")),
            Box::new(|_| true),
        ),
        (
            Selection::kinds([OTHER_KIND]),
            Box::new(|event| event.envelope.aggregate == OTHER_KIND),
        ),
        (
            Selection::kinds([OTHER_KIND, "contract.sample"]),
            Box::new(|_| true),
        ),
        (Selection::kinds(["contract.never"]), Box::new(|_| false)),
        (Selection::aggregate(keys[0].clone()), Box::new(is_mine)),
        (Selection::aggregate(key()), Box::new(|_| false)),
        (
            Selection::everything().in_partitions([first_partition]),
            Box::new(move |event| in_partition(event) == first_partition),
        ),
        (
            Selection::subjects(TYPE).in_partitions(0..PARTITIONS / 2),
            Box::new(move |event| {
                event.event_type() == TYPE && in_partition(event) < PARTITIONS / 2
            }),
        ),
        (
            Selection::subjects("contract.sample.never"),
            Box::new(|_| false),
        ),
    ];
    for (selection, is_wanted) in cases {
        let wanted: Vec<_> = all
            .iter()
            .filter(|event| is_wanted(event))
            .cloned()
            .collect();
        let read = collect(store.read(selection.clone(), Bookmark::START)).await;
        assert_eq!(read, wanted, "{selection}");
        for event in [&all[0], &all[31], &all[59]] {
            let read = collect(store.read(selection.clone(), event.bookmark())).await;
            let behind = |other: &&StoredEvent| other.position > event.position;
            let behind: Vec<_> = wanted.iter().filter(behind).cloned().collect();
            assert_eq!(read, behind, "{selection} behind {}", event.position);
        }
    }
}

/// The partitions part the events: each event is in one of them, in order.
pub async fn the_partitions_together_are_everything(provider: impl Provider) {
    let store = provider.open().await;
    let (_, all) = mixed(&store, 30).await;
    let mut numbers = BTreeSet::new();
    let quarter = PARTITIONS / 4;
    for first in (0..PARTITIONS).step_by(usize::from(quarter)) {
        let selection = Selection::everything().in_partitions(first..first + quarter);
        let events = collect(store.read(selection, Bookmark::START)).await;
        assert!(events.is_sorted_by(|one, next| one.position < next.position));
        for event in &events {
            assert!(
                numbers.insert(number(event)),
                "an event is in two partitions"
            );
        }
    }
    assert_eq!(numbers.len(), all.len());
}

/// Long lists come whole, whatever the size of the pages in which an engine reads them.
pub async fn a_selection_over_many_pages_is_whole(provider: impl Provider) {
    let store = provider.open().await;
    let keys = [key(), key()];
    let mut stored = Vec::new();
    for start in (0..1_400).step_by(100) {
        let numbers = start..start + 100;
        let of = |number| match number % 7 {
            0 => event_of_type(OTHER_TYPE, number),
            _ => note(number),
        };
        let events = numbers.map(of).collect();
        let key = keys[start as usize / 100 % 2].clone();
        let request = commit().aggregate(key, ExpectedVersion::Any, events);
        stored.extend(store.append(request).await.expect("it is stored"));
    }
    for event_type in [TYPE, OTHER_TYPE] {
        let is_wanted = |event: &&StoredEvent| event.event_type() == event_type;
        let wanted: Vec<_> = stored.iter().filter(is_wanted).cloned().collect();
        let selection = Selection::subjects(event_type);
        let read = collect(store.read(selection, Bookmark::START)).await;
        assert_eq!(read, wanted, "{event_type}");
    }
    let of_one = |event: &&StoredEvent| keys[1].has(event);
    let wanted: Vec<_> = stored.iter().filter(of_one).cloned().collect();
    let selection = Selection::aggregate(keys[1].clone());
    assert_eq!(
        collect(store.read(selection, Bookmark::START)).await,
        wanted
    );
}

/// Who follows a selection gets what was and what comes of it, and nothing else.
pub async fn a_followed_selection_gives_what_was_and_what_comes(provider: impl Provider) {
    let store = provider.open().await;
    let (keys, all) = mixed(&store, 12).await;
    let is_other = |event: &&StoredEvent| event.event_type() == OTHER_TYPE;
    let was: Vec<_> = all.iter().filter(is_other).cloned().collect();
    let mut of_type = store.follow(Selection::subjects(OTHER_TYPE), Bookmark::START);
    assert_eq!(take(&mut of_type, was.len()).await, was);
    let selection = Selection::aggregate(keys[0].clone());
    let mut of_one = store.follow(selection, all[11].bookmark());
    let of_partition = |key: &AggregateKey| {
        let selection = Selection::everything().in_partitions([partition(key.id().as_str())]);
        store.follow(selection, all[11].bookmark())
    };
    // Two kinds have one id, and so one partition.
    let mut in_partition = of_partition(&keys[0]);
    let in_another = keys
        .iter()
        .find(|key| partition(key.id().as_str()) != partition(keys[0].id().as_str()));
    let mut of_kind = store.follow(Selection::kinds([OTHER_KIND]), all[11].bookmark());
    for number in 100..103 {
        if let Some(key) = in_another {
            append_each(&store, key, [number]).await;
        }
        let other_kind = append_each(&store, &keys[1], [number]).await;
        let kind_only = |event: &StoredEvent| event.envelope.aggregate == OTHER_KIND;
        let mut expected = Vec::new();
        if let Some(key) = in_another.filter(|key| key.kind() == OTHER_KIND) {
            expected.push(store.last(key).await.unwrap().expect("it has events"));
        }
        expected.extend(other_kind.iter().cloned());
        let given = take_until(&mut of_kind, &other_kind[0]).await;
        assert!(given.iter().all(kind_only), "an event of another kind");
        assert_eq!(given, expected);
        assert_eq!(
            take_until(&mut in_partition, &other_kind[0]).await,
            other_kind
        );
        let events = vec![event_of_type(OTHER_TYPE, number)];
        let request = commit().aggregate(keys[0].clone(), ExpectedVersion::Any, events);
        let stored = store.append(request).await.expect("it is stored");
        assert_eq!(take(&mut of_type, 1).await, stored);
        assert_eq!(take(&mut of_one, 1).await, stored);
        assert_eq!(take(&mut in_partition, 1).await, stored);
    }
}

/// A selection that can match nothing is an error, whether it is read or followed, and not an empty answer.
pub async fn a_selection_of_nothing_is_an_error(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    append_each(&store, &key, 1..=2).await;
    let own = partition(key.id().as_str());
    let elsewhere = (0..PARTITIONS).filter(|partition| *partition != own);
    let none: Vec<&'static str> = Vec::new();
    let selections = [
        Selection::subjects("contract.>.noted"),
        Selection::subjects("contract..noted"),
        Selection::subjects(Subjects::default()),
        Selection::kinds(none),
        Selection::kinds(["contract.*"]),
        Selection::everything().in_partitions([]),
        Selection::everything()
            .in_partitions([0])
            .in_partitions([1]),
        Selection::everything().in_partitions([PARTITIONS]),
        Selection::aggregate(key).in_partitions(elsewhere),
    ];
    for selection in selections {
        for mut stream in [
            store.read(selection.clone(), Bookmark::START),
            store.follow(selection.clone(), Bookmark::START),
        ] {
            let first = stream.next().await;
            let is_told = matches!(first, Some(Err(StoreError::NothingSelected(_))));
            assert!(is_told, "{selection} gave {first:?}");
            assert!(stream.next().await.is_none(), "an error ends the stream");
        }
    }
    let wildcard = store
        .get_events_by_type("contract.>", Position::START, 9)
        .await;
    let is_told = matches!(
        wildcard,
        Err(StoreError::NothingSelected(SelectionError::Type { .. }))
    );
    assert!(is_told, "{wildcard:?}");
}

/// A history has a lower and an upper bound, in the middle of a commit too, and begins at an event that is known.
pub async fn a_history_has_two_bounds(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    append(&store, &key, ExpectedVersion::NoStream, 1..=3)
        .await
        .unwrap();
    append_each(&store, &key_of_kind(OTHER_KIND, key.id().as_str()), 90..=91).await;
    append(&store, &key, ExpectedVersion::Exactly(3), 4..=7)
        .await
        .unwrap();
    let all = history(&store, &key).await;
    for first in 0..=9_u64 {
        for last in 0..=9_u64 {
            let versions = Versions::starting_at(first).up_to(last);
            let events: Vec<_> = store.history(&key, versions).try_collect().await.unwrap();
            let expected: Vec<_> = (first.max(1)..=last.min(7)).collect();
            assert_eq!(numbers(&events), expected, "{first} to {last}");
        }
    }
    for known in &all {
        let versions = Versions::starting_with(&known.head());
        let on = store.get_versions(&key, versions).await.unwrap();
        assert_eq!(on[0], *known);
        assert_eq!(on.len() as u64, 8 - known.envelope.sequence);
        let next = known.envelope.sequence + 1;
        let two = store
            .get_versions(&key, versions.up_to(next))
            .await
            .unwrap();
        assert_eq!(two[..], on[..on.len().min(2)]);
        // What is known wrongly counts by its version.
        let another = all
            .iter()
            .find(|other| other.cid != known.cid)
            .expect("there are seven");
        let wrong = Head {
            version: known.envelope.sequence,
            ..another.head()
        };
        let versions = Versions::starting_with(&wrong);
        assert_eq!(store.get_versions(&key, versions).await.unwrap(), on);
    }
    let beyond = Head {
        version: 8,
        ..all[6].head()
    };
    let none = store
        .get_versions(&key, Versions::starting_with(&beyond))
        .await;
    assert_eq!(none.unwrap(), []);
}

/// An event is found in its aggregate by its CID, and in no other.
pub async fn an_event_is_found_in_its_aggregate(provider: impl Provider) {
    let store = provider.open().await;
    let (mine, other) = (key(), key());
    let stored = append_each(&store, &mine, 1..=3).await;
    append_each(&store, &other, [4]).await;
    for event in &stored {
        let found = store.find_in(&mine, &event.cid).await.unwrap();
        assert_eq!(found.as_ref(), Some(event));
        assert_eq!(store.find_in(&other, &event.cid).await.unwrap(), None);
    }
}
