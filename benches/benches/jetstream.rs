//! The distributed engine beside plain `async-nats` doing the same work against the same server in the same run.
//!
//! It starts a server of its own from the sample configuration, fills a stream with events, and prints one line a case:
//! the framework, the bare client, their ratio, and what is to be reached. `CIM_ES_BENCH_EVENTS` sets how many events
//! the large stream gets; 1,000,000 by default, four for each aggregate.
#![allow(missing_docs, reason = "a program, not a library")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::{Client, HeaderMap};
use async_trait::async_trait;
use cim_es::jetstream::{
    Connection, EventStoreConfig, JetStreamEventStore, JetStreamOptions, JetStreamSnapshotStore,
};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::prelude::*;
use cim_es::repository::Together;
use cim_es::store::*;
use cim_es::subject::Token;
use cim_es_tests::nats::{Server, User};
use futures_util::StreamExt;
use futures_util::future::join_all;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MachineState {
    #[state(initial)]
    #[on(Register / Registered => Active)]
    Unregistered,
    #[on(Update / Updated => _)]
    #[on(Attach / Attached => _)]
    #[on(Retire / Retired => Retired)]
    Active,
    #[state(terminal)]
    Retired,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MachineEvent {
    Registered { hostname: String },
    Updated { memory: u64 },
    Attached { interface: String },
    Retired,
}

#[derive(Command, Clone, Debug)]
pub enum MachineCommand {
    Register { hostname: String },
    Update { memory: u64 },
    Attach { interface: String },
    Retire,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "infrastructure", name = "machine", error = Infallible)]
pub struct Machine {
    state: MachineState,
    hostname: String,
    memory: u64,
    interface: String,
}

impl Decide for Machine {
    fn decide(&self, command: MachineCommand, _: &Context) -> Decision<Self> {
        emit(match command {
            MachineCommand::Register { hostname } => MachineEvent::Registered { hostname },
            MachineCommand::Update { memory } => MachineEvent::Updated { memory },
            MachineCommand::Attach { interface } => MachineEvent::Attached { interface },
            MachineCommand::Retire => MachineEvent::Retired,
        })
    }
}

fn event(number: u64) -> NewEvent {
    let text =
        format!("host-{number}.example with a description of usual length, as events have it");
    let event = match number % 3 {
        0 => MachineEvent::Registered { hostname: text },
        1 => MachineEvent::Attached { interface: text },
        _ => MachineEvent::Updated { memory: number },
    };
    NewEvent::of(&event).expect("it encodes")
}

fn commit() -> CommitRequest {
    let identity = MessageIdentity::new_from_user("bench");
    CommitRequest::new(identity, Timestamp::from_micros(1_767_225_600_000_000))
}

fn key() -> AggregateKey {
    AggregateKey::of::<Machine>(&Id::new()).expect("an id is a token")
}

/// Snapshots, and how many times one was found.
struct Used {
    kept: JetStreamSnapshotStore,
    times: AtomicUsize,
}

#[async_trait]
impl SnapshotStore for Used {
    async fn save_snapshot(
        &self,
        key: &AggregateKey,
        snapshot: Snapshot,
    ) -> Result<(), StoreError> {
        self.kept.save_snapshot(key, snapshot).await
    }

    async fn get_latest_snapshot(
        &self,
        key: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        let found = self.kept.get_latest_snapshot(key, tag).await?;
        self.times
            .fetch_add(usize::from(found.is_some()), Ordering::Relaxed);
        Ok(found)
    }
}

struct Bench {
    client: Client,
    store: JetStreamEventStore,
    stream: String,
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs benches with this argument, to see that they start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let events = std::env::var("CIM_ES_BENCH_EVENTS").ok();
    let events: u64 = events.and_then(|it| it.parse().ok()).unwrap_or(1_000_000);
    let server = Server::start();
    println!(
        "{:<58} {:>12} {:>12} {:>8}  to reach",
        "", "cim-es", "async-nats", "ratio"
    );
    let small = Bench::open(&server, "SMALL").await;
    small.append_one().await;
    small.append_many().await;
    small.together().await;
    small.long_history().await;
    small.load_behind_a_snapshot().await;
    let large = Bench::open(&server, "LARGE").await;
    large.fill(events).await;
    large.load_short().await;
    large.replay(events.min(200_000)).await;
}

impl Bench {
    async fn open(server: &Server, stream: &str) -> Self {
        let client = server.connect(User::Operator).await;
        let config = EventStoreConfig::new(stream, ["infrastructure.>"]);
        let prefix = stream.to_lowercase();
        let options = JetStreamOptions::new(config)
            .stored_subjects(prefix.parse().expect("a token"))
            .public_prefix(format!("public-{prefix}"));
        let store = JetStreamEventStore::open(client.clone(), options).await;
        Self {
            client,
            store: store.expect("the stream is there"),
            stream: stream.to_owned(),
        }
    }

    async fn bare_append(&self, key: &AggregateKey, sequence: u64, body: &[u8], cid: &str) -> u64 {
        let subjects = self.store.subjects();
        let context = async_nats::jetstream::new(self.client.clone());
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", sequence.to_string());
        headers.insert(
            "Nats-Expected-Last-Subject-Sequence-Subject",
            subjects.guard(key.id()),
        );
        headers.insert("Nats-Msg-Id", cid);
        let subject = subjects.stored(key.id(), "infrastructure.machine.updated");
        let ack = context
            .publish_with_headers(subject, headers, body.to_vec().into())
            .await;
        ack.expect("it is sent")
            .await
            .expect("it is stored")
            .sequence
    }

    async fn append_one(&self) {
        const COUNT: u64 = 2_000;
        let (ours, bare) = (key(), Token::new("bare").expect("a token"));
        let bare = AggregateKey::new("infrastructure.machine", bare);
        let first = self.store.append(commit().aggregate(
            ours.clone(),
            ExpectedVersion::NoStream,
            vec![event(0)],
        ));
        let first = first.await.expect("it is stored");
        let (mut head, body) = (first[0].head(), first[0].body().clone());
        let mut sequence = 0;
        let (mut framework, mut raw) = (Vec::new(), Vec::new());
        for number in 0..COUNT {
            let start = Instant::now();
            sequence = self
                .bare_append(&bare, sequence, &body, &format!("bare-{number}"))
                .await;
            raw.push(start.elapsed());
            let start = Instant::now();
            let request = commit().aggregate_at(ours.clone(), head, vec![event(number)]);
            head = self.store.append(request).await.expect("it is stored")[0].head();
            framework.push(start.elapsed());
        }
        let (framework, raw) = (sorted(framework), sorted(raw));
        line(
            "append of one event, p50",
            at(&framework, 50),
            at(&raw, 50),
            "1.25x",
        );
        line(
            "append of one event, p99",
            at(&framework, 99),
            at(&raw, 99),
            "10 ms",
        );
    }

    async fn append_many(&self) {
        const WRITERS: u64 = 64;
        const EACH: u64 = 200;
        let body =
            self.store
                .append(commit().aggregate(key(), ExpectedVersion::NoStream, vec![event(2)]));
        let body = body.await.expect("it is stored")[0].body().clone();
        let body = &body;
        let mut best = (Duration::MAX, Duration::MAX);
        for _ in 0..3 {
            let keys: Vec<_> = (0..WRITERS).map(|_| key()).collect();
            let start = Instant::now();
            join_all(keys.iter().map(|key| async move {
                let mut sequence = 0;
                for number in 0..EACH {
                    let id = format!("{key}-{number}");
                    sequence = self.bare_append(key, sequence, body, &id).await;
                }
            }))
            .await;
            best.1 = best.1.min(start.elapsed());
            let keys: Vec<_> = (0..WRITERS).map(|_| key()).collect();
            let start = Instant::now();
            join_all(keys.iter().map(|key| async move {
                let mut head = None;
                for number in 0..EACH {
                    let request = match head {
                        Some(head) => commit().aggregate_at(key.clone(), head, vec![event(number)]),
                        None => commit().aggregate(
                            key.clone(),
                            ExpectedVersion::NoStream,
                            vec![event(number)],
                        ),
                    };
                    head = Some(self.store.append(request).await.expect("it is stored")[0].head());
                }
            }))
            .await;
            best.0 = best.0.min(start.elapsed());
        }
        line("12,800 appends by 64 writers", best.0, best.1, "1.18x");
    }

    /// A commit of two events: of two aggregates by `Together`, of one aggregate, and by a bare atomic batch.
    async fn together(&self) {
        const COUNT: u64 = 200;
        let machines = Repository::<Machine>::builder(self.store.clone())
            .snapshot_threshold(0)
            .build();
        let (one, other) = (Id::new(), Id::new());
        for id in [&one, &other] {
            let hostname = "host.example".to_owned();
            let identity = MessageIdentity::new_from_user("bench");
            let register = MachineCommand::Register { hostname };
            let registered = machines.execute(id, register, &identity).await;
            registered.expect("it is stored");
        }
        let alone = key();
        let first = commit().aggregate(alone.clone(), ExpectedVersion::NoStream, vec![event(2)]);
        let first = self.store.append(first).await.expect("it is stored");
        let (mut head, body) = (first[0].head(), first[0].body().clone());
        let keys = [key(), key()];
        let mut sequences = [0; 2];
        let (mut together, mut commits, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..COUNT {
            let start = Instant::now();
            sequences = self.bare_batch(&keys, sequences, &body, number).await;
            raw.push(start.elapsed());
            let start = Instant::now();
            let events = vec![event(2), event(2)];
            let request = commit().aggregate_at(alone.clone(), head, events);
            head = self.store.append(request).await.expect("it is stored")[1].head();
            commits.push(start.elapsed());
            let identity = MessageIdentity::new_from_user("bench");
            let start = Instant::now();
            let update = || MachineCommand::Update { memory: number };
            let committed = Together::new(&identity)
                .execute(&machines, &one, update())
                .execute(&machines, &other, update())
                .commit()
                .await;
            committed.expect("it is stored");
            together.push(start.elapsed());
        }
        let [together, commits, raw] = [together, commits, raw].map(sorted);
        let (together, commits, raw) = (at(&together, 50), at(&commits, 50), at(&raw, 50));
        line("commit of two events, p50", commits, raw, "");
        line("Together over two aggregates, p50", together, raw, "");
        println!(
            "  beside one commit of two events: {:.2}x, to reach 1.3x",
            together.as_secs_f64() / commits.as_secs_f64()
        );
    }

    /// One event of each of two aggregates as an atomic batch.
    async fn bare_batch(
        &self,
        keys: &[AggregateKey; 2],
        sequences: [u64; 2],
        body: &[u8],
        number: u64,
    ) -> [u64; 2] {
        let subjects = self.store.subjects();
        let message = |index: usize| {
            let mut headers = HeaderMap::new();
            let guard = subjects.guard(keys[index].id());
            headers.insert(
                "Nats-Expected-Last-Subject-Sequence",
                sequences[index].to_string(),
            );
            headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", guard);
            headers.insert("Nats-Msg-Id", format!("{}-{number}", keys[index]));
            headers.insert("Nats-Batch-Id", format!("{}-{number}", keys[0].id()));
            headers.insert("Nats-Batch-Sequence", (index + 1).to_string());
            if index == 1 {
                headers.insert("Nats-Batch-Commit", "1");
            }
            let subject = subjects.stored(keys[index].id(), "infrastructure.machine.updated");
            (subject, headers)
        };
        let (subject, headers) = message(0);
        let sent = self
            .client
            .publish_with_headers(subject, headers, body.to_vec().into())
            .await;
        sent.expect("it is sent");
        let (subject, headers) = message(1);
        let answer = self
            .client
            .request_with_headers(subject, headers, body.to_vec().into())
            .await;
        let answer = answer.expect("it is answered");
        let ack: serde_json::Value =
            serde_json::from_slice(&answer.payload).expect("an answer is JSON");
        let last = ack["seq"].as_u64();
        let last = last.unwrap_or_else(|| panic!("it is stored: {ack}"));
        [last - 1, last]
    }

    async fn long_history(&self) {
        let key = key();
        for start in 0..10 {
            let events = (start * 1_000..(start + 1) * 1_000).map(event).collect();
            let request = commit().aggregate(key.clone(), ExpectedVersion::Any, events);
            self.store.append(request).await.expect("it is stored");
        }
        let (mut whole, mut raw) = (Vec::new(), Vec::new());
        let mut known = None;
        for _ in 0..5 {
            let start = Instant::now();
            let events = self.store.get_events(&key, 1).await.expect("it is read");
            whole.push(start.elapsed());
            assert_eq!(events.len(), 10_000);
            known = Some(events[9_950].head());
            let start = Instant::now();
            let count = self
                .consume(self.store.subjects().guard(key.id()), 10_000)
                .await;
            raw.push(start.elapsed());
            assert_eq!(count, 10_000);
        }
        line(
            "load of 10,000 events",
            at(&sorted(whole), 50),
            at(&sorted(raw), 50),
            "1.25x",
        );
        let known = known.expect("it was read");
        let mut tail = Vec::new();
        for _ in 0..100 {
            let start = Instant::now();
            let events = self
                .store
                .get_versions(&key, Versions::starting_with(&known))
                .await
                .expect("it is read");
            tail.push(start.elapsed());
            assert_eq!(events.len(), 50);
        }
        line(
            "load of the last 50 of 10,000 events",
            at(&sorted(tail), 50),
            Duration::ZERO,
            "50 ms",
        );
    }

    /// A cold load of an aggregate of 10,000 events whose snapshot holds all but the last 50.
    async fn load_behind_a_snapshot(&self) {
        const LOADS: usize = 50;
        let connection = Connection::from(self.client.clone());
        let kept = JetStreamSnapshotStore::open(connection, "snapshots", 1).await;
        let used = Arc::new(Used {
            kept: kept.expect("the bucket is there"),
            times: AtomicUsize::new(0),
        });
        let store = self
            .store
            .clone()
            .with_snapshots(Arc::clone(&used) as Arc<dyn SnapshotStore>);
        let id = Id::<Machine>::new();
        let key = AggregateKey::of::<Machine>(&id).expect("an id is a token");
        self.update(&key, 9_949).await;
        let identity = MessageIdentity::new_from_user("bench");
        let writing = Repository::<Machine>::builder(store.clone())
            .snapshot_threshold(1)
            .build();
        let update = MachineCommand::Update { memory: 1 };
        writing
            .execute(&id, update, &identity)
            .await
            .expect("it is stored");
        self.update(&key, 50).await;
        let (mut from_snapshot, mut whole) = (Vec::new(), Vec::new());
        let before = used.times.load(Ordering::Relaxed);
        for _ in 0..LOADS {
            let cold = Repository::<Machine>::builder(store.clone())
                .snapshot_threshold(0)
                .build();
            let start = Instant::now();
            let machine = cold.load(&id).await.expect("it is loaded");
            from_snapshot.push(start.elapsed());
            assert_eq!(machine.version(), 10_000);
        }
        let found = used.times.load(Ordering::Relaxed) - before;
        assert_eq!(found, LOADS, "a load did without the snapshot");
        for _ in 0..3 {
            let cold = Repository::<Machine>::builder(store.clone())
                .without_snapshots()
                .build();
            let start = Instant::now();
            let machine = cold.load(&id).await.expect("it is loaded");
            whole.push(start.elapsed());
            assert_eq!(machine.version(), 10_000);
        }
        line(
            "load from a snapshot and 50 events, beside all 10,000",
            at(&sorted(from_snapshot), 50),
            at(&sorted(whole), 50),
            "50 ms",
        );
    }

    /// Appends updates to a machine, which is registered first where it is new.
    async fn update(&self, key: &AggregateKey, count: u64) {
        let last = self.store.last(key).await.expect("it is read");
        let start = last.map_or(0, |last| last.envelope.sequence);
        let events: Vec<_> = (start..start + count)
            .map(|number| match number {
                0 => event(0),
                _ => event(number * 3 + 2),
            })
            .collect();
        for events in events.chunks(1_000) {
            let request = commit().aggregate(key.clone(), ExpectedVersion::Any, events.to_vec());
            self.store.append(request).await.expect("it is stored");
        }
    }

    /// Reads with the client's own ordered consumer.
    async fn consume(&self, filter: String, count: u64) -> u64 {
        let context = async_nats::jetstream::new(self.client.clone());
        let stream = context.get_stream(&self.stream).await.expect("it is there");
        let config = OrderedConfig {
            deliver_subject: self.client.new_inbox(),
            filter_subject: filter,
            ..OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.expect("it is made");
        let messages = consumer.messages().await.expect("it delivers");
        let messages = messages.take(usize::try_from(count).expect("it fits"));
        messages
            .map(|message| u64::from(message.is_ok()))
            .fold(0, |sum, one| async move { sum + one })
            .await
    }

    /// Fills the stream with aggregates of four events, 250 of them a commit.
    async fn fill(&self, events: u64) {
        let start = Instant::now();
        for commits in 0..events / 1_000 {
            let mut request = commit();
            for aggregate in 0..250 {
                let first = commits * 1_000 + aggregate * 4;
                let events = (first..first + 4).map(event).collect();
                request = request.aggregate(key(), ExpectedVersion::NoStream, events);
            }
            self.store.append(request).await.expect("it is stored");
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{events} events filled in {seconds:.1} s");
    }

    async fn load_short(&self) {
        const AGGREGATES: usize = 100;
        let mut keys = Vec::new();
        for _ in 0..AGGREGATES {
            let key = key();
            let request = commit().aggregate(
                key.clone(),
                ExpectedVersion::NoStream,
                (0..10).map(event).collect(),
            );
            self.store.append(request).await.expect("it is stored");
            keys.push(key);
        }
        let (mut framework, mut raw, mut wildcard) = (Vec::new(), Vec::new(), Vec::new());
        for key in &keys {
            let subjects = self.store.subjects();
            let start = Instant::now();
            let literal = subjects.stored(key.id(), "infrastructure.machine.registered");
            let count = self.direct_batch(&literal).await;
            raw.push(start.elapsed());
            assert_eq!(count, 4);
            let start = Instant::now();
            let events = self.store.get_events(key, 1).await.expect("it is read");
            framework.push(start.elapsed());
            assert_eq!(events.len(), 10);
        }
        for key in keys.iter().take(10) {
            let start = Instant::now();
            let count = self
                .direct_batch(&self.store.subjects().guard(key.id()))
                .await;
            wildcard.push(start.elapsed());
            assert_eq!(count, 10);
        }
        let (framework, raw) = (sorted(framework), sorted(raw));
        line(
            "load of 10 events from the large stream, p50",
            at(&framework, 50),
            at(&raw, 50),
            "3x, 2 ms",
        );
        line(
            "load of 10 events from the large stream, p99",
            at(&framework, 99),
            at(&raw, 99),
            "",
        );
        line(
            "  the same by wildcard, p50",
            at(&framework, 50),
            at(&sorted(wildcard), 50),
            "",
        );
        let start = Instant::now();
        let last = keys.last().expect("some").clone();
        self.store.last(&last).await.expect("it is read");
        println!("  last: {:?}", start.elapsed());
        let start = Instant::now();
        let found = self
            .store
            .get_events_by_type("infrastructure.machine.updated", Position(1_000), 100)
            .await;
        println!(
            "  100 by type: {:?}, {} events",
            start.elapsed(),
            found.expect("they are read").len()
        );
    }

    async fn direct_batch(&self, subject: &str) -> u64 {
        let inbox = self.client.new_inbox();
        let mut answers = self
            .client
            .subscribe(inbox.clone())
            .await
            .expect("it listens");
        let body = serde_json::json!({ "seq": 1, "batch": 500, "next_by_subj": subject });
        let api = format!("$JS.API.DIRECT.GET.{}", self.stream);
        let sent = self
            .client
            .publish_with_reply(api, inbox, body.to_string().into())
            .await;
        sent.expect("it is sent");
        let mut count = 0;
        while let Some(answer) = answers.next().await {
            match answer.status {
                Some(_) => break,
                None => count += 1,
            }
        }
        count
    }

    async fn replay(&self, events: u64) {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let start = Instant::now();
            let read = self
                .store
                .read_all(Position::START)
                .take(usize::try_from(events).expect("it fits"));
            let count = read
                .map(|event| u64::from(event.is_ok()))
                .fold(0, |sum, one| async move { sum + one })
                .await;
            ours.push(start.elapsed());
            assert_eq!(count, events);
            let start = Instant::now();
            assert_eq!(self.consume(String::new(), events).await, events);
            bare.push(start.elapsed());
        }
        let name = format!("replay of {events} events, verified");
        line(&name, at(&sorted(ours), 50), at(&sorted(bare), 50), "1.43x");
    }
}

fn sorted(mut durations: Vec<Duration>) -> Vec<Duration> {
    durations.sort_unstable();
    durations
}

fn at(durations: &[Duration], percent: usize) -> Duration {
    durations[(durations.len() - 1) * percent / 100]
}

fn line(name: &str, ours: Duration, bare: Duration, target: &str) {
    let milliseconds = |duration: Duration| format!("{:.3} ms", duration.as_secs_f64() * 1_000.0);
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    let ratio = if ratio.is_finite() {
        format!("{ratio:.2}x")
    } else {
        "-".to_owned()
    };
    println!(
        "{name:<58} {:>12} {:>12} {ratio:>8}  {target}",
        milliseconds(ours),
        milliseconds(bare)
    );
}
