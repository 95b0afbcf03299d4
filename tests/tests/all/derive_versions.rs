//! Versions of an event's payload, and the chain that brings old ones up.

use cim_es::event::{PayloadError, decode_payload};
use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum PersonState {
    #[state(initial)]
    #[on(Name / Named => _, Name / Aged => _)]
    Known,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum PersonEvent {
    // The order in which the chain is written does not matter.
    #[event(version = 3)]
    #[upcast(from = 2, with = upcast::split)]
    #[upcast(from = 1, with = upcast::rename)]
    Named { first: String, last: String },
    #[apply(_ = years)]
    Aged { years: u8 },
}

mod upcast {
    use super::*;

    fn map(
        payload: Ipld,
        change: impl FnOnce(&mut std::collections::BTreeMap<String, Ipld>) -> Option<()>,
    ) -> Result<Ipld, UpcastError> {
        let Ipld::Map(mut map) = payload else {
            return Err(UpcastError::new("not a map"));
        };
        change(&mut map).ok_or_else(|| UpcastError::new("a field is missing"))?;
        Ok(Ipld::Map(map))
    }

    /// Version 1 had one field `title`.
    pub fn rename(payload: Ipld) -> Result<Ipld, UpcastError> {
        map(payload, |map| {
            let title = map.remove("title")?;
            map.insert("name".to_owned(), title);
            Some(())
        })
    }

    /// Version 2 had one field `name`.
    pub fn split(payload: Ipld) -> Result<Ipld, UpcastError> {
        map(payload, |map| {
            let Ipld::String(name) = map.remove("name")? else {
                return None;
            };
            let (first, last) = name.split_once(' ')?;
            map.insert("first".to_owned(), Ipld::String(first.to_owned()));
            map.insert("last".to_owned(), Ipld::String(last.to_owned()));
            Some(())
        })
    }
}

#[derive(Command, Clone, Debug)]
enum PersonCommand {
    Name,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "people", name = "person", fold = 2)]
struct Person {
    state: PersonState,
    first: String,
    last: String,
}

impl Decide for Person {
    fn decide(&self, PersonCommand::Name: PersonCommand, _: &Context) -> Decision<Self> {
        emit(PersonEvent::Aged { years: 1 })
    }
}

const NAMED: &str = "people.person.named";

fn payload(fields: &[(&str, &str)]) -> Vec<u8> {
    let map = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Ipld::String((*value).to_owned())));
    serde_ipld_dagcbor::to_vec(&Ipld::Map(map.collect())).unwrap()
}

fn ada() -> PersonEvent {
    PersonEvent::Named {
        first: "Ada".to_owned(),
        last: "Lovelace".to_owned(),
    }
}

#[test]
fn an_event_says_its_version_and_its_chain_in_order() {
    let named = ada().info();
    assert_eq!((named.schema, named.upcasters.len()), (3, 2));
    let first = (named.upcasters[0])(Ipld::Map(
        [("title".to_owned(), Ipld::String("Ada".to_owned()))].into(),
    ));
    assert!(matches!(first, Ok(Ipld::Map(map)) if map.contains_key("name")));
    assert!(PersonState::Known.can_accept(&PersonCommand::Name));
    let aged = PersonEvent::Aged { years: 1 };
    assert_eq!((aged.info().schema, aged.info().upcasters.len()), (1, 0));
}

#[test]
fn a_payload_of_every_former_version_is_brought_up() {
    for (schema, fields) in [
        (1, [("title", "Ada Lovelace")].as_slice()),
        (2, &[("name", "Ada Lovelace")]),
        (3, &[("first", "Ada"), ("last", "Lovelace")]),
    ] {
        let event: PersonEvent = decode_payload(NAMED, schema, &payload(fields)).unwrap();
        assert_eq!(event, ada());
    }
}

#[test]
fn an_unknown_type_says_how_a_renamed_event_is_read() {
    let error =
        decode_payload::<PersonEvent>("people.person.called", 1, &payload(&[])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("people.person.called"), "{text}");
    assert!(text.contains("#[event(was = …)]"), "{text}");
}

#[test]
fn a_version_newer_than_this_program_is_never_guessed_at() {
    let error = decode_payload::<PersonEvent>(NAMED, 4, &payload(&[])).unwrap_err();
    assert!(
        matches!(error, PayloadError::NewerThanThisProgram { .. }),
        "{error}"
    );
}

#[test]
fn an_upcaster_that_refuses_says_why() {
    let error = decode_payload::<PersonEvent>(NAMED, 1, &payload(&[("x", "y")])).unwrap_err();
    assert!(error.to_string().contains("a field is missing"), "{error}");
}

/// One declaration, twice the same and once with another fold.
#[allow(dead_code, reason = "only what the declarations say counts")]
mod folds {
    use cim_es::prelude::{Aggregate, DomainEvent, StateMachine};

    macro_rules! tally {
        ($module:ident, $fold:literal) => {
            pub mod $module {
                use cim_es::prelude::*;

                #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
                #[aggregate(domain = "tools", name = "tally", state = State, fold = $fold)]
                pub struct Tally {
                    pub state: State,
                }

                #[derive(
                    StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize,
                )]
                #[machine(event = Event, command = Command)]
                pub enum State {
                    #[state(initial)]
                    #[on(Count / Counted => _)]
                    Counting,
                }

                #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
                #[event(aggregate = Tally)]
                pub enum Event {
                    Counted,
                }

                #[derive(cim_es::aggregate::Command, Clone, Debug)]
                #[command(aggregate = Tally)]
                pub enum Command {
                    Count,
                }
            }
        };
    }

    tally!(first, 1);
    tally!(again, 1);
    tally!(raised, 2);

    pub fn fingerprints<A: Aggregate>() -> [u64; 3] {
        [
            A::FINGERPRINT,
            <A::State as StateMachine>::FINGERPRINT,
            <A::Event as DomainEvent>::FINGERPRINT,
        ]
    }
}

#[test]
fn raising_the_fold_changes_the_fingerprint_of_the_aggregate_alone() {
    use folds::{again, fingerprints, first, raised};
    let [first, again, raised] = [
        fingerprints::<first::Tally>(),
        fingerprints::<again::Tally>(),
        fingerprints::<raised::Tally>(),
    ];
    assert_eq!(first, again);
    assert_ne!(first[0], raised[0]);
    assert_eq!(first[1..], raised[1..]);
}
