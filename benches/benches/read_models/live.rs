//! How long it takes until a view has counted an event that was just acknowledged.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::push::OrderedConfig;
use cim_es::jetstream::{EventStoreConfig, JetStreamEventStore, JetStreamOptions};
use cim_es::prelude::*;
use cim_es::projection::{ProjectionManager, RunningView};
use cim_es::store::{EventStore, NewEvent};
use cim_es::{SqliteEventStore, SqliteReadModels};
use cim_es_benches::{Host, HostEvent, commit, registration};
use cim_es_tests::nats::{Server, User};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::Settings;
use crate::fixture::{Cards, Directory, PATIENCE};
use crate::report::{percentile, time};

/// How many times each host was registered.
#[derive(Projection, Debug, Default)]
#[projection(name = "registrations", version = 1, events = [HostEvent])]
struct Registrations {
    hosts: HashMap<Id<Host>, u64>,
}

impl Project<HostEvent> for Registrations {
    fn project(&mut self, _: HostEvent, at: &Source<'_, Host>) {
        *self.hosts.entry(at.id()).or_default() += 1;
    }
}

/// When an event was appended, acknowledged and seen in a view.
struct Sample {
    begun: Instant,
    acknowledged: Instant,
    seen: Instant,
    sequence: u64,
}

async fn follow(store: &impl EventStore, view: &RunningView, samples: u64) -> Vec<Sample> {
    let mut taken = Vec::new();
    for number in 0..samples {
        let event = HostEvent::Registered(registration(number));
        let event = NewEvent::of(&event).expect("it encodes");
        let message = Uuid::now_v7().as_u128();
        let request = commit(u128::from(number % 64) + 1, message, vec![event]);
        let begun = Instant::now();
        let stored = store.append(request).await.expect("it is stored");
        let (acknowledged, position) = (Instant::now(), stored[0].position);
        view.wait_for(position, PATIENCE).await.expect("it counts");
        taken.push(Sample {
            begun,
            acknowledged,
            seen: Instant::now(),
            sequence: position.0,
        });
    }
    taken
}

fn print(what: &str, samples: &[Sample], to_reach: &str) {
    let mut times: Vec<Duration> = samples
        .iter()
        .map(|sample| sample.seen.duration_since(sample.acknowledged))
        .collect();
    for hundredths in [50, 99] {
        let taken = percentile(&mut times, hundredths);
        time(&format!("{what}, p{hundredths}"), taken, None, to_reach);
    }
}

pub async fn sqlite(settings: &Settings) {
    let directory = Directory::new();
    let store = SqliteEventStore::open(directory.file("events.db")).expect("the file opens");
    let projections = ProjectionManager::new(store.clone());
    let view = projections.in_memory::<Registrations>().await;
    let view = view.expect("it opens");
    let samples = follow(&store, &view, settings.samples).await;
    print("acknowledged to seen, SQLite, in memory", &samples, "1 ms");
    view.stop().await;
    let storage = SqliteReadModels::open(directory.file("views.db")).expect("the file opens");
    let view = projections.documents::<Cards>(storage).await;
    let view = view.expect("it opens");
    let end = store.last_position().await.expect("it reads");
    view.wait_for(end, PATIENCE).await.expect("it counts");
    let samples = follow(&store, &view, settings.samples).await;
    print("acknowledged to seen, SQLite, documents", &samples, "1 ms");
    projections.stop().await;
}

pub async fn nats(settings: &Settings) {
    let server = Server::start();
    let client = server.connect(User::Operator).await;
    let config = EventStoreConfig::new("HOSTS", ["infrastructure.>"]);
    let store = JetStreamEventStore::open(client.clone(), JetStreamOptions::new(config)).await;
    let store = store.expect("the stream is there");
    let mut received = bare_consumer(&client).await;
    let projections = ProjectionManager::new(store.clone());
    let view = projections.in_memory::<Registrations>().await;
    let view = view.expect("it opens");
    let samples = follow(&store, &view, settings.samples).await;
    print("acknowledged to seen, NATS, in memory", &samples, "3 ms");

    let mut bare = HashMap::new();
    while bare.len() < samples.len() {
        let (sequence, at) = received.recv().await.expect("each event comes");
        bare.insert(sequence, at);
    }
    // A message may come before the answer to who sent it, so both are measured from the call on.
    let since = |sample: &Sample, at: Instant| at.duration_since(sample.begun);
    let mut ours: Vec<_> = samples.iter().map(|it| since(it, it.seen)).collect();
    let mut theirs: Vec<_> = samples
        .iter()
        .map(|it| since(it, bare[&it.sequence]))
        .collect();
    for hundredths in [50, 99] {
        let what = format!("append begun to seen, NATS, p{hundredths}");
        let (ours, bare) = (
            percentile(&mut ours, hundredths),
            percentile(&mut theirs, hundredths),
        );
        time(&what, ours, Some(bare), "1.5x");
    }
    projections.stop().await;
}

/// A consumer of the stream that does nothing but note when each message came.
async fn bare_consumer(client: &async_nats::Client) -> mpsc::UnboundedReceiver<(u64, Instant)> {
    let context = async_nats::jetstream::new(client.clone());
    let stream = context.get_stream("HOSTS").await.expect("it is there");
    let config = OrderedConfig {
        deliver_subject: client.new_inbox(),
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.expect("it is made");
    let mut messages = consumer.messages().await.expect("it begins");
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let at = Instant::now();
            let sequence = message.info().expect("of a stream").stream_sequence;
            if sender.send((sequence, at)).is_err() {
                return;
            }
        }
    });
    received
}
