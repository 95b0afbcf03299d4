//! Properties of whole events: what is encoded reads back, and no bytes make the reader panic.

use std::collections::BTreeMap;

use crate::blocks_support::*;
use cim_es::block::{Fault, HashCode, StoredEvent};
use cim_es::event::{DomainEvent, decode_payload, encode_payload};
use cim_es::store::{Position, SealOptions};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_map(|float| match float.is_finite() && float != 0.0 {
        true => float,
        false => 0.0,
    })
}

fn event() -> impl Strategy<Value = Event> {
    let interface = (".{0,20}", finite()).prop_map(|(name, speed)| Interface { name, speed });
    let wide = (i128::from(i64::MIN)..=i128::from(u64::MAX)).prop_map(Some);
    let named = prop_oneof![Just(Named::Left), Just(Named::Right)];
    let by_transparent = btree_map(".{0,30}".prop_map(Transparent), any::<u8>(), 0..5);
    let odd = (
        wide,
        of(btree_map(named, finite(), 0..2)),
        of(by_transparent),
    )
        .prop_map(|(wide, by_named, by_transparent)| Odd {
            wide,
            by_named,
            by_transparent,
            by_option: Some(BTreeMap::new()),
            ..Odd::default()
        });
    prop_oneof![
        (".{0,60}", ".{0,60}", any::<u32>()).prop_map(|(hostname, architecture, cores)| {
            Event::Registered {
                hostname,
                architecture,
                cores,
            }
        }),
        vec(interface, 0..6).prop_map(|interfaces| Event::InterfacesSeen { interfaces }),
        Just(Event::Rebooted),
        odd.prop_map(Event::Measured),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_event_reads_back_from_its_payload(event in event()) {
        let payload = encode_payload(&event).unwrap();
        let info = event.info();
        let read = decode_payload::<Event>(info.event_type, info.schema, &payload);
        prop_assert_eq!(read, Ok(event));
    }

    #[test]
    fn a_sealed_event_is_proved_and_reads_back(event in event()) {
        let events = history("a", &[vec![event.clone()]], &SealOptions::default());
        let proved = verify(&events[0]).unwrap();
        prop_assert_eq!(&proved, &events[0]);
        prop_assert_eq!(proved.decode::<Event>(), Ok(event));
    }

    #[test]
    fn bytes_that_are_no_block_are_tampering_and_never_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        let cid = HashCode::Sha2_256.cid(b"something else");
        let verdict = StoredEvent::verify(Position(1), cid, bytes.into()).unwrap_err();
        let is_tampered = matches!(verdict.fault, Fault::Tampered { .. });
        prop_assert!(is_tampered, "{:?}", verdict);
    }

    #[test]
    fn bytes_that_decode_to_no_event_are_an_error_and_never_a_panic(
        bytes in vec(any::<u8>(), 0..200),
        schema in 0_u32..5,
    ) {
        for name in Event::TYPES {
            if let Ok(event) = decode_payload::<Event>(name, schema, &bytes) {
                encode_payload(&event).unwrap();
            }
        }
    }
}
