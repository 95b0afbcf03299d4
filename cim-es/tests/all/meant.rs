//! What is stored is what was meant: an event that reads back as another one is refused with the path of the field.

use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::net::IpAddr;

use cim_es::block::{ContentAddressedEvent, generate_cid};
use cim_es::event::{PayloadError, encode_payload};
use cim_es::prelude::*;
use cim_es::store::{AggregateKey, CommitRequest, ExpectedVersion, NewEvent, SealOptions, seal};
use ipld_core::ipld;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(event = Event, command = Nothing)]
pub enum State {
    #[state(initial)]
    #[on(/ Contacted => _)]
    #[on(/ Tagged => _)]
    #[on(/ Weighed => _)]
    #[on(/ Asked => _)]
    #[on(/ Hosted => _)]
    #[on(/ Anything => _)]
    #[on(/ Attached => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(aggregate = Thing)]
pub enum Event {
    #[apply(_ = contact)]
    Contacted { contact: Vec<Contact> },
    #[apply(_ = event)]
    Tagged(Tags),
    #[apply(_ = weights)]
    Weighed { weights: Weights },
    #[apply(_ = event)]
    Asked(Answers),
    #[apply(_ = event)]
    Hosted(Hosts),
    #[apply(_ = value)]
    Anything { value: Ipld },
    #[apply(_ = content)]
    Attached { content: Vec<u8> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Contact {
    Short { number: String },
    Whole { number: String, country: String },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tags {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plain: Option<HashSet<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrapped: Option<Wrapped>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    by_name: BTreeMap<String, Vec<HashSet<u8>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heap: Option<Heap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hidden: Option<Hidden>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "sorted",
        deserialize_with = "unsorted"
    )]
    in_order: Vec<HashSet<u8>>,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    keyed: HashMap<String, u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wrapped(HashSet<u8>);

/// serde looks into it before it knows the variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Hidden {
    Tags { tags: HashSet<u8> },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heap(BinaryHeap<u8>);

impl PartialEq for Heap {
    fn eq(&self, other: &Self) -> bool {
        self.0.clone().into_sorted_vec() == other.0.clone().into_sorted_vec()
    }
}

fn sorted<S: serde::Serializer>(sets: &[HashSet<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    let sorted = sets.iter().map(|set| {
        let mut set: Vec<_> = set.iter().collect();
        set.sort();
        set
    });
    serializer.collect_seq(sorted)
}

fn unsorted<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Vec<HashSet<u8>>, D::Error> {
    Deserialize::deserialize(source)
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    #[serde(skip_deserializing)]
    forgotten: u8,
    #[serde(default = "seven")]
    filled: Filled,
    #[serde(with = "thirds")]
    rounded: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filled(Vec<u8>);

fn seven() -> Filled {
    Filled(vec![7])
}

/// Halves that do not agree.
mod thirds {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value / 3.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
        f64::deserialize(source)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    #[serde(default, skip_serializing_if = "Option::is_none", with = "double")]
    two: Option<Option<u8>>,
    #[serde(default)]
    lost: Option<Option<u8>>,
    #[serde(default)]
    list: Vec<Option<Option<u8>>>,
}

/// Keeps none and an option that holds none apart, as a nullable field of an update is.
mod double {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Option<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<Option<Option<u8>>, D::Error> {
        Option::deserialize(source).map(Some)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hosts {
    address: IpAddr,
    #[serde(default)]
    hosts: Vec<Host>,
    #[serde(default)]
    flat: Option<Flat>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Host {
    Named { name: String },
    Addressed { address: IpAddr },
    Numbered { number: u128 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flat {
    #[serde(flatten)]
    more: More,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct More {
    wide: i128,
}

#[derive(Command, Clone, Debug)]
#[command(aggregate = Thing)]
pub enum Nothing {}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "meant", name = "thing", state = State)]
pub struct Thing {
    state: State,
}

fn refusal(event: &Event) -> (String, String) {
    match encode_payload(event) {
        Err(PayloadError::NotStorable { path, reason, .. }) => (path, reason),
        other => panic!("expected a refusal of {event:?}, found {other:?}"),
    }
}

#[test]
fn an_untagged_enum_whose_first_variant_swallows_the_second_is_refused() {
    let number = || "1".to_owned();
    let short = Contact::Short { number: number() };
    let whole = Contact::Whole {
        number: number(),
        country: "ch".to_owned(),
    };
    encode_payload(&Event::Contacted {
        contact: vec![short.clone()],
    })
    .unwrap();
    let contact = vec![short, whole];
    let (path, reason) = refusal(&Event::Contacted { contact });
    assert_eq!(path, "contact[1].country");
    assert!(reason.contains("untagged"), "{reason}");
    assert!(reason.contains("read back as nothing"), "{reason}");
}

#[test]
fn a_set_without_an_order_is_refused_each_time_wherever_it_stands() {
    let set = || HashSet::from([1, 2]);
    type Change = fn(&mut Tags);
    let cases: [(&str, Change); 5] = [
        ("plain", |tags| {
            tags.plain = Some(HashSet::from(["a".to_owned(), "b".to_owned()]));
        }),
        ("wrapped", |tags| {
            tags.wrapped = Some(Wrapped(HashSet::from([1, 2])));
        }),
        ("by_name.x[1]", |tags| {
            let sets = vec![HashSet::new(), HashSet::from([1, 2])];
            tags.by_name = BTreeMap::from([("x".to_owned(), sets)]);
        }),
        ("hidden.tags", |tags| {
            tags.hidden = Some(Hidden::Tags {
                tags: HashSet::from([1, 2]),
            });
        }),
        ("plain", |tags| {
            let many = (0..6).map(|number| number.to_string());
            tags.plain = Some(many.collect());
        }),
    ];
    for (expected, change) in cases {
        for _ in 0..20 {
            let mut tags = Tags::default();
            change(&mut tags);
            let (path, reason) = refusal(&Event::Tagged(tags));
            assert_eq!(path, expected);
            assert!(reason.contains("`BTreeSet`"), "{reason}");
            assert!(reason.contains("`BTreeMap`"), "{reason}");
        }
    }
    // In an order of its own, or with nothing to order, it is stored.
    for _ in 0..20 {
        let tags = Tags {
            plain: Some(HashSet::from(["a".to_owned()])),
            in_order: vec![set(), set()],
            keyed: (0..6).map(|number| (number.to_string(), number)).collect(),
            ..Tags::default()
        };
        let event = Event::Tagged(tags);
        let named = ContentAddressedEvent::new(event.clone()).unwrap();
        assert_eq!(*named.cid(), generate_cid(&event).unwrap());
        assert_eq!(named.verify(), Ok(true));
    }
}

#[test]
fn a_field_that_is_written_and_read_otherwise_is_refused_with_its_path() {
    let even = Weights {
        filled: seven(),
        ..Weights::default()
    };
    encode_payload(&Event::Weighed {
        weights: even.clone(),
    })
    .unwrap();
    let cases = [
        (
            "weights.forgotten",
            Weights {
                forgotten: 5,
                ..even.clone()
            },
            "written as 5, and after it was read back as 0",
        ),
        (
            "weights.rounded",
            Weights {
                rounded: 9.0,
                ..even
            },
            "written as 3.0, and after it was read back as 1.0",
        ),
    ];
    for (expected, weights, words) in cases {
        let (path, reason) = refusal(&Event::Weighed { weights });
        assert_eq!(path, expected);
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn an_option_that_holds_nothing_is_stored_where_it_reads_back_and_refused_where_not() {
    for two in [None, Some(None), Some(Some(1))] {
        let answers = Answers {
            two,
            ..Answers::default()
        };
        encode_payload(&Event::Asked(answers)).unwrap();
    }
    let lost = Answers {
        two: Some(None),
        lost: Some(None),
        ..Answers::default()
    };
    let (path, reason) = refusal(&Event::Asked(lost));
    assert_eq!(path, "lost");
    assert!(reason.contains("read back as none"), "{reason}");
    let listed = Answers {
        list: vec![None, Some(Some(1)), Some(None)],
        ..Answers::default()
    };
    assert_eq!(refusal(&Event::Asked(listed)).0, "list[2]");
}

#[test]
fn a_type_with_two_forms_in_serde_is_named_by_its_path_with_what_to_do() {
    let hosts = |host: Host| {
        Event::Hosted(Hosts {
            address: IpAddr::from([127, 0, 0, 1]),
            hosts: vec![
                Host::Named {
                    name: "a".to_owned(),
                },
                host,
            ],
            flat: None,
        })
    };
    encode_payload(&hosts(Host::Named {
        name: "b".to_owned(),
    }))
    .unwrap();
    let address = IpAddr::from([127, 0, 0, 1]);
    let (path, reason) = refusal(&hosts(Host::Addressed { address }));
    assert!(path.starts_with("hosts[1].address"), "{path}");
    assert!(
        reason.contains("#[serde(tag)]") && reason.contains("try_from = \"String\""),
        "{reason}"
    );
    let (path, reason) = refusal(&hosts(Host::Numbered { number: 7 }));
    assert_eq!(path, "hosts[1].number");
    assert!(
        reason.contains("128 bits") && reason.contains("`u64`"),
        "{reason}"
    );
    let flat = Event::Hosted(Hosts {
        address,
        hosts: vec![],
        flat: Some(Flat {
            more: More { wide: -7 },
        }),
    });
    let (path, reason) = refusal(&flat);
    assert_eq!(path, "flat.wide");
    assert!(reason.contains("#[serde(flatten)]"), "{reason}");
}

#[test]
fn keys_that_serde_json_has_to_itself_are_refused_from_events_and_from_bytes() {
    for (key, expected) in [
        ("$serde_json::private::Number", "value.amounts[1]"),
        ("$serde_json::private::RawValue", "value.amounts[1]"),
    ] {
        let value = ipld!({"amounts": [{"$": 1}, {key: "12.50"}]});
        let (path, reason) = refusal(&Event::Anything {
            value: value.clone(),
        });
        assert_eq!(path, expected);
        assert!(reason.contains("arbitrary_precision"), "{reason}");
        let payload = serde_ipld_dagcbor::to_vec(&ipld!({"value": value})).unwrap();
        let event = NewEvent::from_payload("meant.thing.anything", 1, payload);
        let key = AggregateKey::of::<Thing>(&Id::new()).unwrap();
        let request = CommitRequest::new(
            MessageIdentity::new_from_user("test"),
            Timestamp::from_micros(0),
        )
        .aggregate(key, ExpectedVersion::Any, vec![event]);
        let refused = seal(request, &[None], &SealOptions::default()).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    // A text may be what it likes.
    let value = ipld!({"$": "$serde_json::private::Number"});
    encode_payload(&Event::Anything { value }).unwrap();
}

#[test]
fn a_payload_that_is_too_large_for_its_numbers_says_how_it_gets_shorter() {
    let content = vec![200; 1_000];
    let event = NewEvent::of(&Event::Attached { content }).unwrap();
    let key = AggregateKey::of::<Thing>(&Id::new()).unwrap();
    let identity = MessageIdentity::new_from_user("test");
    let request = CommitRequest::new(identity, Timestamp::from_micros(0)).aggregate(
        key,
        ExpectedVersion::Any,
        vec![event],
    );
    let options = SealOptions {
        max_payload: 1_500,
        ..SealOptions::default()
    };
    let refused = seal(request, &[None], &options).unwrap_err().to_string();
    assert!(refused.contains("numbers of `content`"), "{refused}");
    assert!(refused.contains("serde_bytes"), "{refused}");
}
