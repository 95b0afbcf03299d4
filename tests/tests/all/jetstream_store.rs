//! What the distributed engine promises beside the contract: subjects, guards, loading, what it leaves behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::jetstream::sample::*;
use crate::jetstream::{ask, consumers, open, options};
use async_nats::{Client, Message, Subscriber};
use cim_es::block::StoredEvent;
use cim_es::jetstream::{EventStoreConfig, JetStreamEventStore, JetStreamOptions};
use cim_es::prelude::*;
use cim_es::repository::LoadError;
use cim_es::store::*;
use cim_es_tests::nats::{Server, User};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

async fn client() -> Client {
    Server::shared().connect(User::Operator).await
}

async fn store() -> JetStreamEventStore {
    open(client().await, &options(1)).await
}

async fn next(subscriber: &mut Subscriber) -> Message {
    let message = timeout(Duration::from_secs(5), subscriber.next()).await;
    message.expect("a message comes").expect("it goes on")
}

async fn is_silent(subscriber: &mut Subscriber) -> bool {
    let message = timeout(Duration::from_millis(200), subscriber.next()).await;
    message.is_err()
}

#[tokio::test]
async fn a_plain_subscriber_gets_committed_events_and_no_refused_one() {
    let stream = format!("t{}", Uuid::now_v7().simple());
    let domain = format!("d{}", Uuid::now_v7().simple());
    let config = EventStoreConfig::new(&stream, [format!("{domain}.>")]);
    let options = JetStreamOptions::new(config).stored_subjects(stream.parse().unwrap());
    let client = client().await;
    let store = open(client.clone(), &options).await;
    let event_type = format!("{domain}.compute.registered");
    let mut one = client.subscribe(event_type.clone()).await.unwrap();
    let mut all = client.subscribe(format!("{domain}.>")).await.unwrap();
    client.flush().await.unwrap();
    let key = key();
    let append = async |expected, number| {
        let events = vec![event(&event_type, number)];
        store
            .append(commit().aggregate(key.clone(), expected, events))
            .await
    };
    let stored = append(ExpectedVersion::NoStream, 1).await.unwrap();
    let refused = append(ExpectedVersion::NoStream, 2).await;
    assert!(refused.is_err_and(|error| error.is_conflict()));
    for subscriber in [&mut one, &mut all] {
        let message = next(subscriber).await;
        assert_eq!(message.subject.as_str(), event_type);
        assert_eq!(message.payload, *stored[0].body());
        let headers = message.headers.unwrap();
        assert_eq!(
            headers.get("Cid").unwrap().as_str(),
            stored[0].cid.to_string()
        );
        assert_eq!(headers.get("Nats-Sequence").unwrap().as_str(), "1");
        assert!(is_silent(subscriber).await);
    }
    client
        .publish(event_type.clone(), "stray".into())
        .await
        .unwrap();
    assert_eq!(next(&mut one).await.payload, "stray");
    assert_eq!(history(&store, &key).await, stored);
    assert_eq!(store.read_all(Position::START).count().await, 1);
}

#[tokio::test]
async fn several_domains_in_one_stream_keep_their_public_subjects() {
    let stream = format!("t{}", Uuid::now_v7().simple());
    let domains = ["one", "two"].map(|name| format!("{name}{}", Uuid::now_v7().simple()));
    let public = domains.each_ref().map(|domain| format!("{domain}.>"));
    let options = JetStreamOptions::new(EventStoreConfig::new(&stream, public))
        .stored_subjects(stream.parse().unwrap());
    let client = client().await;
    let store = open(client.clone(), &options).await;
    for domain in &domains {
        let event_type = format!("{domain}.thing.made");
        let mut subscriber = client.subscribe(event_type.clone()).await.unwrap();
        client.flush().await.unwrap();
        let events = vec![event(&event_type, 1)];
        let commit = commit().aggregate(key(), ExpectedVersion::NoStream, events);
        store.append(commit).await.unwrap();
        assert_eq!(next(&mut subscriber).await.subject.as_str(), event_type);
    }
    let elsewhere = commit().aggregate(
        key(),
        ExpectedVersion::Any,
        vec![event("three.thing.made", 1)],
    );
    let outcome = store.append(elsewhere).await;
    assert!(
        matches!(outcome, Err(StoreError::InvalidCommit { .. })),
        "{outcome:?}"
    );
}

/// Notes at which versions snapshots were written.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<u64>>>);

#[async_trait::async_trait]
impl SnapshotStore for Noted {
    async fn save_snapshot(&self, _: &AggregateKey, snapshot: Snapshot) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(snapshot.version);
        Ok(())
    }

    async fn get_latest_snapshot(
        &self,
        _: &AggregateKey,
        _: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_repository_writes_snapshots_as_often_as_the_stream_is_configured_to() {
    let stream = EventStoreConfig {
        snapshot_threshold: 2,
        ..EventStoreConfig::new(format!("t{}", Uuid::now_v7().simple()), ["contract.>"])
    };
    let prefix = stream.stream_name.parse().unwrap();
    let options = JetStreamOptions::new(stream).stored_subjects(prefix);
    let noted = Noted::default();
    let store = open(client().await, &options).await;
    let store = store.with_snapshots(Arc::new(noted.clone()));
    let tallies = cim_es::Repository::<Tally>::new(store);
    let id = Id::new();
    for number in 0..5 {
        let identity = MessageIdentity::new_from_user("test");
        let command = TallyCommand::Count { number };
        tallies.execute(&id, command, &identity).await.unwrap();
    }
    assert_eq!(*noted.0.lock().unwrap(), [2, 4]);
}

/// Everything that is published under a stream's stored subjects, with the guard on it.
async fn published(client: &Client, store: &JetStreamEventStore) -> Subscriber {
    let filter = format!("{}.>", store.subjects().prefix());
    let subscriber = client.subscribe(filter).await.unwrap();
    client.flush().await.unwrap();
    subscriber
}

fn guard_of(message: &Message) -> Option<(String, String)> {
    let headers = message.headers.as_ref()?;
    let subject = headers.get("Nats-Expected-Last-Subject-Sequence-Subject")?;
    let sequence = headers.get("Nats-Expected-Last-Subject-Sequence")?;
    Some((subject.to_string(), sequence.to_string()))
}

#[tokio::test]
async fn every_write_path_sends_the_guard_of_the_aggregate() {
    let (client, store) = (client().await, store().await);
    let mut publishes = published(&client, &store).await;
    let (one, other) = (key(), key());
    let guard = |key: &AggregateKey, sequence: u64| {
        Some((store.subjects().guard(key.id()), sequence.to_string()))
    };
    let single = commit().aggregate(one.clone(), ExpectedVersion::Any, notes([1]));
    let head = store.append(single).await.unwrap()[0].head();
    assert_eq!(guard_of(&next(&mut publishes).await), guard(&one, 0));
    let warm = commit().aggregate_at(one.clone(), head, notes([2]));
    store.append(warm).await.unwrap();
    assert_eq!(guard_of(&next(&mut publishes).await), guard(&one, 1));
    let batch = commit().aggregate(one.clone(), ExpectedVersion::Exactly(2), notes([3, 4]));
    store.append(batch).await.unwrap();
    assert_eq!(guard_of(&next(&mut publishes).await), guard(&one, 2));
    assert_eq!(guard_of(&next(&mut publishes).await), None);
    let both = commit()
        .aggregate(one.clone(), ExpectedVersion::Any, notes([5]))
        .aggregate(other.clone(), ExpectedVersion::NoStream, notes([6]));
    store.append(both).await.unwrap();
    assert_eq!(guard_of(&next(&mut publishes).await), guard(&one, 4));
    assert_eq!(guard_of(&next(&mut publishes).await), guard(&other, 0));
}

#[tokio::test]
async fn headers_repeat_the_envelope_in_text() {
    let (client, store) = (client().await, store().await);
    let mut publishes = published(&client, &store).await;
    let key = key();
    let cause = store.append(commit().aggregate(key.clone(), ExpectedVersion::Any, notes([1])));
    let cause = cause.await.unwrap().remove(0);
    next(&mut publishes).await;
    let with_parents = notes([2]).remove(0).with_parents([cause.cid]);
    let stored = store.append(commit().aggregate(key, ExpectedVersion::Any, vec![with_parents]));
    let stored = stored.await.unwrap().remove(0);
    let headers = next(&mut publishes).await.headers.unwrap();
    let envelope = &stored.envelope;
    for (name, value) in [
        ("Cid", stored.cid.to_string()),
        ("Nats-Msg-Id", stored.cid.to_string()),
        ("Previous-Cid", cause.cid.to_string()),
        ("Parent-0", cause.cid.to_string()),
        ("Aggregate-Id", envelope.aggregate_id.clone()),
        ("Event-Type", NOTED.to_owned()),
        ("Correlation-Id", envelope.correlation_id.to_string()),
        ("Causation-Id", envelope.causation_id.to_string()),
    ] {
        assert_eq!(headers.get(name).unwrap().as_str(), value, "{name}");
    }
}

#[tokio::test]
async fn two_kinds_with_one_id_share_a_guard_and_a_commit() {
    let store = store().await;
    let id = Uuid::now_v7().to_string();
    let one = key_of("contract.sample", &id);
    let other = key_of("contract.other", &id);
    let both = || {
        commit()
            .aggregate(one.clone(), ExpectedVersion::Any, notes([1, 2]))
            .aggregate(
                other.clone(),
                ExpectedVersion::Any,
                vec![event("contract.other.made", 3)],
            )
    };
    store.append(both()).await.unwrap();
    let head = store.last(&one).await.unwrap().unwrap().head();
    store.append(both()).await.unwrap();
    let stale = commit().aggregate_at(one.clone(), head, notes([9]));
    assert!(store.append(stale).await.unwrap_err().is_conflict());
    let only_other = commit().aggregate(
        other.clone(),
        ExpectedVersion::Exactly(2),
        vec![event("contract.other.made", 4)],
    );
    store.append(only_other).await.unwrap();
    let head = store.last(&one).await.unwrap().unwrap().head();
    assert_eq!(head.version, 4);
    let right = commit().aggregate_at(one.clone(), head, notes([5]));
    store.append(right).await.unwrap();
    assert_eq!(numbers(&history(&store, &one).await), [1, 2, 1, 2, 5]);
    assert_eq!(numbers(&history(&store, &other).await), [3, 3, 4]);
}

#[tokio::test]
async fn a_history_is_read_by_its_literal_subjects_and_in_order() {
    let store = store().await;
    let key = tally();
    for number in 0..10 {
        let events = vec![counted(number), cleared(), counted(number)];
        let commit = commit().aggregate(key.clone(), ExpectedVersion::Any, events);
        store.append(commit).await.unwrap();
    }
    let events = history(&store, &key).await;
    let sequences: Vec<_> = events.iter().map(|event| event.envelope.sequence).collect();
    assert_eq!(sequences, (1..=30).collect::<Vec<_>>());
    assert_eq!(store.get_events(&key, 29).await.unwrap(), events[28..]);
    assert_eq!(
        store
            .get_versions(&key, Versions::starting_with(&events[20].head()))
            .await
            .unwrap(),
        events[20..]
    );
    assert_eq!(
        store
            .get_versions(&key, Versions::starting_with(&events[29].head()))
            .await
            .unwrap(),
        events[29..]
    );
}

#[tokio::test]
async fn a_known_event_that_stands_elsewhere_changes_no_answer() {
    let store = store().await;
    let (key, elsewhere) = (tally(), tally());
    let append = async |key: &AggregateKey, number| {
        let commit = commit().aggregate(key.clone(), ExpectedVersion::Any, vec![counted(number)]);
        store.append(commit).await.unwrap()
    };
    for number in 0..3 {
        append(&key, number).await;
        append(&elsewhere, number).await;
    }
    let events = history(&store, &key).await;
    let foreign = history(&store, &elsewhere).await[1].head();
    assert_eq!(
        store
            .get_versions(&key, Versions::starting_with(&foreign))
            .await
            .unwrap(),
        events[1..]
    );
    let past = Head {
        version: 9,
        ..foreign
    };
    assert_eq!(
        store
            .get_versions(&key, Versions::starting_with(&past))
            .await
            .unwrap(),
        []
    );
    let beyond = Head {
        position: Position(1_000),
        version: 2,
        ..foreign
    };
    let nowhere = Head {
        position: Position::START,
        ..beyond
    };
    for known in [beyond, nowhere] {
        let from_two = store
            .get_versions(&key, Versions::starting_with(&known))
            .await
            .unwrap();
        assert_eq!(from_two, events[1..]);
    }
}

#[tokio::test]
async fn an_event_of_an_unknown_operation_is_noticed() {
    let store = store().await;
    let id = Id::<Tally>::new();
    let key = AggregateKey::of::<Tally>(&id).unwrap();
    let unknown = event("contract.tally.doubled", 1);
    for events in [vec![counted(1)], vec![unknown], vec![counted(2)]] {
        let commit = commit().aggregate(key.clone(), ExpectedVersion::Any, events);
        store.append(commit).await.unwrap();
        let events = history(&store, &key).await;
        assert_eq!(
            events.last().map(StoredEvent::head),
            store.last(&key).await.unwrap().map(|last| last.head())
        );
    }
    assert_eq!(numbers(&history(&store, &key).await), [1, 1, 2]);
    let loaded = cim_es::Repository::<Tally>::new(store).load(&id).await;
    assert!(
        matches!(loaded, Err(LoadError::Unreadable { version: 2, .. })),
        "{:?}",
        loaded.map(|_| ())
    );
}

#[tokio::test]
async fn a_long_history_is_read_whole_and_leaves_no_consumer() {
    let (client, store) = (client().await, store().await);
    let (declared, by_name) = (tally(), key());
    for start in (0..3_000).step_by(1_000) {
        let numbers = start..start + 1_000;
        let events = numbers.clone().map(counted).collect();
        let request = commit().aggregate(declared.clone(), ExpectedVersion::Any, events);
        store.append(request).await.unwrap();
        let request = commit().aggregate(by_name.clone(), ExpectedVersion::Any, notes(numbers));
        store.append(request).await.unwrap();
    }
    for key in [declared, by_name] {
        let events = history(&store, &key).await;
        assert_eq!(numbers(&events), (0..3_000).collect::<Vec<_>>());
        let known = events[2_990].head();
        assert_eq!(
            store
                .get_versions(&key, Versions::starting_with(&known))
                .await
                .unwrap(),
            events[2_990..]
        );
    }
    assert_eq!(consumers(&client, store.stream_name()).await, 0);
}

#[tokio::test]
async fn an_event_is_found_by_its_cid_wherever_it_stands() {
    let (client, store) = (client().await, store().await);
    let mut stored = Vec::new();
    // More than are looked at first.
    for _ in 0..9 {
        let request = commit().aggregate(key(), ExpectedVersion::Any, notes(0..500));
        stored.extend(store.append(request).await.unwrap());
    }
    for position in [0, 403, 404, 405, 2_000, 4_499] {
        let cold = JetStreamEventStore::open(client.clone(), options_of(&store));
        let found = cold.await.unwrap().find(&stored[position].cid).await;
        assert_eq!(
            found.unwrap().as_ref(),
            Some(&stored[position]),
            "{position}"
        );
    }
    let payload = &stored[0].envelope.payload;
    assert_eq!(store.find(payload).await.unwrap(), None);
}

#[tokio::test]
async fn reading_leaves_no_consumer_behind() {
    let (client, store) = (client().await, store().await);
    let key = key();
    let request = commit().aggregate(key, ExpectedVersion::Any, notes(0..50));
    let stored = store.append(request).await.unwrap();
    for _ in 0..20 {
        assert_eq!(store.read_all(Position::START).count().await, 50);
        let some = store
            .get_events_by_type(NOTED, Position::START, 10)
            .await
            .unwrap();
        assert_eq!(some, stored[..10]);
        let mut unfinished = store.read_all(Position::START);
        unfinished.next().await.unwrap().unwrap();
        let mut following = store.subscribe(Position(40));
        following.next().await.unwrap().unwrap();
    }
    let cold = JetStreamEventStore::open(client.clone(), options_of(&store))
        .await
        .unwrap();
    let found = cold.get_by_cid(&stored[30].cid).await.unwrap();
    assert_eq!(found.as_ref(), Some(&stored[30]));
    assert_eq!(
        cold.get_by_cid(&stored[30].envelope.payload).await.unwrap(),
        None
    );
    let end = Instant::now() + Duration::from_secs(5);
    while consumers(&client, store.stream_name()).await > 0 {
        assert!(Instant::now() < end, "consumers are left");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_aggregate_is_loaded_at_a_cid_without_a_search_of_the_stream() {
    let (client, store) = (client().await, store().await);
    let id = Id::<Tally>::new();
    let key = AggregateKey::of::<Tally>(&id).unwrap();
    let events = (1..=3).map(counted).collect();
    let request = commit().aggregate(key.clone(), ExpectedVersion::Any, events);
    let stored = store.append(request).await.unwrap();
    let elsewhere = commit().aggregate(tally(), ExpectedVersion::Any, vec![counted(9)]);
    let elsewhere = store.append(elsewhere).await.unwrap();
    let searches = format!("$JS.API.CONSUMER.CREATE.{}.>", store.stream_name());
    let mut searches = client.subscribe(searches).await.unwrap();
    client.flush().await.unwrap();
    let cold = JetStreamEventStore::open(client, options_of(&store)).await;
    let tallies = cim_es::Repository::<Tally>::new(cold.unwrap());
    let loaded = tallies.load_at(&id, stored[1].cid).await.unwrap();
    assert_eq!((loaded.version(), loaded.total), (2, 3));
    let foreign = tallies.load_at(&id, elsewhere[0].cid).await;
    assert!(matches!(foreign, Err(LoadError::NoSuchEvent { .. })));
    assert!(is_silent(&mut searches).await);
}

fn options_of(store: &JetStreamEventStore) -> JetStreamOptions {
    let config = EventStoreConfig::new(store.stream_name(), ["contract.>"]);
    JetStreamOptions::new(config).stored_subjects(store.subjects().clone())
}

#[tokio::test]
async fn an_idle_subscription_keeps_its_consumer_and_then_gives_what_comes() {
    let (client, store) = (client().await, store().await);
    let mut following = store.subscribe(Position::START);
    let first = timeout(Duration::from_secs(6), following.next()).await;
    assert!(first.is_err(), "nothing was there");
    let names = ask(
        &client,
        &format!("CONSUMER.NAMES.{}", store.stream_name()),
        json!({}),
    )
    .await;
    let before = names["consumers"].clone();
    assert_eq!(before.as_array().unwrap().len(), 1);
    let still = timeout(Duration::from_secs(4), following.next()).await;
    assert!(still.is_err());
    let names = ask(
        &client,
        &format!("CONSUMER.NAMES.{}", store.stream_name()),
        json!({}),
    )
    .await;
    assert_eq!(
        names["consumers"], before,
        "the consumer was made again though nothing was wrong"
    );
    let request = commit().aggregate(key(), ExpectedVersion::Any, notes([1]));
    let stored = store.append(request).await.unwrap();
    let event = timeout(Duration::from_secs(1), following.next())
        .await
        .unwrap();
    assert_eq!(event.unwrap().unwrap(), stored[0]);
}

#[tokio::test]
async fn a_subscription_whose_consumer_is_deleted_goes_on_without_gap_or_duplicate() {
    let (client, store) = (client().await, store().await);
    let key = key();
    let mut following = store.subscribe(Position::START);
    let mut seen = Vec::new();
    for number in 0..5 {
        let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes([number]));
        store.append(request).await.unwrap();
        let event = timeout(Duration::from_secs(5), following.next())
            .await
            .unwrap();
        seen.push(event.unwrap().unwrap());
        let stream = store.stream_name();
        let names = ask(&client, &format!("CONSUMER.NAMES.{stream}"), json!({})).await;
        for name in names["consumers"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            ask(
                &client,
                &format!("CONSUMER.DELETE.{stream}.{name}"),
                json!({}),
            )
            .await;
        }
    }
    assert_eq!(numbers(&seen), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_message_that_is_no_event_is_damage_and_never_skipped() {
    let (client, store) = (client().await, store().await);
    let key = key();
    let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes([1]));
    let stored = store.append(request).await.unwrap();
    let subject = store.subjects().stored(key.id(), NOTED);
    client
        .publish(subject, "not an event".into())
        .await
        .unwrap();
    client.flush().await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let is_damaged =
        |outcome: Result<_, StoreError>| matches!(outcome, Err(StoreError::Damaged(_)));
    assert!(is_damaged(store.get_events(&key, 1).await.map(|_| ())));
    assert!(is_damaged(store.last(&key).await.map(|_| ())));
    let read: Vec<_> = store.read_all(Position::START).collect().await;
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].as_ref().unwrap(), &stored[0]);
    assert!(is_damaged(read[1].clone().map(|_| ())));
}

#[tokio::test]
async fn a_user_without_the_right_to_write_is_told_so_at_once() {
    let operator = client().await;
    let config = EventStoreConfig::new("INFRASTRUCTURE_EVENTS", ["infrastructure.>"]);
    open(operator, &config.clone().into()).await;
    let reader = cim_es::jetstream::NatsConfig::new([Server::shared().url()])
        .user_and_password("reader", User::Reader.password());
    let connection = reader.connect().await.unwrap();
    let store = JetStreamEventStore::open(connection, config).await.unwrap();
    let start = Instant::now();
    for count in [1, 3] {
        let events = (0..count)
            .map(|it| event("infrastructure.compute.registered", it))
            .collect();
        let request = commit().aggregate(key(), ExpectedVersion::NoStream, events);
        let outcome = store.append(request).await;
        assert!(
            matches!(outcome, Err(StoreError::ReadOnly { .. })),
            "{outcome:?}"
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(store.read_all(Position::START).count().await, 0);
}
