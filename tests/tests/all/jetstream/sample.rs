//! Keys and events for tests that look closer than the contract.

use std::collections::BTreeMap;

use cim_es::block::StoredEvent;
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::prelude::*;
use cim_es::store::*;
use cim_es::subject::Token;

pub const NOTED: &str = "contract.sample.noted";

pub fn key() -> AggregateKey {
    key_of("contract.sample", &Uuid::now_v7().to_string())
}

pub fn key_of(kind: &'static str, id: &str) -> AggregateKey {
    AggregateKey::new(kind, Token::new(id).unwrap())
}

pub fn event(event_type: &str, number: u64) -> NewEvent {
    let payload = serde_ipld_dagcbor::to_vec(&BTreeMap::from([("number", number)]));
    NewEvent::from_payload(event_type, 1, payload.unwrap())
}

pub fn notes(numbers: impl IntoIterator<Item = u64>) -> Vec<NewEvent> {
    numbers.into_iter().map(|it| event(NOTED, it)).collect()
}

/// An event whose payload has about as many bytes.
pub fn large(number: u64, bytes: usize) -> NewEvent {
    let payload = BTreeMap::from([
        ("filler", "x".repeat(bytes)),
        ("number", number.to_string()),
    ]);
    let payload = serde_ipld_dagcbor::to_vec(&payload);
    NewEvent::from_payload(NOTED, 1, payload.unwrap())
}

pub fn commit() -> CommitRequest {
    CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now())
}

/// A declared kind, which a store reads by its literal subjects.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TallyState {
    #[state(initial)]
    #[on(Count / Counted => _)]
    #[on(Clear / Cleared => _)]
    #[on(Close / Closed => Closed)]
    Open,
    #[state(terminal)]
    Closed,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TallyEvent {
    #[apply(total += number)]
    Counted {
        number: u64,
    },
    #[apply(total = 0)]
    Cleared,
    Closed,
}

#[derive(Command, Clone, Debug)]
#[expect(
    dead_code,
    reason = "the machine names each, and the tests store events"
)]
pub enum TallyCommand {
    Count { number: u64 },
    Clear,
    Close,
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "contract", name = "tally", error = std::convert::Infallible)]
pub struct Tally {
    pub state: TallyState,
    pub total: u64,
}

impl Decide for Tally {
    fn decide(&self, command: TallyCommand, _: &Context) -> Decision<Self> {
        emit(match command {
            TallyCommand::Count { number } => TallyEvent::Counted { number },
            TallyCommand::Clear => TallyEvent::Cleared,
            TallyCommand::Close => TallyEvent::Closed,
        })
    }
}

pub fn tally() -> AggregateKey {
    AggregateKey::of::<Tally>(&Id::new()).unwrap()
}

pub fn counted(number: u64) -> NewEvent {
    NewEvent::of(&TallyEvent::Counted { number }).unwrap()
}

pub fn cleared() -> NewEvent {
    NewEvent::of(&TallyEvent::Cleared).unwrap()
}

/// The numbers in the payloads.
pub fn numbers(events: &[StoredEvent]) -> Vec<u64> {
    let number = |event: &StoredEvent| {
        let payload: BTreeMap<String, u64> =
            serde_ipld_dagcbor::from_slice(event.payload()).unwrap();
        payload["number"]
    };
    events.iter().map(number).collect()
}

pub async fn history(store: &impl EventStore, key: &AggregateKey) -> Vec<StoredEvent> {
    store.get_events(key, 1).await.unwrap()
}
