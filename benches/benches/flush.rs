//! Bringing commits that were sealed elsewhere to a stream, beside plain `async-nats` publishing the same bodies under the
//! same guards to the same server in the same run.
//!
//! The bare client has as many messages on their way as it likes, and waits where a guard needs the sequence of a message
//! that is not acknowledged yet. One line a shape of the list: the framework, the bare client, and the throughput of the
//! framework as a part of the bare client's. `CIM_ES_BENCH_EVENTS` sets how many events; 100,000 by default.
#![allow(missing_docs, reason = "a program, not a library")]

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use async_nats::jetstream::context::PublishAckFuture;
use async_nats::{Client, HeaderMap};
use cim_es::aggregate::IdText;
use cim_es::jetstream::{EventStoreConfig, JetStreamEventStore, JetStreamOptions};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::*;
use cim_es::{MemoryEventStore, block::StoredEvent};
use cim_es_tests::nats::{Server, User};

/// The events of one list, as a hybrid store would send them.
const LIST: usize = 4_096;
/// The messages that the bare client has on their way.
const IN_FLIGHT: usize = 1_000;

/// In what order the events of aggregates come.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    aggregates: usize,
    /// How many commits of an aggregate stand side by side.
    run: usize,
    /// The events of a commit.
    commit: usize,
}

const SHAPES: [Shape; 4] = [
    Shape {
        name: "1,000 aggregates in turn",
        aggregates: 1_000,
        run: 1,
        commit: 1,
    },
    Shape {
        name: "runs of 10 of 1,000 aggregates",
        aggregates: 1_000,
        run: 10,
        commit: 1,
    },
    Shape {
        name: "one aggregate",
        aggregates: 1,
        run: 1,
        commit: 1,
    },
    Shape {
        name: "commits of 4 events",
        aggregates: 1_000,
        run: 1,
        commit: 4,
    },
];

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs benches with this argument, to see that they start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let events = std::env::var("CIM_ES_BENCH_EVENTS").ok();
    let events: usize = events.and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let server = Server::start();
    let client = server.connect(User::Operator).await;
    println!(
        "{:<40} {:>12} {:>12} {:>8}  to reach",
        format!("flush of {events} events"),
        "cim-es",
        "async-nats",
        "part"
    );
    for shape in SHAPES {
        let source = source(shape, events).await;
        let mut best = [Duration::MAX; 2];
        for _ in 0..3 {
            let bare = open(&client).await;
            let start = Instant::now();
            publish_bare(&client, &bare, &source).await;
            best[1] = best[1].min(start.elapsed());
            remove(&client, &bare).await;
            let store = open(&client).await;
            let start = Instant::now();
            flush(&store, &source).await;
            best[0] = best[0].min(start.elapsed());
            let last = store.last_position().await.expect("it is read");
            assert_eq!(last.0, source.len() as u64);
            remove(&client, &store).await;
        }
        let [ours, bare] = best.map(|time| time.as_secs_f64());
        println!(
            "{:<40} {:>9.0} ms {:>9.0} ms {:>7.2}x  0.7x",
            shape.name,
            ours * 1_000.0,
            bare * 1_000.0,
            bare / ours
        );
    }
}

async fn open(client: &Client) -> JetStreamEventStore {
    let config = EventStoreConfig::new("FLUSH", ["infrastructure.>"]);
    let store = JetStreamEventStore::open(client.clone(), JetStreamOptions::new(config)).await;
    store.expect("the stream is there")
}

async fn remove(client: &Client, store: &JetStreamEventStore) {
    let context = async_nats::jetstream::new(client.clone());
    let removed = context.delete_stream(store.stream_name()).await;
    removed.expect("an operator may");
}

/// The events of a store elsewhere.
async fn source(shape: Shape, events: usize) -> Vec<StoredEvent> {
    let store = MemoryEventStore::new();
    let keys: Vec<_> = (0..shape.aggregates)
        .map(|_| {
            let id = uuid::Uuid::now_v7().to_string();
            AggregateKey::new("infrastructure.machine", IdText::new(&id).expect("an id"))
        })
        .collect();
    let mut heads: Vec<Option<Head>> = vec![None; keys.len()];
    let mut stored = Vec::with_capacity(events);
    for number in 0.. {
        if stored.len() >= events {
            break;
        }
        let at = number / shape.run % keys.len();
        let text =
            format!("host-{number}.example with a description of usual length, as events have it");
        let payload = serde_ipld_dagcbor::to_vec(&HashMap::from([("hostname", text)]));
        let payload = payload.expect("it encodes");
        let event = || NewEvent::from_payload("infrastructure.machine.updated", 1, payload.clone());
        let new = (0..shape.commit).map(|_| event()).collect();
        let identity = MessageIdentity::new_from_user("bench");
        let time = Timestamp::from_micros(1_767_225_600_000_000);
        let request = CommitRequest::new(identity, time);
        let key = keys[at].clone();
        let request = match heads[at] {
            Some(head) => request.aggregate_at(key, head, new),
            None => request.aggregate(key, ExpectedVersion::NoStream, new),
        };
        let events = store.append(request).await.expect("it is stored");
        heads[at] = events.last().map(StoredEvent::head);
        stored.extend(events);
    }
    stored
}

/// What is measured: whole commits in lists, in their order.
async fn flush(store: &JetStreamEventStore, events: &[StoredEvent]) {
    let commits = SealedCommit::split(events).expect("they are whole");
    let mut list = Vec::new();
    let mut count = 0;
    for commit in commits {
        count += commit.events.len();
        list.push(commit);
        if count >= LIST {
            count = 0;
            let list = std::mem::take(&mut list);
            store.append_sealed(list).await.expect("it is stored");
        }
    }
    store.append_sealed(list).await.expect("it is stored");
}

/// The same by the bare client, each event by itself.
async fn publish_bare(client: &Client, store: &JetStreamEventStore, events: &[StoredEvent]) {
    let context = async_nats::jetstream::new(client.clone());
    let subjects = store.subjects();
    let mut sequences: HashMap<&str, u64> = HashMap::new();
    let mut on_the_way: VecDeque<(&str, PublishAckFuture)> = VecDeque::new();
    for event in events {
        let id = event.envelope.aggregate_id.as_str();
        let is_open =
            |way: &VecDeque<(&str, PublishAckFuture)>| way.iter().any(|(it, _)| *it == id);
        while on_the_way.len() >= IN_FLIGHT || is_open(&on_the_way) {
            let Some((id, ack)) = on_the_way.pop_front() else {
                break;
            };
            sequences.insert(id, ack.await.expect("it is stored").sequence);
        }
        let token = IdText::new(id).expect("an id");
        let mut headers = HeaderMap::new();
        let sequence = sequences.get(id).copied().unwrap_or(0);
        headers.insert("Nats-Expected-Last-Subject-Sequence", sequence.to_string());
        headers.insert(
            "Nats-Expected-Last-Subject-Sequence-Subject",
            subjects.guard(&token),
        );
        headers.insert("Nats-Msg-Id", event.cid.to_string());
        let subject = subjects.stored(&token, &event.envelope.event_type);
        let ack = context.publish_with_headers(subject, headers, event.body().clone());
        on_the_way.push_back((id, ack.await.expect("it is sent")));
    }
    for (_, ack) in on_the_way {
        ack.await.expect("it is stored");
    }
}
