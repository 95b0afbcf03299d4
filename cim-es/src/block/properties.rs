//! Properties of the strict check, held against `serde_ipld_dagcbor` on random values and random damage.

use ::cid::Cid;
use ipld_core::ipld::Ipld;
use multihash::Multihash;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use uuid::Uuid;

use super::reader::Reader;
use super::{CommitPart, Envelope, FORMAT, HashCode, canonical, envelope_block};
use crate::domain::message::{MetaValue, Timestamp};

fn any_link() -> impl Strategy<Value = Cid> {
    let codes = prop_oneof![Just(0x12_u64), Just(0x1e), Just(0x13), Just(0xb220)];
    (any::<u16>(), codes, vec(any::<u8>(), 0..64)).prop_map(|(codec, code, digest)| {
        Cid::new_v1(u64::from(codec), Multihash::wrap(code, &digest).unwrap())
    })
}

fn own_link() -> impl Strategy<Value = Cid> {
    let hashes = prop_oneof![Just(HashCode::Sha2_256), Just(HashCode::Blake3_256)];
    (hashes, any::<u64>()).prop_map(|(hash, seed)| hash.cid(&seed.to_be_bytes()))
}

fn value() -> impl Strategy<Value = Ipld> {
    let finite = any::<f64>().prop_filter_map("finite", |float| {
        let float = if float == 0.0 { 0.0 } else { float };
        float.is_finite().then_some(Ipld::Float(float))
    });
    let leaf = prop_oneof![
        Just(Ipld::Null),
        any::<bool>().prop_map(Ipld::Bool),
        any::<i64>().prop_map(|integer| Ipld::Integer(integer.into())),
        any::<u64>().prop_map(|integer| Ipld::Integer(integer.into())),
        (-300_i128..300).prop_map(Ipld::Integer),
        (-(1_i128 << 64)..=i128::from(i64::MIN)).prop_map(Ipld::Integer),
        finite,
        ".{0,40}".prop_map(Ipld::String),
        vec(any::<u8>(), 0..40).prop_map(Ipld::Bytes),
        any_link().prop_map(Ipld::Link),
    ];
    leaf.prop_recursive(5, 40, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Ipld::List),
            btree_map(".{0,30}", inner, 0..8).prop_map(Ipld::Map),
        ]
    })
}

/// One change to some bytes.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 1..=u8::MAX).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        index().prop_map(Damage::Remove),
        (index(), index()).prop_map(|(a, b)| Damage::Swap(a, b)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Flip(at, mask) => bytes[at.index(length)] ^= mask,
        Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Insert(at, byte) => bytes.insert(at.index(length), *byte),
        Damage::Remove(at) => drop(bytes.remove(at.index(length))),
        Damage::Swap(a, b) => bytes.swap(a.index(length), b.index(length)),
    }
}

/// Whether another decoder reads the bytes, and encodes what it read to the same bytes.
fn reencodes(bytes: &[u8]) -> bool {
    match serde_ipld_dagcbor::from_slice::<Ipld>(bytes) {
        Ok(value) => serde_ipld_dagcbor::to_vec(&value).unwrap() == bytes,
        Err(_) => false,
    }
}

fn meta_value() -> impl Strategy<Value = MetaValue> {
    prop_oneof![
        ".{0,40}".prop_map(MetaValue::Text),
        any::<bool>().prop_map(MetaValue::Bool),
        any::<i64>().prop_map(MetaValue::from),
        any::<u64>().prop_map(MetaValue::from),
        (-(1_i128 << 64)..=0).prop_map(MetaValue::Integer),
        any_link().prop_map(MetaValue::Link),
    ]
}

/// Some place in a commit that there can be.
fn possible([of, index, more, before]: [u32; 4]) -> CommitPart {
    let of = of.max(1);
    let index = index % of + 1;
    let more = more.min(u32::MAX - of);
    let part = CommitPart {
        index,
        of,
        whole_index: index + before.checked_rem(more).unwrap_or(0),
        whole_of: of + more,
    };
    assert!(part.is_possible(), "{part}");
    part
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let names = (".{0,40}", ".{0,300}", ".{0,40}");
    let numbers = (any::<u32>(), 1..=u64::MAX, any::<i64>(), any::<[u32; 4]>());
    let links = (
        proptest::option::of(own_link()),
        vec(own_link(), 0..5),
        own_link(),
    );
    let optional = (
        proptest::option::of(".{0,40}"),
        vec((".{0,30}", meta_value()), 0..4),
        proptest::option::of(btree_map(".{0,20}", value(), 0..4)),
    );
    (names, numbers, links, optional, any::<[u128; 3]>()).prop_map(
        |(names, numbers, links, optional, ids)| {
            let mut parents = links.1;
            parents.sort_by_key(Cid::to_bytes);
            parents.dedup();
            Envelope {
                format: FORMAT,
                id: Uuid::from_u128(ids[0]),
                aggregate: names.0,
                event_type: names.1,
                schema: numbers.0,
                aggregate_id: names.2,
                sequence: numbers.1,
                commit: possible(numbers.3),
                previous: links.0,
                parents,
                payload: links.2,
                correlation_id: Uuid::from_u128(ids[1]),
                causation_id: Uuid::from_u128(ids[2]),
                timestamp: Timestamp::from_micros(numbers.2),
                source: optional.0,
                meta: optional.1.into_iter().collect(),
                encryption: optional.2,
            }
        },
    )
}

fn read_envelope(bytes: &[u8]) -> Option<Envelope> {
    super::stored::read_envelope(bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_the_encoder_writes_is_canonical_and_is_delimited(value in value()) {
        let bytes = serde_ipld_dagcbor::to_vec(&value).unwrap();
        canonical::check(&bytes).unwrap();
        prop_assert_eq!(canonical::delimit(&bytes), Some(bytes.len()));
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(canonical::check(&longer).is_err());
        prop_assert_eq!(canonical::delimit(&longer), Some(bytes.len()));
        let read: Ipld = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
        prop_assert_eq!(read, value);
    }

    #[test]
    fn damaged_bytes_are_accepted_exactly_when_they_encode_to_themselves(
        value in value(),
        damages in vec(damage(), 1..4),
    ) {
        let mut bytes = serde_ipld_dagcbor::to_vec(&value).unwrap();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        prop_assert_eq!(canonical::check(&bytes).is_ok(), reencodes(&bytes), "{:02x?}", bytes);
    }

    #[test]
    fn random_bytes_are_accepted_exactly_when_they_encode_to_themselves(
        bytes in vec(any::<u8>(), 0..24),
    ) {
        prop_assert_eq!(canonical::check(&bytes).is_ok(), reencodes(&bytes), "{:02x?}", bytes);
        canonical::delimit(&bytes);
    }

    #[test]
    fn an_envelope_reads_back_and_has_the_bytes_of_its_serde_form(envelope in envelope()) {
        let mut bytes = Vec::new();
        envelope_block::write(&envelope, &mut bytes).unwrap();
        prop_assert_eq!(&bytes, &serde_ipld_dagcbor::to_vec(&envelope).unwrap());
        let read = read_envelope(&bytes);
        prop_assert_eq!(read.as_ref(), Some(&envelope));
        prop_assert_eq!(canonical::delimit(&bytes), Some(bytes.len()));
    }

    #[test]
    fn a_damaged_envelope_is_read_only_when_it_is_the_canonical_form_of_another(
        envelope in envelope(),
        damage in damage(),
    ) {
        let mut bytes = Vec::new();
        envelope_block::write(&envelope, &mut bytes).unwrap();
        apply(&mut bytes, &damage);
        if let Some(read) = read_envelope(&bytes) {
            prop_assert_eq!(&serde_ipld_dagcbor::to_vec(&read).unwrap(), &bytes);
            canonical::value(&mut Reader::new(&bytes), canonical::MAX_DEPTH).unwrap();
        }
    }
}
