//! What the benches measure with: an aggregate whose only event has about 300 bytes, and one with commands.
#![allow(missing_docs, reason = "only the benches beside it use this")]

pub mod account;

use cim_es::prelude::*;
use cim_es::store::{AggregateKey, CommitRequest, ExpectedVersion, NewEvent};

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

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostState {
    #[state(initial)]
    #[on(Register / Registered => _)]
    Active,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HostEvent {
    #[apply(_ = event, events += 1)]
    Registered(Registration),
}

#[derive(Command, Clone, Copy, Debug)]
pub enum HostCommand {
    Register,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "infrastructure", name = "host")]
pub struct Host {
    state: HostState,
    pub events: u64,
}

pub const EVENT_TYPE: &str = subject!(HostEvent, "infrastructure.host.registered").as_str();

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
