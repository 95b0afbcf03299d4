//! What an append stores.

use std::collections::{BTreeMap, BTreeSet};

use ipld_core::ipld::Ipld;

use super::Provider;
use super::sample::*;
use crate::block::StoredEvent;
use crate::domain::message::{MessageIdentity, Timestamp};
use crate::store::{CommitRequest, EventStore, ExpectedVersion, NewEvent, StoreError};

/// What was appended comes back in order, byte by byte, with its positions rising.
pub async fn appended_events_come_back_as_they_were_written(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let mut stored = append(&store, &key, ExpectedVersion::NoStream, [1, 2, 3])
        .await
        .unwrap();
    stored.extend(
        append(&store, &key, ExpectedVersion::Exactly(3), [4])
            .await
            .unwrap(),
    );
    let read = history(&store, &key).await;
    assert_eq!(read, stored);
    assert_eq!(numbers(&read), [1, 2, 3, 4]);
    assert!(read.is_sorted_by(|one, next| one.position < next.position));
    assert!(read[0].position.0 > 0);
}

/// The envelope says which aggregate, which version, what came before and which command was behind it.
pub async fn an_event_carries_its_place_its_predecessor_and_its_cause(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let root = MessageIdentity::new_from_user("alice");
    let child = MessageIdentity::caused_by(&root);
    let first = CommitRequest::new(root.clone(), NOW).aggregate(
        key.clone(),
        ExpectedVersion::NoStream,
        vec![note(1)],
    );
    let second = CommitRequest::new(child.clone(), NOW).aggregate(
        key.clone(),
        ExpectedVersion::Exactly(1),
        vec![note(2)],
    );
    store.append(first).await.unwrap();
    store.append(second).await.unwrap();
    let events = history(&store, &key).await;
    assert_chained(&events);
    for (event, identity) in events.iter().zip([&root, &child]) {
        let envelope = &event.envelope;
        assert_eq!(envelope.format, 1);
        assert_eq!(envelope.aggregate, "contract.sample");
        assert_eq!(envelope.aggregate_id, key.id().as_str());
        assert_eq!(envelope.event_type, TYPE);
        assert_eq!(envelope.schema, 1);
        assert_eq!(envelope.causation_id, identity.message_id());
        assert_eq!(envelope.correlation_id, root.message_id());
        assert_eq!(envelope.source.as_deref(), Some("alice"));
        assert_eq!(envelope.id.get_version_num(), 7);
    }
    assert_ne!(events[0].envelope.id, events[1].envelope.id);
}

/// All events of a commit have one timestamp, and each says its place among those of its aggregate and of the commit.
pub async fn a_commit_has_one_time_and_counts_its_events(provider: impl Provider) {
    let store = provider.open().await;
    let (one, other) = (key(), key());
    let later = Timestamp::from_micros(NOW.as_micros() + 5_000_000);
    append(&store, &one, ExpectedVersion::NoStream, [1])
        .await
        .unwrap();
    let request = CommitRequest::new(MessageIdentity::new_from_user("contract"), later)
        .aggregate(one, ExpectedVersion::Exactly(1), vec![note(2), note(3)])
        .aggregate(
            other,
            ExpectedVersion::NoStream,
            vec![note(4), note(5), note(6)],
        );
    let stored = store.append(request).await.unwrap();
    let parts = stored.iter().map(|event| event.envelope.commit.into());
    assert_eq!(
        parts.collect::<Vec<[u32; 4]>>(),
        [
            [1, 2, 1, 5],
            [2, 2, 2, 5],
            [1, 3, 3, 5],
            [2, 3, 4, 5],
            [3, 3, 5, 5]
        ]
    );
    assert_eq!(everything(&store).await[1..], stored);
    assert!(stored.iter().all(|event| event.timestamp() == later));
}

/// What the author adds to a message stands in the envelope of each event of the commit; more than 2 KB is refused.
pub async fn meta_stands_in_each_event_of_a_commit(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let link = append(&store, &key, ExpectedVersion::NoStream, [1])
        .await
        .unwrap()[0]
        .cid;
    let identity = MessageIdentity::new_from_user("contract")
        .with_meta("tenant", "north")
        .with_meta("trial", true)
        .with_meta("offset", i64::MIN)
        .with_meta("contract", link);
    let meta = identity.meta().clone();
    let request = |identity, expected, events| {
        CommitRequest::new(identity, NOW).aggregate(key.clone(), expected, events)
    };
    let events = vec![note(2), note(3)];
    store
        .append(request(identity, ExpectedVersion::Exactly(1), events))
        .await
        .unwrap();
    let read = history(&store, &key).await;
    assert!(read[0].envelope.meta.is_empty());
    assert_eq!(read[1].envelope.meta, meta);
    assert_eq!(read[2].envelope.meta, meta);
    let large = MessageIdentity::new_from_user("contract").with_meta("text", "a".repeat(2_048));
    let refused = store
        .append(request(large, ExpectedVersion::Exactly(3), vec![note(4)]))
        .await;
    assert!(
        matches!(&refused, Err(StoreError::InvalidCommit { reason }) if reason.contains("`meta`")),
        "{refused:?}"
    );
    assert_eq!(history(&store, &key).await.len(), 3);
}

/// A clock that is behind the predecessor does not make a later event earlier.
pub async fn time_never_goes_back_within_an_aggregate(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    append(&store, &key, ExpectedVersion::NoStream, [1])
        .await
        .unwrap();
    let earlier = Timestamp::from_micros(NOW.as_micros() - 60_000_000);
    let request = CommitRequest::new(MessageIdentity::new_from_user("contract"), earlier);
    let request = request.aggregate(key.clone(), ExpectedVersion::Any, vec![note(2)]);
    let stored = store.append(request).await.unwrap();
    assert_eq!(stored[0].timestamp(), NOW);
    assert_eq!(history(&store, &key).await[1].timestamp(), NOW);
}

/// Further causal parents stand in the envelope sorted by their bytes, each once.
pub async fn causal_parents_are_kept_sorted_and_once(provider: impl Provider) {
    let store = provider.open().await;
    let causes = append_each(&store, &key(), 1..=3).await;
    let mut cids: Vec<_> = causes.iter().map(|event| event.cid).collect();
    let key = key();
    let given = [cids[2], cids[0], cids[1], cids[0]];
    let event = note(4).with_parents(given);
    let request = commit().aggregate(key.clone(), ExpectedVersion::NoStream, vec![event]);
    store.append(request).await.unwrap();
    cids.sort_by_key(|cid| cid.to_bytes());
    assert_eq!(history(&store, &key).await[0].envelope.parents, cids);
}

/// The stored event that causes a commit is a parent of the first event that each aggregate has in it, beside others.
pub async fn an_event_that_causes_a_commit_is_a_parent_in_each_aggregate(provider: impl Provider) {
    let store = provider.open().await;
    let (one, other) = (key(), key());
    let cause = append_each(&store, &key(), [1]).await.remove(0);
    let another = append_each(&store, &key(), [2]).await.remove(0);
    let identity = MessageIdentity::caused_by(&cause);
    let request = CommitRequest::new(identity.clone(), NOW)
        .aggregate(
            one.clone(),
            ExpectedVersion::NoStream,
            vec![note(3).with_parents([another.cid]), note(4)],
        )
        .aggregate(
            other.clone(),
            ExpectedVersion::NoStream,
            vec![note(5), note(6)],
        );
    store.append(request).await.unwrap();
    let mut both = [cause.cid, another.cid];
    both.sort_by_key(|cid| cid.to_bytes());
    let parents = async |key| {
        let events = history(&store, key).await;
        let of = |event: &StoredEvent| event.envelope.parents.clone();
        events.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(parents(&one).await, [both.to_vec(), Vec::new()]);
    assert_eq!(parents(&other).await, [vec![cause.cid], Vec::new()]);
    for event in history(&store, &one).await {
        let envelope = &event.envelope;
        assert_eq!(envelope.causation_id, identity.message_id());
        assert_eq!(envelope.correlation_id, cause.envelope.correlation_id);
    }
}

/// A payload comes back byte by byte, whatever stands in it, and so does the version of its schema.
pub async fn a_payload_comes_back_byte_by_byte(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let link = append_each(&store, &key, [1]).await[0].cid;
    let text = |length| Ipld::String("\u{0}\u{1d11e} \"\\\r\n".to_owned() + &"x".repeat(length));
    let values = [
        Ipld::Null,
        Ipld::Bool(true),
        Ipld::Integer(i128::from(u64::MAX)),
        Ipld::Integer(i128::from(i64::MIN)),
        Ipld::Integer(-1),
        Ipld::Float(1.0),
        Ipld::Float(-0.0),
        Ipld::Float(f64::MIN_POSITIVE),
        Ipld::Bytes((0..=255).collect()),
        Ipld::Bytes(Vec::new()),
        Ipld::Link(link),
        Ipld::List(vec![Ipld::List(Vec::new()), Ipld::Map(BTreeMap::new())]),
        text(0),
        text(500_000),
    ];
    let payloads: Vec<_> = values
        .into_iter()
        .map(|value| {
            let payload = Ipld::Map(BTreeMap::from([("it".to_owned(), value)]));
            serde_ipld_dagcbor::to_vec(&payload).expect("a value encodes")
        })
        .collect();
    let expected = (1_u32..).zip(&payloads);
    for (schema, payload) in expected.clone() {
        let event = NewEvent::from_payload(TYPE, schema, payload.clone());
        let request = commit().aggregate(key.clone(), ExpectedVersion::Any, vec![event]);
        let stored = store.append(request).await.unwrap();
        assert_eq!(stored[0].payload(), payload);
    }
    let events = history(&store, &key).await;
    assert_chained(&events);
    assert_eq!(events.len(), payloads.len() + 1);
    for (event, (schema, payload)) in events[1..].iter().zip(expected) {
        assert!(
            event.payload() == payload,
            "another payload with schema {schema}"
        );
        assert_eq!(event.envelope.schema, schema);
        let proved = StoredEvent::verify(event.position, event.cid, event.body().clone());
        assert!(proved.as_ref() == Ok(event), "with schema {schema}");
    }
}

/// Equal events are as many events as were appended, of one aggregate and of another, in one commit and in several; one
/// message may have events on several aggregates.
pub async fn equal_events_are_several_events(provider: impl Provider) {
    let store = provider.open().await;
    let keys = [key(), key()];
    let identity = MessageIdentity::new_from_user("contract");
    for key in &keys {
        let request = CommitRequest::new(identity.clone(), NOW);
        let request = request.aggregate(key.clone(), ExpectedVersion::Any, vec![note(1), note(1)]);
        store.append(request).await.unwrap();
        append_each(&store, key, [1]).await;
    }
    let all = everything(&store).await;
    assert_eq!(numbers(&all), [1; 6]);
    let ids: BTreeSet<_> = all.iter().map(|event| event.envelope.id).collect();
    assert_eq!(ids.len(), all.len(), "two events have one id");
    for key in &keys {
        assert_chained(&history(&store, key).await);
    }
}

/// A commit without aggregates, with one twice, or without events for one is refused with the reason.
pub async fn a_commit_that_is_not_well_formed_is_refused(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let empty = commit();
    let without_events = commit().aggregate(key.clone(), ExpectedVersion::Any, vec![]);
    let twice = commit()
        .aggregate(key.clone(), ExpectedVersion::Any, vec![note(1)])
        .aggregate(key.clone(), ExpectedVersion::Any, vec![note(2)]);
    for request in [empty, without_events, twice] {
        let outcome = store.append(request).await;
        assert!(
            matches!(outcome, Err(StoreError::InvalidCommit { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(everything(&store).await, []);
}

/// A payload that is not canonical dag-cbor is refused, and with it the whole commit.
pub async fn a_payload_that_is_not_canonical_stores_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let payloads: [&[u8]; 5] = [
        // A map whose value is the integer 1 in two bytes instead of one.
        &[0xa1, 0x61, b'a', 0x18, 0x01],
        // A map of indefinite length.
        &[0xbf, 0x61, b'a', 0x01, 0xff],
        // A float that is not a number.
        &[0xa1, 0x61, b'a', 0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
        // A byte after the end.
        &[0xa0, 0x00],
        // Nothing at all.
        &[],
    ];
    for payload in payloads {
        let event = NewEvent::from_payload(TYPE, 1, payload.to_vec());
        let events = vec![note(1), event];
        let outcome = store
            .append(commit().aggregate(key.clone(), ExpectedVersion::Any, events))
            .await;
        assert!(
            matches!(outcome, Err(StoreError::Payload(_))),
            "{payload:x?}: {outcome:?}"
        );
    }
    assert_eq!(everything(&store).await, []);
}

/// A payload past the configured limit is refused with its size and the limit.
pub async fn a_payload_past_the_limit_stores_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let key = key();
    let text = "x".repeat(64 * 1024 * 1024);
    let payload = serde_ipld_dagcbor::to_vec(&std::collections::BTreeMap::from([("text", text)]));
    let event = NewEvent::from_payload(TYPE, 1, payload.unwrap());
    let outcome = store
        .append(commit().aggregate(key, ExpectedVersion::Any, vec![event]))
        .await;
    let is_refused = matches!(
        &outcome,
        Err(StoreError::Payload(
            crate::block::payload::PayloadError::TooLarge { .. }
        ))
    );
    assert!(is_refused, "{:?}", outcome.map(|_| ()));
    assert_eq!(everything(&store).await, []);
}
