//! Events as the first version of the person domain stored them: they load, and their histories go on.
//!
//! The blocks stand in `person_fixtures/version_1`, one directory a person, one file an event, named by its place and its
//! CID. [`old`] is the program that wrote them. With `CIM_ES_BLESS=1` a first run writes those that are missing; those that are
//! there never change.

use std::fs;
use std::path::{Path, PathBuf};

use cim_es::block::{ChainHead, EventBlock, StoredEvent, parse_cid_text, verify_event_chain};
use cim_es::prelude::*;
use cim_es::repository::At;
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position,
};
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::read_stored;
use cim_es_examples::person::values::Text;
use cim_es_examples::person::{Person, PersonCommand, PersonEvent, PersonState};

/// The domain as it was: a name was one text. Its values stand here without their rules.
mod old {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    pub enum PersonState {
        #[state(initial)]
        #[on(Create / Created => Active)]
        Unknown,
        #[on(SetBirthDate / BirthDateSet => _)]
        Active,
    }

    #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
    pub enum PersonEvent {
        Created { name: String, source: String },
        BirthDateSet { date: String },
    }

    #[derive(Command, Clone, Debug)]
    pub enum PersonCommand {
        Create { name: String, source: String },
        SetBirthDate { date: String },
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "people", name = "person")]
    pub struct Person {
        state: PersonState,
        name: String,
        source: String,
        date: String,
    }

    impl Decide for Person {
        fn decide(&self, command: PersonCommand, _: &Context) -> Decision<Self> {
            emit(match command {
                PersonCommand::Create { name, source } => PersonEvent::Created { name, source },
                PersonCommand::SetBirthDate { date } => PersonEvent::BirthDateSet { date },
            })
        }
    }
}

/// A person of the fixtures.
struct Known {
    directory: &'static str,
    /// The name as it was written.
    written: &'static str,
    birth_date: Option<&'static str>,
    /// The parts of the name as they are read today.
    given: &'static [&'static str],
    family: &'static [&'static str],
}

const PEOPLE: [Known; 4] = [
    Known {
        directory: "ada",
        written: "Ada Lovelace",
        birth_date: Some("1815-12-10"),
        given: &["Ada"],
        family: &["Lovelace"],
    },
    Known {
        directory: "grace",
        written: "Hopper, Grace",
        birth_date: None,
        given: &["Grace"],
        family: &["Hopper"],
    },
    Known {
        directory: "hypatia",
        written: "Hypatia",
        birth_date: None,
        given: &["Hypatia"],
        family: &[],
    },
    Known {
        directory: "maria",
        written: "Maria del Carmen Suárez",
        birth_date: Some("1985"),
        given: &["Maria del Carmen"],
        family: &["Suárez"],
    },
];

/// 2025-03-01T00:00:00Z, in microseconds.
const THEN: i64 = 1_740_787_200_000_000;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/person_fixtures/version_1")
}

fn id<A>(place: usize) -> Id<A> {
    const FIRST: u128 = 0x0195_5000_0000_7000_8000_0000_0000_0001;
    Id::from_uuid(Uuid::from_u128(FIRST + place as u128))
}

/// The events of a person as the old program stores them.
async fn written(place: usize) -> Vec<StoredEvent> {
    let Known {
        written: name,
        birth_date,
        ..
    } = PEOPLE[place];
    let name = name.to_owned();
    let source = "by hand".to_owned();
    let create = old::PersonCommand::Create { name, source };
    let birth_date = birth_date.map(|date| old::PersonCommand::SetBirthDate {
        date: date.to_owned(),
    });
    let clock = cim_es::message::FixedClock(Timestamp::from_micros(THEN));
    let persons = Repository::<old::Person>::builder(MemoryEventStore::new())
        .clock(clock)
        .build();
    for (number, command) in [create].into_iter().chain(birth_date).enumerate() {
        let message = Uuid::from_u128((place as u128) << 32 | number as u128);
        let identity = MessageIdentity::root(message, Some("registrar"));
        let executed = persons.execute(&id(place), command, &identity).await;
        executed.expect("it is stored");
    }
    let key = AggregateKey::of::<old::Person>(&id(place)).expect("an id");
    let events = persons.store().get_events(&key, 1).await;
    events.expect("they are read")
}

/// The blocks of a person, read from their files and verified.
fn stored(directory: &str) -> Vec<StoredEvent> {
    let directory = fixtures().join(directory);
    let files =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let stem = file.file_stem().expect("a name").to_string_lossy();
        let (_, cid) = stem.split_once('-').expect("a place and a CID");
        let cid = parse_cid_text(cid).expect("a CID");
        let body = fs::read(file).expect("a block");
        StoredEvent::verify(Position::START, cid, body.into()).expect("the block is whole")
    };
    files.iter().map(read).collect()
}

/// Puts blocks into a store, as commits that give the same blocks again.
async fn put(store: &impl EventStore, events: &[StoredEvent]) {
    for event in events {
        let envelope = &event.envelope;
        let id: Id<Person> = envelope.aggregate_id.parse().expect("an id");
        let key = AggregateKey::of::<Person>(&id).expect("an id");
        let identity = MessageIdentity::root(envelope.causation_id, envelope.source.as_deref());
        let payload = event.payload().to_owned();
        let new = NewEvent::from_payload(event.event_type(), envelope.schema, payload);
        let expected = ExpectedVersion::Exactly(envelope.sequence - 1);
        let commit =
            CommitRequest::new(identity, envelope.timestamp).aggregate(key, expected, vec![new]);
        let again = store.append(commit).await.expect("it is stored");
        assert_eq!(again[0].cid, event.cid, "the same block");
    }
}

#[tokio::test]
async fn the_blocks_of_version_1_are_there() {
    for (place, known) in PEOPLE.iter().enumerate() {
        let directory = fixtures().join(known.directory);
        if directory.exists() {
            continue;
        }
        assert!(
            std::env::var_os("CIM_ES_BLESS").is_some(),
            "{} is missing: restore it, or run the test with CIM_ES_BLESS=1 if it is new",
            directory.display()
        );
        fs::create_dir_all(&directory).expect("a directory");
        for event in written(place).await {
            let file = format!("{}-{}.cbor", event.envelope.sequence, event.cid);
            fs::write(directory.join(file), event.body()).expect("a file");
        }
    }
}

#[test]
fn a_name_of_version_1_is_read_in_its_parts_and_kept_as_it_was_written() {
    for known in PEOPLE {
        let events = stored(known.directory);
        assert_eq!(events[0].envelope.schema, 1);
        let decoded = events[0].decode::<PersonEvent>().expect("it is brought up");
        let PersonEvent::Created { name, source } = decoded else {
            panic!("{decoded:?}");
        };
        let texts =
            |texts: &[Text]| -> Vec<String> { texts.iter().map(ToString::to_string).collect() };
        assert_eq!(name.to_string(), known.written);
        assert_eq!(texts(&name.parts().given), known.given);
        assert_eq!(texts(&name.parts().family), known.family);
        assert_eq!(source.to_string(), "by hand");
        assert_eq!(events.len(), 1 + usize::from(known.birth_date.is_some()));
    }
}

/// A history that began in version 1 goes on in version 2, and both load, also as of then.
async fn a_history_goes_on(store: impl EventStore + Clone) {
    let events = stored("maria");
    put(&store, &events).await;
    let id: Id<Person> = events[0].envelope.aggregate_id.parse().expect("an id");
    let persons = Repository::<Person>::new(store.clone());
    let person = persons.load(&id).await.expect("version 1 loads");
    assert_eq!((person.version(), person.state()), (2, PersonState::Active));
    assert_eq!(
        person.birth_date.map(|date| date.to_string()),
        Some("1985".to_owned())
    );

    let parts = cim_es_examples::person::name::NameParts {
        given: vec![
            "Maria".parse().expect("a text"),
            "del Carmen".parse().expect("a text"),
        ],
        family: vec![
            "Suárez".parse().expect("a text"),
            "Ibarra".parse().expect("a text"),
        ],
        ..Default::default()
    };
    let update = PersonCommand::UpdateName {
        name: parts.try_into().expect("a name"),
        reason: "marriage".parse().expect("a reason"),
    };
    let identity = MessageIdentity::new_from_user("test");
    let commit = persons.execute(&id, update, &identity).await;
    assert_eq!(commit.expect("it goes on").version(), 3);

    // A new program, without anything in memory.
    let persons = Repository::<Person>::new(store.clone());
    let name = |person: &Person| person.name.as_ref().expect("a name").to_string();
    let now = persons.load(&id).await.expect("it loads");
    assert_eq!(name(&now), "Maria del Carmen Suárez Ibarra");
    let before = persons
        .load_at(&id, At::Version(2))
        .await
        .expect("it loads");
    assert_eq!(name(&before), "Maria del Carmen Suárez");

    let key = AggregateKey::of::<Person>(&id).expect("an id");
    let history = store.get_events(&key, 1).await.expect("it is read");
    let schemas: Vec<_> = history.iter().map(|event| event.envelope.schema).collect();
    assert_eq!(schemas, [1, 1, 1]);
    let blocks: Vec<EventBlock> = history.iter().map(EventBlock::from).collect();
    let head = ChainHead::from(history[2].head());
    verify_event_chain(&blocks, Some(head)).expect("one chain");

    // What this program creates, it creates in version 2.
    let other = Id::<Person>::new();
    let create = PersonCommand::Create {
        name: now.name.clone().expect("a name"),
        source: "by hand".parse().expect("a source"),
    };
    let identity = MessageIdentity::new_from_user("test");
    let commit = persons
        .execute(&other, create, &identity)
        .await
        .expect("it is stored");
    assert_eq!(commit.events()[0].envelope.schema, 2);
}

#[tokio::test]
async fn a_history_of_version_1_goes_on_in_memory() {
    a_history_goes_on(MemoryEventStore::new()).await;
}

#[tokio::test]
async fn a_history_of_version_1_goes_on_in_a_file() {
    let (_directory, store) = crate::engines::file();
    a_history_goes_on(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_version_1_goes_on_on_a_server() {
    let (_server, stores) = crate::engines::server("PEOPLE_EVENTS", "people.>").await;
    a_history_goes_on(stores).await;
}

fn payload(name: Option<&str>) -> Ipld {
    let name = name.map(|name| ("name".to_owned(), Ipld::String(name.to_owned())));
    let source = ("source".to_owned(), Ipld::String("by hand".to_owned()));
    Ipld::Map(name.into_iter().chain([source]).collect())
}

proptest! {
    #[test]
    fn every_name_that_version_1_accepted_is_read(text in "[^ \\pC]([^\\pC]{0,40}[^ \\pC])?|,|[a-z]{1,3}( |, ?|,,)[a-z]{0,3}") {
        prop_assume!(text.trim() == text);
        let event = read_stored::<PersonEvent>("people.person.created", 1, &payload(Some(&text)));
        let Ok(PersonEvent::Created { name, .. }) = &event else {
            panic!("{text:?} gives {event:?}");
        };
        prop_assert_eq!(name.to_string(), text);
    }
}

#[test]
fn a_payload_that_version_1_never_wrote_says_what_is_wrong() {
    for (payload, expected) in [
        (payload(None), "the payload has no text `name`"),
        (payload(Some("")), "no text: 1 to 200 bytes in one line"),
        (Ipld::Map([].into()), "the payload has no text `name`"),
    ] {
        let error = read_stored::<PersonEvent>("people.person.created", 1, &payload)
            .expect_err("it is refused");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
