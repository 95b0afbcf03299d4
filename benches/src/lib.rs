//! What the benches measure with: an aggregate whose only event has about 300 bytes, and one with commands.
#![allow(missing_docs, reason = "only the benches beside it use this")]

pub mod account;

use cim_es::aggregate::{Aggregate, Command, Id};
use cim_es::event::{DomainEvent, EventInfo};
use cim_es::machine::{Edge, StateMachine, Transition};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{AggregateKey, CommitRequest, ExpectedVersion, NewEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The content of the event; as a struct of its own it is also what the bare encoder is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    pub hostname: String,
    pub architecture: String,
    pub description: String,
    pub cores: u32,
    pub memory: u64,
    pub load: f64,
    pub addresses: Vec<String>,
    pub is_virtual: bool,
    pub rack: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HostEvent {
    Registered(Registration),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostState {
    #[default]
    Active,
}

#[derive(Clone, Copy, Debug)]
pub struct Register;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Host {
    state: HostState,
    pub events: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("never")
    }
}

impl std::error::Error for Never {}

pub const EVENT_TYPE: &str = "infrastructure.host.registered";

impl DomainEvent for HostEvent {
    type Aggregate = Host;
    const VARIANTS: &'static [&'static str] = &["Registered"];
    const EVENTS: &'static [EventInfo] = &[EventInfo {
        variant: "Registered",
        event_type: EVENT_TYPE,
        former_types: &[],
        schema: 1,
        upcasters: &[],
        fields: &[],
    }];
    const TYPES: &'static [&'static str] = &[EVENT_TYPE];
    const FINGERPRINT: u64 = 1;

    fn index(&self) -> usize {
        0
    }

    fn fold_into(self, host: &mut Host) {
        host.events += 1;
    }
}

impl Command for Register {
    type Aggregate = Host;
    const VARIANTS: &'static [&'static str] = &["Register"];

    fn index(&self) -> usize {
        0
    }
}

impl StateMachine for HostState {
    type Event = HostEvent;
    type Command = Register;
    type Output = ();
    const STATES: &'static [&'static str] = &["Active"];
    const EDGES: &'static [Edge] = &[];
    const INITIAL: &'static str = "Active";
    const DIAGRAM: &'static str = "";
    const FINGERPRINT: u64 = 1;
    const TRANSITIONS: &'static [Transition] = &[Transition {
        from: 0,
        command: Some(0),
        event: 0,
        to: 0,
    }];
    const NEXT: &'static [u16] = &[0];

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

impl Aggregate for Host {
    type Id = Id<Self>;
    type State = HostState;
    type Event = HostEvent;
    type Command = Register;
    type Error = Never;
    const DOMAIN: &'static str = "infrastructure";
    const NAME: &'static str = "host";
    const KIND: &'static str = "infrastructure.host";
    const FINGERPRINT: u64 = 1;

    fn state(&self) -> HostState {
        self.state
    }

    fn set_state(&mut self, state: HostState) {
        self.state = state;
    }
}

/// The content of the `n`-th event; its payload has about 300 bytes.
pub fn registration(n: u64) -> Registration {
    Registration {
        hostname: format!("node-{n:06}.rack-7.example.org"),
        architecture: "x86_64".to_owned(),
        description: "a host of the second row, bought for the batch queue".to_owned(),
        cores: 64,
        memory: 549_755_813_888 + n,
        load: 0.75,
        addresses: vec!["192.0.2.17".to_owned(), "2001:db8::17".to_owned()],
        is_virtual: false,
        rack: Some("row 2, rack 7, unit 31".to_owned()),
    }
}

/// The key of one host.
pub fn key(id: u128) -> AggregateKey {
    let id = Id::<Host>::from_uuid(Uuid::from_u128(id));
    AggregateKey::of::<Host>(&id).expect("a UUID is a token")
}

/// A commit of events on one host.
pub fn commit(host: u128, message: u128, events: Vec<NewEvent>) -> CommitRequest {
    let identity = MessageIdentity::root(Uuid::from_u128(message), Some("benches"));
    CommitRequest::new(identity, Timestamp::from_micros(1_769_860_800_000_000)).aggregate(
        key(host),
        ExpectedVersion::Any,
        events,
    )
}
