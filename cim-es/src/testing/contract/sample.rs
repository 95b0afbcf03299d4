//! Keys, events and commits that the tests of the contract share.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_util::StreamExt;
use uuid::Uuid;

use crate::block::{Cid, CommitVerifier, StoredEvent};
use crate::domain::message::{MessageIdentity, Timestamp};
use crate::domain::subject::Token;
use crate::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, EventStream, ExpectedVersion, NewEvent,
    Position, StoreError,
};

pub(super) const TYPE: &str = "contract.sample.noted";
pub(super) const OTHER_TYPE: &str = "contract.sample.marked";
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_123_457);

pub(super) fn key() -> AggregateKey {
    key_of_kind("contract.sample", &Uuid::now_v7().to_string())
}

pub(super) fn key_of_kind(kind: &'static str, id: &str) -> AggregateKey {
    AggregateKey::new(kind, Token::new(id).expect("a UUID is a token"))
}

pub(super) fn note(number: u64) -> NewEvent {
    event_of_type(TYPE, number)
}

pub(super) fn event_of_type(event_type: &str, number: u64) -> NewEvent {
    let payload = serde_ipld_dagcbor::to_vec(&BTreeMap::from([("number", number)]));
    NewEvent::from_payload(event_type, 1, payload.expect("a small map encodes"))
}

pub(super) fn number(event: &StoredEvent) -> u64 {
    let payload: BTreeMap<String, u64> =
        serde_ipld_dagcbor::from_slice(event.payload()).expect("a sample decodes");
    payload["number"]
}

pub(super) fn numbers(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(number).collect()
}

pub(super) fn commit() -> CommitRequest {
    CommitRequest::new(MessageIdentity::new_from_user("contract"), NOW)
}

/// Appends notes to one aggregate as one commit.
pub(super) async fn append(
    store: &impl EventStore,
    key: &AggregateKey,
    expected: ExpectedVersion,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let events = numbers.into_iter().map(note).collect();
    store
        .append(commit().aggregate(key.clone(), expected, events))
        .await
}

/// Appends notes one by one, each a commit of its own.
pub(super) async fn append_each(
    store: &impl EventStore,
    key: &AggregateKey,
    numbers: impl IntoIterator<Item = u64>,
) -> Vec<StoredEvent> {
    let mut stored = Vec::new();
    for number in numbers {
        let events = append(store, key, ExpectedVersion::Any, [number]).await;
        stored.extend(events.expect("a note is stored"));
    }
    stored
}

pub(super) async fn history(store: &impl EventStore, key: &AggregateKey) -> Vec<StoredEvent> {
    store.get_events(key, 1).await.expect("a history reads")
}

/// All events of the store, whose commits are whole and stand side by side.
pub(super) async fn everything(store: &impl EventStore) -> Vec<StoredEvent> {
    let events = collect(store.read_all(Position::START)).await;
    let mut commits = CommitVerifier::new();
    for event in &events {
        let accepted = commits.accept(event);
        accepted.unwrap_or_else(|verdict| panic!("at position {}: {verdict}", event.position));
    }
    commits.finish().expect("the last commit is whole");
    events
}

pub(super) async fn collect(stream: EventStream) -> Vec<StoredEvent> {
    let events: Vec<_> = stream.collect().await;
    events
        .into_iter()
        .map(|event| event.expect("an event reads"))
        .collect()
}

pub(super) async fn take(stream: &mut EventStream, count: usize) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    while events.len() < count {
        let event = stream.next().await.expect("a subscription does not end");
        events.push(event.expect("an event reads"));
    }
    events
}

/// The history is contiguous from 1, and each event links the one before.
pub(super) fn assert_chained(events: &[StoredEvent]) {
    let mut previous = None;
    for (place, event) in events.iter().enumerate() {
        assert_eq!(
            event.envelope.sequence,
            place as u64 + 1,
            "sequence of {}",
            event.cid
        );
        assert_eq!(
            event.envelope.previous, previous,
            "predecessor of {}",
            event.cid
        );
        previous = Some(event.cid);
    }
}

/// Polls a future once.
pub(super) async fn step<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

/// CIDs that are almost a given one: with a bit of the digest changed, or of another kind of block.
pub(super) fn neighbours(cid: &Cid) -> Vec<(String, Cid)> {
    let bytes = cid.to_bytes();
    let digest_at = bytes.len() - 32;
    let flipped = [0, 1, 8, 16, 24, 31].map(|place| {
        let mut bytes = bytes.clone();
        bytes[digest_at + place] ^= 1;
        let cid = Cid::try_from(bytes.as_slice()).expect("a digest may have any bits");
        (format!("another byte {place} in the digest"), cid)
    });
    let raw = Cid::new_v1(0x55, *cid.hash());
    let mut neighbours = Vec::from(flipped);
    neighbours.push(("the same digest of a raw block".to_owned(), raw));
    neighbours
}

/// What a stream gives up to the first event behind a position, and that event; a stream that leaves events out shows it
/// without anybody waiting for them.
pub(super) async fn take_until(stream: &mut EventStream, last: &StoredEvent) -> Vec<StoredEvent> {
    let mut events: Vec<StoredEvent> = Vec::new();
    while events
        .last()
        .is_none_or(|event| event.position < last.position)
    {
        events.extend(take(stream, 1).await);
    }
    events
}

pub(super) fn assert_conflict<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(
        matches!(outcome, Err(StoreError::Conflict { .. })),
        "no conflict but {outcome:?}"
    );
}
