//! A file that is kept level with a stream, beside the file alone and beside plain `async-nats` and rusqlite doing the same
//! work in the same run.
//!
//! One line a case: the hybrid store, what it is compared with, their ratio, and what is to be reached.
//! `CIM_ES_BENCH_EVENTS` sets how many events go up and down; 100,000 by default.
#![allow(missing_docs, reason = "a program, not a library")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::push::OrderedConfig;
use cim_es::SqliteEventStore;
use cim_es::hybrid::{
    ConnectFailure, Connector, HybridEventStore, HybridOptions, NatsConnector, Protocol,
    RemoteStore,
};
use cim_es::jetstream::{EventStoreConfig, NatsConfig};
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position,
    StreamExt,
};
use cim_es::subject::Token;
use cim_es_tests::directory::Directory;
use cim_es_tests::nats::{Server, User};
use rusqlite::Connection;

/// Commits of one event, each awaited, of each store.
const COMMITS: u64 = 3_000;
/// The aggregates that the events of a queue are of, in turn.
const AGGREGATES: u64 = 1_000;

struct Away;

#[async_trait::async_trait]
impl Connector for Away {
    async fn connect(&self) -> Result<Arc<dyn RemoteStore>, ConnectFailure> {
        Err(Arc::new(std::io::Error::other("nobody answers")))
    }
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs benches with this argument, to see that they start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let events = std::env::var("CIM_ES_BENCH_EVENTS").ok();
    let events: u64 = events.and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let (server, directory) = (Server::start(), Directory::new());
    println!(
        "{:<58} {:>12} {:>12} {:>8}  to reach",
        "", "hybrid", "beside", "ratio"
    );
    let away = HybridEventStore::open(open(&directory.file("away.db")), Away);
    let away = away.await.expect("it opens");
    commits(&away, &directory, "away").await;
    away.close().await;
    let servers = servers(&server);
    let up = NatsConnector::new(servers.clone());
    let up = HybridEventStore::open(open(&directory.file("up.db")), up);
    let up = up.await.expect("it opens");
    while !up.is_connected() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    commits(&up, &directory, "up").await;
    up.close().await;
    down(&server, &servers, &directory, events).await;
}

fn open(path: &Path) -> SqliteEventStore {
    SqliteEventStore::open(path).expect("the file opens")
}

fn servers(server: &Server) -> NatsConfig {
    NatsConfig::new([server.url()])
        .user_and_password(User::Operator.name(), User::Operator.password())
        .event_store(EventStoreConfig::new("BENCH", ["infrastructure.>"]))
}

fn key(number: u64) -> AggregateKey {
    let id = Token::new(&uuid::Uuid::from_u128(u128::from(number) << 64 | 0x7000).to_string());
    AggregateKey::new("infrastructure.compute", id.expect("a UUID is a token"))
}

/// An event of about 300 bytes.
fn event() -> NewEvent {
    let mut payload = vec![0xa1, 0x68];
    payload.extend_from_slice(b"hostname");
    payload.extend_from_slice(&[0x79, 0x01, 0x18]);
    payload.extend_from_slice(&[b'y'; 280]);
    NewEvent::from_payload("infrastructure.compute.registered", 1, payload)
}

fn commit(number: u64) -> CommitRequest {
    let identity = MessageIdentity::new_from_user("bench");
    let commit = CommitRequest::new(identity, SystemClock.now());
    commit.aggregate(key(number), ExpectedVersion::Any, vec![event()])
}

/// Commits of one event, in turn on the hybrid store and on a file alone.
async fn commits(hybrid: &HybridEventStore, directory: &Directory, stream: &str) {
    let alone = open(&directory.file(&format!("alone-{stream}.db")));
    let (mut ours, mut beside) = (Vec::new(), Vec::new());
    for number in 0..COMMITS {
        let request = commit(number % AGGREGATES);
        let start = Instant::now();
        alone.append(request).await.expect("it is stored");
        beside.push(start.elapsed());
        let request = commit(number % AGGREGATES);
        let start = Instant::now();
        hybrid.append(request).await.expect("it is stored");
        ours.push(start.elapsed());
    }
    for (name, percent) in [("p50", 50), ("p90", 90)] {
        line(
            &format!("commit of one event, stream {stream}, {name}"),
            at(&mut ours, percent),
            at(&mut beside, percent),
            "1.1x",
        );
    }
    let mean = |times: &[Duration]| times.iter().sum::<Duration>() / times.len() as u32;
    line(
        &format!("commit of one event, stream {stream}, mean"),
        mean(&ours),
        mean(&beside),
        "1.1x",
    );
}

/// What a stream has comes into a file: by the protocol, and bare: an ordered consumer, and batches of rows.
async fn down(server: &Server, servers: &NatsConfig, directory: &Directory, events: u64) {
    let stores = servers.open().await.expect("the stream is there");
    let before = stores.last_position().await.expect("it is read").0;
    for first in (before..events).step_by(1_000) {
        let identity = MessageIdentity::new_from_user("bench");
        let mut request = CommitRequest::new(identity, SystemClock.now());
        for number in first..events.min(first + 1_000) {
            let key = key(1_000_000 + number);
            request = request.aggregate(key, ExpectedVersion::NoStream, vec![event()]);
        }
        stores.append(request).await.expect("it is stored");
    }
    let last = stores.last_position().await.expect("it is read");
    let remote: Arc<dyn RemoteStore> = Arc::new(stores);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let path = directory.file(&format!("bare-{round}.db"));
        let start = Instant::now();
        bare_down(server, &path, last.0).await;
        bare.push(start.elapsed());
        let file = open(&directory.file(&format!("down-{round}.db")));
        let options = HybridOptions::new();
        let protocol = Protocol::open(Arc::new(file.clone()), options).await;
        let protocol = protocol.expect("it opens");
        let start = Instant::now();
        protocol.level(&remote).await.expect("it comes down");
        ours.push(start.elapsed());
        assert_eq!(file.last_position().await.expect("it is read"), last);
    }
    line(
        &format!("{} events down into the file", last.0),
        at(&mut ours, 0),
        at(&mut bare, 0),
        "1.43x",
    );
    let read = remote.read_all(Position::START);
    let start = Instant::now();
    assert_eq!(read.count().await as u64, last.0);
    println!(
        "reading them alone, verified: {:.0} ms",
        start.elapsed().as_secs_f64() * 1_000.0
    );
}

/// Reads messages and writes the rows that the store writes of them, 1,000 a transaction.
async fn bare_down(server: &Server, path: &Path, count: u64) {
    let client = server.connect(User::Operator).await;
    let context = async_nats::jetstream::new(client.clone());
    let stream = context.get_stream("BENCH").await.expect("it is there");
    let config = OrderedConfig {
        deliver_subject: client.new_inbox(),
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.expect("it is made");
    let mut messages = consumer.messages().await.expect("it delivers");
    let file = Connection::open(path).expect("the file opens");
    file.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE events (position INTEGER PRIMARY KEY, cid BLOB NOT NULL, body BLOB NOT NULL) STRICT;
         CREATE TABLE aggregates (id TEXT PRIMARY KEY, version INTEGER NOT NULL, cid BLOB NOT NULL) STRICT;",
    )
    .expect("the tables are made");
    let mut position = 0;
    while position < count {
        file.execute_batch("BEGIN IMMEDIATE").expect("it begins");
        let mut add = file
            .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3)")
            .expect("it is prepared");
        let mut head = file
            .prepare_cached(
                "INSERT INTO aggregates VALUES (?1, 1, ?2)
                 ON CONFLICT (id) DO UPDATE SET version = version + 1, cid = excluded.cid",
            )
            .expect("it is prepared");
        for _ in 0..1_000.min(count - position) {
            let message = messages.next().await.expect("one comes").expect("it reads");
            position += 1;
            let headers = message.headers.as_ref().expect("it has headers");
            let cid = headers
                .get("Cid")
                .expect("it has a CID")
                .as_str()
                .as_bytes();
            let id = headers.get("Aggregate-Id").expect("it has an id").as_str();
            add.execute((position as i64, cid, &message.payload[..]))
                .expect("it is added");
            head.execute((id, cid)).expect("it is added");
        }
        file.execute_batch("COMMIT").expect("it ends");
    }
}

fn at(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort_unstable();
    durations[(durations.len() - 1) * percent / 100]
}

fn line(name: &str, ours: Duration, beside: Duration, target: &str) {
    let milliseconds = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1_000.0);
    println!(
        "{name:<58} {:>12} {:>12} {:>7.2}x  {target}",
        milliseconds(ours),
        milliseconds(beside),
        ours.as_secs_f64() / beside.as_secs_f64()
    );
}
