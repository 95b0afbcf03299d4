//! Events that are declared without their aggregate: what a reader does with them, and how the owner compares them.

use std::sync::{Arc, Mutex};

use cim_es::block::StoredEvent;
use cim_es::event::PayloadError;
use cim_es::jetstream::{EventHandler, EventSubscriberBuilder, FnEventHandler};
use cim_es::prelude::*;
use cim_es::store::{Bookmark, EventStore, Selection, TryStreamExt};
use cim_es::testing::check_event_contract;

/// The program that stores: once before and once after the aggregate and an event were renamed, and another changed.
mod owner {
    macro_rules! owner {
        ($module:ident, $(#[$aggregate:meta])* { $($changed:tt)* }) => {
            pub mod $module {
                use cim_es::prelude::*;

                #[derive(
                    StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize,
                )]
                pub enum MeterState {
                    #[state(initial)]
                    #[on(Read / Measured => _, Read / Noted => _, Read / Reset => _)]
                    Any,
                }

                #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
                pub enum MeterEvent {
                    $($changed)*
                    #[apply(_ = event)]
                    Noted(super::Note),
                    Reset,
                }

                #[derive(Command, Clone, Debug)]
                pub enum MeterCommand {
                    Read,
                }

                #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
                $(#[$aggregate])*
                pub struct Meter {
                    state: MeterState,
                    value: u32,
                }

                impl Decide for Meter {
                    fn decide(&self, _: MeterCommand, _: &Context) -> Decision<Self> {
                        emit_all([
                            super::measured!(),
                            MeterEvent::Noted(super::Note { by: "Ann".to_owned(), times: Some(2) }),
                            MeterEvent::Reset,
                        ])
                    }
                }
            }
        };
    }

    use cim_es::prelude::*;

    /// The struct of an event.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Note {
        pub by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub times: Option<u32>,
    }

    macro_rules! measured {
        () => {
            MeterEvent::Measured { value: 7 }
        };
    }
    use measured;

    owner!(
        before,
        #[aggregate(domain = "home.energy", name = "counter")]
        {
            #[event(operation = "counted")]
            Measured { value: u32 },
        }
    );
    owner!(
        now,
        #[aggregate(domain = "home", name = "meter", was = "home.energy.counter")]
        {
            #[event(version = 2, was = "counted")]
            #[upcast(from = 1, with = super::super::value_is_a_reading)]
            Measured { #[serde(rename = "reading")] value: u32 },
        }
    );
}

fn value_is_a_reading(payload: Ipld) -> Result<Ipld, UpcastError> {
    let Ipld::Map(mut map) = payload else {
        return Err(UpcastError::new("not a map"));
    };
    let value = map
        .remove("value")
        .ok_or_else(|| UpcastError::new("no value"))?;
    map.insert("reading".to_owned(), value);
    Ok(Ipld::Map(map))
}

/// What readers declare.
mod contract {
    use cim_es::prelude::*;

    /// The events of meters.
    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[event(domain = "home", name = "meter", was = "home.energy.counter")]
    pub enum MeterEvent {
        #[event(version = 2, was = "counted")]
        #[upcast(from = 1, with = super::value_is_a_reading)]
        Measured {
            reading: u64,
        },
        Noted {
            by: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            times: Option<u64>,
        },
        Reset,
    }

    pub const ALL: Filter<MeterEvent> = filter!(MeterEvent, "home.meter.*");
    pub const RESET: Subject<MeterEvent> = subject!(MeterEvent, "home.meter.reset");
    domain!(pub HOME = [MeterEvent]);
}

/// A store with the events of both releases, on two aggregates.
async fn written() -> MemoryEventStore {
    let store = MemoryEventStore::new();
    let user = MessageIdentity::new_from_user("Ann");
    let before = Repository::<owner::before::Meter>::new(store.clone());
    before
        .execute(
            &Uuid::from_u128(1).into(),
            owner::before::MeterCommand::Read,
            &user,
        )
        .await
        .unwrap();
    let now = Repository::<owner::now::Meter>::new(store.clone());
    now.execute(
        &Uuid::from_u128(2).into(),
        owner::now::MeterCommand::Read,
        &user,
    )
    .await
    .unwrap();
    store
}

#[tokio::test]
async fn a_reader_without_the_aggregate_reads_what_every_release_of_the_owner_stored() {
    let store = written().await;
    let events = store.read(Selection::events::<contract::MeterEvent>(), Bookmark::START);
    let events: Vec<StoredEvent> = events.try_collect().await.unwrap();
    let typed: Vec<contract::MeterEvent> = events
        .iter()
        .map(|stored| stored.decode().unwrap())
        .collect();
    let noted = contract::MeterEvent::Noted {
        by: "Ann".to_owned(),
        times: Some(2),
    };
    let once = [
        contract::MeterEvent::Measured { reading: 7 },
        noted,
        contract::MeterEvent::Reset,
    ];
    assert_eq!(typed, [once.clone(), once].concat());
    assert_eq!(events[0].event_type(), "home.energy.counter.counted");
    assert_eq!(events[3].event_type(), "home.meter.measured");
    assert!(
        events[0]
            .event_of::<contract::MeterEvent>()
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_declaration_for_readers_has_the_subjects_of_the_owner() {
    assert_eq!(contract::MeterEvent::TYPES, owner::now::MeterEvent::TYPES);
    assert_eq!(contract::MeterEvent::KIND, "home.meter");
    assert_eq!(contract::MeterEvent::FORMER_KINDS, ["home.energy.counter"]);
    assert_eq!(contract::RESET.as_str(), "home.meter.reset");
    assert!(contract::ALL.matches("home.meter.noted"));
    assert_eq!(
        contract::MeterEvent::subjects(),
        owner::now::MeterEvent::subjects()
    );
    let [meter] = contract::HOME.aggregates() else {
        panic!("one aggregate");
    };
    assert_eq!((meter.kind, meter.events.len()), ("home.meter", 3));
    assert!(meter.states.is_empty() && meter.edges.is_empty() && meter.commands.is_empty());
}

#[tokio::test]
async fn an_event_that_the_declaration_does_not_have_is_an_error_and_never_another_one() {
    /// What was declared before there were notes.
    #[derive(DomainEvent, Debug, Serialize, Deserialize)]
    #[event(domain = "home", name = "meter")]
    enum OldEvent {
        #[event(operation = "reset")]
        Zeroed,
    }
    let store = written().await;
    let events = store.read(Selection::events::<OldEvent>(), Bookmark::START);
    let events: Vec<StoredEvent> = events.try_collect().await.unwrap();
    assert_eq!(events.len(), 3);
    let read: Vec<_> = events.iter().map(StoredEvent::decode::<OldEvent>).collect();
    assert!(
        matches!(read[1], Err(PayloadError::NewerThanThisProgram { .. })),
        "{read:?}"
    );
    assert!(matches!(read[2], Ok(OldEvent::Zeroed)));
}

#[tokio::test]
async fn a_typed_handler_takes_the_events_of_a_declaration_without_an_aggregate() {
    let store = written().await;
    let events = store.read(Selection::everything(), Bookmark::START);
    let events: Vec<StoredEvent> = events.try_collect().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = Arc::clone(&seen);
        FnEventHandler::typed(move |(event, _): (contract::MeterEvent, StoredEvent)| {
            seen.lock().unwrap().push(event.info().variant);
            Ok(())
        })
    };
    for event in events {
        handler.handle(event).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen[..], ["Measured", "Noted", "Reset"].repeat(2));
    let _subscribes = EventSubscriberBuilder::new()
        .subject(contract::ALL)
        .subject(contract::RESET)
        .subject(contract::MeterEvent::subjects());
}

fn samples() -> [owner::now::MeterEvent; 4] {
    use owner::Note;
    use owner::now::MeterEvent::*;
    let note = |times| {
        Noted(Note {
            by: "Ann".to_owned(),
            times,
        })
    };
    [Measured { value: 7 }, note(None), note(Some(2)), Reset]
}

#[test]
fn a_declaration_that_says_what_is_stored_agrees_with_the_owner() {
    check_event_contract::<owner::now::MeterEvent, contract::MeterEvent>(samples());
}

/// The differences that the check reports.
fn differences<Contract: DomainEvent>(samples: Vec<owner::now::MeterEvent>) -> Vec<String> {
    let check = || check_event_contract::<owner::now::MeterEvent, Contract>(samples);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    let mut lines = message.lines().map(str::to_owned);
    assert_eq!(
        lines.next().as_deref(),
        Some(
            "the events that are declared for the readers of `home.meter` are not those that it stores:"
        )
    );
    lines.collect()
}

#[test]
fn all_names_and_versions_in_which_a_declaration_differs_are_reported_at_once() {
    /// Another name, another version, another operation, and other former names.
    #[derive(DomainEvent, Debug, Serialize, Deserialize)]
    #[event(domain = "home", name = "metre", was = "home.clock")]
    enum OtherEvent {
        #[event(subject = "meter.measured", was_subject = "meter.read")]
        Measured { reading: u64 },
        #[event(subject = "meter.notes")]
        Noted { by: String },
        #[event(subject = "meter.reset")]
        Reset,
    }
    let mut found = differences::<OtherEvent>(samples()[..1].to_vec());
    found.retain(|line| !line.contains("home.clock") && !line.contains("home.energy"));
    assert_eq!(
        found,
        [
            "- the aggregate is `home.meter`, and in the contract `home.metre`: write `#[event(domain = \"home\", name \
             = \"meter\")]`",
            "- event `home.meter.measured` is at version 2, and in the contract at version 1: give both the same, with \
             its upcasters",
            "- event `home.meter.measured` was `home.meter.counted`, which the contract does not say: add the former \
             name there",
            "- event `home.meter.measured` never was `home.meter.read`, which the contract says: remove the former \
             name there",
            "- event `home.meter.noted` is not declared in the contract: add `Noted`",
            "- event `home.meter.notes` is declared in the contract, and the owner has none: remove it there, or \
             correct its name",
            "- event `home.meter.noted` has no sample: add one",
            "- event `home.meter.reset` has no sample: add one",
        ]
    );
    let all = differences::<OtherEvent>(samples().to_vec());
    let kinds = |kind: &str| all.iter().any(|line| line.contains(kind));
    assert!(kinds("the aggregate was `home.energy.counter`"), "{all:?}");
    assert!(kinds("the aggregate never was `home.clock`"), "{all:?}");
}

#[test]
fn a_payload_of_another_form_is_reported_with_its_field() {
    /// A number that is a text, and a field that is not declared.
    #[derive(DomainEvent, Debug, Serialize, Deserialize)]
    #[event(domain = "home", name = "meter", was = "home.energy.counter")]
    enum OtherEvent {
        #[event(version = 2, was = "counted")]
        #[upcast(from = 1, with = value_is_a_reading)]
        Measured {
            reading: String,
        },
        Noted {
            by: String,
        },
        Reset,
    }
    assert_eq!(
        differences::<OtherEvent>(samples().to_vec()),
        [
            "- event `home.meter.measured` is not read by the contract: a number stands where str is expected; the \
             payload is {\"reading\":7}",
            "- event `home.meter.noted`, field `times` is not the same after the contract read it: \
             {\"by\":\"Ann\",\"times\":2} became {\"by\":\"Ann\"}",
        ]
    );
}
