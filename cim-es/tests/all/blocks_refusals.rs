//! What cannot be stored, or would not read back, is refused at append with the path of the field.

use std::collections::BTreeMap;

use crate::blocks_support::*;
use cim_es::block::{ContentAddressedEvent, HashCode, generate_cid};
use cim_es::event::{PayloadError, encode_payload};
use cim_es::store::{ExpectedVersion, NewEvent, SealOptions, StoreError, seal};
use ipld_core::ipld;
use ipld_core::ipld::Ipld;

fn refusal(event: &Event) -> (String, String) {
    match encode_payload(event) {
        Err(PayloadError::NotStorable { path, reason, .. }) => (path, reason),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

fn refused_odd(odd: Odd) -> (String, String) {
    refusal(&measured(odd))
}

/// What a store says of bytes that were not encoded by this library.
fn refused_bytes(payload: &[u8]) -> (String, String) {
    let event = NewEvent::from_payload("a.b.c", 1, payload.to_vec());
    let commit = request(1, 1).aggregate(key("a"), ExpectedVersion::Any, vec![event]);
    match seal(commit, &[None], &SealOptions::default()) {
        Err(StoreError::Payload(PayloadError::NotStorable { path, reason, .. })) => (path, reason),
        other => panic!("expected a refusal of {payload:02x?}, found {other:?}"),
    }
}

fn nested(levels: usize) -> Nested {
    (1..levels).fold(Nested::default(), |inner, _| Nested(vec![inner]))
}

#[test]
fn a_float_that_is_not_finite_is_refused_with_its_path() {
    for speed in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut interfaces = vec![
            Interface {
                name: "eth".to_owned(),
                speed: 1.0
            };
            3
        ];
        interfaces[2].speed = speed;
        let (path, reason) = refusal(&Event::InterfacesSeen { interfaces });
        assert_eq!(path, "interfaces[2].speed");
        assert!(reason.contains("not a finite number"), "{reason}");
    }
    let by_named = Some(BTreeMap::from([
        (Named::Left, 1.0),
        (Named::Right, f64::NAN),
    ]));
    let (path, _) = refused_odd(Odd {
        by_named,
        ..Odd::default()
    });
    assert_eq!(path, "by_named.Right");
}

#[test]
fn an_integer_past_64_bits_is_refused_with_its_path() {
    for wide in [-(1 << 64) - 1, i128::from(u64::MAX) + 1] {
        let (path, reason) = refused_odd(Odd {
            wide: Some(wide),
            ..Odd::default()
        });
        assert_eq!(path, "wide");
        assert!(reason.contains(&wide.to_string()), "{reason}");
        let anything = Some(ipld!({"list": [1, wide]}));
        let (path, _) = refused_odd(Odd {
            anything,
            ..Odd::default()
        });
        assert_eq!(path, "anything.list[1]");
    }
    let wide_unsigned = Some(u128::from(u64::MAX) + 1);
    let (path, _) = refused_odd(Odd {
        wide_unsigned,
        ..Odd::default()
    });
    assert_eq!(path, "wide_unsigned");
}

#[test]
fn the_widest_integers_are_stored() {
    for wide in [
        -(1 << 64),
        i128::from(i64::MIN) - 1,
        i128::from(u64::MAX),
        -1,
        0,
    ] {
        encode_payload(&measured(Odd {
            wide: Some(wide),
            ..Odd::default()
        }))
        .unwrap();
    }
    let wide_unsigned = Some(u128::from(u64::MAX));
    encode_payload(&measured(Odd {
        wide_unsigned,
        ..Odd::default()
    }))
    .unwrap();
}

#[test]
fn keys_that_encode_but_do_not_decode_are_refused_with_their_path() {
    let by_wrapped = Some(BTreeMap::from([(Wrapped("left".to_owned()), 1)]));
    let (path, reason) = refused_odd(Odd {
        by_wrapped,
        ..Odd::default()
    });
    assert_eq!(path, "by_wrapped.left");
    assert!(
        reason.contains("newtype `Wrapped`") && reason.contains("transparent"),
        "{reason}"
    );
    let by_option = Some(BTreeMap::from([(Some("left".to_owned()), 1)]));
    let (path, reason) = refused_odd(Odd {
        by_option,
        ..Odd::default()
    });
    assert_eq!(path, "by_option.left");
    assert!(reason.contains("an option"), "{reason}");
    let by_number = Some(BTreeMap::from([(7, 1)]));
    let (path, reason) = refused_odd(Odd {
        by_number,
        ..Odd::default()
    });
    assert_eq!(path, "by_number.7");
    assert!(reason.contains("must be a text"), "{reason}");
}

#[test]
fn keys_that_decode_are_stored() {
    let by_transparent = Some(BTreeMap::from([(Transparent("left".to_owned()), 1)]));
    let by_named = Some(BTreeMap::from([(Named::Right, 0.5)]));
    let odd = Odd {
        by_transparent,
        by_named,
        ..Odd::default()
    };
    let payload = encode_payload(&measured(odd)).unwrap();
    let value: Ipld = serde_ipld_dagcbor::from_slice(&payload).unwrap();
    assert_eq!(
        value,
        ipld!({"by_named": {"Right": 0.5}, "by_transparent": {"left": 1}})
    );
}

#[test]
fn nesting_is_stored_up_to_what_a_decoder_reads_inside_the_body_and_refused_past_it() {
    // The payload's own map is the first of 126 levels.
    let deepest = measured(Odd {
        nested: Some(nested(125)),
        ..Odd::default()
    });
    let options = SealOptions::default();
    for event in history("a", &[vec![deepest]], &options) {
        let body: Ipld = serde_ipld_dagcbor::from_slice(event.body()).unwrap();
        assert!(matches!(body, Ipld::List(_)));
        event.decode::<Event>().unwrap();
        verify(&event).unwrap();
    }
    for levels in [126, 127, 300, 4_000] {
        let too_deep = measured(Odd {
            nested: Some(nested(levels)),
            ..Odd::default()
        });
        let (path, reason) = refusal(&too_deep);
        assert!(path.starts_with("nested[0][0]"), "{path}");
        assert!(reason.contains("126 levels"), "{reason}");
    }
}

#[test]
fn values_in_the_deepest_level_read_back_inside_the_body() {
    let deep =
        |levels: usize| (1..levels).fold(ipld!(["text"]), |inner, _| Ipld::List(vec![inner]));
    let event = measured(Odd {
        anything: Some(deep(125)),
        ..Odd::default()
    });
    let events = history("a", &[vec![event]], &SealOptions::default());
    serde_ipld_dagcbor::from_slice::<Ipld>(events[0].body()).unwrap();
    refused_odd(Odd {
        anything: Some(deep(126)),
        ..Odd::default()
    });
}

#[test]
fn an_option_in_an_option_that_would_lose_its_shape_is_refused() {
    let (path, reason) = refused_odd(Odd {
        twice: Some(Some(None)),
        ..Odd::default()
    });
    assert_eq!(path, "twice");
    assert!(reason.contains("read back as none"), "{reason}");
    encode_payload(&measured(Odd {
        twice: Some(Some(Some(1))),
        ..Odd::default()
    }))
    .unwrap();
}

#[test]
fn bytes_that_are_not_one_canonical_map_are_refused_with_path_and_place() {
    let deep = [&[0xa1, 0x61, b'a'][..], &[0x81; 126], &[0]].concat();
    let cases: &[(&[u8], &str, &str)] = &[
        (&[], "", "end inside"),
        (&[0x80], "", "not a map"),
        (&[0xa0, 0], "", "behind"),
        (&[0xbf, 0xff], "", "not definite"),
        (&[0xa1, 1, 1], "", "not a text"),
        (&[0xa1, 0x61, b'a'], "a", "end inside"),
        (&[0xa1, 0x61, b'a', 0x18, 5], "a", "shortest"),
        (&[0xa1, 0x61, b'a', 0xf7], "a", "simple"),
        (&[0xa1, 0x61, b'a', 0xf9, 0x3c, 0], "a", "fewer than 64"),
        (
            &[0xa1, 0x61, b'a', 0xfb, 0x80, 0, 0, 0, 0, 0, 0, 0],
            "a",
            "-0.0",
        ),
        (&[0xa1, 0x61, b'a', 0x61, 0xff], "a", "UTF-8"),
        (&[0xa1, 0x61, b'a', 0xc1, 1], "a", "tag"),
        (&[0xa1, 0x61, b'a', 0xd8, 42, 0x41, 0], "a", "no CID"),
        (&[0xa2, 0x61, b'a', 1, 0x61, b'a', 2], "a", "twice"),
        (&[0xa2, 0x62, b'a', b'a', 1, 0x61, b'b', 2], "b", "sorted"),
        (
            &[0xa1, 0x61, b'a', 0x82, 1, 0xa1, 0x61, b'b', 0xfc],
            "a[1].b",
            "simple",
        ),
        (&deep, "a[0][0]", "126 levels"),
    ];
    for (payload, expected, words) in cases {
        let (path, reason) = refused_bytes(payload);
        assert!(path.starts_with(expected), "{payload:02x?}: `{path}`");
        assert!(reason.contains(words), "{payload:02x?}: {reason}");
    }
}

#[test]
fn links_to_foreign_codecs_are_stored_and_links_with_trailing_bytes_are_not() {
    let digest = [7; 32];
    let raw = [&[1, 0x55, 0x12, 32][..], &digest].concat();
    let old = [&[0x12, 32][..], &digest].concat();
    let identity = [1, 0x55, 0, 0].to_vec();
    let wide = [&[1, 0x71, 0x13, 64][..], &digest, &digest].concat();
    let link = |cid: &[u8]| {
        let head = [0xa1, 0x61, b'a', 0xd8, 42, 0x58, cid.len() as u8 + 1, 0];
        let short = [0xa1, 0x61, b'a', 0xd8, 42, 0x40 | (cid.len() as u8 + 1), 0];
        match cid.len() {
            0..23 => [&short[..], cid].concat(),
            _ => [&head[..], cid].concat(),
        }
    };
    for cid in [&raw, &old, &identity, &wide] {
        let event = NewEvent::from_payload("a.b.c", 1, link(cid));
        let commit = request(1, 1).aggregate(key("a"), ExpectedVersion::Any, vec![event]);
        let sealed = seal(commit, &[None], &SealOptions::default())
            .unwrap()
            .remove(0);
        serde_ipld_dagcbor::from_slice::<Ipld>(sealed.body()).unwrap();
        let longer = [&cid[..], &[0]].concat();
        assert_eq!(refused_bytes(&link(&longer)).0, "a");
        assert_eq!(refused_bytes(&link(&cid[..cid.len() - 1])).0, "a");
    }
}

#[test]
fn a_refusal_reads_as_a_sentence_that_names_event_and_field() {
    let event = measured(Odd {
        wide: Some(1 << 70),
        ..Odd::default()
    });
    let text = encode_payload(&event).unwrap_err().to_string();
    assert_eq!(
        text,
        "event `infrastructure.compute.measured`, field `wide`: 1180591620717411303424 is past the 64 bits of an \
         integer in dag-cbor: use a text or bytes for it"
    );
}

#[test]
fn the_same_event_has_the_same_payload_cid_and_another_one_has_not() {
    let cid = generate_cid(&registered("node")).unwrap();
    assert_eq!(cid, generate_cid(&registered("node")).unwrap());
    assert_ne!(cid, generate_cid(&registered("other")).unwrap());
    let named = ContentAddressedEvent::new(registered("node")).unwrap();
    assert_eq!(*named.cid(), cid);
    assert_eq!(named.to_string(), cid.to_string());
    assert!(named.to_string().starts_with("bafyrei"));
    assert_eq!(named.event(), &registered("node"));
    assert_eq!(named.verify(), Ok(true));
    let events = history("a", &[vec![registered("node")]], &SealOptions::default());
    assert_eq!(events[0].envelope.payload, cid);
    assert_ne!(events[0].cid, cid);
}

#[test]
fn a_payload_cid_does_not_fit_another_event_or_another_hash() {
    let named = ContentAddressedEvent::new(registered("node")).unwrap();
    let forged = ContentAddressedEvent::from_parts(*named.cid(), registered("other"));
    assert_eq!(forged.verify(), Ok(false));
    let blake = ContentAddressedEvent::new_with(HashCode::Blake3_256, registered("node")).unwrap();
    assert_ne!(blake.cid(), named.cid());
    assert_eq!(blake.verify(), Ok(true));
    assert!(
        ContentAddressedEvent::new(measured(Odd {
            wide: Some(1 << 70),
            ..Odd::default()
        }))
        .is_err()
    );
}
