//! Checking a whole stream: what nobody should have published is told with its place, and the rest is looked at.

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use cim_es::ErrorChain;
use cim_es::block::StoredEvent;
use cim_es::jetstream::JetStreamEventStore;
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
