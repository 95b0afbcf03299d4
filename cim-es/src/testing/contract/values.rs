//! What stands in an envelope comes back as it was given, at the ends of its range too.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Provider;
use super::sample::*;
use crate::block::StoredEvent;
use crate::domain::message::{MessageIdentity, Timestamp};
use crate::store::{
    CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, StoreError,
};

/// What is read of an aggregate after a commit of one event, by all ways to it.
async fn stored(store: &impl EventStore, identity: MessageIdentity, now: Timestamp) -> StoredEvent {
    let key = key();
    let request = CommitRequest::new(identity, now);
    let request = request.aggregate(key.clone(), ExpectedVersion::NoStream, vec![note(1)]);
    let stored = store.append(request).await.unwrap().remove(0);
    assert_eq!(history(store, &key).await, std::slice::from_ref(&stored));
    assert_eq!(store.last(&key).await.unwrap().as_ref(), Some(&stored));
    let found = store.get_by_cid(&stored.cid).await.unwrap();
    assert_eq!(found.as_ref(), Some(&stored));
    stored
}

/// A time comes back to the microsecond, before 1970 and beyond the numbers that a float has.
pub async fn any_time_comes_back_to_the_microsecond(provider: impl Provider) {
    let store = provider.open().await;
    let edge = 1 << 53;
    for micros in [
        0,
        1,
        -1,
        -62_135_596_800_000_001,
        1_767_225_600_123_457,
        4_102_444_800_000_001,
        edge,
        edge + 1,
    ] {
        let now = Timestamp::from_micros(micros);
        let identity = MessageIdentity::new_from_user("contract");
        assert_eq!(stored(&store, identity, now).await.timestamp(), now);
    }
}

/// Who issued a command comes back letter by letter, and so does that nobody did.
pub async fn any_text_is_an_actor(provider: impl Provider) {
    let store = provider.open().await;
    let long = "x".repeat(1_000);
    for actor in [
        None,
        Some(""),
        Some(" "),
        Some(" Ann "),
        Some("ann"),
        Some("Ann"),
        Some("a\r\nCid: b"),
        Some("a\0b"),
        Some("\u{e9}"),
        Some("e\u{301}"),
        Some("\u{1d11e}"),
        Some(long.as_str()),
    ] {
        let identity = MessageIdentity::root(Uuid::now_v7(), actor);
        let event = stored(&store, identity, NOW).await;
        assert_eq!(event.envelope.source.as_deref(), actor);
    }
}

/// Values of the author's own come back as they were given: numbers to the last digit, texts letter by letter.
pub async fn any_value_is_meta(provider: impl Provider) {
    let store = provider.open().await;
    let identity = MessageIdentity::new_from_user("contract")
        .with_meta("largest", u64::MAX)
        .with_meta("smallest", i64::MIN)
        .with_meta("odd", (1_u64 << 53) + 1)
        .with_meta("no", false)
        .with_meta("empty", "")
        .with_meta("Name", "a")
        .with_meta("name", " b ")
        .with_meta("a.b/c d", "e\u{301}\0\r\n")
        .with_meta("e\u{301}", "\u{e9}")
        .with_meta("\u{e9}", "e\u{301}");
    let event = stored(&store, identity.clone(), NOW).await;
    assert_eq!(&event.envelope.meta, identity.meta());
}

/// A schema version has all its bits, an event has as many parents as an envelope has room for, and a payload may be
/// empty.
pub async fn large_versions_many_parents_and_empty_payloads_are_kept(provider: impl Provider) {
    let store = provider.open().await;
    let (key, empty) = (key(), vec![0xa0]);
    let parents: Vec<_> = append(
        &store,
        &super::sample::key(),
        ExpectedVersion::NoStream,
        0..60,
    )
    .await
    .unwrap()
    .iter()
    .map(|event| event.cid)
    .collect();
    let events = vec![
        NewEvent::from_payload(TYPE, u32::MAX, empty.clone()),
        NewEvent::from_payload(TYPE, 70_000, empty.clone()),
        NewEvent::from_payload(TYPE, 300, empty.clone()).with_parents(parents.clone()),
    ];
    let request = commit().aggregate(key.clone(), ExpectedVersion::NoStream, events);
    store.append(request).await.unwrap();
    let events = history(&store, &key).await;
    let schemas: Vec<_> = events.iter().map(|event| event.envelope.schema).collect();
    assert_eq!(schemas, [u32::MAX, 70_000, 300]);
    assert!(events.iter().all(|event| event.payload() == empty));
    let found = &events[2].envelope.parents;
    assert_eq!(found.len(), parents.len());
    assert!(parents.iter().all(|parent| found.contains(parent)));
}

/// A type or a kind that is no subject, and a schema version of 0, are refused, and nothing is stored.
pub async fn what_can_be_no_subject_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let payload = serde_ipld_dagcbor::to_vec(&BTreeMap::from([("number", 1)])).expect("a map");
    let types = [
        "",
        ".",
        "contract..noted",
        "contract.*.noted",
        "contract.>",
        "contract.a b",
    ];
    let mut refused: Vec<_> = types
        .into_iter()
        .map(|event_type| {
            let event = NewEvent::from_payload(event_type, 1, payload.clone());
            (
                event_type,
                commit().aggregate(key(), ExpectedVersion::Any, vec![event]),
            )
        })
        .collect();
    let unversioned = NewEvent::from_payload(TYPE, 0, payload);
    let unversioned = commit().aggregate(key(), ExpectedVersion::Any, vec![unversioned]);
    refused.push(("schema version 0", unversioned));
    for kind in ["", "contract.*", "contract sample"] {
        let key = key_of_kind(kind, "a");
        refused.push((
            kind,
            commit().aggregate(key, ExpectedVersion::Any, vec![note(1)]),
        ));
    }
    for (what, request) in refused {
        let outcome = store.append(request).await;
        assert!(
            matches!(outcome, Err(StoreError::InvalidCommit { .. })),
            "{what:?}: {outcome:?}"
        );
    }
    assert_eq!(everything(&store).await, []);
}
