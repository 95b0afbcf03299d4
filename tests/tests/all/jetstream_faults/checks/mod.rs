//! Holds what programs were told against what the stream has.

mod guards;
mod stream;

use std::collections::{HashMap, HashSet};

use async_nats::Client;
use cim_es::block::{Cid, StoredEvent};
use cim_es::jetstream::JetStreamEventStore;
use cim_es::prelude::*;
use cim_es::store::*;
use futures_util::TryStreamExt;

use super::record::{Operation, Outcome};

/// Everything that a store has.
pub async fn everything(store: &impl EventStore) -> Vec<StoredEvent> {
    let events = store.read_all(Position::START).try_collect().await;
    events.unwrap_or_else(|error| panic!("{error}"))
}

/// Everything that is wrong; empty when every promise was kept.
pub async fn violations(
    client: &Client,
    store: &JetStreamEventStore,
    events: &[StoredEvent],
    operations: &[Operation],
) -> Vec<String> {
    let mut wrong = of_events(events, operations);
    let guarded = guards::read(client, store, events).await;
    guards::check(&guarded, store, &mut wrong);
    wrong
}

/// What the events alone show to be wrong.
pub fn of_events(events: &[StoredEvent], operations: &[Operation]) -> Vec<String> {
    let mut wrong = Vec::new();
    outcomes(events, operations, &mut wrong);
    stream::whole_commits(events, &mut wrong);
    stream::chains(events, &mut wrong);
    stream::names(events, &mut wrong);
    wrong
}

fn outcomes(events: &[StoredEvent], operations: &[Operation], wrong: &mut Vec<String>) {
    let mut found: HashMap<Uuid, HashSet<(Position, Cid)>> = HashMap::new();
    let mut versions: HashMap<String, u64> = HashMap::new();
    for event in events {
        let envelope = &event.envelope;
        let commit = found.entry(envelope.causation_id).or_default();
        commit.insert((event.position, event.cid));
        let name = format!("{} {}", envelope.aggregate, envelope.aggregate_id);
        versions.insert(name, envelope.sequence);
    }
    let mut known = HashSet::new();
    for Operation { id, what, outcome } in operations {
        known.insert(*id);
        let there = found.get(id);
        match outcome {
            Outcome::Stored(places) => {
                let lost = places
                    .iter()
                    .filter(|it| !there.is_some_and(|there| there.contains(it)));
                let lost = lost.count();
                if lost > 0 {
                    let of = places.len();
                    wrong.push(format!(
                        "{what} {id} was acknowledged, and {lost} of its {of} events are lost"
                    ));
                }
            }
            Outcome::Refused(reason) if there.is_some() => {
                wrong.push(format!("{what} {id} was refused ({reason}), and is there"));
            }
            Outcome::Conflict {
                aggregate,
                expected,
                actual,
            } => {
                if there.is_some() {
                    wrong.push(format!("{what} {id} was a conflict, and is there"));
                }
                let version = versions.get(aggregate).copied().unwrap_or(0);
                if *actual > version || expected.is_some_and(|expected| *actual <= expected) {
                    wrong.push(format!(
                        "{what} {id} expected {expected:?} of {aggregate}, was told of version {actual}, and there are {version}"
                    ));
                }
            }
            Outcome::Refused(_) | Outcome::Unknown => {}
        }
    }
    for id in found.keys().filter(|id| !known.contains(*id)) {
        wrong.push(format!("commit {id} is there, and no program made it"));
    }
}
