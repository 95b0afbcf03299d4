//! What is refused of what comes from outside, before anything of it is stored.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::join;

use super::Provider;
use super::sample::*;
use super::sealed::{assert_diverged, commits_of};
use crate::block::payload::PayloadError;
use crate::block::{EventBlock, HashCode, StoredEvent};
use crate::engine::memory::MemoryEventStore;
use crate::store::{
    AggregateKey, AppendedCommit, EventStore, ExpectedVersion, Head, NewEvent, Position,
    ProvedCommit, SealOptions, SealedCommit, StoreError, seal,
};

/// A commit of notes on an aggregate, sealed behind whatever is said to be there.
fn sealed_behind(key: &AggregateKey, head: Option<Head>, numbers: [u64; 2]) -> SealedCommit {
    let notes = numbers.map(note).to_vec();
    let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes);
    let sealed = seal(request, &[head], &SealOptions::default()).expect("notes are sealed");
    let stored = sealed
        .into_iter()
        .map(|event| event.into_stored(Position(1)));
    SealedCommit {
        events: stored.map(|event| EventBlock::from(&event)).collect(),
    }
}

/// The same block with some of its bytes changed to others, and the CIDs that follow from it.
fn forged(block: &EventBlock, payload: Option<&[u8]>, change: [&[u8]; 2]) -> EventBlock {
    let stored = StoredEvent::verify(Position(1), block.cid, block.body.clone()).expect("a block");
    let hash = HashCode::default();
    let mut envelope = stored.envelope_bytes().to_vec();
    let payload = payload.unwrap_or(stored.payload());
    let link = stored.envelope.payload.to_bytes();
    replace(&mut envelope, &link, &hash.cid(payload).to_bytes());
    replace(&mut envelope, change[0], change[1]);
    let cid = hash.cid(&envelope);
    let body = [&[0x82], &envelope[..], payload].concat();
    EventBlock {
        cid,
        body: Bytes::from(body),
    }
}

fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let place = bytes
        .windows(from.len().max(1))
        .position(|part| part == from);
    if let Some(place) = place {
        bytes.splice(place..place + from.len(), to.iter().copied());
    }
}

fn is_refused(outcome: &Result<Vec<AppendedCommit>, StoreError>) -> bool {
    matches!(
        outcome,
        Err(StoreError::Unproved(_) | StoreError::InvalidCommit { .. } | StoreError::Payload(_))
    )
}

/// Blocks that hash to their CIDs and are no canonical blocks, and commits whose events do not follow each other, are
/// refused by what is in them.
pub async fn what_is_sealed_wrongly_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let (mine, other) = (key(), key());
    let (one, two) = (
        sealed_behind(&mine, None, [1, 2]),
        sealed_behind(&mine, None, [1, 3]),
    );
    let of_other = sealed_behind(&other, None, [1, 2]);
    let single = {
        let source = MemoryEventStore::new();
        append_each(&source, &mine, [1]).await;
        commits_of(&source).await.remove(0)
    };
    let with = |payload: Option<&[u8]>, change: [&[u8]; 2]| SealedCommit {
        events: vec![forged(&single.events[0], payload, change)],
    };
    let none: [&[u8]; 2] = [&[], &[]];
    let mix = |first: &SealedCommit, second: &SealedCommit| SealedCommit {
        events: vec![first.events[0].clone(), second.events[1].clone()],
    };
    // That the forgery itself is right: without a change it is the block.
    assert_eq!(with(None, none), single);
    let head = store_head(&single);
    let bad = [
        (
            "a number of the payload is longer than it needs to be",
            with(Some(&[0xa1, 0x61, b'a', 0x18, 0x01]), none),
        ),
        ("the payload is no block", with(Some(&[0xff, 0xff]), none)),
        (
            "the payload has no end",
            with(Some(&[0xbf, 0x61, b'a', 0x01]), none),
        ),
        (
            "a byte follows the payload",
            with(Some(&[0xa0, 0x00]), none),
        ),
        (
            "a number of the envelope is longer than it needs to be",
            with(None, [b"\x66schema\x01", b"\x66schema\x18\x01"]),
        ),
        (
            "the schema is 0",
            with(None, [b"\x66schema\x01", b"\x66schema\x00"]),
        ),
        (
            "a field of the envelope is none that there is",
            with(None, [b"\x66schema", b"\x66sehema"]),
        ),
        (
            "an event does not link to the one before it",
            mix(&one, &two),
        ),
        ("two commands are in one commit", mix(&one, &of_other)),
        (
            "the first event has a predecessor",
            sealed_behind(&mine, Some(Head { version: 0, ..head }), [1, 2]),
        ),
    ];
    for (what, commit) in bad {
        let outcome = store.append_sealed(vec![of_other.clone(), commit]).await;
        assert!(is_refused(&outcome), "{what}: {outcome:?}");
        assert_eq!(everything(&store).await, [], "{what}");
    }
    store.append_sealed(vec![of_other, one]).await.unwrap();
    assert_chained(&history(&store, &mine).await);
}

fn store_head(commit: &SealedCommit) -> Head {
    let block = &commit.events[0];
    let stored = StoredEvent::verify(Position(1), block.cid, block.body.clone());
    stored.expect("a block").head()
}

/// A commit that follows another event than the last one, or begins a history that there is, has diverged; one that
/// follows a version that is not there misses its predecessor; and a list that forks in itself is refused.
pub async fn a_sealed_commit_with_another_past_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let (mine, other) = (key(), key());
    let ours = append_each(&store, &mine, [1, 2]).await;
    let others = append_each(&store, &other, [3, 4]).await;
    let before = everything(&store).await;
    let last = ours[1].head();
    let on_other = Head {
        cid: others[1].cid,
        ..last
    };
    let first = sealed_behind(&mine, None, [7, 8]);
    for (commit, version, theirs) in [
        (
            sealed_behind(&mine, Some(on_other), [7, 8]),
            2,
            others[1].cid,
        ),
        (first.clone(), 1, first.events[0].cid),
    ] {
        let expected = (&mine, version, ours[version as usize - 1].cid, theirs);
        assert_diverged(store.append_sealed(vec![commit]).await, expected);
        assert_eq!(everything(&store).await, before);
    }
    let ahead = sealed_behind(&mine, Some(Head { version: 7, ..last }), [7, 8]);
    // Behind one that would fit: nothing of the list is stored.
    let fits = sealed_behind(&key(), None, [9, 10]);
    match store.append_sealed(vec![fits.clone(), ahead]).await {
        Err(StoreError::MissingPredecessor {
            aggregate,
            version,
            needed,
        }) => assert_eq!((*aggregate, version, needed), (mine.clone(), 2, 7)),
        other => panic!("the predecessor is missing, and the answer is {other:?}"),
    }
    assert_eq!(everything(&store).await, before);
    let forks = [7, 8].map(|number| sealed_behind(&mine, Some(last), [number, 9]));
    let outcome = store
        .append_sealed([vec![fits], forks.to_vec()].concat())
        .await;
    let is_told = is_refused(&outcome) || matches!(outcome, Err(StoreError::Diverged { .. }));
    assert!(is_told, "a list that forks in itself: {outcome:?}");
    assert_eq!(everything(&store).await, before);
}

/// Of two branches that go on from one event and come at the same moment one is stored, and the other has diverged.
pub async fn of_two_branches_that_come_at_once_one_wins(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    for round in 0..10 {
        let key = key();
        let head = append_each(&store, &key, [1]).await[0].head();
        let branches = [2, 3].map(|number| sealed_behind(&key, Some(head), [number, round]));
        let [one, other] = branches.map(|branch| vec![branch]);
        let both = join(store.append_sealed(one), elsewhere.append_sealed(other)).await;
        match both {
            (Ok(_), Err(StoreError::Diverged { version: 2, .. }))
            | (Err(StoreError::Diverged { version: 2, .. }), Ok(_)) => {}
            other => panic!("one wins, the other is told; but {other:?}"),
        }
        let events = history(&store, &key).await;
        assert_eq!(events.len(), 3);
        assert_chained(&events);
    }
}

/// A payload past the limit is refused from elsewhere as it is from here.
pub async fn a_sealed_payload_past_the_limit_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let source = MemoryEventStore::with_options(SealOptions {
        max_payload: usize::MAX,
        ..SealOptions::default()
    });
    let text = "x".repeat(64 * 1024 * 1024);
    let payload = serde_ipld_dagcbor::to_vec(&BTreeMap::from([("text", text)]));
    let event = NewEvent::from_payload(TYPE, 1, payload.expect("a text encodes"));
    let large = commit().aggregate(key(), ExpectedVersion::Any, vec![event]);
    append_each(&source, &key(), [1]).await;
    source.append(large).await.unwrap();
    let outcome = store.append_sealed(commits_of(&source).await).await;
    let is_too_large = matches!(
        outcome,
        Err(StoreError::Payload(PayloadError::TooLarge { .. }))
    );
    assert!(is_too_large, "{:?}", outcome.map(|stored| stored.len()));
    // Proved by somebody for whom it is not too large.
    let read = everything(&source).await;
    let proved = read
        .into_iter()
        .map(|event| ProvedCommit::of_read(vec![event]));
    let proved = proved.map(|commit| commit.expect("it is whole"));
    let outcome = store.append_proved(proved.collect()).await;
    let is_too_large = matches!(
        outcome,
        Err(StoreError::Payload(PayloadError::TooLarge { .. }))
    );
    assert!(is_too_large, "{:?}", outcome.map(|stored| stored.len()));
    assert_eq!(everything(&store).await, []);
}
