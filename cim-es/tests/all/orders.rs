//! Lists whose type serde cannot tell: sets without an order are found among them, and lists are tried once.

use std::cell::Cell;
use std::collections::HashSet;

use cim_es::event::{PayloadError, encode_payload};
use cim_es::prelude::*;
use ipld_core::ipld;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(event = Event, command = Nothing)]
pub enum State {
    #[state(initial)]
    #[on(/ Found => _)]
    #[on(/ Written => _)]
    #[on(/ Counted => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(aggregate = Thing)]
pub enum Event {
    #[apply(_ = form)]
    Found { form: Form },
    #[apply(_ = value)]
    Written { value: Ipld },
    #[apply(_ = event)]
    Counted(Counted),
}

#[derive(Command, Clone, Debug)]
#[command(aggregate = Thing)]
pub enum Nothing {}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "orders", name = "thing", state = State)]
pub struct Thing {
    state: State,
}

/// The forms in which serde looks at a value before it knows its type, each with a list and with a set beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Form {
    Tagged { tagged: Tagged },
    Adjacent { adjacent: Adjacent },
    Flat { flat: Flat },
    Short { short: [u8; 2] },
    Long { short: HashSet<u8> },
    Ordered { list: Vec<u8>, ordered: bool },
    Unordered { list: HashSet<u8>, unordered: bool },
    Numbers(Vec<u32>),
    Words(HashSet<String>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Tagged {
    List { values: Vec<u8> },
    Set { values: HashSet<u8> },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "values")]
pub enum Adjacent {
    List(Vec<u8>),
    Set(HashSet<u8>),
    ListAndMore(Vec<u8>, u8),
    SetAndMore(HashSet<u8>, u8),
    DeepList(Vec<Vec<u8>>),
    DeepSet(Vec<HashSet<u8>>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flat {
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Inner {
    List(Vec<u8>),
    Set(HashSet<u8>),
    ListAndMore(Vec<u8>, Vec<u8>),
    SetAndMore(HashSet<u8>, Vec<u8>),
    ListWithin { list: Vec<u8> },
    SetWithin { list: HashSet<u8> },
}

/// Values that count how often one of them is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counted {
    #[serde(flatten)]
    list: CountedList,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CountedList {
    list: Vec<Once>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Once(u8);

thread_local! {
    static READ: Cell<usize> = const { Cell::new(0) };
}

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        READ.set(READ.get() + 1);
        u8::deserialize(source).map(Self)
    }
}

fn encode(form: Form) -> Result<Vec<u8>, PayloadError> {
    encode_payload(&Event::Found { form })
}

#[test]
fn a_list_that_keeps_its_order_does_not_vouch_for_a_set_beside_it() {
    let list = || vec![2, 1, 3];
    let set = || HashSet::from([2, 1]);
    let words = || HashSet::from(["a".to_owned(), "b".to_owned()]);
    let tagged = |tagged| Form::Tagged { tagged };
    let adjacent = |adjacent| Form::Adjacent { adjacent };
    let flat = |inner| Form::Flat {
        flat: Flat { inner },
    };
    for _ in 0..3 {
        for form in [
            tagged(Tagged::List { values: list() }),
            adjacent(Adjacent::List(vec![2, 1])),
            adjacent(Adjacent::ListAndMore(vec![2, 1], 1)),
            adjacent(Adjacent::DeepList(vec![vec![2, 1], vec![1, 2]])),
            flat(Inner::List(vec![2, 1])),
            flat(Inner::ListAndMore(vec![2, 1], vec![2, 1])),
            flat(Inner::ListWithin { list: vec![2, 1] }),
            Form::Short { short: [2, 1] },
            Form::Ordered {
                list: vec![2, 1],
                ordered: true,
            },
            Form::Numbers(vec![2, 1]),
        ] {
            encode(form.clone()).unwrap_or_else(|error| panic!("{form:?}: {error}"));
        }
    }
    type Shape = fn(HashSet<u8>, HashSet<String>) -> Form;
    let sets: [Shape; 10] = [
        |values, _| Form::Tagged {
            tagged: Tagged::Set { values },
        },
        |set, _| Form::Adjacent {
            adjacent: Adjacent::Set(set),
        },
        |set, _| Form::Adjacent {
            adjacent: Adjacent::SetAndMore(set, 1),
        },
        |set, _| Form::Adjacent {
            adjacent: Adjacent::DeepSet(vec![set.clone(), set]),
        },
        |set, _| Form::Flat {
            flat: Flat {
                inner: Inner::Set(set),
            },
        },
        |set, _| Form::Flat {
            flat: Flat {
                inner: Inner::SetAndMore(set, vec![2, 1]),
            },
        },
        |list, _| Form::Flat {
            flat: Flat {
                inner: Inner::SetWithin { list },
            },
        },
        |mut short, _| {
            short.insert(3);
            Form::Long { short }
        },
        |list, _| Form::Unordered {
            list,
            unordered: true,
        },
        |_, words| Form::Words(words),
    ];
    for (number, form) in sets.iter().enumerate() {
        for _ in 0..20 {
            let form = form(set(), words());
            let refused = encode(form.clone());
            let is_named = matches!(&refused, Err(PayloadError::NotStorable { reason, .. }) if reason.contains("`BTreeSet`"));
            assert!(is_named, "case {number}, {form:?}: {refused:?}");
        }
    }
}

#[test]
fn a_list_is_tried_once_and_then_read_back_as_any_other() {
    let read = |length: u8| {
        let list = CountedList {
            list: (0..length).map(Once).collect(),
        };
        READ.set(0);
        encode_payload(&Event::Counted(Counted { list })).expect("it is stored");
        READ.get() / usize::from(length)
    };
    assert!(read(2) > 40);
    assert_eq!(read(2), 1);
    assert!(
        read(3) > 40,
        "a list of another length may be read otherwise"
    );
    assert_eq!(read(3), 1);
    assert!(read(40) > 40);
    assert_eq!(read(50), 1);
}

#[test]
fn values_of_any_type_are_stored_whatever_was_tried_before() {
    for value in [
        ipld!([1, "two", [3, 4], {"five": [6, 7]}]),
        ipld!({"list": [[1, 2], [3, 4]], "more": [null, true]}),
        ipld!([[1, 2], {"a": 1, "b": [1, 2, 3]}]),
    ] {
        for _ in 0..3 {
            let value = value.clone();
            encode_payload(&Event::Written { value }).expect("it is stored");
        }
    }
}
