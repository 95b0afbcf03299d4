//! Aggregates that must not have moved, on three servers whose leader changes, on connections whose
//! answers are lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cim_es::block::StoredEvent;
use cim_es::jetstream::JetStreamEventStore;
use cim_es::store::*;
use cim_es_tests::nats::{Cluster, Server, User};
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::jetstream::proxy::Proxy;
use crate::jetstream::sample::*;
use crate::jetstream::{open, options};

const WRITERS: u64 = 4;
const ROUNDS: usize = 4;

/// One commit that was tried: it moves one aggregate, as long as the other has not moved since a
/// version.
struct Tried {
    number: u64,
    moves: usize,
    stays_at: u64,
    /// Whether it is stored; none when that is not known.
    is_stored: Option<bool>,
}

async fn write(
    store: JetStreamEventStore,
    keys: [AggregateKey; 2],
    numbers: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Vec<Tried> {
    let mut tried = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let number = numbers.fetch_add(1, Ordering::SeqCst);
        let moves = (number % 2) as usize;
        let Ok(other) = store.last(&keys[1 - moves]).await else {
            continue;
        };
        let head = other.as_ref().map(StoredEvent::head);
        // Two events, so that a message is left for the guard of the other.
        let request = commit()
            .aggregate(
                keys[moves].clone(),
                ExpectedVersion::Any,
                notes([number; 2]),
            )
            .unchanged(keys[1 - moves].clone(), head);
        let outcome = store.append(request).await;
        tried.push(Tried {
            number,
            moves,
            stays_at: head.map_or(0, |head| head.version),
            is_stored: match &outcome {
                Ok(_) => Some(true),
                Err(StoreError::OutcomeUnknown { .. }) => None,
                Err(_) => Some(false),
            },
        });
        if outcome.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    }
    tried
}

/// Everything that is wrong with what is stored.
fn violations(events: &[StoredEvent], keys: &[AggregateKey; 2], tried: &[Tried]) -> Vec<String> {
    let mut wrong = Vec::new();
    let tried: HashMap<u64, &Tried> = tried.iter().map(|it| (it.number, it)).collect();
    let mut found: HashMap<u64, u64> = HashMap::new();
    let mut versions = [0, 0];
    for (event, number) in events.iter().zip(numbers(events)) {
        *found.entry(number).or_default() += 1;
        let Some(tried) = tried.get(&number) else {
            wrong.push(format!("{number} is stored, and nobody knows of it"));
            continue;
        };
        let other = versions[1 - tried.moves];
        if other != tried.stays_at {
            let expected = tried.stays_at;
            wrong.push(format!(
                "{number} stands where the other aggregate has version {other}, not {expected}"
            ));
        }
        assert!(keys[tried.moves].has(event));
        versions[tried.moves] = event.envelope.sequence;
    }
    for (number, tried) in tried {
        let count = found.get(&number).copied().unwrap_or(0);
        match tried.is_stored {
            Some(true) if count != 2 => wrong.push(format!("{number} is there {count} times")),
            Some(false) if count != 0 => wrong.push(format!("{number} was refused, and is there")),
            None if count != 0 && count != 2 => wrong.push(format!("{number} is there in part")),
            _ => {}
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_have_moved_has_not_whatever_becomes_of_answers_and_leaders() {
    let cluster = Cluster::start(3);
    let options = options(3).request_timeout(Duration::from_millis(500));
    let operator = cluster.connect(User::Operator).await;
    let hearing = open(operator.clone(), &options).await;
    let keys = [key(), key()];
    let (numbers, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let (mut writers, mut proxies) = (JoinSet::new(), Vec::new());
    for writer in 0..WRITERS {
        let server = &cluster.servers()[writer as usize % 3];
        let proxy = Proxy::to(server.address()).await;
        let client = User::Operator.options();
        let client = client
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .connect(proxy.url())
            .await
            .unwrap();
        let store = open(client, &options).await;
        let (keys, numbers, stop) = (keys.clone(), Arc::clone(&numbers), Arc::clone(&stop));
        writers.spawn(write(store, keys, numbers, stop));
        proxies.push(proxy);
    }
    for round in 0..ROUNDS {
        sleep(Duration::from_millis(500)).await;
        proxies[round % proxies.len()].lose_answers();
        proxies[(round + 1) % proxies.len()].refuse_what_is_stored(10071);
        cluster.step_down(&operator, hearing.stream_name()).await;
        sleep(Duration::from_millis(700)).await;
        proxies[round % proxies.len()].cut();
        // A server that stands still takes itself for the leader when it goes on.
        let leader = cluster.leader(&operator, hearing.stream_name()).await;
        cluster.servers()[leader].pause();
        sleep(Duration::from_secs(6)).await;
        cluster.servers()[leader].resume();
    }
    sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::SeqCst);
    let tried: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let acknowledged = tried.iter().filter(|it| it.is_stored == Some(true)).count();
    assert!(acknowledged > 20, "only {acknowledged} commits were stored");
    let reading = open(cluster.connect(User::Operator).await, &options).await;
    let events: Vec<_> = reading.read_all(Position::START).collect().await;
    let events: Vec<_> = events.into_iter().map(Result::unwrap).collect();
    let wrong = violations(&events, &keys, &tried);
    assert!(wrong.is_empty(), "of {} commits: {wrong:#?}", tried.len());
}

#[tokio::test]
async fn a_commit_with_fewer_events_than_guards_is_refused_with_the_remedy() {
    let store = open(Server::shared().connect(User::Operator).await, &options(1)).await;
    let (moves, stays, too) = (key(), key(), key());
    let request = |events: u64| {
        commit()
            .aggregate(moves.clone(), ExpectedVersion::Any, notes(0..events))
            .unchanged(stays.clone(), None)
            .unchanged(too.clone(), None)
    };
    for events in [1, 2] {
        let refused = store.append(request(events)).await;
        let Err(StoreError::InvalidCommit { reason }) = refused else {
            panic!("{refused:?}");
        };
        let said = format!("none of the {events} messages is left");
        assert!(
            reason.contains(&said) && reason.contains("further event"),
            "{reason}"
        );
        assert_eq!(history(&store, &moves).await, []);
    }
    store.append(request(3)).await.unwrap();
}
