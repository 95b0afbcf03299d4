//! What a store seals can be proved and read again.

use crate::blocks_support::*;
use cim_es::block::HashCode;
use cim_es::event::{DomainEvent, PayloadError, decode_payload, encode_payload};
use cim_es::message::Timestamp;
use cim_es::store::{ExpectedVersion, NewEvent, SealOptions, StoreError, seal};
use ipld_core::ipld;
use ipld_core::ipld::Ipld;

fn refused(result: Result<Vec<cim_es::store::SealedEvent>, StoreError>) -> String {
    match result {
        Err(StoreError::InvalidCommit { reason }) => reason,
        other => panic!("expected a refused commit, found {other:?}"),
    }
}

#[test]
fn a_sealed_history_is_proved_event_by_event() {
    let events = five();
    for event in &events {
        assert_eq!(verify(event).as_ref(), Ok(event));
    }
    let sequences: Vec<_> = events.iter().map(|event| event.envelope.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    let parts = events.iter().map(|event| event.envelope.commit.into());
    assert_eq!(
        parts.collect::<Vec<[u32; 4]>>(),
        [[1; 4], [1; 4], [1, 2, 1, 2], [2; 4], [1; 4]]
    );
    assert_eq!(events[0].envelope.previous, None);
    for pair in events.windows(2) {
        assert_eq!(pair[1].envelope.previous, Some(pair[0].cid));
    }
}

#[test]
fn any_dag_cbor_tool_decodes_the_body() {
    for event in five() {
        let body: Ipld = serde_ipld_dagcbor::from_slice(event.body()).unwrap();
        let Ipld::List(elements) = body else {
            panic!("not a list")
        };
        assert_eq!(elements.len(), 2);
        assert_eq!(
            serde_ipld_dagcbor::to_vec(&elements[0]).unwrap(),
            event.envelope_bytes()
        );
        assert_eq!(
            serde_ipld_dagcbor::to_vec(&elements[1]).unwrap(),
            event.payload()
        );
    }
}

#[test]
fn the_envelope_has_the_bytes_that_its_serde_form_has() {
    for hash in [HashCode::Sha2_256, HashCode::Blake3_256] {
        let options = SealOptions {
            hash,
            ..SealOptions::default()
        };
        for event in history(
            "a",
            &[vec![Event::Rebooted], vec![registered("b")]],
            &options,
        ) {
            assert_eq!(
                serde_ipld_dagcbor::to_vec(&event.envelope).unwrap(),
                event.envelope_bytes()
            );
            let read: cim_es::block::Envelope =
                serde_ipld_dagcbor::from_slice(event.envelope_bytes()).unwrap();
            assert_eq!(read, event.envelope);
        }
    }
}

#[test]
fn every_shape_of_variant_is_a_plain_map_and_reads_back() {
    let interfaces = vec![Interface {
        name: "eth0".to_owned(),
        speed: 1.5,
    }];
    let cases = [
        (
            registered("node"),
            ipld!({"hostname": "node", "arch": "x86_64", "cores": 8}),
        ),
        (
            Event::InterfacesSeen { interfaces },
            ipld!({"interfaces": [{"name": "eth0", "speed": 1.5}]}),
        ),
        (Event::Rebooted, ipld!({})),
        (
            measured(Odd {
                wide: Some(7),
                ..Odd::default()
            }),
            ipld!({"wide": 7}),
        ),
    ];
    for (event, expected) in cases {
        let payload = encode_payload(&event).unwrap();
        let value: Ipld = serde_ipld_dagcbor::from_slice(&payload).unwrap();
        assert_eq!(value, expected);
        let info = event.info();
        assert_eq!(
            decode_payload::<Event>(info.event_type, info.schema, &payload),
            Ok(event)
        );
    }
}

#[test]
fn older_payloads_are_brought_up_step_by_step_under_present_and_former_types() {
    let oldest = serde_ipld_dagcbor::to_vec(&ipld!({"host": "old"})).unwrap();
    let older = serde_ipld_dagcbor::to_vec(&ipld!({"hostname": "old"})).unwrap();
    let expected = Event::Registered {
        hostname: "old".to_owned(),
        architecture: "unknown".to_owned(),
        cores: 0,
    };
    for name in [
        "infrastructure.compute.registered",
        "infrastructure.compute.enrolled",
    ] {
        assert_eq!(decode_payload(name, 1, &oldest), Ok(expected.clone()));
        assert_eq!(decode_payload(name, 2, &older), Ok(expected.clone()));
    }
    let refused = decode_payload::<Event>("infrastructure.compute.registered", 1, &older);
    let Err(PayloadError::NotUpcast {
        from: 1,
        to: 2,
        reason,
        ..
    }) = refused
    else {
        panic!("expected a refusing upcaster, found {refused:?}");
    };
    assert_eq!(reason, "`host` is missing");
}

#[test]
fn what_a_newer_program_wrote_is_never_guessed_at() {
    let payload = encode_payload(&registered("node")).unwrap();
    for (name, schema) in [
        ("infrastructure.compute.registered", 4),
        ("infrastructure.compute.migrated", 1),
    ] {
        let read = decode_payload::<Event>(name, schema, &payload);
        assert!(
            matches!(read, Err(PayloadError::NewerThanThisProgram { .. })),
            "{read:?}"
        );
        let says = read.unwrap_err().to_string();
        assert!(says.contains("is unknown to this program"), "{says}");
    }
}

#[test]
fn a_payload_that_lacks_a_field_is_not_readable_and_the_error_names_it() {
    let payload = serde_ipld_dagcbor::to_vec(&ipld!({"hostname": "node"})).unwrap();
    let read = decode_payload::<Event>("infrastructure.compute.registered", 3, &payload);
    let Err(PayloadError::NotReadable { reason, .. }) = read else {
        panic!("{read:?}")
    };
    assert!(reason.contains("arch"), "{reason}");
}

#[test]
fn a_field_of_another_kind_is_not_readable_and_the_error_says_what_stands_there() {
    let payload = serde_ipld_dagcbor::to_vec(&ipld!({"hostname": 7, "arch": "x86_64"})).unwrap();
    let read = decode_payload::<Event>("infrastructure.compute.registered", 3, &payload);
    assert_eq!(
        read.unwrap_err().to_string(),
        "event `infrastructure.compute.registered` of schema version 3 does not decode: a number stands where str is \
         expected; where the form of a field was changed, raise the version and add an `#[upcast(…)]`"
    );
}

#[test]
fn a_commit_over_several_aggregates_has_one_time_and_counts_in_each() {
    let before = five();
    let last = before.last().unwrap();
    let events = |count: usize| vec![NewEvent::of(&Event::Rebooted).unwrap(); count];
    let behind = last.envelope.timestamp.as_micros() - 30_000_000;
    let commit = request(9, behind)
        .aggregate(key("node-1"), ExpectedVersion::Exactly(5), events(1))
        .aggregate(key("node-2"), ExpectedVersion::NoStream, events(2));
    let ids: Vec<_> = (0..3).map(|n| commit.event_id(n)).collect();
    let sealed = seal(commit, &[Some(last.head()), None], &SealOptions::default()).unwrap();
    let envelopes: Vec<_> = sealed.iter().map(|event| &event.envelope).collect();
    assert_eq!(envelopes.iter().map(|e| e.id).collect::<Vec<_>>(), ids);
    assert_eq!(
        envelopes.iter().map(|e| e.sequence).collect::<Vec<_>>(),
        [6, 1, 2]
    );
    assert_eq!(
        envelopes
            .iter()
            .map(|e| e.commit.into())
            .collect::<Vec<[u32; 4]>>(),
        [[1, 1, 1, 3], [1, 2, 2, 3], [2, 2, 3, 3]]
    );
    // The clock of this commit is half a minute behind the head of the first aggregate.
    assert!(
        envelopes
            .iter()
            .all(|e| e.timestamp == last.envelope.timestamp)
    );
    assert_eq!(envelopes[0].previous, Some(last.cid));
    assert_eq!(envelopes[2].previous, Some(sealed[1].cid));
}

#[test]
fn a_clock_ahead_of_the_heads_gives_the_time() {
    let commit = request(1, 5).aggregate(
        key("a"),
        ExpectedVersion::Any,
        vec![NewEvent::of(&Event::Rebooted).unwrap()],
    );
    let sealed = seal(commit, &[None], &SealOptions::default()).unwrap();
    assert_eq!(sealed[0].envelope.timestamp, Timestamp::from_micros(5));
}

#[test]
fn the_same_commit_on_the_same_head_gives_the_same_bytes() {
    assert_eq!(five(), five());
}

#[test]
fn parents_are_sorted_and_stand_once() {
    let known = five();
    let event = NewEvent::of(&Event::Rebooted).unwrap().with_parents([
        known[3].cid,
        known[1].cid,
        known[3].cid,
    ]);
    let commit = request(1, 1).aggregate(key("a"), ExpectedVersion::Any, vec![event]);
    let sealed = seal(commit, &[None], &SealOptions::default())
        .unwrap()
        .remove(0);
    let mut expected = vec![known[1].cid, known[3].cid];
    expected.sort_by_key(|cid| cid.to_bytes());
    assert_eq!(sealed.envelope.parents, expected);
    verify(&sealed.into_stored(cim_es::store::Position(1))).unwrap();
}

#[test]
fn a_commit_that_is_not_well_formed_is_refused() {
    let options = SealOptions::default();
    let event = || NewEvent::of(&Event::Rebooted).unwrap();
    let any = ExpectedVersion::Any;
    let reason = refused(seal(request(1, 1), &[], &options));
    assert!(reason.contains("no aggregate"), "{reason}");
    let reason = refused(seal(
        request(1, 1).aggregate(key("a"), any, vec![]),
        &[None],
        &options,
    ));
    assert!(
        reason.contains("no event for infrastructure.compute a"),
        "{reason}"
    );
    let twice = request(1, 1)
        .aggregate(key("a"), any, vec![event()])
        .aggregate(key("a"), any, vec![event()]);
    let reason = refused(seal(twice, &[None, None], &options));
    assert!(reason.contains("twice"), "{reason}");
    let many = request(1, 1).aggregate(key("a"), any, vec![event(); 1_001]);
    let reason = refused(seal(many, &[None], &options));
    assert!(reason.contains("1001 events, at most 1000"), "{reason}");
    let most = request(1, 1).aggregate(key("a"), any, vec![event(); 1_000]);
    assert_eq!(seal(most, &[None], &options).unwrap().len(), 1_000);
    for name in ["", "a..b", "a b.c", "a.>"] {
        let odd = NewEvent::from_payload(name, 1, vec![0xa0]);
        let reason = refused(seal(
            request(1, 1).aggregate(key("a"), any, vec![odd]),
            &[None],
            &options,
        ));
        assert!(reason.contains("no type of event"), "{reason}");
    }
}

#[test]
fn a_payload_over_the_limit_is_refused() {
    let event = NewEvent::of(&registered(&"x".repeat(100))).unwrap();
    let commit = request(1, 1).aggregate(key("a"), ExpectedVersion::Any, vec![event]);
    let options = SealOptions {
        max_payload: 100,
        ..SealOptions::default()
    };
    let sealed = seal(commit, &[None], &options);
    let Err(StoreError::Payload(PayloadError::TooLarge {
        bytes, limit: 100, ..
    })) = sealed
    else {
        panic!("expected a payload that is too large, found {sealed:?}");
    };
    assert!(bytes > 100);
}
