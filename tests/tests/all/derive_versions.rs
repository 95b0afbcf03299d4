//! Versions of an event's payload, and the chain that brings old ones up.

use cim_es::ErrorChain;
use cim_es::event::{PayloadError, Upcast, decode_payload};
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
    let title = Ipld::Map([("title".to_owned(), Ipld::String("Ada".to_owned()))].into());
    let first = named.upcasters[0].upcast(title, None);
    assert!(matches!(first, Ok(Upcast::Payload(Ipld::Map(map))) if map.contains_key("name")));
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
    let text = ErrorChain(&error).to_string();
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
    assert!(
        ErrorChain(&error)
            .to_string()
            .contains("a field is missing"),
        "{error}"
    );
}

/// A release whose events say less than what a later one wants, which finds it in the envelope.
mod tills {
    macro_rules! till {
        ($module:ident, $(#[$was:meta])* { $($version:tt)* } $fields:tt, $aggregate:literal, $paid:expr) => {
            pub mod $module {
                use cim_es::prelude::*;

                #[derive(
                    StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize,
                )]
                pub enum TillState {
                    #[state(initial)]
                    #[on(Pay / Paid => _)]
                    Open,
                }

                #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
                pub enum TillEvent {
                    $($version)*
                    #[apply(with = Till::paid)]
                    Paid $fields,
                }

                #[derive(Command, Clone, Debug)]
                pub enum TillCommand {
                    Pay,
                }

                #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
                #[aggregate(domain = "shop", name = $aggregate)]
                $(#[$was])*
                pub struct Till {
                    pub state: TillState,
                    pub seen: Vec<String>,
                }

                impl Decide for Till {
                    fn decide(&self, TillCommand::Pay: TillCommand, _: &Context) -> Decision<Self> {
                        emit($paid)
                    }
                }
            }
        };
    }

    till!(
        before,
        {} { cents: u32 },
        "till",
        TillEvent::Paid { cents: 7 }
    );
    till!(
        now,
        #[aggregate(was = "shop.till")]
        {
            #[event(version = 3)]
            #[upcast(from = 2, with = super::cents_are_an_amount)]
            #[upcast(from = 1, with_envelope = super::what_the_envelope_says)]
        }
        { amount: u32, says: String },
        "register",
        TillEvent::Paid { amount: 9, says: "itself".to_owned() }
    );

    use cim_es::prelude::*;

    impl before::Till {
        fn paid(&mut self, cents: u32) {
            self.seen.push(cents.to_string());
        }
    }

    impl now::Till {
        fn paid(&mut self, amount: u32, says: String) {
            self.seen.push(format!("{amount} {says}"));
        }
    }

    fn map(payload: Ipld) -> Result<std::collections::BTreeMap<String, Ipld>, UpcastError> {
        match payload {
            Ipld::Map(map) => Ok(map),
            _ => Err(UpcastError::new("not a map")),
        }
    }

    fn what_the_envelope_says(
        payload: Ipld,
        envelope: &EnvelopeView<'_>,
    ) -> Result<Ipld, UpcastError> {
        let mut map = map(payload)?;
        let Some(teller) = envelope.source.filter(|teller| *teller != "nobody") else {
            return Err(UpcastError::new("nobody took it"));
        };
        let says = format!(
            "{teller} {:?} {} {} v{} {} {} {} {} {}",
            envelope.meta.text("shop"),
            envelope.event_type,
            envelope.aggregate,
            envelope.schema,
            envelope.aggregate_id,
            envelope.sequence,
            envelope.timestamp,
            envelope.causation_id,
            envelope.id,
        );
        map.insert("says".to_owned(), says.into());
        Ok(Ipld::Map(map))
    }

    fn cents_are_an_amount(payload: Ipld) -> Result<Ipld, UpcastError> {
        let mut map = map(payload)?;
        let cents = map
            .remove("cents")
            .ok_or_else(|| UpcastError::new("no cents"))?;
        map.insert("amount".to_owned(), cents);
        Ok(Ipld::Map(map))
    }
}

#[tokio::test]
async fn an_upcaster_is_given_the_envelope_as_it_is_stored_also_under_a_former_kind() {
    use tills::{before, now};
    let store = MemoryEventStore::new();
    let id = Uuid::from_u128(1);
    let ann = MessageIdentity::new_from_user("Ann").with_meta("shop", "North");
    let tills = Repository::<before::Till>::new(store.clone());
    for _ in 0..2 {
        let ann = ann.clone().with_message_id(Uuid::now_v7());
        let pay = before::TillCommand::Pay;
        tills.execute(&id.into(), pay, &ann).await.unwrap();
    }
    let stored = tills.history(&id.into()).await.unwrap();
    let expected: Vec<String> = stored
        .iter()
        .map(|stored| {
            let envelope = &stored.stored.envelope;
            format!(
                "7 Ann Some(\"North\") shop.till.paid shop.till v1 {id} {} {} {} {}",
                envelope.sequence, envelope.timestamp, envelope.causation_id, envelope.id
            )
        })
        .collect();
    assert_eq!(expected.len(), 2);

    let registers = Repository::<now::Till>::new(store);
    assert_eq!(registers.load(&id.into()).await.unwrap().seen, expected);
    let user = MessageIdentity::new_from_user("Bea");
    registers
        .execute(&id.into(), now::TillCommand::Pay, &user)
        .await
        .unwrap();
    let seen = &registers.load(&id.into()).await.unwrap().seen;
    assert_eq!(seen[2], "9 itself");
}

#[tokio::test]
async fn an_upcaster_that_refuses_an_envelope_says_why_and_of_which_event() {
    use tills::{before, now};
    let store = MemoryEventStore::new();
    let id = Uuid::from_u128(1);
    let nobody = MessageIdentity::new_from_user("nobody");
    let tills = Repository::<before::Till>::new(store.clone());
    tills
        .execute(&id.into(), before::TillCommand::Pay, &nobody)
        .await
        .unwrap();
    let registers = Repository::<now::Till>::new(store);
    let error = ErrorChain(&registers.load(&id.into()).await.unwrap_err()).to_string();
    assert!(
        error.contains("shop.till 00000000-0000-0000-0000-000000000001, version 1"),
        "{error}"
    );
    assert!(
        error.ends_with("could not be brought from schema version 1 to 2: nobody took it"),
        "{error}"
    );
}

#[test]
fn a_payload_without_its_envelope_is_not_guessed_at_by_an_upcaster_that_takes_it() {
    let bytes = payload(&[("cents", "7")]);
    let error = decode_payload::<tills::now::TillEvent>("shop.till.paid", 1, &bytes).unwrap_err();
    assert!(
        matches!(error, PayloadError::NotUpcast { from: 1, to: 2, .. }),
        "{error:?}"
    );
    let says = ErrorChain(&error).to_string();
    assert!(
        says.contains("`StoredEvent::decode`") && says.contains("`read_stored_with`"),
        "{says}"
    );

    // A later step needs none.
    let later = Ipld::Map(
        [
            ("cents".to_owned(), 7.into()),
            ("says".to_owned(), "x".into()),
        ]
        .into(),
    );
    let event = cim_es::testing::read_stored::<tills::now::TillEvent>("shop.till.paid", 2, &later);
    assert!(event.is_ok(), "{event:?}");
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
