//! Proof under faults: many writers on three servers with three replicas, while leaders step down, servers are killed
//! and paused, and connections are cut.
//!
//! `CIM_ES_LONG=1` takes the long form.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::jetstream::checker::{Operation, Outcome, violations};
use crate::jetstream::sample::*;
use crate::jetstream::{open, options};
use cim_es::block::StoredEvent;
use cim_es::jetstream::{JetStreamEventStore, JetStreamOptions, NatsConfig};
use cim_es::store::*;
use cim_es_tests::nats::{Cluster, Server, User};
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

const WRITERS: u64 = 6;
const AGGREGATES: usize = 4;
/// Longer than the servers wait for a leader before they elect another.
const PAUSE: Duration = Duration::from_secs(11);

fn rounds() -> u32 {
    match std::env::var_os("CIM_ES_LONG") {
        Some(_) => 12,
        None => 1,
    }
}

/// A writer that tries one commit after the other until it is told to stop.
struct Writer {
    store: JetStreamEventStore,
    keys: Vec<AggregateKey>,
    heads: HashMap<AggregateKey, Head>,
    counter: Arc<AtomicU64>,
    operations: Vec<Operation>,
}

impl Writer {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Vec<Operation> {
        while !stop.load(Ordering::Relaxed) {
            self.step().await;
        }
        self.operations
    }

    async fn step(&mut self) {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let key = self.keys[number as usize % self.keys.len()].clone();
        let request = match number % 5 {
            0 => commit().aggregate(key.clone(), ExpectedVersion::Any, notes([number])),
            1 => commit().aggregate(key.clone(), ExpectedVersion::Any, notes([number; 3])),
            2 => {
                let other = self.keys[(number as usize + 1) % self.keys.len()].clone();
                commit()
                    .aggregate(key.clone(), ExpectedVersion::Any, notes([number; 2]))
                    .aggregate(other, ExpectedVersion::Any, notes([number]))
            }
            _ => match self.heads.get(&key) {
                Some(head) => commit().aggregate_at(key.clone(), *head, notes([number])),
                None => commit().aggregate(key.clone(), ExpectedVersion::Any, notes([number])),
            },
        };
        let events = request
            .aggregates
            .iter()
            .map(|part| part.events.len())
            .sum();
        let outcome = self.store.append(request).await;
        self.heads.remove(&key);
        if let Ok(stored) = &outcome {
            for event in stored {
                let is_ours = event.envelope.aggregate_id == key.id().as_str();
                if is_ours {
                    self.heads.insert(key.clone(), event.head());
                }
            }
        }
        if outcome.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        self.operations.push(Operation {
            number,
            events,
            outcome: Outcome::of(outcome),
        });
    }
}

async fn connect(
    cluster: &Cluster,
    options: &JetStreamOptions,
) -> (async_nats::Client, JetStreamEventStore) {
    let config = NatsConfig::new(cluster.urls())
        .user_and_password("operator", User::Operator.password())
        .max_reconnects(0)
        .reconnect_delay(Duration::from_millis(50));
    let connection = config.connect().await.unwrap();
    let store = JetStreamEventStore::open(connection.clone(), options.clone()).await;
    (connection.client().clone(), store.unwrap())
}

/// Follows the stream all the while, and gives what it saw once it has seen everything up to a position.
async fn follow(
    store: JetStreamEventStore,
    until: tokio::sync::watch::Receiver<u64>,
) -> Vec<StoredEvent> {
    let mut following = store.subscribe(Position::START);
    let mut seen: Vec<StoredEvent> = Vec::new();
    loop {
        let end = *until.borrow();
        if end > 0 && seen.last().is_some_and(|event| event.position.0 >= end) {
            return seen;
        }
        let next = tokio::time::timeout(Duration::from_millis(200), following.next()).await;
        if let Ok(event) = next {
            seen.push(event.unwrap().unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_commits_survive_faults_once_and_unforked() {
    let mut cluster = Cluster::start(3);
    let options = options(3).patience(Duration::from_secs(20));
    let (operator, store) = connect(&cluster, &options).await;
    let keys: Vec<_> = (0..AGGREGATES).map(|_| key()).collect();
    let (stop, counter) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(1)),
    );
    let mut clients = Vec::new();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (client, store) = connect(&cluster, &options).await;
        clients.push(client);
        let writer = Writer {
            store,
            keys: keys.clone(),
            heads: HashMap::new(),
            counter: Arc::clone(&counter),
            operations: Vec::new(),
        };
        writers.spawn(writer.run(Arc::clone(&stop)));
    }
    let (end, until) = tokio::sync::watch::channel(0);
    let (_, following) = connect(&cluster, &options).await;
    let follower = tokio::spawn(follow(following, until));
    for _ in 0..rounds() {
        sleep(Duration::from_secs(1)).await;
        cluster.step_down(&operator, store.stream_name()).await;
        sleep(Duration::from_secs(2)).await;
        for client in &clients {
            client.force_reconnect().await.unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        let leader = cluster.leader(&operator, store.stream_name()).await;
        cluster.server(leader).kill();
        sleep(Duration::from_secs(3)).await;
        cluster.server(leader).restart();
        cluster.wait_until_healthy();
        sleep(Duration::from_secs(1)).await;
        let leader = cluster.leader(&operator, store.stream_name()).await;
        cluster.server(leader).pause();
        sleep(PAUSE).await;
        cluster.server(leader).resume();
        cluster.wait_until_healthy();
        sleep(Duration::from_secs(2)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut operations = Vec::new();
    while let Some(writer) = writers.join_next().await {
        operations.extend(writer.unwrap());
    }
    drop(clients);
    sleep(Duration::from_secs(3)).await;
    let fresh = cluster.connect(User::Operator).await;
    let store = open(fresh.clone(), &options).await;
    let wrong = violations(&fresh, &store, &operations).await;
    assert!(
        wrong.is_empty(),
        "{} violations:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let events: Vec<_> = store.read_all(Position::START).collect().await;
    let events: Vec<StoredEvent> = events.into_iter().map(|event| event.unwrap()).collect();
    end.send(events.last().unwrap().position.0).unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(30), follower)
        .await
        .unwrap()
        .unwrap();
    assert!(
        seen == events,
        "the subscription saw {} events, the stream has {}",
        seen.len(),
        events.len()
    );
    let count = |is: fn(&Outcome) -> bool| operations.iter().filter(|it| is(&it.outcome)).count();
    let stored = count(|outcome| matches!(outcome, Outcome::Stored(_)));
    let unknown = count(|outcome| matches!(outcome, Outcome::Unknown));
    println!(
        "{} commits: {stored} stored, {unknown} unknown, {} events",
        operations.len(),
        events.len()
    );
    assert!(stored > 500, "only {stored} commits were stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_checker_finds_a_writer_without_the_guard() {
    let cluster = Cluster::start(3);
    let options = options(3);
    let (client, store) = connect(&cluster, &options).await;
    let keys = vec![key()];
    let (stop, counter) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(1)),
    );
    let mut writers = JoinSet::new();
    for _ in 0..3 {
        let writer = Writer {
            store: store.clone(),
            keys: keys.clone(),
            heads: HashMap::new(),
            counter: Arc::clone(&counter),
            operations: Vec::new(),
        };
        writers.spawn(writer.run(Arc::clone(&stop)));
    }
    let rogue = tokio::spawn(rogue(
        client.clone(),
        store.clone(),
        keys[0].clone(),
        counter,
    ));
    let mut operations = rogue.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        operations.extend(writer.unwrap());
    }
    let wrong = violations(&client, &store, &operations).await;
    let forks = wrong
        .iter()
        .filter(|it| it.contains("fork") || it.contains("gap"))
        .count();
    let guards = wrong
        .iter()
        .filter(|it| it.contains("another guard"))
        .count();
    assert!(forks > 0 && guards > 0, "{wrong:?}");
}

/// Writes whole, well sealed events under a guard of its own, which the servers accept beside guarded writes, and one
/// without any guard behind an event that it has not seen: a fork, however fast the servers are.
async fn rogue(
    client: async_nats::Client,
    store: JetStreamEventStore,
    key: AggregateKey,
    counter: Arc<AtomicU64>,
) -> Vec<Operation> {
    let context = async_nats::jetstream::new(client);
    let mut operations = Vec::new();
    while operations.len() < 6 {
        let Some(last) = store.last(&key).await.unwrap() else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes([number]));
        let sealed = seal(request, &[Some(last.head())], &SealOptions::default())
            .unwrap()
            .remove(0);
        let subject = store.subjects().stored(key.id(), NOTED);
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Cid", sealed.cid.to_string());
        if operations.len() < 5 {
            headers.insert(
                "Nats-Expected-Last-Subject-Sequence",
                last.position.to_string(),
            );
            headers.insert(
                "Nats-Expected-Last-Subject-Sequence-Subject",
                subject.as_str(),
            );
        } else {
            overtaken(&store, &key, last.position).await;
        }
        let sent = context
            .publish_with_headers(subject, headers, sealed.body.clone())
            .await;
        if let Ok(ack) = sent.unwrap().await {
            let stored = vec![sealed.into_stored(Position(ack.sequence))];
            operations.push(Operation {
                number,
                events: 1,
                outcome: Outcome::Stored(stored),
            });
        }
    }
    operations
}

/// Waits until the aggregate's last event is another than the one at `position`.
async fn overtaken(store: &JetStreamEventStore, key: &AggregateKey, position: Position) {
    while store.last(key).await.unwrap().unwrap().position == position {
        sleep(Duration::from_millis(5)).await;
    }
}

/// A client of one server of a cluster.
async fn client_of(server: &Server) -> async_nats::Client {
    server.connect(User::Operator).await
}

/// How many events the nearest replica gives of an aggregate, asked past the store.
async fn nearest(client: &async_nats::Client, store: &JetStreamEventStore, subject: &str) -> usize {
    let request = serde_json::json!({ "seq": 1, "batch": 10, "next_by_subj": subject });
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    let get = format!("$JS.API.DIRECT.GET.{}", store.stream_name());
    let asked = client.publish_with_reply(get, inbox, request.to_string().into());
    asked.await.unwrap();
    let mut count = 0;
    while answers
        .next()
        .await
        .is_some_and(|answer| answer.status.is_none())
    {
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_is_read_also_where_the_nearest_replica_lags() {
    const ROUNDS: usize = 200;
    let cluster = Cluster::start(3);
    let options = options(3);
    let (operator, store) = connect(&cluster, &options).await;
    let leader = cluster.leader(&operator, store.stream_name()).await;
    let (leader, lagging) = (
        &cluster.servers()[leader],
        &cluster.servers()[(leader + 1) % 3],
    );
    let writing = open(client_of(leader).await, &options).await;
    let near = client_of(lagging).await;
    let reading = open(near.clone(), &options).await;
    let mut late = 0;
    for round in 0..ROUNDS {
        let key = tally();
        let first = commit().aggregate(key.clone(), ExpectedVersion::NoStream, vec![counted(1)]);
        writing.append(first).await.unwrap();
        lagging.pause();
        let second = commit().aggregate(key.clone(), ExpectedVersion::Exactly(1), vec![counted(2)]);
        writing.append(second).await.unwrap();
        let mut reads = JoinSet::new();
        for _ in 0..8 {
            let (reading, key) = (reading.clone(), key.clone());
            reads.spawn(async move { reading.get_events(&key, 0).await });
        }
        let subject = store.subjects().stored(key.id(), "contract.tally.counted");
        let raw = tokio::spawn({
            let (near, store) = (near.clone(), store.clone());
            async move { nearest(&near, &store, &subject).await }
        });
        sleep(Duration::from_millis(50)).await;
        lagging.resume();
        while let Some(read) = reads.join_next().await {
            assert_eq!(numbers(&read.unwrap().unwrap()), [1, 2]);
        }
        late += usize::from(raw.await.unwrap() < 2);
        if late > 0 {
            println!("an answer of the replica was late in round {round}");
            return;
        }
    }
    panic!("no replica was late in {ROUNDS} rounds, so nothing was shown");
}
