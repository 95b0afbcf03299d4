//! How far one stream goes: what a server with many aggregates takes in memory, and how fast it is then.
//!
//! It starts a server of its own from the sample configuration and fills one stream step by step. `CIM_ES_BENCH_SUBJECTS`
//! says up to how many subjects, which are pairs of an aggregate and an operation; `1500000,5000000` by default, which
//! takes some minutes and 8 GB of disk.
#![allow(missing_docs, reason = "a program, not a library")]

use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::Client;
use cim_es::jetstream::{EventStoreConfig, JetStreamEventStore, JetStreamOptions};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::prelude::*;
use cim_es::store::*;
use cim_es_tests::nats::{Server, User};
use futures_util::future::join_all;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SensorState {
    #[state(initial)]
    #[on(Install / Installed => _)]
    #[on(Measure / Measured => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SensorEvent {
    Installed { place: String },
    Measured { value: String },
}

#[derive(Command, Clone, Debug)]
pub enum SensorCommand {
    Install { place: String },
    Measure { value: String },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "plant", name = "sensor")]
pub struct Sensor {
    state: SensorState,
    place: String,
    value: String,
}

impl Decide for Sensor {
    fn decide(&self, command: SensorCommand, _: &Context) -> Decision<Self> {
        emit(match command {
            SensorCommand::Install { place } => SensorEvent::Installed { place },
            SensorCommand::Measure { value } => SensorEvent::Measured { value },
        })
    }
}

/// Aggregates of one commit; every second one has events of two operations, the others of one.
const AGGREGATES: u64 = 600;
const SUBJECTS: u64 = AGGREGATES / 2 * 3;
/// Commits in flight.
const IN_FLIGHT: u64 = 4;
const SAMPLES: usize = 300;
/// How long a restart may take.
const RESTART: Duration = Duration::from_secs(600);

fn installed() -> NewEvent {
    let place = "a place with a description that makes the event as large as events are ".repeat(4);
    NewEvent::of(&SensorEvent::Installed { place }).expect("it encodes")
}

fn measured() -> NewEvent {
    let value = "a value with a description that makes the event as large as events are ".repeat(4);
    NewEvent::of(&SensorEvent::Measured { value }).expect("it encodes")
}

fn commit() -> CommitRequest {
    let identity = MessageIdentity::new_from_user("bench");
    CommitRequest::new(identity, Timestamp::from_micros(1_767_225_600_000_000))
}

struct Bench {
    server: Server,
    client: Client,
    store: JetStreamEventStore,
    subjects: u64,
    /// One aggregate of each commit, to load it.
    kept: Vec<AggregateKey>,
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs benches with this argument, to see that they start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let steps = std::env::var("CIM_ES_BENCH_SUBJECTS");
    let steps = steps.unwrap_or_else(|_| "1500000,5000000".to_owned());
    let server = Server::start();
    println!(
        "memory of an empty server: {} MB",
        megabytes(server.memory())
    );
    let (client, store) = open(&server).await;
    let mut bench = Bench {
        server,
        client,
        store,
        subjects: 0,
        kept: Vec::new(),
    };
    for step in steps.split(',') {
        let step = step.trim().parse().expect("a number of subjects");
        bench.fill(step).await;
        bench.measure("filled").await;
        bench.server.end();
        bench.start_again("ended in order").await;
        bench.measure("after the restart").await;
        bench.server.kill();
        bench.start_again("killed").await;
    }
}

async fn open(server: &Server) -> (Client, JetStreamEventStore) {
    let client = server.connect(User::Operator).await;
    let config = EventStoreConfig::new("PLANT_EVENTS", ["plant.>"]);
    let store = JetStreamEventStore::open(client.clone(), JetStreamOptions::new(config)).await;
    (client, store.expect("the stream is there"))
}

impl Bench {
    async fn fill(&mut self, subjects: u64) {
        let (start, before) = (Instant::now(), self.subjects);
        let mut most = 0;
        while self.subjects < subjects {
            let commits = join_all((0..IN_FLIGHT).map(|_| self.fill_one()));
            for keys in commits.await {
                self.subjects += SUBJECTS;
                self.kept.extend(keys);
            }
            most = most.max(self.server.memory().unwrap_or(0));
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "\n{} subjects, {} aggregates: filled in {seconds:.0} s ({:.0} events/s), at most {} MB",
            self.subjects,
            self.subjects / SUBJECTS * AGGREGATES,
            (self.subjects - before) as f64 / seconds,
            megabytes(Some(most)),
        );
    }

    /// Stores a commit of new aggregates, and gives one of them.
    async fn fill_one(&self) -> Option<AggregateKey> {
        let mut request = commit();
        let mut one = None;
        for number in 0..AGGREGATES {
            let key = AggregateKey::of::<Sensor>(&Id::new()).expect("an id is a token");
            one = Some(key.clone());
            let events = match number % 2 {
                0 => vec![installed()],
                _ => vec![installed(), measured()],
            };
            request = request.aggregate(key, ExpectedVersion::NoStream, events);
        }
        self.store.append(request).await.expect("it is stored");
        one
    }

    async fn start_again(&mut self, how: &str) {
        let start = Instant::now();
        self.server.restart_within(RESTART);
        let ready = start.elapsed();
        (self.client, self.store) = open(&self.server).await;
        println!(
            "  {how}: takes connections after {ready:.1?}, the stream after {:.1?}; {} MB",
            start.elapsed(),
            megabytes(self.server.memory())
        );
    }

    async fn measure(&self, when: &str) {
        let memory = self.server.memory();
        let per_subject = memory.unwrap_or(0) / self.subjects.max(1);
        let disk = size(&self.server.directory());
        println!(
            "  {when}: {} MB of memory ({per_subject} bytes a subject), {} MB of disk",
            megabytes(memory),
            megabytes(Some(disk))
        );
        let start = Instant::now();
        let (_, store) = open(&self.server).await;
        println!("    open: {:.1?}", start.elapsed());
        let every = (self.kept.len() / SAMPLES).max(1);
        let sample: Vec<_> = self.kept.iter().step_by(every).collect();
        let (mut loads, mut lasts, mut appends) = (Vec::new(), Vec::new(), Vec::new());
        for key in &sample {
            let start = Instant::now();
            let events = store.get_events(key, 1).await.expect("it is read");
            loads.push(start.elapsed());
            let start = Instant::now();
            let last = store.last(key).await.expect("it is read");
            lasts.push(start.elapsed());
            let head = last.expect("it is there").head();
            assert_eq!(head.version, events.len() as u64);
            let request = commit().aggregate_at((*key).clone(), head, vec![measured()]);
            let start = Instant::now();
            store.append(request).await.expect("it is stored");
            appends.push(start.elapsed());
        }
        for (what, times) in [("load", loads), ("last event", lasts), ("append", appends)] {
            let [half, most] = quantiles(times);
            println!(
                "    {what} of {}: p50 {half:.2?}, p99 {most:.2?}",
                sample.len()
            );
        }
        let memory = self.server.memory();
        println!("    memory afterwards: {} MB", megabytes(memory));
    }
}

fn quantiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    [at(50), at(99)]
}

fn megabytes(bytes: Option<u64>) -> u64 {
    bytes.unwrap_or(0) / 1_000_000
}

/// The bytes of all files below a directory.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size(&entry.path()),
            _ => entry.metadata().map_or(0, |metadata| metadata.len()),
        })
        .sum()
}
