//! The embedded engine beside bare rusqlite with the same pragmas and the same bytes.
//!
//! The bare table has one row an event: its position, its CID and its body. The bare tables are those of the store: they
//! get the same rows and indexes, made ready before, in commits of the same size.
//!
//! `64 writers, a view of documents with the events` is the store beside itself without the view.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cim_es::SqliteEventStore;
use cim_es::block::{StoredEvent, parse_cid};
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::prelude::{
    Deserialize, Document, Documents, Id, Projection, Repository, Serialize, Source,
};
use cim_es::projection::{ProjectDocuments, ProjectionError, ProjectionManager};
use cim_es::repository::Together;
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, Head, NewEvent,
    Position,
};
use cim_es::subject::Token;
use cim_es_benches::account::{Account, AccountCommand, AccountEvent};
use cim_es_benches::{Host, HostEvent, registration};
use cim_es_tests::directory::Directory;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rusqlite::Connection;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The writers that append at the same time, each to an aggregate of its own.
const WRITERS: u64 = 64;
/// The length of the history that is loaded.
const HISTORY: u64 = 10_000;

fn key(number: u64) -> AggregateKey {
    let id = Token::new(&Uuid::from_u128(u128::from(number) << 64 | 0x7000_8000).to_string());
    AggregateKey::new("infrastructure.compute", id.expect("a UUID is a token"))
}

/// An event of about 300 bytes, as stored a little over 600.
fn event() -> NewEvent {
    let mut payload = Vec::new();
    payload.extend_from_slice(&[0xa2, 0x66]);
    payload.extend_from_slice(b"system");
    payload.extend_from_slice(&[0x78, 60]);
    payload.extend_from_slice(&[b'x'; 60]);
    payload.extend_from_slice(&[0x68]);
    payload.extend_from_slice(b"hostname");
    payload.extend_from_slice(&[0x78, 200]);
    payload.extend_from_slice(&[b'y'; 200]);
    NewEvent::from_payload("infrastructure.compute.registered", 1, payload)
}

fn commit(key: &AggregateKey, expected: ExpectedVersion, events: Vec<NewEvent>) -> CommitRequest {
    let identity = MessageIdentity::new_from_user("bench");
    CommitRequest::new(identity, SystemClock.now()).aggregate(key.clone(), expected, events)
}

/// One writer that knows the head, as a repository with a warm aggregate does, and the commands that it is given.
struct Writer {
    key: AggregateKey,
    head: Option<Head>,
    commands: Vec<(MessageIdentity, NewEvent)>,
}

/// What is written: the aggregate of each writer, and its events.
#[derive(Clone, Copy)]
struct Written {
    key: fn(u64) -> AggregateKey,
    event: fn(u64) -> NewEvent,
}

/// Bytes that no projection reads.
const BYTES: Written = Written {
    key,
    event: |_| event(),
};
/// Hosts, as [`Hosts`] reads them.
const HOSTS: Written = Written {
    key: |number| cim_es_benches::key(u128::from(number) << 64 | 0x7000_8000),
    event: |number| NewEvent::of(&HostEvent::Registered(registration(number))).expect("it encodes"),
};

/// A host, as it is shown.
#[derive(Document, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct HostCard {
    hostname: String,
    architecture: String,
    addresses: Vec<String>,
    rack: Option<String>,
    events: u64,
}

/// A card for each host.
#[derive(Projection)]
#[projection(name = "hosts", version = 1, events = [HostEvent], documents = HostCard)]
struct Hosts;

impl ProjectDocuments<HostEvent> for Hosts {
    async fn project(
        &self,
        HostEvent::Registered(host): HostEvent,
        at: &Source<'_, Host>,
        hosts: &mut Documents<'_, HostCard>,
    ) -> Result<(), ProjectionError> {
        let card = hosts.get(&at.id()).await?.unwrap_or_default();
        let card = HostCard {
            hostname: host.hostname,
            architecture: host.architecture,
            addresses: host.addresses,
            rack: host.rack,
            events: card.events + 1,
        };
        hosts.put(&at.id(), card)?;
        Ok(())
    }
}

impl Writer {
    async fn new(store: &SqliteEventStore, what: Written, number: u64, commands: u64) -> Self {
        let key = (what.key)(number);
        let last = store.last(&key).await.expect("the head reads");
        let command = |number| {
            let identity = MessageIdentity::new_from_user("bench");
            (identity, (what.event)(number))
        };
        Self {
            key,
            head: last.map(|event| event.head()),
            commands: (0..commands).map(command).collect(),
        }
    }

    async fn write(self, store: &SqliteEventStore) {
        let mut head = self.head;
        for (identity, event) in self.commands {
            let commit = CommitRequest::new(identity, SystemClock.now());
            let (key, events) = (self.key.clone(), vec![event]);
            let commit = match head {
                None => commit.aggregate(key, ExpectedVersion::NoStream, events),
                Some(head) => commit.aggregate_at(key, head, events),
            };
            let stored = store.append(commit).await.expect("it appends");
            head = stored.last().map(StoredEvent::head);
        }
    }
}

/// The time of `writers` that append `commands` events each, all at the same time.
async fn time_writers(
    store: &SqliteEventStore,
    what: Written,
    writers: u64,
    commands: u64,
) -> Duration {
    let mut ready = Vec::new();
    for number in 0..writers {
        ready.push(Writer::new(store, what, number, commands).await);
    }
    let start = Instant::now();
    let writing: Vec<_> = ready
        .into_iter()
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move { writer.write(&store).await })
        })
        .collect();
    for writer in writing {
        writer.await.expect("the writer ends");
    }
    start.elapsed()
}

/// The bare table, with the pragmas of the store.
fn bare(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("the file opens");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             PRAGMA cache_size = -16384; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;
             CREATE TABLE events (position INTEGER PRIMARY KEY, cid BLOB NOT NULL, body BLOB NOT NULL) STRICT;",
        )
        .expect("the table is made");
    connection
}

fn bare_commits(connection: &Connection, commits: u64, rows: u64, cid: &[u8], body: &[u8]) {
    for _ in 0..commits {
        let run = |sql: &str| {
            connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute(()))
                .expect("it runs");
        };
        run("BEGIN IMMEDIATE");
        for _ in 0..rows {
            connection
                .prepare_cached("INSERT INTO events (cid, body) VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute((cid, body)))
                .expect("it inserts");
        }
        run("COMMIT");
    }
}

/// The tables of a store, out of an empty one, with the pragmas of the store, and a row of an aggregate for each writer.
fn bare_tables(directory: &Directory, name: &str) -> Connection {
    let path = directory.file(name);
    drop(SqliteEventStore::open(&path).expect("the file opens"));
    let connection = Connection::open(&path).expect("the file opens");
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384;
             PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;",
        )
        .expect("the pragmas are set");
    connection
}

/// What the store writes for one event, and for one commit over many aggregates, by bare statements.
struct Bare {
    connection: Connection,
    /// The events, each with other bytes where a CID and an aggregate have them.
    cids: Vec<Vec<u8>>,
    body: Bytes,
    keys: Vec<i64>,
    ids: Vec<String>,
    versions: Vec<i64>,
    last_of: Vec<i64>,
    last: i64,
}

impl Bare {
    fn new(connection: Connection, sample: &StoredEvent, writers: u64) -> Self {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut cid = || {
            let mut cid = sample.cid.to_bytes();
            for chunk in cid[4..].chunks_exact_mut(8) {
                chunk.copy_from_slice(&next().to_be_bytes());
            }
            cid
        };
        let cids = (0..4_096).map(|_| cid()).collect();
        let keys = (0..writers).map(|_| next().cast_signed()).collect();
        let ids = (0..writers).map(|number| key(number).id().to_string());
        Self {
            connection,
            cids,
            body: sample.body().clone(),
            keys,
            ids: ids.collect(),
            versions: vec![0; writers as usize],
            last_of: vec![0; writers as usize],
            last: 0,
        }
    }

    /// A commit with one event of each aggregate.
    fn commit(&mut self) {
        let run = |sql: &str| {
            self.connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute(()))
                .expect("it runs");
        };
        run("BEGIN IMMEDIATE");
        let cached = |sql: &str| self.connection.prepare_cached(sql).expect("it is prepared");
        let before = self.last;
        let mut insert = cached(
            "INSERT INTO events (position, aggregate, previous_of_aggregate, type, previous_of_type, sequence,
                timestamp, cid, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        );
        for writer in 0..self.keys.len() {
            let position = self.last + 1;
            let cid = &self.cids[position as usize % self.cids.len()];
            insert
                .execute((
                    position,
                    self.keys[writer],
                    self.last_of[writer],
                    1,
                    self.last,
                    self.versions[writer] + 1,
                    1_700_000_000_000_000_i64 + position,
                    cid,
                    &self.body[..],
                ))
                .expect("it inserts");
            self.last_of[writer] = position;
            self.last = position;
        }
        drop(insert);
        for writer in 0..self.keys.len() {
            let cid = &self.cids[self.last_of[writer] as usize % self.cids.len()];
            let sql = match self.versions[writer] {
                0 => {
                    "INSERT INTO aggregates (key, kind, id, version, position, cid, timestamp)
                     VALUES (?1, 'infrastructure.compute', ?2, ?3, ?4, ?5, ?6)"
                }
                _ => {
                    "UPDATE aggregates SET version = ?3, position = ?4, cid = ?5, timestamp = ?6
                     WHERE key = ?1 AND id = ?2"
                }
            };
            self.versions[writer] += 1;
            cached(sql)
                .execute((
                    self.keys[writer],
                    &self.ids[writer],
                    self.versions[writer],
                    self.last_of[writer],
                    cid,
                    1_700_000_000_000_000_i64 + self.last_of[writer],
                ))
                .expect("it keeps the head");
        }
        cached(
            "INSERT INTO types (number, kind, name, digest, last)
             VALUES (1, 'infrastructure.compute', 'infrastructure.compute.registered', 7, ?1)
             ON CONFLICT (number) DO UPDATE SET last = excluded.last",
        )
        .execute((self.last,))
        .expect("it keeps the type");
        for segment in before / 256..self.last / 256 {
            cached(
                "INSERT INTO type_positions (type, position)
                 SELECT type, position FROM events WHERE position BETWEEN ?1 AND ?2 ORDER BY type, position",
            )
            .execute((segment * 256 + 1, segment * 256 + 256))
            .expect("it indexes the types");
            cached("INSERT INTO cid_segments (number, entries, digest) VALUES (?1, ?2, ?3)")
                .execute((segment << 8, vec![7; 2_048], vec![7; 16]))
                .expect("it indexes the CIDs");
        }
        run("COMMIT");
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime starts")
}

/// A stored event, for its bytes.
fn sample(runtime: &Runtime) -> StoredEvent {
    let directory = Directory::new();
    let store = SqliteEventStore::open(directory.file("sample.db")).expect("the file opens");
    runtime
        .block_on(store.append(commit(&key(1), ExpectedVersion::NoStream, vec![event()])))
        .expect("it appends")
        .remove(0)
}

/// The bare table behind a thread, as any store is that is waited for and does not block: what the hand-over alone costs.
struct Behind {
    jobs: std::sync::mpsc::Sender<oneshot::Sender<()>>,
}

impl Behind {
    fn new(connection: Connection, cid: Vec<u8>, body: Bytes) -> Self {
        let (jobs, waiting) = std::sync::mpsc::channel::<oneshot::Sender<()>>();
        std::thread::spawn(move || {
            for answer in waiting {
                bare_commits(&connection, 1, 1, &cid, &body);
                answer.send(()).expect("somebody waits");
            }
        });
        Self { jobs }
    }

    async fn commits(self: Arc<Self>, commits: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..commits {
            let (answer, answered) = oneshot::channel();
            self.jobs.send(answer).expect("the thread runs");
            answered.await.expect("the thread answers");
        }
        start.elapsed()
    }
}

/// Takes turns, so that whatever else the machine does meets all alike, and prints the median of each and its ratio to
/// the first.
fn take_turns(what: &str, turns: usize, measured: &mut [(&str, &mut dyn FnMut() -> Duration)]) {
    let mut times = vec![Vec::with_capacity(turns); measured.len()];
    for _ in 0..turns {
        for (times, (_, measure)) in times.iter_mut().zip(measured.iter_mut()) {
            times.push(measure());
        }
    }
    let medians = times.iter_mut().map(|times| {
        times.sort_unstable();
        times[turns / 2].as_secs_f64() * 1e6
    });
    let medians: Vec<f64> = medians.collect();
    for ((name, _), median) in measured.iter().zip(&medians) {
        println!(
            "{what}, in turns: {name} {median:.0} µs ({:.2})",
            median / medians[0]
        );
    }
}

fn one_writer(criterion: &mut Criterion) {
    /// The commits of a turn.
    const TURN: u64 = 20;
    let runtime = runtime();
    let sample = sample(&runtime);
    let mut group = criterion.benchmark_group("append, one writer");
    group.throughput(Throughput::Elements(1));
    let directory = Directory::new();
    let connection = bare(&directory.file("bare.db"));
    let cid = sample.cid.to_bytes();
    group.bench_function("bare rusqlite", |bench| {
        bench.iter(|| bare_commits(&connection, 1, 1, &cid, sample.body()));
    });
    let behind = bare(&directory.file("behind.db"));
    let behind = Arc::new(Behind::new(behind, cid.clone(), sample.body().clone()));
    let handed = |commits| {
        let committing = runtime.spawn(behind.clone().commits(commits));
        runtime.block_on(committing).expect("it commits")
    };
    group.bench_function("bare rusqlite behind a thread", |bench| {
        bench.iter_custom(handed)
    });
    let store = SqliteEventStore::open(directory.file("store.db")).expect("the file opens");
    let stored = |events| runtime.block_on(time_writers(&store, BYTES, 1, events));
    group.bench_function("store", |bench| bench.iter_custom(stored));
    group.finish();
    let each = |time: Duration| time / TURN as u32;
    take_turns(
        "append, one writer",
        201,
        &mut [
            ("bare rusqlite", &mut || {
                let start = Instant::now();
                bare_commits(&connection, TURN, 1, &cid, sample.body());
                each(start.elapsed())
            }),
            ("behind a thread", &mut || each(handed(TURN))),
            ("store", &mut || each(stored(TURN))),
        ],
    );
}

/// A commit of two events: of one aggregate, and of two by commands on both.
fn together(_: &mut Criterion) {
    /// The commits of a turn.
    const TURN: u64 = 20;
    let runtime = runtime();
    let sample = sample(&runtime);
    let directory = Directory::new();
    let connection = bare(&directory.file("bare.db"));
    let cid = sample.cid.to_bytes();
    let store = SqliteEventStore::open(directory.file("store.db")).expect("the file opens");
    let accounts = Repository::<Account>::builder(store.clone())
        .snapshot_threshold(0)
        .build();
    let ids = [Id::<Account>::new(), Id::new()];
    for id in &ids {
        let identity = MessageIdentity::new_from_user("bench");
        let opened = runtime.block_on(accounts.execute(id, AccountCommand::Open, &identity));
        opened.expect("it opens");
    }
    let deposit = || AccountCommand::Deposit { amount: 1 };
    let by_commands = async || {
        let start = Instant::now();
        for _ in 0..TURN {
            let identity = MessageIdentity::new_from_user("bench");
            let committed = Together::new(&identity)
                .execute(&accounts, &ids[0], deposit())
                .execute(&accounts, &ids[1], deposit())
                .commit()
                .await;
            committed.expect("it is stored");
        }
        start.elapsed()
    };
    let on_one = async || {
        let key = key(1);
        let last = store.last(&key).await.expect("the head reads");
        let mut head = last.map(|event| event.head());
        let start = Instant::now();
        for _ in 0..TURN {
            let deposit =
                || NewEvent::of(&AccountEvent::Deposited { amount: 1 }).expect("it encodes");
            let events = vec![deposit(), deposit()];
            let commit =
                CommitRequest::new(MessageIdentity::new_from_user("bench"), SystemClock.now());
            let commit = match head {
                None => commit.aggregate(key.clone(), ExpectedVersion::NoStream, events),
                Some(head) => commit.aggregate_at(key.clone(), head, events),
            };
            let stored = store.append(commit).await.expect("it appends");
            head = stored.last().map(StoredEvent::head);
        }
        start.elapsed()
    };
    let each = |time: Duration| time / TURN as u32;
    take_turns(
        "commit of two events",
        101,
        &mut [
            ("one aggregate", &mut || each(runtime.block_on(on_one()))),
            ("Together over two aggregates", &mut || {
                each(runtime.block_on(by_commands()))
            }),
            ("bare rusqlite", &mut || {
                let start = Instant::now();
                bare_commits(&connection, TURN, 2, &cid, sample.body());
                each(start.elapsed())
            }),
        ],
    );
}

fn many_writers(criterion: &mut Criterion) {
    /// The commits of each writer in a turn.
    const TURN: u64 = 10;
    let runtime = runtime();
    let sample = sample(&runtime);
    let mut group = criterion.benchmark_group("append, 64 writers");
    group.throughput(Throughput::Elements(WRITERS));
    let directory = Directory::new();
    let connection = bare(&directory.file("bare.db"));
    let cid = sample.cid.to_bytes();
    group.bench_function("bare rusqlite, batches of 64", |bench| {
        bench.iter(|| bare_commits(&connection, 1, WRITERS, &cid, sample.body()));
    });
    let store = SqliteEventStore::open(directory.file("store.db")).expect("the file opens");
    let stored = |events| runtime.block_on(time_writers(&store, BYTES, WRITERS, events));
    group.bench_function("store", |bench| bench.iter_custom(stored));
    group.finish();
    let each = |time: Duration| time / TURN as u32;
    let mut tables = Bare::new(bare_tables(&directory, "tables.db"), &sample, WRITERS);
    take_turns(
        "append, 64 writers, for 64 events",
        201,
        &mut [
            ("bare rusqlite, the same rows in commits of 64", &mut || {
                let start = Instant::now();
                (0..TURN).for_each(|_| tables.commit());
                each(start.elapsed())
            }),
            ("bare rusqlite, one table in commits of 64", &mut || {
                let start = Instant::now();
                bare_commits(&connection, TURN, WRITERS, &cid, sample.body());
                each(start.elapsed())
            }),
            ("store", &mut || each(stored(TURN))),
        ],
    );
}

/// The same events with a view of documents in the file, written in the transactions of the events, and without it.
fn inline_view(criterion: &mut Criterion) {
    /// The commits of each writer in a turn.
    const TURN: u64 = 10;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime starts");
    let directory = Directory::new();
    let open = |name| SqliteEventStore::open(directory.file(name)).expect("the file opens");
    let (without, with) = (open("without.db"), open("with.db"));
    let manager = ProjectionManager::new(with.clone());
    let view = runtime.block_on(async { manager.inline::<Hosts>(&with).await });
    let view = view.expect("the view opens");
    let timed = |store: &SqliteEventStore, events| {
        runtime.block_on(time_writers(store, HOSTS, WRITERS, events))
    };
    let what = "append, 64 writers, a view of documents with the events";
    let mut group = criterion.benchmark_group(what);
    group.throughput(Throughput::Elements(WRITERS));
    for (name, store) in [("without", &without), ("with", &with)] {
        group.bench_function(name, |bench| {
            bench.iter_custom(|events| timed(store, events))
        });
    }
    group.finish();
    let each = |time: Duration| time / TURN as u32;
    take_turns(
        "append, 64 writers, a view of documents with the events, for 64 events",
        201,
        &mut [
            ("without", &mut || each(timed(&without, TURN))),
            ("with", &mut || each(timed(&with, TURN))),
        ],
    );
    let last = runtime.block_on(with.last_position());
    let up_to = view.status().up_to.position;
    assert_eq!(up_to, last.expect("it answers"), "the view is level");
}

fn load(criterion: &mut Criterion) {
    let runtime = runtime();
    let directory = Directory::new();
    let store = SqliteEventStore::open(directory.file("store.db")).expect("the file opens");
    let events: Vec<StoredEvent> = runtime.block_on(async {
        for version in (0..HISTORY).step_by(500) {
            let events = vec![event(); 500];
            store
                .append(commit(&key(1), ExpectedVersion::Exactly(version), events))
                .await
                .expect("it appends");
        }
        store.get_events(&key(1), 1).await.expect("it loads")
    });
    let rows: Vec<_> = events
        .iter()
        .map(|event| (event.cid.to_bytes(), event.body().clone()))
        .collect();
    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Elements(HISTORY));
    group.sample_size(20);
    group.bench_function(
        BenchmarkId::new("decoding and hashing from memory", HISTORY),
        |bench| {
            bench.iter(|| {
                let mut events = Vec::with_capacity(rows.len());
                for (cid, body) in &rows {
                    let cid = parse_cid(cid).expect("it is a CID");
                    let event = StoredEvent::verify(Position(1), cid, body.clone());
                    events.push(event.expect("it verifies"));
                }
                black_box(events)
            });
        },
    );
    group.bench_function(BenchmarkId::new("store", HISTORY), |bench| {
        bench.iter(|| {
            runtime
                .block_on(store.get_events(&key(1), 1))
                .expect("it loads")
        });
    });
    group.finish();
}

criterion_group!(
    benches,
    one_writer,
    together,
    many_writers,
    inline_view,
    load
);
criterion_main!(benches);
