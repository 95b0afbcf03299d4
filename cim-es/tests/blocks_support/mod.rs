//! An aggregate with its traits written by hand, so that these tests hold for what the derives stand on.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]
#![allow(
    clippy::large_enum_variant,
    reason = "`Odd` has a field for each odd case"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use cim_es::aggregate::{Aggregate, Command, Id};
use cim_es::block::StoredEvent;
use cim_es::event::{DomainEvent, EventInfo, UpcastError};
use cim_es::machine::{Edge, StateMachine, Transition};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    AggregateKey, CommitRequest, ExpectedVersion, Head, NewEvent, Position, SealOptions, seal,
};
use cim_es::subject::Token;
use ipld_core::ipld::Ipld;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub const KIND: &str = "infrastructure.compute";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    #[default]
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "Enrolled")]
    Registered {
        hostname: String,
        #[serde(rename = "arch")]
        architecture: String,
        #[serde(default)]
        cores: u32,
    },
    InterfacesSeen {
        interfaces: Vec<Interface>,
    },
    Rebooted,
    Measured(Odd),
}

impl DomainEvent for Event {
    type Aggregate = Compute;
    const VARIANTS: &'static [&'static str] =
        &["Registered", "InterfacesSeen", "Rebooted", "Measured"];
    const EVENTS: &'static [EventInfo] = &[
        EventInfo {
            variant: "Registered",
            event_type: "infrastructure.compute.registered",
            former_types: &["infrastructure.compute.enrolled"],
            schema: 3,
            upcasters: &[name_the_host, split_the_architecture],
            fields: &["hostname", "architecture", "cores"],
        },
        EventInfo {
            variant: "InterfacesSeen",
            event_type: "infrastructure.compute.interfaces_seen",
            former_types: &[],
            schema: 1,
            upcasters: &[],
            fields: &["interfaces"],
        },
        EventInfo {
            variant: "Rebooted",
            event_type: "infrastructure.compute.rebooted",
            former_types: &[],
            schema: 1,
            upcasters: &[],
            fields: &[],
        },
        EventInfo {
            variant: "Measured",
            event_type: "infrastructure.compute.measured",
            former_types: &[],
            schema: 1,
            upcasters: &[],
            fields: &[],
        },
    ];
    const TYPES: &'static [&'static str] = &[
        "infrastructure.compute.registered",
        "infrastructure.compute.interfaces_seen",
        "infrastructure.compute.rebooted",
        "infrastructure.compute.measured",
        "infrastructure.compute.enrolled",
    ];
    const FINGERPRINT: u64 = 1;

    fn index(&self) -> usize {
        match self {
            Self::Registered { .. } => 0,
            Self::InterfacesSeen { .. } => 1,
            Self::Rebooted => 2,
            Self::Measured(_) => 3,
        }
    }

    fn fold_into(self, _: &mut Compute) {}
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

#[derive(Clone, Copy, Debug)]
pub struct Note;

impl Command for Note {
    type Aggregate = Compute;
    const VARIANTS: &'static [&'static str] = &["Note"];

    fn index(&self) -> usize {
        0
    }
}

impl StateMachine for State {
    type Event = Event;
    type Command = Note;
    type Output = ();
    const STATES: &'static [&'static str] = &["Active"];
    const EDGES: &'static [Edge] = &[];
    const INITIAL: &'static str = "Active";
    const DIAGRAM: &'static str = "";
    const FINGERPRINT: u64 = 1;
    const TRANSITIONS: &'static [Transition] = &[];
    const NEXT: &'static [u16] = &[0, 0, 0, 0];

    fn index(self) -> usize {
        0
    }

    fn from_index(index: usize) -> Option<Self> {
        (index == 0).then_some(Self::Active)
    }

    fn output(self) {}

    fn is_terminal(self) -> bool {
        false
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compute {
    state: State,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
pub struct Never;

impl Aggregate for Compute {
    type Id = Id<Self>;
    type State = State;
    type Event = Event;
    type Command = Note;
    type Error = Never;
    const DOMAIN: &'static str = "infrastructure";
    const NAME: &'static str = "compute";
    const KIND: &'static str = KIND;
    const FINGERPRINT: u64 = 1;

    fn state(&self) -> State {
        self.state
    }

    fn set_state(&mut self, state: State) {
        self.state = state;
    }
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

pub fn head_of(event: &StoredEvent) -> Head {
    Head {
        version: event.envelope.sequence,
        cid: event.cid,
        position: event.position,
        timestamp: event.envelope.timestamp,
    }
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
        let head = events.last().map(head_of);
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
