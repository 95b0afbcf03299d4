//! An aggregate with an event of every shape, and odd values in one of them.
#![allow(
    clippy::large_enum_variant,
    reason = "`Odd` has a field for each odd case"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use cim_es::block::StoredEvent;
use cim_es::prelude::*;
use cim_es::store::{
    AggregateKey, CommitRequest, ExpectedVersion, NewEvent, Position, SealOptions, seal,
};
use cim_es::subject::Token;

pub const KIND: &str = "infrastructure.compute";

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(event = Event, command = Note)]
pub enum State {
    #[state(initial)]
    #[on(Registered / Registered => _)]
    #[on(InterfacesSeen / InterfacesSeen => _)]
    #[on(Rebooted / Rebooted => _)]
    #[on(Measured / Measured => _)]
    Active,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    pub speed: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wrapped(pub String);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transparent(pub String);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Named {
    Left,
    Right,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nested(pub Vec<Nested>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Odd {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wide: Option<i128>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wide_unsigned: Option<u128>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_wrapped: Option<BTreeMap<Wrapped, u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_transparent: Option<BTreeMap<Transparent, u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_named: Option<BTreeMap<Named, f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_option: Option<BTreeMap<Option<String>, u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_number: Option<BTreeMap<u32, u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<Nested>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anything: Option<Ipld>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "double")]
    pub twice: Option<Option<Option<u8>>>,
}

/// Lets an option that holds none reach the encoder as it is.
mod double {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Option<Option<u8>>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().unwrap().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<Option<u8>>>, D::Error> {
        Option::<Option<u8>>::deserialize(deserializer).map(Some)
    }
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(aggregate = Compute)]
pub enum Event {
    #[event(was = "enrolled", version = 3)]
    #[upcast(from = 1, with = name_the_host)]
    #[upcast(from = 2, with = split_the_architecture)]
    #[apply(_ = (hostname, architecture, cores))]
    #[serde(rename = "Enrolled")]
    Registered {
        hostname: String,
        #[serde(rename = "arch")]
        architecture: String,
        #[serde(default)]
        cores: u32,
    },
    #[apply(_ = interfaces)]
    InterfacesSeen {
        interfaces: Vec<Interface>,
    },
    Rebooted,
    #[apply(_ = event)]
    Measured(Odd),
}

/// From 1 to 2: the host's name had another key.
fn name_the_host(payload: Ipld) -> Result<Ipld, UpcastError> {
    let Ipld::Map(mut fields) = payload else {
        return Err(UpcastError::new("not a map"));
    };
    let Some(name) = fields.remove("host") else {
        return Err(UpcastError::new("`host` is missing"));
    };
    fields.insert("hostname".to_owned(), name);
    Ok(Ipld::Map(fields))
}

/// From 2 to 3: the architecture is new.
fn split_the_architecture(payload: Ipld) -> Result<Ipld, UpcastError> {
    let Ipld::Map(mut fields) = payload else {
        return Err(UpcastError::new("not a map"));
    };
    fields.insert("arch".to_owned(), Ipld::String("unknown".to_owned()));
    Ok(Ipld::Map(fields))
}

#[derive(Command, Clone, Copy, Debug)]
#[command(aggregate = Compute)]
#[expect(
    dead_code,
    reason = "the machine names each, and the tests store events"
)]
pub enum Note {
    Registered,
    InterfacesSeen,
    Rebooted,
    Measured,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "infrastructure", name = "compute", state = State)]
pub struct Compute {
    state: State,
}

pub fn registered(hostname: &str) -> Event {
    Event::Registered {
        hostname: hostname.to_owned(),
        architecture: "x86_64".to_owned(),
        cores: 8,
    }
}

pub fn measured(odd: Odd) -> Event {
    Event::Measured(odd)
}

pub fn key(id: &str) -> AggregateKey {
    AggregateKey::new(KIND, Token::new(id).unwrap())
}

pub fn request(message: u128, micros: i64) -> CommitRequest {
    let identity = MessageIdentity::root(Uuid::from_u128(message), Some("tests"));
    CommitRequest::new(identity, Timestamp::from_micros(micros))
}

/// Seals commits of one aggregate one after the other, as an engine does.
pub fn history(id: &str, commits: &[Vec<Event>], options: &SealOptions) -> Vec<StoredEvent> {
    let mut events: Vec<StoredEvent> = Vec::new();
    for (number, commit) in commits.iter().enumerate() {
        let new = commit
            .iter()
            .map(|event| NewEvent::of(event).unwrap())
            .collect();
        let micros = 1_769_860_800_000_000 + number as i64;
        let request =
            request(number as u128 + 1, micros).aggregate(key(id), ExpectedVersion::Any, new);
        let head = events.last().map(StoredEvent::head);
        for sealed in seal(request, &[head], options).unwrap() {
            let position = Position(events.len() as u64 + 1);
            events.push(sealed.into_stored(position));
        }
    }
    events
}

/// The history of five events in four commits that the mutations work on.
pub fn five() -> Vec<StoredEvent> {
    let interface = |name: &str| Interface {
        name: name.to_owned(),
        speed: 2.5,
    };
    let commits = [
        vec![registered("node-1")],
        vec![Event::InterfacesSeen {
            interfaces: vec![interface("eth0"), interface("eth1")],
        }],
        vec![
            Event::Rebooted,
            measured(Odd {
                wide: Some(-5),
                ..Odd::default()
            }),
        ],
        vec![Event::Rebooted],
    ];
    history("node-1", &commits, &SealOptions::default())
}

pub fn verify(event: &StoredEvent) -> Result<StoredEvent, cim_es::block::Verdict> {
    StoredEvent::verify(
        event.position,
        event.cid,
        Bytes::copy_from_slice(event.body()),
    )
}
