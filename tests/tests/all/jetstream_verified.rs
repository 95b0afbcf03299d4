//! Checking a whole stream: what nobody should have published is told with its place, and the rest is looked at.

use async_nats::{Client, HeaderMap};
use base64::Engine;
use bytes::Bytes;
use cim_es::ErrorChain;
use cim_es::block::{Cid, HashCode, StoredEvent};
use cim_es::jetstream::{
    Connection, EventStoreConfig, JetStreamCheckpointStore, JetStreamEventStore,
    JetStreamObjectStore, JetStreamOptions, JetStreamSnapshotStore, JetStreamStores,
};
use cim_es::store::*;
use cim_es::verify::{Step, Verification, VerificationReport};
use cim_es_tests::nats::{Server, User};
use serde_json::json;

use crate::jetstream::sample::*;
use crate::jetstream::{ask, open, open_to_deletes, options};

/// Publishes what the store would not have; gives its place.
async fn publish(client: &Client, subject: String, cid: Option<&StoredEvent>, body: Bytes) -> u64 {
    let mut headers = HeaderMap::new();
    if let Some(event) = cid {
        headers.insert("Cid", event.cid.to_string());
    }
    let context = async_nats::jetstream::new(client.clone());
    let sent = context.publish_with_headers(subject, headers, body);
    sent.await.unwrap().await.unwrap().sequence
}

async fn append(
    store: &JetStreamEventStore,
    key: &AggregateKey,
    numbers: [u64; 2],
) -> Vec<StoredEvent> {
    let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes(numbers));
    store.append(request).await.unwrap()
}

/// All that is told, each with its place.
async fn told(store: &JetStreamEventStore) -> (Vec<(u64, String)>, VerificationReport) {
    let mut told = Vec::new();
    let mut verification = Verification::of(store.clone());
    let report = verification
        .finish(|damage| told.push(shown(&damage)))
        .await;
    (told, report.unwrap())
}

fn shown(damage: &Damage) -> (u64, String) {
    let position = damage.position().map_or(0, |position| position.0);
    (position, ErrorChain(damage).to_string())
}

#[tokio::test]
async fn a_sound_stream_is_sound_and_all_of_it_is_counted() {
    let client = Server::shared().connect(User::Operator).await;
    let store = open(client, &options(1)).await;
    let keys = [key(), key(), key()];
    for number in 0..40 {
        append(&store, &keys[number as usize % 3], [number, number + 1]).await;
    }
    let (told, report) = told(&store).await;
    assert_eq!(told, []);
    assert!(report.is_sound());
    assert_eq!((report.events, report.aggregates), (80, 3));
}

#[tokio::test]
async fn each_message_that_does_not_belong_is_told_and_the_rest_is_looked_at() {
    let client = Server::shared().connect(User::Operator).await;
    let store = open(client.clone(), &options(1)).await;
    let (one, other) = (key(), key());
    let subject = |key: &AggregateKey| store.subjects().stored(key.id(), NOTED);
    let first = append(&store, &one, [1, 2]).await;
    // Nobody appends to it, who would have to read it.
    let spoiled = subject(&key_of("contract.sample", "spoiled"));
    let strange = publish(&client, spoiled.clone(), None, "no event at all".into()).await;
    append(&store, &one, [3, 4]).await;
    let mut flipped = first[1].body().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let tampered = publish(&client, spoiled.clone(), Some(&first[1]), flipped.into()).await;
    append(&store, &other, [5, 6]).await;
    let body = first[1].body().clone();
    let astray = publish(&client, spoiled, Some(&first[1]), body).await;
    append(&store, &key(), [7, 8]).await;
    // The first half of a commit of which the rest never comes.
    let request = commit().aggregate(
        key_of("contract.sample", "half"),
        ExpectedVersion::Any,
        notes([9, 10]),
    );
    let sealed = seal(request, &[None], &SealOptions::default())
        .unwrap()
        .remove(0);
    let half = sealed.into_stored(Position(1));
    let of_half = subject(&key_of("contract.sample", "half"));
    let half_at = publish(&client, of_half, Some(&half), half.body().clone()).await;

    let (told, report) = told(&store).await;
    let expected = [
        (strange, "has no event CID"),
        (tampered, "the payload does not hash"),
        (astray, "it stands on"),
        (half_at, "event 1 of a commit of 2"),
    ];
    for (position, words) in expected {
        let is_it = |told: &&(u64, String)| told.0 == position && told.1.contains(words);
        assert!(
            told.iter().any(|told| is_it(&told)),
            "{position} {words}: {told:#?}"
        );
    }
    let places = expected.map(|(position, _)| position);
    assert!(
        told.iter().all(|(position, _)| places.contains(position)),
        "{told:#?}"
    );
    assert_eq!((report.events, report.aggregates), (12, 4));
    assert!(report.is_complete && !report.is_sound());

    // Interrupted after any step, it tells the same.
    for steps in 0.. {
        let mut seen = Vec::new();
        let mut verification = Verification::of(store.clone());
        for _ in 0..steps {
            if let Some(Step::Damaged(damages)) = verification.next().await.unwrap() {
                seen.extend(damages.iter().map(shown));
            }
        }
        let state = verification.state();
        let is_over = verification.report().is_complete;
        let mut verification = Verification::of(store.clone()).resume(state);
        let tell = |damage: Damage| seen.push(shown(&damage));
        verification.finish(tell).await.unwrap();
        assert_eq!(seen, told, "interrupted after {steps} steps");
        if is_over {
            break;
        }
    }
}

#[tokio::test]
async fn a_message_that_an_operator_removed_is_counted_and_its_gap_told() {
    let client = Server::shared().connect(User::Operator).await;
    let store = open_to_deletes(&client).await;
    let name = store.stream_name();
    let (one, other) = (key(), key());
    let single =
        |key: &AggregateKey| commit().aggregate(key.clone(), ExpectedVersion::Any, notes([1]));
    for key in [&one, &other, &one, &one, &other] {
        store.append(single(key)).await.unwrap();
    }
    // One from the middle of a history, and the last one of another.
    for sequence in [3, 5] {
        let query = json!({ "seq": sequence, "no_erase": true });
        let answer = ask(&client, &format!("STREAM.MSG.DELETE.{name}"), query).await;
        assert_eq!(answer["success"], true, "{answer}");
    }
    let (told, report) = told(&store).await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].0 == 4 && told[0].1.contains("leaves a gap"),
        "{told:#?}"
    );
    assert_eq!((report.events, report.removed), (3, 2));
}

/// The stores of a stream of their own, with something in each bucket.
async fn filled_buckets(client: &Client) -> (JetStreamStores, String, AggregateKey) {
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let events = EventStoreConfig::new(&name, ["contract.>"]);
    let objects = format!("{name}-objects");
    let connection = Connection::from(client.clone());
    let config = events.clone();
    let snapshots = config.snapshot_bucket();
    let options = JetStreamOptions::new(events).stored_subjects(name.parse().unwrap());
    let stores = JetStreamStores {
        events: open(client.clone(), &options).await,
        snapshots: JetStreamSnapshotStore::open(connection.clone(), &snapshots, 1)
            .await
            .unwrap(),
        objects: JetStreamObjectStore::open(connection.clone(), &objects, 1)
            .await
            .unwrap(),
        checkpoints: JetStreamCheckpointStore::open(connection.clone(), &name, 1)
            .await
            .unwrap(),
        connection,
    };
    let key = key();
    let last = append(&stores.events, &key, [1, 2]).await.remove(1);
    // One that fits into a message, and one that becomes an object.
    for (tag, length) in [(1, 10), (2, 2_000_000)] {
        let snapshot = Snapshot {
            tag,
            version: 2,
            last_cid: last.cid,
            position: last.position,
            state: vec![7; length].into(),
        };
        stores.save_snapshot(&key, snapshot).await.unwrap();
    }
    for length in [0, 3, 300_000] {
        stores.put_object(vec![9; length].into()).await.unwrap();
    }
    (stores, objects, key)
}

#[tokio::test]
async fn objects_and_snapshots_beside_a_stream_are_counted() {
    let client = Server::shared().connect(User::Operator).await;
    let (stores, objects, _) = filled_buckets(&client).await;
    let (without, report) = told(&stores.events).await;
    assert_eq!((without, report.others), (vec![], 0));
    let events = stores.events.clone().with_buckets(&objects).await.unwrap();
    let (told_of, report) = told(&events).await;
    assert_eq!((told_of, report.others), (vec![], 5));
    let other = format!("{objects}-none");
    let events = stores.events.with_buckets(&other).await.unwrap();
    let (told_of, report) = told(&events).await;
    assert_eq!((told_of, report.others), (vec![], 2));
}

#[tokio::test]
async fn each_damaged_object_and_snapshot_beside_a_stream_is_told_and_the_rest_is_looked_at() {
    let client = Server::shared().connect(User::Operator).await;
    let (stores, objects, key) = filled_buckets(&client).await;
    let context = async_nats::jetstream::new(client.clone());
    let publish = async |subject: String, body: Bytes| {
        let sent = context.publish(subject, body).await.unwrap();
        sent.await.unwrap();
    };
    let stream = |bucket: &str| context.get_stream(format!("OBJ_{bucket}"));
    let last = async |stream: String, subject: &str| {
        let stream = context.get_stream(stream).await.unwrap();
        stream
            .get_last_raw_message_by_subject(subject)
            .await
            .unwrap()
    };
    // Something that is no entry, an entry under another name, chunks that are gone, and details that are none.
    publish(format!("$O.{objects}.M.strange"), "nothing".into()).await;
    let cid = HashCode::default().cid(&[9; 3]);
    let entry_of = |cid: &Cid| {
        let name = base64::engine::general_purpose::URL_SAFE.encode(cid.to_string());
        format!("$O.{objects}.M.{name}")
    };
    let entry = last(format!("OBJ_{objects}"), &entry_of(&cid))
        .await
        .payload;
    publish(format!("$O.{objects}.M.elsewhere"), entry.clone()).await;
    let mut changed: serde_json::Value = serde_json::from_slice(&entry).unwrap();
    changed["metadata"]["content-type"] = json!("nothing");
    publish(entry_of(&cid), changed.to_string().into()).await;
    let large = HashCode::default().cid(&[9; 300_000]);
    let chunks = stream(&objects).await.unwrap();
    let purged = chunks.purge().filter(format!("$O.{objects}.C.{large}.>"));
    purged.await.unwrap();
    // A snapshot of which a byte was changed, and one that is none.
    let snapshots = format!("{}-snapshots", stores.events.stream_name());
    let of_key = |tag: u64| {
        let (kind, id) = (key.kind(), key.id().as_str());
        format!("$KV.{snapshots}.{kind}.{id}.{tag:016x}")
    };
    let small = last(format!("KV_{snapshots}"), &of_key(1)).await.payload;
    let mut flipped = small.to_vec();
    let at = flipped.windows(10).position(|it| it == [7; 10]).unwrap();
    flipped[at] ^= 1;
    publish(of_key(1), flipped.into()).await;
    publish(format!("$KV.{snapshots}.a.b.c"), "nothing".into()).await;
    publish(of_key(3), small).await;
    assert_eq!(stores.get_latest_snapshot(&key, 1).await.unwrap(), None);

    let events = stores.events.clone().with_buckets(&objects).await.unwrap();
    let (told, report) = told(&events).await;
    let expected = [
        "it is no entry of an object",
        "its entry stands on",
        "`nothing` is not a content type",
        "chunk 1 of 3 is missing",
        "is not what was written",
        "is not one",
        "is that of another aggregate or tag",
    ];
    for words in expected {
        let found = told.iter().filter(|(_, told)| told.contains(words));
        assert_eq!(found.count(), 1, "{words}: {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    // The entry that was written anew stands there twice.
    assert_eq!((report.events, report.others), (2, 10));
}
