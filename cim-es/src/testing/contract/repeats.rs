//! An append takes effect once: what comes again has the answer that it had, and stores nothing.

use tokio::task::JoinSet;
use uuid::{Builder, Uuid};

use super::Provider;
use super::sample::*;
use crate::block::StoredEvent;
use crate::domain::message::{MessageIdentity, Timestamp};
use crate::store::{
    AggregateKey, CommitRequest, EventStore, ExpectedVersion, Head, NewEvent, StoreError,
};

use ExpectedVersion::{Any, Exactly, NoStream};

/// How many commits come after one that is sent again: more than any store will remember one by one.
const MANY: u64 = 300;

/// Ids of every form: by the clock of a program, of a program whose clock is wrong, from a cause, and without a time.
fn identities(cause: &StoredEvent) -> Vec<(&'static str, MessageIdentity)> {
    let timed = |millis| {
        let id = Builder::from_unix_timestamp_millis(millis, &[7; 10]);
        MessageIdentity::root(id.into_uuid(), None)
    };
    vec![
        ("a new one", MessageIdentity::new_from_user("contract")),
        ("one of the year 1970", timed(1)),
        ("one of the year 2200", timed(7_258_118_400_000)),
        (
            "one without a time",
            MessageIdentity::root(Uuid::from_u128(7), None),
        ),
        (
            "one that an event caused",
            MessageIdentity::caused_by(cause),
        ),
        (
            "the one that an event causes",
            MessageIdentity::caused_once_by(cause, "contract"),
        ),
        (
            "the one that a message without a time causes",
            MessageIdentity::caused_once_by(
                &MessageIdentity::root(Uuid::from_u128(8), None),
                "contract",
            ),
        ),
    ]
}

fn of(identity: &MessageIdentity) -> CommitRequest {
    CommitRequest::new(identity.clone(), NOW)
}

async fn head(store: &impl EventStore, key: &AggregateKey) -> Head {
    let last = store.last(key).await.expect("the last event reads");
    last.expect("the aggregate has events").head()
}

/// A commit that comes again gives the earlier one, whatever it expects, at once and after many others, to the handle that
/// stored it and to another; and nothing is stored.
pub async fn an_append_takes_effect_once(provider: impl Provider) {
    let store = provider.open().await;
    let cause = append_each(&store, &key(), [1]).await.remove(0);
    for (what, identity) in identities(&cause) {
        let key = key();
        append_each(&store, &key, [1, 2]).await;
        let head_before = head(&store, &key).await;
        let notes = || vec![note(3), note(4)];
        let first = of(&identity).aggregate(key.clone(), Exactly(2), notes());
        let stored = store.append(first.clone()).await.unwrap();
        for after in [0, 1, MANY] {
            append_each(&store, &key, 0..after).await;
            let before = history(&store, &key).await;
            let version = before.len() as u64;
            let head_now = head(&store, &key).await;
            let again = [
                ("as it was", first.clone()),
                (
                    "at any version",
                    of(&identity).aggregate(key.clone(), Any, notes()),
                ),
                (
                    "at the present head",
                    of(&identity).aggregate_at(key.clone(), head_now, notes()),
                ),
                (
                    "of a new aggregate",
                    of(&identity).aggregate(key.clone(), NoStream, notes()),
                ),
                (
                    "at the present version",
                    of(&identity).aggregate(key.clone(), Exactly(version), notes()),
                ),
                (
                    "at the head of then",
                    of(&identity).aggregate_at(key.clone(), head_before, notes()),
                ),
                (
                    "by another clock",
                    CommitRequest::new(identity.clone(), Timestamp::from_micros(0)).aggregate(
                        key.clone(),
                        Any,
                        notes(),
                    ),
                ),
            ];
            // A long history takes some engines long to look through.
            let tried = if after == MANY { 3 } else { again.len() };
            for store in [store.clone(), provider.open().await] {
                for (how, commit) in again[..tried].iter().cloned() {
                    let outcome = store.append(commit).await;
                    let answer = outcome.unwrap_or_else(|error| {
                        panic!("{what}, {how}, after {after} others: {error}")
                    });
                    assert!(
                        answer == stored,
                        "{what}, {how}, after {after} others: another answer"
                    );
                }
            }
            assert!(
                history(&store, &key).await == before,
                "{what}, after {after} others, was stored again"
            );
        }
    }
}

/// A message that was not used yet is never taken for one that was, of whatever form it is.
pub async fn a_new_message_is_stored_whatever_its_id(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let cause = append_each(&store, &key(), [1]).await.remove(0);
    let key = key();
    append_each(&store, &key, 0..MANY).await;
    for (number, (what, identity)) in identities(&cause).into_iter().enumerate() {
        let store = [&store, &elsewhere][number % 2];
        let commit = of(&identity).aggregate(key.clone(), Any, vec![note(1)]);
        let stored = store.append(commit).await.unwrap();
        let version = MANY + number as u64 + 1;
        assert_eq!(stored[0].envelope.sequence, version, "{what}");
    }
    assert_chained(&history(&store, &key).await);
}

/// A commit over several aggregates that comes again gives the earlier one whole, in its order, though one of them moved on;
/// also where another aggregate was to stay unchanged meanwhile.
pub async fn an_append_over_several_aggregates_takes_effect_once(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let [one, other, watched] = [key(), key(), key()];
    append_each(&store, &one, [1]).await;
    append_each(&store, &watched, [1]).await;
    let identity = MessageIdentity::new_from_user("contract");
    let watched_head = head(&store, &watched).await;
    let first = of(&identity)
        .event(one.clone(), Exactly(1), note(2))
        .event(other.clone(), NoStream, note(3))
        .event(one.clone(), Exactly(1), note(4))
        .unchanged(watched.clone(), Some(watched_head));
    let stored = store.append(first.clone()).await.unwrap();
    assert_eq!(numbers(&stored), [2, 3, 4]);
    for key in [&one, &watched] {
        append_each(&store, key, [9]).await;
    }
    let any = of(&identity)
        .event(one.clone(), Any, note(2))
        .event(other.clone(), Any, note(3))
        .event(one.clone(), Any, note(4));
    let all = everything(&store).await.len();
    for store in [&store, &elsewhere] {
        for commit in [&first, &any] {
            assert_eq!(store.append(commit.clone()).await.unwrap(), stored);
        }
    }
    assert_eq!(everything(&store).await.len(), all);
}

fn assert_reused(what: &str, outcome: &Result<Vec<StoredEvent>, StoreError>, key: &AggregateKey) {
    let is_told = matches!(
        outcome,
        Err(StoreError::MessageIdReused { aggregate, version: 2, event_type, .. })
            if **aggregate == *key && event_type == TYPE
    );
    assert!(is_told, "{what}: {outcome:?}");
}

/// A message that led to another commit on an aggregate is refused there, with what it led to; on an aggregate that it
/// wrote nothing to, it is a commit like any other.
pub async fn a_message_with_another_commit_is_refused(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let [one, other] = [key(), key()];
    append_each(&store, &one, [1]).await;
    let identity = MessageIdentity::new_from_user("contract");
    let first = of(&identity).aggregate(one.clone(), Any, vec![note(2), note(3)]);
    let stored = store.append(first.clone()).await.unwrap();
    let schema_2 = NewEvent::from_payload(TYPE, 2, stored[0].payload().to_vec());
    let with_parent = note(2).with_parents([stored[0].cid]);
    let others = [
        ("another payload", vec![note(2), note(4)]),
        ("fewer events", vec![note(2)]),
        ("more events", vec![note(2), note(3), note(4)]),
        ("another order", vec![note(3), note(2)]),
        ("another type", vec![note(2), event_of_type(OTHER_TYPE, 3)]),
        ("another schema", vec![schema_2, note(3)]),
        ("another cause", vec![with_parent, note(3)]),
    ];
    for store in [&store, &elsewhere] {
        for (what, events) in others.clone() {
            for expected in [Any, Exactly(1), Exactly(3), NoStream] {
                let commit = of(&identity).aggregate(one.clone(), expected, events.clone());
                assert_reused(what, &store.append(commit).await, &one);
            }
        }
        let wider = of(&identity)
            .aggregate(other.clone(), Any, vec![note(1)])
            .aggregate(one.clone(), Any, vec![note(2), note(3)]);
        assert_reused("a further aggregate", &store.append(wider).await, &one);
    }
    assert_eq!(everything(&store).await.len(), 3);
    let elsewhere = of(&identity).aggregate(other.clone(), Any, vec![note(2), note(3)]);
    let second = store.append(elsewhere.clone()).await.unwrap();
    assert!(second[0].position > stored[1].position);
    assert_eq!(store.append(elsewhere).await.unwrap(), second);
    assert_eq!(store.append(first).await.unwrap(), stored);
    assert_eq!(everything(&store).await.len(), 5);
}

/// One commit that many bring at the same moment, through two handles, is stored once, and all have the same answer.
pub async fn racing_repeats_store_one_commit(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let (one, other) = (key(), key());
    for (round, expected) in [Any, Exactly(4), Any].into_iter().enumerate() {
        let identity = MessageIdentity::new_from_user("contract");
        let commit = of(&identity)
            .aggregate(one.clone(), expected, vec![note(1), note(2)])
            .aggregate(other.clone(), Any, vec![note(3)]);
        let mut writers = JoinSet::new();
        for number in 0..16 {
            let store = [&store, &elsewhere][number % 2].clone();
            let (commit, one) = (commit.clone(), one.clone());
            writers.spawn(async move {
                let stored = store.append(commit).await.expect("it is stored once");
                // Others go on meanwhile.
                if number < 2 {
                    append(&store, &one, Any, [9])
                        .await
                        .expect("a note is stored");
                }
                stored
            });
        }
        let mut answers = Vec::new();
        while let Some(answer) = writers.join_next().await {
            answers.push(answer.expect("no writer fails"));
        }
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "in round {round}"
        );
        let of_it = |event: &&StoredEvent| event.envelope.causation_id == identity.message_id();
        let all = everything(&store).await;
        assert_eq!(all.iter().filter(of_it).count(), 3, "in round {round}");
    }
}
