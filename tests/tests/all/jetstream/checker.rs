//! Holds what writers were told against what the stream has.

use std::collections::{BTreeMap, HashMap};

use async_nats::Client;
use async_nats::jetstream::consumer::push::OrderedConfig;
use cim_es::block::{ChainVerifier, Cid, StoredEvent};
use cim_es::jetstream::JetStreamEventStore;
use cim_es::store::*;
use futures_util::StreamExt;

use super::sample::numbers;

/// One commit that a writer tried; its number stands in each of its events.
#[derive(Debug)]
pub struct Operation {
    pub number: u64,
    pub events: usize,
    pub outcome: Outcome,
}

/// What the writer was told.
#[derive(Debug)]
pub enum Outcome {
    Stored(Vec<StoredEvent>),
    /// Refused, with the word that nothing is stored.
    Refused(StoreError),
    Unknown,
}

impl Outcome {
    pub fn of(outcome: Result<Vec<StoredEvent>, StoreError>) -> Self {
        match outcome {
            Ok(stored) => Self::Stored(stored),
            Err(StoreError::OutcomeUnknown { .. }) => Self::Unknown,
            Err(error) => Self::Refused(error),
        }
    }
}

/// The guard that a message was stored under, and where it stands.
struct Guarded {
    position: u64,
    guard: Option<(String, u64)>,
    aggregate: String,
}

/// Everything that is wrong; empty when every promise was kept.
pub async fn violations(
    client: &Client,
    store: &JetStreamEventStore,
    operations: &[Operation],
) -> Vec<String> {
    let mut wrong = Vec::new();
    let events: Vec<_> = store.read_all(Position::START).collect().await;
    let events: Vec<StoredEvent> = events.into_iter().map(|event| event.unwrap()).collect();
    outcomes(&events, operations, &mut wrong);
    chains(&events, &mut wrong);
    guards(
        &guarded(client, store, events.len()).await,
        store,
        &mut wrong,
    );
    wrong
}

fn outcomes(events: &[StoredEvent], operations: &[Operation], wrong: &mut Vec<String>) {
    let mut found: HashMap<u64, Vec<&StoredEvent>> = HashMap::new();
    for (event, number) in events.iter().zip(numbers(events)) {
        found.entry(number).or_default().push(event);
    }
    for operation in operations {
        let number = operation.number;
        let found = found.remove(&number).unwrap_or_default();
        let count = found.len();
        match &operation.outcome {
            Outcome::Stored(stored) if !found.iter().copied().eq(stored) => {
                wrong.push(format!(
                    "commit {number} was acknowledged, but is there with {count} events"
                ));
            }
            Outcome::Refused(error) if count > 0 => {
                wrong.push(format!(
                    "commit {number} was refused ({error}), but is there"
                ));
            }
            Outcome::Unknown if count != 0 && count != operation.events => {
                wrong.push(format!(
                    "commit {number} is there in part: {count} of {}",
                    operation.events
                ));
            }
            _ => {}
        }
    }
    for number in found.keys() {
        wrong.push(format!("commit {number} is there, and no writer made it"));
    }
}

fn chains(events: &[StoredEvent], wrong: &mut Vec<String>) {
    let mut chains: BTreeMap<String, ChainVerifier> = BTreeMap::new();
    let mut cids: HashMap<Cid, u64> = HashMap::new();
    for event in events {
        if let Some(earlier) = cids.insert(event.cid, event.position.0) {
            wrong.push(format!(
                "event {} stands at {earlier} and again at {}",
                event.cid, event.position
            ));
        }
        let envelope = &event.envelope;
        let name = format!("{} {}", envelope.aggregate, envelope.aggregate_id);
        let chain = chains
            .entry(name)
            .or_insert_with(ChainVerifier::of_any_aggregate);
        if let Err(verdict) = chain.accept(event) {
            wrong.push(verdict.to_string());
        }
    }
    for (_, chain) in chains {
        if let Err(verdict) = chain.finish() {
            wrong.push(verdict.to_string());
        }
    }
}

/// The expected position of each guarded message is the position of what stood last under the guard.
fn guards(messages: &[Guarded], store: &JetStreamEventStore, wrong: &mut Vec<String>) {
    let mut last: HashMap<&str, u64> = HashMap::new();
    let mut batch: Option<&Guarded> = None;
    for message in messages {
        let before = last
            .insert(&message.aggregate, message.position)
            .unwrap_or(0);
        match &message.guard {
            Some((subject, _)) if *subject != message.aggregate => {
                wrong.push(format!(
                    "position {} has another guard, {subject}",
                    message.position
                ));
            }
            Some((_, expected)) if *expected != before => {
                wrong.push(format!(
                    "position {} expected {expected} and followed {before}",
                    message.position
                ));
            }
            Some(_) => {}
            // Within a batch, an aggregate's first message alone carries the guard.
            None if batch.is_some_and(|it| {
                it.position + 1 == message.position && it.aggregate == message.aggregate
            }) => {}
            None => wrong.push(format!(
                "position {} of {} has no guard",
                message.position,
                store.stream_name()
            )),
        }
        batch = Some(message);
    }
}

async fn guarded(client: &Client, store: &JetStreamEventStore, count: usize) -> Vec<Guarded> {
    let context = async_nats::jetstream::new(client.clone());
    let stream = context.get_stream(store.stream_name()).await.unwrap();
    let config = OrderedConfig {
        deliver_subject: client.new_inbox(),
        headers_only: true,
        ..OrderedConfig::default()
    };
    let messages = stream
        .create_consumer(config)
        .await
        .unwrap()
        .messages()
        .await
        .unwrap();
    let guarded = messages.take(count).map(|message| {
        let message = message.unwrap();
        let position = message.info().unwrap().stream_sequence;
        let headers = message.headers.as_ref().unwrap();
        let text = |name: &'static str| headers.get(name).map(|value| value.to_string());
        let subject = text("Nats-Expected-Last-Subject-Sequence-Subject");
        let sequence = text("Nats-Expected-Last-Subject-Sequence").and_then(|it| it.parse().ok());
        let id = message.subject.split('.').nth(2).unwrap();
        Guarded {
            position,
            guard: subject.zip(sequence),
            aggregate: store
                .subjects()
                .guard(&cim_es::aggregate::IdText::new(id).unwrap()),
        }
    });
    guarded.collect().await
}
