//! Each message was stored under the guard of its aggregate, and behind what the guard says.

use std::collections::{HashMap, HashSet};

use async_nats::Client;
use async_nats::jetstream::consumer::push::OrderedConfig;
use cim_es::block::StoredEvent;
use cim_es::jetstream::JetStreamEventStore;
use futures_util::StreamExt;

/// The guard that a message was stored under, and where it stands.
pub struct Guarded {
    pub position: u64,
    pub guard: Option<(String, u64)>,
    /// The guard of the aggregate that it belongs to.
    pub aggregate: String,
    /// Whether it is the first of its commit.
    pub is_first: bool,
}

/// The expected position of each guarded message is the position of what stood last under the guard.
pub fn check(messages: &[Guarded], store: &JetStreamEventStore, wrong: &mut Vec<String>) {
    let mut last: HashMap<&str, u64> = HashMap::new();
    // The guards that the commit has shown so far.
    let mut shown: HashSet<&str> = HashSet::new();
    for message in messages {
        let Guarded {
            position,
            aggregate,
            is_first,
            ..
        } = message;
        if *is_first {
            shown.clear();
        }
        let guard = message.guard.as_ref();
        let guard = guard.map(|(subject, sequence)| (subject.as_str(), *sequence));
        // A message may carry the guard of an aggregate that stays unchanged once its own was shown.
        let is_own = guard.is_some_and(|(subject, _)| subject == aggregate);
        if !is_own && !shown.contains(aggregate.as_str()) {
            wrong.push(match guard {
                Some((subject, _)) => format!("position {position} has another guard, {subject}"),
                None => format!(
                    "position {position} of {} has no guard",
                    store.stream_name()
                ),
            });
        }
        if let Some((subject, expected)) = guard {
            let before = last.get(subject).copied().unwrap_or(0);
            if expected != before {
                wrong.push(format!(
                    "position {position} expected {expected} under {subject} and followed {before}"
                ));
            }
            shown.insert(subject);
        }
        last.insert(aggregate, *position);
    }
}

/// Reads the guards of the messages that hold some events.
pub async fn read(
    client: &Client,
    store: &JetStreamEventStore,
    events: &[StoredEvent],
) -> Vec<Guarded> {
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
    let firsts: HashSet<_> = events
        .iter()
        .filter(|event| event.envelope.commit.whole_index == 1)
        .map(|event| event.position.0)
        .collect();
    let guarded = messages.take(events.len()).map(|message| {
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
            is_first: firsts.contains(&position),
        }
    });
    guarded.collect().await
}
