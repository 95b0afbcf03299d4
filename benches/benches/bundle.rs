//! Bundles: exporting a file of events, and importing it proved into another one, beside the disk and SHA-256.
//!
//! | variable | what it says | by default |
//! |---|---|---|
//! | `CIM_ES_BENCH_EVENTS` | how many events the store has | 1,000,000 |
//! | `CIM_ES_BENCH_AGGREGATES` | how many aggregates share them, in turn | 1,000 |
//! | `CIM_ES_BENCH_DIRECTORY` | where the files are made; the store stays there for the next run | a temporary one |
#![allow(missing_docs, reason = "a program, not a library")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cim_es::SqliteEventStore;
use cim_es::bundle::{Export, Import};
use cim_es::store::{EventStore, NewEvent};
use cim_es_benches::{HostEvent, commit as commit_of, registration};
use futures_util::future::join_all;
use sha2::{Digest, Sha256};

/// The events of a commit, and the commits in flight while the store is made.
const EVENTS: u64 = 10;
const IN_FLIGHT: u64 = 200;

fn main() {
    let events = std::env::var("CIM_ES_BENCH_EVENTS");
    let events: u64 = events.map_or(1_000_000, |text| text.parse().expect("a number"));
    let aggregates = std::env::var("CIM_ES_BENCH_AGGREGATES");
    let aggregates: u64 = aggregates.map_or(1_000, |text| text.parse().expect("a number"));
    let kept = std::env::var_os("CIM_ES_BENCH_DIRECTORY").map(PathBuf::from);
    let directory = kept.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("cim-es-bundle-{}", std::process::id()))
    });
    std::fs::create_dir_all(&directory).expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(run(&directory, events, aggregates));
    if kept.is_none() {
        std::fs::remove_dir_all(&directory).expect("it can be removed");
    }
}

async fn run(directory: &Path, events: u64, aggregates: u64) {
    let file = directory.join(format!("events-{events}-{aggregates}.db"));
    let store = SqliteEventStore::open(&file).expect("the file opens");
    if store.last_position().await.expect("it answers").0 < events {
        fill(&store, events, aggregates).await;
    }
    let bundle = directory.join("all.car");
    let (exporting, exported) = timed(async {
        let export = Export::new(store.clone()).bundle_to(&bundle).await;
        export.expect("it is exported")
    })
    .await;
    let bytes = exported.bytes;
    let hashing = hash(&bundle);
    let writing = write(&directory.join("raw"), bytes);
    let other = directory.join("other.db");
    for name in ["other.db", "other.db-wal", "other.db-shm"] {
        let _ = std::fs::remove_file(directory.join(name));
    }
    let (verifying, _) =
        timed(async { Import::bundle(&bundle).verify().await.expect("whole") }).await;
    let target = SqliteEventStore::open(&other).expect("the file opens");
    let (importing, imported) = timed(async {
        let imported = Import::bundle(&bundle).into_store(&target).await;
        imported.expect("it is imported")
    })
    .await;
    assert_eq!(imported.stored, exported.manifest.events());
    let (again, _) = timed(async {
        let imported = Import::bundle(&bundle).into_store(&target).await;
        imported.expect("it is there")
    })
    .await;
    target.close().await;
    let megabytes = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    let rate = |time: Duration| exported.manifest.events() as f64 / time.as_secs_f64();
    let show = |what: &str, time: Duration| {
        let (time, megabytes, rate) = (time.as_secs_f64(), megabytes(time), rate(time));
        println!("{what:<34}{time:>8.2} s{megabytes:>9.0} MB/s{rate:>11.0} events/s");
    };
    println!(
        "{} events, {:.0} MB",
        exported.manifest.events(),
        bytes as f64 / 1e6
    );
    show("SHA-256 of the same bytes", hashing);
    show("sequential write and sync", writing);
    show("export", exporting);
    show("verify", verifying);
    show("import, verified, into SQLite", importing);
    show("import of what is there", again);
    let slower = hashing.max(writing).as_secs_f64();
    println!(
        "export at {:.2} of the slower of the two",
        slower / exporting.as_secs_f64()
    );
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let start = Instant::now();
    let done = work.await;
    (start.elapsed(), done)
}

async fn fill(store: &SqliteEventStore, events: u64, aggregates: u64) {
    let mut number = 0;
    while number < events {
        let commits = (0..IN_FLIGHT).map(|commit| {
            let first = number + EVENTS * commit;
            let event = |n| HostEvent::Registered(registration(n));
            let events =
                (first..first + EVENTS).map(|n| NewEvent::of(&event(n)).expect("it encodes"));
            let host = u128::from(first / EVENTS % aggregates);
            store.append(commit_of(host, u128::from(first) + 1, events.collect()))
        });
        for stored in join_all(commits).await {
            stored.expect("the commit is stored");
        }
        number += EVENTS * IN_FLIGHT;
    }
}

fn hash(file: &Path) -> Duration {
    let mut bytes = Vec::new();
    let mut file = File::open(file).expect("the file opens");
    file.read_to_end(&mut bytes).expect("it reads");
    let start = Instant::now();
    std::hint::black_box(Sha256::digest(&bytes));
    start.elapsed()
}

fn write(file: &Path, bytes: u64) -> Duration {
    let block = vec![7; 1024 * 1024];
    let start = Instant::now();
    let mut out = File::create(file).expect("the file opens");
    let mut left = bytes as usize;
    while left > 0 {
        let part = left.min(block.len());
        out.write_all(&block[..part]).expect("it writes");
        left -= part;
    }
    out.sync_all().expect("it syncs");
    let time = start.elapsed();
    std::fs::remove_file(file).expect("it can be removed");
    time
}
