//! Checking a whole file, and the graph of its events, each beside the bare work in the same run.
//!
//! It fills a file with events, a tenth as many aggregates, and prints one line a case. Each case is measured several times
//! in turns with its bare one, and the best of each counts. These settings make a run shorter:
//!
//! | variable | what it sets | where it is not set |
//! |---|---|---|
//! | `CIM_ES_BENCH_EVENTS` | how many events there are | 1,000,000 |
//! | `CIM_ES_BENCH_ROUNDS` | how many times a case is measured | 3 |
//! | `CIM_ES_BENCH_DIRECTORY` | where the file of events is made, and stays for the next run | a temporary one |
#![allow(missing_docs, reason = "a program, not a library")]

#[path = "read_models/fixture.rs"]
#[allow(dead_code, reason = "the read side needs more of it")]
mod fixture;
#[path = "read_models/report.rs"]
#[allow(dead_code, reason = "the read side needs more of it")]
mod report;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cim_es::SqliteEventStore;
use cim_es::block::{Cid, StoredEvent};
use cim_es::dag::{DagOptions, EventDag};
use cim_es::store::{Bookmark, EventStore, NewEvent, Position, SealOptions, Selection, seal};
use cim_es::verify::Verification;
use cim_es_benches::{HostEvent, commit, registration};
use fixture::{Directory, filled, open};
use futures_util::StreamExt;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::Bfs;

/// How many events are in memory while they are decoded and hashed alone.
const AT_ONCE: usize = 50_000;

fn number(name: &str, unset: u64) -> u64 {
    let set = std::env::var(format!("CIM_ES_BENCH_{name}")).ok();
    set.map_or(unset, |text| {
        let parsed = text.replace('_', "").parse();
        parsed.unwrap_or_else(|_| panic!("CIM_ES_BENCH_{name} is a number"))
    })
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    // `cargo test --benches` runs benches with this argument, to see that they start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (events, rounds) = (number("EVENTS", 1_000_000), number("ROUNDS", 3));
    let kept = std::env::var("CIM_ES_BENCH_DIRECTORY").map(PathBuf::from);
    let directory = kept.map_or_else(|_| Directory::new(), Directory::kept);
    let store = open(&filled(&directory, events, events.div_ceil(10)).await);
    report::head();
    verification(&store, events, rounds).await;
    graph(&store, events, rounds).await;
    ancestors(events, rounds);
}

async fn verification(store: &SqliteEventStore, events: u64, rounds: u64) {
    let mut bare = Duration::MAX;
    let mut best = [Duration::MAX; 2];
    for _ in 0..rounds {
        bare = bare.min(decode_and_hash(store).await);
        for (best, threads) in best.iter_mut().zip([1, 2]) {
            let start = Instant::now();
            let mut verification = Verification::of(store.clone()).threads(threads);
            let report = verification.finish(drop).await.expect("it reads");
            *best = (*best).min(start.elapsed());
            assert!(report.is_sound() && report.events == events);
        }
    }
    let [one, two] = best;
    report::rate(
        "verify, one core",
        events,
        one,
        bare,
        "at least 0.67x decoding and hashing",
    );
    report::rate(
        "verify, two cores beside one",
        events,
        two,
        one,
        "at least 1.6x",
    );
}

/// Decodes and hashes every event, reading not counted.
async fn decode_and_hash(store: &SqliteEventStore) -> Duration {
    let mut read = store
        .read(Selection::everything(), Bookmark::START)
        .chunks(AT_ONCE);
    let mut taken = Duration::ZERO;
    while let Some(chunk) = read.next().await {
        let blocks = chunk.into_iter().map(|event| {
            let event = event.expect("it reads");
            (event.position, event.cid, event.body().clone())
        });
        let blocks: Vec<_> = blocks.collect();
        let start = Instant::now();
        for (position, cid, body) in blocks {
            let proved = StoredEvent::verify(position, cid, body);
            black_box(proved.expect("it is whole"));
        }
        taken += start.elapsed();
    }
    taken
}

async fn graph(store: &SqliteEventStore, events: u64, rounds: u64) {
    let (mut bare, mut ours) = (Duration::MAX, Duration::MAX);
    let mut bytes = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        let mut read = store.read(Selection::everything(), Bookmark::START);
        while let Some(event) = read.next().await {
            black_box(event.expect("it reads"));
        }
        bare = bare.min(start.elapsed());
        let start = Instant::now();
        let dag = EventDag::of(store).await.expect("it is built");
        ours = ours.min(start.elapsed());
        assert_eq!(dag.events() as u64, events);
        bytes = dag.memory();
    }
    report::rate(
        "graph, built, beside reading",
        events,
        ours,
        bare,
        "at least 0.67x",
    );
    println!("graph: {:.1} bytes an event", bytes as f64 / events as f64);
}

/// A graph in which the last event depends on nearly all others, and the same without names and times.
fn ancestors(events: u64, rounds: u64) {
    let (mut dag, mut plain) = (EventDag::new(DagOptions::new()), DiGraph::<(), ()>::new());
    let mut cids: Vec<Cid> = Vec::new();
    let mut heads = vec![None; events.div_ceil(10) as usize];
    for number in 0..events {
        let aggregate = number as usize % heads.len();
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let parents =
            (number > 0).then(|| cids[(number - 1 - (mixed % number.min(1_000))) as usize]);
        let event = NewEvent::of(&HostEvent::Registered(registration(number)));
        let event = event.expect("it encodes").with_parents(parents);
        let request = commit(
            aggregate as u128 | 0x7000_8000 << 64,
            number.into(),
            vec![event],
        );
        let sealed = seal(request, &[heads[aggregate]], &SealOptions::default());
        let sealed = sealed.expect("it is sealed").remove(0);
        let stored = sealed.into_stored(Position(number + 1));
        heads[aggregate] = Some(stored.head());
        cids.push(stored.cid);
        dag.insert(&stored).expect("there is room");
        let node = plain.add_node(());
        let envelope = &stored.envelope;
        for cause in envelope.previous.iter().chain(&envelope.parents) {
            // The causes are the newest thousand, or the one before of the aggregate.
            let at = dag
                .get(cause)
                .expect("it is there")
                .event()
                .expect("an event")
                .position;
            plain.add_edge(node, NodeIndex::new(at.0 as usize - 1), ());
        }
    }
    let last = cids[cids.len() - 1];
    let (mut bare, mut ours) = (Duration::MAX, Duration::MAX);
    let mut found = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        let mut walk = Bfs::new(&plain, NodeIndex::new(cids.len() - 1));
        let mut visited = 0_u64;
        while let Some(node) = walk.next(&plain) {
            black_box(node);
            visited += 1;
        }
        bare = bare.min(start.elapsed());
        let start = Instant::now();
        found = 0;
        for node in dag.get(&last).expect("it is there").ancestors() {
            black_box(node);
            found += 1;
        }
        ours = ours.min(start.elapsed());
        assert_eq!(found, visited - 1);
    }
    report::time(
        &format!("{found} ancestors of one event"),
        ours,
        Some(bare),
        "at most 2x",
    );
}
